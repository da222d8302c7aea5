"""The training loop against a naive one, and a run from recipe to test outputs."""

import copy
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from helpers import BASE, ROWS, tiny_task
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.data.mixup import mixup_target
from timm.loss import SoftTargetCrossEntropy
from torchvision.transforms import v2

from tlkit.ground.names import UnknownName
from tlkit.images.tasks import Split
from tlkit.networks import modules as grouping
from tlkit.networks.models import build
from tlkit.networks.modules import modules
from tlkit.networks.transfer import freeze, transfer
from tlkit.recipe import l2, l2_sp
from tlkit.training import feeding, loop, prefix
from tlkit.training.augmentation import augment
from tlkit.training.feeding import Feed
from tlkit.training.groups import parameter_groups
from tlkit.training.loop import accuracy, execute, fit, predict
from tlkit.training.penalties import Penalty


@pytest.fixture(scope="module")
def task():
    return tiny_task()


@pytest.fixture(scope="module")
def weights():
    """Source weights, one set per architecture, with BN statistics of their own."""
    made = {}

    def get(name):
        if name not in made:
            torch.manual_seed(77)
            model = build(name, 9).train()
            with torch.no_grad():
                for _ in range(10):
                    model(torch.randn(8, 3, 32, 32))
            made[name] = {n: t.detach() for n, t in model.state_dict().items()}
        return made[name]

    return get


def uncached(monkeypatch):
    monkeypatch.setattr(feeding.prefix, "split", lambda *_: None)


def is_cached(run, task):
    torch.manual_seed(run.seed)
    model = build(run.model, len(task.classes))
    freeze(model, modules(model).first(run.frozen), run.frozen_bn)
    _, train, *_ = feeding.feed(model, task, run)
    train(torch.arange(1))
    return train.activations is not None


def plain(split, model, kind=Feed, **options):
    """A feed of images, normalised like those that the weights were trained on."""
    statistics = [model.pretrained_cfg[name] for name in ("mean", "std")]
    return kind(split, model, statistics, **options)


def fit_all(model, train, val, run):
    return fit(model, train, val, run, parameter_groups(model, modules(model), run), Penalty([]))


def head(state):
    return torch.cat([tensor.flatten() for name, tensor in state.items() if name[:3] == "fc."])


# The loop against a naive oracle.


class Recorder(Feed):
    """A feed that notes which rows the loop requests."""

    def __call__(self, rows, change=None):
        if not hasattr(self, "requests"):
            self.requests = []
        self.requests.append(rows.tolist())
        return super().__call__(rows, change)


def naive_lr(step, steps, highest):
    warm_up = steps // 20
    if step < warm_up:
        return highest * step / warm_up
    return highest * (1 + math.cos(math.pi * step / steps)) / 2


def naive_fit(model, pool, labels, batches, run):
    """Plain torch, one image at a time, hand-written momentum; float32 like the original."""
    velocity = {}
    for step, batch in enumerate(batches):
        model.train()
        pixels = torch.stack([torch.tensor(pool[row].astype(np.float32)) for row in batch])
        mean = torch.tensor(model.pretrained_cfg["mean"]).view(3, 1, 1)
        std = torch.tensor(model.pretrained_cfg["std"]).view(3, 1, 1)
        logits = model((pixels / 255 - mean) / std)
        rows = torch.arange(len(batch))
        loss = -torch.log_softmax(logits, 1)[rows, labels[batch]].mean()
        model.zero_grad()
        loss.backward()
        lr = naive_lr(step, len(batches), run.lr)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                gradient = parameter.grad
                if parameter.ndim >= 2:
                    gradient = gradient + run.weight_decay * parameter
                velocity[name] = 0.9 * velocity.get(name, 0) + gradient
                parameter -= lr * (gradient + 0.9 * velocity[name])


