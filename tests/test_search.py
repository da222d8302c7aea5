"""A search tries each setting once, at random or by a model; it resumes, is shared and replayed."""

import importlib
import subprocess
import sys
from dataclasses import replace
from math import comb
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import paint

from tlkit.experiments.records import read
from tlkit.experiments.samplers import SAMPLERS
from tlkit.experiments.search import replay, search
from tlkit.ground.names import UnknownName
from tlkit.ground.paths import home
from tlkit.recipe import Run

search_file = importlib.import_module("tlkit.experiments.search")

SPACE = {"lr": [0.001, 0.01, 0.1], "label_smoothing": [0.0, 0.1]}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TLKIT_DRY_RUN", raising=False)
    monkeypatch.setenv("TLKIT_JOBS", "1")  # no worker processes


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(
        task=str(paint(tmp_path / "insects", ("ant", "bee"))),
        model="test_resnet",
        init="random",
        size=32,
        train_per_class=4,
        val_per_class=2,
        epochs=1,
        batch_size=8,
    )


class Outcomes(dict):
    """Runs that count as trained, in order, with their values; see `tried`."""

    def __call__(self, run: Run) -> SimpleNamespace:
        if run not in self:
            self[run] = self.value(run)
        value = self[run]
        return SimpleNamespace(val_accuracy=value, diverged=np.isnan(value), key=f"{hash(run)}")

    def value(self, run: Run) -> float:
        return run.lr - run.label_smoothing / 100


@pytest.fixture
def tried(monkeypatch) -> Outcomes:
    """The runs that this process would train; their accuracy follows from the recipe."""
    outcomes = Outcomes()
    monkeypatch.setattr(search_file, "complete", outcomes)
    return outcomes


def table(sizes=(5, 4), tables=1) -> pd.DataFrame:
    levels = [np.arange(size) for size in sizes]
    index = pd.MultiIndex.from_product(levels, names=["lr", "epochs", "mixup"][: len(sizes)])
    values = np.random.default_rng(1).normal(size=(len(index), tables))
    return pd.DataFrame(values, index)


# live


def test_a_trial_is_a_run_and_its_value_that_run_s_validation_accuracy(run):
    trials = search({"insects": run}, SPACE, "random", trials=3)
    assert list(trials.columns) == ["arm", "trial", *SPACE, "val_accuracy", "key", "diverged"]
    assert trials["trial"].tolist() == [1, 2, 3]
    for row in trials.itertuples():
        record = read(row.key)
        assert record.val_accuracy == row.val_accuracy
        assert record.recipe["lr"] == row.lr and record.recipe["epochs"] == run.epochs
        assert row.lr in SPACE["lr"] and row.label_smoothing in SPACE["label_smoothing"]


def test_a_grid_tries_each_setting_once_and_ends(run, tried):
    trials = search({"insects": run}, SPACE, "grid", trials=100)
    assert len(trials) == len(tried) == 6
    assert len(set(zip(trials["lr"], trials["label_smoothing"]))) == 6


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_makes_the_same_trials_again_and_another_seed_others(run, tried, sampler):
    wide = SPACE | {"weight_decay": [1e-6, 1e-5, 1e-4, 1e-3], "mixup": [0.0, 0.2]}
    first = search({"insects": run}, wide, sampler, trials=8, seed=1)
    other = search({"insects": run}, wide, sampler, trials=8, seed=2)
    tried.clear()
    again = search({"insects": run}, wide, sampler, trials=8, seed=1)
    pd.testing.assert_frame_equal(first, again)
    assert not first[list(wide)].equals(other[list(wide)])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_more_trials_continue_fewer_and_arms_are_apart(run, tried, sampler):
    arms = {"one": run, "two": replace(run, seed=1)}
    few = search(arms, SPACE, sampler, trials=2)
    more = search(arms, SPACE, sampler, trials=5)
    assert more.groupby("arm").size().tolist() == [5, 5]
    first_two = more[more["trial"] <= 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, first_two)
    before = len(tried)
    search(arms, SPACE, sampler, trials=5)
    assert len(tried) == before


