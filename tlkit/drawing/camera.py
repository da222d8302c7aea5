"""From scenes to pictures: coordinates, pose, light, blur and noise."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .dice import Dice
from .painter import Canvas, paint, per_image
from .scenery import Scene, backdrop, clutter

# Channels of each noise grid, and points along its side.
GRIDS = {"coarse": (4, 3), "medium": (4, 7), "fine": (1, 16), "blotches": (1, 9), "warp": (2, 4)}


def photograph(
    design: Callable[[Dice], Scene], generators: Sequence[np.random.Generator], size: int
) -> np.ndarray:
    """Draw one picture of a design for each of n generators: uint8 [n, 3, size, size].

    All chance comes from the generators, in an order that does not depend on the size.

    The painted side is a multiple of 8, cropped at the end: so an image is a whole number of
    vectors on every processor. No pixel is left to the code for remainders, which may round
    otherwise, and a picture does not depend on its neighbours.
    """
    dice, n = Dice(generators), len(generators)
    scene = design(dice)
    side = torch.arange(8 * ceil(size / 8))
    places = (side + 0.5) / size
    noise = {name: _noise(dice, *shape, places) for name, shape in GRIDS.items()}
    studio = dice.chance(scene.studio)
    crowd = scene.clutter * (1 - studio)
    line = (side * 2 + 1) / size - 1
    grids = torch.meshgrid(line, line, indexing="ij")  # -1 … 1 inside the picture
    y, x = (each.contiguous().expand(n, -1, -1) for each in grids)
    canvas = Canvas(
        backdrop(scene, dice, studio, noise, y), x, y, size / 2,
        noise["fine"][:, 0], (4 * noise["blotches"][:, 0]).clamp_(-1, 1),
    )
    for _ in range(2):
        paint(canvas, clutter(dice, 0.5 * crowd, nearest=0.3))
    posed = _pose(canvas, scene, dice, noise["warp"])
    for part in scene.parts:
        paint(posed, part)
    paint(canvas, clutter(dice, 0.2 * crowd, nearest=0.6))
    image = _blur(_light(canvas, dice, studio), dice)[:, :, :size, :size]
    grain = torch.from_numpy(dice.noise(3, size, size))
    image = image + grain * per_image(dice.uniform(0, 0.03))[0].unsqueeze(1)
    return (image.clamp_(0, 1) * 255).round_().to(torch.uint8).numpy()


def _noise(dice: Dice, channels: int, points: int, places: Tensor) -> Tensor:
    """Return smooth noise [n, channels, side, side] through a random grid, at `places` 0 … 1."""
    grid = torch.from_numpy(dice.noise(channels, points, points))
    position = places * points
    nearest = position.long().clamp_(max=points - 1)
    share = (position - nearest)[:, None]
    weights = 0.5 * (1 - share) ** 2, 0.5 + share - share**2, 0.5 * share**2  # a quadratic spline
    for _ in range(2):  # along one side, then along the other
        taps = [(nearest + step).clamp_(0, points - 1) for step in (-1, 0, 1)]
        smooth = sum(weight * grid.index_select(2, tap) for weight, tap in zip(weights, taps))
        grid = smooth.transpose(2, 3).contiguous()
    return grid.mul_(1.6)  # smoothing has weakened it


def _pose(canvas: Canvas, scene: Scene, dice: Dice, warp: Tensor) -> Canvas:
    """Return the canvas in the object's coordinates: moved, scaled, rotated, mirrored, bent."""
    angle, scale = dice.normal(0, scene.tilt), dice.uniform(*scene.scale)
    cos, sin, left, up, mirror, shear, stretch = per_image(
        np.cos(angle) / scale, np.sin(angle) / scale,
        dice.uniform(-0.18, 0.18), dice.uniform(-0.18, 0.18), 2 * dice.chance(0.5) - 1,
        dice.normal(0, 0.12), dice.uniform(0.87, 1.15),
    )
    x, y = canvas.x - left, canvas.y - up
    turned = cos * x + sin * y + 0.04 * warp[:, 0]
    v = cos * y - sin * x + 0.04 * warp[:, 1]
    u = (turned * mirror + shear * v) / stretch
    return replace(canvas, x=u, y=v, pixels=canvas.pixels * scale)  # the image is shared


def _light(canvas: Canvas, dice: Dice, studio: np.ndarray) -> Tensor:
    """Light the image from one side, with an exposure and a colour cast; gentle in the studio."""
    gentle = 1 - 0.7 * studio
    direction, contrast = dice.uniform(0, 2 * np.pi), dice.uniform(0, 0.3) * gentle
    across, down = per_image(contrast * np.cos(direction), contrast * np.sin(direction))
    exposure = 1 + dice.uniform(-0.25, 0.25) * gentle
    cast = per_image(*(exposure * (1 + dice.uniform(-0.1, 0.1) * gentle) for _ in range(3)))
    light = (canvas.x * across).addcmul_(canvas.y, down).add_(1)
    return canvas.image.clamp_(0, 1.3).mul_(light.unsqueeze(1)).mul_(cast.movedim(0, 1))


def _blur(image: Tensor, dice: Dice) -> Tensor:
    """Mix the image with its average over 3 × 3 pixels."""
    framed = F.pad(image, (1, 1, 1, 1), mode="replicate")
    rows = framed[:, :, :-2] + framed[:, :, 1:-1] + framed[:, :, 2:]
    soft = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]).div_(9)
    return image.lerp_(soft, per_image(dice.uniform(0, 0.7))[0].unsqueeze(1))
