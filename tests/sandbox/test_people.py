"""The customer that comes with the sandbox, and populations from files."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_lib.errors import InputError
from ops_lib.sandbox import people, zones
from ops_lib.sandbox.ical import from_ical, to_ical
from ops_lib.sandbox.people import NOW, Population
from ops_lib.sandbox.recurrence import index_of, local
from ops_lib.sandbox.store import Organisation


@pytest.fixture(scope="module")
def customer() -> Population:
    return people.population()


def test_the_customer_is_the_same_in_every_process() -> None:
    """Two processes with different hash seeds describe the same customer, byte for byte."""
    program = "from ops_lib.sandbox.people import population; import hashlib; print(hashlib.sha256(repr([population(), [m.password for m in population().mailboxes]]).encode()).hexdigest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_customer_has_the_size_of_a_real_one(customer: Population) -> None:
    """Three communities, 12 users, 60 individuals, 400 activities, 300 events and some tasks, each with an id of its own."""
    assert (len(customer.communities), len(customer.users), len(customer.individuals)) == (3, 12, 60)
    assert len({activity.activity_id for activity in customer.activities}) == len(customer.activities) == 400
    contents = [content for mailbox in customer.mailboxes for content in mailbox.contents]
    events = [content.values["calendar:UID"] for content in contents if content.folder == "calendar"]
    assert len(set(events)) == len(events) == 300
    assert sum(content.folder == "tasks" for content in contents) == 36
    assert {mailbox.address for mailbox in customer.mailboxes} == {user.email for user in customer.users}


def test_everything_named_exists(customer: Population) -> None:
    """Users, types, individuals and communities that are referred to are there; zones are known; addresses are invented."""
    users = {user.email for user in customer.users}
    types = {each.name for each in customer.activity_types}
    individuals = {individual.individual_id for individual in customer.individuals}
    communities = {community.name for community in customer.communities}
    assert {activity.user for activity in customer.activities} == users
    assert {activity.type for activity in customer.activities} == types
    assert {activity.individual for activity in customer.activities} - {""} <= individuals
    assert {each.community for each in (*customer.users, *customer.individuals)} == communities
    for each in (*customer.users, *customer.communities):
        assert zones.zone(each.time_zone).key == each.time_zone
    addresses = [*users, customer.service.address, *(each.email for each in customer.individuals if each.email)]
    assert all(address.endswith(".example") for address in addresses)


def test_the_activities_show_every_case(customer: Population) -> None:
    """All statuses, timed and of a day, past and to come; some start when or after they end, which is not synced."""
    timed = [activity for activity in customer.activities if activity.start is not None and activity.end is not None]
    days = [activity for activity in customer.activities if activity.all_day is not None]
    assert len(timed) + len(days) == len(customer.activities)
    for part in (timed, days):
        assert {activity.status for activity in part} == {"Scheduled", "Completed", "Cancelled"}
    assert any(activity.start == activity.end for activity in timed)
    assert any(activity.start > activity.end for activity in timed)
    weeks = timedelta(weeks=3, days=1)
    assert all(NOW - weeks <= activity.start <= NOW + weeks for activity in timed)
    assert any(activity.start < NOW for activity in timed)
    assert any(activity.start > NOW for activity in timed)


@pytest.mark.req("O5", "O6", "O7")
def test_the_mailboxes_show_every_case(customer: Population) -> None:
    """Series with moved and deleted occurrences, whole days, private events, nights, other zones, meetings, formatted text."""
    for mailbox in customer.mailboxes:
        events = [content for content in mailbox.contents if content.folder == "calendar"]
        series = [content for content in events if "calendar:Recurrence" in content.values]
        zone = zones.zone(mailbox.zone)
        assert len(series) == 3
        assert any(content.exceptions for content in series)
        assert any(content.deleted for content in series)
        assert any(content.values["calendar:IsAllDayEvent"] for content in events)
        assert any(content.values["item:Sensitivity"] == "Private" for content in events)
        assert any(content.values["calendar:StartTimeZone"] != mailbox.zone for content in events)
        assert any(content.values.get("calendar:RequiredAttendees") for content in events)
        assert any(
            local(content.values["calendar:Start"], zone).hour == 22
            and local(content.values["calendar:End"], zone).hour == 6
            for content in events
        )


def test_what_is_changed_or_deleted_is_an_occurrence(customer: Population) -> None:
    """Each exception and deletion of the customer's series is at the original start of one of its occurrences."""
    for content in (content for mailbox in customer.mailboxes for content in mailbox.contents):
        for original in (*content.exceptions, *content.deleted):
            zone = zones.zone(content.values["calendar:StartTimeZone"])
            assert index_of(content.values["calendar:Recurrence"], content.values["calendar:Start"], zone, original)


