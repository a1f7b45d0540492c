"""Series of accounts with more events than one answer holds: only the series that changed are read, and what comes of it is the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.errors import ItemRefused
from ops_lib.mailbox.ews.mailbox import EwsMailbox
from ops_lib.model import Origin, Window
from ops_lib.sandbox.server import Sandbox
from ops_lib.sandbox.values import Body
from ops_lib.sync import series
from tests.e2e.test_requests import Week, a_week, operations, second
from tests.sync.desk import at

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(params=["its series alone", "the whole window"])
def is_alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the account counts as one with many links."""
    if request.param == "its series alone":
        monkeypatch.setattr(series, "FEW_LINKS", 1)
    return bool(request.param == "its series alone")


def moved_by(shift: timedelta) -> Callable[[Week], None]:
    """The second occurrence is moved."""

    def move(week: Week) -> None:
        when = second(week)
        values = {"calendar:Start": when.start + shift, "calendar:End": when.end + shift}
        week.store.update_occurrence(week.series, when.start, values)

    return move


def retimed_by(shift: timedelta) -> Callable[[Week], None]:
    """The whole series is moved."""

    def move(week: Week) -> None:
        values = {name: week.series.values[name] + shift for name in ("calendar:Start", "calendar:End")}
        week.store.update_item(week.series, values)

    return move


def twice_edited(week: Week) -> None:
    """One occurrence is retitled, another is removed, and the series has another place."""
    week.store.update_occurrence(week.series, second(week).start, {"item:Subject": "With cake"})
    week.store.delete_occurrence(week.series, second(week).start + 7 * DAY)
    week.store.update_item(week.series, {"calendar:Location": "Attic"})


EDITS: dict[str, tuple[Callable[[Week], object], bool, int]] = {
    # what is done, whether the series' own answers suffice, how many activities are other ones than before
    "retitled": (
        lambda week: week.store.update_occurrence(week.series, second(week).start, {"item:Subject": "With cake"}),
        True,
        0,
    ),
    "moved": (moved_by(3 * HOUR), True, 0),
    "moved to another day": (moved_by(-3 * DAY), True, 0),
    "moved out of the window": (moved_by(200 * DAY), True, 0),
    "deleted": (lambda week: week.store.delete_occurrence(week.series, second(week).start), True, 1),
    "the series retitled": (lambda week: week.store.update_item(week.series, {"item:Subject": "Walk"}), True, 0),
    "the series has other notes": (
        lambda week: week.store.update_item(week.series, {"item:Body": Body("<p>Bring a pen</p>", is_html=True)}),
        True,
        0,
    ),
    "the series is later": (retimed_by(2 * HOUR), False, 0),
    "edited in three ways": (twice_edited, True, 1),
    "the series deleted": (lambda week: week.store.delete_item(week.series), False, 13),
}


@pytest.mark.req("O5", "Y1")
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_a_series(edit: str, is_alone: bool, sandbox: Sandbox, sqlite_database: Database) -> None:
    """Whichever way it is read, both sides end equal, with the same activities; by itself it is read with two requests more, and no look at the window."""
    week = a_week(sandbox, sqlite_database)
    desk = week.desk
    before = {a.activity_id for a in desk.activities()}
    make, suffices, others = EDITS[edit]
    make(week)
    result = desk.cycle(allow_deletions=20)
    counted = operations(sandbox)
    if is_alone and suffices:
        assert "FindItem" not in counted
        assert result.requests <= (5 if edit == "edited in three ways" else 4)
    desk.settle()
    after = {a.activity_id for a in desk.activities()}
    assert (len(before - after), len(after - before)) == (others, 0)
    assert sandbox.organisation.outbox == []


@pytest.mark.req("O5")
def test_what_the_crm_shows_of_it(is_alone: bool, sandbox: Sandbox, sqlite_database: Database) -> None:
    """Title, place, time and notes of each occurrence, after edits of one and of all, and an edit in the CRM goes to the one it is about."""
    week = a_week(sandbox, sqlite_database)
    desk = week.desk
    twice_edited(week)
    week.store.update_item(week.series, {"item:Body": Body("<p>Bring a pen</p>", is_html=True)})
    desk.settle()
    shown = [a for a in desk.activities() if a.origin is Origin.EXCHANGE and a.description != "Own"]
    assert [(a.description, a.location) for a in shown[:3]] == [
        ("Rounds", "Attic"),
        ("With cake", "Attic"),
        ("Rounds", "Attic"),
    ]
    assert [a.notes for a in shown[::2]] == ["Bring a pen"] * len(shown[::2])
    assert [a.when for a in shown[:3]] == [at(1, 9), at(8, 9), at(22, 9)]
    desk.now += timedelta(minutes=5)
    desk.edit(shown[2].activity_id, description="With coffee")
    desk.settle()
    desk.now += timedelta(days=1)  # the days that entered are read: the calendar's own words for it
    desk.settle()
    assert [a.description for a in desk.activities() if a.activity_id == shown[2].activity_id] == ["With coffee"]


@pytest.mark.req("O5")
def test_a_series_that_cannot_be_read_by_itself(
    sandbox: Sandbox, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot be computed, the calendar's view is asked as in a small account."""
    monkeypatch.setattr(series, "FEW_LINKS", 1)
    week = a_week(sandbox, sqlite_database)
    week.store.update_occurrence(week.series, second(week).start, {"item:Subject": "With cake"})

    def refused(self: EwsMailbox, master_ids: Sequence[str], window: Window, **_: bool) -> list[ItemRefused]:
        return [ItemRefused("its pattern is none that is known") for _ in master_ids]

    monkeypatch.setattr(EwsMailbox, "expand", refused)
    week.desk.cycle()
    assert operations(sandbox)["FindItem"] == 1
    week.desk.settle()
    assert "With cake" in {a.description for a in week.desk.activities()}
