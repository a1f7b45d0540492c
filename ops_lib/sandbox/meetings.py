"""Meetings between mailboxes: invitations, answers, updates and cancellations, and what the server makes of them on both sides.

The organiser's event and each attendee's are items of their own that share a UID. A server places an invitation in the attendee's calendar
as tentative before anybody has looked at it, moves it when an update arrives, and marks it when the meeting is cancelled: it stays there
until the attendee removes it. What is the attendee's own on it (reminder, categories, extended properties) is never touched.

Tests use these functions to be "somebody at Outlook"; the EWS face uses them for what a client asks to be sent.

**Source** [MS-OXOCAL], and Microsoft's "Calendars and EWS in Exchange".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ops_lib.errors import InputError

from . import post, series
from .items import Item, Values
from .mailboxes import Folder, Mailbox
from .meeting_events import (
    ATTENDEES,
    CANCELED,
    CARRIED,
    ORPHAN_OF,
    TIMES,
    event_with,
    exceptions_of,
    is_organised_by,
    mark_cancelled,
    note,
    people,
    place,
    state_of,
)
from .values import Body, Person

_ANSWERS = {"Accept": ("Accepted", "Pos"), "Tentative": ("Tentative", "Tent"), "Decline": ("Declined", "Neg")}


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another time that an attendee proposes."""

    start: datetime
    end: datetime


# what the organiser does


def invite(item: Item, original_start: datetime | None = None, *, by: str = "") -> None:
    """Invite everybody on the event, as Outlook's Send does."""
    send_requests(item, people(state_of(item, original_start)), original_start, by=by)


def change(item: Item, values: Values, original_start: datetime | None = None, *, by: str = "") -> None:
    """Change a meeting, or one of its occurrences, and tell everybody: who is new is invited, who is gone is told so."""
    organisation, before = item.mailbox.organisation, state_of(item, original_start)
    if {*values} & {*TIMES}:
        values = {
            **values,
            "calendar:AppointmentSequenceNumber": (before.get("calendar:AppointmentSequenceNumber") or 0) + 1,
        }
    if original_start is None:
        organisation.update_item(item, values, by=by)
    else:
        organisation.update_occurrence(item, original_start, values, by=by)
    send_updates(item, before, original_start, everybody=True, by=by)


def cancel(item: Item, original_start: datetime | None = None, *, by: str = "") -> None:
    """Cancel a meeting, or one of its occurrences: everybody is told, and the organiser's own event is gone."""
    organisation = item.mailbox.organisation
    send_cancellations(item, people(state_of(item, original_start)), original_start, by=by)
    if original_start is None:
        organisation.delete_item(item, by=by)
    else:
        organisation.delete_occurrence(item, original_start, by=by)


def send_requests(
    item: Item,
    to: Iterable[Person],
    original_start: datetime | None = None,
    *,
    kind: str = "NewMeetingRequest",
    by: str = "",
    save_copy: bool = True,
) -> None:
    """Mail the invitation (or an update of it) to these of the attendees; each has the event in their calendar then."""
    organisation, box = item.mailbox.organisation, item.mailbox
    guests = _guests(box, to)
    if not guests:
        return
    note(item, original_start, {"calendar:MeetingRequestWasSent": True}, by)
    values = state_of(item, original_start)
    letter = _letter("MeetingRequest", item, values, guests, original_start)
    recurs = values.get("calendar:Recurrence") is not None
    letter.values |= {
        **{uri: list(map(_unanswered, values[uri])) for uri in ATTENDEES if values.get(uri)},
        "calendar:IsMeeting": True,
        "calendar:MeetingRequestWasSent": True,
        "calendar:MyResponseType": "NoResponseReceived",
        "calendar:LegacyFreeBusyStatus": "Tentative",
        "calendar:CalendarItemType": "RecurringMaster"
        if recurs
        else "Single"
        if original_start is None
        else "Exception",
        "meetingRequest:MeetingRequestType": kind,
        "meetingRequest:IntendedFreeBusyStatus": values.get("calendar:LegacyFreeBusyStatus") or "Busy",
    }

    def arriving(mailbox: Mailbox, theirs: Values) -> None:
        exceptions = exceptions_of(item) if original_start is None else {}
        deleted = item.deleted if original_start is None else set()
        placed = place(mailbox, theirs, original_start, exceptions, deleted, item.attachments)
        theirs["meeting:AssociatedCalendarItemId"] = placed

    post.send(organisation, letter, by=by or box.address, copy_in=_sent(box, save_copy), arriving=arriving)


