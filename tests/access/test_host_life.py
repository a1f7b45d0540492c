"""Hosts from the first secret to the last day: what contradicts itself, secrets that end, retiring and coming back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection

from ops_lib.access.accounts import Accounts
from ops_lib.access.checks import OFFICE_365_URL, remarks
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.database.engine import Database
from ops_lib.diagnosis.statuses import SYNCING, UNATTEMPTED, UNAUTHORIZED
from ops_lib.errors import InputError
from ops_lib.sync.ledger import Ledger, Status

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
TODAY = NOW.date()
TENANT, CLIENT = "11111111-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950e"
ON_PREMISES = HostInput(
    url="https://mail.example.test/EWS/Exchange.asmx", auth="ntlm", service_user="EXAMPLE\\svc", secret="env:SVC"
)
CLOUD = HostInput(auth="oauth-app", tenant_id=TENANT, client_id=CLIENT, secret="env:SYNCOPS_TEST_UNSET")


@pytest.fixture
def connection(sqlite_database: Database) -> Iterator[Connection]:
    with sqlite_database.begin() as connection:
        directory = Directory(connection)
        directory.add_usual_activity_types()
        directory.add_community("Maple Court", time_zone="UTC")
        for name in ("alice", "bob"):
            directory.add_user(f"{name}@example.test", name.title(), community_names=["Maple Court"])
        yield connection


@pytest.fixture
def hosts(connection: Connection) -> Hosts:
    return Hosts(connection)


@pytest.fixture
def accounts(connection: Connection) -> Accounts:
    return Accounts(connection)


@pytest.mark.req("H5")
@pytest.mark.parametrize(
    ("entered", "words"),
    [
        (replace(ON_PREMISES, url=OFFICE_365_URL, version="Office 365"), "takes no passwords.*--auth oauth-app"),
        (replace(ON_PREMISES, url=OFFICE_365_URL, auth="basic", version="2016"), "takes no passwords"),
        (replace(CLOUD, version="2019"), "version 2019 is a server's of your own.*--version 'Office 365'"),
        (replace(CLOUD, url="http://127.0.0.1:8080/EWS/Exchange.asmx"), "without TLS"),
        (replace(CLOUD, client_id=TENANT), "copied twice.*Directory"),
        (replace(CLOUD, access="direct"), "can only impersonate"),
    ],
)
def test_what_contradicts_itself_is_refused(hosts: Hosts, entered: HostInput, words: str) -> None:
    """Exchange Online with a password, with a server's version, a token without TLS, one id for two: refused, with the mend, and nothing is added."""
    with pytest.raises(InputError, match=words):
        hosts.add("host", entered, today=TODAY)
    assert hosts.all() == []


@pytest.mark.req("H5")
def test_editing_into_a_contradiction_is_refused_too(hosts: Hosts) -> None:
    """A host that fits stays as it is when an edit would make it contradict itself."""
    host = hosts.add("cloud", CLOUD)
    with pytest.raises(InputError, match="takes no passwords"):
        hosts.edit("cloud", HostInput(auth="basic"))
    assert hosts.get("cloud") == host


@pytest.mark.req("H5")
@pytest.mark.parametrize(
    ("days", "words"),
    [(-1, None), (0, "ends today"), (1, "ends in 1 days, on 2026-11-24"), (30, "ends in 30 days"), (31, "")],
)
def test_a_secret_that_ends_soon_is_spoken_of(hosts: Hosts, days: int, words: str | None) -> None:
    """Within thirty days of its end a secret is remarked on, with the command that replaces it; one that has ended is refused."""
    entered = replace(CLOUD, secret_expires=(TODAY + timedelta(days=days)).isoformat())
    if words is None:
        with pytest.raises(InputError, match=r"ended on 2026-11-22.*Certificates & secrets"):
            hosts.add("cloud", entered, today=TODAY)
        return
    host = hosts.add("cloud", entered, today=TODAY)
    assert host.secret_expires == TODAY + timedelta(days=days)
    found = remarks(host, TODAY)
    assert len(found) == (1 if words else 0)
    if found:
        assert words in found[0]
        assert "syncops host rotate 'cloud'" in found[0]


@pytest.mark.req("H5")
def test_a_secret_s_last_day_goes_with_the_secret(hosts: Hosts) -> None:
    """The day stays through other edits, changes with what is entered, can be cleared, and is forgotten with a new secret."""
    hosts.add("cloud", replace(CLOUD, secret_expires="2027-01-31"), today=TODAY)
    assert hosts.edit("cloud", HostInput(send_email=True)).secret_expires == date(2027, 1, 31)
    assert hosts.edit("cloud", HostInput(secret_expires="2027-02-28")).secret_expires == date(2027, 2, 28)
    assert hosts.edit("cloud", HostInput(secret="env:NEW")).secret_expires is None
    edited = hosts.edit("cloud", HostInput(secret="env:NEWER", secret_expires="2028-11-30"))
    assert edited.secret_expires == date(2028, 11, 30)
    assert hosts.edit("cloud", HostInput(secret_expires="")).secret_expires is None
    with pytest.raises(InputError, match=r"31\.01\.2027 is no date.*as 2027-05-31"):
        hosts.edit("cloud", HostInput(secret_expires="31.01.2027"))


