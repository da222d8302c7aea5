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
SMALLER = ((50, 98), (50, 390), (200, 98), (200, 390))  # classes and images of each, other sources


def weights_of(classes: int, images: int) -> Path:
    """Where the weights learnt on a smaller source, or for fewer steps, are shipped."""
    return SHIPPED / "weights" / f"xception_small_{classes}x{images}.safetensors"


class Pointwise(nn.Conv2d):
    """A 1 × 1 convolution as the matrix product that it is: on small maps half the time."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return F.linear(maps.movedim(1, -1), self.weight.flatten(1)).movedim(-1, 1)


class Padded(nn.Conv2d):
    """A 3 × 3 convolution that pads first: left to itself, oneDNN takes long for 2 × 2 maps."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(maps, (1, 1, 1, 1)))


class SmallXception(Xception):
    """Xception's 14 modules and 36 convolutions (Chollet 2017, Figure 5) with narrow channels.

    Input `[n, 3, size, size]`, scaled to -1 … 1; output logits `[n, num_classes]`. Unlike the
    original, the stem is padded and its second convolution is not wider than its first. All but
    the layers is inherited from timm: forward, grouping, classifier.
    """

    def __init__(
        self, num_classes: int = 1000, in_chans: int = 3, drop_rate: float = 0.0,
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
        self.apply(_initialise)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _card(file: Path, classes: int) -> dict:
    return dict(
        file=str(file), num_classes=classes, input_size=(3, 48, 48), pool_size=(2, 2),
        mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), first_conv="conv1", classifier="fc",
        license="mit",
    )


default_cfgs = generate_default_cfgs({"xception_small.drawn": _card(WEIGHTS, 200)} | {
    f"xception_small.drawn_{classes}x{images}": _card(weights_of(classes, images), classes)
    for classes, images in SMALLER
})


@register_model
def xception_small(pretrained: bool = False, **kwargs: object) -> SmallXception:
    """The small Xception; `pretrained=True` loads the weights learnt on the drawn source.

    `xception_small.drawn_50x98` has those of a source of 50 classes with 98 images each.
    """
    return build_model_with_cfg(SmallXception, "xception_small", pretrained, **kwargs)
