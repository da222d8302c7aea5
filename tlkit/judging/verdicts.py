"""Judge claims, from records only.

A claim of several comparisons is supported when each one is. It is contradicted when one of them
is, at a level corrected for their number (Bonferroni). So either verdict is wrong in about 2.5 % of
the cases at most. The family-wise verdict is stricter: the chance that any of its entries is wrong
is at most 5 %, even if `intervals.FAMILY` claims are judged, each in one way. Both hold less well
where a margin other than 0 meets accuracies near 100 %.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tlkit.experiments.arms import words
from tlkit.experiments.results import store
from tlkit.judging.compare import compare
from tlkit.judging.intervals import FAMILY_LEVEL, LEVEL, Difference, Estimate, Evidence
from tlkit.judging.ledger import Claim, Comparison, claim

SHOWN = 3  # comparisons of one claim, at most
# What is claimed, and its evidence. A claim stands for itself where it is about a quantity.
Pair = tuple[Comparison | Claim, Evidence]


def verdicts(
    results: pd.DataFrame,
    claims: Sequence[str],
    estimates: Mapping[str, Evidence] | None = None,
    way: str = "",
) -> pd.DataFrame:
    """Return one row per claim, and store the table for the benchmark and the report.

    Columns: claim (its id), statement, published, way (of testing it, where there are several),
    difference (the evidence in words), mean, low, high and margin (of the comparison that speaks
    most against the claim; points unless the claim says otherwise), seeds, verdict ("supported",
    "contradicted" or "undecided"), family-wise, would decide.

    `estimates` has the evidence of claims about a quantity, by their ids. Raises ValueError where
    it lacks one, and what `compare` raises.
    """
    estimates = estimates or {}
    table = pd.DataFrame(_judge(results, claim(each), estimates.get(each), way) for each in claims)
    store("verdicts", table)
    return table


def _judge(results: pd.DataFrame, judged: Claim, estimate: Evidence | None, way: str) -> dict:
    pairs: list[Pair] = [
        (each, compare(results, each.better, each.worse, each.metric, each.worse_metric))
        for each in judged.comparisons
    ]
    if judged.quantity:
        if estimate is None:
            raise ValueError(f"{judged.id} needs an estimate of its quantity: {judged.quantity}")
        pairs.append((judged, estimate))
    weakest = min(pairs, key=lambda pair: pair[1].clearance(pair[0].at_least))
    least = f"least of {len(pairs)}: {_in_words(weakest)}"
    verdict = decide(pairs, LEVEL)
    low, high = weakest[1].interval()
    return {
        "claim": judged.id,
        "statement": judged.statement,
        "published": judged.published,
        "way": way,
        "difference": least if len(pairs) > SHOWN else "; ".join(map(_in_words, pairs)),
        "mean": weakest[1].mean,
        "low": low,
        "high": high,
        "margin": weakest[0].at_least,
        "seeds": pairs[0][1].seeds,
        "verdict": verdict,
        "family-wise": decide(pairs, FAMILY_LEVEL),
        "would decide": _remedy(pairs) if verdict == "undecided" else "",
    }


def decide(pairs: Sequence[Pair], level: float) -> str:
    """Return the verdict on a claim from all of its comparisons, each with its evidence."""
    strict = 1 - (1 - level) / len(pairs)  # Bonferroni: one comparison is enough
    if any(each.verdict(of.at_least, strict) == "contradicted" for of, each in pairs):
        return "contradicted"
    if all(each.verdict(of.at_least, level) == "supported" for of, each in pairs):
        return "supported"
    return "undecided"


def _in_words(pair: Pair) -> str:
    margin = f"{pair[0].at_least:g}".replace("-", "−")
    return f"{_name(pair[0])}: {pair[1]} (claimed ≥ {margin})"


def _name(claimed: Comparison | Claim) -> str:
    """Say which arms are compared: "kin: L2-SP − default", what they share in front."""
    if isinstance(claimed, Claim):
        return claimed.quantity
    better, worse = claimed.better, claimed.worse
    if better == worse:
        return f"{words(better)}: {claimed.metric} − {claimed.worse_metric}"
    place = ""
    if not isinstance(better, str) and not isinstance(worse, str):
        shared = {name: value for name, value in better.items() if worse.get(name) == value}
        place = f"{words(shared)}: " if shared else ""
        better, worse = ({n: arm[n] for n in arm if n not in shared} for arm in (better, worse))
    first, second = words(better), words(worse)
    if claimed.worse_metric:
        return f"{place}{first} ({claimed.metric}) − {second} ({claimed.worse_metric})"
    metric = "" if claimed.metric == "accuracy" else f", {claimed.metric}"
    return f"{place}{first} − {second}{metric}"


def _remedy(pairs: Sequence[Pair]) -> str:
    """Say what would decide the claim: about how many seeds in all, if seeds can.

    One comparison against the claim contradicts it; only all of them together support it.
    """
    last = pairs[-1][1]
    if isinstance(last, Estimate):
        return f"more {last.of}"
    if min(each.seeds for _, each in pairs) < 2:
        return "more seeds"
    compared = [(of.at_least, each) for of, each in pairs if isinstance(each, Difference)]
    strict = 1 - (1 - LEVEL) / len(pairs)  # as in `decide`
    against = [each.seeds_to_decide(at, strict) for at, each in compared if each.mean < at]
    seeds = min(against) if against else max(each.seeds_to_decide(at) for at, each in compared)
    return f"about {seeds:.0f} seeds" if np.isfinite(seeds) else "more images"
