"""One user's week on both sides: what is really there, and why the two part."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from ops_lib.errors import NotThere
from ops_lib.model import Timed
from ops_lib.reports.week import WEEK, read_week
from tests.reports.customer import ALICE, BOB, PRIVATE, Customer, at


def _entry(customer: Customer, title: str) -> dict[str, Any]:
    """The state of the entry of that title, and its rows by side."""
    rows = [row for row in read_week(customer.workspace, ALICE).entries.to_dict("records") if row["title"] == title]
    assert rows, title
    return {
        "state": rows[0]["state"],
        "expected": rows[0]["expected"],
        "why": rows[0]["why"],
        "sides": {row["side"]: row for row in rows},
    }


def test_a_synced_week_is_the_same_on_both_sides(customer: Customer) -> None:
    """After a cycle every entry that takes part is in both, and the rest is where a rule leaves it."""
    week = read_week(customer.workspace, ALICE)
    assert (week.parted, week.together, week.unread, week.first_day) == (0, 5, "", date(2026, 11, 23))
    assert week.zone.key == "America/New_York"
    states = week.entries.drop_duplicates("entry").set_index("title")
    assert states.loc["Tour with Alma Reed", "state"] == states.loc["Prepare open house", "state"] == "both"
    assert states.loc[["Call Mrs. Lang", "Cancelled tour", "Backwards"], "expected"].all()
    assert {column: str(kind) for column, kind in week.entries.dtypes.items()} == WEEK


@pytest.mark.parametrize(
    ("title", "word"),
    [("Call Mrs. Lang", "'Call Out'"), ("Cancelled tour", "Cancelled"), ("Backwards", "start is not before its end")],
)
@pytest.mark.req("T4")
def test_what_stands_in_the_crm_only_says_which_rule_leaves_it_there(customer: Customer, title: str, word: str) -> None:
    """The reason is the rule's, in words."""
    entry = _entry(customer, title)
    assert entry["state"] == "crm only"
    assert word in entry["why"]


def test_an_edit_that_no_cycle_has_seen_differs(customer: Customer) -> None:
    """What was moved in Outlook a minute ago differs, and both times are said."""
    item = customer.item("Tour with Alma Reed")
    moved = at(23, 11)
    customer.sandbox.organisation.update_item(item, {"calendar:Start": moved.start, "calendar:End": moved.end})
    entry = _entry(customer, "Tour with Alma Reed")
    assert (entry["state"], entry["expected"]) == ("differs", False)
    assert entry["why"] == "CRM Mon 23 Nov 10:00–11:00, Outlook Mon 23 Nov 11:00–12:00"
    assert entry["sides"]["exchange"]["start"] == moved.start


def test_an_event_that_left_the_week_in_outlook_is_looked_for_where_it_is_now(customer: Customer) -> None:
    """An event that was moved to another week is different, not missing."""
    item = customer.item("Tour with Alma Reed")
    elsewhere = Timed(at(23, 10).start + timedelta(days=9), at(23, 10).end + timedelta(days=9))
    customer.sandbox.organisation.update_item(item, {"calendar:Start": elsewhere.start, "calendar:End": elsewhere.end})
    entry = _entry(customer, "Tour with Alma Reed")
    assert entry["state"] == "differs"
    assert "Outlook Wed 2 Dec" in entry["why"]


def test_an_activity_that_left_the_week_in_the_crm_is_looked_for_where_it_is_now(customer: Customer) -> None:
    """An activity that was moved to another week differs from its event, which is still in this one."""
    activity = customer.activity("Second look", at(25, 14))
    customer.cycle()
    customer.update(activity, when=Timed(at(25, 14).start + timedelta(days=7), at(25, 14).end + timedelta(days=7)))
    entry = _entry(customer, "Second look")
    assert (entry["state"], set(entry["sides"])) == ("differs", {"crm", "exchange"})


def test_what_was_deleted_in_outlook_is_missing_there(customer: Customer) -> None:
    """An item that is gone is not shown as synced because the ledger says so."""
    customer.sandbox.organisation.delete_item(customer.item("Tour with Alma Reed"))
    entry = _entry(customer, "Tour with Alma Reed")
    assert (entry["state"], entry["expected"], set(entry["sides"])) == ("crm only", False, {"crm"})
    assert "not in Outlook any more" in entry["why"]


