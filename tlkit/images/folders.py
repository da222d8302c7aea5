"""Any folder of images, one sub-folder a class: read right, or refused with one clear message."""

import os
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from unicodedata import normalize

import numpy as np
from PIL import Image, ImageOps
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.functional import center_crop, resize

from tlkit.ground.progress import progress

JUNK = {"thumbs.db", "desktop.ini", "__macosx"}  # and all hidden names, such as .DS_Store
SPLITS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}


class BadImageFolder(ValueError):
    """A folder that cannot be read right: each problem, where it is, and the remedy."""


@dataclass(frozen=True)
class ImageFolder:
    classes: tuple[str, ...]  # sorted sub-folder names
    files: tuple[Path, ...]  # sorted by class, split and name; relative to the folder
    labels: np.ndarray  # int64 [n], positions in `classes`
    split: tuple[str, ...] | None  # official split of each file: "train", "val" or "test"


def scan(path: Path | str) -> ImageFolder:
    """List and check the images in `path`, one sub-folder a class; decodes nothing.

    Where `path` holds `train/` and `test/` (and `val/`), these hold the class folders. A README
    beside the class folders is left alone. Of images with the same bytes in one class the first
    is used (test before train before val), and a warning counts the others.
    Raises `BadImageFolder` with all problems in one message.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        above = next(folder for folder in root.absolute().parents if folder.is_dir())
        names = [folder.name for folder in _list(above)[0]]
        near = get_close_matches(root.name, names, n=5, cutoff=0.4) or names[:5] or ["no folders"]
        refuse(root, ("missing or not a folder", [root], f"{above} holds {', '.join(near)}"))
    splits = {folder: SPLITS.get(folder.name.lower()) for folder in _list(root)[0]}
    official = {"train", "test"} <= set(splits.values())
    parts = {part: split for part, split in splits.items() if split} if official else {root: None}
    inside = {folder: _list(folder) for part in parts for folder in _list(part)[0]}
    classes = sorted({folder.name for folder in inside})
    images = [image for _, found, _ in inside.values() for image in found]
    images.sort(key=lambda image: (image.parent.name, parts[image.parent.parent], image.name))
    sizes = {image: image.stat().st_size for image in images}
    shared = Counter(size for size in sizes.values() if size)  # empty files: left to decode
    suspects = [image for image in images if shared[sizes[image]] > 1]
    copies = _repeats(suspects, lambda image: sha256(image.read_bytes()).digest())
    _check(root, parts, inside, classes, copies)
    if copies:
        told = _tell(root, "images repeated within a class", copies, "Only the first is used")
        warnings.warn(f"{root}: {told}", stacklevel=2)
        dropped = {copy for _, copy in copies}
        images = [image for image in images if image not in dropped]
    return ImageFolder(
        classes=tuple(classes),
        files=tuple(image.relative_to(root) for image in images),
        labels=np.array([classes.index(image.parent.name) for image in images], dtype=np.int64),
        split=tuple(parts[image.parent.parent] for image in images) if official else None,
    )


def decode(
    path: Path | str, folder: ImageFolder, size: int, out: np.ndarray | None = None
) -> np.ndarray:
    """The images of `folder = scan(path)` as RGB, uint8 `[n, 3, size, size]`.

    The shorter side is resized to `size` (bilinear, antialiased), then the centre is cut out, as
    torchvision's Resize and CenterCrop do. Transparency is laid on white, 16-bit grey is scaled
    to 8 bits, EXIF rotation is applied. Given `out` (say, a memmap), fills and returns that.
    Raises `BadImageFolder` with all unreadable files; the contents of `out` are void then.
    """
    root, shape = Path(path).expanduser(), (len(folder.files), 3, size, size)
    out = np.empty(shape, np.uint8) if out is None else out
    if (out.shape, out.dtype) != (shape, np.uint8):
        raise ValueError(f"out must be uint8 {shape}, not {out.dtype} {out.shape}")

    def read(index: int) -> str | None:
        try:
            with Image.open(root / folder.files[index]) as image:
                pixels = square(image, size)
        except Exception as error:  # Pillow: OSError, SyntaxError, ValueError, struct.error, …
            return f"{folder.files[index]} ({type(error).__name__}: {error})"
        out[index] = pixels

    with ThreadPoolExecutor(4) as threads:  # more would only wait for the interpreter's lock
        results = list(progress(threads.map(read, range(len(out))), "decoding", len(out)))
    unreadable = [problem for problem in results if problem]
    refuse(root, ("unreadable", unreadable, "Delete or replace them"))
    return out


def square(image: Image.Image, size: int) -> np.ndarray:
    """The centre of an image as RGB, uint8 `[3, size, size]`; see `decode`."""
    cut = center_crop(resize(_rgb(image), [size]), [size])
    return np.asarray(cut).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    """Any image as RGB; convert() alone would clip 16-bit grey and show what is transparent."""
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


def _list(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Sub-folders, images and other files in `folder` by name, but for hidden ones and junk."""
    kinds = [], [], []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name[0] != "." and path.name.lower() not in JUNK:
            is_image = path.suffix.lower() in IMG_EXTENSIONS and path.is_file()
            kinds[0 if path.is_dir() else 1 if is_image else 2].append(path)
    return kinds


