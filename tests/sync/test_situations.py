"""Every situation and its effect (`docs/situations.md`), and what its cells have taught."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from ops_lib.database.engine import Database
from ops_lib.model import Kind, LinkState
from tests.sync.desk import Desk, at, days
from tests.sync.situation_world import play
from tests.sync.situations import CELLS, Cell, page_cells

PAGE = page_cells()


@pytest.fixture
def desk(sqlite_database: Database) -> Desk:
    return Desk(sqlite_database)


@pytest.fixture(scope="module")
def played(prepared_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Cell, str]:
    """What came of every cell, under every rule."""
    folder = tmp_path_factory.mktemp("situations")
    shutil.copy(prepared_sqlite, folder / "first.db")
    return play(Database(f"sqlite:///{folder / 'first.db'}"), folder)


@pytest.mark.req("C5", "C6", "C8", "O3", "O4", "Y1", "Y3", "Y6")
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_situation(cell: Cell, played: dict[Cell, str]) -> None:
    """What comes of it is what the page says."""
    assert played[cell] == PAGE[cell]


def test_the_page_and_the_tests_are_the_same_table() -> None:
    """No cell of the page is without its test, and no test without its cell."""
    assert PAGE.keys() == set(CELLS)


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


@pytest.mark.req("Y3")
@pytest.mark.parametrize(("rule", "kept"), [("crm", "Outlook title"), ("exchange", "Tour"), ("latest", "Tour")])
def test_switched_to_all_day_in_the_crm_and_edited_in_outlook(desk: Desk, rule: str, kept: str) -> None:
    """Of an event that becomes a task the edit made in Outlook is not lost without a word: the rule decides, the other version is kept."""
    desk.conflict = rule
    tour = desk.add("Tour", at(1, 10))
    desk.settle()
    desk.edit(tour, when=days(2))
    desk.now += timedelta(minutes=1)
    desk.outlook.edit(next(iter(desk.outlook.items)), subject="Outlook title")
    result = desk.cycle()
    assert [outcome.loser.description for outcome in result.outcomes if outcome.loser] == [kept]
    desk.settle()
    (item,) = desk.outlook.items.values()
    assert (item.kind, item.subject) == ((Kind.TASK, "Tour") if rule == "crm" else (Kind.EVENT, "Outlook title"))


@pytest.mark.req("C3")
@pytest.mark.parametrize("rule", ["replace", "update"])
@pytest.mark.parametrize("extra", ["attachments", "categories"])
def test_switched_to_all_day_with_something_of_the_user_s(desk: Desk, rule: str, extra: str) -> None:
    """Edited or rescheduled to whole days in the CRM, an event with attachments or categories keeps them: it becomes all-day, and timed again, in place."""
    desk.reschedule = rule
    edited, moved = desk.add("edited", at(1, 10)), desk.add("moved", at(1, 12))
    desk.settle()
    before = set(desk.outlook.items)
    for item_id in before:
        desk.outlook.edit(item_id, extras=(extra,))
    desk.settle()
    for when in (days(2), at(3, 10)):
        desk.edit(edited, when=when)
        moved = desk.move(moved, when)
        desk.settle()
        assert set(desk.outlook.items) == before
        assert {(i.kind, i.when, i.extras) for i in desk.outlook.items.values()} == {(Kind.EVENT, when, (extra,))}
        assert {a.when for a in desk.activities()} == {when}


@pytest.mark.req("C2")
def test_what_the_user_wrote_survives_a_change_of_places(desk: Desk) -> None:
    """An event that becomes a task, and a task that becomes an event, keep the user's own words around the CRM's block."""
    tour = desk.add("Tour", at(1, 10))
    desk.settle()
    (event_id,) = desk.outlook.items
    body = desk.outlook.items[event_id].body or ""
    desk.outlook.edit(event_id, body=body.replace("</body>", "<p>my own note</p></body>"))
    for when in (days(2), at(3, 10)):
        desk.edit(tour, when=when)
        desk.settle()
        (item,) = desk.outlook.items.values()
        assert item.when == when
        assert "my own note" in (item.body or "")
        assert (item.body or "").count(f'/activity/{tour}"') == 1


@pytest.mark.req("O3", "Y3")
def test_an_edit_of_an_occurrence_that_is_deleted_in_outlook_is_kept_in_the_record(desk: Desk) -> None:
    """A deleted occurrence cannot be made again on a server: what was edited in the CRM meanwhile is kept as the losing version."""
    master = desk.outlook.add_series("Rounds", [at(1 + n, 9).start for n in range(3)])
    desk.settle()
    second = desk.activities()[1]
    desk.edit(second.activity_id, description="Rounds with cake")
    desk.outlook.remove(desk.outlook.occurrences[master][1].item_id)
    result = desk.cycle()
    assert [outcome.loser.description for outcome in result.outcomes if outcome.loser] == ["Rounds with cake"]
    desk.settle()
    assert len(desk.activities()) == 2


@pytest.mark.req("O1", "O5")
def test_an_occurrence_moved_out_of_the_window_keeps_its_activity(desk: Desk) -> None:
    """Moved beyond the days that are shown it is not deleted: its activity follows, with whom it is for, and is the same when it is moved back."""
    master = desk.outlook.add_series("Rounds", [at(1 + 7 * n, 9).start for n in range(3)])
    desk.settle()
    second = desk.activities()[1]
    desk.edit(second.activity_id, individual_id="1")
    desk.settle()
    occurrence = desk.outlook.occurrences[master][1].item_id
    for when in (at(150, 9), at(9, 11)):
        desk.outlook.edit(occurrence, when=when)
        desk.settle()
        assert (desk.get(second.activity_id).when, desk.get(second.activity_id).individual_id) == (when, "1")
    assert len(desk.activities()) == 3
