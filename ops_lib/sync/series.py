"""Reading series: their occurrences are not items of the folder, and not every server shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ops_lib.errors import ItemGone, MailboxError
from ops_lib.mailbox import Mailbox, View
from ops_lib.mailbox.occurrences import is_computed
from ops_lib.model import Item, ItemType, Kind, Link, LinkState, Window
from ops_lib.sync.body import as_text
from ops_lib.sync.mapping import entry_of_item, overlaps
from ops_lib.sync.news import Reading, Remembered
from ops_lib.sync.scope import SyncPolicy

FEW_LINKS = 500
"""Up to so many links the whole window comes in one answer, which says more than a series' own."""


class SeriesReader:
    """Reads what the calendar between two instants says: of series that changed, and of the days that entered the window."""

    def __init__(self, mailbox: Mailbox, policy: SyncPolicy, remembered: Remembered, due: Collection[str]) -> None:
        self._mailbox = mailbox
        self._policy = policy
        self._remembered = remembered
        self._due = due
        self._links_by_item = {link.item_id: link for link in remembered.links}

    def read(self, window_read: Window | None, reading: Reading) -> None:
        """Occurrences: of the series that changed, over the whole window; of all, for the days that entered it."""
        window, series = self._policy.window, self._remembered.series
        ended = series.keys() & (reading.gone | reading.items.keys())  # deleted, or a single event now
        listed = {master.uid for master in reading.masters.values()}
        reading.forgotten_series |= ended
        # A series that moved to another id has not ended: its occurrences are those of the new master.
        going_on = listed | {uid for item_id, uid in series.items() if item_id not in ended}
        reading.ended_series |= {series[item_id] for item_id in ended} - going_on
        reading.whole_series |= reading.ended_series
        entered = self._entered(window_read)
        unread = self._unread_series()
        wanted = window if reading.masters or unread else entered
        if wanted is None or (entered is None and not unread and self._read_these_alone(reading)):
            return
        view = self._mailbox.view(wanted)
        if self._shows_occurrences(view, reading):
            if view.is_expanded:
                reading.whole_series |= listed
        else:
            known = series.keys() - reading.forgotten_series if entered is not None else unread
            masters = {item_id: series[item_id] for item_id in known}
            masters |= {master.item_id: master.uid for master in reading.masters.values()}
            is_sure = any(item.item_type is ItemType.MASTER for item in view.items) or self._has_computed()
            self._expand_series(masters, window if is_sure else wanted, reading)
        for item in view.items:
            if item.item_type is ItemType.MASTER or item.item_id in reading.items:
                continue
            is_entering = (
                entered is not None and item.when is not None and overlaps(item.when, entered, self._policy.zone)
            )
            if item.uid in listed or is_entering or (item.original_start is None and self._is_news(item)):
                reading.items[item.item_id] = item
                reading.gone.discard(item.item_id)

    def _read_these_alone(self, reading: Reading) -> bool:
        """Read the series that changed, and no others: their masters say which occurrences there are and which differ, and the links know the ids of the
        rest. False where that is not worth it, or not sure: then the whole window is read.

        It is sure where all that there is of these series now is known already; anything else (another day, another hour, one that is new) has an
        id that only the calendar's view gives.
        """
        remembered = self._remembered
        masters = {master.item_id: master.uid for master in reading.masters.values()}
        uids = set(masters.values())
        if (
            len(remembered.links) <= FEW_LINKS
            or Kind.EVENT in reading.complete
            or self._has_computed()
            or len(uids) < len(masters)
            or any(remembered.series.get(master_id) != uid for master_id, uid in masters.items())
        ):
            return False
        known = {(link.uid, link.original_start): link for link in remembered.links if link.uid in uids}
        found: list[tuple[Item, Link]] = []
        for occurrences in self._mailbox.expand(list(masters), self._policy.window, with_own_ids=True):
            if isinstance(occurrences, MailboxError):
                return False
            for item in occurrences:
                link = known.get((item.uid, item.original_start))
                if link is None or link.state is LinkState.ENDED or item.oddities:
                    return False
                found.append((item, link))
        texts: dict[str | None, str] = {}
        for item, link in found:
            if item.body not in texts:
                texts[item.body] = as_text(item.body, is_html=item.body_is_html)
            if is_computed(item.item_id):
                is_as_agreed = entry_of_item(item, link.agreed, texts[item.body]) == link.agreed
                item = replace(
                    item, item_id=link.item_id, change_key=link.change_key if is_as_agreed else item.change_key
                )
            reading.items[item.item_id] = item
            reading.texts[item.item_id] = texts[item.body]
            reading.gone.discard(item.item_id)
        reading.whole_series |= uids
        return True

    def _shows_occurrences(self, view: View, reading: Reading) -> bool:
        """Whether the server's calendar view holds the occurrences of series. One in it says so, a master says it does not; an empty view says
        nothing: then the links tell what it did before, unless everything is read anew (the mailbox may be on another server)."""
        if any(item.item_type is ItemType.MASTER for item in view.items):
            return False
        if any(item.original_start is not None for item in view.items):
            return True
        has_linked = any(link.original_start is not None for link in self._remembered.links)
        return has_linked and not self._has_computed() and Kind.EVENT not in reading.complete

    def _has_computed(self) -> bool:
        return any(is_computed(link.item_id) for link in self._remembered.links)

    def _expand_series(self, masters: Mapping[str, str], window: Window, reading: Reading) -> None:
        """Let the occurrences of these series (master id → UID) be computed, for a server whose calendar view shows none.

        Over the whole window they are all there are. Once a day, when days enter the window, every series is computed: on such a server the
        change of one occurrence may not show among the folder's changes.
        """
        if not masters:
            return
        failed: set[str] = set()
        texts: dict[str | None, str] = {}
        for (master_id, uid), found in zip(masters.items(), self._mailbox.expand(list(masters), window), strict=True):
            if isinstance(found, ItemGone):
                continue  # the folder's next changes say so
            if isinstance(found, MailboxError):
                failed.add(uid)
                # What the server refuses, it may give later; a pattern that nobody can compute is refused by ourselves, without a code.
                may_pass = found.transient or bool(found.response_code)
                reason = f"not readable now: {found}" if may_pass else str(found)
                reading.unexpanded[master_id] = (
                    reading.masters.get(master_id) or _unread_master(master_id, uid),
                    reason,
                )
                continue
            for item in found:
                reading.gone.discard(item.item_id)
                if not self._is_news(item):
                    reading.items[item.item_id] = replace(item, body=None)  # its notes are as agreed
                    continue
                if item.body not in texts:
                    texts[item.body] = as_text(item.body, is_html=item.body_is_html)
                reading.items[item.item_id] = item
                reading.texts[item.item_id] = texts[item.body]
            if window == self._policy.window and uid:
                reading.whole_series.add(uid)
        reading.whole_series -= failed

    def _unread_series(self) -> set[str]:
        """Masters whose occurrences could not be read and that are due for another try."""
        return {item_id for item_id in self._remembered.series if f"item:{item_id}" in self._due}

    def _entered(self, before: Window | None) -> Window | None:
        """The days that are in the window now and were not when the account was last read (``before``; None: it was never read)."""
        window = self._policy.window
        if before is None:
            return None  # everything is read: singles came with the folder, series with their masters
        if window.end > before.end:
            return Window(max(before.end, window.start), window.end)
        if window.start < before.start:
            return Window(window.start, min(before.start, window.end))
        return None

    def _is_news(self, item: Item) -> bool:
        link = self._links_by_item.get(item.item_id)
        return link is None or link.change_key != item.change_key


def _unread_master(master_id: str, uid: str) -> Item:
    """All that is known of a series that was seen before and cannot be read now."""
    return Item(
        item_id=master_id, change_key="", kind=Kind.EVENT, subject="", when=None, item_type=ItemType.MASTER, uid=uid
    )
