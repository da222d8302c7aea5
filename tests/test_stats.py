"""Intervals hold their level on simulated runs, and verdicts follow from them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import write_record
from scipy import stats

from tlkit.experiments import records
from tlkit.judging import verdicts
from tlkit.judging.verdicts import scores, verdicts
from tlkit.ground.names import UnknownName
from tlkit.judging.ledger import Claim, Comparison, claim
from tlkit.judging.intervals import Difference, Estimate, difference, interval

IMAGES, REPEATS = 200, 2000
# (effect, sd of the seeds' effects, sd of the images' effects), as shares of 1
SETTINGS = {
    "nothing but chance": (0, 0, 0), "seeds and images": (0, 0.03, 0.1),
    "mostly seeds": (0, 0.1, 0), "an effect": (0.05, 0.05, 0.1),
}


def simulate(random, seeds, effect, by_seed, by_image, images=IMAGES) -> tuple:
    """What two arms get right, [seeds, images] each; the true difference is `effect`.

    Seeds and images are crossed random effects on the chance of being right, which stays well
    within 0 … 1; what is right is then drawn by chance, that is the interaction.
    """
    chance = random.uniform(0.4, 0.6, images)
    half = (effect + by_seed * random.normal(size=(seeds, 1))
            + by_image * random.normal(size=images)) / 2
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
    for (low, high), (lower, higher) in zip(bounds, bounds[1:]):
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
        low - 1: "supported", low: "supported", low + 1e-6: "undecided",
        found.mean: "undecided", high - 1e-6: "undecided", high: "undecided",
        high + 1e-6: "contradicted", high + 1: "contradicted",
    }
    assert {margin: found.verdict(margin) for margin in expected} == expected


def test_a_stricter_level_decides_less():
    found = difference(*simulate(np.random.default_rng(1), 5, 0.1, 0.03, 0.05))
    low, _ = found.interval()
    assert found.verdict(low) == "supported" and found.verdict(low, level=0.99) == "undecided"


@pytest.mark.parametrize("effect, by_seed, by_image", [(0.05, 0.05, 0.05), (0.03, 0.02, 0.05),
                                                      (0.08, 0.1, 0.1), (0.15, 0.1, 0.1)])
def test_about_as_many_seeds_as_are_said_usually_decide(effect, by_seed, by_image):
    random = np.random.default_rng(0)
    pilots = [difference(*simulate(random, 5, effect, by_seed, by_image)) for _ in range(500)]
    typical = Difference(
        100 * effect, np.mean([each.by_seed for each in pilots]),
        np.mean([each.by_image for each in pilots]), 5, IMAGES,
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


def test_no_number_of_seeds_decides_what_hangs_on_the_images():
    better, worse = np.zeros((2, 5, 20), bool)
    better[:, :1] = True  # every seed gains the same image of twenty
    assert difference(better, worse).seeds_to_decide(0) == np.inf


# the interval of independent runs


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_is_students(n):
    values = pd.Series(np.random.default_rng(n).normal(0.8, 0.1, n))
    expected = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    assert interval(values) == pytest.approx(expected)


def test_interval_of_one_run_is_unbounded():
    assert interval(pd.Series([0.8])) == (-np.inf, np.inf)


# verdicts on claims, from records


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A maker of sweeps' tables whose records are synthetic: accuracy in % of every arm."""
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path))

    def make(arms: dict[str, float], seeds=range(5), images=400) -> pd.DataFrame:
        random, rows = np.random.default_rng(0), []
        labels = torch.from_numpy(random.integers(0, 3, images))
        for arm, accuracy in arms.items():
            for seed in seeds:
                wrong = torch.from_numpy(random.random(images) >= accuracy / 100)
                logits = torch.nn.functional.one_hot((labels + wrong) % 3, 3).float()
                write_record(f"{arm}-{seed}", logits, labels, seed)
                rows.append({"arm": arm, "seed": seed, "key": f"{arm}-{seed}"})
        return pd.DataFrame(rows)

    return make


@pytest.fixture
def ledger(monkeypatch):
    """A ledger of the test's own, of the claims' comparisons."""
    def put(**comparisons: list[tuple[str, str, float]]) -> None:
        claims = {
            name: Claim(name, "tlkit", f"statement {name}", f"published {name}", "do", "do not",
                        tuple(Comparison(*each) for each in pairs))
            for name, pairs in comparisons.items()
        }
        monkeypatch.setattr(judging, "claim", claims.__getitem__)

    return put


def test_scores_are_which_images_an_arm_got_right(results):
    table = results({"a": 60.0, "b": 80.0}, seeds=[3, 1])
    right = scores(table, "b")
    assert right.shape == (2, 400)
    for row, seed in zip(right, (1, 3)):  # by seed, in whatever order the table has them
        logits, labels = records.read(f"b-{seed}").test_outputs()
        assert np.array_equal(row, [each.argmax() == label for each, label in zip(logits, labels)])
    assert 0.75 < right.mean() < 0.85


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
        "supported", "supported", "undecided", "contradicted", "contradicted", "supported",
        "contradicted",
    ]
    assert (judged["statement"] == "statement " + judged["claim"]).all()
    assert (judged["published"] == "published " + judged["claim"]).all()
    assert (judged["seeds"] == 5).all()
    undecided = judged["verdict"] == "undecided"
    assert (judged["would decide"] != "").equals(undecided)


