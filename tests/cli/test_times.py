"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from ops_lib.cli.times import bound_of, instant_of, when_of
from ops_lib.errors import InputError
from ops_lib.model import AllDay, Timed, When

NEW_YORK = ZoneInfo("America/New_York")
TEN = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
ELEVEN = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
FAIR = AllDay(date(2026, 12, 24), date(2026, 12, 27))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T10:00", "2026-11-24 10:00:00", "2026-11-24T15:00Z", "2026-11-24T15:00:00+00:00",
        "2026-11-24T10:00-05:00", "2026-11-25T00:00+09:00", "20261124T100000",
    ],
)  # fmt: skip
def test_a_time_is_an_instant(text: str) -> None:
    """With an offset it is that instant; without one it is a time of the user's zone."""
    assert instant_of(text, NEW_YORK, "--start") == TEN


@pytest.mark.req("O6")
def test_clocks_that_were_changed_are_not_guessed() -> None:
    """A time that clocks skip is refused, one that they show twice too; an offset settles it."""
    with pytest.raises(InputError, match="never show"):
        instant_of("2026-03-08T02:30", NEW_YORK, "--start")
    with pytest.raises(InputError, match="twice"):
        instant_of("2026-11-01T01:30", NEW_YORK, "--start")
    assert instant_of("2026-11-01T01:30-05:00", NEW_YORK, "--start") == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert instant_of("2026-03-08T03:00", NEW_YORK, "--start") == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["tomorrow", "", "2026-11-24", "2026-02-30T10:00", "10:00", "0001-01-01T00:00+14:00"])
def test_what_is_no_time_says_how_to_write_one(text: str) -> None:
    """A word, a day without a time, a day that does not exist: refused, with the option's name."""
    with pytest.raises(InputError, match="--start"):
        instant_of(text, NEW_YORK, "--start")


def test_a_bound_is_a_day_or_an_instant() -> None:
    """A day stays a day; a time is an instant."""
    assert bound_of("2026-11-24", NEW_YORK, "--from") == date(2026, 11, 24)
    assert bound_of("2026-11-24T10:00", NEW_YORK, "--from") == TEN


@pytest.mark.parametrize(
    ("given", "before", "expected"),
    [
        ({}, None, None),
        ({"start": "2026-11-24T10:00", "end": "2026-11-24T11:00"}, None, Timed(TEN, ELEVEN)),
        ({"end": "2026-11-24T11:00"}, Timed(TEN, TEN), Timed(TEN, ELEVEN)),
        ({"start": "2026-11-24T10:00"}, Timed(ELEVEN, ELEVEN), Timed(TEN, ELEVEN)),
        ({"start": "2026-11-24T10:00", "end": "2026-11-24T11:00"}, FAIR, Timed(TEN, ELEVEN)),
        ({"all_day": "2026-11-24"}, Timed(TEN, ELEVEN), AllDay(date(2026, 11, 24), date(2026, 11, 25))),
        ({"all_day": "2026-11-24"}, FAIR, AllDay(date(2026, 11, 24), date(2026, 11, 27))),
        ({"all_day": "2026-11-24", "days": 2}, FAIR, AllDay(date(2026, 11, 24), date(2026, 11, 26))),
        ({"days": 1}, FAIR, AllDay(date(2026, 12, 24), date(2026, 12, 25))),
    ],
)
def test_what_is_not_given_is_as_before(given: dict, before: When | None, expected: When | None) -> None:
    """A new start keeps the end, a new day keeps the number of days; nothing given is nothing changed."""
    entered = {"start": None, "end": None, "all_day": None, "days": None} | given
    assert when_of(NEW_YORK, **entered, before=before) == expected


@pytest.mark.parametrize(
    ("given", "before", "words"),
    [
        ({"start": "2026-11-24T10:00"}, None, "end is missing"),
        ({"end": "2026-11-24T10:00"}, FAIR, "start is missing"),
        ({"start": "2026-11-24T10:00", "all_day": "2026-11-24"}, None, "either timed or all-day"),
        ({"days": 2}, Timed(TEN, ELEVEN), "goes with --all-day only"),
        ({"days": 2, "start": "2026-11-24T10:00"}, Timed(TEN, ELEVEN), "goes with --all-day only"),
        ({"all_day": "24.11.2026"}, None, "no date"),
        ({"all_day": "9999-12-31"}, None, "beyond the calendar"),
    ],
)
def test_half_a_time_is_refused(given: dict, before: When | None, words: str) -> None:
    """A start without an end, both kinds at once, a day that is none: refused with what is missing."""
    entered = {"start": None, "end": None, "all_day": None, "days": None} | given
    with pytest.raises(InputError, match=words):
        when_of(NEW_YORK, **entered, before=before)
