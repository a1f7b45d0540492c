"""What a run over many accounts costs when nothing has changed, against the same loop written plainly with exchangelib.

Run: ``python benchmarks/bench_fleet.py [accounts]`` (default 1,000). Two sandboxes in processes of their own, each with half of the mailboxes and ten events in
each. CPU seconds are those of the process that syncs, so what else the machine does hardly matters; the ratio is of one run.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.model import Account
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.fleet import Fleet
from ops_lib.workspace import Workspace
from tests.support.sandbox import SERVICE

SERVERS, EVENTS = 2, 10


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    context = multiprocessing.get_context("spawn")
    pipes = []
    for number in range(SERVERS):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(number, count // SERVERS, theirs), daemon=True)
        process.start()
        pipes.append((process, ours))
    try:
        servers = [json.loads(ours.recv()) for _, ours in pipes]
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder) / "workspace", servers, count)
    finally:
        for process, ours in pipes:
            ours.send("end")
            process.join(10)


def serve(number: int, count: int, pipe: Connection) -> None:
    with Sandbox() as sandbox:
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
        sandbox.organisation.grant_impersonation(SERVICE, None)
        for address in mailboxes(number, count):
            sandbox.organisation.add_mailbox(address, password="x", name=address.partition("@")[0], zone="UTC")
            for event in range(EVENTS):
                values = {
                    "item:Subject": f"Event {event}",
                    "calendar:Start": start + timedelta(days=event),
                    "calendar:End": start + timedelta(days=event, hours=1),
                }
                sandbox.organisation.create_item(address, "calendar", values)
        pipe.send(json.dumps({"url": sandbox.ews_url, "password": sandbox.passwords[SERVICE]}))
        pipe.recv()


def mailboxes(server: int, count: int) -> list[str]:
    return [f"user{server}-{number:05d}@example.test" for number in range(count)]


def measure(folder: Path, servers: list[dict[str, str]], count: int) -> None:
    Workspace.create(folder).close()
    workspace = Workspace.open(folder)
    with workspace.database.begin() as connection:
        directory, accounts = Directory(connection), Accounts(connection)
        for number, server in enumerate(servers):
            os.environ[f"PASSWORD_{number}"] = server["password"]
            directory.add_community(f"Community {number}", time_zone="UTC")
            Hosts(connection).add(
                f"host {number}",
                HostInput(
                    url=server["url"],
                    access="impersonation",
                    version="2016",
                    community=f"Community {number}",
                    service_user=SERVICE,
                    secret=f"env:PASSWORD_{number}",
                    all_day_tasks=True,
                ),
            )
            for address in mailboxes(number, count // SERVERS):
                directory.add_user(address, address.partition("@")[0], community_names=[f"Community {number}"])
                accounts.add(address, all_day_tasks=True)
    with workspace.database.read() as connection:
        known = Accounts(connection).accounts()
    fleet = Fleet(workspace)
    print(f"{'':<34}{'accounts':>9}{'CPU s':>8}{'seconds':>9}{'accounts per CPU s':>20}{'requests':>10}")
    requests = [0]

    def run(threads: int) -> Callable[[], None]:
        def go() -> None:
            found = fleet.run(known, threads=threads)
            assert found.all_well, next(str(each.error) for each in found.results if each.error)
            requests[0] = sum(each.requests for each in found.results)

        return go

    row("first cycle", count, run(4), requests)
    row("second: what was read is settled", count, run(4), requests)
    ours = row("nothing new", count, run(4), requests)
    plain = Plain(servers, known)
    row("plain exchangelib, first", count, plain.run, requests)
    theirs = row("plain exchangelib, nothing new", count, plain.run, requests)
    print(f"\nCPU for an account with nothing new: {theirs / ours:.1f} times less than the plain loop's")
    workspace.close()


def row(name: str, count: int, run: Callable[[], None], requests: list[int]) -> float:
    cpu, began = time.process_time(), time.perf_counter()
    requests[0] = 0
    run()
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    shown = f"{requests[0]:>10}" if requests[0] else ""
    print(f"{name:<34}{count:>9}{cpu:>8.1f}{seconds:>9.1f}{count / cpu:>20.0f}{shown}")
    return cpu


class Plain:
    """What anybody would write first: an Account for each mailbox, both folders' changes since the last time, and nothing done with them."""

    def __init__(self, servers: list[dict[str, str]], accounts: list[Account]) -> None:
        from exchangelib import BASIC, Configuration, Credentials, FailFast

        self._configurations = [
            Configuration(
                service_endpoint=each["url"],
                credentials=Credentials(SERVICE, each["password"]),
                auth_type=BASIC,
                retry_policy=FailFast(),
            )
            for each in servers
        ]
        self._accounts = [each.mailbox for each in accounts]
        self._states: dict[tuple[str, str], str | None] = {}

    def run(self) -> None:
        from exchangelib import IMPERSONATION
        from exchangelib import Account as Opened

        for mailbox in self._accounts:
            configuration = self._configurations[int(mailbox[4])]
            account = Opened(mailbox, config=configuration, autodiscover=False, access_type=IMPERSONATION)
            for folder in (account.calendar, account.tasks):
                folder.item_sync_state = self._states.get((mailbox, folder.name))
                list(folder.sync_items(only_fields=["subject"], sync_state=folder.item_sync_state))
                self._states[mailbox, folder.name] = folder.item_sync_state


if __name__ == "__main__":
    main()
