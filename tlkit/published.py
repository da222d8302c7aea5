"""The studies' own numbers and claims, as data."""

import tomllib
from dataclasses import dataclass

import pandas as pd

from tlkit.names import check_name
from tlkit.paths import SHIPPED


def table(name: str, printed: bool = False) -> pd.DataFrame:
    """A published table such as "reyes2022_table2"; its source and units head the file.

    `printed` gives each cell as its text: `checks.grim` needs to know 98 from 98.0.
    """
    folder = SHIPPED / "published"
    check_name("published table", name, [path.stem for path in folder.glob("*.csv")])
    types = str if printed else {"setting": str}
    return pd.read_csv(folder / f"{name}.csv", comment="#", dtype=types)


@dataclass(frozen=True)
class Comparison:
    """The metric of the arm `better` minus that of `worse` is at least `at_least` points."""

    better: str
    worse: str
    at_least: float
    metric: str = "accuracy"  # one that `metrics.contributions` knows
    worse_metric: str = ""  # where it is another one


@dataclass(frozen=True)
class Claim:
    """A falsifiable statement, and the comparisons that must all hold for it.

    Or, where it is not about arms, a `quantity` that is at least so much, such as a correlation.
    """

    id: str
    study: str
    statement: str
    published: str
    supported: str  # what that verdict would mean for whoever trains
    contradicted: str
    comparisons: tuple[Comparison, ...] = ()
    quantity: str = ""
    at_least: float = 0.0

    def meaning(self, verdict: str) -> str:
        """A line on what "supported" or "contradicted" means in practice; "" for another word."""
        return {"supported": self.supported, "contradicted": self.contradicted}.get(verdict, "")


def claims() -> tuple[Claim, ...]:
    """Every claim of the ledger, in the order of their ids."""
    ledger = tomllib.loads((SHIPPED / "claims.toml").read_text(encoding="utf-8"))
    return tuple(
        Claim(name, **entry | {"comparisons": tuple(
            Comparison(**each) for each in entry.get("comparisons", ()))})
        for name, entry in ledger.items()
    )


def claim(claim_id: str) -> Claim:
    """The claim of that id, such as "C2.3"; raises `UnknownName` for another."""
    known = {each.id: each for each in claims()}
    check_name("claim", claim_id, known)
    return known[claim_id]
