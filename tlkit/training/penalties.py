"""Pull the weights: L2, L2-SP and L2-SP-Fisher; `recipe.Pull` has the formula."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tlkit.networks.modules import Modules
from tlkit.recipe import Pull
from tlkit.training.groups import parameters_with_decay, part_numbers

# From the inputs of a step: a factor for each parameter, a number or a tensor of its shape.
Factors = Callable[[tuple[Tensor, ...]], Sequence[Tensor]]


@dataclass
class Term:
    """One term of a penalty: the parameters that a `Pull` acts on."""

    strength: float
    parameters: list[nn.Parameter]
    origins: list[Tensor] | None  # None: zero
    factors: Factors | None  # the F of each parameter; None: 1
    last: Sequence[Tensor] | None = None  # factors of the last step

    def differences(self) -> Sequence[Tensor]:
        if self.origins is None:
            return self.parameters
        return torch._foreach_sub(self.parameters, self.origins)


@dataclass
class Penalty:
    """All pulls of a run: their value, and their gradient without a graph."""

    terms: list[Term]

    @torch.no_grad()
    def value(self) -> float:
        """Return the penalty with the factors of the last step (nats, like the loss)."""
        total = 0.0
        for term in self.terms:
            squares = [difference.square() for difference in term.differences()]
            if term.last is not None:
                squares = [square * factor for square, factor in zip(squares, term.last)]
            total += term.strength / 2 * sum(square.sum().item() for square in squares)
        return total

    @torch.no_grad()
    def add_gradients(self, inputs: tuple[Tensor, ...]) -> None:
        """Add the penalty's gradient to that of each parameter; `inputs` are those of the step."""
        for term in self.terms:
            pulls = term.differences()
            if term.factors is not None:
                term.last = term.factors(inputs)
                pulls = torch._foreach_mul(pulls, term.last)
            gradients = [parameter.grad for parameter in term.parameters]
            torch._foreach_add_(gradients, pulls, alpha=term.strength)


def attach(
    model: nn.Module,
    row: Modules,
    pulls: Sequence[Pull],
    transferred: int,
    fisher: Callable[[str, list[str]], Factors | None],
) -> Penalty:
    """Return the penalty on the trained parameters of `model`, which stands at its start.

    `transferred` is the number of modules that were transferred. `fisher(kind, names)` gives the
    factors of the named parameters. Raises ValueError for pulls that overlap, or that go towards
    a random start.
    """
    terms = []
    for pull, share in zip(pulls, _shares(model, row, pulls, transferred)):
        if share:
            values = list(share.values())
            origins = None if pull.towards == "zero" else [each.detach().clone() for each in values]
            terms.append(Term(pull.strength, values, origins, fisher(pull.fisher, list(share))))
    return Penalty(terms)


def _shares(
    model: nn.Module, row: Modules, pulls: Sequence[Pull], transferred: int
) -> list[dict[str, nn.Parameter]]:
    """Return the parameters that each pull acts on, by name."""
    special = {"transferred": transferred, "head": len(row) + 1}
    ends = [special[p.until] if p.until in special else row.count(p.until) for p in pulls]
    for pull, before, end in zip(pulls, [0, *ends], ends):
        if end <= before:
            raise ValueError(f"{pull} ends after {end} modules, the one before it after {before}")
        if pull.towards == "start" and end > transferred:
            raise ValueError(
                f"{pull} ends after {end} modules, but only {transferred} are transferred; the "
                "others start at random: let it end at 'transferred'"
            )
    shares: list[dict[str, nn.Parameter]] = [{} for _ in pulls]
    parts, decaying = part_numbers(model, row, ends), parameters_with_decay(model)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parts[name] < len(pulls):
            pull = pulls[parts[name]]
            if pull.parameters == "all" or parameter in decaying:
                shares[parts[name]][name] = parameter
    return shares
