"""`host check`: every step in order, the first that fails with what to do, in time whatever the other side does."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from ops_lib.access.host_check import HostCheck, Step, check_host
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Account, Host
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.mailbox.stub import Asked, Reply, Stub, failure, fault, response, success
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, SERVICE

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
PASSWORD = "correct horse battery staple"
ACCOUNT = Account(account_id="1", host_id="1", user_id="1", user_email=ALICE, mailbox=ALICE, time_zone="UTC")
HOST = Host(
    host_id="1", name="exchange", url="", auth="basic", access="impersonation", service_user=SERVICE, secret="env:X"
)
CHALLENGE = Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
Check = Callable[..., HostCheck]


@pytest.fixture(autouse=True)
def _no_connections_left() -> Iterator[None]:
    yield
    close_connections()


@pytest.fixture
def check(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """``check(url, access="delegate", …)``: a check with the workspace's own sign-ins, of alice's mailbox unless told otherwise."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    workspace = Workspace.open(run.workspace)

    def checked(
        url: str,
        *,
        account: Account | None = ACCOUNT,
        password: str = PASSWORD,
        seconds: float = 5.0,
        claims: Mapping[str, str] | None = None,
        **host: object,
    ) -> HostCheck:
        return check_host(
            replace(HOST, url=url, **host),  # type: ignore[arg-type]
            account,
            secret=lambda reference: password,
            sign_ins=workspace.access,
            now=NOW,
            claims=claims,
            seconds=seconds,
        )

    yield checked
    workspace.close()


def failed(found: HostCheck) -> Step:
    """The one step that failed, which is the last."""
    assert found.verdict == "fail"
    assert [each.step for each in found.steps if each.verdict == "fail"] == [found.steps[-1].step]
    assert found.steps[-1].next_step
    assert PASSWORD not in repr(found)
    return found.steps[-1]


