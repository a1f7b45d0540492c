"""`syncops watch` on the sandbox: what changes is on the other side within moments, and what does not costs nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import ActivityStatus, Origin, Timed
from ops_lib.sandbox.notifications import Subscriptions
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync import watch as watching
from ops_lib.sync.cycle import CycleResult
from ops_lib.sync.watch import Watch
from ops_lib.workspace import Workspace
from tests.support.population import addresses_of, enter, settle
from tests.support.sandbox import SERVICE

PATIENCE_SECONDS = 20.0
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)


class Customer:
    """A workspace with accounts on a sandbox, and its watch."""

    def __init__(self, folder: Path, sandbox: Sandbox, database_url: str | None, *, access: str, count: int) -> None:
        self.sandbox = sandbox
        self.addresses = addresses_of(count)
        settle(sandbox, self.addresses)
        if access == "impersonation":
            sandbox.organisation.grant_impersonation(SERVICE, None)
        for address in self.addresses if access == "delegate" else ():
            for name in ("calendar", "tasks"):
                sandbox.organisation.set_permission(address, name, SERVICE, "Editor")
        Workspace.create(folder, database_url).close()
        enter(folder, sandbox, self.addresses, access=access)
        self.workspace = Workspace.open(folder)
        with self.workspace.database.read() as connection:
            self.accounts = Accounts(connection).accounts()
        self.results: list[CycleResult] = []
        self.said: list[str] = []
        self.watch: Watch | None = None
        self._thread: threading.Thread | None = None

    def begin(self, **options: Any) -> Watch:
        """Start watching; returns when every account has had a cycle."""
        self.watch = Watch(self.workspace, self.accounts, tell=self.results.append, say=self.said.append, **options)
        self._thread = threading.Thread(target=self.watch.run)
        self._thread.start()
        self.until(
            lambda: {each.account.mailbox for each in self.results if each.outcome == "ok"} >= set(self.addresses)
        )
        return self.watch

    def quiet(self) -> None:
        """Wait until nothing is under way and nobody waits, for a second."""
        seen, since = -1, time.monotonic()
        give_up = since + PATIENCE_SECONDS
        while time.monotonic() - since < 1.0 and time.monotonic() < give_up:
            if len(self.results) != seen:
                seen, since = len(self.results), time.monotonic()
            time.sleep(0.02)

    def end(self) -> None:
        if self.watch is not None and self._thread is not None:
            self.watch.stop()
            self._thread.join(20)
            assert not self._thread.is_alive()
        self.workspace.close()

    def until(self, holds: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < give_up, (
                self.said,
                [(r.account.mailbox, r.outcome, str(r.error)) for r in self.results[-5:]],
            )
            time.sleep(0.02)

    # ── both sides ───────────────────────────────────────────────────────────────────────────────────────────────────
    def in_outlook(self, address: str, subject: str) -> None:
        values = {"item:Subject": subject, "calendar:Start": START, "calendar:End": START + timedelta(hours=1)}
        with self.sandbox.organisation.lock:
            self.sandbox.organisation.create_item(address, "calendar", values)

    def in_crm(self, address: str, description: str) -> None:
        with self.workspace.database.begin() as connection:
            directory = Directory(connection)
            content = ActivityContent(
                type_id=directory.activity_type("Tour").type_id,
                status=ActivityStatus.SCHEDULED,
                description=description,
                when=Timed(START, START + timedelta(hours=1)),
            )
            SqlCrm(connection, datetime.now(UTC)).create(
                directory.user(address).user_id, content, origin=Origin.CRM, key=description
            )

    def shows_in_crm(self, description: str) -> bool:
        with self.workspace.database.read() as connection:
            users = {account.user_id for account in self.accounts}
            return any(
                each.description == description and not each.is_deleted
                for user in users
                for each in SqlCrm(connection, datetime.now(UTC)).changes(user, 0).activities
            )

    def shows_in_outlook(self, address: str, subject: str) -> bool:
        calendar = self.sandbox.organisation.mailbox(address).folder("calendar")
        with self.sandbox.organisation.lock:
            return any(each.values.get("item:Subject") == subject for each in calendar.items.values())


Make = Callable[..., Customer]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[Customer] = []

    def customer(
        sandbox: Sandbox, *, database_url: str | None = None, access: str = "impersonation", count: int = 3
    ) -> Customer:
        password = "x" if access == "direct" else sandbox.passwords[SERVICE]  # as `settle` gives everybody
        monkeypatch.setenv("SVC_PASSWORD", password)
        made.append(Customer(tmp_path / f"w{len(made)}", sandbox, database_url, access=access, count=count))
        return made[-1]

    yield customer
    for each in made:
        each.end()
    close_connections()


@pytest.mark.req("C7")
def test_changes_on_either_side_are_met_within_moments(make: Make, sandbox: Sandbox, database_url: str) -> None:
    """On both databases: an event of Outlook's is in the CRM, an activity in Outlook, and nobody else's mailbox is asked for anything."""
    customer = make(sandbox, database_url=database_url)
    one, other, quiet = customer.addresses
    customer.begin()
    customer.until(lambda: customer.watch is not None and customer.watch.standing().told == 3)
    customer.quiet()
    sandbox.requests.clear()
    customer.in_outlook(one, "Dentist")
    customer.in_crm(other, "Tour with Ann")
    customer.until(lambda: customer.shows_in_crm("Dentist") and customer.shows_in_outlook(other, "Tour with Ann"))
    customer.quiet()
    asked = sandbox.requests.document()["mailboxes"]
    assert quiet not in asked
    assert asked[one].keys() <= {"SyncFolderItems", "GetItem"}
    cycles = len(customer.results)
    time.sleep(1.5)
    assert len(customer.results) == cycles  # what the cycles wrote themselves leads to one more, not to others for ever


@pytest.mark.req("C7", "Y5")
def test_what_happens_while_nobody_listens_is_not_missed(
    make: Make, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that are cut, and a mailbox whose subscription is lost: both are taken up again, with what changed meanwhile."""
    customer = make(sandbox)
    one, other, _ = customer.addresses
    customer.begin()
    customer.until(lambda: len(sandbox.streams) == 1)
    for number in range(3):
        sandbox.streams.cut()
        customer.in_outlook(one, f"Meanwhile {number}")
        customer.until(lambda number=number: customer.shows_in_crm(f"Meanwhile {number}"))  # type: ignore[misc]
        customer.until(lambda: len(sandbox.streams) == 1)
    sandbox.organisation.move_mailbox(other)
    customer.in_outlook(other, "After the move")
    customer.until(lambda: customer.shows_in_crm("After the move"))


