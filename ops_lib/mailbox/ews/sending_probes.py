"""Whether somebody may send in another's name, tried so that nothing is mailed: the requests.

A message that is to go a year from now is submitted and removed: the server looks at the right when it is submitted, and sends when it is due.
It is addressed to the service account alone, so that even one that nobody removes reaches no person. All lie in the service account's own
mailbox and carry a mark, by which the next run finds what one that was killed has left.

**Source** MS-OXOMSG 2.2.3.4 (PidTagDeferredSendTime); EWS reference, *SendItem*, *ErrorSendAsDenied*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from ops_lib.mailbox import STAMP_PROPERTY_SET
from ops_lib.mailbox.ews.answers import Message, child, children, text_of
from ops_lib.mailbox.ews.requests import MESSAGES, TYPES, clean, instant

MARK_NAME = "SyncopsPermissionProbe"
SUBJECT = "syncops permission probe"
"""Also in the subject: a message that was delivered after all has lost its mark."""

_SPACES = f'xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"'
_MARK = f'<t:ExtendedFieldURI PropertySetId="{STAMP_PROPERTY_SET}" PropertyName="{MARK_NAME}" PropertyType="String"/>'
_PLACES = ("drafts", "outbox", "inbox", "sentitems")
MOST_LEFT_OVER = 200


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe as it lies in the mailbox. ``user`` is "" where the mark is lost."""

    item_id: str
    change_key: str
    user: str


def create(users: Sequence[str], service: str, due: datetime) -> Any:
    """A draft in the name of each user, to the service account, to be sent when it is due."""
    drafts = "".join(
        f"<t:Message><t:Subject>{SUBJECT}</t:Subject>"
        '<t:Body BodyType="Text">Made and removed by a check of permissions. It is safe to delete.</t:Body>'
        f"<t:ExtendedProperty>{_MARK}<t:Value>{_text(user)}</t:Value></t:ExtendedProperty>"
        '<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x3FEF" PropertyType="SystemTime"/>'
        f"<t:Value>{instant(due)}</t:Value></t:ExtendedProperty>"
        f"<t:ToRecipients>{_person(service)}</t:ToRecipients><t:From>{_person(user)}</t:From></t:Message>"
        for user in users
    )
    return etree.fromstring(
        f'<m:CreateItem {_SPACES} MessageDisposition="SaveOnly"><m:SavedItemFolderId><t:DistinguishedFolderId Id="drafts"/>'
        f"</m:SavedItemFolderId><m:Items>{drafts}</m:Items></m:CreateItem>"
    )


def send(probes: Iterable[Probe]) -> Any:
    """Submit drafts, without a copy for the sent items."""
    return etree.fromstring(
        f'<m:SendItem {_SPACES} SaveItemToFolder="false"><m:ItemIds>{_ids(probes, with_keys=True)}</m:ItemIds></m:SendItem>'
    )


def find() -> Any:
    """Every probe in the service account's mailbox, of this run and of earlier ones."""
    places = "".join(f'<t:DistinguishedFolderId Id="{each}"/>' for each in _PLACES)
    return etree.fromstring(
        f'<m:FindItem {_SPACES} Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>'
        f'<t:AdditionalProperties><t:FieldURI FieldURI="item:Subject"/>{_MARK}</t:AdditionalProperties></m:ItemShape>'
        f'<m:IndexedPageItemView MaxEntriesReturned="{MOST_LEFT_OVER}" Offset="0" BasePoint="Beginning"/>'
        '<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="item:Subject"/>'
        f'<t:FieldURIOrConstant><t:Constant Value="{SUBJECT}"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>'
        f"<m:ParentFolderIds>{places}</m:ParentFolderIds></m:FindItem>"
    )


def senders(probes: Iterable[Probe]) -> Any:
    """Who each submitted message says it is sent by."""
    return etree.fromstring(
        f"<m:GetItem {_SPACES}><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
        f'<t:FieldURI FieldURI="message:Sender"/><t:FieldURI FieldURI="message:From"/>{_MARK}</t:AdditionalProperties>'
        f"</m:ItemShape><m:ItemIds>{_ids(probes)}</m:ItemIds></m:GetItem>"
    )


def remove(probes: Iterable[Probe]) -> Any:
    """Remove probes for good, from Deleted Items too."""
    return etree.fromstring(
        f'<m:DeleteItem {_SPACES} DeleteType="HardDelete"><m:ItemIds>{_ids(probes)}</m:ItemIds></m:DeleteItem>'
    )


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def created(message: Message, user: str) -> Probe | None:
    """The draft that was made for a user."""
    for item in children(message.element, "Items"):
        identity = child(item, "ItemId")
        if identity is not None and identity.get("Id"):
            return Probe(identity.get("Id"), identity.get("ChangeKey", ""), user)
    return None


def found(messages: Iterable[Message]) -> list[Probe]:
    """The probes of a successful `find`; whatever is not surely one is left alone."""
    probes = []
    for message in messages:
        for item in children(message.element, "RootFolder", "Items") if message.is_success else ():
            identity = child(item, "ItemId")
            if identity is not None and text_of(child(item, "Subject")) == SUBJECT:
                probes.append(Probe(identity.get("Id", ""), identity.get("ChangeKey", ""), _mark(item)))
    return probes


def sender_of(message: Message) -> tuple[str, str, str]:
    """Of a successful `senders`: whose probe it is, its Sender's address and its From's; "" for what is not said."""
    for item in children(message.element, "Items"):
        return (
            _mark(item),
            text_of(child(item, "Sender", "Mailbox", "EmailAddress")).lower(),
            text_of(child(item, "From", "Mailbox", "EmailAddress")).lower(),
        )
    return "", "", ""


def _mark(item: Any) -> str:
    for part in item:
        uri = child(part, "ExtendedFieldURI")
        if uri is not None and uri.get("PropertyName") == MARK_NAME:
            return text_of(child(part, "Value")).lower()
    return ""


def _ids(probes: Iterable[Probe], *, with_keys: bool = False) -> str:
    return "".join(
        f"<t:ItemId Id={quoteattr(each.item_id)}"
        + (f" ChangeKey={quoteattr(each.change_key)}" if with_keys and each.change_key else "")
        + "/>"
        for each in probes
    )


def _person(address: str) -> str:
    return (
        f"<t:Mailbox><t:EmailAddress>{_text(address)}</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType></t:Mailbox>"
    )


def _text(value: str) -> str:
    return escape(clean(value))
