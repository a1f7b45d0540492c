"""`syncops host add --discover`."""

from __future__ import annotations

import pytest

from ops_lib.sandbox.server import Sandbox
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, SERVICE


@pytest.fixture
def options(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A service account, and where the sandbox's Autodiscover is: no name service knows its domain."""
    monkeypatch.setenv("SVC", sandbox.passwords[SERVICE])
    return [
        "--service-user", SERVICE, "--password-env", "SVC", "--ca-bundle", str(sandbox.ca_file),
        "--discover-at", sandbox.document()["autodiscover_url"],
    ]  # fmt: skip


@pytest.mark.req("H6")
@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_host_s_url_is_found_from_an_address(
    run: CommandLine, sandbox: Sandbox, options: list[str], auth: str
) -> None:
    """The URL comes from Autodiscover, signed in as the service account; it is said who knew, and the host works."""
    added = run("host", "add", "exchange", "--auth", auth, "--discover", ALICE, *options)
    assert added.stdout == f"added host exchange: {sandbox.ews_url_https}\n"
    assert f"says that {ALICE} is at {sandbox.ews_url_https}" in added.stderr
    assert run("host", "list", "--json").json[0]["url"] == sandbox.ews_url_https
    assert run("host", "check", "exchange", "--mailbox", ALICE, "--json").json["verdict"] == "ok"


@pytest.mark.req("H6")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--discover", ALICE, "--url", "https://mail.example.test/EWS/Exchange.asmx"], "give --url or --discover"),
        (["--discover", ALICE, "--auth", "oauth-app"], "signs in with a password"),
        (["--discover", ALICE, "--service-user", ""], "needs somebody to sign in"),
        (["--discover", "alice"], "alice is no email address"),
        (["--discover", "nobody@example.test"], "nobody@example.test"),
    ],
)
def test_what_cannot_be_found_is_refused(
    run: CommandLine, options: list[str], arguments: list[str], words: str
) -> None:
    """Contradictions, an address that is none or that nobody knows: refused with the reason, and no host is added."""
    refused = run("host", "add", "exchange", *options, *arguments, exit_code=2)
    assert words in refused.stderr
    assert run("host", "list", "--json").json == []
