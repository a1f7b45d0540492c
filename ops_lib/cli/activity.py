"""`syncops activity add | edit | reschedule | cancel | delete | list`: the CRM's calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say
from ops_lib.cli.times import bound_of, when_of
from ops_lib.errors import InputError, NotThere

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ops_lib.crm import ActivityContent
    from ops_lib.crm.store import SqlCrm
    from ops_lib.model import Activity, When

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The CRM's calendar. A time is ISO 8601 (2026-11-24T10:00, 2026-11-24T10:00-05:00, 2026-11-24T15:00Z); without an"
    " offset it is in the user's time zone. An all-day activity is on its date, in nobody's zone.",
)

IdArgument = Annotated[str, typer.Argument(metavar="ID")]
StartOption = Annotated[str | None, typer.Option(metavar="ISO", help="When it begins.", show_default=False)]
EndOption = Annotated[str | None, typer.Option(metavar="ISO", help="When it ends.", show_default=False)]
AllDayOption = Annotated[
    str | None, typer.Option(metavar="DATE", help="On this day, without times.", show_default=False)
]
DaysOption = Annotated[
    int | None,
    typer.Option(min=1, help="With --all-day: how many days. Default: as many as before, or 1.", show_default=False),
]
TypeOption = Annotated[
    str | None, typer.Option("--type", metavar="TYPE", help="The activity type's name.", show_default=False)
]
ForOption = Annotated[
    str | None,
    typer.Option("--for", metavar="INDIVIDUAL", help="Id or name; an empty text makes it blank.", show_default=False),
]
StatusOption = Annotated[str | None, typer.Option(help="Scheduled, Completed or Cancelled.", show_default=False)]
TextOption = Annotated[str | None, typer.Option(show_default=False)]


@app.command()
def add(
    user: Annotated[str, typer.Option(metavar="EMAIL", help="Whose calendar.")],
    type_name: Annotated[str, typer.Option("--type", metavar="TYPE", help="The activity type's name.")],
    description: Annotated[str, typer.Option(help="The short text: Outlook's subject.")],
    start: StartOption = None,
    end: EndOption = None,
    all_day: AllDayOption = None,
    days: DaysOption = None,
    for_individual: ForOption = None,
    status: StatusOption = None,
    location: TextOption = None,
    notes: TextOption = None,
) -> None:
    """Add an activity, with --start and --end or with --all-day; prints {"id": …}."""
    from uuid import uuid4

    from ops_lib.crm.directory import Directory
    from ops_lib.crm.store import SqlCrm
    from ops_lib.model import Origin

    with open_workspace() as workspace, workspace.database.begin() as connection:
        owner = Directory(connection).user(user)
        content = _content(connection, type_name, description, status, for_individual, location, notes)
        when = when_of(ZoneInfo(owner.time_zone), start=start, end=end, all_day=all_day, days=days)
        if when is None:
            raise InputError("an activity has a time", fix="give --start and --end, or --all-day.")
        crm = SqlCrm(connection, workspace.now())
        made = crm.create(owner.user_id, _at(content, when), origin=Origin.CRM, key=f"command-line:{uuid4()}")
    _remark_on_order(made)
    print_json({"id": made.activity_id}, compact=True)


@app.command()
def edit(
    activity_id: IdArgument,
    type_name: TypeOption = None,
    description: TextOption = None,
    start: StartOption = None,
    end: EndOption = None,
    all_day: AllDayOption = None,
    days: DaysOption = None,
    for_individual: ForOption = None,
    status: StatusOption = None,
    location: TextOption = None,
    notes: TextOption = None,
) -> None:
    """Change an activity in place; what is not given stays. (To move it as people do, see reschedule.)"""
    from ops_lib.crm.store import SqlCrm

    with open_workspace() as workspace, workspace.database.begin() as connection:
        crm = SqlCrm(connection, workspace.now())
        activity = _the(crm, activity_id)
        content = _content(connection, type_name, description, status, for_individual, location, notes)
        when = when_of(
            _zone_of(connection, activity), start=start, end=end, all_day=all_day, days=days, before=activity.when
        )
        changed = crm.update(activity_id, _at(content, when))
    _remark_on_order(changed)
    print_json({"id": changed.activity_id}, compact=True)


@app.command()
def reschedule(
    activity_id: IdArgument,
    start: StartOption = None,
    end: EndOption = None,
    all_day: AllDayOption = None,
    days: DaysOption = None,
) -> None:
    """Move an activity to another time, as its user's host says.

    replace: a new activity stands at the new time and the old one leaves the calendar; the new id is printed, and the old one as
    rescheduled_from. update: the same activity moves. Without an account: replace.
    """
    from uuid import uuid4

    from ops_lib.crm import ActivityContent
    from ops_lib.crm.store import SqlCrm

    with open_workspace() as workspace, workspace.database.begin() as connection:
        crm = SqlCrm(connection, workspace.now())
        activity = _the(crm, activity_id)
        when = when_of(
            _zone_of(connection, activity), start=start, end=end, all_day=all_day, days=days, before=activity.when
        )
        if when is None:
            raise InputError("to reschedule needs a new time", fix="give --start and --end, or --all-day.")
        if _is_moved_in_place(connection, activity):
            moved = crm.update(activity_id, ActivityContent(when=when))
        else:
            moved = crm.reschedule(activity_id, when, key=f"command-line:{uuid4()}")
    _remark_on_order(moved)
    was = {"rescheduled_from": activity_id} if moved.activity_id != activity_id else {}
    print_json({"id": moved.activity_id, **was}, compact=True)


@app.command()
def cancel(
    activity_id: IdArgument,
    note: Annotated[str, typer.Option(help="Why; added to the notes.", show_default=False)] = "",
) -> None:
    """Cancel an activity: it leaves Outlook, and stays in the CRM as Cancelled."""
    from ops_lib.crm.store import SqlCrm

    with open_workspace() as workspace, workspace.database.begin() as connection:
        cancelled = SqlCrm(connection, workspace.now()).cancel(activity_id, note)
    print_json({"id": cancelled.activity_id}, compact=True)


@app.command()
def delete(activity_id: IdArgument) -> None:
    """Take an activity off the calendar, in Outlook too."""
    from ops_lib.crm.store import SqlCrm

    with open_workspace() as workspace, workspace.database.begin() as connection:
        removed = SqlCrm(connection, workspace.now()).remove(activity_id)
    print_json({"id": removed.activity_id}, compact=True)


@app.command("list")
def list_activities(
    user: Annotated[str | None, typer.Option(metavar="EMAIL", help="Default: everybody.", show_default=False)] = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="ISO", help="An instant or a day: what ends after it.", show_default=False),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="ISO", help="An instant or a day: what begins before it.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what is on the calendar, by start.

    Without --from and --to, what came from Outlook is shown from 2 days back to 90 days ahead. In JSON, times are UTC; an all-day
    activity has its date, and as start and end the midnights of its first day and of the day after its last, written as if in UTC.
    """
    from ops_lib.crm.calendar import calendar
    from ops_lib.crm.directory import Directory
    from ops_lib.model import Timed

    with open_workspace() as workspace, workspace.database.read() as connection:
        owner = Directory(connection).user(user) if user is not None else None
        zone = workspace.zone(owner.time_zone if owner else "")
        entries = calendar(
            connection,
            now=workspace.now(),
            zone=zone,
            user_id=owner.user_id if owner else None,
            start=None if begin is None else bound_of(begin, zone, "--from"),
            end=None if until is None else bound_of(until, zone, "--to"),
        )
    if as_json:
        print_json([entry.as_json() for entry in entries])
        return
    rows = []
    for entry in entries:
        activity = entry.activity
        if isinstance(activity.when, Timed):
            times = [f"{each.astimezone(zone):%a %d %b %Y %H:%M}" for each in (activity.when.start, activity.when.end)]
        else:
            times = [f"{activity.when.start:%a %d %b %Y}", "all day"]
        rows.append(
            (
                activity.activity_id,
                entry.user_email,
                *times,
                activity.type_name,
                activity.status.value,
                "(private)" if activity.is_private and not activity.description else activity.description,
                activity.individual_name,
                activity.origin.value,
            )
        )
    columns = ("id", "user", f"start ({zone.key})", "end", "type", "status", "description", "for", "from")
    print_table(columns, rows, empty="nothing is on the calendar")


