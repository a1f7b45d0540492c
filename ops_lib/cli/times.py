"""Times as people type them: ISO 8601, with an offset or in somebody's time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from ops_lib.errors import InputError
from ops_lib.model import AllDay, Timed, When


def when_of(
    zone: ZoneInfo,
    *,
    start: str | None,
    end: str | None,
    all_day: str | None,
    days: int | None,
    before: When | None = None,
) -> When | None:
    """The time that was given, completed from the one ``before``; ``None`` when nothing was given. **Raises** `InputError`."""
    if all_day is not None and (start is not None or end is not None):
        raise InputError("an activity is either timed or all-day", fix="give --start and --end, or --all-day.")
    if start is not None or end is not None:
        if days is not None:
            raise InputError("--days goes with --all-day only")
        known = before if isinstance(before, Timed) else None
        if start is None and known is None:
            raise InputError("the start is missing", fix="give --start as well.")
        if end is None and known is None:
            raise InputError("the end is missing", fix="give --end as well.")
        return Timed(
            known.start if start is None and known else instant_of(start or "", zone, "--start"),
            known.end if end is None and known else instant_of(end or "", zone, "--end"),
        )
    if all_day is None and days is None:
        return None
    whole = before if isinstance(before, AllDay) else None
    if all_day is None and whole is None:
        raise InputError("--days goes with --all-day only")
    first = whole.start if all_day is None and whole else day_of(all_day or "", "--all-day")
    length = timedelta(days=days) if days is not None else (whole.end - whole.start if whole else timedelta(days=1))
    try:
        return AllDay(first, first + length)
    except OverflowError:
        raise InputError("this lies beyond the calendar", subject="--all-day") from None


def bound_of(text: str, zone: ZoneInfo, option: str) -> date | datetime:
    """A day, or an instant. **Raises** `InputError`."""
    return day_of(text, option) if _is_day(text) else instant_of(text, zone, option)


def day_of(text: str, option: str) -> date:
    """A day: 2026-11-24. **Raises** `InputError`."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InputError(f"{text} is no date", subject=option, fix="write it as 2026-11-24.") from None


def instant_of(text: str, zone: ZoneInfo, option: str) -> datetime:
    """An instant, in UTC; without an offset the text is a time in ``zone``.

    **Raises** `InputError` for what is no time, or is none or two in that zone because clocks were changed.
    """
    fix = "write it as 2026-11-24T10:00, 2026-11-24T10:00-05:00 or 2026-11-24T15:00Z."
    if _is_day(text):
        raise InputError(f"{text} has no time of day", subject=option, fix=f"{fix[:-1]}, or use --all-day.")
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(f"{text} is no time", subject=option, fix=fix) from None
    try:
        if parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
        early, late = parsed.replace(tzinfo=zone), parsed.replace(tzinfo=zone, fold=1)
        instant = early.astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) != parsed:
            raise InputError(
                f"clocks in {zone.key} never show {text}", subject=option, fix="give another time, or an offset."
            )
        if early.utcoffset() != late.utcoffset():
            raise InputError(
                f"clocks in {zone.key} show {text} twice", subject=option, fix="say which by its offset from UTC."
            )
    except OverflowError:
        raise InputError(f"{text} lies beyond the calendar", subject=option) from None
    return instant


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text.strip())
    except ValueError:
        return False
    return True
