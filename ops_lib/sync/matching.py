"""Which item belongs to which link. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ops_lib.model import Intent, Item, Kind, Link, LinkState
from ops_lib.sync.mapping import differing, entry_of_item, instants, shared_fields

HALF_A_DAY = timedelta(hours=12)
FURTHEST = timedelta(days=14)
"""An occurrence further off is another one, though nothing lies between: of a series that meets once a quarter one may be deleted as another is shown first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeNews:
    """What was read of a mailbox.

    ``items`` are single events, occurrences and tasks, by item id, never masters. ``gone`` are ids that the server called deleted or not found.
    ``whole_series`` are the UIDs of series whose occurrences in the window are all among ``items``: only of these is a missing one a deleted one.
    ``ended_series`` are those of them that are no more: of these every occurrence is deleted, whenever it was.
    ``masters`` are the item ids of masters, with their UID. ``unread`` are items that could not be read, with the reason.
    ``complete``: the kinds of which every item is here. ``existing`` are ids that are known to exist though they are not among ``items``.
    ``texts`` are bodies as text, by item id. ``unexpanded`` are series whose occurrences are not known, by their master's id, with the reason.
    ``known`` are the activities that were once made of items without a link, by item id.
    """

    items: Mapping[str, Item] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    whole_series: frozenset[str] = frozenset()
    ended_series: frozenset[str] = frozenset()
    masters: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    complete: frozenset[Kind] = frozenset()
    unexpanded: Mapping[str, tuple[Item, str]] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)


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

    The latter two only if the link's own item is no longer there: else the item is a copy that the user made, an entry of its own (Y6). Of several that
    could be it, the likest is (`_likest`).
    """
    if not exchange.items:
        return Matches()
    links = _concerned(exchange, links)
    active = [link for link in links if link.state in (LinkState.ACTIVE, LinkState.RESTING)]
    by_id = {link.item_id: link for link in active}
    by_uid = {(link.uid, link.original_start): link for link in active if link.uid}
    by_stamp = {link.stamp: link for link in active if link.stamp}
    replaced = [link for link in links if link.state is LinkState.REPLACED]
    leaving = {link.item_id for link in replaced} - by_id.keys()
    matches = Matches()
    rest: list[Item] = []
    for item in exchange.items.values():
        link = by_id.get(item.item_id)
        if item.item_id in leaving:
            continue
        if link is not None:
            matches.of_link[link.link_id] = item
        else:
            rest.append(item)
    claimed: dict[int, list[Item]] = {}
    for item in rest:
        link = by_uid.get((item.uid, item.original_start))
        if link is None and item.original_start is None:
            link = by_stamp.get(item.stamp)
        if link is not None and link.link_id not in matches.of_link and is_missing(link, item, exchange):
            claimed.setdefault(link.link_id, []).append(item)
        else:
            matches.strangers.append(item)
    for link in active:
        if items := claimed.get(link.link_id):
            own = matches.of_link[link.link_id] = _likest(link, items)
            matches.strangers += [item for item in items if item is not own]
    _match_replaced(matches, replaced, exchange)
    _match_retimed(matches, active, exchange)
    _match_new_series(matches, active, exchange)
    return matches


def _concerned(exchange: ExchangeNews, links: Sequence[Link]) -> list[Link]:
    """The links that any of the items could belong to: of an account's many thousands those few are worth an index."""
    ids = exchange.items.keys() | exchange.masters.keys()
    uids = {item.uid for item in exchange.items.values()} - {""}
    stamps = {item.stamp for item in exchange.items.values()} - {""}
    return [link for link in links if link.item_id in ids or link.uid in uids or link.stamp in stamps]


def _match_retimed(matches: Matches, active: Sequence[Link], exchange: ExchangeNews) -> None:
    """A series that was moved has new original starts: each occurrence stands for the one that was due nearest to it, within twelve hours, or further
    where no other one comes near. So does the single event that is left of a series."""
    new = [(due, index, item.uid) for index, item in enumerate(matches.strangers) if (due := _due(item)) is not None]
    concerned = {uid for _, _, uid in new} & exchange.whole_series
    before: dict[str, list[tuple[datetime, Link]]] = {uid: [] for uid in concerned}
    for link in active:
        if link.uid in before and link.original_start is not None:
            before[link.uid].append((link.original_start, link))
    dates_now: dict[str, list[datetime]] = {uid: [] for uid in concerned}
    for item in exchange.items.values():
        if item.uid in dates_now and (due := _due(item)) is not None:
            dates_now[item.uid].append(due)
    dates_before = {uid: sorted(start for start, _ in links) for uid, links in before.items()}
    for dates in dates_now.values():
        dates.sort()
    pairs = sorted(
        (abs(due - start), link.link_id, index)
        for due, index, uid in new
        for start, link in before.get(uid, ())
        if _stands_for(due, start, dates_before[uid], dates_now[uid])
    )
    taken: set[int] = set()
    for _, link_id, index in pairs:
        if link_id not in matches.of_link and index not in taken:
            taken.add(index)
            matches.of_link[link_id] = matches.strangers[index]
    matches.strangers = [item for index, item in enumerate(matches.strangers) if index not in taken]


