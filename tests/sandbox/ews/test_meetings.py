"""Meetings over EWS: invitations, answers, updates, cancellations, between mailboxes and to people outside."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ops_lib.sandbox.items import Item
from ops_lib.sandbox.mailboxes import Mailbox

from .client import (
    ALICE,
    BOB,
    CAROL,
    Client,
    T,
    create,
    delete,
    event,
    find,
    get_item,
    id_of,
    set_field,
    update,
)

OUTSIDE = "ruth@family.example"
ASKED = (
    "calendar:MyResponseType",
    "calendar:IsMeeting",
    "calendar:IsCancelled",
    "calendar:LegacyFreeBusyStatus",
    "calendar:AppointmentSequenceNumber",
)


def attendees(*addresses: str, element: str = "RequiredAttendees") -> str:
    """RequiredAttendees."""
    inner = "".join(
        f"<t:Attendee><t:Mailbox><t:EmailAddress>{one}</t:EmailAddress></t:Mailbox></t:Attendee>" for one in addresses
    )
    return f"<t:{element}>{inner}</t:{element}>"


def call(client: Client, *addresses: str, send: str = "SendToAllAndSaveCopy", more: str = "", after: str = "") -> str:
    """Alice calls a meeting; the id of her event."""
    made = event(f"<t:Subject>Care plan</t:Subject>{more}", after=attendees(*addresses) + after)
    return id_of(client.item(create(made, send=send)))


def box(client: Client, address: str) -> Mailbox:
    """A mailbox."""
    return client.organisation.mailbox(address)


def the(client: Client, address: str, folder: str = "calendar") -> Item:
    """The only item of a folder."""
    (item,) = box(client, address).folder(folder).items.values()
    return item


def texts(item: Any, *names: str) -> list[str]:
    """The texts of an item's elements."""
    return [item.findtext(f"{T}{name}") for name in names]


def state(client: Client, address: str) -> list[str]:
    """MyResponseType, IsMeeting, IsCancelled, free/busy, sequence of the user's only event."""
    item = client.get(the(client, address).id, *ASKED, user=address)
    return texts(item, *(uri.partition(":")[2] for uri in ASKED))


def respond(kind: str, item: Item, *, inner: str = "", disposition: str = "SendAndSaveCopy") -> str:
    """CreateItem of a response object about the item."""
    answer = f'<t:{kind}>{inner}<t:ReferenceItemId Id="{item.id}" ChangeKey="{item.change_key}"/></t:{kind}>'
    return create(answer, send="", disposition=disposition)


def responses(client: Client, item_id: str) -> dict[str, str]:
    """Who has answered what, by the organiser's event."""
    found = client.get(item_id, "calendar:RequiredAttendees", "calendar:OptionalAttendees")
    return {
        one.findtext(f"{T}Mailbox/{T}EmailAddress"): one.findtext(f"{T}ResponseType")
        for one in found.iter(f"{T}Attendee")
    }


def test_an_invitation_lies_in_the_inbox_and_the_calendar(client: Client) -> None:
    """The attendee has a request in the Inbox and a tentative event with the same UID and an id of its own; outsiders get mail."""
    mine = call(client, BOB, OUTSIDE, more="<t:Categories><t:String>Mine</t:String></t:Categories>")
    theirs = the(client, BOB)
    assert theirs.id != mine
    assert state(client, BOB) == ["NoResponseReceived", "true", "false", "Tentative", "0"]
    assert state(client, ALICE) == ["Organizer", "true", "false", "Busy", "0"]
    uids = [
        client.get(one, "calendar:UID", user=who).findtext(f"{T}UID") for one, who in ((mine, ALICE), (theirs.id, BOB))
    ]
    assert uids[0] == uids[1]
    request = client.get(the(client, BOB, "inbox").id, base="AllProperties", user=BOB)
    assert request.tag == f"{T}MeetingRequest"
    assert request.find(f"{T}AssociatedCalendarItemId").get("Id") == theirs.id
    assert texts(request, "ItemClass", "Subject", "MeetingRequestType", "IntendedFreeBusyStatus", "IsRead", "IsOutOfDate") == [
        "IPM.Schedule.Meeting.Request", "Care plan", "NewMeetingRequest", "Busy", "false", "false",
    ]  # fmt: skip
    found = client.get(theirs.id, "item:Categories", "calendar:Organizer", user=BOB)
    assert found.find(f"{T}Categories") is None
    assert found.findtext(f"{T}Organizer/{T}Mailbox/{T}EmailAddress") == ALICE
    (mail,) = client.organisation.outbox
    assert (mail.kind, mail.sender, mail.recipients, mail.subject, mail.uid) == (
        "MeetingRequest", ALICE, (OUTSIDE,), "Care plan", uids[0],
    )  # fmt: skip
    assert the(client, ALICE, "sentitems").element == "MeetingRequest"
    was_sent = client.get(mine, "calendar:MeetingRequestWasSent")
    assert was_sent.findtext(f"{T}MeetingRequestWasSent") == "true"


