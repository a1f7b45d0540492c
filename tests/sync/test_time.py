"""Time: the same instant on both sides, whole days on their dates, whatever the zones and the clocks' changes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tzlocal.windows_tz import win_tz

from ops_lib.database.engine import Database
from ops_lib.mailbox import ItemContent, ItemUpdate
from ops_lib.mailbox.ews import requests
from ops_lib.mailbox.ews.items import item_of
from ops_lib.model import AllDay, Kind, Timed
from ops_lib.sandbox.events import midnights
from ops_lib.sandbox.recurrence import (
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    NoEnd,
    Pattern,
    Recurrence,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
)
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.audit import audit
from tests.mailbox.stub import TYPES
from tests.support.sandbox import ALICE
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, Desk, at, days

NEW_YORK = ZoneInfo("America/New_York")
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
FAR_ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Asia/Beirut",
)


def new_york(*moment: int, hours: float = 1) -> Timed:
    """From a moment on New York's wall, for so many hours on it."""
    start = datetime(*moment, tzinfo=NEW_YORK)  # type: ignore[misc, arg-type]
    return Timed(start.astimezone(UTC), (start + timedelta(hours=hours)).astimezone(UTC))


# ── whole days ───────────────────────────────────────────────────────────────────────────────────────────────────────
def as_stored(when: AllDay, time_zone: str, *, names_zone: bool, fills_up: bool = True) -> etree._Element:
    """An all-day event as a server keeps what we write: the midnights of the zone it was made in, named or not, however many days that makes.
    Not all servers fill days up; the others keep the instants that come over the wire."""
    zone_id, _ = requests.windows_zone(time_zone)
    start, end = (each.astimezone(UTC) for each in requests.event_times(when, time_zone))
    if fills_up:
        start, end = midnights(start, end, zone_id)
    named = f'<t:StartTimeZone Id="{zone_id}"/>' if names_zone else ""
    return etree.fromstring(
        f'<t:CalendarItem xmlns:t="{TYPES}"><t:ItemId Id="i" ChangeKey="k"/><t:Start>{requests.instant(start)}</t:Start>'
        f"<t:End>{requests.instant(end)}</t:End><t:IsAllDayEvent>true</t:IsAllDayEvent>{named}</t:CalendarItem>"
    )


SKIPPING = (
    "Africa/Cairo",
    "America/Havana",
    "America/Santiago",
    "America/Scoresbysund",
    "Asia/Beirut",
    "Atlantic/Azores",
)
"""Places whose clocks go forward at midnight."""


def days_without_midnight(time_zone: str, year: int) -> list[date]:
    """The days of a year that begin at 01:00 there, as Windows knows the place."""
    zone = ZoneInfo(win_tz[requests.windows_zone(time_zone)[0]])
    every = (date(year, 1, 1) + timedelta(days=number) for number in range(365))
    return [
        each for each in every if datetime.combine(each, time(), zone).astimezone(UTC).astimezone(zone).time() != time()
    ]


def stays(when: AllDay, made_in: str, seen_from: str) -> None:
    """Written in one zone and read in another, by servers of either manner, they are the same days."""
    for fills_up in (True, False):
        stored = as_stored(when, made_in, names_zone=True, fills_up=fills_up)
        assert item_of(stored, "", ZoneInfo(seen_from)).when == when
        stored = as_stored(when, made_in, names_zone=False, fills_up=fills_up)
        assert item_of(stored, "", ZoneInfo(made_in)).when == when


@pytest.mark.req("O6")
@settings(max_examples=300, deadline=None)
@given(
    first=st.dates(
        date(2012, 1, 2), date(9999, 12, 20)
    ),  # until 2011 places skipped whole days, which nobody can write
    count=st.integers(1, 9),
    made_in=st.one_of(st.sampled_from(ZONES), st.sampled_from([*SKIPPING, "GMT"])),
    seen_from=st.sampled_from(FAR_ZONES),
)
def test_whole_days_stay_on_their_dates_in_any_zone(first: date, count: int, made_in: str, seen_from: str) -> None:
    """Days written in any zone are read as the same days by a user of any other."""
    stays(AllDay(first, first + timedelta(days=count)), made_in, seen_from)


