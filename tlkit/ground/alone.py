"""Keep the threads of one process apart: they share torch's random generator and more."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import torch

LOCK = RLock()


@contextmanager
def alone() -> Iterator[None]:
    """Let one thread at a time use what torch shares in a process, and restore it at the end.

    That is the random generator, the number of threads and fx tracing (it replaces a method of
    all modules). Inside, a CPU takes one thread: no sum may depend on the number of threads.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with LOCK, torch.random.fork_rng(devices):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
