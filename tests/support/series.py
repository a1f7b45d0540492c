"""Random recurrences for property tests, and the expansion of what an iCalendar file was read as."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule
from hypothesis import strategies as st

from ops_lib.sandbox import zones
from ops_lib.sandbox.ical import Parsed
from ops_lib.sandbox.recurrence import (
    DAY_NAMES,
    INDEX_NAMES,
    MONTH_NAMES,
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    EndDate,
    NoEnd,
    Numbered,
    Pattern,
    Recurrence,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
    end_after,
    local,
    starts_between,
    wall_duration,
)
from tests.support.judge import Occurrence

ZONE_IDS = (
    "UTC",
    "Eastern Standard Time",
    "W. Europe Standard Time",
    "AUS Eastern Standard Time",
    "India Standard Time",
    "GMT Standard Time",
    "Newfoundland Standard Time",
    "Lord Howe Standard Time",
)

_SUNDAY_FIRST = ("Sunday", *DAY_NAMES[:6])
_sets_of_days = st.sets(st.sampled_from(DAY_NAMES), min_size=1).map(
    lambda chosen: tuple(name for name in _SUNDAY_FIRST if name in chosen)
)
_kinds_of_days = st.sampled_from([*DAY_NAMES, "Day", "Weekday", "WeekendDay"])

PATTERNS: st.SearchStrategy[Pattern] = st.one_of(
    st.builds(Daily, st.integers(1, 60)),
    st.builds(Weekly, st.integers(1, 9), _sets_of_days, st.sampled_from(DAY_NAMES)),
    st.builds(AbsoluteMonthly, st.integers(1, 25), st.integers(1, 31)),
    st.builds(RelativeMonthly, st.integers(1, 25), _kinds_of_days, st.sampled_from(INDEX_NAMES)),
    st.builds(AbsoluteYearly, st.integers(1, 31), st.sampled_from(MONTH_NAMES)),
    st.builds(RelativeYearly, _kinds_of_days, st.sampled_from(INDEX_NAMES), st.sampled_from(MONTH_NAMES)),
)

_WEEK = (rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA, rrule.SU)
_day = dict(zip(DAY_NAMES, _WEEK, strict=True))
_kinds = {"Day": _WEEK, "Weekday": _WEEK[:5], "WeekendDay": _WEEK[5:]}


def ranges(start: date) -> st.SearchStrategy[NoEnd | EndDate | Numbered]:
    """Ranges from a date, of every kind."""
    return st.one_of(
        st.just(NoEnd(start)),
        st.builds(EndDate, st.just(start), st.integers(0, 2500).map(lambda days: start + timedelta(days=days))),
        st.builds(Numbered, st.just(start), st.integers(1, 60)),
    )


def by_dateutil(recurrence: Recurrence, start: datetime) -> rrule.rrule:
    """The same recurrence as dateutil has it, on a naive wall clock."""
    arguments: dict[str, Any] = {"dtstart": start}
    match recurrence.range:
        case EndDate(_, end):
            arguments["until"] = datetime.combine(end, start.time())
        case Numbered(_, count):
            arguments["count"] = count
    match recurrence.pattern:
        case Daily(interval):
            return rrule.rrule(rrule.DAILY, interval=interval, **arguments)
        case Weekly(interval, days, first):
            weekdays = [_day[name] for name in days]
            return rrule.rrule(rrule.WEEKLY, interval=interval, byweekday=weekdays, wkst=_day[first], **arguments)
        case AbsoluteMonthly(interval, day):
            return rrule.rrule(rrule.MONTHLY, interval=interval, **_month_day(day), **arguments)
        case RelativeMonthly(interval, kind, index):
            return rrule.rrule(rrule.MONTHLY, interval=interval, **_position(kind, index), **arguments)
        case AbsoluteYearly(day, month):
            number = MONTH_NAMES.index(month) + 1
            return rrule.rrule(rrule.YEARLY, bymonth=number, **_month_day(day), **arguments)
        case RelativeYearly(kind, index, month):
            number = MONTH_NAMES.index(month) + 1
            return rrule.rrule(rrule.YEARLY, bymonth=number, **_position(kind, index), **arguments)
    raise AssertionError(recurrence)


def _month_day(day: int) -> dict[str, Any]:
    return {"bymonthday": day} if day <= 28 else {"bymonthday": list(range(28, day + 1)), "bysetpos": -1}


def _position(kind: str, index: str) -> dict[str, Any]:
    days = _kinds.get(kind) or (_day[kind],)
    return {"byweekday": days, "bysetpos": -1 if index == "Last" else INDEX_NAMES.index(index) + 1}


def expand(parsed: list[Parsed], start: datetime, end: datetime, zone: str) -> list[Occurrence]:
    """What takes place of these events between two instants, as ``judge.occurrences`` says it."""
    clock = ZoneInfo(zone)
    days = tuple(local(edge, clock).replace(tzinfo=UTC) for edge in (start, end))
    found = []
    for event in parsed:
        for values in _occurrences(event, start - timedelta(days=2), end + timedelta(days=2)):
            all_day = values["calendar:IsAllDayEvent"]
            own = zones.zone(values["calendar:StartTimeZone"])
            moments = [values["calendar:Start"], values["calendar:End"]]
            first, after = (local(moment, own).replace(tzinfo=UTC) for moment in moments) if all_day else moments
            since, until = days if all_day else (start, end)
            if first < until and (after > since or first == after == since):
                found.append(Occurrence(values.get("calendar:UID", ""), first, after, all_day, values["item:Subject"]))
    return sorted(found)


def _occurrences(event: Parsed, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    values = event.values
    recurrence = values.get("calendar:Recurrence")
    if recurrence is None:
        yield values
        return
    zone = zones.zone(values["calendar:StartTimeZone"])
    length = wall_duration(values["calendar:Start"], values["calendar:End"], zone)
    for _, original in starts_between(recurrence, values["calendar:Start"], length, zone, start, end):
        if original not in event.deleted and original not in event.exceptions:
            yield {**values, "calendar:Start": original, "calendar:End": end_after(original, length, zone)}
    for changed in event.exceptions.values():
        yield {**values, **changed}
