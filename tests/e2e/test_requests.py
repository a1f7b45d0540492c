"""Must show 4 and 6: what a cycle costs, counted by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.model import ActivityStatus, Kind, Timed
from ops_lib.sandbox.items import Item as StoredItem
from ops_lib.sandbox.recurrence import NoEnd, Recurrence, Weekly
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


# ── one edit ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class Week:
    """What stands in both calendars before an edit: of each kind one."""

    desk: ServerDesk
    tour: str
    call: str
    own: StoredItem
    series: StoredItem

    @property
    def store(self):  # type: ignore[no-untyped-def]
        return self.desk.sandbox.organisation

    def shown(self, title: str) -> str:
        """The activity of that title."""
        return next(a.activity_id for a in self.desk.activities() if a.description == title)

    def stored_as(self, title: str, folder: str = "calendar") -> StoredItem:
        return next(item for item in self.desk.stored(folder) if item.values["item:Subject"] == title)


def second(week: Week) -> Timed:
    """The second occurrence of the series."""
    start = week.series.values["calendar:Start"] + timedelta(days=7)
    return Timed(start, start + timedelta(hours=1))


EDITS: dict[str, tuple[Callable[[Week], object], dict[str, int]]] = {
    "nothing": (lambda week: None, {}),
    "in the CRM, an event": (
        lambda week: week.desk.edit(week.tour, description="Edited"),
        {"GetItem": 1, "UpdateItem": 1},
    ),
    "in the CRM, a task": (
        lambda week: week.desk.edit(week.call, description="Edited"),
        {"GetItem": 1, "UpdateItem": 1},
    ),
    "in the CRM, the user's own event": (
        lambda week: week.desk.edit(week.shown("Own"), description="Edited"),
        {"GetItem": 1, "UpdateItem": 1},
    ),
    "in the CRM, an occurrence": (
        lambda week: week.desk.edit(week.shown("Rounds"), description="Edited"),
        {"GetItem": 1, "UpdateItem": 1},
    ),
    "in the CRM, a new one": (lambda week: week.desk.add("New", at(3, 15)), {"CreateItem": 1, "FindItem": 1}),
    "in the CRM, one cancelled": (lambda week: week.desk.cancel(week.tour), {"GetItem": 1, "DeleteItem": 1}),
    "in Outlook, an event of the CRM's": (
        lambda week: week.store.update_item(week.stored_as("Tour"), {"item:Subject": "Edited"}),
        {},
    ),
    "in Outlook, a task": (
        lambda week: week.store.update_item(week.stored_as("Call", "tasks"), {"item:Subject": "Edited"}),
        {},
    ),
    "in Outlook, the user's own event": (
        lambda week: week.store.update_item(week.own, {"item:Subject": "Edited"}),
        {"GetItem": 1},
    ),
    "in Outlook, one deleted": (lambda week: week.store.delete_item(week.own), {}),
    "in Outlook, an occurrence": (
        lambda week: week.store.update_occurrence(week.series, second(week).start, {"item:Subject": "Edited"}),
        {"FindItem": 1, "GetItem": 1},
    ),
    "in Outlook, an occurrence deleted": (
        lambda week: week.store.delete_occurrence(week.series, second(week).start),
        {"FindItem": 1, "GetItem": 1},
    ),
    "in Outlook, a whole series": (
        lambda week: week.store.update_item(week.series, {"item:Subject": "Edited"}),
        {"FindItem": 1, "GetItem": 1},
    ),
}


@pytest.fixture(scope="module")
def other_server() -> Iterator[Sandbox]:
    with Sandbox(like="grommunio") as running:
        yield running


def a_week(sandbox: Sandbox, database: Database) -> Week:
    """A week that both sides agree on, its second cycle done."""
    sandbox.clock.set(NOW)
    desk = ServerDesk(database, sandbox=sandbox)
    create = sandbox.organisation.create_item

    def times(when: Timed) -> dict[str, object]:
        return {"calendar:Start": when.start, "calendar:End": when.end}

    own = create(ALICE, "calendar", {"item:Subject": "Own", **times(at(2, 14))})
    first = at(1, 9)
    rule = Recurrence(Weekly(1, (f"{first.start:%A}",)), NoEnd(first.start.date()))
    series = create(ALICE, "calendar", {"item:Subject": "Rounds", "calendar:Recurrence": rule, **times(first)})
    week = Week(desk, desk.add("Tour", at(1, 12)), desk.add("Call", days(1)), own, series)
    desk.settle()
    desk.now += timedelta(minutes=10)
    sandbox.requests.clear()
    return week


def operations(sandbox: Sandbox) -> dict[str, int]:
    counted: dict[str, int] = sandbox.requests.document()["operations"]
    return counted


@pytest.mark.req("Y1")
@pytest.mark.parametrize("edit", EDITS)
def test_what_one_edit_costs(edit: str, sandbox: Sandbox, sqlite_database: Database) -> None:
    """Whatever is edited, the cycle asks for both folders' changes and then needs two requests at most: four in all, and a few kilobytes."""
    week = a_week(sandbox, sqlite_database)
    make, expected = EDITS[edit]
    make(week)
    result = week.desk.cycle()
    assert operations(sandbox) == {"SyncFolderItems": 2, **expected}
    assert result.requests == sandbox.requests.total() <= 4
    assert [change.action for change in result.changes if change.writes] != [] or edit == "nothing"
    counted = sandbox.requests.document()
    assert counted["bytes_in"] < 2_500 * result.requests
    assert counted["bytes_out"] < 20_000
    week.desk.cycle()
    sandbox.requests.clear()
    assert [change for change in week.desk.cycle().changes if change.writes] == []
    assert operations(sandbox) == {"SyncFolderItems": 2}


MORE_ELSEWHERE = {
    "in the CRM, an occurrence": 2,  # its series is read, and the item that has its number there, before it is written to
    "in Outlook, an occurrence": 1,  # what was edited of it is read by itself
}


@pytest.mark.req("Y1", "O5")
@pytest.mark.parametrize("edit", EDITS)
def test_what_one_edit_costs_where_series_are_computed(
    edit: str, other_server: Sandbox, sqlite_database: Database
) -> None:
    """On a server whose calendar view shows no occurrences it is the same, and one or two readings more for an edited occurrence."""
    other_server.reset()
    week = a_week(other_server, sqlite_database)
    make, expected = EDITS[edit]
    make(week)
    result = week.desk.cycle()
    more = MORE_ELSEWHERE.get(edit, 0)
    wanted = {"SyncFolderItems": 2, **expected}
    assert operations(other_server) == (wanted | {"GetItem": wanted["GetItem"] + more} if more else wanted)
    assert [change.action for change in result.changes if change.writes] != [] or edit == "nothing"
    assert other_server.requests.document()["bytes_in"] < 2_500 * result.requests


@pytest.mark.req("Y1")
def test_both_sides_first_entries_go_in_whole_batches(desk: ServerDesk) -> None:
    """A first cycle in which activities and events alternate sends what one side gets together, not one by one in the order of their times."""
    create = desk.sandbox.organisation.create_item
    for number in range(60):
        desk.add(f"Tour {number}", at(1, number / 4))
        own = at(1, number / 4 + 0.1)
        create(
            ALICE,
            "calendar",
            {"item:Subject": f"Own {number}", "calendar:Start": own.start, "calendar:End": own.end},
        )
    desk.sandbox.requests.clear()
    assert desk.cycle().counts()["created"] == {"crm": 60, "exchange": 60}
    assert operations(desk.sandbox) == {"SyncFolderItems": 2, "GetItem": 2, "CreateItem": 2, "FindItem": 2}
