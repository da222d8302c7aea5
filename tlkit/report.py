"""An HTML report of executed notebooks that opens without a network."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import nbformat
from jinja2 import DictLoader, Environment
from markupsafe import Markup
from nbconvert import HTMLExporter

from tlkit.environment import environment_line
from tlkit.notebooks import Outcome

PAGE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}"""  # nbconvert's page without its scripts

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Transfer learning: report, profile {{ profile }}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; color: #111; background: #fff;
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; margin: 2em 0 .5em; }
h1 { margin-top: 0; }
a { color: #0645ad; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0;
         border-bottom: 1px solid #999; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; font-size: .85rem; }
.failed { color: #a00000; font-weight: bold; }
@media print { body { margin: 0; max-width: none; } tr { break-inside: avoid; } }
</style>
</head>
<body>
<main>
<h1>Transfer learning: report, profile {{ profile }}</h1>
<p>{{ date }}<br>{{ machine }}</p>
<h2>Notebooks</h2>
<div class="scroll">
<table>
<thead><tr><th scope="col">Notebook</th><th scope="col">Question</th>
<th scope="col">Minutes</th><th scope="col">Status</th></tr></thead>
<tbody>
{% for outcome, question, verdicts in rows -%}
<tr><th scope="row"><a href="{{ outcome.name }}.html">{{ outcome.name }}</a></th>
<td>{{ question }}</td><td>{{ "%.1f" | format(outcome.seconds / 60) }}</td>
<td>{% if outcome.error %}<span class="failed">failed</span>
<pre>{{ outcome.error }}</pre>{% else %}ok{% endif %}</td></tr>
{% endfor -%}
</tbody>
</table>
</div>
<h2>Verdicts</h2>
{% if profile == "smoke" -%}
<p class="failed">The smoke profile only shows that everything runs: its numbers mean nothing.</p>
{% endif -%}
{% for outcome, question, verdicts in rows if verdicts -%}
<h3><a href="{{ outcome.name }}.html">{{ question }}</a></h3>
{% for table in verdicts -%}
<div class="scroll">
{{ table }}
</div>
{% endfor -%}
{% else -%}
<p>None of these notebooks gave a verdict.</p>
{% endfor -%}
</main>
</body>
</html>
"""


def write(outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Make a page of each executed notebook in `folder`, and an index of them all.

    `folder` holds the executed notebook of every outcome, and is called like the profile.
    Returns the path of the index.
    """
    exporter = HTMLExporter(extra_loaders=[DictLoader({"page": PAGE})], template_file="page")
    rows = []
    for outcome in outcomes:
        notebook = nbformat.read(folder / f"{outcome.name}.ipynb", as_version=4)
        notebook.metadata["title"] = _heading(notebook) or outcome.name
        page, _ = exporter.from_notebook_node(notebook)
        _publish(folder / f"{outcome.name}.html", page)
        rows.append((outcome, notebook.metadata["title"], _verdicts(notebook)))
    index = Environment(autoescape=True).from_string(INDEX).render(
        profile=folder.name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        machine=environment_line(),
        rows=rows,
    )
    return _publish(folder / "index.html", index)


def _heading(notebook: nbformat.NotebookNode) -> str | None:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found and found[1].strip()


def _verdicts(notebook: nbformat.NotebookNode) -> list[Markup]:
    """The tables that were displayed with `metadata={"tlkit": "verdicts"}`."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    marked = [shown for shown in outputs if shown.get("metadata", {}).get("tlkit") == "verdicts"]
    return [Markup(shown.data["text/html"]) for shown in marked]


def _publish(path: Path, text: str) -> Path:
    """Write beside and move into place, so that no half page is ever seen."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(text, encoding="utf-8")
    return draft.replace(path)
