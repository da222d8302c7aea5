"""Synthetic images, drawn in a moment and always alike: data that need no network."""

from collections.abc import Sequence
from functools import partial
from zlib import crc32

import numpy as np

from tlkit.ground.alone import alone
from tlkit.ground.names import check_name

from .camera import photograph
from .worlds import ATLAS

WORLDS = {name: world.classes for name, world in ATLAS.items()}
CHUNK = 64  # images painted together; does not change the pictures


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
    if len(indices) and np.asarray(indices).dtype.kind not in "iu":
        raise ValueError(f"indices must be whole numbers, not {indices!r}")
    indices = np.asarray(indices, dtype=np.int64).reshape(-1)
    if len(indices) and indices.min() < 0:
        raise ValueError(f"index {indices.min()} is negative; count images from 0")
    stream = crc32(f"{world}/{split}".encode())
    shown = ATLAS[world].shown(label, indices, split)
    images = np.empty((len(indices), 3, size, size), dtype=np.uint8)
    with alone():  # several threads would cut tensors anywhere, also within an image
        for kind in np.unique(shown):
            places = np.flatnonzero(shown == kind)
            for rows in np.split(places, range(CHUNK, len(places), CHUNK)):
                generators = [np.random.default_rng([stream, label, at]) for at in indices[rows]]
                images[rows] = photograph(partial(ATLAS[world].scene, kind), generators, size)
    return images


def _check(world: str, label: int, size: int, split: str) -> None:
    check_name("drawn world", world, WORLDS)
    check_name("split", split, ("train", "test"))
    classes = len(WORLDS[world])
    if label not in range(classes):
        raise ValueError(f"label {label} is not a class of {world}; choose 0 to {classes - 1}")
    if size not in range(32, 129):
        raise ValueError(f"size {size} is not drawn; choose 32 to 128 pixels")
