"""A mail server in memory, as `ops_lib.mailbox.outgoing` words it, that fails on demand at any call: refuses, loses answers, carries out late.

``delivered`` is what recipients got. Drafts are taken away when they are submitted, unless the server ``keeps_drafts``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ops_lib.errors import AnswerLost, ItemGone, ServerBusy
from ops_lib.mailbox.outgoing import Draft, Message, Whereabouts
from tests.support.workers import Life

Fault = Literal["refused", "lost before", "lost after", "late", "busy", "busy after"]


@dataclass
class MemoryServer:
    """What a server holds. ``faults``: what goes wrong at which call, counted from 0 over the server's whole life."""

    keeps_drafts: bool = False
    copies_appear_late: bool = False  # what was sent is not found among the sent items before the server has caught up
    cannot_clear: bool = False
    faults: dict[int, Exception | Fault] = field(default_factory=dict)
    drafts: dict[str, Message] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    delivered: list[Message] = field(default_factory=list)
    thrown_away: dict[str, Message] = field(default_factory=dict)
    late: list[Callable[[], object]] = field(default_factory=list)
    calls: int = 0
    made: int = 0
    made_late: int = 0

    def draft(self, message: Message) -> Draft:
        self.made += 1
        self.drafts[f"draft-{self.made}"] = message
        return Draft(f"draft-{self.made}", "1")

    def submit(self, draft: Draft) -> None:
        message = self.drafts.get(draft.item_id)
        if message is None:
            raise ItemGone("the draft is gone", response_code="ErrorItemNotFound")
        if not self.keeps_drafts:
            del self.drafts[draft.item_id]
            self.sent.append(message.key)
        self.delivered.append(message)

    def remove(self, draft: Draft) -> bool:
        return self.drafts.pop(draft.item_id, None) is not None

    def catch_up(self) -> None:
        """Carry out what was asked long ago and answered to nobody."""
        late, self.late, before = self.late, [], self.made
        for one in late:
            try:
                one()
            except ItemGone:
                continue
        self.made_late += self.made - before
        self.copies_appear_late = False


class MemoryPost:
    """One worker's way to the server; with its ``life`` it dies before or after any call."""

    def __init__(self, server: MemoryServer, life: Life | None = None) -> None:
        self._server, self._life = server, life or Life()
        self.requests = 0

    def draft(self, message: Message) -> Draft:
        made: list[Draft] = []
        self._call(lambda: made.append(self._server.draft(message)), "draft")
        return made[0]

    def submit(self, draft: Draft) -> None:
        self._call(lambda: self._server.submit(draft), "submit")

    def find(self, key: str) -> Whereabouts:
        self._call(lambda: None, "find")
        server = self._server
        return Whereabouts(
            tuple(Draft(item_id, "1") for item_id, message in server.drafts.items() if message.key == key),
            key in server.sent and not server.copies_appear_late,
            tuple(Draft(item_id, "1") for item_id, message in server.thrown_away.items() if message.key == key),
        )

    def remove(self, drafts: Sequence[Draft]) -> list[bool]:
        if not drafts:
            return []
        removed: list[bool] = []
        self._call(lambda: removed.extend(self._server.remove(each) for each in drafts), "remove")
        return removed

    def _call(self, act: Callable[[], object], what: str) -> None:
        server = self._server
        self._life.step(f"before {what}")
        fault = server.faults.get(server.calls)
        server.calls += 1
        self.requests += 1
        if isinstance(fault, Exception):
            raise fault
        if fault == "busy":
            raise ServerBusy("the server asks for a pause", response_code="ErrorServerBusy")
        if fault == "late":
            server.late.append(act)
        if fault in ("lost before", "late"):
            raise AnswerLost("no answer came")
        act()
        if fault == "lost after":
            raise AnswerLost("no answer came")
        if fault == "busy after":  # something between answers for the server, which did it
            raise ServerBusy("the server asks for a pause", response_code="ErrorServerBusy")
        self._life.step(f"after {what}")
