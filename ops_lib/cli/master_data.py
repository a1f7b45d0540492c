"""`syncops community | user | activity-type | individual`: the CRM's master data."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say, yes_no


def _group(help_text: str) -> typer.Typer:
    return typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help=help_text)


community = _group("The sites of the customer.")
user = _group("The CRM's users.")
activity_type = _group("The types of activities: what goes to Outlook is chosen by type.")
individual = _group("The prospects and residents that activities are for.")

ZoneOption = Annotated[
    str, typer.Option("--time-zone", metavar="ZONE", help="An IANA name, such as America/New_York.", show_default=False)
]


# ── communities ──────────────────────────────────────────────────────────────────────────────────────────────────────
@community.command("add")
def add_community(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    time_zone: ZoneOption = "",
) -> None:
    """Add a community; without --time-zone it has the workspace's."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.begin() as connection:
        directory = Directory(connection)
        before = len(directory.communities())
        added = directory.add_community(name, time_zone=time_zone or workspace.settings.default_time_zone)
        is_new = len(directory.communities()) > before
    typer.echo(_added("community", added.name, is_new))


@community.command("list")
def list_communities(as_json: JsonOption = False) -> None:
    """List the communities."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.read() as connection:
        found = Directory(connection).communities()
    rows = [{"id": each.community_id, "name": each.name, "time_zone": each.time_zone} for each in found]
    _show(rows, as_json, empty="no communities yet: syncops community add NAME")


# ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@user.command("add")
def add_user(
    email: Annotated[str, typer.Option(help="Who they are, everywhere.")],
    name: Annotated[str, typer.Option(help="As people call them.")],
    communities: Annotated[
        list[str] | None, typer.Option("--community", metavar="NAME", help="Where they belong; may be repeated.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="A CRM administrator.")] = False,
    time_zone: ZoneOption = "",
) -> None:
    """Add a CRM user; one that exists keeps everything and joins the communities named.

    Without --time-zone: the first community's, else the workspace's.
    """
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.begin() as connection:
        directory = Directory(connection)
        before = {each.email: each for each in directory.users()}
        added = directory.add_user(
            email,
            name,
            community_names=communities or [],
            time_zone=time_zone,
            default_time_zone=workspace.settings.default_time_zone,
            is_admin=admin,
        )
        names = {each.community_id: each.name for each in directory.communities()}
    old = before.get(added.email)
    joined = [names[each] for each in added.community_ids if old is not None and each not in old.community_ids]
    typer.echo(_added("user", added.email, old is None) + (f"; joined {', '.join(joined)}" if joined else ""))


@user.command("list")
def list_users(as_json: JsonOption = False) -> None:
    """List the CRM's users."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.read() as connection:
        directory = Directory(connection)
        names = {each.community_id: each.name for each in directory.communities()}
        found = directory.users()
    rows = [
        {
            "id": each.user_id,
            "email": each.email,
            "name": each.name,
            "time_zone": each.time_zone,
            "admin": each.is_admin,
            "communities": [names[community_id] for community_id in each.community_ids],
        }
        for each in found
    ]
    _show(rows, as_json, empty="no users yet: syncops user add --email E --name N")


# ── activity types ───────────────────────────────────────────────────────────────────────────────────────────────────
@activity_type.command("add")
def add_activity_type(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    master_type: Annotated[str, typer.Option(help="The vendor's master type, by which reports count.")] = "",
    face_to_face: Annotated[
        bool, typer.Option("--face-to-face", help="Goes to Outlook on every host that names no types of its own.")
    ] = False,
) -> None:
    """Add an activity type."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.begin() as connection:
        directory = Directory(connection)
        before = len(directory.activity_types())
        added = directory.add_activity_type(name, master_type=master_type, is_face_to_face=face_to_face)
        is_new = len(directory.activity_types()) > before
    typer.echo(_added("activity type", added.name, is_new))


@activity_type.command("list")
def list_activity_types(as_json: JsonOption = False) -> None:
    """List the activity types."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.read() as connection:
        found = Directory(connection).activity_types()
    rows = [
        {
            "id": each.type_id,
            "name": each.name,
            "master_type": each.master_type,
            "face_to_face": each.is_face_to_face,
        }
        for each in found
    ]
    _show(rows, as_json, empty="no activity types yet: syncops activity-type add NAME")


# ── individuals ──────────────────────────────────────────────────────────────────────────────────────────────────────
@individual.command("add")
def add_individual(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    kind: Annotated[str, typer.Option(help="prospect, resident, contact or referral.")] = "prospect",
    email: Annotated[str, typer.Option(help="Where mail reaches them.", show_default=False)] = "",
    community_name: Annotated[str, typer.Option("--community", metavar="NAME", show_default=False)] = "",
) -> None:
    """Add an individual; prints {"id": …}, which is what activity add --for takes."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.begin() as connection:
        directory = Directory(connection)
        before = len(directory.individuals())
        added = directory.add_individual(name, kind=kind, email=email, community_name=community_name)
        is_new = len(directory.individuals()) > before
    say(_added("individual", added.name, is_new))
    print_json({"id": added.individual_id}, compact=True)


@individual.command("list")
def list_individuals(as_json: JsonOption = False) -> None:
    """List the individuals."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.read() as connection:
        directory = Directory(connection)
        names = {each.community_id: each.name for each in directory.communities()}
        found = directory.individuals()
    rows = [
        {
            "id": each.individual_id,
            "name": each.name,
            "kind": each.kind,
            "email": each.email,
            "community": names.get(each.community_id or ""),
        }
        for each in found
    ]
    _show(rows, as_json, empty="no individuals yet: syncops individual add NAME")


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _added(what: str, name: str, is_new: bool) -> str:
    return f"added {what} {name}" if is_new else f"{what} {name} exists already"


def _show(rows: list[dict[str, Any]], as_json: bool, *, empty: str) -> None:
    if as_json:
        print_json(rows)
        return
    columns = list(rows[0]) if rows else []
    print_table(columns, [[_cell(row[column]) for column in columns] for row in rows], empty=empty)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return yes_no(value)
    return ", ".join(value) if isinstance(value, list) else value
