"""The CRM on SQL: what a user makes and the sync keeps in step. The contract is in `crm/__init__.py`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, bindparam, func, select, update

from ops_lib.crm import ActivityContent, CrmChanges
from ops_lib.crm.rows import activity_from, activity_query, number, when_columns
from ops_lib.database.engine import insert_unless_there
from ops_lib.database.tables import activities, activity_types, individuals, users
from ops_lib.errors import InputError, NotThere, StaleWrite
from ops_lib.model import Activity, ActivityStatus, Origin, When

CHANNEL = "syncops_crm"
"""Where PostgreSQL tells whose activities were written: the user's id."""

_T = TypeVar("_T")
_VALUES_PER_QUERY = 500
_KEY_LENGTH = 255


class SqlCrm:
    """The CRM within one transaction, at the moment ``now``. Commit and roll-back are the caller's."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._type_names: dict[int, str] = {}
        self._individual_names: dict[int, str] = {}

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────
    def changes(self, user_id: str, since: int) -> CrmChanges:
        """All of the user's activities whose version is above ``since``, in the order of their versions."""
        user = number(user_id)
        # One statement, one moment: reading the user's version apart from the rows could step over a change.
        found = [activity_from(row) for row in self._connection.execute(_CHANGES, {"user": user, "since": since})]
        if not found and (user is None or self._connection.execute(_USER, {"user": user}).scalar() is None):
            raise _no_user(user_id)
        return CrmChanges(found, found[-1].version if found else since)

    def get(self, activity_ids: Collection[str]) -> dict[str, Activity]:
        """The activities by id, tombstones too; ids that never existed are missing."""
        return {activity.activity_id: activity for activity in self._where(activities.c.id, _numbers(activity_ids))}

    def made_with(self, keys: Collection[str]) -> dict[str, Activity]:
        """The activities that were made with these keys, tombstones too, by key; a key that none was made with is missing."""
        kept = {_kept_key(key): key for key in keys}
        ids = dict[int, str]()
        for batch in _batches(list(kept)):
            query = select(activities.c.id, activities.c.creation_key).where(activities.c.creation_key.in_(batch))
            ids |= {row.id: kept[row.creation_key] for row in self._connection.execute(query)}
        return {ids[int(a.activity_id)]: a for a in self._where(activities.c.id, list(ids))}

    def successors(self, activity_ids: Collection[str]) -> dict[str, Activity]:
        """What was made when these were rescheduled, and when that was, and so on: by id, tombstones too."""
        found: dict[str, Activity] = {}
        before = _numbers(activity_ids)
        while before:
            made = [a for a in self._where(activities.c.rescheduled_from, before) if a.activity_id not in found]
            found |= {activity.activity_id: activity for activity in made}
            before = _numbers([activity.activity_id for activity in made])
        return found

    def predecessors(self, activity_ids: Collection[str]) -> dict[str, Activity]:
        """What these were rescheduled from, and what that was, and so on: by id, tombstones too."""
        found: dict[str, Activity] = {}
        later = self.get(activity_ids)
        while later:
            before = {a.rescheduled_from for a in later.values() if a.rescheduled_from is not None}
            later = self.get(before - found.keys())
            found |= later
        return found

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────
    def create(
        self, user_id: str, content: ActivityContent, *, origin: Origin, key: str, rescheduled_from: str | None = None
    ) -> Activity:
        """Make an activity, or return the one that ``key`` made before. ``type_id``, ``description`` and ``when`` are needed."""
        made_before = self._made_with(key)
        if made_before is not None:
            return made_before
        if content.type_id is None or content.description is None or content.when is None:
            raise InputError("a new activity needs a type, a description and a time")
        columns = self._columns(content)
        columns.setdefault("status", ActivityStatus.SCHEDULED.value)
        columns |= {
            "user_id": number(user_id),
            "origin": origin.value,
            "rescheduled_from": None if rescheduled_from is None else self._known(rescheduled_from),
            "creation_key": _kept_key(key),
            "token": secrets.token_hex(8),
            "updated_at": self._now,
            "version": self._next_version(user_id),
        }
        insert = insert_unless_there(self._connection, activities).returning(activities.c.id)
        made = self._connection.execute(insert, columns).scalar()
        if made is None:  # another transaction used the key while this one waited for it
            made_before = self._made_with(key)
            if made_before is None:
                raise StaleWrite(
                    "an activity with this key was being made and was taken back", subject=key, fix="try again."
                )
            return made_before
        return Activity(
            activity_id=str(made),
            user_id=user_id,
            type_id=content.type_id,
            type_name=self._type_names[columns["type_id"]],
            status=ActivityStatus(columns["status"]),
            description=content.description,
            when=content.when,
            origin=origin,
            location=content.location or "",
            notes=content.notes or "",
            individual_id=content.individual_id or None,
            individual_name=self._individual_names[columns["individual_id"]] if content.individual_id else "",
            is_private=bool(content.is_private),
            organizer=content.organizer or "",
            attendees=content.attendees or (),
            rescheduled_from=rescheduled_from,
            updated_at=self._now,
            version=columns["version"],
            token=columns["token"],
        )

    def update(self, activity_id: str, content: ActivityContent, *, version: int | None = None) -> Activity:
        """Set the given fields."""
        return self._write(self._locked(activity_id, version), self._columns(content))

    def cancel(self, activity_id: str, note: str, *, version: int | None = None) -> Activity:
        """Set the status Cancelled and add ``note`` as a line to its notes; one that is Cancelled stays as it is."""
        activity = self._locked(activity_id, version)
        if activity.status is ActivityStatus.CANCELLED:
            return activity
        notes = "\n".join(part for part in (activity.notes, note) if part)
        return self._write(activity, {"status": ActivityStatus.CANCELLED.value, "notes": notes})

    def remove(self, activity_id: str, *, version: int | None = None) -> Activity:
        """Take the activity off the calendar; it stays as a tombstone."""
        activity = self._locked(activity_id, version, even_removed=True)
        return self._write(activity, {"is_deleted": True})

    def restore(self, activity_id: str, content: ActivityContent, *, version: int | None = None) -> Activity:
        """Put a removed or cancelled activity back on the calendar with the given fields; Scheduled unless they say otherwise."""
        activity = self._locked(activity_id, version, even_removed=True)
        is_off = activity.is_deleted or activity.status is ActivityStatus.CANCELLED
        if is_off and content.status is None:
            content = replace(content, status=ActivityStatus.SCHEDULED)
        return self._write(activity, self._columns(content) | {"is_deleted": False})

    def reschedule(
        self,
        activity_id: str,
        when: When,
        *,
        key: str,
        content: ActivityContent | None = None,
        version: int | None = None,
    ) -> Activity:
        """Remove the activity and make a new one at ``when`` that names it in ``rescheduled_from``, in one step."""
        made_before = self._made_with(key)
        if made_before is not None:
            return made_before
        old = self._locked(activity_id, version)
        other = content or ActivityContent()
        status = ActivityStatus.SCHEDULED if old.status is ActivityStatus.CANCELLED else old.status
        new = ActivityContent(
            type_id=_or(other.type_id, old.type_id),
            status=_or(other.status, status),
            description=_or(other.description, old.description),
            when=when,
            location=_or(other.location, old.location),
            notes=_or(other.notes, old.notes),
            individual_id=_or(other.individual_id, old.individual_id),
            is_private=_or(other.is_private, old.is_private),
            organizer=_or(other.organizer, old.organizer),
            attendees=_or(other.attendees, old.attendees),
        )
        # The new one first: of two numbers, the one that takes something away is the later.
        made = self.create(old.user_id, new, origin=old.origin, key=key, rescheduled_from=old.activity_id)
        self._write(old, {"is_deleted": True})
        return made

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _where(self, column: Column[int], numbers: list[int]) -> Iterator[Activity]:
        """The activities with one of these numbers in the column."""
        for batch in _batches(numbers):
            yield from map(activity_from, self._connection.execute(activity_query().where(column.in_(batch))).all())

    def _locked(self, activity_id: str, version: int | None, *, even_removed: bool = False) -> Activity:
        """The activity as it is now, with its user's row held until the transaction ends: nobody changes it meanwhile."""
        identifier = number(activity_id)
        owner = select(activities.c.user_id).where(activities.c.id == identifier).scalar_subquery()
        self._connection.execute(select(users.c.id).where(users.c.id == owner).with_for_update(key_share=True))
        row = self._connection.execute(activity_query().where(activities.c.id == identifier)).one_or_none()
        if row is None:
            raise _no_activity(activity_id)
        activity = activity_from(row)
        if version is not None and version != activity.version:
            raise StaleWrite(
                "the activity was changed after it was read",
                subject=f"activity {activity_id}",
                fix="read it again, then change it.",
            )
        if activity.is_deleted and not even_removed:
            raise NotThere("the activity was removed from the calendar", subject=f"activity {activity_id}")
        return activity

    def _write(self, activity: Activity, columns: dict[str, Any]) -> Activity:
        """Set what differs, as the user's next version."""
        held = _held(activity)
        columns = {name: value for name, value in columns.items() if held[name] != value}
        if not columns:
            return activity
        identifier = number(activity.activity_id)
        columns |= {"version": self._next_version(activity.user_id), "updated_at": self._now}
        self._connection.execute(update(activities).where(activities.c.id == identifier).values(columns))
        return activity_from(self._connection.execute(activity_query().where(activities.c.id == identifier)).one())

    def _next_version(self, user_id: str) -> int:
        query = (
            update(users)
            .where(users.c.id == number(user_id))
            .values(change_version=users.c.change_version + 1)
            .returning(users.c.change_version)
        )
        version = self._connection.execute(query).scalar()
        if version is None:
            raise _no_user(user_id)
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(select(func.pg_notify(CHANNEL, user_id)))  # heard when this is committed
        return int(version)

    def _made_with(self, key: str) -> Activity | None:
        row = self._connection.execute(
            activity_query().where(activities.c.creation_key == _kept_key(key))
        ).one_or_none()
        return None if row is None else activity_from(row)

    def _columns(self, content: ActivityContent) -> dict[str, Any]:
        """The columns of the fields that are given."""
        columns: dict[str, Any] = {} if content.when is None else when_columns(content.when)
        if content.type_id is not None:
            columns["type_id"] = self._named(activity_types, content.type_id, self._type_names, "activity type")
        if content.individual_id is not None:
            columns["individual_id"] = (
                self._named(individuals, content.individual_id, self._individual_names, "individual")
                if content.individual_id
                else None
            )
        if content.status is not None:
            columns["status"] = content.status.value
        if content.attendees is not None:
            columns["attendees"] = list(content.attendees)
        for name in ("description", "location", "notes", "is_private", "organizer"):
            value = getattr(content, name)
            if value is not None:
                columns[name] = value
        return columns

    def _named(self, table: Any, identifier: str, names: dict[int, str], what: str) -> int:
        """The row's number, its name remembered: many activities of one transaction name the same few rows."""
        value = number(identifier)
        if value is not None and value not in names:
            name = self._connection.execute(select(table.c.name).where(table.c.id == value)).scalar()
            if name is not None:
                names[value] = name
        if value is None or value not in names:
            raise NotThere(f"there is no {what} {identifier}")
        return value

    def _known(self, activity_id: str) -> int:
        value = number(activity_id)
        if value is None or not self._exists(activities, value):
            raise _no_activity(activity_id)
        return value

    def _exists(self, table: Any, identifier: int) -> bool:
        return self._connection.execute(select(table.c.id).where(table.c.id == identifier)).scalar() is not None


