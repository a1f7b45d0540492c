"""What every CRM must keep to (`ops_lib/crm/__init__.py`), run on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest

from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.database.engine import Database
from ops_lib.errors import InputError, NotThere, StaleWrite
from ops_lib.model import Activity, ActivityStatus, AllDay, Origin, Timed

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TOUR = Timed(NOW + timedelta(hours=1), NOW + timedelta(hours=2))
LATER = Timed(NOW + timedelta(days=1), NOW + timedelta(days=1, hours=1))


class World:
    """A CRM with two users, two types and an individual; ``crm()`` opens a transaction on it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.begin() as connection:
            directory = Directory(connection)
            self.tour = directory.add_activity_type("Tour", is_face_to_face=True).type_id
            self.call = directory.add_activity_type("Call Out").type_id
            self.alice = directory.add_user("alice@example.test", "Alice").user_id
            self.bob = directory.add_user("bob@example.test", "Bob").user_id
            self.ruth = directory.add_individual("Ruth Example").individual_id

    @contextmanager
    def crm(self, now: datetime = NOW) -> Iterator[SqlCrm]:
        with self.database.begin() as connection:
            yield SqlCrm(connection, now)

    def content(self, **fields: object) -> ActivityContent:
        return ActivityContent(**({"type_id": self.tour, "description": "Tour", "when": TOUR} | fields))  # type: ignore[arg-type]

    def made(self, key: str = "key", **fields: object) -> Activity:
        with self.crm() as crm:
            return crm.create(self.alice, self.content(**fields), origin=Origin.CRM, key=key)

    def read(self, activity_id: str) -> Activity:
        with self.crm() as crm:
            return crm.get([activity_id])[activity_id]

    def changes(self, since: int, user_id: str | None = None) -> list[Activity]:
        with self.crm() as crm:
            return crm.changes(user_id or self.alice, since).activities


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


# ── creating ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_an_activity_comes_back_as_it_was_made(world: World) -> None:
    """Every field that is given is read back, and the answer of the making equals the reading."""
    made = world.made(
        location="Lobby",
        notes="two lines\nof notes",
        individual_id=world.ruth,
        is_private=True,
        organizer="Olga <olga@example.test>",
        attendees=("Paul", "Petra"),
    )
    assert world.read(made.activity_id) == made
    assert (made.type_name, made.individual_name, made.status) == ("Tour", "Ruth Example", ActivityStatus.SCHEDULED)
    assert (made.location, made.attendees, made.updated_at) == ("Lobby", ("Paul", "Petra"), NOW)


@pytest.mark.parametrize(
    "when",
    [
        AllDay(date(2026, 11, 24), date(2026, 11, 25)),
        AllDay(date(2026, 12, 24), date(2026, 12, 27)),
        Timed(TOUR.start, TOUR.start),
        Timed(TOUR.end, TOUR.start),
        Timed(datetime(2026, 11, 23, 4, 0, 0, 123456, tzinfo=UTC), datetime(2026, 11, 24, 4, tzinfo=UTC)),
    ],
)
def test_every_time_the_crm_allows_is_kept(world: World, when: Timed | AllDay) -> None:
    """All-day, over midnight, to the microsecond; and a start that is not before the end, which the sync will skip."""
    assert world.read(world.made(when=when).activity_id).when == when


def test_a_time_is_an_instant_whatever_zone_it_is_given_in(world: World) -> None:
    """A time given in another zone is read back as the same instant."""
    from zoneinfo import ZoneInfo

    start = datetime(2026, 11, 24, 9, 0, tzinfo=ZoneInfo("America/New_York"))
    when = world.read(world.made(when=Timed(start, start + timedelta(hours=1))).activity_id).when
    assert isinstance(when, Timed)
    assert when.start == datetime(2026, 11, 24, 14, 0, tzinfo=UTC)


