"""Any folder of images, one sub-folder a class: read right, or refused with one clear message."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeVar
from unicodedata import normalize

import numpy as np
from PIL import Image, ImageOps
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.functional import center_crop, resize

from tlkit.ground.progress import progress

JUNK = {"thumbs.db", "desktop.ini", "__macosx"}  # and all hidden names, such as .DS_Store
SPLITS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
Item = TypeVar("Item")


class BadImageFolder(ValueError):
    """A folder that cannot be read right: each problem, where it is, and the remedy."""


class Problem(NamedTuple):
    """A kind of problem, where it occurs (which may be nowhere), and the remedy."""

    what: str
    where: Sequence[Path | str]
    remedy: str

    def line(self, root: Path) -> str:
        """Return how many places there are, the first four of them, and the remedy."""
        examples = [str(place).replace(f"{root}{os.sep}", "") for place in self.where[:4]]
        more = ", …" if len(self.where) > 4 else ""
        return f"{self.what} ({len(self.where)}): {', '.join(examples)}{more}. {self.remedy}."


class Contents(NamedTuple):
    """What lies in a folder, in the order of names, without hidden files and junk."""

    folders: list[Path]
    images: list[Path]
    others: list[Path]


@dataclass(frozen=True)
class ImageFolder:
    classes: tuple[str, ...]  # sorted sub-folder names
    files: tuple[Path, ...]  # sorted by class, split and name; relative to the folder
    labels: np.ndarray  # int64 [n], positions in `classes`
    split: tuple[str, ...] | None  # official split of each file: "train", "val" or "test"


def scan(path: Path | str) -> ImageFolder:
    """List and check the images in `path`, one sub-folder a class, without decoding any.

    Where `path` holds `train/` and `test/` (and `val/`), these hold the class folders. A README
    beside the class folders is ignored. Of images with the same bytes in one class the first
    is used (test before train before val), and a warning counts the others.
    Raises `BadImageFolder` with all problems in one message.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        parent = next(folder for folder in root.absolute().parents if folder.is_dir())
        names = [folder.name for folder in _list(parent).folders]
        near = get_close_matches(root.name, names, n=5, cutoff=0.4) or names[:5] or ["no folders"]
        remedy = f"{parent} holds {', '.join(near)}"
        refuse(root, Problem("missing or not a folder", [root], remedy))
    named = {folder: SPLITS.get(folder.name.lower(), "") for folder in _list(root).folders}
    official = {"train", "test"} <= set(named.values())
    splits = {folder: name for folder, name in named.items() if name} if official else {root: ""}
    contents = {folder: _list(folder) for split in splits for folder in _list(split).folders}
    images = [image for inside in contents.values() for image in inside.images]
    images.sort(key=lambda image: (image.parent.name, splits[image.parent.parent], image.name))
    copies = _copies(images)
    refuse(root, *_problems(root, splits, contents, copies))
    if copies:
        pairs = [f"{first} = {copy}" for first, copy in copies]
        repeated = Problem("images repeated within a class", pairs, "Only the first is used")
        warnings.warn(f"{root}: {repeated.line(root)}", stacklevel=2)
        unused = {copy for _, copy in copies}
        images = [image for image in images if image not in unused]
    classes = sorted({folder.name for folder in contents})
    return ImageFolder(
        classes=tuple(classes),
        files=tuple(image.relative_to(root) for image in images),
        labels=np.array([classes.index(image.parent.name) for image in images], dtype=np.int64),
        split=tuple(splits[image.parent.parent] for image in images) if official else None,
    )


def decode(path: Path | str, folder: ImageFolder, out: np.ndarray) -> None:
    """Fill `out`, uint8 `[n, 3, size, size]`, with the images of `folder = scan(path)` as RGB.

    The shorter side is resized to `size` (bilinear, antialiased), then the centre is cut out, as
    torchvision's Resize and CenterCrop do. Transparency is laid on white, 16-bit grey is scaled
    to 8 bits, EXIF rotation is applied.
    Raises `BadImageFolder` with all unreadable files; the contents of `out` are void then.
    """
    root = Path(path).expanduser()

    def read(index: int) -> str:
        """Decode an image; return what is wrong with it, or an empty text."""
        try:
            with Image.open(root / folder.files[index]) as image:
                out[index] = square(image, out.shape[-1])
            return ""
        except Exception as error:  # Pillow: OSError, SyntaxError, ValueError, struct.error, …
            return f"{folder.files[index]} ({type(error).__name__}: {error})"

    with ThreadPoolExecutor(4) as threads:  # more would only wait for the interpreter's lock
        faults = list(progress(threads.map(read, range(len(out))), "decoding", len(out)))
    unreadable = [fault for fault in faults if fault]
    refuse(root, Problem("unreadable", unreadable, "Delete or replace them"))


