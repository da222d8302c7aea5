"""A sweep: one row per arm and seed, every run trained once, by however many workers."""

import json
import os
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from PIL import Image
from safetensors.torch import load_file

import tlkit
from tlkit.experiments import records, sweep
from tlkit.judging import verdicts
from tlkit.images.tasks import load
from tlkit.judging.verdicts import scores
from tlkit.networks.models import build
from tlkit.networks.modules import module_states
from tlkit.ground.names import UnknownName
from tlkit.ground.paths import home
from tlkit.recipe import l2, l2_sp
from tlkit.experiments.keys import key
from tlkit.experiments.records import complete, read, weights_path
from tlkit.recipe import Run, grid
from tlkit.experiments.sweep import sweep


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TLKIT_DRY_RUN", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # no worker processes


@pytest.fixture
def run(tmp_path) -> Run:
    random = np.random.default_rng(0)
    for name in ("ant", "bee", "cat"):
        (tmp_path / "insects" / name).mkdir(parents=True)
        for number in range(12):
            noise = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "insects" / name / f"{number:02}.png")
    return Run(
        task=str(tmp_path / "insects"), model="test_resnet", init="random", size=32,
        train_per_class=6, val_per_class=2, epochs=1, batch_size=8, lr=0.01,
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
    arms = {"plain": run, "pulled": replace(run, penalty=l2(0.1)),
            "both": replace(run, penalty=l2(0.1), weight_decay=0.5)}
    assert sweep(arms, [0])["weight_decay"].tolist() == [1e-4, 0.0, 0.5]


def test_the_packages_names_are_the_functions_whatever_was_imported_before():
    assert tlkit.sweep is sweep and tlkit.verdicts is judging.verdicts


def logits(results) -> list[np.ndarray]:
    return [read(each).test_outputs()[0] for each in results["key"]]


def stored() -> list[str]:
    found = (home() / "records").glob("*")
    return sorted(path.name for path in found if path.suffix != ".lock")


def test_a_row_per_arm_and_seed_with_the_recipe_and_the_record(run):
    arms = grid(run, lr=[0.01, 0.02]) | {"narrow": replace(run, task=f"{run.task}[ant,other]")}
    results = sweep(arms, seeds=[0, 3])
    assert list(zip(results["arm"], results["seed"])) == [(a, s) for a in arms for s in (0, 3)]
    recipe = [field.name for field in fields(Run)]
    measured = ["accuracy", "val_accuracy", "parameters", "trainable", "seconds", "key"]
    assert list(results.columns) == ["arm", *recipe, "classes", *measured]
    assert list(results["classes"]) == [3, 3, 3, 3, 2, 2]
    for row in results.to_dict("records"):
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


def test_five_seeds_unless_told_otherwise(run):
    results = sweep({"a": run})
    assert list(results["seed"]) == [0, 1, 2, 3, 4] and results["key"].nunique() == 5


def test_seeds_may_come_from_numpy(run):
    results = sweep({"a": run}, seeds=np.arange(2))
    assert list(results["seed"]) == [0, 1]
    assert sweep({"a": run}, seeds=range(2))["key"].tolist() == results["key"].tolist()


def test_a_seed_means_the_same_images_order_and_head_in_every_arm(run):
    """Validating more often is another recipe, but takes no part in training."""
    arms = {"rarely": replace(run, epochs=2), "often": replace(run, epochs=2, val_every=1)}
    results = sweep(arms, seeds=range(3))
    assert results["key"].nunique() == 6
    rarely, often = (logits(results[results["arm"] == arm]) for arm in arms)
    assert all(np.array_equal(one, two) for one, two in zip(rarely, often))
    assert not any(np.array_equal(rarely[0], other) for other in rarely[1:])


def test_arms_are_tested_on_the_same_images_by_every_seed(run):
    results = sweep({"a": run, "b": replace(run, lr=0.1)}, seeds=range(2))
    labels = [read(each).test_outputs()[1] for each in results["key"]]
    assert all(np.array_equal(labels[0], each) for each in labels)


def test_identical_arms_are_trained_once_and_are_equal(run, trained):
    results = sweep({"one": run, "two": replace(run)}, seeds=range(2))
    assert trained == [replace(run, seed=0), replace(run, seed=1)]
    one, two = (results[results["arm"] == arm].drop(columns="arm") for arm in ("one", "two"))
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

    def busy(asked, keep_weights, wait):
        calls.append((asked.seed, wait))
        return None if asked.seed == 0 and not wait else real(asked, keep_weights, wait)

    monkeypatch.setattr(sweeping, "complete", busy)
    results = sweep({"a": run}, seeds=range(3))
    assert calls == [(0, False), (1, False), (2, False), (0, True)]
    assert list(results["seed"]) == [0, 1, 2] and results["accuracy"].notna().all()


# runs that start from runs


def test_a_chain_of_init_runs_is_trained_once_from_its_beginning(run, trained):
    def chain(seed):
        first = replace(run, seed=seed)
        second = replace(first, init=first, task=f"{run.task}[ant,other]", frozen="all")
        return first, second, replace(first, init=second, frozen="all")

    _, second, third = chain(7)  # each seed of the sweep has a chain of its own
    results = sweep({"third": third, "second": second}, seeds=range(2))
    assert len(trained) == len(set(trained)) == 2 * 3
    assert set(trained) == {*chain(0), *chain(1)}
    for seed in (0, 1):
        assert sorted(chain(seed), key=trained.index) == list(chain(seed))
    assert len(results) == 4

    first, second, third = chain(0)
    kept = [load_file(weights_path(key(each))) for each in (first, second)]
    body = [name for names in module_states(build(run.model, 3)).values() for name in names]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in body)  # frozen all along
    complete(third, keep_weights=True)
    end = load_file(weights_path(key(third)))
    assert all(torch.equal(kept[0][name], end[name]) for name in body)


