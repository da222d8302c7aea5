"""Real image sets that come inside the scikit-learn and scikit-image packages: no network."""

from importlib import metadata
from pathlib import Path

import numpy as np
from PIL import Image

from tlkit.images.folders import square

PATCH = 32  # pixels, of surfaces


def read(name: str, size: int) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """Return images uint8 `[n, 3, size, size]`, classes, labels int64 `[n]` and splits str `[n]`.

    The last quarter of each class is the test set, not a random quarter: a person wrote several
    digits in a row, and neighbouring patches of a surface look alike.
    """
    greys, classes, labels = SETS[name]()
    splits = np.full(len(labels), "train")
    for label in range(len(classes)):
        places = np.flatnonzero(labels == label)
        splits[places[-(len(places) // 4) :]] = "test"
    images = np.stack([square(Image.fromarray(grey), size) for grey in greys])
    return images, classes, labels, splits


def version() -> str:
    """Return a text that changes with the versions of the packages and with this code."""
    packages = [metadata.version(each) for each in ("scikit-learn", "scikit-image")]
    return f"{packages}{Path(__file__).read_text()}"


# Each returns grey images uint8 [n, height, width], classes and labels. It imports its package
# itself: scikit-learn takes a second.


def digits() -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return 1,797 handwritten digits of 8 × 8 pixels, from 13 writers."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.rint(bunch.images * 255 / 16).astype(np.uint8), list("0123456789"), bunch.target


def faces() -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return 100 faces and 100 other cut-outs of photographs, 25 × 25 pixels.

    Many of the others have black corners or show part of a face.
    """
    from skimage.data import lfw_subset
    from skimage.util import img_as_ubyte

    return img_as_ubyte(lfw_subset()), ["face", "other"], np.repeat([0, 1], 100)


def surfaces() -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return 256 patches of each of three photographs, row by row; the lowest four rows test."""
    from skimage import data
    from skimage.util import view_as_blocks

    photographs = np.stack([data.brick(), data.grass(), data.gravel()])
    patches = view_as_blocks(photographs, (1, PATCH, PATCH)).reshape(-1, PATCH, PATCH)
    return patches, ["brick", "grass", "gravel"], np.repeat(range(3), len(patches) // 3)


SETS = {"digits": digits, "faces": faces, "surfaces": surfaces}
