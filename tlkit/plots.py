"""Show figures and tables with alternative text and captions, and never by colour alone.

The names of classes, tasks and arms may be any text. Here they become HTML, Markdown and figures,
so here they are escaped.
"""

import base64
import html
import io
import re
import warnings
from collections.abc import Mapping
from functools import cache
from numbers import Integral, Number
from unicodedata import category
from zlib import crc32

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from IPython.display import HTML, Markdown, display
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryFormatter
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter, MaxNLocator

from tlkit.images.tasks import Task
from tlkit.judging.intervals import LEVEL, interval

COLOUR = sns.color_palette("colorblind")[0]
MOST_CLASSES = 24  # on a contact sheet: more do not fit on a page
NAMES = (FixedFormatter, FuncFormatter, StrCategoryFormatter)  # the others write numbers
NO_FONT = r"\u…: a letter that no font on this machine has. Noto Sans CJK has most."
TABLE = [
    {"selector": "caption", "props": "caption-side:top; text-align:left"},
    {"selector": "th, td", "props": "text-align:left; vertical-align:top; padding:.3em .6em"},
]


def say(text: str) -> None:
    """Display Markdown that is made from results, so that no number is typed by hand.

    HTML in it is shown as it is written. For a name that may hold Markdown, use `plain`.
    """
    display(Markdown(_storable(text).replace("&", "&amp;").replace("<", "&lt;")))


def plain(name: object) -> str:
    """Return a name as Markdown that shows just this name, for `say`."""
    return re.sub(r"([!-%'-/:;=-@[-`{-~])", r"\\\1", " ".join(str(name).split()))


def _html(value: object) -> str:
    """Return HTML that shows just this value, between tags or in quotes."""
    return html.escape(_storable(value)).replace("\r", "&#13;").replace("\0", "\ufffd")


