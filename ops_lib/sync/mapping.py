"""An activity and an Exchange item in the words both sides share, and which field travels which way.

`FLOWS` is table F of the requirements. Everything the plan compares is an `Entry` made here, normalised so that content that no side can
tell apart compares equal: a server that stores 255 characters of a subject, whole seconds and no control characters must not look like an edit.

Loses: microseconds; control characters; more than 255 characters of a description on the way to Exchange (the CRM keeps its own);
everything about a private event but its time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum, auto
from typing import Any
from zoneinfo import ZoneInfo

from ops_lib.model import Activity, ActivityStatus, AllDay, Entry, Item, Kind, Origin, Side, Timed, When, Window

MAX_SUBJECT_CHARACTERS = 255
MAX_NOTES_BYTES = 32 * 1024
PRIVATE_DESCRIPTION = "Busy"

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot carry
_BLANKS = re.compile(r"\s+")


class Way(Enum):
    """Which way a field travels."""

    STAYS = auto()
    TO_EXCHANGE = auto()
    TO_CRM = auto()
    BOTH = auto()


@dataclass(frozen=True, slots=True)
class Flow:
    field: str
    crm_born_event: Way
    crm_born_task: Way
    outlook_born: Way


FLOWS = (
    Flow("description", Way.BOTH, Way.BOTH, Way.BOTH),
    Flow("when", Way.BOTH, Way.BOTH, Way.BOTH),
    Flow("location", Way.BOTH, Way.STAYS, Way.BOTH),  # a task has no place
    Flow("notes", Way.TO_EXCHANGE, Way.TO_EXCHANGE, Way.TO_CRM),
    Flow("individual_id", Way.TO_EXCHANGE, Way.TO_EXCHANGE, Way.STAYS),
    Flow("individual_name", Way.TO_EXCHANGE, Way.TO_EXCHANGE, Way.STAYS),
    Flow("is_complete", Way.TO_EXCHANGE, Way.BOTH, Way.STAYS),  # of an event: only whether it reminds
    Flow("is_private", Way.STAYS, Way.STAYS, Way.TO_CRM),
    Flow("organizer", Way.STAYS, Way.STAYS, Way.TO_CRM),
    Flow("attendees", Way.STAYS, Way.STAYS, Way.TO_CRM),
)


def way_of(flow: Flow, entry: Entry) -> Way:
    """Which way a field of this entry travels. Of a private event only the time goes back to Outlook."""
    if entry.origin is Origin.EXCHANGE:
        if entry.is_private and flow.field in {"description", "location"}:
            return Way.TO_CRM
        return flow.outlook_born
    return flow.crm_born_task if entry.kind is Kind.TASK else flow.crm_born_event


def shared_fields(entry: Entry) -> tuple[str, ...]:
    """The fields that either side may change."""
    return tuple(flow.field for flow in FLOWS if way_of(flow, entry) is Way.BOTH)


def one_way_fields(entry: Entry, source: Side) -> tuple[str, ...]:
    """The fields that only ``source`` may change and that the other side is told."""
    way = Way.TO_EXCHANGE if source == "crm" else Way.TO_CRM
    return tuple(flow.field for flow in FLOWS if way_of(flow, entry) is way)


def differing(one: Entry, other: Entry, fields: Iterable[str]) -> frozenset[str]:
    """Which of the fields differ."""
    return frozenset(name for name in fields if getattr(one, name) != getattr(other, name))


def taking(base: Entry, source: Entry, fields: Iterable[str]) -> Entry:
    """``base`` with these fields of ``source``."""
    return replace(base, **{name: getattr(source, name) for name in fields})


# ── normalising ──────────────────────────────────────────────────────────────────────────────────────────────────────
def clean(text: str) -> str:
    """Text as both sides can hold it: composed, no control characters, lines ending in a newline."""
    text = _FORBIDDEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return unicodedata.normalize("NFC", text)


def one_line(text: str, limit: int = 0) -> str:
    """Text as a subject or place holds it: one line, blanks folded, at most ``limit`` characters as Exchange counts them.

    It counts UTF-16 units: most emoji are two. What is over, it would cut by itself, and that would look like an edit.
    """
    line = _BLANKS.sub(" ", clean(text)).strip()
    if not limit:
        return line
    return line.encode("utf-16-le")[: 2 * limit].decode("utf-16-le", "ignore").rstrip()


def notes_of(text: str) -> str:
    """Notes as they are compared and kept: no blanks at line ends, at most three lines apart, at most 32 KB."""
    lines = [line.rstrip() for line in clean(text).replace("\u00a0", " ").split("\n")]
    folded = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    encoded = folded.encode()
    if len(encoded) <= MAX_NOTES_BYTES:
        return folded
    return encoded[: MAX_NOTES_BYTES - 4].decode(errors="ignore").rstrip() + " …"


def normal_when(when: When) -> When:
    """Instants in UTC, to the second."""
    if isinstance(when, AllDay):
        return when if when.end > when.start else AllDay(when.start, when.start + timedelta(days=1))
    return Timed(when.start.astimezone(UTC).replace(microsecond=0), when.end.astimezone(UTC).replace(microsecond=0))


# ── both sides as entries ────────────────────────────────────────────────────────────────────────────────────────────
def entry_of_activity(activity: Activity, kind: Kind) -> Entry:
    """What the CRM holds. A task has one date: of an activity over several days the first."""
    when = normal_when(activity.when)
    if kind is Kind.TASK and isinstance(when, AllDay):
        when = AllDay(when.start, when.start + timedelta(days=1))
    return Entry(
        kind=kind,
        origin=activity.origin,
        description=one_line(activity.description, MAX_SUBJECT_CHARACTERS),
        when=when,
        location=one_line(activity.location, MAX_SUBJECT_CHARACTERS),
        notes=notes_of(activity.notes),
        is_complete=activity.status is ActivityStatus.COMPLETED,
        is_private=activity.is_private,
        organizer=activity.organizer,
        attendees=activity.attendees,
        individual_id=activity.individual_id,
        individual_name=one_line(activity.individual_name),
    )


def entry_of_item(item: Item, agreed: Entry | None, body_text: str | None = None) -> Entry:
    """What Exchange holds. What Exchange does not say (or what was not read) is taken from ``agreed``.

    ``item.when`` must be known. ``body_text`` is the item's body as cleaned text, for an Outlook-born entry.
    """
    if item.when is None:
        raise ValueError(f"an item without times is no entry: {item.item_id}")
    if agreed is not None and agreed.origin is Origin.CRM:
        # Of one that was marked private in Outlook the CRM learns the time only; a delegate sees nothing else of it anyway.
        return replace(
            agreed,
            description=agreed.description if item.is_private else one_line(item.subject, MAX_SUBJECT_CHARACTERS),
            when=normal_when(item.when),
            location=agreed.location
            if item.is_private or item.kind is Kind.TASK
            else one_line(item.location, MAX_SUBJECT_CHARACTERS),
            is_complete=item.is_complete if item.kind is Kind.TASK else agreed.is_complete,
        )
    if item.is_private:
        return Entry(
            kind=item.kind,
            origin=Origin.EXCHANGE,
            description=PRIVATE_DESCRIPTION,
            when=normal_when(item.when),
            is_private=True,
            is_complete=agreed.is_complete if agreed else False,
            individual_id=agreed.individual_id if agreed else None,
            individual_name=agreed.individual_name if agreed else "",
        )
    was_read = item.body is not None
    return Entry(
        kind=item.kind,
        origin=Origin.EXCHANGE,
        description=one_line(item.subject, MAX_SUBJECT_CHARACTERS),
        when=normal_when(item.when),
        location=one_line(item.location, MAX_SUBJECT_CHARACTERS),
        notes=notes_of(body_text or "") if was_read or agreed is None else agreed.notes,
        is_complete=agreed.is_complete if agreed else False,
        organizer=item.organizer if was_read or agreed is None else agreed.organizer,
        attendees=item.attendees if was_read or agreed is None else agreed.attendees,
        individual_id=agreed.individual_id if agreed else None,
        individual_name=agreed.individual_name if agreed else "",
    )


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant a day begins in a zone, in UTC; what would lie before the first instant of the calendar is that instant."""
    try:
        return datetime.combine(day, time(), zone).astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def instants(when: When, zone: ZoneInfo) -> Timed:
    """From when to when, as instants; whole days begin and end at midnight in ``zone``."""
    if isinstance(when, Timed):
        return when
    return Timed(midnight(when.start, zone), midnight(when.end, zone))


