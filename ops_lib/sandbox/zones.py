"""Time zones as Exchange names them: Windows ids, their rules of a year, and what a client may send instead of an id.

The rules come from the tz database (``zoneinfo``), the map between Windows and IANA ids from Unicode's CLDR as the
``tzlocal`` package carries it. An offset here is what is *added* to UTC; EWS's *bias* is its negative.

Sources: EWS reference, "TimeZoneDefinition", "GetServerTimeZones", "MeetingTimeZone", "SerializableTimeZone".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache, wraps
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal.windows_tz import tz_win, win_tz

from ops_lib.errors import SandboxError
from ops_lib.sandbox.durations import read_duration as read_duration
from ops_lib.sandbox.durations import write_duration as write_duration
from ops_lib.sandbox.recurrence import DAY_NAMES, INDEX_NAMES, MONTH_NAMES, relative_day
from ops_lib.sandbox.zone_names import PLACES
from ops_lib.sandbox.zone_rules import Change, YearRules, changes, keeps_same_time, year_rules

_TYPES = "{http://schemas.microsoft.com/exchange/services/2006/types}"

_IANA_OF = {name.casefold(): iana for name, iana in win_tz.items()} | {
    "tzone://microsoft/utc": "Etc/UTC",
    "coordinated universal time": "Etc/UTC",
}
_WINDOWS_OF = {name.casefold(): name for name in win_tz}
_PLACE_ID = {place.casefold(): name for name, place in PLACES.items()}

# Where several zones keep the same clock, the one most people mean.
_USUAL = (
    "UTC",
    "GMT Standard Time",
    "W. Europe Standard Time",
    "Eastern Standard Time",
    "Central Standard Time",
    "Mountain Standard Time",
    "Pacific Standard Time",
    "FLE Standard Time",
    "AUS Eastern Standard Time",
    "China Standard Time",
    "Tokyo Standard Time",
    "India Standard Time",
)


class UnknownZone(SandboxError):
    """No time zone is known by this id, or keeps the clock described."""

    def __init__(self, zone_id: str) -> None:
        super().__init__(
            "no time zone of this name is known",
            subject=zone_id or "(no id)",
            response_code="ErrorTimeZone",
            fix="name a Windows time zone (GetServerTimeZones lists them) or an IANA one.",
        )
        self.id = zone_id


@dataclass(frozen=True)
class Period:
    """One of a zone's offsets; ``bias`` is what is added to its local time to get UTC."""

    id: str
    name: str
    bias: timedelta


@dataclass(frozen=True)
class Transition:
    """When a period begins each year: ``time_of_day`` after midnight of the ``occurrence``-th (-1: last) ``day_of_week`` of ``month``.

    Without a month the period holds all year.
    """

    to: str
    time_of_day: timedelta = timedelta()
    month: int = 0
    day_of_week: str = ""
    occurrence: int = 0


@dataclass(frozen=True)
class WindowsZone:
    """A zone as GetServerTimeZones describes it, with the rules of one year as its one transitions group."""

    id: str
    name: str
    periods: tuple[Period, ...]
    transitions: tuple[Transition, ...]


@lru_cache(maxsize=1024)
def zone(zone_id: str) -> ZoneInfo:
    """The zone of a Windows id (whatever its case) or an IANA id.

    Raises:
        UnknownZone: it is neither.
    """
    iana = _IANA_OF.get(zone_id.strip().casefold(), zone_id.strip())
    try:
        return ZoneInfo(iana)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(zone_id) from None


@lru_cache(maxsize=1024)
def windows_id(iana: str) -> str:
    """The Windows id of an IANA id (or of a Windows id in any case): the mapped one, else one that keeps the same clock now.

    Raises:
        UnknownZone: the id is not known, or no Windows zone keeps its clock.
    """
    if iana.strip().casefold() in _WINDOWS_OF:
        return _WINDOWS_OF[iana.strip().casefold()]
    known_zone = zone(iana)
    if known_zone.key in tz_win:
        return tz_win[known_zone.key]
    this_year = datetime.now(UTC).year
    return same_clock(known_zone, range(this_year, this_year + 1))


@lru_cache(maxsize=4096)
def faithful_id(zone_id: str, years: range) -> str:
    """The Windows id of a zone where that keeps the same clock in all of ``years``; else the id as given.

    Windows has one zone for many places, some of which went their own way for some years.
    """
    try:
        candidate = windows_id(zone_id)
    except UnknownZone:
        return zone_id
    return candidate if keeps_same_time(zone(zone_id), zone(candidate), years) else zone_id


def same_clock(clock: tzinfo, years: range) -> str:
    """The id of a zone whose clock shows the same as ``clock`` in all of ``years``: a Windows id where one does.

    Raises:
        UnknownZone: there is none.
    """
    for candidate in in_order():
        if keeps_same_time(clock, zone(candidate), years):
            return candidate
    raise UnknownZone(str(clock))


