"""The way to the server: what was sent, what came back, and what must be said when something broke."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from ops_lib.errors import (
    AccessRefused,
    AnswerLost,
    InputError,
    MailboxError,
    ServerBusy,
    ServerFailed,
    SignInRefused,
    Unreachable,
    WrongUrl,
)
from ops_lib.mailbox import ItemContent
from ops_lib.mailbox.ews.transport import SESSIONS_PER_HOST
from ops_lib.model import Kind
from tests.mailbox.stub import Asked, Reply, Stub, fault, sync_page

Open = Callable[..., Any]
GOOD = Reply(sync_page("s1"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_side(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def free_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]  # bound and not listening: refused


def failing(mailbox: Any) -> MailboxError:
    with pytest.raises(MailboxError) as caught:
        mailbox.create(Kind.EVENT, [ItemContent(subject="x")])
    return caught.value


# ── nothing was sent ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_refused_connection_is_unreachable(open_at: Open, free_port: int) -> None:
    """Nobody listening: Unreachable, nothing was sent."""
    mailbox = open_at(f"http://127.0.0.1:{free_port}/EWS/Exchange.asmx")
    error = failing(mailbox)
    assert type(error) is Unreachable
    assert "refused" in str(error)
    assert mailbox.requests == 0


def test_an_unknown_name_is_unreachable(open_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name nobody knows: Unreachable, and the message says the name is the matter."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failing(open_at("http://mail.example.test/EWS/Exchange.asmx"))
    assert type(error) is Unreachable
    assert "the name is not known" in str(error)


def test_a_connection_that_times_out_is_unreachable(open_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer to the connection attempt: Unreachable, since nothing was sent."""

    def slow(*_: Any, **__: Any) -> Any:
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", slow)
    error = failing(open_at("http://127.0.0.1:9/EWS/Exchange.asmx"))
    assert type(error) is Unreachable
    assert "nothing answered in time" in str(error)


def test_an_untrusted_certificate_is_unreachable(open_at: Open, authority: trustme.CA) -> None:
    """A certificate of a CA unknown here: Unreachable, with the mend; nothing was sent."""
    with Stub([GOOD], server_side(authority, "127.0.0.1")) as stub:
        error = failing(open_at(stub.url))
        assert type(error) is Unreachable
        assert (error.response_code, "--ca-bundle" in error.fix) == ("TLS", True)
        assert stub.asked == []


def test_a_certificate_for_another_name_is_unreachable(open_at: Open, authority: trustme.CA, ca_file: str) -> None:
    """A certificate of the right CA for another name is refused."""
    with Stub([GOOD], server_side(authority, "mail.example.test")) as stub:
        error = failing(open_at(stub.url, ca_bundle=ca_file))
        assert type(error) is Unreachable
        assert stub.asked == []


def test_a_server_without_tls_behind_https_is_unreachable(open_at: Open) -> None:
    """https to a server that speaks plain HTTP: the handshake failed, nothing was sent."""
    with Stub([GOOD]) as stub:
        error = failing(open_at(stub.url.replace("http:", "https:")))
    assert type(error) is Unreachable


def test_a_handshake_that_is_hung_up_on_is_unreachable(open_at: Open) -> None:
    """A connection closed in the middle of the TLS handshake carried no request."""
    listener = socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        connection, _ = listener.accept()
        connection.recv(100)
        connection.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    error = failing(open_at(f"https://127.0.0.1:{listener.getsockname()[1]}/EWS/Exchange.asmx"))
    thread.join(5)
    listener.close()
    assert type(error) is Unreachable


# ── sent, and no answer ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(drop=True), "reset"),
        (Reply("x" * 500, cut_after=100), "broke off"),
        (Reply(b"not gzip", headers={"Content-Encoding": "gzip"}), "cannot be unpacked"),
        (Reply(sync_page("s1"), delay_seconds=1.0), "no answer in time"),
        (Reply(b""), "empty"),
        (Reply(b"  \n"), "empty"),
        (Reply("hello"), "no XML"),
        (Reply(sync_page("s1")[:-40]), "cut short"),
        (Reply("<!DOCTYPE html><html><body>Sign in</body></html>", headers={"Content-Type": "text/html"}), "web page"),
        (Reply("<a/>"), "no SOAP envelope"),
    ],
)
def test_no_usable_answer_is_lost(open_at: Open, reply: Reply, reason: str) -> None:
    """Dropped, cut, late, empty, or no SOAP with 200: AnswerLost, for a create once."""
    with Stub([reply, GOOD]) as stub:
        mailbox = open_at(stub.url, timeout_seconds=0.3 if reply.delay_seconds else 20.0)
        error = failing(mailbox)
        assert type(error) is AnswerLost
        assert reason in str(error)
        assert (len(stub.asked), mailbox.requests) == (1, 1)


