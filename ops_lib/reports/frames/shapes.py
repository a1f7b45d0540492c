"""The tables' columns and types, and how rows become a table. What each column means is in `docs/frames.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

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
ATTEMPTS = {
    "run": "int64",
    "at": _INSTANT,
    "mailbox": "str",
    "host": "str",
    "community": "str",
    "operation": "str",
    "number": "int64",
    "waited_seconds": "float64",
    "seconds": "float64",
    "http_status": "int64",
    "response_code": "str",
    "error": "str",
    "request_id": "str",
}
FINDINGS = {
    "verdict": "str",
    "mailbox": "str",
    "host": "str",
    "community": "str",
    "check": "str",
    "layer": "str",
    "sub_cause": "str",
    "subject": "str",
    "observed": "str",
    "expected": "str",
    "cause": "str",
    "owner": "str",
    "next_step": "str",
    "evidence": "str",
    "source": "str",
}
HOSTS = {
    "host": "str",
    "version": "str",
    "protocol": "str",
    "auth": "str",
    "access": "str",
    "is_retired": "bool",
}
INCIDENTS = {
    "mailbox": "str",
    "host": "str",
    "community": "str",
    "version": "str",
    "cause": "str",
    "began": _INSTANT,
    "ended": _INSTANT,
    "is_open": "bool",
    "hours": "float64",
    "cycles": "int64",
    "response_code": "str",
    "message": "str",
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
