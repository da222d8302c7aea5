"""A task by name: labelled images to train on, to choose by, and to test on once."""

import re
from dataclasses import dataclass, replace

import numpy as np
import torch

from tlkit.names import check_name
from tlkit.pools import pool


@dataclass(frozen=True)
class Split:
    """Some images of a pool, by their places in it."""

    pool: np.ndarray  # uint8 [N, 3, size, size]
    places: np.ndarray  # int64 [n]
    labels: torch.Tensor  # int64 [n]

    def __len__(self) -> int:
        return len(self.places)

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        """uint8 [m, 3, size, size] of the rows int64 [m]."""
        return torch.from_numpy(self.pool[self.places[rows.numpy()]])


@dataclass(frozen=True)
class Task:
    """What one run sees. `val` is carved from the training images; `test` is used once."""

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split

    def first(self, n: int) -> "Task":
        """The same task with at most `n` images in each split, for a trial."""
        few = {
            name: Split(split.pool, split.places[:n], split.labels[:n])
            for name, split in (("train", self.train), ("val", self.val), ("test", self.test))
        }
        return replace(self, **few)


def load(
    task: str, size: int, train_per_class: int | None, val_per_class: int, seed: int
) -> Task:
    """The task `task` at `size` pixels, with the training images that `seed` chooses.

    `task` is a drawn world ("drawn8", "drawn_source"; synthetic), a folder of class folders, or
    the name of one under `data/images/`. A list in brackets keeps some classes
    ("drawn8[cat,dog]"), with `other` for all the rest as one class ("drawn8[person,other]").
    Counts are per class of the data set, before any merging, so natural shares are kept.

    Raises `UnknownName` for an unknown task or class, `BadImageFolder` for a folder that cannot
    be trusted, ValueError when a class has too few images.
    """
    name, kept = parse(task)
    whole_set = pool(name, size)
    merged, classes = _merge(whole_set.classes, kept)
    places = {"train": [], "val": [], "test": []}
    for label in np.flatnonzero(merged >= 0):
        mine = whole_set.labels == label
        order = np.random.default_rng([seed, label]).permutation
        val = np.flatnonzero(mine & (whole_set.splits == "val"))
        train = order(np.flatnonzero(mine & (whole_set.splits == "train")))
        wanted = train_per_class if train_per_class is not None else 1
        if not len(val):  # no validation split of its own: carve one out
            wanted += val_per_class
            val, train = train[:val_per_class], train[val_per_class:]
        if wanted > len(val) + len(train):
            raise ValueError(
                f"class {whole_set.classes[label]!r} of {task!r} has {len(val) + len(train)} "
                f"training images, {wanted} are asked for; lower train_per_class or val_per_class"
            )
        places["val"].append(np.sort(val))
        places["train"].append(train[:train_per_class])
        places["test"].append(np.flatnonzero(mine & (whole_set.splits == "test")))
    found = {split: np.concatenate(parts) for split, parts in places.items()}
    return Task(task, classes, **{
        split: Split(
            whole_set.images, where, torch.from_numpy(merged[whole_set.labels[where]])
        )
        for split, where in found.items()
    })


def parse(task: str) -> tuple[str, tuple[str, ...]]:
    """"drawn8[cat,dog]" -> ("drawn8", ("cat", "dog")); no brackets: all classes, ()."""
    name, kept = re.fullmatch(r"(.+?)(?:\[(.+)\])?", task).groups()
    return name, tuple(part.strip() for part in kept.split(",")) if kept else ()


def _merge(classes: tuple[str, ...], kept: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """New label of each class of the data set, -1 for one left out; and the new classes."""
    if not kept:
        return np.arange(len(classes)), classes
    for name in kept:
        check_name("class", name, (*classes, "other"))
    if len(set(kept)) < max(2, len(kept)):
        raise ValueError(f"a task needs two or more different classes, not [{','.join(kept)}]")
    rest = kept.index("other") if "other" in kept else -1
    return np.array([kept.index(name) if name in kept else rest for name in classes]), kept
