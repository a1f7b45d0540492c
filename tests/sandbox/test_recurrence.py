"""When a series takes place. The judge is dateutil, on the wall clock."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ops_lib.sandbox import zones
from ops_lib.sandbox.recurrence import (
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    DailyRegeneration,
    EndDate,
    NoEnd,
    Numbered,
    Recurrence,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
    dates,
    end_after,
    index_of,
    instant,
    last,
    local,
    start_at,
    starts,
    starts_between,
    wall_duration,
)
from tests.support.series import PATTERNS, ZONE_IDS, by_dateutil, ranges

NEW_YORK = ZoneInfo("America/New_York")
BERLIN = ZoneInfo("Europe/Berlin")

_walls = st.builds(
    datetime,
    st.integers(1990, 2040),
    st.integers(1, 12),
    st.integers(1, 28),
    st.integers(0, 23),
    st.sampled_from([0, 15, 30, 59]),
)


@st.composite
def _series(draw: st.DrawFn) -> tuple[Recurrence, datetime, ZoneInfo]:
    """A recurrence, the wall-clock time it is anchored at, and a zone."""
    wall = draw(_walls)
    recurrence = Recurrence(draw(PATTERNS), draw(ranges(wall.date())))
    return recurrence, wall, zones.zone(draw(st.sampled_from(ZONE_IDS)))


def _first_start(recurrence: Recurrence, wall: datetime, zone: ZoneInfo) -> datetime | None:
    first = next(dates(Recurrence(recurrence.pattern, NoEnd(wall.date()))), None)
    return None if first is None else instant(datetime.combine(first, wall.time()), zone)


@given(_series())
@settings(max_examples=300, deadline=None)
def test_the_first_occurrences_are_those_dateutil_finds(series: tuple[Recurrence, datetime, ZoneInfo]) -> None:
    """Every pattern and range gives the dates and wall-clock times dateutil gives, as instants of the zone."""
    recurrence, wall, zone = series
    first_start = _first_start(recurrence, wall, zone)
    assume(first_start is not None and local(first_start, zone).time() == wall.time())
    expected = [instant(moment, zone) for moment in islice(by_dateutil(recurrence, wall), 40)]
    found = list(islice(starts(recurrence, first_start, zone), 40))
    assert [start for _, start in found] == expected
    assert [index for index, _ in found] == list(range(1, len(found) + 1))


@given(_series(), st.integers(-400, 4000), st.integers(0, 200), st.integers(0, 4000))
@settings(max_examples=300, deadline=None)
def test_a_window_holds_what_overlaps_it(
    series: tuple[Recurrence, datetime, ZoneInfo], days: int, width: int, minutes: int
) -> None:
    """A window gives exactly the occurrences that overlap it; index, start and last agree with one another."""
    recurrence, wall, zone = series
    first_start = _first_start(recurrence, wall, zone)
    assume(first_start is not None and local(first_start, zone).time() == wall.time())
    window = (
        instant(wall, zone) + timedelta(days=days, hours=5),
        instant(wall, zone) + timedelta(days=days + width, hours=7),
    )
    duration = timedelta(minutes=minutes)
    span = by_dateutil(recurrence, wall).between(
        wall + timedelta(days=days - 8), wall + timedelta(days=days + width + 4), inc=True
    )
    expected = [
        start
        for start in (instant(moment, zone) for moment in span)
        if start < window[1] and (end_after(start, duration, zone) > window[0] or (not duration and start == window[0]))
    ]
    found = starts_between(recurrence, first_start, duration, zone, *window)
    assert [start for _, start in found] == expected
    for index, start in found:
        assert start_at(recurrence, first_start, zone, index) == start
        assert index_of(recurrence, first_start, zone, start) == index
        assert index_of(recurrence, first_start, zone, start + timedelta(minutes=1)) is None


@given(_series())
@settings(max_examples=200, deadline=None)
def test_the_last_occurrence_is_the_last_one(series: tuple[Recurrence, datetime, ZoneInfo]) -> None:
    """A series with an end says which occurrence is its last; one without says none."""
    recurrence, wall, zone = series
    first_start = _first_start(recurrence, wall, zone)
    assume(first_start is not None)
    found = last(recurrence, first_start, zone)
    if isinstance(recurrence.range, NoEnd):
        assert found is None
    else:
        assert found == (list(starts(recurrence, first_start, zone)) or [None])[-1]


@pytest.mark.req("O5")
def test_a_series_keeps_its_wall_clock_time_across_daylight_saving() -> None:
    """A meeting at nine in New York is at nine there before and after both changes."""
    weekly = Recurrence(Weekly(1, ("Monday",)), NoEnd(date(2026, 3, 2)))
    first = datetime(2026, 3, 2, 14, tzinfo=UTC)
    found = [start for _, start in islice(starts(weekly, first, NEW_YORK), 40)]
    assert {local(start, NEW_YORK).hour for start in found} == {9}
    assert {start.hour for start in found} == {13, 14}


def test_a_time_that_daylight_saving_skips_is_an_hour_later() -> None:
    """Half past two on the night the clock goes forward is half past three; the night after it is half past two again."""
    daily = Recurrence(Daily(1), Numbered(date(2026, 3, 7), 3))
    found = [start for _, start in starts(daily, datetime(2026, 3, 7, 7, 30, tzinfo=UTC), NEW_YORK)]
    assert [local(start, NEW_YORK).strftime("%d %H:%M") for start in found] == ["07 02:30", "08 03:30", "09 02:30"]


def test_a_time_that_comes_twice_is_the_first_of_the_two() -> None:
    """Half past one on the night the clock goes back is the one before it goes back, unless the master itself is the second."""
    daily = Recurrence(Daily(1), Numbered(date(2026, 10, 31), 3))
    found = [start for _, start in starts(daily, datetime(2026, 10, 31, 5, 30, tzinfo=UTC), NEW_YORK)]
    assert found[1] == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    second = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    series = Recurrence(Daily(1), Numbered(date(2026, 11, 1), 2))
    assert [start for _, start in starts(series, second, NEW_YORK)] == [
        second,
        datetime(2026, 11, 2, 6, 30, tzinfo=UTC),
    ]


@pytest.mark.req("O6")
def test_an_all_day_event_ends_at_midnight_on_days_of_23_and_25_hours() -> None:
    """A series of whole days has its ends at local midnights on every day of the year."""
    daily = Recurrence(Daily(1), EndDate(date(2026, 1, 1), date(2026, 12, 31)))
    first = datetime(2025, 12, 31, 23, tzinfo=UTC)
    duration = wall_duration(first, datetime(2026, 1, 1, 23, tzinfo=UTC), BERLIN)
    lengths = set()
    for _, start in starts(daily, first, BERLIN):
        end = end_after(start, duration, BERLIN)
        assert local(start, BERLIN).hour == local(end, BERLIN).hour == 0
        lengths.add(end - start)
    assert lengths == {timedelta(hours=23), timedelta(hours=24), timedelta(hours=25)}


def test_a_midnight_that_does_not_exist_begins_the_day_all_the_same() -> None:
    """Where the clock goes forward at midnight, the all-day occurrence begins when the day does."""
    havana = ZoneInfo("America/Havana")
    daily = Recurrence(Daily(1), Numbered(date(2026, 3, 7), 3))
    found = [local(start, havana) for _, start in starts(daily, datetime(2026, 3, 7, 5, tzinfo=UTC), havana)]
    assert [moment.strftime("%d %H:%M") for moment in found] == ["07 00:00", "08 01:00", "09 00:00"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (AbsoluteMonthly(1, 31), ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]),
        (AbsoluteMonthly(1, 30), ["2027-01-30", "2027-02-28", "2027-03-30", "2027-04-30"]),
        (AbsoluteYearly(29, "February"), ["2027-02-28", "2028-02-29", "2029-02-28", "2030-02-28"]),
        (RelativeMonthly(1, "Weekday", "Last"), ["2027-01-29", "2027-02-26", "2027-03-31", "2027-04-30"]),
        (RelativeMonthly(1, "WeekendDay", "Second"), ["2027-01-03", "2027-02-07", "2027-03-07", "2027-04-04"]),
        (RelativeMonthly(6, "Day", "Last"), ["2027-01-31", "2027-07-31", "2028-01-31", "2028-07-31"]),
        (RelativeYearly("Sunday", "Last", "October"), ["2027-10-31", "2028-10-29", "2029-10-28", "2030-10-27"]),
    ],
)
def test_a_day_the_month_does_not_have_is_its_last(pattern: AbsoluteMonthly, expected: list[str]) -> None:
    """Days beyond the month's end, and first-to-last days of a kind, fall where Outlook shows them."""
    found = islice(dates(Recurrence(pattern, NoEnd(date(2027, 1, 1)))), 4)
    assert [str(day) for day in found] == expected


