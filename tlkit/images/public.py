"""Public image sets by name: downloaded where that still works, and counted before use."""

from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
from filelock import FileLock

from tlkit.ground.paths import home
from tlkit.images.folders import ImageFolder, refuse
from tlkit.images.public_layouts import (
    PublicSet,
    class_folders,
    official_splits,
    partition_lists,
)

OXFORD = "https://www.robots.ox.ac.uk/~vgg/data"
# Beside each: the split that the studies used, where they say so, and where ours is another.
SETS = {
    # plested2021's code and vuong2022: train and val, never test; the credits, 20 pixels at the
    # foot of each image, are left in
    "fgvc_aircraft": PublicSet(
        official_splits, "FGVCAircraft", "fgvc-aircraft-2013b", classes=100,
        counts={"train": 3334, "val": 3333, "test": 3333},
        files="data/images/*.jpg, data/variants.txt, data/images_variant_{train,val,test}.txt",
        source=f"{OXFORD}/fgvc-aircraft",
    ),
    # plested2021's code: files 1 … 30 and 31 … 50 of all 257 folders, 257.clutter with them; ours
    # tests on 20 images a class drawn once, and `train_per_class=30` are drawn from the others
    "caltech256": PublicSet(
        class_folders, "Caltech256", "caltech256/256_ObjectCategories", classes=257,
        counts={"train": 25_467, "test": 5_140}, test_from=-20,
        files="001.ak47/*.jpg … 257.clutter/*.jpg",
        source="https://data.caltech.edu/records/nyy15-4j048",
    ),
    # plested2021's code: train and val of partition 1
    "dtd": PublicSet(
        official_splits, "DTD", "dtd/dtd", classes=47,
        counts={"train": 1880, "val": 1880, "test": 1880},
        files="images/*/*.jpg, labels/{train,val,test}1.txt", source=f"{OXFORD}/dtd",
    ),
    # plested2021's code: 10 images a class of train, chosen on 11 a class of test; ours has all
    "stanford_cars": PublicSet(
        official_splits, "StanfordCars", "stanford_cars", classes=196,
        counts={"train": 8144, "test": 8041}, downloads=False,
        files="cars_train/*.jpg, cars_test/*.jpg, devkit/cars_meta.mat, "
        "devkit/cars_train_annos.mat, cars_test_annos_withlabels.mat",
        source="https://github.com/pytorch/vision/issues/7545 says which copies are left",
    ),
    # paddleclas2020 names no split of the following, but for Flowers: train and val
    "oxford_pets": PublicSet(
        official_splits, "OxfordIIITPet", "oxford-iiit-pet", classes=37,
        counts={"train": 3680, "test": 3669}, train="trainval",
        files="images/*.jpg, annotations/{trainval,test}.txt", source=f"{OXFORD}/pets",
    ),
    "flowers102": PublicSet(
        official_splits, "Flowers102", "flowers-102", classes=102,
        counts={"train": 1020, "val": 1020, "test": 6149},
        files="jpg/*.jpg, imagelabels.mat, setid.mat", source=f"{OXFORD}/flowers/102",
    ),
    "food101": PublicSet(
        official_splits, "Food101", "food-101", classes=101,
        counts={"train": 75_750, "test": 25_250},
        files="images/*/*.jpg, meta/{train,test}.json",
        source="http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
    ),
    # Kornblith 2019, whom it follows: partition 1, 50 training and 50 test images a class
    "sun397": PublicSet(
        partition_lists, "SUN397", "SUN397", classes=397,
        counts={"train": 19_850, "test": 19_850}, downloads=False,
        files="a/abbey/*.jpg …, and Training_01.txt, Testing_01.txt of Partitions.zip",
        source="the download is gone (https://github.com/pytorch/vision/issues/9348); "
        "huggingface.co/datasets/tanganke/sun397 written as train/class and test/class is an "
        "image folder, used by its path",
    ),
    # Kornblith 2019: 30 images a class to train on, the rest to test; ours are drawn once
    "caltech101": PublicSet(
        class_folders, "Caltech101", "caltech101/101_ObjectCategories", classes=101,
        counts={"train": 3_030, "test": 5_647}, test_from=30,
        files="accordion/*.jpg … yin_yang/*.jpg",
        source="https://data.caltech.edu/records/mzrjq-6wc02",
    ),
}


def read(name: str) -> tuple[Path, ImageFolder]:
    """The folder of a public set, below `public/` in `home()`, and the images in it.

    Raises `BadImageFolder` unless all are there: what is missing, what to put where, and whence.
    """
    wanted, root = SETS[name], home() / "public"
    folder = root / wanted.folder
    remedy = f"In this folder belong {wanted.files}; source: {wanted.source}"
    if wanted.downloads:
        remedy += ". Or delete it and its archive: then it is downloaded anew"
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{name}.lock"):  # one download, however many ask for it
        try:
            rows = list(wanted.layout(wanted, root))
        except Exception as error:  # no network, a broken archive, a list cut short, …
            told = f"{type(error).__name__}: {error}"
            refuse(folder, (f"{name} could not be had", [told], remedy))
    _check(wanted, rows, folder, remedy)
    classes = sorted({kind for _, kind, _ in rows})
    places = {name: place for place, name in enumerate(classes)}
    labels = np.array([places[kind] for _, kind, _ in rows], dtype=np.int64)
    files = tuple(file.relative_to(folder) for file, _, _ in rows)
    return folder, ImageFolder(tuple(classes), files, labels, tuple(row[2] for row in rows))


def _check(wanted: PublicSet, rows: list, folder: Path, remedy: str) -> None:
    """Refuse a set cut short: lists without their images, or too few images or classes."""
    absent = [file for file, _, _ in rows if not file.is_file()]
    refuse(folder, ("missing images", absent, remedy))
    counts, classes = Counter(split for _, _, split in rows), {kind for _, kind, _ in rows}
    wrong = [
        f"{counts[split]:,} {split} images, not {count:,}"
        for split, count in wanted.counts.items() if counts[split] != count
    ]
    if len(classes) != wanted.classes:
        wrong.append(f"{len(classes)} classes, not {wanted.classes}")
    refuse(folder, ("wrong numbers", wrong, remedy))


def fingerprint(name: str) -> str:
    """Of all that decides which images are in a set, and in which split."""
    return sha256(f"{name}{SETS[name]}".encode()).hexdigest()[:12]
