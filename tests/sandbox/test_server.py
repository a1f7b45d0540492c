"""The sandbox as an HTTP server: who gets in, what is a request at all, connections, control, start and end."""

from __future__ import annotations

import base64
import concurrent.futures
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from lxml import etree

from ops_lib.errors import SandboxError
from ops_lib.sandbox import meetings
from ops_lib.sandbox.server import Sandbox
from ops_lib.sandbox.values import Person
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE, outlook_account
from tests.support.soap import NAMESPACES, XML, codes, create_events, envelope, get_folder, session


def basic(login: str, password: str) -> dict[str, str]:
    """The header of a sign-in by password."""
    return {**XML, "Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


def post(sandbox: Sandbox, body: bytes, headers: dict[str, str], url: str = "") -> requests.Response:
    """One POST on a connection of its own."""
    with requests.Session() as http_session:
        http_session.trust_env = False
        return http_session.post(url or sandbox.ews_url, data=body, headers=headers, timeout=10)


# -- who gets in -------------------------------------------------------------------------------------------------------


def test_right_password(sandbox: Sandbox) -> None:
    """A user with the right password reads their own calendar folder."""
    answer = session(sandbox).post(sandbox.ews_url, data=envelope(get_folder()))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert codes(answer) == ["NoError"]


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic " + base64.b64encode(b"alice@example.test:wrong").decode(),
        "Basic " + base64.b64encode(b"nobody@example.test:x").decode(),
        "Basic " + base64.b64encode(b"alice@example.test").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic %%%",
        "Basic",
        "Negotiate YII=",
        "Bearer",
        "Bearer abc.def.ghi",
    ],
)
def test_not_signed_in(sandbox: Sandbox, authorization: str) -> None:
    """Without a valid sign-in there is a 401 that offers Basic and Bearer as Exchange does, and nothing is looked at."""
    headers = {**XML, "Authorization": authorization} if authorization else XML
    answer = post(sandbox, envelope(create_events("x")), headers)
    assert answer.status_code == 401
    challenges = answer.headers["WWW-Authenticate"]
    assert 'Basic realm="' in challenges
    assert 'Bearer client_id="00000002-0000-0ff1-ce00-000000000000", trusted_issuers=' in challenges
    assert "Connection" not in answer.headers
    assert sandbox.requests.document()["operations"] == {"(refused)": 1}


@pytest.mark.parametrize("login", ["ALICE@Example.test", "alice", "EXAMPLE\\alice"])
def test_login_names(sandbox: Sandbox, login: str) -> None:
    """A login may be the address in any case, the bare name, or DOMAIN\\name, as on a Windows server."""
    assert post(sandbox, envelope(get_folder()), basic(login, sandbox.passwords[ALICE])).status_code == 200


def test_right_password_without_rights(sandbox: Sandbox) -> None:
    """Who signed in but has no rights on a mailbox gets an EWS error, not a 401."""
    answer = session(sandbox, BOB).post(sandbox.ews_url, data=envelope(get_folder(mailbox=ALICE)))
    assert answer.status_code == 200
    assert codes(answer)[0].startswith("Error")


@pytest.mark.req("H4")
def test_impersonation_needs_the_right(sandbox: Sandbox) -> None:
    """The service account acts as a user; an ordinary user who tries gets ErrorImpersonateUserDenied as a SOAP fault."""
    body = envelope(get_folder(), acting_as=ALICE)
    granted = session(sandbox, SERVICE).post(sandbox.ews_url, data=body)
    assert (granted.status_code, codes(granted)) == (200, ["NoError"])
    denied = session(sandbox, BOB).post(sandbox.ews_url, data=body)
    assert (denied.status_code, codes(denied)) == (500, ["ErrorImpersonateUserDenied"])


# -- what is a request at all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/EWS/Exchange.asmx", "/ews/exchange.asmx", "/Ews/EXCHANGE.ASMX"])
def test_path_in_any_case(sandbox: Sandbox, path: str) -> None:
    """The endpoint's path is read in any case, as by IIS."""
    url = sandbox.ews_url.replace("/EWS/Exchange.asmx", path)
    assert session(sandbox).post(url, data=envelope(get_folder())).status_code == 200


