"""A mailbox in memory that keeps the contract, for tests of the sync that need no server: fast, and able to fail at any call.

`Outlook` is what the user does in it; `MemoryMailbox` is how the sync sees it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ops_lib.errors import AnswerLost, ItemConflict, ItemGone, MailboxError, SyncStateInvalid
from ops_lib.mailbox import FolderChanges, ItemContent, ItemUpdate, View
from ops_lib.mailbox.occurrences import is_computed, master_and_day, occurrence_id
from ops_lib.model import AllDay, Item, ItemType, Kind, Timed, When, Window, Written


@dataclass
class Outlook:
    """One user's mailbox: a calendar and a tasks folder with a log of changes. Series are a master and its occurrences, made by hand."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    items: dict[str, Item] = field(default_factory=dict)
    occurrences: dict[str, list[Item]] = field(default_factory=dict)  # by master id
    log: list[tuple[Kind, str, str]] = field(default_factory=list)  # folder, "there" | "gone", item id
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    failures: list[tuple[str, Exception, str]] = field(default_factory=list)
    generation: int = 1
    expands: bool = True  # whether the calendar view shows occurrences, or only the masters that begin in it
    late: dict[str, Item] = field(default_factory=dict)
    unreadable: dict[str, MailboxError] = field(default_factory=dict)  # what the next read of an item answers, once
    doubles_creates: bool = False
    watch: Callable[[str, Sequence[ItemContent]], object] = lambda call, contents: None  # what each write carries
    meanwhile: list[tuple[str, Callable[[], object]]] = field(default_factory=list)  # what happens just before a call
    uncomputable: dict[str, MailboxError] = field(default_factory=dict)  # by master, why

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
        item = self.items[item_id]
        self.items[item_id] = replace(item, change_key=f"K{next(self.numbers)}", last_modified=self.now(), **changes)
        self.log.append((item.kind, "there", item_id))

    def remove(self, item_id: str) -> None:
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
                item_id=f"{master_id}@{original:%Y%m%d%H%M}"
                if self.expands
                else occurrence_id(master_id, original.date()),
                change_key=f"K{next(self.numbers)}",
                item_type=ItemType.OCCURRENCE if when.start == original else ItemType.EXCEPTION,
                when=when,
                original_start=original,
            )
            for original, when in slots
        ]
        self.edit(master_id)

    def forget_sync_states(self) -> None:
        self.generation += 1

    def renumber(self) -> None:
        """The mailbox moves to another server: every item id is new, UIDs and stamps stay."""
        self.generation += 1
        self.items = {
            f"M{key}": replace(item, item_id=f"M{key}", change_key=f"M{item.change_key}")
            for key, item in self.items.items()
        }
        self.occurrences = {}
        self.log = [(item.kind, "there", item_id) for item_id, item in self.items.items()]

    def fail(self, call: str, error: Exception, when: str = "before") -> None:
        """Let the next such call fail: ``before`` it is carried out, ``after``, or ``late``: its items appear with `arrive`."""
        self.failures.append((call, error, when))

    def arrive(self) -> None:
        """What was carried out late is there now."""
        for item_id, item in self.late.items():
            self.items[item_id] = item
            self.log.append((item.kind, "there", item_id))
        self.late.clear()

    def subjects(self, kind: Kind = Kind.EVENT) -> list[str]:
        return sorted(item.subject for item in self.items.values() if item.kind is kind)


