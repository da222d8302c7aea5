"""Airplanes, cars and motorbikes."""

import numpy as np

from .dice import Colour, Dice, by_kind, darker, hsv, mix
from .painter import Fields, Part
from .scenery import Scene

TYRE, METAL, GLASS = (0.08, 0.08, 0.09), (0.58, 0.58, 0.6), (0.2, 0.25, 0.31)


def varnish(dice: Dice) -> Colour:
    """Return white, grey, black or any strong colour."""
    coloured = dice.chance(0.6)
    return hsv(dice.uniform(0, 1), coloured * dice.uniform(0.5, 0.95), dice.uniform(0.15, 0.95))


def airplane(dice: Dice) -> Scene:
    """Draw a jet or a propeller plane from the side, or a jet from below; its nose to the left."""
    jet, propeller, below = dice.pick(0.5, 0.25, 0.25)
    upright, swept = 1 - below, 1 - propeller
    accent = varnish(dice)
    hull = mix(dice.colour((0, 1), (0, 0.2), (0.6, 0.98)), accent, propeller * dice.chance(0.6))
    length, radius = 0.9 - 0.15 * propeller, dice.uniform(0.11, 0.16) + 0.03 * propeller
    sweep, chord = 0.1 + dice.uniform(0.25, 0.6) * swept, dice.uniform(0.13, 0.18)
    span, rear, wheels = 0.38 + 0.12 * below, length * 0.85, upright * dice.chance(0.35)
    low = dice.chance(0.65)  # engines below the wing, or at the tail
    wing: Fields = {"width": chord, "square": 0.6, "shade": 0.1}
    parts = [
        Part(darker(hull, 0.7), 0.1, -0.18 - 0.24 * below, height=0.26 + 0.24 * below, angle=sweep,
             taper=0.4, **wing),
        Part(darker(hull, 0.8), rear, -0.2, 0.1, 0.22, sweep, 0.6, 0.3, opacity=below),
        Part(accent, rear, -0.28, 0.15, dice.uniform(0.25, 0.34), 0.4, 0.7, 0.4, opacity=upright),
        Part(GLASS, -0.25, -radius, 0.24, 0.09, opacity=propeller),
        Part(hull, 0, 0, length, radius, square=0.25, taper=-0.3 * upright, shade=0.45),
        Part(accent, 0, 0.04, length * 0.92, 0.035, square=0.5, shade=0,
             opacity=upright * dice.chance(0.6)),
        Part(GLASS, -0.05, -0.05, length * 0.7, 0.03, square=0.8, stripes=0.5, stripe_count=16,
             opacity=jet, shade=0),
        Part(GLASS, -length * 0.83, -0.06, 0.08, 0.045, opacity=jet, shade=0),
        Part(darker(hull, 0.85), rear, 0.2 * below, 0.16 - 0.06 * below, 0.05 + 0.17 * below,
             -sweep * below, 0.6, -0.3 * below),
        Part(darker(accent, 0.75), 0.5 - 0.5 * low, 0.28 * low - 0.06, 0.14, 0.075, square=0.4,
             opacity=swept),
        Part(darker(hull, 0.88), 0.12, 0.22 + 0.2 * below, height=span, angle=-sweep, taper=-0.4,
             **wing),
        Part((0.2, 0.2, 0.2), -length, 0, 0.035, dice.uniform(0.25, 0.36), square=0.3,
             opacity=0.8 * propeller),
        *(Part(TYRE, x, radius + 0.13, 0.065, 0.065, opacity=wheels, shade=0) for x in (-0.5, 0.2)),
    ]
    return Scene(parts, "sky", tilt=0.2, scale=(0.8, 1.12), rough=0.5)


