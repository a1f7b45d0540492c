"""Times and entries in words."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from ops_lib.model import AllDay, Timed, When
from ops_lib.reports.words import counted, done_words, when_words

ZONE = ZoneInfo("America/New_York")


def _at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (Timed(_at(23, 15), _at(23, 16)), "Mon 23 Nov 10:00–11:00"),
        (Timed(_at(24, 3), _at(24, 6)), "Mon 23 Nov 22:00 – Tue 24 Nov 01:00"),
        (Timed(_at(1, 5), _at(1, 7)), "Sun 1 Nov 01:00–02:00"),  # the hour that comes twice
        (AllDay(date(2026, 11, 23), date(2026, 11, 24)), "Mon 23 Nov, all day"),
        (AllDay(date(2026, 11, 28), date(2026, 12, 2)), "Sat 28 Nov – Tue 1 Dec, all day"),
    ],
)
def test_a_time_is_said_in_the_users_zone(when: When, words: str) -> None:
    """Hours are the zone's; whole days are nobody's, and their last day is the one before the end."""
    assert when_words(when, ZONE) == words


def test_numbers_are_counted_as_people_count() -> None:
    """One, several, none."""
    assert [counted(number, "entry", "entries") for number in (1, 2, 0)] == ["1 entry", "2 entries", "no entries"]


def test_what_was_done_leaves_out_what_was_not() -> None:
    """Only what happened is said, Outlook first."""
    numbers = dict.fromkeys(
        ((verb, side) for verb in ("created", "updated", "deleted") for side in ("crm", "exchange")), 0
    )
    assert done_words(numbers) == []
    assert done_words(numbers | {("created", "crm"): 2, ("deleted", "exchange"): 1}) == [
        "2 made in the CRM",
        "1 removed from Outlook",
    ]
