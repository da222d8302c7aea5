"""The claims of all studies, each with the comparisons that test it.

To add a claim, write it into `data/studies/<study>/claims.toml` and name its id in the notebook.
"""

import tomllib
from dataclasses import dataclass

from tlkit.experiments.arms import Arm
from tlkit.ground.names import check_name
from tlkit.ground.paths import STUDIES


@dataclass(frozen=True)
class Comparison:
    """The metric of the arm `better` minus that of `worse` is at least `at_least` points."""

    better: Arm
    worse: Arm
    at_least: float
    metric: str = "accuracy"  # one that `metrics.contributions` knows
    worse_metric: str = ""  # where it is another one


@dataclass(frozen=True)
class Claim:
    """A falsifiable statement, and the comparisons that must all hold for it.

    Or, where it is not about arms, a `quantity` that is at least so much, such as a correlation.
    """

    id: str
    study: str  # the folder that it stands in
    statement: str
    notebook: str  # where it is judged
    published: str
    supported: str  # what that verdict would mean for whoever trains
    contradicted: str
    ours: bool = False  # about the study, but not made by it
    comparisons: tuple[Comparison, ...] = ()
    quantity: str = ""
    at_least: float = 0.0

    def meaning(self, verdict: str) -> str:
        """Say in a line what a verdict means in practice; "" where it means nothing yet."""
        return {"supported": self.supported, "contradicted": self.contradicted}.get(verdict, "")


def claims() -> tuple[Claim, ...]:
    """Return every claim of every study, in the order of their ids."""
    ledger = []
    for path in STUDIES.glob("*/claims.toml"):
        for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            compared = tuple(Comparison(**each) for each in entry.pop("comparisons", ()))
            ledger.append(Claim(name, path.parent.name, comparisons=compared, **entry))
    return tuple(sorted(ledger, key=lambda claim: _order(claim.id)))


def claim(claim_id: str) -> Claim:
    """Return the claim of that id, such as "C2.3"; raises `UnknownName` for another."""
    known = {each.id: each for each in claims()}
    check_name("claim", claim_id, known)
    return known[claim_id]


def _order(claim_id: str) -> tuple[str, int]:
    study, _, number = claim_id.partition(".")
    return study, int(number)