def test_other_paths(sandbox: Sandbox) -> None:
    """A path nobody answers is 404, and Graph says that it is not there yet."""
    root = sandbox.ews_url.removesuffix("/EWS/Exchange.asmx")
    assert requests.get(f"{root}/owa").status_code == 404
    graph = session(sandbox).get(sandbox.document()["graph_url"] + "/v1.0/me")
    assert (graph.status_code, graph.json()["error"]["code"]) == (501, "notImplemented")


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("HEAD", 200), ("PUT", 405), ("DELETE", 405)])
def test_other_methods(sandbox: Sandbox, method: str, status: int) -> None:
    """GET and HEAD show the service page to who signed in; other methods are not allowed; nobody else sees anything."""
    answer = session(sandbox).request(method, sandbox.ews_url)
    assert answer.status_code == status
    if method == "GET":
        assert "You have created a service" in answer.text
    if method == "HEAD":
        assert answer.content == b""
    if status == 405:
        assert "POST" in answer.headers["Allow"]
    assert requests.request(method, sandbox.ews_url).status_code == 401


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/xml", 200),
        ("text/xml; charset=utf-8", 200),
        ('TEXT/XML; charset="UTF-8"', 200),
        ("text/xml; charset=iso-8859-1", 415),
        ("application/soap+xml; charset=utf-8", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_content_type(sandbox: Sandbox, content_type: str, status: int) -> None:
    """Only text/xml in UTF-8 is read, as by Exchange; anything else is 415 with a sentence that says so."""
    headers = basic(ALICE, sandbox.passwords[ALICE]) | {"Content-Type": content_type}
    answer = post(sandbox, envelope(get_folder()), headers)
    assert answer.status_code == status
    if status == 415:
        assert "was not the expected type 'text/xml; charset=utf-8'" in answer.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "ErrorSchemaValidation"),
        (b"<not closed", "ErrorSchemaValidation"),
        (b"<a/>", "ErrorInvalidRequest"),
        (envelope("<m:NoSuchOperation/>"), "ErrorInvalidRequest"),
        (envelope(get_folder(), version="Exchange1995"), "ErrorInvalidServerVersion"),
    ],
)
def test_unreadable_requests(sandbox: Sandbox, body: bytes, code: str) -> None:
    """What is no request to this server is a SOAP fault with HTTP 500, counted as unreadable."""
    answer = session(sandbox).post(sandbox.ews_url, data=body)
    assert (answer.status_code, codes(answer)) == (500, [code])
    assert sandbox.requests.document()["operations"] == {"(unreadable)": 1}


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_request(sandbox: Sandbox, encoding: str) -> None:
    """A compressed request is understood."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    headers = basic(ALICE, sandbox.passwords[ALICE]) | {"Content-Encoding": encoding}
    assert codes(post(sandbox, pack(envelope(get_folder())), headers)) == ["NoError"]


@pytest.mark.parametrize(("encoding", "status"), [("br", 415), ("gzip", 400)])
def test_compression_that_cannot_be_undone(sandbox: Sandbox, encoding: str, status: int) -> None:
    """A compression nobody knows is 415, a damaged one 400."""
    headers = basic(ALICE, sandbox.passwords[ALICE]) | {"Content-Encoding": encoding}
    assert post(sandbox, gzip.compress(envelope(get_folder()))[:-9], headers).status_code == status


def test_compressed_answer(sandbox: Sandbox) -> None:
    """A long answer is compressed for who accepts gzip, and is the same answer as for who does not."""
    client = session(sandbox)
    body = envelope(create_events(*(f"event {number}" for number in range(40))))
    packed = client.post(sandbox.ews_url, data=body, headers={"Accept-Encoding": "gzip"})
    plain = client.post(sandbox.ews_url, data=body, headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"]) / 2
    assert codes(packed) == codes(plain) == ["NoError"] * 40


def test_request_too_big() -> None:
    """A request over the limit, as sent or as unpacked, is refused with ErrorRequestStreamTooBig and not applied."""
    with Sandbox(largest_request_bytes=20_000) as small:
        body = envelope(create_events(*("event" for _ in range(200))))
        assert len(body) > 20_000
        client = session(small)
        for sent, headers in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
            answer = client.post(small.ews_url, data=sent, headers=headers)
            assert (answer.status_code, codes(answer)) == (500, ["ErrorRequestStreamTooBig"])
        assert client.post(small.ews_url, data=envelope(create_events("one"))).status_code == 200
        assert len(small.organisation.mailbox(ALICE).folder("calendar").items) == 1


# -- connections -------------------------------------------------------------------------------------------------------


def test_one_connection_for_many_requests(sandbox: Sandbox) -> None:
    """A connection is kept through answers, refusals, faults and errors, and no answer asks to close it."""
    address = urlsplit(sandbox.ews_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.connect()
    first = connection.sock
    signed_in = basic(ALICE, sandbox.passwords[ALICE])
    asked = [
        ("POST", envelope(get_folder()), signed_in, 200),
        ("POST", envelope(get_folder()), XML, 401),
        ("POST", b"<broken", signed_in, 500),
        ("POST", b"x", {**signed_in, "Content-Type": "text/plain"}, 415),
        ("GET", None, signed_in, 200),
        ("POST", envelope(get_folder()), signed_in, 200),
    ]
    try:
        for method, body, headers, status in asked:
            connection.request(method, address.path, body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
            assert answer.getheader("Connection") is None
            assert connection.sock is first
    finally:
        connection.close()


def test_expect_continue(sandbox: Sandbox) -> None:
    """A client that waits for 100 Continue before it sends its body (as .NET does) is told to go on."""
    address = urlsplit(sandbox.ews_url)
    body = envelope(get_folder())
    lines = [f"POST {address.path} HTTP/1.1", f"Host: {address.netloc}", "Expect: 100-continue"]
    lines += [f"{name}: {value}" for name, value in basic(ALICE, sandbox.passwords[ALICE]).items()]
    with socket.create_connection((address.hostname, address.port), timeout=10) as raw:
        raw.sendall(("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        raw.sendall(body)
        assert raw.recv(1000).startswith(b"HTTP/1.1 200")


def test_small_answers_do_not_wait(sandbox: Sandbox) -> None:
    """Requests one after the other are not slowed down by Nagle's algorithm, which would make each of them wait for 40 ms."""
    client = session(sandbox)
    client.post(sandbox.ews_url, data=envelope(get_folder()))
    waited = []
    for _ in range(50):
        start = time.perf_counter()
        client.post(sandbox.ews_url, data=envelope(get_folder()))
        waited.append(time.perf_counter() - start)
    assert min(waited) < 0.035  # the quickest: however busy the machine is, one of them is not held up by it


