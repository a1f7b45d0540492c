"""What reading a mailbox costs us against the least it could cost, on the same bytes from the same server.

Ours: `EwsMailbox.changes` and `read` (sign-in, envelope, retries, classification, `Item` values). The bare loop: `requests` and `lxml.fromstring`,
each item a dict of its elements' texts, no error looked at. Both ask the sandbox, which runs in a process of its own, for the same 500 events
with the same request bodies: SyncFolderItems, then GetItem in batches of 50 with a body of 1 KB each.

CPU is this process' alone (best of the rounds); the wall clock includes the server's work, which is the same for both.

    python benchmarks/bench_reading.py [--items 500] [--rounds 7]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import requests as http
from lxml import etree

from ops_lib.mailbox import ItemContent, Mailbox, open_mailbox
from ops_lib.mailbox.ews import requests
from ops_lib.model import Account, Host, Item, Kind, Timed

_SERVE = "from ops_lib.sandbox.server import Sandbox; Sandbox().serve(end_with_parent=True)"
_TYPES = f"{{{requests.TYPES}}}"


@contextmanager
def sandbox() -> Iterator[dict[str, Any]]:
    """A sandbox in a process of its own: what it says of itself."""
    with subprocess.Popen([sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def open_first(served: dict[str, Any]) -> Mailbox:
    """The first user's mailbox, through the service account."""
    address, service = served["users"][0]["email"], served["service"]
    host = Host(
        host_id="h",
        name="sandbox",
        url=served["ews_url"],
        auth="basic",
        access="impersonation",
        service_user=service["email"],
        secret="s",
    )
    account = Account(
        account_id="a", host_id="h", user_id="u", user_email=address, mailbox=address, time_zone="America/New_York"
    )
    return open_mailbox(host, account, lambda reference: service["password"])


def fill(mailbox: Mailbox, count: int) -> None:
    """Events of an hour, one after the other, with a body of 1 KB."""
    first = datetime(2026, 11, 23, 14, tzinfo=UTC)
    contents = [
        ItemContent(
            subject=f"Tour {number}",
            when=Timed(first + timedelta(hours=number), first + timedelta(hours=number + 1)),
            location="Front desk",
            body_html=f"<p>{'x' * 1000}</p>",
            stamp=f"key-{number}",
            time_zone="America/New_York",
        )
        for number in range(count)
    ]
    for start in range(0, count, requests.BATCH_SIZE):
        mailbox.create(Kind.EVENT, contents[start : start + requests.BATCH_SIZE])


def read_with_mailbox(mailbox: Mailbox) -> int:
    """List and read everything as the cycle would."""
    changes = mailbox.changes(Kind.EVENT)
    outcomes = mailbox.read(Kind.EVENT, [item.item_id for item in changes.items])
    return sum(isinstance(outcome, Item) for outcome in outcomes)


def bare_reader(served: dict[str, Any]) -> Callable[[], int]:
    """List and read everything with nothing but an HTTP session and a parser."""
    address, service = served["users"][0]["email"], served["service"]
    session = http.Session()
    session.trust_env = False
    session.auth = (service["email"], service["password"])
    session.headers["Content-Type"] = "text/xml; charset=utf-8"

    def post(payload: Any) -> Any:
        envelope = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            f'xmlns:t="{requests.TYPES}"><s:Header><t:RequestServerVersion Version="Exchange2016"/><t:ExchangeImpersonation>'
            f"<t:ConnectingSID><t:PrimarySmtpAddress>{address}</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>"
            f"</s:Header><s:Body>{etree.tostring(payload, encoding=str)}</s:Body></s:Envelope>"
        )
        return etree.fromstring(session.post(served["ews_url"], data=envelope.encode()).content)

    def dicts(root: Any) -> list[dict[str, Any]]:
        return [
            {part.tag: part.get("Id") or part.text for part in element}
            for element in root.iter(f"{_TYPES}CalendarItem")
        ]

    def read() -> int:
        state, ids, is_last = "", [], False
        while not is_last:
            root = post(requests.sync_folder_items(Kind.EVENT, address, state))
            ids += [item[f"{_TYPES}ItemId"] for item in dicts(root)]
            state = root.findtext(f".//{{{requests.MESSAGES}}}SyncState")
            is_last = root.findtext(f".//{{{requests.MESSAGES}}}IncludesLastItemInRange") == "true"
        found = 0
        for start in range(0, len(ids), requests.BATCH_SIZE):
            found += len(dicts(post(requests.get_items(Kind.EVENT, ids[start : start + requests.BATCH_SIZE]))))
        return found

    return read


def measure(read: Callable[[], int], count: int, rounds: int) -> tuple[float, float]:
    """CPU and wall seconds of the best round, after one that warms up."""
    best_cpu = best_wall = float("inf")
    for _ in range(rounds + 1):
        cpu, wall = time.process_time(), time.perf_counter()
        found = read()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if found != count:
            raise SystemExit(f"read {found} of {count} items")
        best_cpu, best_wall = min(best_cpu, cpu), min(best_wall, wall)
    return best_cpu, best_wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with sandbox() as served:
        mailbox = open_first(served)
        fill(mailbox, options.items)
        before = mailbox.bytes_received
        read_with_mailbox(mailbox)
        received = mailbox.bytes_received - before
        ours = measure(lambda: read_with_mailbox(mailbox), options.items, options.rounds)
        bare = measure(bare_reader(served), options.items, options.rounds)
    print(f"{options.items} events listed and read with bodies, {received / 1e6:.2f} MB of answers")
    print(f"{'':12}{'items/s of CPU':>16}{'CPU µs/item':>14}{'items/s (wall)':>16}")
    for name, (cpu, wall) in {"EwsMailbox": ours, "bare loop": bare}.items():
        print(f"{name:12}{options.items / cpu:16,.0f}{cpu / options.items * 1e6:14.0f}{options.items / wall:16,.0f}")
    print(f"ratio: {ours[0] / bare[0]:.2f} of the bare loop's CPU, {ours[1] / bare[1]:.2f} of its time")


if __name__ == "__main__":
    main()
