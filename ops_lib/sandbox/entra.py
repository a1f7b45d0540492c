"""The OAuth face: what client credentials needs of Microsoft Entra, and the check Exchange makes of a token.

The v2.0 endpoints answer and refuse as Entra does (codes in ``error_codes``); the signing key is made at start.
Other flows and certificates instead of secrets come with the issues that need them: :meth:`Directory.token` is their place.

**Source** learn.microsoft.com/entra/identity-platform: v2-oauth2-client-creds-grant-flow, reference-error-codes,
access-token-claims-reference; Exchange: how-to-authenticate-an-ews-application-by-using-oauth.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from jwt.types import Options

TENANT_ID = "5a0d0b0c-51fd-4c1b-8a3d-7a1e5a2db0c5"
CLIENT_ID = "0c9be2a7-3f6d-4f0e-9a5b-5d1c0f0e4a11"
FULL_ACCESS = "full_access_as_app"
EXCHANGE = "https://outlook.office365.com"
GRAPH = "https://graph.microsoft.com"
EXCHANGE_APP_ID = "00000002-0000-0ff1-ce00-000000000000"
LIFETIME_SECONDS = 3599

# What a client may write before /.default, and the audience its token then names.
_RESOURCES = {
    EXCHANGE: EXCHANGE,
    "https://outlook.office.com": "https://outlook.office.com",
    EXCHANGE_APP_ID: EXCHANGE_APP_ID,
    GRAPH: GRAPH,
}
EXCHANGE_AUDIENCES = frozenset(_RESOURCES.values()) - {GRAPH}
_SHARED_TENANTS = frozenset({"common", "organizations", "consumers"})


@dataclass(frozen=True)
class App:
    """An app registration with its one secret. ``roles`` are the application permissions an administrator granted."""

    client_id: str
    name: str
    secret: str
    secret_expires: datetime
    roles: tuple[str, ...] = (FULL_ACCESS,)
    enabled: bool = True


class TokenRefused(Exception):  # an answer of the protocol, as data, not an accident
    """Exchange does not accept a bearer token; ``diagnostics`` is the value of ``x-ms-diagnostics``."""

    def __init__(self, number: int, reason: str, category: str) -> None:
        super().__init__(reason)
        self.diagnostics = f'{number};reason="{reason}";error_category="{category}"'


class _Refused(Exception):
    """Entra does not issue a token."""

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.error, self.code, self.text = status, error, code, text


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Directory:
    """One tenant: its app registrations, its signing key, and the tokens they come to.

    ``now`` decides over expiry, of tokens and of secrets alike.
    """

    def __init__(self, now: Callable[[], datetime], domains: Iterable[str] = ()) -> None:
        self._now = now
        self.tenant_id = TENANT_ID
        self.domains = frozenset(domain.lower() for domain in domains)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = secrets.token_urlsafe(20)
        self._apps: dict[str, App] = {}
        self._accepted: dict[str, tuple[str, float]] = {}

    def register(
        self,
        name: str,
        *,
        client_id: str = "",
        roles: Iterable[str] = (FULL_ACCESS,),
        secret_days: float = 180,
        enabled: bool = True,
    ) -> App:
        """Adds an app registration with a fresh secret that is valid for ``secret_days`` (negative: already expired)."""
        app = App(
            client_id=client_id or str(uuid.uuid4()),
            name=name,
            secret=secrets.token_urlsafe(30),
            secret_expires=self._now() + timedelta(days=secret_days),
            roles=tuple(roles),
            enabled=enabled,
        )
        self._apps[app.client_id.lower()] = app
        return app

    # -- what Entra publishes ------------------------------------------------------------------------------------------

    def discovery(self, base: str, tenant: str) -> tuple[int, dict[str, Any]]:
        """Gives the OpenID configuration of ``tenant`` under ``base`` (scheme, host, port): status and document."""
        try:
            named = tenant if tenant.lower() in _SHARED_TENANTS else self._own(tenant)
        except _Refused as refused:
            return self._refusal(refused, "")
        issuer = "{tenantid}" if named.lower() in _SHARED_TENANTS else named
        return 200, {
            "token_endpoint": f"{base}/{named}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "jwks_uri": f"{base}/{named}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base}/{issuer}/v2.0",
            "authorization_endpoint": f"{base}/{named}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/{named}/oauth2/v2.0/devicecode",
            "http_logout_supported": True,
            "end_session_endpoint": f"{base}/{named}/oauth2/v2.0/logout",
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "ver"],
            "tenant_region_scope": None,
            "cloud_instance_name": base.split("//", 1)[1],
        }

    def keys(self) -> dict[str, Any]:
        """Gives the public keys by which anybody can check a token's signature (a JWK set)."""
        numbers = self._key.public_key().public_numbers()
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "use": "sig",
                    "alg": "RS256",
                    "kid": self._key_id,
                    "x5t": self._key_id,
                    "n": _base64url(numbers.n),
                    "e": _base64url(numbers.e),
                }
            ]
        }

    # -- issuing -------------------------------------------------------------------------------------------------------

    def token(self, tenant: str, form: Mapping[str, str], authorization: str = "") -> tuple[int, dict[str, Any]]:
        """Answers a token request: status and JSON document, refusals in Entra's form."""
        try:
            return 200, self._issue(tenant, {**form, **_client_from(authorization)})
        except _Refused as refused:
            return self._refusal(refused, form.get("client-request-id", ""))

    def _issue(self, tenant: str, form: Mapping[str, str]) -> dict[str, Any]:
        grant = _needed(form, "grant_type")
        client_id = _needed(form, "client_id")
        if grant != "client_credentials":
            raise _Refused(
                400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant}'."
            )
        if tenant.lower() in ("common", "consumers"):
            raise _Refused(
                400,
                "invalid_request",
                9001023,
                "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations "
                "or tenant-specific endpoint.",
            )
        if tenant.lower() == "organizations":
            raise _Refused(
                400,
                "invalid_request",
                50059,
                "No tenant-identifying information found in either the request or implied by any provided credentials.",
            )
        tenant_id = self._own(tenant)
        app = self._apps.get(client_id.lower())
        if app is None:
            raise _Refused(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the "
                "application has not been installed by the administrator of the tenant or consented to by any user in the "
                "tenant. You may have sent your authentication request to the wrong tenant.",
            )
        if not app.enabled:
            raise _Refused(
                400, "unauthorized_client", 7000112, f"Application '{app.client_id}'({app.name}) is disabled."
            )
        scope = _needed(form, "scope")
        self._authenticate(app, form)
        return self._signed(app, tenant_id, _audience(scope, tenant))

    def _own(self, tenant: str) -> str:
        if tenant.lower() != self.tenant_id and tenant.lower() not in self.domains:
            raise _Refused(
                400,
                "invalid_request",
                90002,
                f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
                "correct cloud. Check with your subscription administrator, this may happen if there are no active "
                "subscriptions for the tenant.",
            )
        return self.tenant_id

    def _authenticate(self, app: App, form: Mapping[str, str]) -> None:
        if form.get("client_assertion"):
            raise _Refused(
                401,
                "invalid_client",
                700027,
                "The certificate with identifier used to sign the client assertion is not registered on application. "
                f"[Reason - The key was not found.], client ID '{app.client_id}'",
            )
        secret = form.get("client_secret", "")
        if not secret:
            raise _Refused(
                401,
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        if not hmac.compare_digest(secret.encode(), app.secret.encode()):
            raise _Refused(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
                f"not the client secret ID, for a secret added to app '{app.client_id}'.",
            )
        if self._now() >= app.secret_expires:
            raise _Refused(
                401,
                "invalid_client",
                7000222,
                f"The provided client secret keys for app '{app.client_id}' are expired. Visit the Azure portal to create "
                "new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added "
                "security: https://aka.ms/certCreds.",
            )

    def _signed(self, app: App, tenant_id: str, audience: str) -> dict[str, Any]:
        issued = int(self._now().timestamp())
        object_id = str(uuid.uuid5(uuid.UUID(tenant_id), app.client_id))
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant_id}/",
            "iat": issued,
            "nbf": issued,
            "exp": issued + LIFETIME_SECONDS,
            "app_displayname": app.name,
            "appid": app.client_id,
            "appidacr": "1",
            "idp": f"https://sts.windows.net/{tenant_id}/",
            "idtyp": "app",
            "oid": object_id,
            "sub": object_id,
            "tid": tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        if audience in EXCHANGE_AUDIENCES and app.roles:
            claims["roles"] = list(app.roles)
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id, "x5t": self._key_id})
        return {
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "ext_expires_in": LIFETIME_SECONDS,
            "access_token": token,
        }

    def _refusal(self, refused: _Refused, correlation_id: str) -> tuple[int, dict[str, Any]]:
        at = self._now().astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        trace_id, correlation_id = str(uuid.uuid4()), correlation_id or str(uuid.uuid4())
        return refused.status, {
            "error": refused.error,
            "error_description": f"AADSTS{refused.code}: {refused.text} Trace ID: {trace_id} "
            f"Correlation ID: {correlation_id} Timestamp: {at}",
            "error_codes": [refused.code],
            "timestamp": at,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"https://login.microsoftonline.com/error?code={refused.code}",
        }

    # -- what Exchange makes of a token --------------------------------------------------------------------------------

    def check(self, token: str) -> str:
        """Says which app (client id) a bearer token for Exchange speaks for. Raises TokenRefused."""
        now = self._now().timestamp()
        known = self._accepted.get(token)
        if known and now < known[1]:
            return known[0]
        claims = self._claims(token)
        if not claims["nbf"] - 300 <= now < claims["exp"]:
            raise TokenRefused(2000010, "The token has expired.", "invalid_token")
        if claims["aud"] not in EXCHANGE_AUDIENCES:
            raise TokenRefused(
                2000003,
                f"The audience claim value is invalid for current resource. Audience claim is '{claims['aud']}'.",
                "invalid_resource",
            )
        if FULL_ACCESS not in claims.get("roles", ()):
            raise TokenRefused(
                2000008, "The token contains no permissions, or permissions can not be understood.", "invalid_grant"
            )
        if len(self._accepted) > 1000:
            self._accepted.clear()
        self._accepted[token] = (str(claims["appid"]), float(claims["exp"]))
        return str(claims["appid"])

    def _claims(self, token: str) -> dict[str, Any]:
        options: Options = {  # the organisation's clock and Exchange's audiences are looked at by check()
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": False,
            "require": ["exp", "nbf", "aud", "appid"],
        }
        try:
            return dict(
                jwt.decode(
                    token,
                    self._key.public_key(),
                    algorithms=["RS256"],
                    issuer=f"https://sts.windows.net/{self.tenant_id}/",
                    options=options,
                )
            )
        except jwt.InvalidTokenError:
            raise TokenRefused(2000005, "The token is not valid: its signature or its form.", "invalid_token") from None


def _needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise _Refused(
            400, "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'."
        )
    return value


def _audience(scope: str, tenant: str) -> str:
    scopes = scope.split()
    if len(scopes) != 1:
        raise _Refused(
            400,
            "invalid_scope",
            70011,
            f"The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' "
            f"is not valid. The scope {scope} is not valid.",
        )
    resource, _, suffix = scopes[0].rpartition("/")
    if suffix != ".default" or not resource:
        raise _Refused(
            400,
            "invalid_scope",
            1002012,
            f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value with "
            "/.default suffixed to the resource identifier (application ID URI).",
        )
    audience = _RESOURCES.get(resource.rstrip("/").lower())
    if audience is None:
        raise _Refused(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the "
            "application has not been installed by the administrator of the tenant or consented to by any user in the "
            "tenant. You might have sent your authentication request to the wrong tenant.",
        )
    return audience


def _client_from(authorization: str) -> dict[str, str]:
    """Reads client id and secret from a Basic header, the other way OAuth lets a client name itself."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return {}
    return {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}
