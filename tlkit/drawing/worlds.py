"""The drawn worlds, by how far they are from the source."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import aircraft, counts, eight, kin, palettes, source, textures, views
from .dice import Dice
from .scenery import Scene


@dataclass(frozen=True)
class World:
    """A drawn data set."""

    card: str  # what is to be told apart, and how far that is from the source
    classes: tuple[str, ...]
    scene: Callable[[int, Dice], Scene]  # pictures of a class, by its label
    mislabelled: bool = False  # does every fourth training picture show another class?

    def shown(self, label: int, indices: np.ndarray, split: str) -> np.ndarray:
        """The class that each picture of a class shows: wrong ones are each of the others."""
        wrong = self.mislabelled and split == "train" and indices % 4 == 3
        other = 1 + indices // 4 % (len(self.classes) - 1)
        return (label + wrong * other) % len(self.classes)


ATLAS = {
    "drawn_source": World(
        "200 random designs of parts: what the shipped weights were trained on",
        source.NAMES, source.scene,
    ),
    "drawn8": World(
        "stand-ins for the eight classes of Natural Images", eight.NAMES, eight.scene,
    ),
    "drawn_kin": World(
        "near: 12 new designs by the generator of the source", kin.NAMES, kin.plain,
    ),
    "drawn_kin_many": World(
        "near, with many classes: 40 more designs by the generator of the source",
        kin.MORE, kin.many,
    ),
    "drawn_kin_recoloured": World(
        "kin with another palette: garish, and the same for all classes",
        kin.NAMES, kin.recoloured,
    ),
    "drawn_kin_textured": World(
        "kin with other textures: heavy stripes and spots on the parts and behind them",
        kin.NAMES, kin.textured,
    ),
    "drawn_kin_outlined": World(
        "kin with other shapes: outlines instead of filled parts", kin.NAMES, kin.outlined,
    ),
    "drawn_kin_fine": World(
        "kin of a finer grain: 12 variants of one design, two of its parts differ",
        kin.VARIANTS, kin.fine,
    ),
    "drawn_kin_noisy": World(
        "kin with wrong labels: every fourth training picture shows another class",
        kin.NAMES, kin.plain, mislabelled=True,
    ),
    "drawn_aircraft": World(
        "fine-grained: 12 aircraft by engines, tail and hull; a stand-in for FGVC Aircraft",
        aircraft.NAMES, aircraft.scene,
    ),
    "drawn_textures": World(
        "far: textures without a thing; a stand-in for Describable Textures",
        textures.NAMES, textures.scene,
    ),
    "drawn_scenes": World(
        "far: landscapes and rooms without a thing; a stand-in for SUN397",
        views.NAMES, views.scene,
    ),
    "drawn_palettes": World(
        "far: pairs of colours on shapes of chance", palettes.NAMES, palettes.scene,
    ),
    "drawn_counts": World(
        "far: how many like things there are, one to twelve", counts.NAMES, counts.scene,
    ),
}
