from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_lib.model import Activity, ActivityStatus, AllDay, Entry, Item, Kind, Origin, Timed, Window
from ops_lib.sync.mapping import (
    MAX_NOTES_BYTES,
    clean,
    entry_as_json,
    entry_from_json,
    entry_of_item,
    instants,
    notes_of,
    one_line,
    overlaps,
    shared_fields,
    window_around,
)
from ops_lib.sync.stamps import make_stamp, named_by

NEW_YORK = ZoneInfo("America/New_York")
MOMENTS = st.datetimes(min_value=datetime(1601, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
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