# ── what was meant ───────────────────────────────────────────────────────────────────────────────────────────────────
def _content(
    connection: Connection,
    type_name: str | None,
    description: str | None,
    status: str | None,
    for_individual: str | None,
    location: str | None,
    notes: str | None,
) -> ActivityContent:
    from ops_lib.crm import ActivityContent
    from ops_lib.crm.directory import Directory, choice
    from ops_lib.model import ActivityStatus

    directory = Directory(connection)
    if description is not None and not description.strip():
        raise InputError("a description cannot be empty")
    return ActivityContent(
        type_id=None if type_name is None else directory.activity_type(type_name).type_id,
        status=None if status is None else ActivityStatus(choice(status, ActivityStatus, "a status")),
        description=description,
        location=location,
        notes=notes,
        individual_id=directory.individual(for_individual).individual_id if for_individual else for_individual,
    )


def _at(content: ActivityContent, when: When | None) -> ActivityContent:
    from dataclasses import replace

    return replace(content, when=when)


def _the(crm: SqlCrm, activity_id: str) -> Activity:
    found = crm.get([activity_id]).get(activity_id)
    if found is None:
        raise NotThere(f"there is no activity {activity_id}", fix="syncops activity list shows them.")
    return found


def _zone_of(connection: Connection, activity: Activity) -> ZoneInfo:
    from ops_lib.crm.directory import Directory

    return ZoneInfo(Directory(connection).user_by_id(activity.user_id).time_zone)


def _is_moved_in_place(connection: Connection, activity: Activity) -> bool:
    """Whether the host of the user's calendar says ``reschedule: update``."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    for account in Accounts(connection).of_user(activity.user_id):
        return Hosts(connection).by_id(account.host_id).reschedule == "update"
    return False


def _remark_on_order(activity: Activity) -> None:
    from ops_lib.model import Timed

    if isinstance(activity.when, Timed) and activity.when.start >= activity.when.end:
        say("note: it does not start before it ends, so it is not sent to Outlook.")
