"""Who holds which right over whom, and whether it is what the host needs: the matrix user × right. Pure.

Two sources fill it: requests over EWS (what really happens) and the output of the administrator's cmdlets (what was granted).
Each says what it saw as an ``Observation``; ``judge`` sets it beside what the host needs. What could not be seen is ``unknown``, never ``ok``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from ops_lib.errors import InputError
from ops_lib.model import Access, Account, Host


class Right(StrEnum):
    """What is looked at for every mailbox, in the order a person mends it."""

    MAILBOX = "mailbox"
    EWS_ENABLED = "ews_enabled"
    IMPERSONATION = "impersonation"
    CALENDAR_READ = "calendar_read"
    CALENDAR_WRITE = "calendar_write"
    TASKS_READ = "tasks_read"
    TASKS_WRITE = "tasks_write"
    PRIVATE_ITEMS = "private_items"
    SEND_AS = "send_as"
    SEND_ON_BEHALF = "send_on_behalf"


#: the rights that an impersonating caller has because it acts as the mailbox's own user
ACTS_AS_OWNER = (
    Right.CALENDAR_READ,
    Right.CALENDAR_WRITE,
    Right.TASKS_READ,
    Right.TASKS_WRITE,
    Right.PRIVATE_ITEMS,
    Right.SEND_AS,
)


FOLDER_RIGHTS = (Right.CALENDAR_READ, Right.CALENDAR_WRITE, Right.TASKS_READ, Right.TASKS_WRITE)
OTHER_KIND = "of another kind"
"""Said of a default folder that holds something else than it should: no permission mends that."""


class Need(StrEnum):
    """What a host asks of a right, for one account.

    ``WANTED``: the sync runs without it, at the price that ``why`` names. ``ALLOWED``: comes with another right, nothing to judge.
    """

    NEEDED = "needed"
    WANTED = "wanted"
    ALLOWED = "allowed"
    UNNEEDED = "not needed"


class Holds(StrEnum):
    """Whether a right is held. ``EXCESS``: held, by a grant that gives more than the right asks for (Owner where Editor will do)."""

    YES = "yes"
    NO = "no"
    EXCESS = "more"
    UNKNOWN = "unknown"


Verdict = Literal["ok", "missing", "more", "unknown"]
Source = Literal["ews", "powershell"]
WORST_FIRST: tuple[Verdict, ...] = ("missing", "unknown", "more", "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one source saw of one right. ``observed`` in the source's own words; ``evidence`` the request or line, verbatim; ``why`` where it is not plain."""

    user: str
    right: Right
    holds: Holds
    observed: str
    evidence: str
    source: Source
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One judged observation. ``user`` is the mailbox's address in small letters; ``red`` what a mending script takes up."""

    user: str
    right: Right
    verdict: Verdict
    expected: Need
    holds: Holds
    observed: str
    evidence: str
    source: Source
    why: str = ""

    @property
    def is_red(self) -> bool:
        """Whether the sync cannot work like this."""
        return self.verdict == "missing" and self.expected is Need.NEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One user's one right with what both sources say. ``disagreement`` is "" where they agree or only one knows."""

    user: str
    right: Right
    verdict: Verdict
    expected: Need
    ews: Cell | None
    powershell: Cell | None
    disagreement: str = ""

    @property
    def is_red(self) -> bool:
        """Whether the sync cannot work like this."""
        return self.verdict == "missing" and self.expected is Need.NEEDED

    @property
    def why(self) -> str:
        """The reason of the cell that decided the verdict."""
        for cell in (self.ews, self.powershell):
            if cell is not None and cell.verdict == self.verdict:
                return cell.why
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Every cell of one host, from one or both sources."""

    host: str
    access: Access
    service_user: str
    cells: tuple[Cell, ...]

    @property
    def users(self) -> tuple[str, ...]:
        """The mailboxes, in the order of their addresses."""
        return tuple(sorted({cell.user for cell in self.cells}))

    def rows(self) -> tuple[Row, ...]:
        """Both sources side by side, worst first, then by user."""
        found: dict[tuple[str, Right], dict[Source, Cell]] = {}
        for cell in self.cells:
            found.setdefault((cell.user, cell.right), {})[cell.source] = cell
        order = list(Right)
        rows = [_row(user, right, sides) for (user, right), sides in found.items()]
        return tuple(
            sorted(rows, key=lambda r: (not r.is_red, WORST_FIRST.index(r.verdict), r.user, order.index(r.right)))
        )

    def red(self) -> tuple[Row, ...]:
        """What has to be mended, by user and right."""
        order = list(Right)
        return tuple(sorted((r for r in self.rows() if r.is_red), key=lambda r: (r.user, order.index(r.right))))

    def with_cells(self, cells: Iterable[Cell]) -> Matrix:
        """The same matrix with another source's cells beside it."""
        return replace(self, cells=(*self.cells, *cells))

    def as_json(self) -> dict[str, Any]:
        """The matrix as plain JSON: what is kept of a check."""
        return asdict(self)


