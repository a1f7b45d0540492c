"""What a host's accounts may do, seen over EWS: for each mailbox what each right comes to, with the request and the code that say so.

Nothing is written by what is here; `rights_sending` tries what sending needs. A mailbox costs one request where the service account acts as its
user, two to four where it is a delegate. A server that is away is asked once, not once a mailbox.

**Source** rows P4 and P5 of the requirements; ``ops_lib/mailbox/ews/folder_rights.py`` for how rights are read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from ops_lib.access.rights import Holds, Observation, Right
from ops_lib.access.rights_mailbox import Asking, Looking, Seen, said
from ops_lib.errors import (
    AnswerLost,
    MailboxError,
    OpsError,
    ServerBusy,
    ServerFailed,
    SignInRefused,
    Unreachable,
)
from ops_lib.mailbox import SignIns
from ops_lib.model import Account, Host

FAILURES_IN_A_ROW = 3
"""So many mailboxes one after the other that the server left without an answer, and the others are not asked any more."""

Progress = Callable[[Account], None]


@dataclass(frozen=True, slots=True)
class Collected:
    """What was seen of the accounts, ten observations for each. ``requests`` counts what was sent; ``halted`` is why the rest was not asked."""

    observations: tuple[Observation, ...]
    requests: int
    halted: OpsError | None = None

    @property
    def opened(self) -> frozenset[str]:
        """The mailboxes that answered."""
        return frozenset(
            each.user for each in self.observations if each.right is Right.MAILBOX and each.holds is Holds.YES
        )

    def with_told(self, told: Mapping[tuple[str, Right], Observation], requests: int) -> Collected:
        """The same with what was found out by further ``requests`` in its place."""
        seen = tuple(told.get((each.user, each.right), each) for each in self.observations)
        return replace(self, observations=seen, requests=self.requests + requests)


def collect(
    host: Host,
    accounts: Sequence[Account],
    *,
    secret: Callable[[str], str],
    sign_ins: SignIns,
    clock: Callable[[], datetime],
    threads: int = 4,
    timeout_seconds: float = 120.0,
    progress: Progress = lambda account: None,
) -> Collected:
    """Look at every account's mailbox, in ``threads`` threads; the observations in the accounts' order.

    **Raises** nothing of what can be wrong with a mailbox or the server: that is what is observed.
    """
    run = _Run(host, secret, sign_ins, clock, timeout_seconds)
    waiting = list(accounts)
    found: dict[str, list[Observation]] = {}
    while waiting and not run.is_answering:  # one at a time until the server has answered at all
        account = waiting.pop(0)
        found[account.account_id] = run.look(account)
        progress(account)

    def one(account: Account) -> tuple[str, list[Observation]]:
        seen = run.look(account)
        progress(account)
        return account.account_id, seen

    with ThreadPoolExecutor(max_workers=max(1, threads), thread_name_prefix="rights") as pool:
        found |= dict(pool.map(one, waiting))
    observations = tuple(each for account in accounts for each in found[account.account_id])
    return Collected(observations, run.requests, run.halted)


class _Run:
    def __init__(
        self,
        host: Host,
        secret: Callable[[str], str],
        sign_ins: SignIns,
        clock: Callable[[], datetime],
        timeout_seconds: float,
    ) -> None:
        self.asking = Asking(host, secret, sign_ins, clock, timeout_seconds)
        self.requests = 0
        self.halted: OpsError | None = None
        self.is_answering = False
        self._failures = 0
        self._lock = threading.Lock()

    def look(self, account: Account) -> list[Observation]:
        seen = Seen(account.mailbox.lower())
        if self.halted is not None:
            seen.rest_unknown("not asked", "", said(self.halted))
            return seen.all()
        looking = Looking(self.asking, account, seen)
        try:
            looking.look()
            self._answered()
        except OpsError as error:
            self._failed(error)
            seen.rest_unknown("could not be seen", looking.evidence(error), said(error))
        finally:
            with self._lock:
                self.requests += looking.requests
        return seen.all()

    def _answered(self) -> None:
        with self._lock:
            self.is_answering, self._failures = True, 0

    def _failed(self, error: OpsError) -> None:
        """Whether it is the server, not the mailbox: then the others are not asked."""
        with self._lock:
            is_shared = self.asking.host.access != "direct"
            if isinstance(error, ServerBusy) or (isinstance(error, SignInRefused) and is_shared):
                self.halted = error
            elif _is_of_the_server(error):
                self._failures += 1
                is_away = isinstance(error, Unreachable) and not self.is_answering
                if is_away or self._failures >= FAILURES_IN_A_ROW:
                    self.halted = error
            elif isinstance(error, MailboxError):
                self.is_answering, self._failures = True, 0


def _is_of_the_server(error: OpsError) -> bool:
    """Whether nothing of EWS answered; a code of EWS is about the mailbox, or the database it lies in."""
    return isinstance(error, Unreachable | AnswerLost) or (
        isinstance(error, ServerFailed) and not error.response_code.startswith("Error")
    )
