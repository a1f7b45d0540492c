"""The cells of the table in `docs/situations.md`, and the page read as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "situations.md"

ACTIONS = (
    "edited",
    "deleted",
    "moved",
    "rescheduled",
    "left scope",
    "copied",
    "cancelled",
    "all-day switched",
    "completed",
)
SIDES = ("CRM", "Outlook", "both", "CRM, edited in Outlook", "Outlook, edited in the CRM")
KINDS = ("made in the CRM", "made in Outlook", "occurrence", "meeting", "task")
NOT_POSSIBLE = "–"


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    action: str
    side: str
    kind: str

    def __str__(self) -> str:
        return f"{self.action} / {self.side} / {self.kind}"

    @property
    def crm_action(self) -> str:
        """What the CRM's user does; empty for nothing."""
        if self.side in ("CRM", "both", "CRM, edited in Outlook"):
            return self.action
        return "edited besides" if self.side == "Outlook, edited in the CRM" else ""

    @property
    def outlook_action(self) -> str:
        """What Outlook's user does; empty for nothing."""
        if self.side in ("Outlook", "both", "Outlook, edited in the CRM"):
            return self.action
        return "edited besides" if self.side == "CRM, edited in Outlook" else ""

    @property
    def is_possible(self) -> bool:
        """An event has nothing to tick off and a task no hours in Outlook; there only meetings and their occurrences can be cancelled."""
        if self.side == "CRM" or self.side == "CRM, edited in Outlook":
            return True
        if self.action == "cancelled":
            return self.kind in ("occurrence", "meeting")
        if self.action == "all-day switched":
            return self.kind != "task"
        return self.action != "completed" or self.kind == "task"


CELLS = [Cell(action, side, kind) for action in ACTIONS for side in SIDES for kind in KINDS]


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def page_cells() -> dict[Cell, str]:
    """What the page says, by cell: a heading of the second level is the action, a table's first column the side, its first row the kinds."""
    found: dict[Cell, str] = {}
    action = ""
    kinds: list[str] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            action, kinds = line[3:].strip().lower(), []
        elif action and line.startswith("|") and not re.fullmatch(r"[|\s-]+", line):
            first, *others = [part.strip() for part in line.strip().strip("|").split("|")]
            if not kinds:
                kinds = others
                continue
            for kind, text in zip(kinds, others, strict=True):
                cell = Cell(action, first, kind)
                assert cell not in found, f"the page says twice what happens: {cell}"
                found[cell] = text
    return found
