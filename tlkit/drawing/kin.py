"""Kin of the source: new designs by its generator, and the same with one thing changed."""

from dataclasses import replace
from itertools import product

import numpy as np

from .dice import Dice, Numbers, hsv
from .painter import Part
from .scenery import Scene
from .source import Design, Group, arrange, depict, design, group

DESIGNS = 20_250  # the seed of these designs; the source has another
NAMES = tuple(f"kin_{number:02d}" for number in range(12))
MORE = tuple(f"kin_{number:02d}" for number in range(12, 52))
MARKS = tuple(product(range(4), range(3)))  # which of four parts a variant has, and which of three
VARIANTS = tuple(f"variant_{first}{second}" for first, second in MARKS)


def plain(label: int, dice: Dice) -> Scene:
    """Nothing changed."""
    return depict(design(label, DESIGNS), dice)


def many(label: int, dice: Dice) -> Scene:
    """Forty more designs, none of them among the twelve."""
    return plain(len(NAMES) + label, dice)


def recoloured(label: int, dice: Dice) -> Scene:
    """Garish colours, the same for all classes."""
    garish = [
        hsv(dice.uniform(0, 1), dice.uniform(0.9, 1), dice.uniform(0.9, 1)) for _ in range(3)
    ]
    return arrange(design(label, DESIGNS), garish, dice)


def textured(label: int, dice: Dice) -> Scene:
    """Stripes, spots and noise on the parts and behind them, the same for all classes."""
    scene = plain(label, dice)
    colour = hsv(dice.uniform(0, 1), dice.uniform(0, 0.7), dice.uniform(0.2, 0.95))
    behind = Part(colour, width=2.5, height=2.5, square=1, shade=0, **_texture(dice, scale=5))
    on_parts = _texture(dice, scale=1)
    scene.parts = [behind] + [replace(part, **on_parts) for part in scene.parts]
    return scene


def _texture(dice: Dice, scale: float) -> dict[str, Numbers]:
    """Fields of a part: heavy stripes, spots or both; `scale` is the size of the part."""
    striped, spotted, both = dice.pick(0.4, 0.4, 0.2)
    return {
        "stripes": dice.uniform(0.35, 0.65) * (striped + both),
        "stripe_count": scale * dice.uniform(3, 7), "stripe_angle": dice.uniform(0, np.pi),
        "spots": dice.uniform(0.35, 0.65) * (spotted + both), "fur": dice.uniform(0.1, 0.35),
    }


def outlined(label: int, dice: Dice) -> Scene:
    """Outlines instead of filled parts."""
    scene = plain(label, dice)
    scene.parts = [
        replace(part, hollow=1 - np.minimum(0.07 / np.minimum(part.width, part.height), 1))
        for part in scene.parts
    ]
    return scene


def fine(label: int, dice: Dice) -> Scene:
    """Twelve variants of one design: two of its parts differ."""
    return depict(variant(label), dice)


def variant(label: int) -> Design:
    """The first design with two more parts."""
    kind = design(0, DESIGNS)
    marks = [_mark(place, number) for place, number in enumerate(MARKS[label])]
    return replace(kind, groups=kind.groups + marks)


def _mark(place: int, number: int) -> Group:
    """A part that is always there, as large as to be seen."""
    random = np.random.default_rng([DESIGNS, place, number])
    return group(random, "once", random.uniform(0.25, 0.4, 2), presence=1)
