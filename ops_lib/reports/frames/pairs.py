"""Which entries are paired, and the numbers by host, community, status and direction."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import select

from ops_lib.database import tables as t
from ops_lib.reports.frames.places import place, places
from ops_lib.reports.frames.running import latest_items, run_accounts, run_items
from ops_lib.reports.frames.shapes import COUNTS, DIRECTIONS, LINKS, WRITTEN, frame
from ops_lib.reports.frames.standing import accounts
from ops_lib.reports.words import entry_words
from ops_lib.sync.mapping import entry_from_json
from ops_lib.workspace import Workspace


def links(workspace: Workspace) -> pd.DataFrame:
    """Which entries are paired: one row a link that is not history, by mailbox, then in the order they were made.

    ``direction`` says where the entry was born: crm_to_exchange or exchange_to_crm; ``agreed`` what both sides held at the last agreement.
    """
    with workspace.database.read() as connection:
        known = places(connection)
        c = t.links.c
        rows = []
        for row in connection.execute(select(t.links).where(c.state != "ended").order_by(c.id)):
            account = known[row.account_id]
            rows.append(
                {
                    **place(account),
                    "direction": "crm_to_exchange" if row.origin == "crm" else "exchange_to_crm",
                    "kind": row.kind,
                    "state": row.state,
                    "agreed": entry_words(entry_from_json(row.agreed), ZoneInfo(account["time_zone"])),
                    "activity_id": row.activity_id,
                    "is_occurrence": row.original_start is not None,
                }
            )
    rows.sort(key=lambda row: row["mailbox"])
    return frame(rows, LINKS)


def links_per_mailbox(workspace: Workspace, first: date, end: date) -> dict[str, int]:
    """How many active links each mailbox has that begin on a day from ``first`` to before ``end``, by the date they begin in UTC."""
    with workspace.database.read() as connection:
        known = places(connection)
        query = select(t.links.c.account_id, t.links.c.agreed).where(t.links.c.state == "active")
        days = [(known[row.account_id]["mailbox"], row.agreed["start"][:10]) for row in connection.execute(query)]
    return Counter(mailbox for mailbox, day in days if first.isoformat() <= day < end.isoformat())


def counts(workspace: Workspace, since: datetime | None = None) -> pd.DataFrame:
    """The numbers by host, community, status and direction; ordered by these.

    ``accounts`` and ``in_step`` (entries that are the same on both sides) are as of now; ``created``, ``updated``, ``deleted`` were done
    since ``since``; ``skipped`` and ``failed`` are entries whose last word since then was that.
    """
    keys = ["mailbox", "host"]
    people = accounts(workspace)
    people = people[people["process"] == "calendar"]
    paired = links(workspace)
    in_step = paired[paired["state"] == "active"].groupby([*keys, "direction"]).size()
    done = run_accounts(workspace, since).groupby(keys)[list(WRITTEN)].sum()
    items = run_items(workspace, since)
    left = {
        outcome: latest_items(items, outcome).groupby([*keys, "direction"]).size() for outcome in ("skipped", "failed")
    }
    rows = []
    for account in people.to_dict("records"):
        key = (account["mailbox"], account["host"])
        for side, direction in DIRECTIONS.items():
            rows.append(
                {
                    **{name: account[name] for name in ("host", "community", "status")},
                    "direction": direction,
                    "accounts": 1,
                    "in_step": in_step.get((*key, direction), 0),
                    **{
                        verb: done.loc[key, f"{verb}_{side}"] if key in done.index else 0
                        for verb in ("created", "updated", "deleted")
                    },
                    **{outcome: table.get((*key, direction), 0) for outcome, table in left.items()},
                }
            )
    table = frame(rows, COUNTS)
    if table.empty:
        return table
    by = ["host", "community", "status", "direction"]
    return table.groupby(by, as_index=False, sort=True).sum()[list(COUNTS)]
