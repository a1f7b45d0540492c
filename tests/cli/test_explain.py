"""`syncops explain`: every question of the help article, both sides as they are now, and what happened."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.errors import AnswerLost
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync import both_sides
from ops_lib.workspace import Workspace
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE

START = datetime(2026, 11, 24, 10, tzinfo=UTC)
DAY = {"calendar:Start": START, "calendar:End": START + timedelta(hours=1)}


@pytest.fixture
def customer(run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A host on the sandbox for all communities, alice and bob on it; carol has no account."""
    monkeypatch.setenv("SANDBOX_PASSWORD", sandbox.passwords[SERVICE])
    sandbox.clock.set(datetime(2026, 11, 23, 9, tzinfo=UTC))
    run("community", "add", "Elm Court")
    for email in (ALICE, BOB, CAROL):
        run("user", "add", "--email", email, "--name", email.partition("@")[0], "--community", "Elm Court")
    host(run, sandbox, "H", "all")
    for email in (ALICE, BOB):
        run("account", "add", "--host", "H", "--user", email)
    return run


def host(run: CommandLine, sandbox: Sandbox, name: str, community: str) -> None:
    run(
        "host", "add", name, "--url", sandbox.ews_url, "--auth", "basic", "--access", "impersonation", "--service-user", SERVICE,
        "--password-env", "SANDBOX_PASSWORD", "--version", "2016", "--community", community, "--types", "Tour",
        "--inbound-type", "Appointment",
    )  # fmt: skip


def add(run: CommandLine, description: str = "Tour", user: str = ALICE, **more: str) -> str:
    when = {"--start": "2026-11-24T10:00:00Z", "--end": "2026-11-24T11:00:00Z"}
    options = ({} if "--all-day" in more else when) | {"--type": "Tour"} | more
    words = [word for pair in options.items() for word in pair]
    return str(run("activity", "add", "--user", user, "--description", description, *words).json["id"])


def explained(run: CommandLine, *arguments: str, exit_code: int = 1) -> Any:
    return run("explain", *arguments, "--json", exit_code=exit_code).json


def reasons(run: CommandLine, *arguments: str) -> list[str]:
    return [each["reason"] for each in explained(run, *arguments)["reasons"]]


@pytest.mark.req("T4")
def test_the_questions_of_the_article_about_one_activity(customer: CommandLine) -> None:
    """All-day, start not before end, type not chosen, long over, not yet due: the reason is the first thing said, and each has a next step."""
    expected = {
        add(customer, **{"--all-day": "2026-11-24"}): "it is all-day, and tasks are not enabled",
        add(customer, **{"--end": "2026-11-24T09:00:00Z"}): "its start is not before its end",
        add(customer, **{"--type": "Call Out"}): "its type 'Call Out' is not among the types",
        add(customer, **{"--start": "2026-01-05T10:00:00Z", "--end": "2026-01-05T11:00:00Z"}): "its time is over",
        add(customer): "it is not sent yet",
    }
    for activity, reason in expected.items():
        answer = explained(customer, activity)
        assert answer["reasons"][0]["reason"].startswith(reason)
        assert all(each["next_step"] for each in answer["reasons"])
        assert answer["account"] == ALICE
        assert not answer["in_step"]
    all_day = explained(customer, next(iter(expected)))["reasons"][0]["next_step"]
    assert "host edit 'H' --all-day-tasks" in all_day
    assert f"account enable {ALICE} --all-day-tasks" in all_day


@pytest.mark.req("T4", "C3")
def test_a_task_is_in_step_and_not_in_the_calendar(customer: CommandLine) -> None:
    """With tasks on, an all-day activity is where the article says: the answer is a note, not a fault."""
    customer("host", "edit", "H", "--all-day-tasks")
    customer("account", "enable", ALICE, "--all-day-tasks")
    task = add(customer, "Prepare", **{"--all-day": "2026-11-24"})
    customer("sync")
    answer = explained(customer, task, exit_code=0)
    assert answer["in_step"]
    assert "stands in Outlook's Tasks" in answer["notes"][0]["reason"]
    assert (answer["exchange"]["verdict"], answer["exchange"]["entry"]["kind"]) == ("there", "task")


@pytest.mark.req("T4", "H2")
def test_who_is_not_served_is_told_by_whom(customer: CommandLine, sandbox: Sandbox) -> None:
    """No account, an account that is off, a retired host, a host that is not the community's: each is named with its mend."""
    nobody = add(customer, user=CAROL)
    assert reasons(customer, nobody)[0] == f"its user {CAROL} has no account: no mailbox is kept in step"
    bobs = add(customer, user=BOB)
    customer("account", "disable", BOB)
    assert reasons(customer, bobs)[0] == f"its user's account {BOB} is switched off"
    own = add(customer)
    customer("sync")
    host(customer, sandbox, "Elm's own", "Elm Court")
    assert "the user's community is served by \"Elm's own\"" in reasons(customer, own)[0]
    customer("host", "retire", "H")
    assert reasons(customer, own)[0] == "the host 'H' is retired: its accounts rest"


