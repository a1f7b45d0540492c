"""iCalendar in and out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import icalendar
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from icalendar.timezone import tzp

from ops_lib.sandbox import zones
from ops_lib.sandbox.ical import CannotHold, Parsed, from_ical, parse, to_ical
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
    instant,
    local,
    start_at,
)
from ops_lib.sandbox.values import Body, Person
from tests.support.series import PATTERNS, ZONE_IDS, ranges

_text = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"), include_characters="\n"), max_size=90
)
_line = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=40)
# In a parameter the library takes a backslash for an escape sign, which RFC 5545 does not know there.
_name = _line.map(lambda name: name.replace("\\", "/"))
_people = st.builds(
    Person,
    _name,
    st.sampled_from(["ana@sunrise.example", "bo.o'neil@hill.example"]),
    st.sampled_from(["Unknown", "Accept", "Decline", "Tentative", "NoResponseReceived"]),
)
_fields = st.fixed_dictionaries(
    {
        "item:Subject": _text,
        "item:Sensitivity": st.sampled_from(["Normal", "Personal", "Private", "Confidential"]),
        "item:Importance": st.sampled_from(["Low", "Normal", "High"]),
        "calendar:LegacyFreeBusyStatus": st.sampled_from(["Free", "Tentative", "Busy", "OOF", "WorkingElsewhere"]),
        "calendar:UID": _line,
        "item:ReminderIsSet": st.just(False),
    },
    optional={
        "item:Body": st.builds(Body, _text, st.booleans()),
        "calendar:Location": _text.filter(bool),
        "item:Categories": st.lists(_line, min_size=1, max_size=3),
        "calendar:Organizer": st.builds(Person, _name, st.just("ana@sunrise.example")),
        "calendar:RequiredAttendees": st.lists(_people, min_size=1, max_size=2),
        "calendar:OptionalAttendees": st.lists(_people, min_size=1, max_size=2),
        "calendar:Resources": st.lists(_people, min_size=1, max_size=1),
        "calendar:IsCancelled": st.just(True),
        "item:ReminderMinutesBeforeStart": st.integers(0, 20000),
    },
)


@st.composite
def _events(draw: st.DrawFn) -> Parsed:
    """Any event a mailbox holds: timed or of whole days, single or a series with changed and deleted occurrences."""
    values: dict[str, Any] = draw(_fields)
    if "item:ReminderMinutesBeforeStart" in values:
        values["item:ReminderIsSet"] = True
    zone_id, end_zone = draw(st.sampled_from(ZONE_IDS)), draw(st.sampled_from(ZONE_IDS))
    zone = zones.zone(zone_id)
    wall = draw(st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1))).replace(microsecond=0)
    all_day, recurs = draw(st.booleans()), draw(st.booleans())
    if all_day:
        wall = wall.replace(hour=0, minute=0, second=0)
    if recurs:
        recurrence = Recurrence(draw(PATTERNS), draw(ranges(wall.date())))
        first = next(dates(recurrence), None)
        assume(first is not None)
        wall = datetime.combine(first, wall.time())
        span: Any = recurrence.range
        values["calendar:Recurrence"] = Recurrence(recurrence.pattern, type(span)(first, **_rest(span)))
    start = instant(wall, zone)
    # A midnight or a master's time that the clock skips is no start that a mailbox holds.
    assume(local(start, zone).replace(tzinfo=None) == wall)
    if not recurs and not all_day and draw(st.booleans()):
        # The later reading of a time that comes twice.
        start += timedelta(hours=1)
    length = timedelta(days=draw(st.integers(1, 3))) if all_day else timedelta(minutes=draw(st.integers(0, 3000)))
    end = instant(wall + length, zone) if all_day else start + length
    values |= {
        "calendar:Start": start,
        "calendar:End": end,
        "calendar:IsAllDayEvent": all_day,
        "calendar:StartTimeZone": zone_id,
        "calendar:EndTimeZone": zone_id if all_day or recurs else end_zone,
    }
    exceptions: dict[datetime, dict[str, Any]] = {}
    deleted: set[datetime] = set()
    if recurs:
        for index in draw(st.sets(st.integers(2, 9), max_size=3)):
            original = start_at(values["calendar:Recurrence"], start, zone, index)
            if original is None:
                continue
            if draw(st.booleans()):
                deleted.add(original)
                continue
            moved = timedelta(days=1) if all_day else timedelta(minutes=draw(st.integers(-600, 600)))
            new_start = instant(local(original, zone).replace(tzinfo=None) + moved, zone)
            new_end = instant(local(new_start, zone).replace(tzinfo=None) + length, zone)
            changes = {"calendar:Start": new_start, "calendar:End": max(new_start, new_end)}
            exceptions[original] = changes | (
                {"item:Subject": values["item:Subject"] + "!"} if draw(st.booleans()) else {}
            )
    return Parsed(values, exceptions, deleted)


def _rest(span: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(span).items() if name != "start"}


@given(_events())
@settings(max_examples=250, deadline=None)
def test_what_is_written_is_read_back_the_same(event: Parsed) -> None:
    """An event that goes through iCalendar comes back with every value, exception and deleted occurrence it had."""
    text = to_ical(event.values, event.exceptions, event.deleted)
    assert from_ical(text) == [event]
    assert from_ical(text.encode(), zone="Tokyo Standard Time") == [event]


@given(_events())
@settings(max_examples=60, deadline=None)
def test_every_row_is_short_and_ends_in_crlf(event: Parsed) -> None:
    """Rows hold at most 75 octets, cut between characters, and any iCalendar reader takes them without complaint."""
    text = to_ical(event.values, event.exceptions, event.deleted)
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    assert all(len(row.encode()) <= 75 for row in text.split("\r\n"))
    calendar = icalendar.Calendar.from_ical(text)
    assert not [error for component in calendar.walk() for error in component.errors]


@pytest.mark.parametrize("zone_id", [zone_id for zone_id in ZONE_IDS if zone_id != "UTC"])
@pytest.mark.parametrize("year", [2006, 2026])
def test_the_time_zone_written_along_is_right_by_itself(zone_id: str, year: int) -> None:
    """A program that does not know the zone's name finds the same instants in our VTIMEZONE, in years whose rules differ too."""
    values = {
        "item:Subject": "x",
        "calendar:Start": instant(datetime(year, 1, 10, 9), zones.zone(zone_id)),
        "calendar:End": instant(datetime(year, 1, 10, 10), zones.zone(zone_id)),
        "calendar:StartTimeZone": zone_id,
        "calendar:Recurrence": Recurrence(Weekly(1, ("Monday",)), EndDate(date(year, 1, 10), date(year + 2, 12, 31))),
    }
    text = to_ical(values, {}, set()).replace(zone_id, "My own zone")
    tzp.use_default()
    definition = icalendar.Calendar.from_ical(text).walk("VTIMEZONE")[0].to_tz()
    for day in range(0, 3 * 365, 5):
        wall = datetime(year, 1, 12, 9) + timedelta(days=day)
        if wall.year < year + 3:
            assert (
                wall.replace(tzinfo=definition).utcoffset() == wall.replace(tzinfo=zones.zone(zone_id)).utcoffset()
            ), wall