@pytest.mark.parametrize("epochs, weight_decay", [(2, 0.0), (8, 0.1)])
def test_fit_gives_the_weights_of_a_naive_loop(epochs, weight_decay, task):
    run = replace(BASE, epochs=epochs, weight_decay=weight_decay, lr=0.02)
    torch.manual_seed(0)
    model = build(run.model, 3)
    naive = copy.deepcopy(model)
    train, val = (plain(split, model, Recorder) for split in (task.train, task.val))
    fit_all(model, train, val, run)
    assert sum(map(len, train.requests)) == epochs * 24
    naive_fit(naive, task.train.pool, task.train.labels, train.requests, run)
    for name, tensor in naive.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=2e-3, atol=2e-4, msg=name)


def naive_step_lr(step, steps_in_epoch, highest):
    if step < 3 * steps_in_epoch:
        return 1e-4 + step / (3 * steps_in_epoch) * (highest - 1e-4)
    return highest * 0.9 ** (step // (10 * steps_in_epoch))


def learning_rates(run, scales, task, monkeypatch):
    """Of the optimizer's groups at every step: [steps, groups]."""
    rates, create = [], loop.create_optimizer_v2

    def spy(*values, **named):
        optimizer = create(*values, **named)
        optimizer.register_step_pre_hook(
            lambda o, *_: rates.append([group["lr"] for group in o.param_groups])
        )
        return optimizer

    monkeypatch.setattr(loop, "create_optimizer_v2", spy)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 3))
    model.pretrained_cfg, model.num_classes = {"mean": (0.5,) * 3, "std": (0.5,) * 3}, 3
    groups = [{"params": [one]} | scale for one, scale in zip(model.parameters(), scales)]
    train, val = (plain(split, model) for split in (task.train, task.val))
    fit(model, train, val, run, groups, Penalty([]))
    return rates


SCALES = [{}, {"lr_scale": 0.1}]


@pytest.mark.parametrize("epochs", [1, 4, 7, 20, 50])
def test_the_learning_rate_is_a_warm_up_of_5_percent_and_a_cosine_to_0(epochs, task, monkeypatch):
    run = replace(BASE, epochs=epochs)
    rates = learning_rates(run, SCALES, task, monkeypatch)
    expected = [naive_lr(step, 3 * epochs, run.lr) for step in range(3 * epochs)]
    np.testing.assert_allclose(rates, np.outer(expected, [1, 0.1]), atol=1e-12)


@pytest.mark.parametrize("epochs", [2, 35])
def test_the_learning_rate_in_steps_falls_by_a_tenth_every_10_epochs(epochs, task, monkeypatch):
    run = replace(BASE, epochs=epochs, schedule="step")
    rates = learning_rates(run, SCALES, task, monkeypatch)
    expected = [naive_step_lr(step, 3, run.lr) for step in range(3 * epochs)]
    np.testing.assert_allclose(rates, np.outer(expected, [1, 0.1]), atol=1e-12)


@pytest.mark.parametrize("rows, batch_size, batches", [(30, 8, 3), (16, 8, 2), (5, 8, 1)])
def test_an_epoch_takes_each_image_once_in_whole_batches_in_a_new_order(rows, batch_size, batches):
    task = tiny_task(ROWS | {"train": rows})
    run = replace(BASE, batch_size=batch_size, epochs=4)
    model = build(run.model, 3)
    train, val = (plain(split, model, Recorder) for split in (task.train, task.val))
    fit_all(model, train, val, run)
    assert len(train.requests) == 4 * batches
    epochs = [
        [row for batch in train.requests[i * batches : (i + 1) * batches] for row in batch]
        for i in range(4)
    ]
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == min(rows, batches * batch_size)
    assert len(set(map(tuple, epochs))) == 4


@pytest.mark.parametrize(
    "val_every, validated", [(0, [5]), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])]
)
def test_history_has_every_epoch_and_validates_when_requested(val_every, validated, task):
    trained = execute(replace(BASE, epochs=5, val_every=val_every), task, None)
    assert [entry["epoch"] for entry in trained.history] == [1, 2, 3, 4, 5]
    entries = [e for e in trained.history if "val_accuracy" in e]
    assert [e["epoch"] for e in entries] == validated
    assert trained.val_correct.shape == (len(validated), len(task.val))
    assert trained.val_correct.double().mean(1).tolist() == [e["val_accuracy"] for e in entries]
    assert all(math.isfinite(entry["train_loss"]) for entry in trained.history)


