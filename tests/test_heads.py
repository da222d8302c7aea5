"""A head keeps the logits of the source, and its control differs in that layer alone."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tlkit import Head, Run, execute, load, modules
from tlkit.ground.names import UnknownName
from tlkit.networks.heads import grow
from tlkit.networks.models import build, read_weights, with_source_head
from tlkit.networks.transfer import freeze, transfer

WEIGHTS = read_weights("pretrained", "xception_small")
IMAGES = torch.randn(5, 3, 48, 48, generator=torch.Generator().manual_seed(3))
SHORT = Run(task="drawn_kin", size=32, train_per_class=2, val_per_class=1, epochs=1, batch_size=8)


def grown(head: Head, classes: int = 7) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build("xception_small", classes)
    transfer(model, WEIGHTS, modules(model).first("all"))
    freeze(model, [])
    grow(model, head, WEIGHTS)
    return model.eval()


def by_hand(model: torch.nn.Module, head: Head) -> torch.Tensor:
    """The head written out on the source model's own logits."""
    rows = with_source_head("xception_small", WEIGHTS).eval()(IMAGES)
    if head.norm == "batchnorm":  # as it starts: running mean 0, variance 1
        rows = rows / (1 + 1e-5) ** 0.5
    if head.norm == "l2":
        rows = head.scale * rows / rows.square().sum(1, keepdim=True).sqrt()
    layers = [each for each in model.fc[1:] if isinstance(each, torch.nn.Linear)]
    for layer in layers[:-1]:
        rows = (rows @ layer.weight.T + layer.bias).clamp(min=0)
    return rows @ layers[-1].weight.T + layers[-1].bias


@pytest.mark.parametrize("norm", ["none", "batchnorm", "l2"])
@pytest.mark.parametrize("new_layers", [1, 2, 3])
def test_the_outputs_are_those_of_the_head_by_hand(norm, new_layers):
    head = Head(norm=norm, new_layers=new_layers, scale=20)
    model = grown(head)
    assert torch.allclose(model(IMAGES), by_hand(model, head), rtol=1e-4, atol=1e-4)
    assert model(IMAGES).shape == (5, 7)
    assert sum(isinstance(each, torch.nn.Linear) for each in model.fc) == 1 + new_layers


def test_the_control_differs_in_the_source_layer_alone():
    source, random = (
        grown(Head(layer=layer, norm="l2")).state_dict() for layer in ("source", "random")
    )
    assert source.keys() == random.keys()
    different = {name for name in source if not torch.equal(source[name], random[name])}
    assert different == {"fc.0.weight", "fc.0.bias"}
    assert all(source[name].shape == random[name].shape for name in source)
    assert torch.equal(source["fc.0.weight"], WEIGHTS["fc.weight"])


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("frozen", ["middle", "all"])
def test_the_source_layer_learns_only_where_it_is_to(trained, frozen):
    run = replace(SHORT, head=Head(trained=trained, norm="batchnorm"), frozen=frozen)
    weights = execute(run, load(run), WEIGHTS).weights
    assert torch.equal(weights["fc.0.weight"], WEIGHTS["fc.weight"]) != trained
    assert not torch.equal(weights["fc.2.weight"], grown(run.head, 12).state_dict()["fc.2.weight"])
    same = torch.equal(weights["conv4.pointwise.weight"], WEIGHTS["conv4.pointwise.weight"])
    assert same == (frozen == "all")


def test_a_frozen_body_gives_the_same_numbers_with_and_without_its_cache(monkeypatch):
    run = replace(SHORT, head=Head(norm="l2", trained=False), frozen="all")
    cached = execute(run, load(run), WEIGHTS).weights
    monkeypatch.setattr("tlkit.training.feeding.CACHE_SHARE", 0)
    whole = execute(run, load(run), WEIGHTS).weights
    assert all(torch.equal(tensor, whole[name]) for name, tensor in cached.items())


def test_scaled_norm_is_that_of_the_paper():
    rows = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    norm = grown(Head(norm="l2", scale=10)).fc[1]
    norm.scale = torch.nn.Parameter(torch.tensor([10.0, 20.0]))
    assert torch.allclose(norm(rows), torch.tensor([[6.0, 16.0], [0.0, 20.0]]))
    assert torch.equal(F.normalize(torch.zeros(1, 2)), torch.zeros(1, 2))  # no division by zero


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(ValueError, match="no classification layer fc"):
        grow(build("xception_small", 3), Head(), None)
    without = {name: each for name, each in WEIGHTS.items() if not name.startswith("fc.")}
    with pytest.raises(ValueError, match="no classification layer fc"):
        grow(build("xception_small", 3), Head(), without)
    with pytest.raises(ValueError, match="not one linear layer"):
        grow(build("test_vit", 0), Head(), WEIGHTS)


def test_mistyped_heads_are_refused():
    with pytest.raises(UnknownName, match="batchnorm"):
        Head(norm="batch_norm")
    with pytest.raises(UnknownName, match="random"):
        Head(layer="randon")
    with pytest.raises(ValueError, match="new_layers"):
        Head(new_layers=0)
    with pytest.raises(ValueError, match=r"Run\.head"):
        Run(head="source")
    assert Run(head=Head(scale=10)) == Run(head=Head(scale=10.0))
