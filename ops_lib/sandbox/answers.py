"""One HTTP answer: sent whole, compressed where the client can, cut short, or never."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from ops_lib.sandbox.faults import Fault
from ops_lib.sandbox.listeners import TRANSPORT

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Iterable[tuple[str, str]]

# Below this the bytes saved do not pay for the work; what IIS compresses by default begins near here, too.
_COMPRESS_FROM_BYTES = 4096

XML = "text/xml; charset=utf-8"

# What IIS and ASP.NET say where nobody else says anything.
PAGES = {
    401: "<html><body><h1>401 - Unauthorized: Access is denied due to invalid credentials.</h1></body></html>",
    403: "",
    404: "<html><body><h1>404 - File or directory not found.</h1></body></html>",
    429: "",
    500: "<html><head><title>Runtime Error</title></head><body><h1>Server Error in '/EWS' Application.</h1>"
    "<h2><i>Runtime Error</i></h2></body></html>",
    503: "<html><head><title>Service Unavailable</title></head><body><h2>Service Unavailable</h2><hr>"
    "<p>HTTP Error 503. The service is unavailable.</p></body></html>",
}


class ClientGone(Exception):
    """The client went away in the middle of its request: there is nothing to do and nobody to tell."""


class Answer:
    """The answer to one request. ``gzipped``: the client accepts gzip."""

    def __init__(self, scope: Scope, send: Send, *, gzipped: bool = False) -> None:
        self._head = scope.get("method") == "HEAD"
        self._transport = scope[TRANSPORT]
        self._send = send
        self._gzipped = gzipped
        given = dict(scope.get("headers", ()))
        asked = given.get(b"return-client-request-id", b"").lower() == b"true"
        self._client_request_id: bytes = given.get(b"client-request-id", b"") if asked else b""

    async def send(self, status: int, headers: Headers, body: bytes) -> int:
        """Sends the whole answer; says how many bytes the body had on the wire."""
        lines, body = self._prepared(headers, body)
        lines.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": lines})
        await self._send({"type": "http.response.body", "body": b"" if self._head else body})
        return 0 if self._head else len(body)

    async def cut(self, status: int, headers: Headers, body: bytes, keep: float, how: str) -> int:
        """Sends the first ``keep`` (a share) of the body and closes the connection; says how many bytes that were.

        ``how``: "length" promises the whole by Content-Length, "chunk" leaves out the end of a chunked answer.
        """
        lines, body = self._prepared(headers, body)
        if how == "length":
            lines.append((b"content-length", b"%d" % max(len(body), 1)))
        kept = body[: int(len(body) * keep)]
        await self._send({"type": "http.response.start", "status": status, "headers": lines})
        await self._send({"type": "http.response.body", "body": kept, "more_body": True})
        self._transport.close()  # after what was written has gone out
        return len(kept)

    async def begin(self, status: int, headers: Headers) -> None:
        """Begins an answer that is sent in parts; none of it is compressed."""
        lines, _ = self._prepared(headers, b"")
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    async def go_on(self, part: bytes) -> int:
        """Sends the next part, a chunk of its own; says how many bytes that were."""
        await self._send({"type": "http.response.body", "body": part, "more_body": True})
        return len(part)

    async def end(self) -> None:
        """Ends an answer that was sent in parts."""
        await self._send({"type": "http.response.body", "body": b""})

    def drop(self) -> None:
        """Cuts the connection; no byte of an answer is sent."""
        self._transport.abort()

    def _prepared(self, headers: Headers, body: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
        lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        named = {name for name, _ in lines}
        if b"request-id" not in named:
            lines.append((b"request-id", str(uuid.uuid4()).encode()))
        if self._client_request_id and b"client-request-id" not in named:
            lines.append((b"client-request-id", self._client_request_id))
        if b"cache-control" not in named:
            lines.append((b"cache-control", b"private"))
        if self._gzipped and len(body) >= _COMPRESS_FROM_BYTES and b"content-encoding" not in named:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            lines += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
        return lines, body


def page(fault: Fault) -> tuple[int, dict[str, str], bytes]:
    """Draws the answer a rule gives instead of the real one over plain HTTP: status, headers, body."""
    status = fault.status if fault.status is not None else 200
    body = (fault.body if fault.body is not None else PAGES.get(status, "")).encode()
    given = {name.lower() for name in fault.headers}
    headers = dict(fault.headers)
    if body and "content-type" not in given:
        headers["Content-Type"] = "text/html; charset=utf-8" if status != 200 else XML
    return status, headers, body


async def read_body(receive: Receive, largest: int) -> tuple[bytes, int]:
    """Reads a request's body: at most ``largest`` bytes of it, and how many there were.

    Raises ClientGone when the connection ends before the body does.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        part = event.get("body", b"")
        size += len(part)
        if size <= largest:  # what is over is read and forgotten, so that the client gets to read the answer
            parts.append(part)
        if not event.get("more_body"):
            break
    return b"".join(parts), size
