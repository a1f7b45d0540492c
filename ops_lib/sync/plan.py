"""What a cycle will do, decided before the first write. `SYNC.md` is its specification, state by state.

`plan` is pure: the same inputs give the same changes in the same order. It is handed, for every entry that may have changed, what the CRM and
Exchange hold now or the explicit news that it is gone, and what both held when they last agreed. What it is not handed has not changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ops_lib.model import Activity, AllDay, Change, Entry, Intent, Item, ItemType, Kind, Link, LinkState, Origin
from ops_lib.sync.mapping import (
    differing,
    entry_of_activity,
    entry_of_item,
    one_way_fields,
    overlaps,
    shared_fields,
    taking,
)
from ops_lib.sync.scope import SyncPolicy, is_current, is_gone, kind_of, why_not
from ops_lib.sync.stamps import activity_of_stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeNews:
    """What was read of a mailbox.

    ``items`` are single events, occurrences and tasks, by item id, never masters. ``gone`` are ids that the server called deleted or not found.
    ``whole_series`` are the UIDs of series whose occurrences in the window are all among ``items``: only of these is a missing one a deleted one.
    ``masters`` are the item ids of masters, with their UID. ``unread`` are items that could not be read, with the reason.
    ``complete``: the kinds of which every item is here. ``existing`` are ids that are known to exist though they are not among ``items``.
    ``texts`` are bodies as text, by item id.
    """

    items: Mapping[str, Item] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    whole_series: frozenset[str] = frozenset()
    masters: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    complete: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What the ledger knows of an account: its links, the intents of creates that were begun, and which activities had a link that has ended."""

    links: Sequence[Link] = ()
    intents: Sequence[Intent] = ()
    crm_id: str = ""
    formerly_linked: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Matches:
    """Which item belongs to which link, and which to none."""

    of_link: dict[int, Item] = field(default_factory=dict)
    strangers: list[Item] = field(default_factory=list)


def plan(
    activities: Mapping[str, Activity], exchange: ExchangeNews, agreed: Agreement, policy: SyncPolicy
) -> list[Change]:
    """The changes that bring both sides to agreement, those that take away last.

    ``activities`` are those of the account's user that may have changed, by id, tombstones too.
    """
    matches = match_items(exchange, agreed.links)
    changes: list[Change] = []
    linked = {link.activity_id for link in agreed.links if link.state in (LinkState.ACTIVE, LinkState.RESTING)}
    successors = _successors(activities)
    taken_over: set[str] = set()
    for link in agreed.links:
        if link.state is LinkState.REPLACED:
            changes.append(_finish_replacement(link, exchange))
            continue
        successor = successors.get(link.activity_id)
        if successor is not None and successor.activity_id not in linked and _is_moved_in_place(link, policy):
            taken_over.add(successor.activity_id)
            pair = _Pair(
                link=link,
                activity=successor,
                exchange=exchange,
                policy=policy,
                item=matches.of_link.get(link.link_id),
                is_successor=True,
            )
        else:
            pair = _Pair(
                link=link,
                activity=activities.get(link.activity_id),
                exchange=exchange,
                policy=policy,
                item=matches.of_link.get(link.link_id),
                was_rescheduled=successor is not None,
            )
        changes.extend(pair.changes())
    adopted = _adopt(matches.strangers, activities, agreed, policy, exchange, linked | taken_over)
    changes.extend(adopted.changes)
    for activity in activities.values():
        if (
            activity.activity_id not in linked
            and activity.activity_id not in taken_over
            and activity.activity_id not in adopted.activity_ids
        ):
            changes.extend(_new_activity(activity, agreed, policy))
    return sorted(changes, key=_order)


