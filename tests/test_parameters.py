"""Mistyped parameters stop a notebook before anything runs, however it is started."""

import json
from types import SimpleNamespace

import nbformat.v4 as v4
import pandas as pd
import papermill
import pytest

from tlkit.experiments import results
from tlkit.ground.names import UnknownName
from tlkit.runner import parameters

CELL = 'profile = "lab"  # how much\nseeds = [0]  # which draws\nrate: float = 0.1\nname = "a"'
START = "import tlkit as tl\nprofile = tl.start(profile)"


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
    "values",
    [
        {"count": 4, "rate": 2, "on": False, "name": "b"},
        {"seeds": []},
        {"seeds": [1, 2]},
        {"mix": [1, "b", 0.5]},
        {"anything": ["x", 1]},
        {"limit": 5},
    ],
)
def test_fitting_values_pass(values):
    parameters.check(values, DECLARED)


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


def plain_papermill(folder, injected):
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
        injected,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        cwd=elsewhere,
    )


@pytest.mark.parametrize(
    ("injected", "message"),
    [
        ({"seed": [1]}, "UnknownName: unknown parameter 'seed'; nearest valid: .*seeds"),
        ({"seeds": "[0, 1]"}, "TypeError: seeds = .* is not of the type of"),
    ],
)
def test_plain_papermill_is_refused_before_anything_runs(tmp_path, injected, message):
    with pytest.raises(papermill.PapermillExecutionError, match=message):
        plain_papermill(tmp_path, injected)
    assert not (tmp_path / "elsewhere" / "ran").exists()


def test_the_paths_that_papermill_injects_itself_are_no_parameters(kernel):
    """As with `papermill --inject-paths`; they do not make another call of the notebook."""
    paths = '# Parameters\nPAPERMILL_INPUT_PATH = "a.ipynb"\nPAPERMILL_OUTPUT_PATH = "b.ipynb"\n'
    kernel(["", CELL, paths, START])
    assert parameters.start("lab") == "lab"
    parameters.check({"PAPERMILL_INPUT_PATH": "a.ipynb"}, DECLARED)


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("2020", "", "2020"),
        ("'2020'", "", "2020"),
        ("2020", 0, 2020),
        ("None", None, None),
        ("{[1]: 2}", {}, "{[1]: 2}"),
        ("a b", [], "a b"),
        (3, 0, 3),
    ],
)
def test_a_text_is_read_as_the_declared_default_wants_it(text, default, value):
    assert parameters.literal(text, default) == value


@pytest.mark.parametrize(("value", "hint"), [(2020, "-r task 2020"), ([], "-r task")])
def test_the_remedy_names_the_option_of_papermill(value, hint):
    with pytest.raises(TypeError, match=hint):
        parameters.check({"task": value}, {"task": ""})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"changes": {"lrr": 1}}, "'lrr'; nearest valid: lr"),
        ({"changes": {"model": "xception_smal"}}, "xception_small"),
        ({"changes": {"lr": -1}}, "Run.lr"),
        ({"changes": {1: 2}}, "1 is not the name"),
        ({"changes": {"task": "drawn88"}}, "drawn8"),
        ({"task": "drawn88"}, "drawn8"),
        ({"targets": {"mine": "/nowhere/at/all"}}, "nowhere"),
    ],
)
def test_a_mistyped_recipe_is_refused_without_images_or_kernels(values, message):
    with pytest.raises((ValueError, TypeError), match=message):
        parameters.check_recipe(values)


def test_good_recipes_pass(tmp_path):
    targets = {"a": "drawn8[cat,dog]", "b": str(tmp_path)}
    changes = {"model": "resnet18", "lr_scales": [["entry", 0.1]]}
    parameters.check_recipe({"task": "digits", "targets": targets, "changes": changes})


def test_a_copy_never_has_the_name_of_the_original(tmp_path):
    for folder in ("kit", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "00_start.ipynb").touch()
    (tmp_path / "mine" / "my.v2 {x}.ipynb").touch()
    names = [
        parameters.name_of(tmp_path / each, tmp_path / "kit")
        for each in ("kit/00_start.ipynb", "mine/00_start.ipynb", "mine/my.v2 {x}.ipynb")
    ]
    assert names[0] == "00_start" != names[1] and names[1].startswith("00_start-")
    assert names[2] == "my.v2 {x}"


