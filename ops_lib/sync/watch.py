"""Push: changes on either side lead to a cycle within seconds, and what does not change costs no request (C7).

Three kinds of threads, and one that hands out the work: a *listener* for each line of mailboxes (`mailbox.ews.listening`), one that hears of changes in
the CRM (`sync.crm_news`), and the cycles themselves, which are ordinary ones of the `Fleet`. A notification says that there is news, never what:
a cycle finds out. So a notification that is lost, doubled or of our own making does no harm, and who was not listening catches up with a cycle.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from ops_lib.access.hosts import Hosts
from ops_lib.errors import MailboxError, OpsError, ServerBusy, WorkspaceError
from ops_lib.model import Account, Host
from ops_lib.sync.crm_news import CrmNews
from ops_lib.sync.cycle import CycleResult
from ops_lib.sync.fleet import Fleet
from ops_lib.workspace import Workspace

SETTLE_SECONDS = 0.4
"""One action of a user is several notifications; a cycle waits so long for the last of them."""

AGAIN_SECONDS = 1800.0
"""An account that nothing is heard of has a cycle so often all the same: days enter the window, and notifications can be lost."""

ASK_SECONDS = 120.0
"""An account that its server does not tell of is asked so often."""

BEGIN_SECONDS = 10.0
"""After this an account has its first cycle whether or not its server tells of it yet."""

FAILED_SECONDS = 60.0
"""After a cycle that failed, the next comes so much later, or when the server wants it."""

BUSY_SECONDS = 5.0
"""After another worker was at the account."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 300.0
"""Between two tries to listen, where the server does not let us."""


class Heard(Protocol):
    """What `mailbox.ews.listening.Heard` is."""

    @property
    def changed(self) -> frozenset[str]: ...
    @property
    def lost(self) -> frozenset[str]: ...
    @property
    def is_broken(self) -> bool: ...


class Line(Protocol):
    """What `mailbox.ews.listening.Line` is."""

    @property
    def subscribed(self) -> frozenset[str]: ...
    def subscribe(self, mailbox: str) -> None: ...
    def listen(self) -> Iterable[Heard]: ...
    def hang_up(self) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Due:
    """When each account is to have its next cycle (seconds of the monotonic clock), and which are having one."""

    at: dict[str, float] = field(default_factory=dict)
    queue: list[tuple[float, str]] = field(default_factory=list)
    under_way: set[str] = field(default_factory=set)
    wanted_again: dict[str, float] = field(default_factory=dict)

    def want(self, account_id: str, moment: float) -> None:
        """Have a cycle not later than this. One that is under way may have read too early: another follows it."""
        if account_id in self.under_way:
            self.wanted_again[account_id] = min(moment, self.wanted_again.get(account_id, moment))
        elif moment < self.at.get(account_id, float("inf")):
            self.at[account_id] = moment
            heapq.heappush(self.queue, (moment, account_id))

    def next(self) -> float:
        """When the next one is due; infinity for never."""
        while self.queue and self.at.get(self.queue[0][1]) != self.queue[0][0]:
            heapq.heappop(self.queue)
        return self.queue[0][0] if self.queue else float("inf")

    def take(self, now: float, most: int) -> list[str]:
        """Begin with those that are due, the longest waiting first."""
        taken: list[str] = []
        while len(taken) < most and self.next() <= now:
            _, account_id = heapq.heappop(self.queue)
            del self.at[account_id]
            self.under_way.add(account_id)
            taken.append(account_id)
        return taken

    def done(self, account_id: str, moment: float) -> None:
        """Its cycle ended; the next is due then, or when it was wanted meanwhile."""
        self.under_way.discard(account_id)
        self.want(account_id, min(moment, self.wanted_again.pop(account_id, moment)))


@dataclass(frozen=True, slots=True)
class Standing:
    """How a watch stands: accounts, of how many the server tells us, over how many lines, how many wait for a cycle, cycles and requests so far."""

    accounts: int
    told: int
    lines: int
    waiting: int
    cycles: int
    failed: int
    requests: int


