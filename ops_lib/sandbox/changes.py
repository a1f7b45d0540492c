"""What has changed in a folder since a client last asked: the change log and its sync states.

Every mailbox counts its changes. A folder's log keeps, per item, the counts at which it came, was last changed, had only its
read flag changed, or went. A sync state is a position in that log: the count everything before which the client has seen
(``base``), the count at which the round of pages it is in began (``ceiling``), and the item the last page ended with (``below``).
Pages go from the newest item to the oldest; an item's number never changes, so nothing is told twice or skipped however much
changes between two pages: what changes meanwhile is told in the next round.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_STATE = struct.Struct(">16sBQQQ")
NEWEST = 2**63 - 1


class InvalidSyncState(ValueError):
    """The text is no sync state of this folder."""


@dataclass(frozen=True, slots=True)
class SyncState:
    """A position in one log. ``below`` is ``NEWEST`` between two rounds."""

    base: int = 0
    ceiling: int = 0
    below: int = NEWEST


@dataclass(slots=True)
class Entry:
    """What the log knows about one object."""

    number: int
    created: int
    content: int
    changed: int
    gone: bool = False
    associated: bool = False


Kind = Literal["Create", "Update", "Delete", "ReadFlagChange"]


class ChangeLog:
    """The changes of one folder, or of a mailbox's folder tree."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self.last = 0

    def record(self, number: int, count: int, *, read_flag_only: bool = False, associated: bool = False) -> None:
        """Object ``number`` came or changed at ``count``."""
        entry = self._entries.pop(number, None)
        if entry is None:
            entry = Entry(number, count, count, count, associated=associated)
        else:
            entry.changed = count
            if not read_flag_only:
                entry.content = count
        self._entries[number] = entry
        self.last = count

    def remove(self, number: int, count: int) -> None:
        """Object ``number`` went at ``count``; a tombstone stays."""
        entry = self._entries.pop(number)
        entry.changed = entry.content = count
        entry.gone = True
        self._entries[number] = entry
        self.last = count

    def since(self, state: SyncState, *, associated: bool = False) -> Iterator[tuple[Kind, int]]:
        """What a client at this state has yet to see of its round, newest object first."""
        pending: list[Entry] = []
        for entry in reversed(self._entries.values()):
            if entry.changed <= state.base:
                break
            if entry.number < state.below and entry.created <= state.ceiling and (associated or not entry.associated):
                pending.append(entry)
        pending.sort(key=lambda entry: -entry.number)
        for entry in pending:
            known = entry.created <= state.base
            if entry.gone:
                if known:
                    yield "Delete", entry.number
            elif not known:
                yield "Create", entry.number
            elif entry.content <= state.base:
                yield "ReadFlagChange", entry.number
            else:
                yield "Update", entry.number


def encode_state(state: SyncState, folder_id: str, kind: int) -> str:
    """The opaque text of a sync state of the folder with this id."""
    body = _STATE.pack(_owner(folder_id), kind, state.base, state.ceiling, state.below)
    return base64.b64encode(body + _seal(body)).decode()


def decode_state(text: str, folder_id: str, kind: int) -> SyncState:
    """The position that the text names.

    Raises:
        InvalidSyncState: it is none, was cut short, or belongs to another folder or to another operation.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSyncState(text) from None
    body = raw[: _STATE.size]
    if len(raw) != _STATE.size + 32 or raw[_STATE.size :] != _seal(body):
        raise InvalidSyncState(text)
    owner, found_kind, base, ceiling, below = _STATE.unpack(body)
    if owner != _owner(folder_id) or found_kind != kind:
        raise InvalidSyncState(text)
    return SyncState(base, ceiling, below)


def _owner(folder_id: str) -> bytes:
    return hashlib.sha256(folder_id.encode()).digest()[:16]


def _seal(body: bytes) -> bytes:
    return hashlib.sha256(b"sync state" + body).digest()
