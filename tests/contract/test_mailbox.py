"""The contract of `ops_lib.mailbox`, run against every implementation with an Exchange organisation behind it.

A new implementation adds itself to ``WAYS``; not one test says how a mailbox speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import stamina

from ops_lib.errors import (
    AccessRefused,
    AnswerLost,
    ItemConflict,
    ItemGone,
    MailboxError,
    MailboxMissing,
    ServerBusy,
    SignInRefused,
    SyncStateInvalid,
)
from ops_lib.mailbox import ItemContent, ItemUpdate, Mailbox, open_mailbox
from ops_lib.model import Account, AllDay, Host, Item, ItemType, Kind, Timed, Window, Written
from tests.support.sandbox import ALICE, BOB, SERVICE

if TYPE_CHECKING:
    from ops_lib.sandbox.server import Sandbox

UTC_NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(datetime(2026, 11, 20, 5, tzinfo=UTC), datetime(2027, 4, 1, 4, tzinfo=UTC))
TOUR = Timed(datetime(2026, 11, 24, 15, tzinfo=UTC), datetime(2026, 11, 24, 16, tzinfo=UTC))
NEXT_DAY = AllDay(date(2026, 11, 24), date(2026, 11, 25))


def host_of(sandbox: Sandbox, way: str) -> Host:
    """The host each way of signing in has: all lead to the same mailboxes."""
    common = {"host_id": "h1", "name": "Example", "secret": "env:SECRET", "version": "2016"}
    if way == "ews basic impersonation":
        return Host(url=sandbox.ews_url, auth="basic", access="impersonation", service_user=SERVICE, **common)
    if way == "ews basic direct":
        return Host(url=sandbox.ews_url, auth="basic", access="direct", **common)
    return Host(
        url=sandbox.ews_url_https,
        auth="oauth-app",
        access="impersonation",
        ca_bundle=str(sandbox.ca_file),
        authority=sandbox.entra_url,
        tenant_id=sandbox.directory.tenant_id,
        client_id=sandbox.app.client_id,
        **common,
    )


WAYS = ("ews basic impersonation", "ews basic direct", "ews oauth-app")

Opener = Callable[..., Mailbox]


@pytest.fixture(autouse=True)
def _no_sleep() -> Iterator[None]:
    from ops_lib.mailbox.ews.transport import close_connections

    with stamina.set_testing(True, attempts=4):
        yield
    close_connections()


@pytest.fixture(params=WAYS)
def opener(request: pytest.FixtureRequest, sandbox: Sandbox) -> Opener:
    """``opener(address)``: the mailbox of an address, signed in each way."""

    def opened(address: str = ALICE, **changes: Any) -> Mailbox:
        host = replace(host_of(sandbox, request.param), **changes)
        account = Account(
            account_id="a1",
            host_id="h1",
            user_id="u1",
            user_email=address,
            mailbox=address,
            time_zone="America/New_York",
        )
        signs_in = (
            sandbox.app.secret
            if host.auth == "oauth-app"
            else sandbox.passwords.get(SERVICE if host.service_user else address, "x")
        )
        return open_mailbox(host, account, lambda reference: signs_in, 10.0)

    return opened


@pytest.fixture
def mailbox(opener: Opener) -> Mailbox:
    return opener()


def event_content(subject: str = "Tour", stamp: str | None = None, **more: Any) -> ItemContent:
    values: dict[str, Any] = {"when": TOUR, "time_zone": "America/New_York", "has_reminder": False} | more
    return ItemContent(subject=subject, stamp=stamp, **values)


def task_content(subject: str = "Call", stamp: str | None = None, **more: Any) -> ItemContent:
    return ItemContent(subject=subject, stamp=stamp, **({"when": NEXT_DAY, "is_complete": False} | more))


def content_of(kind: Kind, subject: str, stamp: str | None = None) -> ItemContent:
    return event_content(subject, stamp) if kind is Kind.EVENT else task_content(subject, stamp)


def weekly_series(sandbox: Sandbox, address: str) -> None:
    """What an Outlook user does: a meeting with oneself each Tuesday at nine in New York, over the change to daylight saving."""
    from ops_lib.sandbox.recurrence import Numbered, Recurrence, Weekly

    start = datetime(2027, 2, 2, 14, tzinfo=UTC)
    sandbox.organisation.create_item(
        address,
        "calendar",
        {
            "item:Subject": "Rounds",
            "calendar:Start": start,
            "calendar:End": start + HOUR,
            "calendar:StartTimeZone": "Eastern Standard Time",
            "calendar:EndTimeZone": "Eastern Standard Time",
            "calendar:Recurrence": Recurrence(Weekly(1, ("Tuesday",)), Numbered(start.date(), 12)),
        },
    )


def made(outcomes: list[Written | MailboxError]) -> list[Written]:
    """The outcomes, all of which must be items made."""
    assert all(isinstance(outcome, Written) for outcome in outcomes), outcomes
    return outcomes  # type: ignore[return-value]


def only(outcomes: list[Item | MailboxError]) -> Item:
    assert len(outcomes) == 1
    assert isinstance(outcomes[0], Item), outcomes
    return outcomes[0]


# ── what is written is what is read ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("C1")
def test_an_event_is_read_as_it_was_written(mailbox: Mailbox) -> None:
    """Subject, time, place, body, reminder and stamp of an event come back as they were written."""
    content = event_content("Tour with Müller & <Söhne> 🏡", "k1", location="Hall", body_html="<p>Hello</p>")
    [written] = made(mailbox.create(Kind.EVENT, [content]))
    item = only(mailbox.read(Kind.EVENT, [written.item_id]))
    assert (item.item_id, item.change_key, item.kind) == (written.item_id, written.change_key, Kind.EVENT)
    assert (item.subject, item.when, item.location, item.stamp) == (content.subject, TOUR, "Hall", "k1")
    assert (item.reminder_is_set, item.item_type, item.is_cancelled, item.is_private) == (
        False,
        ItemType.SINGLE,
        False,
        False,
    )
    assert item.body is not None
    assert "Hello" in item.body
    assert item.body_is_html
    assert item.uid
    assert item.oddities == ()


@pytest.mark.req("O6")
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Pacific/Auckland", "UTC", "Mars/Olympus"])
def test_an_all_day_event_stays_on_its_date(mailbox: Mailbox, zone: str) -> None:
    """An all-day event made in any zone, or in one Exchange has no name for, is read on its date."""
    [written] = made(mailbox.create(Kind.EVENT, [event_content(when=NEXT_DAY, time_zone=zone)]))
    assert only(mailbox.read(Kind.EVENT, [written.item_id])).when == NEXT_DAY


@pytest.mark.req("C3")
def test_a_task_is_read_as_it_was_written(mailbox: Mailbox) -> None:
    """Subject, date, body, completion and stamp of a task come back as they were written."""
    [written, done] = made(
        mailbox.create(
            Kind.TASK, [task_content("Call", "k1", body_html="<p>Hello</p>"), task_content("Done", is_complete=True)]
        )
    )
    item = only(mailbox.read(Kind.TASK, [written.item_id]))
    assert (item.kind, item.subject, item.when, item.stamp, item.is_complete) == (
        Kind.TASK,
        "Call",
        NEXT_DAY,
        "k1",
        False,
    )
    assert "Hello" in (item.body or "")
    assert only(mailbox.read(Kind.TASK, [done.item_id])).is_complete


def test_updating_changes_what_is_named_and_nothing_else(mailbox: Mailbox) -> None:
    """An update of the title leaves times, place, body and stamp; each further one changes its own property."""
    content = event_content("Old", "k1", location="Hall", body_html="<p>Hello</p>")
    [first] = made(mailbox.create(Kind.EVENT, [content]))
    [second] = made(
        mailbox.update([ItemUpdate(first.item_id, first.change_key, Kind.EVENT, ItemContent(subject="New"))])
    )
    item = only(mailbox.read(Kind.EVENT, [first.item_id]))
    assert (item.subject, item.when, item.location, item.stamp) == ("New", TOUR, "Hall", "k1")
    assert "Hello" in (item.body or "")
    assert item.change_key == second.change_key != first.change_key
    later = Timed(TOUR.start + HOUR, TOUR.end + HOUR)
    [third] = made(
        mailbox.update(
            [
                ItemUpdate(
                    first.item_id,
                    second.change_key,
                    Kind.EVENT,
                    ItemContent(when=later, location="", time_zone="Asia/Kolkata"),
                )
            ]
        )
    )
    item = only(mailbox.read(Kind.EVENT, [first.item_id]))
    assert (item.subject, item.when, item.location) == ("New", later, "")
    assert item.change_key == third.change_key


def test_an_event_can_become_all_day_and_back(mailbox: Mailbox) -> None:
    """An update may turn a timed event into whole days, and back."""
    [written] = made(mailbox.create(Kind.EVENT, [event_content()]))
    for when in (NEXT_DAY, TOUR):
        [written] = made(
            mailbox.update(
                [
                    ItemUpdate(
                        written.item_id,
                        written.change_key,
                        Kind.EVENT,
                        ItemContent(when=when, time_zone="America/New_York"),
                    )
                ]
            )
        )
        assert only(mailbox.read(Kind.EVENT, [written.item_id])).when == when


def test_a_task_is_completed_and_reopened(mailbox: Mailbox) -> None:
    """An update completes a task, moves it and opens it again."""
    [written] = made(mailbox.create(Kind.TASK, [task_content()]))
    for is_complete in (True, False):
        [written] = made(
            mailbox.update(
                [ItemUpdate(written.item_id, written.change_key, Kind.TASK, ItemContent(is_complete=is_complete))]
            )
        )
        assert only(mailbox.read(Kind.TASK, [written.item_id])).is_complete is is_complete


def test_an_update_of_an_old_version_is_a_conflict(mailbox: Mailbox) -> None:
    """Who writes over a version that is no longer the current one is told, and nothing is written."""
    [first] = made(mailbox.create(Kind.EVENT, [event_content("Old")]))
    made(mailbox.update([ItemUpdate(first.item_id, first.change_key, Kind.EVENT, ItemContent(subject="Theirs"))]))
    outcomes = mailbox.update([ItemUpdate(first.item_id, first.change_key, Kind.EVENT, ItemContent(subject="Ours"))])
    assert [type(outcome) for outcome in outcomes] == [ItemConflict]
    assert only(mailbox.read(Kind.EVENT, [first.item_id])).subject == "Theirs"


@pytest.mark.parametrize("kind", Kind)
def test_what_is_gone_is_gone(mailbox: Mailbox, kind: Kind) -> None:
    """A deleted item cannot be read or updated; deleting it again is done; its neighbours are untouched."""
    gone, stays = made(mailbox.create(kind, [content_of(kind, "a"), content_of(kind, "b")]))
    assert mailbox.delete(kind, [gone.item_id]) == [None]
    assert mailbox.delete(kind, [gone.item_id]) == [None]
    outcomes = mailbox.read(kind, [gone.item_id, stays.item_id])
    assert isinstance(outcomes[0], ItemGone)
    assert isinstance(outcomes[1], Item)
    [updated] = mailbox.update([ItemUpdate(gone.item_id, gone.change_key, kind, ItemContent(subject="x"))])
    assert isinstance(updated, ItemGone)


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("kind", Kind)
def test_changes_since_a_state(mailbox: Mailbox, kind: Kind) -> None:
    """From nothing everything is read; then what was made, changed and deleted since, once; then nothing."""
    a, b = made(mailbox.create(kind, [content_of(kind, "a", "ka"), content_of(kind, "b")]))
    first = mailbox.changes(kind)
    assert {item.item_id: (item.subject, item.stamp) for item in first.items} == {
        a.item_id: ("a", "ka"),
        b.item_id: ("b", ""),
    }
    assert (first.deleted, first.unreadable) == ([], [])
    assert mailbox.changes(kind, first.sync_state).items == []
    made(mailbox.update([ItemUpdate(a.item_id, a.change_key, kind, ItemContent(subject="a2"))]))
    mailbox.delete(kind, [b.item_id])
    [c] = made(mailbox.create(kind, [content_of(kind, "c")]))
    second = mailbox.changes(kind, first.sync_state)
    assert {item.item_id: item.subject for item in second.items} == {a.item_id: "a2", c.item_id: "c"}
    assert second.deleted == [b.item_id]
    third = mailbox.changes(kind, second.sync_state)
    assert (third.items, third.deleted) == ([], [])


def test_the_folders_have_states_of_their_own(mailbox: Mailbox) -> None:
    """Tasks are no events: each folder tells its own changes."""
    made(mailbox.create(Kind.EVENT, [event_content()]))
    made(mailbox.create(Kind.TASK, [task_content()]))
    assert [item.kind for item in mailbox.changes(Kind.EVENT).items] == [Kind.EVENT]
    assert [item.kind for item in mailbox.changes(Kind.TASK).items] == [Kind.TASK]


def test_a_state_nobody_gave_is_refused(mailbox: Mailbox) -> None:
    """A sync state the server does not know is an error, never an empty answer."""
    with pytest.raises(SyncStateInvalid):
        mailbox.changes(Kind.EVENT, "bm8gc3VjaCBzdGF0ZQ==")


def test_everything_there_is_in_pages(mailbox: Mailbox, sandbox: Sandbox) -> None:
    """More than a page of items is read completely, each once, in as few requests as the protocol's pages allow."""
    for start in range(0, 600, 50):
        made(mailbox.create(Kind.EVENT, [event_content(f"e{number}") for number in range(start, start + 50)]))
    before = mailbox.requests
    changes = mailbox.changes(Kind.EVENT)
    assert sorted(item.subject for item in changes.items) == sorted(f"e{number}" for number in range(600))
    assert len({item.item_id for item in changes.items}) == 600
    assert mailbox.requests - before == 2


