"""Can a published number be right? Checks for any study; each needs only what was printed."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def impossible(accuracy: ArrayLike) -> np.ndarray:
    """Return whether an accuracy, in %, lies outside 0 … 100. Any shape."""
    accuracy = np.asarray(accuracy)
    return (accuracy < 0) | (accuracy > 100)


def grim(printed: str, images: ArrayLike) -> np.ndarray:
    """Return whether a whole number of right answers gives the percentage `printed`.

    `images` are the possible sizes of the test set, [sizes]; the result is bool [2, sizes]. The
    first row is for rounding to the nearest: a half may go up, to even, or as the float falls. The
    second is for truncation. Only the decimals that are printed count: "87.6" may be anything that
    rounds to it, even in a column of two decimals. Raises ValueError for text that is no number.
    Source: GRIM, Brown and Heathers 2017, doi 10.1177/1948550616673876.
    """
    images = np.asarray(images)
    scale = 100 * 10 ** len(printed.partition(".")[2])
    digits = int(printed.replace(".", ""))  # the printed share is digits / scale, exactly
    low = np.array([[2 * digits - 1], [2 * digits]]) * images
    high = np.array([[2 * digits + 1], [2 * digits + 2]]) * images - [[0], [1]]
    # The fewest right answers that are not too few (rounded up, exactly): are they too many?
    fewest = np.maximum(-(-low // (2 * scale)), 0)
    return (fewest <= images) & (2 * scale * fewest <= high)


def grim_all(printed: Iterable[str], images: ArrayLike) -> np.ndarray:
    """Return whether one test set, with one rule of rounding, gives all percentages: [sizes]."""
    return np.all([grim(each, images) for each in printed], axis=0).any(axis=0)


def misfits(printed: Iterable[str], images: ArrayLike) -> list[str]:
    """Return the percentages that no test set of these sizes gives, with any rule of rounding."""
    return [each for each in printed if not grim(each, images).any()]


def split_sizes(counts: ArrayLike, percent: int) -> list[int]:
    """Return possible sizes of a test split of `percent` %, ascending, from the images per class.

    The share of each class, or that of all images, rounded down or up.
    """
    counts = np.asarray(counts)
    parts = [part * percent for part in (counts, counts.sum(keepdims=True))]
    sizes = [share.sum() for part in parts for share in (part // 100, -(-part // 100))]
    return sorted({int(size) for size in sizes})


def majority_share(counts: ArrayLike) -> float:
    """Return the accuracy, in %, of always naming the largest class, from the images per class."""
    return 100 * np.max(counts) / np.sum(counts)


def guessing_losses(counts: ArrayLike) -> tuple[float, float]:
    """Return the cross-entropies, in nats, of two guesses: by class shares, and uniform (ln k).

    `counts` are the images per class. No constant answer has a lower loss than
    the first, which is the entropy of the classes.
    """
    return float(stats.entropy(counts)), float(np.log(np.size(counts)))


def standard_error(first: ArrayLike, second: ArrayLike, images: ArrayLike) -> np.ndarray:
    """Return that of the difference of two accuracies (%) on `images` test images each, in points.

    Binomial, as if the two test sets were independent (unpaired): printed accuracies allow no
    more. Two models on the same images usually differ by less chance than this.
    """
    first, second = np.asarray(first), np.asarray(second)
    return np.sqrt((first * (100 - first) + second * (100 - second)) / np.asarray(images))


def z(first: ArrayLike, second: ArrayLike, images: ArrayLike) -> np.ndarray:
    """Return the difference of two accuracies (%), first minus second, in standard errors.

    It is not finite where the standard error is 0: both are 0 or 100 %.
    """
    return (np.asarray(first) - np.asarray(second)) / standard_error(first, second, images)
