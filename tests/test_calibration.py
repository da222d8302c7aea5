"""Verdicts are wrong no more often than they say, claim by claim and over a whole ledger; power.

Simulated experiments, in which the truth is known. It lies on the margin, where an error is
likeliest: a claim that is just true must not be contradicted, one that is just false (by `JUST`
points) must not be supported.
"""

import sys
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate
from scipy import stats as scipy_stats

from tlkit.judging.compare import compare
from tlkit.judging.intervals import FAMILY, FAMILY_LEVEL, LEVEL, Difference, difference, power
from tlkit.judging.ledger import Comparison
from tlkit.judging.metrics import contributions
from tlkit.judging.verdicts import decide

JUST = 1e-9
CLASSES = ["ant", "bee", "cat"]
SHARES = np.array([0.2, 0.3, 0.5])
SEEDS = [2, 3, 5, 10]


@pytest.fixture
def fast_quantiles(monkeypatch):
    """Student's quantiles, each computed once: they would be most of the time."""
    monkeypatch.setattr(scipy_stats.t, "ppf", lru_cache(None)(scipy_stats.t.ppf))


def limit(nominal: float, repeats: int) -> float:
    """Three standard errors above the nominal rate."""
    return nominal + 3 * np.sqrt(nominal * (1 - nominal) / repeats)


def record(predicted: np.ndarray, labels: np.ndarray, **measured) -> SimpleNamespace:
    outputs = np.eye(len(CLASSES))[predicted], labels
    return SimpleNamespace(test_outputs=lambda: outputs, classes=CLASSES, **measured)


def added(predicted: np.ndarray, labels: np.ndarray, metric: str) -> np.ndarray:
    """What each image adds to the metric: [seeds, images] of predictions [seeds, images]."""
    return np.stack([contributions(record(row, labels), metric) for row in predicted])


def wrongs(found: Difference, truth: float, level: float = LEVEL) -> np.ndarray:
    """Supported though just false, contradicted though just true: [2]."""
    return np.array(
        [
            found.verdict(truth + JUST, level) == "supported",
            found.verdict(truth - JUST, level) == "contradicted",
        ]
    )


# one claim, of a metric that is not accuracy (tests/test_stats.py has accuracy)

# Chances of being right by class; wrong answers go to the next class with chance 0.7.
ARMS = np.array([[0.8, 0.55, 0.7], [0.6, 0.7, 0.75]])
TO_NEXT = 0.7
# (sd of the seeds' effects on the chance, sd of the images', of each arm)
MIXES = {
    "chance alone": (0, 0),
    "mostly seeds": (0.07, 0),
    "seeds and images": (0.03, 0.1),
    "mostly images": (0.005, 0.15),
}


def predict(random, arm: np.ndarray, labels: np.ndarray, seeds: int, mix: str) -> np.ndarray:
    by_seed, by_image = MIXES[mix]
    chance = (
        arm[labels]
        + by_seed * random.normal(size=(seeds, 1))
        + by_image * random.normal(size=len(labels))
    )
    step = np.where(random.random((seeds, len(labels))) < TO_NEXT, 1, 2)
    return np.where(random.random(chance.shape) < chance, labels, (labels + step) % 3)


