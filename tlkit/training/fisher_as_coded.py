"""What vuong2022's code takes for the Fisher information; `fisher.py` has the real one."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn

from tlkit.training.penalties import Rescale


class AsCoded:
    """What vuong2022's code has in the place of the Fisher information, at every step.

    One number per tensor: the gradient of Σ_images Σ_classes log f on the batch in training mode,
    through the starting network with its new random head, squared after the summing and divided
    by the batch size; of all its elements in one row, the tensor takes the one whose place is the
    tensor's own number. That lies in the first convolution while the model has fewer tensors than
    the convolution has elements. (`timm/loss/l2sp_fisher.py` of the study's repository.)
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = deepcopy(network).requires_grad_(True)
        tensors = list(self.network.parameters())
        sizes = torch.tensor([tensor.numel() for tensor in tensors])
        self.needed = tensors[: int((sizes.cumsum(0) < len(tensors)).sum()) + 1]
        self.inputs: tuple[torch.Tensor, ...] = ()

    def of(self, names: Sequence[str]) -> Rescale:
        """For the named tensors: a function of a step's inputs that gives a number for each."""
        order = {name: place for place, (name, _) in enumerate(self.network.named_parameters())}
        places = [order[name] for name in names]
        return lambda inputs: list(self._row(inputs)[places].unbind())

    def _row(self, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The beginning of the row, long enough for all tensors; once for the inputs of a step."""
        if inputs is not self.inputs:
            self.network.train()
            with torch.enable_grad():
                total = self.network(*inputs).log_softmax(1).sum()
                gradients = torch.autograd.grad(total, self.needed)
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            self.inputs, self.squares = inputs, flat.square() / len(inputs[0])
        return self.squares
