"""iCalendar in and out: what a CalendarItem's MimeContent is, and whole calendars of other programs.

``to_ical`` writes one event, ``from_ical`` and ``parse`` read any number. What comes out are the values that an item
holds (see ``values.py`` and the FieldURIs of EWS), so that ``from_ical(to_ical(event)) == [event]``.

How a file is read, where programs differ:

- ``X-WR-TIMEZONE`` is the zone of times without one *and* of times in UTC: Google and others write a whole calendar in
  UTC and mean that zone's wall clock.
- A time without any zone, and a day, are those of ``zone``, the mailbox's.
- A zone the file defines itself is the known one that keeps the same time in the years concerned.
- EXDATE and RECURRENCE-ID mean an occurrence by its instant or, as sloppy programs have it, by its wall-clock time. A
  changed occurrence that the series does not have is an event of its own.

Sources: RFC 5545; [MS-OXCICAL].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from ops_lib.sandbox import zones
from ops_lib.sandbox.ical_reading import FIELDS, read_calendars, read_fields, text_of
from ops_lib.sandbox.ical_rules import CannotHold, NotHeld, read_rule
from ops_lib.sandbox.ical_writing import END_ZONE, START_ZONE, to_ical
from ops_lib.sandbox.recurrence import instant, local, start_at, starts_between
from ops_lib.sandbox.zone_rules import keeps_same_time, offset_at

__all__ = ["CannotHold", "Parsed", "from_ical", "parse", "to_ical"]

_EARLIEST, _LATEST = datetime(1601, 1, 2, tzinfo=UTC), datetime(4500, 8, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Parsed:
    """One event: its values; of a series, also what differs in some occurrences and which are deleted (by original start, UTC).

    An exception always says its start and end.
    """

    values: dict[str, Any]
    exceptions: dict[datetime, dict[str, Any]] = field(default_factory=dict)
    deleted: set[datetime] = field(default_factory=set)


def from_ical(text: str | bytes, zone: str = "UTC") -> list[Parsed]:
    """The events of an iCalendar text, one for each UID; ``zone`` is that of days and of times without one.

    Raises:
        CannotHold: one of them, or the text itself, cannot be held.
    """
    parsed, refused = parse(text, zone)
    if refused:
        raise refused[0]
    return parsed


def parse(text: str | bytes, zone: str = "UTC") -> tuple[list[Parsed], list[CannotHold]]:
    """The events of an iCalendar text that Exchange can hold, and why it cannot hold the others."""
    try:
        calendars = read_calendars(text)
    except Exception as problem:  # noqa: BLE001 - on broken text the library raises whatever its parts happen to raise
        return [], [CannotHold("", f"this is not iCalendar: {problem}")]
    parsed: list[Parsed] = []
    refused: list[CannotHold] = []
    for calendar in calendars:
        if getattr(calendar, "name", "") != "VCALENDAR":
            refused.append(CannotHold("", "this is not iCalendar: no VCALENDAR"))
            continue
        reader = _Reader(calendar, zone)
        for components in _by_uid(calendar):
            try:
                parsed += reader.read(components)
            except CannotHold as problem:
                refused.append(problem)
            except NotHeld as problem:
                refused.append(CannotHold(text_of(components[0], "UID"), str(problem)))
            except (ValueError, ArithmeticError, TypeError, AttributeError, LookupError) as problem:
                refused.append(CannotHold(text_of(components[0], "UID"), f"it cannot be read: {problem}"))
        for component in calendar.subcomponents:
            if component.name in ("VTODO", "VJOURNAL"):
                refused.append(CannotHold(text_of(component, "UID"), f"a {component.name} is no event"))
    return parsed, refused


def _by_uid(calendar: Any) -> list[list[Any]]:
    """The events by UID, in the file's order; one without a UID stands alone."""
    found: dict[str, list[Any]] = {}
    for number, component in enumerate(calendar.walk("VEVENT")):
        found.setdefault(text_of(component, "UID") or f"\0{number}", []).append(component)
    return list(found.values())


