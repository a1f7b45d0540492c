"""An event as an iCalendar text, the way Exchange writes MimeContent: one VCALENDAR, its VTIMEZONEs, a VEVENT for the
event and one for each occurrence that was changed.

Written by hand rather than with a library: a client that asks for an item's every property asks for this text as well.

Sources: RFC 5545; [MS-OXCICAL].
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from ops_lib.sandbox import zones
from ops_lib.sandbox.ical_rules import CannotHold, NotHeld, write_rule
from ops_lib.sandbox.recurrence import EndDate, Recurrence, end_after, local, wall_duration
from ops_lib.sandbox.values import Body, Person
from ops_lib.sandbox.zone_rules import Change, changes, offset_at

PRODUCT = "-//syncops//sandbox//EN"
BUSY_STATUS = {
    "Free": "FREE",
    "Tentative": "TENTATIVE",
    "Busy": "BUSY",
    "OOF": "OOF",
    "WorkingElsewhere": "WORKINGELSEWHERE",
}
CLASSES = {"Normal": "PUBLIC", "Personal": "X-PERSONAL", "Private": "PRIVATE", "Confidential": "CONFIDENTIAL"}
IMPORTANCE = {"Low": "0", "Normal": "1", "High": "2"}
ANSWERS = {
    "NoResponseReceived": "NEEDS-ACTION",
    "Accept": "ACCEPTED",
    "Decline": "DECLINED",
    "Tentative": "TENTATIVE",
}
ATTENDEES = {
    "calendar:RequiredAttendees": "ROLE=REQ-PARTICIPANT",
    "calendar:OptionalAttendees": "ROLE=OPT-PARTICIPANT",
    "calendar:Resources": "ROLE=NON-PARTICIPANT;CUTYPE=RESOURCE",
}
# Where iCalendar has no place for an item's zone: an all-day event, a time that comes twice that day.
START_ZONE, END_ZONE = "X-SYNCOPS-STARTTIMEZONE", "X-SYNCOPS-ENDTIMEZONE"


def to_ical(
    values: Mapping[str, Any],
    exceptions: Mapping[datetime, Mapping[str, Any]],
    deleted: Iterable[datetime],
    method: str = "PUBLISH",
) -> str:
    """The event as iCalendar, CRLF and folded; ``from_ical`` reads the same values back.

    ``exceptions`` (what differs, by original start) and ``deleted`` (original starts) are those of a series.

    Loses: properties iCalendar has no place for; fractions of a second; a carriage return in a text; of a series that
    begins in an hour that comes twice that day, which of the two.

    Raises:
        CannotHold: a recurrence that iCalendar has no rule for.
    """
    master = _Moments(values, values)
    used: dict[str, tuple[int, int]] = {}
    events = ["BEGIN:VEVENT", *_event(values, master), *_series(values, master, sorted(deleted)), "END:VEVENT"]
    master.note_zones(used, values.get("calendar:Recurrence"))
    for original, changed in sorted(exceptions.items()):
        merged = {**values, **_times(values, original, changed), **changed}
        merged.pop("calendar:Recurrence", None)
        moments = _Moments(merged, values)
        events += ["BEGIN:VEVENT", *_event(merged, moments), master.original("RECURRENCE-ID", original), "END:VEVENT"]
        moments.note_zones(used, None)
    definitions = [line for name, (first, last) in sorted(used.items()) for line in _time_zone(name, first, last)]
    lines = [
        "BEGIN:VCALENDAR",
        f"METHOD:{method}",
        f"PRODID:{PRODUCT}",
        "VERSION:2.0",
        *definitions,
        *events,
        "END:VCALENDAR",
    ]
    return "".join(fold(line) for line in lines)


def _times(values: Mapping[str, Any], original: datetime, changed: Mapping[str, Any]) -> dict[str, Any]:
    """An occurrence's start and end, where its changes do not say them."""
    zone = zones.zone(values.get("calendar:StartTimeZone") or "UTC")
    length = wall_duration(values["calendar:Start"], values["calendar:End"], zone)
    start = changed.get("calendar:Start", original)
    return {"calendar:Start": start, "calendar:End": end_after(start, length, zone)}