def test_dropped_over_tls_is_lost(open_at: Open, authority: trustme.CA, ca_file: str) -> None:
    """A TLS connection dropped after the request was sent may have carried it: AnswerLost, not Unreachable."""
    with Stub([Reply(drop=True)], server_side(authority, "127.0.0.1")) as stub:
        assert type(failing(open_at(stub.url, ca_bundle=ca_file))) is AnswerLost


# ── answers that are none ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply("Unauthorized", 401, {"WWW-Authenticate": "Basic realm=x"}), SignInRefused, "user name and password"),
        (
            Reply("", 401, {"WWW-Authenticate": "Negotiate, NTLM"}),
            SignInRefused,
            "does not take Basic (it offers NTLM, Negotiate)",
        ),
        (Reply("The referenced account is currently locked out and", 401), SignInRefused, "locked out"),
        (Reply("", 401, {"Connection": "close"}), SignInRefused, "HTTP 401"),
        (
            Reply("", 403, {"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}),
            AccessRefused,
            "EWS is disabled for this user",
        ),
        (Reply("<h1>Forbidden</h1>", 403), AccessRefused, "Forbidden"),
        (Reply("<html>not found</html>", 404), WrongUrl, "no Exchange Web Service"),
        (Reply("", 405), WrongUrl, "HTTP 405"),
        (
            Reply("", 302, {"Location": "https://other.example.test/owa?token=1"}),
            WrongUrl,
            "https://other.example.test/owa)",
        ),
        (Reply("", 301, {"Location": "/x"}), WrongUrl, "elsewhere"),
        (Reply("", 307, {"Location": "/x"}), WrongUrl, "credentials are not sent"),
        (Reply("", 429, {"Retry-After": "7"}), ServerBusy, "HTTP 429"),
        (Reply("", 503), ServerBusy, "pause"),
        (Reply("bad", 400), ServerFailed, "HTTP 400"),
        (Reply(fault("ErrorSchemaValidation", "no", {}), 500), ServerFailed, "ErrorSchemaValidation"),
    ],
)
def test_answers_that_are_no_soap(open_at: Open, reply: Reply, error: type[MailboxError], words: str) -> None:
    """Each HTTP status has its error, with what the headers say of it."""
    with Stub([reply]) as stub:
        caught = failing(open_at(stub.url))
    assert type(caught) is error
    assert words in str(caught)
    assert caught.http_status == reply.status
    if reply.headers.get("Retry-After"):
        assert isinstance(caught, ServerBusy)
        assert caught.back_off_seconds == 7


def test_an_error_page_says_little_and_no_secret(open_at: Open) -> None:
    """Of an error page a short excerpt is shown: no mark-up, no address, nothing like a token."""
    token = "eyJ" + "hbGciOiJub25lIn0" * 3 + ".abc"  # shaped like one, and none
    page = f"<html><style>x{{}}</style>Server Error for bob@example.test token {token} " + "la " * 500
    with Stub([Reply(page, 403)]) as stub:
        message = str(failing(open_at(stub.url)))
    assert "Server Error for … token …" in message
    assert "bob@" not in message
    assert "eyJ" not in message
    assert len(message) < 500


def test_a_redirect_is_not_followed(open_at: Open) -> None:
    """Credentials do not follow a redirect."""
    with Stub([GOOD]) as target, Stub([Reply("", 302, {"Location": target.url})]) as stub:
        assert type(failing(open_at(stub.url))) is WrongUrl
        assert target.asked == []


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("changes", "impersonates"),
    [
        ({"access": "impersonation"}, True),
        ({"access": "impersonation", "mailbox": "svc@example.test"}, False),
        ({"access": "impersonation", "is_impersonation_account": True}, False),
        ({"access": "delegate"}, False),
        ({"access": "direct"}, False),
    ],
)
def test_the_header_names_the_mailbox_that_is_impersonated(
    open_at: Open, changes: dict[str, Any], impersonates: bool
) -> None:
    """Impersonation names the mailbox by its primary address; one's own mailbox and delegates need none. The routing header is always there."""
    with Stub([GOOD]) as stub:
        mailbox = open_at(stub.url, **changes)
        mailbox.changes(Kind.EVENT)
        body = stub.asked[0].body.decode()
    assert (f"<t:PrimarySmtpAddress>{mailbox.address}</t:PrimarySmtpAddress>" in body) is impersonates
    assert stub.asked[0].headers["X-AnchorMailbox"] == mailbox.address
    assert f"<t:EmailAddress>{mailbox.address}</t:EmailAddress>" in body
    assert '<t:TimeZoneDefinition Id="UTC"/>' in body