def test_the_customers_mailboxes_fill_an_organisation(customer: Population) -> None:
    """Each user can sign in and has all items; the service account may impersonate each of them and nobody else."""
    organisation = Organisation(lambda: NOW)
    people.fill(organisation, customer)
    for mailbox in customer.mailboxes:
        assert organisation.authenticate(mailbox.address, mailbox.password)
        box = organisation.mailbox(mailbox.address)
        assert len(list(box.folder("calendar").visible_items())) == 25
        assert len(list(box.folder("tasks").visible_items())) == 3
        assert organisation.may_impersonate(customer.service.address, mailbox.address)
    assert organisation.authenticate(customer.service.address, customer.service.password)
    assert not organisation.may_impersonate(customer.mailboxes[0].address, customer.mailboxes[1].address)


def test_no_password_is_shown() -> None:
    """Printing a population, in an error or a log, does not show a password."""
    shown = repr(people.population())
    assert all(mailbox.password not in shown for mailbox in people.population().mailboxes)


def test_the_customers_events_can_be_sent_as_icalendar(customer: Population) -> None:
    """Every event of the customer has an iCalendar form that keeps its times."""
    for content in customer.mailboxes[0].contents:
        if content.folder == "calendar":
            (event,) = from_ical(to_ical(content.values, content.exceptions, content.deleted))
            assert {key: event.values.get(key) for key in content.values} == dict(content.values)
            assert event.exceptions == content.exceptions
            assert event.deleted == content.deleted


_FILE = """
communities:
  - {name: Hill House, time_zone: Europe/Berlin}
users:
  - {email: ana@hill.example, name: Ana, community: Hill House, time_zone: Europe/Berlin, admin: true}
individuals:
  - {id: 7, name: Rosa, kind: resident, community: Hill House, email: rosa@families.example}
activity_types:
  - {name: Tour, master_type: Tour, face_to_face: true}
activities:
  - {user: ana@hill.example, type: Tour, description: With Rosa, start: "2026-11-23T10:00:00+01:00", end: 2026-11-23T10:00:00Z, individual: 7}
  - {user: ana@hill.example, type: Tour, description: All day, all_day: 2026-11-24, status: Completed, notes: "a\\nb"}
mailboxes:
  - {address: ana@hill.example, name: Ana, password: wordpass, ics: [ana.ics]}
  - {address: bo@hill.example}
"""

_CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:whole
SUMMARY:Whole day
DTSTART;VALUE=DATE:20261123
END:VEVENT
BEGIN:VEVENT
UID:odd
SUMMARY:Odd
DTSTART:20261123T090000Z
RDATE:20261130T090000Z
END:VEVENT
END:VCALENDAR
"""


def _write(folder: Path, text: str = _FILE, calendar: str | None = _CALENDAR) -> Path:
    if calendar is not None:
        (folder / "ana.ics").write_text(calendar)
    file = folder / "people.yaml"
    file.write_text(text)
    return file


def test_a_file_gives_a_population(tmp_path: Path) -> None:
    """Everything the file says is there, with times in UTC, and its calendar's events are in the mailbox."""
    found = people.load(_write(tmp_path))
    assert found.communities[0].time_zone == "Europe/Berlin"
    assert found.users[0].is_admin
    assert found.individuals[0].individual_id == "7"
    assert found.activity_types[0].is_face_to_face
    timed, day = found.activities
    assert (timed.start, timed.end) == (datetime(2026, 11, 23, 9, tzinfo=UTC), datetime(2026, 11, 23, 10, tzinfo=UTC))
    assert (timed.individual, timed.status) == ("7", "Scheduled")
    assert (day.all_day, day.status) == (date(2026, 11, 24), "Completed")
    (content,) = found.mailboxes[0].contents
    # A day of the file is a day in the owner's zone, which the mailbox takes from the user.
    assert content.values["calendar:Start"] == datetime(2026, 11, 22, 23, tzinfo=UTC)
    organisation = Organisation(lambda: NOW)
    people.fill(organisation, found)
    assert organisation.authenticate("ana@hill.example", "wordpass")


