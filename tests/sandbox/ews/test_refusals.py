"""What CreateItem and UpdateItem refuse, as Microsoft's page of response codes says."""

from __future__ import annotations

import pytest

from .client import ALICE, Client, create, event

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
