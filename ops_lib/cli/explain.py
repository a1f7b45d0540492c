"""`syncops explain`: why an activity is not on the calendar, or an event not in the CRM; where it is on both sides, and what happened with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ops_lib.model import Account, Activity, Entry, Host
    from ops_lib.sync.both_sides import Seen
    from ops_lib.sync.explain import Explanation, Reasons
    from ops_lib.sync.timeline import Event
    from ops_lib.workspace import Workspace

EVENTS_SHOWN = 10


def explain(
    activity: Annotated[
        str | None, typer.Argument(metavar="[ACTIVITY]", help="The activity's id.", show_default=False)
    ] = None,
    event: Annotated[
        str | None,
        typer.Option(
            metavar="SUBJECT", help="An event in Outlook: words of its subject, or its item id.", show_default=False
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="ISO", help="When the event begins, in its user's time zone unless it says.", show_default=False
        ),
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="In whose mailbox the event is.", show_default=False)
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave the server out: what the last cycles knew.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Why is this activity not on my calendar, or this event not in the CRM? Exit code 1 where it is not in step."""
    from ops_lib.errors import InputError

    if (activity is None) == (event is None):
        raise InputError(
            "say which entry", fix="syncops explain ACTIVITY, or syncops explain --event SUBJECT --account ACCOUNT."
        )
    if event is None and (start is not None or account is not None):
        raise InputError("--start and --account go with --event", fix="leave them out, or name an event.")
    if event is not None and not event.strip():
        raise InputError("the subject is empty", subject="--event", fix="give some words of it.")
    with open_workspace() as workspace:
        if activity is not None:
            is_well = _explain_activity(workspace, activity, offline, as_json)
        else:
            is_well = _explain_event(workspace, (event or "").strip(), start, account, offline, as_json)
    if not is_well:
        raise typer.Exit(1)


# ── an activity ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _explain_activity(workspace: Workspace, activity_id: str, offline: bool, as_json: bool) -> bool:
    from ops_lib.crm.store import SqlCrm
    from ops_lib.errors import NotThere

    with workspace.database.read() as connection:
        found = SqlCrm(connection, workspace.now()).get([activity_id]).get(activity_id)
        if found is None:
            raise NotThere(f"there is no activity {activity_id}", fix="syncops activity list --json shows their ids.")
    document, lines = _answer(workspace, found, offline)
    if as_json:
        print_json(document)
    else:
        _show(lines)
    return bool(document["in_step"])


def _answer(workspace: Workspace, activity: Activity, offline: bool) -> tuple[dict[str, Any], _Lines]:
    """The answer for one activity, for programs and for people. The server is asked between two readings of the database, not within one."""
    from ops_lib.sync.both_sides import compared, look, open_intents
    from ops_lib.sync.explain import explain as explained
    from ops_lib.sync.explain import with_live
    from ops_lib.sync.mapping import entry_as_json
    from ops_lib.sync.timeline import last_outcomes, timeline

    with workspace.database.read() as connection:
        answer = explained(workspace, connection, activity, _accounts_of(connection, activity.user_id))
    seen: Seen | None = None
    if answer.where is not None and not offline:
        intents = open_intents(workspace, answer.where[0], activity.activity_id) if answer.link is None else []
        if answer.link is not None or intents:
            seen = look(workspace, answer.where, answer.link, intents)
            apart = compared(workspace, answer.where, activity, answer.link, seen)
            if seen.verdict != "unknown" or answer.in_step:  # elsewhere it is known already why nothing can be seen
                answer = with_live(answer, apart)
    with workspace.database.read() as connection:
        history = last_outcomes(connection, activity.activity_id)
        events = timeline(connection, activity, answer.where, answer.link, seen.item if seen is not None else None)
    crm, outlook = _entries(activity, answer, seen)
    document = {
        "activity": activity.activity_id,
        "in_step": answer.in_step,
        "item": answer.item_id or None,
        "account": answer.where[0].mailbox if answer.where is not None else None,
        "status": answer.status or None,
        "reasons": _as_documents(answer.reasons),
        "notes": _as_documents(answer.notes),
        "crm": entry_as_json(crm),
        "exchange": {
            "verdict": seen.verdict if seen is not None else "not asked",
            "asked": seen.asked if seen is not None else None,
            "entry": entry_as_json(outlook) if outlook is not None else None,
            "error": str(seen.error) if seen is not None and seen.error is not None else None,
        },
        "timeline": [event.as_document() for event in events],
        "history": history,
    }
    return document, _Lines(workspace, activity, answer, crm, outlook, seen, events)