@pytest.mark.parametrize("alpha, smoothing", [(0, 0), (0, 0.1), (0.4, 0), (0.4, 0.1)])
def test_the_first_train_loss_is_that_of_the_untrained_model(alpha, smoothing, task):
    """With lr too small to move anything, the loss is the mean cross-entropy in training mode."""
    run = replace(
        BASE, lr=1e-12, weight_decay=0.0, epochs=1, mixup=alpha, label_smoothing=smoothing
    )
    torch.manual_seed(0)
    model = build(run.model, 3)
    naive = copy.deepcopy(model).train()
    train, val = (plain(split, model, Recorder) for split in (task.train, task.val))
    (entry,), val_correct = fit_all(model, train, val, run)
    shares, losses = np.random.default_rng(run.seed), []
    for rows in list(train.requests):
        share = shares.beta(alpha, alpha) if alpha else 1
        images = train(torch.tensor(rows))[0]
        targets = mixup_target(train.labels[rows], 3, share, smoothing)
        mixed = images * share + images.flip(0) * (1 - share)
        losses.append(SoftTargetCrossEntropy()(naive(mixed), targets).item())
    assert entry["train_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert entry["val_accuracy"] == accuracy(predict(naive, val), task.val.labels)
    assert entry["val_accuracy"] == val_correct.double().mean(1).item()


def test_validating_more_often_changes_no_weight(task):
    often, once = (execute(replace(BASE, val_every=n), task, None) for n in (1, 0))
    assert all(torch.equal(often.weights[name], once.weights[name]) for name in once.weights)


# Prediction and accuracy.


def test_predict_is_in_eval_mode_and_leaves_the_model_as_it_is(task):
    model = build("test_resnet", 3).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = predict(model, plain(task.test, model))
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    model.eval()
    images = torch.from_numpy(task.test.pool[task.test.places]).float() / 255
    mean = torch.tensor(model.pretrained_cfg["mean"]).view(3, 1, 1)
    std = torch.tensor(model.pretrained_cfg["std"]).view(3, 1, 1)
    with torch.no_grad():
        singly = torch.cat([model((image[None] - mean) / std) for image in images])
    torch.testing.assert_close(logits, singly, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 3, 5, 100])
def test_predictions_do_not_depend_on_how_many_are_made_at_once(at_once, task, weights):
    model = build("xception_small", 3)
    transfer(model, weights("xception_small"), modules(model).first(14))
    some, others = (predict(model, plain(task.test, model, at_once=n)) for n in (at_once, 7))
    torch.testing.assert_close(some, others, rtol=1e-4, atol=1e-5)


def test_accuracy_is_the_share_of_right_rows():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [1.0, 3.0, 2.0], [5.0, 0.0, 4.0]])
    assert accuracy(logits, torch.tensor([0, 2, 1, 0])) == 1.0
    assert accuracy(logits, torch.tensor([1, 0, 0, 2])) == 0.0
    assert accuracy(logits, torch.tensor([0, 2, 0, 1])) == 0.5
    assert accuracy(torch.eye(3).repeat(1, 1), torch.tensor([0, 1, 0])) == 2 / 3


# A whole run.


def test_training_learns(task):
    trained = execute(replace(BASE, epochs=8), task, None)
    losses = [entry["train_loss"] for entry in trained.history]
    assert losses[-1] < 0.5 * losses[0]
    assert accuracy(trained.test_logits, trained.test_labels) > 0.8
    assert torch.equal(trained.test_labels, task.test.labels)


def test_the_returned_weights_give_the_returned_logits(task, weights):
    for frozen in ("none", "layer2"):
        trained = execute(replace(BASE, frozen=frozen), task, weights("test_resnet"))
        model = build(BASE.model, 3)
        model.load_state_dict(trained.weights)
        logits = predict(model, plain(task.test, model))
        torch.testing.assert_close(logits, trained.test_logits, rtol=1e-4, atol=1e-5)


