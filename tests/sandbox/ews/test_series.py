"""Series: occurrences, exceptions, the calendar view."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops_lib.sandbox.recurrence import Daily, NoEnd, Recurrence

from .client import ALICE, Client, M, T, create, delete, event, find, get_item, id_of, set_field, sync, update

NEW_YORK = '<t:StartTimeZone Id="Eastern Standard Time"/><t:EndTimeZone Id="Eastern Standard Time"/>'
WEEKLY = (
    "<t:Recurrence><t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Monday</t:DaysOfWeek></t:WeeklyRecurrence>"
    "<t:NumberedRecurrence><t:StartDate>2027-03-01</t:StartDate><t:NumberOfOccurrences>5</t:NumberOfOccurrences>"
    "</t:NumberedRecurrence></t:Recurrence>"
)
#: the five Mondays, 10:00 in New York, the clocks change on 14 March
STARTS = [
    "2027-03-01T15:00:00Z",
    "2027-03-08T15:00:00Z",
    "2027-03-15T14:00:00Z",
    "2027-03-22T14:00:00Z",
    "2027-03-29T14:00:00Z",
]


def weekly(
    client: Client, rule: str = WEEKLY, start: str = STARTS[0], end: str = "2027-03-01T16:00:00Z", more: str = ""
) -> str:
    return id_of(
        client.item(create(event("<t:Subject>Round</t:Subject>", start=start, end=end, after=more + rule + NEW_YORK)))
    )


def view(start: str = "2027-03-01T00:00:00Z", end: str = "2027-04-01T00:00:00Z", most: str = "") -> str:
    limit = f'MaxEntriesReturned="{most}" ' if most else ""
    return f'<m:CalendarView {limit}StartDate="{start}" EndDate="{end}"/>'


def shown(client: Client, window: str = view()) -> list[Any]:
    uris = [
        "item:Subject",
        "calendar:Start",
        "calendar:End",
        "calendar:CalendarItemType",
        "calendar:RecurrenceId",
        "calendar:UID",
    ]
    return list(client.one(find(*uris, view=window)).find(f"{M}RootFolder")[0])


def starts(items: list[Any]) -> list[str]:
    return [item.findtext(f"{T}Start") for item in items]


def by_index(master: str, index: int) -> str:
    return f'<t:OccurrenceItemId RecurringMasterId="{master}" InstanceIndex="{index}"/>'


def test_a_calendar_view_expands_series(client: Client) -> None:
    """A calendar view has every occurrence at its wall-clock time with an id of its own, and no master."""
    weekly(client)
    items = shown(client)
    assert starts(items) == STARTS
    assert {item.findtext(f"{T}CalendarItemType") for item in items} == {"Occurrence"}
    assert len({id_of(item) for item in items}) == 5
    assert len({item.findtext(f"{T}UID") for item in items}) == 1
    assert [item.findtext(f"{T}RecurrenceId") for item in items] == STARTS


def test_the_master_tells_of_its_series(client: Client) -> None:
    """The master has Recurrence, First- and LastOccurrence; an occurrence has no Recurrence; dates carry their zone."""
    master = weekly(client)
    item = client.get(master, base="AllProperties")
    assert item.findtext(f"{T}CalendarItemType") == "RecurringMaster"
    assert item.findtext(f"{T}FirstOccurrence/{T}Start") == STARTS[0]
    assert item.findtext(f"{T}LastOccurrence/{T}OriginalStart") == STARTS[4]
    assert item.findtext(f"{T}Recurrence/{T}NumberedRecurrence/{T}StartDate") == "2027-03-01Z"
    assert item.find(f"{T}ModifiedOccurrences") is None
    one = client.item(get_item(by_index(master, 3), base="AllProperties"))
    assert one.findtext(f"{T}Start") == STARTS[2]
    assert one.find(f"{T}Recurrence") is None
    assert one.findtext(f"{T}IsRecurring") == "true"
    back = client.item(get_item(f'<t:RecurringMasterItemId OccurrenceId="{id_of(one)}"/>'))
    assert id_of(back) == master


def test_occurrences_are_moved_and_deleted_one_by_one(client: Client) -> None:
    """A moved occurrence is an Exception with its RecurrenceId; a deleted one is gone; the master lists both and is news."""
    master = weekly(client)
    state = client.one(sync()).findtext(f"{M}SyncState")
    second = client.item(get_item(by_index(master, 2))).find(f"{T}ItemId")
    moved = (
        set_field("calendar:Start", "<t:Start>2027-03-09T18:00:00Z</t:Start>")
        + set_field("calendar:End", "<t:End>2027-03-09T19:30:00Z</t:End>")
        + set_field("item:Subject", "<t:Subject>Moved</t:Subject>")
    )
    answer = client.item(update(second, moved))
    assert id_of(answer) == second.get("Id")
    third = id_of(client.item(get_item(by_index(master, 3))))
    client.one(delete(f'<t:ItemId Id="{third}"/>'))
    items = shown(client)
    assert starts(items) == [STARTS[0], "2027-03-09T18:00:00Z", STARTS[3], STARTS[4]]
    assert [items[1].findtext(f"{T}{name}") for name in ("CalendarItemType", "Subject", "RecurrenceId")] == [
        "Exception", "Moved", STARTS[1],
    ]  # fmt: skip
    found = client.get(master, base="AllProperties")
    (changed,) = found.find(f"{T}ModifiedOccurrences")
    assert [changed.findtext(f"{T}{name}") for name in ("Start", "End", "OriginalStart")] == [
        "2027-03-09T18:00:00Z", "2027-03-09T19:30:00Z", STARTS[1],
    ]  # fmt: skip
    assert [one.findtext(f"{T}Start") for one in found.find(f"{T}DeletedOccurrences")] == [STARTS[2]]
    news = client.one(sync(state)).find(f"{M}Changes")
    assert [(one.tag.partition("}")[2], id_of(one[0])) for one in news] == [("Update", master)]
    assert client.codes(get_item(f'<t:ItemId Id="{third}"/>')) == ["ErrorItemNotFound"]


def test_indexes_keep_their_meaning(client: Client) -> None:
    """After a deletion the other occurrences keep their index; the deleted one and those beyond the end have their codes."""
    master = weekly(client)
    client.one(delete(by_index(master, 2)))
    assert client.item(get_item(by_index(master, 3), "calendar:Start")).findtext(f"{T}Start") == STARTS[2]
    assert client.codes(get_item(by_index(master, 2) + by_index(master, 6) + by_index(master, 0))) == [
        "ErrorCalendarOccurrenceIsDeletedFromRecurrence",
        "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange",
        "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange",
    ]


def test_ids_of_series_and_singles_are_not_mixed(client: Client) -> None:
    """An index into a single event, and the master of a single event, have their own codes."""
    single = id_of(client.item(create(event())))
    assert client.codes(get_item(by_index(single, 1) + f'<t:RecurringMasterItemId OccurrenceId="{single}"/>')) == [
        "ErrorCalendarCannotUseIdForOccurrenceId",
        "ErrorCalendarCannotUseIdForRecurringMasterId",
    ]


def test_occurrences_in_ranges(client: Client) -> None:
    """RecurringMasterItemIdRanges gives the master and its occurrences in the ranges."""
    master = weekly(client)
    ranges = (
        f'<t:RecurringMasterItemIdRanges Id="{master}"><t:Ranges><t:Range Start="2027-03-05T00:00:00Z" '
        'End="2027-03-25T00:00:00Z" Count="2" CompareOriginalStartTime="true"/></t:Ranges></t:RecurringMasterItemIdRanges>'
    )
    items = list(client.one(get_item(ranges, "calendar:Start")).find(f"{M}Items"))
    assert starts(items) == [STARTS[0], STARTS[1], STARTS[2]]
    assert id_of(items[0]) == master


def test_an_occurrence_stays_between_its_neighbours(client: Client) -> None:
    """An occurrence cannot be moved to or beyond the day of the one before or after."""
    master = weekly(client)
    third = client.item(get_item(by_index(master, 3))).find(f"{T}ItemId")
    for day in ("08", "22", "25"):
        moved = set_field("calendar:End", f"<t:End>2027-03-{day}T20:00:00Z</t:End>") + set_field(
            "calendar:Start", f"<t:Start>2027-03-{day}T19:00:00Z</t:Start>"
        )
        assert client.codes(update(third, moved)) == ["ErrorOccurrenceCrossingBoundary"]


def test_changes_of_two_occurrences_do_not_conflict(client: Client) -> None:
    """AutoResolve lets two occurrences read at the same time be changed one after the other, not one of them twice."""
    master = weekly(client)
    first, second = (client.item(get_item(by_index(master, index))).find(f"{T}ItemId") for index in (1, 2))
    subject = set_field("item:Subject", "<t:Subject>{}</t:Subject>")
    client.one(update(first, subject.format("one")))
    client.one(update(second, subject.format("two")))
    assert client.codes(update(second, subject.format("three"))) == ["ErrorIrresolvableConflict"]


def test_a_new_time_of_the_series_forgets_its_exceptions(client: Client) -> None:
    """When the master's time changes, all occurrences follow and single changes are forgotten; a new subject keeps them."""
    master = weekly(client)
    client.one(delete(by_index(master, 2)))
    key = client.get(master, "item:Subject").find(f"{T}ItemId")
    key = client.item(update(key, set_field("item:Subject", "<t:Subject>New</t:Subject>"))).find(f"{T}ItemId")
    assert len(shown(client)) == 4
    later = set_field("calendar:Start", "<t:Start>2027-03-02T17:00:00Z</t:Start>") + set_field(
        "calendar:End", "<t:End>2027-03-02T18:00:00Z</t:End>"
    )
    tuesdays = (
        "<t:Recurrence><t:WeeklyRecurrence><t:Interval>2</t:Interval><t:DaysOfWeek>Tuesday</t:DaysOfWeek></t:WeeklyRecurrence>"
        "<t:EndDateRecurrence><t:StartDate>2027-03-02</t:StartDate><t:EndDate>2027-03-30</t:EndDate></t:EndDateRecurrence>"
        "</t:Recurrence>"
    )
    client.one(update(key, later + set_field("calendar:Recurrence", tuesdays)))
    assert starts(shown(client)) == ["2027-03-02T17:00:00Z", "2027-03-16T16:00:00Z", "2027-03-30T16:00:00Z"]


