"""The cells of `docs/situations.md` brought about: a world of 225 entries, what happens in it, and what is seen afterwards.

All cells of a policy are played in one world: everything happens to all of them between two cycles, and each is then looked at by itself, in the
CRM's rows and among Outlook's items as they lie there. What is seen is said in the words of the page.
"""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.model import ActivityStatus, AllDay, Item, Kind, Link, LinkState, Timed, When
from ops_lib.sync.cycle import CycleResult
from tests.sync.desk import Desk, at, days
from tests.sync.situations import CELLS, NOT_POSSIBLE, Cell

_RULES = {
    "crm": ("crm", True),
    "exchange": ("exchange", True),
    "latest": ("latest", True),
    "earlier": ("latest", False),
}
"""Conflict rule, and whether Outlook was edited after the CRM."""


@dataclass(slots=True)
class Place:
    """One cell's entry in a world: where it was before anything happened."""

    cell: Cell
    title: str
    activity_id: str = ""
    item_id: str = ""
    extra_activity: str = ""
    extra_item: str = ""
    successor: str = ""


@dataclass(slots=True)
class World:
    desk: Desk
    places: dict[Cell, Place] = field(default_factory=dict)
    results: list[CycleResult] = field(default_factory=list)
    before: Seen = field(init=False)
    after: Seen = field(init=False)

    # ── making it ────────────────────────────────────────────────────────────────────────────────────────────────────
    def fill(self) -> None:
        """Make every cell's entry and let both sides agree on them."""
        for number, cell in enumerate(cell for cell in CELLS if cell.is_possible):
            self.places[cell] = self._add(cell, number)
        self.desk.settle()
        by_item = {link.item_id: link.activity_id for link in self.desk.links()}
        by_activity = {activity_id: item_id for item_id, activity_id in by_item.items()}
        for place in self.places.values():
            place.activity_id = place.activity_id or by_item[place.item_id]
            place.item_id = place.item_id or by_activity[place.activity_id]

    def _add(self, cell: Cell, number: int) -> Place:
        place = Place(cell, f"entry {number}")
        when = at(10 + number % 5, 8 + number % 7)
        outlook = self.desk.outlook
        match cell.kind:
            case "made in the CRM":
                place.activity_id = self.desk.add(place.title, when, location="Lobby")
            case "task":
                place.activity_id = self.desk.add(place.title, days(10 + number % 5))
            case "made in Outlook":
                place.item_id = outlook.add(place.title, when, location="Lobby")
            case "meeting":
                people = ("bob@example.test", "carol@example.test")
                place.item_id = outlook.add(
                    place.title, when, location="Lobby", is_meeting=True, organizer="bob@example.test", attendees=people
                )
            case _:
                starts = [when.start + timedelta(weeks=week) for week in range(3)]
                master = outlook.add_series(place.title, starts, location="Lobby", is_meeting=True)
                place.item_id = outlook.occurrences[master][1].item_id
        return place

    def copied(self, path: Path, rule: str, reschedule: str) -> World:
        """The same world once more, with rules of its own."""
        with (
            closing(sqlite3.connect(self.desk.database.shown.partition(":///")[2])) as ours,
            closing(sqlite3.connect(path)) as theirs,
        ):
            ours.backup(theirs)
        old = self.desk.outlook
        desk = object.__new__(Desk)
        desk.__dict__.update(self.desk.__dict__)
        desk.database = Database(f"sqlite:///{path}")
        desk.conflict, desk.reschedule = _RULES[rule][0], reschedule
        desk.outlook = replace(
            old,
            now=lambda: desk.now,
            items=dict(old.items),
            occurrences={master: list(each) for master, each in old.occurrences.items()},
            log=list(old.log),
            numbers=itertools.count(1_000_000),
        )
        return World(desk, {cell: replace(place) for cell, place in self.places.items()})

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────
    def happen(self, *, outlook_is_later: bool) -> None:
        """Everything happens, on the one side and a minute later on the other; then two cycles run and a third does nothing."""
        for side in ("crm", "outlook") if outlook_is_later else ("outlook", "crm"):
            self.desk.now += timedelta(minutes=1)
            for place in self.places.values():
                (self._in_crm if side == "crm" else self._in_outlook)(place)
        self.before = self.see()
        self.desk.now += timedelta(minutes=5)
        self.results = [self.desk.cycle(allow_deletions=1_000) for _ in range(2)]
        self.desk.check()
        third = self.desk.cycle()
        assert [change for change in third.changes if change.writes] == []
        self.after = self.see()

    def _in_crm(self, place: Place) -> None:
        desk, activity_id, action = self.desk, place.activity_id, place.cell.crm_action
        activity = desk.get(activity_id)
        match action:
            case "edited":
                desk.edit(activity_id, description=f"{place.title} (CRM)")
            case "edited besides":
                if place.cell.kind != "task":
                    desk.edit(activity_id, location="CRM's place")
                elif place.cell.action == "edited":
                    desk.edit(activity_id, when=_later(activity.when, timedelta(days=3)))
                else:
                    desk.edit(activity_id, description=f"{place.title} (CRM)")
            case "deleted":
                desk.remove(activity_id)
            case "moved":
                desk.edit(activity_id, when=_later(activity.when, timedelta(hours=2)))
            case "rescheduled":
                place.successor = desk.move(activity_id, _later(activity.when, timedelta(days=1, hours=1)))
            case "left scope":
                desk.edit(activity_id, type_name="Call Out")
            case "copied":
                place.extra_activity = desk.add(
                    activity.description, activity.when, type_name=activity.type_name, location=activity.location
                )
            case "cancelled":
                desk.cancel(activity_id)
            case "all-day switched":
                desk.edit(activity_id, when=at(12, 15) if isinstance(activity.when, AllDay) else days(12))
            case "completed":
                desk.edit(activity_id, status=ActivityStatus.COMPLETED)

    def _in_outlook(self, place: Place) -> None:
        outlook, action = self.desk.outlook, place.cell.outlook_action
        if not action:
            return
        item = outlook.find(place.item_id)
        assert item is not None
        assert item.when is not None
        match action:
            case "edited":
                outlook.edit(item.item_id, subject=f"{place.title} (Outlook)")
            case "edited besides":
                if place.cell.kind != "task":
                    outlook.edit(item.item_id, location="Outlook's place")
                elif place.cell.action == "edited":
                    outlook.edit(item.item_id, when=_later(item.when, timedelta(days=4)))
                else:
                    outlook.edit(item.item_id, subject=f"{place.title} (Outlook)")
            case "deleted":
                outlook.remove(item.item_id)
            case "moved":
                outlook.edit(
                    item.item_id,
                    when=_later(item.when, timedelta(days=3) if place.cell.kind == "task" else timedelta(hours=3)),
                )
            case "rescheduled":
                outlook.edit(item.item_id, when=_later(item.when, timedelta(days=2, hours=2)))
            case "left scope":
                outlook.edit(item.item_id, when=_later(item.when, timedelta(days=200)))
            case "copied":
                # a copy of one occurrence is a single event
                place.extra_item = (
                    outlook.copy(item.item_id) if item.original_start is None else outlook.add(item.subject, item.when)
                )
            case "cancelled":
                outlook.edit(item.item_id, is_cancelled=True, subject=f"Canceled: {item.subject}")
            case "all-day switched":
                outlook.edit(item.item_id, when=days(13))
            case "completed":
                outlook.edit(item.item_id, is_complete=True)

    # ── what is seen ─────────────────────────────────────────────────────────────────────────────────────────────────
    def see(self) -> Seen:
        """Both sides' rows as they lie there, and which belong together."""
        with self.desk.database.read() as connection:
            rows = {str(row.id): row for row in connection.execute(select(t.activities))}
        outlook = self.desk.outlook
        items = {
            item.item_id: item for item in (*outlook.items.values(), *itertools.chain(*outlook.occurrences.values()))
        }
        return Seen(rows, items, {link.activity_id: link for link in self.desk.links()})

    def effect(self, cell: Cell) -> str:
        """What came of a cell, in the words of the table."""
        place, before, after = self.places[cell], self.before, self.after
        activity_id = place.successor or place.activity_id
        activity, activity_id = _activity_words(activity_id, before, after)
        item = _item_words(place, activity_id, before, after)
        words = [activity, item]
        link = after.links.get(activity_id)
        if link is not None and link.state is LinkState.RESTING:
            words.append("the link rests")
        elif link is not None:
            row, end = after.rows[activity_id], after.items[link.item_id]
            assert _look_of_row(row, link.kind) == _look_of_item(end), (str(cell), row, end)
        if place.extra_activity:
            copy = after.links.get(place.extra_activity)
            words.append("the copy is not sent" if copy is None else f"the copy gets {_a(copy.kind)}")
        if place.extra_item:
            copy = next((link for link in after.links.values() if link.item_id == place.extra_item), None)
            words.append("the copy is not shown" if copy is None else "the copy gets an activity")
        if any(
            outcome.loser is not None and outcome.activity_id in (place.activity_id, place.successor, activity_id)
            for result in self.results
            for outcome in result.outcomes
        ):
            words.append("the other version is kept")
        return ", ".join(words)

    def check_siblings(self) -> None:
        """What happened to one occurrence happened to no other of its series, nor to the series."""
        for cell, place in self.places.items():
            if cell.kind == "occurrence":
                mine = [
                    (item_id, item.when, item.subject)
                    for item_id, item in self.after.items.items()
                    if item_id.startswith(place.item_id.partition("@")[0] + "@") and item_id != place.item_id
                ]
                links = {link.item_id: activity_id for activity_id, link in self.after.links.items()}
                assert len(mine) == 2, str(cell)
                for item_id, when, subject in mine:
                    row = self.after.rows[links[item_id]]
                    assert (subject, row.description, when) == (
                        place.title,
                        place.title,
                        Timed(row.starts_at, row.ends_at),
                    )


