"""What a mailbox holds: items, and the exceptions of series.

An item is its properties (``values``, keyed by FieldURI as EWS spells it) and its extended properties; what follows from them
(duration, effective rights, whether it recurs) is computed where it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import ids

if TYPE_CHECKING:
    from .mailboxes import Folder, Mailbox


@dataclass(frozen=True, slots=True)
class ExtendedName:
    """The name of an extended property: a property set and a name or id in it, or a property tag.

    ``property_set`` is a lower-case GUID; ``tag`` is the property id alone, without its type.
    """

    property_type: str
    property_set: str = ""
    name: str = ""
    property_id: int | None = None
    tag: int | None = None


Values = dict[str, Any]
Extended = dict[ExtendedName, Any]


@dataclass(frozen=True, slots=True)
class AttachedItem:
    """An item that is attached to another one."""

    element: str
    values: Values
    extended: Extended
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something attached to an item: a file, or with ``item`` another item. ``number`` names it within the mailbox."""

    number: int
    name: str
    content: bytes = b""
    content_type: str = ""
    content_id: str = ""
    content_location: str = ""
    is_inline: bool = False
    is_contact_photo: bool = False
    modified: datetime | None = None
    item: AttachedItem | None = None


@dataclass(slots=True)
class Override:
    """How one occurrence of a series differs from its master; ``attachments`` None: it has the master's."""

    values: Values = field(default_factory=dict)
    extended: Extended = field(default_factory=dict)
    change: int = 0
    attachments: list[Attachment] | None = None


#: what an item is, by the prefix of its most telling property
_ELEMENT_BY_PREFIX = {"calendar": "CalendarItem", "task": "Task", "message": "Message", "contacts": "Contact"}
_ELEMENT_BY_FOLDER = {"IPF.Appointment": "CalendarItem", "IPF.Task": "Task", "IPF.Contact": "Contact"}
#: what the server makes of meetings in the attendees' and the organiser's Inboxes
MEETING_MESSAGES = frozenset({"MeetingRequest", "MeetingResponse", "MeetingCancellation"})
#: what is read, sent and filed as mail
MAIL = MEETING_MESSAGES | {"Message"}
ITEM_CLASSES = {
    "CalendarItem": "IPM.Appointment",
    "Task": "IPM.Task",
    "Message": "IPM.Note",
    "Contact": "IPM.Contact",
    "PostItem": "IPM.Post",
    "MeetingRequest": "IPM.Schedule.Meeting.Request",
    "MeetingResponse": "IPM.Schedule.Meeting.Resp",
    "MeetingCancellation": "IPM.Schedule.Meeting.Canceled",
    "Item": "IPM.Note",
}


def element_of(values: Values, folder_class: str) -> str:
    """The EWS element for an item with these values: by its properties, else by the folder it is put into."""
    for uri in values:
        element = _ELEMENT_BY_PREFIX.get(uri.partition(":")[0])
        if element:
            return element
    return _ELEMENT_BY_FOLDER.get(folder_class, "Message")


class Item:
    """One item. ``number`` names it within its mailbox for ever; a moved item becomes another one."""

    __slots__ = (
        "_change_key",
        "associated",
        "attachments",
        "change",
        "created",
        "created_by",
        "deleted",
        "element",
        "exceptions",
        "extended",
        "field_changes",
        "folder",
        "id",
        "is_corrupt",
        "mailbox",
        "modified",
        "modified_by",
        "number",
        "values",
    )

    def __init__(
        self,
        mailbox: Mailbox,
        folder: Folder,
        number: int,
        element: str,
        values: Values,
        extended: Extended,
        *,
        created: datetime,
        created_by: str,
        associated: bool = False,
    ) -> None:
        self.mailbox = mailbox
        self.folder = folder
        self.number = number
        self.element = element
        self.values = values
        self.extended = extended
        self.exceptions: dict[datetime, Override] = {}
        self.deleted: set[datetime] = set()
        self.attachments: list[Attachment] = []
        self.created = self.modified = created
        self.created_by = self.modified_by = created_by
        self.associated = associated
        self.is_corrupt = False
        """Whether its folder lists it and nobody can load it: whatever names it is answered with ErrorItemCorrupt."""
        self.change = 0
        self.field_changes: dict[object, int] = {}
        self.name_anew()

    def name_anew(self) -> None:
        """Make the id and forget the change key: at first, and when the mailbox has got another GUID."""
        self.id: str = ids.encode_id(self.mailbox.guid, ids.ITEM, self.number)
        self._change_key: tuple[int, str] = (0, "")

    @property
    def change_key(self) -> str:
        """The text of this version's change key."""
        if self._change_key[0] != self.change:
            self._change_key = (self.change, ids.encode_change_key(self.element, self.mailbox.guid, self.change))
        return self._change_key[1]

    @property
    def is_series(self) -> bool:
        """Whether this is the recurring master of a calendar series."""
        return self.element == "CalendarItem" and self.values.get("calendar:Recurrence") is not None

    @property
    def is_private(self) -> bool:
        """Whether only the owner, and delegates allowed to, may see the details."""
        return self.values.get("item:Sensitivity") == "Private"
