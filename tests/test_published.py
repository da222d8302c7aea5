"""The ledger of claims and the published tables are whole, sourced and well formed."""

import re
import tomllib

import pandas as pd
import pytest

from tlkit.names import UnknownName
from tlkit.paths import SHIPPED
from tlkit.published import Comparison, claim, table

STUDIES = {"reyes2022", "plested2021", "shermin2019", "paddleclas2020", "vuong2022", "tlkit"}
LEDGER = tomllib.loads((SHIPPED / "claims.toml").read_text(encoding="utf-8"))
TABLES = sorted((SHIPPED / "published").glob("*.csv"))
LABELS = {"setting", "frozen", "init", "source", "target", "class", "dataset", "model", "arm"}


def test_there_are_claims_and_tables():
    assert LEDGER and TABLES


@pytest.mark.parametrize("name", LEDGER)
def test_a_claim_is_well_formed(name):
    entry = LEDGER[name]
    assert re.fullmatch(r"C\d\.\d+", name)
    assert set(entry) == {"study", "statement", "published", "comparisons"}
    assert entry["study"] in STUDIES
    assert entry["statement"].strip() and entry["published"].strip()
    assert entry["comparisons"]
    for comparison in entry["comparisons"]:
        assert set(comparison) == {"better", "worse", "at_least"}
        assert type(comparison["at_least"]) in (int, float)
        assert abs(comparison["at_least"]) < 100  # points
        names = comparison["better"], comparison["worse"]
        assert all(type(arm) is str and arm for arm in names) and len(set(names)) == 2


@pytest.mark.parametrize("name", LEDGER)
def test_a_claim_is_read_as_it_is_written(name):
    read = claim(name)
    assert (read.id, read.study) == (name, LEDGER[name]["study"])
    assert (read.statement, read.published) == (
        LEDGER[name]["statement"], LEDGER[name]["published"]
    )
    assert read.comparisons == tuple(
        Comparison(each["better"], each["worse"], each["at_least"])
        for each in LEDGER[name]["comparisons"]
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
    pd.testing.assert_frame_equal(table("reyes2022_table2"), expected, check_dtype=False)


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
    assert table("reyes2022_classes")["images"].sum() == 6899


def test_unknown_table_names_the_nearest():
    with pytest.raises(UnknownName, match="'reyes2022_tabel2'.*reyes2022_table2"):
        table("reyes2022_tabel2")
