"""Refuse an unknown name, and say which names would have been right."""

from collections.abc import Iterable
from difflib import get_close_matches


class UnknownName(ValueError):
    """A field, task, model, module, metric or claim that does not exist."""


def check_name(kind: str, name: str, valid: Iterable[str]) -> None:
    """Raise `UnknownName` unless `name` is one of `valid`; the message lists the nearest ones."""
    valid = [str(candidate) for candidate in valid]
    if name in valid:
        return
    near = get_close_matches(str(name), valid, n=5, cutoff=0.4) or sorted(valid)[:12]
    raise UnknownName(f"unknown {kind} {name!r}; nearest valid: {', '.join(near)}")
