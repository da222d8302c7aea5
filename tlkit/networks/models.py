"""Build any timm model, and read the weights that it starts from."""

from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from torch import nn

import tlkit.networks.small_xception  # noqa: F401  registers xception_small with timm
from tlkit.ground.names import check_name


def build(name: str, classes: int) -> nn.Module:
    """Build the timm model `name` with random weights and a new head for `classes` classes.

    Draws from torch's global generator: seed it, and every arm of a seed gets the same head.
    Raises `UnknownName` for a model that timm does not know, or for unknown weights after the
    dot in `name`.
    """
    check_name("model", name, [*timm.list_models(), *timm.list_models(pretrained=True)])
    return timm.create_model(name, num_classes=classes)


def with_source_head(name: str, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """Build the timm model `name` with all of `weights`, including the classification layer.

    Raises ValueError if `weights` lack that layer or any other tensor.
    """
    head = f"{timm.get_pretrained_cfg(name).classifier}.weight"
    if head not in weights:
        raise ValueError(f"these weights of {name} come without their classification layer {head}")
    with torch.random.fork_rng(devices=[]):  # the caller's next draws must not depend on this
        model = build(name, len(weights[head]))
    missing = model.load_state_dict(weights, strict=False).missing_keys
    missing = [tensor for tensor in missing if not tensor.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(
            f"the weights lack {len(missing)} tensors of {name}, such as {missing[0]}; "
            "give weights of this very model"
        )
    return model


def weights_file(init: str, model: str) -> Path | None:
    """Return the file that `init` means: a path, or "pretrained" if the kit has these weights."""
    card = timm.get_pretrained_cfg(model, allow_unregistered=True)
    path = Path(card.file if init == "pretrained" and card and card.file else init)
    return path if path.is_file() else None


def read_weights(init: str, model: str) -> dict[str, torch.Tensor]:
    """Read the state tensors of `model`: from a file, or for "pretrained" those of timm.

    Raises FileNotFoundError if they are neither here nor can be downloaded.
    """
    path = weights_file(init, model)
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
