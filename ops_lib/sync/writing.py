"""Writing a plan: in its order, in batches, each item's outcome its own.

Before a create is sent, its intent and stamp are in the ledger. Before an update or a removal is sent, the item is read once more: what the
user did a moment ago is never written over, on servers that check change keys and on those that do not. What turns out to have changed, and
what was sent without an answer, is handed back in ``Written.again``: the cycle reads it and plans it once more.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from ops_lib.errors import ItemConflict, ItemGone, MailboxError, NotThere, StaleWrite
from ops_lib.mailbox import ItemContent, ItemUpdate, Mailbox
from ops_lib.model import Account, Change, Item, Kind, Link, LinkState, Written
from ops_lib.sync.activities import Activities, Unit
from ops_lib.sync.body import as_text
from ops_lib.sync.contents import Contents, activity_id_of
from ops_lib.sync.ledger import Outcome
from ops_lib.sync.mapping import differing, entry_of_item, shared_fields
from ops_lib.sync.stamps import make_stamp

MAX_BATCH = 50
MAX_BATCH_BYTES = 250_000
"""A request's bodies together; Exchange refuses requests over 400 KB."""


@dataclass(slots=True)
class Result:
    """What became of a plan. ``again`` are changes that must be read and planned once more; ``error`` says why, if the server did."""

    outcomes: list[Outcome] = field(default_factory=list)
    again: list[Change] = field(default_factory=list)
    retried: set[str] = field(default_factory=set)
    error: MailboxError | None = None


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
        attempts: dict[str, int],
        between_batches: Callable[[], None],
    ) -> None:
        self._account = account
        self._mailbox = mailbox
        self._unit = unit
        self._crm_id = crm_id
        self._contents = Contents(account, crm_url, now)
        self._activities = Activities(account, self._contents, inbound_type_id, now)
        self._now = now
        self._attempts = attempts
        self._between_batches = between_batches
        self._result = Result()
        self._replaced: set[int] = set()
        self._replacing: set[int] = set()
        self._leaving: dict[str, Link] = {}

    def write(self, changes: Sequence[Change]) -> Result:
        """Write the changes in their order. Raises `MailboxError` for what concerns the whole account (sign-in, rights)."""
        self._result = Result()
        doomed = {
            change.link.link_id
            for change in changes
            if change.link is not None and change.link.state is LinkState.REPLACED
        }
        self._leaving = {
            c.link.activity_id: c.link
            for c in changes
            if c.action == "delete" and c.side == "exchange" and c.link is not None
        }
        self._replacing = {
            change.link.link_id for change in changes if change.action == "create" and change.link is not None
        }
        for (action, side, kind), group in groupby(
            changes, key=lambda change: (change.action, change.side, change.kind)
        ):
            for batch in _batches(list(group)):
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
        return self._result

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
            self._fail(unit, change, change.reason, "", key=_item_key(change))
        else:
            self._result.outcomes.append(_outcome(change, "skipped"))

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
        if _is_too_big(contents):
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
                        self._result.again.append(change)
                        self._result.error = made
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
        wanted = [
            (activity_id_of(change), link)
            for change in batch
            if change.activity is not None
            and (link := change.link or self._leaving.get(change.activity.rescheduled_from or "")) is not None
        ]
        found: dict[str, Item] = {}
        for kind in Kind:
            chosen = [(activity_id, link.item_id) for activity_id, link in wanted if link.kind is kind]
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
        self._done(change, made.item_id)

    def _update(self, kind: Kind, batch: Sequence[Change]) -> None:
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
        if _is_too_big([update.content for update in updates]):
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
                        self._result.again.append(change)
                        self._result.error = done if done.transient else self._result.error
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
        replaced = [
            c for c in batch if c.link is None or (c.link.state is LinkState.REPLACED and c.link.link_id not in waiting)
        ]
        watched = [c for c in batch if c.link is not None and c.link.state is not LinkState.REPLACED]
        current = self._read_once_more(kind, watched, for_removal=True)
        ready = replaced + [change for change, item in zip(watched, current, strict=True) if item is not None]
        if not ready:
            return
        ids = [_item_id(change) for change in ready]
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
                    self._result.again.append(change)
                    self._result.error = failure if failure.transient else self._result.error
                else:
                    self._fail(unit, change, str(failure), failure.response_code)

    def _read_once_more(
        self, kind: Kind, batch: Sequence[Change], *, for_removal: bool = False
    ) -> list[Item | ItemGone | None]:
        """The items as they are now, or None where the change cannot be written as it was planned; those are handed back or recorded."""
        if not batch:
            return []
        ids = [_item_id(change) for change in batch]
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
                    if differing(now, change.before, shared_fields(change.link.agreed)):
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
                try:
                    self._activities.write(unit, change)
                except StaleWrite:
                    self._result.again.append(change)
                except NotThere as missing:
                    if change.link is not None:
                        unit.ledger.set_link_state([change.link.link_id], LinkState.ENDED)
                    self._result.outcomes.append(_outcome(change, "skipped", reason=str(missing)))
                else:
                    self._done(change)

    # ── outcomes ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _done(self, change: Change, item_id: str = "") -> None:
        self._result.outcomes.append(_outcome(change, "done", item_id=item_id))

    def _not_answered(self, batch: Sequence[Change], error: MailboxError) -> None:
        """The whole request failed. What may pass or may have been done is planned again; what cannot pass is raised."""
        if not error.transient:
            raise error
        self._result.again.extend(batch)
        self._result.error = error

    def _fail(self, unit: Unit, change: Change, reason: str, response_code: str, key: str = "") -> None:
        key = key or change.key
        attempts = self._attempts.get(key, 0) + 1
        unit.ledger.retry_later(
            self._account.account_id,
            key,
            change.kind,
            attempts=attempts,
            now=self._now,
            response_code=response_code,
            reason=reason,
        )
        self._result.retried.add(key)
        self._result.outcomes.append(_outcome(change, "failed", reason=reason, response_code=response_code))

    def _look_again_later(self, unit: Unit, change: Change, reason: str) -> None:
        unit.ledger.retry_later(
            self._account.account_id, change.key, change.kind, attempts=0, now=self._now, reason=reason
        )
        self._result.retried.add(change.key)


