"""`syncops host …` and `syncops account …`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_lib.sandbox.server import Sandbox
from tests.support.command_line import CommandLine

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
TENANT = "11111111-d9cb-469f-a165-70867728950e"
ADD = (
    "host", "add", "exchange", "--url", "http://127.0.0.1:8080/EWS/Exchange.asmx", "--auth", "basic",
    "--access", "impersonation", "--service-user", "svc@example.test", "--password-env", "SVC_PASSWORD",
    "--version", "2016", "--community", "all", "--types", "Tour,Home Visit", "--inbound-type", "Appointment",
)  # fmt: skip


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SVC_PASSWORD", "hunter2")
    return "hunter2"


@pytest.mark.req("H1", "H4")
def test_a_host_is_added_and_listed(run: CommandLine, secret: str) -> None:
    """A host on premises, with a password by its variable's name, comes back as it was entered."""
    added = run(*ADD, "--all-day-tasks")
    assert added.stdout == "added host exchange: http://127.0.0.1:8080/EWS/Exchange.asmx\n"
    assert added.stderr == ""
    (host,) = run("host", "list", "--json").json
    assert host == {
        "id": "1",
        "name": "exchange",
        "protocol": "ews",
        "url": "http://127.0.0.1:8080/EWS/Exchange.asmx",
        "auth": "basic",
        "access": "impersonation",
        "version": "2016",
        "community": "all",
        "service_user": "svc@example.test",
        "secret": "env:SVC_PASSWORD",
        "tenant_id": "",
        "client_id": "",
        "authority": "",
        "types": ["Home Visit", "Tour"],
        "inbound_type": "Appointment",
        "all_day_tasks": True,
        "send_email": False,
        "ca_bundle": "",
        "reschedule": "replace",
        "conflict": "latest",
        "redirect_uri": "",
        "secret_expires": None,
        "retired": False,
        "accounts": 0,
    }
    assert "exchange" in run("host", "list").stdout
    assert "exists already" in run(*ADD, "--all-day-tasks").stdout


@pytest.mark.req("R9")
def test_a_secret_lands_nowhere(run: CommandLine, secret: str) -> None:
    """The password's value is in no output and in no file of the workspace."""
    shown = [
        run(*ADD),
        run("host", "list"),
        run("host", "list", "--json"),
        run("host", "edit", "exchange", "--version", "SE"),
    ]
    assert all(secret not in each.stdout + each.stderr for each in shown)
    assert all(secret.encode() not in file.read_bytes() for file in run.workspace.iterdir())


def test_a_password_s_file_is_kept_by_its_path(run: CommandLine, tmp_path: Path) -> None:
    """A file is kept by its path when only its owner may read it, and refused otherwise."""
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text("hunter2\n")
    arguments = [each for each in ADD if each not in ("--password-env", "SVC_PASSWORD")]
    file.chmod(0o644)
    assert "chmod 600" in run(*arguments, "--password-file", str(file), exit_code=2).stderr
    file.chmod(0o600)
    run(*arguments, "--password-file", str(file))
    assert run("host", "list", "--json").json[0]["secret"] == f"file:{file}"