def square(image: Image.Image, size: int) -> np.ndarray:
    """Return the centre of an image as RGB, uint8 `[3, size, size]`; see `decode`."""
    cut = center_crop(resize(_rgb(image), [size]), [size])
    return np.asarray(cut).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    """Return any image as RGB; convert() would clip 16-bit grey and show transparent pixels."""
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode[0] in "IF":  # grey of more than 8 bits
        grey = np.asarray(image)
        in_range = image.mode != "F" and grey.min() >= 0 and grey.max() <= 65535
        if not in_range or image.has_transparency_data:
            raise ValueError("grey of more than 16 bits, or of 16 bits with transparency")
        image = Image.fromarray(np.rint(grey / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _list(folder: Path) -> Contents:
    contents = Contents([], [], [])
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith(".") or path.name.lower() in JUNK:
            continue
        if path.is_dir():
            contents.folders.append(path)
        elif path.suffix.lower() in IMG_EXTENSIONS and path.is_file():
            contents.images.append(path)
        else:
            contents.others.append(path)
    return contents


def _copies(images: list[Path]) -> list[tuple[Path, Path]]:
    """Return (first, copy) for each image that has the bytes of an earlier one."""
    sizes = {image: image.stat().st_size for image in images}
    counts = Counter(size for size in sizes.values() if size)  # empty files: left to decode
    suspects = [image for image in images if counts[sizes[image]] > 1]
    return _repeats(suspects, [sha256(image.read_bytes()).digest() for image in suspects])


def _repeats(items: list[Item], keys: list) -> list[tuple[Item, Item]]:
    """Return (first, repeat) for each item that has the key of an earlier one."""
    firsts = dict(zip(reversed(keys), reversed(items)))  # of equal keys the last one stays
    return [(firsts[of], item) for of, item in zip(keys, items) if firsts[of] != item]


def _problems(
    root: Path, splits: dict[Path, str], contents: dict[Path, Contents], copies: list
) -> Iterator[Problem]:
    """Yield each kind of problem in and around the class folders, with all its places."""
    classes = sorted({folder.name for folder in contents})
    nested = [inner for inside in contents.values() for inner in inside.folders]
    few = [root] if len(classes) < 2 and not nested else []
    yield Problem("fewer than two classes", few, "Make one sub-folder a class")
    loose = [image for folder in dict.fromkeys([root, *splits]) for image in _list(folder).images]
    loose += [folder for folder in _list(root).folders if folder not in {*splits, *contents}]
    yield Problem("outside the class folders", loose, "Move each into the right class, or away")
    absent = [split / name for split in splits for name in classes if split / name not in contents]
    yield Problem("classes missing in a split", absent, "Add them, or delete them in the others")
    plain = [normalize("NFKC", name).strip().casefold() for name in classes]
    alike = [f"{first} = {name}" for first, name in _repeats(classes, plain)]
    yield Problem("class names equal but for case, spaces or unicode form", alike, "Merge them")
    empty = [folder for folder, inside in contents.items() if not any(inside)]
    yield Problem("empty classes", empty, "Fill or delete them")
    trees = [folder for folder, inside in contents.items() if inside.folders and not inside.images]
    move = f"Point at {trees[0]} if that holds the classes, else move" if trees else "Move"
    yield Problem("folders in a class folder (a copy would leak into test)", nested, f"{move} them")
    others = [file for inside in contents.values() for file in inside.others]
    yield Problem("files that are not images", others, "Convert or delete them")
    across = [f"{one} = {two}" for one, two in copies if one.parent.name != two.parent.name]
    yield Problem("same image in several classes", across, "Keep it in the right one")


def refuse(root: Path, *problems: Problem) -> None:
    """Raise `BadImageFolder` with those of the problems that occur, if any does."""
    messages = [problem.line(root) for problem in problems if problem.where]
    if messages:
        raise BadImageFolder("\n- ".join([f"cannot use the image folder {root}", *messages]))
