"""Meetings, over real HTTP: the user's own and other people's, answered, moved, called off; and that the sync mails nobody, ever.

`facts/peers.md` has the complaints: invitation spam, wrongful cancellations, a meeting seen twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ops_lib.database.engine import Database
from ops_lib.model import Activity, ActivityStatus, Origin, Timed
from ops_lib.sandbox import meetings
from ops_lib.sandbox.items import Attachment, Item
from ops_lib.sandbox.recurrence import Daily, Numbered, Recurrence
from ops_lib.sandbox.server import Sandbox
from ops_lib.sandbox.values import Body, Person
from tests.support.sandbox import ALICE, BOB, CAROL
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, at, days

OUTSIDE = "ruth@family.example"
GUESTS = {BOB: "Bob", CAROL: "Carol", ALICE: "Alice", OUTSIDE: "Ruth"}


@pytest.fixture
def desk(sandbox: Sandbox, sqlite_database: Database) -> ServerDesk:
    """Alice's account. Bob and carol are her colleagues and use nothing but Outlook."""
    sandbox.clock.set(NOW)
    return ServerDesk(sqlite_database, sandbox=sandbox)


def person(address: str) -> Person:
    """Somebody to be invited."""
    return Person(GUESTS[address], address)


def call(desk: ServerDesk, organizer: str, when: Timed, *guests: str, series: int = 0, **more: Any) -> Item:
    """Somebody calls a meeting in Outlook and sends it; ``series`` days in a row."""
    values = {
        "item:Subject": "Care plan",
        "item:Body": Body("Bring the file."),
        "calendar:Location": "Library",
        "calendar:Start": when.start,
        "calendar:End": when.end,
        "calendar:StartTimeZone": "UTC",
        "calendar:RequiredAttendees": [person(one) for one in guests],
    } | more
    if series:
        values["calendar:Recurrence"] = Recurrence(Daily(1), Numbered(when.start.date(), series))
    item = desk.sandbox.organisation.create_item(organizer, "calendar", values)
    meetings.invite(item)
    return item


def event(desk: ServerDesk, address: str = ALICE) -> Item:
    """The only event in a calendar."""
    [item] = desk.sandbox.organisation.mailbox(address).folder("calendar").items.values()
    return item


def add_guests(desk: ServerDesk, item: Item, *guests: str) -> None:
    """Alice adds attendees to an event in Outlook and sends it."""
    meetings.change(item, {"calendar:RequiredAttendees": [person(one) for one in guests]})


class Post:
    """What was mailed so far and what everybody else's mailbox holds: nothing of it may change by the sync's doing."""

    def __init__(self, desk: ServerDesk) -> None:
        self._organisation = desk.sandbox.organisation
        self._before = self._state()

    def _state(self) -> list[Any]:
        others = [
            (item.id, item.change) for box in (BOB, CAROL) for item in self._organisation.mailbox(box).items.values()
        ]
        inbox = list(self._organisation.mailbox(ALICE).folder("inbox").items)
        sent = list(self._organisation.mailbox(ALICE).folder("sentitems").items)
        return [list(self._organisation.sent), list(self._organisation.outbox), others, inbox, sent]

    def check(self) -> None:
        """Nobody was mailed, and nobody else's mailbox was touched."""
        assert self._state() == self._before


# ── what the CRM shows ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("O1", "O2")
@pytest.mark.parametrize(("organizer", "guest"), [(BOB, ALICE), (ALICE, BOB)])
def test_a_meeting_appears_with_its_people(desk: ServerDesk, organizer: str, guest: str) -> None:
    """The user's own meeting and one they were invited to appear once each, with organiser, attendees, place and notes."""
    call(desk, organizer, at(2, 10), guest, OUTSIDE)
    post = Post(desk)
    desk.settle()
    [activity] = desk.activities()
    assert (activity.description, activity.when, activity.location, activity.notes, activity.origin) == (
        "Care plan", at(2, 10), "Library", "Bring the file.", Origin.EXCHANGE,
    )  # fmt: skip
    assert activity.organizer == desk.sandbox.organisation.mailbox(organizer).name
    assert [one.partition("<")[0].strip() for one in activity.attendees] == [GUESTS[guest], GUESTS[OUTSIDE]]
    post.check()


