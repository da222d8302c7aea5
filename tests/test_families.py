"""Every family of timm: grouped in the order of the forward pass and frozen, or clearly refused."""

import re

import pytest
import timm
import torch
from timm.models import is_model, list_models, list_modules, model_entrypoint

from tlkit.networks.modules import modules
from tlkit.networks.transfer import freeze

VERSION = tuple(map(int, re.findall(r"\d+", timm.__version__)[:3]))
pytestmark = pytest.mark.skipif(VERSION < (1, 0, 26), reason="older ones need real memory")
SMALL = re.compile("pico|nano|atto|femto|tiny|xxs|_s|small|_0|18|lite")
NO_ROW = ("coat",)  # its stages share layers


def families() -> list[str]:
    """Return a small model of each family."""
    by_family = {family: list_models(module=family) for family in sorted(list_modules())}
    return [
        min(names, key=lambda name: (not SMALL.search(name), len(name)))
        for names in by_family.values()
        if names
    ]


def built(name):
    with torch.device("meta"):
        return timm.create_model(name, num_classes=3).eval()


def first_uses(model, numbers):
    """Return the modules in the order in which the forward pass enters them for the first time."""
    used, hooks = [], []
    for path, layer in model.named_modules():
        own = {numbers.get(f"{path}.{name}") for name, _ in layer.named_parameters(recurse=False)}
        for number in own - {None}:
            hooks.append(layer.register_forward_pre_hook(lambda *_, n=number: used.append(n)))
    with torch.no_grad():
        model(torch.zeros(1, *model.pretrained_cfg["input_size"], device="meta"))
    return list(dict.fromkeys(used))


def family(name):
    return model_entrypoint(name).__module__.rpartition(".")[2]


@pytest.mark.parametrize("name", families())
def test_a_family_is_a_row_of_modules_before_a_head(name):
    model = built(name)
    if family(name) in NO_ROW:
        with pytest.raises(ValueError, match=rf"{name} .*choose another"):
            modules(model)
        return
    row = modules(model)
    numbers = row.numbers()
    uses = first_uses(model, numbers)
    assert uses == sorted(uses) and len(row) > 1
    body = row.first("all")
    assert len(body) == len(set(body))
    freeze(model, body)
    trained = {name for name, each in model.named_parameters() if each.requires_grad}
    heads = model.pretrained_cfg["classifier"]
    of_heads = tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))
    assert trained == {name for name, _ in model.named_parameters() if name.startswith(of_heads)}
    assert trained


@pytest.mark.parametrize("name", ["deepseek_vit_412m_enc", "mobilenetv5_300m_enc"])
def test_a_model_without_a_classification_layer_is_refused(name):
    if not is_model(name):
        pytest.skip("not in this timm")
    with pytest.raises(ValueError, match=rf"{name} has no classification layer"):
        modules(built(name))


@pytest.mark.parametrize("name", ["cait_xxs24_224", "caformer_s18", "pit_ti_224", "csatv2"])
def test_grouping_draws_nothing_and_leaves_the_model_as_it_was(name):
    if not is_model(name):
        pytest.skip("not in this timm")
    model = built(name).train()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    modules(model)
    assert torch.equal(torch.rand(3), expected)
    assert all(each.training and not each._forward_pre_hooks for each in model.modules())
