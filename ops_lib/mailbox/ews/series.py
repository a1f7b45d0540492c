"""One series: from its master as the server gave it to its occurrences. For servers whose calendar view does not show them.

Servers differ in how they say which occurrences were moved or deleted: by the original start, by the midnight of its day, either an hour off
after a change of time. What they say is taken to mean the date of the pattern that it is nearest to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ops_lib.errors import ItemRefused
from ops_lib.mailbox.ews.answers import Element, child, children, text_of
from ops_lib.mailbox.ews.items import item_of, read_instant, touches, zone_of
from ops_lib.mailbox.ews.recurrence import Recurrence, recurrence_of
from ops_lib.mailbox.occurrences import master_and_day, occurrence_id
from ops_lib.model import AllDay, Item, ItemType, Timed, When, Window

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Moved:
    """An occurrence that differs from its series. ``item_id`` is empty where the server gives none."""

    day: date
    item_id: str
    when: When | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A master with its dates. ``moved`` by the date the pattern had for it; ``deleted`` are dates too."""

    master: Item
    when: When
    zone: ZoneInfo
    recurrence: Recurrence
    moved: Mapping[date, Moved] = field(default_factory=dict)
    deleted: frozenset[date] = frozenset()

    def days(self, window: Window) -> Iterator[date]:
        """The dates on which something of the series may touch the window, moved ones wherever they were."""
        margin = self._length() + 2 * _DAY  # an offset moves a date by a day at most; `touches` decides
        earliest, latest = _date_before(window.start, margin), _date_before(window.end, -2 * _DAY)
        for day in self.recurrence.dates(latest):
            if day >= earliest and day not in self.deleted and day not in self.moved:
                yield day
        yield from self.moved

    def holds(self, day: date) -> bool:
        """Whether the series has an occurrence that stands, or stood before it was moved, on this date."""
        return day in self.moved or (day not in self.deleted and day in self.recurrence.dates(day))

    def occurrences(self, window: Window, exceptions: Mapping[str, Item], *, with_own_ids: bool = False) -> list[Item]:
        """What touches the window, in order. ``exceptions`` are the moved ones as the server gives them, by id; they may come under that id."""
        found = [self.occurrence(day, exceptions) for day in self.days(window)]
        if with_own_ids:
            found = [self._under_its_own_id(item, exceptions) for item in found]
        return sorted((item for item in found if touches(item, window)), key=lambda item: item.item_id)

    def _under_its_own_id(self, item: Item, exceptions: Mapping[str, Item]) -> Item:
        moved = self.moved.get(master_and_day(item.item_id)[1])
        own = exceptions.get(moved.item_id) if moved is not None else None
        return item if own is None else replace(item, item_id=own.item_id, change_key=own.change_key)

    def occurrence(self, day: date, exceptions: Mapping[str, Item]) -> Item:
        """The occurrence that the pattern has on a date, with the master's content unless it has its own."""
        moved = self.moved.get(day)
        item = replace(
            self.master,
            item_id=occurrence_id(self.master.item_id, day),
            item_type=ItemType.OCCURRENCE if moved is None else ItemType.EXCEPTION,
            when=self.when_on(day) if moved is None else moved.when,
            original_start=self.start_on(day),
        )
        own = exceptions.get(moved.item_id) if moved is not None else None
        if own is not None:
            item = replace(
                item,
                subject=own.subject,
                when=own.when or item.when,
                location=own.location,
                body=item.body if own.body is None else own.body,
                body_is_html=item.body_is_html if own.body is None else own.body_is_html,
                is_private=own.is_private,
                is_cancelled=own.is_cancelled,
                organizer=own.organizer or item.organizer,
                attendees=own.attendees or item.attendees,
                reminder_is_set=own.reminder_is_set,
                last_modified=own.last_modified or item.last_modified,
            )
        if item.when is None:
            item = replace(item, oddities=(*item.oddities, "a moved occurrence does not say where to"))
        return replace(item, change_key=_version(item))

    def start_on(self, day: date) -> datetime:
        """When the pattern lets it begin on a date, in UTC: the same hour on the wall on every day of the year."""
        if isinstance(self.when, AllDay):
            return _instant(datetime.combine(day, time()), self.zone)
        start = self.when.start.astimezone(self.zone)
        if start.date() == day:
            return self.when.start  # an instant already: where its hour comes twice, it says which one is meant
        return _instant(datetime.combine(day, start.time()), self.zone)

    def when_on(self, day: date) -> When:
        """When the pattern lets it take place on a date; as long by the clock on the wall as the master."""
        if isinstance(self.when, AllDay):
            return AllDay(day, day + self._length())
        start = self.start_on(day)
        end = _instant(start.astimezone(self.zone).replace(tzinfo=None) + self._length(), self.zone)
        return Timed(start, max(start, end))

    def numbers_of(self, day: date) -> tuple[int, ...]:
        """Which occurrence (from 1) it is on the server: some count those that were deleted, others do not. None: it is not in the pattern."""
        dates = list(self.recurrence.dates(day))
        if not dates or dates[-1] != day:
            return ()
        remaining = len(dates) - len(self.deleted.intersection(dates))
        return tuple(dict.fromkeys((remaining, len(dates))))

    def is_occurrence(self, item: Item, day: date) -> bool:
        """Whether an item that the server gave for a number is the occurrence of this date, and no other."""
        moved = self.moved.get(day)
        if moved is not None:
            if moved.item_id:
                return item.item_id == moved.item_id
            return item.item_type is ItemType.EXCEPTION and _is_near(item.when, moved.when, self.zone)
        return item.item_type is ItemType.OCCURRENCE and _is_near(item.when, self.when_on(day), self.zone)

    def _length(self) -> timedelta:
        if isinstance(self.when, AllDay):
            return self.when.end - self.when.start
        start, end = (moment.astimezone(self.zone).replace(tzinfo=None) for moment in (self.when.start, self.when.end))
        return max(timedelta(0), end - start)