def _storable(value: object) -> str:
    """Return the text of a value; a file's name may hold bytes that are no text."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def show(figure: Figure, alternative: str, dpi: int = 144) -> None:
    """Display a figure with its alternative text. Every figure is displayed in this way."""
    picture = io.BytesIO()
    with (
        plt.rc_context({"text.usetex": False}),  # LaTeX may be missing, and reads names as code
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph")  # of marks that combine; `_literal` tells more
        _literal(figure)
        figure.savefig(picture, format="png", dpi=dpi, bbox_inches="tight")
    plt.close(figure)
    data = base64.b64encode(picture.getvalue()).decode()
    source = f'src="data:image/png;base64,{data}" alt="{_html(alternative)}"'
    width = f'style="max-width:100%" width="{figure.get_figwidth() * 80:.0f}"'
    display(HTML(f"<img {source} {width}>"))


def _literal(figure: Figure) -> None:
    """Let every text of a figure stand as it is written: no formulas, no TeX, no empty boxes."""
    formulas = set()  # numbers on axes, such as 10²
    for axis in [each for axes in figure.axes for each in (axes.xaxis, axes.yaxis)]:
        axis.get_ticklabels(which="both")  # makes them
        ticks, write = axis.get_major_ticks() + axis.get_minor_ticks(), axis.get_major_formatter()
        if isinstance(write, NAMES):
            axis.set_major_formatter(
                FuncFormatter(lambda *at, write=write: _drawable(str(write(*at))))
            )
        else:
            formulas |= {axis.offsetText, *(t.label1 for t in ticks), *(t.label2 for t in ticks)}
    lost = False
    for text in figure.findobj(Text):
        letters = text.get_text()
        text.set(usetex=False, parse_math=text in formulas)
        families = {family for letter in letters if (family := _font(letter))}
        if families:
            text.set_fontfamily([*text.get_fontfamily(), *sorted(families)])
        if text not in formulas and _drawable(letters) != letters:
            text.set_text(_drawable(letters))
            lost = True
    if lost:
        figure.draw_without_rendering()
        bottom = figure.get_tightbbox().y0 / figure.get_figheight()
        figure.text(0, bottom, NO_FONT, va="top", fontsize=8, parse_math=False)


def _drawable(text: str) -> str:
    """Return a text with an escape such as \\u732b in place of each letter without a font."""
    escape = "unicode_escape"
    return "".join(c if _font(c) is not None else c.encode(escape).decode() for c in text)


def _font(letter: str) -> str | None:
    """Return the font family that a letter needs: "" for the usual one, None if there is none."""
    return "" if letter == "\n" else _family(letter, findfont(FontProperties()))


@cache
def _family(letter: str, usual: str) -> str | None:
    if ord(letter) in _letters(usual):
        return ""
    if not letter.isprintable() and category(letter) != "Zs":
        return None
    fonts = [font for font in fontManager.ttflist if not font.name.startswith(("cm", "Last"))]
    for name in dict.fromkeys(font.name for font in fonts if ord(letter) in _letters(font.fname)):
        if ord(letter) in _letters(findfont(name)):
            return name
    return None


@cache
def _letters(path: str) -> frozenset[int]:
    """Return the letters that a font draws; none where it has pictures instead of outlines."""
    try:
        font = get_font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (RuntimeError, OSError):
        return frozenset()


def table(frame: pd.DataFrame, caption: str, kind: str = "table") -> None:
    """Display a table under its caption; nothing is stored.

    The kinds "verdicts" and "ledger" go onto the report's first page.
    """
    styler = frame.reset_index(drop=True).style.hide(axis="index").set_table_styles(TABLE)
    styler.set_caption(_html(caption)).format(_cell, na_rep="–").format_index(_html, axis=1)
    content = _storable(caption + frame.to_csv())
    styler.set_uuid(f"{crc32(content.encode()):08x}")  # else it is random
    with pd.option_context("styler.html.mathjax", False):  # JupyterLab reads $ as a formula
        page = styler.to_html(table_attributes=f'class="{_html(kind)}"')
    page = page.replace("<th ", '<th scope="col" ')
    display(HTML(page), metadata={"tlkit": kind})


def _cell(value: object) -> str:
    if isinstance(value, Number) and not isinstance(value, bool):
        return (f"{value:,}" if isinstance(value, Integral) else f"{value:,.1f}").replace("-", "−")
    return _html(value)


def contact_sheet(task: Task, columns: int = 12) -> None:
    """Show a row of training images for each class; of many classes, for some of them."""
    count = len(task.classes)
    chosen = np.linspace(0, count - 1, min(count, MOST_CLASSES)).round().astype(int)
    rows = {
        task.classes[i]: task.train.images(
            torch.nonzero(task.train.labels == i).flatten()[:columns]
        )
        for i in chosen.tolist()
    }
    these = "each class" if len(rows) == count else f"{len(rows)} of {count:,} classes"
    strips(rows, f"{columns} training images of {these} of {task.name}: {', '.join(rows)}.")
    if len(rows) < count:
        say(f"{len(rows)} of {count:,} classes are shown, evenly chosen.")


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
    axis.set_yticks(range(len(arms)), [str(arm) for arm in arms])
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
    # A legend leaves out what begins with "_", so its labels are set at the end.
    names = {f"line {i}": name for i, name in enumerate(frame[by].unique())}
    lines = {name: line for line, name in names.items() if isinstance(name, str)}
    bars = {"err_style": "bars", "err_kws": {"capsize": 3}}
    bands = {"err_style": "band", "err_kws": {"alpha": 0.12}}
    errors = {"errorbar": interval if seeds > 1 else None, **(bars if few else bands)}
    figure, axis = plt.subplots(figsize=(6.5, 4))
    drawn = frame.assign(**{by: frame[by].map(lambda name: lines.get(name, name))})
    sns.lineplot(
        drawn, x=x, y=y, hue=by, style=by, markers=True, palette="colorblind", ax=axis, **errors
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
    legend = axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    for text in legend.get_texts():
        text.set_text(names.get(text.get_text(), text.get_text()))
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
