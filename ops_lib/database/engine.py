"""The workspace's database: SQLite embedded, PostgreSQL by URL. Transactions that write, snapshots that read.

Both behave alike: a write transaction sees what was committed before it and nobody writes past it unnoticed; a read
sees one moment. SQLite takes its one write lock when a write transaction *begins*, so that two processes queue up
(for 30 seconds) and never deadlock half-way.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from ops_lib.errors import InputError, WorkspaceError

BUSY_TIMEOUT_SECONDS = 30
CONNECT_TIMEOUT_SECONDS = 10


class Database:
    """One database, usable from any number of threads. The schema is brought up to date when it is first used.

    **Raises** `InputError` for a URL that is none, `WorkspaceError` when the database cannot be reached, is locked for
    longer than 30 seconds, or was written by a newer version. No message holds a password.
    """

    def __init__(self, url: str) -> None:
        self._url = _understood(url)
        self._engine = _engine(self._url)
        self._is_current = False
        self._upgrading = threading.Lock()

    def __repr__(self) -> str:
        return f"Database({self.shown!r})"

    @property
    def shown(self) -> str:
        """The database as it may be shown: where it is, never how to get in."""
        if self.is_sqlite:
            return f"sqlite:///{self._url.database}"
        host = self._url.host or self._url.query.get("host") or "localhost"
        port = f":{self._url.port}" if self._url.port else ""
        return f"postgresql://{host}{port}/{self._url.database or ''}"

    @property
    def is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @property
    def engine(self) -> Engine:
        """The engine beneath, for migrations and tests; everything else goes through `begin` and `read`."""
        return self._engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a write transaction: committed at the end, rolled back by any exception."""
        self.upgrade()
        with self._transaction("write") as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one moment, however long it reads. Writing through it fails."""
        self.upgrade()
        with self._transaction("read") as connection:
            yield connection

    @contextmanager
    def listening(self, channel: str) -> Iterator[Callable[[float], bool]]:
        """Hear of what transactions tell a channel when they are committed (PostgreSQL only).

        Gives a function that waits so many seconds at most and says whether anything was told. **Raises** `WorkspaceError`, also in there.
        """
        self.upgrade()
        try:
            pooled = self._engine.raw_connection()
        except OperationalError as error:
            raise self._unreachable(error) from None
        connection: Any = pooled.driver_connection
        pooled.detach()  # ours to close: nobody else is to hear what is told here

        def told(seconds: float) -> bool:
            return any(True for _ in connection.notifies(timeout=seconds, stop_after=1))

        try:
            connection.autocommit = True
            connection.execute(f'LISTEN "{channel}"')
            yield told
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise self._unreachable(OperationalError("LISTEN", None, error)) from None
        finally:
            connection.close()

    def upgrade(self) -> None:
        """Bring the schema up to date; costs one query where it is already."""
        if self._is_current:
            return
        from ops_lib.database import migrations

        with self._upgrading:
            if not self._is_current:
                with self._transaction("read") as connection:
                    is_current = migrations.is_current(connection, self.shown)
                if not is_current:
                    with self._transaction("write") as connection:
                        migrations.upgrade(connection, self.shown)
                self._is_current = True

    def close(self) -> None:
        """Close the pooled connections; the database can be used again afterwards."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, mode: Literal["read", "write"]) -> Iterator[Connection]:
        try:
            connection = self._engine.connect()
        except OperationalError as error:
            raise self._unreachable(error) from None
        with connection:
            options: dict[str, Any] = {"mode": mode}
            if not self.is_sqlite and mode == "read":
                options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            connection = connection.execution_options(**options)
            try:
                with connection.begin():
                    yield connection
            except OperationalError as error:  # locked, lost, full, not writable
                raise self._unreachable(error) from None

    def _unreachable(self, error: OperationalError) -> WorkspaceError:
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason given"
        password = self._url.password or self._url.query.get("password")
        if isinstance(password, str) and password:
            reason = reason.replace(password, "…")
        if "locked" in reason:
            return WorkspaceError(
                f"another process has held the database for {BUSY_TIMEOUT_SECONDS} seconds",
                subject=self.shown,
                fix="wait for it to end, or end it, and try again.",
            )
        fix = (
            "check that its folder exists, may be written, and has room."
            if self.is_sqlite
            else "check database_url in syncops.toml or SYNCOPS_DATABASE_URL, and that the server runs."
        )
        return WorkspaceError(f"the database cannot be used: {reason}", subject=self.shown, fix=fix)


def insert_unless_there(connection: Connection, table: Table) -> Any:
    """An INSERT that does nothing where a unique column says that the row is there; add ``.values()`` and ``.returning()``.

    Two transactions that insert the same at once both go on: the second waits for the first and then inserts nothing.
    """
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return dialect_insert(table).on_conflict_do_nothing()


def upsert(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Write a row under its key, whether or not it is there."""
    connection.execute(_upsert(connection.dialect.name, table, tuple(key), tuple(values)), {**key, **values})


@lru_cache(maxsize=256)
def _upsert(dialect: str, table: Table, key: tuple[str, ...], values: tuple[str, ...]) -> Any:
    """The statement, its values still open: to build one takes longer than to carry it out."""
    statement = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
    written = {name: statement.excluded[name] for name in values}
    return statement.on_conflict_do_update(index_elements=list(key), set_=written)


def _understood(url: str) -> URL:
    fix = "write sqlite:///FILE or postgresql://USER@HOST/DATABASE."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InputError("this is no database URL", subject="database_url", fix=fix) from None
    backend = parsed.get_backend_name()
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise InputError(
                "a workspace needs a database that lasts, and this one lives in memory", subject=url, fix=fix
            )
        return parsed.set(drivername="sqlite")
    raise InputError(f"{backend} is no database that syncops knows", subject="database_url", fix=fix)


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    arguments = {"timeout": BUSY_TIMEOUT_SECONDS} if is_sqlite else {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
    try:
        engine = create_engine(
            url,
            connect_args=arguments,
            hide_parameters=True,  # values are people's data: no error shows them
            pool_size=8,
            max_overflow=64,
            pool_pre_ping=not is_sqlite,
        )
    except (ModuleNotFoundError, NoSuchModuleError):
        raise WorkspaceError(
            "the driver for PostgreSQL is not installed", fix="pip install 'syncops[postgres]'."
        ) from None
    if is_sqlite:
        event.listen(engine, "do_connect", partial(_make_file, str(url.database)))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_file(path: str, *_connecting: Any) -> None:
    """Make a new database its owner's alone: it holds people's calendars. SQLite gives its companion files the same mode.

    One that is there keeps the mode it was given. What stands in the way of the file SQLite says itself.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare_sqlite(raw: Any, _record: Any) -> None:
    raw.isolation_level = None  # transactions are begun by us, not guessed by the driver from the statement
    cursor = raw.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    _write_ahead(cursor)  # readers do not wait for the writer
    # FULL: a stamp that was promised before a create must outlast a power cut, not only a killed process.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Switch a new database to write-ahead logging. SQLite refuses this one at once, without its usual waiting, where
    another connection makes the same switch at the same moment."""
    give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("mode")
    if connection.info.get("mode") != mode:  # as this connection was used last
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if mode == 'read' else 'OFF'}")
        connection.info["mode"] = mode
    connection.exec_driver_sql("BEGIN" if mode == "read" else "BEGIN IMMEDIATE")
