"""Compute the key of a record: a digest of everything that decides the result of a run."""

import ast
import json
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path

from tlkit.images.tasks import select
from tlkit.networks.models import weights_file
from tlkit.networks.small_xception import FISHER
from tlkit.recipe import Run

DECIDING = ("recipe.py", "networks/", "training/", "images/tasks.py", "experiments/records.py")


def code_digest(package: Path) -> str:
    """Return the digest of the code that decides a result: every file of `DECIDING`.

    Comments, docstrings and layout do not count, nor does the version of Python (3.11 or later).
    """
    files = sorted(path.relative_to(package).as_posix() for path in package.rglob("*.py"))
    code = [
        (file, _plain(ast.parse((package / file).read_text("utf-8"))))
        for file in files
        if file.startswith(DECIDING)
    ]
    return sha256(json.dumps(code).encode()).hexdigest()


def _plain(part: object) -> object:
    """Return a syntax tree as nested lists, without docstrings and without empty fields.

    Newer versions of Python add fields that are empty, and `ast.dump` differs between versions.
    """
    if isinstance(part, list):
        return [_plain(each) for each in part if not _is_docstring(each)]
    if not isinstance(part, ast.AST):
        return ascii(part)  # `repr` depends on the version's table of printable characters
    children = {name: child for name, child in ast.iter_fields(part) if child not in (None, [])}
    return [type(part).__name__, *([name, _plain(child)] for name, child in children.items())]


def _is_docstring(part: object) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)


CODE = code_digest(Path(__file__).parents[1])  # as imported: the files may change later


def key(run: Run) -> str:
    """Return the digest of the recipe, the images, the initial weights and the deciding code.

    The contents of an image folder and of a weights file count; their paths do not.
    """
    recipe = {field.name: getattr(run, field.name) for field in fields(run)}
    source, classes, _ = select(run.task, run.size)
    recipe["task"] = [source.digest, classes]
    recipe["init"] = _origin(run)
    recipe["code"] = CODE
    recipe["weight_decay"] = run.decay()
    if any(pull.fisher == "source" for pull in run.penalty):
        recipe["fisher"] = sha256(FISHER.read_bytes()).hexdigest()
    return sha256(json.dumps(recipe, sort_keys=True, default=asdict).encode()).hexdigest()[:20]


def _origin(run: Run) -> str:
    """Return what identifies the initial weights: a key, the digest of a file, or "random"."""
    if isinstance(run.init, Run):
        return key(run.init)
    path = weights_file(run.init, run.model)
    return sha256(path.read_bytes()).hexdigest() if path else run.init
