"""Build a head that keeps the source's classification layer."""

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from tlkit.recipe import Head


class ScaledNorm(nn.Module):
    """Scale each row of [n, channels] to Euclidean norm 1, times a learnt factor per channel.

    Source: Wang, Ramanan and Hebert 2017, "Growing a Brain", section 3.3.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.scale * F.normalize(rows)


def grow(model: nn.Module, head: Head, weights: Mapping[str, torch.Tensor] | None) -> None:
    """Replace the head of `model` by the source's classification layer and new layers on top.

    `weights` are those of the source. The new layers are drawn first, so that they are the same
    for both kinds of `head.layer`. Raises ValueError if `weights` have no classification layer,
    or if the head of `model` is not one linear layer.
    """
    path = model.pretrained_cfg["classifier"]
    replaced = model.get_submodule(path) if isinstance(path, str) else None
    if not isinstance(replaced, nn.Linear):
        raise ValueError(f"the head of {type(model).__name__} is not one linear layer to grow on")
    if weights is None or f"{path}.weight" not in weights:
        raise ValueError(f"the initial weights have no classification layer {path} to keep")
    units = len(weights[f"{path}.weight"])
    widths = [units, *[head.width] * (head.new_layers - 1), replaced.out_features]
    new = [each for ends in pairwise(widths) for each in (nn.Linear(*ends), nn.ReLU())]
    layer = nn.Linear(replaced.in_features, units)
    if head.layer == "source":
        layer.load_state_dict({name: weights[f"{path}.{name}"] for name in ("weight", "bias")})
    layer.requires_grad_(head.trained)
    norms = {"batchnorm": [nn.BatchNorm1d(units)], "l2": [ScaledNorm(units, head.scale)]}
    parent, _, name = path.rpartition(".")
    grown = nn.Sequential(layer, *norms.get(head.norm, []), *new[:-1])
    setattr(model.get_submodule(parent), name, grown)
