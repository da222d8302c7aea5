"""The drawn worlds: a picture depends on its class and index, never on the batch or threads."""

from functools import partial
from zlib import crc32

import numpy as np
import pytest
import torch

from tlkit.drawing import WORLDS, aircraft, counts, draw, kin, palettes
from tlkit.drawing.camera import photograph
from tlkit.drawing.dice import Dice
from tlkit.drawing.source import design
from tlkit.drawing.worlds import ATLAS

TARGETS = [world for world in WORLDS if world not in ("drawn_source", "drawn8")]
CLASSES = [("drawn_source", 7), ("drawn_source", 199)] + [("drawn8", label) for label in range(8)]
CLASSES += [(world, 11) for world in TARGETS if world != "drawn_kin_noisy"]
INDICES = np.array([3, 0, 999_999, 12, 5])


@pytest.fixture
def threads():
    """Set the number of torch threads; the old number comes back after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "world, label, size",
    [
        *(
            (*of, size)
            for of in (("drawn_source", 21), ("drawn8", 2), ("drawn8", 4))
            for size in (32, 33, 48, 67, 101, 128)
        ),
        *((world, 5, 33) for world in TARGETS),
    ],
)
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


@pytest.mark.parametrize(
    "world, label, means",
    [
        ("drawn_source", 7, [219.74, 197.84, 159.42]),
        ("drawn_source", 199, [98.37, 97.97, 119.10]),
        ("drawn8", 2, [126.87, 136.97, 115.53]),
        ("drawn8", 7, [119.73, 167.70, 87.16]),
    ],
)
def test_what_the_shipped_weights_and_records_have_seen_stays(world, label, means):
    seen = draw(world, label, range(3), 48).mean(axis=(1, 2, 3))
    assert seen == pytest.approx(means, abs=0.02)


def test_worlds_name_their_classes():
    assert all(len(classes) == len({*classes}) for classes in WORLDS.values())
    assert {world: len(WORLDS[world]) for world in TARGETS if len(WORLDS[world]) != 12} == {
        "drawn_kin_many": 40
    }
    assert len(WORLDS["drawn_source"]) == 200
    assert WORLDS["drawn8"] == (
        "airplane",
        "car",
        "cat",
        "dog",
        "flower",
        "fruit",
        "motorbike",
        "person",
    )


@pytest.mark.parametrize(
    "arguments, remedy",
    [
        (("drawn9", 0, [0], 48), "drawn8"),
        (("drawn8", 8, [0], 48), "0 to 7"),
        (("drawn8", -1, [0], 48), "0 to 7"),
        (("drawn8", 0, [0], 31), "32 to 128"),
        (("drawn8", 0, [0], 129), "32 to 128"),
        (("drawn8", 0, [0], 48, "val"), "test, train"),
        (("drawn8", 0, [-1], 48), "from 0"),
        (("drawn8", 0, [0.9], 48), "whole numbers"),
        (("drawn8", 0, [True], 48), "whole numbers"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(arguments, remedy):
    with pytest.raises(ValueError, match=remedy):
        draw(*arguments)


# what sets the target worlds apart


def drawn(scene, label: int):
    """The scene of a class with always the same dice, for 20 pictures."""
    return scene(label, Dice([np.random.default_rng([1, row]) for row in range(20)]))


def test_kin_has_designs_that_the_source_has_not():
    source = {repr(design(label)) for label in range(200)}
    assert len(source | {repr(design(label, kin.DESIGNS)) for label in range(52)}) == 252


def test_many_are_the_designs_after_the_twelve():
    for label in (0, 39):
        pictures = [
            repr(drawn(scene, at).parts)
            for scene, at in ((kin.many, label), (kin.plain, 12 + label), (kin.plain, label))
        ]
        assert pictures[0] == pictures[1] != pictures[2]
        assert kin.MORE[label] == f"kin_{12 + label}"
    assert not {*kin.NAMES} & {*kin.MORE}


def test_the_variants_of_a_design_differ_in_two_parts():
    *shared, _, _ = kin.variant(0).groups
    variants = [kin.variant(label).groups for label in range(12)]
    assert all(groups[:-2] == shared for groups in variants)
    assert len({repr(groups) for groups in variants}) == 12


def test_the_recoloured_have_the_same_colours_in_all_classes():
    seen = [
        {repr(part.colour) for part in drawn(kin.recoloured, label).parts} for label in range(12)
    ]
    assert len(set.union(*seen)) == 3


def test_every_fourth_training_picture_of_the_noisy_shows_each_other_class_in_turn():
    world, indices = ATLAS["drawn_kin_noisy"], np.arange(4 * 11)
    for label in range(12):
        shown = world.shown(label, indices, "train")
        assert sorted({*range(12)} - {label}) == sorted(shown[shown != label])
        assert (world.shown(label, indices, "test") == label).all()
        assert (ATLAS["drawn_kin"].shown(label, indices, "train") == label).all()


@pytest.mark.parametrize("index, shown", [(2, 4), (3, 5), (7, 6)])
def test_a_wrong_label_is_that_of_a_picture_of_another_class(index, shown):
    generator = np.random.default_rng([crc32(b"drawn_kin_noisy/train"), 4, index])
    picture = photograph(partial(kin.plain, shown), [generator], 48)
    assert np.array_equal(draw("drawn_kin_noisy", 4, [index], 48), picture)


def test_aircraft_differ_in_form_and_never_in_colour():
    variants = [drawn(aircraft.scene, label).parts for label in range(12)]
    colours = {repr([part.colour for part in parts]) for parts in variants}
    assert len(colours) == 1
    assert len({repr(parts) for parts in variants}) == 12


def test_palettes_differ_in_colour_and_never_in_form():
    def forms(label):
        return [vars(part) | {"colour": None} for part in drawn(palettes.scene, label).parts]

    assert len({repr(forms(label)) for label in range(12)}) == 1


def test_label_plus_one_objects_are_visible():
    for label in range(12):
        _, *objects = drawn(counts.scene, label).parts  # the first is the ground
        visible = sum(part.opacity for part in objects)
        assert (visible == label + 1).all()
