"""The key of a record: a digest of everything that decides the result of a run."""

import ast
import json
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path

import tlkit
from tlkit.images.pools import pool
from tlkit.images.tasks import parse
from tlkit.networks.models import weights_file
from tlkit.networks.small_xception import FISHER
from tlkit.recipe import Run

PACKAGE = Path(tlkit.__file__).parent
DECIDING = ("recipe.py", "networks", "training", "images/tasks.py", "experiments/records.py")


def code_digest(package: Path = PACKAGE) -> str:
    """Return the digest of the code that decides a result: every file of the `DECIDING` rooms.

    Only what the code does counts: comments, docstrings and layout do not. It is the same under
    every supported version of Python.
    """
    files = [
        path
        for room in DECIDING
        for path in sorted((package / room).rglob("*.py")) or [package / room]
    ]
    code = [
        (path.relative_to(package).as_posix(), _plain(ast.parse(path.read_text("utf-8"))))
        for path in files
    ]
    return sha256(json.dumps(code).encode()).hexdigest()


def _plain(part: object) -> object:
    """Return a syntax tree as nested lists, without docstrings and fields that are empty."""
    if isinstance(part, list):
        return [_plain(each) for each in part]
    if not isinstance(part, ast.AST):
        return repr(part)
    children = dict(ast.iter_fields(part))
    if isinstance(part, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(part):
        children["body"] = children["body"][1:]
    full = {name: child for name, child in children.items() if child not in (None, [])}
    return [type(part).__name__, *([name, _plain(child)] for name, child in full.items())]


CODE = code_digest()  # as imported, not as it lies on disk when a key is computed


def key(run: Run) -> str:
    """Return the digest of the recipe, the images, the initial weights and the deciding code.

    Where a folder or a weights file lies does not matter, what is in it does.
    """
    recipe = {field.name: getattr(run, field.name) for field in fields(run)}
    name, classes = parse(run.task)
    recipe["task"] = [pool(name, run.size).digest, classes]
    recipe["init"] = _origin(run)
    recipe["code"] = CODE
    recipe["weight_decay"] = run.decay()
    if any(pull.fisher == "source" for pull in run.penalty):
        recipe["fisher"] = sha256(FISHER.read_bytes()).hexdigest()
    return sha256(json.dumps(recipe, sort_keys=True, default=asdict).encode()).hexdigest()[:20]


def _origin(run: Run) -> str:
    if isinstance(run.init, Run):
        return key(run.init)
    path = weights_file(run.init, run.model)
    return sha256(path.read_bytes()).hexdigest() if path else run.init
