"""A diagnosis is carried home: captured, scrubbed, and judged again from the file alone to the same findings."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import vcr
import yaml

from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.diagnosis import replaying
from ops_lib.diagnosis.capturing import capture
from ops_lib.errors import InputError
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.mailbox.traffic import cassettes
from ops_lib.mailbox.traffic.replaying import NetworkRefused, no_network
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.carrying import Carried, carried, enter_host, talker
from tests.support.command_line import CommandLine
from tests.support.leaks import found_in
from tests.support.sandbox import ALICE, SERVICE
from tests.support.signing_in import Office

PASSWORD = "correct horse battery staple"
Carry = Callable[..., Carried]


@pytest.fixture
def workspace(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("SVC_PASSWORD", PASSWORD)
    monkeypatch.setenv(KEY_VARIABLE, Key.new().text())
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    opened = Workspace.open(run.workspace)
    yield opened
    opened.close()
    close_connections()


@pytest.fixture
def on_sandbox(workspace: Workspace, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Carry:
    """``on_sandbox(auth="ntlm", …)``: alice's account on the sandbox, captured and replayed."""
    monkeypatch.setenv("SVC_PASSWORD", sandbox.passwords[SERVICE])

    def carry(url: str = "", mailbox: str = ALICE, **entered: object) -> Carried:
        account = enter_host(workspace, url or sandbox.ews_url, mailbox=mailbox, **entered)
        return carried(workspace, account, tmp_path)

    return carry


# ── a server that works, however one signs in ────────────────────────────────────────────────────────────────────────
@pytest.mark.req("T5")
@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_mailbox_that_is_well(on_sandbox: Carry, auth: str) -> None:
    """Everything that was seen of a mailbox in order is seen in the replay, by Basic and by NTLM in its three messages."""
    got = on_sandbox(auth=auth)
    assert got.after == got.before
    assert {name: each.outcome for name, each in got.facts.probes.items()} == {
        name: each.outcome for name, each in got.captured.facts.probes.items()
    }
    assert got.facts.probe("mailbox").is_seen


@pytest.mark.req("T5")
@pytest.mark.parametrize("auth", ["basic", "ntlm"])
@pytest.mark.parametrize("login", ["HOLLYGROVE\\svc", "svc"])
def test_a_service_account_whose_login_is_no_address(on_sandbox: Carry, login: str, auth: str) -> None:
    """With a login in the domain's form, or a bare name, the replay signs in and sees what was seen; the domain is not in the file."""
    got = on_sandbox(auth=auth, service_user=login)
    assert got.after == got.before
    assert got.facts.probe("mailbox").is_seen
    assert "hollygrove" not in got.file.read_text().lower()