# What every cycle asks, built once: to build a statement takes longer than to carry it out.
_CHANGES = (
    activity_query()
    .where(activities.c.user_id == bindparam("user"), activities.c.version > bindparam("since"))
    .order_by(activities.c.version)
)
_USER = select(users.c.id).where(users.c.id == bindparam("user"))


def _numbers(activity_ids: Collection[str]) -> list[int]:
    return sorted({value for value in map(number, activity_ids) if value is not None})


def _batches(values: list[_T]) -> Iterator[list[_T]]:
    for first in range(0, len(values), _VALUES_PER_QUERY):
        yield values[first : first + _VALUES_PER_QUERY]


def _held(activity: Activity) -> dict[str, Any]:
    """The columns that an activity has now."""
    return when_columns(activity.when) | {
        "type_id": number(activity.type_id),
        "individual_id": None if activity.individual_id is None else number(activity.individual_id),
        "status": activity.status.value,
        "attendees": list(activity.attendees),
        "description": activity.description,
        "location": activity.location,
        "notes": activity.notes,
        "is_private": activity.is_private,
        "organizer": activity.organizer,
        "is_deleted": activity.is_deleted,
    }


def _kept_key(key: str) -> str:
    """The key as it is kept: one that is too long for its column, as Outlook's ids may be, by its digest."""
    return key if len(key) <= _KEY_LENGTH else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _or(given: _T | None, otherwise: _T) -> _T:
    return otherwise if given is None else given


def _no_user(user_id: str) -> NotThere:
    return NotThere(f"there is no CRM user {user_id}")


def _no_activity(activity_id: str) -> NotThere:
    return NotThere(f"there is no activity {activity_id}", fix="syncops activity list shows them.")
