"""Know files by the digest of their bytes; read again only those that may have changed."""

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path

from tlkit.ground.paths import home, put
from tlkit.ground.progress import progress

RECENT = 3 * 10**9  # nanoseconds; some file systems count time in steps of two seconds


def digests(folder: Path, files: Sequence[Path]) -> dict[Path, str]:
    """Return the digest of each of the files of a folder, without those that cannot be read.

    A digest is kept with inode, device, size, and times of change of its file: the system sets one
    of the times whatever a user sets the other to. Files that changed a moment ago are read again
    next time, because another change may leave the same times.
    """
    store = home() / "cache" / f"digests-{sha256(os.fsencode(folder)).hexdigest()[:12]}.json"
    try:
        known = json.loads(store.read_text("utf-8"))
        known = known if isinstance(known, dict) else {}
    except (OSError, ValueError):  # none yet, or damaged: the files are read again
        known = {}
    states = {file: _state(file) for file in files}
    new = [file for file, state in states.items() if state not in known]
    with ThreadPoolExecutor(4) as threads:
        read = list(progress(threads.map(_read, new), "reading", len(new)))
    digest_of = {file: known.get(state, "") for file, state in states.items()}
    keep = {state: known[state] for state in states.values() if state in known}
    for file, (state, digest) in zip(new, read):
        digest_of[file] = digest
        keep.update({state: digest} if state else {})
    if keep != known:
        with suppress(OSError):  # a read-only or full disk costs time only
            put(store, json.dumps(keep))
    return {file: digest for file, digest in digest_of.items() if digest}


def _state(file: Path | int) -> str:
    """Return what differs after any change of a file, or an empty text if it has no state."""
    try:
        state = os.stat(file)
    except OSError:
        return ""
    fields = state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
    return " ".join(map(str, fields))


def _read(file: Path) -> tuple[str, str]:
    """Return state and digest of a file; no state if it may lie, nothing if it is unreadable."""
    try:
        with file.open("rb") as opened:
            state = os.fstat(opened.fileno())
            now = time.time_ns()
            settled = state.st_ctime_ns < now - RECENT and abs(now - state.st_mtime_ns) > RECENT
            tells = settled and state.st_ino and os.name == "posix"  # else ctime is no change
            return _state(opened.fileno()) if tells else "", file_digest(
                opened, "sha256"
            ).hexdigest()
    except OSError:
        return "", ""
