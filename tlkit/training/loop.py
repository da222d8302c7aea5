"""One training run, from a recipe to test outputs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from timm.scheduler.scheduler import Scheduler
from torch import nn

from tlkit.ground.progress import progress
from tlkit.images.tasks import Task
from tlkit.networks.heads import grow
from tlkit.networks.models import build
from tlkit.networks.modules import modules
from tlkit.networks.transfer import freeze, transfer
from tlkit.recipe import Run
from tlkit.training.augmentation import mixup
from tlkit.training.feeding import Feed, feed
from tlkit.training.fisher import weigh
from tlkit.training.fisher_as_coded import AsCoded
from tlkit.training.groups import parameter_groups
from tlkit.training.penalties import Penalty, attach

FISHER_IMAGES = 512  # of the target, at most
FUSED = ("sgd", "adam", "adamw")  # PyTorch updates all their tensors in one call


@dataclass(frozen=True)
class Trained:
    """What a run leaves behind."""

    history: list[dict]  # per epoch: epoch, train_loss (without the penalty), penalty, and
    # val_accuracy where validated
    val_correct: torch.Tensor  # bool [validations, n]
    test_logits: torch.Tensor  # float32 [n, classes]
    test_labels: torch.Tensor  # int64 [n]
    weights: dict[str, torch.Tensor]
    parameters: int
    trainable: int
    seconds: float  # of training and validation, the computing of a frozen prefix included


def execute(run: Run, task: Task, weights: Mapping[str, torch.Tensor] | None) -> Trained:
    """Build the model of `run`, train it on `task`, and use the test images once, at the end.

    `weights` are the state tensors that `run.init` stands for, None for random ones. One thread
    on a CPU: runs go in parallel, not the sums within them.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # denormal momentum slows a CPU down twentyfold
    torch.manual_seed(run.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(run.model, len(task.classes))
    row = modules(model)
    transferred = 0 if weights is None else row.count(run.transferred)
    if weights is not None:
        transfer(model, weights, row.first(transferred))
    freeze(model, row.first(run.frozen), run.frozen_bn)
    if run.head is not None:
        grow(model, run.head, weights)
    model.to(device, memory_format=torch.channels_last)

    start = time.perf_counter()
    network, train, val, test = feed(model, task, run)
    scales = _fisher(model, weights, train, run)
    penalty = attach(model, row, run.penalty, transferred, scales)
    groups = parameter_groups(model, row, run)
    history, val_correct = fit(network, train, val, run, groups, penalty)
    seconds = time.perf_counter() - start
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return Trained(
        history, val_correct, predict(network, test).cpu(), task.test.labels,
        {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()},
        sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained), seconds,
    )


def _fisher(
    model: nn.Module, weights: Mapping[str, torch.Tensor] | None, train: Feed, run: Run
) -> Callable:
    """Return the function that gives a penalty its Fisher information; see `fisher.weigh`."""
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(run.seed))
    kinds = {pull.fisher for pull in run.penalty}
    images = train.images(chosen[:FISHER_IMAGES]) if "target" in kinds else None
    coded = AsCoded(model) if "as coded" in kinds else None
    return partial(weigh, run=run, coded=coded, weights=weights, images=images)


def fit(
    network: nn.Module, train: Feed, val: Feed, run: Run, groups: list[dict], penalty: Penalty
) -> tuple[list[dict], torch.Tensor]:
    """Train `network` in place; the last incomplete batch of an epoch is left out.

    Returns the history and which validation images were right, bool [validations, n].
    """
    generator = torch.Generator().manual_seed(run.seed)
    shares = np.random.default_rng(run.seed)
    steps = max(1, len(train) // run.batch_size)
    fused = {"fused": True} if run.optimizer in FUSED else {}
    optimizer = create_optimizer_v2(groups, opt=run.optimizer, lr=run.lr, momentum=0.9, **fused)
    schedule = _schedule(optimizer, run, steps)
    history, val_correct = [], []
    for epoch in progress(range(run.epochs), "epochs"):
        network.train()
        total_loss = 0.0
        order = torch.randperm(len(train), generator=generator)
        for step, rows in enumerate(order.split(run.batch_size)[:steps]):
            schedule.step_update(epoch * steps + step)
            inputs, targets = train(rows, run.augmentation, generator), train.labels[rows]
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
        if last or run.val_every and (epoch + 1) % run.val_every == 0:
            logits = predict(network, val)
            history[-1]["val_accuracy"] = accuracy(logits, val.labels)
            val_correct.append((logits.argmax(1) == val.labels).cpu())
    return history, torch.stack(val_correct)


def _schedule(optimizer: torch.optim.Optimizer, run: Run, steps: int) -> Scheduler:
    """For the learning rate of every step; `steps` are those of an epoch."""
    if run.schedule == "step":
        return StepLRScheduler(
            optimizer, decay_t=10 * steps, decay_rate=0.9, warmup_t=3 * steps, warmup_lr_init=1e-4,
            warmup_prefix=False, t_in_epochs=False,
        )
    return CosineLRScheduler(
        optimizer, t_initial=run.epochs * steps, warmup_t=run.epochs * steps // 20,
        t_in_epochs=False,
    )


@torch.inference_mode()
def predict(network: nn.Module, inputs: Feed) -> torch.Tensor:
    """Logits [n, classes] of every row, in eval mode."""
    network.eval()
    rows = torch.arange(len(inputs)).split(inputs.at_once)
    return torch.cat([network(*inputs(chosen)) for chosen in rows])


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of the rows whose largest logit is their label's, 0 … 1."""
    return (logits.argmax(1) == labels).double().mean().item()
