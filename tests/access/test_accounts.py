"""Accounts: whose mailbox on which host is kept in step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.database.engine import Database
from ops_lib.diagnosis.statuses import UNATTEMPTED
from ops_lib.errors import InputError, NotThere
from ops_lib.sync.ledger import Ledger, Status

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)

EXCHANGE = HostInput(
    url="https://mail.example.test/EWS/Exchange.asmx", auth="basic", service_user="svc", secret="env:SVC"
)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.begin() as connection:
        directory = Directory(connection)
        directory.add_usual_activity_types()
        for name in ("Maple Court", "Birch House"):
            directory.add_community(name, time_zone="America/Chicago")
        directory.add_user("svc@example.test", "Service", is_admin=True)
        directory.add_user("alice@example.test", "Alice", community_names=["Maple Court"])
        directory.add_user("bob@example.test", "Bob", community_names=["Birch House"])
        Hosts(connection).add("exchange", EXCHANGE)
        yield connection


@pytest.fixture
def accounts(connection: Connection) -> Accounts:
    return Accounts(connection)


@pytest.mark.req("A2")
def test_a_user_s_account_has_no_password(accounts: Accounts) -> None:
    """Host, user and mailbox are enough; calendar on, tasks and email off; the user's time zone comes along."""
    account = accounts.add("Alice@Example.test", host="Exchange")
    assert (account.user_email, account.mailbox, account.secret) == ("alice@example.test", "alice@example.test", "")
    assert (account.calendar, account.all_day_tasks, account.send_email) == (True, False, False)
    assert (account.time_zone, account.is_impersonation_account) == ("America/Chicago", False)
    assert accounts.by_id(account.account_id) == account


@pytest.mark.req("A1")
def test_an_impersonation_account_can_be_kept_out_of_step(accounts: Accounts) -> None:
    """The account that acts for the others has a user and a mailbox, and need not have its own calendar kept in step."""
    account = accounts.add(
        "svc@example.test",
        host="exchange",
        mailbox="Service@Example.test",
        is_impersonation_account=True,
        calendar=False,
    )
    assert (account.is_impersonation_account, account.calendar, account.mailbox) == (
        True,
        False,
        "service@example.test",
    )


def test_adding_the_same_account_again_changes_nothing(accounts: Accounts) -> None:
    """A script can be run twice."""
    account = accounts.add("alice@example.test", all_day_tasks=True)
    assert accounts.add("alice@example.test", mailbox="ALICE@example.test") == account
    assert len(accounts.accounts()) == 1


def test_a_mailbox_belongs_to_one_user(accounts: Accounts, connection: Connection) -> None:
    """Two CRM users cannot share a mailbox, on the same host or on another: refused with whose it is."""
    Hosts(connection).add("second", EXCHANGE)
    accounts.add("alice@example.test", host="exchange", mailbox="shared@example.test")
    for host in ("exchange", "second"):
        with pytest.raises(
            InputError, match=r"shared@example.test: the mailbox belongs to the account of alice@example.test"
        ):
            accounts.add("bob@example.test", host=host, mailbox="shared@example.test")


def test_a_user_s_calendar_is_kept_in_step_once(accounts: Accounts, connection: Connection) -> None:
    """A second account of a user must leave the calendar alone, when it is added and when it is enabled."""
    Hosts(connection).add("second", EXCHANGE)
    first = accounts.add("alice@example.test", host="exchange")
    with pytest.raises(InputError, match="one calendar only") as caught:
        accounts.add("alice@example.test", host="second", mailbox="alice2@example.test")
    assert "syncops account disable alice@example.test" in str(caught.value)
    second = accounts.add("alice@example.test", host="second", mailbox="alice2@example.test", calendar=False)
    with pytest.raises(InputError, match="one calendar only"):
        accounts.enable(second)
    accounts.disable(first)
    assert accounts.enable(second).calendar
    assert [each.mailbox for each in accounts.of_user(first.user_id)] == ["alice2@example.test", "alice@example.test"]


@pytest.mark.req("H2")
def test_without_a_host_the_community_s_own_serves(accounts: Accounts, connection: Connection) -> None:
    """The host is found through the user's community, and is the company's where the community has none."""
    hosts = Hosts(connection)
    maple = hosts.add("maple", replace(EXCHANGE, community="Maple Court"))
    assert accounts.add("alice@example.test").host_id == maple.host_id
    assert accounts.add("bob@example.test").host_id == hosts.get("exchange").host_id


def test_a_host_serves_its_own_community_only(accounts: Accounts, connection: Connection) -> None:
    """A user of another community is refused, with the host that serves them; the impersonation account belongs anywhere."""
    hosts = Hosts(connection)
    hosts.add("maple", replace(EXCHANGE, community="Maple Court"))
    with pytest.raises(InputError, match="serves Maple Court only") as caught:
        accounts.add("bob@example.test", host="maple")
    assert "use exchange" in str(caught.value)
    assert accounts.add("svc@example.test", host="maple", is_impersonation_account=True, calendar=False)


def test_several_hosts_are_a_question(accounts: Accounts, connection: Connection) -> None:
    """Two hosts that could serve a user are named; no host at all says how to make one."""
    Hosts(connection).add("second", EXCHANGE)
    with pytest.raises(InputError, match="exchange or second"):
        accounts.add("alice@example.test")


