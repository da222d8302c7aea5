"""What a network is fed: images, or the activations of its frozen prefix, computed once."""

from collections.abc import Sequence

import psutil
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from tlkit.images.tasks import Split, Task
from tlkit.recipe import Run
from tlkit.training import prefix
from tlkit.training.augmentation import augment, normalise

AT_ONCE = 128  # images to predict; with fewer, a CPU takes longer for each
CACHE_SHARE = 1 / 8  # of the memory that one process may fill with activations


class Feed:
    """The inputs of one split; call it with the rows wanted.

    With a `frozen` prefix its activations are computed on the first call, once for the whole
    split: the test images stay untouched, and their time uncounted, until the end. They come in
    batches of `at_once`, as without a prefix: convolutions round differently for others.
    """

    def __init__(
        self, split: Split, model: nn.Module, frozen: nn.Module | None,
        statistics: tuple[Sequence[float], Sequence[float]], at_once: int = AT_ONCE,
    ) -> None:
        self.device = next(model.parameters()).device
        self.labels, self.classes = split.labels.to(self.device), model.num_classes
        self.split = split
        self.mean, self.std = (torch.tensor(each, device=self.device) for each in statistics)
        self.frozen, self.at_once = frozen, at_once
        self.cached: list[torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(
        self, rows: torch.Tensor, augmentation: str = "none",
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """The network's inputs for `rows` (int64 [m], on the CPU)."""
        if self.frozen is not None:
            if self.cached is None:
                self.cached = self._compute()
            chosen = (activation[rows.to(self.device)] for activation in self.cached)
            return tuple(_channels_last(activation) for activation in chosen)
        return (self.images(rows, augmentation, generator),)

    def images(
        self, rows: torch.Tensor, augmentation: str = "none",
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Normalised images [m, 3, size, size], whether or not the network is fed activations."""
        images = self.split.images(rows).to(self.device)
        if augmentation != "none":
            images = augment(images.float(), augmentation, generator)
        return normalise(images, self.mean, self.std)

    @torch.no_grad()
    def _compute(self) -> list[torch.Tensor]:
        batches = torch.arange(len(self)).split(self.at_once)
        parts = [self.frozen(self.images(rows)) for rows in batches]
        return [torch.cat(activations) for activations in zip(*parts)]


def feed(model: nn.Module, task: Task, run: Run) -> tuple[nn.Module, Feed, Feed, Feed]:
    """The part of `model` that is trained, and what it is fed in training, validation and test.

    That part is the whole model, unless nothing random comes before the frozen boundary and the
    activations there fit into `CACHE_SHARE` of the memory.
    """
    splits = (task.train, task.val, task.test)
    statistics = _statistics(model, task.train, run.normalisation)
    network, frozen = model, None
    if not _changes_images(run):
        image = Feed(task.train, model, None, statistics).images(
            torch.arange(min(3, len(task.train)))
        )
        parts = prefix.split(model, image)
        if parts and sum(map(len, splits)) * _bytes(parts[0], image[:1]) <= _room(image.device):
            frozen, network = parts
    return (
        network,
        Feed(task.train, model, frozen, statistics, at_once=run.batch_size),
        Feed(task.val, model, frozen, statistics),
        Feed(task.test, model, frozen, statistics),
    )


def _changes_images(run: Run) -> bool:
    """Whether a step needs images, so that the activations of no step can be kept for another."""
    as_coded = any(pull.fisher == "as coded" for pull in run.penalty)
    return run.augmentation != "none" or run.mixup > 0 or as_coded


def _statistics(
    model: nn.Module, train: Split, normalisation: str
) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of each channel, for pixels of 0 … 1."""
    match normalisation:
        case "weights":
            return model.pretrained_cfg["mean"], model.pretrained_cfg["std"]
        case "half":
            return (0.5,) * 3, (0.5,) * 3
        case "imagenet":
            return IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
        case "images":
            channels = train.images(torch.arange(len(train))).movedim(1, 0)
            levels = torch.arange(256, dtype=torch.float64) / 255
            shares = torch.stack([each.flatten().bincount(minlength=256) for each in channels])
            shares = shares.double() / shares.sum(1, keepdim=True)
            mean = shares @ levels
            return mean.tolist(), (shares @ levels**2 - mean**2).sqrt().tolist()


def _room(device: torch.device) -> float:
    """Bytes that cached activations may take on the device that holds them."""
    on_gpu = device.type == "cuda"
    memory = torch.cuda.mem_get_info()[1] if on_gpu else psutil.virtual_memory().total
    return CACHE_SHARE * memory


@torch.no_grad()
def _bytes(frozen: nn.Module, image: torch.Tensor) -> int:
    return sum(activation.nbytes for activation in frozen(image))


def _channels_last(activation: torch.Tensor) -> torch.Tensor:
    if activation.ndim != 4:
        return activation
    return activation.contiguous(memory_format=torch.channels_last)
