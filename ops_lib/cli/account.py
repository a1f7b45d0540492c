"""`syncops account …`: whose mailbox on which host is kept in step."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, fail, open_workspace, print_json, print_table, say, yes_no
from ops_lib.cli.secrets import only_if_used, secret_reference
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.access.importing import Preview
    from ops_lib.model import Account, Host

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Whose mailbox on which host is kept in step.",
)

WhoArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The mailbox, or the user's email.")]
HostOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Where the account could be on several hosts.", show_default=False)
]


@app.command()
def add(
    user: Annotated[str, typer.Option(metavar="EMAIL", help="The CRM user.")],
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Default: the host of the user's community, else the company's.", show_default=False
        ),
    ] = None,
    email: Annotated[
        str | None, typer.Option(metavar="MAILBOX", help="The mailbox. Default: the user's email.", show_default=False)
    ] = None,
    impersonation: Annotated[
        bool, typer.Option("--impersonation", help="The account whose credentials act for every other one of its host.")
    ] = False,
    calendar: Annotated[bool, typer.Option("--calendar/--no-calendar", help="Keep the calendar in step.")] = True,
    send_email: Annotated[bool, typer.Option("--send-email", help="The user may send email.")] = False,
    all_day_tasks: Annotated[
        bool, typer.Option("--all-day-tasks", help="All-day activities become tasks, where the host has them too.")
    ] = False,
    password_env: Annotated[
        str | None,
        typer.Option(
            metavar="VAR", help="Access direct only: the environment variable with the password.", show_default=False
        ),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Or the file (mode 0600) that holds it.", show_default=False)
    ] = None,
    password_ask: Annotated[
        bool, typer.Option("--password-ask", help="Or be asked for it; kept in the vault.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Or read it from stdin into the vault.")
    ] = False,
) -> None:
    """Add a user's mailbox; its first cycle is due at once."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    secret = secret_reference(password_env, password_file, ask=password_ask, stdin=password_stdin) or ""
    with only_if_used(secret), open_workspace() as workspace, workspace.database.begin() as connection:
        accounts = Accounts(connection)
        before = len(accounts.accounts())
        account = accounts.add(
            user,
            host=host,
            mailbox=email,
            is_impersonation_account=impersonation,
            calendar=calendar,
            send_email=send_email,
            all_day_tasks=all_day_tasks,
            secret=secret,
        )
        is_new = len(accounts.accounts()) > before
        on_host = Hosts(connection).by_id(account.host_id)
    where = f"account {account.mailbox} on host {on_host.name}"
    typer.echo(f"added {where}" if is_new else f"{where} exists already; account enable and disable change it")
    if is_new:
        say_what_is_next(on_host, account)


@app.command()
def offers(
    user: Annotated[str, typer.Option(metavar="EMAIL", help="The CRM user.")], as_json: JsonOption = False
) -> None:
    """The hosts on which a user may set up their own account: those of their communities."""
    from ops_lib.access.accounts import Accounts

    with open_workspace() as workspace, workspace.database.read() as connection:
        accounts = Accounts(connection)
        offered = accounts.offered(user)
        own = {each.host_id: each for each in accounts.accounts() if each.user_email == user.strip().lower()}
    rows = [
        {
            "host": each.name,
            "signs_in": "the user" if each.access == "direct" else "the service account",
            "mailbox": own[each.host_id].mailbox if each.host_id in own else None,
            "calendar": each.host_id in own and own[each.host_id].calendar,
        }
        for each in offered
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("host", "who signs in", "own mailbox there", "calendar in step"),
        [(row["host"], row["signs_in"], row["mailbox"], yes_no(bool(row["calendar"]))) for row in rows],
        empty="no host serves this user's communities",
    )


