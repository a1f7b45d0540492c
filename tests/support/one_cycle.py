"""Run one cycle for every account of a workspace, in a process of its own that may be killed: ``python -m tests.support.one_cycle DIR``."""

from __future__ import annotations

import sys

from ops_lib.access.accounts import Accounts
from ops_lib.mailbox.ews.mailbox import EwsMailbox  # loaded before the clock starts
from ops_lib.sync.fleet import Fleet
from ops_lib.workspace import Workspace

if __name__ == "__main__":
    workspace = Workspace.open(sys.argv[1])
    with workspace.database.read() as connection:
        accounts = Accounts(connection).accounts()
    assert EwsMailbox
    print("go", flush=True)
    run = Fleet(workspace).run(accounts)
    print([(result.outcome, result.counts(), str(result.error or "")) for result in run.results], flush=True)
    sys.exit(0 if run.all_well else 1)
