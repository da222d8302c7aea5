"""What the kit imports is what it installs, with pip as with conda."""

import ast
import re
import sys
import tomllib
from importlib.metadata import entry_points, packages_distributions

import nbformat
import pytest

from tlkit import cli
from tlkit.ground.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib", "seaborn-base": "seaborn"}


def split(requirement):
    """Return name and bounds: "torch>=2.4" -> ("torch", ">=2.4")."""
    return re.fullmatch(r"([\w-]+)(.*)", requirement).groups()


RUN = dict(map(split, PROJECT["dependencies"]))
TEST = dict(map(split, PROJECT["optional-dependencies"]["test"]))


def imported(source):
    """Return the top-level names that code imports from elsewhere."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"tlkit"}


def undeclared(names, declared):
    """Return those imports whose distribution is not declared: {"bs4"}."""
    homes = packages_distributions()
    return {
        name
        for name in names
        if not {re.sub(r"[-_.]+", "-", home).lower() for home in homes.get(name, [])}
        & set(declared)
    }


def code(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = nbformat.reads(text, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def test_an_import_that_nobody_declared_is_seen():
    names = imported("import bs4.element, os\nfrom PIL import Image\nfrom . import a\nimport tlkit")
    assert names == {"bs4", "PIL"}
    assert undeclared(names, ["pillow"]) == {"bs4"}
    assert undeclared({"no_such_package"}, RUN) == {"no_such_package"}


@pytest.mark.parametrize("pattern", ["tlkit/**/*.py", "notebooks/*.ipynb"])
def test_every_import_of_the_kit_and_its_notebooks_is_declared(pattern):
    names = set().union(*(imported(code(path)) for path in ROOT.glob(pattern)))
    assert names and not undeclared(names, RUN)


def test_every_import_of_the_tests_is_declared():
    names = set().union(*(imported(code(path)) for path in ROOT.glob("tests/**/*.py")))
    own = {path.stem for path in ROOT.glob("tests/**/*.py")}
    assert names and not undeclared(names - own, RUN | TEST)


def test_conda_installs_the_same_packages_with_the_same_bounds():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    listed = dict(map(split, re.findall(r"^  - ([^\s:]+)", text, re.MULTILINE)))
    assert listed.pop("pip") == ""  # installs the kit itself
    python = {"python": PROJECT["requires-python"]}
    assert {CONDA.get(name, name): bounds for name, bounds in listed.items()} == (
        RUN | TEST | python
    )


def test_the_command_is_installed_and_its_version_is_that_of_the_citation(capsys):
    (command,) = entry_points(group="console_scripts", name="tlkit")
    assert command.load() is cli.main
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"tlkit {PROJECT['version']}\n"
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\nlicense: {PROJECT['license']['text']}\n" in citation


def test_a_wheel_takes_every_file_that_is_no_module_along():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packed = {
        path
        for package, patterns in settings["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    files = {path for path in (ROOT / "tlkit").rglob("*.*") if path.suffix not in (".py", ".pyc")}
    assert files and files <= packed
    assert all((path.parent / "__init__.py").exists() for path in ROOT.glob("tlkit/**/*.py"))
