"""`syncops account …`: whose mailbox on which host is kept in step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say, yes_no
from ops_lib.cli.host_options import secret_reference

if TYPE_CHECKING:
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
) -> None:
    """Add a user's mailbox; its first cycle is due at once."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    secret = secret_reference(password_env, password_file) or ""
    with open_workspace() as workspace, workspace.database.begin() as connection:
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
) -> None:
    """A user's own account, calendar and email on, on a host that is offered to them; `account disable` turns it off."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    secret = secret_reference(password_env, password_file) or ""
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
