"""The diagonal Fisher information of a network's weights: exact, sampled, empirical, as coded."""

from collections.abc import Mapping, Sequence

import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn
from torch.func import functional_call, grad, vmap

from tlkit.ground.names import check_name
from tlkit.networks.models import with_source_head
from tlkit.networks.small_xception import FISHER
from tlkit.recipe import Run
from tlkit.training.feeding import Feed
from tlkit.training.fisher_as_coded import as_coded
from tlkit.training.penalties import Factors

WAYS = ("exact", "sampled", "empirical")
MEMORY = 2**26  # numbers in the gradients of one batch, at most: 256 MB
BATCH = 64  # images in one batch, at most: their activations take memory too
TARGET_IMAGES = 512  # at most, for the Fisher information on the target


@torch.no_grad()
def diagonal(
    model: nn.Module,
    images: Tensor,
    way: str,
    names: Sequence[str],
    labels: Tensor | None = None,
    generator: Generator | None = None,
) -> dict[str, Tensor]:
    """Return the mean over `images` [n, 3, h, w] of the squared gradient of log f_k, by name.

    The gradient is squared for each image alone, in evaluation mode. The class k is
    "exact": every class, weighted by the model's own outputs f (Li 2018, L2-SP-Fisher);
    "sampled": one draw from f per image with `generator`, which has the same expectation;
    "empirical": the label [n]. This is the Fisher information only if f predicts the labels.
    Each tensor has the shape of its weight and is ≥ 0. Raises `UnknownName`, and ValueError for
    "empirical" without labels.
    """
    check_name("way", way, WAYS)
    if way == "empirical" and labels is None:
        raise ValueError("the empirical Fisher information needs labels")
    was_training = model.training
    model.eval()
    parameters = {name: model.get_parameter(name).detach() for name in names}

    def log_likelihood(values: dict[str, Tensor], image: Tensor, shares: Tensor) -> Tensor:
        return functional_call(model, values, image[None])[0].log_softmax(0) @ shares

    gradients = vmap(grad(log_likelihood), in_dims=(None, 0, 0))
    size = max(1, min(BATCH, MEMORY // sum(value.numel() for value in parameters.values())))
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for rows in torch.arange(len(images)).split(size):
        outputs = model(images[rows]).softmax(1)
        own = None if labels is None else labels[rows]
        for one_hot, weights in _classes(outputs, way, own, generator):
            for name, gradient in gradients(parameters, images[rows], one_hot).items():
                total[name] += torch.einsum("n,n...->...", weights, gradient.square())
    model.train(was_training)
    return {name: value / len(images) for name, value in total.items()}


def _classes(
    outputs: Tensor, way: str, labels: Tensor | None, generator: Generator | None
) -> list[tuple[Tensor, Tensor]]:
    """Return classes k: one for each image, as rows of 0 and 1 [n, classes], and its weight [n]."""
    rows = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
    if way == "exact":
        return [(row.expand_as(outputs), outputs[:, k]) for k, row in enumerate(rows)]
    if way == "sampled":
        labels = torch.multinomial(outputs.cpu(), 1, generator=generator)[:, 0].to(outputs.device)
    return [(rows[labels], torch.ones_like(outputs[:, 0]))]


def information(
    run: Run,
    model: nn.Module,
    weights: Mapping[str, Tensor] | None,
    train: Feed,
    kind: str,
    names: Sequence[str],
) -> Factors | None:
    """Return the factors of the named parameters that `kind`, one of `recipe.FISHERS`, means.

    "source": exact, on the source images; "target": sampled, on training images, from the outputs
    of the source model; "as coded": see `as_coded`; "": None. Raises FileNotFoundError if the
    source images are not here, and ValueError if `weights` have no classification layer.
    """
    if not kind:
        return None
    if kind == "as coded":
        return as_coded(model, names)
    diagonals = of_source(run) if kind == "source" else of_target(run, weights, train, names)
    fixed = [diagonals[name].to(train.device) for name in names]
    return lambda inputs: fixed


def of_source(run: Run) -> dict[str, Tensor]:
    """Return the exact Fisher information of the initial weights, on their source images.

    Raises FileNotFoundError for all weights but the shipped ones: their images are not here.
    """
    if run.init != "pretrained" or run.model not in ("xception_small", "xception_small.drawn"):
        raise FileNotFoundError(
            f"the source images of {run.model}, init {run.init!r}, are not here to compute the "
            'Fisher information on; take that of the target images: fisher="target"'
        )
    return load_file(FISHER)


def of_target(
    run: Run, weights: Mapping[str, Tensor] | None, train: Feed, names: Sequence[str]
) -> dict[str, Tensor]:
    """Return the sampled Fisher information of the source model on the training images."""
    rows = torch.randperm(len(train), generator=Generator().manual_seed(run.seed))
    images = train.normalised(rows[:TARGET_IMAGES])
    source = with_source_head(run.model, weights or {}, run.size).to(train.device)
    generator = Generator().manual_seed(run.seed)
    return diagonal(source, images, "sampled", names, generator=generator)
