"""Every image of a batch gets its own draw, and only what was asked for changes."""

import numpy as np
import pytest
import torch

from tlkit.augmentation import augment, normalise

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
    found = normalise(images, mean, std)
    assert found.dtype == torch.float32 and found.shape == images.shape
    np.testing.assert_allclose(found.numpy(), exact, rtol=1e-5, atol=2e-6)


def test_normalise_gives_channels_last():
    half = torch.full((3,), 0.5)
    found = normalise(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), half, half)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, torch.full_like(found, -1))


def test_none_changes_nothing_and_draws_nothing():
    images, source = pictures(), generator()
    state = source.get_state()
    assert torch.equal(augment(images, "none", source), images)
    assert torch.equal(source.get_state(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_images_come_out_different(kind):
    found = augment(pictures(1).expand(6, -1, -1, -1), kind, generator())
    for i in range(6):
        for j in range(i):
            assert not torch.allclose(found[i], found[j], atol=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_again_and_another_seed_does_not(kind):
    found = [augment(pictures(), kind, generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("kind", KINDS)
def test_the_global_generator_is_left_alone(kind):
    before = torch.get_rng_state()
    augment(pictures(), kind, generator())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("height, width", [(16, 16), (12, 20)])
def test_shape_and_range_stay(kind, height, width):
    images = pictures(50, height, width)
    given = images.clone()
    found = augment(images, kind, generator())
    assert found.shape == images.shape and found.dtype == torch.float32
    assert found.min() >= -1e-3 and found.max() <= 255 + 1e-3
    assert torch.equal(images, given)


@pytest.mark.parametrize("value", [0.0, 77.0, 255.0])
def test_a_crop_of_one_colour_is_that_colour(value):
    found = augment(torch.full((20, 3, 9, 9), value), "crop", generator())
    assert torch.allclose(found, torch.full_like(found, value), atol=1e-3)


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
    found = augment(ramps(500, axis), "crop", generator())[:, 0]
    line = found[:, 16] if axis == "x" else found[:, :, 16]
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
    found = augment(images, "crop", generator())
    assert torch.allclose(found, images, atol=1e-3)


def test_brightness_is_a_factor_of_0_6_to_1_4_on_a_grey_image():
    """On one grey, saturation and contrast change nothing: only brightness is seen."""
    found = augment(torch.full((400, 3, 4, 4), 100.0), "colour", generator()) / 100
    assert torch.allclose(found, found[:, :1, :1, :1].expand_as(found), atol=1e-3)
    factors = found[:, 0, 0, 0]
    assert factors.min() >= 0.599 and factors.max() <= 1.401
    assert factors.min() < 0.63 and factors.max() > 1.37 and abs(factors.mean() - 1) < 0.05


def test_colour_keeps_grey_grey():
    grey = pictures(8)[:, :1].expand(-1, 3, -1, -1)
    found = augment(grey, "colour", generator())
    assert torch.allclose(found[:, 0], found[:, 1], atol=1e-2)
    assert torch.allclose(found[:, 0], found[:, 2], atol=1e-2)
