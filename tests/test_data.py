"""Tasks and pools: the right images in the right split, decoded once, never half-stored."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tlkit import drawing
from tlkit.ground.names import UnknownName
from tlkit.ground.paths import home
from tlkit.images import pools, tasks
from tlkit.images.folders import BadImageFolder
from tlkit.images.pools import pool
from tlkit.recipe import Run

CLASSES = ("ant", "bee", "cat")
EACH = 12  # images per class: 3 for the test, 9 to train and choose on


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))


def paint(folder: Path, classes: dict[str, int], seed: int = 0) -> Path:
    """`folder/class/number.png`, all different noise."""
    random = np.random.default_rng(seed)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            noise = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture
def folder(tmp_path) -> str:
    return str(paint(tmp_path / "insects", dict.fromkeys(CLASSES, EACH)))


@pytest.fixture
def official(tmp_path) -> Path:
    for seed, (split, count) in enumerate({"train": 7, "test": 4, "val": 3}.items()):
        paint(tmp_path / "split" / split, dict.fromkeys(CLASSES, count), seed)
    return tmp_path / "split"


def images(split) -> set[bytes]:
    """The images of a split, by their bytes."""
    return {image.numpy().tobytes() for image in split.images(torch.arange(len(split)))}


def originals(folder: Path | str, name: str = "**") -> set[bytes]:
    """The images of the files below a folder, read by Pillow alone; 32 px, so never resized."""
    return {
        np.asarray(Image.open(file)).transpose(2, 0, 1).tobytes()
        for file in Path(folder).glob(f"{name}/*.png")
    }


def counts(split) -> dict[int, int]:
    return dict(Counter(split.labels.tolist()))


def refuse(*_, **__):
    raise AssertionError("called a second time")


def load(task: str, size: int, train_per_class: int | None, val_per_class: int, seed: int):
    return tasks.load(
        Run(
            task=task,
            size=size,
            train_per_class=train_per_class,
            val_per_class=val_per_class,
            seed=seed,
        )
    )


# what is in a task


@pytest.mark.parametrize("seed", [0, 7])
def test_splits_are_disjoint_and_all_from_the_folder(folder, seed):
    task = load(folder, 32, None, 2, seed)
    parts = [images(split) for split in (task.train, task.val, task.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 3 * EACH
    assert set.union(*parts) == originals(folder)


def test_counts_per_class(folder):
    task = load(folder, 32, 4, 2, 0)
    assert task.classes == CLASSES
    assert counts(task.train) == {0: 4, 1: 4, 2: 4}
    assert counts(task.val) == {0: 2, 1: 2, 2: 2}
    assert counts(task.test) == {0: 3, 1: 3, 2: 3}  # 30 % of 12


@pytest.mark.parametrize("task", ["{}", "{}[cat,ant]", "{}[bee,other]"])
def test_labels_are_those_of_the_class_folders(folder, task):
    loaded = load(task.format(folder), 32, 4, 2, 0)
    inside = {name: originals(folder, name) for name in CLASSES}
    for split in (loaded.train, loaded.val, loaded.test):
        assert split.labels.dtype == torch.int64
        for row, label in enumerate(split.labels.tolist()):
            image = split.images(torch.tensor([row]))[0].numpy().tobytes()
            name = next(name for name in CLASSES if image in inside[name])
            expected = name if name in loaded.classes else "other"
            assert loaded.classes[label] == expected


def test_images_come_in_the_order_of_the_rows(folder):
    split = load(folder, 32, 4, 2, 0).train
    rows = torch.tensor([5, 0, 5, 11])
    one_by_one = [split.images(rows[place : place + 1]) for place in range(4)]
    assert split.images(rows).dtype == torch.uint8
    assert torch.equal(split.images(rows), torch.cat(one_by_one))


def test_seeds_change_training_images_but_never_the_test_images(folder):
    tasks = [load(folder, 32, 4, 2, seed) for seed in range(4)]
    assert len({frozenset(images(task.train)) for task in tasks}) == 4
    assert len({frozenset(images(task.val)) for task in tasks}) == 4
    for task in tasks:
        assert np.array_equal(task.test.places, tasks[0].test.places)
        assert torch.equal(task.test.labels, tasks[0].test.labels)


def test_the_same_call_gives_the_same_order(folder):
    first, second = (load(folder, 32, 4, 2, 3) for _ in range(2))
    assert np.array_equal(first.train.places, second.train.places)
    assert np.array_equal(first.val.places, second.val.places)


def test_fewer_training_images_are_among_more_and_validation_stays(folder):
    few, more = load(folder, 32, 4, 1, 5), load(folder, 32, 8, 1, 5)
    assert images(few.train) < images(more.train)
    assert images(few.val) == images(more.val)


def test_none_takes_all_that_validation_leaves(folder):
    task = load(folder, 32, None, 2, 0)
    assert counts(task.train) == {0: 7, 1: 7, 2: 7}
    assert counts(task.val) == {0: 2, 1: 2, 2: 2}


def test_another_size_has_the_same_split(folder):
    small, large = load(folder, 16, 4, 2, 1), load(folder, 32, 4, 2, 1)
    for name in ("train", "val", "test"):
        one, two = getattr(small, name), getattr(large, name)
        assert np.array_equal(one.places, two.places) and torch.equal(one.labels, two.labels)
    assert small.train.images(torch.arange(2)).shape == (2, 3, 16, 16)


def test_a_trial_has_n_training_images_and_a_few_others(folder):
    task = load(folder, 32, 4, 2, 0)
    trial = task.trial(7)
    assert torch.equal(trial.train.labels, task.train.labels[:7])
    assert np.array_equal(trial.train.places, task.train.places[:7])
    for few, all_of_them in ((trial.val, task.val), (trial.test, task.test)):
        assert 0 < len(few) <= 8 and set(few.places) <= set(all_of_them.places)


# sub-tasks


def test_a_list_of_classes_leaves_the_others_out(folder):
    whole, part = load(folder, 32, 4, 2, 0), load(f"{folder}[cat,ant]", 32, 4, 2, 0)
    assert part.classes == ("cat", "ant")
    assert counts(part.train) == {0: 4, 1: 4}
    expected = whole.test.places[whole.test.labels != 1]
    assert set(part.test.places) == set(expected)


def test_other_is_all_the_rest_in_its_natural_share(tmp_path):
    uneven = paint(tmp_path / "uneven", {"ant": 20, "bee": 10, "cat": 10, "dog": 10})
    task = load(f"{uneven}[ant, other]", 32, None, 1, 0)  # blanks do no harm
    assert task.classes == ("ant", "other")
    assert counts(task.train) == {0: 13, 1: 3 * 6}
    assert counts(task.val) == {0: 1, 1: 3}
    assert counts(task.test) == {0: 6, 1: 9}
    assert counts(load(f"{uneven}[ant,other]", 32, 4, 1, 0).train) == {0: 4, 1: 12}


def test_other_may_come_first(folder):
    task = load(f"{folder}[other,bee]", 32, 4, 2, 0)
    assert task.classes == ("other", "bee") and counts(task.train) == {0: 8, 1: 4}


@pytest.mark.parametrize("classes", ["cat", "cat,cat", "other"])
def test_fewer_than_two_classes_are_refused(folder, classes):
    with pytest.raises(ValueError, match="two or more"):
        load(f"{folder}[{classes}]", 32, 4, 2, 0)


# halves


def half_of(task: str, half: str, val_per_class: int = 1, seed: int = 0, **changes):
    """All that a half has to train and validate on, unless `changes` say otherwise."""
    return tasks.load(
        Run(
            **{
                "task": task,
                "size": 32,
                "train_per_class": None,
                "val_per_class": val_per_class,
                "seed": seed,
                "half": half,
                **changes,
            }
        )
    )


def seen(task) -> set[int]:
    """Places of the images to train and to validate on."""
    return {*task.train.places, *task.val.places}


@pytest.mark.parametrize("each", [12, 13, 14, 15, 16])
def test_halves_share_nothing_and_together_are_all_training_images(tmp_path, each):
    uneven = str(paint(tmp_path / "uneven", {"ant": each, "bee": 25, "cat": 8}))
    first, second = half_of(uneven, "first"), half_of(uneven, "second")
    both = half_of(uneven, "both")
    assert not seen(first) & seen(second)
    assert seen(first) | seen(second) == seen(both)
    assert not seen(both) & {*both.test.places}
    for label in range(3):  # of each class one half has as many as the other, or one more
        sizes = [counts(half.train)[label] + counts(half.val)[label] for half in (first, second)]
        assert abs(sizes[0] - sizes[1]) <= 1
        assert sum(sizes) == counts(both.train)[label] + counts(both.val)[label]


@pytest.mark.parametrize("half", ["first", "second"])
def test_a_half_is_the_same_for_every_seed_size_and_sub_task(folder, half):
    whole = seen(half_of(folder, half))
    drawn = [half_of(folder, half, seed=seed, train_per_class=2) for seed in range(5)]
    assert all(seen(task) < whole for task in drawn)
    assert len({frozenset(seen(task)) for task in drawn}) > 1  # the seed chooses within it
    assert all(seen(half_of(folder, half, seed=seed)) == whole for seed in range(5))
    assert seen(half_of(folder, half, size=16)) == whole
    assert seen(half_of(folder, half, val_per_class=2)) == whole
    assert seen(half_of(f"{folder}[bee,other]", half)) == whole
    assert seen(half_of(f"{folder}[cat,bee]", half)) < whole


@pytest.mark.parametrize("half", ["first", "second"])
def test_validation_is_of_the_same_half_and_the_test_of_none(folder, half):
    task, both = half_of(folder, half, val_per_class=2), half_of(folder, "both", val_per_class=2)
    assert counts(task.val) == {0: 2, 1: 2, 2: 2}
    assert not {*task.val.places} & {*task.train.places}
    other = half_of(folder, {"first": "second", "second": "first"}[half], val_per_class=0)
    assert not {*task.val.places} & seen(other)
    assert np.array_equal(task.test.places, both.test.places)
    assert torch.equal(task.test.labels, both.test.labels)


def test_halves_are_drawn_not_cut(tmp_path):
    """A folder's order is often that of a camera or a scraper."""
    large = str(paint(tmp_path / "large", {"ant": 60, "bee": 60}))
    first = half_of(large, "first", val_per_class=0)
    both = half_of(large, "both", val_per_class=0)
    for label in range(2):
        order = np.sort(both.train.places[both.train.labels == label])
        ranks = np.searchsorted(order, first.train.places[first.train.labels == label])
        assert 0.3 < ranks.mean() / len(order) < 0.7
        assert {*ranks} != {*range(len(ranks))}