def true_value(metric: str, arm: np.ndarray, mix: str) -> float:
    """The metric of all images there are, averaged over the seeds there are, in points."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    values = []
    for effect in MIXES[mix][0] * nodes:
        confused = np.zeros((3, 3))  # [true, answered], shares of all images
        for label, right in enumerate(arm + effect):
            confused[label, [label, (label + 1) % 3, (label + 2) % 3]] = SHARES[label] * np.array(
                [right, (1 - right) * TO_NEXT, (1 - right) * (1 - TO_NEXT)]
            )
        hits = confused.diagonal()
        of_class = 2 * hits / (confused.sum(0) + confused.sum(1))
        values.append(
            (hits / SHARES).mean()
            if metric == "balanced accuracy"
            else of_class[CLASSES.index(metric[6:])]
        )
    return 100 * np.average(values, weights=weights)


@pytest.mark.parametrize("mix, seeds", list(zip(MIXES, SEEDS)))
@pytest.mark.parametrize(
    "better, worse",
    [
        ("balanced accuracy", "balanced accuracy"),
        ("F1 of ant", "F1 of ant"),
        ("F1 of ant", "F1 of bee"),  # within one arm
    ],
)
def test_a_claim_of_another_metric_is_rarely_judged_wrongly(
    better, worse, mix, seeds, fast_quantiles
):
    random, repeats = np.random.default_rng(seeds), 1000
    one, two = ARMS if better == worse else ARMS[[0, 0]]
    truth = true_value(better, one, mix) - true_value(worse, two, mix)
    wrong = np.zeros(2)
    for _ in range(repeats):
        labels = random.choice(3, 200, p=SHARES)
        predicted = predict(random, one, labels, seeds, mix)
        others = predict(random, two, labels, seeds, mix) if better == worse else predicted
        found = difference(added(predicted, labels, better), added(others, labels, worse))
        wrong += wrongs(found, truth)
    print(
        f"{seeds} seeds, {mix}, {better} − {worse}: supported, contradicted wrongly "
        f"{wrong / repeats}"
    )
    assert (wrong / repeats <= limit((1 - LEVEL) / 2, repeats)).all()


@pytest.mark.parametrize("metric", ["balanced accuracy", "F1 of ant"])
@pytest.mark.parametrize("shared", [True, False], ids=["the same for all seeds", "by chance"])
@pytest.mark.parametrize("seeds", [3, 10])
def test_no_support_where_a_rare_class_is_nearly_always_right(monkeypatch, seeds, shared, metric):
    """One arm misses one in 25 images of a class of 10, often none of them; the other no image."""
    random, repeats, outputs = np.random.default_rng(seeds), 300, {}
    labels = np.repeat([0, 1, 2], [10, 95, 95])
    table = pd.DataFrame(
        [
            {"arm": arm, "seed": seed, "key": f"{arm}{seed}"}
            for arm in ("some", "none")
            for seed in range(seeds)
        ]
    )
    module = sys.modules[compare.__module__]
    monkeypatch.setattr(module, "outcome", lambda key: record(outputs[key], labels))
    lost = 100 * (0.04 / 3 if metric == "balanced accuracy" else 1 - 2 * 0.96 / 1.96)
    wrong = 0
    for _ in range(repeats):
        missed = np.broadcast_to(random.random((1 if shared else seeds, 10)) < 0.04, (seeds, 10))
        for seed in range(seeds):
            outputs[f"none{seed}"] = labels
            outputs[f"some{seed}"] = np.r_[missed[seed].astype(int), labels[10:]]
        found = compare(table, "some", "none", metric)
        wrong += found.verdict(-lost + JUST) == "supported"
    assert wrong / repeats <= limit((1 - LEVEL) / 2, repeats)


def validated(right: np.ndarray) -> np.ndarray:
    """What each validation image adds to the accuracy after the last epoch."""
    history = [{"epoch": 1, "val_accuracy": right.mean()}]
    nothing = np.zeros(1, int)
    run = record(nothing, nothing, history=history, val_correct=lambda: right[None])
    return contributions(run, "validation accuracy")


@pytest.mark.parametrize("images, accuracy", [(8, 0.8), (40, 0.9), (80, 0.7), (80, 0.98)])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_claim_of_validation_accuracies_is_rarely_judged_wrongly(
    seeds, images, accuracy, fast_quantiles
):
    """Each seed has validation images of its own, few of them; both arms are equally good."""
    random, repeats = np.random.default_rng(seeds), 1000
    wrong = np.zeros(2)
    for _ in range(repeats):
        correct = random.random((2, seeds, images)) < accuracy
        one, two = (np.stack([validated(row) for row in arm]) for arm in correct)
        wrong += wrongs(difference(one, two), 0)
    assert (wrong / repeats <= limit((1 - LEVEL) / 2, repeats)).all()


# a family of claims

# Comparisons of each of the ledger's claims: like those of the first study, one claim has seven.
SIZES = np.resize([1, 1, 1, 2, 1, 1, 3, 1, 1, 1, 1], FAMILY)
SIZES[0] = 7


def family(random, seeds: int, images: int, common: bool) -> list[list[Difference]]:
    """The differences of each claim, all truly 0; `common`: all against one arm."""
    accuracy, by_seed, by_image = random.choice([0.6, 0.9]), *random.choice([0, 0.03], 2)
    pairs = SIZES.sum()
    count = 1 + pairs if common else 2 * pairs
    chance = (
        random.uniform(accuracy - 0.1, accuracy + 0.1, images)
        + by_image * random.normal(size=(count, 1, images))
        + by_seed * random.normal(size=(count, seeds, 1))
    )
    right = random.random(chance.shape, dtype=np.float32) < chance
    found = [
        difference(right[1 + pair], right[0])
        if common
        else difference(right[2 * pair], right[2 * pair + 1])
        for pair in range(pairs)
    ]
    ends = SIZES.cumsum()
    return [found[end - size : end] for size, end in zip(SIZES, ends)]


def is_wrong(found: list[Difference], true: bool, level: float) -> bool:
    """Is the claim, just true or just false, judged wrongly? As a ledger's claim."""
    # Of a false claim one comparison is just false, and the others hold by far.
    margins = [-JUST] * len(found) if true else [JUST] + [-90] * (len(found) - 1)
    pairs = [(Comparison("a", "b", margin), each) for margin, each in zip(margins, found)]
    return decide(pairs, level) == ("contradicted" if true else "supported")