def _event(*lines: str, head: tuple[str, ...] = ()) -> str:
    """A calendar with one event of the lines given."""
    rows = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *head, "BEGIN:VEVENT", "UID:one", "SUMMARY:s", *lines]
    return "\r\n".join([*rows, "END:VEVENT", "END:VCALENDAR", ""])


def _values(*lines: str, head: tuple[str, ...] = (), zone: str = "UTC") -> dict[str, Any]:
    (event,) = from_ical(_event(*lines, head=head), zone)
    return event.values


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        ("FREQ=DAILY", Daily(1)),
        ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", Weekly(1, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"))),
        ("FREQ=WEEKLY;INTERVAL=3", Weekly(3, ("Monday",), "Monday")),
        ("FREQ=WEEKLY;WKST=SU;BYDAY=MO,WE", Weekly(1, ("Monday", "Wednesday"), "Sunday")),
        ("FREQ=MONTHLY", AbsoluteMonthly(1, 23)),
        ("FREQ=MONTHLY;BYMONTHDAY=23;INTERVAL=2", AbsoluteMonthly(2, 23)),
        ("FREQ=MONTHLY;BYDAY=4MO", RelativeMonthly(1, "Monday", "Fourth")),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=4", RelativeMonthly(1, "Monday", "Fourth")),
        ("FREQ=MONTHLY;BYDAY=MO;BYMONTHDAY=22,23,24,25,26,27,28", RelativeMonthly(1, "Monday", "Fourth")),
        ("FREQ=MONTHLY;BYDAY=MO", Weekly(1, ("Monday",))),
        ("FREQ=MONTHLY;BYMONTH=11;BYMONTHDAY=23", AbsoluteYearly(23, "November")),
        ("FREQ=YEARLY", AbsoluteYearly(23, "November")),
        ("FREQ=YEARLY;BYMONTH=2,5,8,11", AbsoluteMonthly(3, 23)),
        ("FREQ=YEARLY;BYDAY=4MO;BYMONTH=11", RelativeYearly("Monday", "Fourth", "November")),
        ("FREQ=YEARLY;INTERVAL=4", AbsoluteMonthly(48, 23)),
        ("FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", Daily(1)),
    ],
)
def test_rules_that_exchange_has_a_pattern_for(rule: str, pattern: object) -> None:
    """Each way to write a rule comes out as the pattern that means the same days."""
    assert _values("DTSTART:20261123T090000Z", f"RRULE:{rule}")["calendar:Recurrence"].pattern == pattern


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("RRULE:FREQ=HOURLY",), "FREQ=HOURLY"),
        (("RRULE:FREQ=SECONDLY;COUNT=3",), "FREQ=SECONDLY"),
        (("RRULE:FREQ=DAILY;BYHOUR=9,17",), "several times a day"),
        (("RRULE:FREQ=DAILY;INTERVAL=2;BYDAY=MO",), "some weekdays only"),
        (("RRULE:FREQ=MONTHLY;BYMONTHDAY=1,23",), "several days of a month"),
        (("RRULE:FREQ=MONTHLY;BYDAY=1MO,4MO",), "several days of a month"),
        (("RRULE:FREQ=MONTHLY;BYDAY=MO,WE,FR;BYSETPOS=-2",), "first to fourth"),
        (("RRULE:FREQ=MONTHLY;BYDAY=MO,WE;BYSETPOS=4",), "no name for this choice"),
        (("RRULE:FREQ=MONTHLY;BYMONTHDAY=-8",), "from its beginning"),
        (("RRULE:FREQ=YEARLY;BYDAY=47MO",), "whole year"),
        (("RRULE:FREQ=YEARLY;BYYEARDAY=327",), "BYYEARDAY"),
        (("RRULE:FREQ=YEARLY;BYWEEKNO=48",), "BYWEEKNO"),
        (("RRULE:FREQ=YEARLY;BYMONTH=1,11",), "one distance"),
        (("RRULE:FREQ=WEEKLY;BYMONTH=11",), "BYMONTH"),
        (("RRULE:FREQ=WEEKLY;BYDAY=WE",), "first instance"),
        (("RRULE:FREQ=DAILY;INTERVAL=1000",), "999"),
        (("RRULE:FREQ=WEEKLY;INTERVAL=100",), "99"),
        (("RRULE:FREQ=DAILY;UNTIL=20261122T000000Z",), "ends before"),
        (("RRULE:FREQ=DAILY;COUNT=2;UNTIL=20261222T000000Z",), "both COUNT and UNTIL"),
        (("RRULE:FREQ=DAILY;COUNT=0",), "COUNT=0"),
        (("RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"), "several rules"),
        (("RDATE:20261130T090000Z",), "RDATE"),
        (("RRULE:FREQ=DAILY;COUNT=1", "EXDATE:20261123T090000Z"), "excluded"),
        (("DTEND:20261122T090000Z",), "ends before it starts"),
        (("DTEND:20261124T090000Z", "DTEND:20261125T090000Z"), "several DTEND"),
    ],
)
def test_what_exchange_cannot_hold_is_refused_with_its_reason(lines: tuple[str, ...], reason: str) -> None:
    """An event that has no equal in Exchange is named by its UID, with the reason; nothing is approximated."""
    parsed, refused = parse(_event("DTSTART:20261123T090000Z", *lines))
    assert parsed == []
    assert [(problem.uid, reason in problem.reason) for problem in refused] == [("one", True)], refused
    with pytest.raises(CannotHold):
        from_ical(_event("DTSTART:20261123T090000Z", *lines))


