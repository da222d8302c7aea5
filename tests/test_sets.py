"""Bundled and public image sets: whole, in the right split and class, or refused with reasons."""

import json
import shutil
import urllib.request
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import flowers102

from tlkit.ground.names import UnknownName
from tlkit.ground.paths import SHIPPED, home
from tlkit.images import bundled, public, public_layouts, tasks
from tlkit.images.folders import BadImageFolder
from tlkit.images.pools import pool
from tlkit.recipe import Run

BUNDLED = {  # classes, training and test images
    "digits": (10, 1352, 445),
    "faces": (2, 150, 50),
    "surfaces": (3, 576, 192),
}
PUBLISHED = {  # images in all
    "fgvc_aircraft": 10_000,
    "caltech256": 30_607,
    "dtd": 5_640,
    "stanford_cars": 16_185,
    "oxford_pets": 7_349,
    "flowers102": 8_189,
    "food101": 101_000,
    "sun397": 39_700,
    "caltech101": 8_677,
}


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    def unplugged(*_, **__):
        raise URLError("no network")

    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(urllib.request, "urlopen", unplugged)


# bundled sets


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("size", [8, 40])
def test_a_bundled_set_is_whole(name, size):
    whole = pool(name, size)
    classes, train, test = BUNDLED[name]
    assert whole.images.shape == (train + test, 3, size, size)
    assert whole.images.dtype == np.uint8 and np.ptp(whole.images) > 150
    assert len(whole.classes) == classes and set(whole.labels) == set(range(classes))
    assert Counter(whole.splits) == {"train": train, "test": test}
    assert (whole.images[:, 0] == whole.images[:, 2]).all()  # grey


@pytest.mark.parametrize("name", BUNDLED)
def test_no_bundled_image_is_both_in_train_and_test(name):
    whole = pool(name, 40)
    train, test = (
        {image.tobytes() for image in whole.images[whole.splits == split]}
        for split in ("train", "test")
    )
    assert not train & test
    assert len(train) + len(test) == len(whole.labels)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_are_the_same_at_every_call_and_size(name):
    first, again, large = bundled.read(name, 16), bundled.read(name, 16), bundled.read(name, 24)
    for one, other, bigger in zip(first[1:], again[1:], large[1:]):
        assert np.array_equal(one, other) and np.array_equal(one, bigger)
    assert np.array_equal(first[0], again[0])


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_class_is_tested_on_its_last_quarter(name):
    whole = pool(name, 8)
    for label in range(len(whole.classes)):
        splits = whole.splits[whole.labels == label]
        assert list(splits) == sorted(splits, reverse=True)  # train, then test
        assert (splits == "test").sum() == len(splits) // 4


def test_surfaces_are_cut_from_all_of_the_photographs():
    from skimage.data import grass

    whole = pool("surfaces", bundled.PATCH)  # their own size: nothing is resized
    patches = whole.images[whole.labels == 1][:, 0]
    rows = [np.concatenate(patches[start : start + 16], axis=1) for start in range(0, 256, 16)]
    assert np.array_equal(np.concatenate(rows), grass())


def test_a_bundled_set_is_a_task():
    task = tasks.load(Run(task="digits[3,8]", size=16, train_per_class=5, val_per_class=2))
    assert task.classes == ("3", "8")
    assert (len(task.train), len(task.val), len(task.test)) == (10, 4, 45 + 43)


# public sets: small ones in the layout of the true ones


KINDS, SPLITS = ("707-320", "F/A 18"), ("train", "val", "test")
COUNTS = {"train": 4, "val": 2, "test": 3}  # of each class


def paint(file: Path, kind: int, split: str) -> None:
    """A picture whose red tells the class, and whose green tells the split."""
    file.parent.mkdir(parents=True, exist_ok=True)
    colour = (200 * kind, 100 * SPLITS.index(split), 0)
    Image.new("RGB", (20, 12), colour).save(file, quality=100)