@pytest.mark.req("O6")
@pytest.mark.parametrize("made_in", SKIPPING)
def test_days_beside_a_midnight_that_is_skipped_stay_on_their_dates(made_in: str) -> None:
    """Where daylight saving skips a midnight, the days that end and begin with it stay what they are."""
    for year in range(2026, 2036):
        (skipped,) = days_without_midnight(made_in, year)
        for before, after in ((1, 0), (3, 0), (0, 1), (0, 2), (1, 1)):
            stays(AllDay(skipped - timedelta(days=before), skipped + timedelta(days=after)), made_in, "Europe/Berlin")


@pytest.mark.req("O6", "C1")
@pytest.mark.parametrize("time_zone", ["America/Havana", "Africa/Cairo"])
def test_an_event_moved_to_the_day_before_a_skipped_midnight_is_one_day(
    sandbox: Sandbox, sqlite_database: Database, time_zone: str
) -> None:
    """Moved there in the CRM it lies on that one day on both sides, and a new title from either side leaves it there."""
    (skipped,) = days_without_midnight(time_zone, 2027)
    now = datetime.combine(skipped - timedelta(days=20), time(9), UTC)
    desk = ServerDesk(sqlite_database, sandbox=sandbox, time_zone=time_zone, now=now)
    stored = sandbox.organisation.create_item(
        ALICE,
        "calendar",
        {"item:Subject": "Fair", "calendar:Start": now, "calendar:End": now + timedelta(hours=1)},
    )
    desk.settle()
    (activity,) = desk.activities()
    the_day = AllDay(skipped - timedelta(days=1), skipped)
    desk.edit(activity.activity_id, when=the_day)
    desk.settle()
    assert desk.get(activity.activity_id).when == the_day
    length = stored.values["calendar:End"] - stored.values["calendar:Start"]
    assert length == timedelta(hours=24)
    desk.edit(activity.activity_id, description="Fair in town")
    desk.settle()
    sandbox.organisation.update_item(stored, {"calendar:Location": "Town"})
    desk.settle()
    assert desk.get(activity.activity_id).when == the_day
    assert stored.values["calendar:End"] - stored.values["calendar:Start"] == length


@pytest.mark.req("O6")
@pytest.mark.parametrize("made_in", ["Eastern Standard Time", "Tonga Standard Time", "India Standard Time", "UTC"])
@pytest.mark.parametrize("seen_from", ["Europe/Berlin", "Pacific/Pago_Pago"])
def test_an_all_day_event_made_in_another_zone(
    sandbox: Sandbox, sqlite_database: Database, made_in: str, seen_from: str
) -> None:
    """Days that begin at 05:00Z or 11:00Z the day before are days all the same; new titles from either side leave their instants alone, and days
    moved in the CRM are days again."""
    desk = ServerDesk(sqlite_database, sandbox=sandbox, time_zone=seen_from, reschedule="update")
    zone = ZoneInfo(win_tz[made_in])
    first = days(5).start
    start, end = (datetime.combine(each, time(), zone) for each in (first, first + timedelta(days=2)))
    stored = sandbox.organisation.create_item(
        ALICE,
        "calendar",
        {
            "item:Subject": "Fair",
            "calendar:Start": start.astimezone(UTC),
            "calendar:End": end.astimezone(UTC),
            "calendar:IsAllDayEvent": True,
            "calendar:StartTimeZone": made_in,
            "calendar:EndTimeZone": made_in,
        },
    )
    desk.settle()
    (activity,) = desk.activities()
    assert activity.when == days(5, 2)
    desk.edit(activity.activity_id, description="Fair in town")
    desk.settle()
    sandbox.organisation.update_item(stored, {"calendar:Location": "Town"})
    desk.settle()
    assert (stored.values["calendar:Start"], stored.values["calendar:End"]) == (start, end)
    assert stored.values["calendar:StartTimeZone"] == made_in
    desk.edit(activity.activity_id, when=days(8, 3))
    desk.settle()
    assert desk.get(activity.activity_id).when == days(8, 3)
    own = ZoneInfo(win_tz[stored.values["calendar:StartTimeZone"]])
    assert [stored.values[f"calendar:{edge}"].astimezone(own).replace(tzinfo=None) for edge in ("Start", "End")] == [
        datetime.combine(day, time()) for day in (days(8).start, days(11).start)
    ]