@pytest.mark.parametrize(
    ("start", "rule", "held"),
    [
        ("20260131", "FREQ=MONTHLY;BYMONTHDAY=31", False),
        ("20260131", "FREQ=MONTHLY;BYMONTHDAY=-1", True),
        ("20260130", "FREQ=MONTHLY", False),
        ("20260330", "FREQ=MONTHLY;COUNT=10", True),
        ("20260330", "FREQ=MONTHLY;COUNT=12", False),
        ("20260131", "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=31", True),
        ("20280229", "FREQ=YEARLY", False),
        ("20260131", "FREQ=MONTHLY;INTERVAL=12", True),
    ],
)
def test_a_day_not_every_month_has_is_held_only_where_it_makes_no_difference(start: str, rule: str, held: bool) -> None:
    """iCalendar leaves out short months where Exchange takes their last day: such a series is refused, any other kept."""
    parsed, refused = parse(_event(f"DTSTART;VALUE=DATE:{start}", f"RRULE:{rule}"))
    assert (len(parsed), len(refused)) == ((1, 0) if held else (0, 1)), refused


def test_more_occurrences_than_exchange_counts_become_an_end_date() -> None:
    """A series of 1500 occurrences ends on the day of the 1500th."""
    recurrence = _values("DTSTART:20200101T090000Z", "RRULE:FREQ=DAILY;COUNT=1500")["calendar:Recurrence"]
    assert recurrence.range == EndDate(date(2020, 1, 1), date(2020, 1, 1) + timedelta(days=1499))


