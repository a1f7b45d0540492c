"""One item of an answer, in all the ways servers write it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from lxml import etree

from ops_lib.errors import ItemRefused
from ops_lib.mailbox import STAMP_NAME, STAMP_PROPERTY_SET
from ops_lib.mailbox.ews.items import item_of, read_instant
from ops_lib.model import AllDay, Item, ItemType, Kind, Timed
from tests.mailbox.stub import TYPES, event, task


def read(xml: str) -> Item:
    return item_of(etree.fromstring(f'<x xmlns:t="{TYPES}">{xml}</x>')[0], "alice@example.test")


def all_day(start: str, end: str, zone: str = "") -> Item:
    more = "<t:IsAllDayEvent>true</t:IsAllDayEvent>" + (f'<t:StartTimeZone Id="{zone}"/>' if zone else "")
    return read(event("i", more=more, start=start, end=end))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-22T15:05:16.084076500Z", datetime(2026, 11, 22, 15, 5, 16, 84076, UTC)),
        ("2026-11-22T15:05:16.5Z", datetime(2026, 11, 22, 15, 5, 16, 500000, UTC)),
        ("2026-11-22T15:05:16Z", datetime(2026, 11, 22, 15, 5, 16, 0, UTC)),
        ("2026-11-22T15:05:16+05:30", datetime(2026, 11, 22, 9, 35, 16, 0, UTC)),
        ("2026-11-22T15:05:16-0500", datetime(2026, 11, 22, 20, 5, 16, 0, UTC)),
        ("2026-11-22T15:05Z", datetime(2026, 11, 22, 15, 5, 0, 0, UTC)),
        ("2026-11-22Z", datetime(2026, 11, 22, 0, 0, 0, 0, UTC)),
        ("2026-11-22-05:00", datetime(2026, 11, 22, 5, 0, 0, 0, UTC)),
        ("2026-11-22T15:05:16", datetime(2026, 11, 22, 15, 5, 16)),
        ("2026-11-22", datetime(2026, 11, 22)),
    ],
)
def test_times_are_read_as_servers_write_them(text: str, value: datetime) -> None:
    """Up to nine decimals, any offset, dates with and without a zone."""
    assert read_instant(text) == value


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-13-01", "2026-11-22T25:00:00Z", "12345678", "2026-11-22T10:00:00+99:99"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    """Nonsense is not a time, and no exception either."""
    assert read_instant(text) is None


def test_an_offset_is_kept() -> None:
    """The offset a server wrote can still be seen, since a date may hang on it."""
    found = read_instant("2026-11-22T00:00:00-05:00")
    assert found is not None
    assert found.utcoffset() == timezone(timedelta(hours=-5)).utcoffset(None)


@pytest.mark.req("O6")
@pytest.mark.parametrize(
    ("start", "end", "zone"),
    [
        ("2027-02-02T05:00:00Z", "2027-02-03T05:00:00Z", "Eastern Standard Time"),
        ("2027-02-01T23:00:00Z", "2027-02-02T23:00:00Z", "Romance Standard Time"),
        ("2027-02-01T11:00:00Z", "2027-02-02T11:00:00Z", "New Zealand Standard Time"),
        ("2027-02-01T23:00:00Z", "2027-02-02T23:00:00Z", "Europe/Copenhagen"),
        ("2027-02-02T00:00:00Z", "2027-02-03T00:00:00Z", "UTC"),
        ("2027-02-02T00:00:00Z", "2027-02-03T00:00:00Z", "tzone://Microsoft/Utc"),
        ("2027-02-02T00:00:00-05:00", "2027-02-03T00:00:00-05:00", "Eastern Standard Time"),
    ],
)
def test_an_all_day_event_stays_on_its_date(start: str, end: str, zone: str) -> None:
    """The dates of an all-day event are those of the zone it was made in, wherever that is."""
    item = all_day(start, end, zone)
    assert item.when == AllDay(date(2027, 2, 2), date(2027, 2, 3))
    assert item.oddities == ()


@pytest.mark.parametrize("start", ["2027-02-02T05:00:00Z", "2027-02-01T23:00:00Z", "2027-02-02T00:00:00Z"])
@pytest.mark.parametrize("zone", ["", "Customized Time Zone"])
def test_an_all_day_event_in_an_unknown_zone_is_at_the_nearest_midnight(start: str, zone: str) -> None:
    """Without a zone the nearest midnight is the date, and that is said."""
    item = all_day(start, start.replace("02-02", "02-03").replace("02-01", "02-02"), zone)
    assert item.when == AllDay(date(2027, 2, 2), date(2027, 2, 3))
    assert "zone not known" in item.oddities[0]


def test_an_all_day_event_of_no_length_is_one_day() -> None:
    """An all-day event that ends where it starts is still a day."""
    item = all_day("2027-02-02T05:00:00Z", "2027-02-02T05:00:00Z", "Eastern Standard Time")
    assert item.when == AllDay(date(2027, 2, 2), date(2027, 2, 3))


def test_an_all_day_event_off_its_midnight_is_said() -> None:
    """An all-day event that was moved from another zone goes to the nearest midnight, and that is said."""
    item = all_day("2027-02-02T08:00:00Z", "2027-02-03T08:00:00Z", "Eastern Standard Time")
    assert item.when == AllDay(date(2027, 2, 2), date(2027, 2, 3))
    assert "midnight" in item.oddities[0]


def test_midnight_that_daylight_saving_skips() -> None:
    """Where the clocks go forward at midnight, the day begins at 01:00, and nothing is odd about that."""
    item = all_day("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z", "Cuba Standard Time")
    assert item.when == AllDay(date(2026, 3, 8), date(2026, 3, 9))
    assert item.oddities == ()


def test_a_missing_start_is_said_and_nothing_invented() -> None:
    """An event without a start has no time, one without an end no length, one that ends before it starts neither."""
    nothing = read('<t:CalendarItem><t:ItemId Id="i"/></t:CalendarItem>')
    assert nothing.when is None
    assert nothing.oddities == ("there is no start",)
    assert (nothing.change_key, nothing.subject, nothing.body, nothing.reminder_is_set) == ("", "", None, None)
    half = read('<t:CalendarItem><t:ItemId Id="i"/><t:Start>2027-01-01T10:00:00Z</t:Start></t:CalendarItem>')
    assert isinstance(half.when, Timed)
    assert half.when.start == half.when.end
    assert half.oddities
    backwards = read(event("i", start="2027-01-01T10:00:00Z", end="2027-01-01T09:00:00Z"))
    assert isinstance(backwards.when, Timed)
    assert backwards.when.start == backwards.when.end
    assert backwards.oddities


def test_a_naive_time_is_utc() -> None:
    """A time without a zone means the request's zone context, which is UTC."""
    item = read(event("i", start="2027-01-01T10:00:00", end="2027-01-01T11:00:00"))
    assert item.when == Timed(datetime(2027, 1, 1, 10, tzinfo=UTC), datetime(2027, 1, 1, 11, tzinfo=UTC))


