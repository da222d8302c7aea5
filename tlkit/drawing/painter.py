"""What a part is, and how to paint one over n images at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .dice import Colour, Numbers

Fields = dict[str, Any]  # some fields of a Part, by name


@dataclass
class Part:
    """A shape with a texture. Fields are numbers or arrays [n]; lengths are in half images.

    The object's frame reaches from -1 to 1, y downwards. `width` and `height` are measured from
    the part's centre. In the part's own frame, u runs along its width and v along its height.
    Both are ±1 at its border.
    """

    colour: Colour
    x: Numbers = 0.0
    y: Numbers = 0.0
    width: Numbers = 0.3
    height: Numbers = 0.3
    angle: Numbers = 0.0  # radians, clockwise
    square: Numbers = 0.0  # -1 a diamond, 0 an ellipse, 1 a box
    taper: Numbers = 0.0  # above 0 wider at the bottom, below 0 wider at the top
    bend: Numbers = 0.0  # above 0 the ends hang down
    hollow: Numbers = 0.0  # radius of the hole, 0 … 1
    stripes: Numbers = 0.0  # strength; so are fur, spots, shade and opacity, 0 … 1
    stripe_count: Numbers = 4.0  # across the part
    stripe_angle: Numbers = 0.0  # 0 stripes along v
    fur: Numbers = 0.05  # fine noise
    spots: Numbers = 0.0  # blotches with clear borders
    shade: Numbers = 0.25  # lighter at the top, darker at the border
    opacity: Numbers = 1.0


@dataclass
class Canvas:
    """What parts are painted on: pixels, their coordinates, and the noise that textures use."""

    image: Tensor  # [n, 3, height, width]
    x: Tensor  # [n, height, width]
    y: Tensor
    pixels: Numbers  # pixels in a unit of x, [n]
    fine: Tensor  # noise [n, height, width]
    blotches: Tensor


def per_image(*values: Numbers) -> Tensor:
    """Return numbers or arrays [n] as one tensor [len(values), n, 1, 1], for all pixels."""
    rows = np.stack(np.broadcast_arrays(np.zeros(1), *values)[1:])
    return torch.from_numpy(rows.astype(np.float32))[:, :, None, None]


def paint(canvas: Canvas, part: Part) -> None:
    """Paint `part` over the canvas, in place.

    A pixel takes only sums, products, quotients and roots. Every lane of the processor rounds
    these alike, they are fast, and they leave no denormal numbers behind.
    """
    u, v = _own_coordinates(canvas, part)
    squares = u.square().addcmul_(v, v)
    texture = _texture(canvas, part, u, v, squares).unsqueeze(1)
    alpha = _coverage(canvas, part, u, v, squares).unsqueeze(1)
    canvas.image.lerp_(per_image(*part.colour).movedim(0, 1) * texture, alpha)


def _own_coordinates(canvas: Canvas, part: Part) -> tuple[Tensor, Tensor]:
    """Return u and v of every pixel."""
    cos, sin = np.cos(part.angle), np.sin(part.angle)
    along, across = cos * part.x + sin * part.y, cos * part.y - sin * part.x  # its centre
    u_x, u_y, u_0, v_x, v_y, v_0, bend, taper = per_image(
        cos / part.width, sin / part.width, -along / part.width,
        -sin / part.height, cos / part.height, -across / part.height, part.bend, part.taper,
    )
    u = (canvas.x * u_x).addcmul_(canvas.y, u_y).add_(u_0)
    v = (canvas.x * v_x).addcmul_(canvas.y, v_y).add_(v_0)
    if bend.any():
        v.sub_(u.square().mul_(bend))
    if taper.any():
        u.div_(v.clamp(-1.2, 1.2).mul_(taper).add_(1).clamp_(min=0.15))
    return u, v


def _texture(canvas: Canvas, part: Part, u: Tensor, v: Tensor, squares: Tensor) -> Tensor:
    """Return the factor by which each pixel of the part is lighter or darker than its colour."""
    half = part.stripe_count / 2
    across, along, stripes, fur, spots, shade = per_image(
        half * np.cos(part.stripe_angle), half * np.sin(part.stripe_angle),
        part.stripes, part.fur, part.spots, part.shade,
    )
    light = (v * 0.6).add_(squares, alpha=0.25).mul_(-shade).add_(1).addcmul_(canvas.fine, fur)
    if spots.any():
        light.addcmul_(canvas.blotches, spots)
    if stripes.any():
        phase = (u * across).addcmul_(v, along)
        wave = phase.sub_(phase.round()).abs_().mul_(-4).add_(1)  # a triangle, -1 … 1
        light.addcmul_(wave, stripes)
    return light


def _coverage(canvas: Canvas, part: Part, u: Tensor, v: Tensor, squares: Tensor) -> Tensor:
    """Return how much of each pixel the part covers, its opacity included."""
    sharpness = np.maximum(np.minimum(part.width, part.height) * canvas.pixels, 1)
    box, diamond, hole, sharpness, opacity = per_image(
        np.maximum(part.square, 0), np.maximum(-part.square, 0),
        np.where(part.hollow > 0, part.hollow, -9), sharpness, part.opacity,
    )
    radius = squares.sqrt()  # 1 at the border
    if box.any():
        radius.lerp_(torch.maximum(u.abs(), v.abs()), box)
    if diamond.any():
        radius.lerp_(u.abs().add_(v.abs()), diamond)
    outside = radius - 1
    if (hole > 0).any():
        outside = torch.maximum(outside, hole - radius)
    return outside.mul_(-sharpness).add_(0.5).clamp_(0, 1).mul_(opacity)
