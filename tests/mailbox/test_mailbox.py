"""The mailbox' own conduct, against a loopback server that plays what no real one would play on request."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ops_lib.errors import (
    AccessRefused,
    AnswerLost,
    InputError,
    ItemConflict,
    ItemGone,
    ItemRefused,
    MailboxError,
    MailboxMissing,
    ServerBusy,
    ServerFailed,
    SyncStateInvalid,
)
from ops_lib.mailbox import ItemContent, ItemUpdate
from ops_lib.mailbox.ews import mailbox as module
from ops_lib.model import AllDay, Item, ItemType, Kind, Timed, Window, Written
from tests.mailbox.stub import (
    Asked,
    Reply,
    Stub,
    event,
    failure,
    fault,
    found,
    items,
    response,
    success,
    sync_page,
    task,
)

Open = Callable[..., Any]
WINDOW = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 26, tzinfo=UTC))
BUSY = {"BackOffMilliseconds": "1500"}
CONTENT = ItemContent(subject="Tour", when=Timed(WINDOW.start, WINDOW.end), stamp="k1")


def create(*changes: str) -> str:
    return "".join(f"<t:Create>{change}</t:Create>" for change in changes)


def delete(item_id: str) -> str:
    return f'<t:Delete><t:ItemId Id="{item_id}"/></t:Delete>'


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_all_pages_are_read(open_at: Open) -> None:
    """Pages are asked for until the last, each with the state of the one before."""
    with Stub(
        [Reply(sync_page("s1", create(event("a")), is_last=False)), Reply(sync_page("s2", create(event("b"))))]
    ) as stub:
        mailbox = open_at(stub.url)
        changes = mailbox.changes(Kind.EVENT)
        assert [item.item_id for item in changes.items] == ["a", "b"]
        assert (changes.sync_state, changes.deleted, changes.unreadable) == ("s2", [], [])
        assert b"SyncState" not in stub.asked[0].body
        assert b"<m:SyncState>s1</m:SyncState>" in stub.asked[1].body
        assert mailbox.requests == 2
        assert mailbox.bytes_received > 500


def test_a_later_page_takes_back_what_an_earlier_one_said(open_at: Open) -> None:
    """Made and deleted while reading: deleted. Deleted and back again: an item."""
    pages = [
        Reply(sync_page("s1", create(event("a"), event("b", "old")) + delete("c"), is_last=False)),
        Reply(sync_page("s2", delete("a") + f"<t:Update>{event('b', 'new')}</t:Update>" + create(event("c")))),
    ]
    with Stub(pages) as stub:
        changes = open_at(stub.url).changes(Kind.EVENT)
    assert {item.item_id: item.subject for item in changes.items} == {"b": "new", "c": "Tour"}
    assert changes.deleted == ["a"]


def test_what_is_not_an_appointment_is_passed_over(open_at: Open) -> None:
    """A message that someone moved into the calendar, and read flags, are no changes of ours."""
    page = sync_page(
        "s1",
        create('<t:Message><t:ItemId Id="m"/><t:Subject>x</t:Subject></t:Message>', task("t"), event("a")),
        '<t:ReadFlagChange><t:ItemId Id="m"/><t:IsRead>true</t:IsRead></t:ReadFlagChange>',
    )
    with Stub([Reply(page)]) as stub:
        assert [item.item_id for item in open_at(stub.url).changes(Kind.EVENT).items] == ["a"]


def test_an_item_that_cannot_be_read_does_not_stop_the_others(open_at: Open) -> None:
    """An item without an id is unreadable; the others are read."""
    page = sync_page("s1", create("<t:CalendarItem><t:Subject>x</t:Subject></t:CalendarItem>", event("a")))
    with Stub([Reply(page)]) as stub:
        changes = open_at(stub.url).changes(Kind.EVENT)
    assert [item.item_id for item in changes.items] == ["a"]
    assert [type(error) for error in changes.unreadable] == [ItemRefused]


@pytest.mark.parametrize("states", [["s1", "s1"], ["s1", "s2", "s1"]])
def test_pages_that_go_in_a_circle_do_not_loop(open_at: Open, states: list[str]) -> None:
    """A server that says there is more and gives a state again is given up, not asked for ever."""
    with Stub([Reply(sync_page(state, create(event("a")), is_last=False)) for state in states]) as stub:
        with pytest.raises(ServerFailed, match="do not come to an end"):
            open_at(stub.url).changes(Kind.EVENT)
        assert len(stub.asked) == len(states)
        assert stub.unexpected == 0


def test_empty_pages_with_new_states_do_not_loop(open_at: Open) -> None:
    """Empty pages, each with a state of its own and none the last, are given up after a while."""
    with Stub(lambda asked, number: Reply(sync_page(f"s{number}", is_last=False))) as stub:
        with pytest.raises(ServerFailed, match="do not come to an end"):
            open_at(stub.url).changes(Kind.EVENT)
        assert len(stub.asked) == module.LONGEST_RUN_OF_EMPTY_PAGES + 1


def test_a_few_empty_pages_are_read_over(open_at: Open) -> None:
    """An empty page that is not the last, with a new state, is followed."""
    pages = [
        Reply(sync_page("s1", is_last=False)),
        Reply(sync_page("s2", is_last=False)),
        Reply(sync_page("s3", create(event("a")))),
    ]
    with Stub(pages) as stub:
        assert open_at(stub.url).changes(Kind.EVENT).sync_state == "s3"


def test_a_refused_state_is_said(open_at: Open) -> None:
    """ErrorInvalidSyncStateData is SyncStateInvalid, at once."""
    with Stub([Reply(response("SyncFolderItems", failure("SyncFolderItems", "ErrorInvalidSyncStateData")))]) as stub:
        with pytest.raises(SyncStateInvalid):
            open_at(stub.url).changes(Kind.EVENT, "old")
        assert len(stub.asked) == 1


def test_no_state_in_the_answer_is_a_failure(open_at: Open) -> None:
    """Without a state the next reading could not go on: it is not taken for an empty one."""
    page = response("SyncFolderItems", success("SyncFolderItems", "<m:Changes/>"))
    with Stub(lambda asked, number: Reply(page)) as stub, pytest.raises(ServerFailed, match="no sync state"):
        open_at(stub.url).changes(Kind.EVENT)


def test_without_the_last_flag_a_short_page_is_the_last(open_at: Open) -> None:
    """A server that leaves IncludesLastItemInRange out is not asked for ever."""
    page = response(
        "SyncFolderItems",
        success("SyncFolderItems", f"<m:SyncState>s1</m:SyncState><m:Changes>{create(event('a'))}</m:Changes>"),
    )
    with Stub([Reply(page)]) as stub:
        assert open_at(stub.url).changes(Kind.EVENT).sync_state == "s1"


# ── trying again ─────────────────────────────────────────────────────────────────────────────────────────────────────
BUSY_ANSWERS = {
    "fault": Reply(fault("ErrorServerBusy", "busy", BUSY), 500),
    "fault with 200": Reply(fault("ErrorServerBusy", "busy", BUSY)),
    "message": Reply(response("SyncFolderItems", failure("SyncFolderItems", "ErrorServerBusy", "busy", BUSY))),
    "inside": Reply(
        response(
            "SyncFolderItems",
            failure(
                "SyncFolderItems", "ErrorInternalServerError", "", BUSY | {"InnerErrorResponseCode": "ErrorServerBusy"}
            ),
        )
    ),
    "503": Reply("wait", 503, {"Retry-After": "2"}),
    "429": Reply("wait", 429, {"Retry-After": "2"}),
    "502": Reply("<html>bad gateway</html>", 502),
    "store": Reply(response("SyncFolderItems", failure("SyncFolderItems", "ErrorMailboxStoreUnavailable"))),
    "dropped": Reply(drop=True),
    "cut": Reply(sync_page("s1", create(event("a"))), cut_after=200),
    "empty": Reply(b""),
    "no xml": Reply("it works!"),
    "truncated": Reply(sync_page("s1", create(event("a")))[:300]),
}


@pytest.mark.req("Y2")
@pytest.mark.parametrize("name", BUSY_ANSWERS)
def test_reads_are_tried_again(open_at: Open, name: str) -> None:
    """A read that met a transient failure is tried again, up to four times in all."""
    good = Reply(sync_page("s1", create(event("a"))))
    with Stub([BUSY_ANSWERS[name]] * 3 + [good]) as stub:
        mailbox = open_at(stub.url)
        assert mailbox.changes(Kind.EVENT).sync_state == "s1"
        assert mailbox.requests == 4
    with Stub([BUSY_ANSWERS[name]] * 4 + [good]) as stub:
        with pytest.raises(MailboxError) as caught:
            open_at(stub.url).changes(Kind.EVENT)
        assert caught.value.transient
        assert len(stub.asked) == 4


def test_the_servers_own_pause_is_kept(open_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries the server's own pause is waited for."""
    import stamina

    waited: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waited.append)
    stamina.set_testing(False)
    good = Reply(sync_page("s1"))
    with Stub([BUSY_ANSWERS["fault"], BUSY_ANSWERS["503"], good]) as stub:
        open_at(stub.url).changes(Kind.EVENT)
    assert [round(seconds, 1) for seconds in waited] == [1.5, 2.0]


