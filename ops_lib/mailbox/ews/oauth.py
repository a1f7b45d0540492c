"""Tokens: from MSAL, cached, and fed to exchangelib so that none of its traps is stepped into.

exchangelib would fetch tokens itself from one fixed address, spin for ever on an expired one, lose its only session when a refresh raises,
and go on sending an old token after a new one was set. Here the token is looked at before every request and replaced in place.

Errors leave this module without what they came from: the frames of MSAL and requests hold secrets and tokens.

Source: MSAL Python; the directory's *authentication error codes*.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import requests
from exchangelib import OAuth2AuthorizationCodeCredentials
from oauthlib.oauth2 import OAuth2Token

from ops_lib.diagnosis import sign_in_errors
from ops_lib.errors import InputError, MailboxError, ServerBusy, ServerFailed, SignInRefused, Unreachable
from ops_lib.mailbox import Tokens
from ops_lib.mailbox.ews import failures
from ops_lib.mailbox.ews.certificates import credential
from ops_lib.mailbox.ews.connections import Adapter
from ops_lib.model import Host

T = TypeVar("T")

RESOURCE = "https://outlook.office365.com"
OTHER_CLOUDS = frozenset({"outlook.office365.us", "outlook-dod.office365.us", "partner.outlook.cn"})
SCOPES = [f"{RESOURCE}/.default"]
PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
TOKEN_TIMEOUT_SECONDS = 30.0
WHOLE_TIMEOUT_SECONDS = 45.0
"""How long one question to the directory may take in all, however slowly it drips."""

EARLY_SECONDS = 60.0
"""A token with less than this left is replaced before it is used."""

SPARE_SECONDS = 10.0
"""A token with more than this left is still used where the directory cannot be asked for another one now."""

UNREACHABLE_CODE = "sign-in address unreachable"
UNKNOWN_TENANT_CODE = "unknown tenant"


@dataclass(frozen=True, slots=True)
class App:
    """An app registration in one tenant, and how to ask the directory in its name. An empty ``secret``: a public client."""

    authority: str
    overridden: bool
    client_id: str
    secret: str = field(repr=False)
    ca_bundle: str = ""
    resource: str = RESOURCE

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from any other, without its secret."""
        return (self.authority, self.client_id, fingerprint(self.secret), self.ca_bundle, self.resource)

    def client(self, cache: Any = None) -> Any:
        """MSAL's client for it. Asks the directory for its addresses: within `asked` only."""
        import msal

        session = requests.Session()
        session.mount("https://", Adapter(self.ca_bundle, max_retries=0))
        if self.ca_bundle:
            session.trust_env = False  # the environment's bundle would win over this one
            session.verify = self.ca_bundle
        options = {
            "authority": self.authority,
            "instance_discovery": False if self.overridden else None,
            "http_client": _Bounded(session),
            "token_cache": cache,
        }
        if not self.secret:
            return msal.PublicClientApplication(self.client_id, **options)
        return msal.ConfidentialClientApplication(self.client_id, client_credential=credential(self.secret), **options)


def app_of(host: Host, secret: str) -> App:
    """The app registration of a host. **Raises** `InputError` for what is missing."""
    if not host.client_id or (not secret and host.auth == "oauth-app"):
        raise InputError("the app's client id and secret are needed", subject=f"host {host.name}", fix="enter both.")
    base = (host.authority or PUBLIC_AUTHORITY).rstrip("/")
    authority = base if base.count("/") > 2 or not host.tenant_id else f"{base}/{host.tenant_id}"
    if not authority.startswith("https://") or authority.count("/") < 3:
        raise InputError(
            "the directory's address is not complete", subject=f"host {host.name}", fix="enter the tenant id."
        )
    server = urlsplit(host.url).hostname or ""
    return App(
        authority=authority,
        overridden=bool(host.authority),
        client_id=host.client_id,
        secret=secret,
        ca_bundle=host.ca_bundle if host.authority else "",
        resource=f"https://{server}" if server in OTHER_CLOUDS else RESOURCE,
    )


_salt = os.urandom(16)


def fingerprint(secret: str) -> str:
    """What tells secrets apart within this process, and is worth nothing outside."""
    return hashlib.blake2b(secret.encode(), key=_salt, digest_size=16).hexdigest() if secret else ""


