"""When a cron line is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_lib.errors import InputError
from ops_lib.runbook.cron import CronLine

ZURICH = ZoneInfo("Europe/Zurich")


def _due(line: str, start: datetime, number: int, zone: str = "Europe/Zurich") -> list[str]:
    cron, found = CronLine.parse(line, zone), []
    moment: datetime | None = start
    for _ in range(number):
        assert moment is not None
        moment = cron.after(moment)
        assert moment is not None
        found.append(moment.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes"))
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 6 * * 1-5", ["2026-11-23T06:00", "2026-11-24T06:00"]),
        ("0 6 * * mon-fri", ["2026-11-23T06:00", "2026-11-24T06:00"]),
        ("0 6 * * 7", ["2026-11-22T06:00", "2026-11-29T06:00"]),
        ("0 6 * * 0", ["2026-11-22T06:00", "2026-11-29T06:00"]),
        ("30 22 1,15 jan-mar *", ["2027-01-01T22:30", "2027-01-15T22:30"]),
        ("*/20 8-9 * * *", ["2026-11-21T08:00", "2026-11-21T08:20"]),
        ("5/25 8 * * *", ["2026-11-21T08:05", "2026-11-21T08:30"]),
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 12 13 * 5", ["2026-11-27T12:00", "2026-12-04T12:00"]),  # either day will do
        ("0 12 */2 * 5", ["2026-11-27T12:00", "2026-12-11T12:00"]),  # a step is no restriction of its own, as in cron
    ],
)
def test_a_line_is_due_as_cron_has_it(line: str, expected: list[str]) -> None:
    """Names, ranges, steps, lists; Sunday is 0 and 7; Monday to Friday is 1-5."""
    start = datetime(2026, 11, 21, 0, 0, tzinfo=ZURICH)  # a Saturday
    assert [each[:16] for each in _due(line, start, 2)] == expected


def test_a_time_that_is_skipped_comes_as_much_later(  # the last Sunday of March: 02:00 is 03:00
) -> None:
    """A nightly run is not lost in spring."""
    due = _due("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=ZURICH), 2)
    assert due == ["2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00"]


def test_a_time_that_is_shown_twice_comes_once() -> None:
    """A nightly run is not made twice in autumn."""
    due = _due("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=ZURICH), 2)
    assert due == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]


def test_every_half_hour_is_every_half_hour_on_both_days() -> None:
    """Where the hour is free, real time counts."""
    autumn = _due("*/30 * * * *", datetime(2026, 10, 25, 1, 40, tzinfo=ZURICH), 5)
    assert [each[11:] for each in autumn] == ["02:00+02:00", "02:30+02:00", "02:00+01:00", "02:30+01:00", "03:00+01:00"]
    spring = _due("*/30 * * * *", datetime(2026, 3, 29, 1, 20, tzinfo=ZURICH), 3)
    assert [each[11:] for each in spring] == ["01:30+01:00", "03:00+02:00", "03:30+02:00"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("61 * * * *", "61 is no minute"),
        ("0 24 * * *", "24 is no hour"),
        ("0 6 * * 8", "8 is no day of the week"),
        ("0 6 * * fri-mon", "fri-mon is no day of the week"),
        ("0 6 0 * *", "0 is no day of the month"),
        ("*/0 * * * *", r"\*/0 is no minute"),
        ("1,,2 * * * *", "nothing is no minute"),
        ("²  * * * *", "² is no minute"),
        ("@daily", "has 1"),
        ("0 6 * * * *", "has 6"),
        ("0 6 31 feb *", "no such day"),
    ],
)
def test_a_line_that_is_none_is_refused(line: str, why: str) -> None:
    """The part that cannot be is named; so is a day that never comes."""
    with pytest.raises(InputError, match=why):
        CronLine.parse(line, "UTC")


def test_what_was_missed_is_counted_up_to_a_limit() -> None:
    """A machine that was off for years is not counted through."""
    cron = CronLine.parse("0 6 * * *", "UTC")
    first = datetime(2026, 11, 20, 6, tzinfo=UTC)
    assert len(cron.between(first, first + timedelta(days=2, hours=1), 100)) == 3
    assert cron.between(first, first + timedelta(days=5000), 4)[-1] == first + timedelta(days=3)
    assert cron.between(first + timedelta(hours=1), first + timedelta(hours=2), 4) == []


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 0 * * *", "15 1-3 * * 0", "0 3 1 * 1"]),
    st.sampled_from(["UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_the_next_is_after_and_nothing_lies_between(start: datetime, line: str, zone: str) -> None:
    """Whenever it is asked, the answer is later, and asking from any moment before it gives the same."""
    cron = CronLine.parse(line, zone)
    moment = start.replace(tzinfo=UTC)
    due = cron.after(moment)
    assert due is not None
    assert due > moment
    assert cron.after(moment + (due - moment) / 2) == due
    assert cron.after(due - timedelta(microseconds=1)) == due
