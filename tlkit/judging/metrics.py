"""Metrics of a run as means over images, so that each of them can be paired and has an interval."""

import re

import numpy as np

from tlkit.experiments.records import Record
from tlkit.ground.names import check_name, unknown

VALIDATION = re.compile(r"validation accuracy(?: after epoch (\d+))?")


def contributions(record: Record, metric: str) -> np.ndarray:
    """What each image adds to a metric: float [images], whose mean is the metric, 0 … 1.

    `metric` is "accuracy", "balanced accuracy" (mean recall of the classes) or "F1 of <class>",
    all on the test images; or "validation accuracy", of the last epoch or "after epoch <n>", on
    the run's own validation images.

    Beyond accuracy a metric is a ratio of means. It is linearised at its value (infinitesimal
    jackknife: Efron and Tibshirani 1993, chapter 21), so that the mean is exact and the variance
    over images is that of the ratio to first order. Raises `UnknownName`.
    """
    if found := VALIDATION.fullmatch(metric):
        return _validation(record, found[1])
    logits, labels = record.test_outputs()
    predicted = logits.argmax(1)
    if metric == "accuracy":
        return (predicted == labels).astype(float)
    if metric == "balanced accuracy":
        classes = [labels == label for label in np.unique(labels)]
        return np.mean([_ratio((predicted == labels) & mine, mine) for mine in classes], axis=0)
    known = {f"F1 of {name}": label for label, name in enumerate(record.classes)}
    check_name("metric", metric, ("accuracy", "balanced accuracy", "validation accuracy", *known))
    said, true = predicted == known[metric], labels == known[metric]
    return _ratio(2.0 * (said & true), said.astype(float) + true)


def largest_change(record: Record, metric: str) -> float:
    """The most that one image can change in `contributions`, also where none is wrong yet."""
    if metric == "accuracy" or VALIDATION.fullmatch(metric):
        return 1.0
    logits, labels = record.test_outputs()
    sizes = np.bincount(labels, minlength=len(record.classes))
    if metric == "balanced accuracy":
        present = sizes[sizes > 0]
        return len(labels) / len(present) / present.min()
    mine = record.classes.index(metric.removeprefix("F1 of "))
    said = (logits.argmax(1) == mine).sum()
    return (2 - contributions(record, metric).mean()) * len(labels) / (sizes[mine] + said)


def _validation(record: Record, epoch: str | None) -> np.ndarray:
    """Which of the run's own validation images were right after an epoch, the last if None."""
    known = [entry["epoch"] for entry in record.history if "val_accuracy" in entry]
    last = known[-1] if epoch is None else int(epoch)
    if last not in known:
        raise unknown("epoch with a validation", epoch, known, "; set Run.val_every=1")
    return record.val_correct()[known.index(last)].astype(float)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    ratio = numerator.mean() / denominator.mean()
    return ratio + (numerator - ratio * denominator) / denominator.mean()
