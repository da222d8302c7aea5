"""Figures and tables as they reach a page: alternative text, captions, the right numbers."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from tlkit import plots
from tlkit.images.tasks import Split, Task


@pytest.fixture
def shown(monkeypatch):
    """What is displayed: (html, metadata) of each object."""
    displayed = []
    monkeypatch.setattr(
        plots, "display", lambda page, metadata=None: displayed.append((page.data, metadata))
    )
    return displayed


def test_a_figure_is_shown_with_its_escaped_alternative_text_and_closed(shown):
    figure, _ = plt.subplots()
    plots.show(figure, 'accuracy < 5 & "rising"')
    assert 'alt="accuracy &lt; 5 &amp; &quot;rising&quot;"' in shown[0][0]
    assert not plt.fignum_exists(figure.number)


def test_accuracies_tell_the_means_to_those_who_cannot_see_them(shown):
    results = pd.DataFrame({"arm": ["a", "a", "b", "b"], "accuracy": [0.5, 0.6, 0.25, 0.35]})
    plots.accuracies(results, "Two arms")
    alternative = re.search('alt="([^"]*)"', shown[0][0])[1]
    assert "a 55.0" in alternative and "b 30.0" in alternative


def test_the_largest_class_is_drawn_and_told_as_a_baseline(shown):
    plots.accuracies(pd.DataFrame({"arm": ["a"], "accuracy": [0.5]}), "One run", majority=0.857)
    assert "dashed line, always the largest class: 85.7" in shown[0][0]


@pytest.mark.parametrize("seeds", [1, 3])
def test_curves_tell_the_mean_at_every_place_of_every_line(shown, recwarn, seeds):
    rows = [
        {"rate": rate, "accuracy, %": mean + seed, "start": start, "seed": seed}
        for start, mean in (("random", 40), ("pretrained", 80))
        for rate in (0.01, 0.1)
        for seed in range(seeds)
    ]
    plots.curves(pd.DataFrame(rows), "rate", "accuracy, %", "start", "Rates", log=True)
    alternative = re.search('alt="([^"]*)"', shown[0][0])[1]
    middle = (seeds - 1) / 2
    assert f"random: 0.01 {40 + middle}, 0.1 {40 + middle}" in alternative
    assert f"pretrained: 0.01 {80 + middle}, 0.1 {80 + middle}" in alternative
    assert not recwarn.list


def test_accuracies_of_one_run_have_no_interval(shown):
    plots.accuracies(pd.DataFrame({"arm": ["a"], "accuracy": [0.5]}), "One run")
    assert "a 50.0" in shown[0][0]


def test_numbers_in_a_table_are_rounded_and_carry_a_true_minus(shown):
    frame = pd.DataFrame({"n": [-1234, 2], "x": [-0.26, np.nan], "word": ["a-b", "c"]})
    plots.table(frame, "Numbers")
    cells = re.findall("<td[^>]*>([^<]*)</td>", shown[0][0])
    assert cells == ["−1,234", "−0.3", "a-b", "2", "–", "c"]


def test_a_table_has_its_caption_and_verdicts_are_marked_for_the_report(shown):
    plots.table(pd.DataFrame({"x": [1234.56]}), "What x is", kind="verdicts")
    page, metadata = shown[0]
    assert "<caption>What x is</caption>" in page and "1,234.6" in page
    assert page.count("<th ") == page.count('<th scope="col" ') == 1
    assert metadata == {"tlkit": "verdicts"}


def test_a_table_is_the_same_in_every_run_and_like_no_other_on_its_page(shown):
    for caption in ("What x is", "What x is", "What x was"):
        plots.table(pd.DataFrame({"x": [1234.56]}), caption)
    first, again, other = (page.split("<table ")[1].split()[0] for page, _ in shown)
    assert shown[0] == shown[1] and first == again != other


def test_a_contact_sheet_shows_classes_with_fewer_images_than_columns(shown):
    images = np.zeros((3, 3, 32, 32), np.uint8)
    split = Split(images, np.arange(3), torch.tensor([0, 1, 1]))
    plots.contact_sheet(Task("pair", ("one", "two"), split, split, split), columns=4)
    assert "one, two" in shown[0][0]


def drawn_texts(monkeypatch):
    """Collect the texts of every figure that is shown, as they are drawn."""
    texts = []
    save = plots.Figure.savefig
    monkeypatch.setattr(
        plots.Figure,
        "savefig",
        lambda figure, *where, **how: (
            save(figure, *where, **how),
            texts.extend(figure.findobj(plots.Text)),
        ),
    )
    return texts


@pytest.mark.filterwarnings("error")
def test_names_in_figures_are_no_formulas_and_need_no_latex(shown, monkeypatch):
    texts = drawn_texts(monkeypatch)
    names = ["US$ and CA$", r"$\x$", "_a", "<5mm"]
    rows = pd.DataFrame({"arm": names * 2, "accuracy": 0.5, "seed": [0, 1] * 4, "x": [1] * 8})
    with plt.rc_context({"text.usetex": True}):
        plots.accuracies(rows, "a $b$ c")
        plots.curves(rows, "x", "accuracy", "arm", "T")
    for name in (*names, "a $b$ c"):
        ours = [text for text in texts if text.get_text() == name]
        assert ours and not any(text.get_parse_math() or text.get_usetex() for text in ours)
    assert sum(text.get_text() == "_a" for text in texts) >= 2  # beside its row, and in the legend


def test_numbers_on_an_axis_stay_formulas(shown, monkeypatch):
    texts = drawn_texts(monkeypatch)
    figure, axis = plt.subplots()
    axis.loglog([1, 1000], [1, 1000])
    plots.show(figure, "a line")
    powers = [text for text in texts if "mathdefault" in text.get_text()]
    assert powers and all(text.get_parse_math() for text in powers)


@pytest.mark.filterwarnings("error")
def test_letters_without_a_font_are_written_as_escapes_and_the_figure_says_so(shown, monkeypatch):
    texts = drawn_texts(monkeypatch)
    monkeypatch.setattr(plots.fontManager, "ttflist", [])
    plots._family.cache_clear()
    plots.accuracies(pd.DataFrame({"arm": ["猫", "b"], "accuracy": [0.5, 0.6]}), "狗")
    plots._family.cache_clear()
    letters = {text.get_text() for text in texts}
    assert {r"\u732b", r"\u72d7", plots.NO_FONT} <= letters
    assert "猫 50.0" in shown[0][0]


@pytest.mark.filterwarnings("ignore:Glyph")  # the machine of the test may have none
def test_another_font_is_taken_where_it_has_the_letters(shown, monkeypatch):
    monkeypatch.setattr(plots, "_family", lambda letter, usual: "Other" if letter == "猫" else "")
    texts = drawn_texts(monkeypatch)
    plots.accuracies(pd.DataFrame({"arm": ["猫"], "accuracy": [0.5]}), "T")
    assert any("Other" in text.get_fontfamily() for text in texts)


def test_a_contact_sheet_of_many_classes_shows_some_and_says_so(shown):
    images, count = np.zeros((1200, 3, 8, 8), np.uint8), 1200
    split = Split(images, np.arange(count), torch.arange(count))
    classes = tuple(f"class {i}" for i in range(count))
    plots.contact_sheet(Task("many", classes, split, split, split))
    sheet, line = shown[0][0], shown[1][0]
    assert len(re.findall(r"class \d+", sheet)) == 24
    assert "24 of 1,200 classes" in sheet and "class 0," in sheet and "class 1199." in sheet
    assert line == "24 of 1,200 classes are shown, evenly chosen."
