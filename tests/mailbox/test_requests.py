"""What is asked of the server: valid by Microsoft's schema, mailing nobody, and no more than was meant."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from ops_lib.mailbox import STAMP_NAME, STAMP_PROPERTY_SET, ItemContent, ItemUpdate
from ops_lib.mailbox.ews import requests
from ops_lib.model import AllDay, Kind, Timed, Window
from tests.mailbox.conftest import SHARED

ALICE = "alice@example.test"
WINDOW = Window(datetime(2026, 11, 20, 5, tzinfo=UTC), datetime(2027, 2, 20, 5, tzinfo=UTC))
TIMED = Timed(datetime(2026, 11, 23, 15, tzinfo=UTC), datetime(2026, 11, 23, 16, tzinfo=UTC))
WHOLE_DAY = AllDay(date(2026, 11, 23), date(2026, 11, 24))
FULL = ItemContent(
    subject="Tour",
    when=TIMED,
    location="Hall",
    body_html="<p>hi</p>",
    has_reminder=False,
    stamp="k1",
    time_zone="America/New_York",
)
EVERY_DAY = ItemContent(subject="Call", when=WHOLE_DAY, body_html="", is_complete=True, has_reminder=True, stamp="k2")

REQUESTS: dict[str, Any] = {
    "GetFolder calendar": lambda: requests.get_folder(Kind.EVENT, ALICE),
    "GetFolder tasks": lambda: requests.get_folder(Kind.TASK, ALICE),
    "SyncFolderItems first": lambda: requests.sync_folder_items(Kind.EVENT, ALICE, ""),
    "SyncFolderItems next": lambda: requests.sync_folder_items(Kind.TASK, ALICE, "H4sIAAA="),
    "FindItem view": lambda: requests.calendar_view(ALICE, WINDOW),
    "FindItem one stamp": lambda: requests.find_stamps(Kind.EVENT, ALICE, ["k"], 0),
    "FindItem fifty stamps": lambda: requests.find_stamps(Kind.TASK, ALICE, [f"k{n}" for n in range(50)], 200),
    "GetItem events": lambda: requests.get_items(Kind.EVENT, ["a", "b"]),
    "GetItem tasks": lambda: requests.get_items(Kind.TASK, ["a"]),
    "GetItem masters": lambda: requests.get_masters(["a", "b"]),
    "CreateItem events": lambda: requests.create_items(Kind.EVENT, ALICE, [FULL, EVERY_DAY]),
    "CreateItem tasks": lambda: requests.create_items(Kind.TASK, ALICE, [EVERY_DAY]),
    "UpdateItem event": lambda: requests.update_items([ItemUpdate("i", "c", Kind.EVENT, FULL)]),
    "UpdateItem event, emptied": lambda: requests.update_items(
        [ItemUpdate("i", "c", Kind.EVENT, ItemContent(location="", body_html="", stamp=""))]
    ),
    "UpdateItem without change key": lambda: requests.update_items(
        [ItemUpdate("i", "", Kind.EVENT, ItemContent(subject="x"))]
    ),
    "UpdateItem task": lambda: requests.update_items([ItemUpdate("i", "c", Kind.TASK, EVERY_DAY)]),
    "DeleteItem events": lambda: requests.delete_items(Kind.EVENT, ["a", "b"]),
    "DeleteItem tasks": lambda: requests.delete_items(Kind.TASK, ["a"]),
}


def text(element: Any) -> str:
    return etree.tostring(element, encoding=str)


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_is_valid(name: str, schema: etree.XMLSchema) -> None:
    """Each request validates against Microsoft's schema."""
    assert schema.validate(REQUESTS[name]()), str(schema.error_log)


