"""A notebook's first and last call, and what the steps in between have in common.

The steps themselves are in `ops_lib.runbook.steps`, one module a runbook. What goes wrong in one and can be mended is shown as one short
message, without a traceback; anything else keeps its traceback, because then the fault is ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ops_lib.errors import InputError, NotThere, OpsError
from ops_lib.runbook.tables import make_sortable, widen_tables
from ops_lib.runbook.widgets import is_by_hand
from ops_lib.workspace import Workspace

if TYPE_CHECKING:
    from ops_lib.runbook.demo import Demo

Outcome = Literal["ok", "findings", "blocked", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "findings", "blocked", "failed")

RUN_FOLDER_VARIABLE = "SYNCOPS_RUN_FOLDER"
"""Where a run's files go; the runner sets it. Without it they go to the workspace's `reports/`."""

DEMO = "demo"


@dataclass(frozen=True)
class Opened:
    """What a notebook works on: a workspace, and for the demo the user whose calendar is worth looking at, and the demo itself."""

    workspace: Workspace
    user: str = ""
    demo: Demo | None = None


def start(stem: str, workspace: str = DEMO) -> Any:
    """Open the workspace for a notebook: ``demo`` a fresh one on a sandbox of its own, otherwise a folder (empty: as `SYNCOPS_WORKSPACE` says).

    Returns the runbook's `Steps`. The demo's sandbox and folder end with the kernel. **Raises** `NotThere`, `InputError`, `WorkspaceError`.
    """
    show_errors_briefly()
    widen_tables()
    if is_by_hand():
        make_sortable()
    steps = steps_of(stem)
    return steps(stem, steps.open(workspace))


def steps_of(stem: str) -> type[Run]:
    """The class that holds a runbook's steps. **Raises** `NotThere`."""
    name = f"{__package__}.steps.{stem}"
    if not stem.isidentifier() or find_spec(name) is None:
        raise NotThere(f"the runbook {stem} has no steps", fix="syncops run lists the runbooks there are.")
    steps: type[Run] = import_module(name).Steps
    return steps


@dataclass(frozen=True)
class Sentence:
    """Words to look at: shown as Markdown."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


class Run:
    """One run of one notebook on one workspace. A runbook's `Steps` add a method for each step, `figures` and, as a rule, `outcome`."""

    def __init__(self, stem: str, opened: Opened) -> None:
        self.stem = stem
        self.opened = opened
        self.workspace = opened.workspace
        given = os.environ.get(RUN_FOLDER_VARIABLE)
        self.folder = Path(given) if given else self.workspace.path / "reports" / stem

    def __repr__(self) -> str:
        return f"Run({self.stem!r})"

    @classmethod
    def open(cls, workspace: str) -> Opened:
        """What the notebook's ``workspace`` parameter means. **Raises** `InputError`, `WorkspaceError`."""
        if workspace.startswith("cassette:"):
            return cls.open_cassette(workspace)
        return cls.open_demo() if workspace == DEMO else Opened(Workspace.open(workspace or None))

    @classmethod
    def open_demo(cls) -> Opened:
        """The made-up customer on a Monday morning; a runbook that needs another one overrides this."""
        from ops_lib.runbook.demo import for_notebook

        return Opened(*for_notebook())

    @classmethod
    def open_cassette(cls, workspace: str) -> Opened:
        """Recorded traffic; a runbook that can be run on it overrides this."""
        raise InputError(
            "recorded traffic cannot be replayed by this runbook",
            subject=workspace,
            fix='set workspace to "demo" or to a workspace\'s folder.',
        )

    def figures(self) -> dict[str, Any]:
        """What the last line says beside the outcome: numbers and names that are the same on every machine, nothing secret; ``message``: why it is blocked."""
        return {}

    def finish(self, outcome: str) -> None:
        """Say how the run ended, as one line of JSON: the same on every machine and at any time. **Raises** `InputError`."""
        if outcome not in OUTCOMES:
            raise InputError(f"{outcome} is no outcome", subject=self.stem, fix=f"use one of {', '.join(OUTCOMES)}.")
        print(json.dumps({"runbook": self.stem, "outcome": outcome, **self.figures()}))  # noqa: T201  the contract with the runner


def day_of(text: str) -> date:
    """The day a person wrote. **Raises** `InputError`."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text} is no day", subject="week_of", fix="write it as 2026-11-23.") from None


def show_errors_briefly(shell: Any = None) -> None:
    """In a notebook: show an `OpsError` as its message alone, which says what to do; its traceback says nothing to who runs it."""
    if shell is None:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
    if shell is None:
        return

    def brief(
        shell: Any, kind: type[BaseException], error: BaseException, _trace: Any, tb_offset: int | None = None
    ) -> list[str]:
        lines = [f"{kind.__name__}: {error}"]
        show: Callable[..., None] = shell._showtraceback
        show(kind, error, lines)
        return lines

    shell.set_custom_exc((OpsError,), brief)
