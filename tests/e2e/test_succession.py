"""A user's calendar goes on through another account: a host that is replaced, another mailbox, and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ops_lib.errors import LeaseHeld
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.leases import Leases, this_worker
from ops_lib.workspace import Workspace
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, BOB, SERVICE

TOUR = "First tour"
OWN = "Dentist"


@pytest.fixture
def office(run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Alice is kept in step through host old: a tour of the CRM's and a dentist of her own stand on both sides."""
    monkeypatch.setenv("SVC", sandbox.passwords[SERVICE])
    run("user", "add", "--email", ALICE, "--name", "Alice")
    add_host(run, sandbox, "old")
    run("account", "add", "--user", ALICE)
    run(
        "activity", "add", "--user", ALICE, "--type", "Tour", "--description", TOUR,
        "--start", "2026-11-24T10:00:00Z", "--end", "2026-11-24T11:00:00Z",
    )  # fmt: skip
    own = {"item:Subject": OWN, "calendar:Start": at(14), "calendar:End": at(15)}
    sandbox.organisation.create_item(ALICE, "calendar", own)
    assert cycle(run, ALICE) == (1, 1)
    return run


def at(hour: int) -> datetime:
    return datetime(2026, 11, 25, hour, tzinfo=UTC)


def add_host(run: CommandLine, sandbox: Sandbox, name: str) -> None:
    options = ("--auth", "basic", "--service-user", SERVICE, "--password-env", "SVC", "--types", "Tour")
    run("host", "add", name, "--url", sandbox.ews_url, *options)


def cycle(run: CommandLine, mailbox: str) -> tuple[int, int]:
    """A good cycle of one account that is on: how many it created in the CRM and in Exchange."""
    (account,) = [each for each in run("sync", "--json").json["accounts"] if each["outcome"] != "off"]
    assert (account["account"], account["outcome"], account["failed"]) == (mailbox, "ok", 0)
    return account["created"]["crm"], account["created"]["exchange"]


def shown(sandbox: Sandbox, mailbox: str) -> list[str]:
    return sorted(
        each.values["item:Subject"] for each in sandbox.organisation.mailbox(mailbox).folder("calendar").items.values()
    )


def in_crm(run: CommandLine) -> list[str]:
    return sorted(each["description"] for each in run("activity", "list", "--json").json)


@pytest.mark.req("H3", "Y5")
def test_the_same_mailbox_goes_on_through_the_next_host(office: CommandLine, sandbox: Sandbox) -> None:
    """After its host was retired, a mailbox goes on through the new host's account: nothing twice, nothing lost, edits travel, and back again."""
    office("host", "retire", "old")
    add_host(office, sandbox, "new")
    office("account", "add", "--user", ALICE, "--host", "new")
    for _ in range(2):
        assert cycle(office, ALICE) == (0, 0)
    assert shown(sandbox, ALICE) == in_crm(office) == [OWN, TOUR]
    tour = next(each["id"] for each in office("activity", "list", "--json").json if each["description"] == TOUR)
    office("activity", "edit", tour, "--description", "Second tour")
    assert cycle(office, ALICE) == (0, 0)
    assert shown(sandbox, ALICE) == [OWN, "Second tour"]
    office("check", "--account", ALICE, "--host", "new")
    office("account", "disable", ALICE, "--host", "new")
    office("host", "restore", "old")
    assert cycle(office, ALICE) == (0, 0)
    assert shown(sandbox, ALICE) == in_crm(office) == [OWN, "Second tour"]


@pytest.mark.req("Y5")
def test_another_mailbox_gets_what_is_the_crm_s(office: CommandLine, sandbox: Sandbox) -> None:
    """A user who moves to another mailbox has the CRM's own entries there; what stands in the old one stays, and is not made anew on the way back."""
    office("account", "disable", ALICE)
    office("account", "add", "--user", ALICE, "--email", BOB)
    assert cycle(office, BOB) == (0, 1)
    assert (shown(sandbox, ALICE), shown(sandbox, BOB), in_crm(office)) == ([OWN, TOUR], [TOUR], [OWN, TOUR])
    office("account", "disable", BOB)
    office("account", "enable", ALICE)
    for _ in range(2):
        assert cycle(office, ALICE) == (0, 0)
    assert (shown(sandbox, ALICE), shown(sandbox, BOB), in_crm(office)) == ([OWN, TOUR], [TOUR], [OWN, TOUR])