def test_versions_are_those_of_the_schema() -> None:
    """The versions we ask for are spelled as the schema spells them."""
    types = SHARED / "ews-schema" / "types.xsd"
    if not types.exists():
        pytest.skip("the EWS schema is not beside the repository")
    from ops_lib.mailbox.ews.transport import VERSIONS

    known = types.read_text()
    assert {name for _, name in VERSIONS.values()} == {"Exchange2013_SP1", "Exchange2016"}
    assert all(f'"{name}"' in known for _, name in VERSIONS.values())


WORDS = st.text(max_size=30)
WHENS = st.one_of(
    st.none(),
    st.just(TIMED),
    st.dates(date(1990, 1, 1), date(2090, 1, 1)).map(lambda day: AllDay(day, date.fromordinal(day.toordinal() + 1))),
)
CONTENTS = st.builds(
    ItemContent,
    subject=st.none() | WORDS,
    when=WHENS,
    location=st.none() | WORDS,
    body_html=st.none() | WORDS,
    is_complete=st.none() | st.booleans(),
    has_reminder=st.none() | st.booleans(),
    stamp=st.none() | WORDS,
    time_zone=st.sampled_from(
        ["America/New_York", "Europe/Copenhagen", "Asia/Kolkata", "America/Havana", "Mars/Olympus", "UTC"]
    ),
)


@settings(max_examples=60, deadline=None)
@given(content=CONTENTS, kind=st.sampled_from(Kind))
def test_any_content_makes_a_valid_request(content: ItemContent, kind: Kind, schema: etree.XMLSchema) -> None:
    """Whatever text a user pasted (control characters, half a surrogate), the create and the update are valid."""
    assert schema.validate(requests.create_items(kind, ALICE, [content])), str(schema.error_log)
    update = ItemUpdate("i", "c", kind, content)
    if requests.writes_anything(update):
        assert schema.validate(requests.update_items([update])), str(schema.error_log)


@pytest.mark.req("C9")
def test_no_request_mails_anybody() -> None:
    """Every write of an event says SendToNone, and every item is saved only."""
    for name in ("CreateItem events", "UpdateItem event", "DeleteItem events"):
        request = REQUESTS[name]()
        sending = [value for attribute, value in request.attrib.items() if attribute.startswith("SendMeeting")]
        assert sending == ["SendToNone"], name
    for name in ("CreateItem events", "CreateItem tasks", "UpdateItem event", "UpdateItem task"):
        assert REQUESTS[name]().get("MessageDisposition") == "SaveOnly"


def test_folders_name_their_mailbox() -> None:
    """A default folder is named with the mailbox it belongs to: without, a delegate would get their own."""
    for name, make in REQUESTS.items():
        request = make()
        folders = request.findall(f".//{{{requests.TYPES}}}DistinguishedFolderId")
        if name.startswith(("GetItem", "UpdateItem", "DeleteItem")):
            assert not folders
        else:
            assert [folder.findtext(f".//{{{requests.TYPES}}}EmailAddress") for folder in folders] == [ALICE], name


def test_a_title_update_sends_neither_times_nor_zones() -> None:
    """An update of the title touches the title alone."""
    request = requests.update_items([ItemUpdate("i", "c", Kind.EVENT, ItemContent(subject="New"))])
    assert [field.get("FieldURI") for field in request.iter(f"{{{requests.TYPES}}}FieldURI")] == ["item:Subject"]


def test_updates_never_overwrite() -> None:
    """An update carries the change key it was read with and asks to be refused on a conflict."""
    request = REQUESTS["UpdateItem event"]()
    assert request.get("ConflictResolution") == "NeverOverwrite"
    assert request.find(f".//{{{requests.TYPES}}}ItemId").get("ChangeKey") == "c"


