"""Find the notebooks and run them headlessly."""

import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import nbformat
import papermill
from joblib import cpu_count
from papermill.iorw import load_notebook_node
from papermill.utils import find_first_tagged_cell_index
from traitlets.config import Config

from tlkit.ground.machine import KEEP_MEMORY
from tlkit.ground.names import UnknownName, check_name, unknown
from tlkit.ground.paths import ROOT
from tlkit.runner.parameters import check, declared

FOLDER = ROOT / "notebooks"


@dataclass(frozen=True)
class Outcome:
    """How one notebook went; `error` names the failing cell and ends its traceback."""

    name: str
    error: str | None


def available() -> list[Path]:
    """All notebooks, in the order of their numbers."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def find(wanted: str) -> Path:
    """The notebook of that number, name or beginning of a name; else raises `UnknownName`."""
    wanted = Path(wanted).stem
    names = [path.stem for path in available()]
    matches = [wanted] if wanted in names else [name for name in names if name.startswith(wanted)]
    if not matches:
        raise unknown("notebook", wanted, names)
    if len(matches) > 1:
        raise UnknownName(f"notebook {wanted!r} is not unique: {', '.join(matches)}")
    return FOLDER / f"{matches[0]}.ipynb"


def assign(paths: Sequence[Path], given: Mapping[str, object]) -> dict[Path, dict[str, object]]:
    """Deal the given parameters out to the notebooks that declare them.

    Raises `UnknownName` for a name that no notebook declares, and what `check` raises.
    """
    defaults = {path: declared(_parameters_cell(load_notebook_node(str(path)))) for path in paths}
    known = set().union(*defaults.values())
    for name in given:
        check_name("parameter", name, known)
    shares = {}
    for path, names in defaults.items():
        shares[path] = {name: value for name, value in given.items() if name in names}
        check(shares[path], names)
    return shares


def _parameters_cell(notebook: nbformat.NotebookNode) -> str:
    index = find_first_tagged_cell_index(notebook, "parameters")
    return notebook.cells[index].source if index >= 0 else ""


def has_sweep(path: Path) -> bool:
    """Whether a dry run has something to try: a cell tagged `sweep`."""
    return find_first_tagged_cell_index(load_notebook_node(str(path)), "sweep") >= 0


def execute_all(
    shares: Mapping[Path, Mapping[str, object]], folder: Path, profile: str, dry_run: bool,
    workers: int,
) -> Iterator[Outcome]:
    """Run notebooks with their parameters, into `folder`; an outcome for each as it ends.

    Two are under way at a time, each with half of the `workers`. (With two, every kernel trains
    by itself: no worker has to import PyTorch, and no core waits while a notebook draws.) The
    last waits for the others, because it may read what they have found, and has all workers.
    """
    todo = [(path, folder / path.name, profile, shares[path], dry_run) for path in shares]
    lanes = max(1, min(2, workers, len(todo) - 1))
    threads = {"OMP_NUM_THREADS": str(max(1, cpu_count() // lanes))}
    with patch.dict(os.environ, threads | os.environ | {"TLKIT_JOBS": str(workers // lanes)}):
        with ProcessPoolExecutor(lanes, get_context("spawn")) as pool:
            waiting = iter(todo[:-1])  # handed over one by one: what a pool has, Ctrl-C cannot stop
            running = {pool.submit(execute, *each) for each in islice(waiting, lanes)}
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(execute, *each) for each in islice(waiting, len(ended))}
                yield from (each.result() for each in ended)
    yield from (execute(*each) for each in todo[-1:])


def execute(
    path: Path, output: Path, profile: str, parameters: Mapping[str, object], dry_run: bool = False
) -> Outcome:
    """Run one notebook in a fresh kernel; `output` appears when it has ended, well or badly.

    A dry run ends with the cell tagged `sweep`. Whatever goes wrong is told, here and in the
    metadata of `output`, and never raised.
    """
    notebook, given = load_notebook_node(str(path)), {"profile": profile, **parameters}
    # Bars belong on the terminal, where there is one, and never into the notebook.
    watched = os.name == "posix" and os.isatty(2)
    bars = {"TLKIT_PROGRESS": os.ttyname(2) if watched else "off"}
    variables = KEEP_MEMORY | os.environ | bars | {"TLKIT_NOTEBOOK": path.stem}
    if dry_run:
        variables["TLKIT_DRY_RUN"] = "1"
        notebook.cells = notebook.cells[: find_first_tagged_cell_index(notebook, "sweep") + 1]
    draft = output.with_name(f".{output.name}")
    nbformat.write(notebook, draft)
    error = None
    # The kernel inherits the variables. Sockets in files are private, and warn of no open port.
    with patch.dict(os.environ, variables), TemporaryDirectory() as folder:
        files = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
        try:
            papermill.execute_notebook(
                draft,
                draft,
                given,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                extra_arguments=["--log-level=CRITICAL"],  # it logs as an error how it ends
                config=Config({"KernelManager": files if os.name == "posix" else {}}),
            )
        except Exception as problem:  # a time-out and a dead kernel are no PapermillExecutionError
            told = traceback.format_exception_only(problem)[-1].splitlines()
            last = [line for line in told if line.strip("- ")][-6:]
            error = "\n".join([_failed_cell(draft), *last])
    executed = load_notebook_node(str(draft))
    in_effect = declared(_parameters_cell(notebook)) | given
    executed.metadata["tlkit"] = {
        "parameters": in_effect, "profile": profile, "dry_run": dry_run, "error": error,
    }
    nbformat.write(executed, draft)
    draft.replace(output)
    return Outcome(path.stem, error)


def _failed_cell(path: Path) -> str:
    """The last cell that was started, by its number and first line."""
    place = "before the first cell"
    for cell in load_notebook_node(str(path)).cells:
        if cell.cell_type == "code" and cell.metadata.papermill.get("start_time"):
            place = f"cell [{cell.execution_count or '*'}] " + cell.source.partition("\n")[0]
    return place
