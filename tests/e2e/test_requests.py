"""Must show 4 and 6: what a cycle costs, counted by the server."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.model import ActivityStatus, Kind
from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, outlook_account
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, at, days


@pytest.fixture
def desk(sandbox: Sandbox, sqlite_database: Database) -> ServerDesk:
    sandbox.clock.set(NOW)
    return ServerDesk(sqlite_database, sandbox=sandbox)


@pytest.mark.req("Y1")
def test_an_initial_sync_of_500_takes_at_most_25_requests(desk: ServerDesk) -> None:
    """500 activities arrive with at most 25 requests; the next cycle, with nothing new, takes 2."""
    for number in range(500):
        desk.add(f"Tour {number}", at(number % 60, number % 20), notes="note")
    desk.sandbox.requests.clear()
    result = desk.cycle()
    assert result.counts()["created"] == {"crm": 0, "exchange": 500}
    assert desk.sandbox.requests.total() == result.requests <= 25
    desk.cycle()
    desk.sandbox.requests.clear()
    desk.cycle()
    assert desk.sandbox.requests.total() == desk.sandbox.requests.total("SyncFolderItems") == 2


@pytest.mark.req("Y1", "C5", "C6", "O3", "O4")
def test_the_third_cycle_after_any_edits_writes_nothing(desk: ServerDesk) -> None:
    """After every kind of edit on both sides two cycles make both equal; the third sends one SyncFolderItems per folder and nothing else."""
    ids = [desk.add(f"Tour {number}", at(1 + number, 10)) for number in range(6)]
    tasks = [desk.add(f"Call {number}", days(1 + number)) for number in range(3)]
    user = outlook_account(desk.sandbox, ALICE)
    from exchangelib.items import CalendarItem

    def zoned(moment):  # type: ignore[no-untyped-def]
        from exchangelib import UTC, EWSDateTime

        return EWSDateTime.from_datetime(moment).astimezone(UTC)

    for number in range(4):
        when = at(2 + number, 14)
        CalendarItem(
            account=user, folder=user.calendar, subject=f"Own {number}", start=zoned(when.start), end=zoned(when.end)
        ).save()
    desk.settle()
    by_subject = {item.subject: item for item in user.calendar.all()}
    desk.edit(ids[0], description="Tour 0, edited")
    desk.cancel(ids[1])
    desk.remove(ids[2])
    desk.move(ids[3], at(9, 9))
    desk.edit(tasks[0], status=ActivityStatus.COMPLETED)
    moved = by_subject["Tour 4"]
    moved.start, moved.end = zoned(at(12, 9).start), zoned(at(12, 10).end)
    moved.save(update_fields=["start", "end"])
    by_subject["Tour 5"].delete()
    by_subject["Own 0"].subject = "Own 0, edited"
    by_subject["Own 0"].save(update_fields=["subject"])
    by_subject["Own 1"].delete()
    for task in user.tasks.all():
        if task.subject == "Call 1":
            task.delete()
    desk.now += timedelta(minutes=10)
    desk.cycle(allow_deletions=20)
    desk.cycle(allow_deletions=20)
    desk.check()
    desk.sandbox.requests.clear()
    third = desk.cycle()
    assert [change for change in third.changes if change.writes] == []
    counted = {operation: desk.sandbox.requests.total(operation) for operation in ("SyncFolderItems",)}
    assert counted == {"SyncFolderItems": 2}
    assert desk.sandbox.requests.total() == 2
    assert desk.sandbox.organisation.outbox == []
    titles = sorted(item.subject for item in user.calendar.all())
    assert titles == ["Own 0, edited", "Own 2", "Own 3", "Tour 0, edited", "Tour 3", "Tour 4"]
    assert sorted((t.subject, t.is_complete) for t in user.tasks.all()) == [("Call 0", True), ("Call 2", False)]
    assert {link.kind for link in desk.links()} == {Kind.EVENT, Kind.TASK}
    user.protocol.close()
