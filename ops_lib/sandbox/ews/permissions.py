"""Folder permissions as elements, both ways."""

from __future__ import annotations

from typing import Any, cast

from .. import rights
from ..mailboxes import Folder
from ..rights import ANONYMOUS, DEFAULT, Rights
from .codecs import read_boolean
from .errors import ResponseError
from .session import Session
from .xml import T, boolean, escape


def _user(key: str, session: Session) -> str:
    if key in (DEFAULT, ANONYMOUS):
        return f"<t:UserId><t:DistinguishedUser>{key}</t:DistinguishedUser></t:UserId>"
    name = escape(session.name_of(key))
    address = escape(key)
    return f"<t:UserId><t:PrimarySmtpAddress>{address}</t:PrimarySmtpAddress><t:DisplayName>{name}</t:DisplayName></t:UserId>"


def permission_set(folder: Folder, session: Session) -> str:
    """The folder's ``PermissionSet``.

    Only the folder's owner gets to see it; to others the folder has none.
    """
    if not folder.mailbox.rights_of(session.user, folder).folder_owner:
        return ""
    calendar = folder.is_calendar
    name = "CalendarPermission" if calendar else "Permission"
    entries = []
    for key, found in folder.permissions.items():
        reading = found.read_items if calendar or found.read_items == "FullDetails" else "None"
        entries.append(
            f"<t:{name}>{_user(key, session)}<t:CanCreateItems>{boolean(found.create_items)}</t:CanCreateItems>"
            f"<t:CanCreateSubFolders>{boolean(found.create_subfolders)}</t:CanCreateSubFolders>"
            f"<t:IsFolderOwner>{boolean(found.folder_owner)}</t:IsFolderOwner>"
            f"<t:IsFolderVisible>{boolean(found.folder_visible)}</t:IsFolderVisible>"
            f"<t:IsFolderContact>{boolean(found.folder_contact)}</t:IsFolderContact>"
            f"<t:EditItems>{found.edit_items}</t:EditItems><t:DeleteItems>{found.delete_items}</t:DeleteItems>"
            f"<t:ReadItems>{reading}</t:ReadItems>"
            f"<t:{name}Level>{rights.level_of(found, calendar)}</t:{name}Level></t:{name}>"
        )
    return f"<t:PermissionSet><t:{name}s>{''.join(entries)}</t:{name}s></t:PermissionSet>"


def _entry(element: Any, calendar: bool) -> Rights:
    level = element.findtext(f"{T}{'CalendarPermissionLevel' if calendar else 'PermissionLevel'}") or "None"
    if level != "Custom":
        return rights.rights_of(level, calendar)

    def yes(name: str) -> bool:
        return read_boolean(element.findtext(f"{T}{name}") or "false")

    return Rights(
        create_items=yes("CanCreateItems"),
        create_subfolders=yes("CanCreateSubFolders"),
        folder_owner=yes("IsFolderOwner"),
        folder_visible=yes("IsFolderVisible"),
        folder_contact=yes("IsFolderContact"),
        edit_items=cast("rights.Scope", element.findtext(f"{T}EditItems") or "None"),
        delete_items=cast("rights.Scope", element.findtext(f"{T}DeleteItems") or "None"),
        read_items=cast("rights.Reading", element.findtext(f"{T}ReadItems") or "None"),
    )


def read_permissions(element: Any, folder: Folder, session: Session) -> dict[str, Rights]:
    """The permissions in a ``PermissionSet``: they replace those the folder has.

    Raises:
        ResponseError: an entry names nobody known.
    """
    calendar = folder.is_calendar
    found: dict[str, Rights] = {DEFAULT: Rights(), ANONYMOUS: Rights()}
    for entry in element[0]:
        user = entry.find(f"{T}UserId")
        distinguished = user.findtext(f"{T}DistinguishedUser")
        address = user.findtext(f"{T}PrimarySmtpAddress")
        if distinguished:
            key = distinguished
        elif address and session.organisation.find_mailbox(address):
            key = session.organisation.primary(address)
        else:
            raise ResponseError("ErrorInvalidUserInfo", "The user's information is invalid or missing.")
        found[key] = _entry(entry, calendar)
    return found
