"""What the administrator's cmdlets prove about each mailbox and right. Pure.

Nothing is concluded from a value that was cut, from a name that could be somebody else's, or from an output that may be a part of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ops_lib.access.powershell_acting import ActingReader
from ops_lib.access.powershell_folders import NO_ENTRY, FolderReader
from ops_lib.access.powershell_names import Names
from ops_lib.access.powershell_output import Output
from ops_lib.access.powershell_reader import APPLICATION_ROLE, NO_OBJECT, Evidence, Grant, Organisation
from ops_lib.access.powershell_sending import SendingReader
from ops_lib.access.rights import ACTS_AS_OWNER, Holds, Observation, Right
from ops_lib.model import Account, Host

_LONGEST = 200

__all__ = ["APPLICATION_ROLE", "Evidence", "Grant", "Organisation", "observe"]


def observe(
    outputs: Sequence[Output],
    host: Host,
    accounts: Sequence[Account],
    *,
    service_names: Iterable[str] = (),
    mailbox_names: Iterable[tuple[str, str]] = (),
) -> Evidence:
    """What the outputs show of the host's accounts.

    ``service_names``: further ways the service account is written (its display name, ``DOMAIN\\account``, the application's id).
    ``mailbox_names``: display names with their addresses, as far as the CRM knows them; a name of two people is nobody's.
    """
    names = Names(
        (account.mailbox for account in accounts),
        (host.service_user, host.client_id, *service_names),
        mailbox_names,
    )
    names.learn(outputs)
    reader = _Reader(host, tuple(account.mailbox.lower() for account in accounts), names)
    for output in outputs:
        reader.read(output)
    return reader.finish()


class _Reader(FolderReader, SendingReader, ActingReader):
    """Reads every cmdlet's output, and puts together what they show."""

    def read(self, output: Output) -> None:
        if output.error and not any(mark in output.error for mark in (*NO_OBJECT, *NO_ENTRY)):
            self._note(output, f"{output.cmdlet} failed, so it proves nothing: {_short(output.error)}")
        another = self._asked_for_another(output)
        if another:
            self._note(
                output,
                f"{output.cmdlet} was asked for {another} and shows nothing of the service account; ask for that one, or say with --service-name that it is the same",
            )
            return
        {
            "Get-MailboxFolderPermission": self._folder,
            "Get-RecipientPermission": self._recipient,
            "Get-ADPermission": self._directory,
            "Get-ManagementRoleAssignment": self._assignment,
            "Test-ServicePrincipalAuthorization": self._application,
            "Get-CASMailbox": self._cas_mailbox,
            "Get-OrganizationConfig": self._organisation,
            "Get-Mailbox": self._mailbox,
        }[output.cmdlet](output)

    # ── mailbox and EWS ──────────────────────────────────────────────────────────────────────────────────────────────
    def _cas_mailbox(self, output: Output) -> None:
        for record in output.records:
            user = self._mailbox_of(output, record, "primarysmtpaddress", "identity", "name")
            if user is None:
                self._note(
                    output,
                    f"{record.values.get('identity') or record.values.get('name') or 'a row without a name'}: which mailbox that is cannot be told; add PrimarySmtpAddress",
                )
                continue
            evidence = self._evidence(output, record)
            self.proven.setdefault(user, evidence)
            said = record.get("ewsenabled")
            if said is not None:
                self.ews[user] = (said.lower(), evidence)
        if output.error and any(mark in output.error for mark in NO_OBJECT):
            user = self._mailbox_of(output, None)
            if user:
                self._no_object(output, user)

    def _organisation(self, output: Output) -> None:
        for record in output.records:
            said, ids = record.get("ewsenabled"), record.get("ewsallowedappids")
            before = self.found.organisation
            if said is None and before is None:
                self._note(output, "the organisation's settings without EwsEnabled")
            listed = before.allowed_app_ids if before else None
            if ids is not None:
                listed = tuple(each.strip().lower() for each in ids.strip("{}").split(",") if each.strip())
            self.found.organisation = Organisation(
                ews_enabled=(said.lower() if said is not None else before.ews_enabled if before else "unknown"),
                allowed_app_ids=listed,
                evidence=self._evidence(output, record),
            )

    def _ews(self, user: str) -> Observation | None:
        organisation = self.found.organisation
        mailbox, evidence = self.ews.get(user, ("unknown", ""))

        def say(holds: Holds, observed: str, evidence: str, why: str = "") -> Observation:
            return self._seen(user, Right.EWS_ENABLED, holds, observed, evidence, why)

        if mailbox == "false":
            return say(Holds.NO, "EwsEnabled False on the mailbox", evidence)
        if organisation and organisation.ews_enabled == "false":
            return say(Holds.NO, "EwsEnabled False for the organisation", organisation.evidence)
        if organisation and organisation.ews_enabled == "true" and self.host.version == "Office 365":
            ids = organisation.allowed_app_ids
            if ids is None:
                why = "EwsAllowedAppIDs was not shown; ask with -RetrieveEwsOperationAccessPolicy"
                return say(Holds.UNKNOWN, "EwsEnabled True", organisation.evidence, why)
            if self.host.client_id and self.host.client_id.lower() not in ids:
                why = "EwsAllowedAppIDs does not list this application: since October 2026 it is blocked"
                return say(Holds.NO, "not in EwsAllowedAppIDs", organisation.evidence, why)
        if mailbox == "unknown" and organisation is None:
            return None
        if mailbox == "unknown" or organisation is None or organisation.ews_enabled == "unknown":
            missing = (
                "the mailbox's setting (Get-CASMailbox)"
                if mailbox == "unknown"
                else "the organisation's (Get-OrganizationConfig)"
            )
            return say(
                Holds.UNKNOWN,
                "allowed as far as shown",
                evidence or (organisation.evidence if organisation else ""),
                f"{missing} was not given, and both must allow it",
            )
        return say(
            Holds.YES, f"mailbox {mailbox or 'not set'}, organisation {organisation.ews_enabled or 'not set'}", evidence
        )

    # ── together ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def finish(self) -> Evidence:
        """The observations of all outputs together: what one shows of another's scope is set right here."""
        acts_for_all = self.host.access == "impersonation"
        if self.host.access != "delegate":  # what the service account holds in its own name does not count here
            own = set(ACTS_AS_OWNER)
            self.found.observations = [seen for seen in self.found.observations if seen.right not in own]
        for user in self.mailboxes:
            # Asked for this very mailbox says more than what is known of a scope's name.
            acting = _best(self.acting_asked.get(user) or self.acting.get(user, []))
            if acting:
                self.found.observations.append(acting)
            if self.host.access == "direct":
                self._with_own_login(user)
            elif acts_for_all:
                self._with_acting(user, acting)
            else:
                sending = _best(self.send_as.get(user, []))
                if sending:
                    self.found.observations.append(sending)
            if user in self.proven:
                self._see(user, Right.MAILBOX, Holds.YES, "found", self.proven[user])
            ews = self._ews(user)
            if ews:
                self.found.observations.append(ews)
        for user, seen in self.send_as.items():
            if any(each.holds is Holds.YES for each in seen):
                self.found.direct_grants.setdefault(user, f"Send As ({seen[0].evidence})")
        return self.found

    def _with_own_login(self, user: str) -> None:
        if user in self.proven:
            for right in ACTS_AS_OWNER:
                self._see(user, right, Holds.YES, "the user's own mailbox", self.proven[user])

    def _with_acting(self, user: str, acting: Observation | None) -> None:
        if acting is None:
            return
        why = {
            Holds.YES: "",
            Holds.NO: "it comes with acting for the user, which is missing",
            Holds.UNKNOWN: "it comes with acting for the user, which could not be seen",
        }[Holds.YES if acting.holds is Holds.EXCESS else acting.holds]
        for right in ACTS_AS_OWNER:
            self._see(user, right, acting.holds, f"by impersonation: {acting.observed}", acting.evidence, why)


def _best(seen: Sequence[Observation]) -> Observation | None:
    """Of several grants the one that counts: a denial, else a grant, else what is unclear, else that there is none."""
    denied = [each for each in seen if each.holds is Holds.NO and "denied" in each.observed]
    order = (Holds.YES, Holds.EXCESS, Holds.UNKNOWN, Holds.NO)
    return next(iter(denied or sorted(seen, key=lambda each: order.index(each.holds))), None)


def _short(error: str) -> str:
    """The first words of what PowerShell said; where it stood in whose script is of no use here."""
    first = error.split(" At line:")[0].split(" + CategoryInfo")[0].split(" CategoryInfo")[0].strip()
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST].rsplit(' ', 1)[0]} …"
