"""Must show 5: killed at random moments and started again, nothing is missing and nothing is there twice."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.model import Activity, ActivityStatus, Origin, Timed
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.sandbox import ALICE, SERVICE
from tests.sync.desk import NOW, at

KILLS = 25
EDITED_KILLS = 12
ACTIVITIES = 200


@pytest.fixture
def prepared(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A workspace with one account and 200 activities that were never synced."""
    path = tmp_path / "prepared"
    workspace = Workspace.create(path)
    with workspace.database.begin() as c:
        directory = Directory(c)
        directory.add_community("Elm Court", time_zone="UTC")
        user = directory.add_user(ALICE, "Alice", community_names=["Elm Court"])
        entered = HostInput(
            url=sandbox.ews_url,
            auth="basic",
            access="impersonation",
            service_user=SERVICE,
            secret="env:TEST_SERVICE_PASSWORD",
            types=("Tour",),
        )
        Hosts(c).add("H", entered)
        Accounts(c).add(ALICE, host="H")
        tour = directory.activity_type("Tour").type_id
        crm = SqlCrm(c, NOW)
        for number in range(ACTIVITIES):
            content = ActivityContent(
                type_id=tour, description=f"Tour {number}", when=at(number % 50, number % 20), notes="x" * 50
            )
            crm.create(user.user_id, content, origin=Origin.CRM, key=f"k{number}")
    workspace.close()
    return path


class Cycles:
    """Runs cycles, each in a process of its own, and kills them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, path: Path, kill_after: float | None = None) -> float:
        """Run a cycle, killed so long after it began. Answers how long it ran."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        number = int(self._process.stdout.readline())
        began = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):  # it had ended before
                os.kill(number, signal.SIGKILL)
        code = int(self._process.stdout.readline())
        assert code == 0 or (kill_after is not None and code == -signal.SIGKILL), code
        return time.monotonic() - began


