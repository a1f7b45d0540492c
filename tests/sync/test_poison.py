"""One entry that always fails: it never blocks the others, is tried four times with growing pauses, set aside with its evidence, and can be put back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import AnswerLost, ItemRefused, MailboxError, NotThere, ServerFailed
from ops_lib.mailbox import ItemContent, ItemUpdate, Mailbox
from ops_lib.model import Kind, Written
from ops_lib.sync.explain import explain
from ops_lib.sync.failures import failures, put_back
from ops_lib.sync.ledger import Ledger, Retry
from ops_lib.sync.timeline import last_outcomes
from ops_lib.workspace import Settings, Workspace
from tests.support.memory_mailbox import MemoryMailbox
from tests.sync.desk import Desk, at
from tests.sync.office import Office

CORRUPT = ItemRefused("the item is damaged or incomplete", response_code="ErrorItemCorrupt")
INVALID = ItemRefused("a property's value is not accepted", response_code="ErrorPropertyValidationFailure")
TOO_BIG = ItemRefused("the item is larger than the server allows", response_code="ErrorMessageSizeExceeded")


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database, reschedule="update")


def kept(desk: Desk) -> list[Retry]:
    with desk.database.read() as connection:
        return [retry for retry in Ledger(connection).retries("1") if retry.attempts]


def put_all_back(desk: Desk, *keys: str) -> list[str]:
    with desk.database.begin() as connection:
        return [each.retry.key for each in put_back(connection, [desk.account], desk.now, keys or None)]


def others_are_in_step(desk: Desk, number: int) -> None:
    """An edit of something else on either side arrives in the same cycle."""
    other = next(a for a in desk.activities() if a.description.startswith("other"))
    desk.edit(other.activity_id, description=f"other {number}")
    desk.outlook.add(f"own {number}", at(3 + number, 15))
    desk.cycle()
    assert f"other {number}" in desk.outlook.subjects()
    assert f"own {number}" in [a.description for a in desk.activities()]


@pytest.mark.req("Y1", "T2")
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("create", INVALID),
        ("create", TOO_BIG),
        ("update", INVALID),
        ("delete", INVALID),
        ("read", CORRUPT),
        ("new", CORRUPT),
    ],
)
def test_one_poison_item_never_blocks_the_rest(desk: Desk, what: str, error: MailboxError) -> None:
    """Whatever the request: four tries after 0, 15 and 60 minutes, then it is set aside with code, time and message; all else goes on."""
    desk.add("other", at(2, 10))
    if what not in ("create", "new"):
        activity_id = desk.add("poison", at(1, 10))
        desk.settle()
        (item_id,) = [i.item_id for i in desk.outlook.items.values() if i.subject == "poison"]
    match what:
        case "create":
            activity_id = desk.add("poison", at(1, 10))
        case "update":
            desk.edit(activity_id, location="Lobby")
        case "delete":
            desk.remove(activity_id)
        case "read":
            item_id = desk.outlook.add("poison of their own", at(1, 12))
            desk.cycle()
            desk.outlook.edit(item_id, location="Lobby")
        case _:
            item_id = desk.outlook.add("poison", at(1, 12))
    desk.outlook.poison["poison"] = error
    began = desk.now
    tries = {0: 1, 5: 2, 10: 2, 20: 3, 40: 3, 80: 4, 140: 4}  # minutes, tries so far
    last, before = began, 0
    for number, (minutes, attempts) in enumerate(tries.items()):
        desk.now = began + timedelta(minutes=minutes)
        others_are_in_step(desk, number)
        (retry,) = kept(desk)
        last = desk.now if attempts > before else last
        assert (retry.attempts, retry.failed_at) == (attempts, last)
        before = attempts
    assert retry.is_set_aside
    assert retry.response_code == error.response_code
    assert error.message in retry.reason
    desk.outlook.poison.clear()
    desk.cycle()
    assert kept(desk), "what was set aside is not tried by itself"
    assert put_all_back(desk) == [retry.key]
    desk.settle()
    assert kept(desk) == []


@pytest.mark.req("T2")
@pytest.mark.parametrize("side", ["crm", "exchange"])
def test_an_edit_is_a_fresh_try(desk: Desk, side: str) -> None:
    """What was set aside is tried again when either side of it changes, with all its tries; when it succeeds it is forgotten."""
    activity_id = desk.add("poison", at(1, 10))
    desk.settle()
    (item_id,) = desk.outlook.items
    desk.outlook.poison["poison"] = INVALID
    desk.edit(activity_id, location="Lobby")
    for _ in range(5):
        desk.cycle()
        desk.now += timedelta(hours=1)
    (retry,) = kept(desk)
    assert (retry.attempts, retry.is_set_aside) == (4, True)
    desk.cycle()
    (retry,) = kept(desk)
    assert retry.attempts == 4
    if side == "crm":
        desk.edit(activity_id, notes="more")
    else:
        desk.outlook.edit(item_id, body="more")
    desk.cycle()
    (retry,) = kept(desk)
    assert (retry.attempts, retry.is_set_aside) == (1, False)
    desk.outlook.poison.clear()
    desk.now += timedelta(hours=1)
    desk.settle()
    assert kept(desk) == []
    assert desk.outlook.items[item_id].location == "Lobby"


class Strict(MemoryMailbox):
    """A server that refuses a whole request, or breaks off, because of one item in it."""

    error: MailboxError = AnswerLost("the connection was closed before the answer came")

    def create(self, kind: Kind, contents: list[ItemContent]) -> list[Written | MailboxError]:  # type: ignore[override]
        if any("poison" in (content.subject or "") for content in contents):
            raise self.error
        return super().create(kind, contents)

    def update(self, updates: list[ItemUpdate]) -> list[Written | MailboxError]:  # type: ignore[override]
        if any("poison" in (update.content.subject or "") for update in updates):
            raise self.error
        return super().update(updates)


class StrictDesk(Desk):
    error: MailboxError
    is_strict = True

    def mailbox(self) -> Mailbox:
        if not self.is_strict:
            return super().mailbox()
        mailbox = Strict(self.outlook)
        mailbox.error = self.error
        return mailbox


def schema_fault() -> MailboxError:
    error = ServerFailed("the server does not accept the request's form", response_code="ErrorSchemaValidation")
    error.transient = False
    return error


@pytest.mark.req("Y1", "T2")
@pytest.mark.parametrize(
    "error", [AnswerLost("the connection broke"), schema_fault(), ServerFailed("HTTP 500", http_status=500)]
)
def test_an_entry_that_breaks_whole_requests_is_found_out(database: Database, error: MailboxError) -> None:
    """A batch that always fails because of one entry is taken apart: the others are made, the one is set aside, the cycle is well."""
    desk = StrictDesk(database)
    desk.error = error
    ids = [desk.add(f"Tour {number}", at(1 + number % 9, number)) for number in range(12)]
    poison = desk.add("poison", at(3, 10))
    result = desk.cycle()
    assert result.outcome == "ok"
    assert len(desk.outlook.items) == len(ids)
    assert [retry.key for retry in kept(desk)] == [f"activity:{poison}"]
    desk.edit(ids[0], description="poison too")
    desk.edit(ids[1], description="edited")
    desk.edit(ids[2], description="edited too")
    assert desk.cycle().outcome == "ok"
    assert {"edited", "edited too"} <= set(desk.outlook.subjects())
    desk.edit(ids[0], description="mended")
    desk.edit(poison, description="mended as well")
    desk.settle()
    assert kept(desk) == []
    assert len(desk.outlook.items) == len(ids) + 1


@pytest.mark.req("T2")
def test_a_server_that_fails_for_everything_is_not_the_entries_fault(database: Database) -> None:
    """Where no write of a kind succeeds, the cycle fails as a whole: nothing is set aside, and the next cycle does it all."""
    desk = StrictDesk(database)
    desk.error = ServerFailed("HTTP 500", http_status=500)
    for number in range(3):
        desk.add(f"poison {number}", at(1 + number, 10))
    result = desk.cycle()
    assert (result.outcome, kept(desk)) == ("failed", [])
    desk.is_strict = False
    desk.settle()
    assert len(desk.outlook.items) == 3


@pytest.mark.req("C6")
def test_a_reschedule_whose_new_event_is_refused_keeps_the_old_one(desk: Desk) -> None:
    """The old event is not taken away before the new one is there; when it can be made, it replaces it."""
    desk.reschedule = "replace"
    activity_id = desk.add("Tour", at(1, 10))
    desk.settle()
    new_id = desk.move(activity_id, at(2, 10))
    desk.edit(new_id, description="poison")
    desk.outlook.poison["poison"] = INVALID
    desk.cycle()
    assert [item.when for item in desk.outlook.items.values()] == [at(1, 10)]
    desk.outlook.poison.clear()
    desk.now += timedelta(hours=1)
    desk.settle()
    assert [(item.subject, item.when) for item in desk.outlook.items.values()] == [("poison", at(2, 10))]
    assert [a.activity_id for a in desk.activities()] == [new_id]


@pytest.mark.req("C6")
def test_a_move_in_place_that_is_refused_is_not_forgotten(desk: Desk) -> None:
    """A reschedule that moves the event itself and is refused at first is carried out by a later try: the event is neither removed nor left behind."""
    activity_id = desk.add("Tour", at(1, 10))
    desk.settle()
    new_id = desk.move(activity_id, at(2, 10))
    desk.outlook.poison["Tour"] = INVALID
    desk.cycle()
    desk.outlook.poison.clear()
    desk.now += timedelta(hours=1)
    desk.settle()
    assert [(item.subject, item.when) for item in desk.outlook.items.values()] == [("Tour", at(2, 10))]
    assert [link.activity_id for link in desk.links()] == [new_id]


@pytest.mark.req("T3", "T4")
def test_the_evidence_is_shown(desk: Desk) -> None:
    """`explain` and the list of failures name code, message, time, tries and what to do; an unknown key is answered with the known ones."""
    desk.add("other", at(2, 10))
    activity_id = desk.add("poison", at(1, 10))
    desk.outlook.poison["poison"] = INVALID
    for _ in range(5):
        desk.cycle()
        desk.now += timedelta(hours=1)
    with desk.database.read() as connection:
        (failure,) = failures(connection, desk.account, desk.now)
        accounts = [(desk.account, desk.host)]
        workspace = Workspace(Path(), Settings(database_url="sqlite:///unused.db"), lambda: desk.now)
        told = explain(workspace, connection, desk.get(activity_id), accounts)
    assert (failure.description, failure.retry.key) == ("poison", f"activity:{activity_id}")
    ((reason, mend),) = told.reasons
    assert "4 tries, the last at 2026-11-23 12:00 UTC" in reason
    assert "ErrorPropertyValidationFailure" in reason
    assert f"syncops retry activity:{activity_id}" in mend
    with pytest.raises(NotThere, match="item:nothing") as caught:
        put_all_back(desk, "item:nothing", activity_id)
    assert f"activity:{activity_id}" in caught.value.fix
    assert kept(desk)[0].is_set_aside, "nothing was put back"
    assert put_all_back(desk, activity_id) == [f"activity:{activity_id}"]


@pytest.mark.req("Y3")
@pytest.mark.parametrize(("rule", "lost"), [("crm", "theirs"), ("exchange", "ours"), ("latest", "ours")])
def test_the_losing_version_is_kept_and_shown(database: Database, rule: str, lost: str) -> None:
    """Both sides edited the title: what the rule set aside stands in the run's record, where `explain` and the report find it."""
    desk = Office(database, conflict=rule)
    activity_id = desk.add("Tour", at(1, 10))
    desk.cycle()
    (item_id,) = desk.outlook.items
    desk.edit(activity_id, description="ours")
    desk.now += timedelta(minutes=5)
    desk.outlook.edit(item_id, subject="theirs")
    desk.cycle()
    with desk.database.read() as connection:
        (event,) = [each for each in last_outcomes(connection, activity_id) if each["loser"]]
    assert event["loser"]["description"] == lost
    assert repr(rule) in event["reason"]
    assert desk.get(activity_id).description == desk.outlook.items[item_id].subject != lost
