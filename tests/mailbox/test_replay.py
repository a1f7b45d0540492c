"""Recorded traffic of a server that is not Microsoft's, played to the mailbox itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import vcr

from ops_lib.errors import AccessRefused, ItemGone, ItemRefused, MailboxError, MailboxMissing, SignInRefused
from ops_lib.mailbox import ItemContent, ItemUpdate
from ops_lib.mailbox.ews import items, mailbox
from ops_lib.mailbox.ews.mailbox import EwsMailbox
from ops_lib.model import AllDay, Item, ItemType, Kind, Timed, Window, Written
from tests.mailbox import cassettes

URL = "http://127.0.0.1:8180/EWS/Exchange.asmx"
WINDOW = Window(datetime(2026, 12, 30, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC))
CONTENT = ItemContent(subject="x", when=Timed(WINDOW.start, WINDOW.end))

Play = Callable[..., Any]


@pytest.fixture
def play(tmp_path: Path, open_at: Any, monkeypatch: pytest.MonkeyPatch) -> Play:
    """``with play("name", 1, 3) as mailbox``: the mailbox, with these interactions of the recording for a server, in order, all of them."""
    monkeypatch.setattr(items, "STAMP_PROPERTY_SET", "6f0a2c54-3d1e-4b7a-9c65-2e8d7b1f4a90")  # the recordings' stamp
    monkeypatch.setattr(items, "STAMP_NAME", "CrmSyncKey")

    @contextmanager
    def played(name: str, *numbers: int, **host: Any) -> Iterator[EwsMailbox]:
        path = cassettes.write_subset(name, numbers, tmp_path)
        player = vcr.VCR(record_mode="none", match_on=["method", "path"])
        with player.use_cassette(str(path)) as tape:
            yield open_at(URL, **host)
            assert tape.play_count == len(numbers)

    return played


def made(outcome: Any) -> Written:
    assert isinstance(outcome, Written), outcome
    return outcome


def test_an_initial_sync_in_pages(play: Play) -> None:
    """Three pages of ten are thirty events, newest first as the server gave them, with stamp and instant."""
    with play("sync_calendar_initial_pages_of_10", 1, 2, 3) as box:
        changes = box.changes(Kind.EVENT)
        assert box.requests == 3
    assert [item.subject for item in changes.items] == [f"Call {number:02}" for number in range(29, -1, -1)]
    assert [item.stamp for item in changes.items] == [f"activity-{5000 + number}" for number in range(29, -1, -1)]
    assert changes.items[0].when == Timed(
        datetime(2027, 1, 12, 18, tzinfo=UTC), datetime(2027, 1, 12, 18, 30, tzinfo=UTC)
    )
    assert (changes.deleted, changes.unreadable) == ([], [])
    assert changes.sync_state


def test_an_initial_sync_of_tasks(play: Play) -> None:
    """Thirty tasks in three pages, each on its date although the server writes fractions of a second."""
    with play("sync_tasks_initial_pages_of_10", 1, 2, 3) as box:
        changes = box.changes(Kind.TASK)
    assert len(changes.items) == 30
    assert changes.items[-1].when == AllDay(date(2027, 1, 11), date(2027, 1, 12))
    assert all(item.kind is Kind.TASK and not item.oddities for item in changes.items)


@pytest.mark.parametrize(
    ("name", "kind"), [("sync_calendar_after_changes", Kind.EVENT), ("sync_tasks_after_changes", Kind.TASK)]
)
def test_a_sync_after_changes(play: Play, name: str, kind: Kind) -> None:
    """One changed, one made, one deleted and one moved away: two items, two deletions; the old state may be used again."""
    with play(name, 1, 2) as box:
        first = box.changes(kind, "state")
        again = box.changes(kind, "state")
    assert len(first.items) == 2
    assert first.items[0].subject.endswith("00 (changed)")
    assert len(first.deleted) == 2
    assert not set(first.deleted) & {item.item_id for item in first.items}
    assert (again.items, again.deleted) == (first.items, first.deleted)


@pytest.mark.parametrize(
    ("name", "kind"), [("sync_calendar_no_change", Kind.EVENT), ("sync_tasks_no_change", Kind.TASK)]
)
def test_no_change(play: Play, name: str, kind: Kind) -> None:
    """Nothing new: no item, no deletion, a state to go on from."""
    with play(name, 1) as box:
        changes = box.changes(kind, "state")
    assert (changes.items, changes.deleted) == ([], [])
    assert changes.sync_state


def test_an_invalid_state_is_an_initial_sync_on_this_server(play: Play) -> None:
    """This server takes an unreadable state for none: everything comes as created, nothing as deleted (the cycle must notice)."""
    recorded = cassettes.load("sync_calendar_invalid_state")
    assert [cassettes.deleted(interaction) for interaction in recorded[:3]] == [0, 0, 0]
    with play("sync_calendar_invalid_state", 1) as box:
        changes = box.changes(Kind.EVENT, "not base64!")
    assert [item.subject for item in changes.items] == [
        "Call 00 (changed)",
        "Call 04",
        "Call 03",
    ]  # all that was left then
    assert changes.deleted == []


def test_the_state_of_another_folder_deletes_ids_nobody_knows(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of another folder makes this server delete ids never seen: they are passed on, and nothing is concluded here."""
    monkeypatch.setattr(mailbox.EwsMailbox, "read", lambda box, kind, ids: [ItemGone("x") for _ in ids])  # listed bare
    with play("sync_calendar_invalid_state", 5) as box:
        assert len(box.changes(Kind.EVENT, "another").deleted) == 1


