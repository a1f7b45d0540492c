"""The CRM's calendar: what stands on it, in which order, and what of Outlook's is shown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ops_lib.crm import ActivityContent
from ops_lib.crm.calendar import Bound, calendar
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.database.engine import Database
from ops_lib.model import AllDay, Origin, Timed, When

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Calendar:
    def __init__(self, database: Database) -> None:
        self.database = database
        with database.begin() as connection:
            directory = Directory(connection)
            self.type_id = directory.add_activity_type("Tour").type_id
            self.alice = directory.add_user("alice@example.test", "Alice", time_zone="America/New_York").user_id
            self.bob = directory.add_user("bob@example.test", "Bob", time_zone="Asia/Tokyo").user_id

    def put(self, description: str, when: When, *, user: str | None = None, origin: Origin = Origin.CRM) -> str:
        content = ActivityContent(type_id=self.type_id, description=description, when=when)
        with self.database.begin() as connection:
            crm = SqlCrm(connection, NOW)
            return crm.create(user or self.alice, content, origin=origin, key=f"{description} {when}").activity_id

    def shown(self, user: str | None = None, start: Bound | None = None, end: Bound | None = None) -> list[str]:
        with self.database.read() as connection:
            entries = calendar(connection, now=NOW, zone=NEW_YORK, user_id=user, start=start, end=end)
        return [entry.activity.description for entry in entries]


@pytest.fixture
def crm(database: Database) -> Calendar:
    return Calendar(database)


def hour(day: int, at: float, length: float = 1) -> Timed:
    start = datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=at)
    return Timed(start, start + timedelta(hours=length))


def test_the_calendar_is_in_order(crm: Calendar) -> None:
    """By start, then id as a number; a user's own or everybody's; what was removed is off, what was cancelled is on."""
    for number in range(12):
        crm.put(f"same {number}", hour(24, 15))
    crm.put("early", hour(24, 14), user=crm.bob)
    crm.put("all day", AllDay(date(2026, 11, 24), date(2026, 11, 25)))
    removed, cancelled = crm.put("removed", hour(24, 1)), crm.put("cancelled", hour(25, 1))
    with crm.database.begin() as connection:
        SqlCrm(connection, NOW).remove(removed)
        SqlCrm(connection, NOW).cancel(cancelled, "Ill.")
    assert crm.shown() == ["all day", "early", *(f"same {number}" for number in range(12)), "cancelled"]
    assert crm.shown(crm.bob) == ["early"]


@pytest.mark.req("O1")
def test_what_came_from_outlook_is_shown_for_its_window(crm: Calendar) -> None:
    """From 2 days back to 90 ahead, whole days in the user's zone; the CRM's own entries are shown whenever they are."""
    midnight_before = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)  # the beginning of 21 November in New York
    midnight_after = datetime(2027, 2, 22, 5, 0, tzinfo=UTC)  # the end of 21 February
    minute = timedelta(minutes=1)
    inside: dict[str, When] = {
        "ends inside": Timed(midnight_before - minute, midnight_before + minute),
        "begins inside": Timed(midnight_after - minute, midnight_after + minute),
        "first day": AllDay(date(2026, 11, 21), date(2026, 11, 22)),
        "last day": AllDay(date(2027, 2, 21), date(2027, 2, 22)),
    }
    outside: dict[str, When] = {
        "ends before": Timed(midnight_before - minute, midnight_before),
        "begins after": Timed(midnight_after, midnight_after + minute),
        "day before": AllDay(date(2026, 11, 20), date(2026, 11, 21)),
        "day after": AllDay(date(2027, 2, 22), date(2027, 2, 23)),
    }
    for name, when in (inside | outside).items():
        crm.put(name, when, origin=Origin.EXCHANGE)
    crm.put("tour of last year", Timed(NOW - timedelta(days=365), NOW - timedelta(days=364)))
    assert sorted(crm.shown()) == sorted([*inside, "tour of last year"])
    assert set(crm.shown(start=date(2000, 1, 1))) == {*inside, *outside, "tour of last year"}
    assert "day after" in crm.shown(start=date(2027, 2, 22), end=date(2027, 2, 23))


@pytest.mark.req("O1")
def test_each_user_s_window_is_in_their_own_zone(crm: Calendar) -> None:
    """What is within one user's days may be outside another's."""
    start = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # 21 November in Tokyo, still the 20th in New York
    for user, name in ((crm.alice, "alice's"), (crm.bob, "bob's")):
        crm.put(name, Timed(start, start + timedelta(hours=1)), user=user, origin=Origin.EXCHANGE)
    assert crm.shown() == ["bob's"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (hour(24, 10).start, hour(24, 11).start, ["over", "at ten", "no length"]),
        (hour(24, 11).start, None, ["over"]),
        (None, hour(24, 10).start, ["before", "over"]),
        (hour(24, 9.5).start, hour(24, 9.5).start, ["over"]),
    ],
)
def test_a_part_of_the_calendar_is_what_overlaps_it(
    crm: Calendar, start: datetime | None, end: datetime | None, expected: list[str]
) -> None:
    """What ends when the part begins, or begins when it ends, is not in it; what has no length is where it stands."""
    crm.put("before", hour(24, 8))
    crm.put("over", hour(24, 9, 3))
    crm.put("at ten", hour(24, 10))
    crm.put("no length", hour(24, 10, 0))
    assert crm.shown(start=start, end=end) == expected


@pytest.mark.req("O6")
def test_a_day_is_the_reader_s_day(crm: Calendar) -> None:
    """Days asked for are days in the reader's zone for times, and simply days for all-day entries, wherever one is."""
    crm.put("evening in New York", hour(25, 2))  # 24 November, 21:00
    crm.put("next morning", hour(25, 14))
    for day in (23, 24, 25):
        crm.put(f"all day {day}", AllDay(date(2026, 11, day), date(2026, 11, day + 1)))
    assert crm.shown(start=date(2026, 11, 24), end=date(2026, 11, 25)) == ["all day 24", "evening in New York"]


@pytest.mark.req("O6")
def test_an_all_day_entry_is_given_by_its_days(crm: Calendar) -> None:
    """In JSON an all-day entry has its date, and the midnights of its first day and of the day after its last as if in UTC."""
    crm.put("fair", AllDay(date(2026, 12, 24), date(2026, 12, 27)))
    crm.put("tour", Timed(NOW, NOW + timedelta(minutes=30, microseconds=1)))
    with crm.database.read() as connection:
        tour, fair = (entry.as_json() for entry in calendar(connection, now=NOW, zone=NEW_YORK))
    assert (fair["all_day"], fair["date"], fair["start"], fair["end"]) == (
        True,
        "2026-12-24",
        "2026-12-24T00:00:00Z",
        "2026-12-27T00:00:00Z",
    )
    assert tour == {
        "id": tour["id"],
        "user": "alice@example.test",
        "type": "Tour",
        "status": "Scheduled",
        "description": "tour",
        "start": "2026-11-23T09:00:00Z",
        "end": "2026-11-23T09:30:00.000001Z",
        "all_day": False,
        "date": None,
        "for": None,
        "location": "",
        "notes": "",
        "origin": "crm",
        "private": False,
    }
    assert isinstance(tour["id"], str)
