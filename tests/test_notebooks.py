"""Every committed notebook keeps the anatomy and carries the outputs of a clean lab run."""

import re

import nbformat
import pytest

from tlkit.ground.paths import ROOT
from tlkit.runner.notebooks import available
from tlkit.runner.parameters import declared

SECTIONS = ("Look at the data", "Predict first", "The experiment", "Exercise")


@pytest.fixture(params=available(), ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in code(notebook) if tag in cell.metadata.get("tags", [])]


def html(notebook):
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    return [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]


def test_title_is_a_question_and_sections_are_there(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.match(r"# .+\?", text)
    assert "**After this notebook you know**" in text and "**Time and needs.**" in text
    missing = [name for name in SECTIONS if not re.search(rf"^## {name}", text, re.MULTILINE)]
    assert not missing


def test_parameters_are_few_commented_literals(notebook):
    (cell,) = tagged(notebook, "parameters")
    assert declared(cell.source)["profile"] == "lab"
    assert len(declared(cell.source)) <= 6
    assert all("  # " in line for line in cell.source.splitlines())


def test_cells_are_short_and_one_is_the_sweep(notebook):
    assert len(tagged(notebook, "sweep")) == 1
    assert all(len(cell.source.splitlines()) <= 12 for cell in code(notebook))


def test_exercises_have_folded_solutions(notebook):
    solutions = tagged(notebook, "solution")
    assert solutions and all(cell.metadata["jupyter"]["source_hidden"] for cell in solutions)


def test_outputs_are_of_one_clean_lab_run(notebook):
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert "profile lab" in str(outputs)


def test_every_figure_has_alternative_text(notebook):
    pictures = [picture for page in html(notebook) for picture in re.findall("<img[^>]*>", page)]
    assert pictures and all(re.search('alt="[^"]{20,}"', picture) for picture in pictures)
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert not [output for output in outputs if "image/png" in output.get("data", {})]


def test_the_readme_lists_every_notebook():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"(notebooks/{path.name})" in readme for path in available())
