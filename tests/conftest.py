"""What every test may ask for. The fixtures live in `tests/support/`, one subject a file."""

from __future__ import annotations

from tests.support.browser import browser, page
from tests.support.command_line import prepared_workspace, run
from tests.support.databases import database, database_url, postgres_databases, prepared_sqlite, sqlite_database
from tests.support.sandbox import customer_sandbox, customer_server, sandbox, sandbox_server

__all__ = [
    "browser",
    "customer_sandbox",
    "customer_server",
    "database",
    "database_url",
    "page",
    "postgres_databases",
    "prepared_sqlite",
    "prepared_workspace",
    "run",
    "sandbox",
    "sandbox_server",
    "sqlite_database",
]
