"""Must show 1 of hosts and sign-in: a host onboarded by command line, in each access type and each way of signing in that belongs to it.

One table. Each row is a customer's administrator with the sandbox over HTTPS and its private certificate authority in place of their Exchange:
host, check, accounts, sign-in, check again, the first cycle, evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.browser_forms import Person
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, BOB, SERVICE

ACCESSES = ("impersonation", "delegate", "direct")
AUTHS = ("basic", "ntlm", "oauth-app", "oauth-code", "oauth-device")
BELONG = [(access, auth) for access in ACCESSES for auth in AUTHS if auth != "oauth-app" or access == "impersonation"]
STEPS = {"impersonation": "impersonation", "delegate": "delegate access", "direct": "own mailbox"}
REDIRECT = "http://localhost:8412"


@pytest.fixture
def office(
    run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[CommandLine]:
    """A workspace with the users of the CRM; the secrets lie in the environment."""
    monkeypatch.setenv(KEY_VARIABLE, Key.new().text())
    monkeypatch.setenv("CLIENT_SECRET", sandbox.app.secret)
    for name, address in (("SVC_PASSWORD", SERVICE), ("ALICE_PASSWORD", ALICE)):
        monkeypatch.setenv(name, sandbox.passwords[address])
    run("community", "add", "Maple Court")
    for name in ("svc", "alice", "bob"):
        run("user", "add", "--email", f"{name}@example.test", "--name", name.title(), "--community", "Maple Court")
    yield run
    close_connections()


def host_options(sandbox: Sandbox, access: str, auth: str) -> list[str]:
    """What the administrator enters."""
    options = [
        "--url", sandbox.ews_url_https, "--ca-bundle", str(sandbox.ca_file), "--auth", auth, "--access", access,
        "--version", "2016", "--community", "all", "--types", "Tour",
    ]  # fmt: skip
    if auth.startswith("oauth"):
        app = sandbox.public_app if auth == "oauth-device" else sandbox.app
        options += ["--tenant-id", sandbox.directory.tenant_id, "--client-id", app.client_id]
        options += ["--authority", sandbox.entra_url]
        options += ["--secret-env", "CLIENT_SECRET"] if auth != "oauth-device" else []
        options += ["--redirect-uri", REDIRECT] if auth == "oauth-code" else []
    elif access != "direct":
        options += ["--service-user", SERVICE, "--password-env", "SVC_PASSWORD"]
    return options


def grant(sandbox: Sandbox, access: str) -> None:
    """What the Exchange administrator allows the service account: the role, the two folders, or nothing."""
    if access == "impersonation":
        return
    sandbox.organisation.revoke_impersonation(SERVICE)
    if access == "delegate":
        for folder in ("calendar", "tasks"):
            sandbox.organisation.set_permission(ALICE, folder, SERVICE, "Editor")


def sign_in(office: CommandLine, sandbox: Sandbox, auth: str, address: str) -> None:
    """Somebody signs in at the directory's pages: with the address pasted back, or with a code on another device."""
    workspace = Workspace.open(office.workspace)
    with workspace.database.read() as connection:
        host, account = Hosts(connection).get("exchange"), Accounts(connection).one(address)
    person, credentials = Person(sandbox), {"username": address, "password": sandbox.passwords[address]}
    if auth == "oauth-code":
        page = person.open(workspace.access.begin_code(host, account).url).send(**credentials)
        page = page if page.address else page.send(answer="accept")
        workspace.access.finish_code(host, account, page.address)
    else:
        begun = workspace.access.begin_device(host, account)
        page = person.open(begun.verification_uri).send(user_code=begun.user_code).send(**credentials)
        while not page.title.startswith("You have signed in"):
            page = page.send(answer="accept")
        workspace.access.finish_device(host, account, begun, sleep=lambda seconds: None)
    workspace.close()


