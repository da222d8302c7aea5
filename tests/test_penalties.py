"""Penalties against autograd on the written-out formula, and what they do to a run."""

from dataclasses import replace

import pytest
import torch
from helpers import BASE, tiny_task
from torch import nn

from tlkit.ground.names import UnknownName
from tlkit.networks.models import build
from tlkit.networks.modules import modules
from tlkit.networks.transfer import freeze
from tlkit.recipe import l2, l2_sp
from tlkit.training import fisher, loop
from tlkit.training.loop import execute
from tlkit.training.penalties import attach

# Pulls, transferred modules, frozen ones, and what is pulled: modules, strength, to the start.
HEAD = 5
CASES = [
    (l2(0.3), 0, 0, [(range(6), 0.3, False)]),
    (l2(0.3, until="layer1"), 0, 0, [(range(2), 0.3, False)]),
    (l2_sp(0.1) + l2(0.01), 5, 0, [(range(5), 0.1, True), ([HEAD], 0.01, False)]),
    (l2_sp(0.1) + l2(0.01), 3, 0, [(range(3), 0.1, True), ((3, 4, HEAD), 0.01, False)]),
    (l2_sp(0.1) + l2(0.01), 5, 2, [((2, 3, 4), 0.1, True), ([HEAD], 0.01, False)]),
    (l2_sp(0.02, until=2) + l2(5), 5, 1, [([1], 0.02, True), ((2, 3, 4, HEAD), 5, False)]),
    (l2(0.2, until=1) + l2_sp(0.7, until=4), 5, 0, [([0], 0.2, False), ((1, 2, 3), 0.7, True)]),
    (
        l2_sp(0.1, until="layer2") + l2_sp(0.2) + l2(0.3, until="all"),
        4,
        0,
        [(range(3), 0.1, True), ([3], 0.2, True), ([4], 0.3, False)],
    ),
]


def source(classes=3):
    torch.manual_seed(7)
    return build(BASE.model, classes).state_dict()


def pulled(model, chosen, parameters):
    """Names of the trained parameters of these modules, by the type of their layers."""
    numbers = {
        name: number
        for number, names in enumerate(modules(model).states.values())
        for name in names
    }
    names = []
    for path, layer in model.named_modules():
        for own, parameter in layer.named_parameters(recurse=False):
            name = f"{path}.{own}".strip(".")
            weight = isinstance(layer, (nn.Conv2d, nn.Linear)) and own == "weight"
            if numbers.get(name, HEAD) in chosen and parameter.requires_grad:
                names += [name] if weight or parameters == "all" else []
    return names


