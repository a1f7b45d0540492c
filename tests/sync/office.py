"""A `Desk` whose cycles are run by workers as they really run: with a lease, a run's record and a status, by workers that may die at any step."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, event, insert, select, update

from ops_lib.database import tables as t
from ops_lib.errors import Defect, OpsError
from ops_lib.mailbox import Mailbox
from ops_lib.model import Account
from ops_lib.sync.audit import audit
from ops_lib.sync.cycle import CycleResult, Options
from ops_lib.sync.fleet import Fleet
from ops_lib.workspace import Settings, Workspace
from tests.support.memory_mailbox import MemoryMailbox
from tests.support.workers import Killed, Life, MortalDatabase, bury
from tests.sync.desk import Desk
from tests.sync.diary import Calendar, Diary

FOREVER = Life()


@dataclass
class Office(Desk):
    """One account, its settings in the database, and a diary of what people did."""

    diary: Diary = field(default_factory=Diary)
    is_on: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.outlook.zone = ZoneInfo(self.time_zone)
        if self.database.is_sqlite:  # no power fails here: what is tested is a process that dies
            self.database.close()
            event.listen(self.database.engine, "connect", _trust_the_power)
        self.tell_settings()

    @property
    def account(self) -> Account:
        from dataclasses import replace

        return replace(super().account, calendar=self.is_on)

    def tell_settings(self) -> None:
        """Write the host's settings where workers read them."""
        with self.database.begin() as c:
            c.execute(
                update(t.hosts).values(
                    service_user="svc",
                    conflict=self.conflict,
                    reschedule=self.reschedule,
                    all_day_tasks=self.all_day_tasks,
                )
            )
            c.execute(delete(t.host_activity_types))
            c.execute(
                insert(t.host_activity_types), [{"host_id": 1, "type_id": int(self.ids[name])} for name in self.types]
            )

    # ── workers ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def mailbox_of(self, life: Life) -> Mailbox:
        return MemoryMailbox(self.outlook, step=life.step)

    def work(self, life: Life = FOREVER, **options: Any) -> CycleResult | None:
        """One cycle by a worker. None: it was killed on the way. What is no `OpsError` is raised: that is a fault of ours."""
        workspace = Workspace(Path(), Settings(database_url="sqlite:///unused.db"), lambda: self.now)
        workspace.database = MortalDatabase(self.database, life)  # type: ignore[assignment]
        try:
            fleet = Fleet(workspace, mailboxes=lambda host, account: self.mailbox_of(life), sleep=lambda seconds: None)
            (result,) = fleet.run([self.account], Options(**options)).results
        except Killed:
            bury(self.database)
            return None
        except OpsError:  # the database itself
            return None
        if isinstance(result.error, Defect):
            raise result.error
        return result

    def cycle(self, **options: Any) -> CycleResult:
        """A cycle that nothing may go wrong in."""
        result = self.work(**options)
        assert result is not None
        assert result.outcome == "ok", result.error
        return result

    def undisturbed(self) -> AbstractContextManager[None]:
        """While its user edits: what is ordered to go wrong is meant for workers."""
        return nullcontext()

    # ── quiet ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def retry_now(self) -> None:
        """Somebody mended what refused items: what was set aside is to be tried again."""
        with self.database.begin() as c:
            c.execute(update(t.retries).values(is_set_aside=False, next_at=self.now))

    def wait_out_pauses(self) -> None:
        """Until nobody has to wait any more because the server wanted it."""
        with self.database.read() as c:
            self.now = max([self.now, *c.execute(select(t.pauses.c.until)).scalars()])

    def calendar(self) -> Calendar:
        return Calendar.of(self.activities(), self.outlook.every())

    def settle(self) -> None:
        """Two quiet cycles; then both sides are equal, nothing is lost or twice, the third does nothing, and the audit finds nothing."""
        self.retry_now()
        first = self.cycle(allow_deletions=1_000)
        second = self.cycle(allow_deletions=1_000)
        now = self.calendar()
        faults = self.diary.faults(
            now, at=self.now, zone=ZoneInfo(self.time_zone), type_ids=frozenset(self.ids[name] for name in self.types)
        )
        assert not faults, "\n".join([*faults, _told("first", first), _told("second", second)])
        self.check()
        third = self.cycle()
        assert not [change for change in third.changes if change.writes], _told("third", third)
        self._ask_the_audit()
        self.diary.settled(now)

    def _ask_the_audit(self) -> None:
        workspace = Workspace(Path(), Settings(database_url="sqlite:///unused.db"), lambda: self.now)
        workspace.database = self.database
        found = audit(workspace, self.host, self.account, self.mailbox())
        assert found.remarks == [], found.remarks
        with self.database.read() as c:
            assert c.execute(select(t.retries.c.key, t.retries.c.reason)).all() == []
            assert c.execute(select(t.intents.c.stamp).where(t.intents.c.state == "open")).all() == []


def _told(name: str, result: CycleResult) -> str:
    return f"{name} cycle: " + "; ".join(
        f"{change.action} {change.side} {change.key} ({change.reason})" for change in result.changes
    )


def _trust_the_power(raw: Any, _record: Any) -> None:
    raw.execute("PRAGMA synchronous = OFF")