def test_a_long_pause_is_not_waited_for(open_at: Open) -> None:
    """A pause longer than a minute goes up with the error: asking again earlier would prolong it."""
    with Stub([Reply(fault("ErrorServerBusy", "busy", {"BackOffMilliseconds": "300000"}), 500)]) as stub:
        with pytest.raises(ServerBusy) as caught:
            open_at(stub.url).changes(Kind.EVENT)
        assert caught.value.back_off_seconds == 300
        assert len(stub.asked) == 1


@pytest.mark.req("T2")
@pytest.mark.parametrize(
    "answer",
    [
        Reply("", 401, {"WWW-Authenticate": "Basic"}),
        Reply("", 403),
        Reply("", 404),
        Reply(fault("ErrorImpersonateUserDenied"), 500),
        Reply(fault("ErrorInvalidServerVersion"), 500),
        Reply(response("SyncFolderItems", failure("SyncFolderItems", "ErrorAccessDenied"))),
        Reply(response("SyncFolderItems", failure("SyncFolderItems", "ErrorNonExistentMailbox"))),
    ],
    ids=["401", "403", "404", "impersonation", "version", "rights", "mailbox"],
)
def test_what_trying_again_cannot_mend_is_asked_once(open_at: Open, answer: Reply) -> None:
    """A wrong password, a missing right or a wrong URL is asked once: nobody is locked out."""
    with Stub([answer]) as stub:
        with pytest.raises(MailboxError) as caught:
            open_at(stub.url).changes(Kind.EVENT)
        assert not caught.value.transient
        assert len(stub.asked) == 1


