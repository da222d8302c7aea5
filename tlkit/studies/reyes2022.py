"""The poster: what cannot be in its tables, what contradicts itself, what its claims rest on."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from tlkit.studies import checks
from tlkit.studies.findings import Finding, in_words, likely_sizes, of_figures
from tlkit.studies.published import published

# Table: what can be compared in it, the task, and where a row stands.
TABLES = {
    1: ("Table 1", "8 classes", "Table 1, {init}, lr {lr}"),
    2: ("Table 2", "8 classes", "Table 2, frozen: {frozen}"),
    3: ("Tables 3, 4", "{target}", "Table 3, {target}"),
    4: ("Tables 3, 4", "{target}", "Table 4, {source} → {target}"),
}
# The same setting twice, as far as the study says: beginnings of `where`.
SAME = {
    "Table 1, pretrained": "Table 2, frozen: none",
    "Table 1, random": "Table 3, 8 classes",  # its start is not stated; see the table's notes
}
HELPED = ("person/other", "cat/dog")  # simple tasks, which 8 classes as source are said to help


def findings() -> Iterator[Finding]:
    """Test sizes are not published: likely ones are shares of all images (`findings.SHARES`)."""
    figures, counts = _figures(), _counts()
    yield from of_figures(figures, counts)
    yield from _repeated(figures, counts)
    yield from _helped(figures, counts)
    yield _f1()


def _figures() -> pd.DataFrame:
    """The accuracies of Tables 1 to 4 in the form that `findings` asks for."""
    rows = []
    for number, texts in TABLES.items():
        for row in published("reyes2022", f"table{number}", printed=True).to_dict("records"):
            group, task, where = (text.format(**row) for text in texts)
            loss = float(row["loss"]) / 100  # nats
            rows.append((where, group, task, row["accuracy"], float(row["accuracy"]), loss))
    columns = ["where", "group", "task", "printed", "accuracy", "loss"]
    return pd.DataFrame(rows, columns=columns)


def _counts() -> dict[str, np.ndarray]:
    """Images per class of each task, if it uses all images of its classes."""
    images = published("reyes2022", "classes").set_index("class")["images"]
    person = images["person"]
    return {
        "8 classes": images.to_numpy(),
        "person/other": np.array([person, images.sum() - person]),
        "cat/dog": images[["cat", "dog"]].to_numpy(),
    }


def _repeated(figures: pd.DataFrame, counts: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """A setting that two tables report, further apart than test images explain."""
    possible = figures[~checks.impossible(figures["accuracy"])]
    for start, again in SAME.items():
        rows = possible[possible["where"].str.startswith(start)]
        other = possible[possible["where"] == again].iloc[0]
        nearest = rows.loc[(rows["accuracy"] - other["accuracy"]).abs().idxmin()]
        said, exceeds = in_words(
            nearest["accuracy"], other["accuracy"], likely_sizes(counts[other["task"]])
        )
        if exceeds:
            yield Finding(
                f"{start} | {again}", f"{', '.join(rows['printed'])} | {other['printed']} %",
                "same setting", f"As far as is stated the same setting, yet even the nearest two "
                f"differ: {said}.", "inconsistent",
            )


def _helped(figures: pd.DataFrame, counts: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """The claim that 8 classes help a simpler task (C2.7, C2.8), where Tables 3 and 4 deny it."""
    rows = figures.set_index("where")
    for task in HELPED:
        after, alone = f"Table 4, 8 classes → {task}", f"Table 3, {task}"
        values = rows.loc[[after, alone], "accuracy"]
        if values[after] < values[alone]:
            said, _ = in_words(values[after], values[alone], likely_sizes(counts[task]))
            yield Finding(
                f"{after} | {alone}", " < ".join(rows.loc[[after, alone], "printed"]) + " %",
                "claim", f"The transfer is said to help; the tables show the opposite: {said}.",
                "inconsistent",
            )


def _f1() -> Finding:
    """Table 5 is about the first row of Table 4."""
    f1 = published("reyes2022", "table5").set_index("class")["f1"].sort_values(ascending=False)
    transfer = published("reyes2022", "table4", printed=True).iloc[0]
    return Finding(
        "Table 5, {source} → {target}".format(**transfer), f"{transfer['accuracy']} % (Table 4)",
        "macro F1", f"The mean F1 of the classes is {f1.mean():.3f}: {f1.index[0]} has "
        f"{f1.iloc[0]}, the next, {f1.index[1]}, {f1.iloc[1]}.", "not shown",
    )
