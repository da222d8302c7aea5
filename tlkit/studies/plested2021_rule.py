"""plested2021's rule: how well pretrained weights fit a data set says whether L2SP helps there.

The measure is known second-hand and the gains are digitised: see the heads of the tables.
"""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from tlkit.judging.intervals import LEVEL
from tlkit.judging.ranking import permutation_p
from tlkit.studies.findings import Finding, points
from tlkit.studies.published import published

STAND_IN = {"Caltech-256": "Caltech-101"}  # what SimCLR's table has in its place


def findings() -> Iterator[Finding]:
    told = published("plested2021", "fit").set_index("dataset")["difference"]
    yield from _sign(told)
    yield _few_datasets(told)


def _sign(told: pd.Series) -> Iterator[Finding]:
    """Probe − random weights, as the measure is told: has another study's the other sign?"""
    leaderboard = published("plested2021", "leaderboard")
    random = leaderboard[leaderboard["init"] == "random"].set_index("dataset")["accuracy"]
    implied = [
        f"{accuracy + told[name]:.1f} or {accuracy - told[name]:.1f} ({name})"
        for name, accuracy in random.items()
    ]
    simclr = published("plested2021", "simclr").set_index("dataset")
    simclr = simclr.loc[[STAND_IN.get(name, name) for name in told.index]]
    gaps = simclr["probe"] - simclr["random"]
    same = int((np.sign(told).to_numpy() == np.sign(gaps)).sum())
    if 2 * same < len(told):
        yield Finding(
            "Fit measure: probe − random weights", f"{_by_dataset(told, 1)}, second-hand", "sign",
            f"With the printed accuracies of random weights the probes are, as told or reversed, "
            f"{', '.join(implied)} %. For {same} of the {len(told)} SimCLR's Table B.5 has the "
            f"told sign: {_by_dataset(gaps, 1)}. Random weights − probe is likelier.",
            "inconsistent",
        )


def _few_datasets(told: pd.Series) -> Finding:
    """What the measure says about L2SP's gain, by all orders of so few data sets."""
    bars = published("plested2021", "figure").pivot(index="dataset", columns="setting", values="accuracy")
    gains = (bars["default L2SP"] - bars["default"]).loc[told.index]
    one_sided, two_sided = (permutation_p(told, gains, sides) for sides in ("less", "two-sided"))
    orders, found = math.factorial(len(told)), stats.spearmanr(told, gains).statistic
    return Finding(
        "Fit measure | L2SP over default", f"{_by_dataset(gains)}, digitised", "exact permutation",
        f"Rank correlation {points(found)}: {one_sided * orders:.0f} of {orders} "
        f"orders have one so low, p {one_sided:.2f} (two-sided {two_sided:.2f}). With {len(told)} "
        f"data sets p is at best {1 / orders:.2g} (two-sided {2 / orders:.2g}).",
        "not shown" if two_sided > 1 - LEVEL else "exceeds noise",
    )


def _by_dataset(values: pd.Series, decimals: int = 2) -> str:
    said = [f"{points(value, decimals)} ({name})" for name, value in values.items()]
    return f"{', '.join(said)} points"