def test_an_unset_variable_is_a_remark(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is not set here may be where the sync runs: the host is added, with a remark."""
    monkeypatch.delenv("SVC_PASSWORD", raising=False)
    added = run(*ADD)
    assert "added host" in added.stdout
    assert "SVC_PASSWORD is not set here" in added.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "http://mail.example.test/EWS/Exchange.asmx"], "in clear"),
        (["--password-file", "x"], "cannot be read"),
        (["--secret-env", "OTHER"], "one of these options only"),
        (["--types", "Tour,Tuor"], "no activity type Tuor"),
        (["--version", "2010"], "no Exchange version"),
        (["--community", "Oak"], "no community Oak"),
        (["--password-env", "hunter2!"], "no name of an environment variable"),
    ],
)
def test_what_cannot_be_is_refused(run: CommandLine, secret: str, arguments: list[str], words: str) -> None:
    """Wrong input is refused with the reason, and no host is added."""
    answer = run(*ADD, *arguments, exit_code=2)
    assert words in answer.stderr
    assert secret not in answer.stderr
    assert run("host", "list", "--json").json == []


def test_an_app_registration_is_entered(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host in the cloud needs its registration only; its address is Microsoft's."""
    monkeypatch.setenv("CLIENT_SECRET", "Zx8Q~value")
    run(
        "host", "add", "cloud", "--auth", "oauth-app", "--tenant-id", TENANT, "--client-id", GUID,
        "--secret-env", "CLIENT_SECRET", "--authority", "https://127.0.0.1:8443",
    )  # fmt: skip
    (host,) = run("host", "list", "--json").json
    assert (host["url"], host["version"]) == ("https://outlook.office365.com/EWS/Exchange.asmx", "Office 365")
    assert (host["tenant_id"], host["authority"], host["secret"]) == (
        TENANT,
        "https://127.0.0.1:8443",
        "env:CLIENT_SECRET",
    )


@pytest.mark.req("H3")
def test_editing_changes_what_is_given(run: CommandLine, secret: str) -> None:
    """What is not given stays, the accounts too."""
    run(*ADD)
    run("user", "add", "--email", "alice@example.test", "--name", "Alice")
    run("account", "add", "--host", "exchange", "--user", "alice@example.test")
    (before,) = run("host", "list", "--json").json
    run("host", "edit", "exchange", "--types", "Tour", "--no-all-day-tasks", "--reschedule", "update")
    assert run("host", "list", "--json").json == [before | {"types": ["Tour"], "reschedule": "update"}]
    assert before["accounts"] == 1


@pytest.mark.req("A1", "A2")
def test_accounts_are_added_listed_disabled_and_enabled(run: CommandLine, secret: str) -> None:
    """A user's account and the impersonation account; adding again says so; disabling and enabling say how it stands."""
    run(*ADD)
    for name in ("svc", "alice", "bob"):
        run("user", "add", "--email", f"{name}@example.test", "--name", name.title())
    run("account", "add", "--host", "exchange", "--user", "svc@example.test", "--impersonation", "--no-calendar")
    added = run("account", "add", "--host", "exchange", "--user", "alice@example.test", "--all-day-tasks")
    assert added.stdout == "added account alice@example.test on host exchange\n"
    run("account", "add", "--user", "bob@example.test", "--email", "robert@example.test", "--send-email")
    assert "exists already" in run("account", "add", "--host", "exchange", "--user", "alice@example.test").stdout
    listed = run("account", "list", "--json").json
    assert [(each["mailbox"], each["impersonation"], each["calendar"], each["all_day_tasks"], each["send_email"]) for each in listed] == [
        ("alice@example.test", False, True, True, False),
        ("robert@example.test", False, True, False, True),
        ("svc@example.test", True, False, False, False),
    ]  # fmt: skip
    assert run("account", "list", "--user", "bob@example.test", "--json").json == [listed[1]]
    assert "robert@example.test" in run("account", "list", "--host", "exchange").stdout
    run("account", "disable", "bob@example.test")
    assert run("account", "list", "--user", "bob@example.test", "--json").json[0]["calendar"] is False
    assert run("account", "enable", "robert@example.test", "--all-day-tasks").stdout == (
        "account robert@example.test: calendar yes, send email no, all-day tasks yes\n"
    )


def test_an_account_that_cannot_be_is_refused(run: CommandLine, secret: str) -> None:
    """A mailbox of somebody else, a user or host nobody knows: refused with the reason."""
    run(*ADD)
    for name in ("alice", "bob"):
        run("user", "add", "--email", f"{name}@example.test", "--name", name.title())
    run("account", "add", "--host", "exchange", "--user", "alice@example.test")
    account = ["account", "add", "--host", "exchange", "--user"]
    assert (
        "belongs to the account of alice"
        in run(*account, "bob@example.test", "--email", "alice@example.test", exit_code=2).stderr
    )
    assert "no CRM user" in run(*account, "carol@example.test", exit_code=2).stderr
    assert (
        "known: exchange" in run("account", "add", "--host", "mars", "--user", "bob@example.test", exit_code=2).stderr
    )
    assert "no account" in run("account", "disable", "bob@example.test", exit_code=2).stderr


@pytest.mark.req("H3")
def test_a_host_is_retired_and_restored(run: CommandLine, secret: str) -> None:
    """Retiring says how many accounts rest, listing shows it, a cycle leaves them out, restoring brings them back."""
    run(*ADD)
    run("user", "add", "--email", "alice@example.test", "--name", "Alice")
    run("account", "add", "--user", "alice@example.test")
    assert run("host", "retire", "exchange").stdout == "host exchange is retired; 1 accounts rest\n"
    assert run("host", "retire", "exchange").stdout == "host exchange was retired already\n"
    assert run("host", "list", "--json").json[0]["retired"] is True
    (account,) = run("account", "list", "--json").json
    assert (account["calendar"], account["host_retired"], account["status"]) == (False, True, "Not Enabled")
    (cycle,) = run("sync", "--json").json["accounts"]
    assert (cycle["outcome"], cycle["requests"]) == ("off", 0)
    assert "host restore 'exchange'" in run("account", "enable", "alice@example.test", exit_code=2).stderr
    assert run("host", "restore", "exchange").stdout == "host exchange is in use again; 1 accounts are kept in step\n"
    assert run("host", "restore", "exchange").stdout == "host exchange is in use\n"
    assert run("account", "list", "--json").json[0]["calendar"] is True


@pytest.mark.req("H5")
def test_a_secret_that_ends_soon_is_a_remark(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is added, the remark is on stderr, and the day is listed; one that has ended is refused."""
    monkeypatch.setenv("CLIENT_SECRET", "Zx8Q~value")
    cloud = ("--auth", "oauth-app", "--tenant-id", TENANT, "--client-id", GUID, "--secret-env", "CLIENT_SECRET")
    added = run("host", "add", "cloud", *cloud, "--secret-expires", "2026-12-01")
    assert "note: the secret of host cloud ends in 8 days, on 2026-12-01" in added.stderr
    assert run("host", "list", "--json").json[0]["secret_expires"] == "2026-12-01"
    assert (
        "ended on 2026-11-01" in run("host", "add", "old", *cloud, "--secret-expires", "2026-11-01", exit_code=2).stderr
    )


@pytest.mark.req("H3")
def test_a_new_secret_asks_to_sign_in_again(run: CommandLine, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit of the secret says that the sign-in is new; an edit of anything else does not."""
    run(*ADD)
    monkeypatch.setenv("NEW_PASSWORD", "hunter3")
    assert "host check 'exchange'" in run("host", "edit", "exchange", "--password-env", "NEW_PASSWORD").stderr
    assert run("host", "edit", "exchange", "--version", "SE").stderr == ""


@pytest.mark.req("A3")
def test_a_user_sets_up_their_own_account(run: CommandLine, secret: str) -> None:
    """The offered hosts are listed; the account is on; disabled, the listing says so; what is not offered is refused."""
    run(*ADD)
    run("community", "add", "Maple Court")
    run("host", "add", "maple", *ADD[3:], "--community", "Maple Court")
    run("user", "add", "--email", "alice@example.test", "--name", "Alice", "--community", "Maple Court")
    assert run("account", "offers", "--user", "alice@example.test", "--json").json == [
        {"host": "maple", "signs_in": "the service account", "mailbox": None, "calendar": False}
    ]
    own = run("account", "self", "--user", "alice@example.test")
    assert own.stdout == "account alice@example.test on host maple: calendar yes, send email yes\n"
    assert "sync --pending" in own.stderr
    run("account", "disable", "alice@example.test")
    (offer,) = run("account", "offers", "--user", "alice@example.test", "--json").json
    assert (offer["mailbox"], offer["calendar"]) == ("alice@example.test", False)
    refused = run("account", "self", "--user", "alice@example.test", "--host", "exchange", exit_code=2)
    assert "not offered to this user (offered: maple)" in refused.stderr


@pytest.mark.req("A5", "A7")
def test_an_account_is_pending_until_its_first_cycle(
    run: CommandLine, secret: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adding a user under the service account makes a cycle due; `sync --pending` makes just that one, and then there is none."""
    monkeypatch.setenv("SVC_PASSWORD", sandbox.passwords["svc@example.test"])
    run(*ADD, "--url", sandbox.ews_url)
    for name in ("alice", "bob"):
        run("user", "add", "--email", f"{name}@example.test", "--name", name.title())
    run("account", "add", "--user", "alice@example.test")
    assert run("account", "list", "--json").json[0]["pending"] is True
    assert [each["account"] for each in run("sync", "--pending", "--json").json["accounts"]] == ["alice@example.test"]
    listed = run("account", "list", "--json").json[0]
    assert (listed["pending"], listed["last_success"]) == (False, "2026-11-23T09:00:00Z")
    assert run("sync", "--pending", "--json").json["accounts"] == []
    run("account", "add", "--user", "bob@example.test")
    assert [each["account"] for each in run("sync", "--pending", "--json").json["accounts"]] == ["bob@example.test"]