def test_a_series_becomes_a_single_event(client: Client) -> None:
    """Deleting the recurrence leaves a single event at the master's time."""
    master = weekly(client)
    key = client.get(master).find(f"{T}ItemId")
    client.one(update(key, '<t:DeleteItemField><t:FieldURI FieldURI="calendar:Recurrence"/></t:DeleteItemField>'))
    (item,) = shown(client)
    assert (item.findtext(f"{T}CalendarItemType"), item.findtext(f"{T}Start")) == ("Single", STARTS[0])


def test_whole_days_repeat_at_local_midnights(client: Client) -> None:
    """An all-day series has its occurrences at local midnights on both sides of the change of the clocks."""
    weekly(
        client, start="2027-03-01T05:00:00Z", end="2027-03-02T05:00:00Z", more="<t:IsAllDayEvent>true</t:IsAllDayEvent>"
    )
    items = shown(client)
    assert starts(items) == [start.replace("T15", "T05").replace("T14", "T04") for start in STARTS]
    assert [item.findtext(f"{T}End") for item in items][1:3] == ["2027-03-09T05:00:00Z", "2027-03-16T04:00:00Z"]


def test_the_first_start_follows_the_pattern(client: Client) -> None:
    """A series whose stated start is not on its pattern begins on the first day that is."""
    master = weekly(
        client,
        rule=WEEKLY.replace("2027-03-01", "2027-02-24"),
        start="2027-02-24T15:00:00Z",
        end="2027-02-24T16:00:00Z",
    )
    assert client.get(master, "calendar:Start").findtext(f"{T}Start") == STARTS[0]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (WEEKLY.replace("<t:Interval>1<", "<t:Interval>0<"), "ErrorCalendarOutOfRange"),
        (WEEKLY.replace("Occurrences>5<", "Occurrences>1000<"), "ErrorCalendarOutOfRange"),
        (
            WEEKLY.replace("NumberedRecurrence", "EndDateRecurrence").replace(
                "<t:NumberOfOccurrences>5</t:NumberOfOccurrences>", "<t:EndDate>2027-02-01</t:EndDate>"
            ),
            "ErrorCalendarEndDateIsEarlierThanStartDate",
        ),
        (
            WEEKLY.replace("NumberedRecurrence", "EndDateRecurrence")
            .replace("<t:NumberOfOccurrences>5</t:NumberOfOccurrences>", "<t:EndDate>2027-03-06</t:EndDate>")
            .replace("2027-03-01", "2027-03-02"),
            "ErrorRecurrenceHasNoOccurrence",
        ),
    ],
)
def test_recurrences_that_cannot_be(client: Client, rule: str, code: str) -> None:
    """Numbers out of range, an end before the start and a series without occurrences are refused."""
    body = create(event(start=STARTS[0], end="2027-03-01T16:00:00Z", after=rule + NEW_YORK))
    assert client.codes(body) == [code]


