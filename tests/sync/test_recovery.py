"""Y5: what was lost, moved or restored is found again by id, UID, stamp and key; nothing is twice, nothing is lost, nothing is deleted by mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import TooManyDeletions
from ops_lib.model import ActivityStatus, Item, ItemType, Kind, Origin, Timed
from tests.support.backup import EVERYTHING, LEDGER, Backup
from tests.support.memory_outlook import gone
from tests.sync.desk import Desk, at, days


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def shown(desk: Desk) -> tuple[Counter[tuple[object, ...]], Counter[tuple[object, ...]]]:
    """What a person sees: the CRM's calendar without what is cancelled, and Outlook's."""
    crm = Counter((a.description, a.when) for a in desk.activities() if a.status is not ActivityStatus.CANCELLED)
    outlook = Counter((i.subject, i.when) for i in desk.outlook.every())
    return crm, outlook


def titles(desk: Desk) -> list[str]:
    return sorted(a.description for a in desk.activities() if a.status is not ActivityStatus.CANCELLED)


def populated(desk: Desk) -> None:
    """Six entries of the CRM (a task among them), four of Outlook, and a series of three; both sides agree."""
    for number in range(5):
        desk.add(f"Tour {number}", at(1 + number, 10))
    desk.add("Call", days(3))
    for number in range(4):
        desk.outlook.add(f"Own {number}", at(1 + number, 14))
    desk.outlook.add_series("Rounds", [at(2 + n, 8).start for n in range(3)])
    desk.settle()


def item_of(desk: Desk, subject: str) -> Item:
    (item,) = [item for item in desk.outlook.items.values() if item.subject == subject]
    return item


# ── the sync state ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("Y5")
@pytest.mark.parametrize("refused", [True, False], ids=["refused", "silently taken for none"])
def test_a_lost_sync_state(desk: Desk, refused: bool) -> None:
    """Whether the server refuses the state or begins from nothing without a word: what was edited, made and deleted meanwhile is found, on
    singles, tasks and series, and nothing else is touched."""
    populated(desk)
    before = {a.activity_id for a in desk.activities()}
    desk.outlook.refuses_sync_states = refused
    desk.outlook.forget_sync_states()
    desk.outlook.remove(item_of(desk, "Own 0").item_id)
    desk.outlook.remove(item_of(desk, "Tour 0").item_id)
    desk.outlook.remove(item_of(desk, "Rounds").item_id)
    desk.outlook.edit(item_of(desk, "Own 1").item_id, subject="Own 1 edited")
    desk.outlook.add("Own 9", at(5, 14))
    first = desk.cycle()
    assert {change.action for change in first.changes if change.writes} == {"update", "create"}  # deletions wait
    desk.settle()
    assert titles(desk) == [
        "Call", "Own 1 edited", "Own 2", "Own 3", "Own 9", "Tour 1", "Tour 2", "Tour 3", "Tour 4",
    ]  # fmt: skip
    assert {a.activity_id for a in desk.activities() if a.description != "Own 9"} <= before
    assert desk.get(next(a.activity_id for a in desk.activities() if a.description == "Tour 0")).status is (
        ActivityStatus.CANCELLED
    )


@pytest.mark.req("Y5")
def test_what_was_created_since_the_state_does_not_look_like_a_forgotten_state(desk: Desk) -> None:
    """Our own creates are listed as new in the next cycle: that is no reason to read everything again."""
    populated(desk)
    desk.add("another", at(6, 10))
    desk.cycle()
    result = desk.cycle()
    assert result.requests == 2


@pytest.mark.req("Y5")
def test_deletions_of_items_nobody_knows_are_nothing(desk: Desk) -> None:
    """A server that lists deletions of ids never seen (a state of another folder) removes nothing."""
    populated(desk)
    desk.outlook.log += [(Kind.EVENT, "gone", f"never-seen-{number}") for number in range(50)]
    result = desk.cycle()
    assert [change for change in result.changes if change.writes] == []
    desk.settle()


@pytest.mark.req("Y5", "Y6")
@pytest.mark.parametrize("keeps", ["uid", "stamp"])
def test_deleted_and_created_in_one_batch_is_a_move(desk: Desk, keeps: str) -> None:
    """An item that left under one id and came under another in the same answer is the same entry: its activity stays."""
    populated(desk)
    before = shown(desk)
    ids = {a.activity_id for a in desk.activities()}
    for subject in ("Tour 1", "Call") if keeps == "stamp" else ("Own 1", "Tour 1"):
        old = item_of(desk, subject)
        desk.outlook.remove(old.item_id)
        desk.outlook.add(
            old.subject, old.when, kind=old.kind, body=old.body, body_is_html=old.body_is_html,
            **({"uid": old.uid} if keeps == "uid" else {"stamp": old.stamp}),
        )  # fmt: skip
    desk.settle()
    assert shown(desk) == before
    assert {a.activity_id for a in desk.activities()} == ids


# ── the mailbox is elsewhere ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("Y5")
@pytest.mark.parametrize("keeps", ["UIDs and stamps", "UIDs only"])
def test_all_item_ids_changed(desk: Desk, keeps: str) -> None:
    """The mailbox moved to another server: every id is new. What was edited on either side meanwhile is carried over, nothing is made twice."""
    desk.reschedule = "update"
    populated(desk)
    ids = {a.activity_id for a in desk.activities()}
    desk.outlook.renumber()
    if keeps == "UIDs only":
        for item_id, item in desk.outlook.items.items():
            desk.outlook.items[item_id] = replace(item, stamp="")
    desk.outlook.edit(item_of(desk, "Own 0").item_id, subject="Own 0 edited")
    desk.outlook.edit(item_of(desk, "Tour 0").item_id, when=at(9, 9))
    desk.edit(next(a.activity_id for a in desk.activities() if a.description == "Tour 1"), description="Tour 1 edited")
    desk.settle()
    crm, outlook = shown(desk)
    assert crm == outlook
    assert {a.activity_id for a in desk.activities()} == ids
    assert ("Tour 0", at(9, 9)) in crm
    assert {"Own 0 edited", "Tour 1 edited"} <= {title for title, _ in outlook}


@pytest.mark.req("Y5", "Y6")
def test_one_not_found_is_no_proof_that_a_copy_is_the_original(desk: Desk) -> None:
    """A copy that the user makes while the original answers "not found" once: the original keeps its activity, the copy gets its own."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.settle()
    (original,) = desk.outlook.items
    desk.outlook.copy(original, timedelta(hours=3))
    desk.outlook.unreadable[original] = gone(original)
    desk.cycle()
    assert [link.item_id for link in desk.links()] == [original]
    desk.settle()
    links = {link.activity_id: link.item_id for link in desk.links()}
    assert links[activity_id] == original
    assert len(links) == 2


