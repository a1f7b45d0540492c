"""What users of such systems report, one test for each class of complaint: that it does not happen here.

The names in brackets say who reported it of what. Some classes are proved where they can be seen: invitation spam and wrongful cancellations on a
server with mail (`tests/e2e/test_meetings.py`), the shifts of zones and of days on the wire (`tests/sync/test_time.py`), a pasted secret's id and a refused
token where they are entered (`tests/access`), logs that nobody may pass on where they are recorded (`tests/mailbox`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from ops_lib.database import tables as t
from ops_lib.database.engine import Database
from ops_lib.errors import MailboxError, ServerFailed
from ops_lib.model import Account, ActivityStatus, Item, ItemType, Kind, LinkState, Timed
from ops_lib.sync.cycle import Cycle, Options
from tests.support.memory_mailbox import MemoryMailbox, lost
from tests.support.memory_outlook import Outlook
from tests.sync.desk import Desk, at, days


@pytest.fixture
def desk(sqlite_database: Database) -> Desk:
    return Desk(sqlite_database)


class Colleague:
    """Bob: a second CRM user with an account and an Outlook of his own, beside the desk's alice."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.outlook = Outlook(now=lambda: desk.now)
        self.account = replace(
            desk.account, account_id="2", user_id="2", user_email="bob@example.test", mailbox="bob@example.test"
        )
        with desk.database.begin() as c:
            c.execute(
                insert(t.users).values(
                    id=2, email="bob@example.test", name="Bob", time_zone="UTC", is_admin=False, change_version=0
                )
            )
            c.execute(
                insert(t.accounts).values(
                    id=2, host_id=1, user_id=2, mailbox="bob@example.test", is_impersonation_account=False
                )
            )

    def cycle(self) -> Any:
        return cycle_of(self.desk, self.account, MemoryMailbox(self.outlook, "bob@example.test"))

    def rows(self) -> list[tuple[str, str]]:
        """His calendar in the CRM: title and origin."""
        with self.desk.database.read() as c:
            query = select(t.activities).where(t.activities.c.user_id == 2, ~t.activities.c.is_deleted)
            return sorted((row.description, row.origin) for row in c.execute(query))


def cycle_of(desk: Desk, account: Account, mailbox: MemoryMailbox) -> Any:
    return Cycle(
        database=desk.database,
        host=desk.host,
        account=account,
        mailbox=mailbox,
        now=desk.now,
        crm_url="https://crm.example",
        options=Options(),
        sleep=lambda seconds: None,
    ).run()


def titles(desk: Desk) -> list[str]:
    return sorted(a.description for a in desk.activities())


# ── duplicates ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("Y2")
@pytest.mark.parametrize("error", [lost(), ServerFailed("out of order", http_status=503)], ids=["lost", "503"])
def test_duplicates_after_a_lost_response(desk: Desk, error: MailboxError) -> None:
    """A create that was carried out and answered by nothing, or by an error, is found again and not sent twice (odoo #229646, sim #6041)."""
    desk.add("Tour", at(1, 10))
    desk.outlook.fail("create", error, "after")
    desk.settle()
    assert desk.outlook.subjects() == ["Tour"]
    assert titles(desk) == ["Tour"]


@pytest.mark.req("O1", "Y6")
def test_duplicates_of_a_meeting_seen_in_two_mailboxes(desk: Desk) -> None:
    """One meeting of two CRM users is one activity of each, whoever edits it, and never two of one (odoo #70769, #75088)."""
    bob = Colleague(desk)
    for outlook in (desk.outlook, bob.outlook):
        outlook.add(
            "Budget", at(1, 10), uid="SHARED", is_meeting=True, attendees=("alice@example.test", "bob@example.test")
        )
    for _ in range(3):
        desk.cycle()
        bob.cycle()
    assert titles(desk) == ["Budget"]
    assert bob.rows() == [("Budget", "exchange")]
    desk.outlook.edit(next(iter(desk.outlook.items)), when=at(2, 11))
    desk.settle()
    bob.cycle()
    assert [a.when for a in desk.activities()] == [at(2, 11)]
    assert bob.rows() == [("Budget", "exchange")]


