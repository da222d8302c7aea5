"""Find the notebooks and run them without a browser."""

import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
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
Parameters = Mapping[str, object]


def available() -> list[Path]:
    """Return all notebooks, in the order of their numbers."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def find(text: str) -> Path:
    """Return the notebook with this number, name or beginning of a name.

    Raises `UnknownName` where there is none, or more than one.
    """
    start, names = Path(text).stem, [path.stem for path in available()]
    matches = [start] if start in names else [name for name in names if name.startswith(start)]
    if not matches:
        raise unknown("notebook", start, names)
    if len(matches) > 1:
        raise UnknownName(f"notebook {start!r} is not unique: {', '.join(matches)}")
    return FOLDER / f"{matches[0]}.ipynb"


def assign(paths: Sequence[Path], parameters: Parameters) -> dict[Path, Parameters]:
    """Give each notebook those of the parameters that it declares.

    Raises `UnknownName` for a name that no notebook declares, and what `check` raises.
    """
    defaults = {path: declared(_parameters_cell(load_notebook_node(str(path)))) for path in paths}
    known = set().union(*defaults.values())
    for name in parameters:
        check_name("parameter", name, known)
    shares: dict[Path, Parameters] = {}
    for path, names in defaults.items():
        shares[path] = {name: value for name, value in parameters.items() if name in names}
        check(shares[path], names)
    return shares


def _parameters_cell(notebook: nbformat.NotebookNode) -> str:
    index = find_first_tagged_cell_index(notebook, "parameters")
    return notebook.cells[index].source if index >= 0 else ""


def has_sweep(path: Path) -> bool:
    """Return whether a dry run has something to try: a cell tagged `sweep`."""
    return find_first_tagged_cell_index(load_notebook_node(str(path)), "sweep") >= 0


def execute_all(
    shares: Mapping[Path, Parameters], folder: Path, profile: str, dry_run: bool, workers: int
) -> Iterator[tuple[str, str | None]]:
    """Run notebooks with their parameters, into `folder`; yield the name and error of each.

    Two run at a time, each with half of the `workers`. (With two workers, every kernel trains by
    itself: no worker has to import PyTorch, and no core waits while a notebook draws.) The last
    notebook waits for the others, because it may read their results, and has all workers.
    """
    todo = [(path, folder / path.name, profile, shares[path], dry_run) for path in shares]
    lanes = max(1, min(2, workers, len(todo) - 1))
    threads = {"OMP_NUM_THREADS": str(max(1, cpu_count() // lanes))}
    with (
        patch.dict(os.environ, threads | os.environ | {"TLKIT_JOBS": str(workers // lanes)}),
        ProcessPoolExecutor(lanes, get_context("spawn")) as pool,
    ):
        waiting = iter(todo[:-1])  # submitted one by one: Ctrl-C cannot stop what a pool has
        running = {pool.submit(execute, *each) for each in islice(waiting, lanes)}
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(execute, *each) for each in islice(waiting, len(ended))}
            yield from (each.result() for each in ended)
    with patch.dict(os.environ, {"TLKIT_JOBS": str(workers)}):
        yield from (execute(*each) for each in todo[-1:])


def execute(
    path: Path, output: Path, profile: str, parameters: Parameters, dry_run: bool = False
) -> tuple[str, str | None]:
    """Run one notebook in a fresh kernel. `output` appears when it has ended, well or badly.

    A dry run ends with the cell tagged `sweep`. An error is never raised. Name and error are
    returned, the error with the failed cell and the end of its traceback; `output` has it too.
    """
    notebook, injected = load_notebook_node(str(path)), {"profile": profile, **parameters}
    in_effect = declared(_parameters_cell(notebook)) | injected
    about = {"parameters": in_effect, "profile": profile, "dry_run": dry_run}
    if dry_run:
        notebook.cells = notebook.cells[: find_first_tagged_cell_index(notebook, "sweep") + 1]
    draft = output.with_name(f".{output.name}")
    nbformat.write(notebook, draft)
    with patch.dict(os.environ, _variables(path.stem, dry_run)):  # the kernel inherits them
        error = _run(draft, injected)
    executed = load_notebook_node(str(draft))
    executed.metadata["tlkit"] = about | {"error": error}
    nbformat.write(executed, draft)
    draft.replace(output)
    return path.stem, error


def _variables(name: str, dry_run: bool) -> dict[str, str]:
    """Return the environment of a notebook's kernel."""
    # Progress bars belong onto the terminal, where there is one, and never into the notebook.
    terminal = os.ttyname(2) if os.name == "posix" and os.isatty(2) else "off"
    variables = KEEP_MEMORY | os.environ | {"TLKIT_PROGRESS": terminal, "TLKIT_NOTEBOOK": name}
    return variables | ({"TLKIT_DRY_RUN": "1"} if dry_run else {})


def _run(draft: Path, parameters: Parameters) -> str | None:
    """Run the notebook `draft` in place and return its error, if there is one."""
    with TemporaryDirectory() as folder:
        # Sockets in files are private, and cause no warning of an open port.
        sockets = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
        try:
            papermill.execute_notebook(
                draft,
                draft,
                parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                extra_arguments=["--log-level=CRITICAL"],  # it logs as an error how it ends
                config=Config({"KernelManager": sockets if os.name == "posix" else {}}),
            )
        except Exception as problem:  # a time-out and a dead kernel are no PapermillExecutionError
            message = traceback.format_exception_only(problem)[-1].splitlines()
            last = [line for line in message if line.strip("- ")][-6:]
            return "\n".join([_failed_cell(draft), *last])
    return None


def _failed_cell(path: Path) -> str:
    """Return number and first line of the last cell that was started."""
    place = "before the first cell"
    for cell in load_notebook_node(str(path)).cells:
        if cell.cell_type == "code" and cell.metadata.papermill.get("start_time"):
            place = f"cell [{cell.execution_count or '*'}] " + cell.source.partition("\n")[0]
    return place
