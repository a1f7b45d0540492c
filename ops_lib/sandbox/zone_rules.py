"""When a time zone's clock is set, and what its rules of a year are: found by asking the zone itself.

Works on any ``tzinfo``: the tz database's, and those an iCalendar file defines for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Change:
    """The clock is set from one offset to another at ``instant`` (UTC)."""

    instant: datetime
    before: timedelta
    after: timedelta

    @property
    def wall(self) -> datetime:
        """What the clock shows when it is set."""
        return self.instant.replace(tzinfo=None) + self.before


def changes(clock: tzinfo, year: int) -> tuple[Change, ...]:
    """When the clock is set within a year (UTC), in order."""
    if isinstance(clock, ZoneInfo):
        return _changes_of_zone(clock, year)
    return tuple(_find_changes(clock, year))


@lru_cache(maxsize=8192)
def _changes_of_zone(clock: ZoneInfo, year: int) -> tuple[Change, ...]:
    return tuple(_find_changes(clock, year))


def _find_changes(clock: tzinfo, year: int) -> Iterable[Change]:
    moment = datetime(year, 1, 1, tzinfo=UTC)
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    before = offset_at(clock, moment)
    # Ramadan interrupts Morocco's summer time for four weeks: no two changes are closer than a few days.
    step = timedelta(days=3)
    while moment < end:
        following = min(moment + step, end)
        after = offset_at(clock, following)
        if after != before:
            low, high = moment, following
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                if middle in (low, high):
                    break
                if offset_at(clock, middle) == before:
                    low = middle
                else:
                    high = middle
            yield Change(high, before, after)
            before = after
        moment = following


def offset_at(clock: tzinfo, moment: datetime) -> timedelta:
    """What the clock adds to UTC at a moment."""
    return moment.astimezone(clock).utcoffset() or timedelta()


def keeps_same_time(one: tzinfo, other: tzinfo, years: range) -> bool:
    """Whether two clocks show the same at every moment of ``years``."""
    if one is other:
        return True
    if any(
        offset_at(one, datetime(year, month, 1, tzinfo=UTC)) != offset_at(other, datetime(year, month, 1, tzinfo=UTC))
        for year in years
        for month in (1, 7)
    ):
        return False
    return all(changes(one, year) == changes(other, year) for year in years)


@dataclass(frozen=True)
class YearRules:
    """One year of a zone: its standard offset and, where the clock is changed and changed back, summer time's."""

    standard: timedelta
    daylight: timedelta | None = None
    to_daylight: Change | None = None
    to_standard: Change | None = None


def year_rules(clock: tzinfo, year: int) -> YearRules:
    """The rules of a year. A clock that is set once only (or in no rhythm) has the offset it ends the year with."""
    found = changes(clock, year)
    if len(found) == 2 and found[0].before == found[1].after:
        forward, back = sorted(found, key=lambda change: change.before)
        return YearRules(forward.before, forward.after, forward, back)
    return YearRules(offset_at(clock, datetime(year, 12, 31, tzinfo=UTC)))
