"""The workspace's records as tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import update

from ops_lib.database import tables as t
from ops_lib.reports import frames
from ops_lib.sync.ledger import Ledger, Status
from ops_lib.workspace import Workspace
from tests.reports.customer import ALICE, BOB, NOW, PRIVATE, Customer, at

READERS = {
    "accounts": (frames.accounts, frames.ACCOUNTS),
    "runs": (frames.runs, frames.RUNS),
    "run_accounts": (frames.run_accounts, frames.RUN_ACCOUNTS),
    "run_items": (frames.run_items, frames.RUN_ITEMS),
    "attempts": (frames.attempts, frames.ATTEMPTS),
    "findings": (frames.findings, frames.FINDINGS),
    "links": (frames.links, frames.LINKS),
    "counts": (frames.counts, frames.COUNTS),
}


@pytest.mark.parametrize("name", READERS)
def test_an_empty_workspace_gives_every_column_in_its_type(tmp_path: Path, name: str) -> None:
    """A table without rows has the same columns and types as one with rows."""
    read, columns = READERS[name]
    workspace = Workspace.create(tmp_path / "empty")
    table = read(workspace)
    workspace.close()
    assert {column: str(kind) for column, kind in table.dtypes.items()} == columns
    assert table.empty


@pytest.mark.parametrize("name", READERS)
def test_a_full_workspace_gives_the_same_columns_and_types(customer: Customer, name: str) -> None:
    """A table with rows keeps what its docstring says."""
    read, columns = READERS[name]
    table = read(customer.workspace)
    assert {column: str(kind) for column, kind in table.dtypes.items()} == columns
    assert len(table)


def test_accounts_have_a_row_for_calendar_and_email(customer: Customer) -> None:
    """One row an account and process: what is enabled is Syncing or waits, what is off says so."""
    table = frames.accounts(customer.workspace).set_index(["mailbox", "process"])
    assert table.loc[(ALICE, "calendar"), "status"] == "Syncing"
    assert table.loc[(BOB, "calendar"), "status"] == "Unattempted"
    assert table.loc[(ALICE, "email"), ["status", "verdict"]].tolist() == ["Not Enabled", "off"]
    assert table.loc[(ALICE, "calendar"), ["host", "community"]].tolist() == ["company", "Elm Court"]


@pytest.mark.parametrize(
    ("status", "attempts", "hours_ago", "verdict"),
    [
        ("Impersonation Failed", 4, 5, "wrong"),
        ("Syncing", 2, 0.5, "failing"),
        ("Unattempted", 1, None, "failing"),
        ("Syncing", 0, 2, "late"),
        ("Syncing", 0, 0.7, "well"),
        ("Unattempted", 0, None, "not yet"),
    ],
)
def test_a_verdict_says_how_an_account_stands(
    customer: Customer, status: str, attempts: int, hours_ago: float | None, verdict: str
) -> None:
    """A status that is a fault, one that is about to become one, and one that is stale are told apart."""
    last = None if hours_ago is None else NOW - timedelta(hours=hours_ago)
    with customer.workspace.database.begin() as connection:
        kept = Status(
            account_id="2", process="calendar", status=status, since=NOW, last_success=last, attempts=attempts
        )
        Ledger(connection).set_status(kept)
    table = frames.accounts(customer.workspace)
    assert table.set_index(["mailbox", "process"]).loc[(BOB, "calendar"), "verdict"] == verdict
    assert table["verdict"].map(frames.VERDICTS.index).is_monotonic_increasing


def test_a_switched_off_account_is_off_whatever_its_last_status_was(customer: Customer) -> None:
    """A fault of an account that was disabled since needs nobody."""
    with customer.workspace.database.begin() as connection:
        Ledger(connection).set_status(
            Status(account_id="2", process="calendar", status="Unauthorized", since=NOW, sub_cause="wrong password")
        )
        connection.execute(update(t.accounts).where(t.accounts.c.mailbox == BOB).values(calendar=False))
    row = frames.accounts(customer.workspace).set_index(["mailbox", "process"]).loc[(BOB, "calendar")]
    assert (row["verdict"], row["status"], row["sub_cause"]) == ("off", "Not Enabled", "")


def test_counts_add_up_to_the_ledger(customer: Customer) -> None:
    """The sums by host, community, status and direction are the links and the run's own counts, nothing twice."""
    counts = frames.counts(customer.workspace)
    links = frames.links(customer.workspace)
    assert counts["in_step"].sum() == len(links)
    by_direction = counts.groupby("direction")["created"].sum()
    run = frames.run_accounts(customer.workspace)
    assert by_direction["crm_to_exchange"] == run["created_exchange"].sum() == 2
    assert by_direction["exchange_to_crm"] == run["created_crm"].sum() == 3
    assert counts["skipped"].sum() == run["skipped"].sum() == 2
    assert counts.groupby("direction")["accounts"].sum().tolist() == [2, 2]