@pytest.mark.req("O1", "Y6")
def test_duplicates_of_a_crm_born_event_to_which_a_colleague_is_invited(desk: Desk) -> None:
    """The stamp on the colleague's copy of an invitation names somebody else's activity: his is an entry of his own, hers stays hers."""
    bob = Colleague(desk)
    tour = desk.add("Tour", at(1, 10))
    desk.settle()
    (item,) = desk.outlook.items.values()
    bob.outlook.add("Tour", at(1, 10), uid=item.uid, stamp=item.stamp, is_meeting=True)
    for _ in range(3):
        bob.cycle()
        desk.cycle()
    assert bob.rows() == [("Tour", "exchange")]
    bob.outlook.remove(next(iter(bob.outlook.items)))
    bob.cycle()
    desk.settle()
    assert bob.rows() == []
    assert desk.get(tour).status is ActivityStatus.SCHEDULED
    assert desk.outlook.subjects() == ["Tour"]


@pytest.mark.req("Y5")
def test_duplicates_after_the_account_was_removed_and_added_again(desk: Desk) -> None:
    """An account that is made anew, with nothing known of the old one, finds what it made by its stamps and what it showed by its keys;
    what was edited meanwhile on either side reaches the other (odoo #143781; InfoBridge's relinking)."""
    tour = desk.add("Tour", at(1, 10), individual_id="1")
    call = desk.add("Call", days(2))
    dentist = desk.outlook.add("Dentist", at(1, 8))
    desk.outlook.add_series("Rounds", [at(1 + n, 7).start for n in range(3)])
    desk.settle()
    before = {a.activity_id: a.description for a in desk.activities()}
    own = next(a for a, title in before.items() if title == "Dentist")
    forget_account(desk)
    desk.now += timedelta(minutes=5)
    desk.edit(own, description="Dentist, with x-rays", individual_id="1")
    desk.edit(tour, description="Tour and lunch")
    desk.settle()
    assert {a.activity_id for a in desk.activities()} == set(before)
    assert desk.outlook.subjects() == ["Dentist, with x-rays", "Rounds", "Tour and lunch"]
    assert desk.outlook.subjects(Kind.TASK) == ["Call"]
    assert desk.get(own).individual_id == "1"
    assert desk.get(call).status is ActivityStatus.SCHEDULED
    assert desk.outlook.items[dentist].subject == "Dentist, with x-rays"


def forget_account(desk: Desk) -> None:
    """Everything that belongs to the account is gone, as when it is deleted and made anew."""
    with desk.database.begin() as c:
        for table in reversed(t.metadata.sorted_tables):
            if "account_id" in table.c:
                c.execute(delete(table))


@pytest.mark.req("Y6")
def test_a_copy_that_is_deleted_does_not_take_the_original(desk: Desk) -> None:
    """Copy, paste, and the copy thrown away: the original stands on both sides (OGCS #2091)."""
    tour = desk.add("Tour", at(1, 10))
    desk.settle()
    (item_id,) = desk.outlook.items
    copy = desk.outlook.copy(item_id, timedelta(days=1))
    desk.settle()
    desk.outlook.remove(copy)
    desk.settle()
    assert list(desk.outlook.items) == [item_id]
    assert [a.activity_id for a in desk.activities()] == [tour]
    assert desk.get(tour).status is ActivityStatus.SCHEDULED


