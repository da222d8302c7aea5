"""A sweep: one row per arm and seed, every run trained once, by however many workers."""

import importlib
import json
import os
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import Timeout
from helpers import paint
from joblib.externals.loky import get_reusable_executor
from safetensors.torch import load_file

import tlkit
from tlkit.experiments import records, results
from tlkit.experiments.arms import select
from tlkit.experiments.keys import key
from tlkit.experiments.records import complete, read, weights_path
from tlkit.experiments.sweep import sweep
from tlkit.experiments.workers import in_parallel
from tlkit.ground import paths
from tlkit.ground.names import UnknownName
from tlkit.ground.paths import home
from tlkit.images.tasks import load
from tlkit.judging.compare import scores
from tlkit.networks.models import build
from tlkit.networks.modules import modules
from tlkit.recipe import Run, grid, l2, l2_sp

# `from tlkit.experiments import sweep` gives the file too, but reads like the function.
dry_run_file = importlib.import_module("tlkit.experiments.dry_run")
sweep_file = importlib.import_module("tlkit.experiments.sweep")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TLKIT_DRY_RUN", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # no worker processes


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(
        task=str(paint(tmp_path / "insects")),
        model="test_resnet",
        init="random",
        size=32,
        train_per_class=6,
        val_per_class=2,
        epochs=1,
        batch_size=8,
        lr=0.01,
    )


@pytest.fixture
def trained(monkeypatch) -> list[Run]:
    """The runs trained in this process, in order."""
    execute, done = records.execute, []

    def spy(run, task, weights):
        done.append(run)
        return execute(run, task, weights)

    monkeypatch.setattr(records, "execute", spy)
    return done


@pytest.fixture(scope="module")
def workers():
    """Worker processes of this module's own, started by the first test that needs them."""
    get_reusable_executor().shutdown(wait=True)
    yield
    get_reusable_executor().shutdown(wait=True)


def test_the_table_has_the_weight_decay_that_was_applied(run):
    arms = {
        "plain": run,
        "pulled": replace(run, penalty=l2(0.1)),
        "both": replace(run, penalty=l2(0.1), weight_decay=0.5),
    }
    assert sweep(arms, [0])["weight_decay"].tolist() == [1e-4, 0.0, 0.5]


def test_the_packages_names_are_the_functions_whatever_was_imported_before():
    """Files have the names of functions that live in them."""
    importlib.import_module("tlkit.experiments.search")
    assert tlkit.sweep is sweep
    assert callable(tlkit.search) and callable(tlkit.verdicts) and callable(tlkit.compare)


def logits(table: pd.DataFrame) -> list[np.ndarray]:
    return [read(each).test_outputs()[0] for each in table["key"]]


def stored() -> list[str]:
    paths = (home() / "records").glob("*")
    return sorted(path.name for path in paths if path.suffix != ".lock")


def test_a_row_per_arm_and_seed_with_the_recipe_and_the_record(run):
    arms = {"slow": run, "fast": replace(run, lr=0.02)}
    arms |= {"narrow": replace(run, task=f"{run.task}[ant,other]")}
    table = sweep(arms, seeds=[0, 3])
    assert list(zip(table["arm"], table["seed"])) == [(a, s) for a in arms for s in (0, 3)]
    recipe = [field.name for field in fields(Run)]
    measured = ["accuracy", "val_accuracy", "parameters", "trainable", "seconds", "key", "diverged"]
    assert list(table.columns) == ["arm", *recipe, "classes", *measured]
    assert list(table["classes"]) == [3, 3, 3, 3, 2, 2]
    for row in table.to_dict("records"):
        expected = replace(arms[row["arm"]], seed=row["seed"])
        decayed = {"weight_decay": expected.decay()}
        assert {name: row[name] for name in recipe} == vars(expected) | decayed
        assert row["key"] == key(expected)
        record = read(row["key"])
        assert {name: row[name] for name in measured[:-1]} == {
            name: getattr(record, name) for name in measured[:-1]
        }
        outputs, labels = record.test_outputs()
        assert row["accuracy"] == np.mean(outputs.argmax(1) == labels)


