"""`syncops rights …`: who may do what in whose mailbox, what is missing for the sync, and the script that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, say
from ops_lib.cli.sync import AccountOption, HostOption, chosen_accounts
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.access.rights_store import Kept
    from ops_lib.model import Host
    from ops_lib.workspace import Workspace

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Who may do what in whose mailbox, and what mends it.",
)


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
    service_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another way the service account is written in those files (display name, DOMAIN\\name); may be repeated.",
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
    changes: Annotated[
        bool,
        typer.Option("--changes", help="Show only what has changed since the last check, and exit by that alone."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge every right of every account: what has changed since the last check, then what is wrong, worst first.

    Exit code 1: something that the sync needs is missing or could not be seen. With --changes: only if it was
    there at the last check, or its user was added since.
    """
    from ops_lib.cli.progress import account_progress
    from ops_lib.cli.rights_shown import document, show
    from ops_lib.diagnosis.permissions import Wish, by_host
    from ops_lib.diagnosis.permissions import check as check_host

    if not ews and not from_csv:
        raise InputError("there is nothing to judge", subject="--no-ews", fix="name a file with --from-csv.")
    if service_name and not from_csv:
        raise InputError(
            "there is no file to read the name in", subject="--service-name", fix="name it with --from-csv."
        )
    wish = Wish(tuple(from_csv or ()), ews, try_sending, threads, tuple(service_name or ()))
    with open_workspace() as workspace:
        chosen = by_host(workspace, chosen_accounts(workspace, account, host))
        if not chosen:
            raise InputError(
                "it is retired, and nobody works through it",
                subject=f"host {host}" if host else "their host",
                fix="syncops host restore NAME.",
            )
        found = [check_host(workspace, each, mine, wish, shown=account_progress) for each, mine in chosen]
        if as_json:
            print_json({"hosts": [document(each, workspace.now()) for each in found]})
        else:
            for each in found:
                show(each, only_changes=changes)
        if any(each.is_worse if changes else not each.is_well for each in found):
            raise typer.Exit(1)


@app.command()
def script(
    host: Annotated[str, typer.Option(metavar="NAME", help="Whose last check to mend.")],
    undo: Annotated[bool, typer.Option("--undo", help="The script that takes the mending one back.")] = False,
    setup: Annotated[
        bool, typer.Option("--setup", help="The set-up of acting for the host's accounts, before any check.")
    ] = False,
    whole_organisation: Annotated[
        bool,
        typer.Option(
            "--whole-organisation",
            help="With --setup, on premises: the role without a scope. It opens every mailbox of the organisation.",
        ),
    ] = False,
    collect: Annotated[
        bool, typer.Option("--collect", help="The script that collects what `rights check --from-csv` reads.")
    ] = False,
    private_items: Annotated[
        bool, typer.Option("--private-items", help="Also let delegates see private items.")
    ] = False,
    enterprise_object_id: Annotated[
        str,
        typer.Option(
            metavar="ID",
            help="Office 365: the object id of the enterprise application (Entra > Enterprise applications); asked for in the script without it.",
            show_default=False,
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write it there, as Windows PowerShell reads it.", show_default=False
        ),
    ] = None,
) -> None:
    """Print the PowerShell that mends exactly what the last check of a host found missing. It is run by the customer's administrator."""
    from ops_lib.access import powershell

    if undo + setup + collect > 1:
        raise InputError("--undo, --setup and --collect are three scripts", subject=host, fix="ask for one at a time.")
    if whole_organisation and not setup:
        raise InputError("it is a way to set up", subject="--whole-organisation", fix="give it together with --setup.")
    if enterprise_object_id and (undo or collect):
        raise InputError(
            "that script does not need it",
            subject="--enterprise-object-id",
            fix="leave it out; the set-up and the mending script take it.",
        )
    with open_workspace() as workspace:
        found, mailboxes, last = _known(workspace, host)
    if undo:
        text = powershell.undo_script(found)
    elif setup:
        text = powershell.impersonation_script(
            found, mailboxes, whole_organisation=whole_organisation, enterprise_object_id=enterprise_object_id
        )
        if not mailboxes:
            say(f"note: {found.name} has no accounts yet; add them and run the script again")
    elif collect:
        text = powershell.collect_script(found, mailboxes)
    else:
        text = _mending(found, last, private_items=private_items, enterprise_object_id=enterprise_object_id)
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


def _known(workspace: Workspace, name: str) -> tuple[Host, list[str], Kept | None]:
    """The host, the mailboxes that it is used for, and its last check."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts
    from ops_lib.access.rights import is_used
    from ops_lib.access.rights_store import RightsChecks

    with workspace.database.read() as connection:
        host = Hosts(connection).get(name)
        accounts = Accounts(connection).accounts(host=host.name)
        last = RightsChecks(connection).last(host)
    return host, [a.mailbox for a in accounts if is_used(host, a) and not a.is_impersonation_account], last


def _mending(host: Host, last: Kept | None, *, private_items: bool, enterprise_object_id: str) -> str:
    from ops_lib.access import powershell
    from ops_lib.diagnosis.permissions import is_blind

    if last is None:
        raise InputError(
            "its permissions have not been checked yet, so nothing is known to mend",
            subject=f"host {host.name}",
            fix=f"syncops rights check --host {host.name!r}.",
        )
    text = powershell.mend_script(
        last.matrix, host, private_items=private_items, enterprise_object_id=enterprise_object_id
    )
    red = last.matrix.red()
    mended = len(powershell.to_mend(last.matrix))
    blind = sum(is_blind(row) for row in last.matrix.rows())
    say(
        f"note: mends {mended} of {len(red)} rights found missing at {last.checked_at:%Y-%m-%d %H:%M} UTC"
        + ("" if mended == len(red) else "; a comment in the script says what the others need")
    )
    if blind:
        say(f"note: {blind} rights that the sync needs could not be seen; nothing is written for them")
    return text