@pytest.mark.req("Y5")
def test_duplicates_after_all_ids_have_changed(desk: Desk) -> None:
    """A mailbox that moved has other ids for everything: each entry is found again, edited meanwhile or not, and none is made twice (closeio/sync-engine
    #1068)."""
    tour = desk.add("Tour", at(1, 10))
    desk.add("Call", days(2))
    desk.outlook.add("Dentist", at(1, 8))
    desk.outlook.add_series("Rounds", [at(1 + n, 7).start for n in range(3)])
    desk.settle()
    before = {a.activity_id for a in desk.activities()}
    desk.outlook.renumber()
    desk.now += timedelta(minutes=5)
    desk.edit(tour, location="Lobby")
    desk.settle()
    assert {a.activity_id for a in desk.activities()} == before
    assert titles(desk) == ["Call", "Dentist", "Rounds", "Rounds", "Rounds", "Tour"]
    assert sorted(desk.outlook.subjects()) == ["Dentist", "Rounds", "Tour"]
    assert next(item for item in desk.outlook.items.values() if item.subject == "Tour").location == "Lobby"


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("O6", "C1")
@pytest.mark.parametrize("time_zone", ["America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"])
@pytest.mark.parametrize("side", ["crm", "outlook"])
def test_the_first_update_shifts_nothing(sqlite_database: Database, time_zone: str, side: str) -> None:
    """A new title, on either side, right after an entry came over: it stays at its hour and on its date, all-day ones and those over the change of the
    clock too (davmail #508, #497; odoo #260152; OGCS #2278)."""
    desk = Desk(sqlite_database, time_zone=time_zone)
    whens = [at(1, 10), at(1, 23.5, 2), days(3), days(10, 3), at(80, 23), at(89, 8)]
    for number, when in enumerate(whens):
        desk.outlook.add(f"Own {number}", when)
        if isinstance(when, Timed):
            desk.add(f"Tour {number}", when)
    desk.cycle()
    desk.now += timedelta(minutes=5)
    if side == "crm":
        for activity in desk.activities():
            desk.edit(activity.activity_id, description=f"{activity.description} again")
    else:
        for item in list(desk.outlook.items.values()):
            desk.outlook.edit(item.item_id, subject=f"{item.subject} again")
    desk.settle()
    expected = {f"Own {n} again": when for n, when in enumerate(whens)}
    expected |= {f"Tour {n} again": when for n, when in enumerate(whens) if isinstance(when, Timed)}
    assert {a.description: a.when for a in desk.activities()} == expected
    assert {item.subject: item.when for item in desk.outlook.items.values()} == expected


# ── series ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("O5")
def test_a_single_event_turned_recurring_and_back(desk: Desk) -> None:
    """The occurrence that stands where the single event was keeps its activity; turned back, the others go and it stays (odoo #271529)."""
    item_id = desk.outlook.add("Rounds", at(1, 9))
    desk.settle()
    (first,) = desk.activities()
    desk.edit(first.activity_id, individual_id="1")
    desk.settle()
    desk.outlook.set_pattern(item_id, [at(1 + 7 * week, 9).start for week in range(4)])
    desk.settle()
    assert [a.when for a in desk.activities()] == [at(1 + 7 * week, 9) for week in range(4)]
    assert desk.activities()[0].activity_id == first.activity_id
    assert desk.get(first.activity_id).individual_id == "1"
    desk.outlook.make_single(item_id)
    desk.settle()
    (left,) = desk.activities()
    assert (left.activity_id, left.when, left.individual_id) == (first.activity_id, at(1, 9), "1")


@pytest.mark.req("O5")
def test_old_occurrences_do_not_stay(desk: Desk) -> None:
    """A series that moves to another weekday and ends earlier leaves nothing where it was (dankcalendar #95)."""
    master = desk.outlook.add_series("Rounds", [at(1 + 7 * week, 9).start for week in range(8)])
    desk.settle()
    desk.outlook.set_pattern(master, [at(3 + 7 * week, 16).start for week in range(5)])
    desk.cycle(allow_deletions=20)
    desk.settle()
    assert [a.when for a in desk.activities()] == [at(3 + 7 * week, 16) for week in range(5)]


