"""When a series takes place: every recurrence pattern of EWS, expanded to instants.

A series lives on the wall clock of one time zone: its dates come from the pattern and the range, its time of day from
the master's start in that zone, and each occurrence is the instant at which that clock shows that time. A time that
daylight saving skips is read with the offset before the change (02:30 becomes 03:30), a time that comes twice is the
first of the two. **Durations are wall-clock durations too**: an all-day event ends at a midnight on the days of 23 and
25 hours as well, so ends are made with ``wall_duration`` and ``end_after``, never by adding a difference of instants.

Every pattern is a sequence of equal periods (days, weeks, months, years) with the same number of dates in each, so an
occurrence's index and its date are found from one another by arithmetic: a window in the year 4400 of a daily series
costs what this week's costs.

Sources: EWS reference, "Recurrence"; [MS-OXOCAL] 2.2.1.44 (a day the month does not have is the month's last day; no
series goes beyond 31 August 4500).
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
INDEX_NAMES = ("First", "Second", "Third", "Fourth", "Last")

FIRST_DATE = date(1601, 1, 1)
LAST_DATE = date(4500, 8, 31)

_WEEKDAYS_NAMED = {
    **{name: (number,) for number, name in enumerate(DAY_NAMES)},
    "Day": tuple(range(7)),
    "Weekday": tuple(range(5)),
    "WeekendDay": (5, 6),
}


@dataclass(frozen=True)
class Daily:
    """Every ``interval`` days."""

    interval: int


@dataclass(frozen=True)
class Weekly:
    """On ``days`` of every ``interval``-th week; weeks begin on ``first_day_of_week``."""

    interval: int
    days: tuple[str, ...]
    first_day_of_week: str = "Sunday"


@dataclass(frozen=True)
class AbsoluteMonthly:
    """On one day of every ``interval``-th month; the month's last day where it is shorter."""

    interval: int
    day_of_month: int


@dataclass(frozen=True)
class RelativeMonthly:
    """On the ``index`` (First … Fourth, Last) of ``days`` (a day's name, Day, Weekday, WeekendDay) of every ``interval``-th month."""

    interval: int
    days: str
    index: str


@dataclass(frozen=True)
class AbsoluteYearly:
    """On one day of one month each year; the month's last day where it is shorter."""

    day_of_month: int
    month: str


@dataclass(frozen=True)
class RelativeYearly:
    """On the ``index`` (First … Fourth, Last) of ``days`` of one month each year."""

    days: str
    index: str
    month: str


@dataclass(frozen=True)
class DailyRegeneration:
    """A task that comes again ``interval`` days after it was completed."""

    interval: int


@dataclass(frozen=True)
class WeeklyRegeneration:
    """A task that comes again ``interval`` weeks after it was completed."""

    interval: int


@dataclass(frozen=True)
class MonthlyRegeneration:
    """A task that comes again ``interval`` months after it was completed."""

    interval: int


@dataclass(frozen=True)
class YearlyRegeneration:
    """A task that comes again ``interval`` years after it was completed."""

    interval: int


Regeneration = DailyRegeneration | WeeklyRegeneration | MonthlyRegeneration | YearlyRegeneration
Pattern = Daily | Weekly | AbsoluteMonthly | RelativeMonthly | AbsoluteYearly | RelativeYearly | Regeneration


@dataclass(frozen=True)
class NoEnd:
    """From ``start`` for ever (that is, until ``LAST_DATE``)."""

    start: date


@dataclass(frozen=True)
class EndDate:
    """From ``start`` to ``end``, both included."""

    start: date
    end: date


@dataclass(frozen=True)
class Numbered:
    """The first ``count`` occurrences from ``start`` on."""

    start: date
    count: int


Range = NoEnd | EndDate | Numbered


@dataclass(frozen=True)
class Recurrence:
    """A pattern and the range it holds in. Dates are those of the series' own time zone."""

    pattern: Pattern
    range: Range


