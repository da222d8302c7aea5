"""Metrics of a run as means over images, so that each of them can be paired and has an interval."""

import re

import numpy as np

from tlkit.ground.names import check_name, unknown
from tlkit.judging.ensembles import Ensemble, Outcome

VALIDATION = re.compile(r"validation accuracy(?: after epoch (\d+))?")


def contributions(run: Outcome, metric: str) -> np.ndarray:
    """Return what each image adds to a metric: float [images], whose mean is the metric, 0 … 1.

    `metric` is "accuracy", "balanced accuracy" (mean recall of the classes) or "F1 of <class>",
    all on the test images; or "validation accuracy", of the last epoch or "after epoch <n>", on
    the run's own validation images.

    Beyond accuracy a metric is a ratio of means. It is linearised at its value (infinitesimal
    jackknife: Efron and Tibshirani 1993, chapter 21), so that the mean is exact and the variance
    over images is that of the ratio to first order. Raises `UnknownName`, and ValueError for the
    validation accuracy of an ensemble.
    """
    if match := VALIDATION.fullmatch(metric):
        return _validation(run, match[1])
    logits, labels = run.test_outputs()
    predicted = _predicted(logits)
    if metric == "accuracy":
        return (predicted == labels).astype(float)
    if metric == "balanced accuracy":
        classes = [labels == label for label in np.unique(labels)]
        return np.mean([_ratio((predicted == labels) & mine, mine) for mine in classes], axis=0)
    known = {f"F1 of {name}": label for label, name in enumerate(run.classes)}
    check_name("metric", metric, ("accuracy", "balanced accuracy", "validation accuracy", *known))
    answered, true = predicted == known[metric], labels == known[metric]
    return _ratio(2.0 * (answered & true), answered.astype(float) + true)


def largest_change(run: Outcome, metric: str) -> float:
    """Return the most that one image can change in `contributions`, even if none is wrong yet."""
    if metric == "accuracy" or VALIDATION.fullmatch(metric):
        return 1.0
    logits, labels = run.test_outputs()
    sizes = np.bincount(labels, minlength=len(run.classes))
    if metric == "balanced accuracy":
        present = sizes[sizes > 0]
        return len(labels) / len(present) / present.min()
    mine = run.classes.index(metric.removeprefix("F1 of "))
    answered = (_predicted(logits) == mine).sum()
    return (2 - contributions(run, metric).mean()) * len(labels) / (sizes[mine] + answered)


def _validation(run: Outcome, epoch: str | None) -> np.ndarray:
    """Return which validation images were right after an epoch; None means the last epoch."""
    if isinstance(run, Ensemble):
        raise ValueError("an ensemble has no validation images of its own; take a test metric")
    known = [entry["epoch"] for entry in run.history if "val_accuracy" in entry]
    number = known[-1] if epoch is None else int(epoch)
    if number not in known:
        raise unknown("epoch with a validation", str(number), known, "; set Run.val_every=1")
    return run.val_correct()[known.index(number)].astype(float)


def _predicted(logits: np.ndarray) -> np.ndarray:
    """Return the class with the largest logit, or -1 where a logit is not finite: no answer."""
    return np.where(np.isfinite(logits).all(1), logits.argmax(1), -1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    ratio = numerator.mean() / denominator.mean()
    return ratio + (numerator - ratio * denominator) / denominator.mean()
