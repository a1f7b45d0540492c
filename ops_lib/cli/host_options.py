"""What is entered for a host, as options: the same for `host add` and `host edit`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli.secrets import secret_reference

if TYPE_CHECKING:
    from ops_lib.access.hosts import HostInput


def _option(*names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, show_default=False)


@dataclass(frozen=True, kw_only=True)
class SecretOptions:
    """Where the one secret of a host lies: four words for it, because people look for theirs."""

    password_env: Annotated[
        str | None,
        _option(
            metavar="VAR", help="The environment variable that holds the password; its name is kept, not its value."
        ),
    ] = None
    password_file: Annotated[Path | None, _option(metavar="FILE", help="Or the file (mode 0600) that holds it.")] = None
    secret_env: Annotated[
        str | None, _option(metavar="VAR", help="The environment variable that holds the client secret's value.")
    ] = None
    secret_file: Annotated[Path | None, _option(metavar="FILE", help="Or the file (mode 0600) that holds it.")] = None
    secret_ask: Annotated[
        bool, _option("--password-ask", "--secret-ask", help="Or be asked for it; it is kept in the workspace's vault.")
    ] = False
    secret_stdin: Annotated[
        bool, _option("--password-stdin", "--secret-stdin", help="Or read it from stdin into the vault.")
    ] = False
    secret_expires: Annotated[
        str | None,
        _option(metavar="DATE", help="The day the client secret (or password) ends, as the portal shows it."),
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether anything was said of where it is."""
        named = (self.password_env, self.password_file, self.secret_env, self.secret_file)
        return self.secret_ask or self.secret_stdin or any(each is not None for each in named)

    def reference(self, what: str = "password") -> str | None:
        """Where the secret lies, or ``None`` when nothing was said of it."""
        return secret_reference(
            self.password_env,
            self.password_file,
            self.secret_env,
            self.secret_file,
            ask=self.secret_ask,
            stdin=self.secret_stdin,
            what=what,
        )


@dataclass(frozen=True, kw_only=True)
class HostOptions:
    """The options of a host, beside those of its secret. The names are those of `HostInput`."""

    url: Annotated[str | None, _option(help="Of Exchange Web Services; ends in .asmx. Default: Office 365's.")] = None
    auth: Annotated[str | None, _option(help="basic (default), ntlm, oauth-app, oauth-code, oauth-device.")] = None
    access: Annotated[str | None, _option(help="impersonation (default), delegate, direct.")] = None
    version: Annotated[
        str | None, _option("--version", help="2013, 2016 (default on premises), 2019, SE, 'Office 365'.")
    ] = None
    community: Annotated[str | None, _option(help="all (default), or the one community that this host serves.")] = None
    service_user: Annotated[str | None, _option(help="The service account's name.")] = None
    tenant_id: Annotated[str | None, _option(metavar="GUID", help="Of the app registration.")] = None
    client_id: Annotated[str | None, _option(metavar="GUID", help="Of the app registration.")] = None
    authority: Annotated[str | None, _option(metavar="URL", help="Where tokens come from, for sovereign clouds.")] = (
        None
    )
    redirect_uri: Annotated[
        str | None,
        _option(metavar="URI", help="With oauth-code: the redirect URI as registered. Default: http://localhost."),
    ] = None
    types: Annotated[
        str | None,
        _option(metavar="A,B", help="The activity types that go to Outlook. Default: the face-to-face types."),
    ] = None
    inbound_type: Annotated[
        str | None,
        _option(help="The activity type that Outlook's events become; made if missing. Default: Appointment."),
    ] = None
    all_day_tasks: Annotated[
        bool | None, _option("--all-day-tasks/--no-all-day-tasks", help="All-day activities become tasks.")
    ] = None
    send_email: Annotated[bool | None, _option("--send-email/--no-send-email", help="Users may send email.")] = None
    ca_bundle: Annotated[str | None, _option(metavar="FILE", help="A private certificate authority (PEM).")] = None
    reschedule: Annotated[
        str | None,
        _option(help="replace (default): a new activity stands at the new time; update: the same one moves."),
    ] = None
    conflict: Annotated[
        str | None, _option(help="Who wins when both sides changed: latest (default), crm, exchange.")
    ] = None

    def entered(self, secret: SecretOptions) -> HostInput:
        """What was entered, secret and all, as the library takes it. **Raises** `InputError`."""
        from ops_lib.access.hosts import HostInput

        fields = asdict(self)
        if self.types is not None:
            fields["types"] = [each for each in self.types.split(",") if each.strip()]
        what = "client secret" if (self.auth or "").startswith("oauth") else "password"
        return HostInput(**fields, secret=secret.reference(what), secret_expires=secret.secret_expires)

    def needs_secret(self) -> bool:
        """Whether a new host of this kind cannot do without one."""
        return self.auth == "oauth-app" or (self.auth in (None, "basic", "ntlm") and self.access != "direct")