@pytest.mark.parametrize(
    ("until", "end"),
    [
        ("20261201T140000Z", date(2026, 12, 1)),
        ("20261201T135959Z", date(2026, 11, 30)),
        ("20261202T045959Z", date(2026, 12, 1)),
        ("20261201", date(2026, 11, 30)),
    ],
)
def test_until_in_utc_ends_a_series_of_local_time(until: str, end: date) -> None:
    """The last day of a series at nine in New York is the last whose nine o'clock is not after UNTIL."""
    values = _values("DTSTART;TZID=America/New_York:20261123T090000", f"RRULE:FREQ=DAILY;UNTIL={until}")
    assert values["calendar:Recurrence"].range == EndDate(date(2026, 11, 23), end)


def test_until_of_a_series_of_days_counts_by_its_date() -> None:
    """A series of whole days runs up to the date of UNTIL, whatever time stands behind it."""
    for until in ("20261201", "20261201T230000Z"):
        values = _values("DTSTART;VALUE=DATE:20261123", f"RRULE:FREQ=DAILY;UNTIL={until}")
        assert values["calendar:Recurrence"].range == EndDate(date(2026, 11, 23), date(2026, 12, 1))


def test_a_floating_time_is_read_in_the_mailboxs_zone() -> None:
    """A time without zone, and its UNTIL, are those of the zone the reader is given."""
    lines = ("DTSTART:20261123T090000", "DTEND:20261123T100000", "RRULE:FREQ=DAILY;UNTIL=20261201T090000")
    values = _values(*lines, zone="Tokyo Standard Time")
    assert values["calendar:Start"] == datetime(2026, 11, 23, 0, tzinfo=UTC)
    assert values["calendar:StartTimeZone"] == "Tokyo Standard Time"
    assert values["calendar:Recurrence"].range == EndDate(date(2026, 11, 23), date(2026, 12, 1))


