"""What a cycle will do, decided before the first write. `SYNC.md` is its specification, state by state.

`plan` is pure: the same inputs give the same changes in the same order. It is handed, for every entry that may have changed, what the CRM and
Exchange hold now or the explicit news that it is gone, and what both held when they last agreed. What it is not handed has not changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ops_lib.model import Activity, Change, Item, ItemType, Kind, Link, LinkState, Origin
from ops_lib.sync.mapping import differing, entry_of_activity, entry_of_item, instants, overlaps, shared_fields
from ops_lib.sync.matching import Agreement, ExchangeNews, match_items
from ops_lib.sync.pair import Pair, holds_more_than_ours, link_key
from ops_lib.sync.scope import SyncPolicy, is_current, is_gone, kind_of, why_not
from ops_lib.sync.stamps import named_by


def plan(
    activities: Mapping[str, Activity], exchange: ExchangeNews, agreed: Agreement, policy: SyncPolicy
) -> list[Change]:
    """The changes that bring both sides to agreement, those that take away last.

    ``activities`` are those of the account's user that may have changed, by id, tombstones too.
    """
    matches = match_items(exchange, agreed.links)
    changes: list[Change] = []
    linked = {link.activity_id for link in agreed.links if link.state in (LinkState.ACTIVE, LinkState.RESTING)}
    stand_ins = successors(activities)
    # First of all: a successor whose own item is found does not need its predecessor's.
    adopted = _adopt(matches.strangers, activities, agreed, policy, exchange, linked)
    changes.extend(adopted.changes)
    taken_over: set[str] = set()
    for link in agreed.links:
        if link.state is LinkState.REPLACED:
            changes.append(_finish_replacement(link, exchange, matches.of_link.get(link.link_id)))
            continue
        successor = stand_ins.get(link.activity_id)
        item = matches.of_link.get(link.link_id)
        if item is None and successor is None and link.activity_id not in activities and not _has_news(link, exchange):
            continue
        if (
            successor is not None
            and successor.activity_id not in linked
            and successor.activity_id not in adopted.activity_ids
            and _is_moved_in_place(link, item, policy, exchange.unread)
        ):
            taken_over.add(successor.activity_id)
            pair = Pair(
                link=link,
                activity=successor,
                exchange=exchange,
                policy=policy,
                item=item,
                is_successor=True,
            )
        else:
            pair = Pair(
                link=link,
                activity=activities.get(link.activity_id),
                exchange=exchange,
                policy=policy,
                item=item,
                rescheduled_to=successor.activity_id if successor is not None else None,
            )
        changes.extend(pair.changes())
    for activity in activities.values():
        if (
            activity.activity_id not in linked
            and activity.activity_id not in taken_over
            and activity.activity_id not in adopted.activity_ids
        ):
            changes.extend(_new_activity(activity, activities, agreed, policy))
    changes.extend(_unexpanded(master, reason) for master, reason in exchange.unexpanded.values())
    changes.extend(_unread(exchange, {link.item_id for link in agreed.links}))
    return sorted(changes, key=_order)


def _has_news(link: Link, exchange: ExchangeNews) -> bool:
    """Whether anything but its item says something about a link; most links of an account are as they were."""
    return (
        link.item_id in exchange.gone
        or link.item_id in exchange.unread
        or link.item_id in exchange.masters
        or link.uid in exchange.whole_series
    )


def _unexpanded(master: Item, reason: str) -> Change:
    """A series that cannot be shown: what is known of its occurrences stays as it is."""
    return Change(action="skip", side="crm", kind=master.kind, key=f"item:{master.item_id}", item=master, reason=reason)


def _unread(exchange: ExchangeNews, linked: Collection[str]) -> list[Change]:
    """Items of which nothing is known but that they cannot be read: they are not forgotten."""
    return [
        Change(action="skip", side="crm", kind=Kind.EVENT, key=f"item:{item_id}", reason=f"not readable now: {reason}")
        for item_id, reason in exchange.unread.items()
        if item_id not in exchange.items and item_id not in linked and item_id not in exchange.unexpanded
    ]


def successors(activities: Mapping[str, Activity]) -> dict[str, Activity]:
    """For each activity that was rescheduled, the one that stands for it now, over however many reschedules."""
    direct = {a.rescheduled_from: a for a in activities.values() if a.rescheduled_from is not None}
    final: dict[str, Activity] = {}
    for origin, activity in direct.items():
        while activity.is_deleted and activity.activity_id in direct and activity.activity_id != origin:  # no circle
            activity = direct[activity.activity_id]
        if not activity.is_deleted:
            final[origin] = activity
    return final


def _is_moved_in_place(link: Link, item: Item | None, policy: SyncPolicy, unread: Collection[str]) -> bool:
    """Whether a reschedule in the CRM keeps the Exchange item (C6).

    The user's own events, meetings and occurrences are never made anew, nor is one that the user edited meanwhile (the conflict rule needs it)
    or that holds what cannot be carried over to another (`holds_more_than_ours`).
    """
    if (
        policy.reschedule == "update"
        or link.origin is Origin.EXCHANGE
        or link.original_start is not None
        or link.agreed.attendees
    ):
        return True
    if item is None or item.when is None or item.is_cancelled:
        return link.item_id in unread  # what the user put on it is not known: it waits
    return holds_more_than_ours(item) or bool(
        differing(entry_of_item(item, link.agreed), link.agreed, shared_fields(link.agreed))
    )


def _finish_replacement(link: Link, exchange: ExchangeNews, item: Item | None) -> Change:
    if link.item_id in exchange.gone and item is None:
        return Change(
            action="end",
            side="exchange",
            kind=link.kind,
            key=link_key(link),
            reason="what was replaced is gone",
            link=link,
        )
    return Change(
        action="delete",
        side="exchange",
        kind=link.kind,
        key=link_key(link),
        before=link.agreed,
        item=item,
        link=link,
        reason="it was replaced by another item",
    )


# ── entries without a link ───────────────────────────────────────────────────────────────────────────────────────────
@dataclass(slots=True)
class _Adopted:
    changes: list[Change] = field(default_factory=list)
    activity_ids: set[str] = field(default_factory=set)


def _adopt(
    strangers: Sequence[Item],
    activities: Mapping[str, Activity],
    agreed: Agreement,
    policy: SyncPolicy,
    exchange: ExchangeNews,
    linked: set[str],
) -> _Adopted:
    """Items without a link: ours that lost it, late doubles of ours, what came back after its removal, and the user's own."""
    adopted = _Adopted()
    abandoned = {intent.stamp: intent.activity_id for intent in agreed.intents if intent.state == "abandoned"}
    stand_ins = successors(activities)
    for item in strangers:
        if item.item_type is ItemType.MASTER or item.is_cancelled:
            continue
        activity = _named(item, activities, exchange, agreed.crm_id)
        is_copy = (
            activity is not None and activity.activity_id in linked
        )  # its original is where it was, or was matched
        if activity is not None and activity.is_deleted:
            activity = stand_ins.get(activity.activity_id, activity)
        is_taken = is_copy or (
            activity is not None and (activity.activity_id in linked or activity.activity_id in adopted.activity_ids)
        )
        if item.stamp in abandoned and activity is not None and (is_taken or is_gone(activity)):
            adopted.changes.append(
                Change(
                    action="delete",
                    side="exchange",
                    kind=item.kind,
                    key=f"item:{item.item_id}",
                    item=item,
                    reason="a create of ours that the server carried out late: the activity has another item by now, or none",
                )
            )
        elif activity is not None and not is_taken and is_gone(activity):
            change = _returned(item, activity, policy, exchange)
            if change is not None:
                adopted.activity_ids.add(activity.activity_id)
                adopted.changes.append(change)
        elif activity is not None and not is_taken:
            adopted.activity_ids.add(activity.activity_id)
            adopted.changes.append(_relink(item, activity, policy))
        elif item.kind is Kind.EVENT or item.item_id in exchange.unread:
            adopted.changes.extend(_new_item(item, policy, exchange))
    return adopted


