"""What a cycle leaves behind besides the agreement: what is to be tried again, how accounts stand, what runs did."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ops_lib.database import tables as t
from ops_lib.database.engine import upsert
from ops_lib.model import Entry, Kind, Process
from ops_lib.sync.mapping import entry_as_json

MAX_ATTEMPTS = 4
"""How often one item is tried before it is set aside (T2)."""

PAUSES = (timedelta(0), timedelta(minutes=15), timedelta(hours=1))
"""How long to wait before the second, third and fourth try of an item that was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Something to be looked at again: ``key`` is ``activity:ID`` or ``item:ID``.

    ``attempts`` 0: it did not fail itself, it only waits. ``crm_version`` and ``change_key`` are what was tried last.
    """

    key: str
    kind: Kind
    attempts: int
    next_at: datetime
    is_set_aside: bool
    response_code: str
    reason: str
    failed_at: datetime | None = None
    crm_version: int = 0
    change_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one change; a row of the run's record."""

    action: str
    side: str
    kind: str
    key: str
    outcome: str
    reason: str
    activity_id: str | None = None
    item_id: str = ""
    response_code: str = ""
    before: Entry | None = None
    after: Entry | None = None
    loser: Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where an account's process stands: one of the 13 statuses, since when, and on what evidence."""

    account_id: str
    process: Process
    status: str
    sub_cause: str = ""
    since: datetime
    last_success: datetime | None = None
    attempts: int = 0
    response_code: str = ""
    evidence: str = ""


# What every cycle asks, built once: to build a statement takes longer than to carry it out.
_RETRIES = (
    select(t.retries)
    .where(t.retries.c.account_id == bindparam("account"))
    .order_by(t.retries.c.next_at, t.retries.c.key)
)
_STATUS = select(t.account_statuses).where(
    t.account_statuses.c.account_id == bindparam("account"), t.account_statuses.c.process == bindparam("process")
)


class Records:
    """The records over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # ── retries ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def retries(self, account_id: str) -> list[Retry]:
        """What is to be looked at again, and what was set aside."""
        rows = self._connection.execute(_RETRIES, {"account": int(account_id)})
        return [
            Retry(
                key=row.key,
                kind=Kind(row.kind),
                attempts=row.attempts,
                next_at=row.next_at,
                is_set_aside=row.is_set_aside,
                response_code=row.response_code,
                reason=row.reason,
                failed_at=row.failed_at,
                crm_version=row.crm_version,
                change_key=row.change_key,
            )
            for row in rows
        ]

    def retry_later(
        self,
        account_id: str,
        key: str,
        kind: Kind,
        *,
        attempts: int,
        now: datetime,
        response_code: str = "",
        reason: str = "",
        crm_version: int = 0,
        change_key: str = "",
    ) -> None:
        """Look at it again: at once where the failure was not the item's own (``attempts`` 0), else with growing pauses, four times at most."""
        pause = PAUSES[min(attempts, len(PAUSES)) - 1] if attempts else timedelta(0)
        values = {
            "kind": kind.value,
            "attempts": attempts,
            "next_at": now + pause,
            "is_set_aside": attempts >= MAX_ATTEMPTS,
            "response_code": response_code,
            "reason": reason,
            "failed_at": now if attempts else None,
            "crm_version": crm_version,
            "change_key": change_key,
        }
        self._upsert(t.retries, {"account_id": int(account_id), "key": key}, values)

    def retry_now(self, account_id: str, keys: Collection[str], now: datetime) -> None:
        """Give what failed or was set aside a fresh start: the next cycle tries it, and it has all its tries again."""
        c = t.retries.c
        if keys:
            self._connection.execute(
                update(t.retries)
                .where(c.account_id == int(account_id), c.key.in_(list(keys)))
                .values(attempts=0, is_set_aside=False, next_at=now)
            )

    def forget_retries(self, account_id: str, keys: Collection[str]) -> None:
        if keys:
            self._connection.execute(
                delete(t.retries).where(t.retries.c.account_id == int(account_id), t.retries.c.key.in_(list(keys)))
            )

    # ── statuses ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def status(self, account_id: str, process: Process) -> Status | None:
        row = self._connection.execute(_STATUS, {"account": int(account_id), "process": process}).one_or_none()
        return None if row is None else Status(**{**row._mapping, "account_id": str(row.account_id)})

    def last_successes(self, process: Process) -> dict[str, datetime]:
        """When each account's process succeeded last, by account; those that never did are missing."""
        c = t.account_statuses.c
        rows = self._connection.execute(
            select(c.account_id, c.last_success).where(c.process == process, c.last_success.is_not(None))
        )
        return {str(row.account_id): row.last_success for row in rows}

    def set_status(self, status: Status) -> None:
        values = {
            "status": status.status,
            "sub_cause": status.sub_cause,
            "since": status.since,
            "last_success": status.last_success,
            "attempts": status.attempts,
            "response_code": status.response_code,
            "evidence": status.evidence,
        }
        self._upsert(t.account_statuses, {"account_id": int(status.account_id), "process": status.process}, values)

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def begin_run(self, kind: str, now: datetime) -> int:
        result = self._connection.execute(insert(t.runs).values(kind=kind, started_at=now, outcome="running"))
        assert result.inserted_primary_key is not None
        return int(result.inserted_primary_key[0])

    def end_run(self, run_id: int, now: datetime, outcome: str) -> None:
        self._connection.execute(update(t.runs).where(t.runs.c.id == run_id).values(finished_at=now, outcome=outcome))

    def record_account(
        self,
        run_id: int,
        account_id: str,
        *,
        started_at: datetime,
        outcome: str,
        counts: dict[str, Any],
        requests: int,
        seconds: float,
        status: str,
        response_code: str,
        message: str,
    ) -> None:
        values = {
            "started_at": started_at,
            "outcome": outcome,
            "counts": counts,
            "requests": requests,
            "seconds": round(seconds, 3),
            "status": status,
            "response_code": response_code,
            "message": message,
        }
        self._upsert(t.run_accounts, {"run_id": run_id, "account_id": int(account_id)}, values)

    def record_items(self, run_id: int, account_id: str, outcomes: Sequence[Outcome], now: datetime) -> None:
        if not outcomes:
            return
        self._connection.execute(
            insert(t.run_items),
            [
                {
                    "run_id": run_id,
                    "account_id": int(account_id),
                    "at": now,
                    "action": o.action,
                    "side": o.side,
                    "kind": o.kind,
                    "key": o.key,
                    "activity_id": int(o.activity_id) if o.activity_id is not None else None,
                    "item_id": o.item_id,
                    "outcome": o.outcome,
                    "reason": o.reason,
                    "response_code": o.response_code,
                    "before": entry_as_json(o.before) if o.before else None,
                    "after": entry_as_json(o.after) if o.after else None,
                    "loser": entry_as_json(o.loser) if o.loser else None,
                }
                for o in outcomes
            ],
        )

    def _upsert(self, table: Any, key: dict[str, Any], values: dict[str, Any]) -> None:
        upsert(self._connection, table, key, values)
