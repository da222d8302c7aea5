"""What a public image set is, and the three ways in which its files are arranged."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torchvision import datasets

NO_CLASSES = {"BACKGROUND_Google"}  # of Caltech-101
Row = tuple[Path, str, str]  # file, class and split of an image


@dataclass(frozen=True)
class PublicSet:
    """What a set holds, and where. The fields in its repr() decide what a pool holds."""

    layout: str = field(repr=False)  # the function below that lists its images
    torchvision: str  # its class in torchvision.datasets
    folder: str  # below the root
    classes: int
    counts: dict[str, int]  # images of each split
    files: str = field(repr=False)  # needed in `folder`
    source: str = field(repr=False)
    downloads: bool = field(default=True, repr=False)  # by torchvision
    train: str = "train"  # torchvision's name of that split
    test_from: int = 0  # of each class in an order drawn once: where the test begins


def official_splits(entry: PublicSet, root: Path) -> Iterator[Row]:
    """Read the lists that torchvision reads."""
    for split in entry.counts:
        name = entry.train if split == "train" else split
        dataset = getattr(datasets, entry.torchvision)(root, split=name, download=entry.downloads)
        classes = getattr(dataset, "classes", range(entry.classes))  # older ones name no flowers
        for file, label in _samples(dataset):
            yield Path(file), str(classes[label]), split


def class_folders(entry: PublicSet, root: Path) -> Iterator[Row]:
    """Read one folder a class; `test_from` splits each class, the same way for every seed."""
    folder = root / entry.folder
    if not folder.is_dir():
        getattr(datasets, entry.torchvision)(root, download=True)
    for inner in sorted(path for path in folder.iterdir() if path.name not in NO_CLASSES):
        files = sorted(inner.glob("*.jpg"))  # some have strays beside them
        order = np.random.default_rng([2022, *inner.name.encode()]).permutation(len(files))
        tested = set(order[entry.test_from :])
        name = inner.name.rpartition(".")[2]  # "056.dog" is dog
        for place, file in enumerate(files):
            yield file, name, "test" if place in tested else "train"


def partition_lists(entry: PublicSet, root: Path) -> Iterator[Row]:
    """Read the first partition of SUN397: lines such as /a/airfield/indoor/sun_….jpg."""
    folder = root / entry.folder
    for split, lines in {"train": "Training_01.txt", "test": "Testing_01.txt"}.items():
        for line in (folder / lines).read_text().split():
            yield folder / line.lstrip("/"), line[3:].rpartition("/")[0], split


def _samples(dataset: datasets.VisionDataset) -> Iterator[tuple[str | Path, int]]:
    """Return file and label of each image; torchvision's classes name these differently."""
    if hasattr(dataset, "_samples"):
        return iter(dataset._samples)
    return zip(getattr(dataset, "_image_files", None) or dataset._images, dataset._labels)
