"""One check of a host's permissions, whole: asked over EWS, read from the administrator's files, judged, kept, and compared with the last one.

The command line and the notebook `verify_permissions` both call `check`; what they show of it is their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.access.locks import file_lock
from ops_lib.access.powershell_evidence import Evidence, observe
from ops_lib.access.powershell_output import Output, read_output
from ops_lib.access.rights import Cell, Drift, Matrix, Row, Source, judge
from ops_lib.access.rights_ews import Collected, Progress, collect
from ops_lib.access.rights_findings import Finding, findings
from ops_lib.access.rights_sending import not_tried, service_address, to_try, try_sending
from ops_lib.access.rights_store import Kept, RightsChecks
from ops_lib.crm.directory import Directory
from ops_lib.errors import InputError, WorkspaceError
from ops_lib.model import Account, Host
from ops_lib.workspace import Workspace

WAIT_SECONDS = 60.0
"""So long a check waits for another one that tries sending through the same host."""


OUT_OF_SIGHT = ("no longer known", "still not known")
"""The changes that say no more than that a right could not be seen this time."""


class Shown(Protocol):
    """What makes a progress display for a number of accounts."""

    def __call__(self, what: str, total: int) -> AbstractContextManager[Progress]: ...


@contextmanager
def silent(what: str, total: int) -> Iterator[Progress]:
    """No display at all."""
    yield lambda account: None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a check is to look at. ``service_names``: further ways the service account is written in the administrator's files."""

    files: tuple[Path, ...] = ()
    over_ews: bool = True
    try_sending: bool = True
    threads: int = 4
    service_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """One host's matrix and what goes with it. ``drift`` is None for a first check, ``collected`` where the server was not asked."""

    host: Host
    matrix: Matrix
    collected: Collected | None
    compared_with: Kept | None
    drift: tuple[Drift, ...] | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def previous(self) -> datetime | None:
        """When the check was made that this one is compared with."""
        return self.compared_with.checked_at if self.compared_with is not None else None

    @property
    def is_well(self) -> bool:
        """Whether everything the sync needs is there, and was seen."""
        return not any(row.is_red or is_blind(row) for row in self.matrix.rows())

    @property
    def is_worse(self) -> bool:
        """Whether the sync needs something now that it had at the last check, or that a user added since does not have.

        A server that did not let us look is no good news either, however long it has been so.
        """
        is_halted = self.collected is not None and self.collected.halted is not None
        if self.drift is None or is_halted:
            return not self.is_well
        wanting = {(row.user, row.right) for row in self.matrix.rows() if row.is_red or is_blind(row)}
        added = {each.user for each in self.drift if each.change == "user added"}
        lost = {(each.user, each.right) for each in self.drift if each.change in ("lost", "no longer known")}
        return any((user, right) in lost or user in added for user, right in wanting)


def is_blind(row: Row) -> bool:
    """Whether something that the sync needs could not be seen."""
    return row.verdict == "unknown" and row.expected == "needed"


# ── in words ─────────────────────────────────────────────────────────────────────────────────────────────────────────
VERDICT_WORDS = {"missing": "missing", "unknown": "unknown", "more": "more than needed", "ok": "ok"}
_MANY = 3


@dataclass(frozen=True, slots=True)
class Line:
    """What one user lacks, or has too much, for one reason. ``others``: so many more of whom the same could not be seen."""

    user: str
    rights: tuple[str, ...]
    verdict: str
    seen: str
    why: str
    evidence: str
    others: int = 0

    @property
    def who(self) -> str:
        """The user, and how many more."""
        return f"{self.user} and {self.others} more" if self.others else self.user


def verdict_words(row: Row) -> str:
    """The row's verdict as it is shown."""
    return VERDICT_WORDS[row.verdict] if row.is_red or row.verdict != "missing" else "missing, wanted"


def summary(checked: Checked) -> str:
    """A host's check in one sentence."""
    rows, users = checked.matrix.rows(), checked.matrix.users
    red = {row.user for row in rows if row.is_red}
    blind = {row.user for row in rows if is_blind(row)} - red
    number = "1 mailbox" if len(users) == 1 else f"{len(users)} mailboxes"
    return (
        f"{checked.host.name} ({checked.host.access}): {number}; {len(red)} with something missing, "
        f"{len(blind)} more that could not be seen whole, {len(users) - len(red) - len(blind)} as they should be."
    )


def lines_of(matrix: Matrix) -> list[Line]:
    """What is not as it should be, worst first: one line for what one user lacks for one reason, and for what could not be seen of many."""
    found: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in matrix.rows():
        if row.verdict == "ok" or (row.verdict == "unknown" and row.expected in ("allowed", "not needed")):
            continue
        cells = [cell for cell in (row.ews, row.powershell) if cell is not None and cell.observed]
        seen = "; ".join(f"{cell.source}: {cell.observed}" for cell in cells)
        found.setdefault((row.user, verdict_words(row), seen, row.why), []).append(row)
    lines = [
        Line(
            user,
            tuple(row.right.value.replace("_", " ") for row in rows),
            verdict,
            seen,
            why,
            "; ".join(dict.fromkeys(c.evidence for row in rows for c in (row.ews, row.powershell) if c and c.evidence)),
        )
        for (user, verdict, seen, why), rows in found.items()
    ]
    return _together(lines)


