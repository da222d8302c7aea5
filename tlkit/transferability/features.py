"""Compute what a network makes of a task's images before any training on them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tlkit.experiments.records import initial_weights
from tlkit.ground.alone import alone
from tlkit.images.tasks import Task, load
from tlkit.networks.models import build, resized, with_source_head
from tlkit.networks.modules import modules
from tlkit.networks.transfer import transfer
from tlkit.recipe import Run
from tlkit.training.feeding import Feed, feed


class Features(NamedTuple):
    """Features of the images of one split."""

    values: np.ndarray  # float64 [n, d], the inputs of the head
    labels: np.ndarray  # int64 [n]
    source: np.ndarray | None  # float64 [n, K], probabilities of the source's classes


def features(run: Run) -> tuple[Features, Features]:
    """Return the features of the training and the validation images of `run`, in eval mode.

    The weights are those that `run.init` means, in all modules, even if the run transfers fewer.
    For "random" they are those that the run of that seed starts from. `source` is None if the
    weights have no classification layer. The test images stay unused. As in `execute`, a CPU
    takes one thread, and threads take turns. Raises what `load` and `initial_weights` raise, and
    ValueError for weights of another model or a size that the model does not take.
    """
    task, weights = load(run), initial_weights(run)
    with alone():
        return _both(run, task, weights)


def _both(run: Run, task: Task, weights: Mapping[str, Tensor] | None) -> tuple[Features, Features]:
    torch.manual_seed(run.seed)
    model, has_source = _build(run, len(task.classes), weights)
    model.to("cuda" if torch.cuda.is_available() else "cpu", memory_format=torch.channels_last)
    _, train, val, _ = feed(model, task, run)
    model.eval()
    at_once = 4 * run.batch_size
    return _features(model, train, has_source, at_once), _features(model, val, has_source, at_once)


def _build(run: Run, classes: int, weights: Mapping[str, Tensor] | None) -> tuple[nn.Module, bool]:
    """Return the model with the weights, and whether its head is that of the source."""
    if weights is None:
        return build(run.model, classes, run.size), False
    try:
        return with_source_head(run.model, weights, run.size), True
    except (ValueError, RuntimeError):  # no head, or another model: then `transfer` raises
        model = build(run.model, classes, run.size)
        fitting = resized(weights, model, run.model, run.size)
        transfer(model, fitting, modules(model).first("all"))
        return model, False


@torch.inference_mode()
def _features(model: nn.Module, split: Feed, has_source: bool, at_once: int) -> Features:
    values, source = [], []
    for rows in torch.arange(len(split)).split(at_once):
        maps = model.forward_features(split.normalised(rows))
        values.append(model.forward_head(maps, pre_logits=True).flatten(1).double().cpu())
        source.append(model.forward_head(maps).double().softmax(1).cpu())
    return Features(
        torch.cat(values).numpy(),
        split.labels.cpu().numpy(),
        torch.cat(source).numpy() if has_source else None,
    )
