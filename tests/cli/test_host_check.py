"""`syncops host check | rotate`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_lib.sandbox.server import Sandbox
from tests.support.command_line import CommandLine
from tests.support.sandbox import SERVICE


@pytest.fixture
def host(run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A workspace with a host on the sandbox over HTTPS, and alice's account on it."""
    monkeypatch.setenv("SVC_PASSWORD", sandbox.passwords[SERVICE])
    run("user", "add", "--email", "alice@example.test", "--name", "Alice")
    run(
        "host", "add", "exchange", "--url", sandbox.ews_url_https, "--auth", "basic", "--service-user", SERVICE,
        "--password-env", "SVC_PASSWORD", "--ca-bundle", str(sandbox.ca_file),
    )  # fmt: skip
    run("account", "add", "--user", "alice@example.test")
    return run


def test_a_check_says_every_step(host: CommandLine) -> None:
    """Exit code 0 and one JSON document with the steps; in words the same."""
    document = host("host", "check", "exchange", "--json").json
    assert (document["host"], document["mailbox"], document["verdict"]) == ("exchange", "alice@example.test", "ok")
    assert [each["step"] for each in document["steps"]] == [
        "settings", "name", "connection", "TLS", "EWS", "sign-in", "impersonation", "address", "calendar", "tasks",
    ]  # fmt: skip
    assert set(document["steps"][0]) == {"step", "verdict", "observed", "response_code", "next_step"}
    assert "opens alice@example.test" in host("host", "check", "exchange").stdout


def test_a_check_that_fails_ends_with_1(host: CommandLine) -> None:
    """The first red step is the last one shown, with what to do; a mailbox without an account can be tried too."""
    document = host("host", "check", "exchange", "--mailbox", "nobody@example.test", "--json", exit_code=1).json
    assert document["mailbox"] == "nobody@example.test"
    assert (document["steps"][-1]["step"], document["steps"][-1]["response_code"]) == (
        "impersonation",
        "ErrorNonExistentMailbox",
    )
    assert document["steps"][-1]["next_step"]
    host("host", "edit", "exchange", "--ca-bundle", "")
    assert host("host", "check", "exchange", "--json", exit_code=1).json["steps"][-1]["step"] == "TLS"
    assert "no host mars" in host("host", "check", "mars", exit_code=2).stderr


@pytest.mark.req("H3")
def test_a_new_secret_is_kept_only_when_it_signs_in(
    host: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A wrong password is refused and the old one stays; the right one takes its place; --no-try takes any."""
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("wrong\n")
    refused = host("host", "rotate", "exchange", "--password-file", str(secret), exit_code=2)
    assert "the new secret was not kept: sign-in" in refused.stderr
    assert "HTTP 401" in refused.stderr
    assert host("host", "list", "--json").json[0]["secret"] == "env:SVC_PASSWORD"
    monkeypatch.setenv("NEW_PASSWORD", sandbox.passwords[SERVICE])
    rotated = host("host", "rotate", "exchange", "--password-env", "NEW_PASSWORD", "--secret-expires", "2027-06-30")
    assert rotated.stdout == "host exchange has its new secret\n"
    listed = host("host", "list", "--json").json[0]
    assert (listed["secret"], listed["secret_expires"]) == ("env:NEW_PASSWORD", "2027-06-30")
    host("host", "rotate", "exchange", "--password-file", str(secret), "--no-try")
    assert host("host", "list", "--json").json[0]["secret"] == f"file:{secret}"
    assert "no new secret was named" in host("host", "rotate", "exchange", exit_code=2).stderr
