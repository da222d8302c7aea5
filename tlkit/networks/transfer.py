"""Transfer some state tensors of a network, and freeze some."""

from collections.abc import Collection, Mapping
from functools import partial

import torch
from torch import nn

from tlkit.ground.names import check_name, unknown


def transfer(model: nn.Module, weights: Mapping[str, torch.Tensor], names: Collection[str]) -> None:
    """Copy the named state tensors from `weights`; leave all others of `model` as they are.

    `modules(model).first(4)` are the names of the first four modules. Raises ValueError if
    `weights` lack one of the tensors, or have it in another shape.
    """
    state = model.state_dict()
    _check_tensors(names, state)
    wrong = [
        name
        for name in names
        if (name not in weights or weights[name].shape != state[name].shape)
        # Some files leave out the step counter of batch normalisation. Nothing depends on it.
        and not name.endswith("num_batches_tracked")
    ]
    if wrong:
        raise ValueError(
            f"the weights do not fit {len(wrong)} of the {len(names)} tensors to transfer, such "
            f"as {wrong[0]}; transfer fewer modules, or give weights of this very model"
        )
    model.load_state_dict({name: weights[name] for name in names if name in weights}, strict=False)


def freeze(model: nn.Module, names: Collection[str], batch_norm: str = "eval") -> None:
    """Freeze the named state tensors: no gradient, and eval mode even after `model.train()`.

    `modules(model).first("entry")` are the names of an Xception's entry flow. With
    `batch_norm="drift"` the frozen layers stay in training mode, a common mistake: the weights
    do not change, but batch normalisation uses the batch, and its running statistics move.
    """
    check_name("batch_norm", batch_norm, ("eval", "drift"))
    _check_tensors(names, model.state_dict())
    frozen = set(names)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for module in model.modules():
        vars(module).pop("train", None)  # undo an earlier call
    if batch_norm == "drift":
        return
    for path, module in model.named_modules():
        states = [f"{path}.{name}" if path else name for name in module.state_dict()]
        if states and frozen.issuperset(states):
            module.eval()
            module.train = partial(_stay_in_eval, module)


def _check_tensors(names: Collection[str], state: Mapping[str, torch.Tensor]) -> None:
    if isinstance(names, str) or not isinstance(names, Collection):
        raise ValueError(f"give a list of names, such as modules(model).first(4), not {names!r}")
    for name in set(names) - state.keys():
        raise unknown("state tensor", name, state)


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    return module
