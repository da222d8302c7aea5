"""A record has everything that decides a result in its key; it is trained once and stored whole."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import Timeout
from helpers import paint, write_record
from PIL import Image
from safetensors.torch import load_file, save_file

from tlkit.experiments import keys, records
from tlkit.experiments.keys import key
from tlkit.experiments.records import complete, initial_weights, read, weights_path
from tlkit.ground.paths import home
from tlkit.images.pools import look_again
from tlkit.images.tasks import load
from tlkit.networks.models import build
from tlkit.networks.modules import modules
from tlkit.recipe import Head, Pull, Run, l2, l2_sp
from tlkit.training.loop import Trained

FOREIGN = """
import sys, time
from pathlib import Path
from tlkit.experiments import records
from tlkit.recipe import Run
from tlkit.training import loop

stop_in, run, marks = sys.argv[1], eval(sys.argv[2]), Path(sys.argv[3])

def reached():
    (marks / "reached").touch()
    while not (marks / "go").exists():
        time.sleep(0.02)

def epochs(items, what):
    for item in items:
        yield item
        if stop_in == "training":
            reached()

def half(path, data):
    with open(path, "wb") as file:
        file.write(data[:9])
    reached()

loop.progress = epochs
if stop_in == "writing":
    Path.write_bytes = half
print(records.complete(run).key)
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))


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


def as_json(run: Run) -> dict:
    return json.loads(json.dumps(vars(run)))


def refuse(*_, **__):
    raise AssertionError("trained a second time")


def stored() -> set[str]:
    """Return the names of all files and folders beside the records, but the locks."""
    paths = (home() / "records").glob("*")
    return {path.name for path in paths if path.suffix != ".lock"}


def full(*_, **__):
    raise OSError(28, "No space left on device")


# keys


def test_every_field_changes_the_key(run, tmp_path):
    others = {
        "task": str(paint(tmp_path / "others", seed=1)),
        "model": "test_vit",
        "init": replace(run, seed=9),
        "transferred": 1,
        "frozen": 1,
        "frozen_bn": "drift",
        "size": 33,
        "train_per_class": 5,
        "val_per_class": 1,
        "augmentation": "crop",
        "epochs": 2,
        "batch_size": 9,
        "optimizer": "adamw",
        "lr": 0.02,
        "weight_decay": 1e-3,
        "val_every": 1,
        "seed": 1,
        "half": "first",
        "normalisation": "half",
        "mixup": 0.4,
        "label_smoothing": 0.1,
        "lr_scales": ((2, 0.1),),
        "schedule": "step",
        "penalty": l2(0.1),
        "head": Head(),
    }
    assert set(others) == {field.name for field in fields(Run)}, "a field without a test"
    keys = [key(run)] + [key(replace(run, **{name: value})) for name, value in others.items()]
    assert len(set(keys)) == len(keys)
    assert key(replace(run)) == keys[0]


def test_the_classes_of_a_task_and_their_order_change_the_key(run):
    tasks = ["", "[ant,bee]", "[bee,ant]", "[ant,other]", "[ant,bee,cat]"]
    assert len({key(replace(run, task=f"{run.task}{classes}")) for classes in tasks}) == len(tasks)


def test_every_part_of_a_penalty_changes_the_key(run):
    pulls = [
        (),
        l2(0.1),
        l2(0.2),
        l2_sp(0.1),
        l2(0.1, until=2),
        l2(0.1, until="transferred"),
        l2(0.1, parameters="all"),
        l2_sp(0.1, fisher="target"),
        l2_sp(0.1, fisher="as coded"),
        l2(0.1, until=2) + l2(0.1),
        l2(0.1, until=2) + l2_sp(0.1),
        l2_sp(0.1, until=2) + l2(0.1),
    ]
    assert len({key(replace(run, penalty=each, weight_decay=0)) for each in pulls}) == len(pulls)


