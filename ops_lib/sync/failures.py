"""What an account's cycles could not do: entries that wait for another try or were set aside, each with its evidence, and how they are put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from ops_lib.crm.store import SqlCrm
from ops_lib.database import tables as t
from ops_lib.errors import NotThere
from ops_lib.model import Account
from ops_lib.sync.ledger import Ledger, Retry


@dataclass(frozen=True, slots=True)
class Failure:
    """An entry that failed, and the activity's description where it has one."""

    account: str
    description: str
    retry: Retry


def failures(connection: Connection, account: Account, now: datetime) -> list[Failure]:
    """What failed in this account's cycles and has not been done since; what was set aside first, then by the next try."""
    kept = [retry for retry in Ledger(connection).retries(account.account_id) if retry.attempts]
    ids = [retry.key.partition(":")[2] for retry in kept if retry.key.startswith("activity:")]
    activities = SqlCrm(connection, now).get(ids)
    found = []
    for retry in kept:
        activity = activities.get(retry.key.partition(":")[2]) if retry.key.startswith("activity:") else None
        found.append(Failure(account.mailbox, activity.description if activity is not None else "", retry))
    return sorted(found, key=lambda failure: (not failure.retry.is_set_aside, failure.retry.next_at, failure.retry.key))


def oldest_failure(connection: Connection) -> datetime | None:
    """When the entry was tried last that has been failing, or is set aside, for longest; None where nothing is."""
    c = t.retries.c
    return connection.execute(select(func.min(c.failed_at)).where(c.attempts > 0)).scalar()


def put_back(
    connection: Connection, accounts: Sequence[Account], now: datetime, keys: Sequence[str] | None
) -> list[Failure]:
    """Let the next cycle try these again, with all their tries; None: all. A key may be an activity's id alone.

    **Raises** `NotThere` for a key that nothing waits under; then nothing is put back.
    """
    waiting = {account.account_id: failures(connection, account, now) for account in accounts}
    known = {failure.retry.key for each in waiting.values() for failure in each}
    wanted = known if keys is None else {key if ":" in key else f"activity:{key}" for key in keys}
    unknown = sorted(wanted - known)
    if unknown:
        raise NotThere(
            f"nothing waits for another try under {', '.join(unknown)}",
            fix=f"name one of: {', '.join(sorted(known))}."
            if known
            else "nothing: no entry of these accounts has failed.",
        )
    chosen: list[Failure] = []
    for account_id, each in waiting.items():
        mine = [failure for failure in each if failure.retry.key in wanted]
        Ledger(connection).retry_now(account_id, [failure.retry.key for failure in mine], now)
        chosen += mine
    return chosen
