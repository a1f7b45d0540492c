"""What a cycle costs the database when nothing has changed, and what is written together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.errors import InputError
from ops_lib.sync.ledger import Ledger
from ops_lib.workspace import Workspace
from tests.sync.desk import NOW, Desk, at
from tests.sync.test_fleet import fleet_of


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("SYNCOPS_NOW", NOW.isoformat())
    return Workspace.create(tmp_path / "w")


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_a_cycle_with_nothing_new_writes_twice(workspace: Workspace, desk: Desk) -> None:
    """Of an account where nothing has changed, the database is written to when its lease is taken and when all is recorded, and read once."""
    desk.add("Tour", at(1, 10))
    fleet = fleet_of(workspace, desk, lambda host, account: desk.mailbox())
    fleet.run([desk.account])
    fleet.run([desk.account])
    begun: Counter[str] = Counter()

    def note(connection: Connection) -> None:
        begun[connection.get_execution_options()["mode"]] += 1

    def transactions(accounts: int) -> Counter[str]:
        begun.clear()
        event.listen(desk.database.engine, "begin", note)
        try:
            assert fleet.run([desk.account] * accounts).all_well
        finally:
            event.remove(desk.database.engine, "begin", note)
        return Counter(begun)

    one, three = transactions(1), transactions(3)
    assert (three - one) == Counter({"write": 2 * 2, "read": 2 * 1})


@pytest.mark.req("Y2")
def test_what_a_cycle_did_and_how_far_it_read_are_stored_together(
    workspace: Workspace, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cycle whose record cannot be written has not read anything either: the next one does it again, makes nothing twice, and nobody holds the
    account meanwhile."""
    desk.add("Tour", at(1, 10))
    fleet = fleet_of(workspace, desk, lambda host, account: desk.mailbox())

    def full(*arguments: object, **named: object) -> None:
        raise InputError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_account", full)
        (result,) = fleet.run([desk.account]).results
    assert result.outcome == "failed"
    with desk.database.read() as c:
        assert Ledger(c).position("1").calendar_state == ""
        assert Ledger(c).status("1", "calendar") is None
        assert c.execute(t.leases.select()).all() == []
        assert c.execute(t.run_accounts.select()).all() == []
    (result,) = fleet.run([desk.account]).results
    assert result.outcome == "ok"
    assert len(desk.outlook.items) == 1
    with desk.database.read() as c:
        assert Ledger(c).position("1").calendar_state != ""
        assert [row.outcome for row in c.execute(t.run_accounts.select())] == ["ok"]
