"""Cycles in processes of their own that may be killed: ``python -m tests.support.one_cycle``.

For each workspace's folder that it reads, a line, it forks a process that runs one cycle for every account there, writes its process id, and,
when it has ended, how: its exit code, or minus the signal that killed it. So that each of them begins at once, everything is loaded before.
"""

from __future__ import annotations

import os
import sys

from ops_lib.access.accounts import Accounts
from ops_lib.database import migrations
from ops_lib.mailbox.ews.mailbox import EwsMailbox
from ops_lib.sync.fleet import Fleet
from ops_lib.workspace import Workspace

LOADED = (EwsMailbox, migrations)


def run(path: str) -> bool:
    """One cycle for every account of the workspace; whether all went well."""
    workspace = Workspace.open(path)
    with workspace.database.read() as connection:
        accounts = Accounts(connection).accounts()
    results = Fleet(workspace).run(accounts).results
    print([(result.outcome, result.counts(), str(result.error or "")) for result in results], file=sys.stderr)
    return all(result.outcome == "ok" for result in results)


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if run(line.strip()) else 1
            finally:
                sys.stderr.flush()
                os._exit(code)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
