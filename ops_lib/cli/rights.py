"""`syncops rights …`: who may do what in whose mailbox, what is missing for the sync, and the script that mends it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say
from ops_lib.cli.sync import AccountOption, HostOption, chosen_accounts
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

    from ops_lib.access.powershell_evidence import Evidence
    from ops_lib.access.powershell_output import Output
    from ops_lib.access.rights import Cell, Drift, Matrix, Row
    from ops_lib.access.rights_ews import Collected, Progress
    from ops_lib.access.rights_findings import Finding
    from ops_lib.model import Account, Host
    from ops_lib.workspace import Workspace

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Who may do what in whose mailbox, and what mends it.",
)

_VERDICTS = {"missing": "missing", "unknown": "unknown", "more": "more than needed", "ok": "ok"}


@dataclass(frozen=True, slots=True)
class Checked:
    """One host's matrix and what goes with it. ``drift`` is None for a first check."""

    host: Host
    matrix: Matrix
    collected: Collected | None
    previous: datetime | None
    drift: tuple[Drift, ...] | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether everything the sync needs is there, and was seen."""
        return not any(row.is_red or _is_blind(row) for row in self.matrix.rows())


@app.command()
def check(
    host: HostOption = None,
    account: AccountOption = None,
    from_csv: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Output of the administrator's cmdlets (CSV, JSON or copied text) to judge beside; may be repeated.",
            show_default=False,
        ),
    ] = None,
    ews: Annotated[
        bool, typer.Option("--ews/--no-ews", help="Ask the server itself; without, judge files only.")
    ] = True,
    try_sending: Annotated[
        bool,
        typer.Option(
            "--try-sending/--no-try-sending",
            help="Find out a delegate's Send As by a message that is submitted for next year and removed at once.",
        ),
    ] = True,
    threads: Annotated[int, typer.Option(min=1, max=64, help="How many mailboxes at a time.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Judge every right of every account, worst first, and what has changed since the last check.

    Exit code 1: something that the sync needs is missing or could not be seen.
    """
    if not ews and not from_csv:
        raise InputError("there is nothing to judge", subject="--no-ews", fix="name a file with --from-csv.")
    with open_workspace() as workspace:
        accounts = chosen_accounts(workspace, account, host)
        found = [
            _checked(workspace, each, mine, from_csv or [], ews=ews, sends=try_sending, threads=threads)
            for each, mine in _by_host(workspace, accounts)
        ]
        if as_json:
            print_json({"hosts": [_document(each, workspace.now()) for each in found]})
        else:
            for each in found:
                _show(each)
        if not all(each.is_well for each in found):
            raise typer.Exit(1)


@app.command()
def script(
    host: Annotated[str, typer.Option(metavar="NAME", help="Whose last check to mend.")],
    undo: Annotated[bool, typer.Option("--undo", help="The script that takes the mending one back.")] = False,
    setup: Annotated[
        bool, typer.Option("--setup", help="The set-up of acting for the host's accounts, before any check.")
    ] = False,
    collect: Annotated[
        bool, typer.Option("--collect", help="The script that collects what `rights check --from-csv` reads.")
    ] = False,
    private_items: Annotated[
        bool, typer.Option("--private-items", help="Also let delegates see private items.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write it there, as Windows PowerShell reads it.", show_default=False
        ),
    ] = None,
) -> None:
    """Print the PowerShell that mends exactly what the last check of a host found missing. It is run by the customer's administrator."""
    from ops_lib.access import powershell
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts
    from ops_lib.access.rights_store import RightsChecks

    if undo + setup + collect > 1:
        raise InputError("--undo, --setup and --collect are three scripts", subject=host, fix="ask for one at a time.")
    with open_workspace() as workspace, workspace.database.read() as connection:
        found = Hosts(connection).get(host)
        mailboxes = [
            each.mailbox for each in Accounts(connection).accounts(host=found.name) if not each.is_impersonation_account
        ]
        last = RightsChecks(connection).last(found)
    if undo:
        text = powershell.undo_script(found)
    elif setup:
        text = powershell.impersonation_script(found, mailboxes)
    elif collect:
        text = powershell.collect_script(found, mailboxes)
    else:
        if last is None:
            raise InputError(
                "its permissions have not been checked yet, so nothing is known to mend",
                subject=f"host {found.name}",
                fix=f"syncops rights check --host {found.name!r}.",
            )
        text = powershell.mend_script(last.matrix, found, private_items=private_items)
        blind = sum(1 for row in last.matrix.rows() if _is_blind(row))
        say(f"note: mends {len(last.matrix.red())} rights found missing at {last.checked_at:%Y-%m-%d %H:%M} UTC")
        if blind:
            say(f"note: {blind} rights that the sync needs could not be seen; nothing is written for them")
    if output is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        output.write_bytes(powershell.file_bytes(text))
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})", subject=str(output), fix="name a file that can be."
        ) from None
    say(f"wrote {output}")


