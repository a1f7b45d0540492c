"""What a mail server must be able to do to send for the CRM. The contract in words.

- A message is made as a draft first and then submitted by its id. A draft is submitted once: whoever submits it a second time, however late, is
  told that it is gone. That, and not a promise of the network, is why no message goes out twice.
- Every draft carries the message's ``key``; `Post.find` tells by it what became of a message: a draft still, submitted, sent, or thrown away.
- `Post.draft` and `Post.submit` are sent once each. `AnswerLost`: it may have been done, look. `ServerBusy` and `Unreachable`: it was not
  (these were tried again already, with the server's own pauses). Anything else is the server's refusal, and nothing was done.
- Nothing else in the mailbox is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ops_lib.mailbox import SignIns
from ops_lib.model import Account, Host


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that travels with a message; with ``content_id`` it is a picture that the body shows as ``cid:…``."""

    name: str
    content_type: str
    content: bytes = field(repr=False)
    content_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it is to go out. ``html`` empty: plain text. ``recipients`` are names (or "") and addresses."""

    key: str
    sender: str
    recipients: tuple[tuple[str, str], ...]
    subject: str
    text: str
    html: str = ""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft, and its version."""

    item_id: str
    change_key: str


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What became of a message: drafts that nobody submitted, whether it was submitted or sent, and drafts that a person threw away."""

    drafts: tuple[Draft, ...] = ()
    is_out: bool = False
    thrown_away: tuple[Draft, ...] = ()


class Post(Protocol):
    """One user's way to send."""

    @property
    def requests(self) -> int:
        """How many were really sent, counting every try."""

    def draft(self, message: Message) -> Draft:
        """Make the draft, with everything that belongs to it."""

    def submit(self, draft: Draft) -> None:
        """Send it off, with a copy for the sent items. Raises `ItemGone`, `ItemConflict` where it is another by now."""

    def find(self, key: str) -> Whereabouts:
        """What became of the message with this key."""

    def remove(self, drafts: Sequence[Draft]) -> list[bool]:
        """Remove drafts for good; of each, whether it was there. One that was is not submitted any more, however late a request for it comes."""


def open_post(
    host: Host,
    account: Account,
    secret: Callable[[str], str],
    timeout_seconds: float = 120.0,
    sign_ins: SignIns | None = None,
    *,
    service: str = "",
) -> Post:
    """The way to send as an account's user, over the host's protocol. Nothing is sent yet. ``service``: the service account's own mailbox, for a delegate."""
    from ops_lib.mailbox.ews.sending import EwsPost

    return EwsPost(host, account, secret, timeout_seconds, sign_ins, service=service)
