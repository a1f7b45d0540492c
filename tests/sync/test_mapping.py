from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_lib.model import Activity, ActivityStatus, AllDay, Entry, Item, Kind, Origin, Timed, Window
from ops_lib.sync.mapping import (
    MAX_NOTES_BYTES,
    MAX_SUBJECT_CHARACTERS,
    clean,
    entry_as_json,
    entry_from_json,
    entry_of_activity,
    entry_of_item,
    instants,
    midnight,
    normal_when,
    notes_of,
    one_line,
    one_way_fields,
    overlaps,
    shared_fields,
    window_around,
)
from ops_lib.sync.stamps import make_stamp, named_by

NEW_YORK = ZoneInfo("America/New_York")
MOMENTS = st.datetimes(min_value=datetime(1601, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
DAY = AllDay(date(2026, 11, 23), date(2026, 11, 24))
HOUR = Timed(datetime(2026, 11, 23, 15, tzinfo=UTC), datetime(2026, 11, 23, 16, tzinfo=UTC))
DAYS = st.dates(min_value=date(1601, 1, 2), max_value=date(9999, 12, 29))
WHENS = st.one_of(
    st.builds(Timed, MOMENTS, MOMENTS),
    st.builds(lambda day, length: AllDay(day, day + timedelta(days=length)), DAYS, st.integers(1, 2)),
)


@given(st.text())
def test_normalising_is_idempotent(text: str) -> None:
    """What was normalised once stays as it is: else every cycle would see an edit."""
    assert one_line(one_line(text, 255), 255) == one_line(text, 255)
    assert notes_of(notes_of(text)) == notes_of(text)
    assert clean(clean(text)) == clean(text)


def test_notes_are_kept_to_32_kilobytes_of_whole_characters() -> None:
    """Long notes are cut between characters, and the cut is shown."""
    kept = notes_of("ä" * 40_000)
    assert len(kept.encode()) <= MAX_NOTES_BYTES
    assert kept.endswith(" …")
    assert notes_of(kept) == kept


@given(WHENS, st.text(max_size=20), st.booleans())
def test_an_entry_survives_json(when: Timed | AllDay, text: str, flag: bool) -> None:
    """What the ledger keeps is what was agreed, whatever the year."""
    if isinstance(when, Timed):
        when = Timed(when.start.replace(microsecond=0), when.end.replace(microsecond=0))
    entry = Entry(
        kind=Kind.EVENT,
        origin=Origin.EXCHANGE,
        description=text,
        when=when,
        notes=text,
        is_private=flag,
        attendees=(text, "b"),
    )
    assert entry_from_json(entry_as_json(entry)) == entry


@given(WHENS, MOMENTS)
def test_the_ends_of_the_calendar_raise_nothing(when: Timed | AllDay, now: datetime) -> None:
    """Years 1601 and 9999 can be compared with any window, in any zone."""
    zone = ZoneInfo("Pacific/Kiritimati")
    now = min(max(now, datetime(1700, 1, 1, tzinfo=UTC)), datetime(9990, 1, 1, tzinfo=UTC))
    overlaps(when, window_around(now, zone), zone)
    instants(when, zone)


@pytest.mark.req("O1")
def test_the_window_is_whole_days_of_the_users_zone() -> None:
    """From two days back to ninety ahead, from midnight to midnight, across a change to daylight saving."""
    window = window_around(datetime(2026, 12, 20, 3, tzinfo=UTC), NEW_YORK)  # still the 19th in New York
    assert window == Window(datetime(2026, 12, 17, 5, tzinfo=UTC), datetime(2027, 3, 20, 4, tzinfo=UTC))


@pytest.mark.req("O6")
def test_days_overlap_by_their_dates_in_the_zone() -> None:
    """An all-day entry counts by the midnights of the user's zone; one without length counts where it stands."""
    window = Window(datetime(2026, 11, 21, 5, tzinfo=UTC), datetime(2026, 11, 22, 5, tzinfo=UTC))
    assert not overlaps(AllDay(date(2026, 11, 20), date(2026, 11, 21)), window, NEW_YORK)
    assert overlaps(AllDay(date(2026, 11, 21), date(2026, 11, 22)), window, NEW_YORK)
    assert overlaps(Timed(window.start, window.start), window, NEW_YORK)
    assert not overlaps(Timed(window.end, window.end), window, NEW_YORK)
    hour = timedelta(hours=1)
    assert not overlaps(Timed(window.end, window.end + hour), window, NEW_YORK)
    assert not overlaps(Timed(window.start - hour, window.start), window, NEW_YORK)
    assert overlaps(Timed(window.start - hour, window.end + hour), window, NEW_YORK)


@pytest.mark.req("O7")
def test_a_private_event_gives_away_its_time_only() -> None:
    """Subject, place, body and people of a private event do not reach the CRM, and only its time goes back."""
    item = Item(
        item_id="I",
        change_key="K",
        kind=Kind.EVENT,
        subject="Doctor",
        when=Timed(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
        location="Clinic",
        body="bad news",
        organizer="me",
        attendees=("you",),
        is_private=True,
    )
    entry = entry_of_item(item, None, "bad news")
    assert (entry.description, entry.location, entry.notes, entry.organizer, entry.attendees) == (
        "Busy",
        "",
        "",
        "",
        (),
    )
    assert shared_fields(entry) == ("when",)


# ── which field travels which way ────────────────────────────────────────────────────────────────────────────────────
SHARED = {"description", "when", "location"}
OUR_OWN = {"notes", "individual_id", "individual_name"}
THEIR_OWN = {"notes", "is_private", "organizer", "attendees"}


@pytest.mark.req("C2", "O2", "O7")
@pytest.mark.parametrize(
    ("of_entry", "both_ways", "to_exchange", "to_crm"),
    [
        ({"origin": Origin.CRM, "kind": Kind.EVENT}, SHARED, OUR_OWN | {"is_complete"}, set()),
        ({"origin": Origin.CRM, "kind": Kind.EVENT, "is_private": True}, SHARED, OUR_OWN | {"is_complete"}, set()),
        ({"origin": Origin.CRM, "kind": Kind.TASK}, SHARED - {"location"} | {"is_complete"}, OUR_OWN, set()),
        ({"origin": Origin.EXCHANGE, "kind": Kind.EVENT}, SHARED, set(), THEIR_OWN),
        (
            {"origin": Origin.EXCHANGE, "kind": Kind.EVENT, "is_private": True},
            {"when"},
            set(),
            THEIR_OWN | {"description", "location"},
        ),
    ],
    ids=["made in the CRM", "and private", "a task", "made in Outlook", "and private in Outlook"],
)
def test_which_field_goes_where(
    of_entry: dict[str, Any], both_ways: set[str], to_exchange: set[str], to_crm: set[str]
) -> None:
    """Table F: which fields either side may change, which only one side, and which stay where they are."""
    entry = Entry(description="Tour", when=DAY, **of_entry)
    assert set(shared_fields(entry)) == both_ways
    assert set(one_way_fields(entry, "crm")) == to_exchange
    assert set(one_way_fields(entry, "exchange")) == to_crm


# ── normalising, case by case ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("tab\tstays", "tab\tstays"),
        ("bell\x07 and \ud83d half of a pair", "bell and  half of a pair"),
        ("U\u0308", "\u00dc"),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_what_text_both_sides_can_hold(text: str, expected: str) -> None:
    """Lines end in a newline, letters are composed, what XML cannot carry is left out."""
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        (" a \t b\r\n\u00a0c ", 0, "a b c"),
        ("x" * 300, 0, "x" * 300),
        ("x" * 300, 255, "x" * 255),
        ("x" * 255, 255, "x" * 255),
        ("\U0001f600" * 200, 255, "\U0001f600" * 127),
        ("x" + "\U0001f600" * 200, 255, "x" + "\U0001f600" * 127),
        ("x" * 254 + " y", 255, "x" * 254),
    ],
)
def test_what_a_subject_holds(text: str, limit: int, expected: str) -> None:
    """One line, blanks folded, as many UTF-16 units as Exchange keeps, no half of a character, no blank at the end."""
    assert one_line(text, limit) == expected


def test_how_much_of_a_subject_and_of_notes_is_kept() -> None:
    """Exchange keeps 255 characters of a subject; of notes the CRM keeps 32 KB, the mark of the cut included."""
    assert (MAX_SUBJECT_CHARACTERS, MAX_NOTES_BYTES) == (255, 32_768)
    assert notes_of("x" * 32_768) == "x" * 32_768
    assert notes_of("x" * 32_769) == "x" * 32_764 + " …"
    assert notes_of("x" + "ä" * 32_768) == "x" + "ä" * 16_381 + " …"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a \t\nb\u00a0 \r\nc  ", "a\nb\nc"),
        ("a\n\nb", "a\n\nb"),
        ("a\n \n\u00a0\n\nb", "a\n\nb"),
        ("a\u00a0b", "a b"),
    ],
)
def test_how_notes_are_compared(text: str, expected: str) -> None:
    """Blanks at the ends of lines, blanks that do not break, and empty lines beyond one make no difference."""
    assert notes_of(text) == expected


