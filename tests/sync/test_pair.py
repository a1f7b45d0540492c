"""A linked pair, state by state: the table «A linked pair» of the specification."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops_lib.model import ActivityStatus, AllDay, Change, Kind, LinkState, Origin, Timed
from ops_lib.sync.mapping import differing, entry_of_activity, shared_fields
from tests.sync.decisions import NOON, NOW, TEN, activity, decide, entry, item, link, policy, told

OURS, THEIRS = link(), link(origin=Origin.EXCHANGE)
CAME = activity(origin=Origin.EXCHANGE)
GONE = frozenset({"I1"})
OVER = Timed(NOW - timedelta(days=92), NOW - timedelta(days=91))


def one(*given: Any, **more: Any) -> Change:
    (change,) = decide(*given, **more)
    return change


# ── one side gone ────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("O3")
def test_gone_in_outlook() -> None:
    """Deleted or cancelled in Outlook, an activity of the CRM's is cancelled and one of Outlook's is removed."""
    for given, action in (((activity(), OURS), "cancel"), ((CAME, THEIRS), "delete")):
        assert (one(*given, gone=GONE).action, one(*given, gone=GONE).reason) == (action, "deleted in Outlook")
        cancelled = one(*given, item(is_cancelled=True))
        assert (cancelled.action, cancelled.side, cancelled.reason) == (action, "crm", "cancelled in Outlook")
        assert cancelled.loser is None


@pytest.mark.req("Y3")
def test_deleted_in_outlook_and_edited_in_the_crm() -> None:
    """The edit wins over a deletion; a cancellation, and the deletion of an occurrence, win over the edit, which is kept in the record."""
    edited = activity(description="Edited")
    change = one(edited, OURS, gone=GONE)
    assert (change.action, change.side, change.loser) == ("create", "exchange", OURS.agreed)
    assert change.after is not None
    assert change.after.description == "Edited"
    assert one(activity(notes="New notes"), OURS, gone=GONE).action == "create"
    cancelled = one(edited, OURS, item(is_cancelled=True))
    assert (cancelled.action, cancelled.loser and cancelled.loser.description) == ("cancel", "Edited")
    occurrence = link(origin=Origin.EXCHANGE, original_start=TEN.start)
    assert one(replace(CAME, description="Edited"), occurrence, gone=GONE).action == "delete"


@pytest.mark.req("C5")
def test_gone_in_the_crm() -> None:
    """Cancelled or deleted in the CRM, the event is removed; gone on both sides, the link ends."""
    for gone, how in (({"is_deleted": True}, "deleted"), ({"status": ActivityStatus.CANCELLED}, "cancelled")):
        change = one(activity(**gone), OURS, item())
        assert (change.action, change.side, change.reason) == ("delete", "exchange", f"{how} in the CRM")
        assert change.loser is None
        assert one(activity(**gone), OURS, gone=GONE).action == "end"


@pytest.mark.req("Y3")
@pytest.mark.parametrize(
    ("gone", "rule", "minutes", "action"),
    [
        ({"is_deleted": True}, "latest", -5, "restore"),
        ({"is_deleted": True}, "crm", -5, "restore"),
        ({"status": ActivityStatus.CANCELLED}, "latest", 5, "restore"),
        ({"status": ActivityStatus.CANCELLED}, "latest", 0, "restore"),
        ({"status": ActivityStatus.CANCELLED}, "latest", -5, "delete"),
        ({"status": ActivityStatus.CANCELLED}, "latest", None, "restore"),
        ({"status": ActivityStatus.CANCELLED}, "crm", 5, "delete"),
        ({"status": ActivityStatus.CANCELLED}, "exchange", -5, "restore"),
    ],
)
def test_gone_in_the_crm_and_edited_in_outlook(
    gone: dict[str, Any], rule: str, minutes: int | None, action: str
) -> None:
    """An edit beats a deletion; of an edit and a cancellation by a person the host's rule decides. The loser is kept."""
    by_hand = activity(**gone)
    modified = None if minutes is None else by_hand.updated_at + timedelta(minutes=minutes)
    edited = item(subject="Edited", last_modified=modified)
    change = one(by_hand, OURS, edited, rules=policy(conflict=rule))
    assert change.action == action
    assert change.loser is not None
    assert change.loser.description == ("Tour" if action == "restore" else "Edited")
    if action == "restore":
        assert change.after is not None
        assert (change.side, change.after.description, change.after.is_complete) == ("crm", "Edited", False)


