"""What one training run is, as plain data: `Run` with its `Head` and `Pull`s, and grids of runs.

To add a field: declare it in `Run` with its default, list it in `_ALLOWED` if it has limits, and
use it in `training/` or `networks/`. Every field is part of the key of a record.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from tlkit.ground.names import check_name

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
        check_name("parameters of a penalty", self.parameters, ("weights", "all"))
        check_name("Fisher information of a penalty", self.fisher, FISHERS)
        object.__setattr__(self, "strength", float(self.strength))
        if not self.strength >= 0:
            raise ValueError(f"a penalty's strength must not be negative: {self.strength!r}")


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
        object.__setattr__(self, "scale", float(self.scale))  # equal runs have equal keys
        check_name("layer of a head", self.layer, ("source", "random"))
        check_name("norm of a head", self.norm, ("none", "batchnorm", "l2"))
        for name in ("scale", "new_layers", "width"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Head.{name} must be above 0, not {getattr(self, name)!r}")


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
        for name, plain in _PLAIN.items():  # equal runs have equal keys
            try:
                object.__setattr__(self, name, plain(getattr(self, name)))
            except (TypeError, ValueError):
                raise _wrong(name, getattr(self, name)) from None
        for name, words in _WORDS.items():
            check_name(name, getattr(self, name), words)
        for name, (_, allowed) in _ALLOWED.items():
            if not allowed(getattr(self, name)):
                raise _wrong(name, getattr(self, name))

    def decay(self) -> float:
        """Return the optimizer's weight decay: a penalty replaces it, unless both are given."""
        default = 0.0 if self.penalty else 1e-4
        return default if self.weight_decay is None else float(self.weight_decay)


def _pairs(scales: Iterable[tuple[int | str, float]]) -> tuple[tuple[int | str, float], ...]:
    return tuple((until, float(factor)) for until, factor in scales)


def _whole(least: int) -> tuple[str, Callable[[Any], bool]]:
    return f"a whole number of at least {least}", lambda n: isinstance(n, int) and n >= least


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "lr": float,
    "mixup": float,
    "label_smoothing": float,
    "lr_scales": _pairs,
    "penalty": tuple,
}
_WORDS = {
    "frozen_bn": ("eval", "drift"),
    "augmentation": ("none", "crop", "colour", "randaugment"),
    "half": ("both", "first", "second"),
    "normalisation": ("weights", "half", "imagenet", "images"),
    "schedule": ("cosine", "step"),
}
_ALLOWED: dict[str, tuple[str, Callable[[Any], bool]]] = {  # field -> limits in words, test
    "init": ("a word, a path as text or a Run", lambda init: isinstance(init, (str, Run))),
    "head": ("a Head or None", lambda head: head is None or isinstance(head, Head)),
    "size": _whole(1),
    "train_per_class": (
        "a whole number of at least 1, or None",
        lambda n: n is None or (isinstance(n, int) and n >= 1),
    ),
    "val_per_class": _whole(0),
    "mixup": ("0 or above", lambda alpha: alpha >= 0),
    "label_smoothing": ("0 … 1", lambda share: 0 <= share <= 1),
    "epochs": _whole(1),
    "batch_size": _whole(1),
    "lr": ("above 0", lambda lr: lr > 0),
    "lr_scales": (
        "pairs (last module, factor of 0 or above)",
        lambda pairs: all(factor >= 0 for _, factor in pairs),
    ),
    "penalty": ("made by l2 and l2_sp", lambda pulls: all(isinstance(p, Pull) for p in pulls)),
    "weight_decay": ("0 or above, or None", lambda decay: decay is None or decay >= 0),
    "val_every": _whole(0),
    "seed": _whole(0),
}


def _wrong(name: str, value: object) -> ValueError:
    return ValueError(f"Run.{name} must be {_ALLOWED[name][0]}, not {value!r}")


def grid(base: Run, **choices: list) -> dict[tuple, Run]:
    """Return every combination of the choices: `grid(base, lr=[0.01, 0.1])`.

    A key is the tuple of the values, in the order of the choices: the coordinates of an arm.
    """
    return {
        values: replace(base, **dict(zip(choices, values))) for values in product(*choices.values())
    }


def choose(recipes: dict[str, Run], profile: str, task: str, changes: dict[str, Any]) -> Run:
    """Return the recipe of a profile, on another task unless `task` is "", with changed fields."""
    other_task: dict[str, Any] = {"task": task} if task else {}
    return replace(recipes[profile], **other_task, **changes)
