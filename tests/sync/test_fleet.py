from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.errors import AccessRefused, Defect, MailboxError, ServerFailed, SignInRefused, TooManyDeletions
from ops_lib.model import Account, Host
from ops_lib.sync import leases
from ops_lib.sync.cycle import CycleResult, Options
from ops_lib.sync.fleet import Fleet, next_status
from ops_lib.sync.leases import Leases, is_dead, this_machine, this_worker
from ops_lib.sync.ledger import Ledger, Outcome
from ops_lib.workspace import Workspace
from tests.support.memory_mailbox import MemoryMailbox
from tests.support.memory_outlook import Outlook
from tests.sync.desk import NOW, Desk, at


@pytest.fixture
def workspace(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Workspace:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("SYNCOPS_NOW", NOW.isoformat())
    return Workspace.create(tmp_path / "w")


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def fleet_of(workspace: Workspace, desk: Desk, open_mailbox=None) -> Fleet:  # type: ignore[no-untyped-def]
    workspace.database = desk.database
    with desk.database.begin() as c:
        c.execute(update(t.hosts).values(service_user="svc"))
    return Fleet(
        workspace,
        mailboxes=open_mailbox or (lambda host, account: MemoryMailbox(desk.outlook)),
        sleep=lambda seconds: None,
    )


@pytest.mark.req("Y8")
def test_one_cycle_at_a_time_per_account(workspace: Workspace, desk: Desk) -> None:
    """While one worker is in the middle of an account, another finds it busy and touches nothing."""
    desk.add("Tour", at(1, 10))
    inside, go_on = threading.Event(), threading.Event()

    class Slow(MemoryMailbox):
        def changes(self, kind, sync_state=""):  # type: ignore[no-untyped-def]
            inside.set()
            assert go_on.wait(10)
            return super().changes(kind, sync_state)

    fleet = fleet_of(workspace, desk, lambda host, account: Slow(desk.outlook))
    first: list[CycleResult] = []
    worker = threading.Thread(target=lambda: first.extend(fleet.run([desk.account]).results))
    worker.start()
    assert inside.wait(10)
    (second,) = (
        fleet_of(workspace, desk, lambda host, account: pytest.fail("the busy account was opened"))
        .run([desk.account])
        .results
    )
    go_on.set()
    worker.join()
    assert (second.outcome, first[0].outcome) == ("busy", "ok")
    assert len(desk.outlook.items) == 1
    with desk.database.read() as c:
        assert sorted(row.outcome for row in c.execute(t.run_accounts.select())) == ["busy", "ok"]
        status = Ledger(c).status("1", "calendar")
        assert status is not None
        assert (status.status, status.attempts) == ("Syncing", 0)


@pytest.mark.req("Y8")
def test_a_cycle_longer_than_the_lease_is_finished(
    workspace: Workspace, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a worker reads for longer than its lease lasts, the lease is held on to: others find the account busy, and the cycle is finished."""
    monkeypatch.setattr(leases, "KEPT_TIMES", 20_000)
    desk.add("Tour", at(1, 10))
    others: list[bool] = []

    def is_held_on_to() -> bool:
        with desk.database.read() as c:
            return bool(c.execute(t.leases.select()).one().until > datetime.now(UTC))

    class Slow(MemoryMailbox):
        def changes(self, kind, sync_state=""):  # type: ignore[no-untyped-def]
            with desk.database.begin() as c:
                c.execute(update(t.leases).values(until=datetime.now(UTC) - timedelta(seconds=1)))
            give_up = time.monotonic() + 20
            while not is_held_on_to() and time.monotonic() < give_up:
                time.sleep(0.01)
            with desk.database.begin() as c:
                others.append(Leases(c).take("1", "elsewhere/1/1/x", 600))
            return super().changes(kind, sync_state)

    (result,) = fleet_of(workspace, desk, lambda host, account: Slow(desk.outlook)).run([desk.account]).results
    assert result.outcome == "ok"
    assert others == [False, False]
    assert not [thread for thread in threading.enumerate() if thread.name == "lease of account 1"]


@pytest.mark.req("Y8")
def test_a_dead_workers_lease_is_taken_over_at_once(database: Database, desk: Desk) -> None:
    """A lease whose process of this machine no longer runs holds nobody up; one of another machine does, until its time is over."""
    dead = f"{this_machine()}/4194304/1/deadbeef"
    assert is_dead(dead)
    assert not is_dead(this_worker())
    assert not is_dead(f"elsewhere/{os.getpid()}/1/deadbeef")
    with database.begin() as c:
        assert Leases(c).take("1", dead, 600)
        assert Leases(c).take("1", "elsewhere/1/1/x", 600)
        assert not Leases(c).take("1", this_worker(), 600)
        c.execute(update(t.leases).values(until=datetime.now(UTC) - timedelta(seconds=1)))
        assert Leases(c).take("1", this_worker(), 600)


@pytest.mark.req("Y8")
@pytest.mark.skipif(this_machine().count("@") < 2, reason="this system names neither boots nor process namespaces")
def test_containers_with_one_name_leave_each_other_their_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder in another process namespace, or of another boot, is alive until its lease ends, though it has this host's name and no process
    here has its number: so is one that an earlier version noted by name alone."""
    assert is_dead(f"{this_machine()}/4194304/1/x")
    name, boot, namespace = this_machine().split("@")
    assert not is_dead(f"{name}@{boot}@{int(namespace) + 1}/4194304/1/x")
    assert not is_dead(f"{name}@another-boot@{namespace}/4194304/1/x")
    assert not is_dead(f"{name}/4194304/1/x")
    monkeypatch.setattr(socket, "gethostname", lambda: "another-name")
    assert not is_dead(f"{name}@{boot}@{namespace}/4194304/1/x")


def test_whoever_lost_the_lease_writes_nothing_more(workspace: Workspace, desk: Desk) -> None:
    """A worker that was taken for dead and comes back stops before its next batch."""
    desk.add("Tour", at(1, 10))

    class Stolen(MemoryMailbox):
        def view(self, window):  # type: ignore[no-untyped-def]
            raise AssertionError

        def changes(self, kind, sync_state=""):  # type: ignore[no-untyped-def]
            with desk.database.begin() as c:
                c.execute(update(t.leases).values(owner="elsewhere/1/1/x"))
            return super().changes(kind, sync_state)

    (result,) = fleet_of(workspace, desk, lambda host, account: Stolen(desk.outlook)).run([desk.account]).results
    assert result.outcome == "busy"
    assert desk.outlook.items == {}


def test_a_refused_password_is_tried_once_in_a_run(workspace: Workspace, desk: Desk) -> None:
    """All accounts that share a refused credential fail with it, and it is sent once: a service account must not be locked out."""
    tries: list[str] = []

    class Refused(MemoryMailbox):
        def changes(self, kind, sync_state=""):  # type: ignore[no-untyped-def]
            tries.append(self.address)
            raise SignInRefused("the password is wrong", http_status=401)

    accounts = [desk.account] * 3
    run = fleet_of(workspace, desk, lambda host, account: Refused(desk.outlook)).run(accounts)
    assert [result.outcome for result in run.results] == ["failed"] * 3
    assert len(tries) == 1
    assert not run.all_well


def test_one_failing_account_stops_no_other(workspace: Workspace, desk: Desk) -> None:
    """A server's failure is that account's; it is recorded with its code, and the next account is kept in step."""
    broken = [True, False]

    class Sometimes(MemoryMailbox):
        def changes(self, kind, sync_state=""):  # type: ignore[no-untyped-def]
            if broken and broken.pop(0):
                raise AccessRefused("no", response_code="ErrorAccessDenied")
            return super().changes(kind, sync_state)

    desk.add("Tour", at(1, 10))
    run = fleet_of(workspace, desk, lambda host, account: Sometimes(desk.outlook)).run([desk.account, desk.account])
    assert [result.outcome for result in run.results] == ["failed", "ok"]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fault_of_ours_in_one_account_stops_no_other(workspace: Workspace, desk: Desk, threads: int) -> None:
    """What nobody foresaw is recorded as that account's failure, by its class and place and without its words; the others are kept in step,
    and the run ends."""
    with desk.database.begin() as c:
        bob = {"user_id": 2, "mailbox": "bob@example.test"}
        c.execute(t.users.insert().values(id=2, email=bob["mailbox"], name="Bob", time_zone="UTC", is_admin=False, change_version=0))  # fmt: skip
        c.execute(t.accounts.insert().values(id=2, host_id=1, is_impersonation_account=False, **bob))
    accounts = [desk.account, replace(desk.account, account_id="2", user_id="2", mailbox="bob@example.test")]

    class Broken(MemoryMailbox):
        def changes(self, kind, sync_state=""):  # type: ignore[no-untyped-def]
            raise KeyError("the patient's name")

    def open_mailbox(host: Host, account: Account) -> MemoryMailbox:
        return Broken(desk.outlook) if account.account_id == "1" else MemoryMailbox(Outlook(now=lambda: NOW))

    run = fleet_of(workspace, desk, open_mailbox).run(accounts, threads=threads)
    assert [result.outcome for result in run.results] == ["failed", "ok"]
    assert isinstance(run.results[0].error, Defect)
    assert not run.all_well
    with desk.database.read() as c:
        ended = c.execute(t.runs.select()).one()
        assert (ended.outcome, ended.finished_at) == ("failed", NOW)
        told = {row.account_id: (row.outcome, row.message) for row in c.execute(t.run_accounts.select())}
        assert told[2] == ("ok", "")
        assert told[1][0] == "failed"
        assert "KeyError in reading.py" in told[1][1]
        assert "patient" not in told[1][1]
        status = Ledger(c).status("1", "calendar")
        assert status is not None
        assert (status.attempts, status.sub_cause) == (1, told[1][1])
        assert c.execute(t.leases.select()).all() == []


def test_a_run_that_is_stopped_is_not_running_any_more(workspace: Workspace, desk: Desk) -> None:
    """Whoever interrupts a run leaves it recorded as failed, not as running for ever."""

    class Interrupted(MemoryMailbox):
        def changes(self, kind, sync_state=""):  # type: ignore[no-untyped-def]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fleet_of(workspace, desk, lambda host, account: Interrupted(desk.outlook)).run([desk.account])
    with desk.database.read() as c:
        assert c.execute(t.runs.select()).one().outcome == "failed"


def test_what_cannot_be_recorded_is_no_success(
    workspace: Workspace, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cycle whose record the database refuses counts as failed, and so does its run."""

    def refuse(*arguments: object, **named: object) -> None:
        raise IntegrityError("INSERT", {"message": "secret"}, Exception("secret"))

    fleet = fleet_of(workspace, desk)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_account", refuse)
        run = fleet.run([desk.account])
    assert run.results[0].outcome == "failed"
    assert "IntegrityError" in str(run.results[0].error)
    assert "secret" not in str(run.results[0].error)
    with desk.database.read() as c:
        assert c.execute(t.runs.select()).one().outcome == "failed"


def result(outcome: str, error: MailboxError | None = None, **more: object) -> CycleResult:
    account = Account(
        account_id="1", host_id="1", user_id="1", user_email="a@example.test", mailbox="a@example.test", time_zone="UTC"
    )
    return CycleResult(account=account, outcome=outcome, error=error, **more)  # type: ignore[arg-type]


@pytest.mark.req("T2")
def test_a_failing_process_is_tried_four_times() -> None:
    """What may mend itself leaves the status until the fourth failure in a row; what cannot sets it at once; a success resets both."""
    now, status = NOW, None
    status = next_status(status, result("ok", links=1), now)
    assert (status.status, status.last_success) == ("Syncing", now)
    for attempt in range(1, 5):
        failing = ServerFailed("out of order", response_code="ErrorInternalServerError", http_status=500)
        status = next_status(status, result("failed", failing), now + timedelta(minutes=attempt))
        assert status.status == ("Syncing" if attempt < 4 else "EWS Server giving Internal Server Error")
        assert status.response_code == "ErrorInternalServerError"
    status = next_status(status, result("ok", links=1), now + timedelta(hours=1))
    assert (status.status, status.attempts, status.response_code) == ("Syncing", 0, "")
    status = next_status(status, result("failed", SignInRefused("no", http_status=401)), now + timedelta(hours=2))
    assert (status.status, status.since) == ("Unauthorized", now + timedelta(hours=2))


@pytest.mark.req("T1")
def test_statuses_of_accounts_without_anything_to_do() -> None:
    """Nothing to sync is Unattempted, switched off is Not Enabled, with the moment since when."""
    assert next_status(None, result("ok"), NOW).status == "Unattempted"
    assert next_status(None, result("off"), NOW).status == "Not Enabled"


def test_a_cycle_is_recorded(workspace: Workspace, desk: Desk) -> None:
    """A run leaves its counts, its requests and what became of each entry; a dry run leaves nothing."""
    desk.add("Tour", at(1, 10))
    fleet = fleet_of(workspace, desk)
    assert fleet.run([desk.account], Options(dry_run=True)).run_id is None
    run = fleet.run([desk.account])
    with desk.database.read() as c:
        assert c.execute(t.runs.select()).one().outcome == "ok"
        row = c.execute(t.run_accounts.select()).one()
        assert (row.run_id, row.counts["created"], row.requests, row.status) == (
            run.run_id,
            {"crm": 0, "exchange": 1},
            4,
            "Syncing",
        )
        item = c.execute(t.run_items.select()).one()
        assert (item.action, item.side, item.outcome, item.reason) == ("create", "exchange", "done", "new in the CRM")
        assert Ledger(c).status("1", "calendar") is not None


def test_the_brake_blocks_the_account_and_says_how_to_go_on(workspace: Workspace, desk: Desk) -> None:
    """A braked cycle is `blocked`, its status says so, and the message names the command that lets it through."""
    ids = [desk.add(f"Tour {n}", at(1, n)) for n in range(10)]
    fleet = fleet_of(workspace, desk)
    fleet.run([desk.account])
    for activity_id in ids:
        desk.remove(activity_id)
    (blocked,) = fleet.run([desk.account]).results
    assert blocked.outcome == "blocked"
    assert isinstance(blocked.error, TooManyDeletions)
    assert "--allow-deletions 10" in str(blocked.error)
    (allowed,) = fleet.run([desk.account], Options(allow_deletions=10)).results
    assert allowed.counts()["deleted"] == {"crm": 0, "exchange": 10}


def test_counts_tell_sides_apart() -> None:
    """A reschedule, a cancellation and a restoration count as updates of the CRM."""

    def done(action: str, side: str) -> Outcome:
        return Outcome(action=action, side=side, kind="event", key="k", outcome="done", reason="")

    counted = result(
        "ok",
        outcomes=[
            done("reschedule", "crm"),
            done("cancel", "crm"),
            done("create", "exchange"),
            done("delete", "exchange"),
        ],
    ).counts()
    assert counted == {
        "created": {"crm": 0, "exchange": 1},
        "updated": {"crm": 2, "exchange": 0},
        "deleted": {"crm": 0, "exchange": 1},
        "skipped": 0,
        "failed": 0,
    }
