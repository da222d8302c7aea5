"""Intervals hold their level on simulated runs, and verdicts follow from them."""

import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import write_record
from scipy import stats

from tlkit.experiments import records
from tlkit.experiments import results as tables
from tlkit.ground.names import UnknownName
from tlkit.judging.compare import compare, differences, scores
from tlkit.judging.intervals import (
    FAMILY,
    FAMILY_LEVEL,
    LEVEL,
    Difference,
    Estimate,
    difference,
    in_words,
    interval,
)
from tlkit.judging.ledger import Claim, Comparison, claim
from tlkit.judging.verdicts import verdicts

IMAGES, REPEATS = 200, 2000
# (effect, sd of the seeds' effects, sd of the images' effects), as shares of 1
SETTINGS = {
    "nothing but chance": (0, 0, 0),
    "seeds and images": (0, 0.03, 0.1),
    "mostly seeds": (0, 0.1, 0),
    "an effect": (0.05, 0.05, 0.1),
}


def simulate(random, seeds, effect, by_seed, by_image, images=IMAGES) -> tuple:
    """What two arms get right, [seeds, images] each; the true difference is `effect`.

    Seeds and images are crossed random effects on the chance of being right, which stays well
    within 0 … 1; what is right is then drawn by chance, that is the interaction.
    """
    chance = random.uniform(0.4, 0.6, images)
    half = (
        effect + by_seed * random.normal(size=(seeds, 1)) + by_image * random.normal(size=images)
    ) / 2
    return tuple(random.random((seeds, images)) < chance + sign * half for sign in (1, -1))


def share(count: int, of: int = REPEATS) -> float:
    return count / of


# the interval of a paired difference


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_95_percent_interval_covers_the_truth(setting, seeds):
    effect, by_seed, by_image = SETTINGS[setting]
    random = np.random.default_rng(seeds)
    covered = wrongly = 0
    for _ in range(REPEATS):
        found = difference(*simulate(random, seeds, effect, by_seed, by_image))
        verdict = found.verdict(100 * effect + 1e-9)  # undecided: the truth is in the interval
        covered += verdict == "undecided"
        wrongly += verdict == "supported"
    assert share(covered) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / REPEATS)
    assert share(wrongly) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / REPEATS)


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("accuracy", [0.995, 0.9995])
def test_no_support_out_of_nothing_where_nearly_all_is_right(accuracy, seeds):
    """The worse arm is wrong a little more often; few images or none tell the arms apart."""
    random = np.random.default_rng(seeds)
    lower = 2 * accuracy - 1
    wrongly = covered = 0
    for _ in range(REPEATS):
        worse, better = (random.random((seeds, IMAGES)) < p for p in (lower, accuracy))
        found = difference(worse, better)
        low, high = found.interval()
        covered += low <= 100 * (lower - accuracy) <= high
        wrongly += found.verdict(0) == "supported"
    assert share(wrongly) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / REPEATS)
    assert share(covered) >= 0.94


def test_the_interval_is_not_absurdly_wide():
    """With ten seeds: less than twice as wide as that of one who knows the true variance."""
    random = np.random.default_rng(0)
    found = [difference(*simulate(random, 10, 0.05, 0.03, 0.1)) for _ in range(500)]
    known = stats.norm.ppf(0.975) * np.std([each.mean for each in found])
    half = np.median([np.diff(each.interval()) for each in found]) / 2
    assert known <= half <= 2 * known


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_without_differences_between_images_it_is_no_narrower_than_students(seeds):
    """All images alike: the seeds are all there is, and Student's t on their means is exact."""
    random = np.random.default_rng(seeds)
    better, worse = np.zeros((2, seeds, 1000), bool)
    means = random.permutation(np.linspace(0.2, 0.8, seeds))
    for row, mean in enumerate(means):
        better[row] = random.permutation(1000) < 1000 * mean
    exact = stats.t.interval(0.95, seeds - 1, 100 * means.mean(), 100 * stats.sem(means))
    low, high = difference(better, worse).interval()
    assert low <= exact[0] + 0.05 and high >= exact[1] - 0.05
    assert high - low <= 1.1 * (exact[1] - exact[0])