def test_https_with_its_own_authority(sandbox: Sandbox) -> None:
    """HTTPS answers who trusts the CA file, under the address and under localhost, and nobody else."""
    client = session(sandbox)
    for url in (sandbox.ews_url_https, sandbox.ews_url_https.replace("127.0.0.1", "localhost")):
        assert client.post(url, data=envelope(get_folder())).status_code == 200
    client.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        client.post(sandbox.ews_url_https, data=envelope(get_folder()))


def test_many_clients_at_once(sandbox: Sandbox) -> None:
    """Twenty clients write at the same time; every event is there once."""

    def write(number: int) -> list[str]:
        with session(sandbox) as client:
            return codes(client.post(sandbox.ews_url, data=envelope(create_events(f"{number} a", f"{number} b"))))

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answered = list(pool.map(write, range(20)))
    assert answered == [["NoError", "NoError"]] * 20
    items = sandbox.organisation.mailbox(ALICE).folder("calendar").items
    assert len(items) == 40


def test_client_that_goes_away(sandbox: Sandbox) -> None:
    """A request whose connection ends before its body does is not applied, and the server goes on."""
    address = urlsplit(sandbox.ews_url)
    body = envelope(create_events("half"))
    head = "\r\n".join(
        [f"POST {address.path} HTTP/1.1", f"Host: {address.netloc}", f"Content-Length: {len(body)}"]
        + [f"{name}: {value}" for name, value in basic(ALICE, sandbox.passwords[ALICE]).items()]
    )
    with socket.create_connection((address.hostname, address.port), timeout=10) as raw:
        raw.sendall(head.encode() + b"\r\n\r\n" + body[:-10])
    assert session(sandbox).post(sandbox.ews_url, data=envelope(get_folder())).status_code == 200
    assert not sandbox.organisation.mailbox(ALICE).folder("calendar").items


