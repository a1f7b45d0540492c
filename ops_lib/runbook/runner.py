"""A runbook without a person: its parameters, its notebook through papermill, and the index of what was run.

A run leaves, in a folder of its own below the workspace's `runs/`: the executed notebook, the same as HTML, and whatever the notebook wrote.
`runs/index.jsonl` has one line a run. How it ended is what the notebook's last call said; a notebook that did not get there is *blocked*
where something outside stood in its way that a person can mend, and *failed* where the fault is ours.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ops_lib import errors
from ops_lib.errors import OpsError, WorkspaceError
from ops_lib.runbook import library
from ops_lib.runbook.session import OUTCOMES, RUN_FOLDER_VARIABLE
from ops_lib.sync.mapping import instant_text

INDEX = "index.jsonl"
CELL_SECONDS = 1800
"""A cell that takes longer has hung: the run fails."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One line of the index. ``outcome``: ok, findings, blocked, failed; paths are relative to the runs' folder."""

    when: str
    runbook: str
    outcome: str
    seconds: float
    parameters: dict[str, library.Value]
    figures: dict[str, Any]
    message: str
    notebook: str
    html: str
    report: str

    @property
    def is_well(self) -> bool:
        """Whether the runbook could do its work, whatever it found."""
        return self.outcome in ("ok", "findings")


def run_runbook(
    stem: str, given: Mapping[str, str], *, workspace: str, folder: Path, now: datetime, show_progress: bool = False
) -> RunRecord:
    """Run a runbook's notebook with the parameters that were given as text, and write it into the index.

    ``workspace`` is the notebook's parameter of that name unless given; ``folder`` is where runs are kept. **Raises** `NotThere` for an
    unknown runbook, `InputError` for a parameter that cannot be, `WorkspaceError` while the same runbook runs in the same folder.
    """
    path = library.notebook(stem)
    values = library.typed(library.parameters(path), {"workspace": workspace, **given})
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder / f".{stem}.lock", stem):
        own = _own_folder(folder, f"{stem}-{now:%Y%m%dT%H%M%SZ}")
        began = time.monotonic()
        executed = own / f"{stem}.ipynb"
        with environment({RUN_FOLDER_VARIABLE: str(own)}):
            stop = _execute(path, executed, values, show_progress)
        said = {} if stop else _last_line(executed, stem)
        html = _as_html(executed)
        record = RunRecord(
            when=instant_text(now),
            runbook=stem,
            outcome=_outcome_of(stop) if stop else said.get("outcome", "failed"),
            seconds=round(time.monotonic() - began, 1),
            parameters=values,
            figures={name: value for name, value in said.items() if name != "outcome"},
            message=stop.message if stop else "" if said else "the notebook did not say how it ended",
            notebook=str(executed.relative_to(folder)),
            html=str(html.relative_to(folder)),
            report=str((own / "report.html").relative_to(folder)) if (own / "report.html").exists() else "",
        )
        with (folder / INDEX).open("a", encoding="utf-8") as index:
            index.write(json.dumps(asdict(record)) + "\n")
    return record


def records(folder: Path) -> list[RunRecord]:
    """The runs in the index, newest first. A line that was cut off by a crash is passed over."""
    index = folder / INDEX
    found = []
    for line in index.read_text(encoding="utf-8").splitlines() if index.exists() else []:
        try:
            found.append(RunRecord(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found[::-1]


@contextmanager
def only_one(lock: Path, stem: str) -> Iterator[None]:
    """Hold a file for as long as a runbook runs; the system lets go of it when the process dies. **Raises** `WorkspaceError`."""
    lock.touch(mode=0o600)
    with lock.open("r+b") as file:
        try:
            _lock(file.fileno())
        except OSError:
            raise WorkspaceError(
                "this runbook is running here already",
                subject=stem,
                fix="wait for it to end; syncops runs shows how it ended.",
            ) from None
        yield


def _lock(handle: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True, slots=True)
class _Stop:
    """What stopped a notebook: the error's name and its message."""

    name: str
    message: str


def _execute(source: Path, target: Path, values: Mapping[str, library.Value], show_progress: bool) -> _Stop | None:
    """Run the notebook; what stopped it, or None."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook
    from traitlets.config import Config

    try:
        execute_notebook(
            str(source),
            str(target),
            parameters=dict(values),
            kernel_name="python3",
            progress_bar=show_progress,
            execution_timeout=CELL_SECONDS,
            config=Config(
                {"KernelManager": {"transport_encryption": "auto"}}
            ),  # else each kernel warns of plain TCP on stderr
        )
    except PapermillExecutionError as error:
        return _Stop(error.ename, " ".join(str(error.evalue).split()))
    except (CellTimeoutError, DeadKernelError) as error:
        return _Stop(type(error).__name__, str(error).strip().partition("\n")[0])
    return None


def _outcome_of(stop: _Stop) -> str:
    kind = getattr(errors, stop.name, None)
    return "blocked" if isinstance(kind, type) and issubclass(kind, OpsError) else "failed"


def _last_line(executed: Path, stem: str) -> dict[str, Any]:
    """What `Run.finish` printed: the last line of the notebook's output that is JSON and names the runbook."""
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    for cell in reversed(cells):
        for output in reversed(cell.get("outputs", [])):
            for line in reversed("".join(output.get("text", "")).splitlines()):
                try:
                    said = json.loads(line)
                except ValueError:
                    continue
                if isinstance(said, dict) and said.get("runbook") == stem and said.get("outcome") in OUTCOMES:
                    del said["runbook"]
                    return said
    return {}


def _as_html(executed: Path) -> Path:
    """The executed notebook as a page that opens from a file and fetches nothing."""
    from nbconvert.exporters import HTMLExporter

    exporter: Any = HTMLExporter(  # type: ignore[no-untyped-call]
        mathjax_url="", require_js_url="", jquery_url="", mermaid_js_url=""
    )
    body, _ = exporter.from_filename(str(executed))
    html = executed.with_suffix(".html")
    html.write_text(body, encoding="utf-8")
    return html


def _own_folder(folder: Path, name: str) -> Path:
    for number in range(1, 10_000):
        own = folder / (name if number == 1 else f"{name}-{number}")
        try:
            own.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return own
    raise WorkspaceError("there is no free name for this run", subject=str(folder), fix="move older runs away.")


@contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Variables of this process that a kernel it starts inherits, for a while; None takes one away."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