PATTERNS = {
    "<t:DailyRecurrence><t:Interval>10</t:Interval></t:DailyRecurrence>": ["03-01", "03-11", "03-21", "03-31"],
    "<t:AbsoluteMonthlyRecurrence><t:Interval>1</t:Interval><t:DayOfMonth>31</t:DayOfMonth></t:AbsoluteMonthlyRecurrence>": [
        "03-31",
    ],
    "<t:RelativeMonthlyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Weekday</t:DaysOfWeek>"
    "<t:DayOfWeekIndex>Last</t:DayOfWeekIndex></t:RelativeMonthlyRecurrence>": ["03-31"],
    "<t:AbsoluteYearlyRecurrence><t:DayOfMonth>17</t:DayOfMonth><t:Month>March</t:Month></t:AbsoluteYearlyRecurrence>": ["03-17"],
    "<t:RelativeYearlyRecurrence><t:DaysOfWeek>Thursday</t:DaysOfWeek><t:DayOfWeekIndex>Third</t:DayOfWeekIndex>"
    "<t:Month>March</t:Month></t:RelativeYearlyRecurrence>": ["03-18"],
    "<t:WeeklyRecurrence><t:Interval>2</t:Interval><t:DaysOfWeek>Tuesday Friday</t:DaysOfWeek>"
    "<t:FirstDayOfWeek>Monday</t:FirstDayOfWeek></t:WeeklyRecurrence>": ["03-02", "03-05", "03-16", "03-19", "03-30"],
}  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda text: text.split(">")[0][3:])
def test_every_pattern_goes_in_out_and_onto_the_calendar(client: Client, pattern: str) -> None:
    """Each pattern is given back as it was written, and has its days in the calendar view."""
    no_end = "<t:NoEndRecurrence><t:StartDate>2027-03-01</t:StartDate></t:NoEndRecurrence>"
    master = weekly(client, rule=f"<t:Recurrence>{pattern}{no_end}</t:Recurrence>")
    item = client.get(master, base="AllProperties")
    written = item.find(f"{T}Recurrence")[0]
    assert "".join(written.itertext()).startswith("".join(part.partition("<")[0] for part in pattern.split(">")))
    assert item.find(f"{T}LastOccurrence") is None
    assert [start[5:10] for start in starts(shown(client))] == PATTERNS[pattern]


