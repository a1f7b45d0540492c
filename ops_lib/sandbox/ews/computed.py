"""Properties that follow from others, or that the server knows by itself: FieldURI to XML.

Each function gets the view and gives the element, or "" where the item has no such property.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache

from .. import events, rights, series, zones
from ..series import Occurrence
from ..values import Body, Person
from . import codecs
from .views import View
from .xml import boolean, escape, instant, quote

Compute = Callable[[View], str]

#: what an item has that nobody has set
DEFAULTS: dict[str, object] = {
    "item:Sensitivity": "Normal",
    "item:Importance": "Normal",
    "item:ReminderIsSet": False,
    "item:ReminderMinutesBeforeStart": 0,
    "item:Culture": "en-US",
    "calendar:IsAllDayEvent": False,
    "calendar:LegacyFreeBusyStatus": "Busy",
    "calendar:ConferenceType": 0,
    "calendar:AllowNewTimeProposal": True,
    "calendar:IsResponseRequested": True,
    "message:IsRead": False,
    "message:IsReadReceiptRequested": False,
    "message:IsDeliveryReceiptRequested": False,
    "message:IsResponseRequested": False,
    "task:Status": "NotStarted",
    "task:PercentComplete": 0.0,
}
_ATTENDEES = ("calendar:RequiredAttendees", "calendar:OptionalAttendees", "calendar:Resources")
_CANCELLED = 4
_RECEIVED = 2
_MEETING = 1


def is_meeting(view: View) -> bool:
    """Whether anybody was invited, or the event came as an invitation."""
    return any(view.values.get(uri) for uri in _ATTENDEES) or view.values.get("calendar:IsMeeting", False)


def _is_organizer(view: View) -> bool:
    organizer: Person | None = view.values.get("calendar:Organizer")
    return organizer is None or organizer.address.lower() == view.item.mailbox.address


def my_response(view: View) -> str:
    """What the mailbox's user has answered to the meeting."""
    given: str | None = view.values.get("calendar:MyResponseType")
    return given or ("Organizer" if _is_organizer(view) else "NoResponseReceived")


def _state(view: View) -> int:
    state = _MEETING if is_meeting(view) else 0
    if state and not _is_organizer(view):
        state |= _RECEIVED
    return state | (_CANCELLED if view.values.get("calendar:IsCancelled") else 0)


def size(view: View) -> int:
    """The item's size in bytes, about."""
    total = 300
    for value in view.values.values():
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, Body):
            total += len(value.text)
        else:
            total += 16
    return total + 40 * len(view.extended)


def _names(*uris: str) -> Callable[[View], str]:
    def compute(view: View) -> str:
        people = [one for uri in uris for one in view.values.get(uri) or ()]
        return "; ".join(one.name or one.address for one in people)

    return compute


def _at(element: str, read: Callable[[View], datetime | None]) -> Compute:
    def compute(view: View) -> str:
        value = read(view)
        return "" if value is None else f"<t:{element}>{instant(value)}</t:{element}>"

    return compute


def _yes(element: str, read: Callable[[View], object]) -> Compute:
    return lambda view: f"<t:{element}>{boolean(read(view))}</t:{element}>"


def _number(element: str, read: Callable[[View], int]) -> Compute:
    return lambda view: f"<t:{element}>{read(view)}</t:{element}>"


def _string(element: str, read: Callable[[View], str]) -> Compute:
    def compute(view: View) -> str:
        text = read(view)
        return f"<t:{element}>{escape(text)}</t:{element}>" if text else f"<t:{element}/>"

    return compute


def effective_rights(found: rights.EffectiveRights) -> str:
    """The element ``EffectiveRights``."""
    return (
        f"<t:EffectiveRights><t:CreateAssociated>{boolean(found.create_associated)}</t:CreateAssociated>"
        f"<t:CreateContents>{boolean(found.create_contents)}</t:CreateContents>"
        f"<t:CreateHierarchy>{boolean(found.create_hierarchy)}</t:CreateHierarchy><t:Delete>{boolean(found.delete)}</t:Delete>"
        f"<t:Modify>{boolean(found.modify)}</t:Modify><t:Read>{boolean(found.read)}</t:Read>"
        f"<t:ViewPrivateItems>{boolean(found.view_private_items)}</t:ViewPrivateItems></t:EffectiveRights>"
    )


def _item_rights(view: View) -> str:
    user = view.session.user
    item = view.item
    return effective_rights(rights.on_item(view.rights, item.created_by == user, item.mailbox.sees_private(user)))


