"""Name the arms of an experiment by their coordinates, such as target and scheme."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tlkit.ground.names import check_name, unknown
from tlkit.recipe import Run

Arms = Mapping[Any, Run]  # a label, or a tuple with a value for each coordinate -> what is trained
Arm = Any  # a label, a tuple of coordinates, or these by name: {"target": "kin", "seed": 3}
NUMBER = re.compile(r"[\d.]+(e-?\d+)?")
WHOLE = re.compile(r"^(-?\d+)\.0$")
RESERVED = {"arm", "trial", "seed", "accuracy", "val_accuracy", "parameters", "key", "diverged"}


def coordinates(arm: object, names: Sequence[str]) -> dict[str, object]:
    """Return the label of an arm as "arm", and its coordinates by name.

    `arm` is a tuple with a value for each of `names`; without names it is the label itself.
    Raises ValueError for another number of values, and for a name that is `RESERVED`.
    """
    values = arm if isinstance(arm, tuple) else (arm,)
    if len(values) != len(names or ("arm",)):
        raise ValueError(f"arm {arm!r} needs a value for each of its coordinates: names={names!r}")
    if RESERVED & set(names):
        raise ValueError(f"give other names to the coordinates {sorted(RESERVED & set(names))}")
    return {"arm": label(values)} | dict(zip(names, values))


def label(values: Sequence[object]) -> str:
    """Return coordinates as one text, for people to read: "kin, L2-SP"."""
    return ", ".join(map(str, values))


def words(arm: Arm) -> str:
    """Return an arm as one text; a number has its name in front: "near, images 10, L2-SP"."""
    if not isinstance(arm, Mapping):
        return label(arm if isinstance(arm, tuple) else (arm,))
    numbers = {name for name, value in arm.items() if NUMBER.fullmatch(str(value))}
    return label([f"{name} {arm[name]}" if name in numbers else arm[name] for name in arm])


def _plain(value: object) -> str:
    """Return a value as text, the same before and after pandas puts a gap into its column.

    There it makes 1.0 of a whole number, and NaN of None.
    """
    text = WHOLE.sub(r"\1", str(value))
    return "" if text in ("None", "nan", "<NA>") else text


def select(table: pd.DataFrame, arm: Arm) -> pd.DataFrame:
    """Return the rows of `table` that have the coordinates of `arm`, or this label.

    Values are compared as text, so that a table read from a file works too; where none is equal,
    1 also means 1.0, and None a missing value. Raises `UnknownName` for a coordinate or a value
    that is not there.
    """
    for name, value in (arm if isinstance(arm, Mapping) else {"arm": words(arm)}).items():
        check_name("coordinate", name, table.columns)
        rows = table[table[name].map(str) == str(value)]
        if rows.empty:
            rows = table[table[name].map(_plain) == _plain(value)]
        if rows.empty:
            raise unknown(f"arm ({words(arm)}): {name}", str(value), table[name].unique())
        table = rows
    return table