def starts(recurrence: Recurrence, first_start: datetime, zone: tzinfo) -> Iterator[tuple[int, datetime]]:
    """Every occurrence's index (from 1) and original start in UTC, in order, lazily.

    ``first_start`` is the master's start; its time of day in ``zone`` is the series'. The first occurrence is the
    first date of the pattern on or after the range's start. A regenerating task has its first occurrence only: the
    next comes to be when it is completed.
    """
    clock = _Clock(recurrence, first_start, zone)
    index = 1
    while (start := clock.start_at(index)) is not None:
        yield index, start
        index += 1


def starts_between(
    recurrence: Recurrence,
    first_start: datetime,
    duration: timedelta,
    zone: tzinfo,
    window_start: datetime,
    window_end: datetime,
) -> list[tuple[int, datetime]]:
    """The occurrences (index, original start) that overlap ``[window_start, window_end)``.

    ``duration`` is the wall-clock duration, see ``wall_duration``. An occurrence without length counts where it begins,
    at the window's start too. The cost depends on the window alone, not on how far it is from the series' start.
    """
    clock = _Clock(recurrence, first_start, zone)
    # An offset moves a date by at most a day either way; what the margin lets in, the exact comparison keeps out.
    margin = timedelta(days=2)
    since = _date_of(window_start, -(duration + margin))
    until = _date_of(window_end, margin)
    found = []
    index = clock.dates.index_on_or_after(since)
    while (start := clock.start_at(index)) is not None and clock.dates.date_at(index) <= until:
        end = end_after(start, duration, zone)
        if start < window_end and (end > window_start or start == end == window_start):
            found.append((index, start))
        index += 1
    return found


def start_at(recurrence: Recurrence, first_start: datetime, zone: tzinfo, index: int) -> datetime | None:
    """The original start in UTC of occurrence ``index`` (from 1); None where the series has no such occurrence."""
    return _Clock(recurrence, first_start, zone).start_at(index)


def index_of(recurrence: Recurrence, first_start: datetime, zone: tzinfo, start: datetime) -> int | None:
    """Which occurrence (from 1) has the original start ``start``; None where none has."""
    clock = _Clock(recurrence, first_start, zone)
    index = clock.dates.index_on_or_after(_date_of(start, timedelta(days=-2)))
    while (candidate := clock.start_at(index)) is not None and candidate <= start:
        if candidate == start:
            return index
        index += 1
    return None


def last(recurrence: Recurrence, first_start: datetime, zone: tzinfo) -> tuple[int, datetime] | None:
    """The last occurrence's index and original start; None where the series is endless or has no occurrence at all.

    ``start_at(…, 1)`` tells the two apart.
    """
    if isinstance(recurrence.range, NoEnd) and not isinstance(recurrence.pattern, Regeneration):
        return None
    clock = _Clock(recurrence, first_start, zone)
    final = clock.start_at(clock.final_index)
    return None if final is None else (clock.final_index, final)


def wall_duration(start: datetime, end: datetime, zone: tzinfo) -> timedelta:
    """How long it lasts by the clock on the wall: 24 hours from midnight to midnight, on every day of the year."""
    return local(end, zone).replace(tzinfo=None) - local(start, zone).replace(tzinfo=None)


def end_after(start: datetime, duration: timedelta, zone: tzinfo) -> datetime:
    """The instant (UTC) at which what begins at ``start`` and lasts ``duration`` by the wall clock is over.

    Never before ``start``: where the clock is set back meanwhile, the later reading of its time is meant.
    """
    if not duration:
        return start.astimezone(UTC)
    wall = local(start, zone).replace(tzinfo=None) + duration
    end = instant(wall, zone)
    if end < start:
        end = instant(wall.replace(fold=1), zone)
    return max(end, start.astimezone(UTC))


