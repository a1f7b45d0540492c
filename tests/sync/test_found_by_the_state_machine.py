"""What the state machine found, each with its shrunken example."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import ItemRefused, ServerFailed
from ops_lib.model import Kind, Timed, When
from ops_lib.sync.body import as_text, with_block
from tests.support.memory_mailbox import lost
from tests.support.workers import Life, outlive_leases
from tests.sync.desk import at, days
from tests.sync.office import Office


@pytest.fixture
def office(sqlite_database: Database) -> Office:
    return Office(sqlite_database)


def shown(office: Office) -> list[str]:
    return sorted(activity.description for activity in office.activities())


def master_of(office: Office) -> str:
    (master,) = office.outlook.occurrences
    return master


@pytest.mark.req("Y5")
def test_a_series_deleted_while_the_mailbox_moved_goes_from_the_crm(office: Office) -> None:
    """All ids are new and one series is missing from them: its occurrences are asked for and go, whether or not the state is refused."""
    office.outlook.add("Lunch", at(1, 12))
    for refuses in (True, False):
        office.outlook.refuses_sync_states = refuses
        office.outlook.add_series("Weekly", [at(1 + 7 * n, 9).start for n in range(3)])
        office.cycle()
        office.cycle()
        assert shown(office) == ["Lunch", "Weekly", "Weekly", "Weekly"]
        office.outlook.renumber()
        office.outlook.remove(master_of(office))
        office.cycle()
        office.cycle()
        assert shown(office) == ["Lunch"]


@pytest.mark.req("O5")
def test_a_single_event_that_moves_and_becomes_a_series_is_no_longer_where_it_was(office: Office) -> None:
    """Moved and repeated in one go, it is shown where its occurrences are, and nowhere else."""
    item = office.outlook.add("Lunch", at(2, 9))
    office.cycle()
    office.outlook.edit(item, when=at(6, 22))
    office.outlook.set_pattern(item, [at(6, 22).start, at(7, 22).start])
    office.cycle()
    office.cycle()
    assert [activity.when for activity in office.activities()] == [at(6, 22), at(7, 22)]


@pytest.mark.req("Y2")
@pytest.mark.parametrize("how", ["the double is refused", "the worker dies before it looks"])
def test_a_double_that_could_not_be_removed_is_removed_later(office: Office, how: str) -> None:
    """A create that a server carried out twice stays unfinished until its double is gone; it never becomes an entry of its own."""
    office.add("Tour", at(1, 9))
    office.outlook.doubles_creates = True
    life = Life()
    if how == "the double is refused":
        office.outlook.refusals.append(("delete", ItemRefused("the item is corrupt")))
    else:
        life.at["after create"] = lambda: setattr(life, "is_over", True)
    office.work(life)
    office.outlook.doubles_creates = False
    office.cycle()
    office.cycle()
    assert shown(office) == ["Tour"]
    assert office.outlook.subjects() == ["Tour"]


@pytest.mark.req("Y2", "Y5")
def test_of_two_doubles_in_a_mailbox_that_moved_one_stays(office: Office) -> None:
    """Linked by a worker that died before it looked for doubles, and moved since: neither has the id that is known, and one of them is ours."""
    activity = office.add("Tour", at(1, 9))
    office.outlook.doubles_creates = True
    life = Life()
    life.at["before find_stamps"] = lambda: setattr(life, "is_over", True)
    office.work(life)
    office.outlook.doubles_creates = False
    office.outlook.renumber()
    office.cycle()
    office.cycle()
    assert [a.activity_id for a in office.activities() if a.status == "Scheduled"] == [activity]
    assert office.outlook.subjects() == ["Tour"]


@pytest.mark.req("Y5", "O5")
@pytest.mark.parametrize("day", [1, 6])
def test_an_event_that_became_a_series_while_the_mailbox_moved_keeps_its_activity(office: Office, day: int) -> None:
    """Nothing of it has the id that is known, and where it stood may not be shown any more: its activity is not taken for deleted."""
    activity = office.add("Tour", at(day, 9))
    office.cycle()
    office.outlook.renumber()
    ((item_id, _),) = office.outlook.items.items()
    office.outlook.set_pattern(item_id, [at(day, 9).start])
    office.now += timedelta(days=4)
    office.cycle()
    office.cycle()
    assert [(a.activity_id, a.status) for a in office.activities()] == [(activity, "Scheduled")]


@pytest.mark.req("O5")
def test_a_series_that_the_server_refused_for_a_while_is_read_when_it_gives_it(office: Office) -> None:
    """On a server that shows no occurrences, the refusal of a series counts as a failure that is tried again, not as a series of no dates."""
    office.outlook.expands = False
    office.outlook.add_series("Weekly", [at(1 + 7 * n, 9).start for n in range(3)])
    office.cycle()
    office.outlook.poison["Weekly"] = ItemRefused("the item is corrupt", response_code="ErrorItemCorrupt")
    last = office.outlook.occurrences[master_of(office)][-1]
    office.outlook.edit(last.item_id, when=at(16, 9))
    for _ in range(3):
        office.cycle()
    office.outlook.heal()
    office.retry_now()
    office.cycle()
    assert [activity.when for activity in office.activities()] == [at(1, 9), at(8, 9), at(16, 9)]


@pytest.mark.req("Y2", "Y6")
def test_a_copy_made_before_a_create_was_found_again_is_not_taken_for_it(office: Office) -> None:
    """The answer to a create was lost, and the user copied the event before the next cycle: both stand, each for itself."""
    activity = office.add("Tour", at(1, 9))
    life = Life()
    life.at["after create"] = lambda: setattr(life, "is_over", True)
    office.work(life)
    ((item_id, _),) = office.outlook.items.items()
    office.outlook.edit(office.outlook.copy(item_id, timedelta(hours=3)), subject="Mine")
    office.cycle()
    office.cycle()
    assert [(a.activity_id == activity, a.description) for a in office.activities()] == [
        (True, "Tour"),
        (False, "Mine"),
    ]
    assert office.outlook.subjects() == ["Mine", "Tour"]


@pytest.mark.req("Y8")
def test_a_worker_that_lost_its_account_writes_nothing_more(office: Office) -> None:
    """One that slept through a create, while another worker found and linked what it made, was busy: it neither links it again nor fails."""
    office.add("Tour", at(1, 9))

    def meanwhile() -> None:
        outlive_leases(office.database)
        office.work()

    result = office.work(Life(at={"after create": meanwhile}))
    assert result is not None
    assert result.outcome == "busy"
    office.cycle()
    assert office.outlook.subjects() == shown(office) == ["Tour"]


@pytest.mark.req("Y2", "O5")
def test_a_series_that_came_and_went_around_a_killed_cycle_leaves_nothing(office: Office) -> None:
    """Its occurrences were linked by a cycle that never ended, and no folder tells of it afterwards."""
    office.cycle()
    office.outlook.add_series("Weekly", [at(1 + n, 9).start for n in range(2)])
    life = Life()
    life.at["before find_stamps"] = lambda: setattr(life, "is_over", True)
    office.add("Tour", at(5, 9))
    office.work(life)
    assert shown(office).count("Weekly") == 2
    office.outlook.remove(master_of(office))
    office.cycle()
    office.cycle()
    assert shown(office) == ["Tour"]


@pytest.mark.req("O3")
def test_a_task_ticked_off_while_its_activity_was_deleted_stands_again_as_completed(office: Office) -> None:
    """The edit wins, with what was edited."""
    activity = office.add("Call", days(2))
    office.cycle()
    office.cycle()
    ((item_id, _),) = office.outlook.items.items()
    office.remove(activity)
    office.outlook.edit(item_id, is_complete=True)
    office.cycle()
    office.cycle()
    assert office.get(activity).status == "Completed"
    assert not office.get(activity).is_deleted


@pytest.mark.req("Y3", "C3")
def test_an_event_made_all_day_in_the_crm_and_deleted_in_outlook_comes_back_as_a_task(office: Office) -> None:
    """The edit wins, and an all-day activity of the CRM is a task."""
    activity = office.add("Tour", at(1, 9))
    office.cycle()
    office.cycle()
    ((item_id, _),) = office.outlook.items.items()
    office.edit(activity, when=days(5, 2))
    office.outlook.remove(item_id)
    office.cycle()
    office.cycle()
    (item,) = office.outlook.items.values()
    assert (item.kind, item.when) == ("task", days(5))
    assert office.get(activity).when == days(5, 2)


@pytest.mark.req("Y6", "C6")
def test_a_copy_does_not_stand_for_what_was_rescheduled(office: Office) -> None:
    """Rescheduled in the CRM while the user copied the event: the copy is the user's own, the new activity gets its own event."""
    activity = office.add("Tour", at(1, 9))
    office.cycle()
    office.cycle()
    ((item_id, _),) = office.outlook.items.items()
    office.move(activity, at(3, 9))
    copy = office.outlook.copy(item_id, timedelta(hours=1))
    office.outlook.edit(copy, subject="Mine")
    office.cycle()
    office.cycle()
    assert [(a.description, a.when) for a in office.activities()] == [("Mine", at(1, 10)), ("Tour", at(3, 9))]
    assert office.outlook.subjects() == ["Mine", "Tour"]


