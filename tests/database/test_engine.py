"""The database: transactions, snapshots, and errors a person can act on."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ops_lib.database import tables
from ops_lib.database.engine import Database, insert_unless_there
from ops_lib.errors import InputError, WorkspaceError
from tests.support import postgres


def _communities(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(tables.communities.select()).scalars("name"))


def _add(connection, name: str) -> None:
    connection.execute(tables.communities.insert().values(name=name, time_zone="UTC"))


def test_what_is_written_in_a_transaction_is_there_afterwards(database: Database) -> None:
    """A write transaction that ends well is kept."""
    with database.begin() as connection:
        _add(connection, "Maple Court")
    assert _communities(database) == ["Maple Court"]


def test_an_exception_takes_everything_back(database: Database) -> None:
    """A write transaction that ends with an exception leaves nothing."""
    with pytest.raises(ZeroDivisionError), database.begin() as connection:  # noqa: PT012 - what is tested is the way out
        _add(connection, "Maple Court")
        1 / 0  # noqa: B018
    assert _communities(database) == []


def test_a_read_sees_one_moment(database: Database) -> None:
    """What is committed while somebody reads is not seen by that read, and is by the next."""
    with database.begin() as connection:
        _add(connection, "Maple Court")
    query = tables.communities.select()
    with database.read() as reading:
        assert len(reading.execute(query).all()) == 1
        with database.begin() as writing:
            _add(writing, "Birch House")
        assert len(reading.execute(query).all()) == 1
    assert len(_communities(database)) == 2


def test_a_read_writes_nothing(database: Database) -> None:
    """A read refuses to write, and the same pooled connection can write again afterwards."""
    with pytest.raises((SQLAlchemyError, WorkspaceError)), database.read() as connection:
        _add(connection, "Maple Court")
    with database.begin() as connection:
        _add(connection, "Birch House")
    assert _communities(database) == ["Birch House"]


def test_references_are_kept(database: Database) -> None:
    """A row that names what does not exist is refused."""
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(tables.user_communities.insert().values(user_id=1, community_id=1))


def test_many_writers_take_turns(database: Database) -> None:
    """Eight threads that read, then write in the same transaction all succeed, and no update is lost."""
    with database.begin() as connection:
        connection.execute(
            tables.users.insert().values(email="a@example.test", name="A", time_zone="UTC", is_admin=False)
        )
    failures: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(5):
                with database.begin() as connection:
                    connection.execute(tables.users.select().with_for_update()).all()
                    connection.execute(tables.users.update().values(change_version=tables.users.c.change_version + 1))
        except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.read() as connection:
        assert connection.execute(tables.users.select()).one().change_version == 40


def test_inserting_what_is_there_does_nothing(database: Database) -> None:
    """`insert_unless_there` returns the new row's id, and nothing when a unique column says that it is there."""
    with database.begin() as connection:
        insert = insert_unless_there(connection, tables.communities).values(name="Maple Court", time_zone="UTC")
        assert connection.execute(insert.returning(tables.communities.c.id)).scalar() is not None
        assert connection.execute(insert.returning(tables.communities.c.id)).scalar() is None


def test_sqlite_keeps_a_log_ahead_of_its_writes(sqlite_database: Database) -> None:
    """SQLite runs in WAL mode, checks references, and flushes every commit to the disk."""
    with sqlite_database.read() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}


def test_a_lock_that_is_never_given_back_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that waits too long learns that another process holds the database."""
    monkeypatch.setattr("ops_lib.database.engine.BUSY_TIMEOUT_SECONDS", 0.05)
    database = Database(f"sqlite:///{tmp_path / 'held.db'}")
    database.upgrade()
    other = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(WorkspaceError, match="another process has held the database"), database.begin():
        pass
    other.close()
    database.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "no database URL"),
        ("oracle://host/db", "no database that syncops knows"),
        ("sqlite://", "lives in memory"),
        ("postgresql://u:p@h:port/db", "no database URL"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(url: str, words: str) -> None:
    """A database URL that is none is refused with the form it should have."""
    with pytest.raises(InputError, match=words) as caught:
        Database(url)
    assert "sqlite:///FILE" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://ann:hunter2@127.0.0.1:1/crm", "postgres://127.0.0.1:1/crm?user=ann&password=hunter2"],
)
@pytest.mark.req("R9")
def test_an_unreachable_database_is_named_without_its_password(url: str) -> None:
    """The error says where the database should be, and never how to get in; neither does its repr."""
    database = Database(url)
    with pytest.raises(WorkspaceError) as caught, database.begin():
        pass
    assert "postgresql://127.0.0.1:1/crm" in str(caught.value)
    assert "hunter2" not in str(caught.value) + repr(database) + repr(caught.value.__cause__)


def test_a_database_that_is_lost_on_the_way_is_named(postgres_databases: postgres.Maker) -> None:
    """When the server goes away in the middle of a transaction, the error says so, and the next transaction works again."""
    database = Database(postgres_databases.make(postgres_databases.prepared))
    with pytest.raises(WorkspaceError, match="cannot be used"), database.begin() as connection:  # noqa: PT012
        _add(connection, "Maple Court")
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        with database.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:backend)"), {"backend": backend})
        _add(connection, "Birch House")
    assert _communities(database) == []
    database.close()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """A SQLite file in a folder that does not exist is an error that names the file."""
    with (
        pytest.raises(WorkspaceError, match=r"nowhere.db: the database cannot be used"),
        Database(f"sqlite:///{tmp_path / 'no' / 'nowhere.db'}").read(),
    ):
        pass
