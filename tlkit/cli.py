"""The command `tlkit`: run notebooks, report, audit studies, examine the machine, pretrain."""

import os
import signal
import sys
import textwrap
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from shutil import get_terminal_size
from threading import current_thread, main_thread
from types import FrameType
from typing import cast

from tlkit.ground.names import UnknownName, check_name
from tlkit.ground.paths import explained, home
from tlkit.runner.parameters import PROFILES

EXAMPLES = """examples:
  tlkit run
  tlkit run 11 31 --seeds 10 --jobs 2
  tlkit run 11_freezing -p task digits -p changes "{'lr': 0.1, 'epochs': 5}"
  tlkit run 11_freezing --profile paper --dry-run"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 if all is well, 1 if a notebook failed, 2 for a wrong argument."""
    for stream in (sys.stdout, sys.stderr):  # a name may have letters that the terminal has not
        with suppress(AttributeError):
            cast(TextIOWrapper, stream).reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        with _told_to_stop():
            status = options.do(options)
        sys.stdout.flush()
        return status
    except (UnknownName, OSError) as problem:
        if isinstance(problem, BrokenPipeError):  # `tlkit audit | head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
            return 141
        return _refuse(problem)
    except KeyboardInterrupt as stop:
        print("Stopped. The same command carries on from the runs it has stored.", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Take SIGTERM and a closed terminal as Ctrl-C, so that no process is left behind."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    names = [each for each in ("SIGTERM", "SIGHUP") if hasattr(signal, each)]
    numbers = [getattr(signal, name) for name in names if current_thread() is main_thread()]
    numbers = [each for each in numbers if signal.getsignal(each) is signal.SIG_DFL]  # not nohup
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _refuse(problem: object) -> int:
    print("tlkit:", " ".join(line.strip() for line in str(problem).splitlines()), file=sys.stderr)
    return 2


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="tlkit", description=__doc__.partition(": ")[2])
    parser.add_argument("--version", action="version", version=f"tlkit {version('tlkit')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(do: Callable[[Namespace], int], examples: str | None = None) -> Callable:
        added = commands.add_parser(do.__name__, help=do.__doc__, description=do.__doc__)
        added.epilog, added.formatter_class = examples, RawDescriptionHelpFormatter
        added.set_defaults(do=do)
        return added.add_argument

    add = command(run, EXAMPLES)
    add("notebooks", nargs="*", metavar="NOTEBOOK", help="number, name or path; none means all")
    add("--profile", default="lab", help=f"{', '.join(PROFILES)}; default lab")
    pair, meaning = ("NAME", "VALUE"), "set a notebook's parameter to a Python literal"
    add("-p", dest="parameters", nargs=2, action="append", default=[], metavar=pair, help=meaning)
    add("--seeds", type=_positive, metavar="N", help="paired seeds; default: the profile's own")
    add("--jobs", type=_positive, metavar="N", help="processes that train; default: one per core")
    add("--dry-run", action="store_true", help="only build every arm and take two steps")
    command(report)("profile", nargs="?", default="lab", metavar="PROFILE")
    command(audit)("study", nargs="?", metavar="STUDY", help="none means all")
    command(doctor)
    command(pretrain)
    return parser


def run(options: Namespace) -> int:
    """Run notebooks and write an HTML report."""
    from tlkit.experiments.workers import workers
    from tlkit.runner.forecast import forecast
    from tlkit.runner.notebooks import execute_all, has_sweep
    from tlkit.runner.report import write

    profile, dry_run, jobs = options.profile, options.dry_run, options.jobs or workers()
    try:
        shares = _shares(options)
    except (ValueError, TypeError) as problem:
        return _refuse(problem)
    if not dry_run:
        print(forecast([path.stem for path in shares], profile, jobs), flush=True)
    for path in [path for path in shares if dry_run and not has_sweep(path)]:
        print(f"{path.stem}: skipped, it has no sweep")
        del shares[path]
    if not shares:
        return _refuse("none of these notebooks has a sweep to try")
    folder = home().absolute() / "report" / (f"{profile}-dry-run" if dry_run else profile)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    start, failed = time.monotonic(), False
    endings = execute_all(shares, folder, profile, dry_run, jobs)
    for number, (name, error) in enumerate(endings, start=1):
        done = f"[{number}/{len(shares)}] after {(time.monotonic() - start) / 60:.1f} min"
        print(f"{done} {name}: {f'failed at {error}' if error else 'ok'}", flush=True)
        failed |= error is not None
    print(f"Report: {write(folder)}")
    return int(failed)


def _shares(options: Namespace) -> dict[Path, Mapping[str, object]]:
    """Return the notebooks to run with their parameters; raises what `notebooks.assign` raises."""
    from tlkit.runner.notebooks import assign, available, find

    check_name("profile", options.profile, PROFILES)
    parameters: dict[str, object] = dict(options.parameters)
    if "profile" in parameters:
        raise ValueError("the profile is set by --profile")
    if options.seeds:
        parameters["seeds"] = options.seeds
    return assign([find(name) for name in options.notebooks] or available(), parameters)


def report(options: Namespace) -> int:
    """Write the HTML report again, on all notebooks that were run in a profile."""
    from tlkit.runner.report import executed, write

    profile = options.profile
    check_name("profile", profile, [*PROFILES, *(f"{each}-dry-run" for each in PROFILES)])
    folder = home().absolute() / "report" / profile
    if not executed(folder):
        return _refuse(f"nothing has been run in {folder}; tlkit run --profile {profile} does")
    print(f"Report: {write(folder)}")
    return 0


def audit(options: Namespace) -> int:
    """Check the published numbers of the studies; print the gravest findings first."""
    from tlkit.studies.audit import STUDIES
    from tlkit.studies.audit import audit as findings_of

    width = min(get_terminal_size().columns, 100)
    wrap = textwrap.TextWrapper(width, subsequent_indent="  ", break_on_hyphens=False).fill
    for name in [options.study] if options.study else STUDIES:
        for kind, findings in findings_of(name).groupby("kind", sort=False):
            print(f"{name}: {kind.upper()} ({len(findings)})\n")
            for row in findings.itertuples():
                print(wrap(f"{row.where}: {row.published}"))
                print(wrap(f"  {row.finding} [{row.check}]"), end="\n\n")
    return 0


def doctor(options: Namespace) -> int:
    """Say what this machine can run, and how long it takes."""
    from tlkit.runner.doctor import examine

    for subject, finding in examine():
        print(f"{subject:<14} {finding}", flush=True)
    return 0


def pretrain(options: Namespace) -> int:
    """Train the weights of the small Xception again."""
    from tlkit.experiments.pretraining import pretrain

    pretrain()
    return 0


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ArgumentTypeError(f"must be 1 or more, not {text}")
    return int(text)