class _Moments:
    """How an event's start, end and original starts are written down."""

    def __init__(self, values: Mapping[str, Any], master: Mapping[str, Any]) -> None:
        self.start: datetime = values["calendar:Start"]
        self.end: datetime = values.get("calendar:End", self.start)
        self.start_zone = values.get("calendar:StartTimeZone") or "UTC"
        self.end_zone = values.get("calendar:EndTimeZone") or self.start_zone
        self.all_day = bool(values.get("calendar:IsAllDayEvent"))
        self.series_zone = master.get("calendar:StartTimeZone") or "UTC"
        self.series_all_day = bool(master.get("calendar:IsAllDayEvent"))
        self.in_series = values.get("calendar:Recurrence") is not None
        self.named: dict[str, list[datetime]] = {}

    def lines(self) -> list[str]:
        lines = [
            self._moment("DTSTART", self.start, self.start_zone, all_day=self.all_day),
            self._moment("DTEND", self.end, self.end_zone, all_day=self.all_day),
        ]
        for name, zone_id, line in ((START_ZONE, self.start_zone, lines[0]), (END_ZONE, self.end_zone, lines[1])):
            if "TZID=" not in line and (zone_id != "UTC" or self.all_day):
                lines.append(f"{name}:{escape(zone_id)}")
        return lines

    def original(self, name: str, moment: datetime) -> str:
        return self._moment(name, moment, self.series_zone, all_day=self.series_all_day)

    def _moment(self, name: str, moment: datetime, zone_id: str, *, all_day: bool) -> str:
        shown = local(moment, zones.zone(zone_id))
        if all_day:
            return f"{name};VALUE=DATE:{shown.year:04d}{shown:%m%d}"
        # A time that comes twice means the first of the two; the second can be said in UTC only, which would take a
        # series off its wall clock.
        if zone_id == "UTC" or (shown.fold and not self.in_series):
            utc = moment.astimezone(UTC)
            return f"{name}:{utc.year:04d}{utc:%m%dT%H%M%SZ}"
        self.named.setdefault(zone_id, []).append(shown)
        return f"{name};TZID={parameter(zone_id)}:{shown.year:04d}{shown:%m%dT%H%M%S}"

    def note_zones(self, used: dict[str, tuple[int, int]], recurrence: Recurrence | None) -> None:
        """Add the zones written so far, with the years they are needed for."""
        for zone_id, moments in self.named.items():
            first, last = min(moments).year, max(moments).year
            if recurrence is not None:
                # An endless series is described for the years that anybody looks at.
                ends = recurrence.range.end.year if isinstance(recurrence.range, EndDate) else first + 10
                last = max(last, min(ends, first + 30))
            known = used.get(zone_id, (first, last))
            used[zone_id] = (min(first, known[0]), max(last, known[1]))


def _event(values: Mapping[str, Any], moments: _Moments) -> Iterable[str]:
    stamp = values.get("item:LastModifiedTime") or values.get("item:DateTimeCreated") or values["calendar:Start"]
    organizer = values.get("calendar:Organizer")
    if organizer is not None:
        yield _person("ORGANIZER", "", organizer)
    for field, role in ATTENDEES.items():
        for attendee in values.get(field) or ():
            answer = ANSWERS.get(attendee.response)
            yield _person("ATTENDEE", f";{role}" + (f";PARTSTAT={answer}" if answer else ""), attendee)
    yield from _body(values.get("item:Body"))
    if values.get("calendar:UID"):
        yield f"UID:{escape(values['calendar:UID'])}"
    yield f"SUMMARY:{escape(values.get('item:Subject') or '')}"
    yield from moments.lines()
    yield f"CLASS:{CLASSES.get(values.get('item:Sensitivity') or 'Normal', 'PUBLIC')}"
    importance = values.get("item:Importance") or "Normal"
    yield f"PRIORITY:{ {'Low': 9, 'High': 1}.get(importance, 5) }"
    yield f"DTSTAMP:{stamp.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    busy = values.get("calendar:LegacyFreeBusyStatus") or "Busy"
    yield f"TRANSP:{'TRANSPARENT' if busy == 'Free' else 'OPAQUE'}"
    yield f"STATUS:{'CANCELLED' if values.get('calendar:IsCancelled') else 'CONFIRMED'}"
    yield "SEQUENCE:0"
    if values.get("calendar:Location"):
        yield f"LOCATION:{escape(values['calendar:Location'])}"
    if values.get("item:Categories"):
        yield f"CATEGORIES:{','.join(escape(category) for category in values['item:Categories'])}"
    yield f"X-MICROSOFT-CDO-BUSYSTATUS:{BUSY_STATUS.get(busy, 'BUSY')}"
    yield f"X-MICROSOFT-CDO-ALLDAYEVENT:{'TRUE' if moments.all_day else 'FALSE'}"
    yield f"X-MICROSOFT-CDO-IMPORTANCE:{IMPORTANCE.get(importance, '1')}"
    if values.get("item:ReminderIsSet"):
        minutes = int(values.get("item:ReminderMinutesBeforeStart", 15))
        yield from (
            "BEGIN:VALARM",
            "DESCRIPTION:REMINDER",
            f"TRIGGER;RELATED=START:-PT{minutes}M",
            "ACTION:DISPLAY",
            "END:VALARM",
        )


