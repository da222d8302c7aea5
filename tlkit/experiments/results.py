"""The tables of the notebooks, stored for the benchmark and the report.

`sweep`, `differences` and `verdicts` store what they return; to show a table stores nothing.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from io import StringIO
from pathlib import Path

import pandas as pd

from tlkit.ground.paths import SHIPPED, home, locked, put, set_aside
from tlkit.ground.settings import is_dry_run

_folder: Path | None = None  # of the notebook that this kernel runs; None: nothing is stored


def begin(notebook: str, profile: str, parameters: Mapping[str, object]) -> None:
    """Store from now on what this kernel computes, in place of what the same call stored before.

    The same call means the same notebook, profile and parameters. A dry run stores nothing.
    """
    global _folder
    _folder = None
    if is_dry_run():
        return
    call = json.dumps(parameters, sort_keys=True, default=str)
    name = f"{notebook}-{sha256(call.encode()).hexdigest()[:8]}"
    folder = home() / "results" / profile / name
    with locked(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.csv"):
            old.unlink()
        put(folder / "parameters.json", call)
    _folder = folder


def store(name: str, table: pd.DataFrame) -> None:
    """Add rows to the table `name` of the notebook that runs; do nothing outside of one.

    Several processes may add to one table.
    """
    if _folder is None:
        return
    path = _folder / f"{name}.csv"
    with locked(_folder):  # what another process adds between reading and writing would be lost
        rows = pd.concat([*_read(path), table.astype(str)]).fillna("").drop_duplicates()
        put(path, rows.to_csv(index=False))


def _read(path: Path) -> list[pd.DataFrame]:
    """Return the table in a file, in a list; an empty list if it is missing or damaged."""
    try:
        text = path.read_text("utf-8")
        if "\0" in text:  # pandas reads them as nothing
            raise ValueError("it has NUL bytes")
        return [pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)]
    except FileNotFoundError:
        return []
    except ValueError as problem:  # empty, cut, or not a table
        set_aside(path, problem)
        return []


def stored(name: str, profile: str) -> pd.DataFrame:
    """Return the tables `name` of all notebooks run in `profile`, one below the other, as text.

    Further columns: notebook, parameters (JSON) and origin: "here", or "reference" for a call
    that was not made here, whose tables come with the kit. The number of parameters of a network
    is in "weights". A column that a notebook does not have is "" there.
    """
    own = _tables(name, home() / "results" / profile).assign(origin="here")
    shipped = reference(name, profile).assign(origin="reference")
    calls = [pd.MultiIndex.from_frame(each[["notebook", "parameters"]]) for each in (shipped, own)]
    return pd.concat([own, shipped[~calls[0].isin(calls[1])]], ignore_index=True).fillna("")


def reference(name: str, profile: str) -> pd.DataFrame:
    """Return the tables `name` that come with the kit, whatever was run here; see `stored`."""
    return _tables(name, SHIPPED / "reference" / profile)


def _tables(name: str, folder: Path) -> pd.DataFrame:
    tables = [pd.DataFrame(columns=["notebook", "parameters"])]
    for path in sorted(folder.glob(f"*/{name}.csv")):
        try:
            call = (path.parent / "parameters.json").read_text("utf-8")
            json.loads(call)
        except (FileNotFoundError, ValueError) as problem:
            set_aside(path, f"parameters.json beside it: {problem}")
            continue
        notebook = path.parent.name.rpartition("-")[0]
        for table in _read(path):
            table = table.rename(columns={"parameters": "weights"})  # of runs: of the network
            tables.append(table.assign(notebook=notebook, parameters=call))
    return pd.concat(tables, ignore_index=True).fillna("")
