"""The tables of a notebook are stored whole, once, under its own name and parameters."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from tlkit.experiments import results
from tlkit.ground.paths import ROOT, SHIPPED

TABLE = pd.DataFrame({"arm": ["a", "b"], "accuracy": [0.1, 2 / 3], "key": ["k1", "k2"]})


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(results, "_folder", None)
    monkeypatch.setattr(results, "SHIPPED", tmp_path)  # nothing shipped


def test_rows_come_back_as_text_once_with_notebook_and_parameters():
    results.begin("11_freezing", "lab", {"seeds": 3})
    results.store("runs", TABLE)
    results.store("runs", TABLE.tail(1))
    (_, first), (_, second) = results.stored("runs", "lab").iterrows()
    assert list(first) == ["11_freezing", '{"seeds": 3}', "a", "0.1", "k1", "here"]
    assert float(second["accuracy"]) == 2 / 3  # nothing is rounded
    assert results.stored("verdicts", "lab").empty and results.stored("runs", "paper").empty


def test_the_reference_stands_in_for_what_was_not_run_here(tmp_path, monkeypatch):
    for notebook, arm in (("11_freezing", "old"), ("31_non_binary", "other")):
        results.begin(notebook, "lab", {})
        results.store("runs", TABLE.head(1).assign(arm=arm))
    (tmp_path / "home" / "results").rename(tmp_path / "reference")
    monkeypatch.setattr(results, "SHIPPED", tmp_path)
    for parameters, arm in (({}, "new"), ({"seeds": 3}, "another call")):
        results.begin("11_freezing", "lab", parameters)
        results.store("runs", TABLE.head(1).assign(arm=arm))
    table = results.stored("runs", "lab")
    assert set(zip(table["notebook"], table["arm"], table["origin"])) == {
        ("11_freezing", "new", "here"),
        ("11_freezing", "another call", "here"),
        ("31_non_binary", "other", "reference"),
    }
    assert set(results.reference("runs", "lab")["arm"]) == {"old", "other"}


def test_the_same_call_replaces_and_another_stands_beside():
    for seeds in (3, 5, 3):
        results.begin("11_freezing", "lab", {"seeds": seeds})
        results.store("runs", TABLE.assign(arm=f"{seeds}"))
    assert sorted(results.stored("runs", "lab")["arm"]) == ["3", "3", "5", "5"]


@pytest.mark.parametrize("copy", ["11_freezing-Copy1", "11_freezing_mine", "my first try"])
def test_a_copy_of_a_notebook_does_not_replace_the_tables_of_the_original(copy):
    results.begin("11_freezing", "lab", {"seeds": 3})
    results.store("runs", TABLE)
    results.begin(copy, "lab", {"seeds": 3})
    results.store("runs", TABLE.assign(arm="changed"))
    table = results.stored("runs", "lab").set_index("notebook")
    assert table.loc["11_freezing", "arm"].tolist() == ["a", "b"]
    assert table.loc[copy, "arm"].tolist() == ["changed", "changed"]


def test_columns_of_a_table_and_of_its_notebook_do_not_mix():
    """A sweep's table has a column "parameters": their number."""
    results.begin("11_freezing", "lab", {"seeds": 3})
    results.store("runs", TABLE.assign(parameters=123))
    table = results.stored("runs", "lab")
    assert table["parameters"].tolist() == ['{"seeds": 3}'] * 2
    assert table["weights"].tolist() == ["123", "123"]


@pytest.mark.parametrize("name", ["runs", "verdicts"])
def test_the_reference_of_the_kit_can_be_read(name, monkeypatch):
    monkeypatch.setattr(results, "SHIPPED", SHIPPED)
    table = results.stored(name, "lab")
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert not table.empty and set(table["notebook"]) <= notebooks
    assert set(table["origin"]) == {"reference"}


def test_a_column_that_a_notebook_does_not_have_is_empty_there():
    results.begin("11_freezing", "lab", {})
    results.store("runs", TABLE)
    results.store("runs", TABLE.assign(scheme="L2"))  # a second sweep of the same notebook
    results.begin("30_regularization", "lab", {})
    results.store("runs", TABLE.assign(target="kin"))
    table = results.stored("runs", "lab")
    assert table["scheme"].tolist() == ["", "", "L2", "L2", "", ""]
    assert table["target"].tolist() == ["", "", "", "", "kin", "kin"]


def test_nothing_is_stored_outside_a_notebook_or_in_a_dry_run(tmp_path, monkeypatch):
    results.store("runs", TABLE)
    monkeypatch.setenv("TLKIT_DRY_RUN", "1")
    results.begin("11_freezing", "lab", {})
    results.store("runs", TABLE)
    assert not (tmp_path / "home").exists()


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    results.begin("11_freezing", "lab", {})
    results.store("runs", TABLE)
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        results.store("runs", TABLE.assign(arm="c"))
    assert list(results.stored("runs", "lab")["arm"]) == ["a", "b"]
    names = [name for _, _, files in os.walk(tmp_path / "home") for name in files]
    assert sorted(names) == ["parameters.json", "runs.csv"]


STORING = """
import sys
import pandas as pd
from tlkit.experiments import results
results._folder = results.home() / "results" / "lab" / "a-1"
print("ready", flush=True)
input()
for row in range(15):
    results.store("runs", pd.DataFrame({"arm": [f"{sys.argv[1]} {row}"]}))
"""


def test_processes_that_store_in_one_table_lose_no_row(tmp_path):
    results.begin("a", "lab", {})
    results._folder.rename(results._folder.with_name("a-1"))
    command = [sys.executable, "-c", STORING]
    started = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "xy"
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        assert process.communicate(timeout=100) and process.returncode == 0
    rows = {f"{name} {row}" for name in "xy" for row in range(15)}
    assert set(results.stored("runs", "lab")["arm"]) == rows
    assert not [*(tmp_path / "home").rglob("*.lock")]


@pytest.mark.parametrize("name, text", [
    ("runs.csv", ""), ("runs.csv", "\0" * 99), ("runs.csv", 'a,b\n1,2,3,"'),
    ("parameters.json", ""), ("parameters.json", "{"),
])  # fmt: skip
def test_a_damaged_table_is_set_aside_and_the_others_are_read(name, text):
    for notebook in ("11_freezing", "31_non_binary"):
        results.begin(notebook, "lab", {})
        results.store("runs", TABLE)
    (results._folder / name).write_text(text)
    with pytest.warns(UserWarning, match=r"31_non_binary.*damaged"):
        table = results.stored("runs", "lab")
    assert set(table["notebook"]) == {"11_freezing"} and len(table) == 2
    assert len(results.stored("runs", "lab")) == 2  # without a second warning
