"""The plan by itself, decision by decision: nothing is read, nothing is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops_lib.model import Activity, ActivityStatus, AllDay, Change, Item, ItemType, Kind, LinkState, Origin, Timed
from ops_lib.sync.plan import allowed_removals, planned_removals
from tests.sync.decisions import NOON, NOW, TEN, abandoned, activity, decide, entry, item, link, policy, stamp, told

FAR = Timed(NOW + timedelta(days=200), NOW + timedelta(days=200, hours=1))


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_of_what_there_is_no_news_nothing_is_planned() -> None:
    """Links of which neither side says anything stay as they are, whatever is said of others."""
    others = [link(1), link(2, "2", "I2", state=LinkState.RESTING), link(3, "3", "I3", uid="S", original_start=NOW)]
    assert decide(*others) == []
    assert decide(*others, gone=frozenset({"I9"}), whole_series=frozenset({"U1", "U9"})) == []
    assert told(decide(*others, link(4, "4", "I4"), gone=frozenset({"I4"}))) == [("cancel", "crm", "activity:4")]


def test_an_item_that_cannot_be_read_now_is_skipped() -> None:
    """Its link stays, the reason is said, and the CRM's change waits."""
    edited = activity(description="Edited", version=2)
    for given in ([link()], [link(), edited]):
        (change,) = decide(*given, unread={"I1": "it is corrupt"})
        assert (change.action, change.side, change.reason) == ("skip", "exchange", "not readable now: it is corrupt")


def test_what_cannot_be_read_and_nobody_knows_is_not_forgotten() -> None:
    """An unread item is skipped by its own id, once, whether or not it was listed."""
    assert told(decide(unread={"I9": "no"})) == [("skip", "crm", "item:I9")]
    assert told(decide(item("I9"), unread={"I9": "no"})) == [("skip", "crm", "item:I9")]
    master = item("M", item_type=ItemType.MASTER)
    assert told(decide(unread={"M": "no"}, unexpanded={"M": (master, "too long")})) == [("skip", "crm", "item:M")]


def test_a_missing_occurrence_ends_and_a_single_event_does_not() -> None:
    """Of a series that was read wholly a missing occurrence is gone; a single event with its UID is not concerned."""
    occurrence = link(origin=Origin.EXCHANGE, original_start=TEN.start)
    whole = frozenset({"U1"})
    assert told(decide(occurrence, activity(origin=Origin.EXCHANGE), whole_series=whole)) == [
        ("delete", "crm", "activity:1")
    ]
    assert decide(link(origin=Origin.EXCHANGE), whole_series=whole) == []
    assert told(decide(occurrence, whole_series=whole)) == [("delete", "crm", "activity:1")]
    became_one = decide(link(origin=Origin.EXCHANGE), whole_series=whole, masters={"I1": "U1"})
    assert told(became_one) == [("delete", "crm", "activity:1")]  # and none of its occurrences stands for it
    assert decide(link(origin=Origin.EXCHANGE), masters={"I1": "U1"}) == []


def test_what_was_replaced_is_removed() -> None:
    """While it is there it is deleted; once it is gone its link ends."""
    replaced = link(state=LinkState.REPLACED)
    assert told(decide(replaced)) == [("delete", "exchange", "activity:1")]
    assert told(decide(replaced, gone=frozenset({"I1"}))) == [("end", "exchange", "activity:1")]
    both = decide(replaced, link(2, "2", "I2", uid="U2"), gone=frozenset({"I1", "I2"}))
    assert told(both) == [("cancel", "crm", "activity:2"), ("end", "exchange", "activity:1")]
    moved = decide(replaced, item("I2"), gone=frozenset({"I1"}), complete=frozenset({Kind.EVENT}))
    assert [(change.action, change.item and change.item.item_id) for change in moved] == [("delete", "I2")]


def test_an_activity_whose_event_is_being_replaced_gets_another() -> None:
    """A link that waits for its item's removal is no link of the activity any more."""
    assert told(decide(activity(version=2), link(state=LinkState.REPLACED))) == [
        ("create", "exchange", "activity:1"),
        ("delete", "exchange", "activity:1"),
    ]


