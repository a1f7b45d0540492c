"""One account, one cycle: read → plan → apply → record. The only orchestrator of a sync.

Nothing is remembered as read before everything of it is recorded: a cycle that ends half-way, by an error or by a kill, is done again from where
the last whole one ended, and finds by their stamps what it had already made.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection

from ops_lib.crm.store import SqlCrm
from ops_lib.database.engine import Database
from ops_lib.errors import MailboxError, OpsError, ServerBusy, TooManyDeletions
from ops_lib.mailbox import Attempt, Mailbox
from ops_lib.model import Account, Activity, Change, Host, Kind, Link, LinkState, Origin
from ops_lib.sync.activities import Unit
from ops_lib.sync.ledger import Ledger, Outcome
from ops_lib.sync.mapping import window_around
from ops_lib.sync.matching import Agreement, match_items
from ops_lib.sync.news import Reading, Remembered
from ops_lib.sync.outcomes import Result
from ops_lib.sync.plan import allowed_removals, plan, planned_removals
from ops_lib.sync.reading import Reader
from ops_lib.sync.recovery import Recovery
from ops_lib.sync.scope import SyncPolicy
from ops_lib.sync.writing import Writer

ROUNDS = 3
"""How often what changed under a cycle's hands, or was not answered, is read and planned: once, and twice again."""

MAX_PAUSE_SECONDS = 60.0
"""A server that asks for a longer pause gets it from the next cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a cycle is run. ``allow_deletions``: how many removals are allowed; None: the brake decides."""

    dry_run: bool = False
    allow_deletions: int | None = None


@dataclass(slots=True, kw_only=True)
class CycleResult:
    """What a cycle did, or in a dry run would do. ``attempts`` are the latest requests of its mailbox, which was opened at ``opened_at``.
    ``notes`` say what was no failure and yet somebody should know.

    *busy*: another worker is at the account; *waiting*: the server wants nobody to ask yet; *off*: it is not kept in step.
    """

    account: Account
    outcome: Literal["ok", "failed", "blocked", "busy", "waiting", "off"]
    changes: list[Change] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    requests: int = 0
    bytes_received: int = 0
    seconds: float = 0.0
    links: int = 0
    error: OpsError | None = None
    attempts: list[Attempt] = field(default_factory=list)
    opened_at: datetime | None = None
    notes: list[str] = field(default_factory=list)
    is_recorded: bool = False
    """Its caller's record was written together with how far was read."""

    def counts(self) -> dict[str, Any]:
        """How many entries were created, updated and deleted on either side, how many were skipped and failed."""
        tally: Counter[tuple[str, str]] = Counter()
        for outcome in self.outcomes:
            if outcome.outcome == "done":
                tally[_COUNTED_AS.get(outcome.action, ""), outcome.side] += 1
            else:
                tally[outcome.outcome, ""] += 1
        sides = ("crm", "exchange")
        counts: dict[str, Any] = {
            verb: {side: tally[verb, side] for side in sides} for verb in ("created", "updated", "deleted")
        }
        return counts | {"skipped": tally["skipped", ""], "failed": tally["failed", ""]}


_COUNTED_AS = {
    "create": "created",
    "update": "updated",
    "reschedule": "updated",
    "restore": "updated",
    "cancel": "updated",
    "delete": "deleted",
}


class ReadOnlyCrm:
    """The CRM for reading, each call in a transaction of its own: nothing is locked while Exchange is asked."""

    def __init__(self, database: Database, now: datetime) -> None:
        self._database = database
        self._now = now

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(about: Any, *arguments: Any, **named: Any) -> Any:
            if not isinstance(about, str) and not about:
                return {}  # asked about no activity at all
            with self._database.read() as connection:
                return getattr(SqlCrm(connection, self._now), name)(about, *arguments, **named)

        return call