def test_mean_is_the_difference_of_the_accuracies_in_points():
    random = np.random.default_rng(0)
    better, worse = random.random((2, 4, 50)) < 0.7
    found = difference(better, worse)
    assert found.mean == pytest.approx(100 * (better.mean() - worse.mean()))
    assert (found.seeds, found.images) == (4, 50)
    swapped = difference(worse, better)
    assert swapped.mean == -found.mean
    assert swapped.interval() == pytest.approx([-bound for bound in found.interval()[::-1]])


def test_order_of_seeds_and_of_images_does_not_matter():
    random = np.random.default_rng(0)
    better, worse = random.random((2, 4, 50)) < 0.7
    seeds, images = random.permutation(4), random.permutation(50)
    shuffled = difference(better[seeds][:, images], worse[seeds][:, images])
    assert shuffled.interval() == pytest.approx(difference(better, worse).interval())


def test_a_higher_level_is_wider_and_around_the_mean():
    random = np.random.default_rng(0)
    found = difference(*simulate(random, 5, 0.05, 0.03, 0.1))
    bounds = [found.interval(level) for level in (0.5, 0.9, 0.95, 0.99)]
    for (low, high), (lower, higher) in pairwise(bounds):
        assert lower < low < found.mean < high < higher
    assert found.interval() == found.interval(0.95)


@pytest.mark.parametrize("effect", [-0.9, 0, 0.9])
def test_one_seed_is_unbounded_and_undecided(effect):
    random = np.random.default_rng(0)
    found = difference(*simulate(random, 1, effect, 0, 0))
    assert found.interval() == (-np.inf, np.inf)
    assert {found.verdict(margin) for margin in (-100, 0, 100)} == {"undecided"}


def test_arms_that_are_not_paired_are_refused():
    right = np.ones((3, 20), bool)
    for other in (right[:2], right[:, :19], right.T):
        with pytest.raises(ValueError, match="not paired"):
            difference(right, other)


# verdicts of one difference


def test_verdict_is_read_off_the_interval():
    found = difference(*simulate(np.random.default_rng(1), 5, 0.1, 0.03, 0.05))
    low, high = found.interval()
    assert low < found.mean < high
    expected = {
        low - 1: "supported",
        low: "supported",
        low + 1e-6: "undecided",
        found.mean: "undecided",
        high - 1e-6: "undecided",
        high: "undecided",
        high + 1e-6: "contradicted",
        high + 1: "contradicted",
    }
    assert {margin: found.verdict(margin) for margin in expected} == expected


def test_a_stricter_level_decides_less():
    found = difference(*simulate(np.random.default_rng(1), 5, 0.1, 0.03, 0.05))
    low, _ = found.interval()
    assert found.verdict(low) == "supported" and found.verdict(low, level=0.99) == "undecided"


@pytest.mark.parametrize(
    "effect, by_seed, by_image",
    [(0.05, 0.05, 0.05), (0.03, 0.02, 0.05), (0.08, 0.1, 0.1), (0.15, 0.1, 0.1)],
)
def test_about_as_many_seeds_as_are_said_usually_decide(effect, by_seed, by_image):
    random = np.random.default_rng(0)
    pilots = [difference(*simulate(random, 5, effect, by_seed, by_image)) for _ in range(500)]
    typical = Difference(
        100 * effect,
        np.mean([each.by_seed for each in pilots]),
        np.mean([each.by_image for each in pilots]),
        5,
        IMAGES,
    )
    needed = int(typical.seeds_to_decide(0))
    decided = sum(
        difference(*simulate(random, needed, effect, by_seed, by_image)).verdict(0) == "supported"
        for _ in range(500)
    )
    assert share(decided, 500) >= 0.45
    if needed > 3:  # and far fewer do not
        few = needed // 3 + 1
        decided = sum(
            difference(*simulate(random, few, effect, by_seed, by_image)).verdict(0) == "supported"
            for _ in range(500)
        )
        assert share(decided, 500) <= 0.45


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_where_undecided_more_seeds_are_asked_for_than_there_are(seeds):
    random = np.random.default_rng(seeds)
    found = [difference(*simulate(random, seeds, 0.05, 0.05, 0.05)) for _ in range(100)]
    undecided = [each for each in found if each.verdict(0) == "undecided"]
    assert undecided and all(each.seeds_to_decide(0) > seeds for each in undecided)


