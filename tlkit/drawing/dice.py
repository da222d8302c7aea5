"""Random numbers and colours for many images at once; image i uses row i and nothing else."""

from collections.abc import Sequence

import numpy as np

Numbers = float | np.ndarray  # one value for all images, or one for each: [n]
Colour = tuple[Numbers, ...]  # red, green, blue, each 0 … 1
Range = tuple[float, float]  # low, high

COLUMNS = 512  # more numbers than any picture needs; fixed, so that streams never shift


class Dice:
    """Random numbers for n images; every call uses up a column of numbers drawn beforehand."""

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self._generators = generators
        self._columns = iter(np.stack([each.random(COLUMNS) for each in generators], axis=1))

    def uniform(self, low: Numbers, high: Numbers) -> np.ndarray:
        """Return numbers that are evenly spread between `low` and `high`, [n]."""
        return low + (np.asarray(high) - low) * next(self._columns)

    def normal(self, mean: Numbers, deviation: Numbers) -> np.ndarray:
        """Return bell-shaped numbers, at most three deviations from the mean, [n]."""
        total = next(self._columns) + next(self._columns) + next(self._columns)
        return mean + deviation * 2 * (total - 1.5)

    def chance(self, probability: Numbers) -> np.ndarray:
        """Return 1.0 with this probability, otherwise 0.0, [n]."""
        return (next(self._columns) < probability).astype(float)

    def pick(self, *shares: float) -> list[np.ndarray]:
        """Choose among kinds with these shares (sum 1): return a 0-or-1 array [n] for each."""
        kind = np.searchsorted(np.cumsum(shares)[:-1], next(self._columns), side="right")
        return [(kind == number).astype(float) for number in range(len(shares))]

    def colour(self, hue: Range, saturation: Range, value: Range) -> Colour:
        """Return a colour within these ranges; see `hsv`."""
        return hsv(self.uniform(*hue), self.uniform(*saturation), self.uniform(*value))

    def noise(self, *shape: int) -> np.ndarray:
        """Return standard normal numbers, float32 [n, *shape]; these use no column."""
        return np.stack([g.standard_normal(shape, dtype=np.float32) for g in self._generators])


def by_kind(kinds: Sequence[np.ndarray], *values: Numbers) -> Numbers:
    """Return the value that belongs to each image's kind; `kinds` as from `Dice.pick`."""
    return sum(kind * value for kind, value in zip(kinds, values, strict=True))


def hsv(hue: Numbers, saturation: Numbers, value: Numbers) -> Colour:
    """Return a colour by hue (0 red, 1/3 green, 2/3 blue, wraps around), saturation and value."""
    def channel(offset: int) -> Numbers:
        position = (offset + np.asarray(hue) % 1 * 6) % 6
        return value - value * saturation * np.clip(np.minimum(position, 4 - position), 0, 1)

    return channel(5), channel(3), channel(1)


def mix(colour: Colour, other: Colour, share: Numbers) -> Colour:
    """Return `colour`, replaced by `other` to this share (0 … 1)."""
    return tuple(one + (two - one) * share for one, two in zip(colour, other))


def darker(colour: Colour, factor: Numbers) -> Colour:
    """Return `colour` times `factor`."""
    return tuple(channel * factor for channel in colour)
