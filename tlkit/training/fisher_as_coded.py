"""What vuong2022's code computes as the Fisher information; `fisher.py` has the true one."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from tlkit.training.penalties import Factors


def as_coded(model: nn.Module, names: Sequence[str]) -> Factors:
    """Return what vuong2022's code uses as the Fisher information of the named parameters.

    It is one number per tensor, computed anew at every step. The code sums log f over the classes
    and the images of the batch, for the starting network with its new head, in training mode. It
    squares the gradient of this sum and divides it by the batch size. Then it puts the elements
    of all tensors into one row, and tensor number t gets element number t. That element belongs
    to the first convolution, unless the model has more tensors than this convolution elements.
    (`timm/loss/l2sp_fisher.py` in the study's repository.)
    """
    network = deepcopy(model).requires_grad_(True).train()
    tensors = dict(network.named_parameters())
    places = [list(tensors).index(name) for name in names]
    sizes = torch.tensor([tensor.numel() for tensor in tensors.values()])
    enough = int((sizes.cumsum(0) < len(tensors)).sum()) + 1
    first = list(tensors.values())[:enough]

    def factors(inputs: tuple[Tensor, ...]) -> list[Tensor]:
        with torch.enable_grad():
            total = network(*inputs).log_softmax(1).sum()
            gradients = torch.autograd.grad(total, first)
        row = torch.cat([gradient.flatten() for gradient in gradients])
        return list((row.square() / len(inputs[0]))[places].unbind())

    return factors
