"""Feed a network with images, or with the activations of its frozen prefix, computed once."""

from collections.abc import Callable, Sequence

import psutil
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from tlkit.images.tasks import Split, Task
from tlkit.recipe import Run
from tlkit.training import prefix
from tlkit.training.augmentation import normalise

AT_ONCE = 128  # images to predict in one batch; on a CPU, smaller batches cost more per image
CACHE_SHARE = 1 / 8  # of the memory that one process may fill with activations

Change = Callable[[Tensor], Tensor]
Statistics = tuple[Sequence[float], Sequence[float]]  # mean and standard deviation per channel


class Feed:
    """The inputs of one split; call it with the rows of a batch.

    With a `frozen` prefix, the first call computes its activations for the whole split. So the
    test images stay unused, and cost no time, until the end. The batches are of `at_once` images,
    as they are without a prefix: a convolution rounds differently for another batch size.
    """

    def __init__(
        self, split: Split, model: nn.Module, statistics: Statistics, at_once: int = AT_ONCE
    ) -> None:
        self.device = next(model.parameters()).device
        self.split, self.labels = split, split.labels.to(self.device)
        self.classes, self.at_once = model.num_classes, at_once
        self.mean, self.std = (torch.tensor(each, device=self.device) for each in statistics)
        self.frozen: nn.Module | None = None  # `feed` may set it
        self.activations: list[Tensor] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(self, rows: Tensor, change: Change | None = None) -> tuple[Tensor, ...]:
        """Return the network's inputs for `rows` (int64 [m], on the CPU)."""
        if self.frozen is None:
            return (self.normalised(rows, change),)
        if self.activations is None:
            self.activations = self._compute(self.frozen)
        rows = rows.to(self.device)
        return tuple(_channels_last(activation[rows]) for activation in self.activations)

    def normalised(self, rows: Tensor, change: Change | None = None) -> Tensor:
        """Return normalised images [m, 3, size, size], even if the network gets activations.

        Before that, `change` augments the pixels (float, 0 … 255).
        """
        images = self.split.images(rows).to(self.device)
        return normalise(images if change is None else change(images.float()), self.mean, self.std)

    @torch.no_grad()
    def _compute(self, frozen: nn.Module) -> list[Tensor]:
        batches = torch.arange(len(self)).split(self.at_once)
        parts = [frozen(self.normalised(rows)) for rows in batches]
        return [torch.cat(activations) for activations in zip(*parts)]


def feed(model: nn.Module, task: Task, run: Run) -> tuple[nn.Module, Feed, Feed, Feed]:
    """Return the part of `model` to train, and its inputs for training, validation and test.

    That part is the whole model, unless its frozen prefix gives the same activations at every
    step, and these fit into `CACHE_SHARE` of the memory.
    """
    statistics = _statistics(model, task.train, run.normalisation)
    train = Feed(task.train, model, statistics, run.batch_size)
    feeds = (train, Feed(task.val, model, statistics), Feed(task.test, model, statistics))
    as_coded = any(pull.fisher == "as coded" for pull in run.penalty)
    if run.augmentation != "none" or run.mixup > 0 or as_coded:
        return model, *feeds  # every step needs its own images
    images = train.normalised(torch.arange(min(3, len(train))))
    parts = prefix.split(model, images)
    if parts and _fit(parts[0], images[:1], sum(map(len, feeds))):
        for each in feeds:
            each.frozen = parts[0]
        return parts[1], *feeds
    return model, *feeds


def _statistics(model: nn.Module, train: Split, normalisation: str) -> Statistics:
    """Return mean and standard deviation of each channel, for pixels of 0 … 1."""
    match normalisation:
        case "weights":
            return model.pretrained_cfg["mean"], model.pretrained_cfg["std"]
        case "half":
            return (0.5,) * 3, (0.5,) * 3
        case "imagenet":
            return IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    channels = train.images(torch.arange(len(train))).movedim(1, 0)
    levels = torch.arange(256, dtype=torch.float64) / 255
    shares = torch.stack([each.flatten().bincount(minlength=256) for each in channels])
    shares = shares.double() / shares.sum(1, keepdim=True)
    mean = shares @ levels
    return mean.tolist(), (shares @ levels**2 - mean**2).sqrt().tolist()


@torch.no_grad()
def _fit(frozen: nn.Module, image: Tensor, n: int) -> bool:
    """Return whether the activations of n images fit into `CACHE_SHARE` of the memory."""
    on_gpu = image.device.type == "cuda"
    memory = torch.cuda.mem_get_info()[1] if on_gpu else psutil.virtual_memory().total
    return n * sum(each.nbytes for each in frozen(image)) <= CACHE_SHARE * memory


def _channels_last(activation: Tensor) -> Tensor:
    if activation.ndim != 4:
        return activation
    return activation.contiguous(memory_format=torch.channels_last)