@dataclass(frozen=True, slots=True)
class Seen:
    """Both sides at one moment: the CRM's rows and Outlook's items by id, and the links by activity."""

    rows: dict[str, Any]
    items: dict[str, Item]
    links: dict[str, Link]


def _activity_words(activity_id: str, before: Seen, after: Seen) -> tuple[str, str]:
    """What became of the activity, and which one stands for it now."""
    was, now = before.rows[activity_id], after.rows[activity_id]
    made = [r for r in after.rows.values() if r.rescheduled_from == now.id and str(r.id) not in before.rows]
    if made:
        (new,) = made
        assert now.is_deleted
        assert not new.is_deleted
        return "activity replaced", str(new.id)
    was_off, is_off = was.is_deleted or was.status == "Cancelled", now.is_deleted or now.status == "Cancelled"
    if was_off:
        return ("activity stays off" if is_off else "activity stands again"), activity_id
    if now.is_deleted:
        return "activity removed", activity_id
    if is_off:
        assert "in Outlook on 2026-11-23" in now.notes
        return "activity cancelled", activity_id
    same = (was.version, was.updated_at) == (now.version, now.updated_at)
    return ("activity stays" if same else "activity updated"), activity_id


def _item_words(place: Place, activity_id: str, before: Seen, after: Seen) -> str:
    was, now, link = before.items.get(place.item_id), after.items.get(place.item_id), after.links.get(activity_id)
    other = after.items[link.item_id] if link is not None and link.item_id != place.item_id else None
    if other is not None:
        assert now is None, f"{place.cell}: the old item is still there"
        if was is None:
            return "event made again" if other.kind is Kind.EVENT else "task made again"
        if was.kind is not other.kind:
            return f"{was.kind} becomes {_a(other.kind)}"
        return f"{was.kind} replaced"
    if now is None or was is None:
        kind = Kind.TASK if place.cell.kind == "task" else Kind.EVENT
        return f"{kind} stays off" if was is None else f"{kind} removed"
    return f"{now.kind} stays" if was == now else f"{now.kind} updated"