def asked(app: App, subject: str, question: Callable[[], T]) -> T:
    """What the directory answers through MSAL. **Raises** `Unreachable`, `ServerFailed`, `SignInRefused` for what MSAL raises."""
    from msal.exceptions import MsalServiceError

    error: Exception
    try:
        return question()
    except MsalServiceError as exception:
        error = ServerFailed(
            "the directory failed to give a token", subject=subject,
            response_code=shown(str(exception), app.secret), fix="nothing: the next cycle tries again.",
        )  # fmt: skip
    except requests.RequestException:
        error = Unreachable(
            f"the directory at {app.authority} cannot be reached, or does not answer in time", subject=subject,
            response_code=UNREACHABLE_CODE, fix="check the host's authority, the name service, the firewall and the CA bundle.",
        )  # fmt: skip
    except ValueError as exception:
        # For the tenant's addresses MSAL says a text of its own, and what the directory answered stays in what it came from.
        cause = exception.__context__ if isinstance(exception.__context__, ValueError) else exception
        if isinstance(cause, json.JSONDecodeError):
            error = ServerFailed(
                f"what answers at {app.authority} is no directory: it sent no JSON", subject=subject, response_code="no JSON",
                fix="nothing, if the next cycle succeeds; else look for a proxy that answers in the directory's place, and check the host's authority.",
            )  # fmt: skip
        else:
            error = _no_tenant(shown(str(cause), app.secret), subject)
    raise error


def _no_tenant(said: str, subject: str) -> SignInRefused:
    found = re.search(r"AADSTS(\d+)", said)
    known = sign_in_errors.AADSTS.get(found.group(1)) if found else None
    if found is not None and known is not None:
        return SignInRefused(known.meaning, subject=subject, response_code=found.group(0), fix=known.fix)
    ours = sign_in_errors.OURS[UNKNOWN_TENANT_CODE]
    return SignInRefused(
        f"{ours.meaning}: {said}",
        subject=subject,
        response_code=found.group(0) if found else UNKNOWN_TENANT_CODE,
        fix=ours.fix,
    )


def shown(said: str, secret: str) -> str:
    """What the directory said as it may be shown; a directory that repeats the secret is not repeated."""
    return failures.scrubbed(said.replace(secret, "…") if secret else said)


class Store(Protocol):
    """Where a token cache outlives the process, and who may write it now."""

    def held(self) -> AbstractContextManager[None]: ...
    def load(self) -> str | None: ...
    def save(self, cache: str) -> None: ...


class TokenSource:
    """The tokens of one app in one tenant. MSAL's cache is inside; used by every mailbox of the host, from any thread.

    With a ``store``, processes share them too.
    """

    signed_in_as = ""

    def __init__(self, app: App, store: Store | None = None) -> None:
        self._app = app
        self._store = store
        self._lock = threading.Lock()
        self._client: Any = None
        self._cache: Any = None
        self._failures = 0
        self._last_failure: MailboxError | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return self._app.key

    def token(self, subject: str) -> dict[str, Any]:
        """A token with some life left, as MSAL gives it. Raises `SignInRefused`, `Unreachable`, `ServerBusy`, `ServerFailed`."""
        return self._ask(subject, "")

    def new_token(self, subject: str, refused: str) -> dict[str, Any]:
        """Another token than the refused one (its `fingerprint`): the one somebody else has got meanwhile, or one not from the cache."""
        return self._ask(subject, refused)

    def _ask(self, subject: str, refused: str) -> dict[str, Any]:
        failures_before = self._failures
        with self._lock:
            if self._last_failure is not None and self._failures != failures_before:
                # Another thread was refused while this one waited: the directory is not asked the same question again.
                error = copy(self._last_failure)
                error.subject = subject
                raise error
            try:
                with self._store.held() if self._store is not None else nullcontext():
                    answer = asked(self._app, subject, lambda: self._answer(refused))
                if "access_token" not in answer:
                    raise refusal(answer, subject, self._app.secret)
            except MailboxError as exception:
                self._failures += 1
                self._last_failure = copy(exception)
                raise
        return answer

    def _answer(self, refused: str) -> dict[str, Any]:
        import msal

        if self._client is None:
            cache = msal.SerializableTokenCache()
            self._client = self._app.client(cache)
            self._cache = cache
        kept = self._store.load() if self._store is not None else None
        if kept:
            self._cache.deserialize(kept)
        scopes = [f"{self._app.resource}/.default"]
        answer: dict[str, Any] = self._client.acquire_token_for_client(scopes)
        if refused and fingerprint(answer.get("access_token", "")) == refused:
            self._client.remove_tokens_for_client()
            answer = self._client.acquire_token_for_client(scopes)
        if self._store is not None and self._cache.has_state_changed and "access_token" in answer:
            self._store.save(self._cache.serialize())
        return answer


