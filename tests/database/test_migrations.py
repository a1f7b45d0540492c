"""The schema's history: the revisions lead to the tables, on both databases."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from ops_lib.database import migrations, tables
from ops_lib.database.engine import Database
from ops_lib.errors import WorkspaceError


def test_the_revisions_lead_to_the_tables(database: Database) -> None:
    """A database brought up to date by the revisions has exactly the tables, columns and indexes of `tables.py`."""
    with database.begin() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": migrations.VERSION_TABLE, "compare_type": True, "compare_server_default": True},
        )
        assert compare_metadata(context, tables.metadata) == []


def test_partial_indexes_are_made(database: Database) -> None:
    """The indexes that keep one open link per activity hold for open links only (the comparison above does not look at that)."""
    with database.read() as connection:
        indexes = {index["name"]: index for index in inspect(connection).get_indexes("links")}
    options = indexes["ux_links_activity"]["dialect_options"]
    assert "resting" in str(options.get("sqlite_where", options.get("postgresql_where")))


def test_activities_of_the_first_schema_get_a_token_each(database_url: str) -> None:
    """Activities that were there before tokens keep everything, and each gets a token of its own."""
    database = Database(database_url)
    with database.engine.begin() as connection:
        command.upgrade(migrations.alembic_configuration(connection), "0001")
        for statement in (
            "INSERT INTO communities (id, name, time_zone) VALUES (1, 'Elm Court', 'UTC')",
            "INSERT INTO users (id, email, name, time_zone, is_admin) VALUES (1, 'a@example.test', 'A', 'UTC', false)",
            "INSERT INTO activity_types (id, name, master_type, is_face_to_face) VALUES (1, 'Tour', '', true)",
            *(
                "INSERT INTO activities (id, user_id, type_id, status, description, is_all_day, location, notes, origin, is_private, organizer,"
                " attendees, rescheduled_from, updated_at, version, is_deleted) VALUES"
                f" ({number}, 1, 1, 'Scheduled', 'Tour', false, '', '', 'crm', false, '', '[]', {before}, '2026-11-23 09:00:00', {number}, false)"
                for number, before in ((1, "NULL"), (2, "1"))
            ),
        ):
            connection.exec_driver_sql(statement)
    database.upgrade()
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT id, rescheduled_from, token FROM activities ORDER BY id").all()
    database.close()
    assert [row[:2] for row in rows] == [(1, None), (2, 1)]
    tokens = [row[2] for row in rows]
    assert all(len(token) == 16 for token in tokens)
    assert len(set(tokens)) == 2


def test_the_list_of_revisions_is_the_folder() -> None:
    """`REVISIONS` names the files of versions/, oldest first."""
    revisions = ScriptDirectory(str(migrations.FOLDER)).walk_revisions()
    assert tuple(revision.revision for revision in revisions)[::-1] == migrations.REVISIONS


def test_the_second_opening_asks_only_once(database_url: str) -> None:
    """A database that is up to date is opened by another process without a change."""
    Database(database_url).upgrade()
    second = Database(database_url)
    with second.read() as connection:
        assert migrations.is_current(connection, second.shown)
    second.close()


def test_two_that_open_at_once_make_the_schema_once(database_url: str) -> None:
    """Eight that open a new database at the same moment all find it ready."""
    databases = [Database(database_url) for _ in range(8)]
    failures: list[BaseException] = []
    start = threading.Barrier(len(databases), timeout=30)

    def upgrade(database: Database) -> None:
        start.wait()
        try:
            database.upgrade()
        except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    threads = [threading.Thread(target=upgrade, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()
    assert failures == []


def test_a_switch_that_sqlite_refuses_is_tried_again(tmp_path: Path) -> None:
    """SQLite refuses to switch to write-ahead logging while anyone writes, at once and without its waiting; we wait."""
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    with database.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    database.close()
    other.close()


def test_a_newer_schema_is_left_alone(database_url: str) -> None:
    """A database that a newer version wrote is refused, with the mend, before anything is done to it."""
    database = Database(database_url)
    with database.begin() as connection:
        connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'"))
    database.close()
    with pytest.raises(WorkspaceError, match="newer version") as caught, Database(database_url).begin():
        pass
    assert "install the newer version" in str(caught.value)


def test_a_stranger_s_database_is_left_alone(tmp_path: Path) -> None:
    """A database that holds somebody else's tables is refused, not filled."""
    database = Database(f"sqlite:///{tmp_path / 'other.db'}")
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE recipes (id INTEGER)"))
    with pytest.raises(WorkspaceError, match="recipes"):
        database.upgrade()
    database.close()


def test_templates_of_an_older_schema_are_plain_text(database_url: str) -> None:
    """A template that was there before formatted ones keeps everything and counts as plain text."""
    database = Database(database_url)
    with database.engine.begin() as connection:
        command.upgrade(migrations.alembic_configuration(connection), "0003")
        connection.exec_driver_sql("INSERT INTO templates (id, name, subject, body) VALUES (1, 'Hello', 'Hi', '<b>')")
    with database.read() as connection:
        rows = connection.execute(tables.templates.select()).all()
    database.close()
    assert [tuple(row) for row in rows] == [(1, "Hello", "Hi", "<b>", False)]