def _a(kind: Kind) -> str:
    return "a task" if kind is Kind.TASK else "an event"


def _look_of_row(row: Any, kind: Kind) -> tuple[Any, ...]:
    """A row of the CRM as Outlook should show it."""
    when: When = AllDay(row.first_day, row.end_day) if row.is_all_day else Timed(row.starts_at, row.ends_at)
    if kind is Kind.TASK:
        return row.description, when, row.status == "Completed"
    return row.description, when, row.location


def _look_of_item(item: Item) -> tuple[Any, ...]:
    return item.subject, item.when, item.is_complete if item.kind is Kind.TASK else item.location


def _later(when: When, by: timedelta) -> When:
    if isinstance(when, AllDay):
        whole = max(by, timedelta(days=1))
        return AllDay(when.start + whole, when.end + whole)
    return Timed(when.start + by, when.end + by)


# ── all policies ─────────────────────────────────────────────────────────────────────────────────────────────────────
def play(database: Database, folder: Path) -> dict[Cell, str]:
    """What comes of each cell under every policy, said once where it does not matter."""
    first = World(Desk(database))
    first.fill()
    effects: dict[Cell, dict[tuple[str, str], str]] = {cell: {} for cell in CELLS}
    for rule, reschedule in itertools.product(_RULES, ("replace", "update")):
        world = first.copied(folder / f"{rule}-{reschedule}.db", rule, reschedule)
        world.happen(outlook_is_later=_RULES[rule][1])
        world.check_siblings()
        for cell in CELLS:
            effects[cell][rule, reschedule] = world.effect(cell) if cell.is_possible else NOT_POSSIBLE
    return {cell: _summary(by_policy) for cell, by_policy in effects.items()}


