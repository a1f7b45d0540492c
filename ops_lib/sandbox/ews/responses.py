"""Answers to invitations and cancellations: AcceptItem, TentativelyAcceptItem, DeclineItem, CancelCalendarItem, RemoveItem.

A client sends them with CreateItem in place of an item. ``MessageDisposition`` SaveOnly: nobody is told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from .. import meeting_events, meetings
from ..items import Item
from . import codecs
from .computed_meetings import event_of, is_out_of_date
from .envelope import success
from .errors import ResponseError
from .session import Session
from .shapes import ID_ONLY, render
from .views import View
from .xml import T


def _reference(element: Any, session: Session) -> View:
    named = element.find(f"{T}ReferenceItemId")
    if named is None:
        raise ResponseError("ErrorInvalidReferenceItem")
    return session.view(named)


def _check_may(item: Item, session: Session) -> None:
    if not item.mailbox.rights_of(session.user, item.folder).may_edit(item.created_by == session.user):
        raise ResponseError("ErrorAccessDenied")


def _items(*found: Item | None, session: Session) -> str:
    inner = "".join(render(View(item, session), ID_ONLY) for item in found if item is not None)
    return success("CreateItem", f"<m:Items>{inner}</m:Items>")


def _to_deleted_items(item: Item, session: Session) -> Item:
    return item.mailbox.move_item(item, item.mailbox.folder("deleteditems"), session.user)


def _disposition(session: Session) -> tuple[bool, bool]:
    """Whether anybody is told, and whether the sender keeps a copy."""
    given = session.request.root.get("MessageDisposition") or "SendAndSaveCopy"
    return given != "SaveOnly", given == "SendAndSaveCopy"


def _answer(response: str, word: str, refusal: str, element: Any, session: Session) -> str:
    view = _reference(element, session)
    request: Item | None = None
    event: Item
    start: datetime | None
    if view.element == "MeetingRequest":
        if is_out_of_date(view):
            raise ResponseError("ErrorCalendarMeetingRequestIsOutOfDate")
        request = view.item
        event, start = meeting_events.place_again(request)
    elif view.element == "CalendarItem":
        event, start = view.item, view.occurrence.original_start if view.occurrence is not None else None
    else:
        raise ResponseError(refusal)
    _check_may(event, session)
    values = meeting_events.state_of(event, start)
    if meeting_events.is_organised_by(event.mailbox, values):
        raise ResponseError(f"ErrorCalendarIsOrganizerFor{word}")
    if values.get("calendar:IsCancelled"):
        raise ResponseError(f"ErrorCalendarIsCancelledFor{word}")
    sending, save_copy = _disposition(session)
    body = element.find(f"{T}Body")
    left = meetings.answer(
        event,
        response,
        start,
        by=session.user,
        sending=sending,
        save_copy=save_copy,
        body=codecs.READ["body"](body) if body is not None else None,
        proposal=_proposal(element, session),
    )
    if request is not None:
        request = _to_deleted_items(request, session)
    return _items(left or event, request, session=session)


def _proposal(element: Any, session: Session) -> meetings.Proposal | None:
    times = [element.findtext(f"{T}{name}") for name in ("ProposedStart", "ProposedEnd")]
    if not all(times):
        return None
    start, end = (session.aware(codecs.read_instant(text)) for text in times)
    if end < start:
        raise ResponseError("ErrorCalendarEndDateIsEarlierThanStartDate")
    return meetings.Proposal(start, end)


def _cancel(element: Any, session: Session) -> str:
    """The organiser calls the meeting off: everybody is told, the event goes to Deleted Items."""
    view = _reference(element, session)
    if view.element != "CalendarItem":
        raise ResponseError("ErrorInvalidItemForOperationCancelItem")
    item, start = view.item, view.occurrence.original_start if view.occurrence is not None else None
    _check_may(item, session)
    if not meeting_events.is_organised_by(item.mailbox, view.values):
        raise ResponseError("ErrorCalendarIsNotOrganizer")
    sending, save_copy = _disposition(session)
    text = element.find(f"{T}NewBodyContent")
    if sending:
        meetings.send_cancellations(
            item,
            meeting_events.people(view.values),
            start,
            by=session.user,
            save_copy=save_copy,
            body=codecs.READ["body"](text) if text is not None else None,
        )
    if start is not None:
        session.organisation.delete_occurrence(item, start, by=session.user)
        return _items(item, session=session)
    return _items(session.organisation.delete_item(item, by=session.user), session=session)


def _remove(element: Any, session: Session) -> str:
    """The attendee takes a cancelled meeting off their calendar; event and message go to Deleted Items."""
    view = _reference(element, session)
    if view.element != "MeetingCancellation":
        raise ResponseError("ErrorInvalidItemForOperationRemoveItem")
    message = view.item
    if session.user != message.mailbox.address:
        raise ResponseError("ErrorCalendarIsDelegatedForRemove")
    found = event_of(view)
    left: Item | None = None
    if found is not None:
        event, start = found
        if meeting_events.is_organised_by(event.mailbox, event.values):
            raise ResponseError("ErrorCalendarIsOrganizerForRemove")
        if start is None:
            left = session.organisation.delete_item(event, by=session.user)
        else:
            session.organisation.delete_occurrence(event, start, by=session.user)
    return _items(left, _to_deleted_items(message, session), session=session)


#: what CreateItem does with these elements
RESPONSE_OBJECTS: dict[str, Callable[[Any, Session], str]] = {
    "AcceptItem": partial(_answer, "Accept", "Accept", "ErrorInvalidItemForOperationAcceptItem"),
    "TentativelyAcceptItem": partial(_answer, "Tentative", "Tentative", "ErrorInvalidItemForOperationTentative"),
    "DeclineItem": partial(_answer, "Decline", "Decline", "ErrorInvalidItemForOperationDeclineItem"),
    "CancelCalendarItem": _cancel,
    "RemoveItem": _remove,
}