def local(moment: datetime, zone: tzinfo) -> datetime:
    """``moment`` on the zone's wall clock; at the ends of the calendar, where no offset fits any more, unshifted."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.replace(tzinfo=zone)


def instant(wall: datetime, zone: tzinfo) -> datetime:
    """The UTC instant of a wall-clock time without zone: of two the first, of none the one by the offset before the gap."""
    aware = wall.replace(tzinfo=zone)
    try:
        return aware.astimezone(UTC)
    except OverflowError:
        return wall.replace(tzinfo=UTC)


def dates(recurrence: Recurrence) -> Iterator[date]:
    """The dates of the series, in order, lazily."""
    sequence = _sequence(recurrence.pattern, recurrence.range.start)
    for index in range(1, _final_index(recurrence, sequence) + 1):
        yield sequence.date_at(index)


class _Clock:
    """One series: its dates, its time of day, its zone."""

    def __init__(self, recurrence: Recurrence, first_start: datetime, zone: tzinfo) -> None:
        self.zone = zone
        self.first_start = first_start.astimezone(UTC)
        first = local(first_start, zone)
        self.first_date = first.date()
        self.time = first.time().replace(tzinfo=None, fold=0)
        self.dates = _sequence(recurrence.pattern, recurrence.range.start)
        self.final_index = _final_index(recurrence, self.dates)

    def start_at(self, index: int) -> datetime | None:
        if not 1 <= index <= self.final_index:
            return None
        day = self.dates.date_at(index)
        if day == self.first_date:
            # The master's own start is an instant already: where its time comes twice, it says which one is meant.
            return self.first_start
        return instant(datetime.combine(day, self.time), self.zone)


class _Dates:
    """The dates of a pattern from an anchor on: ``per_period`` dates in each of endlessly many equal periods.

    ``period(number)`` gives the dates of a period in order, ``period_of(date)`` the number of the last period that
    begins on or before a date. Periods count from the one that holds the anchor; dates before the anchor are left out.
    """

    per_period = 1

    def __init__(self, anchor: date) -> None:
        self.anchor = max(anchor, FIRST_DATE)

    def period(self, number: int) -> tuple[date, ...]:
        raise NotImplementedError

    def period_of(self, day: date) -> int:
        raise NotImplementedError

    def settle(self) -> None:
        """Count the dates of the first period that lie before the anchor."""
        self.skipped = sum(day < self.anchor for day in self.period(0))

    def date_at(self, index: int) -> date:
        number, position = divmod(index - 1 + self.skipped, self.per_period)
        return self.period(number)[position]

    def index_on_or_after(self, day: date) -> int:
        """The index (from 1) of the first date on or after ``day``."""
        if day <= self.anchor:
            return 1
        number = self.period_of(day)
        before = sum(candidate < day for candidate in self.period(number))
        return max(1, number * self.per_period + before - self.skipped + 1)


class _DailyDates(_Dates):
    def __init__(self, pattern: Daily, anchor: date) -> None:
        super().__init__(anchor)
        self.interval = max(1, pattern.interval)
        self.settle()

    def period(self, number: int) -> tuple[date, ...]:
        return (_ordinal(self.anchor.toordinal() + number * self.interval),)

    def period_of(self, day: date) -> int:
        return (day - self.anchor).days // self.interval


class _WeeklyDates(_Dates):
    def __init__(self, pattern: Weekly, anchor: date) -> None:
        super().__init__(anchor)
        self.interval = max(1, pattern.interval)
        first = DAY_NAMES.index(pattern.first_day_of_week) if pattern.first_day_of_week in DAY_NAMES else 6
        named = {number for name in pattern.days for number in _WEEKDAYS_NAMED[name]}
        self.offsets = sorted((number - first) % 7 for number in named or {self.anchor.weekday()})
        self.per_period = len(self.offsets)
        self.week = self.anchor.toordinal() - (self.anchor.weekday() - first) % 7
        self.settle()

    def period(self, number: int) -> tuple[date, ...]:
        begin = self.week + 7 * self.interval * number
        return tuple(_ordinal(begin + offset) for offset in self.offsets)

    def period_of(self, day: date) -> int:
        return (day.toordinal() - self.week) // (7 * self.interval)


class _MonthlyDates(_Dates):
    """One date in every ``interval``-th month, counted from the month given."""

    def __init__(self, interval: int, first_month: int, anchor: date) -> None:
        super().__init__(anchor)
        self.interval = max(1, interval)
        self.month = first_month
        self.settle()

    def in_month(self, year: int, month: int) -> date:
        raise NotImplementedError

    def period(self, number: int) -> tuple[date, ...]:
        year, month = divmod(self.month + number * self.interval, 12)
        return (self.in_month(year, month + 1) if year <= LAST_DATE.year else date.max,)

    def period_of(self, day: date) -> int:
        return (day.year * 12 + day.month - 1 - self.month) // self.interval


class _AbsoluteDates(_MonthlyDates):
    def __init__(self, day_of_month: int, interval: int, first_month: int, anchor: date) -> None:
        self.day = day_of_month
        super().__init__(interval, first_month, anchor)

    def in_month(self, year: int, month: int) -> date:
        return date(year, month, max(1, min(self.day, calendar.monthrange(year, month)[1])))


class _RelativeDates(_MonthlyDates):
    def __init__(self, days: str, index: str, interval: int, first_month: int, anchor: date) -> None:
        self.weekdays = _WEEKDAYS_NAMED[days]
        self.position = INDEX_NAMES.index(index)
        super().__init__(interval, first_month, anchor)

    def in_month(self, year: int, month: int) -> date:
        return relative_day(year, month, self.weekdays, self.position)


def relative_day(year: int, month: int, weekdays: tuple[int, ...], position: int) -> date:
    """The first (``position`` 0) … fourth (3) or last (4) day of a month that falls on one of ``weekdays`` (Monday is 0)."""
    first_weekday, length = calendar.monthrange(year, month)
    if position == INDEX_NAMES.index("Last"):
        return next(date(year, month, day) for day in range(length, 0, -1) if (first_weekday + day - 1) % 7 in weekdays)
    matching = (day for day in range(1, length + 1) if (first_weekday + day - 1) % 7 in weekdays)
    for _ in range(position):
        next(matching)
    return date(year, month, next(matching))


def _sequence(pattern: Pattern, anchor: date) -> _Dates:
    anchor = max(anchor, FIRST_DATE)
    month = anchor.year * 12 + anchor.month - 1
    match pattern:
        case Daily():
            return _DailyDates(pattern, anchor)
        case Weekly():
            return _WeeklyDates(pattern, anchor)
        case AbsoluteMonthly(interval, day):
            return _AbsoluteDates(day, interval, month, anchor)
        case RelativeMonthly(interval, days, index):
            return _RelativeDates(days, index, interval, month, anchor)
        case AbsoluteYearly(day, name):
            return _AbsoluteDates(day, 12, anchor.year * 12 + MONTH_NAMES.index(name), anchor)
        case RelativeYearly(days, index, name):
            return _RelativeDates(days, index, 12, anchor.year * 12 + MONTH_NAMES.index(name), anchor)
        case _:
            return _DailyDates(Daily(1), anchor)


def _final_index(recurrence: Recurrence, sequence: _Dates) -> int:
    """The index of the last occurrence: 0 where there is none."""
    final = LAST_DATE
    if isinstance(recurrence.range, EndDate):
        final = min(final, recurrence.range.end)
    if final < sequence.anchor:
        return 0
    index = sequence.index_on_or_after(final + timedelta(days=1)) - 1
    if isinstance(recurrence.range, Numbered):
        index = min(index, recurrence.range.count)
    if isinstance(recurrence.pattern, Regeneration):
        index = min(index, 1)
    return index


def _ordinal(number: int) -> date:
    return date.fromordinal(min(number, date.max.toordinal()))


def _date_of(moment: datetime, shift: timedelta) -> date:
    """The date of a moment shifted; at the ends of the calendar as far as it goes."""
    try:
        return max(FIRST_DATE, min((moment + shift).date(), LAST_DATE + timedelta(days=1)))
    except OverflowError:
        return FIRST_DATE if shift < timedelta() else LAST_DATE + timedelta(days=1)
