"""Backups of a database's tables, to be put back as an administrator would: rows as they were, and ids given again from there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, text

from ops_lib.database import tables as t
from ops_lib.database.engine import Database

LEDGER = ("links", "intents", "reading_positions", "series", "retries")
"""What both sides agreed, without the CRM."""

EVERYTHING = tuple(table.name for table in t.metadata.sorted_tables)


@dataclass
class Backup:
    """The rows of some tables at one moment."""

    database: Database
    rows: dict[str, list[dict[str, Any]]]

    @classmethod
    def of(cls, database: Database, names: Collection[str]) -> Backup:
        with database.read() as connection:
            rows = {
                name: [dict(row._mapping) for row in connection.execute(select(t.metadata.tables[name]))]
                for name in names
            }
        return cls(database, rows)

    def restore(self) -> None:
        """Put the rows back; what has come since is gone."""
        chosen = [table for table in t.metadata.sorted_tables if table.name in self.rows]
        with self.database.begin() as connection:
            for table in reversed(chosen):
                if "rescheduled_from" in table.c:
                    connection.execute(table.update().values(rescheduled_from=None))
                connection.execute(delete(table))
            for table in chosen:
                if self.rows[table.name]:
                    connection.execute(insert(table), self.rows[table.name])
                if not self.database.is_sqlite and "id" in table.c:  # a dump holds its sequences too
                    last = connection.execute(select(func.max(table.c.id))).scalar() or 0
                    sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
                    connection.execute(text(f"SELECT setval({sequence}, {last + 1}, false)"))