def test_an_entry_that_is_skipped_again_and_again_counts_once(customer: Customer) -> None:
    """What was left out in three runs is one entry that is left out; what was done since is not left out any more."""
    backwards = next(
        row for row in frames.run_items(customer.workspace).to_dict("records") if row["title"] == "Backwards"
    )
    items = pd.DataFrame([{**backwards, "run": 3}, {**backwards, "run": 2}])
    assert len(frames.latest_items(items, "skipped")) == 1
    done_since = pd.DataFrame([{**backwards, "run": 3, "outcome": "done"}, backwards])
    assert frames.latest_items(done_since, "skipped").empty


def test_reasons_are_grouped_the_most_frequent_first(customer: Customer) -> None:
    """Each reason is said once, with how many entries it concerns and one of them."""
    customer.activity("Call the Petersons", at(24, 9, 15), "Call Out")
    customer.cycle()
    table = frames.reasons(frames.latest_items(frames.run_items(customer.workspace), "skipped"))
    assert table["entries"].tolist() == [2, 1]
    assert "'Call Out' is not among the types" in table.loc[0, "reason"]
    assert ALICE in table.loc[0, "example"]


@pytest.mark.req("T3")
def test_attempts_and_findings_name_their_evidence(customer: Customer) -> None:
    """A cycle that the server failed: its tries are rows with code and request id, and the account's trouble is a finding with who must act."""
    customer.sandbox.faults.add(
        {"operation": "SyncFolderItems", "mailbox": ALICE, "fault": {"response_code": "ErrorImpersonateUserDenied"}}
    )
    customer.cycle()
    customer.sandbox.faults.clear()
    attempts = frames.attempts(customer.workspace)
    refused = attempts[attempts["error"] != ""].iloc[0]
    assert refused[["mailbox", "operation", "number", "response_code"]].tolist() == [
        ALICE, "SyncFolderItems", 1, "ErrorImpersonateUserDenied",
    ]  # fmt: skip
    assert refused["request_id"]
    findings = frames.findings(customer.workspace)
    told = findings[(findings["mailbox"] == ALICE) & (findings["check"] == "status")].iloc[0]
    assert told["verdict"] == "fail"
    assert told["owner"]
    assert told["next_step"]
    assert "ErrorImpersonateUserDenied" in told["observed"] + told["evidence"]


def test_no_two_tables_disagree_on_a_column(customer: Customer) -> None:
    """A column of one name has one type in every table, so that tables can be joined."""
    kinds: dict[str, set[str]] = {}
    for _, columns in READERS.values():
        for column, kind in columns.items():
            kinds.setdefault(column, set()).add(kind.lower())
    assert {column: kind for column, kind in kinds.items() if len(kind) > 1} == {}


def test_each_column_is_documented() -> None:
    """`docs/frames.md` says of each table what a row is, and of each column its type and what it means."""
    text = (Path(__file__).parents[2] / "docs" / "frames.md").read_text(encoding="utf-8")
    for name, (_, columns) in READERS.items():
        section = text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
        documented = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", section, re.MULTILINE))
        assert documented == dict(columns), name
        assert section.lstrip().startswith("A row is ")


def test_only_what_happened_since_is_counted(customer: Customer) -> None:
    """Runs before the given moment are left out of runs, items and counts; what is in step now is not."""
    later = NOW + timedelta(days=8)
    assert frames.runs(customer.workspace, later).empty
    assert frames.run_items(customer.workspace, later).empty
    counts = frames.counts(customer.workspace, later)
    assert (counts["created"].sum(), counts["in_step"].sum()) == (0, 5)


@pytest.mark.req("O7")
def test_no_table_shows_what_a_private_event_is_about(customer: Customer) -> None:
    """A private event is busy time in every table, too."""
    for read, _ in READERS.values():
        assert PRIVATE not in read(customer.workspace).to_csv()


def test_instants_are_in_utc(customer: Customer) -> None:
    """Every instant of a table is aware and in UTC."""
    started = frames.runs(customer.workspace).loc[0, "started_at"]
    assert started == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert str(started.tz) == "UTC"
