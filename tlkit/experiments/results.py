"""The tables of the notebooks, stored for the benchmark and the report.

`sweep`, `differences` and `verdicts` store what they return; to show a table stores nothing.
"""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pandas as pd

from tlkit.ground.paths import SHIPPED, home, put

_folder: Path | None = None  # of the notebook that this kernel runs; None: nothing is stored


def begin(notebook: str, profile: str, parameters: Mapping[str, object]) -> None:
    """Store from now on what this kernel computes, in place of what the same call stored before.

    The same call means the same notebook, profile and parameters. A dry run stores nothing.
    """
    global _folder
    _folder = None
    if os.environ.get("TLKIT_DRY_RUN"):
        return
    call = json.dumps(parameters, sort_keys=True, default=str)
    name = f"{notebook}-{sha256(call.encode()).hexdigest()[:8]}"
    _folder = home() / "results" / profile / name
    _folder.mkdir(parents=True, exist_ok=True)
    for old in _folder.glob("*.csv"):
        old.unlink()
    put(_folder / "parameters.json", call)


def store(name: str, table: pd.DataFrame) -> None:
    """Add rows to the table `name` of the notebook that runs; do nothing outside of one."""
    if _folder is None:
        return
    path = _folder / f"{name}.csv"
    before = [pd.read_csv(path, dtype=str, keep_default_na=False)] if path.exists() else []
    rows = pd.concat([*before, table.astype(str)]).fillna("").drop_duplicates()
    put(path, rows.to_csv(index=False))


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
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table = table.rename(columns={"parameters": "weights"})  # of runs: how many the network has
        call = (path.parent / "parameters.json").read_text("utf-8")
        notebook = path.parent.name.rpartition("-")[0]
        tables.append(table.assign(notebook=notebook, parameters=call))
    return pd.concat(tables, ignore_index=True).fillna("")