def moved(model):
    """Give every trained parameter another value, and a gradient."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
                parameter.grad = torch.randn_like(parameter)


@pytest.mark.parametrize("pulls, transferred, frozen, shares", CASES)
@pytest.mark.parametrize(
    "parameters, scale", [("weights", "1"), ("all", "elementwise"), ("weights", "of every step")]
)
def test_value_and_gradient_are_those_of_the_formula(
    pulls, transferred, frozen, shares, parameters, scale
):
    torch.manual_seed(0)
    model = build("test_resnet", 3).double()
    freeze(model, modules(model).first(frozen))
    start = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    factors = {name: torch.rand_like(tensor) for name, tensor in start.items()}
    batch = (torch.randn(2),)
    if scale == "of every step":  # one number for each tensor, from the inputs
        factors = {name: each.mean() * batch[0].sum() for name, each in factors.items()}

    def factors_of(kind, names):
        if scale == "1":
            return None
        if scale == "elementwise":
            return lambda inputs: [factors[name] for name in names]
        means = [factors[name] / batch[0].sum() for name in names]
        return lambda inputs: [mean * inputs[0].sum() for mean in means]

    pulls = tuple(replace(pull, parameters=parameters) for pull in pulls)
    penalty = attach(model, modules(model), pulls, transferred, factors_of)
    moved(model)
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    penalty.add_gradients(batch)

    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    formula = sum(
        strength
        / 2
        * (
            (1 if scale == "1" else factors[name]) * (trained[name] - to_start * start[name]) ** 2
        ).sum()
        for chosen, strength, to_start in shares
        for name in pulled(model, chosen, parameters)
    )
    expected = torch.autograd.grad(formula, trained.values(), allow_unused=True)
    for (name, parameter), gradient in zip(trained.items(), expected, strict=True):
        added = 0 if gradient is None else gradient
        torch.testing.assert_close(
            parameter.grad, gradients[name] + added, rtol=1e-13, atol=1e-13, msg=name
        )
        assert gradient is not None or torch.equal(parameter.grad, gradients[name])
    assert penalty.value() == pytest.approx(formula.item(), rel=1e-12)
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)


def test_the_start_is_that_of_attaching_and_at_it_nothing_is_pulled():
    model = build("test_resnet", 3)
    penalty = attach(model, modules(model), l2_sp(3.0, parameters="all"), 5, lambda *_: None)
    assert penalty.value() == 0
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    penalty.add_gradients(())
    assert not any(parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("model", ["test_resnet", "xception_small", "test_convnext", "test_vit"])
def test_weights_are_those_of_convolutions_and_linear_layers(model):
    model, named = build(model, 3), []
    attach(model, modules(model), l2(0.1), 0, lambda kind, names: named.extend(names))
    numbers = range(len(modules(model).states) + 1)
    assert sorted(named) == sorted(pulled(model, numbers, "weights"))


@pytest.mark.parametrize(
    "pulls, transferred",
    [
        (l2(0.1) + l2(0.1), 5),
        (l2_sp(0.1) + l2(0.1, until=5), 5),
        (l2(0.1, until=0), 5),
        (l2(0.1, until="layer3") + l2_sp(0.1, until="layer2"), 5),
        (l2_sp(0.1, until="layer3"), 3),
        (l2_sp(0.1, until="head"), 5),
        (l2_sp(0.1), 0),
        (l2(0.1, until="transferred"), 0),
    ],
)
def test_pulls_that_overlap_or_go_to_a_random_start_are_refused(pulls, transferred):
    model = build("test_resnet", 3)
    with pytest.raises(ValueError, match="Pull"):
        attach(model, modules(model), pulls, transferred, lambda *_: None)


def test_no_start_to_be_pulled_to_is_refused_before_training():
    for changes, weights in [({}, None), ({"transferred": "none"}, {})]:
        with pytest.raises(ValueError, match="Pull"):
            execute(replace(BASE, penalty=l2_sp(0.1), **changes), tiny_task(), weights)


@pytest.mark.parametrize(
    "make, right",
    [
        (lambda: l2(0.1, parameters="weight"), "weights"),
        (lambda: l2_sp(0.1, parameters="al"), "all"),
        (lambda: l2_sp(0.1, fisher="sources"), "source"),
        (lambda: l2_sp(0.1, fisher="as_coded"), "as coded"),
        (
            lambda: execute(replace(BASE, penalty=l2(0.1, until="layr3")), tiny_task(), None),
            "layer3",
        ),
    ],
)
def test_unknown_names_are_refused_and_near_ones_named(make, right):
    with pytest.raises(UnknownName, match=f"nearest valid: .*{right}"):
        make()


@pytest.mark.parametrize("strength", [-1e-9, float("nan")])
@pytest.mark.parametrize("make", [l2, l2_sp])
def test_a_strength_is_not_negative(strength, make):
    with pytest.raises(ValueError, match="strength"):
        make(strength)


# In a run.


@pytest.mark.parametrize("frozen", [0, 2])
def test_l2_trains_as_coupled_weight_decay_does(frozen):
    run = replace(BASE, frozen=frozen, epochs=1, lr=0.02, weight_decay=0)
    start = source()
    by_penalty, by_decay, without = (
        execute(replace(run, **changes), tiny_task(), start).weights
        for changes in ({"penalty": l2(1.0)}, {"weight_decay": 1.0}, {})
    )
    for name, tensor in by_decay.items():
        torch.testing.assert_close(by_penalty[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    assert not torch.allclose(by_decay["fc.weight"], without["fc.weight"], rtol=0.01)


@pytest.mark.parametrize(
    "pulls, frozen",
    [
        (l2_sp(0.1) + l2(0.01), 5),
        (l2(0.1, until=2) + l2(0.01), 2),
        (l2_sp(0.1, fisher="as coded") + l2(0.01), 5),
    ],
)
def test_a_penalty_on_nothing_but_frozen_modules_is_none(pulls, frozen):
    run = replace(BASE, epochs=1, frozen=frozen, penalty=pulls)
    start = source()
    decayed = replace(run, penalty=(), weight_decay=0.01)
    one, two = (execute(each, tiny_task(), start).weights for each in (run, decayed))
    for name, tensor in two.items():
        torch.testing.assert_close(one[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def distance(after, start, names):
    return sum((after[name] - start[name]).square().sum().item() for name in names) ** 0.5


@pytest.mark.parametrize("parameters", ["weights", "all"])
def test_a_strong_pull_to_the_start_keeps_what_is_old_and_lets_new_weights_learn(parameters):
    task = tiny_task()
    start = source(9)
    run = replace(BASE, lr=0.01, weight_decay=0)
    strong = replace(run, penalty=l2_sp(50.0, parameters=parameters))
    held, free = (execute(each, task, start) for each in (strong, run))
    model = build(BASE.model, 3)
    old = list(pulled(model, range(5), parameters))
    assert distance(held.weights, start, old) < 0.2 * distance(free.weights, start, old)
    torch.manual_seed(run.seed)
    new = build(BASE.model, 3).state_dict()
    head = ["fc.weight", "fc.bias"]
    assert distance(held.weights, new, head) > 0.5 * distance(free.weights, new, head)
    final = 50 / 2 * distance(held.weights, start, old) ** 2
    assert held.history[-1]["penalty"] == pytest.approx(final, rel=1e-3)
    assert all("penalty" in epoch for epoch in held.history)
    assert not any("penalty" in epoch for epoch in free.history)


def test_the_last_penalty_of_the_history_is_that_of_the_final_weights():
    start = source()
    trained = execute(replace(BASE, penalty=l2_sp(0.1, until=3) + l2(0.02)), tiny_task(), start)
    model, weights = build(BASE.model, 3), trained.weights
    old, new = (list(pulled(model, chosen, "weights")) for chosen in ([0, 1, 2], [3, 4, 5]))
    zero = dict.fromkeys(new, torch.tensor(0.0))
    expected = 0.05 * distance(weights, start, old) ** 2 + 0.01 * distance(weights, zero, new) ** 2
    assert trained.history[-1]["penalty"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "penalty, requested, decay",
    [((), None, 1e-4), (l2(0.1), None, 0.0), (l2(0.1), 0.02, 0.02), ((), 0.02, 0.02)],
)
def test_the_optimizer_decays_nothing_beside_a_penalty_unless_requested(
    penalty, requested, decay, monkeypatch
):
    optimizers, create = [], loop.create_optimizer_v2

    def spy(*values, **named):
        optimizers.append(create(*values, **named))
        return optimizers[-1]

    monkeypatch.setattr(loop, "create_optimizer_v2", spy)
    for optimizer in ("sgd", "adamw"):  # AdamW has a decay of its own by default
        run = replace(BASE, epochs=1, penalty=penalty, weight_decay=requested, optimizer=optimizer)
        execute(run, tiny_task(), None)
    for optimizer in optimizers:
        assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, decay}


def test_as_coded_is_fed_the_very_batch_of_the_step(monkeypatch):
    """Augmented, normalised and mixed as it is."""
    used, fed = [], []
    as_coded, fit = fisher.as_coded, loop.fit

    def spy_as_coded(model, names):
        factors = as_coded(model, names)

        def spy_factors(inputs):
            used.append(inputs[0].clone())
            return factors(inputs)

        return spy_factors

    def spy_fit(network, *others):
        network.register_forward_pre_hook(
            lambda model, inputs: fed.append(inputs[0].clone()) if model.training else None
        )
        return fit(network, *others)

    monkeypatch.setattr(fisher, "as_coded", spy_as_coded)
    monkeypatch.setattr(loop, "fit", spy_fit)
    run = replace(
        BASE,
        epochs=2,
        frozen=1,
        augmentation="crop",
        mixup=0.4,
        penalty=l2_sp(0.1, fisher="as coded"),
    )
    execute(run, tiny_task(), source())
    assert len(used) == 6 and all(torch.equal(*each) for each in zip(used, fed, strict=True))
