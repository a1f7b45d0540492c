"""T2 over real HTTP: how often what is asked, who waits for whom, what is kept as evidence, and how recovery is noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina
from sqlalchemy import select, update

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.crm.directory import Directory
from ops_lib.database import tables as t
from ops_lib.errors import AccessRefused, ServerBusy, SignInRefused, WrongUrl
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Kind
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.evidence import KEPT_PER_ACCOUNT, record_attempts
from ops_lib.sync.fleet import Fleet
from tests.support.sandbox import ALICE, SERVICE
from tests.support.signing_in import Office
from tests.support.tries import EVERYONE, Organisation

DAVE = "dave@example.test"
BROKEN = {"response_code": "ErrorInternalServerError"}
CLOSED = {"status": 403, "headers": {"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}}


Make = Callable[..., Organisation]


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """``make("delegate")``: an organisation; pauses between tries take no time."""
    for name in ("SYNCOPS_WORKSPACE", "SYNCOPS_DATABASE_URL", "SYNCOPS_NOW"):
        monkeypatch.delenv(name, raising=False)
    made: list[Organisation] = []

    def one(access: str = "impersonation") -> Organisation:
        made.append(Organisation(sandbox, tmp_path, access))
        return made[-1]

    with stamina.set_testing(True, attempts=4):
        yield one
    for each in made:
        each.workspace.close()
    close_connections()


@pytest.mark.req("T2")
def test_a_failing_process_is_tried_four_times_and_then_its_status_is_set(make: Make) -> None:
    """Each run asks up to four times; the fourth run that fails turns the status; the first that succeeds turns it back, with the tries at none."""
    office = make()
    assert office.outcomes() == ["ok"] * 3
    office.fail(BROKEN, mailbox=ALICE)
    for number in range(1, 5):
        assert office.outcomes(minutes=5) == ["failed", "ok", "ok"]
        assert office.asked()[ALICE] == 4
        assert office.status(ALICE).attempts == number
        assert (office.status(ALICE).status == "EWS Server giving Internal Server Error") == (number == 4)
    office.sandbox.faults.clear()
    assert office.outcomes(minutes=5) == ["ok"] * 3
    assert (office.status(ALICE).status, office.status(ALICE).attempts) == ("Unattempted", 0)


@pytest.mark.req("T2", "T3")
def test_each_try_is_kept_as_evidence(make: Make) -> None:
    """When, what was asked, how often, what was answered, and the server's own name of the request; a run without writes or failures leaves none."""
    office = make()
    office.run()
    assert office.attempts() == []
    office.fail(BROKEN, mailbox=ALICE, nth=[1, 2])
    assert office.outcomes() == ["ok"] * 3
    kept = office.attempts()
    assert [(each.operation, each.number, each.response_code, each.error) for each in kept] == [
        ("SyncFolderItems", 1, "ErrorInternalServerError", "ServerFailed"),
        ("SyncFolderItems", 2, "ErrorInternalServerError", "ServerFailed"),
        ("SyncFolderItems", 3, "NoError", ""),
    ]
    assert {each.http_status for each in kept} == {200}
    assert len({each.request_id for each in kept}) == 3
    assert all(len(each.request_id) == 36 for each in kept)
    assert all(timedelta(0) <= each.at - office.now < timedelta(minutes=1) for each in kept)


@pytest.mark.req("T2")
def test_old_evidence_goes(make: Make) -> None:
    """Of each account only the latest requests are kept, and of one bad run its first and last."""
    office = make()
    run = office.run()
    mailbox = office.workspace.open_mailbox(*_of(office, ALICE))
    office.fail(BROKEN, mailbox=ALICE)
    for _ in range(20):
        with pytest.raises(Exception, match="failed inside"):
            mailbox.changes(Kind.EVENT)
    assert run.run_id is not None
    for _ in range(10):
        with office.workspace.database.begin() as connection:
            record_attempts(connection, run.run_id, "1", mailbox.attempts, office.now)
    kept = office.attempts()
    assert len(kept) == KEPT_PER_ACCOUNT
    assert kept[-1].number == 4