@pytest.mark.req("C3", "O6")
@pytest.mark.parametrize("time_zone", FAR_ZONES)
def test_tasks_and_days_made_in_the_crm_stay_on_their_date(
    sandbox: Sandbox, sqlite_database: Database, time_zone: str
) -> None:
    """An all-day activity is a task of that date, and an Outlook-born event that the CRM makes all-day lies on that date, in any zone."""
    desk = ServerDesk(sqlite_database, sandbox=sandbox, time_zone=time_zone)
    call = desk.add("Call", days(3))
    sandbox.organisation.create_item(
        ALICE, "calendar", {"item:Subject": "Fair", "calendar:Start": at(4, 9).start, "calendar:End": at(4, 10).end}
    )
    desk.settle()
    (own,) = [a for a in desk.activities() if a.description == "Fair"]
    desk.edit(own.activity_id, when=days(6))
    desk.settle()
    assert desk.get(call).when == days(3)
    assert desk.get(own.activity_id).when == days(6)
    (task,) = desk.stored("tasks")
    assert task.values["task:DueDate"].date() == days(3).start
    (event,) = desk.stored()
    zone = ZoneInfo(win_tz[event.values["calendar:StartTimeZone"]])
    assert event.values["calendar:Start"].astimezone(zone).date() == days(6).start
    assert event.values["calendar:IsAllDayEvent"]


# ── instants ─────────────────────────────────────────────────────────────────────────────────────────────────────────
MOMENTS = {
    "over midnight": new_york(2027, 3, 2, 23, hours=3),
    "over the spring change": new_york(2027, 3, 14, 1, hours=4),
    "over the autumn change": Timed(datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 1, 8, tzinfo=UTC)),
    "in the gap": Timed(datetime(2027, 3, 14, 7, 30, tzinfo=UTC), datetime(2027, 3, 14, 8, tzinfo=UTC)),
    "first of the fold": Timed(datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 5, 45, tzinfo=UTC)),
    "second of the fold": Timed(datetime(2026, 11, 1, 6, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 45, tzinfo=UTC)),
    "over days": new_york(2027, 3, 12, 18, hours=72),
}


@pytest.mark.req("O6", "C1")
@pytest.mark.parametrize("name", MOMENTS)
def test_the_same_instants_on_both_sides(sandbox: Sandbox, sqlite_database: Database, name: str) -> None:
    """Made on either side, over midnight and over both changes of the clock: the same instants on both, also after a new title."""
    when = MOMENTS[name]
    now = when.start - timedelta(days=20)
    desk = ServerDesk(sqlite_database, sandbox=sandbox, time_zone="America/New_York", now=now, reschedule="update")
    tour = desk.add("Tour", when)
    own = sandbox.organisation.create_item(
        ALICE,
        "calendar",
        {
            "item:Subject": "Dentist",
            "calendar:Start": when.start,
            "calendar:End": when.end,
            "calendar:StartTimeZone": "Eastern Standard Time",
        },
    )
    desk.settle()
    for title in ("once", "twice"):
        for activity in desk.activities():
            desk.edit(activity.activity_id, description=f"{activity.activity_id} {title}")
        desk.settle()
        sandbox.organisation.update_item(own, {"item:Subject": f"Dentist {title}"})
        desk.settle()
    assert [a.when for a in desk.activities()] == [when, when]
    assert {(i.values["calendar:Start"], i.values["calendar:End"]) for i in desk.stored()} == {(when.start, when.end)}
    assert desk.get(tour).when == when


