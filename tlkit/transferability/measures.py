"""Measure how well pretrained weights fit a target, from the features of its images.

Everywhere `features` is float [n, d], the inputs of the head, and `labels` int [n]. None of the
measures trains the network. Higher is a better fit; `linear_cka` compares two networks.
"""

import numpy as np
from scipy import linalg
from sklearn.covariance import ledoit_wolf


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean log evidence per image (nats) of Bayesian linear models, one per class.

    You, Liu, Wang and Long 2021, "LogME", equation 2: each model predicts 1 for its class and 0
    for others, without an intercept. The two precisions come from the fixed point of You et al.
    2022, "Ranking and tuning pre-trained models". The evidence is a density, so it can have any
    sign. It ranks weights on one target. Between targets it depends on the number of classes.
    The scale of the features does not matter. Raises ValueError for features that are not [n, d],
    not finite or all alike, for another number of labels, and for a single class.
    """
    features, labels = check_labels(features, labels)
    targets = (labels[:, None] == np.unique(labels)).astype(float)
    scale = np.sqrt(np.mean(features**2))  # so that the bounds below mean the same everywhere
    left, singular, _ = np.linalg.svd(features / scale, full_matrices=False)
    n, spectrum = len(features), singular[:, None] ** 2
    within = (left.T @ targets) ** 2  # [rank, classes]
    beyond = np.maximum(targets.sum(0) - within.sum(0), 0)  # what no linear model can explain
    ratio = np.ones(targets.shape[1])  # precision of the weights / of the noise
    for _ in range(1000):
        before, shrunk = ratio, ratio / (spectrum + ratio)
        residual = beyond + (within * shrunk**2).sum(0)
        squared = (within * spectrum / (spectrum + ratio) ** 2).sum(0)  # norm of the weights
        left_over = n - len(spectrum) + shrunk.sum(0)  # of the n degrees of freedom
        with np.errstate(divide="ignore"):
            ratio = (n - left_over) * residual / squared / left_over
        ratio = np.clip(ratio, 1e-8, 1e8)  # if features explain all or nothing
        if np.allclose(ratio, before, rtol=1e-6, atol=0):
            break
    noise = n / (residual + before * squared)  # the best precision for this ratio
    evidence = n * (np.log(noise / (2 * np.pi)) - 1) - np.log1p(spectrum / before).sum(0)
    return float(evidence.mean() / (2 * n))


def leep(source: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean log probability (nats, at most 0) of the labels, from the source's classes.

    `source` [n, K] are the source model's probabilities of its K classes. Source: Nguyen,
    Hassner, Seeger and Archambeau 2020, "LEEP", equation 2. Raises ValueError for rows that are
    no probabilities, and as `logme` does.
    """
    source, labels = check_labels(source, labels)
    if source.min() < 0 or not np.allclose(source.sum(1), 1, atol=1e-4):
        raise ValueError("rows of source are probabilities: none negative, their sum 1")
    targets = labels[:, None] == np.unique(labels)
    mass = source.sum(0)
    conditional = targets.T @ source / np.where(mass > 0, mass, 1)  # P(label | source class)
    return float(np.log((source @ conditional.T)[targets]).mean())


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the spread of the class means relative to that of all: 0 … min(d, classes − 1).

    Regularised: Ibrahim, Ponomareva and Mazumder 2021, "Newer is not always better", tr(Σ_α⁻¹
    (1 − α) Σ_between), with Σ_α and α by Ledoit and Wolf 2004. Without it (α = 0: Bao et al.
    2019) d near n overfits. Both covariances are divided by n. Raises as `logme` does.
    """
    features, labels = check_labels(features, labels)
    total, shrinkage = ledoit_wolf(features)
    classes, sizes = np.unique(labels, return_counts=True)
    means = np.stack([features[labels == each].mean(0) for each in classes])
    apart = (means - features.mean(0)) * np.sqrt(sizes / len(labels))[:, None]
    between = (1 - shrinkage) * apart @ linalg.solve(total, apart.T, assume_a="pos")
    return float(np.trace(between))


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Return how similar two networks' features, [n, d] and [n, e], of n images are: 0 … 1.

    Linear centred kernel alignment: Kornblith, Norouzi, Lee and Hinton 2019, "Similarity of
    neural network representations revisited", section 3. Rotation and scale do not matter. It
    is biased: for unrelated Gaussian features of d = e it is about d / (n + d), not 0. Raises
    ValueError for features as `logme` does, and for different numbers of images.
    """
    first, second = check_features(first), check_features(second)
    if len(first) != len(second):
        raise ValueError(f"features of {len(first)} and of {len(second)} images, not of the same")
    first, second = first - first.mean(0), second - second.mean(0)
    alone = [np.linalg.norm(each.T @ each) for each in (first, second)]
    return float(np.linalg.norm(second.T @ first) ** 2 / np.prod(alone))


def check_labels(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays; raise ValueError unless there are two classes or more to fit."""
    features, labels = check_features(features), np.asarray(labels)
    if labels.shape != (len(features),):
        raise ValueError(f"{len(features)} rows of features, but labels of shape {labels.shape}")
    if len(np.unique(labels)) < 2:
        raise ValueError("the labels are all alike: a fit needs two classes or more")
    return features, labels


def check_features(features: np.ndarray, varied: bool = True) -> np.ndarray:
    """Return float64 [n, d]; raise ValueError for another shape, NaN, infinity, or equal rows."""
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or not features.size:
        raise ValueError(f"features are [n, d], not {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError(f"{(~np.isfinite(features)).sum()} of the features are not finite")
    if varied and (features == features[0]).all():
        raise ValueError("the features are the same for every image")
    return features