@pytest.mark.req("O4", "O5")
@pytest.mark.parametrize("server", ["shows occurrences", "shows none"])
def test_a_series_on_another_weekday_keeps_whom_its_visits_are_for(desk: Desk, server: str) -> None:
    """Moved from Tuesdays to Wednesdays, each week's visit stays the same activity, with whom it is for, and Completed where it was (odoo #271787,
    OGCS #799)."""
    desk.outlook.expands = server == "shows occurrences"
    master = desk.outlook.add_series("Rounds", [at(1 + 7 * week, 9).start for week in range(5)])
    desk.settle()
    before = desk.activities()
    desk.edit(before[2].activity_id, individual_id="1")
    desk.edit(before[0].activity_id, status=ActivityStatus.COMPLETED)
    desk.settle()
    desk.outlook.set_pattern(master, [at(2 + 7 * week, 10).start for week in range(5)])
    result = desk.cycle()
    assert (result.counts()["created"]["crm"], result.counts()["deleted"]["crm"]) == (0, 0)
    desk.settle()
    after = desk.activities()
    assert [a.activity_id for a in after] == [a.activity_id for a in before]
    assert [a.individual_id for a in after] == [None, None, "1", None, None]
    assert [a.status is ActivityStatus.COMPLETED for a in after] == [True, False, False, False, False]
    assert [a.when for a in after] == [at(2 + 7 * week, 10) for week in range(5)]


@pytest.mark.req("O5")
@pytest.mark.parametrize("side", ["crm", "outlook"])
def test_a_series_is_not_hijacked_by_the_edit_of_one_instance(desk: Desk, side: str) -> None:
    """One occurrence retitled and moved changes that one, on both sides; the series and the others stay (odoo #169888, OGCS #42)."""
    master = desk.outlook.add_series("Rounds", [at(1 + n, 9).start for n in range(5)])
    desk.settle()
    third = desk.activities()[2]
    if side == "crm":
        desk.edit(third.activity_id, description="Rounds with cake", when=at(3, 11))
    else:
        desk.outlook.edit(desk.outlook.occurrences[master][2].item_id, subject="Rounds with cake", when=at(3, 11))
    desk.settle()
    expected = [("Rounds", at(1 + n, 9)) for n in range(5)]
    expected[2] = ("Rounds with cake", at(3, 11))
    assert [(a.description, a.when) for a in desk.activities()] == expected
    assert [(o.subject, o.when) for o in desk.outlook.occurrences[master]] == expected
    assert (desk.outlook.items[master].subject, desk.outlook.items[master].when) == ("Rounds", at(1, 9))
    assert len({a.activity_id for a in desk.activities()}) == 5


@pytest.mark.req("O3", "O5")
def test_a_cancelled_occurrence_does_not_stop_the_sync(desk: Desk) -> None:
    """An occurrence that its organiser cancelled leaves the CRM; the others and everything else go on (odoo #73719)."""
    master = desk.outlook.add_series("Rounds", [at(1 + n, 9).start for n in range(4)], is_meeting=True)
    desk.settle()
    cancelled = desk.outlook.occurrences[master][1].item_id
    desk.outlook.edit(cancelled, is_cancelled=True, subject="Canceled: Rounds")
    desk.outlook.add("Dentist", at(2, 15))
    desk.add("Tour", at(2, 16))
    desk.settle()
    assert titles(desk) == ["Dentist", "Rounds", "Rounds", "Rounds", "Tour"]
    assert desk.outlook.find(cancelled) is not None
    assert "Tour" in desk.outlook.subjects()


@pytest.mark.req("O5", "O6")
def test_exceptions_of_an_all_day_series_are_not_dropped(desk: Desk) -> None:
    """An all-day occurrence that was moved, and one that was deleted, are so in the CRM too (mustang #1401)."""
    master = desk.outlook.add_series("Survey", [at(1 + 7 * n, 0).start for n in range(4)])
    originals = [o.original_start for o in desk.outlook.occurrences[master]]
    desk.outlook.occurrences[master] = [
        replace(o, when=days(1 + 7 * n), original_start=originals[n])
        for n, o in enumerate(desk.outlook.occurrences[master])
    ]
    desk.settle()
    assert [a.when for a in desk.activities()] == [days(1 + 7 * n) for n in range(4)]
    second, third = desk.outlook.occurrences[master][1:3]
    desk.outlook.edit(second.item_id, when=days(10))
    desk.outlook.remove(third.item_id)
    desk.settle()
    assert [a.when for a in desk.activities()] == [days(1), days(10), days(22)]


