"""What somebody may do in a mailbox's calendar and tasks, asked by reading only: the requests, and what their answers say.

EffectiveRights of a folder speak of the folder itself. What they leave open is told by PidTagRights (the caller's rights on what lies in the
folder, as one number), by the rights on an item that somebody else made, or by the folder's permission set.

**Source** EWS reference, *EffectiveRights*; MS-OXCPERM 2.2.7 (the bits); MAPI, *PR_RIGHTS*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from xml.sax.saxutils import escape

from lxml import etree

from ops_lib.mailbox import STAMP_NAME, STAMP_PROPERTY_SET
from ops_lib.mailbox.ews.answers import Element, Message, child, children, name_of, text_of
from ops_lib.mailbox.ews.requests import MESSAGES, TYPES, clean
from ops_lib.model import Kind

RIGHTS_TAG = "0x6639"
ITEMS_LOOKED_AT = 5

READ_ANY, CREATE, EDIT_ANY, DELETE_ANY, OWNER = 0x01, 0x02, 0x20, 0x40, 0x100

_FOLDERS = {Kind.EVENT: ("CalendarFolder", "IPF.Appointment"), Kind.TASK: ("TasksFolder", "IPF.Task")}
BOTH = (Kind.EVENT, Kind.TASK)


@dataclass(frozen=True, slots=True)
class Flags:
    """An element EffectiveRights. ``private`` None: it does not say."""

    create: bool
    delete: bool
    modify: bool
    read: bool
    create_folders: bool
    private: bool | None


@dataclass(frozen=True, slots=True)
class Permission:
    """What a folder's permission set says of one user."""

    address: str
    read: bool
    create: bool
    edit_all: bool
    delete_all: bool
    owner: bool


@dataclass(frozen=True, slots=True)
class FolderSeen:
    """What is known of one default folder. ``mask`` is PidTagRights; ``items`` are the rights on items without our stamp, None: not looked."""

    kind: Kind
    name: str
    is_right_kind: bool
    flags: Flags | None
    mask: int | None = None
    permissions: tuple[Permission, ...] = ()
    items: tuple[Flags, ...] | None = None


Answer = Literal[True, False, None]


@dataclass(frozen=True, slots=True)
class May:
    """Whether whole items may be read, and any item be made, changed and removed; None where that could not be seen. ``by`` says how."""

    read: Answer
    write: Answer
    owner: Answer
    words: str
    by: str


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────
_SPACES = f'xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"'
_IDS = {Kind.EVENT: "calendar", Kind.TASK: "tasks"}


def _places(address: str, kinds: Sequence[Kind]) -> str:
    mailbox = f"<t:Mailbox><t:EmailAddress>{escape(clean(address))}</t:EmailAddress></t:Mailbox>"
    return "".join(f'<t:DistinguishedFolderId Id="{_IDS[kind]}">{mailbox}</t:DistinguishedFolderId>' for kind in kinds)


def folders(address: str, kinds: Sequence[Kind] = BOTH, *, with_permissions: bool = False) -> Any:
    """The default folders with the caller's rights; with everybody's where that is asked for."""
    names = ["FolderClass", "DisplayName", "EffectiveRights", *(["PermissionSet"] if with_permissions else [])]
    fields = "".join(f'<t:FieldURI FieldURI="folder:{name}"/>' for name in names)
    return etree.fromstring(
        f"<m:GetFolder {_SPACES}><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>{fields}"
        f'<t:ExtendedFieldURI PropertyTag="{RIGHTS_TAG}" PropertyType="Integer"/></t:AdditionalProperties></m:FolderShape>'
        f"<m:FolderIds>{_places(address, kinds)}</m:FolderIds></m:GetFolder>"
    )


def others_items(address: str, kinds: Sequence[Kind]) -> Any:
    """A few items that the sync has not made, with the caller's rights on them: those on one's own items would tell nothing."""
    return etree.fromstring(
        f'<m:FindItem {_SPACES} Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>'
        '<t:FieldURI FieldURI="item:EffectiveRights"/></t:AdditionalProperties></m:ItemShape>'
        f'<m:IndexedPageItemView MaxEntriesReturned="{ITEMS_LOOKED_AT}" Offset="0" BasePoint="Beginning"/>'
        f'<m:Restriction><t:Not><t:Exists><t:ExtendedFieldURI PropertySetId="{STAMP_PROPERTY_SET}"'
        f' PropertyName="{STAMP_NAME}" PropertyType="String"/></t:Exists></t:Not></m:Restriction>'
        f"<m:ParentFolderIds>{_places(address, kinds)}</m:ParentFolderIds></m:FindItem>"
    )


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def folder_of(message: Message, kind: Kind) -> FolderSeen:
    """What a successful GetFolder says of a folder."""
    element_name, folder_class = _FOLDERS[kind]
    folder = next(iter(children(message.element, "Folders")), None)
    said_class = text_of(child(folder, "FolderClass"))
    is_right_kind = folder is not None and (
        name_of(folder) == element_name and (not said_class or said_class.startswith(folder_class))
    )
    return FolderSeen(
        kind=kind,
        name=text_of(child(folder, "DisplayName")),
        is_right_kind=is_right_kind,
        flags=_flags(child(folder, "EffectiveRights")),
        mask=_mask(folder),
        permissions=_permissions(child(folder, "PermissionSet")),
    )


