"""Find the notebooks and run them without a browser."""

import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

import nbformat
import papermill
from joblib import cpu_count
from papermill.iorw import load_notebook_node
from papermill.utils import find_first_tagged_cell_index

from tlkit.ground.machine import KEEP_MEMORY
from tlkit.ground.names import UnknownName, check_name, unknown
from tlkit.ground.paths import ROOT, explained
from tlkit.ground.settings import open_terminal
from tlkit.runner import kernels
from tlkit.runner.parameters import check, check_recipe, declared, literal, missing, name_of

FOLDER = ROOT / "notebooks"
LINES = 40  # of an error, in the report
Parameters = Mapping[str, object]


def available() -> list[Path]:
    """Return all notebooks, in the order of their numbers."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def find(text: str) -> Path:
    """Return the notebook with this path, or this number, name or beginning of a name.

    What has a slash is a path. Raises `UnknownName` where there is no notebook, or more than one.
    """
    path = Path(text).expanduser()
    if path.name != text:
        if not path.is_file():
            raise UnknownName(f"notebook: {missing(path)}")
        return next((own for own in available() if own.samefile(path)), path)
    start, names = text.removesuffix(".ipynb"), [path.stem for path in available()]
    matches = [start] if start in names else [name for name in names if name.startswith(start)]
    files = [file for file in (path, Path(f"{start}.ipynb")) if file.is_file()]
    found = [FOLDER / f"{name}.ipynb" for name in matches]
    if files and not any(files[0].samefile(each) for each in found):
        if matches:
            both = f"the notebook {found[0]} and the file {files[0].absolute()}"
            raise UnknownName(f"{text!r} is both {both}; give the path of one of them")
        if text.endswith(".ipynb"):
            return files[0]
    if not matches:
        remedy = f"; for a file of your own give its path: ./{files[0]}" if files else ""
        raise unknown("notebook", start, names, remedy)
    if len(matches) > 1:
        raise UnknownName(f"notebook {start!r} is not unique: {', '.join(matches)}")
    return found[0]


def name(path: Path) -> str:
    """Return the name of the page and of the tables of a notebook."""
    return name_of(path, FOLDER)


def assign(paths: Sequence[Path], parameters: Parameters) -> dict[Path, Parameters]:
    """Give each notebook those of the parameters that it declares; a text may be a literal.

    Raises `UnknownName` for a name that no notebook declares, ValueError for what is no notebook
    or for two of one name, and what `check` and `check_recipe` raise.
    """
    if not paths:
        raise ValueError(f"there are no notebooks in {FOLDER}; give the path of a notebook")
    names = {name(path): path for path in paths}
    twice = [path for path in paths if not path.samefile(names[name(path)])]
    if twice:
        raise ValueError(f"{twice[0]} and {names[name(twice[0])]} have one name; run one by one")
    defaults = {path: _declared(path) for path in names.values()}
    known = set().union(*defaults.values())
    for parameter in parameters:
        check_name("parameter", parameter, known)
    shares: dict[Path, Parameters] = {}
    for path, own in defaults.items():
        shares[path] = {
            each: literal(value, own[each]) for each, value in parameters.items() if each in own
        }
        check(shares[path], own)
        check_recipe(shares[path])
    return shares


def _read(path: Path) -> nbformat.NotebookNode:
    if path.suffix != ".ipynb":
        raise ValueError(f"{path} is no notebook: its name must end in .ipynb")
    try:
        return load_notebook_node(str(path.absolute()))  # papermill has a folder of its own
    except OSError:
        raise
    except Exception as problem:  # nbformat has many for a file that is no notebook
        reason = str(problem).partition("\n")[0]
        raise ValueError(f"{path} is no notebook: {reason}") from problem


def _declared(path: Path) -> dict[str, object]:
    source = _parameters_cell(_read(path))
    try:
        return declared(source)
    except ValueError as problem:
        raise ValueError(f"{path.name}: {problem}") from None


def _parameters_cell(notebook: nbformat.NotebookNode) -> str:
    index = find_first_tagged_cell_index(notebook, "parameters")
    return notebook.cells[index].source if index >= 0 else ""


def has_sweep(path: Path) -> bool:
    """Return whether a dry run has something to try: a cell tagged `sweep`."""
    return find_first_tagged_cell_index(_read(path), "sweep") >= 0


def execute_all(
    shares: Mapping[Path, Parameters], folder: Path, profile: str, dry_run: bool, workers: int
) -> Iterator[tuple[str, str | None]]:
    """Run notebooks with their parameters, into `folder`; yield the name and error of each.

    Two run at a time, each with half of the `workers`. (With two workers, every kernel trains by
    itself: no worker has to import PyTorch, and no core waits while a notebook draws.) The last
    notebook waits for the others, because it may read their results, and has all workers.

    However it ends, no kernel is left. Threads wait for the kernels, so that a signal reaches
    this thread, and `nbclient` leaves signals alone.
    """
    lanes = max(1, min(2, workers, len(shares) - 1))
    threads = {"OMP_NUM_THREADS": str(max(1, cpu_count() // lanes))} | os.environ
    half = {**threads, "TLKIT_JOBS": str(workers // lanes)}
    todo = [
        (path, folder / f"{name(path)}.ipynb", profile, shares[path], dry_run) for path in shares
    ]
    kernels.stopped.clear()
    with ThreadPoolExecutor(lanes) as pool:
        try:
            waiting = iter(todo[:-1])
            running = {pool.submit(execute, *each, half) for each in islice(waiting, lanes)}
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {
                    pool.submit(execute, *each, half) for each in islice(waiting, len(ended))
                }
                yield from (each.result() for each in ended)
            whole = {**os.environ, "TLKIT_JOBS": str(workers)}
            for each in todo[-1:]:
                yield pool.submit(execute, *each, whole).result()
        finally:
            kernels.stop_all()


def execute(
    path: Path,
    output: Path,
    profile: str,
    parameters: Parameters,
    dry_run: bool = False,
    variables: Mapping[str, str] = os.environ,
) -> tuple[str, str | None]:
    """Run one notebook in a fresh kernel. `output` appears when it has ended, well or badly.

    A dry run ends with the cell tagged `sweep`. An error is never raised. Name and error are
    returned, the error with the failed cell and what it raised; `output` has it too.
    """
    notebook, injected = _read(path), {"profile": profile, **parameters}
    in_effect = declared(_parameters_cell(notebook)) | injected
    about = {"parameters": in_effect, "profile": profile, "dry_run": dry_run}
    about["notebook"] = path.stem if path in available() else str(path.absolute())
    if dry_run:
        notebook.cells = notebook.cells[: find_first_tagged_cell_index(notebook, "sweep") + 1]
    draft = output.with_name(f".{output.name}")
    with explained(output):
        nbformat.write(notebook, draft)
    error = _run(draft, injected, _variables(output.stem, dry_run, variables))
    if kernels.stopped.is_set():
        return output.stem, "stopped"  # the draft stays a draft
    executed = load_notebook_node(str(draft))
    executed.metadata["tlkit"] = about | {"error": error}
    nbformat.write(executed, draft)
    draft.replace(output)
    return output.stem, error


def _variables(name: str, dry_run: bool, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a notebook's kernel."""
    # Progress bars belong onto the terminal, where there is one, and never into the notebook.
    own = {"TLKIT_PROGRESS": _terminal(), "TLKIT_NOTEBOOK": name}
    return KEEP_MEMORY | dict(variables) | own | ({"TLKIT_DRY_RUN": "1"} if dry_run else {})


