"""The report as a page, and its tables as files."""

from __future__ import annotations

import csv
import re
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.model import ActivityStatus
from ops_lib.reports import frames, page
from ops_lib.sync.failures import put_back
from ops_lib.workspace import Workspace
from tests.reports.customer import ALICE, BOB, NOW, SERVICE, Customer, at, usual_week
from tests.support.postgres import Maker


def test_the_page_opens_from_a_file_and_asks_for_nothing(customer: Customer) -> None:
    """One file: no script, no link, no picture, no style from elsewhere; and a policy that forbids them."""
    text = page.render(page.collect(customer.workspace, users=[ALICE]))
    assert not re.search(r"<(script|link|img|iframe)\b", text)
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", text.replace("http://www.w3.org", ""))
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_what_is_wrong_comes_first_with_its_next_step(customer: Customer) -> None:
    """A mailbox that fails stands at the top with status, owner and next step."""
    customer.sandbox.organisation.grant_impersonation(SERVICE, {ALICE})
    customer.cycle()
    report = page.collect(customer.workspace, users=[ALICE])
    text = page.render(report)
    first = text[text.index('id="wrong"') : text.index('id="changes"')]
    assert BOB in first
    assert "Impersonation Failed" in first
    assert "ApplicationImpersonation role" in first
    assert "the customer&#39;s Exchange administrator" in first
    assert report.outcome == "findings"
    assert page.headline(report).startswith("1 of 2 calendars needs somebody")
    changes = report.changes()
    assert changes[["mailbox", "status_before", "status_now"]].values.tolist() == [
        [BOB, "Unattempted", "Impersonation Failed"]
    ]


def test_a_quiet_day_is_said_to_be_one(customer: Customer) -> None:
    """Nothing wrong, nothing changed, nothing failed: each is said, and the outcome is ok."""
    customer.cycle()
    report = page.collect(customer.workspace, users=[ALICE])
    text = page.render(report)
    assert report.outcome == "ok"
    assert "Nothing. Every calendar that is enabled is kept in step." in text
    assert "Nothing: both sides were as agreed" in text
    assert page.headline(report) == "All 2 calendars are well; 5 entries kept in step."


def test_the_report_is_the_same_on_postgresql(
    tmp_path: Path, sandbox: Any, postgres_databases: Maker, customer: Customer
) -> None:
    """Another database, the same tables and the same page."""
    ours = page.collect(customer.workspace, users=[ALICE])
    sandbox.reset()
    (tmp_path / "other").mkdir()
    other = usual_week(tmp_path / "other", sandbox, postgres_databases.make())
    theirs = page.collect(other.workspace, users=[ALICE])
    other.workspace.close()
    pd.testing.assert_frame_equal(theirs.counts, ours.counts)
    pd.testing.assert_frame_equal(theirs.accounts, ours.accounts)
    pd.testing.assert_frame_equal(theirs.weeks[0].entries, ours.weeks[0].entries)
    assert page.headline(theirs) == page.headline(ours)


def test_a_week_that_parts_is_a_finding(customer: Customer) -> None:
    """One entry missing on the other side is enough, and it is named above the drawing."""
    customer.event("Just booked", at(23, 13))
    report = page.collect(customer.workspace, users=[ALICE])
    assert report.outcome == "findings"
    assert "<strong>Just booked</strong> (exchange only): no cycle has brought it into the CRM yet" in page.render(
        report
    )


def test_a_mailbox_that_could_not_be_read_is_said_and_is_no_ok(customer: Customer) -> None:
    """What could not be seen is unknown, never ok."""
    customer.sandbox.organisation.grant_impersonation(SERVICE, {BOB})
    report = page.collect(customer.workspace, users=[ALICE])
    assert report.outcome == "findings"
    assert "was not compared, because Outlook was not read" in page.headline(report)
    assert "Outlook was not read:" in page.render(report)


def test_without_accounts_the_report_is_blocked(tmp_path: Path) -> None:
    """An empty workspace has a page that says what comes first."""
    workspace = Workspace.create(tmp_path / "empty")
    report = page.collect(workspace)
    assert report.outcome == "blocked"
    assert page.busiest_user(workspace) == ""
    assert "syncops account add" in page.render(report)
    workspace.close()


def test_a_conflict_shows_what_gave_way(customer: Customer) -> None:
    """Both sides edited: the version that lost is in the page, not only in the record."""
    activity = customer.activity("Family visit", at(25, 9))
    customer.cycle()
    customer.update(activity, description="Family visit (CRM)")
    customer.sandbox.organisation.update_item(customer.item("Family visit"), {"item:Subject": "Family visit (Outlook)"})
    customer.cycle()
    text = page.render(page.collect(customer.workspace))
    conflicts = text[text.index('id="conflicts"') :]
    assert "Family visit (CRM)" in conflicts
    assert "Family visit (Outlook)" in conflicts


