"""Access and id tokens: signed as Entra signs them, and checked as Exchange checks them."""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from .apps import App
from .scopes import ACCESS_AS_USER, EXCHANGE_AUDIENCES, FULL_ACCESS

if TYPE_CHECKING:
    from jwt.types import Options


class TokenRefused(Exception):  # an answer of the protocol, as data, not an accident
    """Exchange does not accept a bearer token; ``diagnostics`` is the value of ``x-ms-diagnostics``."""

    def __init__(self, number: int, reason: str, category: str) -> None:
        super().__init__(reason)
        self.diagnostics = f'{number};reason="{reason}";error_category="{category}"'


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a token speaks for: an app by itself (``user`` is ""), or a user through an app."""

    client_id: str
    user: str = ""

    @property
    def name(self) -> str:
        """The account the store knows: the user's address, or the app's id."""
        return self.user or self.client_id


@dataclass(frozen=True, slots=True)
class Person:
    """The user a token is for."""

    address: str
    name: str
    object_id: str
    session_id: str
    second_factor: bool


def client_info(person: Person, tenant_id: str) -> str:
    """Draws ``client_info``: how MSAL knows the account again."""
    raw = json.dumps({"uid": person.object_id, "utid": tenant_id}).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Tokens:
    """The signing key of one tenant, made at start, and what is signed with it.

    ``is_live`` says whether the session (or the app's generation) that a token came of has not been withdrawn.
    """

    def __init__(self, now: Callable[[], datetime], tenant_id: str, is_live: Callable[[str], bool]) -> None:
        self._now = now
        self._tenant_id = tenant_id
        self._is_live = is_live
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = secrets.token_urlsafe(20)
        self._accepted: dict[str, tuple[Bearer, float, str]] = {}

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

    # -- signing -------------------------------------------------------------------------------------------------------

    def for_app(self, app: App, audience: str, seconds: int) -> str:
        """A token of the app's own, with the roles it was granted."""
        object_id = str(uuid.uuid5(uuid.UUID(self._tenant_id), app.client_id))
        claims = {
            **self._common(app, audience, seconds, acr="1"),
            "idtyp": "app",
            "oid": object_id,
            "sub": object_id,
            "sid": f"{app.client_id}:{app.generation}",
        }
        if audience in EXCHANGE_AUDIENCES and app.roles:
            claims["roles"] = list(app.roles)
        return self._signed(claims)

    def for_user(
        self, app: App, audience: str, seconds: int, person: Person, permissions: Iterable[str], *, public: bool
    ) -> str:
        """A token in a user's name, with the permissions that were agreed to."""
        claims = {
            **self._common(app, audience, seconds, acr="0" if public else "1"),
            "amr": ["pwd", "mfa"] if person.second_factor else ["pwd"],
            "name": person.name,
            "oid": person.object_id,
            "scp": " ".join(permissions),
            "sid": person.session_id,
            "sub": _pairwise(person.object_id, app.client_id),
            "unique_name": person.address,
            "upn": person.address,
        }
        return self._signed(claims)

    def id_token(self, app: App, base: str, seconds: int, person: Person, nonce: str) -> str:
        """Who signed in, for the app itself. ``base``: scheme, host and port of the directory."""
        issued = int(self._now().timestamp())
        claims = {
            "aud": app.client_id,
            "iss": f"{base}/{self._tenant_id}/v2.0",
            "iat": issued,
            "nbf": issued,
            "exp": issued + seconds,
            "name": person.name,
            "oid": person.object_id,
            "preferred_username": person.address,
            "sid": person.session_id,
            "sub": _pairwise(person.object_id, app.client_id),
            "tid": self._tenant_id,
            "upn": person.address,
            "uti": secrets.token_urlsafe(16),
            "ver": "2.0",
        }
        if nonce:
            claims["nonce"] = nonce
        return self._signed(claims)

    def _common(self, app: App, audience: str, seconds: int, *, acr: str) -> dict[str, Any]:
        issued = int(self._now().timestamp())
        return {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self._tenant_id}/",
            "iat": issued,
            "nbf": issued,
            "exp": issued + seconds,
            "app_displayname": app.name,
            "appid": app.client_id,
            "appidacr": acr,
            "idp": f"https://sts.windows.net/{self._tenant_id}/",
            "tid": self._tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id, "x5t": self._key_id})

    # -- what Exchange makes of a token --------------------------------------------------------------------------------

    def check(self, token: str) -> Bearer:
        """Says who a bearer token for Exchange speaks for. Raises TokenRefused."""
        now = self._now().timestamp()
        known = self._accepted.get(token)
        if known is None or now >= known[1]:
            known = self._read(token, now)
            if len(self._accepted) > 1000:
                self._accepted.clear()
            self._accepted[token] = known
        if not self._is_live(known[2]):
            raise TokenRefused(2000011, "The token has been revoked.", "invalid_token")
        return known[0]

    def _read(self, token: str, now: float) -> tuple[Bearer, float, str]:
        claims = self._claims(token)
        if not claims["nbf"] - 300 <= now < claims["exp"]:
            raise TokenRefused(2000010, "The token has expired.", "invalid_token")
        if claims["aud"] not in EXCHANGE_AUDIENCES:
            raise TokenRefused(
                2000003,
                f"The audience claim value is invalid for current resource. Audience claim is '{claims['aud']}'.",
                "invalid_resource",
            )
        may = ACCESS_AS_USER in str(claims.get("scp", "")).split() or FULL_ACCESS in claims.get("roles", ())
        if not may:
            raise TokenRefused(
                2000008, "The token contains no permissions, or permissions can not be understood.", "invalid_grant"
            )
        bearer = Bearer(str(claims["appid"]), str(claims.get("upn", "")))
        return bearer, float(claims["exp"]), str(claims["sid"])

    def _claims(self, token: str) -> dict[str, Any]:
        options: Options = {  # the organisation's clock and Exchange's audiences are looked at by _read()
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": False,
            "require": ["exp", "nbf", "aud", "appid", "sid"],
        }
        try:
            return dict(
                jwt.decode(
                    token,
                    self._key.public_key(),
                    algorithms=["RS256"],
                    issuer=f"https://sts.windows.net/{self._tenant_id}/",
                    options=options,
                )
            )
        except jwt.InvalidTokenError:
            raise TokenRefused(2000005, "The token is not valid: its signature or its form.", "invalid_token") from None


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _pairwise(object_id: str, client_id: str) -> str:
    """The subject: another one for each app, so that two apps cannot compare."""
    return base64.urlsafe_b64encode(uuid.uuid5(uuid.UUID(object_id), client_id).bytes).rstrip(b"=").decode()
