"""Must show 2 of email: killed with -9 at 25 random moments, never two messages, never a Completed activity without one."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.database import tables as t
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.sandbox import ALICE, BOB, SERVICE

KILLS = 25


class Letters:
    """Sends letters, each in a process of its own, and kills them."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self._process, self._path = process, path

    def run(self, subject: str, kill_after: float | None = None) -> tuple[float, bool]:
        """Send one (or, without a subject, take up what waits), killed so long after it began. How long it ran, and whether it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{self._path}\t{subject}\n")
        self._process.stdin.flush()
        number = int(self._process.stdout.readline())
        began = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):  # it had ended before
                os.kill(number, signal.SIGKILL)
        code = int(self._process.stdout.readline())
        assert code == 0 or (kill_after is not None and code == -signal.SIGKILL), code
        return time.monotonic() - began, code != 0


@pytest.fixture
def letters(tmp_path: Path, sandbox: Sandbox) -> Iterator[Letters]:
    path = tmp_path / "workspace"
    workspace = Workspace.create(path)
    with workspace.database.begin() as c:
        directory = Directory(c)
        directory.add_community("Elm Court", time_zone="UTC")
        directory.add_user(ALICE, "Alice", community_names=["Elm Court"])
        directory.add_individual("Bo Example", email=BOB)
        entered = HostInput(
            url=sandbox.ews_url,
            auth="basic",
            access="impersonation",
            version="Office 365",
            service_user=SERVICE,
            secret="env:TEST_SERVICE_PASSWORD",
            types=(),
            send_email=True,
        )
        Hosts(c).add("H", entered)
        Accounts(c).add(ALICE, host="H", send_email=True)
    workspace.close()
    environment = {**os.environ, "TEST_SERVICE_PASSWORD": sandbox.passwords[SERVICE]}
    environment.pop("SYNCOPS_NOW", None)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.one_letter"],
        env=environment,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Letters(process, path)


@pytest.mark.slow
@pytest.mark.req("E2", "E7")
def test_killed_at_any_moment(letters: Letters, sandbox: Sandbox, tmp_path: Path) -> None:
    """25 letters, each process killed somewhere; then what waits is taken up: who was written down was sent once, whole, and is on record once."""
    moments = random.Random(7)
    for operation in ("CreateItem", "SendItem", "FindItem"):
        wait = {"delay_seconds": 0.02, "late_seconds": 0.02}
        sandbox.faults.add({"operation": operation, "mailbox": "*", "every": 1, "fault": wait})
    whole, _ = letters.run("Letter 0")
    killed = 0
    sent_when_killed: list[int] = []
    for number in range(1, KILLS + 1):
        _, was_killed = letters.run(f"Letter {number}", kill_after=moments.uniform(0.0, 1.1 * whole))
        killed += was_killed
        sent_when_killed.append(subjects(sandbox)[f"Letter {number}"])
        letters.run("")
    assert killed >= KILLS // 2

    workspace = Workspace.open(tmp_path / "workspace")
    with workspace.database.read() as connection:
        states = Counter(row.state for row in connection.execute(t.outgoing_messages.select()))
        known = Counter(row.subject for row in connection.execute(t.outgoing_messages.select()))
        record = Counter(
            row.description for row in connection.execute(t.activities.select()) if row.status == "Completed"
        )
    workspace.close()
    delivered = subjects(sandbox)
    assert set(states) == {"accepted"}
    assert delivered == record == known
    assert max(delivered.values()) == 1
    inbox = sandbox.organisation.mailbox(BOB).folder("inbox").items.values()
    for item in inbox:
        subject = item.values["item:Subject"]
        assert item.values["item:Body"].text == f"Dear Bo, {subject}"
        assert [each.content for each in item.attachments] == [subject.encode() * 5_000]
    assert not sandbox.organisation.mailbox(ALICE).folder("drafts").items
    print(f"{killed} killed; out when killed: {sent_when_killed}; on record: {len(known)} of {KILLS + 1}")


def subjects(sandbox: Sandbox) -> Counter[str]:
    """What the recipient has, by subject."""
    with sandbox.organisation.lock:
        items = sandbox.organisation.mailbox(BOB).folder("inbox").items.values()
        return Counter(str(item.values["item:Subject"]) for item in items)
