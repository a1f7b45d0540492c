"""A mailbox in memory that keeps the contract, for tests of the sync that need no server: fast, and able to fail at any call.

`Outlook` is what the user does in it; `MemoryMailbox` is how the sync sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ops_lib.errors import AnswerLost, ItemConflict, MailboxError, SyncStateInvalid
from ops_lib.mailbox import Attempt, FolderChanges, ItemContent, ItemUpdate, View
from ops_lib.mailbox.occurrences import is_computed, master_and_day
from ops_lib.model import AllDay, Item, ItemType, Kind, Timed, Window, Written
from tests.support.memory_outlook import Outlook, all_day_bounds, gone


class MemoryMailbox:
    """The contract over an `Outlook`. ``step`` is called before and after each call is carried out."""

    def __init__(
        self, outlook: Outlook, address: str = "alice@example.test", step: Callable[[str], object] = lambda where: None
    ) -> None:
        self.outlook = outlook
        self.address = address
        self.requests = 0
        self.attempts: Sequence[Attempt] = ()
        self.bytes_received = 0
        self.notes: Sequence[str] = ()
        self.writes = 0
        self._step = step

    def _call(self, name: str, run: Callable[[], Any], *, writes: bool = False) -> Any:
        self.requests += 1
        due = next((each for each in self.outlook.meanwhile if each[0] == name), None)
        if due is not None:
            self.outlook.meanwhile.remove(due)
            due[1]()
        self._step(f"before {name}")
        planned = next((f for f in self.outlook.failures if f[0] in (name, "*")), None)
        if planned is None:
            self.writes += writes
            answer = run()
            self._step(f"after {name}")
            return answer
        self.outlook.failures.remove(planned)
        before = set(self.outlook.items)
        if planned[2] != "before":
            run()
        if planned[2] == "twice":
            run()
        if planned[2] == "late":
            self.outlook.late |= {
                item_id: self.outlook.items.pop(item_id) for item_id in set(self.outlook.items) - before
            }
        raise planned[1]

    def _refused(self, call: str, subject: str) -> MailboxError | None:
        """What this item is answered with, if something is wrong with it; then nothing is done to it."""
        if (poison := self.outlook.poison_of(subject)) is not None:
            return poison
        refusal = next((each for each in self.outlook.refusals if each[0] == call), None)
        if refusal is None:
            return None
        self.outlook.refusals.remove(refusal)
        return refusal[1]

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def changes(self, kind: Kind, sync_state: str = "") -> FolderChanges:
        return self._call("changes", lambda: self._changes(kind, sync_state))

    def _changes(self, kind: Kind, sync_state: str) -> FolderChanges:
        outlook = self.outlook
        generation, _, position = sync_state.partition(":")
        if sync_state and (generation != str(outlook.generation) or int(position) > len(outlook.log)):
            # Where nothing is left of what was there, no client could tell a server that forgot from one that is empty.
            if outlook.refuses_sync_states or not outlook.has_survivors():
                raise SyncStateInvalid(
                    "Synchronization state data is corrupt or otherwise invalid.",
                    response_code="ErrorInvalidSyncStateData",
                )
            sync_state = ""
        if sync_state and kind in outlook.forgets_once:
            outlook.forgets_once.remove(kind)
            listed_before = {item_id for folder, _, item_id in outlook.log[: int(position)] if folder is kind}
            if listed_before & outlook.items.keys():
                sync_state = ""
        start = int(position) if sync_state else 0
        touched = dict.fromkeys(item_id for folder, _, item_id in outlook.log[start:] if folder is kind)
        there, unreadable = [], []
        for item_id in touched:
            if item_id not in outlook.items or outlook.items[item_id].kind is not kind:
                continue
            error = self._refused("changes", outlook.items[item_id].subject)
            if error is None:
                there.append(_listed(outlook.items[item_id]))
            else:
                unreadable.append(_about(error, item_id))
        deleted = [i for i in touched if i not in outlook.items] if sync_state else []
        known = {item_id for _, _, item_id in outlook.log[:start]}
        created = frozenset(item.item_id for item in there if item.item_id not in known)
        return FolderChanges(there, deleted, f"{outlook.generation}:{len(outlook.log)}", unreadable, created)

    def view(self, window: Window) -> View:
        def run() -> View:
            singles = [
                i for i in self.outlook.items.values() if i.kind is Kind.EVENT and i.item_type is ItemType.SINGLE
            ]
            if self.outlook.expands:
                series = [o for each in self.outlook.occurrences.values() for o in each]
            else:
                series = [i for i in self.outlook.items.values() if i.item_type is ItemType.MASTER]
            found = [_listed(item) for item in (*singles, *series) if _overlaps(item, window, self.outlook.zone)]
            return View(found, not any(item.item_type is ItemType.MASTER for item in found))

        return self._call("view", run)

    def expand(
        self, master_ids: Sequence[str], window: Window, *, with_own_ids: bool = False
    ) -> list[list[Item] | MailboxError]:
        def run(master_id: str) -> list[Item] | MailboxError:
            if master_id in self.outlook.uncomputable:
                return self.outlook.uncomputable[master_id]
            if master_id not in self.outlook.items:
                return gone(master_id)
            error = self._refused("expand", self.outlook.items[master_id].subject)
            if error is not None:
                return error
            occurrences = self.outlook.occurrences.get(master_id, [])
            return [replace(o, body=o.body or "") for o in occurrences if _overlaps(o, window, self.outlook.zone)]

        return self._call("expand", lambda: [run(master_id) for master_id in master_ids])

    def read(self, kind: Kind, item_ids: Sequence[str]) -> list[Item | MailboxError]:
        return self._call("read", lambda: [self._get(item_id, "read") for item_id in item_ids])

    def _get(self, item_id: str, call: str) -> Item | MailboxError:
        if item_id in self.outlook.unreadable:
            return self.outlook.unreadable.pop(item_id)
        item = self.outlook.find(item_id)
        if item is None:
            return gone(item_id)
        return self._refused(call, item.subject) or replace(item, body=item.body or "")

    def find_stamps(self, kind: Kind, stamps: Sequence[str]) -> dict[str, list[Item]]:
        def run() -> dict[str, list[Item]]:
            found: dict[str, list[Item]] = {}
            for item in self.outlook.items.values():
                if item.kind is kind and item.stamp in stamps:
                    found.setdefault(item.stamp, []).append(item)
            return found

        return self._call("find_stamps", run)

    def master_of(self, item_ids: Sequence[str]) -> list[Item | MailboxError]:
        def master_id(item_id: str) -> str:
            return master_and_day(item_id)[0] if is_computed(item_id) else item_id.partition("@")[0]

        return self._call("master_of", lambda: [self._get(master_id(item_id), "master_of") for item_id in item_ids])

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def create(self, kind: Kind, contents: Sequence[ItemContent]) -> list[Written | MailboxError]:
        assert len(contents) <= 50

        def run() -> list[Written | MailboxError]:
            made: list[Written | MailboxError] = []
            for c in (*contents, *contents) if self.outlook.doubles_creates else contents:
                error = self._refused("create", c.subject or "")
                if error is not None:
                    made.append(error)
                    continue
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
        found = self._get(update.item_id, "update")
        if isinstance(found, MailboxError):
            return found
        if found.change_key != update.change_key and self.outlook.checks_change_keys:
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
        self.outlook.edit(update.item_id, **{name: value for name, value in values.items() if value is not None})
        written = self.outlook.find(update.item_id)
        assert written is not None
        return Written(update.item_id, written.change_key)

    def delete(self, kind: Kind, item_ids: Sequence[str]) -> list[MailboxError | None]:
        def run(item_id: str) -> MailboxError | None:
            item = self.outlook.find(item_id)
            if item is None:
                return None
            error = self._refused("delete", item.subject)
            if error is None:
                self.outlook.remove(item_id)
            return error

        return self._call("delete", lambda: [run(item_id) for item_id in item_ids], writes=True)


_NEVER = Timed(datetime(1601, 1, 1, tzinfo=UTC), datetime(1601, 1, 1, tzinfo=UTC))


def lost() -> AnswerLost:
    """The connection broke and nobody knows whether the request was carried out."""
    return AnswerLost("the connection was closed before the answer came")


def _about(error: MailboxError, item_id: str) -> MailboxError:
    """The same error, about this item."""
    return type(error)(error.message, subject=item_id, response_code=error.response_code)


def _listed(item: Item) -> Item:
    """As a folder lists it: without body and attendees."""
    return replace(item, body=None, attendees=())


def _overlaps(item: Item, window: Window, zone: ZoneInfo) -> bool:
    if isinstance(item.when, AllDay):
        start, end = all_day_bounds(item.when, zone)
        return start < window.end and end > window.start
    return item.when is not None and item.when.start < window.end and item.when.end > window.start


__all__ = ["MemoryMailbox", "Outlook", "lost"]