def test_a_new_title_says_nothing_of_time() -> None:
    """An update of a title, a place or a body carries neither times nor zones: what is not written cannot move (davmail #508)."""
    content = ItemContent(subject="Tour", location="Lobby", body_html="<p>x</p>", time_zone="America/New_York")
    request = requests.update_items([ItemUpdate(item_id="i", change_key="k", kind=Kind.EVENT, content=content)])
    fields = [uri.get("FieldURI") for uri in request.iter(f"{{{TYPES}}}FieldURI")]
    assert fields == ["item:Subject", "item:Body", "calendar:Location"]


@pytest.mark.req("O6")
@pytest.mark.parametrize(
    "zone", ["Customized Time Zone", "tzone://Microsoft/Custom", "(UTC-05:00) Somewhere", "Pacific Mars Time", None]
)
@pytest.mark.parametrize("is_all_day", [False, True])
def test_events_of_unknown_zones_keep_their_time(
    sandbox: Sandbox, sqlite_database: Database, zone: str | None, is_all_day: bool
) -> None:
    """An event whose zone nobody knows, or that names none, is shown at its instant or on its nearest days, and a new title from the CRM leaves
    its instants as they are."""
    desk = ServerDesk(sqlite_database, sandbox=sandbox, time_zone="America/New_York")
    start = datetime(2026, 12, 1, 5, tzinfo=UTC)
    end = start + (timedelta(days=1) if is_all_day else timedelta(hours=1))
    stored = sandbox.organisation.create_item(
        ALICE,
        "calendar",
        {
            "item:Subject": "Fair",
            "calendar:Start": start,
            "calendar:End": end,
            "calendar:IsAllDayEvent": is_all_day,
            "calendar:StartTimeZone": "Eastern Standard Time",
        },
    )
    shown = NamedZone(sandbox, zone)
    with shown:
        desk.settle()
        (activity,) = desk.activities()
        assert activity.when == (AllDay(date(2026, 12, 1), date(2026, 12, 2)) if is_all_day else Timed(start, end))
        desk.edit(activity.activity_id, description="Fair in town")
        desk.settle()
    assert shown.seen
    assert stored.values["item:Subject"] == "Fair in town"
    assert (stored.values["calendar:Start"], stored.values["calendar:End"]) == (start, end)


READS_ITEMS: Any = importlib.import_module("ops_lib.mailbox.ews.mailbox")


class NamedZone:
    """Lets what the client reads name another zone, or none: as answers of servers with zones of their own do."""

    def __init__(self, sandbox: Sandbox, zone: str | None) -> None:
        self.zone = zone
        self.seen = 0

    def __enter__(self) -> None:
        self.real = READS_ITEMS.item_of

        def renamed(element: Any, *arguments: Any) -> Any:
            for part in element.iter(f"{{{TYPES}}}StartTimeZone"):
                self.seen += 1
                if self.zone is None:
                    part.getparent().remove(part)
                else:
                    part.set("Id", self.zone)
            return self.real(element, *arguments)

        READS_ITEMS.item_of = renamed

    def __exit__(self, *_: object) -> None:
        READS_ITEMS.item_of = self.real


# ── zones ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("O6")
def test_every_zone_has_a_name_that_exchange_knows(sandbox: Sandbox) -> None:
    """Every IANA zone, the ones of Dynamics' "error 383" and old names among them, is written by a Windows name whose clock shows the same
    now; a zone that Windows has none for is said not to be known."""
    from ops_lib.sandbox import zones

    unknown = [name for name in ZONES if not requests.knows_zone(name)]
    assert unknown == ["Antarctica/Troll"]
    moments = [datetime(2026, month, 15, 12, tzinfo=UTC) for month in (1, 7)]
    for name in set(ZONES) - set(unknown):
        windows, zone = requests.windows_zone(name)
        assert zones.zone(windows)
        ours, theirs = ([m.astimezone(z).utcoffset() for m in moments] for z in (zone, ZoneInfo(win_tz[windows])))
        assert (ours == theirs) != (name in _WENT_THEIR_OWN_WAY), name


_WENT_THEIR_OWN_WAY = frozenset(["America/Scoresbysund", "Antarctica/Casey", "Antarctica/Vostok"])
"""Places whose clocks show something else by now than the Windows zone that their name stands for."""


