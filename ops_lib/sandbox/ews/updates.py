"""UpdateItem, one ItemChange at a time: everything is read and checked before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .. import events, recurrence, recurring_tasks, series, zones
from ..items import MAIL, Extended, ExtendedName, Item, Override, Values
from ..values import Body
from . import extended, invitations
from .codecs import local_name
from .drafts import check_event, check_task, put_extended, read_field, settle_times
from .errors import ResponseError
from .properties import BY_URI, Property, is_field_uri
from .session import Session
from .shapes import read_path
from .views import View
from .xml import T

_UNDELETABLE = frozenset(
    [
        "item:ItemClass",
        "item:Sensitivity",
        "item:Importance",
        "calendar:Start",
        "calendar:End",
        "calendar:IsAllDayEvent",
        "calendar:UID",
        "calendar:StartTimeZone",
        "calendar:EndTimeZone",
        "calendar:LegacyFreeBusyStatus",
        "message:IsRead",
        "task:Status",
        "task:PercentComplete",
        "item:MimeContent",
    ]
)
_APPENDABLE = frozenset(
    [
        "item:Body",
        "message:ToRecipients",
        "message:CcRecipients",
        "message:BccRecipients",
        "message:ReplyTo",
        "calendar:RequiredAttendees",
        "calendar:OptionalAttendees",
        "calendar:Resources",
    ]
)
#: a change of one of these makes a series forget its changed and deleted occurrences
_SHAPING = ("calendar:Start", "calendar:End", "calendar:Recurrence", "calendar:StartTimeZone", "calendar:IsAllDayEvent")
_ZONES = frozenset(["calendar:StartTimeZone", "calendar:EndTimeZone"])
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One change: ``action`` is Set, Append or Delete; ``name`` a FieldURI or an extended name.

    ``entry`` is (key, part) where the change is about one entry of a dictionary, or about one part of an address in it.
    """

    action: str
    name: str | ExtendedName
    value: Any = None
    entry: tuple[str, str] | None = None


def _uri_xml(uri: str) -> str:
    return f'<t:FieldURI FieldURI="{uri}"/>'


def _row(element: str, uri: str, code: str) -> Property:
    row = BY_URI[element].get(uri)
    if row is None:
        raise ResponseError("ErrorInvalidPropertyRequest" if is_field_uri(uri) else code, xml=_uri_xml(uri))
    return row


def read_change(element: str, change: Any, session: Session) -> Change:
    """One SetItemField, AppendToItemField or DeleteItemField.

    Raises:
        ResponseError: the property cannot be changed so, or does not match its path.
    """
    action = local_name(change).removesuffix("Field").removesuffix("Item").removesuffix("To")
    path = read_path(change[0])
    if action == "Delete":
        if isinstance(path, str):
            row = _row(element, path, "ErrorInvalidPropertyDelete")
            if path in _UNDELETABLE or not row.writable:
                raise ResponseError("ErrorInvalidPropertyDelete", xml=_uri_xml(path))
        return Change("Delete", path, entry=_entry_of(change[0]))
    source = change[1]
    if len(source) != 1:
        raise ResponseError("ErrorIncorrectUpdatePropertyCount")
    child = source[0]
    if isinstance(path, ExtendedName):
        if child.tag != f"{T}ExtendedProperty":
            raise ResponseError("ErrorUpdatePropertyMismatch")
        name, value = extended.read_value(child)
        if name != path:
            raise ResponseError("ErrorUpdatePropertyMismatch")
        if action == "Append":
            raise ResponseError("ErrorInvalidPropertyAppend", xml=extended.write_name(path))
        return Change("Set", name, value)
    row = _row(element, path, "ErrorInvalidPropertySet")
    if local_name(child) != row.element:
        raise ResponseError("ErrorUpdatePropertyMismatch", xml=_uri_xml(path))
    if action == "Append" and path not in _APPENDABLE:
        raise ResponseError("ErrorInvalidPropertyAppend", xml=_uri_xml(path))
    _, value = read_field(element, child, session)
    return Change(action, path, value, _entry_of(change[0]))


def _entry_of(path: Any) -> tuple[str, str] | None:
    """(key, part) of an IndexedFieldURI; the part is "" but for the parts of a postal address."""
    if path.tag != f"{T}IndexedFieldURI":
        return None
    uri: str = path.get("FieldURI")
    return path.get("FieldIndex"), uri.rpartition(":")[2] if uri.startswith("contacts:PhysicalAddress:") else ""


