"""What a notebook calls: ``run = runbook.start("report_sync", workspace)`` first, ``run.finish(outcome)`` last.

- `session`  the first and the last call
- `steps`    one module a runbook: a method for each step in between
- `runner`   the same notebook without a person: parameters, papermill, the index of runs
- `library`  where notebooks and runbooks are, and what parameters a notebook takes
- `demo`     a customer on a sandbox of its own, with fixed data and a clock that stands still
"""

from __future__ import annotations

from typing import Any

__all__ = ["start"]


def start(stem: str, workspace: str = "demo") -> Any:
    """Open the workspace for a notebook; see `session.start`."""
    from ops_lib.runbook import session  # the command line imports this package for its names alone

    return session.start(stem, workspace)
