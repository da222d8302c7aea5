"""Cats, dogs and persons."""

import numpy as np

from .dice import Colour, Dice, darker, hsv, mix
from .painter import Part
from .scenery import Scene

WHITE, BLACK = (0.93, 0.92, 0.9), (0.06, 0.05, 0.05)
SIDES = (-1, 1)  # left and right


def cat(dice: Dice) -> Scene:
    """Draw a cat: pointed ears, short muzzle, bright eyes."""
    eyes = dice.colour((0.08, 0.36), (0.3, 0.75), (0.35, 0.95))
    nose = dice.colour((0.92, 1.05), (0.1, 0.5), (0.2, 0.8))
    return _pet(
        dice, eyes, nose, pointed=np.clip(dice.normal(0.88, 0.15), 0, 1), flat=0.88,
        muzzle=dice.normal(0.12, 0.04), pupil=(0.035, 0.075), tabby=0.45, tongue=0.03,
    )


def dog(dice: Dice) -> Scene:
    """Draw a dog: hanging ears (some have pointed ones), long muzzle, dark eyes."""
    eyes = dice.colour((0.03, 0.13), (0.3, 0.7), (0.1, 0.6))
    return _pet(
        dice, eyes, BLACK, pointed=np.clip(dice.normal(0.12, 0.12) + 0.7 * dice.chance(0.22), 0, 1),
        flat=1.0, muzzle=dice.normal(0.32, 0.05), pupil=(0.05, 0.05), tabby=0.08, tongue=0.35,
    )


def _pet(
    dice: Dice, eyes: Colour, nose: Colour, pointed: np.ndarray, flat: float, muzzle: np.ndarray,
    pupil: tuple[float, float], tabby: float, tongue: float,
) -> Scene:
    """Draw a pet from the front, its body behind or beside the head; numbers near 1 are large."""
    coat, second = _furs(dice)
    fur = {
        "stripes": dice.chance(tabby) * dice.uniform(0.15, 0.4), "fur": dice.uniform(0.06, 0.22),
        "stripe_count": dice.uniform(4, 7), "stripe_angle": dice.uniform(-0.5, 0.5),
        "spots": dice.chance(0.22) * dice.uniform(0.2, 0.5),
    }
    aside = dice.chance(0.5)
    x, y = dice.normal(-0.05, 0.05) - 0.25 * aside, dice.normal(-0.25, 0.05)
    width = dice.uniform(0.42, 0.52)
    height = width * dice.normal(flat, 0.05)
    body, waist = x + 0.04 + 0.5 * aside, 0.4 + 0.14 * aside
    ear = {
        "width": 0.19 - 0.03 * (1 - pointed), "height": 0.24 * pointed + 0.38 * (1 - pointed),
        "square": 0.5 * pointed, "taper": 0.85 * pointed + 0.25 * (1 - pointed),
    }
    ear_x, ear_y = width * (0.95 - 0.3 * pointed), y + height * (0.15 - 1.1 * pointed)
    lean, chin = 0.55 * pointed - 0.25, y + height * 0.5
    parts = [
        Part(coat, body + waist, dice.uniform(0.1, 0.5), 0.32, 0.07, dice.uniform(-1.5, 0.1),
             bend=dice.uniform(-1, 1.5), **fur),
        Part(coat, body, 0.5, waist, 0.52 - 0.16 * aside, square=0.15, **fur),
        *(Part(darker(coat, 0.85), at, 0.85, 0.11, 0.3, square=0.4, **fur)
          for at in (x - 0.2, x + 0.2, body + 0.38 * aside)),
        Part(second, x, 0.42, 0.2, 0.3, opacity=dice.chance(0.55), fur=0.15),
        *(Part(darker(coat, 0.78), x + side * ear_x, ear_y, angle=side * lean, **ear, **fur)
          for side in SIDES),
        *(Part((0.75, 0.52, 0.48), x + side * ear_x, ear_y + 0.05, 0.1, 0.15, side * lean, 0.5,
               taper=0.85, opacity=0.8 * (pointed > 0.5)) for side in SIDES),
        Part(coat, x, y, width, height, square=0.1, **fur),
        Part(second, x, y + 0.5 * height, 0.55 * width, 0.55 * height,
             opacity=dice.chance(0.4), fur=0.12),
        Part(mix(second, WHITE, 0.15), x, chin + 0.25 * muzzle, 0.15 + 0.25 * muzzle,
             0.07 + 0.6 * muzzle, fur=0.1, shade=0.35),
        Part((0.8, 0.35, 0.4), x, chin + 0.9 * muzzle, 0.07, 0.13, opacity=dice.chance(tongue)),
        Part(nose, x, chin - 0.02, 0.055 + 0.13 * muzzle, 0.04 + 0.12 * muzzle,
             taper=-0.5, shade=0),
    ]
    for side in SIDES:
        at = x + side * width * 0.42
        parts += [
            Part(eyes, at, y - 0.05, 0.11, 0.095, side * 0.2, shade=0),
            Part(BLACK, at, y - 0.05, *pupil, shade=0),
        ]
    return Scene(parts, "indoor", tilt=0.14, scale=(0.85, 1.2))


