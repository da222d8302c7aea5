"""Which parameters the optimizer treats alike: their learning rate and their weight decay."""

from bisect import bisect_right

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
    numbers, head = row.numbers(), len(row)
    scale_of = {
        parameter: scales[bisect_right(ends, numbers.get(name, head))]
        for name, parameter in model.named_parameters()
    }
    groups, own = [], exempt(model)  # timm exempts biases and BN by itself
    for decayed in param_groups_weight_decay(model, run.decay(), no_weight_decay_list=own):
        for scale in dict.fromkeys(scales):
            alike = [each for each in decayed["params"] if scale_of[each] == scale]
            groups.append(decayed | {"params": alike, "lr_scale": scale})
    return groups


def exempt(model: nn.Module) -> set[str]:
    """Name the parameters that the model itself wants no weight decay on (position embeddings)."""
    return set(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else set()


def undecayed(model: nn.Module) -> set[str]:
    """Name the parameters without weight decay: biases, BN, and what the model itself names."""
    thin = {name for name, parameter in model.named_parameters() if parameter.ndim < 2}
    return thin | exempt(model)
