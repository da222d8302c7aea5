"""Progress bars with the time left, which a batch run can switch off."""

import os
from collections.abc import Iterable
from multiprocessing import current_process

from tqdm.auto import tqdm


def progress(items: Iterable, what: str, total: int | None = None) -> Iterable:
    """Iterate over `items` behind a bar; none in a worker, or where `TLKIT_PROGRESS=off`."""
    in_worker = current_process().name != "MainProcess"
    quiet = in_worker or os.environ.get("TLKIT_PROGRESS") == "off"
    return tqdm(items, desc=what, total=total, leave=False, disable=quiet)
