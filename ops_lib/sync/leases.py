"""One cycle at a time per account, however many workers run (Y8).

A lease is a row with its holder and an end by the real clock, whatever the workspace's clock says. A holder on this machine that died has lost
it at once; one elsewhere when its time is over. While a worker is at an account, a thread beside it holds on to the lease: reading a big
mailbox, or waiting for a throttled one, may take longer than any lease.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, delete, select, update

from ops_lib.database import tables as t
from ops_lib.database.engine import Database, insert_unless_there
from ops_lib.errors import OpsError

KEPT_TIMES = 4
"""How often a lease is held on to in the time that it lasts."""


class Leases:
    """The leases over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, account_id: str, owner: str, seconds: float) -> bool:
        """Take the account for so long, by the real clock; false where another worker holds it and is not known to be dead."""
        now = datetime.now(UTC)
        row = self._connection.execute(
            select(t.leases).where(t.leases.c.account_id == int(account_id)).with_for_update()
        ).one_or_none()
        until = now + timedelta(seconds=seconds)
        if row is None:
            row_of_ours = {"account_id": int(account_id), "owner": owner, "token": 1, "until": until}
            insert = insert_unless_there(self._connection, t.leases).values(row_of_ours)
            # What came back, not how many rows: PostgreSQL's driver does not count those of an insert.
            return self._connection.execute(insert.returning(t.leases.c.token)).scalar() is not None
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
        changed = self._connection.execute(
            update(t.leases)
            .where(t.leases.c.account_id == int(account_id), t.leases.c.owner == owner)
            .values(until=until)
        )
        return changed.rowcount == 1

    def release(self, account_id: str, owner: str) -> None:
        self._connection.execute(
            delete(t.leases).where(t.leases.c.account_id == int(account_id), t.leases.c.owner == owner)
        )


@contextmanager
def kept(database: Database, account_id: str, owner: str, seconds: float) -> Iterator[None]:
    """Hold on to a lease again and again, whatever the caller is at meanwhile; it ends with the process, or with the lease's loss.

    Whoever writes still asks, in the transaction that writes, whether the lease is its own.
    """
    is_over = threading.Event()

    def keep() -> None:
        while not is_over.wait(seconds / KEPT_TIMES):
            with (
                suppress(OpsError),
                database.begin() as connection,
            ):  # a database that is away now may be there the next time
                if not Leases(connection).keep(account_id, owner, seconds):
                    return

    thread = threading.Thread(target=keep, name=f"lease of account {account_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def this_worker() -> str:
    """Who holds a lease: machine, process and when that process began, so that a dead holder can be told from a new one with its number."""
    return f"{this_machine()}/{os.getpid()}/{_began(os.getpid())}/{uuid.uuid4().hex[:8]}"


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
