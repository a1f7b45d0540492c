"""What a mailbox's own copy of a meeting keeps when the client asks to send invitations, and the record of what was to be mailed.

The messages themselves, and the attendees' copies, belong to the module of meetings.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..items import Item, Values
from ..mailboxes import Mailbox
from ..store import Outgoing
from ..values import Person
from .session import Session
from .views import View

_ATTENDEES = ("calendar:RequiredAttendees", "calendar:OptionalAttendees", "calendar:Resources")
_RECIPIENTS = ("message:ToRecipients", "message:CcRecipients", "message:BccRecipients")


def _addresses(people: Iterable[Person]) -> tuple[str, ...]:
    return tuple(one.address for one in people)


def recipients_of(values: Values) -> tuple[str, ...]:
    """Everybody a message goes to."""
    return tuple(address for uri in _RECIPIENTS for address in _addresses(values.get(uri) or ()))


def attendees_of(values: Values) -> tuple[str, ...]:
    """Everybody an event's invitations go to."""
    return tuple(address for uri in _ATTENDEES for address in _addresses(values.get(uri) or ()))


def record(
    session: Session, mailbox: Mailbox, kind: str, recipients: tuple[str, ...], subject: str, item_id: str
) -> None:
    """Note a message that goes out."""
    organisation = session.organisation
    organisation.outbox.append(Outgoing(organisation.now(), mailbox.address, kind, recipients, subject, item_id))


def _send(item: Item, values: Values, kind: str, session: Session) -> None:
    recipients = attendees_of(values)
    if recipients:
        record(session, item.mailbox, kind, recipients, values.get("item:Subject") or "", item.id)


def after_create(item: Item, sending: str, session: Session) -> None:
    """The new event's invitations."""
    if sending != "SendToNone" and attendees_of(item.values):
        item.values["calendar:MeetingRequestWasSent"] = True
        _send(item, item.values, "MeetingRequest", session)


def after_update(item: Item, sending: str, changed: Iterable[object], session: Session) -> None:
    """The changed event's updates; a new time makes a new sequence number."""
    if not attendees_of(item.values):
        return
    if {"calendar:Start", "calendar:End", "calendar:Recurrence"} & set(changed):
        item.values["calendar:AppointmentSequenceNumber"] = (
            item.values.get("calendar:AppointmentSequenceNumber") or 0
        ) + 1
    if sending != "SendToNone":
        item.values["calendar:MeetingRequestWasSent"] = True
        _send(item, item.values, "MeetingRequest", session)


def before_delete(view: View, sending: str, session: Session) -> None:
    """The cancellations of an event that is about to go."""
    if sending != "SendToNone" and view.element == "CalendarItem":
        _send(view.item, view.values, "MeetingCancellation", session)
