"""Compare methods over many targets: ranks, a critical difference, win probabilities."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from tlkit.judging.intervals import LEVEL


def average_ranks(table: pd.DataFrame) -> tuple[pd.Series, float]:
    """Return the average rank of each method (1 is best), ascending, and Friedman's p value.

    `table` has a row for each target and a column of accuracies for each of three methods or
    more. Source: Demšar 2006, "Statistical comparisons of classifiers over multiple data sets".
    """
    ranks = table.rank(axis=1, ascending=False)
    p = stats.friedmanchisquare(*table.to_numpy().T).pvalue
    return ranks.mean().sort_values(), float(p)


def critical_difference(methods: int, targets: int, level: float = LEVEL) -> float:
    """Return how far apart two average ranks must be to differ beyond chance (Nemenyi's test).

    Source: Demšar 2006, section 3.2.2: q · √(k (k + 1) / 6N), with k methods and N targets.
    """
    q = stats.studentized_range.ppf(level, methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * targets)))


def wilson(wins: float, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's interval for a share, 0 … 1; `wins` may count a tie as half.

    SciPy's own takes whole wins only. Source: Wilson 1927, "Probable inference, the law of
    succession, and statistical inference".
    """
    z = stats.norm.ppf((1 + level) / 2)
    half = z * np.sqrt(wins * (trials - wins) / trials + z**2 / 4)
    low, high = ((wins + z**2 / 2 + side * half) / (trials + z**2) for side in (-1, 1))
    return float(low), float(high)


def win_probabilities(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each pair of methods how often the first one is better; a tie counts half.

    `table` as in `average_ranks`; the method with the better average rank comes first. Columns:
    first, second, win probability (0 … 1), low and high (Wilson's interval over targets), mean
    gain (in the unit of the table), told apart (by the critical difference).
    """
    ranks, _ = average_ranks(table)
    targets, methods = table.shape
    critical = critical_difference(methods, targets)
    rows = []
    for first, second in combinations(ranks.index, 2):
        gain = table[first] - table[second]
        wins = (gain > 0).sum() + (gain == 0).sum() / 2
        apart = bool(ranks[second] - ranks[first] > critical)
        rows.append((first, second, wins / targets, *wilson(wins, targets), gain.mean(), apart))
    names = ["first", "second", "win probability", "low", "high", "mean gain", "told apart"]
    return pd.DataFrame(rows, columns=names)
