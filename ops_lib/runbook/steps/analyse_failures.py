"""The steps of `analyse_failures`: the records as tables that are plain pandas, to ask one's own questions of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ops_lib.errors import InputError
from ops_lib.runbook.session import Opened, Outcome, Run, Sentence

if TYPE_CHECKING:
    import pandas as pd

    from ops_lib.reports.drawing import Drawing

_LONGEST_DAYS = 3660
_ROWS = {
    "incidents": "the time in which one account failed, from its first failing cycle to the next good one",
    "cycles": "a cycle of one account, good or failed (`is_failed`)",
    "entries": "an entry that could not be written or read in a cycle",
    "requests": "a request that failed, as it was sent",
    "accounts": "an account and process, as it stands now",
    "hosts": "a host, with its Exchange version and how it signs in",
}


@dataclass(frozen=True)
class Tables:
    """What was read, each a DataFrame whose columns `docs/frames.md` explains. ``yesterday``: a day before now."""

    incidents: pd.DataFrame
    cycles: pd.DataFrame
    entries: pd.DataFrame
    requests: pd.DataFrame
    accounts: pd.DataFrame
    hosts: pd.DataFrame
    yesterday: pd.Timestamp

    def _repr_markdown_(self) -> str:
        lines = [f"| `tables.{name}` | {len(getattr(self, name))} | {row} |" for name, row in _ROWS.items()]
        return "\n".join(["| table | rows | a row is |", "|---|---|---|", *lines])

    def __repr__(self) -> str:
        return self._repr_markdown_()


class Steps(Run):
    """Read once; then the tables are the reader's own."""

    _tables: Tables | None = None

    @classmethod
    def open_demo(cls) -> Opened:
        """The made-up customer after a weekend in which several things went wrong."""
        from ops_lib.runbook.demo import for_notebook
        from ops_lib.runbook.failing_story import since_friday

        return Opened(*for_notebook(since_friday))

    def read(self, *, days: int = 7) -> Tables:
        """What was recorded in the last ``days`` days; no server is asked. **Raises** `InputError`."""
        import pandas as pd

        from ops_lib.reports import frames

        if not 1 <= days <= _LONGEST_DAYS:
            raise InputError(f"{days} is no number of days to look back", subject="days", fix="write 1 or more.")
        now = self.workspace.now()
        since = now - timedelta(days=days)
        hosts, cycles = frames.hosts(self.workspace), frames.run_accounts(self.workspace, since)
        items, attempts = frames.run_items(self.workspace, since), frames.attempts(self.workspace, since)
        self._tables = Tables(
            incidents=frames.incidents(cycles, hosts),
            cycles=cycles.assign(is_failed=cycles["outcome"].isin(frames.NOT_IN_STEP)),
            entries=items[items["outcome"].isin(["failed", "unread"])].reset_index(drop=True),
            requests=attempts[attempts["error"] != ""].reset_index(drop=True),
            accounts=frames.accounts(self.workspace),
            hosts=hosts,
            yesterday=pd.Timestamp(now - timedelta(days=1)),
        )
        return self._tables

    def draw_causes(self) -> Drawing:
        """What failed most, by cause."""
        from ops_lib.reports import charts

        return charts.draw_causes(self._read.incidents)

    def keep(self) -> Sentence:
        """Write the tables into the run's folder."""
        from ops_lib.reports import frames

        self.folder.mkdir(parents=True, exist_ok=True)
        frames.write_tables({name: getattr(self._read, name) for name in _ROWS}, self.folder / "tables")
        return Sentence(f"`tables/` holds {len(_ROWS)} tables as Parquet and CSV.")

    def outcome(self) -> Outcome:
        """``ok`` where nothing failed in that time, ``findings`` where something did, ``blocked`` where nothing ever ran."""
        tables = self._read
        if tables.cycles.empty:
            return "blocked"
        return "ok" if tables.incidents.empty and tables.entries.empty else "findings"

    def figures(self) -> dict[str, Any]:
        """How many cycles there were and how many failed, incidents and those still open, and entries that failed."""
        tables = self._tables
        if tables is None:
            return {}
        return {
            **({"message": "no cycle has run in that time"} if tables.cycles.empty else {}),
            "cycles": len(tables.cycles),
            "failed_cycles": int(tables.cycles["is_failed"].sum()),
            "incidents": len(tables.incidents),
            "open": int(tables.incidents["is_open"].sum()),
            "entries": int(tables.entries["key"].nunique()),
        }

    @property
    def _read(self) -> Tables:
        if self._tables is None:
            raise InputError("nothing has been read yet", subject=self.stem, fix="run the cell with run.read(…) first.")
        return self._tables
