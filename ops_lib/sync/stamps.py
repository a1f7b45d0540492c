"""The stamp on an item of ours: whose CRM it is of, which activity it stands for, and which attempt made it.

A stamp is written on the item in the request that creates it and in the ledger before that request is sent. That is how an item whose
create was never answered is found again, and how a double that a server made late is told from a copy that the user made.
"""

from __future__ import annotations

import re

_STAMP = re.compile(r"^(?P<crm>[0-9a-f]{12})\.(?P<activity>[^.\s]+)\.(?P<attempt>[0-9a-f]{32})$")


def make_stamp(crm_id: str, activity_id: str, attempt: str) -> str:
    """A stamp; ``crm_id`` is 12 and ``attempt`` 32 hexadecimal digits, ``attempt`` fresh for every create."""
    stamp = f"{crm_id}.{activity_id}.{attempt}"
    if not _STAMP.match(stamp):
        raise ValueError(f"no stamp can be made of {stamp!r}")
    return stamp


def activity_of_stamp(stamp: str, crm_id: str) -> str | None:
    """The activity that a stamp of this CRM names; None for another CRM's, a stranger's, or none."""
    match = _STAMP.match(stamp)
    return match["activity"] if match and match["crm"] == crm_id else None