# ── the view ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_view_is_what_touches_the_window(mailbox: Mailbox) -> None:
    """Events that touch the window are in it: not those that end as it starts, nor those that start as it ends."""
    times = {
        "ends at start": (WINDOW.start - HOUR, WINDOW.start),
        "over start": (WINDOW.start - HOUR, WINDOW.start + HOUR),
        "no length at start": (WINDOW.start, WINDOW.start),
        "inside": (WINDOW.start + HOUR, WINDOW.start + 2 * HOUR),
        "over end": (WINDOW.end - HOUR, WINDOW.end + HOUR),
        "starts at end": (WINDOW.end, WINDOW.end + HOUR),
    }
    made(mailbox.create(Kind.EVENT, [event_content(name, when=Timed(*when)) for name, when in times.items()]))
    view = mailbox.view(WINDOW)
    assert sorted(item.subject for item in view.items) == sorted(
        ["over start", "no length at start", "inside", "over end"]
    )
    assert view.is_expanded


@pytest.mark.req("O5")
def test_a_series_shows_every_occurrence(mailbox: Mailbox, sandbox: Sandbox) -> None:
    """A series is one master among the changes and its occurrences in the view, which lead back to it."""
    weekly_series(sandbox, ALICE)
    [master] = mailbox.changes(Kind.EVENT).items
    assert master.item_type is ItemType.MASTER
    view = mailbox.view(WINDOW)
    assert {item.item_type for item in view.items} == {ItemType.OCCURRENCE}
    assert len({item.item_id for item in view.items}) == len(view.items) > 4
    assert {item.uid for item in view.items} == {master.uid}
    assert [item.original_start for item in view.items] == [
        item.when.start for item in view.items if isinstance(item.when, Timed)
    ]
    outcomes = mailbox.master_of([view.items[0].item_id, view.items[-1].item_id])
    assert [outcome.item_id for outcome in outcomes if isinstance(outcome, Item)] == [master.item_id] * 2


