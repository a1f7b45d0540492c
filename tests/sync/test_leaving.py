"""Leaving is not deleting: what leaves the scope stays where it is on both sides, and when it comes back nothing is twice, nothing lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import AccessRefused, MailboxError, ServerFailed
from ops_lib.model import ActivityStatus, Kind, LinkState
from tests.sync.desk import Desk, at, days
from tests.sync.office import Office


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database, reschedule="update")


def deselect(desk: Desk) -> None:
    desk.types = ("Home Visit",)


def select(desk: Desk) -> None:
    desk.types = ("Tour", "Home Visit")


def tasks_off(desk: Desk) -> None:
    desk.all_day_tasks = False


def tasks_on(desk: Desk) -> None:
    desk.all_day_tasks = True


WAYS = {"type": (deselect, select, "Tour"), "tasks": (tasks_off, tasks_on, "Call")}


def the_item(desk: Desk, title: str) -> str:
    (item_id,) = [item.item_id for item in desk.outlook.items.values() if item.subject.startswith(title)]
    return item_id


@pytest.mark.req("Y1", "C1", "C3")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("meanwhile", ["nothing", "edited in the CRM", "edited in Outlook", "edited on both sides"])
def test_a_type_or_tasks_that_are_switched_off_and_on_again(desk: Desk, way: str, meanwhile: str) -> None:
    """The item stays in Outlook as it is; edits of either side wait; back in scope they are carried over as if nothing had been."""
    leave, come_back, title = WAYS[way]
    ids = {"Tour": desk.add("Tour", at(1, 10)), "Call": desk.add("Call", days(1))}
    desk.settle()
    activity_id, item_id = ids[title], the_item(desk, title)
    leave(desk)
    desk.settle()
    (link,) = [link for link in desk.links() if link.activity_id == activity_id]
    assert link.state is LinkState.RESTING
    assert item_id in desk.outlook.items
    desk.now += timedelta(minutes=5)
    if meanwhile in ("edited in the CRM", "edited on both sides"):
        desk.edit(activity_id, description=f"{title} by the CRM")
    desk.now += timedelta(minutes=5)
    if meanwhile in ("edited in Outlook", "edited on both sides"):
        desk.outlook.edit(item_id, subject=f"{title} by the user")
    desk.settle()
    seen = desk.get(activity_id).description, desk.outlook.items[item_id].subject
    assert (
        seen
        == {
            "nothing": (title, title),
            "edited in the CRM": (f"{title} by the CRM", title),
            "edited in Outlook": (title, f"{title} by the user"),
            "edited on both sides": (f"{title} by the CRM", f"{title} by the user"),
        }[meanwhile]
    ), "nothing crosses while it rests"
    come_back(desk)
    desk.settle()
    expected = {"nothing": title, "edited in the CRM": f"{title} by the CRM"}.get(meanwhile, f"{title} by the user")
    assert desk.get(activity_id).description == desk.outlook.items[item_id].subject == expected
    assert len(desk.outlook.items) == len(desk.activities()) == 2


@pytest.mark.req("C5", "O3")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("side", ["crm", "exchange"])
def test_deleted_while_it_rests(desk: Desk, way: str, side: str) -> None:
    """Deleted in the CRM: removed in Outlook, for it was ours. Deleted in Outlook: the activity is not touched, and is sent anew when back in scope."""
    leave, come_back, title = WAYS[way]
    ids = {"Tour": desk.add("Tour", at(1, 10)), "Call": desk.add("Call", days(1))}
    desk.settle()
    leave(desk)
    desk.settle()
    if side == "crm":
        desk.remove(ids[title])
    else:
        desk.outlook.remove(the_item(desk, title))
    desk.settle()
    assert [item for item in desk.outlook.items.values() if item.subject == title] == []
    if side == "exchange":
        assert desk.get(ids[title]).status is ActivityStatus.SCHEDULED
    come_back(desk)
    desk.settle()
    assert len([i for i in desk.outlook.items.values() if i.subject == title]) == (1 if side == "exchange" else 0)


@pytest.mark.req("O1")
def test_out_of_the_window_and_back(desk: Desk) -> None:
    """An event of the user's that moves beyond the window keeps its activity, unseen; edits made there arrive when it comes back."""
    item_id = desk.outlook.add("Dentist", at(1, 9))
    desk.settle()
    (activity,) = desk.activities()
    desk.outlook.edit(item_id, when=at(200, 9), subject="Dentist, later")
    desk.settle()
    assert [(a.activity_id, a.is_deleted) for a in desk.activities()] == [(activity.activity_id, False)]
    desk.outlook.edit(item_id, when=at(5, 9))
    desk.settle()
    (after,) = desk.activities()
    assert (after.activity_id, after.description, after.when) == (activity.activity_id, "Dentist, later", at(5, 9))


