"""Build any timm model, and read the weights that it starts from."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from torch import nn

import tlkit.networks.small_xception  # noqa: F401  registers xception_small with timm
from tlkit.ground.names import check_name


def build(name: str, classes: int) -> nn.Module:
    """Build the timm model `name` with random weights and a new head for `classes` classes.

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
    """Build the timm model `name` with all of `weights`, the source's classification layer too.

    Raises ValueError where that layer, or any other tensor, is not among them.
    """
    head = f"{timm.get_pretrained_cfg(name).classifier}.weight"
    if head not in weights:
        raise ValueError(f"these weights of {name} come without their classification layer {head}")
    with torch.random.fork_rng(devices=[]):  # the caller's next draws must not depend on this
        model = build(name, len(weights[head]))
    missing = model.load_state_dict(weights, strict=False).missing_keys
    missing = [each for each in missing if not each.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(
            f"{len(missing)} tensors of {name} are not among the weights, such as "
            f"{missing[0]}; give weights of this very model"
        )
    return model


def weights_file(init: str, model: str) -> Path | None:
    """Return the file that `init` means: a path, or "pretrained" where the kit has the weights."""
    card = timm.get_pretrained_cfg(model, allow_unregistered=True)
    path = Path(card.file if init == "pretrained" and card and card.file else init)
    return path if path.is_file() else None


def read_weights(init: str, model: str) -> dict[str, torch.Tensor]:
    """Read the state tensors of `model`: "pretrained" (timm's for that name) or those of a file.

    Raises FileNotFoundError with the remedy when they are not here and cannot be downloaded.
    """
    path = weights_file(init, model)
    if path is not None and path.suffix == ".safetensors":
        return load_file(path)
    if path is not None:
        return timm.models.load_state_dict(path)
    if init != "pretrained":
        raise FileNotFoundError(
            f"no weights at {Path(init).resolve()}; init is 'random', 'pretrained', a file or a Run"
        )
    try:
        return timm.create_model(model, pretrained=True).state_dict()
    except (OSError, RuntimeError) as problem:
        raise FileNotFoundError(
            f"no pretrained weights for {model} here ({problem}); connect to the network "
            f"once, or give init=<path of a .safetensors or .pth file>"
        ) from problem