@pytest.mark.req("O5")
def test_what_is_computed_is_what_the_view_shows(mailbox: Mailbox, sandbox: Sandbox) -> None:
    """A series computed from its master has the occurrences that the view shows, moved and deleted ones as they are."""
    weekly_series(sandbox, ALICE)
    [master] = mailbox.changes(Kind.EVENT).items
    before = sorted(mailbox.view(WINDOW).items, key=lambda item: item.original_start or UTC_NOW)
    moved, removed = before[1], before[2]
    later = Timed(moved.when.start + HOUR, moved.when.end + HOUR)  # type: ignore[union-attr]
    content = ItemContent(subject="Moved", when=later, time_zone="America/New_York")
    made(mailbox.update([ItemUpdate(moved.item_id, moved.change_key, Kind.EVENT, content)]))
    assert mailbox.delete(Kind.EVENT, [removed.item_id]) == [None]

    def told(items: Sequence[Item]) -> list[tuple[object, ...]]:
        return sorted((i.original_start, i.when.start, i.when.end, i.item_type, i.subject, i.uid) for i in items)  # type: ignore[union-attr]

    [computed] = mailbox.expand([master.item_id], WINDOW)
    assert not isinstance(computed, MailboxError)
    assert told(computed) == told(mailbox.view(WINDOW).items)
    [read] = mailbox.read(Kind.EVENT, [computed[0].item_id])
    assert read == computed[0]
    [under_own_ids] = mailbox.expand([master.item_id], WINDOW, with_own_ids=True)
    assert not isinstance(under_own_ids, MailboxError)
    assert told(under_own_ids) == told(computed)
    shown = {item.item_id: item.change_key for item in mailbox.view(WINDOW).items}
    known = [(item.original_start, shown[item.item_id]) for item in under_own_ids if item.item_id in shown]
    changed_keys = {item.original_start: item.change_key for item in under_own_ids}
    assert known == [(moved.original_start, changed_keys[moved.original_start])]
    [gone] = mailbox.expand(["computed:none"], WINDOW)
    assert isinstance(gone, MailboxError)


