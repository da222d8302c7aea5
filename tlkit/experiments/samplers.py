"""Choose which setting of a space to try next: Optuna's samplers, all on the same finite set."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
import optuna
from optuna import samplers
from optuna.exceptions import ExperimentalWarning
from optuna.trial import Trial

from tlkit.ground.names import check_name

SAMPLERS = ("grid", "random", "tpe", "gp")
STARTUP = 5  # trials drawn at random before a model of the outcomes chooses
Space = Mapping[str, Sequence]  # field -> values in order; "tpe" and "gp" expect neighbours alike

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns when a fit falls back


@dataclass(frozen=True)
class Strategy:
    """A sampler on a space: which setting comes next, given the trials of a study.

    The same trials with the same values always lead to the same next setting. Raises `UnknownName`
    for an unknown sampler, ValueError for an empty space or a field without a list of values.
    """

    space: Space
    sampler: str  # one of SAMPLERS
    seed: tuple[int, ...]

    def __post_init__(self) -> None:
        check_name("sampler", self.sampler, SAMPLERS)
        lists = {}
        for field, values in self.space.items():
            if isinstance(values, str) or not isinstance(values, Iterable):
                raise ValueError(f"the space needs a list of values for {field}, not {values!r}")
            lists[field] = [v.item() if isinstance(v, np.generic) else v for v in values]
        if not lists or not all(lists.values()):
            raise ValueError(f"a space needs fields, and a value for each of them: {self.space!r}")
        object.__setattr__(self, "space", lists)

    def at_most(self, trials: int) -> int:
        """Return the number of trials; a grid ends when every setting has been tried."""
        size = prod(map(len, self.space.values()))
        return min(trials, size) if self.sampler == "grid" else trials

    def first(self) -> dict:
        """Return the setting with the first value of each field."""
        return {field: values[0] for field, values in self.space.items()}

    def ask(self, study: optuna.Study) -> tuple[Trial, dict]:
        """Return a new trial, and the setting that the sampler chooses for it from earlier trials.

        Each trial has a sampler with its own seed, so that a search may begin with stored trials.
        """
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            study.sampler = self._sampler(study)
            trial = study.ask()
            for field, values in self.space.items():
                trial.suggest_int(field, 0, len(values) - 1)
        # Optuna itself knows only the places of the values in the space.
        return trial, {field: values[trial.params[field]] for field, values in self.space.items()}

    def _sampler(self, study: optuna.Study) -> samplers.BaseSampler:
        number = len(study.get_trials(deepcopy=False))
        seed = int(np.random.SeedSequence((*self.seed, number)).generate_state(1)[0])
        by_model = {"tpe": samplers.TPESampler, "gp": samplers.GPSampler}
        if self.sampler in by_model:
            return by_model[self.sampler](seed=seed, n_startup_trials=STARTUP)
        fixed = self._from_grid(number) if self.sampler == "grid" else {}
        return samplers.PartialFixedSampler(fixed, samplers.RandomSampler(seed))

    def _from_grid(self, number: int) -> dict[str, int]:
        """Return a setting of a grid, as places, in one random order for all trials."""
        settings = list(product(*(range(len(values)) for values in self.space.values())))
        order = np.random.default_rng(self.seed).permutation(len(settings))
        return dict(zip(self.space, settings[order[number]]))


def tell(study: optuna.Study, trial: Trial, value: float, worst: float) -> None:
    """Tell the value of a trial; `worst` for NaN, because Optuna forgets what it calls failed."""
    study.tell(trial, worst if np.isnan(value) else value)
