"""A user at Outlook, on a server of the sandbox: the verbs of the one in memory (`tests.support.memory_outlook`), over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ops_lib.errors import AnswerLost, MailboxError
from ops_lib.mailbox import ItemContent, ItemUpdate, Mailbox
from ops_lib.model import Item, ItemType, Kind, When, Window
from ops_lib.sandbox.items import Item as StoredItem
from ops_lib.sandbox.recurrence import Daily, Numbered, Recurrence
from ops_lib.sandbox.server import Sandbox
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

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def items(self) -> dict[str, Item]:
        """Singles, masters and tasks."""
        mailbox = self.mailbox()
        return {item.item_id: item for kind in Kind for item in mailbox.changes(kind).items}

    def every(self) -> Iterator[Item]:
        """What the user sees: singles, tasks and occurrences."""
        mailbox, masters = self.mailbox(), []
        for item in self.items.values():
            if item.item_type is ItemType.MASTER:
                masters.append(item.item_id)
            else:
                yield item
        for found in mailbox.expand(masters, _ALWAYS) if masters else []:
            assert not isinstance(found, MailboxError), found
            yield from found

    def _stored(self, item_id: str) -> StoredItem:
        subject = self.items[item_id].subject
        folder = self.sandbox.organisation.mailbox(ALICE).folder("calendar")
        return next(item for item in folder.items.values() if item.values["item:Subject"] == subject)

    # ── what the user does ───────────────────────────────────────────────────────────────────────────────────────────
    def add(self, subject: str, when: When, *, body: str = "", location: str = "") -> None:
        content = ItemContent(subject=subject, when=when, body_html=f"<p>{body}</p>", location=location or None)
        (made,) = self.mailbox().create(Kind.EVENT, [content])
        assert not isinstance(made, MailboxError), made

    def edit(self, item_id: str, **changes: Any) -> None:
        item = self.items.get(item_id) or next(each for each in self.every() if each.item_id == item_id)
        if item.item_type is ItemType.MASTER:
            self.sandbox.organisation.update_item(self._stored(item_id), {"item:Subject": changes["subject"]})
            return
        content = ItemContent(**changes)
        (done,) = self.mailbox().update([ItemUpdate(item_id, item.change_key, item.kind, content)])
        if isinstance(done, MailboxError):  # Outlook says no to the user
            assert done.response_code == "ErrorOccurrenceCrossingBoundary", done

    def remove(self, item_id: str) -> None:
        item = self.items.get(item_id)
        (failure,) = self.mailbox().delete(item.kind if item else Kind.EVENT, [item_id])
        assert failure is None, failure

    # ── series ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def add_series(self, subject: str, starts: Sequence[datetime], length: timedelta = timedelta(hours=1)) -> None:
        self.sandbox.organisation.create_item(ALICE, "calendar", {"item:Subject": subject, **_series(starts, length)})

    def set_pattern(self, master_id: str, starts: Sequence[datetime], length: timedelta = timedelta(hours=1)) -> None:
        item = self._stored(master_id)
        with self.sandbox.organisation.lock:
            item.exceptions.clear()
            item.deleted.clear()
        self.sandbox.organisation.update_item(item, _series(starts, length))

    def make_single(self, master_id: str) -> None:
        item = self._stored(master_id)
        with self.sandbox.organisation.lock:
            item.exceptions.clear()
            item.deleted.clear()
        self.sandbox.organisation.update_item(item, {"calendar:Recurrence": None})

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


def _series(starts: Sequence[datetime], length: timedelta) -> dict[str, Any]:
    step = (starts[1] - starts[0]).days if len(starts) > 1 else 1
    return {
        "calendar:Start": starts[0],
        "calendar:End": starts[0] + length,
        "calendar:StartTimeZone": "UTC",
        "calendar:EndTimeZone": "UTC",
        "calendar:Recurrence": Recurrence(Daily(step), Numbered(starts[0].date(), len(starts))),
    }
