"""Where things lie, and how they are put there: whole, or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "data"  # committed: weights, published tables, claims


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