@pytest.mark.req("O1", "C9")
@pytest.mark.parametrize("response", ["Accept", "Tentative"])
def test_an_answer_changes_nothing_in_the_crm(desk: ServerDesk, response: str) -> None:
    """The user answers an invitation: the activity stays as it is, and the answer is not undone by the next cycles."""
    call(desk, BOB, at(2, 10), ALICE)
    desk.settle()
    before = desk.activities()
    meetings.answer(event(desk), response)
    post = Post(desk)
    desk.settle()
    assert desk.activities() == before
    assert event(desk).values["calendar:MyResponseType"] == response
    post.check()


@pytest.mark.req("O3", "C9")
def test_a_declined_meeting_leaves_the_crm(desk: ServerDesk) -> None:
    """Outlook puts a declined meeting into Deleted Items: its activity is removed, and nobody hears of it from us."""
    call(desk, BOB, at(2, 10), ALICE)
    desk.settle()
    meetings.answer(event(desk), "Decline")
    post = Post(desk)
    desk.settle()
    assert desk.activities() == []
    post.check()


@pytest.mark.req("O1", "C9")
def test_other_peoples_answers_change_nothing(desk: ServerDesk) -> None:
    """Guests answer the user's own meeting and a CRM-born one: who comes changes in Outlook, nothing else does anywhere."""
    call(desk, ALICE, at(2, 10), BOB)
    tour = desk.add("Tour", at(3, 10))
    desk.settle()
    add_guests(desk, next(one for one in desk.stored() if one.values["item:Subject"] == "Tour"), BOB)
    desk.settle()
    before = [(a.activity_id, a.when, a.description, a.status) for a in desk.activities()]
    for item in list(desk.sandbox.organisation.mailbox(BOB).folder("calendar").items.values()):
        meetings.answer(item, "Accept")
    post = Post(desk)
    desk.settle()
    assert [(a.activity_id, a.when, a.description, a.status) for a in desk.activities()] == before
    assert tour in {a.activity_id for a in desk.activities()}
    answers = [one.response for item in desk.stored() for one in item.values["calendar:RequiredAttendees"]]
    assert answers == ["Accept", "Accept"]
    post.check()


@pytest.mark.req("O4", "C9")
@pytest.mark.parametrize("reschedule", ["replace", "update"])
def test_the_organisers_update_moves_the_activity(desk: ServerDesk, reschedule: str) -> None:
    """Somebody else moves their meeting: the same activity stands at the new time, whatever the host's rule, and is there once."""
    desk.reschedule = reschedule
    theirs = call(desk, BOB, at(2, 10), ALICE)
    desk.settle()
    [before] = desk.activities()
    meetings.change(
        theirs, {"calendar:Start": at(2, 15).start, "calendar:End": at(2, 15).end, "calendar:Location": "Garden"}
    )
    post = Post(desk)
    desk.settle()
    [after] = desk.activities()
    assert (after.activity_id, after.when, after.location) == (before.activity_id, at(2, 15), "Garden")
    post.check()


@pytest.mark.req("O3", "C9")
def test_a_cancelled_meeting_ends_its_activity_and_stays_in_outlook(desk: ServerDesk) -> None:
    """A meeting that its organiser calls off leaves the CRM; the marked event stays in Outlook until the user removes it, which changes nothing."""
    theirs = call(desk, BOB, at(2, 10), ALICE)
    desk.settle()
    meetings.cancel(theirs)
    post = Post(desk)
    desk.settle()
    assert desk.activities() == []
    assert event(desk).values["item:Subject"] == "Canceled: Care plan"
    post.check()
    desk.sandbox.organisation.delete_item(event(desk))
    desk.settle()
    assert desk.activities() == []


@pytest.mark.req("O3")
def test_a_meeting_cancelled_before_it_was_seen_never_appears(desk: ServerDesk) -> None:
    """What was called off before the first cycle is not shown, and nothing is done to it."""
    meetings.cancel(call(desk, BOB, at(2, 10), ALICE))
    desk.settle()
    assert desk.activities() == []
    assert event(desk).values["calendar:IsCancelled"] is True