def _of(office: Organisation, email: str) -> tuple[Any, Any]:
    with office.workspace.database.read() as connection:
        return Hosts(connection).get("one"), Accounts(connection).one(email)


@pytest.mark.req("T2")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_refused_sign_in_is_one_request_for_all_who_share_it(make: Make, threads: int) -> None:
    """One request in all over three runs; accounts on the same server with a sign-in of their own go on; with the right password all go on by
    themselves."""
    office = make()
    office.sandbox.organisation.add_mailbox(DAVE, password="own", name="Dave", zone="UTC")
    own = office.secret.with_name("own")
    own.write_text("own")
    own.chmod(0o600)
    with office.workspace.database.begin() as connection:
        Directory(connection).add_user(DAVE, "Dave")
        office.add_host(connection, "two", "direct", (), secret="", service_user="")
        Accounts(connection).add(DAVE, host="two", secret=f"file:{own}")
    office.secret.write_text("wrong")
    refused = 0
    for _ in range(3):
        results = office.run(threads=threads, minutes=5).results
        assert [result.outcome for result in results] == ["failed"] * 3 + ["ok"]
        assert all(isinstance(result.error, SignInRefused) for result in results[:3])
        refused += office.sandbox.requests.total("(refused)")
    assert refused == 1
    assert office.statuses() == ["Unauthorized"] * 3
    assert sum("not asked again for this account" in str(result.error) for result in results) == 2
    assert [each.http_status for each in office.attempts() if each.http_status] == [401]
    office.secret.write_text(office.sandbox.passwords[SERVICE])
    assert office.outcomes(threads=threads, minutes=5) == ["ok"] * 4


@pytest.mark.req("T2")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_closed_door_is_tried_by_two_and_then_by_one(make: Make, threads: int) -> None:
    """A 403 that two accounts meet is everybody's, without four tries each; later runs ask with one account, another each time; when the door is
    open, one goes through first and all follow in the same run."""
    office = make()
    office.fail(CLOSED)
    for run, asking in enumerate((2, 1, 1)):
        results = office.run(threads=threads if run else 1, minutes=5).results
        assert all(isinstance(result.error, AccessRefused) for result in results)
        assert [result.outcome for result in results] == ["failed"] * 3
        assert len(office.asked()) == sum(office.asked().values()) == asking
    assert office.statuses() == ["Denied Access (Forbidden)"] * 3
    office.sandbox.faults.clear()
    assert office.outcomes(threads=threads, minutes=5) == ["ok"] * 3
    assert office.statuses() == ["Unattempted"] * 3
    with office.workspace.database.read() as connection:
        assert connection.execute(select(t.pauses)).all() == []


@pytest.mark.req("T2")
@pytest.mark.parametrize("fault", [CLOSED, {"status": 404}, {"status": 302, "headers": {"Location": "https://x.test"}}])
def test_one_mailbox_own_refusal_takes_no_other_along(make: Make, fault: dict[str, Any]) -> None:
    """What looks like everybody's matter but is one mailbox' own stays its own, run after run, whichever account it is."""
    office = make()
    office.run()
    for email in EVERYONE:
        office.fail(fault, mailbox=email)
        for _ in range(2):
            expected = ["failed" if each == email else "ok" for each in EVERYONE]
            assert office.outcomes(minutes=5) == expected
        office.sandbox.faults.clear()
        office.run(minutes=5)


@pytest.mark.req("T2")
def test_a_wrong_url_is_asked_by_two_and_no_longer_than_it_is_wrong(make: Make) -> None:
    """404 is no reason to try four times, nor for every account; once the URL is right, the next run finds out."""
    office = make()
    with office.workspace.database.begin() as connection:
        connection.execute(update(t.hosts).values(url=office.sandbox.ews_url.replace("Exchange.asmx", "Nothing.asmx")))
    for asked in (2, 1):
        results = office.run(minutes=5).results
        assert all(isinstance(result.error, WrongUrl) for result in results)
        assert sum(result.requests for result in results) == asked
    assert office.statuses() == ["Invalid Server URL"] * 3
    with office.workspace.database.begin() as connection:
        connection.execute(update(t.hosts).values(url=office.sandbox.ews_url))
    assert office.outcomes(minutes=5) == ["ok"] * 3