def match_items(exchange: ExchangeNews, links: Sequence[Link]) -> _Matches:
    """Find each item's link: by item id, else by UID and original start, else by stamp.

    The latter two only if the link's own item is no longer there: else the item is a copy that the user made, an entry of its own (Y6).
    """
    active = [link for link in links if link.state in (LinkState.ACTIVE, LinkState.RESTING)]
    by_id = {link.item_id: link for link in active}
    by_uid = {(link.uid, link.original_start): link for link in active if link.uid}
    by_stamp = {link.stamp: link for link in active if link.stamp}
    matches = _Matches()
    rest: list[Item] = []
    for item in exchange.items.values():
        link = by_id.get(item.item_id)
        if link is not None:
            matches.of_link[link.link_id] = item
        else:
            rest.append(item)
    for item in rest:
        link = by_uid.get((item.uid, item.original_start)) or by_stamp.get(item.stamp)
        if link is None and item.original_start is not None:
            link = _became_series(item, exchange, by_id)
        if link is not None and link.link_id not in matches.of_link and is_missing(link, item, exchange):
            matches.of_link[link.link_id] = item
        else:
            matches.strangers.append(item)
    return matches


def suspects(exchange: ExchangeNews, links: Sequence[Link]) -> frozenset[str]:
    """Item ids of links that an unknown item resembles, and of which it is not known whether they still exist: to be looked up before planning."""
    active = [link for link in links if link.state in (LinkState.ACTIVE, LinkState.RESTING)]
    known = {link.item_id for link in active}
    by_uid = {(link.uid, link.original_start): link for link in active if link.uid}
    by_stamp = {link.stamp: link for link in active if link.stamp}
    found: set[str] = set()
    for item in exchange.items.values():
        if item.item_id in known or item.original_start is not None:
            continue
        link = by_uid.get((item.uid, item.original_start)) or by_stamp.get(item.stamp)
        if (
            link is not None
            and link.kind not in exchange.complete
            and link.item_id not in exchange.items
            and link.item_id not in exchange.gone
        ):
            found.add(link.item_id)
    return frozenset(found)


def is_missing(link: Link, item: Item, exchange: ExchangeNews) -> bool:
    """Whether the link's own item is no longer where it was, so that ``item`` may stand for it."""
    if link.item_id in exchange.items or link.item_id in exchange.existing:
        return False
    return (
        link.item_id in exchange.gone
        or link.item_id in exchange.masters
        or item.original_start is not None
        or link.kind in exchange.complete
    )


def _became_series(item: Item, exchange: ExchangeNews, by_id: Mapping[str, Link]) -> Link | None:
    """The link of a single event that is now the master of the series this occurrence belongs to, if this is the one that stood there."""
    for master_id, uid in exchange.masters.items():
        link = by_id.get(master_id)
        if uid == item.uid and link is not None and link.original_start is None and item.when == link.agreed.when:
            return link
    return None


def _successors(activities: Mapping[str, Activity]) -> dict[str, Activity]:
    """For each activity that was rescheduled, the one that stands for it now, over however many reschedules."""
    direct = {a.rescheduled_from: a for a in activities.values() if a.rescheduled_from is not None}
    final: dict[str, Activity] = {}
    for origin, activity in direct.items():
        seen = {origin}
        while activity.is_deleted and activity.activity_id in direct and activity.activity_id not in seen:
            seen.add(activity.activity_id)
            activity = direct[activity.activity_id]
        if not activity.is_deleted:
            final[origin] = activity
    return final


def _is_moved_in_place(link: Link, policy: SyncPolicy) -> bool:
    """Whether a reschedule in the CRM keeps the Exchange item (C6): the user's own events, meetings and occurrences are never made anew."""
    return (
        policy.reschedule == "update"
        or link.origin is Origin.EXCHANGE
        or link.original_start is not None
        or bool(link.agreed.attendees)
    )


def _finish_replacement(link: Link, exchange: ExchangeNews) -> Change:
    if link.item_id in exchange.gone:
        return Change(
            action="end", side="exchange", kind=link.kind, key=_key(link), reason="what was replaced is gone", link=link
        )
    return Change(
        action="delete",
        side="exchange",
        kind=link.kind,
        key=_key(link),
        before=link.agreed,
        link=link,
        reason="it was replaced by another item",
    )


