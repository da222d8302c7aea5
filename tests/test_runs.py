"""The recipe: strict about its fields, usable as a key, and multiplied into grids."""

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from tlkit.ground.names import UnknownName
from tlkit.recipe import Run, grid, l2, l2_sp


@pytest.mark.parametrize(
    "mistyped, right",
    [
        ("learning_rate", "train_per_class"),
        ("epoch", "epochs"),
        ("batchsize", "batch_size"),
        ("Seed", "seed"),
        ("weightdecay", "weight_decay"),
        ("froze", "frozen"),
    ],
)
def test_a_mistyped_field_names_the_right_one(mistyped, right):
    for make in (
        lambda: Run(**{mistyped: 1}),
        lambda: replace(Run(), **{mistyped: 1}),
        lambda: grid(Run(), **{mistyped: [1, 2]}),
    ):
        with pytest.raises(UnknownName) as caught:
            make()
        message = str(caught.value)
        assert repr(mistyped) in message
        if mistyped != "learning_rate":  # too far from lr for any matcher: any list will do
            assert right in message.split("nearest valid: ")[1].split(", ")


@pytest.mark.parametrize(
    "field, values",
    {
        "size": [0, -1, "48", 48.5],
        "epochs": [0, -5, None],
        "batch_size": [0],
        "lr": [0, -0.1, float("nan")],
        "train_per_class": [0, -1, "all"],
        "val_per_class": [-1],
        "weight_decay": [-1e-4],
        "val_every": [-1],
        "seed": [-1],
        "frozen_bn": ["evla", True],
        "augmentation": ["crops"],
        "normalisation": ["weight", ""],
        "schedule": ["steps"],
        "mixup": [-0.1],
        "label_smoothing": [-0.1, 1.1],
        "penalty": [(0.1,), ("l2",)],
        "lr_scales": [(("conv1",),), (("conv1", -0.1),), ("conv1", 0.1)],
    }.items(),
)
def test_bad_values_are_refused_with_the_field_named(field, values):
    for value in values:
        with pytest.raises(ValueError, match=field):
            Run(**{field: value})
        with pytest.raises(ValueError, match=field):
            replace(Run(), **{field: value})


@pytest.mark.parametrize(
    "field, mistyped, right",
    [
        ("frozen_bn", "evla", "eval"),
        ("augmentation", "color", "colour"),
        ("normalisation", "image", "images"),
        ("schedule", "cosin", "cosine"),
    ],
)
def test_a_mistyped_value_names_the_right_one(field, mistyped, right):
    with pytest.raises(UnknownName, match=rf"nearest valid: .*\b{right}\b"):
        Run(**{field: mistyped})


@pytest.mark.parametrize(
    "good",
    [
        {"val_per_class": 0},
        {"weight_decay": 0},
        {"train_per_class": None},
        {"train_per_class": 1},
        {"frozen_bn": "drift"},
        {"augmentation": "colour"},
        {"augmentation": "randaugment"},
        {"weight_decay": None},
        {"schedule": "step"},
        {"mixup": 0},
        {"label_smoothing": 0},
        {"label_smoothing": 1},
        {"penalty": ()},
        {"penalty": l2_sp(0) + l2(0.1)},
        {"lr_scales": (("conv1", 0), (2, 0.1))},
        *({"normalisation": kind} for kind in ("weights", "half", "imagenet", "images")),
    ],
)
def test_values_at_the_edge_are_accepted(good):
    run = Run(**good)
    assert {name: getattr(run, name) for name in good} == good


@pytest.mark.parametrize(
    "penalty, weight_decay, decay",
    [
        ((), None, 1e-4),
        ((), 0, 0),
        ((), 0.1, 0.1),
        (l2(0.1), None, 0),
        (l2(0.1), 0.1, 0.1),
        (l2_sp(0.1), 0, 0),
    ],
)
def test_a_penalty_replaces_the_decay_unless_both_are_set(penalty, weight_decay, decay):
    assert Run(penalty=penalty, weight_decay=weight_decay).decay() == decay


def test_a_run_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Run().lr = 0.1


def test_equal_recipes_are_one_key():
    assert Run(lr=0.1) == Run(lr=0.1) != Run(lr=0.2)
    assert len({Run(seed=0), Run(seed=0), Run(seed=1)}) == 2
    assert len({Run(penalty=l2_sp(s) + l2(0.1), lr_scales=((2, s),)) for s in (0, 0, 1)}) == 2
    nested = [Run(init=Run(seed=seed, init=Run(lr=0.5))) for seed in (0, 0, 1)]
    assert len(set(nested)) == 2


def test_pickling_keeps_a_nested_recipe():
    run = Run(
        task="drawn8[cat,dog]",
        init=Run(init=Run(init="random", lr=0.5), epochs=3),
        seed=7,
        penalty=l2_sp(0.1, fisher="target") + l2(0.01),
        lr_scales=(("conv1", 0.1),),
    )
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(run, protocol)) == run


def test_a_grid_is_the_product_of_its_choices_in_order():
    base = Run(init="random", epochs=3)
    arms = grid(base, lr=[0.1, 0.2], frozen=["none", 4, "all"])
    assert list(arms) == [
        (0.1, "none"),
        (0.1, 4),
        (0.1, "all"),
        (0.2, "none"),
        (0.2, 4),
        (0.2, "all"),
    ]
    assert arms[0.2, 4] == Run(init="random", epochs=3, lr=0.2, frozen=4)
    assert len(set(arms.values())) == 6


def test_a_grid_leaves_everything_else_alone():
    base = Run(init=Run(), task="drawn8[cat,dog]", seed=3)
    (arm,) = grid(base, lr=[0.5]).values()
    changed = [
        field.name for field in fields(Run) if getattr(arm, field.name) != getattr(base, field.name)
    ]
    assert changed == ["lr"]


def test_a_grid_of_no_choice_is_the_base():
    assert grid(Run()) == {(): Run()}


def test_importing_the_recipe_loads_no_torch():
    code = "import sys, tlkit.recipe; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    names = process.stdout.split()
    assert "tlkit.recipe" in names
    assert {name.split(".")[0] for name in names}.isdisjoint({"torch", "timm", "numpy", "pandas"})