@pytest.mark.req("O5")
@pytest.mark.parametrize("uid", ["", "the same for all"])
def test_occurrences_and_events_without_a_uid_of_their_own_are_kept(desk: Desk, uid: str) -> None:
    """Where the server gives no UID, or one UID to several events, each is shown once and stays what it is (keeper.sh #409)."""
    desk.outlook.add("Dentist", at(1, 8), uid=uid)
    desk.outlook.add("Bank", at(1, 12), uid=uid)
    master = desk.outlook.add_series("Rounds", [at(2 + n, 9).start for n in range(3)], uid=uid)
    desk.settle()
    ids = {a.activity_id for a in desk.activities()}
    assert titles(desk) == ["Bank", "Dentist", "Rounds", "Rounds", "Rounds"]
    desk.outlook.edit(desk.outlook.occurrences[master][1].item_id, subject="Rounds with cake")
    desk.outlook.forget_sync_states()
    desk.settle()
    assert titles(desk) == ["Bank", "Dentist", "Rounds", "Rounds", "Rounds with cake"]
    assert {a.activity_id for a in desk.activities()} == ids


# ── wrongful deletions, attendees ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("O3")
def test_leaving_the_window_is_no_deletion(desk: Desk) -> None:
    """An appointment that is over and leaves the days that are shown is deleted on neither side (Dynamics 365, KB 4345686; OGCS #2268)."""
    desk.outlook.add("Dentist", at(1, 8), attendees=("bob@example.test",), is_meeting=True)
    tour = desk.add("Tour", at(1, 10))
    desk.settle()
    desk.now += timedelta(days=30)
    for _ in range(3):
        result = desk.cycle()
        assert [change for change in result.changes if change.writes] == []
        desk.now += timedelta(days=1)
    assert desk.outlook.subjects() == ["Dentist", "Tour"]
    assert desk.get(tour).status is ActivityStatus.SCHEDULED


@pytest.mark.req("O2")
def test_the_removal_of_an_attendee_reaches_the_crm(desk: Desk) -> None:
    """Who is no longer invited is no longer shown; nobody left is nobody shown (odoo #270090)."""
    item_id = desk.outlook.add("Budget", at(1, 10), is_meeting=True, attendees=("Bob", "Carol"))
    desk.settle()
    assert desk.activities()[0].attendees == ("Bob", "Carol")
    for attendees in (("Carol",), ()):
        desk.outlook.edit(item_id, attendees=attendees)
        desk.settle()
        assert desk.activities()[0].attendees == attendees


# ── loops ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _truncated(limit: int) -> Callable[[Item], Item]:
    return lambda item: replace(item, subject=item.subject[:limit])


def _in_paragraphs(item: Item) -> Item:
    body = re.sub("<div>", "<p class=MsoNormal><o:p>", item.body or "").replace("</div>", "</o:p></p>\r\n")
    return replace(item, body=f"<!-- Converted -->\r\n{body}")


def _to_the_minute(item: Item) -> Item:
    if not isinstance(item.when, Timed):
        return item
    return replace(
        item, when=Timed(*(each.replace(second=0, microsecond=0) for each in (item.when.start, item.when.end)))
    )


def _a_little_later(item: Item) -> Item:
    if not isinstance(item.when, Timed):
        return item
    return replace(item, when=Timed(*(each.replace(microsecond=997_000) for each in (item.when.start, item.when.end))))


HABITS: dict[str, Callable[[Item], Item]] = {
    "trims": lambda item: replace(item, subject=item.subject.strip(), location=item.location.rstrip()),
    "folds blanks": lambda item: replace(item, subject=" ".join(item.subject.split())),
    "pads": lambda item: replace(item, subject=f"{item.subject}  ", location=f" {item.location}"),
    "CRLF": lambda item: replace(item, subject=f"{item.subject}\r\n", location=item.location.replace("\n", "\r\n")),
    "decomposes": lambda item: replace(item, subject=item.subject.replace("Ü", "U\u0308")),
    "rewrites the body": _in_paragraphs,
    "cuts at 255": _truncated(255),
    "rounds to the minute": _to_the_minute,
    "adds fractions": _a_little_later,
    "touches every item": lambda item: replace(item, change_key=f"{item.change_key}'"),
}


