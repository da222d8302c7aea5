"""The public image sets of `data/public_sets.toml`: downloaded where possible, then counted."""

import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
from filelock import FileLock

from tlkit.ground.paths import SHIPPED, home
from tlkit.images import public_layouts
from tlkit.images.folders import ImageFolder, Problem, refuse
from tlkit.images.public_layouts import PublicSet, Row

SETS = {
    name: PublicSet(**entry)
    for name, entry in tomllib.loads((SHIPPED / "public_sets.toml").read_text("utf-8")).items()
}


def read(name: str) -> tuple[Path, ImageFolder]:
    """Return the folder of a public set, below `public/` in `home()`, and the images in it.

    Raises `BadImageFolder` unless all are there. The message says what is missing, what to put
    where, and the source.
    """
    entry, root = SETS[name], home() / "public"
    folder, layout = root / entry.folder, getattr(public_layouts, entry.layout)
    remedy = f"In this folder belong {entry.files}; source: {entry.source}"
    if entry.downloads:
        remedy += ". Or delete it and its archive: then it is downloaded anew"
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{name}.lock"):  # one download, however many ask for it
        try:
            rows = list(layout(entry, root))
        except Exception as error:  # no network, a broken archive, a list cut short, …
            message = f"{type(error).__name__}: {error}"
            refuse(folder, Problem(f"{name} was not available", [message], remedy))
    _check(entry, rows, folder, remedy)
    files, kinds, splits = zip(*rows)
    classes, labels = np.unique(kinds, return_inverse=True)
    relative = tuple(file.relative_to(folder) for file in files)
    return folder, ImageFolder(tuple(classes.tolist()), relative, labels, splits)


def _check(entry: PublicSet, rows: list[Row], folder: Path, remedy: str) -> None:
    """Refuse a set cut short: lists without their images, or too few images or classes."""
    absent = [file for file, _, _ in rows if not file.is_file()]
    refuse(folder, Problem("missing images", absent, remedy))
    counts = Counter(split for _, _, split in rows)
    wrong = [
        f"{counts[split]:,} {split} images, not {count:,}"
        for split, count in entry.counts.items()
        if counts[split] != count
    ]
    classes = len({kind for _, kind, _ in rows})
    if classes != entry.classes:
        wrong.append(f"{classes} classes, not {entry.classes}")
    refuse(folder, Problem("wrong numbers", wrong, remedy))
