"""In what a server is unlike Exchange. The face asks here wherever servers are known to part; nowhere else is a server named.

Source of GROMMUNIO: recorded traffic of grommunio gromox 3.10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from functools import partial
from zoneinfo import ZoneInfo

from ops_lib.errors import SandboxError

from ..recurrence import local

_MOMENTS = "LastModifiedTime|DateTimeReceived|DateTimeCreated|DateTimeSent|DueDate|StartDate|EndDate|ReminderDueBy|AppointmentReplyTime"
_MOMENT = re.compile(rf"(?<=<t:)({_MOMENTS})>(\d{{4}}-\d\d-\d\d)(T\d\d:\d\d:\d\d)?Z(?=</t:)")


@dataclass(frozen=True, slots=True)
class Manners:
    """What a server does. The defaults are Exchange's."""

    name: str
    #: whether a calendar view shows occurrences; else it lists masters, by their first occurrence, and takes its end as included
    expands_series: bool = True
    #: whether an update with an old change key is refused
    checks_change_keys: bool = True
    #: whether a sync state that cannot be read is refused; else it is taken for none
    refuses_sync_states: bool = True
    #: whether a deleted occurrence keeps its number; else the numbers after it move up, and one that is out of range is a corrupt item
    numbers_deleted: bool = True
    #: whether an occurrence leads to its master by RecurringMasterItemId
    leads_to_masters: bool = True
    #: whether an occurrence keeps its hour on the wall when the clocks change; else it keeps the offset of the first one
    keeps_wall_clock: bool = True
    #: whether a master says which its first and last occurrences are
    says_first_and_last: bool = True
    #: whether occurrences say their original start; else the master alone names changed ones, by the midnight of their day
    names_original_start: bool = True
    #: whether a draft that is submitted leaves its folder, with a copy for the sent items; else it stays, and there is none
    takes_drafts: bool = True
    #: decimals of the seconds of some times and days
    decimals: int = field(default=0)

    def occurrence_time(self, moment: datetime, first: datetime, zone: ZoneInfo) -> datetime:
        """When an occurrence that has no times of its own is said to be; ``first`` is when the series begins."""
        if self.keeps_wall_clock:
            return moment
        shift = (local(moment, zone).utcoffset() or _NONE) - (local(first, zone).utcoffset() or _NONE)
        return moment + shift

    def exception_time(self, original_start: datetime, zone: ZoneInfo) -> datetime:
        """What a master says a changed occurrence's original start was."""
        if self.names_original_start:
            return original_start
        return datetime.combine(local(original_start, zone).date(), time(), zone).astimezone(UTC)

    def finish(self, answer: str) -> str:
        """The answer as this server writes its times and days."""
        return _MOMENT.sub(partial(_with_decimals, decimals="0" * self.decimals), answer) if self.decimals else answer


_NONE = datetime.resolution * 0


def _with_decimals(found: re.Match[str], decimals: str) -> str:
    name, day, hour = found.groups()
    return f"{name}>{day}{hour or 'T00:00:00'}.{decimals}Z"


EXCHANGE = Manners("exchange")
GROMMUNIO = Manners(
    "grommunio",
    expands_series=False,
    checks_change_keys=False,
    refuses_sync_states=False,
    numbers_deleted=False,
    leads_to_masters=False,
    keeps_wall_clock=False,
    says_first_and_last=False,
    names_original_start=False,
    takes_drafts=False,
    decimals=6,
)
KNOWN = {manners.name: manners for manners in (EXCHANGE, GROMMUNIO)}


def manners_of(name: str) -> Manners:
    """The manners of a server by its name. Raises SandboxError for one that is not known."""
    if name not in KNOWN:
        raise SandboxError(
            f"there is no server '{name}' to be like", subject="sandbox", fix=f"One of: {', '.join(KNOWN)}."
        )
    return KNOWN[name]
