"""One item of an answer → `Item`. Nothing is invented: what had to be guessed is said in ``oddities``."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import win_tz

from ops_lib.errors import ItemRefused
from ops_lib.mailbox import STAMP_NAME, STAMP_PROPERTY_SET
from ops_lib.mailbox.ews.answers import Element, child, name_of, text_of
from ops_lib.model import AllDay, Item, ItemType, Kind, Timed, When, Window

_ITEM_TYPES = {
    "Single": ItemType.SINGLE,
    "Occurrence": ItemType.OCCURRENCE,
    "Exception": ItemType.EXCEPTION,
    "RecurringMaster": ItemType.MASTER,
}
_PRIVATE = frozenset({"Private", "Confidential"})
_COMPLETE_PERCENT = 100.0
_DEFAULT_REMINDER_MINUTES = "15"
"""What Exchange sets where a client names none, as ours does."""

ITEM_ELEMENTS = {"CalendarItem": Kind.EVENT, "Task": Kind.TASK}
"""The elements that are items of ours; a calendar may also hold messages, which are nobody's appointment."""


def item_of(element: Element, subject: str = "", zone: ZoneInfo | None = None) -> Item:
    """One CalendarItem or Task. Raises `ItemRefused` when it has no id: nothing could ever be done with it.

    ``zone``: the one whose midnights an all-day event has that does not name its own.
    """
    parts: dict[str, Element] = {}
    stamps: list[str] = []
    for part in element:
        name = name_of(part)
        if name == "ExtendedProperty":
            stamps += _stamp(part)
        else:
            parts.setdefault(name, part)  # what comes twice says the same
    identity = parts.get("ItemId")
    item_id = identity.get("Id", "") if identity is not None else ""
    if not item_id:
        raise ItemRefused("the server gives an item without an id", subject=subject)
    reader = _Reader(parts, zone)
    if len(set(stamps)) > 1:
        reader.oddities.append("our stamp is there twice, with different values; the first is taken")
    kind = ITEM_ELEMENTS.get(name_of(element), Kind.EVENT)
    body = parts.get("Body")
    common: dict[str, Any] = {
        "item_id": item_id,
        "change_key": identity.get("ChangeKey", "") if identity is not None else "",
        "kind": kind,
        "subject": reader.text("Subject"),
        "body": (body.text or "") if body is not None else None,
        "body_is_html": body is not None and body.get("BodyType", "HTML") == "HTML",
        "stamp": stamps[0] if stamps else "",
        "is_private": reader.text("Sensitivity") in _PRIVATE,
        "reminder_is_set": reader.boolean("ReminderIsSet"),
        "last_modified": reader.instant("LastModifiedTime"),
        "extras": reader.extras(),
    }
    common |= reader.event() if kind is Kind.EVENT else reader.task()
    return Item(**common, oddities=tuple(reader.oddities))


def is_bare(element: Element) -> bool:
    """Whether a listing says no more of an item than that it is there: an event without a start, a task of nothing but its id."""
    names = {name_of(part) for part in element}
    if ITEM_ELEMENTS.get(name_of(element)) is Kind.EVENT:
        return "Start" not in names
    return names <= {"ItemId", "ParentFolderId", "ItemClass"}


def _stamp(element: Element) -> list[str]:
    """Our stamp, if this extended property is it."""
    uri, value = child(element, "ExtendedFieldURI"), child(element, "Value")
    if uri is None or value is None:
        return []
    is_ours = uri.get("PropertySetId", "").lower() == STAMP_PROPERTY_SET and uri.get("PropertyName") == STAMP_NAME
    return [value.text or ""] if is_ours and value.text else []


