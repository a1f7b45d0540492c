"""What a mailbox must be able to do to be kept in step with the CRM.

The contract in words; `tests/contract/` runs it against every implementation.

- One object is one mailbox, seen with the rights of its host's access type. It is used by one thread at a time.
- Folders are the *default* calendar and the default tasks folder, found by their distinguished name, never by a display name.
- Nothing is ever mailed: every write says so (rows C9 of the requirements).
- Reading is lenient: what cannot be read of an item is named in ``Item.oddities`` or, if the item is useless without it, in an `ItemRefused`
  for that item alone. Reading never guesses a deletion: only ids in ``FolderChanges.deleted`` are deleted.
- Bulk calls answer one outcome per input, in its order: the value, or the `MailboxError` of that one. What concerns the whole request
  (sign-in, no answer, throttled) is raised.
- Reads are tried again on transient failures with the server's own pauses; a request that creates is **never** sent twice by a mailbox:
  it raises `AnswerLost` (it may have been done) or another `MailboxError` (it was not done), and the cycle looks the stamps up.
- Where a server's calendar view does not show occurrences, ``expand`` computes them. Their ids (`occurrences.is_computed`) are the suite's own;
  ``read``, ``update``, ``delete`` and ``master_of`` take them like any other. Which occurrence such an id means on the server is looked up at the
  moment of the write and verified; one that cannot be verified is an `ItemRefused`, never a write on another.
- ``requests`` and ``bytes_received`` count what was really sent and received.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ops_lib.errors import MailboxError, SignInRefused
from ops_lib.model import Account, Host, Item, Kind, When, Window, Written

STAMP_PROPERTY_SET = "8f6a1d0e-52c3-4b86-9f0a-d3b7c1e5a904"
"""Our own property set. The stamp is a named string property in it, so that nobody else's data is touched."""

STAMP_NAME = "SyncopsKey"


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """What happened in a folder since a sync state. Series come as their master; occurrences are read with ``view``.

    ``created`` are those of ``items`` that the server calls new since the state. One that was known before means that the server forgot
    the state without saying so, and that what was deleted meanwhile is not among ``deleted``.
    """

    items: list[Item]
    deleted: list[str]
    sync_state: str
    unreadable: list[MailboxError]
    created: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class View:
    """The calendar between two instants: single events and occurrences, no masters.

    ``is_expanded`` is false where the server lists masters instead of their occurrences (then ``items`` holds those masters that begin in the
    window), or lists something that has no id: the caller must not conclude anything from an occurrence that is missing. A view without any
    master and any occurrence says nothing about the server: series that began earlier are in no such list.
    """

    items: list[Item]
    is_expanded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemContent:
    """What is written on an item. For an update, ``None`` leaves a property as it is."""

    subject: str | None = None
    when: When | None = None
    location: str | None = None
    body_html: str | None = None
    is_complete: bool | None = None  # tasks
    has_reminder: bool | None = None
    stamp: str | None = None
    time_zone: str = "UTC"  # IANA name: the zone an event is made in


