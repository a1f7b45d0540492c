"""What goes wrong between the steps of a cycle: edits meanwhile, answers that are not true, doubles, deletions nobody mentions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import ItemGone
from ops_lib.model import ActivityStatus, Kind, Timed
from tests.sync.desk import Desk, at, days


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


@pytest.mark.req("Y1", "Y3")
@pytest.mark.parametrize("moment", ["read", "update"])
def test_an_edit_made_while_the_cycle_writes_is_not_written_over(desk: Desk, moment: str) -> None:
    """The user edits in Outlook between our reading and our writing: the entry is planned again, and the rule decides."""
    desk.conflict = "exchange"
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (item_id,) = desk.outlook.items
    desk.edit(activity_id, description="CRM title")
    desk.outlook.meanwhile.append((moment, lambda: desk.outlook.edit(item_id, subject="Outlook title")))
    result = desk.cycle()
    assert desk.outlook.items[item_id].subject == "Outlook title"
    assert [outcome.loser.description for outcome in result.outcomes if outcome.loser] == ["CRM title"]
    desk.settle()
    assert desk.get(activity_id).description == "Outlook title"


@pytest.mark.req("Y1")
def test_an_edit_in_the_crm_while_the_cycle_reads_waits_for_its_turn(desk: Desk) -> None:
    """The CRM is edited after it was read and before it is written: nothing is written over, the entry is planned again."""
    desk.reschedule = "update"
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (item_id,) = desk.outlook.items
    desk.now += timedelta(minutes=1)
    desk.outlook.edit(item_id, location="Lobby")
    desk.add("another", at(2, 10))
    desk.conflict = "crm"
    desk.outlook.meanwhile.append(
        ("create", lambda: desk.edit(activity_id, notes="a remark made just now", location="Desk"))
    )
    desk.settle()
    assert desk.get(activity_id).location == desk.outlook.items[item_id].location == "Desk"
    assert desk.get(activity_id).notes == "a remark made just now"
    assert "a remark made just now" in (desk.outlook.items[item_id].body or "")


@pytest.mark.req("Y3")
def test_a_deletion_in_the_crm_does_not_take_an_edit_made_meanwhile(desk: Desk) -> None:
    """The user edits the event while its removal is on the way: the edit wins."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (item_id,) = desk.outlook.items
    desk.remove(activity_id)
    desk.outlook.meanwhile.append(("read", lambda: desk.outlook.edit(item_id, subject="Tour, do not delete")))
    desk.settle()
    assert desk.outlook.subjects() == ["Tour, do not delete"]
    assert desk.get(activity_id).description == "Tour, do not delete"


def not_found() -> ItemGone:
    return ItemGone("The specified object was not found in the store.", response_code="ErrorItemNotFound")


@pytest.mark.req("Y2", "O5")
def test_a_master_that_is_not_found_once_deletes_nothing(desk: Desk) -> None:
    """A single ErrorItemNotFound for a series that was just listed is no deletion: its occurrences stay, and are read again."""
    master = desk.outlook.add_series("Daily", [at(1 + n, 9).start for n in range(4)])
    desk.settle()
    desk.outlook.edit(master, body="other words")
    desk.outlook.set_occurrences(master, [(at(1 + n, 9).start, at(1 + n, 9)) for n in range(4)])
    desk.outlook.unreadable[master] = not_found()
    desk.cycle()
    assert len(desk.activities()) == 4
    desk.settle()
    assert {a.notes for a in desk.activities()} == {"other words"}


@pytest.mark.req("Y2", "O1", "O4")
def test_an_event_that_is_not_found_once_is_not_forgotten(desk: Desk) -> None:
    """A new event and a moved one whose reading says ErrorItemNotFound once reach the CRM with the next cycle."""
    desk.reschedule = "update"
    moved = desk.outlook.add("moved", at(1, 9))
    desk.settle()
    new = desk.outlook.add("new", at(2, 9))
    desk.outlook.edit(moved, when=at(4, 9))
    for item_id in (new, moved):
        desk.outlook.unreadable[item_id] = not_found()
    desk.cycle()
    desk.settle()
    assert {(a.description, a.when) for a in desk.activities()} == {("moved", at(4, 9)), ("new", at(2, 9))}


@pytest.mark.req("Y2")
def test_a_create_that_is_carried_out_twice_stands_once(desk: Desk) -> None:
    """A server that carries a create out twice leaves one event: the double is removed before anybody can have copied it."""
    desk.outlook.doubles_creates = True
    desk.add("Tour", at(1, 10))
    desk.add("Call", days(1))
    desk.cycle()
    desk.outlook.doubles_creates = False
    desk.settle()
    assert sorted((i.subject, i.kind) for i in desk.outlook.items.values()) == [
        ("Call", Kind.TASK),
        ("Tour", Kind.EVENT),
    ]
    assert len(desk.activities()) == 2


@pytest.mark.req("Y1")
def test_notes_made_in_the_crm_survive_an_edit_of_something_else(desk: Desk) -> None:
    """Notes that the CRM's user wrote on an Outlook-born entry stay until the body itself changes in Outlook."""
    item_id = desk.outlook.add("Dentist", at(1, 9), body="from outlook")
    desk.cycle()
    (activity,) = desk.activities()
    desk.edit(activity.activity_id, notes="mine")
    desk.cycle()
    desk.outlook.edit(item_id, location="Town")
    desk.settle()
    (after,) = desk.activities()
    assert (after.notes, after.location) == ("mine", "Town")
    desk.outlook.edit(item_id, body="new words")
    desk.settle()
    assert desk.get(after.activity_id).notes == "new words"


