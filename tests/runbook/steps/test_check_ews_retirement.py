"""The steps of the retirement's notebook, on workspaces whose hosts are of every kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.errors import InputError
from ops_lib.runbook.session import Opened
from ops_lib.runbook.steps.check_ews_retirement import Steps
from ops_lib.sync.records import Records, Status
from ops_lib.workspace import Workspace

STEM, NOW = "check_ews_retirement", datetime(2026, 11, 23, 9, tzinfo=UTC)
GUID = "6d0f2f6e-6b0c-4b0e-9a53-1f3f0a3c8f11"
TENANT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace at a fixed moment."""
    with closing(Workspace.create(tmp_path / "workspace")) as made:
        made.clock = lambda: NOW
        yield made


def online(workspace: Workspace) -> None:
    """A host in Exchange Online with two accounts."""
    secret = workspace.path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("x7Q~abcdefghijklmnopqrstuvwxyz0123456789")
    with workspace.database.begin() as connection:
        directory = Directory(connection)
        directory.add_community("Elm Court", time_zone="America/New_York")
        for email in (ALICE, BOB):
            directory.add_user(email, email.split("@")[0].title(), community_names=["Elm Court"])
        Hosts(connection).add(
            "online", HostInput(auth="oauth-app", tenant_id=TENANT, client_id=GUID, secret=f"file:{secret}")
        )
        for email in (ALICE, BOB):
            Accounts(connection).add(email)


def own_server(workspace: Workspace) -> None:
    """A host of one's own, in support."""
    with workspace.database.begin() as connection:
        entered = HostInput(
            url="https://mail.example.test/EWS/Exchange.asmx", auth="ntlm", access="direct", version="SE"
        )
        Hosts(connection).add("own", entered)


def table(shown: object) -> pd.DataFrame:
    assert isinstance(shown, pd.DataFrame)
    return shown


@pytest.mark.req("R7", "G1")
def test_accounts_in_exchange_online_have_until_april(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Hosts, accounts, days and commands with the host's own client id; a server of one's own is left out of what stops."""
    online(workspace)
    own_server(workspace)
    run = Steps(STEM, Opened(workspace))
    assert "1 of 2 hosts loses EWS in 129 days, on 2027-04-01" in run.read().text
    assert list(table(run.accounts())["mailbox"]) == [ALICE, BOB]
    assert set(table(run.accounts())["works_until"]) == {"any day, since 2026-10-01"}
    assert table(run.hosts()).iloc[-1]["host"] == "own"
    assert GUID in run.commands().text
    assert "in 129 days" in run.dates().to_csv()
    run.finish(run.outcome())
    assert json.loads(capsys.readouterr().out) == {
        "runbook": STEM,
        "outcome": "findings",
        "hosts": 2,
        "hosts_that_lose_ews": 1,
        "accounts_that_lose_ews": 2,
        "refused_now": 0,
        "days_left": 129,
    }


@pytest.mark.req("R7")
def test_as_of_a_later_day_it_is_over(workspace: Workspace) -> None:
    """From 1 April 2027 the first row says so, and no command brings it back."""
    online(workspace)
    run = Steps(STEM, Opened(workspace))
    assert "lost EWS on 2027-04-01" in run.read(day="2027-04-01").text
    assert table(run.hosts()).iloc[0]["verdict"] == "over"
    assert "No command brings EWS back" in run.commands().text


@pytest.mark.req("G1")
def test_who_is_refused_already_comes_first(workspace: Workspace) -> None:
    """An account whose server said that EWS is disabled is refused now, with that cause instead of a general 403."""
    online(workspace)
    with workspace.database.begin() as connection:
        account = Accounts(connection).one(BOB)
        refused = Status(
            account_id=account.account_id, process="calendar", status="Denied Access (Forbidden)", since=NOW, attempts=1,
            response_code="HTTP 403", sub_cause="EWS is closed to us: EWS is disabled for this user or tenant",
            evidence="AccessRefused, HTTP 403 in SyncFolderItems",
        )  # fmt: skip
        Records(connection).set_status(refused)
    run = Steps(STEM, Opened(workspace))
    assert "1 account is refused already" in run.read().text
    first = table(run.accounts()).iloc[0]
    assert (first["mailbox"], first["works_until"]) == (BOB, "refused now")
    assert "EWS is disabled" in first["why"]


def test_a_server_of_ones_own_alone_is_well(workspace: Workspace) -> None:
    """Nobody stops, no command is needed, and the outcome is ok."""
    own_server(workspace)
    run = Steps(STEM, Opened(workspace))
    assert "None of 1 host loses EWS" in run.read().text
    assert "Nobody" in str(run.accounts())
    assert "No command is needed" in run.commands().text
    assert run.outcome() == "ok"


def test_without_a_host_it_is_blocked(workspace: Workspace) -> None:
    """It leads on to the onboarding, and says why; a day that is none is named; cells out of order get the right order."""
    run = Steps(STEM, Opened(workspace))
    with pytest.raises(InputError, match=r"run\.read"):
        run.hosts()
    with pytest.raises(InputError, match="day"):
        run.read(day="April 2027")
    run.read()
    assert "onboard_host" in str(run.hosts())
    assert (run.outcome(), run.figures()["message"]) == ("blocked", "there is no host yet")
