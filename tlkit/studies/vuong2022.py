"""L2SP-Fisher on Aircraft: what the training logs say about Table 1.

What its differences rest on: `fisher_gain`. The paper of L2-SP, on which it builds: `l2sp_paper`.
"""

from collections.abc import Iterator

import pandas as pd

from tlkit.studies import checks, vuong2022_gain, vuong2022_l2sp, vuong2022_logs
from tlkit.studies.findings import Finding, in_words
from tlkit.studies.published import published
from tlkit.studies.vuong2022_logs import IMAGES, spot

VARIANTS = 100  # classes of FGVC Aircraft
INITIAL = "0531-0653"  # from then on the Fisher is that of the initial, not of the current model


def findings() -> Iterator[Finding]:
    cells, logs = vuong2022_logs.cells(), vuong2022_logs.logs()
    yield from _other_log(cells, logs)
    yield from _left_out(cells, logs)
    yield from _two_codes(cells, logs)
    yield from _cut_off(cells, logs)
    yield from _best_epoch(logs)
    yield from _classes(logs)
    yield _share()
    yield from vuong2022_gain.findings(cells, logs)
    yield from vuong2022_l2sp.findings()


def _other_log(cells: pd.Series, logs: pd.DataFrame) -> Iterator[Finding]:
    """A cell that is not the best accuracy in the log of its setting."""
    printed = logs["best"].map("{:.2f}".format)
    for setting, accuracy in cells.items():
        if printed[setting] != accuracy:
            others = ", ".join(map(spot, printed.index[printed == accuracy])) or "no other setting"
            yield Finding(
                f"Table 1, {spot(setting)}", f"{accuracy} %", "log",
                f"The best in the log of this setting is {logs.at[setting, 'best']:.3f} %. This "
                f"is the best of {others}.", "inconsistent",
            )


def _left_out(cells: pd.Series, logs: pd.DataFrame) -> Iterator[Finding]:
    """Settings that were run and are not in the table."""
    missing = logs.loc[logs.index.difference(cells.index, sort=False), "best"]
    if len(missing):
        best, highest = missing.idxmax(), cells[cells.astype(float).idxmax()]
        said, _ = in_words(missing[best], float(highest), [IMAGES])
        runs = " and ".join(f"{spot(each)} ({value:.3f} %)" for each, value in missing.items())
        yield Finding(
            "Table 1 | logs", f"best {highest} %", "left out",
            f"The table leaves out {runs}. Against the best cell: {said}.",
            "inconsistent" if missing[best] > float(highest) else "not shown",
        )


def _two_codes(cells: pd.Series, logs: pd.DataFrame) -> Iterator[Finding]:
    """Cells from before and after the change of what the Fisher is taken of."""
    before = logs.loc[cells.index, "start"] < INITIAL
    if before.any() and not before.all():
        yield Finding(
            "Table 1 | logs", f"{len(cells)} cells", "code version",
            f"{', '.join(map(spot, before.index[before]))} took the Fisher of the current model, "
            f"the other {(~before).sum()} that of the initial one.", "inconsistent",
        )


def _cut_off(cells: pd.Series, logs: pd.DataFrame) -> Iterator[Finding]:
    """Cells whose run did not end, and what the others had reached by then."""
    for setting, log in logs.loc[cells.index].query("epochs < scheduled").iterrows():
        others = logs["best67"].drop([setting])
        yield Finding(
            f"Table 1, {spot(setting)}", f"{cells[setting]} %", "run length",
            f"The log ends after {log['epochs']:.0f} of {log['scheduled']:.0f} epochs, the best "
            f"being {log['best']:.2f} %. Best of the first 67 of the others: "
            + ", ".join(f"{value:.2f} ({spot(each)})" for each, value in others.items()) + ".",
            "not shown",
        )


def _best_epoch(logs: pd.DataFrame) -> Iterator[Finding]:
    """How much the choice of the epoch gives, on the images that are reported."""
    over_last, over_median = (logs["best"] - logs[other] for other in ("last", "median10"))
    if (over_last > 0).any():
        first = logs["median10"].idxmax()
        yield Finding(
            "logs", f"best of {logs['epochs'].min():.0f} to {logs['epochs'].max():.0f} epochs",
            "best epoch",
            f"The epoch is chosen on the images that are reported: the best is "
            f"{over_last.min():.2f} to {over_last.max():.2f} points above the last, "
            f"{over_median.min():.2f} to {over_median.max():.2f} above the median of the last "
            f"ten. The highest median is {logs.at[first, 'median10']:.2f} % ({spot(first)}).",
            "not shown",
        )


def _classes(logs: pd.DataFrame) -> Iterator[Finding]:
    """Outputs that no image can have."""
    for classes, rows in logs[logs["classes"] != VARIANTS].groupby("classes"):
        yield Finding(
            "logs", f"{classes:.0f} classes", "number of classes",
            f"The networks of {len(rows)} logs have {classes:.0f} outputs for {VARIANTS} variants.",
            "inconsistent",
        )


def _share() -> Finding:
    """Whether all accuracies, of the older logs too, are of the validation images."""
    columns = {"table1": ["accuracy"], "text": ["value"], "logs": ["best", "last"]}
    tables = {name: published("vuong2022", f"{name}", printed=True) for name in columns}
    tables["text"] = tables["text"].query("setting == 'baseline'")  # the others are differences
    printed = [
        each for name, chosen in columns.items() for each in tables[name][chosen].to_numpy().flat
    ]
    wrong = [each for each in printed if not checks.grim(each, [IMAGES]).any()]
    said = "All are whole numbers" if not wrong else f"{', '.join(wrong)} are no whole numbers"
    return Finding(
        "Table 1 | text | logs", f"{len(printed)} accuracies", "GRIM",
        f"{said} of right answers among {IMAGES:,} images: those of validation, by the released "
        "code, which never uses the test images.", "inconsistent" if wrong else "not shown",
    )