def _responses(view: View) -> str:
    names: tuple[str, ...] = ()
    if view.element == "CalendarItem":
        if not is_meeting(view):
            names = ("ForwardItem",)
        elif _is_organizer(view):
            names = ("CancelCalendarItem", "ForwardItem")
        else:
            names = (
                "AcceptItem",
                "TentativelyAcceptItem",
                "DeclineItem",
                "ReplyToItem",
                "ReplyAllToItem",
                "ForwardItem",
            )
    elif view.element == "Message" and not view.values.get("item:IsDraft"):
        names = ("ReplyToItem", "ReplyAllToItem", "ForwardItem")
    inner = "".join(f"<t:{name}/>" for name in names)
    return f"<t:ResponseObjects>{inner}</t:ResponseObjects>" if inner else ""


@lru_cache(maxsize=512)
def zone_xml(element: str, zone_id: str, year: int) -> str:
    """A time zone by id and name."""
    name = zone_name(zone_id, year)
    return f'<t:{element} Id="{quote(zone_id)}" Name="{quote(name)}"/>'


@lru_cache(maxsize=512)
def zone_name(zone_id: str, year: int) -> str:
    """What people call the zone."""
    try:
        return zones.definition(zone_id, year).name
    except zones.UnknownZone:
        return zone_id


def _zone(element: str, uri: str) -> Compute:
    def compute(view: View) -> str:
        zone_id = view.values.get(uri)
        return zone_xml(element, zone_id, view.item.created.year) if zone_id else ""

    return compute


def _zone_id(element: str, uri: str) -> Compute:
    return lambda view: f"<t:{element}>{escape(view.values[uri])}</t:{element}>" if view.values.get(uri) else ""


def _wall_clock(element: str, uri: str, zone_uri: str) -> Compute:
    def compute(view: View) -> str:
        at = view.values.get(uri)
        if at is None:
            return ""
        local = at.astimezone(zones.zone(view.values.get(zone_uri) or "UTC"))
        return f"<t:{element}>{local.replace(microsecond=0).isoformat()}</t:{element}>"

    return compute


def _duration(view: View) -> str:
    if "calendar:Start" not in view.values or "calendar:End" not in view.values:
        return ""
    minutes = int((view.values["calendar:End"] - view.values["calendar:Start"]).total_seconds() // 60)
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    text = "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")
    return f"<t:Duration>{text if text != 'P' else 'PT0S'}</t:Duration>"


# series


def _occurrence_xml(element: str, one: Occurrence) -> str:
    return (
        f'<t:{element}><t:ItemId Id="{one.id}" ChangeKey="{one.master.change_key}"/><t:Start>{instant(one.start)}</t:Start>'
        f"<t:End>{instant(one.end)}</t:End><t:OriginalStart>{instant(one.original_start)}</t:OriginalStart></t:{element}>"
    )


def _edge(element: str, find: Callable[..., Occurrence | None]) -> Compute:
    def compute(view: View) -> str:
        if view.occurrence is not None or not view.item.is_series:
            return ""
        found = find(view.item)
        return "" if found is None else _occurrence_xml(element, found)

    return compute


def _modified(view: View) -> str:
    if view.occurrence is not None or not view.item.exceptions:
        return ""
    inner = "".join(_occurrence_xml("Occurrence", one) for one in series.modified(view.item))
    return f"<t:ModifiedOccurrences>{inner}</t:ModifiedOccurrences>" if inner else ""


def _deleted(view: View) -> str:
    if view.occurrence is not None or not view.item.deleted:
        return ""
    inner = "".join(
        f"<t:DeletedOccurrence><t:Start>{instant(start)}</t:Start></t:DeletedOccurrence>"
        for start in sorted(view.item.deleted)
    )
    return f"<t:DeletedOccurrences>{inner}</t:DeletedOccurrences>"


# what else is in the calendar at the time


def _neighbours(view: View, *, adjacent: bool) -> list[View]:
    if view.item.is_series and view.occurrence is None:
        return []
    start, end = view.values.get("calendar:Start"), view.values.get("calendar:End")
    if start is None or end is None:
        return []
    moment = timedelta(seconds=1)
    found = series.in_window(view.item.folder.items.values(), start - moment, end + moment)
    views = []
    for one in found:
        other = View(one.master, view.session, one) if isinstance(one, Occurrence) else View(one, view.session)
        if other.id == view.id or other.values.get("calendar:LegacyFreeBusyStatus") == "Free":
            continue
        other_start, other_end = other.values["calendar:Start"], other.values["calendar:End"]
        touching = other_end == start or other_start == end
        if touching if adjacent else other_start < end and other_end > start:
            views.append(other)
    return views