def test_send_to_none_mails_nobody(client: Client) -> None:
    """With SendToNone an event with attendees is made, moved and deleted without a message to anybody."""
    item_id = call(client, BOB, OUTSIDE, send="SendToNone")
    later = set_field("calendar:End", "<t:End>2026-11-24T17:00:00Z</t:End>")
    client.one(update(f'<t:ItemId Id="{item_id}"/>', later, resolution="AlwaysOverwrite"))
    client.one(delete(f'<t:ItemId Id="{item_id}"/>'))
    assert client.organisation.sent == client.organisation.outbox == []
    assert not box(client, BOB).items


@pytest.mark.parametrize(
    ("kind", "response", "subject", "busy"),
    [
        ("AcceptItem", "Accept", "Accepted: Care plan", "Busy"),
        ("TentativelyAcceptItem", "Tentative", "Tentative: Care plan", "Tentative"),
        ("DeclineItem", "Decline", "Declined: Care plan", "Free"),
    ],
)
@pytest.mark.parametrize("about", ["inbox", "calendar"])
def test_an_answer_reaches_the_organiser(
    client: Client, kind: str, response: str, subject: str, busy: str, about: str
) -> None:
    """An answer, to the request or to the event, is on the attendee's event, in the organiser's Inbox and on the organiser's event."""
    mine = call(client, BOB, CAROL)
    client.one(respond(kind, the(client, BOB, about), inner="<t:Body BodyType='Text'>see you</t:Body>"), BOB)
    assert responses(client, mine) == {BOB: response, CAROL: "Unknown"}
    message = client.get(
        the(client, ALICE, "inbox").id, "item:Subject", "item:Body", "meeting:ResponseType", "calendar:Start"
    )
    assert message.tag == f"{T}MeetingResponse"
    assert texts(message, "Subject", "Body", "ResponseType", "Start") == [
        subject, "see you", response, "2026-11-24T15:00:00Z",
    ]  # fmt: skip
    assert len(box(client, BOB).folder("inbox").items) == (about == "calendar")
    if response == "Decline":
        assert not box(client, BOB).folder("calendar").items
        lying = {item.element for item in box(client, BOB).folder("deleteditems").items.values()}
        assert "CalendarItem" in lying
    else:
        assert state(client, BOB)[0::3] == [response, busy]


def test_an_answer_can_be_kept_to_oneself(client: Client) -> None:
    """With SaveOnly the attendee's event says the answer, and the organiser is told nothing."""
    mine = call(client, BOB)
    client.one(respond("AcceptItem", the(client, BOB), disposition="SaveOnly"), BOB)
    assert state(client, BOB)[0] == "Accept"
    assert responses(client, mine) == {BOB: "Unknown"}
    assert not box(client, ALICE).folder("inbox").items


