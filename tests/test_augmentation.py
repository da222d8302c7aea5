"""Every image of a batch gets its own draw, and nothing else changes."""

import numpy as np
import pytest
import torch
from timm.data.mixup import mixup_target

from tlkit.training.augmentation import augment, mixup, normalise

KINDS = ["crop", "colour"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=4, height=16, width=16, seed=0):
    return torch.rand(n, 3, height, width, generator=generator(seed)) * 255


def test_normalise_agrees_with_float64():
    images = torch.randint(256, (4, 3, 8, 6), dtype=torch.uint8, generator=generator())
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    exact = images.numpy().astype(np.float64) / 255
    exact = (exact - mean.double().numpy()[:, None, None]) / std.double().numpy()[:, None, None]
    result = normalise(images, mean, std)
    assert result.dtype == torch.float32 and result.shape == images.shape
    np.testing.assert_allclose(result.numpy(), exact, rtol=1e-5, atol=2e-6)


def test_normalise_gives_channels_last():
    half = torch.full((3,), 0.5)
    result = normalise(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), half, half)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(result, torch.full_like(result, -1))


def test_none_changes_nothing_and_draws_nothing():
    images, source = pictures(), generator()
    state = source.get_state()
    assert torch.equal(augment(images, "none", source), images)
    assert torch.equal(source.get_state(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_images_come_out_different(kind):
    result = augment(pictures(1).expand(6, -1, -1, -1), kind, generator())
    for i in range(6):
        for j in range(i):
            assert not torch.allclose(result[i], result[j], atol=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_again_and_another_seed_does_not(kind):
    result = [augment(pictures(), kind, generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(result[0], result[1])
    assert not torch.equal(result[0], result[2])


@pytest.mark.parametrize("kind", KINDS)
def test_the_global_generator_is_left_alone(kind):
    before = torch.get_rng_state()
    augment(pictures(), kind, generator())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("height, width", [(16, 16), (12, 20)])
def test_shape_and_range_stay(kind, height, width):
    images = pictures(50, height, width)
    original = images.clone()
    result = augment(images, kind, generator())
    assert result.shape == images.shape and result.dtype == torch.float32
    assert result.min() >= -1e-3 and result.max() <= 255 + 1e-3
    assert torch.equal(images, original)


@pytest.mark.parametrize("value", [0.0, 77.0, 255.0])
def test_a_crop_of_one_colour_is_that_colour(value):
    result = augment(torch.full((20, 3, 9, 9), value), "crop", generator())
    assert torch.allclose(result, torch.full_like(result, value), atol=1e-3)


def ramps(n, axis, size=32):
    """Images whose value is the pixel's own coordinate along `axis`."""
    ramp = torch.arange(size).float()
    ramp = ramp.view(1, size) if axis == "x" else ramp.view(size, 1)
    return ramp.expand(n, 3, size, size)


def test_half_of_the_images_are_flipped_and_none_upside_down():
    n = 1000
    across = augment(ramps(n, "x"), "crop", generator())[:, 0, 16]
    slopes = across[:, 20] - across[:, 10]
    assert abs((slopes < 0).float().mean() - 0.5) < 4 * 0.5 / n**0.5
    down = augment(ramps(n, "y"), "crop", generator())[:, 0, :, 16]
    assert (down[:, 20] > down[:, 10]).all()


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_crop_is_60_to_100_percent_of_the_side_and_lies_within(axis):
    result = augment(ramps(500, axis), "crop", generator())[:, 0]
    line = result[:, 16] if axis == "x" else result[:, :, 16]
    # Zoom: neighbours of the new image are `side` pixels of the old one apart.
    side = (line[:, 20] - line[:, 10]).abs() / 10
    assert side.min() > 0.599 and side.max() < 1.001
    assert side.min() < 0.62 and side.max() > 0.98
    # The crop's edges, from its centre and its side, do not leave the image.
    centre = (line[:, 15] + line[:, 16]) / 2 + 0.5
    assert (centre - 16 * side).min() > -0.01 and (centre + 16 * side).max() < 32.01
    assert centre.std() > 1


def test_a_crop_moves_no_colour_into_another_channel():
    images = torch.zeros(8, 3, 8, 8)
    images[:, 1] = 200
    result = augment(images, "crop", generator())
    assert torch.allclose(result, images, atol=1e-3)


def test_brightness_is_a_factor_of_0_6_to_1_4_on_a_grey_image():
    """On one grey, saturation and contrast change nothing: only brightness is seen."""
    result = augment(torch.full((400, 3, 4, 4), 100.0), "colour", generator()) / 100
    assert torch.allclose(result, result[:, :1, :1, :1].expand_as(result), atol=1e-3)
    factors = result[:, 0, 0, 0]
    assert factors.min() >= 0.599 and factors.max() <= 1.401
    assert factors.min() < 0.63 and factors.max() > 1.37 and abs(factors.mean() - 1) < 0.05


def test_colour_keeps_grey_grey():
    grey = pictures(8)[:, :1].expand(-1, 3, -1, -1)
    result = augment(grey, "colour", generator())
    assert torch.allclose(result[:, 0], result[:, 1], atol=1e-2)
    assert torch.allclose(result[:, 0], result[:, 2], atol=1e-2)


# RandAugment: its draws are torch's global ones.


def randaugment(images, seed=0):
    torch.manual_seed(seed)
    return augment(images, "randaugment", None)


def test_randaugment_keeps_shape_type_and_scale():
    images = pictures(40, 20, 16)
    original = images.clone()
    result = randaugment(images)
    assert result.shape == images.shape and result.dtype == torch.float32
    assert torch.equal(images, original)
    # Erased pixels are noise of mean 127.5 and standard deviation 64, all others 0 … 255.
    assert result.min() > 127.5 - 6 * 64 and result.max() < 127.5 + 6 * 64
    assert ((result > -1e-3) & (result < 255.001)).double().mean() > 0.95
    assert 64 < result.mean() < 191 and result.std() > 30


def test_randaugment_differs_from_image_to_image_and_by_seed_only():
    images = pictures(1).expand(6, -1, -1, -1)
    one, again, other = (randaugment(images, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    for i in range(6):
        for j in range(i):
            assert not torch.allclose(one[i], one[j], atol=1)


def test_randaugment_erases_parts_of_half_of_the_images():
    """Noise that overshoots 0 … 255 is a sign of erasing that nothing else leaves."""
    n = 300
    result = randaugment(pictures(n, 32, 32)).flatten(1)
    erased = (result.min(1).values < -1) | (result.max(1).values > 256)
    assert abs(erased.double().mean() - 0.5) < 4 * 0.5 / n**0.5


# Mixup.


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_mixup_is_a_share_of_each_image_and_the_rest_of_its_opposite(share):
    inputs = (pictures(5), pictures(5, 4, 4, seed=1))
    labels = torch.tensor([0, 2, 1, 1, 3])
    targets = torch.nn.functional.one_hot(labels, 4).float()
    original = [tensor.clone() for tensor in (*inputs, targets)]
    mixed, mixed_targets = mixup(inputs, targets, share)
    for result, tensor in zip(mixed, inputs, strict=True):
        for i in range(5):
            torch.testing.assert_close(result[i], share * tensor[i] + (1 - share) * tensor[4 - i])
        assert share != 1 or torch.equal(result, tensor)
        assert share != 0 or torch.equal(result, tensor.flip(0))
    torch.testing.assert_close(mixed_targets, mixup_target(labels, 4, share))
    assert all(map(torch.equal, original, (*inputs, targets)))