def _summary(by_policy: dict[tuple[str, str], str]) -> str:
    """One text for all policies: by conflict rule, by `reschedule`, where these matter. `latest` is one of the other two unless it is named."""
    if len(set(by_policy.values())) == 1:
        return next(iter(by_policy.values()))
    texts: dict[str, str] = {}
    for rule in _RULES:
        replaced, updated = by_policy[rule, "replace"], by_policy[rule, "update"]
        texts[rule] = replaced if replaced == updated else f"`replace`: {replaced}; `update`: {updated}"
    if len(set(texts.values())) == 1:
        return texts["crm"]
    crm, exchange = texts["crm"], texts["exchange"]
    for kind in Kind:
        if (crm, exchange) == tuple(text.format(kind=kind) for text in _RULE_DECIDES):
            crm, exchange = "the rule decides", ""
        elif (crm, exchange) == tuple(text.format(kind=kind) for text in _RULE_DECIDES_AND_REPLACES):
            crm, exchange = "the rule decides (and replaces)", ""
    lines = [f"`crm`: {crm}", f"`exchange`: {exchange}"] if exchange else [crm]
    if texts["latest"] != texts["exchange"]:
        lines.append(f"`latest`, later in Outlook: {texts['latest']}")
    if texts["earlier"] != texts["crm"]:
        lines.append(f"`latest`, later in the CRM: {texts['earlier']}")
    return "<br>".join(lines)


_KEPT = "the other version is kept"
_RULE_DECIDES = (f"activity stays, {{kind}} updated, {_KEPT}", f"activity updated, {{kind}} stays, {_KEPT}")
_RULE_DECIDES_AND_REPLACES = (
    f"activity stays, {{kind}} updated, {_KEPT}",
    f"`replace`: activity replaced, {{kind}} stays, {_KEPT}; `update`: activity updated, {{kind}} stays, {_KEPT}",
)