@pytest.mark.req("Y5")
def test_what_was_replaced_is_removed_from_where_it_moved(office: Office) -> None:
    """An event that became a task and could not be removed is removed under its new id when the mailbox has moved."""
    activity = office.add("Tour", at(1, 9))
    office.cycle()
    office.cycle()
    office.edit(activity, when=days(7))
    office.outlook.refusals += [("delete", ServerFailed("it failed inside"))] * 3
    office.work()
    office.outlook.refusals.clear()
    office.outlook.renumber()
    office.cycle()
    office.cycle()
    assert [item.kind for item in office.outlook.items.values()] == ["task"]
    assert shown(office) == ["Tour"]


@pytest.mark.req("C6")
def test_a_removal_that_is_tried_again_makes_nothing_twice(office: Office) -> None:
    """A reschedule whose old event could not be removed at once is planned again without a second new event."""
    activity = office.add("Tour", at(1, 9))
    office.cycle()
    office.cycle()
    office.move(activity, at(3, 9))
    office.outlook.fail("delete", lost(), "before")
    office.cycle()
    office.cycle()
    (item,) = office.outlook.items.values()
    assert item.when == at(3, 9)
    assert isinstance(item.when, Timed)


@pytest.mark.req("C2")
def test_what_stands_behind_the_end_of_a_body_is_kept() -> None:
    """Text that a gateway or an editor put behind the end of an HTML document is neither lost from the notes nor written away."""
    body = "<html><body><p>Before</p></body></html><p>Sent from my telephone</p>"
    assert as_text(body, is_html=True).split() == ["Before", "Sent", "from", "my", "telephone"]
    assert "Sent from my telephone" in with_block(body, "<div>block</div>", is_html=True)


