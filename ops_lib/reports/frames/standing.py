"""How every account stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import select

from ops_lib.database import tables as t
from ops_lib.diagnosis.statuses import NOT_ENABLED, SYNCING, UNATTEMPTED, owner_and_next_step
from ops_lib.reports.frames.places import places
from ops_lib.reports.frames.shapes import ACCOUNTS, frame
from ops_lib.sync.fleet import TRIES
from ops_lib.workspace import Workspace

LATE_AFTER = timedelta(hours=1)
"""An account that is said to be syncing and has had no good cycle for so long is late: a change is to reach Outlook within 45 minutes (C7)."""

VERDICTS = ("wrong", "failing", "late", "not yet", "well", "off")
"""How an account's process stands, worst first; the first three need somebody."""

NEEDS_SOMEBODY = VERDICTS[:3]


def accounts(workspace: Workspace) -> pd.DataFrame:
    """How every account stands: one row an account and process (`calendar`, `email`), worst verdict first, then by mailbox.

    ``verdict`` is one of `VERDICTS`: *failing* is tried again and has not turned its status yet, *late* had no good cycle for an hour.
    """
    now = workspace.now()
    rows = []
    with workspace.database.read() as connection:
        held = {(row.account_id, row.process): row for row in connection.execute(select(t.account_statuses))}
        for account in places(connection).values():
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
