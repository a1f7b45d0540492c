"""The steps of `report_sync`: are the calendars in step, and where are they not?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops_lib.errors import InputError
from ops_lib.runbook.session import OUTCOMES, Outcome, Run, Sentence, day_of
from ops_lib.runbook.tables import numbered, text_column

if TYPE_CHECKING:
    import pandas as pd

    from ops_lib.reports.drawing import Drawing
    from ops_lib.reports.page import SyncReport
    from ops_lib.reports.week import Week


class Steps(Run):
    """Read both sides once; every later step shows a part of what was read."""

    _report: SyncReport | None = None

    def read(self, *, user: str = "", week_of: str = "", days: int = 7) -> Sentence:
        """Read the records of the last ``days`` days, and both sides of the week of ``week_of`` (YYYY-MM-DD; empty: today) of a user.

        Without a user it is the one who has most entries in step that week. Returns the report in one sentence. **Raises** `InputError`, `NotThere`.
        """
        from ops_lib.reports import page

        if days < 1:
            raise InputError(f"{days} days are no time to look back on", subject="days", fix="write 1 or more.")
        day = day_of(week_of) if week_of else None
        chosen = user or self.opened.user or page.busiest_user(self.workspace, day)
        self._report = page.collect(self.workspace, users=[chosen] if chosen else [], day=day, days=days)
        return Sentence(f"**{page.headline(self._report)}**")

    def accounts(self) -> pd.DataFrame:
        """How every enabled process stands, worst first: verdict, mailbox, status, since, who acts, next step, and the cause where one is known."""
        table = self._read.accounts
        table = table[table["verdict"] != "off"]
        shown = table[["verdict", "mailbox", "community", "process", "status"]].assign(
            since=self._moments(table["since"]), who_acts=table["owner"], next_step=table["next_step"]
        )
        return numbered(shown.assign(cause=table["sub_cause"]) if table["sub_cause"].any() else shown)

    def changes(self) -> pd.DataFrame | Sentence:
        """What the last run did: one row an account that changed anything, its status before and now, and what was done in words."""
        table = self._read.changes()
        if table.empty:
            return Sentence("Nothing changed: both sides were as agreed, and every status is as it was.")
        done = [_done(row) for row in table.to_dict("records")]
        return numbered(table[["mailbox", "status_before", "status_now"]].assign(what_was_done=text_column(done)))

    def counts(self) -> pd.DataFrame:
        """The numbers by host, community, status and direction."""
        return numbered(self._read.counts)

    def draw_statuses(self) -> Drawing:
        """How the calendars stand, by community."""
        from ops_lib.reports import charts

        return charts.draw_statuses(self._read.accounts)

    def draw_counts(self) -> Drawing:
        """What was written, by host and direction."""
        from ops_lib.reports import charts

        return charts.draw_counts(self._read.counts)

    def draw_week(self) -> Drawing | Sentence:
        """The user's week, CRM and Outlook beside each other."""
        from ops_lib.reports import charts

        week = self._week
        return (
            charts.draw_week(week) if week is not None else Sentence("There is no account whose week could be drawn.")
        )

    def week(self) -> pd.DataFrame:
        """The user's week, one row an entry: when it is in the CRM and in Outlook, and why the two part; what should not be comes first."""
        from ops_lib.reports.frames import empty

        week = self._week
        columns = dict.fromkeys(("title", "crm", "exchange", "state", "why"), "str")
        return numbered(week.by_entry() if week is not None else empty(columns))

    def failures(self) -> pd.DataFrame | Sentence:
        """The entries that could not be read or written, with the server's own code."""
        table = self._read.failed
        if table.empty:
            return Sentence("No entry failed.")
        shown = table[["mailbox", "title", "direction"]].assign(when=self._moments(table["at"]))
        return numbered(shown.join(table[["reason", "response_code"]]))

    def skipped(self) -> pd.DataFrame | Sentence:
        """Why entries are left out: one row a reason, the most frequent first."""
        from ops_lib.reports.frames import reasons

        if self._read.skipped.empty:
            return Sentence("No entry is left out.")
        return numbered(reasons(self._read.skipped))

    def report(self) -> Sentence:
        """Write the page and its tables into the run's folder."""
        from ops_lib.reports import page

        written = page.write(self._read, self.folder)
        tables = len(list((self.folder / "tables").glob("*.parquet")))
        return Sentence(
            f"`{written.name}` opens in any browser; `tables/` beside it holds {tables} tables as Parquet and CSV."
        )

    def outcome(self) -> Outcome:
        """What the report comes to: ``findings`` when somebody is needed or a side is missing something, ``blocked`` without any account."""
        outcome = self._read.outcome
        assert outcome in OUTCOMES
        return outcome

    def figures(self) -> dict[str, Any]:
        report = self._report
        if report is None:
            return {}
        calendars = report.accounts[(report.accounts["process"] == "calendar") & (report.accounts["verdict"] != "off")]
        return {
            **({"message": "there is no account to report on"} if report.outcome == "blocked" else {}),
            "calendars": len(calendars),
            "need_somebody": len(report.wrong),
            "in_step": int((report.links["state"] == "active").sum()),
            "left_out": len(report.skipped),
            "failed": len(report.failed),
            "parted": sum(week.parted for week in report.weeks),
        }

    @property
    def _read(self) -> SyncReport:
        if self._report is None:
            raise InputError("nothing has been read yet", subject=self.stem, fix="run the cell with run.read(…) first.")
        return self._report

    def _moments(self, instants: pd.Series[Any]) -> pd.Series[Any]:
        """Instants in words, in the workspace's zone."""
        from ops_lib.reports.words import instant_words

        zone = self._read.zone
        return instants.map(lambda each: "–" if each is None or each != each else instant_words(each, zone)).astype(
            "str"
        )

    @property
    def _week(self) -> Week | None:
        return self._read.weeks[0] if self._read.weeks else None


def _done(row: dict[Any, Any]) -> str:
    """What a run did for an account, in words."""
    from ops_lib.reports.words import done_words

    verbs, sides = ("created", "updated", "deleted"), ("crm", "exchange")
    said = done_words({(verb, side): row[f"{verb}_{side}"] for verb in verbs for side in sides})
    said += [f"{row['failed']} failed"] if row["failed"] else []
    return ", ".join(said) or row["message"] or "nothing"
