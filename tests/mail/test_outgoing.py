"""The rows of messages that are under way, on both databases: written once, claimed by one, settled once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.errors import NotThere
from ops_lib.mail.outgoing import Kept, Outgoing
from ops_lib.mailbox.outgoing import Draft, File
from ops_lib.sync.leases import this_machine, this_worker

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
FILES = (
    File(name="b.png", content_type="image/png", content=bytes(range(256)), content_id="b"),
    File(name="a.txt", content_type="text/plain", content=b""),
)


@pytest.fixture
def office(database: Database) -> Database:
    with database.begin() as connection:
        directory = Directory(connection)
        directory.add_user("alice@example.test", "Alice")
        entered = HostInput(
            url="https://mail.example.test/EWS/Exchange.asmx",
            auth="basic",
            access="impersonation",
            service_user="svc",
            secret="env:X",
        )
        Hosts(connection).add("H", entered)
        Accounts(connection).add("alice@example.test", host="H", send_email=True)
    return database


def add(database: Database, **changes: Any) -> tuple[Kept, bool]:
    values: dict[str, Any] = {
        "user_id": "1",
        "account_id": "1",
        "state": "open",
        "subject": "Hello 😀",
        "text": "Dear Ruth",
        "html": "",
        "recipients": [("1", "Ruth Öz", "ruth@example.test")],
        "files": FILES,
        "asked_as": "",
        "now": NOW,
    } | changes
    with database.begin() as connection:
        return Outgoing(connection).add(**values)


@pytest.mark.req("E7")
def test_a_message_is_kept_whole_until_it_is_settled(office: Database) -> None:
    """Subject, body, recipients and files read back as they were written; settled, the files are gone and it cannot be settled again."""
    kept, is_new = add(office)
    assert is_new
    assert (kept.subject, kept.text, kept.recipients, kept.draft) == (
        "Hello 😀",
        "Dear Ruth",
        (("1", "Ruth Öz", "ruth@example.test"),),
        None,
    )
    with office.begin() as connection:
        outgoing = Outgoing(connection)
        assert outgoing.files(kept.message_id) == FILES
        assert outgoing.get(kept.message_id) == kept
        outgoing.begin_sending(kept.message_id, Draft("i", "c"))
        assert outgoing.get(kept.message_id).draft == Draft("i", "c")
        assert outgoing.settle(kept.message_id, "accepted", NOW)
        assert not outgoing.settle(kept.message_id, "refused", NOW)
        assert outgoing.get(kept.message_id).state == "accepted"
        assert outgoing.files(kept.message_id) == ()
        with pytest.raises(NotThere):
            outgoing.get("99")


@pytest.mark.req("E7")
def test_the_same_words_are_one_message(office: Database) -> None:
    """A second message that is asked for with the same words is the first one; without words each is its own."""
    first, _ = add(office, asked_as="invoice 7")
    second, is_new = add(office, asked_as="invoice 7", subject="Other")
    assert (second, is_new) == (first, False)
    assert len({add(office)[0].key for _ in range(3)}) == 3


@pytest.mark.req("E7")
def test_one_process_at_a_time(office: Database) -> None:
    """A claim holds against others until its process is dead or its time is over; whoever lost it finds out, and what is settled is nobody's."""
    mine, other = this_worker(), "elsewhere@x@y/1/1/ab"
    kept, _ = add(office, worker=mine)
    m = t.outgoing_messages
    with office.begin() as connection:
        outgoing = Outgoing(connection)
        assert outgoing.claim(kept.message_id, other) is None
        assert outgoing.claim(kept.message_id, mine) is not None
        connection.execute(update(m).values(worker=f"{this_machine()}/1/0/dead"))
        assert outgoing.claim(kept.message_id, other) is not None
        assert not outgoing.is_ours(kept.message_id, mine)
        assert outgoing.is_ours(kept.message_id, other)
        assert outgoing.claim(kept.message_id, mine) is None  # of another machine: alive until its time is over
        connection.execute(update(m).values(claimed_until=datetime(2000, 1, 1, tzinfo=UTC)))
        assert outgoing.claim(kept.message_id, mine) is not None
        outgoing.settle(kept.message_id, "accepted", NOW)
        assert outgoing.claim(kept.message_id, mine) is None
        assert not outgoing.is_ours(kept.message_id, mine)


@pytest.mark.req("E7")
def test_what_waits_and_whose_time_has_come(office: Database) -> None:
    """Only unsettled messages whose time has come are taken up, oldest first; the list shows them before the settled ones."""
    ids = [add(office)[0].message_id for _ in range(4)]
    with office.begin() as connection:
        outgoing = Outgoing(connection)
        outgoing.settle(ids[3], "accepted", NOW)
        outgoing.wait(ids[0], attempts=1, next_at=NOW + timedelta(hours=1), response_code="X", reason="r", fix="f")
        assert [each.message_id for each in outgoing.unsettled(NOW)] == ids[1:3]
        assert [each.message_id for each in outgoing.unsettled(NOW + timedelta(hours=1), ["1"])] == ids[:3]
        assert outgoing.unsettled(NOW, ["99"]) == []
        assert [each.message_id for each in outgoing.listed()] == [ids[2], ids[1], ids[0], ids[3]]
        assert outgoing.get(ids[0]).response_code == "X"


def test_what_was_sent_in_the_last_minute(office: Database) -> None:
    """Messages that are out, or may be, count for a minute."""
    kept, _ = add(office)
    with office.begin() as connection:
        outgoing = Outgoing(connection)
        assert outgoing.sent_since("1", NOW) == 0
        outgoing.begin_sending(kept.message_id, Draft("i", "c"))
        assert outgoing.sent_since("1", NOW + timedelta(seconds=59)) == 1
        assert outgoing.sent_since("1", NOW + timedelta(seconds=60)) == 0


def test_what_is_known_of_a_server_is_kept(office: Database) -> None:
    """That a host's server takes submitted drafts away is known from the first time on, for that host alone."""
    with office.begin() as connection:
        outgoing = Outgoing(connection)
        assert not outgoing.takes_drafts("1")
        outgoing.note_takes_drafts("1")
        outgoing.note_takes_drafts("1")
        assert outgoing.takes_drafts("1")
        assert not outgoing.takes_drafts("2")
