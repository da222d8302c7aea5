"""A search tries each setting once, at random or by a model; it resumes, is shared and replayed."""

import importlib
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from math import comb
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
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


@pytest.fixture
def tried(monkeypatch) -> list[Run]:
    """The runs that this process would train, in order; their accuracy follows from the recipe."""
    done = []

    def spy(run):
        done.append(run)
        return SimpleNamespace(val_accuracy=run.lr - run.label_smoothing / 100)

    monkeypatch.setattr(search_file, "complete", spy)
    return done


def table(sizes=(5, 4), tables=1) -> pd.DataFrame:
    levels = [np.arange(size) for size in sizes]
    index = pd.MultiIndex.from_product(levels, names=["lr", "epochs", "mixup"][: len(sizes)])
    values = np.random.default_rng(1).normal(size=(len(index), tables))
    return pd.DataFrame(values, index)


# live


def test_a_trial_is_a_run_and_its_value_that_run_s_validation_accuracy(run):
    trials = search({"insects": run}, SPACE, "random", trials=3)
    assert list(trials.columns) == ["arm", "trial", *SPACE, "val_accuracy", "key"]
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


def test_a_grid_that_was_killed_still_tries_each_setting(run, tried):
    search({"insects": run}, SPACE, "grid", trials=2)
    study = only_study()
    study.sampler = optuna.samplers.GridSampler({"lr": range(3), "label_smoothing": range(2)}, 0)
    study.ask()  # of a process that was killed
    trials = search({"insects": run}, SPACE, "grid", trials=6)
    assert len(set(zip(trials["lr"], trials["label_smoothing"]))) == 6


def test_a_grid_comes_back_to_a_setting_that_failed(run, tried, monkeypatch):
    finish = search_file.complete

    def stop_at_third(run):
        if len(tried) == 2:
            raise KeyboardInterrupt
        return finish(run)

    monkeypatch.setattr(search_file, "complete", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        search({"insects": run}, SPACE, "grid", trials=6)
    monkeypatch.setattr(search_file, "complete", finish)
    trials = search({"insects": run}, SPACE, "grid", trials=6)
    assert len(trials) == 6 and len(set(zip(trials["lr"], trials["label_smoothing"]))) == 6


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_makes_the_same_trials_again_and_another_seed_others(
    run, tried, sampler, tmp_path, monkeypatch
):
    wide = SPACE | {"weight_decay": [1e-6, 1e-5, 1e-4, 1e-3], "mixup": [0.0, 0.2]}
    first = search({"insects": run}, wide, sampler, trials=8, seed=1)
    other = search({"insects": run}, wide, sampler, trials=8, seed=2)
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "elsewhere"))
    again = search({"insects": run}, wide, sampler, trials=8, seed=1)
    pd.testing.assert_frame_equal(first, again)
    assert not first[list(wide)].equals(other[list(wide)])


def test_more_trials_continue_fewer_and_arms_are_apart(run, tried):
    arms = {"one": run, "two": Run(**{**vars(run), "seed": 1})}
    few = search(arms, SPACE, "random", trials=2)
    assert len(tried) == 4
    more = search(arms, SPACE, "random", trials=5)
    assert len(tried) == 10
    assert more.groupby("arm").size().tolist() == [5, 5]
    first_two = more[more["trial"] <= 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, first_two)
    search(arms, SPACE, "random", trials=5)
    assert len(tried) == 10


@pytest.mark.parametrize("problem", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_search_carries_on_with_the_right_number(run, tried, monkeypatch, problem):
    finish = search_file.complete

    def stop_at_third(run):
        if len(tried) == 2:
            raise problem
        return finish(run)

    monkeypatch.setattr(search_file, "complete", stop_at_third)
    with pytest.raises(problem):
        search({"insects": run}, SPACE, "random", trials=5)
    assert len(only_study().trials) == 3
    monkeypatch.setattr(search_file, "complete", finish)
    trials = search({"insects": run}, SPACE, "random", trials=5)
    assert len(tried) == 5 and trials["trial"].tolist() == [1, 2, 3, 4, 5]


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
    ]
    assert table["arm"].tolist() == ["kin, slow"] * 2 + ["far, slow"] * 2
    assert table["target"].tolist() == ["kin", "kin", "far", "far"]
    assert table["trial"].tolist() == [1, 2, 1, 2]
    with pytest.raises(ValueError, match="coordinates"):
        search(arms, SPACE, names=("target",))


def test_the_name_of_an_arm_does_not_matter_to_the_stored_search(run, tried):
    by_label = search({"insects": run}, SPACE, "grid", trials=4)
    by_coordinates = search({("a", 1): run}, SPACE, "grid", trials=4, names=("target", "way"))
    assert len(tried) == 4 and only_study()
    names = ["arm", "target", "way"]
    pd.testing.assert_frame_equal(by_label.drop(columns="arm"), by_coordinates.drop(columns=names))


def test_a_search_notices_that_images_have_changed(run, tried):
    search({"insects": run}, SPACE, "random", trials=2)
    next(Path(run.task).rglob("*.png")).unlink()
    search({"insects": run}, SPACE, "random", trials=2)
    assert len(tried) == 4


def only_study() -> optuna.Study:
    (path,) = (home() / "searches").glob("*.log")
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    return optuna.load_study(study_name=path.stem, storage=optuna.storages.JournalStorage(backend))


def test_two_processes_share_a_search(tmp_path):
    """Each does some of the trials; together not many more than requested, and all differ."""
    code = textwrap.dedent("""
        import time
        from importlib import import_module
        from types import SimpleNamespace
        from tlkit.recipe import Run

        def slow(run):
            time.sleep(0.3)
            return SimpleNamespace(val_accuracy=0.5)

        search_file = import_module("tlkit.experiments.search")
        search_file.complete = slow
        run = Run(task="digits", model="test_resnet", init="random", size=32)
        print("ready", flush=True)
        input()
        print(len(search_file.search({"a": run}, {"lr": [i / 100 for i in range(1, 41)]},
                                   "grid", trials=12)))
    """)
    environment = os.environ | {"TLKIT_PROGRESS": "off"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=120)[0] for process in both]
    assert [int(each) for each in printed] == [12, 12]
    trials = only_study().trials
    assert 12 <= len(trials) <= 13  # the last may be started twice
    assert len({trial.params["lr"] for trial in trials}) == len(trials)


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
