"""`syncops init`: make a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new, empty, or a workspace.")],
    database_url: Annotated[
        str | None,
        typer.Option(
            help="Default: SQLite in the folder. For PostgreSQL postgresql://USER@HOST/DATABASE; a password is better kept"
            " in SYNCOPS_DATABASE_URL.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a workspace: its settings, its database, the usual activity types.

    On a workspace it changes no setting, brings the database up to date and adds what is missing.
    """
    from ops_lib.workspace import SETTINGS_FILE, Workspace

    existed = (folder / SETTINGS_FILE).exists()
    workspace = Workspace.create(folder, database_url)
    try:
        done = "is a workspace already; its database is up to date" if existed else "is a workspace now"
        typer.echo(f"{workspace.path} {done}: {workspace.database.shown}")
        if not existed:
            typer.echo(f"Next: syncops --workspace {folder} community add NAME, user add, host add, account add, sync.")
    finally:
        workspace.close()
