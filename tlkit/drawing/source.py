"""The source world: 200 classes, each a random design of 4 to 8 groups of parts."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from .dice import Colour, Dice, hsv
from .painter import Part
from .scenery import Scene

NAMES = tuple(f"source_{number:03d}" for number in range(200))
DESIGNS = 20_240  # the seed of all designs
Place = tuple[float, float, float, float]  # x, y, angle, mirror (1 or -1)


@dataclass
class Group:
    """One part of a design, painted once, mirrored, or several times in a row or around."""

    copies: list[Place]
    shape: dict[str, float]  # fields of Part that vary a little from picture to picture
    texture: dict[str, float]  # fields of Part that do not
    colour: int  # its position in the palette
    presence: float  # in this share of the pictures


@dataclass
class Design:
    """What the pictures of one class have in common."""

    groups: list[Group]
    palette: list[tuple[float, float, float, bool]]  # hue, saturation, value; is the hue fixed?
    background: str
    studio: float
    tilt: float


@cache
def design(label: int, seed: int = DESIGNS) -> Design:
    """Return the design of a class by its own random numbers; another seed, other designs."""
    random = np.random.default_rng([seed, label])
    by_colour = random.random() < 0.35
    palette = [
        (random.random(), 0.9 * random.random() ** 0.8, random.uniform(0.12, 0.97),
         by_colour or random.random() < 0.2)
        for _ in range(3)
    ]
    symmetric = random.random() < 0.5
    groups = [group(random, "once", random.uniform(0.3, 0.75, 2), presence=1)]
    for _ in range(random.integers(3, 8)):
        layout = "mirrored" if symmetric else "once"
        if random.random() < 0.15 and len(groups) < 4:
            layout = random.choice(["fan", "row"])
        presence = random.choice([1, 1, 1, 0.6])
        groups.append(group(random, layout, np.exp(random.uniform(-2.6, -0.8, 2)), presence))
    return Design(
        groups, palette, random.choice(["any", "sky", "road", "green", "indoor"]),
        random.choice([0.05, 0.15, 0.8], p=[0.5, 0.3, 0.2]), random.choice([0.1, 0.2, 0.6]),
    )


def group(random: np.random.Generator, layout: str, extent: np.ndarray, presence: float) -> Group:
    """Return a random group of parts of this extent (width and height)."""
    x, y = (0, 0) if extent.max() > 0.5 else random.uniform(-0.65, 0.65, 2)
    angle, count = random.uniform(0, np.pi), random.integers(3, 7)
    turns = angle + 2 * np.pi * np.arange(count) / count
    radius, steps = max(np.hypot(x, y), 0.3), np.linspace(-0.6, 0.6, count)
    copies: dict[str, list[Place]] = {
        "once": [(x, y, angle, 1)],
        "mirrored": [(x, y, angle, 1), (-x, y, -angle, -1)],
        "fan": [(radius * np.cos(turn), radius * np.sin(turn), turn, 1) for turn in turns],
        "row": [(step, y, angle, 1) for step in steps],
    }
    shape = {
        "width": extent[0], "height": extent[1], "square": random.uniform(-0.9, 1),
        "taper": random.uniform(-0.8, 0.8) * (random.random() < 0.6),
        "bend": random.uniform(-1, 1) * (random.random() < 0.4),
    }
    _, striped, furry, spotted = np.eye(4)[random.choice(4, p=[0.35, 0.25, 0.2, 0.2])]
    texture = {
        "hollow": random.uniform(0.5, 0.85) * (random.random() < 0.15),
        "stripes": random.uniform(0.15, 0.5) * striped, "stripe_count": random.uniform(2, 8),
        "stripe_angle": random.uniform(0, np.pi), "fur": 0.04 + random.uniform(0.1, 0.3) * furry,
        "spots": random.uniform(0.2, 0.55) * spotted, "shade": random.uniform(0.1, 0.45),
    }
    return Group(copies[layout], shape, texture, int(random.integers(3)), presence)


def scene(label: int, dice: Dice) -> Scene:
    """Draw pictures of a class."""
    return depict(design(label), dice)


def depict(kind: Design, dice: Dice, palette: list[Colour] | None = None) -> Scene:
    """Draw a design in its own colours or in a palette; places and shapes vary a little."""
    palette = palette or [_colour(dice, *entry) for entry in kind.palette]
    parts = []
    for group in kind.groups:
        width = group.shape["width"] * np.exp(dice.normal(0, 0.12))
        height = group.shape["height"] * np.exp(dice.normal(0, 0.12))
        square = np.clip(dice.normal(group.shape["square"], 0.1), -1, 1)
        bend = dice.normal(group.shape["bend"], 0.08)
        right, down, turn = dice.normal(0, 0.05), dice.normal(0, 0.05), dice.normal(0, 0.1)
        there = dice.chance(group.presence)
        parts += [
            Part(palette[group.colour], x + right * mirror, y + down, width, height,
                 angle + turn * mirror, square, group.shape["taper"], bend,
                 opacity=there, **group.texture)
            for x, y, angle, mirror in group.copies
        ]
    return Scene(parts, kind.background, kind.studio, kind.tilt, scale=(0.7, 1.25))


def _colour(dice: Dice, hue: float, saturation: float, value: float, fixed: bool) -> Colour:
    """Return a colour near the design's, or one of any hue that is as light as the design's."""
    any_hue, any_saturation = dice.uniform(0, 1), 0.9 * dice.uniform(0, 1) ** 1.3
    light = np.clip(dice.normal(value, 0.13), 0.08, 1)
    if not fixed:
        return hsv(any_hue, any_saturation, light)
    return hsv(dice.normal(hue, 0.04), np.clip(dice.normal(saturation, 0.1), 0, 1), light)
