"""Fixed recipe, grid and Bayesian search, ImageNet and a larger source: what the tables allow.

The sizes of the public test sets are those of the sets' own splits; the page states none.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from tlkit.studies import checks, paddleclas2020_sources
from tlkit.studies.findings import CRITICAL, Finding, difference, in_words, points
from tlkit.studies.paddleclas2020_sources import BATCH, padded
from tlkit.studies.published import published

SEARCHES = ["fixed", "grid", "bayes"]


def findings() -> Iterator[Finding]:
    text = published("paddleclas2020", "text").set_index("setting")["value"]
    figures = published("paddleclas2020", "table1").set_index("dataset")
    sizes = published("paddleclas2020", "sets").set_index("dataset")
    printed = published("paddleclas2020", "table1", printed=True).set_index("dataset")
    for dataset, row in figures.iterrows():
        yield from _no_share(dataset, printed.loc[dataset, SEARCHES], sizes.at[dataset, "test"])
        yield from _gain(dataset, row, sizes.at[dataset, "test"])
    yield _luck(figures, sizes["test"])
    yield _bayes(figures, sizes["test"])
    yield from _loses(figures, text["Bayesian search loses at most"])
    yield from _fewer(figures, text["Bayesian search takes times fewer"])
    yield from _two_rates(text)
    yield from paddleclas2020_sources.findings(text)


def _no_share(dataset: str, printed: pd.Series, images: int) -> Iterator[Finding]:
    """Accuracies that cannot all be of the test images, nor of these filled up to whole batches."""
    sizes = sorted({images, padded(images)})
    if checks.grim_all(printed, sizes).any():
        return
    never = [each for each in printed if not checks.grim(each, sizes).any()]
    said = f"{', '.join(never)} of neither" if never else "each alone by one or the other"
    yield Finding(
        f"first table, {dataset}", f"{', '.join(printed)} %", "GRIM",
        f"Not all can be shares of {images:,} test images, nor of {sizes[-1]:,}, whole batches of "
        f"{BATCH}, rounded alike: {said}. They are of other images, or no plain top-1 accuracies.",
        "inconsistent" if never else "not shown",
    )


def _gain(dataset: str, row: pd.Series, images: int) -> Iterator[Finding]:
    """The best run of the grid over the fixed recipe."""
    rows = pd.DataFrame({"accuracy": row[["grid", "fixed"]].astype(float)})
    rows["where"] = [f"first table, {dataset}, grid", "fixed"]
    rows["printed"] = rows["accuracy"].map("{:.2f}".format)
    if row["grid"] > row["fixed"]:
        yield difference(*rows.itertuples(), [images])


def _luck(figures: pd.DataFrame, images: pd.Series) -> Finding:
    """What the best of so many equal runs gains over one of them, if each had its own test set."""
    error = np.sqrt(figures["fixed"] * (100 - figures["fixed"]) / images[figures.index])
    luck = error * figures["grid_trials"].map(expected_maximum)
    gain = figures["grid"] - figures["fixed"]
    below = gain.index[gain <= luck]
    small = ", ".join(f"{each} {points(gain[each])} (luck {points(luck[each])})" for each in below)
    return Finding(
        "first table, grid − fixed", f"{points(gain.min())} to {points(gain.max())} points",
        "best of many",
        f"The best of {figures['grid_trials'].max()} runs is set against one; on which images it "
        f"was chosen is not stated. If the test images chose, and all runs were equally good, as "
        f"much might come of luck (sampling error alone, as if each run had test images of its "
        f"own): {small or 'nowhere'}.", "not shown",
    )


def expected_maximum(trials: int) -> float:
    """Of so many independent standard normal numbers (Blom 1958)."""
    return stats.norm.ppf((trials - 0.375) / (trials + 0.25))


def _bayes(figures: pd.DataFrame, images: pd.Series) -> Finding:
    loss = figures["bayes"] - figures["grid"]
    scores = np.abs(checks.z(figures["bayes"], figures["grid"], images[figures.index]))
    beyond, most = scores > CRITICAL, loss.index[scores.argmax()]
    said, _ = in_words(figures.at[most, "bayes"], figures.at[most, "grid"], [images[most]])
    return Finding(
        "first table, Bayesian search − grid",
        f"{points(loss.min())} to {points(loss.max())} points", "sampling error",
        f"{beyond.sum()} of {len(loss)} differences exceed noise; by z the largest, {most}: "
        f"{said}.", "exceeds noise" if beyond.any() else "within noise",
    )


def _loses(figures: pd.DataFrame, most: float) -> Iterator[Finding]:
    loss = (figures["grid"] - figures["bayes"]).round(2)
    if (loss > most).any():
        named = ", ".join(f"{name} loses {loss[name]:.2f}" for name in loss.index[loss > most])
        yield Finding(
            "first table, Bayesian search", f"reduces accuracy by 0 to {most:g} %", "claim",
            f"{named} points.", "inconsistent",
        )


def _fewer(figures: pd.DataFrame, times: float) -> Iterator[Finding]:
    ratio = figures["grid_trials"] / figures["bayes_trials"]
    if ratio.min() < times:
        yield Finding(
            "first table, trials", f"{times:g} times fewer", "trials",
            f"{ratio.min():.1f} ({ratio.idxmin()}) to {ratio.max():.1f} ({ratio.idxmax()}) times "
            f"fewer, on average {ratio.mean():.1f}.", "not shown",
        )


def _two_rates(text: pd.Series) -> Iterator[Finding]:
    rates = [text[f"fixed learning rate of the {which} table"] for which in ("first", "second")]
    if len({*rates}) > 1:
        yield Finding(
            "first table | second table", " | ".join(f"learning rate {each:g}" for each in rates),
            "same setting", "The fixed recipe is not the same in both tables.", "inconsistent",
        )
