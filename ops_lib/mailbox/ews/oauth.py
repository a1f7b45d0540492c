"""Tokens: from MSAL, cached, and fed to exchangelib so that none of its traps is stepped into.

exchangelib would fetch tokens itself from one fixed address, spin for ever on an expired one, lose its only session when a refresh raises,
and go on sending an old token after a new one was set. Here the token is looked at before every request and replaced in place.

Source: MSAL Python; the directory's *authentication error codes*.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from exchangelib import OAuth2AuthorizationCodeCredentials
from oauthlib.oauth2 import OAuth2Token

from ops_lib.errors import InputError, MailboxError, ServerBusy, ServerFailed, SignInRefused, Unreachable
from ops_lib.mailbox.ews import failures
from ops_lib.model import Host

SCOPES = ["https://outlook.office365.com/.default"]
PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
TOKEN_TIMEOUT_SECONDS = 30.0
EARLY_SECONDS = 60.0
"""A token with less than this left is replaced before it is used. MSAL itself replaces from five minutes on."""

AADSTS: dict[str, tuple[str, str]] = {
    "50011": ("the reply address is not registered", "the app's owner adds the exact redirect URI."),
    "50034": ("the user is not in this tenant", "check the user name and the tenant id."),
    "50053": ("the account is locked, or the sign-in comes from an address known for attacks", "an administrator looks at the sign-in log."),
    "50055": ("the password has expired", "the user sets a new password."),
    "50057": ("the user is disabled", "an administrator enables the user."),
    "50058": ("nobody is signed in", "sign in again."),
    "50076": ("a second factor is asked for", "sign in again, in a browser."),
    "50079": ("the user must register a second factor", "the user registers one, then signs in again."),
    "50105": ("the user is not assigned to the app", "an administrator assigns the user."),
    "50126": ("user name or password is wrong", "enter the right ones."),
    "50173": ("the grant was withdrawn, for example by a new password", "sign in again."),
    "50194": ("the app belongs to one tenant and was asked for at the common address", "enter the tenant id."),
    "53000": ("the device does not meet the tenant's policy", "an administrator looks at Conditional Access."),
    "53001": ("the device is not joined to the domain", "an administrator looks at Conditional Access."),
    "53003": ("Conditional Access blocks the sign-in", "an administrator looks at the policy named in the sign-in log."),
    "530032": ("the tenant's security policy blocks the sign-in", "an administrator looks at the policy."),
    "530035": ("the tenant's security defaults block the sign-in", "an administrator looks at the policy."),
    "65001": ("nobody has consented to the app's permissions", "an administrator grants consent."),
    "65004": ("the user declined", "sign in again and accept."),
    "90094": ("an administrator must consent", "an administrator grants consent."),
    "650056": ("the app's registration is incomplete", "the app's owner checks its API permissions."),
    "650057": ("the app does not ask for this resource", "the app's owner adds the permission Office 365 Exchange Online."),
    "500011": ("the tenant does not know the resource", "check the tenant id."),
    "70008": ("the sign-in has expired", "sign in again."),
    "700082": ("the sign-in has expired because it was not used", "sign in again."),
    "70043": ("the tenant asks to sign in more often", "sign in again."),
    "70011": ("the scope is not valid", "the app's owner checks its API permissions."),
    "700016": ("the tenant does not know this app", "check client id and tenant id."),
    "700025": ("the app is a public one and was given a secret", "register the app as a confidential client."),
    "700027": ("the certificate's signature is not valid", "check the certificate and its thumbprint."),
    "7000112": ("the app is disabled in the tenant", "an administrator enables the enterprise application."),
    "7000215": ("the client secret is wrong; often the secret's ID was entered in place of its value", "enter the secret's value."),
    "7000218": ("a secret is missing", "enter the client secret."),
    "7000222": ("the client secret has expired", "the app's owner makes a new secret; enter its value."),
    "90002": ("there is no such tenant", "check the tenant id."),
    "9001023": ("this sign-in needs the tenant's own address", "enter the tenant id."),
    "54005": ("the sign-in's code was used before", "sign in again."),
}  # fmt: skip


class TokenSource:
    """The tokens of one app in one tenant. MSAL's cache is inside; used by every mailbox of the host, from any thread."""

    def __init__(self, *, authority: str, overridden: bool, client_id: str, secret: str, ca_bundle: str) -> None:
        self._options = (authority, overridden, client_id, secret, ca_bundle)
        self._lock = threading.Lock()
        self._app: Any = None

    def token(self, subject: str) -> dict[str, Any]:
        """A token with some life left, as MSAL gives it. Raises `SignInRefused`, `Unreachable`, `ServerBusy`, `ServerFailed`."""
        return self._ask(subject)

    def new_token(self, subject: str) -> dict[str, Any]:
        """A token that is not from the cache."""
        return self._ask(subject, forget=True)

    def _ask(self, subject: str, *, forget: bool = False) -> dict[str, Any]:
        import msal
        from msal.exceptions import MsalServiceError

        try:
            with self._lock:
                app = self._app = self._app or self._new_app(msal)
                if forget:
                    app.remove_tokens_for_client()
                answer: dict[str, Any] = app.acquire_token_for_client(SCOPES)
        except MsalServiceError as error:
            raise ServerFailed(
                "the directory failed to give a token", subject=subject, response_code=failures.scrubbed(str(error)),
                fix="nothing: the next cycle tries again.",
            ) from None  # fmt: skip
        except requests.RequestException:
            raise Unreachable(
                f"the directory at {self._options[0]} cannot be reached", subject=subject,
                fix="check the host's authority, the name service, the firewall and the CA bundle.",
            ) from None  # fmt: skip
        except ValueError as error:
            raise SignInRefused(
                f"the directory does not know this tenant: {failures.scrubbed(str(error))}",
                subject=subject,
                fix="check the tenant id.",
            ) from None
        if "access_token" not in answer:
            raise refusal(answer, subject)
        return answer

    def _new_app(self, msal: Any) -> Any:
        authority, overridden, client_id, secret, ca_bundle = self._options
        session = requests.Session()
        if ca_bundle:
            session.trust_env = False  # the environment's bundle would win over this one
            session.verify = ca_bundle
        return msal.ConfidentialClientApplication(
            client_id,
            client_credential=secret,
            authority=authority,
            instance_discovery=False if overridden else None,
            http_client=_WithTimeout(session),
        )


