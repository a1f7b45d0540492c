"""The CRM's calendar as people see it: what stands on it, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, and_, or_

from ops_lib.crm.rows import activity_from, activity_query, number
from ops_lib.database.tables import activities, users
from ops_lib.model import Activity, Origin, Timed
from ops_lib.sync.mapping import instant_text, midnight, overlaps, window_around

Bound = date | datetime
"""Where a part of the calendar begins or ends: an instant, or the midnight of a day in the reader's zone."""


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """An activity on the calendar of the user with that email."""

    activity: Activity
    user_email: str

    def as_json(self) -> dict[str, Any]:
        """The entry as the command line's contract gives it; an all-day one from its first day's to its end day's midnight, as if in UTC."""
        activity = self.activity
        start, end = _span(activity)
        return {
            "id": activity.activity_id,
            "user": self.user_email,
            "type": activity.type_name,
            "status": activity.status.value,
            "description": activity.description,
            "start": instant_text(start),
            "end": instant_text(end),
            "all_day": not isinstance(activity.when, Timed),
            "date": None if isinstance(activity.when, Timed) else activity.when.start.isoformat(),
            "for": activity.individual_id,
            "location": activity.location,
            "notes": activity.notes,
            "origin": activity.origin.value,
            "private": activity.is_private,
        }


def calendar(
    connection: Connection,
    *,
    now: datetime,
    zone: ZoneInfo,
    user_id: str | None = None,
    start: Bound | None = None,
    end: Bound | None = None,
) -> list[CalendarEntry]:
    """What stands on a user's calendar, or everybody's, by start and then id; removed activities do not.

    ``start`` and ``end`` (exclusive) choose what overlaps that time; days among them are days in ``zone``, and for all-day
    entries, which have no zone, simply days. Without both, what came from Outlook is shown from 2 days back to 90 ahead of
    ``now``, whole days in its user's zone (O1).
    """
    query = (
        activity_query()
        .add_columns(users.c.email, users.c.time_zone)
        .join(users, users.c.id == activities.c.user_id)
        .where(~activities.c.is_deleted)
    )
    if user_id is not None:
        query = query.where(activities.c.user_id == number(user_id))
    for condition in (_ends_after(start, zone), _starts_before(end, zone)):
        if condition is not None:
            query = query.where(condition)
    zones: dict[str, ZoneInfo] = {}
    entries = []
    for row in connection.execute(query):
        activity = activity_from(row)
        if start is None and end is None and activity.origin is Origin.EXCHANGE:
            own = zones.setdefault(row.time_zone, ZoneInfo(row.time_zone))
            if not overlaps(activity.when, window_around(now, own), own):
                continue
        entries.append(CalendarEntry(activity, row.email))
    return sorted(entries, key=lambda entry: (_span(entry.activity)[0], int(entry.activity.activity_id)))


def _starts_before(end: Bound | None, zone: ZoneInfo) -> ColumnElement[bool] | None:
    if end is None:
        return None
    if isinstance(end, datetime):
        return or_(
            activities.c.starts_at < end,
            activities.c.first_day <= (end.astimezone(UTC) - timedelta(microseconds=1)).date(),
        )
    return or_(activities.c.starts_at < midnight(end, zone), activities.c.first_day < end)


def _ends_after(start: Bound | None, zone: ZoneInfo) -> ColumnElement[bool] | None:
    if start is None:
        return None
    if isinstance(start, datetime):
        instant, day = start, start.astimezone(UTC).date()
    else:
        instant, day = midnight(start, zone), start
    return or_(
        activities.c.ends_at > instant,
        and_(activities.c.starts_at >= instant, activities.c.ends_at <= activities.c.starts_at),  # of no length
        activities.c.end_day > day,
    )


def _span(activity: Activity) -> tuple[datetime, datetime]:
    when = activity.when
    if isinstance(when, Timed):
        return when.start, when.end
    return datetime.combine(when.start, time(), UTC), datetime.combine(when.end, time(), UTC)
