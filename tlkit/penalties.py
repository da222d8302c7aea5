"""Where a penalty pulls the weights: L2, L2-SP, L2-SP-Fisher, and their combinations.

Source: Li, Grandvalet and Davoine 2018, "Explicit inductive bias for transfer learning with
convolutional networks", equations 1 to 4.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tlkit.models import count_modules, module_numbers, undecayed
from tlkit.names import check_name

PARAMETERS = ("weights", "all")
FISHERS = ("", "source", "target", "as coded")
Rescale = Callable[[tuple[torch.Tensor, ...]], list[torch.Tensor]]


@dataclass(frozen=True)
class Pull:
    """A penalty of strength/2 · Σ F (w − origin)² on some modules; made by `l2` and `l2_sp`."""

    towards: str  # "zero", or "start": the value after the transfer
    strength: float
    until: int | str  # the last module; the first follows on the pull before
    parameters: str = "weights"  # what weight decay is for; "all": biases and BN too
    fisher: str = ""  # the F above: 1, or the diagonal Fisher information; see `tlkit.fisher`

    def __post_init__(self) -> None:
        check_name("parameters of a penalty", self.parameters, PARAMETERS)
        check_name("Fisher information of a penalty", self.fisher, FISHERS)
        object.__setattr__(self, "strength", float(self.strength))
        if not self.strength >= 0:
            raise ValueError(f"a penalty's strength must not be negative: {self.strength!r}")


def l2(
    strength: float, until: int | str = "head", parameters: str = "weights"
) -> tuple[Pull, ...]:
    """Towards zero, up to the module `until`; "head" is the end, "transferred" the last old one."""
    return (Pull("zero", strength, until, parameters),)


def l2_sp(
    strength: float, until: int | str = "transferred", parameters: str = "weights",
    fisher: str = "",
) -> tuple[Pull, ...]:
    """Towards the starting point; `fisher` is "source", "target" or "as coded" (by vuong2022).

    Penalties are added up from the input to the head. The paper's α = 0.1 on the transferred
    weights with αβ = 0.01 on the new ones is `l2_sp(0.1) + l2(0.01)`; plested2021's L2-SP below
    and L2 above is `l2_sp(0.02, until="entry") + l2(0.0005)`.
    """
    return (Pull("start", strength, until, parameters, fisher),)


@dataclass
class Pulled:
    """The parameters that one `Pull` acts on."""

    pull: Pull
    parameters: list[nn.Parameter]
    origins: list[torch.Tensor] | None  # None: zero
    scales: list[torch.Tensor] | None  # the F of each parameter; None: 1
    rescale: Rescale | None  # where F is computed anew from the inputs of every step

    def differences(self) -> Sequence[torch.Tensor]:
        if self.origins is None:
            return self.parameters
        return torch._foreach_sub(self.parameters, self.origins)


class Penalty:
    """All pulls of a run: their value, and their gradient without a graph."""

    def __init__(self, groups: list[Pulled]) -> None:
        self.groups = groups

    @torch.no_grad()
    def value(self) -> float:
        """The penalty as it stands now (nats, like the loss that it is added to)."""
        total = 0.0
        for group in self.groups:
            squares = [difference.square() for difference in group.differences()]
            if group.scales is not None:
                squares = [square * scale for square, scale in zip(squares, group.scales)]
            total += group.pull.strength / 2 * sum(square.sum().item() for square in squares)
        return total

    @torch.no_grad()
    def add_gradients(self, inputs: tuple[torch.Tensor, ...]) -> None:
        """Add the penalty's gradient to that of every parameter; `inputs` are the step's."""
        for group in self.groups:
            if group.rescale is not None:
                group.scales = group.rescale(inputs)
            pulls = group.differences()
            if group.scales is not None:
                pulls = torch._foreach_mul(pulls, group.scales)
            gradients = [parameter.grad for parameter in group.parameters]
            torch._foreach_add_(gradients, pulls, alpha=group.pull.strength)


def attach(
    model: nn.Module, pulls: Sequence[Pull], transferred: int,
    fisher: Callable[[str, list[str]], tuple[list[torch.Tensor] | None, Rescale | None]],
) -> Penalty:
    """The penalty on the trained parameters of `model`, which stands at its starting point.

    `fisher(which, names)` gives the scales of those parameters, or how to compute them at every
    step. Raises ValueError for pulls that overlap, or towards a start that is only random.
    """
    groups = []
    for pull, parameters in _shares(model, pulls, transferred):
        names, values = list(parameters), list(parameters.values())
        origins = None if pull.towards == "zero" else [each.detach().clone() for each in values]
        scales, rescale = fisher(pull.fisher, names)
        if scales is not None:
            scales = [scale.to(value.device) for scale, value in zip(scales, values)]
        groups.append(Pulled(pull, values, origins, scales, rescale))
    return Penalty(groups)


def _shares(
    model: nn.Module, pulls: Sequence[Pull], transferred: int
) -> Iterator[tuple[Pull, Mapping[str, nn.Parameter]]]:
    numbers = module_numbers(model)
    known = {"transferred": transferred, "head": max(numbers.values()) + 1}
    ends = [known[p.until] if p.until in known else count_modules(model, p.until) for p in pulls]
    for pull, before, end in zip(pulls, [0, *ends], ends):
        if end <= before:
            raise ValueError(f"no module is left for {pull}: it ends at {end}, of {transferred} "
                             f"transferred ones, and those before it reach to {before}")
        if pull.towards == "start" and end > transferred:
            raise ValueError(f"{pull} reaches beyond the {transferred} transferred modules, "
                             "to weights that start at random; let it end at 'transferred'")
    shares, exempt = [{} for _ in pulls], undecayed(model)
    for name, parameter in model.named_parameters():
        share = bisect_right(ends, numbers[name])
        if share < len(pulls) and parameter.requires_grad:
            if pulls[share].parameters == "all" or name not in exempt:
                shares[share][name] = parameter
    yield from ((pull, share) for pull, share in zip(pulls, shares) if share)
