"""A refused password is sent once, however many accounts, threads, processes and cycles would send it: nobody is locked out by us."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from sqlalchemy import select

from ops_lib.access import password_tries
from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.access.password_tries import PasswordGate
from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.errors import MailboxError, SignInRefused, Unreachable
from ops_lib.mailbox.ews.door import Door
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Host, Kind
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.fleet import Fleet
from ops_lib.sync.leases import this_machine
from ops_lib.sync.ledger import Ledger
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE
from tests.support.signing_in import Office

Make = Callable[..., Office]

HOST = Host(host_id="1", name="own", url="https://mail.example/EWS/Exchange.asmx", auth="basic", access="impersonation")


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """``make("ntlm")``: a host with a service account whose password is in ``SVC``, wrong, and three accounts."""
    offices: list[Office] = []

    def made(auth: str = "basic") -> Office:
        monkeypatch.setenv("SVC", "wrong")
        offices.append(
            Office(
                sandbox, tmp_path / f"w{len(offices)}", monkeypatch, auth=auth, access="impersonation", service_user=SERVICE,
                secret="env:SVC", redirect_uri=None, url=sandbox.ews_url,
            )
        )  # fmt: skip
        for address in (ALICE, BOB, CAROL):
            offices[-1].add(address)
        return offices[-1]

    yield made
    for office in offices:
        office.workspace.close()
    close_connections()


def accounts(office: Office) -> list[Any]:
    with office.workspace.database.read() as connection:
        return Accounts(connection).accounts()


def statuses(office: Office) -> set[str]:
    with office.workspace.database.read() as connection:
        found = [Ledger(connection).status(each.account_id, "calendar") for each in Accounts(connection).accounts()]
    return {each.status for each in found if each is not None}


def tries(office: Office) -> int:
    """How often the service account's password was refused."""
    return office.sandbox.attempts.count(SERVICE, "refused") + office.sandbox.attempts.count(SERVICE, "locked")


def next_process() -> None:
    """As a new process: nothing is known but what the database holds."""
    close_connections()


@pytest.mark.req("T1", "T2")
@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_wrong_password_is_sent_once(make: Make, auth: str) -> None:
    """Three accounts, three threads, three cycles, each as a new process: one try at the server, and Unauthorized for all who share it."""
    office = make(auth)
    for _ in range(3):
        next_process()
        run = Fleet(office.workspace).run(accounts(office), threads=3)
        assert {type(result.error) for result in run.results} == {SignInRefused}
    assert tries(office) == 1
    assert statuses(office) == {"Unauthorized"}
    assert not office.sandbox.attempts.document()[SERVICE]["is_locked"]


