"""`syncops vault …`: what the workspace keeps encrypted, and its key."""

from __future__ import annotations

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What the workspace keeps encrypted: secrets that were typed in, and sign-ins.",
)


@app.command("list")
def list_entries(as_json: JsonOption = False) -> None:
    """List what is in the vault, never the values."""
    with open_workspace() as workspace:
        rows = [{"kind": kind, "name": name} for kind, _, name in (each.partition("/") for each in workspace.vault.names())]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    print_table(("kind", "name"), [(row["kind"], row["name"]) for row in rows], empty="the vault is empty")


@app.command("rotate-key")
def rotate_key() -> None:
    """Seal everything under a new key. A key in the environment: set SYNCOPS_VAULT_NEW_KEY to the new one first."""
    with open_workspace() as workspace:
        where = workspace.vault.rotate_key()
    typer.echo(f"the vault has a new key; {where}")


@app.command("new-key")
def new_key() -> None:
    """Print a new key, for SYNCOPS_VAULT_KEY or a key file. Changes nothing."""
    from ops_lib.access.vault_keys import Key

    typer.echo(Key.new().text())
