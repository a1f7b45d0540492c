"""The requests that a cycle sent, as evidence: those that wrote and those that failed, the latest of each account.

A quiet cycle leaves none. What is kept names the operation, what was answered and the server's own name of the request: with that its administrator
finds the request in the server's logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from ops_lib.database import tables as t
from ops_lib.mailbox import Attempt

KEPT_PER_ACCOUNT = 300
"""So many requests of an account are kept; older ones are removed."""

KEPT_PER_CYCLE = 60
"""So many of one cycle: its first and its last, so that one bad night does not push everything else out."""

WRITING = frozenset(
    {"CreateItem", "UpdateItem", "DeleteItem", "MoveItem", "SendItem", "CreateAttachment", "DeleteAttachment"}
)


def worth_keeping(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those that wrote, failed, or were tried again, in their order; of too many the first and the last. Pure."""
    chosen = [each for each in attempts if each.error or each.number > 1 or each.operation in WRITING]
    if len(chosen) <= KEPT_PER_CYCLE:
        return chosen
    half = KEPT_PER_CYCLE // 2
    return chosen[:half] + chosen[-half:]


def record_attempts(
    connection: Connection, run_id: int, account_id: str, attempts: Sequence[Attempt], opened: datetime
) -> None:
    """Keep what is worth keeping of a cycle's requests; ``opened`` is when its mailbox was. What is too old goes."""
    chosen = worth_keeping(attempts)
    if not chosen:
        return
    connection.execute(
        insert(t.attempts),
        [
            {
                "run_id": run_id,
                "account_id": int(account_id),
                "at": opened + timedelta(milliseconds=round(each.began_seconds * 1000)),
                "operation": each.operation[:64],
                "number": each.number,
                "waited_seconds": round(each.waited_seconds, 3),
                "seconds": round(each.seconds, 3),
                "http_status": each.http_status,
                "response_code": each.response_code,
                "request_id": each.request_id,
                "error": each.error,
            }
            for each in chosen
        ],
    )
    c = t.attempts.c
    of_account = select(c.id).where(c.account_id == int(account_id)).order_by(c.id.desc())
    last_to_go = connection.execute(of_account.offset(KEPT_PER_ACCOUNT).limit(1)).scalar()
    if last_to_go is not None:
        connection.execute(delete(t.attempts).where(c.account_id == int(account_id), c.id <= last_to_go))
