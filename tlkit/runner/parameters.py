"""Strict notebook parameters: a mistyped name or value stops a notebook before anything runs.

Papermill only warns of an unknown name, and turns `-p seeds "[0, 1]"` into a string. So `tlkit run`
checks all parameters before it starts a notebook, and `start` checks them again inside of it, for
those who use papermill directly.
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
INJECTED = "# Parameters\n"  # papermill begins the cell that it injects with this line
DECLARING = re.compile(r"^profile\b[^=\n]*=\s*['\"]", re.MULTILINE)  # in every parameters cell


def declared(source: str) -> dict[str, object]:
    """Return names and defaults of a parameters cell.

    Raises `ValueError` with the first line that is not `name = literal`, annotated or not.
    """
    values: dict[str, object] = {}
    line = 1
    try:
        for statement in ast.parse(source).body:
            line = statement.lineno
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    values[name] = ast.literal_eval(value)
                case _:
                    raise ValueError
    except (SyntaxError, ValueError) as problem:
        line = getattr(problem, "lineno", None) or line
        text = source.splitlines()[line - 1].strip()
        message = f"parameters cell, line {line} is not `name = literal`: {text}"
        raise ValueError(message) from None
    return values


def check(parameters: Mapping[str, object], declared: Mapping[str, object]) -> None:
    """Compare parameters with the declared ones.

    Raises `UnknownName` for a name that is not declared, and `TypeError` for a value of another
    type than the declared literal. An int passes for a float, and any value for a declared None.
    """
    for name, value in parameters.items():
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
    return type(value) in ((int, float) if type(default) is float else (type(default),))


def start(profile: str) -> str:
    """Check a notebook's parameters, print the environment and return the profile to use.

    A notebook calls it in its first cell after the parameters: `profile = start(profile)`. The
    profile is the one that papermill injected, or `TLKIT_PROFILE`, or the notebook's own literal.
    From then on, tables are stored under `notebook_name()` (see `results.begin`).
    Raises `UnknownName` for a profile that does not exist, and what `check` raises.
    """
    defaults, injected = _parameters()
    check(injected, defaults)
    profile = str(injected.get("profile") or os.environ.get("TLKIT_PROFILE") or profile)
    check_name("profile", profile, PROFILES)
    notebook = notebook_name()
    if notebook and defaults:
        begin(notebook, profile, defaults | injected | {"profile": profile})
    print(f"{environment_line()} · profile {profile}")
    return profile


def _parameters() -> tuple[dict[str, object], dict[str, object]]:
    """Return the declared and the injected parameters, from the cells in IPython's history.

    Both are empty where there is no history (nbval). Only the latest cells count, so that cells
    can be run again. Injected parameters end where the declared ones are run again by hand.
    """
    from IPython import get_ipython

    shell = get_ipython()
    history = shell.user_ns.get("In", []) if shell else []
    declaring, injected = "", ""
    for cell in history:
        if cell.startswith(INJECTED):
            injected = cell
        elif DECLARING.search(cell):
            declaring, injected = cell, ""
    return declared(declaring), declared(injected) if declaring else {}


def notebook_name() -> str:
    """Return the name of the notebook that this kernel runs, or "" where it is not known.

    `tlkit run` sets it in TLKIT_NOTEBOOK, JupyterLab in JPY_SESSION_NAME. To store the tables of a
    plain papermill run, set TLKIT_NOTEBOOK. A copy has its own name, so that it does not replace
    the results of the original.
    """
    return Path(os.environ.get("TLKIT_NOTEBOOK") or os.environ.get("JPY_SESSION_NAME", "")).stem
