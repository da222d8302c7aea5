"""What one training run is, as plain data: `Run` with its `Head` and `Pull`s, and grids of runs.

To add a field: declare it in `Run` with its default, list it in `_RUN` with its check, and use it
in `training/` or `networks/`. Every field is part of the key of a record.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import product
from typing import Any

from tlkit.ground.names import check_name
from tlkit.ground.numbers import real, truth, whole

NUMBER = re.compile(r"\s*[-+]?[\d.]+(e[-+]?\d+)?\s*")
FISHERS = ("", "source", "target", "as coded")


@dataclass(frozen=True)
class Pull:
    """A penalty of strength/2 · Σ F (w − origin)² on some modules; `l2` and `l2_sp` make it.

    Source: Li, Grandvalet and Davoine 2018, "Explicit inductive bias for transfer learning with
    convolutional networks", equations 1 to 4.
    """

    towards: str  # "zero", or "start": the value after the transfer
    strength: float
    until: int | str  # the last module; the first one follows the pull before
    parameters: str = "weights"  # those that weight decay acts on; "all": biases and BN too
    fisher: str = ""  # the F above: 1, or the diagonal Fisher information (`training/fisher.py`)

    def __post_init__(self) -> None:
        _make_plain(self, "a penalty's", _PULL)


def l2(strength: float, until: int | str = "head", parameters: str = "weights") -> tuple[Pull, ...]:
    """Pull towards zero, up to the module `until`.

    "head" means everything, "transferred" the last module that was transferred.
    """
    return (Pull("zero", strength, until, parameters),)


def l2_sp(
    strength: float, until: int | str = "transferred", parameters: str = "weights", fisher: str = ""
) -> tuple[Pull, ...]:
    """Pull towards the starting point; `fisher` is "source", "target" or "as coded" (vuong2022).

    Add penalties up from the input to the head. The paper's α = 0.1 on the transferred weights
    with αβ = 0.01 on the new ones is `l2_sp(0.1) + l2(0.01)`; plested2021's L2-SP below and L2
    above is `l2_sp(0.02, until="entry") + l2(0.0005)`.
    """
    return (Pull("start", strength, until, parameters, fisher),)


@dataclass(frozen=True)
class Head:
    """A head that keeps the source's classification layer: that layer, a norm, new layers.

    Shermin et al. 2019 keep that layer. Their paper gives no sizes, so these are ours. Raises
    `UnknownName` for a mistyped word, ValueError for a number out of range.
    """

    layer: str = "source"  # "random": a new one of the same size, to compare with
    trained: bool = True  # whether that layer learns; the new layers always do
    norm: str = "none"  # of its outputs: "batchnorm", or "l2": norm 1, times a learnt scale
    scale: float = 10.0  # where each channel's scale of "l2" starts (10 or 20 in Wang et al. 2017)
    new_layers: int = 2  # linear ones, with a ReLU between; the last gives the target's classes
    width: int = 256  # outputs of each new layer but the last

    def __post_init__(self) -> None:
        _make_plain(self, "Head.", _HEAD)


@dataclass(frozen=True)
class Run:
    """One training run. Two equal runs give the same record; nothing else decides the result.

    Raises `UnknownName` for a mistyped field or word, ValueError for a value out of its range.
    """

    task: str = "drawn8"  # a drawn, bundled or public set, a folder; each also with [class,class]
    model: str = "xception_small"  # any timm model
    init: "str | Run" = "pretrained"  # "random", "pretrained", a weights file, or another run
    transferred: int | str = "all"  # modules taken from init; the later ones start afresh
    frozen: int | str = "none"  # modules that are not trained
    frozen_bn: str = "eval"  # "drift": BN of frozen modules in training mode, a common mistake
    head: Head | None = None  # on the source's classification layer; None: a new linear layer
    size: int = 48  # pixels, height and width
    train_per_class: int | None = 50  # None: all that validation leaves
    val_per_class: int = 20  # taken from the training images
    half: str = "both"  # of the training images: runs on "first" and "second" share none
    normalisation: str = "weights"  # as they were trained; "half": mean = std = 0.5, "imagenet",
    # or mean and std of the training "images"
    augmentation: str = "none"  # "crop", "colour", "randaugment": see `augment`
    mixup: float = 0.0  # alpha of the Beta distribution of the shares; 0: none
    label_smoothing: float = 0.0  # 0 … 1
    epochs: int = 20
    batch_size: int = 32
    optimizer: str = "sgd"  # timm's name; "sgd" is SGD with Nesterov momentum 0.9
    lr: float = 0.03  # the highest learning rate
    lr_scales: tuple[tuple[int | str, float], ...] = ()  # (last module, factor) from the input on;
    # modules after the last of these, and the head, learn at `lr` itself
    schedule: str = "cosine"  # after linear warm-up over 5 % of the steps. "step": 3 epochs of
    # warm-up, then times 0.9 every 10 epochs (plested2021)
    penalty: tuple[Pull, ...] = ()  # such as l2_sp(0.1) + l2(0.01)
    weight_decay: float | None = None  # not on biases and BN; None: 1e-4, or 0 beside a penalty
    val_every: int = 0  # epochs between validations; 0: only after the last
    seed: int = 0  # of the chosen images, the new weights and the order

    def __new__(cls, *values: Any, **named: Any) -> "Run":
        for name in named:
            check_name("field of Run", name, [field.name for field in fields(cls)])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        _make_plain(self, "Run.", _RUN)

    def decay(self) -> float:
        """Return the optimizer's weight decay: a penalty replaces it, unless both are given."""
        default = 0.0 if self.penalty else 1e-4
        return default if self.weight_decay is None else float(self.weight_decay)


