"""The stamp on an item of ours: whose CRM it is of, which activity it stands for, and which attempt made it.

A stamp is written on the item in the request that creates it and in the ledger before that request is sent. That is how an item whose
create was never answered is found again, and how a double that a server made late is told from a copy that the user made.
It names the activity by its id and by its token: after a CRM was restored from yesterday, today's ids are given again to others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ops_lib.model import Activity, Item

_STAMP = re.compile(
    r"^(?P<crm>[0-9a-f]{12})\.(?P<activity>[^.\s]+)\.(?P<token>[0-9a-f]{16})\.(?P<attempt>[0-9a-f]{32})$"
)


@dataclass(frozen=True, slots=True)
class Named:
    """The activity that a stamp names."""

    activity_id: str
    token: str

    def is_of(self, activity: Activity) -> bool:
        """Whether this is the activity, and not another one that was given its id later."""
        return (self.activity_id, self.token) == (activity.activity_id, activity.token)


def make_stamp(crm_id: str, activity: Activity, attempt: str) -> str:
    """A stamp; ``crm_id`` is 12 and ``attempt`` 32 hexadecimal digits, ``attempt`` fresh for every create."""
    stamp = f"{crm_id}.{activity.activity_id}.{activity.token}.{attempt}"
    if not _STAMP.match(stamp):
        raise ValueError(f"no stamp can be made of {stamp!r}")
    return stamp


def named_by(stamp: str, crm_id: str) -> Named | None:
    """The activity that a stamp of this CRM names; None for another CRM's, a stranger's, or none."""
    match = _STAMP.match(stamp)
    return Named(match["activity"], match["token"]) if match and match["crm"] == crm_id else None


def key_of_item(mailbox: str, item: Item) -> str:
    """With what key the activity of an Outlook-born item is made: mailbox, UID, original start. The item keeps it when its id changes."""
    original = item.original_start.isoformat() if item.original_start else ""
    return f"{mailbox}|{item.uid or item.item_id}|{original}"
