"""Batched augmentation: every image of a batch gets its own draw, at the cost of one call."""

import torch
import torch.nn.functional as F
from torchvision.transforms import v2


def normalise(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """uint8 [n, 3, h, w] to float, as the weights expect it, channels last."""
    scaled = (images.float() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    return scaled.contiguous(memory_format=torch.channels_last)


def augment(images: torch.Tensor, kind: str, generator: torch.Generator) -> torch.Tensor:
    """Float images in 0 … 255 [n, 3, h, w], changed as `kind` says, one draw per image.

    "crop": a random crop of 60 to 100 % of the side, zoomed to full size, and a flip;
    "colour": that, and random brightness, contrast and saturation;
    "randaugment": torchvision's crops of 8 to 100 % of the area, flips, RandAugment with magnitude
    9 of 10 and erasing of every second image: plested2021's rand-m9-mstd0.5-inc1 without the
    spread of its magnitude and its chance to skip. One image at a time, by torch's global draws.
    """
    if kind == "none":
        return images
    if kind == "randaugment":
        return _randaugment(images)
    images = _crop_and_flip(images, generator)
    return _colour(images, generator) if kind == "colour" else images


def mixup(
    inputs: tuple[torch.Tensor, ...], targets: torch.Tensor, share: float
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Each image with `share` of itself and the rest of the batch's image from the other end.

    `targets` [n, classes] are mixed alike. Source: Zhang et al. 2018, with one share per batch.
    """
    mixed = [tensor.flip(0).lerp(tensor, share) for tensor in (*inputs, targets)]
    return tuple(mixed[:-1]), mixed[-1]


def _randaugment(images: torch.Tensor) -> torch.Tensor:
    size = images.shape[-2:]
    change = v2.Compose([
        v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip(),
        v2.RandAugment(magnitude=9, num_magnitude_bins=11), v2.ToDtype(torch.float32),
        v2.Normalize((127.5,) * 3, (64,) * 3), v2.RandomErasing(p=0.5, value="random"),
        v2.Normalize((-127.5 / 64,) * 3, (1 / 64,) * 3),  # back again: the noise fits the images
    ])
    return torch.stack([change(image) for image in images.to(torch.uint8)])


def _uniform(low: float, high: float, n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def _crop_and_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n = len(images)
    side = _uniform(0.6, 1.0, n, generator)
    flip = torch.randint(2, (n,), generator=generator) * 2 - 1
    room = 1 - side  # how far the crop's centre may lie from the image's, half widths
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = side * flip
    theta[:, 1, 1] = side
    theta[:, 0, 2] = room * _uniform(-1, 1, n, generator)
    theta[:, 1, 2] = room * _uniform(-1, 1, n, generator)
    places = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, places, padding_mode="reflection", align_corners=False)


def _colour(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    brightness, contrast, saturation = (
        _uniform(0.6, 1.4, len(images), generator).view(-1, 1, 1, 1).to(images.device)
        for _ in range(3)
    )
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = images.mean((1, 2, 3), keepdim=True)
    return ((mean + (images - mean) * contrast) * brightness).clamp(0, 255)