@dataclass(frozen=True)
class _Moment:
    """A DATE or DATE-TIME of a file: the instant, the wall clock it was written by, and how it was written."""

    instant: datetime
    wall: datetime
    zone_id: str
    is_date: bool
    floating: bool

    def names(self) -> set[datetime]:
        """By what an occurrence that begins then may be referred to, without zone."""
        return {self.wall} if self.is_date else {self.instant.replace(tzinfo=None), self.wall}


class _Reader:
    """Reads the events of one VCALENDAR."""

    def __init__(self, calendar: Any, zone: str) -> None:
        self.zone_id = zone
        self.calendar_zone = self._calendar_zone(text_of(calendar, "X-WR-TIMEZONE"))
        self.cancelled = text_of(calendar, "METHOD").upper() == "CANCEL"

    @staticmethod
    def _calendar_zone(name: str) -> str:
        try:
            zones.zone(name or "none")
        except zones.UnknownZone:
            return ""
        return name

    def read(self, components: list[Any]) -> list[Parsed]:
        """All components of one UID as one event, and one for each changed occurrence that has no series."""
        for component in components:
            self._require_readable(component)
        masters = [component for component in components if "RECURRENCE-ID" not in component]
        overrides = [component for component in components if "RECURRENCE-ID" in component]
        if any("RANGE" in component["RECURRENCE-ID"].params for component in overrides):
            raise CannotHold(text_of(components[0], "UID"), "it changes an occurrence and all that follow (RANGE)")
        if not masters:
            return [self._alone(component, number) for number, component in enumerate(overrides)]
        return self._event(max(masters, key=_sequence), overrides)

    def _require_readable(self, component: Any) -> None:
        uid = text_of(component, "UID")
        if "DTSTART" not in component:
            raise CannotHold(uid, "it has no start (DTSTART)")
        for name in ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID"):
            if isinstance(component.get(name), list):
                raise CannotHold(uid, f"it has several {name}")
        if any(_values(component, "RDATE")):
            raise CannotHold(uid, "it lists dates beside its rule (RDATE)")
        if any(_values(component, "EXRULE")):
            raise CannotHold(uid, "it excludes by a rule (EXRULE)")
        if len(_rules(component)) > 1:
            raise CannotHold(uid, "it has several rules (RRULE)")

    def _alone(self, component: Any, number: int) -> Parsed:
        """A changed occurrence whose series is not here: a single event."""
        values = self._values(component, None)
        if number and values.get("calendar:UID"):
            original = self._moment(component, "RECURRENCE-ID", component["RECURRENCE-ID"], None)
            values["calendar:UID"] += f"/{original.wall:%Y%m%dT%H%M%S}"
        return Parsed(values)

    def _event(self, master: Any, overrides: list[Any]) -> list[Parsed]:
        values = self._values(master, None)
        rules = _rules(master)
        if not rules:
            return [Parsed(values), *(self._alone(component, 1) for component in overrides)]
        series = _Series(self, master, values, rules[0])
        excluded = [self._moment(master, "EXDATE", value, series.start) for value in _values(master, "EXDATE")]
        deleted = {occurrence for moment in excluded for occurrence in series.occurrences(moment, whole_day=True)}
        excluded_names = {name for moment in excluded for name in moment.names()}
        chosen: dict[datetime, Any] = {}
        alone = []
        for component in overrides:
            original = self._moment(component, "RECURRENCE-ID", component["RECURRENCE-ID"], series.start)
            found = series.occurrences(original, whole_day=False)
            if found and found[0] not in deleted:
                chosen[found[0]] = max(chosen.get(found[0], component), component, key=_sequence)
            elif not found and not original.names() & excluded_names and not _is_outdated(component, master):
                alone.append(self._alone(component, 1))
        if len(deleted) == series.length():
            raise CannotHold(text_of(master, "UID"), "each of its occurrences is excluded")
        exceptions = {occurrence: self._changes(component, series) for occurrence, component in chosen.items()}
        return [Parsed(values, exceptions, deleted), *alone]

    def _changes(self, component: Any, series: _Series) -> dict[str, Any]:
        """What a changed occurrence has otherwise than its series; start and end always."""
        changed = self._values(component, series.start)
        changed.pop("calendar:UID", None)
        differing = {name: value for name, value in changed.items() if series.values.get(name) != value}
        # An occurrence in its series' zone does not say so again; a property it lacks is empty, not inherited.
        emptied = {name: FIELDS[name] for name in FIELDS if name in series.values and name not in changed}
        times = {name: changed[name] for name in ("calendar:Start", "calendar:End")}
        return {**emptied, **differing, **times}

    def _values(self, component: Any, series_start: _Moment | None) -> dict[str, Any]:
        """The values of one component; a day of a changed occurrence is one of its series' zone."""
        start = self._moment(component, "DTSTART", component["DTSTART"], series_start)
        end = self._end(component, start)
        all_day = (start.is_date and end.is_date) or text_of(component, "X-MICROSOFT-CDO-ALLDAYEVENT").upper() == "TRUE"
        all_day = all_day and not (start.wall.time() != time() or end.wall.time() != time())
        if all_day and end.wall <= start.wall:
            end = self._after(start, timedelta(days=1))
        if end.instant < start.instant:
            raise CannotHold(text_of(component, "UID"), "it ends before it starts")
        if not _EARLIEST <= start.instant <= end.instant <= _LATEST:
            raise CannotHold(text_of(component, "UID"), "it lies outside the years 1601 to 4500")
        values = read_fields(component, start.instant)
        if self.cancelled:
            values["calendar:IsCancelled"] = True
        values["calendar:Start"] = start.instant
        values["calendar:End"] = end.instant
        values["calendar:IsAllDayEvent"] = all_day
        values["calendar:StartTimeZone"] = start.zone_id
        values["calendar:EndTimeZone"] = end.zone_id
        return values

    def _end(self, component: Any, start: _Moment) -> _Moment:
        if "DTEND" in component:
            return self._moment(component, "DTEND", component["DTEND"], start)
        if "DURATION" in component:
            duration = component["DURATION"].dt
            end = self._after(start, duration)
            return end if not duration % timedelta(days=1) else _Moment(**{**vars(end), "is_date": False})
        return self._after(start, timedelta(days=1) if start.is_date else timedelta())

    def _after(self, start: _Moment, duration: timedelta) -> _Moment:
        wall = start.wall + duration
        moment = instant(wall, zones.zone(start.zone_id)) if duration else start.instant
        return _Moment(moment, wall, start.zone_id, start.is_date, start.floating)

    def _moment(self, component: Any, name: str, value: Any, beside: _Moment | None) -> _Moment:
        """A DATE or DATE-TIME property; one without zone is in the zone of the one it stands beside."""
        written = value.dt
        said = text_of(component, {"DTSTART": START_ZONE, "DTEND": END_ZONE}.get(name, ""))
        default = said or (beside.zone_id if beside else self.calendar_zone or self.zone_id)
        if not isinstance(written, datetime):
            wall = datetime.combine(written, time())
            zone_id = self._faithful(said or (beside.zone_id if beside else self.zone_id), wall.year)
            return _Moment(instant(wall, zones.zone(zone_id)), wall, zone_id, is_date=True, floating=False)
        if written.tzinfo is None:
            wall = written.replace(microsecond=0)
            zone_id = self._faithful(default, wall.year)
            floating = beside.floating if beside else not self.calendar_zone
            return _Moment(instant(wall, zones.zone(zone_id)), wall, zone_id, is_date=False, floating=floating)
        moment = written.astimezone(UTC).replace(microsecond=0)
        if written.tzname() == "UTC" and (said or self.calendar_zone):
            zone_id = self._faithful(said or self.calendar_zone, moment.year)
        else:
            zone_id = self._zone_id(component, written.tzinfo, str(value.params.get("TZID") or ""), moment)
        wall = local(moment, zones.zone(zone_id)).replace(tzinfo=None)
        if zone_id == "UTC" or written.tzname() != "UTC":
            wall = written.replace(tzinfo=None, microsecond=0, fold=0)
        return _Moment(moment, wall.replace(fold=0), zone_id, is_date=False, floating=False)

    @staticmethod
    def _faithful(zone_id: str, year: int) -> str:
        return zones.faithful_id(zone_id, range(max(1602, year), max(1602, year) + 6))

    def _zone_id(self, component: Any, clock: tzinfo, name: str, moment: datetime) -> str:
        """The id of the zone a time is written in: the file's name for it, where that means this clock."""
        if clock is UTC or getattr(clock, "key", "") in ("UTC", "Etc/UTC"):
            return "UTC"
        years = range(max(1602, moment.year), max(1602, moment.year) + 6)
        for candidate in (name, getattr(clock, "key", "")):
            try:
                known = zones.zone(candidate or "none")
            except zones.UnknownZone:
                continue
            if isinstance(clock, ZoneInfo) or keeps_same_time(clock, known, years):
                return zones.faithful_id(candidate, years)
        try:
            return zones.same_clock(clock, years)
        except zones.UnknownZone:
            if _rules(component):
                raise NotHeld(f"its time zone {name!r} has rules that no Windows time zone has") from None
            return self._same_offset(clock, moment)

    @staticmethod
    def _same_offset(clock: tzinfo, moment: datetime) -> str:
        """For one time only any zone with the same offset then will do; UTC where there is none."""
        offset = offset_at(clock, moment)
        for candidate in zones.in_order():
            if offset_at(zones.zone(candidate), moment) == offset:
                return candidate
        return "UTC"


