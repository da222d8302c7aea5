"""The claims of all studies, each with the comparisons that test it.

To add a claim, write it into `data/studies/<study>/claims.toml`, and judge it in its notebook with
`tl.verdicts(results, ["C2.3"])`.
"""

import tomllib
from dataclasses import dataclass

from tlkit.experiments.arms import Arm
from tlkit.ground.names import check_name
from tlkit.ground.paths import STUDIES


@dataclass(frozen=True)
class Comparison:
    """A metric of the arm `better` minus that of `worse`, claimed to be `at_least` points."""

    better: Arm
    worse: Arm
    at_least: float
    metric: str = "accuracy"  # see `metrics.contributions`
    worse_metric: str = ""  # where the two differ


@dataclass(frozen=True)
class Claim:
    """A falsifiable statement, and the comparisons that must all hold for it.

    A claim that is not about arms has a `quantity` instead, such as a correlation. Some have both.
    """

    id: str
    study: str  # its folder
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
        """Return in one line what a verdict means in practice; "" for an undecided claim."""
        return {"supported": self.supported, "contradicted": self.contradicted}.get(verdict, "")


def claims() -> tuple[Claim, ...]:
    """Return every claim of every study, in the order of their ids."""
    ledger = []
    for path in STUDIES.glob("*/claims.toml"):
        for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            compared = tuple(Comparison(**each) for each in entry.pop("comparisons", ()))
            ledger.append(Claim(name, path.parent.name, comparisons=compared, **entry))
    return tuple(sorted(ledger, key=lambda claim: [int(part) for part in claim.id[1:].split(".")]))


def claim(claim_id: str) -> Claim:
    """Return the claim with this id, such as "C2.3"; raises `UnknownName` for another."""
    known = {each.id: each for each in claims()}
    check_name("claim", claim_id, known)
    return known[claim_id]
