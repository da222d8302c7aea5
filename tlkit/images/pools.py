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


@dataclass(frozen=True)
class Pool:
    """Every image of a data set at one size, on disk and mapped into memory."""

    images: np.ndarray  # uint8 [n, 3, size, size]
    labels: np.ndarray  # int64 [n]
    splits: np.ndarray  # str [n]: "train", "val" or "test"
    classes: tuple[str, ...]
    digest: str  # of all of the above


def pool(name: str, size: int) -> Pool:
    """All images of a drawn world, a bundled or public set, a folder, or one in `data/images/`.

    The first of these that has that name; a folder always answers to its path.
    Raises `UnknownName` for none of these, `BadImageFolder` for images not to be trusted.
    """
    if name in drawing.WORLDS:
        fill, fingerprint = _draw, _code_of_drawings(name)
    elif name in bundled.SETS:
        fill, fingerprint = _unpack, bundled.fingerprint(name)
    elif name in public.SETS:
        fill, fingerprint = _decode, public.fingerprint(name)
    else:
        folder = _folder(name)
        fill, fingerprint = _decode, _files_in(folder)
        name = str(folder)
    place = home() / "cache" / f"{Path(name).name}-{size}px-{fingerprint}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not place.exists():
            with whole(place) as partial:
                partial.mkdir()
                _store(partial, name, size, fill)
    about = json.loads((place / "about.json").read_text())
    return Pool(
        np.load(place / "images.npy", mmap_mode="r"), np.load(place / "labels.npy"),
        np.load(place / "splits.npy"), tuple(about["classes"]), about["digest"],
    )


def _store(place: Path, name: str, size: int, fill: Callable) -> None:
    classes, labels, splits = fill(name, size, place / "images.npy")
    np.save(place / "labels.npy", labels)
    np.save(place / "splits.npy", splits)
    digest = sha256(np.load(place / "images.npy", mmap_mode="r"))
    digest.update(json.dumps([classes, labels.tolist(), splits.tolist()]).encode())
    about = {"name": name, "classes": classes, "digest": digest.hexdigest()}
    (place / "about.json").write_text(json.dumps(about))


def _draw(world: str, size: int, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    classes, counts = drawing.WORLDS[world], DRAWN_PER_CLASS[world]
    rows = [(label, split) for label in range(len(classes)) for split in counts]
    labels = np.concatenate([np.full(counts[split], label) for label, split in rows])
    splits = np.concatenate([np.full(counts[split], split) for _, split in rows])
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (len(labels), 3, size, size))
    done = 0
    for label, split in progress(rows, f"drawing {world}"):
        images[done : done + counts[split]] = drawing.draw(
            world, label, range(counts[split]), size, split
        )
        done += counts[split]
    images.flush()
    return list(classes), labels, splits


def _unpack(name: str, size: int, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    images, classes, labels, splits = bundled.read(name, size)
    np.save(path, images)
    return classes, labels, splits


def _decode(name: str, size: int, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    folder, listing = public.read(name) if name in public.SETS else (name, scan(name))
    shape = (len(listing.files), 3, size, size)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    decode(folder, listing, size, out=images)
    images.flush()
    splits = listing.split or _carve_test(listing.labels)
    return list(listing.classes), listing.labels, np.asarray(splits)


def _carve_test(labels: np.ndarray) -> np.ndarray:
    """A stratified test set, the same for every seed and size."""
    splits = np.full(len(labels), "train")
    for label in np.unique(labels):
        mine = np.random.default_rng([2022, label]).permutation(np.flatnonzero(labels == label))
        splits[mine[: max(1, int(TEST_SHARE * len(mine)))]] = "test"
    return splits


def _folder(name: str) -> Path:
    under = home() / "images"
    for folder in (under / name, Path(name)):
        if name and folder.is_dir():
            return folder.resolve()
    registered = [path.name for path in under.glob("*") if path.is_dir()]
    remedy = f"; or put one folder per class under {under / Path(name).name}"
    known = [*drawing.WORLDS, *bundled.SETS, *public.SETS, *registered]
    raise unknown("task", name, known, remedy)


def _code_of_drawings(world: str) -> str:
    sources = sorted(Path(drawing.__file__).parent.glob("*.py"))
    counts = json.dumps(DRAWN_PER_CLASS[world])
    code = "".join(path.read_text() for path in sources)
    return sha256(f"{counts}{code}".encode()).hexdigest()[:12]


@cache  # a look at thousands of files takes a while, and every run of a sweep asks
def _files_in(folder: Path) -> str:
    paths = sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
    found = [(path, os.stat(path)) for path in paths if os.path.isfile(path)]
    stamps = [(path, status.st_size, status.st_mtime_ns) for path, status in found]
    return sha256(json.dumps(stamps).encode()).hexdigest()[:12]


def look_again() -> None:
    """Let the next `pool` notice what has changed in image folders meanwhile."""
    _files_in.cache_clear()
