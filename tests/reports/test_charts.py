"""The report's pictures: what is drawn, where, and that the same data gives the same bytes."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ops_lib.reports import charts, frames
from ops_lib.reports.drawing import COLOURS, fitted, text_width, wrapped
from ops_lib.reports.week import read_week
from tests.reports.customer import ALICE, Customer, at


def _texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in etree.fromstring(svg.encode()).iter("{*}text")]


def test_a_week_is_drawn_with_every_entry_on_both_sides(customer: Customer) -> None:
    """Each half has its entry, days and hours are named, and the words say what the picture shows."""
    drawing = charts.draw_week(read_week(customer.workspace, ALICE))
    texts = _texts(drawing.svg)
    assert sum("16:00 Dentist" in text for text in texts) == 2
    assert {"Mon 23 Nov", "Sun 29 Nov", "CRM", "Outlook", "08:00", "all day"} <= set(texts)
    assert any("America/New_York" in text for text in texts)
    assert "5 entries the same on both sides" in drawing.words


def test_the_same_week_gives_the_same_bytes(customer: Customer) -> None:
    """Nothing in a picture depends on the moment it was drawn."""
    week = read_week(customer.workspace, ALICE)
    assert charts.draw_week(week).svg == charts.draw_week(week).svg


def test_what_differs_is_marked_by_more_than_its_colour(customer: Customer) -> None:
    """Different and missing entries bear a mark, a pattern and a word of the legend."""
    customer.event("Just booked", at(23, 13))
    item = customer.item("Tour with Alma Reed")
    moved = at(23, 11)
    customer.sandbox.organisation.update_item(item, {"calendar:Start": moved.start, "calendar:End": moved.end})
    drawing = charts.draw_week(read_week(customer.workspace, ALICE))
    texts = _texts(drawing.svg)
    assert any(text.startswith(("! 13:00 Just", "!\u00a013:00 Just")) for text in texts)
    assert sum(text.startswith(("≠ ", "≠\u00a0")) for text in texts) >= 3  # both halves and the legend
    assert COLOURS["differs-line"][0] in drawing.svg
    assert "2 entries missing or different" in drawing.words


def test_an_entry_over_midnight_is_drawn_on_both_days(customer: Customer) -> None:
    """The part before and the part after midnight stand on their own days, on either side."""
    pieces = [
        piece for piece in charts._pieces(read_week(customer.workspace, ALICE)) if piece["title"] == "Night shift"
    ]
    assert sorted((piece["side"], piece["day"], piece["from"], piece["to"]) for piece in pieces) == [
        ("crm", 2, 22 * 60, 24 * 60),
        ("crm", 3, 0, 2 * 60),
        ("exchange", 2, 22 * 60, 24 * 60),
        ("exchange", 3, 0, 2 * 60),
    ]


def test_an_activity_that_ends_before_it_starts_is_drawn_where_it_starts(customer: Customer) -> None:
    """What the CRM allows is not lost in the picture."""
    pieces = [piece for piece in charts._pieces(read_week(customer.workspace, ALICE)) if piece["title"] == "Backwards"]
    assert [(piece["day"], piece["from"]) for piece in pieces] == [(3, 13 * 60)]


spans = st.tuples(st.integers(0, 1380), st.integers(0, 300)).map(
    lambda pair: {"from": pair[0], "to": min(pair[0] + pair[1], 1440), "title": "x"}
)


@given(st.lists(spans, max_size=12))
def test_entries_at_the_same_time_never_cover_each_other(column: list[dict[str, Any]]) -> None:
    """Whatever overlaps stands in different lanes, and a lane lies within its group's width."""
    charts._lanes(column)
    for one, other in combinations(column, 2):
        if one["from"] < other["to"] and other["from"] < one["to"]:
            assert one["lane"] != other["lane"]
            assert one["lanes"] == other["lanes"]
    assert all(0 <= piece["lane"] < piece["lanes"] for piece in column)


@given(st.text(max_size=60), st.integers(10, 200))
def test_a_text_never_exceeds_its_room(text: str, room: int) -> None:
    """Cut or wrapped, no line is wider than it may be."""
    assert text_width(fitted(text, room, 10), 10) <= room
    lines = wrapped(text, room, 10, 3)
    assert len(lines) <= 3
    assert all(text_width(line, 10) <= room for line in lines)


def test_the_bars_say_their_numbers_in_words(customer: Customer) -> None:
    """Counts and statuses can be read without seeing a colour."""
    counts = charts.draw_counts(frames.counts(customer.workspace))
    assert counts.words.endswith("company: CRM → Outlook: 2 created; company: Outlook → CRM: 3 created.")
    statuses = charts.draw_statuses(frames.accounts(customer.workspace))
    assert {"1 Syncing", "1 Unattempted", "Elm Court", "Oak Hill"} <= set(_texts(statuses.svg))


def test_without_accounts_there_is_still_a_picture() -> None:
    """An empty table is drawn as such instead of failing."""
    drawing = charts.draw_counts(frames.empty(frames.COUNTS))
    assert _texts(drawing.svg) == ["no accounts"]
    assert charts.draw_statuses(frames.empty(frames.ACCOUNTS)).words.endswith("no accounts.")


def test_in_a_page_a_picture_takes_the_pages_colours_and_ids_of_its_own(customer: Customer) -> None:
    """Inlined, colours are variables, so that the dark has its own, and two pictures share no id."""
    drawing = charts.draw_counts(frames.counts(customer.workspace))
    inline = drawing.inline("first")
    assert "var(--created)" in inline
    assert COLOURS["created"][0] not in inline
    ids = etree.fromstring(inline.encode()).xpath("//@id")
    assert all(each.startswith("first-") for each in ids)
    assert etree.fromstring(inline.encode()).get("aria-label") == drawing.words


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_can_be_read_on_its_ground(scheme: int) -> None:
    """Ink on every fill has a contrast of at least 4.5 to 1, in the light and in the dark."""

    def luminance(colour: str) -> float:
        parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    grounds = {
        "ink": ("paper", "today", "both-fill", "differs-fill", "missing-fill", "rule-fill"),
        "muted": ("paper", "today", "rule-fill"),
    }
    for text, fills in grounds.items():
        for fill in fills:
            low, high = sorted(luminance(COLOURS[name][scheme]) for name in (text, fill))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, fill)
