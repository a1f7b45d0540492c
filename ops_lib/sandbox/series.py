"""A series' occurrences: which there are, what each one's properties are, and what a calendar view shows.

An occurrence is not stored. It is what the master says, at the time the recurrence says, unless the master holds an
``Override`` for that original start, or counts it among the deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from . import ids, recurrence, zones
from .items import Item, Override, Values

#: what an occurrence does not take over from its master
_MASTER_ONLY = frozenset({"calendar:Recurrence"})


class NoSuchOccurrence(LookupError):
    """The recurrence has no such occurrence. ``deleted``: it had one, and it was deleted."""

    def __init__(self, deleted: bool) -> None:
        super().__init__("deleted" if deleted else "outside the recurrence")
        self.deleted = deleted


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One occurrence of a series, with the properties it has."""

    master: Item
    index: int
    original_start: datetime
    override: Override | None
    values: Values

    @property
    def id(self) -> str:
        """The occurrence's own item id."""
        return ids.encode_id(
            self.master.mailbox.guid, ids.OCCURRENCE, self.master.number, int(self.original_start.timestamp())
        )

    @property
    def start(self) -> datetime:
        """When it starts."""
        start: datetime = self.values["calendar:Start"]
        return start

    @property
    def end(self) -> datetime:
        """When it ends."""
        end: datetime = self.values["calendar:End"]
        return end


def zone_of(item: Item) -> ZoneInfo:
    """The zone whose clock the series keeps."""
    return zones.zone(item.values.get("calendar:StartTimeZone") or "UTC")


def duration(item: Item) -> timedelta:
    """How long each occurrence lasts, by the clock on the wall, that was not changed by itself."""
    return recurrence.wall_duration(item.values["calendar:Start"], item.values["calendar:End"], zone_of(item))


def _occurrence(item: Item, index: int, original_start: datetime) -> Occurrence:
    values = {uri: value for uri, value in item.values.items() if uri not in _MASTER_ONLY}
    values["calendar:Start"] = original_start
    values["calendar:End"] = recurrence.end_after(original_start, duration(item), zone_of(item))
    override = item.exceptions.get(original_start)
    if override is not None:
        values.update(override.values)
        values = {uri: value for uri, value in values.items() if value is not None}
    return Occurrence(item, index, original_start, override, values)


def occurrence_at(item: Item, original_start: datetime) -> Occurrence:
    """The occurrence that was to start then.

    Raises:
        NoSuchOccurrence: the recurrence has none then, or it was deleted.
    """
    if original_start in item.deleted:
        raise NoSuchOccurrence(deleted=True)
    rule = item.values["calendar:Recurrence"]
    index = recurrence.index_of(rule, item.values["calendar:Start"], zone_of(item), original_start)
    if index is not None:
        return _occurrence(item, index, original_start)
    raise NoSuchOccurrence(deleted=False)


def occurrence_by_index(item: Item, index: int) -> Occurrence:
    """The occurrence with this index; deleted ones keep theirs.

    Raises:
        NoSuchOccurrence: the recurrence has none with it, or it was deleted.
    """
    start = recurrence.start_at(item.values["calendar:Recurrence"], item.values["calendar:Start"], zone_of(item), index)
    if start is None:
        raise NoSuchOccurrence(deleted=False)
    if start in item.deleted:
        raise NoSuchOccurrence(deleted=True)
    return _occurrence(item, index, start)


def remaining_by_index(item: Item, index: int) -> Occurrence:
    """The occurrence with this index among those that were not deleted.

    Raises:
        NoSuchOccurrence: so many do not remain.
    """
    rule, first_start = item.values["calendar:Recurrence"], item.values["calendar:Start"]
    remaining = 0
    for number, start in recurrence.starts(rule, first_start, zone_of(item)):
        remaining += start not in item.deleted
        if remaining == index:
            return _occurrence(item, number, start)
    raise NoSuchOccurrence(deleted=False)


def overlaps(start: datetime, end: datetime, window_start: datetime, window_end: datetime) -> bool:
    """Whether an event shows in a window: it starts before the window's end and ends after its start.

    An event of no length at the window's very start shows as well.
    """
    return start < window_end and (end > window_start or start == end == window_start)


def occurrences_between(item: Item, window_start: datetime, window_end: datetime) -> list[Occurrence]:
    """The occurrences that show in the window, by start: the moved ones where they are now."""
    found = []
    zone = zone_of(item)
    for index, start in recurrence.starts_between(
        item.values["calendar:Recurrence"],
        item.values["calendar:Start"],
        duration(item),
        zone,
        window_start,
        window_end,
    ):
        if start not in item.deleted and start not in item.exceptions:
            found.append(_occurrence(item, index, start))
    found = [one for one in found if overlaps(one.start, one.end, window_start, window_end)]
    for start in item.exceptions:
        try:
            moved = occurrence_at(item, start)
        except NoSuchOccurrence:
            continue
        if overlaps(moved.start, moved.end, window_start, window_end):
            found.append(moved)
    found.sort(key=lambda one: one.start)
    return found


def first(item: Item) -> Occurrence | None:
    """The first occurrence that was not deleted."""
    for index, start in recurrence.starts(
        item.values["calendar:Recurrence"], item.values["calendar:Start"], zone_of(item)
    ):
        if start not in item.deleted:
            return _occurrence(item, index, start)
    return None


def last(item: Item) -> Occurrence | None:
    """The last occurrence that was not deleted; None for a series without an end."""
    rule = item.values["calendar:Recurrence"]
    zone = zone_of(item)
    found = recurrence.last(rule, item.values["calendar:Start"], zone)
    if found is None:
        return None
    index = found[0]
    start: datetime | None = found[1]
    while index > 0:
        if start is not None and start not in item.deleted:
            return _occurrence(item, index, start)
        index -= 1
        start = recurrence.start_at(rule, item.values["calendar:Start"], zone, index)
    return None


def modified(item: Item) -> list[Occurrence]:
    """The occurrences that were changed by themselves, by original start."""
    found = []
    for start in sorted(item.exceptions):
        try:
            found.append(occurrence_at(item, start))
        except NoSuchOccurrence:
            continue
    return found


def in_window(items: Iterable[Item], window_start: datetime, window_end: datetime) -> list[Item | Occurrence]:
    """What a calendar view shows: single events and occurrences, no masters, by start."""
    found: list[tuple[datetime, Item | Occurrence]] = []
    for item in items:
        if item.element != "CalendarItem" or "calendar:Start" not in item.values:
            continue
        if item.is_series:
            found.extend((one.start, one) for one in occurrences_between(item, window_start, window_end))
        elif overlaps(item.values["calendar:Start"], item.values["calendar:End"], window_start, window_end):
            found.append((item.values["calendar:Start"], item))
    found.sort(key=lambda pair: pair[0])
    return [one for _, one in found]


def masters_in_window(items: Iterable[Item], window_start: datetime, window_end: datetime) -> list[Item | Occurrence]:
    """What a calendar view shows that knows no occurrences: single events and masters, by their own times; the window's end is part of it."""
    found: list[Item | Occurrence] = [
        item
        for item in items
        if item.element == "CalendarItem"
        and "calendar:Start" in item.values
        and item.values["calendar:Start"] <= window_end
        and (item.values["calendar:End"] > window_start or item.values["calendar:Start"] >= window_start)
    ]
    return sorted(found, key=lambda item: item.values["calendar:Start"])
