"""Series on a server whose calendar view does not show them: the recorded master's occurrences, read and written."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from lxml import etree

from ops_lib.errors import AnswerLost, ItemConflict, ItemGone, ItemRefused
from ops_lib.mailbox import ItemContent, ItemUpdate
from ops_lib.mailbox.ews.mailbox import EwsMailbox
from ops_lib.mailbox.occurrences import occurrence_id
from ops_lib.model import Item, ItemType, Kind, Timed, Window, Written
from tests.mailbox import cassettes
from tests.mailbox.conftest import Open
from tests.mailbox.stub import SOAP, Asked, Reply, Script, Stub, event, failure, items, response, success

MARCH = Window(datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC))


def recorded(name: str, number: int) -> bytes:
    return cassettes.load(name)[number - 1].body


def master() -> bytes:
    return recorded("get_series_master_with_exceptions", 1)


MASTER_ID = "AAAAACRKjQujKnVAuTPPOW/mIJsHAAIAAAClGHtvvNzqHtA8VlcAAAAAAA8AAAIAAAClGHtvvNzqHtA8VlcAAAAJAFIAAAM="


def at(day: int, hour: int) -> Timed:
    return Timed(datetime(2027, 3, day, hour, tzinfo=UTC), datetime(2027, 3, day, hour + 1, tzinfo=UTC))


class Grommunio:
    """Answers what the recordings answered: the master, its moved occurrence, occurrences by number. Writes are taken and remembered."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.writes: list[str] = []

    def __call__(self, asked: Asked, number: int) -> Reply:
        request = asked.body.decode()
        if "UpdateItem" in request or "DeleteItem" in request:
            self.writes.append(request)
            return self.answers.get("write") or Reply(
                items("UpdateItem", '<t:CalendarItem><t:ItemId Id="new" ChangeKey="new"/></t:CalendarItem>')
                if "UpdateItem" in request
                else response("DeleteItem", *[success("DeleteItem")] * request.count("OccurrenceItemId "))
            )
        if "OccurrenceItemId" in request:
            parts = []
            for index in (part.partition('"')[0] for part in request.split('InstanceIndex="')[1:]):
                number_there = int(index) + self.answers.get("shift", 0)
                body = recorded("get_occurrence_by_index", number_there).decode()
                start, end = body.index("<m:GetItemResponseMessage"), body.index("</m:ResponseMessages>")
                parts.append(body[start:end])
            return Reply(response("GetItem", *parts))
        if "AOA9XA0F" in request:
            return Reply(recorded("get_occurrence_by_index", 2))
        return Reply(master())


def items_of(found: Any) -> list[Item]:
    assert isinstance(found, list), found
    return found


@pytest.mark.req("O5")
def test_a_recorded_series_is_expanded(open_at: Open) -> None:
    """Nine o'clock in New York before and after the change of time; the moved one stands where it was moved to, the deleted one is not there."""
    with Stub(Grommunio()) as stub:
        [found] = open_at(stub.url).expand([MASTER_ID], MARCH)
        assert len(stub.asked) == 2
    assert [(item.when, item.item_type, item.subject) for item in items_of(found)] == [
        (at(1, 14), ItemType.OCCURRENCE, "Weekly rounds"),
        (at(9, 18), ItemType.EXCEPTION, "Weekly rounds (moved)"),
        (at(15, 13), ItemType.OCCURRENCE, "Weekly rounds"),
        (at(29, 13), ItemType.OCCURRENCE, "Weekly rounds"),
    ]
    assert [item.original_start for item in items_of(found)] == [
        at(1, 14).start,
        at(8, 14).start,
        at(15, 13).start,
        at(29, 13).start,
    ]
    assert len({item.uid for item in items_of(found)}) == 1


def ids(*days: int) -> list[str]:
    return [occurrence_id(MASTER_ID, date(2027, 3, day)) for day in days]


def numbers(request: str) -> list[str]:
    return re.findall(r'InstanceIndex="(\d+)"', request)


