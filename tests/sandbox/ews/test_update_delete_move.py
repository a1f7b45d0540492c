"""UpdateItem, DeleteItem, MoveItem, CopyItem."""

from __future__ import annotations

from typing import Any

import pytest

from ops_lib.sandbox.values import Body, Person

from .client import ALICE, BOB, KEY, Client, M, T, create, delete, event, find, get_item, id_of, set_field, update

SUBJECT = set_field("item:Subject", "<t:Subject>new</t:Subject>")
PLACE = set_field("calendar:Location", "<t:Location>here</t:Location>")


def made(client: Client, inner: str = "<t:Subject>old</t:Subject>", after: str = "") -> Any:
    """The ItemId of a new event."""
    return client.item(create(event(inner, after=after))).find(f"{T}ItemId")


def bare(item_id: Any) -> str:
    return f'<t:ItemId Id="{item_id.get("Id")}"/>'


def test_fields_are_set_appended_and_deleted(client: Client) -> None:
    """One update sets, appends and deletes, also extended properties; the answer has the new change key."""
    value = f"<t:ExtendedProperty>{KEY}<t:Value>a-1</t:Value></t:ExtendedProperty>"
    item_id = made(
        client, f'<t:Subject>old</t:Subject><t:Body BodyType="Text">one</t:Body>{value}', "<t:Location>x</t:Location>"
    )
    changes = (
        SUBJECT
        + '<t:AppendToItemField><t:FieldURI FieldURI="item:Body"/><t:CalendarItem><t:Body BodyType="Text"> two</t:Body>'
        "</t:CalendarItem></t:AppendToItemField>"
        '<t:DeleteItemField><t:FieldURI FieldURI="calendar:Location"/></t:DeleteItemField>'
        f"<t:SetItemField>{KEY}<t:CalendarItem>{value.replace('a-1', 'a-2')}</t:CalendarItem></t:SetItemField>"
    )
    message = client.one(update(item_id, changes))
    new = message.find(f"{M}Items")[0].find(f"{T}ItemId")
    assert new.get("Id") == item_id.get("Id")
    assert new.get("ChangeKey") != item_id.get("ChangeKey")
    assert message.findtext(f"{M}ConflictResults/{T}Count") == "0"
    item = client.get(new.get("Id"), base="AllProperties", more=KEY)
    assert item.findtext(f"{T}Subject") == "new"
    assert item.findtext(f"{T}Body") == "one two"
    assert item.find(f"{T}Location") is None
    assert item.findtext(f"{T}ExtendedProperty/{T}Value") == "a-2"
    client.one(update(new, f"<t:DeleteItemField>{KEY}</t:DeleteItemField>"))
    assert client.get(new.get("Id"), more=KEY).find(f"{T}ExtendedProperty") is None


def test_never_overwrite_refuses_an_old_key(client: Client) -> None:
    """With NeverOverwrite only the current change key may write; the refused update changes nothing."""
    item_id = made(client)
    client.one(update(item_id, PLACE, resolution="NeverOverwrite"))
    assert client.codes(update(item_id, SUBJECT, resolution="NeverOverwrite")) == ["ErrorIrresolvableConflict"]
    assert client.get(item_id.get("Id"), "item:Subject").findtext(f"{T}Subject") == "old"


def test_auto_resolve_merges_what_does_not_meet(client: Client) -> None:
    """With AutoResolve an old key may write fields that have not changed since, or that say the same now."""
    item_id = made(client)
    client.one(update(item_id, SUBJECT))
    client.one(update(item_id, PLACE))
    client.one(update(item_id, SUBJECT))
    other = set_field("item:Subject", "<t:Subject>mine</t:Subject>")
    assert client.codes(update(item_id, other)) == ["ErrorIrresolvableConflict"]
    client.one(update(item_id, other, resolution="AlwaysOverwrite"))
    assert client.get(item_id.get("Id"), "item:Subject").findtext(f"{T}Subject") == "mine"


