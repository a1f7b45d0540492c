"""What a cycle costs in requests and bytes: a first one with 500 activities, one with nothing new, one with one edit.

Run: ``python benchmarks/bench_cycle.py``. Counts are exact; seconds are of this machine, the sandbox in the same process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ops_lib.database.engine import Database
from ops_lib.sandbox.server import Sandbox
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, at

ACTIVITIES = 500


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        sandbox.clock.set(NOW)
        desk = ServerDesk(Database(f"sqlite:///{folder}/bench.db"), sandbox=sandbox)
        ids = [desk.add(f"Tour {n}", at(n % 60, n % 20), notes="Bring the brochure. " * 10) for n in range(ACTIVITIES)]
        print(f"{'cycle':<28}{'requests':>9}{'KB sent':>9}{'KB received':>13}{'seconds':>9}")
        measure(desk, f"first, {ACTIVITIES} activities")
        measure(desk, "second, own writes come back")
        measure(desk, "nothing new")
        desk.edit(ids[0], description="Tour, edited")
        measure(desk, "one edit in the CRM")
        desk.edit(ids[1], notes="other notes")
        desk.remove(ids[2])
        desk.add("Tour, new", at(5, 8))
        measure(desk, "an edit, a removal, a new one")


def measure(desk: ServerDesk, name: str) -> None:
    desk.sandbox.requests.clear()
    began = time.perf_counter()
    desk.cycle()
    seconds = time.perf_counter() - began
    document = desk.sandbox.requests.document()
    print(
        f"{name:<28}{document['total']:>9}{document['bytes_in'] / 1024:>9.0f}{document['bytes_out'] / 1024:>13.0f}{seconds:>9.2f}"
    )


if __name__ == "__main__":
    main()
