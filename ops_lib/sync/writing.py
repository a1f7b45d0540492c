"""Writing a plan: in its order, in batches, each item's outcome its own.

Before a create is sent, its intent and stamp are in the ledger. Before an update or a removal is sent, the item is read once more: what the
user did a moment ago is never written over, on servers that check change keys and on those that do not. What turns out to have changed, and
what was sent without an answer, is handed back in ``Written.again``: the cycle reads it and plans it once more.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from itertools import groupby

from ops_lib.errors import (
    ItemConflict,
    ItemGone,
    MailboxError,
    NotThere,
    ServerBusy,
    ServerFailed,
    StaleWrite,
    Unreachable,
)
from ops_lib.mailbox import ItemContent, ItemUpdate, Mailbox
from ops_lib.model import Account, Change, Item, Kind, LinkState, Written
from ops_lib.sync.activities import Activities, Unit
from ops_lib.sync.body import as_text
from ops_lib.sync.contents import Contents, activity_id_of
from ops_lib.sync.mapping import differing, entry_of_item, shared_fields
from ops_lib.sync.outcomes import (
    MAX_BATCH,
    Result,
    batches,
    is_too_big,
    item_id_of,
    item_key,
    outcome_of,
    unread_id_of,
    versions_of,
)
from ops_lib.sync.pair import HIDDEN, TIME_IS_OVER
from ops_lib.sync.records import Retry
from ops_lib.sync.stamps import make_stamp


class Writer:
    """Writes one account's plan."""

    def __init__(
        self,
        *,
        account: Account,
        mailbox: Mailbox,
        unit: Callable[[], AbstractContextManager[Unit]],
        inbound_type_id: str,
        crm_id: str,
        crm_url: str,
        now: datetime,
        retries: Mapping[str, Retry],
        between_batches: Callable[[], None],
    ) -> None:
        self._account = account
        self._mailbox = mailbox
        self._unit = unit
        self._crm_id = crm_id
        self._contents = Contents(account, crm_url, now)
        self._activities = Activities(account, self._contents, inbound_type_id, now)
        self._now = now
        self._retries = retries
        self._between_batches = between_batches
        self._result = Result()
        self._codes: Mapping[str, str] = {}
        self._replaced: set[int] = set()
        self._replacing: set[int] = set()
        self._outdated: set[int] = set()
        self._leaving: dict[str, Change] = {}
        self._unmade: set[str] = set()
        self._is_last = False
        self._lone: list[tuple[Change, MailboxError]] = []
        self._carried_out: set[str] = set()

    def write(
        self, changes: Sequence[Change], codes: Mapping[str, str] | None = None, *, is_last: bool = False
    ) -> Result:
        """Write the changes in their order. Raises `MailboxError` for what concerns the whole account (sign-in, rights).

        ``codes`` are the response codes of items that could not be read. In the last round each change travels alone: what fails then
        though others of its kind pass is the entry's own failure, and holds nothing else up.
        """
        self._result = Result()
        self._codes = codes or {}
        self._is_last = is_last
        self._lone = []
        doomed = {
            change.link.link_id
            for change in changes
            if change.link is not None and change.link.state is LinkState.REPLACED
        }
        self._leaving = {c.replaced_by: c for c in changes if c.replaced_by is not None and c.link is not None}
        self._unmade = {activity_id_of(c) for c in changes if c.action == "create" and c.side == "exchange"}
        self._replacing = {
            change.link.link_id for change in changes if change.action == "create" and change.link is not None
        }
        self._outdated = set()
        self._note_places(changes)
        for (action, side, kind), group in groupby(
            changes, key=lambda change: (change.action, change.side, change.kind)
        ):
            for batch in batches(list(group), 1 if is_last and side == "exchange" else MAX_BATCH):
                self._between_batches()
                if not batch[0].writes:
                    self._note(batch)
                elif side == "crm":
                    self._write_crm(batch)
                elif action == "create":
                    self._create(kind, batch, doomed)
                elif action == "update":
                    self._update(kind, batch)
                else:
                    self._delete(kind, batch)
        self._judge_the_lone()
        return self._result

    def _note_places(self, changes: Sequence[Change]) -> None:
        """Where items are that were found under another id: should a write of them be planned again, they are looked for where they are."""
        moved = [
            (change.link, change.item)
            for change in changes
            if change.link is not None and change.item is not None and change.link.item_id != change.item.item_id
        ]
        if moved:
            with self._unit() as unit:
                for link, item in moved:
                    unit.ledger.found_at(link, item)

    # ── only the ledger ──────────────────────────────────────────────────────────────────────────────────────────────
    def _note(self, changes: Sequence[Change]) -> None:
        with self._unit() as unit:
            for change in changes:
                if change.action == "skip":
                    self._skip(unit, change)
                elif change.link is None:
                    self._relink(unit, change)
                elif change.action == "link":
                    assert change.after is not None
                    activity = change.activity
                    unit.ledger.agree(
                        change.link,
                        change.after,
                        item=change.item,
                        activity_id=activity.activity_id if activity else None,
                        crm_version=activity.version if activity else None,
                    )
                else:
                    state = LinkState.RESTING if change.action == "rest" else LinkState.ENDED
                    unit.ledger.set_link_state([change.link.link_id], state)
                    if change.action == "rest" and activity_id_of(change) != change.link.activity_id:
                        unit.ledger.follow(change.link, activity_id_of(change))
                    if change.action == "rest" and change.reason != TIME_IS_OVER:  # what is over is as it should be
                        self._result.outcomes.append(outcome_of(change, "skipped"))

    def _relink(self, unit: Unit, change: Change) -> None:
        assert change.activity is not None
        assert change.item is not None
        assert change.after is not None
        item = change.item
        unit.ledger.add_link(
            self._account.account_id,
            change.activity.activity_id,
            change.after,
            Written(item.item_id, item.change_key),
            crm_version=change.activity.version,
            uid=item.uid,
            original_start=item.original_start,
            stamp=item.stamp,
        )
        unit.ledger.settle_intents([item.stamp], "done")
        if change.before is not None:  # the two differ: the next cycle sees an edit and settles it
            self._look_again_later(unit, change, change.reason)
        self._done(change)

    def _skip(self, unit: Unit, change: Change) -> None:
        if change.reason.startswith("not readable now"):
            self._fail(unit, change, change.reason, self._codes.get(unread_id_of(change), ""), key=item_key(change))
        else:
            self._result.outcomes.append(outcome_of(change, "skipped"))

    # ── Exchange ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _create(self, kind: Kind, batch: Sequence[Change], doomed: set[int]) -> None:
        stamps: list[str] = []
        contents: list[ItemContent] = []
        try:
            replaced = self._read_replaced(batch)
        except MailboxError as error:
            self._not_answered(batch, error)
            return
        for change in batch:
            assert change.after is not None
            assert change.activity is not None
            activity_id = change.activity.activity_id
            stamps.append(make_stamp(self._crm_id, change.activity, uuid.uuid4().hex))
            contents.append(self._contents.new_item(change.after, activity_id, stamps[-1], replaced.get(activity_id)))
        if is_too_big(contents):
            self._create(kind, batch[: len(batch) // 2], doomed)
            self._create(kind, batch[len(batch) // 2 :], doomed)
            return
        with self._unit() as unit:
            unit.ledger.intend(
                self._account.account_id,
                [
                    (activity_id_of(c), stamp, c.after)
                    for c, stamp in zip(batch, stamps, strict=True)
                    if c.after is not None
                ],
                self._now,
            )
        try:
            written = self._mailbox.create(kind, contents)
        except MailboxError as error:
            self._not_answered(batch, error)
            return
        with self._unit() as unit:
            for change, stamp, made in zip(batch, stamps, written, strict=True):
                if isinstance(made, MailboxError):
                    if made.transient:
                        self._once_more(change, made)
                    else:
                        unit.ledger.settle_intents([stamp], "abandoned")
                        self._fail(unit, change, str(made), made.response_code)
                    continue
                self._link_created(unit, change, stamp, made, doomed)
        self._remove_doubles(
            kind, {s: w.item_id for s, w in zip(stamps, written, strict=True) if isinstance(w, Written)}
        )

    def _read_replaced(self, batch: Sequence[Change]) -> dict[str, Item]:
        """The items that creates of this batch take the place of, as they are now, by the new activity's id."""
        leaving = [
            (activity_id_of(c), c if c.link is not None else self._leaving.get(activity_id_of(c))) for c in batch
        ]
        wanted = [(activity_id, c.link.kind, item_id_of(c)) for activity_id, c in leaving if c is not None and c.link]
        found: dict[str, Item] = {}
        for kind in Kind:
            chosen = [(activity_id, item_id) for activity_id, kind_there, item_id in wanted if kind_there is kind]
            items = self._mailbox.read(kind, [item_id for _, item_id in chosen]) if chosen else []
            found |= {a: item for (a, _), item in zip(chosen, items, strict=True) if isinstance(item, Item)}
        return found

    def _remove_doubles(self, kind: Kind, made: dict[str, str]) -> None:
        """A create that a server carried out twice: while no user can have copied it, whatever else carries its stamp is a double of ours.

        ``made`` are the items by stamp. Only when this was looked for, and what was found is gone, are the creates recorded as done; else
        their intents stay open, and the next cycle looks again.
        """
        if not made:
            return
        with suppress(MailboxError):
            found = self._mailbox.find_stamps(kind, list(made))
            doubles = {
                item.item_id: stamp
                for stamp, items in found.items()
                if any(item.item_id == made[stamp] for item in items)
                for item in items
                if item.item_id != made[stamp]
            }
            outcomes = self._mailbox.delete(kind, list(doubles)) if doubles else []
            left = {stamp for stamp, failure in zip(doubles.values(), outcomes, strict=True) if failure is not None}
            with self._unit() as unit:
                unit.ledger.settle_intents(made.keys() - left, "done")

    def _link_created(self, unit: Unit, change: Change, stamp: str, made: Written, doomed: set[int]) -> None:
        assert change.after is not None
        if change.link is not None:
            is_doomed = change.link.link_id in doomed
            unit.ledger.set_link_state([change.link.link_id], LinkState.REPLACED if is_doomed else LinkState.ENDED)
            self._replaced.add(change.link.link_id)
        version = (
            change.activity.version
            if change.activity is not None
            else change.link.crm_version
            if change.link is not None
            else 0
        )
        unit.ledger.add_link(
            self._account.account_id, activity_id_of(change), change.after, made, crm_version=version, stamp=stamp
        )
        self._unmade.discard(activity_id_of(change))
        self._done(change, made.item_id)

    def _update(self, kind: Kind, batch: Sequence[Change]) -> None:
        # Its activity is not what was planned with: another one stands for it now, or the CRM could not be told what this write takes for agreed.
        self._result.again += [c for c in batch if c.link is not None and c.link.link_id in self._outdated]
        batch = [c for c in batch if c.link is None or c.link.link_id not in self._outdated]
        current = self._read_once_more(kind, batch)
        ready = [(change, item) for change, item in zip(batch, current, strict=True) if isinstance(item, Item)]
        if not ready:
            return
        updates = [
            ItemUpdate(
                item_id=item.item_id,
                change_key=item.change_key,
                kind=kind,
                content=self._contents.changed_item(change, item),
            )
            for change, item in ready
        ]
        if is_too_big([update.content for update in updates]):
            self._update(kind, batch[: len(batch) // 2])
            self._update(kind, batch[len(batch) // 2 :])
            return
        try:
            written = self._mailbox.update(updates)
        except MailboxError as error:
            self._not_answered([change for change, _ in ready], error)
            return
        with self._unit() as unit:
            for (change, item), done in zip(ready, written, strict=True):
                assert change.link is not None
                assert change.after is not None
                if isinstance(done, MailboxError):
                    if isinstance(done, (ItemConflict, ItemGone)) or done.transient:
                        self._once_more(change, done)
                    else:
                        self._fail(unit, change, str(done), done.response_code)
                    continue
                activity = change.activity
                unit.ledger.agree(
                    change.link,
                    change.after,
                    item=item,
                    written=done,
                    activity_id=activity.activity_id if activity else None,
                    crm_version=activity.version if activity else None,
                )
                self._done(change, done.item_id)

    def _delete(self, kind: Kind, batch: Sequence[Change]) -> None:
        # What is to be replaced is removed only when what replaces it exists: made in this plan, or in an earlier cycle.
        waiting = self._replacing - self._replaced
        batch = [c for c in batch if c.replaced_by not in self._unmade]
        replaced = [
            c for c in batch if c.link is None or (c.link.state is LinkState.REPLACED and c.link.link_id not in waiting)
        ]
        watched = [c for c in batch if c.link is not None and c.link.state is not LinkState.REPLACED]
        current = self._read_once_more(kind, watched, for_removal=True)
        ready = replaced + [change for change, item in zip(watched, current, strict=True) if item is not None]
        if not ready:
            return
        ids = [item_id_of(change) for change in ready]
        try:
            outcomes = self._mailbox.delete(kind, ids)
        except MailboxError as error:
            self._not_answered(ready, error)
            return
        with self._unit() as unit:
            for change, failure in zip(ready, outcomes, strict=True):
                if failure is None:
                    if change.link is not None:
                        unit.ledger.set_link_state([change.link.link_id], LinkState.ENDED)
                    self._done(change)
                elif failure.transient or isinstance(failure, ItemConflict):
                    self._once_more(change, failure)
                else:
                    self._fail(unit, change, str(failure), failure.response_code)

    def _read_once_more(
        self, kind: Kind, batch: Sequence[Change], *, for_removal: bool = False
    ) -> list[Item | ItemGone | None]:
        """The items as they are now, or None where the change cannot be written as it was planned; those are handed back or recorded."""
        if not batch:
            return []
        ids = [item_id_of(change) for change in batch]
        try:
            found = self._mailbox.read(kind, ids)
        except MailboxError as error:
            self._not_answered(batch, error)
            return [None] * len(batch)
        answer: list[Item | ItemGone | None] = []
        with self._unit() as unit:
            for change, item in zip(batch, found, strict=True):
                assert change.link is not None
                usable: Item | ItemGone | None = None
                if isinstance(item, ItemGone):
                    if for_removal:
                        usable = item  # sent all the same: that it was not found once is no proof
                    else:
                        self._result.again.append(change)
                elif isinstance(item, MailboxError):
                    self._fail(unit, change, str(item), item.response_code)
                elif item.when is None or change.before is None:
                    usable = item
                else:
                    now = entry_of_item(item, change.link.agreed, as_text(item.body, is_html=item.body_is_html))
                    is_changed = bool(differing(now, change.before, shared_fields(change.link.agreed)))
                    # A private event's own title and place are never written over; that it is private shows only now where the CRM alone had news.
                    if is_changed or (item.is_private and _retitles(change)):
                        self._result.again.append(change)
                    else:
                        usable = item
                answer.append(usable)
        return answer

    # ── the CRM ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _write_crm(self, batch: Sequence[Change]) -> None:
        """The CRM's rows and their links in one transaction; what changed since it was read is handed back."""
        with self._unit() as unit:
            for change in batch:
                is_as_planned = False
                try:
                    self._activities.write(unit, change)
                except StaleWrite:
                    self._result.again.append(change)
                except NotThere as missing:
                    if change.link is not None:
                        unit.ledger.set_link_state([change.link.link_id], LinkState.ENDED)
                    self._result.outcomes.append(outcome_of(change, "skipped", reason=str(missing)))
                else:
                    is_as_planned = change.action != "reschedule"
                    self._done(change)
                if change.link is not None and not is_as_planned:
                    self._outdated.add(change.link.link_id)

    # ── outcomes ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _done(self, change: Change, item_id: str = "") -> None:
        if change.side == "exchange":
            self._carried_out.add(change.action)
        self._result.outcomes.append(outcome_of(change, "done", item_id=item_id))

    def _not_answered(self, batch: Sequence[Change], error: MailboxError) -> None:
        """The whole request failed. What may pass or may have been done is planned again, and so is what one entry of it may have caused (its
        content, its size); what concerns the account is raised."""
        if not error.transient and not isinstance(error, ServerFailed):
            raise error
        for change in batch:
            self._once_more(change, error)

    def _once_more(self, change: Change, error: MailboxError) -> None:
        """Have it planned again; in the last round, see whether the failure is its own."""
        if isinstance(error, ItemConflict | ItemGone):
            self._result.again.append(change)
            return
        self._result.error = error
        if self._is_last:
            self._lone.append((change, error))
        else:
            self._result.again.append(change)

    def _judge_the_lone(self) -> None:
        """What failed alone while the server carried out others of its kind, now or when it failed before, is set down as its own failure; else it
        is the server's, and all waits."""
        with self._unit() if self._lone else nullcontext() as unit:
            for change, error in self._lone:
                known = self._retries.get(change.key)
                is_found_out = change.action in self._carried_out or (known is not None and known.attempts > 0)
                is_its_own = is_found_out and not isinstance(error, ServerBusy | Unreachable)
                if is_its_own and unit is not None:
                    self._fail(unit, change, str(error), error.response_code)
                else:
                    self._result.again.append(change)

    def _fail(self, unit: Unit, change: Change, reason: str, response_code: str, key: str = "") -> None:
        key = key or change.key
        before = self._retries.get(key)
        crm_version, change_key = versions_of(change, before)
        is_same = before is not None and (crm_version, change_key) == (before.crm_version, before.change_key)
        attempts = before.attempts + 1 if before is not None and (is_same or not before.attempts) else 1
        unit.ledger.retry_later(
            self._account.account_id,
            key,
            change.kind,
            attempts=attempts,
            now=self._now,
            response_code=response_code,
            reason=reason,
            crm_version=crm_version,
            change_key=change_key,
        )
        self._result.retried.add(key)
        self._result.outcomes.append(outcome_of(change, "failed", reason=reason, response_code=response_code))

    def _look_again_later(self, unit: Unit, change: Change, reason: str) -> None:
        unit.ledger.retry_later(
            self._account.account_id, change.key, change.kind, attempts=0, now=self._now, reason=reason
        )
        self._result.retried.add(change.key)


def _retitles(change: Change) -> bool:
    """Whether an update writes the title or the place."""
    return (
        change.before is not None and change.after is not None and bool(differing(change.after, change.before, HIDDEN))
    )
