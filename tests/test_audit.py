"""The audit's checks agree with oracles, and its findings follow from the published numbers."""

import math
import shutil
from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from scipy import stats

from tlkit import checks, published
from tlkit.auditing import audit
from tlkit.findings import KINDS
from tlkit.names import UnknownName
from tlkit.paths import SHIPPED

RULES = ((ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_HALF_DOWN), (ROUND_DOWN,))


def given(images, places, rules):
    """Every percentage that so many images can be printed as, by trying all right answers."""
    step = Decimal(1).scaleb(-places)
    exact = [Decimal(100 * right) / images for right in range(images + 1)]
    return {str(value.quantize(step, rule)) for value in exact for rule in rules}


@pytest.mark.parametrize("places", [0, 1, 2])
def test_grim_is_what_brute_force_finds(places):
    sizes = np.array([1, 2, 3, 7, 8, 16, 40, 64, 80, 97, 160, 200, 331, 400])
    step = Decimal(1).scaleb(-places)
    digits = np.random.default_rng(0).integers(0, 100 * 10**places + 1, 150).tolist()
    texts = {str(step * each) for each in [*digits, 0, 1, 10**places, 100 * 10**places]}
    texts |= given(8, places, RULES[0]) | given(160, places, RULES[0])  # halves, at one place
    possible = [[given(int(size), places, rules) for size in sizes] for rules in RULES]
    for text in texts:
        expected = [[text in values for values in row] for row in possible]
        assert checks.grim(text, sizes).tolist() == expected, text


def test_grim_knows_the_printed_decimals():
    assert checks.grim("98", [50]).all() and checks.grim("98.0", [50]).all()
    assert checks.grim("98", [40]).any() and not checks.grim("98.0", [40]).any()
    for outside in ("137.8", "100.1", "-0.2", "-3"):
        assert not checks.grim(outside, np.arange(1, 400)).any(), outside
    with pytest.raises(ValueError):
        checks.grim("n/a", [10])


def test_grim_all_wants_one_rule_for_all():
    # 1 of 6 is 16.666 …, so 16.7 is rounded and 16.6 truncated.
    assert checks.grim("16.7", [6]).any() and checks.grim("16.6", [6]).any()
    assert not checks.grim_all(["16.7", "16.6"], [6]).any()
    assert checks.grim_all(["16.7", "33.3"], [6]).all()


def test_the_smallest_set_for_99_95_has_one_error_in_1819():
    sizes = np.arange(1, 6900)
    rounded, truncated = checks.grim("99.95", sizes)
    assert sizes[rounded][0] == 1819 and sizes[truncated][0] == 2000
    assert rounded[1818:2222].all() and not rounded[2222]


@pytest.mark.parametrize("images", [50, 317, 2066])
def test_z_is_that_of_simulated_test_sets(images):
    first, second = 97.0, 90.0
    draws = np.random.default_rng(0).binomial(images, [[first / 100], [second / 100]], (2, 40_000))
    error = np.std(100 * (draws[0] - draws[1]) / images)
    assert checks.standard_error(first, second, images) == pytest.approx(error, rel=0.02)
    # Unpooled Wald statistic: squared, it is the chi² of the difference with its own variances.
    variances = [stats.binom(images, share / 100).var() for share in (first, second)]
    expected = (first - second) / 100 * images / math.sqrt(sum(variances))
    assert checks.z(first, second, images) == pytest.approx(expected)
    assert checks.z(second, first, images) == pytest.approx(-expected)


def test_guessing_costs_between_entropy_and_the_logarithm_of_the_classes():
    counts = [702, 885]
    low, high = checks.guessing_losses(counts)
    assert (low, high) == pytest.approx((stats.entropy(counts), math.log(2)))
    assert checks.guessing_losses([5] * 8) == pytest.approx((math.log(8),) * 2)


def test_sizes_of_splits():
    assert checks.split_sizes([727, 968, 885, 702, 843, 1000, 788, 986], 30) == [
        2066, 2069, 2070, 2073
    ]
    assert checks.split_sizes([10, 20], 10) == [3]
    assert checks.impossible([-0.1, 0, 100, 100.1]).tolist() == [True, False, False, True]
    assert checks.majority_share([986, 5913]) == pytest.approx(85.708, abs=1e-3)


@pytest.fixture
def altered(tmp_path, monkeypatch):
    """Audit the published tables after a replacement in one of them."""
    shutil.copytree(SHIPPED / "published", tmp_path / "published")
    monkeypatch.setattr(published, "SHIPPED", tmp_path)

    def change(number, old, new):
        path = tmp_path / "published" / f"reyes2022_table{number}.csv"
        text = path.read_text(encoding="utf-8")
        assert text.count(f"\n{old}") == 1
        path.write_text(text.replace(f"\n{old}", f"\n{new}"), encoding="utf-8")
        return audit()

    return change