def _with_entry(old: dict[str, Any], change: Change) -> dict[str, Any]:
    """The dictionary after one of its entries was set or deleted."""
    assert change.entry is not None
    key, part = change.entry
    new = dict(old)
    given = (change.value or {}).get(key)
    if not part:
        if given is None:
            new.pop(key, None)
        else:
            new[key] = given
        return new
    address = {name: text for name, text in (old.get(key) or {}).items() if name != part}
    if given and part in given:
        address[part] = given[part]
    new[key] = address
    return {name: parts for name, parts in new.items() if parts}


def _appended(old: Any, new: Any) -> Any:
    if isinstance(new, Body):
        return Body((old.text if old else "") + new.text, old.is_html if old else new.is_html)
    return [*(old or ()), *new]


def _apply(changes: list[Change], values: Values, extras: Extended) -> None:
    for change in changes:
        name = change.name
        if isinstance(name, ExtendedName):
            if change.action == "Delete":
                uri, _ = extended.WRITABLE_ALIASES.get(name, ("", None))
                values.pop(uri, None)
                extras.pop(name, None)
            else:
                put_extended(values, extras, name, change.value)
        elif change.entry is not None:
            values[name] = _with_entry(values.get(name) or {}, change)
        elif change.action == "Delete":
            values.pop(name, None)
        elif name == "calendar:MeetingTimeZone":  # what came before the two zones: both in one
            values["calendar:StartTimeZone"] = values["calendar:EndTimeZone"] = change.value
        elif change.action == "Append":
            values[name] = _appended(values.get(name), change.value)
        else:
            values[name] = change.value


def _field_key(view: View, change: Change) -> object:
    """What a field's last change is kept under: every occurrence of a series has fields of its own."""
    return change.name if view.occurrence is None else (view.occurrence.original_start, change.name)


def _check_conflict(root: Any, element: Any, view: View, changes: list[Change], session: Session) -> None:
    """Whether the change may be made in spite of what happened since the client read the item.

    NeverOverwrite: only with the current key. AutoResolve: also when the properties to be written have not changed since.
    AlwaysOverwrite: always.
    """
    item = view.item
    if not session.manners.checks_change_keys:
        return
    known = session.check_change_key(element)
    resolution = root.get("ConflictResolution")
    if resolution == "AlwaysOverwrite" or known == item.change:
        return
    if known is None:
        raise ResponseError("ErrorChangeKeyRequired")
    if resolution == "NeverOverwrite":
        raise ResponseError("ErrorIrresolvableConflict")
    for change in changes:
        name = change.name
        if item.field_changes.get(_field_key(view, change), 0) <= known:
            continue
        now = view.extended.get(name) if isinstance(name, ExtendedName) else view.values.get(name)
        if change.action != "Set" or now != change.value:
            raise ResponseError("ErrorIrresolvableConflict")


def _check_allowed(root: Any, view: View, session: Session) -> None:
    item = view.item
    if item.element == "CalendarItem" and root.get("SendMeetingInvitationsOrCancellations") is None:
        raise ResponseError("ErrorSendMeetingInvitationsOrCancellationsRequired")
    if item.element in MAIL and root.get("MessageDisposition") is None:
        raise ResponseError("ErrorMessageDispositionRequired")
    if not view.rights.may_edit(item.created_by == session.user) or view.hidden:
        raise ResponseError("ErrorAccessDenied")
    if (
        item.element == "CalendarItem"
        and item.folder.distinguished_id == "deleteditems"
        and root.get("SendMeetingInvitationsOrCancellations") != "SendToNone"
    ):
        raise ResponseError("ErrorCalendarCannotUpdateDeletedItem")


def apply_change(root: Any, element: Any, session: Session) -> View:
    """Apply one ItemChange; the item as it is afterwards.

    Raises:
        ResponseError: it may not be changed, has changed meanwhile, or cannot be changed so.
    """
    view = session.view(element[0])
    item = view.item
    _check_allowed(root, view, session)
    changes = [read_change(item.element, change, session) for change in element.find(f"{T}Updates")]
    _check_conflict(root, element[0], view, changes, session)
    if view.occurrence is not None:
        _update_occurrence(view, changes, session)
        after = session.occurrence_view(item, view.occurrence.original_start)
    else:
        _update_item(item, changes, session)
        after = View(item, session)
    if item.element == "CalendarItem":
        sending = root.get("SendMeetingInvitationsOrCancellations")
        invitations.after_update(view.values, after, sending or "SendToNone", [one.name for one in changes], session)
        after = session.view(element[0]) if view.occurrence is not None else View(item, session)
    return after


def _settle(before: Values, values: Values, changes: list[Change], session: Session) -> None:
    """Make the times of an item instants, after changes that may have set its times, its zones, or both."""
    given: set[object] = {change.name for change in changes}
    if "calendar:MeetingTimeZone" in given:
        given |= _ZONES
    settle_times(values, session, {uri: values[uri] for uri in _ZONES & given})
    events.keep_local_times(before, values, given)