def send_updates(
    item: Item,
    before: Values,
    original_start: datetime | None = None,
    *,
    everybody: bool,
    by: str = "",
    save_copy: bool = True,
) -> None:
    """Mail what a change of the event means: invitations to who is new, cancellations to who is not on it any more, and,
    where ``everybody`` is to know, updates to the others."""
    values = state_of(item, original_start)
    old = {one.address.lower(): one for one in people(before)}
    new = {one.address.lower(): one for one in people(values)}
    moved = any(before.get(uri) != values.get(uri) for uri in TIMES)
    if everybody and moved:
        reset = {
            uri: [_unanswered(one) if one.address.lower() in old else one for one in values[uri]]
            for uri in ATTENDEES
            if values.get(uri)
        }
        note(item, original_start, reset, by)
    gone = [one for address, one in old.items() if address not in new]
    send_cancellations(item, gone, original_start, by=by, save_copy=save_copy)
    kept = [one for address, one in new.items() if address in old]
    kind = "FullUpdate" if moved else "InformationalUpdate"
    send_requests(item, kept if everybody else (), original_start, kind=kind, by=by, save_copy=save_copy)
    asked = [one for address, one in new.items() if address not in old]
    send_requests(item, asked, original_start, by=by, save_copy=save_copy)


def send_cancellations(
    item: Item,
    to: Iterable[Person],
    original_start: datetime | None = None,
    *,
    by: str = "",
    save_copy: bool = True,
    body: Body | None = None,
) -> None:
    """Mail that the meeting (or the occurrence) does not take place, for these people at least; their events stay, marked."""
    box = item.mailbox
    guests = _guests(box, to)
    if not guests:
        return
    values = state_of(item, original_start)
    letter = _letter("MeetingCancellation", item, values, guests, original_start, prefix=CANCELED)
    sequence = (values.get("calendar:AppointmentSequenceNumber") or 0) + 1
    letter.values["calendar:CalendarItemType"] = "Single" if original_start is None else "Exception"
    if body is not None:
        letter.values["item:Body"] = body

    def arriving(mailbox: Mailbox, theirs: Values) -> None:
        marked = mark_cancelled(mailbox, theirs["calendar:UID"], sequence, original_start)
        if marked:
            theirs["meeting:AssociatedCalendarItemId"] = marked

    post.send(box.organisation, letter, by=by or box.address, copy_in=_sent(box, save_copy), arriving=arriving)


# what an attendee does


def answer(
    item: Item,
    response: str,
    original_start: datetime | None = None,
    *,
    by: str = "",
    sending: bool = True,
    save_copy: bool = True,
    body: Body | None = None,
    proposal: Proposal | None = None,
) -> Item | None:
    """Accept, decline ("Decline") or accept tentatively ("Tentative") an attendee's event, or one occurrence of it.

    What is declined leaves the calendar. ``sending``: the organiser is told, and their event says who comes.
    Returns the event as it lies in Deleted Items when it was declined, else None.

    Raises:
        InputError: there is no such answer.
    """
    if response not in _ANSWERS:
        raise InputError(f"{response!r} is no answer to an invitation", fix=f"one of {', '.join(_ANSWERS)}")
    box = item.mailbox
    now = box.organisation.now()
    values = dict(state_of(item, original_start))
    intended = values.get("meetingRequest:IntendedFreeBusyStatus") or "Busy"
    busy = {"Accept": intended, "Tentative": "Tentative", "Decline": "Free"}[response]
    told = {
        "calendar:MyResponseType": response,
        "calendar:AppointmentReplyTime": now,
        "calendar:LegacyFreeBusyStatus": busy,
    }
    note(item, original_start, told, by)
    if sending and isinstance(values.get("calendar:Organizer"), Person):
        send_answer(item, response, original_start, by=by, save_copy=save_copy, body=body, proposal=proposal)
    if response != "Decline":
        return None
    if original_start is not None:
        box.organisation.delete_occurrence(item, original_start, by=by)
        return None
    return box.organisation.delete_item(item, by=by)


