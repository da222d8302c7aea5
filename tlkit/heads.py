"""Keep the source's classification layer and grow new layers on it, or replace it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tlkit.names import check_name

LAYERS = ("source", "random")
NORMS = ("none", "batchnorm", "l2")


@dataclass(frozen=True)
class Kept:
    """A head that keeps the source's classification layer: that layer, a norm, new layers.

    Shermin et al. 2019 keep it; their paper gives no sizes, so these are ours. `UnknownName` for
    a mistyped word, ValueError for a number out of range.
    """

    layer: str = "source"  # "random": a new one of the same size, the capacity-matched control
    trained: bool = True  # whether that layer learns; the new ones always do
    norm: str = "none"  # of its outputs: "batchnorm", or "l2": norm 1, times a learnt scale
    scale: float = 10.0  # where each channel's scale of "l2" starts (10 or 20 in Wang et al. 2017)
    new_layers: int = 2  # linear ones, with a ReLU between; the last gives the target's classes
    width: int = 256  # outputs of each new layer but the last

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(self.scale))  # equal runs have equal keys
        check_name("kept layer", self.layer, LAYERS)
        check_name("norm of a kept layer", self.norm, NORMS)
        for name in ("scale", "new_layers", "width"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Kept.{name} must be above 0, not {getattr(self, name)!r}")


class ScaledNorm(nn.Module):
    """Rows [n, channels] of Euclidean norm 1, times a learnt scale per channel.

    Source: Wang, Ramanan and Hebert 2017, "Growing a Brain", section 3.3.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.scale * F.normalize(rows)


def keep(model: nn.Module, kept: Kept, weights: Mapping[str, torch.Tensor] | None) -> None:
    """Put the source's classification layer, from `weights`, and new layers in the head's place.

    Draws the new layers first, so that both kinds of `kept.layer` grow the same ones.
    Raises ValueError where `weights` have no such layer, or the head is not a linear one.
    """
    path = model.pretrained_cfg["classifier"]
    head = model.get_submodule(path) if isinstance(path, str) else None
    if not isinstance(head, nn.Linear):
        raise ValueError(f"the head of {type(model).__name__} is not one linear layer to grow on")
    if weights is None or f"{path}.weight" not in weights:
        raise ValueError(f"the initial weights have no classification layer {path} to keep")
    units = len(weights[f"{path}.weight"])
    widths = [units] + [kept.width] * (kept.new_layers - 1)
    new: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:]):
        new += [nn.Linear(inputs, outputs), nn.ReLU()]
    new.append(nn.Linear(widths[-1], head.out_features))
    layer = nn.Linear(head.in_features, units)
    if kept.layer == "source":
        own = {name: weights[f"{path}.{name}"] for name, _ in layer.named_parameters()}
        layer.load_state_dict(own)
    layer.requires_grad_(kept.trained)
    norms = {"batchnorm": nn.BatchNorm1d(units), "l2": ScaledNorm(units, kept.scale)}
    norm = [norms[kept.norm]] if kept.norm in norms else []
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.Sequential(layer, *norm, *new))