@pytest.mark.req("Y2", "Y5")
@pytest.mark.parametrize("mended_by", ["retry", "an edit"])
@pytest.mark.parametrize("cycles", [1, 3, 8])
def test_what_cannot_be_read_after_the_mailbox_moved_is_not_taken_for_deleted(
    office: Office, cycles: int, mended_by: str
) -> None:
    """Its old id is gone and nobody can say which item it is now: it waits, however often it is tried, and is the same entry once it can be read."""
    activity = office.add("Tour", at(1, 9))
    office.outlook.add("Lunch", at(1, 12))
    office.outlook.add_series("Weekly", [at(1 + 7 * n, 9).start for n in range(2)])
    office.cycle()
    office.cycle()
    before = {(a.activity_id, a.status) for a in office.activities()}
    office.outlook.renumber()
    for title in ("Tour", "Lunch", "Weekly"):
        office.outlook.poison[title] = ItemRefused("the item is corrupt", response_code="ErrorItemCorrupt")
    for _ in range(cycles):
        office.work()
        office.now += timedelta(hours=1)
    assert {(a.activity_id, a.status) for a in office.activities()} == before
    office.outlook.heal()
    if mended_by == "retry":
        office.retry_now()
    else:
        for item in list(office.outlook.items.values()):
            office.outlook.edit(item.item_id, location="Lobby")
    office.cycle()
    office.cycle()
    assert {(a.activity_id, a.status) for a in office.activities()} == before
    assert office.get(activity).location == ("" if mended_by == "retry" else "Lobby")
    assert office.outlook.subjects() == ["Lunch", "Tour", "Weekly"]
    office.check()


