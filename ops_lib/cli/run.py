"""`syncops run | runs | report | lab`: runbooks without a person, what they came to, the report by itself, and JupyterLab."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, chosen_workspace, open_workspace, print_json, print_table, say
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.runbook.runs import RunRecord
    from ops_lib.workspace import Workspace

RUNS_FOLDER = "runs"
DEMO_RUNS_FOLDER = Path("out") / "runs"

ParameterOption = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="A parameter; may be repeated.", show_default=False),
]


def run(
    runbook: Annotated[
        str | None,
        typer.Argument(metavar="[RUNBOOK]", help="Which one; without it they are listed.", show_default=False),
    ] = None,
    parameter: ParameterOption = None,
    again: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Try an earlier run again, with its parameters where -p gives no others; last: the last one.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        float, typer.Option(metavar="MINUTES", min=0.01, help="How long it may take; then it is ended.")
    ] = 60,
    findings_fail: Annotated[
        bool, typer.Option("--findings-fail", help="Exit code 1 also where something was found.")
    ] = False,
    due: Annotated[str, typer.Option(hidden=True)] = "",
    missed: Annotated[int, typer.Option(hidden=True)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Run a runbook's notebook with parameters, in the workspace, or on the demo's customer where there is none.

    Exit code 0: it did its work, whatever it found; 1: it was blocked or failed; 2: it could not start.
    """
    from ops_lib.runbook import library, runner, runs
    from ops_lib.runbook.alerts import Alerts

    if runbook is None and again is None:
        _list(as_json)
        return
    given = _given(parameter or [])
    earlier = None
    if again is not None:
        earlier = runs.one(_runs_folder(given.get("workspace")), again)
        if runbook not in (None, earlier.runbook):
            raise InputError(f"{earlier.run} is a run of {earlier.runbook}", fix="leave the runbook's name out.")
        given = {**runner.given_again(earlier), **given}
    stem = earlier.runbook if earlier else str(runbook)
    library.notebook(stem)
    workspace = _workspace_of(given.get("workspace"))
    given["workspace"] = str(workspace.path) if workspace else _replayed(stem, given.get("workspace", ""))
    keep, tell = runner.KEPT, None
    if workspace:
        keep, tell = workspace.settings.keep_runs, Alerts.of(workspace.settings, workspace.path.name).tell
    folder = _runs_folder(given["workspace"])
    record = runner.run_runbook(
        runner.Wish(stem, given, again_of=earlier, due=due, missed=missed),
        folder=folder,
        now=_now(),
        limit_seconds=limit * 60,
        keep=keep,
        show_progress=sys.stderr.isatty() and not as_json,
        **({"tell": tell} if tell else {}),
    )
    if as_json:
        print_json({**asdict(record), "folder": str(folder)})
    else:
        _show_end(record, folder)
    if record.alert and record.alert != "sent":
        say(f"the alert was {record.alert}")
    if not record.is_well or (findings_fail and record.outcome != "ok"):
        raise typer.Exit(1)


def runs(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="A run, or last: all about it. A runbook: only its runs.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The runs of runbooks so far, newest first: when, with which parameters, how they ended, and where their notebooks and pages are."""
    from ops_lib.runbook import library
    from ops_lib.runbook import runs as index

    folder = _runs_folder(None)
    found = index.records(folder)
    stems = {*library.stems(), *(record.runbook for record in found)}
    if which is not None and which not in stems:
        _show_one(index.one(folder, which), folder, as_json)
        return
    found = [record for record in found if which in (None, record.runbook)]
    if as_json:
        print_json([_with_paths(record, folder) for record in found])
        return
    print_table(
        ("run", "outcome", "seconds", "parameters", "what it said"),
        [
            (
                record.run,
                record.outcome,
                record.seconds or "",
                _parameters(record),
                record.message or ", ".join(f"{name} {value}" for name, value in record.figures.items()),
            )
            for record in found
        ],
        empty="Nothing has been run here yet.",
    )
    if found:
        typer.echo(f"in {folder}; syncops runs RUN shows one of them with its files")


def report(
    user: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EMAIL",
            help="Whose week is drawn; may be repeated. Whoever has most in step that week, without it.",
            show_default=False,
        ),
    ] = None,
    week_of: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="A day of that week, as 2026-11-23; today without it.", show_default=False),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How far back runs are looked at.")] = 7,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where to write it; reports/ of the workspace without it.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the sync report: one HTML page, and its tables as Parquet and CSV. Changes nothing on either side."""
    from ops_lib.reports import page
    from ops_lib.runbook.session import day_of

    with open_workspace() as workspace:
        day = day_of(week_of) if week_of else None
        users = user or [each for each in [page.busiest_user(workspace, day)] if each]
        collected = page.collect(workspace, users=users, day=day, days=days)
        folder = (output or workspace.path / "reports" / f"{workspace.now():%Y%m%dT%H%M%SZ}").expanduser().absolute()
        try:
            written = page.write(collected, folder)
        except OSError as error:
            raise InputError(
                f"the report cannot be written ({error.strerror})",
                subject=str(folder),
                fix="name another folder with --output.",
            ) from None
    if as_json:
        print_json(
            {
                "outcome": collected.outcome,
                "headline": page.headline(collected),
                "page": str(written),
                "tables": str(folder / "tables"),
            }
        )
        return
    typer.echo(page.headline(collected))
    typer.echo(f"  page: {written}\n  tables: {folder / 'tables'}")