def test_change_keys_that_are_none(client: Client) -> None:
    """AutoResolve and NeverOverwrite want a key, AlwaysOverwrite does not; rubbish is ErrorInvalidChangeKey for all."""
    item_id = made(client)
    assert client.codes(update(bare(item_id), SUBJECT)) == ["ErrorChangeKeyRequired"]
    assert client.codes(update(bare(item_id), SUBJECT, resolution="NeverOverwrite")) == ["ErrorChangeKeyRequired"]
    rubbish = f'<t:ItemId Id="{item_id.get("Id")}" ChangeKey="AAAA"/>'
    assert client.codes(update(rubbish, SUBJECT, resolution="AlwaysOverwrite")) == ["ErrorInvalidChangeKey"]
    client.one(update(bare(item_id), SUBJECT, resolution="AlwaysOverwrite"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (set_field("item:Subject", "<t:Sensitivity>Normal</t:Sensitivity>"), "ErrorUpdatePropertyMismatch"),
        (set_field("item:Subject", ""), "ErrorIncorrectUpdatePropertyCount"),
        (
            set_field("item:Subject", "<t:Subject>a</t:Subject><t:Sensitivity>Normal</t:Sensitivity>"),
            "ErrorIncorrectUpdatePropertyCount",
        ),
        (set_field("item:Size", "<t:Size>1</t:Size>"), "ErrorInvalidPropertySet"),
        (
            set_field("task:DueDate", "<t:DueDate>2027-01-01T00:00:00Z</t:DueDate>", "Task"),
            "ErrorInvalidPropertyRequest",
        ),
        (
            '<t:DeleteItemField><t:FieldURI FieldURI="calendar:Start"/></t:DeleteItemField>',
            "ErrorInvalidPropertyDelete",
        ),
        (
            '<t:AppendToItemField><t:FieldURI FieldURI="item:Subject"/><t:CalendarItem><t:Subject>x</t:Subject>'
            "</t:CalendarItem></t:AppendToItemField>",
            "ErrorInvalidPropertyAppend",
        ),
        (
            set_field("calendar:End", "<t:End>2020-01-01T00:00:00Z</t:End>"),
            "ErrorCalendarEndDateIsEarlierThanStartDate",
        ),
    ],
)
def test_an_impossible_change_changes_nothing(client: Client, change: str, code: str) -> None:
    """A change that cannot be has its code, and the good change before it is not applied either."""
    item_id = made(client)
    assert client.codes(update(item_id, PLACE + change)) == [code]
    found = client.get(item_id.get("Id"), "calendar:Location")
    assert found.find(f"{T}Location") is None
    assert found.find(f"{T}ItemId").get("ChangeKey") == item_id.get("ChangeKey")


def test_what_an_update_must_say(client: Client) -> None:
    """Events need SendMeetingInvitationsOrCancellations, messages a MessageDisposition."""
    assert client.codes(update(made(client), SUBJECT, send="")) == [
        "ErrorSendMeetingInvitationsOrCancellationsRequired"
    ]
    message = client.organisation.create_item(ALICE, "inbox", {"item:Subject": "m", "message:From": Person("B", BOB)})
    read = set_field("message:IsRead", "<t:IsRead>true</t:IsRead>", "Message")
    named = f'<t:ItemId Id="{message.id}" ChangeKey="{message.change_key}"/>'
    assert client.codes(update(named, read, send="")) == ["ErrorMessageDispositionRequired"]
    client.one(update(named, read, send="", more='MessageDisposition="SaveOnly"'))


def test_moved_times_go_out_to_attendees_when_asked(client: Client) -> None:
    """An update of a meeting's time counts its sequence number up; a message is noted only where one is to be sent."""
    people = "<t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>x@out.example</t:EmailAddress></t:Mailbox></t:Attendee></t:RequiredAttendees>"
    item_id = made(client, after=people)
    later = set_field("calendar:End", "<t:End>2026-11-24T17:00:00Z</t:End>")
    new = client.item(update(item_id, later)).find(f"{T}ItemId")
    assert client.organisation.outbox == []
    client.one(update(new, SUBJECT, send="SendToAllAndSaveCopy"))
    assert [mail.subject for mail in client.organisation.outbox] == ["new"]
    assert (
        client.get(item_id.get("Id"), "calendar:AppointmentSequenceNumber").findtext(f"{T}AppointmentSequenceNumber")
        == "1"
    )
    client.one(delete(bare(item_id), more=' SendMeetingCancellations="SendOnlyToAll"'))
    assert client.organisation.outbox[-1].kind == "MeetingCancellation"


def test_a_task_is_completed_and_reopened(client: Client) -> None:
    """Status, PercentComplete and CompleteDate of a task follow one another."""
    task_id = client.item(create("<t:Task><t:Subject>call</t:Subject></t:Task>", send="")).find(f"{T}ItemId")

    def changed(uri: str, inner: str) -> list[str | None]:
        item = client.get(task_id.get("Id"), "item:Subject")
        client.one(update(item.find(f"{T}ItemId"), set_field(uri, inner, "Task"), send=""))
        item = client.get(task_id.get("Id"), base="AllProperties")
        return [item.findtext(f"{T}{name}") for name in ("Status", "PercentComplete", "IsComplete", "CompleteDate")]

    assert changed("task:PercentComplete", "<t:PercentComplete>50</t:PercentComplete>") == [
        "InProgress",
        "50",
        "false",
        None,
    ]
    assert changed("task:Status", "<t:Status>Completed</t:Status>") == [
        "Completed",
        "100",
        "true",
        "2026-11-22T00:00:00Z",
    ]
    assert changed("task:Status", "<t:Status>NotStarted</t:Status>") == ["NotStarted", "0", "false", None]
    assert changed("task:PercentComplete", "<t:PercentComplete>100</t:PercentComplete>")[0] == "Completed"