def test_one_occurrence_is_changed_or_removed_alone(mailbox: Mailbox, sandbox: Sandbox) -> None:
    """Updating one occurrence makes it an exception, deleting one leaves the others."""
    weekly_series(sandbox, ALICE)
    before = sorted(mailbox.view(WINDOW).items, key=lambda item: item.original_start or UTC_NOW)
    moved, removed = before[1], before[2]
    later = Timed(moved.when.start + HOUR, moved.when.end + HOUR)  # type: ignore[union-attr]
    made(
        mailbox.update(
            [
                ItemUpdate(
                    moved.item_id, moved.change_key, Kind.EVENT, ItemContent(when=later, time_zone="America/New_York")
                )
            ]
        )
    )
    assert mailbox.delete(Kind.EVENT, [removed.item_id]) == [None]
    after = sorted(mailbox.view(WINDOW).items, key=lambda item: item.original_start or UTC_NOW)
    assert len(after) == len(before) - 1
    exception = next(item for item in after if item.item_type is ItemType.EXCEPTION)
    assert (exception.when, exception.original_start) == (later, moved.original_start)
    assert removed.original_start not in {item.original_start for item in after}


# ── stamps ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("Y2")
@pytest.mark.parametrize("kind", Kind)
def test_stamps_are_found(mailbox: Mailbox, kind: Kind) -> None:
    """Items are found by their stamp, copies together, in any number; what nobody carries is missing; the other kind is not looked at."""
    made(mailbox.create(kind, [content_of(kind, f"s{number}", f"k{number % 55}") for number in range(50)]))
    made(mailbox.create(kind, [content_of(kind, f"s{number}", f"k{number % 55}") for number in range(50, 60)]))
    found = mailbox.find_stamps(kind, [*(f"k{number}" for number in range(60)), "nobody"])
    assert set(found) == {f"k{number}" for number in range(55)}
    assert sorted(item.subject for item in found["k3"]) == ["s3", "s58"]
    assert [item.subject for item in found["k30"]] == ["s30"]
    assert mailbox.find_stamps(kind, []) == {}
    other = Kind.TASK if kind is Kind.EVENT else Kind.EVENT
    assert mailbox.find_stamps(other, ["k1"]) == {}