def car(dice: Dice) -> Scene:
    """Draw a car from the side or from the front."""
    kinds = aside, front = dice.pick(0.65, 0.35)
    body = varnish(dice)
    length = by_kind(kinds, dice.uniform(0.76, 0.92), 0.62)
    deck = dice.uniform(0.18, 0.25) + 0.06 * front
    roof = by_kind(kinds, dice.uniform(0.34, 0.55), 0.48)
    cabin, top = dice.normal(0.06, 0.1) * aside, -0.12 - deck / 2
    tall, slope, wheel = dice.uniform(0.22, 0.3), dice.uniform(0.25, 0.55), dice.uniform(0.17, 0.22)
    pane: Fields = {"y": top + 0.03, "height": 0.68 * tall, "square": 0.75, "shade": -0.3}
    parts = [
        Part((0.1, 0.1, 0.1), 0, 0.46, length, 0.08, opacity=0.6),
        *(Part(TYRE, x, 0.4, 0.11, 0.17, square=0.7, opacity=front) for x in (-0.45, 0.45)),
        Part(body, cabin, top, roof, tall, square=0.65, taper=slope, shade=0.3),
        Part(GLASS, cabin - aside * roof * 0.42, width=roof * by_kind(kinds, 0.36, 0.82),
             taper=slope * by_kind(kinds, 0.6, 1), **pane),
        Part(GLASS, cabin + roof * 0.42, width=roof * 0.36, taper=slope * 0.6,
             opacity=aside, **pane),
        Part(body, 0, 0.14, length, deck, square=dice.uniform(0.5, 0.8), shade=0.4,
             taper=dice.uniform(-0.05, 0.15)),
        Part(TYRE, 0, 0.2, 0.3, 0.075, square=0.7, stripes=0.5, stripe_count=12, opacity=front),
        Part(TYRE, 0, 0.12, length * 0.96, 0.012, square=0.7, opacity=0.6 * aside),
    ]
    for side in (-1, 1):
        lamp = mix((0.95, 0.93, 0.75), (0.75, 0.08, 0.08), aside * (side > 0))
        parts += [
            Part(TYRE, side * length * 0.6, 0.34, wheel, wheel, opacity=aside),
            Part(METAL, side * length * 0.6, 0.34, wheel * 0.58, wheel * 0.58, opacity=aside),
            Part(lamp, side * (length * 0.95 - 0.17 * front), 0.08, 0.06 + 0.07 * front, 0.06,
                 square=0.3, shade=0),
        ]
    return Scene(parts, "road", studio=0.12, tilt=0.1, scale=(0.8, 1.15))


def motorbike(dice: Dice) -> Scene:
    """Draw a motorbike from the side: a sports machine with a fairing, or one without."""
    paintwork, sporty = varnish(dice), dice.chance(0.35)
    radius, reach = dice.uniform(0.29, 0.36), dice.uniform(0.55, 0.64)
    rake = dice.uniform(0.25, 0.6)
    parts = []
    for side in (-1, 1):
        parts += [
            Part(TYRE, side * reach, 0.35, radius, radius, hollow=dice.uniform(0.6, 0.78), shade=0),
            Part(METAL, side * reach, 0.35, radius * 0.7, radius * 0.7, hollow=0.88, shade=0),
            Part(METAL, side * reach, 0.35, 0.08, 0.08),
        ]
    parts += [
        Part(paintwork, reach * 0.95, 0.02, 0.26, 0.07, 0.15, bend=0.5),
        Part(paintwork, -reach, 0.0, 0.2, 0.05, bend=0.5, opacity=1 - sporty),
        Part(METAL, -reach * 0.8, 0.0, 0.045, 0.46, rake, square=0.5),
        Part((0.22, 0.22, 0.24), 0.02, 0.28, dice.uniform(0.24, 0.32), 0.22, square=0.4,
             stripes=0.35, stripe_count=5, stripe_angle=np.pi / 2),
        Part(METAL, 0.35, 0.45, 0.4, 0.055, -0.08, square=0.5),
        Part(darker(paintwork, 0.8), 0.3, 0.1, 0.25, 0.07, 0.3, square=0.4),
        Part((0.09, 0.08, 0.08), 0.36, -0.08, dice.uniform(0.26, 0.38), 0.085, -0.12,
             bend=-0.4, square=0.3),
        Part(paintwork, -0.1, -0.1, dice.uniform(0.27, 0.36), dice.uniform(0.13, 0.19),
             dice.normal(0.1, 0.1), square=0.15, shade=0.4),
        Part(paintwork, -0.34, 0.08, 0.24, 0.28, 0.5, square=0.3, taper=-0.3, opacity=sporty),
        Part((0.1, 0.1, 0.1), -0.45, -0.38, 0.18, 0.04, dice.normal(-0.2, 0.25), square=0.4),
        Part((0.9, 0.88, 0.78), -0.62, -0.2, 0.1, 0.1, shade=0.1),
    ]
    return Scene(parts, "road", studio=0.4, tilt=0.1, scale=(0.8, 1.1))