def test_the_calendars_own_zone_is_that_of_its_times_in_utc() -> None:
    """With X-WR-TIMEZONE a series written in UTC keeps that zone's wall clock."""
    head = ("X-WR-TIMEZONE:America/New_York",)
    values = _values("DTSTART:20261123T140000Z", "RRULE:FREQ=WEEKLY", head=head)
    assert values["calendar:StartTimeZone"] == "Eastern Standard Time"
    assert values["calendar:Start"] == datetime(2026, 11, 23, 14, tzinfo=UTC)
    assert _values("DTSTART:20261123T090000", head=head)["calendar:Start"] == datetime(2026, 11, 23, 14, tzinfo=UTC)


@pytest.mark.req("O6")
def test_a_day_is_from_midnight_to_midnight_of_the_mailboxs_zone() -> None:
    """VALUE=DATE becomes an all-day event there; without an end, or ending on itself, it is one day."""
    for lines in (("DTSTART;VALUE=DATE:20261101",), ("DTSTART;VALUE=DATE:20261101", "DTEND;VALUE=DATE:20261101")):
        values = _values(*lines, zone="Eastern Standard Time")
        assert values["calendar:IsAllDayEvent"] is True
        assert values["calendar:Start"] == datetime(2026, 11, 1, 4, tzinfo=UTC)
        assert values["calendar:End"] == datetime(2026, 11, 2, 5, tzinfo=UTC)
    days = _values("DTSTART;VALUE=DATE:20261101", "DURATION:P2D", zone="Eastern Standard Time")
    assert days["calendar:End"] == datetime(2026, 11, 3, 5, tzinfo=UTC)


def test_midnights_marked_as_all_day_are_a_day() -> None:
    """Outlook's own mark makes whole days of times from midnight to midnight, and of nothing else."""
    mark = "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE"
    zone = "TZID=Eastern Standard Time"
    day = _values(f"DTSTART;{zone}:20261123T000000", f"DTEND;{zone}:20261124T000000", mark)
    assert (day["calendar:IsAllDayEvent"], day["calendar:StartTimeZone"]) == (True, "Eastern Standard Time")
    assert not _values(f"DTSTART;{zone}:20261123T090000", f"DTEND;{zone}:20261124T000000", mark)[
        "calendar:IsAllDayEvent"
    ]


def test_a_duration_is_added_on_the_wall_clock() -> None:
    """DURATION instead of DTEND gives the end by the clock on the wall; neither gives an event without length."""
    values = _values("DTSTART;TZID=America/New_York:20261031T230000", "DURATION:PT5H")
    assert values["calendar:End"] == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert _values("DTSTART:20261101T090000Z")["calendar:End"] == datetime(2026, 11, 1, 9, tzinfo=UTC)


_BERLIN_RULES = (
    "BEGIN:STANDARD",
    "DTSTART:16010101T030000",
    "TZOFFSETFROM:+0200",
    "TZOFFSETTO:+0100",
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10",
    "END:STANDARD",
    "BEGIN:DAYLIGHT",
    "DTSTART:16010101T020000",
    "TZOFFSETFROM:+0100",
    "TZOFFSETTO:+0200",
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3",
    "END:DAYLIGHT",
)


