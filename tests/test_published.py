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


def test_unknown_table_names_the_nearest():
    with pytest.raises(UnknownName, match="'reyes2022_tabel2'.*reyes2022_table2"):
        table("reyes2022_tabel2")
