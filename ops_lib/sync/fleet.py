"""Many accounts: who is due, one worker per account at a time, threads on one machine, and what a cycle means for the account's status."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from traceback import extract_tb

from sqlalchemy import Connection

from ops_lib.access.hosts import Hosts
from ops_lib.diagnosis.statuses import NOT_ENABLED, NOT_SYNCING, SYNCING, UNATTEMPTED, is_permanent, status_of
from ops_lib.errors import Defect, LeaseHeld, MailboxError, OpsError, ServerBusy, SignInRefused, TooManyDeletions
from ops_lib.mailbox import Mailbox
from ops_lib.model import Account, Host
from ops_lib.sync.cycle import Cycle, CycleResult, Options
from ops_lib.sync.evidence import record_attempts
from ops_lib.sync.leases import Leases, kept, this_worker
from ops_lib.sync.ledger import Ledger, Status
from ops_lib.sync.news import Remembered
from ops_lib.sync.pauses import Pause, Pauses, is_over, keys_of
from ops_lib.sync.turns import Turns, work_off
from ops_lib.workspace import Workspace

LEASE_SECONDS = 600.0
"""A worker that has not been heard of for so long has lost the account; one of this machine that died loses it at once."""

TRIES = 4
"""A failing process is tried so often before its status is set (T2); what trying cannot mend sets it at once."""

Progress = Callable[[CycleResult], None]
MailboxFactory = Callable[[Host, Account], Mailbox]


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run over accounts. ``run_id`` is None for a dry run, which leaves no trace."""

    run_id: int | None
    results: list[CycleResult]

    @property
    def all_well(self) -> bool:
        return all(result.outcome in {"ok", "off"} for result in self.results)


