"""What a network makes of a task's images before it has been trained on any of them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tlkit.experiments.records import initial_weights
from tlkit.images.tasks import load
from tlkit.networks.models import build, with_source_head
from tlkit.networks.modules import modules
from tlkit.networks.transfer import transfer
from tlkit.recipe import Run
from tlkit.training.feeding import Feed, feed


class Features(NamedTuple):
    """Of the images of one split."""

    values: np.ndarray  # float64 [n, d], what the head is given
    labels: np.ndarray  # int64 [n]
    source: np.ndarray | None  # float64 [n, K], probabilities of the source's classes


def features(run: Run) -> tuple[Features, Features]:
    """Features of the training and of the validation images that `run` sees, in eval mode.

    The weights are those that `run.init` stands for, in all modules, whatever the run itself
    transfers; for "random", those that the run of that seed starts from. `source` is None where
    the source's classification layer is not among them. The test images stay untouched.

    Like `execute`: one thread on a CPU, and torch's generator is seeded. Raises what `load` and
    `initial_weights` raise, and ValueError for weights of another model.
    """
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    task = load(run)
    model, has_source = _network(run.model, len(task.classes), initial_weights(run))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device, memory_format=torch.channels_last)
    _, train, val, _ = feed(model, task, run)
    model.eval()
    return tuple(_features(model, split, has_source, run.batch_size) for split in (train, val))


def _network(
    name: str, classes: int, weights: Mapping[str, torch.Tensor] | None
) -> tuple[nn.Module, bool]:
    """The model with the weights, and whether its head is the source's."""
    if weights is not None:
        try:
            return with_source_head(name, weights), True
        except (ValueError, RuntimeError):  # none there, or of another model: `transfer` will tell
            pass
    model = build(name, classes)
    if weights is not None:
        transfer(model, weights, modules(model).first("all"))
    return model, False


@torch.inference_mode()
def _features(model: nn.Module, split: Feed, has_source: bool, batch_size: int) -> Features:
    values, source = [], []
    for rows in torch.arange(len(split)).split(4 * batch_size):
        maps = model.forward_features(split.images(rows))
        values.append(model.forward_head(maps, pre_logits=True).flatten(1).double().cpu())
        source.append(model.forward_head(maps).double().softmax(1).cpu())
    return Features(
        torch.cat(values).numpy(), split.labels.cpu().numpy(),
        torch.cat(source).numpy() if has_source else None,
    )
