"""Every account with the words a table needs: whose it is, where, and in which communities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from ops_lib.database import tables as t


def places(connection: Connection) -> dict[int, dict[str, Any]]:
    """Every account with the words a table needs, by its id."""
    members: dict[int, list[str]] = {}
    query = select(t.user_communities.c.user_id, t.communities.c.name).join(
        t.communities, t.communities.c.id == t.user_communities.c.community_id
    )
    for row in connection.execute(query.order_by(t.communities.c.name)):
        members.setdefault(row.user_id, []).append(row.name)
    query = (
        select(
            t.accounts,
            t.hosts.c.name.label("host"),
            t.hosts.c.send_email.label("host_sends_email"),
            t.users.c.email,
            t.users.c.name,
            t.users.c.time_zone,
        )
        .join(t.hosts, t.hosts.c.id == t.accounts.c.host_id)
        .join(t.users, t.users.c.id == t.accounts.c.user_id)
        .order_by(t.accounts.c.mailbox, t.accounts.c.id)
    )
    return {
        row.id: {
            "id": row.id,
            "mailbox": row.mailbox,
            "host": row.host,
            "community": ", ".join(members.get(row.user_id, [])) or "(none)",
            "user": row.email,
            "name": row.name,
            "time_zone": row.time_zone,
            "calendar": row.calendar,
            "send_email": row.send_email and row.host_sends_email,
        }
        for row in connection.execute(query)
    }


def place(account: Mapping[str, Any]) -> dict[str, Any]:
    return {name: account[name] for name in ("mailbox", "host", "community")}
