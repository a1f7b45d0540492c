"""A user at Outlook, in memory: a calendar with series, a tasks folder, and what a server may do to who reads them.

Series are a master and its occurrences. As on Exchange, a new time or pattern of a series does away with its exceptions and its deletions, and
what is changed on the master shows on every occurrence that was not changed itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ops_lib.errors import ItemGone, MailboxError
from ops_lib.mailbox import ItemContent
from ops_lib.mailbox.occurrences import occurrence_id
from ops_lib.model import AllDay, Item, ItemType, Kind, Timed, When


@dataclass
class Outlook:
    """One user's mailbox: a calendar and a tasks folder with a log of changes."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    items: dict[str, Item] = field(default_factory=dict)
    occurrences: dict[str, list[Item]] = field(default_factory=dict)  # by master id
    log: list[tuple[Kind, str, str]] = field(default_factory=list)  # folder, "there" | "gone", item id
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    late: dict[str, Item] = field(default_factory=dict)
    moved_uids: set[str] = field(default_factory=set)

    # how the server is
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))  # in which all-day events have their midnights
    generation: int = 1
    expands: bool = True  # whether the calendar view shows occurrences, or only the masters that begin in it
    checks_change_keys: bool = True
    refuses_sync_states: bool = True  # else one that it does not know is taken for none
    forgets_once: set[Kind] = field(default_factory=set)  # folders whose next state is taken for none, without a word

    # what goes wrong
    failures: list[tuple[str, Exception, str]] = field(default_factory=list)
    unreadable: dict[str, MailboxError] = field(default_factory=dict)  # what the next read of an item answers, once
    refusals: list[tuple[str, MailboxError]] = field(default_factory=list)  # of the next such call, the first item
    poison: dict[str, MailboxError] = field(
        default_factory=dict
    )  # by a piece of the subject: always, whatever is asked
    uncomputable: dict[str, MailboxError] = field(default_factory=dict)  # by master, why
    doubles_creates: bool = False
    watch: Callable[[str, Sequence[ItemContent]], object] = lambda call, contents: None  # what each write carries
    meanwhile: list[tuple[str, Callable[[], object]]] = field(default_factory=list)  # what happens just before a call

    # ── what the user does ───────────────────────────────────────────────────────────────────────────────────────────
    def add(self, subject: str, when: When, *, kind: Kind = Kind.EVENT, **more: Any) -> str:
        number = next(self.numbers)
        item = Item(
            item_id=f"I{number}",
            change_key=f"K{number}",
            kind=kind,
            subject=subject,
            when=when,
            uid=more.pop("uid", f"U{number}"),
            last_modified=self.now(),
            **more,
        )
        self.items[item.item_id] = item
        self.log.append((kind, "there", item.item_id))
        return item.item_id

    def edit(self, item_id: str, **changes: Any) -> None:
        """Change an item. One of a series becomes an exception; what is changed on a master shows on the others."""
        if item_id not in self.items:
            self._edit_occurrence(item_id, changes)
            return
        item = self.items[item_id]
        self.items[item_id] = replace(item, change_key=self._key(), last_modified=self.now(), **changes)
        if item.item_type is ItemType.MASTER:
            inherited = {name: value for name, value in changes.items() if name in _INHERITED}
            self.occurrences[item_id] = [
                replace(o, change_key=self._key(), last_modified=self.now(), **inherited)
                if inherited and o.item_type is ItemType.OCCURRENCE
                else o
                for o in self.occurrences.get(item_id, ())
            ]
        self.log.append((item.kind, "there", item_id))

    def _edit_occurrence(self, item_id: str, changes: dict[str, Any]) -> None:
        master_id, index = self._where(item_id)
        occurrence = self.occurrences[master_id][index]
        self.occurrences[master_id][index] = replace(
            occurrence, change_key=self._key(), item_type=ItemType.EXCEPTION, last_modified=self.now(), **changes
        )
        self.log.append((Kind.EVENT, "there", master_id))

    def remove(self, item_id: str) -> None:
        if item_id not in self.items:
            master_id, index = self._where(item_id)
            del self.occurrences[master_id][index]
            self.log.append((Kind.EVENT, "there", master_id))
            return
        item = self.items.pop(item_id)
        self.occurrences.pop(item_id, None)
        self.log.append((item.kind, "gone", item_id))

    def copy(self, item_id: str, shift: timedelta = timedelta(0)) -> str:
        item = self.items[item_id]
        number = next(self.numbers)
        when = Timed(item.when.start + shift, item.when.end + shift) if isinstance(item.when, Timed) else item.when
        self.items[f"I{number}"] = replace(
            item, item_id=f"I{number}", change_key=f"K{number}", uid=f"U{number}", when=when
        )
        self.log.append((item.kind, "there", f"I{number}"))
        return f"I{number}"

    # ── series ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def add_series(
        self, subject: str, starts: Sequence[datetime], length: timedelta = timedelta(hours=1), **more: Any
    ) -> str:
        master_id = self.add(subject, Timed(starts[0], starts[0] + length), item_type=ItemType.MASTER, **more)
        self.set_occurrences(master_id, [(start, Timed(start, start + length)) for start in starts])
        return master_id

    def set_occurrences(self, master_id: str, slots: Sequence[tuple[datetime, Timed]]) -> None:
        """Which occurrences the series has: original start, and when it takes place."""
        master = self.items[master_id]
        self.occurrences[master_id] = [
            replace(
                master,
                item_id=self._occurrence_id(master_id, original),
                change_key=self._key(),
                item_type=ItemType.OCCURRENCE if when.start == original else ItemType.EXCEPTION,
                when=when,
                original_start=original,
            )
            for original, when in slots
        ]
        self.edit(master_id)

    def set_pattern(self, master_id: str, starts: Sequence[datetime], length: timedelta = timedelta(hours=1)) -> None:
        """Give a series another time or pattern, or make one of a single event."""
        when = Timed(starts[0], starts[0] + length)
        self.items[master_id] = replace(self.items[master_id], item_type=ItemType.MASTER, when=when)
        self.set_occurrences(master_id, [(start, Timed(start, start + length)) for start in starts])

    def make_single(self, master_id: str) -> None:
        """Take the recurrence from a series: what remains is one event, where the first one was due."""
        self.occurrences.pop(master_id)
        self.edit(master_id, item_type=ItemType.SINGLE)

    def every(self) -> Iterator[Item]:
        """What the user sees: singles, tasks and occurrences."""
        yield from (item for item in self.items.values() if item.item_type is not ItemType.MASTER)
        for each in self.occurrences.values():
            yield from each

    def find(self, item_id: str) -> Item | None:
        """An item or an occurrence by its id."""
        if item_id in self.items:
            return self.items[item_id]
        return next((o for each in self.occurrences.values() for o in each if o.item_id == item_id), None)

    def _where(self, item_id: str) -> tuple[str, int]:
        for master_id, each in self.occurrences.items():
            for index, occurrence in enumerate(each):
                if occurrence.item_id == item_id:
                    return master_id, index
        raise KeyError(item_id)

    def _occurrence_id(self, master_id: str, original: datetime) -> str:
        return f"{master_id}@{original:%Y%m%d%H%M}" if self.expands else occurrence_id(master_id, original.date())

    def _key(self) -> str:
        return f"K{next(self.numbers)}"

    # ── what happens to the mailbox ──────────────────────────────────────────────────────────────────────────────────
    def forget_sync_states(self) -> None:
        self.generation += 1

    def renumber(self) -> None:
        """The mailbox moves to another server: every item id is new, UIDs and stamps stay."""
        self.generation += 1
        soon = self.now() - timedelta(days=1), self.now() + timedelta(days=60)
        self.moved_uids = {
            item.uid
            for item in self.items.values()
            if isinstance(item.when, Timed) and soon[0] < item.when.start < soon[1]
            if not (item.stamp or item.is_cancelled or item.item_type is ItemType.MASTER)
        }
        old, series = self.items, self.occurrences
        self.items = {
            f"M{key}": replace(item, item_id=f"M{key}", change_key=f"M{item.change_key}") for key, item in old.items()
        }
        self.occurrences = {
            f"M{key}": [
                replace(o, item_id=self._occurrence_id(f"M{key}", o.original_start), change_key=self._key())
                for o in each
                if o.original_start is not None
            ]
            for key, each in series.items()
        }
        self.log = [(item.kind, "there", item_id) for item_id, item in self.items.items()]

    def has_survivors(self) -> bool:
        """Whether anything is left of what there was when the mailbox moved."""
        return any(item.uid in self.moved_uids for item in self.items.values())

    def fail(self, call: str, error: Exception, when: str = "before") -> None:
        """Let the next such call (``*``: whichever) fail: ``before`` it is carried out, ``after``, ``twice``: carried out twice, or ``late``: its items
        appear with `arrive`."""
        self.failures.append((call, error, when))

    def arrive(self) -> None:
        """What was carried out late is there now."""
        for item_id, item in self.late.items():
            self.items[item_id] = item
            self.log.append((item.kind, "there", item_id))
        self.late.clear()

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        for plans in (self.failures, self.unreadable, self.refusals, self.poison, self.uncomputable, self.meanwhile):
            plans.clear()
        self.doubles_creates = False
        self.forgets_once.clear()
        self.arrive()

    def poison_of(self, subject: str) -> MailboxError | None:
        return next((error for part, error in self.poison.items() if part in subject), None)

    def subjects(self, kind: Kind = Kind.EVENT) -> list[str]:
        return sorted(item.subject for item in self.items.values() if item.kind is kind)


_INHERITED = frozenset({"subject", "location", "body", "body_is_html", "is_private", "is_cancelled"})


def gone(item_id: str) -> ItemGone:
    return ItemGone(
        "The specified object was not found in the store.", subject=item_id, response_code="ErrorItemNotFound"
    )


def all_day_bounds(when: AllDay, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Midnight of the first day and of the day after the last."""
    return datetime.combine(when.start, time(), zone), datetime.combine(when.end, time(), zone)