class MemoryMailbox:
    """The contract over an `Outlook`."""

    def __init__(self, outlook: Outlook, address: str = "alice@example.test") -> None:
        self.outlook = outlook
        self.address = address
        self.requests = 0
        self.bytes_received = 0
        self.writes = 0

    def _call(self, name: str, run: Callable[[], Any], *, writes: bool = False) -> Any:
        self.requests += 1
        due = next((each for each in self.outlook.meanwhile if each[0] == name), None)
        if due is not None:
            self.outlook.meanwhile.remove(due)
            due[1]()
        planned = next((f for f in self.outlook.failures if f[0] == name), None)
        if planned is None:
            self.writes += writes
            return run()
        self.outlook.failures.remove(planned)
        before = set(self.outlook.items)
        if planned[2] != "before":
            run()
        if planned[2] == "late":
            self.outlook.late |= {
                item_id: self.outlook.items.pop(item_id) for item_id in set(self.outlook.items) - before
            }
        raise planned[1]

    def changes(self, kind: Kind, sync_state: str = "") -> FolderChanges:
        return self._call("changes", lambda: self._changes(kind, sync_state))

    def _changes(self, kind: Kind, sync_state: str) -> FolderChanges:
        outlook = self.outlook
        generation, _, position = sync_state.partition(":")
        if sync_state and (generation != str(outlook.generation) or int(position) > len(outlook.log)):
            raise SyncStateInvalid(
                "Synchronization state data is corrupt or otherwise invalid.", response_code="ErrorInvalidSyncStateData"
            )
        start = int(position) if sync_state else 0
        touched = dict.fromkeys(item_id for folder, _, item_id in outlook.log[start:] if folder is kind)
        there = [_listed(outlook.items[i]) for i in touched if i in outlook.items and outlook.items[i].kind is kind]
        gone = [i for i in touched if i not in outlook.items] if sync_state else []
        return FolderChanges(there, gone, f"{outlook.generation}:{len(outlook.log)}", [])

    def view(self, window: Window) -> View:
        def run() -> View:
            singles = [
                i for i in self.outlook.items.values() if i.kind is Kind.EVENT and i.item_type is ItemType.SINGLE
            ]
            if self.outlook.expands:
                series = [o for each in self.outlook.occurrences.values() for o in each]
            else:
                series = [i for i in self.outlook.items.values() if i.item_type is ItemType.MASTER]
            found = [_listed(item) for item in (*singles, *series) if _overlaps(item, window)]
            return View(found, not any(item.item_type is ItemType.MASTER for item in found))

        return self._call("view", run)

    def expand(self, master_ids: Sequence[str], window: Window) -> list[list[Item] | MailboxError]:
        def run(master_id: str) -> list[Item] | MailboxError:
            if master_id in self.outlook.uncomputable:
                return self.outlook.uncomputable[master_id]
            if master_id not in self.outlook.items:
                return _gone(master_id)
            occurrences = self.outlook.occurrences.get(master_id, [])
            return [replace(o, body=o.body or "") for o in occurrences if _overlaps(o, window)]

        return self._call("expand", lambda: [run(master_id) for master_id in master_ids])

    def read(self, kind: Kind, item_ids: Sequence[str]) -> list[Item | MailboxError]:
        return self._call("read", lambda: [self._get(item_id) for item_id in item_ids])

    def _get(self, item_id: str) -> Item | MailboxError:
        if item_id in self.outlook.unreadable:
            return self.outlook.unreadable.pop(item_id)
        if item_id in self.outlook.items:
            item = self.outlook.items[item_id]
            return replace(item, body=item.body or "")
        for each in self.outlook.occurrences.values():
            for occurrence in each:
                if occurrence.item_id == item_id:
                    return replace(occurrence, body=occurrence.body or "")
        return _gone(item_id)

    def find_stamps(self, kind: Kind, stamps: Sequence[str]) -> dict[str, list[Item]]:
        def run() -> dict[str, list[Item]]:
            found: dict[str, list[Item]] = {}
            for item in self.outlook.items.values():
                if item.kind is kind and item.stamp in stamps:
                    found.setdefault(item.stamp, []).append(item)
            return found

        return self._call("find_stamps", run)

    def create(self, kind: Kind, contents: Sequence[ItemContent]) -> list[Written | MailboxError]:
        assert len(contents) <= 50

        def run() -> list[Written | MailboxError]:
            made: list[Written | MailboxError] = []
            for c in (*contents, *contents) if self.outlook.doubles_creates else contents:
                item_id = self.outlook.add(
                    c.subject or "",
                    c.when or _NEVER,
                    kind=kind,
                    location=c.location or "",
                    body=c.body_html,
                    body_is_html=True,
                    stamp=c.stamp or "",
                    is_complete=bool(c.is_complete),
                    reminder_is_set=c.has_reminder,
                )
                made.append(Written(item_id, self.outlook.items[item_id].change_key))
            return made[: len(contents)]

        return self._call("create", run, writes=True)

    def update(self, updates: Sequence[ItemUpdate]) -> list[Written | MailboxError]:
        self.outlook.watch("update", [update.content for update in updates])
        return self._call("update", lambda: [self._update(u) for u in updates], writes=True)

    def _update(self, update: ItemUpdate) -> Written | MailboxError:
        found = self._get(update.item_id)
        if isinstance(found, MailboxError):
            return found
        if found.change_key != update.change_key:
            return ItemConflict(
                "the change key does not match", subject=update.item_id, response_code="ErrorIrresolvableConflict"
            )
        c = update.content
        values = {
            "subject": c.subject,
            "when": c.when,
            "location": c.location,
            "body": c.body_html,
            "is_complete": c.is_complete,
            "reminder_is_set": c.has_reminder,
            "stamp": c.stamp,
        }
        given = {name: value for name, value in values.items() if value is not None}
        if update.item_id in self.outlook.items:
            self.outlook.edit(update.item_id, **given)
            return Written(update.item_id, self.outlook.items[update.item_id].change_key)
        for master_id, each in self.outlook.occurrences.items():
            for index, occurrence in enumerate(each):
                if occurrence.item_id == update.item_id:
                    each[index] = replace(
                        occurrence, change_key=f"K{next(self.outlook.numbers)}", item_type=ItemType.EXCEPTION, **given
                    )
                    self.outlook.log.append((Kind.EVENT, "there", master_id))
                    return Written(update.item_id, each[index].change_key)
        raise AssertionError(update)

    def delete(self, kind: Kind, item_ids: Sequence[str]) -> list[MailboxError | None]:
        def run() -> list[MailboxError | None]:
            for item_id in item_ids:
                if item_id in self.outlook.items:
                    self.outlook.remove(item_id)
                for master_id, each in self.outlook.occurrences.items():
                    if any(o.item_id == item_id for o in each):
                        self.outlook.occurrences[master_id] = [o for o in each if o.item_id != item_id]
                        self.outlook.log.append((Kind.EVENT, "there", master_id))
            return [None] * len(item_ids)

        return self._call("delete", run, writes=True)

    def master_of(self, item_ids: Sequence[str]) -> list[Item | MailboxError]:
        def master_id(item_id: str) -> str:
            return master_and_day(item_id)[0] if is_computed(item_id) else item_id.partition("@")[0]

        return self._call("master_of", lambda: [self._get(master_id(item_id)) for item_id in item_ids])


_NEVER = Timed(datetime(1601, 1, 1, tzinfo=UTC), datetime(1601, 1, 1, tzinfo=UTC))


def lost() -> AnswerLost:
    """The connection broke and nobody knows whether the request was carried out."""
    return AnswerLost("the connection was closed before the answer came")


def _gone(item_id: str) -> ItemGone:
    return ItemGone(
        "The specified object was not found in the store.", subject=item_id, response_code="ErrorItemNotFound"
    )


def _listed(item: Item) -> Item:
    """As a folder lists it: without body and attendees."""
    return replace(item, body=None, attendees=())


def _overlaps(item: Item, window: Window) -> bool:
    if isinstance(item.when, AllDay):
        start = datetime(item.when.start.year, item.when.start.month, item.when.start.day, tzinfo=UTC)
        end = datetime(item.when.end.year, item.when.end.month, item.when.end.day, tzinfo=UTC)
        return start < window.end and end > window.start
    return item.when is not None and item.when.start < window.end and item.when.end > window.start
