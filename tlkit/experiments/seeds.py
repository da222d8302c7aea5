"""Check the seeds of a sweep or a replay."""

from collections import Counter
from collections.abc import Iterable

from tlkit.ground.numbers import whole


def seed_numbers(seeds: Iterable) -> list[int]:
    """Return seeds as a list of ints: an iterator can be read only once.

    Raises ValueError for what is no whole number, and for a seed that is given twice: the same
    run, counted twice, makes intervals too narrow.
    """
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise ValueError(f"seeds must be a list of whole numbers such as range(5), not {seeds!r}")
    numbers = [whole("a seed", seed) for seed in seeds]
    repeated = [seed for seed, count in Counter(numbers).items() if count > 1]
    if repeated:
        raise ValueError(f"give each seed once; these come more than once: {repeated}")
    return numbers
