"""Requests as evidence: which are kept, and how many; on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.mailbox import Attempt
from ops_lib.sync.evidence import KEPT_PER_ACCOUNT, KEPT_PER_CYCLE, record_attempts, worth_keeping
from ops_lib.sync.ledger import Ledger
from tests.sync.desk import NOW, Desk


def attempt(operation: str = "SyncFolderItems", error: str = "ServerFailed", **more: object) -> Attempt:
    return Attempt(operation=operation, began_seconds=1.5, seconds=0.25, error=error, **more)  # type: ignore[arg-type]


@pytest.mark.req("T2", "T3")
def test_what_wrote_or_failed_or_was_tried_again_is_kept() -> None:
    """A reading that succeeded at once proves nothing anybody asks for; of a bad night the first and the last requests stay."""
    quiet, wrote = attempt(error=""), attempt("CreateItem", error="")
    again = attempt(error="", number=2)
    assert worth_keeping([quiet, wrote, attempt(), again]) == [wrote, attempt(), again]
    many = [attempt(number=number) for number in range(1, 1000)]
    kept = worth_keeping(many)
    assert len(kept) == KEPT_PER_CYCLE
    assert (kept[0], kept[-1]) == (many[0], many[-1])


@pytest.mark.req("T2", "T3")
def test_each_account_keeps_its_latest(database: Database) -> None:
    """Older requests go when there are too many; another account's stay; the moment is when it was sent."""
    desk = Desk(database)
    with database.begin() as connection:
        run_id = Ledger(connection).begin_run("sync", NOW)
        bob = {"id": 2, "host_id": 1, "user_id": 1, "mailbox": "bob@example.test", "is_impersonation_account": False}
        connection.execute(t.accounts.insert().values(**bob))
        record_attempts(connection, run_id, "2", [attempt()], NOW)
        for _ in range(8):
            record_attempts(connection, run_id, desk.account.account_id, [attempt()] * KEPT_PER_CYCLE, NOW)
        record_attempts(connection, run_id, desk.account.account_id, [attempt("CreateItem", request_id="r-1")], NOW)
    with database.read() as connection:
        rows = connection.execute(select(t.attempts).order_by(t.attempts.c.id)).all()
    assert [row.account_id for row in rows].count(2) == 1
    own = [row for row in rows if row.account_id == 1]
    assert len(own) == KEPT_PER_ACCOUNT
    assert (own[-1].operation, own[-1].request_id, own[-1].seconds) == ("CreateItem", "r-1", 0.25)
    assert (own[-1].at - NOW).total_seconds() == 1.5