def overlaps(when: When, window: Window, zone: ZoneInfo) -> bool:
    """Whether any of it lies in the window; what has no length counts where it stands."""
    span = instants(when, zone)
    if span.end <= span.start:
        return window.start <= span.start < window.end
    return span.start < window.end and span.end > window.start


def window_around(now: datetime, zone: ZoneInfo, days_back: int = 2, days_ahead: int = 90) -> Window:
    """The days in which Outlook's events are shown in the CRM (row O1): whole days of the mailbox's zone, today's neighbours included."""
    today = now.astimezone(zone).date()
    return Window(
        midnight(today - timedelta(days=days_back), zone), midnight(today + timedelta(days=days_ahead + 1), zone)
    )


# ── as JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def instant_text(value: datetime) -> str:
    """ISO 8601 in UTC, ending Z."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def entry_as_json(entry: Entry) -> dict[str, Any]:
    """An entry as plain JSON; `entry_from_json` reads it back."""
    when = entry.when
    return {
        "kind": entry.kind.value,
        "origin": entry.origin.value,
        "description": entry.description,
        "all_day": isinstance(when, AllDay),
        "start": when.start.isoformat() if isinstance(when, AllDay) else instant_text(when.start),
        "end": when.end.isoformat() if isinstance(when, AllDay) else instant_text(when.end),
        "location": entry.location,
        "notes": entry.notes,
        "complete": entry.is_complete,
        "private": entry.is_private,
        "organizer": entry.organizer,
        "attendees": list(entry.attendees),
        "individual_id": entry.individual_id,
        "individual": entry.individual_name,
    }


def entry_from_json(data: dict[str, Any]) -> Entry:
    """The entry that `entry_as_json` wrote."""
    when: When
    if data["all_day"]:
        when = AllDay(date.fromisoformat(data["start"]), date.fromisoformat(data["end"]))
    else:
        when = Timed(datetime.fromisoformat(data["start"]), datetime.fromisoformat(data["end"]))
    return Entry(
        kind=Kind(data["kind"]),
        origin=Origin(data["origin"]),
        description=data["description"],
        when=when,
        location=data["location"],
        notes=data["notes"],
        is_complete=data["complete"],
        is_private=data["private"],
        organizer=data["organizer"],
        attendees=tuple(data["attendees"]),
        individual_id=data["individual_id"],
        individual_name=data["individual"],
    )
