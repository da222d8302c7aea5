"""Write a static HTML report of executed notebooks. It needs neither a network nor scripts."""

import json
import os
import re
import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import nbformat
import pandas as pd
from bs4 import BeautifulSoup
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from nbconvert import HTMLExporter

from tlkit.experiments.results import stored
from tlkit.ground.machine import environment_line
from tlkit.ground.paths import ROOT, put
from tlkit.runner.parameters import literal

TEMPLATES = Environment(loader=PackageLoader("tlkit.runner", "templates"), autoescape=True)


def write(folder: Path) -> Path:
    """Write a page for each executed notebook in `folder`, and an index; return its path.

    Each page ends with the command that computes its numbers again, and with links to the records
    that hold them. The folder is named after the profile.
    """
    paths = executed(folder)
    pages = [_write_page(path, {each.name for each in paths}) for path in paths]
    index = TEMPLATES.get_template("index.html").render(
        profile=folder.name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        machine=environment_line(),
        pages=pages,
    )
    return put(folder / "index.html", index)


def executed(folder: Path) -> list[Path]:
    """Return the executed notebooks in order, without drafts and those of an older kit."""
    paths = [path for path in sorted(folder.glob("*.ipynb")) if not path.name.startswith(".")]
    return [path for path in paths if "tlkit" in json.loads(path.read_text("utf-8"))["metadata"]]


def _write_page(path: Path, names: set[str]) -> dict[str, object]:
    """Write the page of a notebook, and return what the index shows of it.

    `names` are the files that have a page in the same folder.
    """
    notebook = nbformat.read(path, as_version=4)
    about = notebook.metadata.tlkit
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    question = notebook.metadata["title"] = heading[1].strip() if heading else path.stem
    command = command_of(path.stem, about, notebook.metadata.papermill.parameters)
    arms = _arms(path.stem, about)
    sources = TEMPLATES.get_template("sources.html").render(command=command, arms=arms)
    _relink(notebook, path.parent, names)
    tables = {kind: _label(notebook, kind) for kind in ("verdicts", "ledger")}
    exporter = HTMLExporter(extra_loaders=[TEMPLATES.loader], template_file="page.html.j2")
    page, _ = exporter.from_notebook_node(notebook, {"sources": sources})
    put(path.with_suffix(".html"), page)
    date = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    head = {"name": path.stem, "question": question, "command": command}
    return head | {"date": date, "error": about.error} | tables


def _relink(notebook: nbformat.NotebookNode, folder: Path, names: set[str]) -> None:
    """Change links in place: to another page in `folder`, or else to the file in the checkout."""
    here = Path(os.path.relpath(ROOT / "notebooks", folder))

    def target(link: re.Match) -> str:
        page, file = Path(link[1]).with_suffix(".html"), Path(os.path.normpath(here / link[1]))
        return f"]({quote((page if link[1] in names else file).as_posix())})"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\((\.\./[^)]+|\d\d_\w+\.ipynb)\)", target, cell.source)


def _label(notebook: nbformat.NotebookNode, kind: str) -> list[Markup]:
    """Return the tables displayed with `metadata={"tlkit": kind}`, as HTML: `plots` escapes it.

    Each cell gets the heading of its column, in place: narrow screens show it beside the cell.
    """
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    tables = [each for each in outputs if each.get("metadata", {}).get("tlkit") == kind]
    for table in tables:
        page = BeautifulSoup(table.data["text/html"], "html.parser")
        headings = [heading.get_text() for heading in page.select("thead th")]
        for row in page.select("tbody tr"):
            for cell, heading in zip(row.find_all("td"), headings):
                cell["data-label"] = heading
        table.data["text/html"] = str(page)
    return [Markup(table.data["text/html"]) for table in tables]


def command_of(name: str, about: Mapping, parameters: Mapping) -> str:
    """Return the command that makes the numbers of a notebook again, for a shell."""
    words = ["tlkit", "run", about.get("notebook", name), "--profile", about["profile"]]
    for key, value in parameters.items():
        if key != "profile":
            words += ["-p", key, _word(value)]
    return shlex.join([*words, "--dry-run"] if about["dry_run"] else words)


def _word(value: object) -> str:
    """Return a value as `-p` reads it: a text that is no literal as it is, for readers' sake."""
    bare = isinstance(value, str) and value.isprintable() and re.match(r"[^-\s]", value)
    if bare and literal(value, None) == value:  # else it would be read as a number, a list, …
        return str(value)
    word = repr(value)
    return f"({word})" if word.startswith("-") else word  # else the parser takes it for an option


def _arms(name: str, about: dict) -> list[dict]:
    """Return mean accuracy in % and the keys of the records, for each arm and task."""
    runs = stored("runs", about["profile"])
    runs = runs[(runs["notebook"] == name) & (runs["origin"] == "here")]
    same = [json.loads(text) == about["parameters"] for text in runs["parameters"]]
    if about["dry_run"] or not any(same):
        return []
    runs = runs[same].drop_duplicates(["arm", "key"])
    percent = 100 * pd.to_numeric(runs["accuracy"])
    groups = runs.assign(accuracy=percent).groupby(["arm", "task"], sort=False, as_index=False)
    arms = groups.agg({"key": list, "accuracy": "mean"})
    return arms.assign(task=[Path(task).name for task in arms["task"]]).to_dict("records")
