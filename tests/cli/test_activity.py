"""`syncops activity …`: the CRM's own side."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.command_line import CommandLine

TIMES = ("--start", "2026-11-24T15:00:00Z", "--end", "2026-11-24T16:00:00Z")
LATER = ("--start", "2026-11-25T15:00:00Z", "--end", "2026-11-25T16:00:00Z")


@pytest.fixture
def crm(run: CommandLine) -> CommandLine:
    run("user", "add", "--email", "alice@example.test", "--name", "Alice", "--time-zone", "America/New_York")
    run("individual", "add", "Ruth Example")
    return run


def add(run: CommandLine, *arguments: str, description: str = "Tour with Ruth") -> str:
    added = run(
        "activity", "add", "--user", "alice@example.test", "--type", "Tour", "--description", description, *arguments
    )
    assert added.stdout.count("\n") == 1
    return str(added.json["id"])


def listed(run: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    return list(run("activity", "list", "--json", *arguments).json)


def test_an_activity_is_added_and_listed(crm: CommandLine) -> None:
    """Its id is the one thing on stdout, a string; the list gives every field of the contract."""
    activity = add(
        crm, *TIMES, "--for", "Ruth Example", "--status", "completed", "--location", "Lobby", "--notes", "Likes roses."
    )
    assert listed(crm, "--user", "alice@example.test") == [
        {
            "id": activity,
            "user": "alice@example.test",
            "type": "Tour",
            "status": "Completed",
            "description": "Tour with Ruth",
            "start": "2026-11-24T15:00:00Z",
            "end": "2026-11-24T16:00:00Z",
            "all_day": False,
            "date": None,
            "for": "1",
            "location": "Lobby",
            "notes": "Likes roses.",
            "origin": "crm",
            "private": False,
        }
    ]
    assert "Tour with Ruth" in crm("activity", "list").stdout


def test_a_time_without_an_offset_is_the_user_s(crm: CommandLine) -> None:
    """Times are read, and shown in the table, in the user's zone; --help says so."""
    add(crm, "--start", "2026-11-24T10:00", "--end", "2026-11-24T11:00")
    assert listed(crm)[0]["start"] == "2026-11-24T15:00:00Z"
    assert "Tue 24 Nov 2026 10:00" in crm("activity", "list", "--user", "alice@example.test").stdout
    assert "in the user's time zone" in " ".join(crm("activity", "--help").stdout.split())