@pytest.mark.req("Y5")
def test_an_original_that_is_gone_unsaid_is_found_again_by_its_stamp(desk: Desk) -> None:
    """An item whose id changed without a word of the server: not found twice, its likeness stands for it."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.settle()
    (old,) = desk.outlook.items
    item = desk.outlook.items.pop(old)
    desk.outlook.log = [entry for entry in desk.outlook.log if entry[2] != old]
    desk.outlook.forget_sync_states()
    desk.cycle()
    desk.outlook.add(item.subject, item.when, stamp=item.stamp, body=item.body, body_is_html=True)
    desk.settle()
    assert desk.get(activity_id).status is ActivityStatus.SCHEDULED
    assert desk.outlook.subjects() == ["Tour"]
    assert titles(desk) == ["Tour"]


# ── restored databases ───────────────────────────────────────────────────────────────────────────────────────────────
def a_day_s_work(desk: Desk) -> None:
    """Everything a day brings: made, edited, moved, rescheduled and deleted on both sides."""
    by_title = {a.description: a.activity_id for a in desk.activities()}
    desk.now += timedelta(hours=2)
    desk.add("Tour today", at(7, 10))
    desk.add("Call today", days(7))
    desk.edit(by_title["Tour 1"], description="Tour 1 by the CRM")
    desk.move(by_title["Tour 2"], at(8, 10))
    desk.remove(by_title["Tour 3"])
    desk.outlook.add("Own today", at(7, 14))
    desk.outlook.add("Own and moved", at(7, 16))
    desk.outlook.edit(item_of(desk, "Tour 4").item_id, when=at(8, 12))
    desk.outlook.edit(item_of(desk, "Own 1").item_id, subject="Own 1 by the user")
    desk.outlook.edit(item_of(desk, "Own 2").item_id, when=at(8, 14))
    desk.outlook.remove(item_of(desk, "Own 3").item_id)
    desk.settle()
    desk.now += timedelta(hours=1)
    desk.outlook.edit(item_of(desk, "Own and moved").item_id, when=at(8, 16))
    desk.move(next(a.activity_id for a in desk.activities() if a.description == "Tour today"), at(9, 10))
    desk.settle()


@pytest.mark.req("Y5")
@pytest.mark.parametrize("reschedule", ["replace", "update"])
@pytest.mark.parametrize("state", ["valid", "lost"])
def test_the_ledger_is_restored_from_yesterday(desk: Desk, reschedule: str, state: str) -> None:
    """The CRM knows more than the ledger: links of today are found again by stamp and key, also those of rescheduled entries. Nothing is
    written twice, nothing comes back, and no activity is another than before."""
    desk.reschedule = reschedule
    populated(desk)
    yesterday = Backup.of(desk.database, LEDGER)
    a_day_s_work(desk)
    before = shown(desk)
    ids, items = {a.activity_id for a in desk.activities()}, set(desk.outlook.items)
    yesterday.restore()
    if state == "lost":
        desk.outlook.forget_sync_states()
    desk.settle()
    assert shown(desk) == before
    assert {a.activity_id for a in desk.activities()} == ids
    assert set(desk.outlook.items) == items


@pytest.mark.req("Y5")
def test_the_ledger_is_lost_altogether(desk: Desk) -> None:
    """Without any ledger, everything is linked anew: no activity and no item is made or removed."""
    desk.reschedule = "update"
    empty = Backup.of(desk.database, LEDGER)
    populated(desk)
    a_day_s_work(desk)
    before = shown(desk)
    ids, items = {a.activity_id for a in desk.activities()}, set(desk.outlook.items)
    empty.restore()
    desk.settle()
    assert shown(desk) == before
    assert {a.activity_id for a in desk.activities()} == ids
    assert set(desk.outlook.items) == items


@pytest.mark.req("Y5")
@pytest.mark.parametrize("state", ["valid", "lost"])
def test_the_whole_database_is_restored_from_yesterday(desk: Desk, state: str) -> None:
    """Activities of today are gone, their events stand: these become entries of the user's calendar. An id that is given again names another
    activity, which gets its own event. What today took from Outlook stays away."""
    desk.reschedule = "update"
    populated(desk)
    yesterday = Backup.of(desk.database, EVERYTHING)
    taken = {a.activity_id for a in desk.activities()}
    a_day_s_work(desk)
    in_outlook = shown(desk)[1]
    yesterday.restore()
    if state == "lost":
        desk.outlook.forget_sync_states()
    again = desk.add("somebody else's", at(10, 10))
    assert again not in taken
    desk.settle()
    crm, outlook = shown(desk)
    assert outlook == in_outlook + Counter([("somebody else's", at(10, 10))])
    assert outlook - crm == Counter([("Call today", days(7))])  # a task that nobody knows stays the user's own
    assert crm - outlook == Counter()
    assert desk.get(again).description == "somebody else's"
    by_title = {a.description: a for a in desk.activities()}
    assert by_title["Tour today"].origin is Origin.EXCHANGE


# ── the calendar's content is gone or comes back ─────────────────────────────────────────────────────────────────────
@pytest.mark.req("Y4", "Y5")
@pytest.mark.parametrize("state", ["valid", "lost"])
def test_an_emptied_mailbox_stops_at_the_brake(desk: Desk, state: str) -> None:
    """A user (or an administrator who made the calendar anew) removes everything: no activity is touched before somebody says so."""
    populated(desk)
    before = shown(desk)[0]
    for item_id in list(desk.outlook.items):
        desk.outlook.remove(item_id)
    if state == "lost":
        desk.outlook.forget_sync_states()
        desk.cycle()  # nothing is concluded from what is not listed; each is asked for by its id in the next cycle
    with pytest.raises(TooManyDeletions):
        desk.cycle()
    assert shown(desk)[0] == before
    assert desk.outlook.items == {}
    desk.cycle(allow_deletions=100)
    desk.settle()
    assert shown(desk)[0] == Counter()
    assert Counter(a.status for a in desk.activities()) == {ActivityStatus.CANCELLED: 6}


def undeleted(desk: Desk, subject: str) -> Callable[[], None]:
    """Delete an item now, and answer what brings it back from Deleted Items: with its UID and stamp, under another id."""
    item = item_of(desk, subject)
    desk.outlook.remove(item.item_id)

    def bring_back() -> None:
        desk.outlook.add(
            item.subject, item.when, kind=item.kind, uid=item.uid, stamp=item.stamp, body=item.body, body_is_html=True
        )

    return bring_back


@pytest.mark.req("Y5", "O3")
def test_what_comes_back_from_deleted_items_stands_again(desk: Desk) -> None:
    """An event, a task and an event of the user's own that are deleted and restored: the same activities stand again, with their "For"."""
    populated(desk)
    by_title = {a.description: a.activity_id for a in desk.activities()}
    for title in ("Tour 1", "Own 1"):
        desk.edit(by_title[title], individual_id="1")
    desk.settle()
    backs = [undeleted(desk, title) for title in ("Tour 1", "Call", "Own 1")]
    desk.settle()
    assert desk.get(by_title["Tour 1"]).status is ActivityStatus.CANCELLED
    assert desk.get(by_title["Own 1"]).is_deleted
    for bring_back in backs:
        bring_back()
    desk.settle()
    for title in ("Tour 1", "Call", "Own 1"):
        activity = desk.get(by_title[title])
        assert (activity.status, activity.is_deleted) == (ActivityStatus.SCHEDULED, False)
    assert desk.get(by_title["Own 1"]).individual_id == desk.get(by_title["Tour 1"]).individual_id == "1"
    crm, outlook = shown(desk)
    assert crm == outlook


