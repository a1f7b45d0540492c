"""Databases for tests: ``database`` has the schema and nothing in it, on SQLite and again on PostgreSQL.

``database_url`` is one without even the schema; ``sqlite_database`` is for what does not touch a database's ways.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops_lib.database.engine import Database
from tests.support import postgres


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[postgres.Maker]:
    """Makes databases on a PostgreSQL of this test process; skips where none can be started."""
    with postgres.server() as url:
        yield postgres.Maker(url)


@pytest.fixture(scope="session")
def prepared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that has the schema, to be copied."""
    path = tmp_path_factory.mktemp("prepared") / "syncops.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database without a schema, on each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'syncops.db'}"
    maker: postgres.Maker = request.getfixturevalue("postgres_databases")
    return maker.make()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with the schema and nothing in it, on each kind in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_database")
        return
    maker: postgres.Maker = request.getfixturevalue("postgres_databases")
    database = Database(maker.make(maker.prepared))
    yield database
    database.close()


@pytest.fixture
def sqlite_database(tmp_path: Path, prepared_sqlite: Path) -> Iterator[Database]:
    """A SQLite database with the schema and nothing in it."""
    path = tmp_path / "syncops.db"
    shutil.copy(prepared_sqlite, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()
