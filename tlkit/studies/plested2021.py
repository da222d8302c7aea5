"""Non-binary transfer learning: its leaderboard, the bars of its figure, and its rule.

The rule: how well pretrained weights fit a data set says whether L2SP helps there. The bars are
digitised and the measure of fit is known second-hand: see the heads of the tables.
"""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from tlkit.judging.intervals import LEVEL
from tlkit.judging.ranking import permutation_p
from tlkit.studies import checks
from tlkit.studies.findings import Figure, Finding, gap, listed, points, sampling_error
from tlkit.studies.published import published

OTHERS = ["ensemble", "SOTA"]  # bars that are no single model of the study


def findings() -> Iterator[Finding]:
    """Yield all findings. Test sizes are not published: the table "splits" has possible ones."""
    leaderboard = published("plested2021", "leaderboard", printed=True)
    printed = leaderboard.pivot(index="dataset", columns="init", values="accuracy")
    splits = published("plested2021", "splits").set_index("dataset")
    for dataset, bars in published("plested2021", "figure").groupby("dataset", sort=False):
        bars = bars.set_index("setting")
        singles = bars["accuracy"].drop(OTHERS)
        images = sorted(set(splits.loc[dataset, "images"]))
        row = printed.loc[dataset]
        yield from _no_share(row, splits.loc[dataset])
        yield from _ensemble(row, bars, images)
        yield from _below_default(dataset, bars)
        yield from _state_of_the_art(dataset, bars)
        pair = (singles.idxmax(), "default")
        best, default = (Figure(f"{dataset}, figure: {at}", f"{singles[at]:.2f}") for at in pair)
        for noise in sampling_error(best, default, images):
            yield noise._replace(finding=f"The best of {len(singles) - 1} others: {noise.finding}")
        yield from _lowest(dataset, singles, images)
        if pd.notna(row["random"]):
            yield _pretraining(row, singles, images)
    fit = published("plested2021", "fit").set_index("dataset")["difference"]
    yield from _sign(fit)
    yield _few_datasets(fit)


def _no_share(row: pd.Series, sizes: pd.DataFrame) -> Iterator[Finding]:
    """Find test sizes of which no whole number of images gives the accuracy."""
    fits = checks.grim(row["ImageNet"], sizes["images"]).any(axis=0)
    if not fits.all():
        images = sizes.set_index("split")["images"]
        text = f"Not a share of {listed(images[~fits], ',')} images, "
        text += f"but of {listed(images[fits], ',')}." if fits.any() else "nor of any other split."
        where = f"{row.name}, leaderboard"
        yield Finding(where, f"{row['ImageNet']} %", "GRIM", text, "inconsistent")


def _ensemble(row: pd.Series, bars: pd.DataFrame, images: list[int]) -> Iterator[Finding]:
    """Find an accuracy that is a model's on the leaderboard, and an ensemble's in the figure."""
    printed = row["ImageNet"]
    distance = (bars["accuracy"] - float(printed)).abs()
    best = bars.loc[bars["accuracy"].drop(OTHERS).idxmax()]
    if distance["ensemble"] <= bars.at["ensemble", "error"] and distance[best.name] > best["error"]:
        words, _ = gap(float(printed), best["accuracy"], images)
        text = (
            "The leaderboard names the model, the figure an ensemble. From the best single model, "
            f"{best.name} ({best['accuracy']:.2f} %), it differs by {words}."
        )
        both = f"{printed} | {bars.at['ensemble', 'accuracy']:.2f} % (digitised)"
        where = f"{row.name}, leaderboard | figure: ensemble"
        yield Finding(where, both, "ensemble", text, "inconsistent")


def _below_default(dataset: str, bars: pd.DataFrame) -> Iterator[Finding]:
    """Find a best setting that is below one of those that it is the best of."""
    best, default = bars.loc["best L2SP 1 layer"], bars.loc["default L2SP"]
    below, error = best["accuracy"] - default["accuracy"], best["error"] + default["error"]
    if below < -error:
        where = f"{dataset}, figure: {best.name} | {default.name}"
        both = f"{best['accuracy']:.2f} < {default['accuracy']:.2f} % (digitised)"
        text = (
            f"The best is {points(below)} points from the default; digitising explains "
            f"±{error:.2f}. So the search leaves out its default, or has other runs."
        )
        yield Finding(where, both, "best of a search", text, "inconsistent")


