"""What vuong2022 says the strengths of the Fisher term and of L2 gain, and what its logs say."""

from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from tlkit.studies.findings import Finding, difference, in_words, points
from tlkit.studies.published import published
from tlkit.studies.vuong2022_logs import IMAGES, spot


def findings(cells: pd.Series, logs: pd.DataFrame) -> Iterator[Finding]:
    """From Table 1 and the logs, as `fisher_runs` reads them."""
    text = published("vuong2022", "text").set_index("setting")["value"]
    yield from _text(cells, logs, text)
    yield from _baseline(cells, logs, text["baseline"])
    yield from _fisher(logs)
    yield from _noise(cells)


def _text(cells: pd.Series, logs: pd.DataFrame, text: pd.Series) -> Iterator[Finding]:
    """Differences in the text, which the logs of the same settings do not give."""
    same = logs.loc[cells.index]
    accuracies = [cells.astype(float), same["best"], same["best67"]]
    differences = {
        "alpha 0 over 0.0005": lambda by: by["0.00004", "0"] - by["0.00004", "0.0005"],
        "beta 0.0004 over 0.00004": lambda by: (by["0.0004"] - by["0.00004"]).mean(),
    }
    for what, of in differences.items():
        printed, whole, first = (of(by) for by in accuracies)
        if abs(whole - text[what]) > 0.01:  # both ends are rounded
            yield Finding(
                f"text: {what}", f"{points(text[what])} points", "log",
                f"Table 1 gives {points(printed, 3)} points; the logs of its settings "
                f"{points(whole, 3)}, in their first 67 epochs {points(first)}.", "inconsistent",
            )


def _baseline(cells: pd.Series, logs: pd.DataFrame, baseline: float) -> Iterator[Finding]:
    """The best cell against the baseline, where more than the Fisher term differs."""
    best = cells.astype(float).idxmax()
    of = (logs.loc[["0"], "best"] - baseline).abs().idxmin()
    if best[1] != of[1]:
        gains = logs.loc[best[0], "best"] - logs.loc["0", "best"]
        said = ", ".join(f"{points(gain)} points (α {alpha})" for alpha, gain in gains.items())
        yield Finding(
            "text: best − baseline", f"{cells[best]} − {baseline:.2f} %", "confounded",
            f"{spot(best)} is compared with {spot(of)}: α differs too. By the logs β {best[0]} "
            f"against β 0 is {said}.", "inconsistent",
        )


def _fisher(logs: pd.DataFrame) -> Iterator[Finding]:
    """Every strength of the Fisher term is worse than none."""
    for alpha, column in logs["best"].groupby("alpha", sort=False):
        column = column.droplevel("alpha")
        without, terms = column["0"], column.drop("0")
        if (terms < without).all():
            said, exceeds = in_words(terms.max(), without, [IMAGES])
            yield Finding(
                f"logs, α {alpha}: β > 0 | β 0",
                f"{', '.join(f'{each:.3f}' for each in terms)} < {without:.3f} %", "Fisher term",
                f"Every Fisher term goes with a lower best accuracy than none; the better one: "
                f"{said}.", "exceeds noise" if exceeds else "within noise",
            )


def _noise(cells: pd.Series) -> Iterator[Finding]:
    """Cells of Table 1 that differ in one of the two strengths."""
    rows = pd.DataFrame({
        "where": [f"Table 1, {spot(setting)}" for setting in cells.index],
        "printed": cells, "accuracy": cells.astype(float),
    })
    for pair in combinations(rows.sort_values("accuracy", kind="stable").itertuples(), 2):
        worse, better = pair
        same = sum(one == other for one, other in zip(*(each.Index for each in pair), strict=True))
        if same == 1 and better.accuracy > worse.accuracy:
            yield difference(better, worse, [IMAGES])
