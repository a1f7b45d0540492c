"""What is asked of the server, as XML: exactly the operations and properties the suite uses, each valid by Microsoft's schema.

Folders are always named by their distinguished id *and* the mailbox: without the mailbox a server takes the signed-in user's own folder.
Nothing is ever mailed: every write says SendToNone and SaveOnly.

Source: the EWS schema (Exchange2013_SP1, Exchange2016); the EWS reference on time zones (a time ending in Z is that instant; StartTimeZone is
the zone the event was made in, and all-day events are normalised to its midnights).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from lxml import etree
from tzlocal.windows_tz import tz_win, win_tz

from ops_lib.mailbox import STAMP_NAME, STAMP_PROPERTY_SET, ItemContent, ItemUpdate
from ops_lib.model import AllDay, Kind, When, Window

MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"

PAGE_SIZE = 512
"""Changes asked for in one SyncFolderItems: the most the schema allows."""

BATCH_SIZE = 50
"""Items read, written or looked up in one request."""

FIND_PAGE_SIZE = 200
"""Items of one page of a search with a restriction, of which Exchange gives 250 at most."""

VIEW_SIZE = 1000
"""Items of one calendar view: the most Exchange gives by default."""

_NAMESPACES = {"m": MESSAGES, "t": TYPES}
_FOLDERS = {Kind.EVENT: "calendar", Kind.TASK: "tasks"}
_ELEMENTS = {Kind.EVENT: "CalendarItem", Kind.TASK: "Task"}

_COMMON = (
    "item:Subject",
    "item:Sensitivity",
    "item:Categories",
    "item:Importance",
    "item:ReminderIsSet",
    "item:HasAttachments",
    "item:LastModifiedTime",
)
LISTED = {
    Kind.EVENT: (
        *_COMMON,
        "item:ReminderMinutesBeforeStart",
        "calendar:UID",
        "calendar:RecurrenceId",
        "calendar:Start",
        "calendar:End",
        "calendar:OriginalStart",
        "calendar:IsAllDayEvent",
        "calendar:LegacyFreeBusyStatus",
        "calendar:Location",
        "calendar:IsMeeting",
        "calendar:IsCancelled",
        "calendar:CalendarItemType",
        "calendar:Organizer",
        "calendar:StartTimeZone",
    ),
    Kind.TASK: (*_COMMON, "task:DueDate", "task:IsComplete", "task:PercentComplete", "task:StartDate", "task:Status"),
}
"""What lists (SyncFolderItems, FindItem) are asked for."""

READ = {
    Kind.EVENT: (*LISTED[Kind.EVENT], "item:Body", "calendar:RequiredAttendees", "calendar:OptionalAttendees"),
    Kind.TASK: (*LISTED[Kind.TASK], "item:Body"),
}
"""What GetItem is asked for: lists cannot give bodies and people."""

SERIES = (*READ[Kind.EVENT], "calendar:Recurrence", "calendar:ModifiedOccurrences", "calendar:DeletedOccurrences")
"""What a master is asked for whose occurrences are computed."""

Element = Any  # lxml has no types of its own


@dataclass(frozen=True, slots=True)
class Numbered:
    """An occurrence by its number in its series, from 1; ``change_key`` is the master's."""

    master_id: str
    change_key: str
    number: int


def _m(name: str, parent: Element | None = None, /, **attributes: str) -> Element:
    tag = f"{{{MESSAGES}}}{name}"
    return etree.Element(tag, attributes, _NAMESPACES) if parent is None else etree.SubElement(parent, tag, attributes)


def _t(name: str, parent: Element, text: str | None = None, /, **attributes: str) -> Element:
    element = etree.SubElement(parent, f"{{{TYPES}}}{name}", attributes)
    if text is not None:
        element.text = clean(text)
    return element


_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """Text without the characters XML cannot hold (a pasted control character would make the whole batch fail)."""
    return _NOT_IN_XML.sub("", text)


# ── shapes and folders ───────────────────────────────────────────────────────────────────────────────────────────────
def _stamp_uri(parent: Element) -> Element:
    return _t(
        "ExtendedFieldURI", parent, PropertySetId=STAMP_PROPERTY_SET, PropertyName=STAMP_NAME, PropertyType="String"
    )


