"""The workspace's records as tables: DataFrames for notebooks, the report and files.

Instants are in UTC, whole days are shown as the midnight they begin at in the user's zone. An empty table keeps its columns and types.
A user who belongs to several communities counts under their names together ("Elm Court, Oak Hill"), so that every sum adds up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection, func, select

from ops_lib.crm.rows import activity_from, activity_query
from ops_lib.database import tables as t
from ops_lib.diagnosis.statuses import NOT_ENABLED, SYNCING, UNATTEMPTED, owner_and_next_step
from ops_lib.model import AllDay
from ops_lib.reports.words import entry_words, when_words
from ops_lib.sync.fleet import TRIES
from ops_lib.sync.mapping import entry_from_json
from ops_lib.workspace import Workspace

LATE_AFTER = timedelta(hours=1)
"""An account that is said to be syncing and has had no good cycle for so long is late: a change is to reach Outlook within 45 minutes (C7)."""

VERDICTS = ("wrong", "failing", "late", "not yet", "well", "off")
"""How an account's process stands, worst first; the first three need somebody."""

NEEDS_SOMEBODY = VERDICTS[:3]

DIRECTIONS = {"exchange": "crm_to_exchange", "crm": "exchange_to_crm"}
"""Which way an entry goes that is written on a side."""

_INSTANT = "datetime64[us, UTC]"

ACCOUNTS = {
    "verdict": "str",
    "mailbox": "str",
    "status": "str",
    "since": _INSTANT,
    "owner": "str",
    "next_step": "str",
    "process": "str",
    "host": "str",
    "community": "str",
    "user": "str",
    "name": "str",
    "attempts": "int64",
    "response_code": "str",
    "sub_cause": "str",
    "evidence": "str",
    "last_success": _INSTANT,
}
RUNS = {
    "run": "int64",
    "kind": "str",
    "started_at": _INSTANT,
    "finished_at": _INSTANT,
    "outcome": "str",
    "accounts": "int64",
    "requests": "int64",
    "seconds": "float64",
}
WRITTEN = {f"{verb}_{side}": "int64" for verb in ("created", "updated", "deleted") for side in ("crm", "exchange")}
RUN_ACCOUNTS = {
    "run": "int64",
    "started_at": _INSTANT,
    "mailbox": "str",
    "host": "str",
    "community": "str",
    "outcome": "str",
    "status": "str",
    **WRITTEN,
    "skipped": "int64",
    "failed": "int64",
    "requests": "int64",
    "seconds": "float64",
    "response_code": "str",
    "message": "str",
}
RUN_ITEMS = {
    "run": "int64",
    "at": _INSTANT,
    "mailbox": "str",
    "host": "str",
    "community": "str",
    "outcome": "str",
    "action": "str",
    "direction": "str",
    "kind": "str",
    "title": "str",
    "reason": "str",
    "response_code": "str",
    "before": "str",
    "after": "str",
    "loser": "str",
    "activity_id": "Int64",
    "key": "str",
}
LINKS = {
    "mailbox": "str",
    "host": "str",
    "community": "str",
    "direction": "str",
    "kind": "str",
    "state": "str",
    "agreed": "str",
    "activity_id": "int64",
    "is_occurrence": "bool",
}
COUNTS = {
    "host": "str",
    "community": "str",
    "status": "str",
    "direction": "str",
    "accounts": "int64",
    "in_step": "int64",
    "created": "int64",
    "updated": "int64",
    "deleted": "int64",
    "skipped": "int64",
    "failed": "int64",
}


def empty(columns: Mapping[str, str]) -> pd.DataFrame:
    """A table without rows that has these columns and types."""
    return frame([], columns)


def frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """A table of these rows with exactly these columns and types."""
    return pd.DataFrame(list(rows), columns=list(columns)).astype(dict(columns))


def accounts(workspace: Workspace) -> pd.DataFrame:
    """How every account stands: one row an account and process (`calendar`, `email`), worst verdict first, then by mailbox.

    ``verdict`` is one of `VERDICTS`: *failing* is tried again and has not turned its status yet, *late* had no good cycle for an hour.
    """
    now = workspace.now()
    rows = []
    with workspace.database.read() as connection:
        held = {(row.account_id, row.process): row for row in connection.execute(select(t.account_statuses))}
        for account in _accounts(connection).values():
            for process in ("calendar", "email"):
                row = held.get((account["id"], process))
                is_on = account["calendar"] if process == "calendar" else account["send_email"]
                status = NOT_ENABLED if not is_on else row.status if row is not None else UNATTEMPTED
                kept = row if row is not None and row.status == status else None
                attempts = kept.attempts if kept is not None else 0
                last_success = row.last_success if row is not None else None
                owner, next_step = owner_and_next_step(status, kept.response_code if kept is not None else "")
                rows.append(
                    {
                        **{name: account[name] for name in ("mailbox", "host", "community", "user", "name")},
                        "process": process,
                        "verdict": _verdict(status, attempts, last_success, now),
                        "status": status,
                        "since": kept.since if kept is not None else None,
                        "last_success": last_success,
                        "owner": owner,
                        "next_step": next_step,
                        "attempts": attempts,
                        "response_code": kept.response_code if kept is not None else "",
                        "sub_cause": kept.sub_cause if kept is not None else "",
                        "evidence": kept.evidence if kept is not None else "",
                    }
                )
    rows.sort(key=lambda row: (VERDICTS.index(row["verdict"]), row["mailbox"], row["process"]))
    return frame(rows, ACCOUNTS)


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
        known = _accounts(connection)
        query = select(t.run_accounts).order_by(t.run_accounts.c.run_id.desc())
        if since is not None:
            query = query.where(t.run_accounts.c.started_at >= since)
        rows = []
        for row in connection.execute(query):
            counts = row.counts
            rows.append(
                {
                    **_place(known[row.account_id]),
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
        known = _accounts(connection)
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
                **_place(account),
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


def links(workspace: Workspace) -> pd.DataFrame:
    """Which entries are paired: one row a link that is not history, by mailbox, then in the order they were made.

    ``direction`` says where the entry was born: crm_to_exchange or exchange_to_crm; ``agreed`` what both sides held at the last agreement.
    """
    with workspace.database.read() as connection:
        known = _accounts(connection)
        c = t.links.c
        rows = []
        for row in connection.execute(select(t.links).where(c.state != "ended").order_by(c.id)):
            account = known[row.account_id]
            rows.append(
                {
                    **_place(account),
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
        known = _accounts(connection)
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


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _accounts(connection: Connection) -> dict[int, dict[str, Any]]:
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


def _place(account: Mapping[str, Any]) -> dict[str, Any]:
    return {name: account[name] for name in ("mailbox", "host", "community")}


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


def _verdict(status: str, attempts: int, last_success: datetime | None, now: datetime) -> str:
    if status == NOT_ENABLED:
        return "off"
    if status not in (SYNCING, UNATTEMPTED):
        return "wrong"
    if attempts:
        return "failing"
    if last_success is not None and now - last_success > LATE_AFTER:
        return "late"
    return "well" if status == SYNCING or last_success is not None else "not yet"


def tries(row: Mapping[str, Any]) -> str:
    """How often a failing account was tried, in words."""
    return f"{row['attempts']} of {TRIES} tries" if row["verdict"] == "failing" else ""
