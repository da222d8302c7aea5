"""Synthetic images, drawn at once and always alike: the kit's data where there is no network."""

from collections.abc import Iterator, Sequence
from functools import partial
from zlib import crc32

import numpy as np
import torch

from tlkit.ground.names import check_name

from .camera import photograph
from .worlds import ATLAS

__all__ = ["CARDS", "WORLDS", "draw"]

WORLDS = {name: world.classes for name, world in ATLAS.items()}
CARDS = {name: world.card for name, world in ATLAS.items()}  # a line on each
SIZES = range(32, 129)
SPLITS = ("train", "test")
CHUNK = 64  # images painted together; of no influence on the pictures


def draw(
    world: str, label: int, indices: Sequence[int] | np.ndarray, size: int, split: str = "train"
) -> np.ndarray:
    """Draw the synthetic images with these indices (0, 1, 2, …) of one class.

    Returns uint8 `[n, 3, size, size]`, RGB. An image depends on world, split, label, index and
    size alone: the same bytes in any batch, in any order and with any number of threads. `split`
    is "train" or "test", which share no image; `size` is 32 … 128 pixels. Where a world's labels
    are noisy, some training images show another class. Raises ValueError for a world, label,
    index, size or split that does not exist.
    """
    _check(world, label, size, split)
    indices = np.asarray(indices, dtype=np.int64).reshape(-1)
    if len(indices) and indices.min() < 0:
        raise ValueError(f"index {indices.min()} is negative; count images from 0")
    stream = crc32(f"{world}/{split}".encode())
    images = np.empty((len(indices), 3, size, size), dtype=np.uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would cut tensors anywhere, also within an image
    try:
        for kind, rows in _chunks(ATLAS[world].shown(label, indices, split)):
            generators = [np.random.default_rng([stream, label, at]) for at in indices[rows]]
            images[rows] = photograph(partial(ATLAS[world].scene, kind), generators, size)
    finally:
        torch.set_num_threads(threads)
    return images


def _chunks(kinds: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Every kind with the places where it stands, a few of them at a time."""
    for kind in np.unique(kinds):
        places = np.flatnonzero(kinds == kind)
        for start in range(0, len(places), CHUNK):
            yield kind, places[start:start + CHUNK]


def _check(world: str, label: int, size: int, split: str) -> None:
    check_name("drawn world", world, WORLDS)
    classes = len(WORLDS[world])
    if label not in range(classes):
        raise ValueError(f"label {label} is not a class of {world}; choose 0 to {classes - 1}")
    if size not in SIZES:
        raise ValueError(f"size {size} is not drawn; choose 32 to 128 pixels")
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is not drawn; choose 'train' or 'test'")