def test_coordinates_become_columns_and_label_an_arm(run):
    arms = {
        ("insects", 0.01): run,
        ("insects", 0.02): replace(run, lr=0.02),
        ("two", 0.01): replace(run, task=f"{run.task}[ant,other]"),
    }
    table = sweep(arms, [0, 1], names=("target", "rate"))
    assert list(table.columns[:3]) == ["arm", "target", "rate"]
    for (target, rate), rows in table.groupby(["target", "rate"], sort=False):
        assert rows["arm"].tolist() == [f"{target}, {rate}"] * 2
        assert rows["seed"].tolist() == [0, 1]
        expected = [key(replace(arms[target, rate], seed=seed)) for seed in (0, 1)]
        assert rows["key"].tolist() == expected
    assert table["task"].tolist() == [run.task] * 4 + [f"{run.task}[ant,other]"] * 2


def test_a_grid_has_the_coordinates_of_its_choices(run):
    table = sweep(grid(run, lr=[0.01, 0.02], frozen=[0, 1]), [0], names=("lr", "frozen"))
    assert list(zip(table["lr"], table["frozen"])) == [(0.01, 0), (0.01, 1), (0.02, 0), (0.02, 1)]
    assert table["arm"].tolist() == ["0.01, 0", "0.01, 1", "0.02, 0", "0.02, 1"]
    assert list(table.columns).count("lr") == 1


def test_a_coordinate_wins_over_a_field_of_the_run_and_trains_the_same(run):
    """The column names what the reader compares; the recipe is the arm's, whatever its name."""
    table = sweep({("wide",): run}, [0], names=("task",))
    assert table["task"].tolist() == ["wide"]
    assert table["key"].tolist() == sweep({"plain": run}, [0])["key"].tolist()


def test_the_stored_table_has_the_coordinates(run, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "_folder", None)
    results.begin("a_notebook", "lab", {})
    sweep({("wide", "x"): run}, [0], names=("task", "scheme"))
    table = results.stored("runs", "lab").query("origin == 'here'")
    assert table[["arm", "task", "scheme", "seed"]].values.tolist() == [
        ["wide, x", "wide", "x", "0"]
    ]
    assert {"key", "accuracy", "epochs"} <= set(table)


def test_the_number_of_coordinates_must_be_that_of_the_names(run):
    with pytest.raises(ValueError, match="coordinates"):
        sweep({("kin", "L2-SP"): run}, [0])
    with pytest.raises(ValueError, match="coordinates"):
        sweep({("kin", "L2-SP"): run, "kin": run}, [0], names=("target", "scheme"))
    assert stored() == []


def test_five_seeds_by_default(run):
    table = sweep({"a": run})
    assert list(table["seed"]) == [0, 1, 2, 3, 4] and table["key"].nunique() == 5


SEEDS = {"iterator": lambda: iter([0, 1]), "range": lambda: range(2), "numpy": lambda: np.arange(2)}


@pytest.mark.parametrize("seeds", SEEDS.values(), ids=SEEDS)
def test_seeds_may_be_an_iterator_and_serve_every_arm(run, seeds):
    table = sweep({"a": run, "b": replace(run, lr=0.02)}, seeds())
    assert list(zip(table["arm"], table["seed"])) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    expected = [key(replace(run, lr=lr, seed=seed)) for lr in (0.01, 0.02) for seed in (0, 1)]
    assert table["key"].tolist() == expected


@pytest.mark.parametrize("seeds", [
    "01", [0.9, 1.9], [True, 2], [0, 0, 1, 1], ["0", "1"], 3, [-1], [None], [1.0], np.array([0.5]),
])  # fmt: skip
def test_seeds_that_are_no_whole_numbers_or_come_twice_are_refused_by_name(run, seeds, trained):
    with pytest.raises(ValueError, match="seed"):
        sweep({"a": run}, seeds)
    assert trained == []


def test_whole_numbers_as_arms_are_compared_and_selected(run):
    table = sweep({1: run, 2: replace(run, lr=0.02)}, seeds=[0])
    assert select(table, 1)["lr"].tolist() == [0.01] and select(table, "2")["lr"].tolist() == [0.02]
    assert scores(table, 1).shape == (1, 9)


def test_what_killed_processes_left_is_removed_by_the_next_start(run):
    """Even where nothing is trained: a process of this number has never been."""
    sweep({"a": run}, [0])
    for folder in ("records", "cache"):
        (home() / folder / f".partial-{paths._host()}-99999999-x").mkdir()
        (home() / folder / "some.lock").touch()
    paths.tidy.cache_clear()  # as in a new process
    sweep({"a": run}, [0])
    assert not [*home().glob("*/.partial-*"), *home().glob("*/some.lock")]


