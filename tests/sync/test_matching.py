"""Which item belongs to which link, and which link's item must be looked up first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops_lib.model import AllDay, Item, Kind, Link, LinkState, Timed
from ops_lib.sync.matching import ExchangeNews, is_missing, match_items, suspects
from tests.sync.decisions import NOON, NOW, TEN, activity, item, link, stamp

MONDAY, TUESDAY = NOW, NOW + timedelta(days=1)
STAMP = stamp(activity())
EVENT = frozenset({Kind.EVENT})


def matched(items: list[Item], links: list[Link], **news: Any) -> tuple[dict[int, str], list[str]]:
    """Link id → item id, and the ids of the items that belong to none."""
    found = match_items(ExchangeNews(items={one.item_id: one for one in items}, **news), links)
    return {number: one.item_id for number, one in found.of_link.items()}, [one.item_id for one in found.strangers]


@pytest.mark.req("Y5", "Y6")
@pytest.mark.parametrize(
    ("news", "is_found"),
    [
        ({}, False),
        ({"existing": frozenset({"I1"})}, False),
        ({"gone": frozenset({"I1"})}, True),
        ({"complete": EVENT}, True),
        ({"complete": frozenset({Kind.TASK})}, False),
        ({"complete": EVENT, "existing": frozenset({"I1"})}, False),
    ],
)
def test_an_item_with_another_id(news: dict[str, Any], is_found: bool) -> None:
    """By UID or stamp an item belongs to a link only if the link's own is no longer there; else it is a copy."""
    for new, old in (
        (item("I2"), link()),
        (item("I2", uid="U2", stamp=STAMP), link(stamp=STAMP)),
    ):
        assert matched([new], [old], **news) == (({1: "I2"}, []) if is_found else ({}, ["I2"]))
    assert matched([item("I2", uid="")], [link(uid="")], **news) == ({}, ["I2"])


def test_the_own_item_comes_first() -> None:
    """Where a link's own item is there, another with its UID or stamp is a stranger, whichever is listed first."""
    own, copy = item(stamp=STAMP), item("I2", stamp=STAMP)
    for items in ([own, copy], [copy, own]):
        assert matched(items, [link(stamp=STAMP)], complete=EVENT) == ({1: "I1"}, ["I2"])
    assert matched([item("I2"), item("I3")], [link()], complete=EVENT) == ({1: "I2"}, ["I3"])


@pytest.mark.req("Y5", "Y6")
@pytest.mark.parametrize("state", [LinkState.ACTIVE, LinkState.REPLACED])
@pytest.mark.parametrize(
    ("known_uid", "unlike"),
    [("U1", {}), ("", {"is_cancelled": True}), ("", {"subject": "Dinner"}), ("", {"when": NOON}), ("", {"when": None})],
)
def test_in_a_mailbox_that_moved_a_copy_is_told_from_its_original(
    state: LinkState, known_uid: str, unlike: dict[str, Any]
) -> None:
    """Of two items with a link's stamp its own is the one with its UID; where that was never read, the one that stands as it was agreed."""
    own, copy = item("I2", stamp=STAMP), item("I3", uid="U3", stamp=STAMP, **unlike)
    if not known_uid:
        own = replace(own, uid="U2")
    for items in ([own, copy], [copy, own]):
        old = link(state=state, uid=known_uid, stamp=STAMP)
        assert matched(items, [old], complete=EVENT) == ({1: "I2"}, ["I3"])


@pytest.mark.parametrize("state", [LinkState.ACTIVE, LinkState.RESTING])
def test_resting_links_are_matched_too(state: LinkState) -> None:
    """A link that rests knows its item like any other."""
    assert matched([item()], [link(state=state)]) == ({1: "I1"}, [])


