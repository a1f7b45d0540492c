"""Series on paper: which dates a recurrence has, and which of them an exception means."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from ops_lib.errors import ItemRefused
from ops_lib.mailbox.ews.recurrence import recurrence_of
from ops_lib.mailbox.ews.series import Series, series_of
from ops_lib.model import AllDay, ItemType, Timed, Window
from ops_lib.sandbox import recurrence as judge
from ops_lib.sandbox.ews import recurrences as as_xml
from tests.mailbox.stub import TYPES
from tests.support.series import PATTERNS, ranges

NEW_YORK = ZoneInfo("America/New_York")
FIRST = date(2026, 1, 5)


def element(inside: str) -> etree._Element:
    return etree.fromstring(f'<t:CalendarItem xmlns:t="{TYPES}">{inside}</t:CalendarItem>')[0]


@settings(max_examples=150, deadline=None)
@given(PATTERNS, st.dates(date(2020, 1, 1), date(2028, 12, 31)), st.data())
def test_dates_are_those_of_another_implementation(pattern: judge.Pattern, start: date, data: st.DataObject) -> None:
    """Every pattern and range has the dates that the sandbox, which computes them without dateutil, says."""
    recurrence = judge.Recurrence(pattern, data.draw(ranges(start)))
    last = date(2031, 1, 1)
    expected = list(takewhile(lambda day: day <= last, judge.dates(recurrence)))
    read = recurrence_of(element(as_xml.write("Recurrence", recurrence)), NEW_YORK, start)
    assert list(read.dates(last)) == expected


def rule(
    pattern: str, within: str = "<t:NoEndRecurrence><t:StartDate>2026-01-05</t:StartDate></t:NoEndRecurrence>"
) -> str:
    return f"<t:Recurrence>{pattern}{within}</t:Recurrence>"


DAILY = "<t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence>"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (rule("<t:DailyRegeneration><t:Interval>1</t:Interval></t:DailyRegeneration>"), "DailyRegeneration"),
        (rule("<t:DailyRecurrence><t:Interval>often</t:Interval></t:DailyRecurrence>"), "often"),
        (rule("<t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Noday</t:DaysOfWeek></t:WeeklyRecurrence>"), "Noday"),
        (rule("<t:WeeklyRecurrence><t:Interval>1</t:Interval></t:WeeklyRecurrence>"), "none given"),
        (rule("<t:AbsoluteMonthlyRecurrence><t:DayOfMonth>32</t:DayOfMonth></t:AbsoluteMonthlyRecurrence>"), "32"),
        (rule("<t:AbsoluteYearlyRecurrence><t:DayOfMonth>1</t:DayOfMonth><t:Month>Brumaire</t:Month></t:AbsoluteYearlyRecurrence>"), "Brumaire"),
        (rule("<t:RelativeMonthlyRecurrence><t:DaysOfWeek>Monday</t:DaysOfWeek><t:DayOfWeekIndex>Ninth</t:DayOfWeekIndex></t:RelativeMonthlyRecurrence>"), "Ninth"),
        (rule(DAILY, ""), "how long"),
        (rule(DAILY, "<t:EndDateRecurrence><t:StartDate>2026-01-05</t:StartDate><t:EndDate>later</t:EndDate></t:EndDateRecurrence>"), "ends on a day"),
        (rule(DAILY, "<t:NumberedRecurrence><t:NumberOfOccurrences>0</t:NumberOfOccurrences></t:NumberedRecurrence>"), "NumberOfOccurrences"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_says_why(text: str, reason: str) -> None:
    """A pattern or range that nobody can compute is refused, and the reason names it."""
    with pytest.raises(ItemRefused, match=reason):
        recurrence_of(element(text), NEW_YORK, FIRST)


@pytest.mark.parametrize(
    "start",
    [
        "2026-01-05",
        "2026-01-05Z",
        "2026-01-05-05:00",
        "2026-01-05T00:00:00.000000Z",
        "2026-01-05T05:00:00Z",
        "2026-01-05T04:00:00Z",
        "",
    ],
)
def test_days_may_be_written_as_times(start: str) -> None:
    """A range's first day as a date, as midnight of UTC, as the zone's midnight, an hour off, or left out: the same day."""
    within = f"<t:NoEndRecurrence><t:StartDate>{start}</t:StartDate></t:NoEndRecurrence>"
    read = recurrence_of(element(rule(DAILY, within)), NEW_YORK, FIRST)
    assert next(iter(read.dates(date(2026, 2, 1)))) == FIRST


def series(
    start: str = "2026-10-26T13:00:00Z",
    end: str = "2026-10-26T14:00:00Z",
    more: str = "",
    zone: str = "Eastern Standard Time",
) -> Series:
    """A daily series that crosses the end of daylight saving (1 November), nine o'clock in New York."""
    within = f"<t:NoEndRecurrence><t:StartDate>{start[:10]}</t:StartDate></t:NoEndRecurrence>"
    text = (
        f'<t:CalendarItem xmlns:t="{TYPES}"><t:ItemId Id="m" ChangeKey="c"/><t:Subject>Round</t:Subject><t:Start>{start}</t:Start><t:End>{end}</t:End>'
        f'<t:CalendarItemType>RecurringMaster</t:CalendarItemType>{rule(DAILY, within)}{more}<t:StartTimeZone Id="{zone}"/></t:CalendarItem>'
    )
    return series_of(etree.fromstring(text), "x", ZoneInfo("Europe/Copenhagen"))


