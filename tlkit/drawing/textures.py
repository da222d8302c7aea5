"""Textures without a thing: stand-ins for the Describable Textures."""

from collections.abc import Callable

import numpy as np

from .dice import Colour, Dice, Numbers, hsv
from .painter import Part
from .scenery import Scene

Fields = dict[str, Numbers]  # of a Part
Layout = Callable[[Dice, Colour, Fields], list[Part]]


def _sheet(dice: Dice, colour: Colour, look: Fields) -> list[Part]:
    """One part that fills the picture."""
    return [Part(colour, width=2.5, height=2.5, square=1, **look)]


def _rows(dice: Dice, colour: Colour, look: Fields, shift: float = 0) -> list[Part]:
    """The same part again and again; every other row `shift`ed by so much of a step."""
    return [
        Part(colour, 0.44 * (column + shift * (row % 2)), 0.44 * row, **look)
        for row in range(-3, 4) for column in range(-4, 4)
    ]


def _staggered(dice: Dice, colour: Colour, look: Fields) -> list[Part]:
    """Every other row is shifted by half a step."""
    return _rows(dice, colour, look, shift=0.5)


def _strewn(dice: Dice, colour: Colour, look: Fields) -> list[Part]:
    """The same part wherever it falls, turned at random."""
    return [
        Part(colour, dice.uniform(-1.3, 1.3), dice.uniform(-1.3, 1.3),
             angle=dice.uniform(0, np.pi), **look)
        for _ in range(50)
    ]


TEXTURES: dict[str, tuple[Layout, Fields]] = {
    "banded": (_sheet, {"stripes": 0.6, "stripe_count": 7}),
    "lined": (_sheet, {"stripes": 0.6, "stripe_count": 24}),
    "blotchy": (_sheet, {"spots": 0.6}),
    "grainy": (_sheet, {"fur": 0.35}),
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
    """Pictures of a texture in any colour, on a ground of any other."""
    ground, colour = (
        hsv(dice.uniform(0, 1), 0.8 * dice.uniform(0, 1), dice.uniform(0.25, 0.95))
        for _ in range(2)
    )
    layout, look = TEXTURES[NAMES[label]]
    parts = _sheet(dice, ground, {"shade": 0}) + layout(dice, colour, look)
    return Scene(parts, tilt=0.25, scale=(0.9, 1.5), clutter=0)