@pytest.mark.parametrize(
    ("first_day", "expected"),
    [
        ("Sunday", ["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"]),
        ("Monday", ["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"]),
    ],
)
def test_every_second_week_depends_on_where_weeks_begin(first_day: str, expected: list[str]) -> None:
    """Tuesday and Sunday of every second week are other days where the week begins on Sunday (RFC 5545's own example)."""
    pattern = Weekly(2, ("Tuesday", "Sunday"), first_day)
    assert [str(day) for day in dates(Recurrence(pattern, Numbered(date(1997, 8, 5), 4)))] == expected


def test_groups_of_days_may_stand_in_a_weekly_pattern() -> None:
    """A weekly pattern on Weekday is one on Monday to Friday."""
    named = Recurrence(Weekly(1, ("Weekday",)), Numbered(date(2026, 11, 23), 7))
    spelt = Recurrence(Weekly(1, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")), named.range)
    assert list(dates(named)) == list(dates(spelt))


def test_a_window_far_in_the_future_costs_no_more_than_this_week() -> None:
    """A daily series from 1990 is looked up in the year 4400 without walking there."""
    series = Recurrence(Daily(1), NoEnd(date(1990, 1, 1)))
    first = datetime(1990, 1, 1, 9, tzinfo=UTC)
    begun = time.thread_time()
    for _ in range(5):
        found = starts_between(
            series,
            first,
            timedelta(hours=1),
            BERLIN,
            datetime(4400, 5, 1, tzinfo=UTC),
            datetime(4400, 5, 8, tzinfo=UTC),
        )
    assert len(found) == 7
    assert time.thread_time() - begun < 1


@pytest.mark.parametrize("zone", [UTC, NEW_YORK, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")])
def test_the_ends_of_the_calendar_are_no_error(zone: ZoneInfo) -> None:
    """Series and windows that reach the years 1, 1601, 4500 and 9999 are answered; none goes beyond August 4500."""
    window = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    late = Recurrence(Daily(1), NoEnd(date(4500, 8, 29)))
    first = datetime(4500, 8, 29, 12, tzinfo=UTC)
    assert 2 <= len(starts_between(late, first, timedelta(hours=1), zone, *window)) <= 3
    assert len(list(starts(late, first, zone))) <= 3
    early = Recurrence(AbsoluteYearly(31, "December"), Numbered(date(1601, 1, 1), 2))
    assert len(starts_between(early, datetime(1601, 12, 31, 12, tzinfo=UTC), timedelta(days=1), zone, *window)) == 2
    for year in (1, 9999):
        odd = Recurrence(Weekly(3, ("Friday",)), EndDate(date(year, 1, 1), date(9999, 12, 31)))
        moment = datetime(year, 1, 1, tzinfo=UTC)
        list(islice(starts(odd, moment, zone), 5))
        starts_between(odd, moment, timedelta(days=4), zone, moment, moment + timedelta(days=30))
        assert index_of(odd, moment, zone, moment) in (None, 1)


def test_a_range_that_ends_before_it_begins_is_empty() -> None:
    """No occurrence lies between a start and an earlier end; there is no last one either."""
    empty = Recurrence(Daily(1), EndDate(date(2026, 5, 2), date(2026, 5, 1)))
    first = datetime(2026, 5, 2, 9, tzinfo=UTC)
    assert list(starts(empty, first, BERLIN)) == []
    assert last(empty, first, BERLIN) is None
    assert start_at(empty, first, BERLIN, 1) is None


def test_an_occurrence_that_ended_as_the_window_begins_is_outside() -> None:
    """What ends at the window's start does not overlap it; what has no length counts where it begins."""
    series = Recurrence(Daily(1), Numbered(date(2026, 5, 1), 1))
    first = datetime(2026, 5, 1, 8, tzinfo=UTC)
    window = (datetime(2026, 5, 1, 9, tzinfo=UTC), datetime(2026, 5, 1, 10, tzinfo=UTC))
    assert starts_between(series, first, timedelta(hours=1), UTC, *window) == []
    assert starts_between(series, first, timedelta(hours=1, minutes=1), UTC, *window) == [(1, first)]
    assert starts_between(series, first, timedelta(), UTC, first, window[1]) == [(1, first)]
    assert starts_between(series, first, timedelta(), UTC, window[0] - timedelta(hours=2), first) == []


def test_a_regenerating_task_has_its_first_occurrence_only() -> None:
    """What comes again when it is completed has no dates of its own beyond the first."""
    series = Recurrence(DailyRegeneration(3), NoEnd(date(2026, 5, 1)))
    first = datetime(2026, 5, 1, tzinfo=UTC)
    assert list(starts(series, first, UTC)) == [(1, first)]
    assert last(series, first, UTC) == (1, first)


def test_what_lasts_over_the_change_of_the_clock_never_ends_before_it_starts() -> None:
    """Half an hour that begins in the second of two equal hours ends in the second as well."""
    start = datetime(2026, 11, 1, 6, 15, tzinfo=UTC)
    assert end_after(start, timedelta(minutes=30), NEW_YORK) == datetime(2026, 11, 1, 6, 45, tzinfo=UTC)
    assert end_after(start - timedelta(hours=1), timedelta(hours=2), NEW_YORK) == datetime(
        2026, 11, 1, 8, 15, tzinfo=UTC
    )
