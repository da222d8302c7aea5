"""What a picture shows, and the background behind it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .dice import Colour, Dice, Numbers, darker, hsv, mix
from .painter import Part, per_image


@dataclass
class Scene:
    """The parts of an object and its surroundings; the rest of the picture is chance."""

    parts: list[Part]  # painted in this order
    background: str = "any"  # sky, road, green, indoor or any
    studio: float = 0.0  # chance of a white background without clutter
    tilt: float = 0.2  # standard deviation of the object's rotation, radians
    scale: tuple[float, float] = (0.65, 1.05)  # the object's size, 1 fills the image
    rough: float = 1.0  # strength of the background's noise
    clutter: float = 1.0  # how likely other objects stand around, 0 never


def backdrop(
    scene: Scene, dice: Dice, studio: np.ndarray, noise: dict[str, Tensor], y: Tensor
) -> Tensor:
    """Paint two colours that meet at a horizon, and noise at three scales, [n, 3, side, side]."""
    white = (0.97, 0.97, 0.97)
    top, bottom = (mix(colour, white, studio) for colour in _surroundings(dice, scene.background))
    top, bottom = per_image(*top).movedim(0, 1), per_image(*bottom).movedim(0, 1)
    horizon, softness = per_image(dice.uniform(-0.5, 0.9), 0.4 + 8 * dice.uniform(0, 1) ** 3)
    ground = ((y - horizon) * softness + 0.5).clamp_(0, 1).unsqueeze(1)
    image = torch.lerp(top, bottom, ground)
    rough = scene.rough * (1 - studio)
    strengths = per_image(
        rough * dice.uniform(0, 0.2),
        rough * dice.uniform(0, 0.16) * dice.chance(0.6),
        rough * dice.uniform(0, 0.1) * dice.chance(0.5),
    ).unsqueeze(2)
    for strength, name in zip(strengths, ("coarse", "medium")):
        grey, colours = noise[name][:, :1], noise[name][:, 1:]
        image.addcmul_(strength, grey + 0.25 * colours)
    return image.addcmul_(strengths[2], noise["fine"])


def _surroundings(dice: Dice, kind: str) -> tuple[Colour, Colour]:
    """Return the colours of the upper and the lower background; every fourth picture has any."""
    upper, lower = (
        hsv(dice.uniform(0, 1), 0.7 * dice.uniform(0, 1) ** 1.5, dice.uniform(0.2, 0.95))
        for _ in range(2)
    )
    sky = dice.colour((0.52, 0.64), (0.03, 0.6), (0.55, 1))
    road = dice.colour((0.05, 0.6), (0, 0.2), (0.25, 0.85))
    green = dice.colour((0.18, 0.38), (0.15, 0.65), (0.2, 0.7))
    wall = dice.colour((0.02, 0.18), (0.03, 0.5), (0.3, 0.9))
    floor = dice.colour((0.02, 0.16), (0.05, 0.6), (0.25, 0.85))
    behind = mix(mix(road, green, dice.chance(0.5)), sky, dice.chance(0.3))
    top, bottom = {
        "any": (upper, lower),
        "sky": (sky, mix(sky, behind, dice.chance(0.35))),
        "road": (behind, mix(road, green, dice.chance(0.2))),
        "green": (mix(green, sky, dice.chance(0.2)), darker(green, 0.75)),
        "indoor": (wall, floor),
    }[kind]
    odd = dice.chance(0.25)
    return mix(top, upper, odd), mix(bottom, lower, odd)


def clutter(dice: Dice, probability: Numbers, nearest: float) -> Part:
    """Return an object that does not matter, at least `nearest` away from the middle."""
    direction, distance = dice.uniform(0, 2 * np.pi), dice.uniform(nearest, 1.2)
    return Part(
        dice.colour((0, 1), (0, 0.7), (0.15, 0.95)),
        x=distance * np.cos(direction), y=distance * np.sin(direction),
        width=dice.uniform(0.06, 0.45), height=dice.uniform(0.06, 0.45),
        angle=dice.uniform(0, 2 * np.pi), square=dice.uniform(-0.6, 1),
        taper=dice.uniform(-0.7, 0.7), bend=dice.uniform(-0.6, 0.6),
        hollow=dice.chance(0.15) * 0.7, stripes=dice.chance(0.25) * 0.25,
        opacity=dice.chance(probability) * dice.uniform(0.6, 1),
    )
