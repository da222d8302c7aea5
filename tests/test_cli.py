"""The command line runs notebooks, survives their failures and reports them."""

import errno
import os
import shlex
import signal
import subprocess
import sys
import time
from urllib.parse import unquote

import nbformat
import nbformat.v4 as v4
import psutil
import pytest
from bs4 import BeautifulSoup

from tlkit import cli
from tlkit.experiments.results import stored
from tlkit.ground.paths import ROOT
from tlkit.runner import forecast, kernels, notebooks
from tlkit.studies.audit import audit

PROFILE = 'profile = "lab"'
LINKS = "[a](10_good.ipynb), [b](77_not_run.ipynb) and [c](../README.md)"
VERDICT = """from IPython.display import HTML, display
display(HTML("<table><tr><th scope='col'>Claim</th></tr><tr><td>supported 7</td></tr></table>"),
        metadata={"tlkit": "verdicts"})
display(HTML("<img alt='a dot' src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"))"""
WATCH = """import os
print("seen:", os.path.exists(os.environ["WATCHED"]), os.environ["TLKIT_PROGRESS"])
print(profile, rate)"""

SWEEP = """import pandas as pd
import tlkit as tl
from tlkit.experiments.results import store
profile = tl.start(profile)
store("runs", pd.DataFrame({"arm": ["a, <b>"] * 2, "task": "drawn_kin", "accuracy": [0.5, 0.75],
                            "parameters": 9, "key": ["k1", "k2"]}))
tl.plots.table(pd.DataFrame({"claim": ["C9"], 'a < "b"': [1]}), "All", kind="ledger")"""


def place(folder, name, *sources, declared=PROFILE, sweep=None):
    """Write a small notebook; the code cell number `sweep` is tagged so."""
    intro = f"Intro\n\n# Is {name} <right>?\n\nSee https://example.org, {LINKS}"
    cells = [v4.new_markdown_cell(intro)]
    cells.append(v4.new_code_cell(declared, metadata={"tags": ["parameters"]}))
    cells.extend(v4.new_code_cell(source) for source in sources)
    if sweep is not None:
        cells[2 + sweep].metadata["tags"] = ["sweep"]
    folder.mkdir(exist_ok=True)
    nbformat.write(v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path / "notebooks")
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))
    return tmp_path / "notebooks"


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """Run four notebooks, two of which fail: exit status and report."""
    base = tmp_path_factory.mktemp("reported")
    source = base / "notebooks"
    report = base / "home" / "report" / "smoke"
    place(source, "10_good", VERDICT, WATCH, declared=PROFILE + "\nrate = 0.5")
    place(source, "20_broken", "a = 1", "a / 0  # here", "print('never')")
    place(source, "30_dead", "import os", "os._exit(1)")
    place(source, "40_last", "print('still ran')")
    variables = {"TLKIT_HOME": str(base / "home"), "WATCHED": str(report / "10_good.ipynb")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebooks, "FOLDER", source)
        for name, value in variables.items():
            patch.setenv(name, value)
        before = dict(os.environ)
        status = cli.main(["run", "--profile", "smoke", "-p", "rate", "2"])
        assert dict(os.environ) == before
    return status, report


def outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    return "".join(shown.get("text", "") for cell in cells for shown in cell.get("outputs", []))


def test_failed_notebooks_are_named_and_the_others_go_on(reported):
    status, report = reported
    assert status == 1
    assert "still ran" in outputs(report / "40_last.ipynb")
    rows = BeautifulSoup((report / "index.html").read_text(), "html.parser").select("tbody tr")
    texts = [row.get_text(" ") for row in rows[:4]]
    assert ["failed" in text for text in texts] == [False, True, True, False]
    assert "a / 0 # here" in texts[1].replace("  ", " ") and "ZeroDivisionError" in texts[1]
    assert "os._exit(1)" in texts[2] and "DeadKernelError" in texts[2]


def test_output_appears_only_when_whole(reported):
    report = reported[1]
    assert "seen: False off" in outputs(report / "10_good.ipynb")
    names = {path.name for path in report.iterdir()}
    stems = ("10_good", "20_broken", "30_dead", "40_last")
    assert names == {"index.html"} | {stem + end for stem in stems for end in (".ipynb", ".html")}


def test_parameters_reach_only_the_notebooks_that_declare_them(reported):
    report = reported[1]
    assert "smoke 2" in outputs(report / "10_good.ipynb")
    last = nbformat.read(report / "40_last.ipynb", as_version=4)
    assert last.metadata.papermill.parameters == {"profile": "smoke"}