@pytest.mark.req("H4", "A1", "A2", "A5", "A7", "A8")
@pytest.mark.parametrize(("access", "auth"), BELONG, ids=["-".join(each) for each in BELONG])
def test_a_host_is_onboarded_to_a_green_first_cycle(
    office: CommandLine, sandbox: Sandbox, access: str, auth: str
) -> None:
    """Host, accounts and sign-in by command line; the check is green at every step, the first cycle arrives, the next finds nothing to do."""
    grant(sandbox, access)
    office("host", "add", "exchange", *host_options(sandbox, access, auth))
    is_person = auth in ("oauth-code", "oauth-device")
    signer = ALICE if access == "direct" else SERVICE

    if access != "direct" and auth != "oauth-app":
        office("account", "add", "--user", SERVICE, "--impersonation", "--no-calendar")
    own_password = ["--password-env", "ALICE_PASSWORD"] if access == "direct" and not is_person else []
    added = office("account", "add", "--user", ALICE, *own_password)
    assert "syncops signin" in added.stderr if is_person else "sync --pending" in added.stderr
    if is_person:
        before = office("host", "check", "exchange", "--mailbox", ALICE, "--json", exit_code=1).json["steps"][-1]
        assert (before["step"], before["response_code"]) == ("sign-in", "not signed in")
        sign_in(office, sandbox, auth, signer)

    found = office("host", "check", "exchange", "--mailbox", ALICE, "--json").json
    assert [(each["step"], each["verdict"]) for each in found["steps"]] == [
        (step, "ok")
        for step in (
            "settings",
            "name",
            "connection",
            "TLS",
            "EWS",
            "sign-in",
            STEPS[access],
            "address",
            "calendar",
            "tasks",
        )
    ]

    office(
        "activity", "add", "--user", ALICE, "--type", "Tour", "--description", "First tour",
        "--start", "2026-11-24T10:00:00Z", "--end", "2026-11-24T11:00:00Z",
    )  # fmt: skip
    assert office("account", "list", "--user", ALICE, "--json").json[0]["pending"] is True
    (cycle,) = office("sync", "--pending", "--json").json["accounts"]
    assert (cycle["account"], cycle["outcome"], cycle["created"]) == (ALICE, "ok", {"crm": 0, "exchange": 1})
    items = sandbox.organisation.mailbox(ALICE).folder("calendar").items.values()
    assert [each.values["item:Subject"] for each in items] == ["First tour"]
    status = next(
        each for each in office("status", "--json").json if (each["account"], each["process"]) == (ALICE, "calendar")
    )
    assert status["status"] == "Syncing"
    (again,) = office("sync", "--account", ALICE, "--json").json["accounts"]
    assert (again["outcome"], again["created"], again["updated"]) == (
        "ok",
        {"crm": 0, "exchange": 0},
        {"crm": 0, "exchange": 0},
    )
    assert office("sync", "--pending", "--json").json["accounts"] == []


@pytest.mark.parametrize("access", ["delegate", "direct"])
def test_what_does_not_belong_together_is_refused(office: CommandLine, sandbox: Sandbox, access: str) -> None:
    """An app acts as nobody: with delegate or direct access it is refused where it is entered."""
    refused = office("host", "add", "exchange", *host_options(sandbox, access, "oauth-app"), exit_code=2)
    assert "can only impersonate" in refused.stderr


@pytest.mark.req("A5")
def test_a_user_added_later_needs_nobody_to_sign_in(office: CommandLine, sandbox: Sandbox) -> None:
    """Under a service account that has signed in, the next user's sync starts at once, without asking anybody."""
    office("host", "add", "exchange", *host_options(sandbox, "impersonation", "oauth-code"))
    office("account", "add", "--user", SERVICE, "--impersonation", "--no-calendar")
    sign_in(office, sandbox, "oauth-code", SERVICE)
    for address in (ALICE, BOB):
        office("account", "add", "--user", address)
        (cycle,) = office("sync", "--pending", "--json").json["accounts"]
        assert (cycle["account"], cycle["outcome"]) == (address, "ok")
