"""`syncops watch`: changes on either side lead to a cycle within seconds, until it is stopped."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, say
from ops_lib.cli.sync import AccountOption, HostOption, chosen_accounts

if TYPE_CHECKING:
    from ops_lib.sync.cycle import CycleResult
    from ops_lib.sync.watch import Watch


def watch(
    account: AccountOption = None,
    host: HostOption = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="How many cycles at a time.")] = 4,
    ask_seconds: Annotated[
        float, typer.Option(min=5, help="How often mailboxes are asked whose server does not tell of changes.")
    ] = 120,
    again_minutes: Annotated[
        float, typer.Option(min=1, max=44, help="How often each account has a cycle whatever is heard of it.")
    ] = 30,
    as_json: JsonOption = False,
) -> None:
    """Keep the accounts in step as changes happen, until Ctrl-C or SIGTERM; a second one ends it at once.

    With --json each cycle that did something or failed is one JSON document on a line of its own.
    """
    from ops_lib.sync.watch import Watch

    with open_workspace() as workspace:
        accounts = chosen_accounts(workspace, account, host)
        found = Watch(
            workspace,
            accounts,
            threads=threads,
            ask_seconds=ask_seconds,
            again_seconds=again_minutes * 60,
            tell=_teller(as_json),
            say=say,
        )
        say(f"watching {len(accounts)} accounts; Ctrl-C ends it")
        with _stopped_by_signals(found), _shown(found):
            found.run()
        standing = found.standing()
        say(f"{standing.cycles} cycles, {standing.failed} failed, {standing.requests} requests")


def _teller(as_json: bool) -> Callable[[CycleResult], None]:
    import json

    from ops_lib.cli.sync import result_as_json

    lock = threading.Lock()

    def tell(result: CycleResult) -> None:
        done = _done(result)
        if not done and result.outcome in ("ok", "busy", "off"):
            return
        with lock:
            if as_json:
                print(json.dumps(result_as_json(result)), flush=True)  # noqa: T201
                return
            moment = f"{datetime.now(UTC):%H:%M:%S}"
            words = done or f"{result.outcome}: {result.error}"
            print(f"{moment}  {result.account.mailbox}  {words}", flush=True)  # noqa: T201

    return tell


def _done(result: CycleResult) -> str:
    """What a cycle did, in words; empty where it did nothing."""
    counts: dict[str, Any] = result.counts()
    sides = {"crm": "in the CRM", "exchange": "in Outlook"}
    words = [
        f"{counts[what][side]} {what} {where}"
        for what in ("created", "updated", "deleted")
        for side, where in sides.items()
        if counts[what][side]
    ]
    return ", ".join([*words, *([f"{counts['failed']} failed"] if counts["failed"] else [])])


@contextmanager
def _stopped_by_signals(found: Watch) -> Iterator[None]:
    """The first signal stops the watch, a second one the process."""
    before: dict[int, Any] = {}

    def stop(number: int, _frame: object) -> None:
        say("ending: cycles that have begun are finished")
        for each, handler in before.items():
            signal.signal(each, handler)
        found.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _shown(found: Watch) -> Iterator[None]:
    """One line at the bottom of a terminal: how the watch stands."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    ended = threading.Event()
    console = Console(stderr=True)

    def show() -> None:
        with console.status("") as status:
            while not ended.wait(1.0):
                now = found.standing()
                status.update(
                    f"{now.told} of {now.accounts} mailboxes tell of changes over {now.lines} connections; "
                    f"{now.waiting} wait; {now.cycles} cycles, {now.failed} failed, {now.requests} requests"
                )

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(2)
