"""Mistyped parameters stop a notebook before anything runs, however it is started."""

from types import SimpleNamespace

import nbformat.v4 as v4
import papermill
import pytest

from tlkit.runner import parameters
from tlkit.ground.names import UnknownName

CELL = 'profile = "lab"  # how much\nseeds = [0]  # which draws\nrate: float = 0.1\nname = "a"'
START = "from tlkit.parameters import start\nprofile = start(profile)"


@pytest.mark.parametrize(
    "line", ["b = a * 2", "a += 1", "a: int", "a = b = 1", "%time", "a.b = 1", "a =", "f()"]
)
def test_only_literals_are_declared(line):
    assert parameters.declared(CELL + "\n\n# end\nn: int = -3") == {
        "profile": "lab",
        "seeds": [0],
        "rate": 0.1,
        "name": "a",
        "n": -3,
    }
    with pytest.raises(ValueError, match="line 2 is not") as refused:
        parameters.declared(f"a = 1\n{line}\n")
    assert line in str(refused.value)


DECLARED = {"count": 3, "rate": 0.1, "on": True, "name": "a", "seeds": [0], "mix": ["a", 1.0]}
DECLARED |= {"anything": [], "limit": None}


@pytest.mark.parametrize(
    "given",
    [
        {"count": 4, "rate": 2, "on": False, "name": "b"},
        {"seeds": []},
        {"seeds": [1, 2]},
        {"mix": [1, "b", 0.5]},
        {"anything": ["x", 1]},
        {"limit": 5},
    ],
)
def test_fitting_values_pass(given):
    parameters.check(given, DECLARED)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 3.0),
        ("count", True),
        ("rate", True),
        ("rate", "0.1"),
        ("on", 1),
        ("name", 1),
        ("seeds", "[0, 1]"),
        ("seeds", (0, 1)),
        ("seeds", [0.5]),
        ("seeds", [True]),
        ("count", None),
    ],
)
def test_values_of_another_type_are_refused(name, value):
    with pytest.raises(TypeError, match=name):
        parameters.check({name: value}, DECLARED)


def test_unknown_name_lists_the_nearest():
    with pytest.raises(UnknownName, match="seeds"):
        parameters.check({"seed": [1]}, DECLARED)


def plain_papermill(folder, given):
    """Run a notebook as `papermill` does, from a folder that is not its own."""
    code = [v4.new_code_cell(source) for source in (START, "open('ran', 'w').close()")]
    cell = v4.new_code_cell(CELL, metadata={"tags": ["parameters"]})
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# Title"), cell, *code])
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    papermill.iorw.write_ipynb(notebook, str(folder / "in.ipynb"))
    return papermill.execute_notebook(
        folder / "in.ipynb",
        folder / "out.ipynb",
        given,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        cwd=elsewhere,
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"seed": [1]}, "UnknownName: unknown parameter 'seed'; nearest valid: .*seeds"),
        ({"seeds": "[0, 1]"}, "TypeError: seeds = .* is not of the type of"),
    ],
)
def test_plain_papermill_is_refused_before_anything_runs(tmp_path, given, told):
    with pytest.raises(papermill.PapermillExecutionError, match=told):
        plain_papermill(tmp_path, given)
    assert not (tmp_path / "elsewhere" / "ran").exists()


def test_plain_papermill_runs_with_fitting_values(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_PROFILE", "smoke")
    given = {"profile": "paper", "seeds": [1, 2], "rate": 1}
    notebook = plain_papermill(tmp_path, given)
    line = notebook.cells[3].outputs[0].text
    assert line.count("\n") == 1
    assert all(word in line for word in ("tlkit", "torch", "timm", "cores", "profile paper"))
    assert (tmp_path / "elsewhere" / "ran").exists()


INJECTED = '# Parameters\nprofile = "paper"\nseeds = [1]\n'
WRONG = "# Parameters\nseed = [1]\n"


@pytest.mark.parametrize(
    ("history", "profile"),
    [
        ([""], "smoke"),  # nbval leaves no history
        (["", CELL, START], "smoke"),
        (["", CELL, INJECTED, START], "paper"),
        (["", CELL, INJECTED, START, START], "paper"),
        (["", CELL, INJECTED, START, "grid = 1", INJECTED, START], "paper"),
        (["", CELL, "# Parameters\nseeds = [1]\n", START], "smoke"),
        (["", CELL, INJECTED, START, CELL, START], "smoke"),
        (["", CELL, WRONG, START, CELL, START], "smoke"),
        (["", CELL, WRONG, START, INJECTED, START], "paper"),
        (["", CELL, INJECTED, START, CELL + "\nseeds = list(range(3))", START], "smoke"),
    ],
)
def test_injected_profile_then_environment_then_literal(monkeypatch, history, profile):
    shell = SimpleNamespace(user_ns={"In": history})
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setenv("TLKIT_PROFILE", "smoke")
    assert parameters.profile_of("lab") == profile
    monkeypatch.delenv("TLKIT_PROFILE")
    assert parameters.profile_of("lab") == ("paper" if profile == "paper" else "lab")


def test_outside_a_notebook_only_the_profile_is_checked(monkeypatch):
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    monkeypatch.setenv("TLKIT_PROFILE", "smok")
    with pytest.raises(UnknownName, match="smoke"):
        parameters.profile_of("lab")