def _repeats(items: list, key) -> list[tuple]:
    """(first, repeat) for each item with the key of an earlier one."""
    first = {}
    pairs = [(first.setdefault(key(item), item), item) for item in items]
    return [pair for pair in pairs if pair[0] != pair[1]]


def _check(root: Path, parts: dict, inside: dict, classes: list[str], copies: list) -> None:
    """Refuse all that is wrong in `parts`, the folders of class folders, and `inside` these."""
    stray = [image for part in {root: None, **parts} for image in _list(part)[1]]
    stray += [folder for folder in _list(root)[0] if folder not in {*parts, *inside}]
    absent = [part / name for part in parts for name in classes if part / name not in inside]
    clashes = _repeats(classes, lambda name: normalize("NFKC", name).strip().casefold())
    empty = [folder for folder, contents in inside.items() if not any(contents)]
    nested = [inner for folders, _, _ in inside.values() for inner in folders]
    few = [] if len(classes) > 1 or nested else [root]
    trees = [folder for folder, (folders, images, _) in inside.items() if folders and not images]
    away = f"Point at {trees[0]} if that holds the classes, else move" if trees else "Move"
    others = [file for _, _, files in inside.values() for file in files]
    across = [(one, two) for one, two in copies if one.parent.name != two.parent.name]
    refuse(
        root,
        ("fewer than two classes", few, "Make one sub-folder a class"),
        ("outside the class folders", stray, "Move each into the folder of its class, or away"),
        ("classes missing in a split", absent, "Add them, or delete them in the other splits"),
        ("class names equal but for case, spaces or unicode form", clashes, "Merge them"),
        ("empty classes", empty, "Fill or delete them"),
        ("folders in a class folder (a second copy would leak into test)", nested, f"{away} them"),
        ("files that are not images", others, "Convert or delete them"),
        ("same image in several classes", across, "Keep it in the right one"),
    )


def refuse(root: Path, *problems: tuple[str, list, str]) -> None:
    """Raise one error for those of the problems (what, where, remedy) that are somewhere."""
    told = [_tell(root, *problem) for problem in problems if problem[1]]
    if told:
        raise BadImageFolder("\n- ".join([f"cannot use the image folder {root}", *told]))


def _tell(root: Path, what: str, where: list, remedy: str) -> str:
    """The problem in one line: how many, the first few (relative to `root`; pairs with =)."""
    groups = [item if isinstance(item, tuple) else (item,) for item in where[:4]]
    names = [[str(item).removeprefix(f"{root}{os.sep}") for item in group] for group in groups]
    examples = ", ".join(" = ".join(group) for group in names) + ", …" * (len(where) > 4)
    return f"{what} ({len(where)}): {examples}. {remedy}."
