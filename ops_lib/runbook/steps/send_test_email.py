"""The steps of `send_test_email`: does an email from the CRM reach the server as the user, and is it put on record?"""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, Any

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.errors import InputError
from ops_lib.runbook.session import Opened, Outcome, Run, Sentence
from ops_lib.runbook.tables import numbered, without_empty
from ops_lib.runbook.widgets import Field, Form, Value, is_by_hand

if TYPE_CHECKING:
    import pandas as pd

    from ops_lib.mail.compose import Composed, Letter
    from ops_lib.mail.send import Result
    from ops_lib.runbook.demo import Demo

_ANY_HOST = "as the user's community has it"
_SAID = {
    "accepted": "the server took it",
    "refused": "it was refused, and nobody got it",
    "recorded": "it was only put on record: sending is not set up",
    "waiting": "it waits, and is tried again (`syncops send --resume`)",
    "unclear": "it may have been sent: somebody has to look",
}


class Steps(Run):
    """Look at the message first; only then, if it is wanted, send it once."""

    _form: Form | None = None
    _result: Result | None = None

    @classmethod
    def open_demo(cls) -> Opened:
        """The made-up customer, whose company host sends email; what is sent stays on the sandbox."""
        from ops_lib.runbook.demo import for_notebook
        from ops_lib.runbook.sending_story import ready_to_send

        made: list[Demo] = []

        def tell(demo: Demo) -> str:
            made.append(demo)
            return ready_to_send(demo)

        workspace, user = for_notebook(tell)
        return Opened(workspace, user, made[0])

    # ── before anything is sent ──────────────────────────────────────────────────────────────────────────────────────
    def who_can_send(self) -> pd.DataFrame | Sentence:
        """By host: how many accounts can send, how many cannot, and what turns it on; what is missing first."""
        import pandas as pd

        with self.workspace.database.read() as connection:
            hosts = [each for each in Hosts(connection).all() if not each.is_retired]
            accounts = Accounts(connection).accounts()
        rows = []
        for host in hosts:
            mine = [each for each in accounts if each.host_id == host.host_id]
            sending = sum(each.send_email for each in mine) if host.send_email else 0
            if not host.send_email:
                then = f'syncops host edit "{host.name}" --send-email'
            else:
                then = "syncops account enable USER --send-email" if sending < len(mine) else ""
            kind = "rich" if host.version == "Office 365" else "plain text, one individual"
            rows.append((host.name, sending, len(mine) - sending, kind, then))
        if not rows:
            return Sentence("**There is no host yet**: begin with [onboard_host](onboard_host.ipynb).")
        columns = ["host", "can_send", "cannot_send", "messages", "to_turn_it_on"]
        return without_empty(pd.DataFrame(sorted(rows, key=lambda row: -row[2]), columns=columns))

    def write(
        self, *, user: str = "", to: str = "", subject: str = "", text: str = "", template: str = "", host: str = ""
    ) -> Form:
        """The message as a form filled with the parameters; its button sends. ``to``: an individual's id or name."""
        with self.workspace.database.read() as connection:
            directory = Directory(connection)
            users = [each.email for each in directory.users()]
            templates = [each.name for each in directory.templates()]
            hosts = [each.name for each in Hosts(connection).all() if not each.is_retired]
        self._result = None
        self._form = Form(
            [
                Field("user", "from", user or self.opened.user, choices=("", *users), help="the CRM user who writes"),
                Field("to", "to", to or self._of_demo(), check=self._individual, help="an individual's id or name: one whose mail you can read"),
                Field("template", "template", template, choices=("", *templates), help="subject and body of it come after yours"),
                Field("subject", "subject", subject),
                Field("text", "text", text),
                Field("host", "through", host or _ANY_HOST, choices=(_ANY_HOST, *hosts)),
            ],
            "Write: send this email once, and put it on record",
            lambda _values: self._send(),
            check=lambda _values: self._compose(),
            shown=lambda value: value or "none",
        )  # fmt: skip
        return self._form

    def preview(self) -> pd.DataFrame:
        """The message as it would go out: nothing is sent and nothing kept. **Raises** `InputError`, `NotThere`: what is wrong with it."""
        import pandas as pd

        message = self._compose()
        way = (
            f"{message.host.name} ({message.host.access})"
            if message.account and message.host
            else "nothing: put on record only"
        )
        rows = [
            ("from", message.sender),
            ("to", ", ".join(f"{each.name} <{each.address}>" for each in message.recipients)),
            ("through", way),
            ("subject", message.subject),
            ("body", message.text),
            ("kind", "formatted" if message.html else "plain text"),
        ]  # fmt: skip
        return numbered(pd.DataFrame(rows, columns=["part", "as it goes out"]))

    def warnings(self) -> pd.DataFrame | Sentence:
        """What is to be known before it is sent: one row a warning."""
        import pandas as pd

        found = self._compose().warnings
        if not found:
            return Sentence("**No warnings**: it can be sent.")
        return numbered(pd.DataFrame({"warning": list(found)}))

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def send(self, *, apply: bool = False) -> Sentence:
        """Send it where it may be sent at once; the same message is never sent twice on one day. **Raises** `InputError`, `NotThere`."""
        if apply or self.opened.demo is not None:
            return self._send()
        if self._result is not None:
            return self._said(self._result)
        how = "press the form's button, then run this cell again" if is_by_hand() else "set `apply`"
        return Sentence(f"**Not sent**: {how}.")

    def record(self) -> pd.DataFrame | Sentence:
        """What the CRM keeps of it: one row an activity, with the note's first line."""
        import pandas as pd

        if self._result is None:
            return Sentence("Nothing is on record: nothing was sent.")
        with self.workspace.database.read() as connection:
            directory = Directory(connection)
            found = SqlCrm(connection, self.workspace.now()).get(self._result.activity_ids)
            kinds = {each.type_id: each.name for each in directory.activity_types()}
            names = {each.individual_id: each.name for each in directory.individuals()}
        if not found:
            return Sentence(
                "Nothing is on record yet: the activity is made when it is certain what became of the message."
            )
        rows = [
            {
                "activity": each.activity_id,
                "type": kinds.get(each.type_id, ""),
                "status": str(each.status),
                "description": each.description,
                "for": names.get(each.individual_id or "", ""),
                "note": each.notes.strip().partition("\n")[0],
            }
            for each in found.values()
        ]  # fmt: skip
        return numbered(pd.DataFrame(rows))

    def standing(self) -> pd.DataFrame | Sentence:
        """How the sender's account stands for email, by the workspace's own records."""
        from ops_lib.reports import frames

        account = self._compose().account
        if account is None:
            return Sentence("No account sends for this user.")
        table = frames.accounts(self.workspace)
        table = table[(table["process"] == "email") & (table["mailbox"] == account.mailbox)]
        return without_empty(table[["verdict", "mailbox", "host", "status", "sub_cause", "next_step"]])

    def outcome(self) -> Outcome:
        """``ok`` where the server took it, or it was only looked at and nothing speaks against sending; else ``findings``."""
        if self._result is not None:
            return "ok" if self._result.outcome == "accepted" else "findings"
        return "findings" if self._compose().warnings else "ok"

    def figures(self) -> dict[str, Any]:
        """What became of the message, with the server's code, and how many activities are on record; nobody's address."""
        result = self._result
        return {
            "message": "" if result is None or result.outcome == "accepted" else result.reason,
            "sent": result.outcome if result is not None else "not asked for",
            "response_code": result.response_code if result is not None else "",
            "on_record": len(result.activity_ids) if result is not None else 0,
        }

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _of_demo(self) -> str:
        """Whom the demo's user writes to; nobody in a real workspace."""
        if self.opened.demo is None:
            return ""
        from ops_lib.runbook.sending_story import RECIPIENT

        return RECIPIENT

    def _values(self) -> dict[str, Value]:
        if self._form is None:
            raise InputError("nothing is written yet", subject=self.stem, fix="run the cell with run.write(…) first.")
        return self._form.values

    def _letter(self) -> Letter:
        from ops_lib.mail.compose import Letter

        chosen = {name: str(value) for name, value in self._values().items()}
        for name, what in (("user", "who writes"), ("to", "to whom it goes")):
            if not chosen[name].strip():
                raise InputError(f"it is not said {what}", subject=name, fix=f"fill in {name}.")
        if chosen["host"] == _ANY_HOST:
            chosen["host"] = ""
        day = self.workspace.now().date().isoformat()
        words = hashlib.sha256("\0".join([day, *chosen.values()]).encode("utf-8", "backslashreplace")).hexdigest()
        return Letter(
            user=chosen["user"],
            to=(chosen["to"],),
            template=chosen["template"],
            subject=chosen["subject"],
            text=chosen["text"],
            host=chosen["host"],
            asked_as=self._asked_as(f"{self.stem} {words[:32]}"),
        )

    def _asked_as(self, words: str) -> str:
        """The words by which the same message is sent once; anew after one that certainly reached nobody."""
        from ops_lib.mail.outgoing import Outgoing

        with self.workspace.database.read() as connection:
            outgoing = Outgoing(connection)
            for number in itertools.count(1):
                before = outgoing.asked_as(f"{words} {number}")
                if before is None or before.state not in ("refused", "recorded"):
                    break
        return f"{words} {number}"

    def _compose(self) -> Composed:
        from ops_lib.mail.send import Mailer

        return Mailer(self.workspace).preview(self._letter())

    def _send(self) -> Sentence:
        from ops_lib.mail.send import Mailer

        self._result = Mailer(self.workspace).send(self._letter())
        return self._said(self._result)

    @staticmethod
    def _said(result: Result) -> Sentence:
        said = f"**{result.subject}**, from {result.sender} to {', '.join(result.recipients)}: {_SAID[result.outcome]}."
        if result.reason and result.outcome != "accepted":
            code = (
                f" ({result.response_code})"
                if result.response_code and result.response_code not in result.reason
                else ""
            )
            said += f" {result.reason}{code}."
            said += f" To mend it: {result.fix}" if result.fix else ""
        before = [each for each in result.warnings if "asked for before" in each]
        return Sentence(f"{said} {before[0]}." if before else said)

    def _individual(self, text: str) -> object:
        with self.workspace.database.read() as connection:
            return Directory(connection).individual(text)
