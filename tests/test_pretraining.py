"""The shipped weights are those of their card, and the command that makes them works."""

import json
from dataclasses import replace
from hashlib import sha256

import timm
import torch
from safetensors.torch import load_file

from tlkit import pools, pretraining
from tlkit.pretraining import RECIPE
from tlkit.runs import Run
from tlkit.xception import WEIGHTS

CARD = json.loads(WEIGHTS.with_suffix(".json").read_text())


def test_the_card_is_that_of_the_weights_and_of_the_recipe():
    assert CARD["sha256"] == sha256(WEIGHTS.read_bytes()).hexdigest()
    assert Run(**CARD["recipe"]) == RECIPE  # fields that came later have their defaults
    assert len(CARD["history"]) == RECIPE.epochs
    assert WEIGHTS.stat().st_size < 4e6


def test_timm_loads_the_shipped_weights():
    model = timm.create_model("xception_small", pretrained=True)
    stored = load_file(WEIGHTS)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in model.state_dict().items())


def test_pretraining_writes_weights_and_a_card_of_them(monkeypatch, tmp_path):
    weights = tmp_path / "weights" / "small.safetensors"
    few = replace(RECIPE, size=32, val_per_class=1, epochs=1, val_every=0)
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path))
    monkeypatch.setattr(pretraining, "WEIGHTS", weights)
    monkeypatch.setattr(pretraining, "RECIPE", few)
    monkeypatch.setitem(pools.DRAWN_PER_CLASS, "drawn_source", {"train": 3, "test": 1})
    record = pretraining.pretrain()
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["sha256"] == sha256(weights.read_bytes()).hexdigest()
    assert card.keys() == CARD.keys()
    assert card["test_accuracy"] == round(record.accuracy, 4)
    assert load_file(weights)["fc.weight"].shape[0] == 200
