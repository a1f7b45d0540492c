"""A clock that is set wrong by months, and right again: what must not be lost by it, and what is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.model import ActivityStatus, Kind
from tests.sync.desk import Desk, at, days

AHEAD = timedelta(days=100)


@pytest.fixture(params=["ahead", "behind"])
def wrong(request: pytest.FixtureRequest) -> timedelta:
    """How wrong the clock is for a while."""
    return AHEAD if request.param == "ahead" else -AHEAD


@pytest.fixture
def desk(sqlite_database: Database) -> Desk:
    """A tour, a call, an event of the user's own and a series, in step."""
    desk = Desk(sqlite_database, reschedule="update")
    desk.add("Tour", at(1, 10))
    desk.add("Call", days(2))
    desk.outlook.add("Dentist", at(1, 8))
    desk.outlook.add_series("Rounds", [at(1 + 7 * week, 9).start for week in range(4)])
    desk.settle()
    return desk


def shown(desk: Desk) -> list[tuple[str, str]]:
    return sorted((a.description, a.activity_id) for a in desk.activities())


@pytest.mark.req("Y1", "Y2")
def test_nothing_is_done_because_of_a_wrong_clock(desk: Desk, wrong: timedelta) -> None:
    """Neither while it is wrong nor when it is right again is anything made, changed or removed on either side."""
    before, events = shown(desk), dict(desk.outlook.items)
    for shift in (wrong, timedelta(hours=1), timedelta(days=1), -wrong - timedelta(days=1)):
        desk.now += shift
        for _ in range(2):
            assert [change.reason for change in desk.cycle().changes if change.writes] == []
    desk.settle()
    assert (shown(desk), desk.outlook.items) == (before, events)


@pytest.mark.req("Y1", "Y2")
def test_what_was_edited_under_a_wrong_clock_is_carried_over(desk: Desk, wrong: timedelta) -> None:
    """Edits of either side wait while the entry lies outside the days that count, and travel when the clock is right; new ones as well."""
    ids = {a.description: a.activity_id for a in desk.activities() if a.description != "Rounds"}
    items = {item.subject: item_id for item_id, item in desk.outlook.items.items()}
    master = items["Rounds"]
    desk.now += wrong
    desk.cycle()
    desk.edit(ids["Tour"], location="Lobby")
    desk.edit(ids["Dentist"], location="Town")
    desk.outlook.edit(items["Call"], subject="Call the Millers")
    desk.outlook.edit(desk.outlook.occurrences[master][1].item_id, subject="Rounds with cake")
    desk.add("Visit", at(3, 10))
    desk.outlook.add("Bank", at(3, 8))
    desk.cycle()
    desk.now -= wrong - timedelta(hours=1)
    desk.settle()
    assert sorted(desk.outlook.subjects()) == ["Bank", "Dentist", "Rounds", "Tour", "Visit"]
    assert desk.outlook.subjects(Kind.TASK) == ["Call the Millers"]
    assert desk.get(ids["Call"]).description == "Call the Millers"
    assert (desk.outlook.items[items["Tour"]].location, desk.outlook.items[items["Dentist"]].location) == (
        "Lobby",
        "Town",
    )
    titles = sorted(a.description for a in desk.activities())
    assert titles == [
        "Bank", "Call the Millers", "Dentist", "Rounds", "Rounds", "Rounds", "Rounds with cake", "Tour", "Visit",
    ]  # fmt: skip


@pytest.mark.req("Y2")
def test_what_was_deleted_in_outlook_under_a_clock_ahead_comes_back(desk: Desk) -> None:
    """By that clock its time was over, and what is over stays in the CRM when Outlook's archive removes it: when the clock is right, its event is made
    again, once, and both sides hold the same. What was deleted in the CRM is gone."""
    ids = {a.description: a.activity_id for a in desk.activities()}
    items = {item.subject: item_id for item_id, item in desk.outlook.items.items()}
    desk.now += AHEAD
    desk.cycle()
    for title in ("Tour", "Dentist"):
        desk.outlook.remove(items[title])
    desk.remove(ids["Call"])
    desk.cycle()
    desk.now -= AHEAD
    desk.settle()
    assert sorted(desk.outlook.subjects()) == ["Dentist", "Rounds", "Tour"]
    assert desk.outlook.subjects(Kind.TASK) == []
    for title in ("Tour", "Dentist"):
        assert desk.get(ids[title]).status is ActivityStatus.SCHEDULED
    assert len(desk.activities()) == 6