class _Bounded:
    """The HTTP client MSAL uses: no question takes longer than `WHOLE_TIMEOUT_SECONDS`, redirects are not followed with a secret."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def post(self, url: str, **options: Any) -> requests.Response:
        return self._within_time(lambda: self._session.post(url, **self._bounds(options)))

    def get(self, url: str, **options: Any) -> requests.Response:
        return self._within_time(lambda: self._session.get(url, **self._bounds(options)))

    def close(self) -> None:
        self._session.close()

    @staticmethod
    def _bounds(options: dict[str, Any]) -> dict[str, Any]:
        return {"timeout": TOKEN_TIMEOUT_SECONDS, "allow_redirects": False} | options

    @staticmethod
    def _within_time(ask: Callable[[], requests.Response]) -> requests.Response:
        """A time limit of requests is for each piece of an answer; one that drips never exceeds it. So the whole is waited for beside it."""
        found: list[requests.Response] = []
        failed: list[Exception] = []

        def run() -> None:
            try:
                found.append(ask())
            except Exception as exception:  # noqa: BLE001 - raised again in the thread that waits
                failed.append(exception)

        asking = threading.Thread(target=run, daemon=True, name="token")
        asking.start()
        asking.join(WHOLE_TIMEOUT_SECONDS)
        if failed:
            raise failed[0]
        if not found:
            raise requests.ReadTimeout("the directory did not answer in time")
        return found[0]


def refusal(answer: dict[str, Any], subject: str, secret: str = "") -> MailboxError:
    """What a refused token means. The AADSTS code is kept verbatim; whether to try again follows the OAuth error, not the code."""
    said = str(answer.get("error_description", ""))
    found = re.search(r"AADSTS(\d+)", said)
    number = found.group(1) if found else str((answer.get("error_codes") or [""])[0])
    error = str(answer.get("error", "") or "")
    code = f"AADSTS{number}" if number else shown(error, secret) or "no token"
    if error in sign_in_errors.LATER:
        return ServerBusy("the directory asks to try again later", subject=subject, response_code=code)
    known = sign_in_errors.of_answer(number, error)
    excerpt = shown(said, secret)
    message = (
        known.meaning if number in sign_in_errors.AADSTS or not excerpt else f'{known.meaning}; it says: "{excerpt}"'
    )
    return SignInRefused(message, subject=subject, response_code=code, fix=known.fix)


_sources: dict[tuple[str, ...], TokenSource] = {}
_sources_lock = threading.Lock()


def source_of(host: Host, secret: str) -> TokenSource:
    """The token source of a host's app: one per authority, client and secret, whatever host it is entered on."""
    app = app_of(host, secret)
    with _sources_lock:
        return _sources.setdefault(app.key, TokenSource(app))


class MsalCredentials(OAuth2AuthorizationCodeCredentials):  # type: ignore[misc]
    """exchangelib's credentials with a token from somewhere else. No client id and secret are given: it then refreshes nothing itself."""

    def __init__(self, source: Tokens, clock: Callable[[], float] = time.time) -> None:
        self._source = source
        self._clock = clock
        super().__init__(
            access_token=OAuth2Token({"access_token": "none yet", "token_type": "Bearer", "expires_at": 0})
        )

    @property
    def signed_in_as(self) -> str:
        return self._source.signed_in_as

    def make_current(self, subject: str) -> str:
        """Have a token with some life left on every session; its fingerprint. Raises what `TokenSource.token` raises, before a session is taken."""
        with self.lock:
            left = self.access_token["expires_at"] - self._clock()
            if left <= EARLY_SECONDS:
                try:
                    self._put(self._source.token(subject))
                except MailboxError as error:
                    if not error.transient or left < SPARE_SECONDS:
                        raise  # else the directory is away for a moment, and this token still serves
            return self._current()

    def replace(self, subject: str, refused: str) -> bool:
        """Have another token than the one the server refused, by its fingerprint; False where the directory gives the same again.

        Of many threads whose requests were refused with one token, the first asks the directory and the others go on with what it got.
        """
        with self.lock:
            if self._current() == refused:
                self._put(self._source.new_token(subject, refused))
            return self._current() != refused

    def refresh(self, session: Any) -> None:
        """Called while exchangelib holds a session, which it loses if this raises: the token was replaced before, so nothing is left to do."""

    def _current(self) -> str:
        return fingerprint(self.access_token["access_token"])  # not the token: where something raises, locals are seen

    def _put(self, token: dict[str, Any]) -> None:
        seconds = float(token.get("expires_in", 3600))
        self.access_token = OAuth2Token(
            {
                "access_token": token["access_token"],
                "token_type": "Bearer",
                "expires_in": seconds,
                "expires_at": self._clock() + seconds,
            }
        )
        # All sessions share this client, and it is what puts the token on a request.
        self.client.token = self.access_token
        self.client.populate_token_attributes(self.access_token)
