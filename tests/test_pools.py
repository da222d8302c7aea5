"""Pools on disk: every change of a folder is noticed, damage is never used, a full disk is told."""

import json
import os
import shutil
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from helpers import paint
from PIL import Image

from tlkit.ground.paths import home
from tlkit.images import digests, folders, pools
from tlkit.images.folders import BadImageFolder
from tlkit.images.pools import look_again, pool


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))
    look_again()


@pytest.fixture
def folder(tmp_path) -> Path:
    return paint(tmp_path / "pets")


def read(path):
    look_again()
    return pool(str(path), 8)


def age(folder: Path) -> None:
    """Wait until no file has changed a moment ago, without the time that this takes."""
    state = max(file.stat().st_ctime_ns for file in folder.rglob("*"))
    digests.time.time_ns = lambda: state + 2 * digests.RECENT


@pytest.fixture
def aged(folder, monkeypatch):
    monkeypatch.setattr(digests, "time", type("Clock", (), {"time_ns": time.time_ns}))
    age(folder)
    read(folder)
    return folder


# changes of a folder


def test_linked_class_folders_are_followed(tmp_path):
    paint(tmp_path / "store", ("ant", "bee", "cat", "dog"))
    for place, names in (("one", ("ant", "bee")), ("two", ("cat", "dog"))):
        (tmp_path / place / "pets").mkdir(parents=True)
        for link, name in zip("xy", names):
            (tmp_path / place / "pets" / link).symlink_to(tmp_path / "store" / name)
    one, two = read(tmp_path / "one/pets"), read(tmp_path / "two/pets")
    assert one.classes == two.classes and one.digest != two.digest
    for change in (
        lambda: Image.new("RGB", (32, 32), "red").save(tmp_path / "store/ant/03.png"),
        lambda: Image.new("RGB", (32, 32), "blue").save(tmp_path / "store/ant/new.png"),
        lambda: (tmp_path / "store/bee/05.png").unlink(),
    ):
        before = read(tmp_path / "one/pets").digest
        change()
        assert read(tmp_path / "one/pets").digest != before


def test_a_file_of_equal_size_and_time_is_noticed(tmp_path, aged):
    for file in sorted(aged.rglob("*.png")):  # pixels side by side: BMPs of one size
        Image.open(file).save(file.with_suffix(".bmp"))
        file.unlink()
        os.utime(file.with_suffix(".bmp"), (315532800, 315532800))
    before, file = read(aged), aged / "bee/07.bmp"
    age(aged)
    assert read(aged).digest == before.digest
    for replace in (False, True):  # written into, then put in place of the old one
        pixels = np.array(Image.open(file))
        pixels[0, 0] ^= 255
        new = tmp_path / "new.bmp" if replace else file
        Image.fromarray(pixels).save(new)
        os.utime(new, (315532800, 315532800))
        new.replace(file)
        after = read(aged)
        assert after.digest != before.digest
        before = after


def test_two_changes_within_one_tick_are_noticed(folder, monkeypatch):
    """Where a file system counts in seconds, both leave the same state."""
    file = folder / "bee/07.bmp"
    Image.new("RGB", (8, 8), "red").save(file)
    state = digests._state(file)
    monkeypatch.setattr(digests, "_state", lambda _: state)  # that never tells anything
    before = read(folder)
    Image.new("RGB", (8, 8), "blue").save(file)
    assert read(folder).digest != before.digest


@pytest.mark.parametrize("year", [1980, 2090])
def test_odd_dates_do_not_make_files_be_read_again(aged, monkeypatch, year):
    for file in aged.rglob("*.png"):
        os.utime(file, ((year - 1970) * 31_557_600,) * 2)
    age(aged)
    before = read(aged)
    monkeypatch.setattr(digests, "_read", None)
    assert read(aged).digest == before.digest


def test_swapped_class_folders_are_noticed(folder):
    before = read(folder)
    (folder / "ant").rename(folder / "swap")
    (folder / "bee").rename(folder / "ant")
    (folder / "swap").rename(folder / "bee")
    after = read(folder)
    assert after.classes == before.classes and after.digest != before.digest


def test_files_that_did_not_change_are_not_read_again(aged, monkeypatch):
    seen = []
    inner = digests._read
    monkeypatch.setattr(digests, "_read", lambda file: seen.append(file) or inner(file))
    before = read(aged)
    assert seen == []
    Image.new("RGB", (32, 32), "red").save(aged / "ant/new.png")
    assert read(aged).digest != before.digest and {*seen} == {aged / "ant/new.png"}


@pytest.mark.parametrize("damage", ["", "[1]", '{"a": ', "\0\0"])
def test_damaged_digests_are_read_anew(aged, damage):
    before = read(aged)
    (store,) = (home() / "cache").glob("digests-*.json")
    store.write_text(damage)
    assert read(aged).digest == before.digest


