"""Judge claims, from records only."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from tlkit.metrics import VALIDATION, contributions, reach
from tlkit.names import check_name
from tlkit.published import Claim, Comparison, claim
from tlkit.records import Record, read
from tlkit.stats import CLAIMS, FAMILY_LEVEL, LEVEL, Difference, difference

SHOWN = 3  # comparisons of one claim, at most


def measure(results: pd.DataFrame, metric: str = "accuracy") -> pd.Series:
    """A metric (see `metrics.contributions`) of every run in the table of a sweep, 0 … 1."""
    values = [contributions(read(key), metric).mean() for key in results["key"]]
    return pd.Series(values, results.index)


def scores(results: pd.DataFrame, arm: str, metric: str = "accuracy") -> np.ndarray:
    """What each image adds to the metric of an arm's runs: float [seeds, images].

    For accuracy 1 or 0, right or wrong. `results` comes from `sweep`; raises `UnknownName` for an
    arm that is not in it.
    """
    return np.stack([contributions(record, metric) for record in _records(results, arm)])


def _records(results: pd.DataFrame, arm: str) -> list[Record]:
    """An arm's records, by seed; one that is in the table twice counts once."""
    check_name("arm", arm, results["arm"].unique())
    runs = results[results["arm"] == arm].drop_duplicates("key").sort_values("seed")
    return [read(key) for key in runs["key"]]


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


def verdicts(results: pd.DataFrame, claims: Sequence[str]) -> pd.DataFrame:
    """One row per claim: statement, published, difference (points), interval, verdict.

    A claim of several comparisons is supported when each one is, and contradicted when one is at
    a level corrected for their number (Bonferroni), so that either verdict is wrong in about
    2.5 % of the cases at most. The column `family-wise` judges more strictly: the chance that any
    of its entries is wrong is at most 5 %, even if all `CLAIMS` claims of the ledger are judged,
    each in one way. Both hold less well where a margin other than 0 meets accuracies near 100 %.
    """
    return pd.DataFrame([_judge(results, claim(claim_id)) for claim_id in claims])


def _judge(results: pd.DataFrame, asked: Claim) -> dict:
    pairs = [
        (each, compare(results, each.better, each.worse, each.metric, each.worse_metric))
        for each in asked.comparisons
    ]
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


def _verdict(pairs: list[tuple[Comparison, Difference]], level: float) -> str:
    strict = _strict(level, len(pairs))
    if any(found.verdict(each.at_least, strict) == "contradicted" for each, found in pairs):
        return "contradicted"
    if all(found.verdict(each.at_least, level) == "supported" for each, found in pairs):
        return "supported"
    return "undecided"


def _difference(pairs: list[tuple[Comparison, Difference]]) -> str:
    """All comparisons in words, or of many the one that speaks most against the claim."""
    if len(pairs) <= SHOWN:
        return "; ".join(_words(each, found) for each, found in pairs)
    least = min(pairs, key=lambda pair: pair[1].clearance(pair[0].at_least))
    return f"least of {len(pairs)}: {_words(*least)}"


def _words(asked: Comparison, found: Difference) -> str:
    mean, low, high = (
        f"{points:+.1f}".replace("-", "−") for points in (found.mean, *found.interval())
    )
    margin = f" (claimed ≥ {asked.at_least:g})".replace("-", "−")
    return f"{_names(asked)}: {mean} [{low}, {high}]{margin}"


def _names(asked: Comparison) -> str:
    if asked.better == asked.worse:
        return f"{asked.better}: {asked.metric} − {asked.worse_metric}"
    if asked.worse_metric:
        return f"{asked.better} ({asked.metric}) − {asked.worse} ({asked.worse_metric})"
    of = "" if asked.metric == "accuracy" else f", {asked.metric}"
    return f"{asked.better} − {asked.worse}{of}"


def _remedy(pairs: list[tuple[Comparison, Difference]]) -> str:
    """What would decide the claim: about how many seeds in all, if seeds can.

    One comparison against it is enough to contradict; only all for it support it.
    """
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
