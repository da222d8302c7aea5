"""Folders of images: every kind is read right, every fault is refused with place and remedy."""

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from tlkit.images.folders import BadImageFolder, ImageFolder, decode, scan

REAL = Path(__file__).parents[2] / "shared/real/natural_images_30px"


@pytest.fixture(autouse=True)
def no_progress_bar(monkeypatch):
    monkeypatch.setenv("TLKIT_PROGRESS", "off")


def write(file: Path, size: tuple[int, int] = (9, 7)) -> Path:
    """A noise image that no other one equals: the seed comes from the path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(list(str(file).encode()))
    noise = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    return file


@pytest.fixture
def good(tmp_path) -> Path:
    for name in ("cat/b.png", "cat/a.PNG", "dog/1.bmp", "dog/2.webp", "ant/x.tif"):
        write(tmp_path / "good" / name)
    return tmp_path / "good"


def refusal(path: Path | str) -> str:
    with pytest.raises(BadImageFolder) as caught:
        scan(path)
    return str(caught.value)


def decoded(path: Path | str, folder: ImageFolder, size: int) -> np.ndarray:
    out = np.empty((len(folder.files), 3, size, size), np.uint8)
    decode(path, folder, out)
    return out


def only(tmp_path: Path, image: Image.Image, name: str, **options) -> np.ndarray:
    """`image` saved under `name` in a sound folder, decoded at 4 pixels: [3, 4, 4]."""
    write(tmp_path / "other" / "noise.png")
    (tmp_path / "this").mkdir(exist_ok=True)
    image.save(tmp_path / "this" / name, **options)
    folder = scan(tmp_path)
    return decoded(tmp_path, folder, 4)[folder.labels == 1][0]


# reading


def test_scan_lists_in_order(good):
    (good / "README.md").write_text("beside the classes: ignored")
    folder = scan(str(good))
    assert folder.classes == ("ant", "cat", "dog")
    assert [file.as_posix() for file in folder.files] == [
        "ant/x.tif",
        "cat/a.PNG",
        "cat/b.png",
        "dog/1.bmp",
        "dog/2.webp",
    ]
    assert folder.labels.dtype == np.int64 and folder.labels.tolist() == [0, 1, 1, 2, 2]
    assert folder.split is None


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "cat/Thumbs.db",
        "cat/desktop.ini",
        "dog/.hidden.png",
        "__MACOSX/cat/b.png",
        "cat/.ipynb_checkpoints/b.png",
    ],
)
def test_junk_is_ignored(good, name):
    before = scan(good)
    (good / name).parent.mkdir(parents=True, exist_ok=True)
    (good / name).write_bytes(b"junk")
    assert scan(good).files == before.files and scan(good).classes == before.classes


SOLID = {
    "L": (77, (77, 77, 77)),
    "1": (1, (255, 255, 255)),
    "RGB": ((200, 10, 30), (200, 10, 30)),
    "RGBA": ((200, 0, 0, 51), (244, 204, 204)),  # one fifth red over white
    "LA": ((0, 51), (204, 204, 204)),  # one fifth black over white
    "I;16": (25700, (100, 100, 100)),  # 25700 / 257; convert("RGB") alone would clip to 255
}


@pytest.mark.parametrize("mode", SOLID)
def test_modes(tmp_path, mode):
    value, expected = SOLID[mode]
    pixels = only(tmp_path, Image.new(mode, (8, 6), value), "a.png")
    assert (pixels == np.array(expected).reshape(3, 1, 1)).all()


def test_an_image_that_is_transparent_everywhere_shows_its_colours(tmp_path):
    for mode, value, expected in (("RGBA", (200, 9, 0, 0), [200, 9, 0]), ("LA", (70, 0), [70] * 3)):
        with pytest.warns(UserWarning, match="1 of 2 images are transparent everywhere"):
            pixels = only(tmp_path, Image.new(mode, (8, 6), value), "a.png")
        assert pixels[:, 2, 2].tolist() == expected
    one = Image.new("RGBA", (4, 4), (200, 9, 0, 0))
    one.putpixel((0, 0), (200, 9, 0, 255))  # one pixel shows: the others are meant to be white
    assert only(tmp_path, one, "a.png")[:, 2, 2].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_12_bits_in_16_keep_their_gradient(tmp_path, kind):
    ramp = np.tile(np.array([0, 819, 2457, 4095], dtype=np.uint16), (4, 1))
    with pytest.warns(UserWarning, match="1 of 2 images of 16 bits hold no value above 4095"):
        pixels = only(tmp_path, Image.fromarray(ramp), f"a.{kind}")
    assert pixels[:, 0].tolist() == [[0, 51, 153, 255]] * 3


def png(pixels: np.ndarray) -> bytes:
    """A PNG with 16 bits for each of three colours, which Pillow cannot write."""
    import struct
    import zlib

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def test_colours_of_12_bits_in_16_are_refused(good):
    pixels = np.full((4, 4, 3), 4000, np.uint16)
    (good / "cat" / "deep.png").write_bytes(png(pixels))
    with pytest.raises(BadImageFolder, match=r"cat.deep\.png \(.*12 bits"):
        decoded(good, scan(good), 4)
    (good / "cat" / "deep.png").write_bytes(png(pixels * 16))
    assert (decoded(good, scan(good), 4)[3] == 250).all()


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_adobe_deflate"}])
def test_white_is_zero(tmp_path, options):
    values = np.array([0, 25700, 51400, 65535])
    for type_, white in ((np.uint16, 65535), (np.uint8, 255)):
        grey = Image.fromarray(np.tile(values * white // 65535, (4, 1)).astype(type_))
        pixels = only(tmp_path, grey, "a.tif", tiffinfo={262: 0}, **options)
        # Pillow writes 8 bits the other way round, and reads them right; 16 bits it leaves alone.
        expected = [0, 100, 200, 255] if type_ == np.uint8 else [255, 155, 55, 0]
        assert pixels[:, 0].tolist() == [expected] * 3


@pytest.mark.parametrize("kind", ["tif", "pgm"])
def test_16_bit_grey_keeps_its_gradient(tmp_path, kind):
    grey = np.tile(np.array([0, 128, 129, 65535], dtype=np.uint16), (4, 1))
    pixels = only(tmp_path, Image.fromarray(grey), f"a.{kind}")
    assert pixels[:, 0].tolist() == [[0, 0, 1, 255]] * 3


def test_half_transparent(tmp_path):
    pixels = only(tmp_path, Image.new("RGBA", (8, 6), (255, 0, 0, 128)), "a.png")
    assert pixels[:, 0, 0].tolist() == [255, 127, 127]


@pytest.mark.parametrize("transparency, expected", [(None, (10, 200, 30)), (1, (255, 255, 255))])
def test_palette(tmp_path, transparency, expected):
    image = Image.new("P", (8, 6), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    options = {} if transparency is None else {"transparency": transparency}
    assert only(tmp_path, image, "a.png", **options)[:, 0, 0].tolist() == list(expected)


def test_cmyk(tmp_path):
    pixels = only(tmp_path, Image.new("CMYK", (8, 6), (0, 255, 255, 0)), "a.jpg", quality=100)
    assert np.abs(pixels.astype(int) - np.array([255, 0, 0]).reshape(3, 1, 1)).max() <= 3


@pytest.mark.parametrize(
    "orientation, red_side", [(1, "left"), (3, "right"), (6, "top"), (8, "bottom")]
)
def test_exif_rotation(tmp_path, orientation, red_side):
    image = Image.new("RGB", (8, 8), "blue")
    image.paste("red", (0, 0, 4, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    red, _, blue = only(tmp_path, image, "a.png", exif=exif)
    corner = {"left": np.s_[:, 0], "right": np.s_[:, -1], "top": np.s_[0], "bottom": np.s_[-1]}
    assert (red[corner[red_side]] > 200).all() and (blue[corner[red_side]] < 60).all()
    assert red.sum() < 16 * 140  # the other side is blue


@pytest.mark.parametrize("size", [(31, 50), (50, 31), (40, 40), (3, 90), (8, 8)])
@pytest.mark.parametrize("target", [8, 33])
def test_resize_as_torchvision(tmp_path, size, target):
    file = write(tmp_path / "this" / "a.png", size=size)
    write(tmp_path / "other" / "a.png")
    expected = Compose([Resize(target, antialias=True), CenterCrop(target)])(Image.open(file))
    pixels = decoded(tmp_path, scan(tmp_path), target)[1]
    np.testing.assert_array_equal(pixels, np.asarray(expected).transpose(2, 0, 1))


def test_decode_fills_a_file_in_the_order_of_the_listing(good, tmp_path):
    folder = scan(good)
    out = np.memmap(tmp_path / "pixels", dtype=np.uint8, mode="w+", shape=(5, 3, 6, 6))
    decode(str(good), folder, out)
    np.testing.assert_array_equal(out, decoded(good, folder, 6))
    for file, pixels in zip(folder.files, out):
        exact = Compose([Resize(6, antialias=True), CenterCrop(6)])(Image.open(good / file))
        np.testing.assert_array_equal(pixels, np.asarray(exact).transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(2, 65000), (65000, 2), (1, 30000)])
def test_a_thin_image_needs_little_memory(tmp_path, size):
    image = Image.new("RGB", size, (9, 8, 7))
    image.paste((200, 100, 50), tuple(max(0, side // 2 - 20) for side in size) + size)
    code = (
        "import resource, sys, numpy as np; from PIL import Image;"
        "from tlkit.images.folders import square; image = Image.open(sys.argv[1]); before ="
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; out = square(image, 224);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, out[:, 112, 112])"
    )
    image.save(tmp_path / "thin.png")
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "thin.png"], capture_output=True, text=True
    )
    kilobytes, _, colour = done.stdout.partition(" ")
    assert int(kilobytes) < 200_000 and "[200 100  50]" in colour


@pytest.mark.parametrize("size", [(4, 250), (255, 4)])
def test_a_picture_that_is_not_very_thin_is_resized_whole(tmp_path, size):
    test_resize_as_torchvision(tmp_path, size, 33)


def test_an_image_above_the_limit_of_pillow_is_named(good, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    write(good / "cat" / "large.png", size=(11, 10))
    with pytest.raises(BadImageFolder, match=r"cat.large\.png \(more than 100 pixels: make it"):
        decoded(good, scan(good), 4)


@pytest.mark.parametrize(
    "text, message",
    [
        ("<!DOCTYPE html><p>404", "a web page"),
        ("\n<html>", "a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
    ],
)
def test_text_with_the_name_of_an_image_is_named_as_what_it_is(good, text, message):
    (good / "cat" / "a.jpg").write_text(text)
    with pytest.raises(BadImageFolder, match=rf"cat.a\.jpg \(.*{message}"):
        decoded(good, scan(good), 4)


def test_a_failing_system_is_no_fault_of_the_images(good, monkeypatch):
    folder = scan(good)

    def fail(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(OSError, match="Too many open files"):
        decoded(good, folder, 4)


# official splits


LAYOUTS = [
    ("train", "test", "val"),
    ("Training", "Testing", "Validation"),
    ("training_set", "test_set", "dev_set"),
    ("seg_train/seg_train", "seg_test/seg_test", "seg_dev/seg_dev"),
    ("pets-train", "pets-test", "pets-valid"),
    ("train/Train", "test/Test", "val"),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_splits_under_other_names(tmp_path, layout):
    for split in layout:
        for name in ("cat", "dog"):
            write(tmp_path / split / name / "a.png")
    folder = scan(tmp_path)
    assert folder.classes == ("cat", "dog")
    assert folder.split == ("test", "train", "val") * 2
    assert [file.as_posix() for file in folder.files[:2]] == [
        f"{layout[1]}/cat/a.png",
        f"{layout[0]}/cat/a.png",
    ]


@pytest.mark.parametrize("name", ["validation", "val", "dev"])
def test_train_and_val_without_test(tmp_path, name):
    for split in ("train", name):
        for kind in ("cat", "dog"):
            write(tmp_path / split / kind / "a.png")
    with pytest.warns(UserWarning, match="no test set .*A part of each class of train is the test"):
        assert scan(tmp_path).split == ("train", "val") * 2


@pytest.mark.parametrize("name", ["Test", "testing", "test_set"])
def test_two_folders_for_one_split_are_refused(tmp_path, name):
    for split in ("train", "test", name):
        for kind in ("cat", "dog"):
            write(tmp_path / split / kind / "a.png")
    message = refusal(tmp_path)
    assert "two folders for one split (1)" in message and name in message and "test" in message


def test_a_test_folder_is_never_recommended_for_training(tmp_path):
    for split in ("Testing", "more"):
        for kind in ("cat", "dog"):
            write(tmp_path / split / kind / "a.png")
    assert "Point at" not in refusal(tmp_path) or "Testing if" not in refusal(tmp_path)


def test_official_split(tmp_path):
    for name in (
        "train/cat/a.png",
        "train/dog/a.png",
        "Test/cat/a.png",
        "Test/dog/a.png",
        "valid/cat/a.png",
        "valid/dog/a.png",
    ):
        write(tmp_path / name)
    folder = scan(tmp_path)
    assert folder.classes == ("cat", "dog") and folder.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert folder.split == ("test", "train", "val") * 2
    assert folder.files[0] == Path("Test/cat/a.png")


def test_split_with_other_classes(tmp_path):
    for name in ("train/cat/a.png", "train/dog/a.png", "test/cat/a.png", "more/cat/a.png"):
        write(tmp_path / name)
    message = refusal(tmp_path)
    assert "classes missing in a split (1): test/dog" in message.replace("\\", "/")
    assert "outside the class folders (1): more" in message


def test_copy_in_train_of_a_test_image_is_dropped(tmp_path):
    for name in ("train/cat/a.png", "train/dog/a.png", "test/cat/b.png", "test/dog/b.png"):
        write(tmp_path / name)
    shutil.copy(tmp_path / "test/cat/b.png", tmp_path / "train/cat/0.png")
    with pytest.warns(UserWarning, match=r"repeated within a class \(1\): test.cat.b.png = train"):
        folder = scan(tmp_path)
    assert [f.as_posix() for f in folder.files if f.parts[1] == "cat"] == [
        "test/cat/b.png",
        "train/cat/a.png",
    ]


# refusals


def test_missing_path_names_the_nearest(good):
    message = refusal(good.parent / "god")
    assert str(good.parent / "god") in message and "good" in message
    assert "missing" in refusal(good.parent / "no" / "such" / "folder")
    assert "not a folder" in refusal(good / "cat" / "b.png")


def test_images_without_class_folders(tmp_path):
    write(tmp_path / "a.png")
    message = refusal(tmp_path)
    assert "fewer than two classes" in message
    assert "outside the class folders (1): a.png" in message
    assert "fewer than two classes" in refusal(write(tmp_path / "empty" / "x" / "a.png").parents[1])


def test_class_name_clash(good):
    write(good / "Cat" / "c.png")
    write(good / "caf\u00e9" / "c.png")
    write(good / "cafe\u0301" / "c.png")
    if len({folder.name for folder in good.iterdir()}) < 6:
        pytest.skip("this file system keeps such names together")
    message = refusal(good)
    assert "Cat = cat" in message and "cafe\u0301 = caf\u00e9" in message


@pytest.mark.parametrize("nested", ["natural_images", "data/natural_images"])
def test_kaggle_archive_that_holds_the_tree_twice(tmp_path, nested):
    for name in ("airplane", "car"):
        write(tmp_path / name / "0.png")
        (tmp_path / nested / name).mkdir(parents=True)
        shutil.copy(tmp_path / name / "0.png", tmp_path / nested / name / "0.png")
    message = refusal(tmp_path)
    assert "folders in a class folder" in message and "leak" in message
    assert f"Point at {tmp_path / nested.split('/')[0]}" in message
    assert "empty classes" not in message
    assert scan(tmp_path / nested).classes == ("airplane", "car")


def test_same_image_in_two_classes(good):
    shutil.copy(good / "cat" / "b.png", good / "dog" / "c.png")
    message = refusal(good).replace("\\", "/")
    assert "same image in several classes (1): cat/b.png = dog/c.png" in message


def test_same_image_twice_in_a_class_is_used_once(good):
    shutil.copy(good / "cat" / "b.png", good / "cat" / "c.png")
    with pytest.warns(UserWarning, match=r"\(1\): cat.b.png = cat.c.png"):
        folder = scan(good)
    assert Path("cat/b.png") in folder.files and Path("cat/c.png") not in folder.files
    assert len(folder.labels) == len(folder.files) == 5


def test_all_problems_in_one_error(good):
    (good / "eel").mkdir()
    write(good / "loose.png")
    write(good / "cat" / "persian" / "a.png")
    for number in range(9):
        (good / "dog" / f"note{number}.txt").write_text("a note")
    (good / "dog" / "film.gif").write_bytes(b"GIF89a")
    shutil.copy(good / "cat" / "b.png", good / "dog" / "c.png")
    message = refusal(good).replace("\\", "/")
    assert str(good).replace("\\", "/") in message
    for part in (
        "empty classes (1): eel.",
        "outside the class folders (1): loose.png.",
        "(1): cat/persian.",
        "cat/b.png = dog/c.png",
        "not images (10): dog/film.gif, dog/note0.txt, dog/note1.txt, dog/note2.txt, ….",
    ):
        assert part in message
    assert "note5" not in message


def test_all_unreadable_files_in_one_error(good):
    whole = write(good / "cat" / "z.jpg", size=(64, 64)).read_bytes()
    (good / "cat" / "z.jpg").write_bytes(whole[: len(whole) // 2])
    (good / "ant" / "empty.png").touch()
    (good / "dog" / "empty.png").touch()  # empty files are not "the same image"
    (good / "dog" / "text.png").write_text("no image")
    Image.fromarray(np.ones((4, 4), np.float32)).save(good / "dog" / "float.tif")
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(good / "dog" / "deep.tif")
    with pytest.raises(BadImageFolder) as caught:
        decoded(good, scan(good), 8)
    message = str(caught.value).replace("\\", "/")
    assert "unreadable (6)" in message and "Delete or replace" in message
    for name in ("ant/empty.png", "cat/z.jpg", "dog/deep.tif", "dog/empty.png"):
        assert name in message


def test_broken_links_are_named(good):
    (good / "cat" / "link.jpg").symlink_to("nowhere.jpg")
    (good / "cow").symlink_to("no/such/folder")
    (good / "loop").symlink_to("loop")
    message = refusal(good)
    assert "links to nothing (3): cow, loop, cat/link.jpg." in message.replace("\\", "/")
    assert "not images" not in message


@contextmanager
def as_somebody():
    """Let the permissions of files count, also for the user root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions are those of Windows")