def _shape(parent: Element, properties: Sequence[str], *, with_body: bool = False) -> None:
    shape = _m("ItemShape", parent)
    _t("BaseShape", shape, "IdOnly")
    if with_body:
        _t("BodyType", shape, "HTML")  # one form for all: a text body comes as HTML, and we write HTML
    additional = _t("AdditionalProperties", shape)
    for name in properties:
        _t("FieldURI", additional, FieldURI=name)
    _stamp_uri(additional)


def _folder(parent: Element, kind: Kind, address: str) -> None:
    mailbox = _t("Mailbox", _t("DistinguishedFolderId", parent, Id=_FOLDERS[kind]))
    _t("EmailAddress", mailbox, address)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def get_folder(kind: Kind, address: str) -> Element:
    """The default folder with its effective rights."""
    request = _m("GetFolder")
    shape = _m("FolderShape", request)
    _t("BaseShape", shape, "IdOnly")
    additional = _t("AdditionalProperties", shape)
    for name in ("folder:DisplayName", "folder:FolderClass", "folder:TotalCount", "folder:EffectiveRights"):
        _t("FieldURI", additional, FieldURI=name)
    _folder(_m("FolderIds", request), kind, address)
    return request


def sync_folder_items(kind: Kind, address: str, sync_state: str) -> Element:
    """The changes of the default folder since a state; an empty state asks for everything."""
    request = _m("SyncFolderItems")
    _shape(request, LISTED[kind])
    _folder(_m("SyncFolderId", request), kind, address)
    if sync_state:
        _m("SyncState", request).text = sync_state
    _m("MaxChangesReturned", request).text = str(PAGE_SIZE)
    return request


def calendar_view(address: str, window: Window) -> Element:
    """Single events and occurrences that touch the window."""
    request = _m("FindItem", Traversal="Shallow")
    _shape(request, LISTED[Kind.EVENT])
    _m(
        "CalendarView",
        request,
        MaxEntriesReturned=str(VIEW_SIZE),
        StartDate=instant(window.start),
        EndDate=instant(window.end),
    )
    _folder(_m("ParentFolderIds", request), Kind.EVENT, address)
    return request


def find_stamps(kind: Kind, address: str, stamps: Sequence[str], offset: int) -> Element:
    """The items that carry one of the stamps, from an offset on; without stamps: every item."""
    request = _m("FindItem", Traversal="Shallow")
    _shape(request, LISTED[kind])
    _m(
        "IndexedPageItemView",
        request,
        MaxEntriesReturned=str(FIND_PAGE_SIZE),
        Offset=str(offset),
        BasePoint="Beginning",
    )
    if stamps:
        place = _m("Restriction", request)
        if len(stamps) > 1:
            place = _t("Or", place)
        for stamp in stamps:
            equal = _t("IsEqualTo", place)
            _stamp_uri(equal)
            _t("Constant", _t("FieldURIOrConstant", equal), Value=clean(stamp))
    _folder(_m("ParentFolderIds", request), kind, address)
    return request


def get_items(kind: Kind, item_ids: Sequence[str]) -> Element:
    """Items with body and people."""
    request = _m("GetItem")
    _shape(request, READ[kind], with_body=True)
    place = _m("ItemIds", request)
    for item_id in item_ids:
        _t("ItemId", place, Id=item_id)
    return request


def get_masters(item_ids: Sequence[str]) -> Element:
    """The series the occurrences belong to."""
    request = _m("GetItem")
    _shape(request, READ[Kind.EVENT], with_body=True)
    place = _m("ItemIds", request)
    for item_id in item_ids:
        _t("RecurringMasterItemId", place, OccurrenceId=item_id)
    return request


def get_series(master_ids: Sequence[str]) -> Element:
    """Masters with all that their occurrences are computed from."""
    request = _m("GetItem")
    _shape(request, SERIES, with_body=True)
    place = _m("ItemIds", request)
    for master_id in master_ids:
        _t("ItemId", place, Id=master_id)
    return request