def numbered(splits: Iterable[str]) -> list[tuple[int, int, str]]:
    """(number, class, split) of each picture; the classes take turns."""
    kinds = [(kind, split) for split in splits for _ in range(COUNTS[split]) for kind in (0, 1)]
    return [(number, *rest) for number, rest in enumerate(kinds, start=1)]


def fgvc_aircraft(folder: Path, splits: list[str]) -> None:
    lists = dict.fromkeys(splits, "")
    for number, kind, split in numbered(splits):
        paint(folder / f"data/images/{number:07}.jpg", kind, split)
        lists[split] += f"{number:07} {KINDS[kind]}\n"
    (folder / "data/variants.txt").write_text("\n".join(KINDS))
    for split, lines in lists.items():
        (folder / f"data/images_variant_{split}.txt").write_text(lines)


def dtd(folder: Path, splits: list[str]) -> None:
    lists = dict.fromkeys(splits, "")
    for number, kind, split in numbered(splits):
        name = f"{'ab'[kind]}/{number}.jpg"
        paint(folder / "images" / name, kind, split)
        lists[split] += f"{name}\n"
    (folder / "labels").mkdir()
    for split, lines in lists.items():
        (folder / f"labels/{split}1.txt").write_text(lines)


def stanford_cars(folder: Path, splits: list[str]) -> None:
    (folder / "devkit").mkdir(parents=True)
    savemat(folder / "devkit/cars_meta.mat", {"class_names": np.array(KINDS, dtype=object)})
    lists = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    for split, file in lists.items():
        rows = [
            (f"{number:05}.jpg", kind + 1, kind, part)
            for number, kind, part in numbered(splits)
            if part == split
        ]
        for name, _, kind, part in rows:
            paint(folder / f"cars_{part}" / name, kind, part)
        annotations = [(name, label) for name, label, *_ in rows]
        fields = [("fname", object), ("class", object)]
        savemat(folder / file, {"annotations": np.array(annotations, dtype=fields)})


def oxford_pets(folder: Path, splits: list[str]) -> None:
    lists = {"train": "", "test": ""}
    for number, kind, split in numbered(splits):
        name = f"{('a_cat', 'b_dog')[kind]}_{number}"
        paint(folder / f"images/{name}.jpg", kind, split)
        lists[split] += f"{name} {kind + 1} {kind + 1} 1\n"
    (folder / "annotations").mkdir()
    (folder / "annotations/trainval.txt").write_text(lists["train"])
    (folder / "annotations/test.txt").write_text(lists["test"])


def flowers(folder: Path, splits: list[str]) -> None:
    rows = numbered(splits)
    for number, kind, split in rows:
        paint(folder / f"jpg/image_{number:05}.jpg", kind, split)
    savemat(folder / "imagelabels.mat", {"labels": [kind + 1 for _, kind, _ in rows]})
    names = {"trnid": "train", "valid": "val", "tstid": "test"}
    savemat(
        folder / "setid.mat",
        {
            key: [number for number, _, split in rows if split == part]
            for key, part in names.items()
        },
    )


def food101(folder: Path, splits: list[str]) -> None:
    lists = {split: {"apple_pie": [], "waffles": []} for split in splits}
    for number, kind, split in numbered(splits):
        name = ("apple_pie", "waffles")[kind]
        paint(folder / f"images/{name}/{number}.jpg", kind, split)
        lists[split][name].append(f"{name}/{number}")
    (folder / "meta").mkdir()
    for split, listed in lists.items():
        (folder / f"meta/{split}.json").write_text(json.dumps(listed))


def sun397(folder: Path, splits: list[str]) -> None:
    lists = dict.fromkeys(splits, "")
    for number, kind, split in numbered(splits):
        name = f"/a/{('abbey', 'apse/indoor')[kind]}/sun_{number}.jpg"
        paint(folder / name.strip("/"), kind, split)
        lists[split] += f"{name}\n"
    (folder / "Training_01.txt").write_text(lists["train"])
    (folder / "Testing_01.txt").write_text(lists["test"])


