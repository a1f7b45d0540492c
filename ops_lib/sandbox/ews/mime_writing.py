"""An item as MIME: an event as iCalendar, anything else as a message with its attachments."""

from __future__ import annotations

import mimetypes
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import Any

from .. import ical
from ..items import Attachment, Values
from ..values import Body, Person
from .views import View

_HEADERS = (
    ("Message-ID", "message:InternetMessageId"),
    ("In-Reply-To", "item:InReplyTo"),
    ("References", "message:References"),
)
_PEOPLE = (
    ("To", "message:ToRecipients"),
    ("Cc", "message:CcRecipients"),
    ("Reply-To", "message:ReplyTo"),
)


_SENDERS = ("message:From", "message:Sender")


def mime_of(view: View) -> str:
    """The item as MIME."""
    if view.element != "CalendarItem":
        return _message(view.values, view.attachments).as_string()
    item = view.item
    if view.occurrence is not None:
        return ical.to_ical(view.values, {}, set())
    exceptions = {start: override.values for start, override in item.exceptions.items()}
    return ical.to_ical(view.values, exceptions, item.deleted)


def _message(values: Values, attachments: list[Attachment]) -> EmailMessage:
    people: list[Person] = [values[uri] for uri in _SENDERS if values.get(uri)]
    people += [one for _, uri in _PEOPLE for one in values.get(uri) or ()]
    is_plain = all(one.address.isascii() for one in people)
    message = EmailMessage(policy=SMTP if is_plain else SMTPUTF8)  # encoded words, unless an address itself needs more
    message["Subject"] = _line(values.get("item:Subject") or "")
    for header, uri in (("From", "message:From"), ("Sender", "message:Sender")):
        person = values.get(uri)
        if person is not None and (header == "From" or person != values.get("message:From")):
            message[header] = _address(person)
    for header, uri in _PEOPLE:
        if values.get(uri):
            message[header] = ", ".join(_address(one) for one in values[uri])
    sent = values.get("item:DateTimeSent")
    if sent is not None:
        message["Date"] = format_datetime(sent)
    for header, uri in _HEADERS:
        if values.get(uri):
            message[header] = _line(values[uri])
    body: Body = values.get("item:Body") or Body("")
    text = body.text.encode("utf-8", "replace").decode()
    message.set_content(text, subtype="html" if body.is_html else "plain")
    inline = [one for one in attachments if one.is_inline and one.item is None]
    for one in inline:
        message.add_related(one.content, *_type(one), **_named(one), cid=f"<{_line(one.content_id)}>")
    for one in attachments:
        if one.item is not None:
            message.add_attachment(_message(one.item.values, list(one.item.attachments)), filename=_line(one.name))
        elif not one.is_inline:
            message.add_attachment(one.content, *_type(one), **_named(one))
    return message


def _named(one: Attachment) -> dict[str, Any]:
    return {"filename": _line(one.name), "disposition": "inline" if one.is_inline else "attachment"}


def _type(one: Attachment) -> tuple[str, str]:
    kind = one.content_type or mimetypes.guess_type(one.name)[0] or ""
    main, _, sub = kind.partition("/")
    return (main, sub) if main and sub and main not in ("message", "multipart") else ("application", "octet-stream")


def _address(person: Person) -> str:
    name, address = _line(person.name), _line(person.address)
    if not address.isascii() or name in ("", address):
        return address
    try:
        return str(Address(name, addr_spec=address))  # quoted: a name may hold what an address is written with
    except (ValueError, HeaderParseError):
        return address


def _line(text: str) -> str:
    """Text as it may stand in a header: one line, nothing that UTF-8 cannot hold."""
    return " ".join(text.encode("utf-8", "replace").decode().split())
