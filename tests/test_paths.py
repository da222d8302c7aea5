"""Files are stored whole, on the disk, without litter; the environment is read strictly."""

import os
import pty
import subprocess
import sys
import time
from errno import EACCES, EDQUOT, ENOSPC, EROFS
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from tlkit.experiments.workers import workers
from tlkit.ground import paths, settings
from tlkit.ground.names import UnknownName
from tlkit.ground.paths import home, locked, put, set_aside, tidy, whole
from tlkit.ground.progress import progress


@pytest.fixture(autouse=True)
def as_new():
    tidy.cache_clear()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# on the disk


def test_files_and_folder_are_synced_before_the_rename_and_the_parent_after(tmp_path, monkeypatch):
    synced, at = [], tmp_path / "records" / "one"

    def spy(path):
        where = Path(path)
        assert at.exists() == (where == at.parent)
        synced.append("." if where.name.startswith(".partial") else where.name)

    monkeypatch.setattr(paths, "_sync_one", spy)
    with whole(at) as partial:
        (partial / "deep").mkdir(parents=True)
        (partial / "a").touch()
        (partial / "deep" / "b").touch()
    assert sorted(synced) == [".", "a", "b", "deep", "records"] and synced[-1] == "records"


def test_a_file_that_cannot_be_synced_is_not_stored(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        put(tmp_path / "a.txt", "text")
    assert names(tmp_path) == []


def test_a_folder_that_another_process_has_made_stays(tmp_path):
    with whole(tmp_path / "one") as partial:
        partial.mkdir()
        (partial / "mine").touch()
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "theirs").touch()
    assert names(tmp_path) == ["one"] and names(tmp_path / "one") == ["theirs"]


# errors that help


@pytest.mark.parametrize("code, remedy", [
    (ENOSPC, "free some space"), (EDQUOT, "free some space"),
    (EROFS, "writable"), (EACCES, "writable"),
])  # fmt: skip
def test_a_full_or_read_only_disk_names_file_folder_and_remedy(tmp_path, code, remedy):
    message = rf"one in {tmp_path}; .*{remedy}.*TLKIT_HOME"
    with pytest.raises(OSError, match=message) as problem, whole(tmp_path / "one"):
        raise OSError(code, os.strerror(code))
    assert problem.value.errno == code
    with pytest.raises(OSError) as other, whole(tmp_path / "one"):
        raise OSError(code, "of another place", "/somewhere/image.png")
    assert "TLKIT_HOME" not in str(other.value)  # a source that cannot be read


# locks and litter


def test_a_lock_is_for_one_at_a_time_and_leaves_nothing(tmp_path):
    with locked(tmp_path / "a"):
        with pytest.raises(Timeout), locked(tmp_path / "a", timeout=0):
            pass
        tidy(tmp_path)
        with pytest.raises(Timeout), locked(tmp_path / "a", timeout=0):
            pass
    assert names(tmp_path) == []


COUNTING = """
import sys
from pathlib import Path
from tlkit.ground.paths import locked, tidy
count = Path(sys.argv[1]) / "count"
for _ in range(100):
    with locked(count):
        number = int(count.read_text())
        count.write_text(str(number + 1))
    tidy.cache_clear()
    tidy(count.parent)
"""


def test_processes_that_wait_for_a_lock_which_is_removed_lose_nothing(tmp_path):
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", COUNTING, str(tmp_path)]
    started = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "300" and names(tmp_path) == ["count"]


KILLED = """
import os, sys
from pathlib import Path
from tlkit.ground.paths import locked, whole
with locked(Path(sys.argv[1]) / "one"), whole(Path(sys.argv[1]) / "one") as partial:
    partial.mkdir()
    (partial / "half").touch()
    os._exit(9)
"""


def test_what_a_killed_process_leaves_is_removed_by_the_next(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)])
    assert len(names(tmp_path)) == 2
    tidy(tmp_path)
    assert names(tmp_path) == []


def test_what_a_living_process_or_another_machine_writes_stays(tmp_path):
    mine = tmp_path / f".partial-{paths._host()}-{os.getpid()}-x"
    foreign = tmp_path / ".partial-elsewhere-99999999-x"
    old = tmp_path / ".partial-elsewhere-99999999-y"
    former = tmp_path / ".partial-of-an-older-version-y"
    for path in (mine, foreign, old, former):
        path.touch()
    for path in (old, former):
        os.utime(path, (time.time() - 2 * paths.DAY,) * 2)
    before = tmp_path / f".partial-{paths._host()}-{os.getpid()}-z"  # of an earlier namesake
    before.touch()
    os.utime(before, (1e9, 1e9))
    with FileLock(tmp_path / "held.lock"):
        tidy(tmp_path)
        assert set(names(tmp_path)) == {mine.name, foreign.name, "held.lock"}


