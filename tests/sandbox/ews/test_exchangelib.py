"""The real exchangelib over real HTTP: what it needs of a server is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from exchangelib import (
    BASIC,
    DELEGATE,
    IMPERSONATION,
    Account,
    CalendarItem,
    Configuration,
    Contact,
    Credentials,
    EWSDate,
    EWSDateTime,
    EWSTimeZone,
    ExtendedProperty,
    FailFast,
    HTMLBody,
    Mailbox,
    Message,
    Q,
    Task,
)
from exchangelib.errors import (
    ErrorFolderNotFound,
    ErrorImpersonateUserDenied,
    ErrorInvalidSyncStateData,
    ErrorIrresolvableConflict,
    ErrorItemNotFound,
)
from exchangelib.folders import Calendar, DistinguishedFolderId, SingleFolderQuerySet
from exchangelib.indexed_properties import EmailAddress, PhoneNumber, PhysicalAddress
from exchangelib.items import SEND_TO_NONE
from exchangelib.recurrence import Recurrence, WeeklyPattern

from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import outlook_account

ALICE, BOB, CAROL, SERVICE = (f"{name}@example.test" for name in ("alice", "bob", "carol", "svc"))
NEW_YORK = EWSTimeZone("America/New_York")


class SyncKey(ExtendedProperty):
    """The stamp that a synchronising client puts on what it makes."""

    property_set_id = "6f0a2c54-3d1e-4b7a-9c65-2e8d7b1f4a90"
    property_name = "SandboxTestKey"
    property_type = "String"


@pytest.fixture(autouse=True)
def _stamp() -> Iterator[None]:
    for kind in (CalendarItem, Task):
        kind.register("sandbox_key", SyncKey)
    yield
    for kind in (CalendarItem, Task):
        kind.deregister("sandbox_key")


@pytest.fixture
def alice(sandbox: Sandbox) -> Iterator[Any]:
    """alice's own mailbox, times in New York."""
    account = outlook_account(sandbox, ALICE)
    account.default_timezone = NEW_YORK
    yield account
    account.protocol.close()


def at(day: int, hour: int, month: int = 3) -> EWSDateTime:
    return EWSDateTime(2027, month, day, hour, tzinfo=NEW_YORK)


def test_a_client_that_knows_nothing_finds_its_way(sandbox: Sandbox) -> None:
    """With neither version nor authentication type given, the client finds both out and opens the mailbox."""
    configuration = Configuration(
        service_endpoint=sandbox.ews_url,
        credentials=Credentials(SERVICE, sandbox.passwords[SERVICE]),
        retry_policy=FailFast(),
        auth_type=BASIC,
    )
    account = Account(ALICE, config=configuration, autodiscover=False, access_type=IMPERSONATION)
    assert account.version.api_version.startswith("Exchange2016")
    assert account.calendar.total_count == 0
    account.protocol.close()


def test_the_whole_folder_tree_can_be_walked(alice: Any) -> None:
    """Walking from the root finds the well-known folders by their own classes."""
    names = {folder.name: type(folder).__name__ for folder in alice.root.walk()}
    assert names["Calendar"] == "Calendar"
    assert names["Tasks"] == "Tasks"
    assert names["Deleted Items"] == "DeletedItems"
    assert alice.inbox.parent.name == "Top of Information Store"
    assert alice.calendar.effective_rights.create_contents


def test_events_go_there_and_back(alice: Any) -> None:
    """An event saved with everything is read with everything, changed and deleted."""
    event = CalendarItem(
        account=alice, folder=alice.calendar, subject="Tour & <b>", body=HTMLBody("<p>x</p>"), start=at(5, 10), end=at(5, 11),
        location="Lobby", categories=["CRM"], sandbox_key="k-1", reminder_minutes_before_start=5,
        required_attendees=["x@out.example"],
    )  # fmt: skip
    event.save(send_meeting_invitations=SEND_TO_NONE)
    found = alice.calendar.get(sandbox_key="k-1")
    assert (found.subject, found.location, found.categories, found.sandbox_key) == (
        "Tour & <b>",
        "Lobby",
        ["CRM"],
        "k-1",
    )
    assert (found.start, found.end) == (at(5, 10), at(5, 11))
    assert found.required_attendees[0].mailbox.email_address == "x@out.example"
    assert b"BEGIN:VTIMEZONE" in found.mime_content
    found.start += timedelta(hours=1)
    found.end += timedelta(hours=1)
    found.sandbox_key = None
    found.save(update_fields=["start", "end", "sandbox_key"])
    again = alice.calendar.get(id=found.id)
    assert (again.start, again.sandbox_key) == (at(5, 11), None)
    again.move_to_trash()
    assert alice.calendar.all().count() == 0
    assert [item.subject for item in alice.trash.all()] == ["Tour & <b>"]


