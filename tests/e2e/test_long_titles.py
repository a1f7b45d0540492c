"""Titles that are too long for Exchange, over real HTTP."""

from __future__ import annotations

import pytest

from ops_lib.database.engine import Database
from ops_lib.sandbox.server import Sandbox
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, at


@pytest.mark.req("C1", "Y1")
@pytest.mark.parametrize(
    "title", ["x" * 300, "\N{HOUSE BUILDING}" * 200, "y" * 254 + "\N{HOUSE BUILDING}" * 3, "e\u0301" * 300]
)
def test_a_title_too_long_for_exchange_stays_whole_in_the_crm(
    title: str, sandbox: Sandbox, sqlite_database: Database
) -> None:
    """Exchange keeps 255 units of a title; the CRM keeps all of it, and nothing comes back as if somebody had edited it."""
    sandbox.clock.set(NOW)
    desk = ServerDesk(sqlite_database, sandbox=sandbox)
    tour = desk.add(title, at(2, 10))
    desk.settle()
    assert desk.get(tour).description == title
    [item] = desk.stored()
    subject = item.values["item:Subject"]
    assert not subject.endswith("...")
    assert 252 <= len(subject.encode("utf-16-le")) // 2 <= 255
    desk.edit(tour, location="Lobby")
    desk.settle()
    assert (desk.get(tour).description, item.values["calendar:Location"]) == (title, "Lobby")