def send_answer(
    item: Item,
    response: str,
    original_start: datetime | None = None,
    *,
    by: str = "",
    save_copy: bool = True,
    body: Body | None = None,
    proposal: Proposal | None = None,
) -> None:
    """Mail the organiser the attendee's answer; their event says so at once."""
    box, values = item.mailbox, state_of(item, original_start)
    word, suffix = _ANSWERS[response]
    organizer: Person = values["calendar:Organizer"]
    me = Person(box.name, box.address)
    letter = _letter("MeetingResponse", item, values, [organizer], original_start, prefix=f"{word}: ")
    letter.values |= {
        "item:ItemClass": f"IPM.Schedule.Meeting.Resp.{suffix}",
        "item:Body": body or Body(""),
        "message:From": me,
        "message:Sender": me,
        "message:ToRecipients": [organizer],
        "meeting:ResponseType": response,
        "calendar:CalendarItemType": "Single" if original_start is None else "Exception",
    }
    letter.values.pop("message:CcRecipients", None)
    if proposal is not None:
        letter.values |= {"meeting:ProposedStart": proposal.start, "meeting:ProposedEnd": proposal.end}

    def arriving(mailbox: Mailbox, theirs: Values) -> None:
        event = event_with(mailbox, theirs["calendar:UID"])
        if event is not None and is_organised_by(mailbox, event.values):
            _track(event, me, response, original_start)
            theirs["meeting:AssociatedCalendarItemId"] = event.id

    post.send(box.organisation, letter, by=by or box.address, copy_in=_sent(box, save_copy), arriving=arriving)


def _track(event: Item, who: Person, response: str, original_start: datetime | None) -> None:
    """Note on the organiser's event what an attendee answered."""
    now = event.mailbox.organisation.now()
    try:
        values = state_of(event, original_start)
    except series.NoSuchOccurrence:
        return
    changed: Values = {}
    for uri in ATTENDEES:
        found = values.get(uri) or []
        if any(one.address.lower() == who.address for one in found):
            changed[uri] = [
                replace(one, response=response, responded=now) if one.address.lower() == who.address else one
                for one in found
            ]
    if changed:
        note(event, original_start, changed, event.mailbox.address)


# letters


def _letter(
    kind: str, item: Item, values: Values, to: list[Person], original_start: datetime | None, *, prefix: str = ""
) -> post.Letter:
    box = item.mailbox
    me = Person(box.name, box.address)
    wanted = {one.address.lower() for one in to}
    named = {
        recipients: [one for one in values.get(uri) or () if one.address.lower() in wanted]
        for recipients, uri in zip(post.RECIPIENTS, ATTENDEES, strict=True)
    }
    if not any(named.values()):  # they are not on it any more
        named["message:ToRecipients"] = to
    said = {uri: values[uri] for uri in CARRIED if values.get(uri) is not None}
    said |= {uri: found for uri, found in named.items() if found}
    subject = (values.get("item:Subject") or "").removeprefix(CANCELED)
    said |= {
        "item:ItemClass": {"MeetingRequest": "IPM.Schedule.Meeting.Request"}.get(kind, "IPM.Schedule.Meeting.Canceled"),
        "item:Subject": prefix + subject,
        "message:From": me,
        "message:Sender": me,
    }
    if original_start is not None:
        said[ORPHAN_OF] = original_start
    return post.Letter(kind, box, said, attachments=list(item.attachments), to=tuple(to))


def _guests(box: Mailbox, to: Iterable[Person]) -> list[Person]:
    """Who of them is to get mail: nobody invites themselves."""
    return [one for one in to if one.address and box.organisation.primary(one.address) != box.address]


def _sent(box: Mailbox, save_copy: bool) -> Folder | None:
    return box.folder("sentitems") if save_copy else None


def _unanswered(person: Person) -> Person:
    return replace(person, response="Unknown", responded=None)