@pytest.mark.req("T5", "R9")
def test_an_app_with_tokens(on_sandbox: Carry, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory's answers are in the file, the token's claims can be judged in the replay, and neither token nor secret is there."""
    monkeypatch.setenv("CLIENT_SECRET", sandbox.app.secret)
    got = on_sandbox(
        sandbox.ews_url_https, auth="oauth-app", tenant_id=sandbox.directory.tenant_id, client_id=sandbox.app.client_id, authority=sandbox.entra_url,
        ca_bundle=str(sandbox.ca_file), secret="env:CLIENT_SECRET", service_user="",
    )  # fmt: skip
    assert got.after == got.before
    seen, before = got.facts.probe("token").seen, got.captured.facts.probe("token").seen
    assert seen["expires"] == before["expires"]
    assert seen.get("roles") == before.get("roles")
    assert seen["tid"] != before["tid"]
    content = got.file.read_text()
    assert "/oauth2/v2.0/token" in content
    for secret in (sandbox.app.secret, sandbox.app.client_id, sandbox.directory.tenant_id, str(sandbox.ca_file)):
        assert secret not in content


@pytest.mark.req("T5", "A9")
def test_a_refused_secret_of_an_app(on_sandbox: Carry, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory's code comes through as it was said."""
    monkeypatch.setenv("CLIENT_SECRET", "wrong-secret-value")
    got = on_sandbox(
        sandbox.ews_url_https, auth="oauth-app", tenant_id=sandbox.directory.tenant_id, client_id=sandbox.app.client_id, authority=sandbox.entra_url,
        ca_bundle=str(sandbox.ca_file), secret="env:CLIENT_SECRET", service_user="",
    )  # fmt: skip
    assert got.after == got.before
    assert got.facts.probe("token").code == "AADSTS7000215"
    assert "wrong-secret-value" not in got.file.read_text()


@pytest.mark.req("T5", "R9", "A4")
def test_a_person_who_signed_in(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own sign-in replays without vault and directory, and no token is in the file."""
    office = Office(sandbox, tmp_path / "office", monkeypatch)
    account = office.add(ALICE)
    office.sign_in(account)
    kept = office.workspace.vault
    tokens = [
        json.loads(json.loads(kept.get(name) or "{}")["cache"]) for name in kept.names() if name.startswith("tokens/")
    ]
    secrets = [
        each["secret"]
        for cache in tokens
        for kind in ("AccessToken", "RefreshToken", "IdToken")
        for each in cache[kind].values()
    ]
    assert len(secrets) >= 2
    well = carried(office.workspace, account, tmp_path)
    assert well.after == well.before
    assert well.facts.probe("mailbox").is_seen
    assert well.facts.probe("token").get("signed_in_as").endswith(".example")
    assert found_in(well.file.read_bytes(), [*secrets, ALICE]) == []
    office.workspace.close()
    close_connections()


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("T5")
def test_a_refused_password_and_then_a_closed_gate(workspace: Workspace, sandbox: Sandbox, tmp_path: Path) -> None:
    """A refusal replays as one; so does a second capture, which did not send the password again."""
    account = enter_host(workspace, sandbox.ews_url)
    first = carried(workspace, account, tmp_path)
    assert first.after == first.before
    assert first.facts.probe("mailbox").code == "HTTP 401"
    second = carried(workspace, account, tmp_path)
    assert second.after == second.before
    assert second.captured.requests < first.captured.requests
    assert PASSWORD not in second.file.read_text()


@pytest.mark.req("T5")
@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "GetFolder", "fault": {"response_code": "ErrorServerBusy", "back_off_milliseconds": 30000}},
        {
            "operation": "GetFolder",
            "fault": {
                "status": 403,
                "headers": {"X-EWS-Policy-Reason": "EWS is blocked by EwsApplicationAccessPolicy"},
            },
        },
        {"operation": "GetFolder", "fault": {"status": 500}},
        {"operation": "GetFolder", "fault": {"response_code": "ErrorMailboxMoveInProgress"}},
        {"operation": "GetFolder", "fault": {"soap_fault": "ErrorNonExistentMailbox"}},
        {"operation": "GetFolder", "fault": {"truncate": "chunk", "keep": 0.5}},
        {"operation": "GetFolder", "fault": {"truncate": "length"}},
    ],
    ids=lambda rule: "_".join(map(str, rule["fault"].values()))[:40],
)
def test_a_refusal_of_the_server(on_sandbox: Carry, sandbox: Sandbox, fault: dict[str, object]) -> None:
    """Codes, pauses and reasons of policies replay to the same findings."""
    sandbox.faults.add(fault)
    got = on_sandbox()
    assert got.after == got.before
    assert got.facts.probe("mailbox").failure is not None
    before = got.captured.facts.probe("mailbox").failure
    after = got.facts.probe("mailbox").failure
    assert before is not None
    assert after is not None
    assert (after.error, after.response_code, after.http_status, after.back_off_seconds) == (
        before.error, before.response_code, before.http_status, before.back_off_seconds,
    )  # fmt: skip


# ── servers that give no answer ──────────────────────────────────────────────────────────────────────────────────────
def _read(connection: socket.socket) -> None:
    connection.recv(65_536)


def _hang(connection: socket.socket) -> None:
    _read(connection)
    time.sleep(30)


def _drip(connection: socket.socket) -> None:
    _read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<s:Envelope>")
    with suppress(OSError):
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.1)


def _cut(connection: socket.socket) -> None:
    _read(connection)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<s:Envelope>Kowalczyk"
    )
    connection.close()


def _close(connection: socket.socket) -> None:
    _read(connection)
    connection.close()


def _page(connection: socket.socket) -> None:
    _read(connection)
    page = b"<html><head><title>Sign in</title></head><body>Kowalczyk, sign in</body></html>"
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
        % (len(page), page)
    )
    connection.close()


def _nonsense(connection: socket.socket) -> None:
    _read(connection)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 9\r\nConnection: close\r\n\r\nKowalczyk"
    )
    connection.close()


def _redirect(connection: socket.socket) -> None:
    _read(connection)
    connection.sendall(
        b"HTTP/1.1 302 Found\r\nLocation: https://kowalczyk.test/owa\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    connection.close()


@pytest.mark.req("T5")
@pytest.mark.parametrize(
    "serve", [_hang, _drip, _cut, _close, _page, _nonsense, _redirect], ids=lambda each: each.__name__
)
def test_a_server_that_does_not_answer(
    workspace: Workspace, tmp_path: Path, serve: Callable[[socket.socket], None]
) -> None:
    """It is captured as far as it went, and replays as what it was without waiting for it."""
    with talker(serve) as port:
        account = enter_host(workspace, f"http://127.0.0.1:{port}/EWS/Exchange.asmx")
        got = carried(workspace, account, tmp_path, deadline_seconds=4.0, probe_seconds=0.3)
    assert got.after == got.before
    assert "kowalczyk" not in got.file.read_text().lower()
    first = next(each for each in got.facts.probes.values() if each.failure is not None)
    before = got.captured.facts.probe(first.probe).failure
    assert before is not None
    assert first.failure is not None
    assert (first.failure.error, first.failure.response_code) == (before.error, before.response_code)


@pytest.mark.req("T5")
def test_nobody_listens_and_a_name_that_is_none(workspace: Workspace, tmp_path: Path) -> None:
    """A connection that was refused and a name without an address replay as the same failures."""
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    closed = carried(workspace, enter_host(workspace, f"http://127.0.0.1:{port}/EWS/Exchange.asmx"), tmp_path)
    assert closed.after == closed.before
    assert closed.facts.probe("connection").code == "TCP"
    account = enter_host(
        workspace, "https://mail.no-such-name.invalid/EWS/Exchange.asmx", mailbox="bob@example.test", name="other"
    )
    unknown = carried(workspace, account, tmp_path, probe_seconds=3.0)
    assert unknown.after == unknown.before
    assert unknown.facts.probe("name").code == "DNS"
    assert "no-such-name" not in unknown.file.read_text()


@pytest.mark.req("T5")
def test_a_certificate_that_is_not_trusted(workspace: Workspace, sandbox: Sandbox, tmp_path: Path) -> None:
    """What was wrong with the certificate, and whose it is by its stand-in, replays without a connection."""
    got = carried(workspace, enter_host(workspace, sandbox.ews_url_https), tmp_path)
    assert got.after == got.before
    failure = got.facts.probe("certificate").failure
    assert failure is not None
    assert "not trusted" in failure.message
    assert got.facts.probe("certificate").get("ends") == got.captured.facts.probe("certificate").get("ends")


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("T5")
def test_a_replay_reaches_no_network_and_needs_no_secret(on_sandbox: Carry, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the server gone, the password unset, the vault's key away and sockets that fail, the diagnosis is the same."""
    got = on_sandbox()
    monkeypatch.delenv("SVC_PASSWORD")
    monkeypatch.delenv(KEY_VARIABLE)
    tried: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: tried.append(arguments))
    again = Carried(got.captured, got.file, replaying.facts_of(got.file))
    assert again.after == got.before
    assert tried == []


def test_sockets_are_refused_during_a_replay() -> None:
    """Whatever tries to reach a server or to look a name up is refused, in any thread; afterwards it is not."""
    server = socket.create_server(("127.0.0.1", 0))
    failed: list[BaseException] = []

    def knock() -> None:
        try:
            socket.create_connection(server.getsockname(), timeout=5).close()
        except OSError as error:
            failed.append(error)

    with no_network():
        thread = threading.Thread(target=knock)
        thread.start()
        thread.join()
        with pytest.raises(NetworkRefused):
            socket.getaddrinfo("mail.example.test", 443)
    assert [type(each) for each in failed] == [NetworkRefused]
    knock()
    assert len(failed) == 1
    server.close()


@pytest.mark.req("T5")
def test_plain_vcrpy_loads_and_plays_the_file(on_sandbox: Carry) -> None:
    """The file is a cassette of vcrpy as well: its interactions can be loaded and played by it."""
    got = on_sandbox()
    import requests

    player = vcr.VCR(record_mode="none", match_on=["method", "path"])
    document = yaml.safe_load(got.file.read_text())
    first = document["interactions"][0]
    with player.use_cassette(str(got.file)) as tape:
        assert len(tape.responses) == len(document["interactions"])
        answer = requests.post(first["request"]["uri"], data=first["request"]["body"], timeout=1)
    assert answer.status_code == first["response"]["status"]["code"]
    assert answer.text == first["response"]["body"]["string"]


@pytest.mark.req("T5")
def test_two_captures_of_one_mailbox_match(
    workspace: Workspace, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same address, host and folder have the same stand-in in a later capture of the same workspace, and others in another's."""
    monkeypatch.setenv("SVC_PASSWORD", sandbox.passwords[SERVICE])
    account = enter_host(workspace, sandbox.ews_url)
    one, two = (capture(workspace, account).cassette for _ in range(2))
    assert one.manifest["account"] == two.manifest["account"]
    assert one.manifest["host"] == two.manifest["host"]
    other = Workspace.create(tmp_path / "other")
    stranger = capture(other, enter_host(other, sandbox.ews_url)).cassette
    assert stranger.manifest["account"]["mailbox"] != one.manifest["account"]["mailbox"]
    other.close()


def test_a_vault_that_cannot_be_opened_does_not_stop_a_capture(
    workspace: Workspace, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the stand-ins are of this capture alone, and the file says so."""
    monkeypatch.setenv("SVC_PASSWORD", sandbox.passwords[SERVICE])
    account = enter_host(workspace, sandbox.ews_url)
    capture(workspace, account)
    monkeypatch.setenv(KEY_VARIABLE, Key.new().text())  # another key than the vault's
    again = Workspace.open(workspace.path)
    assert capture(again, account).cassette.manifest["stand_ins"] == "of this capture alone"
    again.close()


def test_the_file_is_its_owners_and_never_written_over(on_sandbox: Carry) -> None:
    """Mode 0600 whatever the umask, nothing beside it, and an existing file stays unless it is to be replaced."""
    before = os.umask(0)
    try:
        got = on_sandbox()
    finally:
        os.umask(before)
    assert stat.S_IMODE(got.file.stat().st_mode) == 0o600
    assert [each.name for each in got.file.parent.iterdir() if "capture" in each.name] == [got.file.name]
    content = got.file.read_bytes()
    with pytest.raises(InputError, match="there is a file"):
        cassettes.write(got.captured.cassette, got.file)
    assert got.file.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "rubbish: [", "no YAML"),
        (lambda text: "version: 1\ninteractions: []\n", "no cassette of syncops"),
        (lambda text: text.replace("code: 200", "code: 500", 1), "changed after it was made"),
        (lambda text: text.replace("format: syncops cassette\n  version: 1", "format: syncops cassette\n  version: 99"), "newer syncops"),
        (lambda text: text[: len(text) // 2], "no YAML|is missing|changed"),
        (lambda text: "!!python/object/apply:os.system ['true']", "no YAML"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_cassette_of_ours(on_sandbox: Carry, change: Callable[[str], str], said: str) -> None:
    """Rubbish, another's cassette, a changed one, a newer one and half of one are refused with the reason."""
    got = on_sandbox()
    got.file.write_text(change(got.file.read_text()))
    with pytest.raises(InputError, match=said):
        replaying.facts_of(got.file)
    with pytest.raises(InputError, match="cannot be read"):
        replaying.facts_of(got.file.with_name("none.yaml"))


def test_a_question_that_was_not_recorded_is_unknown(on_sandbox: Carry) -> None:
    """A cassette without the mailbox' answers says that it does not hold them, and every finding that needs them is unknown, never well."""
    got = on_sandbox()
    cassette = cassettes.read(got.file)
    cassette.interactions[:] = [
        each for each in cassette.interactions if "ResolveNames" not in str(each["request"]["body"])
    ]
    cassette.manifest["sha256"] = cassette.digest
    cassettes.write(cassette, got.file, over=True)
    facts = replaying.facts_of(got.file)
    assert facts.probe("address").outcome == "not asked"
    assert "does not hold" in facts.probe("address").why
    from ops_lib.diagnosis.checks import judge

    assert {each.verdict for each in judge(facts) if each.check == "address"} == {"unknown"}
