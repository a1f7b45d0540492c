"""Runbooks that run by themselves: the schedules of their pages, kept by APScheduler in the workspace.

When each is due next is in `schedule.db` of the workspace, so a scheduler that was stopped or killed goes on where it was: what came due meanwhile is
run once, and how many times were missed is in the run's record. A runbook runs in a process of its own; one that still runs when it is due again is not
started a second time. What happened is in `runs/schedule.jsonl`.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers import base as schedulers
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from ops_lib.errors import NotThere, WorkspaceError
from ops_lib.runbook import pages, runner, runs
from ops_lib.runbook.alerts import Alerts
from ops_lib.runbook.cron import CronLine
from ops_lib.runbook.library import Value, nearest
from ops_lib.sync.mapping import instant_text
from ops_lib.workspace import Workspace

DATABASE = "schedule.db"
LOG = "schedule.jsonl"
AT_ONCE = 2
"""So many runbooks run side by side."""

MISSED_AT_MOST = 100
"""No more missed times are counted than these."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A runbook that runs by itself in this workspace."""

    stem: str
    title: str
    line: CronLine
    parameters: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the scheduler did or could not do: began, ended, skipped (it still ran), refused (it could not start), died, stopping."""

    at: str
    runbook: str
    event: str
    due: str = ""
    missed: int = 0
    run: str = ""
    message: str = ""


class Due(BaseTrigger):  # type: ignore[misc]
    """A cron line as APScheduler asks for it. Kept in the database as its text and zone."""

    def __init__(self, line: CronLine) -> None:
        self.line = line

    def __getstate__(self) -> dict[str, str]:
        return {"line": self.line.line, "zone": self.line.zone}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.line = CronLine.parse(state["line"], state["zone"])

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first due moment after the former one; after now, where there was none."""
        return self.line.after(previous_fire_time or now)


def entries(workspace: Workspace, only: Sequence[str] = ()) -> list[Entry]:
    """The runbooks that have a schedule; with ``only``, these. **Raises** `NotThere` for one that has none, `InputError`."""
    found = [
        Entry(page.stem, page.title, page.schedule.line(workspace.zone()), page.schedule.parameters)
        for page in pages.pages()
        if page.schedule is not None
    ]
    known = [each.stem for each in found]
    for stem in only:
        if stem not in known:
            raise NotThere(
                f"no runbook {stem} has a schedule{nearest(stem, known)}", fix=f"name one that has: {', '.join(known)}."
            )
    return [each for each in found if not only or each.stem in only]


