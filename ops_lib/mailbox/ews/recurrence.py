"""A series' Recurrence as EWS writes it → the dates it falls on.

Source: the EWS schema (RecurrenceType); MS-OXOCAL on days that a month does not have (its last day is taken instead).
The arithmetic is dateutil's, on dates alone: what the clock says on them is `series.py`'s part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule

from ops_lib.errors import ItemRefused
from ops_lib.mailbox.ews.answers import Element, child, name_of, text_of
from ops_lib.mailbox.ews.items import read_instant

_WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAYS = {name: (number,) for number, name in enumerate(_WEEK)} | {
    "Day": (0, 1, 2, 3, 4, 5, 6),
    "Weekday": (0, 1, 2, 3, 4),
    "WeekendDay": (5, 6),
}
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_INDEXES = {"First": 1, "Second": 2, "Third": 3, "Fourth": 4, "Last": -1}
_SHORTEST_MONTH = 28


@dataclass(frozen=True, slots=True)
class Recurrence:
    """On which dates a series falls, on the calendar of its own time zone."""

    rule: rrule.rrule

    def dates(self, last: date) -> Iterator[date]:
        """Every date of the pattern up to and including ``last``, in order, those included that were deleted or moved."""
        for moment in self.rule:
            if moment.date() > last:
                return
            yield moment.date()


def recurrence_of(element: Element | None, zone: ZoneInfo, first: date) -> Recurrence:
    """Read a Recurrence element. ``first`` is the master's own date, for a range that does not say where it begins.

    Raises `ItemRefused` where the dates cannot be computed, with the reason.
    """
    if element is None:
        raise ItemRefused("the server gives no recurrence")
    parts = {name_of(part): part for part in element}
    pattern = next((part for name, part in parts.items() if name in _PATTERNS), None)
    if pattern is None:
        others = [name for name in parts if name not in _RANGES]
        raise ItemRefused(f"the pattern {others[0] if others else '(none)'} has no dates that can be computed")
    within = next((part for name, part in parts.items() if name in _RANGES), None)
    if within is None:
        raise ItemRefused("the recurrence does not say how long it goes on")
    start = _day(within, "StartDate", zone) or first
    rule: dict[str, Any] = {"dtstart": datetime.combine(start, time()), "cache": True}
    if name_of(within) == "EndDateRecurrence":
        end = _day(within, "EndDate", zone)
        if end is None:
            raise ItemRefused("the recurrence ends on a day that cannot be read")
        rule["until"] = datetime.combine(end, time())
    elif name_of(within) == "NumberedRecurrence":
        rule["count"] = _number(within, "NumberOfOccurrences")
    return Recurrence(rrule.rrule(**(rule | _PATTERNS[name_of(pattern)](pattern))))


# ── patterns ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _daily(pattern: Element) -> dict[str, Any]:
    return {"freq": rrule.DAILY, "interval": _interval(pattern)}


def _weekly(pattern: Element) -> dict[str, Any]:
    first = text_of(child(pattern, "FirstDayOfWeek")) or "Sunday"
    if first not in _WEEK:
        raise ItemRefused(f"the week begins on a day that is none: {first[:40]}")
    return {
        "freq": rrule.WEEKLY,
        "interval": _interval(pattern),
        "byweekday": _weekdays(pattern),
        "wkst": _WEEK.index(first),
    }


def _absolute_monthly(pattern: Element) -> dict[str, Any]:
    return {"freq": rrule.MONTHLY, "interval": _interval(pattern)} | _day_of_month(pattern)


def _relative_monthly(pattern: Element) -> dict[str, Any]:
    return {"freq": rrule.MONTHLY, "interval": _interval(pattern)} | _place_in_month(pattern)


def _absolute_yearly(pattern: Element) -> dict[str, Any]:
    return {"freq": rrule.YEARLY, "bymonth": _month(pattern)} | _day_of_month(pattern)


def _relative_yearly(pattern: Element) -> dict[str, Any]:
    return {"freq": rrule.YEARLY, "bymonth": _month(pattern)} | _place_in_month(pattern)


_PATTERNS = {
    "DailyRecurrence": _daily,
    "WeeklyRecurrence": _weekly,
    "AbsoluteMonthlyRecurrence": _absolute_monthly,
    "RelativeMonthlyRecurrence": _relative_monthly,
    "AbsoluteYearlyRecurrence": _absolute_yearly,
    "RelativeYearlyRecurrence": _relative_yearly,
}
_RANGES = ("NoEndRecurrence", "EndDateRecurrence", "NumberedRecurrence")


def _day_of_month(pattern: Element) -> dict[str, Any]:
    """A day of the month, or the month's last where it has no such day."""
    day = _number(pattern, "DayOfMonth")
    if day > 31:
        raise ItemRefused(f"no month has a day {day}")
    if day <= _SHORTEST_MONTH:
        return {"bymonthday": day}
    return {"bymonthday": list(range(_SHORTEST_MONTH, day + 1)), "bysetpos": -1}


def _place_in_month(pattern: Element) -> dict[str, Any]:
    index = text_of(child(pattern, "DayOfWeekIndex"))
    if index not in _INDEXES:
        raise ItemRefused(f"the place in the month is not known: {index[:40]}")
    return {"byweekday": _weekdays(pattern), "bysetpos": _INDEXES[index]}


def _weekdays(pattern: Element) -> list[int]:
    names = text_of(child(pattern, "DaysOfWeek")).split()
    unknown = [name for name in names if name not in _DAYS]
    if unknown or not names:
        raise ItemRefused(f"the days of the week are not known: {' '.join(unknown)[:40] or 'none given'}")
    return sorted({number for name in names for number in _DAYS[name]})


def _month(pattern: Element) -> int:
    name = text_of(child(pattern, "Month"))
    if name not in _MONTHS:
        raise ItemRefused(f"the month is not known: {name[:40] or 'none given'}")
    return _MONTHS.index(name) + 1


def _interval(pattern: Element) -> int:
    return _number(pattern, "Interval", default=1)


def _number(holder: Element, name: str, default: int = 0) -> int:
    text = text_of(child(holder, name)) or str(default)
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number < 1_000_000:
        raise ItemRefused(f"{name} is no number a series can have: {text[:40]}")
    return number


def _day(holder: Element, name: str, zone: ZoneInfo) -> date | None:
    """A day as the schema writes it, or as a time: the day as written at its own midnight, else the day it is in the series' zone."""
    read = read_instant(text_of(child(holder, name)))
    if read is None:
        return None
    if read.tzinfo is None or not (read.hour or read.minute):
        return read.date()
    # Midnight of the zone may be given an hour off, by the offset of the other half of the year.
    return (read.astimezone(zone) + timedelta(hours=1)).date()
