"""The report as one HTML file: what is wrong first, then what changed, the numbers, a week drawn, and what was left out and why.

It opens from a file, asks for nothing over the network, prints, and reads in the light and in the dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import pandas as pd
from markupsafe import Markup

from ops_lib import __version__
from ops_lib.reports import charts, frames
from ops_lib.reports.drawing import css_variables
from ops_lib.reports.week import MailboxFactory, Week, read_week
from ops_lib.reports.words import counted, day_words
from ops_lib.sync.failures import oldest_failure
from ops_lib.workspace import Workspace

ROWS_SHOWN = 100
"""So many rows of a long table are on the page; the rest is in the tables beside it."""


@dataclass(frozen=True)
class SyncReport:
    """Everything the report says, read once. ``outcome``: ok, findings, or blocked where nothing could be judged.

    ``failed_before`` are entries whose last word, before the days of the report, was that they failed: what was set aside.
    """

    now: datetime
    zone: ZoneInfo
    days: int
    accounts: pd.DataFrame
    runs: pd.DataFrame
    run_accounts: pd.DataFrame
    items: pd.DataFrame
    failed_before: pd.DataFrame
    attempts: pd.DataFrame
    findings: pd.DataFrame
    links: pd.DataFrame
    counts: pd.DataFrame
    weeks: tuple[Week, ...]

    @property
    def wrong(self) -> pd.DataFrame:
        """The accounts that need somebody, worst first."""
        return self.accounts[self.accounts["verdict"].isin(frames.NEEDS_SOMEBODY)]

    @property
    def skipped(self) -> pd.DataFrame:
        """The entries that are left out, each with its reason."""
        return frames.latest_items(self.items, "skipped")

    @property
    def failed(self) -> pd.DataFrame:
        """The entries that could not be written or read, newest first."""
        recent = frames.latest_items(self.items, "failed")
        return pd.concat([recent, self.failed_before]) if len(self.failed_before) else recent

    @property
    def conflicts(self) -> pd.DataFrame:
        """The entries that both sides had changed: which version gave way."""
        return self.items[self.items["loser"] != ""]

    @property
    def outcome(self) -> str:
        if self.accounts.empty:
            return "blocked"
        parted = any(week.parted or week.unread for week in self.weeks)
        return "findings" if len(self.wrong) or len(self.failed) or parted else "ok"

    def changes(self) -> pd.DataFrame:
        """What the last run did and how it differs from the one before: one row an account that changed anything, or whose status did.

        Columns: mailbox, host, status_before, status_now, then what was created, updated and deleted on either side, failed, message.
        """
        columns = dict.fromkeys(("mailbox", "host", "status_before", "status_now"), "str")
        columns |= frames.WRITTEN | {"failed": "int64", "message": "str"}
        runs = sorted(self.run_accounts["run"].unique(), reverse=True)
        if not runs:
            return frames.empty(columns)
        last = self.run_accounts[self.run_accounts["run"] == runs[0]]
        rows = []
        for row in last.to_dict("records"):
            same = (self.run_accounts["mailbox"] == row["mailbox"]) & (self.run_accounts["host"] == row["host"])
            earlier = self.run_accounts[same & (self.run_accounts["run"] < runs[0])]
            before = str(earlier.iloc[0]["status"]) if len(earlier) else ""
            written = sum(row[name] for name in frames.WRITTEN)
            if before != row["status"] or written or row["failed"]:
                rows.append({**row, "status_before": before or "(first run)", "status_now": row["status"]})
        return frames.frame(rows, columns)


def collect(
    workspace: Workspace,
    *,
    users: Sequence[str] = (),
    day: date | None = None,
    days: int = 7,
    mailboxes: MailboxFactory | None = None,
) -> SyncReport:
    """Read everything the report says: the records of the last ``days`` days, and the week that holds ``day`` of these users.

    **Raises** `NotThere` for a user nobody knows. A mailbox that cannot be read is said in its week.
    """
    now = workspace.now()
    since = now - timedelta(days=days)
    return SyncReport(
        now=now,
        zone=workspace.zone(),
        days=days,
        accounts=frames.accounts(workspace),
        runs=frames.runs(workspace, since),
        run_accounts=frames.run_accounts(workspace, since),
        items=frames.run_items(workspace, since),
        failed_before=_failed_before(workspace, since),
        attempts=frames.attempts(workspace, since),
        findings=frames.findings(workspace),
        links=frames.links(workspace),
        counts=frames.counts(workspace, since),
        weeks=tuple(read_week(workspace, user, day, mailboxes=mailboxes) for user in users),
    )


def _failed_before(workspace: Workspace, since: datetime) -> pd.DataFrame:
    """The entries whose last word is that they failed, longer ago than ``since``."""
    with workspace.database.read() as connection:
        oldest = oldest_failure(connection)
    failed = frames.latest_items(frames.run_items(workspace, since if oldest is None else min(since, oldest)), "failed")
    return failed[failed["at"] < since]


def busiest_user(workspace: Workspace, day: date | None = None) -> str:
    """The user with the most entries in step in the week of ``day`` (today unless given): whose week says most. Empty without an account."""
    people = frames.accounts(workspace)
    calendars = people[(people["process"] == "calendar") & (people["verdict"] != "off")]
    day = day or workspace.now().date()
    monday = day - timedelta(days=day.weekday())
    busy = frames.links_per_mailbox(workspace, monday, monday + timedelta(days=7))
    ranked = sorted(calendars.to_dict("records"), key=lambda row: (-busy.get(row["mailbox"], 0), row["user"]))
    return str(ranked[0]["user"]) if ranked else ""


def render(report: SyncReport) -> str:
    """The page. Text from either side is escaped; nothing in it is taken from the network."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ops_lib.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = lambda value: _moment(value, report.zone)
    weeks = [
        {
            "week": week,
            "drawing": Markup(charts.draw_week(week).inline(f"week{place}")),  # noqa: S704  our own SVG; its texts were escaped by the renderer
            "title": f"{week.user.name}: {day_words(week.first_day)} to {day_words(week.first_day + timedelta(days=6))}",
            "together": counted(week.together, "entry", "entries"),
            "parted": week.entries[~week.entries["expected"]].drop_duplicates("entry").to_dict("records"),
            "one_sided": _grouped_reasons(week),
            "rows": week.by_entry().to_dict("records"),
        }
        for place, week in enumerate(report.weeks)
    ]
    return environment.get_template("report.html.j2").render(
        report=report,
        version=__version__,
        headline=headline(report),
        wrong=report.wrong.to_dict("records"),
        tries=frames.tries,
        changes=report.changes().to_dict("records"),
        counts=report.counts.to_dict("records"),
        directions=charts.DIRECTION_WORDS,
        draw_counts=Markup(charts.draw_counts(report.counts).inline("counts")),  # noqa: S704
        draw_statuses=Markup(charts.draw_statuses(report.accounts).inline("statuses")),  # noqa: S704
        weeks=weeks,
        skipped=frames.reasons(report.skipped).to_dict("records"),
        failed=report.failed.head(ROWS_SHOWN).to_dict("records"),
        failed_more=max(0, len(report.failed) - ROWS_SHOWN),
        conflicts=report.conflicts.head(ROWS_SHOWN).to_dict("records"),
        conflicts_more=max(0, len(report.conflicts) - ROWS_SHOWN),
        runs=report.runs.head(10).to_dict("records"),
        light=Markup(css_variables(dark=False)),  # noqa: S704  our own table of colours
        dark=Markup(css_variables(dark=True)),  # noqa: S704
    )