@pytest.mark.req("H5")
@pytest.mark.parametrize("auth", ["oauth-code", "oauth-device"])
def test_impersonation_by_a_signed_in_account_is_remarked_on_in_the_cloud(hosts: Hosts, auth: str) -> None:
    """Exchange Online has no role ApplicationImpersonation any more: the host is kept, with what works instead; on premises it is nothing to speak of."""
    delegated = replace(CLOUD, auth=auth, access="impersonation", service_user="svc@example.test", secret=None)
    (remark,) = remarks(hosts.add("cloud", delegated), TODAY)
    assert "ApplicationImpersonation" in remark
    assert "full_access_as_app" in remark
    hybrid = replace(delegated, url="https://mail.example.test/EWS/Exchange.asmx", version="2019")
    assert remarks(hosts.add("hybrid", hybrid), TODAY) == []
    assert remarks(hosts.add("direct", replace(delegated, access="direct", service_user=None)), TODAY) == []


@pytest.mark.req("H5")
def test_office_365_at_a_server_of_one_s_own_is_remarked_on(hosts: Hosts) -> None:
    """The version Office 365 at an address that is not Microsoft's is possible, and said."""
    (remark,) = remarks(hosts.add("odd", replace(ON_PREMISES, version="Office 365")), TODAY)
    assert "mail.example.test" in remark


@pytest.mark.req("H2")
def test_one_registration_serves_several_hosts(hosts: Hosts, accounts: Accounts) -> None:
    """The same app may be entered on the company's host and on a community's; users go to their community's."""
    company = hosts.add("company", CLOUD)
    maple = hosts.add("maple", replace(CLOUD, community="Maple Court"))
    assert (company.tenant_id, company.client_id) == (maple.tenant_id, maple.client_id)
    assert accounts.add("alice@example.test").host_id == maple.host_id
    hosts.edit("company", HostInput(client_id="22222222-d9cb-469f-a165-70867728950e"))
    assert hosts.get("maple").client_id == CLIENT


@pytest.mark.req("H3")
def test_a_new_secret_makes_refused_accounts_due(hosts: Hosts, accounts: Accounts, connection: Connection) -> None:
    """Accounts whose sign-in was refused are tried again at once after a new secret; those that sync are left alone."""
    host = hosts.add("exchange", ON_PREMISES)
    alice, bob = accounts.add("alice@example.test"), accounts.add("bob@example.test")
    ledger = Ledger(connection)
    before = NOW - timedelta(hours=1)
    for account, status, attempts in ((alice, UNAUTHORIZED, 1), (bob, SYNCING, 0)):
        ledger.set_status(
            Status(
                account_id=account.account_id, process="calendar", status=status, since=before, last_success=before,
                attempts=attempts, response_code="HTTP 401" if attempts else "",
            )
        )  # fmt: skip
    assert accounts.pending() == []
    assert accounts.ask_again(host, NOW) == [alice]
    status = ledger.status(alice.account_id, "calendar")
    assert status is not None
    assert (status.status, status.attempts, status.last_success, status.since) == (UNATTEMPTED, 0, before, NOW)
    assert "the secret was changed" in status.sub_cause
    assert accounts.pending() == [alice]
    other = ledger.status(bob.account_id, "calendar")
    assert other is not None
    assert other.status == SYNCING


@pytest.mark.req("H3")
def test_a_retired_host_s_accounts_rest_and_come_back(hosts: Hosts, accounts: Accounts) -> None:
    """Retiring turns every account off without forgetting what was on; restoring brings back just that; both twice do nothing."""
    host = hosts.add("exchange", ON_PREMISES)
    alice = accounts.add("alice@example.test", send_email=True, all_day_tasks=True)
    bob = accounts.disable(accounts.add("bob@example.test"))
    assert accounts.retire(host, NOW) == [alice]
    retired = hosts.get("exchange")
    assert retired.is_retired
    assert hosts.serving([]) == []
    assert accounts.retire(retired, NOW) == []
    assert [(each.calendar, each.send_email) for each in accounts.accounts()] == [(False, False), (False, False)]
    assert accounts.accounts(enabled_only=True) == []
    assert accounts.pending() == []
    assert accounts.restore(retired) == [alice]
    assert accounts.restore(hosts.get("exchange")) == []
    assert accounts.accounts() == [alice, bob]


@pytest.mark.req("H3")
def test_nothing_starts_on_a_retired_host(hosts: Hosts, accounts: Accounts) -> None:
    """On a retired host no account is added or enabled: refused, with the command that brings the host back."""
    host = hosts.add("exchange", ON_PREMISES)
    alice = accounts.add("alice@example.test")
    accounts.retire(host, NOW)
    with pytest.raises(InputError, match=r"is retired.*host restore 'exchange'"):
        accounts.enable(alice)
    with pytest.raises(InputError, match="is retired"):
        accounts.add("bob@example.test", host="exchange")
    assert accounts.add("alice@example.test", host="exchange").account_id == alice.account_id


@pytest.mark.req("H3")
def test_users_move_from_a_retired_host_to_its_successor(hosts: Hosts, accounts: Accounts) -> None:
    """Who rests on the old host can have the same mailbox on the new one; then the old one cannot come back over it."""
    old = hosts.add("old", ON_PREMISES)
    accounts.add("alice@example.test")
    accounts.retire(old, NOW)
    hosts.add("new", CLOUD)
    moved = accounts.add("alice@example.test")
    assert moved.host_id == hosts.get("new").host_id
    assert moved.calendar
    with pytest.raises(InputError, match=r"1 of its users .*alice@example.test"):
        accounts.restore(hosts.get("old"))