def test_what_may_not_be_read_is_named():
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        root = Path(place)
        root.chmod(0o755)
        for name in ("cat/a.png", "cat/b.png", "dog/a.png", "ant/a.png", "lost+found/a.png"):
            write(root / name)
        (root / "cat" / "film.gif").touch()
        closed = [root / name for name in ("ant", "lost+found", "cat/b.png")]
        for path in closed:
            path.chmod(0)
        with as_somebody():
            message = refusal(root)
        for path in closed[:2]:
            path.chmod(0o755)
    assert "cannot be read (3): ant, lost+found, cat/b.png. Give" in message
    assert "not images (1): cat/film.gif" in message  # every fault in one message


def test_a_user_may_skip_files_explicitly(good):
    (good / "cat" / "film.gif").write_bytes(b"GIF89a")
    (good / "dog" / "text.png").write_text("no image")
    write(good / "seg_pred" / "1.png")
    write(good / "seg_pred" / "more" / "1.png")
    assert "film.gif" in refusal(good) and ".tlkit-skip" in refusal(good)
    lines = "# strays\n*.gif\n\ndog/text.png\nseg_pred/\n"
    (good / ".tlkit-skip").write_text(lines)
    with pytest.warns(UserWarning, match=r"skipped because of \.tlkit-skip \(3\): cat.film\.gif"):
        folder = scan(good)
    assert folder.classes == ("ant", "cat", "dog") and len(folder.files) == 5
    decoded(good, folder, 4)


@pytest.mark.parametrize(
    "name, message",
    [
        ("goof/cat", "'goof' in it does not. It holds good"),
        ("good/no/such", "'no' in it does not. It holds dog, ant"),
        ("good.zip", "Unpack it"),
        ("good.tar.gz", "Unpack it"),
    ],
)
def test_a_path_that_is_no_folder_says_what_to_do(good, name, message):
    for archive in ("good.zip", "good.tar.gz"):
        (good.parent / archive).touch()
    assert message in refusal(good.parent / name)


def test_addresses_say_what_to_do(good):
    assert f"Write the path alone: {good}" in refusal(f"file://{good}")
    assert "Download" in refusal("https://example.org/pets.zip")


def test_real_photographs():
    if not REAL.is_dir():
        pytest.skip("no real photographs here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = scan(REAL)
    assert len(folder.classes) == 8 and len(folder.files) == 6897  # 6,899 without two copies
    few = replace(folder, files=folder.files[::20], labels=folder.labels[::20])
    pixels = decoded(REAL, few, 30)  # their own size: nothing is resized
    with Image.open(REAL / few.files[250]) as image:
        np.testing.assert_array_equal(pixels[250], np.asarray(image).transpose(2, 0, 1))