@pytest.fixture
def cycles(sandbox: Sandbox) -> Iterator[Cycles]:
    environment = {**os.environ, "TEST_SERVICE_PASSWORD": sandbox.passwords[SERVICE], "SYNCOPS_NOW": NOW.isoformat()}
    command = [sys.executable, "-m", "tests.support.one_cycle"]
    with subprocess.Popen(
        command,
        env=environment,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Cycles(process)


@pytest.mark.slow
@pytest.mark.req("Y2", "Y8")
def test_killed_at_any_moment(prepared: Path, sandbox: Sandbox, cycles: Cycles, tmp_path: Path) -> None:
    """25 times: kill an initial sync of 200 activities somewhere, start it again: 200 events, one for each activity."""
    sandbox.clock.set(NOW)
    moments = random.Random(7)
    sandbox.faults.add({"operation": "CreateItem", "mailbox": "*", "every": 1, "fault": {"delay_seconds": 0.03}})
    whole = 0.0
    done_before_kill: list[int] = []
    for attempt in range(KILLS + 1):
        path = tmp_path / f"w{attempt}"
        shutil.copytree(prepared, path)
        if attempt == 0:
            whole = cycles.run(path)
        else:
            cycles.run(path, kill_after=moments.uniform(0.02, whole))
            done_before_kill.append(len(titles(sandbox)))
            cycles.run(path)
        found = Counter(titles(sandbox))
        assert found == Counter(f"Tour {number}" for number in range(ACTIVITIES)), (attempt, done_before_kill[-1:])
        empty(sandbox)
        shutil.rmtree(path)
    assert any(0 < done < ACTIVITIES for done in done_before_kill), done_before_kill
    print("there when it was killed:", done_before_kill)


@pytest.mark.slow
@pytest.mark.req("Y2", "C5", "C6", "O3", "O4")
def test_killed_while_it_updates_moves_and_deletes(
    prepared: Path, sandbox: Sandbox, cycles: Cycles, tmp_path: Path
) -> None:
    """12 times: edits, reschedules and deletions on both sides, the cycle killed somewhere, two more: both sides hold what people made, once."""
    sandbox.clock.set(NOW)
    moments = random.Random(11)
    cycles.run(prepared)
    expected = {f"Tour {number}": at(number % 50, number % 20) for number in range(ACTIVITIES)}
    for operation in ("CreateItem", "UpdateItem", "DeleteItem"):
        sandbox.faults.add({"operation": operation, "mailbox": "*", "every": 1, "fault": {"delay_seconds": 0.1}})
    whole, caught = 0.0, 0
    for attempt in range(EDITED_KILLS + 1):
        workspace = Workspace.open(prepared)
        edit_both_sides(attempt, workspace, sandbox, expected)
        if attempt == 0:
            whole = cycles.run(prepared)
        else:
            caught += cycles.run(prepared, kill_after=moments.uniform(0.1, whole)) < whole
            cycles.run(prepared)
        cycles.run(prepared)
        wanted = Counter((title, when.start) for title, when in expected.items())
        with sandbox.organisation.lock:
            items = sandbox.organisation.mailbox(ALICE).folder("calendar").items.values()
            there = Counter((str(i.values["item:Subject"]), i.values["calendar:Start"]) for i in items)
        assert there == wanted, attempt
        assert Counter((a.description, a.when.start) for a in standing(workspace)) == wanted, attempt
        workspace.close()
    assert caught


def standing(workspace: Workspace) -> list[Activity]:
    """What stands in the CRM's calendar."""
    with workspace.database.read() as c:
        user = Directory(c).user(ALICE).user_id
        every = SqlCrm(c, NOW).changes(user, 0).activities
    return [a for a in every if not a.is_deleted and a.status is not ActivityStatus.CANCELLED]


def edit_both_sides(round_number: int, workspace: Workspace, sandbox: Sandbox, expected: dict[str, Timed]) -> None:
    """Of 60 entries, each gets one edit: in the CRM retitled, rescheduled, deleted; in Outlook retitled, moved, deleted. Twelve are new."""
    choice = random.Random(round_number)
    organisation, later = sandbox.organisation, timedelta(minutes=30 + round_number)
    chosen = choice.sample(sorted(expected), 60)
    activities = {a.description: a for a in standing(workspace)}
    with organisation.lock:
        items = {
            str(item.values["item:Subject"]): item
            for item in organisation.mailbox(ALICE).folder("calendar").items.values()
        }
    with workspace.database.begin() as c:
        crm = SqlCrm(c, NOW)
        for number, title in enumerate(chosen):
            activity, item, when = activities[title], items[title], expected.pop(title)
            moved = Timed(when.start + later, when.end + later)
            match number % 10:
                case 0 | 1 | 2:
                    crm.update(activity.activity_id, ActivityContent(description=f"{title}+"))
                    expected[f"{title}+"] = when
                case 3 | 4 | 5:
                    crm.reschedule(activity.activity_id, moved, key=f"{round_number}-{title}")
                    expected[title] = moved
                case 6:
                    crm.remove(activity.activity_id)
                case 7:
                    organisation.update_item(item, {"item:Subject": f"{title}*"})
                    expected[f"{title}*"] = when
                case 8:
                    organisation.update_item(item, {"calendar:Start": moved.start, "calendar:End": moved.end})
                    expected[title] = moved
                case _:
                    organisation.delete_item(item, "HardDelete")
        for number in range(12):
            title = f"New {round_number}.{number}"
            expected[title] = at(number, 9)
            content = ActivityContent(type_id=activities[chosen[0]].type_id, description=title, when=expected[title])
            crm.create(activities[chosen[0]].user_id, content, origin=Origin.CRM, key=title)


def titles(sandbox: Sandbox) -> list[str]:
    mailbox = sandbox.organisation.mailbox(ALICE)
    with sandbox.organisation.lock:
        return [str(item.values["item:Subject"]) for item in mailbox.folder("calendar").items.values()]


def empty(sandbox: Sandbox) -> None:
    organisation = sandbox.organisation
    with organisation.lock:
        for item in list(organisation.mailbox(ALICE).folder("calendar").items.values()):
            organisation.delete_item(item, "HardDelete")