@pytest.mark.parametrize("problem", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_interrupted_search_is_the_same_search_afterwards(
    run, tried, monkeypatch, problem, sampler
):
    """Whatever happens, and however often: nothing but records decides what comes next."""
    wide = SPACE | {"mixup": [0.0, 0.2, 0.4], "epochs": [1, 2, 3]}
    expected = search({"insects": run}, wide, sampler, trials=9)
    trained = list(tried)
    tried.clear()
    value = Outcomes.value

    def stop(self, run):
        monkeypatch.setattr(Outcomes, "value", value)
        raise problem

    for _ in range(20):
        try:
            trials = search({"insects": run}, wide, sampler, trials=9)
            break
        except problem:
            continue
        finally:
            if len(tried) % 2:
                monkeypatch.setattr(Outcomes, "value", stop)
    pd.testing.assert_frame_equal(trials, expected)
    assert list(tried) == trained


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_diverged_trial_is_never_the_best_and_ends_nothing(run, tried, monkeypatch, sampler):
    values = {0.1: np.nan, 0.01: 0.4, 0.001: 0.3}
    monkeypatch.setattr(Outcomes, "value", lambda self, run: values[run.lr])
    trials = search({"insects": run}, {"lr": [0.1, 0.01, 0.001]}, sampler, trials=9)
    assert len(trials) == (3 if sampler == "grid" else 9)
    assert trials["val_accuracy"].isna().equals(trials["diverged"])
    assert trials["diverged"].equals(trials["lr"] == 0.1) and trials["diverged"].any()
    assert trials.loc[trials["val_accuracy"].idxmax(), "lr"] == 0.01


@pytest.mark.parametrize("place", ["run", "space"])
def test_a_search_without_validation_images_is_refused_before_the_first_trial(run, tried, place):
    space = SPACE | ({"val_per_class": [2, 0]} if place == "space" else {})
    with pytest.raises(ValueError, match=r"'insects'.*val_per_class=0.*insects.*1 or more"):
        search({"insects": replace(run, val_per_class=0) if place == "run" else run}, space)
    assert not tried


def test_a_set_with_validation_images_of_its_own_needs_no_others(run, tried, tmp_path):
    folder = tmp_path / "parted"
    for part in ("train", "val", "test"):
        paint(folder / part, ("ant", "bee"), seed=len(part))
    parted = replace(run, task=str(folder), val_per_class=0)
    assert len(search({"parted": parted}, SPACE, "random", trials=2)) == 2


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"trials": 2.5}, {"trials": "3"}, {"seed": "1"},
    {"seed": -1}, {"seed": True}, {"seed": 0.5}])  # fmt: skip
