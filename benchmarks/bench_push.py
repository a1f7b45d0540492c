"""How soon a change is on the other side with `syncops watch`, and what it costs: 500 changes in 40 of 60 mailboxes, on either side.

Run: ``python benchmarks/bench_push.py [sqlite | postgresql]``. The watch is the command in a process of its own; the sandbox and whoever looks are in this one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import select

from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.database.tables import activities
from ops_lib.model import ActivityStatus, Origin, Timed
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support import postgres
from tests.support.population import addresses_of, enter, settle
from tests.support.sandbox import SERVICE

MAILBOXES, BUSY, CHANGES, A_SECOND = 60, 40, 500, 10.0
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "sqlite"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "workspace"
        url = postgres.Maker(stack.enter_context(postgres.server())).make() if kind == "postgresql" else None
        sandbox = stack.enter_context(Sandbox())
        addresses = addresses_of(MAILBOXES)
        settle(sandbox, addresses)
        sandbox.organisation.grant_impersonation(SERVICE, None)
        os.environ["SVC_PASSWORD"] = sandbox.passwords[SERVICE]
        Workspace.create(folder, url).close()
        enter(folder, sandbox, addresses, access="impersonation")
        workspace = Workspace.open(folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "ops_lib.cli", "--workspace", str(folder), "watch"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while len(sandbox.streams) < 1:
                time.sleep(0.1)
            time.sleep(5)
            sandbox.requests.clear()
            time.sleep(10)
            print(f"{kind}, {MAILBOXES} mailboxes, ten quiet seconds: {sandbox.requests.total()} requests")
            play(sandbox, workspace, addresses[:BUSY])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            workspace.close()


def play(sandbox: Sandbox, workspace: Workspace, addresses: list[str]) -> None:
    chance = random.Random(7)
    began: dict[str, float] = {}
    seconds: dict[str, list[float]] = {"Outlook to the CRM": [], "the CRM to Outlook": []}
    sandbox.requests.clear()
    next_at, number = time.monotonic(), 0
    give_up = time.monotonic() + CHANGES / A_SECOND + 60
    while (number < CHANGES or began) and time.monotonic() < give_up:
        now = time.monotonic()
        if number < CHANGES and now >= next_at:
            make(sandbox, workspace, chance.choice(addresses), number)
            began[f"change {number}"] = time.monotonic()
            number += 1
            next_at += chance.expovariate(A_SECOND)
        for words in look(sandbox, workspace, set(began)):
            side = "Outlook to the CRM" if int(words.split()[1]) % 2 else "the CRM to Outlook"
            seconds[side].append(time.monotonic() - began.pop(words))
        time.sleep(0.02)
    for side, found in seconds.items():
        found.sort()
        print(
            f"{side:<20} {len(found)} changes  p50 {found[len(found) // 2]:.2f} s  p95 {found[int(len(found) * 0.95)]:.2f} s  longest {found[-1]:.2f} s"
        )
    print(f"not there after a minute: {len(began)}; {sandbox.requests.total() / CHANGES:.1f} requests a change")
    asked = sandbox.requests.document()["mailboxes"]
    print(
        f"requests for mailboxes without a change: {sum(sum(asked.get(each, {}).values()) for each in addresses_of(MAILBOXES)[BUSY:])}"
    )


def make(sandbox: Sandbox, workspace: Workspace, address: str, number: int) -> None:
    start = START + timedelta(minutes=30 * number)
    if number % 2:
        values = {
            "item:Subject": f"change {number}",
            "calendar:Start": start,
            "calendar:End": start + timedelta(minutes=30),
        }
        with sandbox.organisation.lock:
            sandbox.organisation.create_item(address, "calendar", values)
        return
    with workspace.database.begin() as connection:
        directory = Directory(connection)
        content = ActivityContent(
            type_id=directory.activity_type("Tour").type_id,
            status=ActivityStatus.SCHEDULED,
            description=f"change {number}",
            when=Timed(start, start + timedelta(minutes=30)),
        )
        user = directory.user(address).user_id
        SqlCrm(connection, datetime.now(UTC)).create(user, content, origin=Origin.CRM, key=f"change {number}")


def look(sandbox: Sandbox, workspace: Workspace, wanted: set[str]) -> set[str]:
    """Which of the changes are on their other side."""
    from_outlook = {each for each in wanted if int(each.split()[1]) % 2}
    found: set[str] = set()
    if from_outlook:
        with workspace.database.read() as connection:
            query = select(activities.c.description).where(activities.c.description.in_(from_outlook))
            found |= {row.description for row in connection.execute(query)}
    with sandbox.organisation.lock:
        for mailbox in sandbox.organisation.mailboxes:
            items = mailbox.folder("calendar").items.values()
            found |= {str(each.values.get("item:Subject")) for each in items} & (wanted - from_outlook)
    return found


if __name__ == "__main__":
    main()
