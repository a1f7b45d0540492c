"""What an iCalendar file says takes place, by the word of a program that is not ours (``recurring_ical_events``)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events
from icalendar.timezone import tzp

CALENDARS = Path(__file__).resolve().parents[2].parent / "shared" / "calendars"


class Occurrence(NamedTuple):
    """One occurrence: instants in UTC; of an all-day one the midnights (UTC) of its first day and of the day after its last."""

    uid: str
    start: datetime
    end: datetime
    all_day: bool
    summary: str


def occurrences(ics_path: Path, start: datetime, end: datetime, zone: str = "UTC") -> list[Occurrence]:
    """Everything of the file between two instants, in order; ``zone`` is that of times without one.

    All-day occurrences count by their dates in ``zone``.
    """
    clock = ZoneInfo(zone)
    query = recurring_ical_events.of(_calendar(ics_path))
    day = timedelta(days=1)
    found = query.between(start.astimezone(clock) - day, end.astimezone(clock) + day)
    # The judge takes a day that ends on itself for a moment at midnight; as the whole day it is, it overlaps more.
    edges = (start.astimezone(clock).replace(tzinfo=UTC), end.astimezone(clock).replace(tzinfo=UTC))
    return sorted(
        occurrence
        for occurrence in (_occurrence(event, clock) for event in found)
        if _overlaps(occurrence, *(edges if occurrence.all_day else (start, end)))
    )


def _overlaps(occurrence: Occurrence, start: datetime, end: datetime) -> bool:
    return occurrence.start < end and (occurrence.end > start or occurrence.start == occurrence.end == start)


def _calendar(ics_path: Path) -> icalendar.Calendar:
    # The library remembers the zones of earlier files by name; each file is judged by its own.
    tzp.use_default()
    return icalendar.Calendar.from_ical(ics_path.read_bytes())


def _occurrence(event: icalendar.Event, clock: ZoneInfo) -> Occurrence:
    start, end = event["DTSTART"].dt, event["DTEND"].dt
    uid, summary = str(event.get("UID", "")), str(event.get("SUMMARY", ""))
    if not isinstance(start, datetime) and not isinstance(end, datetime):
        # A day that ends on itself is a whole one to every program that shows it.
        return Occurrence(uid, _midnight(start), _midnight(max(end, start + timedelta(days=1))), True, summary)
    return Occurrence(uid, _instant(start, clock), _instant(end, clock), False, summary)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _instant(moment: date, clock: ZoneInfo) -> datetime:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return (moment if moment.tzinfo else moment.replace(tzinfo=clock)).astimezone(UTC)


def pieces(ics_path: Path) -> list[tuple[str, str]]:
    """The file as one iCalendar text for each UID, as a client puts them into MimeContent one by one."""
    calendar = _calendar(ics_path)
    events: dict[str, list[icalendar.Event]] = {}
    for number, event in enumerate(calendar.walk("VEVENT")):
        events.setdefault(str(event.get("UID", f"({number})")), []).append(event)
    texts = []
    for uid, components in events.items():
        single = calendar.copy()
        for component in (*calendar.walk("VTIMEZONE"), *components):
            single.add_component(component)
        texts.append((uid, single.to_ical().decode()))
    return texts
