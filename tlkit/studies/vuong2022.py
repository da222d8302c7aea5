"""L2SP-Fisher on Aircraft: what the training logs say about Table 1 and the text.

A setting is a pair (beta, alpha) as printed: the strengths of the Fisher term and of L2. The study
builds on the paper of L2-SP, which is checked too (C4.7).
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from tlkit.studies import checks
from tlkit.studies.findings import CRITICAL, Figure, Finding, gap, listed, points, sampling_error
from tlkit.studies.published import published

SETTING = ["beta", "alpha"]
IMAGES = 3_333  # validation images, of which every log gives the accuracy
VARIANTS = 100  # classes of FGVC Aircraft
INITIAL = "0531-0653"  # from then on the Fisher is that of the initial, not of the current model
L2SP_RUNS = 5  # behind each mean and standard deviation in the paper of L2-SP


def findings() -> Iterator[Finding]:
    """Yield all findings."""
    cells = published("vuong2022", "table1", printed=True).set_index(SETTING)["accuracy"]
    printed = published("vuong2022", "logs", printed=True)
    logs = published("vuong2022", "logs").set_index([printed[each] for each in SETTING])
    logs = logs[logs["log"].str.startswith("new")]  # the final series, with Table 1's settings
    text = published("vuong2022", "text").set_index("setting")["value"]
    yield from _other_log(cells, logs)
    yield from _left_out(cells, logs)
    yield from _two_codes(cells, logs)
    yield from _cut_off(cells, logs)
    yield from _of_all_logs(cells, logs, printed)
    yield from _text(cells, logs, text)
    yield from _baseline(cells, logs, text["baseline"])
    yield from _fisher(logs)
    for pair in combinations(cells.astype(float).sort_values().index, 2):
        if sum(one != other for one, other in zip(*pair)) == 1:  # in one of the two strengths
            one, other = (Figure(f"Table 1, {_spot(each)}", cells[each]) for each in pair)
            yield from sampling_error(one, other, [IMAGES])
    yield from _l2_sp()


def _spot(setting: tuple[str, str]) -> str:
    return "β {}, α {}".format(*setting)


def _other_log(cells: pd.Series, logs: pd.DataFrame) -> Iterator[Finding]:
    """Find a cell that is not the best accuracy in the log of its setting."""
    printed = logs["best"].map("{:.2f}".format)
    for setting, accuracy in cells[cells != printed[cells.index]].items():
        others = ", ".join(map(_spot, printed.index[printed == accuracy])) or "no other setting"
        text = f"The log's best is {logs.at[setting, 'best']:.3f} %. This is the best of {others}."
        yield Finding(f"Table 1, {_spot(setting)}", f"{accuracy} %", "log", text, "inconsistent")


def _left_out(cells: pd.Series, logs: pd.DataFrame) -> Iterator[Finding]:
    """Find settings that were run and are not in the table."""
    missing = logs.loc[logs.index.difference(cells.index, sort=False), "best"]
    if len(missing):
        highest = cells.astype(float).max()
        words, _ = gap(missing.max(), highest, [IMAGES])
        runs = listed(missing, ".3f", _spot)
        text = f"The table leaves out {runs}, in %. The better one against the best cell: {words}."
        kind = "inconsistent" if missing.max() > highest else "not shown"
        yield Finding("Table 1 | logs", f"best {highest:.2f} %", "left out", text, kind)


def _two_codes(cells: pd.Series, logs: pd.DataFrame) -> Iterator[Finding]:
    """Find cells from before and after the code changed which model the Fisher is taken of."""
    before = logs.loc[cells.index, "start"] < INITIAL
    if before.any() and not before.all():
        text = (
            f"{', '.join(map(_spot, before.index[before]))} took the Fisher of the current model, "
            f"the other {(~before).sum()} that of the initial one."
        )
        yield Finding("Table 1 | logs", f"{len(cells)} cells", "code version", text, "inconsistent")


def _cut_off(cells: pd.Series, logs: pd.DataFrame) -> Iterator[Finding]:
    """Find cells whose run did not end, and say what the others had reached by then."""
    for setting, log in logs.loc[cells.index].query("epochs < scheduled").iterrows():
        others = listed(logs["best67"].drop([setting]), ".2f", _spot)
        text = (
            f"The log ends after {log['epochs']:.0f} of {log['scheduled']:.0f} epochs, its best is "
            f"{log['best']:.2f} %. The best of the first 67 epochs of the others: {others}."
        )
        where = f"Table 1, {_spot(setting)}"
        yield Finding(where, f"{cells[setting]} %", "run length", text, "not shown")


def _of_all_logs(cells: pd.Series, logs: pd.DataFrame, printed: pd.DataFrame) -> Iterator[Finding]:
    """Say what the choice of the epoch gains, and find wrong numbers of classes and of images."""
    last, median = (logs["best"] - logs[other] for other in ("last", "median10"))
    words = (
        f"The epoch is chosen on the images that are reported. The best is {last.min():.2f} to "
        f"{last.max():.2f} points above the last, and {median.min():.2f} to {median.max():.2f} "
        "above the median of the last ten. The highest median, in %: "
        f"{listed(logs['median10'].nlargest(1), '.2f', _spot)}."
    )
    epochs = f"best of {logs['epochs'].min():.0f} to {logs['epochs'].max():.0f} epochs"
    yield Finding("logs", epochs, "best epoch", words, "not shown")
    for classes, rows in logs[logs["classes"] != VARIANTS].groupby("classes"):
        number = f"{classes:.0f} classes"
        words = f"The networks of {len(rows)} logs have outputs for {number}, not {VARIANTS}."
        yield Finding("logs", number, "number of classes", words, "inconsistent")
    text = published("vuong2022", "text", printed=True).set_index("setting")["value"]
    accuracies = [*cells, text["baseline"], *printed["best"], *printed["last"]]  # of all series
    wrong = checks.misfits(accuracies, [IMAGES])
    words = (
        f"All but {', '.join(wrong) or 'none'} can be shares of the {IMAGES:,} validation images. "
        "The released code never uses the test images."
    )
    where, kind = "Table 1 | text | logs", "inconsistent" if wrong else "not shown"
    yield Finding(where, f"{len(accuracies)} accuracies", "GRIM", words, kind)


def _text(cells: pd.Series, logs: pd.DataFrame, text: pd.Series) -> Iterator[Finding]:
    """Find differences in the text that the logs of the same settings do not give."""
    accuracies = [cells.astype(float), logs["best"], logs["best67"]]
    differences = {
        "alpha 0 over 0.0005": lambda by: by["0.00004", "0"] - by["0.00004", "0.0005"],
        "beta 0.0004 over 0.00004": lambda by: (by["0.0004"] - by["0.00004"]).mean(),
    }
    for what, of in differences.items():
        printed, whole, first = map(of, accuracies)
        if abs(whole - text[what]) > 0.01:  # both ends are rounded
            words = (
                f"Points by Table 1: {points(printed, '+.3f')}; by the logs of its settings: "
                f"{points(whole, '+.3f')}, in their first 67 epochs {points(first)}."
            )
            change = f"{points(text[what])} points"
            yield Finding(f"text: {what}", change, "log", words, "inconsistent")


def _baseline(cells: pd.Series, logs: pd.DataFrame, baseline: float) -> Iterator[Finding]:
    """Find a baseline from which the best cell differs in more than the Fisher term."""
    best = cells.astype(float).idxmax()
    of = (logs.loc[["0"], "best"] - baseline).abs().idxmin()
    if best[1] != of[1]:
        gains = listed(logs.loc[best[0], "best"] - logs.loc["0", "best"], name="α {}".format)
        text = (
            f"The text compares {_spot(best)} with {_spot(of)}: α differs too. By the logs, "
            f"β {best[0]} − β 0 is {gains}, in points."
        )
        where, printed = "text: best − baseline", f"{cells[best]} − {baseline:.2f} %"
        yield Finding(where, printed, "confounded", text, "inconsistent")


def _fisher(logs: pd.DataFrame) -> Iterator[Finding]:
    """Find where every strength of the Fisher term is worse than none."""
    for alpha, column in logs["best"].groupby("alpha", sort=False):
        best = column.droplevel("alpha")
        without, terms = best["0"], best.drop("0")
        if (terms < without).all():
            words, kind = gap(terms.max(), without, [IMAGES])
            printed = f"{', '.join(f'{each:.3f}' for each in terms)} < {without:.3f} %"
            text = f"The best accuracy is lower with every Fisher term. The better one: {words}."
            yield Finding(f"logs, α {alpha}: β > 0 | β 0", printed, "Fisher term", text, kind)


def _l2_sp() -> Iterator[Finding]:
    """Find whether L2-SP gains more over L2 with fewer images per class."""
    rows = published("vuong2022", "li2018").dropna(subset=["per_class", "sd"])
    cells = rows.pivot(index="per_class", columns="setting", values=["accuracy", "sd"])
    gains = cells["accuracy"]["L2-SP"] - cells["accuracy"]["L2"]
    growth = gains.iloc[0] - gains.iloc[-1]  # from most to fewest images
    error = np.sqrt((cells["sd"].iloc[[0, -1]] ** 2).to_numpy().sum() / L2SP_RUNS)
    if growth < CRITICAL * error:
        each = listed(gains, name="{:.0f} per class".format)
        text = (
            "The paper says that the gain grows as images get fewer. Here it changes by "
            f"{points(growth)} points, standard error {error:.2f}."
        )
        where = "L2-SP paper, ICLR 2018 submission, Caltech-256: L2-SP − L2"
        yield Finding(where, f"{each} points", "claim", text, "not shown")