class Cycle:
    """One pass over one account. The caller holds the account's lease; ``still_ours`` raises, in each transaction that writes, when it is lost.

    ``remembered`` is what the ledger said since the lease was taken (None: it is read now). ``ending`` is called in the transaction that stores how
    far was read, after all else: what the caller writes of the cycle is written together with that or not at all.
    """

    def __init__(
        self,
        *,
        database: Database,
        host: Host,
        account: Account,
        mailbox: Mailbox,
        now: datetime,
        crm_url: str,
        options: Options,
        remembered: Remembered | None = None,
        ending: Callable[[Connection, CycleResult], None] | None = None,
        between_batches: Callable[[], None] = lambda: None,
        still_ours: Callable[[Connection], None] = lambda connection: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._host = host
        self._account = account
        self._mailbox = mailbox
        self._now = now
        self._crm_url = crm_url
        self._options = options
        self._between_batches = between_batches
        self._still_ours = still_ours
        self._sleep = sleep
        self._policy = policy_of(host, account, now)
        self._remembered = remembered or self._remember()
        self._ending = ending
        self._has_begun_links = self._remembered.unrecorded_links is not None
        self._reader = Reader(
            account=account,
            mailbox=mailbox,
            policy=self._policy,
            remembered=self._remembered,
            crm=lambda: ReadOnlyCrm(database, now),
        )
        self._recovery = Recovery(account.account_id, mailbox, self._unit, is_dry_run=options.dry_run)
        self._result = CycleResult(account=account, outcome="ok", links=len(self._remembered.links))

    def run(self) -> CycleResult:
        """Run it. Raises `MailboxError` for what concerns the whole account, `TooManyDeletions` when the brake holds it; nothing is half-recorded."""
        reading = self._reader.read()
        changes = self._plan(reading)
        self._result.changes = changes
        if self._options.dry_run:
            return self._finish()
        self._brake(changes)
        if any(change.side == "crm" and change.action == "create" for change in changes):
            with self._unit() as unit:
                last = max((link.link_id for link in self._remembered.links), default=0)
                unit.ledger.begin_links(self._account.account_id, last)
            self._has_begun_links = True
        writer = self._writer()
        written = writer.write(changes, _codes(reading))
        retried = set(written.retried)
        self._result.outcomes.extend(written.outcomes)
        for round_number in range(1, ROUNDS):
            if not written.again:
                break
            self._pause(written, round_number)
            again = self._plan_again(reading, written.again)
            written = writer.write(again, _codes(reading), is_last=round_number == ROUNDS - 1)
            retried |= written.retried
            self._result.outcomes.extend(written.outcomes)
        if written.again and written.error is not None:
            self._result.outcomes.extend(_undone(change, written.error) for change in written.again)
            self._result.error = written.error
            self._result.outcome = "failed"
            return self._finish()
        self._record(reading, retried, written.again)
        return self._result

    # ── planning ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _plan(self, reading: Reading) -> list[Change]:
        intents = self._remembered.intents
        links = self._recovery.follow_masters(reading, self._remembered.links)
        links = self._recovery.recover(reading, intents, links)
        self._reader.complete(reading, links, intents)
        return plan(reading.activities, reading.news(), self._agreement(reading, links), self._policy)

    def _plan_again(self, reading: Reading, again: Sequence[Change]) -> list[Change]:
        """Read what these changes are about once more and plan it as it is now."""
        with self._database.read() as connection:
            ledger = Ledger(connection)
            all_links, intents = ledger.links(self._account.account_id), ledger.open_intents(self._account.account_id)
        activity_ids = {activity_id for change in again for activity_id in _activities_of(change)}
        activity_ids |= ReadOnlyCrm(self._database, self._now).predecessors(activity_ids).keys()
        link_ids = {change.link.link_id for change in again if change.link is not None}
        links = [link for link in all_links if link.activity_id in activity_ids or link.link_id in link_ids]
        activity_ids |= {link.activity_id for link in links}
        fresh = self._reader.read_again(reading, links, activity_ids)
        strays = {
            change.item.item_id: change.item for change in again if change.link is None and change.item is not None
        }
        fresh.items.update({item_id: item for item_id, item in strays.items() if item_id not in fresh.gone})
        fresh.texts.update({item_id: reading.texts[item_id] for item_id in strays if item_id in reading.texts})
        recovered = self._recovery.recover(fresh, intents, all_links)
        links = [link for link in recovered if link.activity_id in activity_ids or link.item_id in fresh.items]
        self._reader.complete(fresh, links, intents)
        # Of activities that were read on the way (what stands for a rescheduled one) the links count too: they are linked, not new.
        chosen = {link.link_id for link in links}
        links = [link for link in recovered if link.link_id in chosen or link.activity_id in fresh.activities]
        return plan(fresh.activities, fresh.news(), self._agreement(fresh, links), self._policy)

    def _agreement(self, reading: Reading, links: Sequence[Link]) -> Agreement:
        stamps = {item.stamp for item in match_items(reading.news(), links).strangers if item.stamp}
        linked = {link.activity_id for link in links}
        unlinked = [
            a.activity_id
            for a in reading.activities.values()
            if a.origin is Origin.EXCHANGE and a.activity_id not in linked
        ]
        agreement = Agreement(links=links, intents=(), crm_id=self._remembered.crm_id)
        if not stamps and not unlinked:
            return agreement
        with self._database.read() as connection:
            ledger = Ledger(connection)
            return replace(
                agreement,
                intents=ledger.intents_with(stamps),
                formerly_linked=ledger.formerly_linked(self._account.account_id, unlinked),
            )

    def _brake(self, changes: Sequence[Change]) -> None:
        """Row Y4: stop before the first removal when there are more than anybody would expect."""
        planned = planned_removals(changes)
        allowed = (
            self._options.allow_deletions
            if self._options.allow_deletions is not None
            else allowed_removals(self._result.links)
        )
        if planned > allowed:
            raise TooManyDeletions(
                f"this cycle would remove {planned} entries and may remove {allowed} unasked; nothing was changed",
                subject=self._account.mailbox,
                fix=f"look at `syncops sync --account {self._account.mailbox} --dry-run`; if it is right, run `syncops sync --account {self._account.mailbox} --allow-deletions {planned}`.",
            )

    def _pause(self, written: Result, round_number: int) -> None:
        """Wait as the server asks, or a little longer each round."""
        if written.error is None:
            return
        asked = written.error.back_off_seconds if isinstance(written.error, ServerBusy) else 0.0
        self._sleep(min(MAX_PAUSE_SECONDS, max(asked, 0.5 * 2**round_number)))

    # ── recording ────────────────────────────────────────────────────────────────────────────────────────────────────
    def _record(self, reading: Reading, retried: set[str], again: Sequence[Change]) -> None:
        """Store how far was read, now that everything of it is recorded; of what is as it was, nothing is written."""
        account_id = self._account.account_id
        with self._database.begin() as connection:
            self._still_ours(connection)
            unit = Unit(Ledger(connection), SqlCrm(connection, self._now))
            unit.ledger.set_series(account_id, reading.masters.values())
            unit.ledger.forget_series(account_id, reading.forgotten_series - reading.masters.keys())
            unit.ledger.forget_retries(account_id, reading.retried - retried)
            for change in again:
                unit.ledger.retry_later(
                    account_id,
                    change.key,
                    change.kind,
                    attempts=0,
                    now=self._now,
                    reason="it kept changing while it was written",
                )
            reason = "it was not listed when everything was read again"
            for key, kind in self._unlisted(reading, unit.ledger):
                unit.ledger.retry_later(account_id, key, kind, attempts=0, now=self._now, reason=reason)
            if reading.position != self._remembered.position:
                unit.ledger.set_position(account_id, reading.position)
            if self._has_begun_links:
                unit.ledger.end_links(account_id)
            if self._result.changes or self._remembered.intents:
                self._result.links = unit.ledger.count_links(account_id)
            self._finish()
            if self._ending is not None:
                self._ending(connection, self._result)
        self._result.is_recorded = self._ending is not None

    def _unlisted(self, reading: Reading, ledger: Ledger) -> list[tuple[str, Kind]]:
        """What is not in a complete listing though the server did not call it deleted: to be asked for by id in the next cycle."""
        seen = reading.items.keys() | reading.gone | reading.masters.keys()
        unread = {master.uid for master, _ in reading.unexpanded.values()}
        looked_at = reading.whole_series | unread | {master.uid for master in reading.masters.values()}
        became_series = {name for master in reading.masters.values() for name in (master.uid, master.stamp) if name}
        missing = [
            link
            for link in self._remembered.links
            if link.state is LinkState.ACTIVE
            and (link.original_start is not None or became_series.isdisjoint((link.uid, link.stamp)))
            and (link.original_start is None or link.uid not in looked_at)
            and link.kind in reading.complete
            and link.item_id not in seen
        ]
        # A reschedule may have given a link to another activity in this cycle.
        now = {link.link_id: link.activity_id for link in ledger.links(self._account.account_id)} if missing else {}
        unlisted = [(f"activity:{now[link.link_id]}", link.kind) for link in missing if link.link_id in now]
        if Kind.EVENT in reading.complete:
            unlisted += [(f"item:{item_id}", Kind.EVENT) for item_id in self._remembered.series if item_id not in seen]
        return unlisted

    def _finish(self) -> CycleResult:
        self._result.requests = self._mailbox.requests
        self._result.bytes_received = self._mailbox.bytes_received
        self._result.notes = [*zone_notes(self._policy, self._account), *self._mailbox.notes]
        return self._result

    def _remember(self) -> Remembered:
        with self._database.begin() as connection:
            return Remembered.of(Ledger(connection), self._account.account_id)

    def _unit(self) -> AbstractContextManager[Unit]:
        @contextmanager
        def open_unit() -> Iterator[Unit]:
            with self._database.begin() as connection:
                self._still_ours(connection)
                yield Unit(Ledger(connection), SqlCrm(connection, self._now))

        return open_unit()

    def _writer(self) -> Writer:
        return Writer(
            account=self._account,
            mailbox=self._mailbox,
            unit=self._unit,
            inbound_type_id=self._host.inbound_type_id,
            crm_id=self._remembered.crm_id,
            crm_url=self._crm_url,
            now=self._now,
            retries={retry.key: retry for retry in self._remembered.retries},
            between_batches=self._between_batches,
        )


def policy_of(host: Host, account: Account, now: datetime) -> SyncPolicy:
    """What host and account together say; an unknown time zone counts as UTC."""
    try:
        zone = ZoneInfo(account.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return SyncPolicy(
        now=now,
        zone=zone,
        window=window_around(now, zone),
        type_ids=host.type_ids,
        all_day_tasks=host.all_day_tasks and account.all_day_tasks,
        conflict=host.conflict,
        reschedule=host.reschedule,
    )


def zone_notes(policy: SyncPolicy, account: Account) -> list[str]:
    """What is to be said of a user whose time zone nobody knows."""
    if policy.zone.key == account.time_zone:
        return []
    return [
        f"nobody knows the user's time zone '{account.time_zone}': their days are taken to be those of {policy.zone.key}"
    ]


def _codes(reading: Reading) -> dict[str, str]:
    """The response codes of what could not be read, by item id."""
    return {item_id: error.response_code for item_id, error in reading.unread.items()}


def _activities_of(change: Change) -> Iterator[str]:
    if change.activity is not None:
        yield change.activity.activity_id
    if change.link is not None:
        yield change.link.activity_id


def _undone(change: Change, error: MailboxError) -> Outcome:
    link: Link | None = change.link
    activity: Activity | None = change.activity
    return Outcome(
        action=change.action,
        side=change.side,
        kind=change.kind.value,
        key=change.key,
        outcome="failed",
        reason=f"{change.reason}; not done: {error}",
        activity_id=activity.activity_id if activity else link.activity_id if link else None,
        item_id=link.item_id if link else change.item.item_id if change.item else "",
        response_code=error.response_code,
        before=change.before,
        after=change.after,
    )
