"""The diagonal Fisher information of a network's weights: exact, sampled, empirical, as coded."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from safetensors.torch import load_file
from torch import nn
from torch.func import functional_call, grad, vmap

from tlkit.ground.names import check_name
from tlkit.networks.models import with_source_head
from tlkit.networks.small_xception import FISHER
from tlkit.recipe import Run
from tlkit.training.fisher_as_coded import AsCoded
from tlkit.training.penalties import Rescale

WAYS = ("exact", "sampled", "empirical")
MEMORY = 2**26  # gradients held at a time, in numbers: 256 MB
BATCH = 64  # images at a time, at most: their activations take memory too


@torch.no_grad()
def diagonal(
    model: nn.Module, images: torch.Tensor, way: str, names: Sequence[str],
    labels: torch.Tensor | None = None, generator: torch.Generator | None = None,
) -> dict[str, torch.Tensor]:
    """Mean over `images` [n, 3, h, w] of the squared gradients of log f_k, for the named weights.

    Squared for each image alone, in evaluation mode. Of the class k it takes
    "exact": the expectation over the model's own outputs f (Li 2018, L2-SP-Fisher);
    "sampled": one draw from f per image, with `generator`, the same in the mean;
    "empirical": the label [n], which is the Fisher information only where f gives the labels.
    Each tensor has the shape of its weight and is ≥ 0. Raises `UnknownName`, and ValueError for
    an "empirical" one without labels.
    """
    check_name("way", way, WAYS)
    if way == "empirical" and labels is None:
        raise ValueError("the empirical Fisher information needs labels")
    was_training = model.training
    model.eval()
    parameters = {name: model.get_parameter(name).detach() for name in names}

    def log_likelihood(
        values: dict[str, torch.Tensor], image: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        return functional_call(model, values, image[None])[0].log_softmax(0) @ shares

    gradients = vmap(grad(log_likelihood), in_dims=(None, 0, 0))
    size = max(1, min(BATCH, MEMORY // sum(value.numel() for value in parameters.values())))
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for batch in torch.arange(len(images)).split(size):
        outputs = model(images[batch]).softmax(1)
        one_label = labels[batch] if way == "empirical" else None
        for classes, weights in _classes(outputs, way, one_label, generator):
            found = gradients(parameters, images[batch], classes)
            for name, gradient in found.items():
                total[name] += torch.einsum("n,n...->...", weights, gradient.square())
    model.train(was_training)
    return {name: value / len(images) for name, value in total.items()}


def _classes(
    outputs: torch.Tensor, way: str, labels: torch.Tensor | None,
    generator: torch.Generator | None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One class for each image, as rows of 0 and 1 [n, classes], and its weight [n]."""
    rows = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
    if way == "exact":
        yield from ((row.expand_as(outputs), outputs[:, k]) for k, row in enumerate(rows))
        return
    if way == "sampled":
        labels = torch.multinomial(outputs.cpu(), 1, generator=generator)[:, 0].to(outputs.device)
    yield rows[labels], torch.ones_like(outputs[:, 0])


def weigh(
    which: str, names: Sequence[str], run: Run, coded: AsCoded | None,
    weights: Mapping[str, torch.Tensor] | None, images: torch.Tensor | None,
) -> tuple[list[torch.Tensor] | None, Rescale | None]:
    """What a penalty's squares are multiplied by: a tensor for each name, or how to compute it.

    `which` is one of `penalties.FISHERS`: "source" is exact, on the source images; "target" is
    sampled, on the run's training `images`, from the source's outputs for them; "as coded" is
    `coded`, at every step.
    Raises FileNotFoundError where the source images are not here, and ValueError where `weights`
    have no classification layer.
    """
    match which:
        case "":
            return None, None
        case "as coded":
            return None, coded.of(names)
        case "source":
            found = of_source(run)
        case "target":
            source = with_source_head(run.model, weights or {}).to(images.device)
            generator = torch.Generator().manual_seed(run.seed)
            found = diagonal(source, images, "sampled", names, generator=generator)
    return [found[name] for name in names], None


def of_source(run: Run) -> dict[str, torch.Tensor]:
    """Exact Fisher information of the weights that `run` starts from, on their source images.

    Raises FileNotFoundError where these are not here: for all but the shipped weights.
    """
    if run.init != "pretrained" or run.model not in ("xception_small", "xception_small.drawn"):
        raise FileNotFoundError(
            f"the source images of {run.model}, init {run.init!r}, are not here to compute the "
            'Fisher information on; take that of the target images: fisher="target"'
        )
    return load_file(FISHER)