@pytest.mark.req("O1")
@pytest.mark.parametrize("born", ["crm", "exchange"])
def test_time_goes_by(desk: Desk, born: str) -> None:
    """What is over stays on both sides, though Outlook's archive takes it away later; nothing is asked for it."""
    if born == "crm":
        desk.add("old", at(1, 9))
    else:
        desk.outlook.add("old", at(1, 9))
    desk.settle()
    desk.now += timedelta(days=100)
    desk.settle()
    assert desk.outlook.subjects() == ["old"]
    desk.outlook.remove(the_item(desk, "old"))
    desk.settle()
    assert [(a.description, a.status) for a in desk.activities()] == [("old", ActivityStatus.SCHEDULED)]


@pytest.mark.req("A3", "Y1")
def test_the_account_is_switched_off_and_on(database: Database) -> None:
    """Nothing happens while it is off; what both sides did meanwhile is compared when it is on again, deletions too, and nothing is made twice."""
    desk = Office(database, reschedule="update")
    ids = {
        title: desk.add(title, at(1 + n, 10))
        for n, title in enumerate(("kept", "edited", "deleted here", "deleted there"))
    }
    own = desk.outlook.add("own", at(1, 14))
    desk.cycle()
    desk.is_on = False
    desk.edit(ids["edited"], location="Lobby")
    desk.remove(ids["deleted here"])
    desk.outlook.remove(the_item(desk, "deleted there"))
    desk.outlook.edit(own, subject="own, edited")
    new = desk.add("new", at(7, 10))
    before = sorted(desk.outlook.subjects())
    result = desk.work()
    assert result is not None
    assert (result.outcome, result.requests) == ("off", 0)
    assert sorted(desk.outlook.subjects()) == before
    desk.is_on = True
    desk.cycle()
    desk.cycle()
    desk.check()
    assert desk.outlook.subjects() == ["edited", "kept", "new", "own, edited"]
    assert desk.get(ids["deleted there"]).status is ActivityStatus.CANCELLED
    assert "own, edited" in [a.description for a in desk.activities()]
    assert new in {link.activity_id for link in desk.links()}


REFUSED = AccessRefused(
    "the account has no right to do this in the mailbox or folder", response_code="ErrorAccessDenied"
)
FAILED = ServerFailed("the mailbox database is not available", response_code="ErrorMailboxStoreUnavailable")


@pytest.mark.req("Y1", "T3")
@pytest.mark.parametrize("error", [REFUSED, FAILED], ids=["rights lost", "read failed"])
@pytest.mark.parametrize("call", ["changes", "view", "update"])
def test_rights_that_are_lost_and_given_back(desk: Desk, call: str, error: MailboxError) -> None:
    """The cycle fails, says so, and remembers nothing as read; no side loses anything, and afterwards all that happened meanwhile is carried over."""
    activity_id = desk.add("Tour", at(1, 10))
    own = desk.outlook.add("own", at(1, 14))
    desk.outlook.add_series("Rounds", [at(2 + n, 8).start for n in range(3)])
    desk.settle()
    desk.edit(activity_id, location="Lobby")
    desk.outlook.edit(own, subject="own, edited")
    master = next(i for i in desk.outlook.items.values() if i.subject == "Rounds")
    desk.outlook.edit(master.item_id, location="Desk")
    for _ in range(3):
        for _ in range(8):
            desk.outlook.fail(call, error)
        if call == "update" and error is FAILED:
            assert desk.cycle().outcome == "failed"
        else:
            with pytest.raises(type(error)):
                desk.cycle()
        desk.outlook.failures.clear()
        assert len(desk.activities()) == 5
        assert len(desk.links()) == 5
    desk.settle()
    assert desk.outlook.items[the_item(desk, "Tour")].location == "Lobby"
    assert sorted({a.description for a in desk.activities()}) == ["Rounds", "Tour", "own, edited"]
    assert {a.location for a in desk.activities() if a.description == "Rounds"} == {"Desk"}


@pytest.mark.req("C6")
@pytest.mark.parametrize("extra", ["attachments", "categories", "a reminder of its own"])
def test_an_event_with_something_of_the_user_s_is_moved_in_place(desk: Desk, extra: str) -> None:
    """Rescheduled in the CRM under `replace`: the event keeps its id, for a new one would be without what the user put there."""
    desk.reschedule = "replace"
    plain, special = desk.add("plain", at(1, 10)), desk.add("special", at(1, 12))
    desk.settle()
    item_id, plain_id = the_item(desk, "special"), the_item(desk, "plain")
    desk.outlook.edit(item_id, extras=(extra,))
    desk.settle()
    new_ids = {desk.move(plain, at(2, 10)), desk.move(special, at(2, 12))}
    desk.settle()
    assert desk.outlook.items[item_id].when == at(2, 12)
    assert plain_id not in desk.outlook.items
    assert {link.activity_id for link in desk.links()} == new_ids
    assert [item.kind for item in desk.outlook.items.values()] == [Kind.EVENT] * 2
