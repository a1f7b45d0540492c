"""What a user put on an item that could not be carried over to another one."""

from __future__ import annotations

import pytest
from lxml import etree

from ops_lib.mailbox.ews.items import item_of
from ops_lib.mailbox.ews.requests import TYPES

PLAIN = {
    "Importance": "Normal",
    "ReminderIsSet": "true",
    "ReminderMinutesBeforeStart": "15",
    "HasAttachments": "false",
    "LegacyFreeBusyStatus": "Busy",
}


def extras(categories: tuple[str, ...] = (), **changed: str) -> tuple[str, ...]:
    """What is said of an event with these properties."""
    said = PLAIN | changed
    inner = "".join(f"<t:{name}>{text}</t:{name}>" for name, text in said.items())
    inner += "<t:Categories>" + "".join(f"<t:String>{one}</t:String>" for one in categories) + "</t:Categories>"
    source = f'<t:CalendarItem xmlns:t="{TYPES}"><t:ItemId Id="i" ChangeKey="k"/>{inner}</t:CalendarItem>'
    return item_of(etree.fromstring(source)).extras


@pytest.mark.req("C6")
def test_an_event_as_we_make_it_has_none() -> None:
    """The server's defaults, and a reminder that is off, are nothing of the user's own."""
    assert extras() == extras(ReminderIsSet="false", ReminderMinutesBeforeStart="0") == ()
    bare = f'<t:CalendarItem xmlns:t="{TYPES}"><t:ItemId Id="i" ChangeKey="k"/></t:CalendarItem>'
    assert item_of(etree.fromstring(bare)).extras == ()


@pytest.mark.req("C6")
def test_each_is_named() -> None:
    """Attachments, categories, importance, free/busy status and a reminder at another time are each said in words."""
    assert extras(HasAttachments="true") == ("attachments",)
    assert extras(("Red",)) == ("categories",)
    assert extras(Importance="High") == ("importance",)
    assert extras(LegacyFreeBusyStatus="OOF") == ("free/busy status",)
    assert extras(ReminderMinutesBeforeStart="45") == ("a reminder of its own",)
    assert len(extras(("Red",), HasAttachments="true", Importance="Low")) == 3
