"""The rooms of the kit: imports go down only, and the public face is small."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.util import resolve_name

import nbformat
import pytest

import tlkit
from tlkit.ground.paths import ROOT

FLOORS = re.findall(r"^(\w+) {2,}\S", tlkit.__doc__, re.MULTILINE)  # from the ground up
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def dotted(path):
    """Return a file's name as imports write it: tlkit.judging.ranking, tlkit.drawing."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {dotted(path): path for path in sorted((ROOT / "tlkit").rglob("*.py"))}


def room(name):
    return name.split(".")[1]


def imports(source, package=""):
    """Return what code imports from the kit, and under which name: [(tlkit.plots.show, show)]."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [(each.name, each.asname or each.name) for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            names += [(f"{module}.{each.name}", each.asname or each.name) for each in node.names]
    return [pair for pair in names if pair[0].split(".")[0] == "tlkit"]


def needs(name):
    """Return the files of the kit that the file of this name imports, anywhere in it."""
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    pairs = imports(FILES[name].read_text(encoding="utf-8"), package)
    files = {each if each in FILES else each.rpartition(".")[0] for each, _ in pairs}
    return files - {name, "tlkit"}  # tlkit itself loads a room when it is used


def upwards(name, files):
    return [each for each in files if FLOORS.index(room(each)) > FLOORS.index(room(name))]


def test_every_file_has_a_room_and_every_room_a_line_in_the_docstring():
    assert {room(name) for name in FILES if name != "tlkit"} == set(FLOORS)
    assert set(tlkit._ROOMS) == set(FLOORS) - {"cli"}


def test_the_reader_of_imports_sees_every_kind():
    code = (
        "import tlkit as tl, os\ndef f():\n  from . import dice\n  from ..plots import show as s\n"
    )
    seen = [("tlkit", "tl"), ("tlkit.drawing.dice", "dice"), ("tlkit.plots.show", "s")]
    assert imports(code, "tlkit.drawing") == seen
    assert needs("tlkit.cli") >= {"tlkit.runner.parameters", "tlkit.studies.audit"}
    assert upwards("tlkit.recipe", ["tlkit.ground.names", "tlkit.plots"]) == ["tlkit.plots"]


@pytest.mark.parametrize("name", [name for name in FILES if name != "tlkit"])
def test_imports_go_down_only(name):
    assert upwards(name, needs(name)) == []


def test_no_file_imports_itself_through_others():
    try:
        TopologicalSorter({name: needs(name) for name in FILES}).prepare()
    except CycleError as circle:
        pytest.fail(" <- ".join(circle.args[1]))


def test_the_public_face_is_small_and_every_name_is_there():
    assert len(tlkit._HOMES) <= 27
    assert set(dir(tlkit)) == {*tlkit._HOMES, *tlkit._ROOMS}
    for name, home in tlkit._HOMES.items():
        assert getattr(tlkit, name) is getattr(import_module(f"tlkit.{home}"), name)
    for name in tlkit._ROOMS:
        assert getattr(tlkit, name) is import_module(f"tlkit.{name}")
    with pytest.raises(AttributeError, match="'nothing'"):
        getattr(tlkit, "nothing")  # noqa: B009


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_use_nothing_private(path):
    cells = nbformat.read(path, as_version=4).cells
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    pairs = imports(source)
    used = [each for each, _ in pairs]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            used += [text] if text.split(".")[0] in {name for _, name in pairs} else []
    assert "tlkit" in used
    assert not [name for name in used if re.search(r"\._(?!_)", name)]
