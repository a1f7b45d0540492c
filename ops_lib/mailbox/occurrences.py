"""Ids of occurrences that a mailbox computes, because its server gives them none.

They hold the master's id and the date (in the series' own zone) on which the occurrence stood in the pattern, so they stay when the series'
hour or title changes. A colon is in no id of a server: those are base64.
"""

from __future__ import annotations

from datetime import date

_PREFIX = "computed:"


def occurrence_id(master_id: str, day: date) -> str:
    """The id of the occurrence that the pattern puts on this date."""
    return f"{_PREFIX}{master_id}@{day.isoformat()}"


def is_computed(item_id: str) -> bool:
    """Whether an id is one of `occurrence_id`."""
    return item_id.startswith(_PREFIX)


def master_and_day(item_id: str) -> tuple[str, date]:
    """The master's id and the date that `occurrence_id` was made of. Raises ValueError for another id."""
    master_id, _, day = item_id.removeprefix(_PREFIX).rpartition("@")
    if not is_computed(item_id):
        raise ValueError(f"no computed id: {item_id}")
    return master_id, date.fromisoformat(day)
