"""The player: answers from a cassette, by what a request means and not by when it comes; what it does not hold was not recorded.

Nothing leaves this machine, and nothing waits: a server that hung is told as one at once.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from lxml import etree
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from ops_lib import errors
from ops_lib.errors import AnswerLost, MailboxError, OpsError, ServerBusy, SignInRefused
from ops_lib.mailbox.ews import answers
from ops_lib.mailbox.traffic import using
from ops_lib.mailbox.traffic.breaking import BREAKS, answer_from, raise_break
from ops_lib.mailbox.traffic.cassettes import Cassette
from ops_lib.mailbox.traffic.web import ntlm_step

NOT_RECORDED = "not recorded"
"""The response code of what a cassette does not hold."""

_VOLATILE = frozenset({"DateTimeStamp"})


class NotRecorded(AnswerLost):
    """The cassette does not hold this request: what it would have brought is unknown."""

    transient = False


@dataclass(slots=True)
class _Entry:
    """One recorded answer; ``plays`` counts how often it was given."""

    where: str
    exact: str
    loose: str
    record: dict[str, Any] = field(repr=False)
    is_answered: bool = True
    plays: int = 0


class Player:
    """A tape that gives what a cassette holds. A question that comes more often than it was recorded gets its last answer again."""

    def __init__(self, cassette: Cassette) -> None:
        self.not_recorded: list[str] = []
        self._lock = threading.Lock()
        self._entries = [_entry(each, is_answered=True) for each in cassette.interactions]
        for number, each in enumerate(cassette.unanswered):
            place = each.get("before", len(cassette.interactions))
            place = place if isinstance(place, int) else len(cassette.interactions)
            self._entries.insert(min(place + number, len(self._entries)), _entry(each, is_answered=False))
        self._looks = [_look(each) for each in cassette.looks]

    # ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def send(self, request: requests.PreparedRequest, proceed: Callable[[], requests.Response]) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else bytes(request.body or b"")
        step = ntlm_step(str(request.headers.get("Authorization", "")))
        where, exact, loose = _meaning(request.method or "", request.url or "", body, step)
        with self._lock:
            entry = _chosen([each for each in self._entries if each.where == where and each.exact == exact])
            entry = entry or _chosen([each for each in self._entries if each.where == where and each.loose == loose])
            if entry is None:
                self.not_recorded.append(f"{request.method} {loose.partition(' ')[0]}")
        if entry is None:
            raise NotRecorded(
                "the cassette does not hold this request", response_code=NOT_RECORDED, fix="capture it anew with this version of syncops."
            )  # fmt: skip
        broke, detail = str(entry.record.get("broke", "")), str(entry.record.get("detail", ""))
        if not entry.is_answered:
            raise_break(broke if broke in BREAKS else "silence", detail)
        return _response(request, entry.record, broke)

    # ── looks ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def look(self, kind: str, arguments: list[Any], question: Callable[[], Any]) -> Any:
        exact = f"{kind} {json.dumps(arguments, sort_keys=True)}"
        with self._lock:
            entry = _chosen([each for each in self._looks if each.exact == exact])
            entry = entry or _chosen([each for each in self._looks if each.loose == kind])
            if entry is None:
                self.not_recorded.append(kind)
        if entry is None:
            raise NotRecorded(f"the cassette does not hold this look ({kind})", response_code=NOT_RECORDED)
        if "error" in entry.record:
            raise error_of(entry.record["error"])
        return entry.record.get("seen")

    def holds(self, kind: str) -> bool:
        """Whether any look of this kind was recorded."""
        return any(each.loose == kind for each in self._looks)


@contextmanager
def playing(player: Player) -> Iterator[None]:
    """Have everything answered from a cassette, and every socket refused, until this ends."""
    with using(player), no_network():
        yield


# ── which record answers a request ───────────────────────────────────────────────────────────────────────────────────
def _chosen(found: list[_Entry]) -> _Entry | None:
    """The first that was not played yet, else the last."""
    entry = next((each for each in found if not each.plays), found[-1] if found else None)
    if entry is not None:
        entry.plays += 1
    return entry


def _entry(record: dict[str, Any], *, is_answered: bool) -> _Entry:
    request = record.get("request")
    request = request if isinstance(request, dict) else {}
    headers = request.get("headers")
    held = headers.get("Authorization") if isinstance(headers, dict) else None
    said = str(held[0] if isinstance(held, list) and held else held or "")
    body = request.get("body") or ""
    content = body if isinstance(body, bytes) else str(body).encode()
    where, exact, loose = _meaning(str(request.get("method")), str(request.get("uri")), content, ntlm_step(said))
    return _Entry(where, exact, loose, record, is_answered)


def _look(record: dict[str, Any]) -> _Entry:
    kind = str(record.get("look"))
    return _Entry("", f"{kind} {json.dumps(record.get('arguments'), sort_keys=True)}", kind, record)


def _meaning(method: str, url: str, body: bytes, step: int) -> tuple[str, str, str]:
    """Where a request goes, what exactly it says, and what it is about: the second decides, the third where nothing says just that."""
    parts = urlsplit(url)
    where = f"{method.upper()} {(parts.hostname or '').lower()} {parts.path.lower().rstrip('/')} {step}"
    try:
        roots = answers.parse(body, "") if body.strip() else []
    except MailboxError:
        roots = []
    if not roots:
        names = " ".join(sorted(name for name, _ in parse_qsl(body.decode("utf-8", "replace"))))
        return where, names, names
    root = roots[0]
    for element in list(root.iter()):
        if isinstance(element.tag, str) and etree.QName(element).localname in _VOLATILE:
            element.getparent().remove(element)
        elif not (element.text or "").strip():
            element.text = None
        element.tail = None
    exact = etree.tostring(root, method="c14n2").decode()
    operation = next(iter(answers.children(root, "Body")), root)
    loose = [etree.QName(operation).localname]
    for element in root.iter():
        name = etree.QName(element).localname
        if name == "DistinguishedFolderId":
            loose.append(element.get("Id", ""))
        elif name in ("EmailAddress", "PrimarySmtpAddress", "EMailAddress", "UnresolvedEntry"):
            loose.append(f"{name}={(element.text or '').strip().lower()}")
        elif name.endswith("Id") and element.get("Id"):
            loose.append(element.get("Id"))
        elif name in ("FolderShape", "ItemShape", "CalendarView", "Restriction", "SyncState"):
            loose.append(name)
    return where, exact, " ".join(loose)


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _response(request: requests.PreparedRequest, record: dict[str, Any], broke: str) -> requests.Response:
    told = record.get("response") or {}
    status = told.get("status") or {}
    content = (told.get("body") or {}).get("string") or ""
    headers = [
        (str(name), _now(str(name), str(value), record.get("at")))
        for name, values in (told.get("headers") or {}).items()
        for value in (values if isinstance(values, list) else [values])
    ]
    response = requests.Response()
    response.status_code = int(status.get("code") or 0)
    response.reason = str(status.get("message") or "")
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    response.headers = CaseInsensitiveDict(joined)
    response.encoding = get_encoding_from_headers(response.headers)
    data = content if isinstance(content, bytes) else str(content).encode()
    response.raw = answer_from(response.status_code, response.reason, headers, data, broke if broke in BREAKS else "")
    response.url, response.request = request.url or "", request
    response.connection = _Again()
    return response


class _Again(HTTPAdapter):
    """Where a sign-in in several steps sends its next one: through the tape again."""

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        from ops_lib.mailbox.ews.connections import Adapter

        return Adapter().send(request, *arguments, **options)


def _now(name: str, value: str, at: Any) -> str:
    """The server's Date as far from now as it was from the moment of the capture: a clock that was right stays right."""
    if name.lower() != "date" or not isinstance(at, str):
        return value
    try:
        ahead = parsedate_to_datetime(value).timestamp() - datetime.fromisoformat(at).timestamp()
        moment = datetime.fromtimestamp(time.time() + ahead, tz=parsedate_to_datetime(value).tzinfo)
        return format_datetime(moment, usegmt=True)
    except (ValueError, TypeError, OverflowError):
        return value