def test_what_is_to_be_removed_is_nobodys() -> None:
    """An item that was replaced is no stranger while its link waits for its removal; where it has moved, it is found by UID or stamp."""
    replaced = link(state=LinkState.REPLACED)
    assert matched([item()], [replaced]) == ({}, [])
    assert matched([item("I2")], [replaced], complete=EVENT) == ({1: "I2"}, [])
    assert matched([item("I2")], [replaced]) == ({}, ["I2"])
    stamped = link(state=LinkState.REPLACED, uid="", stamp=STAMP)
    assert matched([item("I2", uid="U9", stamp=STAMP)], [stamped], complete=EVENT) == ({1: "I2"}, [])
    assert matched([item("I2", uid="U9")], [link(state=LinkState.REPLACED, uid="")], complete=EVENT) == ({}, ["I2"])
    assert matched([item(), item("I2", uid="U2")], [replaced]) == ({}, ["I2"])
    two = [item("I2", uid="U9", stamp="another"), item("I3", uid="U8", stamp=STAMP)]
    assert matched(two, [stamped], complete=EVENT) == ({1: "I3"}, ["I2"])
    task = item("I2", kind=Kind.TASK)
    assert matched([task], [replaced], complete=EVENT) == ({}, ["I2"])


def test_an_occurrence_is_not_known_by_a_stamp() -> None:
    """An occurrence carries its series' stamp, as all the others do: it is no single event's item."""
    occurrence = item("I2", uid="U2", original_start=MONDAY, stamp=STAMP)
    assert matched([occurrence], [link(stamp=STAMP)], complete=EVENT) == ({}, ["I2"])


@pytest.mark.req("O5")
@pytest.mark.parametrize(
    ("when", "is_found"),
    [
        (Timed(MONDAY + timedelta(hours=3), MONDAY + timedelta(hours=4)), True),
        (AllDay(MONDAY.date(), TUESDAY.date()), True),
        (Timed(MONDAY + timedelta(days=20), MONDAY + timedelta(days=21)), False),
        (None, False),
    ],
)
def test_the_single_event_that_is_left_of_a_series(when: Timed | AllDay | None, is_found: bool) -> None:
    """It stands for the occurrence that was due when it takes place; one without a time for none."""
    links = [link(n, str(n), f"old{n}", uid="S", original_start=due) for n, due in ((1, MONDAY), (2, TUESDAY))]
    left = item("left", uid="S", when=when)
    assert matched([left], links, whole_series=frozenset({"S"})) == (({1: "left"}, []) if is_found else ({}, ["left"]))
    at_night = item("left", uid="S", when=Timed(MONDAY + timedelta(hours=14), MONDAY + timedelta(hours=15)))
    assert matched([at_night], links, whole_series=frozenset({"S"})) == ({2: "left"}, [])


@pytest.mark.req("O5")
def test_a_series_that_was_retimed() -> None:
    """Each occurrence stands for the one that was due nearest to it, within twelve hours, of its own series, if all of it was read."""
    links = [link(n, str(n), f"old{n}", uid="S", original_start=due) for n, due in ((1, MONDAY), (2, TUESDAY))]
    late = timedelta(hours=2)
    items = [item(f"new{n}", uid="S", original_start=due + late) for n, due in ((1, MONDAY), (2, TUESDAY))]
    whole = frozenset({"S"})
    assert matched(items, links, whole_series=whole) == ({1: "new1", 2: "new2"}, [])
    assert matched(items, links) == ({}, ["new1", "new2"])
    assert matched(items, links[:1], whole_series=whole) == ({1: "new1"}, ["new2"])
    other = [item("new1", uid="T", original_start=MONDAY + late)]
    assert matched(other, links, whole_series=whole | {"T"}) == ({}, ["new1"])
    for hours, is_near in ((-11, True), (11, True), (12, False)):
        moved = [item("new1", uid="S", original_start=MONDAY + timedelta(hours=hours))]
        assert bool(matched(moved, links, whole_series=whole)[0].get(1)) is is_near
    backwards = list(reversed(items))
    assert matched(backwards, links, whole_series=whole)[0] == {1: "new1", 2: "new2"}
    far = [item(f"w{n}", uid="S", original_start=MONDAY + timedelta(days=7 * n + 2)) for n in (2, 0, 1)]
    weeks = [link(n, str(n), f"m{n}", uid="S", original_start=MONDAY + timedelta(days=7 * n)) for n in (1, 2, 0)]
    alone = link(9, "9", "I9", uid="S")
    assert matched(far, [alone, *weeks], whole_series=whole)[0] == {n: f"w{n}" for n in range(3)}
    near_one = [item(f"{n}", uid="S", original_start=MONDAY + timedelta(hours=n)) for n in (1, 2)]
    assert matched(near_one, links[:1], whole_series=whole) == ({1: "1"}, ["2"])
    between = [item("new", uid="S", original_start=MONDAY + timedelta(hours=11))]
    near = [links[0], link(3, "3", "old3", uid="S", original_start=MONDAY + timedelta(hours=10))]
    assert matched(between, near, whole_series=whole) == ({3: "new"}, [])


