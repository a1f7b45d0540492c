"""Who may do what in a folder: permission levels, single rights, and what they come to for one user."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ops_lib.errors import InputError

Scope = Literal["None", "Owned", "All"]
Reading = Literal["None", "TimeOnly", "TimeAndSubjectAndLocation", "FullDetails"]

#: the two entries every folder has besides the users named
DEFAULT = "Default"
ANONYMOUS = "Anonymous"


@dataclass(frozen=True, slots=True)
class Rights:
    """The single rights of one user in one folder, as Exchange names them."""

    create_items: bool = False
    create_subfolders: bool = False
    folder_owner: bool = False
    folder_visible: bool = False
    folder_contact: bool = False
    edit_items: Scope = "None"
    delete_items: Scope = "None"
    read_items: Reading = "None"

    @property
    def may_read(self) -> bool:
        """Whether whole items may be read."""
        return self.read_items == "FullDetails"

    def may_edit(self, created_by_user: bool) -> bool:
        """Whether an item may be changed."""
        return self.edit_items == "All" or (self.edit_items == "Owned" and created_by_user)

    def may_delete(self, created_by_user: bool) -> bool:
        """Whether an item may be removed."""
        return self.delete_items == "All" or (self.delete_items == "Owned" and created_by_user)


#: what a mailbox's own user may
OWN = Rights(True, True, True, True, True, "All", "All", "FullDetails")

#: Microsoft's table of permission levels (how-to-set-folder-permissions, table 2)
LEVELS: dict[str, Rights] = {
    "None": Rights(),
    "Owner": Rights(True, True, True, True, True, "All", "All", "FullDetails"),
    "PublishingEditor": Rights(True, True, False, True, False, "All", "All", "FullDetails"),
    "Editor": Rights(True, False, False, True, False, "All", "All", "FullDetails"),
    "PublishingAuthor": Rights(True, True, False, True, False, "Owned", "Owned", "FullDetails"),
    "Author": Rights(True, False, False, True, False, "Owned", "Owned", "FullDetails"),
    "NoneditingAuthor": Rights(True, False, False, True, False, "None", "Owned", "FullDetails"),
    "Reviewer": Rights(False, False, False, True, False, "None", "None", "FullDetails"),
    "Contributor": Rights(True, False, False, True, False, "None", "None", "None"),
    "FreeBusyTimeOnly": Rights(read_items="TimeOnly"),
    "FreeBusyTimeAndSubjectAndLocation": Rights(read_items="TimeAndSubjectAndLocation"),
}
#: levels that only calendars have
CALENDAR_LEVELS = frozenset({"FreeBusyTimeOnly", "FreeBusyTimeAndSubjectAndLocation"})


def rights_of(level: str | Rights, calendar: bool = True) -> Rights:
    """The single rights behind a level.

    Raises:
        InputError: there is no such level, or only calendars have it.
    """
    if isinstance(level, Rights):
        return level
    if level not in LEVELS or (level in CALENDAR_LEVELS and not calendar):
        raise InputError(
            f"there is no permission level {level!r} for this folder", fix=f"use one of {', '.join(sorted(LEVELS))}"
        )
    return LEVELS[level]


def level_of(rights: Rights, calendar: bool) -> str:
    """The level with exactly these rights, "Custom" where none has them."""
    plain = replace(rights, folder_contact=False)
    for name, candidate in LEVELS.items():
        if name in CALENDAR_LEVELS and not calendar:
            continue
        if replace(candidate, folder_contact=False) == plain:
            return name
    return "Custom"


def mask_of(rights: Rights) -> int:
    """The rights as the number that PidTagRights and PidTagMemberRights hold.

    **Source** MS-OXCPERM 2.2.7.
    """
    detail = {"None": 0, "TimeOnly": 0x800, "TimeAndSubjectAndLocation": 0x1800, "FullDetails": 0x1801}
    scoped = {"None": (0, 0), "Owned": (0x08, 0x10), "All": (0x28, 0x50)}
    return (
        detail[rights.read_items]
        | (0x02 if rights.create_items else 0)
        | scoped[rights.edit_items][0]
        | scoped[rights.delete_items][1]
        | (0x80 if rights.create_subfolders else 0)
        | (0x100 if rights.folder_owner else 0)
        | (0x200 if rights.folder_contact else 0)
        | (0x400 if rights.folder_visible else 0)
    )


@dataclass(frozen=True, slots=True)
class EffectiveRights:
    """What a user's rights come to, as the element ``EffectiveRights`` says it."""

    create_associated: bool
    create_contents: bool
    create_hierarchy: bool
    delete: bool
    modify: bool
    read: bool
    view_private_items: bool


def on_folder(rights: Rights, view_private: bool) -> EffectiveRights:
    """The effective rights on a folder."""
    return EffectiveRights(
        create_associated=rights.folder_owner,
        create_contents=rights.create_items,
        create_hierarchy=rights.create_subfolders,
        delete=rights.folder_owner,
        modify=rights.folder_owner,
        read=rights.folder_visible or rights.read_items != "None",
        view_private_items=view_private,
    )


def on_item(rights: Rights, created_by_user: bool, view_private: bool) -> EffectiveRights:
    """The effective rights on an item."""
    return EffectiveRights(
        create_associated=False,
        create_contents=False,
        create_hierarchy=False,
        delete=rights.may_delete(created_by_user),
        modify=rights.may_edit(created_by_user),
        read=rights.may_read,
        view_private_items=view_private,
    )