class OpinionatedMailbox(MemoryMailbox):
    """A server that changes what is written to it."""

    def __init__(self, outlook: Outlook, habit: Callable[[Item], Item]) -> None:
        super().__init__(outlook)
        self.habit = habit

    def _call(self, name: str, run: Callable[[], Any], *, writes: bool = False) -> Any:
        answer = super()._call(name, run, writes=writes)
        if name in ("create", "update"):
            for item_id, item in self.outlook.items.items():
                if item.item_type is not ItemType.MASTER and item.last_modified == self.outlook.now():
                    self.outlook.items[item_id] = self.habit(item)
        return answer


class OpinionatedDesk(Desk):
    habit: Callable[[Item], Item]

    def mailbox(self) -> MemoryMailbox:
        return OpinionatedMailbox(self.outlook, self.habit)


@pytest.mark.req("Y1")
@pytest.mark.parametrize("habit", HABITS)
def test_a_server_that_changes_what_it_is_given_is_no_partner_in_a_loop(sqlite_database: Database, habit: str) -> None:
    """Whatever a server makes of titles, places, bodies and times, a few cycles later nothing is written any more, and the CRM's own text is
    as the user wrote it unless the server's is really another (EAS-4-TbSync #111, OGCS #1626, odoo's sub-second differences)."""
    desk = OpinionatedDesk(sqlite_database)
    desk.habit = HABITS[habit]
    desk.reschedule = "update"
    title = "  Über-Tour \t with   the Ö'Neils  "
    start = at(1, 10).start.replace(second=30, microsecond=123_456)
    tour = desk.add(
        title, Timed(start, start + timedelta(hours=1)), location="Front \n desk ", notes="a\r\nb  \n\n\n\nc"
    )
    long = desk.add("x" * 300, at(2, 10))
    call = desk.add(title, days(2), notes="<b>&amp;</b> ]]>")
    desk.outlook.add(" Dentist  ", at(3, 9), location=" Town ", body="<p>one\r\n</p>", body_is_html=True)
    for round_number in range(4):
        desk.now += timedelta(minutes=5)
        desk.cycle()
        if round_number == 1:
            desk.edit(tour, location="Back \n door ")
            desk.edit(
                next(a.activity_id for a in desk.activities() if "Dentist" in a.description), location=" Down  town"
            )
    for _ in range(2):
        desk.now += timedelta(minutes=5)
        assert [change.reason for change in desk.cycle().changes if change.writes] == []
    assert desk.get(tour).description == desk.get(call).description == title
    assert desk.get(long).description == "x" * 300
    assert desk.get(tour).notes == "a\r\nb  \n\n\n\nc"
    assert len(desk.outlook.items) == 4
    assert len(desk.activities()) == 4


@pytest.mark.req("O4")
def test_differences_below_a_second_are_no_move(desk: Desk) -> None:
    """An event whose times come back with other fractions of a second was not rescheduled: no new activity, nothing written (odoo)."""
    tour = desk.add("Tour", at(1, 10))
    desk.settle()
    (item_id,) = desk.outlook.items
    later = Timed(*(each + timedelta(milliseconds=731) for each in (at(1, 10).start, at(1, 10).end)))
    desk.outlook.edit(item_id, when=later)
    result = desk.cycle()
    assert [change for change in result.changes if change.writes] == []
    assert [a.activity_id for a in desk.activities()] == [tour]


@pytest.mark.req("Y2")
def test_a_poison_item_is_asked_for_four_times_and_blocks_nothing(desk: Desk) -> None:
    """An event that can never be read is set aside after four tries with growing pauses; the others go on all the while (odoo #148011)."""
    desk.outlook.poison["Poison"] = ServerFailed("corrupt", response_code="ErrorItemCorrupt")
    desk.outlook.add("Poison", at(30, 8), body="x")
    tries = 0
    for hour in range(30):
        desk.outlook.add(f"Dentist {hour}", at(30 + hour, 9))
        result = desk.cycle()
        tries += sum(outcome.outcome == "failed" for outcome in result.outcomes)
        desk.now += timedelta(hours=6)
    assert tries == 4
    assert len([a for a in desk.activities() if a.description.startswith("Dentist")]) == 30


