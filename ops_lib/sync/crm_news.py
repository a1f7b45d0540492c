"""Whose activities changed: told by PostgreSQL at once, asked of SQLite every half second.

Every write of an activity raises its user's ``change_version`` (`crm.store`); PostgreSQL also tells whoever listens, when the write is committed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from sqlalchemy import select

from ops_lib.crm.store import CHANNEL
from ops_lib.database.engine import Database
from ops_lib.database.tables import users

POLL_SECONDS = 0.5
"""How often SQLite is asked."""

LOOK_SECONDS = 30.0
"""How often PostgreSQL is asked all the same: somebody may have written past the library."""


class CrmNews:
    """Iterated: sets of users (ids) whose activities changed, as it happens, until it is stopped.

    `begin` is to be called before anything is read that it tells of later. **Raises** `WorkspaceError` while the database is away; going on
    afterwards misses nothing.
    """

    def __init__(self, database: Database, stopping: threading.Event) -> None:
        self._database = database
        self._stopping = stopping
        self._seen: dict[str, int] = {}

    def begin(self) -> None:
        """What is there now is no news."""
        self._seen = self._versions()

    def __iter__(self) -> Iterator[set[str]]:
        if self._database.is_sqlite:
            while not self._stopping.wait(POLL_SECONDS):
                if changed := self._changed():
                    yield changed
            return
        while not self._stopping.is_set():
            with self._database.listening(CHANNEL) as told:
                if changed := self._changed():  # what happened before anybody listened
                    yield changed
                waited = 0.0
                while not self._stopping.is_set():
                    is_news = told(POLL_SECONDS)
                    waited += POLL_SECONDS
                    if is_news or waited >= LOOK_SECONDS:
                        waited = 0.0
                        if changed := self._changed():
                            yield changed

    def _changed(self) -> set[str]:
        now = self._versions()
        changed = {user for user, version in now.items() if version != self._seen.get(user, 0)}
        self._seen = now
        return changed

    def _versions(self) -> dict[str, int]:
        with self._database.read() as connection:
            return {
                str(row.id): row.change_version
                for row in connection.execute(select(users.c.id, users.c.change_version))
            }
