"""Search a set of settings for the best recipe, live or as a replay."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path

import optuna
import pandas as pd
import torch
from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from tlkit.experiments.dry_run import dry_run
from tlkit.experiments.keys import key
from tlkit.experiments.records import complete
from tlkit.experiments.samplers import STARTUP, Space, ask, at_most, check, setting
from tlkit.experiments.workers import in_parallel
from tlkit.ground.paths import home
from tlkit.ground.progress import progress
from tlkit.recipe import Run


def search(
    arms: Mapping[str, Run], space: Space, sampler: str = "gp", trials: int = 20, seed: int = 0
) -> pd.DataFrame:
    """Search `space`, fields of `Run` with their values, for every arm; a row per arm and trial.

    A trial is the arm's run with one value for each field, trained as by `sweep`, judged by its
    validation accuracy. `sampler` is one of `samplers.SAMPLERS`: "grid" (each setting once, in an
    order of chance), "random" (with replacement), "tpe" and "gp" (Bayesian, after a few random
    trials). Columns: arm, trial (from 1), the fields, val_accuracy (0 … 1), key; `trials` rows
    per arm, or all settings if a grid has fewer. Arms are searched in parallel, and with one seed
    all begin with the same random settings.

    What has been tried is kept by Optuna under `home()/searches`: after an interrupt the same call
    carries on (the trial it hit is lost), more trials continue fewer, and several processes that
    make the same call share the work. Where the environment sets TLKIT_DRY_RUN, each arm takes
    two steps with its first setting. Raises what `samplers.check` raises.
    """
    check(space, sampler, [field.name for field in fields(Run)])
    if os.environ.get("TLKIT_DRY_RUN"):
        first = {field: values[0] for field, values in space.items()}
        tried = dry_run({arm: replace(run, **first) for arm, run in arms.items()})
        return tried[["arm", "val_accuracy"]].assign(trial=1, **first)
    wanted = at_most(trials, space, sampler)
    jobs = [(arm, run, space, sampler, wanted, (seed,)) for arm, run in arms.items()]
    return pd.concat(in_parallel(_search, jobs, "searches"), ignore_index=True)


def _search(
    arm: str, base: Run, space: Space, sampler: str, trials: int, seed: tuple[int]
) -> pd.DataFrame:
    first = {field: values[0] for field, values in space.items()}
    about = [key(replace(base, **first)), space, sampler, STARTUP, seed]
    name = sha256(json.dumps(about, default=asdict).encode()).hexdigest()[:20]
    path = home() / "searches" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.asked"):
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))), study_name=name,
            direction="maximize", load_if_exists=True,
        )
    ask_next = partial(ask, study, space, sampler, seed)
    missing = max(0, trials - len(_done(study)))
    asked = _asked(study, ask_next, trials, path)
    for trial, chosen in progress(asked, f"search {arm}", missing):
        run = replace(base, **chosen)
        try:
            study.tell(trial, complete(run).val_accuracy)
        except BaseException:  # an interrupt too
            study.tell(trial, state=TrialState.FAIL)
            raise
    rows = []
    for number, trial in enumerate(_done(study)[:trials], 1):
        chosen = setting(trial, space)
        run_key = key(replace(base, **chosen))
        rows.append({"arm": arm, "trial": number, **chosen, "val_accuracy": trial.value,
                     "key": run_key})
    return pd.DataFrame(rows)


def _asked(
    study: optuna.Study, ask_next: Callable, trials: int, path: Path
) -> Iterator[tuple[Trial, dict]]:
    """The next trial and its setting, until so many are done, by whichever process."""
    while True:
        with FileLock(f"{path}.asked"):  # two that ask at once would be told the same
            if len(_done(study)) >= trials:
                return
            asked = ask_next()
        yield asked


def _done(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def replay(
    measured: pd.DataFrame, sampler: str, trials: int, seeds: Iterable[int] = range(10)
) -> pd.DataFrame:
    """Let a sampler search settings whose values have all been measured, often.

    `measured` has a row for each setting, its index a level for each field (values in the order
    of their first appearance), and a column for each table to be searched, such as the
    accuracies on one target with one seed. Returns a row per table, seed and trial; columns:
    table, seed, trial (from 1), the fields, value, best (the highest value so far). Nothing is
    trained: what is averaged over is the luck of the search, not that of the measured values.
    Raises ValueError unless there is one row for each combination of values, and what
    `samplers.check` raises.
    """
    space = {field: list(measured.index.unique(field)) for field in measured.index.names}
    check(space, sampler, space)
    settings = list(product(*space.values()))
    if len(measured) != len(settings) or not measured.index.is_unique:
        raise ValueError("a replay needs one row for each combination of the fields' values")
    jobs = [
        (measured.loc[settings, table], space, sampler, at_most(trials, space, sampler),
         (int(seed), place))
        for place, table in enumerate(measured) for seed in seeds
    ]
    return pd.concat(in_parallel(_replay, jobs, "replays"), ignore_index=True)


def _replay(
    measured: pd.Series, space: Space, sampler: str, trials: int, seed: tuple[int, int]
) -> pd.DataFrame:
    """`measured` is in the order of the space, and so an array with an axis for each field."""
    torch.set_num_threads(1)  # a Gaussian process of few trials is eight times slower with two
    study = optuna.create_study(direction="maximize")
    values = measured.to_numpy(float).reshape([len(choices) for choices in space.values()])
    rows = []
    for number in range(1, trials + 1):
        trial, chosen = ask(study, space, sampler, seed)
        value = float(values[tuple(trial.params[field] for field in space)])
        study.tell(trial, value)
        rows.append({"table": measured.name, "seed": seed[0], "trial": number, **chosen,
                     "value": value})
    return pd.DataFrame(rows).assign(best=lambda rows: rows["value"].cummax())
