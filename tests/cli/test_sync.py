"""`syncops sync | status | check | explain` as an outside program calls them, against the sandbox over HTTPS."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select, update

from ops_lib.database import tables as t
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, BOB, SERVICE

WORDS = (
    "--auth",
    "basic",
    "--access",
    "impersonation",
    "--service-user",
    SERVICE,
    "--password-env",
    "SANDBOX_PASSWORD",
    "--version",
    "2016",
)


@pytest.fixture
def customer(run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A host on the sandbox, alice and bob, and one tour."""
    monkeypatch.setenv("SANDBOX_PASSWORD", sandbox.passwords[SERVICE])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")  # the host's own bundle wins
    run("community", "add", "Elm Court")
    for email in (ALICE, BOB):
        run("user", "add", "--email", email, "--name", email.partition("@")[0], "--community", "Elm Court")
    ca_file = str(sandbox.document()["ca_file"])
    run(
        "host",
        "add",
        "H",
        "--url",
        sandbox.ews_url_https,
        "--ca-bundle",
        ca_file,
        *WORDS,
        "--community",
        "all",
        "--types",
        "Tour,Home Visit",
        "--inbound-type",
        "Appointment",
    )
    for email in (ALICE, BOB):
        run("account", "add", "--host", "H", "--user", email)
    tour(run)
    return run


def tour(run: CommandLine, description: str = "Tour", **more: str) -> str:
    options = {"--start": "2026-11-24T10:00:00Z", "--end": "2026-11-24T11:00:00Z", "--type": "Tour"} | more
    words = [word for pair in options.items() for word in pair]
    return str(run("activity", "add", "--user", ALICE, "--description", description, *words).json["id"])


@pytest.mark.req("C1", "Y1", "Y7")
def test_dry_run_then_sync_then_nothing(customer: CommandLine) -> None:
    """The dry run's JSON says what will happen and why; the cycle does it; the next one has nothing to do. Exit code 0 each."""
    plan = customer("sync", "--dry-run", "--json").json
    changes = {each["account"]: each["changes"] for each in plan["accounts"]}
    assert changes[BOB] == []
    (change,) = changes[ALICE]
    assert (change["action"], change["side"], change["kind"], change["reason"], change["before"]) == (
        "create",
        "exchange",
        "event",
        "new in the CRM",
        None,
    )
    assert (change["after"]["description"], change["after"]["start"]) == ("Tour", "2026-11-24T10:00:00Z")
    ran = customer("sync", "--json").json
    assert ran["run"] == 1
    first = {each["account"]: each for each in ran["accounts"]}[ALICE]
    assert set(first) == {
        "account",
        "outcome",
        "created",
        "updated",
        "deleted",
        "skipped",
        "failed",
        "requests",
        "seconds",
    }
    assert (first["outcome"], first["created"]) == ("ok", {"crm": 0, "exchange": 1})
    again = customer("sync", "--json", "--account", ALICE).json["accounts"]
    assert [each["account"] for each in again] == [ALICE]
    assert again[0]["created"] == again[0]["updated"] == again[0]["deleted"] == {"crm": 0, "exchange": 0}


@pytest.mark.req("O6")
def test_a_zone_that_had_to_be_guessed_is_said_where_the_cycle_is_shown(customer: CommandLine) -> None:
    """A user's zone that nobody knows, and the one that Exchange has no name for: beside the result, in its JSON, in the run's record, once each; the cycle
    is well all the same, and says nothing of the other account."""
    workspace = Workspace.open(customer.workspace)
    with workspace.database.begin() as connection:
        connection.execute(update(t.users).where(t.users.c.email == ALICE).values(time_zone="Mars/Olympus"))
    guessed = "nobody knows the user's time zone 'Mars/Olympus': their days are taken to be those of UTC"
    in_utc = "Exchange has no name for the time zone 'Mars/Olympus': events are made in UTC."
    first = {each["account"]: each for each in customer("sync", "--json").json["accounts"]}
    assert (first[ALICE]["outcome"], first[ALICE]["notes"]) == ("ok", [guessed, in_utc])
    assert "notes" not in first[BOB]
    shown = customer("sync").stderr
    assert f"{ALICE}: {guessed}" in " ".join(shown.split())
    assert in_utc not in shown  # nothing was made
    with workspace.database.read() as connection:
        rows = connection.execute(select(t.run_accounts.c.outcome, t.run_accounts.c.message)).all()
    workspace.close()
    assert sorted(rows) == [("ok", ""), ("ok", ""), ("ok", guessed), ("ok", f"{guessed}; {in_utc}")]


