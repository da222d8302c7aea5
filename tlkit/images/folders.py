"""Any folder of images, one sub-folder a class: read right, or refused with one clear message."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeVar
from unicodedata import normalize
from urllib.request import url2pathname

import numpy as np
from PIL import Image, ImageOps
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.functional import center_crop, resize

from tlkit.ground.progress import progress
from tlkit.images.digests import digests

JUNK = {"thumbs.db", "desktop.ini", "__macosx"}  # and all hidden names, such as .DS_Store
SKIP = ".tlkit-skip"  # in an image folder: names and patterns of what is not to be used
QUOTES = 'A class name with , [ ] or " is written in quotes: pics["a, b",c]'
OR_SKIP = f"or list them in a file {SKIP} in this folder"
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLITS |= {"val": "val", "valid": "val", "validation": "val", "dev": "val"}
SPLIT = re.compile(  # Training, test_set, seg_train
    rf"(?s)(.*[^a-z0-9])?({'|'.join(SPLITS)})(?:[^a-z0-9]?(?:set|data|images|split))?"
)
EMPTY = sha256(b"").hexdigest()
LONGEST = 64  # times the shorter side; more would take gigabytes when resized
TWELVE = "images of 16 bits hold no value above 4095, and are read as 12 bits"
CLEAR = "images are transparent everywhere, and are read as if they were not"
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
    broken: list[Path]  # links to nothing
    closed: list[Path]  # the folder itself, where it cannot be listed


Lister = Callable[[Path], Contents]


@dataclass(frozen=True)
class ImageFolder:
    classes: tuple[str, ...]  # sorted sub-folder names
    files: tuple[Path, ...]  # sorted by class, split and name; relative to the folder
    labels: np.ndarray  # int64 [n], positions in `classes`
    split: tuple[str, ...] | None  # official split of each file: "train", "val" or "test"
    digests: tuple[str, ...] = ()  # of the bytes of each file


def scan(path: Path | str) -> ImageFolder:
    """List and check the images in `path`, one sub-folder a class, without decoding any.

    Where `path` holds a training set and a test or validation set (`train/`, `Testing/`,
    `seg_train/seg_train/`, `valid/`, …), these hold the class folders. A README beside the class
    folders is ignored. So is what the file `.tlkit-skip` in `path` lists, one a line: a name, a
    path below `path`, or a pattern such as `*.gif`; a warning counts it. Of images with the same
    bytes in one class the first is used (test before train before val), and a warning counts
    the others. Raises `BadImageFolder` with all problems in one message.
    """
    root = Path(os.path.expanduser(path))
    if not os.path.isdir(root):
        refuse(root, Problem("missing or not a folder", [root], _why_missing(root)))
    skipped: set[Path] = set()
    lists = cache(_lister(root, skipped))
    official = _official(lists(root).folders, lists)
    splits = dict(official.values()) or {root: ""}
    contents = {folder: lists(folder) for split in splits for folder in lists(split).folders}
    rows = sorted(
        (folder.name, splits[folder.parent], image.name, image)
        for folder, inside in contents.items()
        for image in inside.images
    )
    digest_of = digests(root, [image for *_, image in rows])
    copies = _copies([image for *_, image in rows], digest_of)
    around = {folder: lists(folder) for folder in (root, *official, *splits)}
    closed = [image for *_, image in rows if image not in digest_of]
    refuse(
        root,
        *_access({**around, **contents}.values(), closed),
        *_problems(root, official, around, contents, copies),
    )
    if skipped:
        _warn(root, Problem(f"skipped because of {SKIP}", sorted(skipped), "The rest is used"))
    if copies:
        pairs = [f"{first} = {copy}" for first, copy in copies]
        _warn(root, Problem("images repeated within a class", pairs, "Only the first is used"))
        unused = {copy for _, copy in copies}
        rows = [row for row in rows if row[-1] not in unused]
    if official and "test" not in splits.values():
        train = [split for split, name in splits.items() if name == "train"]
        _warn(root, Problem("no test set", train, "A part of each class of train is the test set"))
    classes = sorted({folder.name for folder in contents})
    places = {name: place for place, name in enumerate(classes)}
    return ImageFolder(
        classes=tuple(classes),
        files=tuple(image.relative_to(root) for *_, image in rows),
        labels=np.array([places[name] for name, *_ in rows], dtype=np.int64),
        split=tuple(split for _, split, *_ in rows) if official else None,
        digests=tuple(digest_of[image] for *_, image in rows),
    )


def _warn(root: Path, problem: Problem) -> None:
    warnings.warn(f"{root}: {problem.line(root)}", stacklevel=3)


def _why_missing(path: Path) -> str:
    """Return where a path stops to exist, or what to do with what is no folder."""
    if url := re.match(r"([a-z][a-z0-9+.-]+):/+", str(path), re.IGNORECASE):
        if url[1].lower() != "file":
            return "Download and unpack it, then give the folder"
        return f"Write the path alone: /{url2pathname(str(path)[url.end() :])}"
    if os.path.isfile(path):
        unpack = "Unpack it, then give" if path.suffix.lower() in ARCHIVES else "Give"
        return f"{unpack} the folder that holds one sub-folder for each class"
    parent = next(folder for folder in path.absolute().parents if os.path.isdir(folder))
    first = path.absolute().relative_to(parent).parts[0]
    names = [folder.name for folder in _list(parent).folders]
    near = get_close_matches(first, names, n=5, cutoff=0.4) or names[:5] or ["no folders"]
    quotes = f". {QUOTES}" if "[" in first else ""
    return f"{parent} exists, {first!r} in it does not. It holds {', '.join(near)}{quotes}"


def _official(folders: list[Path], lists: Lister) -> dict[Path, tuple[Path, str]]:
    """Return for each folder of an official split the folder with its classes, and its name.

    Names may have one beginning in common, as in seg_train and seg_test. A split folder may hold
    just one folder, which has the name of a split too.
    """
    kinds = {folder: kind for folder in folders if (kind := SPLIT.fullmatch(folder.name.lower()))}
    for beginning in sorted({kind[1] or "" for kind in kinds.values()}):
        named = {
            folder: SPLITS[kind[2]]
            for folder, kind in kinds.items()
            if (kind[1] or "") == beginning
        }
        if "train" in named.values() and len(set(named.values())) > 1:
            return {folder: (_inner(folder, name, lists), name) for folder, name in named.items()}
    return {}


def _inner(folder: Path, split: str, lists: Lister) -> Path:
    inside = lists(folder)
    if len(inside.folders) == 1 and not inside.images:
        kind = SPLIT.fullmatch(inside.folders[0].name.lower())
        if kind and SPLITS[kind[2]] == split:
            return inside.folders[0]
    return folder


def decode(path: Path | str, folder: ImageFolder, out: np.ndarray) -> None:
    """Fill `out`, uint8 `[n, 3, size, size]`, with the images of `folder = scan(path)` as RGB.

    The shorter side is resized to `size` (bilinear, antialiased), then the centre is cut out, as
    torchvision's Resize and CenterCrop do. Transparency is laid on white, unless an image is
    transparent everywhere. 16-bit grey is scaled to 8 bits; it counts as 12-bit grey if no value
    is above 4095. Warnings count both. EXIF rotation is applied.
    Raises `BadImageFolder` with all unreadable files; the contents of `out` are void then.
    """
    root = Path(os.path.expanduser(path))
    notes: list[str] = []

    def read(index: int) -> str:
        """Decode an image; return what is wrong with it, or an empty text."""
        try:
            with Image.open(root / folder.files[index]) as image:
                out[index] = square(image, out.shape[-1], notes)
            return ""
        except MemoryError:
            raise
        except Image.DecompressionBombError:
            most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
            return f"{folder.files[index]} (more than {most:,} pixels: make it smaller)"
        except Exception as error:  # Pillow: OSError, SyntaxError, ValueError, struct.error, …
            if getattr(error, "errno", None):  # of the system, such as too many open files
                raise
            kind = _kind_of_text(root / folder.files[index]) or f"{type(error).__name__}: {error}"
            return f"{folder.files[index]} ({kind})"

    with ThreadPoolExecutor(4) as threads:  # more would only wait for the interpreter's lock
        faults = list(progress(threads.map(read, range(len(out))), "decoding", len(out)))
    unreadable = [fault for fault in faults if fault]
    refuse(root, Problem("unreadable", unreadable, f"Delete or replace them, {OR_SKIP}"))
    for note, count in sorted(Counter(notes).items()):
        warnings.warn(f"{root}: {count} of {len(out)} {note}", stacklevel=2)


def _kind_of_text(file: Path) -> str:
    """Return what a file is that often has the name of an image, or an empty text."""
    with file.open("rb") as opened:
        start = opened.read(200).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS: run git lfs pull"
    return "a web page: download the image itself" if start.startswith((b"<!doc", b"<html")) else ""


def square(image: Image.Image, size: int, notes: list[str] | None = None) -> np.ndarray:
    """Return the centre of an image as RGB, uint8 `[3, size, size]`; see `decode`.

    What is read in an unusual way is added to `notes`.
    """
    rgb = _rgb(image, [] if notes is None else notes)
    cut = center_crop(resize(rgb, [size]), [size])
    return np.asarray(cut).transpose(2, 0, 1)


def _rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Return any image as RGB; convert() would clip 16-bit grey and show transparent pixels."""
    white_is_zero = getattr(image, "tag_v2", {}).get(262) == 0  # Pillow heeds it up to 8 bits
    cut_to_8_bits = ";16" in str(getattr(image, "tile", ""))  # colours of 16 bits, by Pillow
    ImageOps.exif_transpose(image, in_place=True)
    image = _middle(image)
    if image.mode[0] in "IF":  # grey of more than 8 bits
        grey = np.asarray(image)
        in_range = image.mode != "F" and grey.min() >= 0 and grey.max() <= 65535
        if not in_range or image.has_transparency_data:
            raise ValueError("grey of more than 16 bits, or of 16 bits with transparency")
        white = 65535 if grey.max() > 4095 else 4095
        notes.extend([TWELVE] if 0 < grey.max() <= 4095 else [])
        grey = white - grey if white_is_zero else grey
        image = Image.fromarray(np.rint(grey / (white / 255)).astype(np.uint8))
    elif cut_to_8_bits and 0 < np.asarray(image.convert("RGBA"))[..., :3].max() <= 4095 >> 8:
        raise ValueError("colours of 12 bits stored in 16: convert it to 8 bits")
    if image.mode in ("RGBA", "LA", "PA") and image.getchannel("A").getextrema()[1] == 0:
        notes.append(CLEAR)
        return image.convert("RGBA").convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _middle(image: Image.Image) -> Image.Image:
    """Return an image without the ends that lie far outside its square centre."""
    longest = LONGEST * min(image.size)
    if max(image.size) <= longest:
        return image
    left, top = (max(0, side - longest) // 2 for side in image.size)
    return image.crop((left, top, image.width - left, image.height - top))


def _lister(root: Path, skipped: set[Path]) -> Lister:
    """Return what lists a folder without what `.tlkit-skip` names; that is added to `skipped`."""
    try:
        lines = (root / SKIP).read_text("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        return _list
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def lists(folder: Path) -> Contents:
        contents = _list(folder)
        for paths in contents:
            unwanted = {path for path in paths if path != folder and is_skipped(path)}
            skipped.update(unwanted)
            paths[:] = [path for path in paths if path not in unwanted]
        return contents

    def is_skipped(path: Path) -> bool:
        texts = path.name, path.relative_to(root).as_posix()
        return any(
            text == pattern.rstrip("/") or fnmatchcase(text, pattern)
            for pattern in patterns
            for text in texts
        )

    return lists


def _list(folder: Path) -> Contents:
    contents = Contents([], [], [], [], [])
    try:
        with os.scandir(folder) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # mostly: no permission
        contents.closed.append(folder)
        return contents
    for entry in inside:
        if entry.name.startswith(".") or entry.name.lower() in JUNK:
            continue
        path = folder / entry.name
        if entry.is_symlink() and not os.path.exists(path):
            contents.broken.append(path)
        elif entry.is_dir():
            contents.folders.append(path)
        elif path.suffix.lower() in IMG_EXTENSIONS and entry.is_file():
            contents.images.append(path)
        else:
            contents.others.append(path)
    return contents


def _copies(images: list[Path], digest_of: dict[Path, str]) -> list[tuple[Path, Path]]:
    """Return (first, copy) for each image that has the bytes of an earlier one."""
    full = [image for image in images if digest_of.get(image, EMPTY) != EMPTY]  # decode refuses
    return _repeats(full, [digest_of[image] for image in full])


def _repeats(items: list[Item], keys: list) -> list[tuple[Item, Item]]:
    """Return (first, repeat) for each item that has the key of an earlier one."""
    firsts = dict(zip(reversed(keys), reversed(items)))  # of equal keys the last one stays
    return [(firsts[of], item) for of, item in zip(keys, items) if firsts[of] != item]


def _access(listed: Iterable[Contents], closed: list[Path]) -> Iterator[Problem]:
    """Yield what cannot be read, because of permissions or of links to nothing."""
    every = list(listed)
    closed = [folder for contents in every for folder in contents.closed] + closed
    remedy = f"Give yourself the permission, {OR_SKIP}"
    yield Problem("cannot be read", closed, remedy)
    broken = list(dict.fromkeys(link for contents in every for link in contents.broken))
    yield Problem("links to nothing", broken, "Restore what they point at, or delete them")


def _problems(
    root: Path,
    official: dict[Path, tuple[Path, str]],
    around: dict[Path, Contents],
    contents: dict[Path, Contents],
    copies: list[tuple[Path, Path]],
) -> Iterator[Problem]:
    """Yield each kind of problem in and around the class folders, with all its places."""
    splits = dict(official.values()) or {root: ""}
    classes = sorted({folder.name for folder in contents})
    nested = [inner for inside in contents.values() for inner in inside.folders]
    few = [root] if len(classes) < 2 and not nested else []
    yield Problem("fewer than two classes", few, "Make one sub-folder a class")
    repeats = _repeats(list(official), [name for _, name in official.values()])
    twice = [f"{first} = {second}" for first, second in repeats]
    yield Problem("two folders for one split", twice, "Merge them, or move one away")
    loose = [image for inside in around.values() for image in inside.images]
    used = {*official, *contents}
    loose += [each for each in around[root].folders if each not in used]
    yield Problem("outside the class folders", loose, "Move each into the right class, or away")
    pairs = [split / name for split in splits for name in classes] if official else []
    absent = [folder for folder in pairs if folder not in contents]
    yield Problem("classes missing in a split", absent, "Add them, or delete them in the others")
    plain = [normalize("NFKC", name).strip().casefold() for name in classes]
    alike = [f"{first} = {name}" for first, name in _repeats(classes, plain)]
    yield Problem("class names equal but for case, spaces or unicode form", alike, "Merge them")
    empty = [folder for folder, inside in contents.items() if not any(inside)]
    yield Problem("empty classes", empty, "Fill or delete them")
    trees = [folder for folder, inside in contents.items() if inside.folders and not inside.images]
    trees = [tree for tree in trees if not SPLIT.fullmatch(tree.name.lower())]
    move = f"Point at {trees[0]} if that holds the classes, else move" if trees else "Move"
    yield Problem("folders in a class folder (a copy would leak into test)", nested, f"{move} them")
    others = [file for inside in contents.values() for file in inside.others]
    remedy = f"Convert or delete them, {OR_SKIP}"
    yield Problem("files that are not images", others, remedy)
    across = [f"{one} = {two}" for one, two in copies if one.parent.name != two.parent.name]
    yield Problem("same image in several classes", across, "Keep it in the right one")


def refuse(root: Path, *problems: Problem) -> None:
    """Raise `BadImageFolder` with those of the problems that occur, if any does."""
    messages = [problem.line(root) for problem in problems if problem.where]
    if messages:
        raise BadImageFolder("\n- ".join([f"cannot use the image folder {root}", *messages]))