@pytest.mark.req("T2")
def test_a_throttled_mailbox_waits_as_long_as_the_server_wants_and_alone(make: Make) -> None:
    """By impersonation a throttled mailbox pauses no other; nobody asks for it before the time that the server named, and then it goes on."""
    office = make()
    office.run()
    office.fail({"response_code": "ErrorServerBusy", "back_off_milliseconds": 600_000}, mailbox=ALICE)
    assert office.outcomes(minutes=5) == ["failed", "ok", "ok"]
    assert office.asked()[ALICE] == 1
    office.sandbox.faults.clear()
    run = office.run(minutes=9)
    assert [result.outcome for result in run.results] == ["waiting", "ok", "ok"]
    assert not run.all_well
    assert isinstance(run.results[0].error, ServerBusy)
    assert "until 2026-11-23 09:15:00 UTC" in str(run.results[0].error)
    assert ALICE not in office.asked()
    assert office.status(ALICE).attempts == 1
    assert office.outcomes(minutes=1) == ["ok"] * 3
    assert office.outcomes(minutes=1) == ["ok"] * 3


@pytest.mark.req("T2")
def test_a_throttled_service_account_pauses_all_who_use_it(make: Make) -> None:
    """By delegate access the server counts against whoever signs in: one account meets it, nobody else asks before the time, then one asks first."""
    office = make("delegate")
    for email in EVERYONE:
        for folder in ("calendar", "tasks"):
            office.sandbox.organisation.set_permission(email, folder, SERVICE, "Editor")
    assert office.outcomes() == ["ok"] * 3
    office.fail({"response_code": "ErrorServerBusy", "back_off_milliseconds": 300_000})
    assert office.outcomes(minutes=1) == ["failed"] * 3
    assert sum(office.asked().values()) == 1
    assert office.outcomes(minutes=4) == ["waiting"] * 3
    assert office.asked() == {}
    assert office.outcomes(threads=3, minutes=2) == ["failed"] * 3
    assert sum(office.asked().values()) == 1
    office.sandbox.faults.clear()
    assert office.outcomes(threads=3, minutes=6) == ["ok"] * 3


@pytest.mark.req("T2")
def test_a_clock_set_back_ends_a_pause(make: Make) -> None:
    """A pause that lies further ahead than any server is believed is none: nobody waits for months because a clock was wrong."""
    office = make()
    office.fail({"response_code": "ErrorServerBusy", "back_off_milliseconds": 600_000}, mailbox=ALICE)
    assert office.outcomes() == ["failed", "ok", "ok"]
    office.sandbox.faults.clear()
    assert office.outcomes(minutes=-24 * 60) == ["ok"] * 3


@pytest.mark.req("T2", "A9")
@pytest.mark.parametrize("threads", [1, 4])
def test_a_refused_app_secret_asks_the_directory_once_a_run(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """With a wrong client secret a run asks for a token once, whoever shares the app, and never the mail server; with the right one all go on."""
    office = Office(
        sandbox, tmp_path / "w", monkeypatch, auth="oauth-app", access="impersonation", redirect_uri=None
    )  # fmt: skip
    accounts = [office.add(email) for email in EVERYONE]
    monkeypatch.setenv("CLIENT_SECRET", "wrong~secret~value")
    for run in range(1, 4):
        results = Fleet(office.workspace, sleep=lambda seconds: None).run(accounts, threads=threads).results
        assert {type(result.error) for result in results} == {SignInRefused}
        assert {result.error.response_code for result in results if result.error} == {"AADSTS7000215"}
        assert office.asked_for_tokens() == run
    assert sandbox.requests.total() == 0
    monkeypatch.setenv("CLIENT_SECRET", sandbox.app.secret)
    assert Fleet(office.workspace, sleep=lambda seconds: None).run(accounts, threads=threads).all_well
    office.workspace.close()
    close_connections()
