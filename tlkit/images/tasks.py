"""A task by name: labelled images to train on, to choose by, and to test on once."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tlkit.ground.names import check_name
from tlkit.images.pools import Pool, look_again, pool
from tlkit.recipe import Run


@dataclass(frozen=True)
class Split:
    """Some images of a pool, by their places in it."""

    pool: np.ndarray  # uint8 [N, 3, size, size]
    places: np.ndarray  # int64 [n]
    labels: torch.Tensor  # int64 [n]

    def __len__(self) -> int:
        return len(self.places)

    def first(self, n: int) -> "Split":
        """Return the first `n` images."""
        return Split(self.pool, self.places[:n], self.labels[:n])

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the images in the rows int64 [m]: uint8 [m, 3, size, size]."""
        return torch.from_numpy(self.pool[self.places[rows.numpy()]])


@dataclass(frozen=True)
class Task:
    """What one run sees. `val` is carved from the training images; `test` is used once."""

    name: str  # without the folders above it
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split

    def trial(self, n: int) -> "Task":
        """Return the task with `n` training images and a few others, to try a run out."""
        train, val, test = self.train.first(n), self.val.first(8), self.test.first(8)
        return replace(self, train=train, val=val, test=test)


def load(run: Run) -> Task:
    """Return the images that `run` sees: its task at its size, chosen by its seed.

    A task is a drawn world (`drawing.WORLDS`; synthetic), a small real set inside a package
    (`bundled.SETS`), a public set (`public.SETS`), a folder of class folders, or the name of one
    under `data/images/`. A list in brackets selects classes ("drawn8[cat,dog]"); `other` is all
    the rest as one class ("drawn8[person,other]"). Counts are per class of the data set, before
    any merging, so natural shares are preserved.

    Raises `UnknownName` for an unknown task or class, `BadImageFolder` for a folder that cannot
    be trusted, ValueError when a class has too few images.
    """
    look_again()
    name, selected = parse(run.task)
    source = pool(name, run.size)
    new_labels = _merge(source.classes, selected)
    parts = [_split(source, int(label), run) for label in np.flatnonzero(new_labels >= 0)]
    places = [np.concatenate(of_classes) for of_classes in zip(*parts)]
    splits = [
        Split(source.images, rows, torch.from_numpy(new_labels[source.labels[rows]]))
        for rows in places
    ]
    return Task(Path(run.task).name, selected or source.classes, *splits)


def _split(source: Pool, label: int, run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places of the images of one class for training, validation and test."""
    train, val, test = (
        np.flatnonzero((source.labels == label) & (source.splits == split))
        for split in ("train", "val", "test")
    )
    train = np.random.default_rng([run.seed, label]).permutation(_half(train, run.half))
    carved = 0 if len(val) else run.val_per_class  # only where the data set has no val
    needed = carved + (1 if run.train_per_class is None else run.train_per_class)
    if needed > len(train):
        raise ValueError(
            f"class {source.classes[label]!r} of {run.task!r} has {len(train)} training images "
            f"(half: {run.half}), but {needed} are needed; lower train_per_class or val_per_class"
        )
    if carved:
        val, train = np.sort(train[:carved]), train[carved:]
    return train[: run.train_per_class], val, test


def _half(places: np.ndarray, half: str) -> np.ndarray:
    """Return one half of the training images of a class, the same for every seed, or both."""
    if half == "both":
        return places
    first, second = np.array_split(np.random.default_rng(2022).permutation(places), 2)
    return np.sort(first if half == "first" else second)


def parse(task: str) -> tuple[str, tuple[str, ...]]:
    """Return name and classes: "drawn8[cat,dog]" -> ("drawn8", ("cat", "dog")); (): all."""
    name, _, inside = task.removesuffix("]").partition("[")
    if not inside or not task.endswith("]"):
        return task, ()
    return name, tuple(part.strip() for part in inside.split(","))


def _merge(classes: tuple[str, ...], selected: tuple[str, ...]) -> np.ndarray:
    """Return the new label of each class of the data set, -1 for a class that is left out."""
    if not selected:
        return np.arange(len(classes))
    for name in selected:
        check_name("class", name, (*classes, "other"))
    if len(set(selected)) < max(2, len(selected)):
        raise ValueError(f"a task needs two or more different classes, not [{','.join(selected)}]")
    rest = selected.index("other") if "other" in selected else -1
    return np.array([selected.index(name) if name in selected else rest for name in classes])