# ── nobody is mailed ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("C9")
def test_nobody_is_mailed(mailbox: Mailbox, sandbox: Sandbox) -> None:
    """Making, changing and removing items sends nobody anything."""
    [written] = made(mailbox.create(Kind.EVENT, [event_content()]))
    [written] = made(
        mailbox.update([ItemUpdate(written.item_id, written.change_key, Kind.EVENT, ItemContent(subject="x"))])
    )
    mailbox.delete(Kind.EVENT, [written.item_id])
    assert sandbox.organisation.outbox == []


# ── who may not, and what breaks ─────────────────────────────────────────────────────────────────────────────────────
def test_an_address_without_a_mailbox(opener: Opener, sandbox: Sandbox, request: pytest.FixtureRequest) -> None:
    """Nobody's address is no mailbox (signing in as nobody is refused at the door)."""
    is_direct = "direct" in request.node.callspec.params["opener"]
    with pytest.raises(SignInRefused if is_direct else MailboxMissing):
        opener("nobody@example.test").changes(Kind.EVENT)


def test_a_lost_answer_is_said(mailbox: Mailbox, sandbox: Sandbox) -> None:
    """A create whose answer is lost was done, is sent once, raises AnswerLost, and is found by its stamp."""
    sandbox.faults.add({"operation": "CreateItem", "nth": 1, "fault": {"drop": "after"}})
    with pytest.raises(AnswerLost):
        mailbox.create(Kind.EVENT, [event_content(stamp="k1")])
    assert sandbox.requests.total("CreateItem") == 1
    assert len(mailbox.find_stamps(Kind.EVENT, ["k1"])["k1"]) == 1


def test_a_request_that_never_arrived_was_not_done(mailbox: Mailbox, sandbox: Sandbox) -> None:
    """A create whose request was dropped raises AnswerLost as well, and its stamp is nowhere."""
    sandbox.faults.add({"operation": "CreateItem", "nth": 1, "fault": {"drop": "before"}})
    with pytest.raises(AnswerLost):
        mailbox.create(Kind.EVENT, [event_content(stamp="k1")])
    assert mailbox.find_stamps(Kind.EVENT, ["k1"]) == {}