def test_report_collects_the_verdicts(reported):
    index = BeautifulSoup((reported[1] / "index.html").read_text(), "html.parser")
    assert index.find("h3").get_text() == "Is 10_good <right>?"
    assert index.get_text().count("supported 7") == 1
    levels = [int(heading.name[1]) for heading in index.find_all(["h1", "h2", "h3"])]
    assert levels == [1, 2, 2, 3]
    assert all(header.get("scope") for header in index.find_all("th"))


def test_the_ledger_heads_the_verdicts(folder, tmp_path):
    place(folder, "90_all", VERDICT.replace('"verdicts"', '"ledger"'))
    assert cli.main(["run", "--profile", "smoke"]) == 0
    page = (tmp_path / "home" / "report" / "smoke" / "index.html").read_text()
    headings = [each.get_text() for each in BeautifulSoup(page, "html.parser").find_all("h2")]
    assert headings == ["Notebooks", "All claims", "Verdicts by notebook"]
    assert page.count("supported 7") == 1


def test_pages_open_without_a_network(reported):
    for path in reported[1].glob("*.html"):
        page = BeautifulSoup(path.read_text(), "html.parser")
        assert page.html["lang"] == "en"
        assert page.title.get_text().strip() not in ("", "Notebook")
        assert not page.find_all(["script", "link", "iframe"])
        loaded = [element["src"] for element in page.select("[src]")]
        assert all(address.startswith("data:") for address in loaded)
        assert "@import" not in path.read_text() and "url(http" not in path.read_text()
        assert all(image.get("alt") for image in page.find_all("img"))


def test_links_of_a_notebook_lead_somewhere_from_its_page_too(reported):
    page = BeautifulSoup((reported[1] / "40_last.html").read_text(), "html.parser")
    leads = {link.get_text(): link["href"] for link in page.find_all("a") if link.get_text()}
    assert leads["a"] == "10_good.html"
    assert (reported[1] / leads["b"]).resolve() == ROOT / "notebooks" / "77_not_run.ipynb"
    assert (reported[1] / leads["c"]).resolve() == ROOT / "README.md"


def test_pages_name_commands_and_records_and_every_cell_its_column(folder, tmp_path, capsys):
    place(folder, "10_grid", SWEEP, declared=PROFILE + "\nseeds = 0")
    place(folder, "90_none", "a = 1")  # nothing trained
    assert cli.main(["run", "--profile", "smoke", "--seeds", "3"]) == 0
    assert cli.main(["run", "--profile", "smoke"]) == 0  # other parameters, other results
    report = tmp_path / "home" / "report" / "smoke"
    page = BeautifulSoup((report / "10_grid.html").read_text(), "html.parser")
    assert page.find("details").find_previous("code").get_text() == (
        "tlkit run 10_grid --profile smoke"
    )
    (row,) = page.find("details").select("tbody tr")
    cells = [cell.get_text(" ", strip=True) for cell in row.find_all("td")]
    assert cells == ["a, <b>", "drawn_kin", "2", "62.5", "k1 k2"]
    link = (report / row.find("a")["href"]).resolve()
    assert link == (tmp_path / "home" / "records" / "k1" / "record.json").resolve()
    for file in ("10_grid.html", "index.html"):
        page = BeautifulSoup((report / file).read_text(), "html.parser")
        (ledger,) = page.select("table.ledger")
        columns = [heading.get_text() for heading in ledger.select("th")]
        labels = [cell["data-label"] for cell in ledger.select("td")]
        assert labels == columns == ["claim", 'a < "b"']


def test_the_report_can_be_written_again_and_an_empty_one_is_refused(folder, tmp_path, capsys):
    assert cli.main(["report", "smoke"]) == 2
    assert "tlkit run --profile smoke" in capsys.readouterr().err
    assert cli.main(["report", "smok"]) == 2
    assert "smoke" in capsys.readouterr().err
    place(folder, "10_grid", "a = 1")
    assert cli.main(["run", "--profile", "smoke"]) == 0
    index = tmp_path / "home" / "report" / "smoke" / "index.html"
    index.unlink()
    place(index.parent, ".20_killed", "a = 1")
    place(index.parent, "30_of_an_older_kit", "a = 1")
    assert cli.main(["report", "smoke"]) == 0
    assert "killed" not in index.read_text() and "older" not in index.read_text()
    assert "10_grid" in index.read_text()