def test_no_number_of_seeds_decides_what_depends_on_the_images():
    better, worse = np.zeros((2, 5, 20), bool)
    better[:, :1] = True  # every seed gains the same image of twenty
    assert difference(better, worse).seeds_to_decide(0) == np.inf


# how a number with its interval is written


@pytest.mark.parametrize(
    "numbers, text",
    [
        ((1.26, 0.5, 2.14), "+1.3 [0.5, 2.1]"),
        ((-1.26, -2.14, -0.04), "−1.3 [−2.1, 0.0]"),
        ((-0.04, -0.3, 0.04), "+0.0 [−0.3, 0.0]"),
        ((5, -np.inf, np.inf), "+5.0 [no interval]"),
        ((np.float64(12.34), 1, 100), "+12.3 [1.0, 100.0]"),
    ],
)
def test_an_estimate_is_written_with_its_interval_and_true_minus_signs(numbers, text):
    assert in_words(*numbers) == text


def test_decimals_are_as_many_as_requested():
    assert in_words(-0.123, -1, 0.5, places=2) == "−0.12 [−1.00, 0.50]"
    assert in_words(0.126, 0, 1, places=0) == "+0 [0, 1]"


def test_differences_and_estimates_print_themselves():
    found = difference(*simulate(np.random.default_rng(1), 5, 0.1, 0.03, 0.05))
    assert str(found) == in_words(found.mean, *found.interval(), 1)
    estimate = Estimate(-0.25, lambda level: (-0.25 - level, 0.5), 7, "targets")
    assert str(estimate) == "−0.25 [−1.20, 0.50]"
    assert str(Estimate.t([1, 2, 3], places=1)) == "+2.0 [−0.5, 4.5]"
    assert str(Estimate.t([3.2])) == "+3.20 [no interval]"


# the interval of independent runs


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_is_students(n):
    values = pd.Series(np.random.default_rng(n).normal(0.8, 0.1, n))
    expected = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    assert interval(values) == pytest.approx(expected)


def test_interval_of_one_run_is_unbounded():
    assert interval(pd.Series([0.8])) == (-np.inf, np.inf)


@pytest.mark.parametrize("level", [0.5, LEVEL, FAMILY_LEVEL])
@pytest.mark.parametrize("n", [2, 5, 30])
def test_an_estimate_over_independent_values_is_students(n, level):
    values = np.random.default_rng(n).normal(2, 3, n)
    estimate = Estimate.t(pd.Series(values), of="targets")
    expected = stats.t.interval(level, n - 1, values.mean(), stats.sem(values))
    assert estimate.interval(level) == pytest.approx(expected)
    assert (estimate.mean, estimate.seeds, estimate.of) == (
        pytest.approx(values.mean()),
        n,
        "targets",
    )
    low, high = estimate.interval()
    assert estimate.clearance(low) == pytest.approx(1) and estimate.clearance(
        high
    ) == pytest.approx(-1)
    assert [estimate.verdict(at) for at in (low, low + 1e-6, high, high + 1e-6)] == [
        "supported",
        "undecided",
        "undecided",
        "contradicted",
    ]


def test_an_estimate_from_one_value_is_undecided():
    estimate = Estimate.t([0.8])
    assert estimate.interval() == (-np.inf, np.inf) and estimate.verdict(0) == "undecided"


def test_an_estimate_of_equal_values_is_judged_by_its_mean():
    estimate = Estimate.t([2.0, 2.0, 2.0])
    assert estimate.interval() == (2, 2) and str(estimate) == "+2.00 [2.00, 2.00]"
    assert (estimate.verdict(2), estimate.verdict(2.1)) == ("supported", "contradicted")
    assert estimate.clearance(0.5) == 1.5


