"""RRULE and EWS recurrences, one as the other, where they mean exactly the same days.

Where Exchange has no such pattern, or reads one differently, the answer is a reason in words and no approximation:
a series on the 31st skips short months in iCalendar and takes their last day in Exchange; ``BYMONTHDAY=28,29,30,31;
BYSETPOS=-1`` is how iCalendar says the latter.

Sources: RFC 5545 3.3.10; [MS-OXCICAL] 2.1.3.2.1.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any

from ops_lib.errors import SandboxError
from ops_lib.sandbox.recurrence import (
    DAY_NAMES,
    INDEX_NAMES,
    LAST_DATE,
    MONTH_NAMES,
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    EndDate,
    NoEnd,
    Numbered,
    Pattern,
    Range,
    Recurrence,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
    dates,
    instant,
    local,
)

_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_SUNDAY_FIRST = (6, 0, 1, 2, 3, 4, 5)
_GROUPS = {tuple(range(7)): "Day", tuple(range(5)): "Weekday", (5, 6): "WeekendDay"}
_WEEK_OF_DAYS = {tuple(range(7 * week + 1, 7 * week + 8)): week + 1 for week in range(4)}
MOST_OCCURRENCES = 999
_LONGEST_INTERVAL = {Daily: 999, Weekly: 99, AbsoluteMonthly: 99, RelativeMonthly: 99}


class CannotHold(SandboxError):
    """An event that Exchange has no way to hold; ``uid`` says which ("" where it has none), ``reason`` why."""

    def __init__(self, uid: str, reason: str) -> None:
        super().__init__(
            reason,
            subject=f"event {uid}" if uid else "event without UID",
            response_code="ErrorMimeContentConversionFailed",
            fix="write the event in a way Exchange can hold, or enter its occurrences as single events.",
        )
        self.uid = uid
        self.reason = reason


class NotHeld(Exception):
    """Exchange has no recurrence that means the same; the message says why."""


def read_rule(rule: Mapping[str, Sequence[Any]], start: datetime | date, zone: tzinfo, *, floating: bool) -> Recurrence:
    """The recurrence that takes place exactly when an RRULE does.

    Args:
        rule: the parts of the rule, each with its values, as the icalendar library gives them.
        start: DTSTART: a date, or an aware datetime.
        zone: the zone whose wall clock the series keeps.
        floating: DTSTART named no zone; UNTIL is then read in ``zone``, too.

    Raises:
        NotHeld: there is none.
    """
    wall = local(start, zone).replace(tzinfo=None) if isinstance(start, datetime) else datetime.combine(start, time())
    first = wall.date()
    pattern = _read_pattern(rule, wall)
    limit = _LONGEST_INTERVAL.get(type(pattern))
    if limit and getattr(pattern, "interval", 1) > limit:
        raise NotHeld(f"an interval of {getattr(pattern, 'interval', 1)} is more than Exchange's {limit}")
    recurrence = Recurrence(pattern, _read_range(rule, start, wall, zone, floating=floating))
    if next(dates(replace(recurrence, range=NoEnd(first))), None) != first:
        raise NotHeld("its first instance does not lie on a day of its own rule")
    if next(dates(recurrence), None) is None:
        raise NotHeld("it ends before its first instance")
    if isinstance(recurrence.range, Numbered) and recurrence.range.count > MOST_OCCURRENCES:
        final = next(islice(dates(recurrence), recurrence.range.count - 1, None), LAST_DATE)
        recurrence = replace(recurrence, range=EndDate(first, final))
    if _skips_short_months(rule, pattern):
        _require_no_short_month(recurrence)
    return recurrence


def _read_range(
    rule: Mapping[str, Sequence[Any]], start: datetime | date, wall: datetime, zone: tzinfo, *, floating: bool
) -> Range:
    first = wall.date()
    # Some programs write COUNT=-1 for "no count".
    counts = [int(count) for count in rule.get("COUNT", ()) if int(count) >= 0]
    untils = rule.get("UNTIL")
    if counts and untils:
        raise NotHeld("it has both COUNT and UNTIL")
    if counts:
        if counts[0] == 0:
            raise NotHeld("it says COUNT=0")
        return Numbered(first, counts[0])
    if not untils:
        return NoEnd(first)
    until = untils[0]
    if not isinstance(start, datetime):
        return EndDate(first, min(until.date() if isinstance(until, datetime) else until, LAST_DATE))
    if not isinstance(until, datetime):
        until = datetime.combine(until, time())
    if until.tzinfo is None:
        # RFC 5545 wants UTC beside a start with a zone; a start without one has an UNTIL without one.
        until = instant(until, zone) if floating else until.replace(tzinfo=UTC)
    shown = local(until, zone).replace(tzinfo=None)
    end = shown.date() if shown.time() >= wall.time() else shown.date() - timedelta(days=1)
    return EndDate(first, min(end, LAST_DATE))


def _read_pattern(rule: Mapping[str, Sequence[Any]], wall: datetime) -> Pattern:
    for part, value in (("BYHOUR", wall.hour), ("BYMINUTE", wall.minute), ("BYSECOND", wall.second)):
        if rule.get(part) and [int(number) for number in rule[part]] != [value]:
            raise NotHeld(f"{part} makes it come several times a day")
    for part in ("BYYEARDAY", "BYWEEKNO", "BYEASTER", "RSCALE", "SKIP"):
        if rule.get(part):
            raise NotHeld(f"Exchange has no {part}")
    frequency = str(rule.get("FREQ", [""])[0]).upper()
    interval = int(rule.get("INTERVAL", [1])[0])
    if interval < 1:
        raise NotHeld(f"its interval is {interval}")
    days = [_weekday(value) for value in rule.get("BYDAY", ())]
    match frequency:
        case "DAILY":
            return _read_daily(rule, interval, days)
        case "WEEKLY":
            return _read_weekly(rule, interval, days, wall.date())
        case "MONTHLY" | "YEARLY":
            return _read_monthly(rule, frequency, interval, days, wall.date())
        case _:
            raise NotHeld(f"Exchange has no recurrence of FREQ={frequency or '(none)'}")


def _weekday(value: Any) -> tuple[int, int]:
    """``-1SU`` as (-1, 6); without a number the ordinal is 0."""
    text = str(value).upper().strip()
    if text[-2:] not in _CODES:
        raise NotHeld(f"BYDAY={text} names no day")
    return int(text[:-2] or 0), _CODES.index(text[-2:])


def _read_daily(rule: Mapping[str, Sequence[Any]], interval: int, days: list[tuple[int, int]]) -> Pattern:
    _refuse(rule, "DAILY", "BYMONTH", "BYMONTHDAY", "BYSETPOS")
    if not days:
        return Daily(interval)
    if interval != 1 or any(ordinal for ordinal, _ in days):
        raise NotHeld("every few days, but on some weekdays only, is no pattern of Exchange's")
    return Weekly(1, _names(day for _, day in days))


def _read_weekly(rule: Mapping[str, Sequence[Any]], interval: int, days: list[tuple[int, int]], first: date) -> Pattern:
    _refuse(rule, "WEEKLY", "BYMONTH", "BYMONTHDAY", "BYSETPOS")
    if any(ordinal for ordinal, _ in days):
        raise NotHeld("a week has no second Monday: BYDAY has a number")
    week_start = str(rule.get("WKST", ["MO"])[0]).upper()
    return Weekly(
        interval,
        _names({day for _, day in days} or {first.weekday()}),
        DAY_NAMES[_CODES.index(week_start) if week_start in _CODES else 0],
    )


def _refuse(rule: Mapping[str, Sequence[Any]], frequency: str, *parts: str) -> None:
    for part in parts:
        if rule.get(part):
            raise NotHeld(f"Exchange has no {part} in a {frequency.lower()} pattern")


def _names(weekdays: Any) -> tuple[str, ...]:
    chosen = set(weekdays)
    return tuple(DAY_NAMES[day] for day in _SUNDAY_FIRST if day in chosen)


def _read_monthly(
    rule: Mapping[str, Sequence[Any]], frequency: str, interval: int, days: list[tuple[int, int]], first: date
) -> Pattern:
    month_days = [int(value) for value in rule.get("BYMONTHDAY", ())]
    positions = [int(value) for value in rule.get("BYSETPOS", ())]
    months = sorted({int(value) for value in rule.get("BYMONTH", ())})
    if frequency == "MONTHLY" and months and interval != 1:
        raise NotHeld("every few months, but in some months only, is no pattern of Exchange's")
    if not months:
        if days and not positions and not month_days and not any(ordinal for ordinal, _ in days) and interval == 1:
            return Weekly(1, _names(day for _, day in days))
        if frequency == "YEARLY":
            if days:
                raise NotHeld("it counts the weekdays of a whole year")
            if month_days and interval != 1:
                raise NotHeld("all months, but of some years only, is no pattern of Exchange's")
            months = list(range(1, 13)) if month_days else [first.month]
    every, month = _months(frequency, interval, months, first)
    if days:
        name, index = _relative(days, month_days, positions)
        return RelativeYearly(name, index, MONTH_NAMES[month - 1]) if month else RelativeMonthly(every, name, index)
    day = _absolute(month_days, positions, first)
    return AbsoluteYearly(day, MONTH_NAMES[month - 1]) if month else AbsoluteMonthly(every, day)


def _months(frequency: str, interval: int, months: list[int], first: date) -> tuple[int, int]:
    """Every how many months, and in which month where that is once a year (else 0)."""
    if not months:
        return (interval, 0)
    if any(not 1 <= month <= 12 for month in months):
        raise NotHeld("BYMONTH names no month")
    if len(months) == 1:
        if frequency == "MONTHLY" or interval == 1:
            return 12, months[0]
        if months[0] == first.month:
            return 12 * interval, 0
        raise NotHeld("its first instance does not lie in a month of its own rule")
    gaps = {(later - month) % 12 for month, later in zip(months, months[1:] + months[:1], strict=True)}
    if interval != 1 or len(gaps) != 1 or first.month not in months:
        raise NotHeld("its months do not follow each other at one distance")
    return gaps.pop(), 0


def _relative(days: list[tuple[int, int]], month_days: list[int], positions: list[int]) -> tuple[str, str]:
    """The name of the days and which of them in the month."""
    ordinals = {ordinal for ordinal, _ in days}
    weekdays = tuple(sorted({day for _, day in days}))
    if len(positions) > 1 or len(ordinals) > 1:
        raise NotHeld("it takes several days of a month")
    position = positions[0] if positions else ordinals.pop()
    if positions and ordinals != {0}:
        raise NotHeld("BYSETPOS and a numbered BYDAY together are no pattern of Exchange's")
    if month_days:
        position = _WEEK_OF_DAYS.get(tuple(sorted(month_days)), 0)
        if positions or len(weekdays) != 1 or not position:
            raise NotHeld("a weekday that must also be a certain day of the month is no pattern of Exchange's")
    if not positions and len(weekdays) > 1:
        raise NotHeld("it takes several days of a month")
    if position not in (1, 2, 3, 4, -1):
        raise NotHeld("Exchange knows the first to fourth and the last of a month's days only")
    name = DAY_NAMES[weekdays[0]] if len(weekdays) == 1 else _GROUPS.get(weekdays)
    if name is None:
        raise NotHeld("Exchange has no name for this choice of weekdays within a month")
    return name, INDEX_NAMES[position - 1 if position > 0 else 4]


def _absolute(month_days: list[int], positions: list[int], first: date) -> int:
    if positions == [-1] and sorted(month_days) == list(range(28, 28 + len(month_days))) and month_days:
        return max(month_days)
    if positions not in ([], [1]) or len(month_days) > 1:
        raise NotHeld("it takes several days of a month")
    day = month_days[0] if month_days else first.day
    if day == -1:
        return 31
    if not 1 <= day <= 31:
        raise NotHeld("Exchange counts the days of a month from its beginning, or takes its last")
    return day


def _skips_short_months(rule: Mapping[str, Sequence[Any]], pattern: Pattern) -> bool:
    """Whether the rule leaves months out that do not have its day, where Exchange would take their last one."""
    return (
        isinstance(pattern, AbsoluteMonthly | AbsoluteYearly)
        and pattern.day_of_month > 28
        and [int(value) for value in rule.get("BYMONTHDAY", ())] != [-1]
        and [int(value) for value in rule.get("BYSETPOS", ())] != [-1]
    )


def _require_no_short_month(recurrence: Recurrence) -> None:
    assert isinstance(recurrence.pattern, AbsoluteMonthly | AbsoluteYearly)
    day = recurrence.pattern.day_of_month
    # After 12 occurrences an endless series has been in each of its months, after 48 years' worth in each February.
    checked = islice(dates(recurrence), None if not isinstance(recurrence.range, NoEnd) else 12 * 8)
    if any(occurrence.day != day for occurrence in checked):
        raise NotHeld(f"it leaves out months without a {day}th, where Exchange takes their last day")


def write_rule(recurrence: Recurrence, start: datetime, zone: tzinfo, *, all_day: bool) -> str:
    """The value of the RRULE that means this recurrence; ``start`` is the master's."""
    match recurrence.range:
        case Numbered(_, count):
            limit = f";COUNT={count}"
        case EndDate(_, end):
            final = instant(datetime.combine(end, local(start, zone).time().replace(fold=0)), zone)
            limit = f";UNTIL={end:%Y%m%d}" if all_day else f";UNTIL={final:%Y%m%dT%H%M%SZ}"
        case _:
            limit = ""
    return _write_pattern(recurrence.pattern, limit)