class _Reader:
    """The properties of one item by name, and what was odd about them."""

    def __init__(self, parts: dict[str, Element], fallback: ZoneInfo | None = None) -> None:
        self.parts = parts
        self.fallback = fallback
        self.oddities: list[str] = []

    def text(self, name: str) -> str:
        part = self.parts.get(name)
        return (part.text or "") if part is not None else ""

    def boolean(self, name: str) -> bool | None:
        value = self.text(name).strip().lower()
        return None if not value else value in ("true", "1")

    def instant(self, name: str) -> datetime | None:
        value = self.text(name).strip()
        if not value:
            return None
        read = read_instant(value)
        if read is None:
            self.oddities.append(f"{name} is no time: {value[:40]}")
            return None
        if read.tzinfo is None:
            # The request's TimeZoneContext is UTC, so this is what a naive time means.
            read = read.replace(tzinfo=UTC)
        return read if read.tzinfo is UTC else read.astimezone(UTC)

    def extras(self) -> tuple[str, ...]:
        """What is not as a new item of ours has it, and could not be carried over to another: in words."""
        said = []
        if self.boolean("HasAttachments"):
            said.append("attachments")
        categories = self.parts.get("Categories")
        if categories is not None and len(categories):
            said.append("categories")
        if self.text("Importance") not in ("", "Normal"):
            said.append("importance")
        if self.text("LegacyFreeBusyStatus") not in ("", "Busy"):
            said.append("free/busy status")
        minutes = self.text("ReminderMinutesBeforeStart").strip()
        if self.boolean("ReminderIsSet") and minutes not in ("", _DEFAULT_REMINDER_MINUTES):
            said.append("a reminder of its own")
        return tuple(said)

    # ── events ──
    def event(self) -> dict[str, Any]:
        kind_of_item = self.text("CalendarItemType")
        if kind_of_item and kind_of_item not in _ITEM_TYPES:
            self.oddities.append(f"CalendarItemType is not known: {kind_of_item[:40]}")
        item_type = _ITEM_TYPES.get(kind_of_item, ItemType.SINGLE)
        when, original_start = self.event_when(), self.instant("RecurrenceId") or self.instant("OriginalStart")
        if not kind_of_item and self.text("RecurrenceId"):
            item_type = ItemType.OCCURRENCE
        if item_type is ItemType.OCCURRENCE:
            original_start = original_start or self.instant("Start")  # it was not moved
        elif item_type is ItemType.EXCEPTION and original_start is None:
            self.oddities.append("a moved occurrence does not say where it was")
        attendees = [*_people(self.parts.get("RequiredAttendees")), *_people(self.parts.get("OptionalAttendees"))]
        return {
            "when": when,
            "item_type": item_type,
            "uid": self.text("UID").strip(),
            "original_start": original_start if item_type in (ItemType.OCCURRENCE, ItemType.EXCEPTION) else None,
            "location": self.text("Location"),
            "is_cancelled": bool(self.boolean("IsCancelled")),
            "is_meeting": bool(self.boolean("IsMeeting")),
            "organizer": next(iter(_people_in(self.parts.get("Organizer"))), ""),
            "attendees": tuple(attendees),
        }

    def event_when(self) -> When | None:
        start, end = self.instant("Start"), self.instant("End")
        if start is None:
            self.oddities.append("there is no start")
            return None
        if end is None:
            self.oddities.append("there is no end; it is taken to be the start")
            end = start
        if end < start:
            self.oddities.append("it ends before it starts; the end is taken to be the start")
            end = start
        if not self.boolean("IsAllDayEvent"):
            return Timed(start, end)
        zone = self.zone()
        first, last = self.midnight(start, zone), self.midnight(end, zone)
        return AllDay(first, max(last, first + timedelta(days=1)))

    def zone(self) -> ZoneInfo | None:
        part = self.parts.get("StartTimeZone")
        name = part.get("Id", "") if part is not None else self.text("StartTimeZoneId").strip()
        zone = (zone_of(name) if name else None) or self.fallback
        if zone is None:
            self.oddities.append(
                f"an all-day event in a zone not known ({name[:60] or 'none given'}): the nearest midnights are taken"
            )
        return zone

    def midnight(self, moment: datetime, zone: ZoneInfo | None) -> date:
        local = moment.astimezone(zone or UTC)
        # Midnight that daylight saving skips is 01:00; anything else is an event that was moved from another zone.
        if zone is not None and (local.minute or local.hour > 1):
            self.oddities.append("an all-day event that is not at its zone's midnight: the nearest one is taken")
        return (local.replace(tzinfo=None) + timedelta(hours=12)).date()

    # ── tasks ──
    def task(self) -> dict[str, Any]:
        due = self.day("DueDate")
        status, percent = self.text("Status").strip(), self.percent()
        said = [
            value
            for value in (
                status == "Completed" if status else None,
                self.boolean("IsComplete"),
                percent >= _COMPLETE_PERCENT if percent is not None else None,
            )
            if value is not None
        ]
        if len(set(said)) > 1:
            self.oddities.append(f"status '{status}', IsComplete and PercentComplete do not agree")
        by_words = [status == "Completed"] if status else []
        by_words += [True] if self.boolean("IsComplete") else []
        return {
            "when": AllDay(due, due + timedelta(days=1)) if due else None,
            "is_complete": any(by_words) if by_words else any(said),
        }

    def percent(self) -> float | None:
        """0 to 100; one server gives hundredths of a percent (5000 for a half)."""
        try:
            value = float(self.text("PercentComplete"))
        except ValueError:
            return None
        return value / 100.0 if value > _COMPLETE_PERCENT else value

    def day(self, name: str) -> date | None:
        """The day of a task's date: as written where it is a midnight of its own offset, else the nearest midnight of UTC."""
        value = self.text(name).strip()
        if not value:
            return None
        read = read_instant(value)
        if read is None:
            self.oddities.append(f"{name} is no date: {value[:40]}")
            return None
        if not (read.hour or read.minute):
            return read.date()
        moment = read.astimezone(UTC) if read.tzinfo is not None else read
        return (moment + timedelta(hours=12)).date()