def test_what_exchange_cannot_hold_is_skipped_with_its_reason(tmp_path: Path) -> None:
    """An event of a file that cannot be held is left out and reported with file, UID and reason."""
    (skipped,) = people.load(_write(tmp_path)).skipped
    assert "ana.ics" in skipped
    assert "odd" in skipped
    assert "RDATE" in skipped


def test_who_has_no_password_gets_a_new_one_each_time(tmp_path: Path) -> None:
    """A mailbox or service without a password has one nobody knows from before."""
    file = _write(tmp_path)
    first, second = people.load(file), people.load(file)
    assert first.service.address == "svc@hill.example"
    assert first.service.password != second.service.password
    assert len(first.mailboxes[1].password) >= 16
    assert first.mailboxes[1].password != second.mailboxes[1].password


def test_a_file_may_hold_mailboxes_only(tmp_path: Path) -> None:
    """Every part may be missing."""
    found = people.load(_write(tmp_path, "mailboxes:\n  - address: a@hill.example\n"))
    assert (len(found.mailboxes), found.activities) == (1, ())


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("- 1\n", "people.yaml", "no parts"),
        ("a: [\n", "people.yaml", "not YAML"),
        ("person: []\n", "people.yaml", "no part 'person'"),
        ("users: {a: 1}\n", "users", "not a list"),
        ("users: [1]\n", "users, entry 1", "not a list of fields"),
        ("users: [{email: ana}]\n", "users, entry 1", "no email address"),
        ("users: [{email: a@b.example, nick: x}]\n", "users, entry 1", "no field 'nick'"),
        ("users: [{email: a@b.example, time_zone: Mars}]\n", "users, entry 1", "no time zone"),
        ("users: [{email: a@b.example, community: X}]\n", "users, entry 1", "no community 'X'"),
        ("users: [{email: a@b.example, admin: 'yes'}]\n", "users, entry 1", "neither true nor false"),
        ("users: [{email: a@b.example}, {email: A@b.example}]\n", "users", "twice"),
        ("communities: [{time_zone: UTC}]\n", "communities, entry 1", "name is missing"),
        ("individuals: [{id: 1, name: A, kind: robot}]\n", "individuals, entry 1", "no kind 'robot'"),
        ("activities: [{user: a@b.example}]\n", "activities, entry 1", "neither timed nor of a day"),
        (
            "activities: [{user: a, start: 2026-01-01 10:00, end: 2026-01-01T11:00Z}]\n",
            "activities, entry 1",
            "no offset",
        ),
        ("activities: [{user: a, start: soon, end: later}]\n", "activities, entry 1", "no time"),
        ("activities: [{user: a, all_day: Monday}]\n", "activities, entry 1", "no day"),
        ("activities: [{user: a, start: '2026-01-01T10:00Z'}]\n", "activities, entry 1", "neither timed"),
        ("activities: [{user: a, all_day: 2026-01-01}]\n", "activities, entry 1", "no user 'a'"),
        ("mailboxes: [{address: a@b.example, ics: none.ics}]\n", "mailboxes, entry 1", "none.ics cannot be read"),
        ("mailboxes: [{address: a@b.example, ics: people.yaml}]\n", "mailboxes, entry 1", "people.yaml is refused"),
        ("mailboxes: [{address: svc@b.example}]\nservice: {address: svc@b.example}\n", "mailboxes", "twice"),
    ],
)
def test_a_wrong_file_is_refused_at_its_entry(tmp_path: Path, text: str, place: str, reason: str) -> None:
    """The error names the file, the part and entry, what is wrong with it and how to mend it."""
    with pytest.raises(InputError) as refused:
        people.load(_write(tmp_path, text))
    assert place in refused.value.subject
    assert "people.yaml" in refused.value.subject
    assert reason in refused.value.message
    assert refused.value.fix


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """A path without a file says so."""
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        people.load(tmp_path / "nowhere.yaml")


def test_the_tasks_have_a_due_day_and_a_status(customer: Population) -> None:
    """Each task of the customer is due at a midnight and stands somewhere between begun and done."""
    tasks: list[Any] = [c.values for mailbox in customer.mailboxes for c in mailbox.contents if c.folder == "tasks"]
    assert {values["task:Status"] for values in tasks} == {"NotStarted", "InProgress", "Completed"}
    assert all(values["task:DueDate"].time().isoformat() == "00:00:00" for values in tasks)
