"""What a client sends of an item, read into values: fields, zones, dates, MIME. Nothing is stored here."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

from .. import events, ical, zones
from ..items import Attachment, Extended, ExtendedName, Override, Values
from . import codecs, extended
from .errors import ResponseError
from .mime_reading import read_message
from .properties import BY_ELEMENT, Property
from .session import Session
from .xml import T

#: which zone a time without an offset is read in
_ZONE_OF = {
    "calendar:Start": "calendar:StartTimeZone",
    "calendar:End": "calendar:EndTimeZone",
    "item:ReminderDueBy": "calendar:StartTimeZone",
}
_FIVE_YEARS = timedelta(days=5 * 366)
_FIRST_YEAR, _LAST_YEAR = 1602, 4499
_HALF_HOUR = timedelta(minutes=30)


@dataclass(slots=True)
class Draft:
    """An item as a client describes it."""

    element: str
    values: Values = field(default_factory=dict)
    extended: Extended = field(default_factory=dict)
    exceptions: dict[datetime, Override] = field(default_factory=dict)
    deleted: set[datetime] = field(default_factory=set)
    attachments: list[Attachment] = field(default_factory=list)


def _path_xml(row: Property) -> str:
    return f'<t:FieldURI FieldURI="{row.uri}"/>'


def task_date(value: datetime, session: Session) -> datetime:
    """The day a task's date means, as midnight UTC.

    Task dates have no time: a midnight is its own day, whatever its offset; any other time means the day it falls on in
    the TimeZoneContext.
    """
    if value.time() != time(0) and value.tzinfo is not None:
        value = value.astimezone(zones.zone(session.context_zone_id))
    return datetime.combine(value.date(), time(0), UTC)


def read_field(element_name: str, child: Any, session: Session) -> tuple[Property, Any]:
    """One property of an item of this element. Times without an offset stay naive.

    Raises:
        ResponseError: it cannot be written, or its value cannot be.
    """
    local = codecs.local_name(child)
    row = BY_ELEMENT[element_name].get(local)
    if row is None:
        raise ResponseError("ErrorInvalidPropertySet", f"Set action is invalid for property: {local}.")
    if not row.writable:
        raise ResponseError("ErrorInvalidPropertySet", xml=_path_xml(row))
    if row.kind == "zone":
        return row, session.zone_id_of(child)
    if row.kind == "meetingzone":
        try:
            return row, zones.from_meeting_time_zone(child, session.organisation.now().year)
        except zones.UnknownZone:
            raise ResponseError("ErrorTimeZone") from None
    value = codecs.READ[row.kind](child)
    if row.uri == "item:Subject":
        value = events.stored_subject(value)
    if row.kind == "date":
        value = task_date(value, session)
    return row, value


def read_item(item: Any, session: Session) -> Draft:
    """The item in an element of ``Items``.

    Raises:
        ResponseError: a property cannot be written, a value cannot be, or the MIME content is no such item.
    """
    draft = Draft(codecs.local_name(item))
    mime = None
    for child in item:
        if child.tag == f"{T}Attachments":
            continue  # ``attached`` reads them: they hold items of their own
        if child.tag == f"{T}ExtendedProperty":
            name, value = extended.read_value(child)
            put_extended(draft.values, draft.extended, name, value)
            continue
        row, value = read_field(draft.element, child, session)
        if row.kind == "mime":
            mime = value
        elif row.kind == "meetingzone":
            draft.values.setdefault("calendar:StartTimeZone", value)
        else:
            draft.values[row.uri] = value
    if mime is not None:
        _take_mime(draft, mime, session)
    if draft.element == "CalendarItem":
        zone = draft.values.setdefault("calendar:StartTimeZone", session.context_zone_id)
        draft.values.setdefault("calendar:EndTimeZone", zone)
    settle_times(draft.values, session, draft.values)
    return draft


def put_extended(values: Values, extras: Extended, name: ExtendedName, value: Any) -> None:
    """Write an extended property, or the first-class property it is another name of.

    Raises:
        ResponseError: it is the other name of a property that cannot be written that way.
    """
    alias = extended.WRITABLE_ALIASES.get(name)
    if alias is not None:
        uri, read = alias
        values[uri] = read(value)
    elif name in extended.ALIASES:
        raise ResponseError("ErrorInvalidPropertySet", xml=extended.write_name(name))
    else:
        extras[name] = value


def settle_times(values: Values, session: Session, zones_given: Values) -> None:
    """Make all times instants: naive ones are read in their zone, else in the TimeZoneContext, else as UTC.

    ``zones_given`` are the zones that this very request names: those that a stored item has already say nothing about it.

    Source: table 2 of Microsoft's "Time zones and EWS in Exchange".
    """
    for uri, value in values.items():
        if isinstance(value, datetime) and (value.tzinfo is not UTC):
            values[uri] = session.aware(value, zones_given.get(_ZONE_OF.get(uri, "")))


def _take_mime(draft: Draft, content: str, session: Session) -> None:
    try:
        raw = base64.b64decode(content, validate=False)
    except binascii.Error:
        raise ResponseError("ErrorMimeContentInvalid") from None
    if draft.element != "CalendarItem":
        said, draft.attachments = read_message(raw, is_mail=draft.element == "Message", now=session.organisation.now())
        draft.values = said | draft.values
        return
    try:
        parsed, refused = ical.parse(raw, session.context_zone_id)
    except ValueError:
        raise ResponseError("ErrorMimeContentInvalid") from None
    if len(parsed) != 1:
        reason = str(refused[0]) if refused else "one event is wanted"
        raise ResponseError("ErrorMimeContentConversionFailed", f"MIME content conversion failed: {reason}.")
    one = parsed[0]
    draft.values = {**one.values, **draft.values}
    draft.exceptions = {start: Override(dict(values)) for start, values in one.exceptions.items()}
    draft.deleted = set(one.deleted)


def check_event(values: Values, now: datetime) -> None:
    """Bring an event's times in order, as the server does before it stores it.

    Raises:
        ResponseError: it ends before it starts, lasts too long, or its recurrence has no occurrence.
    """
    if "calendar:Start" not in values:
        start = now.astimezone(UTC).replace(second=0, microsecond=0)
        values["calendar:Start"] = start + (_HALF_HOUR - timedelta(minutes=start.minute % 30))
    start = values["calendar:Start"]
    if _FIRST_YEAR <= start.year <= _LAST_YEAR:
        values.setdefault("calendar:End", start + _HALF_HOUR)
    end: datetime = values.get("calendar:End") or start
    if not all(_FIRST_YEAR <= one.year <= _LAST_YEAR for one in (start, end)):
        raise ResponseError("ErrorCalendarOutOfRange", "Specified value is outside of the acceptable range.")
    if end < start:
        raise ResponseError("ErrorCalendarEndDateIsEarlierThanStartDate")
    if end - start > _FIVE_YEARS:
        raise ResponseError("ErrorCalendarDurationIsTooLong")
    events.settle_event(values)
    if not events.align_series(values):
        raise ResponseError("ErrorRecurrenceHasNoOccurrence")


def check_task(values: Values, changed: set[object], session: Session) -> None:
    """Check what was just set of a task; a date of completion may be today by UTC or in the TimeZoneContext.

    Raises:
        ResponseError: it is less than nothing done or more than all, or was completed on a day to come.
    """
    percent, completed = values.get("task:PercentComplete"), values.get("task:CompleteDate")
    if "task:PercentComplete" in changed and percent is not None and not 0 <= percent <= 100:
        raise ResponseError("ErrorInvalidPercentCompleteValue")
    now = session.organisation.now()
    today = max(now.astimezone(zone).date() for zone in (UTC, zones.zone(session.context_zone_id)))
    if "task:CompleteDate" in changed and completed is not None and completed.date() > today:
        raise ResponseError("ErrorInvalidCompleteDate")


def default_folder(element: str, disposition: str) -> str:
    """Where an item goes that names no folder: a distinguished id."""
    if element == "Message":
        return "sentitems" if disposition == "SendAndSaveCopy" else "drafts"
    return {"CalendarItem": "calendar", "Task": "tasks", "Contact": "contacts"}.get(element, "drafts")