def events(folder: Path) -> list[Event]:
    """What the scheduler did, newest first. A line that was cut off is passed over."""
    file = folder / LOG
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            found.append(Event(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found[::-1]


class Scheduler:
    """Runs what is due until it is stopped. ``start`` is how a runbook's process is begun; ``say`` is told each event."""

    def __init__(
        self,
        workspace: Workspace,
        scheduled: Sequence[Entry],
        *,
        say: Callable[[Event], None] = lambda _: None,
        start: Callable[[list[str]], subprocess.Popen[str]] | None = None,
    ) -> None:
        self.workspace = workspace
        self.folder = workspace.path / "runs"
        self._entries = {each.stem: each for each in scheduled}
        self._say = say
        self._start = start or _process
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._dues: dict[str, tuple[datetime, int]] = {}
        self._uncounted: dict[str, int] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    @contextmanager
    def running(self) -> Iterator[BackgroundScheduler]:
        """Run what is due, for a while; at the end wait for what runs. Gives the scheduler beneath. **Raises** `WorkspaceError` where another scheduler does so already."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with ExitStack() as holding:
            try:
                holding.enter_context(runs.hold(self.folder / ".schedule.lock"))
            except BlockingIOError:
                raise WorkspaceError(
                    "another scheduler runs here already",
                    subject=str(self.workspace.path),
                    fix="stop it, or leave the schedule to it.",
                ) from None
            runner.settle(self.folder, Alerts.of(self.workspace.settings, self.workspace.path.name).tell)
            scheduler = self._scheduler()
            try:
                yield scheduler
            finally:
                self._stopping.set()
                scheduler.shutdown(wait=True)

    def serve(self) -> None:
        """Run what is due until SIGTERM or Ctrl-C; then wait for what runs, and end that too at the second signal."""
        asked = threading.Event()

        def stop(_number: int, _frame: Any) -> None:
            if asked.is_set():
                threading.Thread(target=self.end_running, daemon=True).start()
            asked.set()

        before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            with self.running():
                while not asked.wait(3600):
                    pass
                for stem in list(self._running):
                    self._note(stem, "stopping", message="waits for this run to end; a second signal ends it")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end_running(self) -> None:
        """Ask the runbooks that run to stop; each writes its end down."""
        with self._lock:
            for process in self._running.values():
                process.terminate()

    def fire(self, stem: str) -> None:
        """Run a runbook that is due, in a process of its own, and note how it ended."""
        entry = self._entries[stem]
        due, missed = self._dues.pop(stem)
        arguments = ["--workspace", str(self.workspace.path), "run", stem, "--json", "--due", instant_text(due), "--missed", str(missed)]  # fmt: skip
        for name, value in entry.parameters.items():
            arguments += ["-p", f"{name}={value}"]
        if self._stopping.is_set():
            self._note(stem, "skipped", due, missed, message="the scheduler was stopped before it could begin")
            return
        with self._lock:
            process = self._running[stem] = self._start(arguments)
        self._note(stem, "began", due, missed)
        said, complaint = process.communicate()
        with self._lock:
            del self._running[stem]
        event, run, message = _end(process.returncode, said, complaint)
        self._note(stem, event, due, missed, run=run, message=message)

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _scheduler(self) -> BackgroundScheduler:
        logging.getLogger("apscheduler").addHandler(logging.NullHandler())  # what matters is noted here
        file = self.workspace.path / DATABASE
        file.touch(mode=0o600)
        scheduler = _Scheduler(
            jobstores={"default": SQLAlchemyJobStore(url=f"sqlite:///{file}")},
            executors={"default": _Executor(self._submitted, AT_ONCE)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)
        _current[str(self.workspace.path)] = self
        scheduler.start(paused=True)
        now = datetime.now(UTC)
        for job in scheduler.get_jobs():
            if job.id not in self._entries:
                scheduler.remove_job(job.id)
        for stem, entry in self._entries.items():
            kept = scheduler.get_job(stem)
            if kept is None or kept.trigger.line != entry.line:
                scheduler.add_job(
                    _fire, Due(entry.line), id=stem, args=(str(self.workspace.path), stem), replace_existing=True
                )
            elif len(entry.line.between(kept.next_run_time, now, MISSED_AT_MOST)) == MISSED_AT_MOST:
                self._uncounted[stem] = MISSED_AT_MOST
                kept.modify(next_run_time=now)
        scheduler.resume()
        return scheduler

    def _submitted(self, job: Job, run_times: list[datetime]) -> None:
        """Keep for which moment a job is run, and how many earlier ones went by since it was last due."""
        due = run_times[-1]
        earlier = job.trigger.line.between(job.next_run_time, due, MISSED_AT_MOST + 1)
        self._dues[job.id] = (due, self._uncounted.pop(job.id, len(earlier) - 1))

    def _skipped(self, event: JobSubmissionEvent) -> None:
        self._note(
            event.job_id, "skipped", event.scheduled_run_times[-1], message="the one before it had not ended yet"
        )

    def _note(
        self, stem: str, event: str, due: datetime | None = None, missed: int = 0, *, run: str = "", message: str = ""
    ) -> None:
        noted = Event(
            at=instant_text(datetime.now(UTC).replace(microsecond=0)),
            runbook=stem,
            event=event,
            due=instant_text(due) if due else "",
            missed=missed,
            run=run,
            message=message,
        )
        with self._lock:
            file = self.folder / LOG
            file.touch(mode=0o600)
            with file.open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(noted)) + "\n")
        self._say(noted)


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]
    """APScheduler's own, which looks once more for what is due when it was stopped, and then can run none of it."""

    def _process_jobs(self) -> float | None:
        with self._jobstores_lock:  # stopping waits for it
            if self.state == schedulers.STATE_STOPPED:
                return None
            wait_seconds: float | None = super()._process_jobs()
            return wait_seconds


class _Executor(ThreadPoolExecutor):  # type: ignore[misc]
    """Threads that wait for processes; says for which moments a job is submitted."""

    def __init__(self, submitted: Callable[[Job, list[datetime]], None], workers: int) -> None:
        super().__init__(workers)
        self._submitted = submitted

    def _do_submit_job(self, job: Job, run_times: list[datetime]) -> None:
        self._submitted(job, run_times)
        super()._do_submit_job(job, run_times)


_current: dict[str, Scheduler] = {}
"""The scheduler of each workspace: what APScheduler keeps of a job is a name and its arguments."""


def _fire(workspace: str, stem: str) -> None:
    _current[workspace].fire(stem)


def _process(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ops_lib.cli", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the scheduler, which waits for it
    )


def _end(code: int, said: str, complaint: str) -> tuple[str, str, str]:
    """What to note of a process that ended: the event, the run, and in words how."""
    try:
        record = json.loads(said)
        outcome, run, message = record["outcome"], record["run"], record["message"]
    except (ValueError, KeyError, TypeError):
        reason = complaint.strip().rpartition("\n")[2].removeprefix("error: ")
        return ("refused" if code == 2 else "died"), "", reason or f"it ended with code {code}"
    return "ended", run, f"{outcome}: {message}" if message else outcome
