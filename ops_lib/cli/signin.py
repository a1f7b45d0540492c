"""`syncops signin ACCOUNT`, `syncops banner`: signing in, and who is asked to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.access.sign_ins import Waiting
    from ops_lib.access.signin import Access, SignedIn
    from ops_lib.model import Account, Host

LISTEN_SECONDS = 600.0


def signin(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="The mailbox or user; with an impersonation account, that one.")
    ],
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where the account could be on several hosts.", show_default=False)
    ] = None,
    paste: Annotated[
        bool, typer.Option("--paste", help="Paste the address the browser was sent to: it runs on another machine.")
    ] = False,
    device: Annotated[bool, typer.Option("--device", help="Enter a code in any browser (hosts with oauth-device).")] = False,
    listen: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65535, show_default=False,
            help="Wait for the browser on this port of this machine (0: any). Default where the redirect URI is this machine.",
        ),
    ] = None,
    begin: Annotated[bool, typer.Option("--begin", help="Print the address to open, and end; --finish does the rest.")] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Read from stdin the address the browser was sent to after --begin.")
    ] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Sign in for an account: through the browser, with a code, or, where no person is needed, try the host's secret once."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.hosts import Hosts

    if sum((paste, device, listen is not None, begin, finish)) > 1:
        raise InputError("these are several ways of signing in", fix="give one of them only.")
    with open_workspace() as workspace:
        with workspace.database.read() as connection:
            chosen = Accounts(connection).one(account, host=host)
            on = Hosts(connection).by_id(chosen.host_id)
        access = workspace.access
        if begin:
            _begun(access, on, chosen, as_json)
            return
        if on.auth not in ("oauth-code", "oauth-device"):
            if paste or device or finish or listen is not None:
                raise InputError(
                    f"host {on.name} signs in with {on.auth}: no person is needed", fix="leave the option out."
                )
            done = access.try_now(on, chosen)
        elif device or (on.auth == "oauth-device" and not (paste or finish or listen is not None)):
            done = _by_device(access, on, chosen)
        elif finish:
            done = access.finish_code(on, chosen, _pasted())
        elif paste or (listen is None and not _is_here(on)):
            say(f"Open this address, sign in as {chosen.mailbox}, and paste the address the browser ends at:")
            say(access.begin_code(on, chosen).url)
            done = access.finish_code(on, chosen, _pasted())
        else:
            done = _by_listener(access, on, chosen, listen)
    if as_json:
        print_json(
            {"account": chosen.mailbox, "host": on.name, "auth": on.auth, "signed_in_as": done.as_whom, "serves": list(done.serves)}
        )  # fmt: skip
        return
    typer.echo(_sentence(done))


def banner(
    user: Annotated[
        str | None,
        typer.Option(metavar="EMAIL", help="What this CRM user is shown. Default: everything that waits.", show_default=False),
    ] = None,
    opt_out: Annotated[bool, typer.Option("--opt-out", help="Close the banner for this user.")] = False,
    ask: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="The key icon: show it again for this account, to whoever closed it too.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Who has to sign in, why, and what waits for it."""
    from ops_lib.access.accounts import Accounts
    from ops_lib.access.sign_ins import SignInStates
    from ops_lib.crm.directory import Directory

    if opt_out and user is None:
        raise InputError("whose banner is to be closed?", fix="add --user EMAIL.")
    with open_workspace() as workspace, workspace.database.begin() as connection:
        states = SignInStates(connection)
        if ask is not None:
            signer = states.ask(Accounts(connection).one(ask), workspace.now())
            say(f"{signer.mailbox} is asked to sign in")
        person = Directory(connection).user(user) if user is not None else None
        waiting = states.waiting() if person is None else states.banner(person)
        if opt_out and person is not None:
            states.close(person, [each.account for each in waiting], workspace.now())
            waiting = []
        rows = [_row(each) for each in waiting]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("account", "host", "state", "since", "waits for it", "why", "what to do"),
        [(r["account"], r["host"], r["state"], r["since"], r["serves"], r["reason"], r["next_step"]) for r in rows],
        empty="nobody has to sign in",
    )


# ── the ways ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _begun(access: Access, host: Host, account: Account, as_json: bool) -> None:
    begun = access.begin_code(host, account)
    if as_json:
        print_json({"account": account.mailbox, "url": begun.url, "redirect_uri": begun.redirect_uri})
        return
    typer.echo(begun.url)
    say(
        f"Sign in there as {account.mailbox}; then give the address the browser ends at to: syncops signin {account.mailbox} --finish"
    )


def _by_device(access: Access, host: Host, account: Account) -> SignedIn:
    begun = access.begin_device(host, account)
    say(
        f"Sign in as {account.mailbox}. {begun.message or f'Open {begun.verification_uri} and enter {begun.user_code}.'}"
    )
    return access.finish_device(host, account, begun)


def _by_listener(access: Access, host: Host, account: Account, port: int | None) -> SignedIn:
    from ops_lib.access.listener import Listener
    from ops_lib.access.signin import LOOPBACK

    registered = host.redirect_uri or LOOPBACK
    done: list[SignedIn] = []

    def finish(address: str) -> str:
        done.append(access.finish_code(host, account, address))
        return _sentence(done[0])

    with Listener(registered, port if port is not None else urlsplit(registered).port or 0) as listener:
        begun = access.begin_code(host, account, listener.redirect_uri)
        say(f"Open this address and sign in as {account.mailbox}:")
        say(begun.url)
        listener.wait(begun.state, finish, LISTEN_SECONDS)
    return done[0]


def _pasted() -> str:
    address = sys.stdin.readline().strip()
    if not address:
        raise InputError(
            "no address was pasted",
            fix="copy the browser's whole address line; syncops signin --finish takes it later too.",
        )
    return address


def _is_here(host: Host) -> bool:
    """Whether the browser can come back to this machine."""
    return urlsplit(host.redirect_uri or "http://localhost").hostname in ("localhost", "127.0.0.1")


def _sentence(done: SignedIn) -> str:
    others = [each for each in done.serves if each != done.account.mailbox]
    return f"signed in as {done.as_whom} for {done.account.mailbox}" + (
        f" and {len(others)} accounts it acts for." if others else "."
    )


def _row(waiting: Waiting) -> dict[str, Any]:
    state = waiting.state
    return {
        "account": waiting.account.mailbox,
        "host": waiting.host.name,
        "user": waiting.account.user_email,
        "for_admins": waiting.is_for_admins,
        "state": "asked for" if state.state == "signed-in" else state.state,
        "since": None if state.since is None else f"{state.since:%Y-%m-%dT%H:%M:%SZ}",
        "serves": waiting.serves,
        "response_code": state.response_code,
        "reason": state.reason or "an administrator asks for it",
        "next_step": state.fix or f"syncops signin {waiting.account.mailbox}.",
    }
