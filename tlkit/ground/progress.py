"""Show progress bars with the time left: in a notebook, on a terminal, or not at all."""

from collections.abc import Iterable
from contextlib import suppress
from multiprocessing import current_process

from tqdm import auto, tqdm

from tlkit.ground import settings


def progress(items: Iterable, what: str, total: int | None = None) -> Iterable:
    """Iterate over `items` behind a bar; a worker process shows none.

    TLKIT_PROGRESS is "off", or names a terminal that shows the bar instead of the notebook: so
    `tlkit run` shows what happens inside its kernels. What is no terminal shows no bar.
    """
    where = settings.progress()
    if where == "off" or current_process().name != "MainProcess":
        return items
    if where:
        return _on_terminal(items, what, total, where)
    return auto.tqdm(items, desc=what, total=total, leave=False)


def _on_terminal(items: Iterable, what: str, total: int | None, name: str) -> Iterable:
    terminal = settings.open_terminal(name)
    if terminal is None:
        yield from items
        return
    try:
        yield from tqdm(items, desc=what, total=total, leave=False, file=terminal)
    finally:
        with suppress(OSError):  # the terminal may have been closed
            terminal.close()