def get_numbered(numbered: Sequence[Numbered]) -> Element:
    """Occurrences by their number in their series, to be compared with what is expected there."""
    request = _m("GetItem")
    _shape(request, LISTED[Kind.EVENT])
    place = _m("ItemIds", request)
    for each in numbered:
        _numbered(place, each)
    return request


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def create_items(kind: Kind, address: str, contents: Sequence[ItemContent]) -> Element:
    """New items in the default folder, stamped, mailing nobody."""
    attributes = {"MessageDisposition": "SaveOnly"}
    if kind is Kind.EVENT:
        attributes["SendMeetingInvitations"] = "SendToNone"
    request = _m("CreateItem", **attributes)
    _folder(_m("SavedItemFolderId", request), kind, address)
    place = _m("Items", request)
    for content in contents:
        item = _t(_ELEMENTS[kind], place)
        for name, element in _properties(kind, content):
            if not _is_empty(name, element):
                item.append(element)
    return request


def update_items(updates: Sequence[ItemUpdate], numbered: Mapping[str, Numbered] | None = None) -> Element:
    """Changes of items as they were read; a changed one is refused by servers that look at change keys. One kind a request.

    ``numbered`` says of occurrences without an id of the server, by our own, which they are. Their zone is their series' and not written.
    """
    places = numbered or {}
    attributes = {"ConflictResolution": "NeverOverwrite", "MessageDisposition": "SaveOnly"}
    if updates[0].kind is Kind.EVENT:
        attributes["SendMeetingInvitationsOrCancellations"] = "SendToNone"
    request = _m("UpdateItem", **attributes)
    place = _m("ItemChanges", request)
    for update in updates:
        change = _t("ItemChange", place)
        if update.item_id in places:
            _numbered(change, places[update.item_id])
        else:
            identity = {"Id": update.item_id} | ({"ChangeKey": update.change_key} if update.change_key else {})
            _t("ItemId", change, **identity)
        fields = _t("Updates", change)
        for name, element in _properties(update.kind, update.content):
            if update.item_id in places and name in _OF_THE_SERIES:
                continue
            is_empty = _is_empty(name, element)
            field = _t("DeleteItemField" if is_empty else "SetItemField", fields)
            if name == _STAMP:
                _stamp_uri(field)
            else:
                _t("FieldURI", field, FieldURI=name)
            if not is_empty:
                _t(_ELEMENTS[update.kind], field).append(element)
    return request


def writes_anything(update: ItemUpdate) -> bool:
    """Whether an update has a property to write at all: an event, for one, is never complete."""
    return bool(_properties(update.kind, update.content))


def delete_items(kind: Kind, item_ids: Sequence[str | Numbered]) -> Element:
    """Items into Deleted Items, mailing nobody."""
    attributes = {"DeleteType": "MoveToDeletedItems"}
    if kind is Kind.EVENT:
        attributes["SendMeetingCancellations"] = "SendToNone"
    else:
        attributes["AffectedTaskOccurrences"] = "AllOccurrences"
    request = _m("DeleteItem", **attributes)
    place = _m("ItemIds", request)
    for item_id in item_ids:
        if isinstance(item_id, Numbered):
            _numbered(place, item_id)
        else:
            _t("ItemId", place, Id=item_id)
    return request


_STAMP = "stamp"
_OF_THE_SERIES = frozenset({"calendar:StartTimeZone", "calendar:EndTimeZone"})


def _numbered(place: Element, each: Numbered) -> None:
    key = {"ChangeKey": each.change_key} if each.change_key else {}
    _t("OccurrenceItemId", place, RecurringMasterId=each.master_id, **key, InstanceIndex=str(each.number))


def _is_empty(name: str, element: Element) -> bool:
    """A place or a stamp that is empty is one that is not there."""
    return name in ("calendar:Location", _STAMP) and not "".join(element.itertext())