def test_plain_papermill_runs_with_fitting_values(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_PROFILE", "smoke")
    injected = {"profile": "paper", "seeds": [1, 2], "rate": 1}
    notebook = plain_papermill(tmp_path, injected)
    line = notebook.cells[3].outputs[0].text
    assert line.count("\n") == 1
    assert all(word in line for word in ("tlkit", "torch", "timm", "cores", "profile paper"))
    assert (tmp_path / "elsewhere" / "ran").exists()


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Stand in for a notebook's kernel: set the cells that it has run."""
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path))
    monkeypatch.setattr(results, "_folder", None)
    for variable in ("TLKIT_NOTEBOOK", "JPY_SESSION_NAME", "TLKIT_PROFILE", "TLKIT_DRY_RUN"):
        monkeypatch.delenv(variable, raising=False)

    def run(history):
        shell = SimpleNamespace(user_ns={"In": history})
        monkeypatch.setattr("IPython.get_ipython", lambda: shell)

    return run


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
    ],
)
def test_injected_profile_then_environment_then_literal(kernel, monkeypatch, history, profile):
    kernel(history)
    monkeypatch.setenv("TLKIT_PROFILE", "smoke")
    assert parameters.start("lab") == profile
    monkeypatch.delenv("TLKIT_PROFILE")
    assert parameters.start("lab") == ("paper" if profile == "paper" else "lab")


def test_a_wrong_injected_parameter_is_refused_until_the_cell_is_run_again(kernel):
    kernel(["", CELL, WRONG, START])
    with pytest.raises(UnknownName, match="seeds"):
        parameters.start("lab")


def test_an_expression_typed_by_hand_is_refused_by_its_line(kernel):
    kernel(["", CELL + "\nseeds = list(range(3))", START])
    with pytest.raises(ValueError, match=r"line 5 is not .* seeds = list\(range\(3\)\)"):
        parameters.start("lab")


def test_outside_a_notebook_only_the_profile_is_checked(monkeypatch):
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    monkeypatch.setenv("TLKIT_PROFILE", "smok")
    with pytest.raises(UnknownName, match="smoke"):
        parameters.start("lab")


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, ""),
        ({"TLKIT_NOTEBOOK": "11_freezing"}, "11_freezing"),
        ({"TLKIT_NOTEBOOK": "my.v2"}, "my.v2"),
        ({"JPY_SESSION_NAME": "/home/me/notebooks/my copy.ipynb"}, "my copy"),
        ({"TLKIT_NOTEBOOK": "11_freezing", "JPY_SESSION_NAME": "a/copy.ipynb"}, "11_freezing"),
    ],
)
def test_the_notebook_is_named_by_what_runs_it(kernel, monkeypatch, variables, name):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert parameters.notebook_name() == name


def test_tables_are_stored_under_the_name_and_the_parameters_of_the_notebook(kernel, monkeypatch):
    kernel(["", CELL, INJECTED, START])
    for name in ("11_freezing", "my_copy", ""):
        monkeypatch.setenv("JPY_SESSION_NAME", f"notebooks/{name}.ipynb" if name else "")
        monkeypatch.setattr(results, "_folder", None)
        assert parameters.start("lab") == "paper"
        results.store("toy", pd.DataFrame({"of": [name]}))
    toys = results.stored("toy", "paper")
    assert list(toys["notebook"]) == list(toys["of"]) == ["11_freezing", "my_copy"]
    in_effect = {"profile": "paper", "seeds": [1], "rate": 0.1, "name": "a"}
    assert [json.loads(text) for text in toys["parameters"]] == [in_effect, in_effect]


def test_where_nothing_is_in_the_history_nothing_is_stored(kernel, monkeypatch):
    kernel([""])
    monkeypatch.setenv("TLKIT_NOTEBOOK", "under_nbval")
    parameters.start("lab")
    results.store("toy", pd.DataFrame({"of": ["nbval"]}))
    assert results.stored("toy", "lab").empty
