"""What a CRM must be able to do to be kept in step with Exchange.

The contract in words; `tests/contract/` runs it against every implementation.

- Every change of an activity, its deletion too, gets a new version, higher than all before it *of that user*, and never becomes
  visible after a higher one. A reader that remembers the version it has read misses nothing.
- A deleted activity stays readable as a tombstone (``is_deleted``), so that its deletion is news and not absence.
- ``create`` with a key that was used before makes nothing and returns the activity that was made with it.
- ``update``, ``cancel``, ``remove``, ``restore``, ``reschedule`` take the version that was read and raise `StaleWrite` when it is no longer current.
- A removed activity is changed by ``restore`` alone; the others raise `NotThere` (``remove`` does nothing: it is removed).
- A change that changes nothing makes no version.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from ops_lib.model import Activity, ActivityStatus, Origin, When


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityContent:
    """What can be set on an activity. For an update, ``None`` leaves a field as it is; ``individual_id=""`` makes "For" blank."""

    type_id: str | None = None
    status: ActivityStatus | None = None
    description: str | None = None
    when: When | None = None
    location: str | None = None
    notes: str | None = None
    individual_id: str | None = None
    is_private: bool | None = None
    organizer: str | None = None
    attendees: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class CrmChanges:
    """What changed for a user since a version: the activities as they are now (tombstones too), and the version read up to."""

    activities: list[Activity]
    version: int


class Crm(Protocol):
    """The CRM as the sync sees it. Ids it does not know raise `NotThere`."""

    def changes(self, user_id: str, since: int) -> CrmChanges:
        """All of the user's activities whose version is above ``since`` (0: all that exist and all tombstones)."""

    def get(self, activity_ids: Collection[str]) -> dict[str, Activity]:
        """The activities by id, tombstones too; ids that never existed are missing."""

    def made_with(self, keys: Collection[str]) -> dict[str, Activity]:
        """The activities that were made with these keys, tombstones too, by key; a key that none was made with is missing."""

    def successors(self, activity_ids: Collection[str]) -> dict[str, Activity]:
        """What was made when these were rescheduled, and when that was, and so on: by id, tombstones too."""

    def predecessors(self, activity_ids: Collection[str]) -> dict[str, Activity]:
        """What these were rescheduled from, and what that was, and so on: by id, tombstones too."""

    def create(
        self, user_id: str, content: ActivityContent, *, origin: Origin, key: str, rescheduled_from: str | None = None
    ) -> Activity:
        """Make an activity, or return the one that ``key`` made before. ``type_id``, ``description`` and ``when`` are needed."""

    def update(self, activity_id: str, content: ActivityContent, *, version: int | None = None) -> Activity:
        """Set the given fields."""

    def cancel(self, activity_id: str, note: str, *, version: int | None = None) -> Activity:
        """Set the status Cancelled and add ``note`` as a line to its notes."""

    def remove(self, activity_id: str, *, version: int | None = None) -> Activity:
        """Take the activity off the calendar; it stays as a tombstone."""

    def restore(self, activity_id: str, content: ActivityContent, *, version: int | None = None) -> Activity:
        """Put a removed or cancelled activity back on the calendar with the given fields; Scheduled unless they say otherwise."""

    def reschedule(
        self,
        activity_id: str,
        when: When,
        *,
        key: str,
        content: ActivityContent | None = None,
        version: int | None = None,
    ) -> Activity:
        """Remove the activity and make a new one at ``when`` that names it in ``rescheduled_from``, in one step.

        The new one takes everything else from the old, its origin too, unless ``content`` says otherwise; a Cancelled one becomes
        Scheduled. With a key that was used before, nothing happens and that activity is returned.
        """
