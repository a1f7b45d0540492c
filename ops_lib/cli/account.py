"""`syncops account add | list | enable | disable`: whose mailbox on which host is kept in step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, yes_no
from ops_lib.cli.host_options import secret_reference

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
    """Add a user's mailbox; it is kept in step from the next cycle on."""
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
        host_name = Hosts(connection).by_id(account.host_id).name
    where = f"account {account.mailbox} on host {host_name}"
    typer.echo(f"added {where}" if is_new else f"{where} exists already; account enable and disable change it")


@app.command("list")
def list_accounts(
    host: Annotated[str | None, typer.Option(metavar="NAME", show_default=False)] = None,
    user: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="The user, or the mailbox.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the accounts."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    with open_workspace() as workspace, workspace.database.read() as connection:
        names = {each.host_id: each.name for each in Hosts(connection).all()}
        found = Accounts(connection).accounts(host=host, who=user)
    rows = [
        {
            "id": each.account_id,
            "host": names[each.host_id],
            "user": each.user_email,
            "mailbox": each.mailbox,
            "impersonation": each.is_impersonation_account,
            "calendar": each.calendar,
            "send_email": each.send_email,
            "all_day_tasks": each.all_day_tasks,
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("host", "user", "mailbox", "impersonation", "calendar", "send email", "all-day tasks"),
        [
            (
                row["host"],
                row["user"],
                row["mailbox"],
                *(yes_no(bool(row[name])) for name in ("impersonation", "calendar", "send_email", "all_day_tasks")),
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