@pytest.mark.req("Y3", "C6")
@pytest.mark.parametrize("reschedule", ["replace", "update"])
@pytest.mark.parametrize("title", ["", "Mine"])
def test_a_task_given_hours_in_the_crm_and_ticked_off_in_outlook_becomes_an_event(
    office: Office, reschedule: str, title: str
) -> None:
    """Outlook's edits win, the new time contradicts none of them: no task can hold hours, so both sides take what the other has, in two cycles."""
    office.conflict, office.reschedule = "exchange", reschedule
    office.tell_settings()
    activity = office.add("Call", days(2))
    office.cycle()
    ((item_id, _),) = office.outlook.items.items()
    moved = office.move(activity, at(1, 9, 30))
    office.outlook.edit(item_id, is_complete=True, subject=title or "Call")
    office.cycle()
    office.cycle()
    ((_, item),) = office.outlook.items.items()
    assert (item.kind, item.subject, item.when) == ("event", title or "Call", at(1, 9, 30))
    assert (office.get(moved).status, office.get(moved).when) == ("Completed", at(1, 9, 30))
    assert office.get(moved).description == (title or "Call")


@pytest.mark.req("O4", "C2")
def test_an_event_moved_in_outlook_while_its_notes_changed_in_the_crm_stays_the_users_own(office: Office) -> None:
    """A new activity stands for it in the CRM; the event is not made anew, and its block holds the new notes and leads to the new activity."""
    activity = office.add("Tour", at(1, 9), notes="first")
    office.cycle()
    ((item_id, _),) = office.outlook.items.items()
    office.edit(activity, notes="second")
    office.outlook.edit(item_id, when=at(2, 9))
    office.cycle()
    (standing,) = office.activities()
    ((found_id, item),) = office.outlook.items.items()
    assert (found_id, standing.when, standing.rescheduled_from) == (item_id, at(2, 9), activity)
    assert "second" in (item.body or "")
    assert f"/activity/{standing.activity_id}" in (item.body or "")
    office.cycle()
    office.check()


@pytest.mark.req("Y2")
@pytest.mark.parametrize("reschedule", ["replace", "update"])
def test_notes_that_could_not_be_written_with_an_edit_from_outlook_are_written_later(
    office: Office, reschedule: str
) -> None:
    """What goes to the CRM is agreed on when it is written there; what goes to Outlook only when that is."""
    office.reschedule = reschedule
    office.tell_settings()
    activity = office.add("Tour", at(1, 9), notes="first")
    office.cycle()
    ((item_id, _),) = office.outlook.items.items()
    office.edit(activity, notes="second")
    office.outlook.edit(item_id, when=at(2, 9))
    office.outlook.refusals += [("update", ServerFailed("it failed inside"))] * 3
    office.work()
    assert [a.when for a in office.activities()] == [at(2, 9)]
    office.outlook.refusals.clear()
    office.cycle()
    ((_, item),) = office.outlook.items.items()
    assert "second" in (item.body or "")
    assert item.when == at(2, 9)


@pytest.mark.req("Y1")
@pytest.mark.parametrize("commit", range(1, 8))
def test_an_edit_in_the_crm_during_a_cycle_undoes_nothing_of_outlooks(office: Office, commit: int) -> None:
    """Moved in Outlook, its notes edited in the CRM, and edited there again after the cycle's n-th step: the time stays as the user put it."""
    office.reschedule = "update"
    office.tell_settings()
    activity = office.add("Tour", at(1, 9), notes="first")
    office.cycle()
    ((item_id, _),) = office.outlook.items.items()
    office.edit(activity, notes="second")
    office.outlook.edit(item_id, when=at(2, 9))
    life = Life()

    def tick(left: int) -> None:
        if left:
            life.at["after commit"] = lambda: tick(left - 1)
        else:
            office.edit(activity, notes="third")

    tick(commit)
    office.work(life)
    office.cycle()
    office.cycle()
    ((_, item),) = office.outlook.items.items()
    assert (office.get(activity).when, item.when) == (at(2, 9), at(2, 9))
    assert office.get(activity).notes in (item.body or "")


