"""The arms of an experiment: each is named by its coordinates, such as target and scheme."""

from collections.abc import Mapping, Sequence

import pandas as pd

from tlkit.ground.names import check_name, unknown

Arm = str | Mapping[str, object]  # a label, or coordinates: {"target": "kin", "scheme": "L2-SP"}


def coordinates(arm: object, names: Sequence[str]) -> dict[str, object]:
    """Return the coordinates of an arm by name, and its label as "arm".

    `arm` is a tuple with a value for each of `names`; without names it is the label itself.
    Raises ValueError for another number of values.
    """
    values = arm if isinstance(arm, tuple) else (arm,)
    if len(values) != len(names or ("arm",)):
        raise ValueError(f"arm {arm!r} needs a value for each of {names or ('arm',)}")
    return {"arm": label(values)} | dict(zip(names, values))


def label(values: Sequence[object]) -> str:
    """Return coordinates as one text, for people to read: "kin, L2-SP"."""
    return ", ".join(map(str, values))


def words(arm: Arm) -> str:
    """Return an arm as one text, whichever way it is named."""
    return arm if isinstance(arm, str) else label(list(arm.values()))


def select(table: pd.DataFrame, arm: Arm) -> pd.DataFrame:
    """Return the rows of `table` that have the coordinates of `arm`, or this label.

    Values are compared as text, so that a table read from a file works too. Raises `UnknownName`
    for a coordinate or a value that is not there.
    """
    rows = table
    for name, value in ({"arm": arm} if isinstance(arm, str) else arm).items():
        check_name("coordinate", name, table.columns)
        fitting = rows[rows[name].astype(str) == str(value)]
        if fitting.empty:
            raise unknown(f"arm ({words(arm)}): {name}", str(value), rows[name].unique())
        rows = fitting
    return rows
