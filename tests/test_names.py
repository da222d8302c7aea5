"""Any text may be the name of a class, a task or an arm: pages, figures and commands show it."""

import json
import re
import shlex
from collections import deque

import nbformat
import nbformat.v4 as v4
import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tlkit import cli, plots
from tlkit.images.tasks import Split, Task
from tlkit.runner import report
from tlkit.runner.parameters import literal

ODD = ("<script>alert(1)</script>", "US$ and CA$", r"$\x$", "_a", "<5mm", "a&b", "猫", "a\tb\n", "")
ODD += ("'\"`", "**b**", "[a](javascript:b)", "\udc80", "-p", "2020", "None", "../x y/(z)", "\r")
names = st.text(st.characters(exclude_characters="\0", exclude_categories=())) | st.sampled_from(
    ODD
)
few = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def shown():
    """What is displayed last, as HTML or Markdown."""
    displayed = deque(maxlen=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "display", lambda page, metadata=None: displayed.append(page.data))
        yield displayed


def readable(text):
    """Return a name as a page can hold it."""
    return text.encode("utf-8", "backslashreplace").decode()


def words(text):
    return " ".join(readable(text).split())


@few
@given(name=names)
def test_a_table_shows_every_name_and_nothing_more(shown, name):
    plots.table(pd.DataFrame({f"{name}!": [f"{name}!", [name]], "n": 1}), f"{name}!", kind="ledger")
    page = BeautifulSoup(shown[-1], "html.parser")
    assert page.caption.get_text() == page.th.get_text() == readable(f"{name}!")
    cells = [cell.get_text() for cell in page.select("td")]
    assert [cells[0], cells[2]] == [readable(f"{name}!"), str([name])]
    tags = {"style", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert {tag.name for tag in page.find_all()} == tags


def bytes_of(count, classes):
    images = np.zeros((count, 3, 8, 8), np.uint8)
    return Split(images, np.arange(count), torch.arange(count) % classes)


@pytest.mark.filterwarnings("error", "default::hypothesis.errors.HypothesisWarning")
@settings(max_examples=15, deadline=None)
@given(first=names, second=names)
@example(first="US$ and CA$", second=r"$\x$")
@example(first="_猫", second="_狗")
def test_figures_show_every_name_and_only_an_image(shown, first, second):
    classes = tuple(dict.fromkeys([first, second]))
    split = bytes_of(4, len(classes))
    plots.contact_sheet(Task(first, classes, split, split, split), columns=2)
    arms = pd.DataFrame({"arm": [first, second] * 2, "accuracy": [0.5, 0.6, 0.7, 0.8]})
    plots.accuracies(arms, first)
    plots.curves(arms.assign(seed=[0, 0, 1, 1], x=1), "x", "accuracy", "arm", second)
    for page in shown:
        page = BeautifulSoup(page, "html.parser")
        (image,) = page.find_all()
        assert set(image.attrs) == {"src", "alt", "style", "width"}
        assert readable(first) in image["alt"] and readable(second) in image["alt"]


@few
@given(name=names)
def test_markdown_shows_a_name_as_it_is(shown, name):
    from nbconvert.filters import markdown2html

    plots.say(f"**{name}**")
    page = BeautifulSoup(markdown2html(shown[-1]), "html.parser")
    tags = {tag.name for tag in page.find_all()}
    assert not tags & {"script", "img", "svg", "iframe", "style", "object", "b"}
    plots.say(f"x {plots.plain(name)}.")
    page = BeautifulSoup(markdown2html(shown[-1]), "html.parser")
    assert [tag.name for tag in page.find_all()] == ["p"]
    assert words(page.get_text()) == words(f"x {' '.join(name.split())}.")


def run_page(folder, name, parameters):
    """Write the page of an executed notebook; return what the reader sees of it."""
    about = {"notebook": name, "profile": "smoke", "dry_run": False, "error": name}
    about["parameters"] = parameters
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# T")])
    notebook.metadata |= {"tlkit": about, "papermill": {"parameters": parameters}}
    nbformat.write(notebook, folder / "page.ipynb")
    index = report.write(folder)
    return [
        BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in (folder / "page.html", index)
    ]


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=10, deadline=None)
@given(
    name=texts,
    task=texts,
    rate=st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
)
@example(name="<script>alert(1)</script>", task="Meine Übung ☃/$a \"b\" 'c'", rate=-1e-5)
@example(name="a", task="2020", rate=0.1)
def test_the_report_and_its_command_hold_any_name(tmp_path_factory, name, task, rate):
    name = "x" + name  # a path begins with a slash, a name with a letter
    parameters = {"profile": "smoke", "task": task, "changes": {"lr": rate}}
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        arms = [{"arm": name, "task": task, "key": [name], "accuracy": 1.0}]
        patch.setattr(report, "_arms", lambda *call: arms)
        pages = run_page(folder, name, parameters)
    for page in pages:
        assert not page.find_all(["script", "iframe", "img"])
        policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
        assert "default-src 'none'" in policy and "script-src" not in policy
        assert not page.find_all(re.compile("."), onload=True)
    assert pages[0].select(".sources td")[0].get_text() == name
    command = pages[0].select(".sources code")[0].get_text()
    assert command == pages[1].select(".notebooks code")[0].get_text()
    program, *arguments = shlex.split(command)
    options = cli._parser().parse_args(arguments)
    assert (program, options.notebooks, options.profile) == ("tlkit", [name], "smoke")
    defaults = {"task": "", "changes": {}}
    again = {each: literal(text, defaults[each]) for each, text in options.parameters}
    assert again == {"task": task, "changes": {"lr": rate}}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, width=32, allow_subnormal=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
).filter(lambda value: "Infinity" not in json.dumps(value))


@given(value=values)
def test_a_command_gives_back_any_value(value):
    about = {"notebook": "10_x", "profile": "lab", "dry_run": False}
    command = report.command_of("10_x", about, {"limit": value})
    options = cli._parser().parse_args(shlex.split(command)[1:])
    ((name, text),) = options.parameters
    assert name == "limit" and literal(text, None) == value
