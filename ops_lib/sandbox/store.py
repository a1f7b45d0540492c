"""An Exchange organisation in memory: accounts, mailboxes, who may act for whom, and what left it.

The faces (EWS, Graph) read and write through it; tests, the demonstration's data and the control endpoints use the same
methods to be "somebody at Outlook". Everything is behind one lock; the clock is an argument, so that the same steps at the same
times give the same ids and the same bytes.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ops_lib.errors import InputError, NotThere

from . import events, rights, series
from .administration import Administration
from .items import Attachment, Extended, Item, Override, Values, element_of
from .mailboxes import Folder, Mailbox
from .notifications import Subscriptions
from .post import Outgoing, Waiting
from .values import Person


def _must_be_in_order(values: Mapping[str, Any]) -> None:
    if values["calendar:End"] < values["calendar:Start"]:
        raise InputError("the event ends before it starts", subject=str(values.get("item:Subject", "")))


def _must_occur(item: Item, original_start: datetime) -> None:
    try:
        if item.is_series:
            series.occurrence_at(item, original_start)
            return
    except series.NoSuchOccurrence:
        pass
    raise InputError(
        f"the series has no occurrence at {original_start.isoformat()}",
        subject=str(item.values.get("item:Subject", "")),
        fix="give the start that the recurrence says, in UTC, not the one it was moved to",
    )


class Organisation:
    """The organisation. ``now`` answers the current time, aware."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.life = secrets.token_hex(8)  # no sync state outlives the organisation that gave it
        self.sent: list[Outgoing] = []  # everything that was sent, with everybody it went to
        self.outbox: list[Outgoing] = []  # what of it left the organisation, with the recipients outside
        self.largest_message_bytes = 35_000_000
        self.waiting: list[Waiting] = []  # what was sent and goes later, unless it is removed before
        self.subscriptions = Subscriptions(now)
        self.administration = Administration()
        self._mailboxes: dict[str, Mailbox] = {}
        self._by_guid: dict[str, Mailbox] = {}
        self._aliases: dict[str, str] = {}
        self._passwords: dict[str, str] = {}
        self._impersonation: dict[str, set[str] | None] = {}
        self._senders: dict[str, dict[str, str]] = {}

    # accounts and mailboxes

    def add_mailbox(
        self,
        address: str,
        *,
        password: str,
        name: str,
        zone: str,
        aliases: Iterable[str] = (),
        folder_names: Mapping[str, str] | None = None,
    ) -> Mailbox:
        """A new user with a mailbox.

        ``zone`` is a Windows or IANA id; ``folder_names`` gives well-known folders other display names, by distinguished id.

        Raises:
            InputError: the address is taken.
        """
        key = address.lower()
        with self.lock:
            if key in self._mailboxes or key in self._aliases:
                raise InputError("this address is taken already", subject=address)
            mailbox = Mailbox(self, key, name, zone, (alias.lower() for alias in aliases), dict(folder_names or {}))
            self._mailboxes[key] = self._by_guid[mailbox.guid] = mailbox
            self._passwords[key] = password
            for alias in mailbox.aliases:
                self._aliases[alias] = key
            return mailbox

    def add_account(self, address: str, *, password: str) -> None:
        """A user who can sign in and has no mailbox, as service accounts often are."""
        self._passwords[address.lower()] = password

    def set_password(self, address: str, password: str) -> None:
        """Change an account's password.

        Raises:
            NotThere: no such account.
        """
        key = self.primary(address)
        if key not in self._passwords:
            raise NotThere("no such account", subject=address)
        self._passwords[key] = password

    def remove_mailbox(self, address: str) -> None:
        """The mailbox is gone; the account stays.

        Raises:
            NotThere: there is none at this address.
        """
        mailbox = self.mailbox(address)
        with self.lock:
            del self._mailboxes[mailbox.address], self._by_guid[mailbox.guid]
            self.subscriptions.forget_mailbox(mailbox)
            for alias in mailbox.aliases:
                del self._aliases[alias]

    def move_mailbox(self, address: str) -> None:
        """Move a mailbox to another database, as administrators do: all its ids become others, its sync states are no longer known.

        Raises:
            NotThere: there is none at this address.
        """
        with self.lock:
            mailbox = self.mailbox(address)
            del self._by_guid[mailbox.guid]
            mailbox.move()
            self._by_guid[mailbox.guid] = mailbox

    @property
    def mailboxes(self) -> list[Mailbox]:
        """All mailboxes, by address."""
        return [self._mailboxes[key] for key in sorted(self._mailboxes)]

    def primary(self, address: str) -> str:
        """The primary address behind an address or alias."""
        key = address.lower()
        return self._aliases.get(key, key)

    def find_mailbox(self, address: str) -> Mailbox | None:
        """The mailbox with this primary address or alias, if there is one."""
        return self._mailboxes.get(self.primary(address))

    def mailbox_by_guid(self, guid: str) -> Mailbox | None:
        """The mailbox with this GUID, if there is one."""
        return self._by_guid.get(guid)

    def mailbox(self, address: str) -> Mailbox:
        """The mailbox with this primary address or alias.

        Raises:
            NotThere: there is none.
        """
        found = self.find_mailbox(address)
        if found is None:
            raise NotThere("no mailbox has this address", subject=address)
        return found

    def authenticate(self, address: str, password: str) -> bool:
        """Whether this is the account's password. The address may be an alias, and ``DOMAIN\\name`` is read as a bare name."""
        known = self._passwords.get(self.account(address))
        return known is not None and hmac.compare_digest(known.encode(), password.encode())

    def password_of(self, login: str) -> str | None:
        """The password of the account behind a login: NTLM proves that it is known without sending it. None if it is nobody's."""
        return self._passwords.get(self.account(login))

    def account(self, login: str) -> str:
        """The account behind a login name: an address, an alias, a bare name, or ``DOMAIN\\name``; "" if nobody's."""
        key = self.primary(login.strip())
        if key in self._passwords:
            return key
        bare = key.rpartition("\\")[2]
        matches = [address for address in self._passwords if address.partition("@")[0] == bare]
        return matches[0] if len(matches) == 1 else ""

    # who may do what

    def grant_impersonation(self, service: str, scope: set[str] | None) -> None:
        """Let the account (or application) act as the users in ``scope``; None: as everybody."""
        self._impersonation[service.lower()] = None if scope is None else {self.primary(one) for one in scope}

    def revoke_impersonation(self, service: str) -> None:
        """The account may act as itself only."""
        self._impersonation.pop(service.lower(), None)

    def may_impersonate(self, service: str, address: str) -> bool:
        """Whether the account may act as the user with this primary address."""
        key = service.lower()
        if key not in self._impersonation:
            return False
        scope = self._impersonation[key]
        return scope is None or address in scope

    def grant_sending(self, mailbox: str, user: str, how: str = "SendAs") -> None:
        """Let the user send in the name of the mailbox's: "SendAs" as them, "SendOnBehalf" visibly for them.

        Raises:
            InputError: there is no such right.
            NotThere: no such mailbox.
        """
        if how not in ("SendAs", "SendOnBehalf"):
            raise InputError(f"there is no right {how!r}", fix="use SendAs or SendOnBehalf")
        self._senders.setdefault(self.mailbox(mailbox).address, {})[self.primary(user)] = how

    def revoke_sending(self, mailbox: str, user: str) -> None:
        """The user may send in their own name only."""
        self._senders.get(self.primary(mailbox), {}).pop(self.primary(user), None)

    def may_send(self, user: str, address: str) -> str:
        """How the user may send with this address as From: "SendAs", "SendOnBehalf", or "" for not at all."""
        key = self.primary(address)
        return "SendAs" if key == user else self._senders.get(key, {}).get(user, "")

    def set_permission(self, mailbox: str, folder: str, user: str, level: str | rights.Rights) -> None:
        """Give ``user`` (an address, "Default" or "Anonymous") this level, or these single rights, in the folder.

        Raises:
            InputError: no such folder or level.
            NotThere: no such mailbox.
        """
        with self.lock:
            place = self.mailbox(mailbox).folder(folder)
            key = user if user in (rights.DEFAULT, rights.ANONYMOUS) else self.primary(user)
            place.permissions[key] = rights.rights_of(level, place.is_calendar)
            place.mailbox.touch_folder(place)

    def remove_permission(self, mailbox: str, folder: str, user: str) -> None:
        """Take the user's own entry out of the folder's permissions; the default stands again."""
        with self.lock:
            place = self.mailbox(mailbox).folder(folder)
            place.permissions.pop(self.primary(user), None)
            place.mailbox.touch_folder(place)

    def set_private_viewer(self, mailbox: str, user: str, *, allowed: bool = True) -> None:
        """Let a delegate see the details of private items, or no longer: one switch for all folders.

        Raises:
            NotThere: no such mailbox.
        """
        viewers = self.mailbox(mailbox).private_viewers
        if allowed:
            viewers.add(self.primary(user))
        else:
            viewers.discard(self.primary(user))

    # content, as somebody at Outlook would change it

    def create_item(
        self,
        mailbox: str,
        folder: str,
        values: Values,
        exceptions: Mapping[datetime, Values] | None = None,
        deleted: Iterable[datetime] = (),
        *,
        extended: Extended | None = None,
        by: str = "",
    ) -> Item:
        """Put an item into a folder (a distinguished id or a display name).

        Args:
            values: by FieldURI; instants aware. What a server fills in by itself may be missing.
            exceptions: changed occurrences of a series by original start: the values that differ.
            deleted: original starts of deleted occurrences.
            extended: extended properties by name.
            by: who does it; the mailbox's owner unless said.

        Raises:
            InputError: no such folder, an event without Start or End, a series without occurrences.
            NotThere: no such mailbox.
        """
        with self.lock:
            box = self.mailbox(mailbox)
            place = box.folder(folder)
            return self.add_item(
                place,
                element_of(values, place.folder_class),
                dict(values),
                dict(extended or {}),
                by=by or box.address,
                exceptions={start: Override(dict(changed)) for start, changed in (exceptions or {}).items()},
                deleted=deleted,
            )

    def add_item(
        self,
        folder: Folder,
        element: str,
        values: Values,
        extended: Extended,
        *,
        by: str,
        exceptions: dict[datetime, Override] | None = None,
        deleted: Iterable[datetime] = (),
        associated: bool = False,
        attachments: Iterable[Attachment] = (),
    ) -> Item:
        """Store a new item with everything a server fills in.

        Raises:
            InputError: an event without Start or End, or whose End is before its Start, a series without occurrences.
        """
        box = folder.mailbox
        if element == "CalendarItem":
            for uri in ("calendar:Start", "calendar:End"):
                if uri not in values:
                    raise InputError(f"an event needs {uri}", subject=str(values.get("item:Subject", "")))
            _must_be_in_order(values)
            events.complete_event(values, box, box.count())
            if not events.align_series(values):
                raise InputError("the series has no occurrence", subject=str(values.get("item:Subject", "")))
        elif element == "Task":
            events.settle_task(values, set(values), self.now())
        elif element == "Message":
            values.setdefault("message:IsRead", False)
            values.setdefault("message:From", Person(box.name, box.address))
        return box.add_item(
            folder,
            element,
            values,
            extended,
            by=by,
            exceptions=exceptions,
            deleted=deleted,
            associated=associated,
            attachments=attachments,
        )

    def update_item(self, item: Item, values: Mapping[str, Any], *, by: str = "") -> None:
        """Change properties of an item: None takes one away. For an event, whole days and zones are kept in order.

        Raises:
            InputError: an event would end before it starts.
        """
        with self.lock:
            new = {uri: value for uri, value in {**item.values, **values}.items() if value is not None}
            if item.element == "CalendarItem":
                _must_be_in_order(new)
                if events.SAY_WHEN & values.keys():  # filled up once is enough: no new title does it again
                    events.settle_event(new)
                events.align_series(new)
            elif item.element == "Task":
                events.settle_task(new, set(values), self.now())
            item.values = new
            item.mailbox.touch_item(item, by or item.mailbox.address, values)

    def update_occurrence(
        self, item: Item, original_start: datetime, values: Mapping[str, Any], *, by: str = ""
    ) -> None:
        """Change one occurrence of a series: move it, rename it, … The master counts as changed.

        Raises:
            InputError: the series has no occurrence then.
        """
        with self.lock:
            _must_occur(item, original_start)
            override = item.exceptions.setdefault(original_start, Override())
            override.values.update(values)
            item.mailbox.touch_item(item, by or item.mailbox.address, ["calendar:ModifiedOccurrences"])
            override.change = item.change

    def delete_occurrence(self, item: Item, original_start: datetime, *, by: str = "") -> None:
        """Delete one occurrence of a series. The master counts as changed.

        Raises:
            InputError: the series has no occurrence then, or it was deleted before.
        """
        with self.lock:
            _must_occur(item, original_start)
            item.exceptions.pop(original_start, None)
            item.deleted.add(original_start)
            item.mailbox.touch_item(item, by or item.mailbox.address, ["calendar:DeletedOccurrences"])

    def delete_item(self, item: Item, how: str = "MoveToDeletedItems", *, by: str = "") -> Item | None:
        """Delete an item as Outlook does (``MoveToDeletedItems``, ``SoftDelete``) or for good (``HardDelete``).

        Returns what it became in Deleted Items or among the recoverable items, None when it is gone.
        """
        with self.lock:
            box = item.mailbox
            target = {"MoveToDeletedItems": "deleteditems", "SoftDelete": "recoverableitemsdeletions"}.get(how)
            if target is None:
                box.remove_item(item)
                return None
            return box.move_item(item, box.folder(target), by or box.address)

    def move_item(self, item: Item, folder: str, *, by: str = "") -> Item:
        """Move an item to another folder of its mailbox: it gets another id."""
        with self.lock:
            box = item.mailbox
            return box.move_item(item, box.folder(folder), by or box.address)
