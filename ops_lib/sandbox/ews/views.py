"""An item as one caller sees it: a single item, a master, or an occurrence of a series."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from .. import rights, series
from ..items import ITEM_CLASSES, Attachment, Extended, Item, Values
from ..series import Occurrence

if TYPE_CHECKING:
    from .session import Session

#: what somebody who may not see private items gets to see of one
_PUBLIC = frozenset(
    {
        "calendar:Start",
        "calendar:End",
        "calendar:IsAllDayEvent",
        "calendar:LegacyFreeBusyStatus",
        "calendar:StartTimeZone",
        "calendar:EndTimeZone",
        "calendar:Recurrence",
        "calendar:UID",
        "item:Sensitivity",
    }
)
PRIVATE_SUBJECT = "Private Appointment"


class View:
    """What an answer says about one item. ``session`` is the caller's; ``occurrence`` is None but for occurrences."""

    __slots__ = ("_rights", "extended", "hidden", "item", "neighbours", "occurrence", "session", "values")

    def __init__(self, item: Item, session: Session, occurrence: Occurrence | None = None) -> None:
        self.item = item
        self.session = session
        self.occurrence = occurrence
        self._rights: rights.Rights | None = None
        #: the events at the same time, and those right before and after, once somebody has looked
        self.neighbours: tuple[list[View], list[View]] | None = None
        self.values: Values = item.values if occurrence is None else occurrence.values
        if occurrence is not None and occurrence.override is None and not session.manners.keeps_wall_clock:
            zone, first = series.zone_of(item), item.values["calendar:Start"]
            times = {
                uri: session.manners.occurrence_time(self.values[uri], first, zone)
                for uri in ("calendar:Start", "calendar:End")
            }
            self.values = {**self.values, **times}
        self.extended: Extended = item.extended
        if occurrence is not None and occurrence.override is not None and occurrence.override.extended:
            self.extended = {**item.extended, **occurrence.override.extended}
        #: whether the item is private and the caller may see no more than when it is
        self.hidden = item.is_private and not item.mailbox.sees_private(session.user)
        if self.hidden:
            self.values = {uri: value for uri, value in self.values.items() if uri in _PUBLIC}
            self.values["item:Subject"] = PRIVATE_SUBJECT
            self.extended = {}

    @property
    def attachments(self) -> list[Attachment]:
        """What is attached to it: an occurrence has the master's until one of its own was added or removed."""
        override = self.occurrence.override if self.occurrence is not None else None
        if override is not None and override.attachments is not None:
            return override.attachments
        return self.item.attachments

    @property
    def element(self) -> str:
        """The name of its element."""
        return self.item.element

    @property
    def id(self) -> str:
        """Its item id."""
        return self.item.id if self.occurrence is None else self.occurrence.id

    @property
    def change_key(self) -> str:
        """Its change key: an occurrence's is its master's."""
        return self.item.change_key

    @property
    def kind(self) -> str:
        """Its ``CalendarItemType``."""
        if self.occurrence is None:
            return "RecurringMaster" if self.item.is_series else "Single"
        return "Occurrence" if self.occurrence.override is None else "Exception"

    @property
    def item_class(self) -> str:
        """Its ``ItemClass``."""
        given: str | None = self.values.get("item:ItemClass")
        return given or ITEM_CLASSES.get(self.item.element, "IPM.Note")

    @property
    def original_start(self) -> datetime | None:
        """When an occurrence was to start before it was moved; None where the server does not say."""
        if self.occurrence is None or not self.session.manners.names_original_start:
            return None
        return self.occurrence.original_start

    @property
    def rights(self) -> rights.Rights:
        """What the caller may do in the item's folder."""
        if self._rights is None:
            self._rights = self.item.mailbox.rights_of(self.session.user, self.item.folder)
        return self._rights
