"""The README says what the reference that comes with the kit says, and stays short."""

import re

import pandas as pd

from tlkit.experiments.results import reference
from tlkit.judging.ledger import claim
from tlkit.runner import frontpage
from tlkit.runner.notebooks import available
from tlkit.studies.published import studies


def rows() -> dict[str, str]:
    """Return the rows of the table of answers by the number of the notebook."""
    lines = frontpage.answers().splitlines()[2:]
    return {re.match(r"\| \[(\d\d)\]", line)[1]: line for line in lines}


def test_the_answers_in_the_readme_are_not_stale():
    text = frontpage.README.read_text(encoding="utf-8")
    written = text.split(frontpage.BEGIN)[1].split(frontpage.END)[0]
    assert written == frontpage.answers(), "python -m tlkit.runner.frontpage writes them anew"


def test_every_notebook_has_a_row_and_a_central_claim_gives_its_verdict():
    assert list(rows()) == [path.stem[:2] for path in available()]
    verdicts = reference("verdicts", "lab")
    for study in studies():
        for judged in map(claim, study.central):
            row = rows()[judged.notebook[:2]]
            mine = verdicts[(verdicts["claim"] == judged.id)]
            assert any(verdict in row for verdict in mine["verdict"])


def test_a_claim_judged_in_several_ways_is_counted(monkeypatch):
    ways = pd.DataFrame(
        {
            "notebook": "12_specific_and_general",
            "parameters": "{}",
            "claim": "C2.9",
            "verdict": ["supported", "undecided", "supported"],
        }
    )
    others = reference("verdicts", "lab").query("claim != 'C2.9'")
    every = pd.concat([ways, others])
    monkeypatch.setattr(frontpage, "reference", lambda name, profile: every)
    assert "Of 3 ways to test it: supported in 2, undecided in 1." in rows()["12"]


def test_the_readme_is_short_and_lists_every_notebook():
    text = frontpage.README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120 and len(text.encode()) <= 8 * 1024
    assert all(f"(notebooks/{path.name})" in text for path in available())


def test_the_two_commands_are_those_of_ci():
    text = frontpage.README.read_text(encoding="utf-8")
    commands = re.findall(r"^python3 -m venv .*$", text, re.MULTILINE)
    assert len(commands) == 2
    ci = (frontpage.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert ".venv/bin/pytest" in ci and "'.[test]'" in ci
