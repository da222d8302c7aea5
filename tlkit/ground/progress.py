"""Show progress bars with the time left: in a notebook, on a terminal, or not at all."""

import os
from collections.abc import Iterable
from multiprocessing import current_process

from tqdm import auto, tqdm


def progress(items: Iterable, what: str, total: int | None = None) -> Iterable:
    """Iterate over `items` behind a bar; a worker process shows none.

    TLKIT_PROGRESS is "off", or names a terminal that shows the bar instead of the notebook: so
    `tlkit run` shows what happens inside its kernels.
    """
    where = os.environ.get("TLKIT_PROGRESS", "")
    if where == "off" or current_process().name != "MainProcess":
        return items
    if where:
        return _on_terminal(items, what, total, where)
    return auto.tqdm(items, desc=what, total=total, leave=False)


def _on_terminal(items: Iterable, what: str, total: int | None, terminal: str) -> Iterable:
    with open(terminal, "w") as file:
        yield from tqdm(items, desc=what, total=total, leave=False, file=file)
