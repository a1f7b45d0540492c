"""`syncops diagnose`: for a person and as JSON, of facts that were saved, and of rubbish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops_lib.sandbox.server import Sandbox
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, SERVICE


@pytest.fixture
def customer(run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A workspace with alice's account on the sandbox, in step."""
    monkeypatch.setenv("SVC_PASSWORD", sandbox.passwords[SERVICE])
    run("user", "add", "--email", ALICE, "--name", "Alice")
    run(
        "host", "add", "Head Office", "--url", sandbox.ews_url_https, "--auth", "basic", "--service-user", SERVICE,
        "--password-env", "SVC_PASSWORD", "--ca-bundle", str(sandbox.ca_file),
    )  # fmt: skip
    run("account", "add", "--user", ALICE)
    run("sync")
    return run


@pytest.mark.req("T3")
def test_a_healthy_account_ends_with_0(customer: CommandLine) -> None:
    """Nothing is wrong, in words and as JSON with the contract's keys."""
    said = customer("diagnose", ALICE).stdout
    assert "Nothing is wrong, as far as could be seen." in said
    document = customer("diagnose", ALICE, "--json").json
    assert set(document) == {"account", "host", "at", "status", "sub_cause", "begin_with", "findings"}
    assert (document["account"], document["begin_with"]) == (ALICE, None)
    assert {"check", "subject", "verdict", "observed", "expected", "cause", "next_step", "evidence", "source"} <= set(
        document["findings"][0]
    )
    assert {each["verdict"] for each in document["findings"]} == {"ok"}


@pytest.mark.req("T3", "T1")
def test_a_failing_account_ends_with_1_and_says_who_does_what(
    customer: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The cause comes first with its evidence, who must act and a command with this host's name; what follows is one line; saved facts say the same later."""
    sandbox.organisation.revoke_impersonation(SERVICE)
    customer("sync", exit_code=1)
    file = tmp_path / "facts.json"
    said = customer("diagnose", ALICE, "--save", str(file), exit_code=1).stdout
    assert said.index("WRONG: impersonation") < said.index("WRONG: status")
    assert "ErrorImpersonateUserDenied" in said
    assert "the customer's Exchange administrator: syncops rights script --host 'Head Office'" in said
    assert "not seen (follows from 'impersonation'): mailbox, folders" in said
    assert file.stat().st_mode & 0o777 == 0o600
    assert "this file exists already" in customer("diagnose", ALICE, "--save", str(file), exit_code=2).stderr
    sandbox.organisation.grant_impersonation(SERVICE, None)
    assert customer("diagnose", "--facts", str(file), exit_code=1).stdout == said
    status = next(row for row in customer("status", "--json").json if row["process"] == "calendar")
    assert status["sub_cause"].startswith("the account may not act for this user: ")
    assert status["next_step"] == "syncops rights script --host 'Head Office' writes the cmdlets."
    assert "(the account may not act" in customer("status").stdout


def test_nothing_is_written_by_looking(customer: CommandLine, sandbox: Sandbox) -> None:
    """A diagnosis sends reads only, at most once each, and leaves the workspace's records as they were."""
    sandbox.requests.clear()
    before = customer("status", "--json").json
    customer("diagnose", ALICE)
    asked = sandbox.requests.document()["operations"]
    assert set(asked) <= {
        "GetFolder",
        "ResolveNames",
        "GetServerTimeZones",
        "SyncFolderItems",
        "FindItem",
        "(refused)",
    }, asked
    assert customer("status", "--json").json == before


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe\x00", "no text"),
        (b"[]", "no file of facts"),
        (b'{"format": "syncops facts", "version": 99}', "newer syncops"),
    ],
)
def test_rubbish_is_one_line(run: CommandLine, tmp_path: Path, content: bytes, word: str) -> None:
    """A file that is none is exit code 2 with the reason and the mend; so is a folder, an endless file, and no account."""
    file = tmp_path / "facts.json"
    file.write_bytes(content)
    refused = run("diagnose", "--facts", str(file), exit_code=2).stderr
    assert word in refused
    assert "To mend it" in refused
    for other in (str(tmp_path), "/dev/zero", str(tmp_path / "none")):
        assert "error: " in run("diagnose", "--facts", other, exit_code=2).stderr
    assert "no account was named" in run("diagnose", exit_code=2).stderr
    assert "leave ACCOUNT" in run("diagnose", ALICE, "--facts", str(file), exit_code=2).stderr


def test_what_a_file_says_does_not_steer_the_terminal(customer: CommandLine, tmp_path: Path) -> None:
    """Escape sequences, and marks that turn text around, are shown as a replacement character."""
    file = tmp_path / "facts.json"
    customer("diagnose", ALICE, "--save", str(file))
    document = json.loads(file.read_text())
    document["account"] = "\x1b[2J\u202ealice"
    document["probes"]["name"] = {
        "outcome": "failed",
        "failure": {"error": "Unreachable", "message": "\x1b]0;x\x07\ud800"},
    }
    file.write_text(json.dumps(document))
    said = customer("diagnose", "--facts", str(file), exit_code=1).stdout
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "WRONG: name" in said
    assert customer("diagnose", "--facts", str(file), "--json", exit_code=1).json["begin_with"] == "name"
