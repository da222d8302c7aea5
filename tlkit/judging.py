"""Judge claims, from records only."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from tlkit.metrics import VALIDATION, contributions, reach
from tlkit.names import check_name
from tlkit.published import Claim, Comparison, claim
from tlkit.records import read
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
    check_name("arm", arm, results["arm"].unique())
    runs = results[results["arm"] == arm].drop_duplicates("key").sort_values("seed")
    return np.stack([contributions(read(key), metric) for key in runs["key"]])


def compare(
    results: pd.DataFrame, better: str, worse: str, metric: str = "accuracy",
    worse_metric: str = "",
) -> Difference:
    """A metric of one arm minus another's, in points, paired by seed and by image.

    Raises ValueError when the two have not been trained with the same seeds.
    """
    sides = [(better, metric), (worse, worse_metric or metric)]
    outcomes = [scores(results, arm, of) for arm, of in sides]
    runs = {arm: results[results["arm"] == arm] for arm, _ in sides}
    seeds = {arm: sorted(set(rows["seed"])) for arm, rows in runs.items()}
    if seeds[better] != seeds[worse]:
        raise ValueError(f"these arms are not paired; their seeds: {seeds}")
    one = max(reach(read(key), of) for arm, of in sides for key in runs[arm]["key"])
    found = difference(*outcomes, one=one)
    if any(VALIDATION.fullmatch(of) for _, of in sides):
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


def _verdict(pairs: list[tuple[Comparison, Difference]], level: float) -> str:
    strict = 1 - (1 - level) / len(pairs)
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
    strict = 1 - (1 - LEVEL) / len(pairs)
    against = [
        found.seeds_to_decide(each.at_least, strict)
        for each, found in pairs if found.mean < each.at_least
    ]
    in_favour = [found.seeds_to_decide(each.at_least) for each, found in pairs]
    seeds = min(against) if against else max(in_favour)
    return f"about {seeds:.0f} seeds" if np.isfinite(seeds) else "more images"