def test_an_arm_may_be_the_start_of_another(run, trained):
    results = sweep({"source": run, "target": replace(run, init=run, lr=0.02)}, seeds=[0])
    assert trained == [run, replace(run, init=run, lr=0.02)]
    assert results["init"].tolist() == ["random", run]


def test_what_others_start_from_gets_their_seed_and_is_shared_by_them(run, trained):
    """Whatever seed it was given; the weights it leaves differ from seed to seed."""
    run = replace(run, train_per_class=2)
    source = replace(run, seed=99, half="first", lr=0.05)
    target = replace(run, half="second", init=source)
    results = sweep({"one": target, "two": replace(target, frozen=1)}, seeds=[0, 3])
    sources = [each for each in trained if each.init == "random"]
    assert sources == [replace(source, seed=0), replace(source, seed=3)]
    assert len(trained) == 2 + 4
    for row in results.to_dict("records"):
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


def test_a_mistake_in_one_arm_is_told(run):
    with pytest.raises(UnknownName, match="'blok1'"):
        sweep({"good": run, "bad": replace(run, frozen="blok1")}, seeds=[0])


def test_an_arm_that_is_not_there_names_those_that_are(run):
    results = sweep({"none": run}, seeds=[0])
    with pytest.raises(UnknownName, match="'non'.*none"):
        scores(results, "non")


# trials


def test_a_dry_run_takes_two_steps_of_every_arm_and_writes_no_record(run, monkeypatch, trained):
    steps, tried = [], []
    step = torch.optim.SGD.step
    execute = sweep_file.execute

    def counted(self, *args, **named):
        steps.append(1)
        return step(self, *args, **named)

    def spy(run, task, weights):
        tried.append((run, len(task.train)))
        return execute(run, task, weights)

    monkeypatch.setattr(torch.optim.SGD, "step", counted)
    monkeypatch.setattr(sweeping, "execute", spy)
    monkeypatch.setenv("TLKIT_DRY_RUN", "1")
    arms = {"long": replace(run, epochs=500), "frozen": replace(run, frozen="all", epochs=50)}
    plan = sweep(arms, seeds=range(5))
    assert list(plan.columns) == [
        "arm", "parameters", "trainable", "train_loss", "val_accuracy", "seconds", "hours"
    ]
    assert plan["arm"].tolist() == list(arms)
    assert len(steps) == 4 and [size for _, size in tried] == [16, 16]
    assert plan["trainable"][1] < plan["trainable"][0] == plan["parameters"][0]
    assert np.isfinite(plan["train_loss"]).all() and (plan["hours"] >= 0).all()
    assert trained == [] and stored() == []


@pytest.mark.parametrize("changes", [
    {"mixup": 0.4}, {"label_smoothing": 0.1}, {"augmentation": "randaugment"},
    {"normalisation": "images"}, {"schedule": "step", "lr_scales": ((2, 0.1),)},
    {"penalty": l2_sp(0.1, fisher="target") + l2(0.01)},
    {"penalty": l2_sp(0.1, fisher="as coded") + l2(0.01)},
])
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
    tried, execute = [], sweep_file.execute

    def spy(run, task, weights):
        tried.append(run)
        return execute(run, task, weights)

    monkeypatch.setattr(sweeping, "execute", spy)
    source = replace(run, epochs=3, lr=0.05)
    middle = replace(run, epochs=3, lr=0.04, init=source)
    arms = {"one": replace(run, epochs=3, init=source),
            "two": replace(run, epochs=3, init=source, frozen=1),
            "three": replace(run, epochs=3, init=middle), "source": source}
    plan = sweep(arms, seeds=range(3))
    assert plan["arm"].tolist() == list(arms)
    assert [(each.lr, each.frozen) for each in tried[:3]] == [
        (0.05, "none"), (0.01, "none"), (0.01, 1)
    ]
    as_source = [each for each in tried if each.lr == 0.05]
    assert len(as_source) == 2  # for the three that start from it, and as an arm
    assert len(tried) == 1 + 1 + 4 and stored() == []


# worker processes


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_jobs_in_parallel_answer_in_their_order_and_raise(jobs, monkeypatch):
    monkeypatch.setenv("TLKIT_JOBS", jobs)
    given = [(number, 4) for number in range(9)]
    assert workers.in_parallel(divmod, given, "divisions") == [divmod(*each) for each in given]
    with pytest.raises(ZeroDivisionError):
        workers.in_parallel(divmod, [(1, 1), (1, 0)], "divisions")


def test_two_workers_give_bit_for_bit_what_one_gives(
    run, tmp_path, monkeypatch, trained, workers
):
    source = replace(run, lr=0.05)
    arms = {"plain": run, "target": replace(run, init=source, frozen=1, augmentation="colour"),
            "mixed": replace(run, augmentation="randaugment", mixup=0.4, penalty=l2(0.1),
                             lr_scales=((2, 0.1),), schedule="step", epochs=2)}
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
        results = sweep({"a": run}, seeds=range(2))
        assert sorted(results["key"]) == stored()
        assert scores(results, "a").shape == (2, 9)
