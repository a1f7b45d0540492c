"""Many accounts: who is due, one worker per account at a time, threads on one machine, and what a cycle means for the account's status."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from traceback import extract_tb

from sqlalchemy import Connection

from ops_lib.access.hosts import Hosts
from ops_lib.diagnosis.statuses import NOT_ENABLED, NOT_SYNCING, SYNCING, UNATTEMPTED, is_permanent, status_of
from ops_lib.errors import Defect, LeaseHeld, MailboxError, OpsError, SignInRefused, TooManyDeletions
from ops_lib.mailbox import Mailbox
from ops_lib.model import Account, Host
from ops_lib.sync.cycle import Cycle, CycleResult, Options
from ops_lib.sync.leases import Leases, kept, this_worker
from ops_lib.sync.ledger import Ledger, Status
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
        self._refused: dict[tuple[str, str], SignInRefused] = {}
        with self._database.read() as connection:
            self._hosts = {host.host_id: host for host in Hosts(connection).all()}

    def run(
        self,
        accounts: Sequence[Account],
        options: Options | None = None,
        *,
        threads: int = 1,
        progress: Progress = lambda result: None,
    ) -> RunResult:
        """One cycle for each account, in ``threads`` threads; results in the accounts' order. One account's failure stops no other."""
        options = options or Options()
        run_id = None
        if not options.dry_run:
            with self._database.begin() as connection:
                run_id = Ledger(connection).begin_run("sync", self._workspace.now())
        is_well = False

        def one(account: Account) -> CycleResult:
            result = self._one(account, options, run_id)
            progress(result)
            return result

        try:
            if threads <= 1:
                results = [one(account) for account in accounts]
            else:
                with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="cycle") as pool:
                    results = list(pool.map(one, accounts))
            run = RunResult(run_id, results)
            is_well = run.all_well
            return run
        finally:  # also of a run that somebody stopped: it is not running any more
            if run_id is not None:
                with self._database.begin() as connection:
                    Ledger(connection).end_run(run_id, self._workspace.now(), "ok" if is_well else "failed")

    def _one(self, account: Account, options: Options, run_id: int | None) -> CycleResult:
        now, began = self._workspace.now(), time.monotonic()
        try:
            result = self._attempt(account, options, now)
        except Exception as error:  # noqa: BLE001  whatever it is, it is this account's and no other's
            result = CycleResult(account=account, outcome="failed", error=_told(error, account))
        result.seconds = time.monotonic() - began
        if run_id is not None:
            try:
                self._record(run_id, result, now)
            except Exception as error:  # noqa: BLE001  what is not recorded is not well
                result.outcome, result.error = "failed", _told(error, account)
        return result

    def _attempt(self, account: Account, options: Options, now: datetime) -> CycleResult:
        if not account.calendar:
            return CycleResult(account=account, outcome="off")
        host = self._hosts[account.host_id]
        credential = _credential(host, account)
        refused = self._refused.get(credential)
        if refused is not None:  # the same password is never tried twice in a run: that locks service accounts
            return CycleResult(account=account, outcome="failed", error=refused)
        worker = this_worker()
        with self._database.begin() as connection:
            if not Leases(connection).take(account.account_id, worker, LEASE_SECONDS):
                error = LeaseHeld(
                    "another worker is at this account", subject=account.mailbox, fix="wait for it to finish."
                )
                return CycleResult(account=account, outcome="busy", error=error)
        mailbox: Mailbox | None = None
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
                between_batches=lambda: self._keep(account, worker),
                still_ours=lambda connection: _hold(connection, account, worker),
                sleep=self._sleep,
            )
            with kept(self._database, account.account_id, worker, LEASE_SECONDS):
                result = cycle.run()
            self._workspace.access.note(host, account, None)
            return result
        except TooManyDeletions as error:
            result = CycleResult(account=account, outcome="blocked", error=error)
        except (
            LeaseHeld
        ) as error:  # it slept so long that another took the account over, who finishes what this one began
            result = CycleResult(account=account, outcome="busy", error=error)
        except OpsError as error:
            if isinstance(error, SignInRefused):
                self._refused[credential] = error
                self._workspace.access.note(host, account, error)
            result = CycleResult(account=account, outcome="failed", error=error)
        except Exception as error:  # noqa: BLE001  as above; its requests are counted
            result = CycleResult(account=account, outcome="failed", error=_told(error, account))
        finally:
            with suppress(OpsError), self._database.begin() as connection:
                Leases(connection).release(account.account_id, worker)
        if mailbox is not None:
            result.requests, result.bytes_received = mailbox.requests, mailbox.bytes_received
        return result

    def _keep(self, account: Account, worker: str) -> None:
        """Hold on to the lease between batches; whoever lost it writes nothing more."""
        with self._database.begin() as connection:
            _hold(connection, account, worker)

    def _open(self, host: Host, account: Account) -> Mailbox:
        return self._workspace.open_mailbox(host, account)

    def _record(self, run_id: int, result: CycleResult, now: datetime) -> None:
        account, error = result.account, result.error
        with self._database.begin() as connection:
            ledger = Ledger(connection)
            status = next_status(ledger.status(account.account_id, "calendar"), result, now)
            if result.outcome != "busy":  # the status is for the worker to say that has the account
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
                message=str(error) if error is not None else "",
            )
            ledger.record_items(run_id, account.account_id, result.outcomes, now)


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


def _credential(host: Host, account: Account) -> tuple[str, str]:
    """What accounts that sign in alike have in common: one who signs in for all, or each themselves."""
    return (host.host_id, account.user_email if host.access == "direct" else host.service_user)


def next_status(before: Status | None, result: CycleResult, now: datetime) -> Status:
    """The account's calendar status after a cycle. Pure.

    A failure that trying again may mend leaves the status until the fourth one in a row; what it cannot mend sets it at once.
    """
    account_id = result.account.account_id
    base = before or Status(account_id=account_id, process="calendar", status=UNATTEMPTED, since=now)
    if result.outcome == "busy":
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