@pytest.mark.req("O6")
def test_times_as_they_are_compared() -> None:
    """Instants in UTC to the second; whole days are at least one."""
    begin = datetime(2026, 11, 23, 10, 0, 30, 999_999, tzinfo=NEW_YORK)
    assert normal_when(Timed(begin, begin)) == Timed(*[datetime(2026, 11, 23, 15, 0, 30, tzinfo=UTC)] * 2)
    monday = date(2026, 11, 23)
    for days, expected in ((-1, 1), (0, 1), (1, 1), (2, 2)):
        when = normal_when(AllDay(monday, monday + timedelta(days=days)))
        assert when == AllDay(monday, monday + timedelta(days=expected))


# ── both sides as entries, case by case ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("C3")
def test_a_task_has_one_date() -> None:
    """Of an activity over several days a task shows the first; an event shows all; times stay times."""
    days = AllDay(date(2026, 11, 23), date(2026, 11, 26))
    assert entry_of_activity(replace(ACTIVITY, when=days), Kind.TASK).when == DAY
    assert entry_of_activity(replace(ACTIVITY, when=days), Kind.EVENT).when == days
    assert entry_of_activity(replace(ACTIVITY, when=HOUR), Kind.TASK).when == HOUR


def test_whom_a_visit_is_for_is_kept_whole() -> None:
    """The name stands on one line and is not cut: it goes into a body, not into a subject."""
    name = f"Ruth  {'O' * 300}'Neil"
    assert entry_of_activity(replace(ACTIVITY, individual_name=name), Kind.EVENT).individual_name == name.replace(
        "  ", " "
    )