def test_failure_inside_is_a_fault(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """When the sandbox itself fails, the client gets ErrorInternalServerError and the log the trace."""

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(sandbox._behind.face, "answer", fail)
    answer = session(sandbox).post(sandbox.ews_url, data=envelope(get_folder()))
    assert (answer.status_code, codes(answer)) == (500, ["ErrorInternalServerError"])
    assert "on purpose" in caplog.text


# -- control -----------------------------------------------------------------------------------------------------------


def test_requests_are_counted(sandbox: Sandbox) -> None:
    """GET /requests counts per operation and mailbox, where an impersonated mailbox counts and not who impersonates."""
    session(sandbox).post(sandbox.ews_url, data=envelope(get_folder()))
    body = envelope(create_events("x"), acting_as=BOB)
    sent = session(sandbox, SERVICE).post(sandbox.ews_url, data=body)
    drawn = requests.get(f"{sandbox.control_url}/requests").json()
    assert drawn["total"] == 2
    assert drawn["operations"] == {"CreateItem": 1, "GetFolder": 1}
    assert drawn["mailboxes"] == {ALICE: {"GetFolder": 1}, BOB: {"CreateItem": 1}}
    count = next(row for row in drawn["counts"] if row["mailbox"] == BOB)
    assert (count["bytes_in"], count["bytes_out"]) == (len(body), len(sent.content))
    requests.delete(f"{sandbox.control_url}/requests")
    assert requests.get(f"{sandbox.control_url}/requests").json()["total"] == 0


def test_rules_over_http(sandbox: Sandbox) -> None:
    """Rules are added, listed with their hits, removed one by one and cleared over HTTP."""
    url = f"{sandbox.control_url}/faults"
    added = requests.post(url, json={"operation": "GetFolder", "times": 1, "fault": {"status": 503}})
    kept = requests.post(url, json={"operation": "FindItem", "fault": {"drop": "before"}})
    assert (added.status_code, kept.status_code) == (201, 201)
    assert session(sandbox).post(sandbox.ews_url, data=envelope(get_folder())).status_code == 503
    listed = {row["id"]: (row["matched"], row["hits"]) for row in requests.get(url).json()["rules"]}
    assert listed == {added.json()["id"]: (1, 1), kept.json()["id"]: (0, 0)}
    assert requests.get(f"{sandbox.control_url}/requests").json()["rules"][added.json()["id"]] == 1
    assert requests.delete(f"{url}/{added.json()['id']}").status_code == 200
    assert requests.delete(f"{url}/{added.json()['id']}").status_code == 404
    assert requests.delete(url).json() == {"removed": 1}
    assert requests.get(url).json() == {"rules": []}


@pytest.mark.parametrize("body", ["", "{", "[]", '{"fault": {"stauts": 1}}', '{"operation": "GetItm"}'])
def test_bad_rules_over_http(sandbox: Sandbox, body: str) -> None:
    """A rule that cannot be is 400 with what is wrong and how to mend it."""
    answer = requests.post(f"{sandbox.control_url}/faults", data=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "subject", "fix"}
    assert answer.json()["fix"]
    assert requests.get(f"{sandbox.control_url}/faults").json() == {"rules": []}


def test_clock(sandbox: Sandbox) -> None:
    """The organisation's clock can be set, moved on and given back; items are stamped by it."""
    url = f"{sandbox.control_url}/clock"
    assert requests.post(url, json={"now": "2026-11-23T09:00:00Z"}).json() == {"now": "2026-11-23T09:00:00Z"}
    assert requests.post(url, json={"advance_seconds": 90}).json() == {"now": "2026-11-23T09:01:30Z"}
    session(sandbox).post(sandbox.ews_url, data=envelope(create_events("x")))
    (item,) = sandbox.organisation.mailbox(ALICE).folder("calendar").items.values()
    assert item.created.isoformat() == "2026-11-23T09:01:30+00:00"
    for wrong in ({"now": "noon"}, {"now": "2026-11-23T09:00:00"}, {"advance_seconds": "x"}, {}):
        assert requests.post(url, json=wrong).status_code == 400
    requests.post(url, json={"now": None})
    assert abs(sandbox.clock().timestamp() - time.time()) < 5


def test_reset(sandbox: Sandbox) -> None:
    """A reset leaves the accounts and their passwords and takes everything else: content, rules, counts, the clock's setting."""
    client = session(sandbox)
    client.post(sandbox.ews_url, data=envelope(create_events("x")))
    sandbox.faults.add({"fault": {"status": 503}})
    sandbox.clock.advance(10**6)
    assert requests.post(f"{sandbox.control_url}/reset").json() == {"reset": True}
    assert client.post(sandbox.ews_url, data=envelope(get_folder())).status_code == 200
    assert not sandbox.organisation.mailbox(ALICE).folder("calendar").items
    assert sandbox.requests.total() == 1
    assert abs(sandbox.clock().timestamp() - time.time()) < 5


def test_outbox(sandbox: Sandbox) -> None:
    """GET /outbox lists what left the organisation, oldest first; nothing has at first."""
    assert requests.get(f"{sandbox.control_url}/outbox").json() == []
    values = {
        "item:Subject": "Tour",
        "calendar:Start": sandbox.clock(),
        "calendar:End": sandbox.clock(),
        "calendar:RequiredAttendees": [Person("Ruth", "ruth@family.example"), Person("Bob", BOB)],
    }
    event = sandbox.organisation.create_item(ALICE, "calendar", values)
    meetings.invite(event)
    [entry] = requests.get(f"{sandbox.control_url}/outbox").json()
    assert {name: entry[name] for name in ("kind", "class", "from", "to", "subject", "uid", "mailbox")} == {
        "kind": "MeetingRequest",
        "class": "IPM.Schedule.Meeting.Request",
        "from": ALICE,
        "to": ["ruth@family.example"],
        "subject": "Tour",
        "uid": event.values["calendar:UID"],
        "mailbox": ALICE,
    }


# -- OAuth over HTTP ---------------------------------------------------------------------------------------------------


def msal_app(sandbox: Sandbox, *, secret: str = "", client_id: str = "", oidc: bool = False) -> Any:
    """Microsoft's own client library, pointed at the sandbox."""
    import msal

    http_session = requests.Session()
    http_session.trust_env = False
    http_session.verify = str(sandbox.ca_file)
    authority = f"{sandbox.entra_url}/{sandbox.directory.tenant_id}"
    where = {"oidc_authority": f"{authority}/v2.0"} if oidc else {"authority": authority, "instance_discovery": False}
    return msal.ConfidentialClientApplication(
        client_id or sandbox.app.client_id,
        client_credential=secret or sandbox.app.secret,
        http_client=http_session,
        **where,
    )


SCOPES = ["https://outlook.office365.com/.default"]


@pytest.mark.req("H4")
@pytest.mark.parametrize("oidc", [False, True])
def test_msal_gets_a_token_that_exchange_accepts(sandbox: Sandbox, oidc: bool) -> None:
    """MSAL gets a token over HTTPS, serves the second from its cache, and EWS takes it when a mailbox is impersonated."""
    app = msal_app(sandbox, oidc=oidc)
    token = app.acquire_token_for_client(SCOPES)
    assert token["token_source"] == "identity_provider"
    assert app.acquire_token_for_client(SCOPES)["token_source"] == "cache"
    headers = {**XML, "Authorization": f"Bearer {token['access_token']}"}
    answer = post(sandbox, envelope(get_folder(), acting_as=CAROL), headers)
    assert (answer.status_code, codes(answer)) == (200, ["NoError"])
    alone = post(sandbox, envelope(get_folder()), headers)
    assert alone.status_code in (200, 500)
    assert codes(alone)[0].startswith("Error")


def test_msal_reports_refusals(sandbox: Sandbox) -> None:
    """MSAL hands a refusal on as Entra words it."""
    refused = msal_app(sandbox, secret="wrong").acquire_token_for_client(SCOPES)
    assert (refused["error"], refused["error_codes"]) == ("invalid_client", [7000215])
    assert refused["error_description"].startswith("AADSTS7000215: Invalid client secret provided.")


def test_expired_token_over_http(sandbox: Sandbox) -> None:
    """A token past its time is a 401 whose diagnostics say so."""
    token = msal_app(sandbox).acquire_token_for_client(SCOPES)["access_token"]
    sandbox.clock.advance(3600)
    answer = post(sandbox, envelope(get_folder(), acting_as=ALICE), {**XML, "Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert "The token has expired." in answer.headers["x-ms-diagnostics"]


def test_further_apps(sandbox: Sandbox) -> None:
    """POST /apps registers an application, also one whose secret has expired already."""
    url = f"{sandbox.control_url}/apps"
    made = requests.post(url, json={"name": "Late", "secret_days": -1}).json()
    late = msal_app(sandbox, secret=made["client_secret"], client_id=made["client_id"])
    assert late.acquire_token_for_client(SCOPES)["error_codes"] == [7000222]
    assert requests.post(url, json={"roles": "all"}).status_code == 400


def test_entra_goes_wrong_by_rule(sandbox: Sandbox) -> None:
    """Rules for Token make the sign-in fail: a 503 reaches MSAL as its exception, a cut connection as one of HTTP."""
    import msal.exceptions

    # A client of its own for each try: MSAL does not send again what has just failed.
    clients = [msal_app(sandbox) for _ in range(3)]
    sandbox.faults.add({"operation": "Token", "nth": 1, "fault": {"status": 503}})
    sandbox.faults.add({"operation": "Token", "nth": 2, "fault": {"drop": "before"}})
    with pytest.raises(msal.exceptions.MsalServiceError):
        clients[0].acquire_token_for_client(SCOPES)
    with pytest.raises(requests.exceptions.ConnectionError):
        clients[1].acquire_token_for_client(SCOPES)
    assert "access_token" in clients[2].acquire_token_for_client(SCOPES)
    counted = requests.get(f"{sandbox.control_url}/requests").json()
    assert counted["total"] == 0
    assert counted["sign_ins"]["operations"] == {"OpenIdConfiguration": 3, "Token": 3}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "oauth2/v2.0/token", 405), ("POST", "discovery/v2.0/keys", 405), ("GET", "discovery/v2.0/keys", 200)],
)
def test_entra_methods(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    """Each of Entra's addresses answers its own method only."""
    url = f"{sandbox.entra_url}/{sandbox.directory.tenant_id}/{path}"
    assert session(sandbox).request(method, url).status_code == status


# -- start and end -----------------------------------------------------------------------------------------------------


def test_stop_leaves_nothing() -> None:
    """After the end the ports are closed and the CA file is gone; a sandbox can be started again, but not twice at once."""
    sandbox = Sandbox()
    with sandbox:
        ca_file, address = sandbox.ca_file, urlsplit(sandbox.ews_url)
        assert ca_file.exists()
        with pytest.raises(SandboxError, match="runs already"):
            sandbox.start()
    assert not ca_file.parent.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port), timeout=5)
    with sandbox:
        assert session(sandbox).post(sandbox.ews_url, data=envelope(get_folder())).status_code == 200