def test_the_family_s_level_is_bonferronis():
    """One side of an interval is wrong with (1 - LEVEL) / FAMILY at most, so any with 1 - LEVEL."""
    assert FAMILY == 60
    assert pytest.approx(1 - LEVEL) == (1 - FAMILY_LEVEL) / 2 * FAMILY


# verdicts on claims, from records


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A maker of sweeps' tables whose records are synthetic: accuracy in % of every arm.

    An arm is a label, or with `names` a tuple of coordinates.
    """
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path))

    def make(arms: dict, seeds=range(5), images=400, names=()) -> pd.DataFrame:
        random, rows = np.random.default_rng(0), []
        labels = torch.from_numpy(random.integers(0, 3, images))
        for arm, accuracy in arms.items():
            for seed in seeds:
                wrong = torch.from_numpy(random.random(images) >= accuracy / 100)
                logits = torch.nn.functional.one_hot((labels + wrong) % 3, 3).float()
                label = ", ".join(map(str, arm)) if names else arm
                write_record(f"{label}-{seed}", logits, labels, seed)
                point = {"arm": label} | dict(zip(names, arm))
                rows.append(point | {"seed": seed, "key": f"{label}-{seed}"})
        return pd.DataFrame(rows)

    return make


def patch_claims(monkeypatch, claims: dict[str, Claim]) -> None:
    # The package's function `verdicts` hides its module of the same name from a dotted path.
    monkeypatch.setattr(sys.modules[verdicts.__module__], "claim", claims.__getitem__)


@pytest.fixture
def ledger(monkeypatch):
    """A ledger of the test's own, of the claims' comparisons."""

    def put(**comparisons: list[tuple]) -> None:
        patch_claims(
            monkeypatch,
            {
                name: Claim(
                    name,
                    "study",
                    f"statement {name}",
                    "notebook",
                    f"published {name}",
                    "do",
                    "do not",
                    comparisons=tuple(Comparison(*each) for each in pairs),
                )
                for name, pairs in comparisons.items()
            },
        )

    return put


def test_scores_are_which_images_an_arm_got_right(results):
    table = results({"a": 60.0, "b": 80.0}, seeds=[3, 1])
    right = scores(table, "b")
    assert right.shape == (2, 400)
    for row, seed in zip(right, (1, 3)):  # by seed, in whatever order the table has them
        logits, labels = records.read(f"b-{seed}").test_outputs()
        assert np.array_equal(row, [each.argmax() == label for each, label in zip(logits, labels)])
    assert 0.75 < right.mean() < 0.85


GRID = {("kin", 0.1): 60.0, ("kin", 0.3): 80.0, ("far", 0.1): 70.0, ("far", 0.3): 65.0}


def test_arms_are_named_by_coordinates_or_label(results):
    table = results(GRID, names=("target", "lr"))
    table["lr"] = table["lr"].astype(object)
    by_point = compare(table, {"target": "kin", "lr": 0.3}, {"target": "kin", "lr": "0.1"})
    assert by_point == compare(table, "kin, 0.3", "kin, 0.1")
    expected = difference(scores(table, "kin, 0.3"), scores(table, {"target": "kin", "lr": 0.1}))
    assert by_point == expected
    kin = table[table["target"] == "kin"]
    assert compare(kin, {"lr": 0.3}, {"lr": 0.1}) == expected


def test_coordinates_that_several_arms_have_are_refused(results):
    table = results(GRID, names=("target", "lr"))
    with pytest.raises(ValueError, match=r"kin.*several arms.*kin, 0\.1, kin, 0\.3"):
        compare(table, {"target": "kin"}, {"target": "far", "lr": 0.1})
    with pytest.raises(UnknownName, match=r"coordinate 'targets'.*target"):
        scores(table, {"targets": "kin"})


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """Tables are stored as in a notebook that runs; a reader of them."""
    monkeypatch.delenv("TLKIT_DRY_RUN", raising=False)
    monkeypatch.setattr(tables, "_folder", None)
    tables.begin("00_test", "lab", {})
    return lambda name: tables.stored(name, "lab").query("origin == 'here'")


def test_differences_are_those_of_compare_for_every_pair(results, notebook):
    table = results(GRID | {("far", 0.5): 90.0, ("lone", 0.3): 50.0}, names=("target", "lr"))
    rows = differences(table, of="lr", to=0.1, by=["target"])
    assert list(zip(rows["target"], rows["lr"])) == [("kin", 0.3), ("far", 0.3), ("far", 0.5)]
    for row in rows.to_dict("records"):
        place = {"target": row["target"]}
        pair = compare(table, place | {"lr": row["lr"]}, place | {"lr": 0.1})
        assert (row["mean"], row["low"], row["high"]) == (pair.mean, *pair.interval())
        assert (row["text"], row["seeds"], row["images"]) == (str(pair), 5, 400)
        assert row["minus"] == 0.1
    stored = notebook("differences")
    assert stored["text"].tolist() == rows["text"].tolist()
    assert (stored[["of", "metric", "notebook"]] == ["lr", "accuracy", "00_test"]).all(axis=None)


def test_differences_without_further_coordinates_and_of_another_metric(results):
    kin = {arm: accuracy for arm, accuracy in GRID.items() if arm[0] == "kin"}
    table = results(kin, names=("target", "lr"))
    (row,) = differences(table, of="lr", to=0.1, metric="F1 of a").to_dict("records")
    pair = compare(table, "kin, 0.3", "kin, 0.1", "F1 of a")
    assert (row["mean"], row["text"]) == (pair.mean, str(pair))


def test_a_coordinate_wins_over_the_number_of_test_images(results):
    arms = {(scheme, 10): 60.0 + 10 * number for number, scheme in enumerate(("L2", "L2-SP"))}
    table = results(arms, names=("scheme", "images"))
    (row,) = differences(table, of="scheme", to="L2", by=["images"]).to_dict("records")
    assert (row["images"], row["scheme"], row["minus"]) == (10, "L2-SP", "L2")


def test_differences_leave_out_rows_without_the_coordinate(results):
    """As where a table is put together from two sweeps."""
    table = results(GRID, names=("target", "lr"))
    other = results({("plain",): 70.0}, names=("scheme",))
    both = differences(pd.concat([table, other]), of="lr", to=0.1, by=["target"])
    pd.testing.assert_frame_equal(both, differences(table, of="lr", to=0.1, by=["target"]))


def test_a_claim_of_several_comparisons_needs_all_and_falls_with_one(results, ledger):
    table = results({"high": 90.0, "middle": 75.0, "low": 60.0, "low too": 60.0})
    ledger(
        C0=[("high", "middle", 0)],
        C1=[("high", "middle", 0), ("middle", "low", 0), ("high", "low", 20)],
        C2=[("high", "middle", 0), ("low", "low too", 0)],
        C3=[("high", "middle", 0), ("low", "middle", 0)],
        C4=[("low", "low too", 0), ("low", "middle", 0), ("high", "low", 0)],
        C5=[("low", "low too", -10)],
        C6=[("high", "low", 50)],
    )
    judged = verdicts(table, [f"C{number}" for number in range(7)])
    assert list(judged["claim"]) == [f"C{number}" for number in range(7)]
    assert list(judged["verdict"]) == [
        "supported",
        "supported",
        "undecided",
        "contradicted",
        "contradicted",
        "supported",
        "contradicted",
    ]
    assert (judged["statement"] == "statement " + judged["claim"]).all()
    assert (judged["published"] == "published " + judged["claim"]).all()
    assert (judged["seeds"] == 5).all()
    undecided = judged["verdict"] == "undecided"
    assert (judged["would decide"] != "").equals(undecided)


def test_a_verdict_s_numbers_are_those_of_the_comparison_that_speaks_most_against_it(
    results, ledger, notebook
):
    table = results({"high": 90.0, "middle": 75.0, "low": 60.0})
    ledger(C0=[("high", "low", 0), ("middle", "low", 5), ("high", "middle", -2)])
    judged = verdicts(table, ["C0"], way="by hand")
    (row,) = judged.to_dict("records")
    pairs = {
        at: compare(table, *arms)
        for *arms, at in [("high", "low", 0), ("middle", "low", 5), ("high", "middle", -2)]
    }
    margin = min(pairs, key=lambda at: pairs[at].clearance(at))
    assert (row["mean"], row["margin"]) == (pairs[margin].mean, margin)
    assert (row["low"], row["high"]) == pairs[margin].interval()
    assert row["way"] == "by hand"
    assert list(judged.columns) == [
        "claim",
        "statement",
        "published",
        "way",
        "difference",
        "mean",
        "low",
        "high",
        "margin",
        "seeds",
        "verdict",
        "family-wise",
        "would decide",
    ]
    stored = notebook("verdicts")
    assert stored[["claim", "verdict"]].to_numpy().tolist() == [["C0", "supported"]]
    assert float(stored["low"][0]) == row["low"]


def test_the_family_s_verdict_is_at_its_own_level(results, ledger):
    table = results({"a": 70.0, "b": 60.0})
    pair = compare(table, "a", "b")
    between = (pair.interval()[0] + pair.interval(FAMILY_LEVEL)[0]) / 2
    ledger(C0=[("a", "b", between)], C1=[("a", "b", pair.interval(FAMILY_LEVEL)[0])])
    judged = verdicts(table, ["C0", "C1"])
    assert judged["verdict"].tolist() == ["supported", "supported"]
    assert judged["family-wise"].tolist() == ["undecided", "supported"]


def test_of_many_comparisons_the_weakest_is_said(results, ledger):
    table = results({"high": 90.0, "middle": 75.0, "low": 60.0})
    pairs = [("high", "middle", 0), ("high", "low", 0), ("middle", "low", 0), ("low", "high", -50)]
    ledger(C0=pairs)
    (row,) = verdicts(table, ["C0"]).to_dict("records")
    *arms, at = min(pairs, key=lambda pair: compare(table, *pair[:2]).clearance(pair[2]))
    assert row["difference"] == (
        f"least of 4: {arms[0]} − {arms[1]}: {compare(table, *arms)} (claimed ≥ {at})"
    ).replace("≥ -", "≥ −")


@pytest.fixture
def estimated(ledger):
    """Claims about a quantity: two of it alone, one of it and three comparisons besides."""
    ledger()
    pairs = (Comparison("high", "low", 0),) * 3
    texts = ("study", "statement", "notebook", "published", "do it", "leave it")
    return {
        name: Claim(name, *texts, comparisons=comparisons, quantity="slope", at_least=0.5)
        for name, comparisons in {"C0": (), "C1": (), "C2": pairs}.items()
    }


def test_a_quantity_is_judged_by_its_interval(results, estimated, monkeypatch):
    patch_claims(monkeypatch, estimated)
    table = results({"high": 90.0, "low": 60.0})

    def at(mean):  # wider at higher levels
        return lambda level: (mean - level, mean + level)

    far, near = Estimate(2.0, at(2.0), 12, "targets"), Estimate(0.75, at(0.75), 12, "targets")
    judged = verdicts(table, ["C0", "C1", "C2"], {"C0": far, "C1": near, "C2": far})
    assert judged["verdict"].tolist() == ["supported", "undecided", "supported"]
    assert judged["difference"][0] == "slope: +2.00 [1.05, 2.95] (claimed ≥ 0.5)"
    assert judged["seeds"].tolist() == [12, 12, 5]
    assert judged["would decide"].tolist() == ["", "more targets", ""]
    low = Estimate(-2.0, at(-2.0), 12, "targets")
    assert verdicts(table, ["C2"], {"C2": low})["verdict"].tolist() == ["contradicted"]
    with pytest.raises(ValueError, match="C0 needs an estimate of its quantity: slope"):
        verdicts(table, ["C0"])


def test_each_comparison_is_shown_with_its_interval(results, ledger):
    table = results({"high": 90.0, "low": 60.0})
    ledger(C0=[("high", "low", 0), ("low", "high", 0)])
    shown = verdicts(table, ["C0"])["difference"][0].split("; ")
    assert [text.split(":")[0] for text in shown] == ["high − low", "low − high"]
    for text, arms in zip(shown, (("high", "low"), ("low", "high"))):
        gain = difference(*(scores(table, arm) for arm in arms))
        assert text.endswith(f": {gain} (claimed ≥ 0)")


def test_one_seed_is_undecided_and_more_seeds_are_what_it_lacks(results, ledger):
    ledger(C0=[("high", "low", 0)])
    (row,) = verdicts(results({"high": 90.0, "low": 20.0}, seeds=[0]), ["C0"]).to_dict("records")
    assert row["verdict"] == "undecided" and "seeds" in row["would decide"]
    assert "[no interval]" in row["difference"]


def test_seeds_of_a_pair_must_be_the_same(results, ledger):
    one, other = results({"a": 90.0}, seeds=[0, 1, 2]), results({"b": 20.0}, seeds=[1, 2, 3])
    ledger(C0=[("a", "b", 0)])
    with pytest.raises(ValueError, match="paired"):
        verdicts(pd.concat([one, other]), ["C0"])


def test_a_run_that_is_there_twice_counts_once(results, ledger):
    table = results({"a": 80.0, "b": 70.0}, seeds=range(3))
    ledger(C0=[("a", "b", 0)])
    once, twice = (verdicts(each, ["C0"]) for each in (table, pd.concat([table, table])))
    pd.testing.assert_frame_equal(twice, once)


def test_the_ledgers_own_claims_are_judged(results):
    accuracies = {"none": 95.0, "entry": 95.5, "middle": 85.0, "all": 70.0}
    arms = {(flow, "eval"): accuracy for flow, accuracy in accuracies.items()}
    table = results(arms, images=4000, names=("flow", "batch_norm"))
    judged = verdicts(table, ["C2.4", "C2.6", "C2.12"]).set_index("claim")
    assert judged["statement"]["C2.6"] == claim("C2.6").statement
    assert judged["verdict"].to_dict() == {
        "C2.4": "supported",
        "C2.6": "supported",
        "C2.12": "contradicted",
    }


def test_unknown_claims_and_arms_are_named(results, ledger):
    arms = {("none", "eval"): 90.0, ("entry", "eval"): 60.0}
    table = results(arms, names=("flow", "batch_norm"))
    with pytest.raises(UnknownName, match=r"'C2\.44'.*C2\.4"):
        verdicts(table, ["C2.44"])
    with pytest.raises(UnknownName, match=r"flow 'all'.*none"):
        verdicts(table, ["C2.6"])
    with pytest.raises(UnknownName, match=r"'entri'.*entry"):
        scores(table, {"flow": "entri"})


def test_of_a_claim_of_four_true_comparisons_either_verdict_is_rarely_wrong(ledger, monkeypatch):
    """Five equal arms: the claim is neither supported nor contradicted above the stated level."""
    ledger(
        C0=[("a", "b", 1e-9), ("b", "c", 1e-9), ("c", "d", 1e-9), ("d", "e", 1e-9)],
        C1=[("a", "b", 0), ("b", "c", 0), ("c", "d", 0), ("d", "e", 0)],
    )
    table = pd.DataFrame(
        [{"arm": arm, "seed": seed, "key": f"{arm}{seed}"} for arm in "abcde" for seed in range(5)]
    )
    labels, outputs = np.zeros(IMAGES, int), {}
    monkeypatch.setattr(
        sys.modules[compare.__module__],
        "outcome",
        lambda key: SimpleNamespace(
            test_outputs=lambda: (np.eye(2)[outputs[key].astype(int)], labels)
        ),
    )
    random, found = np.random.default_rng(0), []
    for _ in range(150):
        chance = random.uniform(0.4, 0.6, IMAGES)
        for key in table["key"]:
            outputs[key] = random.random(IMAGES) < chance + 0.05 * random.normal()
        found.append(verdicts(table, ["C0", "C1"])["verdict"])
    limit = 0.025 + 3 * np.sqrt(0.025 * 0.975 / 150)
    assert share(sum(each[0] == "supported" for each in found), 150) <= limit
    assert share(sum(each[1] == "contradicted" for each in found), 150) <= limit
