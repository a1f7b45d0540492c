"""An Exchange organisation as its administrator's cmdlets see it, small enough to read: what scripts are tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.powershell import CmdletError

SERVICE = "svc@example.test"
SERVICE_NAME = "Sync Service"


class ManagementObjectNotFoundException(CmdletError):
    """There is no such object."""


class UserNotFoundInPermissionEntryException(CmdletError):
    """The folder has no entry for this user."""


@dataclass
class Folder:
    """A default folder: its name in the mailbox's language, and who may do what."""

    name: str
    entries: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)


@dataclass
class Mailbox:
    """One mailbox. ``send_as`` holds logins; ``denied`` those whom an entry refuses it."""

    address: str
    name: str
    folders: dict[str, Folder]
    ews_enabled: bool | None = True
    send_as: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)

    @property
    def distinguished_name(self) -> str:
        return f"CN={self.name},OU=Users,DC=example,DC=test"


@dataclass
class Organization:
    """Everything that the cmdlets read and write. ``writes`` lists the changes in order."""

    online: bool
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    scopes: dict[str, str] = field(default_factory=dict)
    assignments: dict[str, dict[str, str]] = field(default_factory=dict)
    applications: dict[str, str] = field(default_factory=dict)
    ews_enabled: bool | None = None
    allowed_apps: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)

    def add(self, address: str, name: str, calendar: str = "Calendar", tasks: str = "Tasks") -> Mailbox:
        """A mailbox whose default folders have these names; everybody sees when its owner is busy."""
        default: dict[str, tuple[list[str], list[str]]] = {"Default": (["AvailabilityOnly"], [])}
        made = Mailbox(address, name, {"Calendar": Folder(calendar, default), "Tasks": Folder(tasks)})
        self.mailboxes[address] = made
        return made

    def state(self) -> dict[str, Any]:
        """All that a script could have changed, to compare."""
        return {
            "mailboxes": {
                each.address: (
                    each.ews_enabled,
                    sorted(each.send_as),
                    {
                        kind: sorted((who, *map(tuple, entry)) for who, entry in f.entries.items())
                        for kind, f in each.folders.items()
                    },
                )
                for each in self.mailboxes.values()
            },
            "groups": {name: sorted(members) for name, members in self.groups.items()},
            "scopes": dict(self.scopes),
            "assignments": {name: dict(each) for name, each in self.assignments.items()},
            "applications": dict(self.applications),
        }

    def cmdlets(self) -> dict[str, Callable[[dict[str, Any]], list[Any]]]:
        """The cmdlets by name; those of the other kind of Exchange are not there."""
        both = {
            "Get-Mailbox": self._get_mailbox,
            "Get-MailboxFolderStatistics": self._statistics,
            "Get-MailboxFolderPermission": self._get_folder,
            "Add-MailboxFolderPermission": self._add_folder,
            "Set-MailboxFolderPermission": self._set_folder,
            "Remove-MailboxFolderPermission": self._remove_folder,
            "Get-CASMailbox": self._get_cas,
            "Set-CASMailbox": self._set_cas,
            "Get-OrganizationConfig": self._organization,
            "Get-DistributionGroup": lambda p: [
                {"Name": self._known(self.groups, p), "DistinguishedName": f"CN={p['identity']},DC=example,DC=test"}
            ],
            "New-DistributionGroup": self._new_group,
            "Remove-DistributionGroup": lambda p: self._drop(self.groups, p, "group"),
            "Get-DistributionGroupMember": lambda p: [
                {"PrimarySmtpAddress": each} for each in sorted(self.groups[p["identity"]])
            ],
            "Add-DistributionGroupMember": self._add_member,
            "Remove-DistributionGroupMember": self._remove_member,
            "Get-ManagementScope": lambda p: [
                {"Name": self._known(self.scopes, p), "RecipientFilter": self.scopes[p["identity"]]}
            ],
            "New-ManagementScope": self._new_scope,
            "Remove-ManagementScope": lambda p: self._drop(self.scopes, p, "scope"),
            "Get-ManagementRoleAssignment": self._get_assignment,
            "New-ManagementRoleAssignment": self._new_assignment,
            "Remove-ManagementRoleAssignment": lambda p: self._drop(self.assignments, p, "assignment"),
        }
        online = {
            "Get-RecipientPermission": self._get_send_as,
            "Add-RecipientPermission": self._add_send_as,
            "Remove-RecipientPermission": self._remove_send_as,
            "Get-ServicePrincipal": lambda p: [
                {"ObjectId": self._known(self.applications, p), "AppId": self.applications[p["identity"]]}
            ],
            "New-ServicePrincipal": self._new_application,
            "Remove-ServicePrincipal": lambda p: self._drop(self.applications, p, "service principal"),
            "Test-ServicePrincipalAuthorization": self._test_application,
        }
        on_premises = {
            "Get-ADPermission": self._get_directory,
            "Add-ADPermission": self._add_directory,
            "Remove-ADPermission": self._remove_directory,
        }
        return {**both, **(online if self.online else on_premises)}

    # ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _mailbox(self, identity: str) -> Mailbox:
        for each in self.mailboxes.values():
            if identity.lower() in {each.address.lower(), each.name.lower(), each.distinguished_name.lower()}:
                return each
        raise ManagementObjectNotFoundException(
            f"The operation couldn't be performed because object '{identity}' couldn't be found."
        )

    @staticmethod
    def _known(there: dict[str, Any], given: dict[str, Any]) -> str:
        if given["identity"] not in there:
            raise ManagementObjectNotFoundException(f"The object '{given['identity']}' couldn't be found.")
        return str(given["identity"])

    def _drop(self, there: dict[str, Any], given: dict[str, Any], word: str) -> list[Any]:
        del there[self._known(there, given)]
        self._confirmed(given)
        self.writes.append(f"remove {word} {given['identity']}")
        return []

    @staticmethod
    def _confirmed(given: dict[str, Any]) -> None:
        assert given.get("confirm") is False, "this cmdlet would stop and ask"

    def _folder(self, identity: str) -> Folder:
        mailbox, _, path = identity.partition(":\\")
        for each in self._mailbox(mailbox).folders.values():
            if each.name == path:
                return each
        raise ManagementObjectNotFoundException(f"The specified mailbox folder {identity} couldn't be found.")

    def _get_mailbox(self, given: dict[str, Any]) -> list[Any]:
        found = self._mailbox(given["identity"])
        return [
            {"PrimarySmtpAddress": found.address, "DistinguishedName": found.distinguished_name, "Name": found.name}
        ]

    # ── folders ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _statistics(self, given: dict[str, Any]) -> list[Any]:
        folder = self._mailbox(given["identity"]).folders[given["folderscope"]]
        path = "/" + folder.name.replace("/", "\uf8ff")
        return [
            {"FolderType": "User Created", "FolderPath": f"{path}/Birthdays"},
            {"FolderType": given["folderscope"], "FolderPath": path},
        ]

    def _get_folder(self, given: dict[str, Any]) -> list[Any]:
        folder = self._folder(given["identity"])
        wanted = given.get("user")
        if wanted and wanted not in folder.entries:
            raise UserNotFoundInPermissionEntryException(
                f"There is no existing permission entry found for user: {wanted}."
            )
        return [
            {
                "FolderName": folder.name,
                "User": SERVICE_NAME if who == SERVICE else who,
                "AccessRights": list(rights),
                "SharingPermissionFlags": list(flags),
            }
            for who, (rights, flags) in folder.entries.items()
            if wanted in {None, who}
        ]

    def _rights(self, given: dict[str, Any]) -> list[str]:
        return given["accessrights"] if isinstance(given["accessrights"], list) else [given["accessrights"]]

    def _add_folder(self, given: dict[str, Any]) -> list[Any]:
        folder = self._folder(given["identity"])
        if given["user"] in folder.entries:
            raise CmdletError("An existing permission entry was found for user.")
        return self._write_folder(folder, given, [])

    def _set_folder(self, given: dict[str, Any]) -> list[Any]:
        folder = self._folder(given["identity"])
        if given["user"] not in folder.entries:
            raise UserNotFoundInPermissionEntryException("There is no existing permission entry found for user.")
        return self._write_folder(folder, given, folder.entries[given["user"]][1])

    def _write_folder(self, folder: Folder, given: dict[str, Any], flags: list[str]) -> list[Any]:
        if "sharingpermissionflags" in given:
            assert self.online, "the parameter is Exchange Online's"
            said = given["sharingpermissionflags"]
            flags = [each for each in (said if isinstance(said, list) else said.split(",")) if each != "None"]
        folder.entries[given["user"]] = (self._rights(given), flags)
        self.writes.append(f"folder {given['identity']} {given['user']} {self._rights(given)} {flags}")
        return [{"FolderName": folder.name}]

    def _remove_folder(self, given: dict[str, Any]) -> list[Any]:
        self._confirmed(given)
        del self._folder(given["identity"]).entries[given["user"]]
        self.writes.append(f"folder {given['identity']} {given['user']} removed")
        return []

    # ── Send As ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _get_send_as(self, given: dict[str, Any]) -> list[Any]:
        found = self._mailbox(given["identity"])
        return [
            {"Identity": found.name, "Trustee": who, "AccessControlType": "Allow", "AccessRights": ["SendAs"]}
            for who in sorted(found.send_as)
            if who == given["trustee"]
        ]

    def _add_send_as(self, given: dict[str, Any]) -> list[Any]:
        self._confirmed(given)
        assert given["accessrights"] == "SendAs"
        self._mailbox(given["identity"]).send_as.add(given["trustee"])
        self.writes.append(f"send as {given['identity']}")
        return [{"Trustee": given["trustee"]}]

    def _remove_send_as(self, given: dict[str, Any]) -> list[Any]:
        self._confirmed(given)
        self._mailbox(given["identity"]).send_as.remove(given["trustee"])
        self.writes.append(f"send as {given['identity']} removed")
        return []

    def _get_directory(self, given: dict[str, Any]) -> list[Any]:
        found = self._mailbox(given["identity"])
        rows = [(who, False) for who in found.send_as] + [(who, True) for who in found.denied]
        return [
            {
                "User": "EXAMPLE\\svc" if who == SERVICE else who,
                "ExtendedRights": ["Send-As"],
                "AccessRights": ["ExtendedRight"],
                "Deny": deny,
            }
            for who, deny in rows
            if who == given["user"]
        ]

    def _add_directory(self, given: dict[str, Any]) -> list[Any]:
        assert given["extendedrights"] == "Send As"
        self._mailbox(given["identity"]).send_as.add(given["user"])
        self.writes.append(f"send as {given['identity']}")
        return [{"User": given["user"]}]

    def _remove_directory(self, given: dict[str, Any]) -> list[Any]:
        self._confirmed(given)
        self._mailbox(given["identity"]).send_as.remove(given["user"])
        self.writes.append(f"send as {given['identity']} removed")
        return []

    # ── EWS ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _get_cas(self, given: dict[str, Any]) -> list[Any]:
        found = self._mailbox(given["identity"])
        return [
            {
                "PrimarySmtpAddress": found.address,
                "Name": found.name,
                "DisplayName": found.name,
                "EwsEnabled": found.ews_enabled,
            }
        ]

    def _set_cas(self, given: dict[str, Any]) -> list[Any]:
        self._mailbox(given["identity"]).ews_enabled = given["ewsenabled"]
        self.writes.append(f"ews {given['identity']} {given['ewsenabled']}")
        return []

    def _organization(self, given: dict[str, Any]) -> list[Any]:
        shown = {"EwsAllowedAppIDs": self.allowed_apps} if given.get("retrieveewsoperationaccesspolicy") else {}
        return [{"EwsEnabled": self.ews_enabled, **shown}]

    # ── acting for others ────────────────────────────────────────────────────────────────────────────────────────────
    def _new_group(self, given: dict[str, Any]) -> list[Any]:
        assert given["type"] == "Security"
        self.groups[given["name"]] = set()
        self.writes.append(f"group {given['name']}")
        return [{"Name": given["name"]}]

    def _add_member(self, given: dict[str, Any]) -> list[Any]:
        self.groups[given["identity"]].add(self._mailbox(given["member"]).address)
        self.writes.append(f"member {given['member']}")
        return []

    def _remove_member(self, given: dict[str, Any]) -> list[Any]:
        self._confirmed(given)
        self.groups[given["identity"]].remove(self._mailbox(given["member"]).address)
        self.writes.append(f"member {given['member']} removed")
        return []

    def _new_scope(self, given: dict[str, Any]) -> list[Any]:
        self.scopes[given["name"]] = given["recipientrestrictionfilter"]
        self.writes.append(f"scope {given['name']}")
        return [{"Name": given["name"]}]

    def _new_application(self, given: dict[str, Any]) -> list[Any]:
        self.applications[given["objectid"]] = given["appid"]
        self.writes.append(f"service principal {given['objectid']}")
        return [{"ObjectId": given["objectid"]}]

    def _new_assignment(self, given: dict[str, Any]) -> list[Any]:
        if self.online and given["role"] == "ApplicationImpersonation":
            raise CmdletError("The role ApplicationImpersonation was withdrawn.")
        scope = given.get("custom" + ("resourcescope" if "app" in given else "recipientwritescope"), "")
        assert not scope or scope in self.scopes
        self.assignments[given["name"]] = {
            "role": given["role"],
            "who": given.get("user") or given["app"],
            "scope": scope,
        }
        self.writes.append(f"assignment {given['name']} {given['role']} {scope}")
        return [{"Name": given["name"]}]

    def reaches(self, assignment: dict[str, str], address: str) -> bool:
        """Whether the assignment's scope holds the mailbox: that of a group's members, or none at all."""
        if not assignment["scope"]:
            return True
        wanted = self.scopes[assignment["scope"]]
        return any(
            wanted == f"MemberOfGroup -eq 'CN={name},DC=example,DC=test'" and address in who
            for name, who in self.groups.items()
        )

    def _get_assignment(self, given: dict[str, Any]) -> list[Any]:
        if "identity" in given:
            return [{"Name": self._known(self.assignments, given)}]
        address = self._mailbox(given["writablerecipient"]).address
        return [
            {
                "Name": name,
                "Role": each["role"],
                "RoleAssigneeName": SERVICE_NAME,
                "RoleAssigneeType": "User",
                "EffectiveUserName": each["who"],
                "Enabled": True,
                "RecipientWriteScope": "CustomRecipientScope" if each["scope"] else "Organization",
                "CustomRecipientWriteScope": each["scope"],
                "RoleAssignmentDelegationType": "Regular",
            }
            for name, each in self.assignments.items()
            if each["role"] == given["role"] and self.reaches(each, address)
        ]

    def _test_application(self, given: dict[str, Any]) -> list[Any]:
        address = self._mailbox(given["resource"]).address
        return [
            {
                "RoleName": each["role"],
                "AllowedResourceScope": each["scope"] or "Organization",
                "ScopeType": "CustomRecipientScope" if each["scope"] else "Organization",
                "InScope": str(self.reaches(each, address)),
            }
            for each in self.assignments.values()
            if self.applications.get(each["who"]) == given["identity"]
        ]