@lru_cache(maxsize=1)
def in_order() -> tuple[str, ...]:
    """Every Windows id; where several zones keep the same clock, the one most people mean comes first."""
    return tuple(sorted(win_tz, key=lambda name: (_USUAL.index(name) if name in _USUAL else len(_USUAL), name)))


@lru_cache(maxsize=8)
def known(year: int) -> tuple[WindowsZone, ...]:
    """Every Windows zone, west to east as Windows lists them, with the rules of ``year``."""
    return tuple(definition(name, year) for name in PLACES if name in win_tz)


@lru_cache(maxsize=2048)
def definition(zone_id: str, year: int) -> WindowsZone:
    """A zone described in full, with the rules of ``year``.

    Raises:
        UnknownZone: no zone is known by the id.
    """
    clock = zone(zone_id)
    name = _WINDOWS_OF.get(zone_id.strip().casefold(), zone_id)
    rules = year_rules(clock, year)
    stem = f"trule:Microsoft/Registry/{name}/{year}"
    standard = Period(f"{stem}-Standard", "Standard", -rules.standard)
    if rules.daylight is None or rules.to_daylight is None or rules.to_standard is None:
        return WindowsZone(name, _display(name, rules.standard), (standard,), (Transition(standard.id),))
    daylight = Period(f"{stem}-Daylight", "Daylight", -rules.daylight)
    return WindowsZone(
        name,
        _display(name, rules.standard),
        (standard, daylight),
        (
            _transition(daylight.id, clock, rules.to_daylight),
            _transition(standard.id, clock, rules.to_standard),
        ),
    )


def _display(name: str, offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    shown = "UTC" if name == "UTC" else f"UTC{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    return f"({shown}) {PLACES.get(name, name)}"


def _transition(to: str, clock: tzinfo, change: Change) -> Transition:
    wall = change.wall
    return Transition(
        to,
        timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second),
        wall.month,
        DAY_NAMES[wall.weekday()],
        occurrence(clock, change),
    )


def occurrence(clock: tzinfo, change: Change) -> int:
    """Which of its month's weekdays a change falls on: -1 where it is the last, in this year and the next ones."""
    wall = change.wall
    number = (wall.day - 1) // 7 + 1
    is_last = (wall + timedelta(days=7)).month != wall.month
    if number == 5 or not is_last:
        return -1 if number == 5 else number
    for year in range(wall.year + 1, wall.year + 7):
        for other in changes(clock, year):
            later = other.wall
            if later.month == wall.month and later.weekday() == wall.weekday():
                if (later + timedelta(days=7)).month == later.month:
                    return number
                if (later.day - 1) // 7 + 1 == 5:
                    return -1
    return -1


def _described(read: Callable[[Any, int], str]) -> Callable[[Any, int], str]:
    """A zone that is described in a way nobody can read is one that nobody knows."""

    @wraps(read)
    def reading(element: Any, year: int) -> str:
        try:
            return read(element, year)
        except (ValueError, LookupError, ArithmeticError, SandboxError):
            raise UnknownZone(element.get("Id") or element.get("TimeZoneName") or "") from None

    return reading


@_described
def from_definition(element: Any, year: int) -> str:
    """The id of the zone a client's ``TimeZoneDefinition`` element means: by its ``Id``, else by its rules for ``year``.

    Raises:
        UnknownZone: neither names or describes a known zone.
    """
    zone_id = element.get("Id") or ""
    try:
        zone(zone_id)
    except UnknownZone:
        periods = {period.get("Id"): period for period in element.iter(f"{_TYPES}Period")}
        if not periods:
            raise
    else:
        return _WINDOWS_OF.get(zone_id.strip().casefold(), zone_id)
    transitions = [
        child
        for child in _group_for(element, year)
        if child.tag in (f"{_TYPES}Transition", f"{_TYPES}RecurringDayTransition", f"{_TYPES}RecurringDateTransition")
    ]
    offsets = [
        -read_duration(periods[_text(child, "To")].get("Bias") or "PT0S")
        for child in transitions
        if _text(child, "To") in periods
    ]
    if len(offsets) != 2 or offsets[0] == offsets[1]:
        standard = offsets[0] if offsets else -read_duration(next(iter(periods.values())).get("Bias") or "PT0S")
        return nearest(YearRules(standard), zone_id, year)
    walls = [_transition_wall(child, year) for child in transitions]
    return nearest(_rules(offsets, walls), zone_id, year)


def _group_for(element: Any, year: int) -> list[Any]:
    """The children of the transitions group that holds in ``year``."""
    groups = {group.get("Id"): group for group in element.iter(f"{_TYPES}TransitionsGroup")}
    chosen: Any = next(iter(groups.values()), [])
    for transition in element.find(f"{_TYPES}Transitions") if element.find(f"{_TYPES}Transitions") is not None else []:
        since = _text(transition, "DateTime")
        if (not since or int(since[:4]) <= year) and _text(transition, "To") in groups:
            chosen = groups[_text(transition, "To")]
    return list(chosen)


