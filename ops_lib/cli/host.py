"""`syncops host …`: connections to Exchange organisations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say
from ops_lib.cli.host_check import check, rotate
from ops_lib.cli.host_discover import DiscoverOptions, with_url
from ops_lib.cli.host_options import HostOptions, SecretOptions
from ops_lib.cli.options import spread
from ops_lib.cli.secrets import can_ask, forget, only_if_used

if TYPE_CHECKING:
    from ops_lib.crm.directory import Directory
    from ops_lib.model import Host

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Connections to Exchange organisations."
)

app.command()(check)
app.command()(rotate)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


@app.command()
@spread
def add(name: NameArgument, options: HostOptions, secret: SecretOptions, where: DiscoverOptions) -> None:
    """Add a host. Nothing is sent to it yet: `host check` tries it."""
    from ops_lib.access.checks import remarks
    from ops_lib.access.hosts import Hosts

    if not secret.is_given and options.needs_secret() and can_ask():
        secret = replace(secret, secret_ask=True)
    entered = options.entered(secret)
    with only_if_used(entered.secret):
        entered = with_url(entered, where)
        with open_workspace() as workspace, workspace.database.begin() as connection:
            today = workspace.now().date()
            hosts = Hosts(connection)
            existed = hosts.find(name) is not None
            host = hosts.add(name, entered, today=today)
    typer.echo(f"host {host.name} exists already" if existed else f"added host {host.name}: {host.url}")
    for remark in remarks(host, today):
        say(f"note: {remark}")


@app.command()
@spread
def edit(name: NameArgument, options: HostOptions, secret: SecretOptions) -> None:
    """Change what is given; the rest stays, the accounts too. An empty text clears an option that may be empty."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.checks import remarks
    from ops_lib.access.hosts import Hosts
    from ops_lib.access.sign_ins import SignInStates

    entered = options.entered(secret)
    with only_if_used(entered.secret), open_workspace() as workspace, workspace.database.begin() as connection:
        now = workspace.now()
        hosts = Hosts(connection)
        before = hosts.get(name)
        host = hosts.edit(name, entered, today=now.date())
        is_new_secret = entered.secret is not None or before.service_user != host.service_user
        is_new_app = host.auth.startswith("oauth") and _app_of(before) != _app_of(host)
        again = []
        if is_new_secret or is_new_app:
            changed = "the app registration" if is_new_app else "the secret"
            again = Accounts(connection).ask_again(host, now, changed)
        states = SignInStates(connection)
        asked = states.secret_changed(host, now) if is_new_secret else []
        asked = states.app_changed(host, now) if is_new_app else asked
    if entered.secret is not None and before.secret != host.secret:
        forget(before.secret)
    typer.echo(f"changed host {host.name}")
    if is_new_secret or is_new_app:
        say(
            f"note: the sign-in is new: syncops host check {host.name!r} tries it; {len(again)} accounts that were refused try again."
        )
    for each in asked:
        say(f"note: {each.mailbox} is asked to sign in again: syncops signin {each.mailbox}")
    for remark in remarks(host, now.date()):
        say(f"note: {remark}")


def _app_of(host: Host) -> tuple[str, ...]:
    """What a kept sign-in is good for."""
    return (host.auth, host.authority, host.tenant_id, host.client_id)


@app.command()
def retire(name: NameArgument) -> None:
    """Take a host out of use: its accounts rest, and nothing is removed on either side. `host restore` brings it back."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    with open_workspace() as workspace, workspace.database.begin() as connection:
        host = Hosts(connection).get(name)
        resting = Accounts(connection).retire(host, workspace.now())
    typer.echo(
        f"host {host.name} was retired already"
        if host.is_retired
        else f"host {host.name} is retired; {len(resting)} accounts rest"
    )


@app.command()
def restore(name: NameArgument) -> None:
    """Take a retired host into use again, its accounts as they were."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    with open_workspace() as workspace, workspace.database.begin() as connection:
        host = Hosts(connection).get(name)
        back = Accounts(connection).restore(host)
    typer.echo(
        f"host {host.name} is in use again; {len(back)} accounts are kept in step"
        if host.is_retired
        else f"host {host.name} is in use"
    )


@app.command("list")
def list_hosts(as_json: JsonOption = False) -> None:
    """List the hosts. Secrets are shown by where they lie."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.read() as connection:
        found = Hosts(connection).all()
        accounts = Accounts(connection).accounts()
        rows = [
            _as_json(host, Directory(connection), sum(account.host_id == host.host_id for account in accounts))
            for host in found
        ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("name", "url", "auth", "access", "version", "community", "types", "inbound type", "accounts", "in use"),
        [
            (
                row["name"],
                row["url"],
                row["auth"],
                row["access"],
                row["version"],
                row["community"],
                ", ".join(row["types"]),
                row["inbound_type"],
                row["accounts"],
                "retired" if row["retired"] else "yes",
            )
            for row in rows
        ],
        empty="no hosts yet: syncops host add NAME",
    )


def _as_json(host: Host, directory: Directory, accounts: int) -> dict[str, Any]:
    communities = {each.community_id: each.name for each in directory.communities()}
    types = {each.type_id: each.name for each in directory.activity_types()}
    return {
        "id": host.host_id,
        "name": host.name,
        "protocol": host.protocol,
        "url": host.url,
        "auth": host.auth,
        "access": host.access,
        "version": host.version,
        "community": "all" if host.community_id is None else communities[host.community_id],
        "service_user": host.service_user,
        "secret": host.secret,
        "tenant_id": host.tenant_id,
        "client_id": host.client_id,
        "authority": host.authority,
        "types": sorted(types[each] for each in host.type_ids),
        "inbound_type": types[host.inbound_type_id],
        "all_day_tasks": host.all_day_tasks,
        "send_email": host.send_email,
        "ca_bundle": host.ca_bundle,
        "reschedule": host.reschedule,
        "conflict": host.conflict,
        "redirect_uri": host.redirect_uri,
        "secret_expires": None if host.secret_expires is None else host.secret_expires.isoformat(),
        "retired": host.is_retired,
        "accounts": accounts,
    }