def test_an_update_moves_the_attendees_event(client: Client) -> None:
    """A new time moves each attendee's event in place, asks again and leaves what is theirs; a new text only changes the text."""
    mine = call(client, BOB)
    client.one(respond("AcceptItem", the(client, BOB)), BOB)
    theirs = the(client, BOB)
    category = set_field("item:Categories", "<t:Categories><t:String>Bob's</t:String></t:Categories>")
    client.one(update(f'<t:ItemId Id="{theirs.id}"/>', category, resolution="AlwaysOverwrite"), BOB)
    renamed = set_field("item:Subject", "<t:Subject>Care plan, again</t:Subject>")
    client.one(update(f'<t:ItemId Id="{mine}"/>', renamed, resolution="AlwaysOverwrite", send="SendToAllAndSaveCopy"))
    assert the(client, BOB).values["item:Subject"] == "Care plan, again"
    assert state(client, BOB)[0] == "Accept"
    later = set_field("calendar:Start", "<t:Start>2026-11-24T15:30:00Z</t:Start>")
    client.one(update(f'<t:ItemId Id="{mine}"/>', later, resolution="AlwaysOverwrite", send="SendToAllAndSaveCopy"))
    found = client.get(theirs.id, "calendar:Start", "item:Categories", user=BOB)
    assert found.findtext(f"{T}Start") == "2026-11-24T15:30:00Z"
    assert found.findtext(f"{T}Categories/{T}String") == "Bob's"
    assert state(client, BOB) == ["NoResponseReceived", "true", "false", "Tentative", "1"]
    assert responses(client, mine) == {BOB: "Unknown"}
    kinds = [one.values["meetingRequest:MeetingRequestType"] for one in box(client, BOB).folder("inbox").items.values()]
    assert kinds == ["NewMeetingRequest", "InformationalUpdate", "FullUpdate"]


def test_an_old_invitation_cannot_be_accepted_any_more(client: Client) -> None:
    """After an update the first request says that it is out of date, and accepting it is refused."""
    mine = call(client, BOB)
    first = the(client, BOB, "inbox")
    later = set_field("calendar:Start", "<t:Start>2026-11-24T15:30:00Z</t:Start>")
    client.one(update(f'<t:ItemId Id="{mine}"/>', later, resolution="AlwaysOverwrite", send="SendOnlyToAll"))
    assert client.get(first.id, "meeting:IsOutOfDate", user=BOB).findtext(f"{T}IsOutOfDate") == "true"
    assert client.codes(respond("AcceptItem", first), BOB) == ["ErrorCalendarMeetingRequestIsOutOfDate"]


@pytest.mark.parametrize(("send", "told"), [("SendOnlyToChanged", False), ("SendToAllAndSaveCopy", True)])
def test_who_is_told_of_a_change_of_guests(client: Client, send: str, told: bool) -> None:
    """Who joins is invited, who leaves gets a cancellation; the others hear of it only where all are to."""
    mine = call(client, BOB, OUTSIDE)
    client.organisation.sent.clear()
    people = set_field("calendar:RequiredAttendees", attendees(CAROL, OUTSIDE))
    client.one(update(f'<t:ItemId Id="{mine}"/>', people, resolution="AlwaysOverwrite", send=send))
    sent = {(mail.kind, mail.recipients) for mail in client.organisation.sent}
    others = {("MeetingRequest", (OUTSIDE,))} if told else set()
    assert sent == {("MeetingCancellation", (BOB,)), ("MeetingRequest", (CAROL,))} | others
    assert state(client, BOB)[2] == "true"
    assert state(client, CAROL)[0] == "NoResponseReceived"


@pytest.mark.parametrize("by", ["CancelCalendarItem", "DeleteItem"])
def test_a_cancelled_meeting_stays_marked(client: Client, by: str) -> None:
    """When the organiser calls it off, attendees keep the event, marked and free, until they remove it; the organiser's is gone."""
    mine = call(client, BOB, OUTSIDE)
    if by == "DeleteItem":
        client.one(
            delete(
                f'<t:ItemId Id="{mine}"/>', how="MoveToDeletedItems", more=' SendMeetingCancellations="SendOnlyToAll"'
            )
        )
    else:
        client.one(respond(by, the(client, ALICE)))
    assert not box(client, ALICE).folder("calendar").items
    assert state(client, BOB)[2:4] == ["true", "Free"]
    assert the(client, BOB).values["item:Subject"] == "Canceled: Care plan"
    assert client.organisation.outbox[-1].kind == "MeetingCancellation"
    cancellation = next(
        one for one in box(client, BOB).folder("inbox").items.values() if one.element == "MeetingCancellation"
    )
    found = client.get(cancellation.id, base="AllProperties", user=BOB)
    assert texts(found, "ItemClass", "Subject") == ["IPM.Schedule.Meeting.Canceled", "Canceled: Care plan"]
    assert client.codes(respond("AcceptItem", the(client, BOB)), BOB) == ["ErrorCalendarIsCancelledForAccept"]
    client.one(respond("RemoveItem", cancellation), BOB)
    assert not box(client, BOB).folder("calendar").items


