"""Must show 1 of email, the rest of it: over HTTPS, signed in in each way that belongs to an access type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.sandbox.server import Sandbox
from tests.e2e.test_mail import received, record
from tests.e2e.test_onboarding import BELONG, grant, host_options, sign_in
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, BOB, SERVICE


@pytest.fixture
def office(run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.setenv(KEY_VARIABLE, Key.new().text())
    monkeypatch.setenv("CLIENT_SECRET", sandbox.app.secret)
    for name, address in (("SVC_PASSWORD", SERVICE), ("ALICE_PASSWORD", ALICE)):
        monkeypatch.setenv(name, sandbox.passwords[address])
    run("community", "add", "Maple Court")
    for address in (SERVICE, ALICE):
        run("user", "add", "--email", address, "--name", address.partition("@")[0], "--community", "Maple Court")
    run("individual", "add", "Bo Example", "--email", BOB)
    yield run
    close_connections()


@pytest.mark.req("E1", "E2")
@pytest.mark.parametrize(("access", "auth"), BELONG, ids=["-".join(each) for each in BELONG])
def test_sent_with_each_way_of_signing_in(office: CommandLine, sandbox: Sandbox, access: str, auth: str) -> None:
    """Before the sign-in a message is refused with what to do; after it, it comes from the user, and the copy lies with whoever sent it."""
    grant(sandbox, access)
    if access == "delegate":
        sandbox.organisation.grant_sending(ALICE, SERVICE, "SendAs")
    office("host", "add", "exchange", *host_options(sandbox, access, auth), "--send-email")
    is_person = auth in ("oauth-code", "oauth-device")
    if access != "direct" and auth != "oauth-app":
        office("account", "add", "--user", SERVICE, "--impersonation", "--no-calendar")
    own_password = ["--password-env", "ALICE_PASSWORD"] if access == "direct" and not is_person else []
    office("account", "add", "--user", ALICE, "--send-email", *own_password)
    send = ("send", "--user", ALICE, "--to", "Bo Example", "--subject", "Hello", "--text", "Dear Bo", "--json")
    if is_person:
        refused = office(*send, exit_code=1).json
        assert (refused["outcome"], refused["response_code"]) == ("refused", "not signed in")
        assert "syncops signin" in refused["fix"]
        assert record(office)[0][:2] == ("Hello Failed to Send", "Cancelled")
        sign_in(office, sandbox, auth, ALICE if access == "direct" else SERVICE)
    assert office(*send).json["outcome"] == "accepted"
    [message] = received(sandbox, BOB)
    assert (message.author.email_address, message.sender.email_address) == (ALICE, ALICE)
    keeper = SERVICE if access == "delegate" else ALICE
    assert [len(sandbox.organisation.mailbox(keeper).folder(each).items) for each in ("sentitems", "drafts")] == [1, 0]