@pytest.mark.req("H1")
@pytest.mark.parametrize(
    ("version", "asked"),
    [
        ("2013", "Exchange2013_SP1"),
        ("2016", "Exchange2016"),
        ("2019", "Exchange2016"),
        ("SE", "Exchange2016"),
        ("Office 365", "Exchange2016"),
    ],
)
def test_the_version_is_the_hosts(open_at: Open, version: str, asked: str) -> None:
    """Each request names the host's version, and nothing is asked before to find it out."""
    with Stub([GOOD]) as stub:
        open_at(stub.url, version=version).changes(Kind.EVENT)
        assert len(stub.asked) == 1
        assert f'RequestServerVersion Version="{asked}"'.encode() in stub.asked[0].body


def test_who_signs_in(open_at: Open) -> None:
    """The service account signs in for others; with direct access the user does."""
    for access, user in (
        ("impersonation", "svc@example.test"),
        ("delegate", "svc@example.test"),
        ("direct", "alice@example.test"),
    ):
        with Stub([GOOD]) as stub:
            open_at(stub.url, access=access, secret="p:w").changes(Kind.EVENT)
            assert b64decode(stub.asked[0].headers["Authorization"].split()[1]).decode() == f"{user}:p:w"


@pytest.mark.req("H4")
@pytest.mark.parametrize(
    ("user", "password", "encoding"),
    [("svc@example.test", "p\u00e4ss", "latin-1"), ("svc@example.test", "p\u00e4ss\u20ac", "utf-8"), ("EXAMPLE\\\u0142ukasz", "p\u00e4ss", "utf-8")],
)  # fmt: skip
def test_any_letters_in_a_login_or_password(open_at: Open, user: str, password: str, encoding: str) -> None:
    """Basic sends what Latin-1 holds in Latin-1, and what it cannot hold (a euro sign, a Polish letter) in UTF-8."""
    with Stub([GOOD]) as stub:
        open_at(stub.url, service_user=user, secret=password).changes(Kind.EVENT)
        assert b64decode(stub.asked[0].headers["Authorization"].split()[1]) == f"{user}:{password}".encode(encoding)


