"""Streaming notifications: one connection tells of the changes in up to 200 mailboxes that share a sign-in.

Subscriptions live on one of Exchange's servers. All of a line's are made in the name of one *anchor* mailbox, with the cookie that the first answer
brought, and so is the connection that listens; the connection is charged to the anchor, not to the service account.
Source: "Maintain affinity between a group of subscriptions and the Mailbox server in Exchange"; GetStreamingEvents; Subscribe.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lxml import etree
from requests import RequestException, Response

from ops_lib.errors import AnswerLost, MailboxError, MailboxMissing
from ops_lib.mailbox.ews import answers
from ops_lib.mailbox.ews.answers import Answer, child, children, name_of, text_of
from ops_lib.mailbox.ews.requests import MESSAGES, TYPES
from ops_lib.mailbox.ews.transport import Transport

MOST_MAILBOXES = 200
"""Subscriptions that one connection may listen to."""

LONGEST_MINUTES = 30
"""How long Exchange keeps a streaming connection."""

QUIET_SECONDS = 150.0
"""A server says that it is there more often than this; one that does not is connected to anew."""

_COOKIE = "X-BackEndOverrideCookie"
_GIVEN = re.compile(rf"(?:^|[,;\s]){_COOKIE}=([^;,\s]+)")
_EVENTS = ("CreatedEvent", "ModifiedEvent", "DeletedEvent", "MovedEvent", "CopiedEvent")
_LARGEST_PART = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Heard:
    """What came over a line: mailboxes in which something changed, and mailboxes whose subscription is lost, with the code.

    ``is_broken``: the connection ended unasked; what the server had sent into it is not told again. Nothing at all: the server said that it is
    there.
    """

    changed: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    response_code: str = ""
    is_broken: bool = False


class Line:
    """The notifications of mailboxes that share a sign-in. Used by one thread; `hang_up` may come from another.

    ``transports``: the ways to the mailboxes, at most `MOST_MAILBOXES`.
    """

    def __init__(self, transports: Sequence[Transport]) -> None:
        self._transports = {
            each.address.lower(): each for each in sorted(transports, key=lambda one: one.address.lower())
        }
        self._anchor = next(iter(self._transports.values()))
        self._cookie = ""
        self._mailbox_of: dict[str, str] = {}
        self._response: Response | None = None
        self._is_hung_up = False
        self._guard = threading.Lock()

    @property
    def subscribed(self) -> frozenset[str]:
        """The mailboxes that there is a subscription for."""
        return frozenset(self._mailbox_of.values())

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return sum(each.requests for each in self._transports.values())

    def subscribe(self, mailbox: str) -> None:
        """Ask to be told of changes in the mailbox's default calendar and tasks. **Raises** `MailboxError`."""
        transport = self._transports.get(mailbox.lower())
        if transport is None:
            raise MailboxMissing("there is no way to this mailbox", subject=mailbox, fix="syncops status says why.")
        answer = transport.post(_subscribe(transport.address), self._headers())
        message = answers.messages(answer, transport.address)[0]
        if not message.is_success:
            raise message.error(transport.address)
        found = text_of(child(message.element, "SubscriptionId"))
        if not found:
            raise AnswerLost("the answer holds no subscription", subject=transport.address)
        given = _GIVEN.search(answer.headers.get("Set-Cookie", "") or "")
        if given is not None and not self._cookie:
            self._cookie = given[1]
        self._mailbox_of[found] = mailbox.lower()

    def listen(self, minutes: int = LONGEST_MINUTES) -> Iterator[Heard]:
        """What happens from now on, as it happens; ends when the server ends the connection, when it is silent, or with `hang_up`.

        What happens between two calls is told by the next; what a connection swallowed that broke is not. **Raises** `MailboxError` where the
        server does not let us listen.
        """
        if not self._mailbox_of:
            return
        response = self._anchor.begin(_listen(list(self._mailbox_of), minutes), self._headers(), QUIET_SECONDS)
        with self._guard:
            self._response = response
            if self._is_hung_up:
                response.close()
                return
        is_over = False
        try:
            for part in _parts(response):
                is_over = is_over or _says_closed(part)
                yield from self._heard(part, response)
        except (RequestException, OSError, AttributeError, ValueError):
            is_over = False  # broken off, silent or hung up
        finally:
            with self._guard:
                self._response = None
            response.close()
        if not is_over and not self._is_hung_up:
            yield Heard(is_broken=True)

    def hang_up(self) -> None:
        """End `listen` now, from whatever thread, and for good."""
        with self._guard:
            self._is_hung_up = True
            response = self._response
        if response is not None:
            connection: Any = response.raw.connection
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the subscriptions, as far as the server can be reached."""
        for subscription, mailbox in list(self._mailbox_of.items()):
            with suppress(MailboxError):
                self._transports[mailbox].post(_unsubscribe(subscription), self._headers())
        self._mailbox_of.clear()

    def forget(self, mailboxes: Sequence[str]) -> None:
        """These have no subscription any more. Where that is all of them, nothing binds the line to a server."""
        gone = {each.lower() for each in mailboxes}
        self._mailbox_of = {key: mailbox for key, mailbox in self._mailbox_of.items() if mailbox not in gone}
        if not self._mailbox_of:
            self._cookie = ""

    def _headers(self) -> dict[str, str]:
        headers = {"X-AnchorMailbox": self._anchor.address, "X-PreferServerAffinity": "true"}
        return {**headers, "Cookie": f"{_COOKIE}={self._cookie}"} if self._cookie else headers

    def _heard(self, part: bytes, response: Response) -> Iterator[Heard]:
        for message in answers.messages(Answer(response.status_code, response.headers, part), self._anchor.address):
            named = [text_of(one) for one in children(message.element, "ErrorSubscriptionIds")]
            if not message.is_success:
                lost = frozenset(self._mailbox_of[one] for one in named if one in self._mailbox_of) or self.subscribed
                self.forget(list(lost))
                yield Heard(lost=lost, response_code=message.response_code)
                continue
            changed = set()
            for notification in message.element.iter():
                if name_of(notification) != "Notification":
                    continue
                if any(name_of(one).endswith("Event") and name_of(one) != "StatusEvent" for one in notification):
                    changed.add(self._mailbox_of.get(text_of(child(notification, "SubscriptionId")), ""))
            yield Heard(changed=frozenset(changed - {""}))


def _parts(response: Response) -> Iterator[bytes]:
    """The envelopes of an answer that goes on, each when it is whole."""
    waiting = b""
    for piece in response.iter_content(chunk_size=None):
        waiting += piece
        while (end := _END.search(waiting)) is not None:
            yield waiting[: end.end()]
            waiting = waiting[end.end() :]
        if len(waiting) > _LARGEST_PART:
            raise ValueError("no end of an envelope")


def _says_closed(part: bytes) -> bool:
    return re.search(rb"ConnectionStatus\s*>\s*Closed\s*<", part) is not None


_END = re.compile(rb"</(?:[\w.-]+:)?Envelope\s*>")


def _element(name: str, parent: Any = None, *, of: str = MESSAGES, text: str = "") -> Any:
    tag = f"{{{of}}}{name}"
    if parent is None:
        return etree.Element(tag, nsmap={"m": MESSAGES, "t": TYPES})
    element = etree.SubElement(parent, tag)
    element.text = text or None
    return element


def _subscribe(address: str) -> Any:
    request = _element("Subscribe")
    streaming = _element("StreamingSubscriptionRequest", request)
    folders = _element("FolderIds", streaming, of=TYPES)
    for name in ("calendar", "tasks"):
        folder = _element("DistinguishedFolderId", folders, of=TYPES)
        folder.set("Id", name)
        _element("EmailAddress", _element("Mailbox", folder, of=TYPES), of=TYPES, text=address)
    kinds = _element("EventTypes", streaming, of=TYPES)
    for kind in _EVENTS:
        _element("EventType", kinds, of=TYPES, text=kind)
    return request


def _listen(subscriptions: Sequence[str], minutes: int) -> Any:
    request = _element("GetStreamingEvents")
    ids = _element("SubscriptionIds", request)
    for one in subscriptions:
        _element("SubscriptionId", ids, of=TYPES, text=one)
    _element("ConnectionTimeout", request, text=str(minutes))
    return request


def _unsubscribe(subscription: str) -> Any:
    request = _element("Unsubscribe")
    _element("SubscriptionId", request, text=subscription)
    return request
