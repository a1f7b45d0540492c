"""The steps of `diagnose_status`: why is this account not in step, who must act, and what is the next step?"""

from __future__ import annotations

import atexit
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_lib.access.accounts import Accounts
from ops_lib.errors import InputError
from ops_lib.runbook import library
from ops_lib.runbook.session import Opened, Outcome, Run, Sentence
from ops_lib.runbook.tables import numbered, without_empty
from ops_lib.runbook.widgets import Field, Form

if TYPE_CHECKING:
    import pandas as pd

    from ops_lib.diagnosis.replaying import Replay
    from ops_lib.diagnosis.seen import Facts
    from ops_lib.model import Account, Finding

FACTS_FILE = "facts.json"
_HERE = "mail.demo.example"
"""How the demo's server is named in what is shown: its port is another one each time."""

_WORST = "whoever stands worst"
_ANY_HOST = "any host"
_LARGEST_FILE_BYTES = 20 * 1024 * 1024
_VERDICTS = {"fail": "wrong", "warn": "watch", "unknown": "not seen", "ok": "well"}

_GO_ON: dict[str, tuple[str, str]] = {
    "retirement": ("check_ews_retirement", ""),
    "policy": ("check_ews_retirement", ""),
    "impersonation": ("verify_permissions", "account"),
    "folders": ("verify_permissions", "account"),
    "private_items": ("verify_permissions", "account"),
    "entries": ("analyse_failures", ""),
    "neighbours": ("analyse_failures", ""),
}
"""Which runbook looks closer at what a check found, and the parameter of it that takes the account."""

_COMMANDS = {
    "sign_in": "syncops signin {account}",
    "secret": "syncops host check {host}",
    "settings": "syncops host check {host}",
    "name": "syncops host check {host}",
    "connection": "syncops host check {host}",
    "certificate": "syncops host check {host}",
    "ews": "syncops host check {host}",
    "version": "syncops host check {host}",
    "entries": "syncops retry --account {account}",
}


@dataclass(frozen=True)
class Replayed(Opened):
    """A cassette that is being replayed until ``stack`` is closed."""

    replay: Replay | None = None
    stack: ExitStack | None = None


