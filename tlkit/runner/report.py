"""A static HTML report of executed notebooks: opens from disk, without a network or scripts."""

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat
import pandas as pd
from bs4 import BeautifulSoup
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from nbconvert import HTMLExporter

from tlkit.experiments.results import stored
from tlkit.ground.machine import environment_line
from tlkit.ground.paths import ROOT, put

TEMPLATES = PackageLoader("tlkit.runner", "templates")


@dataclass(frozen=True)
class Page:
    """One executed notebook, as the index shows it."""

    name: str
    question: str
    command: str  # that makes its numbers again
    date: str
    error: str | None
    verdicts: list[Markup]
    ledger: list[Markup]  # all claims at once


def write(folder: Path) -> Path:
    """Make a page of each executed notebook in `folder`, called like the profile, and an index.

    Every page ends with the command that makes its numbers and the records that hold them.
    Returns the path of the index.
    """
    paths = executed(folder)
    pages = [_write_page(path, {each.name for each in paths}) for path in paths]
    index = Environment(loader=TEMPLATES, autoescape=True).get_template("index.html").render(
        profile=folder.name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        machine=environment_line(),
        pages=pages,
    )
    return put(folder / "index.html", index)


def executed(folder: Path) -> list[Path]:
    """Notebooks that ended there, in order: no draft of a killed run, none of an older kit."""
    paths = sorted(folder.glob("[0-9]*.ipynb"))
    return [path for path in paths if "tlkit" in json.loads(path.read_text())["metadata"]]


def _write_page(path: Path, names: set[str]) -> Page:
    """`names` are the files of all notebooks that have a page in the same folder."""
    notebook = nbformat.read(path, as_version=4)
    about = notebook.metadata.tlkit
    question = notebook.metadata["title"] = _heading(notebook) or path.stem
    command = _command(path.stem, about, notebook.metadata.papermill.parameters)
    sources = Environment(loader=TEMPLATES, autoescape=True).get_template("sources.html").render(
        command=command, arms=_arms(path.stem, about)
    )
    notebook.cells.append(nbformat.v4.new_markdown_cell(sources))
    _relink(notebook, path.parent, names)
    _label(notebook)
    exporter = HTMLExporter(extra_loaders=[TEMPLATES], template_file="page.html.j2")
    put(path.with_suffix(".html"), exporter.from_notebook_node(notebook)[0])
    date = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    tables = [
        [Markup(shown.data["text/html"]) for shown in _marked(notebook, kind)]
        for kind in ("verdicts", "ledger")
    ]
    return Page(path.stem, question, command, date, about.error, *tables)


def _relink(notebook: nbformat.NotebookNode, folder: Path, names: set[str]) -> None:
    """Links lead from the notebooks' folder; on a page in `folder`, to another page if it is there.

    In place.
    """
    root = Path(os.path.relpath(ROOT, folder)).as_posix()

    def led(link: re.Match) -> str:
        up, place = link.groups()
        if up:
            return f"]({root}/{place})"
        return f"]({Path(place).stem}.html)" if place in names else f"]({root}/notebooks/{place})"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\((\.\./|(?=\d\d_\w+\.ipynb\)))([^)]+)\)", led, cell.source)


def _label(notebook: nbformat.NotebookNode) -> None:
    """Give cells of the long tables their column's heading, for screens too narrow for columns.

    In place.
    """
    for output in _marked(notebook, "verdicts") + _marked(notebook, "ledger"):
        page = BeautifulSoup(output.data["text/html"], "html.parser")
        headings = [heading.get_text() for heading in page.select("thead th")]
        for row in page.select("tbody tr"):
            for cell, heading in zip(row.find_all("td"), headings):
                cell["data-label"] = heading
        output.data["text/html"] = str(page)


def _heading(notebook: nbformat.NotebookNode) -> str | None:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found and found[1].strip()


def _marked(notebook: nbformat.NotebookNode, kind: str) -> list[nbformat.NotebookNode]:
    """The outputs that were displayed with `metadata={"tlkit": kind}`."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [shown for shown in outputs if shown.get("metadata", {}).get("tlkit") == kind]


def _command(name: str, about: dict, given: dict) -> str:
    options = [f'-p {key} "{value}"' for key, value in given.items() if key != "profile"]
    dry_run = ["--dry-run"] if about["dry_run"] else []
    return " ".join(["tlkit run", name, f"--profile {about['profile']}", *options, *dry_run])


def _arms(name: str, about: dict) -> list[dict]:
    """For each arm and task of the notebook's runs: mean accuracy in %, keys of the records."""
    runs = stored("runs", about["profile"])
    runs = runs[(runs["notebook"] == name) & (runs["origin"] == "here")]
    same = [json.loads(told) == about["parameters"] for told in runs["parameters"]]
    if about["dry_run"] or not any(same):
        return []
    runs = runs[same].drop_duplicates(["arm", "key"])
    return [
        {"arm": arm, "task": Path(task).name, "records": list(rows["key"]),
         "accuracy": 100 * pd.to_numeric(rows["accuracy"]).mean()}
        for (arm, task), rows in runs.groupby(["arm", "task"], sort=False)
    ]
