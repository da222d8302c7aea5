"""Names of tasks: a path is a path, a name is a name, and any class can be written in a list."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import paint
from hypothesis import given
from hypothesis import strategies as st

from tlkit.ground.names import UnknownName
from tlkit.ground.paths import home
from tlkit.images import tasks
from tlkit.images.folders import BadImageFolder
from tlkit.images.pools import pool
from tlkit.images.tasks import parse, select, spell
from tlkit.recipe import Run


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Let the current folder be `here`, and the kit's be another."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "kit"))
    return tmp_path / "here"


def load(task: str):
    return tasks.load(Run(task=task, size=16, train_per_class=2, val_per_class=1))


# lists of classes


@given(st.lists(st.text() | st.sampled_from(["other", " a", 'b"', "[c]", "d,", ""]), max_size=6))
def test_any_class_names_round_trip(classes):
    assert parse(spell("pics", classes)) == ("pics", tuple(classes))


@given(st.text(alphabet='[],"ab /'), st.lists(st.text(alphabet='[],"ab '), min_size=1, max_size=4))
def test_any_text_is_a_name_and_a_list_or_a_name(text, classes):
    name, listed = parse(text)
    assert text.startswith(name) and (listed or name == text)
    assert parse(spell("pics[v2]", classes)) == ("pics[v2]", tuple(classes))


@pytest.mark.parametrize(
    "task, expected",
    [
        ("drawn8[cat, dog]", ("drawn8", ("cat", "dog"))),
        ('p["a, b", "c ""d"""]', ("p", ("a, b", 'c "d"'))),
        ('p[" a","[b]"]', ("p", (" a", "[b]"))),
        ("p[v2][cat,dog]", ("p[v2]", ("cat", "dog"))),
        ("[old]/pics[cat,dog]", ("[old]/pics", ("cat", "dog"))),
        ("drawn8[]", ("drawn8[]", ())),
    ],
)
def test_lists_are_read(task, expected):
    assert parse(task) == expected


@pytest.mark.parametrize("name", ["pics[v2]", "pics [2020]", "[old]", "a[b,c]d", 'a["', "x[y,z]"])
def test_brackets_in_a_path_select_nothing(here, name):
    paint(here / name, ("ant", "bee", "a, b"))
    assert load(f"./{name}").classes == ("a, b", "ant", "bee")
    assert load(f'./{name}["a, b",ant]').classes == ("a, b", "ant")
    assert load(f"./{name}[bee,other]").classes == ("bee", "other")


def test_a_path_that_is_also_a_list_is_refused_and_both_can_be_written(here):
    paint(here / "pics", ("ant", "bee", "cat"))
    paint(here / "pics[ant,bee]", ("x", "y"))
    with pytest.raises(ValueError, match=r"is the folder pics\[ant,bee\], and a list of classes"):
        load("./pics[ant,bee]")
    assert load("./pics[ant,bee]/").classes == ("x", "y")
    assert load('./pics["ant","bee"]').classes == ("ant", "bee")


def test_a_class_called_other(here):
    paint(here / "pics", ("cat", "dog", "other"))
    for task in ("./pics[cat,other]", "./pics[other,dog]"):
        with pytest.raises(ValueError, match=r'a class is called other.*"other".*rename'):
            load(task)
    real = load('./pics[cat,"other"]')
    assert real.classes == ("cat", "other") and len(real.train) == 4
    assert load("./pics[cat,dog,other]").classes == ("cat", "dog", "other")  # no doubt
    source, classes, labels = select('./pics["other",dog]', 16)
    assert classes == ("other", "dog") and labels.tolist() == [-1, 1, 0]
    assert source.classes == ("cat", "dog", "other")


def test_other_in_quotes_is_never_the_rest(here):
    paint(here / "pics", ("ant", "bee"))
    with pytest.raises(UnknownName, match="'other'"):
        load('./pics[ant,"other"]')


def test_a_task_has_a_name_without_folders(here):
    paint(here / "pics", ("a/b".replace("/", "∕"), "c", "d"))
    assert load("./pics[c,other]").name == "pics[c,other]"
    os.chdir("pics")
    assert load(".").name == "pics"


