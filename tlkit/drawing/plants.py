"""Flowers and fruits of several kinds."""

import numpy as np

from .dice import Colour, Dice, by_kind, darker, hsv, mix
from .painter import Part
from .scenery import Scene

BERRIES = ((0, -0.3), (-0.3, -0.26), (0.3, -0.28), (-0.17, 0), (0.17, 0.02), (0.42, 0.0),
           (-0.02, 0.27), (0.28, 0.27), (0.1, 0.52))  # x, y of the berries of a bunch


def flower(dice: Dice) -> Scene:
    """Draw a daisy, a flower of five broad petals, a rose, a tulip, or a spike of small flowers."""
    kinds = daisy, broad, rose, _, _ = dice.pick(0.25, 0.2, 0.2, 0.2, 0.15)
    green = dice.colour((0.22, 0.38), (0.4, 0.75), (0.25, 0.6))
    petals = dice.colour((0.7, 1.2), (0.45, 0.95), (0.65, 1))
    petals = mix(petals, (0.95, 0.94, 0.92), dice.chance(0.2))
    heart = dice.colour((0.08, 0.17), (0.4, 0.95), (0.2, 0.95))
    count = by_kind(kinds, dice.uniform(7, 11) // 1, 5, 6, 3, 10)
    turn, size = dice.uniform(0, 6), dice.uniform(0.9, 1.1)
    stripes = dice.chance(0.4) * 0.15 * (1 - rose)
    parts = [
        Part(green, dice.normal(0, 0.05), 0.6, 0.05, 0.6, dice.normal(0, 0.1), square=0.5),
        Part(green, 0.3, 0.6, 0.32, 0.11, dice.uniform(-0.9, 0.1), bend=0.3),
        Part(darker(green, 0.85), -0.3, 0.68, 0.32, 0.11, dice.uniform(0, 0.9), bend=0.3),
    ]
    for number in range(10):
        petal = _petal(number, kinds, petals, turn + 2 * np.pi * number / count, size)
        petal.opacity, petal.stripes = (number < count) | (rose > 0), stripes
        parts.append(petal)
    width = by_kind(kinds, dice.uniform(0.14, 0.26), 0.12, 0.08, 0, 0) + 0.01
    heart = mix(heart, darker(petals, 0.6), rose)
    parts.append(Part(heart, 0, -0.1, width, width, fur=0.3, opacity=daisy + broad + rose))
    return Scene(parts, "green", studio=0.05, tilt=0.25, scale=(0.75, 1.3))


def _petal(
    number: int, kinds: list[np.ndarray], colour: Colour, angle: np.ndarray, size: np.ndarray
) -> Part:
    """Return petal 0 … 9; `angle` is its direction where petals stand around a heart."""
    rose, tulip = kinds[2:4]
    inner = number >= 6  # a rose has six outer petals and four inner ones
    lean = number - 1  # the tulip's three: left, middle, right
    height = (number - 4.5) / 4.5  # on the spike, -1 at the top … 1 at the bottom
    radius = by_kind(kinds, 0.4, 0.33, 0.11 if inner else 0.3, 0, 0)
    zigzag = (-1) ** number * (0.12 + 0.08 * height)
    darkness = rose * (0.1 * (number % 3) + 0.2 * inner) + tulip * 0.15 * abs(lean)
    return Part(
        darker(colour, np.maximum(1 - darkness, 0)),
        x=radius * np.cos(angle) + by_kind(kinds, 0, 0, 0, 0.2 * lean, zigzag),
        y=radius * np.sin(angle) + by_kind(kinds, -0.1, -0.1, -0.1, -0.25, 0.55 * height - 0.1),
        width=size * by_kind(kinds, 0.34, 0.34, 0.17 if inner else 0.34, 0.42, 0.17),
        height=size * by_kind(kinds, 0.12, 0.27, 0.15 if inner else 0.3, 0.19, 0.13),
        angle=by_kind(kinds, angle, angle, angle, np.pi / 2 + 0.2 * lean, 0),
        stripe_angle=np.pi / 2, shade=by_kind(kinds, 0.15, 0.2, 0.45, 0.3, 0.35),
    )


def fruit(dice: Dice) -> Scene:
    """Draw a round or oval fruit, a pear, a banana, or a bunch of berries; mostly before white."""
    kinds = _, oval, pear, banana, bunch = dice.pick(0.32, 0.25, 0.15, 0.13, 0.15)
    hue = by_kind(
        kinds, dice.uniform(-0.04, 0.24), dice.uniform(-0.12, 0.3), dice.uniform(0.1, 0.24),
        dice.uniform(0.12, 0.19), dice.uniform(-0.25, 0.2),
    )
    ripe = 1 - 0.5 * (oval + bunch) * dice.chance(0.35)
    colour = hsv(hue, dice.uniform(0.5, 0.95), ripe * dice.uniform(0.4, 0.95))
    skin = {
        "shade": 0.5, "fur": dice.uniform(0.02, 0.12),
        "spots": dice.chance(0.3) * dice.uniform(0.1, 0.3),
    }
    angle = dice.normal(0, 0.25) + oval * dice.uniform(-1.6, 1.6)
    width = by_kind(kinds, 0.58, 0.66, 0.46, 0.72, 0.1)
    height = by_kind(kinds, 0.56, dice.uniform(0.36, 0.48), 0.42, 0.19, 0.1)
    y, ground = dice.uniform(0.2, 0.35) * pear, by_kind(kinds, 0.55, 0.42, 0.68, 0.35, 0.6)
    stalk, berry = dice.normal(0, 0.35), darker(colour, dice.uniform(0.8, 1.1))
    parts = [
        Part((0.3, 0.3, 0.3), 0.08, ground, 0.6, 0.1, opacity=0.35, shade=0),
        Part((0.33, 0.23, 0.1), 0, -0.6, 0.04, 0.17, stalk, 0.4, opacity=1 - oval - banana),
        Part(colour, 0, -0.22, 0.27, 0.42, square=0.1, taper=0.25, opacity=pear, **skin),
        Part(colour, 0, y, width, height * dice.uniform(0.88, 1.08), angle,
             taper=dice.normal(0, 0.12), bend=-banana * dice.uniform(0.8, 1.5), **skin),
        *(Part(berry, x, y, 0.21, 0.21, shade=0.55, opacity=bunch) for x, y in BERRIES),
        Part((1, 1, 1), -0.18, y - 0.2, 0.1, 0.07, -0.6, shade=0,
             opacity=dice.uniform(0, 0.6) * (1 - banana - bunch)),
        Part((0.2, 0.45, 0.12), 0.18, -0.62, 0.17, 0.07, -0.4,
             opacity=dice.chance(0.4) * (1 - oval - banana)),
    ]
    return Scene(parts, studio=0.82, tilt=0.2, scale=(0.85, 1.25))