def test_reads_survive_a_busy_server(mailbox: Mailbox, sandbox: Sandbox) -> None:
    """A read met by a busy server is tried again; one that stays busy says so."""
    made(mailbox.create(Kind.EVENT, [event_content()]))
    sandbox.faults.add(
        {
            "operation": "SyncFolderItems",
            "nth": 1,
            "fault": {"response_code": "ErrorServerBusy", "back_off_milliseconds": 100},
        }
    )
    assert len(mailbox.changes(Kind.EVENT).items) == 1
    sandbox.faults.add(
        {"operation": "SyncFolderItems", "fault": {"response_code": "ErrorServerBusy", "back_off_milliseconds": 100}}
    )
    with pytest.raises(ServerBusy) as caught:
        mailbox.changes(Kind.EVENT)
    assert caught.value.back_off_seconds == 0.1


def test_requests_are_counted(mailbox: Mailbox, sandbox: Sandbox) -> None:
    """Every request that reached the server is counted, and the answers' bytes."""
    mailbox.changes(Kind.EVENT)
    mailbox.changes(Kind.TASK)
    mailbox.view(WINDOW)
    assert mailbox.requests == 3
    assert mailbox.bytes_received > 0
    assert mailbox.address == ALICE


# ── rights that are the way's own ────────────────────────────────────────────────────────────────────────────────────
def basic_host(sandbox: Sandbox, **changes: Any) -> Host:
    return replace(host_of(sandbox, WAYS[0]), **changes)


def account_of(address: str) -> Account:
    return Account(
        account_id="a1", host_id="h1", user_id="u1", user_email=address, mailbox=address, time_zone="America/New_York"
    )


def test_a_wrong_password_is_refused_and_asked_once(sandbox: Sandbox) -> None:
    """A wrong password is SignInRefused after one request."""
    mailbox = open_mailbox(basic_host(sandbox), account_of(ALICE), lambda reference: "wrong", 10.0)
    with pytest.raises(SignInRefused):
        mailbox.changes(Kind.EVENT)
    assert mailbox.requests == 1


def test_impersonation_without_the_right_is_refused(sandbox: Sandbox) -> None:
    """An account that may not impersonate is told so by Exchange's own code."""
    host = basic_host(sandbox, service_user=BOB)
    mailbox = open_mailbox(host, account_of(ALICE), lambda reference: sandbox.passwords[BOB], 10.0)
    with pytest.raises(AccessRefused) as caught:
        mailbox.changes(Kind.EVENT)
    assert caught.value.response_code == "ErrorImpersonateUserDenied"


@pytest.mark.parametrize(("level", "may_write"), [("Reviewer", False), ("Editor", True)])
def test_a_delegate_works_in_the_other_mailbox(sandbox: Sandbox, level: str, may_write: bool) -> None:
    """A delegate reads and, as Editor, writes the owner's calendar; never their own, and not without the right."""
    sandbox.organisation.set_permission(ALICE, "calendar", SERVICE, level)
    host = basic_host(sandbox, access="delegate")
    delegate = open_mailbox(host, account_of(ALICE), lambda reference: sandbox.passwords[SERVICE], 10.0)
    owner = open_mailbox(
        basic_host(sandbox, access="direct"), account_of(ALICE), lambda reference: sandbox.passwords[ALICE], 10.0
    )
    [seen] = made(owner.create(Kind.EVENT, [event_content("Alice's")]))
    assert [item.item_id for item in delegate.changes(Kind.EVENT).items] == [seen.item_id]
    [outcome] = delegate.create(Kind.EVENT, [event_content("From the delegate")])
    if may_write:
        assert isinstance(outcome, Written)
        assert {item.subject for item in owner.changes(Kind.EVENT).items} == {"Alice's", "From the delegate"}
    else:
        assert isinstance(outcome, AccessRefused)
        [refused] = delegate.update([ItemUpdate(seen.item_id, seen.change_key, Kind.EVENT, ItemContent(subject="x"))])
        assert isinstance(refused, AccessRefused)
        assert isinstance(delegate.delete(Kind.EVENT, [seen.item_id])[0], AccessRefused)
    with pytest.raises(MailboxError):
        open_mailbox(host, account_of(BOB), lambda reference: sandbox.passwords[SERVICE], 10.0).changes(Kind.EVENT)
