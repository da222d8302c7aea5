"""Textures without an object: stand-ins for the Describable Textures."""

from collections.abc import Sequence

import numpy as np

from .dice import Dice, Numbers
from .painter import Fields, Part
from .scenery import Scene

Places = Sequence[tuple[Numbers, Numbers, Numbers]]  # x, y, angle of each copy of a part
SHEET: Fields = {"width": 2.5, "height": 2.5, "square": 1}  # fills the picture


MIDDLE: Places = [(0, 0, 0)]
ROWS, STAGGERED = (  # every other row is shifted by this share of a step
    [(0.44 * (column + shift * (row % 2)), 0.44 * row, 0)
     for row in range(-3, 4) for column in range(-4, 4)]
    for shift in (0, 0.5)
)
STREWN: Places = []  # anywhere, turned at random: other places in each picture
TEXTURES: dict[str, tuple[Places, Fields]] = {
    "banded": (MIDDLE, SHEET | {"stripes": 0.6, "stripe_count": 7}),
    "lined": (MIDDLE, SHEET | {"stripes": 0.6, "stripe_count": 24}),
    "blotchy": (MIDDLE, SHEET | {"spots": 0.6}),
    "grainy": (MIDDLE, SHEET | {"fur": 0.35}),
    "dotted": (ROWS, {"width": 0.13, "height": 0.13}),
    "tiled": (ROWS, {"width": 0.19, "height": 0.19, "square": 1}),
    "chequered": (STAGGERED, {"width": 0.22, "height": 0.22, "square": -1}),
    "bricked": (STAGGERED, {"width": 0.19, "height": 0.19, "square": 1}),
    "scaly": (STAGGERED, {"width": 0.3, "height": 0.36, "shade": 0.6}),
    "bubbly": (STREWN, {"width": 0.2, "height": 0.2, "hollow": 0.7}),
    "pebbled": (STREWN, {"width": 0.22, "height": 0.16, "shade": 0.6}),
    "fibrous": (STREWN, {"width": 0.6, "height": 0.04}),
}
NAMES = tuple(TEXTURES)


def scene(label: int, dice: Dice) -> Scene:
    """Draw a texture in any colour, on a ground of any other."""
    ground, colour = (dice.colour((0, 1), (0, 0.8), (0.25, 0.95)) for _ in range(2))
    places, look = TEXTURES[NAMES[label]]
    places = places or [
        (dice.uniform(-1.3, 1.3), dice.uniform(-1.3, 1.3), dice.uniform(0, np.pi))
        for _ in range(50)
    ]
    copies = [Part(colour, x, y, angle=angle, **look) for x, y, angle in places]
    return Scene([Part(ground, **SHEET, shade=0), *copies], tilt=0.25, scale=(0.9, 1.5), clutter=0)
