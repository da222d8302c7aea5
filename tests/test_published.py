"""The ledger of claims and the published tables are whole, sourced and well formed."""

import json
import re
import tomllib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tlkit import drawing
from tlkit.images import public
from tlkit.judging import intervals
from tlkit.judging.metrics import contributions
from tlkit.ground.names import UnknownName
from tlkit.runner.notebooks import available
from tlkit.ground.paths import SHIPPED
from tlkit.judging.ledger import Comparison, claim
from tlkit.studies.published import table

STUDIES = {"reyes2022", "plested2021", "shermin2019", "paddleclas2020", "vuong2022", "tlkit"}
LEDGER = tomllib.loads((SHIPPED / "claims.toml").read_text(encoding="utf-8"))
TABLES = sorted((SHIPPED / "published").glob("*.csv"))
VERDICTS = {"supported", "contradicted", "undecided"}
LABELS = {"setting", "frozen", "init", "source", "target", "class", "dataset", "model", "arm"} | {
    "split", "log", "start", "public", "drawn",
}


def test_there_are_claims_and_tables():
    assert LEDGER and TABLES


@pytest.mark.parametrize("name", LEDGER)
def test_a_claim_is_well_formed(name):
    entry = LEDGER[name]
    assert re.fullmatch(r"C\d\.\d+", name)
    about = set(entry) - {"study", "statement", "published", "supported", "contradicted"}
    assert about - {"quantity", "at_least"} <= {"comparisons"} and about
    assert entry["study"] in STUDIES
    assert all(entry[name].strip() for name in ("statement", "published"))
    meanings = [claim(name).meaning(verdict) for verdict in ("supported", "contradicted")]
    assert all(re.fullmatch(r"[A-Z0-9].{5,100}\.", each) for each in meanings)
    assert len(set(meanings)) == 2 and claim(name).meaning("undecided") == ""
    if "quantity" in about or "at_least" in about:  # they go together
        assert entry["quantity"].strip() and type(entry["at_least"]) in (int, float)
    assert entry.get("comparisons", True)
    for comparison in entry.get("comparisons", ()):
        optional = {"metric", "worse_metric"}
        assert set(comparison) - optional == {"better", "worse", "at_least"}
        assert all(type(comparison[field]) is str and comparison[field].strip()
                   for field in set(comparison) - {"at_least"})
        assert type(comparison["at_least"]) in (int, float)
        points = abs(comparison["at_least"])
        assert points == 0 or 0.1 <= points < 100  # a share of 1 would be less
        assert comparison.get("worse_metric") != comparison.get("metric", "accuracy")  # needless


@pytest.mark.parametrize("name", LEDGER)
def test_no_comparison_is_of_an_arm_with_itself_and_none_is_there_twice(name):
    compared = [sides(each) for each in claim(name).comparisons]
    assert all(better != worse for better, worse in compared)
    assert len(set(compared)) == len(compared)


@pytest.mark.parametrize("name", LEDGER)
def test_the_comparisons_of_a_claim_can_all_hold(name):
    """No arm can be better than itself: round no circle of comparisons do the margins add up.

    a over b by x and b over a by y contradict each other where x + y > 0; so do longer circles.
    """
    margins = {sides(each): each.at_least for each in claim(name).comparisons}
    points = sorted({end for pair in margins for end in pair})
    longest = np.full((len(points), len(points)), -np.inf)
    for (better, worse), margin in margins.items():
        longest[points.index(better), points.index(worse)] = margin
    for by_way_of in range(len(points)):
        through = longest[:, [by_way_of]] + longest[[by_way_of]]
        longest = np.maximum(longest, through)
    assert (longest.diagonal() <= 0).all()


def sides(comparison: Comparison) -> tuple[tuple[str, str], tuple[str, str]]:
    """Arm and metric, of the better and of the worse."""
    return (
        (comparison.better, comparison.metric),
        (comparison.worse, comparison.worse_metric or comparison.metric),
    )


def test_the_ids_are_in_order_and_no_more_than_the_family_is_corrected_for():
    numbers = [tuple(map(int, name[1:].split("."))) for name in LEDGER]
    assert numbers == sorted(set(numbers))
    assert len(LEDGER) <= stats.CLAIMS


