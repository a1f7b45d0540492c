"""What runs did: the runs, their accounts, their entries and the requests they sent."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection, func, select

from ops_lib.crm.rows import activity_from, activity_query
from ops_lib.database import tables as t
from ops_lib.model import AllDay
from ops_lib.reports.frames.places import place, places
from ops_lib.reports.frames.shapes import ATTEMPTS, DIRECTIONS, RUN_ACCOUNTS, RUN_ITEMS, RUNS, WRITTEN, frame
from ops_lib.reports.words import entry_words, when_words
from ops_lib.sync.mapping import entry_from_json
from ops_lib.workspace import Workspace


def runs(workspace: Workspace, since: datetime | None = None) -> pd.DataFrame:
    """The runs over accounts: one row a run, newest first; ``requests`` and ``seconds`` are its accounts' together."""
    with workspace.database.read() as connection:
        query = (
            select(
                t.runs.c.id.label("run"),
                t.runs.c.kind,
                t.runs.c.started_at,
                t.runs.c.finished_at,
                t.runs.c.outcome,
                func.count(t.run_accounts.c.account_id).label("accounts"),
                func.coalesce(func.sum(t.run_accounts.c.requests), 0).label("requests"),
                func.coalesce(func.sum(t.run_accounts.c.seconds), 0.0).label("seconds"),
            )
            .outerjoin(t.run_accounts, t.run_accounts.c.run_id == t.runs.c.id)
            .group_by(t.runs.c.id)
            .order_by(t.runs.c.id.desc())
        )
        if since is not None:
            query = query.where(t.runs.c.started_at >= since)
        return frame((dict(row._mapping) for row in connection.execute(query)), RUNS)


def run_accounts(workspace: Workspace, since: datetime | None = None) -> pd.DataFrame:
    """What each run did for each account: one row a run and account, newest run first, then by mailbox.

    ``created_exchange`` are entries that were made in Outlook, ``created_crm`` those that were made in the CRM, and so on.
    """
    with workspace.database.read() as connection:
        known = places(connection)
        query = select(t.run_accounts).order_by(t.run_accounts.c.run_id.desc())
        if since is not None:
            query = query.where(t.run_accounts.c.started_at >= since)
        rows = []
        for row in connection.execute(query):
            counts = row.counts
            rows.append(
                {
                    **place(known[row.account_id]),
                    "run": row.run_id,
                    **{
                        name: getattr(row, name)
                        for name in (
                            "started_at", "outcome", "status", "requests", "seconds", "response_code", "message",
                        )
                    },
                    **{name: counts.get(name.split("_")[0], {}).get(name.split("_")[1], 0) for name in WRITTEN},
                    "skipped": counts.get("skipped", 0),
                    "failed": counts.get("failed", 0),
                }
            )  # fmt: skip
    rows.sort(key=lambda row: (-row["run"], row["mailbox"]))
    return frame(rows, RUN_ACCOUNTS)


def run_items(workspace: Workspace, since: datetime | None = None) -> pd.DataFrame:
    """What became of each entry in each run: one row an entry and change, newest first.

    ``outcome``: done, skipped, failed. ``before`` is what the written side held, ``after`` what both hold now, ``loser`` the version
    that a conflict set aside: each as "title, when" in the user's zone.
    """
    with workspace.database.read() as connection:
        known = places(connection)
        query = select(t.run_items).order_by(t.run_items.c.id.desc())
        if since is not None:
            query = query.where(t.run_items.c.at >= since)
        found = list(connection.execute(query))
        titles = _titles(connection, {row.activity_id for row in found if row.activity_id is not None})
    rows = []
    for row in found:
        account = known[row.account_id]
        zone = ZoneInfo(account["time_zone"])
        words = {
            name: entry_words(entry_from_json(value), zone) if value else ""
            for name, value in (("before", row.before), ("after", row.after), ("loser", row.loser))
        }
        shown = row.after or row.before
        rows.append(
            {
                **place(account),
                **words,
                "run": row.run_id,
                "direction": DIRECTIONS.get(row.side, row.side),
                "title": shown["description"] if shown else titles.get(row.activity_id, "an event in Outlook"),
                **{
                    name: getattr(row, name)
                    for name in ("at", "outcome", "action", "kind", "reason", "response_code", "activity_id", "key")
                },
            }
        )
    return frame(rows, RUN_ITEMS)


def attempts(workspace: Workspace, since: datetime | None = None) -> pd.DataFrame:
    """The requests that wrote or failed, as evidence: one row a request as it was sent, newest first.

    ``number`` counts the tries of one request from 1, ``waited_seconds`` is the pause before this one, ``http_status`` 0 where no answer came;
    ``request_id`` is the server's own name of it. Of each account the latest some hundreds are kept.
    """
    with workspace.database.read() as connection:
        known = places(connection)
        query = select(t.attempts).order_by(t.attempts.c.id.desc())
        if since is not None:
            query = query.where(t.attempts.c.at >= since)
        rows = [
            {**row._mapping, **place(known[row.account_id]), "run": row.run_id} for row in connection.execute(query)
        ]
    return frame(rows, ATTEMPTS)


def latest_items(items: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The entries whose last word in `run_items` is this outcome: one row an entry, grouped by mailbox, newest first."""
    last = items.drop_duplicates(["mailbox", "host", "key"])
    return last[last["outcome"] == outcome].sort_values("mailbox", kind="stable").reset_index(drop=True)


def reasons(items: pd.DataFrame) -> pd.DataFrame:
    """Why entries were left: one row a reason, the most frequent first, with how many entries and mailboxes and one example.

    ``items`` as `latest_items` gives them. Columns: entries, mailboxes (numbers), reason, response_code, example.
    """
    columns = {"entries": "int64", "mailboxes": "int64", "reason": "str", "response_code": "str", "example": "str"}
    rows = [
        {
            "entries": len(group),
            "mailboxes": group["mailbox"].nunique(),
            "reason": reason,
            "response_code": code,
            "example": f"{group.iloc[0]['title']} ({group.iloc[0]['mailbox']})",
        }
        for (reason, code), group in items.groupby(["reason", "response_code"], sort=True)
    ]
    rows.sort(key=lambda row: (-row["entries"], row["reason"]))
    return frame(rows, columns)


def _titles(connection: Connection, activity_ids: set[int]) -> dict[int, str]:
    wanted = sorted(activity_ids)
    found: dict[int, str] = {}
    for first in range(0, len(wanted), 500):
        chunk = wanted[first : first + 500]
        for row in connection.execute(activity_query().where(t.activities.c.id.in_(chunk))):
            activity = activity_from(row)
            day = when_words(activity.when, ZoneInfo("UTC")) if isinstance(activity.when, AllDay) else ""
            found[row.id] = f"{activity.description}, {day}" if day else activity.description
    return found
