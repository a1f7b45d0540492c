"""A workspace with three accounts on one host of the sandbox, for tests of tries, pauses and rubbish: runs, faults and statuses by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.database import tables as t
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.fleet import Fleet, RunResult
from ops_lib.sync.ledger import Ledger, Status
from ops_lib.workspace import Workspace
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
EVERYONE = (ALICE, BOB, CAROL)


class Organisation:
    """A workspace with alice, bob and carol on one host of the sandbox; runs, faults and statuses by name."""

    def __init__(self, sandbox: Sandbox, folder: Path, access: str = "impersonation") -> None:
        self.sandbox = sandbox
        self.now = NOW
        sandbox.clock.set(NOW)
        self.secret = folder / "password"
        self.secret.write_text(sandbox.passwords[SERVICE])
        self.secret.chmod(0o600)
        self.workspace = Workspace.create(folder / "workspace")
        self.workspace.clock = lambda: self.now
        with self.workspace.database.begin() as connection:
            for email in EVERYONE:
                Directory(connection).add_user(email, email.partition("@")[0])
            self.add_host(connection, "one", access, EVERYONE)

    def add_host(self, connection: Any, name: str, access: str, emails: tuple[str, ...], **more: Any) -> None:
        entered = {
            "url": self.sandbox.ews_url, "auth": "basic", "access": access, "version": "2016",
            "service_user": SERVICE, "secret": f"file:{self.secret}",
        }  # fmt: skip
        Hosts(connection).add(name, HostInput(**entered | more))
        for email in emails:
            Accounts(connection).add(email, host=name)

    def run(self, threads: int = 1, minutes: float = 0) -> RunResult:
        """So many minutes later, a run over all accounts; requests are counted from here."""
        self.now += timedelta(minutes=minutes)
        self.sandbox.clock.set(self.now)
        self.sandbox.requests.clear()
        with self.workspace.database.read() as connection:
            accounts = Accounts(connection).accounts()
        return Fleet(self.workspace, sleep=lambda seconds: None).run(accounts, threads=threads)

    def outcomes(self, **how: Any) -> list[str]:
        return [result.outcome for result in self.run(**how).results]

    def fail(self, fault: dict[str, Any], **where: Any) -> None:
        self.sandbox.faults.add({"operation": "SyncFolderItems", "fault": fault} | where)

    def status(self, email: str) -> Status:
        with self.workspace.database.read() as connection:
            account = Accounts(connection).one(email)
            found = Ledger(connection).status(account.account_id, "calendar")
        assert found is not None
        return found

    def statuses(self) -> list[str]:
        return [self.status(email).status for email in EVERYONE]

    def asked(self) -> dict[str, int]:
        """Which mailboxes were asked for their folder in the last run, and how often."""
        counts = {email: self.sandbox.requests.total("SyncFolderItems", email) for email in EVERYONE}
        return {email: count for email, count in counts.items() if count}

    def attempts(self) -> list[Any]:
        with self.workspace.database.read() as connection:
            return list(connection.execute(select(t.attempts).order_by(t.attempts.c.id)))
