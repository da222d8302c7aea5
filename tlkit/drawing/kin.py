"""Kin of the source: new designs by its generator, plain or with one change."""

from dataclasses import replace
from itertools import product

import numpy as np

from .dice import Dice
from .painter import Fields, Part
from .scenery import Scene
from .source import Design, depict, design, group

DESIGNS = 20_250  # the seed of these designs; the source has another
NAMES = tuple(f"kin_{number:02d}" for number in range(12))
MORE = tuple(f"kin_{number:02d}" for number in range(12, 52))
MARKS = tuple(product(range(4), range(3)))  # a variant has one of four parts, and one of three
VARIANTS = tuple(f"variant_{first}{second}" for first, second in MARKS)


def plain(label: int, dice: Dice) -> Scene:
    """Draw a new design."""
    return depict(design(label, DESIGNS), dice)


def many(label: int, dice: Dice) -> Scene:
    """Draw one of forty more designs, none of them among the twelve."""
    return plain(len(NAMES) + label, dice)


def recoloured(label: int, dice: Dice) -> Scene:
    """Draw a design in garish colours, the same for all classes."""
    garish = [dice.colour((0, 1), (0.9, 1), (0.9, 1)) for _ in range(3)]
    return depict(design(label, DESIGNS), dice, garish)


def textured(label: int, dice: Dice) -> Scene:
    """Add stripes, spots and noise to the parts and behind them, the same for all classes."""
    scene = plain(label, dice)
    colour = dice.colour((0, 1), (0, 0.7), (0.2, 0.95))
    behind = Part(colour, width=2.5, height=2.5, square=1, shade=0, **_texture(dice, scale=5))
    on_parts = _texture(dice, scale=1)
    scene.parts = [behind] + [replace(part, **on_parts) for part in scene.parts]
    return scene


def _texture(dice: Dice, scale: float) -> Fields:
    """Return heavy stripes, spots or both for a part of size `scale`."""
    striped, spotted, both = dice.pick(0.4, 0.4, 0.2)
    return {
        "stripes": dice.uniform(0.35, 0.65) * (striped + both),
        "stripe_count": scale * dice.uniform(3, 7), "stripe_angle": dice.uniform(0, np.pi),
        "spots": dice.uniform(0.35, 0.65) * (spotted + both), "fur": dice.uniform(0.1, 0.35),
    }


def outlined(label: int, dice: Dice) -> Scene:
    """Draw outlines instead of filled parts."""
    scene = plain(label, dice)
    scene.parts = [
        replace(part, hollow=1 - np.minimum(0.07 / np.minimum(part.width, part.height), 1))
        for part in scene.parts
    ]
    return scene


def fine(label: int, dice: Dice) -> Scene:
    """Draw one of twelve variants of a design; they differ in two parts."""
    return depict(variant(label), dice)


def variant(label: int) -> Design:
    """Return the first design with two more parts, large enough to be seen and always there."""
    kind = design(0, DESIGNS)
    marks = []
    for place, number in enumerate(MARKS[label]):
        random = np.random.default_rng([DESIGNS, place, number])
        marks.append(group(random, "once", random.uniform(0.25, 0.4, 2), presence=1))
    return replace(kind, groups=kind.groups + marks)
