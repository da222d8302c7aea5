"""Which setting of a space to try next: Optuna's samplers, all on the same finite set."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod

import numpy as np
import optuna
from optuna import samplers
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, Trial, TrialState

from tlkit.ground.names import check_name

SAMPLERS = ("grid", "random", "tpe", "gp")
STARTUP = 5  # trials drawn at random before a model of the outcomes chooses
Space = Mapping[str, Sequence]  # field -> its values, in order: a model takes neighbours as alike

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns where a fit falls back


def check(space: Space, sampler: str, known: Iterable[str]) -> None:
    """Raise `UnknownName` for a sampler or field that is unknown, ValueError for an empty space."""
    check_name("sampler", sampler, SAMPLERS)
    for field in space:
        check_name("field of Run", field, known)
    if not space or not all(len(values) for values in space.values()):
        raise ValueError(f"a space needs fields, and each a value at least: {space!r}")


def at_most(trials: int, space: Space, sampler: str) -> int:
    """The trials that there can be: a grid ends."""
    return min(trials, prod(map(len, space.values()))) if sampler == "grid" else trials


def ask(
    study: optuna.Study, space: Space, sampler: str, seed: tuple[int, ...]
) -> tuple[Trial, dict]:
    """A new trial, and the setting that the sampler chooses for it from the trials before.

    Each trial has a sampler of its own seed, so that neither a second process nor a restart
    draws again what has been drawn.
    """
    number = len(study.get_trials(deepcopy=False))
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        study.sampler = _sampler(sampler, study, space, seed, number)
        trial = study.ask()
        for field, values in space.items():
            trial.suggest_int(field, 0, len(values) - 1)
    return trial, setting(trial, space)


def setting(trial: Trial | FrozenTrial, space: Space) -> dict:
    """Optuna knows the places of the values; this gives the values."""
    return {field: values[trial.params[field]] for field, values in space.items()}


def _sampler(
    name: str, study: optuna.Study, space: Space, seed: tuple[int, ...], number: int
) -> samplers.BaseSampler:
    own = int(np.random.SeedSequence((*seed, number)).generate_state(1)[0])
    match name:
        case "grid":
            return samplers.PartialFixedSampler(
                _untried(study, space, seed), samplers.RandomSampler(own)
            )
        case "random":
            return samplers.RandomSampler(own)
        case "tpe":
            return samplers.TPESampler(seed=own, n_startup_trials=STARTUP)
        case "gp":
            return samplers.GPSampler(seed=own, n_startup_trials=STARTUP)


def _untried(study: optuna.Study, space: Space, seed: tuple[int, ...]) -> dict[str, int]:
    """The next setting of a grid, as places, in one order for all trials of a seed.

    Optuna's own grid never comes back to a trial that failed. What another process is trying is
    left for last: that process may be dead.
    """
    settings = list(product(*(range(len(values)) for values in space.values())))
    order = [settings[each] for each in np.random.default_rng(seed).permutation(len(settings))]
    done, running = (
        {tuple(trial.params.get(field) for field in space)
         for trial in study.get_trials(deepcopy=False, states=(state,))}
        for state in (TrialState.COMPLETE, TrialState.RUNNING)
    )
    missing = [each for each in order if each not in done] or order
    free = [each for each in missing if each not in running]
    return dict(zip(space, (free or missing)[0]))