@pytest.mark.req("Y3", "C4")
def test_what_is_done_when_it_stands_again() -> None:
    """A task that was ticked off stays done; a visit that was completed is one to come again."""
    day = AllDay(NOW.date(), NOW.date() + timedelta(days=1))
    task = link(agreed=entry(kind=Kind.TASK, when=day))
    ticked = one(activity(when=day, is_deleted=True), task, item(kind=Kind.TASK, when=day, is_complete=True))
    assert (ticked.action, ticked.after and ticked.after.is_complete) == ("restore", True)
    done = link(agreed=entry(is_complete=True))
    visit = one(activity(is_deleted=True), done, item(subject="Edited"))
    assert (visit.action, visit.after and visit.after.is_complete) == ("restore", False)


@pytest.mark.req("C6", "Y3")
def test_what_was_rescheduled_does_not_stand_again() -> None:
    """An edit of the old event in Outlook does not bring the old activity back where the new one has its own event; what was edited is kept."""
    old, new = activity(is_deleted=True), activity("2", when=NOON, rescheduled_from="1")
    its_own = link(2, "2", "I2", uid="U2", agreed=entry(when=NOON))
    change = one(old, new, its_own, OURS, item(subject="Edited"))
    assert (change.action, change.side, change.reason) == ("delete", "exchange", "rescheduled in the CRM")
    assert change.loser is not None
    assert change.loser.description == "Edited"


# ── out of scope ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_leaves_the_scope_rests() -> None:
    """Its type, its time: nothing happens on the other side; what is gone in Outlook besides ends."""
    for left in (activity(type_id="call"), activity(when=OVER)):
        agreed = link(agreed=entry(when=left.when))
        assert told(decide(left, agreed, item(when=left.when))) == [("rest", "exchange", "activity:1")]
        assert told(decide(left, agreed, gone=GONE)) == [("end", "exchange", "activity:1")]
    back = activity(when=TEN)
    assert one(back, link(state=LinkState.RESTING), item()).action == "link"
    assert decide(link(state=LinkState.RESTING)) == []
    assert one(link(state=LinkState.RESTING), gone=GONE).action == "cancel"


def test_what_rests_wakes_by_news_of_either_side() -> None:
    """An edit in the CRM, or the item; not that its event is a series now, of which no occurrence is its."""
    resting = link(state=LinkState.RESTING)
    assert one(activity(description="Edited"), resting).side == "exchange"
    assert one(resting, item()).action == "link"
    assert decide(resting, masters={"I1": "U1"}) == []


def test_one_side_s_news_of_what_left_the_scope() -> None:
    """The activity alone, or the item alone, lets the link rest; an occurrence of the past that its series does not show is no news."""
    over = link(agreed=entry(when=OVER))
    assert one(activity(when=OVER, version=2), over).action == "rest"
    assert one(over, item(when=OVER)).action == "rest"
    assert decide(link(agreed=entry(when=OVER), original_start=OVER.start), whole_series=frozenset({"U1"})) == []


def test_an_item_without_a_time_waits() -> None:
    """It is skipped with what was odd about it, unless it is cancelled."""
    waiting = one(OURS, item(when=None, oddities=("odd",)))
    assert (waiting.action, waiting.side) == ("skip", "exchange")
    assert waiting.reason == "Exchange gives no time for it (odd)"
    assert one(OURS, item(when=None)).reason == "Exchange gives no time for it"
    assert one(OURS, item(when=None, is_cancelled=True)).action == "cancel"


@pytest.mark.req("O3", "O5")
def test_an_occurrence_whose_days_are_not_shown() -> None:
    """That its series does not show it says nothing; that the series is no more ends it. Edited in the CRM, one of the past that was deleted is made again,
    and one that is shown is not."""
    past = Timed(NOW - timedelta(days=10), NOW - timedelta(days=10) + timedelta(hours=1))
    occurrence = link(original_start=past.start, agreed=entry(when=past))
    series = {"whole_series": frozenset({"U1"})}
    assert decide(occurrence, **series) == []
    assert one(occurrence, activity(when=past), **series, ended_series=frozenset({"U1"})).action == "cancel"
    edited = activity(when=past, description="Edited")
    assert one(edited, occurrence, gone=GONE).action == "create"
    assert one(activity(description="Edited"), link(original_start=TEN.start), gone=GONE).action == "cancel"


