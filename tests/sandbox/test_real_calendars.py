"""Calendars that people really published, read and expanded; the judge is `recurring_ical_events`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import icalendar
import pytest
import recurring_ical_events

from ops_lib.sandbox.ical import from_ical, parse, to_ical
from tests.support.judge import CALENDARS, Occurrence, occurrences, pieces
from tests.support.series import expand

FILES = sorted(CALENDARS.glob("*.ics"))
# The judge's own test data: hundreds of odd calendars, where the installed package brings them along.
JUDGES = sorted((Path(recurring_ical_events.__file__).parent / "test" / "calendars").glob("*.ics"))

# What of the real calendars Exchange cannot hold: nothing.
REFUSED: dict[str, dict[str, str]] = {path.name: {} for path in FILES}

# The judge refuses this one itself.
UNREADABLE = {"bad_rrule_missing_until_event.ics"}


def _windows(path: Path) -> list[tuple[datetime, datetime]]:
    """Whole years around the file's events, odd stretches within the first, and one far off."""
    events = icalendar.Calendar.from_ical(path.read_bytes()).walk("VEVENT")
    years = sorted({event["DTSTART"].dt.year for event in events if "DTSTART" in event}) or [2026]
    first = datetime(years[0], 1, 1, tzinfo=UTC)
    whole = [
        (datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
        for year in {*years[:2], *years[-2:], years[-1] + 1}
    ]
    far = datetime(years[-1] + 40, 3, 1, tzinfo=UTC)
    odd = [
        (first + timedelta(days=day, hours=7, minutes=20), first + timedelta(days=day + 40, hours=1))
        for day in (60, 280)
    ]
    return [*sorted(whole), *odd, (far, far + timedelta(days=60))]


def _comparable(found: list[Occurrence], refused: set[str]) -> list[tuple[datetime, datetime, bool, str]]:
    return sorted(occurrence[1:] for occurrence in found if occurrence.uid not in refused)


@pytest.fixture(scope="module", autouse=True)
def _require_files() -> None:
    if not FILES:
        pytest.skip(f"the real calendars are not at {CALENDARS}")


@pytest.mark.req("O5", "O6")
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_real_calendar_takes_place_when_the_judge_says(path: Path, zone: str) -> None:
    """Each event of the file, in every window, is at the judge's instants (all-day: on its dates), whatever the mailbox's zone."""
    parsed, refused = parse(path.read_bytes(), zone)
    assert {problem.uid: problem.reason for problem in refused} == REFUSED[path.name]
    for start, end in _windows(path):
        expected = _comparable(occurrences(path, start, end, zone), set())
        assert _comparable(expand(parsed, start, end, zone), set()) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_real_calendar_survives_being_written_and_read(path: Path) -> None:
    """Each event of the file is the same after it went out and in again."""
    for event in from_ical(path.read_bytes(), "Europe/Berlin"):
        assert from_ical(to_ical(event.values, event.exceptions, event.deleted)) == [event]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_real_calendar_can_be_sent_piece_by_piece(path: Path) -> None:
    """One iCalendar text for each UID, as a client puts them into MimeContent, gives the same events as the file."""
    assert [event for _, text in pieces(path) for event in from_ical(text)] == from_ical(path.read_bytes())


@pytest.mark.skipif(not JUDGES, reason="the judge is installed without its own test calendars")
def test_the_judges_own_odd_calendars_agree_or_are_refused_with_a_reason() -> None:
    """Of each calendar of the judge's own tests, what is read takes place when the judge says, and the rest has a reason."""
    reasons: set[tuple[str, str]] = set()
    for path in JUDGES:
        if path.name in UNREADABLE:
            continue
        parsed, refused = parse(path.read_bytes())
        reasons |= {(path.name, problem.reason) for problem in refused}
        uids = {problem.uid for problem in refused}
        for start, end in _windows(path)[:4]:
            expected = _comparable(occurrences(path, start, end), uids)
            assert _comparable(expand(parsed, start, end, "UTC"), uids) == expected, path.name
    known = ("RDATE", "several rules", "VTODO", "VJOURNAL", "RANGE", "ends before", "excluded")
    assert not {(name, reason) for name, reason in reasons if not any(word in reason for word in known)}