@pytest.mark.parametrize(
    "name", ["Customized Time Zone", "(UTC+01:00) Amsterdam, Berlin", "/example.test/Europe/Berlin", "Mitteleuropa"]
)
def test_a_zone_the_file_defines_is_recognised_by_its_rules(name: str) -> None:
    """A VTIMEZONE under any name is the known zone that keeps the same time."""
    head = ("BEGIN:VTIMEZONE", f"TZID:{name}", *_BERLIN_RULES, "END:VTIMEZONE")
    values = _values(f'DTSTART;TZID="{name}":20261123T090000', "RRULE:FREQ=DAILY", head=head)
    assert values["calendar:Start"] == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert values["calendar:StartTimeZone"] == "W. Europe Standard Time"


def test_a_zone_with_rules_of_its_own_holds_single_events_only() -> None:
    """A clock no zone keeps is no obstacle to one time; a series in it is refused with the zone's name."""
    rules = ("BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0117", "TZOFFSETTO:+0117", "END:STANDARD")
    head = ("BEGIN:VTIMEZONE", "TZID:Odd", *rules, "END:VTIMEZONE")
    assert _values("DTSTART;TZID=Odd:20261123T090000", head=head)["calendar:Start"] == datetime(
        2026, 11, 23, 7, 43, tzinfo=UTC
    )
    with pytest.raises(CannotHold, match="Odd"):
        from_ical(_event("DTSTART;TZID=Odd:20261123T090000", "RRULE:FREQ=DAILY", head=head))


def test_an_unknown_zone_without_definition_is_the_mailboxs() -> None:
    """A TZID nobody defines leaves a floating time."""
    values = _values("DTSTART;TZID=Nowhere/Here:20261123T090000", zone="Tokyo Standard Time")
    assert values["calendar:Start"] == datetime(2026, 11, 23, 0, tzinfo=UTC)


_SERIES = (
    "DTSTART;TZID=Europe/Berlin:20261123T003000",
    "DTEND;TZID=Europe/Berlin:20261123T013000",
    "RRULE:FREQ=DAILY;COUNT=5",
)


@pytest.mark.req("O5")
@pytest.mark.parametrize(
    "excluded",
    [
        "EXDATE;TZID=Europe/Berlin:20261124T003000",
        "EXDATE:20261123T233000Z",
        "EXDATE;TZID=America/New_York:20261123T183000",
        "EXDATE:20261124T003000",
        "EXDATE;VALUE=DATE:20261124",
        "EXDATE:19990101T000000Z,20261123T233000Z",
    ],
)
def test_an_exclusion_in_any_zone_means_its_occurrence(excluded: str) -> None:
    """EXDATE in another zone, in UTC, without zone or as a day deletes the occurrence it means; one that means none is nothing."""
    (event,) = from_ical(_event(*_SERIES, excluded))
    assert event.deleted == {datetime(2026, 11, 23, 23, 30, tzinfo=UTC)}


def _override(original: str, *lines: str) -> tuple[str, ...]:
    return ("END:VEVENT", "BEGIN:VEVENT", "UID:one", f"RECURRENCE-ID{original}", *lines)


@pytest.mark.req("O5")
@pytest.mark.parametrize(
    "original", [";TZID=Europe/Berlin:20261124T003000", ":20261123T233000Z", ";TZID=Asia/Tokyo:20261124T083000"]
)
def test_a_changed_occurrence_is_one_of_its_series(original: str) -> None:
    """RECURRENCE-ID in any zone names the occurrence; what it lacks is empty, what it shares is not said again."""
    changed = _override(original, "DTSTART:20261124T100000Z", "DTEND:20261124T120000Z")
    (event,) = from_ical(_event(*_SERIES, "LOCATION:Room", *changed))
    ((key, changes),) = event.exceptions.items()
    assert key == datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    assert changes == {
        "calendar:Start": datetime(2026, 11, 24, 10, tzinfo=UTC),
        "calendar:End": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "calendar:StartTimeZone": "UTC",
        "calendar:EndTimeZone": "UTC",
        "calendar:Location": "",
        "item:Subject": "",
    }


