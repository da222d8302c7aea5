"""A model split at its frozen boundary is still the same model."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tlkit.networks.models import build
from tlkit.networks.modules import modules
from tlkit.networks.transfer import freeze
from tlkit.training.prefix import split

CONVOLUTIONAL = [
    "xception_small",
    "test_resnet",
    "test_efficientnet",
    "mobilenetv3_small_050",
    "test_convnext",
    "test_byobnet",
    "resnet18",
]
# Transformers keep parameters in their root, use buffers there, and hand shapes around.
ROOTED = [
    ("vit_tiny_patch16_224", 224),
    ("deit_tiny_distilled_patch16_224", 224),
    ("eva02_tiny_patch14_224", 224),
    ("maxvit_rmlp_pico_rw_256", 256),
    ("davit_tiny", 32),
]


def frozen_model(name, share, batch_norm="eval"):
    torch.manual_seed(0)
    model = build(name, 3)
    for layer in model.modules():  # statistics that differ from the initial ones
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    count = max(1, int(share * len(modules(model).states)))
    freeze(model, modules(model).first(count), batch_norm)
    return model


def images(n=3, size=32):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_two_parts_give_exactly_what_the_model_gives(name, share):
    model = frozen_model(name, share)
    prefix, suffix = split(model, images(1))
    model.eval()
    with torch.no_grad():
        assert torch.equal(suffix(*prefix(images())), model(images()))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_training_the_suffix_is_training_the_model(name):
    """One SGD step through either leaves the same model."""
    states = []
    for through_parts in (True, False):
        model = frozen_model(name, 0.5)
        parts = split(model, images(1))
        network = parts[1] if through_parts else model
        before = model.get_classifier().weight.clone()
        with torch.no_grad():
            inputs = parts[0](images()) if through_parts else (images(),)
        network.train()
        trained = [p for p in network.parameters() if p.requires_grad]
        F.cross_entropy(network(*inputs), torch.arange(3)).backward()
        torch.optim.SGD(trained, lr=0.1).step()
        assert not torch.equal(before, model.get_classifier().weight)
        states.append(model.state_dict())
    for tensor in states[0]:
        torch.testing.assert_close(
            states[0][tensor], states[1][tensor], rtol=1e-5, atol=1e-6, msg=tensor
        )


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_the_prefix_trains_nothing_and_the_suffix_all_that_is_trained(name):
    model = frozen_model(name, 0.5)
    prefix, suffix = split(model, images(1))
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert trained and trained <= {id(p) for p in suffix.parameters()}
    assert not any(p.requires_grad for p in prefix.parameters())
    assert sum(p.numel() for p in prefix.parameters()) > 0


def test_what_is_cached_is_no_larger_than_it_must_be():
    """A ReLU or pooling at the boundary makes no second copy: one activation crosses, or the
    skip and the main path of a residual block."""
    for name in ("xception_small", "resnet18"):
        for share in (0.3, 0.5, 0.7):
            prefix, _ = split(frozen_model(name, share), images(1))
            assert len(prefix(images(1))) == 1


def test_nothing_frozen_leaves_nothing_to_split_off():
    model = build("test_resnet", 3)
    freeze(model, modules(model).first(0))
    assert split(model, images(1)) is None


@pytest.mark.parametrize("name", ["xception_small", "test_resnet", "test_efficientnet"])
def test_batch_norm_left_drifting_is_never_computed_once(name):
    model = frozen_model(name, 0.5, batch_norm="drift")
    parts = split(model, images(1))
    held = list(parts[0].modules()) if parts else []
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in held)


def test_dropout_of_the_head_is_off_in_eval_mode():
    model = frozen_model("test_resnet", 1.0)
    model.drop_rate = 0.5
    parts = split(model, images(1))
    if parts is not None:
        model.eval()
        parts[1].eval()
        with torch.no_grad():
            assert torch.equal(parts[1](*parts[0](images())), model(images()))


@pytest.mark.parametrize("name, size", ROOTED)
def test_a_model_that_cannot_be_split_is_none_and_no_crash(name, size):
    model = frozen_model(name, 0.5)
    parts = split(model, images(2, size))
    if parts is not None:
        model.eval()
        with torch.no_grad():
            activations = parts[0](images(3, size))
            assert torch.equal(parts[1](*activations), model(images(3, size)))
            assert all(len(activation) == 3 for activation in activations)


def test_splitting_changes_no_tensor_of_the_model():
    model = frozen_model("test_efficientnet", 0.5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    split(model, images(1))
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