# ── both there ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_agreement() -> None:
    """Where nothing differs, news of versions is only noted, and where there is none, nothing."""
    assert decide(activity(), OURS, item()) == []
    for given in ((activity(version=2), item()), (activity(), item(change_key="c2")), (activity(), item(uid="U2"))):
        assert told(decide(*given, OURS)) == [("link", "exchange", "activity:1")]
    same_time = activity("2", rescheduled_from="1")
    follows = one(activity(is_deleted=True), same_time, OURS, item(), rules=policy(reschedule="update"))
    assert (follows.action, follows.activity) == ("link", same_time)
    both = one(activity(description="Same"), OURS, item(subject="Same"))
    assert (both.action, both.after and both.after.description) == ("link", "Same")


@pytest.mark.req("Y3", "C1", "O4")
@pytest.mark.parametrize(
    ("crm", "outlook", "rule", "minutes", "told_to", "loser"),
    [
        ("New", None, "latest", 0, {"exchange": "New"}, None),
        (None, "New", "latest", 0, {"crm": "New"}, None),
        ("A", "B", "crm", 5, {"exchange": "A"}, "B"),
        ("A", "B", "exchange", -5, {"crm": "B"}, "A"),
        ("A", "B", "latest", 5, {"crm": "B"}, "A"),
        ("A", "B", "latest", 0, {"exchange": "A"}, "B"),
        ("A", "B", "latest", -5, {"exchange": "A"}, "B"),
        ("A", "B", "latest", None, {"exchange": "A"}, "B"),
    ],
)
def test_edits(
    crm: str | None, outlook: str | None, rule: str, minutes: int | None, told_to: dict[str, str], loser: str | None
) -> None:
    """An edit goes to the other side; of two the host's rule decides, and the losing version is kept."""
    here = activity(description=crm or "Tour")
    modified = None if minutes is None else here.updated_at + timedelta(minutes=minutes)
    there = item(subject=outlook or "Tour", last_modified=modified)
    change = one(here, OURS, there, rules=policy(conflict=rule))
    assert change.action == "update"
    assert change.after is not None
    assert {change.side: change.after.description} == told_to
    assert (change.loser and change.loser.description) == loser
    assert ("both sides edited it" in change.reason) is (loser is not None)


@pytest.mark.req("C2", "O2")
def test_what_only_one_side_may_change() -> None:
    """Notes and whom it is for go to Outlook of an entry of the CRM's, and to the CRM of one of Outlook's go its notes and people."""
    for edit, words in (
        ({"notes": "New"}, "the notes"),
        ({"individual_id": "7"}, "whom it is for"),
        ({"individual_name": "Ruth"}, "whom it is for"),
        ({"status": ActivityStatus.COMPLETED}, "whether it is done"),
    ):
        change = one(activity(**edit), OURS)
        assert (change.action, change.side, change.reason) == ("update", "exchange", f"{words} changed in the CRM")
        assert change.after == entry_of_activity(activity(**edit), Kind.EVENT)
        assert decide(replace(activity(**edit), origin=Origin.EXCHANGE), THEIRS) == []
    read = item(body="…", organizer="Bob", attendees=("Ann",), change_key="c2")
    change = one(THEIRS, read, texts={"I1": "New"})
    assert (change.action, change.side) == ("update", "crm")
    assert change.reason == "the attendees and the notes and the organizer changed in Outlook"
    assert change.after == replace(THEIRS.agreed, notes="New", organizer="Bob", attendees=("Ann",))
    assert one(OURS, read, texts={"I1": "New"}).action == "link"


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"description": "New"}, "the title"),
        ({"when": NOON}, "the time"),
        ({"location": "New"}, "the place"),
        ({"description": "New", "location": "New"}, "the place and the title"),
    ],
)
def test_what_a_reason_names(edits: dict[str, Any], words: str) -> None:
    """The fields that changed, in words; a reschedule by its name."""
    assert one(activity(**edits), OURS).reason == f"{words} changed in the CRM"
    theirs = {"subject" if name == "description" else name: value for name, value in edits.items()}
    assert one(OURS, item(**theirs)).reason == f"{words} changed in Outlook"
    old, new = activity(is_deleted=True), activity("2", when=NOON, rescheduled_from="1")
    moved = one(old, new, OURS, rules=policy(reschedule="update"))
    assert moved.reason == "rescheduled in the CRM"