def test_a_diverged_run_is_marked_in_the_table(run, monkeypatch):
    write = records.write

    def diverged(run_key, run, classes, trained, *rest):
        write(run_key, run, classes, SimpleNamespace(**vars(trained) | {"diverged": True}), *rest)

    monkeypatch.setattr(records, "write", diverged)
    assert sweep({"a": run}, [0])["diverged"].tolist() == [True]


def test_nothing_to_train_is_an_error(run):
    for arms, seeds in (({}, [0]), ({"a": run}, [])):
        with pytest.raises(ValueError, match="at least one arm and one seed"):
            sweep(arms, seeds)


def test_a_seed_means_the_same_images_order_and_head_in_every_arm(run):
    """Validating more often is another recipe, but takes no part in training."""
    arms = {"rarely": replace(run, epochs=2), "often": replace(run, epochs=2, val_every=1)}
    table = sweep(arms, seeds=range(3))
    assert table["key"].nunique() == 6
    rarely, often = (logits(table[table["arm"] == arm]) for arm in arms)
    assert all(np.array_equal(one, two) for one, two in zip(rarely, often))
    assert not any(np.array_equal(rarely[0], other) for other in rarely[1:])


def test_arms_are_tested_on_the_same_images_by_every_seed(run):
    table = sweep({"a": run, "b": replace(run, lr=0.1)}, seeds=range(2))
    labels = [read(each).test_outputs()[1] for each in table["key"]]
    assert all(np.array_equal(labels[0], each) for each in labels)


def test_identical_arms_are_trained_once_and_are_equal(run, trained):
    table = sweep({"one": run, "two": replace(run)}, seeds=range(2))
    assert trained == [replace(run, seed=0), replace(run, seed=1)]
    one, two = (table[table["arm"] == arm].drop(columns="arm") for arm in ("one", "two"))
    assert one.to_dict("records") == two.to_dict("records")


def test_a_second_sweep_is_free_and_a_larger_one_trains_only_the_rest(run, trained):
    first = sweep({"a": run}, seeds=range(2))
    del trained[:]
    assert sweep({"a": run}, seeds=range(2)).equals(first) and trained == []
    larger = sweep({"a": run, "b": replace(run, lr=0.5)}, seeds=range(3))
    assert {(each.lr, each.seed) for each in trained} == {(0.01, 2), (0.5, 0), (0.5, 1), (0.5, 2)}
    assert len(trained) == 4 and larger[:2].equals(first)


def test_an_interrupted_sweep_carries_on(run, monkeypatch, trained):
    spy = records.execute

    def interrupt(run, task, weights):
        if run.seed == 2:
            raise KeyboardInterrupt
        return spy(run, task, weights)

    with monkeypatch.context() as patch:
        patch.setattr(records, "execute", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sweep({"a": run}, seeds=range(4))
    assert [each.seed for each in trained] == [0, 1]
    assert len(sweep({"a": run}, seeds=range(4))) == 4
    assert [each.seed for each in trained] == [0, 1, 2, 3]


def test_runs_of_another_process_are_left_for_last_and_waited_for(run, monkeypatch, trained):
    """The other process holds seed 0 at the first try, and has finished it at the second."""
    calls, real = [], sweep_file.complete

    def busy(run, keep_weights, timeout):
        calls.append((run.seed, timeout))
        if run.seed == 0 and timeout == 0:
            raise Timeout("a lock")
        return real(run, keep_weights, timeout)

    monkeypatch.setattr(sweep_file, "complete", busy)
    table = sweep({"a": run}, seeds=range(3))
    assert calls == [(0, 0), (1, 0), (2, 0), (0, -1)]
    assert list(table["seed"]) == [0, 1, 2] and table["accuracy"].notna().all()


# runs that start from runs


def test_a_chain_of_init_runs_is_trained_once_from_its_beginning(run, trained):
    def chain(seed):
        first = replace(run, seed=seed)
        second = replace(first, init=first, task=f"{run.task}[ant,other]", frozen="all")
        return first, second, replace(first, init=second, frozen="all")

    _, second, third = chain(7)  # each seed of the sweep has a chain of its own
    table = sweep({"third": third, "second": second}, seeds=range(2))
    assert len(trained) == len(set(trained)) == 2 * 3
    assert set(trained) == {*chain(0), *chain(1)}
    for seed in (0, 1):
        assert sorted(chain(seed), key=trained.index) == list(chain(seed))
    assert len(table) == 4

    first, second, third = chain(0)
    weights = [load_file(weights_path(key(each))) for each in (first, second)]
    body = modules(build(run.model, 3)).first("all")
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in body)  # frozen all along
    complete(third, keep_weights=True)
    end = load_file(weights_path(key(third)))
    assert all(torch.equal(weights[0][name], end[name]) for name in body)


