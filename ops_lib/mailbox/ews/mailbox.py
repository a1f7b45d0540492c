"""`EwsMailbox`: the contract of `ops_lib.mailbox` over Exchange Web Services."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar
from zoneinfo import ZoneInfo

from ops_lib.errors import (
    AnswerLost,
    InputError,
    ItemConflict,
    ItemGone,
    ItemRefused,
    MailboxError,
    ServerFailed,
)
from ops_lib.mailbox import Attempt, FolderChanges, ItemContent, ItemUpdate, SignIns, View
from ops_lib.mailbox.ews import requests
from ops_lib.mailbox.ews.answers import Element, Message, child, children, name_of, text_of
from ops_lib.mailbox.ews.asking import NOT_CARRIED_OUT, Asker, batches
from ops_lib.mailbox.ews.computed import ComputedOccurrences, Place
from ops_lib.mailbox.ews.items import ITEM_ELEMENTS, is_bare, item_of, touches, zone_of
from ops_lib.mailbox.ews.transport import Transport
from ops_lib.mailbox.occurrences import is_computed
from ops_lib.model import Account, Host, Item, ItemType, Kind, Window, Written

T = TypeVar("T")
U = TypeVar("U")

BATCH = requests.BATCH_SIZE

SHORTEST_VIEW_SECONDS = 60.0
LONGEST_RUN_OF_EMPTY_PAGES = 50

_SPLIT_CODES = frozenset({"ErrorExceededFindCountLimit", "ErrorCalendarViewRangeTooBig", "ErrorTimeoutExpired"})
_NO_SEARCH_CODES = frozenset(
    {
        "ErrorUnsupportedPathForQuery",
        "ErrorUnsupportedQueryFilter",
        "ErrorUnsupportedPropertyDefinition",
        "ErrorRestrictionTooComplex",
        "ErrorRestrictionTooLong",
    }
)
"""A server that cannot search for our property, or for so many of its values."""


class EwsMailbox:
    """One mailbox over EWS, with the rights of the host's access type. Used by one thread at a time; connections are shared by the host.

    ``secret`` gives the value of a secret's reference. ``notes`` collects what the person in charge should know and nobody raised:
    a time zone that Exchange has no name for.
    """

    def __init__(
        self,
        host: Host,
        account: Account,
        secret: Callable[[str], str],
        timeout_seconds: float = 120.0,
        sign_ins: SignIns | None = None,
    ) -> None:
        self._transport = Transport(host, account, secret, timeout_seconds, sign_ins)
        self.notes: list[str] = []
        self._ask = Asker(self._transport)
        self._lists_masters = False
        self._can_search = True
        zone = zone_of(account.time_zone) or ZoneInfo("UTC")
        self._computed = ComputedOccurrences(self._ask.read_batches, self.address, zone)

    @property
    def address(self) -> str:
        return self._transport.address

    @property
    def attempts(self) -> Sequence[Attempt]:
        return self._ask.attempts

    @property
    def requests(self) -> int:
        return self._transport.requests

    @property
    def bytes_received(self) -> int:
        return self._transport.bytes_received

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def changes(self, kind: Kind, sync_state: str = "") -> FolderChanges:
        items: dict[str, Item] = {}
        deleted: dict[str, None] = {}
        created: set[str] = set()
        unreadable: list[MailboxError] = []
        bare: dict[str, None] = {}
        seen = {sync_state}
        empty_pages = 0
        while True:
            message = self._ask.one(requests.sync_folder_items(kind, self.address, sync_state))
            state = text_of(child(message.element, "SyncState"))
            if not state:
                raise ServerFailed("the server gives no sync state", subject=self.address)
            entries = children(message.element, "Changes")
            for entry in entries:
                self._take_change(entry, kind, items, deleted, created, unreadable, bare)
            empty_pages = 0 if entries else empty_pages + 1
            if _is_last(child(message.element, "IncludesLastItemInRange"), default=len(entries) < requests.PAGE_SIZE):
                self._read_bare(kind, [item_id for item_id in bare if item_id in items], items, unreadable)
                return FolderChanges(
                    list(items.values()), list(deleted), state, unreadable, frozenset(created & items.keys())
                )
            if state in seen or empty_pages > LONGEST_RUN_OF_EMPTY_PAGES:
                error = ServerFailed(
                    "the server says there are more changes, but its pages do not come to an end", subject=self.address,
                    response_code="SyncFolderItems", fix="nothing: the next cycle tries again.",
                )  # fmt: skip
                error.transient = False
                raise error
            seen.add(state)
            sync_state = state

    def view(self, window: Window) -> View:
        found: dict[str, Item] = {}
        bare: list[str] = []
        unreadable: list[MailboxError] = []
        is_whole = True
        for element in self._view_elements(window):
            if name_of(element) != "CalendarItem":
                continue
            try:
                item = item_of(element, self.address)
            except ItemRefused:
                is_whole = (
                    False  # something is there that cannot be named: nothing may be concluded from what is missing
                )
                continue
            if is_bare(element) and item.item_id not in found:
                bare.append(item.item_id)
            found.setdefault(item.item_id, item)
        self._read_bare(Kind.EVENT, bare, found, unreadable)
        is_whole &= not unreadable
        self._lists_masters |= any(item.item_type is ItemType.MASTER for item in found.values())
        items = [item for item in found.values() if item.item_type is ItemType.MASTER or touches(item, window)]
        return View(items, is_expanded=is_whole and not self._lists_masters)

    def read(self, kind: Kind, item_ids: Sequence[str]) -> list[Item | MailboxError]:
        return self._apart(
            item_ids,
            lambda ids: self._ask.read_batches(ids, BATCH, lambda batch: requests.get_items(kind, batch), self._item),
            self._computed.read,
        )

    def expand(
        self, master_ids: Sequence[str], window: Window, *, with_own_ids: bool = False
    ) -> list[list[Item] | MailboxError]:
        return self._computed.expand(master_ids, window, with_own_ids=with_own_ids)

    def master_of(self, item_ids: Sequence[str]) -> list[Item | MailboxError]:
        return self._apart(
            item_ids,
            lambda ids: self._ask.read_batches(ids, BATCH, requests.get_masters, self._item),
            lambda ids: self.read(Kind.EVENT, self._computed.masters(ids)),
        )

    def find_stamps(self, kind: Kind, stamps: Sequence[str]) -> dict[str, list[Item]]:
        found: dict[str, dict[str, Item]] = {}
        wanted = set(stamps)
        for batch in batches(sorted(wanted), BATCH):
            unstamped: list[str] = []
            for element in self._stamped_elements(kind, batch):
                item = item_of(element, self.address)
                if item.stamp in wanted:
                    found.setdefault(item.stamp, {})[item.item_id] = item
                elif not item.stamp:
                    unstamped.append(item.item_id)
            # A server may find by a property and yet not list it. To say "not there" would make the item a second time.
            for read in self.read(kind, unstamped):
                if isinstance(read, Item) and read.stamp in wanted:
                    found.setdefault(read.stamp, {})[read.item_id] = read
        return {stamp: list(items.values()) for stamp, items in found.items()}

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def create(self, kind: Kind, contents: Sequence[ItemContent]) -> list[Written | MailboxError]:
        if not contents:
            return []
        if len(contents) > BATCH:
            raise InputError(f"{len(contents)} items are more than one request takes", fix=f"at most {BATCH} at once.")
        self._note_zones(contents)
        try:
            found = self._ask.post(requests.create_items(kind, self.address, contents))
        except ServerFailed as error:
            if not error.transient:
                raise
            # An error page, or a fault in the middle of a batch: some of it may have been done.
            raise AnswerLost(
                f"the server failed while it may have made items: {error.message}", subject=self.address,
                response_code=error.response_code, http_status=error.http_status, fix="nothing: the items are looked up first.",
            ) from None  # fmt: skip
        return self._ask.outcomes(found, len(contents), self._written)

    def update(self, updates: Sequence[ItemUpdate]) -> list[Written | MailboxError]:
        outcomes: dict[int, Written | MailboxError] = {}
        numbered: dict[str, requests.Numbered] = {}
        self._note_zones([update.content for update in updates])
        for place, update in enumerate(updates):
            if not requests.writes_anything(update):
                outcomes[place] = Written(update.item_id, update.change_key)
        computed = [place for place, each in enumerate(updates) if is_computed(each.item_id) and place not in outcomes]
        for place, found in zip(computed, self._places([updates[each].item_id for each in computed]), strict=True):
            update = updates[place]
            if isinstance(found, MailboxError):
                outcomes[place] = found
            elif found.item.change_key != update.change_key:
                outcomes[place] = ItemConflict(
                    "the occurrence has changed since it was read", subject=found.item.subject
                )
            else:
                numbered[update.item_id] = found.numbered
        for kind in Kind:
            places = [place for place, update in enumerate(updates) if update.kind is kind and place not in outcomes]
            for batch in batches(places, BATCH):
                payload = requests.update_items([updates[place] for place in batch], numbered)
                messages = self._ask.retried(payload, only=NOT_CARRIED_OUT)
                outcomes |= dict(zip(batch, self._ask.outcomes(messages, len(batch), self._written), strict=True))
        for place in computed:
            done = outcomes[place]
            if isinstance(done, Written):
                outcomes[place] = Written(updates[place].item_id, done.change_key)
        return [outcomes[place] for place in range(len(updates))]

    def delete(self, kind: Kind, item_ids: Sequence[str]) -> list[MailboxError | None]:
        return self._apart(item_ids, lambda ids: self._delete(kind, ids), self._delete_computed)

    def _delete(self, kind: Kind, item_ids: Sequence[str]) -> list[MailboxError | None]:
        outcomes: list[MailboxError | None] = []
        for batch in batches(item_ids, BATCH):
            found = self._ask.retried(requests.delete_items(kind, batch))
            outcomes += [_removed(outcome) for outcome in self._ask.outcomes(found, len(batch), lambda message: None)]
        return outcomes

    def _delete_computed(self, item_ids: Sequence[str]) -> list[MailboxError | None]:
        outcomes: dict[str, MailboxError | None] = {}
        numbered: dict[requests.Numbered, str] = {}
        for item_id, place in zip(item_ids, self._places(item_ids), strict=True):
            if isinstance(place, MailboxError):
                outcomes[item_id] = _removed(place)
            else:
                numbered[place.numbered] = item_id
        from_the_last = sorted(numbered, key=lambda each: -each.number)
        for batch in batches(from_the_last, BATCH):
            # Sent again after an answer that was lost, it would remove the occurrence that has the number by then.
            found = self._ask.retried(requests.delete_items(Kind.EVENT, batch), only=NOT_CARRIED_OUT)
            for each, outcome in zip(batch, self._ask.outcomes(found, len(batch), lambda message: None), strict=True):
                outcomes[numbered[each]] = _removed(outcome)
        return [outcomes[item_id] for item_id in item_ids]

    def _places(self, item_ids: Sequence[str]) -> list[Place | MailboxError]:
        return self._computed.places(item_ids) if item_ids else []

    def _apart(
        self,
        item_ids: Sequence[str],
        real: Callable[[Sequence[str]], list[T]],
        computed: Callable[[Sequence[str]], list[T]],
    ) -> list[T]:
        """One outcome per id, in order: those of the server and those of our own are asked for apart."""
        ours = [item_id for item_id in item_ids if is_computed(item_id)]
        if not ours:
            return real(item_ids)
        theirs = [item_id for item_id in item_ids if not is_computed(item_id)]
        found = dict(zip(ours, computed(ours), strict=True)) | dict(zip(theirs, real(theirs), strict=True))
        return [found[item_id] for item_id in item_ids]

    # ── what a message holds ─────────────────────────────────────────────────────────────────────────────────────────────
    def _written(self, message: Message) -> Written:
        for holder in ("Items", "Attachments"):
            for element in children(message.element, holder):
                identity = child(element, "ItemId")
                if identity is not None and identity.get("Id"):
                    return Written(identity.get("Id", ""), identity.get("ChangeKey", ""))
        raise AnswerLost("the server says it is done, but not where", subject=self.address)

    def _item(self, message: Message) -> Item:
        for element in children(message.element, "Items"):
            if name_of(element) in ITEM_ELEMENTS:
                item = item_of(element, self.address)
                return item if item.body is not None else replace(item, body="")  # read, and there is none
        raise ItemRefused("the server gives another kind of item, or none", subject=self.address)

    # ── details of reading ───────────────────────────────────────────────────────────────────────────────────────────
    def _take_change(
        self,
        entry: Element,
        kind: Kind,
        items: dict[str, Item],
        deleted: dict[str, None],
        created: set[str],
        unreadable: list[MailboxError],
        bare: dict[str, None],
    ) -> None:
        """Put one change of a page to the others; a later page may take back what an earlier one said."""
        if name_of(entry) == "Delete":
            identity = child(entry, "ItemId")
            item_id = identity.get("Id", "") if identity is not None else ""
            if item_id:
                items.pop(item_id, None)
                deleted[item_id] = None
            return
        for element in entry:
            if ITEM_ELEMENTS.get(name_of(element)) is not kind:
                continue  # a message someone moved here, or a read flag
            try:
                item = item_of(element, self.address)
            except ItemRefused as error:
                unreadable.append(error)
                continue
            deleted.pop(item.item_id, None)
            items[item.item_id] = item
            if is_bare(element):
                bare[item.item_id] = None
            else:
                bare.pop(item.item_id, None)
            if name_of(entry) == "Create":
                created.add(item.item_id)

    def _view_elements(self, window: Window) -> Iterator[Element]:
        """What the calendar view holds, halved as often as the server cannot give all of it."""
        message = self._ask.retried(requests.calendar_view(self.address, window))[0]
        if message.is_success:
            folder = self._root_folder(message)
            elements = children(folder, "Items")
            if _is_last(folder.get("IncludesLastItemInRange"), default=len(elements) < requests.VIEW_SIZE):
                yield from elements
                return
        span = window.end - window.start
        can_split = span.total_seconds() > SHORTEST_VIEW_SECONDS
        if not message.is_success and (message.response_code not in _SPLIT_CODES or not can_split):
            raise message.error(self.address)
        if not can_split:
            raise ServerFailed(
                f"more than {requests.VIEW_SIZE} events within a minute", subject=self.address, response_code="CalendarView",
                fix="look into the calendar around this time.",
            )  # fmt: skip
        middle = (window.start + span / 2).replace(microsecond=0)
        yield from self._view_elements(Window(window.start, middle))
        yield from self._view_elements(Window(middle, window.end))

    def _read_bare(
        self, kind: Kind, bare: Sequence[str], items: dict[str, Item], unreadable: list[MailboxError]
    ) -> None:
        """Read the items of which a listing said no more than that they are there: some servers give ids only, whatever is asked."""
        for item_id, found in zip(bare, self.read(kind, bare), strict=True):
            if isinstance(found, Item):
                items[item_id] = replace(found, body=None)
            else:
                del items[item_id]
                found.subject = item_id
                unreadable.append(found)

    def _stamped_elements(self, kind: Kind, stamps: Sequence[str]) -> list[Element]:
        """What may carry one of the stamps: found by a search, or the whole folder where the server cannot search for our property."""
        if self._can_search:
            try:
                return list(self._found_elements(kind, stamps))
            except MailboxError as error:
                if error.response_code not in _NO_SEARCH_CODES:
                    raise
                self._can_search = False
        return list(self._found_elements(kind, ()))

    def _found_elements(self, kind: Kind, stamps: Sequence[str]) -> Iterator[Element]:
        offset = 0
        while True:
            message = self._ask.one(requests.find_stamps(kind, self.address, stamps, offset))
            folder = self._root_folder(message)
            elements = [part for part in children(folder, "Items") if ITEM_ELEMENTS.get(name_of(part)) is kind]
            yield from elements
            if _is_last(folder.get("IncludesLastItemInRange"), default=len(elements) < requests.FIND_PAGE_SIZE):
                return
            following = folder.get("IndexedPagingOffset", "")
            following_offset = int(following) if following.isdigit() else offset + len(elements)
            if following_offset <= offset:
                raise ServerFailed(
                    "the pages of a search do not come to an end", subject=self.address, response_code="FindItem"
                )
            offset = following_offset

    def _root_folder(self, message: Message) -> Element:
        """What a search found. An answer without it is a failure: 'nothing found' would delete here and make twice there."""
        folder = child(message.element, "RootFolder")
        if folder is None:
            raise ServerFailed("the search's answer holds no result", subject=self.address, response_code="FindItem")
        return folder

    def _note_zones(self, contents: Sequence[ItemContent]) -> None:
        for content in contents:
            if content.when is not None and not requests.knows_zone(content.time_zone):
                note = f"Exchange has no name for the time zone '{content.time_zone}': events are made in UTC."
                if note not in self.notes:
                    self.notes.append(note)


def _removed(outcome: MailboxError | None) -> MailboxError | None:
    """What is gone already is removed."""
    return None if isinstance(outcome, ItemGone) else outcome


def _is_last(found: Element | str | None, *, default: bool) -> bool:
    value = found if isinstance(found, str) else text_of(found)
    return value.strip().lower() in ("true", "1") if value else default