def lab(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where it answers; 0: any free one.")] = 8888,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """JupyterLab on the notebooks, on this machine only, open at `start_here`. A notebook whose workspace is empty opens the chosen one."""
    import os

    from ops_lib.runbook import library
    from ops_lib.workspace import WORKSPACE_VARIABLE

    folder = chosen_workspace()
    environment = dict(os.environ)
    if folder is not None:
        environment[WORKSPACE_VARIABLE] = str(folder)
        say(f'workspace: {folder} (set workspace = "" in a notebook to open it)')
    # Our settings come after the user's own; they only turn off what asks the network for news.
    settings = Path(library.__file__).with_name("jupyter")
    environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(
        filter(None, (environment.get("JUPYTER_CONFIG_PATH"), str(settings)))
    )
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={library.folder('notebooks')}", f"--port={port}"]
    command += ["--KernelManager.transport_encryption=auto", "--LabApp.default_url=/lab/tree/start_here.ipynb"]
    command += [*(["--no-browser"] if no_browser else []), *(["--allow-root"] if _is_root() else [])]
    os.execve(sys.executable, command, environment)  # noqa: S606  it takes this process's place: signals and the terminal are its own


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _list(as_json: bool) -> None:
    from ops_lib.runbook import library

    known = {stem: library.parameters(library.notebook(stem)) for stem in library.stems()}
    if as_json:
        print_json(
            [
                {"runbook": stem, "parameters": [asdict(each) for each in parameters.values()]}
                for stem, parameters in known.items()
            ]
        )
        return
    print_table(
        ("runbook", "parameter", "default", "what it is"),
        [
            (stem, each.name, each.default, each.help)
            for stem, parameters in known.items()
            for each in parameters.values()
        ],
        empty="There are no runbooks.",
    )


def _given(pairs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise InputError(f"{pair} is no parameter", fix="write -p NAME=VALUE.")
        if name.strip() in found:
            raise InputError(f"the parameter {name.strip()} was given twice", fix="give it once.")
        found[name.strip()] = value
    return found


def _workspace_of(given: str | None) -> Workspace | None:
    """The workspace that was given as a parameter, or chosen; None for the demo and for recorded traffic. It is closed already, and can be read. **Raises** `WorkspaceError`."""
    from ops_lib.runbook import library
    from ops_lib.workspace import Workspace

    folder = chosen_workspace() if not given else None
    if given == "demo" or (given and library.is_cassette(given)) or (not given and folder is None):
        return None
    opened = Workspace.open(given or folder)
    opened.close()
    return opened


def _replayed(stem: str, given: str) -> str:
    """What a notebook's ``workspace`` is without a workspace: a cassette by its whole path, else the demo. **Raises** `NotThere`."""
    from ops_lib.runbook import library

    return f"cassette:{library.cassette(stem, given)}" if library.is_cassette(given) else "demo"


def _runs_folder(given: str | None) -> Path:
    workspace = _workspace_of(given)
    return workspace.path / RUNS_FOLDER if workspace else DEMO_RUNS_FOLDER.absolute()


def _show_end(record: RunRecord, folder: Path) -> None:
    typer.echo(f"{record.runbook}: {record.outcome}{f' ({record.message})' if record.message else ''}")
    if record.step:
        typer.echo(f"  stopped at: {record.step}")
    for what, path in record.files.items():
        typer.echo(f"  {what}: {folder / path}")
    if not record.is_well:
        typer.echo(f"  again, when that is mended: syncops run --again {record.run}")


def _show_one(record: RunRecord, folder: Path, as_json: bool) -> None:
    from ops_lib.runbook import runs as index

    altered = index.altered(folder, record)
    if as_json:
        print_json({**_with_paths(record, folder), "altered": altered})
        return
    rows = {
        "run": record.run,
        "runbook": record.runbook,
        "began": record.when,
        "ended": record.ended or ("" if record.outcome == index.RUNNING else "nobody knows when"),
        "outcome": record.outcome,
        "message": record.message,
        "stopped at": record.step,
        "seconds": record.seconds or "",
        "parameters": _parameters(record),
        "figures": ", ".join(f"{name} {value}" for name, value in record.figures.items()),
        "again of": record.again_of,
        "due": record.due,
        "missed before it": record.missed or "",
        "alert": record.alert,
        **{what: folder / path for what, path in record.files.items()},
        "altered since": ", ".join(altered),
    }
    print_table(("", record.run), [(name, value) for name, value in rows.items() if value], empty="")


def _with_paths(record: RunRecord, folder: Path) -> dict[str, Any]:
    paths = ("notebook", "html", "report")
    return {**asdict(record), **{each: str(folder / getattr(record, each)) for each in paths if getattr(record, each)}}


def _parameters(record: RunRecord) -> str:
    return " ".join(f"{name}={value}" for name, value in record.parameters.items())


def _now() -> datetime:
    import os

    from ops_lib.workspace import NOW_VARIABLE, clock_of

    return clock_of(os.environ.get(NOW_VARIABLE, ""))()


def _is_root() -> bool:
    import os

    return hasattr(os, "geteuid") and os.geteuid() == 0
