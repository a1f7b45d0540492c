"""The organisation's clock: real time, a fixed instant, or either one moved by a test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ops_lib.errors import SandboxError


def real_now() -> datetime:
    """Says what time it is, in UTC."""
    return datetime.now(UTC)


class Clock:
    """Answers "now" for the store and for tokens; can be set to an instant, moved, and given back to its source."""

    def __init__(self, source: Callable[[], datetime] | None = None) -> None:
        self._source = source or real_now
        self._lock = threading.Lock()
        self._fixed: datetime | None = None
        self._shift = timedelta()

    def __call__(self) -> datetime:
        with self._lock:
            return (self._fixed or self._source()) + self._shift

    def set(self, at: datetime) -> None:
        """Stops the clock at ``at``. Raises SandboxError for a time without a zone."""
        if at.tzinfo is None:
            raise SandboxError(
                "a time without a zone says nothing", subject=at.isoformat(), fix="Write it in UTC, ending in Z."
            )
        with self._lock:
            self._fixed, self._shift = at.astimezone(UTC), timedelta()

    def advance(self, seconds: float) -> None:
        """Moves the clock on (or back, for a negative number) by ``seconds``."""
        with self._lock:
            self._shift += timedelta(seconds=seconds)

    def restart(self) -> None:
        """Gives the clock back to its source."""
        with self._lock:
            self._fixed, self._shift = None, timedelta()