def weekly(days: float, *, weeks: range = range(6), without: int | None = None) -> list[Item]:
    """A weekly series so many days after Monday, without one of its occurrences."""
    due = {n: MONDAY + timedelta(days=7 * n + days) for n in weeks if n != without}
    return [item(f"new{n}", uid="S", original_start=start) for n, start in due.items()]


def mondays(weeks: range = range(6)) -> list[Link]:
    """Its links, while it was on Mondays."""
    return [link(n, str(n), f"old{n}", uid="S", original_start=MONDAY + timedelta(days=7 * n)) for n in weeks]


@pytest.mark.req("O5")
@pytest.mark.parametrize("days", [-2, -1, -0.5, 0.5, 1, 2])
def test_a_series_on_another_weekday(days: float) -> None:
    """Two days to either side each week's occurrence stays the same one, whatever enters or leaves the window at its ends."""
    whole = frozenset({"S"})
    expected = {n: f"new{n}" for n in range(6)}
    assert matched(weekly(days), mondays(), whole_series=whole) == (expected, [])
    assert matched(weekly(days)[::-1], mondays()[::-1], whole_series=whole) == (expected, [])
    later = {n: f"new{n}" for n in range(1, 6)}
    assert matched(weekly(days, weeks=range(1, 7)), mondays(), whole_series=whole) == (later, ["new6"])
    assert matched(weekly(days, without=3), mondays(), whole_series=whole)[0] == {
        n: f"new{n}" for n in range(6) if n != 3
    }


@pytest.mark.req("O5")
@pytest.mark.parametrize("days", [-4, -3, -2.5, 2.5, 3, 3.5, 4])
def test_a_series_between_two_weeks(days: float) -> None:
    """Of a series that is as near to the week before as to the week after nobody knows which is which: none takes another's place."""
    for items in (weekly(days), weekly(days)[::-1]):
        assert matched(items, mondays(), whole_series=frozenset({"S"}))[0] == {}


@pytest.mark.req("O5")
def test_a_deleted_occurrence_is_not_one_that_is_shown_anew() -> None:
    """What enters the window on the day another is deleted does not stand for that, nor does one that lies beyond a fortnight."""
    whole = frozenset({"S"})
    _, strangers = matched(weekly(0, weeks=range(7), without=2), mondays(), whole_series=whole)
    assert strangers == ["new6"]
    for days, is_it in ((14, True), (15, False), (-14, True), (-15, False)):
        moved = [item("new", uid="S", original_start=MONDAY + timedelta(days=days))]
        assert bool(matched(moved, mondays(range(1)), whole_series=whole)[0]) is is_it


@pytest.mark.req("O5")
def test_what_stays_keeps_its_own() -> None:
    """Of a series on Mondays and Wednesdays that meets on Mondays and Thursdays now, each Wednesday's goes to Thursday; two that are as near as each
    other take nothing over."""
    start = {"w": timedelta(days=2), "t": timedelta(days=3)}
    wednesdays = [
        link(10 + n, str(10 + n), f"w{n}", uid="S", original_start=MONDAY + timedelta(days=7 * n) + start["w"])
        for n in range(4)
    ]
    thursdays = [item(f"t{n}", uid="S", original_start=MONDAY + timedelta(days=7 * n) + start["t"]) for n in range(4)]
    found, strangers = matched(
        [*weekly(0, weeks=range(4)), *thursdays], [*mondays(range(4)), *wednesdays], whole_series=frozenset({"S"})
    )
    assert found == {n: f"new{n}" for n in range(4)} | {10 + n: f"t{n}" for n in range(4)}
    assert strangers == []
    two = [item(f"{side}", uid="S", original_start=MONDAY + side * timedelta(days=1)) for side in (-1, 1)]
    assert matched(two, mondays(range(1)), whole_series=frozenset({"S"}))[0] == {}


