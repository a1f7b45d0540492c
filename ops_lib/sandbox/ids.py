"""Which object an id names, and which version a change key names.

Ids are opaque to clients: base64 of a fixed header, the mailbox's GUID, a kind, a number, an instance and a seal made from
all of these. The seal makes a truncated, a made-up or a case-folded id *malformed* instead of quietly another object.
They are 144 characters long, as long as those of a real server, so that clients which store them in 64-byte columns notice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import uuid
from dataclasses import dataclass

FOLDER = 1
ITEM = 2
OCCURRENCE = 3
ATTACHMENT = 4

_HEADER = b"\x00\x03\x24\x00"
_BODY = struct.Struct(">4s36sBQq")
_LENGTH = 107
_CHANGE_KEY = struct.Struct("<II16s")
_NAMESPACE = uuid.UUID("5b0c1d8e-6a57-4f0e-9a0b-7d3c1f2e4a68")

#: first word of a change key, by what it belongs to
_CHANGE_KEY_MARKS = {"Folder": 1, "Message": 9, "CalendarItem": 15, "Contact": 17, "Task": 19}


class MalformedId(ValueError):
    """The text is no id that this organisation has ever handed out."""


@dataclass(frozen=True, slots=True)
class ObjectId:
    """What an id says: ``instance`` is an occurrence's original start in seconds since 1970, an attachment's number, else 0."""

    mailbox: str
    kind: int
    number: int
    instance: int = 0


def mailbox_guid(address: str, moves: int = 0) -> str:
    """The GUID of the mailbox with this address: the same each time the same organisation is set up, another after each move."""
    return str(uuid.uuid5(_NAMESPACE, f"{address.lower()}/{moves}" if moves else address.lower()))


def _seal(body: bytes) -> bytes:
    first = hashlib.sha256(body).digest()
    return (first + hashlib.sha256(first).digest())[: _LENGTH - len(body)]


def encode_id(mailbox: str, kind: int, number: int, instance: int = 0) -> str:
    """The id of an object of the mailbox with this GUID."""
    body = _BODY.pack(_HEADER, mailbox.encode(), kind, number, instance)
    return base64.b64encode(body + _seal(body)).decode()


def decode_id(text: str) -> ObjectId:
    """What the id names.

    Raises:
        MalformedId: it is no id of this organisation, or was shortened or changed on the way.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedId(text) from None
    if len(raw) != _LENGTH:
        raise MalformedId(text)
    body = raw[: _BODY.size]
    if raw[_BODY.size :] != _seal(body):
        raise MalformedId(text)
    _, mailbox, kind, number, instance = _BODY.unpack(body)
    return ObjectId(mailbox.decode(), kind, number, instance)


def encode_change_key(element: str, mailbox: str, change: int) -> str:
    """The change key of an object of this element in its version ``change``."""
    head = _CHANGE_KEY.pack(_CHANGE_KEY_MARKS.get(element, 9), 22, uuid.UUID(mailbox).bytes)
    return base64.b64encode(head + change.to_bytes(6, "big")).decode()


def decode_change_key(text: str) -> int:
    """The version that the change key names.

    Raises:
        MalformedId: it is no change key.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedId(text) from None
    if len(raw) != _CHANGE_KEY.size + 6 or raw[4:8] != b"\x16\x00\x00\x00":
        raise MalformedId(text)
    return int.from_bytes(raw[_CHANGE_KEY.size :], "big")
