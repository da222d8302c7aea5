"""Refuse an unknown name, and list the valid names that are near."""

from collections.abc import Iterable
from difflib import get_close_matches


class UnknownName(ValueError):
    """A field, task, model, module, parameter, claim or setting that does not exist."""


def unknown(kind: str, name: object, valid: Iterable[object], remedy: str = "") -> UnknownName:
    """Return the error to raise. It lists the nearest valid names, then `remedy`."""
    names = [str(each) for each in valid]
    near = get_close_matches(str(name), names, n=5, cutoff=0.4) or sorted(names)[:12]
    return UnknownName(f"unknown {kind} {name!r}; nearest valid: {', '.join(near)}{remedy}")


def check_name(kind: str, name: object, valid: Iterable[object]) -> None:
    """Raise `UnknownName` unless `name` is one of `valid`."""
    names = [str(each) for each in valid]
    if name not in names:
        raise unknown(kind, name, names)