@pytest.mark.req("O5")
def test_a_single_event_that_became_a_series() -> None:
    """Its link goes to the occurrence that was due nearest to where it stood; the others are new."""
    items = [
        item("o2", uid="U1", original_start=TEN.start + timedelta(days=7)),
        item("o1", uid="U1", original_start=TEN.start, when=NOON),
        item("x", uid="X", original_start=TEN.start),
    ]
    assert matched(items, [link()], masters={"I1": "U1"}) == ({1: "o1"}, ["o2", "x"])
    assert matched(items, [link()])[0] == {}
    for others in ([item("y", uid="X", original_start=TEN.start)], [item("y", uid="U5")]):
        assert matched([*others, *items[:2]], [link()], masters={"I1": "U1"})[0] == {1: "o1"}
    unconcerned = link(9, "9", "I9", uid="X")
    assert matched(items, [unconcerned, link()], masters={"I1": "U1"})[0] == {1: "o1"}
    single = item("I2")
    assert matched([*items[:2], single], [link()], masters={"I1": "U1"}) == ({1: "I2"}, ["o2", "o1"])
    assert matched(items, [link(item_id="I9", uid="")], masters={"I1": "U1"})[0] == {}


@pytest.mark.parametrize(
    ("news", "looked_up"),
    [
        ({}, True),
        ({"complete": EVENT}, False),
        ({"complete": frozenset({Kind.TASK})}, True),
        ({"gone": frozenset({"I1"})}, False),
        ({"existing": frozenset({"I1"})}, False),
    ],
)
def test_what_must_be_looked_up(news: dict[str, Any], looked_up: bool) -> None:
    """Where an unknown item resembles a link's, and nobody said what became of that, it is asked for by its id."""
    for new, old in ((item("I2"), link()), (item("I2", uid="U2", stamp=STAMP), link(stamp=STAMP))):
        found = suspects(ExchangeNews(items={"I2": new}, **news), [old])
        assert found == ({"I1": ["I2"]} if looked_up else {})
    assert suspects(ExchangeNews(items={"I1": item()}, **news), [link()]) == {}
    occurrence = item("I2", original_start=MONDAY)
    assert suspects(ExchangeNews(items={"I2": occurrence}, **news), [link(original_start=MONDAY)]) == {}
    both = {"I1": item(), "I2": item("I2")}
    assert suspects(ExchangeNews(items=both, **news), [link()]) == {}


def test_what_need_not_be_looked_up() -> None:
    """Nothing where nothing was read, what resembles nobody, what is itself a link's, and what resembles a link that has ended or is being replaced."""

    def found(items: list[Item], *links: Link) -> dict[str, list[str]]:
        return suspects(ExchangeNews(items={one.item_id: one for one in items}), links)

    assert found([], link()) == {}
    assert found([item("I2", uid="U2"), item("I3")], link()) == {"I1": ["I3"]}
    assert found([item("I2", original_start=MONDAY), item("I3")], link()) == {"I1": ["I3"]}
    assert found([item("I2", uid="")], link(uid="")) == {}
    assert found([item("I2", uid=""), item("I3", stamp=STAMP)], link(uid="", stamp=STAMP)) == {"I1": ["I3"]}
    for state in (LinkState.REPLACED, LinkState.ENDED):
        assert found([item("I2", stamp=STAMP)], link(state=state, stamp=STAMP)) == {}
    own = link(2, "2", "I2", uid="U2")
    assert found([item("I2")], link(), own) == {}
    assert found([item("I2")], link(), replace(own, state=LinkState.ENDED)) == {"I1": ["I2"]}


def test_when_an_item_is_missing() -> None:
    """It is missing when it is said to be gone, when it is a master now, when an occurrence takes its place, or when all of its kind was listed."""
    single, occurrence = item("I2"), item("I2", original_start=MONDAY)
    assert not is_missing(link(), single, ExchangeNews())
    assert is_missing(link(), single, ExchangeNews(gone=frozenset({"I1"})))
    assert is_missing(link(), single, ExchangeNews(masters={"I1": "U1"}))
    assert is_missing(link(), occurrence, ExchangeNews())
    assert is_missing(link(), single, ExchangeNews(complete=EVENT))
    assert not is_missing(link(), single, ExchangeNews(complete=EVENT, items={"I1": item()}))
    assert not is_missing(link(), single, ExchangeNews(complete=EVENT, existing=frozenset({"I1"})))