# ── reschedules in the CRM ───────────────────────────────────────────────────────────────────────────────────────────
def rescheduled() -> tuple[Activity, Activity]:
    """An activity at ten that its user moved to noon."""
    return activity(is_deleted=True, version=2), activity("2", when=NOON, rescheduled_from="1", version=3)


@pytest.mark.req("C6")
@pytest.mark.parametrize(
    ("of_link", "now", "rules"),
    [
        ({}, item(), {"reschedule": "update"}),
        ({"origin": Origin.EXCHANGE}, item(), {}),
        ({"origin": Origin.EXCHANGE, "original_start": TEN.start}, item(original_start=TEN.start), {}),
        ({"original_start": TEN.start}, item(original_start=TEN.start), {}),
        ({"agreed": entry(attendees=("Bob",))}, None, {}),
        ({}, item(is_meeting=True), {}),
        ({}, item(extras=("attachments",)), {}),
        ({}, item(subject="Edited in Outlook"), {}),
    ],
    ids=[
        "by rule",
        "the user's own",
        "an occurrence",
        "made a series",
        "with attendees",
        "a meeting",
        "with attachments",
        "edited",
    ],
)
def test_what_is_moved_in_place(of_link: dict[str, Any], now: Item | None, rules: dict[str, Any]) -> None:
    """A reschedule in the CRM moves the event where it may not be made anew: each reason by itself."""
    old, new = rescheduled()
    if of_link.get("origin") is Origin.EXCHANGE:
        old, new = replace(old, origin=Origin.EXCHANGE), replace(new, origin=Origin.EXCHANGE)
    given = [old, new, link(**of_link), *([now] if now is not None else [])]
    changes = [change for change in decide(*given, rules=policy(**rules)) if change.side == "exchange"]
    assert told(changes) == [("update", "exchange", "activity:1")]
    assert changes[0].after is not None
    assert changes[0].after.when == NOON
    assert changes[0].activity == new


@pytest.mark.req("C6")
@pytest.mark.parametrize("now", [item(), None], ids=["as agreed", "not read"])
def test_what_is_made_anew(now: Item | None) -> None:
    """A plain event of ours gets a new one for its new time, and is removed after that."""
    changes = decide(*rescheduled(), link(), *([now] if now is not None else []))
    assert told(changes) == [("create", "exchange", "activity:2"), ("delete", "exchange", "activity:1")]
    assert [change.reason for change in changes] == ["rescheduled in the CRM: the new one", "rescheduled in the CRM"]


@pytest.mark.req("C6")
def test_a_reschedule_of_an_event_without_a_time() -> None:
    """The new event is made, and the old one, of which Exchange gives no time, is left for later with the reason."""
    changes = decide(*rescheduled(), link(), item(when=None))
    assert [(change.action, change.key, change.reason) for change in changes] == [
        ("create", "activity:2", "rescheduled in the CRM: the new one"),
        ("skip", "activity:1", "Exchange gives no time for it"),
    ]


@pytest.mark.req("C6", "Y5")
def test_a_reschedule_whose_new_event_is_found() -> None:
    """It belongs to the new activity, by its stamp; the old one's event is not moved besides, but removed."""
    old, new = rescheduled()
    found = item("I2", uid="U2", when=NOON, stamp=stamp(new))
    assert told(decide(old, new, link(), item(), found, rules=policy(reschedule="update"))) == [
        ("link", "exchange", "activity:2"),
        ("delete", "exchange", "activity:1"),
    ]


@pytest.mark.req("C6")
def test_a_reschedule_of_which_only_the_new_activity_is_news() -> None:
    """Its event is moved though nothing is said of the activity that it was."""
    _, new = rescheduled()
    (change,) = decide(new, link(), rules=policy(reschedule="update"))
    assert (change.action, change.activity) == ("update", new)


