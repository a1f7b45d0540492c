"""`syncops capture ACCOUNT -o FILE`: a diagnosis with all its traffic as one scrubbed file, to be judged somewhere else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.diagnosis.capturing import Captured


def capture(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The mailbox or the user.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="The account's host, where it is on several.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long looking may take as a whole.")] = 90.0,
    as_json: JsonOption = False,
) -> None:
    """Diagnose an account and keep how the servers answered: addresses, names, texts, ids, hosts and secrets become stand-ins.

    `syncops diagnose --cassette FILE` judges the file, offline, on any machine. Only looks; nothing is written but the file.
    Exit code 0: the file is written, whatever is wrong with the account; 2: it is not.
    """
    from ops_lib.access.accounts import Accounts
    from ops_lib.diagnosis.capturing import capture as captured
    from ops_lib.mailbox.traffic import cassettes

    if not force and (output.exists() or output.is_symlink()):
        raise InputError("there is a file of that name", subject=str(output), fix="name another, or --force.")
    if not output.absolute().parent.is_dir():
        raise InputError("there is no such folder", subject=str(output.parent), fix="make it, or name another.")
    with open_workspace() as workspace:
        with workspace.database.read() as connection:
            found = Accounts(connection).one(account, host=host)
        made = captured(workspace, found, deadline_seconds=seconds)
    cassettes.write(made.cassette, output, over=force)
    if as_json:
        print_json(document(made, output))
        return
    for line in lines(made, output):
        typer.echo(line)


def document(made: Captured, output: Path) -> dict[str, Any]:
    """What `capture --json` prints."""
    manifest = made.cassette.manifest
    return {
        "file": str(output),
        "account": made.facts.account,
        "account_in_file": manifest["account"]["mailbox"],
        "host": made.facts.host,
        "captured_at": manifest["captured_at"],
        "requests": made.requests,
        "unanswered": len(made.cassette.unanswered),
        "looks": len(made.cassette.looks),
        "replaced": manifest["replaced"],
        "stand_ins": manifest["stand_ins"],
        "sha256": manifest["sha256"],
    }


_WHAT = {
    "address": "addresses", "body": "bodies that were replaced whole", "host": "hosts", "id": "ids", "last look": "left-overs that the last look found",
    "name": "names", "secret": "secrets", "sync state": "sync states", "text": "texts", "word": "words of servers' texts",
}  # fmt: skip


def lines(made: Captured, output: Path) -> list[str]:
    """What was captured, for a person."""
    manifest = made.cassette.manifest
    unanswered = len(made.cassette.unanswered)
    without = f", {unanswered} of them without an answer" if unanswered else ""
    counts = ", ".join(f"{count} {_WHAT.get(kind, kind)}" for kind, count in manifest["replaced"].items() if count)
    return [
        f"{output}: {made.facts.account} on host {made.facts.host}, {made.requests} requests{without}",
        f"in it     the account is {manifest['account']['mailbox']}",
        f"replaced  {counts or 'nothing'}",
        f"stand-ins {manifest['stand_ins']}",
        f"sha256    {manifest['sha256']}",
        f"to judge  syncops diagnose --cassette {output}",
    ]
