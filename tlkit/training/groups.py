"""Group the parameters that the optimizer treats alike: same learning rate, same weight decay."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

from timm.optim import param_groups_weight_decay
from torch import nn

from tlkit.networks.modules import Modules
from tlkit.recipe import Run


def parameter_groups(model: nn.Module, row: Modules, run: Run) -> list[dict]:
    """Return parameter groups for timm's optimizers, whose schedulers multiply by `lr_scale`.

    `row` are the modules of `model`. Raises `UnknownName` for a module of `run.lr_scales` that
    it does not have, ValueError for modules that do not ascend.
    """
    ends = [row.count(until) for until, _ in run.lr_scales]
    if ends != sorted(set(ends)):
        raise ValueError(f"the modules of Run.lr_scales must ascend from the input: {ends}")
    scales = [scale for _, scale in run.lr_scales] + [1.0]
    parts, decaying = part_numbers(model, row, ends), parameters_with_decay(model)
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = run.decay() if parameter in decaying else 0.0
            groups[decay, scales[parts[name]]].append(parameter)
    return [
        {"params": alike, "weight_decay": decay, "lr_scale": scale}
        for (decay, scale), alike in groups.items()
    ]


def part_numbers(model: nn.Module, row: Modules, ends: Sequence[int]) -> dict[str, int]:
    """Return the part that each parameter lies in, if parts end after so many modules.

    The head comes after the last module. Parts are counted from 0; what comes after the last
    end has the number `len(ends)`.
    """
    modules, head = row.numbers(), len(row)
    names = [name for name, _ in model.named_parameters()]
    return {name: bisect_right(ends, modules.get(name, head)) for name in names}


def parameters_with_decay(model: nn.Module) -> set[nn.Parameter]:
    """Return the trained parameters that weight decay acts on: no biases and no BN.

    The model itself may exclude more, such as its position embeddings.
    """
    exempt = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    groups = param_groups_weight_decay(model, 1.0, no_weight_decay_list=exempt)
    return {each for group in groups if group["weight_decay"] for each in group["params"]}
