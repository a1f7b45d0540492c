"""Must show 7: 500 random edits on both sides, the other side being the sandbox over real HTTP, with connections dropped at any request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from ops_lib.mailbox import ItemContent, ItemUpdate, Mailbox
from ops_lib.model import Item, ItemType, Kind, When
from ops_lib.sandbox.server import Sandbox
from tests.support.server_desk import ServerDesk
from tests.sync.test_state_machine import TwoSides

OPERATIONS = {
    "changes": "SyncFolderItems",
    "view": "FindItem",
    "read": "GetItem",
    "create": "CreateItem",
    "update": "UpdateItem",
    "delete": "DeleteItem",
    "find_stamps": "FindItem",
}


@dataclass
class ServerOutlook:
    """The user at Outlook, on the server: the same verbs as the one in memory."""

    sandbox: Sandbox
    mailbox: Callable[[], Mailbox]
    failures: list[dict[str, Any]] = field(default_factory=list)

    @property
    def items(self) -> dict[str, Item]:
        mailbox = self.mailbox()
        return {
            item.item_id: item
            for kind in Kind
            for item in mailbox.changes(kind).items
            if item.item_type is not ItemType.MASTER
        }

    def add(self, subject: str, when: When, **more: Any) -> None:
        self.mailbox().create(Kind.EVENT, [ItemContent(subject=subject, when=when, body_html="<p>text</p>")])

    def edit(self, item_id: str, **changes: Any) -> None:
        item = self.items[item_id]
        content = ItemContent(
            subject=changes.get("subject"), when=changes.get("when"), is_complete=changes.get("is_complete")
        )
        if content != ItemContent():
            self.mailbox().update([ItemUpdate(item_id, item.change_key, item.kind, content)])

    def remove(self, item_id: str) -> None:
        self.mailbox().delete(self.items[item_id].kind, [item_id])

    def copy(self, item_id: str, shift: timedelta) -> None:
        """Copies are played against the sandbox in `test_outlook`."""

    def fail(self, call: str, error: Exception, when: str = "before") -> None:
        rule = {
            "operation": OPERATIONS[call],
            "mailbox": "*",
            "nth": 1,
            "fault": {"drop": "before" if when == "before" else "after"},
        }
        self.failures.append(rule)

    def forget_sync_states(self) -> None: ...

    def arrive(self) -> None: ...


@dataclass
class EditedDesk(ServerDesk):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.outlook = ServerOutlook(self.sandbox, self.mailbox)  # type: ignore[assignment]
        self.tell_the_time()

    def tell_the_time(self) -> None:
        self.sandbox.clock.set(self.now)

    def cycle(self, **options: Any):  # type: ignore[no-untyped-def]
        """A cycle whose requests meet what `fail` ordered; the user's own requests do not."""
        self.tell_the_time()
        for rule in self.outlook.failures:
            self.sandbox.faults.add(rule)  # type: ignore[arg-type]
        self.outlook.failures.clear()
        try:
            return super().cycle(**options)
        finally:
            self.sandbox.faults.clear()

    def check(self) -> None:
        super().check()
        events = [item for item in self.outlook.items.values() if item.kind is Kind.EVENT]
        self.check_nothing_left_out(events)


@pytest.mark.slow
@pytest.mark.req("Y1", "Y2")
def test_500_random_edits(prepared_sqlite: Path, sandbox: Sandbox) -> None:
    """After 500 random edits, cycles and dropped connections, every quiet moment finds both sides equal and nothing to do."""

    class OverHttp(TwoSides):
        database_file = prepared_sqlite

        def make_desk(self, conflict: str, reschedule: str) -> EditedDesk:
            sandbox.reset()
            return EditedDesk(self.database, conflict=conflict, reschedule=reschedule, sandbox=sandbox)

        def outlook_makes_private(self, pick: int, private: bool) -> None: ...

    OverHttp.TestCase.settings = settings(
        max_examples=10,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        phases=(
            Phase.explicit,
            Phase.reuse,
            Phase.generate,
        ),  # over HTTP, shrinking takes longer than reading the steps
    )
    OverHttp.TestCase().runTest()
