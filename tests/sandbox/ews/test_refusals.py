"""What CreateItem and UpdateItem refuse, as Microsoft's page of response codes says."""

from __future__ import annotations

import pytest

from tests.support.soap import envelope

from .client import ALICE, Client, M, create, delete, event, fault_code, get_item, id_of, set_field, update

HOMES = {"CalendarItem": "calendar", "Contact": "contacts", "PostItem": "inbox", "Task": "tasks"}
REFUSALS = {
    "CalendarItem": "ErrorCannotCreateCalendarItemInNonCalendarFolder",
    "Contact": "ErrorCannotCreateContactInNonContactFolder",
    "PostItem": "ErrorCannotCreatePostItemInNonMailFolder",
    "Task": "ErrorCannotCreateTaskInNonTaskFolder",
}


@pytest.mark.parametrize("folder", ["calendar", "contacts", "inbox", "tasks", "deleteditems"])
@pytest.mark.parametrize("element", REFUSALS)
def test_an_item_is_created_only_in_a_folder_of_its_kind(client: Client, element: str, folder: str) -> None:
    """Events, tasks, contacts and posts go into folders of their kind; anywhere else nothing is stored."""
    item = event() if element == "CalendarItem" else f"<t:{element}><t:Subject>x</t:Subject></t:{element}>"
    target = f'<t:DistinguishedFolderId Id="{folder}"/>'
    fits = folder == HOMES[element] or (element, folder) == ("PostItem", "deleteditems")
    assert client.codes(create(item, folder=target)) == ["NoError" if fits else REFUSALS[element]]
    mailbox = client.organisation.find_mailbox(ALICE)
    assert mailbox is not None
    assert len(mailbox.folder(folder).items) == fits


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("PercentComplete", "0", "NoError"),
        ("PercentComplete", "100", "NoError"),
        ("PercentComplete", "100.5", "ErrorInvalidPercentCompleteValue"),
        ("PercentComplete", "150", "ErrorInvalidPercentCompleteValue"),
        ("PercentComplete", "-1", "ErrorInvalidPercentCompleteValue"),
        ("CompleteDate", "2026-11-22T00:00:00Z", "NoError"),
        ("CompleteDate", "2026-11-23T00:00:00Z", "ErrorInvalidCompleteDate"),
        ("CompleteDate", "2030-01-01T00:00:00Z", "ErrorInvalidCompleteDate"),
    ],
)
def test_a_task_is_done_by_some_percent_and_in_the_past(client: Client, field: str, value: str, code: str) -> None:
    """PercentComplete is from 0 to 100 and CompleteDate not after today (22 November), on creation and on update."""
    inner = f"<t:{field}>{value}</t:{field}>"
    assert client.codes(create(f"<t:Task>{inner}</t:Task>", send="")) == [code]
    item_id = id_of(client.item(create("<t:Task><t:Subject>x</t:Subject></t:Task>", send="")))
    change = set_field(f"task:{field}", inner, "Task")
    named = f'<t:ItemId Id="{item_id}"/>'
    assert client.codes(update(named, change, resolution="AlwaysOverwrite", send="")) == [code]


def test_today_is_also_the_day_of_the_client(client: Client) -> None:
    """A task completed today by the clock of the TimeZoneContext is accepted where UTC's day has not begun yet."""
    task = "<t:Task><t:CompleteDate>2026-11-23T09:00:00</t:CompleteDate></t:Task>"
    header = '<t:TimeZoneContext><t:TimeZoneDefinition Id="Tokyo Standard Time"/></t:TimeZoneContext></s:Header>'
    request = envelope(create(task, send="")).decode().replace("</s:Header>", header)
    assert b"NoError" in client.send(request.encode()).body


SEARCH = (
    '<t:SearchParameters Traversal="Deep"><t:Restriction><t:Exists><t:FieldURI FieldURI="item:Subject"/></t:Exists>'
    '</t:Restriction><t:BaseFolderIds><t:DistinguishedFolderId Id="calendar"/></t:BaseFolderIds></t:SearchParameters>'
)


def _create_search_folder(parameters: str) -> str:
    return (
        '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="searchfolders"/></m:ParentFolderId><m:Folders>'
        f"<t:SearchFolder><t:DisplayName>s</t:DisplayName>{parameters}</t:SearchFolder></m:Folders></m:CreateFolder>"
    )


@pytest.mark.parametrize("parameters", [SEARCH, ""])
def test_a_search_folder_is_refused_for_what_it_is(client: Client, parameters: str) -> None:
    """CreateFolder of a search folder says that there are none here, not that the request breaks the schema."""
    (message,) = client.messages(_create_search_folder(parameters))
    assert message.findtext(f"{M}ResponseCode") == "ErrorInvalidOperation"
    assert message.findtext(f"{M}MessageText") == "Search folders are not supported by this server."
    mailbox = client.organisation.find_mailbox(ALICE)
    assert mailbox is not None
    assert not mailbox.folder("searchfolders").children


@pytest.mark.parametrize(
    "parameters",
    [
        SEARCH.replace("Deep", "Associated"),
        SEARCH.replace("<t:Restriction>", "").replace("</t:Restriction>", ""),
        SEARCH.replace('<t:DistinguishedFolderId Id="calendar"/>', ""),
        SEARCH * 2,
    ],
)
def test_search_parameters_are_read_by_the_schema(client: Client, parameters: str) -> None:
    """SearchParameters that do break the schema are ErrorSchemaValidation."""
    assert fault_code(client.send(envelope(_create_search_folder(parameters)))) == "ErrorSchemaValidation"


def test_a_corrupt_item_is_listed_and_cannot_be_loaded(client: Client) -> None:
    """Whatever names it is answered with ErrorItemCorrupt, and nothing is done to it; mended, it is as it was."""
    item_id = id_of(client.item(create(event())))
    (stored,) = client.organisation.mailbox(ALICE).folder("calendar").items.values()
    stored.is_corrupt = True
    named = f'<t:ItemId Id="{item_id}"/>'
    change = set_field("item:Subject", "<t:Subject>Other</t:Subject>")
    for request in (get_item(named), update(named, change), delete(named)):
        assert client.codes(request) == ["ErrorItemCorrupt"]
    stored.is_corrupt = False
    assert client.codes(get_item(named)) == ["NoError"]
    assert stored.values.get("item:Subject") != "Other"
