"""A diagnosis that is captured, written, and judged again from the file alone."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.diagnosis import replaying
from ops_lib.diagnosis.capturing import Captured, capture
from ops_lib.diagnosis.checks import judge, leading, standing_of
from ops_lib.diagnosis.seen import Facts
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.mailbox.traffic import cassettes
from ops_lib.model import Account
from ops_lib.workspace import Workspace
from tests.support.sandbox import ALICE, SERVICE


@dataclass(frozen=True)
class Carried:
    """A capture, its file, and the facts that came out of the file again."""

    captured: Captured
    file: Path
    facts: Facts

    @property
    def before(self) -> list[tuple[str, ...]]:
        return diagnosis(self.captured.facts)

    @property
    def after(self) -> list[tuple[str, ...]]:
        return diagnosis(self.facts)


def diagnosis(facts: Facts) -> list[tuple[str, ...]]:
    """What a diagnosis comes to: its status, what to begin with, and each finding's check, verdict, owner, response codes and next step."""
    findings = judge(facts)
    stands, first = standing_of(facts), leading(findings)
    head = (stands.status if stands else "", first.check if first else "", first.cause if first else "")
    return [
        head,
        *(
            (each.check, each.verdict, each.owner, *_codes(each.observed), _unnamed(each.next_step, facts))
            for each in findings
        ),
    ]


def _codes(text: str) -> list[str]:
    return re.findall(r"Error[A-Z]\w+|AADSTS\d+|HTTP \d{3}|not recorded", text)


def _unnamed(text: str, facts: Facts) -> str:
    """A step without whom it is for: names are stand-ins in a replay."""
    for name in (facts.host, facts.account):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", text)
    return re.sub(r"\S+@\S+|'[^']*'|https?://\S+|\b[\w.]+\.(?:test|example)\b", "…", text)


def enter_host(
    workspace: Workspace, url: str, *, mailbox: str = ALICE, name: str = "exchange", **entered: Any
) -> Account:
    """A host at this URL, and alice's account on it. The password is in SVC_PASSWORD."""
    options: dict[str, Any] = {
        "url": url, "auth": "basic", "access": "impersonation", "version": "2016", "community": "all", "types": ["Tour"],
        "service_user": SERVICE, "secret": "env:SVC_PASSWORD", "all_day_tasks": True,
    }  # fmt: skip
    with workspace.database.begin() as connection:
        Hosts(connection).add(name, HostInput(**options | entered))
        Directory(connection).add_user(mailbox, "Alice Kowalczyk")
        return Accounts(connection).add(mailbox, host=name)


def carried(workspace: Workspace, account: Account, folder: Path, **seconds: float) -> Carried:
    """Capture, write, forget every connection, and replay."""
    captured = capture(workspace, account, **seconds)
    file = folder / "capture.yaml"
    cassettes.write(captured.cassette, file, over=True)
    close_connections()
    return Carried(captured, file, replaying.facts_of(file))


@contextmanager
def talker(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does with each connection what ``serve`` does; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def each() -> None:
        with suppress(OSError), ExitStack() as open_ones:
            while True:
                connection, _ = listener.accept()
                open_ones.enter_context(connection)
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with suppress(OSError):
            serve(connection)

    threading.Thread(target=each, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
