"""From when to when an account was not in step: cycles that failed one after the other, as one row; and the hosts they were on."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ops_lib.access.hosts import Hosts
from ops_lib.reports.frames.shapes import HOSTS, INCIDENTS, frame
from ops_lib.workspace import Workspace

NOT_IN_STEP = ("failed", "blocked", "waiting")
"""Outcomes of an account's cycle after which it is not in step; ``busy`` and ``off`` say nothing."""


def hosts(workspace: Workspace) -> pd.DataFrame:
    """The hosts and how they are reached: one row a host, by name. Nothing secret."""
    with workspace.database.read() as connection:
        found = Hosts(connection).all()
    rows = [
        {
            "host": each.name,
            "version": each.version,
            "protocol": each.protocol,
            "auth": each.auth,
            "access": each.access,
            "is_retired": each.is_retired,
        }
        for each in found
    ]
    return frame(sorted(rows, key=lambda row: str(row["host"])), HOSTS)


def incidents(cycles: pd.DataFrame, hosts: pd.DataFrame) -> pd.DataFrame:
    """One row an incident, the newest first. ``cycles`` as `run_accounts` gives them, ``hosts`` as `hosts` does.

    An incident begins with a failing cycle and ends with the next good one; another response code in between is the same incident, and its
    ``cause`` is the first. ``hours`` of one that is open count to its last failing cycle.
    """
    rows: list[dict[str, Any]] = []
    for _, group in cycles.sort_values("run", kind="stable").groupby(["mailbox", "host"], sort=True):
        current: dict[str, Any] | None = None
        for cycle in group.to_dict("records"):
            if cycle["outcome"] in NOT_IN_STEP:
                if current is None:
                    current = _begun(cycle)
                    rows.append(current)
                current["cycles"] += 1
                current["hours"] = _hours(current["began"], cycle["started_at"])
            elif cycle["outcome"] == "ok" and current is not None:
                current |= {
                    "ended": cycle["started_at"],
                    "is_open": False,
                    "hours": _hours(current["began"], cycle["started_at"]),
                }
                current = None
    rows.sort(key=lambda row: (row["began"], row["mailbox"]), reverse=True)
    versions = dict(zip(hosts["host"], hosts["version"], strict=True))
    return frame([{**row, "version": versions.get(row["host"], "")} for row in rows], INCIDENTS)


def _begun(cycle: dict[Any, Any]) -> dict[str, Any]:
    return {
        **{name: cycle[name] for name in ("mailbox", "host", "community", "response_code", "message")},
        "began": cycle["started_at"],
        "ended": None,
        "is_open": True,
        "cycles": 0,
        "hours": 0.0,
        "cause": cycle["response_code"] or cycle["status"] or cycle["outcome"],
    }


def _hours(began: Any, ended: Any) -> float:
    return float(round((ended - began).total_seconds() / 3600, 1))