@app.command("self")
def set_up_own(
    user: Annotated[str, typer.Option(metavar="EMAIL", help="The CRM user whose own account it is.")],
    host: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="One that is offered. Default: the only one.", show_default=False),
    ] = None,
    email: Annotated[
        str | None, typer.Option(metavar="MAILBOX", help="The mailbox. Default: the user's email.", show_default=False)
    ] = None,
    password_env: Annotated[
        str | None,
        typer.Option(metavar="VAR", help="Access direct only: the variable with the password.", show_default=False),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Or the file (mode 0600) that holds it.", show_default=False)
    ] = None,
    password_ask: Annotated[
        bool, typer.Option("--password-ask", help="Or be asked for it; kept in the vault.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Or read it from stdin into the vault.")
    ] = False,
) -> None:
    """A user's own account, calendar and email on, on a host that is offered to them; `account disable` turns it off."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    secret = secret_reference(password_env, password_file, ask=password_ask, stdin=password_stdin) or ""
    with open_workspace() as workspace, workspace.database.begin() as connection:
        account = Accounts(connection).set_up_own(user, host=host, mailbox=email, secret=secret)
        on_host = Hosts(connection).by_id(account.host_id)
    typer.echo(f"account {account.mailbox} on host {on_host.name}: calendar yes, send email yes")
    say_what_is_next(on_host, account)


def say_what_is_next(host: Host, account: Account) -> None:
    """What happens now with an account that was set up."""
    if not account.calendar:
        return
    if host.auth in ("oauth-code", "oauth-device"):
        who = account.mailbox if host.access == "direct" else f"the service account of host {host.name}"
        say(f"note: {who} must have signed in (syncops signin); until then the account waits.")
    else:
        say("note: its first cycle is due now: syncops sync --pending")


@app.command("import")
def import_accounts(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a first line that names its columns.")],
    apply: Annotated[
        bool, typer.Option("--apply", help="Write it, if every row is good. Without it: a preview.")
    ] = False,
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="For rows that name no host.", show_default=False)
    ] = None,
    lines: Annotated[
        str | None, typer.Option(metavar="2-40,57", help="Only the rows on these lines.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add many accounts: a preview names each row's fault; with --apply all are added, or none. Exit code 1: a preview with faults."""
    from ops_lib.access import importing

    data, chosen = _content(file), _ranges(lines)
    with open_workspace() as workspace:
        transaction = workspace.database.begin if apply else workspace.database.read
        with transaction() as connection:
            found = importing.preview(connection, data, subject=str(file), host=host, lines=chosen)
            faults = found.count("fault")
            if apply and not faults:
                importing.apply(connection, found)
    applied = apply and not faults
    if as_json:
        print_json(_import_as_json(found, file, applied))
    else:
        _show_import(found, applied)
    if apply and faults:
        fail(
            f"{file}: {faults} of {len(found.rows)} rows have a fault, and nothing was written. To mend it: correct them, or choose the good rows with --lines."
        )
    if faults:
        raise typer.Exit(1)