def test_a_changed_day_of_a_series_of_days_is_found_by_its_date() -> None:
    """RECURRENCE-ID as a day, and as the midnight of a zone, mean the same day of an all-day series."""
    for original in (";VALUE=DATE:20261130", ";TZID=GMT Standard Time:20261130T000000"):
        changed = _override(original, "DTSTART;VALUE=DATE:20261201")
        (event,) = from_ical(
            _event("DTSTART;VALUE=DATE:20261123", "RRULE:FREQ=WEEKLY", *changed), "Tokyo Standard Time"
        )
        assert list(event.exceptions) == [datetime(2026, 11, 29, 15, tzinfo=UTC)]
        assert event.exceptions[datetime(2026, 11, 29, 15, tzinfo=UTC)]["calendar:Start"] == datetime(
            2026, 11, 30, 15, tzinfo=UTC
        )


def test_the_newest_version_of_an_occurrence_counts() -> None:
    """Of several changes of one occurrence, and of several masters, the highest SEQUENCE stands."""
    first = _override(":20261123T233000Z", "DTSTART:20261124T100000Z", "SEQUENCE:2", "SUMMARY:new")
    second = _override(":20261123T233000Z", "DTSTART:20261124T110000Z", "SEQUENCE:1", "SUMMARY:old")
    (event,) = from_ical(_event(*_SERIES, *first, *second))
    assert [changes["item:Subject"] for changes in event.exceptions.values()] == ["new"]


def test_changed_occurrences_without_their_series_are_events_of_their_own() -> None:
    """An occurrence whose series is not in the file, or does not have it, is a single event; no two share a UID."""
    rows = ("DTSTART:20261124T100000Z", *_override(":20261125T100000Z", "DTSTART:20261125T110000Z"))
    alone = from_ical(_event("RECURRENCE-ID:20261124T090000Z", *rows))
    assert [event.values["calendar:UID"] for event in alone] == ["one", "one/20261125T100000"]
    extra = _override(":20270101T100000Z", "DTSTART:20270101T100000Z")
    series, single = from_ical(_event(*_SERIES, *extra))
    assert series.exceptions == {}
    assert single.values["calendar:Start"] == datetime(2027, 1, 1, 10, tzinfo=UTC)


def test_a_change_of_all_that_follows_is_refused() -> None:
    """RANGE=THISANDFUTURE splits a series in a way Exchange does not."""
    changed = _override(";RANGE=THISANDFUTURE:20261123T233000Z", "DTSTART:20261124T100000Z")
    with pytest.raises(CannotHold, match="RANGE"):
        from_ical(_event(*_SERIES, *changed))


def test_one_bad_event_does_not_take_the_others_with_it() -> None:
    """Each event of a file is read or refused by itself; tasks are refused as what they are."""
    text = _event(
        "DTSTART:20261123T090000Z", "END:VEVENT", "BEGIN:VEVENT", "UID:two", "SUMMARY:no start", "END:VEVENT", "BEGIN:VEVENT",
        "UID:three", "DTSTART:nonsense", "END:VEVENT", "BEGIN:VTODO", "UID:four", "END:VTODO", "BEGIN:VEVENT", "UID:five",
        "DTSTART:99990101T000000Z",
    )  # fmt: skip
    parsed, refused = parse(text)
    assert [event.values["calendar:UID"] for event in parsed] == ["one"]
    assert sorted(problem.uid for problem in refused) == ["five", "four", "three", "two"]


@pytest.mark.parametrize(
    "text",
    ["", "hello", b"\xff\xfe\x00", "BEGIN:VCALENDAR", "BEGIN:VEVENT\r\nEND:VEVENT", "BEGIN:VCALENDAR\r\nEND:VEVENT"],
)
def test_what_is_no_icalendar_is_refused(text: str | bytes) -> None:
    """Text that is not iCalendar gives no event and one reason, or nothing at all where it is empty; never an exception of a library."""
    parsed, refused = parse(text)
    assert parsed == []
    assert all(isinstance(problem, CannotHold) for problem in refused)


