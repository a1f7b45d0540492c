"""The recorder: lets every request through and keeps, in memory, what was asked and what came of it, whole or as far as it went."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from ops_lib.errors import MailboxError, OpsError, ServerBusy, SignInRefused
from ops_lib.mailbox import Gate, Tokens
from ops_lib.mailbox.traffic.breaking import answer_from, break_of

LARGEST_BODY = 4_000_000
"""Bytes kept of one answer. What is larger goes on as it is, and is kept as cut short."""


@dataclass(slots=True)
class Exchange:
    """One request and what came of it, unscrubbed. ``broke`` says how it ended where it did not end well; ``status`` 0: no answer."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: float
    status: int = 0
    reason: str = ""
    answer_headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    content: bytes = field(default=b"", repr=False)
    broke: str = "silence"
    detail: str = ""


@dataclass(slots=True)
class Look:
    """One look at the network, or one question to whoever signs in, and what came of it, as plain JSON."""

    kind: str
    arguments: list[Any] = field(repr=False)
    seen: Any = field(default=None, repr=False)
    error: dict[str, Any] | None = field(default=None, repr=False)


class Recorder:
    """A tape that lets everything through. From any thread; a request that is left behind stays as one without an answer."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.looks: list[Look] = []
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, proceed: Callable[[], requests.Response]) -> requests.Response:
        """Send it, read the whole answer, and hand on what is the same answer to whoever asked."""
        kept = Exchange(
            request.method or "",
            request.url or "",
            {name: _text(value) for name, value in request.headers.items()},
            _bytes(request.body),
            time.time(),
        )
        with self._lock:
            self.exchanges.append(kept)
        try:
            response = proceed()
        except Exception as exception:
            kept.broke, kept.detail = break_of(exception)
            raise
        raw = response.raw
        sock = getattr(getattr(getattr(getattr(raw, "_fp", None), "fp", None), "raw", None), "_sock", None)
        content, broke = _whole(raw)
        kept.answer_headers = [(name, value) for name, value in raw.headers.items()]
        kept.reason, kept.content, kept.broke = response.reason or "", content, broke
        kept.status = response.status_code
        packing = ("content-encoding", "transfer-encoding")
        unpacked = [each for each in kept.answer_headers if each[0].lower() not in packing]
        response.raw = answer_from(kept.status, kept.reason, unpacked, content, broke, sock)
        return response

    def look(self, kind: str, arguments: list[Any], question: Callable[[], Any]) -> Any:
        kept = Look(kind, arguments, error={"error": "TimeoutError"})
        with self._lock:
            self.looks.append(kept)
        try:
            kept.seen = question()
        except OpsError as error:
            kept.error = plain_error(error)
            raise
        kept.error = None
        return kept.seen

    # ── who signs in ─────────────────────────────────────────────────────────────────────────────────────────────────
    def tokens(self, find: Callable[[], Tokens]) -> Tokens:
        """The tokens that ``find`` gives, with what they say kept."""
        self.look("signed in as", [], lambda: find().signed_in_as)
        return _RecordedTokens(find(), self)

    def gate(self, gate: Gate) -> Gate:
        """The gate, with its refusals kept."""
        return _RecordedGate(gate, self)


class _RecordedTokens:
    def __init__(self, tokens: Tokens, recorder: Recorder) -> None:
        self._tokens, self._recorder = tokens, recorder

    @property
    def key(self) -> tuple[str, ...]:
        return self._tokens.key

    @property
    def signed_in_as(self) -> str:
        return self._tokens.signed_in_as

    def token(self, subject: str) -> dict[str, Any]:
        return self._asked("token", lambda: self._tokens.token(subject))

    def new_token(self, subject: str, refused: str) -> dict[str, Any]:
        return self._asked("new token", lambda: self._tokens.new_token(subject, refused))

    def _asked(self, kind: str, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def question() -> dict[str, Any]:
            found.append(ask())
            return {name: found[0].get(name) for name in ("access_token", "expires_in")}

        self._recorder.look(kind, [], question)
        return found[0]


class _RecordedGate:
    def __init__(self, gate: Gate, recorder: Recorder) -> None:
        self._gate, self._recorder = gate, recorder
        self.accepted, self.refused, self.left = gate.accepted, gate.refused, gate.left

    @property
    def key(self) -> tuple[str, ...]:
        return self._gate.key

    def enter(self) -> None:
        self._recorder.look("gate", [], self._gate.enter)


def plain_error(error: OpsError) -> dict[str, Any]:
    """An error as plain JSON."""
    kept: dict[str, Any] = {
        "error": type(error).__name__,
        "message": error.message,
        "subject": error.subject,
        "response_code": error.response_code,
        "fix": error.fix,
    }
    if isinstance(error, MailboxError):
        kept |= {"http_status": error.http_status, "transient": error.transient}
    if isinstance(error, ServerBusy):
        kept["back_off_seconds"] = error.back_off_seconds
    if isinstance(error, SignInRefused):
        kept["is_of_password"] = error.is_of_password
    return kept


def _whole(raw: Any) -> tuple[bytes, str]:
    """The answer's body, unpacked, and how it ended: empty where well."""
    chunks: list[bytes] = []
    size = 0
    try:
        for chunk in raw.stream(65_536, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_BODY:
                raw.close()
                return b"".join(chunks), "cut short"
    except (HTTPError, OSError) as exception:
        return b"".join(chunks), _broken(exception)
    raw.release_conn()
    return b"".join(chunks), ""


def _broken(exception: Exception) -> str:
    name, _ = break_of(exception)
    return name if name in ("silence", "packed wrongly", "reset") else "cut short"


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else bytes(body) if isinstance(body, bytes | bytearray) else b""


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
