from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import AnswerLost, TooManyDeletions
from ops_lib.model import ActivityStatus, AllDay, Item, Kind, Origin, Timed
from tests.support.memory_mailbox import lost
from tests.sync.desk import Desk, at, days


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


@pytest.mark.req("C1", "C2")
def test_a_timed_activity_becomes_an_event(desk: Desk) -> None:
    """A timed activity of a chosen type stands in the calendar at its time, with both links and the notes in its body."""
    activity_id = desk.add(
        "Tour with the O'Neils", at(1, 10), individual_id="1", notes="Bring the brochure", location="Front desk"
    )
    result = desk.cycle()
    assert result.counts()["created"] == {"crm": 0, "exchange": 1}
    (item,) = desk.outlook.items.values()
    assert (item.subject, item.when, item.location, item.kind) == (
        "Tour with the O'Neils",
        at(1, 10),
        "Front desk",
        Kind.EVENT,
    )
    assert f"https://crm.example/activity/{activity_id}" in (item.body or "")
    assert "https://crm.example/individual/1" in (item.body or "")
    assert "Bring the brochure" in (item.body or "")
    desk.settle()


@pytest.mark.req("C1")
def test_other_types_and_impossible_times_stay(desk: Desk) -> None:
    """An activity of a type that was not chosen, or whose start is not before its end, is skipped with its reason."""
    desk.add("Call", at(1, 10), type_name="Call Out")
    desk.add("Backwards", Timed(at(1, 11).start, at(1, 10).start))
    result = desk.cycle()
    assert desk.outlook.items == {}
    assert sorted(outcome.reason for outcome in result.outcomes) == [
        "its start is not before its end",
        "its type 'Call Out' is not among the types that this host sends to Outlook",
    ]


@pytest.mark.req("O4")
@pytest.mark.parametrize("what", ["made in the CRM", "made in Outlook", "occurrence"])
def test_an_impossible_time_is_not_sent(desk: Desk, what: str) -> None:
    """What ends before it starts in the CRM is not sent, whoever made it: it is skipped once with its reason, and its event stays where it was.
    Corrected, it goes on from there; deleted in Outlook meanwhile, its activity stays."""
    desk.reschedule = "update"
    if what == "made in the CRM":
        desk.add("Rounds", at(1, 10))
    elif what == "made in Outlook":
        desk.outlook.add("Rounds", at(1, 10))
    else:
        desk.outlook.add_series("Rounds", [at(1, 10).start])
    desk.settle()
    (activity,) = desk.activities()

    def event() -> Item:
        (link,) = desk.links()
        found = desk.outlook.find(link.item_id)
        assert found is not None
        return found

    backwards = Timed(at(2, 11).start, at(2, 10).start)
    desk.edit(activity.activity_id, when=backwards)
    result = desk.cycle()
    assert [(o.action, o.outcome, o.reason) for o in result.outcomes] == [
        ("rest", "skipped", "its start is not before its end")
    ]
    assert desk.cycle().outcomes == []
    assert event().when == at(1, 10)
    assert desk.get(activity.activity_id).when == backwards
    desk.now += timedelta(minutes=5)
    desk.outlook.edit(event().item_id, subject="Rounds with cake")
    desk.cycle()
    assert desk.get(activity.activity_id).description == "Rounds"
    desk.edit(activity.activity_id, when=at(2, 10))
    desk.now += timedelta(minutes=5)
    desk.outlook.edit(event().item_id, subject="Rounds with coffee")
    desk.settle()
    (same,) = desk.activities()
    assert (same.activity_id, same.when, same.description) == (activity.activity_id, at(1, 10), "Rounds with coffee")
    desk.edit(activity.activity_id, when=backwards)
    desk.cycle()
    desk.outlook.remove(event().item_id)
    assert desk.cycle().counts()["deleted"]["crm"] == 0
    assert desk.get(activity.activity_id).when == backwards
    assert desk.get(activity.activity_id).status is ActivityStatus.SCHEDULED


