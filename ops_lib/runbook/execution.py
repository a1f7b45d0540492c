"""One execution of a notebook through papermill: parameters in, the executed notebook and its page out, and what stopped it.

A run has a time limit as a whole, and can be told to stop: then its kernel is ended with everything that the kernel started, and the notebook
stays as far as it came.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ops_lib import errors
from ops_lib.errors import OpsError
from ops_lib.runbook.library import Value
from ops_lib.runbook.session import OUTCOMES


@dataclass(frozen=True, slots=True)
class Stop:
    """What stopped a notebook: the error's name (empty where it was ended from outside), its message, and the heading of the step."""

    name: str
    message: str
    step: str = ""

    @property
    def is_foreseen(self) -> bool:
        """Whether the message is one of ours, made to be read by anybody."""
        return not self.name or self.outcome == "blocked"

    @property
    def outcome(self) -> str:
        """``blocked`` where something outside stood in the way that a person can mend; ``failed`` where the fault is ours or it was ended."""
        kind = getattr(errors, self.name or "-", None)
        return "blocked" if isinstance(kind, type) and issubclass(kind, OpsError) else "failed"


class Ending:
    """Ends a kernel when the time is up or the process is asked to stop, and knows why."""

    def __init__(self, limit_seconds: float) -> None:
        self.why = ""
        self.limit_seconds = limit_seconds
        self._process: Any = None
        self._lock = threading.Lock()

    def started(self, provisioner: Any) -> None:
        """A kernel runs; if the end was called for meanwhile, it is ended at once."""
        with self._lock:
            self._process = provisioner
            if self.why:
                self._kill()

    def end(self, why: str) -> None:
        """End the kernel, now or as soon as there is one; the first reason counts."""
        with self._lock:
            self.why = self.why or why
            self._kill()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep the time, and take SIGTERM and Ctrl-C as a wish to stop, for a while."""
        timer = threading.Timer(
            self.limit_seconds, self.end, (f"it took longer than {_span(self.limit_seconds)}, and was ended",)
        )
        timer.daemon = True
        timer.start()
        before = {}
        if threading.current_thread() is threading.main_thread():
            before = {each: signal.signal(each, self._asked) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            timer.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        # In a thread of its own: a signal may come while this thread holds the lock.
        why = f"it was stopped ({signal.Signals(number).name})"
        threading.Thread(target=self.end, args=(why,), daemon=True).start()

    def _kill(self) -> None:
        pid = getattr(self._process, "pid", None)
        if pid is None:
            return
        with suppress(OSError):  # it ended by itself meanwhile
            if hasattr(os, "killpg") and os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGTERM)


def execute(
    source: Path,
    target: Path,
    values: Mapping[str, Value],
    ending: Ending,
    *,
    show_progress: bool = False,
    preface: str = "",
) -> Stop | None:
    """Run a notebook with its parameters, saved after each cell; what stopped it, or None. ``preface`` is put above it, as Markdown."""
    import nbformat
    from jupyter_client.manager import AsyncKernelManager
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook
    from traitlets.config import Config

    class Kernel(AsyncKernelManager):
        """The usual kernel; whoever may have to end it is told when it runs."""

        async def _async_post_start_kernel(self, **named: Any) -> None:
            await super()._async_post_start_kernel(**named)
            ending.started(self.provisioner)

        post_start_kernel = _async_post_start_kernel

    logging.getLogger("papermill").addHandler(logging.NullHandler())  # what it would say on stderr is in the record
    notebook = nbformat.read(str(source), as_version=4)  # type: ignore[no-untyped-call]
    if preface:
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(preface))  # type: ignore[no-untyped-call]
    try:
        with ending.watching():
            for is_last in (False, True):
                try:
                    execute_notebook(
                        notebook,
                        str(target),
                        parameters=dict(values),
                        kernel_name="python3",
                        progress_bar=show_progress,
                        kernel_manager_class=Kernel,
                        config=Config(
                            {"KernelManager": {"transport_encryption": "auto"}}
                        ),  # else kernels warn of plain TCP
                    )
                    break
                except RuntimeError as error:
                    # A kernel that did not come up (another process was given its port) has run no cell: it may be begun once more.
                    if is_last or ending.why or isinstance(error, DeadKernelError) or _has_begun(target):
                        raise
    except PapermillExecutionError as error:
        stop = Stop(error.ename, " ".join(str(error.evalue).split()), stopped_at(target))
    except (DeadKernelError, RuntimeError) as error:
        if not (ending.why or isinstance(error, DeadKernelError)):
            raise
        stop = Stop("DeadKernelError", str(error).strip().partition("\n")[0], stopped_at(target))
    else:
        return None
    return Stop("", ending.why, stop.step) if ending.why else stop


def stopped_at(executed: Path) -> str:
    """The heading above the last cell that was begun."""
    heading, reached = "", ""
    for cell in _cells(executed):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = text.partition("\n")[0].removeprefix("## ") if text.startswith("## ") else heading
        elif cell["metadata"].get("papermill", {}).get("status") in ("running", "completed", "failed"):
            reached = heading
    return reached


def _has_begun(executed: Path) -> bool:
    """Whether any cell was begun."""
    return any(
        each["metadata"].get("papermill", {}).get("status") in ("running", "completed", "failed")
        for each in _cells(executed)
        if each["cell_type"] == "code"
    )


def last_line(executed: Path, stem: str) -> dict[str, Any]:
    """What `Run.finish` printed: the last line of the notebook's output that is JSON and names the runbook."""
    for cell in reversed(_cells(executed)):
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


def as_html(executed: Path) -> Path:
    """The executed notebook as a page that opens from a file and fetches nothing."""
    from nbconvert.exporters import HTMLExporter

    exporter: Any = HTMLExporter(  # type: ignore[no-untyped-call]
        mathjax_url="", require_js_url="", jquery_url="", mermaid_js_url=""
    )
    body, _ = exporter.from_filename(str(executed))
    html = executed.with_suffix(".html")
    html.write_text(body, encoding="utf-8")
    return html


def _cells(executed: Path) -> list[dict[str, Any]]:
    if not executed.exists():
        return []
    cells: list[dict[str, Any]] = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    return cells


def _span(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"