def _transition_wall(child: Any, year: int) -> datetime:
    month = int(_text(child, "Month") or "1")
    if child.tag == f"{_TYPES}RecurringDateTransition":
        day = datetime(year, month, int(_text(child, "Day") or "1"))  # noqa: DTZ001 - a wall clock's time
    else:
        day = _nth_day(year, month, _text(child, "DayOfWeek"), int(_text(child, "Occurrence") or "1"))
    return day + read_duration(_text(child, "TimeOffset") or "PT0S")


@_described
def from_meeting_time_zone(element: Any, year: int) -> str:
    """The id of the zone an Exchange 2007 client's ``MeetingTimeZone`` element means: by name, else by its offsets.

    Raises:
        UnknownZone: neither names or describes a known zone.
    """
    name = (element.get("TimeZoneName") or "").strip()
    place = re.sub(r"^\([^)]*\)\s*", "", name).casefold()
    if name.casefold() in _WINDOWS_OF or place in _PLACE_ID:
        return _WINDOWS_OF.get(name.casefold()) or _PLACE_ID[place]
    base = _text(element, "BaseOffset")
    if not base:
        return _WINDOWS_OF.get(name.casefold()) or zone(name).key
    parts = [element.find(f"{_TYPES}{part}") for part in ("Standard", "Daylight")]
    if any(part is None for part in parts):
        return nearest(YearRules(-read_duration(base)), name, year)
    offsets = [-(read_duration(base) + read_duration(_text(part, "Offset") or "PT0S")) for part in parts]
    rules = [part.find(f"{_TYPES}RelativeYearlyRecurrence") for part in parts]
    if offsets[0] == offsets[1] or any(rule is None for rule in rules):
        return nearest(YearRules(offsets[0]), name, year)
    walls = [
        _nth_day(
            year,
            MONTH_NAMES.index(_text(rule, "Month")) + 1,
            _text(rule, "DaysOfWeek"),
            INDEX_NAMES.index(_text(rule, "DayOfWeekIndex")) + 1,
        )
        + _clock_time(_text(part, "Time"))
        for part, rule in zip(parts, rules, strict=True)
    ]
    return nearest(_rules(offsets, walls), name, year)


@_described
def from_serializable(element: Any, year: int) -> str:
    """The id of the zone an availability request's ``TimeZone`` element (biases in minutes) describes.

    Raises:
        UnknownZone: no known zone has these biases.
    """
    bias = int(_text(element, "Bias") or "0")
    parts = [element.find(f"{_TYPES}{part}") for part in ("StandardTime", "DaylightTime")]
    if any(part is None for part in parts):
        return nearest(YearRules(timedelta(minutes=-bias)), f"Bias {bias}", year)
    offsets = [timedelta(minutes=-(bias + int(_text(part, "Bias") or "0"))) for part in parts]
    if offsets[0] == offsets[1] or any(int(_text(part, "Month") or "0") == 0 for part in parts):
        return nearest(YearRules(offsets[0]), f"Bias {bias}", year)
    walls = [
        _nth_day(year, int(_text(part, "Month")), _text(part, "DayOfWeek"), int(_text(part, "DayOrder") or "1"))
        + _clock_time(_text(part, "Time"))
        for part in parts
    ]
    return nearest(_rules(offsets, walls), f"Bias {bias}", year)


def nearest(rules: YearRules, name: str, year: int) -> str:
    """The Windows zone with these offsets whose changes in ``year`` are closest to these.

    Raises:
        UnknownZone: no zone has these offsets; ``name`` is what the client called its own.
    """
    best: tuple[timedelta, str] | None = None
    for candidate in in_order():
        other = year_rules(zone(candidate), year)
        if (other.standard, other.daylight) != (rules.standard, rules.daylight):
            continue
        distance = timedelta()
        if rules.to_daylight and rules.to_standard and other.to_daylight and other.to_standard:
            distance = abs(rules.to_daylight.instant - other.to_daylight.instant) + abs(
                rules.to_standard.instant - other.to_standard.instant
            )
        if best is None or distance < best[0]:
            best = (distance, candidate)
    if best is None:
        raise UnknownZone(name)
    return best[1]


def _rules(offsets: list[timedelta], walls: list[datetime]) -> YearRules:
    """Two offsets and the wall-clock times at which each begins, as the rules of a year."""
    into = {
        offset: Change((wall - other).replace(tzinfo=UTC), other, offset)
        for offset, other, wall in zip(offsets, reversed(offsets), walls, strict=True)
    }
    standard, daylight = sorted(offsets)
    return YearRules(standard, daylight, into[daylight], into[standard])


def _nth_day(year: int, month: int, day_name: str, occurrence: int) -> datetime:
    position = 4 if occurrence in (-1, 5) else max(0, min(occurrence, 4) - 1)
    day = relative_day(year, month, (DAY_NAMES.index(day_name),), position)
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall clock's time


def _clock_time(text: str) -> timedelta:
    hours, minutes, seconds = (int(part) for part in (text[:8] or "00:00:00").split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _text(element: Any, child: str) -> str:
    return str(element.findtext(f"{_TYPES}{child}") or "").strip()