def _update_item(item: Item, changes: list[Change], session: Session) -> None:
    values, extras = dict(item.values), dict(item.extended)
    _apply(changes, values, extras)
    _settle(item.values, values, changes, session)
    names = {change.name for change in changes}
    if item.element == "CalendarItem":
        if item.is_series and "calendar:Recurrence" not in names:
            _follow_start(item, values)
        _check_event(item.values, values, session)
        if any(values.get(uri, _MISSING) != item.values.get(uri, _MISSING) for uri in _SHAPING):
            item.exceptions, item.deleted = {}, set()
    elif item.element == "Task":
        check_task(values, set(names), session)
        events.settle_task(values, {name for name in names if isinstance(name, str)}, session.organisation.now())
        values["task:ChangeCount"] = (values.get("task:ChangeCount") or 1) + 1
        if _is_completing(item, values) and recurring_tasks.complete(
            item, values, session.organisation, by=session.user
        ):
            item.extended = extras
            item.mailbox.touch_item(item, session.user, names)
            return
    changed = {uri for uri in values.keys() | item.values.keys() if values.get(uri) != item.values.get(uri)}
    read_only = changed == {"message:IsRead"} and extras == item.extended
    item.values, item.extended = values, extras
    item.mailbox.touch_item(item, session.user, names | changed, read_flag_only=read_only)


def _check_event(before: Values, values: Values, session: Session) -> None:
    """Check the event and fill up whole days; those that are filled up are not filled up again where nothing is said of when it is."""
    says_when = any(values.get(uri) != before.get(uri) for uri in _SHAPING)
    check_event(values, session.organisation.now())
    if not says_when:
        values.update({uri: before[uri] for uri in ("calendar:Start", "calendar:End")})


def _is_completing(item: Item, values: Values) -> bool:
    """Whether a task that comes again is ticked off."""
    done = values["task:Status"] == "Completed" and item.values.get("task:Status") != "Completed"
    return done and values.get("task:Recurrence") is not None


def _follow_start(item: Item, values: Values) -> None:
    """A series whose start moves to another day begins on that day."""
    rule = values.get("calendar:Recurrence")
    if rule is None or values["calendar:Start"] == item.values["calendar:Start"]:
        return
    before = item.values["calendar:Start"].astimezone(series.zone_of(item)).date()
    zone = zones.zone(values.get("calendar:StartTimeZone") or "UTC")
    after = values["calendar:Start"].astimezone(zone).date()
    if before != after:
        values["calendar:Recurrence"] = recurrence.Recurrence(rule.pattern, replace(rule.range, start=after))


def _update_occurrence(view: View, changes: list[Change], session: Session) -> None:
    item, occurrence = view.item, view.occurrence
    assert occurrence is not None
    if any(change.name in ("calendar:Recurrence", "calendar:UID") for change in changes):
        raise ResponseError("ErrorInvalidPropertySet", xml=_uri_xml("calendar:Recurrence"))
    values = dict(occurrence.values)
    extras = dict(occurrence.override.extended) if occurrence.override else {}
    _apply(changes, values, extras)
    _settle(occurrence.values, values, changes, session)
    _check_event(occurrence.values, values, session)
    _check_neighbours(item, occurrence, values)
    override = item.exceptions.get(occurrence.original_start)
    if override is None:
        override = item.exceptions[occurrence.original_start] = Override()
    before = occurrence.values
    for uri in values.keys() | before.keys():
        if values.get(uri) != before.get(uri):
            override.values[uri] = values.get(uri)
    override.extended = extras
    item.mailbox.touch_item(item, session.user, [_field_key(view, change) for change in changes])
    override.change = item.change


def _check_neighbours(item: Item, occurrence: series.Occurrence, values: Values) -> None:
    """An occurrence stays between its neighbours, each on a day of its own.

    Raises:
        ResponseError: it would be on or beyond a neighbour's day.
    """
    zone = series.zone_of(item)
    day = values["calendar:Start"].astimezone(zone).date()
    if day == occurrence.start.astimezone(zone).date():
        return
    for step in (-1, 1):
        index = occurrence.index + step
        while index > 0:
            try:
                other = series.occurrence_by_index(item, index)
            except series.NoSuchOccurrence as problem:
                if not problem.deleted:
                    break
                index += step
                continue
            there = other.start.astimezone(zone).date()
            if (day <= there) if step < 0 else (day >= there):
                raise ResponseError(
                    "ErrorOccurrenceCrossingBoundary",
                    "Modified occurrence is crossing or overlapping adjacent occurrence.",
                )
            break
