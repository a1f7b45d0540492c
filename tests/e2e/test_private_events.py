"""Private events: busy time and nothing else in the CRM, also through a delegate who may not see them; nothing of them anywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from ops_lib.database.engine import Database
from ops_lib.model import Activity, Host
from ops_lib.sandbox.items import Item
from ops_lib.sandbox.server import Sandbox
from ops_lib.sandbox.values import Body, Person
from tests.support.sandbox import ALICE, SERVICE
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, at

SECRETS = ("Oncologist", "St. Mary's clinic", "bring the scans", "Dr. Hush")
PRIVATE = {
    "item:Subject": SECRETS[0],
    "calendar:Location": SECRETS[1],
    "item:Body": Body(SECRETS[2]),
    "calendar:RequiredAttendees": [Person(SECRETS[3], "hush@clinic.example")],
    "item:Sensitivity": "Private",
    "item:Categories": ["Health"],
}


@dataclass
class DelegateDesk(ServerDesk):
    """Alice's account through the service account as her delegate: Editor of calendar and tasks."""

    @property
    def host(self) -> Host:
        return replace(super().host, access="delegate")


def desk_of(access: str, sandbox: Sandbox, database: Database) -> ServerDesk:
    """Alice's account by impersonation, or through a delegate who may ("viewer") or may not ("delegate") see private items."""
    sandbox.clock.set(NOW)
    if access == "impersonation":
        return ServerDesk(database, sandbox=sandbox)
    for folder in ("calendar", "tasks"):
        sandbox.organisation.set_permission(ALICE, folder, SERVICE, "Editor")
    sandbox.organisation.set_private_viewer(ALICE, SERVICE, allowed=access == "viewer")
    return DelegateDesk(database, sandbox=sandbox)


@pytest.fixture(params=["impersonation", "viewer", "delegate"])
def desk(request: pytest.FixtureRequest, sandbox: Sandbox, sqlite_database: Database) -> ServerDesk:
    """The three ways to alice's calendar."""
    return desk_of(request.param, sandbox, sqlite_database)


@pytest.fixture
def delegate(sandbox: Sandbox, sqlite_database: Database) -> ServerDesk:
    """Through a delegate who may not see private items."""
    return desk_of("delegate", sandbox, sqlite_database)


def add_private(desk: ServerDesk, day: int = 2, hour: float = 10, **more: Any) -> Item:
    """A private event that alice makes in Outlook."""
    when = at(day, hour)
    times = {"calendar:Start": when.start, "calendar:End": when.end}
    return desk.sandbox.organisation.create_item(ALICE, "calendar", PRIVATE | times | more)


def only(desk: ServerDesk) -> Activity:
    """The only activity."""
    [activity] = desk.activities()
    return activity


def told(activity: Activity) -> tuple[Any, ...]:
    """What the CRM says of it besides its time."""
    return (
        activity.description, activity.location, activity.notes, activity.organizer, activity.attendees, activity.is_private
    )  # fmt: skip


BUSY = ("Busy", "", "", "", (), True)


def database_text(database: Database) -> str:
    """Everything that is stored, as text."""
    with database.read() as connection:
        names = [
            row[0] for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        ]
        rows = [connection.exec_driver_sql(f'SELECT * FROM "{name}"').fetchall() for name in names]
    return repr(rows)


@pytest.mark.req("O7")
def test_a_private_event_is_busy_time(desk: ServerDesk) -> None:
    """It shows as Busy at its time, moves with it, and goes with it, whoever looks."""
    item = add_private(desk)
    desk.settle()
    assert (only(desk).when, told(only(desk))) == (at(2, 10), BUSY)
    desk.sandbox.organisation.update_item(
        item, {"calendar:Start": at(2, 12).start, "calendar:End": at(2, 12).end, "item:Subject": "Oncologist again"}
    )
    desk.settle()
    assert (only(desk).when, told(only(desk))) == (at(2, 12), BUSY)
    desk.sandbox.organisation.delete_item(item)
    desk.settle()
    assert desk.activities() == []