def test_both_halves_are_what_there_is_without_halves(folder):
    run = Run(task=folder, size=32, train_per_class=4, val_per_class=2, seed=3)
    plain, both = tasks.load(run), tasks.load(Run(**(vars(run) | {"half": "both"})))
    for name in ("train", "val", "test"):
        one, two = getattr(plain, name), getattr(both, name)
        assert np.array_equal(one.places, two.places) and torch.equal(one.labels, two.labels)
    bees = np.flatnonzero((pool(folder, 32).labels == 1) & (pool(folder, 32).splits == "train"))
    drawn = np.random.default_rng([3, 1]).permutation(bees)  # of all of them, as ever
    assert np.array_equal(plain.train.places[plain.train.labels == 1], drawn[2:6])


@pytest.mark.parametrize("half", ["first", "second"])
def test_an_official_validation_split_is_not_halved(official, half):
    task = half_of(str(official), half)
    assert images(task.val) == originals(official / "val")
    assert images(task.train) < originals(official / "train")
    assert images(task.test) == originals(official / "test")


@pytest.mark.parametrize("half", ["first", "second"])
def test_too_few_images_of_a_half_name_the_half(folder, half):
    assert len(half_of(folder, half, train_per_class=3).train) == 9  # 9 training images a class
    with pytest.raises(ValueError, match=rf"'ant'.* [45] training images.*\b{half}\b.*\b8 are"):
        half_of(folder, half, train_per_class=7)
    assert half_of(folder, "both", train_per_class=7)


