"""Lengths of time as XML Schema writes them."""

from __future__ import annotations

import re
from datetime import timedelta

from ops_lib.errors import SandboxError

_DURATION = re.compile(
    r"(?P<sign>-)?P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.\d+)?S)?)?"
)


def read_duration(text: str) -> timedelta:
    """An ``xs:duration`` of days, hours, minutes and seconds.

    Raises:
        SandboxError: it is none, or counts months or years, which have no fixed length.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match[name] for name in ("days", "hours", "minutes", "seconds")):
        raise SandboxError(
            "this is not a duration", subject=text, fix="write it like PT5H30M, without months or years."
        )
    amount = timedelta(**{name: int(match[name] or 0) for name in ("days", "hours", "minutes", "seconds")})
    return -amount if match["sign"] else amount


def write_duration(amount: timedelta) -> str:
    """A length of time as ``xs:duration``: ``PT5H30M``, ``-PT1H``, ``PT0S``."""
    seconds = int(abs(amount).total_seconds())
    if seconds == 0:
        return "PT0S"
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + (f"{rest}S" if rest else "")
    return f"{'-' if amount < timedelta() else ''}PT{parts}"
