"""The cycle against a server that is not Microsoft's: one whose calendar view shows no occurrence, and more (`ops_lib.sandbox.ews.manners`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ops_lib.database.engine import Database
from ops_lib.mailbox import FolderChanges
from ops_lib.mailbox.ews.mailbox import EwsMailbox
from ops_lib.mailbox.occurrences import is_computed
from ops_lib.model import Kind, Timed
from ops_lib.sandbox.recurrence import Numbered, Recurrence, Weekly
from ops_lib.sandbox.server import Sandbox
from tests.e2e.test_real_calendars import FILES, compare_calendar
from tests.support.sandbox import ALICE
from tests.support.server_desk import ServerDesk

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2027, 2, 25, 9, tzinfo=UTC)
"""Ninety days from here hold the change of time of 14 March."""


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(like="grommunio") as running:
        yield running


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.reset()
    return server


@pytest.mark.skipif(not FILES, reason="the real calendars are not beside the repository (../shared/calendars)")
@pytest.mark.req("O1", "O5", "O6")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_real_calendar(path: Path, sandbox: Sandbox, sqlite_database: Database) -> None:
    """Every occurrence of the window, instant by instant, though the server shows none."""
    compare_calendar(path, sandbox, sqlite_database)


def nine_o_clock(day: int, month: int = 3) -> Timed:
    """An hour from nine in New York."""
    start = datetime(2027, month, day, 9, tzinfo=NEW_YORK).astimezone(UTC)
    return Timed(start, start + timedelta(hours=1))


def weekly(sandbox: Sandbox) -> str:
    """Five Mondays at nine in New York, from 1 March on."""
    rule = Recurrence(Weekly(1, ("Monday",), "Monday"), Numbered(nine_o_clock(1).start.date(), 5))
    return sandbox.organisation.create_item(
        ALICE,
        "calendar",
        {
            "item:Subject": "Rounds",
            "calendar:Start": nine_o_clock(1).start,
            "calendar:End": nine_o_clock(1).end,
            "calendar:StartTimeZone": "Eastern Standard Time",
            "calendar:EndTimeZone": "Eastern Standard Time",
            "calendar:Recurrence": rule,
        },
    ).id


@pytest.mark.req("O5")
def test_edits_of_occurrences_reach_the_right_ones(sandbox: Sandbox, sqlite_database: Database) -> None:
    """Before and after the change of time, after a deletion has shifted the server's numbers: each edit meets its own occurrence, and no other."""
    weekly(sandbox)
    desk = ServerDesk(sqlite_database, sandbox=sandbox, time_zone="America/New_York", now=NOW)
    desk.settle()
    assert [a.when for a in desk.activities()] == [nine_o_clock(day) for day in (1, 8, 15, 22, 29)]
    assert all(is_computed(link.item_id) for link in desk.links())
    first, second, third, fourth, fifth = desk.activities()
    desk.remove(second.activity_id)
    desk.remove(fourth.activity_id)
    desk.settle()
    [master] = desk.stored()
    assert sorted(start.day for start in master.deleted) == [8, 22]
    desk.edit(fifth.activity_id, description="Rounds with cake")
    desk.edit(third.activity_id, when=Timed(nine_o_clock(16).start, nine_o_clock(16).end))
    desk.settle()
    assert sorted(start.day for start in master.exceptions) == [15, 29]
    assert [(a.description, a.when) for a in desk.activities()] == [
        ("Rounds", nine_o_clock(1)),
        ("Rounds", nine_o_clock(16)),
        ("Rounds with cake", nine_o_clock(29)),
    ]
    assert {a.activity_id for a in desk.activities()} == {first.activity_id, third.activity_id, fifth.activity_id}
    assert desk.cycle().requests == 2


@pytest.mark.req("Y5")
def test_a_sync_state_of_nobody_deletes_nothing(sandbox: Sandbox, sqlite_database: Database) -> None:
    """This server takes rubbish for an initial sync: everything is matched again, nothing deleted, nothing made twice."""
    weekly(sandbox)
    desk = ServerDesk(sqlite_database, sandbox=sandbox, time_zone="America/New_York", now=NOW)
    desk.add("Tour", nine_o_clock(2))
    desk.settle()
    before = [(a.activity_id, a.when) for a in desk.activities()]
    with sqlite_database.begin() as connection:
        connection.exec_driver_sql("UPDATE reading_positions SET calendar_state='rubbish', tasks_state='rubbish'")
    desk.settle()
    assert [(a.activity_id, a.when) for a in desk.activities()] == before
    assert len(desk.stored()) == 2


@pytest.mark.req("Y1")
def test_an_edit_a_moment_ago_is_not_written_over(
    sandbox: Sandbox, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not check change keys; what the user writes between the cycle's reading and its writing stands all the same."""
    desk = ServerDesk(sqlite_database, sandbox=sandbox, time_zone="America/New_York", now=NOW, conflict="exchange")
    tour = desk.add("Tour", nine_o_clock(2))
    desk.settle()
    [item] = desk.stored()
    desk.edit(tour, description="Tour and lunch")
    read = EwsMailbox.changes

    def and_then_the_user_writes(mailbox: EwsMailbox, kind: Kind, sync_state: str = "") -> FolderChanges:
        found = read(mailbox, kind, sync_state)
        sandbox.organisation.update_item(item, {"item:Subject": "Tour with Ruth"})
        return found

    monkeypatch.setattr(EwsMailbox, "changes", and_then_the_user_writes)
    desk.cycle()
    monkeypatch.undo()
    desk.settle()
    assert desk.get(tour).description == item.values["item:Subject"] == "Tour with Ruth"