def test_what_is_set_aside_is_kept_and_named(tmp_path):
    (tmp_path / "one").write_text("damaged")
    with pytest.warns(UserWarning, match=rf"{tmp_path}/one is damaged.*\(why\).*delete"):
        set_aside(tmp_path / "one", "why")
    (aside,) = tmp_path.iterdir()
    assert aside.name.startswith("one.damaged-") and aside.read_text() == "damaged"
    set_aside(tmp_path / "one", "why")  # another process was first: no warning


# the environment


@pytest.mark.parametrize("text", ["", None])
def test_without_a_home_the_kit_writes_into_its_checkout(text, monkeypatch):
    monkeypatch.setenv("TLKIT_HOME", text or "")
    if text is None:
        monkeypatch.delenv("TLKIT_HOME")
    assert home() == paths.SHIPPED


def test_the_home_is_absolute_and_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    for text, expected in (("~/kit", "me/kit"), ("~", "me"), ("kit", "kit"), (".", "")):
        monkeypatch.setenv("TLKIT_HOME", text)
        assert home() == tmp_path / expected


def test_a_home_that_is_no_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for text in (str(tmp_path / "file"), "~nobody-of-this-name/kit"):
        monkeypatch.setenv("TLKIT_HOME", text)
        with pytest.raises(UnknownName, match=r"TLKIT_HOME must name a folder"):
            home()


def test_no_home_of_the_user_is_needed(tmp_path):
    code = "import tlkit as tl; tl.sweep; from tlkit.ground.paths import home; print(home())"
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"TLKIT_HOME": "a"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "a")), done.stderr


@pytest.mark.parametrize("text", ["auto", "0", "-1", "1.5", "two", "١", "1 2", "²", "+"])
def test_a_number_of_jobs_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv("TLKIT_JOBS", text)
    with pytest.raises(UnknownName, match="TLKIT_JOBS must be a whole number of at least 1"):
        workers()


def test_jobs_are_taken_from_the_environment_or_the_cores(monkeypatch):
    for text, expected in (("3", 3), (" 2 ", 2)):
        monkeypatch.setenv("TLKIT_JOBS", text)
        assert workers() == expected
    monkeypatch.setenv("TLKIT_JOBS", "")
    assert workers() >= 1


@pytest.mark.parametrize("text, meaning", [
    ("", False), ("0", False), ("false", False), ("False", False), ("no", False), ("off", False),
    ("1", True), ("true", True), ("YES", True), ("on", True),
])  # fmt: skip
def test_words_for_yes_and_no(text, meaning, monkeypatch):
    monkeypatch.setenv("TLKIT_DRY_RUN", text)
    assert settings.is_dry_run() is meaning


def test_another_word_than_yes_and_no_is_refused(monkeypatch):
    monkeypatch.setenv("TLKIT_DRY_RUN", "maybe")
    with pytest.raises(UnknownName, match="TLKIT_DRY_RUN must be 1 or 0, not 'maybe'"):
        settings.is_dry_run()


# bars


@pytest.mark.parametrize("where", ["on", "1", "off", "a file", "/dev/null", "/dev", "pipe", "x/y"])
def test_what_is_no_terminal_shows_no_bar_and_is_not_written(where, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("TLKIT_PROGRESS", where)
    assert list(progress(range(3), "steps")) == [0, 1, 2]
    assert names(tmp_path) == ["a file", "pipe"] and (tmp_path / "a file").read_text() == "mine"
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_the_bar(monkeypatch):
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TLKIT_PROGRESS", os.ttyname(theirs))
    assert list(progress(range(3), "steps")) == [0, 1, 2]
    assert b"steps" in os.read(ours, 1000)


def test_a_terminal_of_another_user_shows_no_bar(monkeypatch):
    _, theirs = pty.openpty()
    monkeypatch.setenv("TLKIT_PROGRESS", os.ttyname(theirs))

    def denied(*_):
        raise PermissionError(EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert list(progress(range(3), "steps")) == [0, 1, 2]


def test_a_terminal_that_is_closed_in_the_middle_stops_nothing(monkeypatch):
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TLKIT_PROGRESS", os.ttyname(theirs))
    done = []
    for number in progress(range(30), "steps"):
        done.append(number)
        if number == 3:
            os.close(ours)
            os.close(theirs)
        time.sleep(0.02)
    assert done == list(range(30))
