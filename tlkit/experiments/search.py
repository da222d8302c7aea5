"""Search a set of settings for the best recipe, by training or by replaying known results."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from hashlib import sha256
from itertools import product

import optuna
import pandas as pd
import torch
from filelock import FileLock
from optuna.storages import JournalStorage, journal
from optuna.trial import FrozenTrial, Trial, TrialState

from tlkit.experiments.arms import Arms, coordinates
from tlkit.experiments.dry_run import dry_run
from tlkit.experiments.keys import key
from tlkit.experiments.records import complete
from tlkit.experiments.samplers import STARTUP, Space, Strategy
from tlkit.experiments.workers import in_parallel
from tlkit.ground.names import check_name
from tlkit.ground.paths import home
from tlkit.ground.progress import progress
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
    the coordinates, trial (from 1), the fields, val_accuracy (0 … 1), key. There are `trials` rows
    per arm, or all settings if a grid has fewer.

    Optuna stores the trials under `home()/searches`. After an interrupt the same call carries on
    (without the trial that was interrupted), more trials continue fewer, and several processes
    that make the same call share the work. Where the environment sets TLKIT_DRY_RUN, each arm
    takes two steps with its first setting. Raises `UnknownName` for an unknown field, and what
    `Strategy` and `coordinates` raise.
    """
    for field in space:
        check_name("field of Run", field, [each.name for each in fields(Run)])
    strategy = Strategy(space, sampler, (seed,))
    named = [(coordinates(arm, names), run) for arm, run in arms.items()]
    if os.environ.get("TLKIT_DRY_RUN"):
        first = strategy.first()
        return dry_run((arm, replace(run, **first)) for arm, run in named).assign(trial=1, **first)
    jobs = [(arm, run, strategy, strategy.at_most(trials)) for arm, run in named]
    return pd.concat(in_parallel(_search, jobs, "searches"), ignore_index=True)


def _search(arm: dict, base: Run, strategy: Strategy, trials: int) -> pd.DataFrame:
    """Search one arm until `trials` trials are complete, in this process or in others."""
    study, lock = _study(base, strategy)
    started = _started(study, lock, strategy, trials)
    for trial, setting in progress(started, f"search {arm['arm']}", trials - len(_done(study))):
        try:
            study.tell(trial, complete(replace(base, **setting)).val_accuracy)
        except BaseException:  # an interrupt too
            study.tell(trial, state=TrialState.FAIL)
            raise
    rows = []
    for number, trial in enumerate(_done(study)[:trials], 1):
        setting = strategy.setting(trial)
        result = {"val_accuracy": trial.value, "key": key(replace(base, **setting))}
        rows.append(arm | {"trial": number} | setting | result)
    return pd.DataFrame(rows)


def _study(base: Run, strategy: Strategy) -> tuple[optuna.Study, FileLock]:
    """Open the stored search of an arm, whatever its name, and the lock to ask for a trial."""
    run_key = key(replace(base, **strategy.first()))
    about = [run_key, strategy.space, strategy.sampler, STARTUP, strategy.seed]
    name = sha256(json.dumps(about, default=asdict).encode()).hexdigest()[:20]
    path = home() / "searches" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.asked")
    with lock:
        storage = JournalStorage(journal.JournalFileBackend(str(path)))
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
    return study, lock


def _started(
    study: optuna.Study, lock: FileLock, strategy: Strategy, trials: int
) -> Iterator[tuple[Trial, dict]]:
    """Yield new trials with their settings until enough are complete."""
    while True:
        with lock:  # two processes that ask at once would get the same setting
            if len(_done(study)) >= trials:
                return
            trial = strategy.ask(study)
        yield trial


def _done(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def replay(
    measured: pd.DataFrame, sampler: str, trials: int, seeds: Iterable[int] = range(10)
) -> pd.DataFrame:
    """Let a sampler search settings whose values are all known, once for each seed and table.

    `measured` has a row for each setting. Its index has a level for each field (values in the
    order of their first appearance). Each column is a table to search, such as the accuracies on
    one target with one seed. Returns a row per table, seed and trial; columns: table, seed, trial
    (from 1), the fields, value, best (the highest value so far). Nothing is trained: the seeds
    vary the luck of the search, not that of the measured values. Raises ValueError unless there
    is one row for each combination of values, and what `Strategy` raises.
    """
    space = {field: list(measured.index.unique(field)) for field in measured.index.names}
    settings = list(product(*space.values()))
    if len(measured) != len(settings) or not measured.index.is_unique:
        raise ValueError("a replay needs one row for each combination of the fields' values")
    jobs = [
        (measured.loc[settings, table], Strategy(space, sampler, (int(seed), place)), trials)
        for place, table in enumerate(measured)
        for seed in seeds
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
        study.tell(trial, value)
        place = {"table": measured.name, "seed": strategy.seed[0], "trial": number}
        rows.append(place | setting | {"value": value})
    table = pd.DataFrame(rows)
    return table.assign(best=table["value"].cummax())