@pytest.mark.req("O3", "C9")
def test_a_crm_born_event_cancelled_in_outlook_leaves_a_cancelled_activity(desk: ServerDesk) -> None:
    """The user calls off a visit with guests in Outlook: the activity becomes Cancelled, with a note that says so; its history stays."""
    tour = desk.add("Tour", at(2, 10))
    desk.settle()
    add_guests(desk, event(desk), BOB, OUTSIDE)
    desk.settle()
    meetings.cancel(event(desk))
    post = Post(desk)
    desk.settle()
    activity = desk.get(tour)
    assert (activity.status, activity.is_deleted) == (ActivityStatus.CANCELLED, False)
    assert "in Outlook on 2026-11-23" in activity.notes
    assert desk.stored() == []
    post.check()


@pytest.mark.req("O3")
def test_a_crm_born_event_marked_cancelled_in_place_is_cancelled(desk: ServerDesk) -> None:
    """A client that marks the event and leaves it in the calendar (as some do) cancels the activity once; the event is left to the user."""
    tour = desk.add("Tour", at(2, 10))
    desk.settle()
    desk.sandbox.organisation.update_item(event(desk), {"calendar:IsCancelled": True, "item:Subject": "Canceled: Tour"})
    desk.settle()
    activity = desk.get(tour)
    assert (activity.status, activity.description) == (ActivityStatus.CANCELLED, "Tour")
    assert event(desk).values["calendar:IsCancelled"] is True
    assert desk.cycle().requests == 2


# ── series of other people ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("O3", "O5", "C9")
def test_a_series_of_somebody_else_follows_its_organiser(desk: ServerDesk) -> None:
    """One occurrence moved, one called off, the rest left: the CRM shows exactly that; the end of the series ends all."""
    theirs = call(desk, BOB, at(1, 10), ALICE, series=4)
    desk.settle()
    first, second, _, fourth = desk.activities()
    meetings.change(theirs, {"calendar:Start": at(2, 14).start, "calendar:End": at(2, 14).end}, at(2, 10).start)
    meetings.cancel(theirs, at(3, 10).start)
    post = Post(desk)
    desk.settle()
    assert [(a.activity_id, a.when) for a in desk.activities()] == [
        (first.activity_id, at(1, 10)), (second.activity_id, at(2, 14)), (fourth.activity_id, at(4, 10)),
    ]  # fmt: skip
    post.check()
    meetings.cancel(theirs)
    post = Post(desk)
    desk.settle()
    assert desk.activities() == []
    post.check()


@pytest.mark.req("O5")
def test_two_single_occurrences_of_one_series_are_two_activities(desk: ServerDesk) -> None:
    """Invited to two occurrences only, the user has two single events with one UID: each has its activity, and each moves by itself."""
    theirs = call(desk, BOB, at(1, 10), CAROL, series=4)
    for day in (2, 3):
        meetings.change(theirs, {"calendar:RequiredAttendees": [person(CAROL), person(ALICE)]}, at(day, 10).start)
    desk.settle()
    assert [a.when for a in desk.activities()] == [at(2, 10), at(3, 10)]
    before = {a.when: a.activity_id for a in desk.activities()}
    meetings.change(theirs, {"calendar:Start": at(3, 16).start, "calendar:End": at(3, 16).end}, at(3, 10).start)
    desk.settle()
    assert [(a.activity_id, a.when) for a in desk.activities()] == [
        (before[at(2, 10)], at(2, 10)), (before[at(3, 10)], at(3, 16)),
    ]  # fmt: skip
    meetings.cancel(theirs, at(2, 10).start)
    desk.settle()
    assert [a.when for a in desk.activities()] == [at(3, 16)]


