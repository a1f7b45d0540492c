"""What clients are told of without asking for it: a mailbox's events, and who has subscribed to them.

A mailbox writes its journal from its first subscription on. A subscription is a position in it: events before that have been told.
Source: "Notification subscriptions, mailbox events, and EWS in Exchange" and the pages of Subscribe, GetEvents and GetStreamingEvents.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import struct
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .mailboxes import Folder, Mailbox

KINDS = (
    "CopiedEvent",
    "CreatedEvent",
    "DeletedEvent",
    "ModifiedEvent",
    "MovedEvent",
    "NewMailEvent",
    "FreeBusyChangedEvent",
)
KEPT_EVENTS = 5_000
"""How many events of a mailbox are kept; who has not come for them by then has missed some."""
MOST_PER_MAILBOX = 5_000
"""Subscriptions to one mailbox: Exchange 2013 and later on premises; Exchange Online has 20."""
STREAMING_MINUTES = 30
"""How long a streaming subscription lives without a connection."""
_WATERMARK = struct.Struct(">16sQ")

How = Literal["pull", "streaming"]


class SubscriptionLost(Exception):
    """A subscription cannot be gone on with; ``code`` is what Exchange answers."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Place:
    """An item or folder as an event names it."""

    object_id: str
    object_key: str
    parent_id: str
    parent_key: str
    folder: int
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``before`` is where a moved item was, or what a copy is of."""

    number: int
    kind: str
    at: datetime
    place: Place
    before: Place | None = None


class Journal:
    """What happened in one mailbox since somebody first subscribed to it."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.last = 0
        self.watchers: set[Callable[[], None]] = set()
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)

    def record(self, kind: str, place: Place, before: Place | None = None) -> None:
        """Something happened; whoever watches hears that there is news."""
        self.last += 1
        self._events.append(Event(self.last, kind, self.mailbox.organisation.now(), place, before))
        for watcher in tuple(self.watchers):
            watcher()

    def since(self, number: int) -> Iterable[Event]:
        """What happened after this event. **Raises** SubscriptionLost where some of it is not kept any more."""
        if number > self.last:
            raise SubscriptionLost("ErrorInvalidWatermark")
        if self._events and number < self._events[0].number - 1:
            raise SubscriptionLost("ErrorMissedNotificationEvents")
        return itertools.islice(self._events, max(0, len(self._events) - (self.last - number)), None)


@dataclass(slots=True)
class Subscription:
    """Who wants to hear of what. ``folders`` None: of all; ``backend``: the server it lives on."""

    subscription_id: str
    how: How
    journal: Journal
    owner: str
    folders: frozenset[int] | None
    kinds: frozenset[str]
    position: int
    lifetime: timedelta
    expires: datetime
    backend: int = 0
    connection: object | None = field(default=None)

    @property
    def mailbox(self) -> Mailbox:
        """Whose events they are."""
        return self.journal.mailbox

    def wants(self, event: Event) -> bool:
        """Whether the subscription is to such events: a move concerns both folders."""
        if event.kind not in self.kinds:
            return False
        if self.folders is None:
            return True
        places = (event.place,) if event.before is None else (event.place, event.before)
        return any(each.folder in self.folders for each in places)

    def pending(self, most: int) -> tuple[list[Event], int, bool]:
        """What is to be told now: at most so many events, up to which number, and whether more wait. **Raises** SubscriptionLost."""
        found: list[Event] = []
        for event in self.journal.since(self.position):
            if self.wants(event):
                if len(found) == most:
                    return found, found[-1].number, True
                found.append(event)
        return found, self.journal.last, False

    def go_on_after(self, watermark: str) -> None:
        """The client has seen everything up to this watermark, and nothing after it. **Raises** SubscriptionLost."""
        number = number_of(watermark, self.journal)
        self.journal.since(number)
        self.position = number

    def touch(self, now: datetime) -> None:
        """Somebody came for it: its time begins anew."""
        self.expires = now + self.lifetime


