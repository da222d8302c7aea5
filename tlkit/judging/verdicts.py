"""Judge claims, from records only.

A claim of several comparisons is supported when each one is, and contradicted when one is at a
level corrected for their number (Bonferroni), so that either verdict is wrong in about 2.5 % of
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
from tlkit.judging.intervals import FAMILY_LEVEL, LEVEL, Difference, Estimate
from tlkit.judging.ledger import Claim, Comparison, claim

SHOWN = 3  # comparisons of one claim, at most
Statement = Comparison | Claim  # a claim itself where it is about a quantity
Evidence = Difference | Estimate


def verdicts(
    results: pd.DataFrame, claims: Sequence[str], estimates: Mapping[str, Evidence] | None = None,
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
    rows = [_judge(results, claim(each), estimates.get(each)) for each in claims]
    table = pd.DataFrame(rows)
    table.insert(3, "way", way)
    store("verdicts", table)
    return table


def _judge(results: pd.DataFrame, judged: Claim, estimate: Evidence | None) -> dict:
    pairs: list[tuple[Statement, Evidence]] = [
        (each, compare(results, each.better, each.worse, each.metric, each.worse_metric))
        for each in judged.comparisons
    ]
    if judged.quantity and estimate is None:
        raise ValueError(f"{judged.id} needs an estimate of its quantity: {judged.quantity}")
    if judged.quantity and estimate is not None:
        pairs.append((judged, estimate))
    statement, least = min(pairs, key=lambda pair: pair[1].clearance(pair[0].at_least))
    low, high = least.interval()
    verdict = _verdict(pairs, LEVEL)
    return {
        "claim": judged.id,
        "statement": judged.statement,
        "published": judged.published,
        "difference": _in_words(pairs, statement, least),
        "mean": least.mean,
        "low": low,
        "high": high,
        "margin": statement.at_least,
        "seeds": pairs[0][1].seeds,
        "verdict": verdict,
        "family-wise": _verdict(pairs, FAMILY_LEVEL),
        "would decide": _remedy(pairs) if verdict == "undecided" else "",
    }


def _strict(level: float, comparisons: int) -> float:
    """Return the level at which one of so many comparisons contradicts a claim (Bonferroni)."""
    return 1 - (1 - level) / comparisons


def _verdict(pairs: list[tuple[Statement, Evidence]], level: float) -> str:
    strict = _strict(level, len(pairs))
    if any(each.verdict(of.at_least, strict) == "contradicted" for of, each in pairs):
        return "contradicted"
    if all(each.verdict(of.at_least, level) == "supported" for of, each in pairs):
        return "supported"
    return "undecided"


def _in_words(
    pairs: list[tuple[Statement, Evidence]], statement: Statement, least: Evidence
) -> str:
    """Say all comparisons, or of many the one that speaks most against the claim."""
    if len(pairs) <= SHOWN:
        return "; ".join(_with_margin(*pair) for pair in pairs)
    return f"least of {len(pairs)}: {_with_margin(statement, least)}"


def _with_margin(statement: Statement, evidence: Evidence) -> str:
    margin = f"{statement.at_least:g}".replace("-", "−")
    return f"{_name(statement)}: {evidence} (claimed ≥ {margin})"


def _name(statement: Statement) -> str:
    if isinstance(statement, Claim):
        return statement.quantity
    better, worse = words(statement.better), words(statement.worse)
    if better == worse:
        return f"{better}: {statement.metric} − {statement.worse_metric}"
    if statement.worse_metric:
        return f"{better} ({statement.metric}) − {worse} ({statement.worse_metric})"
    metric = "" if statement.metric == "accuracy" else f", {statement.metric}"
    return f"{better} − {worse}{metric}"


def _remedy(pairs: list[tuple[Statement, Evidence]]) -> str:
    """Say what would decide the claim: about how many seeds in all, if seeds can.

    One comparison against it is enough to contradict; only all for it support it.
    """
    last = pairs[-1][1]
    if isinstance(last, Estimate):
        return f"more {last.of}"
    if pairs[0][1].seeds < 2:
        return "more seeds"
    compared = [(of, each) for of, each in pairs if isinstance(each, Difference)]
    strict = _strict(LEVEL, len(pairs))
    against = [
        each.seeds_to_decide(of.at_least, strict)
        for of, each in compared
        if each.mean < of.at_least
    ]
    in_favour = [each.seeds_to_decide(of.at_least) for of, each in compared]
    seeds = min(against) if against else max(in_favour)
    return f"about {seeds:.0f} seeds" if np.isfinite(seeds) else "more images"