def _stands_for(due: datetime, before: datetime, all_before: Sequence[datetime], all_due: Sequence[datetime]) -> bool:
    """Whether an occurrence may be the one that was due at ``before``. More than twelve hours off it must be plain that it is no other: on either side
    the next one is at least twice as far. Of a weekly series that moves by three or four days nobody could say which week's is which."""
    distance = abs(due - before)
    if distance < HALF_A_DAY:
        return True
    return distance <= FURTHEST and 2 * distance <= min(
        _next_to(due, before, all_before), _next_to(before, due, all_due)
    )


def _next_to(moment: datetime, own: datetime, dates: Sequence[datetime]) -> timedelta:
    """How far it is from a moment to the nearest of the dates besides ``own``."""
    near = bisect_left(dates, moment)
    others = [date for date in dates[max(0, near - 2) : near + 2] if date != own]
    return min((abs(date - moment) for date in others), default=timedelta.max)


def _due(item: Item) -> datetime | None:
    """When an occurrence was due by its series; of a single event, when it begins."""
    if item.original_start is not None or item.when is None:
        return item.original_start
    start = item.when.start
    return start if isinstance(start, datetime) else datetime.combine(start, time(), UTC)


def _match_replaced(matches: Matches, replaced: Sequence[Link], exchange: ExchangeNews) -> None:
    """Items that are still to be removed, where the mailbox has moved: by their UID, or their stamp where no UID was ever read."""
    for link in replaced:
        claiming = [
            item
            for item in matches.strangers
            if (item.uid == link.uid if link.uid else bool(link.stamp) and item.stamp == link.stamp)
            if item.kind is link.kind and is_missing(link, item, exchange)
        ]
        if claiming:
            own = matches.of_link[link.link_id] = _likest(link, claiming)
            matches.strangers = [item for item in matches.strangers if item is not own]


def _likest(link: Link, items: Sequence[Item]) -> Item:
    """Which of several items is the link's own, the others being the user's copies of it: the one with its UID; where that was never read, one that
    still stands and is most like what was agreed."""

    def unlike(item: Item) -> tuple[bool, bool, int]:
        if item.when is None:
            return (item.uid != link.uid, True, 0)
        differences = differing(entry_of_item(item, link.agreed), link.agreed, shared_fields(link.agreed))
        return (item.uid != link.uid, item.is_cancelled, len(differences))

    return min(items, key=unlike) if len(items) > 1 else items[0]


def _match_new_series(matches: Matches, active: Sequence[Link], exchange: ExchangeNews) -> None:
    """A single event that is the master of a series now: its link goes to the occurrence that was due nearest to where it stood."""
    for link in active:
        uid = exchange.masters.get(link.item_id)
        if uid is None or link.link_id in matches.of_link:
            continue
        stood = instants(link.agreed.when, _ANYWHERE).start
        due = [
            (abs(item.original_start - stood), index)
            for index, item in enumerate(matches.strangers)
            if item.original_start is not None and item.uid == uid
        ]
        if due:
            matches.of_link[link.link_id] = matches.strangers.pop(min(due)[1])


_ANYWHERE = ZoneInfo("UTC")


def suspects(exchange: ExchangeNews, links: Sequence[Link]) -> dict[str, list[str]]:
    """Item ids of links that unknown items resemble, with these, where it is not known whether the link's own still exists: to be looked up
    before planning."""
    if not exchange.items:
        return {}
    links = _concerned(exchange, links)
    active = [link for link in links if link.state in (LinkState.ACTIVE, LinkState.RESTING)]
    known = {link.item_id for link in links if link.state is not LinkState.ENDED}
    by_uid = {(link.uid, link.original_start): link for link in active if link.uid}
    by_stamp = {link.stamp: link for link in active if link.stamp}
    found: dict[str, list[str]] = {}
    for item in exchange.items.values():
        if item.item_id in known or item.original_start is not None:
            continue
        link = by_uid.get((item.uid, item.original_start)) or by_stamp.get(item.stamp)
        if (
            link is not None
            and link.kind not in exchange.complete
            and link.item_id not in exchange.items
            and link.item_id not in exchange.gone
            and link.item_id not in exchange.existing
        ):
            found.setdefault(link.item_id, []).append(item.item_id)
    return found


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