@pytest.mark.req("O4")
@pytest.mark.parametrize(
    ("rules", "of_link", "of_item", "action"),
    [
        ({}, {}, {}, "reschedule"),
        ({"reschedule": "update"}, {}, {}, "update"),
        ({}, {"original_start": TEN.start}, {"original_start": TEN.start}, "update"),
        ({}, {}, {"is_meeting": True}, "update"),
        ({}, {}, {"attendees": ("Bob",)}, "update"),
        ({}, {"agreed": entry(origin=Origin.EXCHANGE, attendees=("Bob",))}, {}, "update"),
    ],
    ids=["plain", "by rule", "an occurrence", "a meeting", "attendees now", "attendees before"],
)
def test_moved_in_outlook(rules: dict[str, Any], of_link: dict[str, Any], of_item: dict[str, Any], action: str) -> None:
    """A new activity stands for it, or it is moved in place: each reason by itself. A title alone never makes a new one."""
    moved = item(when=NOON, **of_item)
    theirs = link(origin=Origin.EXCHANGE, **of_link)
    assert one(CAME, theirs, moved, rules=policy(**rules)).action == action
    renamed = replace(moved, when=TEN, subject="Renamed")
    assert one(CAME, theirs, renamed, rules=policy(**rules)).action == "update"


@pytest.mark.req("C6", "Y3")
def test_moved_in_both() -> None:
    """A reschedule's new time stands beside an edit of the title in Outlook; where both moved it, the rule decides."""
    old, new = activity(is_deleted=True), activity("2", when=NOON, rescheduled_from="1")
    changes = decide(old, new, OURS, item(subject="Renamed"))
    assert sorted((c.action, c.side, c.loser) for c in changes) == [
        ("update", "crm", None),
        ("update", "exchange", None),
    ]
    # What the CRM's change agrees on is the title alone: the time is agreed on when Exchange has it.
    assert {c.side: (c.after.when, c.after.description) for c in changes if c.after} == {
        "crm": (OURS.agreed.when, "Renamed"),
        "exchange": (NOON, "Renamed"),
    }
    later = Timed(NOON.start + timedelta(hours=2), NOON.end + timedelta(hours=2))
    moved = item(when=later, last_modified=new.updated_at + timedelta(minutes=5))
    change = one(old, new, OURS, moved)
    assert (change.side, change.loser and change.loser.when) == ("crm", NOON)


@pytest.mark.req("O7")
def test_private_events() -> None:
    """Of an event that became private the CRM shows busy time; what was typed over it there is covered again; its time goes both ways."""
    secret = item(subject="Doctor", location="Clinic", is_private=True, change_key="c2")
    change = one(
        replace(CAME, location="Lobby"),
        link(origin=Origin.EXCHANGE, agreed=entry(origin=Origin.EXCHANGE, location="Lobby")),
        secret,
    )
    assert change.after is not None
    assert (change.after.description, change.after.location, change.after.is_private) == ("Busy", "", True)
    busy = link(origin=Origin.EXCHANGE, agreed=change.after, change_key="c2")
    shown = replace(CAME, description="Busy", location="", is_private=True)
    assert decide(shown, busy, secret) == []
    typed = one(replace(shown, description="I know"), busy, secret)
    assert (typed.side, typed.reason) == ("crm", "it is private: the CRM shows busy time only")
    moved = one(replace(shown, when=NOON), busy, secret)
    assert (moved.side, moved.action) == ("exchange", "update")
    followed = one(shown, busy, replace(secret, when=NOON))
    assert (followed.side, followed.reason) == ("crm", "the time changed in Outlook")
    opened = one(shown, busy, replace(secret, is_private=False, body=""))
    assert opened.after is not None
    assert (opened.side, opened.after.description, opened.after.location) == ("crm", "Doctor", "Clinic")


