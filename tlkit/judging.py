"""Judge claims, from records only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from tlkit.ensembles import Members, outcome
from tlkit.metrics import VALIDATION, contributions, reach
from tlkit.names import check_name
from tlkit.published import Claim, Comparison, claim
from tlkit.records import Record
from tlkit.stats import CLAIMS, FAMILY_LEVEL, LEVEL, Difference, Estimate, difference

SHOWN = 3  # comparisons of one claim, at most
Asked = Comparison | Claim  # a claim itself where it is about a quantity
Found = Difference | Estimate


def measure(results: pd.DataFrame, metric: str = "accuracy") -> pd.Series:
    """A metric (see `metrics.contributions`) of every run in the table of a sweep, 0 … 1."""
    values = [contributions(outcome(key), metric).mean() for key in results["key"]]
    return pd.Series(values, results.index)


def scores(results: pd.DataFrame, arm: str, metric: str = "accuracy") -> np.ndarray:
    """What each image adds to the metric of an arm's runs: float [seeds, images].

    For accuracy 1 or 0, right or wrong. `results` comes from `sweep`; raises `UnknownName` for an
    arm that is not in it.
    """
    return np.stack([contributions(record, metric) for record in _records(results, arm)])


def _records(results: pd.DataFrame, arm: str) -> list[Record | Members]:
    """An arm's records, by seed; one that is in the table twice counts once."""
    check_name("arm", arm, results["arm"].unique())
    runs = results[results["arm"] == arm].drop_duplicates("key").sort_values("seed")
    return [outcome(key) for key in runs["key"]]


def compare(
    results: pd.DataFrame, better: str, worse: str, metric: str = "accuracy",
    worse_metric: str = "",
) -> Difference:
    """A metric of one arm minus another's, in points, paired by seed and by image.

    Raises ValueError when the two have not been trained with the same seeds.
    """
    arms, metrics = (better, worse), (metric, worse_metric or metric)
    sides = [(_records(results, arm), of) for arm, of in zip(arms, metrics)]
    seeds = {arm: sorted(set(results.loc[results["arm"] == arm, "seed"])) for arm in arms}
    if seeds[better] != seeds[worse]:
        raise ValueError(f"these arms are not paired; their seeds: {seeds}")
    outcomes = [np.stack([contributions(each, of) for each in records]) for records, of in sides]
    one = max(reach(each, of) for records, of in sides for each in records)
    found = difference(*outcomes, one=one)
    if any(VALIDATION.fullmatch(of) for of in metrics):
        # Each seed has validation images of its own, so that their luck is in the seeds already.
        found = replace(found, by_image=(100 * one / found.images) ** 2)
    return found


def verdicts(
    results: pd.DataFrame, claims: Sequence[str], estimates: Mapping[str, Found] | None = None
) -> pd.DataFrame:
    """One row per claim: statement, published, difference (points), interval, verdict.

    A claim of several comparisons is supported when each one is, and contradicted when one is at
    a level corrected for their number (Bonferroni), so that either verdict is wrong in about
    2.5 % of the cases at most. Where a claim is about another quantity, `estimates` must have it
    under the claim's id. The column `family-wise` judges more strictly: the chance that any
    of its entries is wrong is at most 5 %, even if all `CLAIMS` claims of the ledger are judged,
    each in one way. Both hold less well where a margin other than 0 meets accuracies near 100 %.
    """
    estimates = estimates or {}
    return pd.DataFrame([_judge(results, claim(each), estimates.get(each)) for each in claims])


def _judge(results: pd.DataFrame, asked: Claim, estimate: Found | None) -> dict:
    pairs = [
        (each, compare(results, each.better, each.worse, each.metric, each.worse_metric))
        for each in asked.comparisons
    ]
    if asked.quantity and estimate is None:
        raise ValueError(f"{asked.id} needs an estimate of its quantity: {asked.quantity}")
    if asked.quantity:
        pairs.append((asked, estimate))
    verdict = _verdict(pairs, LEVEL)
    return {
        "claim": asked.id,
        "statement": asked.statement,
        "published": asked.published,
        "difference": _difference(pairs),
        "seeds": pairs[0][1].seeds,
        "verdict": verdict,
        f"family-wise ({CLAIMS} claims)": _verdict(pairs, FAMILY_LEVEL),
        "would decide": _remedy(pairs) if verdict == "undecided" else "",
    }


def _strict(level: float, comparisons: int) -> float:
    """The level at which one of so many comparisons contradicts a claim (Bonferroni)."""
    return 1 - (1 - level) / comparisons


def _verdict(pairs: list[tuple[Asked, Found]], level: float) -> str:
    strict = _strict(level, len(pairs))
    if any(found.verdict(each.at_least, strict) == "contradicted" for each, found in pairs):
        return "contradicted"
    if all(found.verdict(each.at_least, level) == "supported" for each, found in pairs):
        return "supported"
    return "undecided"


def _difference(pairs: list[tuple[Asked, Found]]) -> str:
    """All comparisons in words, or of many the one that speaks most against the claim."""
    if len(pairs) <= SHOWN:
        return "; ".join(_words(each, found) for each, found in pairs)
    least = min(pairs, key=lambda pair: pair[1].clearance(pair[0].at_least))
    return f"least of {len(pairs)}: {_words(*least)}"


def _words(asked: Asked, found: Found) -> str:
    places = 1 if isinstance(found, Difference) else 2
    mean, low, high = (
        f"{value:+.{places}f}".replace("-", "−") for value in (found.mean, *found.interval())
    )
    margin = f" (claimed ≥ {asked.at_least:g})".replace("-", "−")
    return f"{_names(asked)}: {mean} [{low}, {high}]{margin}"


def _names(asked: Asked) -> str:
    if isinstance(asked, Claim):
        return asked.quantity
    if asked.better == asked.worse:
        return f"{asked.better}: {asked.metric} − {asked.worse_metric}"
    if asked.worse_metric:
        return f"{asked.better} ({asked.metric}) − {asked.worse} ({asked.worse_metric})"
    of = "" if asked.metric == "accuracy" else f", {asked.metric}"
    return f"{asked.better} − {asked.worse}{of}"


def _remedy(pairs: list[tuple[Asked, Found]]) -> str:
    """What would decide the claim: about how many seeds in all, if seeds can.

    One comparison against it is enough to contradict; only all for it support it.
    """
    if isinstance(pairs[-1][1], Estimate):
        return f"more {pairs[-1][1].of}"
    if pairs[0][1].seeds < 2:
        return "more seeds"
    strict = _strict(LEVEL, len(pairs))
    against = [
        found.seeds_to_decide(each.at_least, strict)
        for each, found in pairs if found.mean < each.at_least
    ]
    in_favour = [found.seeds_to_decide(each.at_least) for each, found in pairs]
    seeds = min(against) if against else max(in_favour)
    return f"about {seeds:.0f} seeds" if np.isfinite(seeds) else "more images"
