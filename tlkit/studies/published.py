"""What the studies say of themselves: their titles, notebooks and tables, as data.

To add a study, make a folder in `data/studies/` with `study.toml`, `claims.toml` and its tables
(CSV; comments at the top give source, units and notes). The benchmark, the audit, the report and
the README take it from there.
"""

import tomllib
from dataclasses import dataclass

import pandas as pd

from tlkit.ground.names import check_name
from tlkit.ground.paths import STUDIES


@dataclass(frozen=True)
class Study:
    """A study whose claims are tested."""

    name: str  # its folder
    title: str
    authors: str
    year: int
    source: str
    claims: str  # how the ids of its claims begin, such as "C2"
    central: list[str]  # the id of the central claim of each notebook
    notebooks: list[str]  # that test its claims


def studies() -> tuple[Study, ...]:
    """Return all studies, in the order of their claims."""
    every = [
        Study(path.parent.name, **tomllib.loads(path.read_text(encoding="utf-8")))
        for path in STUDIES.glob("*/study.toml")
    ]
    return tuple(sorted(every, key=lambda study: study.claims))


def published(study: str, name: str, printed: bool = False) -> pd.DataFrame:
    """Read a published table, such as `published("reyes2022", "table2")`. Its file states units.

    `printed` gives each cell as its text: `checks.grim` needs to know 98 from 98.0. Raises
    `UnknownName` for a study or a table that is not there.
    """
    check_name("study", study, [each.name for each in studies()])
    folder = STUDIES / study
    check_name("published table", name, [path.stem for path in folder.glob("*.csv")])
    types = str if printed else {"setting": str}
    return pd.read_csv(folder / f"{name}.csv", comment="#", dtype=types)
