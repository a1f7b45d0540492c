"""Must show 2: real calendars, edited on both sides: after two cycles both sides hold what an independent program says, a third does nothing.

The edits are drawn at random from a seed. First series are edited as a whole in Outlook while the CRM edits other entries, then single events
and occurrences on both sides; the two sides edit different entries, so that every edit must stand. What Outlook then holds is written out as
iCalendar and expanded by the judge; each edit carries a number in its title by which it is found again.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import icalendar
import pytest

from ops_lib.database.engine import Database
from ops_lib.model import Activity, ActivityStatus, AllDay, Timed, When
from ops_lib.sandbox import series
from ops_lib.sandbox.ical import to_ical
from ops_lib.sandbox.items import Item
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.mapping import one_line
from tests.e2e.test_real_calendars import FILES, upload
from tests.support.judge import occurrences, pieces
from tests.support.sandbox import ALICE
from tests.support.server_desk import ServerDesk

pytestmark = [
    pytest.mark.skipif(not FILES, reason="the real calendars are not beside the repository (../shared/calendars)"),
    pytest.mark.req("O1", "O4", "O5", "O6", "Y1"),
]

EDITS = 20
"""On each side."""

Row = tuple[datetime, datetime, bool, str]


@pytest.fixture(scope="module")
def grommunio_server() -> Iterator[Sandbox]:
    with Sandbox(like="grommunio") as running:
        yield running


@pytest.fixture
def other_sandbox(grommunio_server: Sandbox) -> Sandbox:
    grommunio_server.reset()
    return grommunio_server


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_real_calendar_edited_on_both_sides(path: Path, sandbox: Sandbox, sqlite_database: Database) -> None:
    """Twenty edits on each side, of series, occurrences and single events: all of them stand on both sides."""
    Editing(path, sandbox, sqlite_database).play()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_same_on_a_server_that_shows_no_occurrences(
    path: Path, other_sandbox: Sandbox, sqlite_database: Database
) -> None:
    """Twenty edits on each side, where occurrences are computed and found again by their number: all of them stand on both sides."""
    Editing(path, other_sandbox, sqlite_database).play()


def moment(path: Path) -> datetime:
    """A day to stand on: twenty before the file's middle event begins."""
    begins = sorted(
        str(event.decoded("DTSTART"))[:10] for event in icalendar.Calendar.from_ical(path.read_bytes()).walk("VEVENT")
    )
    return datetime.fromisoformat(begins[len(begins) // 2]).replace(hour=9, tzinfo=UTC) - timedelta(days=20)


@dataclass(slots=True)
class Target:
    """Something in Outlook that its user may edit: a single event, or an occurrence by its original start."""

    item: Item
    original_start: datetime | None


@dataclass
class Editing:
    path: Path
    sandbox: Sandbox
    database: Database
    draw: random.Random = field(init=False)
    desk: ServerDesk = field(init=False)
    edits: dict[str, int] = field(default_factory=lambda: {"crm": 0, "outlook": 0, "series": 0})
    has_many: bool = False
    number: int = 0
    standing: dict[str, Row | None] = field(
        default_factory=dict
    )  # by the number in the title; None: wherever the series says
    mine: set[str] = field(default_factory=set)  # activities that the CRM's user made or made anew
    whole: set[str] = field(default_factory=set)  # UIDs of series edited as a whole

    def play(self) -> None:
        self.draw = random.Random(self.path.stem)
        assert not [reason for _, text in pieces(self.path) if (reason := upload(self.sandbox, text))]
        self.desk = ServerDesk(self.database, sandbox=self.sandbox, now=moment(self.path))
        self.desk.settle()
        self.compare()
        self.has_many = len(self.targets()) > 60
        for _ in range(5):
            self.edit_a_series()
        while self.edits["crm"] < EDITS // 2:
            self.edit_in_crm()
        self.two_cycles()
        while self.edits["crm"] < EDITS or self.edits["outlook"] < EDITS:
            self.edit_in_crm()
            self.edit_in_outlook()
        self.two_cycles()
        assert self.sandbox.organisation.outbox == []

    # ── who edits what ───────────────────────────────────────────────────────────────────────────────────────────────
    def is_the_crms(self, uid: str, original_start: datetime | None) -> bool:
        """Each entry is edited by one side only; where there are few, so are the occurrences of one series."""
        name = uid if self.has_many else f"{uid}{original_start}"
        return random.Random(f"{self.path.stem}{name}").random() < 0.5

    def events(self) -> list[Item]:
        return [item for item in self.desk.stored() if item.element == "CalendarItem"]

    def targets(self) -> list[Target]:
        """What lies well within the window, so that no edit takes it out."""
        start, end = self.desk.now + timedelta(days=2), self.desk.now + timedelta(days=80)
        found: list[Target] = []
        for item in self.events():
            if item.is_series:
                found += [Target(item, o.original_start) for o in series.occurrences_between(item, start, end)]
            elif start <= item.values["calendar:Start"] < end:
                found.append(Target(item, None))
        return found

    def title(self) -> str:
        self.number += 1
        return f"edit {self.number}."

    # ── the CRM's user ───────────────────────────────────────────────────────────────────────────────────────────────
    def edit_in_crm(self) -> None:
        if self.edits["crm"] >= EDITS:
            return
        self.edits["crm"] += 1
        links = {link.activity_id: link for link in self.desk.links()}
        start, end = self.desk.now + timedelta(days=2), self.desk.now + timedelta(days=80)
        chosen: list[tuple[Activity, bool]] = []
        for activity in self.desk.activities():
            if activity.status is ActivityStatus.CANCELLED:
                continue
            if not (isinstance(activity.when, Timed) and start <= activity.when.start < end):
                continue
            link = links.get(activity.activity_id)
            if activity.activity_id in self.mine:
                chosen.append((activity, link is not None and link.original_start is not None))
            elif link is not None and link.uid not in self.whole and self.is_the_crms(link.uid, link.original_start):
                chosen.append((activity, link.original_start is not None))
        verb = self.draw.choice(["add", "retitle", "retitle", "move", "reschedule", "delete", "cancel"])
        if verb == "add" or not chosen:
            begin = self.desk.now.replace(minute=0) + timedelta(
                days=self.draw.randrange(3, 70), hours=self.draw.randrange(24)
            )
            self.mine.add(
                self.desk.add(
                    self.stands(Timed(begin, begin + timedelta(hours=1))), Timed(begin, begin + timedelta(hours=1))
                )
            )
            return
        activity, is_occurrence = self.draw.choice(chosen)
        self.forget(activity.description)
        assert isinstance(activity.when, Timed)
        by = (
            timedelta(minutes=self.draw.choice([-30, 30, 60]))
            if is_occurrence
            else timedelta(hours=self.draw.randrange(-26, 27))
        )
        moved = Timed(activity.when.start + by, activity.when.end + by)
        self.mine.add(activity.activity_id)
        match verb:
            case "retitle":
                self.desk.edit(activity.activity_id, description=self.stands(activity.when))
            case "move":
                self.desk.edit(activity.activity_id, description=self.stands(moved), when=moved)
            case "reschedule":
                new_id = self.desk.move(activity.activity_id, moved)
                self.mine.add(new_id)
                self.desk.edit(new_id, description=self.stands(moved))
            case "delete":
                self.desk.remove(activity.activity_id)
            case "cancel":
                self.desk.cancel(activity.activity_id)

    # ── Outlook's user ───────────────────────────────────────────────────────────────────────────────────────────────
    def edit_a_series(self) -> None:
        """A new title, or another hour, which on a server does away with what was changed or deleted in it."""
        found = sorted(
            {t.item.id: t.item for t in self.targets() if t.original_start is not None}.values(), key=lambda i: i.number
        )
        if not found:
            return
        item = self.draw.choice(found)
        self.edits["outlook"] += 1
        self.edits["series"] += 1
        self.whole.add(item.values["calendar:UID"])
        self.forget(item.values["item:Subject"])
        title = self.title()
        self.standing[title] = None
        values: dict[str, Any] = {"item:Subject": title}
        if not item.values.get("calendar:IsAllDayEvent") and self.draw.random() < 0.5:
            by = timedelta(minutes=self.draw.choice([-30, 30]))
            values |= {uri: item.values[uri] + by for uri in ("calendar:Start", "calendar:End")}
            item.exceptions, item.deleted = {}, set()
        self.sandbox.organisation.update_item(item, values)

    def edit_in_outlook(self) -> None:
        if self.edits["outlook"] >= EDITS:
            return
        self.edits["outlook"] += 1
        organisation = self.sandbox.organisation
        theirs = self.of_the_crm()
        found = [
            t
            for t in self.targets()
            if t.item.values["calendar:UID"] not in theirs
            and not self.is_the_crms(t.item.values["calendar:UID"], t.original_start)
        ]
        verb = self.draw.choice(["add", "retitle", "retitle", "move", "delete"])
        if verb == "add" or not found:
            begin = self.desk.now.replace(minute=0) + timedelta(
                days=self.draw.randrange(3, 70), hours=self.draw.randrange(24)
            )
            when = Timed(begin, begin + timedelta(minutes=45))
            organisation.create_item(
                ALICE,
                "calendar",
                {"item:Subject": self.stands(when), "calendar:Start": when.start, "calendar:End": when.end},
            )
            return
        target = self.draw.choice(found)
        item, original = target.item, target.original_start
        own = item.values if original is None else item.values | series.occurrence_at(item, original).values
        self.forget(own["item:Subject"])
        change: Callable[[dict[str, Any]], None] = (
            (lambda values: organisation.update_item(item, values))
            if original is None
            else (lambda values: organisation.update_occurrence(item, original, values))
        )
        if verb == "delete":
            if original is None:
                organisation.delete_item(item)
            else:
                organisation.delete_occurrence(item, original)
        elif verb == "move" and not own.get("calendar:IsAllDayEvent"):
            by = timedelta(minutes=self.draw.choice([-60, -15, 45]))
            when = Timed(own["calendar:Start"] + by, own["calendar:End"] + by)
            change({"item:Subject": self.stands(when), "calendar:Start": when.start, "calendar:End": when.end})
        else:
            title = self.title()
            self.standing[title] = None
            change({"item:Subject": title})

    def of_the_crm(self) -> set[str]:
        """UIDs of what the CRM's user made: Outlook's user leaves it alone."""
        links = {link.activity_id: link for link in self.desk.links()}
        return {links[a].uid for a in self.mine if a in links and links[a].original_start is None}

    # ── what must be ─────────────────────────────────────────────────────────────────────────────────────────────────
    def stands(self, when: When) -> str:
        """The title of an edit whose entry must be found at this time."""
        title = self.title()
        assert not isinstance(when, AllDay)
        self.standing[title] = (when.start, when.end, False, title)
        return title

    def forget(self, title: str) -> None:
        """An earlier edit of the same entry has been overtaken."""
        if self.standing.get(title) is not None:
            del self.standing[title]

    def two_cycles(self) -> None:
        self.desk.now += timedelta(minutes=5)
        for _ in range(2):
            self.desk.cycle(allow_deletions=1_000)
        self.compare()
        third = self.desk.cycle()
        assert [change for change in third.changes if change.writes] == []

    def compare(self) -> None:
        """The CRM's calendar, what the judge makes of Outlook's, and the edits themselves."""
        start, end = (
            self.desk.now.replace(hour=0, minute=0) - timedelta(days=2),
            self.desk.now.replace(hour=0, minute=0) + timedelta(days=91),
        )
        expected: Counter[Row] = Counter()
        for item in self.events():
            exceptions = {original: override.values for original, override in item.exceptions.items()}
            (file := self.file()).write_text(to_ical(item.values, exceptions, item.deleted), encoding="utf-8")
            expected.update((o.start, o.end, o.all_day, one_line(o.summary)) for o in occurrences(file, start, end))
        shown: Counter[Row] = Counter()
        for activity in self.desk.activities():
            if activity.status is ActivityStatus.CANCELLED:
                continue
            begin, finish = (_instant(each) for each in (activity.when.start, activity.when.end))
            if begin < end and (finish > start or begin == finish >= start):
                shown[begin, finish, isinstance(activity.when, AllDay), one_line(activity.description)] += 1
        assert shown == expected
        assert sum(shown.values()) > 0
        for title, row in self.standing.items():
            if row is not None:
                assert shown[row] == 1, (title, row, [r for r in shown if r[3] == title])

    def file(self) -> Path:
        folder = Path(self.database.shown.partition(":///")[2]).parent
        return folder / "event.ics"


def _instant(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
