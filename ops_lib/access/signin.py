"""Signing in: the ways a person or an app does it, and the credentials of every account afterwards.

The authorization code comes back through a browser: caught by a listener here, or pasted. What belongs to a begun sign-in (the PKCE
verifier, state, nonce) waits in the vault, so that another process may finish it; it serves once, for a quarter of an hour.
"""

from __future__ import annotations

import functools
import json
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl, urlsplit

from ops_lib.access import password_tries, tokens
from ops_lib.access.password_tries import PasswordGate
from ops_lib.access.secrets import Secrets
from ops_lib.access.sign_ins import BY_PERSON, SignInStates
from ops_lib.access.tokens import UserTokens, VaultStore, never_signed_in, scopes_of
from ops_lib.access.vault import Vault
from ops_lib.database.engine import Database
from ops_lib.diagnosis import sign_in_errors
from ops_lib.errors import InputError, MailboxError, OpsError, SignInRefused
from ops_lib.mailbox import Tokens
from ops_lib.mailbox.ews.oauth import App, TokenSource, app_of, asked, refusal, source_of
from ops_lib.model import Account, Host

P = ParamSpec("P")
T = TypeVar("T")

LOOPBACK = "http://localhost"
FLOW_SECONDS = 900.0
_FLOW_FIX = "begin again: syncops signin"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that is kept. ``as_whom`` is the directory's name for the person; ``serves`` the accounts kept in step through it."""

    account: Account
    as_whom: str
    serves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that waits for the browser to come back to ``redirect_uri``."""

    url: str
    redirect_uri: str
    state: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeviceBegun:
    """A sign-in that waits for somebody to enter ``user_code`` at ``verification_uri``."""

    user_code: str
    verification_uri: str
    message: str
    flow: dict[str, Any] = field(repr=False)


def _without_frames(method: Callable[P, T]) -> Callable[P, T]:
    """The method, its errors without the frames they came through: those hold codes and tokens that a crash dump would show."""

    @functools.wraps(method)
    def called(*args: P.args, **named: P.kwargs) -> T:
        try:
            return method(*args, **named)
        except OpsError as exception:
            error = exception.with_traceback(None)
            error.__context__ = None
        del args, named
        raise error

    return called


class Access:
    """The credentials of one workspace's accounts (`ops_lib.mailbox.SignIns`), and how they are got."""

    def __init__(
        self, database: Database, vault: Vault, now: Callable[[], datetime], timeout_seconds: float = 120.0
    ) -> None:
        self._database = database
        self._vault = vault
        self._now = now
        self._timeout_seconds = timeout_seconds
        self.secrets = Secrets(vault)

    # ── what a mailbox asks for ──────────────────────────────────────────────────────────────────────────────────────
    def tokens(self, host: Host, account: Account) -> Tokens:
        """The tokens to use for an account. **Raises** `SignInRefused` where nobody signed in."""
        app = self.app(host)
        if host.auth == "oauth-app":
            return _app_tokens(self._vault, app) if self._vault.exists else source_of(host, app.secret)
        signer = self.signer(host, account)
        if not tokens.is_kept(self._vault, app, signer.mailbox):
            raise never_signed_in(account.mailbox, signer.mailbox)
        return _user_tokens(self._vault, app, signer.mailbox)

    def gate(self, host: Host, user: str, password: str) -> PasswordGate:
        """What keeps a refused password of this user from being sent again."""
        return PasswordGate(self._database, host, user, password)

    def signer(self, host: Host, account: Account) -> Account:
        """The account that signs in for this one."""
        with self._database.read() as connection:
            return SignInStates(connection).signer(host, account)

    def app(self, host: Host) -> App:
        """The host's app registration; a device code is a public client's way, whatever secret the host has."""
        secret = self.secrets(host.secret) if host.secret and host.auth != "oauth-device" else ""
        return app_of(host, secret)

    def note(self, host: Host, account: Account, error: OpsError | None) -> None:
        """Keep what a cycle met with a person's sign-in: refused, gone, or (``None``) accepted."""
        if host.auth not in BY_PERSON:
            return
        with self._database.read() as connection:
            states = SignInStates(connection)
            signer = states.signer(host, account)
            before = states.of(signer)
        if error is None and before.since is not None and before.state != "signed-in":
            with self._database.begin() as connection:
                SignInStates(connection).works(signer)
        elif isinstance(error, SignInRefused):
            with self._database.begin() as connection:
                SignInStates(connection).refused(signer, error, self._now())

    # ── a person, through a browser ──────────────────────────────────────────────────────────────────────────────────
    @_without_frames
    def begin_code(self, host: Host, account: Account, redirect_uri: str = "") -> Begun:
        """Begin an authorization-code sign-in with PKCE and state. **Raises** `InputError`, `MailboxError`, `WorkspaceError`."""
        self._refuse_for_others(host, account, "oauth-code")
        self._vault.make_ready()
        redirect_uri = redirect_uri or host.redirect_uri or LOOPBACK
        app = self.app(host)

        def initiate() -> dict[str, Any]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # MSAL would rather have a form; what can be pasted is the address
                begun: dict[str, Any] = app.client().initiate_auth_code_flow(
                    scopes_of(app), redirect_uri=redirect_uri, login_hint=account.mailbox, prompt="select_account"
                )
            return begun

        flow = asked(app, account.mailbox, initiate)
        self._forget_abandoned()
        entry = {"flow": flow, "account": account.account_id, "until": time.time() + FLOW_SECONDS}
        self._vault.put(f"flow/{flow['state']}", json.dumps(entry))
        return Begun(flow["auth_uri"], redirect_uri, flow["state"])

    @_without_frames
    def finish_code(self, host: Host, account: Account, address: str) -> SignedIn:
        """Finish it with the address the browser was sent to. **Raises** `InputError`, `SignInRefused`, `MailboxError`."""
        answer = dict(parse_qsl(urlsplit(address.strip()).query))
        if not answer.get("state") or not ("code" in answer or "error" in answer):
            raise InputError(
                "this is not the address the browser was sent to after the sign-in",
                subject=account.mailbox,
                fix="copy the whole address line of the browser, with ?code= and state= in it.",
            )
        name = f"flow/{answer['state']}"
        begun = json.loads(self._vault.get(name) or "{}")
        is_own = begun.get("account") == account.account_id  # another account's is left to it
        entry = json.loads(self._vault.take(name) or "{}") if is_own else {}
        if not entry:
            raise InputError(
                "this sign-in was not begun for this account, or was finished already", subject=account.mailbox,
                fix=f"{_FLOW_FIX} {account.mailbox}.",
            )  # fmt: skip
        if entry["until"] < time.time():
            raise InputError(
                "this sign-in took too long", subject=account.mailbox, fix=f"{_FLOW_FIX} {account.mailbox}."
            )
        app = self.app(host)
        if "error" in answer:
            raise self._refused(host, account, refusal(answer, account.mailbox, app.secret))
        return self._acquired(
            host,
            account,
            app,
            lambda client: client.acquire_token_by_auth_code_flow(entry["flow"], answer, scopes=scopes_of(app)),
        )

    # ── a person, on another device ──────────────────────────────────────────────────────────────────────────────────
    @_without_frames
    def begin_device(self, host: Host, account: Account) -> DeviceBegun:
        """Begin a sign-in with a code to be entered elsewhere. **Raises** `InputError`, `SignInRefused`, `MailboxError`, `WorkspaceError`."""
        self._refuse_for_others(host, account, "oauth-device")
        self._vault.make_ready()
        app = self.app(host)
        flow = asked(app, account.mailbox, lambda: app.client().initiate_device_flow(scopes_of(app)))
        if "user_code" not in flow:
            raise self._refused(host, account, refusal(flow, account.mailbox))
        return DeviceBegun(flow["user_code"], flow["verification_uri"], flow.get("message", ""), flow)

    @_without_frames
    def finish_device(
        self, host: Host, account: Account, begun: DeviceBegun, sleep: Callable[[float], None] = time.sleep
    ) -> SignedIn:
        """Wait until the code was entered, declined or ran out. **Raises** `SignInRefused`, `MailboxError`."""
        app = self.app(host)

        def wait(client: Any) -> dict[str, Any]:
            flow = dict(begun.flow)
            while True:
                sleep(max(1.0, float(flow.get("interval", 5))))
                flow.pop("latest_attempt_at", None)  # our pauses are our own; MSAL would warn of them
                answer: dict[str, Any] = client.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
                if answer.get("error") not in ("authorization_pending", "slow_down"):
                    return answer
                if flow.get("expires_at", 0) < time.time():
                    return {"error": "expired_token"}

        return self._acquired(host, account, app, wait)

    # ── no person ────────────────────────────────────────────────────────────────────────────────────────────────────
    @_without_frames
    def try_now(self, host: Host, account: Account) -> SignedIn:
        """Try the host's password or app once, now: also a password that was refused before (the account was unlocked meanwhile).

        **Raises** `SignInRefused`, `MailboxError`.
        """
        from ops_lib.mailbox.ews.identity import can_be_opened

        user = account.user_email if host.access == "direct" else host.service_user
        if host.auth in ("basic", "ntlm"):
            with self._database.begin() as connection:
                password_tries.forget(connection, host, user)
        can_be_opened(host, account, self.secrets, self._timeout_seconds, self)
        with self._database.begin() as connection:
            served = SignInStates(connection).signed_in(host, account, self._now())
        return SignedIn(account, host.client_id if host.auth == "oauth-app" else user, _mailboxes(served))

    def _forget_abandoned(self) -> None:
        """Take the begun sign-ins out of the vault that nobody can finish any more."""
        for name in self._vault.names():
            if name.startswith("flow/"):
                kept = self._vault.get(name)
                if kept is not None and json.loads(kept)["until"] < time.time():
                    self._vault.remove(name)

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _refuse_for_others(self, host: Host, account: Account, auth: str) -> None:
        if host.auth != auth:
            raise InputError(
                f"host {host.name} signs in with {host.auth}, not with {auth}", subject=account.mailbox,
                fix=f"syncops host edit {host.name!r} --auth {auth} changes it.",
            )  # fmt: skip
        signer = self.signer(host, account)
        if signer.account_id != account.account_id:
            raise InputError(
                f"on host {host.name} {signer.mailbox} signs in for this account", subject=account.mailbox,
                fix=f"syncops signin {signer.mailbox}.",
            )  # fmt: skip

    def _acquired(self, host: Host, account: Account, app: App, acquire: Callable[[Any], dict[str, Any]]) -> SignedIn:
        """Get the tokens into a cache of their own, see whose they are, and keep them if they are the account's."""
        import msal

        cache = msal.SerializableTokenCache()
        answer = asked(app, account.mailbox, lambda: _without_nonce_error(lambda: acquire(app.client(cache))))
        if "access_token" not in answer:
            raise self._refused(host, account, refusal(answer, account.mailbox, app.secret))
        as_whom = self._must_be(host, account, app, answer)
        tokens.keep(self._vault, app, account.mailbox, cache.serialize())
        with self._database.begin() as connection:
            served = SignInStates(connection).signed_in(host, account, self._now())
        return SignedIn(account, as_whom, _mailboxes(served))

    def _must_be(self, host: Host, account: Account, app: App, answer: dict[str, Any]) -> str:
        """The directory's name of who signed in. **Raises** `SignInRefused` for somebody else than the account's mailbox (A4)."""
        from ops_lib.mailbox.ews.identity import owns_mailbox

        claims = answer.get("id_token_claims") or {}
        names = [str(claims[name]) for name in ("preferred_username", "upn") if claims.get(name)]
        as_whom = names[0] if names else "somebody the directory does not name"
        # Another tenant's administrator gives any name to anybody: a name counts where the host's own tenant gave it.
        is_of_tenant = str(claims.get("tid", "")).lower() == host.tenant_id.lower()
        if is_of_tenant and claims.get("aud") == app.client_id and account.mailbox in {name.lower() for name in names}:
            return as_whom
        reason = ""
        try:
            is_own = owns_mailbox(host, account, answer, self._timeout_seconds)
        except MailboxError as error:
            is_own, reason = False, f"; whose mailbox it is could not be seen ({error.message})"
        if is_own:
            return as_whom
        known = sign_in_errors.OTHER_MAILBOX
        raise SignInRefused(
            f"{as_whom} signed in, and the account is of {account.mailbox}{reason}: nothing of it is kept",
            subject=account.mailbox,
            response_code="another mailbox",
            fix=known.fix,
        )

    def _refused(self, host: Host, account: Account, error: MailboxError) -> MailboxError:
        """The refusal of a sign-in, kept for the banner where no earlier one stands."""
        if isinstance(error, SignInRefused) and not tokens.is_kept(self._vault, self.app(host), account.mailbox):
            with self._database.begin() as connection:
                SignInStates(connection).refused(account, error, self._now())
        return error


def _without_nonce_error(acquire: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """MSAL raises for an id token that answers another question; that is a refusal like others."""
    try:
        return acquire()
    except RuntimeError:
        return {"error": "invalid_grant", "error_description": "the id token does not belong to this sign-in"}


def _mailboxes(accounts: list[Account]) -> tuple[str, ...]:
    return tuple(each.mailbox for each in accounts)


_of_users: dict[tuple[str, ...], UserTokens] = {}
_of_apps: dict[tuple[str, ...], TokenSource] = {}
_registry = threading.Lock()


def _user_tokens(vault: Vault, app: App, mailbox: str) -> UserTokens:
    """One object for each sign-in in the process: its lock is what makes threads share a refresh."""
    found = UserTokens(vault, app, mailbox)
    with _registry:
        return _of_users.setdefault(found.key, found)


def _app_tokens(vault: Vault, app: App) -> TokenSource:
    with _registry:
        key = (str(vault.path), *app.key)
        return _of_apps.setdefault(key, TokenSource(app, VaultStore(vault, app)))
