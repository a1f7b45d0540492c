"""Meetings between mailboxes: invitations, answers, updates and cancellations, and what the server makes of them on both sides.

The organiser's event and each attendee's are items of their own that share a UID. A server places an invitation in the attendee's calendar
as tentative before anybody has looked at it, moves it when an update arrives, and marks it when the meeting is cancelled: it stays there
until the attendee removes it. What is the attendee's own on it (reminder, categories, extended properties) is never touched.

Tests use these functions to be "somebody at Outlook"; the EWS face uses them for what a client asks to be sent.

**Source** [MS-OXOCAL], and Microsoft's "Calendars and EWS in Exchange".
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ops_lib.errors import InputError

from . import post, series
from .items import Attachment, Item, Override, Values
from .mailboxes import Folder, Mailbox
from .values import Body, Person

if TYPE_CHECKING:
    pass

ATTENDEES = ("calendar:RequiredAttendees", "calendar:OptionalAttendees", "calendar:Resources")
#: what an invitation says and an attendee's event takes over
_CARRIED = (
    "item:Subject", "item:Body", "item:Sensitivity", "item:Importance", "calendar:UID", "calendar:Start", "calendar:End",
    "calendar:StartTimeZone", "calendar:EndTimeZone", "calendar:IsAllDayEvent", "calendar:Location", "calendar:Recurrence",
    "calendar:Organizer", "calendar:AppointmentSequenceNumber", "calendar:IsResponseRequested",
    "calendar:AllowNewTimeProposal", "calendar:IsOnlineMeeting",
)  # fmt: skip
_TIMES = ("calendar:Start", "calendar:End", "calendar:Recurrence", "calendar:StartTimeZone", "calendar:IsAllDayEvent")
_ANSWERS = {"Accept": ("Accepted", "Pos"), "Tentative": ("Tentative", "Tent"), "Decline": ("Declined", "Neg")}
#: an event of somebody who was asked to one occurrence only: which one it is
ORPHAN_OF = "calendar:RecurrenceId"
CANCELED = "Canceled: "


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another time that an attendee proposes."""

    start: datetime
    end: datetime


def people(values: Mapping[str, object]) -> list[Person]:
    """Everybody an event's invitations go to."""
    found: list[Person] = []
    for uri in ATTENDEES:
        part = values.get(uri)
        found += part if isinstance(part, list) else []
    return found


def is_organised_by(mailbox: Mailbox, values: Mapping[str, object]) -> bool:
    """Whether the mailbox's own user called the event."""
    organizer = values.get("calendar:Organizer")
    return not isinstance(organizer, Person) or mailbox.organisation.primary(organizer.address) == mailbox.address


def state_of(item: Item, original_start: datetime | None = None) -> Values:
    """The values of an event, or of one occurrence of a series."""
    return item.values if original_start is None else series.occurrence_at(item, original_start).values


# what the organiser does


def invite(item: Item, original_start: datetime | None = None, *, by: str = "") -> None:
    """Invite everybody on the event, as Outlook's Send does."""
    send_requests(item, people(state_of(item, original_start)), original_start, by=by)


def change(item: Item, values: Values, original_start: datetime | None = None, *, by: str = "") -> None:
    """Change a meeting, or one of its occurrences, and tell everybody: who is new is invited, who is gone is told so."""
    organisation, before = item.mailbox.organisation, state_of(item, original_start)
    if {*values} & {*_TIMES}:
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
    _note(item, original_start, {"calendar:MeetingRequestWasSent": True}, by)
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
        exceptions = _exceptions(item) if original_start is None else {}
        deleted = item.deleted if original_start is None else set()
        placed = _place(mailbox, theirs, original_start, exceptions, deleted, item.attachments)
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
    moved = any(before.get(uri) != values.get(uri) for uri in _TIMES)
    if everybody and moved:
        reset = {
            uri: [_unanswered(one) if one.address.lower() in old else one for one in values[uri]]
            for uri in ATTENDEES
            if values.get(uri)
        }
        _note(item, original_start, reset, by)
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
        marked = _mark_cancelled(mailbox, theirs["calendar:UID"], sequence, original_start)
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
    _note(item, original_start, told, by)
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
        event = _event(mailbox, theirs["calendar:UID"])
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
        _note(event, original_start, changed, event.mailbox.address)


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
    said = {uri: values[uri] for uri in _CARRIED if values.get(uri) is not None}
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


def _note(item: Item, original_start: datetime | None, values: Values, by: str) -> None:
    """Set what the server itself keeps on an event or an occurrence."""
    who = by or item.mailbox.address
    if original_start is None:
        item.values = {**item.values, **values}
        item.mailbox.touch_item(item, who, values)
        return
    override = item.exceptions.setdefault(original_start, Override())
    override.values.update(values)
    item.mailbox.touch_item(item, who, [(original_start, uri) for uri in values])
    override.change = item.change


