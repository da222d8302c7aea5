"""Non-binary transfer learning: what its leaderboard and the bars of its figure are of.

The bars are digitised: see the head of the table. What its rule rests on: `fit_rule`.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tlkit.studies import checks, plested2021_rule
from tlkit.studies.findings import Finding, difference, in_words, points
from tlkit.studies.published import published

OTHERS = ["ensemble", "SOTA"]  # bars that are no single model of the study


def findings() -> Iterator[Finding]:
    """Test sizes are not published: possible ones are those of `plested2021_splits`."""
    leaderboard = published("plested2021", "leaderboard", printed=True)
    printed = leaderboard.pivot(index="dataset", columns="init", values="accuracy")
    splits = published("plested2021", "splits").set_index("dataset")
    for dataset, bars in published("plested2021", "figure").groupby("dataset", sort=False):
        bars, sizes = bars.set_index("setting"), splits.loc[dataset]
        images = sorted(set(sizes["images"]))
        best, random = printed.loc[dataset, ["ImageNet", "random"]]
        yield from _no_share(dataset, best, sizes)
        yield from _ensemble(dataset, best, bars, images)
        yield from _below_default(dataset, bars)
        yield from _state_of_the_art(dataset, bars)
        yield from _gain(dataset, bars, images)
        yield from _lowest(dataset, bars, images)
        if pd.notna(random):
            yield _pretraining(dataset, best, random, bars, images)
    yield from plested2021_rule.findings()


def _no_share(dataset: str, printed: str, sizes: pd.DataFrame) -> Iterator[Finding]:
    """Test images of which no whole number gives the accuracy."""
    fits = checks.grim(printed, sizes["images"]).any(axis=0)
    named = np.array([f"{row.images:,} ({row.split})" for row in sizes.itertuples()])
    if not fits.all():
        which = f"it can be of {', '.join(named[fits])}" if fits.any() else "nor of another split"
        yield Finding(
            f"{dataset}, leaderboard", f"{printed} %", "GRIM",
            f"No whole number of right answers among {', '.join(named[~fits])} images gives this; "
            f"{which}.", "inconsistent",
        )


def _ensemble(
    dataset: str, printed: str, bars: pd.DataFrame, images: list[int]
) -> Iterator[Finding]:
    """An accuracy that the leaderboard ascribes to the model and the figure to an ensemble."""
    distance = (bars["accuracy"] - float(printed)).abs()
    best = bars.loc[bars["accuracy"].drop(OTHERS).idxmax()]
    if distance["ensemble"] <= bars.at["ensemble", "error"] and distance[best.name] > best["error"]:
        said, _ = in_words(float(printed), best["accuracy"], images)
        yield Finding(
            f"{dataset}, leaderboard | figure: ensemble",
            f"{printed} | {bars.at['ensemble', 'accuracy']:.2f} % (digitised)", "ensemble",
            f"The leaderboard names the model, the figure an ensemble. To the best single model "
            f"({best.name}, {best['accuracy']:.2f} %): {said}.", "inconsistent",
        )


def _below_default(dataset: str, bars: pd.DataFrame) -> Iterator[Finding]:
    """The best of some settings cannot be below one of them."""
    best, default = bars.loc["best L2SP 1 layer"], bars.loc["default L2SP"]
    gap, error = best["accuracy"] - default["accuracy"], best["error"] + default["error"]
    if gap < -error:
        yield Finding(
            f"{dataset}, figure: {best.name} | {default.name}",
            f"{best['accuracy']:.2f} < {default['accuracy']:.2f} % (digitised)", "best of a search",
            f"The best is {points(gap)} points from the default, more than the ±{error:.2f} of the "
            f"digitising: the search leaves out its default, or these are other runs.",
            "inconsistent",
        )


def _state_of_the_art(dataset: str, bars: pd.DataFrame) -> Iterator[Finding]:
    """Where only the ensemble is above the bar of others by more than the digitising."""
    gaps = bars["accuracy"] - bars.at["SOTA", "accuracy"]
    above = gaps > bars["error"] + bars.at["SOTA", "error"]
    if above["ensemble"] and not above.drop(OTHERS).any():
        best = gaps.drop(OTHERS).idxmax()
        yield Finding(
            f"{dataset}, figure: ensemble | SOTA",
            "{:.2f} | {:.2f} % (digitised)".format(*bars.loc[OTHERS, "accuracy"]),
            "state of the art", f"Only the ensemble exceeds the best of others; the best single "
            f"model ({best}) is {points(gaps[best])} points from it.", "not shown",
        )


def _gain(dataset: str, bars: pd.DataFrame, images: list[int]) -> Iterator[Finding]:
    """The best of all single models over the default."""
    figures = bars.drop(OTHERS)
    figures["where"] = f"{dataset}, figure: " + figures.index
    figures["printed"] = figures["accuracy"].map("{:.2f}".format)
    rows = {row.Index: row for row in figures.itertuples()}
    best, default = rows[figures["accuracy"].idxmax()], rows["default"]
    if best.accuracy > default.accuracy:
        found = difference(best, default, images)
        yield found._replace(finding=f"The best of {len(rows) - 1} others: {found.finding}")


def _lowest(dataset: str, bars: pd.DataFrame, images: list[int]) -> Iterator[Finding]:
    """L2SP as it is used by default, where it is the lowest bar."""
    singles = bars["accuracy"].drop(OTHERS)
    if singles.idxmin() == "default L2SP":
        said, exceeds = in_words(singles["default L2SP"], singles["default"], images)
        yield Finding(
            f"{dataset}, figure: default L2SP | default",
            f"{singles['default L2SP']:.2f} | {singles['default']:.2f} % (digitised)",
            "lowest bar", f"L2SP alone is the lowest of the {len(singles)} single models: {said}.",
            "exceeds noise" if exceeds else "within noise",
        )


def _pretraining(
    dataset: str, printed: str, random: str, bars: pd.DataFrame, images: list[int]
) -> Finding:
    """What pretrained weights gain, by what is compared with random ones."""
    gains = bars["accuracy"].drop(OTHERS) - float(random)
    said, exceeds = in_words(bars.at["default", "accuracy"], float(random), images)
    return Finding(
        f"{dataset}, leaderboard: ImageNet − random", f"{printed} − {random} %", "single models",
        f"As printed {points(float(printed) - float(random))} points, with the best single model "
        f"of the figure {points(gains.max())}, with its default {said}.",
        "exceeds noise" if exceeds else "within noise",
    )
