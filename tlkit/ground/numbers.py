"""Take numbers of any kind as plain Python numbers; refuse by name what only looks like one."""

from math import inf, isfinite
from numbers import Integral, Real

LARGEST = 2**63 - 1  # that torch and pandas can hold


def whole(what: str, value: object, least: int = 0) -> int:
    """Return a whole number as an int; NumPy's are taken, True, 1.0 and "1" are refused.

    Raises ValueError, which names `what`.
    """
    if isinstance(value, Integral) and not _is_bool(value) and least <= int(value) <= LARGEST:
        return int(value)
    raise ValueError(f"{what} must be a whole number of at least {least}, not {value!r}")


def real(what: str, value: object, above: bool = False, most: float = inf) -> float:
    """Return a finite number from 0 to `most` as a float; with `above`, it must be above 0.

    Raises ValueError, which names `what`, also for True, text, NaN and infinity.
    """
    if isinstance(value, Real) and not _is_bool(value):
        try:  # −0.0 equals 0.0, but has another text: the sum is 0.0
            number = float(value) + 0.0
        except OverflowError:
            number = inf
        if isfinite(number) and 0 <= number <= most and (number > 0 or not above):
            return number
    limits = f"0 … {most:g}" if most < inf else "above 0" if above else "0 or above"
    raise ValueError(f"{what} must be a finite number, {limits}, not {value!r}")


def truth(what: str, value: object) -> bool:
    """Return a truth value as a bool; numbers and text are refused. Raises ValueError."""
    if _is_bool(value):
        return bool(value)
    raise ValueError(f"{what} must be True or False, not {value!r}")


def _is_bool(value: object) -> bool:
    return type(value).__name__ in ("bool", "bool_")  # also NumPy's, without a slow import
