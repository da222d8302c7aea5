"""The recipe: strict about its fields, usable as a key, and multiplied into grids."""

import json
import math
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlkit.ground.names import UnknownName
from tlkit.recipe import Head, Run, choose, grid, l2, l2_sp


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


# Types and numbers.

WHOLE = {"size": 1, "epochs": 1, "batch_size": 1, "val_per_class": 0, "val_every": 0, "seed": 0,
         "train_per_class": 1, "frozen": 0, "transferred": 0}  # fmt: skip
REAL = ("lr", "mixup", "label_smoothing", "weight_decay")
MAKERS = {
    **{f"Run.{name}": partial(lambda name, value: Run(**{name: value}), name) for name in WHOLE},
    **{f"Run.{name}": partial(lambda name, value: Run(**{name: value}), name) for name in REAL},
    "Run.lr_scales": lambda value: Run(lr_scales=((1, value),)),
    "Run.lr_scales: module": lambda value: Run(lr_scales=((value, 0.5),)),
    "Head.scale": lambda value: Head(scale=value),
    "Head.width": lambda value: Head(width=value),
    "Head.new_layers": lambda value: Head(new_layers=value),
    "strength": l2_sp,
    "until": lambda value: l2(0.1, until=value),
}
NO_NUMBER = (True, False, np.True_, math.nan, math.inf, -math.inf, np.float32("nan"), "2", "0.1",
             " 3", "1e-3", b"1", -1, -0.5, None, [1], 1j, 10**400, np.array([1, 2]))  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_no_number_is_refused_by_name(maker):
    for value in NO_NUMBER:
        if value is None and maker in ("Run.train_per_class", "Run.weight_decay"):
            continue
        with pytest.raises(ValueError, match=maker.split(": ")[0].removeprefix("Run.")):
            MAKERS[maker](value)


def digest(recipe):
    return json.dumps(asdict(recipe), sort_keys=True)


@given(
    st.sampled_from(["size", "epochs", "seed", "frozen", "train_per_class"]),
    st.integers(1, 2**31 - 1),
    st.sampled_from([int, np.int64, np.int32, np.uint32]),
)
def test_whole_numbers_of_any_kind_are_one_number(name, number, kind):
    runs = [Run(**{name: each}) for each in (number, kind(number))]
    assert runs[0] == runs[1] and hash(runs[0]) == hash(runs[1])
    assert digest(runs[0]) == digest(runs[1])
    assert type(getattr(runs[1], name)) is int


NUMBERS = st.one_of(
    st.integers(0, 5), st.floats(0, 5, allow_subnormal=False), st.just(-0.0), st.fractions(0, 5)
)


@given(NUMBERS, st.sampled_from([float, np.float64, np.float32, lambda x: x]))
def test_equal_runs_have_equal_digests(number, kind):
    def recipe(value):
        penalty = l2_sp(value, until=np.int64(2)) + l2(value)
        head = Head(scale=value + 1, width=np.int16(8), trained=np.False_)
        scales = [[np.str_("conv1"), value]]
        return Run(lr=value + 1, mixup=value, weight_decay=value, penalty=penalty, head=head,
                   lr_scales=scales, init=Run(mixup=value))  # fmt: skip

    given_, plain = recipe(kind(number)), recipe(float(kind(number)))
    if given_ == plain:  # 1/3 is rounded
        assert hash(given_) == hash(plain) and digest(given_) == digest(plain)
    assert all(type(x) is float for x in (given_.lr, given_.mixup, given_.weight_decay))
    assert Run(**vars(given_)) == given_


@given(
    st.from_type(object)
    | st.text()
    | st.floats(allow_subnormal=False)
    | st.booleans()
    | st.lists(st.integers())
)
def test_any_value_makes_a_run_with_a_key_or_is_refused_with_the_field_named(value):
    for field in fields(Run):
        try:
            run = Run(**{field.name: value})
        except ValueError as problem:
            assert f"Run.{field.name}" in str(problem)
        else:
            assert Run(**vars(run)) == run and isinstance(digest(run), str)


def test_a_path_is_a_path_and_never_a_name(tmp_path):
    assert Run(task=tmp_path) == Run(task=str(tmp_path))
    assert Run(init=tmp_path / "w.pth").init == str(tmp_path / "w.pth")
    assert Run(task=Path("drawn8")).task == "./drawn8" != Run().task
    assert Run(init=Path("pretrained")).init == "./pretrained"


@pytest.mark.parametrize("value", [None, 3, True, "", " ", b"drawn8", ["drawn8"], math.nan])
@pytest.mark.parametrize("name", ["task", "model", "init", "optimizer"])
def test_what_is_no_text_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"Run\.{name}"):
        Run(**{name: value})


@pytest.mark.parametrize("trained", [1, 0, "no", None, []])
def test_a_truth_value_is_one(trained):
    with pytest.raises(ValueError, match=r"Head\.trained must be True or False"):
        Head(trained=trained)


@pytest.mark.parametrize("values", ["adam", 0.1, None])
def test_a_choice_of_a_grid_is_a_list(values):
    with pytest.raises(ValueError, match="list of values for optimizer"):
        grid(Run(), optimizer=values)


def test_an_unknown_profile_is_refused():
    with pytest.raises(UnknownName, match=r"unknown profile 'labs'.*lab"):
        choose({"lab": Run(), "smoke": Run()}, "labs", "", {})