@pytest.mark.req("Y5", "O5")
@pytest.mark.parametrize("expands", [True, False])
def test_an_occurrence_of_the_past_moved_in_the_crm_after_the_mailbox_moved_is_found(
    office: Office, expands: bool
) -> None:
    """Its id is none any more and no reading of the window shows it: it is looked for where it was, and is moved itself."""
    office.outlook.expands = expands
    office.outlook.add_series("Weekly", [at(7 * n, 8).start for n in range(3)])
    office.cycle()
    office.now += timedelta(days=4)
    office.cycle()
    first = office.activities()[0]
    office.outlook.renumber()
    office.edit(first.activity_id, when=at(6, 8))
    office.cycle()
    office.cycle()
    assert office.get(first.activity_id).when == at(6, 8)
    assert not office.get(first.activity_id).is_deleted
    assert [item.when for item in office.outlook.every()] == [at(6, 8), at(7, 8), at(14, 8)]
    office.check()


@pytest.mark.req("Y3", "O5")
def test_an_occurrence_of_the_past_moved_in_the_crm_whose_series_is_no_more_is_an_event_of_its_own(
    office: Office,
) -> None:
    """What Outlook did away with after its time the CRM keeps, and moved to a day that is shown it stands in Outlook again."""
    office.outlook.add_series("Weekly", [at(7 * n, 8).start for n in range(3)])
    office.cycle()
    office.now += timedelta(days=4)
    office.cycle()
    first = office.activities()[0]
    office.outlook.remove(master_of(office))
    office.edit(first.activity_id, when=at(6, 8))
    office.cycle()
    office.cycle()
    assert [(a.activity_id, a.when) for a in office.activities()] == [(first.activity_id, at(6, 8))]
    assert [item.when for item in office.outlook.every()] == [at(6, 8)]
    office.check()


@pytest.mark.req("C6", "Y2")
@pytest.mark.parametrize("create", ["works", "is refused once", "is refused in three rounds", "is refused for good"])
def test_an_activity_rescheduled_twice_in_a_row_takes_the_users_words_along(office: Office, create: str) -> None:
    """The event of the first is replaced by that of the last, as if there were none between: with what the user wrote, and not removed before."""
    activity = office.add("Tour", at(1, 9))
    office.cycle()
    ((item_id, item),) = office.outlook.items.items()
    office.outlook.edit(item_id, body=f"{item.body}<p>mine</p>")
    office.cycle()
    last = office.move(office.move(activity, at(2, 9)), at(3, 9))
    refusal = ServerFailed("it failed inside")
    if create == "is refused once":
        office.outlook.refusals += [("create", refusal)]
    elif create == "is refused in three rounds":
        office.outlook.refusals += [("create", refusal)] * 3
    elif create == "is refused for good":
        office.outlook.refusals += [("create", ItemRefused("the item is corrupt"))]
    office.work()
    if create in ("is refused in three rounds", "is refused for good"):
        assert list(office.outlook.items) == [item_id]
        office.cycle()
    ((_, item),) = office.outlook.items.items()
    assert item.when == at(3, 9)
    assert "mine" in (item.body or "")
    assert [link.activity_id for link in office.links()] == [last]
    office.cycle()
    office.check()


@pytest.mark.req("Y4", "C6")
def test_the_brake_does_not_count_what_was_rescheduled_twice(office: Office) -> None:
    """What another event stands for in the end is not removed from anybody's calendar."""
    activities = [office.add(f"Tour {n}", at(1 + n, 9)) for n in range(8)]
    office.cycle()
    for n, activity in enumerate(activities):
        office.move(office.move(activity, at(10 + n, 9)), at(20 + n, 9))
    office.cycle()
    assert [item.when for item in office.outlook.every()] == [at(20 + n, 9) for n in range(8)]


