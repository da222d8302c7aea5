"""No result is typed by hand: in these notebooks code prints every number of ours.

A decimal in Markdown is a claim that the next run may contradict. Published numbers stand in cells
tagged "published"; hyperparameters and formulas in code spans.
"""

import re

import nbformat
import pytest

from tlkit.ground.paths import ROOT

CLEAN = ("11_freezing", "50_luck", "90_benchmark", "template")  # the others follow
CODE = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)", re.DOTALL)  # and targets of links
DECIMAL = re.compile(r"(?<![\w.])[+−-]?\d+\.\d+(?![\w.])")
ARXIV = re.compile(r"\d{4}\.\d{4,5}")


def typed(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the decimals in prose that no run has made."""
    prose = [
        CODE.sub("", cell.source)
        for cell in notebook.cells
        if cell.cell_type == "markdown" and "published" not in cell.metadata.get("tags", [])
    ]
    return [each for text in prose for each in DECIMAL.findall(ARXIV.sub("", text))]


@pytest.mark.parametrize("name", CLEAN)
def test_no_result_is_typed_by_hand(name):
    assert typed(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)) == []


@pytest.mark.parametrize("text, expected", [
    ("Freezing costs 1.3 points [−0.2, 2.8].", ["1.3", "−0.2", "2.8"]),
    ("With `lr=0.03`, 5 seeds and C2.3 (arXiv 2107.08585), see [this](a/1.5.md).", []),
    ("The mean falls from 84.1 to 82.5 %", ["84.1", "82.5"]),
])  # fmt: skip
def test_a_typed_result_is_noticed(text, expected):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    assert typed(notebook) == expected
    notebook.cells[0].metadata["tags"] = ["published"]
    assert typed(notebook) == []