class Watch:
    """Keeps accounts in step until it is stopped.

    ``threads``: cycles at a time; ``tell`` hears of each cycle that did something or failed, ``say`` of everything else in words.
    """

    def __init__(
        self,
        workspace: Workspace,
        accounts: Sequence[Account],
        *,
        threads: int = 4,
        again_seconds: float = AGAIN_SECONDS,
        ask_seconds: float = ASK_SECONDS,
        tell: Callable[[CycleResult], None] = lambda result: None,
        say: Callable[[str], None] = lambda words: None,
        lines: Callable[[Host, Sequence[Account]], Line] | None = None,
    ) -> None:
        self._workspace = workspace
        self._accounts = {each.account_id: each for each in accounts if each.calendar}
        self._threads = threads
        self._again_seconds, self._ask_seconds = again_seconds, ask_seconds
        self._tell, self._say = tell, say
        self._open_line = lines or self._line
        self._due = _Due()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._told: set[str] = set()
        self._lines: set[Line] = set()
        self._cycles = self._failed = self._requests = 0

    # ── from outside ─────────────────────────────────────────────────────────────────────────────────────────────────
    def stop(self) -> None:
        """End: no cycle begins any more, those under way are finished, subscriptions are given back. From any thread or signal handler."""
        self._stopping.set()

    def standing(self) -> Standing:
        """How it stands now."""
        with self._changed:
            return Standing(
                len(self._accounts),
                len(self._told),
                sum(bool(line.subscribed) for line in self._lines),
                sum(moment <= time.monotonic() for moment in self._due.at.values()),
                self._cycles,
                self._failed,
                self._requests,
            )

    def want(self, account_ids: Iterable[str], seconds: float = SETTLE_SECONDS) -> None:
        """Have these accounts' cycles within so many seconds."""
        moment = time.monotonic() + seconds
        with self._changed:
            for each in account_ids:
                if each in self._accounts:
                    self._due.want(each, moment)
            self._changed.notify_all()

    def run(self) -> None:
        """Watch until `stop`. **Raises** `OpsError` where it cannot begin."""
        with self._workspace.database.read() as connection:
            hosts = {host.host_id: host for host in Hosts(connection).all()}
        listeners = [
            threading.Thread(target=self._listen, args=(hosts[group[0].host_id], group), name="listener", daemon=True)
            for group in groups(hosts, list(self._accounts.values()))
        ]
        news = CrmNews(self._workspace.database, self._stopping)
        by_user: dict[str, list[str]] = {}
        for account in self._accounts.values():
            by_user.setdefault(account.user_id, []).append(account.account_id)
        crm = threading.Thread(target=self._hear_crm, args=(news, by_user), name="crm news", daemon=True)
        news.begin()
        self.want(self._accounts, BEGIN_SECONDS)  # unless its subscription stands before: that is followed by a cycle
        for thread in (*listeners, crm):
            thread.start()
        try:
            self._hand_out()
        finally:
            self._stopping.set()
            with self._changed:
                lines = list(self._lines)
            for line in lines:
                line.hang_up()
            for thread in (*listeners, crm):
                thread.join(10)

    # ── cycles ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def _hand_out(self) -> None:
        with ThreadPoolExecutor(self._threads, thread_name_prefix="cycles") as pool:
            free = threading.Semaphore(self._threads)
            while not self._stopping.is_set():
                with self._changed:
                    wait = self._due.next() - time.monotonic()
                    if wait > 0:
                        self._changed.wait(min(wait, 0.2))
                        continue
                if not free.acquire(timeout=0.2):
                    continue
                with self._changed:
                    taken = self._due.take(time.monotonic(), self._batch())
                if not taken:
                    free.release()
                    continue
                pool.submit(self._cycle, taken, free)

    def _batch(self) -> int:
        """How many accounts one thread takes at a time: one, unless many wait."""
        waiting = sum(moment <= time.monotonic() for moment in self._due.at.values())
        return max(1, min(50, waiting // self._threads))

    def _cycle(self, account_ids: Sequence[str], free: threading.Semaphore) -> None:
        left = set(account_ids)

        def done(result: CycleResult) -> None:
            left.discard(result.account.account_id)
            self._done(result)

        try:
            Fleet(self._workspace).run([self._accounts[each] for each in account_ids], progress=done)
        except OpsError as error:  # the database is away: the accounts are not to blame
            self._say(str(error))
        finally:
            free.release()
            with self._changed:
                for each in left:
                    self._due.done(each, time.monotonic() + FAILED_SECONDS)
                self._changed.notify_all()

    def _done(self, result: CycleResult) -> None:
        account_id = result.account.account_id
        with self._changed:
            self._cycles += 1
            self._failed += result.outcome == "failed"
            self._requests += result.requests
            self._due.done(account_id, time.monotonic() + self._next_seconds(result))
            self._changed.notify_all()
        self._tell(result)

    def _next_seconds(self, result: CycleResult) -> float:
        if result.outcome == "busy":
            return BUSY_SECONDS
        if result.outcome in ("failed", "waiting"):
            wanted = result.error.back_off_seconds if isinstance(result.error, ServerBusy) else 0.0
            return max(FAILED_SECONDS, wanted)
        return self._again_seconds if result.account.account_id in self._told else self._ask_seconds

    # ── what is heard ────────────────────────────────────────────────────────────────────────────────────────────────
    def _listen(self, host: Host, accounts: Sequence[Account]) -> None:
        """One line, for as long as the watch lasts."""
        by_mailbox = {each.mailbox.lower(): each.account_id for each in accounts}
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            line: Line | None = None
            try:
                line = self._open_line(host, accounts)
                with self._changed:
                    self._lines.add(line)
                refused, asked_at = self._subscribe(line, by_mailbox), time.monotonic()
                while line.subscribed and not self._stopping.is_set():
                    began = time.monotonic()
                    again = self._hear(line, by_mailbox)
                    if time.monotonic() - began > FIRST_PAUSE_SECONDS and not again:
                        pause = FIRST_PAUSE_SECONDS
                    elif self._stopping.wait(pause):
                        break
                    else:
                        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                    if time.monotonic() - asked_at > self._again_seconds:  # who was refused may be told by now
                        again, refused, asked_at = again | refused, set(), time.monotonic()
                    refused |= self._subscribe(line, {each: by_mailbox[each] for each in again})
                if not line.subscribed and refused:
                    pause = LONGEST_PAUSE_SECONDS
            except OpsError as error:
                wanted = error.back_off_seconds if isinstance(error, ServerBusy) else 0.0
                pause = max(wanted, min(pause * 2, LONGEST_PAUSE_SECONDS))
                self._say(f"{host.name}: changes in {len(accounts)} mailboxes are asked for meanwhile: {error}")
            finally:
                self._set_told(by_mailbox.values(), is_told=False)
                if line is not None:
                    with self._changed:
                        self._lines.discard(line)
                    with suppress(OpsError):
                        line.close()
            self._stopping.wait(pause)

    def _subscribe(self, line: Line, by_mailbox: Mapping[str, str]) -> set[str]:
        """Subscribe to these mailboxes; those that cannot be are asked instead. What happened before is found by a cycle."""
        refused: dict[str, MailboxError] = {}
        for mailbox, account_id in by_mailbox.items():
            if self._stopping.is_set():
                break
            try:
                line.subscribe(mailbox)
                self._set_told([account_id], is_told=True)
                self.want([account_id])
            except MailboxError as error:
                if not _is_of_one_mailbox(error):
                    raise
                refused[mailbox] = error
                self._set_told([account_id], is_told=False)
        if refused:
            first, reason = next(iter(refused.items()))
            self._say(
                f"the server does not tell of {len(refused)} mailboxes: they are asked every {self._ask_seconds:.0f} s ({first}: {reason})"
            )
        return set(refused)

    def _hear(self, line: Line, by_mailbox: Mapping[str, str]) -> set[str]:
        """Listen until the connection ends; the mailboxes whose subscription was lost."""
        lost: set[str] = set()
        for heard in line.listen():
            # What was on its way when a connection broke is told to nobody: a cycle finds it.
            self.want(by_mailbox[each] for each in (line.subscribed if heard.is_broken else heard.changed))
            lost |= heard.lost
            if lost or self._stopping.is_set():
                break
        self._set_told([by_mailbox[each] for each in lost], is_told=False)
        return lost

    def _set_told(self, account_ids: Iterable[str], *, is_told: bool) -> None:
        with self._changed:
            for each in account_ids:
                if is_told:
                    self._told.add(each)
                elif each in self._told:
                    self._told.discard(each)
                    self._due.want(each, time.monotonic() + self._ask_seconds)
            self._changed.notify_all()

    def _hear_crm(self, news: CrmNews, by_user: Mapping[str, Sequence[str]]) -> None:
        while not self._stopping.is_set():
            try:
                for user_ids in news:
                    self.want((each for user in user_ids for each in by_user.get(user, ())), SETTLE_SECONDS / 2)
            except WorkspaceError as error:
                self._say(str(error))
                self._stopping.wait(FIRST_PAUSE_SECONDS)

    def _line(self, host: Host, accounts: Sequence[Account]) -> Line:
        from ops_lib.mailbox.ews.listening import Line as EwsLine
        from ops_lib.mailbox.ews.transport import Transport

        access, timeout = self._workspace.access, self._workspace.settings.request_timeout_seconds
        transports, refused = [], None
        for each in accounts:
            try:
                transports.append(Transport(host, each, access.secrets, timeout, access))
            except OpsError as error:
                refused = error
        if not transports and refused is not None:
            raise refused
        return EwsLine(transports)


def _is_of_one_mailbox(error: MailboxError) -> bool:
    """Whether a refused subscription says nothing of the line's other mailboxes: the server answered, and not that it is busy itself."""
    return error.response_code.startswith("Error") and error.response_code not in _OF_THE_SERVER


_OF_THE_SERVER = ("ErrorServerBusy", "ErrorExceededConnectionCount", "ErrorInternalServerError", "ErrorTimeoutExpired")


def groups(hosts: Mapping[str, Host], accounts: Sequence[Account]) -> list[list[Account]]:
    """The accounts that can share a line: those of one host whose mailboxes one sign-in opens, at most 200; with direct access each alone."""
    from ops_lib.mailbox.ews.listening import MOST_MAILBOXES

    found: list[list[Account]] = []
    open_groups: dict[str, list[Account]] = {}
    for account in sorted(accounts, key=lambda each: (each.host_id, each.mailbox)):
        host = hosts[account.host_id]
        if host.is_retired:
            continue
        if host.access == "direct":
            found.append([account])
            continue
        group = open_groups.get(host.host_id)
        if group is None or len(group) == MOST_MAILBOXES:
            group = open_groups[host.host_id] = []
            found.append(group)
        group.append(account)
    return found