@pytest.mark.req("T2")
@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_the_right_password_goes_on(make: Make, auth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as the reference holds another password, it is tried; and the old one is forgotten once that is accepted."""
    office = make(auth)
    Fleet(office.workspace).run(accounts(office))
    monkeypatch.setenv("SVC", office.sandbox.passwords[SERVICE])
    assert Fleet(office.workspace).run(accounts(office), threads=3).all_well
    assert tries(office) == 1
    with office.workspace.database.read() as connection:
        assert connection.execute(select(t.password_tries)).all() == []


@pytest.mark.req("H3")
def test_entering_the_secret_again_lets_it_be_tried(make: Make) -> None:
    """Who enters the same secret again says that it is right: it is tried once more, no more."""
    office = make()
    Fleet(office.workspace).run(accounts(office))
    with office.workspace.database.begin() as connection:
        Hosts(connection).edit("cloud", HostInput(secret="env:SVC"))
        password_tries.forget(connection, office.host, SERVICE)
    for _ in range(2):
        next_process()
        Fleet(office.workspace).run(accounts(office), threads=3)
    assert tries(office) == 2


def test_what_is_remembered_is_no_password(make: Make) -> None:
    """The database holds a salted digest of the refused password, another one each time, and the server's reason."""
    digests = set()
    for _ in range(2):
        office = make()
        Fleet(office.workspace).run(accounts(office)[:1])
        next_process()
        with office.workspace.database.read() as connection:
            row = connection.execute(select(t.password_tries)).one()
        assert "wrong" not in row.digest + row.salt
        assert row.reason == "the server does not accept user name and password"
        digests.add(row.digest)
    assert len(digests) == 2


def test_a_server_that_wants_another_way_refused_no_password(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server does not take the host's way of signing in, no password was looked at, and none is kept from being tried."""
    office = make()
    office.sandbox.faults.add(
        {"operation": "*", "fault": {"status": 401, "headers": {"WWW-Authenticate": "Negotiate, NTLM"}}}
    )
    monkeypatch.setenv("SVC", office.sandbox.passwords[SERVICE])
    (result,) = Fleet(office.workspace).run(accounts(office)[:1]).results
    assert "does not take Basic" in str(result.error)
    office.sandbox.faults.clear()
    assert Fleet(office.workspace).run(accounts(office)).all_well


_PROCESS = """
import sys
from ops_lib.access.accounts import Accounts
from ops_lib.sync.fleet import Fleet
from ops_lib.workspace import Workspace
workspace = Workspace.open(sys.argv[1])
with workspace.database.read() as connection:
    accounts = Accounts(connection).accounts()
fleet = Fleet(workspace)
print("ready", flush=True)
sys.stdin.readline()
print({type(result.error).__name__ for result in fleet.run(accounts, threads=3).results})
"""


@pytest.mark.req("T2")
def test_two_processes_at_once(make: Make) -> None:
    """Two processes that begin at the same moment send the wrong password once between them."""
    office = make()
    command = [sys.executable, "-c", _PROCESS, str(office.workspace.path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"  # type: ignore[union-attr]
    for process in processes:
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    said = "".join(process.communicate(timeout=60)[0] for process in processes)
    assert "SignInRefused" in said
    assert tries(office) == 1


# ── the gate alone, on both databases ────────────────────────────────────────────────────────────────────────────────
def gate(database: Database, password: str = "wrong", **more: Any) -> PasswordGate:
    return PasswordGate(database, HOST, "svc@example.test", password, **more)


def refused() -> SignInRefused:
    error = SignInRefused("no", response_code="HTTP 401")
    error.is_of_password = True
    return error


def test_a_refused_password_does_not_enter(database: Database) -> None:
    """The same password of the same user at the same server does not enter again; another one does, and so does it elsewhere."""
    first = gate(database)
    first.enter()
    first.refused(refused())
    with pytest.raises(SignInRefused, match="not sent again") as caught:
        gate(database).enter()
    assert caught.value.response_code == "HTTP 401"
    assert "syncops host edit 'own'" in caught.value.fix
    gate(database, "right").enter()
    gate(database, "right").left()


def test_another_worker_waits_for_the_verdict(database: Database) -> None:
    """While one worker tries a password another one waits, and then does not send what was refused."""
    first, order = gate(database), []
    first.enter()

    def sleep(seconds: float) -> None:
        order.append("waited")
        first.refused(refused())

    with pytest.raises(SignInRefused):
        gate(database, sleep=sleep).enter()
    assert order == ["waited"]


def test_a_worker_that_died_holds_nobody_up(database: Database) -> None:
    """The try of a process that no longer runs is nobody's: the next one goes on at once."""
    gate(database).enter()
    with database.begin() as connection:
        connection.execute(t.password_tries.update().values(trying=f"{this_machine()}/4194304/1/dead"))
    gate(database, sleep=lambda seconds: pytest.fail("waited")).enter()


class _Counting:
    """A lock that says when the first and four others have come to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._came: list[str] = []
        self.all_came = threading.Event()

    def __enter__(self) -> None:
        self._came.append("")
        if len(self._came) == 5:
            self.all_came.set()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_without_an_answer_there_is_no_verdict(database: Database) -> None:
    """Threads that waited while the first one got no answer are not sent after it one by one; they are told, and may try again."""
    door, inside, errors = Door(gate(database)), threading.Event(), []
    go_on = threading.Event()
    door._alone = lock = _Counting()  # type: ignore[assignment]

    def hang() -> None:
        inside.set()
        assert go_on.wait(10)
        raise Unreachable("no answer")

    def through(send: Callable[[], None]) -> None:
        try:
            door.through(send, "alice")
        except MailboxError as error:
            errors.append(error.message)

    first = threading.Thread(target=through, args=(hang,))
    first.start()
    assert inside.wait(10)
    waiting = [threading.Thread(target=through, args=(lambda: errors.append("sent"),)) for _ in range(4)]
    for thread in waiting:
        thread.start()
    assert lock.all_came.wait(10)
    go_on.set()
    for thread in [first, *waiting]:
        thread.join(20)
    assert sorted(set(errors)) == [
        "no answer",
        "not sent: the server has just left the sign-in of another account without an answer",
    ]
    assert "sent" not in errors
    assert door.through(lambda: 7, "alice") == 7


def test_a_proved_password_that_is_refused_later(database: Database) -> None:
    """A password that was accepted and then refused (it was changed meanwhile) is remembered like one that never was."""
    door = Door(gate(database))
    assert door.through(lambda: 1, "alice") == 1

    def refuse() -> None:
        raise refused()

    for _ in range(2):
        with pytest.raises(SignInRefused):
            door.through(refuse, "alice")
    with pytest.raises(SignInRefused, match="not sent again"):
        door.through(lambda: pytest.fail("sent"), "alice")


def test_reading_once_is_enough_to_prove_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A healthy host asks the database for one password a process, not for one a request."""
    office = make()
    monkeypatch.setenv("SVC", office.sandbox.passwords[SERVICE])
    entered: list[str] = []
    enter = PasswordGate.enter
    monkeypatch.setattr(PasswordGate, "enter", lambda self: (entered.append(""), enter(self))[1])
    for account in accounts(office):
        office.workspace.open_mailbox(office.host, account).changes(Kind.EVENT)
    assert len(entered) == 1