# ── creating ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("Y2")
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Reply(drop=True), AnswerLost),
        (Reply(b""), AnswerLost),
        (Reply(items("CreateItem", event("a")), cut_after=150), AnswerLost),
        (Reply(items("CreateItem", event("a"))[:200]), AnswerLost),
        (Reply("<html>oops</html>", 500), AnswerLost),
        (Reply("<html>oops</html>", 502), AnswerLost),
        (Reply("<html>oops</html>", 504), AnswerLost),
        (Reply(fault("ErrorInternalServerError"), 500), AnswerLost),
        (Reply(fault("ErrorTimeoutExpired"), 500), AnswerLost),
        (Reply(fault("ErrorSchemaValidation"), 500), ServerFailed),
        (Reply(fault("ErrorServerBusy", "", BUSY), 500), ServerBusy),
        (Reply("", 503), ServerBusy),
        (Reply("", 403), AccessRefused),
        (Reply(response("CreateItem", failure("CreateItem", "ErrorServerBusy"))), ServerBusy),
    ],
)
def test_a_create_is_never_sent_twice(open_at: Open, answer: Reply, error: type[MailboxError]) -> None:
    """Whatever comes back, a create goes out once; where it may have been done, the error says AnswerLost."""
    with Stub([answer, Reply(items("CreateItem", event("a")))]) as stub:
        with pytest.raises(error):
            open_at(stub.url).create(Kind.EVENT, [CONTENT])
        assert len(stub.asked) == 1


