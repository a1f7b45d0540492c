"""Whether an activity or an event takes part in the sync, and if not, why not, in words a person understands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ops_lib.model import Activity, ActivityStatus, AllDay, Kind, Link, Origin, Policy, Reschedule, Timed, When, Window
from ops_lib.sync.mapping import instants, overlaps

CRM_BORN_DAYS = 90
"""A CRM-born entry is kept in step until so many days after its end (REQUIREMENTS, table F)."""


NOT_BEFORE = "its start is not before its end"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPolicy:
    """What a host and an account say about how their entries are kept in step, and the moment they are looked at."""

    now: datetime
    zone: ZoneInfo
    window: Window
    type_ids: frozenset[str]
    all_day_tasks: bool
    conflict: Policy = "latest"
    reschedule: Reschedule = "replace"

    def fingerprint(self) -> str:
        """What decides which entries are in scope, whatever the time: when it changes, everything is read again."""
        return f"types={','.join(sorted(self.type_ids))};all_day_tasks={self.all_day_tasks};zone={self.zone.key}"


def kind_of(activity: Activity, link: Link | None = None) -> Kind:
    """What a CRM-born activity is in Exchange: timed an event, all-day a task.

    An event that was made all-day in Outlook stays an event; only a switch in the CRM makes event and task change places.
    """
    if activity.origin is Origin.EXCHANGE:
        return Kind.EVENT
    if link is not None and isinstance(activity.when, AllDay) == isinstance(link.agreed.when, AllDay):
        return link.kind
    return Kind.TASK if isinstance(activity.when, AllDay) else Kind.EVENT


def is_gone(activity: Activity) -> bool:
    """Whether the CRM says that it does not take place."""
    return activity.is_deleted or activity.status is ActivityStatus.CANCELLED


def is_current(origin: Origin, when: When, policy: SyncPolicy) -> bool:
    """Whether it lies in the time that is kept in step."""
    if origin is Origin.EXCHANGE:
        return overlaps(when, policy.window, policy.zone)
    return instants(when, policy.zone).end >= policy.now - timedelta(days=CRM_BORN_DAYS)


def why_not(activity: Activity, policy: SyncPolicy, link: Link | None = None) -> str:
    """Why this activity, as it is now, does not go to Outlook; empty when it does. Time is judged by `is_current`."""
    is_backwards = isinstance(activity.when, Timed) and activity.when.start > activity.when.end
    if activity.origin is Origin.EXCHANGE:  # it is in Outlook, where an event may end when it starts; whatever its type
        return NOT_BEFORE if is_backwards else ""
    if activity.type_id not in policy.type_ids:
        return f"its type {activity.type_name!r} is not among the types that this host sends to Outlook"
    if is_backwards or (isinstance(activity.when, Timed) and activity.when.start == activity.when.end):
        return NOT_BEFORE
    if kind_of(activity, link) is Kind.TASK:
        if not policy.all_day_tasks:
            return "it is all-day, and tasks are not enabled for both host and account"
        if link is None and activity.status is ActivityStatus.COMPLETED:
            return "it is all-day and already completed"
    return ""
