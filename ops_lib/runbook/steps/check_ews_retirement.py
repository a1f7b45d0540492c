"""The steps of `check_ews_retirement`: which hosts and accounts stop working, when, why, and what is to be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.diagnosis import retirement
from ops_lib.diagnosis.sub_causes import EWS_ENDS, SUB_CAUSES
from ops_lib.errors import InputError
from ops_lib.runbook.session import Opened, Outcome, Run, Sentence
from ops_lib.runbook.tables import numbered, without_empty

if TYPE_CHECKING:
    import pandas as pd

    from ops_lib.diagnosis.retirement import Ending
    from ops_lib.model import Account, Host

_WORST_FIRST = ("over", "ends", "watch", "goes on")


@dataclass(frozen=True)
class _Seen:
    """What the workspace's own records hold: hosts in use with what ends for them, their accounts, and who is refused already."""

    day: date
    hosts: tuple[tuple[Host, list[Ending], list[Account]], ...]
    refused: dict[str, tuple[str, str]]


class Steps(Run):
    """Read the records once; every later step shows a part of what they come to. No server is asked."""

    _seen: _Seen | None = None

    @classmethod
    def open_demo(cls) -> Opened:
        """The made-up customer, one of whose communities has its mailboxes in Exchange Online."""
        from ops_lib.runbook.demo import for_notebook
        from ops_lib.runbook.retirement_story import half_online

        return Opened(*for_notebook(half_online))

    def read(self, *, day: str = "") -> Sentence:
        """Read the hosts and accounts, and judge them as of ``day`` (YYYY-MM-DD; empty: today). **Raises** `InputError`."""
        from ops_lib.diagnosis.shown import standings

        as_of = _day(day) if day else self.workspace.now().date()
        with self.workspace.database.read() as connection:
            hosts = [each for each in Hosts(connection).all() if not each.is_retired]
            accounts = Accounts(connection).accounts(enabled_only=True)
            stand = standings(self.workspace, connection, accounts)
        refused = {
            account.account_id: (each.status, SUB_CAUSES[each.sub_cause].title)
            for account, _, process, each in stand
            if process == "calendar" and each.sub_cause in retirement.BLOCKED
        }
        self._seen = _Seen(
            as_of,
            tuple(
                (host, retirement.endings(host, as_of), [each for each in accounts if each.host_id == host.host_id])
                for host in hosts
            ),
            refused,
        )
        return Sentence(self._headline())

    def hosts(self) -> pd.DataFrame | Sentence:
        """What ends for each host: one row a host and thing, what is over first, then by day."""
        import pandas as pd

        seen = self._read
        if not seen.hosts:
            return Sentence("**There is no host yet**: begin with [onboard_host](onboard_host.ipynb).")
        rows = [
            {
                "verdict": _verdict(each),
                "host": host.name,
                "is": retirement.kind(host),
                "accounts": len(accounts),
                "what": each.what,
                "when": _when(each, seen.day),
                "why": each.why,
                "who_acts": each.owner,
                "next_step": each.next_step,
            }
            for host, ends, accounts in seen.hosts
            for each in ends
        ]
        rows.sort(key=lambda row: _WORST_FIRST.index(str(row["verdict"])))
        return without_empty(pd.DataFrame(rows))

    def accounts(self) -> pd.DataFrame | Sentence:
        """Whose calendar stops, who is refused already first: one row an account of a host that loses EWS."""
        import pandas as pd

        rows = []
        for host, ends, accounts in self._read.hosts:
            first = retirement.works_until([each for each in ends if each.what != "the host's secret"])
            for account in accounts:
                status, said = self._read.refused.get(account.account_id, ("", ""))
                if status or first.when != "goes on":
                    when = "refused now" if status else _when(first, self._read.day)
                    rows.append((account.mailbox, host.name, when, status, said or first.why))
        if not rows:
            return Sentence("**Nobody's calendar stops**: no host in use loses EWS.")
        rows.sort(key=lambda row: (not row[3], row[0]))
        return without_empty(pd.DataFrame(rows, columns=["mailbox", "host", "works_until", "status", "why"]))

    def dates(self) -> pd.DataFrame:
        """Microsoft's dates, in their order, and how far away each is."""
        import pandas as pd

        today = self._read.day
        rows = [(each.day.isoformat(), _distance(each.day, today), each.what, each.concerns) for each in retirement.MILESTONES]  # fmt: skip
        return numbered(pd.DataFrame(rows, columns=["day", "is", "what", "concerns"]))

    def commands(self) -> Sentence:
        """What the tenant's administrator runs for each host in Exchange Online: first what only looks, then what keeps EWS on until it ends."""
        parts = [_commands(host) for host, _, _ in self._read.hosts if retirement.is_online(host)]
        if not parts or self._read.day >= EWS_ENDS:
            return Sentence("No command is needed." if not parts else "No command brings EWS back after that day.")
        return Sentence("```powershell\n" + "\n\n".join(parts) + "\n```")

    def outcome(self) -> Outcome:
        """``findings`` where something is over or ends, ``ok`` where all goes on, ``blocked`` without any host."""
        seen = self._read
        if not seen.hosts:
            return "blocked"
        is_well = all(each.verdict == "ok" for _, ends, _ in seen.hosts for each in ends)
        return "ok" if is_well and not seen.refused else "findings"

    def figures(self) -> dict[str, Any]:
        """How many hosts there are and how many lose EWS, how many accounts with them, and how many are refused already."""
        seen = self._seen
        if seen is None:
            return {}
        online = [(host, accounts) for host, _, accounts in seen.hosts if retirement.is_online(host)]
        return {
            **({} if seen.hosts else {"message": "there is no host yet"}),
            "hosts": len(seen.hosts),
            "hosts_that_lose_ews": len(online),
            "accounts_that_lose_ews": sum(len(accounts) for _, accounts in online),
            "refused_now": len(seen.refused),
            "days_left": max((EWS_ENDS - seen.day).days, 0) if online else None,
        }

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def _read(self) -> _Seen:
        if self._seen is None:
            raise InputError("nothing has been read yet", subject=self.stem, fix="run the cell with run.read(…) first.")
        return self._seen

    def _headline(self) -> str:
        from ops_lib.reports.words import counted

        figures = self.figures()
        lose, of = figures["hosts_that_lose_ews"], figures["hosts"]
        if not lose:
            return f"**None of {counted(of, 'host')} loses EWS.**"
        days = figures["days_left"]
        when = f"in {counted(days, 'day')}, on {EWS_ENDS}, at the latest" if days else f"on {EWS_ENDS}"
        said = f"**{lose} of {counted(of, 'host')} {'loses' if days else 'lost'} EWS {when}: {counted(figures['accounts_that_lose_ews'], 'account')}.**"
        now = figures["refused_now"]
        return f"{said} {counted(now, 'account')} {'is' if now == 1 else 'are'} refused already." if now else said


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text} is no day", subject="day", fix="write it as 2027-04-01.") from None