def test_passwords_belong_where_accounts_sign_in_themselves(accounts: Accounts, connection: Connection) -> None:
    """With access direct each account has its own password's reference; elsewhere one is refused."""
    with pytest.raises(InputError, match="needs no password"):
        accounts.add("alice@example.test", secret="env:ALICE")
    Hosts(connection).edit("exchange", HostInput(access="direct", secret="", service_user=""))
    with pytest.raises(InputError, match="its password is missing"):
        accounts.add("alice@example.test")
    account = accounts.add("alice@example.test", secret="env:ALICE")
    assert account.secret == "env:ALICE"
    assert "ALICE" not in repr(account).replace("alice@example.test", "")


@pytest.mark.req("A2")
def test_accounts_are_found_by_host_and_by_who(accounts: Accounts) -> None:
    """A mailbox or a user's email finds an account; what is turned off can be left out; nobody is an error."""
    alice = accounts.add("alice@example.test", mailbox="a.example@example.test")
    bob = accounts.add("bob@example.test")
    assert accounts.accounts() == [alice, bob]
    assert accounts.accounts(host="exchange", who="ALICE@example.test") == [alice]
    assert accounts.one("a.example@example.test") == alice
    off = accounts.disable(bob)
    assert (off.calendar, off.send_email) == (False, False)
    assert accounts.accounts(enabled_only=True) == [alice]
    assert accounts.accounts(who="bob@example.test", enabled_only=True) == []
    with pytest.raises(NotThere, match=r"no account carol@example.test on host exchange"):
        accounts.accounts(host="exchange", who="carol@example.test")
    with pytest.raises(NotThere, match="no host mars"):
        accounts.accounts(host="mars")


def test_enabling_turns_on_what_is_named(accounts: Accounts) -> None:
    """Enabling keeps the calendar in step again and leaves the rest as it was unless it is named."""
    account = accounts.disable(accounts.add("alice@example.test", all_day_tasks=True, send_email=True))
    assert (account.calendar, account.send_email, account.all_day_tasks) == (False, False, True)
    account = accounts.enable(account, send_email=True)
    assert (account.calendar, account.send_email, account.all_day_tasks) == (True, True, True)
    assert not accounts.enable(account, calendar=False).calendar


def test_a_user_nobody_knows_is_named(accounts: Accounts) -> None:
    """An account needs a CRM user; a mailbox needs to be an address."""
    with pytest.raises(NotThere, match=r"no CRM user dora@example.test"):
        accounts.add("dora@example.test")
    with pytest.raises(InputError, match="no email address"):
        accounts.add("alice@example.test", mailbox="alice")


@pytest.mark.req("A5", "A7")
def test_an_added_account_is_due_until_its_first_cycle(accounts: Accounts, connection: Connection) -> None:
    """An account under a service account is due at once and pending until a cycle was made, also one that found nothing."""
    alice, bob = accounts.add("alice@example.test"), accounts.add("bob@example.test", calendar=False)
    assert accounts.pending() == [alice]
    assert accounts.pending([bob]) == []
    status = Status(account_id=alice.account_id, process="calendar", status=UNATTEMPTED, since=NOW, last_success=NOW)
    Ledger(connection).set_status(status)
    assert accounts.pending() == []
    assert accounts.pending([accounts.enable(bob)]) == [accounts.by_id(bob.account_id)]


@pytest.mark.req("A3")
def test_a_user_is_offered_their_communities_hosts(accounts: Accounts, connection: Connection) -> None:
    """A community's own host is offered to its users, the company's to the others, a retired one to nobody."""
    hosts = Hosts(connection)
    hosts.add("maple", replace(EXCHANGE, community="Maple Court"))
    second = hosts.add("second", EXCHANGE)
    assert [each.name for each in accounts.offered("alice@example.test")] == ["maple"]
    assert [each.name for each in accounts.offered("bob@example.test")] == ["exchange", "second"]
    accounts.retire(second, NOW)
    assert [each.name for each in accounts.offered("bob@example.test")] == ["exchange"]


@pytest.mark.req("A3")
def test_a_user_sets_up_their_own_account_and_disables_it(accounts: Accounts, connection: Connection) -> None:
    """On an offered host: calendar and email on, tasks off; disabled, both are off; set up again, the same account is on again."""
    Hosts(connection).add("maple", replace(EXCHANGE, community="Maple Court"))
    own = accounts.set_up_own("alice@example.test")
    assert (own.mailbox, own.calendar, own.send_email, own.all_day_tasks) == ("alice@example.test", True, True, False)
    assert accounts.set_up_own("alice@example.test", host="Maple") == own
    off = accounts.disable(own)
    assert (off.calendar, off.send_email) == (False, False)
    assert accounts.set_up_own("alice@example.test") == own
    with pytest.raises(InputError, match=r"host maple is not offered to this user \(offered: exchange\)"):
        accounts.set_up_own("bob@example.test", host="maple")
    with pytest.raises(InputError, match="belongs to the account of alice"):
        accounts.set_up_own("bob@example.test", mailbox="ALICE@example.test")
