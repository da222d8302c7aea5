"""Where things lie, and how they are put there: whole, or not at all."""

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
    """Folder for everything that the kit makes (drawings, records, reports).

    `data/` of the checkout, or the folder that the environment variable `TLKIT_HOME` names.
    """
    return Path(os.environ.get("TLKIT_HOME", SHIPPED))


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """Fill a temporary folder beside `folder`; it takes that name once the block has ended well.

    A killed process or a full disk leaves no `folder` at all; an error leaves nothing else either.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".partial-{folder.name}-{uuid4().hex[:8]}")
    partial.mkdir()
    try:
        yield partial
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def put(path: Path, text: str) -> Path:
    """Write a text beside `path` and move it into place: no half of it is ever seen."""
    draft = path.with_name(f".{path.name}-{uuid4().hex[:8]}")
    try:
        draft.write_text(text, encoding="utf-8")
        return draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
