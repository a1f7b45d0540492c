"""Who is it? The sign-in that every address of Exchange asks for: Basic, NTLM, Negotiate or a bearer token."""

from __future__ import annotations

import base64
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from ops_lib.sandbox import ntlm
from ops_lib.sandbox.attempts import Attempts, Verdict
from ops_lib.sandbox.entra import EXCHANGE_APP_ID, Directory, TokenRefused
from ops_lib.sandbox.ews.session import Caller
from ops_lib.sandbox.listeners import CONNECTION
from ops_lib.sandbox.ways_in import USUAL

if TYPE_CHECKING:
    from ops_lib.sandbox.endpoint import Behind

_BEARER = (
    f'Bearer client_id="{EXCHANGE_APP_ID}", trusted_issuers="00000001-0000-0000-c000-000000000000@*", '
    'token_types="app_asserted_user_v1 service_asserted_app_v1", '
    'authorization_uri="https://login.windows.net/common/oauth2/authorize"'
)
_CHALLENGES = {"negotiate": "Negotiate", "ntlm": "NTLM", "basic": 'Basic realm="sandbox"', "bearer": _BEARER}
_SIGNED_IN = "signed in"

Headers = tuple[tuple[str, str], ...]


class NotSignedIn(Exception):
    """401. ``headers`` say what is offered; ``is_challenge``: it is a step of NTLM, not a refusal."""

    def __init__(self, headers: Headers, *, is_challenge: bool = False) -> None:
        super().__init__()
        self.headers = headers
        self.is_challenge = is_challenge


class Gate:
    """Lets callers in by the ways it ``offers``. ``domain`` is the organisation's."""

    def __init__(
        self, behind: Behind, directory: Directory, attempts: Attempts, domain: str, offers: tuple[str, ...] = USUAL
    ) -> None:
        self._behind = behind
        self._directory = directory
        self._attempts = attempts
        self._domain = domain
        self.offers = offers

    def caller(self, scope: MutableMapping[str, Any], authorization: str) -> Caller:
        """Who sends this request: by its header, or by what its connection was signed in with. Raises NotSignedIn."""
        scheme, _, value = authorization.partition(" ")
        way, kept = scheme.lower(), scope[CONNECTION]
        if not way and _SIGNED_IN in kept:
            caller, life = kept[_SIGNED_IN]
            if life == self._behind.organisation.life:  # a reset leaves nobody signed in
                assert isinstance(caller, Caller)
                return caller
        if way not in self.offers:
            raise self._refused()
        if way == "bearer":
            return self._bearer(value.strip())
        if way == "basic":
            return self._basic(value)
        return self._ntlm(scheme, value.strip(), kept)

    def _refused(self, diagnostics: str = "") -> NotSignedIn:
        """A 401; to who came with a token it says that the token will not do, and why."""
        challenges = {**_CHALLENGES, "bearer": f'{_BEARER}, error="invalid_token"'} if diagnostics else _CHALLENGES
        headers: Headers = tuple(("WWW-Authenticate", challenges[way]) for way in self.offers)
        return NotSignedIn((*headers, ("x-ms-diagnostics", diagnostics)) if diagnostics else headers)

    def _bearer(self, token: str) -> Caller:
        try:
            bearer = self._directory.check(token)
        except TokenRefused as refused:
            raise self._refused(refused.diagnostics) from None
        return Caller(bearer.name, app=not bearer.user)

    def _basic(self, value: str) -> Caller:
        try:
            raw = base64.b64decode(value, validate=True)
        except ValueError:
            raise self._refused() from None
        try:
            login, _, password = raw.decode().partition(":")
        except UnicodeDecodeError:  # older clients write the header in Latin-1
            login, _, password = raw.decode("latin-1").partition(":")
        return self._judged(login, self._behind.organisation.authenticate(login, password), "basic")

    def _ntlm(self, scheme: str, value: str, kept: MutableMapping[str, Any]) -> Caller:
        kept.pop(_SIGNED_IN, None)
        organisation = self._behind.organisation
        try:
            result = ntlm.step(scheme, value, kept, organisation.password_of, self._domain)
        except ntlm.NotNtlm:
            raise self._refused() from None
        if isinstance(result, ntlm.Challenged):
            raise NotSignedIn((("WWW-Authenticate", result.header),), is_challenge=True)
        caller = self._judged(result.login, result.is_right, "ntlm")
        kept[_SIGNED_IN] = caller, organisation.life
        return caller

    def _judged(self, login: str, is_right: bool, way: str) -> Caller:
        account = self._behind.organisation.account(login)
        verdict = self._attempts.judge(account or login.strip() or "(nobody)", is_right, way)
        if verdict is not Verdict.ACCEPTED:
            raise self._refused()
        return Caller(account, app=False)
