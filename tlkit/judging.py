"""Judge claims, from records only."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tlkit.names import check_name
from tlkit.published import Claim, Comparison, claim
from tlkit.records import read
from tlkit.stats import LEVEL, Difference, difference


def correct(results: pd.DataFrame, arm: str) -> np.ndarray:
    """Which test images the runs of an arm classified rightly: bool [seeds, images].

    `results` comes from `sweep`; raises `UnknownName` for an arm that is not in it.
    """
    check_name("arm", arm, results["arm"].unique())
    runs = results[results["arm"] == arm].drop_duplicates("key").sort_values("seed")
    outputs = [read(key).test_outputs() for key in runs["key"]]
    return np.stack([logits.argmax(1) == labels for logits, labels in outputs])


def compare(results: pd.DataFrame, better: str, worse: str) -> Difference:
    """Accuracy of one arm minus another's, paired by seed and by test image.

    Raises ValueError when the two have not been trained with the same seeds.
    """
    arms = (better, worse)
    outcomes = [correct(results, arm) for arm in arms]
    seeds = {arm: sorted(set(results.loc[results["arm"] == arm, "seed"])) for arm in arms}
    if seeds[better] != seeds[worse]:
        raise ValueError(f"these arms are not paired; their seeds: {seeds}")
    return difference(*outcomes)


def verdicts(results: pd.DataFrame, claims: Sequence[str]) -> pd.DataFrame:
    """One row per claim: statement, published, difference (points), interval, verdict.

    A claim of several comparisons is supported when each one is, and contradicted when one is at
    a level corrected for their number (Bonferroni), so that either verdict is wrong in at most
    2.5 % of the cases. That is per claim: nothing is corrected for the number of claims.
    """
    return pd.DataFrame([_judge(results, claim(claim_id)) for claim_id in claims])


def _judge(results: pd.DataFrame, asked: Claim) -> dict:
    pairs = [(each, compare(results, each.better, each.worse)) for each in asked.comparisons]
    strict = 1 - (1 - LEVEL) / len(pairs)
    if any(found.verdict(each.at_least, strict) == "contradicted" for each, found in pairs):
        verdict = "contradicted"
    elif all(found.verdict(each.at_least) == "supported" for each, found in pairs):
        verdict = "supported"
    else:
        verdict = "undecided"
    return {
        "claim": asked.id,
        "statement": asked.statement,
        "published": asked.published,
        "difference": "; ".join(_words(each, found) for each, found in pairs),
        "seeds": pairs[0][1].seeds,
        "verdict": verdict,
        "would decide": _remedy(pairs) if verdict == "undecided" else "",
    }


def _words(asked: Comparison, found: Difference) -> str:
    mean, low, high = (
        f"{points:+.1f}".replace("-", "−") for points in (found.mean, *found.interval())
    )
    return f"{asked.better} − {asked.worse}: {mean} [{low}, {high}]"


def _remedy(pairs: list[tuple[Comparison, Difference]]) -> str:
    """What would decide the claim: about how many seeds in all, if seeds can."""
    if pairs[0][1].seeds < 2:
        return "more seeds"
    seeds = max(found.seeds_to_decide(each.at_least) for each, found in pairs)
    return f"about {seeds:.0f} seeds" if np.isfinite(seeds) else "more test images"