def only(frame, check, where, kind=None):
    """The findings of a check whose place begins so."""
    chosen = (frame["check"] == check) & frame["where"].str.startswith(where)
    return frame[chosen & (frame["kind"] == kind)] if kind else frame[chosen]


def test_the_audit_finds_what_is_wrong_in_the_poster():
    found = audit()
    assert set(found["kind"]) == set(KINDS)
    assert found["kind"].map(KINDS.index).is_monotonic_increasing
    assert not found.duplicated(["where", "check"]).any()
    assert (found.map(type) == str).all(axis=None)
    expected = {
        ("range, GRIM", "Table 1, random, lr 0.01"): "outside 0 to 100 %",
        ("loss of guessing", "Table 1, random, lr 0.01"): "chance: guessing costs 2.0713",
        ("loss of guessing", "Table 1, random, lr 0.001"): "worse than the 2.0794",
        ("loss of guessing", "Table 2, frozen: all"): "15.6 nats",
        ("same setting", "Table 1, pretrained"): "+4.01 points, z 7.1 to 8.7 for 1,377 to 2,066",
        ("same setting", "Table 1, random"): "+5.50 points, z 4.0 to 4.9",
        ("claim", "Table 4, 8 classes → person/other"): "−1.00 points, z −1.7 to −2.1",
        ("majority class", "person/other"): "85.7 %; the published accuracies lie 11.3 to 12.3",
        ("majority class", "cat/dog"): "55.8 %; the published accuracies lie 9.1 to 22.1",
        ("GRIM", "Table 1, 8 classes"): "none can give all of these",
        ("GRIM", "Tables 3, 4, cat/dog"): "3 (317, 476, 477)",
        ("macro F1", "Table 5"): "0.334: person has 0.98, the next, fruit, 0.51",
    }
    for (check, where), words in expected.items():
        rows = only(found, check, where)
        rows = rows[rows["where"] == where] if len(rows) > 1 else rows
        assert len(rows) == 1 and words in rows["finding"].item(), (check, where)
    noise = found[found["check"] == "sampling error"].set_index("published")["kind"]
    within = {"88.91 − 87.6 %", "99.95 − 99.71 %", "95.7 − 94.8 %", "98 − 97 %"}
    assert set(noise.index[noise == "within noise"]) == within and len(noise) == 10


def test_a_possible_accuracy_is_not_impossible(altered):
    found = altered(1, "random,0.01,137.8", "random,0.01,13.78")
    assert "impossible" not in set(found["kind"])
    assert only(found, "loss of guessing", "Table 1, random, lr 0.01").empty  # chance, as it says
    assert len(only(found, "loss of guessing", "Table 1, random, lr 0.001")) == 1


def test_a_size_that_no_test_set_has_is_impossible(altered):
    found = altered(2, "3.2,none,95.7", "3.2,none,95.99999")
    assert set(found.loc[found["kind"] == "impossible", "published"]) == {"137.8 %", "95.99999 %"}


def test_losses_below_guessing_are_not_found(altered):
    found = altered(2, "3.1,all,78.6,334.1", "3.1,all,78.6,80")
    assert only(found, "loss of guessing", "Table 2").empty


def test_agreeing_tables_are_not_found(altered):
    found = altered(2, "3.2,none,95.7", "3.2,none,99.7")
    assert only(found, "same setting", "Table 1, pretrained").empty
    assert len(only(found, "same setting", "Table 1, random")) == 1
    assert len(only(found, "sampling error", "Table 2, frozen: none", "exceeds noise")) == 1


def test_a_transfer_that_helps_is_not_found_and_one_that_hurts_is(altered):
    found = altered(4, "8 classes,person/other,97", "8 classes,person/other,99")
    assert only(found, "claim", "").empty
    found = altered(4, "8 classes,cat/dog,77.9", "8 classes,cat/dog,60")
    assert only(found, "claim", "")["published"].tolist() == ["60 < 64.9 %"]


def test_accuracies_that_one_likely_size_gives_say_which(altered):
    found = altered(1, "random,0.001,88.91", "random,0.001,88.92")
    assert "1 (2,066) can give all" in only(found, "GRIM", "Table 1")["finding"].item()


def test_unknown_study_names_the_nearest():
    with pytest.raises(UnknownName, match="'reyes2020'.*reyes2022"):
        audit("reyes2020")