def test_each_item_has_its_own_outcome(open_at: Open) -> None:
    """In a batch the good are made and the bad say why, in the order they were given."""
    answer = response(
        "CreateItem",
        success("CreateItem", f"<m:Items>{event('a')}</m:Items>"),
        failure("CreateItem", "ErrorCalendarEndDateIsEarlierThanStartDate", "EndDate is earlier than StartDate"),
        success("CreateItem", "<m:Items/>"),
        failure("CreateItem", "ErrorSomethingNew"),
    )
    with Stub([Reply(answer)]) as stub:
        outcomes = open_at(stub.url).create(Kind.EVENT, [CONTENT] * 6)
    assert outcomes[0] == Written("a", "ck-a")
    assert [type(outcome) for outcome in outcomes[1:]] == [ItemRefused, AnswerLost, ItemRefused, AnswerLost, AnswerLost]
    assert outcomes[1].response_code == "ErrorCalendarEndDateIsEarlierThanStartDate"
    assert outcomes[3].response_code == "ErrorSomethingNew"


def test_more_than_fifty_creates_are_refused(open_at: Open) -> None:
    """A create is one request of at most fifty; none is no request."""
    with Stub([]) as stub:
        mailbox = open_at(stub.url)
        with pytest.raises(InputError):
            mailbox.create(Kind.EVENT, [CONTENT] * 51)
        assert mailbox.create(Kind.EVENT, []) == []
        assert mailbox.requests == 0


def test_an_unknown_zone_is_noted_once(open_at: Open) -> None:
    """An event in a zone Exchange has no name for is made in UTC, and the mailbox notes it."""
    content = ItemContent(subject="x", when=AllDay(date(2026, 1, 1), date(2026, 1, 2)), time_zone="Mars/Olympus")
    with Stub([Reply(items("CreateItem", event("a"), event("b")))]) as stub:
        mailbox = open_at(stub.url)
        mailbox.create(Kind.EVENT, [content, content])
        assert len(mailbox.notes) == 1
        assert "Mars/Olympus" in mailbox.notes[0]


# ── updating and deleting ────────────────────────────────────────────────────────────────────────────────────────────
def test_updates_of_both_kinds_keep_their_order(open_at: Open) -> None:
    """Events and tasks go in requests of their own; the outcomes come in the order given; an empty update sends nothing."""

    def play(asked: Asked, number: int) -> Reply:
        ids = re.findall(rb'ItemId Id="([^"]+)"', asked.body)
        return Reply(items("UpdateItem", *(event(item_id.decode()) for item_id in ids)))

    subject = ItemContent(subject="x")
    updates = [
        ItemUpdate("t1", "c", Kind.TASK, subject),
        ItemUpdate("e1", "c", Kind.EVENT, subject),
        ItemUpdate("none", "c", Kind.EVENT, ItemContent(is_complete=True)),
        ItemUpdate("t2", "c", Kind.TASK, subject),
    ]
    with Stub(play) as stub:
        outcomes = open_at(stub.url).update(updates)
        assert len(stub.asked) == 2
    assert [outcome.item_id for outcome in outcomes] == ["t1", "e1", "none", "t2"]
    assert outcomes[2].change_key == "c"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ErrorIrresolvableConflict", ItemConflict),
        ("ErrorStaleObject", ItemConflict),
        ("ErrorChangeKeyRequiredForWriteOperations", ItemConflict),
        ("ErrorInvalidChangeKey", ItemConflict),
        ("ErrorItemNotFound", ItemGone),
        ("ErrorAccessDenied", AccessRefused),
        ("ErrorInternalServerError", ServerFailed),
    ],
)
def test_an_update_that_is_refused_says_so_alone(open_at: Open, code: str, error: type[MailboxError]) -> None:
    """A conflict, an item that is gone or a right that is missing is the outcome of that item, even when it is the only one."""
    with Stub([Reply(response("UpdateItem", failure("UpdateItem", code)))]) as stub:
        outcomes = open_at(stub.url).update([ItemUpdate("i", "c", Kind.EVENT, CONTENT)])
    assert [type(outcome) for outcome in outcomes] == [error]


