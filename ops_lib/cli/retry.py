"""`syncops retry`: what could not be written or read gets another try; and what of that `syncops status` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table
from ops_lib.cli.sync import AccountOption, chosen_accounts

if TYPE_CHECKING:
    from ops_lib.sync.failures import Failure


def retry(
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]…", help="What `syncops status` names: activity:ID (or ID), item:ID.", show_default=False
        ),
    ] = None,
    account: AccountOption = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that failed or was set aside.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let the next cycle try again what failed or was set aside after four tries, with all its tries."""
    from ops_lib.errors import InputError
    from ops_lib.sync.failures import put_back

    if bool(keys) == every:
        raise InputError("say what is to be tried again", fix="name keys (syncops status shows them), or --all.")
    with open_workspace() as workspace:
        accounts = chosen_accounts(workspace, account, None)
        with workspace.database.begin() as connection:
            chosen = put_back(connection, accounts, workspace.now(), None if every else keys)
    if as_json:
        print_json({"retried": [{"account": each.account, **as_document(each)} for each in chosen]})
    else:
        print_failures(chosen, empty="Nothing waits for another try.")
        if chosen:
            typer.echo("The next cycle tries them: syncops sync.")


def as_document(failure: Failure) -> dict[str, Any]:
    """What failed, as `status --json` and `retry --json` print it."""
    from ops_lib.sync.mapping import instant_text

    kept = failure.retry
    return {
        "key": kept.key,
        "kind": kept.kind.value,
        "description": failure.description,
        "attempts": kept.attempts,
        "set_aside": kept.is_set_aside,
        "failed_at": instant_text(kept.failed_at) if kept.failed_at is not None else None,
        "next_at": None if kept.is_set_aside else instant_text(kept.next_at),
        "response_code": kept.response_code,
        "reason": kept.reason,
    }


def print_failures(found: Sequence[Failure], *, empty: str = "") -> None:
    """What failed, for a person; nothing at all where there is nothing and nothing is to be said."""
    rows = []
    for failure in found:
        row = as_document(failure)
        tries = f"{row['attempts']}, set aside" if row["set_aside"] else f"{row['attempts']}, next {row['next_at']}"
        rows.append(
            (
                failure.account,
                row["key"],
                row["description"],
                tries,
                row["failed_at"],
                row["response_code"],
                row["reason"],
            )
        )
    if rows or empty:
        print_table(("account", "key", "what", "tries", "last try", "code", "why"), rows, empty=empty)