@pytest.mark.req("O1")
def test_an_event_of_outlook_may_end_when_it_starts(desk: Desk) -> None:
    """A reminder without length is kept in step like any other event."""
    item_id = desk.outlook.add("Reminder", at(1, 10, 0))
    desk.settle()
    (activity,) = desk.activities()
    desk.edit(activity.activity_id, location="Lobby")
    desk.settle()
    assert (desk.outlook.items[item_id].location, desk.outlook.items[item_id].when) == ("Lobby", at(1, 10, 0))


@pytest.mark.req("C3", "C4")
def test_an_all_day_activity_becomes_a_task_until_it_is_completed(desk: Desk) -> None:
    """An all-day activity is a task on its date; completed in the CRM it is a completed task; one completed before is never shown."""
    activity_id = desk.add("Call the Millers at 10", days(1))
    desk.add("Done already", days(1), status=ActivityStatus.COMPLETED)
    desk.cycle()
    (item,) = desk.outlook.items.values()
    assert (item.kind, item.subject, item.when, item.is_complete) == (
        Kind.TASK,
        "Call the Millers at 10",
        days(1),
        False,
    )
    desk.edit(activity_id, status=ActivityStatus.COMPLETED)
    desk.settle()
    assert desk.outlook.items[item.item_id].is_complete


@pytest.mark.req("C3")
def test_a_task_completed_in_outlook_completes_the_activity(desk: Desk) -> None:
    """A task that the user ticks off completes its activity."""
    activity_id = desk.add("Call the Millers", days(1))
    desk.cycle()
    (item_id,) = desk.outlook.items
    desk.outlook.edit(item_id, is_complete=True)
    desk.settle()
    assert desk.get(activity_id).status is ActivityStatus.COMPLETED


@pytest.mark.req("C3")
def test_all_day_tasks_need_to_be_enabled(desk: Desk) -> None:
    """With all-day tasks off, an all-day activity is skipped."""
    desk.all_day_tasks = False
    desk.add("Call", days(1))
    desk.cycle()
    assert desk.outlook.items == {}


@pytest.mark.req("C5")
@pytest.mark.parametrize("how", ["cancel", "remove"])
def test_what_is_cancelled_or_deleted_in_the_crm_leaves_outlook(desk: Desk, how: str) -> None:
    """Cancelled or deleted in the CRM: the event is removed."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    getattr(desk, how)(activity_id)
    desk.settle()
    assert desk.outlook.items == {}


@pytest.mark.req("C6")
def test_rescheduled_in_the_crm_stands_anew(desk: Desk) -> None:
    """Rescheduled in the CRM: a new event stands at the new time, and the old one is removed after it."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (old,) = desk.outlook.items
    new_id = desk.move(activity_id, at(2, 14))
    desk.settle()
    (item,) = desk.outlook.items.values()
    assert item.item_id != old
    assert item.when == at(2, 14)
    assert [a.activity_id for a in desk.activities()] == [new_id]
    created = next(entry for entry in desk.outlook.log if entry[2] == item.item_id)
    assert desk.outlook.log.index(created) < desk.outlook.log.index((Kind.EVENT, "gone", old))


@pytest.mark.req("C6")
def test_a_reschedule_may_keep_identity(desk: Desk) -> None:
    """With `reschedule: update`, a reschedule moves the event in place."""
    desk.reschedule = "update"
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (old,) = desk.outlook.items
    desk.move(activity_id, at(2, 14))
    desk.settle()
    assert {i: item.when for i, item in desk.outlook.items.items()} == {old: at(2, 14)}


@pytest.mark.req("C8")
def test_nothing_reminds_of_what_is_past_or_done(desk: Desk) -> None:
    """An event that is past or completed carries no reminder; a coming one does."""
    desk.add("past", at(-1, 10))
    desk.add("done", at(1, 10), status=ActivityStatus.COMPLETED)
    desk.add("coming", at(1, 12))
    desk.cycle()
    assert {item.subject: item.reminder_is_set for item in desk.outlook.items.values()} == {
        "past": False,
        "done": False,
        "coming": True,
    }