AGREED = Entry(
    kind=Kind.EVENT,
    origin=Origin.CRM,
    description="Tour",
    when=AllDay(date(2026, 11, 23), date(2026, 11, 24)),
    location="Lobby",
    notes="Notes",
    is_complete=True,
    organizer="Bob",
    attendees=("Ann",),
    individual_id="7",
    individual_name="Ruth",
)
SEEN = Item(
    item_id="I",
    change_key="K",
    kind=Kind.EVENT,
    subject=" New  title ",
    when=Timed(datetime(2026, 11, 23, 10, tzinfo=UTC), datetime(2026, 11, 23, 11, tzinfo=UTC)),
    location=" New place ",
    organizer="Eve",
    attendees=("Max",),
)


@pytest.mark.req("C1", "O7")
def test_what_exchange_says_of_an_entry_of_the_crm_s() -> None:
    """Title, time and place; of a private one the time alone, of a task no place but whether it is done. The rest is the CRM's."""
    assert entry_of_item(SEEN, AGREED) == replace(AGREED, description="New title", when=SEEN.when, location="New place")
    assert entry_of_item(replace(SEEN, is_private=True), AGREED) == replace(AGREED, when=SEEN.when)
    for is_complete in (True, False):
        task = replace(SEEN, kind=Kind.TASK, is_complete=is_complete)
        agreed = replace(AGREED, kind=Kind.TASK)
        assert entry_of_item(task, agreed) == replace(
            agreed, description="New title", when=SEEN.when, is_complete=is_complete
        )