@pytest.mark.req("C7")
@pytest.mark.parametrize("access", ["delegate", "direct"])
def test_each_way_of_access_can_be_told(make: Make, sandbox: Sandbox, access: str) -> None:
    """As a delegate all mailboxes share a connection; with access direct each has its own."""
    customer = make(sandbox, access=access, count=2)
    watch = customer.begin()
    customer.until(lambda: watch.standing().told == 2)
    customer.until(lambda: len(sandbox.streams) == (1 if access == "delegate" else 2))
    for address in customer.addresses:
        customer.in_outlook(address, f"Dentist of {address}")
        customer.until(lambda address=address: customer.shows_in_crm(f"Dentist of {address}"))  # type: ignore[misc]


@pytest.mark.req("C7")
def test_servers_of_an_organisation_are_told_apart(make: Make) -> None:
    """Where a subscription lives on one of several servers, all of a line's are made where its connection listens."""
    with Sandbox(servers=5) as sandbox:
        customer = make(sandbox, count=6)
        watch = customer.begin()
        customer.until(lambda: watch.standing().told == 6)
        for address in customer.addresses:
            customer.in_outlook(address, f"Dentist of {address}")
        customer.until(lambda: all(customer.shows_in_crm(f"Dentist of {each}") for each in customer.addresses))
        assert watch.standing().lines == 1
        assert not customer.said
        customer.end()


