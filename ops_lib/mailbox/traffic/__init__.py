"""Traffic that is kept: recorded as it happens, scrubbed before it touches a disk, and played again where no server is.

A *tape* is what all requests of this process go through while one is in use: `ops_lib.mailbox.ews.connections.Adapter` gives it each HTTP request,
`ops_lib.access.reach` each look at a name, a connection or a certificate. Without a tape nothing here is in anybody's way.

- `recording.Recorder` lets everything through and keeps what came of it, in memory.
- `replaying.Player` lets nothing through: what it does not hold was not recorded.
- `standins`, `words`, `web`, `soap`, `documents`, `records`: what may stay, by allow-lists, and what stands in for the rest.
- `cassettes`: the file, which plain vcrpy can load as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import requests

from ops_lib.errors import InputError


class Tape(Protocol):
    """What stands between this process and the network."""

    def send(self, request: requests.PreparedRequest, proceed: Callable[[], requests.Response]) -> requests.Response:
        """The answer to a request; ``proceed`` really sends it."""

    def look(self, kind: str, arguments: list[Any], question: Callable[[], Any]) -> Any:
        """What a look at the network gives, as plain JSON; ``question`` really looks."""


_tape: Tape | None = None
_user: int | None = None
_in_use = threading.Lock()


def current() -> Tape | None:
    """The tape that is in use. One for the whole process: requests are made in threads of their own as well."""
    return _tape


def look(kind: str, arguments: list[Any], question: Callable[[], Any]) -> Any:
    """What ``question`` gives, through the tape where there is one."""
    return question() if _tape is None else _tape.look(kind, arguments, question)


@contextmanager
def using(tape: Tape) -> Iterator[None]:
    """Have everything go through this tape; one at a time in a process, and another thread's waits. **Raises** `InputError` within another."""
    global _tape, _user
    if _user == threading.get_ident():
        raise InputError("traffic is recorded or replayed here already", subject="capture", fix="end that first.")
    with _in_use:
        _tape, _user = tape, threading.get_ident()
        try:
            yield
        finally:
            _tape = _user = None