@pytest.mark.req("O1", "O3")
def test_a_meeting_that_comes_back_is_shown_again(desk: ServerDesk) -> None:
    """Declined and invited anew, or called off and sent again: the meeting stands in the CRM again, once."""
    theirs = call(desk, BOB, at(2, 10), ALICE)
    desk.settle()
    meetings.answer(event(desk), "Decline")
    desk.settle()
    assert desk.activities() == []
    meetings.change(theirs, {"calendar:Start": at(2, 14).start, "calendar:End": at(2, 14).end})
    desk.settle()
    assert [a.when for a in desk.activities()] == [at(2, 14)]
    meetings.send_cancellations(theirs, meetings.people(theirs.values))
    desk.settle()
    assert desk.activities() == []
    meetings.change(theirs, {"item:Subject": "Care plan after all"})
    desk.settle()
    assert [(a.description, a.when) for a in desk.activities()] == [("Care plan after all", at(2, 14))]


@pytest.mark.req("Y3", "C9")
def test_an_edit_beats_the_deletion_of_a_meeting_without_mail(desk: ServerDesk) -> None:
    """The user deletes a visit with guests in Outlook while it is edited in the CRM: it stands again, without guests, and nobody is told."""
    tour = desk.add("Tour", at(2, 10))
    desk.settle()
    add_guests(desk, event(desk), BOB)
    desk.settle()
    desk.sandbox.organisation.delete_item(event(desk))
    desk.edit(tour, description="Tour with lunch")
    post = Post(desk)
    desk.settle()
    post.check()
    assert event(desk).values["item:Subject"] == "Tour with lunch"
    assert "calendar:RequiredAttendees" not in event(desk).values


@pytest.mark.req("C6", "C9")
def test_a_meeting_cancelled_and_then_rescheduled_in_the_crm_stands_again(desk: ServerDesk) -> None:
    """Cancelled in the CRM its event is removed; rescheduled afterwards it stands at the new time on both sides, without guests or mail."""
    call(desk, BOB, at(2, 10), ALICE)
    desk.settle()
    [activity] = desk.activities()
    desk.cancel(activity.activity_id)
    desk.settle()
    assert desk.stored() == []
    post = Post(desk)
    desk.move(activity.activity_id, at(3, 11))
    desk.settle()
    post.check()
    assert [a.when for a in desk.activities()] == [at(3, 11)]
    assert event(desk).values["calendar:Start"] == at(3, 11).start


@pytest.mark.req("Y3", "C9")
@pytest.mark.parametrize(("rule", "stands"), [("exchange", 15), ("crm", 17)])
def test_the_rule_decides_between_the_organiser_and_the_crm(desk: ServerDesk, rule: str, stands: int) -> None:
    """Organiser and CRM move the same meeting: the host's rule decides where it stands in the user's calendar; nobody is told."""
    desk.conflict = rule
    theirs = call(desk, BOB, at(2, 10), ALICE)
    desk.settle()
    [activity] = desk.activities()
    meetings.change(theirs, {"calendar:Start": at(2, 15).start, "calendar:End": at(2, 15).end})
    desk.edit(activity.activity_id, when=at(2, 17))
    post = Post(desk)
    desk.settle()
    post.check()
    assert [a.when for a in desk.activities()] == [at(2, stands)]
    assert event(desk).values["calendar:Start"] == at(2, stands).start


@pytest.mark.req("Y6", "O1")
def test_a_colleagues_copy_of_a_visit_is_theirs(desk: ServerDesk) -> None:
    """A server that carries our stamp into the guests' calendars: the guest's event is no item of the user's, and makes nothing twice."""
    tour = desk.add("Tour", at(2, 10))
    desk.settle()
    [mine] = desk.stored()
    add_guests(desk, mine, BOB)
    desk.settle()
    copied = event(desk, BOB)
    copied.extended.update(mine.extended)
    back = call(desk, BOB, at(3, 10), ALICE)
    theirs = next(one for one in desk.stored() if one is not mine)
    theirs.extended.update(mine.extended)
    desk.settle()
    assert sorted((a.description, a.when) for a in desk.activities()) == [("Care plan", at(3, 10)), ("Tour", at(2, 10))]
    assert tour in {a.activity_id for a in desk.activities()}
    assert {one.id for one in desk.stored()} == {mine.id, theirs.id}
    assert back.values["calendar:Start"] == at(3, 10).start


