"""Search a set of settings for the best recipe, by training or by replaying known results."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from itertools import product

import numpy as np
import optuna
import pandas as pd
import torch

from tlkit.experiments.arms import Arms, coordinates
from tlkit.experiments.dry_run import dry_run
from tlkit.experiments.records import complete
from tlkit.experiments.samplers import Space, Strategy, tell
from tlkit.experiments.seeds import seed_numbers
from tlkit.experiments.workers import in_parallel
from tlkit.ground.names import check_name
from tlkit.ground.numbers import whole
from tlkit.ground.paths import tidy_home
from tlkit.ground.progress import progress
from tlkit.ground.settings import is_dry_run
from tlkit.images.tasks import load
from tlkit.recipe import Run


def search(
    arms: Arms,
    space: Space,
    sampler: str = "gp",
    trials: int = 20,
    seed: int = 0,
    names: Sequence[str] = (),
) -> pd.DataFrame:
    """Search `space`, fields of `Run` with their values, for every arm; a row per arm and trial.

    A trial is the arm's run with one value for each field, trained as by `sweep` and judged by its
    validation accuracy. `arms` and `names` are those of `sweep`. `sampler` is "grid" (each setting
    once, in random order), "random" (with replacement), "tpe" or "gp" (Bayesian, after a few random
    trials). With one seed all arms begin with the same random settings. Columns: arm (the label),
    the coordinates, trial (from 1), the fields, val_accuracy (0 … 1; NaN for a run that diverged),
    key, diverged. There are `trials` rows per arm, or all settings if a grid has fewer.

    Each trial is a stored record, and the trials before decide the next. So after an interrupt
    the same call makes the same search, more trials continue fewer, and what another process
    trains is waited for. Where the environment sets TLKIT_DRY_RUN, each arm takes two steps with
    its first setting. Raises `UnknownName` for an unknown field, ValueError for a task without
    validation images, and what `Strategy`, `coordinates` and `whole` raise.
    """
    for field in space:
        check_name("field of Run", field, [each.name for each in fields(Run)])
    strategy = Strategy(space, sampler, (whole("the seed of a search", seed),))
    trials = strategy.at_most(whole("trials", trials, least=1))
    named = [(coordinates(arm, names), run) for arm, run in arms.items()]
    if not named:
        raise ValueError("nothing to search: give at least one arm")
    if is_dry_run():
        first = strategy.first()
        return dry_run((arm, replace(run, **first)) for arm, run in named).assign(trial=1, **first)
    tidy_home()
    for arm, run in named:
        _check_validation(arm, run, strategy.space)
    jobs = [(arm, run, strategy, trials) for arm, run in named]
    return pd.concat(in_parallel(_search, jobs, "searches"), ignore_index=True)


def _check_validation(arm: dict, base: Run, space: Space) -> None:
    """Raise ValueError if a trial would have no validation images, which judge it."""
    tasks, counts = space.get("task", [base.task]), space.get("val_per_class", [base.val_per_class])
    if 0 not in counts:
        return
    for task in tasks:  # a data set may have validation images of its own
        if not len(load(replace(base, task=task, val_per_class=0)).val):
            raise ValueError(
                f"arm {arm['arm']!r}: a search judges its trials by validation images, but "
                f"val_per_class=0 leaves none of {task!r}; set it to 1 or more"
            )


def _search(arm: dict, base: Run, strategy: Strategy, trials: int) -> pd.DataFrame:
    """Search one arm. Nothing but the records is stored: trials that are there take no time."""
    torch.set_num_threads(1)  # as in a training run: no sum, and so no choice, may depend on it
    study, rows = optuna.create_study(direction="maximize"), []
    for number in progress(range(1, trials + 1), f"search {arm['arm']}"):
        trial, setting = strategy.ask(study)
        record = complete(replace(base, **setting))
        value = np.nan if record.diverged else record.val_accuracy
        tell(study, trial, value, worst=0.0)
        result = {"val_accuracy": value, "key": record.key, "diverged": record.diverged}
        rows.append(arm | {"trial": number} | setting | result)
    return pd.DataFrame(rows)


def replay(
    measured: pd.DataFrame, sampler: str, trials: int, seeds: Iterable[int] = range(10)
) -> pd.DataFrame:
    """Let a sampler search settings whose values are all known, once for each seed and table.

    `measured` has a row for each setting. Its index has a level for each field (values in the
    order of their first appearance). Each column is a table to search, such as the accuracies on
    one target with one seed. Returns a row per table, seed and trial; columns: table, seed, trial
    (from 1), the fields, value, best (the highest value so far). Nothing is trained: the seeds
    vary the luck of the search, not that of the measured values. NaN counts as the worst. Raises
    ValueError unless there is one row for each combination of values and every table has a
    number, and what `Strategy`, `seed_numbers` and `whole` raise.
    """
    measured, numbers = pd.DataFrame(measured), seed_numbers(seeds)
    space = {field: list(measured.index.unique(field)) for field in measured.index.names}
    settings = list(product(*space.values()))
    if None in space or len(measured) != len(settings) or not measured.index.is_unique:
        raise ValueError("a replay needs one row for each combination of its fields' values")
    if not numbers or not measured.notna().any().all():
        raise ValueError("a replay needs a seed, and a number in each table")
    if len(space) == 1:
        settings = [setting for (setting,) in settings]
    trials = whole("trials", trials, least=1)
    jobs = [
        (values.loc[settings], Strategy(space, sampler, (seed, place)), trials)
        for place, (_, values) in enumerate(measured.items())
        for seed in numbers
    ]
    return pd.concat(in_parallel(_replay, jobs, "replays"), ignore_index=True)


def _replay(measured: pd.Series, strategy: Strategy, trials: int) -> pd.DataFrame:
    """Search one table. `measured` is in the order of the space: it becomes an axis per field."""
    torch.set_num_threads(1)  # a Gaussian process of few trials is eight times slower with two
    study = optuna.create_study(direction="maximize")
    values = measured.to_numpy(float).reshape([len(each) for each in strategy.space.values()])
    rows = []
    for number in range(1, strategy.at_most(trials) + 1):
        trial, setting = strategy.ask(study)
        value = float(values[tuple(trial.params[field] for field in strategy.space)])
        tell(study, trial, value, worst=np.nanmin(values))
        place = {"table": measured.name, "seed": strategy.seed[0], "trial": number}
        rows.append(place | setting | {"value": value})
    table = pd.DataFrame(rows)
    return table.assign(best=table["value"].cummax())
