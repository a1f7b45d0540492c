"""What the tests of mail share: a workspace whose user may send, with individuals of every kind."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import stamina

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.mail.send import Mailer
from ops_lib.workspace import Workspace
from tests.support.command_line import CommandLine
from tests.support.memory_post import MemoryPost, MemoryServer
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_sleep() -> Iterator[None]:
    """Tries are counted as in earnest, without the pauses between them."""
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def workspace(run: CommandLine) -> Iterator[Workspace]:
    """A workspace with alice of Elm Court, and four individuals: Ruth (bob), Otto (carol), Olga (bob's address too), and Nemo without any."""
    opened = Workspace.open(run.workspace)
    with opened.database.begin() as connection:
        directory = Directory(connection)
        directory.add_community("Elm Court", time_zone="UTC")
        directory.add_user(ALICE, "Alice Archer", community_names=["Elm Court"])
        directory.add_individual("Ruth Example", email=BOB, community_name="Elm Court")
        directory.add_individual("Otto Öz", email=CAROL)
        directory.add_individual("Olga Example", email=BOB)
        directory.add_individual("Nemo Example")
    yield opened
    opened.close()


def add_host(
    workspace: Workspace, name: str = "H", *, account: str | None = ALICE, account_sends: bool = True, **entered: Any
) -> None:
    """A host that sends, with alice's account on it."""
    fields: dict[str, Any] = {
        "url": "https://mail.example.test/EWS/Exchange.asmx",
        "auth": "basic",
        "access": "impersonation",
        "version": "Office 365",
        "service_user": SERVICE,
        "secret": "env:TEST_PASSWORD",
        "types": (),
        "send_email": True,
    } | entered
    with workspace.database.begin() as connection:
        Hosts(connection).add(name, HostInput(**fields))
        if account is not None:
            Accounts(connection).add(account, host=name, send_email=account_sends)


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def mailer(workspace: Workspace, server: MemoryServer) -> Mailer:
    """Sends through an Office 365 host whose server is in memory."""
    add_host(workspace)
    return Mailer(workspace, posts=lambda host, account, service: MemoryPost(server))


def picture(width: int = 2, height: int = 2, colour: bytes = b"\x80\x10\x30") -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    raw = (b"\0" + colour * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def activities(workspace: Workspace) -> list[tuple[str, str, str, str]]:
    """Description, status, for whom and note of everything on the CRM's calendar, oldest first."""
    from ops_lib.crm.store import SqlCrm

    with workspace.database.read() as connection:
        user = Directory(connection).user(ALICE)
        found = SqlCrm(connection, NOW).changes(user.user_id, 0).activities
    return [(each.description, each.status.value, each.individual_name, each.notes) for each in found]
