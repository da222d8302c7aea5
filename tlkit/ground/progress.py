"""Progress bars with the time left, for a student, a batch run on a terminal, or nobody."""

import os
from collections.abc import Iterable
from multiprocessing import current_process

import tqdm
import tqdm.auto


def progress(items: Iterable, what: str, total: int | None = None) -> Iterable:
    """Iterate over `items` behind a bar; a worker process shows none.

    The environment variable TLKIT_PROGRESS may say "off", or name the terminal that shall show
    the bar instead of the notebook: so `tlkit run` shows what happens inside its kernels.
    """
    where = os.environ.get("TLKIT_PROGRESS", "")
    if where == "off" or current_process().name != "MainProcess":
        return items
    if not where:
        return tqdm.auto.tqdm(items, desc=what, total=total, leave=False)
    return _on_terminal(items, what, total, where)


def _on_terminal(items: Iterable, what: str, total: int | None, terminal: str) -> Iterable:
    with open(terminal, "w") as file:
        yield from tqdm.tqdm(items, desc=what, total=total, leave=False, file=file)
