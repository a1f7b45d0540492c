"""How long from `syncops run report_sync` to its HTML, and with what: the command, the kernel, its imports, the work, the page.

A process of its own each time, on the demo's customer with three cycles behind it; its Exchange organisation runs in this process. The parts come from
the moments that the executed notebook keeps. Best of `TRIES`, after one that is not counted; prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from ops_lib.runbook import demo, story
from ops_lib.sync.mapping import instant_text

TRIES = 3
STEM = "report_sync"


def once(workspace: Path, now: str, user: str) -> dict[str, float]:
    """Seconds of one run, by part; ``total`` is what a person waits."""
    command = [
        sys.executable,
        "-m",
        "ops_lib.cli",
        "--workspace",
        str(workspace),
        "run",
        STEM,
        "-p",
        f"user={user}",
        "--json",
    ]
    began = time.time()
    done = subprocess.run(command, env={**os.environ, "SYNCOPS_NOW": now}, capture_output=True, text=True, check=True)
    ended = time.time()
    record = json.loads(done.stdout)
    notebook = json.loads((Path(record["folder"]) / record["notebook"]).read_text(encoding="utf-8"))
    kept = notebook["metadata"]["papermill"]
    cells = [cell["metadata"]["papermill"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    opening = next(place for place, cell in enumerate(cells) if _source(notebook, place).startswith("from ops_lib"))
    first = _moment(cells[0]["start_time"])
    parts = {
        "command and its imports": _moment(kept["start_time"]) - began,
        "kernel start": first - _moment(kept["start_time"]),
        "imports in the kernel, workspace opened": cells[opening]["duration"],
        "work": sum(cell["duration"] for cell in cells[opening + 1 :]),
        "page and index": ended - _moment(kept["end_time"]),
    }
    total = ended - began
    return {"total": total, **parts, "saving between cells, kernel end": total - sum(parts.values())}


def _source(notebook: dict[str, object], place: int) -> str:
    cells: list[dict[str, object]] = [each for each in notebook["cells"] if each["cell_type"] == "code"]  # type: ignore[attr-defined]
    return "".join(cells[place]["source"])  # type: ignore[arg-type]


def _moment(text: str) -> float:
    """Seconds since 1970; papermill writes UTC without saying so."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else datetime.fromisoformat(text + "+00:00")).timestamp()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        customer = demo.make(Path(folder) / "demo")
        user = story.monday_morning(customer)
        now = instant_text(customer.clock())
        runs = [once(customer.workspace.path, now, user) for _ in range(TRIES + 1)][1:]
        customer.close()
    best = min(runs, key=lambda run: run["total"])
    figures = {name: round(seconds, 2) for name, seconds in best.items()}
    start = best["kernel start"] + best["imports in the kernel, workspace opened"]
    print(
        json.dumps(
            {
                "runbook": STEM,
                **figures,
                "kernel start and imports": round(start, 2),
                "load": round(os.getloadavg()[0], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
