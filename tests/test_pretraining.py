"""The shipped weights are those of their card, and the command that makes them works."""

import json
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from tlkit import drawing
from tlkit.experiments import pretraining
from tlkit.experiments.pretraining import RECIPE
from tlkit.images import pools
from tlkit.images.tasks import parse
from tlkit.networks.models import with_source_head
from tlkit.networks.small_xception import FISHER, SMALLER, WEIGHTS
from tlkit.recipe import Run
from tlkit.training.augmentation import normalise
from tlkit.training.fisher import diagonal

CARD = json.loads(WEIGHTS.with_suffix(".json").read_text())
SHIPPED = {
    "xception_small" if name == "full" else f"xception_small.drawn_{name}": source
    for name, source in pretraining.sources().items()
}


@pytest.mark.parametrize("recipe, weights", SHIPPED.values(), ids=SHIPPED)
def test_a_card_describes_its_weights_and_their_recipe(recipe, weights):
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["sha256"] == sha256(weights.read_bytes()).hexdigest()
    assert Run(**card["recipe"]) == recipe  # fields that came later have their defaults
    assert len(card["history"]) == recipe.epochs
    assert weights.stat().st_size < 4e6


@pytest.mark.parametrize("name, weights", [(name, each[1]) for name, each in SHIPPED.items()])
def test_timm_loads_the_shipped_weights(name, weights):
    model = timm.create_model(name, pretrained=True)
    stored = load_file(weights)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in model.state_dict().items())


def test_the_smaller_sources_take_as_many_steps_as_each_other():
    recipes = [
        (classes * images, pretraining.smaller(classes, images).epochs)
        for classes, images in SMALLER
    ]
    steps = [images // RECIPE.batch_size * epochs for images, epochs in recipes]
    assert max(steps) / min(steps) < 1.01


def test_each_source_has_its_classes_and_images():
    for name, (recipe, _) in pretraining.sources().items():
        classes, images = (200, None) if name == "full" else map(int, name.split("x"))
        _, names = parse(recipe.task)
        assert len(names or drawing.WORLDS["drawn_source"]) == classes
        assert recipe.train_per_class == images


def test_pretraining_writes_weights_and_a_card_of_them(monkeypatch, tmp_path):
    weights = tmp_path / "weights" / "small.safetensors"
    few = replace(RECIPE, size=32, val_per_class=1, epochs=1, val_every=0)
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path))
    monkeypatch.setattr(pretraining, "WEIGHTS", weights)
    monkeypatch.setattr(pretraining, "FISHER", weights.with_name("fisher.safetensors"))
    # One class for each image instead of all 200, which take minutes.
    monkeypatch.setattr(
        pretraining,
        "diagonal",
        lambda model, images, way, names: diagonal(model, images, "sampled", names),
    )
    monkeypatch.setattr(pretraining, "RECIPE", few)
    monkeypatch.setattr(pretraining, "sources", lambda: {"full": (few, weights)})
    monkeypatch.setitem(pools.DRAWN_PER_CLASS, "drawn_source", {"train": 3, "test": 1})
    (record,) = pretraining.pretrain()
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["sha256"] == sha256(weights.read_bytes()).hexdigest()
    assert card.keys() == CARD.keys()
    assert card["test_accuracy"] == round(record.accuracy, 4)
    assert load_file(weights)["fc.weight"].shape[0] == 200
    written = load_file(weights.with_name("fisher.safetensors"))
    assert written.keys() == load_file(FISHER).keys()


def test_the_fisher_information_is_that_of_the_shipped_weights():
    """Exact on a few pictures of the source, sampled on others: the modules agree in size."""
    assert CARD["fisher_sha256"] == sha256(FISHER.read_bytes()).hexdigest()
    exact, model = load_file(FISHER), with_source_head("xception_small", load_file(WEIGHTS))
    assert all(exact[n].shape == p.shape for n, p in model.named_parameters() if n[:3] != "fc.")
    pictures = np.concatenate([drawing.draw("drawn_source", k, [9], 48) for k in range(200)])
    images = normalise(torch.from_numpy(pictures), torch.full((3,), 0.5), torch.full((3,), 0.5))
    generator = torch.Generator().manual_seed(0)
    sampled = diagonal(model, images, "sampled", list(exact), generator=generator)
    totals = np.array([[each[name].sum() for name in exact] for each in (exact, sampled)])
    assert np.corrcoef(np.log(totals))[0, 1] > 0.95
    assert 0.5 < totals[0].sum() / totals[1].sum() < 2
