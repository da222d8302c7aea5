"""Twelve variants of aircraft that differ in engines, tail and hull, never in colour."""

from itertools import product

from .dice import Dice, darker, mix
from .painter import Part
from .scenery import Scene
from .vehicles import GLASS, METAL, TYRE, varnish

ENGINES = ("wing", "rear", "propeller")  # below the wing, at the rear of the hull, at the nose
TAILS = ("low", "tee")  # the tailplane at the hull, or on top of the fin
HULLS = ("long", "short")
VARIANTS = tuple(product(ENGINES, TAILS, HULLS))
NAMES = tuple("_".join(variant) for variant in VARIANTS)


def scene(label: int, dice: Dice) -> Scene:
    """Draw a variant from the side, its nose to the left."""
    engines, tail, hull = VARIANTS[label]
    below, rear, propeller = (engines == kind for kind in ENGINES)
    tee, short = tail == "tee", hull == "short"
    accent = varnish(dice)
    paint = mix(dice.colour((0, 1), (0, 0.2), (0.6, 0.98)), accent, 0.8 * dice.chance(0.3))
    length = (0.56 if short else 0.82) * dice.uniform(0.93, 1.07)
    radius = (0.22 if short else 0.12) * dice.uniform(0.9, 1.1)
    sweep, chord, reach = dice.uniform(0.2, 0.6), dice.uniform(0.12, 0.17), dice.uniform(0.3, 0.42)
    fin, nacelle = dice.uniform(0.23, 0.28), darker(mix(paint, accent, dice.chance(0.3)), 0.45)
    tip, stern = -radius - 1.7 * fin, 0.87 * length  # where the fin ends, and where it stands
    wheels, line, windows = dice.chance(0.15), dice.chance(0.5), dice.chance(0.7)
    parts = [
        Part(darker(paint, 0.7), 0.1, -radius - 0.06, chord, 0.2, sweep, 0.6, 0.4),
        Part(accent, stern, -radius - 0.7 * fin, 0.13, fin, 0.35, 0.7, 0.3),
        Part(paint, 0, 0, length, radius, square=0.25, taper=-0.25, shade=0.45),
        Part(accent, 0, 0.04, 0.92 * length, 0.035, square=0.5, shade=0, opacity=line),
        Part(GLASS, -0.05, -0.3 * radius, 0.7 * length, 0.035, square=0.8, stripes=0.5,
             stripe_count=16, shade=0, opacity=windows),
        Part(GLASS, -0.82 * length, -0.45 * radius, 0.09, 0.05, shade=0),
        Part(darker(paint, 0.6), stern + 0.04, tip if tee else -0.02, 0.3, 0.065, square=0.5),
        Part(darker(paint, 0.85), 0.12, radius + 0.4 * reach, chord, reach, -sweep, 0.6, -0.4),
        Part(nacelle, -0.12, radius + 0.14, 0.22, 0.11, square=0.5, opacity=below),
        Part(nacelle, 0.5 * length, -radius - 0.05, 0.22, 0.11, square=0.5, opacity=rear),
        Part(METAL, -1.03 * length, 0, 0.08, 0.08, opacity=propeller),
        Part(TYRE, -1.05 * length, 0, 0.04, dice.uniform(0.34, 0.42), square=0.3,
             opacity=0.85 * propeller),
        *(Part(TYRE, x, radius + 0.12, 0.06, 0.06, opacity=wheels, shade=0)
          for x in (-0.6 * length, 0.25)),
    ]
    return Scene(parts, "sky", tilt=0.1, scale=(0.82, 1.02), rough=0.4, clutter=0.2)
