"""Mailboxes and their folders: the tree, what a user may do there, and everything that changes content."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ops_lib.errors import InputError

from . import ids, rights
from .changes import ChangeLog
from .items import Attachment, Extended, Item, Override, Values
from .notifications import Journal, Place

if TYPE_CHECKING:
    from .store import Organisation

#: distinguished id, name, class, parent's distinguished id
WELL_KNOWN: tuple[tuple[str, str, str, str], ...] = (
    ("root", "Root", "", ""),
    ("msgfolderroot", "Top of Information Store", "IPF.Note", "root"),
    ("inbox", "Inbox", "IPF.Note", "msgfolderroot"),
    ("calendar", "Calendar", "IPF.Appointment", "msgfolderroot"),
    ("contacts", "Contacts", "IPF.Contact", "msgfolderroot"),
    ("tasks", "Tasks", "IPF.Task", "msgfolderroot"),
    ("notes", "Notes", "IPF.StickyNote", "msgfolderroot"),
    ("journal", "Journal", "IPF.Journal", "msgfolderroot"),
    ("drafts", "Drafts", "IPF.Note", "msgfolderroot"),
    ("sentitems", "Sent Items", "IPF.Note", "msgfolderroot"),
    ("deleteditems", "Deleted Items", "IPF.Note", "msgfolderroot"),
    ("outbox", "Outbox", "IPF.Note", "msgfolderroot"),
    ("junkemail", "Junk Email", "IPF.Note", "msgfolderroot"),
    ("conversationhistory", "Conversation History", "IPF.Note", "msgfolderroot"),
    ("syncissues", "Sync Issues", "IPF.Note", "msgfolderroot"),
    ("conflicts", "Conflicts", "IPF.Note", "syncissues"),
    ("localfailures", "Local Failures", "IPF.Note", "syncissues"),
    ("serverfailures", "Server Failures", "IPF.Note", "syncissues"),
    ("quickcontacts", "Quick Contacts", "IPF.Contact.MOC.QuickContacts", "contacts"),
    ("imcontactlist", "IM Contact List", "IPF.Contact.MOC.ImContactList", "contacts"),
    ("recipientcache", "Recipient Cache", "IPF.Contact.RecipientCache", "contacts"),
    ("searchfolders", "Finder", "", "root"),
    ("todosearch", "To-Do Search", "IPF.Task", "root"),
    ("voicemail", "Voice Mail", "IPF.Note.Microsoft.Voicemail", "root"),
    ("directory", "Directory", "", "root"),
    ("adminauditlogs", "AdminAuditLogs", "", "recoverableitemsroot"),
    ("recoverableitemsroot", "Recoverable Items", "", "root"),
    ("recoverableitemsdeletions", "Deletions", "", "recoverableitemsroot"),
    ("recoverableitemsversions", "Versions", "", "recoverableitemsroot"),
    ("recoverableitemspurges", "Purges", "", "recoverableitemsroot"),
    ("recoverableitemsdiscoveryholds", "DiscoveryHolds", "", "recoverableitemsroot"),
)
FIRST_USER_FOLDER = 1000


class Folder:
    """One folder. ``change`` is the count at which its own properties last changed."""

    __slots__ = (
        "change",
        "distinguished_id",
        "extended",
        "folder_class",
        "id",
        "items",
        "log",
        "mailbox",
        "name",
        "number",
        "parent",
        "permissions",
    )

    def __init__(
        self, mailbox: Mailbox, number: int, name: str, folder_class: str, parent: Folder | None, distinguished_id: str
    ) -> None:
        self.mailbox = mailbox
        self.number = number
        self.name = name
        self.folder_class = folder_class
        self.parent = parent
        self.distinguished_id = distinguished_id
        self.id = Folder.id_of(mailbox, number)
        self.items: dict[int, Item] = {}
        self.log = ChangeLog()
        self.extended: Extended = {}
        self.change = 0
        self.permissions: dict[str, rights.Rights] = {}
        self.reset_permissions()

    @staticmethod
    def id_of(mailbox: Mailbox, number: int) -> str:
        """The id of the folder with this number, whether it is still there or not."""
        return ids.encode_id(mailbox.guid, ids.FOLDER, number)

    @property
    def change_key(self) -> str:
        """The text of this version's change key."""
        return ids.encode_change_key("Folder", self.mailbox.guid, self.change)

    def reset_permissions(self) -> None:
        """Give the folder the permissions it has before anybody sets any: busy times of a calendar, nothing else."""
        default = "FreeBusyTimeOnly" if self.distinguished_id == "calendar" else "None"
        self.permissions = {
            rights.DEFAULT: rights.LEVELS[default],
            rights.ANONYMOUS: rights.LEVELS["None"],
        }

    @property
    def is_calendar(self) -> bool:
        """Whether appointments live here."""
        return self.folder_class.startswith("IPF.Appointment")

    @property
    def children(self) -> list[Folder]:
        """The folders directly below, by name."""
        return sorted(
            (folder for folder in self.mailbox.folders.values() if folder.parent is self), key=lambda f: f.name.lower()
        )

    def below(self) -> Iterator[Folder]:
        """All folders below, parents first."""
        for child in self.children:
            yield child
            yield from child.below()

    @property
    def sync_owner(self) -> str:
        """Whose sync states are this folder's: another start of the organisation, or its reset, knows none of the earlier ones."""
        return f"{self.mailbox.organisation.life} {self.id}"

    def visible_items(self, associated: bool = False) -> Iterable[Item]:
        """The items, either the ordinary or the associated (hidden) ones."""
        return (item for item in self.items.values() if item.associated == associated)


