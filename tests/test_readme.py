"""The results in the README are those of the reference that comes with the kit."""

import json
import re

import pandas as pd

from tlkit.experiments import results
from tlkit.runner import frontpage
from tlkit.judging.ledger import claims


def test_the_results_in_the_readme_are_not_stale():
    text = frontpage.README.read_text(encoding="utf-8")
    written = text.split(frontpage.BEGIN)[1].split(frontpage.END)[0]
    assert written == frontpage.section(), "stale: python -m tlkit.readme writes them anew"


def test_every_claim_has_one_row_of_its_own_study_with_the_verdict_found():
    rows = {line.split()[1]: line for line in frontpage.section().splitlines() if "| C" in line[:4]}
    assert list(rows) == [claim.id for claim in claims()]
    for row in results.reference("verdicts", "lab").to_dict("records"):
        assert f"**{row['verdict']}**" in rows[row["claim"]]
        for number in re.findall(r"[+−][\d.]+ \[[^]]*\]", row["difference"]):
            assert number in rows[row["claim"]]


def test_another_task_goes_into_the_column_of_photographs(monkeypatch):
    found = pd.DataFrame({
        "claim": ["C2.4", "C2.4"], "verdict": ["undecided", "supported"],
        "difference": ["a − b: −1.0 [−2.0, +0.0] (claimed ≥ −1)", "a − b: −0.2 [−0.3, −0.1]"],
        "given": [json.dumps({"task": ""}), json.dumps({"task": "photographs"})],
    })
    monkeypatch.setattr(frontpage, "reference", lambda name, profile: found)
    (row,) = (line for line in frontpage.section().splitlines() if line.startswith("| C2.4 "))
    assert row.endswith("| **undecided**: −1.0 [−2.0, +0.0] | **supported**: −0.2 [−0.3, −0.1] |")