def test_the_order_and_each_of_the_scales_change_the_key(run):
    scales = [
        (),
        ((2, 0.1),),
        ((3, 0.1),),
        ((2, 0.2),),
        (("conv1", 0.1),),
        ((1, 0.1), (2, 0.1)),
        ((1, 0.1), (2, 0.2)),
        ((1, 0.2), (2, 0.1)),
    ]
    assert len({key(replace(run, lr_scales=each)) for each in scales}) == len(scales)


def test_the_weight_decay_that_none_stands_for_is_in_the_key(run):
    assert key(replace(run, weight_decay=None)) == key(replace(run, weight_decay=1e-4))
    both = [replace(run, penalty=l2(0.1), weight_decay=decay) for decay in (None, 0, 1e-4)]
    assert key(both[0]) == key(both[1]) != key(both[2])


def test_the_fisher_information_of_the_source_is_part_of_the_key(run, tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "FISHER", tmp_path / "fisher.safetensors")
    different = set()
    for value in range(2):
        save_file({"weight": torch.full((3,), float(value))}, keys.FISHER)
        for which in ("source", "target"):
            different.add(key(replace(run, penalty=l2_sp(0.1, fisher=which))))
    assert len(different) == 3  # the target's does not depend on it


@pytest.mark.parametrize(
    "one, two",
    [
        ({"lr": 1}, {"lr": 1.0}),
        ({"weight_decay": 0}, {"weight_decay": 0.0}),
        ({"mixup": 0}, {"mixup": 0.0}),
        ({"label_smoothing": 0}, {"label_smoothing": 0.0}),
        ({"lr_scales": ((2, 1),)}, {"lr_scales": ((2, 1.0),)}),
        ({"penalty": l2(1)}, {"penalty": l2(1.0)}),
    ],
)
def test_equal_runs_have_equal_keys(run, one, two):
    one, two = replace(run, **one), replace(run, **two)
    assert one == two and key(one) == key(two)


def test_where_the_images_lie_does_not_change_the_key_but_what_they_show_does(run, tmp_path):
    copy = shutil.copytree(run.task, tmp_path / "elsewhere")
    moved = replace(run, task=str(copy))
    assert key(moved) == key(run)
    file = copy / "bee/07.png"
    pixels = np.asarray(Image.open(file)).copy()
    pixels[3, 4, 1] ^= 1
    Image.fromarray(pixels).save(file)
    look_again()
    assert key(moved) != key(run)


def test_where_init_weights_lie_does_not_change_the_key_but_what_is_in_them_does(run, tmp_path):
    one, two, other = (str(tmp_path / f"{name}.safetensors") for name in ("one", "two", "other"))
    save_file({"weight": torch.zeros(3)}, one)
    save_file({"weight": torch.zeros(3)}, two)
    save_file({"weight": torch.ones(3)}, other)
    keys = [key(replace(run, init=path)) for path in (one, two, other)]
    assert keys[0] == keys[1] != keys[2]
    assert key(run) not in keys


def test_every_field_of_an_init_run_is_part_of_the_key(run):
    source = replace(run, seed=4)
    targets = [
        replace(run, init=source),
        replace(run, init=replace(source, lr=0.5)),
        replace(run, init=replace(source, init=replace(source, epochs=3))),
    ]
    assert len({key(target) for target in targets}) == 3
    assert key(replace(run, init=replace(run, seed=4))) == key(targets[0])


def test_the_deciding_code_is_part_of_the_key(run, monkeypatch):
    before = key(run)
    monkeypatch.setattr(keys, "CODE", "another")
    assert key(run) != before


# what a record holds


def test_trained_once_and_the_same_in_any_home(run, tmp_path, monkeypatch):
    first = complete(run)
    logits, _ = first.test_outputs()
    with monkeypatch.context() as patch:
        patch.setattr(records, "execute", refuse)
        assert complete(run) == first == read(key(run))
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "another"))
    again = complete(run)
    assert again.key == first.key and again.history == first.history
    assert np.array_equal(again.test_outputs()[0], logits)


