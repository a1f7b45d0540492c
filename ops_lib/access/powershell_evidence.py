"""What the administrator's cmdlets prove about each mailbox and right. Pure.

Nothing is concluded from a value that was cut, from a name that could be somebody else's, or from an output that may be a part of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ops_lib.access import folder_levels
from ops_lib.access.powershell_names import Names
from ops_lib.access.powershell_output import Output, Record
from ops_lib.access.rights import ACTS_AS_OWNER, Holds, Observation, Right
from ops_lib.model import Account, Host

APPLICATION_ROLE = "Application EWS.AccessAsApp"
_IMPERSONATING_ROLES = {"applicationimpersonation", APPLICATION_ROLE.lower()}
_NO_ENTRY = "UserNotFoundInPermissionEntryException"
_NO_ENTRY_WORDS = "no existing permission entry"
_NO_OBJECT = ("ManagementObjectNotFoundException", "couldn't be found", "could not be found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One assignment of a role that acts for others. ``is_whole_organisation`` None: the output does not show its scope."""

    name: str
    role: str
    assignee: str
    scope: str
    is_whole_organisation: bool | None
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """The organisation's own settings of EWS. ``ews_enabled`` "" : not set. ``allowed_app_ids`` None: not shown (it takes a switch to see it)."""

    ews_enabled: str
    allowed_app_ids: tuple[str, ...] | None
    evidence: str