def _together(lines: Sequence[Line]) -> list[Line]:
    """What could not be seen of many users for one reason becomes one line."""
    reasons: dict[tuple[tuple[str, ...], str], list[Line]] = {}
    for line in lines:
        if line.verdict == "unknown":
            reasons.setdefault((line.rights, line.why), []).append(line)
    found = []
    for line in lines:
        same = reasons.get((line.rights, line.why), []) if line.verdict == "unknown" else []
        if len(same) <= _MANY:
            found.append(line)
        elif line is same[0]:
            found.append(replace(line, others=len(same) - 1))
    return found


# ── checking ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def by_host(workspace: Workspace, accounts: Sequence[Account]) -> list[tuple[Host, list[Account]]]:
    """The accounts by their host, hosts in their order; hosts without any, and retired ones, are left out."""
    with workspace.database.read() as connection:
        hosts = Hosts(connection).all()
    mine = [(host, [each for each in accounts if each.host_id == host.host_id]) for host in hosts]
    return [(host, found) for host, found in mine if found and not host.is_retired]


def check(
    workspace: Workspace,
    host: Host,
    accounts: Sequence[Account],
    wish: Wish | None = None,
    *,
    shown: Shown = silent,
    since: Kept | None = None,
) -> Checked:
    """Look at the accounts' rights, judge them, keep the check, and say what has changed since the one before, or ``since`` an earlier one.

    **Raises** `InputError` for a file that cannot be read, before anything is asked. What is wrong with the server is part of the result.
    """
    wish = wish or Wish()
    cells: list[Cell] = []
    sources: list[Source] = []
    notes: list[str] = []
    evidence = _from_files(workspace, host, accounts, wish) if wish.files else None
    if evidence is not None:
        notes += evidence.notes
        cells += judge(host, accounts, evidence.observations, "powershell")
        sources.append("powershell")
    collected = None
    if wish.over_ews:
        collected, more = _over_ews(workspace, host, accounts, wish, shown)
        notes += more
        cells += judge(host, accounts, collected.observations, "ews")
        sources.append("ews")
    matrix = Matrix(host=host.name, access=host.access, service_user=host.service_user, cells=tuple(cells))
    with workspace.database.begin() as connection:
        everybody = [each.mailbox for each in Accounts(connection).accounts(host=host.name)]
        checks = RightsChecks(connection)
        compared_with = since or checks.last(host)
        found = checks.keep(host, matrix, workspace.now(), all_users=everybody, sources=sources, since=compared_with)
    return Checked(
        host,
        matrix,
        collected,
        compared_with,
        found,
        findings(host, matrix, evidence, workspace.now().date()),
        tuple(notes),
    )


# ── over EWS ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _over_ews(
    workspace: Workspace, host: Host, accounts: Sequence[Account], wish: Wish, shown: Shown
) -> tuple[Collected, list[str]]:
    """What the server shows, and what a person should know of how it was found out."""
    access, seconds = workspace.access, workspace.settings.request_timeout_seconds
    how: dict[str, Any] = {
        "secret": access.secrets,
        "sign_ins": access,
        "clock": workspace.now,
        "timeout_seconds": seconds,
    }
    with shown(f"looking at {host.name}", len(accounts)) as progress:
        collected = collect(host, accounts, threads=min(wish.threads, len(accounts)), progress=progress, **how)
    with workspace.database.read() as connection:
        service = service_address(host, Accounts(connection).accounts(host=host.name))
    tried = to_try(host, accounts, collected.opened, service) if wish.try_sending else []
    if not tried:
        return collected, []
    if collected.halted is not None:
        return collected.with_told(not_tried(tried, collected.halted.message, workspace.now()), 0), []
    try:
        # Each check removes what an earlier one that was killed has left: two at once would remove each other's.
        with file_lock(
            workspace.path / f"rights-{host.host_id}.lock", WAIT_SECONDS, f"the trial of sending for {host.name}"
        ):
            told, requests, notes = try_sending(host, tried, service, **how)
    except WorkspaceError as error:
        return collected.with_told(not_tried(tried, error.message, workspace.now()), 0), []
    return collected.with_told(told, requests), notes


# ── from files ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _from_files(workspace: Workspace, host: Host, accounts: Sequence[Account], wish: Wish) -> Evidence:
    """What the cmdlets' output proves. **Raises** `InputError` for a file that cannot be read."""
    outputs: list[Output] = []
    for file in wish.files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise InputError(
                f"cannot be read ({error.strerror})", subject=str(file), fix="name a file that is there."
            ) from None
        outputs += read_output(content, file.name)
    with workspace.database.read() as connection:
        names = {each.user_id: each.name for each in Directory(connection).users()}
    known = [(names[each.user_id], each.mailbox) for each in accounts if each.user_id in names]
    return observe(outputs, host, accounts, service_names=wish.service_names, mailbox_names=known)