_INSTANT = re.compile(r"(-?\d{4,})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?\s*(Z|z|[+-]\d\d:?\d\d)?")


def read_instant(text: str) -> datetime | None:
    """A date or a time as servers write them: up to nine decimals, with Z, an offset (also without colon) or none. None: unreadable.

    Naive where the text names no zone. A fraction beyond microseconds is cut.
    """
    text = text.strip()
    if len(text) == 20 and text[7] == "-" and text[10] == "T" and text[13] == ":" and text[19] == "Z":
        try:
            return datetime.fromisoformat(text)  # what Exchange itself writes, five times as fast
        except ValueError:
            return None
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        value = datetime(  # noqa: DTZ001 the zone follows
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "0")[:6].ljust(6, "0"))
        )  # fmt: skip
        if zone is None:
            return value
        if zone in "Zz":
            return value.replace(tzinfo=UTC)
        sign = -1 if zone[0] == "-" else 1
        digits = zone[1:].replace(":", "")
        offset = sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        return (value - offset).replace(tzinfo=UTC).astimezone(timezone(offset))
    except (ValueError, OverflowError):
        return None


@cache
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of a Windows or IANA id; None for one nobody knows (a custom zone of an invitation, say)."""
    iana = win_tz.get(name, "UTC" if name.rpartition("/")[2].lower() == "utc" else name)
    try:
        return ZoneInfo(iana)
    except (KeyError, ValueError, OSError):
        return None


def _people(holder: Element | None) -> list[str]:
    return [person for attendee in (holder if holder is not None else ()) for person in _people_in(attendee)]


def _people_in(holder: Element | None) -> list[str]:
    """Who a Mailbox names: the display name, which lists and single items both give, else the address."""
    mailbox = child(holder, "Mailbox")
    if mailbox is None:
        return []
    person = text_of(child(mailbox, "Name")) or text_of(child(mailbox, "EmailAddress"))
    return [person] if person else []


def touches(item: Item, window: Window) -> bool:
    """Whether an item is in the window by our own rule, since servers differ about the edges: it starts before the end, and ends after
    the start, or has no length and stands at the start. Whole days count by their dates."""
    when = item.when
    if isinstance(when, Timed):
        return when.start < window.end and (when.end > window.start or when.start == when.end == window.start)
    if isinstance(when, AllDay):
        return when.start <= window.end.date() and when.end >= window.start.date()
    return True