def caltech(folder: Path, splits: list[str]) -> None:
    for number, kind, _ in numbered(splits):
        paint(folder / f"{('001.ak47', '056.dog')[kind]}/{number:04}.jpg", kind, "train")
    (folder / "056.dog/greg").mkdir()  # strays of Caltech-256
    (folder / ".DS_Store").touch()
    (folder / "001.ak47/RENAME2").touch()
    paint(folder / "BACKGROUND_Google/image_0001.jpg", 0, "train")  # of Caltech-101


TREES = {
    "fgvc_aircraft": fgvc_aircraft,
    "dtd": dtd,
    "stanford_cars": stanford_cars,
    "oxford_pets": oxford_pets,
    "flowers102": flowers,
    "food101": food101,
    "sun397": sun397,
    "caltech256": caltech,
    "caltech101": caltech,
}


@pytest.fixture
def tree(monkeypatch):
    """Writes a small set of that name, and has two classes and `COUNTS` of each expected."""

    def plant(name: str) -> Path:
        entry = public.SETS[name]
        splits = [split for split in SPLITS if split in entry.counts]
        test_from = {"caltech256": -3, "caltech101": 4}.get(name, 0)
        monkeypatch.setitem(
            public.SETS,
            name,
            replace(
                entry,
                classes=2,
                counts={split: 2 * COUNTS[split] for split in splits},
                test_from=test_from,
            ),
        )
        folder = home() / "public" / entry.folder
        TREES[name](folder, splits)
        return folder

    monkeypatch.setattr(flowers102, "check_integrity", lambda *_: True)  # of the lists, by md5
    monkeypatch.setattr(flowers102.Flowers102, "classes", ["iris", "rose"], raising=False)
    return plant


def refusal(name: str) -> str:
    with pytest.raises(BadImageFolder) as caught:
        pool(name, 8)
    assert not [path for path in (home() / "cache").iterdir() if path.is_dir()]
    return str(caught.value)


@pytest.mark.parametrize("name", TREES)
def test_a_public_set_is_read_in_its_layout(tree, name):
    tree(name)
    whole = pool(name, 8)
    counts = public.SETS[name].counts
    assert Counter(whole.splits) == counts and whole.images.shape[1:] == (3, 8, 8)
    assert list(whole.classes) == sorted(whole.classes) and len(whole.classes) == 2
    for image, label, split in zip(whole.images, whole.labels, whole.splits):
        red, green, _ = image.mean(axis=(1, 2))
        assert red == pytest.approx(200 * label, abs=4)
        if not name.startswith("caltech"):  # its split is drawn
            assert green == pytest.approx(100 * SPLITS.index(split), abs=4)
    for label in (0, 1):
        mine = Counter(whole.splits[whole.labels == label])
        assert mine == {split: COUNTS[split] for split in counts}


@pytest.mark.parametrize(
    "name, expected",
    [
        ("fgvc_aircraft", KINDS),
        ("stanford_cars", KINDS),
        ("sun397", ("abbey", "apse/indoor")),
        ("caltech256", ("ak47", "dog")),
        ("oxford_pets", ("A Cat", "B Dog")),
    ],
)
def test_public_classes_have_plain_names(tree, name, expected):
    tree(name)
    assert pool(name, 8).classes == expected
    task = f"{name}[{expected[1]},other]"
    assert tasks.load(Run(task=task, size=8, train_per_class=2, val_per_class=1)).classes == (
        expected[1],
        "other",
    )


def test_the_drawn_split_of_a_class_does_not_depend_on_the_other_classes(tree):
    folder = tree("caltech256")
    before = {row[0]: row[2] for row in read_rows("caltech256")}
    shutil.rmtree(folder / "001.ak47")
    after = {row[0]: row[2] for row in read_rows("caltech256")}
    assert after and after.items() <= before.items()
    assert set(after.values()) == {"train", "test"}