def test_an_arm_may_be_the_start_of_another(run, trained):
    table = sweep({"source": run, "target": replace(run, init=run, lr=0.02)}, seeds=[0])
    assert trained == [run, replace(run, init=run, lr=0.02)]
    assert table["init"].tolist() == ["random", run]


def test_what_others_start_from_gets_their_seed_and_is_shared_by_them(run, trained):
    """Whatever seed it was given; the weights it leaves differ from seed to seed."""
    run = replace(run, train_per_class=2)
    source = replace(run, seed=99, half="first", lr=0.05)
    target = replace(run, half="second", init=source)
    table = sweep({"one": target, "two": replace(target, frozen=1)}, seeds=[0, 3])
    sources = [each for each in trained if each.init == "random"]
    assert sources == [replace(source, seed=0), replace(source, seed=3)]
    assert len(trained) == 2 + 4
    for row in table.to_dict("records"):
        assert row["init"] == replace(source, seed=row["seed"])
        as_json = json.loads(json.dumps(vars(row["init"])))
        assert read(row["key"]).recipe["init"] == as_json
    left = [load_file(weights_path(key(each))) for each in sources]
    assert any(not torch.equal(left[0][name], left[1][name]) for name in left[0])


def test_a_record_without_weights_can_become_a_start_later(run, trained):
    first = sweep({"source": run}, seeds=[0])
    sweep({"target": replace(run, init=run)}, seeds=[0])
    assert trained == [run, run, replace(run, init=run)]  # again, for the weights
    again = sweep({"source": run}, seeds=[0])
    assert again.equals(first)


# faults


def test_a_mistake_in_one_arm_raises(run):
    with pytest.raises(UnknownName, match="'blok1'"):
        sweep({"good": run, "bad": replace(run, frozen="blok1")}, seeds=[0])


def test_an_arm_that_is_not_there_names_those_that_are(run):
    table = sweep({"none": run}, seeds=[0])
    with pytest.raises(UnknownName, match=r"'non'.*none"):
        scores(table, "non")


# trials


def test_a_dry_run_takes_two_steps_of_every_arm_and_writes_no_record(run, monkeypatch, trained):
    steps, tried = [], []
    step = torch.optim.SGD.step
    execute = dry_run_file.execute

    def counted(self, *args, **named):
        steps.append(1)
        return step(self, *args, **named)

    def spy(run, task, weights):
        tried.append((run, len(task.train)))
        return execute(run, task, weights)

    monkeypatch.setattr(torch.optim.SGD, "step", counted)
    monkeypatch.setattr(dry_run_file, "execute", spy)
    monkeypatch.setenv("TLKIT_DRY_RUN", "1")
    arms = {"long": replace(run, epochs=500), "frozen": replace(run, frozen="all", epochs=50)}
    plan = sweep(arms, seeds=range(5))
    assert list(plan.columns) == [
        "arm",
        "parameters",
        "trainable",
        "train_loss",
        "val_accuracy",
        "seconds",
        "hours",
    ]
    assert plan["arm"].tolist() == list(arms)
    assert len(steps) == 4 and [size for _, size in tried] == [16, 16]
    assert plan["trainable"][1] < plan["trainable"][0] == plan["parameters"][0]
    assert np.isfinite(plan["train_loss"]).all() and (plan["hours"] >= 0).all()
    assert trained == [] and stored() == []


def test_a_dry_run_has_the_coordinates_too(run, monkeypatch):
    monkeypatch.setenv("TLKIT_DRY_RUN", "1")
    arms = {("insects", 1): run, ("insects", "1"): replace(run, frozen="all")}  # of one label
    plan = sweep(arms, names=("target", "scheme"))
    assert list(plan.columns[:3]) == ["arm", "target", "scheme"]
    assert plan[["target", "scheme"]].values.tolist() == [["insects", 1], ["insects", "1"]]
    assert plan["trainable"][1] < plan["trainable"][0]