def _entries(activity: Activity, answer: Explanation, seen: Seen | None) -> tuple[Entry, Entry | None]:
    from ops_lib.sync.both_sides import entries

    return entries(activity, answer.link, seen.item if seen is not None else None)


def _accounts_of(connection: Connection, user_id: str) -> list[tuple[Account, Host]]:
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    hosts = {each.host_id: each for each in Hosts(connection).all()}
    return [(each, hosts[each.host_id]) for each in Accounts(connection).of_user(user_id)]


def _as_documents(reasons: Reasons) -> list[dict[str, str]]:
    return [{"reason": reason, "next_step": next_step} for reason, next_step in reasons]


# ── an event ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _explain_event(
    workspace: Workspace, name: str, start: str | None, who: str | None, offline: bool, as_json: bool
) -> bool:
    from ops_lib.crm.store import SqlCrm
    from ops_lib.sync.both_sides import find_event
    from ops_lib.sync.explain_event import EventFound, explain_events, nowhere
    from ops_lib.sync.mapping import instant_text

    where = _mailbox(workspace, who)
    zone = ZoneInfo(where[0].time_zone) if where[0].time_zone else ZoneInfo("UTC")
    begins = _start(start, zone)
    items = None if offline else find_event(workspace, where, name, begins)
    with workspace.database.read() as connection:
        found = explain_events(workspace, connection, where, name, begins, items)
        activities = SqlCrm(connection, workspace.now()).get([e.activity_id for e in found if e.activity_id])
    if not found:
        reason, next_step = nowhere(where, name, begins, was_looked_at=not offline)
        if as_json:
            print_json(
                {
                    "event": name,
                    "account": where[0].mailbox,
                    "found": [],
                    "reasons": _as_documents([(reason, next_step)]),
                }
            )
        else:
            typer.echo(f"{name}: not found.")
            _show_reasons([(reason, next_step)])
        return False
    documents, is_well = [], True

    def shown(each: EventFound) -> str:
        return f"{each.subject}, {_moment(each.start, zone)}" if each.start is not None else each.subject

    for each in found[:EVENTS_SHOWN]:
        document: dict[str, Any] = {
            "subject": each.subject,
            "start": instant_text(each.start) if each.start is not None else None,
            "item": each.item_id,
            "activity": each.activity_id,
            "reasons": _as_documents(each.reasons),
        }
        if not as_json:
            typer.echo(f"{shown(each)}: " + (f"activity {each.activity_id}" if each.activity_id else "not in the CRM."))
            _show_reasons(each.reasons)
        paired = activities.get(each.activity_id or "")
        if paired is not None:
            explained, lines = _answer(workspace, paired, offline)
            document["explained"] = explained
            is_well &= bool(explained["in_step"])
            if not as_json:
                _show(lines)
        else:
            is_well = False
        documents.append(document)
    if as_json:
        print_json(
            {"event": name, "account": where[0].mailbox, "found": documents, "more": max(0, len(found) - EVENTS_SHOWN)}
        )
    elif len(found) > EVENTS_SHOWN:
        typer.echo(f"{len(found) - EVENTS_SHOWN} more fit: give more of the subject, or --start.")
    return is_well


