"""A week of meetings at random, over real HTTP: organiser, guest and CRM do what they like; the sync keeps step and mails nobody."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import pytest

from ops_lib.database.engine import Database
from ops_lib.model import Activity, ActivityStatus, Timed
from ops_lib.sandbox import meetings
from ops_lib.sandbox.items import Item
from ops_lib.sandbox.recurrence import Daily, Numbered, Recurrence
from ops_lib.sandbox.series import NoSuchOccurrence, occurrences_between
from ops_lib.sandbox.server import Sandbox
from ops_lib.sandbox.values import Person
from tests.e2e.test_meetings import GUESTS, Post
from tests.support.sandbox import ALICE, BOB, CAROL
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, at

SEEDS = range(5)
STEPS = 24


class Week:
    """Everybody's next step, drawn from one seed."""

    def __init__(self, desk: ServerDesk, seed: int) -> None:
        self.desk = desk
        self.draw = random.Random(seed)
        self.made = 0

    # ── who does what to which ──
    def events(self, address: str, *, organised: bool) -> list[Item]:
        """The events of a mailbox that its user called, or was invited to."""
        box = self.desk.sandbox.organisation.mailbox(address)
        found = [one for one in box.folder("calendar").items.values() if meetings.people(one.values)]
        return [one for one in found if meetings.is_organised_by(box, one.values) == organised]

    def some_time(self) -> Timed:
        return at(self.draw.randint(0, 12), self.draw.randint(8, 17), self.draw.choice((0.5, 1.0, 2.0)))

    def name(self) -> str:
        self.made += 1
        return f"Meeting {self.made}"

    def occurrence(self, item: Item) -> datetime | None:
        """The original start of one of a series' occurrences; None for all of it, or for a single event."""
        if not item.is_series or self.draw.random() < 0.3:
            return None
        found = occurrences_between(item, at(-3, 0).start, at(60, 0).start)
        return self.draw.choice(found).original_start if found else None

    def timed(self) -> list[Activity]:
        return [one for one in self.desk.activities() if isinstance(one.when, Timed)]

    # ── Outlook ──
    def somebody_calls_a_meeting(self) -> None:
        organizer = self.draw.choice((ALICE, BOB, CAROL))
        guests = [one for one in GUESTS if one != organizer and (one == ALICE or self.draw.random() < 0.6)]
        when = self.some_time()
        values = {
            "item:Subject": self.name(),
            "item:Sensitivity": self.draw.choice(("Normal", "Normal", "Normal", "Private")),
            "calendar:Start": when.start,
            "calendar:End": when.end,
            "calendar:StartTimeZone": "UTC",
            "calendar:RequiredAttendees": [Person(GUESTS[one], one) for one in guests],
        }
        if self.draw.random() < 0.4:
            values["calendar:Recurrence"] = Recurrence(Daily(1), Numbered(when.start.date(), self.draw.randint(2, 5)))
        meetings.invite(self.desk.sandbox.organisation.create_item(organizer, "calendar", values))

    def organiser_changes(self) -> None:
        mine = self.events(self.draw.choice((ALICE, BOB, CAROL)), organised=True)
        if not mine:
            return
        item = self.draw.choice(mine)
        start = self.occurrence(item)
        if self.draw.random() < 0.5:
            meetings.change(item, {"item:Subject": self.name(), "calendar:Location": "Garden"}, start)
            return
        when = self.some_time()
        if start is not None:  # an occurrence stays on its day
            day = start.date()
            when = Timed(
                when.start.replace(year=day.year, month=day.month, day=day.day),
                when.start.replace(year=day.year, month=day.month, day=day.day) + (when.end - when.start),
            )
        meetings.change(item, {"calendar:Start": when.start, "calendar:End": when.end}, start)

    def organiser_cancels(self) -> None:
        mine = self.events(self.draw.choice((ALICE, BOB, CAROL)), organised=True)
        if mine:
            item = self.draw.choice(mine)
            meetings.cancel(item, self.occurrence(item))

    def guests_change(self) -> None:
        mine = self.events(self.draw.choice((BOB, CAROL)), organised=True)
        if mine:
            guests = [one for one in (ALICE, BOB, CAROL) if self.draw.random() < 0.6]
            item = self.draw.choice(mine)
            people = [Person(GUESTS[one], one) for one in guests]
            meetings.change(item, {"calendar:RequiredAttendees": people}, self.occurrence(item))

    def guest_answers(self) -> None:
        theirs = self.events(self.draw.choice((ALICE, ALICE, BOB, CAROL)), organised=False)
        theirs = [one for one in theirs if not one.values.get("calendar:IsCancelled")]
        if theirs:
            item = self.draw.choice(theirs)
            meetings.answer(item, self.draw.choice(("Accept", "Tentative", "Decline")), self.occurrence(item))

    def user_removes(self) -> None:
        stored = self.desk.stored()
        if stored:
            self.desk.sandbox.organisation.delete_item(self.draw.choice(stored))

    def user_invites_to_a_visit(self) -> None:
        visits = [one for one in self.desk.stored() if one.extended and not meetings.people(one.values)]
        if visits:
            meetings.change(self.draw.choice(visits), {"calendar:RequiredAttendees": [Person("Bob", BOB)]})

    # ── the CRM ──
    def crm_adds(self) -> None:
        self.desk.add(self.name(), self.some_time())

    def crm_edits(self) -> None:
        if self.timed():
            self.desk.edit(self.draw.choice(self.timed()).activity_id, description=self.name())

    def crm_moves(self) -> None:
        if self.timed():
            activity = self.draw.choice(self.timed())
            assert isinstance(activity.when, Timed)
            start = activity.when.start.replace(hour=self.draw.randint(6, 20))
            when = Timed(start, start + (activity.when.end - activity.when.start))
            act = self.desk.move if self.draw.random() < 0.5 else lambda one, time: self.desk.edit(one, when=time)
            act(activity.activity_id, when)

    def crm_cancels(self) -> None:
        if self.timed():
            act = self.desk.cancel if self.draw.random() < 0.5 else self.desk.remove
            act(self.draw.choice(self.timed()).activity_id)

    def step(self) -> None:
        """One step of somebody's."""
        steps: list[Callable[[], None]] = [
            self.somebody_calls_a_meeting,
            self.organiser_changes,
            self.organiser_cancels,
            self.guests_change,
            self.guest_answers,
            self.user_removes,
            self.user_invites_to_a_visit,
            self.crm_adds,
            self.crm_edits,
            self.crm_moves,
            self.crm_cancels,
        ]
        with suppress(NoSuchOccurrence):  # somebody took it off their calendar before
            self.draw.choice(steps)()


