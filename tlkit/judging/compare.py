"""Compare arms of a sweep, paired by seed and by test image, from their records."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from tlkit.experiments.arms import Arm, select, words
from tlkit.experiments.results import store
from tlkit.judging.ensembles import Outcome, outcome
from tlkit.judging.intervals import Difference, difference
from tlkit.judging.metrics import VALIDATION, contributions, largest_change


def measure(results: pd.DataFrame, metric: str = "accuracy") -> pd.Series:
    """Return a metric (see `metrics.contributions`) of every run in a sweep's table, 0 … 1."""
    values = [contributions(outcome(key), metric).mean() for key in results["key"]]
    return pd.Series(values, results.index)


def scores(results: pd.DataFrame, arm: Arm, metric: str = "accuracy") -> np.ndarray:
    """Return what each image adds to the metric of an arm's runs: float [seeds, images].

    For accuracy 1 or 0, right or wrong. `arm` is a label, or coordinates such as
    `{"target": "kin", "scheme": "L2-SP"}`. Raises `UnknownName` for an arm that is not there,
    ValueError for coordinates that several arms have.
    """
    return np.stack([contributions(each, metric) for each in _outcomes(results, arm).values()])


def _outcomes(results: pd.DataFrame, arm: Arm) -> dict[int, Outcome]:
    """Return an arm's outcome for each seed; a run that is in the table twice counts once."""
    runs = select(results, arm).drop_duplicates(["seed", "key"]).sort_values("seed")
    if runs["seed"].duplicated().any():
        arms = ", ".join(runs["arm"].unique()[:4])
        raise ValueError(f"({words(arm)}) means several arms: {arms}; give more coordinates")
    return {seed: outcome(key) for seed, key in zip(runs["seed"], runs["key"])}


def compare(
    results: pd.DataFrame, better: Arm, worse: Arm, metric: str = "accuracy", worse_metric: str = ""
) -> Difference:
    """Return a metric of one arm minus another's, in points, paired by seed and by image.

    `results` comes from `sweep`. Raises what `scores` raises, and ValueError for arms that were
    not trained with the same seeds.
    """
    sides = _outcomes(results, better), _outcomes(results, worse)
    seeds = [list(side) for side in sides]
    if seeds[0] != seeds[1]:
        raise ValueError(
            f"these arms are not paired; seeds of ({words(better)}): {seeds[0]}, "
            f"of ({words(worse)}): {seeds[1]}; train both with the same seeds"
        )
    metrics = metric, worse_metric or metric
    arms = [[(run, of) for run in side.values()] for side, of in zip(sides, metrics)]
    better_adds, worse_adds = (np.stack([contributions(*each) for each in arm]) for arm in arms)
    one = max(largest_change(*each) for arm in arms for each in arm)
    paired = difference(better_adds, worse_adds, one)
    if any(VALIDATION.fullmatch(of) for of in metrics):
        # Each seed has validation images of its own, so that their luck is in the seeds already.
        return replace(paired, by_image=(100 * one / paired.images) ** 2)
    return paired


def differences(
    results: pd.DataFrame, of: str, to: object, by: Sequence[str] = (), metric: str = "accuracy"
) -> pd.DataFrame:
    """Return the paired difference of every value of the coordinate `of` to its value `to`.

    One row for each other value of `of`, within each combination of the coordinates `by` that has
    the value `to`. Columns: `by`, `of`, minus (`to`), mean, low and high (points, the ends of the
    95 % interval), text ("+1.3 [0.5, 2.1]"), seeds, images (of the test; a coordinate of this name
    wins, as in `sweep`). The table is stored for the benchmark. Raises what `compare` raises.
    """
    rows = []
    for values, group in results.groupby(list(by), sort=False) if by else [((), results)]:
        place = dict(zip(by, values))
        others = [value for value in group[of].dropna().unique() if str(value) != str(to)]
        if str(to) not in set(group[of].astype(str)):
            continue
        for value in others:
            pair = compare(group, place | {of: value}, place | {of: to}, metric)
            low, high = pair.interval()
            numbers = {"mean": pair.mean, "low": low, "high": high, "text": str(pair)}
            sizes = {"seeds": pair.seeds, "images": pair.images}
            rows.append(place | {of: value, "minus": to} | numbers | sizes | place)
    table = pd.DataFrame(rows)
    store("differences", table.assign(of=of, metric=metric))
    return table
