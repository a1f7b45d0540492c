"""Like another server: recorded requests get the recorded values from the sandbox too."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lxml import etree

from ops_lib.errors import SandboxError
from ops_lib.sandbox.ews import Caller, EwsFace
from ops_lib.sandbox.ews.manners import GROMMUNIO, manners_of
from tests.mailbox import cassettes

from .client import ALICE, Client, M, T, create, event, find, get_item, id_of, organisation, set_field, sync, update
from .test_series import NEW_YORK, WEEKLY, by_index, view

MASTER = "AAAAACRKjQujKnVAuTPPOW/mIJsHAAIAAAClGHtvvNzqHtA8VlcAAAAAAA8AAAIAAAClGHtvvNzqHtA8VlcAAAAJAFIAAAM="
FIRST = MASTER[:-4] + "AIAWXA0F"


@pytest.fixture
def client() -> Client:
    """The same organisation behind a server like grommunio."""
    made = Client(organisation())
    made.face = EwsFace(made.organisation, GROMMUNIO)
    return made


def ask(client: Client, request: str) -> Any:
    return etree.fromstring(client.face.answer(client.face.read(request.encode()), Caller(ALICE, False)).body)


def said(answer: Any) -> list[tuple[str, str]]:
    """The code, and what an answer says of a series: no ids, times without their decimals."""
    names = (
        "ResponseCode", "Subject", "Start", "End", "OriginalStart", "CalendarItemType", "StartDate", "DaysOfWeek", "NumberOfOccurrences"
    )  # fmt: skip
    found = [(etree.QName(e).localname, (e.text or "").strip()) for e in answer.iter(etree.Element)]
    return sorted((name, re.sub(r"(\d\d:\d\d:\d\d)\.\d+Z", r"\1Z", text)) for name, text in found if name in names)


def test_the_recorded_series(client: Client) -> None:
    """The series made, an occurrence moved and one deleted, the master, each occurrence by its number: the recorded requests, the recorded values."""
    ids: dict[str, str] = {}

    def play(name: str, number: int) -> Any:
        recorded = cassettes.load(name)[number - 1]
        request = recorded.request
        for theirs, ours in ids.items():
            request = request.replace(theirs, ours)
        request = re.sub(r' ChangeKey="AgAA[^"]*"', "", request)  # theirs are none of ours
        answer = ask(client, request)
        expected = said(etree.fromstring(recorded.body))
        if recorded.operation != "GetItem":  # what is written is answered with more than Exchange says: the code counts
            expected = [pair for pair in expected if pair[0] == "ResponseCode"]
            assert expected == [pair for pair in said(answer) if pair[0] == "ResponseCode"]
        else:
            assert said(answer) == expected, (name, number)
        return answer

    made = play("create_series_moved_and_deleted_occurrence", 1)
    ids[MASTER] = next(made.iter(f"{T}ItemId")).get("Id")
    play("create_series_moved_and_deleted_occurrence", 2)
    play("create_series_moved_and_deleted_occurrence", 3)
    play("get_series_master_with_exceptions", 2)
    first = play("get_occurrence_by_index", 1)
    ids[FIRST] = next(first.iter(f"{T}ItemId")).get("Id")
    for number in range(2, 10):
        play("get_occurrence_by_index", number)


def series(client: Client) -> str:
    return id_of(client.item(create(event("<t:Subject>Round</t:Subject>", start="2027-03-01T15:00:00Z", end="2027-03-01T16:00:00Z", after=WEEKLY + NEW_YORK))))  # fmt: skip


def test_a_calendar_view_lists_masters(client: Client) -> None:
    """A master where its first occurrence is, none later; what starts at the window's end is in it."""
    ask_view = lambda window: list(ask_plain(client, find("calendar:CalendarItemType", "item:Subject", view=window)))  # noqa: E731
    series(client)
    client.item(
        create(event("<t:Subject>At the end</t:Subject>", start="2027-04-01T00:00:00Z", end="2027-04-01T01:00:00Z"))
    )
    assert [item.findtext(f"{T}CalendarItemType") for item in ask_view(view())] == ["RecurringMaster", "Single"]
    assert ask_view(view("2027-03-08T00:00:00Z", "2027-03-31T00:00:00Z")) == []


def ask_plain(client: Client, body: str) -> Any:
    """The items of the one message, whether or not they are valid by the schema."""
    from .client import envelope

    answer = ask(client, envelope(body).decode())
    return next(answer.iter(f"{T}Items", f"{M}Items"))


def test_change_keys_are_not_looked_at(client: Client) -> None:
    """An update with an old key is done."""
    item = client.item(create(event("<t:Subject>One</t:Subject>")))
    for title in ("Two", "Three"):
        change = set_field("item:Subject", f"<t:Subject>{title}</t:Subject>")
        client.one(update(item.find(f"{T}ItemId"), change, resolution="NeverOverwrite"))
    assert client.get(id_of(item), "item:Subject").findtext(f"{T}Subject") == "Three"


def test_a_state_of_nobody_is_none(client: Client) -> None:
    """Rubbish for a sync state is an initial sync: everything is created."""
    client.item(create(event("<t:Subject>One</t:Subject>")))
    changes = client.one(sync("rubbish")).find(f"{M}Changes")
    assert [etree.QName(change).localname for change in changes] == ["Create"]


def test_times_with_decimals(client: Client) -> None:
    """Times of change have decimals, starts and ends have none."""
    item = client.get(id_of(client.item(create(event()))), "item:LastModifiedTime", "calendar:Start")
    assert re.fullmatch(r".*:\d\d\.000000Z", item.findtext(f"{T}LastModifiedTime"))
    assert item.findtext(f"{T}Start") == "2026-11-24T15:00:00Z"


def test_exchange_is_the_usual(client: Client) -> None:
    """Without manners of its own the sandbox is like Exchange; another name is refused with those there are."""
    usual = Client(organisation())
    master = series(usual)
    assert usual.codes(get_item(by_index(master, 9))) == ["ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange"]
    assert usual.codes(sync("rubbish")) == ["ErrorInvalidSyncStateData"]
    with pytest.raises(SandboxError, match="exchange, grommunio"):
        manners_of("notes")
