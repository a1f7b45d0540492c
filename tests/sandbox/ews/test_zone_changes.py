"""UpdateItem that changes an event's time zone, or sets its times without one."""

from __future__ import annotations

import pytest

from tests.support.soap import envelope

from .client import Client, M, T, create, event, find, id_of, set_field, update

EASTERN, CENTRAL = "Eastern Standard Time", "Central Standard Time"
TIMES = ("calendar:Start", "calendar:End")


def _zones(start: str, end: str) -> str:
    return f'<t:StartTimeZone Id="{start}"/><t:EndTimeZone Id="{end}"/>'


def _set_zones(start: str = "", end: str = "") -> str:
    """The changes that set one zone or both."""
    changes = [("Start", start), ("End", end)]
    return "".join(
        set_field(f"calendar:{which}TimeZone", f'<t:{which}TimeZone Id="{zone}"/>') for which, zone in changes if zone
    )


def _times(client: Client, item_id: str) -> tuple[str, str]:
    item = client.get(item_id, *TIMES)
    return item.findtext(f"{T}Start"), item.findtext(f"{T}End")


def _change(client: Client, item_id: str, changes: str) -> None:
    client.one(update(f'<t:ItemId Id="{item_id}"/>', changes, resolution="AlwaysOverwrite"))


def _made(client: Client, start: str, end: str, zone: str = EASTERN, more: str = "") -> str:
    return id_of(client.item(create(event(start=start, end=end, after=more + _zones(zone, zone)))))


def test_a_change_of_zone_keeps_the_times_on_the_clock(client: Client) -> None:
    """13:00 to 14:00 in New York becomes 13:00 to 14:00 in Chicago, an hour later, as Microsoft's own example says."""
    item_id = _made(client, "2026-06-20T13:00:00", "2026-06-20T14:00:00")
    assert _times(client, item_id) == ("2026-06-20T17:00:00Z", "2026-06-20T18:00:00Z")
    _change(client, item_id, _set_zones(CENTRAL, CENTRAL))
    assert _times(client, item_id) == ("2026-06-20T18:00:00Z", "2026-06-20T19:00:00Z")
    _change(client, item_id, _set_zones(CENTRAL, CENTRAL))
    assert _times(client, item_id) == ("2026-06-20T18:00:00Z", "2026-06-20T19:00:00Z")


def test_each_zone_moves_its_own_time(client: Client) -> None:
    """EndTimeZone alone moves the end alone."""
    item_id = _made(client, "2026-06-20T13:00:00", "2026-06-20T14:00:00")
    _change(client, item_id, _set_zones(end=CENTRAL))
    assert _times(client, item_id) == ("2026-06-20T17:00:00Z", "2026-06-20T19:00:00Z")


def test_the_one_zone_of_2007_moves_both_times(client: Client) -> None:
    """MeetingTimeZone, which stands for both zones, moves start and end."""
    item_id = _made(client, "2026-06-20T13:00:00", "2026-06-20T14:00:00")
    zone = f'<t:MeetingTimeZone TimeZoneName="{CENTRAL}"/>'
    _change(client, item_id, set_field("calendar:MeetingTimeZone", zone))
    assert _times(client, item_id) == ("2026-06-20T18:00:00Z", "2026-06-20T19:00:00Z")


def test_times_that_come_with_the_zone_stay_as_they_came(client: Client) -> None:
    """Start and End set together with the zones are not moved, also where they are those that were there."""
    item_id = _made(client, "2026-06-20T13:00:00", "2026-06-20T14:00:00")
    times = set_field("calendar:Start", "<t:Start>2026-06-20T17:00:00Z</t:Start>")
    times += set_field("calendar:End", "<t:End>2026-06-20T18:00:00Z</t:End>")
    _change(client, item_id, _set_zones(CENTRAL, CENTRAL) + times)
    assert _times(client, item_id) == ("2026-06-20T17:00:00Z", "2026-06-20T18:00:00Z")