@pytest.mark.parametrize("task", ["./pics[a [x],ant]", "pics[ant,bee[]", 'pics["ant,bee]'])
def test_a_list_that_cannot_be_read_shows_how_to_write_it(here, task):
    paint(here / "pics", ("ant", "bee"))
    with pytest.raises(ValueError, match=r'in quotes: pics\["a, b",c\]'):
        load(task)


# paths and names


def test_a_path_is_never_a_name_nor_the_reverse(here):
    paint(home() / "images/pics", ("ant", "bee"))
    for path in ("./pics", "pics/", "../here/pics", str(here / "pics")):
        with pytest.raises(BadImageFolder, match="missing"):
            load(path)
    assert load("pics").classes == ("ant", "bee")
    paint(here / "pics", ("x", "y"), seed=1)
    for path in ("./pics", "pics/", "../here/pics", str(here / "pics"), f"{here}/pics[x,y]"):
        assert load(path).classes == ("x", "y")
    assert load("pics").classes == ("ant", "bee")
    shutil.rmtree(home() / "images/pics")
    with pytest.raises(UnknownName, match=r"for the folder here, write \./pics"):
        load("pics")


@pytest.mark.parametrize("path", [".", ".."])
def test_dots_are_the_folders_they_always_are(here, path):
    (home() / "images").mkdir(parents=True)
    paint(here, ("x", "y"))
    (here / "x/in").mkdir()
    os.chdir({".": here, "..": here / "x/in/.."}[path])
    shutil.rmtree(here / "x/in")
    assert load(path).classes == ("x", "y")


def test_a_tilde_is_the_home_of_the_user(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    paint(here / "pics", ("x", "y"))
    assert load("~/pics[x,y]").classes == ("x", "y")
    with pytest.raises(BadImageFolder, match=r"'pisc' in it does not. It holds pics"):
        load("~/pisc/more")


@pytest.mark.parametrize("name", ["digits", "drawn8", "dtd"])
def test_a_name_of_two_data_sets_names_both(name):
    paint(home() / "images" / name, ("x", "y"))
    with pytest.raises(ValueError, match=f"{name}.* (set|world) and the folder .*images.{name}"):
        load(f"{name}[x,y]")


@pytest.mark.parametrize("folder", ["here", "kit/images"])
def test_an_archive_says_what_to_do(here, folder):
    place = here.parent / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / "pics.zip").touch()
    with pytest.raises(BadImageFolder, match="Unpack it"):
        load("pics.zip")
    with pytest.raises(BadImageFolder, match="Unpack it"):
        load(str(place / "pics.zip"))


def test_addresses_say_what_to_do(here):
    paint(here / "pics", ("x", "y"))
    with pytest.raises(BadImageFolder, match=f"Write the path alone: {here}/pics"):
        load(f"file://{here}/pics")


def test_a_class_without_training_images_has_a_remedy_that_works(here):
    paint(here / "pics", ("ant", "bee", "cow"))
    for file in sorted((here / "pics/bee").iterdir())[1:]:
        file.unlink()
    with pytest.raises(ValueError, match=r"'bee'.* 0 training.*leave it out: ./pics\[ant,cow\]$"):
        load("./pics")
    assert load("./pics[ant,cow]").classes == ("ant", "cow")


def test_lists_of_thousands_of_classes_take_no_time(monkeypatch):
    classes = tuple(f"c{number}" for number in range(20_000))
    fields = list(classes[1:])
    assert np.array_equal(tasks._merge("t", classes, fields), np.arange(-1, 19_999))
    assert parse(spell("pics", classes)) == ("pics", classes)
    labels = np.repeat(np.arange(20_000), 4)
    splits = np.tile(["test", "train", "train", "train"], 20_000)
    source = tasks.Pool(np.empty((80_000, 3, 1, 1), np.uint8), labels, splits, classes, "")
    monkeypatch.setattr(tasks, "pool", lambda *_: source)
    assert len(tasks.load(Run(task="drawn8", train_per_class=2, val_per_class=1)).train) == 40_000


def test_a_folder_below_data_images_may_be_a_link(here, tmp_path):
    paint(tmp_path / "far", ("x", "y"))
    (home() / "images").mkdir(parents=True)
    Path(home() / "images/pics").symlink_to(tmp_path / "far")
    assert load("pics").classes == ("x", "y")
    assert pool("pics", 16).digest == pool(str(tmp_path / "far"), 16).digest