class _Series:
    """The master of a series while its file is read."""

    def __init__(self, reader: _Reader, master: Any, values: dict[str, Any], rule: Mapping[str, Any]) -> None:
        self.values = values
        self.start = reader._moment(master, "DTSTART", master["DTSTART"], None)
        self.zone = zones.zone(self.start.zone_id)
        if (
            not self.start.is_date
            and local(self.start.instant, self.zone).replace(tzinfo=None, fold=0) != self.start.wall
        ):
            raise CannotHold(text_of(master, "UID"), "it starts at a time that its time zone skips that day")
        start: datetime | date = self.start.wall.date() if self.start.is_date else self.start.instant
        self.recurrence = read_rule(rule, start, self.zone, floating=self.start.floating)
        values["calendar:Recurrence"] = self.recurrence

    def occurrences(self, moment: _Moment, *, whole_day: bool) -> list[datetime]:
        """The original starts that a moment means: at its instant or, failing that, its wall-clock time; a day, if asked for, all of its."""
        day = timedelta(days=1)
        near = [
            start
            for _, start in starts_between(
                self.recurrence,
                self.start.instant,
                timedelta(),
                self.zone,
                max(_EARLIEST, min(moment.instant, moment.wall.replace(tzinfo=UTC)) - 2 * day),
                min(_LATEST, max(moment.instant, moment.wall.replace(tzinfo=UTC)) + 2 * day),
            )
        ]
        if moment.is_date and whole_day:
            return [start for start in near if self._wall(start).date() == moment.wall.date()]
        if not moment.is_date and not self.start.is_date and moment.instant in near:
            return [moment.instant]
        names = moment.names()
        return [start for start in near if self._names(start) & names][:1]

    def _names(self, start: datetime) -> set[datetime]:
        wall = self._wall(start)
        return {wall} if self.start.is_date else {wall, start.replace(tzinfo=None)}

    def _wall(self, start: datetime) -> datetime:
        return local(start, self.zone).replace(tzinfo=None, fold=0)

    def length(self) -> int:
        """How many occurrences it has; more than anybody would exclude one by one where it is endless."""
        count = 0
        while count <= 1000 and start_at(self.recurrence, self.start.instant, self.zone, count + 1):
            count += 1
        return count


def _rules(component: Any) -> list[Mapping[str, Any]]:
    """The rules that say anything: some programs write an empty RRULE line."""
    written = component.get("RRULE")
    rules = written if isinstance(written, list) else [written]
    return [rule for number, rule in enumerate(rules) if rule and rule not in rules[:number]]


def _values(component: Any, name: str) -> Iterator[Any]:
    """Each date of a property that may stand several times and list several dates each time."""
    written = component.get(name)
    for dates in written if isinstance(written, list) else [written] if written else []:
        yield from getattr(dates, "dts", [dates])


def _sequence(component: Any) -> int:
    return int(component.get("SEQUENCE", -1))


def _is_outdated(component: Any, master: Any) -> bool:
    """Whether a component that is a series itself is an older version of the series it claims an occurrence of."""
    return bool(_rules(component)) and _sequence(component) < _sequence(master)
