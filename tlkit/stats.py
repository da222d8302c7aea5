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
    by_image: float  # and through the test images, beyond what the seeds show
    seeds: int
    images: int

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Two-sided interval for the true mean; unbounded for one seed.

        Student's half-widths of the two parts, added as squares: few seeds give few degrees of
        freedom, however many the images.
        """
        if self.seeds < 2:
            return -np.inf, np.inf
        half = self._half_width(level, self.seeds)
        return self.mean - half, self.mean + half

    def _half_width(self, level: float, seeds: int | np.ndarray) -> float | np.ndarray:
        """What it would be with `seeds` seeds of the same variance."""
        t_seeds, t_images = (stats.t.ppf((1 + level) / 2, n - 1) for n in (seeds, self.images))
        by_seed = self.by_seed * self.seeds / seeds
        return np.sqrt(t_seeds**2 * by_seed + t_images**2 * self.by_image)

    def verdict(self, at_least: float, level: float = LEVEL) -> str:
        """Is the true difference `at_least` so many points?

        "supported" or "contradicted" when the whole interval lies on one side, else "undecided".
        """
        low, high = self.interval(level)
        if low >= at_least:
            return "supported"
        return "contradicted" if high < at_least else "undecided"

    def seeds_to_decide(self, at_least: float) -> float:
        """About how many seeds in all would decide if mean and variances stayed as they are.

        Infinite when not even 1,000 would, with these test images, or when one seed cannot tell.
        """
        seeds = np.arange(2, 1001)
        enough = self._half_width(LEVEL, seeds) < abs(self.mean - at_least)
        return seeds[enough][0] if enough.any() else np.inf


def difference(better: np.ndarray, worse: np.ndarray) -> Difference:
    """Paired difference of two arms, from what each got right: bool [seeds, images].

    Two samples are averaged over: seeds (training images, order, new weights) and the test
    images, which all seeds share: a crossed two-way layout (Owen 2007, "The pigeonhole
    bootstrap"). The residual is counted with the seeds only, and the images count at least as if
    they differed in one of them, since none found wrong does not mean that none ever will be.
    """
    if better.shape != worse.shape:
        raise ValueError(f"arms are not paired: [seeds, images] {better.shape}, {worse.shape}")
    points = 100 * (better.astype(float) - worse.astype(float))
    seeds, images = points.shape
    if seeds < 2:
        return Difference(points.mean(), np.inf, np.inf, seeds, images)
    rows, columns = points.mean(1, keepdims=True), points.mean(0, keepdims=True)
    residual = ((points - rows - columns + points.mean()) ** 2).sum() / (seeds - 1) / (images - 1)
    by_image = max(columns.var(ddof=1) - residual / seeds, 100**2 / images) / images
    return Difference(points.mean(), rows.var(ddof=1) / seeds, by_image, seeds, images)


def interval(values: pd.Series) -> tuple[float, float]:
    """Student's t interval of `LEVEL` for the mean of independent runs; unbounded for one run."""
    n = len(values)
    if n < 2:
        return -np.inf, np.inf
    half = stats.t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return values.mean() - half, values.mean() + half