@pytest.mark.req("O1", "O2")
def test_an_outlook_event_appears_in_the_crm(desk: Desk) -> None:
    """An event of the window appears as the inbound type with a blank For, its place, organiser and notes; others do not."""
    desk.outlook.add(
        "Dentist",
        at(1, 8),
        location="Town",
        organizer="Dr Who <who@example.test>",
        body="<p>bring <b>card</b><script>x()</script></p>",
        body_is_html=True,
    )
    desk.outlook.add("last week", at(-4, 8))
    desk.outlook.add("next year", at(200, 8))
    result = desk.cycle()
    (activity,) = desk.activities()
    assert (activity.description, activity.type_name, activity.individual_id, activity.origin) == (
        "Dentist",
        "Appointment",
        None,
        Origin.EXCHANGE,
    )
    assert (activity.location, activity.notes, activity.when) == ("Town", "bring card", at(1, 8))
    assert result.counts()["created"] == {"crm": 1, "exchange": 0}
    desk.settle()


@pytest.mark.req("O3")
def test_deleted_in_outlook(desk: Desk) -> None:
    """Deleted in Outlook: the user's own event leaves the CRM; a CRM-born one becomes Cancelled and says so."""
    own = desk.outlook.add("Dentist", at(1, 8))
    tour = desk.add("Tour", at(1, 10))
    desk.cycle()
    for item_id in list(desk.outlook.items):
        desk.outlook.remove(item_id)
    desk.settle()
    assert own not in desk.outlook.items
    assert [a.description for a in desk.activities()] == ["Tour"]
    assert desk.get(tour).status is ActivityStatus.CANCELLED
    assert "Deleted in Outlook" in desk.get(tour).notes


@pytest.mark.req("O4")
def test_rescheduled_in_outlook(desk: Desk) -> None:
    """Moved in Outlook: the event stays as the user put it; in the CRM a new activity stands at the new time, linked to it."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (item_id,) = desk.outlook.items
    desk.outlook.edit(item_id, when=at(3, 15))
    desk.settle()
    (activity,) = desk.activities()
    assert activity.activity_id != activity_id
    assert (activity.when, activity.rescheduled_from, activity.description) == (at(3, 15), activity_id, "Tour")
    assert [link.item_id for link in desk.links()] == [item_id]


@pytest.mark.req("O4")
def test_a_move_in_outlook_may_keep_identity(desk: Desk) -> None:
    """With `reschedule: update`, a move in Outlook moves the activity in place."""
    desk.reschedule = "update"
    desk.outlook.add("Dentist", at(1, 8))
    desk.cycle()
    (before,) = desk.activities()
    desk.outlook.edit(next(iter(desk.outlook.items)), when=at(2, 9))
    desk.settle()
    (after,) = desk.activities()
    assert (after.activity_id, after.when) == (before.activity_id, at(2, 9))


@pytest.mark.req("Y1")
def test_edits_travel_both_ways(desk: Desk) -> None:
    """Titles, places and times edited on either side reach the other; what Outlook's user wrote in the body stays."""
    tour = desk.add("Tour", at(1, 10), notes="first")
    desk.outlook.add("Dentist", at(1, 8))
    desk.cycle()
    links = {link.activity_id: link for link in desk.links()}
    item_id = links[tour].item_id
    own = next(link for link in links.values() if link.activity_id != tour)
    desk.outlook.edit(
        item_id,
        body=(desk.outlook.items[item_id].body or "").replace("</body>", "<p>my own words</p></body>"),
        location="Lobby",
    )
    desk.cycle()
    desk.edit(tour, notes="second", description="Tour and lunch")
    desk.edit(own.activity_id, description="Dentist, again")
    desk.settle()
    item = desk.outlook.items[item_id]
    assert (item.subject, item.location) == ("Tour and lunch", "Lobby")
    assert "my own words" in (item.body or "")
    assert "second" in (item.body or "")
    assert "first" not in (item.body or "")
    assert desk.outlook.items[own.item_id].subject == "Dentist, again"
    assert desk.get(tour).location == "Lobby"


