"""Say what the checks find in published accuracies, in sentences; for any study.

`counts` gives the images per class of each task.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from tlkit.judging.intervals import LEVEL
from tlkit.studies import checks

KINDS = ("impossible", "inconsistent", "exceeds noise", "within noise", "not shown")
SHARES = (10, 15, 20, 25, 30)  # % of the images: likely test splits where a study states none
CRITICAL = stats.norm.ppf((1 + LEVEL) / 2)


class Finding(NamedTuple):
    """A row of an audit; `kind` is one of `KINDS`."""

    where: str
    published: str
    check: str
    finding: str
    kind: str


class Figure(NamedTuple):
    """A printed accuracy, in %."""

    where: str
    printed: str
    group: str = ""  # figures of one group can be compared
    task: str = ""
    loss: float = np.nan  # nats

    @property
    def accuracy(self) -> float:
        return float(self.printed)


def of_figures(figures: Sequence[Figure], counts: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Yield all findings that need no knowledge of the study beyond its figures."""
    possible = []
    for each in figures:
        images = counts[each.task]
        yield from _losses(each, images)
        if not checks.misfits([each.printed], np.arange(1, images.sum() + 1)):
            possible.append(each)
            continue
        text = f"No test set of up to {images.sum():,} images can give this"
        if checks.impossible(each.accuracy):
            text += (
                f": it is outside 0 to 100 %. One tenth of it is {each.accuracy / 10:.4g} %, and "
                f"always naming the largest class gives {checks.majority_share(images):.1f} %"
            )
        yield Finding(each.where, f"{each.printed} %", "range, GRIM", f"{text}.", "impossible")
    for group, task in dict.fromkeys((each.group, each.task) for each in possible):
        mine = [each for each in possible if (each.group, each.task) == (group, task)]
        printed = list(dict.fromkeys(each.printed for each in mine))
        yield _test_size(f"{group}, {task}", printed, counts[task])
        for worse, better in pairwise(sorted(mine, key=lambda each: each.accuracy)):
            yield from sampling_error(better, worse, likely_sizes(counts[task]))
    for task in dict.fromkeys(each.task for each in possible):
        accuracies = [each.accuracy for each in possible if each.task == task]
        majority, low, high = checks.majority_share(counts[task]), min(accuracies), max(accuracies)
        text = (
            f"Always naming the largest class gives {majority:.1f} %; the published accuracies lie "
            f"{low - majority:.1f} to {high - majority:.1f} points above it."
        )
        yield Finding(task, f"{low:g} to {high:g} %", "majority class", text, "not shown")


def likely_sizes(images: np.ndarray) -> list[int]:
    """Return the test images of splits of 20 and 30 %, from the images per class."""
    return [checks.split_sizes(images, share)[0] for share in (20, 30)]


def points(value: float, form: str = "+.2f") -> str:
    """Return a number, such as a difference with its sign, with a true minus."""
    return format(value, form).replace("-", "−")


def listed(values: pd.Series, form: str = "+.2f", name: Callable[..., str] = str) -> str:
    """Return numbers with their places: "+0.83 (Caltech-256), −0.17 (Cars)"."""
    return ", ".join(f"{points(value, form)} ({name(at)})" for at, value in values.items())


def gap(first: float, second: float, sizes: Sequence[int]) -> tuple[str, str]:
    """Return the difference of two accuracies (%) with its z in words, and its kind.

    `sizes` are the possible numbers of test images, ascending. The kind is "exceeds noise" if the
    difference does so for all of them, else "within noise".
    """
    scores = checks.z(first, second, sizes)
    z, images = (_ends(*each) for each in ((scores, ".1f"), (sizes, ",")))
    text = f"{points(first - second)} points, z {z} for {images} test images"
    return text, "exceeds noise" if np.all(np.abs(scores) > CRITICAL) else "within noise"


def sampling_error(one: Figure, other: Figure, sizes: Sequence[int]) -> Iterator[Finding]:
    """Judge whether noise explains the difference of two figures, if there is one."""
    worse, better = sorted([one, other], key=lambda each: each.accuracy)
    if better.accuracy > worse.accuracy:
        text, kind = gap(better.accuracy, worse.accuracy, sizes)
        error = checks.standard_error(better.accuracy, worse.accuracy, 1)
        needed = np.ceil((CRITICAL * error / (better.accuracy - worse.accuracy)) ** 2)
        text += f"; |z| exceeds {CRITICAL:.2f} from {needed:,.0f} images on."
        where = f"{better.where} − {worse.where}"
        yield Finding(where, f"{better.printed} − {worse.printed} %", "sampling error", text, kind)


def _ends(values: Sequence[float] | np.ndarray, form: str) -> str:
    return " to ".join(dict.fromkeys(points(values[at], form) for at in (0, -1)))


def _losses(figure: Figure, images: np.ndarray) -> Iterator[Finding]:
    """Find a loss of guessing, or a worse one, beside an accuracy that is better than guessing."""
    informed, uniform = checks.guessing_losses(images)
    if figure.loss >= informed and figure.accuracy > checks.majority_share(images):
        text = f"A uniform guess has a loss of {uniform:.4f} (ln {len(images)})"
        if figure.loss <= uniform:
            text += f", a guess by class shares one of {informed:.4f}: this loss lies between."
        else:
            text += ": this loss is worse."
            if figure.accuracy < 100:
                wrong = figure.loss / (1 - figure.accuracy / 100)
                text += f" If only wrong answers cause it, each of them costs {wrong:.1f} nats."
        published = f"{figure.printed} %, loss {figure.loss:.4f} nats"
        yield Finding(figure.where, published, "loss of guessing", text, "inconsistent")


def _test_size(where: str, printed: Sequence[str], images: np.ndarray) -> Finding:
    """Say which sizes of a test set give all of these accuracies; the study states none."""
    every = np.arange(1, images.sum() + 1)
    likely = np.unique([size for share in SHARES for size in checks.split_sizes(images, share)])
    fitting, good = (sizes[checks.grim_all(printed, sizes)] for sizes in (every, likely))
    needed, hardest = max((every[checks.grim(each, every).any(0)][0], each) for each in printed)
    which = f" ({', '.join(f'{size:,}' for size in good)})" if 0 < len(good) < 4 else ""
    least = f", the smallest {fitting[0]:,}" if len(fitting) else ""
    never = ", ".join(checks.misfits(printed, likely)) or "none"
    text = (
        f"There are {len(likely)} likely test sizes ({SHARES[0]} to {SHARES[-1]} % splits, "
        f"{_ends(likely, ',')} images). With one rule of rounding, {len(good) or 'none'} of "
        f"them{which} can give all of these; of all sizes up to {every[-1]:,}, {len(fitting):,} "
        f"can{least}. Misfits on their own: {never}. {hardest} needs {needed:,} images or more."
    )
    kind = "not shown" if len(fitting) else "inconsistent"
    return Finding(where, f"{', '.join(printed)} %", "GRIM", text, kind)