@pytest.mark.parametrize("half", ["frist", "", "First", "third"])
def test_an_unknown_half_is_refused(half):
    with pytest.raises(UnknownName, match=r"half.*(first|both)"):
        Run(half=half)


# refusals


def test_unknown_class_names_the_nearest(folder):
    with pytest.raises(UnknownName, match=r"'cta'.*\bcat\b"):
        load(f"{folder}[cta,bee]", 32, 4, 2, 0)


@pytest.mark.parametrize("name, nearest", [("drawn9", "drawn8"), ("isects", "insects")])
def test_unknown_task_names_the_nearest(tmp_path, name, nearest):
    paint(tmp_path / "home/images/insects", {"ant": 2, "bee": 2})
    with pytest.raises(UnknownName, match=rf"'{name}'.*\b{nearest}\b"):
        load(name, 32, 4, 2, 0)


@pytest.mark.parametrize("task", ["", "[cat,bee]", "drawn8[]"])
def test_a_task_without_a_name_is_refused_clearly(task):
    with pytest.raises(ValueError):
        load(task, 32, 4, 2, 0)


@pytest.mark.parametrize("train, val", [(8, 2), (1, 9), (None, 9)])
def test_too_few_images_name_the_class(tmp_path, train, val):
    uneven = paint(tmp_path / "uneven", {"ant": 40, "bee": EACH, "cat": 40})
    with pytest.raises(ValueError, match=r"'bee'.* 9 training images"):
        load(str(uneven), 32, train, val, 0)