@pytest.mark.parametrize(
    ("window", "count"),
    [
        (view("2027-03-01T16:00:00Z", "2027-03-01T17:00:00Z"), 0),
        (view("2027-03-01T15:59:59Z", "2027-03-01T17:00:00Z"), 1),
        (view("2027-03-01T14:00:00Z", "2027-03-01T15:00:00Z"), 0),
        (view("2027-03-01T14:00:00Z", "2027-03-01T15:00:01Z"), 1),
        (view("2027-03-01T15:30:00Z", "2027-03-01T15:30:00Z"), 1),
        (view("2027-03-01T10:59:59-05:00", "2027-03-01T12:00:00-05:00"), 1),
        (view(most="2"), 2),
    ],
)
def test_a_view_shows_what_overlaps_it(client: Client, window: str, count: int) -> None:
    """An event shows when it ends after the window's start and starts before its end; at most as many as asked for."""
    weekly(client)
    assert len(shown(client, window)) == count


def test_an_event_without_length_shows_where_it_is(client: Client) -> None:
    """An event of no length shows in the window that begins with it and not in the one that ends with it."""
    client.one(create(event(start="2027-03-01T15:00:00Z", end="2027-03-01T15:00:00Z")))
    assert len(shown(client, view("2027-03-01T15:00:00Z", "2027-03-01T16:00:00Z"))) == 1
    assert len(shown(client, view("2027-03-01T14:00:00Z", "2027-03-01T15:00:00Z"))) == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (find(view=view("2027-01-01T00:00:00Z", "2029-01-01T00:00:01Z")), "ErrorCalendarViewRangeTooBig"),
        (find(view=view("2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z")), "ErrorCalendarEndDateIsEarlierThanStartDate"),
        (find(view=view(), folder="inbox"), "ErrorCalendarFolderIsInvalidForCalendarView"),
        (find(view=view(most="0")), "ErrorInvalidPagingMaxRows"),
        (
            find(
                view=view(),
                inner='<m:Restriction><t:Exists><t:FieldURI FieldURI="item:Subject"/></t:Exists></m:Restriction>',
            ),
            "ErrorInvalidOperation",
        ),
        (find(view=view(), traversal="SoftDeleted"), "ErrorInvalidOperation"),
    ],
)
def test_views_that_cannot_be(client: Client, body: str, code: str) -> None:
    """A view wider than two years, backwards, of no calendar, of nothing, or with a restriction is refused by its code."""
    assert client.codes(body) == [code]


def test_a_view_of_too_many_is_refused(client: Client) -> None:
    """A view of more than 1000 occurrences must say how many it wants at most."""
    start = datetime(2027, 1, 1, 9, tzinfo=UTC)
    for hour in range(3):
        at = start + timedelta(hours=hour)
        values = {"calendar:Start": at, "calendar:End": at + timedelta(minutes=30)}
        values["calendar:Recurrence"] = Recurrence(Daily(1), NoEnd(start.date()))  # type: ignore[assignment]
        client.organisation.create_item(ALICE, "calendar", values)
    year = view("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z")
    assert client.codes(find(view=year)) == ["ErrorExceededFindCountLimit"]
    root = client.one(find(view=year.replace("<m:CalendarView ", '<m:CalendarView MaxEntriesReturned="700" '))).find(
        f"{M}RootFolder"
    )
    assert (len(root[0]), root.get("IncludesLastItemInRange")) == (700, "false")
