"""The whole recipe of one training run, and grids of recipes."""

from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from tlkit.heads import Kept
from tlkit.names import check_name
from tlkit.penalties import Pull

AUGMENTATIONS = ("none", "crop", "colour", "randaugment")
COUNTS = (
    "size", "train_per_class", "val_per_class", "epochs", "batch_size", "val_every", "seed",
)
HALVES = ("both", "first", "second")
NORMALISATIONS = ("weights", "half", "imagenet", "images")
SCHEDULES = ("cosine", "step")  # "step": 3 epochs of warm-up, then times 0.9 every 10 (plested2021)


@dataclass(frozen=True)
class Run:
    """One training run. Two equal runs give the same record; nothing else enters into it.

    A mistyped field raises `UnknownName`; a value out of its range raises ValueError.
    """

    task: str = "drawn8"  # a drawn, bundled or public set, a folder; each also with [class,class]
    model: str = "xception_small"  # any timm model
    init: "str | Run" = "pretrained"  # "random", "pretrained", a weights file, or another run
    transferred: int | str = "all"  # modules taken from init; the later ones start afresh
    frozen: int | str = "none"  # modules that are not trained
    frozen_bn: str = "eval"  # "drift": BN of frozen modules in training mode, a common mistake
    kept: Kept | None = None  # the source's classification layer, grown on; None: replaced
    size: int = 48  # pixels, height and width
    train_per_class: int | None = 50  # None: all that validation leaves
    val_per_class: int = 20  # carved from the training images
    half: str = "both"  # of the training images: runs on "first" and "second" share none
    normalisation: str = "weights"  # as they were trained; "half": mean = std = 0.5, "imagenet",
    # or mean and std of the training "images"
    augmentation: str = "none"  # one of AUGMENTATIONS
    mixup: float = 0.0  # alpha of the Beta distribution of the shares; 0: none
    label_smoothing: float = 0.0  # 0 … 1
    epochs: int = 20
    batch_size: int = 32
    optimizer: str = "sgd"  # timm's name; "sgd" is SGD with Nesterov momentum 0.9
    lr: float = 0.03  # the highest
    lr_scales: tuple[tuple[int | str, float], ...] = ()  # (last module, factor) from the input on;
    # modules after the last of these, and the head, learn at `lr` itself
    schedule: str = "cosine"  # after linear warm-up over 5 % of the steps; or one of SCHEDULES
    penalty: tuple[Pull, ...] = ()  # such as l2_sp(0.1) + l2(0.01)
    weight_decay: float | None = None  # not on biases and BN; None: 1e-4, or 0 beside a penalty
    val_every: int = 0  # epochs between validations; 0: only after the last
    seed: int = 0  # of the images chosen, the new weights and the order

    def __new__(cls, *values: Any, **named: Any) -> "Run":
        for name in named:
            check_name("field of Run", name, [field.name for field in fields(cls)])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        try:
            scales = tuple((until, float(factor)) for until, factor in self.lr_scales)
        except (TypeError, ValueError):
            raise ValueError(
                f"Run.lr_scales are pairs (last module, factor), not {self.lr_scales!r}"
            ) from None
        floats = {name: float(getattr(self, name)) for name in ("lr", "mixup", "label_smoothing")}
        for name, value in {**floats, "lr_scales": scales, "penalty": tuple(self.penalty)}.items():
            object.__setattr__(self, name, value)  # equal runs have equal keys
        check_name("frozen_bn", self.frozen_bn, ("eval", "drift"))
        check_name("augmentation", self.augmentation, AUGMENTATIONS)
        check_name("half", self.half, HALVES)
        check_name("normalisation", self.normalisation, NORMALISATIONS)
        check_name("schedule", self.schedule, SCHEDULES)
        if not all(isinstance(pull, Pull) for pull in self.penalty):
            raise ValueError(f"Run.penalty is made by l2 and l2_sp, not {self.penalty!r}")
        if not all(factor >= 0 for _, factor in scales) or not 0 <= self.label_smoothing <= 1:
            raise ValueError("Run.lr_scales must not be negative, nor Run.label_smoothing outside "
                             f"0 … 1: {scales!r}, {self.label_smoothing!r}")
        if not isinstance(self.kept, (Kept, type(None))):
            raise ValueError(f"Run.kept must be a Kept or None, not {self.kept!r}")
        if not isinstance(self.init, (str, Run)):
            raise ValueError(f"Run.init must be a word, a path as text or a Run: {self.init!r}")
        for name in COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) and (name, value) != ("train_per_class", None):
                raise ValueError(f"Run.{name} must be a whole number, not {value!r}")
        for name in ("size", "epochs", "batch_size", "lr"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Run.{name} must be above 0, not {getattr(self, name)!r}")
        if self.train_per_class is not None and self.train_per_class < 1:
            raise ValueError(f"Run.train_per_class must be above 0: {self.train_per_class!r}")
        for name in ("val_per_class", "mixup", "val_every", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"Run.{name} must not be negative: {getattr(self, name)!r}")
        if self.decay() < 0:
            raise ValueError(f"Run.weight_decay must not be negative: {self.weight_decay!r}")

    def decay(self) -> float:
        """The optimizer's weight decay: a penalty replaces it, unless both are asked for."""
        if self.weight_decay is None:
            return 0.0 if self.penalty else 1e-4
        return float(self.weight_decay)


def grid(base: Run, **choices: list) -> dict[str, Run]:
    """Every combination of the choices, as named arms: `grid(base, lr=[0.01, 0.1])`."""
    arms = {}
    for values in product(*choices.values()):
        changes = dict(zip(choices, values))
        label = ", ".join(f"{name}={value}" for name, value in changes.items())
        arms[label] = replace(base, **changes)
    return arms


def choose(recipes: dict[str, Run], profile: str, task: str, changes: dict[str, Any]) -> Run:
    """The recipe of a profile, on another task unless `task` is empty, with fields changed."""
    other_task = {"task": task} if task else {}
    return replace(recipes[profile], **other_task, **changes)