def _verdict(ending: Ending) -> str:
    if ending.verdict == "ok":
        return "goes on"
    if ending.when == "goes on":
        return "watch"
    return "over" if ending.verdict == "fail" else "ends"


def _when(ending: Ending, today: date) -> str:
    if ending.day is None:
        return "no end is announced"
    if ending.when == "any day":
        return f"any day, since {ending.day}"
    return f"{ending.day} ({_distance(ending.day, today)})"


def _distance(day: date, today: date) -> str:
    from ops_lib.reports.words import counted

    days = (day - today).days
    return "today" if days == 0 else f"in {counted(days, 'day')}" if days > 0 else f"{counted(-days, 'day')} ago"


def _commands(host: Host) -> str:
    name = "".join(each if each.isprintable() else "?" for each in host.name)
    app = host.client_id or "CLIENT-ID"
    return "\n".join(
        [
            f"# {name}: what only looks",
            "Get-OrganizationConfig | Format-List EwsEnabled,EwsApplicationAccessPolicy,EwsAllowList,EwsBlockList",
            "Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy | Format-List EwsAllowedAppIDs",
            "# what keeps EWS on: this replaces the whole list, so write down those that are on it as well (up to a day)",
            f'Set-OrganizationConfig -EwsAllowedAppIDs "{app},OTHER-APP-IDS"',
            "Set-OrganizationConfig -EwsEnabled $true   # about an hour",
            "# one mailbox alone",
            "Get-CASMailbox -Identity USER | Format-List EwsEnabled",
            "Set-CASMailbox -Identity USER -EwsEnabled $true",
        ]
    )
