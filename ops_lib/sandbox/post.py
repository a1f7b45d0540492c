"""The post: messages from one mailbox to others, to people outside, and back where nobody is.

Every message is kept in ``Organisation.sent``; what goes to addresses outside the organisation also in ``Organisation.outbox``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .items import Attachment, Extended, Item, Values
from .values import Body, Person

if TYPE_CHECKING:
    from .mailboxes import Folder, Mailbox
    from .store import Organisation

RECIPIENTS = ("message:ToRecipients", "message:CcRecipients", "message:BccRecipients")
#: what only the sender's copy says
_SENDERS_OWN = frozenset(
    {"message:BccRecipients", "item:IsDraft", "item:IsSubmitted", "item:IsFromMe", "message:IsRead"}
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that was sent: ``mailbox`` is whose it was, ``sender`` what its From says, ``uid`` the meeting's it is about."""

    sent: datetime
    mailbox: str
    kind: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    item_id: str = ""
    uid: str = ""
    item_class: str = ""

    def document(self) -> dict[str, Any]:
        """As ``GET /outbox`` shows it."""
        return {
            "sent": self.sent,
            "kind": self.kind,
            "class": self.item_class,
            "from": self.sender,
            "to": list(self.recipients),
            "subject": self.subject,
            "uid": self.uid,
            "mailbox": self.mailbox,
            "item_id": self.item_id,
        }


@dataclass(slots=True)
class Letter:
    """A message ready to go. ``values`` name sender and recipients; ``to`` are those it really goes to, where that is not all of them."""

    element: str
    mailbox: Mailbox
    values: Values
    extended: Extended = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    to: tuple[Person, ...] | None = None

    @property
    def recipients(self) -> list[Person]:
        """Everybody it goes to, each once."""
        people = self.to if self.to is not None else recipients_of(self.values)
        return list({one.address.lower(): one for one in people}.values())


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that was sent with PidTagDeferredSendTime: it lies in its folder until then."""

    due: datetime
    item: Item
    by: str
    copy_in: Folder | None


def release(organisation: Organisation) -> None:
    """Send what waited until now. What was removed meanwhile is not sent."""
    now = organisation.now()
    due = [one for one in organisation.waiting if one.due <= now]
    organisation.waiting = [one for one in organisation.waiting if one.due > now]
    for one in due:
        mailbox = one.item.mailbox
        if mailbox.items.get(one.item.number) is one.item:
            letter = Letter("Message", mailbox, dict(one.item.values), one.item.extended, one.item.attachments)
            mailbox.remove_item(one.item)
            send(organisation, letter, by=one.by, copy_in=one.copy_in)


def recipients_of(values: Values) -> list[Person]:
    """Everybody a message names as a recipient."""
    return [one for uri in RECIPIENTS for one in values.get(uri) or ()]


#: what is done in a recipient's mailbox before the message lies in its Inbox; it may add to the message's values
Arriving = Callable[["Mailbox", Values], None]


def send(
    organisation: Organisation,
    letter: Letter,
    *,
    by: str,
    copy_in: Folder | None = None,
    arriving: Arriving | None = None,
) -> Item | None:
    """Send the letter; the sender's copy where one is kept. It arrives at once.

    Mail to an address of the organisation's own domains that nobody has comes back as a report of non-delivery.
    """
    now = organisation.now()
    copy = None
    values = {**letter.values, "item:DateTimeSent": now}
    if copy_in is not None:
        mine = {
            **values,
            "message:IsRead": True,
            "item:IsFromMe": True,
            "item:IsSubmitted": True,
            "item:IsDraft": False,
        }
        copy = copy_in.mailbox.add_item(
            copy_in, letter.element, mine, dict(letter.extended), by=by, attachments=letter.attachments
        )
    outside: list[str] = []
    unknown: list[Person] = []
    for person in letter.recipients:
        mailbox = organisation.find_mailbox(person.address)
        if mailbox is not None:
            theirs = {uri: value for uri, value in values.items() if uri not in _SENDERS_OWN}
            if arriving is not None:
                arriving(mailbox, theirs)
            inbox = mailbox.folder("inbox")
            theirs["message:IsRead"] = False
            # named properties stay with the sender
            delivered = mailbox.add_item(inbox, letter.element, theirs, by=by, attachments=letter.attachments)
            mailbox.tell_of_new_mail(delivered)
        elif person.address.lower().rpartition("@")[2] in _domains(organisation):
            unknown.append(person)
        else:
            outside.append(person.address)
    entry = Outgoing(
        now,
        letter.mailbox.address,
        letter.element,
        _address(values.get("message:From"), letter.mailbox),
        tuple(one.address for one in letter.recipients),
        values.get("item:Subject") or "",
        copy.id if copy is not None else "",
        values.get("calendar:UID") or "",
        values.get("item:ItemClass") or "IPM.Note",
    )
    organisation.sent.append(entry)
    if outside:
        organisation.outbox.append(replace(entry, recipients=tuple(outside)))
    if unknown:
        _return_to_sender(organisation, letter, unknown)
    return copy


def _address(sender: Person | None, mailbox: Mailbox) -> str:
    return sender.address if sender is not None else mailbox.address


def _domains(organisation: Organisation) -> Iterable[str]:
    return {mailbox.address.rpartition("@")[2] for mailbox in organisation.mailboxes}


def _return_to_sender(organisation: Organisation, letter: Letter, unknown: list[Person]) -> None:
    """The report of non-delivery in the sender's Inbox, as the server's own postmaster writes it."""
    named = "; ".join(one.address for one in unknown)
    postmaster = Person("Microsoft Outlook", f"postmaster@{letter.mailbox.address.rpartition('@')[2]}")
    text = f"Your message wasn't delivered to {named}: the address couldn't be found. (550 5.1.1 RESOLVER.ADR.RecipNotFound)"
    letter.mailbox.add_item(
        letter.mailbox.folder("inbox"),
        "Message",
        {
            "item:ItemClass": "REPORT.IPM.Note.NDR",
            "item:Subject": f"Undeliverable: {letter.values.get('item:Subject') or ''}",
            "item:Body": Body(text),
            "message:From": postmaster,
            "message:Sender": postmaster,
            "message:ToRecipients": [Person(letter.mailbox.name, letter.mailbox.address)],
            "message:IsRead": False,
            "item:DateTimeSent": organisation.now(),
        },
        by=postmaster.address,
    )
