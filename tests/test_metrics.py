"""Metrics are scikit-learn's, and the spread of what images add is that of the metric."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from tlkit.ground.names import UnknownName
from tlkit.judging.metrics import contributions

CLASSES = ["ant", "bee", "cat", "dog"]
METRICS = ["accuracy", "balanced accuracy", *(f"F1 of {name}" for name in CLASSES)]
SHARES = {"even": [0.25] * 4, "imbalanced": [0.02, 0.08, 0.2, 0.7]}


def record(predicted: np.ndarray, labels: np.ndarray, **measured) -> SimpleNamespace:
    """A record of these predictions, whose logits say nothing more than they do."""
    logits = np.random.default_rng(0).uniform(-9, 1, (len(labels), len(CLASSES)))
    logits[np.arange(len(labels)), predicted] = 2
    outputs = logits.astype(np.float32), labels
    return SimpleNamespace(test_outputs=lambda: outputs, classes=CLASSES, **measured)


def expected(metric: str, predicted: np.ndarray, labels: np.ndarray) -> float:
    if metric.startswith("F1 of "):
        mine = CLASSES.index(metric[6:])
        return f1_score(labels == mine, predicted == mine, zero_division=np.nan)
    with warnings.catch_warnings():  # a class without test images that is predicted all the same
        warnings.simplefilter("ignore", UserWarning)
        return {"accuracy": accuracy_score, "balanced accuracy": balanced_accuracy_score}[metric](
            labels, predicted
        )


def draw(random, images: int, shares: list[float], right: float) -> tuple:
    """Predictions and labels, at least one image of each class, some predictions preferred."""
    labels = np.r_[np.arange(4), random.choice(4, images - 4, p=shares)]
    guessed = random.choice(4, images, p=[0.4, 0.3, 0.2, 0.1])
    return np.where(random.random(images) < right, labels, guessed), labels


# the mean is the metric


@pytest.mark.parametrize("images", [4, 5, 30, 1000])
@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("metric", METRICS)
def test_the_mean_is_the_metric(metric, shares, images):
    random = np.random.default_rng(images)
    for right in (0, 0.3, 0.9, 0.99):
        predicted, labels = draw(random, images, SHARES[shares], right)
        added = contributions(record(predicted, labels), metric)
        assert added.shape == (images,) and added.dtype == float
        assert added.mean() == pytest.approx(expected(metric, predicted, labels), abs=1e-12)


LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 3])
DEGENERATE = {
    "all right": LABELS,
    "all wrong": (LABELS + 1) % 4,
    "always ant": LABELS * 0,
    "always dog": LABELS * 0 + 3,
    "bee never predicted": np.where(LABELS == 1, 2, LABELS),
    "bee only where it is not": np.where(LABELS == 1, 0, np.where(LABELS == 0, 1, LABELS)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_predictions(case, metric):
    added = contributions(record(DEGENERATE[case], LABELS), metric)
    assert np.isfinite(added).all()
    assert added.mean() == pytest.approx(expected(metric, DEGENERATE[case], LABELS), abs=1e-12)


def test_balanced_accuracy_is_of_the_classes_that_are_there():
    """As in scikit-learn: a class without test images has no recall to average."""
    labels, predicted = np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 2, 3])
    added = contributions(record(predicted, labels), "balanced accuracy").mean()
    assert added == pytest.approx(np.mean([1 / 2, 2 / 3]))
    assert added == pytest.approx(expected("balanced accuracy", predicted, labels))


def test_accuracy_is_one_or_nought_for_each_image():
    predicted, labels = draw(np.random.default_rng(1), 50, SHARES["even"], 0.5)
    added = contributions(record(predicted, labels), "accuracy")
    assert np.array_equal(added, [float(one == two) for one, two in zip(predicted, labels)])


def test_with_even_classes_balanced_accuracy_is_accuracy():
    labels = np.repeat(np.arange(4), 20)
    predicted = np.where(np.random.default_rng(0).random(80) < 0.7, labels, 0)
    one, two = (contributions(record(predicted, labels), name) for name in METRICS[:2])
    assert one.mean() == pytest.approx(two.mean())


# the spread of the contributions is that of the metric


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("metric", ["accuracy", "balanced accuracy", "F1 of bee", "F1 of dog"])
def test_the_standard_error_is_that_of_a_bootstrap_over_images(metric, shares):
    """Within 10 %. The metric is computed anew for each resample, from its confusion matrix."""
    random = np.random.default_rng(0)
    images, resamples = 1500, 4000
    predicted, labels = draw(random, images, SHARES[shares], 0.6)
    added = contributions(record(predicted, labels), metric)
    cells = np.bincount(4 * labels + predicted, minlength=16)
    tables = random.multinomial(images, cells / images, resamples).reshape(-1, 4, 4)
    hits, true, answered = np.einsum("nii->ni", tables), tables.sum(2), tables.sum(1)
    if metric.startswith("F1"):
        mine = CLASSES.index(metric[6:])
        values = (2 * hits / (true + answered))[:, mine]
    else:
        values = hits.sum(1) / images if metric == "accuracy" else (hits / true).mean(1)
    standard_error = added.std(ddof=1) / np.sqrt(images)
    assert standard_error == pytest.approx(values.std(ddof=1), rel=0.1)


@pytest.mark.parametrize("metric", ["balanced accuracy", "F1 of cat"])
def test_what_an_image_adds_is_what_leaving_it_out_takes_away(metric):
    """The jackknife agrees to first order: leave-one-out values by scikit-learn."""
    predicted, labels = draw(np.random.default_rng(2), 400, SHARES["even"], 0.7)
    added = contributions(record(predicted, labels), metric)
    whole = expected(metric, predicted, labels)
    keep = ~np.eye(400, dtype=bool)
    jackknife = [
        whole + 399 * (whole - expected(metric, predicted[rows], labels[rows])) for rows in keep
    ]
    np.testing.assert_allclose(added, jackknife, atol=0.03 * np.ptp(added))


# validation


def validated(history: dict[int, float | None]) -> SimpleNamespace:
    """A record with these validation accuracies by epoch, in the way that records hold them."""
    entries = [
        {"epoch": epoch, "train_loss": 1.0} | ({} if value is None else {"val_accuracy": value})
        for epoch, value in history.items()
    ]
    correct = np.array(
        [np.arange(20) < round(20 * value) for value in history.values() if value is not None]
    )
    return record(
        LABELS,
        LABELS,
        history=entries,
        val_accuracy=entries[-1]["val_accuracy"],
        val_correct=lambda: correct,
    )


def test_validation_accuracy_is_of_the_last_epoch_or_of_the_one_named():
    run = validated({1: 0.25, 2: None, 3: 0.5, 12: 0.75})
    values = {"": 0.75, " after epoch 1": 0.25, " after epoch 3": 0.5, " after epoch 12": 0.75}
    for epoch, value in values.items():
        added = contributions(run, f"validation accuracy{epoch}")
        assert added.ndim == 1 and added.mean() == pytest.approx(value)


def test_a_validation_accuracy_of_nought_is_one_too():
    run = validated({1: 0.0, 2: None, 3: 0.5})
    assert contributions(run, "validation accuracy after epoch 1").mean() == 0
    with pytest.raises(UnknownName, match=r"nearest valid: 1, 3;"):
        contributions(run, "validation accuracy after epoch 2")


@pytest.mark.parametrize("epoch", ["2", "4", "0", "99"])
def test_an_epoch_without_validation_names_those_with_one_and_the_remedy(epoch):
    run = validated({1: 0.25, 2: None, 3: 0.5})
    message = rf"'{epoch}'.*nearest valid: (1, 3|1|3).*val_every=1"
    with pytest.raises(UnknownName, match=message):
        contributions(run, f"validation accuracy after epoch {epoch}")


# errors


@pytest.mark.parametrize(
    "metric, nearest",
    [
        ("F1 of bea", "F1 of bee"),
        ("F1 of person", "F1 of ant"),
        ("f1 of cat", "F1 of cat"),
        ("acuracy", "accuracy"),
        ("balanced acc", "balanced accuracy"),
        ("validation accuracy after", "validation accuracy"),
        ("validation accuracy after epoch one", "validation accuracy"),
        ("validation accuracy after epoch 1 ", "validation accuracy"),
    ],
)
def test_an_unknown_metric_or_class_names_the_nearest(metric, nearest):
    nearest = re.escape(nearest)
    with pytest.raises(UnknownName, match=rf"{re.escape(repr(metric))}.*: .*{nearest}(,|$)"):
        contributions(validated({1: 0.5}), metric)
