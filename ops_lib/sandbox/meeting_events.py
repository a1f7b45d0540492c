"""Events of meetings in one mailbox: who is on them, how a message finds its event, and what arrives with it.

An attendee's event is placed, brought up to date and marked here; what is the attendee's own on it stays.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime

from . import series
from .items import Attachment, Item, Override, Values
from .mailboxes import Mailbox
from .values import Person

ATTENDEES = ("calendar:RequiredAttendees", "calendar:OptionalAttendees", "calendar:Resources")
#: what an invitation says and an attendee's event takes over
CARRIED = (
    "item:Subject", "item:Body", "item:Sensitivity", "item:Importance", "calendar:UID", "calendar:Start", "calendar:End",
    "calendar:StartTimeZone", "calendar:EndTimeZone", "calendar:IsAllDayEvent", "calendar:Location", "calendar:Recurrence",
    "calendar:Organizer", "calendar:AppointmentSequenceNumber", "calendar:IsResponseRequested",
    "calendar:AllowNewTimeProposal", "calendar:IsOnlineMeeting",
)  # fmt: skip
TIMES = ("calendar:Start", "calendar:End", "calendar:Recurrence", "calendar:StartTimeZone", "calendar:IsAllDayEvent")
#: an event of somebody who was asked to one occurrence only: which one it is
ORPHAN_OF = "calendar:RecurrenceId"
CANCELED = "Canceled: "


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


def note(item: Item, original_start: datetime | None, values: Values, by: str) -> None:
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


def event_with(mailbox: Mailbox, uid: str, original_start: datetime | None = None) -> Item | None:
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
    event = event_with(mailbox, uid, original_start)
    if event is None:
        return None
    return event, original_start if event.is_series else None


def place_again(request: Item) -> tuple[Item, datetime | None]:
    """The event that an invitation is about, put back into the calendar where the attendee had removed it."""
    uid, original_start = request.values["calendar:UID"], request.values.get(ORPHAN_OF)
    found = find(request.mailbox, uid, original_start)
    if found is None:
        place(request.mailbox, request.values, original_start, {}, set(), request.attachments)
        found = find(request.mailbox, uid, original_start)
        assert found is not None
    return found


def place(
    mailbox: Mailbox,
    said: Values,
    original_start: datetime | None,
    exceptions: dict[datetime, Override],
    deleted: set[datetime],
    attachments: list[Attachment],
) -> str:
    """Put the event into the attendee's calendar, or bring the one there up to date. Its id."""
    organisation = mailbox.organisation
    event = event_with(mailbox, said["calendar:UID"], original_start)
    values = {uri: said.get(uri) for uri in (*CARRIED, *ATTENDEES)}
    moved = event is None or any(
        said.get(uri) != state_of(event, original_start if event.is_series else None).get(uri) for uri in TIMES
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


def exceptions_of(source: Item) -> dict[datetime, Override]:
    """The changed occurrences as attendees get them: without what is the organiser's own."""
    own = {"calendar:MeetingRequestWasSent", "item:Categories", "item:ReminderIsSet", "item:ReminderMinutesBeforeStart"}
    return {
        start: Override({uri: copy.copy(value) for uri, value in one.values.items() if uri not in own})
        for start, one in source.exceptions.items()
    }


def mark_cancelled(mailbox: Mailbox, uid: str, sequence: int, original_start: datetime | None) -> str:
    """Mark the attendee's event, or the occurrence, as cancelled; it stays where it is. Its id, "" where there is none."""
    event = event_with(mailbox, uid, original_start)
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
    note(event, original_start, values, event.mailbox.address)
    for start in event.exceptions if original_start is None else ():
        _mark(event, start, sequence)
