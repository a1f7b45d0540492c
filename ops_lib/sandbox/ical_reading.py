"""iCalendar text taken apart, and what a VEVENT says beside its times: text, people, reminder, status, as the values of an item.

Sources: RFC 5545; [MS-OXCICAL] 2.1.3.1.1.20.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

import icalendar
from icalendar.timezone import tzp
from icalendar.timezone.zoneinfo import ZONEINFO

from ops_lib.sandbox import zones
from ops_lib.sandbox.ical_writing import ANSWERS, BUSY_STATUS, CLASSES, IMPORTANCE
from ops_lib.sandbox.values import Body, Person

# What an occurrence has where its series has something and it has nothing.
FIELDS: dict[str, Any] = {
    "item:Subject": "",
    "item:Body": Body(""),
    "item:Categories": [],
    "calendar:Location": "",
    "calendar:RequiredAttendees": [],
    "calendar:OptionalAttendees": [],
    "calendar:Resources": [],
}

_BUSY = {written: value for value, written in BUSY_STATUS.items()}
_CLASSES = {written: value for value, written in CLASSES.items()}
_IMPORTANCE = {written: value for value, written in IMPORTANCE.items()}
_ANSWERS = {written: value for value, written in ANSWERS.items()}


class _KnownZones(ZONEINFO):
    """The zones we know, Windows' own names among them: a file need not define those, and what it says of them is not read."""

    def timezone(self, name: str) -> tzinfo | None:
        try:
            return zones.zone(name or "none")
        except zones.UnknownZone:
            return None

    def knows_timezone_id(self, tzid: str) -> bool:
        return self.timezone(tzid) is not None


_reading = threading.Lock()


def read_calendars(text: str | bytes) -> list[Any]:
    """The VCALENDARs of a text. Raises what the library raises for text that is none, ValueError mostly."""
    # "Since ever" is 1601 to Exchange: the library would count each year's changes from there.
    text = re.sub(b"(?m)^DTSTART:1601", b"DTSTART:1970", text.encode() if isinstance(text, str) else text)
    # The library keeps a zone that a file defines under its name for good, for the whole process: another file's zone of
    # that name is another one. It also warns of zone names it guesses the meaning of.
    with _reading, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tzp.use(_KnownZones())
        try:
            return list(icalendar.Calendar.from_ical(text, multiple=True))
        finally:
            tzp.use_default()


def read_fields(component: Any, start: datetime) -> dict[str, Any]:
    """The values of a VEVENT but its times; what it does not have is left out. ``start`` is for an absolute reminder."""
    values: dict[str, Any] = {
        "item:Subject": text_of(component, "SUMMARY"),
        "item:Sensitivity": _CLASSES.get(text_of(component, "CLASS").upper(), "Normal"),
        "item:Importance": _importance(component),
        "calendar:LegacyFreeBusyStatus": _busy(component),
        "item:ReminderIsSet": False,
    }
    if "UID" in component:
        values["calendar:UID"] = text_of(component, "UID")
    body = _body(component)
    if body is not None:
        values["item:Body"] = body
    if text_of(component, "LOCATION"):
        values["calendar:Location"] = text_of(component, "LOCATION")
    categories = [str(name) for listed in _all(component, "CATEGORIES") for name in listed.cats]
    if categories:
        values["item:Categories"] = categories
    minutes = _reminder(component, start)
    if minutes is not None:
        values["item:ReminderIsSet"] = True
        values["item:ReminderMinutesBeforeStart"] = minutes
    if text_of(component, "STATUS").upper() == "CANCELLED":
        values["calendar:IsCancelled"] = True
    for organizer in _all(component, "ORGANIZER"):
        values["calendar:Organizer"] = _person(organizer)
    for attendee in _all(component, "ATTENDEE"):
        values.setdefault(_attendee_field(attendee), []).append(_person(attendee))
    return values


def text_of(component: Any, name: str) -> str:
    """A property's text; the first one's where it stands several times, "" where it does not stand."""
    return str(next(_all(component, name), ""))


def _all(component: Any, name: str) -> Iterator[Any]:
    written = component.get(name) if name else None
    if isinstance(written, list):
        yield from written
    elif written is not None:
        yield written


def _body(component: Any) -> Body | None:
    for markup in _all(component, "X-ALT-DESC"):
        if str(getattr(markup, "params", {}).get("FMTTYPE", "")).lower() == "text/html":
            return Body(_unescape(str(markup)), is_html=True)
    return Body(text_of(component, "DESCRIPTION")) if "DESCRIPTION" in component else None


def _unescape(text: str) -> str:
    """The text of a property the library does not know to be one."""
    return re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] in "nN" else escaped[1], text)


def _importance(component: Any) -> str:
    said = _IMPORTANCE.get(text_of(component, "X-MICROSOFT-CDO-IMPORTANCE"))
    if said:
        return said
    priority = text_of(component, "PRIORITY")
    if not priority.isdecimal() or int(priority) in (0, 5):
        return "Normal"
    return "High" if int(priority) < 5 else "Low"


def _busy(component: Any) -> str:
    said = _BUSY.get(text_of(component, "X-MICROSOFT-CDO-BUSYSTATUS").upper())
    if said:
        return said
    if text_of(component, "TRANSP").upper() == "TRANSPARENT":
        return "Free"
    return "Tentative" if text_of(component, "STATUS").upper() == "TENTATIVE" else "Busy"


def _reminder(component: Any, start: datetime) -> int | None:
    """Minutes before the start of the first reminder that is shown or heard; one after the start is at the start."""
    for alarm in component.walk("VALARM"):
        trigger = alarm.get("TRIGGER")
        if text_of(alarm, "ACTION").upper() not in ("DISPLAY", "AUDIO") or trigger is None:
            continue
        when = getattr(trigger, "dt", None)
        if isinstance(when, timedelta):
            before = -when
        elif isinstance(when, datetime):
            before = start - (when if when.tzinfo else when.replace(tzinfo=UTC))
        elif isinstance(when, date):
            before = start - datetime.combine(when, time(), UTC)
        else:
            continue
        return max(0, int(before.total_seconds()) // 60)
    return None


def _person(address: Any) -> Person:
    parameters = getattr(address, "params", {})
    mail = str(address)
    mail = mail[len("mailto:") :] if mail.lower().startswith("mailto:") else mail
    answer = _ANSWERS.get(str(parameters.get("PARTSTAT", "")).upper(), "Unknown")
    return Person(str(parameters.get("CN", "")), mail, answer)


def _attendee_field(attendee: Any) -> str:
    parameters = getattr(attendee, "params", {})
    if str(parameters.get("CUTYPE", "")).upper() in ("RESOURCE", "ROOM"):
        return "calendar:Resources"
    if str(parameters.get("ROLE", "")).upper() in ("OPT-PARTICIPANT", "NON-PARTICIPANT"):
        return "calendar:OptionalAttendees"
    return "calendar:RequiredAttendees"