def test_the_place_does_not_depend_on_the_path(tmp_path, folder):
    copy = shutil.copytree(folder, tmp_path / "elsewhere/pets")
    assert pools._source(str(copy))[1:] == pools._source(str(folder))[1:]


def test_another_way_to_decode_is_another_pool(tmp_path, folder, monkeypatch):
    before = pools._source(str(folder))[1]
    (tmp_path / "new.py").write_text(Path(folders.__file__).read_text("utf-8") + "\n# new\n")
    monkeypatch.setattr(folders, "__file__", str(tmp_path / "new.py"))
    look_again()
    assert pools._source(str(folder))[1] != before


def test_a_folder_that_changes_while_it_is_read_is_refused(folder, monkeypatch):
    inner = pools.decode

    def slow(path, listing, out):
        inner(path, listing, out)
        Image.new("RGB", (32, 32), "red").save(folder / "ant/03.png")

    with monkeypatch.context() as patch:
        patch.setattr(pools, "decode", slow)
        with pytest.raises(BadImageFolder, match="changed while it was read"):
            read(folder)
    assert len(read(folder).labels) == 36


def test_the_test_set_is_carved_from_train_where_there_is_only_val(tmp_path):
    for seed, split in enumerate(("train", "valid")):
        paint(tmp_path / "pets" / split, seed=seed)
    with pytest.warns(UserWarning, match="no test set"):
        whole = read(tmp_path / "pets")
    counts = [(whole.splits[whole.labels == 1] == part).sum() for part in ("train", "val", "test")]
    assert counts == [9, 12, 3]


# damage


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


DAMAGE = {
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-20]),
    "flipped": flip,
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "missing": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", pools.FILES)
def test_a_damaged_pool_is_set_aside_and_made_anew(folder, name, damage):
    before = read(folder)
    images = np.array(before.images)  # the file below `before.images` is about to be cut
    (place,) = (path for path in (home() / "cache").iterdir() if path.is_dir())
    DAMAGE[damage](place / name)
    with pytest.warns(UserWarning, match=rf"{place.name} is damaged and is not used"):
        after = read(folder)
    assert after.digest == before.digest and np.array_equal(after.images, images)
    assert json.loads((place / "about.json").read_text())["digest"] == before.digest
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(folder)


def test_swapped_labels_are_noticed(folder):
    before = read(folder)
    (place,) = (path for path in (home() / "cache").iterdir() if path.is_dir())
    np.save(place / "labels.npy", before.labels[::-1])
    with pytest.warns(UserWarning, match="digest is another"):
        assert np.array_equal(read(folder).labels, before.labels)


def test_a_pool_is_read_once_as_long_as_it_does_not_change(folder, monkeypatch):
    read(folder)
    read(folder)
    monkeypatch.setattr(pools, "_digest_of", None)
    read(folder)


# disks


def test_a_full_disk_names_folder_and_need(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    if not hasattr(os, "posix_fallocate"):
        pytest.skip("this system cannot reserve space")
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match=rf"No space.* 6,912 bytes .*{home()}/cache.*TLKIT_HOME"):
            read(folder)
    assert not [path for path in (home() / "cache").iterdir() if path.is_dir()]
    assert len(read(folder).labels) == 36


def test_a_disk_that_fills_up_later_names_folder_and_need_too(folder, monkeypatch):
    def full(*_):
        raise OSError("256 requested and 0 written")  # NumPy's, without a number

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match=rf"bytes do not fit into {home()}/cache"):
        read(folder)
    with pytest.raises(OSError, match=rf"bytes do not fit into {home()}/cache"):
        pool("faces", 8)


@pytest.mark.parametrize("code", [22, 95])
def test_a_file_system_that_cannot_reserve_is_used_as_it_is(folder, monkeypatch, code):
    def unable(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", unable, raising=False)
    assert len(read(folder).labels) == 36


def test_space_is_reserved_before_images_are_written(folder, monkeypatch):
    """Blocks of the file, not its length: a sparse file has none."""
    inner = pools.decode

    def look(path, listing, out):
        assert Path(out.filename).stat().st_blocks * 512 >= out.nbytes
        inner(path, listing, out)

    monkeypatch.setattr(pools, "decode", look)
    pool(str(folder), 64)


def test_a_read_only_store_with_the_pool_is_used_without_a_lock(folder, monkeypatch):
    before = read(folder)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    for of, name in ((FileLock, "acquire"), (Path, "mkdir"), (digests, "put")):
        monkeypatch.setattr(of, name, denied)
    assert read(folder).digest == before.digest