def _furs(dice: Dice) -> tuple[Colour, Colour]:
    """Return the colour of a coat, and a lighter, darker or equal colour that suits it."""
    hue, grey = dice.uniform(0.04, 0.12), dice.chance(0.4)
    saturation = dice.uniform(0.2, 0.65) * (1 - 0.85 * grey)
    coat = hsv(hue, saturation, dice.uniform(0.13, 0.95))
    light, dark, _ = dice.pick(0.5, 0.15, 0.35)
    second = mix(coat, hsv(hue, 0.3 * saturation, 0.93), light * dice.uniform(0.5, 1))
    return coat, darker(second, 1 - dark * dice.uniform(0.4, 0.7))


def person(dice: Dice) -> Scene:
    """Draw head and shoulders from the front."""
    skin = dice.colour((0.03, 0.09), (0.25, 0.6), (0.45, 0.97))
    hair = dice.colour((0.03, 0.12), (0, 0.65), (0.06, 0.75))
    clothes = dice.colour((0, 1), (0, 0.75), (0.1, 0.9))
    suit = dice.chance(0.4)
    clothes = mix(clothes, hsv(dice.uniform(0.55, 0.7), 0.25, dice.uniform(0.1, 0.4)), suit)
    _, long, bald = dice.pick(0.6, 0.28, 0.12)
    width, height = dice.uniform(0.4, 0.48), dice.uniform(0.54, 0.62)
    mouth = hsv(dice.uniform(0.97, 1.02), 0.5, dice.uniform(0.4, 0.75))
    parts = [
        Part(hair, 0, -0.25 + 0.25 * long, width * (1.13 + 0.1 * long), 0.5 + 0.25 * long,
             square=0.15, fur=0.15, opacity=1 - bald),
        Part(clothes, 0, 1.0, dice.uniform(0.8, 1.05), dice.uniform(0.4, 0.5), square=0.5,
             taper=0.3, stripes=dice.chance(0.15) * 0.3, stripe_count=9),
        Part((0.92, 0.92, 0.93), 0, 0.75, 0.2, 0.32, square=-0.6, taper=-0.5, opacity=suit),
        Part(darker(skin, 0.8), 0, 0.5, 0.19, 0.25, square=0.4),
        Part(hsv(dice.uniform(0, 1), 0.7, dice.uniform(0.2, 0.7)), 0, 0.95, 0.06, 0.25,
             square=0.3, taper=0.3, opacity=suit * dice.chance(0.75)),
        *(Part(darker(skin, 0.9), side * width, -0.05, 0.07, 0.12) for side in SIDES),
        Part(skin, 0, -0.05, width, height, square=0.12, taper=dice.uniform(-0.15, 0), shade=0.22),
        Part(darker(hair, 0.9), 0, 0.33, width * 0.75, 0.22, square=0.2, fur=0.15, bend=-0.3,
             opacity=dice.chance(0.15) * (1 - long) * 0.8),
        Part(hair, dice.normal(0, 0.06), -0.52, width * 0.95, dice.uniform(0.1, 0.2),
             bend=dice.uniform(0, 0.6), fur=0.15, opacity=1 - bald),
        Part(darker(skin, 0.82), 0, 0.06, 0.06, 0.12, taper=0.5, shade=0.1),
        Part(mouth, 0, 0.28, dice.uniform(0.12, 0.2), 0.045, bend=dice.uniform(-0.7, 0.3), shade=0),
    ]
    brow, lift, glasses = dice.uniform(0.02, 0.035), dice.normal(0.08, 0.1), dice.chance(0.2)
    for side in SIDES:
        parts += [
            Part((0.92, 0.92, 0.9), side * 0.17, -0.11, 0.09, 0.045, shade=0),
            Part(BLACK, side * 0.17, -0.11, 0.042, 0.045, shade=0),
            Part(darker(hair, 0.7), side * 0.17, -0.21, 0.11, brow, side * lift, shade=0),
            Part(BLACK, side * 0.17, -0.1, 0.14, 0.1, hollow=0.72, square=0.3, opacity=glasses),
        ]
    return Scene(parts, "indoor", tilt=0.07, scale=(0.95, 1.25))
