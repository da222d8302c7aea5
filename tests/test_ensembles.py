"""Ensembles of stored outputs are what averaging probabilities by hand gives."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import write_record
from scipy.special import softmax

from tlkit.experiments import records
from tlkit.judging.ensembles import ensemble, outcome
from tlkit.judging.verdicts import compare, measure
from tlkit.ground.names import UnknownName

IMAGES = 300


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
        rows.append({"arm": "plain", "seed": seed, "val_accuracy": val, "key": f"run{seed}"})
    return pd.DataFrame(rows)


def outputs(seeds):
    found = [records.read(f"run{seed}").test_outputs() for seed in seeds]
    return np.stack([logits for logits, _ in found]), found[0][1]


def test_members_answer_with_the_mean_of_their_probabilities(table):
    rows = ensemble(table, "plain", 3)
    keys = rows.loc[rows["arm"] == "plain, ensemble of 3", "key"]
    assert len(keys) == 2  # of seven runs, none in both
    for key, seeds in zip(keys, [(0, 1, 2), (3, 4, 5)]):
        logits, labels = outputs(seeds)
        logs, stored = outcome(key).test_outputs()
        np.testing.assert_allclose(np.exp(logs), softmax(logits, axis=2).mean(0), rtol=1e-5)
        assert np.array_equal(stored, labels)
        accuracy = (softmax(logits, axis=2).mean(0).argmax(1) == labels).mean()
        assert measure(rows[rows["key"] == key])[rows.index[rows["key"] == key][0]] == accuracy


def test_the_best_is_chosen_on_validation_images_whatever_the_index(table):
    table.index = [0] * len(table)  # as after a pd.concat
    rows = ensemble(table, "plain", 3)
    best = rows.loc[rows["arm"] == "plain, best of 3", "key"].tolist()
    groups = [table.iloc[:3], table.iloc[3:6]]
    assert best == [group.sort_values("val_accuracy")["key"].iloc[-1] for group in groups]


def test_ensemble_and_best_are_paired(table):
    rows = ensemble(table, "plain", 2)
    found = compare(rows, "plain, ensemble of 2", "plain, best of 2")
    assert (found.seeds, found.images) == (3, IMAGES)
    assert found.mean > 0  # members whose errors are independent


@pytest.mark.parametrize("size", [1, 8])
def test_too_few_runs_are_refused(table, size):
    with pytest.raises(ValueError, match="7 runs of 'plain'"):
        ensemble(table, "plain", size)


def test_an_unknown_arm_is_named(table):
    with pytest.raises(UnknownName, match="'plane'.*plain"):
        ensemble(table, "plane", 2)


def test_members_of_other_test_images_are_refused(table):
    path = records.record_path("run1") / "test.npz"
    logits, labels = records.read("run1").test_outputs()
    np.savez(path, logits=logits, labels=labels[::-1])
    with pytest.raises(ValueError, match="same test images"):
        outcome("run0+run1").test_outputs()
