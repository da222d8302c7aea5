"""The audit's checks agree with oracles, and its findings follow from the published numbers."""

import math
import re
import shutil
from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tlkit.ground.names import UnknownName
from tlkit.ground.paths import STUDIES as FOLDERS
from tlkit.studies import checks, paddleclas2020, published
from tlkit.studies.audit import STUDIES, audit
from tlkit.studies.findings import KINDS, Finding

NUMBER = r"[+−]?\d+(?:,\d{3})*(?:\.\d+)?"
RULES = ((ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_HALF_DOWN), (ROUND_DOWN,))


def printable(images, places, rules):
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
    texts |= printable(8, places, RULES[0]) | printable(
        160, places, RULES[0]
    )  # halves, at one place
    possible = [[printable(int(size), places, rules) for size in sizes] for rules in RULES]
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


def test_grim_all_needs_one_rule_for_all():
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
        2066,
        2069,
        2070,
        2073,
    ]
    assert checks.split_sizes([10, 20], 10) == [3]
    assert checks.impossible([-0.1, 0, 100, 100.1]).tolist() == [True, False, False, True]
    assert checks.majority_share([986, 5913]) == pytest.approx(85.708, abs=1e-3)


@pytest.fixture
def altered(tmp_path, monkeypatch):
    """Audit the published tables after a replacement in one of them."""
    shutil.copytree(FOLDERS, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(published, "STUDIES", tmp_path)

    def change(table, old, new):
        path = tmp_path / f"{table}.csv"
        text = path.read_text(encoding="utf-8")
        assert text.count(f"\n{old}") == 1
        path.write_text(text.replace(f"\n{old}", f"\n{new}"), encoding="utf-8")
        return audit(path.parent.name)

    return change


def only(frame, check, where, kind=None):
    """The findings of a check whose place begins so."""
    chosen = (frame["check"] == check) & frame["where"].str.startswith(where)
    return frame[chosen & (frame["kind"] == kind)] if kind else frame[chosen]


def tells(rows, parts):
    """Whether there is one finding, with these numbers in this order, and with these names."""
    assert len(rows) == 1
    text = f"{rows['published'].item()} | {rows['finding'].item()}"
    numbers = iter(re.findall(NUMBER, text))
    return all(part in numbers if re.fullmatch(NUMBER, part) else part in text for part in parts)


def test_the_reader_of_findings_wants_numbers_in_order_and_whole():
    row = pd.DataFrame([{"published": "98 %", "finding": "DTD: −0.18 points of 1,880, z 0.7."}])
    assert tells(row, ["98", "−0.18", "1,880", "DTD", "0.7"])
    for wrong in (["0.18"], ["880"], ["1,880", "98"], ["Cars"], ["0.7", "0.7"]):
        assert not tells(row, wrong)


def test_the_audited_studies_are_those_with_a_module():
    folder = FOLDERS.parents[1] / "tlkit" / "studies"
    names = {each.name for each in published.studies()}
    assert set(STUDIES) == {path.stem for path in folder.glob("*.py")} & names
    assert {path.stem for path in folder.glob("*.py")} - names == {
        "__init__", "audit", "checks", "findings", "published",
    }  # fmt: skip


@pytest.mark.parametrize("study", STUDIES)
def test_an_audit_says_each_thing_once_gravest_first(study):
    found = audit(study)
    assert tuple(found.columns) == Finding._fields
    assert found["kind"].map(KINDS.index).is_monotonic_increasing
    assert not found.duplicated(["where", "check"]).any()
    assert found.map(lambda cell: type(cell) is str).all(axis=None)
    assert not found["finding"].str.contains(r"nan|[+ ]-\d|\be-\d").any()


def test_without_a_study_all_are_audited():
    found = audit()
    assert tuple(found.columns) == ("study", *Finding._fields)
    for study in STUDIES:
        mine = found[found["study"] == study].drop(columns="study").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, audit(study))


