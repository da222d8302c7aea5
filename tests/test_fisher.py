"""Fisher information against loops over single images, closed forms and vuong2022's description."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import BASE, ROWS, tiny_task
from safetensors.torch import save_file
from torch import nn

from tlkit.ground.names import UnknownName
from tlkit.images.tasks import Split
from tlkit.networks.models import build
from tlkit.recipe import l2_sp
from tlkit.training import fisher
from tlkit.training.feeding import feed
from tlkit.training.fisher import diagonal, information
from tlkit.training.fisher_as_coded import as_coded
from tlkit.training.loop import execute


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module", params=["test_resnet", "xception_small"])
def model(request):
    """In float64, with BN statistics of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build(request.param, 3).double().train()
    with torch.no_grad():
        for _ in range(3):
            model(3 * torch.randn(8, 3, 32, 32).double())
    return model.eval()


def images(n=5, size=32):
    return torch.randn(n, 3, size, size, generator=generator(1)).double()


def some(model):
    return [name for name, _ in model.named_parameters()][::7] + ["fc.weight", "fc.bias"]


def naive(model, images, names, weights):
    """Mean of the weighted squares of each image's and class's gradient; `weights` [n, classes]."""
    parameters = [model.get_parameter(name) for name in names]
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for image, row in zip(images, weights):
        for k, weight in enumerate(row):
            log_likelihood = model(image[None])[0].log_softmax(0)[k]
            for sum_, gradient in zip(total, torch.autograd.grad(log_likelihood, parameters)):
                sum_ += weight * gradient.square()
    return {name: sum_ / len(images) for name, sum_ in zip(names, total)}


def outputs(model, images):
    with torch.no_grad():
        return model(images).softmax(1)


LABELS = torch.tensor([2, 0, 0, 1, 2])


def expected(model, way):
    names, shares = some(model), outputs(model, images())
    if way == "sampled":
        labels = torch.multinomial(shares, 1, generator=generator(3))[:, 0]
        assert len(set(labels.tolist())) > 1
    if way != "exact":
        shares = torch.eye(3).double()[labels if way == "sampled" else LABELS]
    return naive(model, images(), names, shares)


def computed(model, way, n=5):
    labels = LABELS[:n] if way == "empirical" else None
    return diagonal(model, images(n), way, some(model), labels, generator(3))


def assert_equal(one, other, rtol=1e-8):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=rtol, atol=1e-15, msg=name)


@pytest.mark.parametrize("way", fisher.WAYS)
def test_the_diagonal_is_that_of_a_loop_over_images_and_classes(way, model):
    assert_equal(computed(model, way), expected(model, way))


@pytest.mark.parametrize("way, at_a_time", [("exact", 2), ("sampled", 2), ("empirical", 1)])
def test_how_many_images_are_taken_at_a_time_does_not_matter(way, at_a_time, model, monkeypatch):
    whole = computed(model, way)
    numbers = sum(model.get_parameter(name).numel() for name in some(model))
    monkeypatch.setattr(fisher, "MEMORY", at_a_time * numbers)
    assert_equal(computed(model, way), whole)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was_and_its_mode_does_not_matter(training, model):
    evaluated = computed(model, "exact", 2)
    other = deepcopy(model).train(training)
    other.fc.weight.grad = torch.ones_like(other.fc.weight)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    assert_equal(computed(other, "exact", 2), evaluated)
    assert all(module.training == training for module in other.modules())
    assert all(torch.equal(before[name], t) for name, t in other.state_dict().items())
    assert all(parameter.requires_grad for parameter in other.parameters())
    assert torch.equal(other.fc.weight.grad, torch.ones_like(other.fc.weight))
    assert not any(tensor.requires_grad for tensor in evaluated.values())


def linear(features=5, classes=4):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(features, classes)).double()
    return model, ["1.weight", "1.bias"]