def test_timed_events_are_written_as_instants_with_their_zone() -> None:
    """Start and End end in Z; the zones carry the Windows id of where the event is made."""
    sent = text(requests.create_items(Kind.EVENT, ALICE, [FULL]))
    assert "<t:Start>2026-11-23T15:00:00Z</t:Start><t:End>2026-11-23T16:00:00Z</t:End>" in sent
    assert '<t:StartTimeZone Id="Eastern Standard Time"/><t:EndTimeZone Id="Eastern Standard Time"/>' in sent


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("America/New_York", "2026-11-23T05:00:00Z", "2026-11-24T05:00:00Z"),
        ("Asia/Kolkata", "2026-11-22T18:30:00Z", "2026-11-23T18:30:00Z"),
        ("Pacific/Auckland", "2026-11-22T11:00:00Z", "2026-11-23T11:00:00Z"),
    ],
)
def test_whole_days_are_midnights_of_the_zone(zone: str, start: str, end: str) -> None:
    """An all-day event runs from local midnight to local midnight of the zone it is made in."""
    sent = text(requests.create_items(Kind.EVENT, ALICE, [ItemContent(subject="x", when=WHOLE_DAY, time_zone=zone)]))
    assert f"<t:Start>{start}</t:Start><t:End>{end}</t:End><t:IsAllDayEvent>true</t:IsAllDayEvent>" in sent


def test_whole_days_across_a_change_of_time_keep_their_midnights() -> None:
    """An all-day event over the change to daylight saving is an hour shorter, from midnight to midnight."""
    when = AllDay(date(2027, 3, 14), date(2027, 3, 15))
    start, end = requests.event_times(when, "America/New_York")
    assert (requests.instant(start), requests.instant(end)) == ("2027-03-14T05:00:00Z", "2027-03-15T04:00:00Z")


def test_an_unknown_zone_is_utc() -> None:
    """A zone Exchange has no name for is written as UTC, and is known to be unknown."""
    assert requests.windows_zone("Mars/Olympus")[0] == "UTC"
    assert not requests.knows_zone("Mars/Olympus")
    assert requests.windows_zone("Europe/Kyiv")[0] == "FLE Standard Time"


def test_tasks_are_due_on_their_date() -> None:
    """A task's dates are written as the date at 00:00Z, and completing it says so in status and percent."""
    sent = text(requests.create_items(Kind.TASK, ALICE, [EVERY_DAY]))
    assert "<t:DueDate>2026-11-23T00:00:00Z</t:DueDate>" in sent
    assert "<t:StartDate>2026-11-23T00:00:00Z</t:StartDate>" in sent
    assert "<t:PercentComplete>100</t:PercentComplete>" in sent
    assert "<t:Status>Completed</t:Status>" in sent


def test_an_emptied_place_is_removed() -> None:
    """An empty location and an empty stamp are deleted; an empty body is set."""
    request = REQUESTS["UpdateItem event, emptied"]()
    deleted = request.findall(f".//{{{requests.TYPES}}}DeleteItemField")
    assert [field[0].get("FieldURI") or field[0].get("PropertyName") for field in deleted] == [
        STAMP_NAME,
        "calendar:Location",
    ]
    assert [field[0].get("FieldURI") for field in request.iter(f"{{{requests.TYPES}}}SetItemField")] == ["item:Body"]


def test_the_stamp_is_a_property_of_our_own() -> None:
    """The stamp is a named string in our own property set, in lower case, in creates, searches and lists alike."""
    for name in ("CreateItem events", "FindItem one stamp", "SyncFolderItems first", "GetItem events"):
        uri = REQUESTS[name]().find(f".//{{{requests.TYPES}}}ExtendedFieldURI")
        assert dict(uri.attrib) == {
            "PropertySetId": STAMP_PROPERTY_SET,
            "PropertyName": STAMP_NAME,
            "PropertyType": "String",
        }
    assert STAMP_PROPERTY_SET.islower()


def test_deleting_a_task_says_which_occurrences() -> None:
    """Deleting goes to Deleted Items, and for a task names the occurrences, as Exchange wants it."""
    task = REQUESTS["DeleteItem tasks"]()
    assert task.get("AffectedTaskOccurrences") == "AllOccurrences"
    assert task.get("DeleteType") == REQUESTS["DeleteItem events"]().get("DeleteType") == "MoveToDeletedItems"