def test_an_update_whose_answer_was_lost_is_not_repeated(open_at: Open) -> None:
    """An update that may have been done is not sent again; one the server was too busy for is."""
    with Stub([Reply(drop=True)]) as stub:
        with pytest.raises(AnswerLost):
            open_at(stub.url).update([ItemUpdate("i", "c", Kind.EVENT, CONTENT)])
        assert stub.unexpected == 0
    with Stub([Reply("", 503), Reply(items("UpdateItem", event("i")))]) as stub:
        assert open_at(stub.url).update([ItemUpdate("i", "c", Kind.EVENT, CONTENT)]) == [Written("i", "ck-i")]


def test_deleting_what_is_gone_is_done(open_at: Open) -> None:
    """An item that is gone already is deleted; a refusal stays a refusal."""
    answer = response(
        "DeleteItem",
        success("DeleteItem"),
        failure("DeleteItem", "ErrorItemNotFound"),
        failure("DeleteItem", "ErrorAccessDenied"),
    )
    with Stub([Reply(drop=True), Reply(answer)]) as stub:
        outcomes = open_at(stub.url).delete(Kind.EVENT, ["a", "b", "c"])
    assert outcomes[:2] == [None, None]
    assert isinstance(outcomes[2], AccessRefused)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _asked_ids(asked: Asked) -> list[str]:
    return [item_id.decode() for item_id in re.findall(rb'<t:ItemId Id="([^"]+)"', asked.body)]


def test_reading_goes_in_batches_of_fifty(open_at: Open) -> None:
    """120 items are three requests; each has its own outcome; a body that is empty was read all the same."""
    with Stub(lambda asked, number: Reply(items("GetItem", *map(event, _asked_ids(asked))))) as stub:
        outcomes = open_at(stub.url).read(Kind.EVENT, [f"i{n}" for n in range(120)])
        assert [len(_asked_ids(asked)) for asked in stub.asked] == [50, 50, 20]
    assert [item.item_id for item in outcomes] == [f"i{n}" for n in range(120)]
    assert outcomes[0].body == ""


def test_a_batch_the_server_has_no_time_for_is_read_in_small_ones(open_at: Open) -> None:
    """ErrorTimeoutExpired and stopped batches are read again ten at a time."""

    def play(asked: Asked, number: int) -> Reply:
        ids = _asked_ids(asked)
        if len(ids) > 10:
            tired = (
                failure("GetItem", "ErrorTimeoutExpired"),
                *(failure("GetItem", "ErrorBatchProcessingStopped") for _ in ids[1:]),
            )
            return Reply(response("GetItem", *tired))
        return Reply(items("GetItem", *map(event, ids)))

    with Stub(play) as stub:
        outcomes = open_at(stub.url).read(Kind.EVENT, [f"i{n}" for n in range(25)])
        assert len(stub.asked) == 4
    assert all(isinstance(outcome, Item) for outcome in outcomes)


def test_one_unreadable_item_does_not_stop_the_others(open_at: Open) -> None:
    """A damaged item, one that is gone and one of another kind are outcomes of their own."""
    answer = response(
        "GetItem",
        failure("GetItem", "ErrorItemCorrupt"),
        success("GetItem", f"<m:Items>{event('a')}</m:Items>"),
        failure("GetItem", "ErrorItemNotFound"),
        success("GetItem", '<m:Items><t:Message><t:ItemId Id="m"/></t:Message></m:Items>'),
    )
    with Stub([Reply(answer)]) as stub:
        outcomes = open_at(stub.url).read(Kind.EVENT, ["x", "a", "y", "m"])
    assert [type(outcome) for outcome in outcomes] == [ItemRefused, Item, ItemGone, ItemRefused]


def test_what_is_about_the_whole_mailbox_is_raised(open_at: Open) -> None:
    """Every item answered with 'no such mailbox' is one error of the request, not fifty of items."""
    answer = response("GetItem", *(failure("GetItem", "ErrorNonExistentMailbox") for _ in range(3)))
    with Stub([Reply(answer)]) as stub, pytest.raises(MailboxMissing):
        open_at(stub.url).read(Kind.EVENT, ["a", "b", "c"])


