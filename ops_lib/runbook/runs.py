"""The index of runs: what was run, when it began and ended, how, and where its notebook and page are.

`runs/index.jsonl` is only ever added to: a line when a run begins and one when it ends, each the whole record; the last one counts. A run that began
and has no end *runs* for as long as its process holds on to a file in the run's folder; when nobody holds it any more, the process was killed
or the machine stopped, and the run is *failed* without anybody having had to write that down.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from ops_lib.errors import NotThere, WorkspaceError
from ops_lib.runbook.library import Value, nearest

INDEX = "index.jsonl"
RUNNING = "running"
WITHOUT_A_WORD = "it ended without a word: it was killed, or the machine stopped"

_HELD = ".running"
_INDEX_LOCK = ".index.lock"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run. ``outcome``: running, ok, findings, blocked or failed. Moments are ISO 8601 in UTC; paths are relative to the runs' folder.

    ``error`` is the class of an exception that nobody foresaw; ``step`` the heading of the step it stopped at; ``again_of`` the run that this one tries again; ``due`` the moment that a schedule had it
    for, and ``missed`` how many earlier ones went by unused; ``alert`` what became of telling somebody; ``sha256`` the digest of each file when it ended.
    """

    run: str
    runbook: str
    when: str
    outcome: str
    ended: str = ""
    seconds: float = 0.0
    parameters: dict[str, Value] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    error: str = ""
    step: str = ""
    notebook: str = ""
    html: str = ""
    report: str = ""
    again_of: str = ""
    due: str = ""
    missed: int = 0
    alert: str = ""
    sha256: dict[str, str] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether the runbook could do its work, whatever it found."""
        return self.outcome in ("ok", "findings")

    @property
    def files(self) -> dict[str, str]:
        """What can be opened, by what it is, relative to the runs' folder."""
        found = {"executed notebook": self.notebook, "page": self.html, "report": self.report}
        return {what: path for what, path in found.items() if path}


def records(folder: Path) -> list[RunRecord]:
    """The runs, the one that began last first. A line that was cut off by a crash is passed over."""
    found: dict[str, RunRecord] = {}
    for record in _lines(folder):
        found[record.run] = record
    return [_as_it_stands(folder, record) for record in reversed(found.values())]


def one(folder: Path, run: str) -> RunRecord:
    """The run of that name, or the last one for ``last``. **Raises** `NotThere`."""
    known = records(folder)
    if run == "last" and known:
        return known[0]
    for record in known:
        if record.run == run:
            return record
    names = [record.run for record in known]
    raise NotThere(f"there is no run {run}{nearest(run, names)}", fix="syncops runs lists them.")


def write(folder: Path, record: RunRecord) -> None:
    """Add a record to the index, whole, however many processes do so."""
    with hold(folder / _INDEX_LOCK, wait=True), _private(folder / INDEX).open("a", encoding="utf-8") as index:
        index.write(json.dumps(asdict(record)) + "\n")


def settle(folder: Path) -> list[RunRecord]:
    """Write down the end of the runs that ended without a word; these."""
    last = {record.run: record for record in _lines(folder)}
    dead = [
        standing
        for record in last.values()
        if record.outcome == RUNNING and (standing := _as_it_stands(folder, record)).outcome != RUNNING
    ]
    for record in dead:
        write(folder, record)
    return dead


@contextmanager
def held(own: Path) -> Iterator[None]:
    """Show that a run lives, for as long as this process does."""
    with hold(own / _HELD):
        yield
    (own / _HELD).unlink(missing_ok=True)


@contextmanager
def hold(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a file until this process lets go of it or ends. **Raises** `BlockingIOError` while another one does, unless it is to be waited for."""
    with _private(path).open("r+b") as file:
        _lock(file, wait=wait)
        yield


@contextmanager
def only_one(folder: Path, stem: str) -> Iterator[None]:
    """Keep others from running the same runbook here; the system lets go of it when the process dies. **Raises** `WorkspaceError`."""
    with ExitStack() as holding:
        try:
            holding.enter_context(hold(folder / f".{stem}.lock"))
        except BlockingIOError:
            running = [each.run for each in records(folder) if each.runbook == stem and each.outcome == RUNNING]
            raise WorkspaceError(
                "this runbook is running here already",
                subject=running[0] if running else stem,
                fix="wait for it to end; syncops runs shows how it did.",
            ) from None
        yield


def own_folder(folder: Path, name: str) -> Path:
    """A new folder for a run. **Raises** `WorkspaceError`."""
    for number in range(1, 10_000):
        own = folder / (name if number == 1 else f"{name}-{number}")
        try:
            own.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return own
    raise WorkspaceError("there is no free name for this run", subject=str(folder), fix="move older runs away.")


def seal(own: Path) -> dict[str, str]:
    """Make a run's files read-only, and return the SHA-256 of each by its name within the run."""
    found = {}
    for path in sorted(each for each in own.rglob("*") if each.is_file() and each.name != _HELD):
        found[str(path.relative_to(own))] = _digest(path)
        path.chmod(0o400)
    return found


def altered(folder: Path, record: RunRecord) -> list[str]:
    """The files of a run that are not as they were when it ended: changed or gone."""
    own = folder / record.run
    return [
        name
        for name, digest in record.sha256.items()
        if not (own / name).is_file() or _digest(own / name) != digest
    ]  # fmt: skip


def thin(folder: Path, stem: str, keep: int) -> list[str]:
    """Remove the folders of a runbook's oldest runs, so that ``keep`` are left; their lines stay in the index. The names of what was removed."""
    ended = [each for each in records(folder) if each.runbook == stem and each.outcome != RUNNING]
    removed = []
    for record in ended[keep:]:
        if (folder / record.run).is_dir():
            shutil.rmtree(folder / record.run)
            removed.append(record.run)
    return removed


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _lines(folder: Path) -> Iterator[RunRecord]:
    index = folder / INDEX
    for line in index.read_text(encoding="utf-8").splitlines() if index.exists() else []:
        try:
            yield RunRecord(**json.loads(line))
        except (ValueError, TypeError):
            continue


def _as_it_stands(folder: Path, record: RunRecord) -> RunRecord:
    """The record; of a run whose process is gone without a word, as failed."""
    if record.outcome != RUNNING:
        return record
    own = folder / record.run
    try:
        with (own / _HELD).open("r+b") as file:
            _lock(file)
    except BlockingIOError:
        return record
    except OSError:  # the file is gone with the run's folder, or between its last two steps
        last = [each for each in _lines(folder) if each.run == record.run][-1]
        if last.outcome != RUNNING:
            return last
    executed = own / f"{record.runbook}.ipynb"
    notebook = str(executed.relative_to(folder)) if executed.exists() else ""
    return replace(record, outcome="failed", message=WITHOUT_A_WORD, notebook=notebook)


def _private(path: Path) -> Path:
    path.touch(mode=0o600)
    return path


def _lock(file: BinaryIO, *, wait: bool = False) -> None:
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError as error:
            raise BlockingIOError(str(error)) from None
        return
    import fcntl

    fcntl.flock(file.fileno(), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
