"""Folders of images: every kind is read right, every fault is refused with place and remedy."""

import shutil
import warnings
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
    "RGBA": ((200, 0, 0, 0), (255, 255, 255)),  # transparent: the white below shows
    "LA": ((0, 51), (204, 204, 204)),  # one fifth black over white
    "I;16": (25700, (100, 100, 100)),  # 25700 / 257; convert("RGB") alone would clip to 255
}


@pytest.mark.parametrize("mode", SOLID)
def test_modes(tmp_path, mode):
    value, expected = SOLID[mode]
    pixels = only(tmp_path, Image.new(mode, (8, 6), value), "a.png")
    assert (pixels == np.array(expected).reshape(3, 1, 1)).all()


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


# official splits


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
