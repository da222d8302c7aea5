"""The poster: impossible numbers, contradictions, and what its claims rest on."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tlkit.studies import checks
from tlkit.studies.findings import Figure, Finding, gap, likely_sizes, listed, of_figures
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


def findings() -> Iterator[Finding]:
    """Yield all findings. Test sizes are not published: likely ones are `findings.SHARES`."""
    figures, counts = _figures(), _counts()
    yield from of_figures(figures, counts)
    yield from _repeated(figures, counts)
    yield from _helped({each.where: each for each in figures}, counts)
    f1 = published("reyes2022", "table5").set_index("class")["f1"].sort_values(ascending=False)
    transfer = published("reyes2022", "table4", printed=True).iloc[0]
    where = "Table 5, {source} → {target}".format(**transfer)
    text = f"The mean F1 is {f1.mean():.3f}; the highest two are {listed(f1[:2], 'g')}."
    yield Finding(where, f"{transfer['accuracy']} % (Table 4)", "macro F1", text, "not shown")


def _figures() -> list[Figure]:
    """Return the accuracies of Tables 1 to 4."""
    figures = []
    for number, texts in TABLES.items():
        for row in published("reyes2022", f"table{number}", printed=True).to_dict("records"):
            group, task, where = (text.format(**row) for text in texts)
            loss = float(row["loss"]) / 100  # nats
            figures.append(Figure(where, row["accuracy"], group, task, loss))
    return figures


def _counts() -> dict[str, np.ndarray]:
    """Return the images per class of each task, if it uses all images of its classes."""
    images = published("reyes2022", "classes").set_index("class")["images"]
    return {
        "8 classes": images.to_numpy(),
        "person/other": np.array([images["person"], images.drop("person").sum()]),
        "cat/dog": images[["cat", "dog"]].to_numpy(),
    }


def _repeated(figures: Sequence[Figure], counts: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Find a setting that two tables report, further apart than test images explain."""
    possible = [each for each in figures if not checks.impossible(each.accuracy)]
    for start, again in SAME.items():
        rows = [each for each in possible if each.where.startswith(start)]
        other = next(each for each in possible if each.where == again)
        nearest = min(rows, key=lambda each: abs(each.accuracy - other.accuracy))
        text, kind = gap(nearest.accuracy, other.accuracy, likely_sizes(counts[other.task]))
        if kind == "exceeds noise":
            printed = f"{', '.join(each.printed for each in rows)} | {other.printed} %"
            text = f"By the study this is one setting, but even the nearest two differ: {text}."
            yield Finding(f"{start} | {again}", printed, "same setting", text, "inconsistent")


def _helped(figures: Mapping[str, Figure], counts: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Find where Tables 3 and 4 deny that 8 classes help a simpler task (C2.7, C2.8)."""
    for task in ("person/other", "cat/dog"):
        after, alone = figures[f"Table 4, 8 classes → {task}"], figures[f"Table 3, {task}"]
        if after.accuracy < alone.accuracy:
            text, _ = gap(after.accuracy, alone.accuracy, likely_sizes(counts[task]))
            text = f"The study says that the transfer helps; its tables show the opposite: {text}."
            printed = f"{after.printed} < {alone.printed} %"
            yield Finding(f"{after.where} | {alone.where}", printed, "claim", text, "inconsistent")
