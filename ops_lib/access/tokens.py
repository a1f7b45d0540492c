"""The tokens of people who signed in: kept in the vault, refreshed once however many threads and processes want them.

A refused refresh is kept beside the cache, which stays as it was: where only a new sign-in mends it, nobody asks again before.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ops_lib.access.vault import Vault
from ops_lib.diagnosis import sign_in_errors
from ops_lib.errors import MailboxError, ServerFailed, SignInRefused
from ops_lib.mailbox.ews.oauth import EARLY_SECONDS, App, asked, fingerprint, refusal

PERMISSION = "EWS.AccessAsUser.All"
HELD_BACK_SECONDS = 10.0
"""After a failure of the directory the other threads do not each wait for it as well."""


def entry_of(app: App, mailbox: str) -> str:
    """The vault's name for a mailbox' sign-in with an app."""
    return f"tokens/{app.authority.lower()}|{app.client_id.lower()}|{mailbox.lower()}"


def scopes_of(app: App) -> list[str]:
    return [f"{app.resource}/{PERMISSION}"]


class VaultStore:
    """An app's token cache in the vault. Tokens that another secret brought are not its own: a wrong secret would go unnoticed."""

    def __init__(self, vault: Vault, app: App) -> None:
        self._vault = vault
        self._name = entry_of(app, "")
        self._of = hashlib.sha256(
            app.secret.encode()
        ).hexdigest()  # it goes into the vault only, where the secret may lie as well

    def held(self) -> AbstractContextManager[None]:
        return self._vault.held(self._name)

    def load(self) -> str | None:
        entry = json.loads(self._vault.get(self._name) or "{}")
        return entry["cache"] if entry.get("of") == self._of else None

    def save(self, cache: str) -> None:
        self._vault.put(self._name, json.dumps({"cache": cache, "of": self._of}))


def keep(vault: Vault, app: App, mailbox: str, cache: str) -> None:
    """Keep what a sign-in brought, in place of what was there."""
    name = entry_of(app, mailbox)
    with vault.held(name):
        vault.put(name, json.dumps({"cache": cache, "refused": None}))


def is_kept(vault: Vault, app: App, mailbox: str) -> bool:
    """Whether somebody signed in for this mailbox with this app."""
    return vault.get(entry_of(app, mailbox)) is not None


class UserTokens:
    """The tokens of one mailbox that signed in with one app, from any thread."""

    def __init__(self, vault: Vault, app: App, mailbox: str, clock: Callable[[], float] = time.time) -> None:
        self._vault = vault
        self._app = app
        self._mailbox = mailbox.lower()
        self._name = entry_of(app, mailbox)
        self._clock = clock
        self._lock = threading.Lock()
        self._held_back: tuple[float, MailboxError] | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return (str(self._vault.path), self._mailbox, *self._app.key)

    @property
    def signed_in_as(self) -> str:
        return self._mailbox

    def token(self, subject: str) -> dict[str, Any]:
        """A token with some life left; refreshed where there is none, once for everybody. Raises `SignInRefused`, `Unreachable`, …"""
        return self._token(subject, None)

    def new_token(self, subject: str, refused: str) -> dict[str, Any]:
        """Another one than the refused (its fingerprint): refreshed, unless another thread or process has done that already."""
        return self._token(subject, refused)

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _token(self, subject: str, refused: str | None) -> dict[str, Any]:
        with self._lock:
            if self._held_back is not None and self._clock() < self._held_back[0]:
                raise _copy(self._held_back[1], subject)
            self._held_back = None
            error: MailboxError
            try:
                with self._vault.held(self._name):
                    return self._under_lock(subject, refused)
            except MailboxError as exception:
                error = exception.with_traceback(None)
            if not sign_in_errors.needs_sign_in(error.response_code):
                self._held_back = (self._clock() + HELD_BACK_SECONDS, error)
        raise error

    def _under_lock(self, subject: str, refused: str | None) -> dict[str, Any]:
        import msal

        entry = json.loads(self._vault.get(self._name) or "{}")
        if not entry:
            raise never_signed_in(subject, self._mailbox)
        if entry["refused"]:
            raise SignInRefused(subject=subject, **entry["refused"])
        cache = msal.SerializableTokenCache()
        cache.deserialize(entry["cache"])
        usable = self._usable(cache)
        if usable is not None and (refused is None or fingerprint(usable["access_token"]) != refused):
            return usable
        answer = asked(self._app, subject, lambda: self._refreshed(cache))
        if "access_token" not in answer:
            error = refusal(answer, subject, self._app.secret)
            if sign_in_errors.needs_sign_in(error.response_code):
                entry["refused"] = {"message": error.message, "response_code": error.response_code, "fix": error.fix}
                self._vault.put(self._name, json.dumps(entry))
            raise error
        self._vault.put(self._name, json.dumps({"cache": cache.serialize(), "refused": None}))
        return answer

    def _usable(self, cache: Any) -> dict[str, Any] | None:
        """The cached token with the most life left, if that is enough."""
        kind = cache.CredentialType.ACCESS_TOKEN
        found = [
            (int(each["expires_on"]) - self._clock(), each["secret"])
            for each in cache.search(kind, target=scopes_of(self._app), query={"client_id": self._app.client_id})
        ]
        left, token = max(found, default=(0.0, ""))
        return {"access_token": token, "expires_in": left} if left > EARLY_SECONDS else None

    def _refreshed(self, cache: Any) -> dict[str, Any]:
        client = self._app.client(cache)
        accounts = client.get_accounts()
        if len(accounts) != 1:
            raise ServerFailed("the kept sign-in names nobody", fix="sign in again (syncops signin).")
        answer = client.acquire_token_silent_with_error(scopes_of(self._app), accounts[0], force_refresh=True)
        return answer or {"error": "login_required"}


def never_signed_in(subject: str, mailbox: str) -> SignInRefused:
    """What is said where nobody signed in yet for the mailbox that signs in."""
    known = sign_in_errors.NEVER_SIGNED_IN
    return SignInRefused(
        f"{known.meaning} as {mailbox}" if mailbox else known.meaning,
        subject=subject,
        response_code="not signed in",
        fix=f"syncops signin {mailbox}".rstrip() + ".",
    )


def _copy(error: MailboxError, subject: str) -> MailboxError:
    """The same error for somebody else: one exception is not raised in several threads."""
    copied = type(error)(error.message, subject=subject, response_code=error.response_code, fix=error.fix)
    copied.transient = error.transient
    return copied