@pytest.mark.req("Y3")
@pytest.mark.parametrize(
    ("rule", "winner"), [("crm", "CRM title"), ("exchange", "Outlook title"), ("latest", "Outlook title")]
)
def test_both_edited(desk: Desk, rule: str, winner: str) -> None:
    """Both sides edited the same entry: the rule decides, and the losing version is kept in the record."""
    desk.conflict = rule
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    desk.now += timedelta(minutes=1)
    desk.edit(activity_id, description="CRM title")
    desk.now += timedelta(minutes=1)
    desk.outlook.edit(next(iter(desk.outlook.items)), subject="Outlook title")
    result = desk.cycle()
    losers = [outcome.loser.description for outcome in result.outcomes if outcome.loser is not None]
    assert losers == [{"CRM title": "Outlook title", "Outlook title": "CRM title"}[winner]]
    desk.settle()
    assert desk.outlook.subjects() == [winner]
    assert desk.get(activity_id).description == winner


@pytest.mark.req("Y3")
def test_edited_in_the_crm_and_deleted_in_outlook(desk: Desk) -> None:
    """Edited on one side, deleted on the other: the edit wins, in both directions."""
    tour = desk.add("Tour", at(1, 10))
    desk.outlook.add("Dentist", at(1, 8))
    desk.cycle()
    links = {link.activity_id: link.item_id for link in desk.links()}
    own = next(a for a in links if a != tour)
    desk.edit(tour, description="Tour, confirmed")
    desk.outlook.remove(links[tour])
    desk.outlook.edit(links[own], subject="Dentist, confirmed")
    desk.remove(own)
    desk.settle()
    assert desk.outlook.subjects() == ["Dentist, confirmed", "Tour, confirmed"]
    assert sorted(a.description for a in desk.activities()) == ["Dentist, confirmed", "Tour, confirmed"]


@pytest.mark.req("Y4")
def test_the_brake(desk: Desk) -> None:
    """A cycle that would remove more than a fifth of the links stops before the first removal, until it is allowed."""
    ids = [desk.add(f"Tour {n}", at(1, n)) for n in range(12)]
    desk.cycle()
    for activity_id in ids[:6]:
        desk.remove(activity_id)
    with pytest.raises(TooManyDeletions, match="would remove 6"):
        desk.cycle()
    assert len(desk.outlook.items) == 12
    desk.cycle(allow_deletions=6)
    assert len(desk.outlook.items) == 6


