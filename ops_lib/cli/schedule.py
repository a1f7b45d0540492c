"""`syncops schedule list | next | run`: runbooks that run by themselves."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say

if TYPE_CHECKING:
    from ops_lib.runbook.schedule import Entry, Event
    from ops_lib.workspace import Workspace

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)

OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="RUNBOOK", help="Only this one; may be repeated.", show_default=False),
]


@app.callback()
def schedule(context: typer.Context, as_json: JsonOption = False) -> None:
    """Runbooks that run by themselves: `schedule` in the front matter of their pages says when, and with which parameters."""
    if context.invoked_subcommand is None:
        list_(as_json=as_json)


@app.command("list")
def list_(only: OnlyOption = None, as_json: JsonOption = False) -> None:
    """What runs by itself here: when, with which parameters, when next, and how the last time ended."""
    from ops_lib.runbook import schedule as scheduling

    with open_workspace() as workspace:
        entries = scheduling.entries(workspace, only or ())
        events = scheduling.events(workspace.path / "runs")
        rows = [_row(workspace, entry, events) for entry in entries]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("runbook", "cron", "time zone", "parameters", "next", "last"),
        [
            (
                row["runbook"],
                row["cron"],
                row["time_zone"],
                " ".join(f"{name}={value}" for name, value in row["parameters"].items()),
                row["next"],
                _last_words(row["last"]),
            )
            for row in rows
        ],
        empty="No runbook has a schedule.",
    )


@app.command("next")
def next_(
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=1000, help="How many.")] = 10,
    only: OnlyOption = None,
    as_json: JsonOption = False,
) -> None:
    """When the runbooks are due from now on, each in its own time zone."""
    from ops_lib.runbook import schedule as scheduling

    coming: list[tuple[datetime, Entry]] = []
    with open_workspace() as workspace:
        for entry in scheduling.entries(workspace, only or ()):
            moment = entry.line.after(workspace.now())
            for _ in range(number):
                if moment is not None:
                    coming.append((moment, entry))
                    moment = entry.line.after(moment)
    coming = sorted(coming, key=lambda each: (each[0], each[1].stem))[:number]
    if as_json:
        print_json([{"due": _instant(moment), "runbook": entry.stem} for moment, entry in coming])
        return
    print_table(
        ("due", "runbook"),
        [(_local(moment, entry.line.zone), entry.stem) for moment, entry in coming],
        empty="No runbook has a schedule.",
    )


@app.command("run")
def run(only: OnlyOption = None) -> None:
    """Run what is due until SIGTERM or Ctrl-C, which wait for what runs; a second one ends that too.

    What came due while nobody ran this is run once. Exit code 0 when it was stopped; 2 where it could not start.
    """
    from ops_lib.runbook import schedule as scheduling

    with open_workspace() as workspace:
        entries = scheduling.entries(workspace, only or ())
        for entry in entries:
            moment = entry.line.after(datetime.now(UTC))
            say(
                f"{entry.stem}: {entry.line.line} ({entry.line.zone}), next {moment and _local(moment, entry.line.zone)}"
            )
        scheduling.Scheduler(workspace, entries, say=_tell).serve()


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _row(workspace: Workspace, entry: Entry, events: list[Event]) -> dict[str, Any]:
    moment = entry.line.after(workspace.now())
    last = next((each for each in events if each.runbook == entry.stem), None)
    return {
        "runbook": entry.stem,
        "title": entry.title,
        "cron": entry.line.line,
        "time_zone": entry.line.zone,
        "parameters": entry.parameters,
        "next": moment and _instant(moment),
        "last": last and asdict(last),
    }


def _tell(event: Event) -> None:
    typer.echo(
        f"{event.at} {event.runbook} {event.event}"
        + (f" (due {event.due}{f', {event.missed} missed before it' if event.missed else ''})" if event.due else "")
        + (f": {event.message}" if event.message else "")
        + (f" [{event.run}]" if event.run else "")
    )


def _last_words(last: dict[str, Any] | None) -> str:
    return f"{last['at']} {last['event']}{': ' if last['message'] else ''}{last['message']}" if last else "never yet"


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _local(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone}"