def test_the_exact_one_of_a_linear_classifier_is_the_mean_of_x2_p_1_minus_p():
    model, names = linear()
    x = torch.randn(30, 5, generator=generator()).double() * 2
    p = outputs(model, x).numpy()
    exact = diagonal(model, x[:, :, None, None], "exact", names)
    spread = p * (1 - p)
    np.testing.assert_allclose(exact["1.weight"], spread.T @ x.numpy() ** 2 / 30, rtol=1e-12)
    np.testing.assert_allclose(exact["1.bias"], spread.mean(0), rtol=1e-12)


def test_the_sampled_one_is_the_exact_one_in_the_mean():
    """20 000 draws at each of 3 points: z scores of the means, by the binomial spread of each."""
    model, names = linear()
    x, draws = torch.randn(3, 5, generator=generator()).double(), 20000
    p = outputs(model, x)
    sampled = diagonal(
        model,
        x.repeat_interleave(draws, 0)[:, :, None, None],
        "sampled",
        names,
        generator=generator(5),
    )
    # The square is x² (1 − p)² where the class is drawn, with chance p, and x² p² elsewhere.
    variances = p * (1 - p) * (1 - 2 * p) ** 2
    variance = (variances.T @ x**4) / 9 / draws
    exact = ((p * (1 - p)).T @ x**2) / 3
    z = (sampled["1.weight"] - exact) / variance.sqrt()
    assert z.abs().max() < 4 and z.square().mean() > 0.1
    assert not torch.equal(sampled["1.weight"], exact)


def test_another_generator_draws_other_labels(model):
    one, other = (
        diagonal(model, images(), "sampled", ["fc.bias"], generator=generator(seed))["fc.bias"]
        for seed in (0, 1)
    )
    assert not torch.allclose(one, other)


def test_an_unknown_way_and_missing_labels_are_refused(model):
    with pytest.raises(UnknownName, match="empirical"):
        diagonal(model, images(), "empiric", ["fc.bias"])
    with pytest.raises(ValueError, match="labels"):
        diagonal(model, images(), "empirical", ["fc.bias"])


# As coded by vuong2022.


def naive_as_coded(start, batch):
    """A number for each tensor, in the order of named_parameters."""
    network = deepcopy(start).requires_grad_(True).train()
    network.zero_grad()
    network(batch).log_softmax(1).sum().backward()
    gradients = [parameter.grad.flatten() for _, parameter in network.named_parameters()]
    information = torch.cat(gradients) ** 2 / len(batch)
    return {name: information[t] for t, (name, _) in enumerate(network.named_parameters())}


def narrow():
    """More tensors than the first has elements, so that the others are reached too."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1), nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2)]
    return nn.Sequential(*layers, nn.Conv2d(2, 1, 1), nn.Flatten(), nn.Linear(9, 3)).double()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("start", ["narrow", "model"])
def test_as_coded_is_what_the_description_says(start, frozen, model):
    start = narrow() if start == "narrow" else deepcopy(model)
    size = 4 if isinstance(start, nn.Sequential) else 32
    next(start.parameters()).requires_grad_(not frozen)
    original = deepcopy(start)
    names = [name for name, _ in start.named_parameters()]
    for chosen in (names[::-1], names[:4]):
        coded = as_coded(start, chosen)
        for batch in (images(3, size), 2 * images(2, size)):
            values = dict(zip(chosen, coded((batch,)), strict=True))
            naive_values = naive_as_coded(original, batch)
            assert_equal(values, {name: naive_values[name] for name in chosen}, rtol=1e-6)
            assert all(value.ndim == 0 and not value.requires_grad for value in values.values())


def test_as_coded_stays_with_the_starting_network_whatever_becomes_of_the_model(model):
    model = deepcopy(model)
    coded = as_coded(model, some(model))
    before = coded((images(),))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert_equal(dict(enumerate(before)), dict(enumerate(coded((images(),)))), rtol=1e-12)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


# Of which images and which weights, in a run.


def factors(kind, names, run=BASE, weights=None, task=None):
    """The factors that a run's penalty has for the named parameters, at any step."""
    model = build(run.model, 3)
    _, train, *_ = feed(model, task or tiny_task(), run)
    function = information(run, model, weights, train, kind, names)
    return function and function(())


