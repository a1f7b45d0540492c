"""Databases for tests: ``database`` is an empty one on SQLite and again on PostgreSQL; ``sqlite_database`` is quicker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops_lib.database.engine import Database
from tests.support import postgres


@pytest.fixture(scope="session")
def postgres_database_url() -> Iterator[Callable[[], str]]:
    """Makes an empty PostgreSQL database at each call; skips where no server can be started."""
    with postgres.server() as url:
        yield postgres.database_maker(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'syncops.db'}"
    make: Callable[[], str] = request.getfixturevalue("postgres_database_url")
    return make()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database, on each kind in turn."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database: for what does not touch the database's ways."""
    database = Database(f"sqlite:///{tmp_path / 'syncops.db'}")
    yield database
    database.close()
