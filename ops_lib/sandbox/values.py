"""Values of an item's properties that are more than text, a number or an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Body:
    """The text of an item, and whether it is HTML."""

    text: str
    is_html: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody named on an item: an organiser, an attendee, a sender, a recipient.

    ``response`` is what an attendee answered, as EWS spells it: Unknown, Organizer, Tentative, Accept, Decline,
    NoResponseReceived; ``responded`` is when.
    """

    name: str
    address: str
    response: str = "Unknown"
    responded: datetime | None = None
