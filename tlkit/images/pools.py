"""All images of a data set at one size: drawn or decoded once, then mapped into memory."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.lib.format import open_memmap

from tlkit import drawing
from tlkit.ground.names import unknown
from tlkit.ground.paths import home, whole
from tlkit.ground.progress import progress
from tlkit.images import bundled, public
from tlkit.images.folders import decode, scan

DRAWN_PER_CLASS = {world: {"train": 80, "test": 50} for world in drawing.WORLDS} | {
    "drawn_source": {"train": 400, "test": 50},
    "drawn8": {"train": 300, "test": 150},
    "drawn_kin_many": {"train": 40, "test": 15},
}
TEST_SHARE = 0.3  # of each class of a folder without a split of its own

# Writes the images of a data set at a size into a file; returns classes, labels and splits.
Fill = Callable[[str, int, Path], tuple[list[str], np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Pool:
    """Every image of a data set at one size, on disk and mapped into memory."""

    images: np.ndarray  # uint8 [n, 3, size, size]
    labels: np.ndarray  # int64 [n]
    splits: np.ndarray  # str [n]: "train", "val" or "test"
    classes: tuple[str, ...]
    digest: str  # of all of the above


def pool(name: str, size: int) -> Pool:
    """Return all images of a data set.

    The first data set of that name is used: a drawn world, a bundled set, a public set, a folder
    in `data/images/`, any other folder. A path always means the folder.
    Raises `UnknownName` if there is none, `BadImageFolder` for images that cannot be trusted.
    """
    fill: Fill = _decode
    if name in drawing.WORLDS:
        fill, fingerprint = _draw, _code_of_drawings(name)
    elif name in bundled.SETS:
        fill, fingerprint = _unpack, _digest(name + bundled.version())
    elif name in public.SETS:
        fingerprint = _digest(f"{name}{public.SETS[name]}")
    else:
        folder = _folder(name)
        name, fingerprint = str(folder), _files_in(folder)
    place = home() / "cache" / f"{Path(name).name}-{size}px-{fingerprint}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not place.exists():
            with whole(place) as partial:
                partial.mkdir()
                _store(partial, name, size, fill)
    about = json.loads((place / "about.json").read_text())
    images = np.load(place / "images.npy", mmap_mode="r")
    labels, splits = np.load(place / "labels.npy"), np.load(place / "splits.npy")
    return Pool(images, labels, splits, tuple(about["classes"]), about["digest"])


def _store(place: Path, name: str, size: int, fill: Fill) -> None:
    classes, labels, splits = fill(name, size, place / "images.npy")
    np.save(place / "labels.npy", labels)
    np.save(place / "splits.npy", splits)
    digest = sha256(np.load(place / "images.npy", mmap_mode="r"))
    digest.update(json.dumps([classes, labels.tolist(), splits.tolist()]).encode())
    about = {"name": name, "classes": classes, "digest": digest.hexdigest()}
    (place / "about.json").write_text(json.dumps(about))


def _draw(world: str, size: int, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    classes, counts = list(drawing.WORLDS[world]), DRAWN_PER_CLASS[world]
    of_class = np.repeat(list(counts), list(counts.values()))
    labels = np.repeat(np.arange(len(classes)), len(of_class))
    splits = np.tile(of_class, len(classes))
    images = open_memmap(path, "w+", np.uint8, (len(labels), 3, size, size))
    rows = [(label, split) for label in range(len(classes)) for split in counts]
    for label, split in progress(rows, f"drawing {world}"):
        drawn = drawing.draw(world, label, range(counts[split]), size, split)
        images[(labels == label) & (splits == split)] = drawn
    images.flush()
    return classes, labels, splits


def _unpack(name: str, size: int, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    images, classes, labels, splits = bundled.read(name, size)
    np.save(path, images)
    return classes, labels, splits


def _decode(name: str, size: int, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    folder, listing = public.read(name) if name in public.SETS else (Path(name), scan(name))
    images = open_memmap(path, "w+", np.uint8, (len(listing.files), 3, size, size))
    decode(folder, listing, out=images)
    images.flush()
    splits = listing.split or _carve_test(listing.labels)
    return list(listing.classes), listing.labels, np.asarray(splits)


def _carve_test(labels: np.ndarray) -> np.ndarray:
    """Return splits with a stratified test set, the same for every seed and size."""
    splits = np.full(len(labels), "train")
    for label in np.unique(labels):
        places = np.random.default_rng([2022, label]).permutation(np.flatnonzero(labels == label))
        splits[places[: max(1, int(TEST_SHARE * len(places)))]] = "test"
    return splits


def _folder(name: str) -> Path:
    parent = home() / "images"
    for folder in (parent / name, Path(name)):
        if name and folder.is_dir():
            return folder.resolve()
    folders = [path.name for path in parent.glob("*") if path.is_dir()]
    remedy = f"; or put one folder per class under {parent / Path(name).name}"
    known = [*drawing.WORLDS, *bundled.SETS, *public.SETS, *folders]
    raise unknown("task", name, known, remedy)


def _code_of_drawings(world: str) -> str:
    code = [path.read_text() for path in sorted(Path(drawing.__file__).parent.glob("*.py"))]
    return _digest(json.dumps([DRAWN_PER_CLASS[world], code]))


@cache  # reading the state of thousands of files takes a while, and every run of a sweep asks
def _files_in(folder: Path) -> str:
    paths = sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
    states = [(path, os.stat(path)) for path in paths if os.path.isfile(path)]
    stamps = [(path, state.st_size, state.st_mtime_ns) for path, state in states]
    return _digest(json.dumps(stamps))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def look_again() -> None:
    """Let the next `pool` notice changes in image folders."""
    _files_in.cache_clear()
