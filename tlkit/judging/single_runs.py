"""Tests for one run of each method. They do not know that another seed gives another result."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def z_test(first: ArrayLike, second: ArrayLike, images: int) -> np.ndarray:
    """Return the two-sided p value of two accuracies (0 … 1), as if on different images.

    `images` is the number of test images of each. Any shape.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    variance = first * (1 - first) / images + second * (1 - second) / images
    return 2 * stats.norm.sf(abs(first - second) / np.sqrt(np.maximum(variance, 1e-12)))


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Return McNemar's exact two-sided p value: which images each run had right, bool [images].

    1 where the runs differ on no image. Source: McNemar 1947, "Note on the sampling error of the
    difference between correlated proportions or percentages".
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)
