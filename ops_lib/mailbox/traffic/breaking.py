"""How a request comes to no answer, or to half of one: by name, and back again as the exceptions that the libraries raise.

What `transport` makes of an exception depends on where it came from (nothing was sent, or no answer came), so a replay must raise the very kind.
"""

from __future__ import annotations

import io
import ssl
from http.client import HTTPMessage
from types import SimpleNamespace
from typing import Any, NoReturn

import requests
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)

BREAKS = frozenset(
    {"no name", "refused", "no connection", "connect timeout", "proxy", "certificate", "handshake", "TLS", "silence", "reset", "closed", "cut short", "packed wrongly"}
)  # fmt: skip


def break_of(exception: BaseException) -> tuple[str, str]:
    """The name of what happened, and for a certificate what is wrong with it."""
    chain = _chain(exception)

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    certificate = next((link for link in chain if isinstance(link, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return "certificate", str(certificate.verify_message or "")
    if has(ProxyError, requests.exceptions.ProxyError):
        return "proxy", ""
    if has(requests.ConnectTimeout):
        return "connect timeout", ""
    if has(NewConnectionError):
        said = " ".join(str(link) for link in chain).lower()
        if "getaddrinfo" in said or "resolve" in said or "name or service" in said:
            return "no name", ""
        return ("refused" if has(ConnectionRefusedError) else "no connection"), ""
    if has(ssl.SSLError, requests.exceptions.SSLError) or _is_from_handshake(chain):
        return ("handshake" if _is_from_handshake(chain) else "TLS"), ""
    if has(requests.ReadTimeout, ReadTimeoutError, TimeoutError):
        return "silence", ""
    if has(requests.exceptions.ContentDecodingError, DecodeError):
        return "packed wrongly", ""
    if has(ConnectionResetError):
        return "reset", ""
    return ("cut short" if has(requests.exceptions.ChunkedEncodingError) else "closed"), ""


def raise_break(name: str, detail: str = "") -> NoReturn:
    """The exception of a request that got no answer."""
    connection: Any = HTTPConnection("replayed")
    pool: Any = None
    if name in ("no name", "refused", "no connection"):
        words = {"no name": "Failed to resolve (getaddrinfo failed)"}.get(name, "Failed to establish a new connection")
        reason = NewConnectionError(connection, words)
        if name == "refused":
            reason.__cause__ = ConnectionRefusedError()
        raise requests.ConnectionError(MaxRetryError(pool, "/", reason))
    if name == "connect timeout":
        raise requests.ConnectTimeout("replayed")
    if name == "proxy":
        raise requests.exceptions.ProxyError(MaxRetryError(pool, "/", ProxyError("replayed", OSError())))
    if name == "certificate":
        untrusted = ssl.SSLCertVerificationError("certificate verify failed")
        untrusted.verify_message = detail or "unable to get local issuer certificate"
        raise requests.exceptions.SSLError(MaxRetryError(pool, "/", untrusted))
    if name == "handshake":
        do_handshake()
    if name == "TLS":
        raise requests.exceptions.SSLError(ssl.SSLError("replayed"))
    if name == "silence":
        raise requests.ReadTimeout("Read timed out. (replayed)")
    if name == "reset":
        raise requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError()))
    if name == "cut short":
        raise requests.exceptions.ChunkedEncodingError(ProtocolError("replayed"))
    if name == "packed wrongly":
        raise requests.exceptions.ContentDecodingError(DecodeError("replayed"))
    raise requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionAbortedError()))


def do_handshake() -> NoReturn:
    """`transport` tells a broken handshake by where it was raised: a function of this name."""
    raise requests.exceptions.SSLError(ssl.SSLError("the handshake was broken off (replayed)"))


def answer_from(
    status: int, reason: str, headers: list[tuple[str, str]], content: bytes, broke: str = "", sock: Any = None
) -> HTTPResponse:
    """An answer as urllib3 gives one, from bytes that are not packed; it breaks after them where ``broke`` says how."""
    message = HTTPMessage()
    for name, value in headers:
        message.add_header(name, value)
    body = _Content(content, broke, sock)
    return HTTPResponse(body=body, headers=headers, status=status, reason=reason, preload_content=False, decode_content=False, original_response=SimpleNamespace(msg=message, isclosed=lambda: True, close=lambda: None), enforce_content_length=False)  # type: ignore[arg-type]  # fmt: skip


class _Content(io.BytesIO):
    """Bytes that end as the recorded ones did. ``fp`` is where NTLM looks for the server's certificate."""

    def __init__(self, content: bytes, broke: str, sock: Any) -> None:
        super().__init__(content)
        self._broke = broke
        self.fp = SimpleNamespace(raw=SimpleNamespace(_sock=sock))

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if self._broke and (not found or size is None or size < 0):
            raise self._end()
        return found

    def _end(self) -> HTTPError:
        if self._broke == "silence":
            return ReadTimeoutError(None, "/", "Read timed out. (replayed)")  # type: ignore[arg-type]
        if self._broke == "packed wrongly":
            return DecodeError("replayed")
        if self._broke == "reset":
            return ProtocolError("Connection broken", ConnectionResetError())
        return ProtocolError("Connection broken: IncompleteRead")


def _chain(exception: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    waiting: list[Any] = [exception]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and not any(link is other for other in found):
            found.append(link)
            waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
    return found


def _is_from_handshake(chain: list[BaseException]) -> bool:
    for link in chain:
        traceback = link.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_name == "do_handshake":
                return True
            traceback = traceback.tb_next
    return False
