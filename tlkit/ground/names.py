"""Refuse an unknown name, and say which names would have been right."""

from collections.abc import Iterable
from difflib import get_close_matches


class UnknownName(ValueError):
    """A field, task, model, module, parameter or claim that does not exist."""


def unknown(kind: str, name: str, valid: Iterable[str], remedy: str = "") -> UnknownName:
    """The error to raise: it lists the nearest valid names, then the remedy, if there is one."""
    valid = [str(candidate) for candidate in valid]
    near = get_close_matches(str(name), valid, n=5, cutoff=0.4) or sorted(valid)[:12]
    return UnknownName(f"unknown {kind} {name!r}; nearest valid: {', '.join(near)}{remedy}")


def check_name(kind: str, name: str, valid: Iterable[str]) -> None:
    """Raise `UnknownName` unless `name` is one of `valid`."""
    valid = [str(candidate) for candidate in valid]
    if name not in valid:
        raise unknown(kind, name, valid)