@pytest.mark.req("C7")
@pytest.mark.parametrize(
    "fault",
    [
        {"response_code": "ErrorSubscriptionDelegateAccessNotSupported"},
        {"response_code": "ErrorExceededSubscriptionCount"},
        {"soap_fault": "ErrorInvalidOperation"},
    ],
)
def test_who_is_not_told_is_asked(
    make: Make, sandbox: Sandbox, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a server has no notifications for a mailbox, it is asked now and then, and that is said once."""
    sandbox.faults.add({"operation": "Subscribe", "fault": fault})
    monkeypatch.setattr(watching, "BEGIN_SECONDS", 0.5)
    customer = make(sandbox, count=2)
    watch = customer.begin(ask_seconds=0.5)
    customer.in_outlook(customer.addresses[0], "Dentist")
    customer.until(lambda: customer.shows_in_crm("Dentist"))
    assert watch.standing().told == 0
    assert sum("does not tell" in words for words in customer.said) == 1, customer.said


@pytest.mark.req("C7")
def test_one_mailbox_that_is_refused_leaves_the_others_told(
    make: Make, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code that nobody has met, for one mailbox of a line: it is asked, and said once; the others are told."""
    monkeypatch.setattr(watching, "BEGIN_SECONDS", 0.5)
    customer = make(sandbox, count=3)
    fault = {"response_code": "ErrorSubscriptionDelegateAccessNotSupported"}
    sandbox.faults.add({"operation": "Subscribe", "mailbox": customer.addresses[1], "fault": fault})
    watch = customer.begin(ask_seconds=0.5)
    customer.until(lambda: watch.standing().told == 2)
    for address in customer.addresses:
        customer.in_outlook(address, f"Dentist of {address}")
    customer.until(lambda: all(customer.shows_in_crm(f"Dentist of {each}") for each in customer.addresses))
    assert watch.standing().told == 2
    assert len(customer.said) == 1


@pytest.mark.req("C7")
def test_a_limit_of_the_server_leaves_the_rest_to_be_asked(
    make: Make, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one mailbox may have no more subscriptions, the others are told all the same."""
    monkeypatch.setattr(watching, "BEGIN_SECONDS", 0.5)
    customer = make(sandbox, count=3)
    full = sandbox.organisation.mailbox(customer.addresses[0])
    sandbox.organisation.subscriptions = Subscriptions(sandbox.organisation.now, most_per_mailbox=1)
    sandbox.organisation.subscriptions.add(
        full, "pull", owner="another", folders=None, kinds=["CreatedEvent"], minutes=60
    )
    watch = customer.begin(ask_seconds=0.5)
    customer.until(lambda: watch.standing().told == 2)
    for address in customer.addresses:
        customer.in_outlook(address, f"Dentist of {address}")
    customer.until(lambda: all(customer.shows_in_crm(f"Dentist of {each}") for each in customer.addresses))


@pytest.mark.req("C7")
def test_a_server_that_was_away_is_listened_to_again(
    make: Make, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server answers 503 the mailboxes are asked; afterwards it tells again."""
    monkeypatch.setattr(watching, "FAILED_SECONDS", 0.3)
    monkeypatch.setattr(watching, "LONGEST_PAUSE_SECONDS", 0.5)
    customer = make(sandbox)
    watch = customer.begin()
    customer.until(lambda: len(sandbox.streams) == 1)
    rule = sandbox.faults.add({"fault": {"status": 503}})
    sandbox.streams.cut()
    customer.in_outlook(customer.addresses[0], "Meanwhile")
    time.sleep(1.0)
    sandbox.faults.remove(rule.id)
    customer.until(lambda: customer.shows_in_crm("Meanwhile"))
    customer.until(lambda: watch.standing().told == 3 and len(sandbox.streams) == 1)
    customer.in_outlook(customer.addresses[1], "Afterwards")
    customer.until(lambda: customer.shows_in_crm("Afterwards"))


@pytest.mark.req("C7", "Y8")
def test_the_command_ends_when_it_is_told_to(make: Make, sandbox: Sandbox) -> None:
    """SIGTERM: subscriptions are given back, nothing is left held, and the last line says what was done."""
    customer = make(sandbox, count=2)
    process = subprocess.Popen(
        [sys.executable, "-m", "ops_lib.cli", "--workspace", str(customer.workspace.path), "watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    try:
        customer.until(lambda: len(sandbox.streams) == 1)
        customer.in_outlook(customer.addresses[0], "Dentist")
        customer.until(lambda: customer.shows_in_crm("Dentist"))
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "1 created in the CRM" in out
    assert "0 failed" in err
    assert len(sandbox.organisation.subscriptions) == 0
    with customer.workspace.database.read() as connection:
        from ops_lib.database.tables import leases

        assert connection.execute(leases.select()).all() == []