@pytest.mark.req("C6")
def test_a_reschedule_that_waits_and_one_that_is_done() -> None:
    """While the event cannot be read nothing is made anew; where it is cancelled, or the new activity has its own, nothing is moved."""
    old, new = rescheduled()
    assert told(decide(old, new, link(), unread={"I1": "no"})) == [("skip", "exchange", "activity:1")]
    assert told(decide(old, new, link(), item(is_cancelled=True, is_meeting=True))) == [
        ("create", "exchange", "activity:2"),
        ("end", "exchange", "activity:1"),
    ]
    its_own = link(2, "2", "I2", uid="U2", agreed=entry(when=NOON), crm_version=new.version)
    done = decide(old, new, link(), item(), its_own, rules=policy(reschedule="update"))
    assert told(done) == [("delete", "exchange", "activity:1")]


@pytest.mark.req("C6")
def test_over_several_reschedules_the_last_one_stands() -> None:
    """Of a chain of reschedules the last activity takes the event over; a chain that ends in a removal takes it away."""
    old, between = activity(is_deleted=True), activity("2", rescheduled_from="1", is_deleted=True)
    last = activity("3", when=NOON, rescheduled_from="2")
    (change,) = decide(old, between, last, link(), rules=policy(reschedule="update"))
    assert (change.action, change.activity) == ("update", last)
    changes = decide(old, between, replace(last, is_deleted=True), link(), rules=policy(reschedule="update"))
    assert [(change.action, change.reason) for change in changes] == [("delete", "deleted in the CRM")]


@pytest.mark.req("C6", "Y5")
def test_of_several_that_stand_the_first_one_takes_over() -> None:
    """One that was restored after its own reschedule stands for what it replaced; that which replaced it has an event of its own."""
    old, restored = activity(is_deleted=True), activity("2", when=NOON, rescheduled_from="1")
    other = activity("3", when=FAR, rescheduled_from="2")
    changes = decide(old, restored, other, link(), rules=policy(reschedule="update"))
    assert [(change.action, change.activity and change.activity.activity_id) for change in changes] == [
        ("create", "3"),
        ("update", "2"),
    ]


@pytest.mark.req("Y5")
def test_reschedules_in_a_circle() -> None:
    """Ids that were given again after a restored database may name each other; nobody follows them for ever."""
    circle = [activity(str(n), rescheduled_from=str((n + 1) % 3), is_deleted=True) for n in range(3)]
    assert [(change.action, change.reason) for change in decide(*circle, link())] == [("delete", "deleted in the CRM")]
    standing = [replace(each, is_deleted=False, origin=Origin.EXCHANGE) for each in circle]
    assert len(decide(*standing, formerly_linked=frozenset({"0"}))) == 3


# ── items without a link ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("more", [{"is_cancelled": True}, {"item_type": ItemType.MASTER}, {"when": FAR}])
def test_what_is_no_entry_of_the_crm(more: dict[str, Any]) -> None:
    """Cancelled events, masters of series, and what lies outside the window make no activity."""
    assert decide(item(**more)) == []
    assert told(decide(item(**more), item("I2", uid="U2"))) == [("create", "crm", "item:I2")]


def test_a_new_event_and_one_without_times() -> None:
    """A new event makes an activity; one whose time cannot be read is skipped with what was odd about it."""
    (change,) = decide(item())
    assert (change.action, change.side, change.kind, change.reason) == ("create", "crm", Kind.EVENT, "new in Outlook")
    (change,) = decide(item(when=None, oddities=("Start is no time: soon",)))
    assert told([change]) == [("skip", "crm", "item:I1")]
    assert change.reason == "Exchange gives no time for it (Start is no time: soon)"
    assert decide(item(when=None))[0].reason == "Exchange gives no time for it"


def test_a_task_of_the_users_own_is_left_alone() -> None:
    """A task without a link is nobody's activity, unless it cannot be read: then it is not known whose it is."""
    task = item(kind=Kind.TASK, when=AllDay(NOW.date(), NOW.date() + timedelta(days=1)))
    assert decide(task) == []
    assert told(decide(task, unread={"I1": "no"})) == [("skip", "crm", "item:I1")]


