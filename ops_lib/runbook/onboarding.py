"""What `onboard_host` and `onboard_users` share: sign-ins, rights, the first cycle, and the evidence that it went well.

By hand a step that writes waits for its button. Without a person it writes where ``apply`` says so. The demo always does: it is nobody's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.access.sign_ins import SignInStates, Waiting
from ops_lib.errors import InputError
from ops_lib.model import Account, Host
from ops_lib.runbook.session import Outcome, Run, Sentence
from ops_lib.runbook.tables import numbered, text_column, without_empty
from ops_lib.runbook.widgets import action, is_by_hand, progress

if TYPE_CHECKING:
    import pandas as pd

    from ops_lib.diagnosis.permissions import Checked
    from ops_lib.model import Change
    from ops_lib.sync.cycle import CycleResult

SHOWN_CHANGES = 12
"""So many of a dry run's changes are shown one by one."""

THREADS = 4


class Onboarding(Run):
    """The steps after the host: they work on `accounts_here`, which each of the two notebooks says."""

    _rights: Checked | None = None
    _cycle: Sequence[CycleResult] = ()
    _planned: Sequence[tuple[str, Change]] = ()

    def hosts_here(self) -> list[Host]:
        """The hosts that are onboarded or added to. **Raises** `InputError` while there is none."""
        raise NotImplementedError

    def accounts_here(self) -> list[Account]:
        """The accounts that are begun with. **Raises** `InputError` while there is none."""
        found = [
            account
            for host in self.hosts_here()
            for account in self._accounts_of(host)
            if account.calendar and not account.is_impersonation_account
        ]
        if not found:
            raise InputError(
                "no user's calendar is on this host yet",
                subject=self.stem,
                fix="add users in the step before (press its button, or set apply), then run this cell again.",
            )
        return found

    def writes(self, apply: bool) -> bool:
        """Whether a step may write at once."""
        return apply or self.opened.demo is not None

    # ── signing in ───────────────────────────────────────────────────────────────────────────────────────────────────
    def sign_in(self) -> object:
        """Who has to sign in before anything can be read: for a person the form to do it, else who waits and the command."""
        hosts = self.hosts_here()
        waiting = self._waiting(hosts)
        if not waiting:
            ways = sorted({host.auth for host in hosts})
            return Sentence(f"**Nobody has to sign in** (the host signs in by {', '.join(ways)}).")
        if is_by_hand():
            from ops_lib.runbook.signing_in import sign_in_form

            return sign_in_form(self.workspace, waiting)
        import pandas as pd

        rows = [
            (each.account.mailbox, each.host.name, each.serves, f"syncops signin {each.account.mailbox}")
            for each in waiting
        ]
        return numbered(pd.DataFrame(rows, columns=["who", "host", "waits for it", "command"]))

    # ── rights ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def permissions(self) -> pd.DataFrame | Sentence:
        """What the sync needs in each mailbox, asked over EWS; nothing is written or sent. What is missing or could not be seen, worst first."""
        import pandas as pd

        from ops_lib.diagnosis.permissions import Wish, check, lines_of

        accounts, lines = self.accounts_here(), []
        for host in self.hosts_here():
            mine = [each for each in accounts if each.host_id == host.host_id]
            if not mine:
                continue
            self._rights = check(self.workspace, host, mine, Wish(try_sending=False, threads=THREADS))
            lines += lines_of(self._rights.matrix)
        if not lines:
            return Sentence(
                f"**Every right that the sync needs is there**, in {_many(len(accounts), 'mailbox', 'mailboxes')}."
            )
        rows = [(each.who, ", ".join(each.rights), each.verdict, each.why or each.seen) for each in lines]
        return numbered(pd.DataFrame(rows, columns=["mailbox", "right", "verdict", "why"]))

    # ── the first cycle ──────────────────────────────────────────────────────────────────────────────────────────────
    def dry_run(self) -> pd.DataFrame:
        """What the first cycle would do, by account: nothing is written on either side."""
        import pandas as pd

        from ops_lib.sync.cycle import Options

        results = self._run(Options(dry_run=True), "reading both sides")
        self._planned = [
            (result.account.mailbox, change) for result in results for change in result.changes if change.writes
        ]
        rows = []
        for result in results:
            tally = Counter((change.action, change.side) for change in result.changes)
            skipped = sum(number for (verb, _), number in tally.items() if verb == "skip")
            rows.append((result.account.mailbox, tally["create", "exchange"], tally["create", "crm"],
                         sum(change.writes for change in result.changes) - tally["create", "exchange"] - tally["create", "crm"],
                         skipped, _said(result)))  # fmt: skip
        columns = [
            "mailbox",
            "to_make_in_outlook",
            "to_make_in_the_crm",
            "other_changes",
            "left_out_by_a_rule",
            "remark",
        ]
        return without_empty(pd.DataFrame(rows, columns=columns))

    def planned(self) -> pd.DataFrame | Sentence:
        """The first of the changes that the dry run would make on either side, one by one."""
        import pandas as pd

        shown = [
            each
            for side in ("exchange", "crm")
            for each in [one for one in self._planned if one[1].side == side][: SHOWN_CHANGES // 2]
        ]
        if not shown:
            return Sentence("**Both sides agree already**: the first cycle would write nothing.")
        rows = [
            (
                mailbox,
                f"{change.action} in {'Outlook' if change.side == 'exchange' else 'the CRM'}",
                _title(change),
                change.reason,
            )
            for mailbox, change in shown
        ]
        return numbered(pd.DataFrame(rows, columns=["mailbox", "change", "what", "why"]))

    def first_cycle(self, *, apply: bool = False) -> object:
        """Make the cycle: at once where it may write, else behind a button. One row an account: how it ended and what was written."""
        accounts = self.accounts_here()
        if self.writes(apply):
            return self._make_cycle()
        if is_by_hand():
            return action(
                f"Write: run the first cycle of {_many(len(accounts), 'account', 'accounts')}", self._make_cycle
            )
        return Sentence("**Nothing was written.** Set `apply` to run the first cycle.")

    def _make_cycle(self) -> pd.DataFrame:
        import pandas as pd

        from ops_lib.reports.words import done_words
        from ops_lib.sync.cycle import Options

        self._cycle = self._run(Options(), "first cycle")
        rows = []
        for result in self._cycle:
            counts = result.counts()
            done = done_words(
                {
                    (verb, side): counts[verb][side]
                    for verb in ("created", "updated", "deleted")
                    for side in ("crm", "exchange")
                }
            )
            failed = [f"{counts['failed']} failed"] if counts["failed"] else []
            rows.append(
                (result.account.mailbox, result.outcome, ", ".join([*done, *failed]) or "nothing to do", _said(result))
            )
        return without_empty(pd.DataFrame(rows, columns=["mailbox", "outcome", "what_was_done", "remark"]))

    # ── the evidence ─────────────────────────────────────────────────────────────────────────────────────────────────
    def evidence(self) -> pd.DataFrame:
        """How every account stands now, and what is next; kept as `onboarding.json` with what was seen on the way."""
        import pandas as pd

        standing = self._statuses()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        document = {
            "runbook": self.stem,
            "at": f"{self.workspace.now():%Y-%m-%dT%H:%M:%SZ}",
            "hosts": [host.name for host in self.hosts_here()],
            **self.seen(),
            "rights": self._rights.matrix.as_json() if self._rights else None,
            "accounts": [{"mailbox": mailbox, "status": status} for mailbox, status, _ in standing],
        }
        (self.folder / "onboarding.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        return without_empty(pd.DataFrame(standing, columns=["mailbox", "status", "next_step"]))

    def seen(self) -> dict[str, Any]:
        """What else goes into the evidence."""
        return {}

    def outcome(self) -> Outcome:
        """``ok`` when every account is in step and no right is missing; ``findings`` when one is not; ``blocked`` before the first cycle."""
        statuses = [status for _, status, _ in self._statuses()]
        if not self._cycle and "Syncing" not in statuses:
            return "blocked"
        well = all(each == "Syncing" for each in statuses) and (self._rights is None or self._rights.is_well)
        return "ok" if well else "findings"

    def figures(self) -> dict[str, Any]:
        """How many accounts there are, how many are in step, and what the first cycle wrote."""
        statuses = [status for _, status, _ in self._statuses()]
        done = [result.counts() for result in self._cycle]
        return {
            **({"message": "the first cycle was not run: set apply"} if self.outcome() == "blocked" else {}),
            "accounts": len(statuses),
            "syncing": statuses.count("Syncing"),
            "made_in_outlook": sum(each["created"]["exchange"] for each in done),
            "made_in_the_crm": sum(each["created"]["crm"] for each in done),
            "failed": sum(each["failed"] for each in done),
        }

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _run(self, options: Any, what: str) -> list[CycleResult]:
        from ops_lib.sync.fleet import Fleet

        accounts = self.accounts_here()
        with progress(what, len(accounts)) as advance:
            return (
                Fleet(self.workspace)
                .run(accounts, options, threads=min(THREADS, len(accounts)), progress=advance)
                .results
            )

    def _accounts_of(self, host: Host) -> list[Account]:
        with self.workspace.database.read() as connection:
            return Accounts(connection).accounts(host=host.name)

    def _host_named(self, name: str) -> Host | None:
        with self.workspace.database.read() as connection:
            return Hosts(connection).find(name)

    def _waiting(self, hosts: Sequence[Host]) -> list[Waiting]:
        ids = {host.host_id for host in hosts}
        with self.workspace.database.read() as connection:
            return [each for each in SignInStates(connection).waiting() if each.host.host_id in ids]

    def _statuses(self) -> list[tuple[str, str, str]]:
        """Mailbox, the calendar's status, and what to do; what is not in step first."""
        from ops_lib.diagnosis.statuses import SYNCING, UNATTEMPTED, owner_and_next_step
        from ops_lib.sync.ledger import Ledger

        rows = []
        with self.workspace.database.read() as connection:
            ledger = Ledger(connection)
            for account in self.accounts_here():
                kept = ledger.status(account.account_id, "calendar")
                status = kept.status if kept is not None else UNATTEMPTED
                _, next_step = owner_and_next_step(status, kept.response_code if kept is not None else "")
                rows.append((account.mailbox, status, "" if status == SYNCING else next_step))
        return sorted(rows, key=lambda row: (row[1] == SYNCING, row[0]))


def settings_table(rows: dict[str, object]) -> pd.DataFrame:
    """Settings as they were kept, one row each."""
    import pandas as pd

    return numbered(
        pd.DataFrame({"setting": text_column(list(rows)), "value": text_column([str(each) for each in rows.values()])})
    )


def host_settings(host: Host, community: str) -> dict[str, object]:
    """A host in words; of its secret only where it lies."""
    kept = asdict(host)
    place, _, where = host.secret.partition(":")
    words = {"vault": "in the workspace's vault", "env": f"in the variable {where}", "file": "in a file"}
    return {
        "name": host.name,
        "community": community or "all communities",
        "url": host.url,
        "version": host.version,
        "signs in by": host.auth,
        "access": host.access,
        "service user": host.service_user,
        **{name.replace("_", " "): kept[name] for name in ("tenant_id", "client_id") if kept[name]},
        "secret": words.get(place, "none"),
        "all-day tasks": "yes" if host.all_day_tasks else "no",
        "send email": "yes" if host.send_email else "no",
    }


def _said(result: CycleResult) -> str:
    return str(result.error) if result.error is not None else ""


def _title(change: Any) -> str:
    entry = change.after or change.before
    if entry is not None:
        return str(entry.description)
    return str(
        change.activity.description
        if change.activity is not None
        else change.item.subject
        if change.item
        else change.key
    )


def _many(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