def test_idle_clients_do_not_hold_it_up() -> None:
    """Connections left open, plain and TLS, do not keep it from ending: it does not wait until they are given up."""
    sandbox = Sandbox().start()
    client = session(sandbox)
    for url in (sandbox.ews_url, sandbox.ews_url_https):
        assert client.post(url, data=envelope(get_folder())).status_code == 200
    start = time.perf_counter()
    sandbox.stop()
    assert time.perf_counter() - start < 8


def test_requests_in_hand_do_not_hold_it_up() -> None:
    """A request that a rule delays for an hour does not keep the sandbox from ending for long."""
    sandbox = Sandbox().start()
    sandbox.faults.add({"fault": {"delay_seconds": 3600}})
    with session(sandbox) as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.post, sandbox.ews_url, data=envelope(get_folder()))
        while sandbox.requests.total() == 0:
            time.sleep(0.005)
        start = time.perf_counter()
        sandbox.stop()
        assert time.perf_counter() - start < 8
        with pytest.raises(requests.exceptions.ConnectionError):
            waiting.result(5)


def test_port_that_is_taken() -> None:
    """A port that somebody has, or that is none, is an error that names it and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for wrong in (port, 70_000):
            with pytest.raises(SandboxError, match="Choose another port") as refused:
                Sandbox(port=wrong).start()
            assert refused.value.subject == f"127.0.0.1:{wrong}"


SERVE = "from ops_lib.sandbox import serve; serve({port}, empty=True, end_with_parent={end_with_parent})"


def _served(port: int = 0, end_with_parent: bool = False) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SERVE.format(port=port, end_with_parent=end_with_parent)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_until_told(number: signal.Signals) -> None:
    """In the foreground the first line is one JSON document with working addresses; a signal ends it with exit code 0."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = _served(port)
    try:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        assert set(document) == {
            *("ews_url", "ews_url_https", "entra_url", "graph_url", "ca_file", "users", "service", "app"),
            *("public_app", "autodiscover_url", "control_url"),
        }
        assert document["ews_url"] == f"http://127.0.0.1:{port}/EWS/Exchange.asmx"
        assert [user["email"] for user in document["users"]] == [ALICE, BOB, CAROL]
        assert document["service"]["email"] == SERVICE
        with requests.Session() as client:
            client.trust_env = False
            client.auth = (document["users"][0]["email"], document["users"][0]["password"])
            answers = [
                client.post(document[url], data=envelope(get_folder()), headers=XML, verify=document["ca_file"])
                for url in ("ews_url", "ews_url_https")
            ]
            assert [codes(answer) for answer in answers] == [["NoError"], ["NoError"]]
            assert client.get(document["control_url"] + "/requests").json()["total"] == 2
            process.send_signal(number)
            assert process.wait(60) == 0
        assert process.communicate()[0] == ""
        assert not Path(document["ca_file"]).exists()
    finally:
        process.kill()
        process.communicate()