def test_other_windows_hold_what_touches_them(open_at: Open) -> None:
    """A moved occurrence is where it was moved to, whichever window it came from."""
    with Stub(Grommunio()) as stub:
        box = open_at(stub.url)

        def starts(first: int, after: int) -> list[int]:
            window = Window(datetime(2027, 3, first, tzinfo=UTC), datetime(2027, 3, after, tzinfo=UTC))
            [found] = box.expand([MASTER_ID], window)
            return [item.when.start.day for item in items_of(found) if isinstance(item.when, Timed)]

        assert [starts(8, 9), starts(9, 10), starts(20, 28), starts(29, 30)] == [[], [9], [], [29]]


def test_a_master_that_is_gone_or_no_series(open_at: Open) -> None:
    """Each master's outcome is its own: one that is gone, one that is a single event now, one whose pattern nobody can compute."""
    lunar = (
        "<t:CalendarItemType>RecurringMaster</t:CalendarItemType><t:Recurrence><t:LunarRecurrence/>"
        "<t:NoEndRecurrence><t:StartDate>2027-03-01</t:StartDate></t:NoEndRecurrence></t:Recurrence>"
    )
    answer = response(
        "GetItem",
        failure("GetItem", "ErrorItemNotFound", "gone"),
        success("GetItem", f"<m:Items>{event('single')}</m:Items>"),
        success("GetItem", f"<m:Items>{event('lunar', more=lunar)}</m:Items>"),
    )
    with Stub([Reply(answer)]) as stub:
        gone, single, refused = open_at(stub.url).expand(["g", "single", "lunar"], MARCH)
    assert isinstance(gone, ItemGone)
    assert isinstance(single, ItemRefused)
    assert isinstance(refused, ItemRefused)
    assert "LunarRecurrence" in str(refused)


def test_a_moved_occurrence_that_cannot_be_read_fails_its_series(open_at: Open) -> None:
    """Half a series would show wrong titles: the reason is the series' outcome. One that is gone meanwhile does not."""

    def play(code: str) -> Script:
        return lambda asked, number: Reply(
            response("GetItem", failure("GetItem", code)) if b"AOA9XA0F" in asked.body else master()
        )

    with Stub(play("ErrorItemCorrupt")) as stub:
        [found] = open_at(stub.url).expand([MASTER_ID], MARCH)
        assert isinstance(found, ItemRefused)
    with Stub(play("ErrorItemNotFound")) as stub:
        [found] = open_at(stub.url).expand([MASTER_ID], MARCH)
        assert items_of(found)[1].when == at(9, 18)


def test_occurrences_are_read_by_their_own_ids(open_at: Open) -> None:
    """An occurrence is read from its series as it is now: with the hour on the wall, not the hour too late that the server says; deleted ones are gone."""
    with Stub(Grommunio()) as stub:
        third, moved, deleted, never = open_at(stub.url).read(Kind.EVENT, ids(15, 8, 22, 16))
    assert isinstance(third, Item)
    assert isinstance(moved, Item)
    assert (third.when, third.body, third.item_id) == (at(15, 13), "", ids(15)[0])
    assert (moved.when, moved.subject) == (at(9, 18), "Weekly rounds (moved)")
    assert isinstance(deleted, ItemGone)
    assert isinstance(never, ItemGone)


def test_ids_of_both_kinds_keep_their_order(open_at: Open) -> None:
    """Ids of the server and computed ones are read in one call, each outcome in its place."""

    def play(asked: Asked, number: int) -> Reply:
        return Reply(items("GetItem", event("plain"))) if b'Id="plain"' in asked.body else Reply(master())

    with Stub(play) as stub:
        box = open_at(stub.url)
        found = box.read(Kind.EVENT, [ids(15)[0], "plain", ids(29)[0]])
        masters = box.master_of(ids(15))
    assert [item.item_id for item in found if isinstance(item, Item)] == [ids(15)[0], "plain", ids(29)[0]]
    assert [item.item_id for item in masters if isinstance(item, Item)] == [MASTER_ID]


