"""How the cost of a cycle grows with the mailbox: 500, 5,000, 50,000 items, and as many activities in the CRM.

Of the items one in a hundred is a weekly series, half of the others lie in the window and half before it; a third have a body of 1 KB. Half of
the activities are to come (the first cycle makes them in Outlook), half are over for longer than they are kept in step. The sandbox serves from
a process of its own; what is measured is a process that does nothing but cycles. Both may be held to one core.

    python benchmarks/bench_growth.py [--sizes 500 5000 50000] [--like grommunio] [--one-core]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from ops_lib.crm import ActivityContent
from ops_lib.crm.store import SqlCrm
from ops_lib.database.engine import Database
from ops_lib.mailbox import ItemContent, ItemUpdate, Mailbox, open_mailbox
from ops_lib.model import Host, Item, Kind, Origin, Timed
from tests.sync.desk import NOW, Desk

SIZES = (500, 5_000, 50_000)
ALICE, SERVICE = "alice@example.test", "svc@example.test"
HOUR = timedelta(hours=1)


# ── the sandbox's process ────────────────────────────────────────────────────────────────────────────────────────────
def serve(items: int, like: str) -> None:
    """Serve alice's mailbox with so many items until the parent ends."""
    from ops_lib.sandbox.recurrence import NoEnd, Recurrence, Weekly
    from ops_lib.sandbox.server import Sandbox
    from ops_lib.sandbox.values import Body

    sandbox = Sandbox(like=like, now=lambda: NOW)
    create = sandbox.organisation.create_item
    today = NOW.replace(hour=0)
    for number in range(items):
        is_series, is_coming = number % 100 == 0, number % 2 == 1
        start = today + (1 if is_coming else -1) * timedelta(days=3 + number % 80, minutes=number % 1300)
        values = {
            "item:Subject": f"Event {number}",
            "calendar:Start": start,
            "calendar:End": start + HOUR,
            "calendar:Location": "Front desk",
        }
        if number % 3 == 0:
            values["item:Body"] = Body("<p>Bring the brochure, the keys and the menu.</p>" * 20, is_html=True)
        if is_series:
            values["calendar:Recurrence"] = Recurrence(Weekly(1, (f"{start:%A}",)), NoEnd(start.date()))
        create(ALICE, "calendar", values)
    sandbox.serve(end_with_parent=True)


@contextmanager
def sandbox(items: int, like: str) -> Iterator[tuple[dict[str, Any], psutil.Process]]:
    """A sandbox in a process of its own: what it says of itself, and the process."""
    command = [sys.executable, __file__, "--serve", str(items), "--like", like]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline()), psutil.Process(process.pid)
        finally:
            process.terminate()


# ── the measured process ─────────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class ServedDesk(Desk):
    """Alice's account on a sandbox that another process serves."""

    served: dict[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> Host:
        return replace(super().host, url=self.served["ews_url"], service_user=SERVICE, secret="env:UNUSED")

    def mailbox(self) -> Mailbox:
        return open_mailbox(self.host, self.account, lambda reference: self.served["service"]["password"])

    def add_many(self, count: int) -> None:
        """Activities: half in the weeks to come, half over for longer than they are kept in step; in one transaction."""
        with self.database.begin() as connection:
            crm = SqlCrm(connection, self.now)
            for number in range(count):
                days = 1 + number % 60 if number % 2 else -100 - number % 300
                start = NOW.replace(hour=0) + timedelta(days=days, minutes=number % 1300)
                content = ActivityContent(
                    type_id=self.ids["Tour"],
                    description=f"Tour {number}",
                    when=Timed(start, start + HOUR),
                    notes="Bring the brochure. " * 5,
                )
                crm.create("1", content, origin=Origin.CRM, key=f"many-{number}")


def measure(items: int, like: str) -> None:
    """Print, as one JSON document, what the cycles cost at this size."""
    with tempfile.TemporaryDirectory() as folder, sandbox(items, like) as (served, process):
        desk = ServedDesk(Database(f"sqlite:///{folder}/bench.db"), served=served)
        desk.add_many(items)
        rows = [{"cycle": "before", "memory": peak_memory()}]

        def cycle(name: str) -> None:
            cpu, served_cpu, wall = time.process_time(), sum(process.cpu_times()[:2]), time.perf_counter()
            result = desk.cycle()
            if result.error is not None:
                raise SystemExit(f"the cycle failed: {result.error}")
            rows.append(
                {
                    "cycle": name,
                    "cpu": time.process_time() - cpu,
                    "served_cpu": sum(process.cpu_times()[:2]) - served_cpu,
                    "wall": time.perf_counter() - wall,
                    "memory": peak_memory(),
                    "requests": result.requests,
                    "received": result.bytes_received,
                    "written": sum(change.writes for change in result.changes),
                    "links": result.links,
                }
            )

        cycle("first")
        cycle("own writes come back")
        cycle("no change")
        links = desk.links()
        made_here = next(link for link in links if link.origin is Origin.CRM)
        single = next(link for link in links if link.origin is Origin.EXCHANGE and link.original_start is None)
        occurrence = next(link for link in links if link.original_start is not None)
        desk.edit(made_here.activity_id, description="Edited in the CRM")
        cycle("one edit in the CRM")
        edit_in_outlook(desk, single.item_id)
        cycle("one edit in Outlook")
        edit_in_outlook(desk, occurrence.item_id)
        cycle("one occurrence edited")
        desk.database.close()
    print(json.dumps(rows))


def edit_in_outlook(desk: ServedDesk, item_id: str) -> None:
    mailbox = desk.mailbox()
    item = mailbox.read(Kind.EVENT, [item_id])[0]
    assert isinstance(item, Item)
    content = ItemContent(subject="Edited in Outlook")
    (outcome,) = mailbox.update([ItemUpdate(item.item_id, item.change_key, Kind.EVENT, content)])
    assert not isinstance(outcome, Exception), outcome


def peak_memory() -> float:
    """The most that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ── the figures ──────────────────────────────────────────────────────────────────────────────────────────────────────
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--like", default="exchange", choices=("exchange", "grommunio"))
    parser.add_argument("--one-core", action="store_true", help="hold both processes to one core")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve, options.like)
        return
    if options.measure is not None:
        measure(options.measure, options.like)
        return
    if options.one_core:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for size in options.sizes:
        command = [sys.executable, __file__, "--measure", str(size), "--like", options.like]
        rows = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        print(f"\n{size:,} items, {size:,} activities; {rows[0]['memory']:.0f} MB before the first cycle")
        print(
            f"{'cycle':<24}{'CPU s':>8}{'server s':>10}{'wall s':>8}{'peak MB':>9}"
            f"{'requests':>10}{'MB received':>13}{'written':>9}{'links':>8}"
        )
        for row in rows[1:]:
            print(
                f"{row['cycle']:<24}{row['cpu']:>8.2f}{row['served_cpu']:>10.2f}{row['wall']:>8.2f}{row['memory']:>9.0f}"
                f"{row['requests']:>10}{row['received'] / 1e6:>13.3f}{row['written']:>9}{row['links']:>8}"
            )


if __name__ == "__main__":
    main()