class Subscriptions:
    """All subscriptions of an organisation."""

    def __init__(self, now: Callable[[], datetime], most_per_mailbox: int = MOST_PER_MAILBOX) -> None:
        self._now = now
        self.most_per_mailbox = most_per_mailbox
        self._known: dict[str, Subscription] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._known)

    def add(
        self,
        mailbox: Mailbox,
        how: How,
        *,
        owner: str,
        folders: Iterable[Folder] | None,
        kinds: Iterable[str],
        minutes: int = STREAMING_MINUTES,
        watermark: str = "",
        backend: int = 0,
    ) -> Subscription:
        """Subscribe. ``folders`` None: to all of the mailbox's; ``watermark``: begin after what another one told last.

        **Raises** SubscriptionLost with ErrorExceededSubscriptionCount, ErrorInvalidWatermark or ErrorMissedNotificationEvents.
        """
        self._forget_expired()
        if sum(each.mailbox is mailbox for each in self._known.values()) >= self.most_per_mailbox:
            raise SubscriptionLost("ErrorExceededSubscriptionCount")
        journal = mailbox.journal_from_now()
        position = number_of(watermark, journal) if watermark else journal.last
        journal.since(position)
        lifetime = timedelta(minutes=minutes)
        name = f"{mailbox.organisation.life} {mailbox.guid} {next(self._numbers)}"
        subscription = Subscription(
            base64.b64encode(hashlib.sha256(name.encode()).digest()).decode(),
            how,
            journal,
            owner,
            None if folders is None else frozenset(folder.number for folder in folders),
            frozenset(kinds),
            position,
            lifetime,
            self._now() + lifetime,
            backend,
        )
        self._known[subscription.subscription_id] = subscription
        return subscription

    def get(self, subscription_id: str, owner: str, backend: int) -> Subscription:
        """The subscription of that id, of whoever asks. **Raises** SubscriptionLost: it is not there, or another's."""
        self._forget_expired()
        found = self._known.get(subscription_id)
        if found is None or found.backend != backend:
            raise SubscriptionLost("ErrorSubscriptionNotFound")
        if found.owner != owner:
            raise SubscriptionLost("ErrorSubscriptionAccessDenied")
        return found

    def remove(self, subscription: Subscription) -> None:
        """End a subscription; a connection that reads it hears of it."""
        self._known.pop(subscription.subscription_id, None)
        for watcher in tuple(subscription.journal.watchers):
            watcher()

    def is_known(self, subscription: Subscription) -> bool:
        """Whether the subscription still stands."""
        return subscription.subscription_id in self._known

    def forget_mailbox(self, mailbox: Mailbox) -> None:
        """The mailbox went elsewhere: what was subscribed to on its old server is lost."""
        for each in [one for one in self._known.values() if one.mailbox is mailbox]:
            self.remove(each)

    def _forget_expired(self) -> None:
        now = self._now()
        for each in [one for one in self._known.values() if one.connection is None and one.expires <= now]:
            self.remove(each)


def watermark_of(journal: Journal, number: int) -> str:
    """The opaque text of a place in a mailbox's journal."""
    return base64.b64encode(_WATERMARK.pack(_owner(journal), number)).decode()


def number_of(watermark: str, journal: Journal) -> int:
    """The place that a watermark names. **Raises** SubscriptionLost: it is none, or another mailbox's."""
    try:
        owner, number = _WATERMARK.unpack(base64.b64decode(watermark, validate=True))
    except (binascii.Error, ValueError, struct.error):
        raise SubscriptionLost("ErrorInvalidWatermark") from None
    if owner != _owner(journal):
        raise SubscriptionLost("ErrorInvalidWatermark")
    return int(number)


def _owner(journal: Journal) -> bytes:
    mailbox = journal.mailbox
    return hashlib.sha256(f"{mailbox.organisation.life} {mailbox.guid}".encode()).digest()[:16]
