"""What a client meets when a rule hits its request, and what the request has done by then."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from lxml import etree

from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB, SERVICE
from tests.support.soap import NAMESPACES, codes, create_events, envelope, get_folder, session


def create(sandbox: Sandbox, *subjects: str, login: str = ALICE) -> requests.Response:
    """Creates events by one raw request on a connection of its own."""
    with session(sandbox, login) as client:
        return client.post(sandbox.ews_url, data=envelope(create_events(*(subjects or ("event",)))), timeout=10)


def created(sandbox: Sandbox, mailbox: str = ALICE) -> int:
    """How many events there are in the mailbox's calendar."""
    return len(sandbox.organisation.mailbox(mailbox).folder("calendar").items)


def arm(sandbox: Sandbox, fault: dict[str, Any], **rule: Any) -> None:
    """Puts a rule for CreateItem into force."""
    sandbox.faults.add({"operation": "CreateItem", **rule, "fault": fault})


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {"WWW-Authenticate": "Bearer error=invalid_token"}),
        (403, {"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}),
        (404, {}),
        (429, {"Retry-After": "7"}),
        (500, {}),
        (503, {"Retry-After": "30"}),
    ],
)
def test_http_status(sandbox: Sandbox, status: int, headers: dict[str, str]) -> None:
    """A status comes with its headers and nothing is applied; the next request goes well on the same connection."""
    arm(sandbox, {"status": status, "headers": headers}, times=1)
    client = session(sandbox)
    answer = client.post(sandbox.ews_url, data=envelope(create_events("x")))
    assert answer.status_code == status
    assert headers.items() <= answer.headers.items()
    assert created(sandbox) == 0
    assert codes(client.post(sandbox.ews_url, data=envelope(create_events("x")))) == ["NoError"]
    assert created(sandbox) == 1


def test_html_of_aspnet(sandbox: Sandbox) -> None:
    """A 500 without a body of its own is the page ASP.NET shows, which clients take for a passing failure."""
    arm(sandbox, {"status": 500})
    answer = create(sandbox)
    assert "Server Error in '/EWS' Application" in answer.text
    assert answer.headers["Content-Type"].startswith("text/html")


def test_status_after_it_was_applied(sandbox: Sandbox) -> None:
    """A gateway may say 503 though the request was done: with "applied" the event is there."""
    arm(sandbox, {"status": 503, "applied": True})
    assert create(sandbox).status_code == 503
    assert created(sandbox) == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("", None), ("this is no XML", "text/xml; charset=utf-8"), ("<html>Sign in to the Wi-Fi</html>", "text/html")],
)
def test_rubbish(sandbox: Sandbox, body: str, content_type: str | None) -> None:
    """A 200 may be empty or hold what is no SOAP at all; nothing is applied."""
    headers = {"headers": {"Content-Type": content_type}} if content_type == "text/html" else {}
    arm(sandbox, {"body": body, **headers})
    answer = create(sandbox)
    assert (answer.status_code, answer.text) == (200, body)
    assert answer.headers.get("Content-Type") == content_type
    assert created(sandbox) == 0


def test_soap_fault_with_back_off(sandbox: Sandbox) -> None:
    """A SOAP fault is HTTP 500 and says how many milliseconds to wait; nothing is applied."""
    arm(sandbox, {"soap_fault": "ErrorServerBusy", "back_off_milliseconds": 2500})
    answer = create(sandbox)
    assert (answer.status_code, codes(answer)) == (500, ["ErrorServerBusy"])
    value = etree.fromstring(answer.content).find(".//t:MessageXml/t:Value[@Name='BackOffMilliseconds']", NAMESPACES)
    assert value is not None
    assert value.text == "2500"
    assert created(sandbox) == 0


def test_response_code_for_every_item(sandbox: Sandbox) -> None:
    """A response code comes once for each thing that was asked for, with HTTP 200; nothing is applied."""
    arm(sandbox, {"response_code": "ErrorMailboxStoreUnavailable", "message": "The database is dismounted."})
    answer = create(sandbox, "a", "b", "c")
    assert (answer.status_code, codes(answer)) == (200, ["ErrorMailboxStoreUnavailable"] * 3)
    texts = {text.text for text in etree.fromstring(answer.content).iterfind(".//m:MessageText", NAMESPACES)}
    assert texts == {"The database is dismounted."}
    assert created(sandbox) == 0


