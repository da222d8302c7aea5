"""The results and a picture in README.md, made from the reference that comes with the kit.

After a new reference: `python -m tlkit.readme` writes them anew; a test says when they are stale.
"""

import json
import re

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from tlkit.experiments.results import reference
from tlkit.ground.paths import ROOT, SHIPPED, put
from tlkit.judging.ledger import claims

README = ROOT / "README.md"
PICTURE = SHIPPED / "pictures" / "pretraining.png"
BEGIN, END = "<!-- results: python -m tlkit.readme -->\n", "<!-- end of results -->"
COLUMNS = ("drawn targets (synthetic)", "photographs, 30 px")
ANOTHER = ("task", "targets")  # parameters that put photographs in the place of drawn targets
NUMBER = re.compile(r"[+−]?\d[\d.]* \[[^]]+\]")  # an estimate and its interval


def section() -> str:
    """A table of all claims for each study: both columns' verdicts, numbers in points."""
    found = _by_column("verdicts")
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


def _by_column(name: str) -> pd.DataFrame:
    """A table of the reference with the column of this page that each row belongs to."""
    found = reference(name, "lab")
    given = [json.loads(told) for told in found["given"]]
    found["column"] = [COLUMNS[any(map(each.get, ANOTHER))] for each in given]
    return found


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


def draw() -> plt.Figure:
    """What pretrained weights gain over random ones, target by target (32_does_it_fit)."""
    runs = _by_column("runs")
    runs = runs[(runs["notebook"] == "32_does_it_fit") & (runs["column"] == COLUMNS[0])].copy()
    runs[["target", "start"]] = runs["arm"].str.split(": ", n=1, expand=True)
    runs["accuracy"] = 100 * runs["accuracy"].astype(float)
    mean = runs.pivot_table("accuracy", "target", "start")[["random", "pretrained"]]
    mean = mean.loc[(mean["pretrained"] - mean["random"]).sort_values().index]
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    axis.hlines(mean.index, mean["random"], mean["pretrained"], color="0.75", linewidth=2)
    for (start, values), marker, colour in zip(mean.items(), "so", sns.color_palette("colorblind")):
        axis.plot(values, mean.index, marker, color=colour, label=f"{start} weights")
    axis.set(xlabel="test accuracy, %", title="The same network, 16 pictures of each class")
    axis.legend(frameon=False, loc="lower center")
    sns.despine(ax=axis, left=True)
    return figure


def write() -> None:
    """Put the section between its two marks in README.md, and draw the picture anew."""
    draw().savefig(PICTURE, dpi=150)
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    put(README, before + BEGIN + section() + END + rest.split(END, 1)[1])


if __name__ == "__main__":
    write()