def test_pages_of_nothing_do_not_loop(play: Play) -> None:
    """A page with nothing in it that claims not to be the last and gives its own state back is given up."""
    recorded = cassettes.messages(cassettes.load("sync_calendar_invalid_state")[5])[0]
    state = mailbox.text_of(mailbox.child(recorded.element, "SyncState"))
    with play("sync_calendar_invalid_state", 6) as box, pytest.raises(MailboxError, match="do not come to an end"):
        box.changes(Kind.EVENT, state)


def test_the_view_of_a_server_that_does_not_expand(play: Play) -> None:
    """The view holds what touches the window by our own rule, all-day events on their dates, and says that series are not expanded."""
    with play("find_events_in_90_day_window", 2) as box:
        view = box.view(WINDOW)
    assert not view.is_expanded
    by_subject = {item.subject: item for item in view.items}
    assert "Ends as the window begins" not in by_subject
    assert "Starts as the window ends" not in by_subject
    assert "Begins before the window" in by_subject
    assert by_subject["Open house"].when == AllDay(date(2027, 2, 2), date(2027, 2, 3))
    assert by_subject["Team offsite"].when == AllDay(date(2027, 1, 12), date(2027, 1, 14))
    assert by_subject["Doctor"].is_private
    assert by_subject["Family meeting"].organizer == "Alice Example"
    assert {item.subject for item in view.items if item.item_type is ItemType.MASTER} == {
        "Weekly rounds",
        "Copenhagen call",
    }
    assert by_subject["Tour with the Millers"].last_modified == datetime(2026, 11, 22, 15, 5, 20, 612513, UTC)


def test_a_stamp_is_found(play: Play) -> None:
    """An item is found by its stamp; a name the mailbox never saw finds nothing, without an error."""
    with play("find_events_by_sync_key", 1, 2) as box:
        found = box.find_stamps(Kind.EVENT, ["activity-5003"])
    assert {stamp: [item.subject for item in hits] for stamp, hits in found.items()} == {"activity-5003": ["Call 03"]}
    with play("find_events_by_sync_key", 6, 7) as box:
        found = box.find_stamps(Kind.EVENT, ["activity-5003", "activity-5004"])
    assert sorted(found) == ["activity-5003", "activity-5004"]
    with play("find_events_by_sync_key", 5, 9) as box:
        assert box.find_stamps(Kind.EVENT, ["nobody"]) == {}
        assert box.find_stamps(Kind.EVENT, ["no such property here"]) == {}


def test_a_batch_is_created(play: Play) -> None:
    """Twenty events are twenty outcomes; in a mixed batch the item without an end is refused and the others are made."""
    with play("create_events_batch_of_20", 1, 2) as box:
        outcomes = box.create(Kind.EVENT, [CONTENT] * 20)
        mixed = box.create(Kind.EVENT, [CONTENT] * 3)
    assert len({made(outcome).item_id for outcome in outcomes}) == 20
    assert [type(outcome) for outcome in mixed] == [Written, Written, ItemRefused]
    assert mixed[2].response_code == "ErrorItemCorrupt"


def test_a_stale_update_is_written_on_this_server(play: Play) -> None:
    """This server does not check change keys: the update is done and gives a new key (the cycle reads before it writes)."""
    with play("update_event_stale_change_key", 1) as box:
        [outcome] = box.update([ItemUpdate("i", "stale", Kind.EVENT, ItemContent(subject="x"))])
    assert made(outcome).change_key