@pytest.mark.req("O1", "O6")
@pytest.mark.parametrize("time_zone", FAR_ZONES)
def test_the_windows_edges_are_midnights_of_the_users_zone(sqlite_database: Database, time_zone: str) -> None:
    """The first minute of the day two days ago and the last of the ninetieth are shown, the minutes beyond are not, in the user's zone; whole
    days go by their dates."""
    desk = Desk(sqlite_database, time_zone=time_zone)
    zone, minute = ZoneInfo(time_zone), timedelta(minutes=1)
    today = NOW.astimezone(zone).date()
    first, after = (datetime.combine(today + timedelta(days=n), time(), zone).astimezone(UTC) for n in (-2, 91))
    desk.outlook.zone = zone
    desk.outlook.add("first minute", Timed(first, first + minute))
    desk.outlook.add("minute before", Timed(first - minute, first))
    desk.outlook.add("last minute", Timed(after - minute, after))
    desk.outlook.add("minute after", Timed(after, after + minute))
    for name, offset in (("first day", -2), ("day before", -3), ("last day", 90), ("day after", 91)):
        desk.outlook.add(name, AllDay(today + timedelta(days=offset), today + timedelta(days=offset + 1)))
    desk.settle()
    assert sorted(a.description for a in desk.activities()) == ["first day", "first minute", "last day", "last minute"]
    desk.now += timedelta(days=1)
    desk.settle()
    assert {"minute after", "day after"} <= {a.description for a in desk.activities()}


@pytest.mark.req("O6", "T3")
def test_what_was_guessed_of_a_time_is_in_the_record(sandbox: Sandbox, sqlite_database: Database) -> None:
    """The run's record says of which event a zone was not known and what was taken instead."""
    desk = ServerDesk(sqlite_database, sandbox=sandbox)
    fair = {"item:Subject": "Fair", "calendar:Start": at(4, 5).start, "calendar:End": at(5, 5).start}
    zoned = {"calendar:IsAllDayEvent": True, "calendar:StartTimeZone": "Eastern Standard Time"}
    sandbox.organisation.create_item(ALICE, "calendar", {**fair, **zoned})
    with NamedZone(sandbox, "Pacific Mars Time"):
        result = desk.cycle()
    (outcome,) = result.outcomes
    assert outcome.reason.startswith("new in Outlook (")
    assert "Pacific Mars Time" in outcome.reason


@pytest.mark.req("O6", "T3")
@pytest.mark.parametrize("time_zone", ["Mars/Olympus", "", "Eastern Standard Time"])
def test_a_users_zone_that_nobody_knows_counts_as_utc_and_is_said(sqlite_database: Database, time_zone: str) -> None:
    """The sync goes on in UTC, and `syncops check` says why the days may be off."""
    desk = Desk(sqlite_database, time_zone=time_zone)
    desk.add("Call", days(1))
    desk.add("Tour", at(1, 9))
    desk.outlook.add("Fair", days(3))
    desk.settle()
    workspace: Any = SimpleNamespace(database=sqlite_database, now=lambda: desk.now)
    found = audit(workspace, desk.host, desk.account, desk.mailbox())
    assert found.equal == 3
    assert [remark.verdict for remark in found.remarks] == ["unknown"]
    assert f"'{time_zone}'" in found.remarks[0].reason