@pytest.mark.req("Y8")
def test_a_calendar_does_not_leave_while_a_worker_is_at_it(office: CommandLine, sandbox: Sandbox) -> None:
    """While a cycle of the old account runs somewhere, the move is refused; nothing is changed, and later it goes through."""
    office("host", "retire", "old")
    add_host(office, sandbox, "new")
    workspace = Workspace.open(office.workspace)
    worker = this_worker()
    with workspace.database.begin() as connection:
        assert Leases(connection).take("1", worker, 60)
    refused = office("account", "add", "--user", ALICE, "--host", "new", exit_code=LeaseHeld.exit_code)
    assert "another worker is at this account" in refused.stderr
    assert len(office("account", "list", "--json").json) == 1
    with workspace.database.begin() as connection:
        Leases(connection).release("1", worker)
    workspace.close()
    office("account", "add", "--user", ALICE, "--host", "new")
    assert cycle(office, ALICE) == (0, 0)


@pytest.mark.req("Y5")
def test_a_mailbox_that_came_empty_begins_anew(office: CommandLine, sandbox: Sandbox) -> None:
    """On a server to which a mailbox's content did not move, nothing counts as deleted: the CRM's own entries are made there, the user's stay in the CRM."""
    sandbox.reset()
    (line,) = office("account", "begin-anew", ALICE).stdout.splitlines()
    assert line == f"account {ALICE} begins anew: 2 entries are looked for, and made where they are not"
    assert cycle(office, ALICE) == (0, 1)
    for _ in range(2):
        assert cycle(office, ALICE) == (0, 0)
    assert (shown(sandbox, ALICE), in_crm(office)) == ([TOUR], [OWN, TOUR])
    assert {each["status"] for each in office("activity", "list", "--json").json} == {"Scheduled"}
    office("check", "--account", ALICE)


@pytest.mark.req("Y5")
def test_beginning_anew_finds_what_is_there(office: CommandLine, sandbox: Sandbox) -> None:
    """A mailbox that still has its content begins anew without anything twice, and an edit made meanwhile arrives."""
    tour = next(each["id"] for each in office("activity", "list", "--json").json if each["description"] == TOUR)
    own = next(each["id"] for each in office("activity", "list", "--json").json if each["description"] == OWN)
    office("individual", "add", "Ruth Adler")
    office("activity", "edit", own, "--for", "Ruth Adler")
    office("activity", "edit", tour, "--location", "Lobby")
    office("account", "begin-anew", "--host", "old")
    for _ in range(2):
        assert cycle(office, ALICE) == (0, 0)
    assert shown(sandbox, ALICE) == in_crm(office) == [OWN, TOUR]
    (event,) = [
        each
        for each in sandbox.organisation.mailbox(ALICE).folder("calendar").items.values()
        if each.values["item:Subject"] == TOUR
    ]
    assert event.values["calendar:Location"] == "Lobby"
    assert {each["id"]: bool(each["for"]) for each in office("activity", "list", "--json").json} == {
        own: True,
        tour: False,
    }


def test_beginning_anew_needs_an_account_and_no_worker(office: CommandLine) -> None:
    """It says which word is lacking, and while a worker is at the account nothing is forgotten."""
    assert "name accounts, or a host" in office("account", "begin-anew", exit_code=2).stderr
    workspace = Workspace.open(office.workspace)
    with workspace.database.begin() as connection:
        assert Leases(connection).take("1", this_worker(), 60)
    workspace.close()
    refused = office("account", "begin-anew", ALICE, exit_code=LeaseHeld.exit_code)
    assert "another worker is at this account" in refused.stderr
