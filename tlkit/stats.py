"""Intervals that say what they are, and the paired difference of two arms."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95  # of every interval that is shown


@dataclass(frozen=True)
class Difference:
    """Accuracy of one arm minus another's, in points, and where its variance comes from."""

    mean: float
    by_seed: float  # variance of the mean through the seeds, points squared
    by_image: float  # and through the test images
    seeds: int
    images: int

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Two-sided interval for the true mean; unbounded for one seed.

        Student's t with Satterthwaite's degrees of freedom.
        """
        if self.seeds < 2:
            return -np.inf, np.inf
        variance = self.by_seed + self.by_image
        if variance == 0:
            return self.mean, self.mean
        freedom = variance**2 / (
            self.by_seed**2 / (self.seeds - 1) + self.by_image**2 / (self.images - 1)
        )
        half = stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(variance)
        return self.mean - half, self.mean + half

    def verdict(self, at_least: float, level: float = LEVEL) -> str:
        """Is the true difference `at_least` so many points?

        "supported" or "contradicted" when the whole interval lies on one side, else "undecided".
        """
        low, high = self.interval(level)
        if low >= at_least:
            return "supported"
        return "contradicted" if high < at_least else "undecided"

    def seeds_to_decide(self, at_least: float) -> float:
        """About how many seeds in all would decide if the mean stayed as it is.

        By the normal approximation; infinite when no number would, with these test images.
        """
        z = stats.norm.ppf((1 + LEVEL) / 2)
        room = ((self.mean - at_least) / z) ** 2 - self.by_image
        return np.ceil(self.by_seed * self.seeds / room) if room > 0 else np.inf


def difference(better: np.ndarray, worse: np.ndarray) -> Difference:
    """Paired difference of two arms, from what each got right: bool [seeds, images].

    Two samples are averaged over: seeds (training images, order, new weights) and the test
    images, which all seeds share. The variance of the mean is var(seeds) / S + var(images) / N,
    that of a crossed two-way layout (Owen 2007, "The pigeonhole bootstrap") with the residual
    counted twice: on the safe side.
    """
    if better.shape != worse.shape:
        raise ValueError(f"arms are not paired: [seeds, images] {better.shape}, {worse.shape}")
    points = 100 * (better.astype(float) - worse.astype(float))
    seeds, images = points.shape
    by_seed = points.mean(1).var(ddof=1) / seeds if seeds > 1 else np.inf
    return Difference(points.mean(), by_seed, points.mean(0).var(ddof=1) / images, seeds, images)


def interval(values: pd.Series) -> tuple[float, float]:
    """Student's t interval of `LEVEL` for the mean of independent runs; unbounded for one run."""
    n = len(values)
    if n < 2:
        return -np.inf, np.inf
    half = stats.t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return values.mean() - half, values.mean() + half
