"""A small Xception for 32 to 128 pixels, registered with timm like any other model."""

from pathlib import Path

import torch
import torch.nn.functional as F
from timm.layers import create_classifier
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.xception import Block, SeparableConv2d, Xception
from torch import nn

from tlkit.ground.paths import SHIPPED

__all__ = ["SmallXception"]  # timm adds the names of registered models

WEIGHTS = SHIPPED / "weights" / "xception_small.safetensors"
FISHER = SHIPPED / "weights" / "xception_small_fisher.safetensors"  # on the source images
SMALLER = ((50, 98), (50, 390), (200, 98), (200, 390))  # classes, images of each; fewer steps


def weights_of(classes: int, images: int) -> Path:
    """Return the weights file of one of the `SMALLER` sources."""
    return SHIPPED / "weights" / f"xception_small_{classes}x{images}.safetensors"


class Pointwise(nn.Conv2d):
    """A 1 × 1 convolution as a matrix product: on small maps it takes half the time."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return F.linear(maps.movedim(1, -1), self.weight.flatten(1)).movedim(-1, 1)


class Padded(nn.Conv2d):
    """A 3 × 3 convolution that pads first: oneDNN is slow if it has to pad 2 × 2 maps itself."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(maps, (1, 1, 1, 1)))


class SmallXception(Xception):
    """Xception's 14 modules and 36 convolutions (Chollet 2017, Figure 5) with narrow channels.

    Input `[n, 3, size, size]`, scaled to -1 … 1; output logits `[n, num_classes]`. Unlike the
    original, the stem is padded, and its second convolution is as narrow as its first. The
    forward pass, the grouping and the classifier are timm's.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        nn.Module.__init__(self)  # timm's own constructor would build the wide layers
        self.num_classes, self.in_chans, self.drop_rate = num_classes, in_chans, drop_rate
        self.num_features = 256

        self.conv1 = nn.Conv2d(in_chans, 16, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.act2 = nn.ReLU(inplace=True)

        self.block1 = Block(16, 16, 2, 2, start_with_relu=False)
        self.block2 = Block(16, 32, 2, 2)
        self.block3 = Block(32, 96, 2, 2)
        for number in range(4, 12):
            self.add_module(f"block{number}", Block(96, 96, 3, 1))
        self.block12 = Block(96, 128, 2, 2, grow_first=False)

        self.conv3 = SeparableConv2d(128, 192, 3, 1, 1)
        self.bn3 = nn.BatchNorm2d(192)
        self.act3 = nn.ReLU(inplace=True)
        self.conv4 = SeparableConv2d(192, self.num_features, 3, 1, 1)
        self.bn4 = nn.BatchNorm2d(self.num_features)
        self.act4 = nn.ReLU(inplace=True)

        self.global_pool, self.fc = create_classifier(
            self.num_features, num_classes, pool_type=global_pool
        )
        self.head_hidden_size = self.num_features
        for separable in (self.conv3, self.conv4):
            channels = separable.conv1.in_channels
            separable.conv1 = Padded(channels, channels, 3, groups=channels, bias=False)
        for separable in [m for m in self.modules() if isinstance(m, SeparableConv2d)]:
            one = separable.pointwise
            separable.pointwise = Pointwise(one.in_channels, one.out_channels, 1, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _card(file: Path, classes: int) -> dict:
    return {
        "file": str(file),
        "num_classes": classes,
        "input_size": (3, 48, 48),
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "first_conv": "conv1",
        "classifier": "fc",
        "license": "mit",
    }


cards = {"drawn": _card(WEIGHTS, 200)}  # the first is timm's default
cards |= {f"drawn_{n}x{images}": _card(weights_of(n, images), n) for n, images in SMALLER}
default_cfgs = generate_default_cfgs({f"xception_small.{tag}": cards[tag] for tag in cards})


@register_model
def xception_small(pretrained: bool = False, **kwargs: object) -> SmallXception:
    """Build the small Xception; `pretrained=True` loads the weights of the drawn source.

    The weights of `xception_small.drawn_50x98` are from 50 classes with 98 images each.
    """
    return build_model_with_cfg(SmallXception, "xception_small", pretrained, **kwargs)