def _neighbour_xml(view: View) -> str:
    values = view.values
    return (
        f'<t:CalendarItem><t:ItemId Id="{view.id}" ChangeKey="{view.change_key}"/>'
        f"<t:Subject>{escape(values.get('item:Subject') or '')}</t:Subject><t:Start>{instant(values['calendar:Start'])}</t:Start>"
        f"<t:End>{instant(values['calendar:End'])}</t:End>"
        f"<t:LegacyFreeBusyStatus>{values.get('calendar:LegacyFreeBusyStatus') or 'Busy'}</t:LegacyFreeBusyStatus>"
        f"<t:Location>{escape(values.get('calendar:Location') or '')}</t:Location></t:CalendarItem>"
    )


def _neighbour_list(element: str, *, adjacent: bool) -> Compute:
    def compute(view: View) -> str:
        inner = "".join(_neighbour_xml(one) for one in _neighbours(view, adjacent=adjacent))
        return f"<t:{element}>{inner}</t:{element}>" if inner else ""

    return compute


def _conversation(view: View) -> str:
    topic = (view.values.get("item:Subject") or "").encode()
    raw = b"\x00\x04\x24\x00" + view.item.mailbox.guid.encode() + b"\x10\x00" + hashlib.sha256(topic).digest()[:16]
    return f'<t:ConversationId Id="{base64.b64encode(raw).decode()}"/>'


def _instance_key(view: View) -> str:
    return f"<t:InstanceKey>{base64.b64encode(hashlib.sha256(view.id.encode()).digest()[:20]).decode()}</t:InstanceKey>"


def _web_link(element: str, view: View) -> str:
    return f"<t:{element}>?ItemID={quote(view.id)}&amp;exvsurl=1&amp;viewmodel=ReadMessageItem</t:{element}>"


def _plain_body(view: View) -> str:
    body: Body = view.values.get("item:Body") or Body("")
    return codecs.text_of_html(body.text) if body.is_html else body.text


def _reminder_due(view: View) -> datetime | None:
    given: datetime | None = view.values.get("item:ReminderDueBy")
    return given or view.values.get("calendar:Start")


def _reminder_next(view: View) -> datetime | None:
    due = _reminder_due(view)
    if due is None or not view.values.get("item:ReminderIsSet"):
        return None
    return due - timedelta(minutes=view.values.get("item:ReminderMinutesBeforeStart") or 0)


def _icon(view: View) -> str:
    if view.element == "CalendarItem":
        return (
            "AppointmentRecur"
            if view.kind != "Single"
            else "AppointmentMeet"
            if is_meeting(view)
            else "AppointmentItem"
        )
    if view.element == "Task":
        return "TaskItem"
    return "MailRead" if view.values.get("message:IsRead") else "MailUnread"