def test_parameters_are_counted(task):
    trained = execute(replace(BASE, frozen="all", epochs=1), task, None)
    model = build(BASE.model, 3)
    assert trained.parameters == sum(p.numel() for p in model.parameters())
    assert trained.trainable == sum(p.numel() for p in model.fc.parameters())
    assert trained.seconds > 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"frozen": "layer2"},
        {"augmentation": "colour"},
        {"model": "xception_small"},
        {"optimizer": "adamw", "lr": 0.003},
        {"augmentation": "randaugment"},
        {"mixup": 0.4},
        {"penalty": l2_sp(0.1, fisher="as coded") + l2(0.01)},
    ],
)
def test_a_run_gives_the_same_bits_again(changes, task, weights):
    run = replace(BASE, **changes)
    runs = []
    for disturbed in range(2):
        torch.manual_seed(disturbed)  # what was drawn before does not matter
        runs.append(execute(run, task, weights(run.model)))
    assert torch.equal(runs[0].test_logits, runs[1].test_logits)
    assert runs[0].history == runs[1].history
    assert all(torch.equal(runs[0].weights[n], runs[1].weights[n]) for n in runs[0].weights)


def test_a_run_groups_the_modules_of_its_network_once(task, weights, monkeypatch):
    calls, group = [], grouping.group_with_matcher

    def spy(*values):
        calls.append(values)
        return group(*values)

    monkeypatch.setattr(grouping, "group_with_matcher", spy)
    penalty = l2_sp(0.1, until="layer2", fisher="target") + l2(0.01)
    run = replace(BASE, frozen="conv1", penalty=penalty, lr_scales=(("layer3", 0.1),))
    execute(run, task, weights(run.model))
    assert len(calls) == 1


def test_another_seed_gives_another_run(task, weights):
    one, other = (
        execute(replace(BASE, seed=seed), task, weights("test_resnet")) for seed in (1, 2)
    )
    assert not torch.equal(one.test_logits, other.test_logits)
    assert one.history != other.history


def test_arms_of_one_seed_start_with_one_head_and_one_order(task, weights, monkeypatch):
    arms = [
        (BASE, None),
        (BASE, weights("test_resnet")),
        (replace(BASE, lr=0.1, weight_decay=0.0), weights("test_resnet")),
        (replace(BASE, frozen="layer2"), weights("test_resnet")),
        (replace(BASE, frozen="all", frozen_bn="drift"), weights("test_resnet")),
        (replace(BASE, transferred="conv1"), weights("test_resnet")),
    ]
    heads, orders = [], []

    def spy_fit(network, train, *others):
        heads.append(head(network.state_dict()).clone())
        orders.append([])
        monkeypatch.setattr(train, "__class__", Recorder)
        train.requests = orders[-1]
        return fit(network, train, *others)

    monkeypatch.setattr(loop, "fit", spy_fit)
    for run, state in arms:
        execute(run, task, state)
    assert all(torch.equal(heads[0], other) for other in heads)
    assert len(orders[0]) == 9 and all(order == orders[0] for order in orders)


@pytest.mark.parametrize("frozen", ["none", "layer2"])
def test_another_seed_starts_with_another_head(frozen, task, monkeypatch):
    heads = []

    def spy_fit(network, *others):
        heads.append(head(network.state_dict()).clone())
        return fit(network, *others)

    monkeypatch.setattr(loop, "fit", spy_fit)
    for seed in (1, 2):
        execute(replace(BASE, epochs=1, frozen=frozen, seed=seed), task, None)
    assert not torch.equal(*heads)


# Runs beside other work in one process.


def test_runs_in_threads_are_the_runs_alone(task, weights):
    runs = [
        BASE,
        replace(BASE, seed=2, augmentation="randaugment"),
        replace(BASE, seed=3, frozen="layer2", mixup=0.4),
        replace(BASE, seed=4, model="test_convnext", optimizer="adamw", lr=0.003, frozen=2),
    ]
    jobs = [(run, task, weights(run.model)) for run in runs]
    alone = [execute(*job) for job in jobs]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda job: execute(*job), jobs))
        built = threads.submit(build, "test_resnet", 3)
        execute(*jobs[0])
        built.result()
    for one, other in zip(alone, together):
        assert torch.equal(one.test_logits, other.test_logits)
        assert one.history == other.history
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_a_run_gives_the_callers_threads_and_draws_back(task):
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    try:
        execute(replace(BASE, epochs=1), task, None)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.rand(4), expected)


