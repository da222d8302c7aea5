"""The drawn eight: synthetic stand-ins for the eight classes of Natural Images."""

from .animals import cat, dog, person
from .dice import Dice
from .plants import flower, fruit
from .scenery import Scene
from .vehicles import airplane, car, motorbike

CLASSES = (airplane, car, cat, dog, flower, fruit, motorbike, person)
NAMES = tuple(kind.__name__ for kind in CLASSES)


def scene(label: int, dice: Dice) -> Scene:
    """Draw pictures of a class."""
    return CLASSES[label](dice)