class Steps(Run):
    """Look at one account from all sides once; every later step shows a part of what was found."""

    _form: Form | None = None
    _facts: Facts | None = None
    _findings: tuple[Finding, ...] = ()

    @classmethod
    def open_cassette(cls, workspace: str) -> Opened:
        """What `syncops capture` wrote: ``cassette:`` and a file, or the name of one of `cassettes/diagnose_status`. **Raises** `NotThere`, `InputError`."""
        from ops_lib.diagnosis import replaying

        stack = ExitStack()
        replay = stack.enter_context(replaying.opened(library.cassette("diagnose_status", workspace)))
        atexit.register(stack.close)
        return Replayed(replay.workspace, replay.account.mailbox, replay=replay, stack=stack)

    # ── who ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    def accounts(self) -> pd.DataFrame | Sentence:
        """How every account stands by the workspace's own records, worst first: one row an account; no server is asked."""
        from ops_lib.reports import frames

        table = frames.accounts(self.workspace)
        table = table[table["process"] == "calendar"]
        if table.empty:
            return Sentence("**There is no account yet**: begin with [onboard_host](onboard_host.ipynb).")
        return numbered(table[["verdict", "mailbox", "host", "status", "response_code"]])

    def choose(self, *, account: str = "", host: str = "", facts: str = "") -> Form:
        """Which account to look at: a form filled from the workspace, or without a person its parameters.

        ``facts``: a file that an earlier look has kept, absolute or in the workspace's folder; then no server is asked.
        """
        from ops_lib.access.hosts import Hosts

        with self.workspace.database.read() as connection:
            mailboxes = list(dict.fromkeys(each.mailbox for each in Accounts(connection).accounts()))
            hosts = [each.name for each in Hosts(connection).all()]
        self._form = Form(
            [
                Field("account", "account", account or _WORST, choices=(_WORST, *mailboxes)),
                Field("host", "host", host or _ANY_HOST, choices=(_ANY_HOST, *hosts), help="where the account is on several"),
                Field("facts", "kept facts", facts, help="a file of an earlier look; empty: look now", check=self._file),
            ],
            "Look (changes nothing)",
            lambda _values: self.look(),
            shown=lambda text: text or "none",
        )  # fmt: skip
        return self._form

    def look(self, *, limit: int = 90) -> Sentence:
        """Look at the chosen account from all sides, for ``limit`` seconds at most, and judge what was seen. **Raises** `InputError`, `NotThere`."""
        from ops_lib.diagnosis.checks import judge

        if not 1 <= limit <= 600:
            raise InputError(f"{limit} is no time to look", subject="limit", fix="write 1 to 600 (seconds).")
        chosen = (self._form or self.choose()).values
        self._facts = self._seen(str(chosen["account"]), str(chosen["host"]), str(chosen["facts"]), limit)
        self._findings = tuple(judge(self._facts))
        return Sentence(self._headline())

    # ── what was found ───────────────────────────────────────────────────────────────────────────────────────────────
    def findings(self) -> pd.DataFrame | Sentence:
        """What is not well, worst first: what was seen, what was expected, the likely cause, who acts and what is to be done."""
        import pandas as pd

        rows = [
            {
                "verdict": _VERDICTS[each.verdict],
                "check": each.check,
                "what was seen": self._public(each.observed),
                "expected": self._public(each.expected),
                "cause": self._public(each.cause),
                "who acts": each.owner,
                "next step": self._public(each.next_step),
            }
            for each in self._wrong
        ]
        return without_empty(pd.DataFrame(rows)) if rows else Sentence("**Nothing is wrong**, as far as could be seen.")

    def next_step(self) -> Sentence:
        """What to begin with, by whom, and which runbook or command goes on from there."""
        from ops_lib.diagnosis.checks import leading

        facts, first = self._looked, leading(self._findings)
        if first is None:
            return Sentence(
                "**Nothing to do for this account.** One entry is missing? `syncops explain ACTIVITY` says why."
            )
        said = f"{first.owner}: {first.next_step}" if first.owner else first.next_step
        lines = [f"**{said[:1].upper()}{said[1:] or 'Look at the evidence below.'}**"]
        stem, parameter = _GO_ON.get(first.check, ("", ""))
        if stem in library.stems():
            given = f' with `{parameter} = "{facts.account}"`' if parameter else ""
            also = f" -p {parameter}={facts.account}" if parameter else ""
            lines.append(f"Look closer: [{stem}]({stem}.ipynb){given}, or `syncops run {stem}{also}`.")
        if first.check in _COMMANDS:
            command = _COMMANDS[first.check].format(account=facts.account, host=f'"{facts.host}"')
            lines.append(f"The command for it: `{command}`.")
        lines.append("Afterwards run this runbook again.")
        return Sentence("\n\n".join(self._public(line) for line in lines))

    def evidence(self) -> pd.DataFrame | Sentence:
        """What proves each row of `findings`: the request or record, the response code as it came, when, and where it was seen."""
        import pandas as pd

        rows = [
            {"verdict": _VERDICTS[each.verdict], "check": each.check, "evidence": self._public(each.evidence), "seen in": each.source}
            for each in self._wrong
            if each.evidence
        ]  # fmt: skip
        return numbered(pd.DataFrame(rows)) if rows else Sentence("There is nothing to prove.")

    def not_seen(self) -> pd.DataFrame | Sentence:
        """What could not be seen because of something else: one row a check, and which one has to be mended first."""
        import pandas as pd

        rows = [
            {"check": each.check, "about": each.subject, "why": each.cause, "what was seen": self._public(each.observed)}
            for each in self._findings
            if self._is_hidden(each)
        ]  # fmt: skip
        self._looked  # noqa: B018  says what to run first
        return numbered(pd.DataFrame(rows)) if rows else Sentence("**Everything else could be seen.**")

    def well(self) -> Sentence:
        """What was looked at and is as it should be."""
        self._looked  # noqa: B018  says what to run first
        names = list(dict.fromkeys(each.check.replace("_", " ") for each in self._findings if each.verdict == "ok"))
        return Sentence(f"**{len(names)} checks are well**: {', '.join(names)}." if names else "**No check is well.**")

    # ── keep it ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def keep(self) -> Sentence:
        """Write the facts into the run's folder: a file of the owner's alone, since it holds addresses."""
        content = self._looked.to_json().encode("utf-8", "backslashreplace")
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / FACTS_FILE
        file.touch(mode=0o600)
        file.write_bytes(content)
        return Sentence(f'`{FACTS_FILE}` holds what was seen; `facts = "…/{FACTS_FILE}"` judges it again, offline.')

    def judge_again(self) -> Sentence:
        """Judge the kept facts as any machine would, from the file alone, and compare. **Raises** `InputError` before `keep`."""
        from ops_lib.diagnosis.checks import judge

        before = self._findings
        now = tuple(judge(self._read(self.folder / FACTS_FILE)))
        same = sum(each in before for each in now)
        if now == before:
            return Sentence(f"**From the file alone: the same {same} findings.**")
        return Sentence(f"**From the file alone: {same} of {len(now)} findings are the same**; look anew.")

    def outcome(self) -> Outcome:
        """``ok`` where every check is well, else ``findings``."""
        self._looked  # noqa: B018  says what to run first
        return "findings" if any(each.verdict != "ok" for each in self._findings) else "ok"

    def figures(self) -> dict[str, Any]:
        """The account, its status, the check to begin with and its sub-cause, and how many checks came to which verdict."""
        from ops_lib.diagnosis.checks import leading, standing_of

        if self._facts is None:
            return {}
        stands, first = standing_of(self._facts), leading(self._findings)
        return {
            "account": self._facts.account,
            "status": stands.status if stands is not None else "",
            "begin_with": first.check if first is not None else "",
            "sub_cause": first.sub_cause if first is not None else "",
            **{
                words.replace(" ", "_"): sum(each.verdict == verdict for each in self._findings)
                for verdict, words in _VERDICTS.items()
            },
        }

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def _looked(self) -> Facts:
        if self._facts is None:
            raise InputError(
                "nothing has been looked at yet", subject=self.stem, fix="run the cell with run.look(…) first."
            )
        return self._facts

    @property
    def _wrong(self) -> list[Finding]:
        """What is not well, worst first, without what follows from something else and was therefore not seen."""
        self._looked  # noqa: B018  says what to run first
        return [each for each in self._findings if each.verdict != "ok" and not self._is_hidden(each)]

    @staticmethod
    def _is_hidden(finding: Finding) -> bool:
        from ops_lib.diagnosis.checks import FOLLOWS

        return finding.verdict == "unknown" and finding.cause.startswith(FOLLOWS)

    def _headline(self) -> str:
        from ops_lib.diagnosis.checks import leading, standing_of
        from ops_lib.reports.words import instant_words

        facts, zone = self._looked, self.workspace.zone()
        stands, first = standing_of(facts), leading(self._findings)
        status = f"*{stands.status}*" if stands is not None else "its status is not known"
        since = f" since {instant_words(stands.since, zone)}" if stands is not None and stands.since else ""
        said = f"begin with *{first.check.replace('_', ' ')}*" if first is not None else "nothing is wrong"
        return f"**{facts.account}** on {facts.host}, {instant_words(facts.at, zone)}: {status}{since}; {said}."

    def _seen(self, account: str, host: str, facts: str, limit: int) -> Facts:
        from ops_lib.diagnosis.facts import collect

        if facts:
            return self._read(self._file(facts))
        if isinstance(self.opened, Replayed) and self.opened.replay is not None:
            return self.opened.replay.facts()
        return collect(self.workspace, self._account(account, host), deadline_seconds=limit)

    def _account(self, account: str, host: str) -> Account:
        with self.workspace.database.read() as connection:
            known = Accounts(connection)
            if account == _WORST:
                account, host = self._worst()
            return known.one(account, host=None if host == _ANY_HOST else host)

    def _worst(self) -> tuple[str, str]:
        from ops_lib.reports import frames

        table = frames.accounts(self.workspace)
        table = table[table["process"] == "calendar"]
        if table.empty:
            raise InputError("there is no account yet", subject=self.stem, fix="syncops run onboard_host.")
        return str(table.iloc[0]["mailbox"]), str(table.iloc[0]["host"])

    def _file(self, text: str) -> Path:
        """The file that a person named. **Raises** `InputError` for one that is not there."""
        file = self.workspace.path / Path(text.strip()).expanduser()
        if not file.is_file():
            raise InputError(
                "there is no such file", subject=file.name, fix=f"put it into {self.workspace.path}, or name it whole."
            )
        return file

    @staticmethod
    def _read(file: Path) -> Facts:
        from ops_lib.diagnosis.seen import Facts

        try:
            if file.stat().st_size > _LARGEST_FILE_BYTES:
                raise InputError("this is too big for a file of facts", subject=file.name, fix="name the right file.")
            return Facts.from_json(file.read_bytes().decode("utf-8-sig"), where=file.name)
        except UnicodeDecodeError:
            raise InputError("this is no text in UTF-8", subject=file.name, fix="name a file of facts.") from None
        except OSError as error:
            raise InputError(
                f"cannot be read ({error.strerror})", subject=file.name, fix="run the cell with run.keep() first."
            ) from None

    def _public(self, text: str) -> str:
        """On the demo without what is another one each time: the server's port, and its own name of a request."""
        from ops_lib.runbook.demo import MARKER

        if not (self.workspace.path / MARKER).is_file():
            return text
        return re.sub(r", request-id [0-9a-f-]+", "", re.sub(r"127\.0\.0\.1(:\d+)?", _HERE, text))
