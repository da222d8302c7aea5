"""Which parameters the optimizer treats alike: their learning rate and their weight decay."""

from bisect import bisect_right

from timm.optim import param_groups_weight_decay
from torch import nn

from tlkit.models import count_modules, exempt, module_numbers
from tlkit.runs import Run


def parameter_groups(model: nn.Module, run: Run) -> list[dict]:
    """Parameter groups for timm's optimizers, whose schedulers multiply by each `lr_scale`.

    Raises ValueError for `run.lr_scales` whose modules do not ascend, and `UnknownName`.
    """
    ends = [count_modules(model, until) for until, _ in run.lr_scales]
    if ends != sorted(set(ends)):
        raise ValueError(f"the modules of Run.lr_scales must ascend from the input: {ends}")
    scales = [scale for _, scale in run.lr_scales] + [1.0]
    numbers = module_numbers(model)
    scale_of = {
        parameter: scales[bisect_right(ends, numbers[name])]
        for name, parameter in model.named_parameters()
    }
    groups, own = [], exempt(model)  # timm exempts biases and BN by itself
    for decayed in param_groups_weight_decay(model, run.decay(), no_weight_decay_list=own):
        for scale in dict.fromkeys(scales):
            alike = [each for each in decayed["params"] if scale_of[each] == scale]
            groups.append(decayed | {"params": alike, "lr_scale": scale})
    return groups
