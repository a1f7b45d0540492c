"""The steps of `onboard_users`: many users from a table, previewed, added, and brought in step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_lib.access import importing
from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.crm.directory import Directory
from ops_lib.errors import InputError
from ops_lib.model import Account, Host
from ops_lib.runbook.onboarding import Onboarding
from ops_lib.runbook.session import Opened, Sentence
from ops_lib.runbook.tables import without_empty
from ops_lib.runbook.widgets import action, is_by_hand

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Connection

DEMO_BEGUN = 3
"""So many of the demo's users are in step already; the others are in its table."""


class Steps(Onboarding):
    """Choose a table, look at what it would do, add the accounts, and bring them in step."""

    _data: bytes = b""
    _source = ""
    _default_host = ""

    @classmethod
    def open_demo(cls) -> Opened:
        """The customer with one host, on which three users are in step."""
        from ops_lib.runbook.demo import add_host, before_onboarding, cycle

        demo = before_onboarding()
        add_host(demo)
        with demo.workspace.database.begin() as connection:
            for user in Directory(connection).users()[:DEMO_BEGUN]:
                Accounts(connection).add(user.email, all_day_tasks=True)
        cycle(demo).run(demo.accounts())
        return Opened(demo.workspace, demo=demo)

    # ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────
    def choose(self, *, file: str = "", host: str = "") -> object:
        """Read the table; for a person without one, a button to choose a file. **Raises** `InputError` for a file that cannot be read."""
        self._default_host = host
        if file:
            self._read(Path(file).expanduser())
        elif self.opened.demo is not None and not self._data:
            self._take(self._demo_table(), "users.csv")
        if self._data and not (is_by_hand() and not file):
            return self._said()
        return self._picker() if is_by_hand() else Sentence("**No table yet**: set `file`.")

    def preview(self) -> pd.DataFrame:
        """What each row would do now, faults first. **Raises** `InputError` for what is no table of users."""
        import pandas as pd

        with self.workspace.database.read() as connection:
            found = self._preview(connection)
        order = {"fault": 0, "new": 1, "exists": 2}
        rows = [
            (each.line, each.user, each.mailbox, each.host, each.outcome, each.field, each.reason, each.fix)
            for each in sorted(found.rows, key=lambda row: (order[row.outcome], row.line))
        ]
        columns = ["line", "user", "mailbox", "host", "outcome", "field", "reason", "to_mend"]
        return without_empty(pd.DataFrame(rows, columns=columns))

    def add(self, *, apply: bool = False) -> object:
        """Add the accounts, all or none: at once where it may write, else behind a button."""
        with self.workspace.database.read() as connection:
            found = self._preview(connection)
        new = found.count("new")
        if self.writes(apply) or (new == 0 and not found.count("fault")):
            return self._write()
        if is_by_hand():
            return action(f"Write: add {new} accounts", self._write)
        return Sentence(f"**{new} accounts are not added yet**: set `apply`.")

    def hosts_here(self) -> list[Host]:
        """The hosts of the table's rows. **Raises** `InputError` while nothing of the table is added."""
        ids = {account.host_id for account in self._added()}
        with self.workspace.database.read() as connection:
            return [host for host in Hosts(connection).all() if host.host_id in ids]

    def accounts_here(self) -> list[Account]:
        """The table's accounts whose calendar is kept in step. **Raises** `InputError` while nothing of the table is added."""
        return [account for account in self._added() if account.calendar and not account.is_impersonation_account]

    def seen(self) -> dict[str, Any]:
        """Which table it was."""
        return {"table": self._source}

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _added(self) -> list[Account]:
        with self.workspace.database.read() as connection:
            found = self._preview(connection)
            standing = {each.mailbox: each for each in Accounts(connection).accounts()}
        if found.count("new") or found.count("fault"):
            raise InputError(
                "the table's users are not added yet",
                subject=self._source,
                fix="add them in step 3 (press its button, or set apply), then run this cell again.",
            )
        return [standing[row.mailbox] for row in found.rows]

    def _preview(self, connection: Connection) -> importing.Preview:
        if not self._data:
            raise InputError("there is no table yet", subject=self.stem, fix="choose a file in step 1, or set file.")
        return importing.preview(connection, self._data, subject=self._source, host=self._default_host or None)

    def _write(self) -> Sentence:
        with self.workspace.database.begin() as connection:
            found = self._preview(connection)
            importing.apply(connection, found)
        return Sentence(f"**{found.count('new')} accounts added**; {found.count('exists')} were there already.")

    def _read(self, path: Path) -> None:
        try:
            self._take(path.read_bytes(), path.name)
        except OSError as error:
            raise InputError(
                f"the table cannot be read ({error.strerror})", subject=str(path), fix="name a file that can be."
            ) from None

    def _take(self, data: bytes, source: str) -> None:
        self._data, self._source = data, source

    def _said(self) -> Sentence:
        with self.workspace.database.read() as connection:
            found = self._preview(connection)
        return Sentence(f"**{self._source}**: {len(found.rows)} rows.")

    def _picker(self) -> Any:
        """A button to choose a file; what was chosen is read at once, and is in this kernel only."""
        import ipywidgets as w

        from ops_lib.runbook.widgets import show_briefly

        upload = w.FileUpload(
            accept=".csv,.txt,.tsv",
            multiple=False,
            description="Choose a table",
            layout=w.Layout(width="auto", align_self="flex-start"),
        )
        result = w.Output()

        def chosen(_change: object) -> None:
            result.clear_output(wait=True)
            for each in upload.value:
                self._take(bytes(each["content"]), str(each["name"]))
            with result:
                show_briefly(self._said)

        upload.observe(chosen, "value")
        if self._data:
            with result:
                show_briefly(self._said)
        return w.VBox([upload, result])

    def _demo_table(self) -> bytes:
        """The table that the demo's customer sends: everybody whose community the company's host serves."""
        with self.workspace.database.read() as connection:
            users = Directory(connection).users()
        return "\n".join(["user,all-day tasks", *(f"{each.email},yes" for each in users), ""]).encode()
