"""`syncops host add --discover EMAIL`: the URL of a host from an address, by Autodiscover."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from ops_lib.cli import open_workspace, say
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.access.hosts import HostInput


@dataclass(frozen=True, kw_only=True)
class DiscoverOptions:
    """How a host's URL is found where it is not given."""

    discover: Annotated[
        str | None,
        typer.Option(
            metavar="EMAIL",
            help="Find the URL by Autodiscover from an address, signed in as the service account.",
            show_default=False,
        ),
    ] = None
    discover_at: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask this Autodiscover address only.", show_default=False),
    ] = None
    discover_trust: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Hosts of other domains that may be sent the password: a hoster's.", show_default=False
        ),
    ] = None


def with_url(entered: HostInput, options: DiscoverOptions) -> HostInput:
    """What was entered, its URL found where that was asked for. **Raises** `InputError`, `SignInRefused`, `MailboxMissing`, `Unreachable`."""
    if options.discover is None:
        return entered
    if entered.url is not None:
        raise InputError(
            "the URL is given, and to be found as well", subject="discover", fix="give --url or --discover."
        )
    auth = entered.auth or "basic"
    if auth not in ("basic", "ntlm"):
        raise InputError(
            f"Autodiscover signs in with a password, and this host with {auth}",
            subject="discover",
            fix="leave --discover out: without --url the host is Exchange Online's.",
        )
    if not entered.service_user or not entered.secret:
        raise InputError(
            "Autodiscover needs somebody to sign in",
            subject="discover",
            fix="give --service-user, and --password-env or --password-file.",
        )
    from ops_lib.access import checks
    from ops_lib.access.autodiscover import Credentials, discover
    from ops_lib.mailbox.ews.discovery import HttpTransport, srv_records

    with open_workspace() as workspace:
        password = workspace.access.secrets(entered.secret)
    transport = HttpTransport(checks.ca_bundle(entered.ca_bundle) if entered.ca_bundle else "")
    try:
        found = discover(
            options.discover,
            Credentials(entered.service_user, password, auth),
            transport=transport,
            resolver=srv_records,
            url=options.discover_at or "",
            trusted=[each.strip() for each in (options.discover_trust or "").split(",") if each.strip()],
        )
    finally:
        transport.close()
    say(f"note: {found.source} says that {found.email} is at {found.ews_url}")
    return replace(entered, url=found.ews_url)
