"""The drawn worlds: pictures depend on what is asked for, never on how it is asked."""

import numpy as np
import pytest
import torch

from tlkit.drawing import WORLDS, draw

CLASSES = [("drawn_source", 7), ("drawn_source", 199)] + [("drawn8", label) for label in range(8)]
INDICES = np.array([3, 0, 999_999, 12, 5])


@pytest.fixture
def threads():
    """Set the number of torch threads; the old number comes back after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [32, 33, 48, 67, 101, 128])
@pytest.mark.parametrize("world, label", [("drawn_source", 21), ("drawn8", 2), ("drawn8", 4)])
def test_an_image_is_the_same_alone_and_in_any_batch(world, label, size, threads):
    threads(1)
    batch = draw(world, label, INDICES, size)
    single = np.concatenate([draw(world, label, [index], size) for index in INDICES])
    assert np.array_equal(single, batch)
    threads(2)
    assert np.array_equal(draw(world, label, INDICES[::-1], size)[::-1], batch)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("world, label", CLASSES)
def test_images_cross_the_border_of_a_chunk_unchanged(world, label):
    many = draw(world, label, range(70), 32)
    assert np.array_equal(many[61:68], draw(world, label, range(61, 68), 32))


@pytest.mark.parametrize("world, label", CLASSES)
def test_shape_type_and_no_empty_picture(world, label):
    images = draw(world, label, range(20), 35)
    assert images.shape == (20, 3, 35, 35)
    assert images.dtype == np.uint8
    assert images.std(axis=(1, 2, 3)).min() > 4
    assert len(np.unique(images.reshape(20, -1), axis=0)) == 20


def test_no_index_no_image():
    assert draw("drawn8", 0, [], 48).shape == (0, 3, 48, 48)


def test_train_and_test_share_no_image():
    train, test = (draw("drawn8", 1, range(30), 32, split) for split in ("train", "test"))
    seen = {image.tobytes() for image in train}
    assert not seen & {image.tobytes() for image in test}
    assert abs(train.mean() - test.mean()) < 20  # and yet both look alike


def test_classes_differ():
    images = [draw(world, label, [0], 32).tobytes() for world, label in CLASSES]
    assert len(set(images)) == len(CLASSES)


def test_another_size_shows_the_same_picture():
    large = draw("drawn8", 7, range(8), 96).reshape(8, 3, 48, 2, 48, 2).mean(axis=(3, 5))
    small = draw("drawn8", 7, range(8), 48).astype(float)
    for one, two in zip(large, small):
        assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.85


def test_worlds_name_their_classes():
    assert len(WORLDS["drawn_source"]) == 200
    assert WORLDS["drawn8"] == (
        "airplane", "car", "cat", "dog", "flower", "fruit", "motorbike", "person"
    )


@pytest.mark.parametrize("arguments, remedy", [
    (("drawn9", 0, [0], 48), "drawn8"),
    (("drawn8", 8, [0], 48), "0 to 7"),
    (("drawn8", -1, [0], 48), "0 to 7"),
    (("drawn8", 0, [0], 31), "32 to 128"),
    (("drawn8", 0, [0], 129), "32 to 128"),
    (("drawn8", 0, [0], 48, "val"), "'train' or 'test'"),
    (("drawn8", 0, [-1], 48), "from 0"),
])
def test_a_mistake_is_named_with_its_remedy(arguments, remedy):
    with pytest.raises(ValueError, match=remedy):
        draw(*arguments)
