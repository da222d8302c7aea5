"""Train one run, from its recipe to the test outputs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from math import isfinite

import numpy as np
import torch
import torch.nn.functional as F
from timm.optim import create_optimizer_v2, get_optimizer_info, list_optimizers
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from tlkit.ground.alone import alone
from tlkit.ground.names import check_name
from tlkit.ground.progress import progress
from tlkit.images.tasks import Task
from tlkit.networks.heads import grow
from tlkit.networks.models import build, resized
from tlkit.networks.modules import modules
from tlkit.networks.transfer import freeze, transfer
from tlkit.recipe import Run
from tlkit.training.augmentation import augment, mixup
from tlkit.training.feeding import Feed, feed
from tlkit.training.fisher import information
from tlkit.training.groups import parameter_groups
from tlkit.training.penalties import Penalty, attach

FUSED = ("sgd", "adam", "adamw")  # optimizers that update all tensors in one call


@dataclass(frozen=True)
class Trained:
    """What a run leaves behind."""

    history: list[dict]  # per epoch: epoch, train_loss (without the penalty), penalty, val_accuracy
    val_correct: Tensor  # bool [validations, n]
    test_logits: Tensor  # float32 [n, classes]
    test_labels: Tensor  # int64 [n]
    weights: dict[str, Tensor]
    parameters: int
    trainable: int
    seconds: float  # of training and validation, including the activations of a frozen prefix

    @cached_property
    def diverged(self) -> bool:
        """Return whether a loss, a penalty, a test logit or a weight is not finite."""
        numbers = (number for entry in self.history for number in entry.values())
        tensors = (self.test_logits, *self.weights.values())
        return not (all(map(isfinite, numbers)) and all(t.isfinite().all() for t in tensors))


def execute(run: Run, task: Task, weights: Mapping[str, Tensor] | None) -> Trained:
    """Build the model of `run`, train it on `task`, and use the test images once, at the end.

    `weights` are the state tensors that `run.init` means, or None for random ones. On a CPU it
    takes one thread, and runs in threads of one process take turns (see `alone`): train in
    parallel processes. Raises `UnknownName` for an optimizer that timm does not have, ValueError
    for one that cannot be used here, for a size that the model does not take, and for a batch
    that is too small for batch normalisation.
    """
    check_optimizer(run.optimizer)
    with alone():
        return _execute(run, task, weights)


def check_optimizer(name: str) -> None:
    """Raise `UnknownName` for an optimizer that timm lacks, ValueError for one of no use here."""
    plain = name.lower().removeprefix("lookahead_")
    check_name("optimizer", plain, list_optimizers())
    if get_optimizer_info(plain).second_order:
        raise ValueError(
            f"Run.optimizer {name!r} needs second derivatives, which a run does not compute; "
            "choose another, such as 'adamw'"
        )


def _execute(run: Run, task: Task, weights: Mapping[str, Tensor] | None) -> Trained:
    torch.set_flush_denormal(True)  # denormal momentum slows a CPU down twentyfold
    torch.manual_seed(run.seed)
    model = build(run.model, len(task.classes), run.size)
    row = modules(model)
    transferred = 0 if weights is None else row.count(run.transferred)
    if weights is not None:
        transfer(model, resized(weights, model, run.model, run.size), row.first(transferred))
    freeze(model, row.first(run.frozen), run.frozen_bn)
    if run.head is not None:
        grow(model, run.head, weights)
    model.to("cuda" if torch.cuda.is_available() else "cpu", memory_format=torch.channels_last)

    start = time.perf_counter()
    network, train, val, test = feed(model, task, run)
    fisher = partial(information, run, model, weights, train)
    penalty = attach(model, row, run.penalty, transferred, fisher)
    groups = parameter_groups(model, row, run)
    try:
        history, val_correct = fit(network, train, val, run, groups, penalty)
    except ValueError as problem:
        if "more than 1 value per channel" not in str(problem):
            raise
        raise ValueError(
            f"batch normalisation of {run.model} needs 2 or more images in a batch; Run.batch_size "
            f"is {run.batch_size}, and there are {len(train)} training images"
        ) from problem
    seconds = time.perf_counter() - start
    parameters = list(model.parameters())
    return Trained(
        history,
        val_correct,
        test_logits=predict(network, test).cpu(),
        test_labels=task.test.labels,
        weights={name: each.cpu().contiguous() for name, each in model.state_dict().items()},
        parameters=sum(each.numel() for each in parameters),
        trainable=sum(each.numel() for each in parameters if each.requires_grad),
        seconds=seconds,
    )


def fit(
    network: nn.Module, train: Feed, val: Feed, run: Run, groups: list[dict], penalty: Penalty
) -> tuple[list[dict], Tensor]:
    """Train `network` in place. The last incomplete batch of an epoch is left out.

    Return the history, and which validation images are correct: bool [validations, n].
    """
    generator = Generator().manual_seed(run.seed)
    change = partial(augment, kind=run.augmentation, generator=generator)
    shares = np.random.default_rng(run.seed)
    steps = max(1, len(train) // run.batch_size)
    fused = {"fused": True} if run.optimizer in FUSED else {}
    try:
        optimizer = create_optimizer_v2(groups, opt=run.optimizer, lr=run.lr, momentum=0.9, **fused)
    except (AssertionError, ImportError) as problem:
        raise ValueError(
            f"Run.optimizer {run.optimizer!r} cannot be used here: {problem}"
        ) from problem
    schedule = _schedule(optimizer, run, steps)
    history, val_correct = [], []
    for epoch in progress(range(run.epochs), "epochs"):
        network.train()
        total_loss = 0.0
        order = torch.randperm(len(train), generator=generator)
        for step, rows in enumerate(order.split(run.batch_size)[:steps]):
            schedule.step_update(epoch * steps + step)
            inputs, targets = train(rows, change), train.labels[rows]
            if run.mixup:
                share = shares.beta(run.mixup, run.mixup)
                inputs, targets = mixup(inputs, F.one_hot(targets, train.classes).float(), share)
            loss = F.cross_entropy(network(*inputs), targets, label_smoothing=run.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            penalty.add_gradients(inputs)
            optimizer.step()
            total_loss += loss.detach()
        history.append({"epoch": epoch + 1, "train_loss": float(total_loss) / steps})
        if run.penalty:
            history[-1]["penalty"] = penalty.value()
        last = epoch + 1 == run.epochs
        if last or (run.val_every and (epoch + 1) % run.val_every == 0):
            logits = predict(network, val)
            history[-1]["val_accuracy"] = accuracy(logits, val.labels)
            val_correct.append(_correct(logits, val.labels).cpu())
    return history, torch.stack(val_correct)


def _schedule(optimizer: Optimizer, run: Run, steps: int) -> CosineLRScheduler | StepLRScheduler:
    """Return the schedule of the learning rate, with so many `steps` in an epoch."""
    if run.schedule == "step":
        warm_up = {"warmup_t": 3 * steps, "warmup_lr_init": 1e-4, "warmup_prefix": False}
        return StepLRScheduler(optimizer, 10 * steps, 0.9, t_in_epochs=False, **warm_up)
    total = run.epochs * steps
    return CosineLRScheduler(optimizer, total, warmup_t=total // 20, t_in_epochs=False)


@torch.inference_mode()
def predict(network: nn.Module, inputs: Feed) -> Tensor:
    """Return the logits [n, classes] of every row, in eval mode."""
    network.eval()
    rows = torch.arange(len(inputs)).split(inputs.at_once)
    return torch.cat([network(*inputs(chosen)) for chosen in rows])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of rows whose largest logit is that of the label, 0 … 1.

    A row with a logit that is not finite counts as wrong.
    """
    return _correct(logits, labels).double().mean().item()


def _correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Return which rows are right: bool [n]. The largest of NaNs would be class 0."""
    return (logits.argmax(1) == labels) & logits.isfinite().all(1)