COMPUTED: dict[str, Compute] = {
    "item:ParentFolderId": lambda view: (
        f'<t:ParentFolderId Id="{view.item.folder.id}" ChangeKey="{view.item.folder.change_key}"/>'
    ),
    "item:ItemClass": lambda view: f"<t:ItemClass>{escape(view.item_class)}</t:ItemClass>",
    "item:Attachments": lambda view: "",
    "item:InternetMessageHeaders": lambda view: "",
    "item:DateTimeReceived": _at("DateTimeReceived", lambda view: view.item.created),
    "item:Size": _number("Size", size),
    "item:IsSubmitted": _yes("IsSubmitted", lambda view: view.values.get("item:IsSubmitted")),
    "item:IsDraft": _yes("IsDraft", lambda view: view.values.get("item:IsDraft")),
    "item:IsFromMe": _yes("IsFromMe", lambda view: view.values.get("item:IsFromMe")),
    "item:IsResend": _yes("IsResend", lambda view: False),
    "item:IsUnmodified": _yes("IsUnmodified", lambda view: False),
    "item:DateTimeSent": _at("DateTimeSent", lambda view: view.item.created),
    "item:DateTimeCreated": _at("DateTimeCreated", lambda view: view.item.created),
    "item:ResponseObjects": _responses,
    "item:ReminderDueBy": _at("ReminderDueBy", _reminder_due),
    "item:ReminderNextTime": _at("ReminderNextTime", _reminder_next),
    "item:DisplayCc": _string("DisplayCc", _names("calendar:OptionalAttendees", "message:CcRecipients")),
    "item:DisplayTo": _string("DisplayTo", _names("calendar:RequiredAttendees", "message:ToRecipients")),
    "item:DisplayBcc": _string("DisplayBcc", _names("message:BccRecipients")),
    "item:HasAttachments": _yes("HasAttachments", lambda view: False),
    "item:EffectiveRights": _item_rights,
    "item:LastModifiedName": _string("LastModifiedName", lambda view: view.session.name_of(view.item.modified_by)),
    "item:LastModifiedTime": _at("LastModifiedTime", lambda view: view.item.modified),
    "item:IsAssociated": _yes("IsAssociated", lambda view: view.item.associated),
    "item:WebClientReadFormQueryString": lambda view: _web_link("WebClientReadFormQueryString", view),
    "item:WebClientEditFormQueryString": lambda view: _web_link("WebClientEditFormQueryString", view),
    "item:ConversationId": _conversation,
    "item:InstanceKey": _instance_key,
    "item:Preview": _string("Preview", lambda view: " ".join(_plain_body(view).split())[:255]),
    "item:IconIndex": _string("IconIndex", _icon),
    "calendar:RecurrenceId": _at("RecurrenceId", lambda view: view.original_start),
    "calendar:DateTimeStamp": _at("DateTimeStamp", lambda view: view.item.modified),
    "calendar:OriginalStart": _at("OriginalStart", lambda view: view.original_start),
    "calendar:IsMeeting": _yes("IsMeeting", is_meeting),
    "calendar:IsCancelled": _yes("IsCancelled", lambda view: view.values.get("calendar:IsCancelled")),
    "calendar:IsRecurring": _yes("IsRecurring", lambda view: view.kind != "Single"),
    "calendar:MeetingRequestWasSent": _yes(
        "MeetingRequestWasSent", lambda view: view.values.get("calendar:MeetingRequestWasSent")
    ),
    "calendar:CalendarItemType": _string("CalendarItemType", lambda view: view.kind),
    "calendar:MyResponseType": _string("MyResponseType", my_response),
    "calendar:ConflictingMeetingCount": _number(
        "ConflictingMeetingCount", lambda view: len(_neighbours(view, adjacent=False))
    ),
    "calendar:AdjacentMeetingCount": _number(
        "AdjacentMeetingCount", lambda view: len(_neighbours(view, adjacent=True))
    ),
    "calendar:ConflictingMeetings": _neighbour_list("ConflictingMeetings", adjacent=False),
    "calendar:AdjacentMeetings": _neighbour_list("AdjacentMeetings", adjacent=True),
    "calendar:Duration": _duration,
    "calendar:TimeZone": _string(
        "TimeZone",
        lambda view: zone_name(view.values.get("calendar:StartTimeZone") or "UTC", view.item.created.year),
    ),
    "calendar:AppointmentSequenceNumber": _number(
        "AppointmentSequenceNumber", lambda view: view.values.get("calendar:AppointmentSequenceNumber") or 0
    ),
    "calendar:AppointmentState": _number("AppointmentState", _state),
    "calendar:FirstOccurrence": _edge("FirstOccurrence", series.first),
    "calendar:LastOccurrence": _edge("LastOccurrence", series.last),
    "calendar:ModifiedOccurrences": _modified,
    "calendar:DeletedOccurrences": _deleted,
    "calendar:MeetingTimeZone": lambda view: "",
    "calendar:StartTimeZone": _zone("StartTimeZone", "calendar:StartTimeZone"),
    "calendar:EndTimeZone": _zone("EndTimeZone", "calendar:EndTimeZone"),
    "calendar:StartTimeZoneId": _zone_id("StartTimeZoneId", "calendar:StartTimeZone"),
    "calendar:EndTimeZoneId": _zone_id("EndTimeZoneId", "calendar:EndTimeZone"),
    "calendar:StartWallClock": _wall_clock("StartWallClock", "calendar:Start", "calendar:StartTimeZone"),
    "calendar:EndWallClock": _wall_clock("EndWallClock", "calendar:End", "calendar:EndTimeZone"),
    "calendar:IsOrganizer": _yes("IsOrganizer", _is_organizer),
    "task:ChangeCount": _number("ChangeCount", lambda view: view.values.get("task:ChangeCount") or 1),
    "task:DelegationState": lambda view: "<t:DelegationState>NoMatch</t:DelegationState>",
    "task:IsAssignmentEditable": lambda view: "<t:IsAssignmentEditable>0</t:IsAssignmentEditable>",
    "task:IsComplete": _yes("IsComplete", lambda view: view.values.get("task:Status") == "Completed"),
    "task:IsRecurring": _yes("IsRecurring", lambda view: view.values.get("task:Recurrence") is not None),
    "task:IsTeamTask": _yes("IsTeamTask", lambda view: False),
    "task:StatusDescription": _string(
        "StatusDescription",
        lambda view: events.STATUS_DESCRIPTIONS[view.values.get("task:Status") or "NotStarted"],
    ),
    "message:ConversationTopic": _string("ConversationTopic", lambda view: view.values.get("item:Subject") or ""),
    "message:ConversationIndex": lambda view: (
        "<t:ConversationIndex>"
        f"{base64.b64encode(hashlib.sha256(view.item.id.encode()).digest()[:22]).decode()}</t:ConversationIndex>"
    ),
    "postitem:PostedTime": _at("PostedTime", lambda view: view.item.created),
    "contacts:HasPicture": _yes("HasPicture", lambda view: False),
}
