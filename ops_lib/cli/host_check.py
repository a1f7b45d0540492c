"""`syncops host check | rotate`: does a host work, and a new secret that is tried before it takes the old one's place."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say
from ops_lib.cli.host_options import SecretOptions
from ops_lib.cli.options import spread
from ops_lib.cli.secrets import forget, only_if_used
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.access.host_check import HostCheck
    from ops_lib.model import Account, Host
    from ops_lib.workspace import Workspace

MailboxOption = Annotated[
    str | None,
    typer.Option(metavar="MAILBOX", help="The mailbox to try. Default: an account's of this host.", show_default=False),
]


def check(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    mailbox: MailboxOption = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=300, help="How long one step waits for an answer.")] = 20.0,
    as_json: JsonOption = False,
) -> None:
    """Try a host: name, connection, TLS, EWS, sign-in, access, folders. Stops at the first that fails, and says what to do.

    Nothing is written. Exit code 0: it works, as far as it was tried; 1: something failed.
    """
    with open_workspace() as workspace:
        host, account = _chosen(workspace, name, mailbox)
        found = _checked(workspace, host, account, seconds)
    if as_json:
        print_json(
            {
                "host": found.host,
                "mailbox": found.mailbox or None,
                "verdict": found.verdict,
                "steps": [asdict(step) for step in found.steps],
            }
        )
    else:
        print_table(
            ("step", "", "what was seen", "code", "to do"),
            [(each.step, each.verdict, each.observed, each.response_code, each.next_step) for each in found.steps],
            empty="",
        )
    if found.verdict == "fail":
        raise typer.Exit(1)


@spread
def rotate(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    secret: SecretOptions,
    mailbox: MailboxOption = None,
    is_tried: Annotated[
        bool, typer.Option("--try/--no-try", help="Sign in with the new secret first; a refused one is not kept.")
    ] = True,
) -> None:
    """Give a host a new secret. The old one stays until the new one has signed in."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.checks import client_secret
    from ops_lib.access.hosts import HostInput, Hosts
    from ops_lib.access.sign_ins import SignInStates

    reference = secret.reference()
    if reference is None:
        raise InputError(
            "no new secret was named",
            subject=name,
            fix="give --secret-env, --secret-file, --secret-ask or --secret-stdin (--password-…).",
        )
    entered = HostInput(secret=reference, secret_expires=secret.secret_expires)
    with only_if_used(reference), open_workspace() as workspace:
        now = workspace.now()
        host, account = _chosen(workspace, name, mailbox)
        before = host.secret
        if host.auth.startswith("oauth"):
            client_secret(workspace.access.secrets(reference))
        if is_tried:
            _refuse_what_does_not_sign_in(_checked(workspace, replace(host, secret=reference), account, 20.0))
        with workspace.database.begin() as connection:
            host = Hosts(connection).edit(name, entered, today=now.date())
            again = Accounts(connection).ask_again(host, now)
            asked = SignInStates(connection).secret_changed(host, now)
    if before != reference:
        forget(before)
    typer.echo(f"host {host.name} has its new secret")
    for each in asked:
        say(f"note: {each.mailbox} is asked to sign in again: syncops signin {each.mailbox}")
    if again:
        say(f"note: {len(again)} accounts whose sign-in was refused are due again: syncops sync --pending")


def _chosen(workspace: Workspace, name: str, mailbox: str | None) -> tuple[Host, Account | None]:
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.host_check import account_for
    from ops_lib.access.hosts import Hosts

    with workspace.database.read() as connection:
        host = Hosts(connection).get(name)
        return host, account_for(host, Accounts(connection).accounts(host=host.name), mailbox)


def _checked(workspace: Workspace, host: Host, account: Account | None, seconds: float) -> HostCheck:
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.host_check import check_host

    access = workspace.access
    with workspace.database.read() as connection:
        claims = {each.mailbox: each.user_email for each in Accounts(connection).accounts()}
    return check_host(
        host, account, secret=access.secrets, sign_ins=access, now=workspace.now(), claims=claims, seconds=seconds
    )


def _refuse_what_does_not_sign_in(found: HostCheck) -> None:
    """**Raises** `InputError` unless the steps up to the sign-in are well: what a user's mailbox allows is another matter."""
    for step in found.steps:
        if step.verdict == "fail" and step.step in ("name", "connection", "TLS", "EWS", "sign-in"):
            raise InputError(
                f"the new secret was not kept: {step.step}: {step.observed}",
                subject=found.host,
                response_code=step.response_code,
                fix=f"{step.next_step.rstrip('.')}; --no-try keeps it untried.",
            )
        if step.step == "sign-in":
            say(f"note: {step.step}: {step.observed}{f' ({step.next_step})' if step.verdict == 'skipped' else ''}")
            return
