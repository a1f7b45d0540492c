"""Workers that die: whatever they are at, at any step, without a word. What they had committed stays, the rest is rolled back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, update

from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.sync.leases import this_machine


class Killed(BaseException):
    """The process is gone. Nothing catches it."""


@dataclass
class Life:
    """How many steps a worker lives: calls of the mailbox and commits of the database, each once before and once after. None: it does not die."""

    steps: int | None = None
    is_over: bool = False
    at: dict[str, Callable[[], object]] = field(default_factory=dict)  # what happens, once, when it comes to a step

    def step(self, where: str = "") -> None:
        if (happening := self.at.pop(where, None)) is not None:
            happening()
        if self.steps is not None:
            self.is_over |= self.steps == 0
            self.steps -= 1
        self.check()

    def check(self) -> None:
        if self.is_over:
            raise Killed


class MortalDatabase:
    """A database as one worker holds it: with the worker's death, an open transaction is rolled back and no other begins."""

    def __init__(self, database: Database, life: Life) -> None:
        self._database = database
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        self._life.check()
        with self._database.begin() as connection:
            yield connection
            self._life.step("before commit")
        self._life.step("after commit")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._life.check()
        with self._database.read() as connection:
            yield connection


def bury(database: Database) -> None:
    """What others see of a worker that was killed: the holder of its lease is a process that no longer runs."""
    with database.begin() as connection:
        connection.execute(update(t.leases).values(owner=f"{this_machine()}/{os.getpid()}/0/dead"))


def outlive_leases(database: Database) -> None:
    """The holders of leases have not been heard of for so long that they lost them; they may be alive."""
    with database.begin() as connection:
        connection.execute(update(t.leases).values(until=datetime(2000, 1, 1, tzinfo=UTC)))