def test_the_audit_finds_what_is_wrong_in_the_poster():
    found = audit("reyes2022")
    assert set(found["kind"]) == set(KINDS)
    expected = {
        ("range, GRIM", "Table 1, random, lr 0.01"): "137.8 0 100 13.78 14.5",
        ("loss of guessing", "Table 1, random, lr 0.01"): "2.0754 2.0794 2.0713",
        ("loss of guessing", "Table 1, random, lr 0.001"): "2.7559 2.0794 24.9",
        ("loss of guessing", "Table 2, frozen: all"): "3.3410 2.0794 15.6",
        ("same setting", "Table 1, pretrained"): "+4.01 7.1 8.7 1,377 2,066",
        ("same setting", "Table 1, random"): "+5.50 4.0 4.9",
        ("claim", "Table 4, 8 classes → person/other"): "−1.00 −1.7 −2.1",
        ("majority class", "person/other"): "85.7 11.3 12.3",
        ("majority class", "cat/dog"): "55.8 9.1 22.1",
        ("GRIM", "Table 1, 8 classes"): "20 6,899 1,089 2,037 none",
        ("GRIM", "Table 2, 8 classes"): "20 17 6,201 327",
        ("GRIM", "Tables 3, 4, cat/dog"): "14 3 317 476 477",
        ("macro F1", "Table 5"): "0.334 0.98 0.51 person fruit",
    }
    for (check, where), parts in expected.items():
        rows = only(found, check, where)
        rows = rows[rows["where"] == where] if len(rows) > 1 else rows
        assert tells(rows, parts.split()), (check, where)
    noise = found[found["check"] == "sampling error"].set_index("published")["kind"]
    within = {"88.91 − 87.6 %", "99.95 − 99.71 %", "95.7 − 94.8 %", "98 − 97 %"}
    assert set(noise.index[noise == "within noise"]) == within and len(noise) == 10


def test_a_possible_accuracy_is_not_impossible(altered):
    found = altered("reyes2022/table1", "random,0.01,137.8", "random,0.01,13.78")
    assert "impossible" not in set(found["kind"])
    assert only(found, "loss of guessing", "Table 1, random, lr 0.01").empty  # chance, as it says
    assert len(only(found, "loss of guessing", "Table 1, random, lr 0.001")) == 1


def test_a_size_that_no_test_set_has_is_impossible(altered):
    found = altered("reyes2022/table2", "3.2,none,95.7", "3.2,none,95.99999")
    assert set(found.loc[found["kind"] == "impossible", "published"]) == {"137.8 %", "95.99999 %"}


def test_losses_below_guessing_are_not_found(altered):
    found = altered("reyes2022/table2", "3.1,all,78.6,334.1", "3.1,all,78.6,80")
    assert only(found, "loss of guessing", "Table 2").empty


def test_agreeing_tables_are_not_found(altered):
    found = altered("reyes2022/table2", "3.2,none,95.7", "3.2,none,99.7")
    assert only(found, "same setting", "Table 1, pretrained").empty
    assert len(only(found, "same setting", "Table 1, random")) == 1
    assert len(only(found, "sampling error", "Table 2, frozen: none", "exceeds noise")) == 1


def test_a_transfer_that_helps_is_not_found_and_one_that_hurts_is(altered):
    found = altered("reyes2022/table4", "8 classes,person/other,97", "8 classes,person/other,99")
    assert only(found, "claim", "").empty
    found = altered("reyes2022/table4", "8 classes,cat/dog,77.9", "8 classes,cat/dog,60")
    assert only(found, "claim", "")["published"].tolist() == ["60 < 64.9 %"]


def test_accuracies_that_one_likely_size_gives_say_which(altered):
    found = altered("reyes2022/table1", "random,0.001,88.91", "random,0.001,88.92")
    assert tells(only(found, "GRIM", "Table 1"), ["20", "1", "2,066", "6,899"])