def error_of(record: Any) -> OpsError | TimeoutError:
    """The error that was recorded."""
    record = record if isinstance(record, dict) else {}
    name = str(record.get("error", ""))
    if name == "TimeoutError":
        return TimeoutError("replayed")
    kind = getattr(errors, name, OpsError)
    if not (isinstance(kind, type) and issubclass(kind, OpsError)):
        kind = OpsError
    words = {each: str(record.get(each, "")) for each in ("subject", "response_code", "fix")}
    error = kind(str(record.get("message", "")), **words)
    if isinstance(error, MailboxError):
        error.http_status = int(record.get("http_status") or 0)
        error.transient = record.get("transient") is True
    if isinstance(error, ServerBusy):
        error.back_off_seconds = float(record.get("back_off_seconds") or 0)
    if isinstance(error, SignInRefused):
        error.is_of_password = record.get("is_of_password") is True
    return error


# ── no way out ───────────────────────────────────────────────────────────────────────────────────────────────────────
class NetworkRefused(OSError):
    """Something tried to reach the network while a cassette was played."""


_refusing = 0
_is_watching = False
_WAYS_OUT = re.compile(r"socket\.(connect|getaddrinfo|gethostbyname|gethostbyaddr|sendto)")


@contextmanager
def no_network() -> Iterator[None]:
    """Refuse every connection and every look-up of a name in this process, but to sockets of this machine's own files."""
    global _refusing, _is_watching
    if not _is_watching:
        sys.addaudithook(_watch)  # it stays, and does nothing outside of a replay
        _is_watching = True
    _refusing += 1
    try:
        yield
    finally:
        _refusing -= 1


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _refusing or not event.startswith("socket.") or not _WAYS_OUT.fullmatch(event):
        return
    address = arguments[1] if event in ("socket.connect", "socket.sendto") and len(arguments) > 1 else None
    if isinstance(address, str | bytes):
        return  # a socket of this machine's own files
    raise NetworkRefused("the network is refused while a cassette is played")
