"""The published tables are complete, sourced and well formed, and as they were printed."""

import re

import pandas as pd
import pytest

from tlkit import drawing
from tlkit.ground.names import UnknownName
from tlkit.ground.paths import STUDIES
from tlkit.images import public
from tlkit.studies.published import published

TABLES = sorted(STUDIES.glob("*/*.csv"))
LABELS = {"setting", "frozen", "init", "source", "target", "class", "dataset", "model", "arm"} | {
    "split", "log", "start", "public", "drawn",
}  # fmt: skip


def test_there_are_tables():
    assert TABLES


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_table_states_source_and_units_and_has_numbers(path):
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] == "#"]
    for word in ("source", "units"):
        assert any(re.match(rf"# {word}: \S", line) for line in head), word
    frame = published(path.parent.name, path.stem)
    assert len(frame) and not frame.columns.duplicated().any()
    measured = [name for name in frame.columns if name not in LABELS]
    assert measured
    for name in measured:
        assert pd.api.types.is_numeric_dtype(frame[name]), name
    assert not frame.drop(columns=measured).isna().any().any()


def test_reyes2022_table2_is_the_posters():
    expected = pd.DataFrame(
        {
            "setting": ["3.1", "3.2", "3.3", "3.4"],
            "frozen": ["all", "none", "entry", "middle"],
            "accuracy": [78.6, 95.7, 94.8, 90.8],
            "loss": [334.1, 26.3, 24.79, 42.76],
        }
    )
    pd.testing.assert_frame_equal(published("reyes2022", "table2"), expected, check_dtype=False)


POSTER = {  # cells as printed, in the poster's order, which the file keeps
    "table1": (
        "init lr accuracy loss",
        "random 0.01 137.8 207.54 | pretrained 0.01 99.71 1.3 | random 0.001 88.91 275.59 |"
        "pretrained 0.001 99.95 0.61 | random 0.0001 87.6 37.87 | pretrained 0.0001 99.71 0.61",
    ),
    "table3": (
        "target accuracy loss",
        "8_classes 82.1 69.8 | person/other 98 7.8 | cat/dog 64.9 63.4",
    ),
    "table4": (
        "source target accuracy loss",
        "person/other 8_classes 41.8 148.9 | cat/dog 8_classes 35.4 176.9 |"
        "8_classes person/other 97 7 | 8_classes cat/dog 77.9 49.4",
    ),
    "table5": (
        "class f1",
        "airplane 0.11 | car 0.29 | cat 0.01 | dog 0.09 | flower 0.21 | fruit 0.51 |"
        "motorbike 0.47 | person 0.98",
    ),
    "classes": (
        "class images",
        "airplane 727 | car 968 | cat 885 | dog 702 | flower 843 | fruit 1000 |"
        "motorbike 788 | person 986",
    ),
}


@pytest.mark.parametrize("name", POSTER)
def test_the_other_tables_are_the_posters_cell_by_cell(name):
    header, cells = POSTER[name]
    expected = [[cell.replace("_", " ") for cell in row.split()] for row in cells.split("|")]
    printed = published("reyes2022", name, printed=True)
    assert list(printed.columns) == header.split()
    assert printed.to_numpy().tolist() == expected
    assert list(published("reyes2022", name).columns) == header.split()


def test_the_classes_are_natural_images():
    assert published("reyes2022", "classes")["images"].sum() == 6899


def test_each_set_of_paddleclas2020_has_a_public_and_a_drawn_task_of_its_own():
    sets = published("paddleclas2020", "sets")
    assert list(sets["dataset"]) == list(published("paddleclas2020", "table1")["dataset"])
    assert set(sets["public"]) <= set(public.SETS) and set(sets["drawn"]) <= set(drawing.WORLDS)
    assert sets["public"].is_unique and sets["drawn"].is_unique
    for row in sets.itertuples():
        known = public.SETS[row.public]
        assert known.classes == row.classes
        assert known.counts["train"] + known.counts.get("val", 0) == row.train
        if row.public != "caltech101":  # of which the kit tests on all that is left
            assert known.counts["test"] == row.test


def test_the_tables_of_paddleclas2020_are_the_page_s():
    first = published("paddleclas2020", "table1").set_index("dataset")
    gains = (first["grid"] - first["fixed"]).round(2).tolist()
    assert gains == [0.91, 1.61, 0.45, 1.57, 0.83, 0.66, 7.58, 8.13]
    losses = (first["bayes"] - first["grid"]).round(2).tolist()
    assert losses == [-0.51, -0.2, -0.19, -0.29, -0.38, -0.06, 0, -0.09]
    second = published("paddleclas2020", "table2", printed=True)
    assert second.iloc[:, 4:].map(len).eq(6).all(axis=None)  # 0 and four decimals
    assert second.iloc[4].tolist() == [
        "Chair",
        "5",
        "169",
        "78",
        "0.8557",
        "0.9688",
        "0.9077",
        "0.9792",
    ]


def test_the_logs_of_vuong2022_agree_with_themselves():
    logs = published("vuong2022", "logs")
    assert (logs["best"] >= logs[["last", "median10"]].max(axis=1)).all()
    assert not (logs["best67"] > logs["best"] + 0.005).any()  # it has two decimals
    early = logs["best_epoch"] < 67
    assert (logs["best67"] - logs["best"])[early].dropna().abs().max() <= 0.005
    assert (logs["best_epoch"] < logs["epochs"]).all()
    assert (logs["epochs"] <= logs["scheduled"]).all()


def test_unknown_table_names_the_nearest():
    with pytest.raises(UnknownName, match=r"'tabel2'.*table2"):
        published("reyes2022", "tabel2")
    with pytest.raises(UnknownName, match=r"'reyes2020'.*reyes2022"):
        published("reyes2020", "table2")


def test_a_setting_is_text_also_where_it_looks_like_a_number():
    assert set(published("reyes2022", "table2")["setting"].map(type)) == {str}