P, R, V = "paddleclas2020", "plested2021", "vuong2022"
FOUND = {  # study, check, beginning of where: kind, numbers in their order, and names
    (P, "GRIM", "first table, DTD"): ("inconsistent", "1,880 1,888 76.87 77.53 77.47"),
    (P, "GRIM", "first table, Oxford-IIIT"): ("not shown", "94.55 3,669 3,680"),
    (P, "GRIM", "first table, Caltech101"): ("not shown", "92.54 6,084 6,112"),
    (P, "GRIM", "second table, Flowers"): ("inconsistent", "2 4 2,396 4 2,400 75 32 0.003"),
    (P, "GRIM", "second table, Hand"): ("inconsistent", "0 4 432 4 448 14 0.000004"),
    (P, "GRIM", "second table, Leaves"): ("inconsistent", "1 4 2,278 3 2,304 0.04"),
    (P, "GRIM", "second table, Container"): ("inconsistent", "1 4 2,094 1 2,112 0.6"),
    (P, "GRIM", "second table, Chair"): ("inconsistent", "0 4 78 2 96 3 0.0005"),
    (P, "GRIM", "second table, Geology"): ("inconsistent", "0 4 296 4 320 10 0.000001"),
    (P, "sampling error", "first table, Oxford-IIIT"): ("within noise", "+0.91 1.7 3,669 5,154"),
    (P, "sampling error", "first table, Oxford-102"): ("exceeds noise", "+1.61 5.1 6,149"),
    (P, "sampling error", "first table, Food101"): ("within noise", "+0.45 1.5 25,250"),
    (P, "sampling error", "first table, SUN397"): ("exceeds noise", "+1.57 3.3 19,850"),
    (P, "sampling error", "first table, Caltech101"): ("within noise", "+0.83 1.7 6,084"),
    (P, "sampling error", "first table, DTD"): ("within noise", "+0.66 0.5 1,880"),
    (P, "sampling error", "first table, Stanford"): ("exceeds noise", "+7.58 15.4 8,041"),
    (P, "sampling error", "first table, FGVC"): ("exceeds noise", "+8.13 9.2 3,333"),
    (P, "sampling error", "first table, Bayesian"): (
        "within noise", "0 8 −0.51 −0.9 3,669 Oxford-IIIT-Pets"),
    (P, "best of many", ""): ("not shown", "196 +0.91 +1.10 +0.66 +2.65 DTD Food101"),
    (P, "claim", "first table, Bayesian"): ("inconsistent", "0.4 0.51 Oxford-IIIT-Pets"),
    (P, "trials", ""): ("not shown", "10 7.8 15.1 10.6 Cars DTD"),
    (P, "same setting", ""): ("inconsistent", "0.003 0.001"),
    (P, "claim", "second table"): ("not shown", "12 12 7 12"),
    (P, "one image", ""): ("not shown", "78 1.28 +1.04 0.8"),
    (P, "public set", ""): ("not shown", "8,185 102 8,189 102"),
    (P, "learning rate", ""): ("not shown", "5 6 +33.26 5 6 +1.77"),
    (R, "ensemble", "Caltech-256"): ("inconsistent", "85.94 84.54 +1.40 2.0 4.2 L2SP"),
    (R, "ensemble", "Cars"): ("inconsistent", "95.35 94.86 +0.49 lrs"),
    (R, "ensemble", "Aircraft"): ("inconsistent", "95.11 94.50 +0.61 1.1 3,333"),
    (R, "ensemble", "DTD"): ("inconsistent", "79.79 78.92 +0.87 0.7 1,880"),
    (R, "best of a search", ""): ("inconsistent", "78.23 78.34 −0.11 0.06"),
    (R, "GRIM", "Caltech-256"): ("inconsistent", "5,140 5,120 22,897"),
    (R, "GRIM", "Cars"): ("inconsistent", "2,156 8,041"),
    (R, "sign", ""): ("inconsistent", "51.0 83.4 59.0 74.6 0 4 +21.9 −24.9 Caltech-101"),
    (R, "sampling error", "Caltech-256"): ("within noise", "+0.83 1.1 2.4 14,892"),
    (R, "sampling error", "DTD"): ("within noise", "6 +1.61 1.2 1,880"),
    (R, "sampling error", "Aircraft"): ("within noise", "6 +0.72 1.3"),
    (R, "sampling error", "Cars"): ("within noise", "6 +0.27 0.4 0.8"),
    (R, "lowest bar", "Cars"): ("within noise", "7 −0.17 −0.2 −0.5"),
    (R, "lowest bar", "Aircraft"): ("within noise", "7 −0.48 −0.8"),
    (R, "state of the art", "Caltech-256"): ("not shown", "85.94 84.90 −0.36 L2SP"),
    (R, "state of the art", "DTD"): ("not shown", "79.80 78.90 +0.02"),
    (R, "single models", "Caltech-256"): ("exceeds noise", "+18.74 +17.34 +16.51 19.8 41.8"),
    (R, "single models", "DTD"): ("exceeds noise", "+12.99 +12.12 +10.51 7.2"),
    (V, "log", "Table 1, β 0.00004, α 0"): ("inconsistent", "78.94 77.918 0 0.0005"),
    (V, "log", "text: alpha"): ("inconsistent", "+1.11 +1.110 +0.090 67 +1.08"),
    (V, "log", "text: beta"): ("inconsistent", "+0.71 +0.705 +1.215 67 +1.35"),
    (V, "left out", ""): ("inconsistent", "80.02 80.198 78.938 +0.18 0.2"),
    (V, "code version", ""): ("inconsistent", "4 0.00004 0.0005 3"),
    (V, "number of classes", ""): ("inconsistent", "6 105 100"),
    (V, "confounded", ""): ("inconsistent", "80.02 78.94 −0.18 0 −0.78 0.0005"),
    (V, "Fisher term", "logs, α 0:"): ("within noise", "80.198 −0.18 −0.2"),
    (V, "Fisher term", "logs, α 0.0005:"): ("within noise", "78.938 −0.78 −0.8"),
    (V, "run length", "Table 1, β 0.00004, α 0"): ("not shown", "67 80 77.92 79.75 77.56 76.84"),
    (V, "best epoch", ""): ("not shown", "67 80 0.33 2.67 0.83 2.37 79.37"),
    (V, "GRIM", ""): ("not shown", "23 3,333"),
    (V, "claim", "L2-SP paper"): ("not shown", "+3.16 +3.44 −0.28 0.16"),
}  # fmt: skip


