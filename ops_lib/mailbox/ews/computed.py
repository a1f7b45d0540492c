"""Occurrences on a server that does not list them: computed from their masters, found again by number when one is written.

Such a server gives an occurrence for a number. Some count deleted ones and some do not, and the times may be an hour off: so both numbers are
asked for, and only an answer that is the very occurrence is written to. It is written to by that number, the form known to work there. Since a
removal shifts the numbers after it, a series' occurrences are removed from the last to the first, and no such request is ever sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from ops_lib.errors import ItemGone, ItemRefused, MailboxError
from ops_lib.mailbox.ews import requests
from ops_lib.mailbox.ews.answers import Element, Message, children, name_of
from ops_lib.mailbox.ews.items import ITEM_ELEMENTS, item_of
from ops_lib.mailbox.ews.requests import Numbered
from ops_lib.mailbox.ews.series import Series, ids_of_moved, series_of
from ops_lib.mailbox.occurrences import master_and_day
from ops_lib.model import Item, Kind, Window

T = TypeVar("T")


class Get(Protocol):
    """Ask for many things in batches, with retries; one outcome each."""

    def __call__(
        self, asked: Sequence[Any], size: int, request: Callable[[Sequence[Any]], Element], read: Callable[[Message], T]
    ) -> list[T | MailboxError]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where an occurrence is on the server, and what it holds now."""

    item: Item
    numbered: Numbered


class ComputedOccurrences:
    """The computed occurrences of one mailbox. ``zone`` is its user's."""

    def __init__(self, get: Get, address: str, zone: ZoneInfo) -> None:
        self._get = get
        self._address = address
        self._zone = zone

    def expand(
        self, master_ids: Sequence[str], window: Window, *, with_own_ids: bool
    ) -> list[list[Item] | MailboxError]:
        """Of each master, what of its series touches the window; ``with_own_ids``: moved ones under the id that the server gives them."""
        found = self._series(master_ids)
        wanted = {master_id: ids_of_moved(series, window) for master_id, series in _known(found)}
        exceptions = self._exceptions(found, wanted)
        outcomes: list[list[Item] | MailboxError] = []
        for master_id in master_ids:
            series = _unless_failed(found[master_id], wanted.get(master_id, ()), exceptions)
            outcomes.append(
                series
                if isinstance(series, MailboxError)
                else series.occurrences(window, _items(exceptions), with_own_ids=with_own_ids)
            )
        return outcomes

    def read(self, item_ids: Sequence[str]) -> list[Item | MailboxError]:
        """The occurrences of these computed ids as they are now."""
        return [place if isinstance(place, MailboxError) else place[1] for place in self._current(item_ids)]

    def masters(self, item_ids: Sequence[str]) -> list[str]:
        return [master_and_day(item_id)[0] for item_id in item_ids]

    def places(self, item_ids: Sequence[str]) -> list[Place | MailboxError]:
        """Where the occurrences of these computed ids are, verified: `ItemGone` for one that is no more, `ItemRefused` for one not found for sure."""
        current = self._current(item_ids)
        candidates: dict[str, list[Numbered]] = {}
        for item_id, found in zip(item_ids, current, strict=True):
            if not isinstance(found, MailboxError):
                series, _ = found
                master_id, day = master_and_day(item_id)
                candidates[item_id] = [
                    Numbered(master_id, series.master.change_key, number) for number in series.numbers_of(day)
                ]
        asked = list(dict.fromkeys(numbered for each in candidates.values() for numbered in each))
        answers: dict[Numbered, Item | MailboxError] = dict(
            zip(asked, self._get(asked, requests.BATCH_SIZE, requests.get_numbered, self._item), strict=True)
            if asked
            else ()
        )
        places: list[Place | MailboxError] = []
        for item_id, found in zip(item_ids, current, strict=True):
            if isinstance(found, MailboxError):
                places.append(found)
            else:
                places.append(_verified(found[1], found[0], item_id, candidates[item_id], answers))
        return places

    # ── masters and what is theirs ───────────────────────────────────────────────────────────────────────────────────
    def _current(self, item_ids: Sequence[str]) -> list[tuple[Series, Item] | MailboxError]:
        days: dict[str, set[date]] = {}
        for item_id in item_ids:
            master_id, day = master_and_day(item_id)
            days.setdefault(master_id, set()).add(day)
        found = self._series(list(days))
        wanted = {master_id: ids_of_moved(series, days=days[master_id]) for master_id, series in _known(found)}
        exceptions = self._exceptions(found, wanted)
        outcomes: list[tuple[Series, Item] | MailboxError] = []
        for item_id in item_ids:
            master_id, day = master_and_day(item_id)
            series = _unless_failed(found[master_id], wanted.get(master_id, ()), exceptions)
            if isinstance(series, MailboxError):
                outcomes.append(series)
            elif not series.holds(day):
                outcomes.append(
                    ItemGone(f"the series has no occurrence on {day} any more", subject=series.master.subject)
                )
            else:
                outcomes.append((series, series.occurrence(day, _items(exceptions))))
        return outcomes

    def _series(self, master_ids: Iterable[str]) -> dict[str, Series | MailboxError]:
        ids = list(dict.fromkeys(master_ids))
        if not ids:
            return {}
        return dict(zip(ids, self._get(ids, requests.BATCH_SIZE, requests.get_series, self._one_series), strict=True))

    def _one_series(self, message: Message) -> Series:
        return series_of(_element(message, self._address), self._address, self._zone)

    def _exceptions(
        self, found: dict[str, Series | MailboxError], wanted: dict[str, list[str]]
    ) -> dict[str, Item | MailboxError]:
        """The moved occurrences that are wanted, by the ids the server gives them. One that is gone meanwhile has its series' content."""
        exceptions: dict[str, Item | MailboxError] = {}
        by_zone: dict[ZoneInfo, list[str]] = {}
        for master_id, series in _known(found):
            by_zone.setdefault(series.zone, []).extend(wanted[master_id])
        for zone, ids in by_zone.items():
            if ids:
                ask = partial(requests.get_items, Kind.EVENT)
                items = self._get(ids, requests.BATCH_SIZE, ask, partial(self._item, zone=zone))
                exceptions |= dict(zip(ids, items, strict=True))
        return {item_id: item for item_id, item in exceptions.items() if not isinstance(item, ItemGone)}

    def _item(self, message: Message, zone: ZoneInfo | None = None) -> Item:
        return item_of(_element(message, self._address), self._address, zone or self._zone)