@pytest.mark.req("Y5", "Y6")
def test_whom_a_stamp_names() -> None:
    """An item with our stamp belongs to its activity; with another CRM's, of another activity with that id, or a second one, it is the user's."""
    named = activity()
    ours = item(stamp=stamp(named))
    assert told(decide(named, ours)) == [("link", "exchange", "activity:1")]
    assert ("create", "crm", "item:I1") in told(decide(replace(named, token="ffffffffffffffff"), ours))
    assert told(decide(named, ours, item("I2", stamp=stamp(named, 2), uid="U2"))) == [
        ("link", "exchange", "activity:1"),
        ("create", "crm", "item:I2"),
    ]
    copied = decide(named, link(item_id="I0", uid="U0"), ours, existing=frozenset({"I0"}))
    assert ("create", "crm", "item:I1") in told(copied)


@pytest.mark.req("Y5", "Y6")
def test_whom_the_stamp_of_a_rescheduled_activity_names() -> None:
    """What stands for it now, if that has no event yet; a copy of an event that is still there is the user's, and so is a second one."""
    old, new = rescheduled()
    stray = item("I2", uid="U2", stamp=stamp(old))
    assert told(decide(old, new, stray)) == [("link", "exchange", "activity:2")]
    rules = policy(reschedule="update")
    assert told(decide(old, new, link(), item(), stray, rules=rules)) == [
        ("create", "crm", "item:I2"),
        ("update", "exchange", "activity:1"),
    ]
    its_own = link(2, "2", "I9", uid="U9", agreed=entry(when=NOON), crm_version=new.version)
    assert told(decide(old, new, its_own, stray)) == [("create", "crm", "item:I2")]
    restored = replace(old, is_deleted=False)
    assert ("link", "exchange", "activity:1") in told(decide(restored, new, stray))


@pytest.mark.req("Y5")
def test_an_item_of_which_an_activity_was_made_before() -> None:
    """Its key names the activity, whatever its stamp says; one that is not there any more names nobody."""
    made = activity("5", origin=Origin.EXCHANGE)
    assert told(decide(made, item(), known={"I1": "5"})) == [("link", "exchange", "activity:5")]
    assert told(decide(made, activity(), item(stamp=stamp(activity())), known={"I1": "5"}))[0][2] == "activity:5"
    assert told(decide(item(), known={"I1": "5"})) == [("create", "crm", "item:I1")]
    assert told(decide(item(stamp=stamp(activity("7"))))) == [("create", "crm", "item:I1")]


@pytest.mark.req("O3", "Y5")
@pytest.mark.parametrize("how", [{"is_deleted": True}, {"status": ActivityStatus.CANCELLED}])
@pytest.mark.parametrize("origin", list(Origin))
def test_an_item_that_is_back(how: dict[str, Any], origin: Origin) -> None:
    """Its activity stands again as the item is now, once; while it cannot be read, or has no time that is shown, nothing is done."""
    was = activity(origin=origin, **how)
    back = item(subject="Back", stamp=stamp(was))
    again = item("I2", uid="U2", stamp=stamp(was))
    (change,) = decide(was, back)
    assert (*told([change])[0], change.kind) == ("restore", "crm", "activity:1", Kind.EVENT)
    assert change.after is not None
    assert (change.after.description, change.after.is_complete) == ("Back", False)
    assert told(decide(was, back, again)) == [("restore", "crm", "activity:1"), ("create", "crm", "item:I2")]
    (waits,) = decide(was, back, unread={"I1": "no"})
    assert (*told([waits])[0], waits.reason) == ("skip", "crm", "item:I1", "not readable now: no")
    assert decide(was, replace(back, when=None)) == []
    assert decide(was, replace(back, when=Timed(NOW - timedelta(days=99), NOW - timedelta(days=98)))) == []
    taken = link(2, "9", "I9", uid="U9")
    assert told(decide(was, back, taken)) == [("restore", "crm", "activity:1")]