def _mailbox(workspace: Workspace, who: str | None) -> tuple[Account, Host]:
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts
    from ops_lib.errors import InputError

    with workspace.database.read() as connection:
        found = Accounts(connection).accounts(who=who)
        if len(found) > 1:
            found = [each for each in found if each.calendar] if who else found
        if len(found) != 1:
            raise InputError(
                "say in whose mailbox the event is" if found else "there are no accounts",
                fix="add --account ACCOUNT; syncops account list shows them."
                if found
                else "syncops account add --user EMAIL makes one.",
            )
        return found[0], Hosts(connection).by_id(found[0].host_id)


def _start(given: str | None, zone: ZoneInfo) -> datetime | None:
    from ops_lib.cli.times import instant_of

    return instant_of(given, zone, "--start") if given is not None else None


# ── for people ───────────────────────────────────────────────────────────────────────────────────────────────────────
class _Lines:
    """What is printed about one activity."""

    def __init__(
        self,
        workspace: Workspace,
        activity: Activity,
        answer: Explanation,
        crm: Entry,
        outlook: Entry | None,
        seen: Seen | None,
        events: Sequence[Event],
    ) -> None:
        name = answer.where[0].time_zone if answer.where is not None else ""
        self.zone = workspace.zone(name)
        self.activity, self.answer, self.seen, self.events = activity, answer, seen, events
        self.crm, self.outlook = crm, outlook


def _show(lines: _Lines) -> None:
    from ops_lib.reports.words import entry_words

    answer = lines.answer
    if answer.in_step:
        said = "both sides hold it" if lines.seen is not None else "both sides held it at the last cycle"
    else:
        said = "not in step"
    typer.echo(f"{lines.activity.description}: {said}.")
    _show_reasons(answer.reasons)
    for note, next_step in answer.notes:
        typer.echo(f"  note: {note}. {_sentence(next_step)}")
    state = "deleted" if lines.activity.is_deleted else lines.activity.status.value
    typer.echo(f"  in the CRM:  {entry_words(lines.crm, lines.zone)} ({state}, activity {answer.activity_id})")
    typer.echo(f"  in Outlook:  {_in_outlook(lines)}")
    typer.echo(f"  what happened ({lines.zone.key}):" if lines.events else "  nothing happened with it yet.")
    for event in lines.events:
        code = event.response_code if event.response_code not in event.what else ""
        named = f"request id {event.request_id}" if event.request_id else ""
        details = ", ".join(each for each in (f"run {event.run}" if event.run else "", code, named) if each)
        said = event.what + _aside(event.loser) + (f" ({details})" if details else "")
        typer.echo(f"    {_moment(event.at, lines.zone)}  {event.who:<8} {said}")


def _in_outlook(lines: _Lines) -> str:
    from ops_lib.reports.words import entry_words
    from ops_lib.sync.explain import parted

    seen, link = lines.seen, lines.answer.link
    if seen is None:
        if link is None:
            return "nothing was made there" if lines.answer.where is not None else "no mailbox is kept in step"
        return f"not asked; at the last cycle {entry_words(link.agreed, lines.zone)}"
    if seen.verdict == "unknown":
        return f"unknown: {parted(str(seen.error), lines.answer.where[0].mailbox if lines.answer.where else '')[0]}"
    if lines.outlook is None:
        return "not there"
    return f"{entry_words(lines.outlook, lines.zone)} ({lines.outlook.kind.value})"


def _show_reasons(reasons: Reasons) -> None:
    for reason, next_step in reasons:
        typer.echo(f"  because {reason}. To mend it: {next_step}")


def _aside(loser: dict[str, Any] | None) -> str:
    """Of a conflict, what it set aside."""
    if loser is None:
        return ""
    place = f", {loser['location']}" if loser["location"] else ""
    return f". Set aside: {loser['description']!r}, {loser['start']} to {loser['end']}{place}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
