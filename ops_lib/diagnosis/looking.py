"""One look at a time: each ends in time, and what goes wrong with it is what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from traceback import extract_tb
from typing import Any

from ops_lib.access.reach import within
from ops_lib.diagnosis.seen import NOTHING, Failure, Probe
from ops_lib.errors import MailboxError, OpsError, ServerBusy
from ops_lib.sync.mapping import instant_text

WHOLE_ANSWER = 3
"""An answer that drips may take so many times what a silent server is waited for (`ops_lib.mailbox.ews.connections`)."""


@dataclass(slots=True)
class Sight:
    """What a look brings home: plain JSON, the answer's telling headers, and a failure where the answer was one."""

    seen: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: OpsError | None = None


class Looking:
    """The probes of one diagnosis, as they are made. ``known`` are taken as they are and not made again."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        deadline_seconds: float,
        probe_seconds: float,
        known: Mapping[str, Probe] | None = None,
    ) -> None:
        self._clock = clock
        self._ends = time.monotonic() + deadline_seconds
        self._probe_seconds = probe_seconds
        self._known = dict(known or {})
        self.probes: dict[str, Probe] = {}

    @property
    def left_seconds(self) -> float:
        """How much time the whole diagnosis has left."""
        return self._ends - time.monotonic()

    @property
    def patience_seconds(self) -> float:
        """How long the next look waits for a server that says nothing, so that one that drips does not take more than is left."""
        return max(0.05, min(self._probe_seconds, self.left_seconds / WHOLE_ANSWER))

    def look(self, name: str, asked: str, question: Callable[[], Sight], *, is_bounded: bool = True) -> Probe:
        """Make a probe, and keep it. ``is_bounded``: it is left alone when its time is over, whatever it does."""
        if name in self._known:
            self.probes[name] = self._known[name]
            return self.probes[name]
        if self.left_seconds <= 0:
            return self.pass_over(name, "the time of the diagnosis was over", asked)
        at, began = instant_text(self._clock()), time.monotonic()
        seen: Mapping[str, Any] = NOTHING
        headers: Mapping[str, str] = NOTHING
        error: Exception | None = None
        try:
            sight = within(self.left_seconds, question) if is_bounded else question()
            seen, headers, error = sight.seen, sight.headers, sight.failure
        except Exception as exception:  # noqa: BLE001  whatever it is, it is what was seen of this one thing
            error = exception
            headers = exception.headers if isinstance(exception, MailboxError) else NOTHING
        self.probes[name] = Probe(
            probe=name,
            outcome="seen" if error is None else "failed",
            asked=asked,
            at=at,
            seconds=round(time.monotonic() - began, 3),
            seen=seen,
            headers=headers,
            failure=_failure(error) if error is not None else None,
        )
        return self.probes[name]

    def pass_over(self, name: str, why: str, asked: str = "") -> Probe:
        """Keep why something was not looked at."""
        if name in self._known:
            self.probes[name] = self._known[name]
        else:
            self.probes[name] = Probe(probe=name, outcome="not asked", asked=asked, why=why)
        return self.probes[name]


def _failure(error: Exception) -> Failure:
    if isinstance(error, OpsError):
        return Failure(
            error=type(error).__name__,
            message=f"{error.subject}: {error.message}"
            if error.subject and not isinstance(error, MailboxError)
            else error.message,
            response_code=error.response_code,
            http_status=error.http_status if isinstance(error, MailboxError) else 0,
            fix=error.fix,
            back_off_seconds=error.back_off_seconds if isinstance(error, ServerBusy) else 0.0,
        )
    if isinstance(error, TimeoutError):
        return Failure(
            error="TimeoutError",
            message="it did not come to an end in the time of the diagnosis",
            response_code="timeout",
            fix="give it more time (--seconds), or look at what holds it up.",
        )
    places = [frame for frame in extract_tb(error.__traceback__) if "ops_lib" in Path(frame.filename).parts]
    place = f" in {Path(places[-1].filename).name}, line {places[-1].lineno}" if places else ""
    return Failure(
        error="Defect",
        message=f"looking ended in {type(error).__name__}{place}, a fault of syncops",
        fix="report it with these words.",
    )
