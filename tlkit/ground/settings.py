"""Read the settings of the environment: TLKIT_JOBS, TLKIT_DRY_RUN, TLKIT_PROGRESS.

`paths.home` reads TLKIT_HOME.
"""

import os
import stat
from typing import TextIO

from tlkit.ground.names import UnknownName

YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


def jobs() -> int | None:
    """Return TLKIT_JOBS, how many processes train; None if it is not set.

    Raises `UnknownName` for what is no whole number of at least 1.
    """
    text = os.environ.get("TLKIT_JOBS", "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UnknownName(f"TLKIT_JOBS must be a whole number of at least 1, not {text!r}")
    return int(text) if text else None


def is_dry_run() -> bool:
    """Return whether TLKIT_DRY_RUN asks for two steps of each arm instead of whole runs.

    Raises `UnknownName` for a value that is neither of `YES` nor of `NO`.
    """
    text = os.environ.get("TLKIT_DRY_RUN", "").strip().lower()
    if text not in YES + NO:
        raise UnknownName(f"TLKIT_DRY_RUN must be 1 or 0, not {text!r}")
    return text in YES


def progress() -> str:
    """Return TLKIT_PROGRESS: "" for bars in the notebook, "off", or the name of a terminal."""
    return os.environ.get("TLKIT_PROGRESS", "").strip()


def open_terminal(name: str) -> TextIO | None:
    """Open a terminal to write to; None if it is none or cannot be opened. Make no file."""
    try:
        if not stat.S_ISCHR(os.stat(name).st_mode):
            return None
        file = os.open(name, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    except (OSError, ValueError):  # it is gone, belongs to another user, or has a NUL in its name
        return None
    if os.isatty(file):
        return os.fdopen(file, "w", encoding="utf-8", errors="replace")
    os.close(file)
    return None
