"""`syncops run | runs | report | lab`: runbooks without a person, what they came to, the report by itself, and JupyterLab."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ops_lib.cli import JsonOption, chosen_workspace, open_workspace, print_json, print_table, say

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
    as_json: JsonOption = False,
) -> None:
    """Run a runbook's notebook with parameters, in the workspace, or on the demo's customer where there is none.

    Exit code 0: it did its work, whatever it found; 1: it was blocked or failed; 2: it could not start.
    """
    from ops_lib.runbook import library, runner

    if runbook is None:
        _list(as_json)
        return
    given = _given(parameter or [])
    folder = chosen_workspace()
    if given.get("workspace") == "demo" or (folder is None and "workspace" not in given):
        workspace, runs_folder = "demo", DEMO_RUNS_FOLDER.absolute()
    else:
        workspace = str(Path(given["workspace"]).expanduser().absolute()) if "workspace" in given else str(folder)
        given["workspace"] = workspace
        runs_folder = _runs_folder(workspace)
    library.notebook(runbook)
    record = runner.run_runbook(
        runbook, given, workspace=workspace, folder=runs_folder, now=_now(), show_progress=sys.stderr.isatty()
    )
    if as_json:
        print_json({**asdict(record), "folder": str(runs_folder)})
    else:
        typer.echo(f"{record.runbook}: {record.outcome}{f' ({record.message})' if record.message else ''}")
        for what, path in (
            ("executed notebook", record.notebook),
            ("as a page", record.html),
            ("report", record.report),
        ):
            if path:
                typer.echo(f"  {what}: {runs_folder / path}")
    if not record.is_well:
        raise typer.Exit(1)


def runs(
    runbook: Annotated[
        str | None, typer.Argument(metavar="[RUNBOOK]", help="Only this one's.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The runs of runbooks so far, newest first: when, with which parameters, how it ended, and where its notebook and page are."""
    from ops_lib.runbook import runner

    folder = chosen_workspace()
    runs_folder = _runs_folder(str(folder)) if folder is not None else DEMO_RUNS_FOLDER.absolute()
    found = [record for record in runner.records(runs_folder) if runbook is None or record.runbook == runbook]
    if as_json:
        paths = ("notebook", "html", "report")
        print_json(
            [
                {**asdict(r), **{each: str(runs_folder / getattr(r, each)) for each in paths if getattr(r, each)}}
                for r in found
            ]
        )
        return
    print_table(
        ("when", "runbook", "outcome", "seconds", "parameters", "executed notebook"),
        [
            (
                record.when,
                record.runbook,
                f"{record.outcome}{f': {record.message}' if record.message else ''}",
                record.seconds,
                " ".join(f"{name}={value}" for name, value in record.parameters.items()),
                runs_folder / record.html,
            )
            for record in found
        ],
        empty="Nothing has been run here yet.",
    )


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
    from ops_lib.errors import InputError
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
    """JupyterLab on the notebooks, on this machine only. A notebook whose workspace is empty opens the chosen one."""
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
    command += ["--KernelManager.transport_encryption=auto"]
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
    from ops_lib.errors import InputError

    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise InputError(f"{pair} is no parameter", fix="write -p NAME=VALUE.")
        if name.strip() in found:
            raise InputError(f"the parameter {name.strip()} was given twice", fix="give it once.")
        found[name.strip()] = value
    return found


def _runs_folder(workspace: str) -> Path:
    from ops_lib.workspace import Workspace

    opened = Workspace.open(workspace)
    opened.close()
    return opened.path / RUNS_FOLDER


def _now() -> datetime:
    import os

    from ops_lib.workspace import NOW_VARIABLE, clock_of

    return clock_of(os.environ.get(NOW_VARIABLE, ""))()


def _is_root() -> bool:
    import os

    return hasattr(os, "geteuid") and os.geteuid() == 0
