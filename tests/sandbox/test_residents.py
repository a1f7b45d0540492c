"""Who is in a sandbox that is served: nobody but four accounts, or the population of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_lib import sandbox as package
from ops_lib.errors import InputError, SandboxError
from ops_lib.sandbox.residents import inhabitants, nobody_else
from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE
from tests.support.soap import codes, envelope, get_folder, session

PEOPLE = """
mailboxes:
  - {address: ana@sunrise.example, name: Ana, time_zone: America/Chicago, password: known, ics: ana.ics}
  - {address: ben@sunrise.example, name: Ben, time_zone: Europe/Berlin}
"""
EVENTS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//test//EN
BEGIN:VEVENT
UID:tour-1
DTSTAMP:20261101T000000Z
DTSTART:20261124T150000Z
DTEND:20261124T160000Z
SUMMARY:Tour
END:VEVENT
BEGIN:VEVENT
UID:every-second
DTSTAMP:20261101T000000Z
DTSTART:20261124T150000Z
DTEND:20261124T160000Z
RRULE:FREQ=SECONDLY
SUMMARY:Ticking
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture
def people_file(tmp_path: Path) -> Path:
    """A population of two, one of whom has a calendar file."""
    (tmp_path / "ana.ics").write_text(EVENTS.replace("\n", "\r\n"), encoding="utf-8")
    file = tmp_path / "people.yaml"
    file.write_text(PEOPLE, encoding="utf-8")
    return file


def test_nobody_else() -> None:
    """The empty sandbox has alice, bob and carol, and svc who may act for the three; passwords are new each time."""
    first, second = nobody_else(), nobody_else()
    assert [user.address for user in first.users] == [ALICE, BOB, CAROL]
    assert first.service.address == SERVICE
    passwords = {account.password for residents in (first, second) for account in (*residents.users, residents.service)}
    assert len(passwords) == 8
    assert "password" not in repr(first)


def test_population_of_a_file(people_file: Path) -> None:
    """The mailboxes of a file are served with their events; the service account may act for all of them."""
    with Sandbox(inhabitants(people_file)) as sandbox:
        document = sandbox.document()
        assert [user["email"] for user in document["users"]] == ["ana@sunrise.example", "ben@sunrise.example"]
        assert document["users"][0]["password"] == "known"
        assert document["service"]["email"] == "svc@sunrise.example"
        for user in document["users"]:
            own = session(sandbox, user["email"]).post(sandbox.ews_url, data=envelope(get_folder()))
            assert codes(own) == ["NoError"]
            for_them = session(sandbox, "svc@sunrise.example").post(
                sandbox.ews_url, data=envelope(get_folder(), acting_as=user["email"])
            )
            assert codes(for_them) == ["NoError"]
        for _ in range(2):
            (event,) = sandbox.organisation.mailbox("ana@sunrise.example").folder("calendar").items.values()
            assert event.values["item:Subject"] == "Tour"
            sandbox.reset()


def test_built_in_customer(customer_sandbox: Sandbox) -> None:
    """The built-in customer's users all sign in to calendars with events in them, and the service account acts for each."""
    people = customer_sandbox.residents
    assert len(people.users) == 12
    for user in people.users:
        own = session(customer_sandbox, user.address).post(customer_sandbox.ews_url, data=envelope(get_folder()))
        assert codes(own) == ["NoError"]
        acting = envelope(get_folder("tasks"), acting_as=user.address)
        service = session(customer_sandbox, people.service.address)
        assert codes(service.post(customer_sandbox.ews_url, data=acting)) == ["NoError"]
        assert customer_sandbox.organisation.mailbox(user.address).folder("calendar").items


def test_what_exchange_cannot_hold_is_named(people_file: Path) -> None:
    """An event that Exchange cannot hold is skipped, and said to be, with the file and the reason."""
    (skipped,) = inhabitants(people_file).skipped
    assert "ana.ics" in skipped
    assert "every-second" in skipped


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is refused with its name, before anything listens."""
    with pytest.raises(InputError, match="cannot be read") as refused:
        package.serve(people=tmp_path / "none.yaml")
    assert "none.yaml" in refused.value.subject


def test_empty_and_people_exclude_each_other(people_file: Path) -> None:
    """Somebody who asks for an empty sandbox with people in it is told to choose."""
    with pytest.raises(SandboxError, match="not both"):
        package.serve(people=people_file, empty=True)