@pytest.mark.parametrize("name", LEDGER)
def test_the_metrics_of_a_claim_are_known(name):
    """On a run on the eight classes, validated after each epoch."""
    classes = list(table("reyes2022", "classes")["class"])
    labels = np.arange(8).repeat(3)
    record = SimpleNamespace(
        test_outputs=lambda: (np.eye(8)[labels], labels), classes=classes, val_accuracy=1.0,
        history=[{"epoch": epoch, "val_accuracy": 1.0} for epoch in (1, 2)],
        val_correct=lambda: np.ones((2, 5), bool),
    )
    for comparison in claim(name).comparisons:
        for _, metric in sides(comparison):
            assert contributions(record, metric).mean() == 1  # all is right


def judging_notebooks(name: str) -> list:
    """The notebooks whose code names the claim, read."""
    read = [json.loads(path.read_text(encoding="utf-8")) for path in available()]
    return [
        notebook for notebook in read if any(
            re.search(rf"{re.escape(name)}(?!\d)", "".join(cell["source"]))
            for cell in notebook["cells"] if cell["cell_type"] == "code"
        )
    ]


@pytest.mark.parametrize("name", LEDGER)
def test_a_claim_is_judged_by_one_notebook_whose_stored_output_says_how(name):
    """A verdict there means that the notebook has all of the claim's arms, and the metrics too."""
    found = judging_notebooks(name)
    assert len(found) == 1, f"{name} stands in the code of {len(found)} notebooks"
    cells = [cell for cell in found[0]["cells"] if cell["cell_type"] == "code"]
    shown = [
        "".join(output["data"]["text/html"]) for cell in cells for output in cell["outputs"]
        if output.get("metadata", {}).get("tlkit") == "verdicts"
    ]
    rows = [row for page in shown for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    cells_of = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    mine = [row for row in cells_of if row and row[0] == name]
    ways = {row[1] for row in mine}  # or the statement, where there is one way of judging it
    assert mine and len(ways) == len(mine), f"the stored verdicts have {len(mine)} rows of {name}"
    assert all(VERDICTS & set(row) for row in mine)


@pytest.mark.parametrize("name", LEDGER)
def test_a_claim_is_read_as_it_is_written(name):
    read = claim(name)
    assert (read.id, read.study) == (name, LEDGER[name]["study"])
    assert (read.statement, read.published) == (
        LEDGER[name]["statement"], LEDGER[name]["published"]
    )
    assert read.comparisons == tuple(
        Comparison(each["better"], each["worse"], each["at_least"],
                   each.get("metric", "accuracy"), each.get("worse_metric", ""))
        for each in LEDGER[name].get("comparisons", ())
    )
    assert (read.quantity, read.at_least) == (
        LEDGER[name].get("quantity", ""), LEDGER[name].get("at_least", 0)
    )


def test_unknown_claim_names_the_nearest():
    with pytest.raises(UnknownName, match=r"'C2\.33'.*C2\.3"):
        claim("C2.33")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_table_states_source_and_units_and_has_numbers(path):
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] == "#"]
    for word in ("source", "units"):
        assert any(re.match(rf"# {word}: \S", line) for line in head), word
    assert re.match(r"\w+_\w+$", path.stem) and path.stem.split("_")[0] in STUDIES
    frame = table(path.stem)
    assert len(frame) and not frame.columns.duplicated().any()
    measured = [name for name in frame.columns if name not in LABELS]
    assert measured
    for name in measured:
        assert pd.api.types.is_numeric_dtype(frame[name]), name
    assert not frame.drop(columns=measured).isna().any().any()


def test_reyes2022_table2_is_the_posters():
    expected = pd.DataFrame({
        "setting": ["3.1", "3.2", "3.3", "3.4"],
        "frozen": ["all", "none", "entry", "middle"],
        "accuracy": [78.6, 95.7, 94.8, 90.8],
        "loss": [334.1, 26.3, 24.79, 42.76],
    })
    pd.testing.assert_frame_equal(table("reyes2022", "table2"), expected, check_dtype=False)


