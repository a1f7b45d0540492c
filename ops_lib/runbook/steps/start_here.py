"""The steps of `start_here`: what do you see, which runbook answers it, and how this workspace stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ops_lib.access.sign_ins import SignInStates
from ops_lib.errors import InputError
from ops_lib.runbook import pages, runs
from ops_lib.runbook.session import Outcome, Run, Sentence
from ops_lib.runbook.tables import numbered, without_empty

if TYPE_CHECKING:
    import pandas as pd

SHOWN_RUNS = 8

_CHANGES = {"none": "no", "crm": "the CRM", "exchange": "Outlook", "both": "the CRM and Outlook, asked first"}
_LITTLE_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "is",
        "are",
        "be",
        "to",
        "of",
        "in",
        "on",
        "it",
        "my",
        "i",
        "do",
        "does",
        "not",
        "no",
        "for",
        "and",
        "or",
        "from",
        "with",
        "has",
        "have",
        "how",
    ]
)


class Steps(Run):
    """Nothing here is written; every step shows something of the workspace."""

    # ── which runbook ────────────────────────────────────────────────────────────────────────────────────────────────
    def runbooks(self, seen: str = "") -> Sentence:
        """Which runbook answers what somebody sees, the most fitting first; with ``seen`` only those of which some word fits, if any does."""
        wanted = _words(seen)
        known = [page for page in pages.pages() if page.stem != self.stem]
        fitting = sorted(
            ((len(wanted & _words(" ".join((page.title, *page.symptoms)))), page) for page in known),
            key=lambda each: (-each[0], each[1].stem),
        )
        shown = [page for number, page in fitting if number] or [page for _, page in fitting]
        remark = "No runbook speaks of that in these words; these are all.\n\n" if wanted and not fitting[0][0] else ""
        rows = [
            f"| {'; '.join(_cell(each) for each in page.symptoms)} | [{page.stem}]({page.stem}.ipynb) | {_cell(page.title)} | {_CHANGES[page.writes]} |"
            for page in shown
        ]
        return Sentence(
            remark
            + "\n".join(
                ["| what you see | open | what it answers | does it change anything? |", "|---|---|---|---|", *rows]
            )
        )

    # ── how the workspace stands ─────────────────────────────────────────────────────────────────────────────────────
    def state(self) -> pd.DataFrame | Sentence:
        """How the enabled accounts stand, by process and status, what needs somebody first: how many, one of them, who acts, what is next."""
        import pandas as pd

        table = self._accounts()
        if table.empty:
            return Sentence("**There is no account yet**: begin with [onboard_host](onboard_host.ipynb).")
        groups = table.groupby(["verdict", "process", "status"], sort=False)
        rows = [
            (
                verdict,
                process,
                status,
                len(group),
                group["mailbox"].iloc[0],
                group["owner"].iloc[0],
                group["next_step"].iloc[0],
            )
            for (verdict, process, status), group in groups
        ]
        columns = ["verdict", "process", "status", "accounts", "for_example", "who_acts", "next_step"]
        return without_empty(pd.DataFrame(rows, columns=columns))

    def waiting(self) -> pd.DataFrame | Sentence:
        """Who has to sign in before their accounts can be kept in step again."""
        import pandas as pd

        with self.workspace.database.read() as connection:
            found = SignInStates(connection).waiting()
        if not found:
            return Sentence("**Nobody has to sign in.**")
        rows = [
            (
                each.account.mailbox,
                each.host.name,
                each.serves,
                each.state.reason or "has not signed in yet",
                f"syncops signin {each.account.mailbox}",
            )
            for each in found
        ]
        return numbered(pd.DataFrame(rows, columns=["who", "host", "waits_for_it", "why", "command"]))

    def runs(self) -> pd.DataFrame | Sentence:
        """The last runs of runbooks in this workspace, newest first, and how they ended."""
        import pandas as pd

        found = runs.records(self.workspace.path / "runs")[:SHOWN_RUNS]
        if not found:
            return Sentence("**No runbook has been run here yet** without a person.")
        rows = [(each.run, each.when, each.outcome, each.message, each.step) for each in found]
        return without_empty(pd.DataFrame(rows, columns=["run", "when", "outcome", "message", "stopped_at"]))

    def outcome(self) -> Outcome:
        """``findings`` where somebody is needed or a last run did not do its work, ``blocked`` without any account."""
        figures = self._counts()
        if not figures["accounts"]:
            return "blocked"
        return (
            "findings"
            if figures["need_somebody"] or figures["wait_for_sign_in"] or figures["runs_to_look_at"]
            else "ok"
        )

    def figures(self) -> dict[str, Any]:
        """How many accounts there are, how many need somebody, who waits, and how many runbooks' last run did not do its work."""
        figures = self._counts()
        return {**({} if figures["accounts"] else {"message": "there is no account yet"}), **figures}

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _accounts(self) -> pd.DataFrame:
        """What is enabled, worst first."""
        from ops_lib.reports import frames

        table = frames.accounts(self.workspace)
        return table[table["verdict"] != "off"]

    def _counts(self) -> dict[str, int]:
        table = self._accounts()
        with self.workspace.database.read() as connection:
            waiting = len(SignInStates(connection).waiting())
        last: dict[str, runs.RunRecord] = {}
        for record in runs.records(self.workspace.path / "runs"):
            last.setdefault(record.runbook, record)
        return {
            "accounts": table["mailbox"].nunique(),
            "need_somebody": table[~table["verdict"].isin(["well", "not yet"])]["mailbox"].nunique(),
            "wait_for_sign_in": waiting,
            "runs_to_look_at": sum(not each.is_well and each.outcome != runs.RUNNING for each in last.values()),
        }


def _words(text: str) -> set[str]:
    """The words that say something, without their endings in s."""
    if len(text) > 1000:
        raise InputError("this is too long to look for", subject="seen", fix="write a few words of what you see.")
    return {word.removesuffix("s") for word in re.findall(r"[^\W_]+", text.casefold())} - _LITTLE_WORDS


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
