"""A runbook without a person: its parameters, its notebook through papermill, and its place in the index.

A run leaves, in a folder of its own below the workspace's `runs/`: the executed notebook, the same as HTML, and whatever the notebook wrote, all
read-only. How it ended is what the notebook's last call said; a notebook that did not get there is *blocked* where something outside stood in
its way that a person can mend, and *failed* where the fault is ours, or where it was ended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ops_lib.errors import WorkspaceError
from ops_lib.runbook import execution, library, runs
from ops_lib.runbook.runs import RunRecord
from ops_lib.runbook.session import RUN_FOLDER_VARIABLE
from ops_lib.sync.mapping import instant_text

LIMIT_SECONDS = 3600.0
"""A run that takes longer has hung."""

KEPT = 200
"""So many runs of each runbook are kept, where a workspace says nothing else."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be run: parameters as a person wrote them, and for whom. ``due`` and ``missed`` come from a schedule."""

    stem: str
    given: Mapping[str, str]
    again_of: RunRecord | None = None
    due: str = ""
    missed: int = 0


def run_runbook(
    wish: Wish,
    *,
    folder: Path,
    now: datetime,
    limit_seconds: float = LIMIT_SECONDS,
    keep: int = KEPT,
    tell: Callable[[RunRecord], str] = lambda _: "",
    show_progress: bool = False,
) -> RunRecord:
    """Run a runbook's notebook with the parameters that were given as text, and write it into the index below ``folder``.

    ``tell`` is asked to alert somebody, and returns what became of it. **Raises** `NotThere` for an unknown runbook, `InputError` for a parameter
    that cannot be, `WorkspaceError` while the same runbook runs in the same folder; then nothing was run and nothing is in the index.
    """
    stem = wish.stem
    now = now.replace(microsecond=0)
    path = library.notebook(stem)
    values = library.typed(library.parameters(path), wish.given)
    _make(folder)
    with runs.only_one(folder, stem):
        settle(folder, tell)
        own = runs.own_folder(folder, f"{stem}-{now:%Y%m%dT%H%M%SZ}")
        with runs.held(own):
            record = RunRecord(
                run=own.name,
                runbook=stem,
                when=instant_text(now),
                outcome=runs.RUNNING,
                parameters=values,
                again_of=wish.again_of.run if wish.again_of else "",
                due=wish.due,
                missed=wish.missed,
            )
            runs.write(folder, record)
            record = _ended(record, path, own, limit_seconds, show_progress, _preface(wish.again_of), now)
            record = replace(record, sha256=runs.seal(own))
            runs.write(folder, record)
        if alert := tell(record):  # after the run's end is written: telling may hang or die
            record = replace(record, alert=alert)
            runs.write(folder, record)
        runs.thin(folder, stem, keep)
    return record


def settle(folder: Path, tell: Callable[[RunRecord], str]) -> list[RunRecord]:
    """Write down, and tell, the end of runs that ended without a word; these."""
    told = [replace(record, alert=tell(record)) for record in runs.settle(folder)]
    for record in told:
        if record.alert:
            runs.write(folder, record)
    return told


def given_again(record: RunRecord) -> dict[str, str]:
    """The parameters of an earlier run, as a person would write them. **Raises** `WorkspaceError` for one that still runs."""
    if record.outcome == runs.RUNNING:
        raise WorkspaceError("this run has not ended yet", subject=record.run, fix="wait for it, or stop it.")
    return {name: str(value) for name, value in record.parameters.items()}


@contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Variables of this process that a kernel it starts inherits, for a while; None takes one away."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _ended(
    record: RunRecord, path: Path, own: Path, limit_seconds: float, show_progress: bool, preface: str, now: datetime
) -> RunRecord:
    """Execute the notebook; the record of how it ended."""
    began = time.monotonic()
    executed = own / path.name
    try:
        with environment({RUN_FOLDER_VARIABLE: str(own)}):
            stop = execution.execute(
                path,
                executed,
                record.parameters,
                execution.Ending(limit_seconds),
                show_progress=show_progress,
                preface=preface,
            )
    except Exception as error:  # noqa: BLE001  a run has an end in the index whatever happens to it
        stop = execution.Stop(type(error).__name__, str(error).strip().partition("\n")[0])
    said = {} if stop else execution.last_line(executed, record.runbook)
    html = _page(executed)
    seconds = time.monotonic() - began
    folder = own.parent
    return replace(
        record,
        outcome=stop.outcome if stop else said.get("outcome", "failed"),
        ended=instant_text(now + timedelta(seconds=round(seconds))),
        seconds=round(seconds, 1),
        figures={name: value for name, value in said.items() if name not in ("outcome", "message")},
        message=stop.message if stop else said.get("message", "") if said else "the notebook did not say how it ended",
        error="" if stop is None or stop.is_foreseen else stop.name,
        step=stop.step if stop else "",
        notebook=str(executed.relative_to(folder)) if executed.exists() else "",
        html=str(html.relative_to(folder)) if html else "",
        report=str((own / "report.html").relative_to(folder)) if (own / "report.html").exists() else "",
    )


def _page(executed: Path) -> Path | None:
    """The executed notebook as HTML; None where there is none, or none can be made: the notebook itself is the evidence."""
    if not executed.exists():
        return None
    try:
        return execution.as_html(executed)
    except Exception:  # noqa: BLE001  as above
        return None


def _preface(earlier: RunRecord | None) -> str:
    if earlier is None:
        return ""
    where = f" at *{earlier.step}*" if earlier.step else ""
    why = f": {earlier.message}" if earlier.message else ""
    return (
        f"> **Tried again.** The run `{earlier.run}` ended as `{earlier.outcome}`{where}{why}\n>\n"
        "> The steps before that one are repeated: what they had done already they find done. The earlier notebook stays as it is."
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise WorkspaceError(
            f"the folder of runs cannot be made ({error.strerror})", subject=str(folder), fix="make room for it."
        ) from None


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
