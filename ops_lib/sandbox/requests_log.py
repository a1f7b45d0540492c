"""What was asked of the sandbox: counts and bytes per operation and mailbox."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from typing import Any

REFUSED = "(refused)"  # sign-in failed: the body was not looked at
CHALLENGED = "(challenge)"  # the first half of NTLM: a 401 that asks for the second
UNREADABLE = "(unreadable)"  # no operation could be read from the body


@dataclass(order=True)
class _Count:
    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    faulted: int = 0


class RequestsLog:
    """Counts requests from any thread; a request is counted when it arrives, whatever becomes of its answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], _Count] = defaultdict(_Count)
        self._statuses: Counter[int] = Counter()

    def arrived(self, operation: str, mailbox: str, size: int, *, faulted: bool = False) -> None:
        """Counts a request of ``size`` bytes on the wire; ``faulted`` when a rule made it go wrong."""
        with self._lock:
            count = self._counts[operation, mailbox]
            count.requests += 1
            count.bytes_in += size
            count.faulted += faulted

    def answered(self, operation: str, mailbox: str, status: int, size: int) -> None:
        """Counts the answer's bytes on the wire; one that was never sent is not counted."""
        with self._lock:
            self._counts[operation, mailbox].bytes_out += size
            self._statuses[status] += 1

    def clear(self) -> None:
        """Forgets everything counted."""
        with self._lock:
            self._counts.clear()
            self._statuses.clear()

    def total(self, operation: str = "*", mailbox: str = "*") -> int:
        """Says how many requests there were of ``operation`` for ``mailbox``."""
        with self._lock:
            return sum(
                count.requests
                for (named, address), count in self._counts.items()
                if operation in ("*", named) and mailbox.lower() in ("*", address)
            )

    def document(self) -> dict[str, Any]:
        """Draws the log as JSON: the sum, per operation, per mailbox and operation, and every count with its bytes."""
        with self._lock:
            counts = sorted((key, replace(count)) for key, count in self._counts.items())
            statuses = {str(status): number for status, number in sorted(self._statuses.items())}
        operations: Counter[str] = Counter()
        mailboxes: dict[str, dict[str, int]] = {}
        for (operation, mailbox), count in counts:
            operations[operation] += count.requests
            mailboxes.setdefault(mailbox, {})[operation] = count.requests
        return {
            "total": sum(operations.values()),
            "operations": dict(operations),
            "mailboxes": mailboxes,
            "statuses": statuses,
            "bytes_in": sum(count.bytes_in for _, count in counts),
            "bytes_out": sum(count.bytes_out for _, count in counts),
            "counts": [
                {"operation": operation, "mailbox": mailbox, **asdict(count)} for (operation, mailbox), count in counts
            ],
        }
