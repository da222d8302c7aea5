"""Pairs of colours on random shapes: only the colours tell the class."""

from dataclasses import replace
from itertools import combinations

from .dice import Dice, hsv
from .scenery import Scene, clutter

HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")  # evenly around the circle
PAIRS = tuple((one, two) for one, two in combinations(range(6), 2) if two != one + 3)
NAMES = tuple(f"{HUES[one]}_{HUES[two]}" for one, two in PAIRS)


def scene(label: int, dice: Dice) -> Scene:
    """Draw four shapes in each of the two colours, before any background."""
    colours = [
        hsv(dice.normal(hue / 6, 0.02), dice.uniform(0.5, 1), dice.uniform(0.4, 1))
        for hue in PAIRS[label]
    ]
    shapes = [replace(clutter(dice, 1, nearest=0), colour=colours[turn % 2]) for turn in range(8)]
    return Scene(shapes)
