"""The second table of paddleclas2020: ImageNet against a larger source, on six private sets."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from tlkit.studies import checks
from tlkit.studies.findings import Finding, difference, points
from tlkit.studies.published import published

BATCH = 32  # of the page's recipes
RECIPES = ["fixed", "search"]
CELLS = [f"{source}_{recipe}" for source in ("imagenet", "large") for recipe in RECIPES]


def findings(text: pd.Series) -> Iterator[Finding]:
    figures = published("paddleclas2020", "table2").set_index("dataset")
    percent = (100 * figures[CELLS]).map("{:.2f}".format)  # four decimals are printed
    compared = []
    for dataset, row in figures.iterrows():
        yield from _filled_up(dataset, percent.loc[dataset], int(row["valid"]))
        for recipe in RECIPES:
            compared += _source(dataset, recipe, percent.loc[dataset], int(row["valid"]))
    yield from compared
    yield _most(figures, [found.kind for found in compared])
    yield _smallest(figures)
    yield from _split_anew(figures, text)
    yield from _rate(figures)


def padded(images: int) -> int:
    """Images in batches of `BATCH`, the last one filled up."""
    return -(-images // BATCH) * BATCH


def _filled_up(dataset: str, printed: pd.Series, images: int) -> Iterator[Finding]:
    """Accuracies that are, rounded, no shares of the validation images, but of whole batches."""
    whole = padded(images)
    shares, batches = sum(checks.grim(each, [images, whole])[0] for each in printed)
    if shares < len(printed):
        chance = stats.binom.sf(batches - 1, len(printed), whole / 10_000)
        explained = "where images that fill up the last count twice" if chance < 0.05 else (
            "so that does not explain it")
        yield Finding(
            f"second table, {dataset}", f"{', '.join(printed)} %", "GRIM",
            f"{shares} of {len(printed)} can be shares of the {images:,} validation images, "
            f"{batches} of {whole:,}, {whole // BATCH} batches of {BATCH} (by chance as many: "
            f"p {np.format_float_positional(chance, 1, fractional=False)}), {explained}.",
            "inconsistent",
        )


def _source(
    dataset: str, recipe: str, printed: pd.Series, images: int
) -> Iterator[Finding]:
    rows = pd.DataFrame({"printed": printed[[f"large_{recipe}", f"imagenet_{recipe}"]]})
    rows["accuracy"] = rows["printed"].astype(float)
    rows["where"] = [f"second table, {dataset}, {recipe}: larger source", "ImageNet"]
    better, worse = rows.sort_values("accuracy", ascending=False, kind="stable").itertuples()
    if better.accuracy > worse.accuracy:
        yield difference(better, worse, [images])


def _most(figures: pd.DataFrame, kinds: list[str]) -> Finding:
    gains = pd.concat([figures[f"large_{each}"] - figures[f"imagenet_{each}"] for each in RECIPES])
    return Finding(
        "second table, larger source − ImageNet", "improves accuracy “in most cases”", "claim",
        f"{(gains > 0).sum()} of {len(gains)} in sign, and {kinds.count('within noise')} of "
        f"{len(gains)} within noise.", "not shown",
    )


def _smallest(figures: pd.DataFrame) -> Finding:
    smallest = figures.loc[figures["valid"].idxmin()]
    gap = 100 * (smallest["large_search"] - smallest["imagenet_search"])
    one = 100 / smallest["valid"]
    return Finding(
        f"second table, {smallest.name}: validation images", f"{smallest['valid']:g}", "one image",
        f"One image is {one:.2f} points; the two searches are {points(gap)} points apart, "
        f"{gap / one:.1f} images.", "not shown",
    )


def _split_anew(figures: pd.DataFrame, text: pd.Series) -> Iterator[Finding]:
    """A set that is called self-collected and looks like a public one."""
    images, classes = (int(text[f"{what} of Oxford-102"]) for what in ("images", "classes"))
    for dataset, row in figures.iterrows():
        here = int(row["train"] + row["valid"])
        if row["classes"] == classes and abs(here - images) < 0.01 * images:
            yield Finding(
                f"second table, {dataset}: images", f"{here:,} of {classes} classes", "public set",
                f"Called self-collected. Oxford-102 has {images:,} images of {classes} classes: "
                "this is probably that set, split anew; it is in the first table too.", "not shown",
            )


def _rate(figures: pd.DataFrame) -> Iterator[Finding]:
    """Whether a search for the recipe does what the larger source does."""
    gaps = [100 * (figures[f"large_{each}"] - figures[f"imagenet_{each}"]) for each in RECIPES]
    search = 100 * (figures["imagenet_search"] - figures["imagenet_fixed"])
    smaller = (gaps[1] < gaps[0]).sum()
    beyond = (search > gaps[0]).sum()
    if beyond:
        yield Finding(
            "second table, fixed recipe", f"larger source up to {points(gaps[0].max())} points",
            "learning rate", f"From ImageNet weights the search gains more than the larger source "
            f"does on {beyond} of {len(search)} sets (up to {points(search.max())} points), and "
            f"after it the gap is smaller on {smaller} of {len(search)} and at most "
            f"{points(gaps[1].max())}: the fixed recipe (a low learning rate, 20 epochs) leaves "
            "ImageNet weights under-trained.", "not shown",
        )
