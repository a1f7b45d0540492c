"""The whole way of a message on each database: accepted, refused, and taken up after a death."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops_lib.crm.directory import Directory
from ops_lib.database import tables as t
from ops_lib.errors import AccessRefused
from ops_lib.mail.compose import Letter
from ops_lib.mail.send import Mailer
from ops_lib.mailbox.outgoing import File
from ops_lib.workspace import Settings, Workspace
from tests.mail.conftest import activities, add_host
from tests.mail.test_once import bury, mortal
from tests.support.memory_post import MemoryPost, MemoryServer
from tests.support.sandbox import ALICE, BOB
from tests.support.workers import Killed, Life

FILE = File(name="plan.pdf", content_type="application/pdf", content=bytes(range(256)))
LETTER = Letter(user=ALICE, to=("Ruth Example",), subject="Grüße 😀", text="Dear Ruth", files=(FILE,))


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(tmp_path, Settings(database_url=database_url), lambda: datetime(2026, 11, 23, 9, tzinfo=UTC))
    with opened.database.begin() as connection:
        directory = Directory(connection)
        directory.add_usual_activity_types()
        directory.add_user(ALICE, "Alice")
        directory.add_individual("Ruth Example", email=BOB)
    add_host(opened)
    yield opened
    opened.close()


@pytest.mark.req("E2", "E3", "E7")
def test_accepted_refused_and_taken_up(workspace: Workspace) -> None:
    """Sent whole, refused with its record, and finished by another process after a kill; nothing twice, and no file is kept."""
    server = MemoryServer()
    mailer = Mailer(workspace, posts=lambda host, account, service: MemoryPost(server))
    assert mailer.send(LETTER).outcome == "accepted"
    server.faults[server.calls + 1] = AccessRefused("may not", response_code="ErrorSendAsDenied")
    assert mailer.send(LETTER).outcome == "refused"

    life = Life()
    life.at["after submit"] = lambda: setattr(life, "is_over", True)
    with pytest.raises(Killed):
        mortal(workspace, server, life).send(LETTER)
    bury(workspace)
    assert [each.outcome for each in mailer.resume()] == ["accepted"]
    assert [each.files for each in server.delivered] == [(FILE,)] * 2
    assert [each[:2] for each in activities(workspace)] == [
        ("Grüße 😀", "Completed"),
        ("Grüße 😀 Failed to Send", "Cancelled"),
        ("Grüße 😀", "Completed"),
    ]
    with workspace.database.read() as connection:
        assert connection.execute(t.outgoing_files.select()).all() == []