class _WithTimeout:
    """The HTTP client MSAL uses: a session that does not wait for ever."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def post(self, url: str, **options: Any) -> requests.Response:
        return self._session.post(url, timeout=TOKEN_TIMEOUT_SECONDS, **options)

    def get(self, url: str, **options: Any) -> requests.Response:
        return self._session.get(url, timeout=TOKEN_TIMEOUT_SECONDS, **options)

    def close(self) -> None:
        self._session.close()


def refusal(answer: dict[str, Any], subject: str) -> MailboxError:
    """What a refused token means. The AADSTS code is kept verbatim; whether to try again follows the OAuth error, not the code."""
    said = str(answer.get("error_description", ""))
    found = re.search(r"AADSTS(\d+)", said)
    number = found.group(1) if found else str((answer.get("error_codes") or [""])[0])
    code = f"AADSTS{number}" if number else str(answer.get("error", "no token"))
    meaning, fix = AADSTS.get(
        number, ("the directory gives no token", "look the code up at https://login.microsoftonline.com/error.")
    )
    if answer.get("error") in ("temporarily_unavailable", "server_error"):
        return ServerBusy("the directory asks to try again later", subject=subject, response_code=code)
    excerpt = failures.scrubbed(said)
    message = meaning if number in AADSTS or not excerpt else f'{meaning}; it says: "{excerpt}"'
    return SignInRefused(message, subject=subject, response_code=code, fix=fix)


_sources: dict[tuple[str, str, str, str], TokenSource] = {}
_sources_lock = threading.Lock()


def source_of(host: Host, secret: str) -> TokenSource:
    """The token source of a host's app: one per authority, client and secret, whatever host it is entered on."""
    if not host.client_id or not secret:
        raise InputError("the app's client id and secret are needed", subject=f"host {host.name}", fix="enter both.")
    base = (host.authority or PUBLIC_AUTHORITY).rstrip("/")
    authority = base if base.count("/") > 2 or not host.tenant_id else f"{base}/{host.tenant_id}"
    if not authority.startswith("https://") or authority.count("/") < 3:
        raise InputError(
            "the directory's address is not complete", subject=f"host {host.name}", fix="enter the tenant id."
        )
    key = (authority, host.client_id, secret, host.ca_bundle)
    with _sources_lock:
        if key not in _sources:
            _sources[key] = TokenSource(
                authority=authority,
                overridden=bool(host.authority),
                client_id=host.client_id,
                secret=secret,
                ca_bundle=host.ca_bundle if host.authority else "",
            )
        return _sources[key]


class MsalCredentials(OAuth2AuthorizationCodeCredentials):  # type: ignore[misc]
    """exchangelib's credentials with a token from somewhere else. No client id and secret are given: it then refreshes nothing itself."""

    def __init__(self, source: TokenSource, clock: Callable[[], float] = time.time) -> None:
        self._source = source
        self._clock = clock
        super().__init__(
            access_token=OAuth2Token({"access_token": "none yet", "token_type": "Bearer", "expires_at": 0})
        )

    def make_current(self, subject: str) -> None:
        """Have a token with some life left on every session. Raises what `TokenSource.token` raises, before a session is taken."""
        with self.lock:
            if self.access_token["expires_at"] - self._clock() > EARLY_SECONDS:
                return
            self._put(self._source.token(subject))

    def replace(self, subject: str) -> bool:
        """Get another token than the one the server refused; False where the directory gives the same again."""
        with self.lock:
            before = self.access_token["access_token"]
            self._put(self._source.new_token(subject))
            return bool(self.access_token["access_token"] != before)

    def refresh(self, session: Any) -> None:
        """Called while exchangelib holds a session, which it loses if this raises: the token was replaced before, so nothing is left to do."""

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
