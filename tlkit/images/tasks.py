"""A task by name: labelled images to train on, to choose by, and to test on once."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tlkit.ground.names import check_name
from tlkit.images.pools import look_again, pool
from tlkit.recipe import Run


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

    name: str  # without the folders above it
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split

    def trial(self, n: int) -> "Task":
        """The same task with `n` training images and a few others, to try a run out."""
        def head(split: Split, count: int) -> Split:
            return Split(split.pool, split.places[:count], split.labels[:count])

        return replace(
            self, train=head(self.train, n), val=head(self.val, 8), test=head(self.test, 8)
        )


def load(run: Run) -> Task:
    """The images that `run` sees: its task at its size, with the ones that its seed chooses.

    A task is a drawn world (`drawing.WORLDS`; synthetic), a small real set inside a package
    (`bundled.SETS`), a public set (`public.SETS`), a folder of class folders, or the name of one
    under `data/images/`. A list in brackets keeps some classes
    ("drawn8[cat,dog]"), with `other` for all the rest as one class ("drawn8[person,other]").
    Counts are per class of the data set, before any merging, so natural shares are kept.

    Raises `UnknownName` for an unknown task or class, `BadImageFolder` for a folder that cannot
    be trusted, ValueError when a class has too few images.
    """
    look_again()
    name, kept = parse(run.task)
    whole_set = pool(name, run.size)
    merged, classes = _merge(whole_set.classes, kept)
    places = {"train": [], "val": [], "test": []}
    for label in np.flatnonzero(merged >= 0):
        mine = whole_set.labels == label
        order = np.random.default_rng([run.seed, label]).permutation
        val = np.flatnonzero(mine & (whole_set.splits == "val"))
        train = order(_half(np.flatnonzero(mine & (whole_set.splits == "train")), run.half))
        carved = 0 if len(val) else run.val_per_class  # only where the data set has no val
        wanted = carved + (1 if run.train_per_class is None else run.train_per_class)
        if wanted > len(train):
            raise ValueError(
                f"class {whole_set.classes[label]!r} of {run.task!r} has {len(train)} training "
                f"images (half: {run.half}), {wanted} are asked for; lower train_per_class or "
                "val_per_class"
            )
        if carved:
            val, train = train[:carved], train[carved:]
        places["val"].append(np.sort(val))
        places["train"].append(train[: run.train_per_class])
        places["test"].append(np.flatnonzero(mine & (whole_set.splits == "test")))
    found = {split: np.concatenate(parts) for split, parts in places.items()}
    return Task(Path(run.task).name, classes, **{
        split: Split(
            whole_set.images, where, torch.from_numpy(merged[whole_set.labels[where]])
        )
        for split, where in found.items()
    })


def _half(places: np.ndarray, half: str) -> np.ndarray:
    """The first or the second half of the training images of a class, the same for every seed."""
    if half == "both":
        return places
    first, second = np.array_split(np.random.default_rng(2022).permutation(places), 2)
    return np.sort(first if half == "first" else second)


def parse(task: str) -> tuple[str, tuple[str, ...]]:
    """"drawn8[cat,dog]" -> ("drawn8", ("cat", "dog")); no brackets: all classes, ()."""
    name, kept = re.fullmatch(r"(.*?)(?:\[(.+)\])?", task).groups()
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
