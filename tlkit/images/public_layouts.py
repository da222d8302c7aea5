"""What a public image set is, and how the three kinds of them lie on disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torchvision import datasets

NO_CLASSES = {"BACKGROUND_Google"}  # of Caltech-101
Rows = Iterator[tuple[Path, str, str]]  # file, class and split of each image


@dataclass(frozen=True)
class PublicSet:
    """What is to be found, and where. All that is shown by repr() decides what a pool holds."""

    layout: Callable[["PublicSet", Path], Rows] = field(repr=False)  # one of those below
    torchvision: str  # its class in torchvision.datasets
    folder: str  # below the root
    classes: int
    counts: dict[str, int]  # images of each split
    files: str = field(repr=False)  # needed in `folder`
    source: str = field(repr=False)
    downloads: bool = field(default=True, repr=False)  # by torchvision
    train: str = "train"  # torchvision's name of that split
    test_from: int = 0  # of each class in an order drawn once: where the test begins


def official_splits(wanted: PublicSet, root: Path) -> Rows:
    """The lists that torchvision reads."""
    for split in wanted.counts:
        theirs = wanted.train if split == "train" else split
        dataset = _dataset(wanted, root, split=theirs, download=wanted.downloads)
        names = getattr(dataset, "classes", range(wanted.classes))  # older ones name no flowers
        for file, label in _samples(dataset):
            yield Path(file), str(names[label]), split


def class_folders(wanted: PublicSet, root: Path) -> Rows:
    """All images, one folder a class; `test_from` splits them, the same way for every seed."""
    folder = root / wanted.folder
    if not folder.is_dir():
        _dataset(wanted, root, download=True)
    for inner in sorted(path for path in folder.iterdir() if path.name not in NO_CLASSES):
        files = sorted(inner.glob("*.jpg"))  # some have strays beside them
        order = np.random.default_rng([2022, *inner.name.encode()]).permutation(len(files))
        tested = set(order[wanted.test_from :])
        name = inner.name.rpartition(".")[2]  # "056.dog" is dog
        for place, file in enumerate(files):
            yield file, name, "test" if place in tested else "train"


def partition_lists(wanted: PublicSet, root: Path) -> Rows:
    """The first of the partitions of SUN397: lines such as /a/airfield/indoor/sun_….jpg."""
    folder = root / wanted.folder
    for split, listed in {"train": "Training_01.txt", "test": "Testing_01.txt"}.items():
        for line in (folder / listed).read_text().split():
            yield folder / line.lstrip("/"), line[3:].rpartition("/")[0], split


def _dataset(wanted: PublicSet, root: Path, **options) -> datasets.VisionDataset:
    return getattr(datasets, wanted.torchvision)(root, **options)


def _samples(dataset: datasets.VisionDataset) -> Iterator[tuple[str | Path, int]]:
    """(file, label) of each image; the classes of torchvision keep them under various names."""
    if hasattr(dataset, "_samples"):
        return iter(dataset._samples)
    return zip(getattr(dataset, "_image_files", None) or dataset._images, dataset._labels)