def _named(item: Item, activities: Mapping[str, Activity], exchange: ExchangeNews, crm_id: str) -> Activity | None:
    """The activity that was made of this item, or that its stamp names. A copy of ours that became an entry of its own carries our stamp too."""
    known = exchange.known.get(item.item_id, "")
    if known in activities:
        return activities[known]
    named = named_by(item.stamp, crm_id)
    if named is None:
        return None
    activity = activities.get(named.activity_id)
    return activity if activity is not None and named.is_of(activity) else None


def _returned(item: Item, activity: Activity, policy: SyncPolicy, exchange: ExchangeNews) -> Change | None:
    """An item that is back after its removal, from Deleted Items or a backup: its activity stands again."""
    key = f"activity:{activity.activity_id}"
    if item.item_id in exchange.unread:
        reason = f"not readable now: {exchange.unread[item.item_id]}"
        return Change(action="skip", side="crm", kind=item.kind, key=f"item:{item.item_id}", item=item, reason=reason)
    if item.when is None or not is_current(activity.origin, item.when, policy):
        return None
    ours = entry_of_activity(activity, item.kind)
    theirs = entry_of_item(item, ours, exchange.texts.get(item.item_id))
    is_complete = theirs.is_complete and item.kind is Kind.TASK
    return Change(
        action="restore",
        side="crm",
        kind=item.kind,
        key=key,
        activity=activity,
        item=item,
        after=replace(theirs, is_complete=is_complete),
        reason="it is in Outlook again after its removal",
    )