@pytest.mark.req("Y3", "C6")
@pytest.mark.parametrize(("rule", "when"), [("exchange", at(4, 9)), ("crm", at(2, 14))])
def test_rescheduled_in_the_crm_and_edited_in_outlook(desk: Desk, rule: str, when: Timed) -> None:
    """A reschedule in the CRM does not sweep away what the user edited meanwhile: a new title stays, and of two new times the rule chooses."""
    desk.conflict = rule
    retitled, moved = desk.add("retitled", at(1, 10)), desk.add("moved", at(1, 12))
    desk.cycle()
    items = {item.subject: item.item_id for item in desk.outlook.items.values()}
    for activity_id in (retitled, moved):
        desk.move(activity_id, at(2, 14))
    desk.outlook.edit(items["retitled"], subject="Outlook title")
    desk.outlook.edit(items["moved"], when=at(4, 9))
    result = desk.cycle()
    assert len({outcome.key for outcome in result.outcomes if outcome.loser}) == 1
    desk.settle()
    assert {item.subject: item.when for item in desk.outlook.items.values()} == {
        "Outlook title": at(2, 14),
        "moved": when,
    }


@pytest.mark.req("O3")
@pytest.mark.parametrize("again", [False, True])
def test_what_is_deleted_before_its_creation_was_read_back(desk: Desk, again: bool) -> None:
    """An event and a task that the user deletes before the cycle after the one that made them are deletions like any other."""
    tour, call = desk.add("Tour", at(1, 10)), desk.add("Call", days(1))
    desk.cycle()
    if again:
        desk.outlook.forget_sync_states()
    for item_id in list(desk.outlook.items):
        desk.outlook.remove(item_id)
    desk.settle()
    assert [desk.get(a).status for a in (tour, call)] == [ActivityStatus.CANCELLED] * 2


@pytest.mark.req("C6")
def test_what_the_user_wrote_goes_over_to_the_new_event(desk: Desk) -> None:
    """A reschedule makes a new event; the user's own words around the CRM's block are in it."""
    activity_id = desk.add("Tour", at(1, 10), notes="ours")
    desk.cycle()
    (old,) = desk.outlook.items
    body = (desk.outlook.items[old].body or "").replace("</body>", "<p>my own note</p></body>")
    desk.outlook.edit(old, body=body)
    desk.settle()
    new_id = desk.move(activity_id, at(2, 14))
    desk.settle()
    (item,) = desk.outlook.items.values()
    assert item.item_id != old
    assert "my own note" in (item.body or "")
    assert f"activity/{new_id}" in (item.body or "")
    assert f'activity/{activity_id}"' not in (item.body or "")


@pytest.mark.req("O4", "O5", "Y4")
def test_a_series_that_is_moved_by_an_hour_keeps_its_activities(desk: Desk) -> None:
    """Each occurrence of a series that moved as a whole is moved in place: nothing is removed, the brake holds nothing up, For and notes stay."""
    starts = [at(1 + 7 * week, 9).start for week in range(12)]
    master = desk.outlook.add_series("Weekly", starts)
    desk.settle()
    before = [a.activity_id for a in desk.activities()]
    desk.edit(before[0], individual_id="1")
    later = [start + timedelta(hours=1) for start in starts]
    desk.outlook.set_occurrences(master, [(start, Timed(start, start + timedelta(hours=1))) for start in later])
    desk.settle()
    assert [a.activity_id for a in desk.activities()] == before
    assert [a.when.start for a in desk.activities()] == later
    assert desk.get(before[0]).individual_id == "1"


@pytest.mark.req("C3", "O4")
def test_an_activity_over_several_days_keeps_its_length(desk: Desk) -> None:
    """A task shows the first of several days; moved in Outlook, the activity moves as a whole."""
    desk.reschedule = "update"
    activity_id = desk.add("Fair", days(3, 3))
    desk.settle()
    assert desk.get(activity_id).when == days(3, 3)
    desk.outlook.edit(next(iter(desk.outlook.items)), when=days(8))
    desk.settle()
    assert desk.get(activity_id).when == days(8, 3)


def test_big_bodies_go_in_requests_of_their_own(desk: Desk) -> None:
    """Long bodies that users wrote travel in as many requests as it takes: none carries more than one may."""
    ids = [desk.add(f"Tour {n}", at(1, n)) for n in range(4)]
    desk.cycle()
    for item_id, item in list(desk.outlook.items.items()):
        desk.outlook.edit(item_id, body=(item.body or "").replace("</body>", "<p>" + "mine " * 30_000 + "</p></body>"))
    desk.settle()
    for activity_id in ids:
        desk.edit(activity_id, notes="new notes")
    sizes: list[int] = []
    desk.outlook.watch = lambda call, contents: sizes.append(sum(len(c.body_html or "") for c in contents))
    desk.settle()
    assert len(sizes) == 4
    assert all(
        "mine mine" in (item.body or "") and "new notes" in (item.body or "") for item in desk.outlook.items.values()
    )
