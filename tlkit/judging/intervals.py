"""Intervals that say what they are, and the paired difference of two arms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

LEVEL = 0.95  # of every interval that is shown
FAMILY = 60  # claims that the ledgers of all studies together may hold
# Bonferroni: each verdict is wrong with (1 - LEVEL) / FAMILY at most, any of them with 1 - LEVEL.
FAMILY_LEVEL = 1 - 2 * (1 - LEVEL) / FAMILY


def in_words(mean: float, low: float, high: float, places: int = 1) -> str:
    """Return an estimate with its interval, as everywhere in the kit: "+1.3 [0.5, 2.1]".

    One seed has no interval, and the text says so.
    """
    if not np.isfinite([low, high]).all():
        return f"{_minus(f'{mean:+z.{places}f}')} [no interval]"
    return _minus(f"{mean:+z.{places}f} [{low:z.{places}f}, {high:z.{places}f}]")


def _minus(text: str) -> str:
    return text.replace("-", "−")


@dataclass(frozen=True)
class Difference:
    """A metric of one arm minus another's, in points, and where its variance comes from."""

    mean: float
    by_seed: float  # variance of the mean through the seeds, points squared
    by_image: float  # and through the test images, beyond what the seeds show
    seeds: int
    images: int
    by_chance: float = 0.0  # the part of `by_seed` that is chance within each seed's outcomes
    places: ClassVar[int] = 1  # decimals of the text

    def __str__(self) -> str:
        return in_words(self.mean, *self.interval(), self.places)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Two-sided interval for the true mean; unbounded for one seed.

        Student's half-widths of the two parts, added as squares: few seeds give few degrees of
        freedom, however many the images. Seeds that happen to agree count for no less than the
        chance within them.
        """
        if self.seeds < 2:
            return -np.inf, np.inf
        half = self._half_width(level, self.seeds)
        return self.mean - half, self.mean + half

    def _half_width(self, level: float, seeds: int | np.ndarray) -> float | np.ndarray:
        """What it would be with `seeds` seeds of the same variance."""
        t_seeds, t_images, t_chance = (
            stats.t.ppf((1 + level) / 2, freedom)
            for freedom in (seeds - 1, self.images - 1, (seeds - 1) * (self.images - 1))
        )
        by_seed = np.maximum(t_seeds**2 * self.by_seed, t_chance**2 * self.by_chance)
        return np.sqrt(by_seed * self.seeds / seeds + t_images**2 * self.by_image)

    def verdict(self, at_least: float, level: float = LEVEL) -> str:
        """Is the true difference `at_least` so many points?

        "supported" or "contradicted" when the whole interval lies on one side, else "undecided".
        """
        return decide(self.interval(level), at_least)

    def clearance(self, at_least: float) -> float:
        """How far above `at_least` the mean lies, in half-widths (1: just supported), or points."""
        half = self._half_width(LEVEL, self.seeds) if self.seeds > 1 else 1.0
        return (self.mean - at_least) / half

    def seeds_to_decide(self, at_least: float, level: float = LEVEL) -> float:
        """About how many seeds in all would decide if mean and variances stayed as they are.

        Infinite when not even 1,000 would, with these test images, or when one seed cannot tell.
        """
        seeds = np.arange(2, 1001)
        enough = self._half_width(level, seeds) < abs(self.mean - at_least)
        return seeds[enough][0] if enough.any() else np.inf


@dataclass(frozen=True)
class Estimate:
    """Any other quantity that a claim is about."""

    mean: float
    at: Callable[[float], tuple[float, float]]  # the interval at a level
    seeds: int
    of: str  # what more of would narrow the interval, such as "targets"
    places: int = 2  # decimals of the text

    @classmethod
    def t(cls, values: Sequence[float], of: str = "seeds", places: int = 2) -> "Estimate":
        """Estimate the mean of independent values, with Student's t interval."""
        values = np.asarray(values, float)

        def at(level: float) -> tuple[float, float]:
            return interval(values, level)

        return cls(float(values.mean()), at, len(values), of, places)

    def __str__(self) -> str:
        return in_words(self.mean, *self.interval(), self.places)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Two-sided interval for the true value."""
        return self.at(level)

    def verdict(self, at_least: float, level: float = LEVEL) -> str:
        """Is the true value `at_least` that? In the words of `Difference.verdict`."""
        return decide(self.interval(level), at_least)

    def clearance(self, at_least: float) -> float:
        """How far above `at_least` the value lies, in half-widths of its interval."""
        low, high = self.interval()
        return (self.mean - at_least) / (high - low) * 2


def decide(interval: tuple[float, float], at_least: float) -> str:
    """Does the whole interval lie above or below `at_least`?"""
    low, high = interval
    if low >= at_least:
        return "supported"
    return "contradicted" if high < at_least else "undecided"


def difference(better: np.ndarray, worse: np.ndarray, one: float = 1.0) -> Difference:
    """Paired difference of two arms, from what each image adds to their metric: [seeds, images].

    For accuracy that is whether it was right (bool). `one` is the most that a single image can
    change there (`metrics.largest_change`).

    Two samples are averaged over: seeds (training images, order, new weights) and the test
    images, which all seeds share: a crossed two-way layout (Owen 2007, "The pigeonhole
    bootstrap"). The residual is counted with the seeds only, and the images count at least as if
    they differed in one of them, since none found wrong does not mean that none ever will be.
    Raises ValueError for arms of different shape.
    """
    if better.shape != worse.shape:
        raise ValueError(f"arms are not paired: [seeds, images] {better.shape}, {worse.shape}")
    better, worse = better.astype(float), worse.astype(float)
    points = 100 * (better - worse)
    seeds, images = points.shape
    if seeds < 2:
        return Difference(points.mean(), np.inf, np.inf, seeds, images)
    rows, columns = points.mean(1, keepdims=True), points.mean(0, keepdims=True)
    by_seed = rows.var(ddof=1) / seeds
    residual = ((points - rows - columns + points.mean()) ** 2).sum() / (seeds - 1) / (images - 1)
    one = 100 * max(one, np.ptp([better, worse]))
    by_image = max(columns.var(ddof=1) - residual / seeds, one**2 / images) / images
    by_chance = residual / seeds / images
    return Difference(points.mean(), by_seed, by_image, seeds, images, by_chance)


def power(
    effect: float, deviation: float, seeds: np.ndarray | int, level: float = LEVEL
) -> np.ndarray | float:
    """Chance that `seeds` paired seeds show a true `effect` to be above 0, 0 … 1.

    `deviation` is the standard deviation of the paired difference over seeds, in the unit of the
    effect, `level` that of the interval. Power of the t test behind `verdict` (noncentral t), the
    test images held fixed.
    """
    critical = stats.t.ppf((1 + level) / 2, np.asarray(seeds) - 1)
    return stats.nct.sf(critical, np.asarray(seeds) - 1, effect * np.sqrt(seeds) / deviation)


def interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Return Student's t interval for the mean of independent runs; unbounded for one run."""
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        return -np.inf, np.inf
    half = stats.t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)
