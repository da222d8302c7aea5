"""What a network is fed: images, or the activations of its frozen prefix, computed once."""

import psutil
import torch
from torch import nn

from tlkit import prefix
from tlkit.augmentation import augment, normalise
from tlkit.data import Split, Task
from tlkit.runs import Run

CACHE_SHARE = 1 / 8  # of the memory that one process may fill with activations


class Feed:
    """The inputs of one split; call it with the rows wanted.

    With a `frozen` prefix its activations are computed on the first call, once for the whole
    split: the test images stay untouched, and their time uncounted, until the end.
    """

    def __init__(
        self, split: Split, model: nn.Module, run: Run, frozen: nn.Module | None
    ) -> None:
        self.device = next(model.parameters()).device
        self.labels = split.labels.to(self.device)
        self.split = split
        self.mean, self.std = (
            torch.tensor(model.pretrained_cfg[name], device=self.device) for name in ("mean", "std")
        )
        self.frozen, self.batch_size = frozen, run.batch_size
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
        return (self._images(rows, augmentation, generator),)

    def _images(
        self, rows: torch.Tensor, augmentation: str, generator: torch.Generator | None
    ) -> torch.Tensor:
        images = self.split.images(rows).to(self.device)
        if augmentation != "none":
            images = augment(images.float(), augmentation, generator)
        return normalise(images, self.mean, self.std)

    @torch.no_grad()
    def _compute(self) -> list[torch.Tensor]:
        """In batches of the training size: convolutions round differently for others."""
        batches = torch.arange(len(self)).split(self.batch_size)
        parts = [self.frozen(self._images(rows, "none", None)) for rows in batches]
        return [torch.cat(activations) for activations in zip(*parts)]


def feed(model: nn.Module, task: Task, run: Run) -> tuple[nn.Module, Feed, Feed, Feed]:
    """The part of `model` that is trained, and what it is fed in training, validation and test.

    That part is the whole model, unless nothing random comes before the frozen boundary and the
    activations there fit into `CACHE_SHARE` of the memory.
    """
    splits = (task.train, task.val, task.test)
    network, frozen = model, None
    if run.augmentation == "none":
        image = Feed(task.train, model, run, None)(torch.arange(min(3, len(task.train))))[0]
        parts = prefix.split(model, image)
        if parts and sum(map(len, splits)) * _bytes(parts[0], image[:1]) <= _room(image.device):
            frozen, network = parts
    return network, *(Feed(split, model, run, frozen) for split in splits)


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
