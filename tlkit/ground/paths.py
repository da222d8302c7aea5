"""Know where files lie, and write them whole or not at all, in spite of kills and power cuts."""

import os
import re
import shutil
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EEXIST, EINVAL, ENOSPC, ENOTEMPTY, EPERM, EROFS
from functools import cache
from pathlib import Path
from uuid import uuid4

import psutil
from filelock import FileLock

from tlkit.ground.names import UnknownName

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "data"  # committed: weights, studies, reference results, pictures
STUDIES = SHIPPED / "studies"  # a folder for each: study.toml, claims.toml, published tables
DAY = 24 * 3600  # seconds
REMEDIES = dict.fromkeys((ENOSPC, EDQUOT), "free some space there") | dict.fromkeys(
    (EROFS, EACCES, EPERM), "make the folder writable"
)


def home() -> Path:
    """Return the folder for what the kit makes: TLKIT_HOME, or `data/` of the checkout.

    Raises `UnknownName` where TLKIT_HOME cannot be a folder.
    """
    text = os.environ.get("TLKIT_HOME", "")
    if not text:
        return SHIPPED
    expanded = os.path.expanduser(text)
    place = Path(expanded).absolute()
    if expanded.startswith("~") or (place.exists() and not place.is_dir()):
        raise UnknownName(f"TLKIT_HOME must name a folder; {text!r} is none. Set another, or none")
    return place


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`, for a new file or folder; it becomes `path` at the end.

    A killed process or a full disk leaves nothing at `path`; an error leaves nothing at all. What
    is at `path` is also on the disk, so that a power cut cannot empty it. A folder that is there
    already stays.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent)
    partial = path.with_name(f".partial-{_host()}-{os.getpid()}-{uuid4().hex[:8]}")
    try:
        with explained(path):
            yield partial
            _sync([*partial.rglob("*"), partial])
            _rename(partial, path)
            _sync([path.parent])
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _rename(partial: Path, path: Path) -> None:
    try:
        partial.replace(path)
    except OSError as problem:  # two processes have made the same folder: the first one stays
        if not (problem.errno in (EEXIST, ENOTEMPTY) and partial.is_dir() and path.is_dir()):
            raise


def _sync(paths: Sequence[Path]) -> None:
    """Wait until files and folders are on the disk: together, because each alone takes as long."""
    if os.name != "nt":  # Windows cannot open a folder
        with ThreadPoolExecutor(min(8, len(paths))) as pool:
            list(pool.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as problem:
        if problem.errno != EINVAL:  # some file systems cannot do it with folders
            raise
    finally:
        os.close(file)


def put(path: Path, text: str) -> Path:
    """Write a text to `path`, whole or not at all, and return `path`."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Let errors of a full or read-only disk name the file, the folder and the remedy."""
    try:
        yield
    except OSError as problem:
        at = Path(os.fsdecode(problem.filename)) if problem.filename else path
        ours = path.is_relative_to(at) or at.is_relative_to(path.parent)  # not an image being read
        if problem.errno not in REMEDIES or not ours:
            raise
        raise OSError(
            problem.errno,
            f"{os.strerror(problem.errno)}: cannot write {path.name} in {path.parent}; "
            f"{REMEDIES[problem.errno]}, or set TLKIT_HOME to another folder",
        ) from problem


@contextmanager
def locked(path: Path, timeout: float = -1) -> Iterator[None]:
    """Let one process at a time make what belongs at `path`.

    The system frees the lock when its holder dies, so a killed process blocks nobody. Raises
    `filelock.Timeout` where another process still has it after `timeout` seconds (−1: wait on).
    """
    file = path.with_name(f"{path.name}.lock")
    lock = FileLock(file)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tidy(path.parent)
        lock.acquire(timeout=timeout)
    try:
        yield
    finally:
        with suppress(OSError):  # who waits for it notices, and makes a new one
            file.unlink()
        lock.release()


@cache  # once for each process
def tidy(folder: Path) -> None:
    """Remove the unfinished files and the locks that killed processes have left in a folder."""
    for partial in folder.glob(".partial-*"):
        with suppress(OSError):
            if _is_dead(partial):
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
    for file in folder.glob("*.lock"):
        with suppress(OSError), FileLock(file, timeout=0):  # nobody holds it
            file.unlink()


def tidy_home() -> None:
    """Remove what killed processes have left where it would grow."""
    for name in ("records", "cache"):
        tidy(home() / name)


def _is_dead(partial: Path) -> bool:
    """Return whether the process that wrote it has ended; of other machines: probably."""
    _, host, pid, *_ = [*partial.name.split("-"), "", ""]
    written = partial.stat().st_mtime
    if host != _host() or not pid.isdigit():
        return time.time() - written > DAY
    try:  # a number may belong to another process by now; clocks may differ by a minute
        return psutil.Process(int(pid)).create_time() > written + 60
    except psutil.NoSuchProcess:
        return True


@cache
def _host() -> str:
    """Return what tells process numbers apart: the machine, and on Linux the container."""
    space = Path("/proc/self/ns/pid")
    name = f"{socket.gethostname()}.{os.readlink(space) if space.is_symlink() else ''}"
    return re.sub(r"[^\w.]", "_", name)[:100]


def set_aside(path: Path, problem: object) -> None:
    """Rename a damaged file or folder, so that it is made again, and warn; delete nothing."""
    aside = path.with_name(f"{path.name}.damaged-{uuid4().hex[:8]}")
    try:
        path.rename(aside)
        remedy = f"it is now {aside.name}, which you may delete; a new one is made when needed"
    except FileNotFoundError:
        return  # another process was first
    except OSError as denied:
        remedy = f"delete it, or set TLKIT_HOME to another folder ({denied.strerror})"
    warnings.warn(f"{path} is damaged and is not used ({problem}): {remedy}", stacklevel=3)