@dataclass(slots=True, kw_only=True)
class Evidence:
    """All that the outputs prove. ``notes`` says what was in them that could not be used, and how to give it better."""

    observations: list[Observation] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    organisation: Organisation | None = None
    direct_grants: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def observe(
    outputs: Sequence[Output],
    host: Host,
    accounts: Sequence[Account],
    *,
    service_names: Iterable[str] = (),
    mailbox_names: Mapping[str, str] | None = None,
) -> Evidence:
    """What the outputs show of the host's accounts.

    ``service_names``: further ways the service account is written (its display name, ``DOMAIN\\account``, the application's id).
    ``mailbox_names``: display names → addresses, as far as the CRM knows them.
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


class _Reader:
    def __init__(self, host: Host, mailboxes: tuple[str, ...], names: Names) -> None:
        self.host, self.mailboxes, self.names = host, mailboxes, names
        self.found = Evidence()
        self.ews: dict[str, tuple[str, str]] = {}
        self.acting: dict[str, list[Observation]] = {}
        self.acting_asked: dict[str, list[Observation]] = {}
        self.send_as: dict[str, list[Observation]] = {}
        self.proven: dict[str, str] = {}

    def read(self, output: Output) -> None:
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

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _see(self, user: str, right: Right, holds: Holds, observed: str, evidence: str, why: str = "") -> None:
        self.found.observations.append(self._seen(user, right, holds, observed, evidence, why))

    @staticmethod
    def _seen(user: str, right: Right, holds: Holds, observed: str, evidence: str, why: str = "") -> Observation:
        return Observation(
            user=user, right=right, holds=holds, observed=observed, evidence=evidence, source="powershell", why=why
        )

    def _note(self, output: Output, text: str) -> None:
        said = f"{output.source}: {text}"
        if said not in self.found.notes:
            self.found.notes.append(said)

    @staticmethod
    def _evidence(output: Output, record: Record | None = None) -> str:
        asked = " ".join(
            f"-{key} {value}"
            for key, value in output.parameters.items()
            if key in {"identity", "user", "trustee", "mailbox"}
        )
        called = f"{output.cmdlet} {asked}".strip()
        if record is None:
            return f"{called}: {output.error or 'nothing returned'}"
        return f"{called}: {record.text}"

    def _mailbox_of(self, output: Output, record: Record | None, *columns: str) -> str | None:
        """Whose mailbox this speaks of: the collecting script's column, the record's own, the command line's."""
        if record is not None:
            if record.is_cut("mailbox", *columns):
                return None
            for column in ("mailbox", *columns):
                found = self.names.mailbox(record.get(column))
                if found:
                    return found
        for parameter in ("mailbox", "resource", "writablerecipient", "identity"):
            value = output.parameters.get(parameter)
            if value:
                return self.names.mailbox(value.split(":\\")[0])
        # Such an output often names no mailbox at all; who saved it under the mailbox's address has said it.
        named = [each for each in self.mailboxes if each in output.source.lower()]
        return named[0] if len(named) == 1 else None

    def _asked_for_service(self, output: Output) -> bool:
        return any(
            self.names.is_service(output.parameters.get(key)) is True for key in ("user", "trustee", "roleassignee")
        )

    # ── folders ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _folder(self, output: Output) -> None:
        grouped: dict[tuple[str | None, str | None], list[Record]] = {}
        asked = output.parameters.get("identity", output.parameters.get("folder", ""))
        for record in output.records:
            folder = next(
                (
                    f
                    for f in map(
                        folder_levels.folder_type,
                        (record.get("foldertype") or "", record.get("foldername") or "", asked),
                    )
                    if f
                ),
                None,
            )
            grouped.setdefault((self._mailbox_of(output, record), folder), []).append(record)
        if not output.records:
            grouped[(self._mailbox_of(output, None), folder_levels.folder_type(asked))] = []
        for (user, folder), records in grouped.items():
            if user is None or folder is None:
                self._note(
                    output,
                    "folder permissions that do not say "
                    + ("whose they are" if user is None else f"of which default folder ({asked or 'no name'})")
                    + "; copy the command with them, or use the collecting script",
                )
                continue
            self._folder_of(output, user, folder, records)

    def _folder_of(self, output: Output, user: str, folder: str, records: Sequence[Record]) -> None:
        read, write = (
            (Right.CALENDAR_READ, Right.CALENDAR_WRITE)
            if folder == "calendar"
            else (Right.TASKS_READ, Right.TASKS_WRITE)
        )
        rights = (read, write, *((Right.PRIVATE_ITEMS,) if folder == "calendar" else ()))
        if not records and output.error:
            if any(mark in output.error for mark in _NO_OBJECT) and _NO_ENTRY not in output.error:
                self._no_object(output, user)
                return
            if _NO_ENTRY not in output.error and _NO_ENTRY_WORDS not in output.error:
                for right in rights:
                    self._see(
                        user,
                        right,
                        Holds.UNKNOWN,
                        "an error",
                        self._evidence(output),
                        "the cmdlet failed; its words are the evidence",
                    )
                return
        self.proven.setdefault(user, self._evidence(output, records[0] if records else None))
        own, everybody, unclear = None, None, []
        for record in records:
            who = record.get("user")
            if who is not None and folder_levels.is_everybody(who):
                everybody = record
            elif who is not None and folder_levels.is_anonymous(who):
                continue
            else:
                is_service = None if who is None else self.names.is_service(who)
                # Asked for one user, the one entry that comes back is that user's, whatever it is called.
                if (
                    is_service is None
                    and self._asked_for_service(output)
                    and len(records) == 1
                    and not record.is_cut("user")
                ):
                    is_service = True
                if is_service:
                    own = record
                elif is_service is None:
                    unclear.append(who or "a name that was cut")
        if own is None and unclear:
            why = f"there are entries for {', '.join(sorted(unclear)[:3])}, and one may be the service account's or its group's; ask with -User"
            for right in rights:
                self._see(user, right, Holds.UNKNOWN, "unclear whose entry", self._evidence(output, records[0]), why)
            return
        entry = own or everybody
        if entry is None:
            if records or output.error or self._asked_for_service(output):
                for right in rights:
                    self._see(
                        user, right, Holds.NO, "no entry", self._evidence(output, records[0] if records else None)
                    )
            return
        self._entry(output, user, (read, write), entry, is_own=own is not None)

    def _entry(self, output: Output, user: str, rights: tuple[Right, Right], entry: Record, is_own: bool) -> None:
        said, evidence = entry.get("accessrights"), self._evidence(output, entry)
        reach = folder_levels.reach_of(said) if said else None
        whose = "" if is_own else "by the entry for everybody: "
        if reach is None:
            why = (
                "the value was cut in the copy"
                if entry.is_cut("accessrights")
                else "this level's name is not known here"
            )
            for right in rights:
                self._see(user, right, Holds.UNKNOWN, said or "cut", evidence, f"{why}; give it as `| ConvertTo-Json`")
        else:
            level = f"{whose}{reach.level}"
            more = Holds.EXCESS if reach.is_more else Holds.YES
            why = (
                f"{reach.level} also lets it change the folder itself; Editor is enough"
                if reach.is_more and reach.may_write
                else ""
            )
            self._see(user, rights[0], Holds.YES if reach.may_read else Holds.NO, level, evidence)
            self._see(user, rights[1], more if reach.may_write else Holds.NO, level, evidence, why)
            if is_own and reach.level != "None":
                self.found.direct_grants.setdefault(user, f"{reach.level} of a folder ({evidence})")
        if rights[0] is Right.CALENDAR_READ:
            flags = entry.get("sharingpermissionflags")
            if flags is None:
                self._see(
                    user,
                    Right.PRIVATE_ITEMS,
                    Holds.UNKNOWN,
                    "not shown",
                    evidence,
                    "this output has no column SharingPermissionFlags",
                )
            else:
                sees = "canviewprivateitems" in flags.lower()
                self._see(user, Right.PRIVATE_ITEMS, Holds.YES if sees else Holds.NO, flags or "none", evidence)

    def _no_object(self, output: Output, user: str) -> None:
        self._see(user, Right.MAILBOX, Holds.NO, "no such object", self._evidence(output))

    # ── Send As, Send on Behalf ──────────────────────────────────────────────────────────────────────────────────────
    def _recipient(self, output: Output) -> None:
        """``Get-RecipientPermission``: Exchange Online's Send As."""
        unnamed, mailboxes = [], set()
        all_of_service = True
        for record in output.records:
            who = None if record.is_cut("trustee") else self.names.is_service(record.get("trustee"))
            asked = output.parameters.get("trustee")
            if who is None and self._asked_for_service(output) and asked and not record.is_cut("trustee"):
                who = True
            user = self._mailbox_of(output, record, "identity")
            if user is None:
                unnamed.append(record.values.get("identity", "no name"))
                continue
            mailboxes.add(user)
            rights, kind = record.get("accessrights"), (record.get("accesscontroltype") or "Allow").lower()
            if who is False:
                all_of_service = False
                continue
            evidence = self._evidence(output, record)
            if who is None or rights is None:
                why = "the name or the right was cut in the copy, or the trustee may be a group"
                self._sends(user, Holds.UNKNOWN, "unclear", evidence, why)
            elif "sendas" in rights.lower().replace(" ", "").replace("-", ""):
                denied = kind in {"deny", "verweigern", "refuser", "denegar", "weigeren"}
                self._sends(user, Holds.NO if denied else Holds.YES, "SendAs denied" if denied else "SendAs", evidence)
        if unnamed:
            self._note(
                output,
                f"Send As for {', '.join(unnamed[:3])}: which mailbox that is cannot be told; add `Get-CASMailbox | ConvertTo-Json` to the files",
            )
        if output.error and any(mark in output.error for mark in _NO_OBJECT):
            user = self._mailbox_of(output, None)
            if user:
                self._no_object(output, user)
            return
        self._not_listed(output, mailboxes, unnamed, all_of_service)

    def _not_listed(self, output: Output, mailboxes: set[str], unnamed: Sequence[str], all_of_service: bool) -> None:
        """What it means that a mailbox is not in a list of all that the service account may send as."""
        one = output.parameters.get("identity") or output.parameters.get("mailbox")
        if output.error:
            return
        if one:
            user = self.names.mailbox(one)
            if user and user not in self.send_as:
                self._sends(user, Holds.NO, "no SendAs for the service account", self._evidence(output))
            return
        is_whole_list = self._asked_for_service(output) or (all_of_service and len(mailboxes) > 1)
        for user in self.mailboxes:
            if user in mailboxes:
                if user not in self.send_as:
                    self._sends(user, Holds.NO, "SendAs only for others", self._evidence(output))
            elif is_whole_list and unnamed:
                why = "it is not in the list, but the list has names that could not be read or placed"
                self._sends(user, Holds.UNKNOWN, "not in the list", self._evidence(output), why)
            elif is_whole_list:
                why = "the list of what the service account may send as does not name this mailbox"
                self._sends(
                    user,
                    Holds.NO,
                    "not in the list",
                    f"{self._evidence(output).split(':')[0]}: {len(mailboxes)} mailboxes listed",
                    why,
                )

    def _sends(self, user: str, holds: Holds, observed: str, evidence: str, why: str = "") -> None:
        self.send_as.setdefault(user, []).append(self._seen(user, Right.SEND_AS, holds, observed, evidence, why))

    def _directory(self, output: Output) -> None:
        """``Get-ADPermission``: Send As on premises."""
        by_user: dict[str, list[Record]] = {}
        for record in output.records:
            user = self._mailbox_of(output, record, "identity")
            if user is None:
                self._note(
                    output,
                    f"{record.values.get('identity', 'a row without a name')}: which mailbox that is cannot be told; add `Get-CASMailbox` to the files",
                )
            else:
                by_user.setdefault(user, []).append(record)
        if not output.records:
            user = self._mailbox_of(output, None)
            if user and not output.error:
                by_user[user] = []
            elif user and any(mark in output.error for mark in _NO_OBJECT):
                self._no_object(output, user)
        for user, records in by_user.items():
            self._directory_of(output, user, records)

    def _directory_of(self, output: Output, user: str, records: Sequence[Record]) -> None:
        held, unclear = [], []
        for record in records:
            rights = record.get("extendedrights")
            access = (record.get("accessrights") or "").lower()
            who = None if record.is_cut("user") else self.names.is_service(record.get("user"))
            is_send_as = rights is not None and "sendas" in rights.lower().replace(" ", "").replace("-", "")
            if who is False or (who is None and not is_send_as and rights is not None):
                continue
            if who is None or rights is None:
                unclear.append(record)
            elif is_send_as or "genericall" in access:
                held.append(record)
        denied = [record for record in held if (record.get("deny") or "").lower() == "true"]
        if denied:
            self._sends(
                user, Holds.NO, "Send-As denied", self._evidence(output, denied[0]), "a denial outweighs every grant"
            )
        elif held:
            by_all = "sendas" not in (held[0].get("extendedrights") or "").lower().replace("-", "").replace(" ", "")
            self._sends(
                user,
                Holds.EXCESS if by_all else Holds.YES,
                "GenericAll" if by_all else "Send-As",
                self._evidence(output, held[0]),
            )
        elif unclear:
            why = "an entry's name or right was cut in the copy, or it may be a group's that the service account belongs to"
            self._sends(user, Holds.UNKNOWN, "unclear", self._evidence(output, unclear[0]), why)
        else:
            self._sends(
                user,
                Holds.NO,
                "no Send-As for the service account",
                self._evidence(output, records[0] if records else None),
            )

    def _mailbox(self, output: Output) -> None:
        for record in output.records:
            user = self._mailbox_of(output, record, "primarysmtpaddress", "identity", "name")
            if user is None:
                continue
            evidence = self._evidence(output, record)
            self.proven.setdefault(user, evidence)
            behalf = record.get("grantsendonbehalfto")
            if behalf is None:
                continue
            who = [self.names.is_service(each.strip()) for each in behalf.strip("{}").split(",") if each.strip()]
            if True in who:
                self._see(user, Right.SEND_ON_BEHALF, Holds.YES, behalf, evidence)
            elif None in who:
                self._see(
                    user,
                    Right.SEND_ON_BEHALF,
                    Holds.UNKNOWN,
                    behalf,
                    evidence,
                    "one of the names may be the service account's",
                )
            else:
                self._see(user, Right.SEND_ON_BEHALF, Holds.NO, behalf or "nobody", evidence)
        if output.error and any(mark in output.error for mark in _NO_OBJECT):
            user = self._mailbox_of(output, None)
            if user:
                self._no_object(output, user)

    # ── acting for others ────────────────────────────────────────────────────────────────────────────────────────────
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
        if output.error and any(mark in output.error for mark in _NO_OBJECT):
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
