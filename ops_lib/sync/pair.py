"""A linked pair: what is to be done, state by state. The table «A linked pair» of SYNC.md. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ops_lib.model import Activity, Change, Entry, Item, Kind, Link, LinkState, Origin
from ops_lib.sync.mapping import (
    differing,
    entry_of_activity,
    entry_of_item,
    one_way_fields,
    overlaps,
    shared_fields,
    taking,
)
from ops_lib.sync.matching import ExchangeNews
from ops_lib.sync.scope import SyncPolicy, is_current, is_gone, kind_of, why_not


@dataclass(slots=True, kw_only=True)
class Pair:
    """One link with what each side holds now: the table «A linked pair» of SYNC.md."""

    link: Link
    activity: Activity | None
    exchange: ExchangeNews
    policy: SyncPolicy
    item: Item | None
    is_successor: bool = False
    rescheduled_to: str | None = None

    def changes(self) -> list[Change]:
        link, activity = self.link, self.activity
        if (
            link.state is LinkState.RESTING
            and activity is None
            and self.item is None
            and not self._is_gone_in_exchange()
        ):
            return []  # no news of it: it rests on
        unread = self.exchange.unread.get(link.item_id)
        if unread is None and self.item is not None:  # where the mailbox moved, it has another id than the link knows
            unread = self.exchange.unread.get(self.item.item_id)
        if unread is not None:
            return [self._change("skip", "exchange", f"not readable now: {unread}")]
        if self.item is not None and self.item.when is None and not self.item.is_cancelled:
            return [self._change("skip", "exchange", "Exchange gives no time for it" + _oddities(self.item))]
        gone = self._is_gone_in_exchange()
        kind = kind_of(activity, link) if activity is not None else link.kind
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
                else self._rest(TIME_IS_OVER)
            )
        if activity is not None and is_gone(activity):
            return self._gone_in_crm(activity, outlook, gone)
        excuse = why_not(activity, self.policy, link) if activity is not None else ""
        if excuse:
            return [self._change("end", "exchange", f"gone in Outlook, and {excuse}")] if gone else self._rest(excuse)
        if gone:
            return self._gone_in_exchange(crm)
        if kind is not link.kind:
            return self._change_places(crm, outlook, kind)
        return self._merge(crm, outlook)

    def _change_places(self, crm: Entry, outlook: Entry, kind: Kind) -> list[Change]:
        """An event becomes a task or the reverse, unless what was edited in Outlook meanwhile wins: then that stands where it is.

        An event that holds more than a task could take over becomes all-day in place. A task has no hours: what a timed one cannot take along is named.
        """
        link, shared = self.link, shared_fields(self.link.agreed)
        assert self.activity is not None
        in_place = entry_of_activity(self.activity, link.kind)
        edits = differing(in_place, link.agreed, shared), differing(outlook, link.agreed, shared)
        winner, loser = self._winner(in_place, outlook, *edits, shared)
        holds_more = link.original_start is not None or (self.item is not None and holds_more_than_ours(self.item))
        if kind is Kind.TASK and holds_more:
            return self._merge(in_place, outlook)
        if winner is outlook and not self._has_to_become_an_event(kind, edits[1]):
            return self._merge(in_place, outlook)
        if winner is outlook and edits[1] & differing(outlook, in_place, shared):
            # First the CRM takes what the user edited, then, in the next cycle, the task becomes an event.
            return self._merge(taking(in_place, link.agreed, {"when"}), outlook)
        reason = (
            f"all-day was switched in the CRM: the {link.kind} becomes {'a task' if kind is Kind.TASK else 'an event'}"
        )
        if self.item is not None and self.item.extras:
            reason += f"; what the user put on the task stays with it in Deleted Items: {', '.join(self.item.extras)}"
        replaced = replace(link, state=LinkState.REPLACED)
        return [
            self._change("create", "exchange", reason, before=link.agreed, after=crm, kind=kind, loser=loser),
            replace(self._change("delete", "exchange", reason, before=link.agreed), link=replaced),
        ]

    def _has_to_become_an_event(self, kind: Kind, outlook_edits: frozenset[str]) -> bool:
        """Whether a reschedule gave a task hours that the user did not contradict: its time stands, and no task can hold it."""
        return kind is Kind.EVENT and self.is_successor and "when" not in outlook_edits

    # ── one side gone ────────────────────────────────────────────────────────────────────────────────────────────────
    def _is_gone_in_exchange(self) -> bool:
        link = self.link
        if self.item is not None:
            return self.item.is_cancelled
        if link.item_id in self.exchange.gone:
            return True
        # A single event may be a series by now, without an occurrence that it could stand for.
        uid = link.uid if link.original_start is not None else self.exchange.masters.get(link.item_id)
        if uid in self.exchange.ended_series:
            return True
        return uid in self.exchange.whole_series and overlaps(link.agreed.when, self.policy.window, self.policy.zone)

    def _gone_in_exchange(self, crm: Entry) -> list[Change]:
        link = self.link
        was_cancelled = self.item is not None
        edits = differing(crm, link.agreed, (*shared_fields(link.agreed), *one_way_fields(link.agreed, "crm")))
        # An occurrence that a series no longer has in the days that are shown was done away with there; one of the past has had its time.
        is_of_series = link.original_start is not None and overlaps(
            link.agreed.when, self.policy.window, self.policy.zone
        )
        if edits and not was_cancelled and not is_of_series:
            return [
                self._change(
                    "create",
                    "exchange",
                    f"deleted in Outlook, but {_words(edits)} changed in the CRM: the edit wins",
                    before=None,
                    after=crm,
                    kind=crm.kind,
                    loser=link.agreed,
                )
            ]
        how = "cancelled" if was_cancelled else "deleted"
        action = "cancel" if link.origin is Origin.CRM else "delete"
        return [self._change(action, "crm", f"{how} in Outlook", before=crm, loser=crm if edits else None)]

    def _gone_in_crm(self, activity: Activity, outlook: Entry, gone: bool) -> list[Change]:
        link = self.link
        how = "rescheduled" if self.rescheduled_to else "deleted" if activity.is_deleted else "cancelled"
        if gone:
            return [self._change("end", "exchange", f"{how} in the CRM, and gone in Outlook")]
        # To mark it private, or open, is no edit: it stays deleted.
        edits = differing(outlook, link.agreed, {*shared_fields(link.agreed)} & {*shared_fields(outlook)})
        if edits and not self.rescheduled_to and not self._crm_has_the_last_word(activity):
            told = {*shared_fields(link.agreed), *one_way_fields(outlook, "exchange")}
            after = taking(link.agreed, outlook, told)
            return [
                self._change(
                    "restore",
                    "crm",
                    f"{how} in the CRM, but {_words(edits)} changed in Outlook: the edit wins",
                    after=after if link.kind is Kind.TASK else replace(after, is_complete=False),
                    loser=link.agreed,
                )
            ]
        removal = self._change(
            "delete", "exchange", f"{how} in the CRM", before=outlook, loser=outlook if edits else None
        )
        return [replace(removal, replaced_by=self.rescheduled_to)]

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
        # While its user keeps a CRM-born event private, its title and place go neither way: the CRM knows its own, Outlook the user's.
        hidden = HIDDEN if self.item is not None and self.item.is_private else frozenset()
        shared = tuple(sorted(set(shared_fields(link.agreed)) & set(shared_fields(outlook)) - hidden))
        crm_edits, outlook_edits = differing(crm, link.agreed, shared), differing(outlook, link.agreed, shared)
        winner, loser = self._winner(crm, outlook, crm_edits, outlook_edits, shared)
        target = taking(link.agreed, winner, shared)
        if self.is_successor:  # its new time is what it was made for: it stands unless the user moved the event too
            target = taking(target, crm, crm_edits - outlook_edits)
            target = taking(target, outlook, outlook_edits - crm_edits)
            loser = loser if crm_edits & outlook_edits else None
        target = taking(target, crm, one_way_fields(link.agreed, "crm"))
        # A private event that became open tells all of itself.
        told_crm = {*one_way_fields(outlook, "exchange"), *shared_fields(outlook)} - set(shared)
        target = taking(target, outlook, told_crm)
        to_exchange = differing(target, outlook, shared) | differing(
            target, link.agreed, one_way_fields(link.agreed, "crm")
        )
        to_crm = differing(target, crm, shared) | differing(target, link.agreed, told_crm)
        if outlook.is_private:  # whatever was typed over it
            to_crm |= differing(target, crm, HIDDEN)
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
                    f"{_words(to_crm)} changed in Outlook{conflict}"
                    if to_crm - HIDDEN or not outlook.is_private
                    else "it is private: the CRM shows busy time only",
                    # What the CRM's user made of the rest stays; what Exchange is yet to be told is not agreed on before it is.
                    before=taking(taking(target, crm, to_crm), link.agreed, to_exchange),
                    after=taking(target, link.agreed, to_exchange),
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
            return crm, None
        if not crm_edits or not differing(crm, outlook, shared):
            return outlook, None
        outlook_wins = self.policy.conflict == "exchange"
        if self.policy.conflict == "latest":
            modified, activity = self.item.last_modified if self.item is not None else None, self.activity
            outlook_wins = modified is not None and activity is not None and modified > activity.updated_at
        return (outlook, crm) if outlook_wins else (crm, outlook)

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
            key=link_key(self.link),
            reason=reason,
            before=before,
            after=after,
            activity=self.activity,
            item=self.item,
            link=self.link,
            loser=loser,
        )


TIME_IS_OVER = "its time is over"

HIDDEN = frozenset({"description", "location"})
"""What is not told, or not written over, of a private event."""

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


def holds_more_than_ours(item: Item) -> bool:
    """Whether something of the user's on an item could not be carried over to another, so that it is changed in place."""
    return item.is_meeting or item.is_private or bool(item.attendees or item.extras)


def _oddities(item: Item) -> str:
    return f" ({'; '.join(item.oddities)})" if item.oddities else ""


def link_key(link: Link) -> str:
    return f"activity:{link.activity_id}"
