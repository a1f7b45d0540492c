"""GetStreamingEvents: an answer that goes on, one envelope after another, until its time is over.

Source: the page of GetStreamingEvents; "Stream notifications about mailbox events".
"""

from __future__ import annotations

from collections.abc import Callable

from ..notifications import Subscription, SubscriptionLost
from . import envelope
from .session import Session
from .subscriptions import MOST_EVENTS, lost, notification, status, streamed, told
from .xml import M


class Stream:
    """What one connection is told. To be used with the organisation's lock held.

    ``is_over``: nothing more will come; ``minutes``: how long the client wants to listen at most.
    """

    def __init__(self, session: Session) -> None:
        found, refused, code = streamed(session)
        self._organisation = session.organisation
        self.minutes = int(session.request.root.findtext(f"{M}ConnectionTimeout"))
        self.is_over = bool(refused)
        self._subscriptions: list[Subscription] = [] if refused else found
        for each in self._subscriptions:
            each.connection = self  # whoever listened to it before hears no more
        self.first = _part(lost(refused, code) if refused else status("OK"))

    def watch(self, call: Callable[[], None]) -> None:
        """Have it called, from any thread, when there may be news."""
        for each in self._subscriptions:
            each.journal.watchers.add(call)

    def close(self, call: Callable[[], None]) -> None:
        """End; the subscriptions live on for their time without a connection."""
        for each in self._subscriptions:
            each.journal.watchers.discard(call)
            if each.connection is self:
                each.connection = None
                each.touch(self._organisation.now())
        self.is_over = True

    def news(self) -> list[bytes]:
        """What happened since the last time, as envelopes; none where nothing did."""
        lines: list[str] = []
        gone: dict[str, list[str]] = {}
        for each in list(self._subscriptions):
            if not self._organisation.subscriptions.is_known(each):
                gone.setdefault("ErrorSubscriptionNotFound", []).append(each.subscription_id)
                self._subscriptions.remove(each)
                continue
            if each.connection is not self:
                self._subscriptions.remove(each)
                continue
            try:
                more = True
                while more:
                    events, each.position, more = each.pending(MOST_EVENTS)
                    if events:
                        lines.append(notification(each, events, more=more))
            except SubscriptionLost as missed:
                gone.setdefault(missed.code, []).append(each.subscription_id)
                self._organisation.subscriptions.remove(each)
                self._subscriptions.remove(each)
        parts = [_part(told("".join(lines)))] if lines else []
        parts += [_part(lost(ids, code)) for code, ids in gone.items()]
        if gone or not self._subscriptions:
            self.is_over = True
        return parts

    @staticmethod
    def sign_of_life() -> bytes:
        """What is said now and then where nothing happens."""
        return _part(status("OK"))

    @staticmethod
    def farewell() -> bytes:
        """What is said when the time is over."""
        return _part(status("Closed"))


def _part(messages: str) -> bytes:
    return envelope.answer("GetStreamingEvents", messages).body