@dataclass(frozen=True, slots=True)
class ItemUpdate:
    """An update of one item as it was read (``change_key``)."""

    item_id: str
    change_key: str
    kind: Kind
    content: ItemContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request as it was sent and answered: what a server's administrator looks for.

    ``began_seconds`` counts from when the mailbox was opened, ``number`` the tries of this request from 1, ``waited_seconds`` the pause before
    this one. ``response_code`` is the first that is no success, else NoError; ``error`` the kind of error it stands for, empty for none.
    """

    operation: str
    began_seconds: float
    seconds: float
    number: int = 1
    waited_seconds: float = 0.0
    http_status: int = 0
    response_code: str = ""
    request_id: str = ""
    error: str = ""


class Mailbox(Protocol):
    @property
    def address(self) -> str: ...

    @property
    def attempts(self) -> Sequence[Attempt]:
        """The latest requests, oldest first, at most some hundreds."""

    @property
    def requests(self) -> int:
        """How many were really sent, counting every try."""

    @property
    def bytes_received(self) -> int:
        """The answers' bodies, as they came over the wire."""

    @property
    def notes(self) -> Sequence[str]:
        """What the person in charge should know and was no failure, each once."""

    def changes(self, kind: Kind, sync_state: str = "") -> FolderChanges:
        """Everything since the state (empty: everything there is), all pages; without bodies and attendees.

        Raises `SyncStateInvalid` when the server refuses the state, `AccessRefused`/`ItemGone` when the folder cannot be seen.
        """

    def view(self, window: Window) -> View:
        """What the calendar holds between two instants, however many pages or splits it takes; without bodies and attendees."""

    def expand(
        self, master_ids: Sequence[str], window: Window, *, with_own_ids: bool = False
    ) -> list[list[Item] | MailboxError]:
        """Of each series, the occurrences that touch the window, computed from its master; with body and attendees, as ``read`` gives them.

        For servers whose ``view`` does not show them. A series that cannot be computed is an `ItemRefused` with the reason, one that is no more
        an `ItemGone`. An occurrence's ``original_start`` is the instant of its hour on the wall of the series' zone (the account's, where the
        master names none that is known); its ``change_key`` changes with any of its content. ``with_own_ids``: those that differ from their series
        come under the id and change key that the server has for them.
        """

    def read(self, kind: Kind, item_ids: Sequence[str]) -> list[Item | MailboxError]:
        """The items as they are now, with body and attendees; `ItemGone` for those that are no more."""

    def find_stamps(self, kind: Kind, stamps: Sequence[str]) -> dict[str, list[Item]]:
        """The items of the folder that carry one of the stamps; a stamp that none carries is missing from the answer."""

    def create(self, kind: Kind, contents: Sequence[ItemContent]) -> list[Written | MailboxError]:
        """Make items (at most 50, one request). Raises `AnswerLost` when it is unknown whether they were made."""

    def update(self, updates: Sequence[ItemUpdate]) -> list[Written | MailboxError]:
        """Change items; `ItemConflict` for one that changed since it was read, `ItemGone` for one that is no more."""

    def delete(self, kind: Kind, item_ids: Sequence[str]) -> list[MailboxError | None]:
        """Remove items to Deleted Items; one that is gone already is done, not an error."""

    def master_of(self, item_ids: Sequence[str]) -> list[Item | MailboxError]:
        """The series masters of the given occurrences, with body."""


class Tokens(Protocol):
    """The bearer tokens of one sign-in, from any thread."""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells this sign-in from every other, and holds no secret."""

    @property
    def signed_in_as(self) -> str:
        """The mailbox that signed in; empty for an app."""

    def token(self, subject: str) -> dict[str, Any]:
        """``access_token`` and ``expires_in`` (seconds), with some life left. Raises `SignInRefused`, `Unreachable`, `ServerBusy`, `ServerFailed`."""

    def new_token(self, subject: str, refused: str) -> dict[str, Any]:
        """The same, and not the one that was refused, known by its fingerprint; once, however many threads ask for it."""


class Gate(Protocol):
    """Keeps one user's password from being sent again after it was refused. `enter` is followed by one of the others."""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells its memory from another's."""

    def enter(self) -> None:
        """Begin to try the password. Waits while another process tries it; raises `SignInRefused` where it was refused before."""

    def accepted(self) -> None:
        """The server took it."""

    def refused(self, error: SignInRefused) -> None:
        """The server did not: it is not to be sent again until it is another one."""

    def left(self) -> None:
        """There was no verdict."""


class SignIns(Protocol):
    """Who signs in for an account, and how that stands."""

    def tokens(self, host: Host, account: Account) -> Tokens:
        """The tokens to use for the account. Raises `SignInRefused` where nobody has signed in."""

    def gate(self, host: Host, user: str, password: str) -> Gate: ...


def open_mailbox(
    host: Host,
    account: Account,
    secret: Callable[[str], str],
    timeout_seconds: float = 120.0,
    sign_ins: SignIns | None = None,
) -> Mailbox:
    """The mailbox of an account, over the host's protocol. Nothing is sent yet; ``secret`` gives the value of a secret's reference.

    Without ``sign_ins`` nobody remembers a refused password, and only an app can sign in with OAuth. `Workspace.open_mailbox` gives it.
    """
    from ops_lib.mailbox.ews.mailbox import EwsMailbox

    return EwsMailbox(host, account, secret, timeout_seconds, sign_ins)