def test_exactly_enough_images_do(folder):
    assert counts(load(folder, 32, 7, 2, 0).train) == {0: 7, 1: 7, 2: 7}


# where the images come from


def test_official_splits_are_honoured(official):
    for seed in range(2):
        task = load(str(official), 32, None, 20, seed)  # val_per_class has no say
        assert images(task.train) == originals(official / "train")
        assert images(task.val) == originals(official / "val")
        assert images(task.test) == originals(official / "test")


def test_without_official_validation_images_it_is_carved_from_training(official):
    shutil.rmtree(official / "val")
    task = load(str(official), 32, None, 2, 0)
    assert counts(task.val) == {0: 2, 1: 2, 2: 2} and counts(task.train) == {0: 5, 1: 5, 2: 5}
    assert images(task.train) | images(task.val) == originals(official / "train")
    assert images(task.test) == originals(official / "test")


def test_too_few_images_of_an_official_training_split(official):
    assert counts(load(str(official), 32, 7, 20, 0).train) == {0: 7, 1: 7, 2: 7}
    with pytest.raises(ValueError, match="'ant'"):
        load(str(official), 32, 8, 20, 0)


def test_a_folder_under_data_images_is_known_by_its_name(tmp_path):
    paint(tmp_path / "home/images/insects", {"ant": 5, "bee": 5})
    assert load("insects", 32, 1, 1, 0).classes == ("ant", "bee")