@pytest.mark.req("O8")
def test_text_from_either_side_cannot_become_markup(customer: Customer) -> None:
    """A subject that is a script is shown as text, in tables and in the drawing."""
    customer.event("<script>alert(1)</script>", at(24, 9, 180))
    customer.activity("<b>bold</b> & co", at(24, 13), status=ActivityStatus.COMPLETED)
    customer.cycle()
    text = page.render(page.collect(customer.workspace, users=[ALICE]))
    assert "<script" not in text
    assert "<b>bold" not in text
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; co" in text


def test_the_page_stays_small_however_much_failed(customer: Customer) -> None:
    """Five thousand failures make a page under 2 MB that says how many it leaves to the tables."""
    report = page.collect(customer.workspace, users=[ALICE])
    one = report.items.iloc[[0]].assign(outcome="failed")
    many = pd.concat([one] * 5000).assign(key=[f"activity:{number}" for number in range(5000)], title="A tour " * 12)
    text = page.render(replace(report, items=many))
    assert len(text.encode()) < 2_000_000
    assert "and 4900 more in tables/run_items.csv" in text


def test_tables_are_written_twice_and_for_their_owner_alone(customer: Customer, tmp_path: Path) -> None:
    """Parquet and CSV of each, with types kept, a notice, and no right for anybody else."""
    report = page.collect(customer.workspace, users=[ALICE])
    written = page.write(report, tmp_path / "report")
    files = {file.name: file for file in (tmp_path / "report" / "tables").iterdir()}
    assert {
        f"{name}.{kind}"
        for name in ("accounts", "run_items", "attempts", "findings", "links", "counts", "week")
        for kind in ("csv", "parquet")
    } <= set(files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in (*files.values(), written))
    again = pd.read_parquet(files["run_items.parquet"])
    pd.testing.assert_frame_equal(again, report.items, check_dtype=False)
    assert "people's names" in files["PRIVATE.txt"].read_text()


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\ufeff=1", "\u200b@x", "＝1+1"]
)
def test_no_cell_becomes_a_formula(text: str, tmp_path: Path) -> None:
    """A text that a spreadsheet would calculate has an apostrophe before it in the CSV, and is itself in the Parquet."""
    frames.write_tables({"t": pd.DataFrame({"title": [text], "n": [-1]})}, tmp_path)
    read = pd.read_csv(tmp_path / "t.csv", dtype=str, keep_default_na=False)
    assert read.loc[0].tolist() == ["'" + text, "-1"]
    assert pd.read_parquet(tmp_path / "t.parquet").loc[0, "title"] == text


@pytest.mark.parametrize("text", ["Jörg 🏠 'x', \"y\"", "two\nlines", "half\r=1+1", "a;b,c", ""])
def test_a_cell_stays_one_cell(text: str, tmp_path: Path) -> None:
    """Unicode, quotes, separators and every kind of line break stay within their cell, whoever reads the file."""
    frames.write_tables({"t": pd.DataFrame({"title": [text], "n": [1]})}, tmp_path)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["title", "n"], [text, "1"]]


def test_the_busiest_user_is_the_one_with_most_in_that_week(customer: Customer) -> None:
    """Whose week is drawn by itself: the one with most in step then; by name where nobody has anything."""
    assert page.busiest_user(customer.workspace, NOW.date()) == ALICE


@pytest.mark.req("T3")
def test_what_was_set_aside_stays_in_the_report(customer: Customer) -> None:
    """An entry that was set aside weeks ago is still named, with what the server said, until it is done."""
    customer.activity("Refused tour", at(24, 10))
    customer.sandbox.faults.add(
        {
            "operation": "CreateItem",
            "mailbox": "*",
            "every": 1,
            "fault": {"response_code": "ErrorPropertyValidationFailure"},
        }
    )
    for _ in range(4):
        customer.cycle()
        customer.now += timedelta(hours=1)
    customer.now += timedelta(days=20)
    report = page.collect(customer.workspace, users=[ALICE])
    assert report.failed["title"].tolist() == ["Refused tour"]
    assert report.outcome == "findings"
    assert "ErrorPropertyValidationFailure" in page.render(report)
    customer.sandbox.faults.clear()
    with customer.workspace.database.begin() as connection:
        put_back(connection, Accounts(connection).accounts(), customer.now, None)
    customer.cycle()
    assert page.collect(customer.workspace, users=[ALICE]).failed.empty
