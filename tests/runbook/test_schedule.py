"""Runbooks that run by themselves: kept over restarts, caught up once, never twice at a time."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_lib.errors import NotThere, WorkspaceError
from ops_lib.runbook import runs
from ops_lib.runbook.cron import CronLine
from ops_lib.runbook.schedule import MISSED_AT_MOST, Entry, Event, Scheduler, entries, events
from ops_lib.workspace import Workspace

DAILY = CronLine.parse("0 6 * * *", "UTC")
ENDED = {"outcome": "ok", "run": "report_sync-1", "message": ""}


class Started:
    """What stands for a runbook's process: it ends when it is let go, with what a run says."""

    returncode = 0

    def __init__(self, arguments: list[str], said: str, complaint: str = "", code: int = 0) -> None:
        self.arguments, self.said, self.complaint, self._code = arguments, said, complaint, code
        self.let_go = threading.Event()

    def communicate(self) -> tuple[str, str]:
        assert self.let_go.wait(30)
        self.returncode = self._code
        return self.said, self.complaint

    def terminate(self) -> None:
        self.said = json.dumps({**ENDED, "outcome": "failed", "message": "it was stopped (SIGTERM)"})
        self.let_go.set()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    made = Workspace.create(tmp_path / "w")
    made.close()
    return made


class Desk:
    """A scheduler of one daily runbook, and the processes that it started."""

    def __init__(self, workspace: Workspace, line: CronLine = DAILY, **ends: Any) -> None:
        self.started: list[Started] = []
        self.told: list[Event] = []
        entry = Entry("report_sync", "Report", line, {"days": 1})

        def start(arguments: list[str]) -> Any:
            self.started.append(Started(arguments, **{"said": json.dumps(ENDED), **ends}))
            return self.started[-1]

        self.scheduler = Scheduler(workspace, [entry], say=self.told.append, start=start)

    def until(self, *kinds: str) -> None:
        """Wait until these events, in this order, have come."""
        _until(lambda: [event.event for event in self.told] == list(kinds))


def _until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _was_due(workspace: Workspace, moment: datetime, line: CronLine = DAILY) -> None:
    """Leave the schedule as a scheduler would that ended before this due moment."""
    with Desk(workspace, line).scheduler.running() as beneath:
        beneath.pause()
        beneath.get_job("report_sync").modify(next_run_time=moment)


def test_what_came_due_while_nobody_ran_it_is_run_once(workspace: Workspace) -> None:
    """After three days off the daily report runs one time, for the last due moment, and says how many were missed."""
    now = datetime.now(UTC)
    dues = DAILY.between(now - timedelta(days=4), now, 10)[-3:]
    _was_due(workspace, dues[0])
    desk = Desk(workspace)
    with desk.scheduler.running() as beneath:
        desk.until("began")
        desk.started[0].let_go.set()
        desk.until("began", "ended")
        assert beneath.get_job("report_sync").next_run_time > now
    assert len(desk.started) == 1
    assert desk.started[0].arguments == [
        "--workspace", str(workspace.path), "run", "report_sync", "--json", "--due", f"{dues[-1]:%Y-%m-%dT%H:%M:%SZ}", "--missed", "2", "-p", "days=1",
    ]  # fmt: skip
    assert [(each.event, each.missed, each.run) for each in events(desk.scheduler.folder)] == [
        ("ended", 2, "report_sync-1"),
        ("began", 2, ""),
    ]


def test_a_year_off_is_not_counted_through(workspace: Workspace) -> None:
    """The start is quick, and the record says that it were many."""
    line = CronLine.parse("*/5 * * * *", "UTC")
    _was_due(workspace, datetime.now(UTC) - timedelta(days=365), line)
    desk = Desk(workspace, line)
    with desk.scheduler.running():
        desk.until("began")
        desk.started[0].let_go.set()
    assert desk.told[0].missed == MISSED_AT_MOST


def test_a_schedule_that_was_changed_begins_anew(workspace: Workspace) -> None:
    """What the former line had due is not run for the new one; a runbook without a schedule is forgotten."""
    _was_due(workspace, datetime.now(UTC) - timedelta(days=1))
    desk = Desk(workspace, CronLine.parse("30 7 * * *", "Europe/Zurich"))
    with desk.scheduler.running() as beneath:
        assert beneath.get_job("report_sync").next_run_time > datetime.now(UTC)
    with Scheduler(workspace, []).running() as beneath:
        assert beneath.get_jobs() == []
    assert desk.started == []


