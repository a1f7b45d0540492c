"""Every property of every kind of item, asked for one by one and all together, makes an answer that the schema accepts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from ops_lib.sandbox.ews.properties import ITEM_CLASSES
from ops_lib.sandbox.items import Item
from ops_lib.sandbox.recurrence import Daily, EndDate, Recurrence
from ops_lib.sandbox.values import Body, Person

from .client import ALICE, SHARED, Client, M, T, find, get_item, sync

START = datetime(2027, 1, 4, 9, tzinfo=UTC)
EVENT = {
    "item:Subject": "Round & about",
    "item:Body": Body("<p>text</p>", True),
    "item:Categories": ["CRM"],
    "calendar:Start": START,
    "calendar:End": START + timedelta(hours=1),
    "calendar:Location": "Lobby",
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "event": ("calendar", EVENT),
    "bare event": ("calendar", {"calendar:Start": START, "calendar:End": START}),
    "whole day": ("calendar", EVENT | {"calendar:IsAllDayEvent": True}),
    "meeting": (
        "calendar",
        EVENT
        | {
            "calendar:RequiredAttendees": [Person("B", "b@out.example", "Accept")],
            "calendar:OptionalAttendees": [Person("", "c@out.example")],
            "calendar:Resources": [Person("Room", "r@out.example")],
        },
    ),
    "invitation": (
        "calendar",
        EVENT
        | {
            "calendar:Organizer": Person("X", "x@out.example"),
            "calendar:IsMeeting": True,
            "calendar:MyResponseType": "Tentative",
            "calendar:IsCancelled": True,
        },
    ),
    "series": (
        "calendar",
        EVENT | {"calendar:Recurrence": Recurrence(Daily(2), EndDate(START.date(), date(2027, 1, 20)))},
    ),
    "task": ("tasks", {"item:Subject": "Call", "task:DueDate": START, "task:Status": "Completed", "task:Owner": "A"}),
    "repeating task": (
        "tasks",
        {"item:Subject": "Call", "task:Recurrence": Recurrence(Daily(1), EndDate(START.date(), date(2027, 2, 1)))},
    ),
    "message": (
        "inbox",
        {"item:Subject": "Hi", "message:ToRecipients": [Person("B", "b@out.example")], "item:Body": Body("x")},
    ),
    "contact": (
        "contacts",
        {
            "contacts:Surname": "Dee",
            "contacts:EmailAddresses": {"EmailAddress1": "d@out.example"},
            "contacts:PhysicalAddresses": {"Home": {"City": "Salem"}},
            "contacts:PhoneNumbers": {"HomePhone": "1"},
            "contacts:Birthday": START,
        },
    ),
}


def made(client: Client, kind: str) -> Item:
    folder, values = KINDS[kind]
    item = client.organisation.create_item(ALICE, folder, values)
    if kind == "series":
        client.organisation.update_occurrence(
            item, START + timedelta(days=2), {"item:Subject": "moved", "item:Body": None}
        )
        client.organisation.delete_occurrence(item, START + timedelta(days=4))
    return item


def names(item: Item) -> list[str]:
    return [row.uri for row in ITEM_CLASSES[item.element] if row.uri != "-"]


@pytest.mark.parametrize("kind", KINDS)
def test_all_properties_of_an_item_make_a_valid_answer(client: Client, kind: str) -> None:
    """GetItem, FindItem and SyncFolderItems with every property there is answer validly, for every kind of item."""
    item = made(client, kind)
    uris = names(item)
    full = client.get(item.id, *uris, base="AllProperties")
    elements = [etree.QName(child).localname for child in full]
    assert elements == sorted(elements, key=[row.element for row in ITEM_CLASSES[item.element]].index)
    folder = KINDS[kind][0]
    shown = client.one(find(*uris, folder=folder)).find(f"{M}RootFolder")[0][0]
    synced = client.one(sync("", *uris, folder=f'<t:DistinguishedFolderId Id="{folder}"/>')).find(f"{M}Changes")[0][0]
    only_get = {row.element for row in ITEM_CLASSES[item.element] if row.get_only}
    assert {etree.QName(child).localname for child in shown} == set(elements) - only_get
    assert etree.tostring(shown) == etree.tostring(synced)


@pytest.mark.parametrize("kind", ["event", "series", "task", "message", "contact"])
def test_each_property_alone_gives_that_property(client: Client, kind: str) -> None:
    """Asking for one property gives the id and that property, or only the id where the item has no such property."""
    item = made(client, kind)
    by_uri = {row.uri: row.element for row in ITEM_CLASSES[item.element]}
    for uri in names(item):
        children = {etree.QName(child).localname for child in client.get(item.id, uri)}
        assert children <= {"ItemId", by_uri[uri]}
        assert "ItemId" in children


@pytest.mark.parametrize("index", [1, 2, 4])
def test_all_properties_of_occurrences_make_a_valid_answer(client: Client, index: int) -> None:
    """Occurrences and exceptions of a series answer validly with every property, and have no Recurrence."""
    item = made(client, "series")
    occurrence = f'<t:OccurrenceItemId RecurringMasterId="{item.id}" InstanceIndex="{index}"/>'
    found = client.item(get_item(occurrence, *names(item), base="AllProperties"))
    assert found.findtext(f"{T}CalendarItemType") == ("Exception" if index == 2 else "Occurrence")
    assert found.find(f"{T}Recurrence") is None
    assert found.findtext(f"{T}Subject") == ("moved" if index == 2 else "Round & about")


def test_the_tables_follow_the_schema() -> None:
    """The tables' elements of each class are elements of the schema's type, in the schema's order."""
    path = SHARED / "ews-schema" / "types.xsd"
    if not path.exists():
        pytest.skip("the EWS schema (../shared/ews-schema) is not here")
    space = "{http://www.w3.org/2001/XMLSchema}"
    types = {one.get("name"): one for one in etree.parse(path).getroot().iter(f"{space}complexType") if one.get("name")}

    def elements(name: str) -> list[str]:
        found: list[str] = []
        extension = types[name].find(f".//{space}extension")
        if extension is not None:
            found += elements(extension.get("base").removeprefix("t:"))
        sequence = types[name].find(f".//{space}sequence")
        return found + [one.get("name") for one in sequence.findall(f"{space}element")]

    schema_types = {"Item": "ItemType", "CalendarItem": "CalendarItemType", "Task": "TaskType", "Message": "MessageType",
                    "Contact": "ContactItemType", "PostItem": "PostItemType", "MeetingRequest": "MeetingRequestMessageType",
                    "MeetingResponse": "MeetingResponseMessageType", "MeetingCancellation": "MeetingCancellationMessageType"}  # fmt: skip
    for element, rows in ITEM_CLASSES.items():
        order = elements(schema_types[element])
        places = [order.index(row.element) for row in rows]
        assert places == sorted(places), element
