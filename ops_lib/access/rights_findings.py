"""What is to be said of permissions beyond single cells: more than is needed, and what Microsoft is taking away. Pure (P7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from ops_lib.access.powershell_evidence import APPLICATION_ROLE, Evidence
from ops_lib.access.rights import Matrix
from ops_lib.model import Host

EWS_ENDS = date(2027, 4, 1)
"""From this day EWS is off in Exchange Online, and no administrator can turn it on again."""
BLOCKED_SINCE = date(2026, 10, 1)
"""Since this day Exchange Online switches EWS off tenant by tenant, and needs a list of allowed applications."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to say of a host or mailbox."""

    check: str
    subject: str
    verdict: Literal["ok", "warn", "fail", "unknown"]
    observed: str
    expected: str
    cause: str
    next_step: str
    evidence: str
    source: str


def findings(host: Host, matrix: Matrix, evidence: Evidence | None, today: date) -> tuple[Finding, ...]:
    """Everything to say of a host, failures first. ``evidence`` None: no cmdlet output was given."""
    said: list[Finding] = []
    if evidence is not None:
        said += _scopes(host, evidence)
        said += _left_over(host, evidence)
        said += _organisation(host, evidence)
    said += _withdrawn(host, today)
    said += _more(matrix)
    order = ("fail", "unknown", "warn", "ok")
    return tuple(sorted(said, key=lambda each: (order.index(each.verdict), each.check, each.subject)))


def _scopes(host: Host, evidence: Evidence) -> list[Finding]:
    said = []
    for grant in evidence.grants:
        if host.access != "impersonation":
            said.append(
                Finding(
                    check="impersonation_unused",
                    subject=grant.name or grant.role,
                    verdict="warn",
                    observed=f"{grant.role} for {grant.assignee}",
                    expected=f"none: the host's access is {host.access}",
                    cause="the role was given before, or for something else, and is not needed for the sync",
                    next_step="Remove the assignment when nothing else needs it.",
                    evidence=grant.evidence,
                    source="powershell",
                )
            )
        elif grant.is_whole_organisation is None:
            said.append(
                Finding(
                    check="impersonation_scope",
                    subject=grant.name or grant.role,
                    verdict="unknown",
                    observed="the scope is not shown",
                    expected="a scope that holds the accounts of this host only",
                    cause="the output leaves out the columns that name the scope",
                    next_step="Give RecipientWriteScope and CustomRecipientWriteScope too (`| Format-List`).",
                    evidence=grant.evidence,
                    source="powershell",
                )
            )
        elif grant.is_whole_organisation:
            said.append(
                Finding(
                    check="impersonation_scope",
                    subject=grant.name or grant.role,
                    verdict="warn",
                    observed=f"{grant.role} over the whole organisation",
                    expected="a scope that holds the accounts of this host only",
                    cause="the assignment was made without a scope: it opens every mailbox, also of people who do not use the CRM",
                    next_step="Run the scoped set-up (`syncops rights script --setup`), then remove this assignment.",
                    evidence=grant.evidence,
                    source="powershell",
                )
            )
    return said


def _left_over(host: Host, evidence: Evidence) -> list[Finding]:
    if host.access == "delegate":
        return []
    return [
        Finding(
            check="left_over_grant",
            subject=user,
            verdict="warn",
            observed=what.split(" (", 1)[0],
            expected=f"none: with {host.access} access the service account needs no rights in its own name",
            cause="left from delegate access",
            next_step="Remove it; the sync does not use it.",
            evidence=what,
            source="powershell",
        )
        for user, what in sorted(evidence.direct_grants.items())
    ]


def _organisation(host: Host, evidence: Evidence) -> list[Finding]:
    organisation = evidence.organisation
    if organisation is None or host.version != "Office 365":
        return []
    if organisation.ews_enabled == "true" and organisation.allowed_app_ids == ():
        return [
            Finding(
                check="ews_allowed_applications",
                subject=host.name,
                verdict="fail",
                observed="EwsEnabled True, EwsAllowedAppIDs empty",
                expected="the application's id in EwsAllowedAppIDs",
                cause="since October 2026 an empty list blocks every application",
                next_step=f"Add {host.client_id or 'the application'} to the list; the cmdlet replaces the whole list, so name the others too.",
                evidence=organisation.evidence,
                source="powershell",
            )
        ]
    if organisation.ews_enabled == "":
        return [
            Finding(
                check="ews_not_set",
                subject=host.name,
                verdict="warn",
                observed="EwsEnabled is not set",
                expected="EwsEnabled True with the application in EwsAllowedAppIDs",
                cause="Microsoft sets organisations that chose nothing to False, with seven days' notice",
                next_step="Set EwsEnabled to True and list the application before that.",
                evidence=organisation.evidence,
                source="powershell",
            )
        ]
    return []


def _withdrawn(host: Host, today: date) -> list[Finding]:
    if host.version != "Office 365":
        return []
    said = []
    if host.access == "impersonation" and host.auth != "oauth-app":
        said.append(
            Finding(
                check="role_withdrawn",
                subject=host.name,
                verdict="fail",
                observed=f"access by impersonation, signed in by {host.auth}",
                expected=f"an application with the role {APPLICATION_ROLE} (sign-in oauth-app)",
                cause="Exchange Online removed ApplicationImpersonation in February 2025: no account can act for others any more",
                next_step="Register an application, run the set-up script, and change the host to --auth oauth-app; or use direct access.",
                evidence="Microsoft, MC718754",
                source="host",
            )
        )
    ended = today >= EWS_ENDS
    said.append(
        Finding(
            check="ews_retirement",
            subject=host.name,
            verdict="fail" if ended else "warn",
            observed=f"EWS in Exchange Online, on {today.isoformat()}",
            expected="Microsoft Graph before 1 April 2027",
            cause=(
                "EWS has ended in Exchange Online"
                if ended
                else "Exchange Online is switching EWS off"
                + (" tenant by tenant" if today >= BLOCKED_SINCE else " from October 2026")
                + "; from 1 April 2027 it stays off"
            ),
            next_step="Move the host to Microsoft Graph."
            if ended
            else "Keep the application in EwsAllowedAppIDs, and plan the move to Microsoft Graph.",
            evidence="Microsoft, Deprecation of Exchange Web Services in Exchange Online",
            source="host",
        )
    )
    return said


def _more(matrix: Matrix) -> list[Finding]:
    return [
        Finding(
            check="more_than_needed",
            subject=f"{row.user} {row.right}",
            verdict="warn",
            observed=next((c.observed for c in (row.powershell, row.ews) if c is not None and c.verdict == "more"), ""),
            expected=str(row.expected),
            cause=row.why,
            next_step="Take it back, or lower it to what is needed.",
            evidence=next((c.evidence for c in (row.powershell, row.ews) if c is not None and c.verdict == "more"), ""),
            source=next((c.source for c in (row.powershell, row.ews) if c is not None and c.verdict == "more"), ""),
        )
        for row in matrix.rows()
        if any(cell is not None and cell.verdict == "more" for cell in (row.ews, row.powershell))
    ]