@pytest.mark.req("O3", "C4")
@pytest.mark.parametrize("is_complete", [True, False])
def test_a_task_that_is_back(is_complete: bool) -> None:
    """A task that was ticked off comes back as done; an event of a completed visit comes back as one to come."""
    day = AllDay(NOW.date(), NOW.date() + timedelta(days=1))
    was = activity(when=day, is_deleted=True)
    (task,) = decide(was, item(kind=Kind.TASK, when=day, stamp=stamp(was), is_complete=is_complete))
    assert (task.action, task.kind, task.after and task.after.is_complete) == ("restore", Kind.TASK, is_complete)
    done = activity(is_deleted=True, status=ActivityStatus.COMPLETED)
    (event,) = decide(done, item(stamp=stamp(done), is_complete=is_complete))
    assert event.after is not None
    assert not event.after.is_complete


@pytest.mark.req("Y2")
def test_a_create_that_came_late_is_taken_back() -> None:
    """An abandoned create's item is removed when its activity has another item, or none any more; else it is the activity's."""
    named = activity()
    late = item("I2", stamp=stamp(named), uid="U2")
    lost = (abandoned(named),)
    assert ("delete", "exchange", "item:I2") in told(decide(named, link(), late, intents=lost))
    assert told(decide(replace(named, is_deleted=True), late, intents=lost)) == [("delete", "exchange", "item:I2")]
    assert told(decide(named, late, intents=lost)) == [("link", "exchange", "activity:1")]
    for other in (abandoned(named, 2), replace(abandoned(named), state="done")):
        assert ("create", "crm", "item:I2") in told(decide(named, link(), late, intents=(other,)))
    assert told(decide(late, intents=lost)) == [
        ("create", "crm", "item:I2")
    ]  # its activity is nobody's of this account


@pytest.mark.req("Y3", "Y5")
@pytest.mark.parametrize(
    ("rule", "minutes", "winner"),
    [
        ("crm", 5, "crm"),
        ("exchange", -5, "exchange"),
        ("latest", -5, "crm"),
        ("latest", 0, "crm"),
        ("latest", 5, "exchange"),
        ("latest", None, "crm"),
    ],
)
def test_two_that_differ_when_they_are_found_again(rule: str, minutes: int | None, winner: str) -> None:
    """What is noted as agreed is the version that loses, so that the other one is an edit in the next cycle."""
    named = activity(description="In the CRM")
    modified = None if minutes is None else named.updated_at + timedelta(minutes=minutes)
    (change,) = decide(
        named, item(subject="In Outlook", stamp=stamp(named), last_modified=modified), rules=policy(conflict=rule)
    )
    assert change.before is not None
    assert change.after is not None
    assert change.after.description == {"crm": "In Outlook", "exchange": "In the CRM"}[winner]
    (same,) = decide(named, item(subject="In the CRM", stamp=stamp(named)), rules=policy(conflict=rule))
    assert same.before is None


# ── activities without a link ────────────────────────────────────────────────────────────────────────────────────────
def test_which_activities_go_to_outlook() -> None:
    """New ones of a chosen type; not what is cancelled, deleted or long over; the others are skipped with the reason."""
    assert [change.reason for change in decide(activity())] == ["new in the CRM"]
    assert decide(activity(status=ActivityStatus.CANCELLED)) == []
    assert decide(activity(is_deleted=True)) == []
    over = Timed(NOW - timedelta(days=92), NOW - timedelta(days=91))
    assert decide(activity(when=over)) == []
    (change,) = decide(activity(type_id="call", type_name="Call"))
    assert (change.action, change.side) == ("skip", "exchange")
    assert "'Call'" in change.reason


