"""What the checks find in the workspace's own records, over all accounts, without asking any server."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from ops_lib import __version__
from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.diagnosis.checks import judge
from ops_lib.diagnosis.looking import Looking
from ops_lib.diagnosis.own_facts import look_at_records
from ops_lib.diagnosis.seen import Facts
from ops_lib.reports.frames.places import place, places
from ops_lib.reports.frames.shapes import FINDINGS, frame
from ops_lib.workspace import Workspace

SHOWN = ("fail", "warn")
"""What only a look at the server could tell is not said here: that is `syncops diagnose`."""

_SECONDS = 5.0


def findings(workspace: Workspace) -> pd.DataFrame:
    """What is wrong or may become so, by the last recorded facts: one row an account and finding, failures first, then by mailbox.

    Accounts that are not kept in step are left out.
    """
    with workspace.database.read() as connection:
        known = places(connection)
        hosts = {host.host_id: host for host in Hosts(connection).all()}
        accounts = Accounts(connection).accounts(enabled_only=True)
    rows = []
    for account in accounts:
        looking = Looking(workspace.now, deadline_seconds=_SECONDS, probe_seconds=_SECONDS)
        host = hosts[account.host_id]
        look_at_records(looking, workspace, host, account)
        facts = Facts(
            account=account.mailbox,
            host=host.name,
            at=workspace.now(),
            probes=looking.probes,
            collector=f"syncops {__version__}",
        )
        rows += [
            {**asdict(finding), **place(known[int(account.account_id)])}
            for finding in judge(facts)
            if finding.verdict in SHOWN
        ]
    rows.sort(key=lambda row: (SHOWN.index(row["verdict"]), row["mailbox"]))
    return frame(rows, FINDINGS)
