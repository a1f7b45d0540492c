"""Times and entries in words a person reads: days and hours in the user's zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ops_lib.model import AllDay, Entry, When

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day_words(day: date) -> str:
    """``Mon 23 Nov``, in whatever language the machine speaks: the rest of the report is English."""
    return f"{_DAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"


def instant_words(instant: datetime, zone: ZoneInfo) -> str:
    """``Mon 23 Nov 10:00``."""
    local = instant.astimezone(zone)
    return f"{day_words(local)} {local:%H:%M}"


def when_words(when: When, zone: ZoneInfo) -> str:
    """``Mon 23 Nov 10:00–11:00``, ``Mon 23 Nov 22:00 – Tue 24 Nov 01:00``, ``Mon 23 Nov, all day``."""
    if isinstance(when, AllDay):
        last = when.end - timedelta(days=1)
        if last <= when.start:
            return f"{day_words(when.start)}, all day"
        return f"{day_words(when.start)} – {day_words(last)}, all day"
    start, end = when.start.astimezone(zone), when.end.astimezone(zone)
    if start.date() == end.date():
        return f"{day_words(start)} {start:%H:%M}–{end:%H:%M}"
    return f"{day_words(start)} {start:%H:%M} – {day_words(end)} {end:%H:%M}"


def entry_words(entry: Entry, zone: ZoneInfo) -> str:
    """Title and time of an entry: ``Tour with the Reeds, Mon 23 Nov 10:00–11:00``."""
    return f"{entry.description}, {when_words(entry.when, zone)}"


def counted(number: int, one: str, many: str = "") -> str:
    """``1 mailbox``, ``2 mailboxes``, ``no mailboxes``."""
    if number == 1:
        return f"1 {one}"
    return f"{number or 'no'} {many or one + 's'}"


def done_words(numbers: Mapping[tuple[str, str], int]) -> list[str]:
    """What was written, by verb and side: ``["7 made in Outlook", "1 removed from the CRM"]``; what is zero is not said."""
    words = {"created": "made in", "updated": "changed in", "deleted": "removed from"}
    return [
        f"{numbers[verb, side]} {word} {place}"
        for verb, word in words.items()
        for side, place in (("exchange", "Outlook"), ("crm", "the CRM"))
        if numbers[verb, side]
    ]