class Fleet:
    """Runs cycles for the accounts of one workspace."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        mailboxes: MailboxFactory | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._workspace = workspace
        self._database = workspace.database
        self._mailboxes = mailboxes or self._open
        self._sleep = sleep
        self._hosts: dict[str, Host] = {}

    def run(
        self,
        accounts: Sequence[Account],
        options: Options | None = None,
        *,
        threads: int = 1,
        progress: Progress = lambda result: None,
    ) -> RunResult:
        """One cycle for each account, in ``threads`` threads; results in the accounts' order. One account's failure stops no other, except those
        that share what failed: a refused sign-in, a server that does not answer (`turns`)."""
        options = options or Options()
        now = self._workspace.now()
        with self._database.read() as connection:
            self._hosts = {host.host_id: host for host in Hosts(connection).all()}
            keys = {key for account in accounts for key in keys_of(self._hosts[account.host_id], account).values()}
            pauses = Pauses(connection).all(keys)
            turns = Turns(accounts, self._hosts, pauses, Ledger(connection).last_successes("calendar"))
        run_id = None
        if not options.dry_run:
            with self._database.begin() as connection:
                run_id = Ledger(connection).begin_run("sync", now)
        results: dict[int, CycleResult] = {}
        is_well = False

        def one(place: int) -> None:
            results[place] = self._one(accounts[place], options, run_id, turns, place, pauses)
            progress(results[place])

        try:
            if threads <= 1:
                work_off(turns, one)
            else:
                with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="cycle") as pool:
                    workers = [pool.submit(work_off, turns, one) for _ in range(threads)]
                    try:
                        for worker in workers:
                            worker.result()
                    finally:  # whoever interrupts it does not wait for accounts that have not begun
                        turns.stop()
            run = RunResult(run_id, [results[place] for place in range(len(accounts))])
            is_well = run.all_well
            return run
        finally:  # also of a run that somebody stopped: it is not running any more
            if run_id is not None:
                with self._database.begin() as connection:
                    Ledger(connection).end_run(run_id, self._workspace.now(), "ok" if is_well else "failed")

    def _one(
        self,
        account: Account,
        options: Options,
        run_id: int | None,
        turns: Turns,
        place: int,
        pauses: Mapping[str, Pause],
    ) -> CycleResult:
        now, began = self._workspace.now(), time.monotonic()
        result: CycleResult | None = None
        try:
            result = _unasked(account, self._hosts[account.host_id], turns.verdict(place), pauses, now)
            if result is None:
                pause = turns.pause_seconds(place)
                if pause:
                    self._sleep(pause)
                result = self._attempt(account, options, now, run_id, began)
        except Exception as error:  # noqa: BLE001  whatever it is, it is this account's and no other's
            result = CycleResult(account=account, outcome="failed", error=_told(error, account))
        finally:
            was_answered = result is not None and result.requests > 0 and result.outcome in {"ok", "blocked"}
            asked = result is not None and result.outcome == "failed" and turns.verdict(place) is None
            news = turns.done(place, result.error if result and asked else None, was_answered=was_answered)
        result.seconds = time.monotonic() - began
        if run_id is not None:
            try:
                self._record(run_id, result, now, news)
            except Exception as error:  # noqa: BLE001  what is not recorded is not well
                result.outcome, result.error = "failed", _told(error, account)
        return result

    def _attempt(
        self, account: Account, options: Options, now: datetime, run_id: int | None, began: float
    ) -> CycleResult:
        """A cycle under the account's lease. One that ends well and has nothing to write takes two transactions that write, the second with all that
        is to be recorded of it, and one that reads."""
        host = self._hosts[account.host_id]
        worker = this_worker()
        with self._database.begin() as connection:
            if not Leases(connection).take(account.account_id, worker, LEASE_SECONDS):
                error = LeaseHeld(
                    "another worker is at this account", subject=account.mailbox, fix="wait for it to finish."
                )
                return CycleResult(account=account, outcome="busy", error=error)
            remembered = Remembered.of(Ledger(connection), account.account_id)
        mailbox: Mailbox | None = None
        opened = self._workspace.now()

        def told(result: CycleResult) -> CycleResult:
            """What its mailbox tells, too."""
            if mailbox is not None:
                result.requests, result.bytes_received = mailbox.requests, mailbox.bytes_received
                result.attempts, result.opened_at = list(mailbox.attempts), opened
            return result

        def end(connection: Connection, result: CycleResult) -> None:
            result.seconds = time.monotonic() - began
            if run_id is not None:
                _write_down(connection, run_id, told(result), now)
            Leases(connection).release(account.account_id, worker)

        result: CycleResult | None = None
        try:
            mailbox = self._mailboxes(host, account)
            cycle = Cycle(
                database=self._database,
                host=host,
                account=account,
                mailbox=mailbox,
                now=now,
                crm_url=self._workspace.settings.crm_url,
                options=options,
                remembered=remembered,
                ending=end,
                between_batches=lambda: self._keep(account, worker),
                still_ours=lambda connection: _hold(connection, account, worker),
                sleep=self._sleep,
            )
            with kept(self._database, account.account_id, worker, LEASE_SECONDS):
                result = cycle.run()
            self._workspace.access.note(host, account, None)
        except TooManyDeletions as error:
            result = CycleResult(account=account, outcome="blocked", error=error)
        except (
            LeaseHeld
        ) as error:  # it slept so long that another took the account over, who finishes what this one began
            result = CycleResult(account=account, outcome="busy", error=error)
        except OpsError as error:
            if isinstance(error, SignInRefused):
                self._workspace.access.note(host, account, error)
            result = CycleResult(account=account, outcome="failed", error=error)
        except Exception as error:  # noqa: BLE001  as above; its requests are counted
            result = CycleResult(account=account, outcome="failed", error=_told(error, account))
        finally:
            if result is None or not result.is_recorded:
                with suppress(OpsError), self._database.begin() as connection:
                    Leases(connection).release(account.account_id, worker)
        return told(result)

    def _keep(self, account: Account, worker: str) -> None:
        """Hold on to the lease between batches; whoever lost it writes nothing more."""
        with self._database.begin() as connection:
            _hold(connection, account, worker)

    def _open(self, host: Host, account: Account) -> Mailbox:
        return self._workspace.open_mailbox(host, account)

    def _record(
        self, run_id: int, result: CycleResult, now: datetime, news: Sequence[tuple[str, OpsError | None]]
    ) -> None:
        if result.is_recorded and not news:
            return
        with self._database.begin() as connection:
            pauses = Pauses(connection)
            for key, failure in news:
                if failure is not None:
                    pauses.begin(key, result.account, failure, now)
            pauses.end([key for key, failure in news if failure is None])
            if not result.is_recorded:
                _write_down(connection, run_id, result, now)


def _write_down(connection: Connection, run_id: int, result: CycleResult, now: datetime) -> None:
    """What the account's cycle means for its status, what it did, and the requests worth keeping."""
    account, error, ledger = result.account, result.error, Ledger(connection)
    status = next_status(ledger.status(account.account_id, "calendar"), result, now)
    if result.outcome not in {"busy", "waiting"}:  # the status is for the worker to say that has the account
        ledger.set_status(status)
    ledger.record_account(
        run_id,
        account.account_id,
        started_at=now,
        outcome=result.outcome,
        counts=result.counts(),
        requests=result.requests,
        seconds=result.seconds,
        status=status.status,
        response_code=error.response_code if error is not None else "",
        message=str(error) if error is not None else "; ".join(result.notes),
    )
    ledger.record_items(run_id, account.account_id, result.outcomes, now)
    record_attempts(connection, run_id, account.account_id, result.attempts, result.opened_at or now)


