"""Collect what there is to see of one account: from the workspace, the way to the server, and the server. Read-only, and it ends in time.

What cannot be looked at is a fact too. `ops_lib.diagnosis.checks.judge` says what the facts mean, also of a file that another machine wrote.
"""

from __future__ import annotations

from collections.abc import Mapping

from ops_lib import __version__
from ops_lib.access.hosts import Hosts
from ops_lib.diagnosis.looking import Looking
from ops_lib.diagnosis.own_facts import look_at_claims, look_at_records
from ops_lib.diagnosis.seen import Facts, Failure, Probe
from ops_lib.diagnosis.server_facts import ServerLook
from ops_lib.model import Account
from ops_lib.sync.ledger import Ledger
from ops_lib.workspace import Workspace

__all__ = ["Facts", "Failure", "Probe", "collect"]

DEADLINE_SECONDS = 90.0
PROBE_SECONDS = 15.0


def collect(
    workspace: Workspace,
    account: Account,
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    probe_seconds: float = PROBE_SECONDS,
    known: Mapping[str, Probe] | None = None,
) -> Facts:
    """The facts of one account, within ``deadline_seconds``; a server that says nothing is waited for ``probe_seconds`` at each question.

    Writes nothing but what signing in does (a refreshed token, a refused password's mark). One question at a time. ``known`` are probes that
    were made elsewhere: they are taken as they are. **Raises** only what opening the workspace's database raises.
    """
    with workspace.database.read() as connection:
        host = Hosts(connection).by_id(account.host_id)
        position = Ledger(connection).position(account.account_id)
    looking = Looking(workspace.now, deadline_seconds=deadline_seconds, probe_seconds=probe_seconds, known=known)
    at = workspace.now()
    look_at_records(looking, workspace, host, account)
    states = {"calendar_state": position.calendar_state, "tasks_state": position.tasks_state}
    server = ServerLook(looking, workspace, host, account, states)
    server.look()
    found = looking.probes["address"].get("found") or []
    look_at_claims(
        looking,
        workspace,
        account,
        [address for each in found if len(found) == 1 for address in (each["address"], *each.get("also", ()))],
    )
    return Facts(
        account=account.mailbox,
        host=host.name,
        at=at,
        probes=looking.probes,
        collector=f"syncops {__version__}",
    )