@pytest.mark.req("O7")
def test_nothing_private_is_kept_or_said_anywhere(
    desk: ServerDesk, sqlite_database: Database, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """After every kind of change, no word of a private event is in the database, in what a cycle shows and records, in the log or on the screen."""
    caplog.set_level(0)
    item = add_private(desk)
    results = [desk.cycle(dry_run=True), desk.cycle(), desk.cycle()]
    desk.sandbox.organisation.update_item(item, {"item:Subject": "Oncologist, moved"})
    results.append(desk.cycle())
    desk.edit(only(desk).activity_id, when=at(2, 14))
    results += [desk.cycle(), desk.cycle()]
    desk.sandbox.organisation.delete_item(item)
    results.append(desk.cycle())
    told = [
        [(one.action, one.key, one.reason, one.before, one.after, one.loser) for one in result.changes]
        + result.outcomes
        for result in results
    ]
    said = [database_text(sqlite_database), repr(told), caplog.text, *capsys.readouterr()]
    assert [(word, text[:80]) for word in SECRETS for text in said if word in text] == []


@pytest.mark.req("O7")
@pytest.mark.parametrize("access", ["impersonation", "viewer"])
def test_only_the_time_goes_back_to_a_private_event(access: str, sandbox: Sandbox, sqlite_database: Database) -> None:
    """Retitled and moved in the CRM: in Outlook the time is new and everything hidden is as it was."""
    desk = desk_of(access, sandbox, sqlite_database)
    item = add_private(desk)
    desk.settle()
    desk.edit(only(desk).activity_id, description="Not busy at all", location="Office", when=at(2, 15))
    desk.settle()
    assert item.values["calendar:Start"] == at(2, 15).start
    assert {uri: item.values[uri] for uri in PRIVATE} == PRIVATE
    assert (only(desk).when, told(only(desk))) == (at(2, 15), BUSY)


@pytest.mark.req("O7")
def test_a_delegate_without_the_right_destroys_nothing(delegate: ServerDesk) -> None:
    """A delegate who may not see the event may not move it either: the event stays whole, the failure is recorded, the rest goes on."""
    item = add_private(delegate)
    delegate.settle()
    delegate.edit(only(delegate).activity_id, when=at(2, 15))
    tour = delegate.add("Tour", at(3, 9))
    result = delegate.cycle()
    [failed] = [one for one in result.outcomes if one.outcome == "failed"]
    assert failed.response_code == "ErrorAccessDenied"
    assert {uri: item.values[uri] for uri in PRIVATE} == PRIVATE
    assert item.values["calendar:Start"] == at(2, 10).start
    assert {one.values["item:Subject"] for one in delegate.stored()} == {SECRETS[0], "Tour"}
    assert tour in {a.activity_id for a in delegate.activities()}


@pytest.mark.req("O7")
def test_a_delegate_without_the_right_removes_nothing(delegate: ServerDesk) -> None:
    """Deleted in the CRM, an event that the delegate may not see stays in the calendar: the failure is recorded, and tried again."""
    item = add_private(delegate)
    delegate.settle()
    delegate.remove(only(delegate).activity_id)
    result = delegate.cycle()
    assert [(one.action, one.outcome, one.response_code) for one in result.outcomes] == [
        ("delete", "failed", "ErrorAccessDenied")
    ]
    assert [one.values["item:Subject"] for one in delegate.stored()] == [SECRETS[0]]
    assert {uri: item.values[uri] for uri in PRIVATE} == PRIVATE


@pytest.mark.req("O7")
def test_made_public_it_tells_all_and_made_private_again_nothing(desk: ServerDesk, sqlite_database: Database) -> None:
    """An event that is made public shows with all of itself; private again, the CRM forgets what it was."""
    item = add_private(desk)
    desk.settle()
    desk.sandbox.organisation.update_item(item, {"item:Sensitivity": "Normal"})
    desk.settle()
    assert told(only(desk)) == (SECRETS[0], SECRETS[1], SECRETS[2], "Alice Archer", (SECRETS[3],), False)
    desk.sandbox.organisation.update_item(item, {"item:Sensitivity": "Private"})
    desk.settle()
    assert told(only(desk)) == BUSY
    assert item.values["item:Subject"] == SECRETS[0]


@pytest.mark.req("O7")
def test_a_visit_made_private_in_outlook_keeps_its_title_in_the_crm(desk: ServerDesk) -> None:
    """The user marks a CRM-born event private: the CRM keeps what it knew, learns no new title or place, and the link stays."""
    tour = desk.add("Tour", at(2, 10), location="Lobby")
    desk.settle()
    [item] = desk.stored()
    organisation = desk.sandbox.organisation
    organisation.update_item(
        item, {"item:Sensitivity": "Private", "item:Subject": SECRETS[0], "calendar:Location": SECRETS[1]}
    )
    desk.cycle()
    desk.cycle()
    activity = desk.get(tour)
    assert (activity.description, activity.location, activity.when, activity.is_deleted) == (
        "Tour",
        "Lobby",
        at(2, 10),
        False,
    )
    organisation.update_item(item, {"calendar:Start": at(2, 13).start, "calendar:End": at(2, 13).end})
    desk.cycle()
    desk.cycle()
    assert [(a.description, a.when) for a in desk.activities()] == [("Tour", at(2, 13))]
    assert [one.id for one in desk.stored()] == [item.id]
    assert (item.values["item:Subject"], item.values["calendar:Location"]) == SECRETS[:2]
    organisation.update_item(
        item, {"item:Sensitivity": "Normal", "item:Subject": "Tour with Ruth", "calendar:Location": "Lobby"}
    )
    desk.settle()
    assert [(a.description, a.location) for a in desk.activities()] == [("Tour with Ruth", "Lobby")]


@pytest.mark.req("O7", "Y3")
@pytest.mark.parametrize("access", ["impersonation", "viewer"])
def test_what_a_private_visit_is_called_in_outlook_stays(
    access: str, sandbox: Sandbox, sqlite_database: Database
) -> None:
    """Its title and place edited in the CRM, once and with its time, reach Outlook only when the event is open again, and then by the rule."""
    desk = desk_of(access, sandbox, sqlite_database)
    tour = desk.add("Tour", at(2, 10), location="Lobby")
    desk.settle()
    [item] = desk.stored()
    own = {"item:Subject": SECRETS[0], "calendar:Location": SECRETS[1]}
    desk.sandbox.organisation.update_item(item, {"item:Sensitivity": "Private", **own})
    desk.settle()
    desk.edit(tour, description="Tour 2", location="Office")
    desk.settle()
    assert {uri: item.values[uri] for uri in own} == own
    desk.edit(tour, description="Tour 3", when=at(2, 15))
    desk.settle()
    assert ({uri: item.values[uri] for uri in own}, item.values["calendar:Start"]) == (own, at(2, 15).start)
    assert [(a.description, a.location, a.when) for a in desk.activities()] == [("Tour 3", "Office", at(2, 15))]
    desk.sandbox.organisation.update_item(
        item, {"item:Sensitivity": "Normal", "item:Subject": "Tour", "calendar:Location": "Lobby"}
    )
    desk.settle()
    assert [one.id for one in desk.stored()] == [item.id]
    assert (item.values["item:Subject"], item.values["calendar:Location"]) == ("Tour 3", "Office")


@pytest.mark.req("O7", "O5")
def test_one_private_series_is_busy_time_each_time(desk: ServerDesk) -> None:
    """Each occurrence of a private series is Busy; one that is moved is Busy at its new time."""
    from ops_lib.sandbox.recurrence import Daily, Numbered, Recurrence

    rule = Recurrence(Daily(1), Numbered(at(1, 10).start.date(), 3))
    item = add_private(desk, 1, 10, **{"calendar:Recurrence": rule, "calendar:StartTimeZone": "UTC"})
    desk.settle()
    desk.sandbox.organisation.update_occurrence(
        item, at(2, 10).start, {"calendar:Start": at(2, 16).start, "calendar:End": at(2, 16).end}
    )
    desk.settle()
    assert [(a.when, told(a)) for a in desk.activities()] == [(at(1, 10), BUSY), (at(2, 16), BUSY), (at(3, 10), BUSY)]
