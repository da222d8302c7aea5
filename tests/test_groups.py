"""Every trained parameter is in one group, with the decay of timm and the scale of its module."""

from dataclasses import replace

import pytest
import torch
from helpers import BASE, tiny_task
from timm.optim import create_optimizer_v2

from tlkit.ground.names import UnknownName
from tlkit.networks.models import build
from tlkit.networks.modules import modules
from tlkit.networks.transfer import freeze
from tlkit.recipe import l2
from tlkit.training.groups import parameter_groups
from tlkit.training.loop import execute


def of_each(groups, field):
    return {id(p): group[field] for group in groups for p in group["params"]}


@pytest.mark.parametrize("model", ["test_resnet", "test_convnext", "test_vit"])
@pytest.mark.parametrize("frozen", [0, 3])
@pytest.mark.parametrize("lr_scales", [(), ((2, 0.1), (4, 0.0))])
def test_decay_is_timms_and_no_parameter_is_in_two_groups(model, frozen, lr_scales):
    run = replace(BASE, model=model, lr_scales=lr_scales, weight_decay=0.03)
    model = build(model, 3)
    freeze(model, modules(model).first(frozen))
    groups = parameter_groups(model, modules(model), run)
    timms = create_optimizer_v2(model, opt="sgd", lr=1, weight_decay=0.03).param_groups
    assert of_each(groups, "weight_decay") == of_each(timms, "weight_decay")
    listed = [id(p) for group in groups for p in group["params"]]
    assert len(listed) == len(set(listed)) == sum(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    "lr_scales",
    [
        (),
        (("layer2", 0.1),),
        ((1, 0.0), ("layer1", 0.5), (4, 0.1)),
        (("all", 0.01),),
        ((2, 0.1), (3, 1.0), (4, 0.1)),
    ],
)
def test_a_scale_reaches_from_the_module_before_to_its_own(lr_scales):
    model = build(BASE.model, 3)
    run = replace(BASE, lr_scales=lr_scales)
    scales = of_each(parameter_groups(model, modules(model), run), "lr_scale")
    names = ["conv1", "layer1", "layer2", "layer3", "layer4", "all"]
    ends = [until if isinstance(until, int) else names.index(until) + 1 for until, _ in lr_scales]
    ends = [min(end, 5) for end in ends]  # "all" is the fifth: the head is none of them
    states = [set(names) for names in modules(model).states.values()]
    for name, parameter in model.named_parameters():
        number = next((i for i, names in enumerate(states) if name in names), 5)
        expected = [scale for end, (_, scale) in zip(ends, lr_scales) if number < end]
        assert scales[id(parameter)] == (expected + [1.0])[0], name


def test_beside_a_penalty_nothing_decays_unless_both_are_set():
    model = build(BASE.model, 3)
    for changes, decay in [
        ({}, 1e-4),
        ({"penalty": l2(0.1)}, 0.0),
        ({"penalty": l2(0.1), "weight_decay": 0.02}, 0.02),
        ({"weight_decay": 0}, 0.0),
    ]:
        groups = parameter_groups(model, modules(model), replace(BASE, **changes))
        decays = of_each(groups, "weight_decay")
        assert set(decays.values()) == {0.0, decay}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_modules_of_scale_0_do_not_move_and_others_do(optimizer):
    torch.manual_seed(0)
    start = build(BASE.model, 3).state_dict()  # with BN gains of 0, that stop gradients
    start = {name: tensor + 0.1 for name, tensor in start.items()}
    run = replace(
        BASE,
        optimizer=optimizer,
        lr=0.05,
        weight_decay=0.1,
        epochs=2,
        lr_scales=((1, 1.0), ("layer2", 0.0), ("layer3", 0.5)),
    )
    after = execute(run, tiny_task(), start).weights
    model = build(BASE.model, 3)
    numbers = modules(model).numbers()
    for name, _ in model.named_parameters():
        assert torch.equal(after[name], start[name]) == (numbers.get(name) in (1, 2)), name


@pytest.mark.parametrize("ends", [(2, 2), (3, 1), ("layer2", "layer1"), (5, "all")])
def test_modules_must_ascend(ends):
    run = replace(BASE, lr_scales=tuple((end, 0.1) for end in ends))
    model = build(BASE.model, 3)
    with pytest.raises(ValueError, match="ascend"):
        parameter_groups(model, modules(model), run)


def test_an_unknown_module_is_refused_and_near_ones_named():
    model, run = build(BASE.model, 3), replace(BASE, lr_scales=(("layr3", 0.1),))
    with pytest.raises(UnknownName, match="layer3"):
        parameter_groups(model, modules(model), run)
