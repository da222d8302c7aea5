"""Fixed recipe, grid and Bayesian search, ImageNet and a larger source: what the tables allow.

The sizes of the public test sets are those of the sets' own splits; the page states none.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from tlkit.studies import checks
from tlkit.studies.findings import CRITICAL, Figure, Finding, gap, listed, points, sampling_error
from tlkit.studies.published import published

RECIPES = ["fixed", "search"]  # of the second table, for either source
CELLS = [f"{source}_{recipe}" for source in ("imagenet", "large") for recipe in RECIPES]
BATCH = 32  # of the page's recipes


def findings() -> Iterator[Finding]:
    """Yield all findings."""
    text = published("paddleclas2020", "text").set_index("setting")["value"]
    yield from _first_table(text)
    yield from _second_table(text)


def _first_table(text: pd.Series) -> Iterator[Finding]:
    """Compare fixed recipe, grid and Bayesian search on eight public sets."""
    figures = published("paddleclas2020", "table1").set_index("dataset")
    images = published("paddleclas2020", "sets").set_index("dataset")["test"][figures.index]
    printed = published("paddleclas2020", "table1", printed=True).set_index("dataset")
    for dataset, row in printed.iterrows():
        yield from _no_share(dataset, row[["fixed", "grid", "bayes"]].tolist(), images[dataset])
        grid = Figure(f"first table, {dataset}, grid", row["grid"])
        yield from sampling_error(grid, Figure("fixed", row["fixed"]), [images[dataset]])
    yield _luck(figures, images)
    yield _bayes(figures, images)
    yield from _text(figures, text)


def _no_share(dataset: str, printed: Sequence[str], images: int) -> Iterator[Finding]:
    """Find accuracies that are no shares of the test images, nor of these in whole batches."""
    sizes = [images, math.ceil(images / BATCH) * BATCH]
    if not checks.grim_all(printed, sizes).any():
        never = checks.misfits(printed, sizes)
        text = (
            f"With one rule of rounding, these are not all shares of {images:,} test images, nor "
            f"of {sizes[1]:,} (whole batches of {BATCH}). Misfits on their own: "
            f"{', '.join(never) or 'none'}. These are other images, or no plain top-1 accuracies."
        )
        where, kind = f"first table, {dataset}", "inconsistent" if never else "not shown"
        yield Finding(where, f"{', '.join(printed)} %", "GRIM", text, kind)


def _luck(figures: pd.DataFrame, images: pd.Series) -> Finding:
    """Say what the best of equally good runs gains over one of them by luck."""
    error = np.sqrt(figures["fixed"] * (100 - figures["fixed"]) / images)
    luck = error * figures["grid_trials"].map(expected_maximum)
    gain = figures["grid"] - figures["fixed"]
    small = listed(gain[gain <= luck], name=lambda each: f"{each}, luck {points(luck[each])}")
    text = (
        f"The best of {figures['grid_trials'].max()} runs against one run, chosen on unknown "
        "images. If on the test images, and all runs were equally good, sampling error alone (as "
        f"if each run had images of its own) explains these gains: {small or 'none'}."
    )
    gains = f"{points(gain.min())} to {points(gain.max())} points"
    return Finding("first table, grid − fixed", gains, "best of many", text, "not shown")


def expected_maximum(trials: int) -> float:
    """Return the expected maximum of independent standard normal numbers (Blom 1958)."""
    return stats.norm.ppf((trials - 0.375) / (trials + 0.25))


def _bayes(figures: pd.DataFrame, images: pd.Series) -> Finding:
    """Judge what Bayesian search loses against the grid."""
    loss = figures["bayes"] - figures["grid"]
    scores = np.abs(checks.z(figures["bayes"], figures["grid"], images))
    beyond, most = (scores > CRITICAL).sum(), loss.index[scores.argmax()]
    words, _ = gap(figures.at[most, "bayes"], figures.at[most, "grid"], [images[most]])
    text = f"{beyond} of {len(loss)} differences exceed noise. {most} has the largest z: {words}."
    change = f"{points(loss.min())} to {points(loss.max())} points"
    kind = "exceeds noise" if beyond else "within noise"
    return Finding("first table, Bayesian search − grid", change, "sampling error", text, kind)


def _text(figures: pd.DataFrame, text: pd.Series) -> Iterator[Finding]:
    """Compare what the page says in words with its tables."""
    loss = (figures["grid"] - figures["bayes"]).round(2)
    most = text["Bayesian search loses at most"]
    if (loss > most).any():
        words = f"It loses {listed(loss[loss > most], '.2f')} points."
        where, printed = "first table, Bayesian search", f"reduces accuracy by 0 to {most:g} %"
        yield Finding(where, printed, "claim", words, "inconsistent")
    ratio = figures["grid_trials"] / figures["bayes_trials"]
    times = text["Bayesian search takes times fewer"]
    if ratio.min() < times:
        ends = listed(ratio[[ratio.idxmin(), ratio.idxmax()]], ".1f")
        words = f"Least and most: {ends} times fewer; on average {ratio.mean():.1f}."
        yield Finding("first table, trials", f"{times:g} times fewer", "trials", words, "not shown")
    rates = [text[f"fixed learning rate of the {which} table"] for which in ("first", "second")]
    if len({*rates}) > 1:
        printed = " | ".join(f"learning rate {each:g}" for each in rates)
        words = "The fixed recipe is not the same in both tables."
        yield Finding("first table | second table", printed, "same setting", words, "inconsistent")


def _second_table(text: pd.Series) -> Iterator[Finding]:
    """Compare ImageNet with a larger source, on six private sets."""
    figures = published("paddleclas2020", "table2").set_index("dataset")
    figures[CELLS] *= 100
    compared: list[Finding] = []
    for dataset, row in figures.iterrows():
        printed, images = row[CELLS].map("{:.2f}".format), int(row["valid"])
        yield from _whole_batches(dataset, printed, images)
        for recipe in RECIPES:
            where = f"second table, {dataset}, {recipe}: larger source"
            large = Figure(where, printed[f"large_{recipe}"])
            small = Figure("ImageNet", printed[f"imagenet_{recipe}"])
            compared += sampling_error(large, small, [images])
    yield from compared
    gains = [figures[f"large_{each}"] - figures[f"imagenet_{each}"] for each in RECIPES]
    within = [each.kind for each in compared].count("within noise")
    words = (
        f"{(pd.concat(gains) > 0).sum()} of {len(compared)} gains are positive, and {within} of "
        f"{len(compared)} are within noise."
    )
    where, claim = "second table, larger source − ImageNet", "improves accuracy “in most cases”"
    yield Finding(where, claim, "claim", words, "not shown")
    row = figures.loc[figures["valid"].idxmin()]
    lead, one = row["large_search"] - row["imagenet_search"], 100 / row["valid"]
    words = (
        f"One image is {one:.2f} points; the searches are {points(lead)} apart, {lead / one:.1f}."
    )
    where = f"second table, {row.name}: validation images"
    yield Finding(where, f"{row['valid']:g}", "one image", words, "not shown")
    yield from _public(figures, text)
    yield from _rate(figures["imagenet_search"] - figures["imagenet_fixed"], *gains)


def _whole_batches(dataset: str, printed: pd.Series, images: int) -> Iterator[Finding]:
    """Find accuracies that are no shares of the validation images, but of whole batches."""
    whole = math.ceil(images / BATCH) * BATCH
    shares, batches = sum(checks.grim(each, [images, whole])[0] for each in printed)
    if shares < len(printed):
        chance = stats.binom.sf(batches - 1, len(printed), whole / 10_000)
        p = np.format_float_positional(chance, 1, fractional=False)
        counted = "probably count twice" if chance < 0.05 else "do not explain it"
        text = (
            f"{shares} of {len(printed)} can be shares of the {images:,} validation images, "
            f"{batches} of {whole:,}, {whole // BATCH} batches of {BATCH} (as many by chance: "
            f"p {p}). Images that fill up the last batch {counted}."
        )
        where = f"second table, {dataset}"
        yield Finding(where, f"{', '.join(printed)} %", "GRIM", text, "inconsistent")


def _public(figures: pd.DataFrame, text: pd.Series) -> Iterator[Finding]:
    """Find a set that the page calls self-collected and that looks like a public one."""
    images, classes = (int(text[f"{what} of Oxford-102"]) for what in ("images", "classes"))
    for dataset, row in figures[figures["classes"] == classes].iterrows():
        here = int(row["train"] + row["valid"])
        if abs(here - images) < 0.01 * images:
            words = (
                f"Called self-collected, but probably Oxford-102 ({images:,} images of {classes} "
                "classes, also in the first table) with another split."
            )
            where, printed = f"second table, {dataset}: images", f"{here:,} of {classes} classes"
            yield Finding(where, printed, "public set", words, "not shown")


def _rate(search: pd.Series, fixed: pd.Series, after: pd.Series) -> Iterator[Finding]:
    """Find whether a search gains what the larger source does; all by data set, in points."""
    if (search > fixed).any():
        text = (
            f"From ImageNet weights the search gains more on {(search > fixed).sum()} of "
            f"{len(search)} sets (up to {points(search.max())} points). Then the gap is smaller on "
            f"{(after < fixed).sum()} of {len(search)}, at most {points(after.max())}. So the "
            "fixed recipe (low learning rate, 20 epochs) trains ImageNet weights too little."
        )
        printed = f"larger source up to {points(fixed.max())} points"
        yield Finding("second table, fixed recipe", printed, "learning rate", text, "not shown")
