"""Measures of fit by their definitions, features by the model, intervals by the truth."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import optimize, stats
from sklearn.covariance import ledoit_wolf

from tlkit.images.tasks import Split, Task
from tlkit.judging.ranking import permutation_p, rank_correlation
from tlkit.networks.models import build, read_weights, with_source_head
from tlkit.recipe import Run
from tlkit.transferability import measures
from tlkit.transferability.features import features
from tlkit.transferability.measures import h_score, leep, linear_cka, logme
from tlkit.transferability.probe import linear_probe
from tlkit.transferability.rule import recommend

FEATURES = sys.modules[features.__module__]  # the file, whose function has its name


def clusters(n=60, d=5, classes=3, apart=1.0, seed=0):
    """Features whose class means lie `apart` standard deviations from the middle."""
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(classes, size=n - classes)])
    means = apart * np.random.default_rng(99).normal(size=(classes, d))
    return random.normal(size=(n, d)) + means[labels], labels


def probabilities(n=60, source_classes=7, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(source_classes, 0.3), n)


def rotation(d):
    return np.linalg.qr(np.random.default_rng(5).normal(size=(d, d)))[0]


# LogME


def evidence(precisions: np.ndarray, values: np.ndarray, target: np.ndarray) -> float:
    """ln N(target; 0, I/β + F Fᵀ/α), from (ln α, ln β)."""
    alpha, beta = np.exp(precisions)
    covariance = np.eye(len(values)) / beta + values @ values.T / alpha
    spread = np.linalg.slogdet(2 * np.pi * covariance)[1]
    return -(spread + target @ np.linalg.solve(covariance, target)) / 2


def best_evidence(values: np.ndarray, target: np.ndarray) -> float:
    starts = [(0, 0), (4, 2)]
    return max(
        -optimize.minimize(
            lambda p: -evidence(p, values, target),
            start,
            method="Nelder-Mead",
            options={"fatol": 1e-8, "maxiter": 1000},
        ).fun
        for start in starts
    )


@pytest.mark.parametrize("n, d, classes, apart", [(30, 5, 3, 1.0), (40, 3, 2, 0.3), (15, 30, 3, 1)])
def test_logme_is_the_highest_evidence(n, d, classes, apart):
    values, labels = clusters(n, d, classes, apart)
    direct = [best_evidence(values, (labels == each).astype(float)) for each in range(classes)]
    assert logme(values, labels) == pytest.approx(np.mean(direct) / n, abs=1e-5)


def test_logme_of_features_that_tell_nothing_is_that_of_noise_alone():
    values = np.tile([[1.0], [-1.0]], (4, 1))
    labels = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    power = 0.5  # mean square of either one-hot class
    assert logme(values, labels) == pytest.approx(-0.5 * (np.log(2 * np.pi * power) + 1), abs=1e-6)


def test_logme_of_features_that_tell_all_is_high_and_finite():
    labels = np.arange(30) % 3
    evidence = logme(np.eye(3)[labels], labels)
    assert np.isfinite(evidence) and evidence > logme(*clusters(30, 3, 3, 3.0)) + 1


def test_logme_does_not_depend_on_scale_rotation_or_the_names_of_classes():
    values, labels = clusters()
    expected = logme(values, labels)
    for changed in (1e-4 * values, 1e4 * values, values @ rotation(5)):
        assert logme(changed, labels) == pytest.approx(expected, abs=1e-6)
    assert logme(values, np.array(["b", "z", "a"])[labels]) == pytest.approx(expected)


# LEEP


def test_leep_is_its_definition():
    source, labels = probabilities(), clusters()[1]
    n, total = len(labels), 0.0
    for i in range(n):
        likelihood = 0.0
        for z in range(source.shape[1]):
            joint = sum(source[j, z] for j in range(n) if labels[j] == labels[i]) / n
            marginal = sum(source[j, z] for j in range(n)) / n
            likelihood += joint / marginal * source[i, z]
        total += np.log(likelihood)
    assert leep(source, labels) == pytest.approx(total / n, rel=1e-12)


def test_leep_is_0_at_best_and_minus_the_entropy_of_the_labels_without_news():
    labels = clusters()[1]
    assert leep(np.eye(9)[labels + 2], labels) == pytest.approx(0)  # source classes never used, too
    shares = np.bincount(labels) / len(labels)
    alike = np.tile([0.5, 0.3, 0.2], (60, 1)) + 1e-6 * (np.arange(60) == 0)[:, None] * [1, -1, 0]
    assert leep(alike, labels) == pytest.approx((shares * np.log(shares)).sum(), abs=1e-6)


def test_leep_refuses_what_are_no_probabilities():
    source, labels = probabilities(), clusters()[1]
    for wrong in (np.log(source + 1e-9), 2 * source, source - 0.2):
        with pytest.raises(ValueError, match="probabilities"):
            leep(wrong, labels)


# H-score


@pytest.mark.parametrize("n, d", [(60, 5), (200, 20), (20, 50)])
def test_h_score_is_its_definition(n, d):
    values, labels = clusters(n, d)
    _, shrinkage = ledoit_wolf(values)
    empirical = np.cov(values.T, bias=True)
    total = (1 - shrinkage) * empirical + shrinkage * np.trace(empirical) / d * np.eye(d)
    means = np.array([values[labels == label].mean(0) for label in labels])
    between = (1 - shrinkage) * np.cov(means.T, bias=True)
    expected = np.trace(np.linalg.inv(total) @ between)
    assert h_score(values, labels) == pytest.approx(expected, rel=1e-9)
    assert 0 <= h_score(values, labels) <= min(d, 2)


@pytest.fixture
def unregularised(monkeypatch):
    monkeypatch.setattr(measures, "ledoit_wolf", lambda values: (np.cov(values.T, bias=True), 0.0))


def test_without_shrinkage_h_score_is_the_sum_of_squared_canonical_correlations(unregularised):
    for classes in (2, 4):
        values, labels = clusters(80, 6, classes)
        onehot = np.eye(classes)[labels][:, 1:]
        spaces = [np.linalg.qr(each - each.mean(0))[0] for each in (values, onehot)]
        correlations = np.linalg.svd(spaces[0].T @ spaces[1], compute_uv=False)
        assert h_score(values, labels) == pytest.approx((correlations**2).sum(), rel=1e-9)


def test_without_shrinkage_invertible_maps_change_nothing(unregularised):
    values, labels = clusters()
    mapped = values @ np.random.default_rng(1).normal(size=(5, 5)) + 7
    assert h_score(mapped, labels) == pytest.approx(h_score(values, labels), rel=1e-9)


def test_h_score_does_not_depend_on_shift_scale_or_rotation():
    values, labels = clusters()
    for changed in (values + 100, 1e-4 * values, values @ rotation(5)):
        assert h_score(changed, labels) == pytest.approx(h_score(values, labels), rel=1e-6)


# CKA


@pytest.mark.parametrize("n, d, e", [(30, 5, 8), (12, 40, 20)])
def test_cka_is_that_of_hsic_on_gram_matrices(n, d, e):
    random = np.random.default_rng(0)
    first = random.normal(size=(n, d)) + 3
    second = first[:, :4] @ random.normal(size=(4, e)) + random.normal(size=(n, e))
    centring = np.eye(n) - 1 / n

    def hsic(one, other):
        return np.trace(one @ one.T @ centring @ other @ other.T @ centring)

    expected = hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))
    assert linear_cka(first, second) == pytest.approx(expected, rel=1e-9)
    assert linear_cka(second, first) == pytest.approx(expected, rel=1e-9)


def test_cka_is_1_for_rotated_scaled_shifted_features_and_less_for_stretched_ones():
    values, _ = clusters(seed=3)
    assert linear_cka(values, 1e3 * values @ rotation(5) - 20) == pytest.approx(1)
    assert linear_cka(values, values * [100, 1, 1, 1, 1]) < 0.9


def test_cka_of_unrelated_features_is_as_high_as_documented():
    first, second = np.random.default_rng(0).normal(size=(2, 400, 200))
    assert linear_cka(first, second) == pytest.approx(200 / 600, abs=0.02)


# linear probe


def softmax_regression(values, labels, strength) -> np.ndarray:
    """Weights [d + 1, classes] at the optimum; the last row, the intercepts, is not pulled."""
    inputs, targets = np.c_[values, np.ones(len(values))], np.eye(labels.max() + 1)[labels]
    shape = inputs.shape[1], targets.shape[1]
    pulled = np.r_[np.ones(shape[0] - 1), 0][:, None]

    def loss(flat):
        weights = flat.reshape(shape)
        logits = inputs @ weights
        logs = logits - np.logaddexp.reduce(logits, 1, keepdims=True)
        value = -(targets * logs).sum() / len(inputs) + strength / 2 * (pulled * weights**2).sum()
        slope = inputs.T @ (np.exp(logs) - targets) / len(inputs) + strength * pulled * weights
        return value, slope.ravel()

    optimum = optimize.minimize(
        loss, np.zeros(np.prod(shape)), jac=True, method="BFGS", options={"gtol": 1e-9}
    )
    return optimum.x.reshape(shape)


def predicted(weights, values):
    return (values @ weights[:-1] + weights[-1]).argmax(1)


@pytest.mark.parametrize("seed", range(4))
def test_probe_is_the_optimum_at_the_strength_that_cross_validation_chooses(seed):
    values, labels = clusters(60, 8, apart=0.5, seed=seed)
    others, other_labels = clusters(50, 8, apart=0.5, seed=seed + 50)
    scale = np.sqrt(values.var(0).mean())
    fold, seen = [], {}
    for label in labels:
        seen[label] = seen.get(label, -1) + 1
        fold.append((seen[label] - 1) % 3 if seen[label] else -1)
    fold, right = np.array(fold), {}
    for strength in (10, 1, 0.1, 0.01, 0.001):
        right[strength] = sum(
            (
                predicted(
                    softmax_regression(values[fold != k] / scale, labels[fold != k], strength),
                    values[fold == k] / scale,
                )
                == labels[fold == k]
            ).sum()
            for k in range(3)
        )
    best = softmax_regression(values / scale, labels, max(right, key=right.get))
    expected = predicted(best, others / scale) == other_labels
    assert np.array_equal(linear_probe(values, labels, others, other_labels), expected)


def test_probe_separates_what_can_be_separated_and_only_that():
    separable, labels = clusters(90, 10, apart=5.0)
    assert linear_probe(separable, labels, *clusters(90, 10, apart=5.0, seed=1)).mean() > 0.98
    noise = np.random.default_rng(0).normal(size=(400, 10))
    labels = np.arange(400) % 4
    assert linear_probe(noise[:200], labels[:200], noise[200:], labels[200:]).mean() < 0.4


def test_probe_does_not_depend_on_shift_or_scale():
    values, labels = clusters(80, 6)
    others, other_labels = clusters(80, 6, seed=1)
    expected = linear_probe(values, labels, others, other_labels)
    for scale, shift in ((1e-4, 0), (1e4, 0), (1, 50)):
        mapped = [scale * each + shift for each in (values, others)]
        assert (linear_probe(mapped[0], labels, mapped[1], other_labels) == expected).mean() > 0.97


@pytest.mark.parametrize("sizes", [(1, 30), (1, 1), (1, 1, 20), (2, 2), (40, 3)])
def test_probe_of_classes_with_few_images(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    values = np.eye(len(sizes))[labels] + 0.01 * np.random.default_rng(0).normal(
        size=(len(labels), len(sizes))
    )
    assert linear_probe(values, labels, values, labels).mean() >= max(sizes) / sum(sizes)


def test_probe_counts_a_class_it_has_never_seen_as_wrong_and_takes_one_image():
    values, labels = clusters()
    assert not linear_probe(values, labels, values[:1], np.array([17])).any()


def test_probe_refuses_what_does_not_match():
    values, labels = clusters()
    with pytest.raises(ValueError, match=r"\(60, 5\).*\(59, 5\)"):
        linear_probe(values, labels, values, labels[:59])
    with pytest.raises(ValueError, match=r"\(60, 4\).*\(60, 5\)"):
        linear_probe(values, labels, values[:, :4], labels)
    with pytest.raises(ValueError, match="not finite"):
        linear_probe(values, labels, np.full((60, 5), np.nan), labels)


# edge cases of every measure

MEASURES = {
    "logme": logme,
    "h_score": h_score,
    "probe": lambda v, y: linear_probe(v, y, v, y).mean(),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("case", ["one image of a class", "constant feature", "d > n", "float32"])
def test_awkward_features_have_a_measure(name, case):
    values, labels = clusters(30, 60 if case == "d > n" else 5, seed=2)
    if case == "one image of a class":
        labels = np.where(np.arange(30) == 4, 3, labels)
    if case == "constant feature":
        values[:, 2] = 1.5
    result = MEASURES[name](values.astype(np.float32) if case == "float32" else values, labels)
    assert isinstance(result, float) and np.isfinite(result)


@pytest.mark.parametrize("measure", [*MEASURES.values(), leep])
def test_what_cannot_be_measured_is_refused(measure):
    values, labels = probabilities(), clusters()[1]
    broken = values.copy()
    broken[3, 1] = np.nan
    for wrong, targets, message in [
        (broken, labels, "1 of the features are not finite"),
        (values, labels[:59], r"60 rows .* \(59,\)"),
        (values, np.eye(3)[labels], r"60 rows .* \(60, 3\)"),
        (values, np.zeros(60, int), "two classes"),
        (values[:, 0], labels, r"\[n, d\], not \(60,\)"),
        (values[:0], labels[:0], r"\[n, d\], not \(0, 7\)"),
        (np.tile(values[:1], (60, 1)), labels, "same for every image"),
    ]:
        with pytest.raises(ValueError, match=message):
            measure(wrong, targets)


def test_cka_refuses_what_cannot_be_compared():
    values, _ = clusters()
    with pytest.raises(ValueError, match="of 60 and of 59 images"):
        linear_cka(values, values[:59])
    with pytest.raises(ValueError, match="same for every image"):
        linear_cka(values, np.ones((60, 2)))
    with pytest.raises(ValueError, match="not finite"):
        linear_cka(np.where(values > 1, np.inf, values), values)


@pytest.mark.parametrize("measure", [logme, h_score])
def test_a_better_fit_is_higher(measure):
    fits = [measure(*clusters(100, 10, apart=apart)) for apart in (0, 0.3, 1, 3)]
    assert fits == sorted(fits)


# features


@pytest.fixture
def run(monkeypatch):
    """A maker of runs on a tiny task of noise."""
    random = np.random.default_rng(0)
    pool = random.integers(256, size=(50, 3, 32, 32)).astype(np.uint8)
    labels = torch.arange(50) % 3
    splits = {
        name: Split(pool, np.arange(50)[part], labels[part])
        for name, part in (("train", slice(0, 30)), ("val", slice(30, 40)), ("test", slice(40, 50)))
    }
    monkeypatch.setattr(FEATURES, "load", lambda run: Task("noise", tuple("abc"), **splits))
    return lambda **changes: Run(**{"task": "noise", "size": 32, "batch_size": 2, **changes})


def inputs(run: Run, model) -> torch.Tensor:
    mean, std = (torch.tensor(model.pretrained_cfg[each]) for each in ("mean", "std"))
    images = FEATURES.load(run).train.images(torch.arange(30)) / 255
    return (images - mean[:, None, None]) / std[:, None, None]


def test_pretrained_features_and_source_probabilities_are_the_models(run):
    train, val = features(run())
    model = with_source_head("xception_small", read_weights("pretrained", "xception_small"))
    with torch.no_grad():
        logits = model.eval()(inputs(run(), model)).double()
    assert (train.values.shape, val.values.shape) == ((30, 256), (10, 256))
    assert (train.source.shape, val.source.shape) == ((30, 200), (10, 200))
    assert train.values.dtype == train.source.dtype == np.float64
    assert np.allclose(train.source, logits.softmax(1), atol=1e-5)
    head = [each.detach().double().numpy() for each in (model.fc.weight, model.fc.bias)]
    assert np.allclose(train.values @ head[0].T + head[1], logits, atol=1e-3)
    assert train.labels.tolist() == [number % 3 for number in range(30)]


@pytest.mark.parametrize("name", ["xception_small", "test_resnet", "test_efficientnet"])
def test_random_features_are_of_the_weights_that_the_run_starts_from(run, name):
    base = run(model=name, init="random", seed=4, augmentation="crop", transferred="none")
    train, _ = features(base)
    torch.manual_seed(4)
    model = build(name, 3).eval()
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(inputs(base, model)), pre_logits=True)
    assert train.source is None
    assert np.allclose(train.values, expected, rtol=1e-4, atol=1e-6 * expected.abs().max().item())


def test_weights_from_a_file_with_and_without_their_head(run, tmp_path):
    torch.manual_seed(0)
    states = build("test_resnet", 9).state_dict()
    save_file(states, tmp_path / "whole.safetensors")
    save_file(
        {name: state for name, state in states.items() if not name.startswith("fc.")},
        tmp_path / "body.safetensors",
    )
    whole, _ = features(run(model="test_resnet", init=str(tmp_path / "whole.safetensors")))
    body, _ = features(run(model="test_resnet", init=str(tmp_path / "body.safetensors")))
    assert np.array_equal(whole.values, body.values)
    assert whole.source.shape == (30, 9) and body.source is None
    with pytest.raises(ValueError, match="do not fit"):
        features(run(init=str(tmp_path / "body.safetensors")))


def test_an_init_run_is_the_source(run, monkeypatch):
    torch.manual_seed(0)
    states = build("test_resnet", 5).state_dict()
    source = run(model="test_resnet", init="random", epochs=1)
    origins = []
    monkeypatch.setattr(FEATURES, "initial_weights", lambda run: origins.append(run.init) or states)
    train, _ = features(run(model="test_resnet", init=source))
    assert origins == [source] and train.source.shape == (30, 5)


def test_features_in_threads_are_those_alone(run):
    runs = [
        run(seed=1, init="random"),
        run(seed=2, init="random", model="test_resnet"),
        run(frozen="entry"),
        run(seed=3, init="random", transferred="none"),
    ]
    alone = [features(each) for each in runs]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(features, runs))
    for one, other in zip(alone, together):
        assert all(np.array_equal(a.values, b.values) for a, b in zip(one, other))


# rank correlation


@pytest.mark.parametrize("n", [5, 14])
@pytest.mark.parametrize("correlation", [0, 0.6, 0.95])
def test_interval_of_a_rank_correlation_covers_the_truth(n, correlation):
    truth, random = 6 / np.pi * np.arcsin(correlation / 2), np.random.default_rng(n)
    covered = 0
    for _ in range(200):
        x, noise = random.normal(size=(2, n))
        y = np.exp(correlation * x + np.sqrt(1 - correlation**2) * noise)
        rho, low, high = rank_correlation(x, y)
        assert -1 <= low <= rho <= high <= 1 and low < high
        covered += low <= truth <= high
    assert covered / 200 >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / 200)


def test_rank_correlation_is_spearmans_and_its_interval_the_published_one():
    x, y = np.random.default_rng(0).normal(size=(2, 12))
    rho, low, high = rank_correlation(x, y)
    assert rho == pytest.approx(stats.spearmanr(x, y).statistic)
    half = 1.959964 * np.sqrt((1 + rho**2 / 2) / 9)
    assert np.arctanh([low, high]) == pytest.approx(np.arctanh(rho) + np.array([-half, half]))
    assert rank_correlation(x, -y) == pytest.approx((-rho, -high, -low))


def test_a_higher_level_has_a_wider_interval():
    x, y = np.random.default_rng(0).normal(size=(2, 12))
    rho, low, high = rank_correlation(x, y, level=0.99)
    half = 2.575829 * np.sqrt((1 + rho**2 / 2) / 9)
    assert np.arctanh([low, high]) == pytest.approx(np.arctanh(rho) + np.array([-half, half]))


def test_perfect_order_still_leaves_doubt():
    rho, low, high = rank_correlation(np.arange(8), np.arange(8) ** 3)
    assert (rho, high) == pytest.approx((1, 1)) and 0.5 < low < 0.95
    assert rank_correlation(np.arange(8), -np.arange(8)) == pytest.approx((-1, -1, -low))


@pytest.mark.parametrize(
    "x, y",
    [
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([1, 2, 3, 4], [2, 1, 4, 3]),
        ([1, 1, 2, 3], [5, 1, 1, 7]),
        ([3, 1, 2, 5, 4], [1, 1, 2, 2, 3]),
        ([3, 1, 2, 5, 4, 6], [6, 4, 5, 2, 3, 1]),
    ],
)
def test_permutation_p_counts_all_pairings(x, y):
    ranks = [stats.rankdata(each) for each in (x, y)]
    sums = np.array([np.dot(order, ranks[1]) for order in permutations(ranks[0])])
    tails = (sums >= ranks[0] @ ranks[1]).mean(), (sums <= ranks[0] @ ranks[1]).mean()
    assert permutation_p(x, y) == pytest.approx(min(1, 2 * min(tails)))


def test_what_four_points_can_say_at_most():
    assert permutation_p([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1 / 12)
    assert permutation_p([-1, -1, 1, 1], [1, 1, -1, -1]) == pytest.approx(1 / 3)


def test_many_pairs_give_nearly_the_same_p_as_the_t_approximation():
    x, noise = np.random.default_rng(3).normal(size=(2, 14))
    y = x + 3 * noise
    assert permutation_p(x, y) == pytest.approx(stats.spearmanr(x, y).pvalue, rel=0.1)
    assert permutation_p(x, y) == permutation_p(x, y)


@pytest.mark.parametrize("measure", [rank_correlation, permutation_p])
def test_what_has_no_ranks_is_refused(measure):
    for x, y, message in [
        (np.arange(5), np.arange(6), r"not paired: \(5,\) and \(6,\)"),
        (np.arange(3), np.arange(3), "3 pairs"),
        ([1, 2, 3, np.nan], np.arange(4), "finite"),
        (np.ones(5), np.arange(5), "all equal"),
    ]:
        with pytest.raises(ValueError, match=message):
            measure(x, y)


# recommendation


def test_a_fit_asks_for_l2_sp_and_a_misfit_for_plain_l2():
    fit = recommend(scratch=0.668, probe=0.746)
    assert fit == (pytest.approx(-0.078), "L2-SP", "head and last modules", "one")
    misfit = recommend(scratch=0.9, probe=0.615)
    assert misfit == (pytest.approx(0.285), "L2", "head", "by module")
    assert recommend(0.5, 0.5).penalty == "L2"


@pytest.mark.parametrize("scratch, probed", [(66.8, 74.6), (0.5, -0.1), (np.nan, 0.5)])
def test_accuracies_in_percent_are_refused(scratch, probed):
    with pytest.raises(ValueError, match="0 … 1"):
        recommend(scratch, probed)