def _terminal() -> str:
    """Return the name of the terminal, or "off" where none can be opened by its name."""
    if os.name != "posix" or not os.isatty(2):
        return "off"
    try:
        terminal = open_terminal(name := os.ttyname(2))
    except OSError:  # in a container, a terminal may have no name
        return "off"
    if terminal is None:
        return "off"
    terminal.close()
    return name


def _run(draft: Path, parameters: Parameters, variables: Mapping[str, str]) -> str | None:
    """Run the notebook `draft` in place and return its error, if there is one."""
    kernel: type[kernels.Kernel] = type("Kernel", (kernels.Kernel,), {"variables": variables})
    file = str(draft).replace("{", "{{").replace("}", "}}")  # papermill fills in braces
    with kernels.private_sockets() as config:
        try:
            papermill.execute_notebook(
                file,
                file,
                parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                extra_arguments=["--log-level=CRITICAL"],  # it logs as an error how it ends
                kernel_manager_class=kernel,
                config=config,
            )
        except Exception as problem:  # a time-out and a dead kernel are no PapermillExecutionError
            message = "".join(traceback.format_exception_only(problem))
            if isinstance(problem, papermill.PapermillExecutionError):
                message = f"{problem.ename}: {problem.evalue}"
            lines = [line for line in message.splitlines() if line.strip("- ")]
            shown = lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]
            killed = kernels.cause(kernel, message)
            if kernel.process:
                kernels.end(kernel.process)
            return "\n".join([_failed_cell(draft), *([killed] if killed else shown)])
    return None


def _failed_cell(path: Path) -> str:
    """Return number and first line of the last cell that was started."""
    place = "before the first cell"
    for cell in load_notebook_node(str(path)).cells:
        if cell.cell_type == "code" and cell.metadata.papermill.get("start_time"):
            place = f"cell [{cell.execution_count or '*'}] " + cell.source.partition("\n")[0]
    return place
