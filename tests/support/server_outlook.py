"""A user at Outlook, on a server of the sandbox: the verbs of the one in memory (`tests.support.memory_outlook`), over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ops_lib.errors import AnswerLost, MailboxError
from ops_lib.mailbox import ItemContent, ItemUpdate, Mailbox
from ops_lib.model import Item, ItemType, Kind, When, Window
from ops_lib.sandbox.items import Item as StoredItem
from ops_lib.sandbox.recurrence import Daily, Numbered, Recurrence
from ops_lib.sandbox.server import Sandbox
from ops_lib.sandbox.values import Body
from tests.support.sandbox import ALICE

_OPERATIONS = {
    "changes": "SyncFolderItems",
    "view": "FindItem",
    "expand": "GetItem",
    "read": "GetItem",
    "create": "CreateItem",
    "update": "UpdateItem",
    "delete": "DeleteItem",
    "find_stamps": "FindItem",
    "*": "*",
}
_ALWAYS = Window(datetime(2026, 9, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC))


@dataclass
class ServerOutlook:
    """Alice's calendar and tasks. ``fail`` orders what the next worker's requests meet; the user's own meet nothing."""

    sandbox: Sandbox
    mailbox: Callable[[], Mailbox]
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    failures: list[dict[str, Any]] = field(default_factory=list)
    poison: dict[str, MailboxError] = field(default_factory=dict)  # by a piece of the subject: what no worker can load
    doubles_creates: bool = False

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def items(self) -> dict[str, Item]:
        """Singles, masters and tasks."""
        mailbox = self.mailbox()
        return {item.item_id: item for kind in Kind for item in mailbox.changes(kind).items}

    def every(self) -> Iterator[Item]:
        """What the user sees: singles, tasks and occurrences."""
        items, stored = self.items, self._all_stored()
        for item in items.values():
            if item.item_type is not ItemType.MASTER:
                body = stored[item.item_id].values.get("item:Body") or Body("")
                yield replace(item, body=body.text, body_is_html=body.is_html)
        for found in self._occurrences_of(items).values():
            yield from found

    @property
    def occurrences(self) -> dict[str, list[Item]]:
        """Of each series, by its master's id."""
        return self._occurrences_of(self.items)

    def _occurrences_of(self, items: dict[str, Item]) -> dict[str, list[Item]]:
        masters = [item.item_id for item in items.values() if item.item_type is ItemType.MASTER]
        found = self.mailbox().expand(masters, _ALWAYS) if masters else []
        occurrences: dict[str, list[Item]] = {}
        for master_id, each in zip(masters, found, strict=True):
            assert not isinstance(each, MailboxError), each
            occurrences[master_id] = each
        return occurrences

    def _all_stored(self) -> dict[str, StoredItem]:
        mailbox = self.sandbox.organisation.mailbox(ALICE)
        return {item.id: item for name in ("calendar", "tasks") for item in mailbox.folder(name).items.values()}

    # ── what the user does ───────────────────────────────────────────────────────────────────────────────────────────
    def add(self, subject: str, when: When, *, body: str = "", location: str = "") -> None:
        content = ItemContent(subject=subject, when=when, body_html=f"<p>{body}</p>", location=location or None)
        (made,) = self.mailbox().create(Kind.EVENT, [content])
        assert not isinstance(made, MailboxError), made

    def edit(self, item_id: str, **changes: Any) -> None:
        item = self.items.get(item_id) or next(each for each in self.every() if each.item_id == item_id)
        values = {_NAMES[name]: _VALUES.get(name, _same)(value) for name, value in changes.items() if name in _NAMES}
        stored = self._all_stored().get(item_id)
        if stored is not None and (item.item_type is ItemType.MASTER or values.keys() & _ONLY_BY_OUTLOOK):
            self.sandbox.organisation.update_item(stored, values)
            return
        if values.keys() & _ONLY_BY_OUTLOOK:
            (master,) = self.mailbox().master_of([item_id])
            assert isinstance(master, Item), master
            assert item.original_start is not None
            series = self._all_stored()[master.item_id]
            self.sandbox.organisation.update_occurrence(series, item.original_start, values)
            return
        body = {"body_html": changes.pop("body")} if "body" in changes else {}
        content = ItemContent(**changes, **body)
        (done,) = self.mailbox().update([ItemUpdate(item_id, item.change_key, item.kind, content)])
        if isinstance(done, MailboxError):  # Outlook says no to the user
            assert done.response_code == "ErrorOccurrenceCrossingBoundary", done

    def remove(self, item_id: str) -> None:
        item = self.items.get(item_id)
        (failure,) = self.mailbox().delete(item.kind if item else Kind.EVENT, [item_id])
        assert failure is None, failure

    def copy(self, item_id: str, shift: timedelta) -> str:
        """Paste a copy of an event beside it: everything of it but its UID, the properties of others too."""
        item = self._all_stored()[item_id]
        organisation, values = self.sandbox.organisation, dict(item.values)
        for name in ("calendar:UID", "calendar:DateTimeStamp"):
            values.pop(name, None)
        if not values.get("calendar:IsAllDayEvent"):
            values |= {name: values[name] + shift for name in ("calendar:Start", "calendar:End")}
        return organisation.create_item(ALICE, "calendar", values, extended=dict(item.extended)).id

    # ── series ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def add_series(self, subject: str, starts: Sequence[datetime], length: timedelta = timedelta(hours=1)) -> None:
        self.sandbox.organisation.create_item(ALICE, "calendar", {"item:Subject": subject, **_series(starts, length)})

    def set_pattern(self, master_id: str, starts: Sequence[datetime], length: timedelta = timedelta(hours=1)) -> None:
        item = self._all_stored()[master_id]
        with self.sandbox.organisation.lock:
            item.exceptions.clear()
            item.deleted.clear()
        self.sandbox.organisation.update_item(item, _series(starts, length))

    def make_single(self, master_id: str) -> None:
        item = self._all_stored()[master_id]
        with self.sandbox.organisation.lock:
            item.exceptions.clear()
            item.deleted.clear()
        self.sandbox.organisation.update_item(item, {"calendar:Recurrence": None})

    # ── what happens to the mailbox ──────────────────────────────────────────────────────────────────────────────────
    def renumber(self) -> None:
        """It moves to another database: every id is another one."""
        self.sandbox.organisation.move_mailbox(ALICE)

    @contextmanager
    def as_workers_find_it(self) -> Iterator[None]:
        """What is ordered to go wrong goes wrong for the worker that comes now, and for nobody else."""
        corrupt = [item for item in self._all_stored().values() if self._is_poison(item)]
        for item in corrupt:
            item.is_corrupt = True
        if self.doubles_creates:
            self.sandbox.faults.add({"operation": "CreateItem", "mailbox": "*", "fault": {"twice": True}})
        for rule in self.failures:
            self.sandbox.faults.add(rule)
        self.failures.clear()
        try:
            yield
        finally:
            self.sandbox.faults.clear()
            for item in corrupt:
                item.is_corrupt = False

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """The user at Outlook meets nothing of what goes wrong for the worker that is at it meanwhile."""
        rules = [row["rule"] for row in self.sandbox.faults.rows()]
        corrupt = [item for item in self._all_stored().values() if item.is_corrupt]
        self.sandbox.faults.clear()
        for item in corrupt:
            item.is_corrupt = False
        try:
            yield
        finally:
            for rule in rules:
                self.sandbox.faults.add(rule)
            for item in corrupt:
                item.is_corrupt = True

    def _is_poison(self, item: StoredItem) -> bool:
        return any(part in str(item.values.get("item:Subject", "")) for part in self.poison)

    # ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────
    def fail(self, call: str, error: Exception, when: str = "before") -> None:
        fault: dict[str, Any] = (
            {"twice": True} if when == "twice" else {"drop": "before" if when == "before" else "after"}
        )
        if when == "before" and not isinstance(error, AnswerLost):
            fault = {"response_code": getattr(error, "response_code", "") or "ErrorServerBusy"}
        self.failures.append({"operation": _OPERATIONS[call], "mailbox": "*", "nth": 1, "fault": fault})

    def heal(self) -> None:
        self.failures.clear()
        self.poison.clear()
        self.doubles_creates = False


def _same(value: Any) -> Any:
    return value


_NAMES = {
    "subject": "item:Subject",
    "location": "calendar:Location",
    "is_private": "item:Sensitivity",
    "is_cancelled": "calendar:IsCancelled",
}
_VALUES: dict[str, Callable[[Any], Any]] = {"is_private": lambda private: "Private" if private else "Normal"}
_ONLY_BY_OUTLOOK = frozenset({"item:Sensitivity", "calendar:IsCancelled"})
"""What the sync never writes, and so no client of ours can."""


def _series(starts: Sequence[datetime], length: timedelta) -> dict[str, Any]:
    step = (starts[1] - starts[0]).days if len(starts) > 1 else 1
    return {
        "calendar:Start": starts[0],
        "calendar:End": starts[0] + length,
        "calendar:StartTimeZone": "UTC",
        "calendar:EndTimeZone": "UTC",
        "calendar:Recurrence": Recurrence(Daily(step), Numbered(starts[0].date(), len(starts))),
    }
