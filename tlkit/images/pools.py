"""All images of a data set at one size: drawn or decoded once, then mapped into memory."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, EINVAL, ENOSPC, EOPNOTSUPP
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from tlkit import drawing
from tlkit.ground.names import unknown
from tlkit.ground.paths import home, locked, set_aside, whole
from tlkit.ground.progress import progress
from tlkit.images import bundled, folders, public
from tlkit.images.digests import digests
from tlkit.images.folders import ImageFolder, Problem, decode, refuse, scan

DRAWN_PER_CLASS = {world: {"train": 80, "test": 50} for world in drawing.WORLDS} | {
    "drawn_source": {"train": 400, "test": 50},
    "drawn8": {"train": 300, "test": 150},
    "drawn_kin_many": {"train": 40, "test": 15},
}
TEST_SHARE = 0.3  # of each class of a folder without a split of its own

SETS: dict[str, Iterable[str]] = {
    "drawn world": drawing.WORLDS,
    "bundled set": bundled.SETS,
    "public set": public.SETS,
}
FILES = ("about.json", "images.npy", "labels.npy", "splits.npy")  # of a stored pool

# Writes the images of a data set at a size into a file; returns classes, labels and splits.
Fill = Callable[[int, Path], tuple[list[str], np.ndarray, np.ndarray]]


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

    A name is that of a drawn world, a bundled set, a public set or a folder in `data/images/`. A
    text with a separator, or with "~" or "." at its beginning, is the path of any folder.
    Raises `UnknownName` if there is none, ValueError for a name of two of them, `BadImageFolder`
    for images that cannot be trusted.
    """
    fill, fingerprint, short = _source(name)
    place = home() / "cache" / f"{short[:60]}-{size}px-{fingerprint}"
    stored = _open(place, size)  # without a lock: the store may be read-only
    if stored is None:
        with locked(place):
            if _open(place, size) is None:
                with whole(place) as partial_place:
                    partial_place.mkdir()
                    _store(partial_place, short, size, fill)
        stored = _open(place, size)
    if stored is None:
        raise OSError(f"{place} was damaged while it was written; check the disk")
    return stored


def _source(name: str) -> tuple[Fill, str, str]:
    """Return what fills a pool, what changes with the images, and a short name."""
    folder = folder_of(name)
    kind = next((kind for kind, names in SETS.items() if name in names), "")
    if kind and os.path.isdir(folder):
        remedy = f"rename the folder, or give its path: {folder}"
        raise ValueError(f"{name!r} is a {kind} and the folder {folder}; {remedy}")
    if name in drawing.WORLDS:
        return partial(_draw, name), _code_of_drawings(name), name
    if name in bundled.SETS:
        return partial(_unpack, name), _digest(name + bundled.version()), name
    if name in public.SETS:
        return partial(_fetch, name), _digest(f"{name}{public.SETS[name]}"), name
    if not exists(name):
        _refuse_missing(name, folder)
    listing, fingerprint = _scanned(folder.resolve())
    return partial(_decode, folder.resolve(), listing), fingerprint, folder.resolve().name


def is_path(name: str) -> bool:
    """Return whether a task is a path; else it is a name."""
    separators = {os.sep, os.altsep or os.sep}
    return name.startswith(("~", ".")) or any(each in name for each in separators)


def folder_of(name: str) -> Path:
    """Return the folder that a path means, or that a name would have in `data/images/`."""
    return Path(os.path.expanduser(name)) if is_path(name) else home() / "images" / name


def exists(name: str) -> bool:
    """Return whether a data set of this name or path exists."""
    return any(name in names for names in SETS.values()) or bool(
        name and os.path.isdir(folder_of(name))
    )


def _refuse_missing(name: str, folder: Path) -> None:
    if is_path(name) or os.path.isfile(folder):
        scan(folder)  # says where the path stops to exist, or what to do with a file
    if os.path.isfile(name):
        scan(name)
    images = home() / "images"
    known = [*drawing.WORLDS, *bundled.SETS, *public.SETS]
    known += [path.name for path in images.glob("*") if path.is_dir()]
    remedy = f"; or put one folder per class under {images / name}, or give the path of a folder"
    if name and os.path.isdir(name):
        remedy = f"; for the folder here, write {os.path.join('.', name)}"
    if "[" in name:
        remedy += f". {folders.QUOTES}"
    raise unknown("task", name, known, remedy)


def _open(place: Path, size: int) -> Pool | None:
    """Return a stored pool, or None if there is none. A damaged one is set aside."""
    try:
        states = tuple(_state(place / name) for name in FILES)
    except FileNotFoundError:
        if place.is_dir():
            set_aside(place, "a file is missing")
        return None
    try:
        about = json.loads((place / "about.json").read_text("utf-8"))
        images = np.load(place / "images.npy", mmap_mode="r")
        labels, splits = np.load(place / "labels.npy"), np.load(place / "splits.npy")
        if images.shape != (len(labels), 3, size, size) or images.dtype != np.uint8:
            raise ValueError("its images have another size")
        if (place, states) not in _DIGESTS:  # read once as long as the files do not change
            _DIGESTS[place, states] = _digest_of(images, about["classes"], labels, splits)
        if _DIGESTS[place, states] != about["digest"]:
            raise ValueError("its digest is another one")
        return Pool(images, labels, splits, tuple(about["classes"]), about["digest"])
    except OSError:
        raise
    except Exception as problem:  # what any bytes can cause in json and NumPy
        set_aside(place, problem)
        return None


