"""What proves that the service account, or the application, may act for a user. Pure."""

from __future__ import annotations

from ops_lib.access.powershell_output import Output, Record
from ops_lib.access.powershell_reader import APPLICATION_ROLE, Grant, Reader
from ops_lib.access.rights import Holds, Right

_IMPERSONATING_ROLES = {"applicationimpersonation", APPLICATION_ROLE.lower()}


class ActingReader(Reader):
    """What proves that the service account, or the application, may act for a user."""

    def _assignment(self, output: Output) -> None:
        one = output.parameters.get("writablerecipient") or output.parameters.get("mailbox")
        asked_role = output.parameters.get("role", "").lower()
        unclear: list[tuple[Record, str]] = []
        is_found = False
        for record in output.records:
            role = record.get("role")
            name = record.get("name") or record.get("identity") or ""
            if role is not None and role.lower() not in _IMPERSONATING_ROLES:
                continue
            if (record.get("enabled") or "True").lower() == "false" or name.lower().endswith("-delegating"):
                continue
            if (record.get("roleassignmentdelegationtype") or "").lower().startswith("delegating"):
                continue
            effective = record.get("effectiveusername")
            assignee = record.get("roleassigneename", "roleassignee")
            who = [self.names.is_service(each) for each in (effective, assignee) if each]
            if role is None or (record.is_cut("roleassigneename", "effectiveusername") and True not in who):
                unclear.append((record, "the role's or the user's name was cut in the copy"))
                continue
            if True not in who:
                is_group = (effective or "").lower() == "all group members" or (
                    record.get("roleassigneetype") or ""
                ).lower().endswith("group")
                if is_group and not (effective and self.names.is_service(effective) is False):
                    unclear.append(
                        (record, f"it is given to the group {assignee}; ask with -GetEffectiveUsers who is in it")
                    )
                elif None in who:
                    unclear.append(
                        (record, f"it is given to {assignee}, which may be the service account under another name")
                    )
                continue
            is_found = True
            self._granted(output, record, role, assignee or effective or "", one)
        shown = {(record.get("role") or "").lower() for record in output.records}
        speaks_of_all = (
            asked_role in _IMPERSONATING_ROLES
            or (not asked_role and self._asked_for_service(output))
            or bool(shown & _IMPERSONATING_ROLES)
        )
        users = [self.names.mailbox(one)] if one else list(self.mailboxes)
        for user in users:
            if user is None or is_found:
                continue
            if unclear:
                record, why = unclear[0]
                self._acts(user, Holds.UNKNOWN, "unclear", self._evidence(output, record), why, asked=one is not None)
            elif not output.error and speaks_of_all:
                self._acts(user, Holds.NO, "no assignment", self._evidence(output), asked=one is not None)

    def _granted(self, output: Output, record: Record, role: str, assignee: str, one: str | None) -> None:
        kind = (record.get("recipientwritescope") or "").lower()
        scope = record.get("customrecipientwritescope", "recipientorganizationalunitscope", "customresourcescope") or ""
        is_whole = None if not kind and not scope else kind in {"organization", "organisation"} and not scope
        evidence = self._evidence(output, record)
        grant = Grant(
            name=record.get("name", "identity") or "",
            role=role,
            assignee=assignee,
            scope=scope or kind,
            is_whole_organisation=is_whole,
            evidence=evidence,
        )
        if grant not in self.found.grants:
            self.found.grants.append(grant)
        if self.host.version == "Office 365" and role.lower() == "applicationimpersonation":
            for user in self.mailboxes:
                why = "Exchange Online withdrew this role in February 2025; the application needs RBAC for Applications instead"
                self._acts(user, Holds.NO, "a role without effect", evidence, why)
            return
        if one:
            asked = self.names.mailbox(one)
            if asked:
                self._acts(asked, Holds.YES, f"{role}, {scope or 'in scope'}", evidence, asked=True)
            return
        for user in self.mailboxes:
            if is_whole:
                self._acts(user, Holds.YES, f"{role}, whole organisation", evidence)
            else:
                why = (
                    f"whether the scope {scope} holds this user cannot be seen here"
                    if scope
                    else "the output does not show the scope"
                )
                self._acts(
                    user,
                    Holds.UNKNOWN,
                    f"{role}, {scope or 'scope not shown'}",
                    evidence,
                    f"{why}; ask with -WritableRecipient and -GetEffectiveUsers",
                )

    def _application(self, output: Output) -> None:
        """``Test-ServicePrincipalAuthorization``: whether the application's role reaches the mailbox."""
        by_user: dict[str, list[Record]] = {}
        for record in output.records:
            user = self.names.mailbox(
                record.get("mailbox") or output.parameters.get("mailbox") or output.parameters.get("resource")
            )
            if (record.get("rolename") or "").lower() != APPLICATION_ROLE.lower() and not record.is_cut("rolename"):
                if user:
                    by_user.setdefault(user, [])
                continue
            scope = record.get("allowedresourcescope") or ""
            kind = (record.get("scopetype") or "").lower()
            if not record.is_cut("rolename"):
                grant = Grant(
                    name=record.get("rolename") or "",
                    role=APPLICATION_ROLE,
                    assignee=self.host.client_id,
                    scope=scope,
                    is_whole_organisation=kind == "organization" if kind else None,
                    evidence=self._evidence(output, record),
                )
                if all((g.role, g.scope) != (grant.role, grant.scope) for g in self.found.grants):
                    self.found.grants.append(grant)
            if user is None:
                self._note(
                    output, "an application's authorisation that does not say for which mailbox; ask with -Resource"
                )
                continue
            by_user.setdefault(user, []).append(record)
        asked = self.names.mailbox(output.parameters.get("resource") or output.parameters.get("mailbox"))
        if not output.records and not output.error and asked:
            by_user[asked] = []
        for user, records in by_user.items():
            said = [(record.get("inscope") or "").lower() for record in records if not record.is_cut("rolename")]
            evidence = self._evidence(output, records[0] if records else None)
            if "true" in said:
                self._acts(user, Holds.YES, f"{APPLICATION_ROLE}, in scope", evidence)
            elif any(
                record.is_cut("rolename", "inscope") or (record.get("inscope") or "").lower() not in {"true", "false"}
                for record in records
            ):
                self._acts(
                    user, Holds.UNKNOWN, "unclear", evidence, "the role or InScope was cut in the copy or not run"
                )
            else:
                why = "the application's role does not reach this mailbox (a consent to full_access_as_app in Entra would not show here)"
                self._acts(user, Holds.NO, "not in scope" if records else "no such role", evidence, why)

    def _acts(
        self, user: str, holds: Holds, observed: str, evidence: str, why: str = "", *, asked: bool = False
    ) -> None:
        kept = self.acting_asked if asked else self.acting
        kept.setdefault(user, []).append(self._seen(user, Right.IMPERSONATION, holds, observed, evidence, why))
