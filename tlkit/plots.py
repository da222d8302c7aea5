"""Show figures and tables with alternative text and captions, and never by colour alone."""

import base64
import html
import io
from collections.abc import Mapping
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
TABLE = [
    {"selector": "caption", "props": "caption-side:top; text-align:left"},
    {"selector": "th, td", "props": "text-align:left; vertical-align:top; padding:.3em .6em"},
]


def say(text: str) -> None:
    """Display Markdown that is made from results, so that no number is typed by hand."""
    display(Markdown(text))


def show(figure: Figure, alternative: str, dpi: int = 144) -> None:
    """Display a figure with its alternative text. Every figure is displayed in this way."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=dpi, bbox_inches="tight")
    plt.close(figure)
    data = base64.b64encode(picture.getvalue()).decode()
    source = f'src="data:image/png;base64,{data}" alt="{html.escape(alternative)}"'
    width = f'style="max-width:100%" width="{figure.get_figwidth() * 80:.0f}"'
    display(HTML(f"<img {source} {width}>"))


def table(frame: pd.DataFrame, caption: str, kind: str = "table") -> None:
    """Display a table under its caption; nothing is stored.

    The kinds "verdicts" and "ledger" go onto the report's first page.
    """
    styler = frame.style.hide(axis="index").set_caption(caption).set_table_styles(TABLE)
    styler.format(_cell, na_rep="–")
    styler.set_uuid(f"{crc32((caption + frame.to_csv()).encode()):08x}")  # else it is random
    page = styler.to_html(table_attributes=f'class="{kind}"').replace("<th ", '<th scope="col" ')
    display(HTML(page), metadata={"tlkit": kind})


def _cell(value: object) -> str:
    if isinstance(value, Number) and not isinstance(value, bool):
        return (f"{value:,}" if isinstance(value, Integral) else f"{value:,.1f}").replace("-", "−")
    return str(value)


def contact_sheet(task: Task, columns: int = 12) -> None:
    """Show a row of training images for each class."""
    rows = {
        name: task.train.images(torch.nonzero(task.train.labels == label).flatten()[:columns])
        for label, name in enumerate(task.classes)
    }
    strips(rows, f"{columns} training images of each class of {task.name}: {', '.join(rows)}.")


def strips(rows: Mapping[str, torch.Tensor], alternative: str) -> None:
    """Show a row of images, (N, 3, H, W) of bytes, beside each label. N may differ."""
    columns = max(len(images) for images in rows.values())
    size = (0.7 * columns + 1, 0.72 * len(rows))
    figure, axes = plt.subplots(len(rows), 1, figsize=size, squeeze=False)
    for axis, (label, images) in zip(axes[:, 0], rows.items()):
        space = ((0, columns - len(images)), (0, 0), (1, 1), (1, 1))
        strip = np.pad(images.numpy(), space, constant_values=255)
        axis.imshow(np.concatenate(list(strip.transpose(0, 2, 3, 1)), axis=1))
        axis.set_ylabel(label, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
        sns.despine(ax=axis, left=True, bottom=True)
    figure.subplots_adjust(hspace=0.02)
    show(figure, alternative, dpi=80)


def accuracies(results: pd.DataFrame, title: str, majority: float | None = None) -> None:
    """Show the test accuracy of every arm: each run, the mean and its interval.

    `majority` is the share of the largest class, 0 … 1, drawn as a baseline.
    """
    arms = {arm: 100 * values for arm, values in results.groupby("arm", sort=False)["accuracy"]}
    figure, axis = plt.subplots(figsize=(7.5, 0.45 * len(arms) + 1.3))
    for place, points in enumerate(arms.values()):
        axis.plot(points, np.full(len(points), place + 0.22), "|", color="0.35", markersize=7)
        if len(points) > 1:
            axis.hlines(place, *np.clip(interval(points), 0, 100), color=COLOUR, linewidth=2)
        axis.plot(points.mean(), place, "o", color=COLOUR, markersize=6)
    axis.set_yticks(range(len(arms)), list(arms))
    axis.set(title=title, xlabel="test accuracy, %", ylim=(len(arms) - 0.4, -0.6))
    axis.grid(axis="x", color="0.9")
    sns.despine(ax=axis, left=True)
    seeds = min(len(points) for points in arms.values())
    marks = f"dot: mean of {seeds} seeds; bar: {LEVEL:.0%} t interval for it; ticks: the runs"
    means = [f"{arm} {points.mean():.1f}" for arm, points in arms.items()]
    if majority is not None:
        axis.axvline(100 * majority, color="0.35", linestyle="--", linewidth=1)
        marks += "; dashed: always the largest class"
        means.append(f"dashed line, always the largest class: {100 * majority:.1f}")
    _explain(axis, marks)
    show(figure, f"{title}. Mean test accuracy in %: {'; '.join(means)}.")


def curves(frame: pd.DataFrame, x: str, y: str, by: str, title: str, log: bool = False) -> None:
    """Show the mean of `y` over seeds along `x`, a line for each value of `by`, with intervals.

    `frame` has a row per run and place on the line, and a column `seed`.
    """
    seeds = frame.groupby([by, x], sort=False)["seed"].nunique().min()
    few = frame[by].nunique() <= 3  # the bars of many lines hide each other
    bars = {"err_style": "bars", "err_kws": {"capsize": 3}}
    bands = {"err_style": "band", "err_kws": {"alpha": 0.12}}
    errors = {"errorbar": interval if seeds > 1 else None, **(bars if few else bands)}
    figure, axis = plt.subplots(figsize=(6.5, 4))
    sns.lineplot(
        frame, x=x, y=y, hue=by, style=by, markers=True, palette="colorblind", ax=axis, **errors
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
    marks = f"markers: mean of {seeds} seeds; {'bars' if few else 'bands'}"
    _explain(axis, f"{marks}: {LEVEL:.0%} t interval for it at each place")
    means = frame.groupby([by, x], sort=False)[y].mean().unstack(x)
    values = [
        f"{line}: " + ", ".join(f"{place:g} {value:.1f}" for place, value in row.dropna().items())
        for line, row in means.iterrows()
    ]
    show(figure, f"{title}. Mean {y} by {x}; {'; '.join(values)}.")


def _explain(axis: Axes, text: str) -> None:
    """Write below the axis what the marks stand for."""
    axis.annotate(text, (0, 0), (0, -46), "axes fraction", "offset points", fontsize=8)
