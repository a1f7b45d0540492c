"""Series on a server whose calendar view shows masters, or nothing, in place of occurrences."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import AnswerLost, ItemRefused, ServerBusy, ServerFailed
from ops_lib.mailbox.occurrences import is_computed
from tests.support.memory_mailbox import lost
from tests.sync.desk import Desk, at


@pytest.fixture
def desk(sqlite_database: Database) -> Desk:
    made = Desk(sqlite_database)
    made.outlook.expands = False
    return made


def weekly(desk: Desk, first: int, count: int, subject: str = "Weekly") -> str:
    return desk.outlook.add_series(subject, [at(first + 7 * week, 9).start for week in range(count)])


@pytest.mark.req("O5")
def test_a_series_that_began_before_the_window_appears(desk: Desk) -> None:
    """Its master is in no view of the window; its occurrences are computed all the same, and stay when it changes."""
    master = weekly(desk, -28, 8)
    desk.settle()
    assert [a.when for a in desk.activities()] == [at(day, 9) for day in (0, 7, 14, 21)]
    assert all(is_computed(link.item_id) for link in desk.links())
    desk.outlook.edit(master, location="Lobby")
    desk.settle()
    assert len(desk.activities()) == 4


@pytest.mark.req("O5")
def test_a_series_that_cannot_be_computed_is_skipped_with_its_reason(desk: Desk) -> None:
    """One series that nobody can compute is one skipped outcome; the others appear, and what was known of it stays."""
    odd = weekly(desk, 1, 3, "Odd")
    desk.settle()
    desk.outlook.uncomputable[odd] = ItemRefused("the pattern LunarRecurrence has no dates that can be computed")
    desk.outlook.edit(odd, subject="Odd now")
    weekly(desk, 2, 2, "Even")
    result = desk.cycle()
    [skipped] = [outcome for outcome in result.outcomes if outcome.outcome == "skipped"]
    assert (skipped.item_id, skipped.side) == (odd, "crm")
    assert "LunarRecurrence" in skipped.reason
    assert sorted(a.description for a in desk.activities()) == ["Even", "Even", "Odd", "Odd", "Odd"]
    assert desk.cycle().outcomes == []


def test_a_series_that_cannot_be_read_now_is_read_later(desk: Desk) -> None:
    """A passing failure of one series is tried again by itself, the others go on; nothing of it is removed meanwhile."""
    late = weekly(desk, 1, 3, "Late")
    weekly(desk, 2, 2, "Other")
    desk.outlook.uncomputable[late] = ServerFailed("it failed inside", response_code="ErrorInternalServerError")
    [failed] = [outcome for outcome in desk.cycle().outcomes if outcome.outcome == "failed"]
    assert "not readable now" in failed.reason
    assert [a.description for a in desk.activities()] == ["Other", "Other"]
    desk.outlook.uncomputable.clear()
    desk.now += timedelta(minutes=15)
    desk.settle()
    assert sorted(a.description for a in desk.activities()) == ["Late", "Late", "Late", "Other", "Other"]


def test_what_was_not_reported_is_found_when_days_enter(desk: Desk) -> None:
    """Such a server may not report the change of one occurrence: once a day every series is compared."""
    master = weekly(desk, 1, 3)
    desk.settle()
    desk.outlook.occurrences[master].pop()
    assert [change for change in desk.cycle().changes if change.writes] == []
    desk.now += timedelta(days=1)
    desk.settle()
    assert [a.when for a in desk.activities()] == [at(1, 9), at(8, 9)]


@pytest.mark.req("Y2")
@pytest.mark.parametrize("call", ["expand", "view", "update", "delete", "read"])
def test_any_answer_about_them_may_be_lost(desk: Desk, call: str) -> None:
    """Whichever answer is lost, the series is whole afterwards and nothing of it is there twice."""
    weekly(desk, 1, 3)
    desk.settle()
    _, second, third = desk.activities()
    desk.edit(second.activity_id, description="With cake")
    desk.remove(third.activity_id)
    weekly(desk, 2, 2, "Other")
    desk.outlook.fail(call, lost(), "after")
    with suppress(AnswerLost):
        desk.cycle()
    desk.settle()
    assert sorted(a.description for a in desk.activities()) == ["Other", "Other", "Weekly", "With cake"]


def test_a_busy_server_loses_nothing(desk: Desk) -> None:
    """When the masters cannot be read the cycle ends, and the next one reads them."""
    weekly(desk, 1, 3)
    desk.outlook.fail("expand", ServerBusy("busy", response_code="ErrorServerBusy"))
    with pytest.raises(ServerBusy):
        desk.cycle()
    desk.settle()
    assert len(desk.activities()) == 3


@pytest.mark.req("Y5")
def test_the_mailbox_moves_to_a_server_that_shows_them(desk: Desk) -> None:
    """The same series on a server that expands: its occurrences are found again by UID and original start, nothing twice."""
    starts = [at(1 + 7 * week, 9).start for week in range(3)]
    weekly(desk, 1, 3)
    desk.settle()
    before = [a.activity_id for a in desk.activities()]
    desk.outlook.expands = True
    desk.outlook.renumber()
    [master] = desk.outlook.items
    desk.outlook.set_occurrences(master, [(start, at(1 + 7 * week, 9)) for week, start in enumerate(starts)])
    desk.settle()
    assert [a.activity_id for a in desk.activities()] == before
    assert not any(is_computed(link.item_id) for link in desk.links())


def test_a_quiet_cycle_asks_twice(desk: Desk) -> None:
    """With series known and nothing changed, a cycle asks each folder once."""
    weekly(desk, 1, 3)
    desk.settle()
    assert desk.cycle().requests == 2
