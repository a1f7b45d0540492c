"""What is known of a few hosts beside their own columns: the day the secret ends, and since when a host is retired."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, cast, delete, insert, select

from ops_lib.database.tables import properties

_EXPIRES, _RETIRED = "secret_expires", "retired_at"


class HostNotes:
    """The notes within one transaction. They lie among the workspace's properties, by the host's id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def secret_expiries(self) -> dict[str, date]:
        """The last day of the secrets of which it is known, by host id."""
        return {host_id: date.fromisoformat(value) for host_id, value in self._all(_EXPIRES).items()}

    def retired(self) -> dict[str, datetime]:
        """Since when the retired hosts are, by host id."""
        return {host_id: datetime.fromisoformat(value) for host_id, value in self._all(_RETIRED).items()}

    def set_secret_expires(self, host_id: str, day: date | None) -> None:
        self._set(host_id, _EXPIRES, None if day is None else day.isoformat())

    def set_retired(self, host_id: str, at: datetime | None) -> None:
        self._set(host_id, _RETIRED, None if at is None else at.isoformat())

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _all(self, what: str) -> dict[str, str]:
        query = select(properties).where(properties.c.name.startswith("host/"), properties.c.name.endswith(f"/{what}"))
        return {row.name.split("/")[1]: row.value for row in self._connection.execute(query)}

    def _set(self, host_id: str, what: str, value: str | None) -> None:
        name = f"host/{host_id}/{what}"
        self._connection.execute(delete(properties).where(properties.c.name == name))
        if value is not None:
            self._connection.execute(insert(properties).values(name=name, value=value))


def retired_note(host_id: ColumnElement[Any]) -> ColumnElement[str]:
    """The name of the property that is there when the host of that id is retired; to be joined with `properties`."""
    return "host/" + cast(host_id, String) + f"/{_RETIRED}"