def test_a_drawn_world(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # no worker processes
    monkeypatch.setitem(pools.DRAWN_PER_CLASS, "drawn8", {"train": 3, "test": 2})
    task = load("drawn8", 32, 2, 1, 0)
    assert task.classes == drawing.WORLDS["drawn8"] and len(task.classes) == 8
    assert counts(task.train) == dict.fromkeys(range(8), 2)
    assert counts(task.val) == dict.fromkeys(range(8), 1)
    for label in range(8):  # the official test split, in its order
        rows = torch.nonzero(task.test.labels == label)[:, 0]
        drawn = drawing.draw("drawn8", label, range(2), 32, "test")
        assert np.array_equal(task.test.images(rows).numpy(), drawn)
    two = load("drawn8[cat,dog]", 32, 2, 1, 0)
    assert two.classes == ("cat", "dog") and len(two.test) == 4

    monkeypatch.setattr(drawing, "draw", refuse)
    assert np.array_equal(load("drawn8", 32, 2, 1, 0).train.places, task.train.places)


def test_another_number_of_drawings_is_drawn_anew(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    for count in (1, 2):
        monkeypatch.setitem(pools.DRAWN_PER_CLASS, "drawn8", {"train": count, "test": 1})
        assert len(pool("drawn8", 32).labels) == 8 * (count + 1)


# the cache


def test_a_second_load_does_not_decode(folder, monkeypatch):
    first = load(folder, 32, 4, 2, 0)
    monkeypatch.setattr(pools, "decode", refuse)
    second = load(folder, 32, 4, 2, 0)
    assert images(first.train) == images(second.train)


@pytest.mark.parametrize("change", ["edit", "add", "delete", "rename"])
def test_a_changed_folder_leads_to_a_new_pool(folder, change):
    before = pool(folder, 32)
    file = Path(folder) / "ant/00.png"
    if change == "edit":
        pixels = np.asarray(Image.open(file)).copy()
        pixels[0, 0] = 255 - pixels[0, 0]
        Image.fromarray(pixels).save(file)
    elif change == "add":
        Image.new("RGB", (32, 32), "red").save(file.with_name("new.png"))
    elif change == "delete":
        file.unlink()
    else:
        file.rename(file.with_name("99.png"))
    pools.look_again()
    after = pool(folder, 32)
    assert after.digest != before.digest
    expected = {"add": 1, "delete": -1}.get(change, 0)
    assert len(after.labels) - len(before.labels) == expected


def test_the_digest_is_of_the_content_not_of_the_place(tmp_path, folder):
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "copy")
    original = pool(folder, 32)
    assert pool(str(copy), 32).digest == original.digest
    assert pool(folder, 16).digest != original.digest

    file = copy / "cat/03.png"
    pixels = np.asarray(Image.open(file)).copy()
    pixels[31, 31, 2] ^= 1  # the lowest bit of one channel of one pixel
    Image.fromarray(pixels).save(file)
    pools.look_again()
    assert pool(str(copy), 32).digest != original.digest


@pytest.mark.parametrize("change", ["class name", "split"])
def test_the_digest_covers_names_and_splits(tmp_path, official, change):
    other = shutil.copytree(official, tmp_path / "other")
    if change == "class name":
        for split in ("train", "val", "test"):
            (other / split / "cat").rename(other / split / "cow")  # still the last
    else:  # the first of val becomes the last of train: the order of the images stays
        (other / "val/cat/00.png").rename(other / "train/cat/zz.png")
    assert pool(str(other), 32).digest != pool(str(official), 32).digest


def test_a_failing_decode_leaves_nothing_and_can_be_repaired(folder):
    file = Path(folder) / "bee/05.png"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadImageFolder, match=r"05\.png"):
        load(folder, 32, 4, 2, 0)
    assert [path.name for path in (home() / "cache").iterdir() if path.is_dir()] == []

    file.write_bytes(whole)
    assert len(load(folder, 32, 4, 2, 0).train) == 12


def test_a_full_disk_leaves_no_pool(folder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OSError):
            pool(folder, 32)
    assert [path.name for path in (home() / "cache").iterdir() if path.is_dir()] == []
    assert len(pool(folder, 32).labels) == 3 * EACH
