"""Where a penalty pulls the weights: L2, L2-SP, L2-SP-Fisher, and their combinations.

Source: Li, Grandvalet and Davoine 2018, "Explicit inductive bias for transfer learning with
convolutional networks", equations 1 to 4.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tlkit.networks.modules import Modules
from tlkit.recipe import Pull
from tlkit.training.groups import undecayed

Rescale = Callable[[tuple[torch.Tensor, ...]], list[torch.Tensor]]


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
    model: nn.Module, row: Modules, pulls: Sequence[Pull], transferred: int,
    fisher: Callable[[str, list[str]], tuple[list[torch.Tensor] | None, Rescale | None]],
) -> Penalty:
    """The penalty on the trained parameters of `model`, which stands at its starting point.

    `fisher(which, names)` gives the scales of those parameters, or how to compute them at every
    step. Raises ValueError for pulls that overlap, or towards a start that is only random.
    """
    groups = []
    for pull, parameters in _shares(model, row, pulls, transferred):
        names, values = list(parameters), list(parameters.values())
        origins = None if pull.towards == "zero" else [each.detach().clone() for each in values]
        scales, rescale = fisher(pull.fisher, names)
        if scales is not None:
            scales = [scale.to(value.device) for scale, value in zip(scales, values)]
        groups.append(Pulled(pull, values, origins, scales, rescale))
    return Penalty(groups)


def _shares(
    model: nn.Module, row: Modules, pulls: Sequence[Pull], transferred: int
) -> Iterator[tuple[Pull, Mapping[str, nn.Parameter]]]:
    numbers, head = row.numbers(), len(row)
    known = {"transferred": transferred, "head": head + 1}
    ends = [known[p.until] if p.until in known else row.count(p.until) for p in pulls]
    for pull, before, end in zip(pulls, [0, *ends], ends):
        if end <= before:
            raise ValueError(f"no module is left for {pull}: it ends at {end}, of {transferred} "
                             f"transferred ones, and those before it reach to {before}")
        if pull.towards == "start" and end > transferred:
            raise ValueError(f"{pull} reaches beyond the {transferred} transferred modules, "
                             "to weights that start at random; let it end at 'transferred'")
    shares, exempt = [{} for _ in pulls], undecayed(model)
    for name, parameter in model.named_parameters():
        share = bisect_right(ends, numbers.get(name, head))
        if share < len(pulls) and parameter.requires_grad:
            if pulls[share].parameters == "all" or name not in exempt:
                shares[share][name] = parameter
    yield from ((pull, share) for pull, share in zip(pulls, shares) if share)