def test_serve_from_the_command_line() -> None:
    """``syncops sandbox serve`` serves the built-in customer, by the clock that SYNCOPS_NOW fixes."""
    command = [sys.executable, "-m", "ops_lib.cli", "sandbox", "serve"]
    environment = {**os.environ, "SYNCOPS_NOW": "2026-11-23T09:00:00Z"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        assert len(document["users"]) == 12
        with requests.Session() as client:
            client.trust_env = False
            assert client.get(document["control_url"] + "/clock").json() == {"now": "2026-11-23T09:00:00Z"}
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def test_serve_ends_with_its_parent() -> None:
    """Asked to, it ends by itself when the process that started it is gone."""
    inner = SERVE.format(port=0, end_with_parent=True)
    parent = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', "
        f"{inner!r}], stdout=subprocess.PIPE, text=True); print(p.pid, p.stdout.readline(), flush=True)"
    )
    printed = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60).stdout
    pid, document = printed.split(" ", 1)
    address = urlsplit(json.loads(document)["ews_url"])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address.hostname, address.port), timeout=1).close()
        except OSError:
            break
        time.sleep(0.1)
    else:
        os.kill(int(pid), signal.SIGKILL)
        pytest.fail("it went on without its parent")


def test_answers_carry_the_server_version(sandbox: Sandbox) -> None:
    """Every answer tells the server's version in its SOAP header, which clients read first."""
    answer = session(sandbox).post(sandbox.ews_url, data=envelope(get_folder()))
    version = etree.fromstring(answer.content).find("s:Header/t:ServerVersionInfo", NAMESPACES)
    assert version.get("MajorVersion") == "15"