# Runs that fail.


@pytest.mark.parametrize("lr", [1e30, 1e6])
def test_a_run_without_finite_numbers_has_diverged_and_is_right_nowhere(lr, task):
    trained = execute(replace(BASE, lr=lr, epochs=4, penalty=l2(0.1)), task, None)
    assert trained.diverged
    lost = ~trained.test_logits.isfinite().all(1)
    assert lost.any() and accuracy(trained.test_logits[lost], trained.test_labels[lost]) == 0
    assert not execute(replace(BASE, epochs=1), task, None).diverged


@pytest.mark.parametrize("place", ["train_loss", "penalty", "logits", "weights"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_one_number_that_is_not_finite_marks_a_run(place, number, task):
    trained = execute(replace(BASE, epochs=1), task, None)
    assert not trained.diverged
    logits, history, state = trained.test_logits.clone(), [dict(trained.history[0])], {}
    if place == "logits":
        logits[3, 1] = number
    elif place == "weights":
        state = {"fc.weight": torch.tensor([1.0, number]), "steps": torch.tensor(3)}
    else:
        history[0][place] = number
    assert replace(trained, test_logits=logits, history=history, weights=state).diverged


def test_rows_that_are_not_finite_are_wrong():
    logits = torch.tensor([[math.nan, 1.0], [math.inf, 0.0], [2.0, -math.inf], [2.0, 1.0]])
    assert accuracy(logits, torch.zeros(4, dtype=torch.long)) == 0.25


@pytest.mark.parametrize("name, near", [("adamm", "adam"), ("lookahead_sdg", "sgd")])
def test_an_unknown_optimizer_is_refused_and_near_ones_named(name, near, task):
    with pytest.raises(UnknownName, match=rf"unknown optimizer.*\b{near}\b"):
        execute(replace(BASE, optimizer=name), task, None)


@pytest.mark.parametrize("name", ["adahessian", "lookahead_adahessian"])
def test_an_optimizer_of_second_order_is_refused_with_the_reason(name, task):
    with pytest.raises(ValueError, match=rf"Run\.optimizer '{name}' needs second derivatives"):
        execute(replace(BASE, optimizer=name), task, None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="it may be usable here")
def test_an_optimizer_that_needs_more_than_is_here_is_refused_with_the_reason(task):
    with pytest.raises(ValueError, match=r"Run\.optimizer 'fusedsgd' cannot be used here"):
        execute(replace(BASE, optimizer="fusedsgd"), task, None)


@pytest.mark.parametrize("changes", [{"batch_size": 1}, {"batch_size": 8}])
def test_a_batch_of_one_image_is_refused_where_batch_norm_needs_two(changes):
    task = tiny_task(ROWS | {"train": 1 if changes["batch_size"] > 1 else 30})
    run = replace(BASE, model="xception_small", **changes)
    with pytest.raises(ValueError, match=r"batch normalisation.*Run\.batch_size"):
        execute(run, task, None)


@pytest.mark.parametrize("name", ["inception_v4", "efficientformer_l1"])
def test_a_size_that_a_model_does_not_take_is_refused_by_name(name):
    with pytest.raises(
        ValueError, match=rf"{name} does not take images of 32 .*Run\.size.* (224|299)"
    ):
        build(name, 3, 32)


def test_a_transformer_is_trained_at_another_size_with_weights_resized_by_timm(task):
    torch.manual_seed(0)
    source = build("vit_tiny_patch16_224", 9).state_dict()
    run = replace(
        BASE, model="vit_tiny_patch16_224", epochs=1, lr=1e-12, weight_decay=0.0, frozen="all"
    )
    trained = execute(run, task, source)
    moved = {
        name
        for name, each in source.items()
        if not name.startswith("head.") and not torch.equal(each, trained.weights[name])
    }
    assert moved == {"pos_embed"}
    assert trained.weights["pos_embed"].shape[1] < source["pos_embed"].shape[1]
    with pytest.raises(ValueError, match="do not fit"):
        execute(run, task, {name: each[:1] for name, each in source.items()})


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "xception_small"])
def test_a_size_that_a_model_takes_anyway_changes_no_draw(name):
    size = 160 if name == "test_vit" else 32
    torch.manual_seed(0)
    plain, after = build(name, 3).state_dict(), torch.rand(2)
    torch.manual_seed(0)
    sized = build(name, 3, size).state_dict()
    assert torch.equal(torch.rand(2), after)
    assert all(torch.equal(plain[each], sized[each]) for each in plain)