def test_an_item_without_an_id_is_refused() -> None:
    """Nothing can be done with an item that has no id."""
    with pytest.raises(ItemRefused):
        read("<t:CalendarItem><t:Subject>x</t:Subject></t:CalendarItem>")


def _stamp(value: str, property_set: str = STAMP_PROPERTY_SET, name: str = STAMP_NAME) -> str:
    return (
        f'<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="{property_set}" PropertyName="{name}" PropertyType="String"/>'
        f"<t:Value>{value}</t:Value></t:ExtendedProperty>"
    )


def test_the_stamp_is_found_among_others_and_twice() -> None:
    """The stamp is ours alone, whatever the case of the property set; given twice it is one."""
    other = _stamp("not ours", "6f0a2c54-3d1e-4b7a-9c65-2e8d7b1f4a90")
    item = read(event("i", more=other + _stamp("k1", STAMP_PROPERTY_SET.upper()) + _stamp("k1")))
    assert (item.stamp, item.oddities) == ("k1", ())
    assert read(event("i", more=other)).stamp == ""
    assert read(event("i", more=_stamp(""))).stamp == ""


def test_two_different_stamps_are_said() -> None:
    """Two stamps of different value: the first, and it is said."""
    item = read(event("i", more=_stamp("k1") + _stamp("k2")))
    assert item.stamp == "k1"
    assert item.oddities


@pytest.mark.parametrize(
    ("inside", "is_complete", "is_odd"),
    [
        ("<t:Status>Completed</t:Status>", True, False),
        ("<t:PercentComplete>10000</t:PercentComplete><t:Status>Completed</t:Status>", True, False),
        (
            "<t:IsComplete>true</t:IsComplete><t:PercentComplete>100</t:PercentComplete><t:Status>Completed</t:Status>",
            True,
            False,
        ),
        ("<t:PercentComplete>5000</t:PercentComplete><t:Status>InProgress</t:Status>", False, False),
        ("<t:PercentComplete>50</t:PercentComplete><t:Status>Completed</t:Status>", True, True),
        ("<t:PercentComplete>100</t:PercentComplete><t:Status>InProgress</t:Status>", False, True),
        ("<t:IsComplete>true</t:IsComplete><t:Status>NotStarted</t:Status>", True, True),
        ("<t:PercentComplete>100</t:PercentComplete>", True, False),
        ("<t:PercentComplete>x</t:PercentComplete>", False, False),
        ("", False, False),
    ],
)
def test_whether_a_task_is_complete(inside: str, is_complete: bool, is_odd: bool) -> None:
    """Status, IsComplete and PercentComplete are weighed; where they do not agree, that is said, and nothing is corrected."""
    item = read(task("i", inside))
    assert (item.kind, item.is_complete, bool(item.oddities)) == (Kind.TASK, is_complete, is_odd)