# ── the ends of time ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("O1", "C1")
@pytest.mark.parametrize("time_zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_years_1601_and_9999(sqlite_database: Database, time_zone: str) -> None:
    """What lies at the ends of the calendar is out of the window on Outlook's side, and on the CRM's is made where it is still to come."""
    desk = Desk(sqlite_database, time_zone=time_zone)
    ancient = Timed(datetime(1601, 1, 1, tzinfo=UTC), datetime(1601, 1, 1, 1, tzinfo=UTC))
    last = Timed(datetime(9999, 12, 31, 22, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    whole: list[Timed | AllDay] = [
        AllDay(date(1601, 1, 1), date(1601, 1, 2)),
        AllDay(date(9999, 12, 30), date(9999, 12, 31)),
    ]
    for when in [ancient, last, *whole]:
        desk.outlook.add("Outlook's", when)
        desk.add("Tour", when)
    desk.outlook.add("from the beginning to the end", Timed(ancient.start, last.end))
    desk.settle()
    made = sorted(str(item.when) for item in desk.outlook.items.values() if item.subject == "Tour")
    assert made == sorted(str(when) for when in (last, whole[1]))
    assert [a.description for a in desk.activities() if a.origin == "exchange"] == ["from the beginning to the end"]


@pytest.mark.req("O1", "O6")
def test_an_event_without_length(desk_of_new_york: Desk) -> None:
    """An event that ends as it begins is shown where it stands, moved on either side, and stays without length."""
    desk = desk_of_new_york
    item_id = desk.outlook.add("Reminder", at(1, 9, 0))
    desk.settle()
    (activity,) = desk.activities()
    assert activity.when == at(1, 9, 0)
    desk.edit(activity.activity_id, when=at(2, 9, 0))
    desk.settle()
    assert desk.outlook.items[item_id].when == at(2, 9, 0)


@pytest.fixture
def desk_of_new_york(sqlite_database: Database) -> Desk:
    return Desk(sqlite_database, time_zone="America/New_York", reschedule="update")


@pytest.mark.req("O6")
def test_days_over_a_change_of_the_clock_move_as_days(desk_of_new_york: Desk) -> None:
    """Three days in a row, moved over the autumn's change in Outlook and back in the CRM, are three days each time."""
    desk = desk_of_new_york
    desk.now = datetime(2026, 10, 20, 9, tzinfo=UTC)
    three = AllDay(date(2026, 10, 25), date(2026, 10, 28))
    over = AllDay(date(2026, 10, 31), date(2026, 11, 3))
    item_id = desk.outlook.add("Fair", three)
    desk.settle()
    desk.outlook.edit(item_id, when=over)
    desk.settle()
    (activity,) = desk.activities()
    assert activity.when == over
    desk.edit(activity.activity_id, when=three)
    desk.settle()
    assert desk.outlook.items[item_id].when == three


@pytest.mark.req("O6")
@pytest.mark.parametrize(
    ("start", "end", "is_all_day", "when"),
    [
        ("2026-12-01T10:00:00Z", "2026-12-01T09:00:00Z", "false", at(8, 10, 0)),
        ("2026-12-01T00:00:00Z", "2026-11-30T00:00:00Z", "true", days(8)),
        ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z", "true", days(8)),
    ],
)
def test_an_end_before_the_start_is_said_and_shown(
    desk_of_new_york: Desk, start: str, end: str, is_all_day: str, when: Timed | AllDay
) -> None:
    """What a strange server gives an end before its start is shown where it begins, and the sync settles with it."""
    desk = desk_of_new_york
    item = item_of(
        etree.fromstring(
            f'<t:CalendarItem xmlns:t="{TYPES}"><t:ItemId Id="i" ChangeKey="k"/><t:Subject>Odd</t:Subject><t:Start>{start}</t:Start>'
            f'<t:End>{end}</t:End><t:IsAllDayEvent>{is_all_day}</t:IsAllDayEvent><t:StartTimeZone Id="UTC"/></t:CalendarItem>'
        )
    )
    assert any("ends before" in oddity for oddity in item.oddities) == (end < start)
    item_id = desk.outlook.add("Odd", days(1))
    desk.outlook.items[item_id] = replace(item, item_id=item_id, last_modified=desk.now, uid="U")
    desk.settle()
    assert [a.when for a in desk.activities()] == [when]


# ── series ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def other_server() -> Iterator[Sandbox]:
    with Sandbox(like="grommunio") as running:
        yield running


@pytest.fixture(params=["exchange", "grommunio"])
def either_server(request: pytest.FixtureRequest) -> Sandbox:
    """Exchange's manners, and those of a server that shows no occurrences."""
    if request.param == "exchange":
        server: Sandbox = request.getfixturevalue("sandbox")
        return server
    other: Sandbox = request.getfixturevalue("other_server")
    other.reset()
    return other


_EVERY_MONTH: dict[str, Any] = {"dtstart": datetime(2026, 8, 1, 9, 30), "count": 40}
PATTERNS: dict[str, tuple[Pattern, rrule.rrule]] = {
    "daily": (Daily(3), rrule.rrule(rrule.DAILY, interval=3, **_EVERY_MONTH | {"count": 100})),
    "weekly": (
        Weekly(2, ("Sunday", "Thursday"), "Monday"),
        rrule.rrule(rrule.WEEKLY, interval=2, byweekday=(rrule.SU, rrule.TH), wkst=rrule.MO, **_EVERY_MONTH),
    ),
    "monthly": (AbsoluteMonthly(1, 1), rrule.rrule(rrule.MONTHLY, bymonthday=1, **_EVERY_MONTH)),
    "month's last day": (AbsoluteMonthly(1, 31), rrule.rrule(rrule.MONTHLY, bymonthday=-1, **_EVERY_MONTH)),
    "relative": (
        RelativeMonthly(1, "Sunday", "First"),
        rrule.rrule(rrule.MONTHLY, byweekday=rrule.SU(1), **_EVERY_MONTH),
    ),
    "yearly": (
        AbsoluteYearly(1, "November"),
        rrule.rrule(rrule.YEARLY, bymonth=11, bymonthday=1, **_EVERY_MONTH | {"count": 5}),
    ),
    "relative yearly": (
        RelativeYearly("Sunday", "First", "November"),
        rrule.rrule(rrule.YEARLY, bymonth=11, byweekday=rrule.SU(1), **_EVERY_MONTH | {"count": 5}),
    ),
}


@pytest.mark.req("O5", "O6")
def test_series_of_every_pattern_over_the_change_of_the_clock(
    either_server: Sandbox, sqlite_database: Database
) -> None:
    """Every pattern keeps its hour on the wall before and after the clocks change, as another program computes it; so does an occurrence that the
    CRM's user moves, and no other moves with it."""
    now = datetime(2026, 10, 1, 9, tzinfo=UTC)
    desk = ServerDesk(sqlite_database, sandbox=either_server, time_zone="Europe/Berlin", now=now)
    for name, (pattern, rule) in PATTERNS.items():
        start = rule[0].replace(tzinfo=NEW_YORK)
        either_server.organisation.create_item(
            ALICE,
            "calendar",
            {
                "item:Subject": name,
                "calendar:Start": start.astimezone(UTC),
                "calendar:End": (start + timedelta(minutes=45)).astimezone(UTC),
                "calendar:StartTimeZone": "Eastern Standard Time",
                "calendar:EndTimeZone": "Eastern Standard Time",
                "calendar:Recurrence": Recurrence(pattern, NoEnd(start.date())),
            },
        )
    desk.settle()
    window = datetime(2026, 9, 29), datetime(2026, 12, 31)
    expected = {
        name: [each.replace(tzinfo=NEW_YORK).astimezone(UTC) for each in rule.between(*window, inc=True)]
        for name, (_, rule) in PATTERNS.items()
    }
    listed: list[Any] = desk.activities()
    shown = {name: [a.when.start for a in listed if a.description == name] for name in PATTERNS}
    assert shown == expected
    assert any(start.hour == 13 for start in shown["weekly"])
    assert any(start.hour == 14 for start in shown["weekly"])
    after_the_change = next(
        a for a in listed if a.description == "weekly" and a.when.start > datetime(2026, 11, 2, tzinfo=UTC)
    )
    moved = Timed(after_the_change.when.start + timedelta(hours=2), after_the_change.when.start + timedelta(hours=3))
    desk.edit(after_the_change.activity_id, when=moved)
    desk.settle()
    assert desk.get(after_the_change.activity_id).when == moved
    others = [a.when.start for a in desk.activities() if a.activity_id != after_the_change.activity_id]
    assert sorted(others) == sorted(set_without(expected, after_the_change.when.start))


def set_without(expected: dict[str, list[datetime]], start: Any) -> list[datetime]:
    """All of them but one of the weekly ones."""
    return [each for name, starts in expected.items() for each in starts if (name, each) != ("weekly", start)]