def test_outputs_are_in_the_order_of_the_test_split_and_give_the_accuracy(run):
    record = complete(run, keep_weights=True)
    logits, labels = record.test_outputs()
    test = load(run).test
    assert labels.dtype == np.int64 and np.array_equal(labels, test.labels.numpy())
    assert record.accuracy == np.mean([row.argmax() == label for row, label in zip(logits, labels)])

    model = build(run.model, 3).double().eval()  # the stored weights give the stored outputs
    weights = load_file(weights_path(record.key))
    model.load_state_dict(
        {
            name: value.double() if value.is_floating_point() else value
            for name, value in weights.items()
        }
    )
    mean, std = (torch.tensor(model.pretrained_cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
    pixels = torch.from_numpy(test.pool[test.places]).double()
    with torch.no_grad():
        expected = model((pixels / 255 - mean) / std)
    assert logits.dtype == np.float32 and logits.shape == (9, 3)
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_record_says_what_it_is(run):
    run = replace(run, epochs=3, frozen="all", val_every=2)
    record = complete(run)
    body = sum(p.numel() for p in build(run.model, 3).parameters())
    assert record.recipe == as_json(run)
    assert record.classes == ["ant", "bee", "cat"]
    assert [epoch["epoch"] for epoch in record.history] == [1, 2, 3]
    assert ["val_accuracy" in epoch for epoch in record.history] == [False, True, True]
    assert record.val_accuracy == record.history[-1]["val_accuracy"]
    head = build(run.model, 3).get_classifier()
    assert record.trainable == sum(p.numel() for p in head.parameters())
    assert record.parameters == body and record.seconds > 0
    assert {"python", "torch", "timm", "device"} <= set(record.environment)


@pytest.mark.parametrize("val_every, validated", [(0, [5]), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5])])
def test_which_validation_images_were_right_is_what_the_history_says(run, val_every, validated):
    run = replace(run, epochs=5, val_every=val_every, lr=0.1)
    record = complete(run, keep_weights=True)
    history = {e["epoch"]: e["val_accuracy"] for e in record.history if "val_accuracy" in e}
    correct = record.val_correct()
    assert correct.dtype == bool and correct.shape == (len(validated), 6)  # 2 of each class
    assert list(history) == validated
    assert list(correct.mean(1)) == pytest.approx(list(history.values()))
    assert correct[-1].mean() == pytest.approx(record.val_accuracy)

    val = load(run).val  # and in its order: the stored weights give the last row
    model = build(run.model, 3).eval()
    model.load_state_dict(load_file(weights_path(record.key)))
    mean, std = (torch.tensor(model.pretrained_cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        answers = model((val.images(torch.arange(6)) / 255 - mean) / std).argmax(1)
    assert np.array_equal(correct[-1], (answers == val.labels).numpy())


def test_a_nested_recipe_is_in_the_record(run):
    target = replace(run, init=replace(run, seed=3), lr=0.02)
    assert complete(target).recipe["init"] == as_json(replace(run, seed=3))


def test_penalties_and_scales_are_in_the_record(run):
    run = replace(run, penalty=l2(0.1, until=2) + l2(0.2), lr_scales=((2, 0.1), ("layer3", 0.5)))
    record = complete(run)
    assert record.recipe["lr_scales"] == [[2, 0.1], ["layer3", 0.5]]
    assert [Pull(**pull) for pull in record.recipe["penalty"]] == list(run.penalty)
    assert record.history[-1]["penalty"] > 0


def test_the_path_of_the_task_does_not_matter_to_the_record(run, tmp_path, monkeypatch):
    record = complete(run)
    copy = shutil.copytree(run.task, tmp_path / "elsewhere")
    monkeypatch.setattr(records, "execute", refuse)
    assert complete(replace(run, task=str(copy))) == record


# weights, and runs that start from runs


def test_weights_are_stored_only_on_request(run):
    complete(run)
    assert not weights_path(key(run)).exists() and read(key(run), with_weights=True) is None
    record = complete(run, keep_weights=True)  # trained again, alike
    assert record == read(key(run), with_weights=True)
    assert set(load_file(weights_path(record.key))) == set(build(run.model, 3).state_dict())


def test_adding_weights_to_a_record_leaves_the_record_alone(run):
    before = complete(run)
    assert complete(run, keep_weights=True) == before


def test_a_target_starts_from_the_weights_of_its_init_run(run, monkeypatch):
    source, calls = replace(run, seed=5), []
    execute = records.execute

    def spy(run, task, weights):
        calls.append((run, weights))
        return execute(run, task, weights)

    monkeypatch.setattr(records, "execute", spy)
    target = replace(run, task=f"{run.task}[cat,other]", init=source, frozen="all")
    complete(target, keep_weights=True)
    assert [run for run, _ in calls] == [source, target] and calls[0][1] is None
    left = load_file(weights_path(key(source)))
    assert calls[1][1].keys() == left.keys()
    assert all(torch.equal(calls[1][1][name], left[name]) for name in left)

    end = load_file(weights_path(key(target)))  # and a frozen body is still that of the source
    body = modules(build(run.model, 2)).first("all")
    assert len(body) > 5 and all(torch.equal(end[name], left[name]) for name in body)
    heads = set(end) - set(body)
    assert heads and all(end[name].shape != left[name].shape for name in heads)


def test_initial_weights_of_random_and_of_a_file(run, tmp_path):
    assert initial_weights(run) is None
    path = str(tmp_path / "some.safetensors")
    save_file({"weight": torch.arange(3.0)}, path)
    assert initial_weights(replace(run, init=path))["weight"].tolist() == [0, 1, 2]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        initial_weights(replace(run, init="nowhere.pth"))


# faults


def test_a_full_disk_while_outputs_are_written(run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=f"No space left.*{key(run)} in .*records.*TLKIT_HOME"):
            complete(run)
    assert stored() == set() and read(key(run)) is None
    assert complete(run).key == key(run)


def test_a_full_disk_while_weights_are_written(run, monkeypatch):
    def half(path, data):
        path.write_text("half a file")
        full()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match="No space left"):
            complete(run, keep_weights=True)
    assert stored() == set() and read(key(run)) is None
    complete(run, keep_weights=True)
    assert load_file(weights_path(key(run)))


def test_an_error_in_training_leaves_nothing(run):
    with pytest.raises(ValueError):
        complete(replace(run, frozen=1000))
    assert stored() == set()


def start_foreign(stop_in: str, run: Run, marks: Path) -> subprocess.Popen:
    """Start a process that completes `run`; it stops in the middle until `marks/go` is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", FOREIGN, stop_in, repr(run), str(marks)],
        stdout=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 100
    while not (marks / "reached").exists() and time.monotonic() < end:
        assert process.poll() is None, "the other process failed"
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("stop_in", ["training", "writing"])
@pytest.mark.skipif(os.name == "nt", reason="kills with a signal")
def test_a_killed_process_does_no_harm(run, tmp_path, stop_in):
    run = replace(run, epochs=2)
    process = start_foreign(stop_in, run, tmp_path)
    try:
        assert read(key(run)) is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert read(key(run)) is None and key(run) not in stored()
    record = complete(run, timeout=0)  # the lock has died with its holder
    assert record == read(key(run)) and len(record.history) == 2
    assert len(record.test_outputs()[0]) == 9


def test_two_processes_train_a_run_once(run, tmp_path, monkeypatch):
    process = start_foreign("training", run, tmp_path)
    monkeypatch.setattr(records, "execute", refuse)  # the other process is training it
    try:
        with pytest.raises(Timeout):
            complete(run, timeout=0)
        Timer(0.3, (tmp_path / "go").touch).start()
        record = complete(run)
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0 and printed.split() == [record.key] == [key(run)]
    assert record == complete(run, timeout=0) == read(key(run))


# damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    """Change one bit in the middle, and leave size and time as they were."""
    data, state = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def change(path: Path, **values: object) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | values))


FILES = ("record.json", "test.npz", "val.npy")
WAYS = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "flip": flip,
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "gone": Path.unlink,
    "text": lambda path: path.write_text("[1, 2]"),
}
DAMAGES = {f"{way} {name}": (name, do) for name in FILES for way, do in WAYS.items()} | {
    "another layout": ("record.json", lambda path: change(path, layout=1)),
    "another accuracy": ("record.json", lambda path: change(path, accuracy=0.999)),
    "a file in place of the folder": (".", lambda path: (shutil.rmtree(path), path.touch())),
    "an empty folder": (".", lambda path: (shutil.rmtree(path), path.mkdir())),
}


@pytest.fixture
def small(run) -> Run:
    """A run whose record is written, but was never trained."""
    write_record(key(run), torch.eye(3).repeat(4, 1), torch.arange(12) % 3)
    return run


@pytest.mark.parametrize("name, damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_set_aside_with_one_warning_and_counts_as_missing(small, name, damage):
    place = records.record_path(key(small))
    records._file_digest.cache_clear()  # as in a new process
    damage(place / name)
    with pytest.warns(UserWarning) as warned:
        assert read(key(small)) is None
    (message,) = (str(each.message) for each in warned)
    (aside,) = place.parent.glob("*.damaged-*")
    assert str(place) in message and "delete" in message and aside.name in message
    assert read(key(small)) is None and not place.exists()


def test_a_damaged_record_is_trained_again_alike(run):
    before = complete(run)
    (records.record_path(before.key) / "record.json").write_text("")
    with pytest.warns(UserWarning, match="damaged"):
        after = complete(run)
    assert replace(after, seconds=before.seconds) == before


def test_a_missing_record_is_no_damage(run, recwarn):
    assert read(key(run)) is None
    assert not [each for each in recwarn if "damaged" in str(each.message)]


@pytest.mark.parametrize("damage", [WAYS[way] for way in ("empty", "cut", "flip", "zeros")])
def test_damaged_weights_of_a_source_are_never_used(run, damage):
    target = replace(run, init=run, lr=0.02)
    before = initial_weights(target)
    damage(weights_path(key(run)))
    with pytest.warns(UserWarning, match=rf"{key(run)}\.safetensors.*damaged"):
        again = initial_weights(target)
    assert all(torch.equal(again[name], before[name]) for name in before)
    assert len(list(weights_path("").parent.glob("*.safetensors.damaged-*"))) == 1


def test_damaged_weights_that_stay_damaged_are_an_error_and_no_loop(run, monkeypatch):
    target = replace(run, init=run)
    initial_weights(target)
    weights_path(key(run)).write_bytes(b"x")
    monkeypatch.setattr(records, "set_aside", lambda *_: None)
    with pytest.raises(Exception, match="Expecting value"):
        initial_weights(target)


def test_a_diverged_run_says_so_in_its_record(run):
    logits = torch.eye(3)
    trained = SimpleNamespace(
        **vars(Trained([{"val_accuracy": 0.5}], logits, logits, torch.arange(3), {}, 1, 1, 0.1))
    )
    trained.diverged = True
    records.write(key(run), run, ("a", "b", "c"), trained)
    assert read(key(run)).diverged is True


# stores that others own


@pytest.fixture
def as_nobody():
    """Access rights bind: root may write everywhere, so that the tests become another user."""
    if os.name == "nt":
        pytest.skip("no access rights")
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_a_stored_run_needs_no_lock(small, monkeypatch):
    monkeypatch.setattr(records, "locked", refuse)
    assert complete(small).key == key(small)


def test_a_read_only_store_can_be_read_and_writing_names_folder_and_remedy(
    small, monkeypatch, request
):
    other = replace(small, seed=8)
    load(other)
    folder = home() / "records"
    for path in (home(), *home().rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in home().parents:
        if os.access(path, os.W_OK) and path.stat().st_uid == os.geteuid() and len(path.parts) > 2:
            path.chmod(path.stat().st_mode | 0o055)
    keys_of = {run: key(run) for run in (small, other)}
    monkeypatch.setattr(records, "key", keys_of.get)  # the images are not the matter here
    request.getfixturevalue("as_nobody")
    assert complete(small).key == keys_of[small]
    with pytest.raises(PermissionError, match=f"in {folder}; .*TLKIT_HOME"):
        complete(other)
