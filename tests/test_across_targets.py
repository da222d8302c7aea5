"""Ranks, critical difference and win probabilities are those of the tables and of naive counts."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tlkit.judging.across_targets import (
    average_ranks,
    critical_difference,
    wilson,
    win_probabilities,
)

# Demšar 2006, Table 5 (a): the critical values of Nemenyi's test, for 2 to 10 methods.
DEMSAR = {
    0.95: [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164],
    0.90: [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920],
}


def accuracies(targets: int, methods: int, seed: int = 0, ties: bool = True) -> pd.DataFrame:
    """A row for each target; the methods' columns are in no order, the later ones better."""
    random = np.random.default_rng(seed)
    values = random.normal(70, 8, (targets, 1)) + random.normal(0, 3, (targets, methods))
    values += np.arange(methods)
    names = random.permutation([f"method {number}" for number in range(methods)])
    return pd.DataFrame(values.round(0 if ties else 9), columns=names)


@pytest.mark.parametrize("level", DEMSAR)
@pytest.mark.parametrize("methods", range(2, 11))
@pytest.mark.parametrize("targets", [5, 14, 30])
def test_the_critical_difference_is_demsars(level, methods, targets):
    expected = DEMSAR[level][methods - 2] * np.sqrt(methods * (methods + 1) / (6 * targets))
    assert critical_difference(methods, targets, level) == pytest.approx(expected, rel=5e-4)


def test_the_critical_difference_of_the_paper_s_example():
    """Four classifiers on 14 data sets, section 3.2.2."""
    assert round(critical_difference(4, 14), 2) == 1.25
    assert round(critical_difference(4, 14, 0.9), 2) == 1.12


@pytest.mark.parametrize("methods, targets", [(3, 12), (5, 20)])
def test_equal_methods_are_rarely_told_apart(methods, targets):
    random, repeats = np.random.default_rng(0), 3000
    ranks = random.random((repeats, targets, methods)).argsort(-1).argsort(-1).mean(1)
    wrong = np.mean(np.ptp(ranks, axis=1) > critical_difference(methods, targets))
    assert 0.02 < wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("targets, methods", [(4, 3), (15, 5)])
def test_ranks_are_counted_by_hand(targets, methods, ties):
    table = accuracies(targets, methods, ties=ties)
    ranks, _ = average_ranks(table)
    for name in table:
        places = []
        for _, row in table.iterrows():
            better, same = (row > row[name]).sum(), (row == row[name]).sum()
            places.append(better + (same + 1) / 2)
        assert ranks[name] == pytest.approx(np.mean(places))
    assert ranks.is_monotonic_increasing and len(ranks) == methods
    assert ranks.sum() == pytest.approx(methods * (methods + 1) / 2)


def test_friedmans_p_is_that_of_the_chi_squared_formula():
    """Demšar 2006, section 3.2.1, which is for tables without ties."""
    table = accuracies(15, 4, ties=False)
    ranks, p = average_ranks(table)
    chi2 = 12 * 15 / (4 * 5) * ((ranks**2).sum() - 4 * 5**2 / 4)
    assert p == pytest.approx(stats.chi2.sf(chi2, 3))


def test_friedmans_p_with_ties_is_scipys_on_the_ranks():
    table = accuracies(15, 4, ties=True)
    ranks = [stats.rankdata(row) for row in table.to_numpy()]
    assert average_ranks(table)[1] == pytest.approx(stats.friedmanchisquare(*zip(*ranks)).pvalue)


def test_friedmans_p_is_near_the_exact_one():
    """All permutations within each of five targets, the first of which may stay as it is."""
    table = pd.DataFrame([[1, 2, 3], [1, 2, 3], [2, 1, 3], [1, 3, 2], [1, 2, 3]], columns=[*"abc"])
    rows = np.array(list(permutations(range(3))))
    choices = np.stack(np.meshgrid(*[range(6)] * 4), -1).reshape(-1, 4)
    sums = rows[0] + rows[choices].sum(1)
    spread = ((sums - sums.mean(1, keepdims=True)) ** 2).sum(1)
    own = table.rank(axis=1).sum()
    exact = np.mean(spread >= ((own - own.mean()) ** 2).sum() - 1e-9)
    assert average_ranks(table)[1] == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("trials", [1, 2, 7, 40])
def test_wilsons_interval_is_scipys_for_whole_wins(trials, level):
    for wins in range(trials + 1):
        expected = stats.binomtest(wins, trials).proportion_ci(level, method="wilson")
        assert wilson(wins, trials, level) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize("wins", [0.5, 3.5, 6.5])
def test_wilsons_interval_solves_its_equation_for_half_wins(wins):
    """Its ends are the shares whose own standard errors just reach to what was counted."""
    trials, z = 7, stats.norm.ppf(0.975)
    for end in wilson(wins, trials):
        assert 0 <= end <= 1
        assert abs(end - wins / trials) == pytest.approx(z * np.sqrt(end * (1 - end) / trials))
    low, high = wilson(trials - wins, trials)
    assert wilson(wins, trials) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("seed", range(3))
def test_win_probabilities_are_naive_counts(seed):
    table = accuracies(12, 4, seed)
    rows = win_probabilities(table)
    ranks, _ = average_ranks(table)
    assert {frozenset(pair) for pair in zip(rows["first"], rows["second"])} == {
        frozenset(pair) for pair in permutations(table, 2)
    }
    assert len(rows) == 6
    for row in rows.to_dict("records"):
        first, second = table[row["first"]].tolist(), table[row["second"]].tolist()
        wins = sum(
            1 if one > other else 0.5 if one == other else 0 for one, other in zip(first, second)
        )
        assert row["win probability"] == wins / 12
        assert (row["low"], row["high"]) == wilson(wins, 12)
        assert row["mean gain"] == pytest.approx(np.mean(first) - np.mean(second))
        gap = ranks[row["second"]] - ranks[row["first"]]
        assert gap >= 0 and row["told apart"] == (gap > critical_difference(4, 12))


def test_a_method_that_always_wins_is_told_apart_on_many_targets():
    random = np.random.default_rng(0)
    worst = random.normal(size=40)
    table = pd.DataFrame(
        {"low": worst, "middle": worst + random.normal(size=40), "high": worst + 9}
    )
    best = win_probabilities(table).set_index("first").loc["high"]
    assert (best["win probability"] == 1).all() and best["told apart"].all()
