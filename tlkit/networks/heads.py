"""Grow a head on the source's classification layer."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from tlkit.recipe import Head


class ScaledNorm(nn.Module):
    """Rows [n, channels] of Euclidean norm 1, times a learnt scale per channel.

    Source: Wang, Ramanan and Hebert 2017, "Growing a Brain", section 3.3.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.scale * F.normalize(rows)


def grow(model: nn.Module, head: Head, weights: Mapping[str, torch.Tensor] | None) -> None:
    """Put the source's classification layer, from `weights`, and new layers in the head's place.

    Draws the new layers first, so that both kinds of `head.layer` grow the same ones.
    Raises ValueError where `weights` have no such layer, or the head is not a linear one.
    """
    path = model.pretrained_cfg["classifier"]
    new_layer = model.get_submodule(path) if isinstance(path, str) else None
    if not isinstance(new_layer, nn.Linear):
        raise ValueError(f"the head of {type(model).__name__} is not one linear layer to grow on")
    if weights is None or f"{path}.weight" not in weights:
        raise ValueError(f"the initial weights have no classification layer {path} to keep")
    units = len(weights[f"{path}.weight"])
    widths = [units] + [head.width] * (head.new_layers - 1)
    new: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:]):
        new += [nn.Linear(inputs, outputs), nn.ReLU()]
    new.append(nn.Linear(widths[-1], new_layer.out_features))
    layer = nn.Linear(new_layer.in_features, units)
    if head.layer == "source":
        own = {name: weights[f"{path}.{name}"] for name, _ in layer.named_parameters()}
        layer.load_state_dict(own)
    layer.requires_grad_(head.trained)
    norms = {"batchnorm": nn.BatchNorm1d(units), "l2": ScaledNorm(units, head.scale)}
    norm = [norms[head.norm]] if head.norm in norms else []
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.Sequential(layer, *norm, *new))
