"""Which item belongs to which link. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ops_lib.model import Intent, Item, Kind, Link, LinkState

HALF_A_DAY = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeNews:
    """What was read of a mailbox.

    ``items`` are single events, occurrences and tasks, by item id, never masters. ``gone`` are ids that the server called deleted or not found.
    ``whole_series`` are the UIDs of series whose occurrences in the window are all among ``items``: only of these is a missing one a deleted one.
    ``masters`` are the item ids of masters, with their UID. ``unread`` are items that could not be read, with the reason.
    ``complete``: the kinds of which every item is here. ``existing`` are ids that are known to exist though they are not among ``items``.
    ``texts`` are bodies as text, by item id. ``unexpanded`` are series whose occurrences are not known, by their master's id, with the reason.
    """

    items: Mapping[str, Item] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    whole_series: frozenset[str] = frozenset()
    masters: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    complete: frozenset[Kind] = frozenset()
    unexpanded: Mapping[str, tuple[Item, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What the ledger knows of an account: its links, the intents of creates that were begun, and which activities had a link that has ended."""

    links: Sequence[Link] = ()
    intents: Sequence[Intent] = ()
    crm_id: str = ""
    formerly_linked: frozenset[str] = frozenset()


@dataclass(slots=True)
class Matches:
    """Which item belongs to which link, by link id, and which belong to none."""

    of_link: dict[int, Item] = field(default_factory=dict)
    strangers: list[Item] = field(default_factory=list)


def match_items(exchange: ExchangeNews, links: Sequence[Link]) -> Matches:
    """Find each item's link: by item id, else by UID and original start, else by stamp.

    The latter two only if the link's own item is no longer there: else the item is a copy that the user made, an entry of its own (Y6).
    """
    if not exchange.items:
        return Matches()
    active = [link for link in links if link.state in (LinkState.ACTIVE, LinkState.RESTING)]
    by_id = {link.item_id: link for link in active}
    by_uid = {(link.uid, link.original_start): link for link in active if link.uid}
    by_stamp = {link.stamp: link for link in active if link.stamp}
    matches = Matches()
    rest: list[Item] = []
    for item in exchange.items.values():
        link = by_id.get(item.item_id)
        if link is not None:
            matches.of_link[link.link_id] = item
        else:
            rest.append(item)
    for item in rest:
        link = by_uid.get((item.uid, item.original_start)) or by_stamp.get(item.stamp)
        if link is None and item.original_start is not None:
            link = _became_series(item, exchange, by_id)
        if link is not None and link.link_id not in matches.of_link and is_missing(link, item, exchange):
            matches.of_link[link.link_id] = item
        else:
            matches.strangers.append(item)
    _match_retimed(matches, active, exchange)
    return matches


def _match_retimed(matches: Matches, active: Sequence[Link], exchange: ExchangeNews) -> None:
    """A series that was moved by some hours has new original starts: each occurrence stands for the one that was due nearest to it."""
    loose = {
        link.link_id: link
        for link in active
        if link.original_start is not None and link.uid in exchange.whole_series and link.link_id not in matches.of_link
    }
    if not loose:
        return
    pairs = sorted(
        (abs(item.original_start - link.original_start), link.link_id, index)
        for index, item in enumerate(matches.strangers)
        if item.original_start is not None
        for link in loose.values()
        if link.uid == item.uid
        and link.original_start is not None
        and abs(item.original_start - link.original_start) < HALF_A_DAY
    )
    taken: set[int] = set()
    for _, link_id, index in pairs:
        if link_id in loose and index not in taken:
            del loose[link_id]
            taken.add(index)
            matches.of_link[link_id] = matches.strangers[index]
    matches.strangers = [item for index, item in enumerate(matches.strangers) if index not in taken]


def suspects(exchange: ExchangeNews, links: Sequence[Link]) -> frozenset[str]:
    """Item ids of links that an unknown item resembles, and of which it is not known whether they still exist: to be looked up before planning."""
    if not exchange.items:
        return frozenset()
    active = [link for link in links if link.state in (LinkState.ACTIVE, LinkState.RESTING)]
    known = {link.item_id for link in active}
    by_uid = {(link.uid, link.original_start): link for link in active if link.uid}
    by_stamp = {link.stamp: link for link in active if link.stamp}
    found: set[str] = set()
    for item in exchange.items.values():
        if item.item_id in known or item.original_start is not None:
            continue
        link = by_uid.get((item.uid, item.original_start)) or by_stamp.get(item.stamp)
        if (
            link is not None
            and link.kind not in exchange.complete
            and link.item_id not in exchange.items
            and link.item_id not in exchange.gone
        ):
            found.add(link.item_id)
    return frozenset(found)


def is_missing(link: Link, item: Item, exchange: ExchangeNews) -> bool:
    """Whether the link's own item is no longer where it was, so that ``item`` may stand for it."""
    if link.item_id in exchange.items or link.item_id in exchange.existing:
        return False
    return (
        link.item_id in exchange.gone
        or link.item_id in exchange.masters
        or item.original_start is not None
        or link.kind in exchange.complete
    )


def _became_series(item: Item, exchange: ExchangeNews, by_id: Mapping[str, Link]) -> Link | None:
    """The link of a single event that is now the master of the series this occurrence belongs to, if this is the one that stood there."""
    for master_id, uid in exchange.masters.items():
        link = by_id.get(master_id)
        if uid == item.uid and link is not None and link.original_start is None and item.when == link.agreed.when:
            return link
    return None
