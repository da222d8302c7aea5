"""Train every run of an experiment once, in parallel, and return one tidy table."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd
from filelock import Timeout

from tlkit.experiments.arms import Arms, coordinates
from tlkit.experiments.dry_run import dry_run
from tlkit.experiments.keys import key
from tlkit.experiments.records import Record, complete, read
from tlkit.experiments.results import store
from tlkit.experiments.seeds import seed_numbers
from tlkit.experiments.workers import in_parallel
from tlkit.ground.paths import tidy_home
from tlkit.ground.settings import is_dry_run
from tlkit.images.pools import look_again
from tlkit.recipe import Run

# What the benchmark and the report need of each run, beside its coordinates.
SHORT = ("task", "classes", "train_per_class", "model", "size", "epochs", "batch_size", "seed")
MEASURED = ("accuracy", "val_accuracy", "parameters", "trainable", "seconds", "key", "diverged")


def sweep(arms: Arms, seeds: Iterable[int] = range(5), names: Sequence[str] = ()) -> pd.DataFrame:
    """Train each arm with each seed, unless its record is there, and return a row per run.

    `arms` maps the coordinates of an arm to its `Run`: `{("kin", "L2-SP"): run}` with
    `names=("target", "scheme")`, or without names just a label: `{"frozen": run}`. The arms are
    paired: a seed chooses the same images, order and new head for all of them, and a run that
    another starts from is trained afresh with every seed.

    Columns: arm (the label), the coordinates, every field of `Run` that is not a coordinate
    (weight_decay as it is applied), classes (their number), accuracy and val_accuracy (0 … 1),
    parameters, trainable, seconds, key, diverged (its loss or weights were not finite, so that its
    accuracies mean nothing). `in_parallel` chooses where the runs are trained. After an interrupt
    the same call carries on. Where the environment sets TLKIT_DRY_RUN, every arm takes two steps
    instead. Raises ValueError without an arm or a seed, and what `coordinates` and `seed_numbers`
    raise.
    """
    named = [(coordinates(arm, names), run) for arm, run in arms.items()]
    numbers = seed_numbers(seeds)
    if is_dry_run():
        return dry_run(named)
    runs = [(arm, _seeded(run, seed)) for arm, run in named for seed in numbers]
    if not runs:
        raise ValueError("nothing to train: give at least one arm and one seed")
    records = train([run for _, run in runs])
    # Coordinates come first, and keep their values where a field has the same name.
    table = pd.DataFrame([arm | _row(run, records[run]) | arm for arm, run in runs])
    store("runs", table[list(dict.fromkeys(["arm", *names, *SHORT, *MEASURED]))])
    return table


def _seeded(run: Run, seed: int) -> Run:
    init = _seeded(run.init, seed) if isinstance(run.init, Run) else run.init
    return replace(run, seed=seed, init=init)


def train(runs: Iterable[Run], keep_weights: bool = False) -> dict[Run, Record]:
    """Return the records of `runs`. Runs that others start from are trained first."""
    look_again()
    tidy_home()
    different = list(dict.fromkeys(runs))
    sources = [run.init for run in different if isinstance(run.init, Run)]
    if sources:
        train(sources, keep_weights=True)
    records = {run: read(key(run), keep_weights) for run in different}
    for timeout in (0, -1):  # what another process is training is left for last
        jobs = [(run, keep_weights, timeout) for run in different if records[run] is None]
        if jobs:
            records |= dict(in_parallel(_complete, jobs, "training runs"))
    return {run: record for run, record in records.items() if record is not None}


def _complete(run: Run, keep_weights: bool, timeout: float) -> tuple[Run, Record | None]:
    """Return None in place of the record that another process is about to write."""
    try:
        return run, complete(run, keep_weights, timeout)
    except Timeout:
        return run, None


def _row(run: Run, record: Record) -> dict:
    measured = {name: getattr(record, name) for name in MEASURED}
    return vars(run) | {"weight_decay": run.decay(), "classes": len(record.classes)} | measured