@pytest.mark.req("O7", "Y3")
@pytest.mark.parametrize("how", [{"is_deleted": True}, {"status": ActivityStatus.CANCELLED}])
def test_a_private_event_that_is_gone_in_the_crm(how: dict[str, Any]) -> None:
    """It is removed, also where it was marked private, or opened, just then; an edit of its time, the only one that the CRM may see, keeps it, as busy
    time without a word of what it was."""
    was = entry(origin=Origin.EXCHANGE, location="Lobby", notes="Ask for Ruth", organizer="Bob", attendees=("Ann",))
    busy = entry(origin=Origin.EXCHANGE, description="Busy", is_private=True)
    rules = policy(conflict="exchange")
    for origin in (Origin.CRM, Origin.EXCHANGE):
        removed = activity(origin=origin, **how)
        for agreed in [was, busy] if origin is Origin.EXCHANGE else [entry()]:
            for is_private in (True, False):
                theirs = item(
                    subject="Doctor" if is_private or origin is Origin.EXCHANGE else "Tour",
                    is_private=is_private,
                    change_key="c2",
                )
                if not is_private and agreed is was:
                    theirs = replace(theirs, subject="Tour", location="Lobby")
                change = one(removed, link(origin=origin, agreed=agreed), theirs, rules=rules)
                assert (change.action, change.side) == ("delete", "exchange")
    moved = item(subject="Doctor", location="Clinic", when=NOON, is_private=True, change_key="c2", body="results")
    for agreed in (was, busy):
        kept = one(
            activity(origin=Origin.EXCHANGE, **how), link(origin=Origin.EXCHANGE, agreed=agreed), moved, rules=rules
        )
        assert kept.action == "restore"
        assert kept.reason.endswith("in the CRM, but the time changed in Outlook: the edit wins")
        assert kept.after == replace(busy, when=NOON)
    ours = one(activity(**how), OURS, moved, rules=rules)
    assert (ours.action, ours.after) == ("restore", replace(OURS.agreed, when=NOON))


@pytest.mark.req("O7")
def test_a_private_event_of_the_crm_s() -> None:
    """While it is private its title and place go neither way, its time both; when it is open again the ordinary rules hold."""
    secret = item(subject="Doctor", location="Clinic", is_private=True)
    renamed = activity(description="Tour 2", location="Lobby", version=2)
    seen = one(renamed, OURS, secret)
    assert (seen.action, seen.after) == ("link", OURS.agreed)
    moved = one(replace(renamed, when=NOON), OURS, secret)
    assert (moved.side, moved.after) == ("exchange", replace(OURS.agreed, when=NOON))
    followed = one(renamed, OURS, replace(secret, when=NOON), rules=policy(reschedule="update"))
    assert (followed.side, followed.loser) == ("crm", None)
    assert followed.before is not None
    assert followed.after is not None
    changed = differing(followed.before, followed.after, shared_fields(OURS.agreed))
    assert changed == {"when"}  # the CRM's own title and place are not written over with those that were agreed
    opened = one(renamed, OURS, replace(secret, is_private=False), rules=policy(conflict="crm"))
    assert opened.after is not None
    assert (opened.side, opened.after.description, opened.after.location) == ("exchange", "Tour 2", "Lobby")
    assert opened.loser is not None
    assert (opened.loser.description, opened.loser.location) == ("Doctor", "Clinic")


@pytest.mark.req("C3")
def test_all_day_switched_in_the_crm() -> None:
    """Event and task change places: the new one is made before the old one is removed; an edit in Outlook that wins keeps it where it is."""
    whole_day = AllDay(NOW.date(), NOW.date() + timedelta(days=1))
    switched = activity(when=whole_day)
    changes = decide(switched, OURS, item())
    assert [(c.action, c.side, c.kind, c.removes) for c in changes] == [
        ("create", "exchange", Kind.TASK, False),
        ("delete", "exchange", Kind.EVENT, False),
    ]
    unread = decide(switched, OURS)
    assert [(c.action, c.reason) for c in unread] == [(c.action, c.reason) for c in changes]
    assert told(decide(switched, OURS, item(when=whole_day))) == [("link", "exchange", "activity:1")]
    occurrence = one(switched, link(original_start=TEN.start), item(original_start=TEN.start))
    assert (occurrence.action, occurrence.kind) == ("update", Kind.EVENT)
    assert "becomes a task" in changes[0].reason
    kept = decide(switched, OURS, item(subject="Edited"), rules=policy(conflict="exchange"))
    assert all(change.kind is Kind.EVENT for change in kept)
    assert told(decide(activity(when=whole_day), link(agreed=entry(when=whole_day)), item(when=whole_day))) == []


