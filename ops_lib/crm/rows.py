"""Rows of the CRM's tables as values: the one place that knows both."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, select

from ops_lib.database.tables import activities, activity_types, individuals
from ops_lib.errors import InputError
from ops_lib.model import Activity, ActivityStatus, AllDay, Origin, Timed, When

_LARGEST_ID = 2**63 - 1


def number(identifier: str) -> int | None:
    """The row's number behind an id, or ``None`` for a text that can be no id of ours."""
    if not (identifier.isascii() and identifier.isdigit()):
        return None
    value = int(identifier)
    return value if value <= _LARGEST_ID else None


def activity_query() -> Select[Any]:
    """Activities with the names of their type and individual, ready for `activity_from`."""
    return (
        select(activities, activity_types.c.name.label("type_name"), individuals.c.name.label("individual_name"))
        .join(activity_types, activity_types.c.id == activities.c.type_id)
        .outerjoin(individuals, individuals.c.id == activities.c.individual_id)
    )


def activity_from(row: Row[Any]) -> Activity:
    """The activity in a row of `activity_query`."""
    when: When = AllDay(row.first_day, row.end_day) if row.is_all_day else Timed(row.starts_at, row.ends_at)
    return Activity(
        activity_id=str(row.id),
        user_id=str(row.user_id),
        type_id=str(row.type_id),
        type_name=row.type_name,
        status=ActivityStatus(row.status),
        description=row.description,
        when=when,
        origin=Origin(row.origin),
        location=row.location,
        notes=row.notes,
        individual_id=None if row.individual_id is None else str(row.individual_id),
        individual_name=row.individual_name or "",
        is_private=row.is_private,
        organizer=row.organizer,
        attendees=tuple(row.attendees),
        rescheduled_from=None if row.rescheduled_from is None else str(row.rescheduled_from),
        updated_at=row.updated_at,
        version=row.version,
        is_deleted=row.is_deleted,
        token=row.token,
    )


def when_columns(when: When) -> dict[str, Any]:
    """The columns that hold ``when``. **Raises** `InputError` for a day that ends before it starts, or a time without a zone."""
    if isinstance(when, AllDay):
        if when.end <= when.start:
            raise InputError(
                f"an all-day activity from {when.start} cannot end before {when.end}",
                fix="give the first day that is no longer part of it as its end.",
            )
        return {"is_all_day": True, "first_day": when.start, "end_day": when.end, "starts_at": None, "ends_at": None}
    if when.start.tzinfo is None or when.end.tzinfo is None:
        raise InputError("a time without a zone names no instant", fix="give it with its zone.")
    return {"is_all_day": False, "first_day": None, "end_day": None, "starts_at": when.start, "ends_at": when.end}