@pytest.mark.req("Y6")
def test_a_copy_is_an_event_of_its_own(desk: Desk) -> None:
    """A copy that the user makes of a synced event appears as an Outlook-born entry; the original keeps its link."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (item_id,) = desk.outlook.items
    desk.outlook.copy(item_id, timedelta(days=1))
    desk.settle()
    assert sorted((a.description, a.origin.value) for a in desk.activities()) == [("Tour", "crm"), ("Tour", "exchange")]
    assert {link.activity_id: link.item_id for link in desk.links()}[activity_id] == item_id


@pytest.mark.req("Y5")
@pytest.mark.parametrize("what", ["forget_sync_states", "renumber"])
def test_lost_states_and_moved_mailboxes(desk: Desk, what: str) -> None:
    """A sync state that is refused, a mailbox whose item ids are all new: everything is found again, nothing twice, nothing deleted."""
    desk.add("Tour", at(1, 10))
    desk.add("Call", days(2))
    desk.outlook.add("Dentist", at(1, 8))
    desk.cycle()
    desk.cycle()
    getattr(desk.outlook, what)()
    desk.settle()
    assert desk.outlook.subjects() == ["Dentist", "Tour"]
    assert [a.status for a in desk.activities()] == [ActivityStatus.SCHEDULED] * 3


@pytest.mark.req("Y7")
def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    """A dry run tells what a cycle would do, with reasons, and leaves both sides and the ledger as they were."""
    desk.add("Tour", at(1, 10))
    desk.outlook.add("Dentist", at(1, 8))
    result = desk.cycle(dry_run=True)
    assert [(c.action, c.side, c.reason) for c in result.changes] == [
        ("create", "crm", "new in Outlook"),
        ("create", "exchange", "new in the CRM"),
    ]
    assert desk.outlook.subjects() == ["Dentist"]
    assert len(desk.activities()) == 1
    assert desk.links() == []
    desk.settle()
    assert desk.outlook.subjects() == ["Dentist", "Tour"]


@pytest.mark.req("Y2")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["create", "update", "delete", "changes", "view", "read", "find_stamps"])
def test_any_answer_may_be_lost(desk: Desk, call: str, when: str) -> None:
    """Whichever answer is lost, and whether the request was carried out or not: nothing is lost and nothing is there twice."""
    changed, gone = desk.add("changed", at(1, 9)), desk.add("gone", at(1, 12))
    desk.outlook.add("Dentist", at(1, 8))
    desk.cycle()
    desk.edit(changed, description="changed!")
    desk.remove(gone)
    desk.add("new", at(2, 9))
    desk.outlook.fail(call, lost(), when)
    if call == "find_stamps":
        desk.outlook.fail("create", lost(), when)
    with suppress(AnswerLost):
        desk.cycle()
    desk.settle()
    assert desk.outlook.subjects() == ["Dentist", "changed!", "new"]
    assert sorted(a.description for a in desk.activities()) == ["Dentist", "changed!", "new"]


@pytest.mark.req("Y2")
def test_a_create_that_is_carried_out_late_is_taken_back(desk: Desk) -> None:
    """A server that carries out a create after we gave it up and made another: ours is removed, a user's copy is not."""
    desk.add("Tour", at(1, 10))
    desk.outlook.fail("create", lost(), "late")
    desk.cycle()
    assert len(desk.outlook.items) == 1
    desk.outlook.arrive()
    assert len(desk.outlook.items) == 2
    desk.settle()
    assert desk.outlook.subjects() == ["Tour"]
    assert len(desk.activities()) == 1