# ── other people, lost states ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("Y2", "Y8")
def test_one_users_failure_takes_nothing_back_from_the_others(desk: Desk) -> None:
    """What was recorded for one user stands though the next one's cycle breaks in the middle (odoo #65280)."""
    bob = Colleague(desk)
    desk.add("Tour", at(1, 10))
    bob.outlook.add("Bank", at(1, 9))
    bob.outlook.add("Dentist", at(1, 8))
    bob.outlook.fail("read", ServerFailed("out of order"), "before")
    desk.cycle()
    with pytest.raises(ServerFailed):
        bob.cycle()
    assert [link.state for link in desk.links()] == [LinkState.ACTIVE]
    assert desk.outlook.subjects() == ["Tour"]
    bob.cycle()
    assert bob.rows() == [("Bank", "exchange"), ("Dentist", "exchange")]
    desk.settle()


@pytest.mark.req("Y2", "Y5")
def test_a_first_reading_that_broke_off_is_done_again(desk: Desk) -> None:
    """A first cycle that fails after it began to write is done again from the start: nothing twice, nothing left out (openwhispr #1835)."""
    for n in range(5):
        desk.outlook.add(f"Dentist {n}", at(1 + n, 8))
        desk.add(f"Tour {n}", at(1 + n, 10))
    desk.outlook.failures.extend([("create", lost(), "before")] * 40)
    assert desk.cycle().outcome == "failed"
    assert len(desk.activities()) == 10
    desk.outlook.heal()
    desk.settle()
    assert titles(desk) == sorted([f"Dentist {n}" for n in range(5)] + [f"Tour {n}" for n in range(5)])
    assert desk.outlook.subjects() == titles(desk)


@pytest.mark.req("Y5")
@pytest.mark.parametrize("told", [True, False])
def test_a_lost_delta_state_costs_a_reading_and_nothing_else(desk: Desk, told: bool) -> None:
    """A state that the server no longer knows, whether it says so or not, changes nothing on either side (Wino-Mail #290, odoo #142153)."""
    desk.outlook.refuses_sync_states = told
    desk.add("Tour", at(1, 10))
    desk.add("Call", days(2))
    desk.outlook.add("Dentist", at(1, 8))
    desk.outlook.add_series("Rounds", [at(1 + n, 7).start for n in range(3)])
    desk.settle()
    before = [(a.activity_id, a.version) for a in desk.activities()]
    desk.outlook.forget_sync_states()
    result = desk.cycle()
    assert [change for change in result.changes if change.writes] == []
    assert [(a.activity_id, a.version) for a in desk.activities()] == before


@pytest.mark.req("O3")
def test_a_deletion_of_something_never_seen_is_nothing(desk: Desk) -> None:
    """An id among the deleted that no link knows, as an attendee's deletion may come, deletes nothing (odoo's test_delete_events)."""
    desk.add("Tour", at(1, 10))
    desk.settle()
    desk.outlook.log.append((Kind.EVENT, "gone", "an id of somebody else"))
    result = desk.cycle()
    assert [change for change in result.changes if change.writes] == []
    assert desk.outlook.subjects() == ["Tour"]


@pytest.mark.req("O1")
@pytest.mark.parametrize("time_zone", ["UTC", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_no_duplicates_on_the_windows_edge(sqlite_database: Database, time_zone: str) -> None:
    """Entries at the first and last hours of the window, day after day as it moves over them, are shown once and never doubled or lost
    while they are in it (OGCS #2312)."""
    desk = Desk(sqlite_database, time_zone=time_zone)
    for day in range(85, 97):
        for hour in (0, 11.5, 23.5):
            desk.outlook.add(f"event {day} {hour}", at(day, hour))
        desk.outlook.add(f"all day {day}", days(day))
    series_start = at(88, 12).start
    desk.outlook.add_series("Rounds", [series_start + timedelta(days=n) for n in range(9)])
    for _ in range(5):
        desk.settle()
        shown = [(a.description, a.when) for a in desk.activities()]
        assert len(shown) == len(set(shown))
        desk.now += timedelta(hours=13)
    assert desk.now.tzinfo is UTC
