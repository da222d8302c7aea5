"""From scenes to pictures: coordinates, pose, light, blur and noise."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from .dice import Dice
from .painter import Canvas, paint, per_image
from .scenery import Scene, backdrop, clutter

# Channels and points to a side of the noise grids.
GRIDS = {"coarse": (4, 3), "medium": (4, 7), "fine": (1, 16), "blotches": (1, 9), "warp": (2, 4)}


def photograph(
    design: Callable[[Dice], Scene], generators: Sequence[np.random.Generator], size: int
) -> np.ndarray:
    """One picture of a design for each of n generators: uint8 [n, 3, size, size].

    All that is random comes from the generators, in an order that does not depend on the size.
    """
    dice, n = Dice(generators), len(generators)
    scene = design(dice)
    noise = {name: _noise(generators, *shape, size) for name, shape in GRIDS.items()}
    studio = dice.chance(scene.studio)
    crowd = scene.clutter * (1 - studio)
    x, y = _coordinates(n, size)
    canvas = Canvas(
        backdrop(scene, dice, studio, noise, y), x, y, size / 2,
        noise["fine"][:, 0], (4 * noise["blotches"][:, 0]).clamp_(-1, 1),
    )
    for _ in range(2):
        paint(canvas, clutter(dice, 0.5 * crowd, nearest=0.3))
    _pose(canvas, scene, dice, noise["warp"])
    for part in scene.parts:
        paint(canvas, part)
    canvas.x, canvas.y, canvas.pixels = x, y, size / 2
    paint(canvas, clutter(dice, 0.2 * crowd, nearest=0.6))
    image = _blur(_light(canvas, dice, studio), dice)[:, :, :size, :size]
    grain = np.stack([g.standard_normal((3, size, size), dtype=np.float32) for g in generators])
    image = image + torch.from_numpy(grain) * per_image(dice.uniform(0, 0.03))[0].unsqueeze(1)
    return (image.clamp_(0, 1) * 255).round_().to(torch.uint8).numpy()


def _padded(size: int) -> int:
    """The side of the painted image, a multiple of 8; it is cropped to `size` at the end.

    So an image is a whole number of vectors on every processor, no pixel is left to the code for
    remainders, which may round otherwise, and a picture does not depend on its neighbours.
    """
    return -(-size // 8) * 8


def _coordinates(n: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """x and y of every pixel, -1 … 1 inside the image, each [n, side, side]."""
    side = _padded(size)
    line = (torch.arange(side) * 2 + 1) / size - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x.contiguous().expand(n, side, side), y.contiguous().expand(n, side, side)


def _noise(
    generators: Sequence[np.random.Generator], channels: int, points: int, size: int
) -> torch.Tensor:
    """Smooth noise through the points of a random grid, [n, channels, side, side]."""
    values = [g.standard_normal((channels, points, points), dtype=np.float32) for g in generators]
    grid = torch.from_numpy(np.stack(values))
    side = _padded(size)
    position = (torch.arange(side) + 0.5) / size * points
    nearest = position.long().clamp_(max=points - 1)
    share = (position - nearest)[:, None]
    weights = 0.5 * (1 - share) ** 2, 0.5 + share - share**2, 0.5 * share**2  # a quadratic spline
    for _ in range(2):  # along one side, then along the other
        taps = [(nearest + step).clamp_(0, points - 1) for step in (-1, 0, 1)]
        smooth = torch.zeros(())
        for weight, tap in zip(weights, taps):
            smooth = smooth + weight * grid.index_select(2, tap)
        grid = smooth.transpose(2, 3).contiguous()
    return grid.mul_(1.6)  # smoothing took strength away


def _pose(canvas: Canvas, scene: Scene, dice: Dice, warp: torch.Tensor) -> None:
    """Turn the canvas's coordinates into the object's: moved, scaled, rotated, mirrored, bent."""
    angle, scale = dice.normal(0, scene.tilt), dice.uniform(*scene.scale)
    cos, sin, left, up, mirror, shear, stretch = per_image(
        np.cos(angle) / scale, np.sin(angle) / scale, dice.uniform(-0.18, 0.18),
        dice.uniform(-0.18, 0.18), dice.side(), dice.normal(0, 0.12), dice.uniform(0.87, 1.15),
    )
    x, y = canvas.x - left, canvas.y - up
    turned = cos * x + sin * y + 0.04 * warp[:, 0]
    canvas.y = cos * y - sin * x + 0.04 * warp[:, 1]
    canvas.x = (turned * mirror + shear * canvas.y) / stretch
    canvas.pixels = canvas.pixels * scale


def _light(canvas: Canvas, dice: Dice, studio: np.ndarray) -> torch.Tensor:
    """Light from one side, exposure and a colour cast; gentle in the studio."""
    gentle = 1 - 0.7 * studio
    direction, contrast = dice.uniform(0, 2 * np.pi), dice.uniform(0, 0.3) * gentle
    across, down = per_image(contrast * np.cos(direction), contrast * np.sin(direction))
    exposure = 1 + dice.uniform(-0.25, 0.25) * gentle
    cast = per_image(*(exposure * (1 + dice.uniform(-0.1, 0.1) * gentle) for _ in range(3)))
    light = (canvas.x * across).addcmul_(canvas.y, down).add_(1)
    return canvas.image.clamp_(0, 1.3).mul_(light.unsqueeze(1)).mul_(cast.movedim(0, 1))


def _blur(image: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Mix the image with its average over 3 × 3 pixels."""
    framed = F.pad(image, (1, 1, 1, 1), mode="replicate")
    rows = framed[:, :, :-2] + framed[:, :, 1:-1] + framed[:, :, 2:]
    soft = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]).div_(9)
    return image.lerp_(soft, per_image(dice.uniform(0, 0.7))[0].unsqueeze(1))