# Frozen prefixes, computed once or in every step.


CACHED = [
    ("test_resnet", "layer2", {}),
    ("test_resnet", "all", {}),
    ("xception_small", "entry", {}),
    ("xception_small", "middle", {}),
    ("test_efficientnet", 3, {}),
    ("mobilenetv3_small_050", 6, {}),
    ("test_convnext", 5, {}),
    ("test_resnet", "layer2", {"frozen_bn": "drift"}),
    ("test_resnet", "layer2", {"normalisation": "images", "lr_scales": (("layer3", 0.1),)}),
    ("test_resnet", "layer2", {"penalty": l2_sp(0.5, fisher="target") + l2(0.1)}),
]


@pytest.mark.parametrize("model, frozen, changes", CACHED)
def test_a_cached_prefix_changes_nothing(model, frozen, changes, task, weights, monkeypatch):
    run = replace(BASE, model=model, frozen=frozen, lr=0.01, epochs=2, **changes)
    assert is_cached(run, task)
    fast = execute(run, task, weights(model))
    uncached(monkeypatch)
    assert not is_cached(run, task)
    slow = execute(run, task, weights(model))
    # Not bit-identical: a convolution rounds differently for another batch size.
    torch.testing.assert_close(fast.test_logits, slow.test_logits, rtol=1e-3, atol=1e-4)
    for one, other in zip(fast.history, slow.history):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
    assert (fast.parameters, fast.trainable) == (slow.parameters, slow.trainable)


@pytest.mark.parametrize(
    "changes",
    [
        {"frozen": "none"},
        {"augmentation": "crop"},
        {"mixup": 0.4},
        {"penalty": l2_sp(0.1, fisher="as coded")},
    ],
)
def test_what_changes_from_step_to_step_is_not_cached(changes, task):
    assert not is_cached(replace(BASE, **({"frozen": "all"} | changes)), task)


def test_a_prefix_too_large_for_the_memory_is_not_cached(task, monkeypatch):
    run = replace(BASE, frozen="layer2")
    assert is_cached(run, task)
    monkeypatch.setattr(feeding, "CACHE_SHARE", 1e-12)
    assert not is_cached(run, task)


@pytest.mark.parametrize(
    "model",
    [
        "test_resnet",
        "xception_small",
        "test_efficientnet",
        "mobilenetv3_small_050",
        "test_convnext",
    ],
)
@pytest.mark.parametrize("augmentation", ["none", "crop"])
def test_a_run_moves_no_bit_of_what_is_frozen_but_every_later_module(
    model, augmentation, task, weights
):
    source = weights(model)
    run = replace(BASE, model=model, frozen=3, augmentation=augmentation, weight_decay=0.1)
    after = execute(run, task, source).weights
    row = list(modules(build(model, 3)).states.values())
    moved = {
        n
        for n in source
        if n in after and after[n].shape == source[n].shape and not torch.equal(after[n], source[n])
    }
    assert all(moved.isdisjoint(names) for names in row[:3])
    trained = {n for names in row[3:] for n in names}
    # A gain behind ConvNeXt's layer scale of 1e-6 may be too slow to move a bit of a 1.
    assert all(after[n].ndim == 1 and "norm" in n for n in trained - moved)
    assert all(not moved.isdisjoint(names) for names in row[3:])


@pytest.mark.parametrize("augmentation", ["none", "crop"])
def test_a_run_with_drifting_batch_norm_moves_its_statistics_only(augmentation, task, weights):
    source = weights("test_resnet")
    run = replace(BASE, frozen=3, frozen_bn="drift", augmentation=augmentation)
    after = execute(run, task, source).weights
    model = build(BASE.model, 3)
    buffers = {name for name, _ in model.named_buffers()}
    for name in modules(model).first(3):
        assert torch.equal(after[name], source[name]) == (name not in buffers), name


