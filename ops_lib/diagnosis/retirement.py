"""Which hosts and accounts stop working, when and why: Microsoft's dates for EWS, by the kind of host. Pure (G1).

**Source** Microsoft's "Deprecation of Exchange Web Services in Exchange Online" and the Exchange team's posts up to October 2026; the days on which
versions of Exchange Server went out of support from Microsoft's lifecycle pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from urllib.parse import urlsplit

from ops_lib.diagnosis.judging import ONLINE_HOSTS
from ops_lib.diagnosis.sub_causes import CRM, EWS_ENDING, EWS_ENDS, NOBODY, ROLE_WITHDRAWN, SUPPORT, TENANT
from ops_lib.model import FindingVerdict, Host

WORLDWIDE = frozenset({"outlook.office365.com", "outlook.office.com", "outlook.cloud.microsoft"})
"""Exchange Online for everybody; the others of `ONLINE_HOSTS` are clouds of their own, whose steps are announced separately."""

LIST_NEEDED = date(2026, 10, 10)
"""Since this day EWS works only for applications that are listed, wherever an administrator keeps it on."""

SUPPORT_ENDED = {"2013": date(2023, 4, 11), "2016": date(2025, 10, 14), "2019": date(2025, 10, 14)}
"""When a version of Exchange Server got its last security update."""

BLOCKED = ("ews_disabled", "ews_blocked_by_policy", "ews_retired")
"""Sub-causes of an account that has no EWS already."""

EARLY_DAYS = 60

When = Literal["over", "any day", "on that day", "goes on"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One thing that ends, or does not. ``day`` is None where there is no date; ``when`` says how certain it is."""

    subject: str
    what: str
    verdict: FindingVerdict
    when: When
    day: date | None
    why: str
    owner: str
    next_step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """One of Microsoft's dates, and whom it concerns."""

    day: date
    what: str
    concerns: str


MILESTONES: tuple[Milestone, ...] = (
    Milestone(day=SUPPORT_ENDED["2013"], what="the last security update of Exchange 2013", concerns="hosts of version 2013; EWS goes on"),
    Milestone(day=ROLE_WITHDRAWN, what="the role ApplicationImpersonation is removed", concerns="Exchange Online, sign-in by a person for others"),
    Milestone(day=SUPPORT_ENDED["2019"], what="the last security update of Exchange 2016 and 2019", concerns="hosts of these versions; EWS goes on"),
    Milestone(day=EWS_ENDING, what="EWS is switched off tenant by tenant, with seven days' notice; mailboxes with a Kiosk, F1 or F3 licence alone have none", concerns="Exchange Online"),
    Milestone(day=LIST_NEEDED, what="where EWS is kept on, an application works only if EwsAllowedAppIDs lists it", concerns="Exchange Online"),
    Milestone(day=EWS_ENDS, what="EWS is off for good; no administrator can turn it on", concerns="Exchange Online, every cloud"),
)  # fmt: skip


def is_online(host: Host) -> bool:
    """Whether Microsoft runs the host's server."""
    return _name(host) in ONLINE_HOSTS


def kind(host: Host) -> str:
    """What the host is, in words."""
    if not is_online(host):
        return f"Exchange {host.version} of one's own"
    return "Exchange Online" if _name(host) in WORLDWIDE else "Exchange Online, a cloud of its own"


def endings(host: Host, today: date) -> list[Ending]:
    """Everything that ends for a host, worst first, then the earliest first; at least one row."""
    found = list(_online(host, today) if is_online(host) else _own_server(host, today))
    found += _secret(host, today)
    worst_first = ("fail", "unknown", "warn", "ok")
    return sorted(found, key=lambda each: (worst_first.index(each.verdict), each.day or date.max))


def works_until(ends: Sequence[Ending]) -> Ending:
    """The ending that comes first: what is over already, else the earliest day; else what goes on."""
    stops = [each for each in ends if each.when != "goes on"]
    return min(stops, key=lambda each: (each.when != "over", each.day or date.max)) if stops else ends[0]


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _name(host: Host) -> str:
    try:
        return (urlsplit(host.url).hostname or "").lower()
    except ValueError:
        return ""


def _online(host: Host, today: date) -> Iterator[Ending]:
    is_over = today >= EWS_ENDS
    yield Ending(
        subject=host.name,
        what="EWS",
        verdict="fail" if is_over else "warn",
        when="over" if is_over else "on that day",
        day=EWS_ENDS,
        why="Microsoft ends EWS in Exchange Online for good",
        owner=SUPPORT,
        next_step="plan the move to Microsoft Graph before that day: afterwards nothing brings EWS back.",
    )
    if not is_over:
        begun = today >= EWS_ENDING
        app = f"the client id {host.client_id}" if host.client_id else "the host's client id"
        yield Ending(
            subject=host.name,
            what="EWS of this organisation",
            verdict="warn",
            when="any day" if begun else "on that day",
            day=EWS_ENDING,
            why=(
                "Microsoft switches organisations off one by one, with seven days' notice in the Message Center"
                if _name(host) in WORLDWIDE
                else "this cloud follows the worldwide one; its days are announced in the Message Center"
            ),
            owner=TENANT,
            next_step=f"keep EwsEnabled True with {app} in EwsAllowedAppIDs, and read the Message Center.",
        )
    if host.access == "impersonation" and host.auth != "oauth-app" and today >= ROLE_WITHDRAWN:
        yield Ending(
            subject=host.name,
            what="acting for others",
            verdict="fail",
            when="over",
            day=ROLE_WITHDRAWN,
            why=f"Exchange Online has no role ApplicationImpersonation any more; {host.auth} acts for nobody else there",
            owner=CRM,
            next_step=f"syncops host edit {host.name!r} --auth oauth-app, with full_access_as_app or the role Application EWS.AccessAsApp; or --access direct.",
        )


def _own_server(host: Host, today: date) -> Iterator[Ending]:
    ended = SUPPORT_ENDED.get(host.version)
    yield Ending(
        subject=host.name,
        what="EWS",
        verdict="ok",
        when="goes on",
        day=None,
        why="Microsoft keeps EWS in Exchange Server; a mailbox that moves to Exchange Online loses it there",
        owner=NOBODY,
        next_step="nothing; users whose mailboxes move to Exchange Online need a host of their own.",
    )
    if ended is not None:
        is_over = today >= ended
        yield Ending(
            subject=host.name,
            what="security updates of the server",
            verdict="warn" if is_over else "ok",
            when="goes on",
            day=ended,
            why=f"Exchange {host.version} is out of support; EWS itself works on" if is_over else "in support until that day",
            owner="the customer's Exchange administrator",
            next_step="move to Exchange SE, which also lets a hybrid organisation use Graph.",
        )  # fmt: skip


def _secret(host: Host, today: date) -> Iterator[Ending]:
    ends = host.secret_expires
    if ends is None:
        return
    left = (ends - today).days
    yield Ending(
        subject=host.name,
        what="the host's secret",
        verdict="fail" if left < 0 else "warn" if left <= EARLY_DAYS else "ok",
        when="over" if left < 0 else "on that day",
        day=ends,
        why="a client secret has a last day; signing in fails after it",
        owner=CRM,
        next_step=f"make a new one and enter it: syncops host rotate {host.name!r}.",
    )