@pytest.mark.req("O6")
def test_an_all_day_activity_has_its_date(crm: CommandLine) -> None:
    """All-day is a date; several days end exclusively."""
    add(crm, "--all-day", "2026-11-24")
    add(crm, "--all-day", "2026-12-24", "--days", "3")
    assert [(each["date"], each["start"], each["end"], each["all_day"]) for each in listed(crm)] == [
        ("2026-11-24", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z", True),
        ("2026-12-24", "2026-12-24T00:00:00Z", "2026-12-27T00:00:00Z", True),
    ]
    assert "all day" in crm("activity", "list").stdout


@pytest.mark.req("T4")
def test_a_start_that_is_not_before_the_end_is_allowed_with_a_remark(crm: CommandLine) -> None:
    """The CRM keeps it, and whoever enters it hears that it does not go to Outlook."""
    added = crm(
        "activity", "add", "--user", "alice@example.test", "--type", "Tour", "--description", "x",
        "--start", "2026-11-24T15:00Z", "--end", "2026-11-24T15:00Z",
    )  # fmt: skip
    assert "not sent to Outlook" in added.stderr
    assert added.json == {"id": "1"}


def test_editing_changes_in_place(crm: CommandLine) -> None:
    """Every field can be changed, alone, under the same id; "For" can be made blank."""
    activity = add(crm, *TIMES, "--for", "1")
    for option, value, field, shown in (
        ("--end", "2026-11-24T17:00Z", "end", "2026-11-24T17:00:00Z"),
        ("--description", "Tour of the garden", "description", "Tour of the garden"),
        ("--type", "Home Visit", "type", "Home Visit"),
        ("--status", "Completed", "status", "Completed"),
        ("--location", "Garden", "location", "Garden"),
        ("--notes", "Likes roses.", "notes", "Likes roses."),
        ("--for", "", "for", None),
        ("--all-day", "2026-11-26", "date", "2026-11-26"),
    ):
        before = listed(crm)[0]
        assert crm("activity", "edit", activity, option, value).json == {"id": activity}
        (after,) = listed(crm)
        assert after[field] == shown
        if field not in ("date", "end"):
            assert after == before | {field: shown}


@pytest.mark.req("C6")
def test_rescheduling_makes_a_new_activity(crm: CommandLine) -> None:
    """Without an account, and where the host says replace, a new activity stands at the new time."""
    activity = add(crm, *TIMES, "--for", "1")
    answer = crm("activity", "reschedule", activity, *LATER).json
    assert answer["rescheduled_from"] == activity != answer["id"]
    (after,) = listed(crm)
    assert (after["id"], after["start"], after["for"]) == (answer["id"], "2026-11-25T15:00:00Z", "1")


@pytest.mark.req("C6")
@pytest.mark.parametrize("rule", ["replace", "update"])
def test_rescheduling_follows_the_host(crm: CommandLine, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host of the user's calendar decides whether the activity is replaced or moved in place."""
    monkeypatch.setenv("SVC", "hunter2")
    crm(
        "host", "add", "exchange", "--url", "https://mail.example.test/EWS/Exchange.asmx", "--service-user", "svc",
        "--password-env", "SVC", "--reschedule", rule,
    )  # fmt: skip
    crm("account", "add", "--host", "exchange", "--user", "alice@example.test")
    activity = add(crm, *TIMES)
    answer = crm("activity", "reschedule", activity, "--all-day", "2026-11-30").json
    assert (answer["id"] == activity) == (rule == "update")
    assert [(each["id"], each["date"]) for each in listed(crm)] == [(answer["id"], "2026-11-30")]


@pytest.mark.req("C5")
def test_cancelled_stays_and_deleted_goes(crm: CommandLine) -> None:
    """A cancelled activity stays in the CRM with its reason; a deleted one leaves the list; each answers with its id."""
    cancelled, deleted = add(crm, *TIMES), add(crm, *LATER)
    assert crm("activity", "cancel", cancelled, "--note", "Ruth is ill.").json == {"id": cancelled}
    assert crm("activity", "delete", deleted).json == {"id": deleted}
    (left,) = listed(crm)
    assert (left["id"], left["status"], left["notes"]) == (cancelled, "Cancelled", "Ruth is ill.")
    for command in (["edit", deleted, "--notes", "x"], ["cancel", deleted], ["reschedule", deleted, *TIMES]):
        assert "removed" in crm("activity", *command, exit_code=2).stderr


def test_a_part_of_the_calendar_is_listed(crm: CommandLine) -> None:
    """`--from` and `--to` choose what overlaps them: days in the user's zone, or instants."""
    first, second = add(crm, *TIMES), add(crm, *LATER)
    day = listed(crm, "--user", "alice@example.test", "--from", "2026-11-24", "--to", "2026-11-25")
    assert [each["id"] for each in day] == [first]
    assert [each["id"] for each in listed(crm, "--from", "2026-11-24T16:00:00Z")] == [second]
    assert listed(crm, "--to", "2026-11-24T15:00:00Z") == []
    assert "nothing is on the calendar" in crm("activity", "list", "--to", "2026-11-24").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "--user", "alice@example.test", "--type", "Tour", "--description", "x"], "an activity has a time"),
        (["add", "--user", "alice@example.test", "--type", "Tour", "--description", " ", *TIMES], "cannot be empty"),
        (["add", "--user", "alice@example.test", "--type", "Tuor", "--description", "x", *TIMES], "no activity type Tuor"),
        (["add", "--user", "alice@example.test", "--type", "Tour", "--description", "x", *TIMES, "--for", "Rita"], "no individual Rita"),
        (["add", "--user", "alice@example.test", "--type", "Tour", "--description", "x", *TIMES, "--status", "Done"], "Scheduled, Completed, Cancelled"),
        (["edit", "99", "--notes", "x"], "no activity 99"),
        (["reschedule", "99", *TIMES], "no activity 99"),
        (["cancel", "nine"], "no activity nine"),
        (["delete", "99"], "no activity 99"),
        (["list", "--user", "nobody@example.test"], "no CRM user nobody"),
        (["list", "--from", "yesterday"], "--from: yesterday is no time"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(crm: CommandLine, arguments: list[str], words: str) -> None:
    """Wrong input is one line with the reason, exit code 2, and changes nothing."""
    answer = crm("activity", *arguments, exit_code=2)
    assert words in answer.stderr
    assert answer.stdout == ""
    assert listed(crm) == []


def test_rescheduling_needs_a_time(crm: CommandLine) -> None:
    """Rescheduling without a new time is refused."""
    assert "needs a new time" in crm("activity", "reschedule", add(crm, *TIMES), exit_code=2).stderr
