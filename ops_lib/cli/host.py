"""`syncops host add | edit | list`: connections to Exchange organisations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.access.hosts import HostInput
    from ops_lib.crm.directory import Directory
    from ops_lib.model import Host

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Connections to Exchange organisations."
)

Text = str | None
Switch = bool | None
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
UrlOption = Annotated[
    Text, typer.Option(help="Of Exchange Web Services; ends in .asmx. Default: Office 365's.", show_default=False)
]
AuthOption = Annotated[
    Text, typer.Option(help="basic (default), ntlm, oauth-app, oauth-code, oauth-device.", show_default=False)
]
AccessOption = Annotated[Text, typer.Option(help="impersonation (default), delegate, direct.", show_default=False)]
VersionOption = Annotated[
    Text, typer.Option("--version", help="2013, 2016 (default), 2019, SE, 'Office 365'.", show_default=False)
]
CommunityOption = Annotated[
    Text, typer.Option(help="all (default), or the one community that this host serves.", show_default=False)
]
ServiceUserOption = Annotated[Text, typer.Option(help="The service account's name.", show_default=False)]
PasswordEnvOption = Annotated[
    Text,
    typer.Option(
        metavar="VAR",
        help="The environment variable that holds the password; its name is kept, not its value.",
        show_default=False,
    ),
]
PasswordFileOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Or the file (mode 0600) that holds it.", show_default=False)
]
SecretEnvOption = Annotated[
    Text,
    typer.Option(
        metavar="VAR", help="The environment variable that holds the client secret's value.", show_default=False
    ),
]
SecretFileOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Or the file (mode 0600) that holds it.", show_default=False)
]
TenantOption = Annotated[Text, typer.Option(metavar="GUID", help="Of the app registration.", show_default=False)]
ClientOption = Annotated[Text, typer.Option(metavar="GUID", help="Of the app registration.", show_default=False)]
AuthorityOption = Annotated[
    Text, typer.Option(metavar="URL", help="Where tokens come from, for sovereign clouds.", show_default=False)
]
TypesOption = Annotated[
    Text,
    typer.Option(
        metavar="A,B",
        help="The activity types that go to Outlook. Default: the face-to-face types.",
        show_default=False,
    ),
]
InboundOption = Annotated[
    Text,
    typer.Option(
        help="The activity type that Outlook's events become; made if missing. Default: Appointment.",
        show_default=False,
    ),
]
TasksOption = Annotated[
    Switch,
    typer.Option("--all-day-tasks/--no-all-day-tasks", help="All-day activities become tasks.", show_default=False),
]
EmailOption = Annotated[
    Switch, typer.Option("--send-email/--no-send-email", help="Users may send email.", show_default=False)
]
BundleOption = Annotated[
    Text, typer.Option(metavar="FILE", help="A private certificate authority (PEM).", show_default=False)
]
RescheduleOption = Annotated[
    Text,
    typer.Option(
        help="replace (default): a new activity stands at the new time; update: the same one moves.", show_default=False
    ),
]
ConflictOption = Annotated[
    Text, typer.Option(help="Who wins when both sides changed: latest (default), crm, exchange.", show_default=False)
]


@app.command()
def add(
    name: NameArgument,
    url: UrlOption = None,
    auth: AuthOption = None,
    access: AccessOption = None,
    version: VersionOption = None,
    community: CommunityOption = None,
    service_user: ServiceUserOption = None,
    password_env: PasswordEnvOption = None,
    password_file: PasswordFileOption = None,
    tenant_id: TenantOption = None,
    client_id: ClientOption = None,
    secret_env: SecretEnvOption = None,
    secret_file: SecretFileOption = None,
    authority: AuthorityOption = None,
    types: TypesOption = None,
    inbound_type: InboundOption = None,
    all_day_tasks: TasksOption = None,
    send_email: EmailOption = None,
    ca_bundle: BundleOption = None,
    reschedule: RescheduleOption = None,
    conflict: ConflictOption = None,
) -> None:
    """Add a host. Nothing is sent to it yet."""
    from ops_lib.access.hosts import Hosts

    entered = _entered(locals())
    with open_workspace() as workspace, workspace.database.begin() as connection:
        hosts = Hosts(connection)
        existed = hosts.find(name) is not None
        host = hosts.add(name, entered)
    typer.echo(f"host {host.name} exists already" if existed else f"added host {host.name}: {host.url}")


@app.command()
def edit(
    name: NameArgument,
    url: UrlOption = None,
    auth: AuthOption = None,
    access: AccessOption = None,
    version: VersionOption = None,
    community: CommunityOption = None,
    service_user: ServiceUserOption = None,
    password_env: PasswordEnvOption = None,
    password_file: PasswordFileOption = None,
    tenant_id: TenantOption = None,
    client_id: ClientOption = None,
    secret_env: SecretEnvOption = None,
    secret_file: SecretFileOption = None,
    authority: AuthorityOption = None,
    types: TypesOption = None,
    inbound_type: InboundOption = None,
    all_day_tasks: TasksOption = None,
    send_email: EmailOption = None,
    ca_bundle: BundleOption = None,
    reschedule: RescheduleOption = None,
    conflict: ConflictOption = None,
) -> None:
    """Change what is given; the rest stays, the accounts too. An empty text clears an option that may be empty."""
    from ops_lib.access.hosts import Hosts

    entered = _entered(locals())
    with open_workspace() as workspace, workspace.database.begin() as connection:
        host = Hosts(connection).edit(name, entered)
    typer.echo(f"changed host {host.name}")


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
        ("name", "url", "auth", "access", "version", "community", "types", "inbound type", "accounts"),
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
            )
            for row in rows
        ],
        empty="no hosts yet: syncops host add NAME",
    )


def secret_reference(
    env: str | None, file: Path | None, other_env: str | None = None, other_file: Path | None = None
) -> str | None:
    """The one reference that was given, or ``None``. **Raises** `InputError` for several."""
    from ops_lib.access import secrets

    given = [secrets.env_reference(each) for each in (env, other_env) if each is not None]
    given += [secrets.file_reference(each) for each in (file, other_file) if each is not None]
    if len(given) > 1:
        raise InputError("there is one secret, and several places were named", fix="give one of these options only.")
    for each in given:
        kind, _, where = each.partition(":")
        if kind == "env" and not os.environ.get(where):
            say(f"note: {where} is not set here; it must be where the sync runs.")
    return given[0] if given else None


def _entered(options: dict[str, Any]) -> HostInput:
    from ops_lib.access.hosts import HostInput

    fields = {name: value for name, value in options.items() if name in HostInput.__dataclass_fields__}
    fields["secret"] = secret_reference(
        options["password_env"], options["password_file"], options["secret_env"], options["secret_file"]
    )
    if options["types"] is not None:
        fields["types"] = [each for each in options["types"].split(",") if each.strip()]
    return HostInput(**fields)


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
        "accounts": accounts,
    }