def test_all_day_switched_in_the_crm_changes_places(desk: Desk) -> None:
    """An activity that becomes all-day in the CRM leaves the calendar and becomes a task, and back."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    desk.edit(activity_id, when=days(1))
    desk.settle()
    assert [(item.kind, item.when) for item in desk.outlook.items.values()] == [(Kind.TASK, days(1))]
    desk.edit(activity_id, when=at(2, 10))
    desk.settle()
    assert [(item.kind, item.when) for item in desk.outlook.items.values()] == [(Kind.EVENT, at(2, 10))]


def test_all_day_switched_in_outlook_stays_an_event(desk: Desk) -> None:
    """An event that the user makes all-day stays that event; the activity follows."""
    desk.reschedule = "update"
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (item_id,) = desk.outlook.items
    desk.outlook.edit(item_id, when=days(1))
    desk.settle()
    assert desk.get(activity_id).when == days(1)
    assert desk.outlook.items[item_id].kind is Kind.EVENT


@pytest.fixture(params=["expanding", "not expanding"])
def any_desk(desk: Desk, request: pytest.FixtureRequest) -> Desk:
    """Outlook on a server whose calendar view shows the occurrences of series, and on one that does not."""
    desk.outlook.expands = request.param == "expanding"
    return desk


@pytest.mark.req("O5")
def test_every_occurrence_in_the_window_appears(any_desk: Desk) -> None:
    """Each occurrence of a series in the window is an activity; moved ones stand where they were moved to, deleted ones go."""
    starts = [at(1 + 7 * week, 9).start for week in range(4)]
    master = any_desk.outlook.add_series("Weekly", starts, body="agenda", body_is_html=False)
    any_desk.settle()
    assert [a.when for a in any_desk.activities()] == [at(1 + 7 * week, 9) for week in range(4)]
    assert {a.notes for a in any_desk.activities()} == {"agenda"}
    any_desk.outlook.set_occurrences(master, [(starts[0], at(1, 9)), (starts[1], at(9, 15)), (starts[3], at(22, 9))])
    any_desk.settle()
    assert sorted((a.when for a in any_desk.activities()), key=str) == sorted([at(1, 9), at(9, 15), at(22, 9)], key=str)
    any_desk.outlook.remove(master)
    any_desk.settle()
    assert any_desk.activities() == []


def test_an_edit_of_one_occurrence_changes_that_one_only(any_desk: Desk) -> None:
    """An occurrence edited in the CRM is edited in Outlook, the others stay; one cancelled there is deleted."""
    any_desk.outlook.add_series("Weekly", [at(1 + 7 * week, 9).start for week in range(3)])
    any_desk.settle()
    first, second, third = any_desk.activities()
    any_desk.edit(second.activity_id, description="Second, with cake")
    any_desk.remove(third.activity_id)
    any_desk.settle()
    (occurrences,) = any_desk.outlook.occurrences.values()
    assert [o.subject for o in occurrences] == ["Weekly", "Second, with cake"]
    assert [a.activity_id for a in any_desk.activities()] == [first.activity_id, second.activity_id]


def test_days_enter_the_window(any_desk: Desk) -> None:
    """An event ninety days ahead and more appears on the day its day enters the window, without having changed."""
    any_desk.outlook.add("far", at(95, 9))
    any_desk.outlook.add_series("series", [at(95, 11).start, at(96, 11).start])
    any_desk.cycle()
    assert any_desk.activities() == []
    any_desk.now += timedelta(days=5)
    any_desk.settle()
    assert sorted(a.description for a in any_desk.activities()) == ["far", "series"]


def test_private_events_show_as_busy_time(desk: Desk) -> None:
    """A private event shows as busy time and nothing else; made public, it shows."""
    item_id = desk.outlook.add("Secret", at(1, 9), location="nowhere", body="secret", is_private=True)
    desk.settle()
    (activity,) = desk.activities()
    assert (activity.description, activity.location, activity.notes, activity.is_private) == ("Busy", "", "", True)
    desk.edit(activity.activity_id, description="snooping")
    desk.cycle()
    assert desk.outlook.items[item_id].subject == "Secret"
    assert desk.get(activity.activity_id).description == "Busy"
    desk.outlook.edit(item_id, is_private=False)
    desk.cycle()
    assert desk.get(activity.activity_id).description == "Secret"


def test_all_day_events_stay_on_their_date(desk: Desk) -> None:
    """An all-day event is an all-day activity on its dates, never a task."""
    desk.outlook.add("Fair", days(3, 2))
    desk.settle()
    (activity,) = desk.activities()
    assert activity.when == days(3, 2)
    assert isinstance(activity.when, AllDay)


def test_rest_and_return(desk: Desk) -> None:
    """A type that is no longer chosen rests: nothing is deleted; chosen again, it is not made twice and what changed meanwhile travels."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (item_id,) = desk.outlook.items
    desk.types = ("Home Visit",)
    desk.edit(activity_id, description="Tour!")
    desk.cycle()
    desk.outlook.edit(item_id, location="Lobby")
    desk.cycle()
    assert desk.outlook.items[item_id].subject == "Tour"
    desk.types = ("Tour", "Home Visit")
    desk.now += timedelta(minutes=5)
    desk.edit(activity_id, description="Tour!!")
    desk.settle()
    assert list(desk.outlook.items) == [item_id]
    assert desk.outlook.items[item_id].subject == "Tour!!"


def test_old_entries_that_an_archive_takes_away_stay_in_the_crm(desk: Desk) -> None:
    """What Outlook's archive removes long after its time is no cancellation."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    desk.now += timedelta(days=120)
    desk.outlook.remove(next(iter(desk.outlook.items)))
    desk.cycle()
    assert desk.get(activity_id).status is ActivityStatus.SCHEDULED
    assert desk.links() == []
