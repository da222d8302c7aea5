"""An arm is named by its coordinates or by a label, in tables from memory and from files."""

import io

import numpy as np
import pandas as pd
import pytest

from tlkit.experiments.arms import RESERVED, coordinates, label, select, words
from tlkit.ground.names import UnknownName

NAMES = ("target", "scheme", "rate")
ARMS = [
    ("kin", "L2-SP", 0.1),
    ("kin", "L2-SP", 0.01),
    ("kin", "default", 0.1),
    ("far", "L2-SP", 0.1),
]
TABLE = pd.DataFrame([coordinates(arm, NAMES) | {"seed": s} for arm in ARMS for s in (0, 1)])


def from_file() -> pd.DataFrame:
    """Return the same table as text, as `results.stored` reads it."""
    return pd.read_csv(io.StringIO(TABLE.to_csv(index=False)), dtype=str, keep_default_na=False)


# coordinates and labels


def test_an_arm_has_a_label_and_its_coordinates_in_the_order_of_the_names():
    arm = coordinates(("kin", 3, None), ("target", "depth", "norm"))
    assert list(arm.items()) == [
        ("arm", "kin, 3, None"),
        ("target", "kin"),
        ("depth", 3),
        ("norm", None),
    ]


def test_without_names_an_arm_is_its_label():
    assert coordinates("frozen", ()) == {"arm": "frozen"}
    assert coordinates(0.1, ()) == {"arm": "0.1"}
    assert coordinates((0.1,), ()) == {"arm": "0.1"}  # of a grid of one choice


def test_one_coordinate_needs_no_tuple():
    assert coordinates("kin", ["target"]) == coordinates(("kin",), ["target"])
    assert coordinates("kin", ["target"]) == {"arm": "kin", "target": "kin"}


@pytest.mark.parametrize("arm, names", [
    (("kin", "L2-SP"), ()), (("kin", "L2-SP"), ("target",)), ("kin", ("target", "scheme")),
    (("kin", "L2-SP", 3), ("target", "scheme")), ((), ("target",)), ("kin", "target"),
])  # fmt: skip
def test_a_wrong_number_of_values_is_refused_and_shown(arm, names):
    with pytest.raises(ValueError) as problem:
        coordinates(arm, names)
    assert repr(arm) in str(problem.value) and repr(names) in str(problem.value)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_names_that_a_table_needs_itself_are_refused(name):
    with pytest.raises(ValueError, match=name):
        coordinates(("kin", 1), ("target", name))


def test_a_label_is_for_people_and_the_same_for_both_ways_to_name_an_arm():
    assert label(("kin", "L2-SP", 0.1)) == "kin, L2-SP, 0.1" and label(["kin"]) == "kin"
    assert words("kin, L2-SP") == words({"target": "kin", "scheme": "L2-SP"}) == "kin, L2-SP"


# rows of an arm


@pytest.mark.parametrize("table", [TABLE, from_file()], ids=["memory", "file"])
def test_all_coordinates_select_one_arm_and_fewer_select_several(table):
    for place, values in enumerate(ARMS):
        expected = [2 * place, 2 * place + 1]
        assert select(table, dict(zip(NAMES, values))).index.tolist() == expected
        assert select(table, label(values)).index.tolist() == expected
    assert select(table, {"target": "kin"}).index.tolist() == [0, 1, 2, 3, 4, 5]
    assert select(table, {"rate": 0.1, "scheme": "L2-SP"}).index.tolist() == [0, 1, 6, 7]
    assert select(table, {}).equals(table)


def test_values_are_compared_as_text():
    assert len(select(TABLE, {"rate": "0.1"})) == len(select(TABLE, {"rate": np.float64(0.1)})) == 6
    assert len(select(TABLE, {"seed": 1})) == len(select(TABLE, {"seed": "1"})) == 4


def test_an_unknown_coordinate_is_refused_and_near_ones_are_named():
    with pytest.raises(UnknownName, match=r"coordinate 'shceme'.*scheme"):
        select(TABLE, {"target": "kin", "shceme": "L2-SP"})


@pytest.mark.parametrize("table", [TABLE, from_file()], ids=["memory", "file"])
def test_an_unknown_value_is_refused_and_near_ones_of_that_coordinate_are_named(table):
    with pytest.raises(UnknownName, match=r"scheme 'L2-PS'; nearest valid: L2-SP$"):
        select(table, {"target": "kin", "scheme": "L2-PS"})
    with pytest.raises(UnknownName, match=r"arm 'kin, L2-SP, 0.2'.*kin, L2-SP, 0.1"):
        select(table, "kin, L2-SP, 0.2")


def test_a_value_that_only_another_arm_has_is_refused():
    """Each value is known, but not together: 0.01 was tried on kin alone."""
    with pytest.raises(UnknownName, match=r"\(far, rate 0.01\): rate '0.01'; nearest valid: 0.1$"):
        select(TABLE, {"target": "far", "rate": 0.01})


def test_the_table_stays_as_it_was():
    before = TABLE.copy()
    select(TABLE, {"target": "kin", "rate": 0.1})
    assert TABLE.equals(before)


@pytest.mark.parametrize("arm, expected", [
    ("kin, L2-SP", "kin, L2-SP"),
    ({"target": "near", "images": 10, "scheme": "L2-SP"}, "near, images 10, L2-SP"),
    ({"beta": "0.00004", "alpha": "0"}, "beta 0.00004, alpha 0"),
    ({"lr": 1e-05}, "lr 1e-05"),
    ({"settings": "2 epochs"}, "2 epochs"),
])  # fmt: skip
def test_a_number_is_shown_with_the_name_of_its_coordinate(arm, expected):
    assert words(arm) == expected


KINDS = [1, 2.5, ("kin", 3), None, np.int64(4), "1.0", 10]


@pytest.mark.parametrize("arm", KINDS)
def test_an_arm_of_any_kind_is_selected_by_itself_and_by_its_label(arm):
    table = pd.DataFrame({"arm": [words(each) for each in KINDS]})
    assert select(table, arm)["arm"].tolist() == [words(arm)]
    assert select(table, words(arm))["arm"].tolist() == [words(arm)]


def test_a_column_with_a_gap_still_knows_its_whole_numbers():
    table = pd.DataFrame({"arm": ["a", "b", "c"], "depth": [1, None, 2]})  # pandas: 1.0, NaN, 2.0
    for each in (table, pd.read_csv(io.StringIO(table.to_csv(index=False)), dtype=str)):
        assert select(each, {"depth": 1})["arm"].tolist() == ["a"]
        assert select(each, {"depth": None})["arm"].tolist() == ["b"]


def test_equal_text_wins_over_an_equal_number():
    table = pd.DataFrame({"arm": ["1", "1.0"]})
    assert select(table, "1")["arm"].tolist() == ["1"]
    assert select(table, "1.0")["arm"].tolist() == ["1.0"]
