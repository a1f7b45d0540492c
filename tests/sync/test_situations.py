"""Every situation and its effect (`docs/situations.md`), and what its cells have taught."""

from __future__ import annotations

import pytest

from ops_lib.database.engine import Database
from ops_lib.model import LinkState
from tests.sync.desk import Desk, at


@pytest.fixture
def desk(sqlite_database: Database) -> Desk:
    return Desk(sqlite_database)


@pytest.mark.req("Y1")
def test_a_resting_link_rests_until_there_is_news(desk: Desk) -> None:
    """What Outlook's user edits while the type is not sent is not forgotten by quiet cycles: back in scope, it reaches the CRM."""
    tour = desk.add("Tour", at(1, 10))
    desk.settle()
    desk.edit(tour, type_name="Call Out")
    desk.outlook.edit(next(iter(desk.outlook.items)), location="Lobby")
    desk.settle()
    assert [link.state for link in desk.links()] == [LinkState.RESTING]
    desk.edit(tour, type_name="Tour")
    desk.settle()
    assert [link.state for link in desk.links()] == [LinkState.ACTIVE]
    assert desk.get(tour).location == "Lobby"
