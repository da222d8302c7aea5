"""Figures and tables that say what they show: alternative text, captions, no colour alone."""

import base64
import html
import io
from numbers import Integral, Number
from zlib import crc32

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from IPython.display import HTML, Markdown, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tlkit.images.tasks import Task
from tlkit.judging.intervals import LEVEL, interval

COLOUR = sns.color_palette("colorblind")[0]


def show(figure: Figure, alternative: str, dpi: int = 144) -> None:
    """Display a figure with its alternative text, the only way that figures are displayed."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=dpi, bbox_inches="tight")
    plt.close(figure)
    data = base64.b64encode(picture.getvalue()).decode()
    text = html.escape(alternative)
    display(HTML(
        f'<img src="data:image/png;base64,{data}" alt="{text}" style="max-width:100%" '
        f'width="{figure.get_figwidth() * 80:.0f}">'
    ))


def table(frame: pd.DataFrame, caption: str, kind: str = "table") -> None:
    """Display a table under its caption; nothing is stored.

    The kinds "verdicts" and "ledger" go onto the report's first page.
    """
    cells = "text-align:left; vertical-align:top; padding:.3em .6em"
    styler = frame.style.hide(axis="index").set_caption(caption).set_table_styles([
        {"selector": "caption", "props": "caption-side:top; text-align:left"},
        {"selector": "th, td", "props": cells},
    ])
    styler.format(_cell, na_rep="–")
    content = caption + frame.to_csv()
    styler.set_uuid(f"{crc32(content.encode()):08x}")  # else another in every run
    page = styler.to_html(table_attributes=f'class="{kind}"').replace("<th ", '<th scope="col" ')
    display(HTML(page), metadata={"tlkit": kind})


def _cell(value: object) -> str:
    if isinstance(value, Number) and not isinstance(value, bool):
        return (f"{value:,}" if isinstance(value, Integral) else f"{value:,.1f}").replace("-", "−")
    return str(value)


def contact_sheet(task: Task, columns: int = 12) -> None:
    """A row of training images for each class."""
    rows = len(task.classes)
    figure, axes = plt.subplots(rows, 1, figsize=(0.7 * columns + 1, 0.72 * rows), squeeze=False)
    for label, axis in enumerate(axes[:, 0]):
        mine = torch.nonzero(task.train.labels == label).flatten()[:columns]
        strip = task.train.images(mine).numpy()
        strip = np.pad(strip, ((0, columns - len(strip)), (0, 0), (1, 1), (1, 1)),
                       constant_values=255)
        axis.imshow(np.concatenate(list(strip.transpose(0, 2, 3, 1)), axis=1))
        axis.set_ylabel(task.classes[label], rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
        sns.despine(ax=axis, left=True, bottom=True)
    figure.subplots_adjust(hspace=0.02)
    classes = ", ".join(task.classes)
    show(figure, f"{columns} training images of each class of {task.name}: {classes}.", dpi=80)


def accuracies(results: pd.DataFrame, title: str, majority: float | None = None) -> None:
    """Test accuracy of every arm: each run, the mean and its interval. Prints its own caption.

    `majority` is the share of the largest class, 0 … 1, drawn as a baseline.
    """
    arms = list(dict.fromkeys(results["arm"]))
    figure, axis = plt.subplots(figsize=(7.5, 0.45 * len(arms) + 1.3))
    said = []
    for place, arm in enumerate(arms):
        points = 100 * results.loc[results["arm"] == arm, "accuracy"]
        low, high = interval(points)
        axis.plot(points, np.full(len(points), place + 0.22), "|", color="0.35", markersize=7)
        if np.isfinite(low):
            axis.hlines(place, max(low, 0), min(high, 100), color=COLOUR, linewidth=2)
        axis.plot(points.mean(), place, "o", color=COLOUR, markersize=6)
        said.append(f"{arm} {points.mean():.1f}")
    if majority is not None:
        axis.axvline(100 * majority, color="0.35", linestyle="--", linewidth=1)
        said.append(f"dashed line, always the largest class: {100 * majority:.1f}")
    axis.set(yticks=range(len(arms)), yticklabels=arms, title=title, xlabel="test accuracy, %")
    axis.set_ylim(len(arms) - 0.4, -0.6)
    axis.grid(axis="x", color="0.9")
    sns.despine(ax=axis, left=True)
    seeds = results.groupby("arm").size().min()
    baseline = "; dashed: always the largest class" if majority is not None else ""
    _caption(axis, f"dot: mean of {seeds} seeds; bar: {LEVEL:.0%} t interval for it; "
                   f"ticks: the runs{baseline}")
    show(figure, f"{title}. Mean test accuracy in %: {'; '.join(said)}.")


def curves(frame: pd.DataFrame, x: str, y: str, by: str, title: str, log: bool = False) -> None:
    """Mean of `y` over seeds along `x`, a line for each value of `by`, with intervals.

    `frame` has a row per run and place on the line, and a column `seed`. Prints its own caption.
    """
    seeds = frame.groupby([by, x], sort=False)["seed"].nunique().min()
    figure, axis = plt.subplots(figsize=(6.5, 4))
    few = frame[by].nunique() <= 3  # the bars of many lines hide each other
    sns.lineplot(
        frame, x=x, y=y, hue=by, style=by, markers=True, palette="colorblind", ax=axis,
        errorbar=interval if seeds > 1 else None, err_style="bars" if few else "band",
        err_kws={"capsize": 3} if few else {"alpha": 0.12},
    )
    if log:
        axis.set_xscale("log")
        places = sorted(frame[x].unique())
        axis.set_xticks(places, [f"{place:g}" for place in places])
        axis.minorticks_off()
    elif pd.api.types.is_integer_dtype(frame[x]):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axis.get_ylim()[0] < 0 < axis.get_ylim()[1]:  # differences
        axis.axhline(0, color="0.35", linestyle="--", linewidth=1, zorder=0)
    axis.set_title(title)
    axis.grid(axis="y", color="0.9")
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    sns.despine(ax=axis)
    _caption(axis, f"markers: mean of {seeds} seeds; {'bars' if few else 'bands'}: {LEVEL:.0%} "
                   "t interval for it at each place")
    means = frame.groupby([by, x], sort=False)[y].mean().unstack(x)
    said = [
        f"{line}: " + ", ".join(f"{place:g} {value:.1f}" for place, value in row.dropna().items())
        for line, row in means.iterrows()
    ]
    show(figure, f"{title}. Mean {y} by {x}; {'; '.join(said)}.")


def _caption(axis: Axes, text: str) -> None:
    """What the marks stand for, below the axis."""
    axis.annotate(
        text, (0, 0), (0, -46), xycoords="axes fraction", textcoords="offset points", fontsize=8
    )


def say(text: str) -> None:
    """Display Markdown that is made from results, so that no number is typed by hand."""
    display(Markdown(text))
