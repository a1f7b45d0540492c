"""The real exchangelib over real HTTP: meetings, answers, attachments and mail between two mailboxes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from exchangelib import (
    Attendee,
    CalendarItem,
    EWSDateTime,
    EWSTimeZone,
    FileAttachment,
    HTMLBody,
    ItemAttachment,
    Message,
)
from exchangelib.errors import EWSError
from exchangelib.items import (
    SEND_ONLY_TO_ALL,
    SEND_TO_ALL_AND_SAVE_COPY,
    MeetingCancellation,
    MeetingRequest,
    MeetingResponse,
)

from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB, outlook_account

UTC = EWSTimeZone("UTC")
START = EWSDateTime(2027, 3, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def people(sandbox: Sandbox) -> Iterator[tuple[Any, Any]]:
    """Alice's and bob's accounts."""
    accounts = outlook_account(sandbox, ALICE), outlook_account(sandbox, BOB)
    yield accounts
    for account in accounts:
        account.protocol.close()


def test_a_meeting_from_invitation_to_cancellation(people: tuple[Any, Any]) -> None:
    """exchangelib invites, reads the request, accepts, sees the answer, moves and cancels, on both sides."""
    alice, bob = people
    meeting = CalendarItem(
        account=alice, folder=alice.calendar, subject="Care plan", start=START, end=START + HOUR,
        required_attendees=[Attendee(mailbox=bob.primary_smtp_address, response_type="Accept")],
    )  # fmt: skip
    meeting.save(send_meeting_invitations=SEND_TO_ALL_AND_SAVE_COPY)
    (request,) = bob.inbox.all()
    assert isinstance(request, MeetingRequest)
    assert (request.subject, request.start, request.organizer.email_address) == ("Care plan", START, ALICE)
    request.accept(body="with pleasure")
    (theirs,) = bob.calendar.all()
    assert (theirs.my_response_type, theirs.uid) == ("Accept", alice.calendar.get().uid)
    assert request.associated_calendar_item_id.id == theirs.id
    (answer,) = alice.inbox.all()
    assert isinstance(answer, MeetingResponse)
    assert (answer.subject, answer.response_type) == ("Accepted: Care plan", "Accept")
    mine = alice.calendar.get()
    assert [one.response_type for one in mine.required_attendees] == ["Accept"]
    assert mine.required_attendees[0].last_response_time is not None
    mine.start, mine.end = START + HOUR, START + 2 * HOUR
    mine.save(send_meeting_invitations=SEND_ONLY_TO_ALL)
    theirs.refresh()
    assert (theirs.start, theirs.my_response_type) == (START + HOUR, "NoResponseReceived")
    alice.calendar.get().cancel(new_body="it rains")
    assert alice.calendar.all().count() == 0
    theirs.refresh()
    assert (theirs.is_cancelled, theirs.subject) == (True, "Canceled: Care plan")
    cancellation = next(one for one in bob.inbox.all() if isinstance(one, MeetingCancellation))
    assert cancellation.body == "it rains"


def test_a_declined_meeting_is_in_deleted_items(people: tuple[Any, Any]) -> None:
    """decline() takes the event out of the calendar and says so to the organiser."""
    alice, bob = people
    CalendarItem(
        account=alice,
        folder=alice.calendar,
        subject="Care plan",
        start=START,
        end=START + HOUR,
        required_attendees=[BOB],
    ).save(send_meeting_invitations=SEND_TO_ALL_AND_SAVE_COPY)
    bob.calendar.get().decline()
    assert bob.calendar.all().count() == 0
    assert "Care plan" in {item.subject for item in bob.trash.all()}
    assert [one.response_type for one in alice.calendar.get().required_attendees] == ["Decline"]


def test_attachments_of_an_event(people: tuple[Any, Any]) -> None:
    """Files and items are attached, listed, read as a whole and as a stream, and detached."""
    alice, _ = people
    event = CalendarItem(account=alice, folder=alice.calendar, subject="Tour", start=START, end=START + HOUR).save()
    event.attach(FileAttachment(name="plan.txt", content=b"floor plan" * 1000))
    event.attach(
        ItemAttachment(name="note", item=Message(account=alice, subject="inner", body="text", folder=alice.inbox))
    )
    found = alice.calendar.get()
    held = {one.name: one for one in found.attachments}
    assert (found.has_attachments, set(held)) == (True, {"plan.txt", "note"})
    assert held["plan.txt"].content == b"floor plan" * 1000
    with held["plan.txt"].fp as stream:
        assert stream.read() == b"floor plan" * 1000
    assert held["note"].item.subject == "inner"
    found.detach(held["plan.txt"])
    assert [one.name for one in alice.calendar.get().attachments] == ["note"]


def test_mail_with_pictures(people: tuple[Any, Any], sandbox: Sandbox) -> None:
    """A message with a picture in its body and a file goes to a colleague and, in the same sending, out of the organisation."""
    alice, bob = people
    logo = FileAttachment(name="logo.png", content=b"\x89PNG", is_inline=True, content_id="logo")
    brochure = FileAttachment(name="brochure.pdf", content=b"%PDF")
    message = Message(
        account=alice, folder=alice.sent, subject="Welcome", body=HTMLBody('<img src="cid:logo">'),
        to_recipients=[BOB, "ruth@family.example"], attachments=[logo, brochure],
    )  # fmt: skip
    message.send_and_save()
    (received,) = bob.inbox.all()
    assert (received.subject, received.sender.email_address, received.is_read) == ("Welcome", ALICE, False)
    assert {one.name: (one.is_inline, one.content) for one in received.attachments} == {
        "logo.png": (True, b"\x89PNG"), "brochure.pdf": (False, b"%PDF"),
    }  # fmt: skip
    assert alice.sent.all().count() == 1
    assert alice.drafts.all().count() == 0
    assert [entry.recipients for entry in sandbox.organisation.outbox] == [("ruth@family.example",)]


def test_an_operation_that_is_not_here_is_asked_for_once(people: tuple[Any, Any], sandbox: Sandbox) -> None:
    """What the sandbox does not do is refused so that the client gives up after one request."""
    alice, _ = people
    _ = alice.calendar
    sandbox.requests.clear()
    with pytest.raises(EWSError, match="GetUserOofSettings"):
        _ = alice.oof_settings
    assert sandbox.requests.total() == 1