def test_dry_run_ends_with_the_sweep(folder, tmp_path, capsys):
    dry = "import os; print('dry', os.environ['TLKIT_DRY_RUN'])"
    place(folder, "10_grid", "a = 1", dry, "print('after')", sweep=1)
    place(folder, "50_luck", "print('after')")
    assert cli.main(["run", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    report = tmp_path / "home" / "report" / "lab-dry-run"
    assert "50_luck: skipped" in printed
    assert printed.splitlines()[-1] == f"Report: {report / 'index.html'}"
    assert outputs(report / "10_grid.ipynb") == "dry 1\n"
    assert not (report / "50_luck.ipynb").exists()
    assert "TLKIT_DRY_RUN" not in os.environ


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["11_freezign"], "11_freezing"),
        (["1"], "not unique"),
        (["--profile", "papr"], "nearest valid: paper"),
        (["-p", "seed", "[1]"], "seeds"),
        (["-p", "seeds", "0, 1"], "(0, 1)"),
        (["-p", "seeds", "many"], "'many'"),
        (["10", "-p", "seeds", "[1]"], "unknown parameter 'seeds'"),
        (["-p", "profile", "paper"], "--profile"),
        (["10", "--seeds", "3"], "unknown parameter 'seeds'"),
    ],
)
def test_a_mistyped_argument_is_one_line_and_starts_nothing(
    folder, tmp_path, capsys, arguments, remedy
):
    place(folder, "10_plain")
    place(folder, "11_freezing", declared=PROFILE + "\nseeds = [0]")
    assert cli.main(["run", *arguments]) == 2
    message = capsys.readouterr().err
    assert remedy in message and message.count("\n") == 1
    assert not (tmp_path / "home").exists()


MEET = """import time
from pathlib import Path
mine, other = Path("{0}.met"), Path("{1}.met")
mine.touch()
while not other.exists():
    time.sleep(0.1)"""


def test_two_notebooks_are_under_way_at_a_time_and_the_last_waits(folder, tmp_path):
    """The first two wait for each other: one after the other they would never end."""
    places = [tmp_path / "one", tmp_path / "two"]
    report = tmp_path / "home" / "report" / "smoke"
    place(folder, "10_one", MEET.format(*places))
    place(folder, "20_two", MEET.format(*reversed(places)))
    place(folder, "90_last", f"import os; print(sorted(os.listdir({str(report)!r})))")
    assert cli.main(["run", "--profile", "smoke", "--jobs", "2"]) == 0
    assert "['.90_last.ipynb', '10_one.ipynb', '20_two.ipynb']" in outputs(report / "90_last.ipynb")


def test_seeds_and_jobs_reach_the_notebooks(folder, tmp_path, capsys):
    tell = "import os; print(seeds, os.environ['TLKIT_JOBS'])"
    place(folder, "10_grid", tell, declared=PROFILE + "\nseeds = 0")
    assert cli.main(["run", "--profile", "smoke", "--seeds", "3", "--jobs", "7"]) == 0
    assert outputs(tmp_path / "home" / "report" / "smoke" / "10_grid.ipynb") == "3 7\n"
    assert "TLKIT_JOBS" not in os.environ


def test_two_notebooks_share_the_workers_and_the_last_has_all(folder, tmp_path):
    names = ["10_one", "20_two", "90_last"]
    for name in names:
        place(folder, name, "import os; print(os.environ['TLKIT_JOBS'])")
    assert cli.main(["run", "--profile", "smoke", "--jobs", "7"]) == 0
    report = tmp_path / "home" / "report" / "smoke"
    assert [outputs(report / f"{name}.ipynb") for name in names] == ["3\n", "3\n", "7\n"]