@dataclass(slots=True, kw_only=True)
class _Pair:
    """One link with what each side holds now: the table «A linked pair» of SYNC.md."""

    link: Link
    activity: Activity | None
    exchange: ExchangeNews
    policy: SyncPolicy
    item: Item | None
    is_successor: bool = False
    was_rescheduled: bool = False

    def changes(self) -> list[Change]:
        link, activity = self.link, self.activity
        if link.item_id in self.exchange.unread:
            return [self._change("skip", "exchange", f"not readable now: {self.exchange.unread[link.item_id]}")]
        if self.item is not None and self.item.when is None and not self.item.is_cancelled:
            return [self._change("skip", "exchange", "Exchange gives no time for it" + self._oddities())]
        gone = self._is_gone_in_exchange()
        kind = kind_of(activity, link) if activity is not None and not is_gone(activity) else link.kind
        crm = entry_of_activity(activity, kind) if activity is not None else link.agreed
        outlook = (
            link.agreed
            if self.item is None or gone
            else entry_of_item(self.item, link.agreed, self.exchange.texts.get(self.item.item_id))
        )
        if not self._is_current(crm, outlook):
            return (
                [self._change("end", "exchange", "gone in Outlook after its time")]
                if gone
                else self._rest("its time is over")
            )
        if activity is not None and is_gone(activity):
            return self._gone_in_crm(activity, outlook, gone)
        excuse = why_not(activity, self.policy, link) if activity is not None else ""
        if excuse:
            return [self._change("end", "exchange", f"gone in Outlook, and {excuse}")] if gone else self._rest(excuse)
        if gone:
            return self._gone_in_exchange(crm)
        if kind is not link.kind:
            return self._change_places(crm, kind)
        return self._merge(crm, outlook)

    def _change_places(self, crm: Entry, kind: Kind) -> list[Change]:
        reason = f"all-day was switched in the CRM: the {self.link.kind} becomes {'a task' if kind is Kind.TASK else 'an event'}"
        replaced = replace(self.link, state=LinkState.REPLACED)
        return [
            self._change("create", "exchange", reason, before=self.link.agreed, after=crm, kind=kind),
            replace(self._change("delete", "exchange", reason, before=self.link.agreed), link=replaced),
        ]

    # ── one side gone ────────────────────────────────────────────────────────────────────────────────────────────────
    def _is_gone_in_exchange(self) -> bool:
        link = self.link
        if self.item is not None:
            return self.item.is_cancelled
        if link.item_id in self.exchange.gone:
            return True
        return (
            link.original_start is not None
            and link.uid in self.exchange.whole_series
            and overlaps(link.agreed.when, self.policy.window, self.policy.zone)
        )

    def _gone_in_exchange(self, crm: Entry) -> list[Change]:
        link = self.link
        was_cancelled = self.item is not None
        edits = differing(crm, link.agreed, (*shared_fields(link.agreed), *one_way_fields(link.agreed, "crm")))
        if edits and not was_cancelled and link.original_start is None:
            return [
                self._change(
                    "create",
                    "exchange",
                    f"deleted in Outlook, but {_words(edits)} changed in the CRM: the edit wins",
                    before=None,
                    after=crm,
                    loser=link.agreed,
                )
            ]
        how = "cancelled" if was_cancelled else "deleted"
        if link.origin is Origin.CRM:
            return [self._change("cancel", "crm", f"{how} in Outlook", before=crm)]
        return [self._change("delete", "crm", f"{how} in Outlook", before=crm)]

    def _gone_in_crm(self, activity: Activity, outlook: Entry, gone: bool) -> list[Change]:
        link = self.link
        how = "rescheduled" if self.was_rescheduled else "deleted" if activity.is_deleted else "cancelled"
        if gone:
            return [self._change("end", "exchange", f"{how} in the CRM, and gone in Outlook")]
        edits = differing(outlook, link.agreed, shared_fields(link.agreed))
        if edits and not self.was_rescheduled and not self._crm_has_the_last_word(activity):
            after = taking(link.agreed, outlook, shared_fields(link.agreed))
            return [
                self._change(
                    "restore",
                    "crm",
                    f"{how} in the CRM, but {_words(edits)} changed in Outlook: the edit wins",
                    after=replace(after, is_complete=False),
                    loser=link.agreed,
                )
            ]
        return [
            self._change("delete", "exchange", f"{how} in the CRM", before=outlook, loser=outlook if edits else None)
        ]

    def _crm_has_the_last_word(self, activity: Activity) -> bool:
        """An activity that a person cancelled after the edit in Outlook stays cancelled; a deletion never beats an edit."""
        if activity.is_deleted or self.policy.conflict == "exchange":
            return False
        if self.policy.conflict == "crm":
            return True
        return (
            self.item is not None
            and self.item.last_modified is not None
            and activity.updated_at > self.item.last_modified
        )

    # ── both there ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _merge(self, crm: Entry, outlook: Entry) -> list[Change]:
        link = self.link
        shared = tuple(sorted(set(shared_fields(link.agreed)) & set(shared_fields(outlook))))
        crm_edits, outlook_edits = differing(crm, link.agreed, shared), differing(outlook, link.agreed, shared)
        winner, loser = self._winner(crm, outlook, crm_edits, outlook_edits, shared)
        target = taking(link.agreed, winner, shared)
        target = taking(target, crm, one_way_fields(link.agreed, "crm"))
        told_crm = {*one_way_fields(outlook, "exchange"), *shared_fields(outlook)} - set(
            shared
        )  # a private event that became open tells all
        target = taking(target, outlook, told_crm)
        to_exchange = differing(target, outlook, shared) | differing(
            target, link.agreed, one_way_fields(link.agreed, "crm")
        )
        to_crm = differing(target, crm, shared) | differing(target, link.agreed, told_crm)
        conflict = "" if loser is None else f"; both sides edited it, {self.policy.conflict!r} decided"
        changes = []
        if to_exchange:
            edited = "rescheduled" if self.is_successor else f"{_words(to_exchange)} changed"
            changes.append(
                self._change(
                    "update", "exchange", f"{edited} in the CRM{conflict}", before=outlook, after=target, loser=loser
                )
            )
        if to_crm:
            action = "reschedule" if "when" in to_crm and self._is_replaced_in_crm() else "update"
            changes.append(
                self._change(
                    action,
                    "crm",
                    f"{_words(to_crm)} changed in Outlook{conflict}",
                    before=crm,
                    after=target,
                    loser=loser,
                )
            )
        if not changes and self._is_news(target):
            changes.append(self._change("link", "exchange", "both sides agree", after=target))
        return changes

    def _winner(
        self,
        crm: Entry,
        outlook: Entry,
        crm_edits: frozenset[str],
        outlook_edits: frozenset[str],
        shared: tuple[str, ...],
    ) -> tuple[Entry, Entry | None]:
        """Whose shared fields stand, and the version that loses where both were edited to something different."""
        if not outlook_edits:
            return (crm if crm_edits else self.link.agreed), None
        if not crm_edits or not differing(crm, outlook, shared):
            return outlook, None
        policy, activity = self.policy.conflict, self.activity
        if policy == "latest":
            modified = self.item.last_modified if self.item is not None else None
            policy = (
                "exchange"
                if modified is not None and activity is not None and modified > activity.updated_at
                else "crm"
            )
        return (crm, outlook) if policy == "crm" else (outlook, crm)

    def _is_replaced_in_crm(self) -> bool:
        """Row O4: a reschedule in Outlook makes a new activity, unless the host says otherwise or it is part of a series or has attendees."""
        return (
            self.policy.reschedule == "replace"
            and self.link.original_start is None
            and not (self.item is not None and (self.item.is_meeting or self.item.attendees))
            and not self.link.agreed.attendees
        )

    def _is_news(self, target: Entry) -> bool:
        link, item = self.link, self.item
        moved = item is not None and (item.item_id, item.change_key, item.uid) != (
            link.item_id,
            link.change_key,
            link.uid,
        )
        seen = self.activity is not None and (self.activity.version != link.crm_version or self.is_successor)
        return moved or seen or link.state is LinkState.RESTING or target != link.agreed

    # ── small things ─────────────────────────────────────────────────────────────────────────────────────────────────
    def _is_current(self, crm: Entry, outlook: Entry) -> bool:
        return any(is_current(self.link.origin, entry.when, self.policy) for entry in (self.link.agreed, crm, outlook))

    def _rest(self, reason: str) -> list[Change]:
        if self.activity is None and self.item is None:
            return []
        return [self._change("rest", "exchange", reason)]

    def _oddities(self) -> str:
        return f" ({'; '.join(self.item.oddities)})" if self.item is not None and self.item.oddities else ""

    def _change(
        self,
        action: str,
        side: str,
        reason: str,
        *,
        before: Entry | None = None,
        after: Entry | None = None,
        loser: Entry | None = None,
        kind: Kind | None = None,
    ) -> Change:
        return Change(
            action=action,  # type: ignore[arg-type]
            side=side,  # type: ignore[arg-type]
            kind=kind or self.link.kind,
            key=_key(self.link),
            reason=reason,
            before=before,
            after=after,
            activity=self.activity,
            item=self.item,
            link=self.link,
            loser=loser,
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
    """Items without a link: ours that lost it, late doubles of ours, and the user's own."""
    adopted = _Adopted()
    abandoned = {intent.stamp for intent in agreed.intents if intent.state == "abandoned"}
    for item in strangers:
        if item.item_type is ItemType.MASTER or item.is_cancelled:
            continue
        activity_id = activity_of_stamp(item.stamp, agreed.crm_id)
        activity = activities.get(activity_id) if activity_id else None
        if item.stamp and item.stamp in abandoned and (activity_id in linked or activity_id in adopted.activity_ids):
            adopted.changes.append(
                Change(
                    action="delete",
                    side="exchange",
                    kind=item.kind,
                    key=f"item:{item.item_id}",
                    item=item,
                    reason="a create of ours that the server carried out late: the activity has another item by now",
                )
            )
        elif (
            activity is not None
            and activity.activity_id not in linked
            and activity.activity_id not in adopted.activity_ids
            and not is_gone(activity)
        ):
            adopted.activity_ids.add(activity.activity_id)
            adopted.changes.append(_relink(item, activity, policy))
        elif item.kind is Kind.EVENT:
            adopted.changes.extend(_new_item(item, policy, exchange))
    return adopted


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


def _new_activity(activity: Activity, agreed: Agreement, policy: SyncPolicy) -> list[Change]:
    if is_gone(activity) or not is_current(activity.origin, activity.when, policy):
        return []
    kind = kind_of(activity)
    key = f"activity:{activity.activity_id}"
    if activity.origin is Origin.EXCHANGE:
        # Cancelled in the CRM its event was removed; it stands again. One that never had a link here belongs to another mailbox.
        if activity.activity_id not in agreed.formerly_linked:
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
    "link": 0,
    "restore": 1,
    "create": 2,
    "reschedule": 3,
    "update": 4,
    "rest": 5,
    "skip": 6,
    "cancel": 7,
    "delete": 8,
    "end": 9,
}


