"""Servers that do not behave: silent, dripping, hanging up, sending a page, nonsense or elsewhere. ``with rude("silent") as url: …``"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Please sign in</form></body></html>"
CHALLENGE = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
DRIP_SECONDS = 0.05

Serve = Callable[[socket.socket, bytes], None]


def answer(body: bytes, status: str = "200 OK", kind: str = "text/xml", *more: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


def _silent(connection: socket.socket, request: bytes) -> None:
    connection.recv(1)  # until the client has had enough


def _drips(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b"<")
        time.sleep(DRIP_SECONDS)


def _sends(content: bytes) -> Serve:
    return lambda connection, request: connection.sendall(content)


RUDE: dict[str, Serve] = {
    "silent": _silent,
    "drips": _drips,
    "closes": lambda connection, request: None,
    "page": _sends(answer(PAGE, kind="text/html")),
    "nonsense": _sends(answer(b"\x00\x01 neither this \xff nor that <<<", kind="application/octet-stream")),
    "empty": _sends(answer(b"")),
    "redirects": _sends(answer(b"", "302 Found", "text/html", "Location: https://elsewhere.example/owa/?token=abc")),
    "no http": _sends(b"220 mail.example ESMTP\r\n"),
}


def after_challenge(serve: Serve) -> Serve:
    """The same, but only to who signs in; others are asked to."""

    def served(connection: socket.socket, request: bytes) -> None:
        if b"authorization:" in request.lower():
            serve(connection, request)
        else:
            connection.sendall(CHALLENGE)

    return served


@contextmanager
def rude(serve: Serve) -> Iterator[str]:
    """A server on loopback that does with each request what ``serve`` does; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def each() -> None:
        with suppress(OSError), ExitStack() as open_ones:
            while True:
                connection, _ = listener.accept()
                open_ones.enter_context(connection)
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            request = b""
            while b"\r\n\r\n" not in request:
                received = connection.recv(65536)
                if not received:
                    return
                request += received
            head, _, body = request.partition(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            while len(body) < length:
                body += connection.recv(65536)
            serve(connection, head + b"\r\n\r\n" + body)

    threading.Thread(target=each, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/EWS/Exchange.asmx"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