def test_all_day_events_are_days(alice: Any) -> None:
    """An all-day event given as dates comes back as the same dates."""
    CalendarItem(
        account=alice,
        folder=alice.calendar,
        subject="Fair",
        is_all_day=True,
        start=EWSDate(2027, 3, 14),
        end=EWSDate(2027, 3, 15),
    ).save()
    (found,) = alice.calendar.all()
    assert (found.is_all_day, found.start, found.end) == (True, EWSDate(2027, 3, 14), EWSDate(2027, 3, 15))


def test_tasks_keep_their_days(alice: Any) -> None:
    """A task's dates and completion come back; a completed task is complete."""
    Task(
        account=alice,
        folder=alice.tasks,
        subject="Call",
        due_date=EWSDate(2027, 1, 12),
        start_date=EWSDate(2027, 1, 12),
    ).save()
    found = alice.tasks.get(subject="Call")
    assert (found.due_date, found.start_date, found.status) == (
        EWSDate(2027, 1, 12),
        EWSDate(2027, 1, 12),
        "NotStarted",
    )
    found.status = "Completed"
    found.save(update_fields=["status"])
    found.refresh()
    assert (found.is_complete, found.percent_complete) == (True, 100)


def test_a_series_with_a_moved_and_a_deleted_occurrence(alice: Any) -> None:
    """A weekly series shows in a view; one occurrence moved and one deleted show there and on the master."""
    rule = Recurrence(pattern=WeeklyPattern(interval=1, weekdays=["Monday"]), start=EWSDate(2027, 3, 1), number=5)
    master = CalendarItem(
        account=alice, folder=alice.calendar, subject="Round", start=at(1, 10), end=at(1, 11), recurrence=rule
    )
    master.save()
    window = {"start": at(1, 0), "end": at(1, 0, 4)}
    items = list(alice.calendar.view(**window).order_by("start"))
    assert [item.start for item in items] == [at(day, 10) for day in (1, 8, 15, 22, 29)]
    items[1].start, items[1].end = at(9, 15), at(9, 16)
    items[1].save(update_fields=["start", "end"])
    items[2].delete()
    master = alice.calendar.get(id=master.id)
    assert [one.original_start for one in master.modified_occurrences] == [at(8, 10)]
    assert [one.start for one in master.deleted_occurrences] == [at(15, 10)]
    assert master.recurrence == rule
    assert master.last_occurrence.start == at(29, 10)
    fourth = master.occurrence(4)
    fourth.refresh()
    assert fourth.start == at(22, 10)
    assert fourth.recurring_master().refresh().subject == "Round"


def test_searching_filters_on_the_server(alice: Any, sandbox: Sandbox) -> None:
    """Filters by subject, stamp, time and combinations find what they should, sorted, sliced and counted."""
    events = [
        CalendarItem(subject=f"Visit {number}", start=at(number, 9), end=at(number, 10), sandbox_key=f"k-{number}" if number % 2 else None)
        for number in range(1, 8)
    ]  # fmt: skip
    alice.bulk_create(folder=alice.calendar, items=events)
    calendar = alice.calendar
    assert calendar.filter(sandbox_key__exists=True).count() == 4
    assert calendar.get(sandbox_key="k-3").subject == "Visit 3"
    assert [one.subject for one in calendar.filter(start__gte=at(6, 0)).order_by("-start").only("subject")] == [
        "Visit 7",
        "Visit 6",
    ]
    assert calendar.filter(Q(subject__contains="5") | Q(subject__iexact="visit 2")).count() == 2
    assert calendar.filter(~Q(subject="Visit 1"), start__lt=at(4, 0)).count() == 2
    assert [one.subject for one in calendar.all().order_by("start").only("subject")[2:4]] == ["Visit 3", "Visit 4"]
    assert list(calendar.all().order_by("subject").values_list("subject", flat=True))[:2] == ["Visit 1", "Visit 2"]
    assert calendar.filter("subject:visit").count() == 7


def test_synchronising_in_pages(alice: Any) -> None:
    """A first sync gives all, the next only what changed; a spoiled state is refused by its own error."""
    made = alice.bulk_create(
        folder=alice.calendar,
        items=[CalendarItem(subject=str(number), start=at(5, 9), end=at(5, 10)) for number in range(25)],
    )
    calendar = alice.calendar
    first = list(calendar.sync_items(only_fields=["subject", "sandbox_key"], max_changes_returned=10))
    assert [kind for kind, _ in first] == ["create"] * 25
    changed, gone = (alice.calendar.get(id=made[place].id) for place in (3, 4))
    changed.subject = "changed"
    changed.save(update_fields=["subject"])
    gone.delete()
    news = dict(calendar.sync_items(only_fields=["subject"]))
    assert news["update"].subject == "changed"
    assert news["delete"].id == made[4].id
    with pytest.raises(ErrorInvalidSyncStateData):
        list(calendar.sync_items(sync_state="rubbish"))


