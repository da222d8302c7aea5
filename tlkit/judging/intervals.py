"""Intervals that say what they are, and the paired difference of two arms."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

LEVEL = 0.95  # of every interval that is shown
FAMILY = 60  # claims that the ledgers of all studies together may hold
# Bonferroni: each verdict is wrong with (1 - LEVEL) / FAMILY at most, any of them with 1 - LEVEL.
FAMILY_LEVEL = 1 - 2 * (1 - LEVEL) / FAMILY


def in_words(mean: float, low: float, high: float, places: int = 1) -> str:
    """Return an estimate with its interval, as everywhere in the kit: "+1.3 [0.5, 2.1]".

    One seed has no interval, and the text says so.
    """
    bounded = np.isfinite([low, high]).all()
    ends = f"{low:z.{places}f}, {high:z.{places}f}" if bounded else "no interval"
    return f"{mean:+z.{places}f} [{ends}]".replace("-", "−")


class Evidence:
    """What a claim is judged by: a number with its interval. `str` gives "+1.3 [0.5, 2.1]"."""

    mean: float
    seeds: int
    places: int  # decimals of the text

    def __str__(self) -> str:
        return in_words(self.mean, *self.interval(), self.places)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the two-sided interval for the true value; unbounded for one seed."""
        raise NotImplementedError

    def verdict(self, at_least: float, level: float = LEVEL) -> str:
        """Judge whether the true value is `at_least` this much.

        "supported" or "contradicted" when the whole interval lies on one side, else "undecided".
        """
        low, high = self.interval(level)
        if low >= at_least:
            return "supported"
        return "contradicted" if high < at_least else "undecided"

    def clearance(self, at_least: float) -> float:
        """Return how far above `at_least` the mean lies, in half-widths of its interval.

        1 is just supported. Without an interval, or with one of no width: in the unit of the mean.
        """
        low, high = self.interval()
        half = (high - low) / 2
        return (self.mean - at_least) / (half if 0 < half < np.inf else 1.0)


@dataclass(frozen=True)
class Difference(Evidence):
    """A metric of one arm minus another's, in points, and where its variance comes from."""

    mean: float
    by_seed: float  # variance of the mean through the seeds, points squared
    by_image: float  # and through the test images, beyond what the seeds show
    seeds: int
    images: int
    by_chance: float = 0.0  # the part of `by_seed` that is chance within each seed's outcomes
    places: int = 1

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the two-sided interval for the true mean; unbounded for one seed.

        It adds Student's half-widths of the two parts as squares: few seeds give few degrees of
        freedom, however many the images. Seeds that agree by luck count for no less than the
        chance within them.
        """
        if self.seeds < 2:
            return -np.inf, np.inf
        half = float(self._half_widths(level, self.seeds))
        return self.mean - half, self.mean + half

    def _half_widths(self, level: float, seeds: int | np.ndarray) -> np.ndarray:
        """Return the half-width for any number of seeds of the same variance."""
        t_seeds, t_images, t_chance = (
            stats.t.ppf((1 + level) / 2, freedom)
            for freedom in (seeds - 1, self.images - 1, (seeds - 1) * (self.images - 1))
        )
        by_seed = np.maximum(t_seeds**2 * self.by_seed, t_chance**2 * self.by_chance)
        return np.sqrt(by_seed * self.seeds / seeds + t_images**2 * self.by_image)

    def seeds_to_decide(self, at_least: float, level: float = LEVEL) -> float:
        """Return about how many seeds in all would decide, if mean and variances stayed the same.

        Infinite when 1,000 seeds with these test images would not, and for one seed.
        """
        seeds = np.arange(2, 1001)
        enough = seeds[self._half_widths(level, seeds) < abs(self.mean - at_least)]
        return float(enough[0]) if len(enough) else np.inf


@dataclass(frozen=True)
class Estimate(Evidence):
    """Any other quantity that a claim is about."""

    mean: float
    at: Callable[[float], tuple[float, float]]  # the interval at a level
    seeds: int
    of: str  # what more of would narrow the interval, such as "targets"
    places: int = 2

    @classmethod
    def t(cls, values: ArrayLike, of: str = "seeds", places: int = 2) -> "Estimate":
        """Estimate the mean of independent values, with Student's t interval."""
        values = np.asarray(values, float)
        return cls(float(values.mean()), partial(interval, values), len(values), of, places)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        return self.at(level)


def difference(better: np.ndarray, worse: np.ndarray, largest_change: float = 1.0) -> Difference:
    """Return the paired difference of two arms, from what each image adds: [seeds, images] each.

    For accuracy that is whether the image was right (bool). `largest_change` is the most that one
    image can add or take (`metrics.largest_change`).

    It averages over two samples: seeds (training images, order, new weights) and test images,
    which all seeds share. They make a crossed two-way layout (Owen 2007, "The pigeonhole
    bootstrap"). The residual counts with the seeds only. The images count at least as if the arms
    differed in one of them: a test set without errors does not prove that there are none.
    Raises ValueError for arms of different shape.
    """
    if better.shape != worse.shape:
        raise ValueError(f"arms are not paired: [seeds, images] {better.shape}, {worse.shape}")
    better, worse = better.astype(float), worse.astype(float)
    points = 100 * (better - worse)
    seeds, images = points.shape
    mean = float(points.mean())
    if seeds < 2:
        return Difference(mean, np.inf, np.inf, seeds, images)
    rows, columns = points.mean(1, keepdims=True), points.mean(0, keepdims=True)
    by_seed = rows.var(ddof=1) / seeds
    residual = ((points - rows - columns + mean) ** 2).sum() / (seeds - 1) / (images - 1)
    one = 100 * max(largest_change, np.ptp([better, worse]))
    by_image = max(columns.var(ddof=1) - residual / seeds, one**2 / images) / images
    by_chance = residual / seeds / images
    return Difference(mean, by_seed, by_image, seeds, images, by_chance)


def power(effect: float, deviation: float, seeds: ArrayLike, level: float = LEVEL) -> np.ndarray:
    """Return the chance that `seeds` paired seeds show a true `effect` to be above 0, 0 … 1.

    `deviation` is the standard deviation of the paired difference over seeds, in the unit of the
    effect, `level` that of the interval. Power of the t test behind `verdict` (noncentral t), the
    test images held fixed.
    """
    seeds = np.asarray(seeds)
    critical = stats.t.ppf((1 + level) / 2, seeds - 1)
    return stats.nct.sf(critical, seeds - 1, effect * np.sqrt(seeds) / deviation)


def interval(values: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Return Student's t interval for the mean of independent runs; unbounded for one run."""
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        return -np.inf, np.inf
    half = stats.t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)