@pytest.mark.req("Y2")
def test_a_key_makes_one_activity(world: World) -> None:
    """Creating with a key that was used before makes nothing and returns what it made, changed as it may be since."""
    made = world.made("same")
    with world.crm() as crm:
        crm.update(made.activity_id, ActivityContent(description="Tour of the garden"))
    again = world.made("same", description="Another")
    assert (again.activity_id, again.description) == (made.activity_id, "Tour of the garden")
    assert len(world.changes(0)) == 1


@pytest.mark.req("Y2")
def test_a_key_makes_one_activity_even_when_two_create_at_once(world: World) -> None:
    """Transactions that create with one key at the same moment all get the same activity."""
    start = threading.Barrier(4, timeout=30)
    made: list[str] = []
    failures: list[BaseException] = []

    def create(user_id: str) -> None:
        try:
            start.wait()
            with world.crm() as crm:
                activity = crm.create(user_id, world.content(), origin=Origin.EXCHANGE, key="the event")
                time.sleep(0.02)
            made.append(activity.activity_id)
        except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    threads = [
        threading.Thread(target=create, args=(user,)) for user in (world.alice, world.alice, world.bob, world.bob)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(made) == 4
    assert len(set(made)) == 1


def test_a_key_may_be_of_any_length(world: World) -> None:
    """Keys made of Outlook's ids may be long: each makes its own activity, once."""
    keys = ["UID " + "x" * 2000 + end for end in ("1", "2", "1")]
    first, second, again = (world.made(key).activity_id for key in keys)
    assert first == again != second


def test_a_key_whose_making_was_taken_back_can_be_used(world: World) -> None:
    """A create that was rolled back leaves nothing behind, its key included."""
    with pytest.raises(ZeroDivisionError), world.crm() as crm:  # noqa: PT012 - what is tested is the way out
        crm.create(world.alice, world.content(), origin=Origin.CRM, key="key")
        1 / 0  # noqa: B018
    assert world.made("key").activity_id
    assert len(world.changes(0)) == 1


@pytest.mark.parametrize("missing", ["type_id", "description", "when"])
def test_what_an_activity_cannot_do_without(world: World, missing: str) -> None:
    """An activity without a type, a description or a time is refused."""
    with pytest.raises(InputError, match="needs a type"):
        world.made(**{missing: None})


def test_an_unknown_id_is_named(world: World) -> None:
    """What does not exist is `NotThere`: the user, the type, the individual, the activity; and strange ids are not an accident."""
    for fields, words in (({"type_id": "99"}, "activity type 99"), ({"individual_id": "99"}, "individual 99")):
        with pytest.raises(NotThere, match=words):
            world.made(**fields)
    for unknown in ("99", "", "x", "-1", "٣", "9" * 30):
        with world.crm() as crm:
            assert crm.get([unknown]) == {}
            with pytest.raises(NotThere):
                crm.changes(unknown, 0)
            with pytest.raises(NotThere):
                crm.create(unknown, world.content(), origin=Origin.CRM, key="k")
            for write in (
                lambda: crm.update(unknown, ActivityContent(description="x")),  # noqa: B023
                lambda: crm.cancel(unknown, "x"),  # noqa: B023
                lambda: crm.remove(unknown),  # noqa: B023
                lambda: crm.restore(unknown, ActivityContent()),  # noqa: B023
                lambda: crm.reschedule(unknown, LATER, key="r"),  # noqa: B023
            ):
                with pytest.raises(NotThere):
                    write()


def test_days_and_times_that_cannot_be_are_refused(world: World) -> None:
    """An all-day activity that ends before it starts, and a time without a zone, are refused."""
    with pytest.raises(InputError, match="all-day"):
        world.made(when=AllDay(date(2026, 11, 24), date(2026, 11, 24)))
    with pytest.raises(InputError, match="zone"):
        world.made(when=Timed(datetime(2026, 11, 24, 9), datetime(2026, 11, 24, 10)))


# ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_every_change_is_a_higher_version(world: World) -> None:
    """A reader that remembers the version it has read sees each later change once, the newest state of it, in order."""
    first, second = world.made("1"), world.made("2")
    with world.crm() as crm:
        seen = crm.changes(world.alice, 0)
        assert [each.activity_id for each in seen.activities] == [first.activity_id, second.activity_id]
        crm.update(first.activity_id, ActivityContent(location="Lobby"))
        crm.cancel(second.activity_id, "Ill.")
        crm.update(first.activity_id, ActivityContent(location="Garden"))
        news = crm.changes(world.alice, seen.version)
    assert [(each.activity_id, each.location) for each in news.activities] == [
        (second.activity_id, ""),
        (first.activity_id, "Garden"),
    ]
    assert world.changes(news.version) == []


def test_versions_are_a_user_s_own(world: World) -> None:
    """One user's changes are not another's."""
    world.made()
    with world.crm() as crm:
        assert crm.changes(world.bob, 0).activities == []
        assert crm.changes(world.bob, 0).version == 0
        assert crm.changes(world.bob, 7).version == 7


def test_a_change_that_changes_nothing_makes_no_version(world: World) -> None:
    """Writing what is there already is no news, whatever the operation."""
    made = world.made(location="Lobby", attendees=("Paul",), individual_id=world.ruth)
    with world.crm() as crm:
        same = crm.update(
            made.activity_id,
            world.content(
                location="Lobby", attendees=("Paul",), individual_id=world.ruth, status=ActivityStatus.SCHEDULED
            ),
        )
        assert same == made
        assert crm.restore(made.activity_id, ActivityContent()) == made
        cancelled = crm.cancel(made.activity_id, "Ill.")
        assert crm.cancel(made.activity_id, "Ill.") == cancelled
        removed = crm.remove(made.activity_id)
        assert crm.remove(made.activity_id) == removed
    assert world.changes(removed.version) == []


def test_no_version_appears_after_a_higher_one(world: World) -> None:
    """While a slow transaction of a user is open, another's changes wait for it: a reader never steps over one."""
    slow_has_written, slow_may_end = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def slow() -> None:
        try:
            with world.crm() as crm:
                crm.create(world.alice, world.content(), origin=Origin.CRM, key="slow")
                slow_has_written.set()
                slow_may_end.wait(10)
        except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    def quick() -> None:
        try:
            with world.crm() as crm:
                crm.create(world.alice, world.content(), origin=Origin.CRM, key="quick")
        except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    threads = [threading.Thread(target=slow), threading.Thread(target=quick)]
    threads[0].start()
    slow_has_written.wait(10)
    threads[1].start()
    threads[1].join(0.1)
    with world.database.read() as connection:
        seen = SqlCrm(connection, NOW).changes(world.alice, 0)
    assert (seen.activities, seen.version) == ([], 0)
    slow_may_end.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [each.version for each in world.changes(0)] == [1, 2]


# ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_an_update_sets_what_is_given_and_nothing_else(world: World) -> None:
    """Fields that are not given stay; the individual can be made blank; all-day and timed change places."""
    made = world.made(location="Lobby", notes="notes", individual_id=world.ruth)
    days = AllDay(date(2026, 11, 24), date(2026, 11, 25))
    with world.crm(NOW + timedelta(minutes=5)) as crm:
        changed = crm.update(made.activity_id, ActivityContent(when=days, individual_id="", type_id=world.call))
    assert changed == world.read(made.activity_id)
    assert (changed.when, changed.individual_id, changed.type_name) == (days, None, "Call Out")
    assert (changed.location, changed.notes, changed.description) == ("Lobby", "notes", "Tour")
    assert changed.updated_at == NOW + timedelta(minutes=5)


def test_what_was_read_before_a_change_is_stale(world: World) -> None:
    """Every write that names the version it read is refused once somebody else has written, and changes nothing."""
    made = world.made()
    with world.crm() as crm:
        current = crm.update(made.activity_id, ActivityContent(location="Lobby"), version=made.version)
        for write in (
            lambda: crm.update(made.activity_id, ActivityContent(location="x"), version=made.version),
            lambda: crm.cancel(made.activity_id, "x", version=made.version),
            lambda: crm.remove(made.activity_id, version=made.version),
            lambda: crm.restore(made.activity_id, ActivityContent(), version=made.version),
            lambda: crm.reschedule(made.activity_id, LATER, key="r", version=made.version),
        ):
            with pytest.raises(StaleWrite):
                write()
    assert world.read(made.activity_id) == current


def test_of_two_who_read_the_same_one_writes(world: World) -> None:
    """Two transactions that change what they both read: the first does, the second learns that it is stale."""
    made = world.made()
    start = threading.Barrier(2, timeout=30)
    outcomes: list[str] = []

    def write(location: str) -> None:
        start.wait()
        try:
            with world.crm() as crm:
                crm.update(made.activity_id, ActivityContent(location=location), version=made.version)
                time.sleep(0.02)
            outcomes.append("written")
        except StaleWrite:
            outcomes.append("stale")

    threads = [threading.Thread(target=write, args=(place,)) for place in ("Lobby", "Garden")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["stale", "written"]


def test_a_cancelled_activity_says_why(world: World) -> None:
    """Cancelling sets the status and adds the note as a line; the rest stays."""
    made = world.made(notes="Likes roses.")
    with world.crm() as crm:
        cancelled = crm.cancel(made.activity_id, "Cancelled in Outlook.", version=made.version)
    assert (cancelled.status, cancelled.notes) == (ActivityStatus.CANCELLED, "Likes roses.\nCancelled in Outlook.")
    assert not cancelled.is_deleted


def test_a_removed_activity_stays_readable(world: World) -> None:
    """A deletion is news: the activity is among the changes, as a tombstone with its content."""
    made = world.made()
    with world.crm() as crm:
        removed = crm.remove(made.activity_id, version=made.version)
    assert removed.is_deleted
    assert removed.description == "Tour"
    assert world.changes(made.version) == [removed]
    assert world.read(made.activity_id) == removed


def test_a_removed_activity_is_not_changed(world: World) -> None:
    """What is off the calendar is not edited, cancelled or rescheduled by accident."""
    made = world.made()
    with world.crm() as crm:
        crm.remove(made.activity_id)
        for write in (
            lambda: crm.update(made.activity_id, ActivityContent(location="x")),
            lambda: crm.cancel(made.activity_id, "x"),
            lambda: crm.reschedule(made.activity_id, LATER, key="r"),
        ):
            with pytest.raises(NotThere, match="removed"):
                write()


@pytest.mark.req("Y3")
@pytest.mark.parametrize("off", ["removed", "cancelled"])
def test_an_activity_can_stand_again(world: World, off: str) -> None:
    """A removed or cancelled activity comes back under its own id, Scheduled, with what was edited meanwhile."""
    made = world.made()
    with world.crm() as crm:
        gone = crm.remove(made.activity_id) if off == "removed" else crm.cancel(made.activity_id, "Ill.")
        back = crm.restore(made.activity_id, ActivityContent(when=LATER), version=gone.version)
    assert (back.activity_id, back.is_deleted, back.status, back.when) == (
        made.activity_id,
        False,
        ActivityStatus.SCHEDULED,
        LATER,
    )
    assert world.changes(gone.version) == [back]


@pytest.mark.req("C6", "O4")
def test_a_rescheduled_activity_is_a_new_one_that_names_the_old(world: World) -> None:
    """The old one leaves the calendar, the new one has its content at the new time; the new one is the earlier news."""
    made = world.made(location="Lobby", notes="notes", individual_id=world.ruth, is_private=True, attendees=("Paul",))
    with world.crm() as crm:
        new = crm.reschedule(made.activity_id, LATER, key="moved", version=made.version)
        news = crm.changes(world.alice, made.version).activities
    assert new.rescheduled_from == made.activity_id
    assert (new.when, new.location, new.notes, new.individual_id, new.is_private, new.attendees, new.origin) == (
        LATER, "Lobby", "notes", world.ruth, True, ("Paul",), Origin.CRM,
    )  # fmt: skip
    assert [(each.activity_id, each.is_deleted) for each in news] == [
        (new.activity_id, False),
        (made.activity_id, True),
    ]


def test_rescheduling_can_change_more_and_keeps_where_it_was_made(world: World) -> None:
    """Other fields may be given with the new time; a Cancelled activity is Scheduled again; the origin never changes."""
    with world.crm() as crm:
        event = crm.create(world.alice, world.content(), origin=Origin.EXCHANGE, key="event")
        crm.cancel(event.activity_id, "Ill.")
        new = crm.reschedule(event.activity_id, LATER, key="moved", content=ActivityContent(location="Garden"))
    assert (new.origin, new.status, new.location) == (Origin.EXCHANGE, ActivityStatus.SCHEDULED, "Garden")


@pytest.mark.req("Y2")
def test_rescheduling_twice_with_one_key_happens_once(world: World) -> None:
    """After a crash the same reschedule returns what it made, although the version it read is gone by then."""
    made = world.made()
    with world.crm() as crm:
        new = crm.reschedule(made.activity_id, LATER, key="moved", version=made.version)
    with world.crm() as crm:
        again = crm.reschedule(made.activity_id, LATER, key="moved", version=made.version)
    assert again == new
    assert len(world.changes(0)) == 2


# ── many at once ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_many_are_read_by_id(world: World) -> None:
    """Any number of ids is read, whatever a database allows in one query."""
    with world.crm() as crm:
        made = [
            crm.create(world.alice, world.content(), origin=Origin.CRM, key=f"key {each}").activity_id
            for each in range(600)
        ]
        found = crm.get([*made, "999999", "no id"])
    assert sorted(found, key=int) == made


@pytest.mark.req("Y5")
def test_activities_are_found_by_what_made_them(world: World) -> None:
    """An activity is found by the key it was made with, also after it was removed, and by a key longer than the column."""
    first, second = world.made("short"), world.made("k" * 600)
    with world.crm() as crm:
        crm.remove(second.activity_id)
    with world.crm() as crm:
        found = crm.made_with(["short", "k" * 600, "never used"])
    assert {key: activity.activity_id for key, activity in found.items()} == {
        "short": first.activity_id,
        "k" * 600: second.activity_id,
    }
    assert found["k" * 600].is_deleted


@pytest.mark.req("C6", "Y5")
def test_who_stands_for_what_was_rescheduled(world: World) -> None:
    """All that came of an activity by rescheduling it again and again, and what it came of; of one that was not rescheduled, nothing."""
    first, other = world.made("first"), world.made("other")
    with world.crm() as crm:
        second = crm.reschedule(first.activity_id, LATER, key="second")
        third = crm.reschedule(second.activity_id, TOUR, key="third")
    with world.crm() as crm:
        assert crm.successors([first.activity_id, other.activity_id]).keys() == {
            second.activity_id,
            third.activity_id,
        }
        assert crm.successors([third.activity_id, "no id"]) == {}
        assert crm.predecessors([third.activity_id, other.activity_id]).keys() == {
            first.activity_id,
            second.activity_id,
        }
        assert crm.predecessors([first.activity_id, "no id"]) == {}


def test_every_activity_has_a_token_of_its_own(world: World) -> None:
    """A token is made with the activity, stays with it, and is no other's, a rescheduled one's neither."""
    made = world.made("one")
    with world.crm() as crm:
        edited = crm.update(made.activity_id, ActivityContent(description="Other"))
        moved = crm.reschedule(made.activity_id, LATER, key="two")
    assert made.token == edited.token == world.read(made.activity_id).token
    assert moved.token not in ("", made.token)