# ── checking ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _by_host(workspace: Workspace, accounts: Sequence[Account]) -> list[tuple[Host, list[Account]]]:
    from ops_lib.access.hosts import Hosts

    with workspace.database.read() as connection:
        hosts = Hosts(connection).all()
    mine = [(host, [each for each in accounts if each.host_id == host.host_id]) for host in hosts]
    return [(host, found) for host, found in mine if found]


def _checked(
    workspace: Workspace,
    host: Host,
    accounts: Sequence[Account],
    files: Sequence[Path],
    *,
    ews: bool,
    sends: bool,
    threads: int,
) -> Checked:
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.rights import Matrix, Source, judge
    from ops_lib.access.rights_findings import findings
    from ops_lib.access.rights_store import RightsChecks

    cells: list[Cell] = []
    sources: list[Source] = []
    notes: list[str] = []
    evidence = _from_files(workspace, host, accounts, files) if files else None
    if evidence is not None:
        notes += evidence.notes
        cells += judge(host, accounts, evidence.observations, "powershell")
        sources.append("powershell")
    collected = None
    if ews:
        collected, more = _over_ews(workspace, host, accounts, sends=sends, threads=threads)
        notes += more
        cells += judge(host, accounts, collected.observations, "ews")
        sources.append("ews")
    matrix = Matrix(host=host.name, access=host.access, service_user=host.service_user, cells=tuple(cells))
    with workspace.database.begin() as connection:
        everybody = [each.mailbox for each in Accounts(connection).accounts(host=host.name)]
        checks = RightsChecks(connection)
        last = checks.last(host)
        found = checks.keep(host, matrix, workspace.now(), all_users=everybody, sources=sources)
    return Checked(
        host,
        matrix,
        collected,
        last.checked_at if last else None,
        found,
        findings(host, matrix, evidence, workspace.now().date()),
        tuple(notes),
    )


def _over_ews(
    workspace: Workspace, host: Host, accounts: Sequence[Account], *, sends: bool, threads: int
) -> tuple[Collected, list[str]]:
    """What the server shows, and what a person should know of how it was found out."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.rights_ews import collect
    from ops_lib.access.rights_sending import service_address, to_try, try_sending

    access, seconds = workspace.access, workspace.settings.request_timeout_seconds
    with _progress(host, len(accounts)) as progress:
        collected = collect(
            host,
            accounts,
            secret=access.secrets,
            sign_ins=access,
            clock=workspace.now,
            threads=min(threads, len(accounts)),
            timeout_seconds=seconds,
            progress=progress,
        )
    with workspace.database.read() as connection:
        service = service_address(host, Accounts(connection).accounts(host=host.name))
    tried = to_try(host, accounts, collected.opened, service) if sends and collected.halted is None else []
    if not tried:
        return collected, []
    told, requests, notes = try_sending(
        host, tried, service, secret=access.secrets, sign_ins=access, clock=workspace.now, timeout_seconds=seconds
    )
    return collected.with_told(told, requests), notes


def _from_files(workspace: Workspace, host: Host, accounts: Sequence[Account], files: Sequence[Path]) -> Evidence:
    """What the cmdlets' output proves. **Raises** `InputError` for a file that cannot be read."""
    from ops_lib.access.powershell_evidence import observe
    from ops_lib.access.powershell_output import read_output
    from ops_lib.crm.directory import Directory

    outputs: list[Output] = []
    for file in files:
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
    return observe(outputs, host, accounts, mailbox_names=known)


@contextmanager
def _progress(host: Host, total: int) -> Iterator[Progress]:
    """A bar on the terminal; silent when it is none."""
    if not sys.stderr.isatty() or total < 2:
        yield lambda account: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"looking at {host.name}", total=total)
        yield lambda account: bar.update(task, advance=1, description=account.mailbox)


# ── showing ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _is_blind(row: Row) -> bool:
    """Whether something that the sync needs could not be seen."""
    return row.verdict == "unknown" and row.expected == "needed"


