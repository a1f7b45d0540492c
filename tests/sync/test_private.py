"""Private events that are cancelled or deleted in the CRM: gone, or back, without a word of what they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.model import Activity, ActivityStatus, Item
from ops_lib.sync.audit import audit
from ops_lib.workspace import Settings, Workspace
from tests.sync.desk import Desk, at

SECRETS = ("Doctor", "Clinic", "results", "Ann", "Bob")


@pytest.fixture
def desk(sqlite_database: Database) -> Desk:
    return Desk(sqlite_database, reschedule="update")


def private_event(desk: Desk, is_private: bool = True) -> tuple[str, Activity]:
    """A private event of the user's own that is in step, and its activity."""
    item_id = desk.outlook.add(
        "Doctor",
        at(1, 9),
        location="Clinic",
        body="results",
        organizer="Bob",
        attendees=("Ann",),
        is_private=is_private,
    )
    desk.settle()
    (activity,) = desk.activities()
    return item_id, activity


def told_to_the_crm(desk: Desk) -> str:
    """All that the CRM holds of activities, and all that the ledger holds of what was agreed."""
    with desk.database.read() as c:
        rows = [*c.execute(select(t.activities)), *c.execute(select(t.links.c.agreed))]
    return repr(rows)


REMOVALS: dict[str, Callable[[Desk, str], None]] = {"deleted": Desk.remove, "cancelled": Desk.cancel}


@pytest.mark.req("C5", "O7")
@pytest.mark.parametrize("how", REMOVALS)
def test_removed_in_the_crm_and_taken_back_in_outlook(desk: Desk, how: str) -> None:
    """It leaves the calendar; taken out of Deleted Items its activity stands again, as busy time."""
    item_id, activity = private_event(desk)
    item = desk.outlook.items[item_id]
    REMOVALS[how](desk, activity.activity_id)
    desk.settle()
    assert desk.outlook.items == {}
    back = replace(item, item_id="back", change_key="back")
    desk.outlook.items["back"] = back
    desk.outlook.log.append((item.kind, "there", "back"))
    desk.settle()
    (again,) = desk.activities()
    assert (again.activity_id, again.description, again.status) == (
        activity.activity_id,
        "Busy",
        ActivityStatus.SCHEDULED,
    )
    assert not any(word in told_to_the_crm(desk) for word in SECRETS)


@pytest.mark.req("O7", "Y3")
@pytest.mark.parametrize("how", REMOVALS)
def test_removed_in_the_crm_and_moved_in_outlook(desk: Desk, how: str) -> None:
    """The edit wins: it stands again at its new time, as busy time."""
    item_id, activity = private_event(desk)
    REMOVALS[how](desk, activity.activity_id)
    desk.now += timedelta(minutes=5)
    desk.outlook.edit(item_id, when=at(2, 9), subject="Doctor, again")
    desk.settle()
    (again,) = desk.activities()
    assert (again.activity_id, again.when, again.description) == (activity.activity_id, at(2, 9), "Busy")
    assert desk.outlook.items[item_id].subject == "Doctor, again"
    assert not any(word in told_to_the_crm(desk) for word in SECRETS)


@pytest.mark.req("O7")
@pytest.mark.parametrize("how", REMOVALS)
@pytest.mark.parametrize("when", ["before the cycle", "while it is removed"])
@pytest.mark.parametrize("is_private", [True, False])
def test_removed_in_the_crm_and_marked_private_or_open_in_outlook(
    desk: Desk, how: str, when: str, is_private: bool
) -> None:
    """The mark is no edit: it leaves the calendar, also where it was set between the cycle's reading and its removal."""
    item_id, activity = private_event(desk, not is_private)
    REMOVALS[how](desk, activity.activity_id)

    def mark() -> None:
        desk.now += timedelta(minutes=5)
        desk.outlook.edit(item_id, is_private=is_private)

    if when == "before the cycle":
        mark()
    else:
        desk.outlook.meanwhile.append(("read", mark))
    desk.settle()
    assert desk.outlook.items == {}
    expected = [ActivityStatus.CANCELLED] if how == "cancelled" else []
    assert [a.status for a in desk.activities()] == expected


@pytest.mark.req("O7")
def test_moved_in_outlook_and_marked_private_after_the_crm_deleted_it(desk: Desk) -> None:
    """It stands again as busy time: what the CRM knew of it while it was open is taken back, its notes and people too."""
    item_id, activity = private_event(desk, is_private=False)
    assert desk.get(activity.activity_id).notes == "results"
    desk.remove(activity.activity_id)
    desk.now += timedelta(minutes=5)
    desk.outlook.edit(item_id, when=at(2, 9), is_private=True)
    desk.settle()
    (again,) = desk.activities()
    assert (again.when, again.description, again.is_private) == (at(2, 9), "Busy", True)
    assert not any(word in told_to_the_crm(desk) for word in SECRETS)