POSTER = {  # cells as printed, in the poster's order, which the file keeps
    "reyes2022_table1": (
        "init lr accuracy loss",
        "random 0.01 137.8 207.54 | pretrained 0.01 99.71 1.3 | random 0.001 88.91 275.59 |"
        "pretrained 0.001 99.95 0.61 | random 0.0001 87.6 37.87 | pretrained 0.0001 99.71 0.61",
    ),
    "reyes2022_table3": (
        "target accuracy loss",
        "8_classes 82.1 69.8 | person/other 98 7.8 | cat/dog 64.9 63.4",
    ),
    "reyes2022_table4": (
        "source target accuracy loss",
        "person/other 8_classes 41.8 148.9 | cat/dog 8_classes 35.4 176.9 |"
        "8_classes person/other 97 7 | 8_classes cat/dog 77.9 49.4",
    ),
    "reyes2022_table5": (
        "class f1",
        "airplane 0.11 | car 0.29 | cat 0.01 | dog 0.09 | flower 0.21 | fruit 0.51 |"
        "motorbike 0.47 | person 0.98",
    ),
    "reyes2022_classes": (
        "class images",
        "airplane 727 | car 968 | cat 885 | dog 702 | flower 843 | fruit 1000 |"
        "motorbike 788 | person 986",
    ),
}


@pytest.mark.parametrize("name", POSTER)
def test_the_other_tables_are_the_posters_cell_by_cell(name):
    header, cells = POSTER[name]
    expected = [[cell.replace("_", " ") for cell in row.split()] for row in cells.split("|")]
    printed = table(name, printed=True)
    assert list(printed.columns) == header.split()
    assert printed.to_numpy().tolist() == expected
    assert list(table(name).columns) == header.split()


def test_the_classes_are_natural_images():
    assert table("reyes2022", "classes")["images"].sum() == 6899


def test_each_set_of_paddleclas2020_has_a_public_and_a_drawn_task_of_its_own():
    sets = table("paddleclas2020", "sets")
    assert list(sets["dataset"]) == list(table("paddleclas2020", "table1")["dataset"])
    assert set(sets["public"]) <= set(public.SETS) and set(sets["drawn"]) <= set(drawing.WORLDS)
    assert sets["public"].is_unique and sets["drawn"].is_unique
    for row in sets.itertuples():
        known = public.SETS[row.public]
        assert known.classes == row.classes
        assert known.counts["train"] + known.counts.get("val", 0) == row.train
        if row.public != "caltech101":  # of which the kit tests on all that is left
            assert known.counts["test"] == row.test


def test_the_tables_of_paddleclas2020_are_the_page_s():
    first = table("paddleclas2020", "table1").set_index("dataset")
    gains = (first["grid"] - first["fixed"]).round(2).tolist()
    assert gains == [0.91, 1.61, 0.45, 1.57, 0.83, 0.66, 7.58, 8.13]
    losses = (first["bayes"] - first["grid"]).round(2).tolist()
    assert losses == [-0.51, -0.2, -0.19, -0.29, -0.38, -0.06, 0, -0.09]
    second = table("paddleclas2020", "table2", printed=True)
    assert second.iloc[:, 4:].map(len).eq(6).all(axis=None)  # 0 and four decimals
    assert second.iloc[4].tolist() == [
        "Chair", "5", "169", "78", "0.8557", "0.9688", "0.9077", "0.9792"
    ]


def test_the_logs_of_vuong2022_agree_with_themselves():
    logs = table("vuong2022", "logs")
    assert (logs["best"] >= logs[["last", "median10"]].max(axis=1)).all()
    assert not (logs["best67"] > logs["best"] + 0.005).any()  # it has two decimals
    early = logs["best_epoch"] < 67
    assert (logs["best67"] - logs["best"])[early].dropna().abs().max() <= 0.005
    assert (logs["best_epoch"] < logs["epochs"]).all()
    assert (logs["epochs"] <= logs["scheduled"]).all()


def test_unknown_table_names_the_nearest():
    with pytest.raises(UnknownName, match="'reyes2022_tabel2'.*reyes2022_table2"):
        table("reyes2022", "tabel2")