@pytest.mark.req("Y5")
def test_a_mailbox_restored_from_a_backup(desk: Desk) -> None:
    """Yesterday's mailbox is back, ids and all: what was deleted since stands again on both sides, what was made since in Outlook is gone from
    it and is treated as deleted, and nothing is there twice."""
    desk.reschedule = "update"
    populated(desk)
    saved, occurrences = dict(desk.outlook.items), dict(desk.outlook.occurrences)
    gone_id = next(a.activity_id for a in desk.activities() if a.description == "Tour 1")
    desk.remove(gone_id)
    desk.outlook.remove(item_of(desk, "Own 1").item_id)
    new_id = desk.add("Tour today", at(7, 10))
    desk.settle()
    desk.outlook.items, desk.outlook.occurrences = saved, occurrences
    desk.outlook.log = [(item.kind, "there", item_id) for item_id, item in saved.items()]
    desk.outlook.forget_sync_states()
    desk.settle()
    desk.settle()
    crm, outlook = shown(desk)
    assert crm == outlook
    assert desk.get(gone_id).status is ActivityStatus.SCHEDULED
    assert desk.get(new_id).status is ActivityStatus.CANCELLED


@pytest.mark.req("Y2", "C5")
def test_a_late_create_of_an_activity_that_was_cancelled_meanwhile_is_taken_back(desk: Desk) -> None:
    """A create that the server carries out after its activity was cancelled leaves nothing behind, on either side."""
    from tests.support.memory_mailbox import lost

    activity_id = desk.add("Tour", at(1, 10))
    desk.outlook.fail("create", lost(), "late")
    desk.outlook.fail("create", lost(), "before")
    desk.outlook.fail("create", lost(), "before")
    desk.cycle()
    desk.cancel(activity_id)
    desk.cycle()
    desk.outlook.arrive()
    desk.settle()
    assert list(desk.outlook.items) == []
    assert [a.status for a in desk.activities()] == [ActivityStatus.CANCELLED]


@pytest.mark.req("Y5", "O5")
def test_a_series_that_moved_to_another_id_keeps_its_activities(desk: Desk) -> None:
    """The master's old id is asked for, is gone, and ends nothing: the same series stands under a new id."""
    desk.outlook.add_series("Rounds", [at(2 + n, 8).start for n in range(5)])
    desk.settle()
    ids = {a.activity_id for a in desk.activities()}
    desk.outlook.renumber()
    for _ in range(3):
        desk.cycle()
    desk.settle()
    assert {a.activity_id for a in desk.activities()} == ids
    assert all(item.item_type is not ItemType.MASTER for item in desk.outlook.every())
    assert all(isinstance(a.when, Timed) for a in desk.activities())