def series_of(element: Element, subject: str, fallback: ZoneInfo) -> Series:
    """The series of a master's CalendarItem. ``fallback`` is the zone of a series that names none that is known.

    Raises `ItemRefused` where its occurrences cannot be computed.
    """
    zone = _zone(element)
    master = item_of(element, subject, fallback)
    master = replace(master, body=master.body or "")  # asked for: where there is none, there is none
    if zone is None:
        zone = fallback
        oddity = f"a series in a zone not known: the mailbox user's ({fallback.key}) is taken"
        master = replace(master, oddities=(*master.oddities, oddity))
    if master.item_type is not ItemType.MASTER and child(element, "Recurrence") is None:
        raise ItemRefused("it is no series", subject=master.subject or subject)
    if master.when is None:
        raise ItemRefused("the series does not say when it takes place", subject=master.subject or subject)
    first = master.when.start if isinstance(master.when, AllDay) else master.when.start.astimezone(zone).date()
    try:
        recurrence = recurrence_of(child(element, "Recurrence"), zone, first)
        bare = Series(master=master, when=master.when, zone=zone, recurrence=recurrence)
        deleted = _deleted(element, bare)
        moved = _moved(element, bare)
    except ItemRefused as error:
        raise ItemRefused(
            f"the occurrences of this series cannot be computed: {error.message}",
            subject=master.subject or subject,
            fix="look at the series in Outlook, or make it anew there.",
        ) from None
    return replace(bare, moved=moved, deleted=deleted - moved.keys())


def _zone(element: Element) -> ZoneInfo | None:
    part = child(element, "StartTimeZone")
    for name in (part.get("Id", "") if part is not None else "", text_of(child(element, "StartTimeZoneId"))):
        zone = zone_of(name) if name else None
        if zone is not None:
            return zone
    return None


def _deleted(element: Element, series: Series) -> frozenset[date]:
    days = (
        _day_meant(read_instant(text_of(child(part, "Start"))), series)
        for part in children(element, "DeletedOccurrences")
    )
    return frozenset(day for day in days if day is not None)


def _moved(element: Element, series: Series) -> dict[date, Moved]:
    found: dict[date, Moved] = {}
    for part in children(element, "ModifiedOccurrences"):
        start, end = (_utc(read_instant(text_of(child(part, name)))) for name in ("Start", "End"))
        day = _day_meant(read_instant(text_of(child(part, "OriginalStart"))) or start, series)
        if day is None:
            raise ItemRefused("a changed occurrence does not say which one it is")
        when: When | None = None
        if start is not None:
            when = Timed(start, max(start, end or start))
            if isinstance(series.when, AllDay):
                days = [(moment.astimezone(series.zone) + 12 * _HOUR).date() for moment in (when.start, when.end)]
                when = AllDay(days[0], max(days[1], days[0] + _DAY))
        identity = child(part, "ItemId")
        found[day] = Moved(day, identity.get("Id", "") if identity is not None else "", when)
    return found


def _day_meant(moment: datetime | None, series: Series) -> date | None:
    """The date of the pattern that a time stands for: the start on that date, else its midnight, each exactly or an hour off; else its own date."""
    if moment is None:
        return None
    if moment.tzinfo is None:  # a bare date is a day of the series; a bare time is in the request's zone, UTC
        moment = moment.replace(tzinfo=UTC if moment.hour or moment.minute else series.zone)
    own = moment.astimezone(series.zone).date()
    in_pattern = series.recurrence.dates(own + _DAY)
    near = [day for day in in_pattern if day >= own - _DAY]
    for tolerance in (timedelta(0), _HOUR):
        for at in (series.start_on, lambda day: _instant(datetime.combine(day, time()), series.zone)):
            for day in near:
                if abs(at(day) - moment) <= tolerance:
                    return day
    return own


def _is_near(one: When | None, other: When | None, zone: ZoneInfo) -> bool:
    """Whether both stand on the same local date, or begin within an hour of each other."""
    starts = [_start(when, zone) for when in (one, other) if when is not None]
    if len(starts) < 2:
        return False
    return abs(starts[0] - starts[1]) <= _HOUR or len({start.astimezone(zone).date() for start in starts}) == 1


def _start(when: When, zone: ZoneInfo) -> datetime:
    return _instant(datetime.combine(when.start, time()), zone) if isinstance(when, AllDay) else when.start


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant of a wall-clock time; one that daylight saving skips is read by the offset before the gap."""
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _date_before(moment: datetime, distance: timedelta) -> date:
    try:
        return (moment - distance).date()
    except OverflowError:
        return date.min if distance > timedelta(0) else date.max


def _version(item: Item) -> str:
    """A change key of our own: some servers keep a master's when an occurrence of it changes, so the content speaks too."""
    said = (
        item.change_key, item.when, item.subject, item.location, item.body, item.is_private, item.is_cancelled,
        item.organizer, item.attendees, item.reminder_is_set,
    )  # fmt: skip
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


def ids_of_moved(series: Series, window: Window | None = None, days: Collection[date] = ()) -> list[str]:
    """The ids of those moved occurrences that touch the window, or stood on one of the dates: what is theirs alone must be read."""
    return [
        moved.item_id
        for moved in series.moved.values()
        if moved.item_id
        and (
            moved.day in days
            or (window is not None and (moved.when is None or touches(replace(series.master, when=moved.when), window)))
        )
    ]
