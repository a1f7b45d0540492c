"""Y1 and Y2 as a machine: random edits on both sides, lost answers, refused states, copies; after two quiet cycles both sides are equal."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ops_lib.database.engine import Database
from ops_lib.errors import MailboxError, TooManyDeletions
from ops_lib.model import ActivityStatus, AllDay, Kind, Timed
from tests.support.memory_mailbox import lost
from tests.sync.desk import Desk, at, days

SLOTS = st.builds(at, st.integers(-1, 20), st.integers(0, 23), st.sampled_from([0.5, 1.0, 30.0]))
DATES = st.builds(days, st.integers(-1, 20), st.integers(1, 2))
TITLES = st.sampled_from(["Tour", "Lunch", "Call back", "Über-Größe 🏡", "a\tb  c", "x" * 300, ""])
PICK = st.integers(0, 1_000)
CALLS = st.sampled_from(["changes", "view", "read", "create", "update", "delete", "find_stamps"])


class TwoSides(RuleBasedStateMachine):
    """What a salesperson and their CRM may do to each other in any order."""

    database_file: Path

    @initialize(
        conflict=st.sampled_from(["latest", "crm", "exchange"]), reschedule=st.sampled_from(["replace", "update"])
    )
    def start(self, conflict: str, reschedule: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "s.db"
        shutil.copy(self.database_file, path)
        self.database = Database(f"sqlite:///{path}")
        self.desk = self.make_desk(conflict, reschedule)

    def make_desk(self, conflict: str, reschedule: str) -> Desk:
        return Desk(self.database, conflict=conflict, reschedule=reschedule)

    # ── the CRM ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @rule(title=TITLES, when=st.one_of(SLOTS, DATES), type_name=st.sampled_from(["Tour", "Home Visit", "Call Out"]))
    def crm_adds(self, title: str, when: Timed | AllDay, type_name: str) -> None:
        self.desk.add(title, when, type_name=type_name, notes="note " + title)

    def chosen(self, pick: int):  # type: ignore[no-untyped-def]
        activities = self.desk.activities()
        return activities[pick % len(activities)] if activities else None

    @rule(pick=PICK, title=TITLES)
    def crm_retitles(self, pick: int, title: str) -> None:
        if (activity := self.chosen(pick)) is not None:
            self.desk.edit(activity.activity_id, description=title, notes=title + " again")

    @rule(pick=PICK, when=st.one_of(SLOTS, DATES))
    def crm_moves(self, pick: int, when: Timed | AllDay) -> None:
        if (activity := self.chosen(pick)) is not None:
            self.desk.edit(activity.activity_id, when=when)

    @rule(pick=PICK, when=SLOTS)
    def crm_reschedules(self, pick: int, when: Timed) -> None:
        if (activity := self.chosen(pick)) is not None:
            self.desk.move(activity.activity_id, when)

    @rule(pick=PICK, status=st.sampled_from(list(ActivityStatus)))
    def crm_sets_status(self, pick: int, status: ActivityStatus) -> None:
        if (activity := self.chosen(pick)) is not None:
            self.desk.edit(activity.activity_id, status=status)

    @rule(pick=PICK)
    def crm_deletes(self, pick: int) -> None:
        if (activity := self.chosen(pick)) is not None:
            self.desk.remove(activity.activity_id)

    # ── Outlook ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @rule(title=TITLES, when=st.one_of(SLOTS, DATES))
    def outlook_adds(self, title: str, when: Timed | AllDay) -> None:
        self.desk.outlook.add(title, when, body="text")

    def item(self, pick: int, kind: Kind | None = None):  # type: ignore[no-untyped-def]
        items = [i for i in self.desk.outlook.items.values() if kind is None or i.kind is kind]
        return items[pick % len(items)] if items else None

    @rule(pick=PICK, title=TITLES)
    def outlook_retitles(self, pick: int, title: str) -> None:
        if (item := self.item(pick)) is not None:
            self.desk.outlook.edit(item.item_id, subject=title)

    @rule(pick=PICK, when=SLOTS)
    def outlook_moves(self, pick: int, when: Timed) -> None:
        if (item := self.item(pick, Kind.EVENT)) is not None:
            self.desk.outlook.edit(item.item_id, when=when)

    @rule(pick=PICK, when=DATES)
    def outlook_makes_it_all_day(self, pick: int, when: AllDay) -> None:
        if (item := self.item(pick)) is not None:
            when = AllDay(when.start, when.start + timedelta(days=1)) if item.kind is Kind.TASK else when
            self.desk.outlook.edit(item.item_id, when=when)

    @rule(pick=PICK)
    def outlook_ticks_off(self, pick: int) -> None:
        if (item := self.item(pick, Kind.TASK)) is not None:
            self.desk.outlook.edit(item.item_id, is_complete=not item.is_complete)

    @rule(pick=PICK)
    def outlook_deletes(self, pick: int) -> None:
        if (item := self.item(pick)) is not None:
            self.desk.outlook.remove(item.item_id)

    @rule(pick=PICK)
    def outlook_copies(self, pick: int) -> None:
        if (item := self.item(pick, Kind.EVENT)) is not None:
            self.desk.outlook.copy(item.item_id, timedelta(hours=1))

    @rule(pick=PICK, private=st.booleans())
    def outlook_makes_private(self, pick: int, private: bool) -> None:
        item = self.item(pick, Kind.EVENT)
        if item is not None and not item.stamp:
            self.desk.outlook.edit(item.item_id, is_private=private)

    # ── the world ────────────────────────────────────────────────────────────────────────────────────────────────────
    @rule(call=CALLS, when=st.sampled_from(["before", "after", "late"]))
    def an_answer_is_lost(self, call: str, when: str) -> None:
        if len(self.desk.outlook.failures) < 3:
            self.desk.outlook.fail(call, lost(), when if call == "create" or when != "late" else "after")

    @rule()
    def late_items_arrive(self) -> None:
        self.desk.outlook.arrive()

    @rule()
    def sync_states_are_forgotten(self) -> None:
        self.desk.outlook.forget_sync_states()

    @rule(minutes=st.integers(1, 600))
    def time_passes(self, minutes: int) -> None:
        self.desk.now += timedelta(minutes=minutes)

    @rule()
    def a_cycle(self) -> None:
        with suppress(MailboxError, TooManyDeletions):
            self.desk.cycle()

    @precondition(lambda self: len(self.desk.outlook.items) < 40)
    @rule()
    def all_is_quiet(self) -> None:
        self.desk.outlook.failures.clear()
        self.desk.outlook.arrive()
        self.desk.now += timedelta(minutes=5)
        self.desk.cycle(allow_deletions=1_000)
        self.desk.cycle(allow_deletions=1_000)
        self.desk.check()
        third = self.desk.cycle()
        assert [change for change in third.changes if change.writes] == [], [
            (c.action, c.side, c.reason) for c in third.changes
        ]
        self.nothing_twice()

    def nothing_twice(self) -> None:
        """Every stamp of ours that is on an item is that of one link only, copies aside; every linked activity has one item."""
        stamped = [link.stamp for link in self.desk.links() if link.stamp]
        assert len(stamped) == len(set(stamped))

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.outlook.failures.clear()
            self.all_is_quiet()
            self.database.close()
            self.folder.cleanup()


@pytest.mark.req("Y1", "Y2")
def test_any_interleaving_ends_in_agreement(prepared_sqlite: Path) -> None:
    """After any edits on both sides, with answers lost at any call, two quiet cycles leave both sides equal and a third does nothing."""
    machine = type("Machine", (TwoSides,), {"database_file": prepared_sqlite})
    machine.TestCase.settings = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    machine.TestCase().runTest()