def _properties(kind: Kind, content: ItemContent) -> list[tuple[str, Element]]:
    """Each property that is written, by its FieldURI, in the schema's order."""
    item = etree.Element(f"{{{TYPES}}}item", nsmap={"t": TYPES})
    named: list[tuple[str, Element]] = []

    def put(field: str, text: str | None = None, **attributes: str) -> Element:
        element = _t(field.partition(":")[2], item, text, **attributes)
        named.append((field, element))
        return element

    if content.subject is not None:
        put("item:Subject", content.subject)
    if content.body_html is not None:
        put("item:Body", content.body_html, BodyType="HTML")
    if content.has_reminder is not None:
        put("item:ReminderIsSet", _boolean(content.has_reminder))
    if content.stamp is not None:
        extended = _t("ExtendedProperty", item)
        _stamp_uri(extended)
        _t("Value", extended, content.stamp)
        named.append((_STAMP, extended))
    if kind is Kind.EVENT:
        if content.when is not None:
            start, end = event_times(content.when, content.time_zone)
            put("calendar:Start", instant(start))
            put("calendar:End", instant(end))
            put("calendar:IsAllDayEvent", _boolean(isinstance(content.when, AllDay)))
        if content.location is not None:
            put("calendar:Location", content.location)
        if content.when is not None:
            zone, _ = windows_zone(content.time_zone)
            put("calendar:StartTimeZone", Id=zone)
            put("calendar:EndTimeZone", Id=zone)
    else:
        if content.when is not None:
            put("task:DueDate", day(task_day(content.when)))
        if content.is_complete is not None:
            put("task:PercentComplete", "100" if content.is_complete else "0")
        if content.when is not None:
            put("task:StartDate", day(task_day(content.when)))
        if content.is_complete is not None:
            put("task:Status", "Completed" if content.is_complete else "NotStarted")
    return named


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def instant(value: datetime) -> str:
    """An aware instant as EWS writes it: UTC, whole seconds, Z."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(value: date) -> str:
    return f"{value.isoformat()}T00:00:00Z"


def task_day(when: When) -> date:
    """The day a task is due: the first, since an all-day activity has one date and Exchange's tasks have no length."""
    return when.start if isinstance(when, AllDay) else when.start.astimezone(UTC).date()


def event_times(when: When, time_zone: str) -> tuple[datetime, datetime]:
    """The two instants of an event; whole days are the midnights of the zone the event is made in, as the server knows it: a place that went its
    own way since Windows' list was made has others, and the server would make two days of one."""
    if not isinstance(when, AllDay):
        return when.start, when.end
    zone = ZoneInfo(win_tz[windows_zone(time_zone)[0]])
    start, end = datetime.combine(when.start, time(), zone), datetime.combine(when.end, time(), zone)
    # A midnight that daylight saving skips is 01:00 of a new day, which a server would fill up. An hour earlier it fills up the right one.
    is_skipped = end.astimezone(UTC).astimezone(zone).time() != time()
    return start, end.replace(fold=1) if is_skipped else end


@cache
def windows_zone(time_zone: str) -> tuple[str, ZoneInfo]:
    """The Windows id Exchange knows a zone by, and the zone itself; UTC for one that has none (`knows_zone` says so).

    An old name that Windows' list leaves out (GMT, EST5EDT) goes by a zone whose clocks show the same.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):
        return "UTC", ZoneInfo("UTC")
    name = tz_win.get(time_zone) or next(
        (name for name in dict.fromkeys(("UTC", *tz_win.values())) if _show_the_same(zone, name)), ""
    )
    return (name, zone) if name else ("UTC", ZoneInfo("UTC"))


def _show_the_same(zone: ZoneInfo, name: str) -> bool:
    """Whether a Windows zone's clock shows what this one's does, on the 15th of every month of twelve years."""
    other = ZoneInfo(win_tz[name])
    days = (datetime(year, month, 15, tzinfo=UTC) for year in range(2020, 2032) for month in range(1, 13))
    return all(day.astimezone(zone).utcoffset() == day.astimezone(other).utcoffset() for day in days)


def knows_zone(time_zone: str) -> bool:
    """Whether events are made in this zone, not in UTC for want of a name."""
    return windows_zone(time_zone)[1].key == time_zone


def _boolean(value: bool) -> Literal["true", "false"]:
    return "true" if value else "false"
