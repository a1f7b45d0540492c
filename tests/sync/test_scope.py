"""Who takes part in the sync, who does not, and why: each rule by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops_lib.model import ActivityStatus, AllDay, Kind, Origin, Timed
from ops_lib.sync.scope import is_current, is_gone, kind_of, why_not
from tests.sync.decisions import NOW, TEN, activity, entry, link, policy

DAY = AllDay(NOW.date(), NOW.date() + timedelta(days=1))
MOMENT, BACKWARDS = Timed(TEN.start, TEN.start), Timed(TEN.end, TEN.start)
BEFORE = "its start is not before its end"
OFF = "it is all-day, and tasks are not enabled for both host and account"


@pytest.mark.req("C1", "C3", "C4")
@pytest.mark.parametrize(
    ("given", "rules", "is_linked", "expected"),
    [
        ({}, {}, False, ""),
        ({"type_id": "call", "type_name": "Call"}, {}, False, "its type 'Call' is not among the types that this host sends to Outlook"),
        ({"when": MOMENT}, {}, False, BEFORE),
        ({"when": BACKWARDS}, {}, False, BEFORE),
        ({"when": BACKWARDS}, {}, True, BEFORE),
        ({"when": DAY}, {}, False, ""),
        ({"when": AllDay(DAY.start, DAY.start)}, {}, False, ""),
        ({"when": AllDay(DAY.end, DAY.start)}, {}, False, ""),
        ({"when": DAY}, {"all_day_tasks": False}, False, OFF),
        ({}, {"all_day_tasks": False}, False, ""),
        ({"when": DAY, "status": ActivityStatus.COMPLETED}, {}, False, "it is all-day and already completed"),
        ({"when": DAY, "status": ActivityStatus.COMPLETED}, {}, True, ""),
        ({"status": ActivityStatus.COMPLETED}, {}, False, ""),
        ({"origin": Origin.EXCHANGE, "type_id": "call"}, {}, True, ""),
        ({"origin": Origin.EXCHANGE, "when": DAY}, {"all_day_tasks": False}, True, ""),
        ({"origin": Origin.EXCHANGE, "when": MOMENT}, {}, True, ""),
        ({"origin": Origin.EXCHANGE, "when": BACKWARDS}, {}, True, BEFORE),
    ],
)  # fmt: skip
def test_why_an_activity_is_not_sent(
    given: dict[str, Any], rules: dict[str, Any], is_linked: bool, expected: str
) -> None:
    """Its type, its times, all-day tasks switched off, completed before it was ever shown; one of Outlook's only for impossible times."""
    one = activity(**given)
    made = link(agreed=replace(entry(), kind=kind_of(one), when=one.when, origin=one.origin)) if is_linked else None
    assert why_not(one, policy(**rules), made) == expected


@pytest.mark.req("C3")
def test_what_an_activity_is_in_exchange() -> None:
    """Timed an event, all-day a task; what was made all-day in Outlook stays an event, and Outlook's own is an event always."""
    assert (kind_of(activity()), kind_of(activity(when=DAY))) == (Kind.EVENT, Kind.TASK)
    all_day_event = link(agreed=entry(when=DAY))
    assert kind_of(activity(when=DAY), all_day_event) is Kind.EVENT
    assert kind_of(activity(when=DAY), link()) is Kind.TASK
    assert kind_of(activity(), link(agreed=entry(when=DAY, kind=Kind.TASK))) is Kind.EVENT
    assert kind_of(activity(when=DAY, origin=Origin.EXCHANGE)) is Kind.EVENT


@pytest.mark.req("O1")
def test_how_long_an_entry_is_kept_in_step() -> None:
    """One of Outlook's while it touches the window; one of the CRM's until ninety days after its end, to the second."""
    rules = policy()
    ended = Timed(NOW - timedelta(days=91), NOW - timedelta(days=90))
    earlier = Timed(ended.start, ended.end - timedelta(seconds=1))
    far = Timed(NOW + timedelta(days=200), NOW + timedelta(days=201))
    assert [is_current(Origin.CRM, when, rules) for when in (ended, earlier, far, TEN)] == [True, False, True, True]
    assert [is_current(Origin.EXCHANGE, when, rules) for when in (ended, far, TEN)] == [False, False, True]


def test_what_does_not_take_place() -> None:
    """What is deleted or cancelled; not what is done."""
    assert [is_gone(activity(**how)) for how in ({}, {"is_deleted": True}, {"status": ActivityStatus.CANCELLED}, {"status": ActivityStatus.COMPLETED})] == [
        False, True, True, False,
    ]  # fmt: skip


def test_by_what_a_change_of_the_rules_is_seen() -> None:
    """Types, tasks and the zone make another fingerprint; the moment, and the rules for conflicts, do not."""
    base = policy().fingerprint()
    assert base == "types=tour;all_day_tasks=True;zone=UTC"
    assert policy(type_ids=frozenset({"tour", "a"})).fingerprint() == "types=a,tour;all_day_tasks=True;zone=UTC"
    assert policy(all_day_tasks=False).fingerprint() != base
    assert policy(conflict="crm", reschedule="update").fingerprint() == base
    assert (policy().conflict, policy().reschedule) == ("latest", "replace")
