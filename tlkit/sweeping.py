"""Train every run of an experiment once, in parallel, and return one tidy table."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from unittest.mock import patch

import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed

from tlkit.data import load
from tlkit.environment import KEEP_MEMORY
from tlkit.paths import home
from tlkit.pools import look_again
from tlkit.progress import progress
from tlkit.records import Record, complete, initial_weights, key, read
from tlkit.results import keep
from tlkit.runs import Run
from tlkit.training import Trained, execute

KEPT = [  # for the benchmark and the report
    "arm", "task", "classes", "train_per_class", "model", "size", "epochs", "batch_size", "seed",
    "accuracy", "val_accuracy", "parameters", "trainable", "seconds", "key",
]


def sweep(arms: Mapping[str, Run], seeds: Iterable[int] = range(5)) -> pd.DataFrame:
    """Train each arm with each seed, unless its record is there, and return a row per run.

    The arms are paired: a seed chooses the same images, order and new head for all of them, and
    a run that another starts from is trained afresh with every seed.
    Columns: `arm`, every field of `Run` (weight_decay as it comes out), classes (their number),
    accuracy and val_accuracy (0 … 1), parameters, trainable, seconds, key. Runs go to as many
    processes as `workers` says; inside `joblib.parallel_config` to the cluster that it names.
    After an interrupt the same call carries on. Where the environment sets TLKIT_DRY_RUN, every
    arm takes two steps instead, and the table says what the whole would take.
    """
    if os.environ.get("TLKIT_DRY_RUN"):
        return dry_run(arms)
    runs = [(arm, _seeded(run, int(seed))) for arm, run in arms.items() for seed in seeds]
    if not runs:
        raise ValueError("nothing to train: give at least one arm and one seed")
    records = train([run for _, run in runs])
    table = pd.DataFrame([{"arm": arm} | _row(run, records[run]) for arm, run in runs])
    keep("runs", table[KEPT])
    return table


def _seeded(run: Run, seed: int) -> Run:
    init = _seeded(run.init, seed) if isinstance(run.init, Run) else run.init
    return replace(run, seed=seed, init=init)


def train(runs: Iterable[Run], keep_weights: bool = False) -> dict[Run, Record]:
    """The records of `runs`; those that others start from are trained first, with weights kept."""
    look_again()
    wanted = list(dict.fromkeys(runs))
    sources = [run.init for run in wanted if isinstance(run.init, Run)]
    if sources:
        train(sources, keep_weights=True)
    records = {run: read(key(run), keep_weights) for run in wanted}
    for wait in (False, True):  # what another process is training is left for last
        missing = [run for run in wanted if records[run] is None]
        if missing:
            jobs = [(run, keep_weights, wait) for run in missing]
            records |= dict(in_parallel(_complete, jobs, "training runs"))
    return records


def workers() -> int:
    """Processes that train at a time: TLKIT_JOBS of them, or one per core, or one for a GPU."""
    asked = os.environ.get("TLKIT_JOBS")
    if asked:
        return int(asked)
    return 1 if torch.cuda.is_available() else cpu_count()


def in_parallel(job: Callable, arguments: Sequence[tuple], what: str) -> list:
    """What `job` returns for each of `arguments`, in their order, from `workers()` processes.

    `what` names the jobs beside the progress bar. One worker is this very process. Raises what a
    job raises.
    """
    with patch.dict(os.environ, KEEP_MEMORY | os.environ):
        done = Parallel(min(len(arguments), workers()), batch_size=1, return_as="generator")(
            delayed(_do)(str(home()), job, each) for each in arguments
        )
        return list(progress(done, what, len(arguments)))


def _do(place: str, job: Callable, arguments: tuple) -> object:
    os.environ["TLKIT_HOME"] = place  # a worker may be older than the caller's setting,
    look_again()  # and than the images
    return job(*arguments)


def _complete(run: Run, keep_weights: bool, wait: bool) -> tuple[Run, Record | None]:
    return run, complete(run, keep_weights, wait)


def _row(run: Run, record: Record) -> dict:
    measured = ("accuracy", "val_accuracy", "parameters", "trainable", "seconds", "key")
    found = {name: getattr(record, name) for name in measured}
    return vars(run) | {"weight_decay": run.decay(), "classes": len(record.classes)} | found


def dry_run(arms: Mapping[str, Run]) -> pd.DataFrame:
    """Build every arm and train it for two steps: does it run, and how long would the whole take?

    Prints and returns the table. Columns: arm, parameters, trainable, train_loss, val_accuracy (of
    a few images: a number for notebooks that choose by it), seconds (of the two steps), hours (of
    one whole run at that pace, without what a cached prefix saves).
    """
    rows, sources = [], {}
    for arm, run in progress(list(arms.items()), "two steps of each arm"):
        tried = _two_steps(run, sources)
        steps = run.epochs * max(1, len(load(run).train) // run.batch_size)
        rows.append({
            "arm": arm, "parameters": tried.parameters, "trainable": tried.trainable,
            **{name: tried.history[-1][name] for name in ("train_loss", "val_accuracy")},
            "seconds": round(tried.seconds, 2),
            "hours": round(tried.seconds / 2 * steps / 3600, 3),
        })
    found = pd.DataFrame(rows)
    print(found.to_string(index=False))
    return found


def _two_steps(run: Run, sources: dict[Run, dict[str, torch.Tensor]]) -> Trained:
    """`sources` keeps the weights of runs that several arms start from."""
    if isinstance(run.init, Run):
        if run.init not in sources:
            sources[run.init] = _two_steps(run.init, sources).weights
        weights = sources[run.init]
    else:
        weights = initial_weights(run)
    return execute(replace(run, epochs=1), load(run).trial(2 * run.batch_size), weights)