def matrix_of_json(kept: Mapping[str, Any]) -> Matrix:
    """The matrix that was kept. **Raises** `InputError` for what is no kept matrix."""
    try:
        cells = tuple(
            Cell(**{**c, "right": Right(c["right"]), "expected": Need(c["expected"]), "holds": Holds(c["holds"])})
            for c in kept["cells"]
        )
        return Matrix(host=kept["host"], access=kept["access"], service_user=kept["service_user"], cells=cells)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"this is no kept check of permissions ({type(error).__name__}: {error})",
            subject="permissions",
            fix="run the check again; it is compared from then on",
        ) from None


def _row(user: str, right: Right, sides: Mapping[Source, Cell]) -> Row:
    ews, powershell = sides.get("ews"), sides.get("powershell")
    known = [cell for cell in (ews, powershell) if cell is not None and cell.verdict != "unknown"]
    any_cell = known[0] if known else next(iter(sides.values()))
    verdict: Verdict = min((cell.verdict for cell in known), key=WORST_FIRST.index) if known else "unknown"
    disagreement = ""
    if ews is not None and powershell is not None and len(known) == 2:
        held = {cell.holds is not Holds.NO for cell in known}
        if len(held) == 2:
            disagreement = (
                f"over EWS: {ews.observed}; from PowerShell: {powershell.observed}. A change takes up to two hours to show over EWS; "
                "if it stays, the grant is for another account or comes through a group"
            )
    return Row(
        user=user,
        right=right,
        verdict=verdict,
        expected=any_cell.expected,
        ews=ews,
        powershell=powershell,
        disagreement=disagreement,
    )


# ── what a host needs ────────────────────────────────────────────────────────────────────────────────────────────────
def is_used(host: Host, account: Account) -> bool:
    """Whether the sync does anything with this account: keeps its calendar in step, sends its mail, or acts through it for others."""
    return account.calendar or (host.send_email and account.send_email) or account.is_impersonation_account


def needs(host: Host, account: Account) -> dict[Right, Need]:
    """What this account's sync asks of each right, by the host's access type and what is enabled (P1, P2).

    Of an account that was disabled nothing is needed, and what the service account may still do there is more than that.
    """
    tasks = host.all_day_tasks and account.all_day_tasks and account.calendar
    sends = host.send_email and account.send_email
    not_enabled = Need.UNNEEDED if host.access == "delegate" else Need.ALLOWED
    reached = Need.NEEDED if is_used(host, account) else Need.ALLOWED
    asked = {
        Right.MAILBOX: reached,
        Right.EWS_ENABLED: reached,
        Right.IMPERSONATION: Need.NEEDED
        if host.access == "impersonation" and reached is Need.NEEDED
        else Need.UNNEEDED,
        Right.CALENDAR_READ: Need.NEEDED if account.calendar else not_enabled,
        Right.CALENDAR_WRITE: Need.NEEDED if account.calendar else not_enabled,
        Right.TASKS_READ: Need.NEEDED if tasks else not_enabled,
        Right.TASKS_WRITE: Need.NEEDED if tasks else not_enabled,
        Right.PRIVATE_ITEMS: (Need.WANTED if account.calendar else not_enabled)
        if host.access == "delegate"
        else Need.ALLOWED,
        Right.SEND_AS: Need.NEEDED if sends else not_enabled,
        Right.SEND_ON_BEHALF: not_enabled,
    }
    if account.is_impersonation_account:  # it acts for others; its own mailbox only has to be reachable
        for right in (*ACTS_AS_OWNER, Right.IMPERSONATION, Right.SEND_ON_BEHALF):
            asked[right] = Need.ALLOWED
    return asked


_WHY_MISSING = {
    Right.MAILBOX: "no mailbox answers at this address",
    Right.EWS_ENABLED: "Exchange Web Services are switched off for it",
    Right.IMPERSONATION: "the service account may not act for this user",
    Right.CALENDAR_READ: "the calendar cannot be read: nothing of Outlook reaches the CRM",
    Right.CALENDAR_WRITE: "the calendar cannot be written to: nothing of the CRM reaches Outlook",
    Right.TASKS_READ: "the tasks cannot be read: all-day activities cannot be kept in step",
    Right.TASKS_WRITE: "the tasks cannot be written to: all-day activities do not reach Outlook",
    Right.PRIVATE_ITEMS: "private events stay unseen: the CRM does not show them as busy time",
    Right.SEND_AS: "mail from the CRM cannot be sent as this user",
    Right.SEND_ON_BEHALF: "mail from the CRM cannot be sent on behalf of this user",
}


def verdict_of(expected: Need, holds: Holds) -> Verdict:
    """What a right that is held like this comes to where this is expected."""
    if holds is Holds.UNKNOWN:
        return "unknown"
    if holds is Holds.NO:
        return "missing" if expected in {Need.NEEDED, Need.WANTED} else "ok"
    if expected is Need.UNNEEDED or (holds is Holds.EXCESS and expected is not Need.ALLOWED):
        return "more"
    return "ok"