def _document(found: Checked, now: datetime) -> dict[str, Any]:
    from ops_lib.sync.mapping import instant_text

    collected = found.collected
    return {
        "host": found.host.name,
        "access": found.host.access,
        "service_user": found.host.service_user,
        "checked_at": instant_text(now),
        "previous_check": instant_text(found.previous) if found.previous else None,
        "requests": collected.requests if collected is not None else 0,
        "stopped": str(collected.halted) if collected is not None and collected.halted is not None else None,
        "matrix": [
            {
                "user": row.user,
                "right": row.right.value,
                "verdict": row.verdict,
                "expected": row.expected.value,
                "red": row.is_red,
                "why": row.why,
                "disagreement": row.disagreement,
                "ews": _side(row.ews),
                "powershell": _side(row.powershell),
            }
            for row in found.matrix.rows()
        ],
        "drift": None
        if found.drift is None
        else [
            {
                "user": each.user,
                "change": each.change,
                "right": each.right.value if each.right else None,
                "before": each.before,
                "after": each.after,
            }
            for each in found.drift
        ],
        "findings": [asdict(each) for each in found.findings],
        "notes": list(found.notes),
    }


def _side(cell: Cell | None) -> dict[str, str] | None:
    if cell is None:
        return None
    return {
        "verdict": cell.verdict,
        "holds": cell.holds.value,
        "observed": cell.observed,
        "evidence": cell.evidence,
        "why": cell.why,
    }


def _show(found: Checked) -> None:
    rows = found.matrix.rows()
    users = found.matrix.users
    red = {row.user for row in rows if row.is_red}
    blind = {row.user for row in rows if _is_blind(row)} - red
    typer.echo(
        f"{found.host.name} ({found.host.access}): {len(users)} mailboxes; {len(red)} with something missing, "
        f"{len(blind)} more that could not be seen whole, {len(users) - len(red) - len(blind)} as they should be."
    )
    if found.collected is not None and found.collected.halted is not None:
        typer.echo(f"The server was not asked any further: {found.collected.halted}")
    print_table(
        ("user", "right", "verdict", "what was seen", "why"),
        _lines(rows),
        empty="Every right is as the sync needs it, and none is more.",
    )
    for row in rows:
        if row.disagreement:
            typer.echo(f"{row.user}, {row.right.value}: the sources disagree: {row.disagreement}")
    _show_drift(found)
    said = [
        (each.verdict, each.subject, each.observed, each.cause, each.next_step)
        for each in found.findings
        if each.verdict != "ok" and each.check != "more_than_needed"  # that is in the table above already
    ]
    if said:
        print_table(("verdict", "about", "what was seen", "cause", "next step"), said, empty="")
    for note in found.notes:
        say(f"note: {note}")
    if red:
        say(f"The script that mends it: syncops rights script --host {found.host.name!r}")


_Line = tuple[str, str, str, str, str]


def _lines(rows: Sequence[Row]) -> list[_Line]:
    """One line for what one user lacks for one reason; what is as it should be is left out."""
    lines: dict[tuple[str, str, str, str], list[str]] = {}
    for row in rows:
        if row.verdict == "ok" or (row.verdict == "unknown" and row.expected in ("allowed", "not needed")):
            continue
        verdict = _VERDICTS[row.verdict] if row.is_red or row.verdict != "missing" else "missing, wanted"
        seen = "; ".join(
            f"{cell.source}: {cell.observed}"
            for cell in (row.ews, row.powershell)
            if cell is not None and cell.observed
        )
        lines.setdefault((row.user, verdict, seen, row.why), []).append(row.right.value.replace("_", " "))
    return _together(
        [(user, ", ".join(rights), verdict, seen, why) for (user, verdict, seen, why), rights in lines.items()]
    )


_MANY = 3


def _together(lines: Sequence[_Line]) -> list[_Line]:
    """What could not be seen of many users for one reason becomes one line."""
    reasons: dict[tuple[str, str], list[_Line]] = {}
    for line in lines:
        if line[2] == "unknown":
            reasons.setdefault((line[1], line[4]), []).append(line)
    found = []
    for line in lines:
        same = reasons.get((line[1], line[4]), []) if line[2] == "unknown" else []
        if len(same) <= _MANY:
            found.append(line)
        elif line is same[0]:
            found.append((f"{line[0]} and {len(same) - 1} more", *line[1:]))
    return found


def _show_drift(found: Checked) -> None:
    if found.drift is None:
        typer.echo("This is the first check: the next one shows what has changed since.")
        return
    since = f"{found.previous:%Y-%m-%d %H:%M} UTC" if found.previous else "the last check"
    lost_sight = [each for each in found.drift if each.change == "no longer known"]
    rows = [
        (each.user, each.change, each.right.value.replace("_", " ") if each.right else "", each.before, each.after)
        for each in found.drift
        if each.change != "no longer known"
    ]
    what = "Nothing that could be seen" if lost_sight else "Nothing"
    print_table(("user", f"since {since}", "right", "before", "now"), rows, empty=f"{what} has changed since {since}.")
    if lost_sight:
        users = len({each.user for each in lost_sight})
        typer.echo(f"{len(lost_sight)} rights of {users} users were known at {since} and could not be seen now.")
