"""Choose which setting of a space to try next: Optuna's samplers, all on the same finite set."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
Space = Mapping[str, Sequence]  # field -> values in order; "tpe" and "gp" expect neighbours alike

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns when a fit falls back


@dataclass(frozen=True)
class Strategy:
    """A sampler on a space: which setting comes next, given the trials of a study.

    Raises `UnknownName` for an unknown sampler, ValueError for an empty space.
    """

    space: Space
    sampler: str  # one of SAMPLERS
    seed: tuple[int, ...]

    def __post_init__(self) -> None:
        check_name("sampler", self.sampler, SAMPLERS)
        if not self.space or not all(len(values) for values in self.space.values()):
            raise ValueError(f"a space needs fields, and a value for each of them: {self.space!r}")

    def at_most(self, trials: int) -> int:
        """Return the number of trials; a grid ends when every setting has been tried."""
        size = prod(map(len, self.space.values()))
        return min(trials, size) if self.sampler == "grid" else trials

    def first(self) -> dict:
        """Return the setting with the first value of each field."""
        return {field: values[0] for field, values in self.space.items()}

    def ask(self, study: optuna.Study) -> tuple[Trial, dict]:
        """Return a new trial, and the setting that the sampler chooses for it from earlier trials.

        Each trial has a sampler with its own seed: otherwise a second process or a restart would
        draw the same settings again.
        """
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            study.sampler = self._sampler(study)
            trial = study.ask()
            for field, values in self.space.items():
                trial.suggest_int(field, 0, len(values) - 1)
        return trial, self.setting(trial)

    def setting(self, trial: Trial | FrozenTrial) -> dict:
        """Return the values of a trial; Optuna itself knows only their places in the space."""
        return {field: values[trial.params[field]] for field, values in self.space.items()}

    def _sampler(self, study: optuna.Study) -> samplers.BaseSampler:
        number = len(study.get_trials(deepcopy=False))
        seed = int(np.random.SeedSequence((*self.seed, number)).generate_state(1)[0])
        by_model = {"tpe": samplers.TPESampler, "gp": samplers.GPSampler}
        if self.sampler in by_model:
            return by_model[self.sampler](seed=seed, n_startup_trials=STARTUP)
        fixed = self._untried(study) if self.sampler == "grid" else {}
        return samplers.PartialFixedSampler(fixed, samplers.RandomSampler(seed))

    def _untried(self, study: optuna.Study) -> dict[str, int]:
        """Return the next setting of a grid, as places, in one random order for all trials.

        Optuna's own grid never comes back to a trial that failed. What another process is trying
        is left for last: that process may be dead.
        """
        settings = list(product(*(range(len(values)) for values in self.space.values())))
        order = np.random.default_rng(self.seed).permutation(len(settings))
        done = self._places(study, TrialState.COMPLETE)
        running = self._places(study, TrialState.RUNNING)
        untried = min(order, key=lambda each: (settings[each] in done, settings[each] in running))
        return dict(zip(self.space, settings[untried]))

    def _places(self, study: optuna.Study, state: TrialState) -> set[tuple]:
        trials = study.get_trials(deepcopy=False, states=(state,))
        return {tuple(trial.params.get(field) for field in self.space) for trial in trials}