@pytest.mark.parametrize(("study", "check", "where"), FOUND)
def test_the_audits_find(study, check, where):
    kind, parts = FOUND[study, check, where]
    rows = only(audit(study), check, where)
    assert list(rows["kind"]) == [kind] and tells(rows, parts.split())


def z_of(found):
    """z of findings that have one."""
    return found["finding"].str.extract(r"\bz ([\d.]+)")[0].astype(float)


def test_of_the_larger_source_s_gains_five_of_twelve_exceed_noise():
    found = only(audit("paddleclas2020"), "sampling error", "second table")
    found["z"] = z_of(found)
    beyond = found[found["kind"] == "exceeds noise"]
    assert beyond["where"].str.extract("table, (.+):")[0].str.replace(",", "").tolist() == [
        "Flowers fixed",
        "Flowers search",
        "Container vehicle fixed",
        "Container vehicle search",
        "Geology fixed",
    ]
    assert beyond["z"].tolist() == [24.1, 2.7, 28.5, 2.5, 2.7] and len(found) == 12
    assert found.loc[found["kind"] == "within noise", "z"].max() == 1.7


@pytest.mark.parametrize("trials", [13, 196])
def test_the_expected_best_of_many_is_that_of_simulated_ones(trials):
    best = np.random.default_rng(0).normal(size=(20_000, trials)).max(axis=1).mean()
    assert paddleclas2020.expected_maximum(trials) == pytest.approx(best, abs=0.02)


def test_no_cell_of_vuong2022_differs_from_its_neighbours_beyond_noise():
    found = only(audit("vuong2022"), "sampling error", "")
    assert set(found["kind"]) == {"within noise"}
    assert z_of(found).tolist() == [0.3, 1.1, 1.9, 1.1]
    assert found["finding"].str.contains("3,333").all()


