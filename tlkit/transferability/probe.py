"""The linear probe: how good is a linear classifier on pretrained features?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tlkit.transferability.measures import check_features, check_labels

STRENGTHS = np.logspace(1, -3, 5)  # of L2 beside the mean loss, for features of variance 1
FOLDS = 3
SMALL = 10**6  # numbers in the features: with fewer, a second thread costs time


def linear_probe(
    features: np.ndarray, labels: np.ndarray, others: np.ndarray, other_labels: np.ndarray
) -> np.ndarray:
    """Return which of the `others` a logistic regression on `features` classifies right: bool [m].

    The mean is the probe's accuracy. `features` [n, d] and `labels` [n] are of the training
    images, `others` [m, d] and `other_labels` [m] of the images to judge by. Protocol: Kornblith,
    Shlens and Le 2019, "Do better ImageNet models transfer better?", without augmentation.
    Cross-validation within the training images chooses the strength of L2 from a logarithmic
    grid; of two that are equally good, the stronger. Newton's method has the optimum of their
    L-BFGS, in half the time for the ill-conditioned features of random weights. All features are
    centred and divided by one number, which only sets the unit of the strength. Raises
    ValueError as `logme` does, and for shapes that do not match.
    """
    features, labels = check_labels(features, labels)
    others, other_labels = check_features(others, varied=False), np.asarray(other_labels)
    expected = (len(other_labels), features.shape[1])
    if others.shape != expected:
        raise ValueError(f"others are {others.shape}; labels and features need {expected}")
    mean = features.mean(0)
    scale = np.sqrt(np.mean((features - mean) ** 2))
    features, others = (features - mean) / scale, (others - mean) / scale
    with threadpool_limits(1 if features.size < SMALL else None):
        return _best(features, labels).predict(others) == other_labels


def _best(features: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """Return the fit at the strength that cross-validation chooses."""
    earlier = pd.Series(labels).groupby(labels).cumcount().to_numpy()  # images of the same class
    folds = np.where(earlier == 0, -1, (earlier - 1) % FOLDS)  # the first of a class always trains
    right = np.zeros(len(STRENGTHS))
    for fold in np.unique(folds[folds >= 0]):
        train, val = folds != fold, folds == fold
        path = _path(features[train], labels[train], STRENGTHS)
        right += [(model.predict(features[val]) == labels[val]).sum() for model in path]
    return next(_path(features, labels, STRENGTHS[[right.argmax()]]))


def _path(
    features: np.ndarray, labels: np.ndarray, strengths: np.ndarray
) -> Iterator[LogisticRegression]:
    """Yield the fit at each strength; each starts from the one before."""
    model = LogisticRegression(solver="newton-cg", max_iter=1000, warm_start=True)
    for strength in strengths:
        yield model.set_params(C=1 / (strength * len(labels))).fit(features, labels)
