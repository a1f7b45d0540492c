"""A change reaches the other side with the next cycle: how late it is, is how often cycles are run."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import ServerFailed
from ops_lib.model import ActivityStatus, AllDay, Kind, Timed
from tests.sync.desk import Desk, at, days


@pytest.fixture(params=["replace", "update"])
def desk(database: Database, request: pytest.FixtureRequest) -> Desk:
    return Desk(database, reschedule=request.param)


def in_outlook(desk: Desk) -> set[tuple[Kind, str, Timed | AllDay | None, bool]]:
    return {(item.kind, item.subject, item.when, item.is_complete) for item in desk.outlook.items.values()}


def edit_everything(desk: Desk) -> set[tuple[Kind, str, Timed | AllDay | None, bool]]:
    """One of each kind of change in the CRM, and what Outlook must hold then."""
    names = ("kept", "titled", "moved", "rescheduled", "cancelled", "deleted")
    ids = {name: desk.add(name, at(1 + number, 10)) for number, name in enumerate(names)}
    task = desk.add("call", days(3))
    desk.settle()
    desk.now += timedelta(minutes=1)
    desk.edit(ids["titled"], description="titled anew")
    desk.edit(ids["moved"], when=at(9, 15))
    desk.move(ids["rescheduled"], at(10, 11))
    desk.cancel(ids["cancelled"])
    desk.remove(ids["deleted"])
    desk.edit(task, status=ActivityStatus.COMPLETED)
    desk.add("new", at(12, 9))
    return {
        (Kind.EVENT, "kept", at(1, 10), False),
        (Kind.EVENT, "titled anew", at(2, 10), False),
        (Kind.EVENT, "moved", at(9, 15), False),
        (Kind.EVENT, "rescheduled", at(10, 11), False),
        (Kind.EVENT, "new", at(12, 9), False),
        (Kind.TASK, "call", days(3), True),
    }


@pytest.mark.req("C7")
def test_every_change_is_in_outlook_after_one_cycle(desk: Desk) -> None:
    """Made, edited, moved, rescheduled, cancelled, deleted, completed in the CRM: the next cycle carries all of it, none needs a second."""
    expected = edit_everything(desk)
    desk.cycle()
    assert in_outlook(desk) == expected
    assert [change for change in desk.cycle().changes if change.writes] == []


@pytest.mark.req("C7")
def test_a_cycle_that_fails_delays_a_change_by_one_cycle(desk: Desk) -> None:
    """The server is away for one cycle: the cycle after it carries everything."""
    expected = edit_everything(desk)
    desk.outlook.fail("changes", ServerFailed("away", http_status=503))
    with pytest.raises(ServerFailed):
        desk.cycle()
    desk.cycle()
    assert in_outlook(desk) == expected
