"""What follows from an event's other properties, its series and its neighbours: FieldURI to XML."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache

from .. import series, zones
from ..series import Occurrence
from ..values import Person
from .elements import Compute, at, number, string, yes
from .views import View
from .xml import escape, instant, quote

_ATTENDEES = ("calendar:RequiredAttendees", "calendar:OptionalAttendees", "calendar:Resources")
_CANCELLED = 4
_RECEIVED = 2
_MEETING = 1


def is_meeting(view: View) -> bool:
    """Whether anybody was invited, or the event came as an invitation."""
    return any(view.values.get(uri) for uri in _ATTENDEES) or view.values.get("calendar:IsMeeting", False)


def is_organizer(view: View) -> bool:
    """Whether the mailbox's own user called the event."""
    organizer: Person | None = view.values.get("calendar:Organizer")
    return organizer is None or organizer.address.lower() == view.item.mailbox.address


def my_response(view: View) -> str:
    """What the mailbox's user has answered to the meeting."""
    given: str | None = view.values.get("calendar:MyResponseType")
    return given or ("Organizer" if is_organizer(view) else "NoResponseReceived")


def _state(view: View) -> int:
    state = _MEETING if is_meeting(view) else 0
    if state and not is_organizer(view):
        state |= _RECEIVED
    return state | (_CANCELLED if view.values.get("calendar:IsCancelled") else 0)


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


def _occurrence_xml(element: str, one: Occurrence, view: View) -> str:
    original = view.session.manners.exception_time(one.original_start, series.zone_of(one.master))
    return (
        f'<t:{element}><t:ItemId Id="{one.id}" ChangeKey="{one.master.change_key}"/><t:Start>{instant(one.start)}</t:Start>'
        f"<t:End>{instant(one.end)}</t:End><t:OriginalStart>{instant(original)}</t:OriginalStart></t:{element}>"
    )


def _edge(element: str, find: Callable[..., Occurrence | None]) -> Compute:
    def compute(view: View) -> str:
        if view.occurrence is not None or not view.item.is_series or not view.session.manners.says_first_and_last:
            return ""
        found = find(view.item)
        return "" if found is None else _occurrence_xml(element, found, view)

    return compute


def _modified(view: View) -> str:
    if view.occurrence is not None or not view.item.exceptions:
        return ""
    inner = "".join(_occurrence_xml("Occurrence", one, view) for one in series.modified(view.item))
    return f"<t:ModifiedOccurrences>{inner}</t:ModifiedOccurrences>" if inner else ""


def _deleted(view: View) -> str:
    if view.occurrence is not None or not view.item.deleted:
        return ""
    said, first, zone = (
        view.session.manners.occurrence_time,
        view.item.values["calendar:Start"],
        series.zone_of(view.item),
    )
    inner = "".join(
        f"<t:DeletedOccurrence><t:Start>{instant(said(start, first, zone))}</t:Start></t:DeletedOccurrence>"
        for start in sorted(view.item.deleted)
    )
    return f"<t:DeletedOccurrences>{inner}</t:DeletedOccurrences>"


# what else is in the calendar at the time


def _neighbours(view: View, *, adjacent: bool) -> list[View]:
    """The busy events right before and after this one, or those at the same time; looked for once a view."""
    if view.neighbours is None:
        view.neighbours = _look_around(view)
    return view.neighbours[adjacent]


def _look_around(view: View) -> tuple[list[View], list[View]]:
    """The busy events at the same time, and those that touch it."""
    conflicting: list[View] = []
    adjacent: list[View] = []
    start, end = view.values.get("calendar:Start"), view.values.get("calendar:End")
    if start is None or end is None or view.kind == "RecurringMaster":
        return conflicting, adjacent
    moment = timedelta(seconds=1)
    is_event = view.element == "CalendarItem"
    folder = view.item.folder if is_event else view.item.mailbox.folder("calendar")
    for one in series.in_window(folder.items.values(), start - moment, end + moment):
        other = View(one.master, view.session, one) if isinstance(one, Occurrence) else View(one, view.session)
        if not is_event and other.values.get("calendar:UID") == view.values.get("calendar:UID"):
            continue  # what the message is about
        if other.id == view.id or other.values.get("calendar:LegacyFreeBusyStatus") == "Free":
            continue
        other_start, other_end = other.values["calendar:Start"], other.values["calendar:End"]
        if other_start < end and other_end > start:
            conflicting.append(other)
        elif other_end == start or other_start == end:
            adjacent.append(other)
    return conflicting, adjacent


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


CALENDAR: dict[str, Compute] = {
    "calendar:RecurrenceId": at("RecurrenceId", lambda view: view.original_start),
    "calendar:DateTimeStamp": at("DateTimeStamp", lambda view: view.item.modified),
    "calendar:OriginalStart": at("OriginalStart", lambda view: view.original_start),
    "calendar:IsMeeting": yes("IsMeeting", is_meeting),
    "calendar:IsCancelled": yes("IsCancelled", lambda view: view.values.get("calendar:IsCancelled")),
    "calendar:IsRecurring": yes("IsRecurring", lambda view: view.kind != "Single"),
    "calendar:MeetingRequestWasSent": yes(
        "MeetingRequestWasSent", lambda view: view.values.get("calendar:MeetingRequestWasSent")
    ),
    "calendar:CalendarItemType": string("CalendarItemType", lambda view: view.kind),
    "calendar:MyResponseType": string("MyResponseType", my_response),
    "calendar:ConflictingMeetingCount": number(
        "ConflictingMeetingCount", lambda view: len(_neighbours(view, adjacent=False))
    ),
    "calendar:AdjacentMeetingCount": number("AdjacentMeetingCount", lambda view: len(_neighbours(view, adjacent=True))),
    "calendar:ConflictingMeetings": _neighbour_list("ConflictingMeetings", adjacent=False),
    "calendar:AdjacentMeetings": _neighbour_list("AdjacentMeetings", adjacent=True),
    "calendar:Duration": _duration,
    "calendar:TimeZone": string(
        "TimeZone",
        lambda view: zone_name(view.values.get("calendar:StartTimeZone") or "UTC", view.item.created.year),
    ),
    "calendar:AppointmentSequenceNumber": number(
        "AppointmentSequenceNumber", lambda view: view.values.get("calendar:AppointmentSequenceNumber") or 0
    ),
    "calendar:AppointmentState": number("AppointmentState", _state),
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
    "calendar:IsOrganizer": yes("IsOrganizer", is_organizer),
}
