"""What a real server makes of an event's or a task's properties when it stores them: defaults, whole days, statuses.

Source: Microsoft's "Time zones and EWS in Exchange" (all-day events go to the midnights of the creation zone) and the TaskStatus page.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from . import recurrence, zones
from .items import Values
from .values import Person

if TYPE_CHECKING:
    from .mailboxes import Mailbox

_UID_HEAD = "040000008200E00074C5B7101A82E008"
STATUS_DESCRIPTIONS = {
    "NotStarted": "Not Started",
    "InProgress": "In Progress",
    "Completed": "Completed",
    "WaitingOnOthers": "Waiting on someone else",
    "Deferred": "Deferred",
}


_LONGEST_SUBJECT = 255


def stored_subject(text: str) -> str:
    """A subject as the server keeps it: one of more than 255 UTF-16 units is cut, and says so by three dots.

    Source: exchangelib's maintainer on nylas/exchangelib #68.
    """
    raw = text.encode("utf-16-le", "surrogatepass")
    if len(raw) <= 2 * _LONGEST_SUBJECT:
        return text
    return raw[: 2 * (_LONGEST_SUBJECT - 3)].decode("utf-16-le", "ignore") + "..."


def midnights(start: datetime, end: datetime, zone_id: str) -> tuple[datetime, datetime]:
    """The whole days, in the zone, that an all-day event from ``start`` to ``end`` takes up; at least one."""
    zone = zones.zone(zone_id)
    local_start, local_end = start.astimezone(zone), end.astimezone(zone)
    first = local_start.date()
    last = local_end.date()
    if local_end.time() != time(0):
        last += timedelta(days=1)
    last = max(last, first + timedelta(days=1))
    return (
        datetime.combine(first, time(0), zone).astimezone(UTC),
        datetime.combine(last, time(0), zone).astimezone(UTC),
    )


def new_uid(mailbox: Mailbox, serial: int) -> str:
    """A UID as Exchange makes them: a global object id in hexadecimal."""
    unique = uuid5(NAMESPACE_URL, f"{mailbox.guid}/{serial}")
    return f"{_UID_HEAD}00000000{'0' * 16}{'0' * 16}10000000{unique.hex.upper()}"


def complete_event(values: Values, mailbox: Mailbox, serial: int) -> None:
    """Fill in what a new calendar item has without being told. Start and End are there and aware."""
    values.setdefault("calendar:StartTimeZone", mailbox.zone)
    values.setdefault("calendar:EndTimeZone", values["calendar:StartTimeZone"])
    values.setdefault("calendar:IsAllDayEvent", False)
    values.setdefault("calendar:LegacyFreeBusyStatus", "Busy")
    values.setdefault("calendar:UID", new_uid(mailbox, serial))
    values.setdefault("calendar:Organizer", Person(mailbox.name, mailbox.address))
    values.setdefault("item:ReminderIsSet", True)
    values.setdefault("item:ReminderMinutesBeforeStart", 15)
    settle_event(values)


SAY_WHEN = frozenset({"calendar:Start", "calendar:End", "calendar:IsAllDayEvent", "calendar:StartTimeZone"})
"""What an event's whole days come from."""


def settle_event(values: Values) -> None:
    """Bring an event's properties into the state the server keeps them in: whole days at local midnights."""
    if values.get("calendar:IsAllDayEvent"):
        values["calendar:Start"], values["calendar:End"] = midnights(
            values["calendar:Start"], values["calendar:End"], values.get("calendar:StartTimeZone") or "UTC"
        )


_START_ZONE, _END_ZONE = "calendar:StartTimeZone", "calendar:EndTimeZone"


def keep_local_times(before: Values, values: Values, given: set[object]) -> None:
    """Let an event whose zone was changed keep its times on the clock: the instants that were not ``given`` anew move.

    The whole days of an all-day event are those of its start's zone, its end's zone has no say in them.

    Source: Microsoft's "Update the time zone for an appointment by using EWS in Exchange".
    """
    end_zone = _START_ZONE if values.get("calendar:IsAllDayEvent") else _END_ZONE
    for uri, zone_uri in (
        ("calendar:Start", _START_ZONE),
        ("item:ReminderDueBy", _START_ZONE),
        ("calendar:End", end_zone),
    ):
        old, new = before.get(zone_uri) or "UTC", values.get(zone_uri) or "UTC"
        moment = before.get(uri)
        if moment is None or uri in given or old == new:
            continue
        wall = recurrence.local(moment, zones.zone(old)).replace(tzinfo=None)
        values[uri] = recurrence.instant(wall, zones.zone(new))


def align_series(values: Values) -> bool:
    """Let a series begin with its first occurrence, wherever its start was stated; False when it has none.

    The days come from the recurrence, the time of day and the length from Start and End. A single event is left as it is.
    """
    rule = values.get("calendar:Recurrence")
    if rule is None:
        return True
    zone = zones.zone(values.get("calendar:StartTimeZone") or "UTC")
    start = values["calendar:Start"]
    found = next(recurrence.starts(rule, start, zone), None)
    if found is None:
        return False
    if found[1] != start:
        length = recurrence.wall_duration(start, values["calendar:End"], zone)
        values["calendar:Start"], values["calendar:End"] = found[1], recurrence.end_after(found[1], length, zone)
    return True


def settle_task(values: Values, changed: set[str], now: datetime) -> None:
    """Keep Status, PercentComplete and CompleteDate of a task in step; ``changed`` says which of them was just set."""
    if "task:Status" in changed:
        status = values.get("task:Status") or "NotStarted"
        if status == "Completed":
            values["task:PercentComplete"] = 100.0
        elif "task:PercentComplete" not in changed and values.get("task:PercentComplete") == 100.0:
            values["task:PercentComplete"] = 0.0
    elif "task:PercentComplete" in changed:
        percent = values.get("task:PercentComplete") or 0.0
        if percent >= 100.0:
            values["task:Status"] = "Completed"
        elif values.get("task:Status") in (None, "NotStarted", "Completed"):
            values["task:Status"] = "InProgress" if percent > 0 else "NotStarted"
    elif "task:CompleteDate" in changed and values.get("task:CompleteDate") is not None:
        values["task:Status"], values["task:PercentComplete"] = "Completed", 100.0
    values.setdefault("task:Status", "NotStarted")
    values.setdefault("task:PercentComplete", 0.0)
    if values["task:Status"] == "Completed":
        if values.get("task:CompleteDate") is None:
            values["task:CompleteDate"] = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    else:
        values.pop("task:CompleteDate", None)
