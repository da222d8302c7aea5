"""The linear probe: how far a linear model gets on pretrained features."""

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tlkit.transferability.measures import finite, labelled

STRENGTHS = np.logspace(1, -3, 5)  # of L2 beside the mean loss, for features of variance 1
FOLDS = 3
SMALL = 10**6  # numbers in the features: with fewer, a second thread costs time


def linear_probe(
    features: np.ndarray, labels: np.ndarray, others: np.ndarray, other_labels: np.ndarray
) -> np.ndarray:
    """Which of the `other` images a logistic regression on `features` gets right: bool [m].

    The mean is the probe's accuracy. `features` [n, d] and `labels` [n] are of the training
    images, `others` [m, d] and `other_labels` [m] of those to judge by. Protocol of Kornblith,
    Shlens and Le 2019, "Do better ImageNet models transfer better?": no augmentation, the
    strength of L2 from a logarithmic grid. It is chosen by cross-validation within the training
    images, the stronger where two are as good. Newton's method finds the same optimum as their
    L-BFGS, twice as fast where the features are ill-conditioned, as those of random weights are.
    The features are centred, and scaled by one number for all, which changes nothing but the
    unit of the strength.

    Raises ValueError as `transferability.logme` does, and for numbers that do not match.
    """
    features, labels = labelled(features, labels)
    others, other_labels = finite(others), np.asarray(other_labels)
    if others.shape != (len(other_labels), features.shape[1]):
        raise ValueError(f"features {others.shape} to judge by, but {len(other_labels)} labels, "
                         f"and training features {features.shape}")
    mean = features.mean(0)
    scale = np.sqrt(np.mean((features - mean) ** 2))
    features, others = (features - mean) / scale, (others - mean) / scale
    with threadpool_limits(1 if features.size < SMALL else None):
        return _chosen(features, labels).predict(others) == other_labels


def _chosen(features: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """The fit at the strength that cross-validation chooses."""
    folds, right = _folds(labels), np.zeros(len(STRENGTHS))
    for fold in np.unique(folds[folds >= 0]):
        kept, held = folds != fold, folds == fold
        path = _path(features[kept], labels[kept], STRENGTHS)
        right += [(model.predict(features[held]) == labels[held]).sum() for model in path]
    (model,) = _path(features, labels, STRENGTHS[[right.argmax()]])
    return model


def _folds(labels: np.ndarray) -> np.ndarray:
    """Which fold holds each image out; the first of a class (-1) none, for a class of one image."""
    folds = np.full(len(labels), -1)
    for each in np.unique(labels):
        rest = np.flatnonzero(labels == each)[1:]
        folds[rest] = np.arange(len(rest)) % FOLDS
    return folds


def _path(
    features: np.ndarray, labels: np.ndarray, strengths: np.ndarray
) -> Iterator[LogisticRegression]:
    """The fit at each strength, which starts from the one before."""
    model = LogisticRegression(solver="newton-cg", max_iter=1000, warm_start=True)
    for strength in strengths:
        yield model.set_params(C=1 / (strength * len(labels))).fit(features, labels)
