"""What a notebook finds is kept whole, once, under its own parameters."""

import os

import pandas as pd
import pytest

from tlkit.experiments import results

FOUND = pd.DataFrame({"arm": ["a", "b"], "accuracy": [0.1, 2 / 3], "key": ["k1", "k2"]})


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(results, "_folder", None)
    monkeypatch.setattr(results, "SHIPPED", tmp_path)  # nothing shipped


def test_rows_come_back_as_text_once_with_notebook_and_parameters():
    results.begin("11_freezing", "lab", {"seeds": 3})
    results.keep("runs", FOUND)
    results.keep("runs", FOUND.tail(1))
    (_, first), (_, second) = results.kept("runs", "lab").iterrows()
    assert list(first) == ["11_freezing", '{"seeds": 3}', "a", "0.1", "k1", "here"]
    assert float(second["accuracy"]) == 2 / 3  # nothing is rounded
    assert results.kept("verdicts", "lab").empty and results.kept("runs", "paper").empty


def test_the_reference_stands_in_for_what_was_not_run_here(tmp_path, monkeypatch):
    for notebook, arm in (("11_freezing", "old"), ("31_non_binary", "other")):
        results.begin(notebook, "lab", {})
        results.keep("runs", FOUND.head(1).assign(arm=arm))
    (tmp_path / "home" / "results").rename(tmp_path / "reference")
    monkeypatch.setattr(results, "SHIPPED", tmp_path)
    for parameters, arm in (({}, "new"), ({"seeds": 3}, "another call")):
        results.begin("11_freezing", "lab", parameters)
        results.keep("runs", FOUND.head(1).assign(arm=arm))
    found = results.kept("runs", "lab")
    assert set(zip(found["notebook"], found["arm"], found["origin"])) == {
        ("11_freezing", "new", "here"), ("11_freezing", "another call", "here"),
        ("31_non_binary", "other", "reference")}
    assert set(results.reference("runs", "lab")["arm"]) == {"old", "other"}


def test_the_same_call_replaces_and_another_stands_beside():
    for seeds in (3, 5, 3):
        results.begin("11_freezing", "lab", {"seeds": seeds})
        results.keep("runs", FOUND.assign(arm=f"{seeds}"))
    assert sorted(results.kept("runs", "lab")["arm"]) == ["3", "3", "5", "5"]


def test_nothing_is_kept_outside_a_notebook_or_in_a_dry_run(tmp_path, monkeypatch):
    results.keep("runs", FOUND)
    monkeypatch.setenv("TLKIT_DRY_RUN", "1")
    results.begin("11_freezing", "lab", {})
    results.keep("runs", FOUND)
    assert not (tmp_path / "home").exists()


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    results.begin("11_freezing", "lab", {})
    results.keep("runs", FOUND)
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        results.keep("runs", FOUND.assign(arm="c"))
    assert list(results.kept("runs", "lab")["arm"]) == ["a", "b"]
    names = [name for _, _, files in os.walk(tmp_path / "home") for name in files]
    assert sorted(names) == ["parameters.json", "runs.csv"]