def test_one_occurrence_is_moved_and_another_called_off(client: Client) -> None:
    """An update of one occurrence moves that one of the attendee's series; a cancelled one stays in it, marked."""
    rule = "<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence><t:NumberedRecurrence><t:StartDate>2026-11-24</t:StartDate><t:NumberOfOccurrences>4</t:NumberOfOccurrences></t:NumberedRecurrence></t:Recurrence>"
    mine = call(client, BOB, after=rule)

    def numbered(index: int) -> Any:
        return client.item(get_item(f'<t:OccurrenceItemId RecurringMasterId="{mine}" InstanceIndex="{index}"/>'))

    assert the(client, BOB).is_series
    later = set_field("calendar:End", "<t:End>2026-11-25T18:00:00Z</t:End>")
    second = numbered(2).find(f"{T}ItemId")
    client.one(update(second, later, send="SendToAllAndSaveCopy"))
    third = numbered(3).find(f"{T}ItemId")
    gone = f'<t:ItemId Id="{third.get("Id")}"/>'
    client.one(delete(gone, more=' SendMeetingCancellations="SendToAllAndSaveCopy"'))
    view = '<m:CalendarView StartDate="2026-11-24T00:00:00Z" EndDate="2026-12-01T00:00:00Z"/>'
    found = client.one(find("item:Subject", "calendar:End", "calendar:IsCancelled", view=view), BOB)
    shown = [texts(one, "Subject", "End", "IsCancelled") for one in found.iter(f"{T}CalendarItem")]
    assert shown == [
        ["Care plan", "2026-11-24T16:00:00Z", "false"],
        ["Care plan", "2026-11-25T18:00:00Z", "false"],
        ["Canceled: Care plan", "2026-11-26T16:00:00Z", "true"],
        ["Care plan", "2026-11-27T16:00:00Z", "false"],
    ]
    assert [start.day for start in the(client, ALICE).deleted] == [26]


def test_somebody_asked_to_one_occurrence_has_that_one_only(client: Client) -> None:
    """Who is added to one occurrence gets a single event with the series' UID, and its cancellation marks that one."""
    rule = "<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence><t:NumberedRecurrence><t:StartDate>2026-11-24</t:StartDate><t:NumberOfOccurrences>3</t:NumberOfOccurrences></t:NumberedRecurrence></t:Recurrence>"
    mine = call(client, BOB, after=rule)
    for index in (2, 3):
        one = client.item(get_item(f'<t:OccurrenceItemId RecurringMasterId="{mine}" InstanceIndex="{index}"/>')).find(
            f"{T}ItemId"
        )
        client.one(
            update(one, set_field("calendar:RequiredAttendees", attendees(BOB, CAROL)), send="SendOnlyToChanged")
        )
    events = list(box(client, CAROL).folder("calendar").items.values())
    assert [one.values["calendar:Start"].day for one in events] == [25, 26]
    assert {one.values["calendar:UID"] for one in events} == {the(client, ALICE).values["calendar:UID"]}
    assert not any(one.is_series for one in events)
    client.one(delete(f'<t:ItemId Id="{mine}"/>', more=' SendMeetingCancellations="SendOnlyToAll"'))
    assert state(client, BOB)[2] == "true"


def test_deleting_an_attendees_event_declines_where_it_is_to_be_said(client: Client) -> None:
    """An attendee who deletes the event with SendOnlyToAll declines; with SendToNone the organiser hears nothing."""
    mine = call(client, BOB, CAROL)
    for who, send in ((BOB, "SendOnlyToAll"), (CAROL, "SendToNone")):
        client.one(delete(f'<t:ItemId Id="{the(client, who).id}"/>', more=f' SendMeetingCancellations="{send}"'), who)
    assert responses(client, mine) == {BOB: "Decline", CAROL: "Unknown"}