@pytest.mark.req("O2", "O7")
def test_what_exchange_says_of_an_entry_of_its_own() -> None:
    """All but whom it is for and whether it is done, which are the CRM's; where the body was not read, people and notes are as agreed."""
    agreed = replace(AGREED, origin=Origin.EXCHANGE)
    listed = replace(agreed, description="New title", when=SEEN.when, location="New place")
    assert entry_of_item(SEEN, agreed) == listed
    read = replace(SEEN, body="…")
    told = replace(listed, notes="new notes", organizer="Eve", attendees=("Max",))
    assert entry_of_item(read, agreed, " new notes ") == told
    assert entry_of_item(read, agreed) == replace(told, notes="")
    fresh = replace(told, is_complete=False, individual_id=None, individual_name="")
    for item in (SEEN, read):
        assert entry_of_item(item, None, "new notes") == fresh
    secret = replace(read, is_private=True)
    busy = replace(
        agreed, description="Busy", when=SEEN.when, location="", notes="", organizer="", attendees=(), is_private=True
    )
    assert entry_of_item(secret, agreed, "secret") == busy
    assert entry_of_item(secret, None, "secret") == replace(
        busy, is_complete=False, individual_id=None, individual_name=""
    )


def test_an_item_without_a_time_is_no_entry() -> None:
    """It is for the caller to leave it out: the error names it."""
    with pytest.raises(ValueError, match="an item without times is no entry: I"):
        entry_of_item(replace(SEEN, when=None), None)


def test_an_entry_as_the_ledger_keeps_it() -> None:
    """Instants in UTC ending in Z, days as dates, every field by its name."""
    kept = entry_as_json(replace(AGREED, when=HOUR, is_private=True))
    assert kept == {
        "kind": "event",
        "origin": "crm",
        "description": "Tour",
        "all_day": False,
        "start": "2026-11-23T15:00:00Z",
        "end": "2026-11-23T16:00:00Z",
        "location": "Lobby",
        "notes": "Notes",
        "complete": True,
        "private": True,
        "organizer": "Bob",
        "attendees": ["Ann"],
        "individual_id": "7",
        "individual": "Ruth",
    }
    days = entry_as_json(AGREED)
    assert (days["all_day"], days["start"], days["end"]) == (True, "2026-11-23", "2026-11-24")


@pytest.mark.req("O6")
def test_the_ends_of_the_calendar() -> None:
    """The first midnight of all, which lies before the first instant in the east, is that instant; the last one is an hour of the last days."""
    assert midnight(date.min, ZoneInfo("Asia/Tokyo")) == datetime.min.replace(tzinfo=UTC)
    assert midnight(date.min, ZoneInfo("Etc/GMT+12")) == datetime(1, 1, 1, 12, tzinfo=UTC)
    assert midnight(date.max, ZoneInfo("Etc/GMT+12")) == datetime(9999, 12, 31, 12, tzinfo=UTC)
    assert midnight(date.max, ZoneInfo("Etc/GMT-14")) == datetime(9999, 12, 30, 10, tzinfo=UTC)


def test_stamps_name_their_activity_and_their_crm() -> None:
    """A stamp of this CRM gives its activity; another's, and a stranger's text, give none."""
    stamp = make_stamp("0123456789ab", ACTIVITY, "f" * 32)
    named = named_by(stamp, "0123456789ab")
    assert named is not None
    assert named.is_of(ACTIVITY)
    assert not named.is_of(replace(ACTIVITY, token="1" * 16))  # the same id, given again
    assert not named.is_of(replace(ACTIVITY, activity_id="4712"))
    assert named_by(stamp, "ba9876543210") is None
    assert named_by("4711", "0123456789ab") is None


ACTIVITY = Activity(
    activity_id="4711",
    user_id="1",
    type_id="1",
    type_name="Tour",
    status=ActivityStatus.SCHEDULED,
    description="Tour",
    when=AllDay(date(2026, 11, 23), date(2026, 11, 24)),
    updated_at=datetime(2026, 11, 23, tzinfo=UTC),
    version=1,
    token="0" * 16,
)
