"""Flowers and fruits of several kinds."""

import numpy as np

from .dice import Dice, by_kind, darker, hsv, mix
from .painter import Part
from .scenery import Scene

PETALS = 10
BERRIES = ((0, -0.3), (-0.3, -0.26), (0.3, -0.28), (-0.17, 0), (0.17, 0.02), (0.42, 0.0),
           (-0.02, 0.27), (0.28, 0.27), (0.1, 0.52))  # x, y of the berries of a bunch


def flower(dice: Dice) -> Scene:
    """A daisy, a flower of five broad petals, a rose, a tulip, or a spike of small flowers."""
    kinds = daisy, broad, rose, tulip, spike = dice.pick(0.25, 0.2, 0.2, 0.2, 0.15)
    green = hsv(dice.uniform(0.22, 0.38), dice.uniform(0.4, 0.75), dice.uniform(0.25, 0.6))
    hue = dice.uniform(0.7, 1.2)
    colour = mix(
        hsv(hue, dice.uniform(0.45, 0.95), dice.uniform(0.65, 1)), (0.95, 0.94, 0.92), dice.chance(0.2)
    )
    heart = hsv(dice.uniform(0.08, 0.17), dice.uniform(0.4, 0.95), dice.uniform(0.2, 0.95))
    count = by_kind(kinds, dice.uniform(7, 10.99) // 1, 5, 6, 3, 10)
    turn, size = dice.uniform(0, 6), dice.uniform(0.9, 1.1)
    y = by_kind(kinds, -0.1, -0.1, -0.1, -0.25, -0.1)
    striped = dice.chance(0.4) * 0.15 * (1 - rose)
    parts = [
        Part(green, dice.normal(0, 0.05), 0.6, 0.05, 0.6, dice.normal(0, 0.1), square=0.5),
        Part(green, 0.3, 0.6, 0.32, 0.11, dice.uniform(-0.9, 0.1), bend=0.3),
        Part(darker(green, 0.85), -0.3, 0.68, 0.32, 0.11, dice.uniform(0, 0.9), bend=0.3),
    ]
    for number in range(PETALS):
        angle = turn + 2 * np.pi * number / count
        inner = number >= 6  # of the rose
        lean = (number - 1) * (number < 3)  # of the tulip: left, middle, right
        step = (number - 4.5) / 4.5  # of the spike, top to bottom
        radius = by_kind(kinds, 0.4, 0.33, 0.11 if inner else 0.3, 0, 0)
        parts.append(Part(
            darker(colour, 1 - rose * (0.1 * (number % 3) + 0.2 * inner) - tulip * 0.15 * abs(lean)),
            radius * np.cos(angle) + tulip * 0.2 * lean + spike * (0.17 * (-1) ** number * (0.7 + step / 2)),
            y + radius * np.sin(angle) + spike * 0.55 * step,
            size * by_kind(kinds, 0.34, 0.34, 0.17 if inner else 0.34, 0.42, 0.17),
            size * by_kind(kinds, 0.12, 0.27, 0.15 if inner else 0.3, 0.19, 0.13),
            angle * (1 - tulip - spike) + tulip * (np.pi / 2 + 0.2 * lean),
            opacity=(number < count) | (rose > 0), stripes=striped, stripe_angle=np.pi / 2,
            shade=by_kind(kinds, 0.15, 0.2, 0.45, 0.3, 0.35),
        ))
    width = by_kind(kinds, dice.uniform(0.14, 0.26), 0.12, 0.08, 0.1, 0.1)
    parts.append(Part(mix(heart, darker(colour, 0.6), rose), 0, y, width, width, fur=0.3,
                      opacity=daisy + broad + rose))
    return Scene(parts, "green", studio=0.05, tilt=0.25, scale=(0.75, 1.3))


def fruit(dice: Dice) -> Scene:
    """Round, oval, a pear, a banana, or a bunch of berries; mostly before white."""
    kinds = round_, oval, pear, banana, bunch = dice.pick(0.32, 0.25, 0.15, 0.13, 0.15)
    hue = by_kind(
        kinds, dice.uniform(-0.04, 0.24), dice.uniform(-0.12, 0.3), dice.uniform(0.1, 0.24),
        dice.uniform(0.12, 0.19), dice.uniform(0, 1) * 0.45 - 0.25,
    )
    skin = hsv(hue, dice.uniform(0.5, 0.95), dice.uniform(0.4, 0.95))
    skin = darker(skin, 1 - (oval + bunch) * dice.chance(0.35) * 0.5)
    angle = dice.normal(0, 0.25) + oval * dice.uniform(-1.6, 1.6)
    slim, spotted = dice.uniform(0.88, 1.08), dice.chance(0.3) * dice.uniform(0.1, 0.3)
    skin_texture = {"fur": dice.uniform(0.02, 0.12), "spots": spotted, "shade": 0.5}
    low = dice.uniform(0, 0.15) * pear + 0.2 * pear
    parts = [
        Part((0.3, 0.3, 0.3), 0.08, by_kind(kinds, 0.55, 0.42, 0.68, 0.35, 0.6), 0.6, 0.1,
             opacity=0.35, shade=0),
        Part((0.33, 0.23, 0.1), 0, -0.6 + 0.15 * (oval + banana), 0.04, 0.17, dice.normal(0, 0.35),
             opacity=1 - oval - banana * 1.0, square=0.4),
        Part(skin, 0, -0.22, 0.27, 0.42, square=0.1, taper=0.25, opacity=pear, **skin_texture),
        Part(skin, 0, low, by_kind(kinds, 0.58, 0.66, 0.46, 0.72, 0.1),
             slim * by_kind(kinds, 0.56, dice.uniform(0.36, 0.48), 0.42, 0.19, 0.1), angle,
             bend=-banana * dice.uniform(0.8, 1.5), taper=dice.normal(0, 0.12), **skin_texture),
    ]
    parts += [
        Part(darker(skin, dice.uniform(0.8, 1.1)), x, y, 0.21, 0.21, shade=0.55, fur=0.03, opacity=bunch)
        for x, y in BERRIES
    ]
    parts += [
        Part((1, 1, 1), -0.18, -0.2 + low, 0.1, 0.07, -0.6, shade=0,
             opacity=dice.uniform(0, 0.6) * (1 - banana - bunch)),
        Part((0.2, 0.45, 0.12), 0.18, -0.62, 0.17, 0.07, -0.4,
             opacity=dice.chance(0.4) * (1 - oval - banana)),
    ]
    return Scene(parts, "any", studio=0.75, tilt=0.2, scale=(0.85, 1.25))