@pytest.mark.req("T1")
def test_status_has_a_row_for_each_process(customer: CommandLine) -> None:
    """Unattempted before, Syncing and Unattempted after the first cycle, Not Enabled for email; the keys are the contract's."""
    before = customer("status", "--json").json
    assert {(row["account"], row["process"]): row["status"] for row in before}[ALICE, "calendar"] == "Unattempted"
    customer("sync")
    rows = customer("status", "--json").json
    assert set(rows[0]) == {
        "account",
        "host",
        "process",
        "status",
        "sub_cause",
        "since",
        "last_success",
        "owner",
        "next_step",
        "failures",
    }
    found = {(row["account"], row["process"]): row for row in rows}
    assert found[ALICE, "calendar"]["status"] == "Syncing"
    assert found[BOB, "calendar"]["status"] == "Unattempted"
    assert found[ALICE, "email"]["status"] == "Not Enabled"
    assert found[ALICE, "calendar"]["last_success"] == "2026-11-23T09:00:00Z"


def test_a_failing_host_is_exit_code_1_with_reason(
    customer: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password fails both accounts with one sign-in; the reason is on stderr, the code in the JSON, the status says it."""
    monkeypatch.setenv("SANDBOX_PASSWORD", "wrong")
    sandbox.requests.clear()
    answer = customer("sync", "--json", "--threads", "1", exit_code=1)
    assert [each["outcome"] for each in answer.json["accounts"]] == ["failed", "failed"]
    assert answer.stderr.count("To mend it") == 2
    assert "wrong" not in answer.stdout + answer.stderr.replace("wrong password", "").replace("password is wrong", "")
    assert sandbox.requests.total() == 1
    assert {row["status"] for row in customer("status", "--json").json if row["process"] == "calendar"} == {
        "Unauthorized"
    }


def test_without_accounts_nothing_can_start(run: CommandLine) -> None:
    """No account, an unknown one, a missing secret: exit code 2 or 1, one line, and what to do."""
    answer = run("sync", exit_code=2)
    assert answer.stderr.startswith("error: there are no accounts")
    assert run("sync", "--account", "nobody@example.test", exit_code=2).stderr.startswith(
        "error: there is no account nobody@example.test"
    )
    assert run("status", "--json").json == []


def test_check_compares_both_sides(customer: CommandLine, sandbox: Sandbox) -> None:
    """After a cycle every pair is equal; an edit since is `waiting`, not a fault; the exit code stays 0."""
    customer("sync")
    found = {each["account"]: each for each in customer("check", "--json").json}
    assert (found[ALICE]["links"], found[ALICE]["equal"], found[ALICE]["remarks"]) == (1, 1, [])
    organisation = sandbox.organisation
    (item,) = organisation.mailbox(ALICE).folder("calendar").items.values()
    organisation.update_item(item, {"item:Subject": "Tour, edited"})
    (remark,) = {each["account"]: each for each in customer("check", "--json").json}[ALICE]["remarks"]
    assert (remark["verdict"], remark["reason"]) == ("waiting", "description changed since the last cycle")


@pytest.mark.req("T4")
def test_explain_answers_why_it_is_not_there(customer: CommandLine) -> None:
    """Not sent yet, wrong type, start not before end, all-day without tasks, cancelled, no account: each in words, with the mend."""

    def reasons(activity: str) -> list[str]:
        return [each["reason"] for each in customer("explain", activity, "--json", exit_code=1).json["reasons"]]

    waiting = tour(customer, "Later")
    assert reasons(waiting)[0].startswith("it is not sent yet")
    customer("sync")
    explained = customer("explain", waiting, "--json").json
    assert explained["in_step"]
    assert [each["action"] for each in explained["history"]] == ["create"]
    assert "not among the types" in reasons(tour(customer, "Call", **{"--type": "Call Out"}))[0]
    backwards = tour(customer, "Backwards", **{"--start": "2026-11-24T12:00:00Z"})
    assert reasons(backwards) == ["its start is not before its end"]
    customer("activity", "cancel", waiting)
    assert "Cancelled" in reasons(waiting)[0]
    assert json.loads(customer("explain", "99999", exit_code=2).stdout or "null") is None


@pytest.mark.req("T2", "T3", "T4")
def test_what_fails_is_shown_and_tried_again_on_demand(
    customer: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One activity that the server refuses: the others go on; status and explain show code, time and message; retry puts it back."""
    poison = customer("activity", "list", "--json").json[0]["id"]
    sandbox.faults.add(
        {
            "operation": "CreateItem",
            "mailbox": "*",
            "every": 1,
            "fault": {"response_code": "ErrorPropertyValidationFailure"},
        }
    )
    for time in ("09:00", "09:01", "09:20", "10:30"):
        monkeypatch.setenv("SYNCOPS_NOW", f"2026-11-23T{time}:00Z")
        (result,) = customer("sync", "--json", "--account", ALICE).json["accounts"]
        assert (result["outcome"], result["failed"]) == ("ok", 1)
    (row,) = [r for r in customer("status", "--json", "--account", ALICE).json if r["process"] == "calendar"]
    (failure,) = row["failures"]
    assert (failure["key"], failure["attempts"], failure["set_aside"], failure["failed_at"], failure["next_at"]) == (
        f"activity:{poison}",
        4,
        True,
        "2026-11-23T10:30:00Z",
        None,
    )
    assert (failure["description"], failure["response_code"]) == ("Tour", "ErrorPropertyValidationFailure")
    assert "4, set aside" in customer("status").stdout
    (reason,) = customer("explain", poison, "--json", exit_code=1).json["reasons"]
    assert "ErrorPropertyValidationFailure" in reason["reason"]
    assert f"syncops retry activity:{poison}" in reason["next_step"]
    sandbox.faults.clear()
    assert customer("sync", "--json", "--account", ALICE).json["accounts"][0]["created"]["exchange"] == 0
    assert "name keys" in customer("retry", exit_code=2).stderr
    assert f"activity:{poison}" in customer("retry", "item:unknown", exit_code=2).stderr
    (retried,) = customer("retry", poison, "--json").json["retried"]
    assert (retried["account"], retried["key"]) == (ALICE, f"activity:{poison}")
    assert customer("sync", "--json", "--account", ALICE).json["accounts"][0]["created"]["exchange"] == 1
    assert "Nothing waits" in customer("retry", "--all").stdout
    assert [r["failures"] for r in customer("status", "--json").json] == [[]] * 4


@pytest.mark.req("Y3")
def test_explain_shows_what_a_conflict_set_aside(customer: CommandLine, sandbox: Sandbox) -> None:
    """Both sides edited the title: the losing version is in the history, for people and as JSON."""
    customer("sync")
    (activity,) = customer("activity", "list", "--json").json
    customer("activity", "edit", activity["id"], "--description", "by the CRM")
    (item,) = sandbox.organisation.mailbox(ALICE).folder("calendar").items.values()
    sandbox.organisation.update_item(item, {"item:Subject": "by the user"})
    customer("sync")
    history = customer("explain", activity["id"], "--json").json["history"]
    (loser,) = [each["loser"] for each in history if each["loser"]]
    (after,) = customer("activity", "list", "--json").json
    assert {loser["description"], after["description"]} == {"by the CRM", "by the user"}
    assert f"Set aside: '{loser['description']}'" in " ".join(customer("explain", activity["id"]).stdout.split())
