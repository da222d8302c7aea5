"""The digest of the deciding code changes with what the code does, and only with that."""

import shutil
from pathlib import Path

import pytest

import tlkit
from tlkit.experiments.keys import CODE, DECIDING, code_digest

PACKAGE = Path(tlkit.__file__).parent
OTHERS = ("plots.py", "judging/intervals.py", "runner/report.py", "experiments/sweep.py")


@pytest.fixture
def package(tmp_path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path / "tlkit", ignore=ignored))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} must be in {path.name} once"
    path.write_text(text.replace(old, new), "utf-8")


def append(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text('utf-8')}\n{line}\n", "utf-8")


def files_of(room: str) -> list[str]:
    paths = [PACKAGE / room] if room.endswith(".py") else sorted((PACKAGE / room).rglob("*.py"))
    return [path.relative_to(PACKAGE).as_posix() for path in paths]


FILES = [file for room in DECIDING for file in files_of(room)]


def test_a_copy_has_the_same_digest_wherever_it_lies(package):
    assert code_digest(package) == code_digest(PACKAGE) == CODE


def test_every_deciding_room_exists():
    """A room that was renamed would otherwise leave the key without a word."""
    assert all((PACKAGE / room).exists() and files_of(room) for room in DECIDING)


# what changes the digest


@pytest.mark.parametrize("file", ["training/new.py", "networks/deep/new.py"])
def test_a_new_file_in_a_deciding_room_changes_the_digest(package, file):
    (package / file).parent.mkdir(exist_ok=True)
    (package / file).write_text("ANSWER = 42\n")
    assert code_digest(package) != CODE


def test_every_file_of_a_deciding_room_counts(package):
    digests = {CODE}
    for file in FILES:
        append(package / file, "NEW_CONSTANT = 1")
        digests.add(code_digest(package))
    assert len(digests) == 1 + len(FILES)


@pytest.mark.parametrize("file, old, new", [
    ("training/loop.py", "momentum=0.9", "momentum=0.95"),
    ("recipe.py", "epochs: int = 20", "epochs: int = 21"),
    ("recipe.py", 'schedule: str = "cosine"', 'schedule: str = "step"'),
])  # fmt: skip
def test_another_constant_changes_the_digest(package, file, old, new):
    edit(package / file, old, new)
    assert code_digest(package) != CODE


def test_a_renamed_or_removed_file_changes_the_digest(package):
    (package / "training/fisher.py").rename(package / "training/information.py")
    renamed = code_digest(package)
    (package / "training/information.py").unlink()
    assert len({CODE, renamed, code_digest(package)}) == 3


# what leaves it alone


def test_comments_and_layout_leave_the_digest_alone(package):
    for file in FILES:
        text = (package / file).read_text("utf-8")
        (package / file).write_text(f"# Of 2026.\n\n{text}\n\n\n# The end.\n", "utf-8")
    assert code_digest(package) == CODE


def test_the_docstring_of_a_module_and_of_functions_leave_the_digest_alone(package):
    for file in FILES:
        text = (package / file).read_text("utf-8")
        assert text.startswith('"""')
        (package / file).write_text(text.replace('    """Return ', '    """Give back '), "utf-8")
        edit(package / file, text.splitlines()[0], f'"""Another title. {text.splitlines()[0][3:]}')
    assert code_digest(package) == CODE


def test_what_code_does_counts_and_what_it_says_does_not(package):
    bare = """
class A:
    size = 3

    def double(self):
        return 2 * self.size
"""
    prose = """
'''A module.'''
# A comment.
class A:
    '''A class.

    Of two lines.
    '''

    size = 3  # another comment

    def double(self):
        '''Return more.'''
        return (
            2
            * self.size
        )
"""
    digests = []
    for text in (bare, prose, prose.replace("more", "twice the size"), bare.replace("2", "3")):
        (package / "training/new.py").write_text(text)
        digests.append(code_digest(package))
    assert digests[0] == digests[1] == digests[2] != digests[3]


@pytest.mark.parametrize("file", OTHERS)
def test_rooms_that_do_not_decide_leave_the_digest_alone(package, file):
    append(package / file, "NEW_CONSTANT = 1")
    (package / file).with_name("new.py").write_text("NEW_CONSTANT = 2\n")
    assert code_digest(package) == CODE


# the same everywhere

SYNTAX = r"""
from __future__ import annotations
import numpy as np

@decorated(1, key=None)
class A(B, metaclass=C):
    x: int = -1
    y: dict[str, tuple[int, ...]]

    def __init__(self, a, /, b=0.1, *c, d: int | None = None, **e) -> None:
        global ANSWER
        self.name = f"{a!r:>8} {b:.2f} {c=} {{}}" "ä\\n" "\U0001fae8", rb"x\d"
        x, *rest = [each for each in c if each] or (*c, *e), 1e-4, 3j, ...
        if (n := len(c)) > 2 and not a < n <= 7:
            raise ValueError("too many") from None
        elif a is None:
            return {**e, "a": a[1:, ::2, ...]}
        while True:
            try:
                with open("a") as file, file:
                    break
            except* (OSError, KeyError) as problem:
                assert problem, "b"
            else:
                del self.name
        match a:
            case {"b": [1, *_]} | B(x=None) if a:
                yield from map(lambda x, *, y=True: x @ y, c)

async def f():
    async for x in y:
        await x
"""


def test_every_version_of_python_gives_the_same_digest(tmp_path):
    """The expected digest comes from Python 3.11, 3.12 and 3.13."""
    (tmp_path / "recipe.py").write_text(SYNTAX, "utf-8")
    expected = "c65205684b1c4206309bd503228b76fb96a2d4b6d678b61afae8c91ea45b9810"
    assert code_digest(tmp_path) == expected