@pytest.mark.parametrize(
    "changes",
    [
        {"mixup": 0.4},
        {"label_smoothing": 0.1},
        {"augmentation": "randaugment"},
        {"normalisation": "images"},
        {"schedule": "step", "lr_scales": ((2, 0.1),)},
        {"penalty": l2_sp(0.1, fisher="target") + l2(0.01)},
        {"penalty": l2_sp(0.1, fisher="as coded") + l2(0.01)},
    ],
)
def test_a_dry_run_of_images_that_are_not_of_every_class(run, changes, monkeypatch):
    monkeypatch.setenv("TLKIT_DRY_RUN", "1")
    few = replace(run, init=replace(run, epochs=9), batch_size=4)
    assert set(load(few).trial(8).train.labels.tolist()) == {0, 1}  # of three classes
    plan = sweep({"a": replace(few, **changes)})
    assert np.isfinite(plan["train_loss"]).all()


def test_a_dry_run_of_a_chain_tries_all_of_it_and_writes_no_record(run, monkeypatch, trained):
    monkeypatch.setenv("TLKIT_DRY_RUN", "1")
    source = replace(run, init=replace(run, seed=4, epochs=300), epochs=300)
    plan = sweep({"target": replace(run, init=source)})
    assert len(plan) == 1 and trained == [] and stored() == []
    with pytest.raises(UnknownName, match="'blok1'"):
        sweep({"target": replace(run, init=replace(source, frozen="blok1"))})


def test_a_dry_run_trains_a_shared_source_once(run, monkeypatch):
    """Arms that start from the same run, one of them by way of another, share its two steps."""
    monkeypatch.setenv("TLKIT_DRY_RUN", "1")
    tried, execute = [], dry_run_file.execute

    def spy(run, task, weights):
        tried.append(run)
        return execute(run, task, weights)

    monkeypatch.setattr(dry_run_file, "execute", spy)
    source = replace(run, epochs=3, lr=0.05)
    middle = replace(run, epochs=3, lr=0.04, init=source)
    arms = {
        "one": replace(run, epochs=3, init=source),
        "two": replace(run, epochs=3, init=source, frozen=1),
        "three": replace(run, epochs=3, init=middle),
        "source": source,
    }
    plan = sweep(arms, seeds=range(3))
    assert plan["arm"].tolist() == list(arms)
    assert [(each.lr, each.frozen) for each in tried[:3]] == [
        (0.05, "none"),
        (0.01, "none"),
        (0.01, 1),
    ]
    as_source = [each for each in tried if each.lr == 0.05]
    assert len(as_source) == 2  # for the three that start from it, and as an arm
    assert len(tried) == 1 + 1 + 4 and stored() == []


# worker processes


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_jobs_in_parallel_answer_in_their_order_and_raise(jobs, monkeypatch):
    monkeypatch.setenv("TLKIT_JOBS", jobs)
    jobs = [(number, 4) for number in range(9)]
    assert in_parallel(divmod, jobs, "divisions") == [divmod(*each) for each in jobs]
    with pytest.raises(ZeroDivisionError):
        in_parallel(divmod, [(1, 1), (1, 0)], "divisions")


def test_two_workers_give_bit_for_bit_what_one_gives(run, tmp_path, monkeypatch, trained, workers):
    source = replace(run, lr=0.05)
    arms = {
        "plain": run,
        "target": replace(run, init=source, frozen=1, augmentation="colour"),
        "mixed": replace(
            run,
            augmentation="randaugment",
            mixup=0.4,
            penalty=l2(0.1),
            lr_scales=((2, 0.1),),
            schedule="step",
            epochs=2,
        ),
    }
    here = sweep(arms, seeds=range(2))
    ours = logits(here)
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "of_two"))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    del trained[:]
    there = sweep(arms, seeds=range(2))
    assert trained == []  # the workers have trained them all
    assert len(stored()) == 10  # eight records, weights of two
    assert here.drop(columns="seconds").equals(there.drop(columns="seconds"))
    assert all(np.array_equal(one, two) for one, two in zip(ours, logits(there)))


def test_workers_follow_when_the_home_changes(run, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for name in ("first", "second"):
        monkeypatch.setenv("TLKIT_HOME", str(tmp_path / name))
        table = sweep({"a": run}, seeds=range(2))
        assert sorted(table["key"]) == stored()
        assert scores(table, "a").shape == (2, 9)