# the attendee's event


def _event(mailbox: Mailbox, uid: str, original_start: datetime | None = None) -> Item | None:
    """The event with this UID in the calendar: the one of the whole meeting, or, with ``original_start``, the one that holds that occurrence."""
    found = [
        item
        for item in mailbox.folder("calendar").items.values()
        if item.element == "CalendarItem" and item.values.get("calendar:UID") == uid
    ]
    whole = [item for item in found if ORPHAN_OF not in item.values]
    if original_start is None or whole:
        return whole[0] if whole else None
    return next((item for item in found if item.values[ORPHAN_OF] == original_start), None)


def find(mailbox: Mailbox, uid: str, original_start: datetime | None = None) -> tuple[Item, datetime | None] | None:
    """The event that a message about this meeting is about, and which of its occurrences (None: all of it)."""
    event = _event(mailbox, uid, original_start)
    if event is None:
        return None
    return event, original_start if event.is_series else None


def place_again(request: Item) -> tuple[Item, datetime | None]:
    """The event that an invitation is about, put back into the calendar where the attendee had removed it."""
    uid, original_start = request.values["calendar:UID"], request.values.get(ORPHAN_OF)
    found = find(request.mailbox, uid, original_start)
    if found is None:
        _place(request.mailbox, request.values, original_start, {}, set(), request.attachments)
        found = find(request.mailbox, uid, original_start)
        assert found is not None
    return found


def _place(
    mailbox: Mailbox,
    said: Values,
    original_start: datetime | None,
    exceptions: dict[datetime, Override],
    deleted: set[datetime],
    attachments: list[Attachment],
) -> str:
    """Put the event into the attendee's calendar, or bring the one there up to date. Its id."""
    organisation = mailbox.organisation
    event = _event(mailbox, said["calendar:UID"], original_start)
    values = {uri: said.get(uri) for uri in (*_CARRIED, *ATTENDEES)}
    moved = event is None or any(
        said.get(uri) != state_of(event, original_start if event.is_series else None).get(uri) for uri in _TIMES
    )
    values |= {"calendar:IsMeeting": True, "calendar:IsCancelled": None}
    if moved:
        values |= {
            "calendar:MyResponseType": "NoResponseReceived",
            "calendar:LegacyFreeBusyStatus": "Tentative",
            "meetingRequest:IntendedFreeBusyStatus": said["meetingRequest:IntendedFreeBusyStatus"],
        }
    if event is not None and event.is_series and original_start is not None:
        event.deleted.discard(original_start)
        values.pop("calendar:Recurrence", None)
        values.pop("calendar:UID", None)
        organisation.update_occurrence(event, original_start, values)
        return series.occurrence_at(event, original_start).id
    if event is not None:
        if moved and original_start is None:
            event.exceptions, event.deleted = exceptions, set(deleted)
        organisation.update_item(event, values)
        return event.id
    values = {uri: value for uri, value in values.items() if value is not None}
    if original_start is not None:
        values[ORPHAN_OF] = original_start
    return organisation.add_item(
        mailbox.folder("calendar"),
        "CalendarItem",
        values,
        {},
        by=mailbox.address,
        exceptions=exceptions,
        deleted=deleted,
        attachments=attachments,
    ).id


def _exceptions(source: Item) -> dict[datetime, Override]:
    """The changed occurrences as attendees get them: without what is the organiser's own."""
    own = {"calendar:MeetingRequestWasSent", "item:Categories", "item:ReminderIsSet", "item:ReminderMinutesBeforeStart"}
    return {
        start: Override({uri: copy.copy(value) for uri, value in one.values.items() if uri not in own})
        for start, one in source.exceptions.items()
    }


def _mark_cancelled(mailbox: Mailbox, uid: str, sequence: int, original_start: datetime | None) -> str:
    """Mark the attendee's event, or the occurrence, as cancelled; it stays where it is. Its id, "" where there is none."""
    event = _event(mailbox, uid, original_start)
    if original_start is None:
        for item in list(mailbox.folder("calendar").items.values()):
            if item is not event and item.values.get("calendar:UID") == uid and ORPHAN_OF in item.values:
                _mark(item, None, sequence)
    if event is None:
        return ""
    start = original_start if event.is_series else None
    try:
        _mark(event, start, sequence)
        return event.id if start is None else series.occurrence_at(event, start).id
    except series.NoSuchOccurrence:
        return ""


def _mark(event: Item, original_start: datetime | None, sequence: int) -> None:
    subject = (state_of(event, original_start).get("item:Subject") or "").removeprefix(CANCELED)
    values: Values = {
        "item:Subject": CANCELED + subject,
        "calendar:IsCancelled": True,
        "calendar:LegacyFreeBusyStatus": "Free",
        "calendar:AppointmentSequenceNumber": sequence,
    }
    _note(event, original_start, values, event.mailbox.address)
