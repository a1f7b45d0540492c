"""Properties that follow from others, or that the server knows by itself: FieldURI to XML.

Each function gets the view and gives the element, or "" where the item has no such property.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from .. import events, rights
from ..items import MAIL
from ..values import Body
from . import codecs
from .attachment_lists import has_any, listing
from .computed_calendar import CALENDAR, is_meeting, is_organizer
from .elements import Compute, at, number, string, yes
from .views import View
from .xml import boolean, escape, quote

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
    return total + 40 * len(view.extended) + sum(len(one.content) for one in view.attachments)


def _names(*uris: str) -> Callable[[View], str]:
    def compute(view: View) -> str:
        people = [one for uri in uris for one in view.values.get(uri) or ()]
        return "; ".join(one.name or one.address for one in people)

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


#: what can be answered to a message about a meeting, besides what can to any message
_ANSWERS = {
    "MeetingRequest": ("AcceptItem", "TentativelyAcceptItem", "DeclineItem"),
    "MeetingCancellation": ("RemoveItem",),
}


def _responses(view: View) -> str:
    names: tuple[str, ...] = ()
    if view.element == "CalendarItem":
        if not is_meeting(view):
            names = ("ForwardItem",)
        elif is_organizer(view):
            names = ("CancelCalendarItem", "ForwardItem")
        else:
            names = (*_ANSWERS["MeetingRequest"], "ReplyToItem", "ReplyAllToItem", "ForwardItem")
    elif view.element in MAIL and not view.values.get("item:IsDraft"):
        names = (*_ANSWERS.get(view.element, ()), "ReplyToItem", "ReplyAllToItem", "ForwardItem")
    inner = "".join(f"<t:{name}/>" for name in names)
    return f"<t:ResponseObjects>{inner}</t:ResponseObjects>" if inner else ""


def _conversation(view: View) -> str:
    topic = (view.values.get("item:Subject") or "").encode("utf-8", "replace")
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
    "item:Attachments": listing,
    "item:InternetMessageHeaders": lambda view: "",
    "item:DateTimeReceived": at("DateTimeReceived", lambda view: view.item.created),
    "item:Size": number("Size", size),
    "item:IsSubmitted": yes("IsSubmitted", lambda view: view.values.get("item:IsSubmitted")),
    "item:IsDraft": yes("IsDraft", lambda view: view.values.get("item:IsDraft")),
    "item:IsFromMe": yes("IsFromMe", lambda view: view.values.get("item:IsFromMe")),
    "item:IsResend": yes("IsResend", lambda view: False),
    "item:IsUnmodified": yes("IsUnmodified", lambda view: False),
    "item:DateTimeSent": at("DateTimeSent", lambda view: view.values.get("item:DateTimeSent") or view.item.created),
    "item:DateTimeCreated": at("DateTimeCreated", lambda view: view.item.created),
    "item:ResponseObjects": _responses,
    "item:ReminderDueBy": at("ReminderDueBy", _reminder_due),
    "item:ReminderNextTime": at("ReminderNextTime", _reminder_next),
    "item:DisplayCc": string("DisplayCc", _names("calendar:OptionalAttendees", "message:CcRecipients")),
    "item:DisplayTo": string("DisplayTo", _names("calendar:RequiredAttendees", "message:ToRecipients")),
    "item:DisplayBcc": string("DisplayBcc", _names("message:BccRecipients")),
    "item:HasAttachments": yes("HasAttachments", has_any),
    "item:EffectiveRights": _item_rights,
    "item:LastModifiedName": string("LastModifiedName", lambda view: view.session.name_of(view.item.modified_by)),
    "item:LastModifiedTime": at("LastModifiedTime", lambda view: view.item.modified),
    "item:IsAssociated": yes("IsAssociated", lambda view: view.item.associated),
    "item:WebClientReadFormQueryString": lambda view: _web_link("WebClientReadFormQueryString", view),
    "item:WebClientEditFormQueryString": lambda view: _web_link("WebClientEditFormQueryString", view),
    "item:ConversationId": _conversation,
    "item:InstanceKey": _instance_key,
    "item:Preview": string("Preview", lambda view: " ".join(_plain_body(view).split())[:255]),
    "item:IconIndex": string("IconIndex", _icon),
    **CALENDAR,
    "task:ChangeCount": number("ChangeCount", lambda view: view.values.get("task:ChangeCount") or 1),
    "task:DelegationState": lambda view: "<t:DelegationState>NoMatch</t:DelegationState>",
    "task:IsAssignmentEditable": lambda view: "<t:IsAssignmentEditable>0</t:IsAssignmentEditable>",
    "task:IsComplete": yes("IsComplete", lambda view: view.values.get("task:Status") == "Completed"),
    "task:IsRecurring": yes("IsRecurring", lambda view: view.values.get("task:Recurrence") is not None),
    "task:IsTeamTask": yes("IsTeamTask", lambda view: False),
    "task:StatusDescription": string(
        "StatusDescription",
        lambda view: events.STATUS_DESCRIPTIONS[view.values.get("task:Status") or "NotStarted"],
    ),
    "message:ConversationTopic": string("ConversationTopic", lambda view: view.values.get("item:Subject") or ""),
    "message:ConversationIndex": lambda view: (
        "<t:ConversationIndex>"
        f"{base64.b64encode(hashlib.sha256(view.item.id.encode()).digest()[:22]).decode()}</t:ConversationIndex>"
    ),
    "postitem:PostedTime": at("PostedTime", lambda view: view.item.created),
    "contacts:HasPicture": yes("HasPicture", lambda view: False),
}