def _element(message: Message, address: str) -> Element:
    for element in children(message.element, "Items"):
        if name_of(element) in ITEM_ELEMENTS:
            return element
    raise ItemRefused("the server gives another kind of item, or none", subject=address)


def _known(found: dict[str, Series | MailboxError]) -> list[tuple[str, Series]]:
    return [(master_id, series) for master_id, series in found.items() if isinstance(series, Series)]


def _items(exceptions: dict[str, Item | MailboxError]) -> dict[str, Item]:
    return {item_id: item for item_id, item in exceptions.items() if isinstance(item, Item)}


def _unless_failed(
    series: Series | MailboxError, ids: Iterable[str], exceptions: dict[str, Item | MailboxError]
) -> Series | MailboxError:
    """The series, or what went wrong with one of its moved occurrences: half a series would show the wrong titles."""
    return next((error for item_id in ids if isinstance(error := exceptions.get(item_id), MailboxError)), series)


def _verified(
    item: Item, series: Series, item_id: str, candidates: list[Numbered], answers: dict[Numbered, Item | MailboxError]
) -> Place | MailboxError:
    _, day = master_and_day(item_id)
    for numbered in candidates:
        answer = answers[numbered]
        if isinstance(answer, Item) and series.is_occurrence(answer, day):
            return Place(item, numbered)
        if isinstance(answer, MailboxError) and not isinstance(answer, ItemGone | ItemRefused):
            return answer
    return ItemRefused(
        f"the server does not show the occurrence of {day} under its number in the series, so nothing is written to it",
        subject=item.subject,
        response_code="OccurrenceItemId",
        fix="change this occurrence in Outlook.",
    )