@pytest.fixture
def estimated(ledger):
    """Claims about a quantity: two of it alone, one of it and three comparisons besides."""
    ledger()
    pairs = (Comparison("high", "low", 0),) * 3
    claims = {
        name: Claim(
            name, "tlkit", "statement", "published", "do it", "leave it", comparisons, "slope", 0.5
        )
        for name, comparisons in {"C0": (), "C1": (), "C2": pairs}.items()
    }
    return claims


def test_a_quantity_is_judged_by_its_interval(results, estimated, monkeypatch):
    monkeypatch.setattr(judging, "claim", estimated.__getitem__)
    table = results({"high": 90.0, "low": 60.0})

    def at(mean):  # wider at higher levels
        return lambda level: (mean - level, mean + level)

    far, near = Estimate(2.0, at(2.0), 12, "targets"), Estimate(0.75, at(0.75), 12, "targets")
    judged = verdicts(table, ["C0", "C1", "C2"], {"C0": far, "C1": near, "C2": far})
    assert judged["verdict"].tolist() == ["supported", "undecided", "supported"]
    assert judged["difference"][0] == "slope: +2.00 [+1.05, +2.95] (claimed ≥ 0.5)"
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
    found = difference(scores(table, "high"), scores(table, "low"))
    low, high = found.interval()
    assert f"{found.mean:+.1f}" in shown[0] and f"{low:+.1f}" in shown[0]
    assert f"{high:+.1f}" in shown[0]


def test_one_seed_is_undecided_and_more_seeds_are_what_it_lacks(results, ledger):
    ledger(C0=[("high", "low", 0)])
    (row,) = verdicts(results({"high": 90.0, "low": 20.0}, seeds=[0]), ["C0"]).to_dict("records")
    assert row["verdict"] == "undecided" and "seeds" in row["would decide"]


def test_seeds_of_a_pair_must_be_the_same(results, ledger):
    one, other = results({"a": 90.0}, seeds=[0, 1, 2]), results({"b": 20.0}, seeds=[1, 2, 3])
    ledger(C0=[("a", "b", 0)])
    with pytest.raises(ValueError, match="paired"):
        verdicts(pd.concat([one, other]), ["C0"])


def test_a_run_that_is_there_twice_counts_once_or_is_refused(results, ledger):
    table = results({"a": 80.0, "b": 70.0}, seeds=range(3))
    ledger(C0=[("a", "b", 0)])
    once = verdicts(table, ["C0"])
    try:
        twice = verdicts(pd.concat([table, table]), ["C0"])
    except ValueError:
        return
    pd.testing.assert_frame_equal(twice, once)


def test_the_ledgers_own_claims_are_judged(results):
    table = results({"none": 95.0, "entry": 95.5, "middle": 85.0, "all": 70.0}, images=4000)
    judged = verdicts(table, ["C2.4", "C2.6", "C2.12"]).set_index("claim")
    assert judged["statement"]["C2.6"] == claim("C2.6").statement
    assert judged["verdict"].to_dict() == {
        "C2.4": "supported", "C2.6": "supported", "C2.12": "contradicted"
    }


def test_unknown_claims_and_arms_are_named(results, ledger):
    table = results({"none": 90.0, "entry": 60.0})
    with pytest.raises(UnknownName, match=r"'C2\.44'.*C2\.4"):
        verdicts(table, ["C2.44"])
    with pytest.raises(UnknownName, match="'all'"):
        verdicts(table, ["C2.6"])
    with pytest.raises(UnknownName, match="'entri'.*entry"):
        scores(table, "entri")


def test_of_a_claim_of_four_true_comparisons_either_verdict_is_rarely_wrong(ledger, monkeypatch):
    """Five equal arms: the claim is neither supported nor contradicted above the stated level."""
    ledger(C0=[("a", "b", 1e-9), ("b", "c", 1e-9), ("c", "d", 1e-9), ("d", "e", 1e-9)],
           C1=[("a", "b", 0), ("b", "c", 0), ("c", "d", 0), ("d", "e", 0)])
    table = pd.DataFrame([{"arm": arm, "seed": seed, "key": f"{arm}{seed}"}
                          for arm in "abcde" for seed in range(5)])
    labels, outputs = np.zeros(IMAGES, int), {}
    monkeypatch.setattr(judging, "outcome", lambda key: SimpleNamespace(
        test_outputs=lambda: (np.eye(2)[outputs[key].astype(int)], labels)
    ))
    random, found = np.random.default_rng(0), []
    for _ in range(150):
        chance = random.uniform(0.4, 0.6, IMAGES)
        for key in table["key"]:
            outputs[key] = random.random(IMAGES) < chance + 0.05 * random.normal()
        found.append(verdicts(table, ["C0", "C1"])["verdict"])
    limit = 0.025 + 3 * np.sqrt(0.025 * 0.975 / 150)
    assert share(sum(each[0] == "supported" for each in found), 150) <= limit
    assert share(sum(each[1] == "contradicted" for each in found), 150) <= limit
