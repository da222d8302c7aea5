"""Any tree of files: either it is read, or the message of `scan` names what is wrong."""

import os
import warnings
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tlkit.images.folders import BadImageFolder, decode, scan
from tlkit.images.pools import pool
from tlkit.images.tasks import parse, select, spell

ODD = ["train", "Testing", "val", "other", "a,b", 'x"', "[c]", " d", "cat.png", "猫", "<b>", "$x$"]
NAMES = st.sampled_from(ODD) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0\\"), min_size=1, max_size=20
).filter(lambda name: name.strip(".") and len(os.fsencode(name)) < 100)
FILES = st.sampled_from(["a.png", "b.PNG", "c.gif", "notes.txt", "link.jpg", ".hidden"])


def write(file: Path, number: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.name == "link.jpg":
        file.symlink_to("nothing")
    elif number == 3:
        file.write_bytes(b"no image")
    else:
        colour = BytesIO()
        Image.new("RGB", (2, 2), (number, len(str(file)) % 256, 0)).save(colour, "png")
        file.write_bytes(colour.getvalue())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.lists(NAMES, max_size=3), FILES, st.integers(0, 9)), max_size=12))
def test_any_tree_is_read_or_refused(tree):
    with TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(place)
        for folders, name, number in tree:
            try:
                write(root.joinpath(*folders, name), number)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue  # the name of a folder is taken by a file, or the reverse
        try:
            folder = scan(root)
            decode(root, folder, np.empty((len(folder.files), 3, 2, 2), np.uint8))
        except BadImageFolder as problem:
            assert str(root) in str(problem) and "\n- " in str(problem)
        else:
            assert len(folder.classes) > 1 and len(folder.files) == len(folder.digests)


@settings(deadline=None, max_examples=30)
@given(st.sets(NAMES, min_size=2, max_size=4), NAMES)
def test_any_class_in_any_folder_can_be_named(classes, name):
    with TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(place) / name
        for number, kind in enumerate(sorted(classes)):
            for each in range(2):
                write(root / kind / f"{each}.png", 20 * each + 4 + number)
        try:
            seen = set(scan(root).classes)
        except BadImageFolder:
            return  # equal but for case, …
        if seen != classes:
            return  # hidden ones are no classes
        task = spell(str(root), sorted(classes, reverse=True))
        assert parse(task) == (str(root), tuple(sorted(classes, reverse=True)))
        assert parse(str(root)) == (str(root), ())
        assert select(task, 8)[1] == tuple(sorted(classes, reverse=True))
        assert pool(str(root), 8).classes == tuple(sorted(classes))
