"""Landscapes and rooms without an object: stand-ins for the scenes of SUN397."""

import numpy as np

from .dice import Colour, Dice, Numbers, darker
from .painter import Part
from .scenery import Scene

ACROSS = np.arange(-1.4, 1.5, 0.35)  # places from the left border to the right
# Each view paints what is far and what is near in two colours; no colour belongs to a view.


def beach(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint the sea, and a bay of sand."""
    sea = _ground(far, 0, stripes=0.15, stripe_count=40)
    return [sea, Part(near, -0.9, 1.1, 1.5, dice.uniform(0.6, 0.9))]


def hills(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint round hills, one behind the other."""
    return [
        Part(colour, x + dice.normal(0, 0.1), y, 1.3, dice.uniform(0.5, 0.8))
        for colour, x, y in ((darker(far, 0.8), -0.5, 0.3), (far, 0.7, 0.5), (near, -0.2, 1.1))
    ]


def mountains(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint pointed mountains beyond a plain."""
    peaks = [
        Part(darker(far, shade), x, 0.2, 0.7, dice.uniform(0.5, 0.9), square=-1)
        for shade, x in ((0.9, -0.8), (0.75, 0.7), (1, 0), (1, 1.3), (0.8, -1.4))
    ]
    return [*peaks, _ground(near, 0.2)]


def skyline(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint houses of different heights, side by side."""
    houses = [
        Part(darker(far, dice.uniform(0.7, 1.1)), x, 0.5, 0.18, dice.uniform(0.2, 1),
             square=1, stripes=0.2, stripe_count=6) for x in ACROSS
    ]
    return [*houses, _ground(near, 0.5)]


def forest(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint trunks from top to bottom."""
    trunks = [
        Part(darker(far, dice.uniform(0.7, 1.1)), x + dice.normal(0, 0.06), 0,
             dice.uniform(0.05, 0.11), 2, dice.normal(0, 0.05), 1, fur=0.2) for x in ACROSS
    ]
    return [_ground(near, 0.4), *trunks]


def road(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint a straight road to the horizon."""
    width = dice.uniform(0.5, 0.9)
    return [_ground(near, 0), Part(far, 0, 0.8, width, 0.8, square=1, taper=0.95)]


def field(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint furrows to the horizon."""
    return [_ground(near, 0, stripes=0.5, stripe_count=dice.uniform(20, 28))]


def room(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint a wall with a window, above a floor."""
    window = Part(far, dice.uniform(-0.5, 0.5), -0.2, 0.32, 0.4, square=1, shade=0)
    return [window, _ground(near, 0.6)]


def corridor(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint a doorway within a doorway, five times."""
    x, y = dice.normal(0, 0.05), dice.normal(0, 0.05)
    return [
        Part((near, far)[number % 2], x * number, y * number, size, size, square=1)
        for number, size in enumerate((1.2, 0.9, 0.65, 0.45, 0.28))
    ]


def bridge(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint arches over water."""
    height = dice.uniform(0.4, 0.5)
    deck = Part(far, 0, 0.3 - height, 3, 0.1, square=1)
    arches = [Part(far, x, 0.35, 0.42, height, hollow=0.75) for x in (-1.2, -0.4, 0.4, 1.2)]
    return [deck, *arches, _ground(near, 0.4)]


def stairs(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint steps up to the right, lit and in the shade by turns."""
    rise = dice.uniform(0.25, 0.4)
    return [
        Part(darker(near, (1, 0.7)[step % 2]), 0.35 * step + 2, 2.9 - rise * step, 3, 2,
             square=1, shade=0) for step in range(-4, 6)
    ]


def fence(dice: Dice, far: Colour, near: Colour) -> list[Part]:
    """Paint slats and rails before a meadow."""
    rails = [Part(darker(far, 0.8), 0, y, 3, 0.06, square=1) for y in (0.15, 0.6)]
    slats = [Part(far, x, 0.35, 0.09, dice.uniform(0.4, 0.6), square=0.9) for x in ACROSS]
    return [_ground(near, 0), *rails, *slats]


def _ground(colour: Colour, top: float, **look: Numbers) -> Part:
    """Return a part that fills all below `top`; its stripes are horizontal."""
    return Part(colour, y=top + 2, width=3, height=2, square=1, shade=0.1,
                stripe_angle=np.pi / 2, **look)


VIEWS = (beach, hills, mountains, skyline, forest, road, field, room, corridor, bridge, stairs,
         fence)
NAMES = tuple(view.__name__ for view in VIEWS)


def scene(label: int, dice: Dice) -> Scene:
    """Draw pictures of a view, before a sky or a wall."""
    sky, far, near = (dice.colour((0, 1), (0, 0.7), (0.2, 0.9)) for _ in range(3))
    parts = [Part(sky, width=3, height=3, square=1), *VIEWS[label](dice, far, near)]
    return Scene(parts, tilt=0.05, scale=(1, 1.3), clutter=0.5)