def test_what_no_cycle_has_carried_yet_is_missing_on_the_other_side(customer: Customer) -> None:
    """New on one side only: not as it should be, and said so on either side."""
    customer.activity("Brand new tour", at(26, 15))
    customer.event("Just booked", at(23, 13))
    assert _entry(customer, "Brand new tour")["why"] == "no cycle has sent it to Outlook yet"
    assert _entry(customer, "Just booked")["why"] == "no cycle has brought it into the CRM yet"
    assert read_week(customer.workspace, ALICE).parted == 2


def test_a_cancelled_activity_whose_event_still_stands_is_to_be_settled(customer: Customer) -> None:
    """Cancelled in the CRM and still in Outlook is a difference until the next cycle."""
    from ops_lib.model import ActivityStatus

    activity = customer.activity("Called off", at(24, 9))
    customer.cycle()
    customer.update(activity, status=ActivityStatus.CANCELLED)
    assert _entry(customer, "Called off")["why"] == "it is Cancelled in the CRM; the next cycle takes it out of Outlook"
    customer.cycle()
    assert _entry(customer, "Called off")["expected"]


def test_a_task_that_was_made_in_outlook_stays_there(customer: Customer) -> None:
    """The user's own tasks take no part, and the week says so."""
    due = datetime(2026, 11, 25, 5, tzinfo=at(25, 9).start.tzinfo)
    customer.sandbox.organisation.create_item(ALICE, "tasks", {"item:Subject": "Buy stamps", "task:DueDate": due})
    entry = _entry(customer, "Buy stamps")
    assert (entry["state"], entry["expected"]) == ("exchange only", True)
    assert entry["why"] == "a task that was made in Outlook stays there"


@pytest.mark.req("O7")
def test_a_private_event_is_busy_time_on_both_sides(customer: Customer) -> None:
    """Its subject appears nowhere, though the server gave it."""
    week = read_week(customer.workspace, ALICE)
    assert PRIVATE not in week.entries.to_csv()
    assert week.entries.set_index("title").loc["Busy", "side"].tolist() == ["crm", "exchange"]


def test_a_mailbox_that_cannot_be_read_is_unknown_and_not_in_step(customer: Customer) -> None:
    """A refused mailbox leaves its half unknown, with the server's reason; nothing counts as agreed."""
    customer.sandbox.organisation.grant_impersonation("svc@example.test", {BOB})
    week = read_week(customer.workspace, ALICE)
    assert "impersonate" in week.unread
    assert set(week.entries["state"]) == {"unknown"}
    assert (week.together, week.parted, len(week.entries)) == (0, 0, 8)


def test_a_user_without_an_account_has_an_unknown_week(customer: Customer) -> None:
    """Whoever takes no part is told so instead of shown as missing in Outlook."""
    from ops_lib.crm.directory import Directory

    with customer.workspace.database.begin() as connection:
        Directory(connection).add_user("dora@example.test", "Dora")
    assert "no account" in read_week(customer.workspace, "dora@example.test").unread
    with pytest.raises(NotThere):
        read_week(customer.workspace, "nobody@example.test")


def test_the_week_is_monday_to_sunday_of_the_user(customer: Customer) -> None:
    """A day chooses its week, and the days are those of the user's zone."""
    customer.event("Late on Sunday", at(29, 23, 30))
    week = read_week(customer.workspace, ALICE, date(2026, 11, 29))
    assert week.first_day == date(2026, 11, 23)
    assert "Late on Sunday" in set(week.entries["title"])
    assert read_week(customer.workspace, ALICE, date(2026, 11, 30)).first_day == date(2026, 11, 30)


def test_in_words_what_should_not_be_comes_first(customer: Customer) -> None:
    """One row an entry; the faults stand at the top."""
    customer.activity("Brand new tour", at(28, 15))
    table = read_week(customer.workspace, ALICE).by_entry()
    assert table.loc[0, ["title", "crm", "exchange"]].tolist() == ["Brand new tour", "Sat 28 Nov 15:00–16:00", "–"]
    assert table.set_index("title").loc["Prepare open house", "exchange"] == "Fri 27 Nov, all day"
    assert table["title"].is_unique