@pytest.fixture
def interruptible():
    """A process that a shell has put into the background ignores Ctrl-C otherwise."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_after_ctrl_c_no_further_notebook_is_begun(folder, tmp_path, interruptible):
    place(folder, "10_stop", f"import os, signal; os.kill({os.getpid()}, signal.SIGINT)")
    for name in ("20_two", "30_three", "40_four", "90_last"):
        place(folder, name, "import time; time.sleep(3)")
    assert cli.main(["run", "--profile", "smoke", "--jobs", "2"]) == 130
    begun = (tmp_path / "home" / "report" / "smoke").glob("*.ipynb")
    assert {path.name.lstrip(".") for path in begun} <= {"10_stop.ipynb", "20_two.ipynb"}


def test_the_time_is_forecast_from_timed_steps(folder, capsys, monkeypatch):
    monkeypatch.setattr(forecast, "step_seconds", lambda: 0.05)
    minutes = {"10_grid": 6, "other": 9}
    monkeypatch.setattr(
        forecast,
        "lab_minutes",
        lambda step, jobs: {name: each / jobs for name, each in minutes.items()},
    )
    place(folder, "10_grid", "a = 1")
    assert cli.main(["run", "10", "--jobs", "2"]) == 0
    assert capsys.readouterr().out.startswith("About 3 min ")


@pytest.mark.parametrize("option", ["--seeds", "--jobs"])
@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_a_number_that_makes_no_sense_is_refused(folder, capsys, option, value):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", option, value])
    assert option in capsys.readouterr().err


def test_notebooks_are_found_by_number_name_and_beginning(folder):
    for name in ("10_plain", "11_freezing", "11_freezing_more", "draft"):
        place(folder, name)
    assert notebooks.available()[0].stem == "10_plain"
    assert len(notebooks.available()) == 3
    for text in ("11_freezing", str(folder / "11_freezing.ipynb")):
        assert notebooks.find(text) == folder / "11_freezing.ipynb"
    assert notebooks.find("10") == notebooks.find("10_pl") == folder / "10_plain.ipynb"


def test_audit_prints_every_finding_within_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "70")
    assert cli.main(["audit"]) == 0
    printed = capsys.readouterr().out
    assert "reyes2022: IMPOSSIBLE (1)" in printed and max(map(len, printed.splitlines())) <= 70
    words = " ".join(printed.split())
    for row in audit().itertuples():
        assert f"{row.where}: {row.published} {row.finding} [{row.check}]" in words


def test_audit_of_one_study_prints_that_one_and_an_unknown_one_is_refused(capsys):
    assert cli.main(["audit", "vuong2022"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("vuong2022: INCONSISTENT") and "reyes2022" not in printed
    assert cli.main(["audit", "vuong2020"]) == 2
    assert "vuong2022" in capsys.readouterr().err


def test_a_reader_who_has_seen_enough_gets_no_traceback():
    """As in `tlkit audit | head`: the reader is gone before the first line."""
    reader, writer = os.pipe()
    os.close(reader)
    code = "import sys; from tlkit.cli import main; sys.exit(main(['audit', 'reyes2022']))"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert ended.stderr == "" and ended.returncode == 141


def test_the_examples_of_the_help_are_accepted(tmp_path, monkeypatch, capsys):
    """They name the real notebooks and their real parameters; nothing is run."""
    calls = []
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path))
    monkeypatch.setattr(notebooks, "execute_all", lambda *call: calls.append(call) or [])
    monkeypatch.setattr(forecast, "step_seconds", lambda: 0.05)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["run", "--help"])
    examples = capsys.readouterr().out.partition("examples:\n")[2].splitlines()
    assert len(examples) > 2
    for example in examples:
        program, *arguments = shlex.split(example)
        assert program == "tlkit" and cli.main(arguments) == 0
    assert len(calls) == len(examples)


def test_a_copy_stores_its_tables_under_its_own_name(folder):
    for name in ("10_grid", "11_grid_copy"):
        place(folder, name, SWEEP)
    assert cli.main(["run", "--profile", "smoke"]) == 0
    runs = stored("runs", "smoke")
    assert list(runs["notebook"]) == ["10_grid"] * 2 + ["11_grid_copy"] * 2


def test_help_loads_nothing_heavy():
    heavy = "{'torch', 'papermill', 'nbconvert', 'tlkit.experiments.pretraining'}"
    code = "import sys, tlkit; known = set(sys.modules); import tlkit.cli; "
    code += f"sys.exit(len({heavy} & set(sys.modules) - known))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_path_runs_that_very_file_under_its_own_name(folder, tmp_path, capsys):
    place(folder, "10_grid", SWEEP)
    place(tmp_path / "mine", "10_grid", SWEEP + "\nprint('mine')")
    place(tmp_path / "mine", "copy.v2 {x} $a", SWEEP + "\nprint('copy')")
    paths = [str(tmp_path / "mine" / f"{name}.ipynb") for name in ("10_grid", "copy.v2 {x} $a")]
    assert cli.main(["run", "10_grid", *paths, "--profile", "smoke"]) == 0
    report = tmp_path / "home" / "report" / "smoke"
    assert outputs(report / "copy.v2 {x} $a.ipynb").endswith("copy\n")
    pages = {path.stem: outputs(path).endswith("mine\n") for path in report.glob("*.ipynb")}
    assert len(pages) == 3 and not pages["10_grid"] and sum(pages.values()) == 1
    assert set(stored("runs", "smoke")["notebook"]) == set(pages)  # no rows are replaced
    index = BeautifulSoup((report / "index.html").read_text("utf-8"), "html.parser")
    commands = [shlex.split(code.get_text()) for code in index.select(".notebooks code")]
    assert {command[2] for command in commands} == {"10_grid", *paths}
    for link in index.select("tbody th a"):
        assert (report / unquote(link["href"])).is_file()


def test_a_path_that_ends_early_and_a_name_that_is_both_are_refused(
    folder, tmp_path, capsys, monkeypatch
):
    place(folder, "10_grid", "a = 1")
    place(tmp_path, "10_grid", "a = 1")
    (tmp_path / "list.ipynb").write_text("[1]", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for text, message in {
        f"{tmp_path}/no/such/x.ipynb": f"there is no 'no' in {tmp_path}",
        "10_grid.ipynb": f"both the notebook {folder}",
        "10_grid": f"the file {tmp_path}",
        f"{tmp_path}": "is a folder",
        "./list.ipynb": "is no notebook",
    }.items():
        assert cli.main(["run", text]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_nothing_to_run_is_an_error(folder, tmp_path, capsys):
    """As in a wheel, which has no notebooks."""
    folder.mkdir()
    assert cli.main(["run", "--profile", "smoke"]) == 2
    assert str(folder) in capsys.readouterr().err
    place(folder, "50_luck", "a = 1")
    assert cli.main(["run", "--dry-run"]) == 2
    assert not (tmp_path / "home").exists()


def test_a_home_that_cannot_be_written_is_one_line_that_names_the_setting(
    folder, tmp_path, capsys, monkeypatch
):
    place(folder, "10_grid", "a = 1")

    def mkdir(path, *more, **named):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(cli.Path, "mkdir", mkdir)
    assert cli.main(["run", "--profile", "smoke"]) == 2
    error = capsys.readouterr().err
    assert "TLKIT_HOME" in error and error.count("\n") == 1


def test_a_killed_kernel_or_worker_is_told_with_its_cell_and_the_remedy(folder, tmp_path):
    place(folder, "10_kernel", "import os\nos.kill(os.getpid(), 9)")
    work = "import os, joblib\ndef die(i): os.kill(os.getpid(), 9)\n"
    place(folder, "20_worker", work + "joblib.Parallel(2)([joblib.delayed(die)(0)] * 2)")
    assert cli.main(["run", "--profile", "smoke"]) == 1
    report = tmp_path / "home" / "report" / "smoke"
    for name, who in {"10_kernel": "The kernel", "20_worker": "A process that trains"}.items():
        error = nbformat.read(report / f"{name}.ipynb", as_version=4).metadata.tlkit.error
        assert error.startswith("cell [") and "] import os" in error and "fewer --jobs" in error
        assert f"{who} was killed" in error and "memory" in error and "egmentation" not in error


def test_sockets_fit_into_any_temporary_folder(folder, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    place(folder, "10_grid", "a = 1")
    assert cli.main(["run", "--profile", "smoke"]) == 0
    with kernels.private_sockets() as config:
        assert len(config.KernelManager.connection_file) < 80
    monkeypatch.setattr(kernels.os, "access", lambda *place: False)
    with kernels.private_sockets() as config:
        assert not config.KernelManager  # TCP


@pytest.mark.parametrize("name", ["/dev/null", "/nowhere", OSError("no name")])
def test_a_terminal_that_cannot_be_opened_gets_no_bars(monkeypatch, name):
    def ttyname(file):
        if isinstance(name, OSError):
            raise name
        return name

    monkeypatch.setattr(notebooks.os, "isatty", lambda file: file == 2)
    monkeypatch.setattr(notebooks.os, "ttyname", ttyname)
    assert notebooks._terminal() == "off"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_sigterm_ends_the_run_and_every_process_of_it(tmp_path):
    busy = "import joblib, os, time\nfrom pathlib import Path\ndef work(i):\n"
    busy += f"    Path({str(tmp_path)!r}, f'{{os.getpid()}}.pid').touch(); time.sleep(100)\n"
    busy += "joblib.Parallel(2)(joblib.delayed(work)(i) for i in range(2))"
    for name in ("one", "two"):
        place(tmp_path / "mine", name, busy)
    code = "import sys; from tlkit.cli import main; sys.exit(main(sys.argv[1:]))"
    paths = [str(tmp_path / "mine" / f"{name}.ipynb") for name in ("one", "two")]
    command = [sys.executable, "-c", code, "run", "--profile", "smoke", "--jobs", "2", *paths]
    environment = os.environ | {"TLKIT_HOME": str(tmp_path / "home")}
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    workers = [psutil.Process(int(path.stem)) for path in tmp_path.glob("*.pid")]
    children = psutil.Process(run.pid).children(recursive=True)
    assert len(workers) == 2 and len(children) >= 3
    run.terminate()
    _, error = run.communicate(timeout=30)
    assert run.returncode == 143 and "carries on" in error
    _, alive = psutil.wait_procs([*workers, *children], timeout=10)
    assert not alive