def test_numbers_that_are_none_are_refused_by_name(run, tried, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.* whole number"):
        search({"a": run}, SPACE, "random", **wrong)
    if "seed" in wrong:
        with pytest.raises(ValueError, match=r"seed.* whole number"):
            replay(table(), "random", 3, [wrong["seed"]])
    else:
        with pytest.raises(ValueError, match=r"trials.* whole number"):
            replay(table(), "random", **wrong)


def test_numbers_of_numpy_are_taken(run, tried):
    space = {"lr": np.logspace(-3, -1, 3), "label_smoothing": iter([0.0, 0.1])}
    trials = search({"a": run}, space, "grid", trials=np.int64(9), seed=np.int32(1))
    assert len(trials) == len(tried) == 6
    assert all(type(each.lr) is float for each in tried)


def test_a_text_in_place_of_a_list_of_values_is_refused(run, tried):
    for values in ("adam", 3, None):
        with pytest.raises(ValueError, match="optimizer"):
            search({"a": run}, {"optimizer": values}, "grid")
    assert not tried


def test_arms_have_coordinates_as_columns(run, tried):
    arms = {("kin", "slow"): run, ("far", "slow"): replace(run, seed=1)}
    table = search(arms, SPACE, "grid", trials=2, names=("target", "scheme"))
    assert list(table.columns) == [
        "arm",
        "target",
        "scheme",
        "trial",
        *SPACE,
        "val_accuracy",
        "key",
        "diverged",
    ]
    assert table["arm"].tolist() == ["kin, slow"] * 2 + ["far, slow"] * 2
    assert table["target"].tolist() == ["kin", "kin", "far", "far"]
    assert table["trial"].tolist() == [1, 2, 1, 2]
    with pytest.raises(ValueError, match="coordinates"):
        search(arms, SPACE, names=("target",))


def test_a_search_notices_that_images_have_changed(run):
    search({"insects": run}, SPACE, "random", trials=1)
    next(Path(run.task).rglob("*.png")).unlink()
    search({"insects": run}, SPACE, "random", trials=1)
    assert len([each for each in (home() / "records").iterdir() if each.is_dir()]) == 2


def test_a_search_keeps_nothing_but_its_records(run):
    trials = search({"insects": run}, SPACE, "random", trials=2)
    names = {path.name for path in (home() / "records").iterdir()}
    assert names == set(trials["key"])
    assert {path.name for path in home().iterdir()} == {"records", "cache"}


SEARCHING = """
import sys
from tlkit.experiments import records
from tlkit.experiments.search import search
from tlkit.recipe import Run
execute = records.execute
def counted(run, *rest):
    print("trained", run.lr, flush=True)
    return execute(run, *rest)
records.execute = counted
run = Run(task=sys.argv[1], model="test_resnet", init="random", size=32, train_per_class=4,
          val_per_class=2, epochs=1, batch_size=8)
table = search({"a": run}, {"lr": [i / 100 for i in range(1, 9)]}, "grid", trials=5)
print("keys", *table["key"])
"""


@pytest.mark.parametrize("kill", [False, True])
def test_processes_share_a_search_and_a_killed_one_changes_nothing(run, kill):
    command = [sys.executable, "-c", SEARCHING, run.task]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    before = []
    if kill:  # as soon as it trains, or after the other one has trained everything
        before = [both[0].stdout.readline().strip()]
        both[0].kill()
    printed = [process.communicate(timeout=100)[0].splitlines() for process in both]
    keys = {lines[-1] for lines in printed[kill:]}
    assert len(keys) == 1 and len(set(keys.pop().split()[1:])) == 5
    lines = [*before, *printed[0], *printed[1]]
    trained = [line for line in lines if line.startswith("trained")]
    assert len(set(trained)) == 5 and len(trained) <= 5 + kill


def test_a_dry_run_takes_two_steps_of_each_arm(run, monkeypatch, capsys):
    monkeypatch.setenv("TLKIT_DRY_RUN", "1")
    trials = search({"insects": run}, SPACE, trials=50)
    assert len(trials) == 1 and trials["lr"].item() == 0.001
    assert "insects" in capsys.readouterr().out and not (home() / "records").exists()
    assert trials["arm"].tolist() == ["insects"] and trials["val_accuracy"].notna().all()
    arms = {("a", 1): run, ("b", 1): run}
    table = search(arms, SPACE, names=("target", "way"))
    assert table[["arm", "target", "way"]].values.tolist() == [["a, 1", "a", 1], ["b, 1", "b", 1]]


# replayed


def test_a_replay_only_looks_up(tried):
    measured = table(tables=2)
    for sampler in SAMPLERS:
        trials = replay(measured, sampler, trials=8, seeds=range(2))
        assert len(trials) == 2 * 2 * 8
        for row in trials.itertuples():
            assert row.value == measured.loc[(row.lr, row.epochs), row.table]
        best = trials.groupby(["table", "seed"])["value"].cummax()
        assert (trials["best"] == best).all()
    assert not tried


def test_a_replayed_grid_finds_the_best_and_draws_without_replacement():
    measured = table()
    trials = replay(measured, "grid", trials=100, seeds=range(3))
    assert trials.groupby("seed").size().tolist() == [20] * 3
    assert not trials.duplicated(["seed", "lr", "epochs"]).any()
    assert (trials.groupby("seed")["best"].last() == measured[0].max()).all()
    orders = {tuple(rows["value"]) for _, rows in trials.groupby("seed")}
    assert len(orders) == 3


def expected_best(values: np.ndarray, n: int, replacement: bool) -> float:
    """Mean of the highest of n draws: the k-th from below with the difference of two chances."""
    size, ordered = len(values), np.sort(values)
    none_above = [
        (k / size) ** n if replacement else comb(k, n) / comb(size, n) for k in range(size + 1)
    ]
    return float(np.diff(none_above) @ ordered)


@pytest.mark.parametrize("sampler, replacement", [("random", True), ("grid", False)])
def test_best_so_far_is_that_of_drawing_with_or_without_replacement(sampler, replacement):
    measured = table((4, 3))
    trials = replay(measured, sampler, trials=6, seeds=range(200))
    for n in (1, 3, 6):
        bests = trials.loc[trials["trial"] == n, "best"]
        expected = expected_best(measured[0].to_numpy(), n, replacement)
        assert abs(bests.mean() - expected) < 4 * bests.std() / np.sqrt(len(bests))


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_model_finds_a_smooth_peak_sooner_than_chance(sampler):
    index = pd.MultiIndex.from_product([range(12), range(12)], names=["lr", "epochs"])
    places = index.to_frame().to_numpy()
    measured = pd.DataFrame(-((places - [8, 3]) ** 2).sum(1), index)
    trials = replay(measured, sampler, 20, range(3))
    by_chance = expected_best(measured[0].to_numpy(), 20, replacement=True)
    assert trials.groupby("seed")["best"].last().mean() > by_chance + 1


def test_a_replay_over_one_field_and_of_a_series():
    measured = table((5,))
    trials = replay(measured, "grid", 9, [0])
    assert trials["lr"].nunique() == 5 and list(trials["value"]) == list(measured[0][trials["lr"]])
    assert replay(measured[0], "grid", 9, [0]).equals(trials)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_replay_over_missing_numbers_counts_them_as_the_worst(sampler):
    measured = table((4, 3))
    measured.iloc[::2] = np.nan
    trials = replay(measured, sampler, 9, [0])
    assert len(trials) == 9 and trials["value"].isna().any()
    assert trials["best"].max() == trials["value"].max()
    with pytest.raises(ValueError, match="number in each table"):
        replay(measured * np.nan, sampler, 9, [0])


def test_seeds_of_a_replay_may_be_an_iterator_and_come_once():
    trials = replay(table(tables=2), "random", 2, iter([0, np.int64(1)]))
    assert len(trials) == 2 * 2 * 2
    with pytest.raises(ValueError, match="once"):
        replay(table(), "random", 2, [0, 0])


def test_replays_of_two_tables_are_independent():
    same = table((20, 20))
    trials = replay(pd.concat([same, same.rename(columns={0: 1})], axis=1), "random", 10, [0])
    first, second = (rows["value"].tolist() for _, rows in trials.groupby("table"))
    assert first != second


# refused


def test_unknown_names_are_refused_and_the_nearest_are_named(run):
    with pytest.raises(UnknownName, match=r"'randm'.*random"):
        search({"a": run}, SPACE, "randm")
    with pytest.raises(UnknownName, match=r"'weight_deacy'.*weight_decay"):
        search({"a": run}, {"weight_deacy": [0.1]})
    with pytest.raises(UnknownName, match="'bayes'"):
        replay(table(), "bayes", 3)


def test_spaces_and_tables_with_holes_are_refused(run):
    with pytest.raises(ValueError, match="space"):
        search({"a": run}, {})
    with pytest.raises(ValueError, match="space"):
        search({"a": run}, {"lr": []})
    with pytest.raises(ValueError, match="combination"):
        replay(table().iloc[1:], "grid", 3)
    with pytest.raises(ValueError, match="combination"):
        replay(pd.concat([table(), table()]), "grid", 3)