def test_masters_are_asked_by_their_occurrence(open_at: Open) -> None:
    """The master of an occurrence is one GetItem with RecurringMasterItemId."""
    master = event("m", more="<t:CalendarItemType>RecurringMaster</t:CalendarItemType>")
    with Stub([Reply(items("GetItem", master))]) as stub:
        outcomes = open_at(stub.url).master_of(["o1"])
        assert b'RecurringMasterItemId OccurrenceId="o1"' in stub.asked[0].body
    assert (outcomes[0].item_id, outcomes[0].item_type) == ("m", ItemType.MASTER)


# ── the view ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def timed(item_id: str, start: datetime, end: datetime, more: str = "") -> str:
    return event(item_id, more=more, start=f"{start:%Y-%m-%dT%H:%M:%SZ}", end=f"{end:%Y-%m-%dT%H:%M:%SZ}")


def test_the_edges_of_the_window_are_ours(open_at: Open) -> None:
    """What ends as the window starts, or starts as it ends, is out; what has no length at its start is in: whatever the server gives."""
    hour = timedelta(hours=1)
    answer = found(
        timed("ends at start", WINDOW.start - hour, WINDOW.start),
        timed("over start", WINDOW.start - hour, WINDOW.start + hour),
        timed("no length at start", WINDOW.start, WINDOW.start),
        timed("inside", WINDOW.start + hour, WINDOW.end - hour),
        timed("over end", WINDOW.end - hour, WINDOW.end + hour),
        timed("starts at end", WINDOW.end, WINDOW.end + hour),
        timed("around", WINDOW.start - hour, WINDOW.end + hour),
    )
    with Stub([Reply(answer)]) as stub:
        view = open_at(stub.url).view(WINDOW)
    assert [item.item_id for item in view.items] == ["over start", "no length at start", "inside", "over end", "around"]
    assert view.is_expanded


def _asked_window(asked: Asked) -> tuple[datetime, datetime]:
    start, end = re.findall(rb'(?:Start|End)Date="([^"]+)"', asked.body)
    return tuple(datetime.fromisoformat(value.decode()) for value in (start, end))  # type: ignore[return-value]


@pytest.mark.parametrize("refusal", ["ErrorExceededFindCountLimit", "ErrorCalendarViewRangeTooBig", "not the last"])
def test_a_view_too_big_is_halved(open_at: Open, refusal: str) -> None:
    """Where the server cannot give the whole window it is halved until it can; nothing is missing and nothing twice."""
    hours = [WINDOW.start + timedelta(hours=n) for n in range(96)]

    def play(asked: Asked, number: int) -> Reply:
        start, end = _asked_window(asked)
        inside = [moment for moment in hours if moment < end and moment + timedelta(hours=2) > start]
        if len(inside) <= 20:
            return Reply(found(*(timed(f"i{moment:%d%H}", moment, moment + timedelta(hours=2)) for moment in inside)))
        if refusal == "not the last":
            return Reply(
                found(
                    *(timed(f"i{moment:%d%H}", moment, moment + timedelta(hours=2)) for moment in inside[:20]),
                    is_last=False,
                )
            )
        return Reply(response("FindItem", failure("FindItem", refusal)))

    with Stub(play) as stub:
        view = open_at(stub.url).view(WINDOW)
    assert sorted(item.item_id for item in view.items) == sorted(f"i{moment:%d%H}" for moment in hours)


def test_a_view_that_is_refused_however_small_ends(open_at: Open) -> None:
    """A server that refuses even a minute is not asked for ever."""
    with Stub(
        lambda asked, number: Reply(response("FindItem", failure("FindItem", "ErrorExceededFindCountLimit")))
    ) as stub:
        with pytest.raises(ServerBusy):
            open_at(stub.url).view(WINDOW)
        assert len(stub.asked) < 30


