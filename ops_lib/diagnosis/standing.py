"""How a process stands, as it is shown: one of the 13 statuses, the sub-cause behind it, who must act and what to do. Pure.

What is kept of an account is what its last cycle said. What is shown is judged now: "Syncing" needs a recent proven success.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops_lib.diagnosis import sign_in_errors
from ops_lib.diagnosis.statuses import (
    FRESH,
    NOT_ENABLED,
    NOT_SYNCING,
    SYNCING,
    UNATTEMPTED,
    owner_and_next_step,
)
from ops_lib.diagnosis.sub_causes import SUB_CAUSES, Circumstances, of_failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the last cycle left of a process. ``error`` is the failure's class, ``said`` its words."""

    status: str
    since: datetime
    last_success: datetime | None = None
    attempts: int = 0
    response_code: str = ""
    said: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A process as it is shown. ``sub_cause`` is a key of `SUB_CAUSES`, ``said`` the sub-cause in words with what was answered."""

    status: str
    sub_cause: str
    said: str
    since: datetime | None
    last_success: datetime | None
    owner: str
    next_step: str


def error_of(evidence: str) -> str:
    """The class of the failure that an evidence line begins with, as `ops_lib.sync.fleet` writes it."""
    return evidence.partition(",")[0].partition(" ")[0]


def standing(
    kept: Kept | None,
    *,
    is_enabled: bool,
    is_retired: bool = False,
    about: Circumstances,
    now: datetime,
    is_due: bool = True,
    set_aside: int = 0,
) -> Standing:
    """How a process stands now. ``is_enabled``: it is switched on, for the account and the host. ``is_due``: it should succeed again and again; ``set_aside``: so many of its entries failed four times."""
    last_success = kept.last_success if kept is not None else None
    if not is_enabled:
        since = kept.since if kept is not None and kept.status == NOT_ENABLED else None
        return _shown(NOT_ENABLED, "host_retired" if is_retired else "switched_off", "", since, last_success)
    if kept is None or kept.status == NOT_ENABLED:
        return _shown(UNATTEMPTED, "never_run", "", None, last_success)
    key = ""
    if kept.attempts or kept.response_code or (kept.status not in (SYNCING, UNATTEMPTED)):
        key = of_failure(kept.response_code, kept.said, kept.error, about)
    if is_due and kept.status in (SYNCING, UNATTEMPTED) and last_success is not None and now - last_success > FRESH:
        # A first success, even one that found nothing, is proof; its age decides as well.
        said = f"the last success was at {last_success:%Y-%m-%d %H:%M} UTC" + (f"; {kept.said}" if kept.said else "")
        if kept.status == SYNCING:
            return _shown(NOT_SYNCING, "stale_success", said, last_success + FRESH, last_success)
        return _shown(UNATTEMPTED, "stale_success", said, kept.since, last_success)
    if kept.status == UNATTEMPTED and not key:
        key = "nothing_to_sync" if last_success is not None and kept.since <= last_success else "never_run"
    if kept.status == SYNCING and not key and set_aside:
        said = f"{set_aside} {'is' if set_aside == 1 else 'are'} set aside"
        return _shown(SYNCING, "entries_refused", said, kept.since, last_success)
    return _shown(kept.status, key, kept.said, kept.since, last_success, kept.response_code)


def _shown(
    status: str, key: str, said: str, since: datetime | None, last_success: datetime | None, code: str = ""
) -> Standing:
    owner, next_step = owner_and_next_step(status, code)
    known = SUB_CAUSES.get(key)
    is_told_by_directory = sign_in_errors.of_code(code) is not None
    if (
        known is not None
        and key not in ("unknown", "nothing_to_sync", "never_run", "switched_off")
        and not is_told_by_directory
    ):
        owner, next_step = known.owner, known.next_step
    title = known.title if known is not None and key not in ("nothing_to_sync", "never_run", "switched_off") else ""
    return Standing(
        status=status,
        sub_cause=key,
        said=": ".join(part for part in (title, said) if part),
        since=since,
        last_success=last_success,
        owner=owner,
        next_step=next_step,
    )
