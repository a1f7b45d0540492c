"""When a cron line is due, in a time zone: pure, and right on the two days a year when clocks are changed.

Five fields: minute, hour, day of the month, month, day of the week (0 and 7: Sunday), each ``*``, a number or name, a range, a step, or a list of these. Where
both days are restricted, either will do, as in cron. A time that clocks skip comes as much later as they were put forward; one that they show twice comes
once. Only where the hour is ``*`` real time counts: then nothing is skipped, and what is shown twice comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ops_lib.errors import InputError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_LONGEST_WAIT_DAYS = 8 * 366
"""29 February may be eight years away."""


@dataclass(frozen=True, slots=True)
class CronLine:
    """A cron line in a time zone."""

    line: str
    zone: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_every_hour: bool
    is_any_day: bool
    is_any_weekday: bool

    @classmethod
    def parse(cls, line: str, zone: str) -> CronLine:
        """**Raises** `InputError` for what is no cron line, and for one that is never due."""
        parts = line.split()
        if len(parts) != len(_FIELDS):
            raise InputError(
                f"a cron line has five fields, this one has {len(parts)}",
                subject=line,
                fix="write minute, hour, day of the month, month, day of the week, as 0 6 * * 1-5.",
            )
        minutes, hours, days, months, weekdays = (
            _numbers(part, *field, line) for part, field in zip(parts, _FIELDS, strict=True)
        )
        found = cls(
            line=" ".join(parts),
            zone=zone,
            minutes=minutes,
            hours=hours,
            days=days,
            months=months,
            weekdays=frozenset(each % 7 for each in weekdays),
            is_every_hour=parts[1] == "*",
            is_any_day=parts[2].startswith("*"),
            is_any_weekday=parts[4].startswith("*"),
        )
        if found.after(datetime(2024, 1, 1, tzinfo=UTC)) is None:
            raise InputError("there is no such day in any year", subject=line, fix="correct the day or the month.")
        return found

    def after(self, moment: datetime) -> datetime | None:
        """The first moment after this one at which it is due, in UTC; None if there is none."""
        zone = ZoneInfo(self.zone)
        day = moment.astimezone(zone).date() - timedelta(days=1)  # what the clocks put forward may come from yesterday
        for _ in range(_LONGEST_WAIT_DAYS):
            if self._is_on(day):
                due = [each for each in self._moments(day, zone) if each > moment]
                if due:
                    return min(due)
            if day == date.max:
                return None
            day += timedelta(days=1)
        return None

    def between(self, first: datetime, last: datetime, limit: int) -> list[datetime]:
        """The due moments from ``first`` to ``last``, both included; at most ``limit``, the earliest."""
        found: list[datetime] = []
        moment = self.after(first - timedelta(microseconds=1))
        while moment is not None and moment <= last and len(found) < limit:
            found.append(moment)
            moment = self.after(moment)
        return found

    def _is_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        is_day, is_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.is_any_day or self.is_any_weekday:
            return is_day and is_weekday
        return is_day or is_weekday

    def _moments(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                shown = datetime.combine(day, time(hour, minute), zone)
                first = shown.astimezone(UTC)
                if not self.is_every_hour:
                    yield first
                    continue
                for moment in {first, shown.replace(fold=1).astimezone(UTC)}:
                    if moment.astimezone(zone).replace(tzinfo=None) == shown.replace(tzinfo=None):
                        yield moment


def _numbers(part: str, name: str, low: int, high: int, names: tuple[str, ...], line: str) -> frozenset[int]:
    found: set[int] = set()
    for each in part.lower().split(","):
        span, slash, step = each.partition("/")
        first, dash, last = span.partition("-")
        try:
            begin = low if span == "*" else _number(first, low, names)
            end = high if span == "*" or (slash and not dash) else _number(last, low, names) if dash else begin
            stride = int(step) if slash else 1
        except ValueError:
            begin, end, stride = 1, 0, 1
        if not low <= begin <= end <= high or stride < 1:
            raise InputError(
                f"{each or 'nothing'} is no {name}",
                subject=line,
                fix=f"write *, a number from {low} to {high}, a range such as {low}-{low + 2}, or a step such as */2.",
            )
        found |= set(range(begin, end + 1, stride))
    if names is _DAYS and part.startswith("*"):
        found.discard(7)
    return frozenset(found)


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + (low if names is _MONTHS else 0)
    if not text.isascii() or not text.isdigit():
        raise ValueError(text)
    return int(text)
