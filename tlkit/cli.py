"""The command `tlkit`: run notebooks, report, audit studies, examine the machine, pretrain."""

import argparse
import ast
import os
import sys
import textwrap
import time
from collections.abc import Sequence
from functools import partial
from shutil import get_terminal_size
from unittest.mock import patch

from tlkit.ground.names import UnknownName, check_name
from tlkit.ground.paths import home
from tlkit.runner.parameters import PROFILES

EXAMPLE = """example:
  tlkit run 11_freezing --profile paper -p seeds "[0, 1, 2]" --dry-run"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 if all went well, 1 if a notebook failed, 2 for a mistyped argument."""
    chosen = _parser().parse_args(arguments)
    try:
        return _do(chosen)
    except UnknownName as problem:
        print(f"tlkit: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command carries on from the runs it has stored.", file=sys.stderr)
        return 130


def _do(chosen: argparse.Namespace) -> int:
    match chosen.command:
        case "pretrain":
            from tlkit.experiments.pretraining import pretrain

            pretrain(chosen.sources)
        case "audit":
            show_audit(chosen.study)
        case "doctor":
            from tlkit.runner.doctor import examine

            for subject, finding in examine():
                print(f"{subject:<14} {finding}", flush=True)
        case "report":
            return write_report(chosen.profile)
        case "run":
            parameters = {name: _value(text) for name, text in chosen.parameters}
            if chosen.seeds is not None:
                parameters["seeds"] = chosen.seeds
            jobs = {"TLKIT_JOBS": str(chosen.jobs)} if chosen.jobs else {}
            with patch.dict(os.environ, jobs):
                return run(chosen.notebooks, chosen.profile, parameters, chosen.dry_run)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tlkit", description=__doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True)
    pretrain_command = commands.add_parser(
        "pretrain", help="train the source weights of the small Xception anew"
    )
    pretrain_command.add_argument(
        "sources", nargs="*", metavar="SOURCE", help="full, 50x98 and so on; none means all"
    )
    commands.add_parser("doctor", help="say what this machine can run, and how long it takes")
    report_command = commands.add_parser("report", help="write the HTML report anew")
    report_command.add_argument("profile", nargs="?", default="lab", metavar="PROFILE")
    audit_command = commands.add_parser("audit", help="check the studies' published numbers")
    audit_command.add_argument("study", nargs="?", metavar="STUDY", help="none means all")
    run_command = commands.add_parser(
        "run",
        help="run notebooks headlessly and write an HTML report",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = run_command.add_argument
    add("notebooks", nargs="*", metavar="NOTEBOOK", help="number or name; none means all")
    add("--profile", default="lab", help=f"{', '.join(PROFILES)}; default lab")
    add(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a notebook's parameter to a Python literal",
    )
    add("--seeds", type=_positive, metavar="N", help="paired seeds; default: the profile's own")
    add("--jobs", type=_positive, metavar="N", help="processes that train; default: one per core")
    add("--dry-run", action="store_true", help="only build every arm and take two steps")
    return parser


def show_audit(study: str | None) -> None:
    """Print every finding, study by study, the gravest first, wrapped to the terminal."""
    from tlkit.studies.audit import STUDIES, audit

    audits = {name: audit(name) for name in ([study] if study else STUDIES)}
    width = min(get_terminal_size().columns, 100)
    wrap = partial(textwrap.fill, width=width, break_on_hyphens=False)
    for name, every in audits.items():
        for kind, found in every.groupby("kind", sort=False):
            print(f"{name}: {kind.upper()} ({len(found)})\n")
            for row in found.itertuples():
                print(wrap(f"{row.where}: {row.published}", subsequent_indent="  "))
                told = f"{row.finding} [{row.check}]"
                print(wrap(told, initial_indent="  ", subsequent_indent="  "), end="\n\n")


def write_report(profile: str) -> int:
    """Write the report on all notebooks that `tlkit run` has run in a profile."""
    from tlkit.runner import report

    check_name("profile", profile, [*PROFILES, *(f"{each}-dry-run" for each in PROFILES)])
    folder = home().absolute() / "report" / profile
    if not report.executed(folder):
        print(f"tlkit: nothing has been run in {folder}; tlkit run --profile {profile} does",
              file=sys.stderr)
        return 2
    print(f"Report: {report.write(folder)}")
    return 0


def run(
    names: Sequence[str], profile: str, parameters: dict[str, object], dry_run: bool
) -> int:
    """Check everything, then run the notebooks and write the report."""
    from tlkit.experiments.workers import workers
    from tlkit.runner import notebooks, report

    try:
        check_name("profile", profile, PROFILES)
        if "profile" in parameters:
            raise ValueError("the profile is set by --profile")
        paths = [notebooks.find(name) for name in names] or notebooks.available()
        shares = notebooks.assign(paths, parameters)
    except (ValueError, TypeError) as problem:
        print(f"tlkit: {problem}", file=sys.stderr)
        return 2
    folder = home().absolute() / "report" / (f"{profile}-dry-run" if dry_run else profile)
    folder.mkdir(parents=True, exist_ok=True)
    if dry_run:
        for path in [path for path in paths if not notebooks.has_sweep(path)]:
            print(f"{path.stem}: skipped, it has no sweep")
            del shares[path]
    else:
        print(_forecast([path.stem for path in paths], profile), flush=True)
    start, failed = time.monotonic(), False
    outcomes = notebooks.execute_all(shares, folder, profile, dry_run, workers())
    for number, outcome in enumerate(outcomes, start=1):
        status = f"failed at {outcome.error}" if outcome.error else "ok"
        minutes = (time.monotonic() - start) / 60
        print(f"[{number}/{len(shares)}] after {minutes:.1f} min {outcome.name}: {status}",
              flush=True)
        failed |= outcome.error is not None
    print(f"Report: {report.write(folder)}")
    return 1 if failed else 0


def _forecast(names: Sequence[str], profile: str) -> str:
    from tlkit.runner.forecast import lab_minutes, step_seconds

    if profile == "paper":
        return "How long it will take: --dry-run says the hours of every arm"
    if profile == "smoke":
        return "A few minutes at most, and numbers without meaning"
    step = step_seconds()
    minutes = lab_minutes(step)
    total = sum(minutes.get(name, 0) for name in names)
    return (f"About {max(1, total):.0f} min with the profile's own seeds and nothing stored yet "
            f"(a training step takes {1000 * step:.0f} ms here)")


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return int(text)


def _value(text: str) -> object:
    """A Python literal, or else the text itself, so that words need no quotes."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