WEEK = Window(datetime(2026, 10, 29, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    "said",
    [
        "2026-11-02T14:00:00Z",  # the original start
        "2026-11-02T13:00:00Z",  # an hour off
        "2026-11-02T05:00:00.000000Z",  # midnight of its day
        "2026-11-02T04:00:00Z",  # that an hour off: eleven in the evening of the day before
        "2026-11-02",  # a date alone
    ],
)
@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_exceptions_are_recognised_by_their_day(said: str, how: str) -> None:
    """Whether a server names an occurrence by its start or by its midnight, exactly or an hour off, the same one is meant."""
    if how == "deleted":
        more = f"<t:DeletedOccurrences><t:DeletedOccurrence><t:Start>{said}</t:Start></t:DeletedOccurrence></t:DeletedOccurrences>"
    else:
        more = (
            "<t:ModifiedOccurrences><t:Occurrence><t:Start>2026-11-02T20:00:00Z</t:Start><t:End>2026-11-02T21:00:00Z</t:End>"
            f"<t:OriginalStart>{said}</t:OriginalStart></t:Occurrence></t:ModifiedOccurrences>"
        )
    found = series(more=more).occurrences(WEEK, {})
    starts = [item.when.start for item in found if isinstance(item.when, Timed)]
    usual = [datetime(2026, 10, day, 13, tzinfo=UTC) for day in (29, 30, 31)]
    usual += [datetime(2026, 11, day, 14, tzinfo=UTC) for day in (1, 2, 3, 4)]
    usual.remove(datetime(2026, 11, 2, 14, tzinfo=UTC))
    expected = usual if how == "deleted" else sorted([*usual, datetime(2026, 11, 2, 20, tzinfo=UTC)])
    assert starts == expected


def test_numbers_with_and_without_deleted_ones() -> None:
    """Both ways of counting: those that remain, then all; the first has only one."""
    more = "<t:DeletedOccurrences><t:DeletedOccurrence><t:Start>2026-10-28T13:00:00Z</t:Start></t:DeletedOccurrence></t:DeletedOccurrences>"
    found = series(more=more)
    assert found.numbers_of(date(2026, 10, 26)) == (1,)
    assert found.numbers_of(date(2026, 10, 29)) == (3, 4)
    assert found.numbers_of(date(2026, 10, 25)) == ()


def test_whole_days_stay_whole_days() -> None:
    """An all-day series has whole days on every date, whatever the offset of the day."""
    found = series("2026-10-26T04:00:00Z", "2026-10-28T04:00:00Z", "<t:IsAllDayEvent>true</t:IsAllDayEvent>")
    items = found.occurrences(Window(datetime(2026, 11, 2, 12, tzinfo=UTC), datetime(2026, 11, 2, 13, tzinfo=UTC)), {})
    assert AllDay(date(2026, 11, 1), date(2026, 11, 3)) in [item.when for item in items]
    assert found.start_on(date(2026, 11, 2)) == datetime(2026, 11, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["", "Mars Standard Time"])
def test_a_series_without_a_zone_is_in_its_users(zone: str) -> None:
    """A series that names no zone that is known keeps the hour of its user's, and says so."""
    item = series("2026-10-20T07:00:00Z", "2026-10-20T08:00:00Z", zone=zone).occurrences(WEEK, {})[0]
    assert item.when == Timed(datetime(2026, 10, 29, 8, tzinfo=UTC), datetime(2026, 10, 29, 9, tzinfo=UTC))
    assert "Europe/Copenhagen" in item.oddities[-1]
    assert item.item_type is ItemType.OCCURRENCE


def test_length_is_that_of_the_wall_clock() -> None:
    """An evening that lasts over the change of time ends at the same hour on the wall; nothing ends before it starts."""
    item = series("2026-10-27T02:00:00Z", "2026-10-27T10:00:00Z").occurrence(date(2026, 10, 31), {})
    assert item.when == Timed(datetime(2026, 11, 1, 2, tzinfo=UTC), datetime(2026, 11, 1, 11, tzinfo=UTC))
    assert isinstance(item.when, Timed)
    assert item.when.end - item.when.start == timedelta(hours=9)
