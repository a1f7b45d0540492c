"""What checking a host's rights costs: 200 mailboxes, each access type, one and four threads.

Run: ``python benchmarks/bench_rights.py``. Requests are exact; seconds are of this machine, the sandbox in the same process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.access.rights import judge
from ops_lib.access.rights_ews import collect
from ops_lib.access.rights_sending import to_try, try_sending
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.population import addresses_of, enter, settle
from tests.support.sandbox import SERVICE

COUNT = 200


def main() -> None:
    print(f"{COUNT} healthy mailboxes{'':<8}{'threads':>9}{'requests':>10}{'a mailbox':>11}{'seconds':>9}{'not ok':>8}")
    for access in ("impersonation", "delegate"):
        for threads in (1, 4):
            measure(access, threads)


def measure(access: str, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        addresses = addresses_of(COUNT)
        settle(sandbox, addresses)
        organisation = sandbox.organisation
        organisation.revoke_impersonation(SERVICE)
        if access == "impersonation":
            organisation.grant_impersonation(SERVICE, set(addresses))
        for address in addresses if access == "delegate" else ():
            organisation.set_private_viewer(address, SERVICE)
            organisation.grant_sending(address, SERVICE)
            for name in ("calendar", "tasks"):
                organisation.set_permission(address, name, SERVICE, "Editor")
        path = Path(folder) / "workspace"
        Workspace.create(path).close()
        enter(path, sandbox, addresses, access=access)
        workspace = Workspace.open(path)
        with workspace.database.read() as connection:
            host, accounts = Hosts(connection).get("exchange"), Accounts(connection).accounts()
        began = time.perf_counter()
        found = collect(
            host,
            accounts,
            secret=lambda reference: sandbox.passwords[SERVICE],
            sign_ins=workspace.access,
            clock=lambda: datetime.now(UTC),
            threads=threads,
        )
        told, requests, _ = try_sending(
            host,
            to_try(host, accounts, found.opened, SERVICE),
            SERVICE,
            secret=lambda reference: sandbox.passwords[SERVICE],
            sign_ins=workspace.access,
            clock=lambda: datetime.now(UTC),
        )
        found = found.with_told(told, requests)
        seconds = time.perf_counter() - began
        bad = sum(
            cell.verdict != "ok" and cell.expected in ("needed", "wanted")
            for cell in judge(host, accounts, found.observations, "ews")
        )
        print(f"{access:<29}{threads:>9}{found.requests:>10}{found.requests / COUNT:>11.2f}{seconds:>9.2f}{bad:>8}")
        close_connections()
        workspace.close()


if __name__ == "__main__":
    main()