@pytest.mark.parametrize(
    "due",
    ["2027-01-14T00:00:00.000000Z", "2027-01-14T00:00:00Z", "2027-01-14T05:00:00Z", "2027-01-13T23:00:00Z",
     "2027-01-14T00:00:00-05:00", "2027-01-14T00:00:00+13:00", "2027-01-14Z", "2027-01-14"],
)  # fmt: skip
def test_the_date_of_a_task(due: str) -> None:
    """A task is due on one date, however the server writes that midnight."""
    assert read(task("i", f"<t:DueDate>{due}</t:DueDate>")).when == AllDay(date(2027, 1, 14), date(2027, 1, 15))


def test_a_task_without_a_date_has_none() -> None:
    """No due date, or one that cannot be read: no time; the second is said."""
    assert read(task("i")).when is None
    unreadable = read(task("i", "<t:DueDate>soon</t:DueDate>"))
    assert unreadable.when is None
    assert unreadable.oddities == ("DueDate is no date: soon",)


def test_where_an_occurrence_was() -> None:
    """RecurrenceId, else OriginalStart, else the start of an occurrence that was not moved; singles and masters have none."""
    was = "<t:OriginalStart>2027-01-01T12:00:00Z</t:OriginalStart>"
    occurrence = "<t:CalendarItemType>Occurrence</t:CalendarItemType>"
    exception = "<t:CalendarItemType>Exception</t:CalendarItemType>"
    by_id = read(event("i", more=f"<t:RecurrenceId>2027-01-01T11:00:00Z</t:RecurrenceId>{was}{exception}"))
    assert by_id.original_start == datetime(2027, 1, 1, 11, tzinfo=UTC)
    assert read(event("i", more=was + exception)).original_start == datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert read(event("i", more=occurrence)).original_start == datetime(2026, 11, 23, 15, tzinfo=UTC)
    assert read(event("i", more=was)).original_start is None
    lost = read(event("i", more=exception))
    assert (lost.item_type, lost.original_start) == (ItemType.EXCEPTION, None)
    assert lost.oddities


def test_unknown_words_are_said() -> None:
    """An item type nobody knows is taken for a single event, and that is said."""
    item = read(event("i", more="<t:CalendarItemType>Quantum</t:CalendarItemType>"))
    assert item.item_type is ItemType.SINGLE
    assert "Quantum" in item.oddities[0]


@pytest.mark.parametrize(
    ("sensitivity", "is_private"), [("Normal", False), ("Personal", False), ("Private", True), ("Confidential", True)]
)
def test_private_events(sensitivity: str, is_private: bool) -> None:
    """Private and confidential events are private."""
    assert read(event("i", more=f"<t:Sensitivity>{sensitivity}</t:Sensitivity>")).is_private is is_private


def test_people_and_the_rest() -> None:
    """Organizer and attendees by name, else by address; place, body and flags as they are."""
    person = "<t:Mailbox><t:Name>{}</t:Name><t:EmailAddress>{}</t:EmailAddress></t:Mailbox>"
    more = (
        '<t:Body BodyType="Text">a &lt;b&gt;</t:Body><t:ReminderIsSet>false</t:ReminderIsSet><t:UID>U1</t:UID><t:Location>Hall</t:Location>'
        "<t:IsMeeting>true</t:IsMeeting><t:IsCancelled>1</t:IsCancelled><t:LastModifiedTime>2026-11-22T15:05:16.084076500Z</t:LastModifiedTime>"
        f"<t:Organizer>{person.format('Ann', 'ann@example.test')}</t:Organizer>"
        f"<t:RequiredAttendees><t:Attendee>{person.format('', 'bob@example.test')}</t:Attendee></t:RequiredAttendees>"
        f"<t:OptionalAttendees><t:Attendee>{person.format('Cy', '')}</t:Attendee><t:Attendee/></t:OptionalAttendees>"
    )
    item = read(event("i", more=more))
    assert (item.organizer, item.attendees) == ("Ann", ("bob@example.test", "Cy"))
    assert (item.body, item.body_is_html, item.uid, item.location) == ("a <b>", False, "U1", "Hall")
    assert (item.is_meeting, item.is_cancelled, item.reminder_is_set) == (True, True, False)
    assert item.last_modified == datetime(2026, 11, 22, 15, 5, 16, 84076, UTC)
