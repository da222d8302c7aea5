"""What the notebooks found, kept for the benchmark and the report: their runs and verdicts."""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pandas as pd

from tlkit.paths import SHIPPED, home, put

_folder: Path | None = None  # of the notebook that this kernel runs; None: nothing is kept


def begin(notebook: str, profile: str, parameters: Mapping[str, object]) -> None:
    """From now on keep what this kernel finds, in the place of what the same call found before.

    Same notebook, profile and parameters; a dry run finds nothing worth keeping.
    """
    global _folder
    _folder = None
    if os.environ.get("TLKIT_DRY_RUN"):
        return
    told = json.dumps(parameters, sort_keys=True, default=str)
    name = f"{notebook}-{sha256(told.encode()).hexdigest()[:8]}"
    _folder = home() / "results" / profile / name
    _folder.mkdir(parents=True, exist_ok=True)
    for old in _folder.glob("*.csv"):
        old.unlink()
    put(_folder / "parameters.json", told)


def keep(name: str, frame: pd.DataFrame) -> None:
    """Add rows to the table `name` of the notebook that runs; does nothing outside of one."""
    if _folder is None:
        return
    path = _folder / f"{name}.csv"
    before = [pd.read_csv(path, dtype=str, keep_default_na=False)] if path.exists() else []
    rows = pd.concat([*before, frame.astype(str)]).drop_duplicates()
    put(path, rows.to_csv(index=False))


def kept(name: str, profile: str) -> pd.DataFrame:
    """The tables `name` of all notebooks run in `profile`, one below the other.

    With columns more: notebook, given (its parameters, JSON, as `begin` was told) and origin. That
    is "here", or "reference": of a call that has not been made here, what is shipped. All text.
    """
    own = _tables(name, home() / "results" / profile).assign(origin="here")
    shipped = reference(name, profile).assign(origin="reference")
    calls = [pd.MultiIndex.from_frame(each[["notebook", "given"]]) for each in (shipped, own)]
    return pd.concat([own, shipped[~calls[0].isin(calls[1])]], ignore_index=True)


def reference(name: str, profile: str) -> pd.DataFrame:
    """The tables `name` that come with the kit, whatever has been run here; else like `kept`."""
    return _tables(name, SHIPPED / "reference" / profile)


def _tables(name: str, folder: Path) -> pd.DataFrame:
    frames = [pd.DataFrame(columns=["notebook", "given"])]
    for path in sorted(folder.glob(f"*/{name}.csv")):
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame.insert(0, "notebook", path.parent.name.rpartition("-")[0])
        frame.insert(1, "given", (path.parent / "parameters.json").read_text())
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
