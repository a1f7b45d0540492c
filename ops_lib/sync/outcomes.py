"""What becomes of changes that are written: their outcomes, their batches, and which version of either side was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ops_lib.errors import MailboxError
from ops_lib.mailbox import ItemContent
from ops_lib.model import Change
from ops_lib.sync.records import Outcome, Retry

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


def item_id_of(change: Change) -> str:
    """Where the item is now: an item that moved is known by its new place."""
    if change.item is not None:
        return change.item.item_id
    assert change.link is not None
    return change.link.item_id


def versions_of(change: Change, before: Retry | None) -> tuple[int, str]:
    """What of both sides was tried: another version of either is a fresh try. What is not known now is as it was."""
    link, activity, item = change.link, change.activity, change.item
    if activity is not None:
        crm_version = activity.version
    else:
        crm_version = link.crm_version if link is not None else before.crm_version if before is not None else 0
    if item is not None:
        return crm_version, item.change_key
    return crm_version, link.change_key if link is not None else before.change_key if before is not None else ""


def item_key(change: Change) -> str:
    if change.link is not None:
        return change.key
    return f"item:{change.item.item_id}" if change.item is not None else change.key


def unread_id_of(change: Change) -> str:
    """The item that a change could not be read of."""
    if change.item is not None or change.link is not None:
        return item_id_of(change)
    return change.key.partition(":")[2]


def outcome_of(
    change: Change, outcome: str, *, reason: str = "", response_code: str = "", item_id: str = ""
) -> Outcome:
    """What the run's record keeps of a change; what had to be guessed of its item is part of the reason."""
    link, item, activity = change.link, change.item, change.activity
    reason = reason or change.reason
    guessed = [oddity for oddity in (item.oddities if item is not None else ()) if oddity not in reason]
    return Outcome(
        action=change.action,
        side=change.side,
        kind=change.kind.value,
        key=change.key,
        outcome=outcome,
        reason=f"{reason} ({'; '.join(guessed)})" if guessed else reason,
        activity_id=activity.activity_id if activity is not None else link.activity_id if link is not None else None,
        item_id=item_id or (item.item_id if item is not None else link.item_id if link is not None else ""),
        response_code=response_code,
        before=change.before,
        after=change.after,
        loser=change.loser,
    )


def batches(changes: Sequence[Change], most: int = MAX_BATCH) -> Iterator[list[Change]]:
    """At most so many changes, and not more text than one request may carry."""
    batch: list[Change] = []
    size = 0
    for change in changes:
        entry = change.after
        weight = 2_000 + (2 * len(entry.notes.encode()) if entry is not None and change.side == "exchange" else 0)
        if batch and (len(batch) >= most or size + weight > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(change)
        size += weight
    if batch:
        yield batch


def is_too_big(contents: Sequence[ItemContent]) -> bool:
    """Whether the bodies are too much for one request, what users wrote in them included, and can be sent in two."""
    return len(contents) > 1 and sum(len((c.body_html or "").encode()) for c in contents) > MAX_BATCH_BYTES