def test_an_old_change_key_conflicts(alice: Any) -> None:
    """Saving what somebody else has changed meanwhile raises ErrorIrresolvableConflict."""
    CalendarItem(account=alice, folder=alice.calendar, subject="a", start=at(5, 9), end=at(5, 10)).save()
    one, two = (alice.calendar.get(subject="a") for _ in range(2))
    one.subject = "b"
    one.save(update_fields=["subject"])
    two.subject = "c"
    with pytest.raises(ErrorIrresolvableConflict):
        two.save(update_fields=["subject"], conflict_resolution="NeverOverwrite")


def test_a_delegate_opens_the_shared_calendar(alice: Any, sandbox: Sandbox) -> None:
    """A delegate reads a shared calendar by its owner's address, and cannot see one that is not shared."""
    sandbox.organisation.set_permission(ALICE, "calendar", BOB, "Editor")
    CalendarItem(account=alice, folder=alice.calendar, subject="hers", start=at(5, 9), end=at(5, 10)).save()
    bob = outlook_account(sandbox, BOB)
    place = Calendar(
        root=bob.root, _distinguished_id=DistinguishedFolderId(id="calendar", mailbox=Mailbox(email_address=ALICE))
    )
    shared = SingleFolderQuerySet(account=bob, folder=place).resolve()
    shared._distinguished_id = None
    assert shared.effective_rights.modify is False
    assert [item.subject for item in shared.all()] == ["hers"]
    foreign = Account(CAROL, config=bob.protocol.config, autodiscover=False, access_type=DELEGATE)
    with pytest.raises((ErrorFolderNotFound, ErrorItemNotFound)):
        _ = foreign.calendar.total_count
    bob.protocol.close()


def test_impersonation_outside_the_scope_is_denied(sandbox: Sandbox) -> None:
    """The denial of impersonation reaches the client as ErrorImpersonateUserDenied."""
    sandbox.organisation.grant_impersonation(SERVICE, {BOB})
    account = outlook_account(sandbox, ALICE, through=SERVICE)
    with pytest.raises(ErrorImpersonateUserDenied):
        _ = account.calendar.total_count
    account.protocol.close()


def test_contacts_keep_their_entries(alice: Any) -> None:
    """A contact's addresses and numbers come back, and are changed and removed one by one."""
    contact = Contact(
        account=alice, folder=alice.contacts, display_name="Dora Dee", given_name="Dora", surname="Dee", company_name="Dee & Co",
        email_addresses=[EmailAddress(label="EmailAddress1", email="d@out.example")],
        phone_numbers=[PhoneNumber(label="HomePhone", phone_number="1"), PhoneNumber(label="MobilePhone", phone_number="2")],
        physical_addresses=[PhysicalAddress(label="Home", street="Elm 1", city="Salem", zipcode="01970")],
    )  # fmt: skip
    contact.save()
    found = alice.contacts.get(surname="Dee")
    assert found.physical_addresses[0].city == "Salem"
    assert sorted(number.phone_number for number in found.phone_numbers) == ["1", "2"]
    found.phone_numbers = [PhoneNumber(label="HomePhone", phone_number="3")]
    found.physical_addresses = [PhysicalAddress(label="Home", street="Elm 1", city="Boston")]
    found.save(update_fields=["phone_numbers", "physical_addresses"])
    again = alice.contacts.get(surname="Dee")
    assert {number.label: number.phone_number for number in again.phone_numbers}["HomePhone"] == "3"
    assert (again.physical_addresses[0].city, again.physical_addresses[0].zipcode) == ("Boston", None)


def test_folders_names_and_messages(alice: Any) -> None:
    """Folders are made and removed, names resolved, permissions read and a draft saved."""
    folder = Calendar(parent=alice.calendar, name="Prospects").save()
    folder.name = "Leads"
    folder.save()
    assert [child.name for child in alice.calendar.children] == ["Leads"]
    folder.delete()
    assert [mailbox.email_address for mailbox in alice.protocol.resolve_names(["bob"])] == [BOB]
    entries = alice.calendar.permission_set.calendar_permissions
    levels = {entry.user_id.distinguished_user: entry.calendar_permission_level for entry in entries}
    assert levels["Default"] == "FreeBusyTimeOnly"
    Message(account=alice, folder=alice.drafts, subject="Hi", body="x", to_recipients=[BOB]).save()
    (draft,) = alice.drafts.all()
    assert (draft.subject, draft.is_draft, draft.to_recipients[0].email_address) == ("Hi", True, BOB)
    zones = list(alice.protocol.get_timezones(return_full_timezone_data=True))
    assert len(zones) > 100