@pytest.mark.req("C3")
@pytest.mark.parametrize(
    "more",
    [{"extras": ("attachments",)}, {"is_meeting": True}, {"attendees": ("Bob",)}, {"is_private": True}],
    ids=["attachments", "a meeting", "guests", "private"],
)
def test_all_day_switched_in_the_crm_with_something_of_the_user_s(more: dict[str, Any]) -> None:
    """An event that holds what a task could not take over becomes all-day where it is, over all its days."""
    two_days = AllDay(NOW.date(), NOW.date() + timedelta(days=2))
    change = one(activity(when=two_days), OURS, item(**more))
    assert (change.action, change.side, change.kind) == ("update", "exchange", Kind.EVENT)
    assert change.after is not None
    assert change.after.when == two_days


@pytest.mark.req("C3", "C6", "Y3")
def test_a_task_that_is_rescheduled_to_an_hour_and_edited_in_outlook() -> None:
    """Where Outlook wins, the CRM first takes the user's title, and no hour of the task's; then an event is made. Where the user moved the task too, or
    nothing was rescheduled, the task stays where they put it."""
    day, later = (AllDay(NOW.date() + timedelta(days=n), NOW.date() + timedelta(days=n + 1)) for n in (0, 5))
    task = link(agreed=entry(kind=Kind.TASK, when=day))
    old, new = activity(when=day, is_deleted=True), activity("2", rescheduled_from="1")
    rules = policy(conflict="exchange")
    edited = item(kind=Kind.TASK, when=day, subject="Edited")
    first = one(old, new, task, edited, rules=rules)
    assert (first.action, first.side) == ("update", "crm")
    assert first.after == replace(task.agreed, description="Edited")
    assert first.before is not None
    assert first.before.when == day
    then = decide(old, replace(new, description="Edited"), task, edited, rules=rules)
    assert [(c.action, c.kind, c.after and c.after.when) for c in then] == [
        ("create", Kind.EVENT, TEN),
        ("delete", Kind.TASK, None),
    ]
    moved = one(old, new, task, replace(edited, when=later), rules=rules)
    assert (moved.side, moved.before and moved.before.when, moved.after and moved.after.when) == ("crm", TEN, later)
    switched = one(activity(), task, edited, rules=rules)
    assert (switched.side, switched.before and switched.before.when) == ("crm", TEN)
    assert switched.after is not None
    assert switched.after.when == day
    ours = decide(old, new, task, edited, rules=policy(conflict="crm"))
    assert [(c.action, c.loser and c.loser.description) for c in ours] == [("create", "Edited"), ("delete", None)]
    all_day = activity("2", when=day, rescheduled_from="1")
    event = decide(activity(is_deleted=True), all_day, OURS, item(subject="Edited"), rules=rules)
    assert [(c.action, c.side, c.kind) for c in event] == [
        ("update", "crm", Kind.EVENT),
        ("update", "exchange", Kind.EVENT),
    ]


@pytest.mark.req("C3")
def test_a_task_that_is_timed_in_the_crm_names_what_stays_behind() -> None:
    """A task has no hours: an event is made, and the record says what of the user's is left on the task in Deleted Items."""
    day = AllDay(NOW.date(), NOW.date() + timedelta(days=1))
    task = link(agreed=entry(kind=Kind.TASK, when=day))
    plain, full = (item(kind=Kind.TASK, when=day, extras=extras) for extras in ((), ("attachments", "categories")))
    for given, is_named in ((plain, False), (full, True)):
        changes = decide(activity(), task, given)
        assert [(c.action, c.kind) for c in changes] == [("create", Kind.EVENT), ("delete", Kind.TASK)]
        assert all(("Deleted Items" in c.reason) is is_named for c in changes)
        assert all(c.reason.endswith("in Deleted Items: attachments, categories") is is_named for c in changes)