def test_answers_that_cannot_be_are_refused_by_their_codes(client: Client) -> None:
    """The organiser cannot accept, an attendee cannot cancel, nobody can answer a task or another one's event."""
    call(client, BOB)
    mine, theirs = the(client, ALICE), the(client, BOB)
    task = client.organisation.create_item(ALICE, "tasks", {"item:Subject": "t"})
    for kind, word, unfit in (
        ("AcceptItem", "Accept", "AcceptItem"),
        ("TentativelyAcceptItem", "Tentative", "Tentative"),
        ("DeclineItem", "Decline", "DeclineItem"),
    ):
        assert client.codes(respond(kind, mine)) == [f"ErrorCalendarIsOrganizerFor{word}"]
        assert client.codes(respond(kind, task)) == [f"ErrorInvalidItemForOperation{unfit}"]
    assert client.codes(respond("CancelCalendarItem", theirs), BOB) == ["ErrorCalendarIsNotOrganizer"]
    assert client.codes(respond("CancelCalendarItem", task)) == ["ErrorInvalidItemForOperationCancelItem"]
    assert client.codes(respond("RemoveItem", mine)) == ["ErrorInvalidItemForOperationRemoveItem"]
    assert client.codes(respond("AcceptItem", theirs), CAROL) == ["ErrorItemNotFound"]
    client.organisation.set_permission(BOB, "calendar", CAROL, "Reviewer")
    assert client.codes(respond("AcceptItem", theirs), CAROL) == ["ErrorAccessDenied"]
    assert client.codes(create("<t:AcceptItem/>", send="")) == ["ErrorInvalidReferenceItem"]
    assert client.codes(create("<t:MeetingRequest><t:Subject>s</t:Subject></t:MeetingRequest>", send="")) == [
        "ErrorInvalidItemForOperationCreateItem"
    ]


def test_what_was_declined_can_be_accepted_after_all(client: Client) -> None:
    """Accepting the request once the event was removed puts the event back into the calendar."""
    mine = call(client, BOB)
    client.one(delete(f'<t:ItemId Id="{the(client, BOB).id}"/>'), BOB)
    client.one(respond("AcceptItem", the(client, BOB, "inbox")), BOB)
    assert state(client, BOB)[0] == "Accept"
    assert responses(client, mine) == {BOB: "Accept"}


def test_another_time_is_proposed(client: Client) -> None:
    """A proposed time is in the answer that the organiser gets."""
    call(client, BOB)
    times = "<t:ProposedStart>2026-11-25T15:00:00Z</t:ProposedStart><t:ProposedEnd>2026-11-25T16:00:00Z</t:ProposedEnd>"
    request = the(client, BOB, "inbox")
    reference = f'<t:ReferenceItemId Id="{request.id}" ChangeKey="{request.change_key}"/>'
    asked = f"<t:TentativelyAcceptItem>{reference}{times}</t:TentativelyAcceptItem>"
    client.one(create(asked, send="", disposition="SendOnly"), BOB)
    found = client.get(the(client, ALICE, "inbox").id, base="AllProperties")
    assert texts(found, "ProposedStart", "ProposedEnd") == ["2026-11-25T15:00:00Z", "2026-11-25T16:00:00Z"]
    assert not box(client, BOB).folder("sentitems").items


def test_a_request_says_what_else_is_at_the_time(client: Client) -> None:
    """ConflictingMeetingCount of a request counts the other events of the attendee, not the one it is about."""
    busy = {"item:Subject": "Dentist"} | {
        f"calendar:{name}": client.organisation.now().replace(day=24, hour=hour)
        for name, hour in (("Start", 15), ("End", 16))
    }
    client.organisation.create_item(BOB, "calendar", busy)
    call(client, BOB)
    found = client.get(the(client, BOB, "inbox").id, "calendar:ConflictingMeetingCount", user=BOB)
    assert found.findtext(f"{T}ConflictingMeetingCount") == "1"


def test_the_global_object_id_of_an_occurrence_names_its_day(client: Client) -> None:
    """PidLidGlobalObjectId has the day of the occurrence; the clean one is the series' for all of them."""
    rule = "<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence><t:NumberedRecurrence><t:StartDate>2026-11-24</t:StartDate><t:NumberOfOccurrences>3</t:NumberOfOccurrences></t:NumberedRecurrence></t:Recurrence>"
    mine = call(client, BOB, after=rule)
    names = "".join(
        f'<t:ExtendedFieldURI DistinguishedPropertySetId="Meeting" PropertyId="{number}" PropertyType="Binary"/>'
        for number in (3, 35)
    )
    second = get_item(f'<t:OccurrenceItemId RecurringMasterId="{mine}" InstanceIndex="2"/>', more=names)
    dated, clean = [one.text for one in client.item(second).iter(f"{T}Value")]
    assert dated != clean
    assert base64.b64decode(dated)[16:20] == (2026).to_bytes(2, "big") + bytes((11, 25))
    assert clean == client.get(mine, more=names).findtext(f".//{T}Value")