@pytest.mark.req("O3", "O5")
@pytest.mark.parametrize("expands", [True, False])
@pytest.mark.parametrize("what", ["the series", "the occurrence", "another one"])
def test_a_visit_that_became_a_series_and_has_left_the_window_is_cancelled_when_outlook_deletes_it(
    office: Office, what: str, expands: bool
) -> None:
    """What the CRM made counts for ninety days, as a single event does: also as the first of a series, of which the days before are not read."""
    office.outlook.expands = expands
    activity = office.add("Tour", at(0, 10))
    office.cycle()
    ((item_id, _),) = office.outlook.items.items()
    office.outlook.set_pattern(item_id, [at(7 * n, 10).start for n in range(3)])
    office.cycle()
    office.now += timedelta(days=4)
    office.cycle()
    first, second, _ = office.outlook.occurrences[item_id]
    removed = {"the series": item_id, "the occurrence": first.item_id, "another one": second.item_id}[what]
    office.outlook.remove(removed)
    office.cycle()
    office.cycle()
    assert office.get(activity).status == ("Scheduled" if what == "another one" else "Cancelled")
    assert len(office.activities()) == {"the series": 1, "the occurrence": 3, "another one": 2}[what]
    office.check()


@pytest.mark.req("C6", "Y5")
def test_a_reschedule_in_a_mailbox_that_moved_takes_one_cycle(office: Office) -> None:
    """What the user put on the event is looked for where the event is now."""
    activity = office.add("Tour", at(1, 9))
    office.outlook.add("Lunch", at(1, 12))
    office.cycle()
    office.outlook.renumber()
    office.move(activity, at(3, 9))
    office.cycle()
    assert [item.when for item in office.outlook.every() if item.stamp] == [at(3, 9)]
    office.cycle()
    office.check()


@pytest.mark.req("C6", "Y3")
@pytest.mark.parametrize("reschedule", ["replace", "update"])
def test_a_rescheduled_activity_that_an_edit_in_outlook_restores_keeps_the_event(
    office: Office, reschedule: str
) -> None:
    """Rescheduled and then cancelled in the CRM, its event edited in Outlook: the new activity stands again, with that event and no other."""
    office.conflict, office.reschedule = "exchange", reschedule
    office.tell_settings()
    activity = office.add("Tour", at(1, 9))
    office.cycle()
    office.cycle()
    ((item_id, _),) = office.outlook.items.items()
    last = office.move(activity, at(3, 9))
    office.cancel(last)
    office.outlook.edit(item_id, when=at(2, 9))
    office.cycle()
    office.cycle()
    assert [(a.activity_id, a.status, a.when) for a in office.activities()] == [(last, "Scheduled", at(2, 9))]
    assert [(item.item_id, item.when) for item in office.outlook.every()] == [(item_id, at(2, 9))]
    office.check()


@pytest.mark.req("C6", "Y5")
@pytest.mark.parametrize("when", [at(3, 9), days(3)])
def test_what_the_user_wrote_goes_along_in_a_mailbox_that_moved(office: Office, when: When) -> None:
    """Rescheduled, or made a task, while all ids changed: the words around the block are read where the event is now."""
    activity = office.add("Tour", at(1, 9))
    office.outlook.add("Lunch", at(1, 12))
    office.cycle()
    (item,) = [item for item in office.outlook.every() if item.stamp]
    office.outlook.edit(item.item_id, body=f"{item.body}<p>mine</p>")
    office.cycle()
    office.outlook.renumber()
    office.move(activity, when)
    office.cycle()
    (item,) = [item for item in office.outlook.every() if item.stamp]
    assert item.when == when
    assert "mine" in (item.body or "")


@pytest.mark.req("Y2", "Y5")
@pytest.mark.parametrize("call", ["read", "update"])
def test_a_mailbox_that_moves_during_a_cycle_doubles_nothing(office: Office, call: str) -> None:
    """An event that was there a moment ago and is not found is looked for in the next cycle before anything is concluded."""
    activity = office.add("Tour", at(1, 9))
    office.outlook.add("Lunch", at(1, 12))
    office.cycle()
    office.cycle()
    office.edit(activity, notes="second")
    office.work(Life(at={f"before {call}": office.outlook.renumber}))
    office.cycle()
    office.cycle()
    assert office.outlook.subjects() == shown(office) == ["Lunch", "Tour"]
    (item,) = [item for item in office.outlook.every() if item.stamp]
    assert "second" in (item.body or "")
    office.check()


