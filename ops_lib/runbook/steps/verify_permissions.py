"""The steps of `verify_permissions`: does every mailbox give the sync what it needs, and no more?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.errors import InputError
from ops_lib.runbook.session import Opened, Outcome, Run, Sentence
from ops_lib.runbook.tables import numbered
from ops_lib.runbook.widgets import Field, Form, Value

if TYPE_CHECKING:
    import pandas as pd

    from ops_lib.access.rights import Matrix
    from ops_lib.access.rights_store import Kept
    from ops_lib.diagnosis.permissions import Checked, Line
    from ops_lib.reports.drawing import Drawing

_EVERY_HOST, _EVERYBODY = "every host", "everybody"
_WORST_FIRST = ("missing", "missing, wanted", "unknown", "more than needed")
_WHAT = {
    "mend": "gives what is missing; run by the customer's administrator",
    "undo": "takes that back, from the file that it kept",
    "collect": "changes nothing; writes down what `from_csv` reads",
}


class Steps(Run):
    """Ask each host once; every later step shows a part of what was found."""

    _checked: tuple[Checked, ...] | None = None
    _form: Form | None = None

    def __init__(self, stem: str, opened: Opened) -> None:
        super().__init__(stem, opened)
        self._since: dict[str, Kept] = {}

    @classmethod
    def open_demo(cls) -> Opened:
        """The made-up customer on Monday: checked on Friday, and some rights are no longer as they were."""
        from ops_lib.runbook.demo import for_notebook
        from ops_lib.runbook.rights_story import since_friday

        return Opened(*for_notebook(since_friday))

    def choose(
        self, *, host: str = "", account: str = "", from_csv: str = "", ews: bool = True, try_sending: bool = True
    ) -> Form:
        """Whose permissions to look at, and how: a form filled from the workspace, or without a person its parameters.

        ``from_csv``: files with the output of the administrator's cmdlets, several apart by ``;``, relative to the workspace's folder.
        """
        with self.workspace.database.read() as connection:
            hosts = [each.name for each in Hosts(connection).all() if not each.is_retired]
            mailboxes = [each.mailbox for each in Accounts(connection).accounts()]
        self._form = Form(
            [
                Field("host", "host", host or _EVERY_HOST, choices=(_EVERY_HOST, *hosts)),
                Field("account", "user", account or _EVERYBODY, choices=(_EVERYBODY, *mailboxes)),
                Field(
                    "from_csv",
                    "administrator's files",
                    from_csv,
                    help="in the workspace's folder, several apart by ;",
                    check=self._files,
                ),
                Field("ews", "ask the server", ews),
                Field("try_sending", "try sending", try_sending, help="a delegate's Send As shows by trying only"),
            ],
            "Look again (changes nothing)",
            lambda _values: self.check(),
            check=_judged_by_something,
            shown=lambda text: text or "none",
        )
        return self._form

    def check(self) -> Sentence:
        """Look at the rights of whoever was chosen (else of everybody), and keep what was found for the next comparison.

        Run again, it is compared with what was known before the first time: step 2 keeps its meaning. Returns a sentence for each host. **Raises** `InputError`, `NotThere`.
        """
        from ops_lib.diagnosis.permissions import Wish, by_host, silent
        from ops_lib.diagnosis.permissions import check as check_host
        from ops_lib.runbook.widgets import is_by_hand, progress

        chosen = (self._form or self.choose()).values
        _judged_by_something(chosen)
        host, account = (str(chosen[name]) for name in ("host", "account"))
        with self.workspace.database.read() as connection:
            accounts = Accounts(connection).accounts(
                host=None if host == _EVERY_HOST else host, who=None if account == _EVERYBODY else account
            )
        wish = Wish(
            files=self._files(str(chosen["from_csv"])),
            over_ews=bool(chosen["ews"]),
            try_sending=bool(chosen["try_sending"]),
        )
        shown = progress if is_by_hand() else silent
        self._checked = tuple(
            check_host(self.workspace, each, mine, wish, shown=shown, since=self._since.get(each.host_id))
            for each, mine in by_host(self.workspace, accounts)
        )
        for each in self._checked:
            if each.compared_with is not None and each.drift is not None:
                self._since.setdefault(each.host.host_id, each.compared_with)
        if not self._checked:
            return Sentence("No account is kept in step: there is nobody whose permissions could be looked at.")
        return Sentence("\n".join(f"- {_said(each)}" for each in self._checked))

    def changes(self) -> pd.DataFrame | Sentence:
        """What has changed since the last check, losses first: one row a user and right, or a user who came or went."""
        import pandas as pd

        from ops_lib.diagnosis.permissions import OUT_OF_SIGHT

        rows = [
            {
                "host": each.host.name,
                "user": drift.user,
                "change": drift.change,
                "right": drift.right.value.replace("_", " ") if drift.right else "",
                "before": drift.before,
                "now": drift.after,
            }
            for each in self._found
            for drift in each.drift or ()
            if drift.change not in OUT_OF_SIGHT
        ]
        rows += [row for each in self._found for row in _out_of_sight(each)]
        return numbered(pd.DataFrame(rows)) if rows else Sentence(self._unchanged())

    def draw(self) -> Drawing:
        """Every user and right, worst first."""
        from ops_lib.reports.permission_matrix import draw_permissions

        return draw_permissions([each.matrix for each in self._found])

    def wrong(self) -> pd.DataFrame | Sentence:
        """What is not as it should be, worst first: one row for what one user lacks, or has too much, for one reason."""
        import pandas as pd

        rows = [
            {
                "user": line.who,
                "rights": ", ".join(line.rights),
                "verdict": line.verdict,
                "what was seen": line.seen,
                "why": line.why,
            }
            for line in self._lines
        ]
        return (
            numbered(pd.DataFrame(rows)) if rows else Sentence("Every right is as the sync needs it, and none is more.")
        )

    def evidence(self) -> pd.DataFrame | Sentence:
        """The request and the server's own code behind each row of `wrong`."""
        import pandas as pd

        rows = [
            {"user": line.who, "verdict": line.verdict, "evidence": line.evidence}
            for line in self._lines
            if line.evidence
        ]
        return numbered(pd.DataFrame(rows).drop_duplicates()) if rows else Sentence("There is nothing to prove.")

    def sources(self) -> pd.DataFrame | Sentence:
        """Where the server and the administrator's files disagree."""
        import pandas as pd

        matrices = self._matrices
        if not any(cell.source == "powershell" for matrix in matrices for cell in matrix.cells):
            return Sentence("No file of the administrator's was given: what EWS shows counts alone.")
        rows = [
            {"user": row.user, "right": row.right.value.replace("_", " "), "disagreement": row.disagreement}
            for matrix in matrices
            for row in matrix.rows()
            if row.disagreement
        ]
        notes = "".join(f"\n- {note}" for each in self._found for note in each.notes)
        if not rows:
            return Sentence(f"Wherever both sources know, they agree.{notes}")
        return numbered(pd.DataFrame(rows))

    def findings(self) -> pd.DataFrame | Sentence:
        """Beyond single users: roles over too much, grants left over, what Microsoft withdraws."""
        import pandas as pd

        rows = [
            {
                "verdict": finding.verdict,
                "about": finding.subject,
                "observed": finding.observed,
                "expected": finding.expected,
                "cause": finding.cause,
                "next_step": finding.next_step,
            }
            for each in self._found
            for finding in each.findings
            if finding.verdict != "ok"
        ]
        return (
            numbered(pd.DataFrame(rows))
            if rows
            else Sentence("Nothing is more than needed, and nothing is being withdrawn.")
        )

    def scripts(self) -> pd.DataFrame | Sentence:
        """Write the scripts for each host, and the matrix as a table, into the run's folder: one row a file."""
        import pandas as pd

        from ops_lib.access.powershell import file_bytes, script_name
        from ops_lib.reports.permission_matrix import table_of

        (self.folder / "tables").mkdir(parents=True, exist_ok=True)
        table = table_of(self._matrices)
        table.to_csv(self.folder / "tables" / "permissions.csv", index=False)
        table.to_parquet(self.folder / "tables" / "permissions.parquet", index=False)
        rows = []
        for each in self._found:
            for kind, text in self._texts(each).items():
                name = script_name(each.host, kind)
                (self.folder / name).write_bytes(file_bytes(text))
                rows.append({"host": each.host.name, "file": name, "what it does": _WHAT[kind]})
        rows.append(
            {"host": "", "file": "tables/permissions.csv", "what it does": "the whole matrix, with the evidence"}
        )
        return numbered(pd.DataFrame(rows))

    def script(self, host: str = "") -> Sentence:
        """The mending script of a host (empty: of the first that has something to mend), to be read."""
        for each in self._found:
            if (host and each.host.name == host) or (not host and self._is_mendable(each)):
                text = self._texts(each).get("mend", "")
                return Sentence(f"```powershell\n{text}```") if text else Sentence("Nothing that a script can mend.")
        return Sentence("There is nothing that a script could mend.")

    def outcome(self, *, changes_only: bool = False) -> Outcome:
        """``findings`` when something that the sync needs is missing or could not be seen; with ``changes_only`` if that is new.

        ``blocked`` without any account, and where no server let anything be seen.
        """
        cells = [cell for matrix in self._matrices for cell in matrix.cells]
        if all(cell.verdict == "unknown" for cell in cells):
            return "blocked"
        is_wrong = any(each.is_worse if changes_only else not each.is_well for each in self._found)
        failed = any(finding.verdict == "fail" for each in self._found for finding in each.findings)
        return "findings" if is_wrong or (failed and not changes_only) else "ok"

    def figures(self) -> dict[str, int]:
        from ops_lib.diagnosis.permissions import is_blind

        if self._checked is None:
            return {}
        rows = [row for matrix in self._matrices for row in matrix.rows()]
        return {
            "hosts": len(self._found),
            "mailboxes": sum(len(matrix.users) for matrix in self._matrices),
            "missing": sum(row.is_red for row in rows),
            "not_seen": sum(is_blind(row) for row in rows),
            "more_than_needed": sum(row.verdict == "more" for row in rows),
            "changed": sum(d.change != "still not known" for each in self._found for d in each.drift or ()),
        }

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def _found(self) -> tuple[Checked, ...]:
        if self._checked is None:
            raise InputError(
                "nothing has been looked at yet", subject=self.stem, fix="run the cell with run.check(…) first."
            )
        return self._checked

    @property
    def _lines(self) -> list[Line]:
        """What is not as it should be on any host, worst first."""
        from ops_lib.diagnosis.permissions import lines_of

        lines = [line for each in self._found for line in lines_of(each.matrix)]
        return sorted(lines, key=lambda line: _WORST_FIRST.index(line.verdict))

    @property
    def _matrices(self) -> list[Matrix]:
        return [each.matrix for each in self._found]

    def _files(self, text: str) -> tuple[Path, ...]:
        """The files that a person named. **Raises** `InputError` for one that is not there."""
        files = tuple(self.workspace.path / Path(each.strip()).expanduser() for each in text.split(";") if each.strip())
        for file in files:
            if not file.is_file():
                raise InputError(
                    "there is no such file",
                    subject=file.name,
                    fix=f"put it into {self.workspace.path}, or name it whole.",
                )
        return files

    @staticmethod
    def _is_mendable(checked: Checked) -> bool:
        from ops_lib.access.powershell import to_mend

        return bool(to_mend(checked.matrix))

    def _texts(self, checked: Checked) -> dict[str, str]:
        """The scripts of one host by their kind; the two that mend only where there is something to mend."""
        from ops_lib.access import powershell

        host = checked.host
        texts = {"collect": powershell.collect_script(host, checked.matrix.users)}
        if self._is_mendable(checked):
            texts = {
                "mend": powershell.mend_script(checked.matrix, host),
                "undo": powershell.undo_script(host),
                **texts,
            }
        return texts

    def _unchanged(self) -> str:
        from ops_lib.reports.words import instant_words

        zone = self.workspace.zone()
        since = [each.previous for each in self._found if each.previous is not None and each.drift is not None]
        if not since:
            return "This is the first check: the next one shows what has changed since."
        return f"Nothing that could be seen has changed since {instant_words(min(since), zone)}."


def _judged_by_something(chosen: dict[str, Value]) -> None:
    if not chosen["ews"] and not chosen["from_csv"]:
        raise InputError("there is nothing to judge", subject="ews", fix="ask the server, or name a file in from_csv.")


def _said(checked: Checked) -> str:
    from ops_lib.diagnosis.permissions import summary

    halted = checked.collected.halted if checked.collected is not None else None
    return f"**{summary(checked)}**" + (
        f" The server was not asked any further: {halted}" if halted is not None else ""
    )


def _out_of_sight(checked: Checked) -> list[dict[str, str]]:
    """One row a user for the rights that were known at the last check and could not be seen now."""
    rights: dict[str, list[str]] = {}
    for drift in checked.drift or ():
        if drift.change == "no longer known" and drift.right is not None:
            rights.setdefault(drift.user, []).append(drift.right.value.replace("_", " "))
    return [
        {
            "host": checked.host.name,
            "user": user,
            "change": "no longer known",
            "right": ", ".join(names),
            "before": "was seen",
            "now": "could not be seen",
        }
        for user, names in rights.items()
    ]