def with_items(folder: FolderSeen, message: Message) -> FolderSeen:
    """The folder with what a successful `others_items` found in it."""
    found = [_flags(child(item, "EffectiveRights")) for item in children(message.element, "RootFolder", "Items")]
    return replace(folder, items=tuple(flags for flags in found if flags is not None))


def _flags(element: Element | None) -> Flags | None:
    if element is None:
        return None

    def says(name: str) -> bool | None:
        text = text_of(child(element, name)).lower()
        return None if not text else text in ("true", "1")

    return Flags(
        create=bool(says("CreateContents")),
        delete=bool(says("Delete")),
        modify=bool(says("Modify")),
        read=bool(says("Read")),
        create_folders=bool(says("CreateHierarchy")),
        private=says("ViewPrivateItems"),
    )


def _mask(folder: Element | None) -> int | None:
    for part in folder if folder is not None else ():
        uri = child(part, "ExtendedFieldURI")
        if uri is None or (uri.get("PropertyTag") or "").lower() != RIGHTS_TAG:
            continue
        text = text_of(child(part, "Value"))
        if text.lstrip("-").isdigit():
            return int(text)
    return None


def _permissions(element: Element | None) -> tuple[Permission, ...]:
    found = []
    for holder in element if element is not None else ():
        for one in holder:
            address = text_of(child(one, "UserId", "PrimarySmtpAddress")).lower()
            if not address:
                continue
            found.append(
                Permission(
                    address=address,
                    read=text_of(child(one, "ReadItems")) == "FullDetails",
                    create=text_of(child(one, "CanCreateItems")) == "true",
                    edit_all=text_of(child(one, "EditItems")) == "All",
                    delete_all=text_of(child(one, "DeleteItems")) == "All",
                    owner=text_of(child(one, "IsFolderOwner")) == "true",
                )
            )
    return tuple(found)


# ── what it comes to ─────────────────────────────────────────────────────────────────────────────────────────────────
def may(folder: FolderSeen, caller: str, *, is_own: bool = False) -> May:
    """What the caller may do with the items of the folder, by the surest of what was seen.

    ``caller`` is the address that signed in, by which a permission set names it; ``is_own``: it acts as the mailbox's own user, whose rights on
    the folder are those on what lies in it. Of others an owner may still be one who can neither read nor change anything.
    """
    flags = folder.flags
    if flags is None:
        return May(None, None, None, "the server shows no EffectiveRights", "GetFolder")
    if is_own and flags.read and flags.create and flags.modify and flags.delete:
        return May(True, True, True, _words(True, True, True, True), "EffectiveRights")
    if folder.mask is not None and bool(folder.mask & CREATE) == flags.create:
        return _by_mask(folder.mask)
    if flags.read and flags.create and flags.modify and flags.delete:
        # Exchange says so of the folder's owner only; another server of whoever may change what lies in it. Neither is held back.
        return May(True, True, flags.create_folders, "may read, create, change and delete", "EffectiveRights")
    if not flags.read:
        return May(False, False, False, _words(False, flags.create, False, False), "EffectiveRights")
    own = next((one for one in folder.permissions if one.address == caller.lower()), None)
    if own is not None:
        write = own.create and own.edit_all and own.delete_all
        words = _words(own.read, own.create, own.edit_all, own.delete_all)
        return May(own.read, write, own.owner, words, "PermissionSet")
    return _by_items(flags, folder.items)


def _by_mask(mask: int) -> May:
    read, create = bool(mask & READ_ANY), bool(mask & CREATE)
    edit, delete = bool(mask & EDIT_ANY), bool(mask & DELETE_ANY)
    words = _words(read, create, edit, delete)
    return May(read, create and edit and delete, bool(mask & OWNER), words, f"PidTagRights 0x{mask:X}")


def _by_items(flags: Flags, items: tuple[Flags, ...] | None) -> May:
    """Without a number and without an entry of one's own: what the rights on others' items say."""
    if not items:
        seen = "no item of the user's own lies in it" if items == () else "no item was looked at"
        if not flags.create:
            return May(
                None, False, False, f"may not create; whether it may read could not be seen: {seen}", "EffectiveRights"
            )
        return May(None, None, None, f"may create; what it may do with the user's own items could not be seen: {seen}", "EffectiveRights")  # fmt: skip
    read = any(item.read for item in items)
    edit, delete = any(item.modify for item in items), any(item.delete for item in items)
    return May(
        read, flags.create and edit and delete, None, _words(read, flags.create, edit, delete), "EffectiveRights of items"
    )  # fmt: skip


def _words(read: bool, create: bool, edit: bool, delete: bool) -> str:
    can = {"read": read, "create": create, "change others' items": edit, "delete others' items": delete}
    allowed = [name for name, given in can.items() if given]
    refused = [name for name, given in can.items() if not given]
    parts = [f"may {_listed(allowed, 'and')}"] if allowed else []
    parts += [f"may not {_listed(refused, 'or')}"] if refused else []
    return "; ".join(parts)


def _listed(names: list[str], last: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