def test_of_the_target_it_is_sampled_from_the_sources_outputs_for_the_target_images(monkeypatch):
    run, task = replace(BASE, seed=4), tiny_task()
    torch.manual_seed(1)
    source, target = build(run.model, 9), build(run.model, 3)
    names, seen = ["conv1.0.weight", "layer4.0.conv1.weight"], []

    def spy(model, images, *others, **named):
        seen.append(images)
        return diagonal(model, images, *others, **named)

    monkeypatch.setattr(fisher, "diagonal", spy)
    scales = factors("target", names, run, source.state_dict(), task)
    expected = diagonal(source, seen[0], "sampled", names, generator=generator(4))
    assert len(seen[0]) == len(task.train)
    for name, scale in zip(names, scales, strict=True):
        assert scale.shape == target.get_parameter(name).shape
        assert torch.equal(scale, expected[name])


@pytest.mark.parametrize("weights", [None, {}, "without head"])
def test_of_the_target_it_needs_the_sources_head(weights):
    if weights == "without head":
        state = build(BASE.model, 3).state_dict()
        weights = {name: each for name, each in state.items() if not name.startswith("fc.")}
    with pytest.raises(ValueError, match=r"fc\.weight"):
        factors("target", ["conv1.0.weight"], weights=weights)


def test_of_the_source_it_is_the_shipped_one_for_the_shipped_weights_only(tmp_path, monkeypatch):
    monkeypatch.setattr(fisher, "FISHER", tmp_path / "fisher.safetensors")
    stored = {"conv1.weight": torch.rand(16, 3, 3, 3), "conv2.weight": torch.rand(16, 16, 3, 3)}
    save_file(stored, fisher.FISHER)
    run = replace(BASE, model="xception_small", init="pretrained")
    names = ["conv2.weight", "conv1.weight"]
    scales = factors("source", names, run)
    assert all(torch.equal(scale, stored[name]) for scale, name in zip(scales, names, strict=True))
    for other in ({"init": "random"}, {"init": run}, {"model": "test_resnet"}):
        with pytest.raises(FileNotFoundError, match='fisher="target"'):
            factors("source", names, replace(run, **other))


def test_without_fisher_information_there_is_no_factor():
    assert factors("", ["fc.weight"]) is None


@pytest.mark.parametrize("penalty", [l2_sp(0.1, fisher="target"), l2_sp(0.1, fisher="as coded")])
def test_a_run_with_fisher_information_differs_from_one_without(penalty):
    torch.manual_seed(7)
    start = build(BASE.model, 9).state_dict()
    one, two = (
        execute(replace(BASE, epochs=2, penalty=pulls), tiny_task(), start)
        for pulls in (penalty, l2_sp(0.1))
    )
    assert one.history[-1]["penalty"] > 0
    assert not torch.equal(one.weights["conv1.0.weight"], two.weights["conv1.0.weight"])


def test_the_target_images_are_of_all_classes(monkeypatch):
    """A split comes class by class: the first images are of the first classes only."""
    task = tiny_task(ROWS | {"train": 60})
    order = task.train.labels.argsort(stable=True)
    by_class = Split(task.train.pool, task.train.places[order.numpy()], task.train.labels[order])
    seen = []

    def spy(model, images, way, names, **others):
        seen.append(images)
        return dict.fromkeys(names, torch.tensor(1.0))

    monkeypatch.setattr(fisher, "TARGET_IMAGES", 20)
    monkeypatch.setattr(fisher, "diagonal", spy)
    weights = build(BASE.model, 3).state_dict()
    factors("target", ["fc.weight"], BASE, weights, replace(task, train=by_class))
    normalised = (by_class.images(torch.arange(60)) / 255 - 0.5) / 0.5
    rows = [
        next(i for i, one in enumerate(normalised) if torch.allclose(one, image, atol=1e-5))
        for image in seen[0]
    ]
    assert len(set(rows)) == 20 and set(by_class.labels[rows].tolist()) == {0, 1, 2}