def _item_id(change: Change) -> str:
    """Where the item is now: an item that moved is known by its new place."""
    if change.item is not None:
        return change.item.item_id
    assert change.link is not None
    return change.link.item_id


def _item_key(change: Change) -> str:
    if change.link is not None:
        return change.key
    return f"item:{change.item.item_id}" if change.item is not None else change.key


def _outcome(change: Change, outcome: str, *, reason: str = "", response_code: str = "", item_id: str = "") -> Outcome:
    link, item, activity = change.link, change.item, change.activity
    return Outcome(
        action=change.action,
        side=change.side,
        kind=change.kind.value,
        key=change.key,
        outcome=outcome,
        reason=reason or change.reason,
        activity_id=activity.activity_id if activity is not None else link.activity_id if link is not None else None,
        item_id=item_id or (item.item_id if item is not None else link.item_id if link is not None else ""),
        response_code=response_code,
        before=change.before,
        after=change.after,
        loser=change.loser,
    )


def _batches(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """At most 50 changes, and not more text than one request may carry."""
    batch: list[Change] = []
    size = 0
    for change in changes:
        entry = change.after
        weight = 2_000 + (2 * len(entry.notes.encode()) if entry is not None and change.side == "exchange" else 0)
        if batch and (len(batch) >= MAX_BATCH or size + weight > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(change)
        size += weight
    if batch:
        yield batch


def _is_too_big(contents: Sequence[ItemContent]) -> bool:
    """Whether the bodies are too much for one request, what users wrote in them included, and can be sent in two."""
    return len(contents) > 1 and sum(len((c.body_html or "").encode()) for c in contents) > MAX_BATCH_BYTES
