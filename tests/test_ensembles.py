"""Ensembles of stored outputs are what averaging probabilities by hand gives."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import write_record
from scipy.special import softmax

from tlkit.experiments import records
from tlkit.ground.names import UnknownName
from tlkit.judging.compare import compare, measure
from tlkit.judging.ensembles import ensemble, outcome
from tlkit.judging.metrics import contributions

IMAGES = 300
ARM = {"target": "kin", "scheme": "plain"}


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Seven runs of an arm: the label's logit stands out a little, by the same images."""
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    labels, rows = torch.randint(4, (IMAGES,), generator=generator), []
    for seed in range(7):
        logits = 3 * torch.randn(IMAGES, 4, generator=generator)
        logits += 2 * torch.nn.functional.one_hot(labels, 4)
        val = float(torch.rand((), generator=generator))
        write_record(f"run{seed}", logits, labels, seed, val)
        rows.append({"arm": "kin, plain"} | ARM | {"seed": seed, "val_accuracy": val})
        rows[-1]["key"] = f"run{seed}"
    return pd.DataFrame(rows)


def outputs(seeds):
    pairs = [records.read(f"run{seed}").test_outputs() for seed in seeds]
    return np.stack([logits for logits, _ in pairs]), pairs[0][1]


@pytest.mark.parametrize("arm", [ARM, {"scheme": "plain"}, "kin, plain"], ids=str)
def test_members_answer_with_the_mean_of_their_probabilities(table, arm):
    rows = ensemble(table, arm, 3)
    keys = rows.loc[rows["role"] == "ensemble", "key"]
    assert len(keys) == 2  # of seven runs, none in both
    for key, seeds in zip(keys, [(0, 1, 2), (3, 4, 5)]):
        logits, labels = outputs(seeds)
        logs, stored = outcome(key).test_outputs()
        np.testing.assert_allclose(np.exp(logs), softmax(logits, axis=2).mean(0), rtol=1e-5)
        assert np.array_equal(stored, labels)
        accuracy = (softmax(logits, axis=2).mean(0).argmax(1) == labels).mean()
        assert measure(rows[rows["key"] == key])[rows.index[rows["key"] == key][0]] == accuracy


def test_a_row_has_the_coordinates_of_its_arm_a_role_and_a_size(table):
    rows = ensemble(table, ARM, 3)
    assert (rows[["target", "scheme", "size"]] == ["kin", "plain", 3]).all(axis=None)
    assert rows["role"].tolist() == ["best", "ensemble"] * 2
    assert rows["seed"].tolist() == [0, 0, 1, 1]
    assert rows["arm"].nunique() == 2 and rows["key"].is_unique
    assert {"target", "scheme"}.isdisjoint(ensemble(table, "kin, plain", 3))


def test_the_best_is_chosen_on_validation_images_whatever_the_index(table):
    table.index = [0] * len(table)  # as after a pd.concat
    rows = ensemble(table, ARM, 3)
    best = rows.loc[rows["role"] == "best", "key"].tolist()
    groups = [table.iloc[:3], table.iloc[3:6]]
    assert best == [group.sort_values("val_accuracy")["key"].iloc[-1] for group in groups]


def test_ensemble_and_best_are_paired(table):
    rows = ensemble(table, ARM, 2)
    gain = compare(rows, ARM | {"role": "ensemble"}, ARM | {"role": "best"})
    assert (gain.seeds, gain.images) == (3, IMAGES)
    assert gain.mean > 0  # members whose errors are independent


@pytest.mark.parametrize("size", [1, 8])
def test_too_few_runs_are_refused(table, size):
    with pytest.raises(ValueError, match=rf"7 runs .*kin, plain.* {size}$"):
        ensemble(table, ARM, size)


def test_an_unknown_arm_is_named(table):
    with pytest.raises(UnknownName, match=r"'plane'.*plain"):
        ensemble(table, {"scheme": "plane"}, 2)


def test_members_of_other_test_images_are_refused(table):
    logits, labels = map(torch.from_numpy, records.read("run1").test_outputs())
    write_record("other", logits, labels.flip(0))
    with pytest.raises(ValueError, match="same test images"):
        outcome("run0+other").test_outputs()


def test_a_record_that_is_gone_is_named(table):
    with pytest.raises(ValueError, match=r"'run0\+lost'"):
        outcome("run0+lost")


def test_an_ensemble_has_no_validation_images(table):
    with pytest.raises(ValueError, match="validation"):
        contributions(outcome("run0+run1"), "validation accuracy")