@pytest.mark.req("Y5", "Y6")
@pytest.mark.parametrize("reschedule", ["replace", "update"])
def test_a_cancelled_copy_is_not_taken_for_the_event_in_a_mailbox_that_moved(office: Office, reschedule: str) -> None:
    """Of an event whose UID was not yet read, two carry the stamp: the one that stands is ours, and is what is rescheduled."""
    office.reschedule = reschedule
    office.tell_settings()
    activity = office.add("Tour", at(1, 9))
    office.outlook.add("Lunch", at(1, 12))
    office.cycle()
    (item,) = [item for item in office.outlook.every() if item.stamp]
    copy = office.outlook.copy(item.item_id, timedelta(hours=1))
    office.outlook.edit(copy, subject="Another", is_cancelled=True)
    office.move(activity, at(20, 9))
    office.outlook.renumber()
    office.cycle()
    office.cycle()
    assert shown(office) == ["Lunch", "Tour"]
    assert office.outlook.subjects() == ["Another", "Lunch", "Tour"]
    assert [i.when for i in office.outlook.every() if i.subject == "Tour"] == [at(20, 9)]


@pytest.mark.req("Y1", "Y2", "Y5")
def test_a_body_that_could_not_be_read_after_the_mailbox_moved_is_read_later(office: Office) -> None:
    """The event is found by its UID, its body is refused, and another worker is at the account: what the user wrote still reaches the CRM."""
    lunch = office.outlook.add("Lunch", at(1, 12), body="text")
    office.outlook.add("Dinner", at(1, 19), body="text")
    office.cycle()
    office.types = ("Tour",)
    office.tell_settings()
    office.outlook.add_series("Weekly", [at(2 + 7 * n, 9).start for n in range(2)])
    office.outlook.edit(lunch, body="mine")
    office.outlook.renumber()
    office.outlook.poison["Lunch"] = ItemRefused("the item is corrupt", response_code="ErrorItemCorrupt")

    def meanwhile() -> None:
        outlive_leases(office.database)
        office.work()

    office.work(Life(at={"after read": meanwhile}))
    office.outlook.poison.clear()
    office.types = ("Tour", "Home Visit")
    office.tell_settings()
    office.now += timedelta(minutes=5)
    office.retry_now()
    office.cycle()
    office.cycle()
    assert {a.description: a.notes for a in office.activities()} == {"Lunch": "mine", "Dinner": "text", "Weekly": ""}
    office.check()


@pytest.mark.req("Y1", "Y5")
def test_a_forgotten_state_is_noticed_by_an_item_that_could_not_be_read(office: Office) -> None:
    """All that is left of what was there is one entry that waits to be read: called new again, it says that the server began from nothing."""
    office.outlook.refuses_sync_states = False
    series = office.outlook.add_series("Weekly", [at(1 + 7 * n, 9).start for n in range(3)])
    office.outlook.add("Lunch", at(1, 12))
    office.outlook.poison["Lunch"] = ItemRefused("the item is corrupt", response_code="ErrorItemCorrupt")
    office.work()
    office.outlook.poison.clear()
    office.outlook.remove(series)
    office.outlook.forgets_once.add(Kind.EVENT)
    office.retry_now()
    office.cycle(allow_deletions=5)
    office.cycle(allow_deletions=5)
    assert shown(office) == office.outlook.subjects() == ["Lunch"]
    office.check()


@pytest.mark.req("Y1", "Y5", "C6")
@pytest.mark.parametrize("what", ["made in the CRM", "made in Outlook"])
def test_an_event_deleted_before_everything_was_read_again_and_rescheduled_goes(office: Office, what: str) -> None:
    """It is missing from a complete listing while the CRM reschedules to the time that was agreed: under the new activity too it is asked for."""
    office.reschedule = "update"
    office.tell_settings()
    if what == "made in the CRM":
        activity = office.add("Tour", at(1, 9))
    else:
        office.outlook.add("Tour", at(1, 9))
    office.outlook.add("Lunch", at(1, 12))
    office.cycle()
    office.cycle()
    if what != "made in the CRM":
        (activity,) = [a.activity_id for a in office.activities() if a.description == "Tour"]
    (item_id,) = [item.item_id for item in office.outlook.every() if item.subject == "Tour"]
    office.outlook.remove(item_id)
    office.outlook.forget_sync_states()
    office.move(activity, at(1, 9))
    office.cycle()
    office.cycle()
    assert office.outlook.subjects() == ["Lunch"]
    assert [a.description for a in office.activities() if a.status == "Scheduled"] == ["Lunch"]
    office.check()