@app.command("list")
def list_accounts(
    host: Annotated[str | None, typer.Option(metavar="NAME", show_default=False)] = None,
    user: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="The user, or the mailbox.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the accounts, and how each calendar stands."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts
    from ops_lib.cli.sync import statuses

    with open_workspace() as workspace, workspace.database.read() as connection:
        hosts = {each.host_id: each for each in Hosts(connection).all()}
        accounts = Accounts(connection)
        found = accounts.accounts(host=host, who=user)
        pending = {each.account_id for each in accounts.pending(found)}
        stand = {
            (row["host"], row["account"]): row for row in statuses(workspace, found) if row["process"] == "calendar"
        }
    rows = [
        {
            "id": each.account_id,
            "host": hosts[each.host_id].name,
            "user": each.user_email,
            "mailbox": each.mailbox,
            "impersonation": each.is_impersonation_account,
            "calendar": each.calendar,
            "send_email": each.send_email,
            "all_day_tasks": each.all_day_tasks,
            "secret": each.secret,
            "host_retired": hosts[each.host_id].is_retired,
            "pending": each.account_id in pending,
            "status": stand[hosts[each.host_id].name, each.mailbox]["status"],
            "last_success": stand[hosts[each.host_id].name, each.mailbox]["last_success"],
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("host", "user", "mailbox", "impersonation", "calendar", "send email", "all-day tasks", "status"),
        [
            (
                row["host"],
                row["user"],
                row["mailbox"],
                *(yes_no(bool(row[name])) for name in ("impersonation", "calendar", "send_email", "all_day_tasks")),
                "host retired"
                if row["host_retired"]
                else "pending: first cycle due"
                if row["pending"]
                else row["status"],
            )
            for row in rows
        ],
        empty="no accounts yet: syncops account add --user EMAIL",
    )


@app.command()
def enable(
    account: WhoArgument,
    host: HostOption = None,
    calendar: Annotated[bool, typer.Option("--calendar/--no-calendar", help="Keep the calendar in step.")] = True,
    send_email: Annotated[bool | None, typer.Option("--send-email/--no-send-email", show_default=False)] = None,
    all_day_tasks: Annotated[
        bool | None, typer.Option("--all-day-tasks/--no-all-day-tasks", show_default=False)
    ] = None,
) -> None:
    """Keep an account in step again; and turn on or off what is named."""
    from ops_lib.access.accounts import Accounts

    with open_workspace() as workspace, workspace.database.begin() as connection:
        accounts = Accounts(connection)
        changed = accounts.enable(
            accounts.one(account, host=host), calendar=calendar, send_email=send_email, all_day_tasks=all_day_tasks
        )
    typer.echo(
        f"account {changed.mailbox}: calendar {yes_no(changed.calendar)}, send email {yes_no(changed.send_email)},"
        f" all-day tasks {yes_no(changed.all_day_tasks)}"
    )


@app.command()
def disable(account: WhoArgument, host: HostOption = None) -> None:
    """Stop keeping an account in step. What stands on either side stays."""
    from ops_lib.access.accounts import Accounts

    with open_workspace() as workspace, workspace.database.begin() as connection:
        accounts = Accounts(connection)
        changed = accounts.disable(accounts.one(account, host=host))
    typer.echo(f"account {changed.mailbox} is no longer kept in step")


@app.command("begin-anew")
def begin_anew(
    account: Annotated[
        list[str] | None, typer.Argument(metavar="ACCOUNT...", help="Mailboxes, or users' emails.", show_default=False)
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="All of this host's, or these on it.", show_default=False)
    ] = None,
) -> None:
    """After a move to a server without the mailbox's content: what is the CRM's is made there again, and nothing counts as deleted.

    What lies in the mailbox already is found again and not made twice. Nothing is removed on either side.
    """
    from ops_lib.access.succession import begin_anew as forget
    from ops_lib.cli.sync import chosen_accounts

    if not account and not host:
        raise InputError("it says of no account that it begins anew", fix="name accounts, or a host with --host.")
    with open_workspace() as workspace:
        chosen = chosen_accounts(workspace, account, host)
        with workspace.database.begin() as connection:
            counts = [forget(connection, each) for each in chosen]
    for each, count in zip(chosen, counts, strict=True):
        typer.echo(f"account {each.mailbox} begins anew: {count} entries are looked for, and made where they are not")


# ── importing ────────────────────────────────────────────────────────────────────────────────────────────────────────
def _content(file: Path) -> bytes:
    try:
        return file.expanduser().read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", subject=str(file), fix="name a CSV file.") from None


def _ranges(lines: str | None) -> list[range]:
    """Lines as people name them: ``2-40,57``."""
    found = []
    for part in (lines or "").split(","):
        first, _, last = (each.strip() for each in part.partition("-"))
        if not part.strip():
            continue
        if not first.isdecimal() or (last and not last.isdecimal()) or int(last or first) < int(first):
            raise InputError(f"{part.strip()} names no lines", subject="lines", fix="write them as 2-40,57.")
        found.append(range(int(first), int(last or first) + 1))
    return found


def _import_as_json(found: Preview, file: Path, applied: bool) -> dict[str, Any]:
    return {
        "file": str(file),
        "encoding": found.sheet.encoding,
        "separator": found.sheet.separator,
        "ignored_columns": list(found.sheet.ignored),
        "rows": [asdict(row) for row in found.rows],
        "counts": {outcome: found.count(outcome) for outcome in ("new", "exists", "fault")},
        "applied": applied,
    }


def _show_import(found: Preview, applied: bool) -> None:
    """The rows with faults first; of the good ones those that say something, and how many there are."""
    told = sorted((row for row in found.rows if row.reason), key=lambda row: (row.outcome != "fault", row.line))
    if told:
        print_table(
            ("line", "user", "mailbox", "host", "", "field", "why", "to mend it"),
            [(r.line, r.user, r.mailbox, r.host, r.outcome, r.field, r.reason, r.fix) for r in told],
            empty="",
        )
    if found.sheet.ignored:
        say(f"note: columns that mean nothing here: {', '.join(found.sheet.ignored)}")
    new, exists, faults = (found.count(outcome) for outcome in ("new", "exists", "fault"))
    typer.echo(
        f"{new} {'added' if applied else 'new'}, {exists} exist already, {faults} with a fault"
        f" ({found.sheet.encoding}, separated by {found.sheet.separator})"
    )
    if not applied and not faults and new:
        say("note: nothing was written yet; --apply writes it.")