def shown_in_outlook(desk: ServerDesk) -> list[tuple[object, ...]]:
    """Every event of alice's calendar that takes place, occurrence by occurrence: when, and what it is called."""
    rows: list[tuple[object, ...]] = []
    for item in desk.stored():
        occurrences = occurrences_between(item, at(-2, 0).start, at(91, 0).start) if item.is_series else [item]
        for one in occurrences:
            if not one.values.get("calendar:IsCancelled"):
                private = item.values.get("item:Sensitivity") == "Private"
                title = "Busy" if private else one.values["item:Subject"]
                rows.append((one.values["calendar:Start"], one.values["calendar:End"], title))
    return sorted(rows)


@pytest.mark.req("C9", "O3", "Y1")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_week_of_meetings(seed: int, sandbox: Sandbox, sqlite_database: Database) -> None:
    """After every few steps two cycles bring both sides to agreement, a third writes nothing, and no cycle mails anybody or touches another calendar."""
    sandbox.clock.set(NOW)
    desk = ServerDesk(sqlite_database, sandbox=sandbox, reschedule=random.Random(seed).choice(("replace", "update")))
    week = Week(desk, seed)
    for _ in range(STEPS // 3):
        for _ in range(3):
            week.step()
        post = Post(desk)
        desk.cycle(allow_deletions=1000)
        desk.cycle(allow_deletions=1000)
        desk.check()
        third = desk.cycle()
        assert [change for change in third.changes if change.writes] == []
        post.check()
        active = [one for one in desk.activities() if one.status is not ActivityStatus.CANCELLED]
        assert sorted((a.when.start, a.when.end, a.description) for a in active) == shown_in_outlook(desk)
