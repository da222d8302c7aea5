"""Judge claims, from records only."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tlkit.names import check_name
from tlkit.published import Claim, claim
from tlkit.records import read
from tlkit.stats import LEVEL, difference


def correct(results: pd.DataFrame, arm: str) -> np.ndarray:
    """Which test images the runs of an arm classified rightly: bool [seeds, images].

    `results` comes from `sweep`; raises `UnknownName` for an arm that is not in it.
    """
    check_name("arm", arm, results["arm"].unique())
    runs = results[results["arm"] == arm].drop_duplicates("key").sort_values("seed")
    outputs = [read(key).test_outputs() for key in runs["key"]]
    return np.stack([logits.argmax(1) == labels for logits, labels in outputs])


def verdicts(results: pd.DataFrame, claims: Sequence[str]) -> pd.DataFrame:
    """One row per claim: statement, published, difference (points), interval, verdict.

    A claim of several comparisons is supported when each one is, and contradicted when one is at
    a level corrected for their number (Bonferroni), so that either verdict is wrong in at most
    2.5 % of the cases. That is per claim: nothing is corrected for the number of claims.
    """
    return pd.DataFrame([_judge(results, claim(claim_id)) for claim_id in claims])


def _judge(results: pd.DataFrame, asked: Claim) -> dict:
    found = [
        difference(correct(results, pair.better), correct(results, pair.worse))
        for pair in asked.comparisons
    ]
    for pair in asked.comparisons:
        one, two = (
            sorted(set(results.loc[results["arm"] == arm, "seed"]))
            for arm in (pair.better, pair.worse)
        )
        if one != two:
            raise ValueError(f"{pair.better!r} and {pair.worse!r} are not paired: {one}, {two}")
    strict = 1 - (1 - LEVEL) / len(found)
    supported = [each.verdict(pair.at_least) for each, pair in zip(found, asked.comparisons)]
    refuted = [each.verdict(pair.at_least, strict) for each, pair in zip(found, asked.comparisons)]
    if "contradicted" in refuted:
        verdict = "contradicted"
    else:
        verdict = "supported" if set(supported) == {"supported"} else "undecided"
    seeds = max(
        each.seeds_to_decide(pair.at_least) for each, pair in zip(found, asked.comparisons)
    )
    needed = f"about {seeds:.0f} seeds" if np.isfinite(seeds) else "more test images"
    if found[0].seeds < 2:
        needed = "more seeds"
    return {
        "claim": asked.id,
        "statement": asked.statement,
        "published": asked.published,
        "difference": "; ".join(
            f"{pair.better} − {pair.worse}: {each.mean:+.1f} [{low:+.1f}, {high:+.1f}]"
            for each, pair in zip(found, asked.comparisons)
            for low, high in [each.interval()]
        ),
        "seeds": found[0].seeds,
        "verdict": verdict,
        "would decide": needed if verdict == "undecided" else "",
    }
