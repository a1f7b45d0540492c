"""What people did on both sides and what must therefore stand there: the judge of the state machine. It shares no code with what it judges.

Every entry has a number at the head of its title, so it is known wherever it turns up, whatever ids it has by then. A private event of
Outlook's own is *Busy* to the CRM; those are compared by their times.
"""

from __future__ import annotations

import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ops_lib.model import Activity, ActivityStatus, AllDay, Item, Kind, Origin, Timed

CRM, OUTLOOK = "crm", "outlook"
BUSY = 0
"""The number that stands for every private event."""


class Row(NamedTuple):
    """An entry as a person sees it. A task has no place and no end; only a task is done."""

    title: str
    start: str
    end: str
    place: str
    done: bool | None


def numbered(number: int, words: str) -> str:
    return f"#{number} {words}"


def number_of(title: str) -> int:
    """The number at the head of a title; `BUSY` where there is none."""
    found = re.match(r"#(\d+)(?!\d)", title)
    return int(found[1]) if found else BUSY


def _line(text: str) -> str:
    return " ".join(text.split())[:255].rstrip()


def _text(body: str) -> str:
    """What an HTML body says, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def _spoken(when: Timed | AllDay) -> tuple[str, str]:
    if isinstance(when, AllDay):
        return str(when.start), str(max(when.end, when.start + timedelta(days=1)))
    return f"{when.start:%Y-%m-%d %H:%M:%S}", f"{when.end:%Y-%m-%d %H:%M:%S}"


def crm_row(activity: Activity, *, as_task: bool = False) -> Row:
    start, end = _spoken(activity.when)
    title = _line(activity.description)
    if as_task:
        return Row(title, start, "", "", activity.status is ActivityStatus.COMPLETED)
    return Row(title, start, end, _line(activity.location), None)


def outlook_row(item: Item, *, is_hidden: bool = False) -> Row:
    assert item.when is not None
    start, end = _spoken(item.when)
    if item.kind is Kind.TASK:
        return Row(_line(item.subject), start, "", "", item.is_complete)
    return (
        Row("Busy", start, end, "", None)
        if is_hidden
        else Row(_line(item.subject), start, end, _line(item.location), None)
    )


@dataclass
class Calendar:
    """What stands on both sides at one moment, by number."""

    crm: dict[int, list[Activity]]
    outlook: dict[int, list[Item]]

    @classmethod
    def of(cls, activities: Iterable[Activity], items: Iterable[Item]) -> Calendar:
        calendar = cls(defaultdict(list), defaultdict(list))
        for activity in activities:
            if not activity.is_deleted and activity.status is not ActivityStatus.CANCELLED:
                calendar.crm[number_of(activity.description)].append(activity)
        for item in items:
            if not item.is_cancelled and item.when is not None:
                calendar.outlook[number_of(item.subject)].append(item)
        return calendar

    def numbers(self) -> set[int]:
        return {*self.crm, *self.outlook} - {BUSY}

    def rows(self, side: str, number: int) -> list[Row]:
        """Everything with a number on one side, whether the other side is told of it or not."""
        if side == CRM:
            return sorted(crm_row(activity) for activity in self.crm.get(number, ()))
        return sorted((outlook_row(item) for item in self.outlook.get(number, ())), key=str)


@dataclass
class Diary:
    """Who made what, who touched what since both sides last agreed, and how each side was left."""

    born_in_crm: set[int] = field(default_factory=set)
    series: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)  # by anybody, ever
    doubled: set[int] = field(default_factory=set)  # there were two of it in Outlook when its user took one up
    written: dict[int, str] = field(default_factory=dict)  # what the user last wrote into the body in Outlook
    touched: dict[str, set[int]] = field(default_factory=lambda: {CRM: set(), OUTLOOK: set()})
    taken: Counter[int] = field(default_factory=Counter)  # how many of a number the CRM removed since
    left: dict[str, dict[int, list[Row]]] = field(default_factory=lambda: {CRM: {}, OUTLOOK: {}})
    count: int = 0

    def new(self, side: str) -> int:
        self.count += 1
        if side == CRM:
            self.born_in_crm.add(self.count)
        return self.count

    def note(self, side: str, number: int, now: Calendar, *, removes: bool = False) -> None:
        """Somebody did something to this entry on a side, which now is as ``now`` shows it."""
        hidden = [n for n, items in now.outlook.items() if any(item.is_private for item in items)]
        for each in hidden if number == BUSY else [number]:  # which of the private ones it was does not show
            self.touched[side].add(each)
            self.left[side][each] = now.rows(side, each)
            if removes:
                self.removed.add(each)
                self.taken[each] += side == CRM

    def settled(self, now: Calendar) -> None:
        """Both sides agree; from here on, what nobody touches must stay as it is. What is out of scope may differ: its edits are still to be met."""
        apart = {n for n in now.numbers() & self.born_in_crm if now.rows(CRM, n) != now.rows(OUTLOOK, n)}
        self.touched = {side: numbers & apart for side, numbers in self.touched.items()}
        self.taken.clear()
        for side in (CRM, OUTLOOK):
            self.left[side] = {number: now.rows(side, number) for number in now.numbers()}

    # ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def faults(self, now: Calendar, *, at: datetime, zone: ZoneInfo, type_ids: frozenset[str]) -> list[str]:
        """Everything that is wrong after quiet cycles, in words."""
        window = Shown(at, zone)
        found = []
        for number in sorted(now.numbers() | self.born_in_crm):
            found += [f"#{number}: {fault}" for fault in self._unequal(number, now, window, type_ids)]
            found += [f"#{number}: {fault}" for fault in self._lost(number, now, window, type_ids)]
        hidden = sorted(
            outlook_row(item, is_hidden=True)
            for number, items in now.outlook.items()
            for item in items
            # A private event that came back anew, its time having been edited in the CRM, is made of what the CRM knows of it.
            if (number == BUSY or self._is_hidden(number, item)) and window.shows(item.when)
        )
        busy = sorted(crm_row(a) for a in now.crm.get(BUSY, ()) if window.shows(a.when))
        if hidden != busy:
            found.append(f"busy times: Outlook has {hidden}, the CRM shows {busy}")
        return found

    def _is_hidden(self, number: int, item: Item) -> bool:
        return item.is_private and number not in self.born_in_crm

    def _unequal(self, number: int, now: Calendar, window: Shown, type_ids: frozenset[str]) -> Iterator[str]:
        items = [item for item in now.outlook.get(number, ()) if not self._is_hidden(number, item)]
        activities = now.crm.get(number, [])
        is_whole = number in self.born_in_crm and number not in self.series
        if not is_whole:
            items = [item for item in items if window.shows(item.when)]
            activities = [activity for activity in activities if window.shows(activity.when)]
        tasks = [item for item in items if item.kind is Kind.TASK]
        if any(not goes_out(activity, type_ids, has_task=bool(tasks)) for activity in activities):
            if number not in self.series | self.doubled and max(len(items), len(activities)) > 1:
                yield f"twice: {[*items, *activities]}"
            return
        crm = sorted((crm_row(a, as_task=bool(tasks) and is_as_task(a)) for a in activities), key=str)
        outlook = sorted((outlook_row(item) for item in items), key=str)
        if any(item.is_private for item in items):
            # The CRM's own, marked so by its user: only the time goes either way.
            crm, outlook = ([row._replace(title="", place="") for row in rows] for rows in (crm, outlook))
        if crm != outlook:
            yield f"Outlook has {outlook}, the CRM {crm}"
        if number not in self.series | self.doubled and len(items) > 1:
            yield f"twice in Outlook: {outlook}"
        if is_whole and [len(items), len(activities)] == [1, 1] and items[0].body is not None:
            told, notes = _text(items[0].body), " ".join(activities[0].notes.split())
            if notes not in told:
                yield f"the notes in the CRM are {notes!r}, and the body in Outlook is {told!r}"

    def _lost(self, number: int, now: Calendar, window: Shown, type_ids: frozenset[str]) -> Iterator[str]:
        crm, outlook = now.rows(CRM, number), now.rows(OUTLOOK, number)
        if number not in self.touched[CRM] and outlook != self.left[OUTLOOK].get(number, []):
            yield f"nobody touched it in the CRM, yet in Outlook it was {self.left[OUTLOOK].get(number)} and is {outlook}"
        if number not in self.touched[OUTLOOK] and crm != self.left[CRM].get(number, []):
            yield f"nobody touched it in Outlook, yet in the CRM it was {self.left[CRM].get(number)} and is {crm}"
        if number in self.born_in_crm and number not in self.removed and not crm:
            yield "lost from the CRM, and nobody removed it"
        if (
            number not in self.born_in_crm
            and len(outlook) < len(self.left[OUTLOOK].get(number, ())) - self.taken[number]
        ):
            yield f"Outlook had {self.left[OUTLOOK].get(number)}, {self.taken[number]} were removed in the CRM, and {outlook} are left"
        text = self.written.get(number)
        items = now.outlook.get(number, [])
        if text and len(items) == 1 and number not in self.removed | self.series:
            if text not in (items[0].body or ""):
                yield f"the user wrote {text!r}, and the body is {items[0].body!r}"
            standing = now.crm.get(number, [])
            is_told = number not in self.born_in_crm and not items[0].is_private and window.shows(items[0].when)
            if is_told and [a.notes for a in standing] != [text]:
                yield f"the body in Outlook is {text!r}, and the notes in the CRM are {[a.notes for a in standing]}"


class Shown:
    """Which of Outlook's own entries the CRM shows: whole days in the user's zone, two back and ninety ahead."""

    def __init__(self, at: datetime, zone: ZoneInfo) -> None:
        today = at.astimezone(zone).date()
        self.first, self.end = today - timedelta(days=2), today + timedelta(days=91)
        self.zone = zone

    def shows(self, when: Timed | AllDay | None) -> bool:
        if isinstance(when, AllDay):
            return when.start < self.end and when.end > self.first
        assert when is not None
        start, end = self._midnight(self.first), self._midnight(self.end)
        if when.start == when.end:
            return start <= when.start < end
        return when.start < end and when.end > start

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)


def is_as_task(activity: Activity) -> bool:
    """Whether an activity may stand in Outlook as a task; where its number has one, this is it."""
    return activity.origin is Origin.CRM and isinstance(activity.when, AllDay)


def goes_out(activity: Activity, type_ids: frozenset[str], *, has_task: bool) -> bool:
    """Whether an activity belongs into Outlook, all-day tasks being switched on."""
    if activity.origin is Origin.EXCHANGE:
        return True
    if activity.type_id not in type_ids:
        return False
    if isinstance(activity.when, Timed):
        return activity.when.start < activity.when.end
    return has_task or activity.status is not ActivityStatus.COMPLETED
