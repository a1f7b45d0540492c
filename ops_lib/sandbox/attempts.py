"""Sign-in tries per account, over every way in, and the lock that too many wrong ones bring about.

The organisation has one directory: a wrong password counts the same whether it came by Basic, NTLM or the sign-in page.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

LOCK_AFTER = 10
LOCK_SECONDS = 1800.0


class Verdict(Enum):
    """What became of a try."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    LOCKED = "locked"


@dataclass(slots=True)
class _Tried:
    by: dict[str, Counter[str]] = field(default_factory=dict)
    wrong_in_a_row: int = 0
    locked_until: datetime | None = None


class Attempts:
    """Counts tries from any thread. After ``lock_after`` wrong ones in a row (0: never) an account is locked for ``lock_seconds``."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._tried: dict[str, _Tried] = {}
        self.lock_after = LOCK_AFTER
        self.lock_seconds = LOCK_SECONDS

    def judge(self, account: str, correct: bool, way: str) -> Verdict:
        """Counts one try with a password and says what becomes of it. While an account is locked, the right one is refused too."""
        with self._lock:
            tried = self._tried.setdefault(account.lower(), _Tried())
            verdict = self._verdict(tried, correct)
            tried.by.setdefault(way, Counter())[verdict.value] += 1
            return verdict

    def _verdict(self, tried: _Tried, correct: bool) -> Verdict:
        if self._is_locked(tried):
            return Verdict.LOCKED
        if correct:
            tried.wrong_in_a_row = 0
            return Verdict.ACCEPTED
        tried.wrong_in_a_row += 1
        if self.lock_after and tried.wrong_in_a_row >= self.lock_after:
            tried.wrong_in_a_row = 0
            tried.locked_until = self._now() + timedelta(seconds=self.lock_seconds)
        return Verdict.REFUSED

    def _is_locked(self, tried: _Tried) -> bool:
        if tried.locked_until is not None and self._now() >= tried.locked_until:
            tried.locked_until = None
        return tried.locked_until is not None

    def lock(self, account: str) -> None:
        """Locks an account, as an administrator or somebody who guessed passwords would."""
        with self._lock:
            tried = self._tried.setdefault(account.lower(), _Tried())
            tried.locked_until = self._now() + timedelta(seconds=self.lock_seconds)

    def unlock(self, account: str) -> None:
        """Unlocks an account and forgets its wrong tries; the counts stay."""
        with self._lock:
            tried = self._tried.get(account.lower())
            if tried is not None:
                tried.locked_until, tried.wrong_in_a_row = None, 0

    def count(self, account: str, outcome: str = "*", way: str = "*") -> int:
        """Says how many tries an account has had: of one outcome ("accepted", "refused", "locked"), by one way."""
        with self._lock:
            tried = self._tried.get(account.lower(), _Tried())
            chosen = [counts for name, counts in tried.by.items() if way in ("*", name)]
            return sum(n for counts in chosen for name, n in counts.items() if outcome in ("*", name))

    def clear(self) -> None:
        """Forgets every count and every lock."""
        with self._lock:
            self._tried.clear()

    def restart(self) -> None:
        """Forgets every count and lock, and goes back to the usual limits."""
        self.clear()
        self.lock_after, self.lock_seconds = LOCK_AFTER, LOCK_SECONDS

    def document(self) -> dict[str, Any]:
        """Draws the counts as JSON: per account the sums, whether it is locked, and the counts by way."""
        with self._lock:
            return {
                account: {
                    **{one.value: sum(counts[one.value] for counts in tried.by.values()) for one in Verdict},
                    "is_locked": self._is_locked(tried),
                    "by": {way: dict(counts) for way, counts in sorted(tried.by.items())},
                }
                for account, tried in sorted(self._tried.items())
            }
