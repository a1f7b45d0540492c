"""A message as MIME, read into a draft: headers, the body, and every other part as an attachment."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from ..items import AttachedItem, Attachment, Values
from ..values import Body, Person
from .errors import ResponseError

_PEOPLE = (
    ("To", "message:ToRecipients"),
    ("Cc", "message:CcRecipients"),
    ("Bcc", "message:BccRecipients"),
    ("Reply-To", "message:ReplyTo"),
)
_PERSON = (("From", "message:From"), ("Sender", "message:Sender"))
_TEXT = (
    ("Message-ID", "message:InternetMessageId"),
    ("In-Reply-To", "item:InReplyTo"),
    ("References", "message:References"),
)


def read_message(raw: bytes, *, is_mail: bool, now: datetime) -> tuple[Values, list[Attachment]]:
    """What the message says, and what is attached to it. ``is_mail``: the item has senders and recipients.

    Raises:
        ResponseError: it has more parts within parts than anybody writes.
    """
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return _read(message, is_mail, now)


def _read(message: EmailMessage, is_mail: bool, now: datetime, depth: int = 0) -> tuple[Values, list[Attachment]]:
    if depth > 10:
        raise ResponseError("ErrorMimeContentConversionFailed")
    values: Values = {"item:Subject": str(message.get("Subject", ""))}
    body = message.get_body(("html", "plain"))
    if isinstance(body, EmailMessage):
        values["item:Body"] = Body(str(body.get_content()), body.get_content_subtype() == "html")
    if is_mail:
        values |= _headers(message)
    attached = [_attachment(part, number, now, depth) for number, part in enumerate(_parts(message, body), 1)]
    return values, attached


def _headers(message: EmailMessage) -> Values:
    values: Values = {}
    for header, uri in (*_PEOPLE, *_PERSON):
        found = message.get(header)
        people = [Person(one.display_name, one.addr_spec) for one in found.addresses] if found is not None else []
        if people:
            values[uri] = people if (header, uri) in _PEOPLE else people[0]
    values |= {uri: str(message[header]).strip() for header, uri in _TEXT if message.get(header)}
    return values


def _parts(message: EmailMessage, body: Any, *, alternative: bool = False) -> Iterator[EmailMessage]:
    """Every part but the body and its other forms."""
    if message.get_content_maintype() == "multipart":
        inner = message.get_content_subtype() == "alternative"
        for part in message.iter_parts():
            if isinstance(part, EmailMessage):
                yield from _parts(part, body, alternative=inner)
    elif message is not body and not (alternative and message.get_content_maintype() == "text"):
        yield message


def _attachment(part: EmailMessage, number: int, now: datetime, depth: int) -> Attachment:
    kind = part.get_content_type()
    common: dict[str, Any] = {
        "content_id": (part.get("Content-ID") or "").strip().strip("<>"),
        "is_inline": part.get_content_disposition() == "inline" or "Content-ID" in part,
        "modified": now,
    }
    if kind == "message/rfc822":
        inner = part.get_content()
        values, attached = _read(inner, True, now, depth + 1)
        name = part.get_filename() or values["item:Subject"] or f"ATT{number:05d}"
        return Attachment(number, name, item=AttachedItem("Message", values, {}, tuple(attached)), **common)
    content = part.get_payload(decode=True)
    name = part.get_filename() or f"ATT{number:05d}{mimetypes.guess_extension(kind) or '.dat'}"
    return Attachment(number, name, content if isinstance(content, bytes) else b"", content_type=kind, **common)