@pytest.mark.req("O7")
def test_cancelled_in_the_crm_and_scheduled_again(desk: Desk) -> None:
    """Its event was removed; what the CRM can put back is a block of busy time, once, and the mailbox keeps the user's own in Deleted Items."""
    _, activity = private_event(desk)
    desk.cancel(activity.activity_id)
    desk.settle()
    desk.edit(activity.activity_id, status=ActivityStatus.SCHEDULED)
    desk.settle()
    (made,) = desk.outlook.items.values()
    assert isinstance(made, Item)
    assert (made.subject, made.location, made.when) == ("Busy", "", at(1, 9))
    (again,) = desk.activities()
    assert (again.activity_id, again.description) == (activity.activity_id, "Busy")


@pytest.mark.req("O7")
def test_a_private_visit_that_is_edited_on_both_sides(desk: Desk) -> None:
    """Its time goes to the CRM, whose own new title stays, and the user's stays in Outlook; the audit finds nothing to remark."""
    tour = desk.add("Tour", at(1, 9))
    desk.settle()
    (item_id,) = desk.outlook.items
    desk.outlook.edit(item_id, is_private=True, subject="Doctor")
    desk.settle()
    desk.edit(tour, description="Tour and lunch", location="Lobby")
    desk.outlook.edit(item_id, when=at(2, 9))
    desk.settle()
    kept = desk.get(tour)
    assert (kept.description, kept.location, kept.when) == ("Tour and lunch", "Lobby", at(2, 9))
    assert desk.outlook.items[item_id].subject == "Doctor"
    workspace = Workspace(Path(), Settings(database_url="sqlite:///unused.db"), lambda: desk.now)
    workspace.database = desk.database
    assert audit(workspace, desk.host, desk.account, desk.mailbox()).remarks == []


@pytest.mark.req("O7", "C5")
@pytest.mark.parametrize("how", REMOVALS)
def test_a_visit_of_the_crm_s_that_its_user_keeps_private(desk: Desk, how: str) -> None:
    """Removed in the CRM it leaves the calendar, whatever title and place its user gave it there; only a move keeps it, at its new time."""
    tour = desk.add("Tour", at(1, 9))
    desk.settle()
    (item_id,) = desk.outlook.items
    desk.outlook.edit(item_id, is_private=True, subject="Doctor", location="Clinic")
    desk.settle()
    REMOVALS[how](desk, tour)
    desk.now += timedelta(minutes=5)
    desk.outlook.edit(item_id, when=at(2, 9))
    desk.settle()
    kept = desk.get(tour)
    assert (kept.when, kept.description, kept.status) == (at(2, 9), "Tour", ActivityStatus.SCHEDULED)
    assert desk.outlook.items[item_id].subject == "Doctor"
    REMOVALS[how](desk, tour)
    desk.now += timedelta(minutes=5)
    desk.outlook.edit(item_id, subject="Doctor, again", location="Clinic 2")
    desk.settle()
    assert desk.outlook.items == {}
    assert not any(word in told_to_the_crm(desk) for word in SECRETS)


@pytest.mark.req("O7")
@pytest.mark.parametrize("shows_occurrences", [True, False])
@pytest.mark.parametrize("first", ["private", "a series"])
def test_a_visit_of_the_crm_s_that_its_user_keeps_private_and_repeats(
    desk: Desk, first: str, shows_occurrences: bool
) -> None:
    """Its first date stays the CRM's visit and the others are busy time, whichever came first; each follows its date alone, and open, all is told."""
    desk.outlook.expands = desk.outlook.checks_change_keys = desk.outlook.refuses_sync_states = shows_occurrences
    tour = desk.add("Tour", at(1, 9))
    desk.settle()
    (item_id,) = desk.outlook.items
    steps: list[Callable[[], object]] = [
        lambda: desk.outlook.edit(item_id, is_private=True, subject="Doctor", location="Clinic"),
        lambda: desk.outlook.set_pattern(item_id, [at(1 + 7 * n, 9).start for n in range(3)], timedelta(hours=1)),
    ]
    for step in steps if first == "private" else reversed(steps):
        step()
        desk.settle()
    visits = [(1, "Tour"), (8, "Busy"), (15, "Busy")]
    assert [(a.when, a.description) for a in desk.activities()] == [(at(day, 9), title) for day, title in visits]
    for day, occurrence in zip((1, 8, 15), list(desk.outlook.every()), strict=True):
        desk.outlook.edit(occurrence.item_id, subject="Doctor, again", when=at(day + 1, 11))
    desk.settle()
    assert [(a.when, a.description) for a in desk.activities()] == [(at(day + 1, 11), title) for day, title in visits]
    for activity in desk.activities():
        desk.edit(activity.activity_id, description="Visit")
    desk.settle()
    assert [item.subject for item in desk.outlook.every()] == ["Doctor, again"] * 3
    first_visit, *others = desk.activities()
    assert (first_visit.activity_id, first_visit.description) == (tour, "Visit")
    assert [activity.description for activity in others] == ["Busy", "Busy"]
    assert not any(word in told_to_the_crm(desk) for word in SECRETS)
    for occurrence in list(desk.outlook.every()):
        desk.outlook.edit(occurrence.item_id, is_private=False)
    desk.settle()
    open_again = ["Visit", "Doctor, again", "Doctor, again"]
    assert [activity.description for activity in desk.activities()] == open_again
    assert [item.subject for item in desk.outlook.every()] == open_again