Check = Callable[[str, Any], Any]  # (what is checked, value) -> the value as plain data


def _make_plain(recipe: "Pull | Head | Run", owner: str, checks: dict[str, Check]) -> None:
    """Check each field and make it plain data, so that equal recipes have equal keys."""
    for name, check in checks.items():
        what = f"{owner}{name}" if owner.endswith(".") else f"{owner} {name}"
        object.__setattr__(recipe, name, check(what, getattr(recipe, name)))


def _text(what: str, value: Any) -> str:
    """Return a name, or a path of any kind, as text; a `Path` never means a name."""
    if isinstance(value, os.PathLike):
        path = str(os.fspath(value))
        return path if os.path.isabs(path) else os.path.join(".", path)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{what} must be a name or a path, not {value!r}")
    return str(value)


def _word(*words: str) -> Check:
    def check(what: str, value: Any) -> str:
        check_name(what, value if isinstance(value, str) else repr(value), words)
        return str(value)

    return check


def _until(what: str, value: Any) -> int | str:
    """Return a number of modules, or the name of the last one."""
    if not isinstance(value, str):
        return whole(f"{what}, a number of modules or a name,", value)
    if not value.strip() or NUMBER.fullmatch(value):
        raise ValueError(f"{what} must be a module's name or a number without quotes: {value!r}")
    return str(value)


def _or_none(check: Check) -> Check:
    return lambda what, value: None if value is None else check(what, value)


def _is(kind: str, hint: str) -> Check:
    """Return a check for one of the classes of this file."""

    def check(what: str, value: Any) -> Any:
        if not isinstance(value, globals()[kind]):
            raise ValueError(f"{what} must be {hint}, not {value!r}")
        return value

    return check


def _origin(what: str, value: Any) -> "str | Run":
    return value if isinstance(value, Run) else _text(f"{what}, if not a Run,", value)


def _tuple(hint: str, check: Check) -> Check:
    """Return a check for each of several values."""

    def check_all(what: str, values: Any) -> tuple:
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise ValueError(f"{what} must be {hint}, not {values!r}")
        return tuple(check(what, value) for value in values)

    return check_all


def _scale(what: str, pair: Any) -> tuple[int | str, float]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"{what} must be pairs (last module, factor), not {pair!r}")
    return _until(what, pair[0]), real(f"a factor of {what}", pair[1])


_PULL: dict[str, Check] = {
    "towards": _word("zero", "start"),
    "strength": real,
    "until": _until,
    "parameters": _word("weights", "all"),
    "fisher": _word(*FISHERS),
}
_HEAD: dict[str, Check] = {
    "layer": _word("source", "random"),
    "trained": truth,
    "norm": _word("none", "batchnorm", "l2"),
    "scale": partial(real, above=True),
    "new_layers": partial(whole, least=1),
    "width": partial(whole, least=1),
}
_RUN: dict[str, Check] = {
    "task": _text,
    "model": _text,
    "init": _origin,
    "transferred": _until,
    "frozen": _until,
    "frozen_bn": _word("eval", "drift"),
    "head": _or_none(_is("Head", "a Head or None")),
    "size": partial(whole, least=1),
    "train_per_class": _or_none(partial(whole, least=1)),
    "val_per_class": whole,
    "half": _word("both", "first", "second"),
    "normalisation": _word("weights", "half", "imagenet", "images"),
    "augmentation": _word("none", "crop", "colour", "randaugment"),
    "mixup": real,
    "label_smoothing": partial(real, most=1),
    "epochs": partial(whole, least=1),
    "batch_size": partial(whole, least=1),
    "optimizer": _text,
    "lr": partial(real, above=True),
    "lr_scales": _tuple("pairs (last module, factor)", _scale),
    "schedule": _word("cosine", "step"),
    "penalty": _tuple("made by l2 and l2_sp", _is("Pull", "made by l2 and l2_sp")),
    "weight_decay": _or_none(real),
    "val_every": whole,
    "seed": whole,
}


def grid(base: Run, **choices: list) -> dict[tuple, Run]:
    """Return every combination of the choices: `grid(base, lr=[0.01, 0.1])`.

    A key is the tuple of the values, in the order of the choices: the coordinates of an arm.
    Raises ValueError for a choice that is no list, such as the text of one value.
    """
    for name, values in choices.items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise ValueError(f"give a list of values for {name}, not {values!r}")
    return {
        values: replace(base, **dict(zip(choices, values))) for values in product(*choices.values())
    }


def choose(recipes: dict[str, Run], profile: str, task: str, changes: dict[str, Any]) -> Run:
    """Return the recipe of a profile, on another task unless `task` is "", with changed fields."""
    check_name("profile", profile, recipes)
    other_task: dict[str, Any] = {"task": task} if task else {}
    return replace(recipes[profile], **other_task, **changes)
