"""Do independent jobs in parallel, in processes of this machine or on a cluster."""

import os
from collections.abc import Callable, Sequence
from unittest.mock import patch

import torch
from joblib import Parallel, cpu_count, delayed

from tlkit.ground.machine import KEEP_MEMORY
from tlkit.ground.paths import home
from tlkit.ground.progress import progress
from tlkit.ground.settings import jobs
from tlkit.images.pools import look_again


def workers() -> int:
    """Return how many processes train at a time: TLKIT_JOBS, or one per core, or one for a GPU."""
    return jobs() or (1 if torch.cuda.is_available() else cpu_count())


def in_parallel(job: Callable, arguments: Sequence[tuple], what: str) -> list:
    """Return what `job` returns for each of `arguments`, in their order, from several processes.

    `workers()` says how many; one is this very process. Inside `joblib.parallel_config` the jobs
    go to the cluster that it names. `what` names the jobs beside the progress bar. Raises what a
    job raises.
    """
    with patch.dict(os.environ, KEEP_MEMORY | os.environ):
        done = Parallel(min(len(arguments), workers()), batch_size=1, return_as="generator")(
            delayed(_do)(str(home()), job, each) for each in arguments
        )
        return list(progress(done, what, len(arguments)))


def _do(place: str, job: Callable, arguments: tuple) -> object:
    # A worker may have started before the caller set TLKIT_HOME, or before the images changed.
    os.environ["TLKIT_HOME"] = place
    look_again()
    return job(*arguments)