def _state(file: Path) -> tuple[int, ...]:
    state = file.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


_DIGESTS: dict[tuple[Path, tuple], str] = {}  # of pools that this process has read


def _digest_of(
    images: np.ndarray, classes: list[str], labels: np.ndarray, splits: np.ndarray
) -> str:
    digest = sha256(images.data)
    digest.update(json.dumps([classes, labels.tolist(), splits.tolist()]).encode())
    return digest.hexdigest()


def _store(place: Path, name: str, size: int, fill: Fill) -> None:
    classes, labels, splits = fill(size, place / "images.npy")
    with _fitting(labels.nbytes + splits.nbytes):
        np.save(place / "labels.npy", labels)
        np.save(place / "splits.npy", splits)
    digest = _digest_of(np.load(place / "images.npy", mmap_mode="r"), classes, labels, splits)
    about = {"name": name, "classes": classes, "digest": digest}
    (place / "about.json").write_text(json.dumps(about), "utf-8")


def _room(path: Path, count: int, size: int) -> np.memmap:
    """Return an array of images in a new file, whose space on the disk is reserved.

    Otherwise a full disk would kill the process when it writes into the array.
    """
    with _fitting(count * 3 * size**2):
        images = open_memmap(path, "w+", np.uint8, (count, 3, size, size))
        _reserve(path)
    return images


@contextmanager
def _fitting(need: int) -> Iterator[None]:
    """Let the error of a full disk say what does not fit where. NumPy's has no number."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in (None, ENOSPC, EDQUOT, EFBIG):
            raise
        raise OSError(
            f"{problem.strerror or problem}: {need:,} bytes do not fit into {home() / 'cache'}; "
            "free some space there, or set TLKIT_HOME to another folder"
        ) from problem


def _reserve(path: Path) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as problem:
            if problem.errno not in (EINVAL, EOPNOTSUPP):  # this file system cannot reserve
                raise


def _draw(world: str, size: int, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    classes, counts = list(drawing.WORLDS[world]), DRAWN_PER_CLASS[world]
    of_class = np.repeat(list(counts), list(counts.values()))
    labels = np.repeat(np.arange(len(classes)), len(of_class))
    splits = np.tile(of_class, len(classes))
    images = _room(path, len(labels), size)
    rows = [(label, split) for label in range(len(classes)) for split in counts]
    for label, split in progress(rows, f"drawing {world}"):
        drawn = drawing.draw(world, label, range(counts[split]), size, split)
        images[(labels == label) & (splits == split)] = drawn
    images.flush()
    return classes, labels, splits


def _unpack(name: str, size: int, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    images, classes, labels, splits = bundled.read(name, size)
    stored = _room(path, len(images), size)
    stored[:] = images
    stored.flush()
    return classes, labels, splits


def _fetch(name: str, size: int, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    return _decode(*public.read(name), size, path)


def _decode(
    folder: Path, listing: ImageFolder, size: int, path: Path
) -> tuple[list[str], np.ndarray, np.ndarray]:
    images = _room(path, len(listing.files), size)
    decode(folder, listing, out=images)
    images.flush()
    now = digests(folder, [folder / file for file in listing.files]) if listing.digests else {}
    if tuple(now.values()) != listing.digests:
        refuse(folder, Problem("changed while it was read", [folder], "Try again"))
    splits = listing.split or ["train"] * len(listing.labels)
    return list(listing.classes), listing.labels, _carve_test(listing.labels, np.asarray(splits))


def _carve_test(labels: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return splits with a test set: if there is none, a stratified part of train.

    It is the same for every seed and size.
    """
    if "test" in splits:
        return splits
    carved, of_train = splits.astype("<U5"), np.where(splits == "train", labels, -1)
    for label, places in enumerate(by_label(of_train, labels.max() + 1)):
        drawn = np.random.default_rng([2022, label]).permutation(places)
        carved[drawn[: max(1, int(TEST_SHARE * len(drawn)))]] = "test"
    return carved


def by_label(labels: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the places of each label 0 … count - 1, all in one pass."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], range(count + 1)))[1:-1]


def _code_of_drawings(world: str) -> str:
    code = [path.read_text() for path in sorted(Path(drawing.__file__).parent.glob("*.py"))]
    return _digest(json.dumps([DRAWN_PER_CLASS[world], code]))


@cache  # every run of a sweep asks
def _scanned(folder: Path) -> tuple[ImageFolder, str]:
    listing = scan(folder)
    kinds = [listing.classes[label] for label in listing.labels]
    rows = list(zip(kinds, listing.split or kinds, listing.digests))
    code = Path(folders.__file__).read_text("utf-8")
    return listing, _digest(json.dumps([code, TEST_SHARE, listing.split is None, rows]))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def look_again() -> None:
    """Let the next `pool` notice changes in image folders."""
    _scanned.cache_clear()