def test_deleting_says_how_and_to_whom(client: Client) -> None:
    """Events want SendMeetingCancellations, tasks AffectedTaskOccurrences; without them nothing goes."""
    item_id = made(client)
    assert client.codes(delete(bare(item_id), more="")) == ["ErrorSendMeetingCancellationsRequired"]
    task = client.organisation.create_item(ALICE, "tasks", {"item:Subject": "t"})
    named = f'<t:ItemId Id="{task.id}"/>'
    assert client.codes(delete(named)) == ["ErrorAffectedTaskOccurrencesRequired"]
    client.one(delete(named, more=' AffectedTaskOccurrences="AllOccurrences"'))
    client.one(delete(bare(item_id)))
    assert client.codes(delete(bare(item_id))) == ["ErrorItemNotFound"]


@pytest.mark.parametrize(
    ("how", "folder"),
    [("MoveToDeletedItems", "deleteditems"), ("SoftDelete", "recoverableitemsdeletions"), ("HardDelete", "")],
)
def test_deleted_items_go_where_they_belong(client: Client, how: str, folder: str) -> None:
    """A deleted item is in Deleted Items, among the recoverable ones, or gone; its old id is gone in each case."""
    item_id = made(client)
    client.one(delete(bare(item_id), how=how))
    assert client.codes(get_item(bare(item_id))) == ["ErrorItemNotFound"]
    box = client.organisation.mailbox(ALICE)
    assert [item.folder.distinguished_id for item in box.items.values()] == ([folder] if folder else [])
    if how == "SoftDelete":
        root = client.one(find("item:Subject", folder="deleteditems", traversal="SoftDeleted")).find(f"{M}RootFolder")
        assert [one.findtext(f"{T}Subject") for one in root[0]] == ["old"]


def test_a_deleted_event_is_not_updated_with_invitations(client: Client) -> None:
    """An event in Deleted Items can be changed only without sending anything."""
    item = client.organisation.create_item(
        ALICE, "deleteditems",
        {"item:Body": Body("x"), "calendar:Start": client.organisation.now(), "calendar:End": client.organisation.now()},
    )  # fmt: skip
    named = f'<t:ItemId Id="{item.id}" ChangeKey="{item.change_key}"/>'
    assert client.codes(update(named, SUBJECT, send="SendToAllAndSaveCopy")) == ["ErrorCalendarCannotUpdateDeletedItem"]
    client.one(update(named, SUBJECT))


def test_items_are_moved_and_copied(client: Client) -> None:
    """A moved item has another id and its old one is gone; a copied one is there twice; content and UID are the same."""
    box = client.organisation.mailbox(ALICE)
    other = box.add_folder(box.folder("calendar"), "Other", "IPF.Appointment")
    item_id = made(client)
    target = f'<m:ToFolderId><t:FolderId Id="{other.id}"/></m:ToFolderId><m:ItemIds>{{}}</m:ItemIds>'
    uid = client.get(item_id.get("Id"), "calendar:UID").findtext(f"{T}UID")
    copied = id_of(client.item(f"<m:CopyItem>{target.format(bare(item_id))}</m:CopyItem>"))
    moved = id_of(client.item(f"<m:MoveItem>{target.format(bare(item_id))}</m:MoveItem>"))
    assert len({copied, moved, item_id.get("Id")}) == 3
    assert client.codes(get_item(bare(item_id))) == ["ErrorItemNotFound"]
    for one in (copied, moved):
        assert client.get(one, "calendar:UID").findtext(f"{T}UID") == uid
    assert len(other.items) == 2
    nowhere = '<m:ToFolderId><t:FolderId Id="AAMkrubbish"/></m:ToFolderId>'
    named = f'<t:ItemId Id="{moved}"/>'
    assert client.codes(f"<m:MoveItem>{nowhere}<m:ItemIds>{named}</m:ItemIds></m:MoveItem>") == [
        "ErrorInvalidIdMalformed"
    ]
    quiet = f"<m:MoveItem>{target.format(named)}<m:ReturnNewItemIds>false</m:ReturnNewItemIds></m:MoveItem>"
    assert len(client.one(quiet).find(f"{M}Items")) == 0