class NtlmDoor:
    """A server's side of NTLM in front of a reply: challenge, proof, and only then the answer, as IIS does it over one connection."""

    def __init__(self, password: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        users = folder / "users"
        users.write_text(f"EXAMPLE:svc:{password}\n")
        monkeypatch.setenv("NTLM_USER_FILE", str(users))
        self._door: Any = None

    def __call__(self, asked: Asked, number: int) -> Reply:
        import spnego

        scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
        if scheme != "NTLM":
            return Reply("", 401, {"WWW-Authenticate": "NTLM"})
        if b64decode(token)[8] == 1:  # a first message: a new handshake
            self._door = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
        try:
            challenge = self._door.step(b64decode(token))
        except spnego.exceptions.SpnegoError:
            return Reply("", 401, {"WWW-Authenticate": "NTLM"})
        if self._door.complete:
            return GOOD
        return Reply("", 401, {"WWW-Authenticate": f"NTLM {b64encode(challenge).decode()}"})


@pytest.mark.req("H4")
def test_ntlm_signs_in(open_at: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service account with name and password signs in by NTLM, and the request is carried out once."""
    with Stub(NtlmDoor("right", tmp_path, monkeypatch)) as stub:
        mailbox = open_at(stub.url, auth="ntlm", service_user="EXAMPLE\\svc", secret="right")
        assert mailbox.changes(Kind.EVENT).sync_state == "s1"
        assert mailbox.requests == 1
        assert b"SyncFolderItems" in stub.asked[-1].body


@pytest.mark.req("H4")
def test_ntlm_with_a_wrong_password(open_at: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password over NTLM is SignInRefused after one handshake, so that nobody is locked out."""
    with Stub(NtlmDoor("right", tmp_path, monkeypatch)) as stub:
        error = failing(open_at(stub.url, auth="ntlm", service_user="EXAMPLE\\svc", secret="wrong"))
        assert type(error) is SignInRefused
        assert sum(asked.headers.get("Authorization", "").startswith("NTLM TlRMTVNTUAAD") for asked in stub.asked) == 1


def test_ntlm_that_the_server_breaks_off(open_at: Open) -> None:
    """A server that offers NTLM and then does not go on with it: SignInRefused, not an exception of the library."""
    with Stub(lambda asked, number: Reply("", 401, {"WWW-Authenticate": "NTLM"})) as stub:
        error = failing(open_at(stub.url, auth="ntlm", service_user="EXAMPLE\\svc"))
        assert type(error) is SignInRefused
        assert stub.asked[1].headers["Authorization"].startswith("NTLM TlRMTVNTUAAB")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "2003"}, "2013, 2016"),
        ({"url": "ftp://x"}, "no web address"),
        ({"mailbox": "alice"}, "no email address"),
        ({"service_user": ""}, "no user name"),
        ({"auth": "oauth-app", "client_id": "c"}, "without TLS"),
        ({"auth": "oauth-code"}, "sign in first"),
        ({"auth": "oauth-app", "url": "https://127.0.0.1:1/", "tenant_id": "t"}, "client id and secret"),
        ({"auth": "oauth-app", "url": "https://127.0.0.1:1/", "client_id": "c", "tenant_id": ""}, "tenant id"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(open_at: Open, changes: dict[str, Any], words: str) -> None:
    """A host or an account that cannot work is refused with the mend when the mailbox is opened."""
    changes = dict(changes)
    with pytest.raises(InputError, match=words):
        open_at(changes.pop("url", "http://127.0.0.1:1/EWS/Exchange.asmx"), **changes)


# ── a private CA ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_hosts_own_ca_wins_over_the_environment(
    open_at: Open, authority: trustme.CA, ca_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A host's CA bundle counts, whatever bundle the environment names; without one the environment's does."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with Stub(lambda asked, number: GOOD, server_side(authority, "127.0.0.1")) as stub:
        monkeypatch.setenv(variable, str(other))
        assert open_at(stub.url, ca_bundle=ca_file).changes(Kind.EVENT).sync_state == "s1"
        assert type(failing(open_at(stub.url))) is Unreachable
        monkeypatch.setenv(variable, ca_file)
        assert open_at(stub.url).changes(Kind.EVENT).sync_state == "s1"


# ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_mailboxes_of_a_host_share_connections_and_threads_do_not_wait_for_ever(open_at: Open) -> None:
    """More threads than connections: each gets its turn, also after failures gave connections back."""

    def play(asked: Any, number: int) -> Reply:
        return Reply("", 403) if number % 3 == 0 else GOOD

    outcomes: list[str] = []
    with Stub(play) as stub:

        def work(number: int) -> None:
            mailbox = open_at(stub.url, mailbox=f"user{number}@example.test")
            for _ in range(3):
                try:
                    outcomes.append(mailbox.changes(Kind.EVENT).sync_state)
                except AccessRefused:
                    outcomes.append("403")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(SESSIONS_PER_HOST + 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    assert sorted(set(outcomes)) == ["403", "s1"]
    assert len(outcomes) == 3 * (SESSIONS_PER_HOST + 4)


def test_after_any_failure_the_connection_can_be_used_again(open_at: Open) -> None:
    """Every kind of failure gives its connection back: more failures than connections, and the next request goes through."""
    bad = [
        Reply(drop=True),
        Reply("", 401),
        Reply("", 503),
        Reply(b""),
        Reply("x", cut_after=0, headers={"Content-Length": "9"}),
    ]
    with Stub(bad * SESSIONS_PER_HOST + [GOOD]) as stub:
        mailbox = open_at(stub.url)
        for _ in range(len(bad) * SESSIONS_PER_HOST):
            failing(mailbox)
        assert mailbox.changes(Kind.EVENT).sync_state == "s1"


# ── what is kept quiet ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("R9")
def test_nothing_personal_is_logged(open_at: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Neither bodies nor passwords reach a log, however loud the logs are and however odd the failure."""
    with (
        caplog.at_level(logging.DEBUG),
        Stub([GOOD, Reply(drop=True), Reply("x" * 99, cut_after=3), Reply("", 403)]) as stub,
    ):
        mailbox = open_at(stub.url, secret="s3cr3t-pass")
        mailbox.changes(Kind.EVENT)
        for _ in range(3):
            with pytest.raises(MailboxError):
                mailbox.create(Kind.EVENT, [ItemContent(subject="Mrs Miller's diagnosis")])
    assert "Miller" not in caplog.text
    assert "s3cr3t" not in caplog.text
    assert "Envelope" not in caplog.text


def test_importing_the_contract_is_light() -> None:
    """`import ops_lib.mailbox` loads neither exchangelib nor msal nor lxml."""
    code = "import sys, ops_lib.mailbox; print([m for m in ('exchangelib', 'msal', 'lxml', 'requests', 'stamina') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"