def _write_pattern(pattern: Pattern, limit: str) -> str:
    match pattern:
        case Daily(interval):
            return f"FREQ=DAILY{limit};INTERVAL={interval}"
        case Weekly(interval, days, week_start):
            return f"FREQ=WEEKLY{limit};INTERVAL={interval};BYDAY={_codes(days)};WKST={_CODES[DAY_NAMES.index(week_start)]}"
        case AbsoluteMonthly(interval, day):
            return f"FREQ=MONTHLY{limit};INTERVAL={interval};{_day_of_month(day, 28)}"
        case RelativeMonthly(interval, name, index):
            return f"FREQ=MONTHLY{limit};INTERVAL={interval};{_relative_day(name, index)}"
        case AbsoluteYearly(day, month):
            number = MONTH_NAMES.index(month) + 1
            shortest = 28 if number == 2 else calendar.monthrange(2001, number)[1]
            return f"FREQ=YEARLY{limit};INTERVAL=1;{_day_of_month(day, shortest)};BYMONTH={number}"
        case RelativeYearly(name, index, month):
            return f"FREQ=YEARLY{limit};INTERVAL=1;{_relative_day(name, index)};BYMONTH={MONTH_NAMES.index(month) + 1}"
        case _:
            raise NotHeld("iCalendar has no recurrence that begins anew when a task is completed")


def _codes(names: Sequence[str]) -> str:
    everyday = {"Day": _CODES, "Weekday": _CODES[:5], "WeekendDay": _CODES[5:]}
    return ",".join(code for name in names for code in everyday.get(name) or (_CODES[DAY_NAMES.index(name)],))


def _day_of_month(day: int, always_there: int) -> str:
    if day <= always_there:
        return f"BYMONTHDAY={day}"
    if day == 31:
        return "BYMONTHDAY=-1"
    return f"BYMONTHDAY={','.join(str(number) for number in range(28, day + 1))};BYSETPOS=-1"


def _relative_day(name: str, index: str) -> str:
    position = INDEX_NAMES.index(index) + 1 if index != "Last" else -1
    if name in DAY_NAMES:
        return f"BYDAY={position}{_CODES[DAY_NAMES.index(name)]}"
    return f"BYDAY={_codes((name,))};BYSETPOS={position}"
