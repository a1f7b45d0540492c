"""The first notebook: which runbook, and how the workspace stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.runbook import pages, runs
from ops_lib.runbook.session import Opened
from ops_lib.runbook.steps.start_here import Steps
from ops_lib.workspace import Workspace
from tests.reports.conftest import customer
from tests.reports.customer import Customer

__all__ = ["customer"]


@pytest.fixture
def run(tmp_path: Path) -> Steps:
    """The notebook on a workspace that was just made."""
    workspace = Workspace.create(tmp_path / "w")
    workspace.close()
    return Steps("start_here", Opened(workspace))


def _named(shown: object) -> list[str]:
    """The runbooks that are shown, in their order."""
    rows = repr(shown).splitlines()
    return [row.split("[")[1].partition("]")[0] for row in rows if ".ipynb)" in row]


def test_every_runbook_is_there_with_its_symptoms_and_its_link(run: Steps) -> None:
    """Also those that were added since; itself it leaves out."""
    shown = run.runbooks()
    assert _named(shown) == [page.stem for page in pages.pages() if page.stem != "start_here"]
    assert "[report_sync](report_sync.ipynb)" in repr(shown)
    assert "my calendar is wrong" in repr(shown)


@pytest.mark.parametrize(
    ("seen", "first"),
    [
        ("Appointment missing in Outlook!", "report_sync"),
        ("we have a NEW customer", "onboard_host"),
        ("how do I add users", "onboard_users"),
        ("impersonation failed for one of them", "verify_permissions"),
    ],
)
def test_words_of_what_is_seen_choose_the_runbook(run: Steps, seen: str, first: str) -> None:
    """In any order, singular or plural, large or small letters."""
    assert _named(run.runbooks(seen))[0] == first


def test_words_that_no_runbook_knows_show_all(run: Steps) -> None:
    """And say so, instead of nothing."""
    shown = run.runbooks("Kaffeemaschine | kaputt")
    assert repr(shown).startswith("No runbook speaks of that")
    assert len(_named(shown)) == len(pages.pages()) - 1


def test_an_empty_workspace_says_where_to_begin(run: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocked, with the reason; nothing waits, nothing was run."""
    assert "There is no account yet" in repr(run.state())
    assert "Nobody has to sign in" in repr(run.waiting())
    assert "No runbook has been run" in repr(run.runs())
    run.finish(run.outcome())
    assert json.loads(capsys.readouterr().out)["message"] == "there is no account yet"


def test_who_has_to_sign_in_is_named_with_the_command(run: Steps) -> None:
    """A finding, until they did."""
    guid = "11111111-1111-4111-8111-11111111111"
    with run.workspace.database.begin() as connection:
        Directory(connection).add_user("alice@customer.example", "Alice")
        entered = HostInput(auth="oauth-code", access="direct", tenant_id=f"{guid}1", client_id=f"{guid}2")
        Hosts(connection).add("Online", entered)
        Accounts(connection).add("alice@customer.example", host="Online")
    waiting: Any = run.waiting()
    assert waiting["command"].tolist() == ["syncops signin alice@customer.example"]
    assert run.outcome() == "findings"
    assert run.figures()["wait_for_sign_in"] == 1


def test_how_the_accounts_stand_and_how_runs_ended(customer: Customer) -> None:
    """All well is ok; a runbook whose last run did not do its work is a finding, until a later one did."""
    run = Steps("start_here", Opened(customer.workspace))
    state: Any = run.state()
    assert state[["verdict", "status", "accounts"]].to_numpy().tolist() == [
        ["well", "Syncing", 1],
        ["well", "Unattempted", 1],
    ]
    assert run.outcome() == "ok"
    folder = customer.workspace.path / "runs"
    folder.mkdir()
    runs.write(
        folder,
        runs.RunRecord("a", "report_sync", "2026-11-23T06:00:00Z", "blocked", message="no right", step="1. Read"),
    )
    shown: Any = run.runs()
    assert shown.loc[1, ["outcome", "message", "stopped_at"]].tolist() == ["blocked", "no right", "1. Read"]
    assert run.outcome() == "findings"
    runs.write(folder, runs.RunRecord("b", "report_sync", "2026-11-23T07:00:00Z", "findings"))
    assert run.outcome() == "ok"