# ── nobody is ever mailed ────────────────────────────────────────────────────────────────────────────────────────────
def edit_title(desk: ServerDesk, activity: Activity) -> None:
    desk.edit(activity.activity_id, description="Care plan, new", location="Garden")


def move(desk: ServerDesk, activity: Activity) -> None:
    assert isinstance(activity.when, Timed)
    hour = timedelta(hours=3)
    desk.move(activity.activity_id, Timed(activity.when.start + hour, activity.when.end + hour))


def make_all_day(desk: ServerDesk, activity: Activity) -> None:
    desk.edit(activity.activity_id, when=days(2))


def cancel(desk: ServerDesk, activity: Activity) -> None:
    desk.cancel(activity.activity_id)


def remove(desk: ServerDesk, activity: Activity) -> None:
    desk.remove(activity.activity_id)


@pytest.mark.req("C9", "O3")
@pytest.mark.parametrize(
    ("act", "reschedule"),
    [*((act, "replace") for act in (edit_title, move, make_all_day, cancel, remove)), (move, "update")],
    ids=lambda one: getattr(one, "__name__", one),
)
@pytest.mark.parametrize("series", [0, 3])
@pytest.mark.parametrize("organizer", [ALICE, BOB])
def test_invitation_spam_no_edit_of_a_meeting_in_the_crm_mails_anybody(
    desk: ServerDesk, act: Callable[[ServerDesk, Activity], None], organizer: str, series: int, reschedule: str
) -> None:
    """Edited, moved, made all-day, cancelled or deleted in the CRM, as organiser or as guest, single or occurrence: nobody is mailed, nobody else's calendar changes."""
    desk.reschedule = reschedule
    guests = (BOB, CAROL, OUTSIDE) if organizer == ALICE else (ALICE, CAROL, OUTSIDE)
    call(desk, organizer, at(1, 10), *guests, series=series)
    desk.settle()
    item_ids = {item.id for item in desk.stored()}
    post = Post(desk)
    act(desk, desk.activities()[series // 2])
    desk.settle()
    post.check()
    left = {item.id for item in desk.stored()}
    gone = act in (cancel, remove) and not series
    assert left == (set() if gone else item_ids)  # in place, never made anew
    if act in (cancel, remove) and series:
        assert len(event(desk).deleted) == 1


@pytest.mark.req("C6", "C9")
@pytest.mark.parametrize(
    ("act", "reschedule"),
    [*((act, "replace") for act in (edit_title, move, cancel, remove)), (move, "update")],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_invitation_spam_a_crm_born_event_with_guests_is_written_silently_and_in_place(
    desk: ServerDesk, act: Callable[[ServerDesk, Activity], None], reschedule: str
) -> None:
    """The user adds guests to a visit in Outlook; what the CRM does with it afterwards is done in place and told nobody."""
    desk.reschedule = reschedule
    desk.add("Tour", at(2, 10))
    desk.settle()
    [item] = desk.stored()
    add_guests(desk, item, BOB, OUTSIDE)
    desk.settle()
    post = Post(desk)
    [activity] = desk.activities()
    act(desk, activity)
    desk.settle()
    post.check()
    if act in (cancel, remove):
        assert desk.stored() == []
    else:
        assert [one.id for one in desk.stored()] == [item.id]
        assert [one.address for one in item.values["calendar:RequiredAttendees"]] == [BOB, OUTSIDE]
        if act is move:
            assert item.values["calendar:Start"] == at(2, 13).start
            assert [a.when for a in desk.activities()] == [at(2, 13)]


@pytest.mark.req("C6", "C9")
def test_guests_added_at_the_moment_of_a_reschedule_are_kept(desk: ServerDesk) -> None:
    """The user adds guests and the CRM moves the visit between the same two cycles: it is moved in place, with its guests."""
    tour = desk.add("Tour", at(2, 10))
    desk.settle()
    [item] = desk.stored()
    add_guests(desk, item, BOB)
    desk.move(tour, at(3, 10))
    post = Post(desk)
    desk.settle()
    post.check()
    assert [(one.id, one.values["calendar:Start"]) for one in desk.stored()] == [(item.id, at(3, 10).start)]
    assert [one.address for one in item.values["calendar:RequiredAttendees"]] == [BOB]


@pytest.mark.req("C9")
def test_new_activities_mail_nobody(desk: ServerDesk) -> None:
    """What the CRM creates has no attendees and sends nothing: events and tasks alike."""
    post = Post(desk)
    desk.add("Tour", at(2, 10), notes="for ruth@family.example")
    desk.add("Call", days(2))
    desk.settle()
    post.check()
    assert "calendar:RequiredAttendees" not in event(desk).values


@pytest.mark.req("C9")
def test_every_write_says_that_nobody_is_to_be_told(desk: ServerDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each CreateItem, UpdateItem and DeleteItem of events on the wire says SendToNone, none saves or sends a message."""
    from ops_lib.sandbox.ews import OPERATIONS

    seen: list[tuple[str, dict[str, str]]] = []
    for name in ("CreateItem", "UpdateItem", "DeleteItem", "MoveItem", "SendItem"):

        def watched(session: Any, name: str = name, answer: Any = OPERATIONS[name]) -> str:
            seen.append((name, dict(session.request.root.attrib)))
            return str(answer(session))

        monkeypatch.setitem(OPERATIONS, name, watched)
    call(desk, ALICE, at(1, 10), BOB)
    tour, call_out = desk.add("Tour", at(2, 10)), desk.add("Call", days(2))
    desk.settle()
    for activity in desk.activities():
        desk.edit(activity.activity_id, description="Other")
    desk.settle()
    desk.remove(tour)
    desk.cancel(call_out)
    desk.settle()
    assert {name for name, _ in seen} == {"CreateItem", "UpdateItem", "DeleteItem"}
    sending = {value for _, said in seen for key, value in said.items() if key.startswith("SendMeeting")}
    disposing = {said.get("MessageDisposition", "SaveOnly") for _, said in seen}
    assert (sending, disposing) == ({"SendToNone"}, {"SaveOnly"})


# ── what is the user's own stays ─────────────────────────────────────────────────────────────────────────────────────
OWN = {
    "item:Categories": ["Family", "Red"],
    "item:Importance": "High",
    "calendar:LegacyFreeBusyStatus": "OOF",
    "item:ReminderMinutesBeforeStart": 45,
}


def decorate(desk: ServerDesk, item: Item) -> None:
    """The user colours an event in Outlook, says that they are out, and attaches the floor plan."""
    desk.sandbox.organisation.update_item(item, OWN)
    item.attachments.append(Attachment(item.mailbox.count(), "floor plan.pdf", b"%PDF"))
    item.mailbox.touch_item(item, ALICE)


def decorated(item: Item) -> tuple[dict[str, Any], list[str]]:
    """What of that is there."""
    return {uri: item.values.get(uri) for uri in OWN}, [one.name for one in item.attachments]


@pytest.mark.req("C6", "C9")
@pytest.mark.parametrize(
    ("born", "reschedule"), [("crm", "update"), ("crm", "replace"), ("outlook", "update"), ("outlook", "replace")]
)
def test_categories_attachments_and_status_survive_every_edit(desk: ServerDesk, born: str, reschedule: str) -> None:
    """What the user put on an event in Outlook is there after edits and a reschedule in the CRM, whoever made the event."""
    desk.reschedule = reschedule
    if born == "crm":
        desk.add("Tour", at(2, 10))
    else:
        call(desk, ALICE, at(2, 10))
    desk.settle()
    [item] = desk.stored()
    decorate(desk, item)
    desk.settle()
    [activity] = desk.activities()
    desk.edit(activity.activity_id, description="Tour with lunch", location="Kitchen", notes="vegetarian")
    desk.settle()
    [item] = desk.stored()
    assert decorated(item) == (OWN, ["floor plan.pdf"])
    desk.move(activity.activity_id, at(3, 11))
    desk.settle()
    [item] = desk.stored()
    assert decorated(item) == (OWN, ["floor plan.pdf"])
    assert (item.values["calendar:Start"], item.values["item:Subject"]) == (at(3, 11).start, "Tour with lunch")
    assert [a.when for a in desk.activities()] == [at(3, 11)]