@pytest.mark.parametrize("common", [False, True], ids=["arms of their own", "one common arm"])
@pytest.mark.parametrize("seeds, images", [(2, 100), (3, 100), (5, 100)])
def test_in_few_families_of_claims_is_any_verdict_wrong(seeds, images, common, fast_quantiles):
    """And in many without the correction: the test can fail."""
    random, repeats = np.random.default_rng(seeds), 700
    corrected = uncorrected = 0
    for _ in range(repeats):
        claims = family(random, seeds, images, common)
        true = random.random(FAMILY) < 0.5
        corrected += any(map(is_wrong, claims, true, [FAMILY_LEVEL] * FAMILY))
        uncorrected += any(map(is_wrong, claims, true, [LEVEL] * FAMILY))
    print(
        f"{seeds} seeds, any of {FAMILY} verdicts wrong: corrected {corrected / repeats:.3f}, "
        f"uncorrected {uncorrected / repeats:.3f}"
    )
    assert corrected / repeats <= limit(1 - LEVEL, repeats)
    assert uncorrected / repeats > 2 * (1 - LEVEL)


# power


def closed_form(effect: float, deviation: float, seeds: int, level: float = LEVEL) -> float:
    """Chance of a t above its critical value: over the normal mean, then over the chi-squared."""
    critical = scipy_stats.t.isf((1 - level) / 2, seeds - 1)
    shift = effect / deviation * np.sqrt(seeds)

    def above(spread):
        return scipy_stats.norm.sf(critical * np.sqrt(spread / (seeds - 1)) - shift)

    chance, _ = integrate.quad(
        lambda share: above(scipy_stats.chi2.ppf(share, seeds - 1)), 0, 1, limit=200
    )
    return chance


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("effect, deviation", [(0, 1), (1, 1), (3, 1.5), (0.03, 0.05), (-1, 2)])
def test_power_is_that_of_the_paired_t_test(effect, deviation, seeds):
    assert power(effect, deviation, seeds) == pytest.approx(
        closed_form(effect, deviation, seeds), abs=1e-4
    )
    assert power(effect, deviation, seeds, FAMILY_LEVEL) == pytest.approx(
        closed_form(effect, deviation, seeds, FAMILY_LEVEL), abs=1e-4
    )
    repeats, random = 20_000, np.random.default_rng(seeds)
    worse = random.normal(90, 3, (repeats, seeds))
    better = worse + random.normal(effect, deviation, (repeats, seeds))
    tested = scipy_stats.ttest_rel(better, worse, axis=1)
    shown = np.mean((tested.pvalue < 1 - LEVEL) & (tested.statistic > 0))
    assert power(effect, deviation, seeds) == pytest.approx(shown, abs=3 * 0.5 / np.sqrt(repeats))


def test_power_rises_with_the_seeds_and_the_effect_and_falls_with_the_deviation():
    seeds = np.arange(2, 30)
    assert np.array_equal(power(1, 1.5, seeds), [power(1, 1.5, int(each)) for each in seeds])
    assert (np.diff(power(1, 1.5, seeds)) > 0).all()
    for rising in (
        [power(effect, 1, 5) for effect in np.linspace(-1, 3, 20)],
        [power(1, 1 / precision, 5) for precision in np.linspace(0.2, 3, 20)],
    ):
        assert (np.diff(rising) > 0).all()
    assert power(0, 1, 5) == pytest.approx((1 - LEVEL) / 2)


@pytest.mark.parametrize("seeds", [5, 10])
def test_the_verdicts_power_for_three_points(seeds):
    """A paired difference of 3 points whose seeds deviate by 1.5; 1,200 test images.

    No more than that of a t test which takes the images for fixed, and nearly that of one to
    which the images' share of the variance is added.
    """
    images, repeats, by_image, random = 1200, 400, 0.1, np.random.default_rng(seeds)
    within = 2 * 0.9 * 0.1 / images  # the part of the seeds' variance that is images' chance
    by_seed = np.sqrt(0.015**2 - within)
    supported, deviations = np.zeros(2), []
    for _ in range(repeats):
        half = (
            0.03
            + by_seed * random.normal(size=(seeds, 1))
            + by_image * random.uniform(-0.5, 0.5, images)
        ) / 2
        better, worse = (random.random((seeds, images)) < 0.9 + sign * half for sign in (1, -1))
        found = difference(better, worse)
        deviations.append(np.sqrt(found.by_seed * seeds))
        supported += [found.verdict(0, level) == "supported" for level in (LEVEL, FAMILY_LEVEL)]
    print(
        f"{seeds} seeds, 3 ± 1.5 points: supported {supported / repeats}, per claim and in a "
        f"family of {FAMILY}; t test {power(3, 1.5, seeds):.3f}"
    )
    assert np.sqrt(np.mean(np.square(deviations))) == pytest.approx(1.5, rel=0.05)
    wider = np.sqrt(1.5**2 + seeds * 3 * (100 * by_image) ** 2 / 12 / images)
    for share, level in zip(supported / repeats, (LEVEL, FAMILY_LEVEL)):
        assert share <= closed_form(3, 1.5, seeds, level) + 3 * 0.5 / np.sqrt(repeats)
        assert share >= closed_form(3, wider, seeds, level) - 0.1
