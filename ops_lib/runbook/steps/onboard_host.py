"""The steps of `onboard_host`: from an Exchange organisation that nobody has connected to a first green cycle."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ops_lib.access import checks, secrets
from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.access.sign_ins import BY_PERSON
from ops_lib.crm.directory import Directory
from ops_lib.errors import InputError
from ops_lib.model import Host
from ops_lib.runbook.onboarding import Onboarding, host_settings, settings_table
from ops_lib.runbook.session import Opened, Outcome, Sentence
from ops_lib.runbook.tables import numbered, without_empty
from ops_lib.runbook.widgets import Field, Form, Value, is_by_hand

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Connection

    from ops_lib.access.host_check import HostCheck

_HERE = "mail.demo.example"
"""How the demo's server is named in what is shown: its port is another one each time."""


class _Undone(Exception):
    """Takes a transaction back that was only to be tried."""


class Steps(Onboarding):
    """Look, enter the host, sign in, try it, add users, look at rights, and run the first cycle."""

    _form: Form | None = None
    _users: Form | None = None
    _check: HostCheck | None = None
    _name = ""

    @classmethod
    def open_demo(cls) -> Opened:
        """The customer before anything joins its CRM and its Exchange organisation."""
        from ops_lib.runbook.demo import before_onboarding

        demo = before_onboarding()
        return Opened(demo.workspace, demo=demo)

    # ── what there is ────────────────────────────────────────────────────────────────────────────────────────────────
    def look(self) -> pd.DataFrame:
        """What the workspace holds already, and what is to be done first where something is missing."""
        import pandas as pd

        with self.workspace.database.read() as connection:
            directory = Directory(connection)
            counts = {
                "communities": (len(directory.communities()), "syncops community add NAME"),
                "CRM users": (len(directory.users()), "syncops user add --email E --name N --community C"),
                "activity types": (len(directory.activity_types()), "syncops activity-type add NAME"),
                "hosts": (len(Hosts(connection).all()), "the next step"),
                "accounts": (len(Accounts(connection).accounts()), "a later step"),
            }
        rows = [(what, number, "" if number else then) for what, (number, then) in counts.items()]
        return numbered(pd.DataFrame(rows, columns=["what", "there_are", "to_do"]))

    # ── the host ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def host_form(self, **given: str | bool) -> Form:
        """The host's form, pre-filled with the parameters (and on the demo with what its administrator would tell)."""
        self._name = str(given["host"])
        self._credential = str(given.pop("credential_env", ""))
        values = {**given, **self._of_demo(given)}
        with self.workspace.database.read() as connection:
            communities = ("all", *(each.name for each in Directory(connection).communities()))

        def field(name: str, label: str, help: str = "", **more: Any) -> Field:
            return Field(name, label, values[name], help=help, **more)

        where = (
            f"or in the variable {self._credential}"
            if self._credential
            else "goes into the workspace's vault at the click"
        )
        self._form = Form(
            [
                field("host", "name"),
                field("community", "community", "all: also for communities without a host of their own", choices=communities),
                field("version", "Exchange version", choices=checks.VERSIONS, check=checks.version),
                field("url", "EWS URL", "ends in .asmx; empty for Exchange Online", check=checks.ews_url),
                field("auth", "signs in by", "Exchange Online: one of the oauth ways", choices=checks.AUTHS),
                field("access", "access", choices=checks.ACCESSES),
                field("service_user", "service user", "empty with access direct"),
                Field("secret", "password or secret", secret=True, help=where, placeholder=self._where_it_lies()),
                field("tenant_id", "tenant id", check=lambda value: checks.guid(value, "tenant id")),
                field("client_id", "client id", check=lambda value: checks.guid(value, "client id")),
                field("ca_bundle", "CA file", "a private certificate authority, as PEM", check=checks.ca_bundle),
                field("all_day_tasks", "all-day tasks"),
                field("send_email", "send email"),
            ],
            "Write: save this host in the workspace",
            self._save,
            check=self._try,
            shown=self._public,
        )  # fmt: skip
        return self._form

    def save_host(self, *, apply: bool = False) -> pd.DataFrame | Sentence:
        """The host as the workspace has it; where it may write at once, it is saved first. **Raises** `InputError` for what cannot be."""
        if self._form is None:
            raise InputError(
                "the form was not opened yet", subject=self.stem, fix="run the cell with run.host_form(…) first."
            )
        name = str(self._form.values["host"])
        if self.writes(apply):
            self._form.submit()
        host = self._host_named(name)
        if host is not None:
            self._name = host.name
            return settings_table(self._in_words(host))
        how = "press the form's button, then run this cell again" if is_by_hand() else "set `apply`"
        return Sentence(f"**{name} is not saved yet**: {how}.")

    def hosts_here(self) -> list[Host]:
        """The host of the form. **Raises** `InputError` until it is saved."""
        return [self._host()]

    # ── does it work ─────────────────────────────────────────────────────────────────────────────────────────────────
    def try_host(self, *, mailbox: str = "") -> pd.DataFrame:
        """Try the host with one mailbox, step by step up to the first that fails: what was seen where it is not in order, and what to do."""
        import pandas as pd

        from ops_lib.access.host_check import account_for, check_host

        host, access = self._host(), self.workspace.access
        with self.workspace.database.read() as connection:
            accounts = Accounts(connection)
            claims = {each.mailbox: each.user_email for each in accounts.accounts()}
            known = accounts.accounts(host=host.name)
        account = account_for(host, known, mailbox or self._somebody())
        self._check = check_host(
            host, account, secret=access.secrets, sign_ins=access, now=self.workspace.now(), claims=claims
        )
        rows = [
            (
                each.step,
                each.verdict,
                "" if each.verdict == "ok" else self._public(f"{each.observed} {each.response_code}".strip()),
                each.next_step,
            )
            for each in self._check.steps
        ]
        return without_empty(pd.DataFrame(rows, columns=["step", "verdict", "what_was_seen", "to_do"]))

    # ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def users_form(self, users: str) -> Form:
        """The CRM's users whose calendar is on no host yet; those to begin with are picked (``users``: addresses, or all)."""
        host = self._host()
        with self.workspace.database.read() as connection:
            directory, accounts = Directory(connection), Accounts(connection)
            taken = {each.user_id for each in accounts.accounts() if each.calendar}
            free = [
                each.email
                for each in directory.users()
                if each.user_id not in taken
                and any(one.host_id == host.host_id for one in accounts.offered(each.email))
            ]
        wanted = (
            free
            if users.strip().lower() == "all"
            else [each.strip().lower() for each in users.split(",") if each.strip()]
        )
        if not users and self.opened.demo is not None:
            wanted = free[:3]
        self._users = Form(
            [Field("users", "users", tuple(wanted), choices=tuple(free), several=True, help=f"{len(free)} to choose from; Ctrl or Shift picks several")],
            "Write: add accounts for the picked users",
            self._add,
        )  # fmt: skip
        return self._users

    def add_users(self, *, apply: bool = False) -> pd.DataFrame | Sentence:
        """The users whose calendar is on this host; where it may write at once, the picked ones are added first."""
        import pandas as pd

        if self._users is None:
            raise InputError(
                "the users were not picked yet", subject=self.stem, fix="run the cell with run.users_form(…) first."
            )
        if self.writes(apply):
            self._users.submit()
        rows = [
            (each.user_email, each.mailbox, each.time_zone) for each in self._accounts_of(self._host()) if each.calendar
        ]
        if not rows:
            how = (
                "pick some and press the button, then run this cell again"
                if is_by_hand()
                else "name them in `users` and set `apply`"
            )
            return Sentence(f"**No user is on this host yet**: {how}.")
        return numbered(pd.DataFrame(rows, columns=["user", "mailbox", "time_zone"]))

    def seen(self) -> dict[str, Any]:
        """The host's settings and how it was tried."""
        return {
            "settings": {name: str(value) for name, value in self._in_words(self._host()).items()},
            "check": [asdict(step) for step in self._check.steps] if self._check else None,
        }

    def outcome(self) -> Outcome:
        """As for any onboarding; a check of the host that did not end well is a finding."""
        found = super().outcome()
        return "findings" if found == "ok" and self._check is not None and self._check.verdict == "fail" else found

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _host(self) -> Host:
        host = self._host_named(self._name)
        if host is None:
            raise InputError(
                f"the host {self._name} is not saved yet",
                subject=self.stem,
                fix="save it in its step (press the form's button, or set apply), then run this cell again.",
            )
        return host

    def _somebody(self) -> str | None:
        """A mailbox to try the host with where no account has one: the first CRM user's that it may serve."""
        with self.workspace.database.read() as connection:
            accounts = Accounts(connection)
            if accounts.accounts(host=self._name):
                return None
            served = [
                each.email
                for each in Directory(connection).users()
                if any(h.name == self._name for h in accounts.offered(each.email))
            ]
        return served[0] if served else None

    def _of_demo(self, given: dict[str, str | bool]) -> dict[str, str | bool]:
        """What the demo's administrator would tell, for the fields that were left empty."""
        from ops_lib.runbook.demo import AUTHORITY_FILE

        demo = self.opened.demo
        if demo is None or given["url"]:
            return {}
        return {
            "url": demo.sandbox.ews_url_https,
            "version": "2019",
            "auth": "basic",
            "service_user": demo.sandbox.residents.service.address,
            "ca_bundle": str(demo.workspace.path / AUTHORITY_FILE),
            "all_day_tasks": True,
        }

    def _entered(self, values: dict[str, Value], secret: str | None) -> HostInput:
        def text(name: str) -> str:
            return str(values[name]).strip()

        return HostInput(
            url=text("url") or None,
            auth=text("auth"),
            access=text("access"),
            version=text("version") or None,
            community=text("community"),
            service_user=text("service_user"),
            secret=secret,
            tenant_id=text("tenant_id"),
            client_id=text("client_id"),
            ca_bundle=text("ca_bundle"),
            all_day_tasks=bool(values["all_day_tasks"]),
            send_email=bool(values["send_email"]),
        )

    def _reference(self, values: dict[str, Value], *, keep: bool) -> str | None:
        """Where the secret lies: what was typed goes into the vault (``keep``), else the variable, else on the demo its file; None for as it was."""
        from ops_lib.runbook.demo import PASSWORD_FILE

        if values["secret"]:
            if str(values["auth"]).startswith("oauth"):
                checks.client_secret(str(values["secret"]))
            return self.workspace.access.secrets.keep(str(values["secret"])) if keep else "vault:typed"
        if self._credential:
            return secrets.env_reference(self._credential)
        if self.opened.demo is not None and values["auth"] in ("basic", "ntlm"):
            return secrets.file_reference(self.workspace.path / PASSWORD_FILE)
        return None

    def _try(self, values: dict[str, Value]) -> None:
        """Whether these values together would be taken; nothing of it stays. **Raises** `InputError`."""
        with suppress(_Undone), self.workspace.database.begin() as connection:
            self._enter(connection, values, self._reference(values, keep=False))
            raise _Undone

    def _save(self, values: dict[str, Value]) -> pd.DataFrame:
        reference = self._reference(values, keep=True)
        try:
            with self.workspace.database.begin() as connection:
                before, host = self._enter(connection, values, reference)
                self._seat_signer(connection, host)
        except BaseException:
            self.workspace.access.secrets.forget(reference or "")
            raise
        if before is not None and reference is not None and before.secret != reference:
            self.workspace.access.secrets.forget(before.secret)
        self._name = host.name
        return settings_table(self._in_words(host))

    def _enter(self, connection: Connection, values: dict[str, Value], secret: str | None) -> tuple[Host | None, Host]:
        """Add the host, or change the one of that name. The one there was, and the one there is."""
        hosts, today = Hosts(connection), self.workspace.now().date()
        name, entered = str(values["host"]), self._entered(values, secret)
        before = hosts.find(name)
        return before, hosts.edit(before.name, entered, today=today) if before else hosts.add(
            name, entered, today=today
        )

    def _seat_signer(self, connection: Connection, host: Host) -> None:
        """Where a service account signs in through a browser, it has an account of its own, which is one of the CRM's users."""
        if host.auth not in BY_PERSON or host.access == "direct" or not host.service_user:
            return
        Directory(connection).add_user(
            host.service_user, "Service account", default_time_zone=self.workspace.settings.default_time_zone
        )
        Accounts(connection).add(host.service_user, host=host.name, is_impersonation_account=True, calendar=False)

    def _add(self, values: dict[str, Value]) -> Sentence:
        host, picked = self._host(), values["users"]
        assert isinstance(picked, tuple)
        with self.workspace.database.begin() as connection:
            added = [
                Accounts(connection)
                .add(each, host=host.name, send_email=host.send_email, all_day_tasks=host.all_day_tasks)
                .mailbox
                for each in picked
            ]
        return Sentence(
            f"**{len(added)} accounts** are on {host.name}." if len(added) != 1 else f"**1 account** is on {host.name}."
        )

    def _in_words(self, host: Host) -> dict[str, object]:
        with self.workspace.database.read() as connection:
            names = {each.community_id: each.name for each in Directory(connection).communities()}
        return host_settings(replace(host, url=self._public(host.url)), names.get(host.community_id or "", ""))

    def _public(self, text: str) -> str:
        """What is shown: the demo's server by a name that stays."""
        demo = self.opened.demo
        if demo is None:
            return text
        from urllib.parse import urlsplit

        shown = text.replace(urlsplit(demo.sandbox.ews_url_https).netloc, _HERE)
        return shown.replace(str(demo.workspace.path), "demo")

    def _where_it_lies(self) -> str:
        """Where the secret is that nobody has to type."""
        if self._credential:
            return f"in the variable {self._credential}"
        return "in a file" if self.opened.demo is not None else ""
