"""One to twelve equal objects; the class is their number."""

import numpy as np

from .dice import Dice, darker, hsv, mix
from .painter import Part
from .scenery import Scene

NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
         "twelve")
PLACES = [(x, y) for y in (-0.66, -0.22, 0.22, 0.66) for x in (-0.66, -0.22, 0.22, 0.66)]


def scene(label: int, dice: Dice) -> Scene:
    """Draw `label` + 1 objects, each in a place of its own, so that none hides another."""
    values = dice.uniform(0.1, 0.4), dice.uniform(0.7, 1)
    dark, light = (hsv(dice.uniform(0, 1), dice.uniform(0, 0.7), value) for value in values)
    night = dice.chance(0.5)
    ground, colour = mix(light, dark, night), mix(dark, light, night)
    size = dice.uniform(0.1, 0.18)  # so the painted area does not give the number away
    look = {"square": dice.uniform(-1, 1), "taper": dice.uniform(-0.5, 0.5), "width": size,
            "height": size * dice.uniform(0.7, 1)}
    turns = np.argsort([dice.uniform(0, 1) for _ in PLACES], axis=0)
    parts = [
        Part(darker(colour, dice.uniform(0.85, 1.15)), x + dice.uniform(-0.04, 0.04),
             y + dice.uniform(-0.04, 0.04), angle=dice.uniform(0, np.pi), opacity=turn <= label,
             **look)
        for (x, y), turn in zip(PLACES, turns)
    ]
    return Scene([Part(ground, width=3, height=3), *parts], tilt=0.1, scale=(0.75, 0.9), clutter=0)