@given(st.lists(st.sampled_from(
    ["BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "UID:1", "DTSTART:20260101T000000Z", "DTSTART;VALUE=DATE:2026",
     "RRULE:FREQ=DAILY", "RRULE:X", "RRULE:FREQ=WEEKLY;BYDAY=XX", "EXDATE:1", "DTEND:20260101", "DURATION:-P1D", "RECURRENCE-ID:20260101T000000Z",
     "DTSTART:00010101T000000", "DURATION:P99999999D", "BEGIN:VALARM", "END:VALARM", "TRIGGER:x", "ACTION:DISPLAY", "RRULE:FREQ=DAILY;COUNT=x", "\x00", ":"]
), max_size=14))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_text_makes_the_reader_fail(lines: list[str]) -> None:
    """Whatever lines come in whatever order, the answer is events and reasons."""
    for text in (
        "\r\n".join(lines),
        "\r\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"]),
    ):
        parse(text)


@pytest.mark.parametrize(
    ("alarm", "minutes"),
    [
        (("ACTION:DISPLAY", "TRIGGER:-PT30M"), 30),
        (("ACTION:AUDIO", "TRIGGER:-P1D"), 1440),
        (("ACTION:DISPLAY", "TRIGGER;VALUE=DATE-TIME:20261123T080000Z"), 60),
        (("ACTION:DISPLAY", "TRIGGER:PT10M"), 0),
        (("ACTION:EMAIL", "TRIGGER:-PT30M"), None),
    ],
)
def test_a_reminder_is_the_minutes_before_the_start(alarm: tuple[str, ...], minutes: int | None) -> None:
    """A shown or sounding alarm becomes the reminder, however its time is written; one by mail does not."""
    values = _values("DTSTART:20261123T090000Z", "BEGIN:VALARM", *alarm, "END:VALARM")
    assert values["item:ReminderIsSet"] is (minutes is not None)
    assert values.get("item:ReminderMinutesBeforeStart") == minutes


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), "Busy"),
        (("TRANSP:TRANSPARENT",), "Free"),
        (("STATUS:TENTATIVE",), "Tentative"),
        (("X-MICROSOFT-CDO-BUSYSTATUS:OOF", "TRANSP:TRANSPARENT"), "OOF"),
    ],
)
def test_free_or_busy_is_what_outlook_says_first(lines: tuple[str, ...], status: str) -> None:
    """Outlook's own property counts before TRANSP and STATUS."""
    assert _values("DTSTART:20261123T090000Z", *lines)["calendar:LegacyFreeBusyStatus"] == status


def test_a_task_that_regenerates_has_no_icalendar() -> None:
    """A recurrence that begins anew on completion cannot be written; the reason says so."""
    values = {
        "item:Subject": "water the plants",
        "calendar:Start": datetime(2026, 11, 23, tzinfo=UTC),
        "calendar:End": datetime(2026, 11, 23, tzinfo=UTC),
        "calendar:Recurrence": Recurrence(DailyRegeneration(2), NoEnd(date(2026, 11, 23))),
    }
    with pytest.raises(CannotHold, match="completed"):
        to_ical(values, {}, set())


def test_a_changed_occurrence_needs_to_say_only_what_changed() -> None:
    """An exception without start and end is written at the time of its occurrence."""
    values = _values(*_SERIES)
    key = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    (event,) = from_ical(to_ical(values, {key: {"item:Subject": "other"}}, set()))
    assert event.exceptions == {
        key: {"item:Subject": "other", "calendar:Start": key, "calendar:End": key + timedelta(hours=1)}
    }
    assert event.values["calendar:Recurrence"].range == Numbered(date(2026, 11, 23), 5)