@pytest.mark.req("T2", "T3", "T4")
def test_a_failing_account_says_its_status_and_who_must_act(customer: CommandLine, sandbox: Sandbox) -> None:
    """The account's status with its evidence and owner; while the server wants a pause, only that, and the server is left alone."""
    activity = add(customer)
    sandbox.faults.add({"operation": "*", "fault": {"status": 403}})
    customer("sync", exit_code=1)
    answer = explained(customer, activity, "--offline")
    assert answer["status"] == "Denied Access (Forbidden)"
    assert "'Denied Access (Forbidden)' since 2026-11-23 09:00 UTC" in answer["reasons"][0]["reason"]
    assert "administrator has to act" in answer["reasons"][0]["next_step"]
    sandbox.faults.clear()
    customer("sync")
    sandbox.faults.add(
        {
            "operation": "SyncFolderItems",
            "fault": {"response_code": "ErrorServerBusy", "back_off_milliseconds": 600_000},
        }
    )
    customer("sync", exit_code=1)
    sandbox.requests.clear()
    (reason,) = reasons(customer, activity)
    assert reason == "the server wants nobody to ask until 2026-11-23 09:10 UTC (ErrorServerBusy)"
    assert sandbox.requests.total() == 0


@pytest.mark.req("T4")
def test_both_sides_are_looked_at_as_they_are_now(customer: CommandLine, sandbox: Sandbox) -> None:
    """Edited or deleted in Outlook since the last cycle: it is seen, said, and nothing is written; offline it is not asked."""
    activity = add(customer)
    customer("sync")
    (item,) = sandbox.organisation.mailbox(ALICE).folder("calendar").items.values()
    sandbox.organisation.update_item(item, {"item:Subject": "Moved", "calendar:Start": START + timedelta(minutes=15)})
    assert explained(customer, activity, "--offline", exit_code=0)["exchange"]["verdict"] == "not asked"
    sandbox.requests.clear()
    answer = explained(customer, activity)
    assert answer["reasons"][0]["reason"].startswith("the two sides differ in description, when")
    assert (answer["crm"]["description"], answer["exchange"]["entry"]["description"]) == ("Tour", "Moved")
    sandbox.organisation.delete_item(item)
    answer = explained(customer, activity)
    assert answer["exchange"]["verdict"] == "gone"
    assert "is not in Outlook any more" in answer["reasons"][0]["reason"]
    assert "becomes Cancelled" in answer["reasons"][0]["next_step"]
    assert set(sandbox.requests.document()["operations"]) == {"GetItem"}


