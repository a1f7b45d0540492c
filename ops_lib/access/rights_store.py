"""The last check of a host's permissions, kept in the workspace, and what has changed since (P6).

A right that could not be seen this time keeps what was known of it before: a server that was away for an hour must not make a right that was
lost meanwhile look like one that was never known.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from ops_lib.access.rights import Cell, Drift, Holds, Matrix, Right, Source, drift, matrix_of_json
from ops_lib.database.tables import properties
from ops_lib.errors import InputError
from ops_lib.model import Host


@dataclass(frozen=True, slots=True)
class Kept:
    """A check as it was kept. ``remembered`` are earlier cells of rights that ``matrix`` does not know."""

    checked_at: datetime
    matrix: Matrix
    remembered: tuple[Cell, ...] = ()

    @property
    def known(self) -> Matrix:
        """The last that was known of each right."""
        seen = [cell for cell in self.matrix.cells if cell.holds is not Holds.UNKNOWN]
        missing = [cell for cell in self.matrix.cells if cell.holds is Holds.UNKNOWN]
        earlier = {_key(cell) for cell in self.remembered}
        rest = [cell for cell in missing if _key(cell) not in earlier]
        return replace(self.matrix, cells=(*seen, *self.remembered, *rest))


class RightsChecks:
    """The kept checks within one transaction. They lie among the workspace's properties, by the host's id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last(self, host: Host) -> Kept | None:
        """The last check of this host. One that another version kept and that cannot be read counts as none."""
        query = select(properties.c.value).where(properties.c.name == _name(host))
        text = self._connection.execute(query).scalar_one_or_none()
        if text is None:
            return None
        try:
            kept = json.loads(text)
            matrix = matrix_of_json(kept["matrix"])
            remembered = matrix_of_json({**kept["matrix"], "cells": kept["remembered"]})
            return Kept(datetime.fromisoformat(kept["checked_at"]), matrix, remembered.cells)
        except (InputError, KeyError, TypeError, ValueError):
            return None

    def keep(
        self,
        host: Host,
        matrix: Matrix,
        now: datetime,
        *,
        all_users: Collection[str],
        sources: Collection[Source] = ("ews", "powershell"),
        since: Kept | None = None,
    ) -> tuple[Drift, ...] | None:
        """Keep a check, and say what has changed since the one before (or ``since`` an earlier one); None where there was none.

        ``all_users`` are the mailboxes of all accounts of the host: of those not in ``matrix`` the earlier cells stay, of others nothing does.
        Of a source that is not in ``sources`` the earlier cells stay too.
        """
        before = self.last(host)
        checked, wanted = set(matrix.users), {user.lower() for user in all_users}
        found = _changes(since or before, matrix, checked, wanted, sources)
        cells = list(matrix.cells)
        remembered: list[Cell] = []
        if before is not None:
            now_known = {_key(cell) for cell in matrix.cells if cell.holds is not Holds.UNKNOWN}
            for cell in before.known.cells:
                if cell.user not in wanted or cell.holds is Holds.UNKNOWN or _key(cell) in now_known:
                    continue
                is_asked = cell.user in checked and cell.source in sources
                (remembered if is_asked else cells).append(cell)
        self._write(host, Kept(now, replace(matrix, cells=tuple(cells)), tuple(remembered)))
        return found

    def forget(self, host: Host) -> None:
        """The next check is the first."""
        self._connection.execute(delete(properties).where(properties.c.name == _name(host)))

    def _write(self, host: Host, kept: Kept) -> None:
        document = {
            "checked_at": kept.checked_at.isoformat(),
            "matrix": kept.matrix.as_json(),
            "remembered": replace(kept.matrix, cells=kept.remembered).as_json()["cells"],
        }
        self.forget(host)
        self._connection.execute(insert(properties).values(name=_name(host), value=json.dumps(document)))


def _changes(
    before: Kept | None, matrix: Matrix, checked: Collection[str], wanted: Collection[str], sources: Collection[Source]
) -> tuple[Drift, ...] | None:
    """What has changed of the users and sources that were looked at; None where there is nothing to compare with."""
    if before is None or not any(cell.source in sources for cell in before.known.cells):
        return None  # seen from this side for the first time: nothing has come or gone
    compared = [
        cell
        for cell in before.known.cells
        if cell.source in sources and (cell.user in checked or cell.user not in wanted)
    ]
    return _with_what_is_new(drift(replace(before.matrix, cells=tuple(compared)), matrix), before.matrix)


def _with_what_is_new(found: Collection[Drift], before: Matrix) -> tuple[Drift, ...]:
    """Tells what was out of sight at the last check already from what has become so since."""
    unseen = {(cell.user, cell.right) for cell in before.cells if cell.holds is Holds.UNKNOWN}
    return tuple(
        replace(each, change="still not known")
        if each.change == "no longer known" and (each.user, each.right) in unseen
        else each
        for each in found
    )


def _key(cell: Cell) -> tuple[str, Right, Source]:
    return cell.user, cell.right, cell.source


def _name(host: Host) -> str:
    return f"host/{host.host_id}/rights_check"
