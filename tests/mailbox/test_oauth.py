"""Tokens: asked for once, replaced in time, refused with a reason, and none of exchangelib's traps on the way."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from ops_lib.diagnosis.sign_in_errors import AADSTS, OURS
from ops_lib.diagnosis.statuses import status_of
from ops_lib.errors import InputError, MailboxError, ServerBusy, ServerFailed, SignInRefused, Unreachable
from ops_lib.mailbox.ews import oauth
from ops_lib.mailbox.ews.oauth import UNKNOWN_TENANT_CODE, MsalCredentials, TokenSource, fingerprint, refusal, source_of
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Host, Kind
from tests.mailbox.stub import Asked, Reply, Stub, sync_page

Open = Callable[..., Any]


class World:
    """A directory and an Exchange server behind one TLS stub. ``accepted`` are the tokens the server takes; None: any."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.issued: list[str] = []
        self.seen: list[str] = []
        self.accepted: set[str] | None = None
        self.seconds = 3600
        self.refuse: dict[str, Any] | None = None
        self.refuse_status = 401
        self.same_token = False
        self.together: threading.Barrier | None = None
        self.instead: dict[str, Reply] = {}
        self.stub = Stub(self._play, tls)

    def _play(self, asked: Asked, number: int) -> Reply:
        base = self.stub.url.partition("/EWS")[0]
        as_json = {"Content-Type": "application/json"}
        for ending, reply in self.instead.items():
            if asked.path.endswith(ending):
                return reply
        if asked.path.endswith("openid-configuration"):
            document = {
                "authorization_endpoint": f"{base}/t/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/t/oauth2/v2.0/token",
                "issuer": f"{base}/t/v2.0",
            }
            return Reply(json.dumps(document), headers=as_json)
        if asked.path.endswith("/token"):
            if self.refuse is not None:
                return Reply(json.dumps(self.refuse), self.refuse_status, as_json)
            token = "token-1" if self.same_token else f"token-{len(self.issued) + 1}"
            self.issued.append(token)
            return Reply(
                json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": self.seconds}), headers=as_json
            )
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append(token)
        if self.accepted is not None and token not in self.accepted:
            if self.together is not None:
                self.together.wait()
            return Reply(
                "",
                401,
                {
                    "WWW-Authenticate": 'Bearer error="invalid_token"',
                    "x-ms-diagnostics": '2000001;reason="The token is expired."',
                },
            )
        return Reply(sync_page("s1"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, str(path)


@pytest.fixture
def world(certificates: tuple[ssl.SSLContext, str]) -> Iterator[World]:
    made = World(certificates[0])
    with made.stub:
        yield made
    close_connections()


@pytest.fixture
def sign_in(world: World, certificates: tuple[ssl.SSLContext, str], open_at: Open) -> Open:
    """``sign_in()``: a mailbox of an app of this world."""

    def opened(**changes: Any) -> Any:
        settings = {"auth": "oauth-app", "client_id": "app-1", "tenant_id": "t", "ca_bundle": certificates[1]} | changes
        settings.setdefault("authority", world.stub.url.partition("/EWS")[0])
        return open_at(world.stub.url, **settings)

    return opened


def failing(mailbox: Any) -> MailboxError:
    with pytest.raises(MailboxError) as caught:
        mailbox.changes(Kind.EVENT)
    return caught.value


def test_one_token_serves_every_mailbox_and_thread(world: World, sign_in: Open) -> None:
    """Mailboxes of one app share one token, from several threads, and nothing else is asked of the directory."""

    def work(number: int) -> None:
        sign_in(mailbox=f"user{number}@example.test").changes(Kind.EVENT)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert world.issued == ["token-1"]
    assert world.seen == ["token-1"] * 8


def test_an_app_always_impersonates(world: World, sign_in: Open) -> None:
    """An app has no mailbox: it names the one it works in, also the service account's."""
    sign_in(is_impersonation_account=True).changes(Kind.EVENT)
    assert b"ExchangeImpersonation" in world.stub.asked[-1].body


def test_a_token_near_its_end_is_replaced_before_it_is_used(world: World, sign_in: Open) -> None:
    """A token with too little life left is replaced before the request; the request goes out once."""
    world.seconds = 30
    mailbox = sign_in()
    mailbox.changes(Kind.EVENT)
    mailbox.changes(Kind.EVENT)
    assert world.seen == ["token-1", "token-2"]
    assert mailbox.requests == 2


def test_an_expired_token_is_no_endless_loop(world: World, sign_in: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is expired on arrival (a wrong clock) ends as an error; exchangelib alone would spin for ever."""
    world.seconds = -10
    started = time.process_time()
    error = failing(sign_in())
    assert isinstance(error, ServerFailed | SignInRefused)
    assert time.process_time() - started < 5
    assert world.seen == []


def test_a_token_that_was_withdrawn_is_replaced_once(world: World, sign_in: Open) -> None:
    """A 401 gets one new token and one more try, which really sends the new one; every connection has it from then on."""
    mailbox = sign_in()
    mailbox.changes(Kind.EVENT)
    world.accepted = {"token-2"}
    mailbox.changes(Kind.EVENT)
    mailbox.changes(Kind.EVENT)
    assert world.seen == ["token-1", "token-1", "token-2", "token-2"]
    assert mailbox.requests == 4


@pytest.mark.req("T2")
def test_a_refused_token_is_not_hammered(world: World, sign_in: Open) -> None:
    """A server that takes no token at all is asked twice, once if the directory gives the same again."""
    world.accepted = set()
    error = failing(sign_in())
    assert type(error) is SignInRefused
    assert "The token is expired." in str(error)
    assert world.seen == ["token-1", "token-2"]
    world.same_token = True
    close_connections()
    world.seen.clear()
    failing(sign_in(client_id="app-2"))
    assert world.seen == ["token-1"]


@pytest.mark.parametrize("number", AADSTS)
def test_each_refusal_is_explained(number: str) -> None:
    """Each known AADSTS code is kept verbatim, with what it means and who must act."""
    error = refusal(
        {"error": "invalid_client", "error_description": f"AADSTS{number}: text. Trace ID: x"}, "alice@example.test"
    )
    assert type(error) is SignInRefused
    assert error.response_code == f"AADSTS{number}"
    assert AADSTS[number].meaning in str(error)
    assert error.fix.endswith(".")


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (
            {"error": "invalid_client", "error_description": "AADSTS4242424: something new"},
            SignInRefused,
            "AADSTS4242424",
        ),
        ({"error": "invalid_client", "error_codes": [7000215]}, SignInRefused, "AADSTS7000215"),
        ({"error": "temporarily_unavailable", "error_description": "AADSTS90033: later"}, ServerBusy, "AADSTS90033"),
        ({"error": "invalid_scope"}, SignInRefused, "invalid_scope"),
        ({}, SignInRefused, "no token"),
    ],
)
def test_refusals_nobody_knows(answer: dict[str, Any], error: type[MailboxError], code: str) -> None:
    """Whether to try again follows the OAuth error; the code is only explained."""
    found = refusal(answer, "x")
    assert (type(found), found.response_code) == (error, code)


def test_a_wrong_secret_reaches_nobodys_mailbox(world: World, sign_in: Open) -> None:
    """A refused secret is SignInRefused with its code; the mail server is not asked; the next sign-in works."""
    world.refuse = {
        "error": "invalid_client",
        "error_description": "AADSTS7000215: Invalid client secret provided.",
        "error_codes": [7000215],
    }
    mailbox = sign_in()
    error = failing(mailbox)
    assert (type(error), error.response_code) == (SignInRefused, "AADSTS7000215")
    assert "column Value" in error.fix
    assert (world.seen, mailbox.requests) == ([], 0)
    world.refuse = None
    assert mailbox.changes(Kind.EVENT).sync_state == "s1"


def test_a_directory_that_fails_is_no_refusal(world: World, sign_in: Open) -> None:
    """5xx of the directory is a failure that may pass; MSAL holds further questions back for a minute, so it is asked once."""
    world.refuse, world.refuse_status = {"error": "x"}, 503
    mailbox = sign_in()
    error = failing(mailbox)
    assert type(error) is ServerFailed
    assert error.transient
    assert sum(asked.path.endswith("/token") for asked in world.stub.asked) == 1
    assert mailbox.requests == 0


@pytest.mark.parametrize("asked_for", ["/openid-configuration", "/token"])
def test_a_page_in_place_of_the_directorys_answer_is_no_refusal(world: World, sign_in: Open, asked_for: str) -> None:
    """A proxy's page where the directory should answer, with status 200, passes: nothing is said of the tenant, and it is asked again."""
    world.instead[asked_for] = Reply("<html>proxy login</html>", headers={"Content-Type": "text/html"})
    mailbox = sign_in()
    error = failing(mailbox)
    assert type(error) is ServerFailed
    assert error.transient
    assert "tenant" not in str(error)
    assert "proxy" in error.fix
    assert status_of(error) == "Error - Not Syncing"
    world.instead.clear()
    assert list(mailbox.changes(Kind.EVENT).items) == []


def test_a_tenant_that_does_not_exist_is_named_by_its_code(world: World, sign_in: Open) -> None:
    """What the directory says of an unknown tenant, while it is asked for its addresses, is explained by its code."""
    said = {
        "error": "invalid_tenant",
        "error_description": "AADSTS90002: Tenant 't' not found.",
        "error_codes": [90002],
    }
    world.instead["/openid-configuration"] = Reply(json.dumps(said), 400, {"Content-Type": "application/json"})
    error = failing(sign_in())
    assert isinstance(error, SignInRefused)
    assert error.response_code == "AADSTS90002"
    assert (error.message, error.fix) == (AADSTS["90002"].meaning, AADSTS["90002"].fix)
    assert world.seen == []


def test_a_directory_that_is_none_is_quoted(world: World, sign_in: Open) -> None:
    """Where the tenant's addresses are refused without a code, what was answered is shown."""
    world.instead["/openid-configuration"] = Reply("no such page", 404)
    error = failing(sign_in())
    assert isinstance(error, SignInRefused)
    assert error.response_code == UNKNOWN_TENANT_CODE
    assert UNKNOWN_TENANT_CODE in OURS
    assert "does not know this tenant" in error.message
    assert "404" in error.message
    assert "authority" in error.fix


def test_a_directory_out_of_reach_is_unreachable(sign_in: Open) -> None:
    """No directory: Unreachable, never an exception of the HTTP library."""
    assert type(failing(sign_in(authority="https://127.0.0.1:1"))) is Unreachable


def test_a_directory_with_a_foreign_certificate_is_unreachable(sign_in: Open, tmp_path: Path) -> None:
    """The directory's certificate is checked against the host's own CA bundle."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    assert type(failing(sign_in(ca_bundle=str(other)))) is Unreachable


def test_the_hosts_ca_wins_over_the_environment(
    world: World, sign_in: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is reached with the host's CA bundle whatever the environment names."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    assert sign_in().changes(Kind.EVENT).sync_state == "s1"


def _host(**changes: Any) -> Host:
    values: dict[str, Any] = {
        "host_id": "h",
        "name": "H",
        "url": "https://x/EWS/Exchange.asmx",
        "auth": "oauth-app",
        "access": "impersonation",
    }
    return Host(**values | {"client_id": "c", "tenant_id": "t"} | changes)


@pytest.mark.req("H2")
def test_one_registration_on_several_hosts_is_one_source() -> None:
    """The same app registration entered on two hosts is asked for tokens once; another secret or tenant is another."""
    assert source_of(_host(name="A"), "s") is source_of(_host(name="B", host_id="b"), "s")
    assert source_of(_host(), "s") is not source_of(_host(), "other")
    assert source_of(_host(), "s") is not source_of(_host(tenant_id="u"), "s")


@pytest.mark.parametrize(
    ("host", "authority", "overridden"),
    [
        (_host(), "https://login.microsoftonline.com/t", False),
        (_host(authority="https://login.example.test/"), "https://login.example.test/t", True),
        (_host(authority="https://login.example.test/other"), "https://login.example.test/other", True),
    ],
)
def test_where_the_directory_is(host: Host, authority: str, overridden: bool) -> None:
    """Microsoft's directory unless the host names another; one that is named whole is taken whole."""
    app = source_of(host, "s")._app
    assert (app.authority, app.overridden) == (authority, overridden)


def test_a_directory_without_tls_is_refused() -> None:
    """A secret is not sent without TLS."""
    with pytest.raises(InputError):
        source_of(_host(authority="http://login.example.test"), "s")


class _Source(TokenSource):
    """A source whose tokens are given one by one."""

    def __init__(self, *tokens: Any) -> None:
        self.tokens = list(tokens)

    def token(self, subject: str) -> dict[str, Any]:
        found = self.tokens.pop(0)
        if isinstance(found, Exception):
            raise found
        return {"access_token": found, "expires_in": 100}


def test_the_credentials_never_raise_inside_exchangelib() -> None:
    """What fails, fails before a session is taken; `refresh`, which exchangelib calls while it holds one, does nothing."""
    now = [1000.0]
    credentials = MsalCredentials(_Source("a", SignInRefused("no"), "b"), clock=lambda: now[0])
    credentials.make_current("x")
    credentials.make_current("x")
    assert credentials.client.access_token == credentials.access_token["access_token"] == "a"
    now[0] += 100 - oauth.EARLY_SECONDS + 1
    with pytest.raises(SignInRefused):
        credentials.make_current("x")
    credentials.refresh(session=None)
    assert credentials.client.access_token == "a"
    credentials.make_current("x")
    assert credentials.client.access_token == credentials.access_token["access_token"] == "b"
    assert isinstance(credentials.sig(), int)


@pytest.mark.req("A9")
def test_threads_whose_token_was_withdrawn_share_another_one(world: World, sign_in: Open) -> None:
    """Requests that were refused with one token, all before it was replaced, cost one question to the directory, and each is sent again."""
    mailboxes = [sign_in(mailbox=f"user{number}@example.test") for number in range(6)]
    mailboxes[0].changes(Kind.EVENT)
    world.together = threading.Barrier(len(mailboxes), timeout=20)
    world.accepted = {f"token-{number}" for number in range(2, 20)}
    done: list[str] = []
    threads = [
        threading.Thread(target=lambda each=each: done.append(each.changes(Kind.EVENT).sync_state))
        for each in mailboxes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert done == ["s1"] * len(mailboxes)
    assert world.issued == ["token-1", "token-2"]


def test_a_token_that_somebody_else_replaced_is_not_replaced_again(
    world: World, certificates: tuple[ssl.SSLContext, str]
) -> None:
    """What is asked for is another token than the refused one: the source's present one, where that is another already."""
    address = world.stub.url.partition("/EWS")[0]
    source = source_of(_host(authority=address, ca_bundle=certificates[1]), "replaced")
    refused = fingerprint(source.token("x")["access_token"])
    assert [source.new_token("x", refused)["access_token"] for _ in range(3)] == ["token-2"] * 3
    assert source.new_token("x", fingerprint("token-2"))["access_token"] == "token-3"


def test_no_secret_is_shown() -> None:
    """Neither the credentials nor their source print a token or a secret."""
    credentials = MsalCredentials(_Source("very-secret-token"))
    credentials.make_current("x")
    shown = f"{credentials!r} {credentials} {source_of(_host(), 'very-secret-value')!r}"
    assert "very-secret" not in shown