def test_no_sync_state_outlives_the_organisation(sandbox: Sandbox) -> None:
    """After a reset (and so after a restart) a sync state from before is refused: taken for good, it would swallow what is new."""
    from exchangelib.errors import ErrorInvalidSyncStateData

    account = outlook_account(sandbox, "alice@example.test")
    calendar = account.calendar
    list(calendar.sync_items(only_fields=["subject"]))
    state = calendar.item_sync_state
    sandbox.reset()
    account = outlook_account(sandbox, "alice@example.test")
    with pytest.raises(ErrorInvalidSyncStateData):
        list(account.calendar.sync_items(sync_state=state, only_fields=["subject"]))
    account.protocol.close()


def test_request_ids_come_back(sandbox: Sandbox) -> None:
    """A client's own request id is in the answer when it asks for it, and only then; the server's own always is."""
    given = {**XML, "client-request-id": "id-1"}
    with session(sandbox) as client:
        asked = client.post(
            sandbox.ews_url, data=envelope(get_folder()), headers={**given, "return-client-request-id": "true"}
        )
        unasked = client.post(sandbox.ews_url, data=envelope(get_folder()), headers=given)
    assert asked.headers["client-request-id"] == "id-1"
    assert "client-request-id" not in unasked.headers
    assert asked.headers["request-id"] != unasked.headers["request-id"]