def _hold(connection: Connection, account: Account, worker: str) -> None:
    """Hold on to the lease for as long as this transaction lasts; whoever lost it writes nothing more, not even what it had done last."""
    if not Leases(connection).keep(account.account_id, worker, LEASE_SECONDS):
        raise LeaseHeld("another worker took the account over", subject=account.mailbox)


def _told(error: Exception, account: Account) -> OpsError:
    """An exception as the account's error. One that nobody foresaw is told by its class and place alone: its words may hold what people wrote."""
    if isinstance(error, OpsError):
        return error
    places = [frame for frame in extract_tb(error.__traceback__) if "ops_lib" in Path(frame.filename).parts]
    place = f" in {Path(places[-1].filename).name}, line {places[-1].lineno}" if places else ""
    return Defect(
        f"the cycle ended in {type(error).__name__}{place}, a fault of syncops",
        subject=account.mailbox,
        fix="report it with these words; the next cycle tries again, and nothing is made twice.",
    )


def _unasked(
    account: Account, host: Host, verdict: OpsError | None, pauses: Mapping[str, Pause], now: datetime
) -> CycleResult | None:
    """The result of an account that the server need not be asked about, or may not be yet; None where it is to be asked."""
    if not account.calendar:
        return CycleResult(account=account, outcome="off")
    if verdict is not None:  # the same password is never tried twice in a run: that locks service accounts
        return CycleResult(account=account, outcome="failed", error=verdict)
    standing = [pauses[key] for key in keys_of(host, account).values() if key in pauses]
    pause = max((each for each in standing if not is_over(each, now)), key=lambda each: each.until, default=None)
    if pause is None:
        return None
    error = ServerBusy(
        f"not asked: the server wants a pause until {pause.until:%Y-%m-%d %H:%M:%S} UTC; it said: {pause.reason}",
        subject=account.mailbox,
        response_code=pause.response_code,
        fix="nothing: the first cycle after that asks again.",
        back_off_seconds=(pause.until - now).total_seconds(),
    )
    return CycleResult(account=account, outcome="waiting", error=error)


def next_status(before: Status | None, result: CycleResult, now: datetime) -> Status:
    """The account's calendar status after a cycle. Pure.

    A failure that trying again may mend leaves the status until the fourth one in a row; what it cannot mend sets it at once.
    """
    account_id = result.account.account_id
    base = before or Status(account_id=account_id, process="calendar", status=UNATTEMPTED, since=now)
    if result.outcome in {"busy", "waiting"}:
        return base
    if result.outcome == "off":
        return _turned(base, NOT_ENABLED, now)
    if result.outcome == "ok":
        turned = _turned(base, SYNCING if result.links or result.outcomes else UNATTEMPTED, now)
        return replace(turned, last_success=now, attempts=0, sub_cause="", response_code="", evidence="")
    error = result.error
    attempts = base.attempts + 1
    evidence = replace(
        base,
        attempts=attempts,
        sub_cause=str(error) if error is not None else "",
        response_code=error.response_code if error is not None else "",
        evidence=f"{type(error).__name__}{f', HTTP {error.http_status}' if isinstance(error, MailboxError) and error.http_status else ''} at {now:%Y-%m-%d %H:%M:%S} UTC",
    )
    if result.outcome == "blocked":
        return _turned(evidence, NOT_SYNCING, now)
    if error is not None and (is_permanent(error) or attempts >= TRIES):
        return _turned(evidence, status_of(error), now)
    return evidence


def _turned(status: Status, to: str, now: datetime) -> Status:
    return status if status.status == to else replace(status, status=to, since=now)
