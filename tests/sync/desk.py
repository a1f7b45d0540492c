"""One CRM user, one account, one Outlook: what tests of the sync are played on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from ops_lib.crm import ActivityContent
from ops_lib.crm.store import SqlCrm
from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.mailbox import Mailbox
from ops_lib.model import (
    Account,
    Activity,
    ActivityStatus,
    AllDay,
    Host,
    Item,
    ItemType,
    Kind,
    Link,
    LinkState,
    Origin,
    Timed,
    When,
)
from ops_lib.sync.cycle import Cycle, CycleResult, Options, policy_of
from ops_lib.sync.ledger import Ledger
from ops_lib.sync.mapping import entry_of_activity, entry_of_item, overlaps, shared_fields
from ops_lib.sync.scope import is_current, is_gone, why_not
from tests.support.memory_mailbox import MemoryMailbox, Outlook

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def at(day: int, hour: float, length: float = 1.0) -> Timed:
    """From an hour of a day of the week after now (0: today), UTC."""
    start = NOW.replace(hour=0) + timedelta(days=day, hours=hour)
    return Timed(start, start + timedelta(hours=length))


def days(first: int, count: int = 1) -> AllDay:
    """Whole days, counted from today."""
    start = NOW.date() + timedelta(days=first)
    return AllDay(start, start + timedelta(days=count))


@dataclass
class Desk:
    """A user with an account; edits on both sides, cycles between them, and what must hold afterwards."""

    database: Database
    now: datetime = NOW
    conflict: str = "latest"
    reschedule: str = "replace"
    all_day_tasks: bool = True
    time_zone: str = "UTC"
    types: tuple[str, ...] = ("Tour", "Home Visit")
    outlook: Outlook = field(init=False)
    ids: dict[str, str] = field(default_factory=dict)
    keys: int = 0

    def __post_init__(self) -> None:
        self.outlook = Outlook(now=lambda: self.now)
        with self.database.begin() as c:
            for number, name in enumerate(("Appointment", "Tour", "Home Visit", "Call Out"), 1):
                c.execute(
                    insert(t.activity_types).values(
                        id=number, name=name, master_type="", is_face_to_face=number in (2, 3)
                    )
                )
                self.ids[name] = str(number)
            c.execute(insert(t.communities).values(id=1, name="Elm Court", time_zone=self.time_zone))
            c.execute(
                insert(t.users).values(
                    id=1,
                    email="alice@example.test",
                    name="Alice",
                    time_zone=self.time_zone,
                    is_admin=False,
                    change_version=0,
                )
            )
            c.execute(insert(t.individuals).values(id=1, name="Ruth O'Neil", kind="prospect", email="", community_id=1))
            c.execute(
                insert(t.hosts).values(
                    id=1,
                    name="H",
                    protocol="ews",
                    url="https://x.example/EWS/Exchange.asmx",
                    auth="basic",
                    access="impersonation",
                    version="2016",
                    inbound_type_id=1,
                    all_day_tasks=True,
                )
            )
            chosen = [{"host_id": 1, "type_id": int(self.ids[name])} for name in self.types]
            c.execute(insert(t.host_activity_types), chosen)
            c.execute(
                insert(t.accounts).values(
                    id=1, host_id=1, user_id=1, mailbox="alice@example.test", is_impersonation_account=False
                )
            )

    # ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def host(self) -> Host:
        return Host(
            host_id="1",
            name="H",
            url="https://x.example/EWS/Exchange.asmx",
            auth="basic",
            access="impersonation",
            type_ids=frozenset(self.ids[name] for name in self.types),
            inbound_type_id=self.ids["Appointment"],
            all_day_tasks=self.all_day_tasks,
            conflict=self.conflict,
            reschedule=self.reschedule,  # type: ignore[arg-type]
        )

    @property
    def account(self) -> Account:
        return Account(
            account_id="1",
            host_id="1",
            user_id="1",
            user_email="alice@example.test",
            mailbox="alice@example.test",
            time_zone=self.time_zone,
            all_day_tasks=True,
        )

    def mailbox(self) -> Mailbox:
        return MemoryMailbox(self.outlook)

    # ── the CRM's side ───────────────────────────────────────────────────────────────────────────────────────────────
    def add(self, description: str, when: When, *, type_name: str = "Tour", **more: Any) -> str:
        self.keys += 1
        content = ActivityContent(type_id=self.ids[type_name], description=description, when=when, **more)
        with self.database.begin() as c:
            return SqlCrm(c, self.now).create("1", content, origin=Origin.CRM, key=f"test-{self.keys}").activity_id

    def edit(self, activity_id: str, **changes: Any) -> None:
        if "type_name" in changes:
            changes["type_id"] = self.ids[changes.pop("type_name")]
        with self.database.begin() as c:
            SqlCrm(c, self.now).update(activity_id, ActivityContent(**changes))

    def cancel(self, activity_id: str) -> None:
        with self.database.begin() as c:
            SqlCrm(c, self.now).cancel(activity_id, "")

    def remove(self, activity_id: str) -> None:
        with self.database.begin() as c:
            SqlCrm(c, self.now).remove(activity_id)

    def move(self, activity_id: str, when: When) -> str:
        """Reschedule in the CRM."""
        self.keys += 1
        with self.database.begin() as c:
            return SqlCrm(c, self.now).reschedule(activity_id, when, key=f"test-{self.keys}").activity_id

    def get(self, activity_id: str) -> Activity:
        with self.database.read() as c:
            return SqlCrm(c, self.now).get([activity_id])[activity_id]

    def activities(self) -> list[Activity]:
        """What stands in the CRM's calendar."""
        with self.database.read() as c:
            every = SqlCrm(c, self.now).changes("1", 0).activities
        return sorted((a for a in every if not a.is_deleted), key=lambda a: (a.when.start.isoformat(), a.activity_id))

    def links(self) -> list[Link]:
        with self.database.read() as c:
            return Ledger(c).links("1", (LinkState.ACTIVE, LinkState.RESTING))

    # ── cycles ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def cycle(self, **options: Any) -> CycleResult:
        mailbox = self.mailbox()
        cycle = Cycle(
            database=self.database,
            host=self.host,
            account=self.account,
            mailbox=mailbox,
            now=self.now,
            crm_url="https://crm.example",
            options=Options(**options),
            sleep=lambda seconds: None,
        )
        return cycle.run()

    def settle(self) -> None:
        """Two cycles, then both sides hold the same and a third does nothing (Y1)."""
        self.cycle()
        self.cycle()
        self.check()
        third = self.cycle()
        assert [change for change in third.changes if change.writes] == [], third.changes

    def check(self) -> None:
        """The invariants of SYNC.md: one link per activity and per item, both ends there, both sides equal, nothing left out."""
        links = self.links()
        assert len({link.activity_id for link in links}) == len(links)
        assert len({link.item_id for link in links}) == len(links)
        items = {**self.outlook.items, **{o.item_id: o for each in self.outlook.occurrences.values() for o in each}}
        with self.database.read() as c:
            activities = SqlCrm(c, self.now).get([link.activity_id for link in links])
        policy = policy_of(self.host, self.account, self.now)
        for link in links:
            if link.state is LinkState.RESTING:
                continue
            item, activity = items[link.item_id], activities[link.activity_id]
            if item.item_type is ItemType.MASTER:  # a single event that became a series when its time was over
                assert not overlaps(link.agreed.when, policy.window, policy.zone)
                continue
            assert not activity.is_deleted
            crm = entry_of_activity(activity, link.kind)
            outlook = entry_of_item(item, crm, None)
            fields = shared_fields(link.agreed)
            assert {f: getattr(crm, f) for f in fields} == {f: getattr(outlook, f) for f in fields}
        self.check_nothing_left_out(
            [
                item
                for item in items.values()
                if item.kind is Kind.EVENT and item.item_type is not ItemType.MASTER and not item.is_cancelled
            ]
        )

    def check_nothing_left_out(self, events: list[Item]) -> None:
        """What is in scope on either side is linked."""
        links = self.links()
        policy = policy_of(self.host, self.account, self.now)
        linked_items = {link.item_id for link in links}
        lost = [
            e
            for e in events
            if e.when is not None and overlaps(e.when, policy.window, policy.zone) and e.item_id not in linked_items
        ]
        assert lost == []
        linked = {link.activity_id for link in links}
        missing = [
            a
            for a in self.activities()
            if a.activity_id not in linked
            and not is_gone(a)
            and is_current(a.origin, a.when, policy)
            and not why_not(a, policy)
        ]
        assert missing == []


def day(offset: int) -> date:
    return NOW.date() + timedelta(days=offset)


__all__ = ["NOW", "ActivityStatus", "Desk", "Kind", "at", "day", "days"]
