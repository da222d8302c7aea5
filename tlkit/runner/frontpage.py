"""The answers and the picture in README.md, made from the reference that comes with the kit.

After a new reference, `python -m tlkit.runner.frontpage` writes them anew; a test fails until then.
"""

import json

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import seaborn as sns

from tlkit.experiments.results import reference
from tlkit.ground.paths import ROOT, SHIPPED, put
from tlkit.judging.intervals import in_words
from tlkit.judging.ledger import Claim, claim
from tlkit.runner.forecast import REFERENCE
from tlkit.runner.notebooks import available
from tlkit.studies.published import studies

README = ROOT / "README.md"
PICTURE = SHIPPED / "pictures" / "pretraining.png"
BEGIN, END = "<!-- answers: python -m tlkit.runner.frontpage -->\n", "<!-- end of answers -->"


def answers() -> str:
    """Return a table of the notebooks: question, our answer in the lab, minutes."""
    central = {claim(each).notebook: claim(each) for study in studies() for each in study.central}
    minutes = json.loads(REFERENCE.read_text("utf-8"))["minutes"]
    verdicts = _drawn("verdicts")
    rows = ["| notebook | our answer, on drawn (synthetic) pictures | minutes |", "|---|---|---|"]
    for path in available():
        title = nbformat.read(path, as_version=4).cells[0].source.partition("\n")[0].strip("# ")
        answer = _answer(central[path.stem], verdicts) if path.stem in central else "–"
        time = f"{max(0.5, minutes[path.stem]):.1f}" if path.stem in minutes else "–"
        rows.append(f"| [{path.stem[:2]}](notebooks/{path.name}) {title} | {answer} | {time} |")
    return "\n".join(rows) + "\n"


def _drawn(name: str) -> pd.DataFrame:
    """Return a table of the reference, only of runs with the notebooks' own parameters."""
    table = reference(name, "lab")
    calls = table["parameters"].map(json.loads)
    return table[[not any(call[name] for name in call if name != "profile") for call in calls]]


def _answer(judged: Claim, verdicts: pd.DataFrame) -> str:
    """Say the verdict, what it means, and the difference; or the count over several ways."""
    rows = verdicts[verdicts["claim"] == judged.id]
    if rows.empty:
        return "not in the reference yet"
    if len(rows) > 1:
        counts = rows["verdict"].value_counts()
        words = ", ".join(f"{verdict} in {count}" for verdict, count in counts.items())
        return f"{judged.statement} Of {len(rows)} ways to test it: {words}."
    verdict, mean, low, high = rows.iloc[0][["verdict", "mean", "low", "high"]]
    difference = in_words(float(mean), float(low), float(high))
    return f"**{verdict}** ({difference}): {judged.meaning(verdict) or judged.statement}"


def draw() -> plt.Figure:
    """Draw what pretrained weights gain over random ones, target by target (32_does_it_fit)."""
    runs = _drawn("runs")
    runs = runs[runs["notebook"] == "32_does_it_fit"].astype({"accuracy": float})
    mean = 100 * runs.pivot_table("accuracy", "target", "scheme")[["random", "pretrained"]]
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
    """Put the answers between their two marks in README.md, and draw the picture anew."""
    with plt.rc_context({"text.usetex": False}):
        draw().savefig(PICTURE, dpi=150)
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    put(README, before + BEGIN + answers() + END + rest.split(END, 1)[1])


if __name__ == "__main__":
    write()
