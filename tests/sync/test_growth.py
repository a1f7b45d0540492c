"""What a cycle does not do, however much an account has: counted, not timed (the times are in `benchmarks/`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from ops_lib.database.engine import Database
from ops_lib.sync import ledger
from tests.sync.desk import Desk, at


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles of agreed entries that were read from their text."""
    titles: list[str] = []
    read = ledger.entry_from_json

    def reading(data: dict[str, Any]) -> Any:
        titles.append(data["description"])
        return read(data)

    monkeypatch.setattr(ledger, "entry_from_json", reading)
    return titles


@contextmanager
def statements(database: Database) -> Iterator[Counter[str]]:
    """How often each kind of statement is sent to the database."""
    counted: Counter[str] = Counter()

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        counted[statement.split(None, 1)[0].upper()] += 1

    event.listen(database.engine, "before_cursor_execute", count)
    try:
        yield counted
    finally:
        event.remove(database.engine, "before_cursor_execute", count)


def test_a_cycle_looks_into_the_links_of_which_there_is_news(sqlite_database: Database, decoded: list[str]) -> None:
    """With nothing new no link's content is read; with an edit on either side that of the edited entry alone."""
    desk = Desk(sqlite_database)
    ids = [desk.add(f"Tour {number}", at(1, number / 4)) for number in range(40)]
    desk.settle()
    decoded.clear()
    assert desk.cycle().changes == []
    assert decoded == []
    desk.edit(ids[7], location="Lobby")
    desk.cycle()
    assert set(decoded) == {"Tour 7"}
    desk.cycle()
    decoded.clear()
    desk.now += timedelta(minutes=5)
    tour = next(item for item in desk.outlook.items.values() if item.subject == "Tour 9")
    desk.outlook.edit(tour.item_id, subject="Edited")
    assert [change.side for change in desk.cycle().changes] == ["crm"]
    assert set(decoded) == {"Tour 9"}


def test_a_first_cycle_asks_as_much_for_each_entry_however_many_there_are(sqlite_database: Database) -> None:
    """Twice as many events cost at most twice as many statements: none is about all the links there are."""
    desk = Desk(sqlite_database)
    counts = []
    for number in (50, 100):
        for event_number in range(number):
            desk.outlook.add(f"{number} {event_number}", at(1, event_number / 10))
        with statements(sqlite_database) as counted:
            assert desk.cycle().counts()["created"]["crm"] == number
        counts.append(counted.total())
    assert counts[1] < 2.05 * counts[0]