@pytest.mark.req("T3", "T4")
def test_the_timeline_tells_what_was_sent_and_answered(customer: CommandLine, sandbox: Sandbox) -> None:
    """Edit, refused create with the server's name of the request, pause, success: in the order of time, the try and its code verbatim."""
    sandbox.faults.add({"operation": "CreateItem", "nth": 1, "fault": {"response_code": "ErrorQuotaExceeded"}})
    activity = add(customer)
    for minutes in ("09:00", "09:20"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SYNCOPS_NOW", f"2026-11-23T{minutes}:00Z")
            customer("sync")
    events = explained(customer, activity, exit_code=0)["timeline"]
    told = [(each["who"], each["response_code"]) for each in events if each["who"] != "outlook"]
    assert told[0] == ("crm", "")
    assert ("sync", "ErrorQuotaExceeded") in told
    assert told[-2:] == [("sync", ""), ("server", "NoError")]
    sent = [each for each in events if each["who"] == "server"]
    assert [each["what"] for each in sent] == ["CreateItem answered ErrorQuotaExceeded", "CreateItem answered NoError"]
    assert all(len(each["request_id"]) == 36 for each in sent)
    shown = customer("explain", activity).stdout
    assert sent[0]["request_id"] in shown
    assert "not made in Outlook: the mailbox is full" in shown


@pytest.mark.req("T4")
def test_an_event_is_found_by_its_subject_or_id(customer: CommandLine, sandbox: Sandbox) -> None:
    """Before the first cycle it is not read yet; afterwards its activity is explained; by item id, by words of any case, by start."""
    stored = sandbox.organisation.create_item(ALICE, "calendar", {"item:Subject": "Zahnarzt Öhler", **DAY})
    (found,) = explained(customer, "--event", "zahnarzt ö", "--account", ALICE)["found"]
    assert found["reasons"][0]["reason"].startswith("it is not in the CRM yet")
    customer("sync")
    (found,) = explained(customer, "--event", "ÖHLER", "--account", ALICE, exit_code=0)["found"]
    assert found["explained"]["in_step"]
    assert found["activity"] == found["explained"]["activity"]
    by_id = explained(customer, "--event", found["item"], "--account", ALICE, exit_code=0)["found"]
    assert [each["activity"] for each in by_id] == [found["activity"]]
    at = ("--start", "2026-11-24T10:00:00Z")
    assert explained(customer, "--event", "Zahnarzt", *at, "--account", ALICE, exit_code=0)["found"]
    offline = explained(customer, "--event", "Zahnarzt", "--account", ALICE, "--offline", exit_code=0)
    assert [each["activity"] for each in offline["found"]] == [found["activity"]]
    assert stored.values["item:Subject"] == "Zahnarzt Öhler"


@pytest.mark.req("T4", "O1", "O7")
def test_why_an_event_is_not_in_the_crm(customer: CommandLine, sandbox: Sandbox) -> None:
    """Outside the days that are shown, private, in no default calendar, its account off: each is said; a private subject is not."""
    make = sandbox.organisation.create_item
    far = datetime(2027, 6, 1, 9, tzinfo=UTC)
    make(
        ALICE, "calendar", {"item:Subject": "Holiday", "calendar:Start": far, "calendar:End": far + timedelta(hours=1)}
    )
    make(ALICE, "calendar", {"item:Subject": "Secret talk", "item:Sensitivity": "Private", **DAY})
    (holiday,) = explained(customer, "--event", "Holiday", "--start", "2027-06-01T09:00:00Z", "--account", ALICE)[
        "found"
    ]
    assert holiday["reasons"][0]["reason"].startswith("it is outside the days that the CRM shows")
    customer("sync")
    answer = customer("explain", "--event", "Secret talk", "--account", ALICE)
    assert "(a private event)" in answer.stdout
    assert "Secret" not in answer.stdout
    assert "marked private in Outlook: the CRM shows it as Busy" in answer.stdout
    missing = explained(customer, "--event", "Nowhere", "--account", ALICE)
    assert missing["found"] == []
    assert "has no event called 'Nowhere' in its default calendar" in missing["reasons"][0]["reason"]
    make(BOB, "calendar", {"item:Subject": "Own", **DAY})
    customer("account", "disable", BOB)
    (own,) = explained(customer, "--event", "Own", "--account", BOB)["found"]
    assert own["reasons"][0]["reason"] == f"the account {BOB} is switched off"


def test_what_is_asked_wrongly_is_said(customer: CommandLine) -> None:
    """No entry, two, an empty subject, no mailbox, a start that is none: exit code 2 and how to ask."""
    for arguments in (
        (),
        ("1", "--event", "x"),
        ("1", "--start", "2026-11-24"),
        ("--event", " "),
        ("--event", "x"),
        ("--event", "x", "--account", ALICE, "--start", "soon"),
        ("--event", "x", "--account", "nobody@example.test"),
        ("99999999999999999999",),
        ("1; drop table",),
    ):
        assert "To mend it" in customer("explain", *arguments, exit_code=2).stderr


@pytest.mark.req("T3")
@pytest.mark.parametrize(
    "fault", [{"body": "<html>Sign in</html>", "status": 200}, {"drop": "before"}, {"truncate": "length"}]
)
def test_what_could_not_be_seen_is_unknown(
    customer: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    """A server that answers nonsense or nothing: the ledger's answer stands as of the last cycle, Outlook's half is unknown, never fine."""
    monkeypatch.setattr(both_sides, "LOOK_SECONDS", 30.0)
    activity = add(customer)
    customer("sync")
    sandbox.faults.add({"operation": "GetItem", "fault": fault})
    answer = explained(customer, activity)
    assert (answer["exchange"]["verdict"], answer["in_step"]) == ("unknown", False)
    assert answer["reasons"][0]["reason"].startswith("what Outlook holds now could not be seen")


@pytest.mark.req("T3")
def test_a_look_has_an_end(customer: CommandLine, sandbox: Sandbox) -> None:
    """A server that hangs is waited for so long and no longer; what is not seen by then is unknown."""
    activity = add(customer)
    customer("sync")
    workspace = Workspace.open(customer.workspace)
    with workspace.database.read() as connection:
        where = Accounts(connection).one(ALICE), Hosts(connection).get("H")
    sandbox.faults.add({"operation": "GetItem", "fault": {"delay_seconds": 3}})
    from ops_lib.sync.ledger import Ledger

    with workspace.database.read() as connection:
        (link,) = Ledger(connection).links(where[0].account_id)
    began = time.monotonic()
    seen = both_sides.look(workspace, where, link, seconds=0.2)
    assert time.monotonic() - began < 2.5
    assert isinstance(seen.error, AnswerLost)
    assert "0.2 seconds" in str(seen.error)
    assert link.activity_id == activity
    workspace.close()
