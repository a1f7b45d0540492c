"""What a check is, and what it is given: the facts, and shorthand for what most checks ask of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from ops_lib.diagnosis.seen import Facts, Probe
from ops_lib.diagnosis.statuses import MEANINGS
from ops_lib.diagnosis.sub_causes import SUB_CAUSES, Circumstances, of_failure
from ops_lib.model import FindingVerdict, Layer

ONLINE_HOSTS = frozenset(
    {"outlook.office365.com", "outlook.office.com", "outlook.cloud.microsoft", "outlook.office365.us", "outlook-dod.office365.us", "partner.outlook.cn"}
)  # fmt: skip
"""Exchange Online's own servers; everything else is somebody's own."""

IMPERSONATION_CODES = frozenset(
    {"ErrorImpersonateUserDenied", "ErrorImpersonationDenied", "ErrorImpersonationFailed", "ErrorTokenSerializationDenied"}
)  # fmt: skip
FOLDER_CODES = frozenset(
    {"ErrorAccessDenied", "ErrorFolderNotFound", "ErrorItemNotFound", "ErrorParentFolderNotFound", "ErrorManagedFolderNotFound"}
)  # fmt: skip
MAILBOX_CODES = frozenset(
    {
        "ErrorNonExistentMailbox", "ErrorCannotFindUser", "ErrorNonPrimarySmtpAddress", "ErrorMissingEmailAddress", "ErrorInvalidLicense",
        "ErrorInvalidExchangeImpersonationHeaderData", "ErrorMailboxHoldNotFound", "ErrorMailboxMoveInProgress",
    }
)  # fmt: skip
VERSION_CODES = frozenset(
    {
        "ErrorInvalidServerVersion", "ErrorIncorrectSchemaVersion", "ErrorInvalidSchemaVersionForMailboxVersion", "ErrorWrongServerVersion",
        "ErrorWrongServerVersionDelegate",
    }
)  # fmt: skip

RECENT = timedelta(days=1)
"""What worked within a day works."""

SERVER_PROBES = ("mailbox", "service", "address", "rights", "time_zone", "calendar_state", "tasks_state", "items")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a check says of one thing. What it leaves empty comes from its sub-cause. ``stands_alone``: no other failure explains it."""

    verdict: FindingVerdict
    observed: str
    sub_cause: str = ""
    subject: str = ""
    expected: str = ""
    cause: str = ""
    next_step: str = ""
    evidence: str = ""
    source: str = ""
    owner: str = ""
    follows: str = ""
    stands_alone: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the facts. ``after``: checks whose failure explains that this one saw nothing, or saw something wrong."""

    name: str
    layer: Layer
    expected: str
    look: Callable[[Case], Iterable[Told]]
    after: tuple[str, ...] = ()
    about: str = ""


class Case:
    """The facts of one account, with what checks ask for again and again."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.now = facts.at
        self.today: date = facts.at.astimezone(UTC).date()

    def probe(self, name: str) -> Probe:
        return self.facts.probe(name)

    def host(self, key: str, default: str = "") -> str:
        """A setting of the host, as text."""
        value = self.probe("host").get(key)
        return str(value) if value is not None else default

    def account(self, key: str, default: str = "") -> str:
        """A setting of the account, as text."""
        value = self.probe("account").get(key)
        return str(value) if value is not None else default

    @cached_property
    def is_online(self) -> bool:
        """Whether the host is Exchange Online."""
        try:
            return (urlsplit(self.host("url")).hostname or "").lower() in ONLINE_HOSTS
        except ValueError:
            return False

    @cached_property
    def circumstances(self) -> Circumstances:
        last = moment(self.probe("neighbours").get("last_success"))
        own = moment(self.probe("status").get("calendar", "last_success"))
        resolved = self.probe("address").get("found")
        return Circumstances(
            auth=self.host("auth"),
            access=self.host("access"),
            is_online=self.is_online,
            others_work=others_work(last, own, self.now),
            directory_knows=isinstance(resolved, list) and bool(resolved),
            secret_looks_like_an_id=bool(self.probe("secret").get("looks_like_an_id")),
            today=self.today,
        )

    def sub_cause_of(self, probe: Probe) -> str:
        """What a failed probe means."""
        failure = probe.failure
        if failure is None:
            return ""
        return of_failure(failure.response_code, failure.message, failure.error, self.circumstances)

    def failed(
        self, probe: Probe, *, source: str, sub_cause: str = "", verdict: FindingVerdict = "fail", subject: str = ""
    ) -> Told:
        """A finding from a failed probe, in the server's own words."""
        failure = probe.failure
        assert failure is not None
        key = sub_cause or self.sub_cause_of(probe)
        code = (
            f" ({failure.response_code})"
            if failure.response_code and failure.response_code not in failure.message
            else ""
        )
        return Told(
            verdict=verdict,
            observed=f"{failure.message}{code}",
            sub_cause=key,
            subject=subject,
            next_step=failure.fix
            if key in ("", "unknown", "directory_refuses", "sign_in_over", "secret_missing")
            else "",
            evidence=probe.evidence,
            source=source,
        )

    def not_seen(self, probe: Probe, *, source: str = "", subject: str = "") -> Told:
        """What could not be looked at is unknown."""
        if probe.failure is not None:
            why = probe.failure.message
            code = (
                f" ({probe.failure.response_code})"
                if probe.failure.response_code and probe.failure.response_code not in why
                else ""
            )
            return Told(
                verdict="unknown",
                observed=f"could not be seen: {why}{code}",
                subject=subject,
                evidence=probe.evidence,
                source=source,
            )
        return Told(verdict="unknown", observed=f"not looked at: {probe.why}", subject=subject, source=source)


def moment(value: Any) -> datetime | None:
    """An instant of the facts; None for what is none."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def others_work(others: datetime | None, own: datetime | None, now: datetime) -> bool:
    """Whether other accounts of the host have worked since this one did last, and within a day."""
    return others is not None and now - others < RECENT and (own is None or others > own)


def ago(now: datetime, then: datetime) -> str:
    """How long ago, in words."""
    seconds = (now - then).total_seconds()
    if seconds < 0:
        return "in the future"
    for size, one in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {one}{'' if count == 1 else 's'} ago"
    return "just now"


def whole(value: Any) -> int:
    """A count of the facts; 0 for what is none."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


def rows(value: Any) -> list[dict[str, Any]]:
    """A list of rows of the facts; what is none is left out."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def owner_of(sub_cause: str) -> str:
    known = SUB_CAUSES.get(sub_cause)
    return known.owner if known is not None else ""


def owner_of_status(status: str) -> str:
    known = MEANINGS.get(status)
    return known.owner if known is not None else "support"