def test_deleting_twice(play: Play) -> None:
    """The second deletion finds nothing and is done all the same; reading and updating it say that it is gone."""
    with play("delete_event_twice", 1, 2, 3, 4) as box:
        assert box.delete(Kind.EVENT, ["i"]) == [None]
        assert box.delete(Kind.EVENT, ["i"]) == [None]
        assert isinstance(box.read(Kind.EVENT, ["i"])[0], ItemGone)
        assert isinstance(box.update([ItemUpdate("i", "c", Kind.EVENT, ItemContent(subject="x"))])[0], ItemGone)
    with play("delete_task_twice", 1, 2) as box:
        assert [box.delete(Kind.TASK, ["t"]), box.delete(Kind.TASK, ["t"])] == [[None], [None]]


def test_ids_that_are_none(play: Play) -> None:
    """What is no id of this server is refused for that item, not taken for deleted."""
    with play("delete_event_twice", 8) as box:
        assert isinstance(box.read(Kind.EVENT, ["not an id"])[0], ItemRefused)


@pytest.mark.req("A1")
def test_impersonation_that_is_denied(play: Play) -> None:
    """The fault comes with HTTP 200 and a bare code; it is AccessRefused with that code, after one request."""
    with (
        play("impersonate_carol_denied", 1, mailbox="carol@example.test") as box,
        pytest.raises(AccessRefused) as caught,
    ):
        box.changes(Kind.EVENT)
    assert (caught.value.response_code, caught.value.http_status) == ("ErrorImpersonateUserDenied", 200)


def test_impersonating_nobody(play: Play) -> None:
    """An address without a mailbox is MailboxMissing, whatever the server's own code for it."""
    with (
        play("impersonate_unknown_address", 1, mailbox="nobody@example.test") as box,
        pytest.raises(MailboxMissing) as caught,
    ):
        box.changes(Kind.EVENT)
    assert caught.value.response_code == "ErrorCannotFindUser"


@pytest.mark.parametrize("name", ["get_calendar_wrong_password", "get_calendar_unknown_login"])
def test_a_wrong_password(play: Play, name: str) -> None:
    """A 401 is SignInRefused after one request."""
    with play(name, 1) as box, pytest.raises(SignInRefused):
        box.changes(Kind.EVENT)


def test_a_delegate_who_may_only_read(play: Play) -> None:
    """A Reviewer reads the other's calendar; each write is refused for that item."""
    with play("read_calendar_delegate_reviewer", 9, 8, 8, access="delegate", mailbox="bob@example.test") as box:
        assert [item.item_id for item in box.changes(Kind.EVENT).items]
        [item] = box.read(Kind.EVENT, ["i"])
        assert isinstance(item, Item)
        assert item.subject == "Budget review"
    with play("write_calendar_delegate_reviewer", 1, 2, 3, access="delegate", mailbox="bob@example.test") as box:
        outcomes = [
            *box.create(Kind.EVENT, [CONTENT]),
            *box.update([ItemUpdate("i", "c", Kind.EVENT, ItemContent(subject="x"))]),
            *box.delete(Kind.EVENT, ["i"]),
        ]
    assert [type(outcome) for outcome in outcomes] == [AccessRefused] * 3
    assert {outcome.response_code for outcome in outcomes} == {"ErrorAccessDenied"}


def test_a_delegate_without_rights(play: Play) -> None:
    """A denied sync, which has no state in its answer, is AccessRefused; so are the view and the search."""
    with play("read_calendar_delegate_no_rights", 7, 5, 4, access="delegate", mailbox="carol@example.test") as box:
        for ask in (
            lambda: box.changes(Kind.EVENT),
            lambda: box.view(WINDOW),
            lambda: box.find_stamps(Kind.EVENT, ["k"]),
        ):
            with pytest.raises(AccessRefused):
                ask()


def test_a_series_without_master_by_occurrence(play: Play) -> None:
    """This server does not know RecurringMasterItemId: that one is refused, and nothing else."""
    numbers = [
        number
        for number, line in enumerate(cassettes.load("get_occurrence_by_index"), 1)
        if "RecurringMasterItemId" in line.request
    ]
    with play("get_occurrence_by_index", numbers[0]) as box:
        assert isinstance(box.master_of(["o"])[0], ItemRefused)