def headline(report: SyncReport) -> str:
    """The report in one sentence."""
    calendars = report.accounts[(report.accounts["process"] == "calendar") & (report.accounts["verdict"] != "off")]
    if calendars.empty:
        return "No account's calendar is kept in step."
    bad = int(calendars["verdict"].isin(frames.NEEDS_SOMEBODY).sum())
    parts = [
        f"{bad} of {counted(len(calendars), 'calendar')} {'needs' if bad == 1 else 'need'} somebody"
        if bad
        else f"All {counted(len(calendars), 'calendar')} are well"
        if len(calendars) > 1
        else "The one calendar is well"
    ]
    active = int((report.links["state"] == "active").sum())
    parts.append(f"{counted(active, 'entry', 'entries')} kept in step")
    if len(report.failed):
        parts.append(f"{counted(len(report.failed), 'entry', 'entries')} failed")
    parted = sum(week.parted for week in report.weeks)
    if parted:
        parts.append(f"{counted(parted, 'entry', 'entries')} of the drawn week missing or different")
    unread = [week.user.name for week in report.weeks if week.unread]
    if unread:
        parts.append(f"the week of {', '.join(unread)} was not compared, because Outlook was not read")
    return "; ".join(parts) + "."


def write(report: SyncReport, folder: Path) -> Path:
    """Write the page and its tables into the folder, readable by their owner alone. Returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    frames.write_private(page, render(report).encode())
    tables = {
        "accounts": report.accounts,
        "runs": report.runs,
        "run_accounts": report.run_accounts,
        "run_items": report.items,
        "attempts": report.attempts,
        "findings": report.findings,
        "links": report.links,
        "counts": report.counts,
    }
    if report.weeks:
        tables["week"] = pd.concat(
            [week.entries.assign(user=week.user.email) for week in report.weeks], ignore_index=True
        )
    frames.write_tables(tables, folder / "tables")
    return page


def _moment(value: Any, zone: ZoneInfo) -> str:
    if value is None or pd.isna(value):
        return "–"
    local = value.astimezone(zone)
    return f"{day_words(local)} {local:%H:%M}"


def _grouped_reasons(week: Week) -> list[tuple[str, int]]:
    one_sided = week.entries[week.entries["expected"] & (week.entries["state"] != "both")].drop_duplicates("entry")
    found = one_sided["why"].value_counts()
    return sorted(((str(why), int(number)) for why, number in found.items()), key=lambda each: (-each[1], each[0]))
