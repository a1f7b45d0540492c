"""Alembic's entry: runs the revisions on the connection that `migrations.upgrade` hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from ops_lib.database.migrations import VERSION_TABLE
from ops_lib.database.tables import Instant, metadata


def render_item(kind: str, value: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write our own types as what they are in SQL: a revision must not change when the code does."""
    if kind == "type" and isinstance(value, Instant):
        return "sa.DateTime(timezone=True)"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_item=render_item,
    render_as_batch=True,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