def _order(change: Change) -> tuple[int, datetime, str]:
    """What is made comes before what is taken away, earlier entries before later ones: a crash in between leaves too much, never too little."""
    entry = change.after or change.before
    when = entry.when if entry is not None else None
    start = when.start if when is not None and not isinstance(when, AllDay) else None
    if isinstance(when, AllDay):
        start = datetime(when.start.year, when.start.month, when.start.day, tzinfo=UTC)
    return _RANK[change.action], start or _EARLIEST, change.key


_EARLIEST = datetime.min.replace(tzinfo=UTC)

_WORDS = {
    "description": "the title",
    "when": "the time",
    "location": "the place",
    "notes": "the notes",
    "individual_id": "whom it is for",
    "individual_name": "whom it is for",
    "is_complete": "whether it is done",
    "is_private": "whether it is private",
    "organizer": "the organizer",
    "attendees": "the attendees",
}


def _words(fields: frozenset[str]) -> str:
    return " and ".join(sorted({_WORDS[name] for name in fields}))


def _key(link: Link) -> str:
    return f"activity:{link.activity_id}"


def planned_removals(changes: Sequence[Change]) -> int:
    """How many entries a plan takes off a calendar without putting another in their place."""
    replaced = {c.activity.rescheduled_from for c in changes if c.action == "create" and c.activity is not None}
    return sum(1 for c in changes if c.removes and not (c.link is not None and c.link.activity_id in replaced))


def allowed_removals(links: int) -> int:
    """How many a cycle may remove unasked (Y4): a fifth of the account's links, and five in any case."""
    return max(5, links // 5)
