"""Ensembles of finished runs, from their stored test outputs: nothing is trained."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from tlkit.experiments.arms import Arm, select, words
from tlkit.experiments.records import Record, read

JOINT = "+"  # between the keys of the members


@dataclass(frozen=True)
class Ensemble:
    """Several records that answer together; it has test outputs as a record has."""

    records: tuple[Record, ...]

    @property
    def classes(self) -> list[str]:
        return self.records[0].classes

    def test_outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the log of the members' mean softmax [n, classes], and the labels [n].

        Raises ValueError for members that were tested on other images.
        """
        outputs, labels = zip(*(record.test_outputs() for record in self.records))
        if not all(np.array_equal(labels[0], each) for each in labels):
            raise ValueError("the members of an ensemble need the same test images")
        logs = [each - logsumexp(each, axis=1, keepdims=True) for each in outputs]
        return logsumexp(logs, axis=0) - np.log(len(logs)), labels[0]


Outcome = Record | Ensemble


def outcome(key: str) -> Outcome:
    """Return the record of a key, or the ensemble of several; raises ValueError if one is gone."""
    records = tuple(record for each in key.split(JOINT) if (record := read(each)))
    if len(records) <= key.count(JOINT):
        raise ValueError(f"no record of a run in {key!r}; call its sweep again")
    return Ensemble(records) if len(records) > 1 else records[0]


def ensemble(results: pd.DataFrame, arm: Arm, size: int) -> pd.DataFrame:
    """Return rows like those of `sweep` for ensembles of `size` runs of an arm, none in two.

    Each ensemble has two rows, so that `compare` pairs them: with the coordinate `role`
    "ensemble", and with "best", the member that was best on its validation images. Further
    columns: arm (a label), the coordinates of `arm`, size, seed (counts the ensembles), key. Runs
    of different seeds have seen different training images. Raises ValueError for too few runs,
    and what `arms.select` raises.
    """
    runs = select(results, arm).drop_duplicates("key").sort_values("seed")
    if size < 2 or len(runs) < size:
        raise ValueError(f"{len(runs)} runs of ({words(arm)}) give no ensemble of {size}")
    point = dict(arm) if isinstance(arm, Mapping) else {}
    rows = []
    for number in range(len(runs) // size):
        members = runs.iloc[number * size : (number + 1) * size]
        best = members.iloc[members["val_accuracy"].argmax()]
        for role, key in (("best", best["key"]), ("ensemble", JOINT.join(members["key"]))):
            label = {"arm": f"{words(arm)}, {role} of {size}"}
            rows.append(label | point | {"role": role, "size": size, "seed": number, "key": key})
    return pd.DataFrame(rows)
