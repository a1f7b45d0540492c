"""What happened with one activity, in the order of time: edits, cycles, what was sent and answered, conflicts, tries.

Edits are known as far as either side tells: when the activity and the event were made or changed last. Who edited in the CRM it does not record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from ops_lib.database import tables as t
from ops_lib.model import Account, Activity, ActivityStatus, Host, Item, Link
from ops_lib.sync.explain import moment, parted
from ops_lib.sync.ledger import Ledger
from ops_lib.sync.mapping import instant_text

OPERATIONS = {
    "create": ("CreateItem",),
    "update": ("UpdateItem", "DeleteItem", "CreateItem"),
    "delete": ("DeleteItem",),
    "link": (),
}
"""With which requests a cycle carries out an action on Exchange."""

CYCLES_SHOWN = 5
"""So many of the account's failed cycles are told: the latest."""

_DONE = {
    ("create", "exchange"): "made in Outlook",
    ("update", "exchange"): "changed in Outlook",
    ("delete", "exchange"): "removed from Outlook",
    ("create", "crm"): "made in the CRM",
    ("update", "crm"): "changed in the CRM",
    ("delete", "crm"): "removed from the CRM's calendar",
    ("cancel", "crm"): "cancelled in the CRM",
    ("reschedule", "crm"): "rescheduled in the CRM",
    ("restore", "crm"): "stands again in the CRM",
    ("link", "crm"): "paired",
    ("link", "exchange"): "paired",
    ("rest", "crm"): "rests: left alone on both sides",
    ("rest", "exchange"): "rests: left alone on both sides",
    ("end", "crm"): "no longer paired",
    ("end", "exchange"): "no longer paired",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. ``who``: crm, outlook, sync, or server for what an Exchange server answered.

    ``loser`` is the version that a conflict set aside; ``request_id`` the server's own name of a request.
    """

    at: datetime
    who: str
    what: str
    run: str = ""
    response_code: str = ""
    request_id: str = ""
    loser: dict[str, Any] | None = None

    def as_document(self) -> dict[str, Any]:
        return {
            "at": instant_text(self.at),
            "who": self.who,
            "what": self.what,
            "run": self.run or None,
            "response_code": self.response_code,
            "request_id": self.request_id,
            "loser": self.loser,
        }


def timeline(
    connection: Connection,
    activity: Activity,
    where: tuple[Account, Host] | None,
    link: Link | None,
    item: Item | None = None,
) -> list[Event]:
    """Everything that is known to have happened with the activity, the oldest first. ``item`` is its event as it is now, where it was looked at."""
    events = list(_runs(connection, activity, where[0].mailbox if where is not None else ""))
    if where is not None:
        account = where[0]
        sent = {event.run for event in events}
        events += _requests(connection, account, activity, sent)
        events += _failed_cycles(connection, account, activity)
        events += _tries(connection, account, activity, link)
    events += _edits(activity, events, item)
    began = {event.run: event.at for event in events if event.who == "sync" and event.run}
    order = {"crm": 0, "outlook": 1, "sync": 2, "server": 3}
    # What belongs to a run stands together, in the order: what it did, what was sent for it.
    return list(_once(sorted(events, key=lambda event: (began.get(event.run, event.at), order[event.who], event.at))))


def _once(events: Sequence[Event]) -> Iterator[Event]:
    """What is said again and again, cycle after cycle, is said once, with how often and until when."""
    for (what, _, _), several in groupby(events, key=lambda event: (event.what, event.who, str(event.loser))):
        same = list(several)
        often = f" ({len(same)} times, the last at {moment(same[-1].at)})" if len(same) > 1 else ""
        yield replace(same[0], what=what + often)


def _edits(activity: Activity, runs: Sequence[Event], item: Item | None) -> Iterator[Event]:
    written = {
        said for (action, side), said in _DONE.items() if side == "crm" and action not in {"link", "rest", "end"}
    }
    ours = {event.at for event in runs if event.what.partition(":")[0] in written}
    if activity.updated_at not in ours:
        did = "deleted or rescheduled" if activity.is_deleted else "made or changed last"
        if activity.status is ActivityStatus.CANCELLED and not activity.is_deleted:
            did = "cancelled or changed last"
        yield Event(at=activity.updated_at, who="crm", what=f"{did} by somebody in the CRM")
    if item is not None and item.last_modified is not None:
        yield Event(
            at=item.last_modified,
            who="outlook",
            what="changed last in Exchange, by its user or by the sync",
        )


def _runs(connection: Connection, activity: Activity, mailbox: str) -> Iterator[Event]:
    c = t.run_items.c
    query = select(t.run_items).where(c.activity_id == int(activity.activity_id)).order_by(c.id)
    for row in connection.execute(query):
        done = _DONE.get((row.action, row.side), f"{row.action} ({row.side})")
        if row.outcome == "done":
            what = f"{done}: {row.reason}"
        elif row.outcome == "skipped":
            what = f"left out: {row.reason}"
        else:
            reason = parted(row.reason, mailbox)[0]
            what = f"not {done}: {reason}" if row.outcome == "failed" else f"{row.outcome}: {reason}"
        yield Event(
            at=row.at,
            who="sync",
            what=what,
            run=str(row.run_id),
            response_code=row.response_code,
            loser=row.loser,
        )


def _requests(connection: Connection, account: Account, activity: Activity, runs: set[str]) -> Iterator[Event]:
    """What was sent for it: the requests of those runs that did something with it, of the kind that does such a thing."""
    if not runs:
        return
    i, a = t.run_items.c, t.attempts.c
    wanted: dict[int, set[str]] = {}
    query = select(i.run_id, i.action, i.side).where(i.activity_id == int(activity.activity_id), i.side == "exchange")
    for row in connection.execute(query):
        wanted.setdefault(row.run_id, set()).update(OPERATIONS.get(row.action, ()))
    if not wanted:
        return
    attempts = connection.execute(
        select(t.attempts).where(a.account_id == int(account.account_id), a.run_id.in_(list(wanted))).order_by(a.id)
    ).all()
    for run_id, operations in wanted.items():
        chosen = [each for each in attempts if each.run_id == run_id and each.operation in operations]
        for row in chosen:
            several = sum(each.operation == row.operation and each.number == 1 for each in chosen) > 1
            yield Event(
                at=row.at,
                who="server",
                what=_answered(row) + (" (one of several such requests of this run)" if several else ""),
                run=str(run_id),
                response_code=row.response_code,
                request_id=row.request_id,
            )


def _answered(row: Any) -> str:
    """A request and its answer in words: ``CreateItem (try 2, after 0.5 s) answered NoError in 0.1 s``."""
    details = [f"try {row.number}"] if row.number > 1 else []
    if row.waited_seconds >= 0.05:
        details.append(f"after {row.waited_seconds:.1f} s")
    tried = f" ({', '.join(details)})" if details else ""
    if not row.http_status and row.error:
        return f"{row.operation}{tried} had no answer: {row.error}"
    http = f", HTTP {row.http_status}" if row.http_status not in (0, 200) else ""
    return f"{row.operation}{tried} answered {row.response_code or row.error}{http}"


def _failed_cycles(connection: Connection, account: Account, activity: Activity) -> Iterator[Event]:
    """The latest cycles of the account that failed as a whole, from an hour before the activity's last change on."""
    c = t.run_accounts.c
    query = (
        select(t.run_accounts)
        .where(
            c.account_id == int(account.account_id),
            c.outcome.in_(["failed", "blocked", "waiting"]),
            c.started_at >= activity.updated_at - timedelta(hours=1),
        )
        .order_by(c.run_id.desc())
        .limit(CYCLES_SHOWN)
    )
    words = {"failed": "the account's cycle failed", "blocked": "the account's cycle was stopped by the brake"}
    for row in connection.execute(query):
        yield Event(
            at=row.started_at,
            who="sync",
            what=f"{words.get(row.outcome, 'the account waited')}: {parted(row.message, account.mailbox)[0]}",
            run=str(row.run_id),
            response_code=row.response_code,
        )


def _tries(connection: Connection, account: Account, activity: Activity, link: Link | None) -> Iterator[Event]:
    keys = {f"activity:{activity.activity_id}", *([f"item:{link.item_id}"] if link is not None else [])}
    for retry in Ledger(connection).retries(account.account_id):
        if retry.key in keys and retry.attempts and retry.failed_at is not None:
            what = (
                f"set aside after {retry.attempts} tries"
                if retry.is_set_aside
                else f"to be tried again from {moment(retry.next_at)} on (try {retry.attempts + 1} of 4)"
            )
            yield Event(at=retry.failed_at, who="sync", what=what, response_code=retry.response_code)
    c = t.intents.c
    query = select(c.created_at, c.state).where(
        c.account_id == int(account.account_id), c.activity_id == int(activity.activity_id), c.state == "open"
    )
    for row in connection.execute(query):
        yield Event(
            at=row.created_at, who="sync", what="a create was begun and its end is not recorded; the next cycle looks"
        )


def last_outcomes(connection: Connection, activity_id: str, limit: int = 10) -> list[dict[str, Any]]:
    """What the last runs did with the activity, newest first; ``loser`` is the version that a conflict set aside."""
    c = t.run_items.c
    rows = connection.execute(
        select(c.at, c.run_id, c.action, c.side, c.outcome, c.reason, c.response_code, c.loser)
        .where(c.activity_id == int(activity_id))
        .order_by(c.id.desc())
        .limit(limit)
    )
    return [
        {
            "at": instant_text(row.at),
            "run": str(row.run_id),
            "action": row.action,
            "side": row.side,
            "outcome": row.outcome,
            "reason": row.reason,
            "response_code": row.response_code,
            "loser": row.loser,
        }
        for row in rows
    ]
