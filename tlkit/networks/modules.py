"""A timm model as a row of modules, from the input to the head."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby, takewhile

import torch
from timm.models._manipulate import group_with_matcher  # timm has no public name for it
from timm.models.xception import Xception
from torch import nn

from tlkit.ground.names import check_name
from tlkit.ground.numbers import whole

FLOWS = {"entry": 4, "middle": 12}  # modules up to the end of Xception's flows (of 14)
# timm's own groups of these are not in the order of the forward pass.
NO_ROW = ("timm.models.cait", "timm.models.coat", "timm.models.efficientvim")


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


def head_paths(model: nn.Module) -> tuple[str, ...]:
    """Return the paths of a model's classification layers. Raises ValueError if it has none."""
    heads = model.pretrained_cfg.get("classifier") or ()
    layers = dict(model.named_modules())
    found = tuple(each for each in ([heads] if isinstance(heads, str) else heads) if each in layers)
    if not found:
        raise ValueError(f"{_name(model)} has no classification layer to replace; choose another")
    return found


def modules(model: nn.Module) -> Modules:
    """Return the row of modules of a timm model, by timm's own grouping if that is a row.

    Raises ValueError for a model that cannot be cut into modules, one after the other.
    """
    of_heads = tuple(f"{head}." for head in head_paths(model))
    body = [name for name in model.state_dict() if not name.startswith(of_heads)]
    if hasattr(model, "group_matcher") and type(model).__module__ not in NO_ROW:
        groups = group_with_matcher([(name, None) for name in body], model.group_matcher())
        row = [names for _, names in sorted(groups.items())]
    else:
        row = _by_children(model, body)
    # A path that leads into one module only can be the name of that module.
    users = Counter(path for names in row for path in {p for name in names for p in _paths(name)})
    states = {next(p for p in _paths(names[0]) if users[p] == 1): names for names in row}
    return Modules(states, FLOWS if isinstance(model, Xception) else {})


def _by_children(model: nn.Module, body: Sequence[str]) -> list[list[str]]:
    """Group tensors by the model's children and by the items of its lists, in order of use.

    What the model itself owns, such as a class token, belongs to the first module.
    """
    groups: dict[str, list[str]] = {}
    own = [name for name in body if "." not in name]
    for name in body:
        if name not in own:
            groups.setdefault(_child(model, name), []).append(name)
    order = [group for group, _ in groupby(_uses(model, groups))]
    if sorted(order) != sorted(groups):  # one is used twice, or never
        raise ValueError(
            f"{_name(model)} cannot be cut into modules: they do not come one after the other; "
            "choose another model"
        )
    row = [groups[group] for group in order]
    return [own + row[0], *row[1:]]


def _child(model: nn.Module, name: str) -> str:
    """Return the path of the child that a tensor belongs to; a list's items are children too."""
    paths = _paths(name)[:-1]
    kinds = [type(model.get_submodule(path)) for path in paths]
    lists = takewhile(lambda kind: issubclass(kind, (nn.ModuleList, nn.Sequential)), kinds)
    return paths[min(sum(1 for _ in lists), len(paths) - 1)]


@torch.no_grad()
def _uses(model: nn.Module, groups: Iterable[str]) -> list[str]:
    """Return the group of each layer in the order of the forward pass of one image."""
    modes, used, hooks = [(each, each.training) for each in model.modules()], [], []
    for path, layer in model.named_modules():
        for group in groups:
            if f"{path}.".startswith(f"{group}.") and any(True for _ in layer.parameters(False)):
                note = partial(lambda group, *_: used.append(group), group)
                hooks.append(layer.register_forward_pre_hook(note))
    try:
        place = next(model.parameters()).device
        model.eval()(torch.zeros(1, *model.pretrained_cfg["input_size"], device=place))
    finally:
        for hook in hooks:
            hook.remove()
        for each, training in modes:
            each.training = training
    return used


def _name(model: nn.Module) -> str:
    return model.pretrained_cfg.get("architecture") or type(model).__name__


def _paths(name: str) -> list[str]:
    """Return the paths that lead to a tensor, the shortest first: "a", "a.b", "a.b.weight"."""
    return list(accumulate(name.split("."), "{}.{}".format))