@contextmanager
def talker(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does with each connection what ``serve`` does; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def each() -> None:
        with suppress(OSError), ExitStack() as open_ones:
            while True:
                connection, _ = listener.accept()
                open_ones.enter_context(connection)
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with suppress(OSError):
            serve(connection)

    threading.Thread(target=each, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def certificate(authority: trustme.CA, *names: str, **options: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)  # type: ignore[arg-type]
    return context


def rights(*missing: str) -> str:
    names = ("Delete", "Modify", "Read", "CreateContents")
    values = "".join(f"<t:{each}>{'false' if each in missing else 'true'}</t:{each}>" for each in names)
    return f"<t:EffectiveRights>{values}</t:EffectiveRights>"


def folder(name: str, *missing: str) -> str:
    element = "CalendarFolder" if name == "Calendar" else "TasksFolder"
    return success(
        "GetFolder",
        f'<m:Folders><t:{element}><t:FolderId Id="x"/><t:DisplayName>{name}</t:DisplayName><t:TotalCount>7</t:TotalCount>'
        f"{rights(*missing)}</t:{element}></m:Folders>",
    )


def item(*missing: str) -> str:
    held = f'<t:CalendarItem><t:ItemId Id="x" ChangeKey="y"/>{rights(*missing)}</t:CalendarItem>'
    return success(
        "FindItem",
        f'<m:RootFolder TotalItemsInView="1" IncludesLastItemInRange="true"><t:Items>{held}</t:Items></m:RootFolder>',
    )


def resolution(*addresses: str) -> str:
    held = "".join(
        f"<t:Resolution><t:Mailbox><t:EmailAddress>{each}</t:EmailAddress></t:Mailbox></t:Resolution>"
        for each in addresses
    )
    return success("ResolveNames", f'<m:ResolutionSet TotalItemsInView="1">{held}</m:ResolutionSet>')


def exchange(
    *, calendar: str = "", tasks: str = "", found: str = "", resolved: str = "", to_impersonation: str = ""
) -> Callable[[Asked, int], Reply]:
    """A server that asks to sign in and shows two folders with an item in each."""

    def answer(asked: Asked, number: int) -> Reply:
        if "Authorization" not in asked.headers:
            return CHALLENGE
        if to_impersonation and b"ExchangeImpersonation" in asked.body:
            return Reply(to_impersonation, status=500)
        if b"ResolveNames" in asked.body:
            return Reply(response("ResolveNames", resolved or resolution(ALICE)))
        if b"FindItem" in asked.body:
            return Reply(response("FindItem", found or item()))
        if b'Id="tasks"' in asked.body:
            return Reply(response("GetFolder", tasks or folder("Tasks")))
        return Reply(response("GetFolder", calendar or folder("Calendar")))

    return answer


# ── all well ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_host_that_works_shows_every_step(check: Check, sandbox: Sandbox) -> None:
    """Over HTTPS with a private CA: ten green steps with what was seen, seven requests, and nothing written."""
    found = check(sandbox.ews_url_https, ca_bundle=str(sandbox.ca_file), password=sandbox.passwords[SERVICE])
    assert [(each.step, each.verdict) for each in found.steps] == [
        (step, "ok")
        for step in (
            "settings",
            "name",
            "connection",
            "TLS",
            "EWS",
            "sign-in",
            "impersonation",
            "address",
            "calendar",
            "tasks",
        )
    ]
    seen = {each.step: each.observed for each in found.steps}
    assert "TLSv1.3, a certificate for 127.0.0.1" in seen["TLS"]
    assert "offers" in seen["EWS"]
    assert "svc@example.test with basic" in seen["sign-in"]
    assert seen["impersonation"] == "opens alice@example.test"
    assert seen["tasks"] == "Tasks, 0 items; may read, create, change and delete"
    assert (sandbox.requests.total("GetFolder"), sandbox.requests.total("FindItem")) == (3, 2)
    assert sandbox.requests.total("ResolveNames") == 1
    assert sandbox.requests.total() == 7


def test_without_an_account_everything_else_is_tried(check: Check, sandbox: Sandbox) -> None:
    """A host that nobody is on yet is tried up to the sign-in; what is left is named, and it is no failure."""
    found = check(sandbox.ews_url, account=None, password=sandbox.passwords[SERVICE])
    assert (found.verdict, found.steps[-1].step, found.steps[-1].verdict) == ("warn", "mailbox", "skipped")
    assert found.steps[-2].observed == "the server accepts svc@example.test with basic"
    own = check(sandbox.ews_url, account=None, access="direct", service_user="", secret="")
    assert [each.verdict for each in own.steps[-2:]] == ["skipped", "skipped"]


def test_the_service_account_s_own_mailbox_proves_no_impersonation(check: Check, sandbox: Sandbox) -> None:
    """The service account opens its own mailbox as itself: the step is not taken for green."""
    own = replace(ACCOUNT, mailbox=SERVICE, user_email=SERVICE, is_impersonation_account=True)
    found = check(sandbox.ews_url, account=own, password=sandbox.passwords[SERVICE])
    assert next(each for each in found.steps if each.step == "impersonation").verdict == "skipped"
    assert found.verdict == "warn"


# ── up to the server ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_name_that_nobody_knows(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without an address stops everything at the second step."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    step = failed(check("https://mail.example.test/EWS/Exchange.asmx"))
    assert (step.step, step.response_code) == ("name", "DNS")
    assert "mail.example.test has no address here" in step.observed


def test_a_name_service_that_hangs(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that never answers is given up."""
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(60))
    step = failed(check("https://mail.example.test/EWS/Exchange.asmx", seconds=0.1))
    released.set()
    assert "nobody answered in time" in step.observed


def test_a_port_that_nobody_listens_on(check: Check) -> None:
    """A refused connection names host and port."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        step = failed(check(f"https://127.0.0.1:{port}/EWS/Exchange.asmx"))
    assert (step.step, step.response_code) == ("connection", "TCP")
    assert f"127.0.0.1:{port}: the connection was refused" in step.observed


@pytest.mark.parametrize(
    ("names", "days", "is_known", "words", "mend"),
    [
        (("127.0.0.1",), 90, False, "not trusted: .*; it shows a certificate for 127.0.0.1 by .*; trusted are the host's CA bundle", "--ca-bundle"),
        (("mail.example.test",), 90, True, "mismatch.*certificate for mail.example.test", "the name in the certificate"),
        (("127.0.0.1",), -1, True, "certificate has expired.*until", "renew the server's certificate"),
    ],
)  # fmt: skip
def test_a_certificate_that_does_not_hold(
    check: Check, tmp_path: Path, names: tuple[str, ...], days: int, is_known: bool, words: str, mend: str
) -> None:
    """An unknown authority, another name, an old certificate: red with whose certificate it is, and nothing was sent."""
    authority, other = trustme.CA(), trustme.CA()
    (authority if is_known else other).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = certificate(authority, *names, not_after=datetime.now(UTC) + timedelta(days=days))
    with Stub([], context) as stub:
        step = failed(check(stub.url, ca_bundle=str(tmp_path / "ca.pem")))
        assert stub.asked == []
    assert (step.step, step.response_code) == ("TLS", "TLS")
    assert re.search(words, step.observed), step.observed
    assert mend in step.next_step


def test_a_certificate_that_ends_soon_is_a_warning(check: Check, tmp_path: Path) -> None:
    """Within thirty days of its end the certificate is spoken of, and the check goes on."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = certificate(authority, "127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=3650))
    with Stub(exchange(), context) as stub:
        found = check(stub.url, ca_bundle=str(tmp_path / "ca.pem"))
        assert found.verdict == "ok"
    soon = certificate(authority, "127.0.0.1", not_after=max(NOW, datetime.now(UTC)) + timedelta(days=20))
    with Stub(exchange(), soon) as stub:
        found = check(stub.url, ca_bundle=str(tmp_path / "ca.pem"))
    step = next(each for each in found.steps if each.step == "TLS")
    assert found.verdict == step.verdict == "warn"
    assert "renew the server's certificate" in step.next_step


def test_a_server_that_speaks_no_tls(check: Check) -> None:
    """Plain HTTP behind https is called that."""
    with Stub([]) as stub:
        step = failed(check(stub.url.replace("http:", "https:")))
    assert (step.step, step.observed) == ("TLS", "what answers there does not speak TLS")


def test_a_server_with_old_tls_only(check: Check, tmp_path: Path) -> None:
    """TLS 1.1 is refused, with what to turn on."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    old = certificate(authority, "127.0.0.1")
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with Stub([], old) as stub:
        step = failed(check(stub.url, ca_bundle=str(tmp_path / "ca.pem")))
    assert (step.step, step.observed) == ("TLS", "the server has no TLS 1.2 or newer")


# ── what answers there ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("reply", "words", "code"),
    [
        (Reply("<html><body>Welcome to Outlook</body></html>", headers={"Content-Type": "text/html"}), "no EWS: Welcome to Outlook", "HTTP 200"),
        (Reply("nonsense"), "no EWS: nonsense", "HTTP 200"),
        (Reply(""), "what answers is no EWS", "HTTP 200"),
        (Reply(status=404), "no Exchange Web Service at this URL", "HTTP 404"),
        (Reply(status=302, headers={"Location": "https://login.example.test/?secret=1"}), "sends us elsewhere (https://login.example.test/)", "HTTP 302"),
        (Reply(status=403, headers={"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}), "EWS is disabled for this user or tenant", "HTTP 403"),
        (Reply(status=503), "asks for a pause", "HTTP 503"),
        (Reply("x" * 100, cut_after=10), "broke off", "HTTP"),
        (Reply(drop=True), "broke off", "HTTP"),
        (Reply(status=401, headers={"WWW-Authenticate": "Bearer"}), "offers Bearer, and the host is set to basic", "HTTP 401"),
    ],
)  # fmt: skip
def test_what_answers_and_is_no_exchange(check: Check, reply: Reply, words: str, code: str) -> None:
    """A page, nonsense, a redirect, a closed door: red at EWS, before any credentials were sent."""
    with Stub(lambda asked, number: reply) as stub:
        step = failed(check(stub.url))
        assert all("Authorization" not in each.headers for each in stub.asked)
    assert (step.step, step.response_code) == ("EWS", code)
    assert words in step.observed
    assert "secret=1" not in step.observed


def test_a_server_that_hangs(check: Check) -> None:
    """A connection that is taken and never answered, in plain and in the TLS handshake, is given up."""
    with talker(lambda connection: threading.Event().wait(30)) as port:
        plain = failed(check(f"http://127.0.0.1:{port}/EWS/Exchange.asmx", seconds=0.2))
        secure = failed(check(f"https://127.0.0.1:{port}/EWS/Exchange.asmx", seconds=0.2))
    assert (plain.step, secure.step) == ("EWS", "TLS")
    assert "no whole answer in time" in plain.observed
    assert "no answer in time" in secure.observed


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"])
def test_a_server_that_drips(check: Check, head: bytes) -> None:
    """A byte now and then, in a header or a body, is no answer: given up, although something came all the time."""

    def drip(connection: socket.socket) -> None:
        if not connection.recv(65536):
            return
        connection.sendall(head)
        while not threading.Event().wait(0.02):
            connection.sendall(b"x")

    with talker(drip) as port:
        step = failed(check(f"http://127.0.0.1:{port}/EWS/Exchange.asmx", seconds=0.2))
    assert (step.step, step.observed) == ("EWS", "the server takes the request, but there is no whole answer in time")


# ── signed in ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_refused_password_is_sent_once(check: Check, sandbox: Sandbox) -> None:
    """A wrong password is red at the sign-in; trying again sends nothing until the password is another one."""
    step = failed(check(sandbox.ews_url, password="wrong"))
    assert (step.step, step.response_code) == ("sign-in", "HTTP 401")
    refused = sandbox.requests.total()
    step = failed(check(sandbox.ews_url, password="wrong"))
    assert step.step == "sign-in"
    assert sandbox.requests.total() == refused + 1  # the question who is there, without credentials
    assert check(sandbox.ews_url, password=sandbox.passwords[SERVICE]).verdict == "ok"


@pytest.mark.parametrize(
    ("server", "step", "code", "mend"),
    [
        (exchange(to_impersonation=fault("ErrorImpersonateUserDenied")), "impersonation", "ErrorImpersonateUserDenied", "ApplicationImpersonation"),
        (exchange(to_impersonation=fault("ErrorNonExistentMailbox")), "impersonation", "ErrorNonExistentMailbox", "mailbox address"),
        (exchange(calendar=folder("Calendar", "CreateContents")), "calendar", "ErrorAccessDenied", "Editor"),
        (exchange(found=item("Delete")), "calendar", "ErrorAccessDenied", "Editor"),
        (exchange(found=failure("FindItem", "ErrorItemNotFound")), "calendar", "ErrorItemNotFound", "Editor"),
        (exchange(tasks=failure("GetFolder", "ErrorFolderNotFound")), "tasks", "ErrorFolderNotFound", "Editor"),
        (exchange(tasks=folder("Calendar")), "tasks", "GetFolder", "in Outlook"),
    ],
)  # fmt: skip
def test_what_the_account_may_not(
    check: Check, server: Callable[[Asked, int], Reply], step: str, code: str, mend: str
) -> None:
    """No impersonation, no mailbox, a folder that may not be written or is not there: red where it is, with the code."""
    with Stub(server) as stub:
        found = failed(check(stub.url))
    assert (found.step, found.response_code) == (step, code)
    assert mend in found.next_step


@pytest.mark.parametrize("access", ["impersonation", "delegate", "direct"])
def test_each_access_type_is_tried_as_it_is_used(check: Check, sandbox: Sandbox, access: str) -> None:
    """Without the right, each access type fails where the sync would: the service account at the mailbox, a user nowhere."""
    sandbox.organisation.revoke_impersonation(SERVICE)
    login = ALICE if access == "direct" else SERVICE
    own = replace(ACCOUNT, secret="env:ALICE")
    found = check(sandbox.ews_url, account=own, access=access, password=sandbox.passwords[login])
    if access == "direct":
        assert (found.verdict, found.steps[6].step) == ("ok", "own mailbox")
    else:
        assert failed(found).step == {"impersonation": "impersonation", "delegate": "delegate access"}[access]


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("Editor", None),
        ("Author", "Calendar, 1 items; missing: Modify, Delete"),
        ("Reviewer", "Calendar, 1 items; missing: CreateContents"),
        ("Contributor", "has no right"),
    ],
)
def test_a_delegate_is_judged_by_what_it_may_do_to_items(
    check: Check, sandbox: Sandbox, level: str, words: str | None
) -> None:
    """An Editor is green in an empty calendar and in a full one; lower levels are red with the rights they lack on the user's own items."""
    for name in ("calendar", "tasks"):
        sandbox.organisation.set_permission(ALICE, name, SERVICE, "Editor")
    options = {"access": "delegate", "password": sandbox.passwords[SERVICE]}
    empty = check(sandbox.ews_url, **options)
    assert empty.verdict == "ok"
    assert "no item yet" in empty.steps[-1].observed
    sandbox.organisation.create_item(
        ALICE, "calendar", {"item:Subject": "Own", "calendar:Start": NOW, "calendar:End": NOW + timedelta(hours=1)}
    )
    sandbox.organisation.set_permission(ALICE, "calendar", SERVICE, level)
    found = check(sandbox.ews_url, **options)
    if words is None:
        assert found.verdict == "ok"
        assert found.steps[-2].observed == "Calendar, 1 items; may read, create, change and delete"
        return
    step = failed(found)
    assert (step.step, step.response_code) == ("calendar", "ErrorAccessDenied")
    assert words in step.observed


@pytest.mark.parametrize(
    ("claims", "verdict", "words"),
    [
        ({}, "warn", "is an alias of dora@example.test"),
        ({"dora@example.test": "bob@example.test"}, "warn", "is an alias of dora@example.test"),
        ({"dora@example.test": "carol@example.test"}, "fail", "which belongs to the account of carol@example.test"),
    ],
)
def test_an_alias_is_found_out(check: Check, claims: dict[str, str], verdict: str, words: str) -> None:
    """Where a server opens a mailbox by its alias too, the check names the primary address, and whose account claims it already."""
    alias = replace(ACCOUNT, mailbox="d.ora@example.test", user_email="bob@example.test")
    with Stub(exchange(resolved=resolution("dora@example.test"))) as stub:
        found = check(stub.url, claims=claims, account=alias)
    step = next(each for each in found.steps if each.step == "address")
    assert (found.verdict, step.verdict) == (verdict, verdict)
    assert words in step.observed
    assert step.next_step


@pytest.mark.parametrize("access", ["impersonation", "delegate"])
def test_exchange_refuses_an_alias_itself(check: Check, sandbox: Sandbox, access: str) -> None:
    """Exchange wants the primary address: an alias is red where the mailbox is opened, with the code and what to enter."""
    sandbox.organisation.add_mailbox(
        "dora@example.test", password="x", name="Dora", zone="UTC", aliases=["d.ora@example.test"]
    )
    sandbox.organisation.grant_impersonation(SERVICE, None)
    for name in ("calendar", "tasks"):
        sandbox.organisation.set_permission("dora@example.test", name, SERVICE, "Editor")
    alias = replace(ACCOUNT, mailbox="d.ora@example.test", user_email="d.ora@example.test")
    step = failed(check(sandbox.ews_url, access=access, account=alias, password=sandbox.passwords[SERVICE]))
    assert (step.step, step.response_code) == (
        {"impersonation": "impersonation", "delegate": "delegate access"}[access],
        "ErrorNonPrimarySmtpAddress",
    )
    assert "primary" in step.next_step


@pytest.mark.parametrize(
    "resolved",
    [
        failure("ResolveNames", "ErrorNameResolutionNoResults"),
        resolution("a@example.test", "b@example.test"),
        fault("ErrorServerBusy"),
    ],
)
def test_an_address_that_the_directory_does_not_explain_is_not_taken_for_good(check: Check, resolved: str) -> None:
    """A mailbox that is hidden from the directory, or a directory that does not answer: said, and the check goes on."""
    with Stub(exchange(resolved=resolved)) as stub:
        found = check(stub.url)
    assert (found.verdict, found.steps[-1].step) == ("warn", "tasks")
    assert next(each for each in found.steps if each.step == "address").verdict == "skipped"


# ── through a proxy ──────────────────────────────────────────────────────────────────────────────────────────────────
def relay(log: list[bytes], status: bytes = b"200 Connection established") -> Callable[[socket.socket], None]:
    """A proxy that tunnels, or answers ``status``."""

    def serve(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        log.append(head)
        connection.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")
        if not status.startswith(b"200"):
            return
        host, _, port = head.split()[1].decode().partition(":")
        with socket.create_connection((host, int(port))) as server:
            back = threading.Thread(target=pour, args=(server, connection), daemon=True)
            back.start()
            pour(connection, server)
            back.join(5)

    def pour(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    return serve


def test_a_proxy_of_the_environment_is_used_and_named(
    check: Check, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With HTTPS_PROXY every connection goes through it, and the check says so, without its password; NO_PROXY leaves it out."""
    log: list[bytes] = []
    options = {"ca_bundle": str(sandbox.ca_file), "password": sandbox.passwords[SERVICE]}
    with talker(relay(log)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:hunter2@127.0.0.1:{port}")
        found = check(sandbox.ews_url_https, **options)
        assert found.verdict == "ok", found
        through = len(log)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        close_connections()
        assert check(sandbox.ews_url_https, **options).verdict == "ok"
    assert through >= 4
    assert len(log) == through
    assert all(b"Proxy-Authorization: Basic" in each for each in log)
    assert f"the proxy 127.0.0.1:{port} (from HTTPS_PROXY)" in found.steps[2].observed
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("status", "mend"),
    [(b"407 Proxy Authentication Required", "user and password into HTTPS_PROXY"), (b"403 Forbidden", "allowed at the proxy"), (b"502 Bad Gateway", "NO_PROXY")],
)  # fmt: skip
def test_a_proxy_that_does_not_let_us_through(
    check: Check, monkeypatch: pytest.MonkeyPatch, status: bytes, mend: str
) -> None:
    """A proxy that wants a password, or forbids the server: red at the connection with the proxy's name and variable."""
    with talker(relay([], status)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{port}")
        step = failed(check("https://mail.example.test/EWS/Exchange.asmx"))
    assert (step.step, step.response_code) == ("connection", f"HTTP {status[:3].decode()}")
    assert f"127.0.0.1:{port} (from HTTPS_PROXY)" in step.observed
    assert mend in step.next_step
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    assert "no http or https address" in failed(check("https://mail.example.test/EWS/Exchange.asmx")).observed
