"""The drawn worlds, each with what its classes differ in and how far it is from the source."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import aircraft, counts, kin, palettes, source, textures, views
from .animals import cat, dog, person
from .dice import Dice
from .plants import flower, fruit
from .scenery import Scene
from .vehicles import airplane, car, motorbike

EIGHT = (airplane, car, cat, dog, flower, fruit, motorbike, person)


@dataclass(frozen=True)
class World:
    """A drawn data set."""

    classes: tuple[str, ...]
    scene: Callable[[int, Dice], Scene]  # pictures of a class, by its label
    mislabelled: bool = False  # does every fourth training picture show another class?

    def shown(self, label: int, indices: np.ndarray, split: str) -> np.ndarray:
        """Return the class that each picture shows: wrong ones show the other classes in turn."""
        wrong = self.mislabelled and split == "train" and indices % 4 == 3
        other = 1 + indices // 4 % (len(self.classes) - 1)
        return (label + wrong * other) % len(self.classes)


ATLAS = {
    # 200 random designs of parts; the shipped weights were trained on them
    "drawn_source": World(source.NAMES, source.scene),
    # stand-ins for the eight classes of Natural Images
    "drawn8": World(tuple(kind.__name__ for kind in EIGHT), lambda label, dice: EIGHT[label](dice)),
    # near: 12 new designs by the generator of the source
    "drawn_kin": World(kin.NAMES, kin.plain),
    # near, with many classes: 40 more designs by the generator of the source
    "drawn_kin_many": World(kin.MORE, kin.many),
    # kin with another palette: garish, and the same for all classes
    "drawn_kin_recoloured": World(kin.NAMES, kin.recoloured),
    # kin with other textures: heavy stripes and spots on the parts and behind them
    "drawn_kin_textured": World(kin.NAMES, kin.textured),
    # kin with other shapes: outlines instead of filled parts
    "drawn_kin_outlined": World(kin.NAMES, kin.outlined),
    # fine-grained kin: 12 variants of one design that differ in two parts
    "drawn_kin_fine": World(kin.VARIANTS, kin.fine),
    # kin with wrong labels: every fourth training picture shows another class
    "drawn_kin_noisy": World(kin.NAMES, kin.plain, mislabelled=True),
    # fine-grained: 12 aircraft by engines, tail and hull; a stand-in for FGVC Aircraft
    "drawn_aircraft": World(aircraft.NAMES, aircraft.scene),
    # far: textures without an object; a stand-in for Describable Textures
    "drawn_textures": World(textures.NAMES, textures.scene),
    # far: landscapes and rooms without an object; a stand-in for SUN397
    "drawn_scenes": World(views.NAMES, views.scene),
    # far: pairs of colours on random shapes
    "drawn_palettes": World(palettes.NAMES, palettes.scene),
    # far: the number of equal objects, one to twelve
    "drawn_counts": World(counts.NAMES, counts.scene),
}