def test_a_runbook_that_still_runs_is_not_started_again(workspace: Workspace) -> None:
    """The due moment that went by is noted."""
    now = datetime.now(UTC)
    _was_due(workspace, DAILY.between(now - timedelta(days=2), now, 9)[-1])
    desk = Desk(workspace)
    with desk.scheduler.running() as beneath:
        desk.until("began")
        beneath.get_job("report_sync").modify(next_run_time=datetime.now(UTC))
        desk.until("began", "skipped")
        desk.started[0].let_go.set()
        desk.until("began", "skipped", "ended")
    assert len(desk.started) == 1


@pytest.mark.parametrize(
    ("ends", "event", "message"),
    [
        ({"said": "", "complaint": "a remark\nerror: this runbook is running here already\n", "code": 2}, "refused", "this runbook is running here already"),
        ({"said": "", "complaint": "", "code": -9}, "died", "it ended with code -9"),
        ({"said": json.dumps({**ENDED, "outcome": "blocked", "message": "no account"}), "code": 1}, "ended", "blocked: no account"),
    ],
)  # fmt: skip
def test_how_a_run_ended_is_noted(workspace: Workspace, ends: dict[str, Any], event: str, message: str) -> None:
    """Also one that could not start, or was killed."""
    _was_due(workspace, datetime.now(UTC) - timedelta(days=1))
    desk = Desk(workspace, **ends)
    with desk.scheduler.running():
        desk.until("began")
        desk.started[0].let_go.set()
        desk.until("began", event)
    assert desk.told[-1].message == message


def test_stopping_waits_for_what_runs_and_a_second_wish_ends_it(workspace: Workspace) -> None:
    """Nothing is cut off unless that is wanted."""
    _was_due(workspace, datetime.now(UTC) - timedelta(days=1))
    desk = Desk(workspace)
    with desk.scheduler.running():
        desk.until("began")
        threading.Timer(0.2, desk.scheduler.end_running).start()
    assert [each.event for each in desk.told] == ["began", "ended"]
    assert desk.told[-1].message == "failed: it was stopped (SIGTERM)"


def test_only_one_scheduler_runs_in_a_workspace(workspace: Workspace) -> None:
    """The second is refused."""
    with Desk(workspace).scheduler.running(), pytest.raises(WorkspaceError, match="another scheduler"):  # noqa: SIM117
        with Desk(workspace).scheduler.running():
            pass


def test_runs_that_ended_without_a_word_are_settled_when_it_starts(workspace: Workspace) -> None:
    """A machine that crashed at night is told of in the morning."""
    folder = workspace.path / "runs"
    folder.mkdir()
    runs.write(folder, runs.RunRecord("a", "report_sync", "2026-11-23T06:00:00Z", "running"))
    with Desk(workspace).scheduler.running():
        pass
    assert runs.settle(folder) == []
    assert runs.records(folder)[0].outcome == "failed"


def test_the_schedules_are_those_of_the_pages(workspace: Workspace) -> None:
    """In the workspace's zone unless a page names its own; an unknown one is answered with those there are."""
    found = {each.stem: each for each in entries(workspace)}
    assert found["report_sync"].line == CronLine.parse("0 6 * * 1-5", "UTC")
    assert found["report_sync"].parameters == {"days": 1}
    assert [each.stem for each in entries(workspace, ["report_sync"])] == ["report_sync"]
    with pytest.raises(NotThere, match="did you mean report_sync"):
        entries(workspace, ["report_snyc"])


@pytest.mark.slow
@pytest.mark.req("R10")
def test_the_command_runs_what_is_due_and_stops_when_asked(workspace: Workspace) -> None:
    """A real scheduler, a real run: caught up after the restart, in the index with its due moment; SIGTERM ends it with code 0."""
    line = entries(workspace)[[each.stem for each in entries(workspace)].index("report_sync")].line
    due = line.between(datetime.now(UTC) - timedelta(days=8), datetime.now(UTC), 20)[-1]
    _was_due(workspace, due, line)
    command = [
        sys.executable,
        "-m",
        "ops_lib.cli",
        "--workspace",
        str(workspace.path),
        "schedule",
        "run",
        "--only",
        "report_sync",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "SYNCOPS_NOW"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert isinstance(process.stdout, io.TextIOBase)
    said = [next(process.stdout) for _ in range(2)]
    assert said[0].startswith("report_sync: 0 6 * * 1-5 (UTC), next ")
    assert f"report_sync began (due {due:%Y-%m-%dT%H:%M:%SZ})" in said[1]
    process.send_signal(signal.SIGTERM)  # while it runs: it is waited for
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert "report_sync ended" in rest
    assert "blocked: there is no account to report on" in rest
    (record,) = runs.records(workspace.path / "runs")
    assert (record.outcome, record.due, record.missed) == ("blocked", f"{due:%Y-%m-%dT%H:%M:%SZ}", 0)