def read_rows(name: str) -> list[tuple[Path, str, str]]:
    return list(
        getattr(public_layouts, public.SETS[name].layout)(public.SETS[name], home() / "public")
    )


@pytest.mark.parametrize("name", TREES)
def test_a_missing_set_says_what_to_put_where_and_its_source(name):
    message, entry = refusal(name), public.SETS[name]
    assert str(home() / "public" / entry.folder) in message
    assert entry.files in message and entry.source in message
    assert ("no network" in message) == entry.downloads
    assert ("downloaded anew" in message) == entry.downloads


@pytest.mark.parametrize(
    "name, lost",
    [
        ("fgvc_aircraft", "data/images/0000003.jpg"),
        ("dtd", "images/a/3.jpg"),
        ("stanford_cars", "cars_train/00003.jpg"),
        ("sun397", "a/abbey/sun_3.jpg"),
    ],
)
def test_a_missing_image_is_named(tree, name, lost):
    (tree(name) / lost).unlink()
    message = refusal(name).replace("\\", "/")
    assert f"missing images (1): {lost}" in message and public.SETS[name].files in message


def test_wrong_counts_are_named(tree, monkeypatch):
    folder = tree("dtd")
    (folder / "labels/val1.txt").write_text("a/9.jpg\nb/10.jpg\n")
    assert "2 val images, not 4" in refusal("dtd")
    shutil.rmtree(tree("caltech256") / "056.dog")
    message = refusal("caltech256")
    for part in ("4 train images, not 8", "3 test images, not 6", "1 classes, not 2"):
        assert part in message


def test_a_missing_list_is_named(tree):
    (tree("fgvc_aircraft") / "data/variants.txt").unlink()
    assert "variants.txt" in refusal("fgvc_aircraft")


def test_an_image_cut_short_is_named(tree):
    file = tree("dtd") / "images/b/4.jpg"
    file.write_bytes(file.read_bytes()[:-200])
    assert "images/b/4.jpg" in refusal("dtd").replace("\\", "/")


def test_a_pool_outlives_its_files_but_not_its_contract(tree, monkeypatch):
    folder = tree("dtd")
    first = pool("dtd", 8)
    shutil.rmtree(folder)
    assert pool("dtd", 8).digest == first.digest
    monkeypatch.setitem(public.SETS, "dtd", replace(public.SETS["dtd"], counts={"train": 8}))
    with pytest.raises(BadImageFolder):
        pool("dtd", 8)


# the tables


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table_has_the_published_numbers(name):
    assert sum(public.SETS[name].counts.values()) == PUBLISHED[name]
    assert PUBLISHED.keys() == public.SETS.keys() == TREES.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_true_set_is_as_the_table_says(name, monkeypatch):
    if not (SHIPPED / "public" / public.SETS[name].folder).is_dir():
        pytest.skip("not on this machine")
    monkeypatch.setenv("TLKIT_HOME", str(SHIPPED))
    _, listing = public.read(name)
    assert len(listing.files) == PUBLISHED[name]


@pytest.mark.parametrize(
    "name, nearest",
    [("digit", "digits"), ("fgvc-aircraft", "fgvc_aircraft"), ("caltech_256", "caltech256")],
)
def test_an_unknown_task_names_the_sets(name, nearest):
    with pytest.raises(UnknownName, match=rf"'{name}'.*\b{nearest}\b"):
        pool(name, 8)


@pytest.mark.parametrize("name", ["digits", "drawn8", "dtd"])
def test_a_folder_with_the_name_of_a_set_is_reached_by_its_path_alone(name):
    for kind in (0, 1):
        paint(home() / f"images/{name}/{'ab'[kind]}/0.png", kind, "train")
    with pytest.raises(ValueError, match=rf"'{name}' is a .* set|world.*{home()}/images/{name}"):
        pool(name, 8)
    assert pool(str(home() / "images" / name), 8).classes == ("a", "b")
