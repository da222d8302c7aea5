"""Any timm model as a row of modules: transfer the first k, freeze a prefix, replace the head."""

from collections import Counter
from collections.abc import Mapping
from functools import cache, partial
from itertools import accumulate
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from timm.models._manipulate import group_with_matcher  # timm exports no public name for states
from timm.models.xception import Xception
from torch import nn

import tlkit.xception  # noqa: F401  registers xception_small with timm
from tlkit.names import check_name

FLOWS = {"entry": 4, "middle": 12}  # modules up to the end of Xception's flows (of 14)


def build(name: str, classes: int) -> nn.Module:
    """The timm model `name` with random weights and a new head for `classes` classes.

    Draws from torch's global generator: seed it, and every arm of a seed gets the same head.
    Raises `UnknownName` for a model, or weights of it after the dot, that timm does not know.
    """
    if name not in _known():
        _known.cache_clear()  # registered only now?
        check_name("model", name, _known())
    return timm.create_model(name, num_classes=classes)


@cache  # a sweep asks for every run
def _known() -> frozenset[str]:
    return frozenset([*timm.list_models(), *timm.list_models(pretrained=True)])


def with_source_head(name: str, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """The timm model `name` with all of `weights`, the source's classification layer included.

    Raises ValueError where that layer, or any other tensor, is not among them.
    """
    head = f"{timm.get_pretrained_cfg(name).classifier}.weight"
    if head not in weights:
        raise ValueError(f"these weights of {name} come without their classification layer {head}")
    with torch.random.fork_rng(devices=[]):  # the caller's next draws are not to depend on this
        model = build(name, len(weights[head]))
    missing = model.load_state_dict(weights, strict=False).missing_keys
    missing = [each for each in missing if not each.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(f"{len(missing)} tensors of {name} are not among the weights, such as "
                         f"{missing[0]}; give weights of this very model")
    return model


def module_states(model: nn.Module) -> dict[str, list[str]]:
    """Ordered modules from input to head, by timm's own grouping: name -> its state tensors.

    The head (classifier) is not among them. A module is named by the path of its first layer,
    as short as it can be: `block3`, `layer2.0`, `conv1` for a stem of several layers.
    """
    head = model.pretrained_cfg["classifier"]
    heads = (head,) if isinstance(head, str) else tuple(head)
    body = [
        (name, None) for name in model.state_dict()
        if not name.startswith(tuple(f"{head}." for head in heads))
    ]
    groups = group_with_matcher(body, model.group_matcher())
    modules = [names for _, names in sorted(groups.items())]
    users = Counter(path for names in modules for path in set().union(*map(_paths, names)))
    return {next(p for p in _paths(names[0]) if users[p] == 1): names for names in modules}


def module_numbers(model: nn.Module) -> dict[str, int]:
    """Which module each state tensor belongs to, counted from 0; the head is the last number."""
    modules = list(module_states(model).values())
    numbers = {name: number for number, names in enumerate(modules) for name in names}
    return {name: numbers.get(name, len(modules)) for name in model.state_dict()}


def exempt(model: nn.Module) -> set[str]:
    """Parameters that the model itself wants no weight decay on, such as a position embedding."""
    return set(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else set()


def undecayed(model: nn.Module) -> set[str]:
    """Parameters that weight decay leaves alone: biases, BN, and what the model itself names."""
    thin = {name for name, parameter in model.named_parameters() if parameter.ndim < 2}
    return thin | exempt(model)


def _paths(name: str) -> list[str]:
    """The paths that lead to a tensor, the shortest first: "a", "a.b", "a.b.weight"."""
    return list(accumulate(name.split("."), "{}.{}".format))


def count_modules(model: nn.Module, until: int | str) -> int:
    """How many modules, counted from the input, `until` means.

    `until` is a number, "none", "all", the name of the last module, or for an Xception the name
    of its last flow: "entry" (4 of 14 modules) or "middle" (12 of 14: entry and middle flow).
    """
    names = list(module_states(model))
    if isinstance(until, int):
        if not 0 <= until <= len(names):
            raise ValueError(f"{until} modules asked for; this model has 0 to {len(names)}")
        return until
    flows = FLOWS if isinstance(model, Xception) else {}
    counts = {"none": 0} | {name: i + 1 for i, name in enumerate(names)} | flows
    counts["all"] = len(names)
    check_name("module", until, counts)
    return counts[until]


def transfer(model: nn.Module, weights: Mapping[str, torch.Tensor], count: int) -> None:
    """Copy the first `count` modules from `weights`; the rest and the head stay as they are.

    Raises ValueError when `weights` lacks a tensor of a transferred module, or has another shape.
    """
    state = model.state_dict()
    transferred = [name for names in list(module_states(model).values())[:count] for name in names]
    unfit = [
        name for name in transferred
        if name not in weights or weights[name].shape != state[name].shape
    ]
    # Weights saved without BN's step counter are whole all the same.
    unfit = [name for name in unfit if not name.endswith("num_batches_tracked")]
    if unfit:
        raise ValueError(
            f"the weights do not fit {len(unfit)} tensors of the first {count} modules, such as "
            f"{unfit[0]}; transfer fewer modules, or give weights of this very model"
        )
    with torch.no_grad():
        for name in transferred:
            if name in weights:
                state[name].copy_(weights[name])


def freeze(model: nn.Module, count: int, batch_norm: str = "eval") -> None:
    """Freeze the first `count` modules: no gradient, and eval mode that `train()` cannot end.

    `batch_norm="drift"` leaves them in training mode instead, the common mistake: the weights
    stand still, but BN normalises by the batch and its running statistics move.
    """
    frozen = {name for names in list(module_states(model).values())[:count] for name in names}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for module in model.modules():
        vars(module).pop("train", None)  # what an earlier call has frozen
    if batch_norm == "drift":
        return
    for path, module in model.named_modules():
        states = [f"{path}.{name}" if path else name for name in module.state_dict()]
        if states and frozen.issuperset(states):
            module.eval()
            module.train = partial(_stay_in_eval, module)


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


def weights_file(init: str, model: str) -> Path | None:
    """The file that `init` stands for: a path, or "pretrained" where that comes with the kit."""
    card = timm.get_pretrained_cfg(model, allow_unregistered=True)
    path = Path(card.file if init == "pretrained" and card and card.file else init)
    return path if path.is_file() else None


def read_weights(init: str, model: str) -> dict[str, torch.Tensor]:
    """State tensors of `model`: "pretrained" (timm's for that name) or the path of a file.

    Raises FileNotFoundError with the remedy when they are neither here nor to be downloaded.
    """
    path = weights_file(init, model)
    if path is not None and path.suffix == ".safetensors":
        return load_file(path)
    if path is not None:
        return timm.models.load_state_dict(path)
    if init != "pretrained":
        raise FileNotFoundError(f"no weights at {Path(init).resolve()}; init is 'random', "
                                "'pretrained', a file or a Run")
    try:
        return timm.create_model(model, pretrained=True).state_dict()
    except (OSError, RuntimeError) as problem:
        raise FileNotFoundError(
            f"no pretrained weights for {model} here ({problem}); connect to the network "
            f"once, or give init=<path of a .safetensors or .pth file>"
        ) from problem
