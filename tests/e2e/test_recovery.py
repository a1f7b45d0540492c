"""Y5 over real HTTP: lost states, moved and restored mailboxes, restored databases, on a server like Exchange and on one that is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import TooManyDeletions
from ops_lib.mailbox.ews.mailbox import EwsMailbox
from ops_lib.model import ActivityStatus, Origin, Timed
from ops_lib.sandbox.items import Item as StoredItem
from ops_lib.sandbox.recurrence import Numbered, Recurrence, Weekly
from ops_lib.sandbox.server import Sandbox
from tests.support.backup import EVERYTHING, LEDGER, Backup
from tests.support.sandbox import ALICE
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, at, days


@pytest.fixture(scope="module", params=["exchange", "grommunio"])
def server(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(like=request.param) as running:
        yield running


@pytest.fixture
def desk(server: Sandbox, sqlite_database: Database) -> ServerDesk:
    """Alice, three tours, a task, two events of her own and a series of three; both sides agree."""
    server.reset()
    server.clock.set(NOW)
    desk = ServerDesk(sqlite_database, sandbox=server, reschedule="update")
    for number in range(3):
        desk.add(f"Tour {number}", at(1 + number, 10))
    desk.add("Call", days(3))
    for number in range(2):
        own(desk, f"Own {number}", at(1 + number, 14))
    rule = Recurrence(Weekly(1, ("Wednesday",), "Monday"), Numbered(at(2, 8).start.date(), 3))
    own(desk, "Rounds", at(2, 8), rule)
    desk.settle()
    return desk


def own(desk: ServerDesk, subject: str, when: Timed, rule: Recurrence | None = None) -> StoredItem:
    values = {"item:Subject": subject, "calendar:Start": when.start, "calendar:End": when.end}
    values |= {"calendar:Recurrence": rule} if rule is not None else {}
    return desk.sandbox.organisation.create_item(ALICE, "calendar", values)


def stored(desk: ServerDesk, subject: str, folder: str = "calendar") -> StoredItem:
    (item,) = [item for item in desk.stored(folder) if item.values["item:Subject"] == subject]
    return item


def shown(desk: ServerDesk) -> Counter[tuple[object, ...]]:
    return Counter((a.description, a.when) for a in desk.activities() if a.status is not ActivityStatus.CANCELLED)


def in_outlook(desk: ServerDesk) -> list[str]:
    return sorted(str(item.values["item:Subject"]) for folder in ("calendar", "tasks") for item in desk.stored(folder))


EVERYONE = ["Call", "Own 0", "Own 1", "Rounds", "Tour 0", "Tour 1", "Tour 2"]


@pytest.mark.req("Y5")
def test_a_lost_sync_state(desk: ServerDesk) -> None:
    """A state that the server refuses, or takes for none: what was deleted, edited and made meanwhile is found, nothing else is touched."""
    ids = {a.activity_id for a in desk.activities()}
    with desk.database.begin() as connection:
        connection.exec_driver_sql("UPDATE reading_positions SET calendar_state='rubbish', tasks_state='rubbish'")
    organisation = desk.sandbox.organisation
    organisation.delete_item(stored(desk, "Tour 0"))
    organisation.update_item(stored(desk, "Own 0"), {"item:Subject": "Own 0 edited"})
    own(desk, "Own 9", at(5, 14))
    desk.settle()
    assert {title for title, _ in shown(desk)} == {
        "Call",
        "Own 0 edited",
        "Own 1",
        "Own 9",
        "Rounds",
        "Tour 1",
        "Tour 2",
    }
    assert len({a.activity_id for a in desk.activities()} - ids) == 1


@pytest.mark.req("Y5")
@pytest.mark.parametrize("keeps", ["UIDs and stamps", "UIDs only"])
def test_the_mailbox_moves_to_another_server(desk: ServerDesk, keeps: str) -> None:
    """Every id is another one: all is found again, edits of both sides are carried over, nothing is made twice."""
    before = {a.activity_id for a in desk.activities()}
    desk.sandbox.organisation.move_mailbox(ALICE)
    if keeps == "UIDs only":
        for item in desk.stored():
            item.extended.clear()
    desk.sandbox.organisation.update_item(stored(desk, "Own 0"), {"item:Subject": "Own 0 edited"})
    desk.edit(next(a.activity_id for a in desk.activities() if a.description == "Tour 1"), description="Tour 1 edited")
    desk.settle()
    assert {a.activity_id for a in desk.activities()} == before
    assert in_outlook(desk) == ["Call", "Own 0 edited", "Own 1", "Rounds", "Tour 0", "Tour 1 edited", "Tour 2"]
    assert "Own 0 edited" in {title for title, _ in shown(desk)}


@pytest.mark.req("Y5")
@pytest.mark.parametrize("what", ["ledger", "everything"])
def test_a_database_restored_from_yesterday(desk: ServerDesk, what: str) -> None:
    """The ledger alone: everything of today is linked again. The whole database: today's events stay, as entries of the user's calendar, and an id
    that is given again names another activity."""
    yesterday = Backup.of(desk.database, LEDGER if what == "ledger" else EVERYTHING)
    desk.add("Tour today", at(7, 10))
    own(desk, "Own today", at(7, 14))
    desk.sandbox.organisation.delete_item(stored(desk, "Own 1"))
    desk.remove(next(a.activity_id for a in desk.activities() if a.description == "Tour 2"))
    desk.settle()
    before, ids, outlook = shown(desk), {a.activity_id for a in desk.activities()}, in_outlook(desk)
    yesterday.restore()
    if what == "everything":
        again = desk.add("somebody else's", at(9, 10))
    desk.settle()
    if what == "ledger":
        assert (shown(desk), {a.activity_id for a in desk.activities()}, in_outlook(desk)) == (before, ids, outlook)
        return
    assert in_outlook(desk) == sorted([*outlook, "somebody else's"])
    assert shown(desk) == before + Counter([("somebody else's", at(9, 10))])
    assert desk.get(again).description == "somebody else's"
    assert {a.description: a.origin for a in desk.activities()}["Tour today"] is Origin.EXCHANGE


@pytest.mark.req("Y4", "Y5")
def test_an_emptied_calendar(desk: ServerDesk) -> None:
    """The user removes everything: the brake holds before the first removal in the CRM."""
    before = shown(desk)
    for item in desk.stored():
        desk.sandbox.organisation.delete_item(item)
    with pytest.raises(TooManyDeletions):
        desk.cycle()
    assert shown(desk) == before
    desk.cycle(allow_deletions=50)
    assert {title for title, _ in shown(desk)} == {"Call"}


@pytest.mark.req("Y5")
def test_a_calendar_that_is_replaced(desk: ServerDesk) -> None:
    """A new default calendar is empty, the old one stays as another folder: nothing is removed; what the user moves over is the same entry."""
    before, ids = shown(desk), {a.activity_id for a in desk.activities()}
    mailbox = desk.sandbox.organisation.mailbox(ALICE)
    old = mailbox.folder("calendar")
    with desk.sandbox.organisation.lock:
        new = mailbox.replace_folder("calendar")
    for _ in range(3):
        desk.cycle()
    assert shown(desk) == before
    with desk.sandbox.organisation.lock:
        for item in list(old.items.values()):
            mailbox.move_item(item, new, ALICE)
    desk.settle()
    assert shown(desk) == before
    assert {a.activity_id for a in desk.activities()} == ids
    assert in_outlook(desk) == EVERYONE


@pytest.mark.req("Y5", "O3")
def test_what_comes_back_from_deleted_items(desk: ServerDesk) -> None:
    """Deleted in Outlook and moved back from Deleted Items, an entry of either origin stands again as the activity that it was."""
    by_title = {a.description: a.activity_id for a in desk.activities()}
    organisation, mailbox = desk.sandbox.organisation, desk.sandbox.organisation.mailbox(ALICE)
    binned = [organisation.delete_item(stored(desk, title)) for title in ("Tour 1", "Own 1")]
    desk.settle()
    assert desk.get(by_title["Tour 1"]).status is ActivityStatus.CANCELLED
    assert desk.get(by_title["Own 1"]).is_deleted
    with organisation.lock:
        for item in binned:
            assert item is not None
            mailbox.move_item(item, mailbox.folder("calendar"), ALICE)
    desk.settle()
    assert in_outlook(desk) == EVERYONE
    for title in ("Tour 1", "Own 1"):
        activity = desk.get(by_title[title])
        assert (activity.status, activity.is_deleted) == (ActivityStatus.SCHEDULED, False)


@pytest.mark.req("Y5", "O3")
def test_what_is_filed_into_another_calendar(desk: ServerDesk) -> None:
    """The server says of it what it says of a deletion, and so it counts as one; filed back, under another id, it stands again as what it was."""
    by_title = {a.description: a.activity_id for a in desk.activities()}
    organisation, mailbox = desk.sandbox.organisation, desk.sandbox.organisation.mailbox(ALICE)
    with organisation.lock:
        archive = mailbox.add_folder(mailbox.folder("calendar"), "Archive", "IPF.Appointment")
        filed = [mailbox.move_item(stored(desk, title), archive, ALICE) for title in ("Tour 1", "Own 1")]
    desk.settle()
    assert desk.get(by_title["Tour 1"]).status is ActivityStatus.CANCELLED
    assert desk.get(by_title["Own 1"]).is_deleted
    assert len(archive.items) == len(filed) == 2
    with organisation.lock:
        for item in filed:
            mailbox.move_item(item, mailbox.folder("calendar"), ALICE)
    desk.settle()
    assert in_outlook(desk) == EVERYONE
    for title in ("Tour 1", "Own 1"):
        activity = desk.get(by_title[title])
        assert (activity.status, activity.is_deleted) == (ActivityStatus.SCHEDULED, False)


@pytest.mark.req("Y5")
def test_created_is_told_from_updated(desk: ServerDesk) -> None:
    """The folder's changes name what is new since the state, and only that."""
    mailbox = desk.mailbox()
    assert isinstance(mailbox, EwsMailbox)
    from ops_lib.model import Kind

    everything = mailbox.changes(Kind.EVENT)
    assert everything.created == {item.item_id for item in everything.items}
    desk.sandbox.organisation.update_item(stored(desk, "Own 0"), {"item:Subject": "edited"})
    new = own(desk, "new", at(5, 9))
    since = mailbox.changes(Kind.EVENT, everything.sync_state)
    assert len(since.items) == 2
    assert since.created == {new.id}
