"""The results in README.md, made from the reference that comes with the kit.

After a new reference: `python -m tlkit.readme` writes them anew; a test says when they are stale.
"""

import json
import re

import pandas as pd

from tlkit.paths import ROOT, put
from tlkit.published import claims
from tlkit.results import reference

README = ROOT / "README.md"
BEGIN, END = "<!-- results: python -m tlkit.readme -->\n", "<!-- end of results -->"
COLUMNS = ("drawn targets (synthetic)", "photographs, 30 px")
ANOTHER = ("task", "targets")  # parameters that put photographs in the place of drawn targets
NUMBER = re.compile(r"[+−]?\d[\d.]* \[[^]]+\]")  # an estimate and its interval


def section() -> str:
    """A table of all claims for each study: both columns' verdicts, numbers in points."""
    found = reference("verdicts", "lab")
    given = [json.loads(told) for told in found["given"]]
    found["column"] = [COLUMNS[any(map(each.get, ANOTHER))] for each in given]
    parts, study = [], ""
    for claim in claims():
        if claim.study != study and claim.id.endswith(".1"):
            study = claim.study
            parts.append(f"\n**{study}**\n\n| claim | {' | '.join(COLUMNS)} |\n|---|---|---|\n")
        rows = found[found["claim"] == claim.id]
        cells = [_cell(rows[rows["column"] == column]) for column in COLUMNS]
        ours = " *(ours)*" if claim.study == "tlkit" else ""
        parts.append(f"| {claim.id}{ours} {claim.statement} | {' | '.join(cells)} |\n")
    return "".join(parts) + "\n"


def _cell(rows: pd.DataFrame) -> str:
    """A line for each way of judging the claim."""
    lines = []
    for row in rows.fillna("").to_dict("records"):
        numbers = NUMBER.findall(row["difference"])
        least = re.match(r"least of \d+", row["difference"])
        told = (f" ({least[0]})" if least else "") + ": " + ", ".join(numbers)
        way = f"{row['way']}: " if row.get("way") else ""
        lines.append(f"{way}**{row['verdict']}**{told}")
    return "<br>".join(lines) or "–"


def write() -> None:
    """Put the section between its two marks in README.md."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    put(README, before + BEGIN + section() + END + rest.split(END, 1)[1])


if __name__ == "__main__":
    write()