def test_an_event_that_cannot_be_named_leaves_the_view_open(open_at: Open) -> None:
    """An event without an id in the view means that nothing is concluded from what is missing; the next view is judged anew."""
    nameless = "<t:CalendarItem><t:Subject>no id</t:Subject></t:CalendarItem>"
    with Stub([Reply(found(event("a"), nameless)), Reply(found(event("a")))]) as stub:
        mailbox = open_at(stub.url)
        view = mailbox.view(WINDOW)
        assert ([item.item_id for item in view.items], view.is_expanded) == (["a"], False)
        assert mailbox.view(WINDOW).is_expanded


@pytest.mark.parametrize("inside", ["", "<m:Other/>"])
def test_a_search_without_a_result_is_no_empty_one(open_at: Open, inside: str) -> None:
    """An answer that says NoError and nothing else is a failure: 'nothing there' would delete here and make twice there."""
    with Stub(lambda asked, number: Reply(response("FindItem", success("FindItem", inside)))) as stub:
        mailbox = open_at(stub.url)
        with pytest.raises(ServerFailed):
            mailbox.view(WINDOW)
        with pytest.raises(ServerFailed):
            mailbox.find_stamps(Kind.EVENT, ["k"])


def test_masters_in_a_view_mean_it_is_not_expanded(open_at: Open) -> None:
    """Where a server lists masters, nothing is concluded from a missing occurrence, then or later."""
    master = event(
        "m",
        more="<t:CalendarItemType>RecurringMaster</t:CalendarItemType>",
        start="2020-01-01T10:00:00Z",
        end="2020-01-01T11:00:00Z",
    )
    with Stub([Reply(found(master, event("a"))), Reply(found(event("a")))]) as stub:
        mailbox = open_at(stub.url)
        view = mailbox.view(WINDOW)
        assert [item.item_id for item in view.items] == ["m", "a"]
        assert not view.is_expanded
        assert not mailbox.view(WINDOW).is_expanded


# ── stamps ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def stamped(item_id: str, stamp: str) -> str:
    from ops_lib.mailbox import STAMP_NAME, STAMP_PROPERTY_SET

    return event(
        item_id,
        more=f'<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="{STAMP_PROPERTY_SET}" PropertyName="{STAMP_NAME}" PropertyType="String"/>'
        f"<t:Value>{stamp}</t:Value></t:ExtendedProperty>",
    )


def test_stamps_are_looked_up_fifty_at_a_time_over_all_pages(open_at: Open) -> None:
    """60 stamps are two searches; pages are followed; copies of one stamp come together; what is not there is missing."""

    def play(asked: Asked, number: int) -> Reply:
        return [
            Reply(found(stamped("a", "k00"), stamped("b", "k01"), is_last=False, offset=2)),
            Reply(found(stamped("c", "k01"))),
            Reply(found()),
        ][number]

    with Stub(play) as stub:
        hits = open_at(stub.url).find_stamps(Kind.EVENT, [f"k{n:02}" for n in range(60)])
        assert [asked.body.count(b"<t:IsEqualTo>") for asked in stub.asked] == [50, 50, 10]
        assert b'Offset="2"' in stub.asked[1].body
    assert {stamp: [item.item_id for item in found_items] for stamp, found_items in hits.items()} == {
        "k00": ["a"],
        "k01": ["b", "c"],
    }


def test_a_hit_without_its_stamp_is_read(open_at: Open) -> None:
    """A server that finds an item but does not list the stamp is asked for the item: 'not there' would make it twice."""
    with Stub([Reply(found(event("a"))), Reply(items("GetItem", stamped("a", "k1")))]) as stub:
        assert [item.item_id for item in open_at(stub.url).find_stamps(Kind.EVENT, ["k1"])["k1"]] == ["a"]


def test_pages_of_a_search_do_not_loop(open_at: Open) -> None:
    """A search whose next page begins where the last did is given up."""
    with Stub(lambda asked, number: Reply(found(is_last=False, offset=0))) as stub:
        with pytest.raises(ServerFailed, match="do not come to an end"):
            open_at(stub.url).find_stamps(Kind.EVENT, ["k"])
        assert len(stub.asked) == 1
