"""Augment a batch in one call, with a random draw for each image."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torchvision.transforms import v2


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Turn pixels of 0 … 255 [n, 3, h, w] into float inputs of a network, channels last."""
    scaled = (images.float() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    return scaled.contiguous(memory_format=torch.channels_last)


def augment(images: Tensor, kind: str, generator: Generator) -> Tensor:
    """Change float images in 0 … 255 [n, 3, h, w] at random, each in its own way.

    "none": no change.
    "crop": a random crop of 60 to 100 % of the side, zoomed to full size, and a flip.
    "colour": the same, with random brightness, contrast and saturation.
    "randaugment": torchvision's crops of 8 to 100 % of the area, flips, RandAugment with
    magnitude 9 of 10, and erasing in every second image. plested2021's rand-m9-mstd0.5-inc1 also
    varies the magnitude and skips at random. It draws from torch's global generator.
    """
    if kind == "randaugment":
        return _randaugment(images)
    if kind in ("crop", "colour"):
        images = _crop_and_flip(images, generator)
    return _colour(images, generator) if kind == "colour" else images


def mixup(
    inputs: tuple[Tensor, ...], targets: Tensor, share: float
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Mix `share` of each image with the rest of its opposite, the first with the last.

    `targets` [n, classes] are mixed alike. Source: Zhang et al. 2018, with one share per batch.
    """
    mixed = [tensor.flip(0).lerp(tensor, share) for tensor in (*inputs, targets)]
    return tuple(mixed[:-1]), mixed[-1]


def _randaugment(images: Tensor) -> Tensor:
    change = v2.Compose(
        [
            v2.RandomResizedCrop(images.shape[-2:], antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandAugment(magnitude=9, num_magnitude_bins=11),
            v2.ToDtype(torch.float32),
            v2.Normalize((127.5,) * 3, (64,) * 3),  # noise of variance 1 then fits the images
            v2.RandomErasing(p=0.5, value="random"),
            v2.Normalize((-127.5 / 64,) * 3, (1 / 64,) * 3),
        ]
    )
    return torch.stack([change(image) for image in images.to(torch.uint8)])


def _uniform(low: float, high: float, n: int, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def _crop_and_flip(images: Tensor, generator: Generator) -> Tensor:
    n = len(images)
    side = _uniform(0.6, 1.0, n, generator)
    flip = torch.randint(2, (n,), generator=generator) * 2 - 1
    room = 1 - side  # from the centre of the image to that of the crop at most, in half widths
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = side * flip
    theta[:, 1, 1] = side
    theta[:, 0, 2] = room * _uniform(-1, 1, n, generator)
    theta[:, 1, 2] = room * _uniform(-1, 1, n, generator)
    places = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, places, padding_mode="reflection", align_corners=False)


def _colour(images: Tensor, generator: Generator) -> Tensor:
    brightness, contrast, saturation = (
        _uniform(0.6, 1.4, len(images), generator).view(-1, 1, 1, 1).to(images.device)
        for _ in range(3)
    )
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = images.mean((1, 2, 3), keepdim=True)
    return ((mean + (images - mean) * contrast) * brightness).clamp(0, 255)
