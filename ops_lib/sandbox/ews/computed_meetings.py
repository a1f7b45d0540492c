"""What follows from the rest of a message about a meeting: FieldURI to XML. What is not here is as with events and other messages."""

from __future__ import annotations

from datetime import datetime

from .. import ids, meeting_events
from ..items import MEETING_MESSAGES, Item
from .elements import Compute, at, string, yes
from .views import View


def event_of(view: View) -> tuple[Item, datetime | None] | None:
    """The event in the message's own mailbox that it is about, and which of its occurrences."""
    uid = view.values.get("calendar:UID")
    return meeting_events.find(view.item.mailbox, uid, view.values.get(meeting_events.ORPHAN_OF)) if uid else None


def is_out_of_date(view: View) -> bool:
    """Whether a later update of the meeting has arrived."""
    found = event_of(view)
    if found is None or view.element != "MeetingRequest":
        return False
    now: int = meeting_events.state_of(*found).get("calendar:AppointmentSequenceNumber") or 0
    then: int = view.values.get("calendar:AppointmentSequenceNumber") or 0
    return then < now


def _associated(view: View) -> str:
    item_id = view.values.get("meeting:AssociatedCalendarItemId")
    if not item_id:
        return ""
    named = ids.decode_id(item_id)
    box = view.session.organisation.mailbox_by_guid(named.mailbox)
    item = box.items.get(named.number) if box is not None else None
    return f'<t:AssociatedCalendarItemId Id="{item_id}" ChangeKey="{item.change_key}"/>' if item is not None else ""


def _response(view: View) -> str:
    given: str | None = view.values.get("meeting:ResponseType")
    if given:
        return given
    return "NoResponseReceived" if view.element == "MeetingRequest" else "Unknown"


_COMPUTED: dict[str, Compute] = {
    "meeting:AssociatedCalendarItemId": _associated,
    "meeting:IsDelegated": yes("IsDelegated", lambda view: False),
    "meeting:IsOutOfDate": yes("IsOutOfDate", is_out_of_date),
    "meeting:HasBeenProcessed": yes("HasBeenProcessed", lambda view: True),  # the server does it on arrival
    "meeting:ResponseType": string("ResponseType", _response),
    "meetingRequest:MeetingRequestType": string(
        "MeetingRequestType",
        lambda view: (
            "Outdated" if is_out_of_date(view) else view.values.get("meetingRequest:MeetingRequestType") or "None"
        ),
    ),
    "calendar:RecurrenceId": at("RecurrenceId", lambda view: view.values.get(meeting_events.ORPHAN_OF)),
    "calendar:OriginalStart": at("OriginalStart", lambda view: view.values.get(meeting_events.ORPHAN_OF)),
    "calendar:IsRecurring": yes("IsRecurring", lambda view: view.values.get("calendar:CalendarItemType") != "Single"),
    "calendar:CalendarItemType": string(
        "CalendarItemType", lambda view: view.values.get("calendar:CalendarItemType") or "Single"
    ),
}


def compute_of(element: str, uri: str) -> Compute | None:
    """What gives this property of such a message; None for everything that is as elsewhere."""
    return _COMPUTED.get(uri) if element in MEETING_MESSAGES else None