VANISHING = [  # table, row, as it would have to be; check, beginning of where
    (
        "paddleclas2020/table1",
        "DTD,76.87,77.53,196,77.47",
        "DTD,76.86,77.50,196,77.45",
        "GRIM",
        "first table, DTD",
    ),
    (
        "paddleclas2020/table1",
        "Oxford-IIIT-Pets,93.64,94.55,196,94.04",
        "Oxford-IIIT-Pets,93.64,94.55,196,94.15",
        "claim",
        "first table, Bayesian",
    ),
    (
        "paddleclas2020/table1",
        "SUN397,63.27,64.84",
        "SUN397,63.27,63.27",
        "sampling error",
        "first table, SUN397",
    ),
    (
        "paddleclas2020/text",
        "Bayesian search takes times fewer,10",
        "Bayesian search takes times fewer,7",
        "trials",
        "",
    ),
    (
        "paddleclas2020/text",
        "fixed learning rate of the second table,0.001",
        "fixed learning rate of the second table,0.003",
        "same setting",
        "",
    ),
    (
        "paddleclas2020/table2",
        "Geology,4,671,296",
        "Geology,4,671,320",
        "GRIM",
        "second table, Geology",
    ),
    ("paddleclas2020/table2", "Flowers,102,5789", "Flowers,102,6789", "public set", ""),
    (
        "paddleclas2020/table2",
        "Leaves,6,5256,2278,0.8212,0.8482,0.8385",
        "Leaves,6,5256,2278,0.8385,0.8482,0.8385",
        "sampling error",
        "second table, Leaves, fixed",
    ),
    ("plested2021/leaderboard", "DTD,ImageNet,79.79", "DTD,ImageNet,78.92", "ensemble", "DTD"),
    ("plested2021/figure", "DTD,ensemble,79.80", "DTD,ensemble,79.83", "ensemble", "DTD"),
    (
        "plested2021/figure",
        "DTD,best L2SP 1 layer,78.23",
        "DTD,best L2SP 1 layer,78.29",
        "best of a search",
        "DTD",
    ),
    (
        "plested2021/leaderboard",
        "Caltech-256,ImageNet,85.94",
        "Caltech-256,ImageNet,85.95",
        "GRIM",
        "Caltech-256",
    ),
    (
        "plested2021/figure",
        "DTD,different layers,78.92",
        "DTD,different layers,78.97",
        "state of the art",
        "DTD",
    ),
    (
        "plested2021/figure",
        "Cars,default L2SP,94.42",
        "Cars,default L2SP,94.60",
        "lowest bar",
        "Cars",
    ),
    ("plested2021/figure", "DTD,default,77.31", "DTD,default,79.31", "sampling error", "DTD"),
    (
        "plested2021/fit",
        "Caltech-256,L2SP,-16.2\nDTD,L2SP,-7.8",
        "Caltech-256,L2SP,16.2\nDTD,L2SP,7.8",
        "sign",
        "",
    ),
    ("vuong2022/table1", "0.00004,0,78.94", "0.00004,0,77.92", "log", "Table 1"),
    (
        "vuong2022/logs",
        "new-0.00004-0,0531-0943,0.00004,0,105,80,67,4.615,77.918",
        "new-0.00004-0,0531-0943,0.00004,0,105,80,67,4.615,78.938",
        "log",
        "",
    ),
    (
        "vuong2022/logs",
        "new-0.00004-0,0531-0943,0.00004,0,105,80,67",
        "new-0.00004-0,0531-0943,0.00004,0,105,80,80",
        "run length",
        "",
    ),
    (
        "vuong2022/logs",
        "new-0.00004-0.0005,0531-0104",
        "new-0.00004-0.0005,0531-0704",
        "code version",
        "",
    ),
    ("vuong2022/text", "baseline,78.94", "baseline,80.20", "confounded", ""),
    (
        "vuong2022/logs",
        "new-0-0,0601-1026,0,0,105,80,80,4.626,80.198",
        "new-0-0,0601-1026,0,0,105,80,80,4.626,80.008",
        "Fisher term",
        "logs, α 0:",
    ),
    ("vuong2022/li2018", "Caltech-256,L2-SP,30,85.31", "Caltech-256,L2-SP,30,88.31", "claim", ""),
]


@pytest.mark.parametrize(("name", "old", "new", "check", "where"), VANISHING)
def test_a_finding_vanishes_with_its_cause(altered, name, old, new, check, where):
    assert len(only(audit(name.partition("/")[0]), check, where))
    assert only(altered(name, old, new), check, where).empty