def judge_one(expected: Need, seen: Observation) -> Cell:
    """One observation, judged."""
    verdict = verdict_of(expected, seen.holds)
    why = seen.why
    if not why and verdict == "missing":
        why = _WHY_MISSING[seen.right]
    elif not why and verdict == "more":
        why = "it is granted and not needed" if expected is Need.UNNEEDED else "the grant gives more than this asks for"
    elif not why and verdict == "unknown":
        why = "it could not be seen"
    return Cell(
        user=seen.user.lower(),
        right=seen.right,
        verdict=verdict,
        expected=expected,
        holds=seen.holds,
        observed=seen.observed,
        evidence=seen.evidence,
        source=seen.source,
        why=why,
    )


def judge(host: Host, accounts: Sequence[Account], seen: Iterable[Observation], source: Source) -> tuple[Cell, ...]:
    """One source's cells for every account and right, in the accounts' order.

    What nobody saw is ``unknown``. Observations that contradict each other are ``unknown`` too, with both. Mailboxes of no account are left out.
    """
    by_key: dict[tuple[str, Right], list[Observation]] = {}
    for each in seen:
        if each.source == source:
            by_key.setdefault((each.user.lower(), each.right), []).append(each)
    cells = []
    for account in accounts:
        user = account.mailbox.lower()
        for right, expected in needs(host, account).items():
            cell = judge_one(expected, _one(user, right, by_key.get((user, right), []), source))
            if cell.verdict == "more" and not is_used(host, account):
                cell = replace(cell, why="the account is disabled: nothing of this is needed any more")
            cells.append(cell)
    return tuple(cells)


def _one(user: str, right: Right, seen: Sequence[Observation], source: Source) -> Observation:
    if not seen:
        why = "nothing that was read speaks of it" if source == "powershell" else "it was not looked at"
        return Observation(
            user=user, right=right, holds=Holds.UNKNOWN, observed="not seen", evidence="", source=source, why=why
        )
    if len({each.holds for each in seen}) == 1:
        return seen[0]
    known = [each for each in seen if each.holds is not Holds.UNKNOWN]
    held = {each.holds for each in known}
    if len(held) == 1 or held == {Holds.YES, Holds.EXCESS}:
        return next((each for each in known if each.holds is Holds.EXCESS), known[0])
    return replace(
        seen[0],
        holds=Holds.UNKNOWN,
        observed="; ".join(dict.fromkeys(each.observed for each in known)),
        evidence="; ".join(dict.fromkeys(each.evidence for each in known)),
        why="what was read contradicts itself; take the output again, for all users at one time",
    )


# ── drift ────────────────────────────────────────────────────────────────────────────────────────────────────────────
Drifted = Literal["lost", "narrowed", "gained", "user added", "user gone", "no longer known", "still not known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What changed between two checks; ``still not known`` is said of what was out of sight at the last one already. ``right`` is None for a user who came or went; ``after`` says then what a user who came still lacks."""

    user: str
    change: Drifted
    right: Right | None = None
    before: str = ""
    after: str = ""


def drift(before: Matrix, after: Matrix) -> tuple[Drift, ...]:
    """What came and went since the last check (P6), losses first.

    No drift is a right that was unknown and is known now, and one that nobody needs and that could not be seen.
    """
    added, gone = set(after.users) - set(before.users), set(before.users) - set(after.users)
    changes = [Drift(user=user, change="user gone") for user in gone]
    rows = after.rows() if added else ()
    changes += [
        Drift(user=user, change="user added", after=_lacking([row for row in rows if row.user == user]))
        for user in added
    ]
    was = {(cell.user, cell.right, cell.source): cell for cell in before.cells}
    for cell in after.cells:
        old = was.get((cell.user, cell.right, cell.source))
        if old is None or old.holds is Holds.UNKNOWN or old.holds == cell.holds:
            continue
        change: Drifted = "gained"
        if cell.holds is Holds.UNKNOWN:
            if cell.expected in (Need.ALLOWED, Need.UNNEEDED):
                continue
            change = "no longer known"
        elif cell.holds is Holds.NO:
            change = "lost"
        elif old.holds is Holds.EXCESS:
            change = "narrowed"
        changes.append(Drift(user=cell.user, change=change, right=cell.right, before=old.observed, after=cell.observed))
    order = ("lost", "user gone", "no longer known", "user added", "gained", "narrowed")
    unique = dict.fromkeys(changes)
    return tuple(sorted(unique, key=lambda d: (order.index(d.change), d.user, d.right or "")))


def _lacking(rows: Sequence[Row]) -> str:
    """What of all that the sync needs is lacking in a user's rows, in words."""
    needed = [row for row in rows if row.expected is Need.NEEDED]
    said = []
    for verdict, words in (("missing", "missing"), ("unknown", "not seen")):
        rights = [row.right.value.replace("_", " ") for row in needed if row.verdict == verdict]
        said += [f"{words}: {', '.join(rights)}"] if rights else []
    return "; ".join(said) or "has all that is needed"
