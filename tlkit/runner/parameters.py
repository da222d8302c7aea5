"""Strict notebook parameters: a mistyped name or value stops a notebook before anything runs.

Papermill only warns of an unknown name, and turns `-p seeds "[0, 1]"` into a string. The cells
that it ran stand in IPython's history, so a notebook can hold its parameters to what it declares.
"""

import ast
import os
import re
from collections.abc import Mapping
from pathlib import Path

from tlkit.experiments.results import begin
from tlkit.ground.machine import environment_line
from tlkit.ground.names import check_name

PROFILES = ("smoke", "lab", "paper")
INJECTED = "# Parameters\n"  # how papermill begins the cell that it injects
DECLARING = re.compile(r"^profile\b[^=\n]*=\s*['\"]", re.MULTILINE)  # in every parameters cell


def declared(source: str) -> dict[str, object]:
    """Names and defaults of a parameters cell.

    Raises `ValueError` naming the first line that is not `name = literal`, annotated or not.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as problem:
        raise _not_literal(source, problem.lineno) from None
    values = {}
    for statement in statements:
        try:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(ast.Name(id=name)):
                    values[name] = ast.literal_eval(statement.value)
                case _:
                    raise ValueError
        except ValueError:
            raise _not_literal(source, statement.lineno) from None
    return values


def _not_literal(source: str, line: int) -> ValueError:
    text = source.splitlines()[line - 1].strip()
    return ValueError(f"parameters cell, line {line} is not `name = literal`: {text}")


def check(given: Mapping[str, object], declared: Mapping[str, object]) -> None:
    """Hold the given parameters to the declared ones.

    Raises `UnknownName` for a name that is not declared, and `TypeError` for a value of another
    type than the declared literal's. An int passes for a float, any value for a declared None.
    """
    for name, value in given.items():
        check_name("parameter", name, declared)
        default = declared[name]
        if not _fits(value, default):
            hint = f" (papermill: -y '{name}: {default}')" if isinstance(default, list) else ""
            raise TypeError(f"{name} = {value!r} is not of the type of {default!r}{hint}")


def _fits(value: object, default: object) -> bool:
    if default is None:
        return True
    if isinstance(default, list) and isinstance(value, list):
        return not default or all(any(_fits(item, known) for known in default) for item in value)
    if type(default) is float:
        return type(value) in (int, float)
    return type(value) is type(default)


def _cells() -> tuple[str, str]:
    """The latest parameters cell, typed and injected; "" where there is none.

    Only the latest cells count, so that nothing misfires when cells are run again. Nbval leaves
    no history, and then there is nothing to check.
    """
    from IPython import get_ipython

    shell = get_ipython()
    history = shell.user_ns.get("In", []) if shell else []
    cells = [cell for cell in history if cell.startswith(INJECTED) or DECLARING.search(cell)]
    typed = [cell for cell in cells if not cell.startswith(INJECTED)]
    if not typed:
        return "", ""
    return typed[-1], "" if cells[-1] in typed else cells[-1]


def _injected() -> dict[str, object]:
    """What papermill injected, checked; empty where the latest parameters were typed by hand."""
    typed, injected = _cells()
    if not injected:
        return {}
    given = declared(injected)
    check(given, declared(typed))
    return given


def _in_effect() -> dict[str, object]:
    """All parameters, typed or injected; empty under nbval."""
    typed, injected = _cells()
    return (declared(typed) if typed else {}) | (declared(injected) if injected else {})


def profile_of(default: str) -> str:
    """The profile that papermill injected, or `TLKIT_PROFILE`, or the notebook's own literal.

    Raises `UnknownName` for a profile that does not exist, and what `check` raises.
    """
    profile = _injected().get("profile") or os.environ.get("TLKIT_PROFILE") or default
    check_name("profile", profile, PROFILES)
    return profile


def start(profile: str) -> str:
    """Check a notebook's parameters, print the environment and return the resolved profile.

    A notebook calls it in its first cell after the parameters: `profile = start(profile)`. From
    then on its tables are stored under the notebook's own name (`results.begin`), if that is
    known. Raises what `profile_of` raises.
    """
    profile = profile_of(profile)
    notebook, given = notebook_name(), _in_effect()
    if notebook and given:
        begin(notebook, profile, given | {"profile": profile})
    print(f"{environment_line()} · profile {profile}")
    return profile


def notebook_name() -> str:
    """Return the name of the notebook that this kernel runs, or "" where nobody says it.

    `tlkit run` says it in TLKIT_NOTEBOOK, JupyterLab in JPY_SESSION_NAME. Under plain papermill
    set TLKIT_NOTEBOOK to have the tables stored. A copy has a name of its own, so that it does
    not replace the results of the original.
    """
    return Path(os.environ.get("TLKIT_NOTEBOOK") or os.environ.get("JPY_SESSION_NAME", "")).stem