def test_training_leaves_the_source_weights_alone(task, weights):
    source = weights("test_resnet")
    before = {name: tensor.clone() for name, tensor in source.items()}
    execute(replace(BASE, frozen=2), task, source)
    assert all(torch.equal(before[name], source[name]) for name in source)


# The test images.


@pytest.mark.parametrize(
    "changes", [{}, {"frozen": "layer2"}, {"augmentation": "colour"}, {"val_every": 1}]
)
def test_test_images_are_used_once_and_after_training(changes, task, weights, monkeypatch):
    events, images = [], Split.images

    def spy_images(self, rows):
        if self is task.test:
            events.extend(rows.tolist())
        return images(self, rows)

    def spy_fit(*values):
        fitted = fit(*values)
        events.append("trained")
        return fitted

    monkeypatch.setattr(Split, "images", spy_images)
    monkeypatch.setattr(loop, "fit", spy_fit)
    execute(replace(BASE, **changes), task, weights("test_resnet"))
    assert events == ["trained", *range(len(task.test))]


@pytest.mark.parametrize("frozen", ["none", "layer2"])
def test_the_test_images_decide_nothing(frozen, task, weights):
    pool = task.test.pool.copy()
    pool[task.test.places] = 255 - pool[task.test.places]
    other = replace(task, test=Split(pool, task.test.places, 0 * task.test.labels))
    run = replace(BASE, frozen=frozen)
    one, two = (execute(run, t, weights("test_resnet")) for t in (task, other))
    assert one.history == two.history
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)
    assert not torch.equal(one.test_logits, two.test_logits)


# Feeding.


def test_a_feed_gives_the_requested_rows_in_their_order(task):
    model = build("test_resnet", 3)
    freeze(model, modules(model).first(2))
    _, train, *_ = feeding.feed(model, task, BASE)
    images = plain(task.train, model)
    model.eval()
    frozen, _ = prefix.split(model, images(torch.arange(1))[0])
    rows = torch.tensor([7, 2, 29, 2])
    with torch.no_grad():
        expected = frozen(*images(rows))
    for activation, other in zip(train(rows), expected, strict=True):
        torch.testing.assert_close(activation, other, rtol=1e-4, atol=1e-5)
    assert torch.equal(train.labels[rows], task.train.labels[rows])
    assert len(train) == len(task.train)


def test_an_augmented_feed_differs_each_time_and_validation_never(task):
    model = build("test_resnet", 3)
    feed = plain(task.train, model)
    crop = partial(augment, kind="crop", generator=torch.Generator().manual_seed(0))
    rows = torch.arange(4)
    first, second = (feed(rows, crop)[0] for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(feed(rows)[0], feed(rows)[0])


NORMALISATIONS = {
    "weights": (IMAGENET_DEFAULT_MEAN, (0.1, 0.2, 0.3)),  # set by the test
    "half": ((0.5,) * 3, (0.5,) * 3),
    "imagenet": (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
}


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_all_splits_are_normalised_alike(kind, task):
    model = build(BASE.model, 3)
    model.pretrained_cfg |= dict(zip(("mean", "std"), NORMALISATIONS["weights"]))
    _, *feeds = feeding.feed(model, task, replace(BASE, normalisation=kind))
    normalised = v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize(*NORMALISATIONS[kind])]
    )
    for each, split in zip(feeds, (task.train, task.val, task.test), strict=True):
        rows = torch.arange(len(split))
        torch.testing.assert_close(each(rows)[0], normalised(split.images(rows)))


def test_normalised_by_the_training_images_alone_they_have_mean_0_and_variance_1(task):
    model = build(BASE.model, 3)
    _, *feeds = feeding.feed(model, task, replace(BASE, normalisation="images"))
    pixels = task.train.pool[task.train.places].astype(np.float64) / 255
    mean, std = (function(pixels, (0, 2, 3), keepdims=True)[0] for function in (np.mean, np.std))
    for each, split in zip(feeds, (task.train, task.val, task.test), strict=True):
        expected = (split.pool[split.places] / 255 - mean) / std
        result = each(torch.arange(len(split)))[0]
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