CHANGING = [  # table, row, as it might be; check, beginning of where, kind
    (
        "paddleclas2020/table1",
        "DTD,76.87,77.53",
        "DTD,76.87,80.53",
        "sampling error",
        "first table, DTD",
        "exceeds noise",
    ),
    (
        "paddleclas2020/table1",
        "FGVC Aircraft,80.32,88.45,196,88.36",
        "FGVC Aircraft,80.32,88.45,196,85.36",
        "sampling error",
        "first table, Bayesian",
        "exceeds noise",
    ),
    (
        "paddleclas2020/table2",
        "Hand-painted stick figures,18,1007,432,0.8795,0.9196,0.9107",
        "Hand-painted stick figures,18,1007,432,0.9507,0.9196,0.9107",
        "sampling error",
        "ImageNet − second table, Hand-painted",
        "exceeds noise",
    ),
    (
        "plested2021/leaderboard",
        "Aircraft,ImageNet,95.11",
        "Aircraft,ImageNet,95.12",
        "GRIM",
        "Aircraft",
        "inconsistent",
    ),
    (
        "plested2021/figure",
        "Cars,best L2SP 1 layer,94.56",
        "Cars,best L2SP 1 layer,94.31",
        "best of a search",
        "Cars",
        "inconsistent",
    ),
    (
        "plested2021/figure",
        "DTD,different layers,78.92",
        "DTD,different layers,80.92",
        "sampling error",
        "DTD",
        "exceeds noise",
    ),
    (
        "plested2021/figure",
        "DTD,default L2SP,78.34",
        "DTD,default L2SP,74.34",
        "lowest bar",
        "DTD",
        "exceeds noise",
    ),
    (
        "vuong2022/table1",
        "0.0004,0,80.02",
        "0.0004,0,80.15",
        "log",
        "Table 1, β 0.0004, α 0",
        "inconsistent",
    ),
    ("vuong2022/table1", "0.0004,0,80.02", "0.0004,0,80.21", "left out", "", "not shown"),
    (
        "vuong2022/table1",
        "0.0004,0,80.02",
        "0.0004,0,80.15",
        "sampling error",
        "Table 1, β 0.0004, α 0 − Table 1, β 0.0004, α 0.0005",
        "exceeds noise",
    ),
    ("vuong2022/table1", "0.0004,0,80.02", "0.0004,0,80.03", "GRIM", "", "inconsistent"),
    (
        "vuong2022/logs",
        "new-0-0.0005,0601-1024,0,0.0005,105,80,80,8.630,78.938",
        "new-0-0.0005,0601-1024,0,0.0005,105,80,80,8.630,80.438",
        "Fisher term",
        "logs, α 0.0005:",
        "exceeds noise",
    ),
]


@pytest.mark.parametrize(("name", "old", "new", "check", "where", "kind"), CHANGING)
def test_a_finding_appears_or_changes_its_kind(altered, name, old, new, check, where, kind):
    assert only(audit(name.partition("/")[0]), check, where, kind).empty
    assert len(only(altered(name, old, new), check, where, kind)) == 1


def test_four_data_sets_are_counted_by_all_their_orders(altered):
    measure, gains = [-16.2, -7.8, 28.5, 28.9], [0.83, 1.03, -0.17, -0.48]
    every = [stats.spearmanr(order, gains).statistic for order in permutations(measure)]
    low = sum(each <= every[0] + 1e-9 for each in every)
    row = only(audit("plested2021"), "exact permutation", "")
    assert tells(row, [f"{every[0]:.2f}".replace("-", "−"), str(low), "24", f"{low / 24:.2f}"])
    assert tells(row, ["4", f"{1 / 24:.2g}", f"{2 / 24:.2g}"])
    perfect = altered("plested2021/figure", "DTD,default L2SP,78.34", "DTD,default L2SP,77.91")
    row = only(perfect, "exact permutation", "")
    assert tells(row, ["−1.00", "1", "24"]) and row["kind"].item() == "not shown"


def test_unknown_study_names_the_nearest():
    with pytest.raises(UnknownName, match=r"'reyes2020'.*reyes2022"):
        audit("reyes2020")
