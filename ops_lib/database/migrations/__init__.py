"""The schema's history, and how a database is brought up to date.

A change of `tables.py` needs a new revision: ``python -m ops_lib.database.migrations "what changes"`` drafts one from the
difference; read it, name it in `REVISIONS`, and the tests compare it with the tables on both databases.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from ops_lib.errors import WorkspaceError

if TYPE_CHECKING:
    from alembic.config import Config

REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
)  # oldest first; here as well as in versions/, so that opening a database need not import Alembic

VERSION_TABLE = "syncops_schema"
FOLDER = Path(__file__).parent

# Any number that nothing else in the database takes as an advisory lock.
_UPGRADE_LOCK = 7_310_461


def is_current(connection: Connection, shown: str) -> bool:
    """Whether the schema is this version's.

    **Raises** `WorkspaceError` where it is a newer version's, or where the database holds something else.
    """
    revision = _revision(connection)
    if revision is None:
        strangers = [name for name in inspect(connection).get_table_names() if name != VERSION_TABLE]
        if strangers:
            raise WorkspaceError(
                f"the database holds tables that are not of syncops ({', '.join(sorted(strangers)[:3])} …)",
                subject=shown,
                fix="name an empty database.",
            )
        return False
    if revision not in REVISIONS:
        raise WorkspaceError(
            f"the database was written by a newer version of syncops (its schema is {revision}, this version knows up to {REVISIONS[-1]})",
            subject=shown,
            fix="install the newer version.",
        )
    return revision == REVISIONS[-1]


def upgrade(connection: Connection, shown: str) -> None:
    """Bring the schema up to date, in the connection's transaction. Two processes that do it at once take turns."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
    if is_current(connection, shown):  # somebody else was faster
        return
    from alembic import command

    configuration = alembic_configuration(connection)
    command.upgrade(configuration, "head")


def alembic_configuration(connection: Connection) -> Config:
    """Alembic's configuration on a connection of ours."""
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