def _series(values: Mapping[str, Any], moments: _Moments, deleted: list[datetime]) -> Iterable[str]:
    recurrence = values.get("calendar:Recurrence")
    if recurrence is None:
        return
    zone = zones.zone(moments.series_zone)
    try:
        rule = write_rule(recurrence, moments.start, zone, all_day=moments.all_day)
    except NotHeld as problem:
        raise CannotHold(values.get("calendar:UID") or "", str(problem)) from None
    yield f"RRULE:{rule}"
    for moment in deleted:
        yield moments.original("EXDATE", moment)


def _body(body: Body | None) -> Iterable[str]:
    if body is None:
        return
    if not body.is_html:
        yield f"DESCRIPTION:{escape(body.text)}"
        return
    yield f"DESCRIPTION:{escape(plain(body.text))}"
    yield f"X-ALT-DESC;FMTTYPE=text/html:{escape(body.text)}"


def plain(markup: str) -> str:
    """HTML as the text a reader would see, roughly: for programs that read DESCRIPTION only."""
    text = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", "", markup)
    text = re.sub(r"(?i)<br\s*/?>|</(p|div|tr|li|h\d)>", "\n", text)
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()


def _person(name: str, parameters: str, person: Person) -> str:
    shown = f";CN={parameter(person.name)}" if person.name else ""
    return f"{name}{parameters}{shown}:mailto:{person.address}"


def escape(text: str) -> str:
    """A TEXT value's characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def parameter(text: str) -> str:
    """A parameter's value: in quotes where it needs them, with RFC 6868's signs for what quotes cannot hold."""
    text = text.replace("^", "^^").replace("\r\n", "^n").replace("\n", "^n").replace('"', "^'")
    return f'"{text}"' if re.search(r"[;:,^\\]", text) else text


def fold(line: str) -> str:
    """A content line of at most 75 octets a row, no character cut in two, with its line end."""
    if len(line) <= 75 and line.isascii():
        return line + "\r\n"
    rows, row, room = [], "", 75
    for character in line:
        size = len(character.encode("utf-8", "surrogatepass"))
        if size > room:
            rows.append(row)
            row, room = " ", 74
        row += character
        room -= size
    return "\r\n".join([*rows, row]) + "\r\n"


@lru_cache(maxsize=512)
def _time_zone(zone_id: str, first_year: int, last_year: int) -> tuple[str, ...]:
    """A VTIMEZONE that is right for the years given: one yearly rule where that says it, else each change by itself."""
    clock: tzinfo = zones.zone(zone_id)
    found = {year: changes(clock, year) for year in range(first_year, last_year + 1)}
    head = ("BEGIN:VTIMEZONE", f"TZID:{zone_id}")
    lines: list[str] = []
    if not any(found.values()):
        offset = offset_at(clock, datetime(first_year, 1, 2, tzinfo=UTC))
        lines = _observance("STANDARD", "16010101T000000", offset, offset)
    elif len(rules := {_yearly_rule(clock, year) for year in found}) == 1 and (rule := rules.pop()):
        # Midnight of 1601 is how Exchange says "since ever".
        for change, weekly in zip(found[first_year], rule, strict=True):
            kind = "DAYLIGHT" if change.after > change.before else "STANDARD"
            lines += _observance(kind, f"16010101T{change.wall:%H%M%S}", change.before, change.after, weekly)
    else:
        offset = offset_at(clock, datetime(first_year, 1, 1, tzinfo=UTC))
        lines = _observance("STANDARD", "16010101T000000", offset, offset)
        for change in (change for year in found.values() for change in year):
            kind = "DAYLIGHT" if change.after > change.before else "STANDARD"
            lines += _observance(kind, f"{change.wall:%Y%m%dT%H%M%S}", change.before, change.after)
    return (*head, *lines, "END:VTIMEZONE")


def _yearly_rule(clock: tzinfo, year: int) -> tuple[str, ...]:
    """The two changes of a year as RRULEs; nothing where it has not got two."""
    found = changes(clock, year)
    if len(found) != 2:
        return ()
    return tuple(_weekday_rule(clock, change) for change in found)


def _weekday_rule(clock: tzinfo, change: Change) -> str:
    day = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[change.wall.weekday()]
    return f"RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY={zones.occurrence(clock, change)}{day};BYMONTH={change.wall.month}"


def _observance(kind: str, since: str, before: timedelta, after: timedelta, rule: str = "") -> list[str]:
    return [
        f"BEGIN:{kind}",
        f"DTSTART:{since}",
        f"TZOFFSETFROM:{_utc_offset(before)}",
        f"TZOFFSETTO:{_utc_offset(after)}",
        *([rule] if rule else []),
        f"END:{kind}",
    ]


def _utc_offset(offset: timedelta) -> str:
    seconds = int(abs(offset).total_seconds())
    sign = "-" if offset < timedelta() else "+"
    rest = f"{seconds % 60:02d}" if seconds % 60 else ""
    return f"{sign}{seconds // 3600:02d}{seconds // 60 % 60:02d}{rest}"
