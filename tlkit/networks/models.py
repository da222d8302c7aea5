"""Build any timm model at any size that it takes."""

from collections.abc import Mapping

import timm
import torch
from torch import nn

from tlkit.ground.alone import LOCK, alone
from tlkit.networks.modules import head_paths
from tlkit.networks.weights import check_model, read_weights, weights_file

__all__ = ["build", "read_weights", "resized", "weights_file", "with_source_head"]


def build(name: str, classes: int, size: int | None = None) -> nn.Module:
    """Build the timm model `name` with random weights and a new head for `classes` classes.

    With `size`, the model takes images of so many pixels. Draws from torch's global generator:
    seed it, and every arm of a seed gets the same head. Raises `UnknownName` for a model that
    timm does not know, or for unknown weights after the dot in `name`, and ValueError for a size
    that the model does not take.
    """
    check_model(name)
    with LOCK:
        before = torch.get_rng_state()
        model = timm.create_model(name, num_classes=classes)
        problem = _problem(model, size)
        if problem is not None:
            torch.set_rng_state(before)
            try:  # a transformer may be built for another size
                model = timm.create_model(name, num_classes=classes, img_size=size)
                again = _problem(model, size)
            except (TypeError, ValueError, AssertionError, RuntimeError, ZeroDivisionError):
                again = problem  # most models have no such argument
            if again is not None:
                raise ValueError(
                    f"{name} does not take images of {size} pixels ({again}); change Run.size: "
                    f"its weights are from images of {model.pretrained_cfg['input_size'][-1]}"
                ) from problem
            model.pretrained_cfg["input_size"] = (3, size, size)
        return model


@torch.no_grad()
def _problem(model: nn.Module, size: int | None) -> Exception | None:
    """Return what goes wrong with an image of this size, if anything does."""
    if size is None:
        return None
    was_training = model.training
    try:
        model.eval()(torch.zeros(1, 3, size, size))
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as problem:  # assertions and errors of many kinds, from the depths of timm
        return problem
    finally:
        model.train(was_training)
    return None


def with_source_head(
    name: str, weights: Mapping[str, torch.Tensor], size: int | None = None
) -> nn.Module:
    """Build the timm model `name` with all of `weights`, including the classification layer.

    Raises ValueError if `weights` lack that layer or any other tensor.
    """
    head = f"{timm.get_pretrained_cfg(name).classifier}.weight"
    if head not in weights:
        raise ValueError(f"these weights of {name} come without their classification layer {head}")
    with alone():  # the caller's next draws must not depend on this
        model = build(name, len(weights[head]), size)
    weights = resized(weights, model, name, size)
    missing = model.load_state_dict(weights, strict=False).missing_keys
    missing = [tensor for tensor in missing if not tensor.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(
            f"the weights lack {len(missing)} tensors of {name}, such as {missing[0]}; "
            "give weights of this very model"
        )
    return model


def resized(
    weights: Mapping[str, torch.Tensor], model: nn.Module, name: str, size: int | None
) -> Mapping[str, torch.Tensor]:
    """Return `weights` as timm fits them to the size of `model`: its position embeddings.

    Weights that fit already, and those that timm cannot fit, are returned as they are.
    """
    of_heads = tuple(f"{head}." for head in head_paths(model))
    fit = all(
        weights[tensor].shape == value.shape
        for tensor, value in model.state_dict().items()
        if tensor in weights and not tensor.startswith(of_heads)
    )
    if fit or size is None:
        return weights
    classes = len(weights.get(f"{of_heads[0]}weight", "?"))
    source = {"state_dict": dict(weights), "num_classes": classes, "source": "", "custom_load": 0}
    options = {"num_classes": classes, "img_size": size, "pretrained_cfg_overlay": source}
    try:
        with alone():
            state = timm.create_model(name, pretrained=True, **options).state_dict()
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError):
        return weights
    return {tensor: value for tensor, value in state.items() if tensor in weights}
