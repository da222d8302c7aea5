"""Textures without an object: stand-ins for the Describable Textures."""

from collections.abc import Callable
from functools import partial

import numpy as np

from .dice import Dice, Numbers
from .painter import Fields, Part
from .scenery import Scene

Places = list[tuple[Numbers, Numbers, Numbers]]  # x, y, angle of each copy of a part
SHEET: Fields = {"width": 2.5, "height": 2.5, "square": 1}  # fills the picture


def _once(dice: Dice) -> Places:
    """Place one part in the middle."""
    return [(0, 0, 0)]


def _rows(dice: Dice, shift: float = 0) -> Places:
    """Place a part again and again; every other row is `shift`ed by this share of a step."""
    return [
        (0.44 * (column + shift * (row % 2)), 0.44 * row, 0)
        for row in range(-3, 4) for column in range(-4, 4)
    ]


def _strewn(dice: Dice) -> Places:
    """Place a part anywhere, turned at random."""
    return [
        (dice.uniform(-1.3, 1.3), dice.uniform(-1.3, 1.3), dice.uniform(0, np.pi))
        for _ in range(50)
    ]


_staggered = partial(_rows, shift=0.5)
TEXTURES: dict[str, tuple[Callable[[Dice], Places], Fields]] = {
    "banded": (_once, SHEET | {"stripes": 0.6, "stripe_count": 7}),
    "lined": (_once, SHEET | {"stripes": 0.6, "stripe_count": 24}),
    "blotchy": (_once, SHEET | {"spots": 0.6}),
    "grainy": (_once, SHEET | {"fur": 0.35}),
    "dotted": (_rows, {"width": 0.13, "height": 0.13}),
    "tiled": (_rows, {"width": 0.19, "height": 0.19, "square": 1}),
    "chequered": (_staggered, {"width": 0.22, "height": 0.22, "square": -1}),
    "bricked": (_staggered, {"width": 0.19, "height": 0.19, "square": 1}),
    "scaly": (_staggered, {"width": 0.3, "height": 0.36, "shade": 0.6}),
    "bubbly": (_strewn, {"width": 0.2, "height": 0.2, "hollow": 0.7}),
    "pebbled": (_strewn, {"width": 0.22, "height": 0.16, "shade": 0.6}),
    "fibrous": (_strewn, {"width": 0.6, "height": 0.04}),
}
NAMES = tuple(TEXTURES)


def scene(label: int, dice: Dice) -> Scene:
    """Draw a texture in any colour, on a ground of any other."""
    ground, colour = (dice.colour((0, 1), (0, 0.8), (0.25, 0.95)) for _ in range(2))
    places, look = TEXTURES[NAMES[label]]
    copies = [Part(colour, x, y, angle=angle, **look) for x, y, angle in places(dice)]
    return Scene([Part(ground, **SHEET, shade=0), *copies], tilt=0.25, scale=(0.9, 1.5), clutter=0)
