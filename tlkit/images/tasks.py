"""A task by name: labelled images to train on, to choose by, and to test on once."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tlkit.ground.names import unknown
from tlkit.images.pools import Pool, by_label, exists, folder_of, look_again, pool
from tlkit.recipe import Run

FIELD = r'(\s*"(?:[^"]|"")*"\s*|[^\[\],"]*)'  # a class, in quotes or not
LIST = re.compile(rf"\[(?!\]){FIELD}(?:,{FIELD})*\]")


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
    (`bundled.SETS`), a public set (`public.SETS`), the name of a folder of class folders under
    `data/images/`, or the path of any: "./pics", "~/pics", "/data/pics". A list in brackets
    selects classes ("drawn8[cat,dog]"); `other` is all the rest as one class
    ("drawn8[person,other]"). A class whose name has a comma, a bracket, a quote, or blanks at an
    end is written in quotes, with quotes inside it doubled, and so is a class whose name is
    "other": 'pics["a, b","other"]' (`spell` writes such a list). Brackets that belong to the path
    of a folder select nothing. Counts are per class of the data set, before any merging, so
    natural shares are preserved.

    Raises `UnknownName` for an unknown task or class, `BadImageFolder` for a folder that cannot
    be trusted, ValueError when a class has too few images.
    """
    look_again()
    source, selected, new_labels = select(run.task, run.size)
    of_classes = _by_class(source)
    parts = [
        _split(source, int(label), of_classes[label], run)
        for label in np.flatnonzero(new_labels >= 0)
    ]
    places = [np.concatenate(of_part) for of_part in zip(*parts)]
    splits = [
        Split(source.images, rows, torch.from_numpy(new_labels[source.labels[rows]]))
        for rows in places
    ]
    folder, _ = parse(run.task)
    name = os.path.basename(os.path.abspath(folder_of(folder))) + run.task[len(folder) :]
    return Task(name, selected or source.classes, *splits)


def select(task: str, size: int) -> tuple[Pool, tuple[str, ...], np.ndarray]:
    """Return all images of a task, the classes that its list names, and the label of each class.

    The label of a class that is left out is -1. Raises what `load` raises.
    """
    name, fields = _read(task)
    source = pool(name, size)
    return source, tuple(map(_plain, fields)), _merge(task, source.classes, fields)


def _by_class(source: Pool) -> list[list[np.ndarray]]:
    """Return the places of the images of each class for training, validation and test."""
    parts = np.select([source.splits == part for part in ("train", "val", "test")], range(3))
    groups = by_label(source.labels * 3 + parts, 3 * len(source.classes))
    return [groups[start : start + 3] for start in range(0, len(groups), 3)]


def _split(
    source: Pool, label: int, parts: list[np.ndarray], run: Run
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places of the images of one class for training, validation and test."""
    train, val, test = parts
    train = np.random.default_rng([run.seed, label]).permutation(_half(train, run.half))
    carved = 0 if len(val) else run.val_per_class  # only where the data set has no val
    needed = carved + (1 if run.train_per_class is None else run.train_per_class)
    if needed > len(train):
        remedy = "lower train_per_class or val_per_class"
        if len(train) < 2:
            two = [name for name in source.classes if name != source.classes[label]][:2]
            sub_task = spell(parse(run.task)[0], two)
            remedy = "add images to it" + f", or leave it out: {sub_task}" * (len(two) > 1)
        raise ValueError(
            f"class {source.classes[label]!r} of {run.task!r} has {len(train)} training images "
            f"(half: {run.half}), but {needed} are needed; {remedy}"
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
    name, fields = _read(task)
    return name, tuple(map(_plain, fields))


def spell(name: str, classes: Sequence[str]) -> str:
    """Return the task of these classes of a data set, in quotes where `parse` needs them."""
    special = re.compile(r'[\[\],"]|^\s|\s$|^$|^other$')
    texts = [
        '"' + each.replace('"', '""') + '"' if special.search(each) else each for each in classes
    ]
    return f"{name}[{','.join(texts)}]" if texts else name


def _read(task: str) -> tuple[str, list[str]]:
    """Return the name of a data set and its listed classes as they are written.

    The list begins where the longest name of a data set ends, which may have brackets too.
    """
    starts = [place for place, letter in enumerate(task) if letter == "["]
    starts = [start for start in starts if LIST.fullmatch(task, start)]
    if not starts:
        return task, []
    known = [start for start in starts if exists(task[:start])]
    start = max(known, default=starts[0])
    fields = re.findall(rf"(?:\A|,){FIELD}", task[start + 1 : -1])
    if not exists(task):
        return task[:start], fields
    if not known or len(fields) < 2:
        return task, []
    raise ValueError(
        f"{task!r} is the folder {folder_of(task)}, and a list of classes of {task[:start]}. For "
        f"the folder write {folder_of(task)}{os.sep}, for the list quote each class"
    )


def _plain(field: str) -> str:
    """Return a class name as it is, without quotes around it."""
    text = field.strip()
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def _merge(task: str, classes: tuple[str, ...], fields: list[str]) -> np.ndarray:
    """Return the new label of each class of the data set, -1 for a class that is left out."""
    if not fields:
        return np.arange(len(classes))
    selected = [_plain(field) for field in fields]
    places = {name: place for place, name in enumerate(selected)}
    merges = "other" in map(str.strip, fields)  # not in quotes
    known = {*classes, "other"} if merges else {*classes}
    for name in selected:
        if name not in known:
            raise unknown("class", name, (*classes, "other"))
    if len(places) < max(2, len(selected)):
        raise ValueError(f"{task!r}: a task needs two or more different classes")
    if merges and "other" in classes and not places.keys() >= {*classes}:
        raise ValueError(
            f"{task!r}: a class is called other. For that class write "
            f"{spell(parse(task)[0], selected)}; to merge all the rest, rename the class folder"
        )
    rest = places["other"] if merges else -1
    return np.array([places.get(name, rest) for name in classes])