def _state_of_the_art(dataset: str, bars: pd.DataFrame) -> Iterator[Finding]:
    """Find where only the ensemble is above the best of others, by more than the digitising."""
    gaps = bars["accuracy"] - bars.at["SOTA", "accuracy"]
    above = gaps > bars["error"] + bars.at["SOTA", "error"]
    if above["ensemble"] and not above.drop(OTHERS).any():
        best = gaps.drop(OTHERS).idxmax()
        text = f"Only the ensemble exceeds SOTA; {best} is {points(gaps[best])} points from it."
        both = "{:.2f} | {:.2f} % (digitised)".format(*bars.loc[OTHERS, "accuracy"])
        where = f"{dataset}, figure: ensemble | SOTA"
        yield Finding(where, both, "state of the art", text, "not shown")


def _lowest(dataset: str, singles: pd.Series, images: list[int]) -> Iterator[Finding]:
    """Find where L2SP as it is used by default is the lowest bar."""
    lowest, default = singles["default L2SP"], singles["default"]
    if singles.idxmin() == "default L2SP":
        words, kind = gap(lowest, default, images)
        where = f"{dataset}, figure: default L2SP | default"
        text = f"L2SP alone is the lowest of the {len(singles)} single models: {words}."
        both = f"{lowest:.2f} | {default:.2f} % (digitised)"
        yield Finding(where, both, "lowest bar", text, kind)


def _pretraining(row: pd.Series, singles: pd.Series, images: list[int]) -> Finding:
    """Say what pretrained weights gain over random ones, by what is compared with them."""
    printed, random = float(row["ImageNet"]), float(row["random"])
    words, kind = gap(singles["default"], random, images)
    text = (
        f"As printed {points(printed - random)} points; for the best single model of the figure "
        f"{points(singles.max() - random)}; for its default {words}."
    )
    where, both = f"{row.name}, leaderboard: ImageNet − random", "{ImageNet} − {random} %"
    return Finding(where, both.format(**row), "single models", text, kind)


def _sign(fit: pd.Series) -> Iterator[Finding]:
    """Find whether probe − random weights has the other sign in another study."""
    leaderboard = published("plested2021", "leaderboard").query("init == 'random'")
    implied = ", ".join(
        f"{row.accuracy + fit[row.dataset]:.1f} or {row.accuracy - fit[row.dataset]:.1f}"
        for row in leaderboard.itertuples()
    )
    simclr = published("plested2021", "simclr").set_index("dataset")
    simclr = simclr.loc[fit.index.str.replace("Caltech-256", "Caltech-101")]  # the nearest there
    gaps = simclr["probe"] - simclr["random"]
    same = int((np.sign(fit).to_numpy() == np.sign(gaps)).sum())
    if 2 * same < len(fit):
        text = (
            f"By the accuracies of random weights, probes have {implied} % "
            f"({', '.join(leaderboard['dataset'])}), with this sign or the other. In SimCLR's "
            f"Table B.5, {same} of {len(fit)} have this sign: {listed(gaps, '+.1f')} points. So it "
            "is more likely random weights − probe."
        )
        measure = f"{listed(fit, '+.1f')} points, second-hand"
        yield Finding("Fit measure: probe − random weights", measure, "sign", text, "inconsistent")


def _few_datasets(fit: pd.Series) -> Finding:
    """Say what the measure tells of L2SP's gain, by all orders of so few data sets."""
    figure = published("plested2021", "figure").set_index(["setting", "dataset"])["accuracy"]
    gains = (figure["default L2SP"] - figure["default"])[fit.index]
    lower, two_sided = (permutation_p(fit, gains, sides) for sides in ("less", "two-sided"))
    orders, rho = math.factorial(len(fit)), stats.spearmanr(fit, gains).statistic
    text = (
        f"The rank correlation is {points(rho)}. {lower * orders:.0f} of {orders} orders have one "
        f"as low: p {lower:.2f} (two-sided {two_sided:.2f}). With {len(fit)} data sets p is at "
        f"best {1 / orders:.2g} (two-sided {2 / orders:.2g})."
    )
    kind = "not shown" if two_sided > 1 - LEVEL else "exceeds noise"
    where, digitised = "Fit measure | L2SP over default", f"{listed(gains)} points, digitised"
    return Finding(where, digitised, "exact permutation", text, kind)