class Mailbox:
    """One user's mailbox: folders, items, and the count of everything that ever changed in it."""

    def __init__(
        self,
        organisation: Organisation,
        address: str,
        name: str,
        zone: str,
        aliases: Iterable[str] = (),
        folder_names: dict[str, str] | None = None,
    ) -> None:
        self.organisation = organisation
        self.address = address
        self.name = name
        self.zone = zone
        self.aliases = tuple(aliases)
        self.guid = ids.mailbox_guid(address)
        self.private_viewers: set[str] = set()
        self.hierarchy = ChangeLog()
        self.folders: dict[int, Folder] = {}
        self.items: dict[int, Item] = {}
        self.user_configurations: dict[tuple[int, str], dict[str, str]] = {}
        self._distinguished: dict[str, Folder] = {}
        self._count = 0
        self._moves = 0
        self._last_item = 0
        self._last_folder = FIRST_USER_FOLDER
        self._journal: Journal | None = None
        names = folder_names or {}
        for number, (distinguished_id, plain, folder_class, _) in enumerate(WELL_KNOWN, start=1):
            folder = Folder(self, number, names.get(distinguished_id, plain), folder_class, None, distinguished_id)
            self._distinguished[distinguished_id] = folder
            self.folders[number] = folder
            folder.change = self.count()
            if distinguished_id != "root":
                self.hierarchy.record(number, folder.change)
        for distinguished_id, _, _, parent in WELL_KNOWN:
            if parent:
                self._distinguished[distinguished_id].parent = self._distinguished[parent]

    def move(self) -> None:
        """The mailbox goes to another database: every id and change key becomes another one, sync states end, UIDs stay."""
        self._moves += 1
        self.guid = ids.mailbox_guid(self.address, self._moves)
        for folder in self.folders.values():
            folder.id = Folder.id_of(self, folder.number)
        for item in self.items.values():
            item.name_anew()
        self._journal = None
        self.organisation.subscriptions.forget_mailbox(self)

    def count(self) -> int:
        """The next number of a change."""
        self._count += 1
        return self._count

    # folders

    def folder(self, name: str) -> Folder:
        """The folder with this distinguished id, or else this display name.

        Raises:
            InputError: the mailbox has none.
        """
        known = self._distinguished.get(name)
        if known is not None:
            return known
        for folder in self.folders.values():
            if folder.name == name:
                return folder
        raise InputError(f"the mailbox has no folder {name!r}", subject=self.address)

    def distinguished(self, distinguished_id: str) -> Folder | None:
        """The folder with this distinguished id, if this kind of mailbox has one."""
        return self._distinguished.get(distinguished_id)

    def add_folder(self, parent: Folder, name: str, folder_class: str) -> Folder:
        """Make a folder below ``parent``. The caller has seen to it that the name is free."""
        self._last_folder += 1
        folder = Folder(self, self._last_folder, name, folder_class, parent, "")
        folder.permissions = dict(parent.permissions)
        self.folders[folder.number] = folder
        folder.change = self.count()
        self.hierarchy.record(folder.number, folder.change)
        self._tell("CreatedEvent", folder)
        return folder

    def replace_folder(self, distinguished_id: str) -> Folder:
        """A new, empty folder takes the place of a well-known one, as when an administrator makes it anew; the old one stays as a folder like others."""
        old = self._distinguished[distinguished_id]
        old.distinguished_id, name, old.name = "", old.name, f"{old.name} (old)"
        assert old.parent is not None
        new = self.add_folder(old.parent, name, old.folder_class)
        new.distinguished_id, new.permissions = distinguished_id, dict(old.permissions)
        self._distinguished[distinguished_id] = new
        self.touch_folder(old)
        return new

    def touch_folder(self, folder: Folder) -> None:
        """The folder's own properties have changed."""
        folder.change = self.count()
        if folder.parent is not None:
            self.hierarchy.record(folder.number, folder.change)
            self._tell("ModifiedEvent", folder)

    def remove_folder(self, folder: Folder) -> None:
        """The folder, what is below it, and everything in them are gone."""
        for below in [*folder.below(), folder]:
            for item in list(below.items.values()):
                self.remove_item(item)
            self._tell("DeletedEvent", below)
            del self.folders[below.number]
            self.hierarchy.remove(below.number, self.count())

    # items

    def add_item(
        self,
        folder: Folder,
        element: str,
        values: Values,
        extended: Extended | None = None,
        *,
        by: str,
        exceptions: dict[datetime, Override] | None = None,
        deleted: Iterable[datetime] = (),
        associated: bool = False,
        attachments: Iterable[Attachment] = (),
        source: Item | None = None,
        is_moved: bool = False,
    ) -> Item:
        """Put a new item into the folder. ``source``: what it is a copy of, or (``is_moved``) was until now."""
        self._last_item += 1
        item = Item(
            self,
            folder,
            self._last_item,
            element,
            values,
            extended or {},
            created=self.organisation.now(),
            created_by=by,
            associated=associated,
        )
        item.exceptions = dict(exceptions or {})
        item.deleted = set(deleted)
        item.attachments = [replace(one, number=self.count()) for one in attachments]
        item.change = self.count()
        self.items[item.number] = folder.items[item.number] = item
        folder.log.record(item.number, item.change, associated=associated)
        here = source is not None and source.mailbox is self
        self._tell(
            "CreatedEvent" if not here else "MovedEvent" if is_moved else "CopiedEvent", item, source if here else None
        )
        return item

    def touch_item(self, item: Item, by: str, changed: Iterable[object] = (), *, read_flag_only: bool = False) -> None:
        """The item has changed: a new version, its fields' versions, and a line in the folder's log."""
        item.change = self.count()
        item.modified = self.organisation.now()
        item.modified_by = by
        for name in changed:
            item.field_changes[name] = item.change
        item.folder.log.record(item.number, item.change, read_flag_only=read_flag_only)
        self._tell("ModifiedEvent", item)

    def remove_item(self, item: Item, *, is_moved: bool = False) -> None:
        """The item is gone; a tombstone stays in the folder's log. ``is_moved``: it goes on in another folder of this mailbox."""
        if not is_moved:
            self._tell("DeletedEvent", item)
        del self.items[item.number]
        del item.folder.items[item.number]
        item.folder.log.remove(item.number, self.count())

    def move_item(self, item: Item, folder: Folder, by: str) -> Item:
        """Move the item, here or to another mailbox: it becomes another item with another id."""
        moved = self.copy_item(item, folder, by, is_moved=True)
        moved.created, moved.created_by = item.created, item.created_by
        self.remove_item(item, is_moved=folder.mailbox is self)
        return moved

    def copy_item(self, item: Item, folder: Folder, by: str, *, is_moved: bool = False) -> Item:
        """Put a copy of the item into the folder; ``is_moved``: the item itself goes away."""
        return folder.mailbox.add_item(
            folder,
            item.element,
            dict(item.values),
            dict(item.extended),
            by=by,
            exceptions=copy.deepcopy(item.exceptions),
            deleted=item.deleted,
            associated=item.associated,
            attachments=item.attachments,
            source=item,
            is_moved=is_moved,
        )

    # notifications

    def journal_from_now(self) -> Journal:
        """The journal of what happens here, kept from the first time that somebody asks for it."""
        if self._journal is None:
            self._journal = Journal(self)
        return self._journal

    def tell_of_new_mail(self, item: Item) -> None:
        """A message was delivered."""
        self._tell("NewMailEvent", item)

    def _tell(self, kind: str, what: Item | Folder, before: Item | None = None) -> None:
        journal = self._journal
        if journal is None or (isinstance(what, Item) and what.associated):
            return
        journal.record(kind, _place(what), None if before is None else _place(before))
        if isinstance(what, Folder):
            return
        if (
            what.element == "CalendarItem"
            and what.folder.distinguished_id == "calendar"
            and kind != "FreeBusyChangedEvent"
        ):
            journal.record("FreeBusyChangedEvent", _place(what))
        if kind != "NewMailEvent":  # the folder's counts change with it
            for folder in {
                what.folder.number: what.folder,
                **({before.folder.number: before.folder} if before else {}),
            }.values():
                journal.record("ModifiedEvent", _place(folder))

    # rights

    def rights_of(self, user: str, folder: Folder) -> rights.Rights:
        """What the user with this primary address may do in the folder."""
        if user == self.address:
            return rights.OWN
        found = folder.permissions.get(user)
        return folder.permissions[rights.DEFAULT] if found is None else found

    def sees_private(self, user: str) -> bool:
        """Whether the user may see the details of private items."""
        return user == self.address or user in self.private_viewers


def _place(what: Item | Folder) -> Place:
    """How an event names an item or a folder."""
    if isinstance(what, Item):
        folder = what.folder
        return Place(what.id, what.change_key, folder.id, folder.change_key, folder.number)
    parent = what.parent or what
    return Place(what.id, what.change_key, parent.id, parent.change_key, what.number, is_folder=True)