@pytest.mark.parametrize(
    ("old", "new", "begins"),
    [
        (EASTERN, CENTRAL, "2026-06-20T05:00:00Z"),
        (CENTRAL, EASTERN, "2026-06-20T04:00:00Z"),
        ("UTC", "W. Europe Standard Time", "2026-06-19T22:00:00Z"),
    ],
)
@pytest.mark.parametrize("both", [True, False])
def test_an_all_day_event_stays_on_its_day(client: Client, old: str, new: str, begins: str, both: bool) -> None:
    """An all-day event of one day is the same one day in its new zone, east or west, whether EndTimeZone comes or not."""
    day = "<t:IsAllDayEvent>true</t:IsAllDayEvent>"
    item_id = _made(client, "2026-06-20T00:00:00", "2026-06-21T00:00:00", old, day)
    _change(client, item_id, _set_zones(new, new if both else ""))
    assert _times(client, item_id) == (begins, begins.replace("-20T", "-21T").replace("-19T", "-20T"))


def test_a_series_moves_with_its_zone(client: Client) -> None:
    """The occurrences of a series keep their days and their times on the clock of the new zone, past midnight of UTC too."""
    rule = (
        "<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence><t:NumberedRecurrence>"
        "<t:StartDate>2026-06-20</t:StartDate><t:NumberOfOccurrences>2</t:NumberOfOccurrences></t:NumberedRecurrence>"
        "</t:Recurrence>"
    )
    item_id = _made(client, "2026-06-20T00:30:00", "2026-06-20T01:30:00", more=rule)
    _change(client, item_id, _set_zones("Pacific Standard Time", "Pacific Standard Time"))
    master = client.get(item_id, "calendar:FirstOccurrence", "calendar:LastOccurrence", "calendar:Recurrence")
    assert master.findtext(f"{T}FirstOccurrence/{T}Start") == "2026-06-20T07:30:00Z"
    assert master.findtext(f"{T}LastOccurrence/{T}End") == "2026-06-21T08:30:00Z"
    assert master.findtext(f"{T}Recurrence/{T}NumberedRecurrence/{T}StartDate").startswith("2026-06-20")
    window = '<m:CalendarView StartDate="2026-06-01T00:00:00Z" EndDate="2026-07-01T00:00:00Z"/>'
    shown = client.one(find("calendar:Start", view=window)).find(f"{M}RootFolder")[0]
    assert [one.findtext(f"{T}Start") for one in shown] == ["2026-06-20T07:30:00Z", "2026-06-21T07:30:00Z"]


def test_a_reminder_moves_with_the_start(client: Client) -> None:
    """The time a reminder is due at keeps its place on the clock as well."""
    due = "<t:ReminderDueBy>2026-06-20T13:00:00</t:ReminderDueBy>"
    zones = _zones(EASTERN, EASTERN)
    made = create(event(due, start="2026-06-20T13:00:00", end="2026-06-20T14:00:00", after=zones))
    item_id = id_of(client.item(made))
    _change(client, item_id, _set_zones(CENTRAL, CENTRAL))
    assert client.get(item_id, "item:ReminderDueBy").findtext(f"{T}ReminderDueBy") == "2026-06-20T18:00:00Z"


@pytest.mark.parametrize(
    ("context", "zones", "expected"),
    [
        ("", "", "2026-06-20T12:00:00Z"),
        (CENTRAL, "", "2026-06-20T17:00:00Z"),
        (CENTRAL, EASTERN, "2026-06-20T16:00:00Z"),
        ("", CENTRAL, "2026-06-20T17:00:00Z"),
    ],
)
def test_a_time_without_offset_is_read_by_what_the_request_says(
    client: Client, context: str, zones: str, expected: str
) -> None:
    """In UpdateItem a naive Start is read in the StartTimeZone sent along, else in the TimeZoneContext, else as UTC."""
    item_id = _made(client, "2026-06-20T13:00:00", "2026-06-20T20:00:00")
    start = set_field("calendar:Start", "<t:Start>2026-06-20T12:00:00</t:Start>")
    request = envelope(
        update(f'<t:ItemId Id="{item_id}"/>', _set_zones(zones) + start, resolution="AlwaysOverwrite")
    ).decode()
    if context:
        header = f'<t:TimeZoneContext><t:TimeZoneDefinition Id="{context}"/></t:TimeZoneContext></s:Header>'
        request = request.replace("</s:Header>", header)
    assert b"NoError" in client.send(request.encode()).body
    assert _times(client, item_id)[0] == expected