def test_an_activity_of_outlook_stands_again_only_where_it_stood() -> None:
    """One that was made from an event goes back only to the mailbox in which it had a link."""
    came = activity(origin=Origin.EXCHANGE)
    assert decide(came) == []
    (change,) = decide(came, formerly_linked=frozenset({"1"}))
    assert (change.action, change.side, change.reason) == ("create", "exchange", "it stands again in the CRM")
    moved = replace(came, activity_id="2", rescheduled_from="1")
    again = decide(replace(came, is_deleted=True), moved, formerly_linked=frozenset({"1"}))
    assert told(again) == [("create", "exchange", "activity:2")]
    assert decide(moved, formerly_linked=frozenset({"1"})) == []


# ── order and the brake ──────────────────────────────────────────────────────────────────────────────────────────────
def test_the_order_of_a_plan() -> None:
    """What is made comes before what is taken away, what goes to one side together, and earlier entries before later ones, days among them."""
    tomorrow = NOW.date() + timedelta(days=1)

    def hour(number: int) -> Timed:
        return Timed(TEN.start + timedelta(hours=number), TEN.start + timedelta(hours=number + 1))

    given = [
        *(activity(f"{20 - number}", when=hour(number)) for number in (3, 1, 2)),
        *(item(f"N{9 - number}", uid=f"N{number}", when=hour(number)) for number in (2, 40, 1)),
        item("N0", uid="day", when=AllDay(tomorrow, tomorrow + timedelta(days=1))),
        activity("9", is_deleted=True),
        link(9, "9", "I9", uid="U9"),
        activity("8", is_deleted=True),
        link(8, "8", "I8", uid="U8", agreed=entry(when=hour(5))),
    ]
    assert told(decide(*given)) == [
        ("create", "crm", "item:N8"),
        ("create", "crm", "item:N7"),
        ("create", "crm", "item:N0"),
        ("create", "crm", "item:N-31"),
        ("create", "exchange", "activity:19"),
        ("create", "exchange", "activity:18"),
        ("create", "exchange", "activity:17"),
        ("delete", "exchange", "activity:9"),
        ("delete", "exchange", "activity:8"),
    ]


@pytest.mark.req("Y4")
def test_what_the_brake_counts() -> None:
    """Removals count, on either side; not those for which something else stands: a reschedule's new activity, a series' new occurrence."""

    def removal(number: int, **of_link: Any) -> Change:
        gone = link(number, str(number), f"I{number}", **of_link)
        return Change(action="delete", side="exchange", kind=Kind.EVENT, key=f"activity:{number}", reason="", link=gone)

    def gain(action: Any = "create", **more: Any) -> Change:
        return Change(action=action, side="crm", kind=Kind.EVENT, key="item:N", reason="", **more)

    single, first, second = removal(1), *(removal(n, uid="S", original_start=NOW) for n in (2, 3))
    assert planned_removals([single, first, second]) == 3
    replaced = replace(single, replaced_by="9")
    assert planned_removals([replaced, gain(activity=activity("9", rescheduled_from="7"))]) == 0
    assert planned_removals([replaced, gain(activity=activity("8", rescheduled_from="1"))]) == 1
    assert planned_removals([first, second, gain(item=item(uid="S", original_start=NOW))]) == 1
    assert planned_removals([first, gain(item=item(uid="S"))]) == 1
    assert planned_removals([removal(4, uid="S"), gain(item=item(uid="S", original_start=NOW))]) == 1
    occurrence, successor = item(uid="S", original_start=NOW), activity("9", rescheduled_from="1")
    assert planned_removals([gain(activity=successor), replaced, first]) == 1
    assert planned_removals([replaced, gain("update", activity=successor)]) == 1
    assert planned_removals([first, gain("update", item=occurrence)]) == 1
    assert planned_removals([single, gain(item=replace(occurrence, uid=""))]) == 1
    third = removal(4, uid="S", original_start=NOW)
    assert planned_removals([first, second, third, *[gain(item=occurrence)] * 2]) == 1
    late = Change(action="delete", side="exchange", kind=Kind.EVENT, key="item:I", reason="", item=item())
    assert planned_removals([late]) == 1
    assert [allowed_removals(links) for links in (0, 25, 29, 30, 100)] == [5, 5, 5, 6, 20]
