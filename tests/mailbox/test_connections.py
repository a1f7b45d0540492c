"""Connections: an answer ends, and TLS is new enough, whatever the server would like."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
import trustme

from ops_lib.mailbox.ews import connections
from ops_lib.mailbox.ews.connections import Adapter, AnswerTooLarge, tls_context

Served = Callable[[socket.socket], None]


@contextmanager
def server(serve: Served, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answers one connection by ``serve``; gives the URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with tls.wrap_socket(connection, server_side=True) if tls else connection as stream:
                stream.recv(65536)
                serve(stream)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}/"
    listener.close()
    thread.join(10)
    assert not thread.is_alive(), "the client is still reading"


def drip(head: bytes) -> Served:
    """Sends ``head``, then one byte at a time until the client goes."""

    def serve(stream: socket.socket) -> None:
        stream.sendall(head)
        while True:
            stream.sendall(b"x")
            if threading.Event().wait(0.02):
                return

    return serve


def session(ca_bundle: str = "") -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    for prefix in ("http://", "https://"):
        made.mount(prefix, Adapter(ca_bundle))
    return made


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"]
)
def test_an_answer_that_drips_comes_to_an_end(head: bytes) -> None:
    """A byte at a time in the status line, a header or the body: given up, although no single read took too long."""
    with server(drip(head)) as url, pytest.raises(requests.RequestException, match="timed out"):
        session().post(url, timeout=(1, 0.1))


def test_an_answer_in_pieces_is_read(tmp_path: Path) -> None:
    """A body that comes in pieces within its time is whole, over http and https."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)

    def pieces(stream: socket.socket) -> None:
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
        stream.sendall(b"56789")

    for context in (None, tls):
        with server(pieces, context) as url:
            assert session(str(tmp_path / "ca.pem")).post(url, timeout=(10, 10)).content == b"0123456789"


def _endless(stream: socket.socket) -> None:
    stream.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        stream.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def _packed(stream: socket.socket) -> None:
    body = gzip.compress(b"\0" * 8_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    stream.sendall(head.encode() + body)


@pytest.mark.parametrize("serve", [_endless, _packed])
def test_an_answer_without_end_does_not_fill_the_memory(serve: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that goes on and on, or that unpacks into a thousand times its size, is read up to a limit and given up."""
    monkeypatch.setattr(connections, "LARGEST_ANSWER", 4_000_000)
    with server(serve) as url:
        tracemalloc.start()
        try:
            with pytest.raises(AnswerTooLarge):
                session().post(url, timeout=(10, 10))
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert most < 4 * 4_000_000


def test_tls_is_1_2_or_newer(tmp_path: Path) -> None:
    """A server that speaks TLS 1.1 at most gets nothing."""
    assert tls_context().minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls_context().verify_mode is ssl.CERT_REQUIRED
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(old)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with server(lambda stream: None, old) as url, pytest.raises(requests.exceptions.SSLError):
        session(str(tmp_path / "ca.pem")).post(url, timeout=(10, 10))


@pytest.mark.parametrize("verify", [True, False])
def test_nothing_turns_verification_off(verify: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate nobody here knows is refused, also where a session or the environment asks not to look."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    with (
        server(lambda stream: None, tls) as url,
        pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY"),
    ):
        session().post(url, timeout=(10, 10), verify=verify)


@pytest.mark.parametrize("address", ["o\u2019neil@example.test", "j\u00fcrgen@example.test", "\u5c71@example.test"])
def test_a_header_holds_any_letters(address: str) -> None:
    """An address of any alphabet goes out in a header as UTF-8, and the request that was asked for stays as it was."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with session() as client:
        prepared = client.prepare_request(requests.Request("GET", url, headers={"X-AnchorMailbox": address}))
        assert client.send(prepared, timeout=10).status_code == 200
    thread.join(10)
    listener.close()
    assert f"X-AnchorMailbox: {address}\r\n".encode() in heard[0]
    assert prepared.headers["X-AnchorMailbox"] == address
