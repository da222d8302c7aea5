"""What the checks find in published accuracies, each in one sentence; for any study.

`figures` has one row per printed accuracy: where, group (its rows can be compared), task, printed,
accuracy (%), loss (nats). `counts` gives the images per class of each task.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from tlkit.judging.intervals import LEVEL
from tlkit.studies import checks

KINDS = ("impossible", "inconsistent", "exceeds noise", "within noise", "not shown")
SHARES = (10, 15, 20, 25, 30)  # % of the images: likely test splits where a study states none
USUAL = (20, 30)  # those for which sampling errors are given
CRITICAL = stats.norm.ppf((1 + LEVEL) / 2)


class Finding(NamedTuple):
    """A row of an audit; `kind` is one of `KINDS`."""

    where: str
    published: str
    check: str
    finding: str
    kind: str


def of_figures(figures: pd.DataFrame, counts: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Everything that needs no knowledge of the study beyond its figures."""
    possible = np.array([_has_size(row, counts[row.task]) for row in figures.itertuples()])
    for row in figures[~possible].itertuples():
        yield _impossible(row, counts[row.task])
    for row in figures.itertuples():
        yield from _losses(row, counts[row.task])
    for (group, task), rows in figures[possible].groupby(["group", "task"], sort=False):
        yield _test_size(f"{group}, {task}", rows["printed"].unique(), counts[task])
        ranked = rows.sort_values("accuracy", kind="stable").itertuples()
        for worse, better in pairwise(ranked):
            if better.accuracy > worse.accuracy:
                yield difference(better, worse, likely_sizes(counts[task]))
    for task, rows in figures[possible].groupby("task", sort=False):
        yield _baseline(task, rows["accuracy"], counts[task])


def likely_sizes(images: np.ndarray) -> list[int]:
    """Test images of the usual splits, from the images per class, where a study states none."""
    return [checks.split_sizes(images, share)[0] for share in USUAL]


def points(value: float, decimals: int = 2) -> str:
    """A difference, with its sign."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def in_words(first: float, second: float, sizes: Sequence[int]) -> tuple[str, bool]:
    """Difference of two accuracies (%) with its z; whether it exceeds noise at all `sizes`.

    `sizes` are the possible numbers of test images, ascending.
    """
    scores = checks.z(first, second, sizes)
    said = [f"{each:.1f}".replace("-", "−") for each in scores]
    words = (
        f"{points(first - second)} points, z {_range(said)} for "
        f"{_range([f'{size:,}' for size in sizes])} test images"
    )
    return words, bool(np.all(np.abs(scores) > CRITICAL))


def difference(better: NamedTuple, worse: NamedTuple, sizes: Sequence[int]) -> Finding:
    """Whether noise explains why one row of `figures` is better than another."""
    said, exceeds = in_words(better.accuracy, worse.accuracy, sizes)
    error = checks.standard_error(better.accuracy, worse.accuracy, 1)
    needed = np.ceil((CRITICAL * error / (better.accuracy - worse.accuracy)) ** 2)
    return Finding(
        f"{better.where} − {worse.where}", f"{better.printed} − {worse.printed} %",
        "sampling error", f"{said}; from {needed:,.0f} images on |z| exceeds {CRITICAL:.2f}.",
        "exceeds noise" if exceeds else "within noise",
    )


def _range(values: Sequence[str]) -> str:
    return " to ".join(dict.fromkeys([values[0], values[-1]]))


def _has_size(row: NamedTuple, images: np.ndarray) -> bool:
    return bool(checks.grim(row.printed, np.arange(1, images.sum() + 1)).any())


def _impossible(row: NamedTuple, images: np.ndarray) -> Finding:
    said = f"No test set of up to {images.sum():,} images can give this"
    if checks.impossible(row.accuracy):
        said += (
            f": it is outside 0 to 100 %. With the point one place to the left it is "
            f"{row.accuracy / 10:.4g} %, where naming the largest class gives "
            f"{checks.majority_share(images):.1f} %"
        )
    return Finding(row.where, f"{row.printed} %", "range, GRIM", f"{said}.", "impossible")


def _losses(row: NamedTuple, images: np.ndarray) -> Iterator[Finding]:
    """A loss that guessing has, or worse, beside an accuracy that guessing has not."""
    informed, uniform = checks.guessing_losses(images)
    if row.loss < informed or row.accuracy <= checks.majority_share(images):
        return
    if row.loss <= uniform:
        said = f"is chance: guessing costs {informed:.4f} (by class shares) to {uniform:.4f}"
    else:
        said = f"is worse than the {uniform:.4f} of a uniform guess"
        if row.accuracy < 100:
            wrong = row.loss / (1 - row.accuracy / 100)
            said += f"; if all of it came from the wrong answers, {wrong:.1f} nats from each"
    yield Finding(
        row.where, f"{row.printed} %, loss {row.loss:.4f} nats", "loss of guessing",
        f"The loss {said} (uniform over {len(images)} classes: ln {len(images)}).", "inconsistent",
    )


def _test_size(where: str, printed: np.ndarray, images: np.ndarray) -> Finding:
    """Which sizes of a test set give all of these accuracies; the study states none."""
    every = np.arange(1, images.sum() + 1)
    likely = np.unique([size for share in SHARES for size in checks.split_sizes(images, share)])
    fitting, good = (sizes[checks.grim_all(printed, sizes)] for sizes in (every, likely))
    smallest = {each: every[checks.grim(each, every).any(0)][0] for each in printed}
    hardest = max(smallest, key=smallest.get)
    never = [each for each in printed if not checks.grim(each, likely).any()]
    which = f" ({', '.join(f'{size:,}' for size in good)})" if 0 < len(good) < 4 else ""
    least = f", the smallest {fitting[0]:,}" if len(fitting) else ""
    lone = f"No likely one gives {', '.join(never)}" if never else "Each alone fits a likely one"
    return Finding(
        where, f"{', '.join(printed)} %", "GRIM",
        f"Of {len(likely)} likely test sizes ({SHARES[0]} to {SHARES[-1]} % splits, {likely[0]:,} "
        f"to {likely[-1]:,}) {len(good) or 'none'}{which} can give all of these, rounded alike; of "
        f"all sizes up to {every[-1]:,}, {len(fitting):,} can{least}. {lone}; {hardest} needs "
        f"{smallest[hardest]:,} images or more.",
        "not shown" if len(fitting) else "inconsistent",
    )


def _baseline(task: str, accuracies: pd.Series, images: np.ndarray) -> Finding:
    majority = checks.majority_share(images)
    low, high = accuracies.min(), accuracies.max()
    return Finding(
        task, f"{low:g} to {high:g} %", "majority class",
        f"Naming the largest class always gives {majority:.1f} %; the published accuracies lie "
        f"{low - majority:.1f} to {high - majority:.1f} points above it.",
        "not shown",
    )