def _relink(item: Item, activity: Activity, policy: SyncPolicy) -> Change:
    """Our item whose link was lost: it belongs to the activity its stamp names.

    Where the two differ, what is kept as agreed is the version that loses, so that the other one shows as an edit in the next cycle.
    """
    ours = entry_of_activity(activity, item.kind)
    theirs = entry_of_item(item, ours)
    crm_wins = policy.conflict == "crm" or (
        policy.conflict == "latest" and (item.last_modified is None or activity.updated_at >= item.last_modified)
    )
    return Change(
        action="link",
        side="exchange",
        kind=item.kind,
        key=f"activity:{activity.activity_id}",
        reason="its stamp names the activity: found again",
        before=None if theirs == ours else theirs,
        after=theirs if crm_wins else ours,
        activity=activity,
        item=item,
    )


def _new_item(item: Item, policy: SyncPolicy, exchange: ExchangeNews) -> list[Change]:
    key = f"item:{item.item_id}"
    if item.item_id in exchange.unread:
        return [
            Change(
                action="skip",
                side="crm",
                kind=item.kind,
                key=key,
                item=item,
                reason=f"not readable now: {exchange.unread[item.item_id]}",
            )
        ]
    if item.when is None:
        reason = "Exchange gives no time for it" + (f" ({'; '.join(item.oddities)})" if item.oddities else "")
        return [Change(action="skip", side="crm", kind=item.kind, key=key, item=item, reason=reason)]
    if not overlaps(item.when, policy.window, policy.zone):
        return []
    after = entry_of_item(item, None, exchange.texts.get(item.item_id))
    return [
        Change(action="create", side="crm", kind=Kind.EVENT, key=key, item=item, after=after, reason="new in Outlook")
    ]


def _forebears(activity: Activity, activities: Mapping[str, Activity]) -> set[str]:
    """The activity and those it was rescheduled from, as far as they are known."""
    found: set[str] = set()
    at: Activity | None = activity
    while at is not None and at.activity_id not in found:
        found.add(at.activity_id)
        at = activities.get(at.rescheduled_from or "")
    return found


def _new_activity(
    activity: Activity, activities: Mapping[str, Activity], agreed: Agreement, policy: SyncPolicy
) -> list[Change]:
    if is_gone(activity) or not is_current(activity.origin, activity.when, policy):
        return []
    kind = kind_of(activity)
    key = f"activity:{activity.activity_id}"
    if activity.origin is Origin.EXCHANGE:
        # Cancelled in the CRM its event was removed; it stands again, perhaps at another time. One that never had a link here belongs to another mailbox.
        if not _forebears(activity, activities) & agreed.formerly_linked:
            return []
        reason = "it stands again in the CRM"
    else:
        reason = "rescheduled in the CRM: the new one" if activity.rescheduled_from else "new in the CRM"
    excuse = why_not(activity, policy)
    if excuse:
        return [Change(action="skip", side="exchange", kind=kind, key=key, activity=activity, reason=excuse)]
    after = entry_of_activity(activity, kind)
    return [Change(action="create", side="exchange", kind=kind, key=key, activity=activity, after=after, reason=reason)]


# ── order and words ──────────────────────────────────────────────────────────────────────────────────────────────────
_RANK = {
    action: rank
    for rank, action in enumerate(
        ("link", "restore", "create", "reschedule", "update", "rest", "skip", "cancel", "delete", "end")
    )
}


def _order(change: Change) -> tuple[int, str, str, datetime, str]:
    """What is made comes before what is taken away: a crash in between leaves too much, never too little.

    What goes to one side in one kind of request stands together, so that it goes in few of them; earlier entries come before later ones.
    """
    entry = change.after or change.before
    start = instants(entry.when, _ANYWHERE).start if entry is not None else _EARLIEST
    return _RANK[change.action], change.side, change.kind, start, change.key


_ANYWHERE = ZoneInfo("UTC")
_EARLIEST = datetime.min.replace(tzinfo=UTC)


def planned_removals(changes: Sequence[Change]) -> int:
    """How many entries a plan takes off a calendar without putting another in their place.

    A reschedule's new activity stands for the old one, and a new occurrence of a series for one that the series no longer has.
    """
    made = {c.activity.activity_id for c in changes if c.action == "create" and c.activity is not None}
    gained = Counter(
        c.item.uid for c in changes if c.action == "create" and c.item is not None and c.item.original_start
    )
    removals = 0
    for change in changes:
        if not change.removes or change.replaced_by in made:
            continue
        uid = change.link.uid if change.link is not None and change.link.original_start is not None else ""
        if uid and gained[uid] > 0:
            gained[uid] -= 1
        else:
            removals += 1
    return removals


def allowed_removals(links: int) -> int:
    """How many a cycle may remove unasked (Y4): a fifth of the account's links, and five in any case."""
    return max(5, links // 5)
