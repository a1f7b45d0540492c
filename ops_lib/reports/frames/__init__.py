"""The workspace's records as tables: DataFrames for notebooks, the report and files (`docs/frames.md`).

Instants are in UTC, whole days are shown as the midnight they begin at in the user's zone. An empty table keeps its columns and types.
A user who belongs to several communities counts under their names together ("Elm Court, Oak Hill"), so that every sum adds up.
"""

from __future__ import annotations

from ops_lib.reports.frames.export import harmless_cell, write_private, write_tables
from ops_lib.reports.frames.findings import findings
from ops_lib.reports.frames.incidents import NOT_IN_STEP, hosts, incidents
from ops_lib.reports.frames.pairs import counts, links, links_per_mailbox
from ops_lib.reports.frames.running import attempts, latest_items, reasons, run_accounts, run_items, runs
from ops_lib.reports.frames.shapes import (
    ACCOUNTS,
    ATTEMPTS,
    COUNTS,
    DIRECTIONS,
    FINDINGS,
    HOSTS,
    INCIDENTS,
    LINKS,
    RUN_ACCOUNTS,
    RUN_ITEMS,
    RUNS,
    WRITTEN,
    empty,
    frame,
)
from ops_lib.reports.frames.standing import LATE_AFTER, NEEDS_SOMEBODY, VERDICTS, accounts, tries

__all__ = [
    "ACCOUNTS", "ATTEMPTS", "COUNTS", "DIRECTIONS", "FINDINGS", "HOSTS", "INCIDENTS", "LATE_AFTER", "LINKS", "NEEDS_SOMEBODY", "NOT_IN_STEP", "RUNS", "RUN_ACCOUNTS",
    "RUN_ITEMS", "VERDICTS", "WRITTEN", "accounts", "attempts", "counts", "empty", "findings", "frame", "harmless_cell", "hosts", "incidents",
    "latest_items", "links", "links_per_mailbox", "reasons", "run_accounts", "run_items", "runs", "tries", "write_private", "write_tables",
]  # fmt: skip