def read_one(box: EwsMailbox, item_id: str) -> Item:
    [item] = box.read(Kind.EVENT, [item_id])
    assert isinstance(item, Item)
    return item


def test_an_update_goes_to_the_verified_number(open_at: Open, schema: etree.XMLSchema) -> None:
    """The fifth of the pattern is the server's fourth, for it does not count the deleted one: that is what is written, with nothing of the zone."""
    script = Grommunio()
    with Stub(script) as stub:
        box = open_at(stub.url)
        item = read_one(box, ids(29)[0])
        [done] = box.update(
            [ItemUpdate(item.item_id, item.change_key, Kind.EVENT, ItemContent(subject="Cake", when=at(30, 9)))]
        )
    assert isinstance(done, Written)
    assert done.item_id == item.item_id
    [request] = script.writes
    assert numbers(request) == ["4"]
    assert "Cake" in request
    assert "TimeZone Id" not in request.partition("<m:UpdateItem")[2]
    for asked in stub.asked:
        body = etree.fromstring(asked.body).find(f"{{{SOAP}}}Body")
        schema.assertValid(body[0])


def test_an_update_of_what_has_changed_is_a_conflict(open_at: Open) -> None:
    """The key that was read no longer fits: nothing is sent."""
    script = Grommunio()
    with Stub(script) as stub:
        [done] = open_at(stub.url).update([ItemUpdate(ids(29)[0], "old", Kind.EVENT, ItemContent(subject="x"))])
    assert isinstance(done, ItemConflict)
    assert script.writes == []


def test_the_key_changes_with_the_content(open_at: Open) -> None:
    """This server keeps a master's key when one of its occurrences changes; ours changes for that occurrence alone."""
    keys = []
    for text in (b"Weekly rounds (moved)", b"Weekly rounds (moved again)"):

        def play(asked: Asked, number: int, text: bytes = text) -> Reply:
            body = recorded("get_occurrence_by_index", 2).replace(b"Weekly rounds (moved)", text)
            return Reply(body) if b"AOA9XA0F" in asked.body else Reply(master())

        with Stub(play) as stub:
            keys.append([item.change_key for item in items_of(open_at(stub.url).expand([MASTER_ID], MARCH)[0])])
    assert [one == other for one, other in zip(*keys, strict=True)] == [True, False, True, True]


def test_removals_go_from_the_last_to_the_first(open_at: Open) -> None:
    """A removal shifts the numbers after it; what is gone already is done."""
    script = Grommunio()
    with Stub(script) as stub:
        assert open_at(stub.url).delete(Kind.EVENT, ids(1, 22, 29, 8)) == [None] * 4
    assert [numbers(request) for request in script.writes] == [["4", "2", "1"]]


def test_a_removal_without_an_answer_is_not_sent_again(open_at: Open) -> None:
    """Sent twice it would remove the occurrence that has the number by then."""
    script = Grommunio(write=Reply(drop=True))
    with Stub(script) as stub, pytest.raises(AnswerLost):
        open_at(stub.url).delete(Kind.EVENT, ids(15))
    assert len(script.writes) == 1


def test_nothing_is_written_to_another_occurrence(open_at: Open) -> None:
    """A server whose numbers lead elsewhere is believed nothing: the write is refused with its reason, and not sent."""
    script = Grommunio(shift=1)
    with Stub(script) as stub:
        box = open_at(stub.url)
        key = read_one(box, ids(1)[0]).change_key
        [updated] = box.update([ItemUpdate(ids(1)[0], key, Kind.EVENT, ItemContent(subject="x"))])
        [removed] = box.delete(Kind.EVENT, ids(1))
    assert isinstance(updated, ItemRefused)
    assert isinstance(removed, ItemRefused)
    assert "nothing is written" in str(updated)
    assert script.writes == []