@pytest.mark.parametrize(("when", "applied"), [("before", 0), ("after", 1)])
def test_dropped_connection(sandbox: Sandbox, when: str, applied: int) -> None:
    """A connection may be cut before or after the request was applied: the client sees the same, the mailbox does not."""
    arm(sandbox, {"drop": when}, nth=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        create(sandbox)
    assert created(sandbox) == applied
    assert sandbox.requests.total("CreateItem") == 1
    assert codes(create(sandbox)) == ["NoError"]
    assert created(sandbox) == applied + 1


def test_dropped_connection_over_tls(sandbox: Sandbox) -> None:
    """A connection over TLS is cut just the same."""
    arm(sandbox, {"drop": "after"})
    with session(sandbox) as client, pytest.raises(requests.exceptions.ConnectionError):
        client.post(sandbox.ews_url_https, data=envelope(create_events("x")))
    assert created(sandbox) == 1


@pytest.mark.parametrize("how", ["length", "chunk"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_truncated_answer(sandbox: Sandbox, how: str, keep: float) -> None:
    """An answer may end before it is whole, by its length or in the middle of its chunks; the request was applied."""
    arm(sandbox, {"truncate": how, "keep": keep})
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        create(sandbox)
    assert created(sandbox) == 1


def test_truncated_answer_sends_what_it_says(sandbox: Sandbox) -> None:
    """Of a truncated answer the share that is kept really arrives, under the whole one's Content-Length."""
    arm(sandbox, {"truncate": "length", "keep": 0.25})
    address = urlsplit(sandbox.ews_url)
    prepared = session(sandbox).prepare_request(
        requests.Request("POST", sandbox.ews_url, data=envelope(create_events("x")), headers={"Accept-Encoding": ""})
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in prepared.headers.items())
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=10) as raw:
        raw.sendall(f"POST {address.path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + bytes(prepared.body or b""))
        while part := raw.recv(65536):
            received += part
    headers, _, body = received.partition(b"\r\n\r\n")
    promised = int(headers.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert len(body) == promised // 4


def test_applied_twice(sandbox: Sandbox) -> None:
    """A proxy may send a request twice: both are done, the client hears of one."""
    arm(sandbox, {"twice": True}, nth=1)
    assert codes(create(sandbox)) == ["NoError"]
    assert created(sandbox) == 2
    assert sandbox.requests.total("CreateItem") == 1


def test_delay_holds_up_nobody_else(sandbox: Sandbox) -> None:
    """A delayed request is applied after its delay, and others are answered in the meantime."""
    others_first = False
    for delay in (0.3, 3.0, 30.0):  # on a busy machine the others take their time too
        sandbox.reset()
        arm(sandbox, {"delay_seconds": delay})
        slow = threading.Thread(target=create, args=(sandbox,))
        start = time.monotonic()
        slow.start()
        while sandbox.requests.total("CreateItem") == 0:
            time.sleep(0.005)
        assert session(sandbox).post(sandbox.ews_url, data=envelope(get_folder())).status_code == 200
        others_first = created(sandbox) == 0
        slow.join()
        assert time.monotonic() - start >= delay
        assert created(sandbox) == 1
        if others_first:
            break
    assert others_first


def test_late_answer(sandbox: Sandbox) -> None:
    """A late answer's request is applied at once: a client that does not wait for it has lost an answer, not a request."""
    arm(sandbox, {"late_seconds": 60})
    start = time.monotonic()
    with session(sandbox) as client, pytest.raises(requests.exceptions.ReadTimeout):
        client.post(sandbox.ews_url, data=envelope(create_events("x")), timeout=0.15)
    while not created(sandbox) and time.monotonic() - start < 30:
        time.sleep(0.005)
    assert created(sandbox) == 1


def test_rule_for_one_mailbox(sandbox: Sandbox) -> None:
    """A rule for a mailbox hits who impersonates it and whoever owns it, and nobody else."""
    arm(sandbox, {"status": 503}, mailbox=ALICE)
    assert create(sandbox).status_code == 503
    assert create(sandbox, login=BOB).status_code == 200
    service = session(sandbox, SERVICE)
    for mailbox, status in ((ALICE, 503), (BOB, 200)):
        body = envelope(create_events("x"), acting_as=mailbox)
        assert service.post(sandbox.ews_url, data=body).status_code == status


def test_rule_for_one_operation(sandbox: Sandbox) -> None:
    """A rule for an operation leaves the others alone; a rule for "*" hits all of them."""
    client = session(sandbox)
    arm(sandbox, {"status": 503})
    assert client.post(sandbox.ews_url, data=envelope(get_folder())).status_code == 200
    sandbox.faults.add({"fault": {"status": 429}})
    assert client.post(sandbox.ews_url, data=envelope(get_folder())).status_code == 429
    assert create(sandbox).status_code == 503


def test_signing_in_comes_before_rules(sandbox: Sandbox) -> None:
    """A request that is not signed in, or cannot be read, is no request: no rule counts it."""
    rule = sandbox.faults.add({"nth": 1, "fault": {"status": 503}})
    with session(sandbox) as client:
        client.auth = (ALICE, "wrong")
        assert client.post(sandbox.ews_url, data=envelope(create_events("x"))).status_code == 401
    assert session(sandbox).post(sandbox.ews_url, data=b"<broken").status_code == 500
    assert {row["id"]: row["matched"] for row in sandbox.faults.rows()} == {rule.id: 0}
