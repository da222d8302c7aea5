"""Tests for single runs give the p values of hand formulas and of counting all outcomes."""

import math
from itertools import product

import numpy as np
import pytest

from tlkit.judging.single_runs import mcnemar, z_test


def by_enumeration(only_first: int, only_second: int) -> float:
    """The share of all outcomes of fair coins, one for each image, that are no likelier."""
    images = only_first + only_second
    ways = [math.comb(images, heads) for heads in range(images + 1)]
    return sum(each for each in ways if each <= ways[only_first]) / 2**images


@pytest.mark.parametrize("both, neither", [(0, 0), (40, 5)])
def test_mcnemar_counts_the_images_that_one_run_alone_has_right(both, neither):
    random = np.random.default_rng(0)
    for only_first, only_second in product(range(12), repeat=2):
        counts = [both, only_first, only_second, neither]
        order = random.permutation(sum(counts))
        first, second = (
            np.repeat(right, counts)[order]
            for right in ([True, True, False, False], [True, False, True, False])
        )
        expected = by_enumeration(only_first, only_second)
        assert mcnemar(first, second) == pytest.approx(expected), (only_first, only_second)
        assert mcnemar(second, first) == pytest.approx(expected)


def test_runs_that_agree_on_all_images_do_not_differ():
    right = np.array([True, False, True])
    assert mcnemar(right, right) == 1.0


def by_hand(first: float, second: float, images: int) -> float:
    error = math.sqrt((first * (1 - first) + second * (1 - second)) / images)
    return math.erfc(abs(first - second) / error / math.sqrt(2))


@pytest.mark.parametrize("images", [50, 1000])
@pytest.mark.parametrize("first, second", [(0.9, 0.85), (0.5, 0.5), (0.02, 0.3), (1.0, 0.97)])
def test_the_z_test_is_that_of_the_hand_formula(first, second, images):
    expected = by_hand(first, second, images)
    assert z_test(first, second, images) == pytest.approx(expected, rel=1e-6)
    assert z_test(second, first, images) == pytest.approx(expected, rel=1e-6)


def test_the_z_test_takes_any_shape():
    first, second = np.random.default_rng(0).uniform(0.1, 0.9, (2, 3, 4))
    p = z_test(first, second, 200)
    assert p.shape == (3, 4)
    for place in np.ndindex(3, 4):
        assert p[place] == pytest.approx(by_hand(first[place], second[place], 200), rel=1e-6)


def test_without_variance_only_other_accuracies_differ():
    assert z_test([1.0, 0.0, 1.0], [1.0, 0.0, 0.0], 100).tolist() == [1, 1, 0]


@pytest.mark.parametrize("images", [200, 2000])
def test_on_images_of_their_own_equal_methods_differ_in_one_case_of_twenty(images):
    right = np.random.default_rng(0).binomial(images, 0.8, (2, 20_000)) / images
    assert np.mean(z_test(*right, images) < 0.05) == pytest.approx(0.05, abs=0.01)
