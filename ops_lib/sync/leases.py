"""One cycle at a time per account, however many workers run (Y8).

A lease is a row with its holder and an end by the real clock, whatever the workspace's clock says. A holder on this machine that died has lost
it at once; one elsewhere when its time is over. While workers are at their accounts, one thread beside them holds on to the leases: reading a big
mailbox, or waiting for a throttled one, may take longer than any lease.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.errors import OpsError

KEPT_TIMES = 4
"""How often a lease is held on to in the time that it lasts."""


# Built once: to build a statement takes longer than to carry it out.
_LEASE = select(t.leases).where(t.leases.c.account_id == bindparam("account")).with_for_update()
_HELD = (t.leases.c.account_id == bindparam("account"), t.leases.c.owner == bindparam("holder"))
_KEEP = update(t.leases).where(*_HELD).values(until=bindparam("new_until"))
_RELEASE = delete(t.leases).where(*_HELD)
_INSERT: dict[str, Any] = {
    name: dialect.insert(t.leases).on_conflict_do_nothing().returning(t.leases.c.token)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


class Leases:
    """The leases over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, account_id: str, owner: str, seconds: float) -> bool:
        """Take the account for so long, by the real clock; false where another worker holds it and is not known to be dead."""
        now = datetime.now(UTC)
        row = self._connection.execute(_LEASE, {"account": int(account_id)}).one_or_none()
        until = now + timedelta(seconds=seconds)
        if row is None:
            row_of_ours = {"account_id": int(account_id), "owner": owner, "token": 1, "until": until}
            # What came back, not how many rows: PostgreSQL's driver does not count those of an insert.
            insert = _INSERT[self._connection.dialect.name]
            return self._connection.execute(insert, row_of_ours).scalar() is not None
        if row.owner != owner and row.until > now and not is_dead(row.owner):
            return False
        changed = self._connection.execute(
            update(t.leases)
            .where(t.leases.c.account_id == int(account_id), t.leases.c.token == row.token)
            .values(owner=owner, token=row.token + 1, until=until)
        )
        return changed.rowcount == 1

    def keep(self, account_id: str, owner: str, seconds: float) -> bool:
        """Hold on to it; false where it was taken over meanwhile."""
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        values = {"account": int(account_id), "holder": owner, "new_until": until}
        return self._connection.execute(_KEEP, values).rowcount == 1

    def release(self, account_id: str, owner: str) -> bool:
        """Give it back; false where it was taken over meanwhile."""
        return self._connection.execute(_RELEASE, {"account": int(account_id), "holder": owner}).rowcount == 1


@contextmanager
def kept(database: Database, account_id: str, owner: str, seconds: float) -> Iterator[None]:
    """Hold on to a lease again and again, whatever the caller is at meanwhile; it ends with the process, or with the lease's loss.

    Whoever writes still asks, in the transaction that writes, whether the lease is its own.
    """
    held = _Held(database, account_id, owner, seconds)
    _keeper.add(held)
    try:
        yield
    finally:
        _keeper.remove(held)


class _Held:
    """A lease to be held on to."""

    def __init__(self, database: Database, account_id: str, owner: str, seconds: float) -> None:
        self._database, self._account_id, self._owner, self._seconds = database, account_id, owner, seconds
        self.pause_seconds = seconds / KEPT_TIMES
        self.due = time.monotonic() + self.pause_seconds
        self.busy = threading.Lock()  # whoever ends waits for it: the database may be closed next
        self.is_over = False

    def keep(self) -> None:
        """Hold on to it once more."""
        with self.busy:
            if self.is_over:
                return
            with (
                suppress(OpsError),
                self._database.begin() as connection,
            ):  # one that is away may be there the next time
                self.is_over = not Leases(connection).keep(self._account_id, self._owner, self._seconds)
        self.due = time.monotonic() + self.pause_seconds


class _Keeper:
    """One thread of the process that holds on to all its leases; it begins with the first."""

    def __init__(self) -> None:
        self._held: set[_Held] = set()
        self._changed = threading.Condition()
        self._is_running = False
        self._wakes_at = float("inf")

    def add(self, held: _Held) -> None:
        with self._changed:
            self._held.add(held)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="leases", daemon=True).start()
            if held.due < self._wakes_at:  # else it wakes early enough: a cycle of milliseconds does not wake it
                self._changed.notify()

    def remove(self, held: _Held) -> None:
        with self._changed:
            self._held.discard(held)
        with held.busy:
            held.is_over = True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._held = {each for each in self._held if not each.is_over}
                self._wakes_at = min((each.due for each in self._held), default=float("inf"))
                wait = self._wakes_at - time.monotonic()
                if wait > 0:
                    self._changed.wait(min(wait, threading.TIMEOUT_MAX))
                    continue
                due = [each for each in self._held if each.due <= time.monotonic()]
            for each in due:
                each.keep()


_keeper = _Keeper()


def _begin_anew() -> None:
    """In a forked child: its parent's thread is not here, and its lock may be held for ever."""
    global _keeper
    _keeper = _Keeper()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def this_worker() -> str:
    """Who holds a lease: machine, process and when that process began, so that a dead holder can be told from a new one with its number."""
    return f"{_this_process(os.getpid())}/{uuid.uuid4().hex[:8]}"


def this_machine() -> str:
    """Where process numbers mean the same processes: containers may share a host's name, and a copy of a machine has its name too.

    Name, boot and process namespace; the name alone on systems that do not say the others.
    """
    boot = namespace = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").stat().st_ino)
    return "@".join(part for part in (socket.gethostname(), boot, namespace) if part)


def is_dead(owner: str) -> bool:
    """Whether the holder is a process of this machine that no longer runs. A holder elsewhere is alive until its lease ends."""
    machine, pid, began, _ = owner.rsplit("/", 3)
    return machine == this_machine() and _began(int(pid)) != began


@cache
def _this_process(pid: int) -> str:
    """This process by its machine, number and beginning. Asked once for each number: a forked child is another process."""
    return f"{this_machine()}/{pid}/{_began(pid)}"


def _began(pid: int) -> str:
    """When a process began, as the system counts; empty where it is not running (or this system does not say)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123  # a kernel file, not a path of ours
            return stat.read().rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        return "?"
    return "?"
