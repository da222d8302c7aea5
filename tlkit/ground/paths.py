"""Know where files lie, and write them whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "data"  # committed: weights, studies, reference results, pictures
STUDIES = SHIPPED / "studies"  # a folder for each: study.toml, claims.toml, published tables


def home() -> Path:
    """Return the folder for what the kit makes: TLKIT_HOME, or `data/` of the checkout."""
    return Path(os.environ.get("TLKIT_HOME", SHIPPED))


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`, for a new file or folder; it becomes `path` at the end.

    A killed process or a full disk leaves nothing at `path`; an error leaves nothing at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}-{uuid4().hex[:8]}")
    try:
        yield partial
        partial.replace(path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def put(path: Path, text: str) -> Path:
    """Write a text to `path`, whole or not at all, and return `path`."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path
