"""What CreateItem, UpdateItem and DeleteItem mail about meetings, by what the client asks to be sent."""

from __future__ import annotations

from collections.abc import Iterable

from .. import meeting_events, meetings
from ..items import Item, Values
from .session import Session
from .views import View

_TIMES = {"calendar:Start", "calendar:End", "calendar:Recurrence"}


def _saves(sending: str) -> bool:
    return sending.endswith("SaveCopy")


def after_create(item: Item, sending: str, session: Session) -> None:
    """The new event's invitations."""
    if sending != "SendToNone":
        meetings.send_requests(item, meeting_events.people(item.values), by=session.user, save_copy=_saves(sending))


def after_update(before: Values, view: View, sending: str, changed: Iterable[object], session: Session) -> None:
    """The changed event's updates: only the organiser sends any. A new time makes a new sequence number.

    ``before`` are the values of the event, or the occurrence, as they were.
    """
    item, start = view.item, view.occurrence.original_start if view.occurrence is not None else None
    if not (meeting_events.people(before) or meeting_events.people(view.values)):
        return
    if not meeting_events.is_organised_by(item.mailbox, view.values):
        return
    if _TIMES & set(changed):
        number = (before.get("calendar:AppointmentSequenceNumber") or 0) + 1
        values = item.values if start is None else item.exceptions[start].values
        values["calendar:AppointmentSequenceNumber"] = number
    if sending != "SendToNone":
        meetings.send_updates(
            item, before, start, everybody="Changed" not in sending, by=session.user, save_copy=_saves(sending)
        )


def before_delete(view: View, sending: str, session: Session) -> None:
    """The cancellations of an event that is about to go; an attendee's event says to its organiser that they decline."""
    item, start = view.item, view.occurrence.original_start if view.occurrence is not None else None
    if sending == "SendToNone" or view.element != "CalendarItem" or view.values.get("calendar:IsCancelled"):
        return
    if meeting_events.is_organised_by(item.mailbox, view.values):
        meetings.send_cancellations(
            item, meeting_events.people(view.values), start, by=session.user, save_copy=_saves(sending)
        )
    else:
        meetings.send_answer(item, "Decline", start, by=session.user, save_copy=_saves(sending))
