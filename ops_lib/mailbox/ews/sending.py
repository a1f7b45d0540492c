"""Sending a message over EWS: a draft with everything in it, SendItem, and looking it up by its stamp.

Whoever may act as the user works in the user's own mailbox; a delegate in the service account's, in the user's name (Send As). The stamp is a named
property in our own property set, and the Internet message id is made of the same key.

**Source** EWS reference: *CreateItem*, *SendItem*, *FindItem*, *FileAttachment* (ContentId, IsInline); the schema's order of elements.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from ops_lib.errors import AnswerLost, ItemGone, ServerFailed
from ops_lib.mailbox import STAMP_PROPERTY_SET, SignIns
from ops_lib.mailbox.ews.answers import Message as Answered
from ops_lib.mailbox.ews.answers import child, children, name_of, text_of
from ops_lib.mailbox.ews.asking import NOT_CARRIED_OUT, Asker
from ops_lib.mailbox.ews.requests import MESSAGES, TYPES, clean
from ops_lib.mailbox.ews.transport import Transport
from ops_lib.mailbox.outgoing import Draft, File, Message, Whereabouts
from ops_lib.model import Account, Host

STAMP_NAME = "SyncopsMessage"

_SPACES = f'xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"'
_STAMP = f'<t:ExtendedFieldURI PropertySetId="{STAMP_PROPERTY_SET}" PropertyName="{STAMP_NAME}" PropertyType="String"/>'
_DRAFTS, _SENT, _OUTBOX, _DELETED = "drafts", "sentitems", "outbox", "deleteditems"
_PLACES = (_DRAFTS, _SENT, _OUTBOX, _DELETED)
_NEEDED = frozenset({_DRAFTS, _SENT})
_ASKED_AGAIN = (*NOT_CARRIED_OUT, ServerFailed)
"""Failures after which a look-up is repeated at once. Not where no answer came: a person waits for it, and the message can wait longer."""


class EwsPost:
    """The contract of `ops_lib.mailbox.outgoing` over Exchange Web Services. Used by one thread at a time."""

    def __init__(
        self,
        host: Host,
        account: Account,
        secret: Callable[[str], str],
        timeout_seconds: float = 120.0,
        sign_ins: SignIns | None = None,
        *,
        service: str = "",
    ) -> None:
        self._transport = Transport(host, account, secret, timeout_seconds, sign_ins)
        self._ask = Asker(self._transport)
        self._user = self._transport.address
        self._mailbox = service if host.access == "delegate" else self._user
        """Whose folders: "" is whoever signs in."""

    @property
    def requests(self) -> int:
        return self._transport.requests

    def draft(self, message: Message) -> Draft:
        answered = self._written(create(message, self._mailbox), "made the draft")
        for item in children(answered.element, "Items"):
            identity = child(item, "ItemId")
            if identity is not None and identity.get("Id"):
                return Draft(identity.get("Id"), identity.get("ChangeKey", ""))
        raise AnswerLost("the server says it is done, but not where", subject=self._user)

    def submit(self, draft: Draft) -> None:
        self._written(send(draft, self._mailbox), "sent the message")

    def find(self, key: str) -> Whereabouts:
        found = self._ask.retried(find(key, self._mailbox), only=_ASKED_AGAIN)
        drafts: list[Draft] = []
        thrown_away: list[Draft] = []
        is_out = False
        for place, answered in zip(_PLACES, found, strict=False):
            if not answered.is_success:
                error = answered.error(self._user)
                if isinstance(error, ItemGone) and place not in _NEEDED:
                    continue  # not every server has an outbox
                raise error
            for item in self._stamped(answered, key):
                identity = child(item, "ItemId")
                draft = Draft(identity.get("Id", ""), identity.get("ChangeKey", "")) if identity is not None else None
                is_draft = text_of(child(item, "IsDraft")) in ("true", "1")
                is_submitted = text_of(child(item, "IsSubmitted")) in ("true", "1")
                if draft is not None and not is_submitted and place == _DRAFTS:
                    drafts.append(draft)
                elif draft is not None and not is_submitted and place == _DELETED and is_draft:
                    thrown_away.append(draft)
                else:
                    is_out = True
        if len(found) < len(_PLACES):
            raise ServerFailed("the server answered for fewer folders than it was asked about", subject=self._user)
        return Whereabouts(tuple(drafts), is_out, tuple(thrown_away))

    def remove(self, drafts: Sequence[Draft]) -> list[bool]:
        removed: list[bool] = []
        for answered in self._ask.retried(remove(drafts), only=NOT_CARRIED_OUT) if drafts else ():
            error = None if answered.is_success else answered.error(self._user, about_item=True)
            if error is not None and not isinstance(error, ItemGone):
                raise error
            removed.append(error is None)
        return removed

    def _stamped(self, answered: Answered, key: str) -> list[Any]:
        """The items that carry the key. A server may find by a property and yet not list it: those are read."""
        items = children(answered.element, "RootFolder", "Items")
        found = [item for item in items if _stamp_of(item) == key]
        bare = [
            Draft(identity.get("Id", ""), "")
            for item in items
            if not _stamp_of(item) and (identity := child(item, "ItemId")) is not None
        ]
        for read in self._ask.retried(look(bare)) if bare else ():
            found += [item for item in children(read.element, "Items") if read.is_success and _stamp_of(item) == key]
        return found

    def _written(self, payload: Any, done: str) -> Answered:
        """The answer to a request that writes: sent once, unless the server did nothing of it."""
        try:
            answered = self._ask.retried(payload, only=NOT_CARRIED_OUT)[0]
            if answered.is_success:
                return answered
            raise answered.error(self._user, about_item=True)
        except ServerFailed as error:
            if not error.transient:
                raise
            raise AnswerLost(
                f"the server failed while it may have {done}: {error.message}", subject=self._user,
                response_code=error.response_code, http_status=error.http_status, fix="nothing: it is looked up before it is tried again.",
            ) from None  # fmt: skip


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def message_id(message: Message) -> str:
    """The Internet message id: of the same key, so that a server that looks for doubles sees one."""
    domain = message.sender.rpartition("@")[2]
    return f"<{message.key}@{domain if domain.isascii() else 'syncops.invalid'}>"


def create(message: Message, mailbox: str) -> Any:
    """A draft in the drafts of a mailbox ("": of whoever signs in), from the user, with its files."""
    files = "".join(_file(each) for each in message.files)
    kind, body = ("HTML", message.html) if message.html else ("Text", message.text)
    recipients = "".join(_person(address, name) for name, address in message.recipients)
    return _parsed(
        f'<m:CreateItem {_SPACES} MessageDisposition="SaveOnly"><m:SavedItemFolderId>{_folder(_DRAFTS, mailbox)}'
        f"</m:SavedItemFolderId><m:Items><t:Message><t:Subject>{_text(message.subject)}</t:Subject>"
        f'<t:Body BodyType="{kind}">{_text(body)}</t:Body>'
        + (f"<t:Attachments>{files}</t:Attachments>" if files else "")
        + f"<t:ExtendedProperty>{_STAMP}<t:Value>{_text(message.key)}</t:Value></t:ExtendedProperty>"
        f"<t:ToRecipients>{recipients}</t:ToRecipients><t:From>{_person(message.sender)}</t:From>"
        f"<t:InternetMessageId>{_text(message_id(message))}</t:InternetMessageId></t:Message></m:Items></m:CreateItem>"
    )


def send(draft: Draft, mailbox: str) -> Any:
    """Submit a draft, with a copy for the sent items of the mailbox it lies in."""
    return _parsed(
        f'<m:SendItem {_SPACES} SaveItemToFolder="true"><m:ItemIds>{_ids([draft], with_keys=True)}</m:ItemIds>'
        f"<m:SavedItemFolderId>{_folder(_SENT, mailbox)}</m:SavedItemFolderId></m:SendItem>"
    )


def find(key: str, mailbox: str) -> Any:
    """Where a message is: in the drafts, the sent items, the outbox, or thrown away."""
    places = "".join(_folder(each, mailbox) for each in _PLACES)
    return _parsed(
        f'<m:FindItem {_SPACES} Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>'
        f'<t:FieldURI FieldURI="item:IsSubmitted"/><t:FieldURI FieldURI="item:IsDraft"/>{_STAMP}</t:AdditionalProperties></m:ItemShape>'
        '<m:IndexedPageItemView MaxEntriesReturned="50" Offset="0" BasePoint="Beginning"/>'
        f"<m:Restriction><t:IsEqualTo>{_STAMP}<t:FieldURIOrConstant><t:Constant Value={quoteattr(key)}/></t:FieldURIOrConstant>"
        f"</t:IsEqualTo></m:Restriction><m:ParentFolderIds>{places}</m:ParentFolderIds></m:FindItem>"
    )


def look(drafts: Sequence[Draft]) -> Any:
    """Whether drafts are there, submitted, and whose they are."""
    return _parsed(
        f"<m:GetItem {_SPACES}><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
        f'<t:FieldURI FieldURI="item:IsSubmitted"/><t:FieldURI FieldURI="item:IsDraft"/>{_STAMP}</t:AdditionalProperties></m:ItemShape>'
        f"<m:ItemIds>{_ids(drafts)}</m:ItemIds></m:GetItem>"
    )


def remove(drafts: Sequence[Draft]) -> Any:
    """Remove drafts for good."""
    return _parsed(
        f'<m:DeleteItem {_SPACES} DeleteType="HardDelete"><m:ItemIds>{_ids(drafts)}</m:ItemIds></m:DeleteItem>'
    )


# ── parts of them ────────────────────────────────────────────────────────────────────────────────────────────────────
def _stamp_of(item: Any) -> str:
    for part in item:
        uri = child(part, "ExtendedFieldURI") if name_of(part) == "ExtendedProperty" else None
        if uri is not None and uri.get("PropertyName") == STAMP_NAME:
            return text_of(child(part, "Value"))
    return ""


def _folder(name: str, mailbox: str) -> str:
    if not mailbox:
        return f'<t:DistinguishedFolderId Id="{name}"/>'
    return f'<t:DistinguishedFolderId Id="{name}"><t:Mailbox><t:EmailAddress>{_text(mailbox)}</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>'


def _file(file: File) -> str:
    is_inline = bool(file.content_id)
    named = f"<t:ContentId>{_text(file.content_id)}</t:ContentId>" if is_inline else ""
    return (
        f"<t:FileAttachment><t:Name>{_text(file.name)}</t:Name><t:ContentType>{_text(file.content_type)}</t:ContentType>{named}"
        f"<t:IsInline>{'true' if is_inline else 'false'}</t:IsInline>"
        f"<t:Content>{base64.b64encode(file.content).decode('ascii')}</t:Content></t:FileAttachment>"
    )


def _person(address: str, name: str = "") -> str:
    named = f"<t:Name>{_text(name)}</t:Name>" if name else ""
    return f"<t:Mailbox>{named}<t:EmailAddress>{_text(address)}</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType></t:Mailbox>"


def _ids(drafts: Iterable[Draft], *, with_keys: bool = False) -> str:
    return "".join(
        f"<t:ItemId Id={quoteattr(each.item_id)}"
        + (f" ChangeKey={quoteattr(each.change_key)}" if with_keys and each.change_key else "")
        + "/>"
        for each in drafts
    )


def _text(value: str) -> str:
    return escape(clean(value))


def _parsed(text: str) -> Any:
    return etree.fromstring(text, etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True))
