"""A timm model as a row of modules, from the input to the head."""

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate

from timm.models._manipulate import group_with_matcher  # timm has no public name for it
from timm.models.xception import Xception
from torch import nn

from tlkit.ground.names import check_name
from tlkit.ground.numbers import whole

FLOWS = {"entry": 4, "middle": 12}  # modules up to the end of Xception's flows (of 14)


@dataclass(frozen=True)
class Modules:
    """The modules of a network in order, without the head (its classifier).

    The name of a module is the path of its first layer, as short as it can be: `block3`,
    `layer2.0`, or `conv1` for a stem of several layers.
    """

    states: dict[str, list[str]]  # name of a module -> names of its state tensors
    flows: dict[str, int]  # name of a flow -> number of modules up to its end

    def __len__(self) -> int:
        return len(self.states)

    def count(self, until: int | str) -> int:
        """Return how many modules, counted from the input, `until` means.

        `until` is a number, "none", "all" or the name of the last module. For an Xception it is
        also the name of a flow: "entry" (4 of 14 modules) or "middle" (12: entry and middle).
        Raises `UnknownName`, and ValueError for a number that this network does not have.
        """
        if not isinstance(until, str):
            number = whole("a number of modules", until, least=-1)
            if not 0 <= number <= len(self):
                raise ValueError(f"{until} modules requested; this model has 0 to {len(self)}")
            return number
        ends = {"none": 0} | {name: i + 1 for i, name in enumerate(self.states)} | self.flows
        ends["all"] = len(self)
        check_name("module", until, ends)
        return ends[until]

    def first(self, until: int | str) -> list[str]:
        """Return the names of the state tensors of the modules up to `until`; see `count`."""
        prefix = list(self.states.values())[: self.count(until)]
        return [name for names in prefix for name in names]

    def numbers(self) -> dict[str, int]:
        """Return the module that each state tensor belongs to, counted from 0.

        The tensors of the head are not among them.
        """
        return {name: i for i, names in enumerate(self.states.values()) for name in names}


def modules(model: nn.Module) -> Modules:
    """Return the row of modules of a timm model, by timm's own grouping."""
    heads = model.pretrained_cfg["classifier"]
    heads = (heads,) if isinstance(heads, str) else heads
    of_heads = tuple(f"{head}." for head in heads)
    body = [(name, None) for name in model.state_dict() if not name.startswith(of_heads)]
    groups = group_with_matcher(body, model.group_matcher())
    row = [names for _, names in sorted(groups.items())]
    # A path that leads into one module only can be the name of that module.
    users = Counter(path for names in row for path in {p for name in names for p in _paths(name)})
    states = {next(p for p in _paths(names[0]) if users[p] == 1): names for names in row}
    return Modules(states, FLOWS if isinstance(model, Xception) else {})


def _paths(name: str) -> list[str]:
    """Return the paths that lead to a tensor, the shortest first: "a", "a.b", "a.b.weight"."""
    return list(accumulate(name.split("."), "{}.{}".format))
